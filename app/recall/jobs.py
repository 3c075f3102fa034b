"""Jobs of this package, by kind."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate.service import VOIDED_JOB
from app.recall import following, referrals, service
from app.testing.cases import FAILED_JOB

log = structlog.get_logger()

Handler = Callable[[AsyncSession, bytes, datetime], Awaitable[None]]
Chore = Callable[[AsyncSession, datetime], Awaitable[None]]


async def _certificate_voided(session: AsyncSession, payload: bytes, now: datetime) -> None:
    await service.tell_of_voided_certificate(session, UUID(bytes=payload), now=now)


async def _test_failed(session: AsyncSession, payload: bytes, now: datetime) -> None:
    await service.tell_of_failed_test(session, UUID(bytes=payload), now=now)


async def _escalate(session: AsyncSession, now: datetime) -> None:
    late = await following.escalate(session, now=now)
    unanswered = await referrals.escalate(session, now=now)
    log.info("recalls_escalated", late=late, unanswered=unanswered)


HANDLERS: Mapping[str, Handler] = {VOIDED_JOB: _certificate_voided, FAILED_JOB: _test_failed}

CHORES: Mapping[str, tuple[str, Chore]] = {"recalls.escalate": ("*/5 * * * *", _escalate)}
"""What is looked for every five minutes: notices, cases and referrals that are overdue."""
