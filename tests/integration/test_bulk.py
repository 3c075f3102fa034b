"""Many requests in one go: each row answered as if it had been sent alone."""

import asyncio
from typing import Any

import pytest

from app.core.bulk import ROWS_MAX
from tests.factories import (
    CARCASSES,
    CHIVES,
    PIGS,
    TOMATOES,
    Actor,
    Json,
    Trade,
    line,
    new_id,
    received,
    returned,
)


async def send(actor: Actor, what: str, *rows: tuple[str, Any]) -> Json:
    """Send a bulk; each row is an id and a body."""
    body = {"rows": [{"id": public_id, "body": content} for public_id, content in rows]}
    answer = await actor.send("POST", f"/{what}/bulk", body)
    assert answer.status_code == 200, answer.text
    made: Json = answer.json()
    return made


def codes(answer: Json) -> list[int | str]:
    """Answer the status of rows that were kept, and the codes of those that were refused."""
    return [row["problem"]["code"] if row["problem"] else row["status"] for row in answer["rows"]]


def sale(buyer: Actor, *lines: Json, **more: Any) -> Json:
    return {"buyer": buyer.as_buyer, "lines": list(lines), **more}


async def counts(trade: Trade) -> list[int]:
    """Count what writing leaves behind."""
    tables = ("ticket", "ticket_draw", "lot", "lot_edge", "lot_change", "event", "entry")
    return [await trade.value(f"SELECT count(*) FROM {table}") for table in tables]


# --- tickets --------------------------------------------------------------------------------------


