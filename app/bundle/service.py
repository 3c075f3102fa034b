"""Publishes keysets, builds the bundles of markets, and hands them out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission.policy import LET_IN
from app.bundle import rules
from app.bundle.device import BundleNotReady
from app.bundle.models import Device, KeysetRow, MetaRow, ShardRow
from app.bundle.rules import Kept, Shard, ShardKind, Signed, Status
from app.core.clock import local_date
from app.core.sealing import Vault
from app.place import service as places
from app.place.models import Place
from app.signing import service as signing
from app.signing.keys import IssuerClass
from app.testing import queries as testing
from app.testing.rules import HOLDING
from app.testing.standards import standards

_BUILD_LOCK: Final = 0x62756E64  # "bund": any number that no other advisory lock of ours has
_KEEP_SHARDS: Final = timedelta(days=1)
"""A device that reads a meta now may fetch its shards a while later."""


# --- keysets --------------------------------------------------------------------------------------


async def publish_keyset(session: AsyncSession, root_private_key: bytes, *, now: datetime) -> int:
    """Sign the registry as it is with the offline root key, and answer the keyset's version.

    As the database's owner: the server itself must not be able to hand out other keys.
    """
    version = (await session.scalar(select(func.max(KeysetRow.version))) or 0) + 1
    document = rules.keyset_document(version, await signing.list_keys(session), now)
    signed = rules.sign_as_root(root_private_key, document)
    session.add(
        KeysetRow(
            version=version,
            document=document,
            signature=signed.signature,
            root_key=rules.root_public_key(root_private_key),
            issued_at=now,
            expires_at=now + rules.KEYSET_LIFE,
        )
    )
    await session.flush()
    return version


async def newest_keyset(session: AsyncSession) -> KeysetRow:
    """Answer the newest keyset.

    Raises:
        BundleNotReady: none was published.
    """
    row = await session.scalar(select(KeysetRow).order_by(KeysetRow.version.desc()).limit(1))
    if row is None:
        raise BundleNotReady
    return row


# --- building -------------------------------------------------------------------------------------

# Weeks from which something may still be valid, with the first and the last id of each.
_WEEKS: Final = {
    ShardKind.TICKET: text("""
        SELECT floor(extract(epoch FROM issued_at - CAST(:epoch AS timestamptz)) / 604800)::int,
            min(id), max(id)
        FROM ticket
        WHERE issued_at >= CAST(:now AS timestamptz)
            - make_interval(hours => (SELECT coalesce(max(ttl_h), 0)::int FROM ticket_validity))
        GROUP BY 1 ORDER BY 1
    """),
    ShardKind.CERTIFICATE: text("""
        SELECT floor(extract(epoch FROM issued_at - CAST(:epoch AS timestamptz)) / 604800)::int,
            min(id), max(id)
        FROM certificate
        WHERE expires_at > CAST(:now AS timestamptz)
        GROUP BY 1 ORDER BY 1
    """),
}

# A test stands against goods whether or not an office lets them move: see `testing.rules.inherit`.
_LET_IN: Final = ", ".join(f"'{decision}'" for decision in sorted(LET_IN))
_AGAINST: Final = ", ".join(f"'{status}'" for status in sorted(HOLDING))
_HELD: Final = f"""
        WITH RECURSIVE held (id) AS (
            SELECT lot_id FROM lot_balance WHERE holds > 0
            UNION SELECT lot_id FROM sample WHERE status IN ({_AGAINST})
            UNION SELECT e.dst FROM held h JOIN lot_edge e ON e.src = h.id
        )
"""  # noqa: S608 (constants)
# Taken back, on hold or found bad with all that was made of it, used up: in this order, for the
# gravest says it. What was used up elsewhere is left out: used-up tickets are many, and do not
# compress. What a gate let in is told as its market decided last.
_STATUSES: Final = {
    ShardKind.TICKET: text(f"""
        {_HELD}
        SELECT t.id, t.issued_at, min(said.status) FROM (
            SELECT ticket_id, 1 AS status FROM ticket_state WHERE status = 'voided'
            UNION ALL
            SELECT d.ticket_id, 2 FROM held h JOIN ticket_draw d ON d.lot_id = h.id
            UNION ALL
            SELECT r.ticket_id, 2 FROM held h JOIN ticket_receipt r ON r.received_lot_id = h.id
            UNION ALL
            SELECT s.ticket_id, 3 FROM ticket_state s JOIN ticket t ON t.id = s.ticket_id
            WHERE s.status IN ('accepted', 'accepted_in_part', 'refused')
                AND (t.market_id = :market OR t.market_id IS NULL)
                AND t.issued_at >= CAST(:since AS timestamptz)
            UNION ALL
            SELECT t.id, 3
            FROM inspection_line l
            JOIN inspection i ON i.id = l.inspection_id
            JOIN ticket t ON t.id = l.ticket_id
            LEFT JOIN LATERAL (
                SELECT r.decision FROM ruling r WHERE r.line_id = l.id ORDER BY r.id DESC LIMIT 1
            ) r ON true
            WHERE coalesce(r.decision, l.decided_offline, l.decision) IN ({_LET_IN})
                AND (i.market_id = :market OR t.market_id = :market OR t.market_id IS NULL)
                AND t.issued_at >= CAST(:since AS timestamptz)
            GROUP BY t.id HAVING sum(l.mass_g) >= t.mass_g
        ) said JOIN ticket t ON t.id = said.ticket_id
        WHERE t.issued_at >= CAST(:since AS timestamptz)
        GROUP BY t.id
    """),  # noqa: S608 (constants)
    ShardKind.CERTIFICATE: text(f"""
        {_HELD}
        SELECT c.id, c.issued_at, min(said.status) FROM (
            SELECT certificate_id, 1 AS status FROM certificate_void
            UNION ALL
            SELECT c.id, 2 FROM held h JOIN certificate c ON c.lot_id = h.id
        ) said JOIN certificate c ON c.id = said.certificate_id
        WHERE c.issued_at >= CAST(:since AS timestamptz)
            AND CAST(:market AS bigint) IS NOT NULL
        GROUP BY c.id
    """),  # noqa: S608 (constants)
}
_NAMES: Final = text("SELECT id, name FROM product ORDER BY id")
_COUNTIES: Final = text("""
    SELECT DISTINCT ON (code) code, name FROM division
    WHERE length(code) = 6 ORDER BY code, valid_from DESC
