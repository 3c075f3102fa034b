"""Samples, tests and limits, as they come in and go out."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from app.core.schemas import In, Instant, Line, MassG, Out, Pieces
from app.testing.calendar import ClockKind
from app.testing.limits import UG_PER_KG, Ground, Scope, SubstanceGroup
from app.testing.push import Algorithm, Convention
from app.testing.rules import (
    Authority,
    ItemVerdict,
    Layer,
    MeasureStep,
    Outcome,
    Reading,
    SamplePurpose,
    State,
    Status,
    TestKind,
    TestLine,
    Verdict,
)

ITEMS_MAX = 200
PEOPLE_MAX = 5
RECORDS_MAX = 100

Number = Annotated[Line, Field(max_length=50)]
Value = Annotated[Decimal, Field(max_digits=12, decimal_places=6, allow_inf_nan=False)]
Amount = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=9, allow_inf_nan=False)]
People = Annotated[list[Line], Field(max_length=PEOPLE_MAX)]


def _known_unit(unit: str) -> str:
    if unit not in UG_PER_KG:
        message = f"is none of {', '.join(UG_PER_KG)}"
        raise ValueError(message)
    return unit


Unit = Annotated[str, AfterValidator(_known_unit)]


class Words(Out):
    """The same in Chinese and English."""

    zh: str
    en: str


class SampleIn(In):
    """Grams taken out of a lot to be tested."""

    lot: UUID
    number: Annotated[Number, Field(description="As it stands on the bag; once a sampler.")]
    mass_g: MassG
    pieces: Pieces | None = Field(default=None, description="Eggs, fish: how many were taken.")
    layer: Layer
    authority: Authority | None = Field(
        default=None, description="Under which law an office samples; offices must say."
    )
    purpose: SamplePurpose
    state: State = State.FRESH
    place: UUID | None = Field(default=None, description="Where it was taken.")
    taken_at: Instant | None = Field(default=None, description="Now, if left out.")
    samplers: People = Field(default_factory=list, description="Names; sealed, never public.")
    lab: UUID | None = Field(
        default=None, description="The laboratory that it goes to at once; see also /commissions."
    )


class CommissionIn(In):
    """Where a sample is sent: that laboratory, or test point, may report on it."""

    lab: UUID
    sent_at: Instant | None = Field(default=None, description="Now, if left out.")


class DeviceIn(In):
    """What measured."""

    maker: Number | None = None
    serial: Number | None = None


class ReadingIn(In):
    """What a quick method showed."""

    substance: Number | None = Field(default=None, description="Of a strip or a colour reaction.")
    value: Value | None = Field(default=None, description="Per cent of inhibition, raw.")
    control_line: bool | None = None
    test_line: TestLine | None = None
    detected: bool | None = None


class ItemIn(In):
    """One substance of a laboratory's report."""

    substance: Number
    amount: Amount | None = Field(default=None, description="Null: not detected.")
    unit: Unit = "mg/kg"
    detection_limit: Amount | None = None
    method: Line | None = None


def _each_once(items: list[ItemIn]) -> list[ItemIn]:
    if len({item.substance for item in items}) < len(items):
        message = "names a substance twice"
        raise ValueError(message)
    return items


class TestIn(In):
    """One test of a sample: a reading of a quick method, or a laboratory's report."""

    kind: TestKind
    retest: bool = Field(default=False, description="The re-test after an objection.")
    method: Annotated[
        Line, Field(description="Code of /test-methods; a laboratory's standard in words.")
    ]
    tested_at: Instant | None = Field(default=None, description="Now, if left out.")
    place: UUID | None = None
    device: DeviceIn | None = None
    reagent: Number | None = None
    reagent_batch: Number | None = None
    report_number: Number | None = None
    reading: ReadingIn | None = None
    items: Annotated[list[ItemIn], Field(max_length=ITEMS_MAX), AfterValidator(_each_once)] = Field(
        default_factory=list
    )
    testers: People = Field(default_factory=list, description="Names; sealed, never public.")

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "TestIn":
        if (self.kind is TestKind.QUICK) != (self.reading is not None):
            message = "a quick test has a reading, and a laboratory's report has none"
            raise ValueError(message)
        if (self.kind is TestKind.LAB) != bool(self.items):
            message = "a laboratory's report has items, and a quick test has none"
            raise ValueError(message)
        return self


class ObjectionIn(In):
    """Why the holder of the goods asks for a re-test."""

    reason: Line


class MeasureIn(In):
    """What an office did about a result: 核查处置 begun or ended, or the result published."""

    step: MeasureStep
    words: Annotated[Line, Field(description="What was done, or where it was published.")]
    made_at: Instant | None = Field(default=None, description="Now, if left out.")


