"""Who answers for goods, how far a recall reaches, what adds up in it, and what it refuses."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final
from uuid import UUID

from app.core import dated
from app.core.calendar import WorkingDay
from app.core.clock import local_date
from app.core.errors import DomainError, Kind, Text
from app.party.access import BEYOND_THE_GATE, Department, RoleKind
from app.testing.calendar import WorkingDays
from app.trace.rules import SubGraph


class Trigger(StrEnum):
    """What a recall begins with (domain.md §2.10)."""

    TEST = "test"
    COMPLAINT = "complaint"
    NOTICE = "notice"
    SELF_CHECK = "self_check"


class Relation(StrEnum):
    """How a lot is connected with what was found."""

    FOUND = "found"
    SOURCE = "source"
    UPSTREAM = "upstream"
    DESCENDANT = "descendant"
    SIBLING = "sibling"


class StepKind(StrEnum):
    """What became known about grams of a lot in scope."""

    LOCATED = "located"
    RECOVERED = "recovered"
    CONSUMED = "consumed"


class Method(StrEnum):
    """How goods that were brought back are dealt with (FSL art. 63)."""

    DESTROYED = "destroyed"
    RENDERED_HARMLESS = "rendered_harmless"
    REMEDIED = "remedied"


class Outcome(StrEnum):
    """How a recall ends: done, or lifted because the suspicion was wrong."""

    COMPLETED = "completed"
    LIFTED = "lifted"


class Channel(StrEnum):
    """How buyers outside the platform were told."""

    LETTER = "letter"
    PHONE = "phone"
    MESSAGE = "message"
    POSTER = "poster"


ADVICE = Text(
    "立即停止销售、加工和食用，就地封存并单独存放；已售出的请通知购买者停止食用并退回。",
    "Stop selling, processing and eating it at once; set it apart and seal it; "
    "tell those who bought it to stop eating it and to bring it back.",
)
"""What holders and consumers shall do, unless the case says otherwise (FSL art. 63)."""


# --- refusals ---------------------------------------------------------------------------------


class HoldNotYours(DomainError):
    """A market answers for goods in it, a regulator for its stage of the chain and its area."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "hold-not-yours"
    title: ClassVar[Text] = Text(
        "该批次不在您的市场或辖区内，或不归您的部门管理",
        "The lot is not in your market or jurisdiction, or another department answers for it",
    )
    next_step: ClassVar[Text] = Text(
        "请移送有管辖权的市场或部门（协查）", "Refer it to the market or office that answers for it"
    )


class UnknownRecall(DomainError):
    """No recall has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-recall"
    title: ClassVar[Text] = Text("没有这个召回案件", "There is no such recall")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class NoSuspectSource(DomainError):
    """A suspect must be a lot that the goods were made of."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "no-suspect-source"
    title: ClassVar[Text] = Text(
        "可疑来源不在所查批次的上游", "A suspect source did not go into what was found"
    )
    next_step: ClassVar[Text] = Text(
        "请从追溯结果中选择来源批次", "Choose it from the trace back of the lots that were found"
    )


class RecallTooLarge(DomainError):
    """More lots than one case can hold."""

    kind: ClassVar[Kind] = Kind.TOO_LARGE
    code: ClassVar[str] = "recall-too-large"
    title: ClassVar[Text] = Text(
        "召回范围的批次数超过上限", "The scope has more lots than one case can hold"
    )
    next_step: ClassVar[Text] = Text(
        "请按可疑来源分别立案", "Open a case for each suspect source instead"
    )


class KnownBeforeGoods(DomainError):
    """The clocks of a case begin when its danger became known; goods have none before they are."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "known-before-goods"
    title: ClassVar[Text] = Text(
        "获知时间早于货物及其全部来源的产生时间",
        "The danger cannot have become known before there were any of the goods",
    )
    next_step: ClassVar[Text] = Text(
        "请核对获知时间，不应早于货物出现之时；若危害出自更早的批次，请将其列为所查批次",
        "Check when it became known, not before there were the goods; if older goods are to "
        "blame, name their lots",
    )


class RecallClosed(DomainError):
    """The case was signed off; what comes later needs a case of its own."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "recall-closed"
    title: ClassVar[Text] = Text("该召回案件已结案", "The recall is closed")
    next_step: ClassVar[Text] = Text("如有新情况请另立案", "Open a new case for what came up since")


