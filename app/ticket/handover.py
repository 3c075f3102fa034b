"""What goods become in other hands, and how they come back."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.rules import LotOrigin, LotState, Proof
from app.lot.service import LotDraft, Parent, Withdrawal
from app.ticket.models import (
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


class Passing(NamedTuple):
    """That a lot of a seller's becomes a buyer's by a ticket of a kind."""

    kind: TicketKind
    lot_id: int
    seller_id: int
    buyer_id: int | None


async def suppliers(
    session: AsyncSession, passings: Iterable[Passing]
) -> dict[Passing, int | None]:
    """Answer from whom the buyer has what a seller's lot becomes.

    That is the seller; but goods that went back are from whoever had supplied them before, to whom
    they may go on back.
    """
    answers: dict[Passing, int | None] = {}
    returns: dict[int, list[Passing]] = defaultdict(list)
    for passing in passings:
        if passing.kind is TicketKind.RETURN and passing.buyer_id is not None:
            returns[passing.buyer_id].append(passing)
        else:
            answers[passing] = passing.seller_id
    for buyer_id, back in returns.items():
        earlier = await lots.suppliers_of_earlier(
            session, (passing.lot_id for passing in back), earlier_id=buyer_id
        )
        answers |= {passing: earlier.get(passing.lot_id) for passing in back}
    return answers


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


def returning(
    lot: LotState,
    mass_g: int,
    withdrawal: Withdrawal,
    *,
    public_id: UUID,
    seller_id: int,
    from_party_id: int | None,
    holder_id: int | None,
) -> LotDraft:
    """Draft the seller's lot that grams of a buyer's lot become when they go back.

    Args:
        lot: The buyer's lot, locked.
        mass_g: Grams that go back.
        withdrawal: Takes note of what leaves the buyer's lot.
        public_id: The new lot's id.
        seller_id: To whom they go back.
        from_party_id: From whom the seller had them.
        holder_id: The buyer; None for a walk-in, whose goods are booked out of its lot already.

    Raises:
        NotHolder, LotOnHold, LotExhausted: see `lot.rules.check_draw`.
    """
    pieces = lot.remaining_pieces if mass_g == lot.mass_g else None
    draw = lot_rules.Draw(lot, mass_g, pieces)
    cover_g = min(draw.mass_g, lot.certified_g)
    if holder_id is None and lot.holds:
        # What a walk-in brings back of goods on hold must not come into being free to sell.
        raise lot_rules.LotOnHold(lot=str(lot.public_id))
    if holder_id is not None:
        lot_rules.check_draw(draw, holder_id=holder_id)
        cover_g = withdrawal.take(draw)
    return next_lot(
        lot,
        public_id=public_id,
        mass_g=draw.mass_g,
        cover_g=cover_g,
        certificate_ids=lot.certificate_ids,
        holder_id=seller_id,
        from_party_id=from_party_id,
        origin=LotOrigin.RETURN,
        proof=Proof.CLAIMED,
        pieces=draw.pieces,
    )
