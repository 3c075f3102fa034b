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
    return {**found, "state": told["state"]}


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


async def inspected(device: Device, line: Json) -> Json:
    """Send goods to the test; answer their line."""
    line = {**line, "decided_offline": "ADMIT_AFTER_TEST"}
    await device.uploads(device.decides(line))
    return line


async def bag(device: Device, line: Json, mass_g: int, **more: Any) -> Json:
    """Take a bag of a line's goods under a number of its own; answer what became of it."""
    test = quick(device, line, number=new_id()[-12:], mass_g=mass_g, value=None, **more)
    return await outcome(device, test)


REFUSED = ("refused", "sample-limit")


async def test_no_more_is_tested_than_a_share_of_what_stands_there(market: Market) -> None:
    device = await enrolled(market)
    line = await sent_to_test(market, device)
    before = await _written(market.trade)
    for mass_g in (50_000_000, 5_000, 1_001):
        refused = await bag(device, line, mass_g)
        assert (refused["state"], refused["code"]) == REFUSED
        assert refused["facts"] == {"wanted_g": mass_g, "taken_g": 0, "allowed_g": 1_000}
    assert await _written(market.trade) == before
    # A fifth of five kilograms, in as many bags as one likes; the rest of an upload is kept.
    good, bad = (
        quick(device, line, number=number, mass_g=mass_g)
        for number, mass_g in (("MK-1", 600), ("MK-2", 1_001))
    )
    told = await device.uploads(bad, good)
    states = {one["row"]: one["state"] for one in told["outcomes"]}
    assert states == {1: "refused", 2: "taken"}
    refused = await bag(device, line, 401)
    assert refused["facts"] == {"wanted_g": 401, "taken_g": 600, "allowed_g": 400}
    assert (await bag(device, line, 400))["state"] == "taken"
    # What a number stands for is tested again without taking more.
    again = await outcome(device, quick(device, line, number="MK-1", mass_g=50_000, value=12))
    assert again["state"] == "taken"
    assert await market.trade.value("SELECT sum(mass_g) FROM sample") == 1_000


async def _written(trade: Trade) -> list[Any]:
    """Count what a quick test would write, but for the upload itself."""
    tables = ("sample", "gate_sample", "test", "event", "entry")
    return [await trade.value(f"SELECT count(*) FROM {table}") for table in tables]


async def test_all_loads_of_a_ticket_share_what_is_taken_of_it(market: Market) -> None:
    device = await enrolled(market)
    lot = await market.certified(5)
    ticket = await market.sell(market.coop, market.stall, lot, 5, market=str(market.site))
    # More than the ticket is for is written down, and a small load of it.
    for mass_g, allowed_g in ((50_000_000, 1_000), (2_000, 400)):
        line = await inspected(device, scanned(ticket, mass_g=mass_g))
        refused = await bag(device, line, allowed_g + 1)
        assert (refused["state"], refused["code"]) == REFUSED
        assert refused["facts"]["allowed_g"] == allowed_g
    assert (await bag(device, line, 400))["state"] == "taken"
    more = await bag(device, line, 1)
    assert more["facts"] == {"wanted_g": 1, "taken_g": 400, "allowed_g": 0}
    # Each load has its share, all of them that of the ticket.
    taken_g = 400
    for _ in range(2):
        line = await inspected(device, scanned(ticket, mass_g=2_000))
        mass_g = min(400, 1_000 - taken_g)
        refused = await bag(device, line, mass_g + 1)
        assert (refused["code"], refused["facts"]["allowed_g"]) == ("sample-limit", mass_g)
        assert (await bag(device, line, mass_g))["state"] == "taken"
        taken_g += mass_g
    line = await inspected(device, scanned(ticket, mass_g=2_000))
    assert (await bag(device, line, 1))["facts"] == {
        "wanted_g": 1,
        "taken_g": 1_000,
        "allowed_g": 0,
    }
    assert (await market.coop.read(f"/lots/{lot}"))["remaining_g"] == 0


async def test_a_certificate_at_the_gate_empties_no_far_lot(market: Market) -> None:
    device = await enrolled(market)
    await agrees(market, market.coop)
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)

    async def shown(mass_g: int) -> Json:
        line = {"id": new_id(), "text": certificate["url"], "mass_g": mass_g}
        return await inspected(device, line)

    line = await shown(5_000)
    for mass_g in (100_000, 5_000, 1_001):
        refused = await bag(device, line, mass_g)
        assert (refused["state"], refused["code"]) == REFUSED
    assert (await bag(device, line, 600))["state"] == "taken"
    refused = await bag(device, line, 401)
    assert refused["facts"] == {"wanted_g": 401, "taken_g": 600, "allowed_g": 400}
    assert (await market.coop.read(f"/lots/{lot}"))["remaining_g"] == 99_400
    # Neither a line of many grams nor many lines take more than a test needs of the lot.
    many = await shown(50_000_000)
    assert (await bag(device, many, 5_401))["facts"]["allowed_g"] == 5_400
    assert (await bag(device, many, 5_400))["state"] == "taken"
    assert (await bag(device, await shown(5_000), 1))["code"] == "sample-limit"
    assert (await market.coop.read(f"/lots/{lot}"))["remaining_g"] == 94_000
    # A certificate is for no more than it says, whatever is written down of it.
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 5)
    assert (await bag(device, await shown(50_000_000), 1_001))["facts"]["allowed_g"] == 1_000


async def test_of_mixed_goods_all_lots_share_what_is_taken_of_their_line(market: Market) -> None:
    device = await enrolled(market)
    lots = [await market.certified(5) for _ in range(2)]
    mixed = goods_of(CHIVES, 10, *((lot, 5_000) for lot in lots))
    ticket = await market.coop.sells(market.stall, mixed, market=str(market.site))
    line = await inspected(device, scanned(ticket, mass_g=5_000))
    # Each lot gets a bag: two of 501 g are more than a fifth of the five kilograms that stand here.
    before = await _written(market.trade)
    refused = await bag(device, line, 501)
    assert refused["facts"] == {"wanted_g": 501, "taken_g": 501, "allowed_g": 499}
    assert await _written(market.trade) == before
    assert (await bag(device, line, 500))["state"] == "taken"
    assert await market.trade.value("SELECT count(*) FROM gate_sample") == 2


async def test_gates_at_once_take_no_more_of_a_line_than_one(market: Market) -> None:
    devices = [await enrolled(market) for _ in range(4)]
    line = await sent_to_test(market, devices[0])
    told = await asyncio.gather(*(bag(device, line, 400) for device in devices))
    assert sorted(one["state"] for one in told) == ["refused"] * 2 + ["taken"] * 2
    assert await market.trade.value("SELECT sum(mass_g) FROM sample") == 800


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
