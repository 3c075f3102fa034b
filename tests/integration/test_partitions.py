"""Months of events and entries: made ahead, filled, set aside, and never rewritten."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from sqlalchemy.exc import DBAPIError

from app.core import partitions
from app.core.partitions import Retention
from tests.factories import Trade, open_trade


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url) as trade:
        yield trade


async def _parts(trade: Trade, parent: str) -> list[str]:
    rows = await trade.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits "
        "WHERE inhparent = CAST(:parent AS regclass) ORDER BY 1".replace("::", " ::"),
        parent=parent,
    )
    return [name for (name,) in rows]


async def test_months_are_made_ahead_by_the_servers_role_and_once(trade: Trade) -> None:
    before = await _parts(trade, "entry")
    assert len(before) == partitions.MONTHS_AHEAD + 2  # this month, three ahead, the default
    async with trade.database.transaction() as session:
        assert await partitions.make_ahead(session) == 0
    await trade.execute("DROP TABLE " + before[-2])
    async with trade.database.transaction() as session:
        assert await partitions.make_ahead(session) == 1
    assert await _parts(trade, "entry") == before


async def test_a_row_lands_in_its_month_and_an_impossible_one_in_the_default(trade: Trade) -> None:
    farmer = await trade.farmer()
    await farmer.opens()  # the tests' clock stands outside of the months that were made
    assert await trade.value("SELECT count(*) FROM entry_default") == 1
    assert await trade.value("SELECT count(*) FROM event_default") == 1
    month = (await _parts(trade, "entry"))[0]
    await trade.execute(
        "INSERT INTO entry (kind, subject, leaf, appended_at) "
        "VALUES ('x', gen_random_uuid(), '{}', "
        f"to_date(right('{month}', 6), 'YYYYMM') + interval '36 hours')"
    )
    assert await trade.value(f"SELECT count(*) FROM {month}") == 1


async def test_months_are_set_aside_by_the_owner_only_when_all_of_them_may_go(
    trade: Trade,
) -> None:
    for month in ("2024-03-01", "2024-04-01", "2024-05-01"):
        await trade.execute(f"SELECT make_partition('event', '{month}')")
    keep = Retention("event", months=24)
    assert keep.ends_before(date(2026, 5, 31)) == date(2024, 5, 1)
    async with trade.owner.transaction() as session:
        aside = await partitions.set_aside(session, keep, today=date(2026, 5, 31), needed_from=None)
    assert aside == ["event_202403", "event_202404"]
    assert "event_202405" in await _parts(trade, "event")
    assert await trade.value("SELECT count(*) FROM event_202403") == 0  # still there, on its own
    with pytest.raises(DBAPIError, match="permission denied"):
        async with trade.database.transaction() as session:
            await partitions.set_aside(session, keep, today=date(2036, 1, 1), needed_from=None)


@pytest.mark.parametrize("statement", ["UPDATE {} SET kind = 'y'", "DELETE FROM {}", "TRUNCATE {}"])
async def test_not_even_the_owner_rewrites_a_month_of_the_log(trade: Trade, statement: str) -> None:
    for part in await _parts(trade, "entry"):
        with pytest.raises(DBAPIError, match="append-only"):
            await trade.execute(statement.format(part))
