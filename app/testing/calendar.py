"""The clocks of the law, and the working days that they count (domain.md §2.11). Pure.

Which days are worked is `app.core.calendar`'s: of a year that nobody has announced every Monday to
Friday, holidays of the law too, and a clock that reaches into such a year says so (`assumed`). The
table of overrides comes before it: an operator enters an announcement there on the day it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from app.core import calendar, dated
from app.core.clock import SHANGHAI, local_date


class ClockUnit(StrEnum):
    """In what a time limit is counted."""

    HOURS = "hours"
    DAYS = "days"
    WORKING_DAYS = "working_days"


class ClockKind(StrEnum):
    """What has to happen in time."""

    OBJECTION_QUICK = "objection_quick"
    OBJECTION_LAB = "objection_lab"
    RETEST_REPORT = "retest_report"
    PUBLICATION = "publication"
    HANDLING_START = "handling_start"
    HANDLING_FINISH = "handling_finish"
    LAB_REPORT = "lab_report"


@dataclass(frozen=True, slots=True)
class ClockRule:
    """A time limit of the law, as in force for a while.

    Attributes:
        authority: For whom; `any` for all.
    """

    kind: ClockKind
    authority: str
    amount: int
    unit: ClockUnit
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool

    def in_force(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return dated.in_force(self.valid_from, self.valid_to, on)


@dataclass(frozen=True, slots=True)
class Due:
    """When a time is over.

    Attributes:
        at: The first instant that is late.
        assumed: Whether a day counted whose year nobody has announced.
    """

    at: datetime
    assumed: bool


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """Which days are working days; `overrides` come before what was announced."""

    overrides: Mapping[date, bool]

    def is_working_day(self, day: date) -> tuple[bool, bool]:
        """Answer whether a day is a working day, and whether that is only assumed."""
        if day in self.overrides:
            return self.overrides[day], False
        return calendar.is_working_day(day), not calendar.add_working_days(day, 0).arranged

    def due(self, rule: ClockRule, began_at: datetime) -> Due:
        """Say when a time that began at an instant is over.

        Hours run at once. Days begin with the day after (the day of the event does not count), and
        end when the last of them has ended in Shanghai.
        """
        if rule.unit is ClockUnit.HOURS:
            return Due(began_at + timedelta(hours=rule.amount), assumed=False)
        return self._end(began_at, rule.amount, working=rule.unit is ClockUnit.WORKING_DAYS)

    def after(self, days: int, began_at: datetime) -> Due:
        """Say when so many working days are over that began at an instant; see `due`."""
        return self._end(began_at, days, working=True)

    def _end(self, began_at: datetime, days: int, *, working: bool) -> Due:
        day, left, assumed = local_date(began_at), days, False
        while left:
            day += timedelta(days=1)
            works, unsure = self.is_working_day(day) if working else (True, False)
            assumed = assumed or unsure
            left -= works
        midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=SHANGHAI)
        return Due(midnight.astimezone(UTC), assumed)
