"""When an inspection happened, what contradicts it, and who may overrule it."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admission.gate import (
    RESERVED,
    CaseKind,
    Clocking,
    conflict,
    departments_at,
    gravest,
    happened_at,
    market_may_close,
    may_rule,
)
from app.admission.policy import GRAVITY, Decision
from app.admission.rules import Admitted, Entry
from app.party.access import Department, RoleKind

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


def test_a_clock_that_says_nothing_when_it_sends_is_held_against_its_arrival() -> None:
    at, ago = NOW - timedelta(hours=2), timedelta(days=4 * 365)
    assert Clocking(NOW).shown_at(at) == at
    assert Clocking(NOW, sent_at=NOW - ago).shown_at(at) == at - ago
    assert Clocking(NOW, NOW - ago).shown_at(NOW - ago) == NOW - 2 * ago
    assert Clocking(NOW, at - ago, NOW - ago).shown_at(at) == at - ago
    assert Clocking(NOW, at, NOW).shown_at(at) == at


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


def _may(
    former: Decision,
    decision: Decision,
    findings: Collection[str] = (),
    *,
    market: bool = False,
    regulator: bool = False,
    verdict: Decision = Decision.ADMIT,
    said: Decision | None = None,
) -> bool:
    return may_rule(
        former,
        decision,
        findings,
        verdict=verdict,
        market=market,
        regulator=regulator,
        regulator_said=said,
    )


def test_what_a_markets_officer_may_decide() -> None:
    asked = {pair for pair in product(Decision, Decision) if pair[0] is not pair[1]}
    assert {pair for pair in asked if _may(*pair, market=True)} == MAY_MARKET


def test_what_the_rules_refuse_no_detour_makes_the_markets_to_let_in() -> None:
    """A device that held what the rules refuse, or a ruling that did, gives nobody a say."""
    for former, decision in MAY_MARKET:
        stricter = gravest([former, decision]) is decision
        assert _may(former, decision, market=True, verdict=Decision.REFUSE) is stricter


def test_a_market_goes_no_further_than_a_regulator_did_whatever_came_between() -> None:
    for said, former, decision in product(Decision, Decision, Decision):
        stricter = GRAVITY[decision] > GRAVITY[former]
        if GRAVITY[decision] < GRAVITY[said]:
            # Stricter than what stands is still a market's to be.
            assert _may(former, decision, market=True, said=said) is stricter
        else:
            alone = _may(former, decision, market=True)
            assert _may(former, decision, market=True, said=said) is alone


@pytest.mark.parametrize(
    ("former", "roles", "through_market", "agriculture"),
    [
        (Decision.HOLD, {RoleKind.FARMER}, False, True),
        (Decision.REFUSE, {RoleKind.COLLECTOR}, False, True),
        (Decision.REFUSE, {RoleKind.COLLECTOR}, True, False),
        (Decision.REFUSE, {RoleKind.COLLECTOR, RoleKind.STALL}, False, False),
        (Decision.HOLD, {RoleKind.PROCESSOR}, False, False),
        (Decision.HOLD, set(), False, False),
        (Decision.ADMIT, {RoleKind.FARMER}, False, False),
        (Decision.RELEASED_BY_REGULATOR, {RoleKind.FARMER}, False, False),
    ],
)
def test_the_gate_of_the_market_divides_the_offices(
    former: Decision, roles: set[RoleKind], *, through_market: bool, agriculture: bool
) -> None:
    offices = departments_at(former, from_roles=roles, through_market=through_market)
    assert Department.MARKET_REGULATION in offices
    assert (Department.AGRICULTURE in offices) is agriculture


def test_what_a_regulator_may_decide() -> None:
    for former in (Decision.ADMIT_AFTER_TEST, Decision.HOLD, Decision.REFUSE):
        released = (former, Decision.RELEASED_BY_REGULATOR)
        assert _may(*released, ["lot-on-hold"], regulator=True)
        assert not _may(*released, market=True)
        assert not _may(former, Decision.ADMIT, regulator=True)
    assert _may(Decision.ADMIT, Decision.REFUSE, regulator=True)


@pytest.mark.parametrize("finding", sorted(RESERVED))
def test_a_market_lets_in_nothing_that_is_on_hold_or_failed(finding: str) -> None:
    for former, decision in product(COMPUTED, (Decision.ADMIT, Decision.ADMIT_AFTER_TEST)):
        milder = gravest([former, decision]) is former and former is not decision
        if milder:
            assert not _may(former, decision, [finding], market=True)


def test_what_a_regulator_decided_no_market_softens() -> None:
    for former, decision in product(Decision, Decision):
        if former is decision:  # changes nothing, and is refused before anybody asks
            continue
        allowed = _may(former, decision, market=True, said=former)
        stricter = gravest([former, decision]) is decision
        assert allowed is (stricter and decision is not Decision.RELEASED_BY_REGULATOR)


def test_nobody_else_decides_anything() -> None:
    for pair in product(Decision, Decision):
        assert not _may(*pair)


def test_a_market_closes_what_happened_within_its_own_gates() -> None:
    own = {kind for kind in CaseKind if market_may_close(kind, elsewhere=False)}
    assert own == {"admitted_at_two_gates", "admitted_more_than_issued"}
    assert not any(market_may_close(kind, elsewhere=True) for kind in CaseKind)
