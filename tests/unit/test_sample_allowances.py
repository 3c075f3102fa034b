"""How much of goods may be sampled without the office in charge."""

from datetime import date

import pytest

from app.testing import seed
from app.testing.allowances import (
    Allowance,
    HeldSampleLimit,
    Portion,
    SampleLimit,
    allowed_g,
    check_sample,
)
from app.testing.rules import LAYERS_OF_MARKETS, LAYERS_OF_OFFICES, Layer

LAYER = Layer.WHOLESALE_MARKET
RULES = [
    Allowance(LAYER, True, date(2015, 9, 1), date(2026, 3, 1), 3_000, 100, "test", verified=False),
    Allowance(LAYER, True, date(2026, 3, 1), None, 1_000, 50, "test", verified=False),
    Allowance(LAYER, False, date(2015, 9, 1), None, 6_000, 200, "test", verified=False),
]


@pytest.mark.parametrize(
    ("on", "whole_g", "grams"),
    [
        (date(2015, 8, 31), 100_000, 0),
        (date(2026, 2, 28), 100_000, 3_000),
        (date(2026, 2, 28), 29_999, 2_999),
        (date(2026, 3, 1), 100_000, 1_000),
        (date(2026, 3, 1), 19, 0),
    ],
)
def test_the_rule_of_the_day_counts(on: date, whole_g: int, grams: int) -> None:
    assert allowed_g(RULES, LAYER, {on}, held=True, whole_g=whole_g) == grams


def test_of_two_days_the_one_that_allows_less_counts() -> None:
    days = {date(2026, 2, 28), date(2026, 3, 1)}
    assert allowed_g(RULES, LAYER, days, held=True, whole_g=100_000) == 1_000


@pytest.mark.parametrize(("whole_g", "grams"), [(100_000, 6_000), (29_999, 5_999), (4, 0)])
def test_of_goods_that_move_a_test_takes_more(whole_g: int, grams: int) -> None:
    on = {date(2026, 3, 1)}
    assert allowed_g(RULES, LAYER, on, held=False, whole_g=whole_g) == grams
    whole = Portion(whole_g, grams)
    with pytest.raises(SampleLimit):
        check_sample(RULES, LAYER, on, held=False, wanted_g=1, portion=whole)


def test_a_layer_that_no_rule_names_asks_the_office() -> None:
    on = {date(2026, 3, 1)}
    assert allowed_g(RULES, Layer.RETAIL_MARKET, on, held=True, whole_g=100_000) == 0


def test_small_samples_add_up_and_never_empty_a_lot() -> None:
    whole_g, taken_g = 5_000, 0

    def take() -> None:
        portion = Portion(whole_g, taken_g)
        check_sample(RULES, LAYER, {on}, held=True, wanted_g=7, portion=portion)

    on = date(2026, 2, 1)
    for _ in range(71):
        take()
        taken_g += 7
    with pytest.raises(HeldSampleLimit) as refused:
        take()
    assert refused.value.facts == {"wanted_g": 7, "taken_g": 497, "allowed_g": 3}


def test_the_release_has_a_rule_for_every_layer_but_offices_and_none_of_ones_own_on_hold() -> None:
    named = {(row["layer"], row["held"]) for row in seed.read().allowances}
    markets = {(str(layer), held) for layer in LAYERS_OF_MARKETS for held in (False, True)}
    assert named == markets | {("own", False)}
    assert {layer for layer, _ in named}.isdisjoint(str(layer) for layer in LAYERS_OF_OFFICES)
