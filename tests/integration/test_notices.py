"""Who has read what a party was told: each person for itself, machines not at all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from app.core.ids import uuid7
from app.hold import service as holds
from app.hold.rules import NoticeKind
from tests.factories import Actor, Json, Trade, code_of
from tests.laboratory import signed_in


@dataclass
class Stall:
    """A party with two people and a machine."""

    trade: Trade
    party: Actor
    first: httpx.AsyncClient
    second: httpx.AsyncClient

    async def told(self, count: int) -> list[int]:
        """Tell the party something so often, and answer the ids of all notices, oldest first."""
        async with self.trade.database.transaction() as session:
            for _ in range(count):
                await holds.tell(
                    session, NoticeKind.HELD, uuid7(), [self.party.id], {}, self.trade.clock()
                )
        return [row["id"] for row in reversed(await self.party.read("/notices"))]


@pytest.fixture
async def stall(own_trade: Trade) -> AsyncIterator[Stall]:
    """A stall of the test's own."""
    party = await own_trade.stall()
    async with signed_in(own_trade, party) as first, signed_in(own_trade, party) as second:
        yield Stall(own_trade, party, first, second)


async def read_by(person: httpx.AsyncClient) -> list[int]:
    """Answer what somebody has read."""
    rows: list[Json] = (await person.get("/notices")).json()
    return sorted(row["id"] for row in rows if row["read_at"])


async def unread(person: httpx.AsyncClient) -> Json:
    """Answer what somebody's counter shows."""
    answer: Json = (await person.get("/notices/unread")).json()
    return answer


async def test_a_mark_is_one_person_s_and_the_counter_follows(stall: Stall) -> None:
    _, second, _ = await stall.told(3)
    assert await unread(stall.first) == {"count": 3, "more": False}
    answer = await stall.first.put(f"/notices/{second}/read")
    assert (answer.status_code, answer.json()) == (200, {"count": 2, "more": False})
    assert await read_by(stall.first) == [second]
    assert await read_by(stall.second) == []
    assert await unread(stall.second) == {"count": 3, "more": False}


async def test_all_are_read_up_to_what_was_seen_and_no_further(stall: Stall) -> None:
    first, second, third = await stall.told(3)
    # While somebody presses the button a fourth one comes.
    *_, fourth = await stall.told(1)
    answer = await stall.first.put(f"/notices/{third}/read", params={"earlier": True})
    assert answer.json() == {"count": 1, "more": False}
    assert await read_by(stall.first) == [first, second, third]
    await stall.first.put(f"/notices/{fourth}/read", params={"earlier": True})
    assert await unread(stall.first) == {"count": 0, "more": False}


async def test_a_mark_sent_again_or_at_once_is_the_first_one(stall: Stall) -> None:
    ids = await stall.told(3)
    path = f"/notices/{ids[-1]}/read"
    answers = await asyncio.gather(
        *(stall.first.put(path, params={"earlier": n % 2 == 0}) for n in range(6))
    )
    assert {answer.status_code for answer in answers} == {200}
    before = await stall.trade.rows("SELECT notice_id, read_at FROM notice_mark ORDER BY 1")
    assert [row.notice_id for row in before] == ids
    stall.trade.clock.set(stall.trade.clock() + timedelta(hours=1))
    assert (await stall.first.put(path, params={"earlier": True})).json()["count"] == 0
    after = await stall.trade.rows("SELECT notice_id, read_at FROM notice_mark ORDER BY 1")
    assert after == before


async def test_marks_are_refused_in_order(stall: Stall) -> None:
    [notice] = await stall.told(1)
    other = await stall.trade.stall()
    answer = await stall.party.send("PUT", "/notices/0/read")
    assert (answer.status_code, code_of(answer)) == (422, "malformed-request")
    answer = await stall.party.send("PUT", f"/notices/{notice + 1000}/read")
    assert (answer.status_code, code_of(answer)) == (403, "marks-are-personal")
    async with signed_in(stall.trade, other) as stranger:
        for unknown in (notice, notice + 1000):
            answer = await stranger.put(f"/notices/{unknown}/read", params={"earlier": True})
            assert (answer.status_code, code_of(answer)) == (404, "unknown-notice")
    assert await stall.trade.value("SELECT count(*) FROM notice_mark") == 0


async def test_the_counter_ends_at_ninety_nine(stall: Stall) -> None:
    ids = await stall.told(100)
    assert await unread(stall.first) == {"count": 99, "more": True}
    await stall.first.put(f"/notices/{ids[0]}/read")
    assert await unread(stall.first) == {"count": 99, "more": False}
