"""The database: one engine a process, one transaction a request or job.

A feature is handed a session and never begins or ends a transaction. Writing requests run in one
read-committed transaction; reading requests run in autocommit, which saves two round trips. Where a
route says so, and an operator has set one up, a replica answers.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias, TypeVar

import asyncpg
import orjson
from fastapi import Depends, Request
from sqlalchemy import BigInteger, Connection, DateTime, LargeBinary, MetaData, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from app.core import ids
from app.core.replica import Replica
from app.core.settings import Settings

T = TypeVar("T")

if TYPE_CHECKING:
    # Generic for type checkers only.
    _Driver: TypeAlias = asyncpg.Connection[asyncpg.Record]

_WAY = "ypt_way"
"""Key in a session's notes of its way to the driver."""

LOCK_TIMEOUT_MS = 2_000
STATEMENT_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
CONNECT_S_MAX = 5.0
REPLICA_CONNECT_S_MAX = 0.5
PATIENT_ATTEMPTS = 12
PATIENT_PAUSE_S = 0.02
PATIENT_PAUSE_S_MAX = 2.0
# The server ends a statement by itself. When even that does not arrive, the way to it is cut.
REPLICA_ANSWER_S_MAX = STATEMENT_TIMEOUT_MS / 1000 + 1

TRACE_STRATEGY = "ypt_trace_strategy"
"""Execution option of every engine: how graphs are walked there; see `Settings.trace_strategy`."""

ON_CLUSTER = "ypt_on_cluster"
"""Execution option of every engine: whether tables lie spread; see `Settings.cluster`."""

MAY_ASK_REPLICA = "ypt_may_ask_replica"
"""Key in the ASGI scope of what takes note that the replica is asked; see `http.Unit`."""


