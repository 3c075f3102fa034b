"""Jobs of this package, by kind."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate.service import VOIDED_JOB
from app.recall import service
from app.testing.cases import FAILED_JOB

Handler = Callable[[AsyncSession, bytes, datetime], Awaitable[None]]


async def _certificate_voided(session: AsyncSession, payload: bytes, now: datetime) -> None:
    await service.tell_of_voided_certificate(session, UUID(bytes=payload), now=now)


async def _test_failed(session: AsyncSession, payload: bytes, now: datetime) -> None:
    await service.tell_of_failed_test(session, UUID(bytes=payload), now=now)


HANDLERS: Mapping[str, Handler] = {VOIDED_JOB: _certificate_voided, FAILED_JOB: _test_failed}