class RecallNotYours(DomainError):
    """Who opened a case, and the office over whoever did, speak for others in it."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "recall-not-yours"
    title: ClassVar[Text] = Text(
        "您不是该召回的负责方", "You are not responsible for this part of the recall"
    )
    next_step: ClassVar[Text] = Text(
        "请联系立案方或辖区监管部门", "Ask whoever opened it, or the regulator of the area"
    )


class SignOffNotYours(DomainError):
    """A case ends by the word of the office in charge of its goods (`offices` in its facts).

    What a business did about unsafe food it reports to the office of its county (FSL art. 63).
    """

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "recall-sign-off-not-yours"
    title: ClassVar[Text] = Text(
        "召回由负责该货物的监管部门结案", "The office in charge of the goods ends the recall"
    )
    next_step: ClassVar[Text] = Text(
        "请将召回和处置情况报告货物所在地的市场监督管理部门(入市前的产品报告农业农村部门), "
        "并申请结案",
        "Ask the office where the goods are to sign it off: market regulation, or agriculture for "
        "goods that have not entered a market",
    )


class SignOffYours(DomainError):
    """Whoever may end a case does not ask anybody for it."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "recall-sign-off-yours"
    title: ClassVar[Text] = Text("该召回可由您直接结案", "You may end this recall yourself")
    next_step: ClassVar[Text] = Text("请直接结案", "Close it")


class RecallAcknowledged(DomainError):
    """A notice is acknowledged once: grams that were counted since would be kept nowhere."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "recall-acknowledged"
    title: ClassVar[Text] = Text(
        "该通知此前已确认，此次内容未予登记",
        "The notice was acknowledged before; what is said now was not recorded",
    )
    next_step: ClassVar[Text] = Text(
        "后来清点出的数量请逐批登记为查到（在召回的“步骤”中）",
        "Record what was counted since lot by lot as located, among the steps of the recall",
    )


class NotInScope(DomainError):
    """The lot, or the party, is not part of this case."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "not-in-scope"
    title: ClassVar[Text] = Text("不在该召回范围内", "That is not in the scope of the recall")
    next_step: ClassVar[Text] = Text(
        "请从召回清单中选择", "Choose from the list of the recall's lots and notices"
    )


class GramsDiffer(DomainError):
    """More would be found, brought back or disposed of than there was."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "recall-grams-differ"
    title: ClassVar[Text] = Text(
        "数量超过可核算的数量", "That is more than there is left to account for"
    )
    next_step: ClassVar[Text] = Text(
        "请核对该批次的数量：先查到，再收回，后处置",
        "Check the lot's grams: they are located first, recovered next, then disposed of",
    )


class MockOnly(DomainError):
    """In an exercise nothing is held, brought back or destroyed."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "mock-recall"
    title: ClassVar[Text] = Text(
        "演练中不得收回或销毁货物", "Nothing is brought back or destroyed in an exercise"
    )
    next_step: ClassVar[Text] = Text("演练只登记查到的数量", "Record what was located only")


class ConsumedByOwnWord(DomainError):
    """A business is not believed that goods which were to be stopped, its own or not, are eaten."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "consumed-by-own-word"
    title: ClassVar[Text] = Text(
        "货物已消费须由监管部门核实登记，企业不能自行登记",
        "A business's word is not enough that goods were consumed",
    )
    next_step: ClassVar[Text] = Text(
        "请告知办理该召回的部门或辖区监管部门，由其核实后登记",
        "Tell the office in charge, or the regulator of the area, who checks and records it",
    )


class HoldersOwnWord(DomainError):
    """What lies in a holder's store, and what became of it there, is the holder's to say.

    Whoever leads a recall says what came back to it, and what it did with that (FSL art. 63).
    """

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "holders-own-word"
    title: ClassVar[Text] = Text(
        "货物由他人持有，查到和处置的数量由持有方或监管部门登记",
        "Others hold the goods: what is found and disposed of there is theirs, or an office's, "
        "to record",
    )
    next_step: ClassVar[Text] = Text(
        "请让持有方自行登记，或请监管部门核实登记；退回到您手中的登记为收回，再登记处置",
        "Ask the holder to record it, or an office that looks; what came back to you, record as "
        "recovered, and then what you did with it",
    )


class NotRemediable(DomainError):
    """Goods that harm are not sold again, whatever is done to them (FSL art. 63)."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "not-remediable"
    title: ClassVar[Text] = Text(
        "一级、二级召回的货物不得补救后再售",
        "Goods of a class 1 or 2 recall cannot be remedied and sold",
    )
    next_step: ClassVar[Text] = Text(
        "请登记销毁或无害化处理；只有标签、标识问题可以补救",
        "Record that they were destroyed or rendered harmless; only labels can be put right",
    )


