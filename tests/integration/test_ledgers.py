"""Ledgers: real tickets through HTTP, against entries that were written by hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pypdf import PdfReader
from python_calamine import CalamineWorkbook
from sqlalchemy import text

from app.party.access import RoleKind
from app.supervision.models import WarningRow
from app.supervision.rules import RuleCode, Severity, WarningState
from tests.conftest import TEST_SECRET, FakeClock
from tests.factories import CHIVES, GREENS, Actor, Json, code_of, line, new_id, received
from tests.gate import agrees, inspects, scanned
from tests.laboratory import judged, lab, report, sampled
from tests.market import Market, open_market
from tests.recalls import recalled
from tests.terminal import say

JUNE = "month=2026-06"
PHONE = "13812345678"


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    """A market with a cooperative, a stall, a school kitchen and offices."""
    async with open_market(database_url, clock) as market:
        await market.add("kitchen", "如东实验小学食堂", RoleKind.GROUP_BUYER, phone="13987654321")
        await market.add("zhu", "=朱@记", RoleKind.STALL, phone=PHONE)
        await market.add("distant", "苏州市监", RoleKind.REGULATOR, division="320500")
        yield market


async def ledger(actor: Actor, kind: str = "purchases", query: str = JUNE) -> Json:
    """Read a ledger."""
    found: Json = await actor.read(f"/ledgers/{kind}?{query}")
    return found


def told(row: Json, *names: str) -> tuple[Any, ...]:
    """Pick some of a row."""
    return tuple(row[name] for name in names)


def counted(found: Json) -> list[tuple[Any, ...]]:
    """Answer what happened, to what, and what it counts."""
    return [
        told(row, "entry", "standing", "issued_g", "accepted_g", "counted_g")
        for row in found["rows"]
    ]


# --- what falls out of tickets --------------------------------------------------------------------


async def test_a_month_of_a_kitchen_is_what_it_accepted(market: Market) -> None:
    """Accepted, in part, refused, voided, pending, one-sided and returned, in the order of days."""
    stall, kitchen, clock = market.stall, market.kitchen, market.clock
    lot = await stall.opens(kg=500, origin="declare")
    whole = await market.sell(stall, kitchen, lot, 10)
    await kitchen.decides(whole["ticket"])
    clock.advance(hours=1)
    part = await market.sell(stall, kitchen, lot, 20)
    part = await kitchen.decides(part["ticket"], "accepted_in_part", lines={1: 15_000})
    clock.advance(hours=1)
    refused = await market.sell(stall, kitchen, lot, 30)
    await kitchen.decides(refused["ticket"], "refused", reason="发黄")
    clock.advance(hours=1)
    voided = await market.sell(stall, kitchen, lot, 40)
    await stall.voids("tickets", voided["ticket"], "打错了")
    await market.sell(stall, kitchen, lot, 4, corrects=voided["ticket"])
    clock.advance(hours=1)
    await market.sell(stall, kitchen, lot, 50, hand_over="one_sided")
    clock.advance(hours=1)
    goods = part["lines"][0]["draws"][0]["received_lot"]
    back = await market.sell(kitchen, stall, goods, 5, kind="return")
    await stall.decides(back["ticket"])

    bought = await ledger(kitchen)
    assert counted(bought) == [
        ("purchase", "accepted", 10_000, 10_000, 10_000),
        ("purchase", "accepted_in_part", 20_000, 15_000, 15_000),
        ("purchase", "refused", 30_000, 0, 0),
        ("purchase", "voided", 40_000, 0, 0),
        ("purchase", "pending", 4_000, None, 0),
        ("purchase", "claimed", 50_000, 50_000, 50_000),
        ("returned_to_supplier", "accepted", 5_000, 5_000, -5_000),
    ]
    assert [row["reason"] for row in bought["rows"]][2:4] == ["发黄", "打错了"]
    assert bought["rows"][4]["corrects"] == bought["rows"][3]["ticket"] == voided["code"]
    totals = bought["totals"]
    assert told(totals, "entries", "counted_g", "accepted_g", "returned_g") == (
        7,
        70_000,
        75_000,
        5_000,
    )
    assert told(totals, "pending", "pending_g", "claimed", "voided") == (1, 4_000, 1, 1)
    assert totals["counted"] == {"zh": "70 公斤（140 斤）", "en": "70 kg (140 jin)"}

    sold = await ledger(stall, "sales")
    assert [row[2:] for row in counted(sold)] == [row[2:] for row in counted(bought)]
    assert {row["entry"] for row in sold["rows"]} == {"sale", "returned_by_buyer"}
    assert sold["totals"] == bought["totals"]
    assert (await ledger(kitchen, "sales"))["rows"] == []


async def test_what_was_annulled_taken_back_or_corrected_counts_nothing_anywhere(
    market: Market,
) -> None:
    """On the screen, in Excel and on paper, in both books; and the goods are stock again."""
    stall, kitchen, office = market.stall, market.kitchen, market.regulator
    lot = await stall.opens(kg=100, origin="declare")
    kept = await market.sell(stall, kitchen, lot, 10)
    await kitchen.decides(kept["ticket"], "accepted_in_part", lines={1: 6_000})
    claimed = await market.sell(stall, kitchen, lot, 7, hand_over="one_sided")
    await stall.voids("tickets", claimed["ticket"], "送错了")
    wrong = await market.sell(stall, kitchen, lot, 3)
    await stall.voids("tickets", wrong["ticket"], "打错了")
    right = await market.sell(stall, kitchen, lot, 2, corrects=wrong["ticket"])
    await kitchen.decides(right["ticket"])
    pending = await market.sell(stall, kitchen, lot, 20)
    recall = (await recalled(office, lot, siblings=False))["recall"]
    words = {"reason": "卖方拒不作废", "accountable": "王五"}
    await office.make(f"/recalls/{recall}/annulments/{pending['ticket']}", words)
    expected = [
        ("accepted_in_part", 10_000, 6_000, 6_000),
        ("voided", 7_000, 0, 0),
        ("voided", 3_000, 0, 0),
        ("accepted", 2_000, 2_000, 2_000),
        ("voided", 20_000, 0, 0),
    ]
    for actor, kind in ((kitchen, "purchases"), (stall, "sales")):
        found = await ledger(actor, kind)
        assert [row[1:] for row in counted(found)] == expected
        assert told(found["totals"], "entries", "counted_g", "pending", "claimed", "voided") == (
            5,
            8_000,
            0,
            0,
            3,
        )
        assert [row["reason"] for row in found["rows"]][1::3] == ["送错了", "卖方拒不作废"]
        assert found["rows"][3]["corrects"] == found["rows"][2]["ticket"] == wrong["code"]
        # Taken back or not, a record is kept as long as any other.
        assert {row["keep_until"] for row in found["rows"]} == {"2028-06-18"}
        rows = cells(await actor.get(f"/ledgers/{kind}.xlsx?{JUNE}"))
        header, *body, total = rows[5:12]
        at = header.index("计入公斤")
        assert [row[at] for row in (*body, total)] == [6, 0, 0, 2, 0, 8]
        assert [row[header.index("状态")] for row in body].count("已作废") == 3
        joined = "".join(said(await actor.get(f"/ledgers/{kind}.pdf?{JUNE}")).split())
        assert joined.count("已作废") >= 3
        assert wrong["code"] in joined
    stock = [one for one in await stall.read("/lots") if one["product"] == CHIVES]
    assert sum(one["remaining_g"] for one in stock) == 100_000 - 8_000


async def test_a_row_says_all_that_the_law_asks_for(market: Market) -> None:
    farmer = await market.add(
        "grower", "欧阳修竹", RoleKind.FARMER, natural=True, phone="13700001111"
    )
    lot = await farmer.opens(GREENS, 100)
    certificate = await market.certify(farmer, lot, 100)
    ticket = await farmer.sells(
        market.kitchen,
        line(GREENS, 40, lot, trade_name="小青菜", price_fen=350, price_unit="公斤"),
        market=str(market.site),
        stall=str(market.booth),
        documents=[{"kind": "lab_report", "number": "NT-2026-17"}],
    )
    await market.kitchen.decides(ticket["ticket"])
    (row,) = (await ledger(market.kitchen, query=f"{JUNE}&contacts=full"))["rows"]
    assert told(row, "dated_on", "product", "trade_name", "quantity", "unit") == (
        "2026-06-18",
        ticket["lines"][0]["product_name"],
        "小青菜",
        "40",
        "公斤",
    )
    assert told(row, "partner", "partner_name", "partner_phone") == (
        str(farmer.public_id),
        "欧阳修竹",
        "13700001111",
    )
    assert row["partner_address"] == row["origin"][0]  # no street on file: the village
    assert row["partner_address"].startswith("如皋市")
    assert told(row, "producers", "market", "stall") == (["欧阳修竹"], "南通市场", "A12")
    assert row["vouchers"] == [
        {"kind": "ticket", "number": ticket["code"]},
        {"kind": "conformity_producer", "number": certificate["code"]},
        {"kind": "lab_report", "number": "NT-2026-17"},
    ]
    assert told(row, "price_fen", "price_unit", "missing") == (350, "公斤", [])
    assert row["accepted"]["zh"] == "40 公斤（80 斤）"
    # A kitchen may fall under the two years of the food enterprises, as the platform keeps it.
    assert row["keep_until"] == "2028-06-18"


async def test_a_walk_in_is_sold_to_without_a_name(market: Market) -> None:
    lot = await market.stall.opens(kg=9, origin="declare")
    await market.sell(market.stall, None, lot, 2)
    (row,) = (await ledger(market.stall, "sales"))["rows"]
    assert told(row, "entry", "standing", "accepted_g", "partner", "partner_name") == (
        "sale",
        "claimed",
        2_000,
        None,
        None,
    )
    assert {gap["field"]: gap["zh"] for gap in row["missing"]} == {
        "partner_name": "散客，依法无须登记",
        "partner_address": "散客，依法无须登记",
        "partner_phone": "散客，依法无须登记",
        "market": "不在批发市场内交易",
        "stall": "票据未写明摊位",
    }


async def test_goods_that_came_without_a_ticket_are_in_the_ledger_too(market: Market) -> None:
    papers = [{"kind": "purchase_voucher", "number": "海安-881"}]
    await market.stall.opens(
        CHIVES, 7, origin="declare", producer=str(market.farmer.public_id), documents=papers
    )
    await market.stall.opens(GREENS, 3, origin="declare")
    named, unnamed = (await ledger(market.stall))["rows"]
    assert told(named, "entry", "standing", "counted_g", "ticket", "partner_name") == (
        "declared",
        "declared",
        7_000,
        None,
        "张三丰",
    )
    assert named["vouchers"] == papers
    assert {gap["field"]: gap["zh"] for gap in unnamed["missing"]} == {
        "partner_name": "申报时未写明供货者",
        "partner_address": "申报时未写明供货者",
        "partner_phone": "申报时未写明供货者",
        "vouchers": "无凭证",
    }


async def test_a_transfer_within_one_party_is_neither_bought_nor_sold(market: Market) -> None:
    stall = market.stall
    lot = await stall.opens(kg=9, origin="declare")
    ticket = await market.sell(stall, stall, lot, 2, kind="transfer")
    await stall.decides(ticket["ticket"])
    assert (await ledger(stall, "sales"))["rows"] == []
    assert [row["entry"] for row in (await ledger(stall))["rows"]] == ["declared"]


async def test_a_month_begins_and_ends_at_midnight_in_nantong(market: Market) -> None:
    lot = await market.stall.opens(kg=9, origin="declare")
    for instant in ("2026-06-30T15:59:59+00:00", "2026-06-30T16:00:00+00:00"):
        market.clock.set(date_time(instant))
        await market.sell(market.stall, None, lot, 1)
    june = await ledger(market.stall, "sales")
    july = await ledger(market.stall, "sales", "month=2026-07")
    assert [row["dated_on"] for row in june["rows"]] == ["2026-06-30"]
    assert [row["dated_on"] for row in july["rows"]] == ["2026-07-01"]


def date_time(text: str) -> Any:
    """Read an instant."""
    from datetime import datetime

    return datetime.fromisoformat(text)


async def test_pages_go_on_where_the_one_before_ended(market: Market) -> None:
    """Seven lines of three tickets of one instant, and declared goods between, two by two."""
    stall = market.stall
    lot = await stall.opens(kg=90, origin="declare")
    for lines in (3, 3, 1):
        await stall.sells(market.kitchen, *[line(CHIVES, no + 1, lot) for no in range(lines)])
    await market.kitchen.opens(GREENS, 3, origin="declare")
    whole = await ledger(market.kitchen)
    assert len(whole["rows"]) == 8
    assert whole["next"] is None
    rows: list[Json] = []
    after = ""
    for _ in range(4):
        page = await ledger(market.kitchen, query=f"{JUNE}&limit=2{after}")
        rows += page["rows"]
        assert page["totals"] == whole["totals"]
        after = f"&after={page['next']}"
    assert page["next"] is None
    assert rows == whole["rows"]


async def test_every_row_has_each_statutory_field_or_says_why_not(market: Market) -> None:
    """The law's fields are rows of data: a new one that no ledger has fails here."""
    await market.chives_of_three()
    lot = await market.stall.opens(kg=30, origin="declare")
    await market.sell(market.stall, None, lot, 1)
    await market.sell(market.stall, market.kitchen, lot, 1)
    asked = await market.trade.rows("SELECT ledger, field, place FROM statutory_field")
    assert {row[0] for row in asked} == {"purchases", "sales"}
    looked = 0
    for actor in (market.stall, market.kitchen, market.collector):
        for kind in ("purchases", "sales"):
            found = await ledger(actor, kind, f"{JUNE}&contacts=full")
            now = {known["field"] for known in found["fields"]}
            for name, field, place in asked:
                if name != kind or field not in now:
                    continue
                whose = [found] if place == "head" else found["rows"]
                for one in whose:
                    value = (
                        one["owner"][field.removeprefix("owner_")]
                        if place == "head"
                        else one[field]
                    )
                    missing = {gap["field"] for gap in one["missing"]}
                    assert bool(value) is (field not in missing), (kind, field, one)
                    looked += 1
    assert looked > 60


