"""Decides about tickets, as their buyer."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DomainError
from app.core.ids import NewId
from app.event import service as events
from app.event.rules import EventKind
from app.event.service import Happening
from app.evidence import service as evidences
from app.evidence.models import Evidence
from app.evidence.rules import check_found
from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.rules import LotOrigin, LotState, Proof
from app.lot.service import Birth, LotDraft, Withdrawal
from app.ticket import handover, rules, service
from app.ticket.handover import Passing
from app.ticket.models import (
    Ticket,
    TicketDraw,
    TicketReceipt,
    TicketState,
)
from app.ticket.rules import (
    HandOver,
    Outcome,
    TicketKind,
    TicketStatus,
)
from app.transparency import service as transparency
from app.transparency.service import Statement


@dataclass(frozen=True, slots=True)
class DecisionDraft:
    """What the buyer decides: grams accepted by line, for a decision in part, and photos."""

    outcome: Outcome
    accepted_g: Mapping[int, int] = field(default_factory=dict)
    reason: str | None = None
    evidence: tuple[UUID, ...] = ()

    def digest(self) -> bytes:
        """Answer what tells whether a repeated decision is the same."""
        content: dict[str, Any] = {
            "outcome": self.outcome,
            "accepted": {str(no): str(mass_g) for no, mass_g in self.accepted_g.items()},
            "reason": self.reason,
        }
        # Without photos it is what it was before there could be any: a repeat stays a repeat.
        if self.evidence:
            content["evidence"] = sorted(str(photo) for photo in self.evidence)
        return lot_rules.digest(content)


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


Decided = tuple[Ticket, bool]
"""A ticket, and whether the decision about it is new."""


@dataclass(slots=True)
class _Decision:
    """A decision that the rules let pass, draw by draw, with the lots that come of it."""

    ticket: Ticket
    outcome: Outcome
    previous: str
    event: UUID
    draws: list[_DrawDecision]
    photos: list[Evidence]
    received: list[LotDraft | None] = field(default_factory=list)
    returned: list[LotDraft | None] = field(default_factory=list)
    receipts: list[TicketReceipt] = field(default_factory=list)

    @property
    def lots(self) -> list[LotDraft]:
        """Answer the lots that come into being, in the order of the draws."""
        pairs = zip_longest(self.received, self.returned)
        return [lot for pair in pairs for lot in pair if lot is not None]


@dataclass(frozen=True, slots=True)
class _Books:
    """What decisions rest on, read under locks.

    Attributes:
        stock: The lots that goods come from, and those that buyers have already, by internal id.
        suppliers: From whom the buyer has what a lot becomes.
        receipts: Of one-sided hand-overs, by ticket, line and lot.
    """

    draws: Mapping[int, Sequence[TicketDraw]]
    stock: dict[int, LotState]
    suppliers: Mapping[Passing, int | None]
    receipts: Mapping[tuple[int, int, int], TicketReceipt]


async def decide(
    session: AsyncSession,
    public_id: UUID,
    decision: DecisionDraft,
    *,
    buyer_id: int,
    now: datetime,
    new_id: NewId,
) -> Decided:
    """Accept, accept in part, or refuse a ticket, as its buyer.

    What is accepted becomes lots of the buyer; the rest comes back to the seller as lots of their
    own, so that returned goods are never silently sold again. Of a line with several draws each
    gives its proportional part.

    Raises:
        UnknownTicket: there is none.
        NotBuyer: the caller is not its buyer.
        TicketVoided: the seller took it back.
        AlreadyDecided: the buyer decided otherwise before.
        UnknownEvidence: a photo is not there, or another party's.
        AcceptedTooMuch: the accepted grams do not fit the ticket.
        LotOnHold: goods of the ticket may not move now.
        LotExhausted: goods that shall go back were handed on already.
    """
    (outcome,) = await decide_all(
        session, [(public_id, decision)], buyer_id=buyer_id, now=now, new_id=new_id
    )
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


async def decide_all(
    session: AsyncSession,
    asked: Sequence[tuple[UUID, DecisionDraft]],
    *,
    buyer_id: int,
    now: datetime,
    new_id: NewId,
) -> list[Decided | DomainError]:
    """Decide about tickets one after the other; one that is refused stops no other.

    Returns:
        For each the ticket, or why the decision was refused.
    """
    found = await service.lock_found(session, (public_id for public_id, _ in asked))
    books = await _books(
        session,
        [ticket for ticket, state in found.values() if state.decision_digest is None],
    )
    photos = await evidences.find_all(
        session, {photo for _, draft in asked for photo in draft.evidence}, buyer_id
    )
    withdrawal = Withdrawal()
    decisions: list[_Decision] = []
    outcomes: list[Decided | DomainError] = []
    for public_id, draft in asked:
        try:
            if public_id not in found:
                raise rules.UnknownTicket(ticket=str(public_id))
            ticket, state = found[public_id]
            is_new = _check(ticket, state, draft, buyer_id=buyer_id)
            if is_new:
                check_found(photos, draft.evidence)
                shown = [photos[photo] for photo in draft.evidence]
                decisions.append(_decide(ticket, state, draft, shown, books, withdrawal, new_id))
        except DomainError as refusal:
            outcomes.append(refusal)
            continue
        if is_new:
            # From here on the ticket is decided, for later rows of the same bulk too.
            state.status = TicketStatus(draft.outcome)
            state.decision_digest = draft.digest()
            state.decided_at = now
            state.reason = draft.reason
            state.evidence_ids = [photo.id for photo in shown] or None
        outcomes.append((ticket, is_new))
    await _write(session, decisions, withdrawal, now=now)
    return outcomes


def _check(ticket: Ticket, state: TicketState, draft: DecisionDraft, *, buyer_id: int) -> bool:
    """Refuse what must not be decided; tell whether it is still to be decided."""
    if ticket.buyer_id != buyer_id:
        raise rules.NotBuyer
    if state.status == TicketStatus.VOIDED:
        raise rules.TicketVoided
    if state.decision_digest is not None:
        if state.decision_digest != draft.digest():
            raise rules.AlreadyDecided(status=state.status)
        return False
    return True


async def _books(session: AsyncSession, tickets: Sequence[Ticket]) -> _Books:
    """Read what is behind tickets, and lock every lot that deciding about them may touch.

    A hold that is placed at this very moment either stops a decision or sees its lots.
    """
    ids = [ticket.id for ticket in tickets]
    draws: dict[int, list[TicketDraw]] = defaultdict(list)
    for drawn in await service.draws_of(session, *ids):
        draws[drawn.ticket_id].append(drawn)
    one_sided = [ticket.id for ticket in tickets if ticket.hand_over == HandOver.ONE_SIDED]
    receipts = await service.receipts_of(session, *one_sided)
    touched = {drawn.lot_id for group in draws.values() for drawn in group}
    stock = await lots.lock_by_id(session, touched | set(map(handover.arrived, receipts)))
    passings = [
        _passing(ticket, drawn)
        for ticket in tickets
        if ticket.hand_over == HandOver.TWO_SIDED
        for drawn in draws[ticket.id]
    ]
    return _Books(
        draws,
        stock,
        await handover.suppliers(session, passings),
        {(receipt.ticket_id, receipt.line_no, receipt.lot_id): receipt for receipt in receipts},
    )


def _passing(ticket: Ticket, drawn: TicketDraw) -> Passing:
    return Passing(TicketKind(ticket.kind), drawn.lot_id, ticket.seller_id, ticket.buyer_id)


def _decide(
    ticket: Ticket,
    state: TicketState,
    draft: DecisionDraft,
    photos: list[Evidence],
    books: _Books,
    withdrawal: Withdrawal,
    new_id: NewId,
) -> _Decision:
    draws = _split(draft, books.draws[ticket.id], books.stock)
    decision = _Decision(ticket, draft.outcome, state.status, new_id(), draws, photos)
    if ticket.hand_over == HandOver.TWO_SIDED:
        for drawn in draws:
            supplier = books.suppliers[_passing(ticket, drawn.draw)]
            received, returned = _halves(ticket, drawn, supplier, new_id)
            decision.received.append(received)
            decision.returned.append(returned)
        return decision
    own = Withdrawal()
    for drawn in draws:
        receipt = books.receipts[ticket.id, drawn.draw.line_no, drawn.draw.lot_id]
        decision.receipts.append(receipt)
        decision.returned.append(
            handover.returning(
                books.stock[handover.arrived(receipt)],
                drawn.rest_g,
                own,
                public_id=new_id(),
                seller_id=ticket.seller_id,
                from_party_id=drawn.lot.from_party_id,
                holder_id=ticket.buyer_id,
            )
            if drawn.rest_g
            else None
        )
    withdrawal.include(own)
    return decision


def _split(
    draft: DecisionDraft, draws: Sequence[TicketDraw], stock: Mapping[int, LotState]
) -> list[_DrawDecision]:
    """Say how much of each draw is accepted.

    Raises:
        AcceptedTooMuch: the accepted grams do not fit the ticket.
        LotOnHold: goods of the ticket may not move now.
    """
    by_line: dict[int, list[TicketDraw]] = defaultdict(list)
    for drawn in draws:
        by_line[drawn.line_no].append(drawn)
    accepted = rules.accepted_masses(
        draft.outcome,
        {no: sum(drawn.mass_g for drawn in group) for no, group in by_line.items()},
        draft.accepted_g,
    )
    for lot_id in sorted({drawn.lot_id for drawn in draws}):
        if stock[lot_id].holds:
            raise lot_rules.LotOnHold(lot=str(stock[lot_id].public_id))
    return [
        _DrawDecision(drawn, stock[drawn.lot_id], share)
        for no, group in by_line.items()
        for drawn, share in zip(
            group,
            lot_rules.apportion(accepted[no], [drawn.mass_g for drawn in group]),
            strict=True,
        )
    ]


def _halves(
    ticket: Ticket, decision: _DrawDecision, supplier: int | None, new_id: NewId
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
            from_party_id=supplier,
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


async def _write(
    session: AsyncSession,
    decisions: Sequence[_Decision],
    withdrawal: Withdrawal,
    *,
    now: datetime,
) -> None:
    """Write decisions: balances, events, lots, receipts, states and log entries."""
    if not decisions:
        return
    await lots.draw(session, withdrawal)
    event_ids = await events.record_all(
        session, [_happening(decision, now) for decision in decisions], now=now
    )
    births = [Birth(event_ids[decision.event], now, decision.lots) for decision in decisions]
    ids = await lots.make(session, births)
    await _write_receipts(session, decisions, ids)
    states = await lots.states_by_id(
        session, (handover.arrived(receipt) for one in decisions for receipt in one.receipts)
    )
    statements = [_statement(decision, states, now) for decision in decisions]
    await transparency.append(session, statements, now=now)


def _happening(decision: _Decision, now: datetime) -> Happening:
    ticket = decision.ticket
    assert ticket.buyer_id is not None, "nobody but a buyer decides"
    return Happening(
        public_id=decision.event,
        kind=EventKind.HAND_OVER,
        occurred_at=now,
        party_id=ticket.buyer_id,
        place_id=ticket.market_id,
        details={"ticket": str(ticket.public_id), "outcome": decision.outcome},
    )


async def _write_receipts(
    session: AsyncSession, decisions: Sequence[_Decision], ids: Mapping[UUID, int]
) -> None:
    """Write what became of each draw: anew, or into what the seller had claimed."""
    rows = [
        {
            "ticket_id": decision.ticket.id,
            "line_no": drawn.draw.line_no,
            "lot_id": drawn.draw.lot_id,
            "accepted_g": drawn.accepted_g,
            "received_lot_id": received and ids[received.public_id],
            "returned_lot_id": returned and ids[returned.public_id],
        }
        for decision in decisions
        for drawn, received, returned in zip(
            decision.draws, decision.received, decision.returned, strict=False
        )
    ]
    if rows:
        await session.execute(insert(TicketReceipt), rows)
    proved: list[tuple[int, int]] = []
    for decision in decisions:
        for receipt, drawn, returned in zip(
            decision.receipts, decision.draws, decision.returned, strict=False
        ):
            receipt.accepted_g = drawn.accepted_g
            receipt.returned_lot_id = None if returned is None else ids[returned.public_id]
            if drawn.accepted_g:
                proved.append((receipt.lot_id, handover.arrived(receipt)))
    await session.flush()
    if proved:
        await lots.prove_edges(session, proved)


def _statement(decision: _Decision, states: Mapping[int, LotState], now: datetime) -> Statement:
    received: list[UUID | None] = [
        states[handover.arrived(receipt)].public_id for receipt in decision.receipts
    ]
    received += [None if lot is None else lot.public_id for lot in decision.received]
    draws = [
        handover.outcome(
            drawn.draw.line_no,
            drawn.lot.public_id,
            drawn.accepted_g,
            lot,
            None if returned is None else returned.public_id,
        )
        for drawn, lot, returned in zip(decision.draws, received, decision.returned, strict=True)
    ]
    told: dict[str, Any] = {"draws": draws}
    if decision.photos:
        # The hash alone: it gives nothing of a photo away, and tells later that it is this one.
        told["evidence"] = sorted(photo.content_sha256.hex() for photo in decision.photos)
    return service.change_of(decision.ticket, decision.previous, decision.outcome, told, now)