class NothingToAnnul(DomainError):
    """Only goods that are on their way can be sent back; the others are where they are."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "nothing-to-annul"
    title: ClassVar[Text] = Text(
        "该票据的货物不在途，无可撤销", "The goods of this ticket are not on their way"
    )
    next_step: ClassVar[Text] = Text(
        "请按票据现状核查：已验收的在买方，已作废的在卖方",
        "See where the ticket left them: with the buyer if accepted, with the seller if voided",
    )


class NotAnnounced(DomainError):
    """Time and place of a disposal are told to the county regulator beforehand (FSL art. 63)."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "disposal-not-announced"
    title: ClassVar[Text] = Text(
        "处置前须先向县级监管部门报告时间和地点",
        "Time and place of a disposal must be told to the county regulator beforehand",
    )
    next_step: ClassVar[Text] = Text(
        "请填写报告时间，且早于处置时间", "Say when it was announced; that is before the disposal"
    )


class GramsOpen(DomainError):
    """Grams in the scope are unaccounted for."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "recall-grams-open"
    title: ClassVar[Text] = Text(
        "仍有货物未核清，不能结案", "Grams are unaccounted for; the recall cannot be closed"
    )
    next_step: ClassVar[Text] = Text(
        "请逐批登记收回、处置或已消费的数量；在途货物请卖方先作废票据，或由负责的监管部门撤销",
        "Record what was recovered, disposed of or consumed; for goods on their way the seller "
        "voids the ticket first, or the office in charge annuls it",
    )


class StepsOpen(DomainError):
    """Notices are unacknowledged, or offices have not answered."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "recall-steps-open"
    title: ClassVar[Text] = Text(
        "仍有未确认的通知或未回复的协查，不能结案",
        "Notices are unacknowledged or referrals unanswered; the recall cannot be closed",
    )
    next_step: ClassVar[Text] = Text(
        "请催办，或上门核实后代为确认；无人答复的协查请撤回",
        "Call them, or visit them and acknowledge on their behalf; withdraw referrals that nobody "
        "answers",
    )


class SamplesUnsigned(DomainError):
    """Grams that left as samples have no disposal: whoever signs off answers for the figure."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "recall-samples-unsigned"
    title: ClassVar[Text] = Text(
        "结案须确认召回期间抽样取走的数量",
        "The grams that were taken as samples must be signed off with the recall",
    )
    next_step: ClassVar[Text] = Text(
        "请核对抽样记录，并在结案时填写抽样总克数",
        "Look through the samples, and state their grams when you close it",
    )


class UnknownReferral(DomainError):
    """No referral has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-referral"
    title: ClassVar[Text] = Text("没有这条协查", "There is no such referral")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class NoOfficeThere(DomainError):
    """A question that nobody may answer would keep its case open for ever."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "no-office-there"
    title: ClassVar[Text] = Text(
        "该地没有可以回复协查的部门", "No office of that place and department could answer"
    )
    next_step: ClassVar[Text] = Text(
        "请核对行政区划和部门，或向其上级部门发出协查",
        "Check the division and the department, or ask the office above it",
    )


class ReferralAnswered(DomainError):
    """A referral has one answer."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "referral-answered"
    title: ClassVar[Text] = Text("该协查已回复", "The referral was answered already")
    next_step: ClassVar[Text] = Text("如有补充请另行协查", "Ask again for what is to be added")


class ReferralWithdrawn(DomainError):
    """Whoever asked does not want to know any more."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "referral-withdrawn"
    title: ClassVar[Text] = Text("该协查已撤回", "The referral was withdrawn")
    next_step: ClassVar[Text] = Text(
        "无需答复；如仍需核查，请重新发出协查",
        "No answer is needed; whoever still wants to know asks again",
    )


class ReferralNotYours(DomainError):
    """Whoever was asked answers; it does not withdraw the question."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "referral-not-yours"
    title: ClassVar[Text] = Text(
        "协查只能由发出方或负责该召回的部门撤回",
        "A referral is withdrawn by whoever asked, or by the office in charge of its recall",
    )
    next_step: ClassVar[Text] = Text(
        "请直接答复；不属于您管辖的，也请在答复中说明",
        "Answer it; if it is not for your office, say so in the answer",
    )


# --- who answers for goods --------------------------------------------------------------------


