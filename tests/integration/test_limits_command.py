"""`ypt limits import` and `ypt workday`: dry run first, all or nothing, kept through releases."""

import asyncio
import zipfile
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.settings import Settings
from app.testing import standards
from app.testing.limits import Food
from app.testing.rules import State
from tests.conftest import TEST_SECRET
from tests.factories import OWNER
from tests.terminal import Said, say

T = TypeVar("T")
Ypt = Callable[..., Said]
HEAD = ["项目", "类别", "食品", "范围", "状态", "限量", "单位", "生效", "失效", "来源", "已核实"]
GOOD = ["腐霉利", "", "韭菜", "产品", "", "3", "mg/kg", "2026-03-01", "", "GB 2763-2026", "是"]
CHIVES = Food(18, "鳞茎类")


@pytest.fixture
def ypt(database_url: str) -> Ypt:
    """Run commands on a migrated database of the test's own, as JSON."""
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}
    return lambda *arguments: say(*arguments, "--json", env=env)


def _reading(settings: Settings, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async def do() -> T:
        database = Database(settings, role=OWNER)
        try:
            async with database.transaction() as session:
                return await work(session)
        finally:
            await database.close()

    return asyncio.run(do())


def _most(settings: Settings, substance: str, on: date = date(2026, 6, 1)) -> str | None:
    known = _reading(settings, standards.standards)
    ruling = known.ruling(substance, CHIVES, State.FRESH, on)
    return None if ruling.limit is None else str(ruling.limit.amount)


def _csv(path: Path, *rows: list[str], encoding: str = "utf-8-sig") -> str:
    text = "\r\n".join(",".join(row) for row in [HEAD, *rows])
    path.write_text(text, encoding=encoding)
    return str(path)


def _xlsx(path: Path, *rows: list[str | float]) -> str:
    """Write the smallest spreadsheet there is, as any office program would."""
    heading: list[str | float] = [*HEAD]
    sheet = "".join(
        f'<row r="{number}">{"".join(_cell(cell) for cell in row)}</row>'
        for number, row in enumerate([heading, *rows], start=1)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": (
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/s.xml" ContentType="{kind}.worksheet+xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="limits" sheetId="1" r:id="r"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
            f'Type="{office}/worksheet" Target="s.xml"/></Relationships>'
        ),
        "xl/s.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return str(path)


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def test_a_dry_run_tells_and_writes_nothing(ypt: Ypt, settings: Settings, tmp_path: Path) -> None:
    file = _csv(tmp_path / "limits.csv", GOOD, [*GOOD[:2], "茶叶", *GOOD[3:]])
    said = ypt("limits", "import", file, "--dry-run")
    assert (said.code, said.json["new"], said.json["written"]) == (0, [2, 3], False)
    assert [note["row"] for note in said.json["notes"]] == [3]
    assert _most(settings, "腐霉利") == "5"


def test_limits_come_out_of_a_spreadsheet(ypt: Ypt, settings: Settings, tmp_path: Path) -> None:
    row: list[str | float] = [*GOOD[:5], 0.3, *GOOD[6:]]
    new: list[str | float] = ["联苯菊酯", "pesticide", *row[2:]]
    file = _xlsx(tmp_path / "limits.xlsx", row, new)
    said = ypt("limits", "import", file)
    assert (said.code, said.json["new"], said.json["written"]) == (0, [2, 3], True)
    assert _most(settings, "腐霉利") == "0.3"
    assert _most(settings, "腐霉利", date(2026, 2, 28)) == "5"
    assert _most(settings, "联苯菊酯") == "0.3"
    # The same again changes nothing; another limit on the same day is a correction.
    assert ypt("limits", "import", file).json["same"] == [2, 3]
    row[5] = 0.4
    assert ypt("limits", "import", _xlsx(tmp_path / "b.xlsx", row)).json["changed"] == [2]
    assert _most(settings, "腐霉利") == "0.4"


def test_a_release_does_not_undo_what_was_imported(
    ypt: Ypt, settings: Settings, tmp_path: Path
) -> None:
    corrected = [*GOOD[:5], "4", "mg/kg", "2021-09-03", "", "official text", "yes"]
    assert ypt("limits", "import", _csv(tmp_path / "a.csv", corrected)).json["changed"] == [2]
    assert ypt("migrate").code == 0
    assert _most(settings, "腐霉利") == "4"


def test_one_bad_row_keeps_all_out_and_is_named(
    ypt: Ypt, settings: Settings, tmp_path: Path
) -> None:
    bad = [*GOOD[:5], "a little", *GOOD[6:]]
    said = ypt("limits", "import", _csv(tmp_path / "a.csv", GOOD, bad))
    assert (said.code, said.json["written"], said.json["new"]) == (1, False, [2])
    assert [refused["row"] for refused in said.json["refused"]] == [3]
    assert _most(settings, "腐霉利") == "5"


def test_a_table_of_an_office_program_in_china_is_read(
    ypt: Ypt, settings: Settings, tmp_path: Path
) -> None:
    assert ypt("limits", "import", _csv(tmp_path / "a.csv", GOOD, encoding="gb18030")).code == 0
    assert _most(settings, "腐霉利") == "3"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.xlsx", b"no", "file-unreadable"),
        ("a.pdf", b"%PDF", "file-unreadable"),
        ("a.ndjson", b"words", "row-unreadable"),
        ("a.csv", b"", "table-unreadable"),
    ],
)
def test_what_is_no_table_is_refused(
    ypt: Ypt, tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    (tmp_path / name).write_bytes(content)
    said = ypt("limits", "import", str(tmp_path / name))
    assert (said.code, said.json["code"]) == (1, code)


def test_a_make_up_day_is_entered_when_it_is_announced(ypt: Ypt, settings: Settings) -> None:
    said = ypt("workday", "2031-10-11", "--working", "--source", "announcement")
    assert said.json == {"day": "2031-10-11", "working": True, "source": "announcement"}
    ypt("workday", "2031-10-01", "--free", "--source", "announcement")
    days = _reading(settings, standards.clocks).working_days
    assert days.is_working_day(date(2031, 10, 11)) == (True, False)
    assert days.is_working_day(date(2031, 10, 1)) == (False, False)
    assert days.is_working_day(date(2031, 10, 2)) == (True, True)
