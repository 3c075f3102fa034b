"""The fixtures keep what they promise: a test that sees another one's rows proves nothing."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from tests.conftest import START, FakeClock

ROLE = text("SELECT current_user")
TABLES = text("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_session_is_rolled_back(turn: int, session: AsyncSession) -> None:
    await session.execute(text("CREATE TEMPORARY TABLE seen (turn int) ON COMMIT DROP"))
    await session.commit()  # even what commits by mistake
    await session.execute(text("INSERT INTO seen VALUES (1)"))
    assert await session.scalar(text("SELECT count(*) FROM seen")) == 1


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_database_is_the_tests_own(turn: int, database: Database) -> None:
    async with database.reading() as session:
        name = await session.scalar(text("SELECT current_database()"))
        assert await session.scalar(TABLES)
        assert name not in SEEN
    SEEN.add(name)


SEEN: set[object] = set()


async def test_the_application_does_not_work_as_the_owner(
    session: AsyncSession, database: Database
) -> None:
    async with database.reading() as reading:
        assert await reading.scalar(ROLE) == await session.scalar(ROLE) == "ypt_app"


def test_the_clock_stands_still_until_it_is_moved(clock: FakeClock) -> None:
    assert clock() == clock() == START
    assert clock.advance(hours=3, minutes=1) == START + timedelta(hours=3, minutes=1) == clock()
    noon = datetime(2026, 6, 18, 12, tzinfo=timezone(timedelta(hours=8)))
    assert clock.set(noon) == datetime(2026, 6, 18, 4, tzinfo=UTC) == clock()
    assert clock().tzinfo is UTC