class Base(DeclarativeBase):
    """What every table derives from: constraint names, and how Python types are stored."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: Text,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        uuid.UUID: Uuid,
        Decimal: Numeric,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
    }


class Database:
    """The engine and the two ways to use it."""

    def __init__(self, settings: Settings, *, role: str | None = None) -> None:
        """Prepare the engine; nothing connects before the first use.

        Args:
            settings: Where the database is and how many connections to keep.
            role: Act as this role instead of `settings.database_role` (migrations, tests).
        """
        role = role or settings.database_role
        # A property of the server that a session speaks to: whoever is handed the session finds it.
        told = _told(settings)
        self.engine = _engine(settings.database_url, role, size=settings.pool_size, told=told)
        self.replica = None if settings.replica_url is None else _replica(settings, role)
        reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        # Taking a connection out of the pool and putting it back costs as much CPU time as the
        # shortest questions: `ask` keeps at hand what no session wants.
        self._spare: list[tuple[PoolProxiedConnection, Any]] = []  # with the driver's own
        self._size = settings.pool_size
        # Who may want a connection: sessions, questions that have one, and those that wait for one.
        self._sessions = self._asking = self._waiting = 0
        # First come, first served: whoever waits in the pool is overtaken by whoever comes later.
        self._turns = asyncio.Semaphore(settings.pool_size)
        self._write = async_sessionmaker(self.engine, expire_on_commit=False)
        self._read = async_sessionmaker(reading, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open one transaction; it commits when the block ends well, and otherwise leaves nothing.

        This is the only place in the project that commits.
        """
        async with self._sharing(), _closing(self._write()) as session:
            yield session
            await session.commit()

    async def persist(
        self,
        work: Callable[[AsyncSession], Awaitable[T]],
        *,
        may_pass: Callable[[Exception], bool],
        attempts: int = PATIENT_ATTEMPTS,
    ) -> T:
        """Do work in one transaction, and again, a bounded number of times, while that may help.

        A commit whose answer was lost is done again too: work that is repeated must find what it
        did the first time.

        Args:
            work: What to do with the session of the transaction.
            may_pass: Tells from an error whether another attempt may succeed.
            attempts: How often at most; pauses double up to two seconds.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction() as session:
                    return await work(session)
            except Exception as error:
                if attempt == attempts or not may_pass(error):
                    raise
            await asyncio.sleep(ids.jitter(min(PATIENT_PAUSE_S * 2**attempt, PATIENT_PAUSE_S_MAX)))
        raise AssertionError(attempts)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a session whose statements each see the latest committed state."""
        async with self._sharing(), _closing(self._read()) as session:
            yield session

    async def ask(self, statement: "Statement", parameters: Mapping[str, Any]) -> list["Row"]:
        """Ask one question that needs no session: a statement is a transaction by itself.

        Raises:
            asyncpg.PostgresError, OSError, …: see `replica.DATABASE_FAULTS`.
        """
        # A deadline costs as much as the shortest wait: it is set where one has to wait.
        if self._turns.locked():
            async with asyncio.timeout(STATEMENT_TIMEOUT_MS / 1000):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        try:
            return await self._ask(statement, parameters)
        finally:
            self._turns.release()

    async def _ask(self, statement: "Statement", parameters: Mapping[str, Any]) -> list["Row"]:
        pooled, driver = await self._spare_connection()
        may_stay = False
        self._asking += 1
        try:
            rows: list[Row] = await driver.fetch(
                statement.sql, *[parameters[name] for name in statement.names], record_class=Row
            )
            may_stay = not self._is_short()
        except asyncpg.InternalClientError as confused:
            # The server's farewell arrived between two questions.
            driver.terminate()
            message = "the connection broke"
            raise asyncpg.InterfaceError(message) from confused
        finally:
            self._asking -= 1
            if driver.is_closed():
                await greenlet_spawn(pooled.invalidate)
            elif may_stay:
                self._spare.append((pooled, driver))
            else:
                await greenlet_spawn(pooled.close)
        return rows

    async def _spare_connection(self) -> tuple[PoolProxiedConnection, Any]:
        while self._spare:
            pooled, driver = self._spare.pop()
            if not driver.is_closed():
                return pooled, driver
            await greenlet_spawn(pooled.invalidate)
        self._waiting += 1
        try:
            pooled = await self.engine.raw_connection()
            return pooled, pooled.driver_connection
        finally:
            self._waiting -= 1

    def _is_short(self) -> bool:
        """Tell whether what is put aside may be missed: by a question, or by an open session."""
        wanted = self._sessions + self._asking + len(self._spare)
        return bool(self._waiting) or wanted > self._size

    @asynccontextmanager
    async def _sharing(self) -> AsyncIterator[None]:
        """Count a session, and give it what questions have put aside, if there is no other."""
        self._sessions += 1
        try:
            while self._spare and self._is_short():
                await greenlet_spawn(self._spare.pop()[0].close)
            yield
        finally:
            self._sessions -= 1

    def reader(self) -> Callable[[], AbstractAsyncContextManager[AsyncSession]]:
        """Choose who answers a long question that is asked in many short sessions.

        One and the same server answers all of them: between two, a replica may be some seconds
        behind the primary, and the parts would not fit together.
        """
        if self.replica is not None and self.replica.may_be_asked():
            return self.replica.reading
        return self.reading

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Keep an eye on the replica, if there is one, while requests are served; then close."""
        try:
            if self.replica is None:
                yield
            else:
                async with self.replica.watching():
                    yield
        finally:
            await self.close()

    async def close(self) -> None:
        """Give every connection back to the server."""
        while self._spare:
            await greenlet_spawn(self._spare.pop()[0].close)
        await self.engine.dispose()


@asynccontextmanager
async def _closing(session: AsyncSession) -> AsyncIterator[AsyncSession]:
    """Close a session at the end; what is open of a transaction is rolled back."""
    try:
        yield session
    except BaseException:
        # Whoever is cancelled must still give the connection back, and not in the middle of that.
        await asyncio.shield(asyncio.create_task(session.close()))
        raise
    await session.close()


@asynccontextmanager
async def part_of(session: AsyncSession) -> AsyncIterator[None]:
    """Open a part of the caller's transaction: it can fail alone, and then leaves nothing."""
    async with session.begin_nested():
        yield


