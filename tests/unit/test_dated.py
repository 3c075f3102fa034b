"""When a row of dated data counts: from its first day, and no longer on its end."""

from datetime import date, timedelta

import pytest

from app.core import dated

FROM, TO = date(2023, 12, 1), date(2026, 2, 1)
A_DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("on", "counts"),
    [(FROM - A_DAY, False), (FROM, True), (TO - A_DAY, True), (TO, False), (date.max, False)],
)
def test_a_row_counts_from_its_first_day_to_the_day_before_its_end(on: date, counts: bool) -> None:
    assert dated.in_force(FROM, TO, on) is counts


@pytest.mark.parametrize(("on", "counts"), [(FROM - A_DAY, False), (FROM, True), (date.max, True)])
def test_a_row_without_an_end_counts_for_ever(on: date, counts: bool) -> None:
    assert dated.in_force(FROM, None, on) is counts