# --- who may see it -------------------------------------------------------------------------------


async def looks(market: Market) -> list[tuple[Any, ...]]:
    """Answer the looks that were recorded."""
    return [
        tuple(row)
        for row in await market.trade.rows(
            "SELECT caller_id, owner_id, ledger, month_on, form, reason, opened_ids "
            "FROM ledger_access ORDER BY id"
        )
    ]


async def test_contacts_are_masked_until_opened_and_each_opening_is_recorded(
    market: Market,
) -> None:
    lot = await market.zhu.opens(kg=9, origin="declare")
    await market.sell(market.zhu, market.kitchen, lot, 2)
    (row,) = (await ledger(market.kitchen))["rows"]
    assert row["partner_phone"] == "138****5678"
    assert await looks(market) == []  # its own, masked: nobody's business
    (row,) = (await ledger(market.kitchen, query=f"{JUNE}&contacts=full"))["rows"]
    assert row["partner_phone"] == PHONE
    me, other = market.kitchen.id, market.zhu.id
    opened = (me, me, "purchases", date(2026, 6, 1))
    assert await looks(market) == [(*opened, "json", None, [other])]
    for form in ("xlsx", "pdf"):
        answer = await market.kitchen.get(f"/ledgers/purchases.{form}?{JUNE}")
        assert answer.status_code == 200
    assert [look[4] for look in await looks(market)] == ["json", "xlsx", "pdf"]


