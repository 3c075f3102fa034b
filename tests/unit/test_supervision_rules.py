"""Limits on both sides, distances, and failures against their own past."""

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.farming.rules import Interval, earliest_harvest, interval_days, share_of_yield_permille
from app.supervision import rules, seed
from app.supervision.rules import (
    LIMITS,
    PARAMETERS,
    Measure,
    Rule,
    RuleCode,
    Severity,
    Spot,
    WarningState,
)

ON = date(2026, 6, 18)


def rule(code: RuleCode, **parameters: int) -> Rule:
    """Make a rule with round thresholds, so that no test rests on what the data says today."""
    return Rule(
        code, date(2016, 3, 1), None, Severity.HIGH, {"reopen_permille": 1250, **parameters}
    )


ROAD = {"speed_kmh_max": 120, "detour_permille": 1200, "slack_min": 10, "km_min": 15}
GRACE = {"accepted_grace_min": 60, "expired_grace_min": 120, "voided_grace_min": 180}
PHONE = {"producers_max": 4, "with_organisation_max": 60}
CLUSTER = {
    "alpha_ppm": 1000,
    "failures_min": 3,
    "baseline_weeks": 26,
    "guard_weeks": 2,
    "past_weight_permille": 500,
}
PAST = {"tests": 10, "past_failures": 5, "past_tests": 260}

# Rule, thresholds, what the figure is compared with, and the greatest figure that passes.
LIMIT_CASES = [
    (RuleCode.CERTIFICATE_OVERSOLD, {"over_permille": 1250}, {"certified_g": 40_000}, 50_000),
    (RuleCode.PLOT_OVER_YIELD, {"over_permille": 1100}, {}, 1100),
    (RuleCode.CERTIFICATE_AFTER_SALE, {"grace_min": 120}, {}, 120),
    (RuleCode.PREHARVEST_INTERVAL, {"grace_days": 0}, {}, 0),
    (RuleCode.CHAIN_TOO_FAST, ROAD, {"km": 15.0, "speed_kmh": 999}, 120),
    (RuleCode.CHAIN_TOO_FAST, ROAD, {"km": 14.9, "speed_kmh": 999}, 999),
    (RuleCode.SCAN_TOO_FAST, ROAD, {"km": 80.0, "speed_kmh": 121}, 120),
    (RuleCode.PHONE_SHARED, PHONE, {"organisation": False}, 4),
    (RuleCode.PHONE_SHARED, PHONE, {"organisation": True}, 60),
    (RuleCode.PRODUCT_CHANGED, {"grams_min": 1000}, {}, 1000),
    (RuleCode.ACCEPTED_BEYOND_ISSUED, {"over_permille": 1000}, {"issued_g": 700}, 700),
    (RuleCode.SCANNED_AFTER_USE, GRACE, {"ended_by": "accepted"}, 60),
    (RuleCode.SCANNED_AFTER_USE, GRACE, {"ended_by": "expired"}, 120),
    (RuleCode.SCANNED_AFTER_USE, GRACE, {"ended_by": "voided"}, 180),
    (RuleCode.OFF_LOG, {"scans_max": 0}, {}, 0),
    (RuleCode.VIEWED_TOO_OFTEN, {"views_max": 20}, {}, 20),
    (RuleCode.FAILURE_CLUSTER, CLUSTER, PAST, 3),
    (RuleCode.DEADLINE_OVERDUE, {"grace_min": 0, "hold_working_days": 5}, {}, 0),
]


@pytest.mark.parametrize(("code", "parameters", "facts", "limit"), LIMIT_CASES)
def test_a_figure_passes_up_to_the_limit_and_warns_beyond(
    code: RuleCode, parameters: dict[str, int], facts: dict[str, int], limit: int
) -> None:
    dated = rule(code, **parameters)
    assert rules.limit_of(dated, Measure("x", ON, 0, facts)) == limit
    assert not rules.exceeds(dated, Measure("x", ON, limit, facts))
    assert rules.exceeds(dated, Measure("x", ON, limit + 1, facts))


def test_every_rule_has_a_limit_thresholds_data_and_a_case() -> None:
    codes = set(RuleCode)
    assert set(LIMITS) == codes
    assert set(PARAMETERS) == codes
    assert {case[0] for case in LIMIT_CASES} == codes
    assert {row["code"] for row in seed.warning_rules()} == codes


def test_the_rule_in_force_is_that_of_the_day() -> None:
    first = Rule(RuleCode.OFF_LOG, date(2020, 1, 1), ON, Severity.LOW, {})
    second = Rule(RuleCode.OFF_LOG, ON, None, Severity.HIGH, {})
    for on, expected in (
        (date(2019, 12, 31), None),
        (ON - timedelta(days=1), first),
        (ON, second),
    ):
        assert rules.in_force([first, second], on) is expected


def test_what_was_put_aside_opens_anew_beyond_its_growth() -> None:
    dated = rule(RuleCode.OFF_LOG, scans_max=0)
    assert not rules.opens_anew(dated, 125, closed_figure=100)
    assert rules.opens_anew(dated, 126, closed_figure=100)


def test_states_are_few() -> None:
    assert set(WarningState) == {"open", "handled", "false"}


def test_a_harvest_as_a_share_of_what_the_area_can_give() -> None:
    assert share_of_yield_permille(3_000_000, 667, 3000) == 1000
    assert share_of_yield_permille(1_500_000, 2001, 3000) == 167


