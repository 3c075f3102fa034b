"""Holds, recalls and referrals, as they come in and go out."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.schemas import MASS_G_MAX, In, Instant, Line, MassG, Out
from app.hold.rules import HoldCause, NoticeKind
from app.party.access import Department
from app.recall.rules import Channel, Method, Outcome, Relation, StepKind, Trigger

Area = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}([0-9]{2}([0-9]{3}([0-9]{3})?)?)?$")]
"""A city (4 digits), county (6), township (9) or village (12)."""

LOTS_A_STEP_MAX = 500


class HoldIn(In):
    """A lot that may not move, and why."""

    lot: UUID
    reason: Line


class ReleaseIn(In):
    """Why a lot may move again."""

    reason: Line


class HoldReleaseIn(In):
    """Why all that a finding holds may move again."""

    sample: UUID = Field(description="The sample that holds it: `subject` of its holds.")
    reason: Line


class HoldOut(Out):
    """A hold, and its end if it has ended."""

    hold: UUID
    lot: UUID
    placed_by: UUID
    reason: str
    cause: HoldCause
    subject: UUID | None = Field(description="The sample, where a test holds the lot.")
    placed_at: datetime
    released_by: UUID | None
    release_reason: str | None
    released_at: datetime | None


class HoldReleaseOut(Out):
    """One release of all that a finding held."""

    release: UUID
    sample: UUID
    by: UUID
    reason: str
    released_at: datetime
    holds: list[HoldOut]


class NoticeOut(Out):
    """Something a party must know about goods that it holds or held."""

    id: int
    kind: NoticeKind
    subject: UUID = Field(
        description="The hold, certificate, sample, recall or referral it is about."
    )
    facts: dict[str, Any]
    goods: list[str] = Field(
        description="The products it is about: of a recall, what was found and what is yours of it."
    )
    created_at: datetime
    read_at: datetime | None = Field(
        description="When you read it: others have marks of their own."
    )


class UnreadOut(Out):
    """How much somebody has not read yet."""

    count: int
    more: bool = Field(description="Whether there are more than are counted.")


# --- recalls ----------------------------------------------------------------------------------


class ScopeIn(In):
    """How far a recall reaches."""

    found: list[UUID] = Field(
        min_length=1, max_length=100, description="The lots that failed, or were complained of."
    )
    siblings: bool | None = Field(
        default=None,
        description="Whether all that came from the same sources is recalled too; "
        "left out: yes for an office, no for a trader or a market, which answer for their own.",
    )
    suspects: list[UUID] = Field(
        default_factory=list,
        max_length=1_000,
        description="Lots that went into what was found and are to blame; all sources if left out.",
    )


class RecallIn(ScopeIn):
    """A recall to open."""

    grade: int = Field(
        strict=True, ge=1, le=3, description="一级、二级或三级召回; 1 is the gravest."
    )
    trigger: Trigger
    reason: Line
    advice: Line | None = Field(
        default=None,
        description="What holders and consumers shall do; a standard text if left out.",
    )
    known_at: Instant = Field(
        description="When the danger became known: the clocks begin then. Not after now, and not "
        "before there were any of the goods; `started_late` tells of a case that is opened late."
    )
    mock: bool = Field(default=False, description="An exercise: told and counted, nothing held.")


class GramsIn(In):
    """Grams of a lot."""

    lot: UUID
    mass_g: MassG


class AcknowledgementIn(In):
    """That a notice arrived, and what was found at once."""

    note: Line | None = None
    located: list[GramsIn] = Field(default_factory=list, max_length=LOTS_A_STEP_MAX)


class StepIn(In):
    """Grams of a lot that were found, brought back, or turned out to be eaten."""

    lot: UUID
    kind: StepKind
    mass_g: MassG
    note: Line


class DisposalIn(In):
    """How goods that were brought back were dealt with."""

    method: Method
    place: Line
    witness: Line = Field(description="Who saw it, and for whom.")
    announced_at: Instant = Field(description="When the county regulator was told time and place.")
    disposed_at: Instant
    evidence: list[UUID] = Field(min_length=1, max_length=20, description="Photos; see /evidence.")
    lots: list[GramsIn] = Field(min_length=1, max_length=LOTS_A_STEP_MAX)


class AnnulmentIn(In):
    """Why a hand-over is taken back in the seller's place."""

    reason: Line
    accountable: Line = Field(description="Name of who answers for it in the office.")


