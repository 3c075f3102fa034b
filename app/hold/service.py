"""Places and releases holds, and tells the parties concerned.

Nobody is asked here whether they may: see the package's docstring.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.errors import IdReused
from app.event import service as events
from app.event.rules import EventKind
from app.event.service import Happening
from app.hold import rules
from app.hold.models import Hold, Notice, NoticeMark
from app.hold.rules import HoldCause, MarksArePersonal, NoticeKind, Order, UnknownNotice
from app.lot import service as lots
from app.lot.rules import LotState
from app.party import service as parties
from app.party.access import Caller
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement


async def repeated(session: AsyncSession, order: Order) -> Hold | None:
    """Find the hold that an order made before, under the lock of its lot.

    Raises:
        IdReused: the id names another hold.
    """
    existing = await session.scalar(select(Hold).where(Hold.public_id == order.public_id))
    if existing is not None and existing.digest != order.digest:
        raise IdReused(hold=str(order.public_id))
    return existing


async def place(session: AsyncSession, order: Order, lot: LotState, *, now: datetime) -> Hold:
    """Hold a lot whose balance the caller has locked, and tell its holder.

    From the instant this commits the lot gives nothing away: a hand-over either was complete before
    the lock, or is refused after it.
    """
    hold = Hold(
        public_id=order.public_id,
        digest=order.digest,
        lot_id=lot.id,
        placed_by=order.party_id,
        reason=order.reason,
        cause=order.cause,
        subject=order.subject,
        placed_at=now,
    )
    session.add(hold)
    await session.flush()
    await lots.count_hold(session, [lot.id], +1)
    await _record(session, EventKind.HOLD, order, now=now)
    facts = {"lot": order.lot, **({"sample": order.subject} if order.subject else {})}
    await tell(session, NoticeKind.HELD, hold.public_id, [lot.holder_id], facts, now)
    return hold


async def lock(session: AsyncSession, public_id: UUID) -> Hold:
    """Lock a hold until the transaction ends, after the lot that it is on, and read it.

    The lot comes first, as everywhere: a test that clears it and an office that lets it go at the
    same instant would else wait for each other.

    Raises:
        UnknownHold: there is none.
    """
    lot_id = await session.scalar(select(Hold.lot_id).where(Hold.public_id == public_id))
    if lot_id is None:
        raise rules.UnknownHold(hold=str(public_id))
    await lots.lock_by_id(session, [lot_id])
    statement = select(Hold).where(Hold.public_id == public_id).with_for_update()
    found = await session.scalars(statement.execution_options(populate_existing=True))
    return found.one()


async def in_force_of(
    session: AsyncSession, subject: UUID, lot_ids: Collection[int]
) -> Sequence[Hold]:
    """Lock the holds in force of a finding, on lots that are locked; by lot, oldest first."""
    found = await session.scalars(
        select(Hold)
        .where(
            Hold.lot_id.in_(lot_ids),
            Hold.subject == subject,
            Hold.cause == HoldCause.TEST,
            Hold.released_at.is_(None),
        )
        .order_by(Hold.lot_id, Hold.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.all()


async def release(session: AsyncSession, hold: Hold, order: Order, *, now: datetime) -> bool:
    """End a locked hold; the lot moves again once the last one on it has ended.

    Args:
        session: The caller's transaction.
        hold: What is to end.
        order: Its lot, who ends it, and why.
        now: When.

    Returns:
        Whether it was in force until now.
    """
    if hold.released_at is not None:
        return False
    lot = (await lots.lock(session, [order.lot]))[order.lot]
    hold.released_at = now
    hold.released_by = order.party_id
    hold.release_reason = order.reason
    await session.flush()
    await lots.count_hold(session, [lot.id], -1)
    await _record(session, EventKind.RELEASE, order, now=now)
    facts = {"lot": order.lot}
    await tell(session, NoticeKind.RELEASED, hold.public_id, [lot.holder_id], facts, now)
    return True


async def _record(session: AsyncSession, kind: EventKind, order: Order, *, now: datetime) -> None:
    await events.record(
        session,
        Happening(
            public_id=ids.uuid7(),
            kind=kind,
            occurred_at=now,
            party_id=order.party_id,
            details={"hold": str(order.public_id), "lot": str(order.lot)},
        ),
        now=now,
    )
    # What somebody typed may name a person, and the log is for ever: it keeps a commitment.
    salt = (await parties.by_ids(session, [order.party_id]))[order.party_id].commit_salt
    document = {
        "lot": str(order.lot),
        "by": str(order.party),
        "reason_commit": commitment(salt, order.reason),
        "t": now.isoformat(),
    }
    statement = Statement(f"hold.{kind}", order.public_id, document)
    await transparency.append(session, [statement], now=now)


# One statement, however many are told: goods of one morning can have reached thousands.
_TELL = text("""
    INSERT INTO notice (party_id, kind, subject, facts, created_at)
    SELECT party_id, :kind, :subject, CAST(:facts AS jsonb), :now
    FROM unnest(CAST(:parties AS bigint[])) AS told (party_id)
    ON CONFLICT DO NOTHING
