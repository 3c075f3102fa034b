"""Decides about tickets, as their buyer."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.event import service as events
from app.event.rules import EventKind
from app.event.service import Happening
from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.rules import LotOrigin, LotState, Proof
from app.lot.service import LotDraft
from app.ticket import handover, rules, service
from app.ticket.handover import GoingBack, outcome
from app.ticket.models import (
    Ticket,
    TicketDraw,
    TicketReceipt,
)
from app.ticket.rules import (
    HandOver,
    Outcome,
    TicketKind,
    TicketStatus,
)


@dataclass(frozen=True, slots=True)
class DecisionDraft:
    """What the buyer decides; grams accepted by line, for a decision in part."""

    outcome: Outcome
    accepted_g: Mapping[int, int] = field(default_factory=dict)
    reason: str | None = None

    def digest(self) -> bytes:
        """Answer what tells whether a repeated decision is the same."""
        return lot_rules.digest(
            {
                "outcome": self.outcome,
                "accepted": {str(no): str(mass_g) for no, mass_g in self.accepted_g.items()},
                "reason": self.reason,
            }
        )


@dataclass(frozen=True, slots=True)
class _DrawDecision:
    """What becomes of one draw of a decided ticket."""

    draw: TicketDraw
    lot: LotState
    accepted_g: int

    @property
    def rest_g(self) -> int:
        """Grams that go back to the seller."""
        return self.draw.mass_g - self.accepted_g

    @property
    def accepted_cover_g(self) -> int:
        """Grams of the accepted part that certificates vouch for."""
        return min(self.draw.cover_g, self.accepted_g)


async def decide(
    session: AsyncSession,
    public_id: UUID,
    decision: DecisionDraft,
    *,
    buyer_id: int,
    now: datetime,
    new_id: Callable[[], UUID],
) -> tuple[Ticket, bool]:
    """Accept, accept in part, or refuse a ticket, as its buyer.

    What is accepted becomes lots of the buyer; the rest comes back to the seller as lots of their
    own, so that returned goods are never silently sold again. Of a line with several draws each
    gives its proportional part.

    Returns:
        The ticket, and whether the decision is new.

    Raises:
        UnknownTicket: there is none.
        NotBuyer: the caller is not its buyer.
        TicketVoided: the seller took it back.
        AlreadyDecided: the buyer decided otherwise before.
        AcceptedTooMuch: the accepted grams do not fit the ticket.
        LotOnHold: goods of the ticket may not move now.
        LotExhausted: goods that shall go back were handed on already.
    """
    ticket, state = await service.lock(session, public_id)
    if ticket.buyer_id != buyer_id:
        raise rules.NotBuyer
    if state.status == TicketStatus.VOIDED:
        raise rules.TicketVoided
    if state.decision_digest is not None:
        if state.decision_digest != decision.digest():
            raise rules.AlreadyDecided(status=state.status)
        return ticket, False
    decisions = await _split_decision(session, ticket, decision)
    event_id = await events.record(
        session,
        Happening(
            public_id=new_id(),
            kind=EventKind.HAND_OVER,
            occurred_at=now,
            party_id=buyer_id,
            place_id=ticket.market_id,
            details={"ticket": str(public_id), "outcome": decision.outcome},
        ),
        now=now,
    )
    carry_out = _receive if ticket.hand_over == HandOver.TWO_SIDED else _confirm
    became = await carry_out(session, ticket, decisions, event_id, now=now, new_id=new_id)
    previous = state.status
    state.status = TicketStatus(decision.outcome)
    state.decision_digest = decision.digest()
    state.decided_at = now
    state.reason = decision.reason
    await session.flush()
    await service.log_change(
        session,
        ticket,
        previous,
        state.status,
        now=now,
        draws=[
            outcome(decision.draw.line_no, decision.lot.public_id, decision.accepted_g, *made)
            for decision, made in zip(decisions, became, strict=True)
        ],
    )
    return ticket, True


async def _split_decision(
    session: AsyncSession, ticket: Ticket, decision: DecisionDraft
) -> list[_DrawDecision]:
    draws = (
        await session.scalars(
            select(TicketDraw)
            .where(TicketDraw.ticket_id == ticket.id)
            .order_by(TicketDraw.line_no, TicketDraw.lot_id)
        )
    ).all()
    by_line: dict[int, list[TicketDraw]] = defaultdict(list)
    for drawn in draws:
        by_line[drawn.line_no].append(drawn)
    accepted = rules.accepted_masses(
        decision.outcome,
        {no: sum(drawn.mass_g for drawn in group) for no, group in by_line.items()},
        decision.accepted_g,
    )
    states = await lots.states_by_id(session, {drawn.lot_id for drawn in draws})
    # Locked, so that a hold placed at this very moment either stops the decision or sees its lots.
    locked = await lots.lock(session, (state.public_id for state in states.values()))
    for lot in locked.values():
        if lot.holds:
            raise lot_rules.LotOnHold(lot=str(lot.public_id))
    by_id = {lot.id: lot for lot in locked.values()}
    return [
        _DrawDecision(drawn, by_id[drawn.lot_id], share)
        for no, group in by_line.items()
        for drawn, share in zip(
            group,
            lot_rules.apportion(accepted[no], [drawn.mass_g for drawn in group]),
            strict=True,
        )
    ]


async def _receive(
    session: AsyncSession,
    ticket: Ticket,
    decisions: Sequence[_DrawDecision],
    event_id: int,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
) -> list[tuple[UUID | None, UUID | None]]:
    """Bring the buyer's lots, and the lots of what goes back, into being (two-sided).

    Returns:
        For each decision the lot that the buyer received, and the one that came back.
    """
    sources = await handover.suppliers(
        session,
        TicketKind(ticket.kind),
        (decision.lot for decision in decisions),
        seller_id=ticket.seller_id,
        buyer_id=ticket.buyer_id,
    )
    made: list[LotDraft] = []
    receipts: list[tuple[_DrawDecision, UUID | None, UUID | None]] = []
    for decision in decisions:
        received, returned = _halves(ticket, decision, sources[decision.lot.id], new_id)
        made += [lot for lot in (received, returned) if lot is not None]
        receipts.append(
            (
                decision,
                None if received is None else received.public_id,
                None if returned is None else returned.public_id,
            )
        )
    ids = await lots.make(session, made, event_id=event_id, occurred_at=now)
    await session.execute(
        insert(TicketReceipt),
        [
            {
                "ticket_id": ticket.id,
                "line_no": decision.draw.line_no,
                "lot_id": decision.draw.lot_id,
                "accepted_g": decision.accepted_g,
                "received_lot_id": received and ids[received],
                "returned_lot_id": returned and ids[returned],
            }
            for decision, received, returned in receipts
        ],
    )
    return [(received, returned) for _, received, returned in receipts]


def _halves(
    ticket: Ticket, decision: _DrawDecision, source: int | None, new_id: Callable[[], UUID]
) -> tuple[LotDraft | None, LotDraft | None]:
    """Draft the lot that the buyer receives of a draw, and the lot that comes back."""
    received = returned = None
    if decision.accepted_g:
        received = handover.next_lot(
            decision.lot,
            public_id=new_id(),
            mass_g=decision.accepted_g,
            cover_g=decision.accepted_cover_g,
            certificate_ids=decision.draw.certificate_ids,
            holder_id=ticket.buyer_id,
            from_party_id=source,
            origin=handover.origin_of(TicketKind(ticket.kind)),
            proof=Proof.PROVED,
            pieces=None if decision.rest_g else decision.draw.pieces,
        )
    if decision.rest_g:
        returned = handover.next_lot(
            decision.lot,
            public_id=new_id(),
            mass_g=decision.rest_g,
            cover_g=decision.draw.cover_g - decision.accepted_cover_g,
            certificate_ids=decision.draw.certificate_ids,
            holder_id=ticket.seller_id,
            from_party_id=decision.lot.from_party_id,
            origin=LotOrigin.RETURN,
            proof=Proof.PROVED,
            pieces=None if decision.accepted_g else decision.draw.pieces,
        )
    return received, returned


async def _confirm(
    session: AsyncSession,
    ticket: Ticket,
    decisions: Sequence[_DrawDecision],
    event_id: int,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
) -> list[tuple[UUID | None, UUID | None]]:
    """Turn the seller's claim into proof, and send back what the buyer does not accept.

    Returns:
        For each decision the lot that the buyer received, and the one that came back.
    """
    receipts = {
        (receipt.line_no, receipt.lot_id): receipt
        for receipt in await session.scalars(
            select(TicketReceipt).where(TicketReceipt.ticket_id == ticket.id)
        )
    }
    held = [
        (decision, receipts[decision.draw.line_no, decision.draw.lot_id]) for decision in decisions
    ]
    going_back = {
        handover.arrived(receipt): GoingBack(decision.rest_g, decision.lot.from_party_id)
        for decision, receipt in held
        if decision.rest_g
    }
    returned = await handover.send_back(
        session, ticket, going_back, event_id, holder_id=ticket.buyer_id, now=now, new_id=new_id
    )
    for decision, receipt in held:
        receipt.accepted_g = decision.accepted_g
        receipt.returned_lot_id, _ = returned.get(handover.arrived(receipt), (None, None))
    await session.flush()
    await lots.prove_edges(
        session,
        (
            (receipt.lot_id, handover.arrived(receipt))
            for decision, receipt in held
            if decision.accepted_g
        ),
    )
    states = await lots.states_by_id(session, (handover.arrived(receipt) for _, receipt in held))
    return [
        (
            states[handover.arrived(receipt)].public_id,
            returned.get(handover.arrived(receipt), (None, None))[1],
        )
        for _, receipt in held
    ]
