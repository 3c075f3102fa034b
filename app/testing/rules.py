"""What a test comes to, and where a sample's case stands (domain.md §5.2, §5.3). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from app.core import dated
from app.core.errors import DomainError, Kind, Text
from app.party.access import RoleKind


class Layer(StrEnum):
    """Who tests: the four layers of the plan's item 23, and producers and sellers themselves."""

    WHOLESALE_MARKET = "wholesale_market"
    RETAIL_MARKET = "retail_market"
    JOINT_QUICK = "joint_quick"
    STATUTORY_LAB = "statutory_lab"
    OWN = "own"


LAYERS_OF_MARKETS: Final = frozenset({Layer.WHOLESALE_MARKET, Layer.RETAIL_MARKET})
LAYERS_OF_OFFICES: Final = frozenset({Layer.JOINT_QUICK, Layer.STATUTORY_LAB})


class Authority(StrEnum):
    """Under which law an office samples; the clocks differ (APQSL art. 51, FSL art. 88)."""

    AGRICULTURE = "agriculture"
    MARKET_REGULATION = "market_regulation"


class SamplePurpose(StrEnum):
    """Why a sample is taken; only monitoring and supervision count for the pass rate (§6 no. 5)."""

    ENTRY = "entry"
    SELF = "self"
    MONITORING = "monitoring"
    SUPERVISION = "supervision"
    TARGETED = "targeted"


class State(StrEnum):
    """In which state a food is tested: limits for dried goods are limits of their own."""

    FRESH = "fresh"
    DRIED = "dried"


class Status(StrEnum):
    """Where a sample's case stands."""

    SAMPLED = "sampled"
    INVALID = "invalid"
    PASSED = "passed"
    UNDETERMINED = "undetermined"
    SUSPECT = "suspect"
    POSITIVE = "positive"
    PRESUMPTIVE = "presumptive"
    CONFIRMED_FAIL = "confirmed_fail"
    CLEARED = "cleared"


HOLDING: Final = frozenset(
    {Status.SUSPECT, Status.POSITIVE, Status.PRESUMPTIVE, Status.CONFIRMED_FAIL}
)
"""Statuses in which the lot is on hold."""

GOOD: Final = frozenset({Status.PASSED, Status.CLEARED})


class MeasureStep(StrEnum):
    """What an office did about a result."""

    STARTED = "started"
    FINISHED = "finished"
    PUBLISHED = "published"


class TestKind(StrEnum):
    """By which sort of method."""

    QUICK = "quick"
    LAB = "lab"


class Outcome(StrEnum):
    """What one test comes to."""

    PASS = "pass"  # noqa: S105 (no password)
    SUSPECT = "suspect"
    POSITIVE = "positive"
    FAIL = "fail"
    INVALID = "invalid"
    UNDETERMINED = "undetermined"


class Reading(StrEnum):
    """What a quick method shows."""

    INHIBITION = "inhibition"
    STRIP = "strip"
    COLOUR = "colour"


class TestLine(StrEnum):
    """The test line of a competitive strip beside its control line."""

    NONE = "none"
    WEAKER = "weaker"
    EQUAL = "equal"
    STRONGER = "stronger"


class UnknownSample(DomainError):
    """No sample has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-sample"
    title: ClassVar[Text] = Text("没有这个样品", "There is no such sample")
    next_step: ClassVar[Text] = Text("请核对样品编号", "Check the sample's number")


class LayerNotYours(DomainError):
    """A market samples as a market, an office as an office, everybody else for himself."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "layer-not-yours"
    title: ClassVar[Text] = Text("该检测层级与您的身份不符", "This layer of testing is not yours")
    next_step: ClassVar[Text] = Text(
        "市场选批发或零售市场自检，监管部门选联动快检或法定检测并注明执法依据",
        "A market names its own layer; an office names its layer and the authority it acts under",
    )


