"""When an inspection happened, what contradicts it, and who may overrule it."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admission.gate import CaseKind, Clocking, conflict, gravest, happened_at, may_rule
from app.admission.policy import Decision
from app.admission.rules import Admitted, Entry

NOW = datetime(2026, 6, 18, 8, tzinfo=UTC)
HERE, THERE, MARKET, ELSEWHERE = (UUID(int=number) for number in range(1, 5))
COMPUTED = (Decision.ADMIT, Decision.ADMIT_AFTER_TEST, Decision.HOLD, Decision.REFUSE)


# --- when -----------------------------------------------------------------------------------------


@given(
    off=st.timedeltas(timedelta(days=-4000), timedelta(days=4000)),
    ago=st.timedeltas(timedelta(0), timedelta(hours=20)),
)
def test_a_clock_that_runs_evenly_tells_the_truth_however_wrong_it_is(
    off: timedelta, ago: timedelta
) -> None:
    clocking = Clocking(NOW, device_at=NOW - ago + off, sent_at=NOW + off)
    assert happened_at(clocking) == NOW - ago


def test_nothing_happens_after_it_was_received() -> None:
    assert happened_at(Clocking(NOW, NOW + timedelta(hours=3))) == NOW
    assert happened_at(Clocking(NOW)) == NOW


def test_the_devices_own_count_is_stronger_than_its_clock() -> None:
    after, before = NOW - timedelta(hours=3), NOW - timedelta(hours=2)
    set_back = Clocking(NOW, NOW - timedelta(hours=9), NOW)
    assert happened_at(set_back, after=after, before=before) == after
    set_forth = Clocking(NOW, NOW - timedelta(minutes=1), NOW)
    assert happened_at(set_forth, after=after, before=before) == before


# --- what cannot both be true ---------------------------------------------------------------------


def _before(place: UUID, market: UUID, mass_g: int) -> Admitted:
    return Admitted(UUID(int=9), place, market, mass_g, NOW)


@pytest.mark.parametrize(
    ("mass_g", "admitted", "found"),
    [
        (1_000, (), None),
        (1_020, (), None),  # two scales may differ by 2 %
        (1_021, (), CaseKind.ADMITTED_MORE_THAN_ISSUED),
        (400, (_before(HERE, MARKET, 600),), None),
        (400, (_before(THERE, MARKET, 600),), None),  # two loads, two gates, one ticket's grams
        (500, (_before(HERE, MARKET, 600),), CaseKind.ADMITTED_MORE_THAN_ISSUED),
        (500, (_before(THERE, MARKET, 600),), CaseKind.ADMITTED_AT_TWO_GATES),
        (1, (_before(ELSEWHERE, ELSEWHERE, 1),), CaseKind.ADMITTED_AT_TWO_GATES),
    ],
)
def test_what_opens_a_case(
    mass_g: int, admitted: tuple[Admitted, ...], found: CaseKind | None
) -> None:
    assert conflict(Entry(MARKET, mass_g, 1_000, 20, admitted), place=HERE) is found


# --- who may overrule -----------------------------------------------------------------------------

MAY_MARKET = {
    # Stricter, always.
    (Decision.ADMIT, Decision.ADMIT_AFTER_TEST),
    (Decision.ADMIT, Decision.HOLD),
    (Decision.ADMIT, Decision.REFUSE),
    (Decision.ADMIT_AFTER_TEST, Decision.HOLD),
    (Decision.ADMIT_AFTER_TEST, Decision.REFUSE),
    (Decision.HOLD, Decision.REFUSE),
    (Decision.RELEASED_BY_REGULATOR, Decision.ADMIT_AFTER_TEST),
    (Decision.RELEASED_BY_REGULATOR, Decision.HOLD),
    (Decision.RELEASED_BY_REGULATOR, Decision.REFUSE),
    # Milder, only from what waits.
    (Decision.ADMIT_AFTER_TEST, Decision.ADMIT),
    (Decision.HOLD, Decision.ADMIT),
    (Decision.HOLD, Decision.ADMIT_AFTER_TEST),
}


def test_what_a_markets_officer_may_decide() -> None:
    asked = {pair for pair in product(Decision, Decision) if pair[0] is not pair[1]}
    allowed = {pair for pair in asked if may_rule(*pair, (), market=True, regulator=False)}
    assert allowed == MAY_MARKET


def test_what_a_regulator_may_decide() -> None:
    for former in (Decision.ADMIT_AFTER_TEST, Decision.HOLD, Decision.REFUSE):
        released = (former, Decision.RELEASED_BY_REGULATOR)
        assert may_rule(*released, ["lot-on-hold"], market=False, regulator=True)
        assert not may_rule(*released, (), market=True, regulator=False)
        assert not may_rule(former, Decision.ADMIT, (), market=False, regulator=True)
    assert may_rule(Decision.ADMIT, Decision.REFUSE, (), market=False, regulator=True)


@pytest.mark.parametrize(
    "finding", ["lot-on-hold", "source-on-hold", "test-failed", "test-suspect"]
)
def test_a_market_lets_in_nothing_that_is_on_hold_or_failed(finding: str) -> None:
    for former, decision in product(COMPUTED, (Decision.ADMIT, Decision.ADMIT_AFTER_TEST)):
        milder = gravest([former, decision]) is former and former is not decision
        if milder:
            assert not may_rule(former, decision, [finding], market=True, regulator=False)


def test_what_a_regulator_decided_no_market_softens() -> None:
    for former, decision in product(Decision, Decision):
        allowed = may_rule(former, decision, (), market=True, regulator=False, by_regulator=True)
        stricter = former is not decision and gravest([former, decision]) is decision
        assert allowed is (stricter and decision is not Decision.RELEASED_BY_REGULATOR)


def test_nobody_else_decides_anything() -> None:
    for pair in product(Decision, Decision):
        assert not may_rule(*pair, (), market=False, regulator=False)