def answering(
    *,
    holder_roles: Iterable[RoleKind],
    consumed: bool,
    lot_division: str | None,
    site_division: str | None,
    came_through: frozenset[str],
    sold_in: frozenset[str],
) -> dict[Department, frozenset[str]]:
    """Say which department of which places answers for a lot (domain.md §1.4).

    Agriculture answers, at the place of origin and of the holder, until goods enter a wholesale or
    retail market or a processor; from then on market regulation does, at the markets and at the
    holder's site. A producer who sells in a market stands on both sides of its gate.

    Args:
        holder_roles: What the lot's holder is.
        consumed: Whether nobody on the platform holds it: it was sold to a walk-in.
        lot_division: Where it was produced.
        site_division: Where its holder is; of a walk-in's goods, where they were sold.
        came_through: Divisions of the markets in which the holder bought it.
        sold_in: Divisions of the markets in which it is sold on.
    """
    beyond = consumed or bool(came_through) or bool(BEYOND_THE_GATE & frozenset(holder_roles))
    if beyond:
        site = {site_division} if site_division else set()
        return {Department.MARKET_REGULATION: frozenset({*came_through, *sold_in, *site})}
    places = {code for code in (lot_division, site_division) if code}
    found = {Department.AGRICULTURE: frozenset(places)}
    if sold_in:
        found[Department.MARKET_REGULATION] = sold_in
    return found


CITY_DIGITS: Final = 4
"""So long is the prefix of all that lies in a city (GB/T 2260)."""


@dataclass(frozen=True, slots=True)
class Office:
    """A regulator's area and departments.

    Attributes:
        party_id: Whose office it is.
        area: The prefix of all divisions in its area.
        departments: The stages of the chain it answers for.
    """

    party_id: int
    area: str
    departments: frozenset[Department]

    def answers_for(self, places: Mapping[Department, Collection[str]]) -> bool:
        """Whether one of its departments answers in its area for goods; see `answering`."""
        return any(
            code.startswith(self.area)
            for department in self.departments
            for code in places.get(department, ())
        )


def offices_in_charge(
    offices: Collection[Office],
    goods: Sequence[Mapping[Department, Collection[str]]],
    *,
    site: str | None,
) -> frozenset[int]:
    """Say who ends a recall that no office opened: see docs/decisions/0020-who-ends-a-recall.md.

    An office that answers for all the goods in question, by department and place. If they lie so
    far apart that there is none: one that answers for some of them and is over the site of whoever
    called them back. Failing that, the widest area of those that answer for some; failing that, of
    the department: somebody has to be able to end it.

    Args:
        offices: All offices of the day.
        goods: Of each lot in question, which department of which places answers for it.
        site: Where whoever opened the case is; stands in for the place of goods that have none.

    Returns:
        Their parties; none if there is no office of the department at all.
    """
    home = {site} if site else set()
    placed = [one if any(one.values()) else dict.fromkeys(one, home) for one in goods]
    answering = [{office for office in offices if office.answers_for(one)} for one in placed]
    somewhere = {office for those in answering for office in those}
    asked = {department for one in goods for department in one}
    chosen = (
        {office for office in somewhere if all(office in those for those in answering)}
        or {office for office in somewhere if site and site.startswith(office.area)}
        or _widest(somewhere)
        or _widest({office for office in offices if asked & office.departments})
    )
    return frozenset(office.party_id for office in chosen)


def _widest(offices: Collection[Office]) -> set[Office]:
    shortest = min((len(office.area) for office in offices), default=0)
    return {office for office in offices if len(office.area) == shortest}


# --- terms ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """How long something may take, from one day on."""

    kind: str
    valid_from: date
    valid_to: date | None
    hours: int | None
    working_days: int | None
    source: str
    verified: bool


def _in_force(terms: Iterable[Term], kind: str, on: date) -> Term:
    for term in terms:
        if term.kind == kind and dated.in_force(term.valid_from, term.valid_to, on):
            return term
    message = f"no term {kind} is in force on {on}: the data has a gap"
    raise AssertionError(message)


def due_at(terms: Iterable[Term], kind: str, since: datetime) -> datetime:
    """Answer the instant until which something must be done, by the law of the day it began."""
    term = _in_force(terms, kind, local_date(since))
    assert term.hours is not None, "this term is in hours"
    return since + timedelta(hours=term.hours)


