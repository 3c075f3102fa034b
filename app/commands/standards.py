"""`ypt limits`, `ypt workday`: what tests are judged by. As the database's owner."""

from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from app.commands.console import (
    REFUSED,
    AsJson,
    answer,
    complaining,
    settings,
    table,
    with_books,
)
from app.core.errors import DomainError, Text
from app.exchange import sheets
from app.exchange.rules import Cell
from app.testing import standards
from app.testing.seed import Numbered
from app.testing.standards import ImportReport

OWNER: Final = "none"
"""Not the server's role, which may read limits and not set them."""

limits = typer.Typer(no_args_is_help=True, help="Residue limits: dated data, from tables.")


@limits.callback()
def _limits() -> None:
    """Keep `import` a word of the command line though it is the only one."""


@limits.command("import")
def import_limits(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A .csv, .xlsx, .xls or .ods file.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be written, and what is wrong.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import limits, all rows or none.

    Columns, in Chinese or English: 项目 substance, 类别 group (of a new substance), 食品 food,
    范围 scope (product or category), 产品 products (codes or names), 状态 state (fresh, dried),
    限量 limit (a number, or 不得检出), 单位 unit (mg/kg or μg/kg), 临时 temporary, 除外 except,
    生效 valid_from, 失效 valid_to, 来源 source, 已核实 verified.
    """
    with complaining(as_json):
        chosen = settings()
        rows = _rows(file)

        async def work(session: AsyncSession) -> ImportReport:
            return await standards.import_limits(session, rows, dry_run=dry_run)

        report = with_books(work, chosen, role=OWNER)
        answer(_told(report), as_json, lambda console: _tell(console, report))
        if report.refused:
            raise typer.Exit(REFUSED)


def _rows(file: Path) -> list[Numbered]:
    """Read a table's rows, each cell as it would be typed.

    Raises:
        FileUnreadable: the file is damaged, or of another kind.
        RowUnreadable: a line of NDJSON is no object.
    """
    found: list[Numbered] = []
    for number, row in sheets.rows(file):
        if isinstance(row, DomainError):
            raise row
        found.append((number, {name: _typed(cell) for name, cell in row.items()}))
    return found


def _typed(cell: Cell) -> str:
    """Write a cell as it would be typed: days without midnight, whole numbers without a point."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _told(report: ImportReport) -> dict[str, Any]:
    return {
        **asdict(report),
        "refused": [
            {"row": row, "zh": problem.zh, "en": problem.en}
            for row, problems in report.refused.items()
            for problem in problems
        ],
        "notes": [
            {"row": row, "zh": note.zh, "en": note.en}
            for row, notes in report.notes.items()
            for note in notes
        ],
    }


def _tell(console: Console, report: ImportReport) -> None:
    counts = [
        ("新增 new", len(report.new)),
        ("变更 changed", len(report.changed)),
        ("相同 same", len(report.same)),
        ("拒绝 refused", len(report.refused)),
        ("已写入 written", "是 yes" if report.written else "否 no"),
    ]
    console.print(table(Text("限量导入", "Limits"), ("", ""), counts))
    for title, rows in (
        (Text("拒绝的行", "Refused rows"), report.refused),
        (Text("提示", "Notes"), report.notes),
    ):
        if rows:
            lines = ((row, f"{t.zh}\n{t.en}") for row, told in rows.items() for t in told)
            console.print(table(title, ("row", ""), lines))


def workday(
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="2027-02-06")],
    working: Annotated[bool, typer.Option("--working/--free", help="A make-up day, or a holiday.")],
    source: Annotated[str, typer.Option(help="The announcement: 国办发明电〔2026〕… 号.")],
    as_json: AsJson = False,
) -> None:
    """Say that a day is, or is not, a working day, whatever else is known of it."""
    with complaining(as_json):
        on: date = day.date()

        async def work(session: AsyncSession) -> None:
            await standards.set_working_day(session, on, working=working, source=source)

        with_books(work, settings(), role=OWNER)
        value = {"day": on.isoformat(), "working": working, "source": source}
        answer(
            value,
            as_json,
            lambda console: console.print(f"{on} {'上班 working' if working else '休息 free'}"),
        )
