"""A graph as a stream: the same as the plain answer, from the first line on, and hung up on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Message, Scope

from app.core.db import Database
from app.core.ids import uuid7
from app.core.settings import Settings
from app.lot.rules import LotOrigin, UnknownLot
from app.main import create_app
from app.party.access import Audience, Caller, OtherParty, RoleKind
from app.ticket.rules import UnknownTicket
from app.trace import export, service
from app.trace.export import Reader
from app.trace.rules import Direction, TraceTooLarge
from app.trace.schemas import TraceOut
from tests.conftest import FakeClock
from tests.story import BACK, FORWARD, OPERATOR, OWN, Books, key_of, tell, walked

LINES = "application/x-ndjson"


@pytest.fixture(params=["recursive", "levels"])
async def books(session: AsyncSession, request: pytest.FixtureRequest) -> Books:
    """The story of the chives, walked in both ways."""
    walked(session, request.param)
    return await tell(session)


@pytest.fixture(params=[1, 1000])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many lots are fetched at once."""
    count: int = request.param
    monkeypatch.setattr(export.fetch, "__kwdefaults__", {"most": count})
    return count


def reader_of(session: AsyncSession) -> Reader:
    @contextlib.asynccontextmanager
    async def reader() -> AsyncIterator[AsyncSession]:
        yield session

    return reader


async def streamed(books: Books, lot: str, direction: Direction, caller: Caller) -> list[Any]:
    lines = await export.lots(
        books.session,
        [books.public[lot]],
        direction,
        caller=caller,
        reader=reader_of(books.session),
    )
    return parsed(b"".join([part async for part in lines]))


def parsed(body: bytes) -> list[Any]:
    """Read a stream as pairs of a member's name and its value."""
    found = []
    for line in body.splitlines():
        ((name, value),) = orjson.loads(line).items()
        found.append((name, value))
    return found


def of(lines: list[Any], name: str) -> list[Any]:
    return [value for each, value in lines if each == name]


def check_same(lines: list[Any], whole: TraceOut) -> None:
    """Compare a stream with the plain answer, member by member."""
    plain = whole.model_dump(mode="json")
    assert lines[0][0] == "trace"
    for member in ("direction", "lots", "ticket", "asked_g"):
        assert lines[0][1][member] == plain[member], member

    def by_lot(lots: list[Any]) -> list[Any]:
        return sorted(lots, key=lambda lot: str(lot["lot"]))

    for told, lot in zip(by_lot(of(lines, "lot")), by_lot(plain["nodes"]), strict=True):
        if whole.direction is BACK and lot["share_g"] is not None:
            assert abs(told["share_g"] - lot["share_g"]) <= 1  # rounded lot by lot
        assert {**told, "share_g": 0} == {**lot, "share_g": 0}

    def by_ends(edges: list[Any]) -> list[Any]:
        return sorted(edges, key=lambda edge: (edge["src"], edge["dst"]))

    assert by_ends(of(lines, "edge")) == by_ends(plain["edges"])
    assert of(lines, "in_transit") == plain["in_transit"]
    (end,) = of(lines, "end")
    assert lines[-1] == ("end", end)
    assert (end["lots"], end["edges"]) == (len(plain["nodes"]), len(plain["edges"]))
    assert end["completeness"] == plain["completeness"]
    assert end["beyond"] == plain["beyond"]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("lot", ["A", "S", "C"])
async def test_a_stream_says_what_the_plain_answer_says(
    books: Books, batch: int, direction: Direction, lot: str
) -> None:
    office = books.caller("路人", Audience.REGULATOR, jurisdiction="3206")
    stall = books.caller("王五")
    for caller in (OPERATOR, office, stall):
        try:
            whole = (await books.trace(lot, direction, caller)).found
        except OtherParty:
            assert caller is stall
            with pytest.raises(OtherParty):
                await streamed(books, lot, direction, caller)
        else:
            check_same(await streamed(books, lot, direction, caller), whole)


async def test_lines_name_only_lots_above_them(books: Books, batch: int) -> None:
    for direction, lot in ((FORWARD, "A"), (BACK, "C3")):
        met = set()
        for name, value in await streamed(books, lot, direction, OPERATOR):
            if name == "lot":
                met.add(value["lot"])
            elif name == "edge":
                assert {value["src"], value["dst"]} <= met


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("ticket", ["t-A", "t-M", "t-open", "t-W"])
async def test_a_tickets_goods_as_a_stream(books: Books, direction: Direction, ticket: str) -> None:
    lines = await export.ticket(
        books.session,
        books.public[ticket],
        direction,
        caller=OPERATOR,
        reader=reader_of(books.session),
    )
    body = b"".join([part async for part in lines])
    check_same(parsed(body), (await books.trace_ticket(ticket, direction, OPERATOR)).found)


