"""Labels lie on the paper, on whole dots, and apart from each other."""

import json
from importlib import resources
from itertools import combinations
from typing import Any

import pytest

from app.label import rules
from app.label.rules import STOCKS, Dpi, Stock, StockName
from app.label.sheets import fits
from app.signing.qr import Print

A4_MM = (210, 297)
LONGEST = "https://" + "a" * 34 + ".cn"


@pytest.mark.parametrize("dpi", list(Dpi))
@pytest.mark.parametrize("stock", STOCKS.values(), ids=STOCKS)
def test_labels_lie_on_the_paper_and_apart(stock: Stock, dpi: int) -> None:
    across, down = rules.dots(stock.width, dpi), rules.dots(stock.height, dpi)
    places = [rules.place(stock, number, dpi) for number in range(stock.places)]
    assert {place.sheet for place in places} == {0}
    for place in places:
        # A dot of rounding at the edge.
        assert place.x + across <= rules.dots(A4_MM[0], dpi) + 1
        assert place.y + down <= rules.dots(A4_MM[1], dpi) + 1
    for one, other in combinations(places, 2):
        apart = abs(one.x - other.x) >= across - 1 or abs(one.y - other.y) >= down - 1
        assert apart, (one, other)
    assert rules.place(stock, stock.places, dpi) == rules.place(stock, 0, dpi)._replace(sheet=1)


@pytest.mark.parametrize("stock", STOCKS.values(), ids=STOCKS)
def test_the_code_and_the_words_under_it_fit_the_label(stock: Stock) -> None:
    text_mm = stock.text_pt * 1.2 * 25.4 / 72
    assert stock.code + text_mm <= stock.height
    assert stock.inset + stock.code < stock.width - 15, "there is room for words beside it"


@pytest.mark.parametrize("dpi", list(Dpi))
@pytest.mark.parametrize("name", list(StockName))
def test_a_short_code_is_safe_on_every_stock_whatever_the_host(name: StockName, dpi: int) -> None:
    found = fits(STOCKS[name], "https://ypt.nantong.cn", dpi)
    assert found[rules.CodeForm.SHORT].print is Print.SAFE
    # The longest address that a token allows makes short codes larger, and still readable ones.
    assert fits(STOCKS[name], LONGEST, dpi)[rules.CodeForm.SHORT].print is not Print.REFUSED


@pytest.mark.parametrize("dpi", list(Dpi))
@pytest.mark.parametrize("strip", rules.STRIPS.values(), ids=rules.STRIPS)
def test_a_signed_code_is_safe_on_every_strip(strip: rules.Strip, dpi: int) -> None:
    assert strip.code_mm <= strip.width_mm - 2 * strip.margin_mm
    assert rules.dots(strip.code_mm, dpi) // (49 + 8) >= 4


def _forms() -> list[dict[str, Any]]:
    source = resources.files("app.certificate").joinpath("data/forms.json")
    forms: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))["forms"]
    return forms


@pytest.mark.parametrize("form", _forms(), ids=lambda form: f"{form['kind']}-{form['edition']}")
def test_every_field_of_a_form_has_its_own_words(form: dict[str, Any]) -> None:
    labels = form["wording"]["labels"]
    assert list(labels) == form["wording"]["fields"]
    assert all(label["zh"] and label["en"] for label in labels.values())
