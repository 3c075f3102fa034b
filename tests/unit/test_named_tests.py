"""What a test number on a paper is worth beside the books, and how it can be borrowed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admission import seed
from app.admission.policy import Decision, Policy, Proof, Severity
from app.admission.rules import (
    Document,
    Entry,
    Facts,
    Goods,
    Misfit,
    Stated,
    decide,
    reports_on,
    with_documents,
    with_reports,
)
from app.product.rules import Requirement
from app.testing.rules import Lineage, NamedTest, Status, undivided

POLICY = Policy(tuple(seed.rule_of(row) for row in seed.rows("policy.json")))
NOW = datetime(2026, 6, 18, 2, tzinfo=UTC)
TODAY = date(2026, 6, 18)
CHIVES, GREENS = 18, 1
SELLER, MARKET, NOBODY = 5, 6, 7
TEST = NamedTest(UUID(int=1), 11, CHIVES, NOBODY, NOBODY, NOW - timedelta(days=1), Status.PASSED)
OF_LOT = Goods(UUID(int=2), CHIVES, 1_000, TODAY, lots_tested=frozenset({11, 12}))
LOOSE = Goods(None, CHIVES, 1_000, TODAY)
STATED = Stated("KJ-1", on=TODAY, by=frozenset({SELLER, MARKET}))


@pytest.mark.parametrize(
    ("test", "goods", "stated", "misfits"),
    [
        (TEST, OF_LOT, STATED, ()),
        (replace(TEST, status=Status.CLEARED), OF_LOT, STATED, ()),
        (replace(TEST, lot=13), OF_LOT, STATED, (Misfit.LOT,)),
        (replace(TEST, product=GREENS), OF_LOT, STATED, (Misfit.PRODUCT,)),
        (replace(TEST, status=Status.CONFIRMED_FAIL), OF_LOT, STATED, (Misfit.RESULT,)),
        (replace(TEST, status=Status.SAMPLED), OF_LOT, STATED, (Misfit.RESULT,)),
        (replace(TEST, status=None), OF_LOT, STATED, (Misfit.RESULT,)),
        (TEST, OF_LOT, replace(STATED, on=TODAY - timedelta(days=2)), (Misfit.DATE,)),
        (TEST, OF_LOT, replace(STATED, on=None), ()),
        # Of goods that no ticket of ours names it must be the seller's test, or the market's own.
        (TEST, LOOSE, STATED, (Misfit.LOT,)),
        (replace(TEST, holder=SELLER), LOOSE, STATED, ()),
        (replace(TEST, taken_by=MARKET), LOOSE, STATED, ()),
        # And goods that came today were not sampled yesterday, wherever that is known.
        (replace(TEST, taken_by=MARKET), LOOSE, replace(STATED, since=TODAY), (Misfit.DATE,)),
        (TEST, OF_LOT, replace(STATED, since=TODAY), ()),
        (
            replace(TEST, lot=13, product=GREENS, status=Status.SUSPECT),
            OF_LOT,
            replace(STATED, on=date(2026, 1, 1)),
            tuple(Misfit),
        ),
    ],
)
def test_what_of_a_test_does_not_fit(
    test: NamedTest, goods: Goods, stated: Stated, misfits: tuple[Misfit, ...]
) -> None:
    (report,) = reports_on(stated, [test], [goods])
    assert report is not None
    assert (report.misfits, report.counts) == (misfits, not misfits)


def test_of_several_with_one_number_the_one_that_fits_is_meant() -> None:
    others = [replace(TEST, lot=99), replace(TEST, sample=UUID(int=9)), replace(TEST, product=3)]
    (report,) = reports_on(STATED, others, [OF_LOT])
    assert report is not None
    assert (report.sample, report.counts) == (UUID(int=9), True)


def test_a_test_of_one_of_two_lots_says_nothing_of_the_other() -> None:
    other = replace(OF_LOT, lots_tested=frozenset({20}))
    mine, nothing = with_reports((OF_LOT, other), [STATED], {"KJ-1": [TEST]})
    assert Proof.LAB_REPORT in mine.counting
    assert (nothing.reports, nothing.counting) == ((), frozenset())
    # Of neither, it is told once.
    told = with_reports((other, other), [STATED], {"KJ-1": [TEST]})
    assert [len(item.reports) for item in told] == [1, 0]
    assert not any(item.counting for item in told)


def test_a_borrowed_report_on_paper_proves_nothing_and_is_found() -> None:
    paper = Document("p", "lab_report", frozenset({Proof.LAB_REPORT}), TODAY, TODAY, stated=STATED)
    agreed = frozenset({Proof.AGREEMENT, Proof.PURCHASE_VOUCHER})
    goods = replace(LOOSE, proofs=agreed, needs=Requirement.CONFORMITY_CERTIFICATE)

    def came_to(*tests: NamedTest) -> tuple[Decision, list[str]]:
        laid = with_documents((goods,), [paper], {"KJ-1": tests} if tests else {})
        verdict = decide(POLICY, Facts(None, NOW, goods=laid, entry=Entry(UUID(int=4), 1_000)))
        return verdict.decision, [finding.kind.code for finding in verdict.findings]

    assert came_to(replace(TEST, holder=SELLER)) == (Decision.ADMIT, ["test-verified"])
    assert came_to() == (Decision.ADMIT, ["test-not-verified"])
    assert came_to(TEST) == (Decision.HOLD, ["test-does-not-fit", "certificate-missing"])


def test_what_a_number_that_nobody_knows_weighs_is_data() -> None:
    goods = with_reports((replace(OF_LOT, proofs=frozenset({Proof.AGREEMENT})),), [STATED], {})
    for consequence, decision in ((Severity.WARN, Decision.ADMIT), (Severity.HOLD, Decision.HOLD)):
        rules = tuple(
            replace(rule, consequence=consequence)
            for rule in POLICY.rules
            if rule.finding == "test-not-verified"
        )
        assert len(rules) == 2  # Order 20 and Order 81
        assert decide(Policy(rules), Facts(None, NOW, goods=goods)).decision is decision


@given(st.sampled_from(tuple(Status)), st.integers(11, 13), st.sampled_from((CHIVES, GREENS)))
def test_no_number_is_passed_over_in_silence(status: Status, lot: int, product: int) -> None:
    test = replace(TEST, status=status, lot=lot, product=product)
    for named in ({}, {"KJ-1": [test]}):
        told = with_reports((OF_LOT, LOOSE), [STATED], named)
        verdict = decide(POLICY, Facts(None, NOW, goods=told))
        assert [code for code in verdict.findings if code.facts.get("number") == "KJ-1"]


def test_a_lot_is_what_it_was_until_something_else_goes_in() -> None:
    chain = Lineage(
        {4: (3,), 3: (2,), 2: (1, 9), 1: (), 8: (4,)},
        {1: CHIVES, 2: CHIVES, 3: CHIVES, 4: CHIVES, 8: GREENS, 9: CHIVES},
    )
    assert undivided(4, chain) == {4, 3, 2}
    assert undivided(8, chain) == {8}
    assert undivided(1, chain) == {1}