async def test_refusals_come_before_the_first_line(
    books: Books, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"caller": books.caller("路人"), "reader": reader_of(books.session)}
    with pytest.raises(UnknownLot):
        await export.lots(books.session, [uuid7()], BACK, **how)
    with pytest.raises(UnknownTicket):
        await export.ticket(books.session, uuid7(), BACK, **how)
    with pytest.raises(OtherParty):
        await export.lots(books.session, [books.public["C"]], BACK, **how)
    # A regulator elsewhere: everything was looked through, and nothing touches its jurisdiction.
    how["caller"] = books.caller("路人", Audience.REGULATOR, jurisdiction="3207")
    for direction, lot in ((BACK, "C"), (FORWARD, "A")):
        with pytest.raises(OtherParty):
            await export.lots(books.session, [books.public[lot]], direction, **how)
    monkeypatch.setattr(export, "TOUCHED_LOTS_MAX", 2)
    with pytest.raises(TraceTooLarge):
        await export.lots(books.session, [books.public["C"]], BACK, **how)
    monkeypatch.setattr(service, "LOTS_MAX", 2)
    how["caller"] = books.caller("王五")
    with pytest.raises(TraceTooLarge):
        await export.lots(books.session, [books.public["S"]], BACK, **how)


async def test_it_begins_before_anything_is_walked(books: Books) -> None:
    opened = 0

    @contextlib.asynccontextmanager
    async def reader() -> AsyncIterator[AsyncSession]:
        nonlocal opened
        opened += 1
        yield books.session

    lines = await export.lots(
        books.session, [books.public["A"]], FORWARD, caller=OPERATOR, reader=reader
    )
    first = orjson.loads(await anext(lines))
    assert first["trace"]["lots"] == [str(books.public["A"])]
    assert opened == 0
    await anext(lines)
    assert opened == 1


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
async def app(settings: Settings, clock: FakeClock) -> AsyncIterator[FastAPI]:
    app = create_app(settings, clock=clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def office(app: FastAPI) -> tuple[dict[str, str], UUID]:
    """A regulator's key, and a lot that went into two hundred others, one after the other."""
    database: Database = app.state.database
    async with database.transaction() as session:
        books = await tell(session)
        await books.party("所", RoleKind.REGULATOR, answers_for="3206")
        for number in range(200):
            parent = f"n{number - 1}" if number else "C3"
            await books.lot(
                f"n{number}", "分校", 20_000, {parent: (20_000, OWN)}, origin=LotOrigin.SPLIT
            )
    return await key_of(database, books, "所"), books.public["A"]


async def test_a_stream_over_http(app: FastAPI, office: tuple[dict[str, str], UUID]) -> None:
    key, lot = office
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://test", headers=key
    ) as client:
        url, forward = f"/lots/{lot}/trace", {"direction": "forward"}
        answer = await client.get(url, params=forward, headers={"Accept": LINES})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(LINES)
        lines = parsed(answer.content)
        plain = (await client.get(url, params=forward)).json()
        assert plain["nodes"] == of(lines, "lot")
        assert lines[-1][1]["lots"] == 209
        unknown = await client.get(
            f"/lots/{uuid7()}/trace", params=forward, headers={"Accept": LINES}
        )
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-lot")


async def test_what_fails_on_the_way_is_said_in_the_last_line(
    app: FastAPI, office: tuple[dict[str, str], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, lot = office
    monkeypatch.setattr(export.fetch, "__kwdefaults__", {"most": 1})
    database: Database = app.state.database
    reading, opened = database.reading, 0

    @contextlib.asynccontextmanager
    async def failing() -> AsyncIterator[AsyncSession]:
        nonlocal opened
        opened += 1
        if opened == 5:
            raise ConnectionResetError
        async with reading() as session:
            yield session

    monkeypatch.setattr(database, "reader", lambda: failing)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://test", headers=key
    ) as client:
        answer = await client.get(
            f"/lots/{lot}/trace", params={"direction": "forward"}, headers={"Accept": LINES}
        )
    lines = parsed(answer.content)
    assert len(of(lines, "lot")) == 4
    assert not of(lines, "end")
    name, problem = lines[-1]
    assert (name, problem["code"]) == ("problem", "busy")
    assert problem["zh"]["title"]
    assert problem["request_id"]


async def test_a_client_that_goes_away_leaves_no_connection_behind(
    app: FastAPI, office: tuple[dict[str, str], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads a few lines and hangs up, in the middle of a graph that would go on."""
    key, lot = office
    monkeypatch.setattr(export.fetch, "__kwdefaults__", {"most": 1})
    database: Database = app.state.database
    gone, parts = asyncio.Event(), 0
    held: list[int] = []

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal parts
        if message["type"] == "http.response.body" and message.get("body"):
            parts += 1
            # However long it takes to read a part, no connection waits for it.
            held.append(database.engine.pool.checkedout())  # type: ignore[attr-defined]
        if parts == 5:
            gone.set()
            await asyncio.sleep(0)

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": f"/lots/{lot}/trace",
        "raw_path": f"/lots/{lot}/trace".encode(),
        "query_string": b"direction=forward",
        "headers": [
            (b"host", b"test"),
            (b"accept", LINES.encode()),
            (b"authorization", key["Authorization"].encode()),
        ],
    }
    await asyncio.wait_for(app(scope, receive, send), timeout=20)
    assert 5 <= parts < 100
    assert set(held) == {0}
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    async with database.reading() as session:
        found = await service.trace(session, [lot], FORWARD, caller=OPERATOR)
    assert len(found.nodes) == 209
