"""What a bundle consists of, and how a device reads it without trusting who delivers it. Pure.

`open_bundle` is the reading side, the same steps in the same order as
`frontend/src/gate/bundle.ts`; `schemas/bundle-vectors.json` holds both to it.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, Final
from uuid import UUID

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.signing.keys import IssuerClass, PublicKey

VERSION: Final = 1
EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""A Monday, and where the tokens' clock begins: a shard is a week from there."""

WEEK: Final = timedelta(days=7)
META_LIFE: Final = timedelta(hours=24)
KEYSET_LIFE: Final = timedelta(days=30)
INDEX_MODULUS: Final = 1 << 32
ENTRIES_MAX: Final = 1 << 26
"""Sixty-seven million tickets a week; more is a mistake, and would fill a phone."""

_PER_BYTE: Final = 4
_BITS: Final = 2


class Status(IntEnum):
    """What the books say of a document, in two bits."""

    VALID = 0
    REVOKED = 1
    HELD = 2
    CONSUMED = 3


class ShardKind(StrEnum):
    """What a shard is about."""

    TICKET = "ticket"
    CERTIFICATE = "certificate"
    NAMES = "names"


class Unfit(StrEnum):
    """Why a bundle is not taken; the first reason that applies."""

    MALFORMED = "malformed"
    NOT_ROOT_SIGNED = "not-root-signed"
    KEYSET_EXPIRED = "keyset-expired"
    KEYSET_ROLLED_BACK = "keyset-rolled-back"
    UNKNOWN_SIGNER = "unknown-signer"
    WRONG_SIGNER = "wrong-signer"
    BAD_SIGNATURE = "bad-signature"
    OTHER_MARKET = "other-market"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled-back"
    OTHER_KEYSET = "other-keyset"
    SHARD_MISSING = "shard-missing"
    SHARD_TAMPERED = "shard-tampered"


class UnfitError(Exception):
    """A bundle that must not be taken; whoever has an older one keeps it."""

    def __init__(self, reason: Unfit) -> None:
        """Name the reason."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Signed:
    """Bytes as they were signed, as text.

    Attributes:
        document: Canonical JSON (RFC 8785).
        signature: 64 bytes over its UTF-8.
        kid: The status key that signed; 0 for the root key.
    """

    document: str
    signature: bytes
    kid: int = 0


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a bundle.

    Attributes:
        week: Weeks since `EPOCH` in which its documents were signed.
        first: Status index of its first entry.
        entries: How many indexes follow from there.
        content: Gzip of the bits, four entries a byte, the first in the lowest two bits.
    """

    kind: ShardKind
    week: int
    first: int
    entries: int
    content: bytes

    @property
    def sha256(self) -> bytes:
        """Its name."""
        return hashlib.sha256(self.content).digest()


