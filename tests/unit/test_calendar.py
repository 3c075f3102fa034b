from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.calendar import add_working_days, is_working_day


@pytest.mark.parametrize(
    ("on", "worked"),
    [
        (date(2026, 6, 18), True),  # a Thursday
        (date(2026, 6, 19), False),  # Dragon Boat Festival, a Friday
        (date(2026, 6, 20), False),
        (date(2026, 2, 14), True),  # a Saturday that is worked for the Spring Festival
        (date(2025, 9, 28), True),  # a Sunday that is worked for the National Day
        (date(2025, 10, 8), False),
        (date(2099, 6, 19), True),  # not arranged yet: an ordinary Friday
        (date(2099, 6, 20), False),
    ],
)
def test_make_up_days_are_worked_and_holidays_are_not(on: date, worked: bool) -> None:
    assert is_working_day(on) is worked


@pytest.mark.parametrize(
    ("start", "days", "last", "arranged"),
    [
        (date(2026, 6, 18), 0, date(2026, 6, 18), True),
        (date(2026, 6, 18), 1, date(2026, 6, 22), True),  # over the festival and the weekend
        (date(2026, 6, 18), 10, date(2026, 7, 3), True),
        (date(2026, 9, 30), 1, date(2026, 10, 8), True),
        (date(2099, 6, 18), 2, date(2099, 6, 22), False),
    ],
)
def test_the_first_day_does_not_count(start: date, days: int, last: date, arranged: bool) -> None:
    assert add_working_days(start, days) == (last, arranged)


@given(st.dates(date(2016, 1, 1), date(2030, 1, 1)), st.integers(0, 40))
def test_as_many_working_days_lie_after_the_start_as_were_counted(start: date, days: int) -> None:
    last = add_working_days(start, days).on
    passed = (last - start).days
    assert sum(is_working_day(start + timedelta(days=no + 1)) for no in range(passed)) == days
    assert days == 0 or is_working_day(last)