def on_cluster(session: AsyncSession) -> bool:
    """Answer whether a session speaks to a cluster, over which tables lie spread."""
    return bool(session.get_bind().get_execution_options().get(ON_CLUSTER, False))


def _told(settings: Settings) -> dict[str, Any]:
    return {TRACE_STRATEGY: settings.trace_strategy, ON_CLUSTER: settings.cluster}


class Row(asyncpg.Record):
    """A row of `fetch`: its columns by place, by key, or as attributes."""

    def __getattr__(self, name: str) -> Any:
        """Answer a column."""
        try:
            return self[name]
        except KeyError as missing:
            raise AttributeError(name) from missing


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the driver takes it, and which parameters it wants in which order."""

    sql: str
    names: tuple[str, ...]


_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")


def prepared(sql: str) -> Statement:
    """Make a statement for `fetch` of one whose parameters are written `:name`."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    return Statement(_PARAMETER.sub(lambda name: f"${names.index(name[1]) + 1}", sql), names)


def array(numbers: Sequence[int]) -> str:
    """Write whole numbers as PostgreSQL writes an array, for `CAST(CAST(:x AS text) AS bigint[])`.

    The driver takes 0.15 to 0.25 us to write a number of a list, and three times as long for a
    uuid or an instant; this takes 0.003, and the server 0.05 to read it.
    """
    return f"{{{orjson.dumps(numbers)[1:-1].decode()}}}"


async def fetch(
    session: AsyncSession, statement: Statement, parameters: Mapping[str, Any]
) -> list[Row]:
    """Execute a statement of a hot path in the session's transaction, past SQLAlchemy.

    It means the same as `session.execute(text(…))`, at a third of the CPU time: the driver keeps
    the statement prepared, and nothing is compiled or wrapped on the way.

    Raises:
        DBAPIError: as SQLAlchemy would raise it.
    """
    way = await _way(session)
    arguments = [parameters[name] for name in statement.names]
    if way.connection.dispatch.before_cursor_execute:
        await greenlet_spawn(way.tell, statement, arguments)
    try:
        await way.begin()
        return await way.driver.fetch(statement.sql, *arguments, record_class=Row)
    except Exception as error:
        await way.fail(error, statement)
        raise


async def driver_of(session: AsyncSession) -> "_Driver":
    """Answer the driver's connection of a session, inside the session's transaction.

    SQLAlchemy sends BEGIN with the first statement that goes through it: what was put straight on
    the driver's connection before that would commit by itself, and survive a rollback.
    """
    way = await _way(session)
    await way.begin()
    return way.driver


@dataclass(frozen=True, slots=True)
class _Way:
    """The way past SQLAlchemy to the driver, for as long as a transaction or a part of it lasts."""

    connection: Connection
    adapter: Any
    driver: "_Driver"

    async def begin(self) -> None:
        """Send BEGIN, if this is a transaction and SQLAlchemy has not."""
        if self.adapter.isolation_level == "autocommit" or self.driver.is_in_transaction():
            return
        # SQLAlchemy has no public way to do what its own cursors do; it must learn of the
        # transaction, for it is SQLAlchemy that commits.
        await self.adapter._start_transaction()  # noqa: SLF001

    def tell(self, statement: Statement, arguments: Sequence[Any]) -> None:
        """Tell whoever listens to the engine of a statement, as SQLAlchemy does."""
        for told in self.connection.dispatch.before_cursor_execute:
            told(self.connection, None, statement.sql, tuple(arguments), None, False)  # noqa: FBT003

    async def fail(self, error: Exception, statement: Statement) -> None:
        """Raise an error of the driver as SQLAlchemy would, and give up a broken connection."""
        dialect = self.connection.dialect
        module = dialect.loaded_dbapi
        try:
            self.adapter._handle_exception(error)  # noqa: SLF001 (translates, as for its cursors)
        except module.Error as translated:
            broken = dialect.is_disconnect(translated, self.adapter, None)
            if broken:
                await greenlet_spawn(self.connection.invalidate, error)
            raise DBAPIError.instance(
                statement.sql,
                None,
                translated,
                module.Error,
                hide_parameters=True,
                connection_invalidated=broken,
                dialect=dialect,
            ) from error


