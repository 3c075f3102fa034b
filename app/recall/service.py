"""Places and releases holds, and tells the parties concerned."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import service as certificates
from app.core import ids
from app.core.errors import IdReused
from app.event import service as events
from app.event.rules import EventKind
from app.event.service import Happening
from app.lot import service as lots
from app.lot.models import Lot
from app.lot.rules import LotState
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Audience, Caller, may_supervise
from app.recall import rules
from app.recall.models import Hold, Notice
from app.recall.rules import NoticeKind
from app.recall.schemas import HoldIn, HoldOut
from app.trace import queries as traces
from app.trace.queries import Walk
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

AFFECTED_LOTS_MAX = 100_000


async def place(
    session: AsyncSession, public_id: UUID, body: HoldIn, caller: Caller, *, now: datetime
) -> tuple[Hold, bool]:
    """Hold a lot: from the instant this commits it gives nothing away.

    The balance is locked first, so that a hand-over either was complete before the hold, or is
    refused by it.

    Returns:
        The hold, and whether it is new.

    Raises:
        UnknownLot: there is no such lot.
        IdReused: the id names another hold.
        HoldNotYours: the caller does not answer for the lot.
    """
    lot = (await lots.lock(session, [body.lot]))[body.lot]
    digest = digest_of({**body.model_dump(mode="json"), "by": str(caller.party_public_id)})
    existing = await session.scalar(select(Hold).where(Hold.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(hold=str(public_id))
        return existing, False
    await _check_answers_for(session, lot, caller)
    hold = Hold(
        public_id=public_id,
        digest=digest,
        lot_id=lot.id,
        placed_by=caller.acting_party,
        reason=body.reason,
        placed_at=now,
    )
    session.add(hold)
    await session.flush()
    await lots.count_hold(session, [lot.id], +1)
    await _record(session, EventKind.HOLD, public_id, lot, caller, body.reason, now=now)
    await _tell(session, NoticeKind.HELD, public_id, [lot.holder_id], {"lot": lot.public_id}, now)
    return hold, True


async def release(
    session: AsyncSession, public_id: UUID, reason: str, caller: Caller, *, now: datetime
) -> tuple[Hold, bool]:
    """End a hold; the lot moves again once the last one on it has ended.

    Returns:
        The hold, and whether it was in force until now.

    Raises:
        UnknownHold: there is none.
        HoldNotYours: the caller neither placed it nor answers for the lot.
    """
    hold = await session.scalar(select(Hold).where(Hold.public_id == public_id).with_for_update())
    if hold is None:
        raise rules.UnknownHold(hold=str(public_id))
    states = await lots.states_by_id(session, [hold.lot_id])
    lot = states[hold.lot_id]
    if hold.placed_by != caller.party_id:
        await _check_answers_for(session, lot, caller, office_only=True)
    if hold.released_at is not None:
        return hold, False
    await lots.lock(session, [lot.public_id])
    hold.released_at = now
    hold.released_by = caller.acting_party
    hold.release_reason = reason
    await session.flush()
    await lots.count_hold(session, [lot.id], -1)
    await _record(session, EventKind.RELEASE, public_id, lot, caller, reason, now=now)
    await _tell(
        session, NoticeKind.RELEASED, public_id, [lot.holder_id], {"lot": lot.public_id}, now
    )
    return hold, True


async def _check_answers_for(
    session: AsyncSession, lot: LotState, caller: Caller, *, office_only: bool = False
) -> None:
    """Refuse whoever answers neither for the lot's origin, nor for its holder, nor its market."""
    holders = await parties.by_ids(session, [lot.holder_id] if lot.holder_id else [])
    places = {lot.division_code, *(holder.division_code for holder in holders.values())}
    if any(may_supervise(caller, code) for code in places):
        return
    known = {"lots": [lot.id], "asked": [lot.id]}
    if Audience.REGULATOR in caller.audiences:
        codes = await traces.market_divisions(session, **known)
        if any(may_supervise(caller, code) for code in codes):
            return
    if Audience.MARKET in caller.audiences and not office_only:
        inside = await traces.lots_in_market(session, caller.acting_party, **known)
        if lot.id in inside:
            return
    raise rules.HoldNotYours(lot=str(lot.public_id))


