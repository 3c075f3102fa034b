"""A replica answers while it is young enough, and is never missed: two servers, streaming for real.

The standby's stream goes through a wire of ours, so that the network between the two can be cut
without either of them noticing.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app import worker
from app.core import embedded
from app.core.db import Database
from app.core.heartbeat import beat
from app.core.replica import Replica, Standing
from app.install import install
from app.signing import token
from tests.conftest import FakeClock
from tests.factories import Actor, Json, Trade, line, new_id, open_trade, settings_of

pytestmark = pytest.mark.slow

BOOKS = "ypt"
JSON = {"accept": "application/json"}
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "on",
    "wal_level": "replica",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "hot_standby_feedback": "on",
    "timezone": "UTC",
}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@dataclass
class Postgres:
    """A server process of the wheel's, our own child, on a port of loopback."""

    cluster: Path
    programs: Path
    account: Any
    options: dict[str, str]
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, database: str = BOOKS) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        chosen = OPTIONS | self.options | {"port": str(self.port)}
        with (self.cluster.parent / f"{self.cluster.name}.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 (it starts in a moment)
                [
                    str(self.programs / "postgres"),
                    f"-D{self.cluster}",
                    *(f"--{name}={value}" for name, value in chosen.items()),
                ],
                user=self.account.user,
                group=self.account.group,
                extra_groups=None if self.account.user is None else [],
                env={"LC_ALL": "C", "PATH": os.defpath},
                stdout=log,
                stderr=log,
            )
        await until(self.accepts, seconds=20)

    async def accepts(self) -> bool:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return bool(await self.ask("SELECT true", database="postgres"))
        return False

    async def ask(self, question: str, *, database: str = BOOKS) -> Any:
        connection = await asyncpg.connect(self.url(database), timeout=5)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server and to its children, which are no group."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)

    def kill(self) -> None:
        """End as by a power cut: nobody gets to say anything."""
        if self.process is not None:
            self.send(signal.SIGKILL)
            self.process.wait()
            self.process = None


