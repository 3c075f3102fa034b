"""What an inspection is: who may make it, when it happened, who may overrule it. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from app.admission.policy import GRAVITY, LET_IN, Decision, Severity
from app.admission.rules import Entry
from app.core.errors import DomainError, Kind, Text
from app.party.access import BEYOND_THE_GATE, Department, RoleKind


class CaseKind(StrEnum):
    """What cannot both be in order."""

    ADMITTED_AT_TWO_GATES = "admitted_at_two_gates"
    ADMITTED_MORE_THAN_ISSUED = "admitted_more_than_issued"
    LET_IN_AGAINST_VERDICT = "let_in_against_verdict"
    SEQUENCE_REPEATED = "sequence_repeated"


class CaseState(StrEnum):
    """What became of a case."""

    OPEN = "open"
    HANDLED = "handled"
    FALSE = "false"


# --- refusals -------------------------------------------------------------------------------------


class NotAGate(DomainError):
    """Goods are inspected at a market or one of its gates."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "not-a-gate"
    title: ClassVar[Text] = Text(
        "该地点不是市场或市场入口", "The place is no market and no gate of one"
    )
    next_step: ClassVar[Text] = Text("请选择市场或其入口", "Choose a market or one of its gates")


class GateNotYours(DomainError):
    """A market's office inspects at its own gates, a regulator in its jurisdiction."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "gate-not-yours"
    title: ClassVar[Text] = Text("该市场不归您管理", "You do not answer for this market")
    next_step: ClassVar[Text] = Text(
        "请由该市场或辖区监管部门办理", "Leave it to the market, or to the regulator of its area"
    )


class UnknownInspection(DomainError):
    """No inspection or line has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-inspection"
    title: ClassVar[Text] = Text("没有这条查验记录", "There is no such inspection")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class UnknownPaper(DomainError):
    """No paper document has this id, or it was recorded by others."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-paper"
    title: ClassVar[Text] = Text("没有这份纸质证明", "There is no such paper document")
    next_step: ClassVar[Text] = Text(
        "请先登记纸质证明：拍照并填写内容", "Record the paper first: its photo and what it says"
    )


class UnknownPaperKind(DomainError):
    """No paper of this kind was in use on its day of issue."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-paper-kind"
    title: ClassVar[Text] = Text(
        "该日期没有这种证明", "No paper of this kind was in use on that day"
    )
    next_step: ClassVar[Text] = Text(
        "请核对证明的种类和签发日期", "Check the kind of paper and its date of issue"
    )


class UnknownAgreement(DomainError):
    """No agreement has this id, or it is another market's."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-agreement"
    title: ClassVar[Text] = Text("没有这份质量安全协议", "There is no such agreement")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class AgreementEnded(DomainError):
    """The agreement has ended, on another day or for another reason."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "agreement-ended"
    title: ClassVar[Text] = Text("协议已终止", "The agreement has ended already")
    next_step: ClassVar[Text] = Text("请签订新协议", "Sign a new one")


class RulingNotYours(DomainError):
    """Who may overrule what: see `may_rule`."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "ruling-not-yours"
    title: ClassVar[Text] = Text(
        "您无权作出该处理决定", "This decision about the goods is not yours to make"
    )
    next_step: ClassVar[Text] = Text(
        "拒绝入场或被控制的货物只能由监管部门放行；入场归市场监管部门，生产者直接运来且尚未入场的"
        "货物也归农业农村部门；请报告其中之一",
        "Goods refused or on hold are released by the regulator alone: market regulation at the "
        "gate and beyond it, agriculture too for what comes from a producer and is not in yet",
    )


class RulingChangesNothing(DomainError):
    """The line stands at this decision already."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "ruling-changes-nothing"
    title: ClassVar[Text] = Text("该货物已是此决定", "The goods stand at this decision already")
    next_step: ClassVar[Text] = Text("请刷新后查看", "Read the inspection again")


class TestMissing(DomainError):
    """Goods that wait for a test come in on a test."""

    __test__ = False

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "test-missing"
    title: ClassVar[Text] = Text("缺少检测编号", "The test that passed is not named")
    next_step: ClassVar[Text] = Text(
        "请填写合格的快检或检验编号", "Enter the number of the quick test or report that passed"
    )


class TestNotPassed(DomainError):
    """The sample of this number has not passed."""

    __test__ = False

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "test-not-passed"
    title: ClassVar[Text] = Text(
        "该检测尚无结果或不合格", "The sample of this number has not passed"
    )
    next_step: ClassVar[Text] = Text(
        "请等待合格结果；不合格的货物不得入场",
        "Wait until it has passed; goods that failed stay out",
    )


