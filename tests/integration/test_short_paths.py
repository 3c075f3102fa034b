"""What is answered past the routes is what the routes answer: status, headers, body, log line.

The same is asked of two applications on one database: one that takes the short path, and one in
which graphs are walked by levels, which has none.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import Receive, Scope, Send

from app.core.http import Written
from app.core.logging import request_lines
from app.main import create_app
from app.signing import token
from tests.conftest import FakeClock
from tests.market import Market, open_market

JSON = {"accept": "application/json"}
OWN_TO_EACH = {"request_id", "ms", "timestamp"}


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as opened:
        yield opened


@asynccontextmanager
async def the_long_way(market: Market) -> AsyncIterator[httpx.AsyncClient]:
    """Open an application without short paths on the market's database."""
    settings = market.trade.settings.model_copy(update={"trace_strategy": "levels"})
    app = create_app(settings, clock=market.clock)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://test") as client,
    ):
        yield client


class Lines:
    """The log of both applications, and how many answers were written past the routes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[bytes] = []
        self.short = 0
        send_written = Written.__call__

        async def counting(answer: Written, scope: Scope, receive: Receive, send: Send) -> None:
            self.short += 1
            await send_written(answer, scope, receive, send)

        monkeypatch.setattr(Written, "__call__", counting)
        monkeypatch.setattr(request_lines, "_write", self.written.append)

    def last(self, answer: httpx.Response) -> dict[str, Any]:
        line: dict[str, Any] = orjson.loads(self.written[-1])
        assert line["request_id"] == answer.headers["x-request-id"]
        return {name: value for name, value in line.items() if name not in OWN_TO_EACH}


def _headers(answer: httpx.Response) -> Mapping[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


def _said(answer: httpx.Response) -> Any:
    said = answer.json()
    return {name: value for name, value in said.items() if name != "request_id"}


async def test_every_way_answers_alike(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    lot = await market.certified()
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    page = token.PATH + str(ticket["url"]).rpartition("/")[2]
    trace = f"/lots/{lot}/trace?direction=back"
    key = {**JSON, "authorization": market.coop.headers["authorization"]}
    stranger = {**JSON, "authorization": market.stranger.headers["authorization"]}
    asked = [
        (page, JSON, 200),
        (trace, key, 200),
        (trace, JSON, 401),
        (trace, stranger, 403),
        (trace.replace(str(lot), str(ticket["ticket"])), key, 404),
        (trace + "&limit=1", key, 200),
        (token.PATH + "1", JSON, 400),
    ]
    async with the_long_way(market) as long:
        lines = Lines(monkeypatch)
        for path, headers, status in asked:
            wanted = await long.get(path, headers=headers)
            assert wanted.status_code == status, path
            assert lines.short == 0
            line = lines.last(wanted)
            for _ in range(3):
                answer = await market.trade.client.get(path, headers=headers)
                assert answer.status_code == status, path
                assert _said(answer) == _said(wanted)
                assert _headers(answer) == _headers(wanted)
                assert lines.last(answer) == line
            assert bool(lines.short) is (status == 200 and "limit" not in path), path
            lines.short = 0
    secret = market.coop.headers["authorization"].removeprefix("Bearer ")
    for private in (secret, page.removeprefix(token.PATH), str(lot)):
        assert not any(private.encode() in line for line in lines.written)