class AlreadySampledAbove(DomainError):
    """What a higher office of agriculture sampled is not sampled again below (APQSL art. 47)."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "already-sampled-above"
    title: ClassVar[Text] = Text(
        "上级农业农村部门已对该批次抽样", "A higher office has sampled this lot already"
    )
    next_step: ClassVar[Text] = Text("请采用上级的检测结果", "Use the result of the higher office")


class SampleNumberTaken(DomainError):
    """One number stands for one sample of whoever took it."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "sample-number-taken"
    title: ClassVar[Text] = Text("样品编号已被使用", "The sample's number is taken")
    next_step: ClassVar[Text] = Text("请换一个样品编号", "Give the sample another number")


class TestNotYours(DomainError):
    """Whoever took a sample tests it, and a laboratory or test point that it was sent to."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "test-not-yours"
    title: ClassVar[Text] = Text("您不能登记该样品的检测", "Testing this sample is not yours")
    next_step: ClassVar[Text] = Text(
        "只有抽样方和受其委托的检验机构或快检点可以登记；请抽样方先在平台登记送样",
        "Whoever took it records the test, or whom it was sent to: let the sampler tell that first",
    )


class NotALaboratory(DomainError):
    """Samples are sent to laboratories and test points."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "not-a-laboratory"
    title: ClassVar[Text] = Text(
        "该单位不是检验机构或快检点", "The party is no laboratory and no test point"
    )
    next_step: ClassVar[Text] = Text(
        "请选择有资质(CMA)的检验机构或快检点", "Choose an accredited laboratory (CMA) or test point"
    )


class AlreadyCommissioned(DomainError):
    """A sample is sent to a laboratory once."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "already-commissioned"
    title: ClassVar[Text] = Text("样品已送该机构", "The sample was sent there already")
    next_step: ClassVar[Text] = Text(
        "请等待其结果，或另选机构", "Wait for its result, or choose another laboratory"
    )


class LabNotAccredited(DomainError):
    """Only a laboratory's result decides."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "lab-not-accredited"
    title: ClassVar[Text] = Text(
        "只有检验机构可以登记实验室检测结果", "Only a laboratory records laboratory results"
    )
    next_step: ClassVar[Text] = Text(
        "请委托有资质(CMA)的检验机构", "Have an accredited laboratory (CMA) test it"
    )


class UnknownMethod(DomainError):
    """No quick method of this code was in force on the day."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-method"
    title: ClassVar[Text] = Text("当日没有该快检方法", "No such quick method was in force that day")
    next_step: ClassVar[Text] = Text(
        "请从快检方法列表中选择", "Choose from the list of quick methods"
    )


class UnknownSubstance(DomainError):
    """Nothing that is looked for is called that."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-substance"
    title: ClassVar[Text] = Text("没有这个检测项目", "There is no such substance")
    next_step: ClassVar[Text] = Text(
        "请核对名称，或先导入限量表", "Check its name, or import its limits first"
    )


class ReadingMissing(DomainError):
    """The method shows something else than what was stated."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "reading-missing"
    title: ClassVar[Text] = Text(
        "缺少该方法的读数", "The reading that this method gives is missing"
    )
    next_step: ClassVar[Text] = Text(
        "抑制率法填抑制率；试纸条填检测线、质控线和检测项目；显色法填结果和检测项目",
        "Give the inhibition; both lines and the substance of a strip; what a colour reaction "
        "showed, and of what",
    )


class TestedTooEarly(DomainError):
    """Nothing is tested before it is taken."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "tested-too-early"
    title: ClassVar[Text] = Text("检测时间早于抽样时间", "That is before the sample was taken")
    next_step: ClassVar[Text] = Text("请检查日期和时间", "Check the date and time")