@dataclass(frozen=True, slots=True)
class Kept:
    """The versions that a reader has seen; it takes no older ones."""

    keyset: int = 0
    meta: int = 0


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read and found in order."""

    keys: tuple[PublicKey, ...]
    keyset_version: int
    version: int
    issued_at: datetime
    expires_at: datetime
    shards: tuple[Shard, ...]

    def status(self, kind: ShardKind, issued_at: datetime, index: int) -> Status | None:
        """Answer what the list says of a document; None where it says nothing.

        A document that was signed after the list was made is not in it.
        """
        week = week_of(issued_at)
        for shard in self.shards:
            if (shard.kind, shard.week) == (kind, week):
                place = (index - shard.first) % INDEX_MODULUS
                if place < shard.entries:
                    bits = gzip.decompress(shard.content)[place // _PER_BYTE]
                    return Status(bits >> _BITS * (place % _PER_BYTE) & 3)
        return None


def week_of(instant: datetime) -> int:
    """Answer the week that an instant lies in; ten-minute ticks never straddle two."""
    return (instant - EPOCH) // WEEK


def shard_of(
    kind: ShardKind, week: int, first: int, last: int, statuses: Mapping[int, Status]
) -> Shard:
    """Pack a week's statuses, each under its internal id; whatever is not named is valid.

    The gzip header holds no time, so that the same statuses have the same name.
    """
    entries = last - first + 1
    assert 0 < entries <= ENTRIES_MAX, "a week of impossibly many documents"
    bits = bytearray(-(-entries // _PER_BYTE))
    for number, status in statuses.items():
        place = number - first
        assert 0 <= place < entries, "a document outside its week"
        bits[place // _PER_BYTE] |= status << _BITS * (place % _PER_BYTE)
    content = gzip.compress(bytes(bits), 9, mtime=0)
    return Shard(kind, week, first % INDEX_MODULUS, entries, content)


def names_of(names: Mapping[str, Any]) -> Shard:
    """Pack the names that a device shows: products and divisions by their numbers."""
    return Shard(ShardKind.NAMES, 0, 0, 0, gzip.compress(rfc8785.dumps(dict(names)), 9, mtime=0))


# --- documents ------------------------------------------------------------------------------------


def keyset_document(version: int, keys: Iterable[PublicKey], issued_at: datetime) -> str:
    """Write the keyset that the root key signs; it counts for thirty days."""
    document: dict[str, Any] = {
        "v": VERSION,
        "version": version,
        "issued_at": instant(issued_at),
        "expires_at": instant(issued_at + KEYSET_LIFE),
        "keys": [
            {
                "kid": key.kid,
                "algorithm": key.algorithm.value,
                "issuer_class": key.issuer_class.value,
                "public_key": key.public_key.hex(),
                "use_from": instant(key.use_from),
                "sign_until": instant(key.sign_until),
                "verify_until": instant(key.verify_until),
                "dropped_at": None if key.dropped_at is None else instant(key.dropped_at),
            }
            for key in keys
        ],
    }
    return rfc8785.dumps(document).decode()


def meta_document(
    market: UUID, version: int, issued_at: datetime, keyset: str, shards: Iterable[Shard]
) -> str:
    """Write the document that names a bundle's parts; it counts for a day."""
    document: dict[str, Any] = {
        "v": VERSION,
        "market": str(market),
        "version": version,
        "issued_at": instant(issued_at),
        "expires_at": instant(issued_at + META_LIFE),
        "keyset_sha256": hashlib.sha256(keyset.encode()).hexdigest(),
        "shards": [
            {
                "kind": shard.kind.value,
                "week": shard.week,
                "first": shard.first,
                "entries": shard.entries,
                "bytes": len(shard.content),
                "sha256": shard.sha256.hex(),
            }
            for shard in shards
        ],
    }
    return rfc8785.dumps(document).decode()


def instant(at: datetime) -> str:
    """Write an instant to the second, in UTC."""
    return at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def sign_as_root(private_key: bytes, document: str) -> Signed:
    """Sign a keyset with the offline root key, 32 bytes."""
    return Signed(
        document, Ed25519PrivateKey.from_private_bytes(private_key).sign(document.encode())
    )


