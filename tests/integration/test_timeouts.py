"""Nothing waits for ever: limits on every connection, and what people are told when one is met."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Receive, Scope, Send

from app.core import db, http, problems
from app.core.db import Database
from app.core.settings import Settings
from app.main import create_app
from app.trace import levels, queries
from app.trace.queries import Walk
from app.trace.rules import TraceTimedOut
from tests.conftest import FakeClock
from tests.story import Books, key_of, tell


@pytest.fixture
async def books(session: AsyncSession) -> Books:
    """The story of the chives."""
    return await tell(session)


LIMITS = {
    "lock_timeout": f"{db.LOCK_TIMEOUT_MS // 1000}s",
    "statement_timeout": f"{db.STATEMENT_TIMEOUT_MS // 1000}s",
    "idle_in_transaction_session_timeout": f"{db.IDLE_IN_TRANSACTION_TIMEOUT_MS // 1000}s",
}


async def test_every_connection_has_its_limits(settings: Settings) -> None:
    """On the primary in both kinds of session, and on a replica."""
    database = Database(settings.model_copy(update={"replica_url": settings.database_url}))
    assert database.replica is not None
    for opened in (database.transaction, database.reading, database.replica.reading):
        async with opened() as session:
            found = {name: await session.scalar(text(f"SHOW {name}")) for name in LIMITS}
            assert found == LIMITS
    await database.close()
    await database.replica._engine.dispose()


async def test_a_transaction_in_which_nothing_happens_is_ended(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds locks and falls silent must not hold up the market."""
    monkeypatch.setattr(db, "IDLE_IN_TRANSACTION_TIMEOUT_MS", 50)
    database, other = Database(settings), Database(settings)

    async def falls_silent() -> None:
        async with database.transaction() as session, other.reading() as elsewhere:
            await session.execute(text("SELECT 1"))
            await elsewhere.execute(text("SELECT pg_sleep(0.5)"))
            await session.execute(text("SELECT 1"))

    with pytest.raises(DBAPIError) as ended:
        await falls_silent()
    assert ended.value.connection_invalidated
    await database.close()
    await other.close()


# --- a trace that takes too long ------------------------------------------------------------------


@contextlib.asynccontextmanager
async def held_up(url: str, table: str) -> AsyncIterator[None]:
    """Let every statement on a table wait."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


@pytest.mark.parametrize("strategy", ["recursive", "levels"])
async def test_a_trace_that_takes_too_long_says_so_in_both_languages(
    settings: Settings,
    database_url: str,
    clock: FakeClock,
    strategy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings.model_copy(update={"trace_strategy": strategy})
    monkeypatch.setattr(db, "STATEMENT_TIMEOUT_MS", 300)
    app = create_app(chosen, clock=clock)
    database: Database = app.state.database
    async with database.transaction() as session:
        books = await tell(session)
    key = await key_of(database, books, "学校")
    lot = books.public["C"]
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://test", headers=key
    )
    async with client, app.router.lifespan_context(app):
        asked = [
            ("GET", f"/lots/{lot}/trace?direction=back", None),
            ("GET", f"/lots/{lot}/trace/lots?direction=back", None),
            ("GET", f"/lots/{lot}/trace/picture?direction=back", None),
            ("GET", f"/lots/{lot}/neighbours", None),
            ("GET", f"/lots/{books.public['A']}/path?to={lot}", None),
            ("POST", "/traces/common-source", {"lots": [str(lot)]}),
        ]
        async with held_up(database_url, "lot_edge"):
            for method, path, body in asked:
                answer = await client.request(method, path, json=body)
                problem = answer.json()
                assert (answer.status_code, problem["code"]) == (503, "trace-timed-out"), path
                assert answer.headers["retry-after"] == "1"
                assert problem["zh"]["title"] == "追溯未能在时限内完成"
                assert "导出全部结果" in problem["zh"]["next_step"]
                assert problem["en"]["title"].startswith("The trace did not get done")
        for method, path, body in asked:  # and nothing is left of it
            assert (await client.request(method, path, json=body)).status_code == 200, path


async def test_many_short_statements_together_may_not_take_longer(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "WALK_S_MAX", -1.0)
    for walk in (levels.back, levels.forward, levels.around, levels.ahead):
        with pytest.raises(TraceTimedOut):
            await walk(books.session, [books.lots["M"]], limit=100)


async def test_other_faults_of_the_database_are_no_lack_of_time(books: Books) -> None:
    for walk in Walk:
        with pytest.raises(DBAPIError):
            await queries.walk(books.session, [1 << 70], walk, limit=100)


# --- run again ------------------------------------------------------------------------------------


class Colliding:
    """An application whose database asks for another attempt a number of times."""

    def __init__(self, collisions: int) -> None:
        self.collisions = collisions
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        collided = len(self.bodies) <= self.collisions
        if collided:
            scope[problems.COLLIDED]()
        status = 503 if collided else 201
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"told"})


@pytest.mark.parametrize(
    ("method", "collisions", "runs", "status"),
    [
        ("PUT", 0, 1, 201),
        ("PUT", 1, 2, 201),
        ("PUT", http.ATTEMPTS - 1, http.ATTEMPTS, 201),
        ("PUT", 99, http.ATTEMPTS, 503),  # at some time it is enough
        ("GET", 1, 2, 201),
        ("GET", 99, http.READING_ATTEMPTS, 503),
    ],
)
async def test_what_collides_is_run_again_a_few_times_and_answered_once(
    method: str, collisions: int, runs: int, status: int
) -> None:
    app = Colliding(collisions)
    transport = httpx.ASGITransport(http.Unit(app))
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        answer = await client.request(method, "/", content=b"the body")
    assert (answer.status_code, answer.content) == (status, b"told")
    assert len(app.bodies) == runs
    if method == "PUT":
        assert app.bodies == [b"the body"] * runs