class TestDoesNotFit(DomainError):
    """The number names a test in the books, and it is none of these goods."""

    __test__ = False

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "test-does-not-fit"
    title: ClassVar[Text] = Text(
        "该检测编号属于其他货物", "The test of this number is not of these goods"
    )
    next_step: ClassVar[Text] = Text(
        "请核对编号；批次、产品和日期须与货物相符，否则请重新检测",
        "Check the number: lot, product and date must be those of the goods; else test them",
    )


class TestNotVerified(DomainError):
    """The books know no test of this number, and the rules of the day ask for one that they do."""

    __test__ = False

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "test-not-verified"
    title: ClassVar[Text] = Text(
        "本平台没有该检测编号的记录", "The books know no test of this number"
    )
    next_step: ClassVar[Text] = Text(
        "请先在本平台登记抽样和检测结果", "Record the sample and its result here first"
    )


class UnknownCase(DomainError):
    """No case has this id, or none that the caller answers for."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-case"
    title: ClassVar[Text] = Text("没有这个待查事项", "There is no such case")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class CaseClosed(DomainError):
    """Somebody closed the case in another way."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "case-closed"
    title: ClassVar[Text] = Text("该事项已办结", "The case has been closed already")
    next_step: ClassVar[Text] = Text("请查看处理结果", "Read how it was closed")


class CaseNotYours(DomainError):
    """Another department's office answers for the goods that the case is about."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "case-not-yours"
    title: ClassVar[Text] = Text(
        "该事项由其他部门处理", "Another department answers for these goods"
    )
    next_step: ClassVar[Text] = Text(
        "请移送负责的部门：已入市的产品归市场监管部门，入市前的产品也归农业农村部门",
        "Refer it to the department in charge: market regulation for what is in a market, "
        "agriculture too for what has not entered one",
    )


class CaseOfTheMarket(DomainError):
    """Whoever is a party to a case does not say that it was handled; see `market_may_close`."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "case-of-the-market"
    title: ClassVar[Text] = Text(
        "市场是该事项的当事方，由负责的监管部门办结",
        "The market is a party to this case: the office in charge closes it",
    )
    next_step: ClassVar[Text] = Text(
        "请填写情况说明，由市场所在地的市场监督管理部门(入市前的产品也可由农业农村部门)办结",
        "State what happened and what you did: the office of market regulation over the market "
        "closes it (agriculture too, for what has not entered a market)",
    )


class CaseAnswered(DomainError):
    """A market states once what happened."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "case-answered"
    title: ClassVar[Text] = Text(
        "该事项已有市场的说明", "The market has answered this case already"
    )
    next_step: ClassVar[Text] = Text(
        "如有补充请直接告知负责的监管部门", "Tell the office in charge what is to be added"
    )


class UnknownDraw(DomainError):
    """Nothing was committed to for this day's draw."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-draw"
    title: ClassVar[Text] = Text("该日没有抽样承诺", "There was no draw on this day")
    next_step: ClassVar[Text] = Text("请核对日期", "Check the day")


# --- when it happened -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clocking:
    """What there is to tell when an inspection happened.

    Attributes:
        received_at: The server's clock, when it arrived: the one clock that is right.
        device_at: The device's clock at the inspection; None for one made online.
        sent_at: The device's clock when it sent, which tells by how much it is off.
    """

    received_at: datetime
    device_at: datetime | None = None
    sent_at: datetime | None = None

    @property
    def offset(self) -> timedelta:
        """By how much the device's clock is behind the server's."""
        return timedelta(0) if self.sent_at is None else self.received_at - self.sent_at

    def shown_at(self, at: datetime) -> datetime:
        """Answer what the device's clock showed, or would have shown, at an instant.

        Of one that does not say what it showed when it sent, nobody knows that it was right: what
        it showed at the gate is then held against the instant at which that arrived.
        """
        if self.device_at is None:
            return at - self.offset
        if self.sent_at is None:
            return at + (self.device_at - self.received_at)
        return self.device_at


def happened_at(
    clocking: Clocking, *, after: datetime | None = None, before: datetime | None = None
) -> datetime:
    """Say when an inspection happened, by what can be believed.

    A device's clock may be wrong by years and still run evenly: what it shows when it sends, beside
    the server's clock, corrects what it showed at the gate. Nothing happened after it was received.
    And the device counts: an inspection lies between its neighbours in the device's own sequence,
    even if somebody set the clock in between.

    Args:
        clocking: Clocks.
        after: When the device's inspection before this one happened, if that is known.
        before: When the one after it happened, if it has arrived already.
    """
    told = clocking.received_at
    if clocking.device_at is not None:
        told = min(clocking.device_at + clocking.offset, clocking.received_at)
    if before is not None:
        told = min(told, before)
    return told if after is None else max(told, after)


# --- what cannot both be true ---------------------------------------------------------------------