class ExtensionIn(In):
    """Why a time is put off, and who approved it in writing."""

    kind: ClockKind = ClockKind.HANDLING_FINISH
    reason: Line
    approved_by: Annotated[Line, Field(description="Name of the head of the office.")]


class Finding(Out):
    """Something worth knowing about a test; no refusal."""

    code: str
    zh: str
    en: str


class LimitRef(Out):
    """The limit that decided."""

    food: str
    scope: Scope
    state: State | None
    limit: str = Field(description="0.02 mg/kg, or 不得检出.")
    temporary: bool
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class ItemOut(Out):
    """One substance of a laboratory's report, with the limit that decided."""

    substance: str
    amount: str | None
    unit: str
    verdict: ItemVerdict
    limit: LimitRef | None = Field(description="Null: no limit is set, which is no pass.")


class TestOut(Out):
    """One test and what it came to."""

    test: UUID
    kind: TestKind
    retest: bool
    method: str
    outcome: Outcome
    reading: dict[str, Any] | None = Field(description="Raw, as the device gave it.")
    value_shown: str | None = Field(description="Per cent of inhibition, clamped to 0 to 100.")
    items: list[ItemOut]
    findings: list[Finding]
    details: dict[str, Any] = Field(description="Device, reagent, numbers.")
    tested_by: UUID
    tested_by_name: str
    place_name: str | None = Field(description="Where it was tested: the market and its gate.")
    source: str | None = Field(description="The feed that pushed it; null: a person entered it.")
    tested_at: datetime
    recorded_at: datetime
    testers: list[str] | None = Field(description="Null for those who are not to see names.")


class StepOut(Out):
    """Where the case came to stand."""

    status: Status
    at: datetime


class DeadlineOut(Out):
    """Something that has to happen in time."""

    kind: ClockKind
    began_at: datetime
    due_at: datetime
    assumed: bool = Field(description="A year was counted whose holidays nobody has announced.")
    source: str
    verified: bool
    done_at: datetime | None
    overdue: bool


class ExtensionOut(Out):
    """That a time was put off; who approved it is told to offices."""

    extension: UUID
    kind: ClockKind
    reason: str
    approved_by: str | None
    due_before: datetime
    due_at: datetime
    source: str
    verified: bool
    made_at: datetime


class ObjectionOut(Out):
    """An objection, and whether a re-test has answered it."""

    objection: UUID
    against: TestKind
    made_at: datetime
    answered: bool


class MeasureOut(Out):
    """A step that an office took."""

    measure: UUID
    step: MeasureStep
    words: str
    made_at: datetime


class CommissionOut(Out):
    """To whom a sample was sent."""

    commission: UUID
    lab: UUID
    lab_name: str
    sent_by: UUID
    sent_by_name: str
    sent_at: datetime


class SampleOut(Out):
    """A sample with everything that followed from it."""

    sample: UUID
    number: str
    lot: UUID
    product: int
    product_name: str
    state: State
    mass_g: int
    layer: Layer
    authority: Authority | None
    purpose: SamplePurpose
    holder: UUID
    taken_by: UUID
    taken_by_name: str
    place: UUID | None
    place_name: str | None = Field(description="The market, and the gate in it.")
    taken_at: datetime
    recorded_at: datetime
    samplers: list[str] | None = Field(description="Null for those who are not to see names.")
    status: Status
    verdict: Verdict
    hold: UUID | None
    sent_to: list[CommissionOut]
    tests: list[TestOut]
    steps: list[StepOut]
    deadlines: list[DeadlineOut]
    extensions: list[ExtensionOut]
    objections: list[ObjectionOut]
    measures: list[MeasureOut]


class SampleLine(Out):
    """A sample in a list."""

    sample: UUID
    number: str
    lot: UUID
    product: int
    product_name: str
    layer: Layer
    taken_by_name: str
    place_name: str | None = Field(description="Where it was taken: the market, and its gate.")
    taken_at: datetime
    status: Status
    verdict: Verdict


class RecentTest(Out):
    """A quick test, as a screen at the gate lists it."""

    test: UUID
    method: str
    outcome: Outcome
    substance: str | None
    value: str | None = Field(description="Per cent of inhibition, raw.")
    source: str | None = Field(description="The feed that pushed it; null: a person entered it.")
    device: str | None
    tested_by_name: str
    place_name: str | None = Field(description="Where it was tested: the market, and its gate.")
    tested_at: datetime


