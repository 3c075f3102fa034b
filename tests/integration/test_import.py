"""Tickets from a file: checked first, taken in chunks, resumed after a kill, doubled never."""

import asyncio
import csv
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.exchange import service
from app.exchange.service import Desk, ImportBegun, open_source
from app.party.access import RoleKind
from tests.conftest import TEST_SECRET
from tests.factories import Actor, Trade, new_id
from tests.integration.conftest import audit
from tests.recalls import order
from tests.terminal import Said, say

HEAD = ["买方", "品名", "数量", "单位", "日期"]
DAY = "2026-06-18"

Ypt = Callable[..., Awaitable[Said]]


@pytest.fixture
async def trade(own_trade: Trade) -> AsyncIterator[Trade]:
    yield own_trade
    await audit(own_trade)


@pytest.fixture
def ypt(database_url: str) -> Ypt:
    """Run `ypt import tickets` on the test's database, in a thread: it has its own loop."""
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}

    async def run(*arguments: str, as_json: bool = True) -> Said:
        words = ("import", "tickets", *arguments, *(["--json"] if as_json else []))
        return await asyncio.to_thread(say, *words, env=env)

    return run


def written(path: Path, *rows: list[Any], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([HEAD, *rows])
    return path


def rows_of(buyer: Actor, count: int, quantity: str = "2") -> list[list[Any]]:
    return [[str(buyer.public_id), "韭菜", quantity, "斤", DAY] for _ in range(count)]


async def tickets(trade: Trade) -> int:
    return int(await trade.value("SELECT count(*) FROM ticket"))


def desk(trade: Trade, seller: Actor) -> Desk:
    state = trade.app.state
    return Desk(
        trade.database,
        state.vault,
        trade.clock,
        state.new_id,
        state.new_serial,
        str(seller.public_id),
    )


class KilledError(Exception):
    """What ends a run in the place of a signal."""


def kill_at(rows: int) -> Callable[[service.Progress], None]:
    """End a run as soon as so many rows are done."""

    def tell(done: service.Progress) -> None:
        if done.rows_done == rows:
            raise KilledError

    return tell


async def test_a_file_is_checked_and_then_taken_in(trade: Trade, ypt: Ypt, tmp_path: Path) -> None:
    farmer, stall = await trade.farmer(), await trade.stall(phone="13800138000")
    lot = await farmer.opens(kg=100)
    file = written(
        tmp_path / "早市.csv",
        ["13800138000", "韭菜", "１２０斤", "", "2026年6月18日"],
        [str(stall.public_id), "韭菜", "30", "公斤", "2026/6/18 03:30"],
        ["散客", "韭菜", "10", "公斤", DAY],
        ["13900139000", "韭菜", "1", "公斤", DAY],
        ["=cmd|calc", "月亮菜", "1", "公斤", DAY],
        [str(stall.public_id), "韭菜", "1", "斗", DAY],
        [str(stall.public_id), "韭菜", "0.001", "公斤", DAY],
        [str(stall.public_id), "韭菜", "1", "公斤", "明天"],
        encoding="gb18030",
    )
    seller = ("--seller", str(farmer.public_id))
    checked = await ypt(str(file), *seller, "--dry-run")
    assert (checked.code, checked.json["made"], checked.json["skipped"]) == (1, 3, 5)
    assert await tickets(trade) == 0
    dry = Path(checked.json["skipped_file"]).read_text(encoding="utf-8-sig")
    done = await ypt(str(file), *seller)
    assert {**checked.json, "dry_run": False} == done.json
    skipped = Path(done.json["skipped_file"]).read_text(encoding="utf-8-sig")
    assert skipped == dry
    table = list(csv.DictReader(skipped.splitlines()))
    assert [(row["行号"], row["代码"], row["位置"]) for row in table] == [
        ("5", "party-not-recognised", "买方"),
        ("6", "party-not-recognised", "买方"),
        ("7", "unknown-unit", "单位"),
        ("8", "stock-short", ""),
        ("9", "cell-unreadable", "日期"),
    ]
    assert table[1]["买方"] == "'=cmd|calc"
    assert table[3]["怎么办"] == "请先登记或验收货物，或减少数量"
    assert (await farmer.lot(lot))["remaining_g"] == 0
    bought = await stall.read("/tickets?side=bought")
    assert sorted(ticket["mass_g"] for ticket in bought) == [30_000, 60_000]
    assert {ticket["sold_at"] for ticket in bought} == {
        "2026-06-17T16:00:00Z",
        "2026-06-17T19:30:00Z",
    }
    told = await ypt(str(file), *seller, as_json=False)
    assert "3 in, 5 skipped" in told.out
    assert "库存不足 · The stock does not cover that much" in told.out
    assert await tickets(trade) == 3


async def test_a_check_knows_what_rows_before_would_have_taken(
    trade: Trade, ypt: Ypt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK_ROWS", 2)
    farmer, stall = await trade.farmer(), await trade.stall()
    await farmer.opens(kg=3)
    file = written(tmp_path / "a.csv", *rows_of(stall, 5))
    checked = await ypt(str(file), "--seller", str(farmer.public_id), "--dry-run")
    assert (checked.json["made"], checked.json["skipped"]) == (3, 2)


async def test_a_killed_import_goes_on_after_its_last_commit(
    trade: Trade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK_ROWS", 10)
    farmer, stall = await trade.farmer(), await trade.stall()
    await farmer.opens(kg=33)
    file = written(tmp_path / "a.csv", *rows_of(stall, 40))
    source = open_source(file, str(farmer.public_id))

    with pytest.raises(KilledError):
        await service.run(desk(trade, farmer), source, kill_at(20))
    assert await tickets(trade) == 20
    with pytest.raises(ImportBegun):
        await service.run(desk(trade, farmer), source, kill_at(0))
    with pytest.raises(KilledError):
        await service.run(desk(trade, farmer), source, kill_at(30), resume=True)
    done = await service.run(desk(trade, farmer), source, kill_at(-1), resume=True)
    assert (done.made, done.repeated, done.refused) == (33, 0, 7)
    assert await tickets(trade) == 33
    again = await service.run(desk(trade, farmer), source, kill_at(-1))
    assert (again.made, again.refused, again.finished) == (33, 7, True)
    # Without its memory of the run, too, nothing is issued twice: ids follow from the file.
    await trade.execute("DELETE FROM import_refusal")
    await trade.execute("DELETE FROM import_run")
    anew = await service.run(desk(trade, farmer), source, kill_at(-1))
    assert (anew.made, anew.repeated, anew.refused) == (0, 33, 7)


async def test_goods_that_are_held_in_the_middle_of_an_import_stay_where_they_are(
    trade: Trade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held between two chunks, and while a killed import waited to be resumed."""
    monkeypatch.setattr(service, "CHUNK_ROWS", 5)
    office = await trade.party(RoleKind.REGULATOR, answers_for="3206")
    farmer, stall = await trade.farmer(), await trade.stall()
    first, second = [await farmer.opens(kg=10) for _ in range(2)]
    named = tmp_path / "named.csv"
    with named.open("w", encoding="utf-8", newline="") as target:
        lots = [first, second] * 10
        rows = [[*row, lot] for row, lot in zip(rows_of(stall, 20), lots, strict=True)]
        csv.writer(target).writerows([[*HEAD, "批次"], *rows])
    source = open_source(named, str(farmer.public_id))
    hold = new_id()

    with pytest.raises(KilledError):
        await service.run(desk(trade, farmer), source, kill_at(10))
    assert await tickets(trade) == 10
    await office.make(f"/holds/{hold}", {"lot": first, "reason": "待查"})
    done = await service.run(desk(trade, farmer), source, kill_at(-1), resume=True)
    assert (done.made, done.refused) == (15, 5)
    codes = await trade.rows("SELECT DISTINCT code FROM import_refusal")
    assert [tuple(row) for row in codes] == [("lot-on-hold",)]
    left = [(await farmer.lot(lot))["remaining_g"] for lot in (first, second)]
    assert left == [5_000, 0]
    # A file that names no lots takes from what may move, and is short of the rest.
    unnamed = open_source(
        written(tmp_path / "unnamed.csv", *rows_of(stall, 3)), str(farmer.public_id)
    )
    done = await service.run(desk(trade, farmer), unnamed, kill_at(-1))
    assert (done.made, done.refused) == (0, 3)
    await office.make(f"/holds/{hold}/release", {"reason": "合格"}, status=200)
    recall = new_id()
    opened = order(trade, first, siblings=False)
    importing = service.run(
        desk(trade, farmer),
        open_source(written(tmp_path / "race.csv", *rows_of(stall, 5)), str(farmer.public_id)),
        kill_at(-1),
    )
    done, answer = await asyncio.gather(importing, office.put(f"/recalls/{recall}", opened))
    assert answer.status_code == 201
    page = await office.read(f"/recalls/{recall}/lots?limit=1000")
    (root,) = [row for row in page["lots"] if row["lot"] == first]
    left_g = (await farmer.lot(first))["remaining_g"]
    assert root["on_hand_g"] == left_g == 5_000 - done.made * 1_000
    assert done.made in {0, 5}


async def test_an_import_meets_its_double_and_neither_doubles(
    trade: Trade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK_ROWS", 5)
    farmer, stall = await trade.farmer(), await trade.stall()
    await farmer.opens(kg=100)
    source = open_source(written(tmp_path / "a.csv", *rows_of(stall, 30)), str(farmer.public_id))
    results = await asyncio.gather(
        *(service.run(desk(trade, farmer), source, lambda _: None, resume=True) for _ in range(3)),
        return_exceptions=True,
    )
    ended = [result for result in results if isinstance(result, service.Progress)]
    assert ended
    assert all(result.made == 30 for result in ended)
    strange = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(result, service.ImportElsewhere) for result in strange)
    assert await tickets(trade) == 30


async def test_a_number_makes_a_row_the_same_in_every_file(
    trade: Trade, ypt: Ypt, tmp_path: Path
) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    await farmer.opens(kg=100)
    head = ["票号", "卖方", "买方", "品名", "数量", "日期"]
    row = ["A-1", str(farmer.public_id), str(stall.public_id), "18", "2斤", DAY]
    for name, quantity, outcome in (
        ("a", "2斤", (1, 0, 0)),
        ("b", "２斤 ", (0, 1, 0)),
        ("c", "3斤", (0, 0, 1)),
    ):
        file = tmp_path / f"{name}.csv"
        with file.open("w", encoding="utf-8-sig", newline="") as target:
            csv.writer(target).writerows([head, [*row[:4], quantity, DAY]])
        done = (await ypt(str(file))).json
        assert (done["made"], done["repeated"], done["skipped"]) == outcome
    assert await tickets(trade) == 1


async def test_ndjson_and_spreadsheets(trade: Trade, ypt: Ypt, tmp_path: Path) -> None:
    farmer, stall = await trade.farmer(), await trade.stall()
    await farmer.opens(kg=100)
    seller = ("--seller", str(farmer.public_id))
    lines = tmp_path / "a.ndjson"
    buyer = stall.public_id
    lines.write_text(
        f'{{"buyer": "{buyer}", "product": "韭菜", "quantity": 1.5, "date": "{DAY}"}}\n'
        "\n[1]\n{oops\n"
        f'{{"buyer": "{buyer}", "product": "韭菜", "quantity": "2斤", "date": "{DAY}"}}\n',
        encoding="utf-8",
    )
    done = (await ypt(str(lines), *seller)).json
    assert (done["made"], done["skipped"], done["rows"]) == (2, 2, 4)
    sheet = workbook(tmp_path / "a.xlsx", HEAD, [str(buyer), "韭菜", 3, "公斤", 46191.125])
    done = (await ypt(str(sheet), *seller)).json
    assert (done["made"], done["skipped"]) == (1, 0)
    newest = (await stall.read("/tickets?side=bought&limit=1"))[0]
    assert (newest["mass_g"], newest["sold_at"]) == (3_000, "2026-06-17T19:00:00Z")


async def test_files_that_cannot_be_read(trade: Trade, ypt: Ypt, tmp_path: Path) -> None:
    broken, strange = tmp_path / "a.xlsx", tmp_path / "a.pdf"
    broken.write_bytes(b"PK no")
    strange.write_bytes(b"%PDF")
    empty = written(tmp_path / "b.csv")
    empty.write_text("买方,品名\n张三,韭菜\n", encoding="utf-8")
    for file, code in (
        (broken, "file-unreadable"),
        (strange, "file-unreadable"),
        (empty, "headings-missing"),
    ):
        answer = await ypt(str(file), "--seller", "x")
        assert (answer.code, answer.json["code"]) == (1, code)
    no_seller = await ypt(str(written(tmp_path / "c.csv", *rows_of(await trade.stall(), 1))))
    assert no_seller.json["facts"] == {"missing": ["seller"]}


def workbook(path: Path, *rows: list[Any]) -> Path:
    """Write the least that Excel would: one sheet, texts in place, numbers as numbers."""
    namespace = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    cells = "".join(
        f'<row r="{number}">' + "".join(_cell(cell) for cell in row) + "</row>"
        for number, row in enumerate(rows, start=1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {namespace} xmlns:r="{relations}"><sheets>'
        '<sheet name="1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f"<worksheet {namespace}><sheetData>{cells}</sheetData>"
        "</worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return path


def _cell(cell: Any) -> str:
    if isinstance(cell, str):
        return f'<c t="inlineStr"><is><t>{cell}</t></is></c>'
    return f"<c><v>{cell}</v></c>"