class RetestNotQuick(DomainError):
    """What is in dispute, or decided, is not decided again by a quick method (FSL art. 88)."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "retest-not-quick"
    title: ClassVar[Text] = Text("复检不得采用快速检测方法", "A re-test may not use a quick method")
    next_step: ClassVar[Text] = Text(
        "请送检验机构，或另行抽样", "Send it to a laboratory, or take another sample"
    )


class SampleDecided(DomainError):
    """A laboratory has decided; only a re-test after an objection can differ."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "sample-decided"
    title: ClassVar[Text] = Text("该样品已有实验室结论", "A laboratory has decided this sample")
    next_step: ClassVar[Text] = Text(
        "请在复检期限内申请复检，或另行抽样",
        "Object in time for a re-test, or take another sample",
    )


class NoObjection(DomainError):
    """A re-test follows an objection."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "no-objection"
    title: ClassVar[Text] = Text("没有待处理的复检申请", "No objection asks for a re-test")
    next_step: ClassVar[Text] = Text(
        "请由货主先提出复检申请", "Let the holder of the goods object first"
    )


class SameLab(DomainError):
    """The laboratory of the first test does not make the re-test (FSL art. 88)."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "same-lab"
    title: ClassVar[Text] = Text(
        "复检机构与初检机构不得为同一机构", "The re-test belongs to another laboratory"
    )
    next_step: ClassVar[Text] = Text("请更换检验机构", "Choose another laboratory")


class NothingToObject(DomainError):
    """Only a result that stands against the goods can be objected to."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "nothing-to-object"
    title: ClassVar[Text] = Text("当前没有可提出异议的结果", "There is no result to object to")
    next_step: ClassVar[Text] = Text("请等待检测结果", "Wait for the result")


class ObjectionByContract(DomainError):
    """Against a market's own test the law gives no re-test; the contract may."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "objection-by-contract"
    title: ClassVar[Text] = Text(
        "市场或自行检测的异议按合同约定处理",
        "Objections to a market's own test follow the contract",
    )
    next_step: ClassVar[Text] = Text(
        "请与市场管理方协商，可委托检验机构", "Ask the market; a laboratory may be commissioned"
    )


class ObjectionLate(DomainError):
    """The time to object is over."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "objection-late"
    title: ClassVar[Text] = Text("已超过申请复检的期限", "The time to object is over")
    next_step: ClassVar[Text] = Text(
        "请向监管部门说明情况", "Explain your case to the office that took the sample"
    )


class SampleNotFailed(DomainError):
    """Measures follow a confirmed failure."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "sample-not-failed"
    title: ClassVar[Text] = Text(
        "该样品没有确认不合格", "The sample is not confirmed to have failed"
    )
    next_step: ClassVar[Text] = Text("请等待实验室结论", "Wait for the laboratory")


class ClockNotExtendable(DomainError):
    """The law of the day knows no extension of this time."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "clock-not-extendable"
    title: ClassVar[Text] = Text("该期限不得延长", "This time cannot be put off")
    next_step: ClassVar[Text] = Text(
        "请在期限内办结；可延长的是核查处置期限", "Finish in time; 核查处置 is what can be put off"
    )


class ClockNotRunning(DomainError):
    """Only a time that runs can be put off."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "clock-not-running"
    title: ClassVar[Text] = Text("该期限没有在计时", "This time is not running")
    next_step: ClassVar[Text] = Text("请核对样品的期限列表", "Look at the deadlines of the sample")


class ExtensionLate(DomainError):
    """Whoever wants more time says so while there is some."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "extension-late"
    title: ClassVar[Text] = Text("期限已过，不能再延长", "The time is over and cannot be put off")
    next_step: ClassVar[Text] = Text(
        "请尽快办结，该期限将显示为逾期", "Finish as soon as you can; the deadline shows as overdue"
    )


class ExtendedAlready(DomainError):
    """A time is put off as often as the law of the day allows."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "extended-already"
    title: ClassVar[Text] = Text("已达到可延长的次数", "It was put off as often as it may be")
    next_step: ClassVar[Text] = Text("请在延长后的期限内办结", "Finish within the time given")