""")


async def tell(
    session: AsyncSession,
    kind: NoticeKind,
    subject: UUID,
    party_ids: Iterable[int | None],
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Leave a notice with each party, once for each subject."""
    told = sorted({party for party in party_ids if party is not None})
    if told:
        await session.execute(
            _TELL,
            {
                "parties": told,
                "kind": kind,
                "subject": subject,
                "facts": orjson.dumps({name: str(value) for name, value in facts.items()}).decode(),
                "now": now,
            },
        )


async def notices_of(
    session: AsyncSession, caller: Caller, *, most: int
) -> Sequence[tuple[Notice, datetime | None]]:
    """List what a party was told, newest first, and when the caller read it."""
    mine = (NoticeMark.notice_id == Notice.id) & (NoticeMark.account_id == caller.account_id)
    found = await session.execute(
        select(Notice, NoticeMark.read_at)
        .outerjoin(NoticeMark, mine)
        .where(Notice.party_id == caller.acting_party)
        .order_by(Notice.id.desc())
        .limit(most)
    )
    return [(notice, read_at) for notice, read_at in found]


_UNREAD = text("""
    SELECT count(*) FROM (
        SELECT FROM notice n WHERE n.party_id = :party AND NOT EXISTS (
            SELECT FROM notice_mark m WHERE m.account_id = :account AND m.notice_id = n.id
        ) LIMIT :most
    ) AS unread
""")


async def unread_of(session: AsyncSession, caller: Caller, *, most: int) -> int:
    """Count what the caller has not read yet, as far as `most`; of a machine nothing is read."""
    asked = {"party": caller.acting_party, "account": caller.account_id, "most": most}
    return int(await session.scalar(_UNREAD, asked) or 0)


# Sent again, or at the same moment from two windows, a mark is the one that came first.
_MARK = text("""
    INSERT INTO notice_mark (account_id, notice_id, read_at)
    SELECT :account, n.id, :now FROM notice n
    WHERE n.party_id = :party AND n.id BETWEEN :first AND :last
    ORDER BY n.id
    ON CONFLICT DO NOTHING
""")


async def mark_read(
    session: AsyncSession, notice_id: int, caller: Caller, *, earlier: bool, now: datetime
) -> None:
    """Mark a notice as read by the caller, or it and all that came earlier.

    What came later stays unread: nobody has seen it.

    Raises:
        MarksArePersonal: the caller is a machine.
        UnknownNotice: there is no such notice, or it is another party's.
    """
    if caller.account_id is None:
        raise MarksArePersonal
    notice = await session.get(Notice, notice_id)
    if notice is None or notice.party_id != caller.acting_party:
        raise UnknownNotice(notice=notice_id)
    await session.execute(
        _MARK,
        {
            "account": caller.account_id,
            "party": caller.acting_party,
            "first": 0 if earlier else notice_id,
            "last": notice_id,
            "now": now,
        },
    )
