"""The tables as a cluster would have them, on plain PostgreSQL: keys dropped, edges kept twice.

Nothing here ran on a cluster. What is shown: the SQL of `ypt migrate --citus` keeps to the rules
that Citus documents, and walks and writes do without the keys that it takes away.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from app.cluster import plan
from app.cluster.placement import PLACES, Distributed, Local, Reference
from app.cluster.plan import Step
from app.core import directory, ids
from app.core.db import Database, on_cluster
from app.lot import service as lots
from app.lot.rules import LotOrigin, Proof
from app.lot.service import Birth, LotDraft, Parent
from app.tables import metadata
from app.trace import queries
from app.trace.queries import Strategy, Walk
from app.trace.scope import scope
from tests.citus import LEFT_OVER, STAND_IN, UNPLACED
from tests.conftest import START, TEST_SECRET, AdminConnection, Server, copied
from tests.factories import (
    CHIVES,
    VILLAGE,
    Trade,
    code_of,
    line,
    new_id,
    open_trade,
    received,
    settings_of,
)
from tests.graphs import Link, shapes
from tests.integration.conftest import audit
from tests.integration.test_trace_strategies import breaches, expected, in_the_tables, masses_of
from tests.story import statements, walked
from tests.terminal import Said, say

NOT_OURS = {"alembic_version", "pgqueuer", "pgqueuer_log", "pgqueuer_schedules"} | {
    "pgqueuer_statistics"
}
RAISED = "P0001"
"""What a refusal of the stand-ins begins with: their own word, and no accident."""
STEPS = plan.steps(metadata, PLACES)


def ypt(url: str, *arguments: str) -> Said:
    env = {"YPT_DATABASE_URL": url, "YPT_SECRET_KEY": TEST_SECRET}
    return say("migrate", *arguments, env=env)


async def run(url: str, sql: list[str]) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        for statement in sql:
            await connection.exec_driver_sql(statement)
    await engine.dispose()


@pytest.fixture(scope="module")
async def spread_url(server: Server, template: str, admin: AdminConnection) -> AsyncIterator[str]:
    """A database that `ypt migrate --citus --apply` has been through, with stand-ins for Citus."""
    async with copied(server, template, admin) as url:
        await run(url, [*STAND_IN])
        said = await asyncio.to_thread(ypt, url, "--citus", "--apply")
        assert said.code == 0, said
        yield url


@pytest.fixture(scope="module")
async def spread_trade(spread_url: str) -> AsyncIterator[Trade]:
    async with open_trade(spread_url, cluster=True, trace_strategy="levels") as trade:
        yield trade


@pytest.fixture
async def trade(spread_trade: Trade) -> AsyncIterator[Trade]:
    """The trade on those tables; afterwards books and log agree, and so do both copies."""
    spread_trade.clock.set(START)
    spread_trade.faults.clear()
    yield spread_trade
    assert spread_trade.faults == []
    await audit(spread_trade)
    assert await differences(spread_trade) == []


async def differences(trade: Trade) -> list[Any]:
    """List edges that one copy has and the other lacks, and rows the directory does not know."""
    return await trade.rows("""
        SELECT 'edge', CAST(src AS text), CAST(dst AS text) FROM (
            (TABLE lot_edge EXCEPT SELECT dst, src, mass_g, proof, event_id, occurred_at
                FROM lot_edge_by_src)
            UNION ALL
            (SELECT dst, src, mass_g, proof, event_id, occurred_at FROM lot_edge_by_src
                EXCEPT TABLE lot_edge)
        ) e
        UNION ALL
        SELECT kind, name, CAST(id AS text) FROM (
            (SELECT CAST(public_id AS text) AS name, 'lot' AS kind, id FROM lot
                UNION ALL SELECT CAST(public_id AS text), 'ticket', id FROM ticket
                UNION ALL SELECT code, 'ticket.code', id FROM ticket
                UNION ALL SELECT CAST(serial AS text), 'ticket.serial', id FROM ticket)
            EXCEPT TABLE directory
        ) n
    """)


# --- the plan -------------------------------------------------------------------------------------


def test_every_table_has_a_place() -> None:
    added = {"directory", "lot_edge_by_src"}
    assert set(PLACES) == set(metadata.tables) | added


async def test_the_tables_keep_to_the_rules_of_a_cluster(spread_trade: Trade) -> None:
    assert await spread_trade.rows(LEFT_OVER) == []
    local = {name for name, place in PLACES.items() if isinstance(place, Local)}
    unplaced = {row[0] for row in await spread_trade.rows(UNPLACED)}
    assert unplaced == local | NOT_OURS
    placed = await spread_trade.rows("SELECT relation::text, by_column, home FROM stand_in.placed")
    told = {
        name: (place.column, place.group) if isinstance(place, Distributed) else (None, None)
        for name, place in PLACES.items()
        if not isinstance(place, Local)
    }
    assert {row[0]: (row[1], row[2]) for row in placed} == told


def dropping() -> Iterator[str]:
    for step in STEPS:
        if "DROP CONSTRAINT" in step.sql or "DROP TRIGGER" in step.sql:
            yield step.sql


async def attempt(connection: AsyncConnection, planned: list[Step]) -> str | None:
    """Run steps and take them back; answer what was refused."""
    async with connection.begin() as transaction:
        try:
            for step in planned:
                await connection.exec_driver_sql(step.sql)
        except DBAPIError as error:
            return f"{getattr(error.orig, 'sqlstate', None)} {error.orig}"
        finally:
            await transaction.rollback()
    return None


async def test_no_key_is_dropped_that_a_cluster_could_keep(database_url: str) -> None:
    """Every step that takes something away is refused when left out, by the table it is about."""
    await run(database_url, [*STAND_IN])
    engine = create_async_engine(settings_of(database_url).database_url)
    refusals: dict[str, str | None] = {}
    async with engine.connect() as connection:
        assert await attempt(connection, STEPS) is None
        for without in dropping():
            # What takes the place of a key goes with it.
            name = without.split()[-1]
            kept = [
                step
                for step in STEPS
                if step.sql != without and f"ADD CONSTRAINT {name} " not in step.sql
            ]
            refusals[without] = await attempt(connection, kept)
    await engine.dispose()
    assert len(refusals) > 25
    for without, refusal in refusals.items():
        assert refusal is not None, without
        table = without.split()[2] if without.startswith("ALTER") else without.split()[-1]
        assert refusal.startswith(RAISED), refusal
        assert table in refusal, refusal


def test_what_is_printed_is_what_is_run() -> None:
    printed = say("migrate", "--citus", env={})
    assert printed.code == 0
    assert printed.out == plan.script(STEPS)
    as_json = say("migrate", "--citus", "--json", env={}).json
    assert not as_json["applied"]
    assert as_json["steps"] == [{"why": step.why, "sql": step.sql} for step in STEPS]
    assert as_json["places"]["lot_balance"] == {
        "kind": "distributed",
        "column": "lot_id",
        "colocated_with": "lot",
    }
    assert as_json["places"]["party"] == {"kind": "reference"}


def test_a_key_that_nothing_keeps_is_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new unique key of a distributed table must say who keeps it."""
    monkeypatch.setattr(plan, "KEPT_BY", {})
    with pytest.raises(KeyError, match="uq_"):
        plan.steps(metadata, PLACES)