class NothingToPublish(DomainError):
    """What is published is what a laboratory found for an office."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "nothing-to-publish"
    title: ClassVar[Text] = Text("没有应公布的结果", "There is no result to publish")
    next_step: ClassVar[Text] = Text("请等待实验室结论", "Wait for the laboratory")


@dataclass(frozen=True, slots=True)
class Method:
    """A quick method, as in force for a while; its cut-offs are no legal limits.

    Attributes:
        covers: Substances that it looks for together; empty where each strip is for one.
        suspect_from: Per cent of inhibition from which a result is suspect, and
        positive_from: positive; each belongs to the upper band.
        repeats: How often a finding is repeated before it is judged.
        interferes: Products whose own juice inhibits the enzyme too.
    """

    code: str
    name: Text
    reading: Reading
    covers: tuple[str, ...]
    suspect_from: Decimal | None
    positive_from: Decimal | None
    repeats: int
    interferes: frozenset[int]
    advice: Text | None
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool

    def in_force(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return dated.in_force(self.valid_from, self.valid_to, on)


@dataclass(frozen=True, slots=True)
class QuickReading:
    """What was read off.

    Attributes:
        value: Per cent of inhibition, raw: noise reaches below 0 and above 100.
        detected: The outcome of a colour reaction.
        told_positive: What the device itself says; None where it says nothing.
    """

    substance: str | None = None
    value: Decimal | None = None
    control_line: bool | None = None
    test_line: TestLine | None = None
    detected: bool | None = None
    told_positive: bool | None = None


def read_off(method: Method, reading: QuickReading) -> Outcome:
    """Say what a reading comes to by a method's bands.

    A device that found something where our band finds nothing is not overruled: that is suspect.

    Raises:
        ReadingMissing: the method shows something else.
    """
    if method.reading is not Reading.INHIBITION and reading.substance is None:
        raise ReadingMissing(pointer="/reading/substance")
    if method.reading is Reading.INHIBITION:
        outcome = _by_inhibition(method, reading)
    elif method.reading is Reading.STRIP:
        outcome = _by_strip(reading)
    else:
        outcome = _found(reading.detected, reading.told_positive, "/reading/detected")
    if outcome is Outcome.PASS and reading.told_positive:
        return Outcome.SUSPECT
    return outcome


def _by_strip(reading: QuickReading) -> Outcome:
    """Read a competitive strip: without a control line nothing can be said."""
    if reading.control_line is False:
        return Outcome.INVALID
    if reading.control_line and reading.test_line is None:
        raise ReadingMissing(pointer="/reading/test_line")
    found = None
    if reading.control_line:
        found = reading.test_line not in {TestLine.EQUAL, TestLine.STRONGER}
    return _found(found, reading.told_positive, "/reading/control_line")


def _found(seen: bool | None, told: bool | None, pointer: str) -> Outcome:  # noqa: FBT001
    """Take what was seen, or else what the device says: many send nothing but their result."""
    found = told if seen is None else seen
    if found is None:
        raise ReadingMissing(pointer=pointer)
    return Outcome.POSITIVE if found else Outcome.PASS


def _by_inhibition(method: Method, reading: QuickReading) -> Outcome:
    if reading.value is None:
        raise ReadingMissing(pointer="/reading/value")
    assert method.positive_from is not None, "the table checks that inhibition has a band"
    if reading.value >= method.positive_from:
        return Outcome.POSITIVE
    if method.suspect_from is not None and reading.value >= method.suspect_from:
        return Outcome.SUSPECT
    return Outcome.PASS


def clamped(value: Decimal) -> Decimal:
    """Answer a percentage as it is shown; the raw value stays in the books."""
    return min(max(value, Decimal(0)), Decimal(100))


class ItemVerdict(StrEnum):
    """What a laboratory's finding of one substance comes to."""

    PASS = "pass"  # noqa: S105 (no password)
    FAIL = "fail"
    NO_LIMIT = "no_limit"


@dataclass(frozen=True, slots=True)
class JudgedItem:
    """One substance of a laboratory's report, judged."""

    substance: str
    detected: bool
    verdict: ItemVerdict


