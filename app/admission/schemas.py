"""Scans as they come in, verdicts as they go out."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.admission.gate import CaseKind, CaseState
from app.admission.policy import Decision, Factor, Proof, Severity, Trait
from app.admission.rules import CodeKind
from app.certificate.rules import Basis, CertificateKind
from app.core.schemas import In, Instant, Line, MassG, Out
from app.lot.schemas import Spelled
from app.product.schemas import ProductId
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus

TEXT_CHARS_MAX = 2_000
LINES_MAX = 100
PAPERS_MAX = 10

Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX)]
Plate = Annotated[Line, Field(max_length=20)]
Computed = Literal[Decision.ADMIT, Decision.ADMIT_AFTER_TEST, Decision.HOLD, Decision.REFUSE]
"""What a verdict can be; a release by the regulator is a ruling, and no device's."""

Grade = Literal["A", "B", "C", "D"]
DivisionCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}([0-9]{3}){0,2}$")]


class ScanIn(In):
    """Something was read; sent again under the same id, it answers the same."""

    id: UUID = Field(description="Chosen by the device (UUIDv7), so that a scan can be repeated.")
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX),
        Field(description="What the scanner read, or somebody typed, unchanged."),
    ]
    place: UUID | None = Field(default=None, description="The gate, market or site.")
    device_at: Instant | None = Field(default=None, description="What the device's clock said.")
    plate: Annotated[Line, Field(max_length=20)] | None = Field(
        default=None, description="The vehicle that stands there; compared with the ticket's."
    )


class FindingOut(Out):
    """One observation, with the rule that it rests on."""

    code: str
    severity: Severity
    alarm: bool = Field(description="Somebody must be told at once.")
    zh: str
    en: str
    source: str = Field(description="The law, standard or design that says so.")
    rule: str | None = Field(description="The dated entry rule; null for the platform's own.")
    policy: str | None = Field(description="The order that the rule belongs to.")
    verified: bool = Field(description="Whether the official text of the rule has been read.")
    satisfied_by: list[Proof] = Field(description="Any one of these would have met the rule.")
    facts: dict[str, Any]


class Named(Out):
    """A party; a natural person is masked for whoever has no part in the ticket."""

    party: UUID | None = Field(description="Null where the name is masked.")
    name: str


class LineSummary(Out):
    """One product of a ticket. Prices are not for the gate."""

    no: int
    product: int
    product_name: str
    trade_name: str
    quantity: str
    unit: str
    mass_g: int
    mass: Spelled
    origins: list[str] = Field(description="Where it comes from, from the county down.")


class TicketSummary(Out):
    """What a ticket says, to compare with the goods."""

    id: UUID
    code: str
    kind: TicketKind
    seller: Named
    buyer: Named | None
    buyer_kind: BuyerKind
    market: str | None
    status: TicketStatus | None = Field(description="When it was scanned.")
    sold_at: datetime
    expires_at: datetime
    mass_g: int
    mass: Spelled
    lines: list[LineSummary]


class CertificateSummary(Out):
    """What a certificate says, to compare with the goods."""

    id: UUID
    code: str
    kind: CertificateKind
    title: Spelled
    issuer: Named
    product: int
    product_name: str
    quantity: str
    unit: str
    mass_g: int
    mass: Spelled
    origin: str | None
    issued_at: datetime
    expires_at: datetime
    voided: bool = Field(description="When it was scanned.")


class ReferenceOut(Out):
    """A code of another system, kept as it is and never resolved."""

    kind: CodeKind
    reference: str
    elements: dict[str, str] = Field(description="GS1 application identifiers.")


class VerdictOut(Out):
    """What a scan came to: one decision, and every finding in a fixed order."""

    scan: UUID
    kind: CodeKind
    decision: Decision
    findings: list[FindingOut]
    would_be: Decision | None = Field(
        description="The decision once the gravest findings are answered; null if admitted."
    )
    ticket: TicketSummary | None = None
    certificate: CertificateSummary | None = None
    reference: ReferenceOut | None = None
    place: UUID | None
    scanned_at: datetime


class ScanListed(Out):
    """A scan in a list."""

    scan: UUID
    kind: CodeKind
    decision: Decision
    findings: list[str] = Field(description="Their codes, in order.")
    ticket: UUID | None
    certificate: UUID | None
    place: UUID | None
    scanned_at: datetime


# --- papers and agreements ------------------------------------------------------------------------