# --- distance -------------------------------------------------------------------------------------


def test_a_degree_of_latitude_is_111_km_less_what_is_unsure() -> None:
    south, north = Spot(32.0, 121.0), Spot(33.0, 121.0)
    assert rules.km_between(south, north) == pytest.approx(111.2, abs=0.1)
    unsure = Spot(33.0, 121.0, 20)
    assert rules.km_between(south, unsure) == pytest.approx(91.2, abs=0.1)
    assert rules.km_between(Spot(32.9, 121.0), unsure) == 0
    assert rules.km_between(south, south) == 0


@given(
    st.tuples(st.floats(30, 35), st.floats(116, 122)),
    st.tuples(st.floats(30, 35), st.floats(116, 122)),
)
def test_distance_is_the_same_both_ways(
    one: tuple[float, float], other: tuple[float, float]
) -> None:
    there, back = (rules.km_between(Spot(*a), Spot(*b)) for a, b in ((one, other), (other, one)))
    assert math.isclose(there, back, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("minutes", "slack_min", "kmh"), [(50, 10, 100), (0, 10, 600), (-30, 10, 600), (110, 10, 50)]
)
def test_speed_allows_for_clocks(minutes: int, slack_min: int, kmh: int) -> None:
    elapsed = timedelta(minutes=minutes)
    assert rules.speed_kmh(100, elapsed, slack_min=slack_min) == kmh


def test_a_place_is_where_its_point_is_or_else_its_county() -> None:
    centres = {"320681": Spot(31.8, 121.6, 21)}
    point = {"type": "Point", "coordinates": [120.5, 32.5]}
    ring = {"type": "Polygon", "coordinates": [[[120.5, 32.5], [120.6, 32.5], [120.5, 32.5]]]}
    assert rules.spot_of(point, "320681", centres) == Spot(32.5, 120.5)
    assert rules.spot_of(ring, "320681", centres) == Spot(32.5, 120.5)
    assert rules.spot_of(None, "320681100", centres) == centres["320681"]
    assert rules.spot_of(None, "110101", centres) is None


# --- failures -------------------------------------------------------------------------------------


def critical(tests: int, past_failures: int, past_tests: int, **more: float) -> int:
    given = {"alpha": 0.001, "failures_min": 1, "weight": 1.0, **more}
    return rules.unremarkable_failures(
        tests,
        past_failures,
        past_tests,
        alpha=given["alpha"],
        failures_min=int(given["failures_min"]),
        weight=given["weight"],
    )


def negative_binomial_tail(count: int, shape: float, stay: float) -> float:
    """P(X > count), added up from the closed form of each probability."""
    below = sum(
        math.exp(
            math.lgamma(shape + k)
            - math.lgamma(shape)
            - math.lgamma(k + 1)
            + shape * math.log(stay)
            + k * math.log1p(-stay)
        )
        for k in range(count + 1)
    )
    return 1 - below


@given(st.integers(1, 400), st.integers(0, 60), st.integers(1, 4000), st.floats(0.1, 1))
def test_the_limit_is_the_least_count_whose_tail_is_below_alpha(
    tests: int, past_failures: int, past_tests: int, weight: float
) -> None:
    limit = critical(tests, past_failures, past_tests, weight=weight)
    shape = 0.5 + weight * past_failures
    stay = weight * past_tests / (weight * past_tests + tests)
    if limit < tests:
        assert negative_binomial_tail(limit, shape, stay) < 0.001 + 1e-9
    if 0 < limit <= tests:
        assert negative_binomial_tail(limit - 1, shape, stay) >= 0.001 - 1e-9


def test_a_past_of_failures_lets_more_pass_and_little_past_says_little() -> None:
    assert critical(20, 0, 500) < critical(20, 20, 500) < critical(20, 60, 500)
    assert critical(20, 1, 50) > critical(20, 10, 500)
    assert critical(20, 10, 500, weight=0.2) > critical(20, 10, 500)
    assert critical(20, 0, 5000, failures_min=3) == 2
    assert critical(20, 0, 0) == 20
    assert critical(0, 3, 100) == 0


# --- harvest --------------------------------------------------------------------------------------


def test_intervals_by_crop_by_date_and_by_label() -> None:
    known = [
        Interval("吡虫啉", None, 7, date(2016, 1, 1), None),
        Interval("吡虫啉", 18, 10, date(2016, 1, 1), date(2020, 1, 1)),
        Interval("吡虫啉", 18, 14, date(2020, 1, 1), None),
    ]

    def days(product: int | None, on: date, label: int | None = None) -> int | None:
        return interval_days(known, "吡虫啉", product, on, label_days=label)

    assert days(18, date(2019, 12, 31)) == 10
    assert days(18, date(2020, 1, 1)) == 14
    assert days(13, ON) == days(None, ON) == 7
    assert days(13, date(2015, 1, 1)) is None
    assert days(18, ON, label=20) == 20
    assert days(18, ON, label=3) == 14
    assert days(18, date(2015, 1, 1), label=3) == 3
    assert interval_days(known, "水", 18, ON, label_days=None) is None


def test_the_first_day_of_harvest() -> None:
    assert earliest_harvest(date(2026, 6, 1), 14) == date(2026, 6, 15)
    assert earliest_harvest(date(2026, 6, 1), None) is None
