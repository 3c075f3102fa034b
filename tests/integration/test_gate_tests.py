"""Quick tests that a gate's device uploads, and the list of what was found, over HTTP."""

import asyncio
import json
from typing import Any

import pytest

from app.place.rules import PlaceKind
from tests.device import Device, code_for, enrolled, open_bundles
from tests.factories import CHIVES, Json, Trade, new_id
from tests.factories import line as goods_of
from tests.gate import agrees, brought, scanned
from tests.laboratory import INHIBITION, STRIP, Feed, feed, record_of, signed_in
from tests.market import Market


@pytest.fixture
async def market(own_trade: Trade) -> Market:
    """A market whose gate has a device, and a ticket for goods that are sold out."""
    market = Market(own_trade)
    await market.begin()
    await agrees(market, market.stall)
    await open_bundles(own_trade)
    return market


def quick(
    device: Device, line: Json, number: str = "MK-1", value: float | str | None = 10, **more: Any
) -> Json:
    """Sign a quick test by enzyme inhibition; without a value, just a sample."""
    device.sequence += 1
    measured = {"method": INHIBITION, "reading": {"value": str(value)}}
    body = {
        "line": line["id"],
        "number": number,
        "mass_g": 200,
        "layer": "wholesale_market",
        "tester": "周检查",
        "device_at": device.trade.clock().isoformat(),
        "measured": None if value is None else measured,
        **more,
    }
    told = {"v": 1, "device": device.public_id, "sequence": device.sequence, "test": new_id()}
    return device.signed({**told, "body": body})


async def sent_to_test(market: Market, device: Device) -> Json:
    """Send a vehicle's goods to the test, all of whose lot was sold."""
    lot = await market.certified(5)
    ticket = await market.sell(market.coop, market.stall, lot, 5, market=str(market.site))
    line = scanned(ticket, decided_offline="ADMIT_AFTER_TEST")
    await device.uploads(device.decides(line))
    return {**line, "lot": lot}


async def outcome(device: Device, statement: Json) -> Json:
    """Upload one test and answer what became of it."""
    [told] = (await device.uploads(statement))["outcomes"]
    found: Json = told["test"] or told["problem"]
    return {"state": told["state"], **found}


async def listed(device: Device, tag: str = "") -> Any:
    """Ask for what was found lately."""
    return await device.send("GET", "/gate/tests", headers={"if-none-match": tag})


async def test_a_finding_holds_sold_out_goods_and_counts_after_two_repeats(market: Market) -> None:
    device = await enrolled(market)
    line = await sent_to_test(market, device)
    first = await outcome(device, quick(device, line, value=62))
    assert first == {
        "state": "taken",
        "number": "MK-1",
        "outcome": "positive",
        "status": "positive",
        "repeats_left": 2,
    }
    assert (await market.coop.read(f"/lots/{line['lot']}"))["on_hold"]
    second = await outcome(device, quick(device, line, value=45))
    assert (second["outcome"], second["status"], second["repeats_left"]) == (
        "suspect",
        "positive",
        1,
    )
    third = await outcome(device, quick(device, line, value=51))
    assert (third["status"], third["repeats_left"]) == ("presumptive", 0)
    fourth = await outcome(device, quick(device, line, value=1))
    assert (fourth["state"], fourth["code"]) == ("refused", "retest-not-quick")
    assert (await market.coop.read(f"/lots/{line['lot']}"))["remaining_g"] == 0


async def test_another_gate_repeats_by_the_number_alone(market: Market) -> None:
    device, other = await enrolled(market), await enrolled(market)
    line = await sent_to_test(market, device)
    await outcome(device, quick(device, line, value=62))
    repeat = await outcome(other, quick(other, {"id": None}, value=55))
    assert (repeat["status"], repeat["repeats_left"]) == ("positive", 1)
    unknown = await outcome(other, quick(other, {"id": None}, number="MK-8"))
    assert (unknown["state"], unknown["code"]) == ("refused", "unknown-sample")


async def test_two_good_repeats_let_the_goods_go(market: Market) -> None:
    device = await enrolled(market)
    line = await sent_to_test(market, device)
    assert (await outcome(device, quick(device, line, value=45)))["status"] == "suspect"
    await outcome(device, quick(device, line, value=3))
    cleared = await outcome(device, quick(device, line, value=4))
    assert (cleared["status"], cleared["repeats_left"]) == ("cleared", 0)
    assert not (await market.coop.read(f"/lots/{line['lot']}"))["on_hold"]


async def test_what_was_mixed_on_a_ticket_is_held_altogether(market: Market) -> None:
    device = await enrolled(market)
    lots = [await market.certified(5) for _ in range(2)]
    mixed = goods_of(CHIVES, 10, *((lot, 5_000) for lot in lots))
    ticket = await market.coop.sells(market.stall, mixed, market=str(market.site))
    line = scanned(ticket, decided_offline="ADMIT_AFTER_TEST")
    await device.uploads(device.decides(line))
    assert (await outcome(device, quick(device, line, value=80)))["status"] == "positive"
    assert [(await market.coop.read(f"/lots/{lot}"))["on_hold"] for lot in lots] == [True, True]
    assert await market.trade.value("SELECT string_agg(number, ' ' ORDER BY id) FROM sample") == (
        "MK-1 MK-1/2"
    )


