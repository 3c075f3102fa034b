"""A trade with its audit after every test; a town run by its operator."""

from collections.abc import AsyncIterator, Callable
from datetime import date, datetime

import httpx
import pytest

from app.core.db import Database
from app.core.ids import uuid7
from app.core.sealing import Vault
from app.core.settings import Settings
from app.party import service
from app.party.access import RoleKind
from tests import auditor
from tests.conftest import START, AdminConnection, Server, copied
from tests.factories import Trade, open_trade
from tests.town import PASSWORD, Actor, Town, Typist


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


@pytest.fixture
def typist() -> Typist:
    return Typist()


@pytest.fixture
async def town(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    clock: Callable[[], datetime],
    typist: Typist,
) -> AsyncIterator[Town]:
    vault = Vault(settings.secret_bytes)
    async with database.transaction() as session:
        draft = service.PartyDraft(uuid7(), form="legal", name="平台运营中心", uscc=typist.uscc())
        roles = [service.RoleDraft(RoleKind.OPERATOR, valid_from=date(2020, 1, 1))]
        party, _ = await service.register(session, draft, roles, vault=vault, by=None, now=clock())
        await service.open_account(
            session,
            public_id=uuid7(),
            party_id=party.id,
            login="operator",
            password=PASSWORD,
            vault=vault,
            now=clock(),
        )
    answers: list[str] = []
    nobody = Actor(client, answers)
    town = Town(client, database, vault, typist, answers, nobody)
    town.operator = await town.signed_in("operator")
    yield town
    leaked = [
        (secret, answer) for answer in answers for secret in typist.secrets if secret in answer
    ]
    assert leaked == []
    assert not any(PASSWORD in answer for answer in answers)