async def test_what_cannot_be_spread_says_why(database_url: str, spread_url: str) -> None:
    async def refused(url: str, *arguments: str) -> str:
        said = await asyncio.to_thread(ypt, url, *arguments, "--json")
        assert said.code != 0
        return str(said.json["code"])

    assert await refused(database_url, "--apply") == "options-conflict"
    assert await refused(database_url, "--citus", "--check") == "options-conflict"
    assert await refused(database_url, "--citus", "--apply") == "no-citus"
    assert await refused(spread_url, "--citus", "--apply") == "already-spread"
    await run(
        database_url, [*STAND_IN, "UPDATE alembic_version SET version_num = '0003_heartbeat'"]
    )
    assert await refused(database_url, "--citus", "--apply") == "not-migrated"


# --- walks ----------------------------------------------------------------------------------------


@pytest.fixture
async def session(spread_trade: Trade) -> AsyncIterator[AsyncSession]:
    """A session as the server has them there, in a transaction that is rolled back."""
    engine = spread_trade.database.engine
    async with engine.connect() as connection, connection.begin() as transaction:
        async with AsyncSession(
            bind=connection, join_transaction_mode="create_savepoint"
        ) as session:
            yield session
        await transaction.rollback()


async def written(
    session: AsyncSession, pairs: list[tuple[int, int]], masses: list[int]
) -> tuple[list[int], list[Link]]:
    """Make lots as the application does; answer them, oldest first, and their edges."""
    made: list[int] = []
    links: list[Link] = []
    for place in range(1 + max(younger for _, younger in pairs)):
        parents = [
            Parent(made[src], masses[(src + dst) % len(masses)], Proof(1 + (src + dst) % 3))
            for src, dst in pairs
            if dst == place
        ]
        draft = LotDraft(
            ids.uuid7(),
            CHIVES,
            None,
            LotOrigin.SPLIT,
            masses[place % len(masses)],
            Decimal(1),
            "公斤",
            parents=tuple(parents),
        )
        (lot,) = (await lots.make(session, [Birth(1, START, [draft])])).values()
        links += [(parent.lot_id, lot, parent.mass_g, parent.proof) for parent in parents]
        made.append(lot)
    return made, links