class PaperIn(In):
    """A paper document: its photo, what is typed from it, and who compared the two."""

    kind: Annotated[Line, Field(max_length=50, description="See /paper-kinds.")]
    number: Annotated[Line, Field(max_length=100)]
    issuer: Annotated[Line, Field(description="Who issued it, as it says.")]
    issued_on: date
    valid_through: date | None = Field(
        default=None, description="If it says so; the kind's own validity holds beside it."
    )
    product: ProductId | None = None
    mass_g: MassG | None = None
    division_code: DivisionCode | None = Field(
        default=None, description="Origin, by the code of its day: a paper of 2019 keeps 320684."
    )
    bases: list[Basis] = Field(default_factory=list, max_length=4)
    evidence: UUID = Field(description="The photo; see PUT /evidence/{id}.")
    checked_by: Annotated[Line, Field(description="Name of who compared photo and fields.")]


class PaperOut(Out):
    """A paper document as it was recorded."""

    paper: UUID
    kind: str
    title: str
    number: str
    issuer: str
    issued_on: date
    valid_through: date | None
    product: int | None
    mass_g: int | None
    division_code: str | None
    origin: str | None = Field(description="What the place was called on the day of issue.")
    bases: list[str]
    evidence: UUID
    checked_by: str
    recorded_at: datetime


class PaperKindOut(Out):
    """A kind of paper in use on a day."""

    code: str
    zh: str
    en: str
    proofs: list[Proof]
    days: int | None = Field(description="Days after that of issue on which it still counts.")
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class AgreementIn(In):
    """A 质量安全协议 that a seller signed."""

    market: UUID
    seller: UUID
    signed_on: date
    valid_from: date | None = Field(default=None, description="The day it was signed, if left out.")
    valid_to: date | None = Field(
        default=None, description="First day on which it no longer holds."
    )
    grade: Grade | None = Field(
        default=None, description="Credit grade of the seller; the worse, the more often drawn."
    )
    evidence: UUID | None = Field(default=None, description="A photo of it.")

    @model_validator(mode="after")
    def _some_time(self) -> "AgreementIn":
        if self.valid_to is not None and self.valid_to <= (self.valid_from or self.signed_on):
            message = "ends before it begins"
            raise ValueError(message)
        return self


class EndIn(In):
    """Why an agreement ends."""

    reason: Line


class AgreementOut(Out):
    """An agreement, and its end if it has ended."""

    agreement: UUID
    market: UUID
    seller: UUID
    signed_on: date
    valid_from: date
    valid_to: date | None
    grade: str | None
    ended_on: date | None
    end_reason: str | None


# --- inspections ----------------------------------------------------------------------------------


class SelfProducerIn(In):
    """Somebody who sells what he grew, and has no papers: what the law asks to record."""

    name: Line
    id_number: Annotated[
        Line, Field(min_length=6, max_length=40, description="Kept sealed, shown masked.")
    ]
    contact: Annotated[Line, Field(description="A phone, or whoever can reach him.")]
    address: Line
    agreement_signed: bool = Field(description="Signed the market's agreement, now or before.")


class InspectionLineIn(In):
    """One ticket or product: scanned, on paper, or of a self-producing seller."""

    id: UUID = Field(description="Chosen by the device (UUIDv7).")
    text: Text | None = Field(default=None, description="What the scanner read, unchanged.")
    papers: list[UUID] = Field(default_factory=list, max_length=PAPERS_MAX)
    self_producer: SelfProducerIn | None = None
    product: ProductId | None = Field(default=None, description="Needed where no ticket says it.")
    mass_g: MassG | None = Field(
        default=None, description="What stands there; all of the ticket, if left out."
    )
    seller: UUID | None = Field(
        default=None, description="Who will sell it in the market; the ticket's buyer if left out."
    )
    imported: bool = False
    decided_offline: Computed | None = Field(
        default=None, description="What the device decided at the gate without a network."
    )

    @model_validator(mode="after")
    def _is_something(self) -> "InspectionLineIn":
        if self.text is None and None in {self.product, self.mass_g}:
            message = "without a scanned text, product and mass_g are needed"
            raise ValueError(message)
        return self


def _each_line_once(lines: list[InspectionLineIn]) -> list[InspectionLineIn]:
    if len({line.id for line in lines}) < len(lines):
        message = "gives two lines one id"
        raise ValueError(message)
    return lines


class InspectionIn(In):
    """A vehicle at a gate. Sent again under the same id it answers the same."""

    place: UUID = Field(description="The gate, or the market.")
    inspector: Annotated[Line, Field(description="Name of who inspected.")]
    plate: Plate | None = None
    device: Annotated[Line, Field(max_length=100)] | None = None
    sequence: int | None = Field(
        default=None, ge=0, le=2**53, description="The device's own count of inspections."
    )
    device_at: Instant | None = Field(
        default=None, description="What the device's clock said at the gate."
    )
    sent_at: Instant | None = Field(
        default=None,
        description="What the same clock said when this was sent: tells how wrong it is.",
    )
    lines: Annotated[
        list[InspectionLineIn],
        Field(min_length=1, max_length=LINES_MAX),
        AfterValidator(_each_line_once),
    ]

    @model_validator(mode="after")
    def _counts_by_device(self) -> "InspectionIn":
        if self.sequence is not None and self.device is None:
            message = "a sequence number needs the device that counts"
            raise ValueError(message)
        return self