def due_on(terms: Iterable[Term], kind: str, since: datetime, days: WorkingDays) -> WorkingDay:
    """Answer the last day on which something can be done, by the law of the day it began.

    The day on which it began does not count (Civil Code art. 201).
    """
    on, arranged = local_date(since), True
    term = _in_force(terms, kind, on)
    assert term.working_days is not None, "this term is in working days"
    left = term.working_days
    while left:
        on += timedelta(days=1)
        works, assumed = days.is_working_day(on)
        arranged = arranged and not assumed
        left -= works
    return WorkingDay(on, arranged)


# --- scope ------------------------------------------------------------------------------------


def sources_of(graph: SubGraph) -> set[int]:
    """Answer the lots of a way back that nothing went into."""
    return {lot for lot, node in graph.nodes.items() if not node.into_g}


def relations(
    lots: Iterable[int],
    *,
    found: Collection[int],
    suspects: Collection[int],
    upstream: Collection[int],
    below: Collection[int],
) -> dict[int, Relation]:
    """Say how each lot of a scope is connected with what was found.

    Args:
        lots: What was found, the suspect sources, and all that any of them went into.
        found: The lots in question.
        suspects: Sources that are recalled with all that was made of them.
        upstream: All that went into what was found.
        below: All that what was found went into.
    """

    def relation(lot: int) -> Relation:
        if lot in found:
            return Relation.FOUND
        if lot in suspects:
            return Relation.SOURCE
        if lot in below:
            return Relation.DESCENDANT
        return Relation.UPSTREAM if lot in upstream else Relation.SIBLING

    return {lot: relation(lot) for lot in lots}


def scope_hash(lots: Iterable[tuple[UUID, int]]) -> bytes:
    """Stand in for a scope in the log: the lots' ids in ascending order, each with its grams.

    A scope can have a hundred thousand lots. Whoever has the list, which the case exports, can show
    that it is the one that was stopped.
    """
    hashed = hashlib.sha256()
    for public_id, mass_g in sorted(lots, key=lambda lot: lot[0].bytes):
        hashed.update(public_id.bytes + mass_g.to_bytes(8, "big"))
    return hashed.digest()


# --- grams ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LotAccount:
    """What there was of a lot when it was stopped, and what became of it.

    Attributes:
        own_g: Grams that did not pass on into other lots: on hand, on their way, or gone.
        held: Whether somebody on the platform holds the lot; a walk-in's goods are out of reach
            until they are brought back.
    """

    on_hand_g: int
    in_transit_g: int
    gone_g: int
    located_g: int
    recovered_g: int
    destroyed_g: int
    remedied_g: int
    consumed_g: int
    held: bool

    @property
    def reachable_g(self) -> int:
        """Grams that can be located: what was there, or what a walk-in may bring back."""
        return self.on_hand_g + self.in_transit_g if self.held else self.gone_g

    def room_g(self, kind: StepKind) -> int:
        """Answer how many grams a further step may be about."""
        if kind is StepKind.RECOVERED:
            return self.located_g - self.recovered_g
        return self.reachable_g - self.located_g - self.consumed_g

    @property
    def disposable_g(self) -> int:
        """Grams that were brought back and are still there."""
        return self.recovered_g - self.destroyed_g - self.remedied_g


def check_step(account: LotAccount, kind: StepKind, mass_g: int, *, mock: bool) -> None:
    """Refuse grams that cannot be.

    Raises:
        MockOnly: something is brought back in an exercise.
        GramsDiffer: there is less than that left to account for.
    """
    if mock and kind is StepKind.RECOVERED:
        raise MockOnly
    room_g = account.room_g(kind)
    if mass_g > room_g:
        raise GramsDiffer(step=kind, wanted_g=mass_g, left_g=room_g)


def check_consumed(kind: StepKind, *, held: bool, by_office: bool, mock: bool) -> None:
    """Refuse to believe a business that what somebody was to keep is eaten.

    It leaves the books of its holder for good: the holder would hide it, and whoever called it back
    could empty the stock of others.

    Args:
        kind: What is recorded.
        held: Whether somebody on the platform holds the goods; a walk-in's are with nobody.
        by_office: Whether an office says so, which has looked.
        mock: Whether it is an exercise, in which nothing leaves the books.

    Raises:
        ConsumedByOwnWord: no office has looked.
    """
    if kind is StepKind.CONSUMED and held and not by_office and not mock:
        raise ConsumedByOwnWord


OF_LABELS: Final = 3
"""The class of recalls because of labels (食品召回管理办法); others are about harm."""


