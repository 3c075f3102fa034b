"""The decision table of entry, row by row, as the law has it; and what no fact can do to it.

`pytest -v tests/unit/test_entry_policy.py` prints the table: day, goods, what came with them, and
what becomes of them by which rule.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admission import seed
from app.admission.findings import OBSERVATIONS
from app.admission.policy import (
    GRAVITY,
    Decision,
    Doubt,
    Policy,
    Proof,
    Risk,
    Severity,
    Trait,
    commitment_of,
    is_drawn,
    sampling_rate,
)
from app.admission.rules import (
    Admitted,
    Certified,
    Document,
    Doubted,
    Entry,
    Facts,
    Goods,
    Grace,
    Paper,
    Report,
    TestFact,
    TestOutcome,
    after_sale,
    decide,
)
from app.certificate.rules import CertificateKind
from app.core.clock import local_date
from app.event.lateness import Lateness, judged_on, late
from app.product.rules import Requirement
from app.supervision.rules import RuleCode
from app.ticket.rules import TicketStatus

POLICY = Policy(tuple(seed.rule_of(row) for row in seed.rows("policy.json")))
SAMPLING = tuple(seed.sampling_rule_of(row) for row in seed.rows("sampling.json"))
LOT, OTHER, MARKET, GATE = (UUID(int=number) for number in range(1, 5))

Y2019, Y2024, Y2026 = date(2019, 6, 1), date(2024, 6, 1), date(2026, 6, 1)
VEG = Requirement.CONFORMITY_CERTIFICATE
WILD = Requirement.SOURCE_VOUCHER
PORK = Requirement.QUARANTINE_AND_MEAT_INSPECTION
MUTTON = Requirement.QUARANTINE

AGREED = Proof.AGREEMENT
TICKET = Proof.TICKET
VOUCHER = Proof.PURCHASE_VOUCHER
ORIGIN = Proof.ORIGIN_PROOF
IDENTITY = Proof.IDENTITY_RECORD
CERT = Proof.CONFORMITY_CERTIFICATE
BASIS = Proof.CERTIFICATE_BASIS
LAB = Proof.LAB_REPORT
PASSED = Proof.TEST_PASSED
QUARANTINE = Proof.QUARANTINE
MEAT = Proof.MEAT_INSPECTION
CUSTOMS = Proof.IMPORT_INSPECTION

SELF = Trait.SELF_PRODUCED
SMALL = Trait.ADVISED
IMPORTED = Trait.IMPORTED
FORM = Trait.PRESENT_FORM
DOUBTED = Trait.DOUBTED

ADMIT, AFTER_TEST, HOLD, REFUSE = (
    Decision.ADMIT,
    Decision.ADMIT_AFTER_TEST,
    Decision.HOLD,
    Decision.REFUSE,
)

# On this day, goods of this class, of this kind, came with these proofs: decision, by which rules.
TABLE: list[tuple[date, Requirement, set[Trait], set[Proof], Decision, list[str]]] = [
    # Order 20 (2016-03-01): without proofs, a test; 产地证明 and the trial certificate are proofs.
    (Y2019, VEG, set(), {AGREED, ORIGIN, CERT}, ADMIT, []),
    (Y2019, VEG, set(), {AGREED, CERT}, ADMIT, []),
    (Y2019, VEG, set(), {AGREED, ORIGIN}, AFTER_TEST, ["o20-quality"]),
    (Y2019, VEG, set(), {AGREED, TICKET}, AFTER_TEST, ["o20-quality"]),
    (Y2019, VEG, set(), {AGREED}, AFTER_TEST, ["o20-source", "o20-quality"]),
    (Y2019, VEG, set(), {AGREED, PASSED}, ADMIT, []),
    (Y2019, VEG, set(), {ORIGIN, CERT}, REFUSE, ["o20-agreement"]),
    (Y2019, PORK, set(), {AGREED, TICKET}, REFUSE, ["adp-quarantine", "pig-meat-inspection"]),
    (Y2019, VEG, {IMPORTED}, {AGREED, VOUCHER, CERT}, REFUSE, ["o20-import"]),
    # Order 81 (2023-12-01): no source, no entry; 产地证明 is no entry document any more.
    (Y2024, VEG, set(), {AGREED, TICKET, CERT}, ADMIT, []),
    (Y2024, VEG, set(), {AGREED, VOUCHER, LAB}, ADMIT, []),
    (Y2024, VEG, set(), {AGREED, TICKET, PASSED}, ADMIT, []),
    (Y2024, VEG, set(), {AGREED, TICKET}, AFTER_TEST, ["o81-quality"]),
    (Y2024, VEG, {SMALL}, {AGREED, TICKET}, AFTER_TEST, ["apqsl-39-advised"]),
    (Y2024, VEG, set(), {AGREED, ORIGIN}, REFUSE, ["o81-source", "o81-quality"]),
    (Y2024, VEG, set(), {AGREED, CERT}, REFUSE, ["o81-source"]),
    (Y2024, VEG, set(), {AGREED, PASSED}, REFUSE, ["o81-source"]),
    (Y2024, VEG, set(), {TICKET, CERT}, REFUSE, ["o81-agreement"]),
    (Y2024, VEG, {SELF}, {AGREED, IDENTITY}, AFTER_TEST, ["o81-quality"]),
    (Y2024, VEG, {SELF}, {AGREED, IDENTITY, PASSED}, ADMIT, []),
    (Y2024, VEG, {SELF}, {AGREED, CERT}, ADMIT, []),
    (Y2024, VEG, {SELF}, {AGREED}, REFUSE, ["o81-source-self-produced", "o81-quality"]),
    (Y2024, WILD, set(), {AGREED, VOUCHER}, AFTER_TEST, ["o81-quality"]),
    (Y2024, WILD, set(), {AGREED, VOUCHER, LAB}, ADMIT, []),
    (Y2024, PORK, set(), {AGREED, TICKET, QUARANTINE, MEAT}, ADMIT, []),
    (Y2024, PORK, set(), {AGREED, TICKET, QUARANTINE}, REFUSE, ["pig-meat-inspection"]),
    (Y2024, PORK, set(), {AGREED, TICKET, MEAT}, REFUSE, ["adp-quarantine"]),
    (Y2024, MUTTON, set(), {AGREED, TICKET, QUARANTINE}, ADMIT, []),
    (Y2024, MUTTON, set(), {AGREED, TICKET}, REFUSE, ["adp-quarantine"]),
    (Y2024, VEG, {IMPORTED}, {AGREED, VOUCHER, LAB}, REFUSE, ["o81-import"]),
    (Y2024, VEG, {IMPORTED}, {AGREED, CUSTOMS, LAB}, ADMIT, []),
    (Y2024, VEG, {FORM}, {AGREED, TICKET, CERT}, ADMIT, []),
    # The certificate rule (2026-02-01): at least one basis is ticked on the form in force.
    (Y2026, VEG, {FORM}, {AGREED, TICKET, CERT, BASIS}, ADMIT, []),
    (Y2026, VEG, {FORM}, {AGREED, TICKET, CERT}, AFTER_TEST, ["mara-2025-4-basis"]),
    (Y2026, VEG, {FORM}, {AGREED, TICKET, CERT, PASSED}, ADMIT, []),
    (Y2026, VEG, set(), {AGREED, TICKET, CERT}, ADMIT, []),
    # What cannot well be, by an early warning or by the papers' own dates: a test, and no paper.
    # The days of the older orders asked for nothing of the sort.
    (Y2019, VEG, {DOUBTED}, {AGREED, TICKET, CERT}, ADMIT, []),
    (Y2024, VEG, {DOUBTED}, {AGREED, TICKET, CERT}, ADMIT, []),
    (Y2026, VEG, {DOUBTED}, {AGREED, TICKET, CERT}, AFTER_TEST, ["gate-implausible"]),
    (Y2026, VEG, {DOUBTED}, {AGREED, TICKET, CERT, LAB}, AFTER_TEST, ["gate-implausible"]),
    (Y2026, VEG, {DOUBTED}, {AGREED, TICKET, CERT, PASSED}, ADMIT, []),
    (
        Y2026,
        PORK,
        {DOUBTED},
        {AGREED, TICKET, QUARANTINE},
        REFUSE,
        ["gate-implausible", "pig-meat-inspection"],
    ),
    (Y2026, VEG, {DOUBTED}, {TICKET, CERT}, REFUSE, ["gate-implausible", "o81-agreement"]),
]


def _row(row: tuple[date, Requirement, set[Trait], set[Proof], Decision, list[str]]) -> str:
    on, needs, traits, proofs, decision, found = row
    came = "+".join(sorted(proofs)) or "nothing"
    by = ",".join(found) or "-"
    return f"{on:%Y} | {'+'.join([needs, *sorted(traits)])} | {came} | {decision} | {by}"


@pytest.mark.parametrize(
    ("on", "needs", "traits", "proofs", "decision", "found"), TABLE, ids=map(_row, TABLE)
)
def test_the_table_of_entry(
    on: date,
    needs: Requirement,
    traits: set[Trait],
    proofs: set[Proof],
    decision: Decision,
    found: list[str],
) -> None:
    goods = Goods(
        LOT,
        18,
        1_000,
        on,
        needs=needs,
        traits=frozenset(traits | {Trait.IN_MARKET}),
        proofs=frozenset(proofs),
    )
    verdict = decide(POLICY, _facts(goods, on=on))
    named = [finding.by.code for finding in verdict.findings if finding.by is not None]
    assert (verdict.decision, sorted(named)) == (decision, sorted(found))
    for finding in verdict.findings:
        if finding.by is not None:
            # Any one of what the finding names would have met it.
            for proof in finding.satisfied_by:
                met = replace(goods, proofs=goods.proofs | {proof})
                again = decide(POLICY, _facts(met, on=on))
                assert finding.kind.code not in [other.kind.code for other in again.findings]


@pytest.mark.parametrize(
    ("day", "decision"),
    [
        (date(2023, 11, 30), AFTER_TEST),
        (date(2023, 12, 1), REFUSE),
    ],
)
def test_the_day_an_order_takes_effect_is_the_first_it_decides(
    day: date, decision: Decision
) -> None:
    goods = Goods(LOT, 18, 1_000, day, needs=VEG, proofs=frozenset({ORIGIN}))
    assert decide(POLICY, _facts(goods, on=day)).decision is decision


def test_every_rule_is_for_a_finding_that_exists_and_every_code_is_used_once_at_a_time() -> None:
    for rule in POLICY.rules:
        assert rule.finding in OBSERVATIONS
        assert rule.source
        twins = [other for other in POLICY.rules if other.code == rule.code]
        assert twins == [rule]
    tabled = {code for row in TABLE for code in row[-1]}
    assert {rule.code for rule in POLICY.rules if rule.proofs} <= tabled


@pytest.mark.parametrize(
    ("policy", "since"),
    [
        ("order-20", date(2016, 3, 1)),
        ("order-81", date(2023, 12, 1)),
        ("certificate-2026", date(2026, 2, 1)),
    ],
)
def test_a_policy_begins_on_the_day_of_its_order(policy: str, since: date) -> None:
    asking = [rule for rule in POLICY.rules if rule.policy == policy and rule.proofs]
    assert {rule.valid_from for rule in asking} == {since}


# --- adding a bad fact never improves a verdict ---------------------------------------------------


def _at(on: date) -> datetime:
    return datetime.combine(on, time(4), UTC)


def _facts(goods: Goods, *, on: date = Y2026) -> Facts:
    paper = Paper(TicketStatus.ISSUED, _at(on) + timedelta(days=1), goods=(goods,))
    return Facts(None, _at(on), paper=paper)


def _paper(facts: Facts) -> Paper:
    assert facts.paper is not None
    return facts.paper


def _of_goods(facts: Facts, change: Callable[[Goods], Goods]) -> Facts:
    paper = _paper(facts)
    return replace(facts, paper=replace(paper, goods=tuple(change(item) for item in paper.goods)))


def _entry(facts: Facts) -> Entry:
    return facts.entry or Entry(MARKET, 1_000, 1_000)


def _document(on: date, **more: object) -> Document:
    facts = {"proofs": frozenset[Proof](), "issued_on": on, "shown_on": on, **more}
    return Document("paper", "animal_a", **facts)  # type: ignore[arg-type]


def _with_document(document: Callable[[date], Document]) -> Callable[[Facts], Facts]:
    return lambda facts: _of_goods(
        facts, lambda item: replace(item, documents=(*item.documents, document(item.on)))
    )


ELSEWHERE = Admitted(OTHER, GATE, OTHER, 1, _at(Y2019))
WARNED = Doubted(Doubt.PLOT_OVER_YIELD, warning=OTHER)
BAD: dict[str, Callable[[Facts], Facts]] = {
    "a failed test": lambda facts: _of_goods(
        facts,
        lambda item: replace(item, tests=(*item.tests, TestFact(TestOutcome.FAILED, "1"))),
    ),
    "a suspect test": lambda facts: _of_goods(
        facts,
        lambda item: replace(item, tests=(*item.tests, TestFact(TestOutcome.SUSPECT, "2"))),
    ),
    "a hold": lambda facts: replace(facts, paper=replace(_paper(facts), held=(LOT,))),
    "a hold further back": lambda facts: replace(
        facts, paper=replace(_paper(facts), sources_held=(LOT,))
    ),
    "voided": lambda facts: replace(facts, paper=replace(_paper(facts), voided=True)),
    "made out to another": lambda facts: replace(
        facts, paper=replace(_paper(facts), addressed=False)
    ),
    "a voided certificate": lambda facts: replace(
        facts, paper=replace(_paper(facts), voided_certificates=(LOT,))
    ),
    "a purchaser's certificate alone": lambda facts: replace(
        facts, paper=replace(_paper(facts), certificate=CertificateKind.CONFORMITY_PURCHASER)
    ),
    "used": lambda facts: replace(
        facts, paper=replace(_paper(facts), status=TicketStatus.ACCEPTED)
    ),
    "expired": lambda facts: replace(facts, paper=replace(_paper(facts), expires_at=facts.now)),
    "an early warning": lambda facts: _of_goods(
        facts, lambda item: replace(item, doubts=(*item.doubts, WARNED))
    ),
    "no proofs": lambda facts: _of_goods(
        facts,
        # What was shown and speaks against the goods stays shown.
        lambda item: replace(
            item,
            proofs=frozenset(),
            documents=tuple(paper for paper in item.documents if not paper.proofs),
        ),
    ),
    "imported": lambda facts: _of_goods(
        facts, lambda item: replace(item, traits=item.traits | {IMPORTED})
    ),
    "an expired paper": _with_document(lambda on: _document(on, valid_through=date(2016, 1, 1))),
    "a paper of tomorrow": _with_document(
        lambda on: _document(on, issued_on=on + timedelta(days=1))
    ),
    "a paper for other goods": _with_document(lambda on: _document(on, product=99)),
    "a paper for fewer grams": _with_document(lambda on: _document(on, mass_g=1)),
    "too much": lambda facts: replace(facts, entry=replace(_entry(facts), mass_g=2_000)),
    "admitted elsewhere": lambda facts: replace(
        facts, entry=replace(_entry(facts), admitted=(ELSEWHERE,))
    ),
    "sold already": lambda facts: replace(
        facts, entry=_entry(facts), paper=replace(_paper(facts), left_g=999)
    ),
    "drawn": lambda facts: replace(facts, entry=replace(_entry(facts), drawn=True)),
    "another vehicle": lambda facts: replace(
        facts, plate="苏F2", paper=replace(_paper(facts), plate="苏F1")
    ),
    "a wrong clock": lambda facts: replace(facts, device_at=facts.now - timedelta(hours=1)),
}


@given(
    on=st.dates(date(2016, 3, 1), date(2030, 1, 1)),
    needs=st.none() | st.sampled_from(Requirement),
    proofs=st.frozensets(st.sampled_from(Proof)),
    traits=st.frozensets(st.sampled_from(Trait)),
    before=st.lists(st.sampled_from(sorted(BAD)), max_size=6),
    worse=st.sampled_from(sorted(BAD)),
)
def test_a_bad_fact_never_improves_a_verdict(
    on: date,
    needs: Requirement | None,
    proofs: frozenset[Proof],
    traits: frozenset[Trait],
    before: list[str],
    worse: str,
) -> None:
    facts = _facts(Goods(LOT, 18, 1_000, on, needs=needs, proofs=proofs, traits=traits), on=on)
    for name in before:
        facts = BAD[name](facts)
    verdict, after = decide(POLICY, facts), decide(POLICY, BAD[worse](facts))
    assert GRAVITY[after.decision] >= GRAVITY[verdict.decision]


@given(
    on=st.dates(date(2016, 3, 1), date(2030, 1, 1)),
    needs=st.none() | st.sampled_from(Requirement),
    traits=st.frozensets(st.sampled_from(Trait)),
    proofs=st.frozensets(st.sampled_from(Proof)),
    more=st.sampled_from(Proof),
)
def test_a_further_proof_never_makes_a_verdict_worse(
    on: date,
    needs: Requirement | None,
    traits: frozenset[Trait],
    proofs: frozenset[Proof],
    more: Proof,
) -> None:
    goods = Goods(LOT, 18, 1_000, on, needs=needs, proofs=proofs, traits=traits)
    verdict = decide(POLICY, _facts(goods, on=on))
    better = decide(POLICY, _facts(replace(goods, proofs=proofs | {more}), on=on))
    assert GRAVITY[better.decision] <= GRAVITY[verdict.decision]


def test_a_verdict_says_what_it_would_be_without_its_gravest_findings() -> None:
    goods = Goods(LOT, 18, 1_000, Y2026, needs=VEG, traits=frozenset({Trait.IN_MARKET}))
    nothing = decide(POLICY, _facts(goods))
    assert (nothing.decision, nothing.would_be) == (REFUSE, AFTER_TEST)
    signed = replace(goods, proofs=frozenset({AGREED, TICKET}))
    waiting = decide(POLICY, _facts(signed))
    assert (waiting.decision, waiting.would_be) == (AFTER_TEST, ADMIT)
    tested = decide(POLICY, _facts(replace(signed, tests=(TestFact(TestOutcome.PASSED, "KJ-7"),))))
    assert (tested.decision, tested.would_be) == (ADMIT, None)
    assert tested.findings[-1].facts == {"test": "KJ-7"}


# --- what cannot well be --------------------------------------------------------------------------


def test_doubts_are_told_with_the_goods_and_answered_by_a_test() -> None:
    doubted = Doubted(Doubt.CERTIFICATE_AFTER_SALE, certificate=LOT)
    goods = Goods(
        LOT, 18, 1_000, Y2026, needs=VEG, proofs=frozenset({TICKET, CERT}), doubts=(WARNED, doubted)
    )
    verdict = decide(POLICY, _facts(goods))
    (found,) = verdict.findings[1:]
    assert (verdict.decision, verdict.would_be) == (AFTER_TEST, ADMIT)
    assert (found.kind.code, found.satisfied_by) == ("implausible", (PASSED,))
    assert found.facts["doubts"] == [
        {"kind": "plot-over-yield", "warning": str(OTHER)},
        {"kind": "certificate-after-sale", "certificate": str(LOT)},
    ]
    passed = replace(goods, tests=(TestFact(TestOutcome.PASSED, "KJ-7"),))
    assert decide(POLICY, _facts(passed)).decision is ADMIT
    assert decide(POLICY, _facts(replace(goods, doubts=()))).findings == verdict.findings[:1]


def test_doubts_are_called_what_the_early_warnings_are_called() -> None:
    assert {doubt.value for doubt in Doubt} < {rule.value for rule in RuleCode}


GRACES = [
    Grace(Y2024, None, timedelta(hours=12)),
    Grace(date(2016, 3, 1), Y2024, timedelta(hours=24)),
]


@pytest.mark.parametrize(
    ("sold_on", "recorded", "issued", "doubted"),
    [
        (Y2026, timedelta(0), timedelta(hours=12, seconds=59), False),
        (Y2026, timedelta(0), timedelta(hours=12, minutes=1), True),
        (Y2026, timedelta(hours=6), timedelta(hours=18), False),
        (Y2026, timedelta(hours=6), timedelta(hours=18, minutes=1), True),
        (Y2026, timedelta(days=-9), timedelta(days=-1), False),
        (Y2019, timedelta(0), timedelta(hours=24), False),
        (Y2019, timedelta(0), timedelta(hours=24, minutes=1), True),
        (date(2015, 1, 1), timedelta(0), timedelta(days=9), False),
    ],
)
def test_a_certificate_younger_than_its_sale(
    sold_on: date, recorded: timedelta, issued: timedelta, doubted: bool
) -> None:
    sold_at = _at(sold_on)
    certified = [Certified(OTHER, sold_at + issued, sold_at + recorded)]
    expected = (Doubted(Doubt.CERTIFICATE_AFTER_SALE, certificate=OTHER),) if doubted else ()
    assert after_sale(sold_at, certified, GRACES) == expected


# --- the draw -------------------------------------------------------------------------------------

CHIVES = 18


def test_the_rate_follows_grade_history_and_season() -> None:
    winter, summer = date(2026, 1, 10), date(2026, 7, 10)
    assert sampling_rate(SAMPLING, Risk(13, winter)).basis_points == 300
    assert sampling_rate(SAMPLING, Risk(13, winter, "A")).basis_points == 150
    assert sampling_rate(SAMPLING, Risk(13, winter, "D")).basis_points == 1_500
    assert sampling_rate(SAMPLING, Risk(CHIVES, summer)).basis_points == 900
    assert sampling_rate(SAMPLING, Risk(13, winter, None, 9)).basis_points == 300
    # Of the brackets of history only the strictest that fits counts.
    found = sampling_rate(SAMPLING, Risk(13, winter, None, 35))
    assert (found.basis_points, found.rules) == (1_200, ("base", "history-3-percent"))
    assert sampling_rate(SAMPLING, Risk(CHIVES, summer, "D", 200)).basis_points == 10_000
    assert sampling_rate(SAMPLING, Risk(13, date(2015, 1, 1))).basis_points == 0


@given(st.binary(min_size=32, max_size=32), st.uuids(), st.integers(0, 10_000))
def test_a_higher_rate_draws_whatever_a_lower_one_does(seed_: bytes, line: UUID, rate: int) -> None:
    assert not is_drawn(seed_, line, 0)
    assert is_drawn(seed_, line, 10_000)
    if is_drawn(seed_, line, rate):
        assert is_drawn(seed_, line, min(rate + 1, 10_000))


def test_the_draw_comes_out_at_its_rate() -> None:
    seed_ = bytes(32)
    drawn = sum(is_drawn(seed_, UUID(int=number), 300) for number in range(20_000))
    # Within four standard deviations of 600.
    assert abs(drawn - 600) < 4 * (20_000 * 0.03 * 0.97) ** 0.5
    assert commitment_of(seed_) != commitment_of(bytes([1] * 32))


# --- what is told late ----------------------------------------------------------------------------

LATENESS = [
    Lateness(date(2016, 3, 1), date(2024, 1, 1), "gate-offline", 240, "test", verified=False),
    Lateness(date(2024, 1, 1), None, "gate-offline", 72, "test", verified=False),
]
TOLD = datetime(2026, 6, 18, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "days"),
    [
        (timedelta(0), [date(2026, 6, 18)]),
        (timedelta(hours=72), [date(2026, 6, 15)]),
        (timedelta(hours=72, microseconds=1), [date(2026, 6, 15), date(2026, 6, 18)]),
        (timedelta(days=5 * 365), [date(2021, 6, 19), date(2026, 6, 18)]),
    ],
)
def test_what_is_told_too_late_is_judged_by_two_days(ago: timedelta, days: list[date]) -> None:
    told_late = late(LATENESS, TOLD - ago, TOLD)
    assert (told_late is not None) == (len(days) == 2)
    assert judged_on(TOLD - ago, told_late) == tuple(days)


def test_the_day_on_which_it_is_told_says_how_late_that_may_be() -> None:
    then = datetime(2023, 12, 31, 8, tzinfo=UTC)
    assert late(LATENESS, then - timedelta(days=10), then) is None
    assert late(LATENESS, then, then + timedelta(days=4)) is not None
    # Where no rule is in force nothing is believed late; of one and the same day there is one.
    assert late([], TOLD - timedelta(hours=1), TOLD) is not None
    assert judged_on(TOLD, late([], TOLD - timedelta(hours=1), TOLD)) == (local_date(TOLD),)


@pytest.mark.parametrize("days", list(itertools.permutations([Y2019, Y2024])))
def test_of_two_days_the_graver_stands(days: tuple[date, date]) -> None:
    goods = tuple(
        Goods(
            LOT,
            18,
            1_000,
            on,
            needs=VEG,
            traits=frozenset({Trait.IN_MARKET}),
            proofs=frozenset({AGREED}),
            reports=(Report("KJ-1"),),
        )
        for on in days
    )
    weight = POLICY.about("test-not-verified", Y2024)
    assert weight is not None
    heavier = replace(weight, consequence=Severity.HOLD)
    policy = Policy(tuple(heavier if rule is weight else rule for rule in POLICY.rules))
    verdict = decide(policy, replace(_facts(goods[0], on=days[0]), paper=None, goods=goods))
    assert verdict.decision is REFUSE
    by = {finding.by.code for finding in verdict.findings if finding.by is not None}
    assert {"o20-source", "o81-source"} <= by
    # A finding that both days know of is told once, as the day says on which it weighs more.
    told = [found for found in verdict.findings if found.kind.code == "test-not-verified"]
    assert [found.severity for found in told] == [Severity.HOLD]
