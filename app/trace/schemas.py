"""What a trace answers with. Grams that are another party's business are null, never zero."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from app.core.schemas import Out
from app.lot.rules import LotOrigin
from app.party.access import RoleKind
from app.ticket.rules import BuyerKind
from app.trace.rules import Direction, Ending

ProofName = Literal["claimed", "proved", "own"]


class TracedParty(Out):
    """A party, as far as the reader may know it."""

    party: UUID | None = Field(description="Null where the name is masked.")
    name: str = Field(description="A natural person's is masked for whoever never dealt with it.")
    masked: bool


class TracedLot(Out):
    """A lot, and what it was when it came into being."""

    lot: UUID
    product: int
    product_name: str
    holder: TracedParty | None = Field(description="Null for a walk-in buyer (散客).")
    producer: TracedParty | None = Field(description="Null where unknown, or mixed of several.")
    mixed: bool
    origin: LotOrigin
    village: str | None = Field(description="Origin, from the county down, as named on that day.")
    division_code: str | None
    made_on: date | None = Field(description="Day of harvest, catch, slaughter or making.")
    occurred_at: datetime = Field(description="When the lot came into being.")
    mass_g: int | None = Field(description="Null where it is another trader's business.")
    remaining_g: int | None = Field(description="Left now; null in other traders' books.")
    on_hold: bool | None = Field(description="Whether it may not move; null in others' books.")


class NodeOut(TracedLot):
    """A lot of a trace."""

    end: Ending | None = Field(description="Why the way back ends here, if it does.")
    share: float = Field(
        ge=0,
        le=1,
        description="Back: part of the asked grams that came from this lot. "
        "Forward: part of this lot that stems from the asked ones.",
    )
    share_g: int | None = Field(description="The same in grams.")
    depth: int = Field(description="Steps from the asked lots, along the longest way.")


class EdgeOut(Out):
    """Grams of one lot that went into another; goods flow from `src` to `dst`."""

    src: UUID
    dst: UUID
    mass_g: int | None = Field(description="Grams of `src`; null between other traders.")
    share_g: int | None = Field(
        description="Back: asked grams that passed here. Forward: affected grams of `dst`."
    )
    proof: ProofName = Field(
        description="proved: both sides say so; claimed: the seller does; own: one holder's work."
    )
    occurred_at: datetime


class SourceOut(Out):
    """A lot with which the asked goods began."""

    lot: UUID
    village: str | None
    division_code: str | None
    producer: TracedParty | None
    product: int
    product_name: str
    origin: LotOrigin
    made_on: date | None
    mass_g: int | None = Field(description="Of the asked grams, those that came from this lot.")
    share: float


class HolderOut(Out):
    """Whoever has or had some of the goods in question, walk-ins (散客) as one."""

    kind: Literal["party", "walk_in"]
    party: TracedParty | None
    roles: list[RoleKind] = Field(description="What it was on the day it last got some.")
    lots: int
    received_g: int | None = Field(description="Grams that came to it; its own work counts once.")
    exposed_g: int | None = Field(description="Grams of those that stem from the asked lots.")
    remaining_g: int | None = Field(description="Left now; null in other traders' books.")
    share: float | None = Field(description="`exposed_g` of `received_g`.")


class InTransitOut(Out):
    """Goods that left a lot and that the buyer has not decided on yet."""

    ticket: UUID
    lot: UUID
    buyer: TracedParty | None
    buyer_kind: BuyerKind
    mass_g: int
    sold_at: datetime


class BeyondOut(Out):
    """What the reader's own buyers passed on: counted, not shown."""

    lots: int
    mass_g: int = Field(description="Grams that they passed on.")
    in_transit_g: int
    zh: str
    en: str


class CompletenessOut(Out):
    """How far the books carry."""

    share_to_producer: float | None = Field(
        description="Back: share of the asked grams with an unbroken way to a producer."
    )
    proved_share: float | None = Field(
        description="Back: share with such a way on which no edge is only claimed. "
        "Forward: share of the affected grams handed on that both sides vouch for."
    )
    broken_g: int | None = Field(description="Back: asked grams whose way breaks off.")
    broken_lots: int


class TraceOut(Out):
    """The whole graph behind, or ahead of, the lots in question."""

    direction: Direction
    lot: UUID | None = Field(description="The lot in question, if it is one.")
    lots: list[UUID] = Field(description="All lots in question.")
    ticket: UUID | None = Field(description="The ticket in question, if it is one.")
    asked_g: int | None = Field(description="Grams in question.")
    nodes: list[NodeOut]
    edges: list[EdgeOut]
    sources: list[SourceOut]
    holders: list[HolderOut]
    in_transit: list[InTransitOut]
    beyond: BeyondOut | None
    completeness: CompletenessOut


class NeighbourOut(TracedLot):
    """A lot one step up or down, with what passed between."""

    edge_g: int | None = Field(description="Grams of the upper lot that went into the lower one.")
    proof: ProofName
    passed_at: datetime


class NeighboursOut(Out):
    """One up and one down."""

    lot: TracedLot
    up: list[NeighbourOut]
    down: list[NeighbourOut]
    in_transit: list[InTransitOut]