class ForwardingIn(In):
    """That buyers outside the platform were told."""

    channel: Channel
    buyers: int = Field(strict=True, gt=0, le=1_000_000)
    mass_g: int = Field(strict=True, ge=0, le=MASS_G_MAX, description="Grams they had bought.")
    note: Line
    told_at: Instant


class ClosureIn(In):
    """How a recall ends."""

    outcome: Outcome
    reason: Line
    sampled_g: int = Field(
        default=0,
        strict=True,
        ge=0,
        le=MASS_G_MAX * LOTS_A_STEP_MAX,
        description="To complete it: the grams taken as samples since it began (`sampled_g` of its "
        "totals), for which whoever signs off answers.",
    )


class SignOffIn(In):
    """That a recall is finished, as whoever leads it says: how it shall end, and why."""

    outcome: Outcome
    reason: Line


class SpanOut(Out):
    """Lots of one relation in a scope."""

    relation: Relation
    lots: int
    mass_g: int


class ScopeOut(Out):
    """How far a recall would reach; nothing is held."""

    lots: int
    holders: int
    on_hand_g: int = Field(description="Grams left in the books of holders now.")
    relations: list[SpanOut]


class TotalsOut(Out):
    """A recall in sum, in grams; see `RecallLotOut` for the words."""

    lots: int
    total_g: int
    exposed_g: int
    gone_g: int
    located_g: int
    recovered_g: int
    destroyed_g: int
    remedied_g: int
    consumed_g: int
    sampled_g: int = Field(
        description="Taken as samples since it began; whoever signs off names this figure."
    )
    elsewhere_g: int = Field(
        description="Gone since it began, and not in this case: what another case of the same "
        "goods has proof of."
    )
    accounted_g: int
    left_g: int = Field(description="Still in the books and not remedied; mock: not located.")
    in_transit_g: int
    half_way_g: int = Field(description="Brought back by walk-ins, and not disposed of.")
    accounted_permille: int
    notices: int
    unacknowledged: int
    unanswered: int = Field(description="Referrals that were neither answered nor withdrawn.")


class ClocksOut(Out):
    """The clocks of a recall."""

    known_at: datetime
    opened_at: datetime
    start_due_at: datetime
    started_late: bool
    acknowledge_due_at: datetime
    last_acknowledged_at: datetime | None
    finish_due_on: date
    finish_arranged: bool = Field(description="Whether the holidays until then are published.")
    overdue: bool
    minutes_to_scope: int
    minutes_to_last_acknowledgement: int | None = Field(
        description="Until everybody had acknowledged; null while somebody has not."
    )
    closed_at: datetime | None


class RecallOut(Out):
    """A recall. The sums are told to whoever answers for it; others see their own lots only."""

    recall: UUID
    mock: bool
    grade: int
    trigger: Trigger
    reason: str
    advice: str | None
    opened_by: UUID
    opened_by_name: str
    siblings: bool
    scope_sha256: str
    clocks: ClocksOut
    outcome: Outcome | None
    closing_reason: str | None
    sign_off_asked_at: datetime | None
    totals: TotalsOut | None


class RecallLotOut(Out):
    """A lot in scope.

    `on_hand_g + in_transit_g + gone_g + passed_on_g = mass_g` at the instant of the stop;
    `passed_on_g` went into other lots, which are in scope themselves.
    """

    lot: UUID
    relation: Relation
    product: int
    product_name: str
    holder: UUID | None
    holder_name: str | None
    mass_g: int
    exposed_g: int
    exposure: float
    on_hand_g: int
    in_transit_g: int
    passed_on_g: int
    gone_g: int
    located_g: int
    recovered_g: int
    destroyed_g: int
    remedied_g: int
    consumed_g: int
    sampled_g: int


class LotsPage(Out):
    """Lots in scope, oldest first, and where the next page begins."""

    lots: list[RecallLotOut]
    next_after: int | None


class RecallNoticeOut(Out):
    """What a party was told, and whether it answered."""

    party: UUID
    name: str
    lots: int
    on_hand_g: int
    in_transit_g: int
    sent_at: datetime
    due_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None
    note: str | None
    escalated_at: datetime | None
    late: bool