async def test_an_office_sees_those_of_its_jurisdiction_and_is_recorded(market: Market) -> None:
    lot = await market.zhu.opens(kg=9, origin="declare")
    await market.zhu.sells(market.kitchen, line(CHIVES, 2, lot, price_fen=1))
    whose = f"{JUNE}&party={market.kitchen.public_id}"
    (row,) = (await ledger(market.regulator, query=whose))["rows"]
    assert told(row, "partner_name", "partner_phone", "price_fen") == (
        "=朱@记",
        "138****5678",
        None,
    )
    answer = await market.regulator.get(f"/ledgers/purchases?{whose}&contacts=full")
    assert (answer.status_code, code_of(answer)) == (422, "reason-missing")
    query = f"{whose}&contacts=full&reason=投诉20260618"
    (row,) = (await ledger(market.regulator, query=query))["rows"]
    assert row["partner_phone"] == PHONE
    paper = await market.regulator.get(f"/ledgers/purchases.xlsx?{whose}")
    assert PHONE not in str(
        CalamineWorkbook.from_filelike(BytesIO(paper.content)).get_sheet_by_index(0).to_python()
    )
    caller, owner = market.regulator.id, market.kitchen.id
    assert [(look[0], look[1], *look[4:]) for look in await looks(market)] == [
        (caller, owner, "json", None, []),
        (caller, owner, "json", "投诉20260618", [market.zhu.id]),
        (caller, owner, "xlsx", None, []),
    ]


