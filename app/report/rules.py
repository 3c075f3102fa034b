"""Decides whose a report is, how much is too much, and what an office may do with it."""

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from app.core import calendar, dated
from app.core.clock import local_date
from app.core.errors import DomainError, Kind, Text
from app.party.access import BEYOND_THE_GATE, Department, RoleKind
from app.testing.rules import ExtendedAlready, ExtensionLate

CODE_BYTES: Final = 10
BODY_BYTES_MAX: Final = 24 << 20
"""Of a report with its photos: what the dated limits allow, written in Base64. It is read whole."""
_GROUP: Final = 4
DIVISION_DIGITS: Final = 6


class ReportProblem(StrEnum):
    """What is wrong, as whoever reports it chooses."""

    UNSAFE = "unsafe"
    ILL = "ill"
    LABEL_DIFFERS = "label_differs"
    COPIED = "copied"
    SHORT_WEIGHT = "short_weight"
    OTHER = "other"


PROBLEM_WORDS: Final[Mapping[ReportProblem, Text]] = MappingProxyType(
    {
        ReportProblem.UNSAFE: Text("变质、异味或有异物", "Spoiled, smells, or has foreign matter"),
        ReportProblem.ILL: Text("食用后不适", "Somebody fell ill after eating it"),
        ReportProblem.LABEL_DIFFERS: Text(
            "货物与票面不符", "The goods are not what the ticket says"
        ),
        ReportProblem.COPIED: Text("怀疑票据被复制或伪造", "The ticket seems copied or forged"),
        ReportProblem.SHORT_WEIGHT: Text("缺斤短两", "Short weight"),
        ReportProblem.OTHER: Text("其他", "Something else"),
    }
)


class ReportState(StrEnum):
    """How far a report has come."""

    RECEIVED = "received"
    TAKEN_UP = "taken_up"
    ANSWERED = "answered"


STATE_WORDS: Final[Mapping[ReportState, Text]] = MappingProxyType(
    {
        ReportState.RECEIVED: Text("已收到，等待受理", "Received; nobody has taken it up yet"),
        ReportState.TAKEN_UP: Text("已受理，正在处理", "Taken up, and being looked into"),
        ReportState.ANSWERED: Text("已答复", "Answered"),
    }
)

DEPARTMENT_WORDS: Final[Mapping[Department, Text]] = MappingProxyType(
    {
        Department.AGRICULTURE: Text("农业农村部门", "Agriculture office"),
        Department.MARKET_REGULATION: Text("市场监督管理部门", "Market regulation office"),
    }
)


class ReportStepKind(StrEnum):
    """What an office does with a report."""

    TAKE_UP = "take_up"
    ANSWER = "answer"
    REFER = "refer"
    EXTEND = "extend"


class ReportClock(StrEnum):
    """What an office has to do in time."""

    DECIDE = "decide"
    ANSWER = "answer"


class NoSuchDocument(DomainError):
    """The report names nothing of the books, so nobody can say whose it is."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "report-needs-document"
    title: ClassVar[Text] = Text("没有这张票或合格证", "There is no such ticket or certificate")
    next_step: ClassVar[Text] = Text(
        "请核对编码；没有票据请拨打 12315 (市场监管) 或 12345 (政务服务)",
        "Check the code; without a ticket, call 12315 (market regulation) or 12345 (government)",
    )


class TooManyReports(DomainError):
    """The day's reports from one address, or about one document, are too many."""

    kind: ClassVar[Kind] = Kind.TOO_MANY
    code: ClassVar[str] = "too-many-reports"
    title: ClassVar[Text] = Text(
        "今天的举报次数已达上限，本次未提交", "Too many reports today; this one was not taken"
    )
    next_step: ClassVar[Text] = Text(
        "请明天再试；紧急情况请拨打 12315 或 12345",
        "Try again tomorrow; if urgent, call 12315 or 12345",
    )


class PhotosUnfit(DomainError):
    """More photos than a report may have, or more bytes of them."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "report-photos-unfit"
    title: ClassVar[Text] = Text(
        "照片太多或太大，本次未提交", "Too many photos, or too large; the report was not taken"
    )
    next_step: ClassVar[Text] = Text(
        "请少选几张，或先把照片缩小", "Choose fewer photos, or make them smaller"
    )


class UnknownReport(DomainError):
    """No report has this id or code, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-report"
    title: ClassVar[Text] = Text("没有这条举报", "There is no such report")
    next_step: ClassVar[Text] = Text("请核对查询码或编号", "Check the tracking code, or the number")


class ReportMovedOn(DomainError):
    """The report is no longer in a state in which this can be done."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "report-moved-on"
    title: ClassVar[Text] = Text("该举报的状态不允许此操作", "The report is past this step")
    next_step: ClassVar[Text] = Text(
        "请重新读取该举报：受理一次，答复一次，答复后不再移送或延期",
        "Read the report again: it is taken up once, answered once, and then neither referred nor"
        " put off",
    )


class ReportNotMoved(DomainError):
    """A report was to be referred to the office that it lies with."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "report-not-moved"
    title: ClassVar[Text] = Text("该举报已在此部门", "The report lies with this office already")
    next_step: ClassVar[Text] = Text(
        "请选择另一地区或另一部门", "Name another place or the other department"
    )


class Office(NamedTuple):
    """Whose a report is.

    Attributes:
        division_code: County of the responsible site.
        department: Which of its two offices.
    """

    division_code: str
    department: Department


