"""Places and releases holds, and tells the parties concerned."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import service as certificates
from app.hold import service as holds
from app.hold.models import Hold
from app.hold.rules import HoldCause, NoticeKind, Order
from app.lot import service as lots
from app.lot.models import Lot
from app.party import service as parties
from app.party.access import Caller
from app.recall import authority, rules
from app.recall.schemas import HoldIn, HoldOut
from app.testing import service as samples
from app.trace import queries as traces
from app.trace.queries import Walk

AFFECTED_LOTS_MAX = 100_000


async def place(
    session: AsyncSession, public_id: UUID, body: HoldIn, caller: Caller, *, now: datetime
) -> tuple[Hold, bool]:
    """Hold a lot, as whoever answers for it.

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
    order = _order(public_id, body.lot, body.reason, caller)
    existing = await holds.repeated(session, order)
    if existing is not None:
        return existing, False
    await authority.check_may_hold(session, lot, caller)
    return await holds.place(session, order, lot, now=now), True


async def release(
    session: AsyncSession, public_id: UUID, reason: str, caller: Caller, *, now: datetime
) -> tuple[Hold, bool]:
    """End a hold; the lot moves again once the last one on it has ended.

    Returns:
        The hold, and whether it was in force until now.

    Raises:
        UnknownHold: there is none.
        HoldRestsOnTest: a test holds the lot, and the caller is no office of supervision.
        HoldNotYours: the caller neither placed it nor answers for the lot.
    """
    hold = await holds.lock(session, public_id)
    lot = (await lots.states_by_id(session, [hold.lot_id]))[hold.lot_id]
    if hold.cause == HoldCause.TEST and not caller.supervises:
        raise rules.HoldRestsOnTest(hold=str(public_id), sample=str(hold.subject))
    if hold.placed_by != caller.party_id:
        await authority.check_may_hold(session, lot, caller, office_only=True)
    order = _order(public_id, lot.public_id, reason, caller)
    return hold, await holds.release(session, hold, order, now=now)


def _order(public_id: UUID, lot: UUID, reason: str, caller: Caller) -> Order:
    return Order(
        public_id=public_id,
        lot=lot,
        party_id=caller.acting_party,
        party=caller.acting_public_id,
        reason=reason,
    )


async def tell_of_failed_test(session: AsyncSession, sample_id: UUID, *, now: datetime) -> int:
    """Tell everybody who holds goods out of a lot whose sample is confirmed to have failed.

    Returns:
        How many parties hold such goods.
    """
    sample = await samples.find(session, sample_id)
    graph = await traces.walk(session, [sample.lot_id], Walk.FORWARD, limit=AFFECTED_LOTS_MAX)
    holders = {node.holder_id for node in graph.nodes.values() if node.holder_id is not None}
    facts = {"product": sample.product_id, "number": sample.number}
    await holds.tell(session, NoticeKind.TEST_FAILED, sample_id, holders, facts, now)
    return len(holders)


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
    await holds.tell(
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
            cause=HoldCause(hold.cause),
            subject=hold.subject,
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