async def _record(
    session: AsyncSession,
    kind: EventKind,
    hold: UUID,
    lot: LotState,
    caller: Caller,
    reason: str,
    *,
    now: datetime,
) -> None:
    await events.record(
        session,
        Happening(
            public_id=ids.uuid7(),
            kind=kind,
            occurred_at=now,
            party_id=caller.acting_party,
            details={"hold": str(hold), "lot": str(lot.public_id)},
        ),
        now=now,
    )
    # What somebody typed may name a person, and the log is for ever: it keeps a commitment.
    salt = (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party].commit_salt
    document = {
        "lot": str(lot.public_id),
        "by": str(caller.party_public_id),
        "reason_commit": commitment(salt, reason),
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement(f"hold.{kind}", hold, document)], now=now)


async def _tell(
    session: AsyncSession,
    kind: NoticeKind,
    subject: UUID,
    party_ids: Iterable[int | None],
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Leave a notice with each party, once for each subject."""
    rows = [
        {
            "party_id": party_id,
            "kind": kind,
            "subject": subject,
            "facts": {name: str(value) for name, value in facts.items()},
            "created_at": now,
        }
        for party_id in sorted({party for party in party_ids if party is not None})
    ]
    if rows:
        await session.execute(insert(Notice).on_conflict_do_nothing(), rows)


async def tell_of_voided_certificate(
    session: AsyncSession, certificate_id: UUID, *, now: datetime
) -> int:
    """Tell everybody who holds goods under a certificate that it was taken back.

    Returns:
        How many parties hold such goods.
    """
    certificate = await certificates.find(session, certificate_id)
    graph = await traces.walk(session, [certificate.lot_id], Walk.FORWARD, limit=AFFECTED_LOTS_MAX)
    holders = {
        node.holder_id
        for node in graph.nodes.values()
        if node.holder_id is not None and node.holder_id != certificate.issuer_id
    }
    await _tell(
        session,
        NoticeKind.CERTIFICATE_VOIDED,
        certificate_id,
        holders,
        {"product": certificate.product_id, "code": certificate.code},
        now,
    )
    return len(holders)


async def describe(session: AsyncSession, found: Sequence[Hold]) -> list[HoldOut]:
    """Write holds as they go out."""
    states = await lots.states_by_id(session, (hold.lot_id for hold in found))
    named = await parties.by_ids(
        session,
        {party for hold in found for party in (hold.placed_by, hold.released_by) if party},
    )
    return [
        HoldOut(
            hold=hold.public_id,
            lot=states[hold.lot_id].public_id,
            placed_by=named[hold.placed_by].public_id,
            reason=hold.reason,
            placed_at=hold.placed_at,
            released_by=None if hold.released_by is None else named[hold.released_by].public_id,
            release_reason=hold.release_reason,
            released_at=hold.released_at,
        )
        for hold in found
    ]


async def concerning(session: AsyncSession, caller: Caller, *, most: int) -> Sequence[Hold]:
    """List the holds that a party placed, or that are on lots it holds, newest first."""
    party = caller.acting_party
    holdings = select(Lot.id).where(Lot.holder_id == party)
    found = await session.scalars(
        select(Hold)
        .where((Hold.placed_by == party) | Hold.lot_id.in_(holdings))
        .order_by(Hold.id.desc())
        .limit(most)
    )
    return found.all()


async def notices_of(session: AsyncSession, party_id: int, *, most: int) -> Sequence[Notice]:
    """List what a party was told, newest first."""
    found = await session.scalars(
        select(Notice).where(Notice.party_id == party_id).order_by(Notice.id.desc()).limit(most)
    )
    return found.all()
