"""Jobs of this package, by kind."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.report import service

log = structlog.get_logger()

Chore = Callable[[AsyncSession, datetime], Awaitable[None]]


async def _remind(session: AsyncSession, now: datetime) -> None:
    due, late = await service.remind(session, now=now)
    log.info("reports_reminded", due=due, late=late)


CHORES: Mapping[str, tuple[str, Chore]] = {"reports.remind": ("*/5 * * * *", _remind)}
"""What is looked for every five minutes: reports that are due today, or late."""