class Wire:
    """The network between the standby and the primary."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._whole = asyncio.Event()
        self._whole.set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def lay(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1")
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Swallow whatever is sent from now on, and tell nobody."""
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def clear_away(self) -> None:
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connect(self, near: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        far, back = await asyncio.open_connection("127.0.0.1", self._target)
        for reader, writer in ((near, back), (far, out)):
            self._pumps.add(asyncio.create_task(self._pump(reader, writer)))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def until(condition: Callable[[], bool | Awaitable[bool]], *, seconds: float = 10) -> float:
    """Wait until something is so; answer how long that took, in seconds."""
    began = time.monotonic()
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, "waited in vain"
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory in memory that the servers' user can get at."""
    parent = embedded.memory_directory()
    directory = parent / "pair"
    embedded._make_directory(directory)
    yield directory
    shutil.rmtree(parent, ignore_errors=True)


@dataclass
class Pair:
    primary: Postgres
    standby: Postgres
    wire: Wire


@pytest.fixture(scope="module")
async def pair(place: Path) -> AsyncIterator[Pair]:
    """A primary with our books, a standby that streams from it, and a worker whose heart beats."""
    account = embedded._account(place / "primary")
    programs = embedded._reachable_programs(place, account)
    embedded._initialise(place / "primary", programs, account, durable=False)
    primary = Postgres(place / "primary", programs, account, {})
    await primary.start()
    wire = Wire(primary.port)
    await wire.lay()
    standby = Postgres(
        place / "standby",
        programs,
        account,
        {"primary_conninfo": f"host=127.0.0.1 port={wire.port} user=postgres"},
    )
    stop = asyncio.Event()
    working = None
    try:
        await primary.ask(f"CREATE DATABASE {BOOKS}", database="postgres")
        settings = settings_of(primary.url())
        await asyncio.to_thread(install, settings.database_url)
        working = asyncio.create_task(worker.run(settings, stop))
        if account.user is not None:  # pg_basebackup makes the standby's directory in it
            os.chown(place, account.user, -1)
        command = [
            str(programs / "pg_basebackup"),
            f"--pgdata={standby.cluster}",
            f"--dbname=host=127.0.0.1 port={primary.port} user=postgres",
            "--checkpoint=fast",
            "--no-sync",
        ]
        await asyncio.to_thread(embedded._checked, command, account=account, cwd=place)
        (standby.cluster / "standby.signal").touch()
        await standby.start()
        yield Pair(primary, standby, wire)
    finally:
        stop.set()
        if working is not None:
            await working
        standby.kill()
        await wire.clear_away()
        primary.kill()


@dataclass
class Shop:
    """A trade whose traces and pages a replica may answer."""

    trade: Trade
    seller: Actor
    buyer: Actor

    @property
    def replica(self) -> Replica:
        replica = self.trade.database.replica
        assert isinstance(replica, Replica)
        return replica

    @property
    def standing(self) -> Standing:
        return self.replica._standing

    async def is_used(self) -> bool:
        """Whether the replica would answer a request now."""
        return self.replica.may_be_asked()

    async def sells(self) -> Json:
        """Sell something; answer the ticket, with its page's path and its lot."""
        lot = await self.seller.opens(kg=10)
        ticket = await self.seller.sells(self.buyer, line(18, 1, lot))
        return {**ticket, "lot": lot, "path": token.PATH + ticket["url"].rpartition("/")[2]}

    async def page(self, ticket: Json) -> str:
        """Read a ticket's public page; answer the state it shows.

        Each time from the books: who remembers a page asks no replica.
        """
        self.trade.app.state.pages._pages.clear()
        answer = await self.trade.client.get(ticket["path"], headers=JSON)
        assert answer.status_code == HTTPStatus.OK, answer.text
        return str(answer.json()["state"])


@pytest.fixture
async def shop(pair: Pair, clock: FakeClock) -> AsyncIterator[Shop]:
    """A shop whose replica is in use, on servers that are whole."""
    url = pair.standby.url()
    database = settings_of(pair.primary.url())
    await _forget_keys(database)
    async with open_trade(pair.primary.url(), clock, replica_url=url) as trade:
        shop = Shop(trade, await trade.farmer(), await trade.stall())
        await until(shop.is_used, seconds=15)
        yield shop
        assert trade.faults == []


async def _forget_keys(settings: Any) -> None:
    """Let each test make its signing key anew, in a database that it has to share."""
    owner = Database(settings, role="none")
    async with owner.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("DELETE FROM signing_key")
    await owner.close()


@contextlib.asynccontextmanager
async def paused(pair: Pair) -> AsyncIterator[None]:
    """Let the standby receive and not replay, beginning right after a beat."""
    last = "SELECT beaten_at FROM heartbeat"
    before = await pair.standby.ask(last)

    async def has_beaten() -> bool:
        return bool(await pair.standby.ask(last) > before)

    await until(has_beaten)
    await pair.standby.ask("SELECT pg_wal_replay_pause()")
    try:
        yield
    finally:
        await pair.standby.ask("SELECT pg_wal_replay_resume()")


async def test_it_answers_reads_and_the_primary_writes(pair: Pair, shop: Shop) -> None:
    ticket = await shop.sells()
    await until(lambda: _has(pair.standby, ticket))
    async with paused(pair):
        before = shop.replica.answers[Standing.FIT]
        await shop.seller.voids("tickets", ticket["ticket"])
        # The primary has it, and the answer does not: it came from the replica.
        assert await pair.primary.ask("SELECT pg_is_in_recovery()") is False
        assert await _status(pair.primary, ticket) == "voided"
        assert await shop.page(ticket) == "valid"
        assert shop.replica.answers[Standing.FIT] == before + 1
        names = "SELECT array_agg(DISTINCT application_name) FROM pg_stat_activity"
        assert {"ypt-replica", "ypt-watch"} <= set(await pair.standby.ask(names))
        # Older than allowed: the primary answers, with what is true now.
        await until(lambda: shop.standing is Standing.LATE)
        assert await shop.page(ticket) == "voided"
        assert shop.replica.answers[Standing.LATE] >= 1
    await until(shop.is_used)
    await until(lambda: _is(shop, ticket, "voided"))
    assert shop.replica.answers["again"] == 0
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await pair.standby.ask("DELETE FROM heartbeat")


async def test_traces_go_to_it_and_who_asks_does_not(pair: Pair, shop: Shop) -> None:
    ticket = await shop.sells()
    await until(lambda: _has(pair.standby, ticket))
    path = f"/lots/{ticket['lot']}/trace?direction=forward"
    told = await shop.seller.read(path)
    async with paused(pair):
        await shop.trade.execute("UPDATE lot SET mass_g = mass_g + 7")
        assert await shop.seller.read(path) == told
        # A key that is revoked is refused at once, whatever the replica believes.
        await shop.trade.execute("UPDATE api_key SET revoked_at = created_at")
        assert (await shop.seller.get(path)).status_code == HTTPStatus.UNAUTHORIZED


async def test_a_refusal_is_never_given_on_its_word(pair: Pair, shop: Shop) -> None:
    async with paused(pair):
        ticket = await shop.sells()
        assert shop.standing is Standing.FIT
        assert not await _has(pair.standby, ticket)
        assert await shop.page(ticket) == "valid"
        assert (
            await shop.seller.get(f"/tickets/{ticket['ticket']}/trace?direction=back")
        ).is_success
        assert shop.replica.answers["again"] == 2
        # A scan is recorded by the primary; what the replica does not know, it looks up as well.
        scan = {"id": new_id(), "text": ticket["url"]}
        answer = await shop.trade.client.post("/scans", json=scan, headers=shop.buyer.headers)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        assert "in-the-books" in {finding["code"] for finding in answer.json()["findings"]}
        unknown = await shop.seller.get(f"/lots/{new_id()}/trace?direction=back")
        assert unknown.status_code == HTTPStatus.NOT_FOUND
        assert shop.standing is Standing.FIT


async def test_a_cut_network_shows_though_nothing_is_missing(pair: Pair, shop: Shop) -> None:
    ticket = await shop.sells()
    await until(lambda: _has(pair.standby, ticket))
    pair.wire.cut()
    try:
        await shop.seller.voids("tickets", ticket["ticket"])
        await until(lambda: shop.standing is Standing.LATE)
        lag = "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
        assert await pair.standby.ask(lag) is True, "by its own account it is up to date"
        assert await shop.page(ticket) == "voided"
    finally:
        pair.wire.mend()
    await until(shop.is_used)


async def _has(server: Postgres, ticket: Json) -> bool:
    return await _status(server, ticket) is not None


async def _status(server: Postgres, ticket: Json) -> Any:
    return await server.ask(
        "SELECT status FROM ticket_state JOIN ticket ON id = ticket_id "
        f"WHERE public_id = '{ticket['ticket']}'"
    )


async def _is(shop: Shop, ticket: Json, state: str) -> bool:
    return await shop.page(ticket) == state


async def ask_for_a_while(shop: Shop, ticket: Json, *, seconds: float) -> float:
    """Ask for a page again and again, four at a time; answer the slowest, in seconds."""
    deadline = time.monotonic() + seconds

    async def ask() -> float:
        slowest = 0.0
        while (began := time.monotonic()) < deadline:
            assert await shop.page(ticket) == "valid"
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.005)
        return slowest

    return max(await asyncio.gather(*(ask() for _ in range(4))))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_dead_one_is_not_missed(pair: Pair, shop: Shop, blow: signal.Signals) -> None:
    ticket = await shop.sells()
    await until(lambda: _has(pair.standby, ticket))
    asking = asyncio.create_task(ask_for_a_while(shop, ticket, seconds=2.5))
    await asyncio.sleep(0.3)
    before = dict(shop.replica.answers)
    assert before[Standing.FIT] > 0
    if blow is signal.SIGKILL:
        pair.standby.kill()
    else:
        pair.standby.send(blow)
    try:
        slowest_s = await asking
        assert shop.standing is Standing.UNREACHABLE
        assert shop.replica.answers[Standing.UNREACHABLE] > 10
        assert slowest_s < 2, "a request waited for a server that is gone"
    finally:
        if blow is signal.SIGKILL:
            await pair.standby.start()
        else:
            pair.standby.send(signal.SIGCONT)
    await until(shop.is_used, seconds=15)
    assert await shop.page(ticket) == "valid"