async def test_refusals_in_order(market: Market) -> None:
    """Who you are, the form of the request, whether it exists, whose it is, what it may show."""
    kitchen, nobody = market.kitchen.public_id, UUID(int=7)
    everything = f"month=2026-6&party={nobody}&contacts=full"
    steps: list[tuple[Actor, str, int, str]] = [
        (market.stranger, everything, 422, "month-invalid"),
        (market.stranger, f"{JUNE}&after=x&party={nobody}", 422, "cursor-invalid"),
        (market.stranger, f"{JUNE}&party={nobody}&contacts=full", 404, "unknown-party"),
        (market.stranger, f"{JUNE}&party={kitchen}&contacts=full", 403, "other-party"),
        (market.office, f"{JUNE}&party={kitchen}", 403, "other-party"),
        (market.distant, f"{JUNE}&party={kitchen}&contacts=full", 403, "other-party"),
        (market.regulator, f"{JUNE}&party={kitchen}&contacts=full", 422, "reason-missing"),
    ]
    for actor, query, status, code in steps:
        answer = await actor.get(f"/ledgers/purchases?{query}")
        assert (answer.status_code, code_of(answer)) == (status, code), query
    assert await looks(market) == []
    answer = await market.kitchen.get(f"/ledgers/purchases.pdf?{JUNE}&volume=2")
    assert (answer.status_code, code_of(answer)) == (404, "unknown-volume")