class StepOut(Out):
    """A step of a recall."""

    step: UUID
    lot: UUID
    kind: StepKind
    mass_g: int
    by: UUID
    note: str
    recorded_at: datetime


class GramsOut(Out):
    """Grams of a lot."""

    lot: UUID
    mass_g: int


class DisposalOut(Out):
    """A disposal, with its witness and images."""

    disposal: UUID
    method: Method
    place: str
    witness: str
    announced_at: datetime
    disposed_at: datetime
    evidence: list[UUID]
    evidence_sha256: list[str]
    by: UUID
    lots: list[GramsOut]
    recorded_at: datetime


class HandOverOut(Out):
    """A hand-over of goods in scope that its buyer has not decided about."""

    ticket: UUID
    code: str
    seller: UUID
    seller_name: str
    buyer: UUID
    buyer_name: str
    sold_at: datetime
    mass_g: int = Field(description="Of its goods, those in scope.")


class AnnulmentOut(Out):
    """A hand-over that an office took back in the seller's place."""

    ticket: UUID
    mass_g: int = Field(description="Grams in scope that are in the seller's books again.")
    reason: str
    accountable: str
    by: UUID
    annulled_at: datetime


class ForwardingOut(Out):
    """What buyers outside the platform were told, by whom."""

    forwarding: UUID
    by: UUID
    channel: Channel
    buyers: int
    mass_g: int
    note: str
    told_at: datetime


class SignOffOut(Out):
    """Who asked the office in charge to end a recall, and how."""

    request: UUID
    by: UUID
    name: str
    outcome: Outcome
    reason: str
    asked_at: datetime


class ChargeOut(Out):
    """Who ends a recall.

    Attributes:
        offices: Names of the offices in charge: any of them signs it off.
        may_close: Whether you are one, or began the exercise, and it is open.
        may_ask: Whether you lead it and may ask them to sign it off.
    """

    offices: list[str]
    may_close: bool
    may_ask: bool


class SaleOut(Out):
    """A sale to somebody outside the platform."""

    ticket: UUID
    code: str
    sold_at: datetime
    product_name: str
    mass_g: int
    buyer: str | None = Field(description="As the seller named it; null for a walk-in.")


class LetterOut(Out):
    """What a holder forwards to buyers outside the platform, and which sales it concerns."""

    recall: UUID
    seller: str
    grade: int
    mock: bool
    reason: str
    advice: list[str]
    opened_by_name: str
    opened_at: datetime
    products: list[str]
    sales: list[SaleOut]
    more: int = Field(description="Sales that are not listed here; the export has all.")


# --- referrals --------------------------------------------------------------------------------


class ReferralIn(In):
    """A question to the office that answers for another place (协查)."""

    lot: UUID
    recall: UUID | None = None
    division_code: Area = Field(description="City (4 digits) or county (6) that is asked.")
    department: Department | None = Field(default=None, description="Both if left out.")
    question: Line


class AnswerIn(In):
    """The answer to a referral."""

    answer: Line


class WithdrawalIn(In):
    """Why nobody needs to answer a referral any more."""

    reason: Line


class ReferralOut(Out):
    """A referral, its clock, and how it ended: by its answer, or withdrawn."""

    referral: UUID
    lot: UUID
    recall: UUID | None
    asked_by: UUID
    asked_by_name: str
    division_code: str
    division_name: str = Field(description="What that code named on the day it was asked.")
    department: Department | None
    question: str
    asked_at: datetime
    due_on: date
    overdue: bool
    answered_by: UUID | None
    answer: str | None
    answered_at: datetime | None
    withdrawn_by: UUID | None
    withdrawal_reason: str | None
    withdrawn_at: datetime | None


class RecordOut(Out):
    """All that is recorded in a case but its lots; a trader sees its own part."""

    recall: RecallOut
    notices: list[RecallNoticeOut]
    steps: list[StepOut]
    disposals: list[DisposalOut]
    annulments: list[AnnulmentOut]
    forwardings: list[ForwardingOut]
    referrals: list[ReferralOut]
    sign_offs: list[SignOffOut]
    charge: ChargeOut
