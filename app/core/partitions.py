"""Months of events and entries: made ahead of time, set aside when their retention has ended.

The functions that do it stand in the database (migration 0002), because the server's role may not
make tables. Edges and balances are not partitioned: monthly partitions cost a trace 1.5 to 2.9
times its time (performance.md).
"""

import re
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

MONTHS_AHEAD = 3
PARTITIONED = ("event", "entry")
_PARTITION = re.compile(rf"(?:{'|'.join(PARTITIONED)})_(?:\d{{6}}|default)")


def is_partition(name: str | None) -> bool:
    """Whether a table is a month, or the default, of a partitioned one."""
    return name is not None and _PARTITION.fullmatch(name) is not None


async def make_ahead(session: AsyncSession) -> int:
    """Make the partitions of this month and the next three; answer how many were missing."""
    made = await session.scalar(text("SELECT make_partitions(:ahead)"), {"ahead": MONTHS_AHEAD})
    return int(made or 0)


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many months a table's rows stay at hand."""

    table: str
    months: int

    def ends_before(self, today: date) -> date:
        """Answer the first day that is still kept: a month goes only when all of it may go."""
        index = today.year * 12 + today.month - 1 - self.months
        return date(index // 12, index % 12 + 1, 1)


async def set_aside(
    session: AsyncSession, retention: Retention, *, today: date, needed_from: date | None
) -> list[str]:
    """Detach the months whose retention has ended, as the tables' owner.

    They stay as tables of their own: nothing is removed.

    Args:
        session: The transaction.
        retention: How long the table's rows are kept at least.
        today: The present day.
        needed_from: The first day that an open hold or case needs, whatever the retention says
            (domain.md §2.8: deletion must respect holds); None where nothing is open.

    Returns:
        The names of the detached tables.
    """
    assert retention.table in PARTITIONED, "only months can be set aside"
    before = retention.ends_before(today)
    if needed_from is not None:
        before = min(before, needed_from)
    detached = await session.scalar(
        text("SELECT detach_partitions(CAST(:parent AS regclass), :before)"),
        {"parent": retention.table, "before": before},
    )
    return list(detached or [])
