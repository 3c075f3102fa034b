"""Jobs of this package: a look at what is new, rule by rule."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.supervision import service
from app.supervision.queries import MEASURES
from app.supervision.rules import RuleCode

Handler = Callable[[AsyncSession, bytes, datetime], Awaitable[None]]

log = structlog.get_logger()


def kind_of(code: RuleCode) -> str:
    """Name the job that looks at one rule."""
    return f"warning.{code}"


async def _look(code: RuleCode, session: AsyncSession, payload: bytes, now: datetime) -> None:
    """Look at one batch; where more is waiting, ask for a further job of its own transaction."""
    del payload  # what is new is known from the watermark
    run = await service.run(session, code, now=now)
    if run.opened:
        log.warning("warnings_opened", rule=code, count=run.opened)
    if run.more:
        await jobs.enqueue(session, kind_of(code), b"")


async def watch(session: AsyncSession, now: datetime) -> None:
    """Ask for a look at every rule."""
    del now  # each job asks for itself
    for code in MEASURES:
        await jobs.enqueue(session, kind_of(code), b"")


HANDLERS: Mapping[str, Handler] = {kind_of(code): partial(_look, code) for code in MEASURES}
