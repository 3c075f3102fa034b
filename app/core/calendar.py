"""Working days as the State Council sets them: weekends that are worked and weekdays that are not.

The arrangement of a year is published in the autumn before it, and the package that knows it is
renewed then. A day of a year that is not arranged yet is taken as an ordinary Monday to Friday, and
the answer says so.
"""

from datetime import date, timedelta
from typing import NamedTuple

import chinese_calendar

_SATURDAY = 5


class WorkingDay(NamedTuple):
    """A day that was counted to.

    Attributes:
        on: The day.
        arranged: Whether the holidays of all years on the way there are published.
    """

    on: date
    arranged: bool


def is_working_day(on: date) -> bool:
    """Whether a day is worked in China, make-up days included."""
    try:
        return bool(chinese_calendar.is_workday(on))
    except NotImplementedError:
        return on.weekday() < _SATURDAY


def _is_arranged(on: date) -> bool:
    try:
        chinese_calendar.is_workday(on)
    except NotImplementedError:
        return False
    return True


def add_working_days(start: date, days: int) -> WorkingDay:
    """Count working days; the day on which something happens is not counted (Civil Code art. 201).

    Args:
        start: When it happened.
        days: How many working days there are, ≥ 0.

    Returns:
        The last day of the period.
    """
    on = start
    while days > 0:
        on += timedelta(days=1)
        days -= is_working_day(on)
    return WorkingDay(on, _is_arranged(on))
