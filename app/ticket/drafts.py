"""What is to be issued, and what deciding about it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.certificate.service import Issuer
from app.core.clock import local_date
from app.core.errors import DomainError
from app.core.ids import NewId, NewSerial
from app.lot.schemas import content_of
from app.lot.service import LotDraft, Withdrawal
from app.party.access import Caller
from app.product.rules import Catalogue
from app.signing.keys import Signer
from app.signing.stamp import Stamp
from app.ticket.rules import (
    BuyerKind,
    HandOver,
    LineDraw,
    PlannedDraw,
    TicketKind,
)
from app.ticket.schemas import LineIn, TicketIn


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line as spoken; grams and pieces are already reckoned."""

    product_id: int
    trade_name: str
    quantity: Decimal
    unit: str
    mass_g: int
    pieces: int | None = None
    pack_net_g: int | None = None
    price_fen: int | None = None
    price_unit: str | None = None
    draws: tuple[PlannedDraw, ...] = ()


def line_of(number: int, line: LineIn, catalogue: Catalogue, *, on: date) -> LineDraft:
    """Reckon a line as spoken in grams and pieces, by the units of a day.

    Raises:
        UnknownProduct, UnknownUnit, …: see `QuantityIn.reckon`, with a pointer into the ticket.
    """
    try:
        reckoned = line.reckon(line.product, on, catalogue)
    except DomainError as refusal:
        refusal.pointer = f"/lines/{number}{refusal.pointer or ''}"
        raise
    return LineDraft(
        product_id=line.product,
        trade_name=line.trade_name or catalogue.product(line.product).name,
        quantity=reckoned.quantity,
        unit=reckoned.unit,
        mass_g=reckoned.mass_g,
        pieces=reckoned.pieces,
        pack_net_g=line.pack_net_g,
        price_fen=line.price_fen,
        price_unit=line.price_unit,
        draws=tuple(PlannedDraw(draw.lot, draw.mass_g) for draw in line.draws),
    )


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """What is to be issued.

    Attributes:
        digest: What tells whether a repeated request is the same.
        buyer: Public id of the buying party; None for a walk-in.
    """

    public_id: UUID
    digest: bytes
    kind: TicketKind
    seller: Issuer
    buyer: UUID | None
    hand_over: HandOver
    lines: tuple[LineDraft, ...]
    sold_at: datetime
    market: UUID | None = None
    stall: UUID | None = None
    device_at: datetime | None = None
    plate: str | None = None
    note: str | None = None
    documents: tuple[Mapping[str, Any], ...] = ()
    corrects: UUID | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with the former ticket's content filled in, and its buyer found."""

    kind: TicketKind
    buyer: UUID | None
    claim_code: str | None
    hand_over: HandOver
    lines: tuple[LineDraft, ...]
    market: UUID | None
    stall: UUID | None


def lines_of(body: TicketIn, catalogue: Catalogue, now: datetime) -> tuple[LineDraft, ...]:
    """Reckon the lines of a request; see `line_of`."""
    on = local_date(body.sold_at or now)
    return tuple(line_of(number, line, catalogue, on=on) for number, line in enumerate(body.lines))


def usual_hand_over(buyer: UUID | None) -> HandOver:
    """Answer how goods change hands where nobody says: a walk-in confirms nothing."""
    return HandOver.ONE_SIDED if buyer is None else HandOver.TWO_SIDED


def draft_of(
    ticket_id: UUID, body: TicketIn, asked: Asked, caller: Caller, now: datetime
) -> TicketDraft:
    """Make a ticket of a request."""
    return TicketDraft(
        public_id=ticket_id,
        digest=content_of(body, caller),
        kind=asked.kind,
        seller=Issuer(caller.acting_party, caller.acting_public_id, caller.roles),
        buyer=asked.buyer,
        hand_over=asked.hand_over,
        lines=asked.lines,
        sold_at=body.sold_at or now,
        market=asked.market,
        stall=asked.stall,
        device_at=body.device_at,
        plate=body.plate,
        note=body.note,
        documents=tuple(document.model_dump(mode="json") for document in body.documents),
        corrects=body.corrects,
    )


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision rests on beside the request: the law's data, the key, time and ids."""

    catalogue: Catalogue
    signer: Signer
    now: datetime
    new_id: NewId
    new_serial: NewSerial


@dataclass(frozen=True, slots=True)
class Named:
    """The things that a draft names.

    Attributes:
        existing_id: That of the ticket which has the draft's id already, if one has.
        existing_digest: What that ticket was asked for with.
        next_id: The internal id that a new ticket gets.
    """

    existing_id: int | None
    existing_digest: bytes | None
    next_id: int
    buyer_id: int | None
    buyer_status: str | None
    market_id: int | None
    stall_id: int | None
    corrects_id: int | None
    corrects_seller: int | None
    corrects_status: str | None
    seller_name: str
    seller_identity: str
    buyer_name: str | None
    buyer_identity: str | None

    @property
    def buyer_kind(self) -> BuyerKind:
        """Say how far the buyer is with us."""
        if self.buyer_id is None:
            return BuyerKind.WALK_IN
        return BuyerKind.INVITED if self.buyer_status == "invited" else BuyerKind.REGISTERED


@dataclass(frozen=True, slots=True)
class Issuance:
    """A ticket that the rules let pass: what it draws, and what its buyer has at once."""

    draft: TicketDraft
    named: Named
    draws: Sequence[LineDraw]
    withdrawal: Withdrawal

    @property
    def kind(self) -> TicketKind:
        """Tell a producer's own sale from a resale: the seller need not know the words."""
        own = all(drawn.draw.lot.producer_id == self.draft.seller.party_id for drawn in self.draws)
        return TicketKind.ORIGIN if self.draft.kind is TicketKind.SALE and own else self.draft.kind


@dataclass(frozen=True, slots=True)
class Signed:
    """A ticket that is ready to be written.

    Attributes:
        received: The buyer's lots of a one-sided hand-over, one for each draw.
    """

    issuance: Issuance
    serial: int
    stamp: Stamp
    received: Sequence[LotDraft]

    @property
    def ticket_id(self) -> int:
        """Answer the internal id, which the token states."""
        return self.issuance.named.next_id


@dataclass(frozen=True, slots=True)
class Written:
    """Tickets as they were written.

    Attributes:
        event_ids: The internal ids of their events, by their own public ids.
        certificates: Those of the draws whose lots had any, by ticket, line and lot: what a lot
            has may have changed while its lock was waited for.
    """

    tickets: Sequence[Signed]
    event_ids: Mapping[UUID, int]
    certificates: Mapping[tuple[int, int, int], Sequence[int]]
