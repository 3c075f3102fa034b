"""What cells mean: numbers with units, full-width digits, days as people and Excel write them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.exchange.rules import CellUnreadable, Field, HeadingsMissing, Sale, fields_of, understand

HEADINGS = ("买方", "品名", "数量", "单位", "日期", "单价（元）", "批次号", "车牌号")


def sale(**cells: Any) -> Sale:
    row = {"买方": "13800138000", "品名": "韭菜", "数量": "1", "日期": "2026-06-18"} | cells
    return understand(row, fields_of(HEADINGS))


def test_headings_are_known_by_many_names() -> None:
    assert fields_of(["收货单位", "商品名称 ", "重量", "交易日期"]) == {
        Field.BUYER: "收货单位",
        Field.PRODUCT: "商品名称 ",
        Field.QUANTITY: "重量",
        Field.SOLD_AT: "交易日期",
    }
    with pytest.raises(HeadingsMissing) as refused:
        fields_of(["买方", "品名"])
    assert refused.value.facts == {"missing": ["quantity", "sold_at"]}


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        ("300斤", None, (Decimal(300), "斤")),
        ("３００ 公斤", None, (Decimal(300), "公斤")),
        ("1,200.5", "斤", (Decimal("1200.5"), "斤")),
        (12.5, "公斤", (Decimal("12.5"), "公斤")),
        (3, None, (Decimal(3), "公斤")),
    ],
)
def test_quantities(quantity: Any, unit: str | None, expected: tuple[Decimal, str]) -> None:
    read = sale(数量=quantity, 单位=unit)
    assert (read.quantity, read.unit) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "2026-06-18",
        "2026/6/18",
        "2026.6.18",
        "2026年6月18日",
        "２０２６－０６－１８",
        "20260618",
        46191,
        46191.0,
        "46191",
        date(2026, 6, 18),
        datetime(2026, 6, 18, tzinfo=None),  # noqa: DTZ001 (as a spreadsheet has it)
        "2026-06-17T16:00:00Z",
    ],
)
def test_days(cell: Any) -> None:
    assert sale(日期=cell).sold_at.astimezone(UTC) == datetime(2026, 6, 17, 16, tzinfo=UTC)


@pytest.mark.parametrize("cell", ["2026-06-18 03:30", "2026/6/18 3:30", 46191 + 3.5 / 24])
def test_hours(cell: Any) -> None:
    assert sale(日期=cell).sold_at.astimezone(UTC) == datetime(2026, 6, 17, 19, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cells", "pointer"),
    [
        ({"买方": ""}, "/买方"),
        ({"品名": None}, "/品名"),
        ({"数量": "一些"}, "/数量"),
        ({"数量": "1.2.3"}, "/数量"),
        ({"日期": "昨天"}, "/日期"),
        ({"日期": "2026-02-30"}, "/日期"),
        ({"日期": 12}, "/日期"),
        ({"单价（元）": "1.234"}, "/单价（元）"),
        ({"批次号": "A1"}, "/批次号"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(cells: dict[str, Any], pointer: str) -> None:
    with pytest.raises(CellUnreadable) as refused:
        sale(**cells)
    assert refused.value.pointer == pointer


def test_the_rest() -> None:
    lot = "01900000-0000-7000-8000-000000000001"
    read = sale(
        **{
            "买方": "散客",
            "单价（元）": "￥2.50元",
            "批次号": f"{lot}、{lot}",
            "车牌号": "苏F12345",
        }
    )
    assert (read.buyer, read.price_fen, read.plate) == (None, 250, "苏F12345")
    assert [str(each) for each in read.lots] == [lot, lot]
    assert sale(买方=13800138000.0).buyer == "13800138000"
