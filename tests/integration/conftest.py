"""A trade on a database of its own, and the audit that every test ends with."""

from collections.abc import AsyncIterator

import pytest

from tests import auditor
from tests.conftest import START, AdminConnection, Server, copied
from tests.factories import Trade, open_trade


@pytest.fixture(scope="module")
async def module_trade(
    server: Server, template: str, admin: AdminConnection
) -> AsyncIterator[Trade]:
    """One database for a module's tests: each brings people of its own, so none meets another."""
    async with copied(server, template, admin) as url, open_trade(url) as trade:
        yield trade


@pytest.fixture
async def trade(module_trade: Trade) -> AsyncIterator[Trade]:
    """The module's trade at 04:00; afterwards the books must follow from the log, to the gram."""
    module_trade.clock.set(START)
    module_trade.faults.clear()
    yield module_trade
    assert module_trade.faults == []
    await audit(module_trade)


@pytest.fixture
async def own_trade(database_url: str) -> AsyncIterator[Trade]:
    """A trade on a database of the test's own, for what would disturb others."""
    async with open_trade(database_url) as trade:
        yield trade
        assert trade.faults == []


async def audit(trade: Trade) -> auditor.Auditor:
    """Rebuild all balances from the leaves alone, and compare them with the tables."""
    async with trade.owner.engine.connect() as connection, connection.begin():
        await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        leaves = (await connection.exec_driver_sql("SELECT leaf FROM entry ORDER BY id")).all()
        lots = (await connection.exec_driver_sql(auditor.LOTS)).all()
        tickets = (await connection.exec_driver_sql(auditor.TICKETS)).all()
    replayed = auditor.Auditor().replay(row.leaf for row in leaves)
    auditor.compare(replayed, lots, tickets)
    return replayed