@pytest.mark.parametrize("right", ["UPDATE", "DELETE", "TRUNCATE"])
async def test_a_look_that_was_recorded_is_never_taken_back(market: Market, right: str) -> None:
    may = "SELECT has_table_privilege('ypt_app', 'ledger_access', :right)"
    assert await market.trade.value(may, right=right) is False


# --- files ----------------------------------------------------------------------------------------


async def a_small_month(market: Market) -> None:
    """Let the kitchen buy from a stall whose name a spreadsheet would run, and send some back."""
    lot = await market.zhu.opens(kg=99, origin="declare")
    ticket = await market.zhu.sells(
        market.kitchen,
        line(CHIVES, "12.5", lot, trade_name="+韭菜"),
        line(CHIVES, 4, lot, trade_name="@韭黄"),
        market=str(market.site),
    )
    ticket = await market.kitchen.decides(ticket["ticket"])
    goods = ticket["lines"][1]["draws"][0]["received_lot"]
    back = await market.sell(market.kitchen, market.zhu, goods, 1, kind="return")
    await market.zhu.decides(back["ticket"])


def cells(answer: httpx.Response) -> list[list[Any]]:
    """Read a workbook's first sheet."""
    assert answer.status_code == 200, answer.text
    return CalamineWorkbook.from_filelike(BytesIO(answer.content)).get_sheet_by_index(0).to_python()


async def test_the_workbook_says_what_the_ledger_says(market: Market) -> None:
    await a_small_month(market)
    answer = await market.kitchen.get(f"/ledgers/purchases.xlsx?{JUNE}")
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"ledger.xlsx\"; filename*=UTF-8''"
        "%E8%BF%9B%E8%B4%A7%E5%8F%B0%E8%B4%A6-2026-06-"
        "%E5%A6%82%E4%B8%9C%E5%AE%9E%E9%AA%8C%E5%B0%8F%E5%AD%A6%E9%A3%9F%E5%A0%82.xlsx"
    )
    rows = cells(answer)
    assert rows[0][0] == "食用农产品进货查验记录（2026-06）"
    assert rows[2][0].startswith("如东实验小学食堂  13987654321")
    header, first, second, back, total = rows[5:10]
    at = {name: number for number, name in enumerate(header)}
    assert len(at) == len(header) == 26
    assert "" not in at
    assert [first[at[name]] for name in ("进货日期", "类型", "状态", "票面数量", "单位")] == [
        date(2026, 6, 18),
        "进货",
        "已验收",
        12.5,
        "公斤",
    ]
    assert [row[at["计入公斤"]] for row in (first, second, back, total)] == [12.5, 4, -1, 15.5]
    assert [row[at["计入斤"]] for row in (first, second, back, total)] == [25, 8, -2, 31]
    assert back[at["类型"]] == "退给供货者"
    assert total[0] == "合计"
    # What a user typed never begins as a formula does.
    assert first[at["供货者名称"]] == "'=朱@记"
    assert [first[at["商品名"]], second[at["商品名"]]] == ["'+韭菜", "'@韭黄"]
    assert first[at["供货者联系方式"]] == PHONE
    assert first[at["保存期至"]] == date(2028, 6, 18)
    book = CalamineWorkbook.from_filelike(BytesIO(answer.content), load_tables=True)
    assert book.sheet_names == ["进货台账", "说明 Notes"]
    assert book.table_names == ["Ledger_purchases"]
    notes = str(book.get_sheet_by_name("说明 Notes").to_python())
    assert "食品安全法第六十五条" in notes


