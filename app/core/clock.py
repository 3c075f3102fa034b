"""The one place that asks what time it is."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
"""Answers the present instant, aware and in UTC."""

SHANGHAI = ZoneInfo("Asia/Shanghai")


def system_clock() -> datetime:
    """Answer the machine's present instant, in UTC."""
    return datetime.now(UTC)


def local_date(instant: datetime) -> date:
    """Answer the calendar day in Shanghai at this instant: the day that law and forms mean."""
    return instant.astimezone(SHANGHAI).date()