def of_report(items: Iterable[JudgedItem]) -> Outcome:
    """Say what a laboratory's report comes to.

    One item above its limit fails the sample. What is detected and has no limit is for a person to
    decide; what is not detected and has no limit decides nothing, and is no pass either.
    """
    judged = list(items)
    verdicts = {item.verdict for item in judged}
    if ItemVerdict.FAIL in verdicts:
        return Outcome.FAIL
    open_ones = any(item.verdict is ItemVerdict.NO_LIMIT and item.detected for item in judged)
    if ItemVerdict.PASS not in verdicts or open_ones:
        return Outcome.UNDETERMINED
    return Outcome.PASS


@dataclass(frozen=True, slots=True)
class Fact:
    """One test as the case's status needs it, in the order in which tests were recorded.

    Attributes:
        series: What repeats belong to: the method, and the substance of a strip.
        substances: What was looked for.
        failed: What a laboratory found too much of.
        repeats_due: How often a finding is repeated.
        retest: Whether it is the re-test after an objection.
    """

    kind: TestKind
    outcome: Outcome
    series: str
    substances: frozenset[str]
    failed: frozenset[str] = frozenset()
    repeats_due: int = 0
    retest: bool = False


_GRAVITY: Final = (
    Status.SAMPLED,
    Status.INVALID,
    Status.PASSED,
    Status.CLEARED,
    Status.UNDETERMINED,
    Status.SUSPECT,
    Status.POSITIVE,
    Status.PRESUMPTIVE,
    Status.CONFIRMED_FAIL,
)


def gravest(statuses: Iterable[Status]) -> Status:
    """Answer the status that matters most."""
    return max(statuses, key=_GRAVITY.index, default=Status.SAMPLED)


def assess(tests: Sequence[Fact]) -> Status:
    """Say where a case stands after all its tests.

    Quick tests are judged series by series, and the gravest stands. A laboratory decides: its fail
    is final until a re-test passes for the same substances; its pass clears those series whose
    substances it looked for, and no others: a test for lead clears no sample of a banned drug.
    """
    labs = [test for test in tests if test.kind is TestKind.LAB]
    failed: set[str] = set()
    for test in labs:
        if test.retest and test.outcome is Outcome.PASS:
            failed -= test.substances
        failed |= test.failed
    if failed:
        return Status.CONFIRMED_FAIL
    looked_for = frozenset[str]().union(
        *(test.substances for test in labs if test.outcome is Outcome.PASS)
    )
    found = [_of_series(series, looked_for) for series in _by_series(tests)]
    if any(test.outcome is Outcome.UNDETERMINED for test in labs):
        found.append(Status.UNDETERMINED)
    if looked_for:
        found.append(Status.CLEARED if any(test.failed for test in labs) else Status.PASSED)
    return gravest(found)


def _by_series(tests: Sequence[Fact]) -> list[list[Fact]]:
    series: dict[str, list[Fact]] = {}
    for test in tests:
        if test.kind is TestKind.QUICK:
            series.setdefault(test.series, []).append(test)
    return list(series.values())


def _of_series(tests: Sequence[Fact], looked_for: frozenset[str]) -> Status:
    """Judge the quick tests of one method: the first finding is repeated before it counts."""
    read = [test for test in tests if test.outcome is not Outcome.INVALID]
    if not read:
        return Status.INVALID
    first = next((n for n, test in enumerate(read) if test.outcome is not Outcome.PASS), None)
    if first is None:
        return Status.PASSED
    if read[first].substances & looked_for:
        return Status.CLEARED
    due = read[first].repeats_due
    repeats = read[first + 1 : first + 1 + due]
    bad = [test for test in repeats if test.outcome is not Outcome.PASS]
    if len(repeats) < due:
        worst = {test.outcome for test in [read[first], *bad]}
        return Status.POSITIVE if Outcome.POSITIVE in worst else Status.SUSPECT
    if not bad and due:
        return Status.CLEARED
    # 全部不合格才判定: what is not found every time is neither judged nor let go.
    return Status.PRESUMPTIVE if len(bad) == due else Status.SUSPECT


