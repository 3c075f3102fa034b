"""What is found by what is in hand, and who finds it."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from app.core.clock import local_date
from app.party.access import RoleKind
from app.trace.search import read_day
from tests.conftest import FakeClock
from tests.factories import Actor, Json, line, received
from tests.market import Market, open_market
from tests.recalls import office_of

TODAY = date(2026, 6, 18)


@pytest.mark.parametrize(
    ("word", "day"),
    [
        ("2026-06-17", date(2026, 6, 17)),
        ("20260617", date(2026, 6, 17)),
        ("2025年12月1日", date(2025, 12, 1)),
        ("6月18日", TODAY),
        ("6-19", date(2025, 6, 19)),
        ("2026-13-01", None),
        ("韭菜", None),
        ("320682", None),
    ],
)
def test_a_day_is_read_as_people_write_it(word: str, day: date | None) -> None:
    assert read_day(word, TODAY) == day


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as market:
        yield market


async def found(who: Actor, q: str) -> Json:
    answer = await who.trade.client.get("/search", params={"q": q}, headers=who.headers)
    assert answer.status_code == 200, answer.text
    result: Json = answer.json()
    return result


def tickets(answer: Json) -> list[str]:
    return [ticket["ticket"] for ticket in answer["tickets"]]


async def test_a_ticket_is_found_by_anything_on_it(market: Market) -> None:
    trade = market.trade
    office = await office_of(trade)
    farmer, buyer = market.farmer, await trade.party(
        RoleKind.STALL, form="legal", name="便民示范菜行", division_code="320613"
    )  # fmt: skip
    lot = await farmer.opens(kg=50)
    sold = await farmer.sells(buyer, line(18, 20, lot), plate="苏F·D3A71", market=str(market.site))
    got = received(await buyer.decides(sold["ticket"]))
    day = local_date(trade.clock()).isoformat()
    for q in (
        sold["code"], sold["code"].lower(), sold["ticket"], "韭菜", "jiucai", "便民示范",
        "苏F D3A71", "d3a71", day, f"韭菜 便民示范 {day}",
    ):  # fmt: skip
        assert tickets(await found(office, q)) == [sold["ticket"]], q
    by_product = await found(office, "jiucai")
    assert {one["lot"] for one in by_product["lots"]} == {lot, got}
    assert [one["lot"] for one in (await found(office, got))["lots"]] == [got]
    assert [one["name"] for one in (await found(office, "便民示范"))["parties"]] == ["便民示范菜行"]
    for q in ("番茄", "苏A99999", "韭菜 番茄", "2020-01-01", "   x"):
        assert tickets(await found(office, q)) == [], q


async def test_only_whoever_may_open_it_finds_it(market: Market) -> None:
    trade = market.trade
    farmer, stall = market.farmer, await trade.stall()
    lot = await farmer.opens(kg=50)
    inside = await farmer.sells(stall, line(18, 20, lot), market=str(market.site))
    outside = await farmer.sells(stall, line(18, 10, lot))
    far, stranger = await office_of(trade, "3205"), await trade.stall()
    seen = {
        "office": (await office_of(trade), 2),
        "farmer": (farmer, 2),
        "stall": (stall, 2),
        "market": (market.office, 1),
        "other city": (far, 0),
        "stranger": (stranger, 0),
    }
    for name, (who, count) in seen.items():
        answer = await found(who, "韭菜")
        assert len(answer["tickets"]) == count, name
        for ticket in answer["tickets"]:
            await who.read(f"/tickets/{ticket['ticket']}")
    assert tickets(await found(market.office, "韭菜")) == [inside["ticket"]]
    assert set(tickets(await found(stall, "韭菜"))) == {inside["ticket"], outside["ticket"]}
    (mine,) = [
        ticket
        for ticket in (await found(stall, "韭菜"))["tickets"]
        if ticket["ticket"] == outside["ticket"]
    ]
    # A person's name is told in full to himself and to offices alone.
    assert mine["seller"]["masked"]
    assert (await found(stranger, "韭菜"))["lots"] == []


async def test_without_a_day_the_last_month_is_searched(market: Market) -> None:
    office: Any = await office_of(market.trade)
    lot = await market.farmer.opens(kg=50)
    sold = await market.farmer.sells(await market.trade.stall(), line(18, 20, lot))
    day = local_date(market.clock()).isoformat()
    market.clock.advance(days=40)
    assert tickets(await found(office, "韭菜")) == []
    assert tickets(await found(office, f"韭菜 {day}")) == [sold["ticket"]]
    assert tickets(await found(office, sold["code"])) == [sold["ticket"]]