async def test_a_long_month_is_streamed_and_says_the_same(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_small_month(market)
    path = f"/ledgers/purchases.xlsx?{JUNE}"
    table = cells(await market.kitchen.get(path))
    monkeypatch.setattr("app.ledger.workbook.TABLE_ROWS_MAX", 2)
    monkeypatch.setattr("app.ledger.service.ROWS_A_PAGE", 2)
    streamed = await market.kitchen.get(path)
    assert cells(streamed) == table
    book = CalamineWorkbook.from_filelike(BytesIO(streamed.content), load_tables=True)
    assert book.table_names == []


async def test_an_empty_month_is_a_file_too(market: Market) -> None:
    rows = cells(await market.kitchen.get(f"/ledgers/sales.xlsx?{JUNE}"))
    assert [row[0] for row in rows[5:7]] == ["销售日期", "合计"] or rows[7][0] == "合计"
    assert "本月无记录" in said(await market.kitchen.get(f"/ledgers/sales.pdf?{JUNE}"))


def said(answer: httpx.Response) -> str:
    """Read a PDF's text."""
    assert answer.status_code == 200, answer.text
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages)


async def test_the_paper_says_what_the_ledger_says(market: Market) -> None:
    await a_small_month(market)
    text = said(await market.kitchen.get(f"/ledgers/purchases.pdf?{JUNE}"))
    joined = "".join(text.split())
    for part in (
        "食用农产品进货查验记录",
        "如东实验小学食堂",
        "2026年6月",
        "=朱@记",
        PHONE,
        "+韭菜",
        "退给供货者",
        "15.5",
        "南通市场",
        "负责人签字",
        "第1页，共1页",
        "食品安全法第六十五条",
        "2028-06-18",
    ):
        assert part in joined, part