""")


async def build_all(session: AsyncSession, now: datetime, *, vault: Vault) -> int:
    """Publish the bundle of every market that has devices, and answer how many there are.

    Raises:
        BundleNotReady: no keyset was published.
        NoSigningKey: no status key is in use.
    """
    await newest_keyset(session)
    await signing.load_signer(session, vault, now, issuer_class=IssuerClass.STATUS)
    markets = await session.scalars(
        select(Device.market_id).where(Device.revoked_at.is_(None)).distinct()
    )
    built = 0
    for market in (await places.by_ids(session, markets.all())).values():
        await build(session, market, vault=vault, now=now)
        built += 1
    await session.execute(delete(ShardRow).where(ShardRow.used_at < now - _KEEP_SHARDS))
    return built


async def build(session: AsyncSession, market: Place, *, vault: Vault, now: datetime) -> MetaRow:
    """Publish a market's bundle, one version on from the last.

    Raises:
        BundleNotReady: no keyset was published.
        NoSigningKey: no status key is in use.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _BUILD_LOCK})
    keyset = await newest_keyset(session)
    signer = await signing.load_signer(session, vault, now, issuer_class=IssuerClass.STATUS)
    shards = [
        *await _shards(session, ShardKind.TICKET, market, now=now),
        *await _shards(session, ShardKind.CERTIFICATE, market, now=now),
        await _names(session, now=now),
    ]
    row = await session.get(MetaRow, market.id)
    version = 1 if row is None else row.version + 1
    document = rules.meta_document(market.public_id, version, now, keyset.document, shards)
    meta = Signed(document, signer.sign(document.encode()), signer.kid)
    # What devices would refuse must not replace what they have.
    if now < keyset.expires_at:
        rules.open_bundle(
            keyset.root_key,
            Signed(keyset.document, keyset.signature),
            meta,
            {shard.sha256.hex(): shard.content for shard in shards},
            market=market.public_id,
            at=now,
            kept=Kept(),
        )
    await _store(session, shards, now=now)
    row = row or MetaRow(market_id=market.id)
    row.version, row.document, row.signature = version, document, meta.signature
    row.kid, row.keyset_version, row.issued_at = meta.kid, keyset.version, now
    session.add(row)
    await session.flush()
    return row


async def _shards(
    session: AsyncSession, kind: ShardKind, market: Place, *, now: datetime
) -> list[Shard]:
    weeks = (await session.execute(_WEEKS[kind], {"now": now, "epoch": rules.EPOCH})).all()
    if not weeks:
        return []
    since = rules.EPOCH + weeks[0][0] * rules.WEEK
    rows = await session.execute(_STATUSES[kind], {"market": market.id, "since": since})
    statuses: Mapping[int, dict[int, Status]] = defaultdict(dict)
    for number, issued_at, status in rows:
        statuses[rules.week_of(issued_at)][number] = Status(status)
    return [
        rules.shard_of(
            kind,
            week,
            first,
            last,
            {no: said for no, said in statuses[week].items() if first <= no <= last},
        )
        for week, first, last in weeks
    ]


async def _names(session: AsyncSession, *, now: datetime) -> Shard:
    products = {str(row[0]): row[1] for row in await session.execute(_NAMES)}
    counties = {row[0]: row[1] for row in await session.execute(_COUNTIES)}
    known = await standards(session)
    methods = await testing.methods(session, local_date(now))
    return rules.names_of(
        {
            "products": products,
            "counties": counties,
            "methods": [method.model_dump(mode="json") for method in methods],
            "substances": sorted(known.substances),
        }
    )


async def _store(session: AsyncSession, shards: Sequence[Shard], *, now: datetime) -> None:
    rows: list[dict[str, Any]] = [
        {"sha256": shard.sha256, "content": shard.content, "used_at": now} for shard in shards
    ]
    await session.execute(
        insert(ShardRow).on_conflict_do_update(
            index_elements=[ShardRow.sha256], set_={"used_at": now}
        ),
        rows,
    )


# --- handing out ----------------------------------------------------------------------------------


async def newest(session: AsyncSession, market_id: int) -> tuple[KeysetRow, MetaRow]:
    """Answer a market's bundle as it was published last, with the keyset that it names.

    Raises:
        BundleNotReady: there is none.
    """
    meta = await session.get(MetaRow, market_id)
    if meta is None:
        raise BundleNotReady
    return await session.get_one(KeysetRow, meta.keyset_version), meta


async def note_fetched(session: AsyncSession, device: Device, meta: MetaRow) -> None:
    """Note how new the list is that a device has now."""
    if device.list_at != meta.issued_at:
        device.list_at = meta.issued_at
        await session.flush()


async def content(session: AsyncSession, sha256: bytes) -> bytes | None:
    """Answer a shard by its hash; None where there is none any more."""
    return await session.scalar(select(ShardRow.content).where(ShardRow.sha256 == sha256))
