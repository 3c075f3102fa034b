"""Write `schemas/bundle-vectors.json`: bundles that every device must take or leave alike.

The keys are derived from a published text, as those of `token_vectors.py`. After a change of
bundles run `PYTHONPATH=. python scripts/bundle_vectors.py`.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from app.bundle import rules
from app.bundle.rules import Kept, Shard, ShardKind, Signed, Status, UnfitError
from app.signing.keys import Algorithm, IssuerClass, PublicKey, StatementSigner, TokenSigner

TARGET = Path(__file__).parent.parent / "schemas" / "bundle-vectors.json"
NOON = datetime(2026, 6, 18, 4, tzinfo=UTC)  # noon in Shanghai
USE_FROM = datetime(2026, 5, 1, tzinfo=UTC)
MARKET = UUID("0192f0a4-6d00-7000-8000-000000000001")
OTHER_MARKET = UUID("0192f0a4-6d00-7000-8000-000000000002")


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"one-ticket bundle vectors, key {name}".encode()).digest()


ROOT = _seed("root")
TICKETS = TokenSigner(1, IssuerClass.TICKET, _seed("1"))
STATUS = StatementSigner(2, IssuerClass.STATUS, _seed("2"))
LOG = StatementSigner(3, IssuerClass.LOG, _seed("3"))
DROPPED = StatementSigner(4, IssuerClass.STATUS, _seed("4"))
OLD = StatementSigner(5, IssuerClass.STATUS, _seed("5"))
STRANGER = StatementSigner(6, IssuerClass.STATUS, _seed("6"))


def _public(
    signer: TokenSigner | StatementSigner,
    *,
    use_from: datetime = USE_FROM,
    dropped_at: datetime | None = None,
) -> PublicKey:
    return PublicKey(
        kid=signer.kid,
        algorithm=Algorithm.ED25519,
        issuer_class=signer.issuer_class,
        public_key=signer.public_key,
        use_from=use_from,
        sign_until=use_from + timedelta(days=90),
        verify_until=use_from + timedelta(days=91),
        dropped_at=dropped_at,
    )


KEYS = (
    _public(TICKETS),
    _public(STATUS),
    _public(LOG),
    _public(DROPPED, dropped_at=NOON - timedelta(days=1)),
    _public(OLD, use_from=USE_FROM - timedelta(days=120)),
)
KEYSET = rules.sign_as_root(ROOT, rules.keyset_document(3, KEYS, NOON - timedelta(days=2)))
WEEK = rules.week_of(NOON)
SHARDS = (
    rules.shard_of(
        ShardKind.TICKET,
        WEEK,
        1_000,
        1_041,
        {1_001: Status.REVOKED, 1_002: Status.HELD, 1_003: Status.CONSUMED, 1_041: Status.REVOKED},
    ),
    rules.shard_of(ShardKind.TICKET, WEEK - 1, 2**32 - 3, 2**32 + 4, {2**32 + 1: Status.HELD}),
    rules.shard_of(ShardKind.CERTIFICATE, WEEK, 7, 7, {7: Status.REVOKED}),
    rules.names_of({"products": {"18": "韭菜"}, "counties": {"320682": "如皋市"}}),
)


@dataclass(frozen=True)
class Case:
    """A delivery, as a device meets it."""

    name: str
    keyset: Signed = KEYSET
    signer: StatementSigner = STATUS
    market: UUID = MARKET
    version: int = 9
    issued_at: datetime = NOON - timedelta(hours=1)
    shards: tuple[Shard, ...] = SHARDS
    kept: Kept = field(default_factory=lambda: Kept(3, 9))
    at: datetime = NOON
    tamper: Callable[[Signed], Signed] = lambda meta: meta
    deliver: Callable[[dict[str, bytes]], dict[str, bytes]] = lambda contents: contents


def _edited(signed: Signed, before: str, after: str) -> Signed:
    assert before in signed.document, "an edit that changes nothing proves nothing"
    return replace(signed, document=signed.document.replace(before, after))


def _first_changed(contents: dict[str, bytes]) -> dict[str, bytes]:
    name = SHARDS[0].sha256.hex()
    other = rules.shard_of(ShardKind.TICKET, WEEK, 1_000, 1_041, {})
    return {**contents, name: other.content}


def cases() -> Iterator[Case]:
    """Walk deliveries: one in order, and each way in which one is not."""
    yield Case("in order")
    yield Case("the first that a device sees", kept=Kept())
    yield Case("newer than the one kept", kept=Kept(2, 8))
    yield Case("in its last second", at=NOON + timedelta(hours=23) - timedelta(seconds=1))
    yield Case("a keyset that another root signed", keyset=replace(KEYSET, signature=bytes(64)))
    other_root = rules.sign_as_root(_seed("6"), KEYSET.document)
    yield Case("a keyset that a stranger signed as root", keyset=other_root)
    yield Case("a keyset with a byte changed", keyset=_edited(KEYSET, '"kid":2', '"kid":9'))
    yield Case("a keyset of a month ago", at=NOON + timedelta(days=28))
    yield Case("a keyset older than the one kept", kept=Kept(4, 9))
    future = rules.sign_as_root(ROOT, KEYSET.document.replace('"v":1', '"v":2'))
    yield Case("a keyset of another form", keyset=future)
    yield Case("a signer that the keyset does not hold", signer=STRANGER)
    yield Case("signed with the log's key", signer=LOG)
    yield Case("signed with a dropped key", signer=DROPPED)
    yield Case("signed with a key of last winter", signer=OLD)
    yield Case(
        "says a key of tickets signed it", tamper=lambda meta: replace(meta, kid=TICKETS.kid)
    )
    yield Case(
        "with another expiry",
        tamper=lambda meta: _edited(meta, "2026-06-19T03", "2026-06-29T03"),
    )
    yield Case(
        "with the signature of a stranger's key under our kid",
        tamper=lambda meta: replace(meta, signature=STRANGER.sign(meta.document.encode())),
    )
    yield Case("another market's", market=OTHER_MARKET)
    yield Case("a day old", at=NOON + timedelta(hours=23))
    yield Case("older than the one kept", kept=Kept(3, 10))
    newer = rules.sign_as_root(ROOT, rules.keyset_document(4, KEYS, NOON - timedelta(days=2)))
    yield Case("beside another keyset than it names", keyset=newer, kept=Kept(3, 9), version=10)
    yield Case("without one of its shards", deliver=lambda contents: dict([*contents.items()][1:]))
    yield Case("with a shard that says all is valid", deliver=_first_changed)


LOOKUPS = (
    (ShardKind.TICKET, NOON, 1_000),
    (ShardKind.TICKET, NOON, 1_001),
    (ShardKind.TICKET, NOON, 1_002),
    (ShardKind.TICKET, NOON, 1_003),
    (ShardKind.TICKET, NOON, 1_041),
    (ShardKind.TICKET, NOON, 1_042),
    (ShardKind.TICKET, NOON, 999),
    (ShardKind.TICKET, NOON - rules.WEEK, 1),
    (ShardKind.TICKET, NOON - rules.WEEK, 2**32 - 3),
    (ShardKind.TICKET, NOON - 2 * rules.WEEK, 1_001),
    (ShardKind.CERTIFICATE, NOON, 7),
    (ShardKind.CERTIFICATE, NOON, 8),
)


def judge(case: Case) -> dict[str, Any]:
    """Write down a delivery, and what a device makes of it."""
    # The meta was made beside the usual keyset; a case may deliver another one with it.
    document = rules.meta_document(
        case.market, case.version, case.issued_at, KEYSET.document, case.shards
    )
    signed = Signed(document, case.signer.sign(document.encode()), case.signer.kid)
    meta = case.tamper(signed)
    contents = case.deliver({shard.sha256.hex(): shard.content for shard in case.shards})
    written: dict[str, Any] = {
        "name": case.name,
        "at": rules.instant(case.at),
        "kept": {"keyset": case.kept.keyset, "meta": case.kept.meta},
        "keyset": {"document": case.keyset.document, "signature": case.keyset.signature.hex()},
        "meta": {
            "document": meta.document,
            "signature": meta.signature.hex(),
            "kid": meta.kid,
        },
        "shards": {name: base64.b64encode(content).decode() for name, content in contents.items()},
    }
    try:
        bundle = rules.open_bundle(
            rules.root_public_key(ROOT),
            case.keyset,
            meta,
            contents,
            market=MARKET,
            at=case.at,
            kept=case.kept,
        )
    except UnfitError as unfit:
        return {**written, "answer": unfit.reason.value}
    looked_up = []
    for kind, issued_at, index in LOOKUPS:
        status = bundle.status(kind, issued_at, index)
        looked_up.append(
            {
                "kind": kind.value,
                "issued_at": rules.instant(issued_at),
                "index": index,
                "status": None if status is None else int(status),
            }
        )
    return {**written, "answer": "taken", "statuses": looked_up}


def render() -> str:
    """Render the document as it lies in the repository."""
    document = {
        "about": (
            "Bundles as they are delivered to a device of `market` that pins `root_key`, the "
            "instant, what it has kept, and whether it takes them. docs/gate.md explains them; "
            "scripts/bundle_vectors.py writes this file."
        ),
        "market": str(MARKET),
        "root_key": rules.root_public_key(ROOT).hex(),
        "vectors": [judge(case) for case in cases()],
    }
    return json.dumps(document, ensure_ascii=True, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    print(f"written: {TARGET.name}")
