"""What a trace answers with. Grams that are another party's business are null, never zero."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from app.core.schemas import In, Out
from app.lot.rules import LotOrigin
from app.party.access import RoleKind
from app.party.schemas import PartyOut
from app.ticket.rules import BuyerKind, TicketStatus
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


class LotsPageOut(Out):
    """Some lots of a trace, oldest first, and the edges into them."""

    lots_total: int = Field(description="Lots of the whole trace, as far as the reader sees them.")
    nodes: list[NodeOut]
    edges: list[EdgeOut] = Field(description="From lots of this page or an earlier one.")
    next: UUID | None = Field(description="Give this as `after`; null on the last page.")


class DrawnOut(Out):
    """A node of a picture: a lot, or several that are alike."""

    lot: UUID = Field(description="The oldest lot in it; give it as `unfold` to open the node.")
    count: int = Field(description="Lots in it: × n.")
    product: int | None = Field(description="Null where there are several.")
    product_name: str | None
    origin: LotOrigin | None = Field(description="Null where there are several.")
    end: Ending | None = Field(description="Why the way back ends at all of them, if it does.")
    roles: list[RoleKind] | None = Field(description="What their holders are; null if they differ.")
    holder: TracedParty | None = Field(description="Of a single lot.")
    village: str | None = Field(description="Of a single lot.")
    mass_g: int | None = Field(description="Sum; null if one is another trader's business.")
    share_g: int | None = Field(description="Sum of `share_g` of the lots.")
    remaining_g: int | None
    within_g: int | None = Field(description="Grams that passed between lots of this node.")
    depth: int = Field(description="Steps from the asked lots; the least of its lots.")


class DrawnEdgeOut(Out):
    """All edges between the lots of two nodes of a picture."""

    src: UUID = Field(description="A node, by its `lot`.")
    dst: UUID
    count: int
    mass_g: int | None = Field(description="Sum; null between other traders.")
    share_g: int | None
    proof: ProofName = Field(description="The least sure of them: claimed, proved, own.")


class PictureOut(Out):
    """A trace with few enough nodes to be read."""

    direction: Direction
    lot: UUID
    lots_total: int = Field(description="Lots that are drawn, all together.")
    nodes: list[DrawnOut]
    edges: list[DrawnEdgeOut]
    beyond: BeyondOut | None


class PassedOut(TracedLot):
    """A lot on a way between two."""

    share: float = Field(ge=0, le=1, description="Part of this lot that stems from the older one.")
    share_g: int | None = Field(
        description="Grams of the younger lot that stem from the older one and came through here."
    )
    depth: int = Field(description="Steps from the older lot, along the longest way.")


class StepOut(Out):
    """A lot on the shortest way, in the order in which goods went."""

    lot: UUID
    product_name: str
    holder: TracedParty | None
    village: str | None
    occurred_at: datetime
    zh: str
    en: str


class PathOut(Out):
    """Every way from one lot to another."""

    start: UUID
    end: UUID
    reaches: bool = Field(description="Whether anything of the older lot is in the younger one.")
    share: float = Field(default=0.0, ge=0, le=1, description="Part of the younger lot from it.")
    share_g: int | None = Field(default=0, description="The same in grams.")
    shortest: list[StepOut] = Field(default_factory=list)
    nodes: list[PassedOut] = Field(default_factory=list)
    edges: list[EdgeOut] = Field(default_factory=list)


class SamplesIn(In):
    """Lots that failed."""

    lots: list[UUID] = Field(min_length=1, max_length=100)


class SampleShareOut(Out):
    """What part of a sample came from somewhere."""

    lot: UUID
    share: float = Field(ge=0, le=1)


class CommonOut(Out):
    """What something explains of the samples."""

    reaches: int = Field(description="How many of the samples it is in.")
    share: float = Field(ge=0, le=1, description="Mean part of a sample that came from it.")
    samples: list[SampleShareOut]


class CommonLotOut(CommonOut):
    """A lot behind samples."""

    node: NodeOut
    nearest: bool = Field(description="Nothing younger is in all of these samples: ways meet here.")


class CommonProducerOut(CommonOut):
    """A producer behind samples, whichever of its lots it was."""

    producer: TracedParty


class CommonPlotOut(CommonOut):
    """A plot behind samples, whichever lot was harvested from it."""

    plot: UUID
    name: str
    division_code: str


class CommonSourceOut(Out):
    """What explains the samples, each list by how many it reaches, then by share.

    `sources` are the earliest: lots with which goods began. `lots` has all that went into the
    samples, the places where ways meet among them.
    """

    samples: list[UUID]
    sources_total: int
    producers_total: int
    plots_total: int
    lots_total: int
    sources: list[CommonLotOut]
    producers: list[CommonProducerOut]
    plots: list[CommonPlotOut] = Field(description="Named to regulators and operators only.")
    lots: list[CommonLotOut]


class FoundTicket(Out):
    """A ticket that fits a search, and that the reader may open."""

    ticket: UUID
    code: str
    status: TicketStatus
    sold_at: datetime
    seller: TracedParty
    buyer: TracedParty | None = Field(description="Null for a walk-in buyer (散客).")
    products: list[str]
    mass_g: int
    plate: str | None


class FoundLot(Out):
    """A lot that fits a search, and that the reader may trace."""

    lot: UUID
    product_name: str
    origin: LotOrigin
    holder: TracedParty | None
    made_on: date | None
    created_at: datetime
    mass_g: int
    remaining_g: int
    on_hold: bool


class SearchOut(Out):
    """What fits all words of a search, newest first, 50 of each at most."""

    since: datetime | None = Field(description="Nothing older was looked at; null: all was.")
    parties: list[PartyOut] = Field(description="Whoever one of the words names.")
    tickets: list[FoundTicket]
    lots: list[FoundLot]
