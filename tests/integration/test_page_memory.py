"""Pages that are read again: one statement, and never a word that is no longer true."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from app.signing import token
from app.web.memory import LASTS
from app.web.rules import PageState
from tests.conftest import FakeClock
from tests.factories import CHIVES, Json, line, new_id
from tests.laboratory import inhibition, judged, sampled
from tests.market import Market, open_market

HEADERS = {"accept": "application/json"}


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as opened:
        yield opened


async def read(market: Market, ticket: Json) -> Json:
    path = token.PATH + str(ticket["url"]).rpartition("/")[2]
    answer = await market.trade.client.get(path, headers=HEADERS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["vary"] == "Accept"
    assert "x-request-id" in answer.headers
    content: Json = answer.json()
    return content


async def renamed(market: Market, name: str) -> None:
    """Change a thing that a remembered page does not look at again."""
    await market.trade.execute(
        "UPDATE party SET name = :name WHERE public_id = :id", name=name, id=market.stall.public_id
    )


async def test_a_page_that_is_read_again_is_remembered_for_a_while(market: Market) -> None:
    ticket = await market.sound_ticket()
    first = await read(market, ticket)
    await renamed(market, "另名蔬菜")
    market.clock.advance(seconds=LASTS.total_seconds() - 1)
    again = await read(market, ticket)
    assert again.pop("checked_at") != first.pop("checked_at")
    assert again == first
    market.clock.advance(seconds=1)
    assert (await read(market, ticket))["ticket"]["buyer"]["name"] == "另名蔬菜"


async def test_what_stands_against_the_goods_is_seen_at_once(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    assert (await read(market, ticket))["state"] == PageState.VALID
    await market.trade.hold(lot)
    assert (await read(market, ticket))["state"] == PageState.HELD
    await market.trade.hold(lot, 0)
    assert (await read(market, ticket))["state"] == PageState.VALID
    decided = await market.stall.decides(ticket["ticket"])
    assert (await read(market, ticket))["state"] == PageState.ACCEPTED
    received = decided["lines"][0]["draws"][0]["received_lot"]
    await market.trade.hold(received)
    assert (await read(market, ticket))["state"] == PageState.HELD
    await market.trade.hold(received, 0)
    await market.coop.voids("certificates", certificate["certificate"])
    assert [row["standing"] for row in (await read(market, ticket))["certificates"]] == ["voided"]


async def test_a_test_of_a_source_is_seen_at_once(market: Market) -> None:
    lot = await market.certified()
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    before = await read(market, ticket)
    sample = await sampled(market.regulator, lot)
    await judged(market.regulator, sample, inhibition(43))
    after = await read(market, ticket)
    assert after["tests"] != before["tests"]
    # With a result among its grounds the page is remembered as any other.
    await renamed(market, "另名蔬菜")
    assert (await read(market, ticket))["tests"] == after["tests"]
    assert (await read(market, ticket))["ticket"]["buyer"]["name"] != "另名蔬菜"


async def test_a_page_is_not_remembered_beyond_the_tickets_life(market: Market) -> None:
    ticket = await market.sound_ticket()
    life = datetime.fromisoformat(ticket["expires_at"]) - market.clock()
    market.clock.advance(seconds=life.total_seconds() - 5)
    assert (await read(market, ticket))["state"] == PageState.VALID
    market.clock.advance(seconds=5)
    assert (await read(market, ticket))["state"] == PageState.EXPIRED


async def test_a_voided_ticket_is_seen_at_once(market: Market) -> None:
    lot = await market.certified()
    body = {"buyer": market.stall.as_buyer, "lines": [line(CHIVES, 10, lot)]}
    ticket = await market.coop.make(f"/tickets/{new_id()}", body)
    assert (await read(market, ticket))["state"] == PageState.VALID
    await market.coop.voids("tickets", ticket["ticket"])
    assert (await read(market, ticket))["state"] == PageState.VOIDED
