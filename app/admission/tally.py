"""How often documents are looked at by anybody: counted in memory, written now and then.

The public page must not wait for a write, nor fail where only a replica answers; and of who looked
nothing may be kept. So a process counts views by document and hour, and adds its counts to the
table every few seconds. What a process had not written when it was killed is lost: the counts are
for an alarm, not for the books.
"""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.replica import DATABASE_FAULTS

WRITE_EVERY_S: Final = 10.0
DOCUMENTS_MAX: Final = 100_000
"""Documents that are counted between two writes; more than that in ten seconds is no reader."""

_ADD = text("""
    INSERT INTO public_views (serial, hour_at, views)
    SELECT x.serial, x.hour_at, x.views FROM unnest(
        CAST(:serials AS bigint[]), CAST(:hours AS timestamptz[]), CAST(:views AS bigint[])
    ) AS x (serial, hour_at, views) ORDER BY x.serial, x.hour_at
    ON CONFLICT (serial, hour_at) DO UPDATE SET views = public_views.views + EXCLUDED.views
""")

log = structlog.get_logger()


class Tally:
    """Views that are not yet written."""

    def __init__(self) -> None:
        """Begin with none."""
        self._views: Counter[tuple[int, datetime]] = Counter()

    def count(self, serial: int, now: datetime) -> None:
        """Note that somebody looked at the document with this serial."""
        key = (serial, now.replace(minute=0, second=0, microsecond=0))
        if key in self._views or len(self._views) < DOCUMENTS_MAX:
            self._views[key] += 1

    async def write(self, session: AsyncSession) -> int:
        """Add what was counted to the table; answer how many documents and hours it was."""
        counted = sorted(self._views.items())
        if counted:
            await session.execute(
                _ADD,
                {
                    "serials": [serial for (serial, _), _ in counted],
                    "hours": [hour_at for (_, hour_at), _ in counted],
                    "views": [views for _, views in counted],
                },
            )
        return len(counted)

    async def flush(self, database: Database) -> None:
        """Write in a transaction of its own; where that fails, the counts wait for the next."""
        taken = Tally()
        taken._views, self._views = self._views, Counter()
        try:
            async with database.transaction() as session:
                await taken.write(session)
        except DATABASE_FAULTS as error:
            self._views.update(taken._views)
            log.warning("views_not_written", error=type(error).__name__)

    async def keep_writing(self, database: Database) -> None:
        """Write every few seconds until cancelled, and then a last time."""
        try:
            while True:
                await asyncio.sleep(WRITE_EVERY_S)
                await self.flush(database)
        finally:
            await self.flush(database)
