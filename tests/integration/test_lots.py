"""What a holder does with lots, through HTTP: every operation as it should go."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from app.party.access import RoleKind
from tests.factories import (
    CARCASSES,
    CHIVES,
    EGGS,
    FISH,
    GREENS,
    MUNG_BEANS,
    OTHER_VILLAGE,
    PADDY,
    PIGS,
    RICE,
    SPROUTS,
    TOMATOES,
    VILLAGE,
    Actor,
    Json,
    Trade,
    code_of,
    line,
    new_id,
    received,
)
from tests.recalls import photo

# --- beginnings -----------------------------------------------------------------------------------


async def test_a_harvest_is_a_lot_of_its_harvester(trade: Trade) -> None:
    farmer = await trade.farmer()
    lot = new_id()
    made = await farmer.make(
        f"/lots/{lot}",
        {
            "origin": "harvest",
            "product": CHIVES,
            "quantity": "300",
            "unit": "斤",
            "division_code": VILLAGE,
            "production": "farmed",
            "documents": [{"kind": "lab_report", "number": "JC-2026-0618"}],
        },
    )
    me = str(farmer.public_id)
    assert made == {
        "lot": lot,
        "origin": "harvest",
        "product": CHIVES,
        "product_name": "韭菜",
        "holder": me,
        "producer": me,
        "mixed": False,
        "production": "farmed",
        "mass_g": 150_000,
        "remaining_g": 150_000,
        "remaining": {"zh": "150 公斤（300 斤）", "en": "150 kg (300 jin)"},
        "pieces": None,
        "quantity": "300",
        "unit": "斤",
        "division_code": VILLAGE,
        "division_name": made["division_name"],
        "made_on": "2026-06-18",  # in Shanghai; in UTC it is still the 17th
        "certified_g": 0,
        "on_hold": False,
        "documents": [{"kind": "lab_report", "number": "JC-2026-0618", "issued_on": None}],
        "created_at": "2026-06-17T20:00:00Z",
    }
    assert "如皋市" in made["division_name"]
    assert await farmer.lot(lot) == made


@pytest.mark.parametrize(
    ("role", "origin", "product", "more"),
    [
        (RoleKind.FISHER, "catch", FISH, {"production": "wild"}),
        (RoleKind.COOP, "catch", FISH, {"production": "farmed"}),
        (RoleKind.FAMILY_FARM, "lay", EGGS, {"quantity": "10", "unit": "板"}),
        (RoleKind.AGRI_ENT, "harvest", TOMATOES, {"made_on": "2026-06-17"}),
        (RoleKind.VILLAGE_COLLECTIVE, "harvest", GREENS, {}),
    ],
)
async def test_each_trade_has_its_beginning(
    trade: Trade, role: RoleKind, origin: str, product: int, more: Json
) -> None:
    producer = await trade.party(role)
    lot = await producer.lot(await producer.opens(product, 20, origin=origin, **more))
    assert (lot["origin"], lot["producer"]) == (origin, str(producer.public_id))
    assert lot["made_on"] == more.get("made_on", "2026-06-18")
    if origin == "lay":
        assert (lot["mass_g"], lot["pieces"]) == (16_500, 300)


async def test_animals_come_in_from_their_farm_and_leave_as_carcasses(trade: Trade) -> None:
    farm, butcher = await trade.farmer(), await trade.party(RoleKind.SLAUGHTER)
    herd = await butcher.opens(
        PIGS,
        30,
        origin="slaughter_in",
        unit="头",
        pack_net_g=110_000,
        producer=str(farm.public_id),
        documents=[{"kind": "quarantine", "number": "3206820001"}],
    )
    lot = await butcher.lot(herd)
    assert (lot["mass_g"], lot["pieces"]) == (3_300_000, 30)
    assert lot["producer"] == str(farm.public_id)
    carcasses = new_id()
    made = await butcher.make(
        f"/transforms/{new_id()}",
        {
            "process": "slaughter_pig",
            "inputs": [{"lot": herd}],
            "outputs": [
                {"lot": carcasses, "product": CARCASSES, "quantity": "2475", "unit": "公斤"}
            ],
        },
    )
    assert (made["lots"], made["findings"]) == ([carcasses], [])
    meat = await butcher.lot(carcasses)
    assert (meat["mass_g"], meat["producer"]) == (2_475_000, str(farm.public_id))
    assert meat["documents"] == lot["documents"]
    assert (await butcher.lot(herd))["remaining_g"] == 0


async def test_goods_bought_elsewhere_are_declared_with_or_without_a_producer(
    trade: Trade,
) -> None:
    farmer, collector = await trade.farmer(), await trade.collector()
    unknown = await collector.lot(await collector.opens(origin="declare", division_code=None))
    assert (unknown["producer"], unknown["division_code"]) == (None, None)
    named = await collector.opens(origin="declare", producer=str(farmer.public_id))
    assert (await collector.lot(named))["producer"] == str(farmer.public_id)


async def test_a_plot_says_where_a_lot_comes_from(trade: Trade) -> None:
    farmer = await trade.farmer()
    plot = new_id()
    await farmer.make(
        f"/places/{plot}",
        {
            "kind": "plot",
            "name": "东头三亩",
            "division_code": OTHER_VILLAGE,
            "valid_from": "2020-01-01",
        },
    )
    lot = await farmer.lot(await farmer.opens(plot=plot, division_code=None))
    assert lot["division_code"] == OTHER_VILLAGE


async def test_stock_lists_what_is_left_oldest_first(trade: Trade) -> None:
    farmer = await trade.farmer()
    first, second = await farmer.opens(kg=5), await farmer.opens(TOMATOES, 6)
    third = await farmer.opens(kg=7)
    await farmer.make(f"/losses/{new_id()}", {"lot": first, "reason": "spoiled"})
    assert [lot["lot"] for lot in await farmer.read("/lots")] == [second, third]
    assert [lot["lot"] for lot in await farmer.read(f"/lots?product={CHIVES}")] == [third]
    assert len(await farmer.read("/lots?limit=1")) == 1


# --- splitting ------------------------------------------------------------------------------------


async def split(holder: Actor, lot: str, *kg: float, status: int = 201) -> list[str]:
    parts = [{"lot": new_id(), "quantity": str(part), "unit": "公斤"} for part in kg]
    made = await holder.make(f"/splits/{new_id()}", {"lot": lot, "parts": parts}, status=status)
    assert made["lots"] == [part["lot"] for part in parts]
    return list(made["lots"])


async def test_a_split_makes_lots_and_leaves_the_rest(trade: Trade) -> None:
    farmer = await trade.farmer()
    whole = await farmer.opens(kg=100)
    first, second = await split(farmer, whole, 30, 25.5)
    assert (await farmer.lot(whole))["remaining_g"] == 44_500
    parts = [await farmer.lot(lot) for lot in (first, second)]
    assert [part["mass_g"] for part in parts] == [30_000, 25_500]
    assert {part["producer"] for part in parts} == {str(farmer.public_id)}
    assert {part["division_code"] for part in parts} == {VILLAGE}
    edges = await trade.rows(
        "SELECT e.mass_g, e.proof FROM lot_edge e JOIN lot l ON l.id = e.src "
        "WHERE l.public_id = CAST(:lot AS uuid) ORDER BY e.dst",
        lot=whole,
    )
    assert [tuple(edge) for edge in edges] == [(30_000, 3), (25_500, 3)]


async def test_a_producers_certificate_covers_the_parts_and_a_collectors_must_be_new(
    trade: Trade,
) -> None:
    coop, collector, stall = await trade.coop(), await trade.collector(), await trade.stall()
    lot = await coop.opens(kg=100)
    await coop.certifies(lot, 80)
    (part,) = await split(coop, lot, 60)
    assert (await coop.lot(part))["certified_g"] == 60_000
    ticket = await coop.sells(collector, line(CHIVES, 60, part))
    purchase = received(await collector.decides(ticket["ticket"]))
    (half,) = await split(collector, purchase, 30)
    assert (await collector.lot(half))["certified_g"] == 0
    refused = await collector.put(
        f"/tickets/{new_id()}", {"buyer": stall.as_buyer, "lines": [line(CHIVES, 30, half)]}
    )
    assert code_of(refused) == "certificate-missing"
    await collector.certifies(half, 30, kind="conformity_purchaser")
    await collector.sells(stall, line(CHIVES, 30, half))


# --- merging --------------------------------------------------------------------------------------


async def merge(holder: Actor, *lots: str, **more: object) -> Json:
    body = {"inputs": [{"lot": lot} for lot in lots], "lot": new_id(), **more}
    return await holder.make(f"/merges/{new_id()}", body)


async def bought(seller: Actor, buyer: Actor, product: int, kg: float, **more: Any) -> str:
    lot = await seller.opens(product, kg, **more)
    ticket = await seller.sells(buyer, line(product, kg, lot))
    return received(await buyer.decides(ticket["ticket"]))


async def test_lots_of_one_producer_merge_without_a_certificate(trade: Trade) -> None:
    farmer = await trade.farmer()
    first, second = await farmer.opens(kg=30), await farmer.opens(kg=12)
    await farmer.certifies(first, 20)
    made = await merge(farmer, first, second)
    assert made["certificate"] is None
    whole = await farmer.lot(made["lots"][0])
    assert (whole["mass_g"], whole["certified_g"]) == (42_000, 20_000)
    assert (whole["producer"], whole["mixed"]) == (str(farmer.public_id), False)


async def test_lots_of_several_producers_merge_under_form_2(trade: Trade) -> None:
    farmers, collector = [await trade.farmer() for _ in range(2)], await trade.collector()
    lots = [
        await bought(farmer, collector, CHIVES, kg, division_code=division)
        for farmer, kg, division in zip(farmers, (30, 20), (VILLAGE, OTHER_VILLAGE), strict=True)
    ]
    certificate = new_id()
    made = await merge(
        collector,
        *lots,
        certificate={"certificate": certificate, "bases": ["quality_control"]},
    )
    assert made["certificate"]["certificate"] == certificate
    assert made["certificate"]["kind"] == "conformity_purchaser"
    assert (made["certificate"]["form"], made["certificate"]["mass_g"]) == ("2026", 50_000)
    whole = await collector.lot(made["lots"][0])
    assert (whole["mass_g"], whole["certified_g"]) == (50_000, 50_000)
    assert (whole["producer"], whole["mixed"]) == (None, True)
    assert whole["division_code"] is None
    stall = await trade.stall()
    ticket = await collector.sells(stall, line(CHIVES, 50, made["lots"][0]))
    assert ticket["lines"][0]["draws"][0]["certificates"] == [certificate]


async def test_goods_that_no_certificate_is_for_merge_freely(trade: Trade) -> None:
    farmers, collector = [await trade.farmer() for _ in range(2)], await trade.collector()
    lots = [await bought(farmer, collector, PADDY, 500) for farmer in farmers]
    made = await merge(collector, *lots)
    assert (await collector.lot(made["lots"][0]))["mixed"] is True


async def test_before_the_law_of_2023_no_certificate_was_due(trade: Trade) -> None:
    farmers, collector = [await trade.farmer() for _ in range(2)], await trade.collector()
    day = "2022-12-30T08:00+08:00"
    lots = []
    for farmer in farmers:
        lot = await farmer.opens(kg=40, occurred_at=day)
        ticket = await farmer.sells(collector, line(CHIVES, 40, lot), sold_at=day)
        lots.append(received(await collector.decides(ticket["ticket"])))
    body: Json = {"inputs": [{"lot": lot, "mass_g": 20_000} for lot in lots], "lot": new_id()}
    before: Json = {**body, "occurred_at": "2022-12-31T23:59+08:00"}
    told_late = await collector.put(f"/merges/{new_id()}", before)
    assert code_of(told_late) == "merge-needs-certificate", "nobody chooses the law by a date"
    later = {**body, "lot": new_id(), "occurred_at": "2023-01-01T00:00+08:00"}
    trade.clock.set(datetime.fromisoformat("2023-01-03T08:00+08:00"))
    refused = await collector.put(f"/merges/{new_id()}", later)
    assert code_of(refused) == "merge-needs-certificate"
    await collector.make(f"/merges/{new_id()}", before)


async def test_a_merge_may_take_parts(trade: Trade) -> None:
    farmer = await trade.farmer()
    first, second = await farmer.opens(kg=30), await farmer.opens(kg=12)
    body = {
        "inputs": [{"lot": first, "mass_g": 10_000}, {"lot": second, "mass_g": 1}],
        "lot": new_id(),
    }
    made = await farmer.make(f"/merges/{new_id()}", body)
    assert (await farmer.lot(made["lots"][0]))["mass_g"] == 10_001
    assert (await farmer.lot(first))["remaining_g"] == 20_000


# --- transforming ---------------------------------------------------------------------------------


async def test_sprouts_weigh_more_than_their_beans(trade: Trade) -> None:
    maker = await trade.party(RoleKind.PROCESSOR)
    beans = await maker.opens(MUNG_BEANS, 10, origin="declare")
    sprouts = new_id()
    made = await maker.make(
        f"/transforms/{new_id()}",
        {
            "process": "sprout_mung",
            "inputs": [{"lot": beans}],
            "outputs": [{"lot": sprouts, "product": SPROUTS, "quantity": "80", "unit": "公斤"}],
        },
    )
    assert made["findings"] == []
    assert (await maker.lot(sprouts))["mass_g"] == 80_000
    edge = await trade.value(
        "SELECT e.mass_g FROM lot_edge e JOIN lot l ON l.id = e.dst "
        "WHERE l.public_id = CAST(:lot AS uuid)",
        lot=sprouts,
    )
    assert edge == 10_000, "an edge is of the grams that went in"


@pytest.mark.parametrize(
    ("kg", "warned"), [("62", False), ("61.999", True), ("72", False), ("72.001", True)]
)
async def test_an_unusual_yield_is_a_warning(trade: Trade, kg: str, warned: bool) -> None:
    miller = await trade.party(RoleKind.PROCESSOR)
    paddy = await miller.opens(PADDY, 100, origin="declare")
    made = await miller.make(
        f"/transforms/{new_id()}",
        {
            "process": "mill_paddy",
            "inputs": [{"lot": paddy}],
            "outputs": [{"lot": new_id(), "product": RICE, "quantity": kg, "unit": "公斤"}],
        },
    )
    assert [finding["code"] for finding in made["findings"]] == ["yield-out-of-band"] * warned
    for finding in made["findings"]:
        assert (finding["low_permille"], finding["high_permille"]) == (620, 720)
        assert finding["permille"] == int(Decimal(kg) * 10)


# --- loss and destruction -------------------------------------------------------------------------


async def test_losses_and_destructions_take_grams_out(trade: Trade) -> None:
    farmer = await trade.farmer()
    lot = await farmer.opens(kg=10)
    lost = await farmer.make(
        f"/losses/{new_id()}", {"lot": lot, "mass_g": 1_500, "reason": "evaporated"}
    )
    assert (lost["kind"], lost["lots"]) == ("loss", [])
    assert (await farmer.lot(lot))["remaining_g"] == 8_500
    await trade.hold(lot)
    assert (await farmer.lot(lot))["on_hold"] is True
    destroyed = await farmer.make(
        f"/destructions/{new_id()}",
        {
            "lot": lot,
            "method": "composted",
            "reason": "过量残留",
            "receipt": "无害化-17",
            "evidence": [await photo(farmer)],
            "witness": "李四",
        },
    )
    assert destroyed["kind"] == "destroy"
    assert (await farmer.lot(lot))["remaining_g"] == 0