async def test_each_row_is_answered_as_put_would_and_bad_rows_stop_nothing(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    other = await stall.opens(kg=5, origin="declare")
    lot = await farmer.opens(kg=100)
    bad_unit = line(CHIVES, 1, lot) | {"unit": "筐子"}
    kept = [new_id() for _ in range(3)]
    rows: list[tuple[str, Any]] = [
        (kept[0], sale(stall, line(CHIVES, 60, lot))),
        (new_id(), sale(stall, line(CHIVES, 41, lot))),
        (new_id(), sale(stall, line(CHIVES, 1, lot) | {"quantity": "viele"})),
        (new_id(), sale(stall, line(CHIVES, 1, other))),
        (new_id(), sale(stall, line(CHIVES, 1, new_id()))),
        (kept[1], sale(stall, line(CHIVES, 40, lot))),
        (new_id(), sale(stall, line(CHIVES, "0.001"))),
        (new_id(), sale(stall, bad_unit)),
        (kept[0], sale(stall, line(CHIVES, 60, lot))),
        (kept[0], sale(stall, line(CHIVES, 59, lot))),
        (new_id(), sale(farmer, line(CHIVES, 1, lot))),
        (new_id(), {"buyer": {"invite": {"party": new_id(), "name": "周", "phone": "1"}}, "lines": [
            line(CHIVES, 1, lot)]}),
        (new_id(), {"walk": 1}),
    ]  # fmt: skip
    answer = await send(farmer, "tickets", *rows)
    assert codes(answer) == [
        201,
        "lot-exhausted",
        "malformed-request",
        "not-holder",
        "unknown-lot",
        201,
        "stock-short",
        "unknown-unit",
        200,
        "id-reused",
        "self-sale",
        "invitation-in-bulk",
        "malformed-request",
    ]
    assert (answer["made"], answer["repeated"], answer["refused"]) == (2, 1, 10)
    assert [row["row"] for row in answer["rows"]] == list(range(1, 14))
    pointers = [row["problem"]["errors"][0]["pointer"] for row in answer["rows"][2:8:5]]
    assert pointers == ["/lines/0/quantity", "/lines/0/unit"]
    assert answer["rows"][1]["problem"]["facts"]["remaining_g"] == 40_000
    assert answer["rows"][0]["answer"] == await farmer.read(f"/tickets/{kept[0]}")
    assert (await farmer.lot(lot))["remaining_g"] == 0


async def test_a_bulk_and_single_requests_are_the_same_requests(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=10)
    first, second = ((new_id(), sale(stall, line(CHIVES, kg, lot))) for kg in (1, 2))
    await farmer.make(f"/tickets/{first[0]}", first[1])
    answer = await send(farmer, "tickets", first, second)
    assert codes(answer) == [200, 201]
    again = await farmer.make(f"/tickets/{second[0]}", second[1], status=200)
    assert again == answer["rows"][1]["answer"]
    before = await counts(trade)
    repeated = await send(farmer, "tickets", first, second)
    assert codes(repeated) == [200, 200]
    assert [row["answer"] for row in repeated["rows"]] == [row["answer"] for row in answer["rows"]]
    assert await counts(trade) == before


async def test_rows_share_the_stock_of_a_lot_and_its_certificate(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    lot = await coop.opens(kg=100)
    await coop.certifies(lot, 50)
    rows = [(new_id(), sale(stall, line(CHIVES, kg, lot))) for kg in (30, 30, 20)]
    assert codes(await send(coop, "tickets", *rows)) == [201, "certificate-missing", 201]
    free, _ = [await coop.opens(TOMATOES, kg=kg) for kg in (3, 4)]
    for each in (free, _):
        await coop.certifies(each, 3)
    stock = [(new_id(), sale(stall, line(TOMATOES, 3))) for _ in range(3)]
    answer = await send(coop, "tickets", *stock)
    assert codes(answer) == [201, 201, "stock-short"]


async def test_one_sided_rows_bring_the_buyers_lots_into_being(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lots = [await farmer.opens(kg=10) for _ in range(2)]
    rows = [
        (new_id(), sale(stall, line(CHIVES, 12, *lots), hand_over="one_sided")),
        (new_id(), {"buyer": {"walk_in": True}, "lines": [line(CHIVES, 8, lots[1])]}),
    ]
    answer = await send(farmer, "tickets", *rows)
    assert codes(answer) == [201, 201]
    first = answer["rows"][0]["answer"]
    assert [(await stall.lot(received(first, 1, n)))["mass_g"] for n in (0, 1)] == [10_000, 2_000]
    back = await stall.sells(farmer, line(CHIVES, 10, received(first)), kind="return")
    assert back["kind"] == "return"


async def test_a_bulk_takes_so_many_rows_and_no_more(trade: Trade) -> None:
    farmer = await trade.farmer()
    for rows in ([], [{"id": new_id(), "body": {}}] * (ROWS_MAX + 1)):
        answer = await farmer.send("POST", "/tickets/bulk", {"rows": rows})
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed-request")


async def test_rivals_never_oversell_a_lot_and_nothing_deadlocks(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lots = [await farmer.opens(kg=10) for _ in range(4)]

    async def storm(turn: int) -> Json:
        order = lots[turn % 4 :] + lots[: turn % 4]
        order = order if turn % 2 else order[::-1]
        rows = [(new_id(), sale(stall, line(CHIVES, 1, lot))) for lot in order * 2]
        return await send(farmer, "tickets", *rows)

    answers = await asyncio.gather(*(storm(turn) for turn in range(8)))
    statuses = [code for answer in answers for code in codes(answer)]
    assert statuses.count(201) == 40
    assert statuses.count("lot-exhausted") == 24
    assert [(await farmer.lot(lot))["remaining_g"] for lot in lots] == [0] * 4


async def test_the_same_bulk_at_the_same_instant_takes_effect_once(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=100)
    rows = [(new_id(), sale(stall, line(CHIVES, 1, lot))) for _ in range(5)]
    answers = await asyncio.gather(*(send(farmer, "tickets", *rows) for _ in range(4)))
    assert sum(answer["made"] for answer in answers) == 5
    assert sum(answer["repeated"] for answer in answers) == 15
    assert (await farmer.lot(lot))["remaining_g"] == 95_000


# --- decisions ------------------------------------------------------------------------------------


async def test_decisions_in_bulk(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lots = [await farmer.opens(kg=10) for _ in range(5)]
    tickets = [await farmer.sells(stall, line(CHIVES, 10, lot)) for lot in lots[:4]]
    one_sided = await farmer.sells(stall, line(CHIVES, 10, lots[4]), hand_over="one_sided")
    ids = [ticket["ticket"] for ticket in (*tickets, one_sided)]
    await trade.hold(lots[2])
    await farmer.voids("tickets", ids[3])
    part = {"outcome": "accepted_in_part", "lines": [{"no": 1, "mass_g": 4_000}], "reason": "wet"}
    rows: list[tuple[str, Any]] = [
        (ids[0], {"outcome": "accepted"}),
        (ids[1], part),
        (ids[2], {"outcome": "accepted"}),
        (ids[3], {"outcome": "accepted"}),
        (ids[4], {"outcome": "refused", "reason": "wet"}),
        (ids[0], {"outcome": "accepted"}),
        (ids[0], {"outcome": "refused", "reason": "late"}),
        (new_id(), {"outcome": "accepted"}),
        (ids[0], {"outcome": "refused"}),
    ]
    answer = await send(stall, "decisions", *rows)
    assert codes(answer) == [
        201,
        201,
        "lot-on-hold",
        "ticket-voided",
        201,
        200,
        "ticket-already-decided",
        "unknown-ticket",
        "malformed-request",
    ]
    decided = answer["rows"][1]["answer"]
    assert (await stall.lot(received(decided)))["mass_g"] == 4_000
    assert (await farmer.lot(returned(decided)))["mass_g"] == 6_000
    assert (await farmer.lot(returned(answer["rows"][4]["answer"])))["mass_g"] == 10_000
    assert answer["rows"][0]["answer"] == await stall.read(f"/tickets/{ids[0]}")
    before = await counts(trade)
    repeated = await send(stall, "decisions", *rows)
    assert codes(repeated) == [200, 200, *codes(answer)[2:4], 200, *codes(answer)[5:]]
    assert await counts(trade) == before
    await trade.hold(lots[2], 0)


# --- lots -----------------------------------------------------------------------------------------


def split(lot: str, *kg: int, parts: list[str] | None = None) -> Json:
    names = parts or [new_id() for _ in kg]
    return {
        "lot": lot,
        "parts": [
            {"lot": name, "quantity": str(each), "unit": "公斤"}
            for name, each in zip(names, kg, strict=True)
        ],
    }


async def test_splits_and_merges_in_bulk_see_what_rows_before_them_made(trade: Trade) -> None:
    farmer = await trade.farmer()
    lot, other = await farmer.opens(kg=10), await farmer.opens(kg=3)
    parts = [new_id() for _ in range(4)]
    rows: list[tuple[str, Any]] = [
        (new_id(), split(lot, 4, 3, parts=parts[:2])),
        (new_id(), split(lot, 4)),
        (new_id(), split(parts[0], 2, parts=[parts[2]])),
        (new_id(), split(other, 1, parts=[parts[1]])),
        (new_id(), split(other, 1, parts=[other])),
        (new_id(), split(other, 3, parts=[parts[3]])),
    ]
    answer = await send(farmer, "splits", *rows)
    assert codes(answer) == [201, "lot-exhausted", 201, "id-reused", "cycle", 201]
    assert answer["rows"][2]["answer"]["lots"] == [parts[2]]
    merged = new_id()
    merges: list[tuple[str, Any]] = [
        (new_id(), {"inputs": [{"lot": parts[1]}, {"lot": parts[2]}], "lot": merged}),
        (new_id(), {"inputs": [{"lot": parts[1]}, {"lot": lot}], "lot": new_id()}),
        (new_id(), {"inputs": [{"lot": merged}, {"lot": parts[3]}], "lot": new_id()}),
    ]
    joined = await send(farmer, "merges", *merges)
    assert codes(joined) == [201, "lot-exhausted", 201]
    assert (await farmer.lot(merges[2][1]["lot"]))["mass_g"] == 8_000
    before = await counts(trade)
    again = await send(farmer, "splits", *rows)
    assert codes(again)[0::2] == [200, 200, "cycle"]
    assert again["rows"][2]["answer"] == answer["rows"][2]["answer"]
    assert codes(await send(farmer, "merges", *merges)) == [200, "lot-exhausted", 200]
    assert await counts(trade) == before


async def test_a_merge_with_its_certificate_is_made_with_it_or_not_at_all(trade: Trade) -> None:
    collector = await trade.collector()
    lots: list[str] = []
    for _ in range(4):
        farmer = await trade.farmer()
        sold = await farmer.sells(collector, line(CHIVES, 5, await farmer.opens(kg=5)))
        lots.append(received(await collector.decides(sold["ticket"])))
    certificate = {"certificate": new_id(), "bases": ["quality_control"]}
    wrong = {"certificate": new_id(), "bases": ["self_promise"]}
    inputs = [[{"lot": lot} for lot in pair] for pair in (lots[:2], lots[2:])]
    rows: list[tuple[str, Any]] = [
        (new_id(), {"inputs": inputs[0], "lot": new_id()}),
        (new_id(), {"inputs": inputs[0], "lot": new_id(), "certificate": wrong}),
        (new_id(), {"inputs": inputs[0], "lot": new_id(), "certificate": certificate}),
        (new_id(), {"inputs": inputs[1], "lot": new_id()}),
    ]
    answer = await send(collector, "merges", *rows)
    first, second, third, last = codes(answer)
    assert (first, third, last) == ("merge-needs-certificate", 201, "merge-needs-certificate")
    assert second == "basis-not-on-form"
    made = answer["rows"][2]["answer"]
    assert made["certificate"]["certificate"] == certificate["certificate"]
    assert made["certificate"]["mass_g"] == 10_000
    assert codes(await send(collector, "merges", rows[2])) == [200]


async def test_transforms_in_bulk(trade: Trade) -> None:
    from app.party.access import RoleKind

    butcher, farmer = await trade.party(RoleKind.SLAUGHTER), await trade.farmer()
    pigs = await butcher.opens(PIGS, 1_000, origin="slaughter_in", producer=str(farmer.public_id))
    process = {"inputs": [{"lot": pigs, "mass_g": 500_000}], "process": "slaughter_pig"}

    def outputs(kg: int) -> list[Json]:
        return [{"lot": new_id(), "product": CARCASSES, "quantity": str(kg), "unit": "公斤"}]

    rows: list[tuple[str, Any]] = [
        (new_id(), process | {"outputs": outputs(360)}),
        (new_id(), process | {"outputs": outputs(100)}),
        (new_id(), process | {"outputs": outputs(360)}),
        (new_id(), process | {"process": "magic", "outputs": outputs(360)}),
    ]
    answer = await send(butcher, "transforms", *rows)
    assert codes(answer)[:3] == [201, 201, "lot-exhausted"]
    findings = [row["answer"]["findings"] for row in answer["rows"][:2]]
    assert findings[0] == []
    assert findings[1][0]["code"] == "yield-out-of-band"
    assert codes(await send(butcher, "transforms", *rows))[:3] == [200, 200, "lot-exhausted"]


@pytest.mark.parametrize("what", ["tickets", "decisions", "splits", "merges", "transforms"])
async def test_nothing_but_bad_rows_is_a_bulk_too(trade: Trade, what: str) -> None:
    farmer = await trade.farmer()
    answer = await send(farmer, what, (new_id(), {}), (new_id(), {"strange": 1}))
    assert codes(answer) == ["malformed-request"] * 2