def root_public_key(private_key: bytes) -> bytes:
    """Answer the public half of a root key."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


# --- reading --------------------------------------------------------------------------------------


def open_bundle(
    root_key: bytes,
    keyset: Signed,
    meta: Signed,
    contents: Mapping[str, bytes],
    *,
    market: UUID,
    at: datetime,
    kept: Kept,
) -> Bundle:
    """Read a bundle as a device does.

    1. The pinned root key signed the keyset, which has not expired and is not older than one seen.
    2. The meta's signer is a status key of that keyset, in use at `at`, and the signature is its.
    3. The meta is for this market, has not expired, and is not older than one seen.
    4. It names this keyset, and every shard has the hash that it says.

    Raises:
        UnfitError: with the first step that fails.
    """
    keys, keyset_version = _read_keyset(root_key, keyset, at=at, kept=kept)  # 1
    _check_signer(keys, meta, at)  # 2
    read = _parsed(meta.document)
    try:
        if read["market"] != str(market):  # 3
            raise UnfitError(Unfit.OTHER_MARKET)
        expires_at = datetime.fromisoformat(read["expires_at"])
        if at >= expires_at:
            raise UnfitError(Unfit.EXPIRED)
        if read["version"] < kept.meta:
            raise UnfitError(Unfit.ROLLED_BACK)
        if read["keyset_sha256"] != hashlib.sha256(keyset.document.encode()).hexdigest():  # 4
            raise UnfitError(Unfit.OTHER_KEYSET)
        return Bundle(
            keys=keys,
            keyset_version=keyset_version,
            version=read["version"],
            issued_at=datetime.fromisoformat(read["issued_at"]),
            expires_at=expires_at,
            shards=tuple(_read_shard(named, contents) for named in read["shards"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnfitError(Unfit.MALFORMED) from error


def _read_keyset(
    root_key: bytes, keyset: Signed, *, at: datetime, kept: Kept
) -> tuple[tuple[PublicKey, ...], int]:
    if not _verifies(root_key, keyset):
        raise UnfitError(Unfit.NOT_ROOT_SIGNED)
    read = _parsed(keyset.document)
    try:
        if at >= datetime.fromisoformat(read["expires_at"]):
            raise UnfitError(Unfit.KEYSET_EXPIRED)
        if read["version"] < kept.keyset:
            raise UnfitError(Unfit.KEYSET_ROLLED_BACK)
        return tuple(_read_key(key) for key in read["keys"]), read["version"]
    except (KeyError, TypeError, ValueError) as error:
        raise UnfitError(Unfit.MALFORMED) from error


def _read_key(named: dict[str, Any]) -> PublicKey:
    dropped = named["dropped_at"]
    return PublicKey(
        kid=named["kid"],
        algorithm=named["algorithm"],
        issuer_class=IssuerClass(named["issuer_class"]),
        public_key=bytes.fromhex(named["public_key"]),
        use_from=datetime.fromisoformat(named["use_from"]),
        sign_until=datetime.fromisoformat(named["sign_until"]),
        verify_until=datetime.fromisoformat(named["verify_until"]),
        dropped_at=None if dropped is None else datetime.fromisoformat(dropped),
    )


def _check_signer(keys: Iterable[PublicKey], meta: Signed, at: datetime) -> None:
    key = next((one for one in keys if one.kid == meta.kid), None)
    if key is None:
        raise UnfitError(Unfit.UNKNOWN_SIGNER)
    in_use = key.use_from <= at < key.verify_until
    dropped = key.dropped_at is not None and key.dropped_at <= at
    if key.issuer_class is not IssuerClass.STATUS or not in_use or dropped:
        raise UnfitError(Unfit.WRONG_SIGNER)
    if not _verifies(key.public_key, meta):
        raise UnfitError(Unfit.BAD_SIGNATURE)


def _read_shard(named: dict[str, Any], contents: Mapping[str, bytes]) -> Shard:
    content = contents.get(named["sha256"])
    if content is None:
        raise UnfitError(Unfit.SHARD_MISSING)
    shard = Shard(
        ShardKind(named["kind"]), named["week"], named["first"], named["entries"], content
    )
    if shard.sha256.hex() != named["sha256"]:
        raise UnfitError(Unfit.SHARD_TAMPERED)
    return shard


def _verifies(public_key: bytes, signed: Signed) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signed.signature, signed.document.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _parsed(document: str) -> dict[str, Any]:
    try:
        read = json.loads(document)
    except ValueError as error:
        raise UnfitError(Unfit.MALFORMED) from error
    if not isinstance(read, dict) or read.get("v") != VERSION:
        raise UnfitError(Unfit.MALFORMED)
    return read
