"""Commands that take files in."""

import asyncio
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.commands.console import REFUSED, AsJson, answer, complaining, screen, settings
from app.core import ids
from app.core import problems as refusals
from app.core.clock import system_clock
from app.core.db import Database
from app.core.sealing import Vault
from app.core.settings import Settings
from app.exchange import service, sheets
from app.exchange.service import Desk, Skipped, Source

app = typer.Typer(name="import", help="Take files in.", no_args_is_help=True)

SHOWN_MAX = 20
_REASONS = ("行号", "代码", "位置", "原因", "怎么办", "reason", "what to do", "facts")


@app.callback()
def _several() -> None:
    """Take files in."""


@app.command()
def tickets(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A .csv, .xlsx or .ndjson file.")
    ],
    seller: Annotated[
        str | None,
        typer.Option(help="Who sells where no column says: id, phone or credit code."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an import that was interrupted.")
    ] = False,
    skipped: Annotated[
        Path | None, typer.Option(help="Where to write skipped rows; FILE.skipped.csv else.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Issue a ticket for every row of a file; rows that are refused come back as a file."""
    with complaining(as_json):
        chosen = settings()
        source = service.open_source(file, seller)
        target = skipped or file.with_name(f"{file.stem}.skipped.csv")
        with _bar(source, dry_run=dry_run) as bar:
            done, shown = asyncio.run(
                _work(chosen, source, seller, target, bar, dry_run=dry_run, resume=resume)
            )
        value = {
            "dry_run": dry_run,
            "rows": done.rows_done,
            "made": done.made,
            "repeated": done.repeated,
            "skipped": done.refused,
            "skipped_file": str(target) if done.refused else None,
        }
        answer(value, as_json, lambda console: _tell(console, value, shown))
        if done.refused:
            raise typer.Exit(REFUSED)


@dataclass(slots=True)
class _Bar:
    progress: Progress
    task: Any

    def tell(self, done: service.Progress) -> None:
        """Show how far the work is."""
        self.progress.update(self.task, completed=done.rows_done, skipped=done.refused)


@contextmanager
def _bar(source: Source, *, dry_run: bool) -> Iterator[_Bar]:
    columns = (
        TextColumn("检查 · checking" if dry_run else "导入 · importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("跳过 · skipped {task.fields[skipped]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen()) as progress:
        total = sum(1 for _ in sheets.rows(source.path))
        yield _Bar(progress, progress.add_task("", total=total, skipped=0))


async def _work(
    chosen: Settings,
    source: Source,
    seller: str | None,
    target: Path,
    bar: _Bar,
    *,
    dry_run: bool,
    resume: bool,
) -> tuple[service.Progress, list[Skipped]]:
    database = Database(chosen)
    desk = Desk(
        database,
        Vault(chosen.secret_bytes),
        system_clock,
        ids.uuid7,
        ids.serial63,
        seller,
    )
    page = _SkippedRows(source, target)
    try:
        if dry_run:

            def tell(done: service.Progress) -> None:
                bar.tell(done)
                page.add(done.skipped)

            return await service.check(desk, source, tell), page.shown
        done = await service.run(desk, source, bar.tell, resume=resume)
        if done.refused:
            async with database.reading() as session:
                for chunk in source.chunks():
                    page.add(await service.skipped_of(session, source, chunk))
        return done, page.shown
    finally:
        page.close()
        await database.close()


class _SkippedRows:
    """The rows that were refused, as a file that can be corrected and imported again."""

    def __init__(self, source: Source, target: Path) -> None:
        self._source = source
        self._target = target
        self._file: IO[str] | None = None
        self._known = {known.code: known for known in refusals.describe_all()}
        self.shown: list[Skipped] = []

    def add(self, rows: list[Skipped]) -> None:
        """Write rows with their reasons in both languages; keep the first few to be shown."""
        self.shown += rows[: SHOWN_MAX - len(self.shown)]
        if rows and self._file is None:
            # With the mark that tells spreadsheets that it is UTF-8.
            self._file = self._target.open("w", encoding="utf-8-sig", newline="")
            csv.writer(self._file).writerow([*self._source.headings, *_REASONS])
        for skipped in rows:
            assert self._file is not None, "it was just opened"
            known = self._known[skipped.code]
            csv.writer(self._file).writerow(
                [
                    *(_harmless(skipped.row.get(name)) for name in self._source.headings),
                    skipped.row_no,
                    skipped.code,
                    (skipped.pointer or "").removeprefix("/"),
                    known.zh.title,
                    known.zh.next_step,
                    known.en.title,
                    known.en.next_step,
                    orjson.dumps(skipped.facts, default=str).decode(),
                ]
            )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _harmless(cell: object) -> str:
    """Write a cell so that no spreadsheet takes it for a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(("=", "+", "@", "\t", "\r")) else text


def _tell(console: Console, value: dict[str, Any], shown: list[Skipped]) -> None:
    kept = value["made"] + value["repeated"]
    verb = ("可导入", "would go in") if value["dry_run"] else ("已导入", "in")
    console.print(
        f"{kept} 行{verb[0]}, {value['skipped']} 行跳过 · {kept} {verb[1]}, "
        f"{value['skipped']} skipped"
        + (f" ({value['repeated']} 行此前已导入 · were in before)" if value["repeated"] else "")
    )
    known = {known.code: known for known in refusals.describe_all()}
    for skipped in shown:
        reason = known[skipped.code]
        where = (skipped.pointer or "").removeprefix("/")
        console.print(
            f"  第 {skipped.row_no} 行 · row {skipped.row_no}: {where} "
            f"{reason.zh.title} · {reason.en.title} [{skipped.code}]",
            markup=False,
        )
        console.print(f"    → {reason.zh.next_step} · {reason.en.next_step}", markup=False)
    if value["skipped_file"]:
        console.print(f"跳过的行 · skipped rows: {value['skipped_file']}", markup=False)
