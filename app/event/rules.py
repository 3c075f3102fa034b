"""What can happen to goods."""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from app.core.clock import local_date
from app.core.errors import DomainError, Kind, Text


class EventKind(StrEnum):
    """The vocabulary of domain.md §3.1, as far as it is recorded now."""

    HARVEST = "harvest"
    CATCH = "catch"
    LAY = "lay"
    SLAUGHTER_IN = "slaughter_in"
    DECLARE = "declare"
    SPLIT = "split"
    MERGE = "merge"
    TRANSFORM = "transform"
    LOSS = "loss"
    DESTROY = "destroy"
    SAMPLE = "sample"
    HAND_OVER = "hand_over"
    RETURN = "return"
    HOLD = "hold"
    RELEASE = "release"
    ENTRY_CHECK = "entry_check"


CLOCK_TOLERANCE = timedelta(minutes=5)
EARLIEST_AGE = timedelta(days=5 * 366)


class ImpossibleDate(DomainError):
    """The date lies in the future, or before anything this platform records."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "impossible-date"
    title: ClassVar[Text] = Text("日期不可能", "The date is impossible")
    next_step: ClassVar[Text] = Text(
        "请检查日期：不能晚于现在，也不能早于五年前",
        "Check the date: not after now, and not more than five years ago",
    )


def check_occurred(occurred_at: datetime, *, now: datetime, pointer: str = "/occurred_at") -> None:
    """Refuse an instant that cannot be when something happened.

    A phone's clock may run five minutes ahead (ux.md: clocks more than 5 min off are flagged).

    Raises:
        ImpossibleDate: after now, or more than five years ago.
    """
    if occurred_at > now + CLOCK_TOLERANCE or occurred_at < now - EARLIEST_AGE:
        raise ImpossibleDate(pointer=pointer)


def check_made(made_on: date, occurred_at: datetime, *, pointer: str = "/made_on") -> None:
    """Refuse a day of harvest, catch or slaughter that does not go with what happened then.

    Raises:
        ImpossibleDate: after the day in Shanghai on which it happened, or five years before.
    """
    on = local_date(occurred_at)
    if not on - EARLIEST_AGE <= made_on <= on:
        raise ImpossibleDate(pointer=pointer)