async def test_a_test_counts_once_however_often_and_from_how_many_sides_it_comes(
    market: Market,
) -> None:
    device = await enrolled(market)
    line = await sent_to_test(market, device)
    statement = quick(device, line, value=62)
    told = await asyncio.gather(
        *(device.uploads(statement) for _ in range(4)), return_exceptions=True
    )
    again = await outcome(device, statement)
    assert (again["state"], again["outcome"], again["status"]) == (
        "repeated",
        "positive",
        "positive",
    )
    states = [one["outcomes"][0]["state"] for one in told if isinstance(one, dict)]
    assert states.count("taken") == 1
    assert await market.trade.value("SELECT count(*) FROM test") == 1
    changed = {**statement, "statement": statement["statement"].replace('"62"', '"12"')}
    refused = await outcome(device, device.signed(json.loads(changed["statement"])))
    assert (refused["state"], refused["code"]) == ("refused", "id-reused")


async def test_refusals_in_their_order(market: Market) -> None:
    device = await enrolled(market)
    line = await sent_to_test(market, device)
    await outcome(device, quick(device, line, value=None))
    other = await sent_to_test(market, device)
    paper = brought(1, 5_000, decided_offline="HOLD")
    await device.uploads(device.decides(paper))
    none = {"id": new_id()}
    wrong = {"method": STRIP, "reading": {"value": "1"}}
    cases: tuple[tuple[Json, Json, str], ...] = (
        (none, {"number": "MK-1", "measured": wrong}, "unknown-inspection"),
        (paper, {"number": "MK-1", "measured": wrong}, "no-lot-to-test"),
        (other, {"number": "MK-1", "measured": wrong}, "sample-number-taken"),
        (other, {"number": "MK-2", "measured": {**wrong, "method": "none"}}, "unknown-method"),
        (other, {"number": "MK-2", "measured": wrong}, "reading-missing"),
    )
    for subject, more, code in cases:
        refused = await outcome(device, quick(device, subject, **more))
        assert (refused["state"], refused["code"]) == ("refused", code)
    assert await market.trade.value("SELECT count(*) FROM sample") == 1
    malformed = await device.uploads(quick(device, other, mass_g=0))
    assert malformed["outcomes"][0]["problem"]["code"] == "statement-not-believed"


async def test_another_markets_device_neither_tests_nor_sees(market: Market) -> None:
    device = await enrolled(market)
    line = await sent_to_test(market, device)
    await outcome(device, quick(device, line, value=62))
    other = await market.place("别处市场", PlaceKind.MARKET, run_by=market.office)
    async with signed_in(market.trade, market.office) as person:
        answer = await person.put(f"/gate/enrolments/{new_id()}", json={"place": str(other)})
    elsewhere = Device(market.trade)
    assert (await elsewhere.enrols(answer.json()["code"])).status_code == 201
    assert (await listed(elsewhere)).json() == {"waiting": [], "samples": []}
    refused = await outcome(elsewhere, quick(elsewhere, line, number="MK-9"))
    assert refused["code"] == "unknown-inspection"


async def test_the_list_shows_pushes_and_says_when_nothing_changed(market: Market) -> None:
    device = await enrolled(market)
    line = await sent_to_test(market, device)
    await outcome(device, quick(device, line, value=None))
    feed_: Feed = await feed(market.trade, market.office)
    other = await sent_to_test(market, device)
    first = await listed(device)
    assert [one["line"] for one in first.json()["waiting"]] == [other["id"]]
    assert first.json()["waiting"][0]["decision"] == "ADMIT_AFTER_TEST"
    tag = first.headers["etag"]
    assert [one["status"] for one in first.json()["samples"]] == ["sampled"]
    same = await listed(device, tag)
    assert (same.status_code, same.content) == (304, b"")
    at = market.clock().isoformat()
    told = await feed_.pushes(record_of("MK-1", 118, tested_at=at, device_sn="PR-7"))
    assert told["records"][0]["status"] == "positive"
    newer = await listed(device, tag)
    [sample] = newer.json()["samples"]
    assert (sample["status"], sample["repeats_left"]) == ("positive", 2)
    [test] = sample["tests"]
    assert (test["value"], test["source"], test["device"]) == ("118", "农残快检仪", "PR-7")
    assert newer.headers["etag"] != tag


async def test_an_office_sees_when_a_device_was_last_there(market: Market) -> None:
    code = await code_for(market)
    device = Device(market.trade)
    assert (await device.enrols(code)).status_code == 201
    async with signed_in(market.trade, market.office) as person:
        [shown] = (await person.get("/gate/devices")).json()
        assert (shown["seen_at"] is not None, shown["list_at"]) == (True, None)
        enrolled_at = shown["seen_at"]
        market.trade.clock.advance(minutes=2)
        meta = (await device.send("GET", "/gate/bundle")).json()["meta"]["document"]
        [shown] = (await person.get("/gate/devices")).json()
    assert shown["seen_at"] > enrolled_at
    assert shown["list_at"] is not None
    assert shown["list_at"][:19] in meta