async def test_without_a_heart_nothing_can_be_said(database_url: str, clock: FakeClock) -> None:
    async with open_trade(database_url, clock, replica_url=database_url) as trade:
        replica = trade.database.replica
        assert replica is not None
        await until(lambda: replica._standing is Standing.SILENT)
        assert (await trade.client.get("/c/nothing")).status_code == HTTPStatus.BAD_REQUEST
        assert set(replica.answers) == {Standing.SILENT}
        async with trade.database.transaction() as session:
            await beat(session)
        await until(replica.may_be_asked)
        # A heart that stands still is late, and so is one that beats in the future.
        for shift in ("-10", "+10"):
            await trade.execute(f"UPDATE heartbeat SET beaten_at = now() + '{shift} s'::interval")
            await until(lambda: replica._standing is Standing.LATE)
            async with trade.database.transaction() as session:
                await beat(session)
            await until(replica.may_be_asked)


async def test_the_replica_of_something_else_is_none(
    pair: Pair, database_url: str, clock: FakeClock
) -> None:
    """The other platform's heart beats, and its books are others'."""
    async with open_trade(database_url, clock, replica_url=pair.standby.url()) as trade:
        replica = trade.database.replica
        assert replica is not None
        await until(lambda: replica._standing is Standing.STRANGE)
        assert not replica.may_be_asked()