def conflict(entry: Entry, *, place: UUID) -> CaseKind | None:
    """Say what is wrong with letting these goods in beside what came in on the same ticket.

    A ticket may come in several loads, at several gates of its market, as long as they add up to
    what it is for; at another market it has no business once it was admitted (trust.md §1.7).

    Args:
        entry: What stands there, and all that was let in on the ticket, earlier or later.
        place: The gate.
    """
    elsewhere = any(other.market != entry.market for other in entry.admitted)
    other_gate = any(other.place != place for other in entry.admitted)
    if elsewhere or (entry.exceeds and other_gate):
        return CaseKind.ADMITTED_AT_TWO_GATES
    return CaseKind.ADMITTED_MORE_THAN_ISSUED if entry.exceeds else None


# --- who may close a case -------------------------------------------------------------------------

_WITHIN_A_MARKET: Final = frozenset(
    {CaseKind.ADMITTED_AT_TWO_GATES, CaseKind.ADMITTED_MORE_THAN_ISSUED}
)


def market_may_close(kind: CaseKind, *, elsewhere: bool) -> bool:
    """Whether a market may say how a case of its own gates ended.

    It clears up what came in twice at its own gates. What it let in itself against the verdict,
    what another market let in as well, and a device of its own that counts one number twice, are
    told against it: there the office in charge decides.

    Args:
        kind: What is wrong.
        elsewhere: Whether another market let in goods on the same document.
    """
    return kind in _WITHIN_A_MARKET and not elsewhere


# --- who may overrule -----------------------------------------------------------------------------

RESERVED: Final = frozenset(
    {"lot-on-hold", "source-on-hold", "test-failed", "test-suspect", "voided", "refused"}
)
"""What a market may not set aside: goods on hold are released by whoever holds them, and a ticket
that was taken back, or whose goods were refused, is a ticket for nothing."""

_OF_MARKET: Final = frozenset({Decision.HOLD, Decision.ADMIT_AFTER_TEST})


def departments_at(
    former: Decision, *, from_roles: Collection[RoleKind], through_market: bool
) -> frozenset[Department]:
    """Say which offices rule over goods at a market's gate (domain.md §1.4; APQSL arts. 60, 77).

    Who may come into a market is market regulation's to say, and so is what is in it. Agriculture
    answers until goods enter one: what comes straight from whoever grew it stands on both sides of
    the gate until it is let in.

    Args:
        former: The decision that stands.
        from_roles: What whoever sent the goods is in the trade; empty where nobody knows.
        through_market: Whether they were sold in a market, or came out of one, before.
    """
    beyond = through_market or not from_roles or not BEYOND_THE_GATE.isdisjoint(from_roles)
    if beyond or former in LET_IN:
        return frozenset({Department.MARKET_REGULATION})
    return frozenset(Department)


def may_rule(
    former: Decision,
    decision: Decision,
    findings: Collection[str],
    *,
    verdict: Decision,
    market: bool,
    regulator: bool,
    regulator_said: Decision | None = None,
) -> bool:
    """Whether somebody may put a decision in the place of another (domain.md §2.7).

    Everybody who answers for the gate may be stricter. The market's food-safety officer may let in
    what was held or waits for a test; the regulator alone releases what was refused, or what is on
    hold, and that is then said: RELEASED_BY_REGULATOR. What a regulator decided stands until a
    regulator says otherwise, or the market is stricter; and what a device or a ruling made of goods
    in the meantime gives the market no more of a say than the verdict left it.

    Args:
        former: The decision that stands.
        decision: The new one.
        findings: Codes of the line's findings, and of what has turned up since.
        verdict: What the rules came to.
        market: Whether the caller answers for the market.
        regulator: Whether the caller's office answers here, by its area and its department; see
            `departments_at`.
        regulator_said: The last decision of a regulator about the goods, if there was one.
    """
    if decision is Decision.RELEASED_BY_REGULATOR:
        return regulator and former is not Decision.ADMIT
    if GRAVITY[decision] > GRAVITY[former]:
        return market or regulator
    if regulator_said is not None and is_milder(decision, regulator_said):
        return False
    if Decision.REFUSE in {former, verdict} or not RESERVED.isdisjoint(findings):
        return False
    return market and former in _OF_MARKET


def needs_test(former: Decision, decision: Decision, severities: Collection[str]) -> bool:
    """Whether goods are let in for good that only a test lets in (Order 81).

    Holding them first is no way around it: what the verdict found missing is missing still.

    Args:
        former: The decision that stands.
        decision: The new one.
        severities: Of the findings of the verdict.
    """
    waits = former is Decision.ADMIT_AFTER_TEST or Severity.TEST in severities
    return waits and decision is Decision.ADMIT


def is_milder(one: Decision, other: Decision) -> bool:
    """Whether a decision lets more pass than another."""
    return GRAVITY[one] < GRAVITY[other]


def gravest(decisions: Iterable[Decision]) -> Decision:
    """Answer a vehicle's decision: that of its gravest line."""
    return max(decisions, key=GRAVITY.__getitem__)
