"""Takes tickets back, as their seller or in its place."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.event import service as events
from app.event.rules import EventKind
from app.event.service import Happening
from app.lot import service as lots
from app.lot.service import Birth, Withdrawal
from app.party import service as parties
from app.ticket import handover, rules, service
from app.ticket.models import (
    Ticket,
    TicketState,
)
from app.ticket.rules import (
    HandOver,
    TicketStatus,
)
from app.transparency import service as transparency
from app.transparency.rules import commitment


async def void(
    session: AsyncSession,
    public_id: UUID,
    *,
    seller_id: int,
    reason: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> tuple[Ticket, bool]:
    """Take a ticket back that its buyer has not decided about, as its seller.

    Goods that never left go back into their lots. Goods that were handed over one-sidedly come
    back as lots of their own, and only if the buyer has not handed them on.

    Returns:
        The ticket, and whether it was in force until now.

    Raises:
        UnknownTicket: there is none.
        NotSeller: the caller is not its seller.
        AlreadyDecided: the buyer has decided.
        LotExhausted: the buyer handed goods on already.
        LotOnHold: the buyer's lots may not move now.
    """
    ticket, state = await service.lock(session, public_id)
    if ticket.seller_id != seller_id:
        raise rules.NotSeller
    if state.status == TicketStatus.VOIDED:
        return ticket, False
    if state.status != TicketStatus.ISSUED:
        raise rules.AlreadyDecided(status=state.status)
    became: list[dict[str, Any]] = []
    if ticket.hand_over == HandOver.TWO_SIDED:
        await _put_back(session, ticket)
    else:
        became = await _take_back(session, ticket, now=now, new_id=new_id)
    commit = await _commit_to(session, reason, by=seller_id)
    document = {"draws": became, "reason_commit": commit}
    await _voided(session, ticket, state, reason, document, now=now)
    return ticket, True


async def annul(
    session: AsyncSession, public_id: UUID, *, by: int, reason: str, now: datetime
) -> Ticket:
    """Take a two-sided ticket back that nobody has decided about, in its seller's place.

    Whether somebody may is asked further up, where recalls are known; so is whether there is
    anything on its way.
    """
    ticket, state = await service.lock(session, public_id)
    assert state.status == TicketStatus.ISSUED, "the caller has looked, under the same lock"
    assert ticket.hand_over == HandOver.TWO_SIDED, "else the goods are with the buyer"
    await _put_back(session, ticket)
    known = (await parties.by_ids(session, [by]))[by]
    commit = await _commit_to(session, reason, by=by)
    document = {"draws": [], "reason_commit": commit, "by": str(known.public_id)}
    await _voided(session, ticket, state, reason, document, now=now)
    return ticket


async def _voided(
    session: AsyncSession,
    ticket: Ticket,
    state: TicketState,
    reason: str,
    document: dict[str, Any],
    *,
    now: datetime,
) -> None:
    state.status = TicketStatus.VOIDED
    state.voided_at = now
    state.reason = reason
    await session.flush()
    statement = service.change_of(ticket, TicketStatus.ISSUED, TicketStatus.VOIDED, document, now)
    await transparency.append(session, [statement], now=now)


async def _commit_to(session: AsyncSession, reason: str, *, by: int) -> str:
    """Stand in for words that somebody typed: they may name a person, and the log is for ever."""
    known = await parties.by_ids(session, [by])
    return commitment(known[by].commit_salt, reason)


async def _put_back(session: AsyncSession, ticket: Ticket) -> None:
    draws = await service.draws_of(session, ticket.id)
    await lots.lock_by_id(session, (drawn.lot_id for drawn in draws))
    await lots.put_back(
        session, ((drawn.lot_id, drawn.mass_g, drawn.pieces, drawn.cover_g) for drawn in draws)
    )


async def _take_back(
    session: AsyncSession, ticket: Ticket, *, now: datetime, new_id: Callable[[], UUID]
) -> list[dict[str, Any]]:
    receipts = await service.receipts_of(session, ticket.id)
    given = await lots.states_by_id(session, (receipt.lot_id for receipt in receipts))
    arrived = await lots.lock_by_id(session, map(handover.arrived, receipts))
    withdrawal = Withdrawal()
    returned = {
        lot.id: handover.returning(
            lot,
            receipt.accepted_g,
            withdrawal,
            public_id=new_id(),
            seller_id=ticket.seller_id,
            from_party_id=given[receipt.lot_id].from_party_id,
            holder_id=ticket.buyer_id,
        )
        for receipt in receipts
        for lot in [arrived[handover.arrived(receipt)]]
    }
    await lots.draw(session, withdrawal)
    event_id = await events.record(
        session,
        Happening(
            public_id=new_id(),
            kind=EventKind.RETURN,
            occurred_at=now,
            party_id=ticket.seller_id,
            place_id=ticket.market_id,
            details={"ticket": str(ticket.public_id)},
        ),
        now=now,
    )
    # Older lots first: so do their children get ascending ids.
    born = [returned[lot_id] for lot_id in sorted(returned)]
    ids = await lots.make(session, [Birth(event_id, now, born)])
    for receipt in receipts:
        receipt.accepted_g = 0
        receipt.returned_lot_id = ids[returned[handover.arrived(receipt)].public_id]
    await session.flush()
    return [
        handover.outcome(
            receipt.line_no,
            given[receipt.lot_id].public_id,
            0,
            arrived[handover.arrived(receipt)].public_id,
            returned[handover.arrived(receipt)].public_id,
        )
        for receipt in receipts
    ]