@in_the_tables
@given(shapes(), masses_of, st.sampled_from(Walk), st.data())
async def test_a_walk_over_both_copies_finds_what_a_walk_in_memory_finds(
    session: AsyncSession,
    pairs: list[tuple[int, int]],
    masses: list[int],
    walk: Walk,
    data: st.DataObject,
) -> None:
    async with session.begin_nested() as example:
        made, links = await written(session, pairs, masses)
        assert made == sorted(made)
        asked = data.draw(st.sets(st.sampled_from(made), min_size=1, max_size=4))
        walked(session, Strategy.LEVELS)
        by_levels = await queries.walk(session, asked, walk, limit=1000)
        reached = await scope(session, asked)
        walked(session, Strategy.RECURSIVE)
        recursive = await queries.walk(session, asked, walk, limit=1000)
        met = expected(links, asked, walk)
        assert list(by_levels.nodes) == sorted(met)
        assert by_levels.nodes == recursive.nodes
        assert by_levels.edges == recursive.edges
        assert {(e.src, e.dst, e.mass_g, e.proof) for e in by_levels.edges} == {
            link for link in links if link[0] in met and link[1] in met
        }
        assert set(reached.lots) == expected(links, asked, Walk.FORWARD)
        await example.rollback()


async def test_a_walk_forward_asks_the_copy_alone(session: AsyncSession) -> None:
    made, _ = await written(session, [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)], [5, 7])
    walked(session, Strategy.LEVELS)
    with statements(session) as sent:
        for walk in Walk:
            await queries.walk(session, [made[1]], walk, limit=100)
        await scope(session, [made[1]])
    by_src = [one for one in sent if "src = ANY" in one]
    assert by_src
    assert all("lot_edge_by_src" in one for one in by_src)
    assert [one for one in sent if "lot_edge" in one and breaches(one)] == []


# --- writes ---------------------------------------------------------------------------------------


async def test_goods_go_from_hand_to_hand(trade: Trade) -> None:
    farmer, stall, shop = await trade.farmer(), await trade.stall(), await trade.stall()
    lot = await farmer.opens(kg=310)
    issued = await farmer.sells(stall, line(CHIVES, 200, lot))
    await stall.decides(issued["ticket"])
    claimed = await farmer.sells(stall, line(CHIVES, 50), hand_over="one_sided")
    await stall.decides(claimed["ticket"])
    refused = await farmer.sells(stall, line(CHIVES, 50, lot))
    await stall.decides(refused["ticket"], "refused")
    bought = received(await stall.read(f"/tickets/{issued['ticket']}"))
    sold_on = await stall.sells(shop, line(CHIVES, 150, bought))
    await shop.decides(sold_on["ticket"])
    voided = await farmer.sells(stall, line(CHIVES, 10, lot))
    await farmer.voids("tickets", voided["ticket"])
    last = received(await shop.read(f"/tickets/{sold_on['ticket']}"))

    forward = await farmer.read(f"/lots/{lot}/trace?direction=forward")
    back = await shop.read(f"/lots/{last}/trace?direction=back")

    reached = {node["lot"] for node in forward["nodes"]}
    assert {lot, bought, received(claimed)} <= reached
    assert {node["lot"] for node in back["nodes"]} == {lot, bought, last}
    proofs = await trade.rows(
        "SELECT a.proof, b.proof FROM lot_edge a JOIN lot_edge_by_src b USING (src, dst) "
        "JOIN lot l ON l.id = a.dst WHERE l.public_id = CAST(:lot AS uuid)",
        lot=bought,
    )
    assert [tuple(row) for row in proofs] == [(Proof.PROVED, Proof.PROVED)]


