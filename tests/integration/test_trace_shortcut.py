"""The short way to a trace: it says what the long way says, or nothing; and it forgets nothing new.

What never changes about lots is remembered, so each thing that does change is changed here between
two traces of the same lot.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from app.core.db import Database, prepared
from app.core.ids import uuid7
from app.core.replica import DATABASE_FAULTS
from app.core.settings import Settings
from app.lot import service as lots
from app.lot.rules import LotOrigin
from app.party import credentials
from app.party.access import RoleKind
from app.party.credentials import Credential
from app.place import service as places
from app.product import service as products
from app.trace import schemas, service
from app.trace.rules import Direction
from tests.conftest import START, AdminConnection
from tests.factories import CHIVES, Actor, Trade, line, new_id, open_trade, received
from tests.story import BACK, CLAIMED, FORWARD, Books, key_of, tell

SOON = START + timedelta(minutes=1)


@dataclass
class Asking:
    """Asks both ways."""

    database: Database
    books: Books
    keys: dict[str, str]

    async def short(self, who: str, lot: str, direction: Direction, **other: int) -> bytes | None:
        return await service.write_at_once(
            self.database,
            Credential.KEY,
            self.keys[who],
            self.books.public[lot],
            direction,
            action="trace.read",
            limit=other.get("limit", service.LOTS_MAX),
            now=SOON,
        )

    async def long(self, who: str, lot: str, direction: Direction) -> bytes:
        async with self.database.reading() as session:
            caller = await credentials.caller_of_key(session, self.keys[who], now=SOON)
            question = await service.question_about(session, [self.books.public[lot]], caller)
            return await service.write(
                session, question, direction, caller=caller, limit=service.LOTS_MAX
            )

    async def told(self, who: str, lot: str, direction: Direction) -> schemas.TraceOut:
        """Ask the short way, which must answer, and say the same as the long one."""
        written = await self.short(who, lot, direction)
        assert written is not None
        assert written == await self.long(who, lot, direction)
        return schemas.TraceOut.model_validate_json(written)


@pytest.fixture
async def asking(database: Database) -> Asking:
    """The story of the chives, committed, with a key for everybody in it."""
    async with database.transaction() as session:
        books = await tell(session)
        await books.party("运营方", RoleKind.OPERATOR)
        await places.gazetteer(session)
        await products.catalogue(session)
    keys = {
        name: (await key_of(database, books, name))["Authorization"].removeprefix("Bearer ")
        for name in books.parties
    }
    return Asking(database, books, keys)


@pytest.mark.parametrize("direction", Direction)
async def test_both_ways_write_the_same_bytes_and_what_the_contract_says(
    asking: Asking, direction: Direction
) -> None:
    answered = 0
    for who in asking.keys:
        for lot in asking.books.public:
            if lot not in asking.books.lots:
                continue
            written = await asking.short(who, lot, direction)
            if written is None:
                continue
            answered += 1
            assert written == await asking.long(who, lot, direction)
            read = schemas.TraceOut.model_validate_json(written)
            assert read.model_dump_json().encode() == written
    assert answered > 20


@pytest.mark.parametrize("who", ["路人", "南通市场"])
async def test_whoever_is_refused_or_needs_a_closer_look_takes_the_long_way(
    asking: Asking, who: str
) -> None:
    assert await asking.short(who, "C", BACK) is None


async def test_it_answers_nothing_that_the_long_way_would_refuse(asking: Asking) -> None:
    assert await asking.short("运营方", "C", BACK, limit=7) is None
    assert await asking.short("运营方", "C", BACK, limit=8) is not None
    asking.keys["nobody"] = "ypt_wrong"
    assert await asking.short("nobody", "C", BACK) is None
    asking.books.public["none"] = uuid7()
    assert await asking.short("运营方", "none", BACK) is None
    async with asking.database.transaction() as session:
        await session.execute(text("UPDATE api_key SET scopes = ARRAY['lot.read']"))
    assert await asking.short("运营方", "C", BACK) is None


async def test_a_key_that_was_revoked_opens_nothing_at_once(asking: Asking) -> None:
    assert await asking.short("学校", "C", BACK) is not None
    async with asking.database.transaction() as session:
        await session.execute(text("UPDATE api_key SET revoked_at = :at"), {"at": START})
    assert await asking.short("学校", "C", BACK) is None


async def test_a_session_that_must_be_noted_as_seen_takes_the_long_way(asking: Asking) -> None:
    async with asking.database.transaction() as session:
        account = await session.scalar(
            text("""
                INSERT INTO account
                    (public_id, party_id, duty, login_index, password_hash, created_at)
                VALUES (:id, :party, 'head', '', '', :now) RETURNING id
            """),
            {"id": uuid7(), "party": asking.books.parties["运营方"], "now": START},
        )
        await session.execute(
            text("""
                INSERT INTO session (token_hash, account_id, created_at, seen_at, expires_at)
                VALUES (:hash, :account, :now, :now, :end)
            """),
            {
                "hash": credentials.proffered("token", START)["hash"],
                "account": account,
                "now": START,
                "end": START + timedelta(minutes=30),
            },
        )

    async def ask(after: timedelta) -> bytes | None:
        return await service.write_at_once(
            asking.database,
            Credential.SESSION,
            "token",
            asking.books.public["C"],
            BACK,
            action="trace.read",
            limit=service.LOTS_MAX,
            now=START + after,
        )

    assert await ask(timedelta(minutes=5)) is not None
    assert await ask(timedelta(minutes=5, seconds=1)) is None
    assert await ask(timedelta(minutes=31)) is None


async def test_what_changes_is_never_remembered(asking: Asking) -> None:
    books, lot = asking.books, asking.books.lots["C"]
    before = await asking.told("运营方", "C", FORWARD)
    async with asking.database.transaction() as session:
        await lots.count_hold(session, [lot], +1)
        await session.execute(
            text("UPDATE lot_balance SET remaining_g = 17 WHERE lot_id = :lot"), {"lot": lot}
        )
        books.session = session
        await books.lot("new", "路人", 100, {"C": (100, CLAIMED)}, origin=LotOrigin.PURCHASE)
    after = await asking.told("运营方", "C", FORWARD)
    first = {node.lot: node for node in after.nodes}[books.public["C"]]
    assert (first.on_hold, first.remaining_g) == (True, 17)
    assert {node.lot for node in after.nodes} - {node.lot for node in before.nodes} == {
        books.public["new"]
    }
    proofs = [edge.proof for edge in after.edges if edge.dst == books.public["new"]]
    assert proofs == ["claimed"]
    async with asking.database.transaction() as session:
        await lots.prove_edges(session, [(lot, books.lots["new"])])
    now = await asking.told("运营方", "C", FORWARD)
    assert [edge.proof for edge in now.edges if edge.dst == books.public["new"]] == ["proved"]


# --- answers that are remembered ------------------------------------------------------------------

_CHANGES = {
    "a hold": "UPDATE lot_balance SET holds = 1 WHERE lot_id = :c",
    "a sale": "UPDATE lot_balance SET remaining_g = 29999 WHERE lot_id = :c",
    # The same grams in another order.
    "a swap": """
        UPDATE lot_balance SET remaining_g = (
            SELECT remaining_g FROM lot_balance o
            WHERE o.lot_id = CAST(:c AS bigint) + CAST(:c3 AS bigint) - lot_balance.lot_id
        ) WHERE lot_id IN (:c, :c3)
    """,
    "a ticket on its way": "UPDATE ticket_state SET status = 'issued' WHERE ticket_id = :ticket",
}


@pytest.mark.parametrize(
    ("who", "lot", "direction"),
    [
        ("运营方", "S1", FORWARD),
        ("王五", "S1", FORWARD),
        ("学校", "C", FORWARD),
        ("运营方", "A2", BACK),
        ("合作社", "A2", BACK),
    ],
)
async def test_an_answer_is_given_again_while_the_books_say_the_same(
    asking: Asking, who: str, lot: str, direction: Direction
) -> None:
    first = await asking.short(who, lot, direction)
    assert first is not None
    assert await asking.short(who, lot, direction) is first
    assert first == await asking.long(who, lot, direction)


@pytest.mark.parametrize("what", _CHANGES)
async def test_each_thing_that_changes_makes_another_answer(asking: Asking, what: str) -> None:
    books = asking.books
    parameters = {"c": books.lots["C"], "c3": books.lots["C3"], "ticket": books.tickets["t-C"]}
    readers = ("运营方", "王五")
    before = {who: await asking.told(who, "S1", FORWARD) for who in readers}
    async with asking.database.transaction() as session:
        await session.execute(text("UPDATE lot_balance SET produced_g = 100000"))
        await session.execute(text(_CHANGES[what]), parameters)
    for who in readers:
        assert (await asking.told(who, "S1", FORWARD) == before[who]) is (
            who == "王五" and what in {"a hold", "a sale", "a swap"}  # others' books are not shown
        )


class Hall:
    """People who move goods, and ask about all of them after each move."""

    def __init__(self, trade: Trade, farmer: Actor, stall: Actor, office: Actor) -> None:
        self.trade, self.farmer, self.stall, self.office = trade, farmer, stall, office
        self.answers: dict[tuple[str, str], bytes] = {}

    async def look(self) -> int:
        """Ask about every lot, at once and the long way; answer how many say something new."""
        lots = [str(row[0]) for row in await self.trade.rows("SELECT public_id FROM lot")]
        found: dict[tuple[str, str], bytes] = {}
        for lot in lots:
            for direction in Direction:
                path = f"/lots/{lot}/trace?direction={direction}"
                long = await self.office.get(f"{path}&limit={service.LOTS_MAX}")
                assert long.status_code == 200
                for _ in range(2):  # the second one is remembered, where it may be
                    assert (await self.office.get(path)).content == long.content
                found[lot, direction] = long.content
        new = sum(self.answers.get(asked) != answer for asked, answer in found.items())
        self.answers = found
        return new


@pytest.fixture
async def hall(database_url: str) -> AsyncIterator[Hall]:
    """A farmer, a stall, and an operator who sees everything."""
    async with open_trade(database_url) as trade:
        office = await trade.party(RoleKind.OPERATOR, form="legal", name="运营方")
        yield Hall(trade, await trade.farmer(), await trade.stall(), office)


async def test_every_move_of_goods_makes_another_answer(hall: Hall) -> None:
    """No edge is counted: each must show in what is left of its lot, or in the open tickets."""
    farmer, stall = hall.farmer, hall.stall
    whole = await farmer.opens(kg=100)
    assert await hall.look() == 2
    waiting = await farmer.sells(stall, line(CHIVES, 10, whole), hand_over="two_sided")
    assert await hall.look()
    await farmer.voids("tickets", waiting["ticket"])
    same = await farmer.sells(stall, line(CHIVES, 10, whole), hand_over="two_sided")
    assert await hall.look()
    in_part = await stall.decides(same["ticket"], "accepted_in_part", lines={1: 4_000})
    assert await hall.look()
    for again in (10, 10):  # voided, and at once sold on: as much is left as before
        sold = await farmer.sells(stall, line(CHIVES, again, whole), hand_over="one_sided")
        assert await hall.look()
        await farmer.voids("tickets", sold["ticket"])
        other = await farmer.sells(stall, line(CHIVES, again, whole), hand_over="two_sided")
        await stall.decides(other["ticket"])
        assert await hall.look()
    parts = [{"lot": new_id(), "quantity": "5", "unit": "公斤"} for _ in range(2)]
    await farmer.make(f"/splits/{new_id()}", {"lot": whole, "parts": parts})
    assert await hall.look()
    taken = received(in_part)
    back = await stall.sells(farmer, line(CHIVES, 1, taken), kind="return")
    assert await hall.look()
    await farmer.decides(back["ticket"])
    assert await hall.look()
    eaten = await stall.sells(None, line(CHIVES, 1, taken))
    assert await hall.look()
    await stall.voids("tickets", eaten["ticket"], "brought back")
    assert await hall.look()  # the walk-in's lot went back, and there was nothing left of it


async def test_nobody_is_given_what_another_may_read(asking: Asking) -> None:
    books = asking.books
    async with asking.database.transaction() as session:
        books.session = session
        await books.party("本市监管", RoleKind.REGULATOR, answers_for="3206")
        await books.party("外市监管", RoleKind.REGULATOR, answers_for="3201")
        await books.ticket("t-buy", "学校", "路人", {"C": 1_000})
    for who in ("本市监管", "外市监管", "路人"):
        key = await key_of(asking.database, books, who)
        asking.keys[who] = key["Authorization"].removeprefix("Bearer ")
    assert await asking.short("本市监管", "A2", BACK) is not None
    assert await asking.short("外市监管", "A2", BACK) is None
    everything = await asking.told("运营方", "C", FORWARD)
    school = await asking.told("学校", "C", FORWARD)
    buyer = await asking.told("路人", "C", FORWARD)
    assert len({one.model_dump_json() for one in (everything, school, buyer)}) == 3
    assert await asking.short("分校", "C", FORWARD) is None
    async with asking.database.transaction() as session:
        await session.execute(
            text("UPDATE ticket_state SET status = 'voided' WHERE ticket_id = :ticket"),
            {"ticket": books.tickets["t-buy"]},
        )
    assert await asking.told("学校", "C", FORWARD) == school
    assert await asking.short("路人", "C", FORWARD) is None


async def test_what_is_remembered_opens_nothing_to_a_key_that_was_revoked(asking: Asking) -> None:
    assert await asking.short("学校", "C", FORWARD) is not None
    async with asking.database.transaction() as session:
        await session.execute(text("UPDATE api_key SET scopes = ARRAY['lot.read']"))
    assert await asking.short("学校", "C", FORWARD) is None
    async with asking.database.transaction() as session:
        await session.execute(text("UPDATE api_key SET revoked_at = :at"), {"at": START})
    assert await asking.short("学校", "C", FORWARD) is None


async def test_a_smaller_limit_is_kept_to(asking: Asking) -> None:
    assert await asking.short("运营方", "C", FORWARD, limit=2) is not None
    assert await asking.short("运营方", "C", FORWARD, limit=1) is None


async def test_a_process_that_knows_no_names_yet_takes_the_long_way(
    asking: Asking, settings: Settings
) -> None:
    other = Database(settings)
    try:
        fresh = Asking(other, asking.books, asking.keys)
        assert await fresh.short("运营方", "C", BACK) is None
        await fresh.long("运营方", "C", BACK)
        assert await fresh.short("运营方", "C", BACK) is not None
    finally:
        await other.close()


async def test_where_graphs_are_walked_by_levels_there_is_no_short_way(
    asking: Asking, settings: Settings
) -> None:
    other = Database(settings.model_copy(update={"trace_strategy": "levels"}))
    try:
        levels = Asking(other, asking.books, asking.keys)
        assert await levels.long("运营方", "C", BACK) == await asking.long("运营方", "C", BACK)
        assert await levels.short("运营方", "C", BACK) is None
    finally:
        await other.close()


async def test_the_route_answers_what_the_shortcut_leaves(
    client: httpx.AsyncClient, asking: Asking
) -> None:
    path = f"/lots/{asking.books.public['C']}/trace"
    headers = {"Authorization": f"Bearer {asking.keys['学校']}"}
    answers = [
        await client.get(path, params={"direction": "back", **more}, headers=headers)
        for more in ({}, {}, {"limit": "10000"})
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["content-type"] for answer in answers}) == 1
    refused = await client.get(path, params={"direction": "back"})
    assert (refused.status_code, refused.json()["code"]) == (401, "not-signed-in")
    for wrong in ("/lots/none/trace?direction=back", f"{path}?direction=up", path):
        answer = await client.get(wrong, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed-request")
    stream = await client.get(
        path,
        params={"direction": "back"},
        headers={**headers, "Accept": "application/x-ndjson"},
    )
    assert stream.headers["content-type"].startswith("application/x-ndjson")


# --- connections at hand --------------------------------------------------------------------------


async def test_questions_leave_every_connection_to_sessions(settings: Settings) -> None:
    database = Database(settings.model_copy(update={"pool_size": 4}))
    pool = database.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    try:
        for number in range(3):
            (row,) = await database.ask(prepared("SELECT CAST(:n AS int)"), {"n": number})
            assert row[0] == number
        assert pool.checkedout() == 1  # at hand for the next question
        async with AsyncExitStack() as stack:
            for _ in range(4):
                session = await stack.enter_async_context(database.reading())
                assert await session.scalar(text("SELECT 1")) == 1
        assert pool.checkedout() == 0
    finally:
        await database.close()


async def test_a_connection_at_hand_that_broke_is_replaced(
    database: Database, admin: AdminConnection
) -> None:
    ask = prepared("SELECT pg_backend_pid()")
    (row,) = await database.ask(ask, {})
    await admin.execute("SELECT pg_terminate_backend($1)", row[0])
    with suppress(*DATABASE_FAULTS):  # it may notice only when it is used
        await database.ask(ask, {})
    (other,) = await database.ask(ask, {})
    assert other[0] != row[0]