class SelfProducerOut(Out):
    """A self-producing seller, as far as it may be shown."""

    name: str
    id_number: str
    contact: str


class RulingOut(Out):
    """A person's decision about a line; the verdict stays beside it."""

    ruling: UUID
    line: UUID
    former: Decision
    decision: Decision
    reason: str
    test: str | None
    findings: list[FindingOut] = Field(description="What the books know of the test.")
    accountable: str
    by: UUID
    ruled_at: datetime


class InspectionLineOut(Out):
    """What a line came to."""

    no: int
    line: UUID
    kind: CodeKind | None
    ticket: UUID | None
    certificate: UUID | None
    papers: list[UUID]
    seller: UUID | None
    self_producer: SelfProducerOut | None
    product: int | None = Field(description="Of a ticket with several, the first.")
    product_name: str | None
    mass_g: int | None
    mass: Spelled | None
    decision: Decision = Field(description="The verdict, which never changes.")
    decided_offline: Decision | None
    stands_at: Decision = Field(
        description="The last ruling, or what the device did, or the verdict."
    )
    findings: list[FindingOut]
    would_be: Decision | None
    drawn: bool
    rate_bp: int = Field(description="Of 10,000 lines like this one, how many are drawn.")
    rate_rules: list[str]
    rulings: list[RulingOut]


class InspectionOut(Out):
    """An inspection: a decision for the vehicle, one for each line."""

    inspection: UUID
    market: UUID
    place: UUID
    by: UUID
    inspector: str
    plate: str | None
    device: str | None
    sequence: int | None
    device_at: datetime | None
    clock_offset_ms: int
    inspected_at: datetime = Field(description="By the evidence: sequence, receipt, clock.")
    received_at: datetime
    decision: Decision = Field(description="That of the gravest line.")
    stands_at: Decision
    lines: list[InspectionLineOut]
    cases: list[UUID] = Field(description="What somebody has to look into.")


class InspectionListed(Out):
    """An inspection in a list."""

    inspection: UUID
    place: UUID
    plate: str | None
    device: str | None
    sequence: int | None
    inspected_at: datetime
    received_at: datetime
    decision: Decision
    lines: int


class RulingIn(In):
    """A decision that overrules a verdict, with a reason and somebody who answers for it."""

    line: UUID
    decision: Decision
    reason: Line
    accountable: Annotated[Line, Field(description="Name of who answers for it.")]
    test: Line | None = Field(
        default=None, description="Number of the test that passed; needed to let in after a test."
    )


class CaseCloseIn(In):
    """How a case ended, and why."""

    state: Literal[CaseState.HANDLED, CaseState.FALSE]
    reason: Line


class CaseAnswerIn(In):
    """What a market says of a case that the office in charge closes."""

    answer: Line


class CaseOut(Out):
    """Something that somebody has to look into.

    Attributes:
        answer: What the market states.
        may_close: Whether it is open, and yours to close.
        may_answer: Whether it is open, of your market, and not answered yet.
    """

    case: UUID
    kind: CaseKind
    market: UUID
    line: UUID
    ticket: UUID | None
    product: int | None
    product_name: str | None
    mass_g: int | None = Field(description="Grams that came to the gate, where anybody knew.")
    seller: UUID | None = Field(description="Who was to sell them in the market.")
    seller_name: str | None
    facts: dict[str, Any]
    state: CaseState
    opened_at: datetime
    answer: str | None
    answered_at: datetime | None
    may_close: bool
    may_answer: bool
    closed_by: UUID | None
    close_reason: str | None
    closed_at: datetime | None


# --- the rules of a day ---------------------------------------------------------------------------


class EntryRuleOut(Out):
    """A rule of entry in force on a day."""

    code: str
    policy: str
    finding: str
    classes: list[str]
    when: list[Trait]
    unless: list[Trait]
    proofs: list[Proof]
    consequence: Severity
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class SamplingRuleOut(Out):
    """A rule of how often lines are drawn, in force on a day."""

    code: str
    factor: Factor
    value: int
    products: list[int]
    months: list[int]
    grade: str | None
    failed_permille_min: int | None
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class LatenessOut(Out):
    """How late the books may hear of something and judge it by its own day alone."""

    code: str
    hours: int
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class EntryPolicyOut(Out):
    """All rules of a day."""

    on: date
    rules: list[EntryRuleOut]
    sampling: list[SamplingRuleOut]
    lateness: list[LatenessOut]


class SeedOut(Out):
    """A day's draw: what was committed to before it, and the seed once it is over."""

    day: date
    commitment: str
    committed_at: datetime
    seed: str | None
    revealed_at: datetime | None
