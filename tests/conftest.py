"""What every test may ask for: a server, databases of its own, a clock that obeys, a client.

One PostgreSQL serves the whole run, all workers of pytest-xdist included. Our migrations run once
and the reference data (divisions, products, forms) is loaded once, into a template; a test gets a
copy (`database_url`, `database`, `client`) or a transaction that is rolled back (`session`).

`YPT_TEST_DATABASE_URL` replaces the embedded server by any PostgreSQL 15 or newer in which we may
create databases and roles.
"""

import asyncio
import base64
import contextlib
import fcntl
import os
import secrets
import shutil
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import httpx
import hypothesis
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import embedded
from app.core.db import Database
from app.core.settings import Settings
from app.install import install

START = datetime.fromisoformat("2026-06-18T04:00+08:00").astimezone(UTC)
"""When the tests begin: before dawn in Nantong, the hour at which a wholesale market is busy."""

TEST_SECRET = base64.b64encode(bytes(range(32))).decode()

hypothesis.settings.register_profile("dev", deadline=None)
# The same examples every time: a red run can be repeated, and a green one is no luck.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev")
)

# In quotes: the class is generic for type checkers only.
AdminConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

RUN_DIRECTORY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the directory that all workers share; the server starts when a test asks for it."""
    # Whoever runs the tests may have a server of theirs configured: it is none of our business.
    for name in [name for name in os.environ if name.startswith("YPT_")]:
        if name != "YPT_TEST_DATABASE_URL":
            del os.environ[name]
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    run = embedded.memory_directory() if worker is None else Path(worker["run_directory"])
    config.stash[RUN_DIRECTORY] = run


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist about the directory."""
    node.workerinput["run_directory"] = str(node.config.stash[RUN_DIRECTORY])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the directory; the server in it has ended with its last user."""
    run = config.stash.get(RUN_DIRECTORY, None)
    if run is None or hasattr(config, "workerinput"):
        return
    if url := os.environ.get("YPT_TEST_DATABASE_URL"):
        asyncio.run(_execute(url, f'DROP DATABASE IF EXISTS "{_template_name(run)}" WITH (FORCE)'))
    shutil.rmtree(run, ignore_errors=True)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL in which tests make and drop databases.

    Attributes:
        admin_url: A database from which others are made, as `postgresql://`.
    """

    admin_url: str

    def url(self, database: str) -> str:
        """Answer the address of another database of the same server."""
        url = make_url(self.admin_url).set(database=database)
        return url.render_as_string(hide_password=False)


class FakeClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Answer the present instant, in UTC."""
        return self.now

    def advance(self, **duration: float) -> datetime:
        """Go on by a duration (`hours=3`); answer the new instant."""
        self.now += timedelta(**duration)
        return self.now

    def set(self, now: datetime) -> datetime:
        """Jump to an aware instant; answer it in UTC."""
        assert now.tzinfo is not None, "an instant without a zone is no instant"
        self.now = now.astimezone(UTC)
        return self.now


# --- the server, once per run -------------------------------------------------------------------


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """Start the run's server, or join the one that another worker has started."""
    if url := os.environ.get("YPT_TEST_DATABASE_URL"):
        yield Server(url)
        return
    running = embedded.start(pytestconfig.stash[RUN_DIRECTORY] / "server", durable=False)
    yield Server(running.url("postgres"))
    running.stop()


@pytest.fixture(scope="session")
def template(server: Server, pytestconfig: pytest.Config) -> str:
    """Install once, whichever worker comes first; answer the name of the database to copy."""
    run = pytestconfig.stash[RUN_DIRECTORY]
    name = _template_name(run)
    with (run / "template.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not asyncio.run(_exists(server.admin_url, name)):
            unfinished = f"{name}_unfinished"
            for statement in ("DROP DATABASE IF EXISTS", "CREATE DATABASE"):
                asyncio.run(_execute(server.admin_url, f'{statement} "{unfinished}"'))
            install(_settings(server.url(unfinished)).database_url)
            asyncio.run(
                _execute(server.admin_url, f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
            )
    return name


@pytest.fixture(scope="session")
async def admin(server: Server) -> AsyncIterator[AdminConnection]:
    """One connection that makes and drops databases."""
    connection = await asyncpg.connect(server.admin_url)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def copied(server: Server, template: str, admin: AdminConnection) -> AsyncIterator[str]:
    """Copy the template into a database for a while; answer its address."""
    name = f"{template}_{secrets.token_hex(4)}"
    # Copying files needs two checkpoints, which cost nothing in memory; sending the pages
    # through the write-ahead log would cost twice as much.
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    try:
        yield server.url(name)
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _template_name(run: Path) -> str:
    return f"ypt_test_{run.name.removeprefix('ypt-')}"


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _exists(url: str, database: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)"
        return bool(await connection.fetchval(query, database))
    finally:
        await connection.close()


# --- what a test asks for -------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at 04:00 in Nantong on 18 June 2026, until moved."""
    return FakeClock()


@pytest.fixture
async def database_url(server: Server, template: str, admin: AdminConnection) -> AsyncIterator[str]:
    """A migrated database of the test's own, as `postgresql://`; dropped afterwards."""
    async with copied(server, template, admin) as url:
        yield url


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings as an operator would make them, with a known secret."""
    return _settings(database_url)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The test's own database, ready for transactions that really commit."""
    database = Database(settings)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def shared_database(
    server: Server, template: str, admin: AdminConnection
) -> AsyncIterator[Database]:
    """The database in which `session` works: nothing is ever committed in it."""
    async with copied(server, template, admin) as url:
        database = Database(_settings(url))
        yield database
        await database.close()


@pytest.fixture
async def session(shared_database: Database) -> AsyncIterator[AsyncSession]:
    """A session in a transaction that is rolled back: a millisecond, where a copy costs forty."""
    async with shared_database.engine.connect() as connection, connection.begin() as transaction:
        async with AsyncSession(
            bind=connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ) as session:
            yield session
        await transaction.rollback()


@pytest.fixture
async def client(settings: Settings, clock: FakeClock) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the whole application, on the test's own database and clock."""
    from app.main import create_app

    app = create_app(settings, clock=clock)
    transport = httpx.ASGITransport(app=app)
    # https, because the session cookie is sent over nothing else.
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://test") as client,
    ):
        yield client


def _settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, secret_key=SecretStr(TEST_SECRET), pool_size=5)


# --- how long each part took ----------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a table of the parts: tests and seconds (added up over the workers)."""
    tests: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue
            part = report.nodeid.removeprefix("tests/").partition("/")[0]
            tests[part] += report.when == "call"
            seconds[part] += report.duration
    if len(tests) > 1:
        terminalreporter.section("parts")
        for part in sorted(tests):
            line = f"{part:<12}{tests[part]:>7} tests{seconds[part]:>9.1f} s"
            terminalreporter.write_line(line)
