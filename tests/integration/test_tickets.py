"""Tickets through HTTP: every way goods change hands, and every way they come back."""

from typing import Any

import pytest

from app.party.access import RoleKind
from app.signing import token
from tests.factories import (
    CHIVES,
    EGGS,
    FISH,
    GREENS,
    TOMATOES,
    VILLAGE,
    Actor,
    Json,
    Trade,
    code_of,
    line,
    new_id,
    received,
    returned,
)

PRICE_FEN = 314_159_265  # So long that no token holds it by chance.


async def proofs(trade: Trade, lot: str) -> list[tuple[int, int]]:
    """Answer grams and proof of the edges that lead to a lot."""
    rows = await trade.rows(
        "SELECT e.mass_g, e.proof FROM lot_edge e JOIN lot l ON l.id = e.dst "
        "WHERE l.public_id = CAST(:lot AS uuid) ORDER BY e.src",
        lot=lot,
    )
    return [tuple(row) for row in rows]


async def left_g(holder: Actor, *lots: str) -> list[int]:
    return [(await holder.lot(lot))["remaining_g"] for lot in lots]


# --- two-sided ------------------------------------------------------------------------------------


async def test_a_ticket_says_everything_and_its_code_says_the_same(trade: Trade) -> None:
    farmer, stall = await trade.farmer(name="王小芳"), await trade.stall(name="李大山")
    lot = await farmer.opens(kg=300)
    ticket = new_id()
    made = await farmer.make(
        f"/tickets/{ticket}",
        {
            "buyer": stall.as_buyer,
            "lines": [
                {
                    "product": CHIVES,
                    "trade_name": "头刀韭",
                    "quantity": "120.5",
                    "unit": "斤",
                    "price_fen": 250,
                    "price_unit": "斤",
                }
            ],
            "sold_at": "2026-06-18T03:30+08:00",
            "device_at": "2026-06-18T03:31+08:00",
            "plate": "苏F·12345",
            "note": "早市",
            "documents": [{"kind": "purchase_voucher", "number": "PZ-1"}],
        },
    )
    claims = token.parse(made["url"].rpartition("/t/")[2]).claims
    assert (claims.type, claims.product, claims.origin) == (
        token.TokenType.TICKET,
        CHIVES,
        VILLAGE,
    )
    assert claims.quantity_dg == token.quantity_dg_of(60_250)
    code = made.pop("code")
    made.pop("url")
    assert made == {
        "ticket": ticket,
        "kind": "origin",
        "status": "issued",
        "seller": {"party": str(farmer.public_id), "name": "王小芳"},
        "buyer": {"party": str(stall.public_id), "name": "李大山"},
        "buyer_kind": "registered",
        "hand_over": "two_sided",
        "market": None,
        "stall": None,
        "sold_at": "2026-06-17T19:30:00Z",
        "device_at": "2026-06-17T19:31:00Z",
        "issued_at": "2026-06-17T20:00:00Z",
        "expires_at": "2026-06-21T20:00:00Z",
        "mass_g": 60_250,
        "mass": {"zh": "60.25 公斤（120.5 斤）", "en": "60.25 kg (120.5 jin)"},
        "lines": [
            {
                "no": 1,
                "product": CHIVES,
                "product_name": "韭菜",
                "trade_name": "头刀韭",
                "quantity": "120.5",
                "unit": "斤",
                "pack_net_g": None,
                "mass_g": 60_250,
                "mass": {"zh": "60.25 公斤（120.5 斤）", "en": "60.25 kg (120.5 jin)"},
                "pieces": None,
                "price_fen": 250,
                "price_unit": "斤",
                "draws": [
                    {
                        "lot": lot,
                        "mass_g": 60_250,
                        "accepted_g": None,
                        "received_lot": None,
                        "returned_lot": None,
                        "certificates": [],
                    }
                ],
            }
        ],
        "plate": "苏F·12345",
        "note": "早市",
        "documents": [{"kind": "purchase_voucher", "number": "PZ-1", "issued_on": None}],
        "corrects": None,
        "decided_at": None,
        "voided_at": None,
        "reason": None,
        "evidence": [],
        "claim_code": None,
    }
    for side in (farmer, stall):
        assert (await side.read(f"/tickets/{ticket}")) == made | {
            "code": code,
            "url": (await side.read(f"/tickets/{ticket}"))["url"],
        }
    for name, media_type in (("png", "image/png"), ("svg", "image/svg+xml")):
        picture = await stall.get(f"/tickets/{ticket}/code.{name}")
        assert (picture.status_code, picture.headers["content-type"]) == (200, media_type)
        assert len(picture.content) > 500