def repeats_left(tests: Sequence[Fact]) -> int:
    """Say how many repeats are missing until a quick finding counts; the most of all series."""
    if any(test.kind is TestKind.LAB for test in tests):
        return 0
    return max((_left(series) for series in _by_series(tests)), default=0)


def _left(tests: Sequence[Fact]) -> int:
    read = [test for test in tests if test.outcome is not Outcome.INVALID]
    for number, test in enumerate(read):
        if test.outcome is not Outcome.PASS:
            return max(0, test.repeats_due - (len(read) - number - 1))
    return 0


def check_test(
    *,
    kind: TestKind,
    retest: bool,
    status: Status,
    objected: bool,
    lab: int,
    earlier_labs: Iterable[int],
) -> None:
    """Refuse a test that the state of the case does not allow.

    Args:
        kind: Quick or laboratory.
        retest: Whether it is said to be the re-test.
        status: Where the case stands.
        objected: Whether an objection waits for its re-test.
        lab: Who tests.
        earlier_labs: Who made the laboratory tests so far.

    Raises:
        RetestNotQuick: a quick method, where it is in dispute or decided.
        NoObjection: a re-test that nobody asked for.
        SameLab: the laboratory of the first test makes the re-test.
        SampleDecided: a laboratory has decided, and this is no re-test.
    """
    labs = frozenset(earlier_labs)
    if kind is TestKind.QUICK:
        if retest or objected or labs or status in {Status.PRESUMPTIVE, Status.CLEARED}:
            raise RetestNotQuick
        return
    if retest:
        if not objected:
            raise NoObjection
        if lab in labs:
            raise SameLab
    elif status is Status.CONFIRMED_FAIL or (labs and status in GOOD):
        raise SampleDecided


def check_layer(layer: Layer, authority: Authority | None, roles: frozenset[RoleKind]) -> None:
    """Refuse a layer that is not the sampler's.

    Raises:
        LayerNotYours: it is another's, or an office names no authority, or somebody else does.
    """
    own = RoleKind.REGULATOR not in roles and RoleKind.MARKET not in roles
    fits = (
        (layer in LAYERS_OF_OFFICES and RoleKind.REGULATOR in roles and authority is not None)
        or (layer in LAYERS_OF_MARKETS and RoleKind.MARKET in roles and authority is None)
        or (layer is Layer.OWN and own and authority is None)
    )
    if not fits:
        raise LayerNotYours(layer=layer)


class Verdict(StrEnum):
    """What all tests of a lot come to."""

    FAILED = "failed"
    SUSPECT = "suspect"
    UNDETERMINED = "undetermined"
    PASSED = "passed"
    UNTESTED = "untested"


VERDICT_OF: Final[Mapping[Status, Verdict]] = {
    Status.SAMPLED: Verdict.UNTESTED,
    Status.INVALID: Verdict.UNTESTED,
    Status.PASSED: Verdict.PASSED,
    Status.CLEARED: Verdict.PASSED,
    Status.UNDETERMINED: Verdict.UNDETERMINED,
    Status.SUSPECT: Verdict.SUSPECT,
    Status.POSITIVE: Verdict.SUSPECT,
    Status.PRESUMPTIVE: Verdict.SUSPECT,
    Status.CONFIRMED_FAIL: Verdict.FAILED,
}
_VERDICTS: Final = (
    Verdict.UNTESTED,
    Verdict.PASSED,
    Verdict.UNDETERMINED,
    Verdict.SUSPECT,
    Verdict.FAILED,
)
AGAINST: Final = frozenset({Verdict.FAILED, Verdict.SUSPECT, Verdict.UNDETERMINED})