async def test_rivals_with_one_id_leave_one_row(trade: Trade) -> None:
    """The keys of lot and ticket are gone; the directory keeps them all the same."""
    farmer, stall = await trade.farmer(), await trade.stall()
    lot, ticket = new_id(), new_id()
    body = {"origin": "harvest", "product": CHIVES, "quantity": "100", "unit": "公斤"}
    body["division_code"] = VILLAGE
    opened = await asyncio.gather(*(farmer.put(f"/lots/{lot}", body) for _ in range(4)))
    assert sorted(answer.status_code for answer in opened) == [200, 200, 200, 201]
    sale = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 5, lot)]}
    sold = await asyncio.gather(*(farmer.put(f"/tickets/{ticket}", sale) for _ in range(4)))
    assert sorted(answer.status_code for answer in sold) == [200, 200, 200, 201]
    assert (await farmer.lot(lot))["remaining_g"] == 95_000
    other = await farmer.put(f"/lots/{lot}", {**body, "quantity": "99"})
    assert (other.status_code, code_of(other)) == (409, "id-reused")


async def test_rivals_for_one_lot_do_not_oversell_it(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    one, two = sorted([await farmer.opens(kg=10), await farmer.opens(kg=10)])

    async def buy(first: str, second: str) -> int:
        lines = [line(CHIVES, 3, first), line(CHIVES, 3, second)]
        answer = await farmer.put(f"/tickets/{new_id()}", {"buyer": stall.as_buyer, "lines": lines})
        return answer.status_code

    codes = await asyncio.gather(*(buy(*pair) for pair in [(one, two), (two, one)] * 3))
    assert sorted(codes) == [201, 201, 201, 409, 409, 409]
    assert [(await farmer.lot(lot))["remaining_g"] for lot in (one, two)] == [1_000, 1_000]


async def test_a_name_is_taken_once(spread_trade: Trade) -> None:
    async with spread_trade.database.transaction() as session:
        await directory.enter(session, "ticket.code", {"TAKEN": 1})
        await directory.enter(session, "ticket.serial", {"TAKEN": 2})
        assert await directory.find(session, "ticket.code", ["TAKEN", "free"]) == {"TAKEN": 1}
        with pytest.raises(DBAPIError, match="pk_directory"):
            await directory.enter(session, "ticket.code", {"TAKEN": 3})
        await session.rollback()


async def test_a_server_that_knows_of_no_cluster_makes_no_lot(
    spread_trade: Trade, spread_url: str
) -> None:
    """It would write no copy of the edges, and recalls would miss what came of a lot."""
    unaware = Database(settings_of(spread_url))
    draft = LotDraft(ids.uuid7(), CHIVES, None, LotOrigin.HARVEST, 1, Decimal(1), "公斤")
    async with unaware.reading() as session:
        assert not on_cluster(session)
        with pytest.raises(DBAPIError, match='null value in column "id"'):
            await lots.make(session, [Birth(1, START, [draft])])
    await unaware.close()


def test_a_cluster_is_walked_by_levels() -> None:
    with pytest.raises(ValueError, match="YPT_TRACE_STRATEGY=levels"):
        settings_of("postgresql://x/y", cluster=True)


def test_places_have_reasons() -> None:
    assert all(place.why for place in PLACES.values() if isinstance(place, Local))
    assert any(isinstance(place, Reference) for place in PLACES.values())
