"""One request is one transaction: the answer follows the commit, and who is cut off leaves nothing.

Trust in an answer is trust in the books: whoever was told 201 finds the ticket there, whatever
happened to the server in the very next moment.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeAlias

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.util import await_only
from starlette.types import Message, Receive, Scope, Send

from app.core.clock import system_clock
from app.ticket import audit
from tests.conftest import TEST_SECRET, AdminConnection, FakeClock
from tests.factories import CHIVES, Actor, Json, Trade, line, new_id, open_trade, received

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60

# All that the requests of this file may write.
_WRITTEN = (
    "lot",
    "lot_balance",
    "lot_edge",
    "lot_change",
    "certificate",
    "certificate_void",
    "ticket",
    "ticket_line",
    "ticket_draw",
    "ticket_receipt",
    "ticket_state",
    "hold",
    "scan",
    "event",
    "entry",
    "pgqueuer",
)


async def everything(trade: Trade) -> str:
    """Write all books down, for comparison."""
    tables = ", ".join(
        f"'{name}', (SELECT json_agg(row ORDER BY row::text) FROM {name} AS row)"
        for name in _WRITTEN
    )
    return str(await trade.value(f"SELECT CAST(json_build_object({tables}) AS text)"))


async def _sale(trade: Trade) -> tuple[Actor, str, Json]:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=10)
    body = {"buyer": stall.as_buyer, "lines": [line(CHIVES, 4, lot)]}
    return farmer, f"/tickets/{new_id()}", body


async def _claim(trade: Trade) -> tuple[Actor, str, Json]:
    farmer, path, body = await _sale(trade)
    return farmer, path, {**body, "hand_over": "one_sided"}


async def _sale_by_the_route(trade: Trade) -> tuple[Actor, str, Json]:
    farmer, path, body = await _sale(trade)
    former = f"/tickets/{new_id()}"
    await farmer.make(former, body)
    # What refers to a former ticket is nothing for the counter.
    return farmer, path, {**body, "repeat_of": former.removeprefix("/tickets/")}


async def _claim_by_the_route(trade: Trade) -> tuple[Actor, str, Json]:
    farmer, path, body = await _sale_by_the_route(trade)
    return farmer, path, {**body, "hand_over": "one_sided"}


async def _decision(trade: Trade) -> tuple[Actor, str, Json]:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=10)
    ticket = await farmer.sells(stall, line(CHIVES, 4, lot))
    body = {
        "outcome": "accepted_in_part",
        "lines": [{"no": 1, "mass_g": 3000}],
        "reason": "wilted",
    }
    return stall, f"/tickets/{ticket['ticket']}/decision", body


async def _void(trade: Trade) -> tuple[Actor, str, Json]:
    farmer, path, body = await _claim(trade)
    await farmer.make(path, body)
    return farmer, f"{path}/void", {"reason": "typed wrongly"}


async def _merge(trade: Trade) -> tuple[Actor, str, Json]:
    collector = await trade.collector()
    inputs = []
    for farmer in (await trade.farmer(), await trade.farmer()):
        lot = await farmer.opens(kg=5)
        ticket = await farmer.sells(collector, line(CHIVES, 5, lot))
        inputs.append({"lot": received(await collector.decides(ticket["ticket"]))})
    certificate = {"certificate": new_id(), "bases": ["quality_control"]}
    body = {"inputs": inputs, "lot": new_id(), "certificate": certificate}
    return collector, f"/merges/{new_id()}", body


_Write: TypeAlias = Callable[[Trade], Awaitable[tuple[Actor, str, Json]]]
AT_THE_COUNTER: dict[str, _Write] = {"sale": _sale, "claim": _claim}
BY_ROUTES: dict[str, _Write] = {
    "sale by the route": _sale_by_the_route,
    "claim by the route": _claim_by_the_route,
    "decision": _decision,
    "void": _void,
    "merge": _merge,
}
WRITES = AT_THE_COUNTER | BY_ROUTES


@pytest.mark.parametrize("name", WRITES)
async def test_the_answer_begins_after_the_commit(trade: Trade, name: str) -> None:
    actor, path, body = await WRITES[name](trade)
    before = await everything(trade)
    seen: list[str] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.append(await everything(trade))  # over a connection of its own
            await send(message)

        await trade.app(scope, receive, send_on)

    transport = httpx.ASGITransport(app=watched)
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        answer = await client.put(path, json=body, headers=actor.headers)
    assert answer.is_success, answer.text
    assert seen == [await everything(trade)]
    assert seen != [before]


class Cut:
    """Ends the server's side of the connection just before a request's n-th statement."""

    def __init__(self, trade: Trade, killer: AdminConnection, at: int) -> None:
        self._engine = trade.app.state.database.engine.sync_engine
        self._killer = killer
        self._at = at
        self.count = 0

    def _before(self, connection: Any, *_arguments: Any) -> None:
        self.count += 1
        if self.count == self._at:
            pid = connection.connection.driver_connection.get_server_pid()
            ended = await_only(self._killer.fetchval("SELECT pg_terminate_backend($1, 5000)", pid))
            assert ended

    def __enter__(self) -> Self:
        event.listen(self._engine, "before_cursor_execute", self._before)
        return self

    def __exit__(self, *_error: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._before)


@pytest.mark.parametrize("name", BY_ROUTES)
async def test_a_connection_cut_before_any_statement_leaves_nothing(
    trade: Trade, admin: AdminConnection, name: str
) -> None:
    """However far a request came, its books are as before; sent again, it happens once."""
    actor, path, body = await BY_ROUTES[name](trade)
    before = await everything(trade)
    for at in itertools.count(1):
        with Cut(trade, admin, at) as cut:
            answer = await actor.put(path, body)
        if cut.count < at:
            break
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "busy"
        assert await everything(trade) == before
        trade.faults.clear()
    assert answer.is_success, answer.text
    assert at > 4, "the writing of a request is more than one statement"
    after = await everything(trade)
    assert after != before
    assert (await actor.put(path, body)).status_code == 200
    assert await everything(trade) == after


@pytest.mark.parametrize("name", AT_THE_COUNTER)
async def test_what_the_counter_loses_with_its_connection_the_route_does_once(
    trade: Trade, admin: AdminConnection, name: str
) -> None:
    for at in itertools.count(1):
        actor, path, body = await AT_THE_COUNTER[name](trade)
        tickets = await trade.value("SELECT count(*) FROM ticket")
        with Cut(trade, admin, at) as cut:
            answer = await actor.put(path, body)
        assert answer.status_code == 201, answer.text
        assert await trade.value("SELECT count(*) FROM ticket") == tickets + 1
        after = await everything(trade)
        assert (await actor.put(path, body)).status_code == 200
        assert await everything(trade) == after
        if cut.count < at:
            break
    assert at > 4, "the writing of a group is more than one statement"


# --- kill -9 ------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(database_url: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server of its own process; answer it and its address."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/healthz").is_success:
                    break
            assert time.monotonic() < deadline, "the server does not come up"
            time.sleep(0.05)
        yield process, address
    finally:
        process.kill()
        process.wait(PATIENCE_S)


async def _fire(address: str, actor: Actor, requests: dict[str, Json], stop: Any) -> set[str]:
    """Send tickets, a few at a time, until the server is gone; answer which were promised."""
    waiting = list(requests)
    promised: set[str] = set()

    async def hand(client: httpx.AsyncClient) -> None:
        with contextlib.suppress(httpx.TransportError):
            while waiting:
                path = waiting.pop()
                answer = await client.put(path, json=requests[path], headers=actor.headers)
                assert answer.status_code in {200, 201}, answer.text
                promised.add(path)
                stop(len(promised))

    async with httpx.AsyncClient(base_url=address) as client:
        await asyncio.gather(*(hand(client) for _ in range(6)))
    return promised


@pytest.mark.slow
async def test_a_killed_server_breaks_no_promise_and_leaves_nothing_half_written(
    database_url: str,
) -> None:
    async with open_trade(database_url, FakeClock(system_clock())) as trade:
        farmer, stall = await trade.farmer(), await trade.stall()
        lot = await farmer.opens(kg=100)
        body = {
            "buyer": stall.as_buyer,
            "hand_over": "one_sided",
            "lines": [line(CHIVES, 1, lot)],
        }
        requests = {f"/tickets/{new_id()}": body for _ in range(80)}
        promised: set[str] = set()
        for served in (9, 23):
            with serving(database_url) as (process, address):

                def stop(count: int, process: Any = process, served: int = served) -> None:
                    if count == served:
                        process.send_signal(signal.SIGKILL)

                rest = {path: body for path in requests if path not in promised}
                promised |= await _fire(address, farmer, rest, stop)
        assert 32 <= len(promised) < len(requests)
        # Its sessions end when the database notices that nobody is there any more.
        busy = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'ypt' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
        )
        for _ in range(200):
            if not await trade.value(busy):
                break
            await asyncio.sleep(0.05)
        async with trade.database.transaction() as session:
            report = await audit.audit(session)
        assert report.faults == []
        written = report.checked["tickets"]
        assert written >= len(promised)
        assert (await farmer.lot(lot))["remaining_g"] == 100_000 - 1_000 * written
        answers = [await farmer.put(path, body) for path in requests]
        again = {path for path, a in zip(requests, answers, strict=True) if a.status_code == 200}
        assert promised <= again
        assert len(again) == written
        assert (await farmer.lot(lot))["remaining_g"] == 20_000
        assert trade.faults == []
