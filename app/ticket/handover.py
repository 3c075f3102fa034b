"""What goods become in other hands, and how they come back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.rules import LotOrigin, LotState, Proof
from app.lot.service import LotDraft, Parent, Withdrawal
from app.ticket.models import (
    Ticket,
    TicketReceipt,
)
from app.ticket.rules import (
    TicketKind,
)


def next_lot(
    lot: LotState,
    *,
    public_id: UUID,
    mass_g: int,
    cover_g: int,
    certificate_ids: Sequence[int],
    holder_id: int | None,
    from_party_id: int | None,
    origin: LotOrigin,
    proof: Proof,
    pieces: int | None = None,
) -> LotDraft:
    """Draft the lot that a draw becomes with another holder: same goods, same past.

    Without a holder it is a walk-in's, who consumes it.
    """
    return LotDraft(
        public_id=public_id,
        product_id=lot.product_id,
        holder_id=holder_id,
        origin=origin,
        mass_g=mass_g,
        quantity=Decimal(mass_g) / 1000,
        unit="公斤",
        producer_id=lot.producer_id,
        mixed=lot.mixed,
        from_party_id=from_party_id,
        production=lot.production,
        division_code=lot.division_code,
        plot_id=lot.plot_id,
        made_on=lot.made_on,
        certificate_ids=tuple(certificate_ids),
        certified_g=cover_g,
        pieces=pieces,
        documents=lot.documents,
        parents=(Parent(lot.id, mass_g, proof),),
        consumed=holder_id is None,
    )


def origin_of(kind: TicketKind) -> LotOrigin:
    """Say how the buyer's lot of a ticket comes into being."""
    return LotOrigin.RETURN if kind is TicketKind.RETURN else LotOrigin.PURCHASE


async def suppliers(
    session: AsyncSession,
    kind: TicketKind,
    given: Iterable[LotState],
    *,
    seller_id: int,
    buyer_id: int | None,
) -> dict[int, int | None]:
    """Answer, by the seller's lot, from whom the buyer has what it becomes.

    That is the seller; but goods that went back are from whoever had supplied them before, to whom
    they may go on back.
    """
    lot_ids = {lot.id for lot in given}
    if kind is not TicketKind.RETURN or buyer_id is None:
        return dict.fromkeys(lot_ids, seller_id)
    earlier = await lots.suppliers_of_earlier(session, lot_ids, earlier_id=buyer_id)
    return {lot_id: earlier.get(lot_id) for lot_id in lot_ids}


def outcome(
    line_no: int, lot: UUID, accepted_g: int, received: UUID | None, returned: UUID | None
) -> dict[str, Any]:
    """Write for the log what became of a draw."""
    return {
        "line": line_no,
        "lot": str(lot),
        "accepted_g": str(accepted_g),
        "received": None if received is None else str(received),
        "returned": None if returned is None else str(returned),
    }


def arrived(receipt: TicketReceipt) -> int:
    """Answer the buyer's lot of a one-sided hand-over, which is there from the start."""
    assert receipt.received_lot_id is not None, "it was written with the ticket"
    return receipt.received_lot_id


@dataclass(frozen=True, slots=True)
class GoingBack:
    """What leaves a lot of the buyer again, and from whom the seller had it before."""

    mass_g: int
    from_party_id: int | None


async def send_back(
    session: AsyncSession,
    ticket: Ticket,
    going_back: Mapping[int, GoingBack],
    event_id: int,
    *,
    holder_id: int | None,
    now: datetime,
    new_id: Callable[[], UUID],
) -> dict[int, tuple[int, UUID]]:
    """Turn grams of the buyer's lots into lots of the seller; answer theirs by the buyer's lot."""
    if not going_back:
        return {}
    states = await lots.states_by_id(session, going_back)
    locked = await lots.lock(session, (state.public_id for state in states.values()))
    withdrawal = Withdrawal()
    made: list[tuple[LotState, LotDraft]] = []
    for lot in locked.values():
        mass_g = going_back[lot.id].mass_g
        pieces = lot.remaining_pieces if mass_g == lot.mass_g else None
        draw = lot_rules.Draw(lot, mass_g, pieces)
        cover_g = min(draw.mass_g, lot.certified_g)
        if holder_id is not None:  # What a walk-in took is booked out of its lot already.
            lot_rules.check_draw(draw, holder_id=holder_id)
            cover_g = withdrawal.take(draw)
        made.append(
            (
                lot,
                next_lot(
                    lot,
                    public_id=new_id(),
                    mass_g=draw.mass_g,
                    cover_g=cover_g,
                    certificate_ids=lot.certificate_ids,
                    holder_id=ticket.seller_id,
                    from_party_id=going_back[lot.id].from_party_id,
                    origin=LotOrigin.RETURN,
                    proof=Proof.CLAIMED,
                    pieces=draw.pieces,
                ),
            )
        )
    await lots.draw(session, withdrawal)
    ids = await lots.make(session, [draft for _, draft in made], event_id=event_id, occurred_at=now)
    return {lot.id: (ids[draft.public_id], draft.public_id) for lot, draft in made}