@dataclass(frozen=True, slots=True)
class Standing:
    """What tests say of a lot at an instant.

    Attributes:
        verdict: The gravest of its samples: a pass for one substance clears no other's fail.
        sample: The sample that decides; None where none does.
        layer: Who took that sample.
        statutory: Whether a laboratory decided it, and not a quick method.
        sampled_at: When it was taken.
        decided_at: When its status became what it is.
        inherited_from: The lot of that sample, where it is an ancestor's.
    """

    verdict: Verdict = Verdict.UNTESTED
    status: Status | None = None
    sample: UUID | None = None
    layer: Layer | None = None
    statutory: bool = False
    sampled_at: datetime | None = None
    decided_at: datetime | None = None
    inherited_from: int | None = None


def worst(standings: Iterable[Standing]) -> Standing:
    """Answer the standing that matters most; of two alike the later one."""
    found = Standing()
    for standing in standings:
        if _VERDICTS.index(standing.verdict) >= _VERDICTS.index(found.verdict):
            found = standing
    return found


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a caller knows of lots and what went into them.

    Attributes:
        parents: The lots that went into each lot.
        products: The product of each lot.
    """

    parents: Mapping[int, Sequence[int]] = field(default_factory=dict)
    products: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamedTest:
    """What a number on somebody's paper stands for in the books.

    Attributes:
        holder: Who held the goods when the sample was taken, and
        taken_by: who took it.
        status: Where its case stood at the instant that was asked for; None before its first step.
    """

    sample: UUID
    lot: int
    product: int
    holder: int
    taken_by: int
    taken_at: datetime
    status: Status | None


def undivided(lot: int, lineage: Lineage) -> frozenset[int]:
    """Answer a lot and what it was before, as long as nothing else went into it.

    A test of any of these is a test of the same goods; that of one of several sources is not.
    """
    found = {lot}
    parents = lineage.parents.get(lot, ())
    while len(parents) == 1 and lineage.products.get(parents[0]) == lineage.products.get(lot):
        (lot,) = parents
        found.add(lot)
        parents = lineage.parents.get(lot, ())
    return frozenset(found)


def inherit(lot: int, own: Mapping[int, Standing], lineage: Lineage) -> Standing:
    """Say how a lot stands when what it came from counts too.

    What stands against any ancestor stands against the lot: residues do not go away by selling. A
    pass is inherited only where every part of the goods passed, and only by the same product.

    Args:
        lot: The lot in question.
        own: The standings of the lot and its ancestors by themselves.
        lineage: What went into what; a graph without cycles.
    """
    settled: dict[int, Standing] = {}
    waiting = [lot]
    while waiting:  # No recursion: a chain can be longer than Python's stack.
        current = waiting[-1]
        parents = lineage.parents.get(current, ())
        missing = [parent for parent in parents if parent not in settled]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if current not in settled:
            settled[current] = _inherited(current, parents, own, settled, lineage)
    return settled[lot]


def _inherited(
    lot: int,
    parents: Sequence[int],
    own: Mapping[int, Standing],
    settled: Mapping[int, Standing],
    lineage: Lineage,
) -> Standing:
    standing = own.get(lot, Standing())
    above = [(parent, settled[parent]) for parent in parents]
    against = [_from(parent, known) for parent, known in above if known.verdict in AGAINST]
    gravest_of_all = worst([*against, standing])
    if gravest_of_all.verdict in AGAINST or standing.verdict is Verdict.PASSED or not above:
        return gravest_of_all
    product = lineage.products.get(lot)
    same = all(
        known.verdict is Verdict.PASSED and lineage.products.get(parent) == product
        for parent, known in above
    )
    return _from(*above[0]) if same else standing


def _from(parent: int, standing: Standing) -> Standing:
    return Standing(
        verdict=standing.verdict,
        status=standing.status,
        sample=standing.sample,
        layer=standing.layer,
        statutory=standing.statutory,
        sampled_at=standing.sampled_at,
        decided_at=standing.decided_at,
        inherited_from=standing.inherited_from or parent,
    )