def office_of(
    *,
    market_division: str | None,
    seller_division: str,
    seller_roles: Collection[RoleKind],
    through_market: bool,
) -> Office:
    """Say which office answers for the goods of a document (domain.md §1.4; APQSL arts. 60, 77).

    From the gate of a market on it is market regulation of the market's county; before, agriculture
    of the county where whoever sold or certified the goods is.

    Args:
        market_division: Of the market in which the ticket was issued, if in one.
        seller_division: Of whoever issued the document.
        seller_roles: What they are in the trade; empty where nobody knows.
        through_market: Whether the goods came out of a market before.
    """
    if market_division is not None:
        return Office(market_division[:DIVISION_DIGITS], Department.MARKET_REGULATION)
    beyond = through_market or not seller_roles or not BEYOND_THE_GATE.isdisjoint(seller_roles)
    department = Department.MARKET_REGULATION if beyond else Department.AGRICULTURE
    return Office(seller_division[:DIVISION_DIGITS], department)


@dataclass(frozen=True, slots=True)
class Rule:
    """A term or threshold, dated.

    Attributes:
        amount: Working days of `decide` and `answer`, and those that `extend` adds; how often
            that may be (`extensions`); reports a day of `per_address` and `per_document`; photos
            of `photos`, and KiB of them together of `photos_kib`.
    """

    kind: str
    valid_from: date
    valid_to: date | None
    amount: int
    source: str
    verified: bool


def amount_of(rules: Iterable[Rule], kind: str, on: date) -> int:
    """Answer the amount of the rule in force on a day."""
    return next(
        rule.amount
        for rule in rules
        if rule.kind == kind and dated.in_force(rule.valid_from, rule.valid_to, on)
    )


def check_not_flooded(
    rules: Collection[Rule], *, on: date, from_address: int, about_document: int
) -> None:
    """Refuse a report beyond the day's share of an address or of a document.

    Args:
        rules: All there are.
        on: The day in Shanghai.
        from_address: Reports of the day that came from the same address.
        about_document: Reports of the day about the same document.

    Raises:
        TooManyReports: there are as many already as a day may have.
    """
    for kind, count in (("per_address", from_address), ("per_document", about_document)):
        if count >= amount_of(rules, kind, on):
            raise TooManyReports(limit=kind)


def check_photos(rules: Collection[Rule], *, on: date, sizes_bytes: Collection[int]) -> None:
    """Refuse more photos than a report may have on a day, or larger ones.

    Args:
        rules: All there are.
        on: The day in Shanghai.
        sizes_bytes: Of each photo as it was sent.

    Raises:
        PhotosUnfit: there are too many, or together they are too large.
    """
    if (limit := amount_of(rules, "photos", on)) < len(sizes_bytes):
        raise PhotosUnfit(limit="photos", photos_max=limit)
    if (limit := amount_of(rules, "photos_kib", on)) << 10 < sum(sizes_bytes):
        raise PhotosUnfit(limit="photos_kib", kib_max=limit)


def due_on(rules: Iterable[Rule], clock: ReportClock, received_at: datetime) -> date:
    """Answer the last day on which an office decides about a report, or answers it."""
    on = local_date(received_at)
    return calendar.add_working_days(on, amount_of(rules, clock, on)).on


def put_off(rules: Collection[Rule], *, due_on: date, already: int, on: date) -> date:
    """Answer the last day of an answer that the head of an office puts off.

    The days that are added follow the last day of the time that was.

    Args:
        rules: All there are.
        due_on: Its last day until now.
        already: How often it was put off before.
        on: The day in Shanghai.

    Raises:
        ExtensionLate: the time is over.
        ExtendedAlready: it was put off as often as the law of the day allows.
    """
    if on > due_on:
        raise ExtensionLate(until=due_on.isoformat())
    if already >= (most := amount_of(rules, "extensions", on)):
        raise ExtendedAlready(most=most, until=due_on.isoformat())
    return calendar.add_working_days(due_on, amount_of(rules, "extend", on)).on


class Running(NamedTuple):
    """The clock that an office is to obey now, and its last day."""

    clock: ReportClock
    due_on: date


def running(state: ReportState, *, due_on: date, answer_due_on: date) -> Running | None:
    """Say which clock of a report runs; None once it is answered.

    Args:
        state: How far it has come.
        due_on: Last day of the decision whether it is taken up.
        answer_due_on: Last day of its answer.
    """
    return {
        ReportState.RECEIVED: Running(ReportClock.DECIDE, due_on),
        ReportState.TAKEN_UP: Running(ReportClock.ANSWER, answer_due_on),
        ReportState.ANSWERED: None,
    }[state]


def state_after(state: ReportState, step: ReportStepKind) -> ReportState:
    """Say what a step makes of a report.

    Raises:
        ReportMovedOn: it was answered, or is to be taken up a second time.
    """
    if state is ReportState.ANSWERED or (
        step is ReportStepKind.TAKE_UP and state is ReportState.TAKEN_UP
    ):
        raise ReportMovedOn(state=state)
    return {
        ReportStepKind.TAKE_UP: ReportState.TAKEN_UP,
        ReportStepKind.ANSWER: ReportState.ANSWERED,
        ReportStepKind.REFER: ReportState.RECEIVED,
        ReportStepKind.EXTEND: state,
    }[step]


def write_code(drawn: bytes) -> str:
    """Write a tracking code of 80 random bits as `XXXX-XXXX-XXXX-XXXX` (RFC 4648 §6)."""
    letters = base64.b32encode(drawn).decode()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def read_code(typed: str) -> str:
    """Tidy a tracking code that somebody typed: case, blanks and hyphens do not matter."""
    letters = "".join(typed.split()).replace("-", "").upper()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
