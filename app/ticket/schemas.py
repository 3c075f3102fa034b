"""Tickets and decisions, as they come in and go out."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from app.core.schemas import MASS_G_MAX, In, Instant, Line, MassG, Out
from app.lot.schemas import DocumentIn, Spelled
from app.product.schemas import ProductId, QuantityIn
from app.ticket.rules import BuyerKind, HandOver, Outcome, TicketKind, TicketStatus

LINES_MAX = 40
PHOTOS_MAX = 10
DRAWS_MAX = 50
PRICE_FEN_MAX = 10**10


class DrawIn(In):
    """Grams of one of the seller's lots."""

    lot: UUID
    mass_g: MassG | None = Field(
        default=None, description="As much as is needed, if left out; the last draw takes the rest."
    )


class LineIn(QuantityIn):
    """One product of a ticket, as spoken."""

    product: ProductId
    trade_name: Annotated[Line, Field(max_length=50)] | None = Field(
        default=None, description="What the trade calls it; the catalogue's name, if left out."
    )
    price_fen: Annotated[int, Field(ge=0, le=PRICE_FEN_MAX)] | None = Field(
        default=None, description="Price of one unit in fen; only the two parties see it."
    )
    price_unit: Annotated[Line, Field(max_length=20)] | None = None
    draws: Annotated[list[DrawIn], Field(max_length=DRAWS_MAX)] = Field(
        default_factory=list, description="The oldest stock of the product, if left out."
    )

    @model_validator(mode="after")
    def _each_lot_once(self) -> "LineIn":
        if len({draw.lot for draw in self.draws}) < len(self.draws):
            message = "draws on a lot twice"
            raise ValueError(message)
        return self


class InvitedIn(In):
    """A buyer who has no account yet; the claim code that is answered lets them take over."""

    party: UUID = Field(description="Id for the new party; ignored if the phone is known.")
    name: Annotated[Line, Field(max_length=50)]
    phone: Annotated[str, Field(max_length=30)]


class BuyerIn(In):
    """Who takes the goods: one of the three."""

    party: UUID | None = None
    invite: InvitedIn | None = None
    walk_in: Literal[True] | None = Field(default=None, description="散客")

    @model_validator(mode="after")
    def _exactly_one(self) -> "BuyerIn":
        if sum(named is not None for named in (self.party, self.invite, self.walk_in)) != 1:
            message = "names exactly one of party, invite and walk_in"
            raise ValueError(message)
        return self


class TicketIn(In):
    """A ticket; with `repeat_of`, whatever is left out is as it was on that ticket."""

    kind: Literal[TicketKind.SALE, TicketKind.TRANSFER, TicketKind.RETURN] | None = Field(
        default=None, description="A sale, if left out."
    )
    repeat_of: UUID | None = Field(default=None, description="A former ticket of yours.")
    buyer: BuyerIn | None = None
    lines: Annotated[list[LineIn], Field(max_length=LINES_MAX)] = Field(default_factory=list)
    hand_over: HandOver | None = Field(
        default=None, description="Two-sided, if left out; one-sided to a walk-in."
    )
    market: UUID | None = None
    stall: UUID | None = None
    sold_at: Instant | None = Field(default=None, description="Now, if left out.")
    device_at: Instant | None = Field(default=None, description="What the device's clock said.")
    plate: Annotated[Line, Field(max_length=20)] | None = None
    note: Line | None = None
    documents: list[DocumentIn] = Field(default_factory=list, max_length=20)
    corrects: UUID | None = Field(default=None, description="A voided ticket of yours.")

    @model_validator(mode="after")
    def _complete(self) -> "TicketIn":
        if self.repeat_of is None and (self.buyer is None or not self.lines):
            message = "needs a buyer and at least one line, or repeat_of"
            raise ValueError(message)
        return self


class AcceptedIn(In):
    """What is accepted of a line."""

    no: Annotated[int, Field(ge=1, le=LINES_MAX)]
    mass_g: Annotated[int, Field(strict=True, ge=0, le=MASS_G_MAX, description="Grams accepted.")]


class DecisionIn(In):
    """The buyer's decision."""

    outcome: Outcome
    lines: Annotated[list[AcceptedIn], Field(max_length=LINES_MAX)] = Field(
        default_factory=list,
        description="For a decision in part; lines that are left out are accepted whole.",
    )
    reason: Line | None = None
    evidence: Annotated[list[UUID], Field(max_length=PHOTOS_MAX)] = Field(
        default_factory=list, description="Photos of what is not accepted; see PUT /evidence/{id}."
    )

    @model_validator(mode="after")
    def _fits_the_outcome(self) -> "DecisionIn":
        if bool(self.lines) != (self.outcome is Outcome.ACCEPTED_IN_PART):
            message = "lines belong to accepted_in_part, and to nothing else"
            raise ValueError(message)
        if self.outcome is not Outcome.ACCEPTED and self.reason is None:
            message = "what is not accepted needs a reason"
            raise ValueError(message)
        if self.outcome is Outcome.ACCEPTED and self.evidence:
            message = "photos belong to what is not accepted"
            raise ValueError(message)
        if len({line.no for line in self.lines}) < len(self.lines):
            message = "names a line twice"
            raise ValueError(message)
        return self


class PhotoOut(Out):
    """A photo that the buyer showed; its bytes: GET /tickets/{id}/evidence/{evidence}."""

    evidence: UUID
    sha256: str


class DrawOut(Out):
    """Grams of one lot behind a line, and what became of them."""

    lot: UUID
    mass_g: int
    accepted_g: int | None
    received_lot: UUID | None
    returned_lot: UUID | None
    certificates: list[UUID]


class LineOut(Out):
    """One product of a ticket."""

    no: int
    product: int
    product_name: str
    trade_name: str
    quantity: str
    unit: str
    pack_net_g: int | None
    mass_g: int
    mass: Spelled
    pieces: int | None
    price_fen: int | None = Field(description="Null for all but the two parties.")
    price_unit: str | None
    draws: list[DrawOut]


class PartyRef(Out):
    """A party of a ticket."""

    party: UUID
    name: str


class TicketOut(Out):
    """A ticket, with what became of it."""

    ticket: UUID
    kind: TicketKind
    status: TicketStatus
    code: str = Field(description="Short code, to be typed.")
    url: str = Field(description="What its QR code says.")
    seller: PartyRef
    buyer: PartyRef | None = Field(description="Null for a walk-in.")
    buyer_kind: BuyerKind
    hand_over: HandOver
    market: UUID | None
    stall: UUID | None
    sold_at: datetime
    device_at: datetime | None
    issued_at: datetime
    expires_at: datetime
    mass_g: int
    mass: Spelled
    lines: list[LineOut]
    plate: str | None
    note: str | None
    documents: list[dict[str, Any]]
    corrects: UUID | None
    decided_at: datetime | None
    voided_at: datetime | None
    reason: str | None
    evidence: list[PhotoOut] = Field(description="Photos of what was not accepted.")
    claim_code: str | None = Field(
        default=None, description="For an invited buyer, told once; hand it over with the goods."
    )