async def test_a_month_of_several_volumes(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_small_month(market)
    monkeypatch.setattr("app.ledger.service.ROWS_A_VOLUME", 2)
    first, second = [
        "".join(said(await market.kitchen.get(f"/ledgers/purchases.pdf?{JUNE}&volume={n}")).split())
        for n in (1, 2)
    ]
    assert "第1册，共2册" in first
    assert "第2册，共2册" in second
    assert "退给供货者" in second
    assert "退给供货者" not in first
    assert "本册合计" in first
    assert "16.5" in first  # 12.5 + 4 kg
    assert all("15.5" in text for text in (first, second))
    assert (await ledger(market.kitchen))["volumes"] == 2


# --- how long it is kept --------------------------------------------------------------------------


async def test_no_rule_of_the_platform_is_shorter_than_the_law(market: Market) -> None:
    rules = await market.trade.rows("SELECT basis, months FROM retention_rule")
    of_law = [months for basis, months in rules if basis == "law"]
    of_platform = [months for basis, months in rules if basis == "platform"]
    assert of_law
    assert min(of_platform) >= max(of_law)


async def test_a_lot_on_hold_keeps_its_past(market: Market) -> None:
    """What an open hold needs is not set aside, however old; once released, it goes."""
    from app.ledger import retention

    trade = market.trade
    for month in ("2023-05-01", "2023-06-01", "2023-07-01", "2024-05-01", "2024-07-01"):
        await trade.execute(f"SELECT make_partition('event', '{month}')")
    old = await market.farmer.opens(kg=10)
    kept = await market.buy(market.farmer, market.stall, old, 4)
    await trade.execute(
        "UPDATE lot SET created_at = '2023-06-10T00:00Z' WHERE public_id = :lot", lot=UUID(old)
    )
    hold = new_id()
    await market.regulator.make(f"/holds/{hold}", {"lot": kept, "reason": "残留超标"})
    today = date(2026, 6, 18)
    async with trade.owner.transaction() as session:
        event, _ = await retention.plans(session, today=today)
        assert event.may_go == (date(2023, 5, 1),)
        assert event.held_back == (date(2023, 6, 1), date(2023, 7, 1), date(2024, 5, 1))
        assert (event.months, event.rule_from) == (24, date(2024, 6, 1))
        assert await retention.set_aside(session, today=today) == ["event_202305"]
    await market.regulator.make(f"/holds/{hold}/release", {"reason": "复检合格"}, status=200)
    async with trade.owner.transaction() as session:
        assert await retention.set_aside(session, today=today) == [
            "event_202306",
            "event_202307",
            "event_202405",
        ]
        event, _ = await retention.plans(session, today=today)
    assert (event.may_go, event.held_back, event.hold_from) == ((), (), None)


async def test_an_open_case_of_a_gate_keeps_the_months_that_it_asks_about(market: Market) -> None:
    from app.ledger import retention

    trade = market.trade
    for month in ("2023-05-01", "2023-06-01"):
        await trade.execute(f"SELECT make_partition('event', '{month}')")
    await agrees(market, market.stall)
    ticket = await market.sell(market.farmer, market.stall, await market.farmer.opens(kg=10), 4)
    truck = await inspects(market, scanned(ticket, mass_g=9_000, decided_offline="ADMIT"))
    await trade.execute("UPDATE inspection SET inspected_at = '2023-06-10T00:00Z'")
    today = date(2026, 6, 18)
    async with trade.owner.transaction() as session:
        event, _ = await retention.plans(session, today=today)
        assert (event.may_go, event.held_back) == ((date(2023, 5, 1),), (date(2023, 6, 1),))
    closed = {"state": "handled", "reason": "已处罚"}
    for case in truck["cases"]:
        await market.regulator.make(f"/gate-cases/{case}/close", closed, status=200)
    async with trade.owner.transaction() as session:
        event, _ = await retention.plans(session, today=today)
    assert (len(event.may_go), event.held_back) == (2, ())


async def test_a_failure_that_nobody_has_dealt_with_keeps_its_past(market: Market) -> None:
    """Whether or not its goods may move meanwhile."""
    from app.ledger import retention

    trade, office = market.trade, market.regulator
    for month in ("2023-05-01", "2023-06-01"):
        await trade.execute(f"SELECT make_partition('event', '{month}')")
    grown = await market.farmer.opens(kg=10)
    lot = await market.buy(market.farmer, market.stall, grown, 4)
    await trade.execute(
        "UPDATE lot SET created_at = '2023-06-10T00:00Z' WHERE public_id = :lot", lot=UUID(grown)
    )
    sample = await sampled(office, lot)
    failed = await judged(await lab(trade), sample, report(("克百威", "0.5")))
    let_go = {"reason": "送无害化处理"}
    await office.make(f"/holds/{failed['hold']}/release", let_go, status=200)
    today = date(2026, 6, 18)
    async with trade.owner.transaction() as session:
        event, _ = await retention.plans(session, today=today)
        assert (event.may_go, event.held_back) == ((date(2023, 5, 1),), (date(2023, 6, 1),))
    for step in ("started", "finished"):
        body = {"step": step, "words": "已处置"}
        await office.make(f"/samples/{sample}/measures/{new_id()}", body)
    async with trade.owner.transaction() as session:
        event, _ = await retention.plans(session, today=today)
    assert (len(event.may_go), event.held_back) == (2, ())


async def _kept_from(market: Market) -> date | None:
    """Answer the first day that something open needs."""
    from app.ledger import retention

    async with market.trade.owner.transaction() as session:
        event, _ = await retention.plans(session, today=date(2026, 6, 18))
    return event.hold_from


async def _aged(market: Market, lot: str) -> None:
    await market.trade.execute(
        "UPDATE lot SET created_at = '2023-06-10T00:00Z' WHERE public_id = :lot", lot=UUID(lot)
    )


@pytest.mark.parametrize("end", ["answer", "withdrawal"])
async def test_a_question_that_nobody_has_answered_keeps_its_past(market: Market, end: str) -> None:
    office = market.regulator
    grown = await market.farmer.opens(kg=10)
    lot = await market.buy(market.farmer, market.stall, grown, 4)
    await _aged(market, grown)
    assert await _kept_from(market) is None
    referral = f"/referrals/{new_id()}"
    code = await market.trade.value(
        "SELECT division_code FROM party_role WHERE party_id = :id", id=office.id
    )
    await office.make(referral, {"lot": lot, "division_code": code, "question": "请核查库存"})
    assert await _kept_from(market) == date(2023, 6, 1)
    said = {"answer": {"answer": "查无此货"}, "withdrawal": {"reason": "不再请求"}}[end]
    await office.make(f"{referral}/{end}", said, status=200)
    assert await _kept_from(market) is None


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ({}, date(2026, 6, 1)),
        ({"occurred_on": "2023-06-02"}, date(2023, 6, 1)),
        ({"evidence": {"began_at": "2023-06-10T00:00:00+00:00"}}, date(2023, 6, 1)),
        ({"evidence": {"seen_at": ["2024-06-10T00:00:00+00:00"]}}, date(2024, 6, 1)),
        ({"evidence": {"applied_on": "2023-06-02", "substance": "x"}}, date(2023, 6, 1)),
        ({"evidence": {"season_days": 60}}, date(2026, 4, 1)),
        ({"subject": "lot:{lot}"}, date(2022, 3, 1)),
        ({"evidence": {"declared_lots": ["{lot}"]}}, date(2022, 3, 1)),
        ({"subject": "ticket:{ticket}"}, date(2022, 5, 1)),
        ({"evidence": {"certificates": ["{certificate}"]}}, date(2021, 7, 1)),
    ],
)
async def test_a_warning_that_nobody_has_handled_keeps_what_it_asks_about(
    market: Market, changes: dict[str, Any], since: date
) -> None:
    trade = market.trade
    grown = await market.farmer.opens(kg=10)
    paper = await market.certify(market.farmer, grown, 10)
    ticket = await market.sell(market.farmer, market.stall, grown, 4)
    lot = received(await market.stall.decides(ticket["ticket"]))
    # The goods are old by what went into them; documents are never changed but here.
    async with trade.owner.transaction() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for aged, name in (
            ("lot SET created_at = '2022-03-10T00:00Z'", grown),
            ("ticket SET sold_at = '2022-05-10T00:00Z'", ticket["ticket"]),
            ("certificate SET issued_at = '2021-07-10T00:00Z'", paper["certificate"]),
        ):
            changed = text(f"UPDATE {aged} WHERE public_id = :id")
            await session.execute(changed, {"id": UUID(name)})
    named = {"lot": lot, "ticket": ticket["ticket"], "certificate": paper["certificate"]}
    written = json.dumps({"subject": "tests:1", "evidence": {}, **changes})
    for name, public_id in named.items():
        written = written.replace("{" + name + "}", public_id)
    wanted = {"occurred_on": "2026-06-10", **json.loads(written)}
    market.clock.advance(minutes=5)
    async with trade.owner.transaction() as session:
        row = WarningRow(
            public_id=UUID(new_id()),
            rule=RuleCode.OFF_LOG,
            rule_valid_from=date(2016, 3, 1),
            severity=Severity.HIGH,
            subject=wanted["subject"],
            period="",
            occurred_on=date.fromisoformat(wanted["occurred_on"]),
            figure=2,
            limit=1,
            evidence=wanted["evidence"],
            market_ids=[],
            divisions=["320602"],
            opened_at=market.clock(),
            seen_at=market.clock(),
            state=WarningState.OPEN,
        )
        session.add(row)
    assert await _kept_from(market) == since
    async with trade.owner.transaction() as session:
        row = await session.get_one(WarningRow, row.id)
        row.state, row.closed_at, row.reason = WarningState.HANDLED, market.clock(), "已核查"
    assert await _kept_from(market) is None