async def _way(session: AsyncSession) -> _Way:
    begun = session.sync_session.get_nested_transaction() or session.sync_session.get_transaction()
    known = session.info.get(_WAY)
    if begun is not None and known is not None and known[0] is begun:
        way: _Way = known[1]
        return way
    # In a part of a transaction, this is what sends SAVEPOINT.
    connection = (await session.connection()).sync_connection
    assert connection is not None, "it is open"
    adapter: Any = connection.connection.dbapi_connection
    way = _Way(connection, adapter, adapter.driver_connection)
    begun = session.sync_session.get_nested_transaction() or session.sync_session.get_transaction()
    session.info[_WAY] = (begun, way)
    return way


def _engine(
    url: str,
    role: str,
    *,
    size: int,
    name: str = "ypt",
    wait_s: float | None = None,
    told: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> AsyncEngine:
    """Make an engine that acts as a role and waits for nothing for ever.

    Args:
        url: Where the database is.
        role: Whom to act as.
        size: How many connections to keep; there are never more.
        name: What the server's list of sessions shows.
        wait_s: How long to wait for a free connection; as long as for a statement otherwise.
        told: Execution options, for whoever works with a session of this engine.
        **more: What asyncpg takes beside the settings.
    """
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        execution_options=dict(told),
        hide_parameters=True,  # What users typed must not reach a log by way of an exception.
        pool_timeout=STATEMENT_TIMEOUT_MS / 1000 if wait_s is None else wait_s,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": CONNECT_S_MAX,
            **more,
            "server_settings": {
                "application_name": name,
                "role": role,
                "timezone": "UTC",
                "jit": "off",
                # Ours look rows up by keys, so that one plan serves for all values; planning them
                # anew each time, which the server prefers for arrays, costs ten times the work.
                "plan_cache_mode": "force_generic_plan",
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
            },
        },
    )


def _replica(settings: Settings, role: str) -> Replica:
    assert settings.replica_url is not None, "asked for only when there is one"

    def watch(url: str) -> AsyncEngine:
        return _engine(
            url, role, size=1, name="ypt-watch", timeout=REPLICA_CONNECT_S_MAX
        ).execution_options(isolation_level="AUTOCOMMIT")

    return Replica(
        _engine(
            settings.replica_url,
            role,
            size=settings.pool_size,
            told=_told(settings),
            name="ypt-replica",
            wait_s=REPLICA_CONNECT_S_MAX,
            timeout=REPLICA_CONNECT_S_MAX,
            command_timeout=REPLICA_ANSWER_S_MAX,
        ),
        watch=watch(settings.replica_url),
        primary_watch=watch(settings.database_url),
        lag_s_max=settings.replica_lag_s_max,
    )


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    safe = request.method in {"GET", "HEAD"}
    async with database.reading() if safe else database.transaction() as session:
        yield session


# With any other scope FastAPI would commit after the answer has left: a client could be told that
# a ticket exists, and a crash in between would lose it.
DbSession = Annotated[AsyncSession, Depends(_session, scope="function")]
"""The request's session: a transaction for a request that writes, autocommit for one that reads."""


async def _replica_session(request: Request, session: DbSession) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    note = request.scope.get(MAY_ASK_REPLICA)
    replica = database.replica
    if replica is None or note is None or not replica.may_be_asked():
        yield session
        return
    note(replica)
    async with replica.reading() as reading:
        yield reading


ReplicaSession = Annotated[AsyncSession, Depends(_replica_session, scope="function")]
"""A session to read with: on the replica while its picture is young enough, else `DbSession`.

Who is calling is always found out through `DbSession`: a sign-out holds at once.
"""