class RecentSample(Out):
    """A sample of a market with what was found so far, the first test first."""

    sample: UUID
    number: str
    product: int
    product_name: str
    status: Status
    repeats_left: int = Field(description="How often the finding is to be repeated yet.")
    place_name: str | None = Field(description="Where it was taken: the market, and its gate.")
    taken_at: datetime
    tests: list[RecentTest]


class LimitAnswer(Out):
    """The limit of a substance in a product on a day, and why that one."""

    substance: str
    group: SubstanceGroup
    product: int
    product_name: str
    state: State
    on: date
    ground: Ground
    limit: LimitRef | None
    because: str
    told: Words
    beaten: list[LimitRef] = Field(description="What would have applied without it, in order.")


class MethodOut(Out):
    """A quick method and its bands on a day."""

    code: str
    name: Words
    reading: Reading
    covers: list[str]
    suspect_from: str | None
    positive_from: str | None
    repeats: int
    interferes: list[int] = Field(description="Products that are prone to false positives.")
    advice: Words | None
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


# --- devices --------------------------------------------------------------------------------------


class SourceIn(In):
    """A maker's devices, or a maker's platform, that push for your party."""

    name: Line
    maker: Number
    convention: Annotated[Convention, Field(description="What the maker's numbers mean.")]
    layer: Layer
    authority: Authority | None = None
    algorithm: Algorithm = Algorithm.HMAC_SHA256
    place: UUID | None = Field(
        default=None, description="Where the devices stand: what they push is of that place."
    )
    public_key: str | None = Field(
        default=None, max_length=64, description="Of ed25519: 32 bytes in hexadecimal."
    )


class SourcePlaceIn(In):
    """Where the devices of a feed stand from now on."""

    place: UUID | None = Field(
        description="A market, or a gate in it; null: nowhere in particular."
    )


class RefusedRowOut(Out):
    """A record of a push that was refused, and why."""

    row: int
    record_id: str | None
    code: str
    zh: str
    en: str
    pointers: list[str] = Field(description="Members of the record that are to blame.")


class LastPushOut(Out):
    """What became of the latest batch of a feed that was believed."""

    at: datetime
    taken: int
    repeated: int
    refused: list[RefusedRowOut]


class SourceOut(Out):
    """A source; never with its secret."""

    source: UUID
    name: str
    maker: str
    convention: Convention
    layer: Layer
    authority: Authority | None
    algorithm: Algorithm
    place: UUID | None
    place_name: str | None = Field(description="The market, and the gate in it.")
    created_at: datetime
    revoked_at: datetime | None
    last_push: LastPushOut | None = Field(description="Null: it has not pushed yet.")


class SourceMade(SourceOut):
    """A new source, with the secret of HMAC, in hexadecimal, which is told this once."""

    secret: str | None


class PushIn(In):
    """A batch of records; each is read by itself, so that one bad record spoils no other."""

    records: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=RECORDS_MAX)]


class RecordIn(In):
    """One record of a device."""

    record_id: Annotated[Number, Field(description="The maker's own; it counts once.")]
    sample_no: Annotated[Number, Field(description="A sample's number, or that of a new one.")]
    lot: UUID | None = Field(default=None, description="Takes the sample out of it, if new.")
    mass_g: MassG | None = None
    taken_at: Instant | None = None
    purpose: SamplePurpose = SamplePurpose.SELF
    method: Line
    tested_at: Instant
    result: Annotated[int, Field(strict=True, ge=0, le=9)] | None = Field(
        default=None, description="By the source's convention."
    )
    substance: Number | None = None
    value: Value | None = None
    control_line: bool | None = None
    test_line: TestLine | None = None
    device_sn: Number | None = None
    reagent: Number | None = None
    reagent_batch: Number | None = None
    limit: Annotated[Line | None, Field(description="As the device prints it; kept.")] = None
    latitude: Annotated[Decimal, Field(ge=-90, le=90, max_digits=10)] | None = None
    longitude: Annotated[Decimal, Field(ge=-180, le=180, max_digits=11)] | None = None
    operators: People = Field(default_factory=list, description="Names; sealed, never public.")


class RecordOut(Out):
    """What became of one record."""

    row: int = Field(description="Its place in the batch, from 1.")
    record_id: str | None
    state: Literal["taken", "repeated", "refused"]
    sample: UUID | None = None
    test: UUID | None = None
    outcome: Outcome | None = None
    status: Status | None = None
    problem: dict[str, Any] | None = Field(
        default=None, description="Code, both languages, and pointers into the record."
    )


class PushOut(Out):
    """What became of a batch."""

    taken: int
    repeated: int
    refused: int
    records: list[RecordOut]