# --- at the terminal ------------------------------------------------------------------------------


async def test_ypt_ledger_shows_writes_and_records(
    market: Market, database_url: str, tmp_path: Path
) -> None:
    await a_small_month(market)
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}
    asked = ("ledger", "show", str(market.kitchen.public_id), "purchases", "--month", "2026-06")
    shown = await asyncio.to_thread(say, *asked, "--json", env=env)
    assert shown.code == 0, shown.err
    assert [row["counted_g"] for row in shown.json["rows"]] == [12_500, 4_000, -1_000]
    assert shown.json["rows"][0]["partner_phone"] == "138****5678"
    sheet, paper = tmp_path / "l.xlsx", tmp_path / "l.pdf"
    more = ("--xlsx", str(sheet), "--pdf", str(paper), "--reason", "备查", "--json")
    written = await asyncio.to_thread(say, *asked, *more, env=env)
    assert written.code == 0, written.err
    assert written.json["written"] == [str(sheet), str(paper)]
    assert sheet.read_bytes().startswith(b"PK")
    assert paper.read_bytes().startswith(b"%PDF")
    assert [look[0] for look in await looks(market)] == [None] * 3
    assert [look[5] for look in await looks(market)] == [None, "备查", "备查"]
    told = await asyncio.to_thread(say, *asked, env=env)
    assert "15.5 公斤（31 斤）" in told.out


async def test_ypt_ledger_retention_says_and_does(market: Market, database_url: str) -> None:
    await market.trade.execute("SELECT make_partition('entry', '2021-03-01')")
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}
    plan = await asyncio.to_thread(say, "ledger", "retention", "--json", env=env)
    assert plan.code == 0, plan.err
    assert [(one["table"], one["may_go"]) for one in plan.json["plans"]] == [
        ("event", []),
        ("entry", ["2021-03-01"]),
    ]
    done = await asyncio.to_thread(say, "ledger", "retention", "--set-aside", "--json", env=env)
    assert done.json["set_aside"] == ["entry_202103"]
