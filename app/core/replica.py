"""A replica: another server's copy of the books that may answer some of the questions.

One task a process looks at it all the time and writes down how long it may be asked; a request
only reads that, and never waits for a replica that is late or gone. An answer of the replica's
that would be a refusal or an error is not given: `http.Unit` asks the primary once more.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from typing import Any
from weakref import WeakSet

import asyncpg
import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

LOOK_EVERY_S = 0.2
LOOK_S_MAX = 0.5
"""For how long one look counts, and for how long it may take."""
RETRY_EVERY_S = 2.0

DATABASE_FAULTS = (
    DBAPIError,
    PoolTimeoutError,
    asyncpg.PostgresError,  # while connecting, SQLAlchemy passes the driver's own errors on
    asyncpg.InterfaceError,
    OSError,
)
"""What can go wrong between us and a database."""

NoConnection = PoolTimeoutError
"""No connection came free in the time that one may wait."""

# A replica has the system identifier of its primary, and its databases have the same numbers: the
# heart of another platform, which may well beat, is none of ours.
_IDENTITY = """
    SELECT (SELECT system_identifier FROM pg_control_system()), oid
    FROM pg_database WHERE datname = current_database()
"""

log = structlog.get_logger()


class Standing(StrEnum):
    """What the replica is worth at the moment; the counter's keys."""

    FIT = "fit"
    LATE = "late"  # its picture is older than allowed
    SILENT = "silent"  # no heart has ever beaten: does a worker run?
    STRANGE = "strange"  # it is no replica of this primary
    UNREACHABLE = "unreachable"  # it, or the primary that it is compared with
    UNSEEN = "unseen"  # nobody looked lately: at the start, or because this process is too busy


class Replica:
    """The engine of a replica, and whether it may be asked.

    Attributes:
        answers: How many requests it could answer (`fit`), and how many went to the primary
            instead, by why; `again` counts those that the primary answered once more.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        watch: AsyncEngine,
        primary_watch: AsyncEngine,
        lag_s_max: float,
    ) -> None:
        """Prepare; nothing connects before `watching`.

        Args:
            engine: Answers requests.
            watch: One connection to the same server, for looking at it.
            primary_watch: One connection to the primary, to compare with: a look must not wait
                until requests leave a connection.
            lag_s_max: How old its picture may be, in seconds.
        """
        self.answers: Counter[str] = Counter()
        self._engine = engine
        self._watch = watch
        self._primary_watch = primary_watch
        self._lag_s_max = lag_s_max
        self._standing = Standing.UNSEEN
        self._fit_until_s = 0.0
        self._connections: WeakSet[Any] = WeakSet()
        for each in (engine, watch, primary_watch):
            event.listen(each.sync_engine, "connect", self._connected)
        reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._read = async_sessionmaker(reading, expire_on_commit=False)

    def may_be_asked(self) -> bool:
        """Tell whether its picture was seen to be young enough in the last half second."""
        if time.monotonic() < self._fit_until_s:
            self.answers[Standing.FIT] += 1
            return True
        late = Standing.UNSEEN if self._standing is Standing.FIT else self._standing
        self.answers[late] += 1
        return False

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a session on the replica; a fault of its connection ends its standing."""
        try:
            async with self._read() as session:
                yield session
        except DATABASE_FAULTS as error:
            if not isinstance(error, DBAPIError) or error.connection_invalidated:
                self._stand(Standing.UNREACHABLE, error=type(error).__name__)
            raise

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the replica for as long as the block runs, then close all connections."""
        task = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            for engine in (self._engine, self._watch, self._primary_watch):
                await engine.dispose()

    def _connected(self, connection: Any, _record: Any) -> None:
        self._connections.add(connection.driver_connection)

    async def _keep_looking(self) -> None:
        while True:
            try:
                async with self._watch.connect() as replica, self._primary_watch.connect() as it:
                    try:
                        await self._look_on(replica, it)
                    except DATABASE_FAULTS as error:
                        self._stand(Standing.UNREACHABLE, error=type(error).__name__)
                        await replica.invalidate()
                        await it.invalidate()
            except Exception as error:  # noqa: BLE001 (a watch that ended would not be noticed)
                self._stand(Standing.UNREACHABLE, error=type(error).__name__)
            await asyncio.sleep(RETRY_EVERY_S)

    async def _look_on(self, replica: AsyncConnection, primary: AsyncConnection) -> None:
        """Look again and again; answer when it is a stranger, fail when a connection does."""
        with self._deadline():
            if await _row(replica, _IDENTITY) != await _row(primary, _IDENTITY):
                self._stand(Standing.STRANGE)
                return
        while True:
            with self._deadline():
                await self._look(replica, primary)
            await asyncio.sleep(LOOK_EVERY_S)

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[None]:
        # A time limit of the driver's would first ask the server to cancel, and wait for that.
        late = asyncio.get_running_loop().call_later(LOOK_S_MAX, self._stand, Standing.UNREACHABLE)
        try:
            yield
        finally:
            late.cancel()

    async def _look(self, replica: AsyncConnection, primary: AsyncConnection) -> None:
        began_s = time.monotonic()
        row = await _row(replica, "SELECT beaten_at FROM heartbeat")
        if row is None:
            self._stand(Standing.SILENT)
            return
        # The primary is asked second, so that the time between counts as lag and not against it.
        (now,) = await _row(primary, "SELECT clock_timestamp()")
        lag_s = (now - row[0]).total_seconds()
        # A beat from the future was made before the primary's clock was set back: its age is
        # anybody's guess until the next one.
        if 0 <= lag_s <= self._lag_s_max:
            self._fit_until_s = began_s + LOOK_S_MAX
            self._stand(Standing.FIT, lag_s=round(lag_s, 3))
        else:
            self._stand(Standing.LATE, lag_s=round(lag_s, 3))

    def _stand(self, standing: Standing, **facts: Any) -> None:
        """Take note of what the replica is worth; a change is logged, once."""
        if standing is not Standing.FIT:
            self._fit_until_s = 0.0
        if standing is Standing.UNREACHABLE:
            # Whoever still waits for an answer of a server that hangs need not wait any longer.
            for connection in self._connections:
                connection.terminate()
        if standing is self._standing:
            return
        self._standing = standing
        told = log.info if standing is Standing.FIT else log.warning
        told("replica", standing=standing, answers=dict(self.answers), **facts)


async def _row(connection: AsyncConnection, query: str) -> Any:
    return (await connection.exec_driver_sql(query)).one_or_none()
