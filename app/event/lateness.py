"""How late the books may hear of something and judge it by its own day alone: dated data. Pure.

Nobody chooses the law that he is judged by; what is told later is judged by the rules of two days.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from app.core.clock import local_date
from app.product.rules import Dated


@dataclass(frozen=True, slots=True)
class Lateness(Dated):
    """A dated rule of how late the books may hear of something and believe when it was.

    Attributes:
        hours: Between what is told and when it is told.
        source: The design that says so.
        verified: Whether an official text says so, and has been read.
    """

    code: str
    hours: int
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Late:
    """That the books heard of something too late to believe when it was.

    Attributes:
        at: When it was, by whoever told.
        told_at: When the books heard of it, by the one clock that is right.
    """

    at: datetime
    told_at: datetime


def late(rules: Iterable[Lateness], at: datetime, told_at: datetime) -> Late | None:
    """Say whether the books heard of something too late to believe when it was.

    The rule is that of the day on which it is told: the other one may have been chosen.

    Args:
        rules: The dated rules; on a day without one nothing is believed late.
        at: When it was, by whoever told.
        told_at: When the books heard of it.
    """
    most_h = next((rule.hours for rule in rules if rule.in_force(local_date(told_at))), 0)
    return Late(at, told_at) if told_at - at > timedelta(hours=most_h) else None


def judged_on(at: datetime, told_late: Late | None) -> tuple[date, ...]:
    """Answer the days whose rules decide: that of what happened, and that on which it was told.

    Nobody chooses the law that he is judged by: who tells of something long ago, with a clock that
    is wrong or set back, is judged by both days, and the graver verdict stands.
    """
    days = [at] if told_late is None else [at, told_late.told_at]
    return tuple(dict.fromkeys(local_date(day) for day in days))