async def test_accepted_goods_become_the_buyers_and_edges_are_proved(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=100)
    ticket = await farmer.sells(stall, line(CHIVES, 60, lot))
    assert await left_g(farmer, lot) == [40_000]
    assert await stall.read("/lots") == [], "until it accepts, the buyer has nothing"
    trade.clock.advance(minutes=10)
    decided = await stall.decides(ticket["ticket"])
    assert (decided["status"], decided["decided_at"]) == ("accepted", "2026-06-17T20:10:00Z")
    bought = await stall.lot(received(decided))
    assert (bought["mass_g"], bought["remaining_g"]) == (60_000, 60_000)
    assert (bought["origin"], bought["producer"]) == ("purchase", str(farmer.public_id))
    assert (bought["holder"], bought["division_code"]) == (str(stall.public_id), VILLAGE)
    assert await proofs(trade, bought["lot"]) == [(60_000, 2)]
    resale = await stall.sells(await trade.stall(), line(CHIVES, 60, bought["lot"]))
    assert resale["kind"] == "sale", "what somebody else produced is no origin sale"


async def test_one_ticket_carries_many_lines_and_many_lots(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    first, second = await farmer.opens(kg=30), await farmer.opens(kg=50)
    greens, tomatoes = await farmer.opens(GREENS, 20), await farmer.opens(TOMATOES, 10)
    made = await farmer.sells(
        stall,
        line(CHIVES, 60, (second, 45_000), first),
        line(GREENS, 20, greens),
        line(CHIVES, 10, first, second),
        line(TOMATOES, "0.001", tomatoes),
    )
    drawn = [[(draw["lot"], draw["mass_g"]) for draw in item["draws"]] for item in made["lines"]]
    assert drawn == [
        [(first, 15_000), (second, 45_000)],
        [(greens, 20_000)],
        [(first, 10_000)],
        [(tomatoes, 1)],
    ]
    assert token.parse(made["url"].rpartition("/t/")[2]).claims.product == 0
    assert await left_g(farmer, first, second, greens) == [5_000, 5_000, 0]
    decided = await stall.decides(made["ticket"])
    kept = [await stall.lot(lot["lot"]) for lot in await stall.read("/lots")]
    assert sorted(lot["mass_g"] for lot in kept) == [1, 10_000, 15_000, 20_000, 45_000]
    assert decided["mass_g"] == 90_001


async def test_without_lots_the_oldest_stock_is_taken(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lots = [await farmer.opens(kg=kg) for kg in (10, 20, 30)]
    await trade.hold(lots[1])
    made = await farmer.sells(stall, line(CHIVES, 25), line(CHIVES, 5))
    drawn = [[(draw["lot"], draw["mass_g"]) for draw in row["draws"]] for row in made["lines"]]
    assert drawn == [[(lots[0], 10_000), (lots[2], 15_000)], [(lots[2], 5_000)]]
    await trade.hold(lots[1], 0)
    again = await farmer.sells(stall, line(CHIVES, 25))
    assert [draw["lot"] for draw in again["lines"][0]["draws"]] == lots[1:]


async def test_a_part_is_accepted_and_the_rest_returns_as_lots_of_their_own(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    first, second = await farmer.opens(kg=30), await farmer.opens(kg=60)
    greens = await farmer.opens(GREENS, 8)
    made = await farmer.sells(stall, line(CHIVES, 90, first, second), line(GREENS, 8, greens))
    decided = await stall.decides(made["ticket"], "accepted_in_part", lines={1: 60_001})
    assert (decided["status"], decided["reason"]) == ("accepted_in_part", "wilted")
    accepted = [draw["accepted_g"] for row in decided["lines"] for draw in row["draws"]]
    assert accepted == [20_000, 40_001, 8_000], "each draw gives its proportional part"
    assert [(await stall.lot(received(decided, 1, draw)))["mass_g"] for draw in (0, 1)] == [
        20_000,
        40_001,
    ]
    back = [await farmer.lot(returned(decided, 1, draw)) for draw in (0, 1)]
    assert [lot["remaining_g"] for lot in back] == [10_000, 19_999]
    assert {lot["origin"] for lot in back} == {"return"}
    assert returned(decided, 2) == "None"
    assert await left_g(farmer, first, second, greens) == [0, 0, 0], "nothing goes back silently"


async def test_refused_goods_return_whole(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=30)
    await farmer.certifies(lot, 20)
    made = await farmer.sells(stall, line(CHIVES, 30, lot))
    decided = await stall.decides(made["ticket"], "refused", reason="气味不对")
    assert (decided["status"], decided["reason"]) == ("refused", "气味不对")
    assert received(decided) == "None"
    back = await farmer.lot(returned(decided))
    assert (back["mass_g"], back["certified_g"]) == (30_000, 20_000)
    assert await proofs(trade, back["lot"]) == [(30_000, 2)]
    assert await stall.read("/lots") == []


async def test_a_voided_ticket_gives_the_grams_back_to_the_same_lots(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    first, second = await coop.opens(kg=30), await coop.opens(kg=60)
    for lot, kg in ((first, 30), (second, 60)):
        await coop.certifies(lot, kg)
    made = await coop.sells(stall, line(CHIVES, 40, first, second), line(CHIVES, 50, second))
    assert await left_g(coop, first, second) == [0, 0]
    voided = await coop.voids("tickets", made["ticket"], "写错买方")
    assert (voided["status"], voided["reason"]) == ("voided", "写错买方")
    assert await left_g(coop, first, second) == [30_000, 60_000]
    again = await coop.sells(stall, line(CHIVES, 90, first, second))
    assert again["status"] == "issued", "the certificates cover it again"


async def test_pieces_stay_beside_the_grams(trade: Trade) -> None:
    farm, stall = await trade.farmer(), await trade.stall()
    lot = await farm.opens(EGGS, 10, origin="lay", unit="板")
    made = await farm.sells(stall, line(EGGS, 4, lot, unit="板"))
    assert (made["lines"][0]["pieces"], made["lines"][0]["mass_g"]) == (120, 6_600)
    assert (await farm.lot(lot))["pieces"] == 180
    bought = await stall.lot(received(await stall.decides(made["ticket"])))
    assert (bought["pieces"], bought["mass_g"]) == (120, 6_600)


# --- buyers ---------------------------------------------------------------------------------------


async def test_a_walk_in_takes_the_goods_at_once_and_consumes_them(trade: Trade) -> None:
    stall = await trade.stall()
    lot = await stall.opens(kg=5, origin="declare")
    made = await stall.sells(None, line(CHIVES, "1.5", lot))
    assert (made["buyer"], made["buyer_kind"]) == (None, "walk_in")
    assert (made["status"], made["hand_over"]) == ("issued", "one_sided")
    consumed = await trade.rows(
        "SELECT l.holder_id, b.remaining_g, b.produced_g FROM lot l "
        "JOIN lot_balance b ON b.lot_id = l.id WHERE l.public_id = CAST(:lot AS uuid)",
        lot=received(made),
    )
    assert [tuple(row) for row in consumed] == [(None, 0, 1_500)]
    assert await proofs(trade, received(made)) == [(1_500, 1)]
    voided = await stall.voids("tickets", made["ticket"], "brought back")
    back = await stall.lot(returned(voided))
    assert (back["origin"], back["remaining_g"]) == ("return", 1_500)
    assert await left_g(stall, lot) == [3_500]


async def claim(trade: Trade, phone: str, code: str) -> Json:
    answer = await trade.client.post(
        "/claims",
        json={"phone": phone, "code": code, "account": new_id(), "password": "leeks at dawn 418"},
    )
    assert answer.status_code in {200, 201}, answer.text
    claimed: Json = answer.json()
    return claimed


async def test_an_invited_buyer_claims_by_phone_and_then_accepts(trade: Trade) -> None:
    farmer = await trade.farmer()
    lot = await farmer.opens(kg=100)
    party, ticket, phone = new_id(), new_id(), "13800138001"
    invite = {"party": party, "name": "周校长", "phone": "138-0013-8001"}
    body = {"buyer": {"invite": invite}, "lines": [line(CHIVES, 20, lot)]}
    made = await farmer.make(f"/tickets/{ticket}", body)
    assert (made["buyer_kind"], made["hand_over"]) == ("invited", "two_sided")
    assert made["buyer"] == {"party": party, "name": "周校长"}
    again = await farmer.make(f"/tickets/{ticket}", body, status=200)
    assert again == made, "the claim code, too"
    await claim(trade, phone, made["claim_code"])
    signed_in = await trade.client.post(
        "/sessions", json={"login": phone, "password": "leeks at dawn 418"}
    )
    assert signed_in.status_code == 201, signed_in.text
    decided = await trade.client.put(f"/tickets/{ticket}/decision", json={"outcome": "accepted"})
    trade.client.cookies.clear()
    assert decided.status_code == 200, decided.text
    assert received(decided.json()) != "None"
    later = await farmer.make(
        f"/tickets/{new_id()}",
        {**body, "buyer": {"invite": {**invite, "party": new_id()}}},
    )
    assert (later["buyer"]["party"], later["buyer_kind"]) == (party, "registered")
    assert later["claim_code"] is None


# --- one-sided ------------------------------------------------------------------------------------


async def one_sided(seller: Actor, buyer: Actor, *lines: Json, **more: Any) -> Json:
    return await seller.sells(buyer, *lines, hand_over="one_sided", **more)


async def test_a_one_sided_hand_over_is_a_claim_until_the_buyer_confirms(trade: Trade) -> None:
    farmer, stall, canteen = await trade.farmer(), await trade.stall(), await trade.stall()
    lot = await farmer.opens(kg=100)
    made = await one_sided(farmer, stall, line(CHIVES, 60, lot))
    bought = received(made)
    assert await proofs(trade, bought) == [(60_000, 1)]
    await stall.sells(canteen, line(CHIVES, 50, bought))
    decided = await stall.decides(made["ticket"])
    assert (decided["status"], received(decided)) == ("accepted", bought)
    assert await proofs(trade, bought) == [(60_000, 2)]


async def test_a_one_sided_hand_over_confirmed_in_part_sends_the_rest_back(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    first, second = await farmer.opens(kg=30), await farmer.opens(kg=30)
    made = await one_sided(farmer, stall, line(CHIVES, 60, first, second))
    decided = await stall.decides(made["ticket"], "accepted_in_part", lines={1: 40_000})
    kept = [received(decided, 1, draw) for draw in (0, 1)]
    assert await left_g(stall, *kept) == [20_000, 20_000]
    assert [await proofs(trade, lot) for lot in kept] == [[(30_000, 2)]] * 2
    assert await left_g(farmer, *(returned(decided, 1, draw) for draw in (0, 1))) == [10_000] * 2


async def test_a_one_sided_hand_over_refused_comes_back_unproved(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=30)
    made = await one_sided(farmer, stall, line(CHIVES, 30, lot))
    decided = await stall.decides(made["ticket"], "refused")
    assert await left_g(stall, received(made)) == [0]
    assert await proofs(trade, received(made)) == [(30_000, 1)]
    assert await left_g(farmer, returned(decided)) == [30_000]


async def test_what_was_handed_on_cannot_be_refused_any_more(trade: Trade) -> None:
    farmer, stall, canteen = await trade.farmer(), await trade.stall(), await trade.stall()
    lot = await farmer.opens(kg=30)
    made = await one_sided(farmer, stall, line(CHIVES, 30, lot))
    await stall.sells(canteen, line(CHIVES, 1, received(made)))
    body = {"outcome": "refused", "reason": "late"}
    refused = await stall.put(f"/tickets/{made['ticket']}/decision", body)
    assert code_of(refused) == "lot-exhausted"
    voided = await farmer.put(f"/tickets/{made['ticket']}/void", {"reason": "late"})
    assert code_of(voided) == "lot-exhausted"
    assert (await farmer.read(f"/tickets/{made['ticket']}"))["status"] == "issued"


async def test_a_voided_one_sided_ticket_returns_the_goods_as_new_lots(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    first, second = await farmer.opens(kg=30), await farmer.opens(kg=20)
    made = await one_sided(farmer, stall, line(CHIVES, 50, first, second))
    voided = await farmer.voids("tickets", made["ticket"])
    assert await left_g(farmer, *(returned(voided, 1, draw) for draw in (0, 1))) == [
        30_000,
        20_000,
    ]
    assert await left_g(farmer, first, second) == [0, 0]
    assert await stall.read("/lots") == []


# --- other kinds ----------------------------------------------------------------------------------


async def test_goods_are_returned_to_whoever_supplied_them(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    lot = await coop.opens(kg=30)
    await coop.certifies(lot, 30)
    ticket = await coop.sells(stall, line(CHIVES, 30, lot))
    bought = received(await stall.decides(ticket["ticket"]))
    back = await stall.sells(coop, line(CHIVES, 10, bought), kind="return")
    assert back["kind"] == "return"
    taken = await coop.lot(received(await coop.decides(back["ticket"])))
    assert (taken["origin"], taken["remaining_g"]) == ("return", 10_000)
    assert await left_g(coop, lot) == [0], "a return is a new lot"
    assert taken["certified_g"] == 10_000


async def test_returned_goods_go_on_back_to_where_they_came_from(trade: Trade) -> None:
    farmer, collector, stall = await trade.farmer(), await trade.collector(), await trade.stall()
    lot = await farmer.opens(kg=30)
    await farmer.certifies(lot, 30)
    first = await farmer.sells(collector, line(CHIVES, 30, lot))
    bought = received(await collector.decides(first["ticket"]))
    second = await collector.sells(stall, line(CHIVES, 30, bought))
    resold = received(await stall.decides(second["ticket"]))
    back = await stall.sells(collector, line(CHIVES, 10, resold), kind="return")
    again = received(await collector.decides(back["ticket"]))
    await collector.sells(farmer, line(CHIVES, 10, again), kind="return")
    # and so do goods that a buyer refused, one-sidedly handed over or not
    for hand_over in ("two_sided", "one_sided"):
        ticket = await farmer.sells(collector, line(CHIVES, 1, await farmer.opens(kg=1)))
        ours = received(await collector.decides(ticket["ticket"]))
        await collector.certifies(ours, 1, kind="conformity_purchaser")
        offered = await collector.sells(stall, line(CHIVES, 1, ours), hand_over=hand_over)
        refused = returned(await stall.decides(offered["ticket"], "refused"))
        await collector.sells(farmer, line(CHIVES, 1, refused), kind="return")


@pytest.mark.parametrize("hand_over", ["two_sided", "one_sided"])
async def test_goods_refused_two_sales_later_go_back_all_the_way(
    trade: Trade, hand_over: str
) -> None:
    farmer, collector, stall = await trade.farmer(), await trade.collector(), await trade.stall()
    school = await trade.party(RoleKind.GROUP_BUYER)
    first = await farmer.sells(collector, line(CHIVES, 1, await farmer.opens(kg=1)))
    bought = received(await collector.decides(first["ticket"]))
    await collector.certifies(bought, 1, kind="conformity_purchaser")
    second = await collector.sells(stall, line(CHIVES, 1, bought))
    resold = received(await stall.decides(second["ticket"]))
    offered = await stall.sells(school, line(CHIVES, 1, resold), hand_over=hand_over)
    refused = returned(await school.decides(offered["ticket"], "refused"))
    back = await stall.sells(collector, line(CHIVES, 1, refused), kind="return")
    again = received(await collector.decides(back["ticket"]))
    await collector.sells(farmer, line(CHIVES, 1, again), kind="return")


async def test_a_transfer_stays_within_one_party(trade: Trade) -> None:
    coop = await trade.coop()
    lot = await coop.opens(kg=30)
    moved = await coop.sells(coop, line(CHIVES, 30, lot), kind="transfer")
    assert moved["kind"] == "transfer"
    arrived = await coop.lot(received(await coop.decides(moved["ticket"])))
    assert (arrived["holder"], arrived["producer"]) == (str(coop.public_id),) * 2
    assert await proofs(trade, arrived["lot"]) == [(30_000, 2)]


async def test_a_correction_names_the_voided_ticket(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    lot = await farmer.opens(kg=30)
    wrong = await farmer.sells(stall, line(CHIVES, 30, lot))
    await farmer.voids("tickets", wrong["ticket"])
    right = await farmer.sells(stall, line(CHIVES, 3, lot), corrects=wrong["ticket"])
    assert right["corrects"] == wrong["ticket"]


async def test_a_former_ticket_is_repeated_in_one_call(trade: Trade) -> None:
    farmer, stall, canteen = await trade.farmer(), await trade.stall(), await trade.stall()
    await farmer.opens(kg=30)
    await farmer.opens(GREENS, 30)
    former = await farmer.sells(
        stall,
        line(CHIVES, 10, price_fen=PRICE_FEN, price_unit="公斤", trade_name="头刀韭"),
        line(GREENS, 5),
        hand_over="one_sided",
    )
    again = await farmer.make(f"/tickets/{new_id()}", {"repeat_of": former["ticket"]})
    same = ("buyer", "hand_over", "market", "stall", "mass_g", "kind")
    assert {name: again[name] for name in same} == {name: former[name] for name in same}
    spoken = ("product", "trade_name", "quantity", "unit", "price_fen", "price_unit")
    assert [[row[name] for name in spoken] for row in again["lines"]] == [
        [row[name] for name in spoken] for row in former["lines"]
    ]
    changed = await farmer.make(
        f"/tickets/{new_id()}",
        {"repeat_of": former["ticket"], "buyer": canteen.as_buyer, "lines": [line(GREENS, 1)]},
    )
    assert changed["buyer"]["party"] == str(canteen.public_id)
    assert [row["product"] for row in changed["lines"]] == [GREENS]
    moved = await farmer.sells(farmer, line(GREENS, 1), kind="transfer")
    repeated = await farmer.make(f"/tickets/{new_id()}", {"repeat_of": moved["ticket"]})
    assert repeated["kind"] == "transfer"


async def test_wild_catch_needs_no_certificate_and_farmed_does(trade: Trade) -> None:
    coop, stall = await trade.coop(), await trade.stall()
    wild = await coop.opens(FISH, 10, origin="catch", production="wild")
    await coop.sells(stall, line(FISH, 10, wild))
    farmed = await coop.opens(FISH, 10, origin="catch", production="farmed")
    body = {"buyer": stall.as_buyer, "lines": [line(FISH, 10, farmed)]}
    assert code_of(await coop.put(f"/tickets/{new_id()}", body)) == "certificate-missing"


# --- who sees what --------------------------------------------------------------------------------


async def market_of(trade: Trade) -> tuple[Actor, str]:
    market, place = await trade.party(RoleKind.MARKET), new_id()
    await market.make(
        f"/places/{place}",
        {
            "kind": "market",
            "name": "如皋批发市场",
            "division_code": VILLAGE,
            "valid_from": "2020-01-01",
        },
    )
    return market, place


async def test_prices_are_for_the_two_parties_alone(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    market, place = await market_of(trade)
    office = await trade.party(RoleKind.REGULATOR, answers_for="320682")
    operator = await trade.party(RoleKind.OPERATOR)
    await farmer.opens(kg=100)
    priced = line(CHIVES, 10, price_fen=PRICE_FEN, price_unit="公斤")
    made = await farmer.sells(stall, priced, market=place)
    path = f"/tickets/{made['ticket']}"
    for party in (farmer, stall):
        assert (await party.read(path))["lines"][0]["price_fen"] == PRICE_FEN
    for other in (market, office, operator):
        answer = await other.get(path)
        assert answer.status_code == 200, answer.text
        assert str(PRICE_FEN) not in answer.text
        assert answer.json()["lines"][0]["price_unit"] is None
    log = b"".join(row.leaf for row in await trade.rows("SELECT leaf FROM entry"))
    assert str(PRICE_FEN).encode() not in log


async def test_strangers_do_not_see_a_ticket(trade: Trade) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    await farmer.opens(kg=100)
    made = await farmer.sells(stall, line(CHIVES, 10))
    other_market, _ = await market_of(trade)
    elsewhere = await trade.party(RoleKind.REGULATOR, answers_for="320685")
    for stranger in (await trade.stall(), other_market, elsewhere):
        for path in ("", "/code.png", "/code.svg"):
            answer = await stranger.get(f"/tickets/{made['ticket']}{path}")
            assert (answer.status_code, code_of(answer)) == (403, "other-party")
    public = await trade.client.get(f"/tickets/{made['ticket']}")
    assert (public.status_code, code_of(public)) == (401, "not-signed-in")


async def test_tickets_are_listed_by_side_newest_first(trade: Trade) -> None:
    farmer, stall, canteen = await trade.farmer(), await trade.stall(), await trade.stall()
    await farmer.opens(kg=100)
    first = (await farmer.sells(stall, line(CHIVES, 10)))["ticket"]
    await stall.decides(first)
    trade.clock.advance(minutes=1)
    second = (await farmer.sells(stall, line(CHIVES, 10)))["ticket"]
    trade.clock.advance(minutes=1)
    third = (await stall.sells(canteen, line(CHIVES, 5)))["ticket"]

    async def listed(query: str) -> list[str]:
        return [ticket["ticket"] for ticket in await stall.read(f"/tickets?{query}")]

    assert await listed("") == [third, second, first]
    assert await listed("side=bought") == [second, first]
    assert await listed("side=sold") == [third]
    assert await listed("limit=1") == [third]
    assert await listed("before=2026-06-17T20:01:00Z") == [first]
    assert await listed("side=sold&before=2026-06-17T20:01:00Z") == []
    (only,) = await canteen.read("/tickets?side=bought")
    assert only == await canteen.read(f"/tickets/{third}")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "side=theirs", "before=yesterday"])
async def test_a_list_is_asked_for_in_known_words(trade: Trade, query: str) -> None:
    answer = await (await trade.stall()).get(f"/tickets?{query}")
    assert (answer.status_code, code_of(answer)) == (422, "malformed-request")
    assert answer.json()["errors"][0]["pointer"].startswith("/query/")
