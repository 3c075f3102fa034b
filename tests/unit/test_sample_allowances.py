"""How much of goods on hold may be sampled without the office in charge."""

from datetime import date

import pytest

from app.testing import seed
from app.testing.allowances import Allowance, HeldSampleLimit, allowed_g, check_held
from app.testing.rules import LAYERS_OF_MARKETS, LAYERS_OF_OFFICES, Layer

LAYER = Layer.WHOLESALE_MARKET
RULES = [
    Allowance(LAYER, date(2015, 9, 1), date(2026, 3, 1), 3_000, 100, "test", verified=False),
    Allowance(LAYER, date(2026, 3, 1), None, 1_000, 50, "test", verified=False),
]


@pytest.mark.parametrize(
    ("on", "kept_g", "grams"),
    [
        (date(2015, 8, 31), 100_000, 0),
        (date(2026, 2, 28), 100_000, 3_000),
        (date(2026, 2, 28), 29_999, 2_999),
        (date(2026, 3, 1), 100_000, 1_000),
        (date(2026, 3, 1), 19, 0),
    ],
)
def test_the_rule_of_the_day_counts(on: date, kept_g: int, grams: int) -> None:
    assert allowed_g(RULES, LAYER, on, kept_g=kept_g) == grams


def test_a_layer_that_no_rule_names_asks_the_office() -> None:
    assert allowed_g(RULES, Layer.RETAIL_MARKET, date(2026, 3, 1), kept_g=100_000) == 0


def test_small_samples_add_up_and_never_empty_a_lot() -> None:
    whole_g, taken_g = 5_000, 0

    def take() -> None:
        check_held(RULES, LAYER, on, wanted_g=7, taken_g=taken_g, left_g=whole_g - taken_g)

    on = date(2026, 2, 1)
    for _ in range(71):
        take()
        taken_g += 7
    with pytest.raises(HeldSampleLimit) as refused:
        take()
    assert refused.value.facts == {"wanted_g": 7, "taken_g": 497, "allowed_g": 3}


def test_the_release_has_a_rule_for_every_market_and_none_for_offices() -> None:
    named = {row["layer"] for row in seed.read().allowances}
    assert named == {str(layer) for layer in LAYERS_OF_MARKETS}
    assert named.isdisjoint(str(layer) for layer in LAYERS_OF_OFFICES)