def check_disposal(
    accounts: Mapping[UUID, LotAccount],
    grams: Mapping[UUID, int],
    method: Method,
    *,
    grade: int,
    mock: bool,
) -> None:
    """Refuse to dispose of what was not brought back, or as it must not be.

    Raises:
        MockOnly: something is destroyed in an exercise.
        NotRemediable: goods that harm would be sold again.
        GramsDiffer: less was recovered of a lot.
    """
    if mock:
        raise MockOnly
    if method is Method.REMEDIED and grade != OF_LABELS:
        raise NotRemediable(grade=grade)
    for lot, mass_g in grams.items():
        if mass_g > accounts[lot].disposable_g:
            raise GramsDiffer(
                lot=str(lot), step="disposal", wanted_g=mass_g, left_g=accounts[lot].disposable_g
            )


@dataclass(frozen=True, slots=True)
class Totals:
    """A case in sum.

    Attributes:
        total_g: Grams that the scope came to: what each lot did not pass on into another.
        exposed_g: Of these, what stems from the suspects.
        gone_g: Of these, consumed, lost or destroyed before the case began.
        sampled_g: Taken as samples since it began, by offices and markets.
        elsewhere_g: Gone since, outside the case: what another case of the same goods has proof of.
        accounted_g: Of which somebody has said what became of them.
        left_g: In the books of holders still, and not remedied (an exercise: not located).
        in_transit_g: Of these, on their way on tickets that nobody decided.
        half_way_g: Brought back by walk-ins, and not disposed of.
    """

    lots: int
    total_g: int
    exposed_g: int
    gone_g: int
    located_g: int
    recovered_g: int
    destroyed_g: int
    remedied_g: int
    consumed_g: int
    sampled_g: int
    elsewhere_g: int
    accounted_g: int
    left_g: int
    in_transit_g: int
    half_way_g: int
    notices: int
    unacknowledged: int
    last_acknowledged_at: datetime | None
    unanswered: int

    @property
    def accounted_permille(self) -> int:
        """The accounted share of all grams, in thousandths, rounded down."""
        return self.accounted_g * 1000 // self.total_g if self.total_g else 1000


def check_closure(totals: Totals, outcome: Outcome, *, signed_g: int, mock: bool) -> None:
    """Refuse to sign off what is not done.

    A recall that is lifted ends at once: nothing was wrong with the goods. An exercise ends when it
    ends, and its report tells how far it came.

    Args:
        totals: How the case stands.
        outcome: How it shall end.
        signed_g: Grams of samples that whoever signs off answers for.
        mock: Whether it is an exercise.

    Raises:
        GramsOpen: grams are unaccounted for.
        StepsOpen: notices or referrals are unanswered.
        SamplesUnsigned: another number of grams was taken as samples.
    """
    if mock or outcome is Outcome.LIFTED:
        return
    if totals.left_g or totals.half_way_g:
        raise GramsOpen(
            left_g=totals.left_g, in_transit_g=totals.in_transit_g, half_way_g=totals.half_way_g
        )
    if totals.unacknowledged or totals.unanswered:
        raise StepsOpen(unacknowledged=totals.unacknowledged, unanswered=totals.unanswered)
    if totals.sampled_g != signed_g:
        raise SamplesUnsigned(pointer="/sampled_g", sampled_g=totals.sampled_g, signed_g=signed_g)


def minutes(since: datetime, until: datetime | None) -> int | None:
    """Answer whole minutes between two instants."""
    return None if until is None else int((until - since).total_seconds() // 60)


def merged(rows: Sequence[tuple[Any, int]]) -> dict[Any, int]:
    """Add up grams named more than once for the same lot."""
    sums: dict[Any, int] = {}
    for name, mass_g in rows:
        sums[name] = sums.get(name, 0) + mass_g
    return sums


class HoldRestsOnTest(DomainError):
    """What a test holds is let go by a test, or by an office on its own account."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "hold-rests-on-test"
    title: ClassVar[Text] = Text(
        "该批次因检测结果被控制", "The lot is on hold because of a test result"
    )
    next_step: ClassVar[Text] = Text(
        "请完成复检或送实验室，合格后自动解除；或由监管部门解除",
        "Repeat the test or send it to a laboratory: a pass lifts the hold. Or ask the regulator",
    )


class NothingHeld(DomainError):
    """A finding that was cleared, or let go before, leaves nothing to release."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "nothing-held"
    title: ClassVar[Text] = Text("该样品没有生效中的控制", "Nothing is on hold for this sample")
    next_step: ClassVar[Text] = Text(
        "可能已由复检或其他部门解除，请查看控制记录",
        "A test or another office may have let it go: look at the holds",
    )
