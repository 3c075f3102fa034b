"""Reads the rows of a file one by one: CSV as spreadsheets of any age write it, Excel, NDJSON."""

import codecs
import csv
import hashlib
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import ClassVar

import orjson
from python_calamine import CalamineError, CalamineWorkbook

from app.core.errors import DomainError, Kind, Text
from app.exchange.rules import Cell, Row, RowUnreadable

SHEET_BYTES_MAX = 64 << 20
"""A spreadsheet is a compressed whole, read into memory; text is streamed, whatever its size."""
LINE_BYTES_MAX = 1 << 20
_PIECE_BYTES = 1 << 20

Numbered = tuple[int, Row | DomainError]
"""A row under the number that a spreadsheet shows beside it, or why it is none."""


class FileUnreadable(DomainError):
    """The file is of no kind that can be read, or is damaged."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "file-unreadable"
    title: ClassVar[Text] = Text("文件无法读取", "The file cannot be read")
    next_step: ClassVar[Text] = Text(
        "请使用 .csv、.xlsx、.xls、.ods 或 .ndjson 文件 (表格不超过 64 MB)",
        "Use a .csv, .xlsx, .xls, .ods or .ndjson file (spreadsheets up to 64 MB)",
    )


def digest(path: Path) -> bytes:
    """Answer 32 bytes that tell a file from every other."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def rows(path: Path) -> Iterator[Numbered]:
    """Read a file's rows, headings as keys; empty rows are passed over.

    Raises:
        FileUnreadable: the file cannot be read as what its name says.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        return _tabled(_csv_records(path))
    if kind in {".ndjson", ".jsonl"}:
        return _json_lines(path)
    if kind in {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}:
        return _tabled(_sheet_records(path))
    raise FileUnreadable(kind=kind)


def headings(path: Path) -> list[str]:
    """Answer the headings of a file; those of NDJSON are the members of its first line."""
    for _, row in rows(path):
        if not isinstance(row, DomainError):
            return list(row)
    return []


def _tabled(records: Iterable[tuple[int, list[Cell]]]) -> Iterator[Numbered]:
    head: list[str] | None = None
    for number, cells in records:
        if not any(cell not in {None, ""} for cell in cells):
            continue
        if head is None:
            head = ["" if cell is None else str(cell).strip() for cell in cells]
            continue
        yield number, {name: cell for name, cell in zip(head, cells, strict=False) if name}


def _csv_records(path: Path) -> Iterator[tuple[int, list[Cell]]]:
    # Spreadsheets in China write GB 18030 without saying so.
    encoding = "utf-8-sig" if _is_utf8(path) else "gb18030"
    with path.open(encoding=encoding, newline="", errors="replace") as file:
        reader = csv.reader(file)
        for number in count(1):
            try:
                cells: list[Cell] = list(next(reader))
            except StopIteration:
                return
            except csv.Error as cause:
                raise FileUnreadable(row=number) from cause
            yield number, cells


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while piece := file.read(_PIECE_BYTES):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _sheet_records(path: Path) -> Iterator[tuple[int, list[Cell]]]:
    size_bytes = path.stat().st_size
    if size_bytes > SHEET_BYTES_MAX:
        raise FileUnreadable(size_bytes=size_bytes, most=SHEET_BYTES_MAX)
    try:
        with CalamineWorkbook.from_path(path) as book:
            sheet = book.get_sheet_by_index(0)
            first = sheet.start[0] + 1 if sheet.start else 1
            for number, cells in enumerate(sheet.iter_rows(), start=first):
                yield number, [_cell(cell) for cell in cells]
    except CalamineError as cause:
        raise FileUnreadable from cause


def _cell(cell: object) -> Cell:
    return cell if isinstance(cell, Cell) else str(cell)


def _json_lines(path: Path) -> Iterator[Numbered]:
    with path.open("rb") as file:
        for number in count(1):
            line = file.readline(LINE_BYTES_MAX + 1)
            if not line:
                return
            if len(line) > LINE_BYTES_MAX:
                raise FileUnreadable(row=number)
            if line.strip():
                yield number, _member_row(line)


def _member_row(line: bytes) -> Row | DomainError:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return RowUnreadable()
    if not isinstance(row, dict):
        return RowUnreadable()
    return {name: _flat(cell) for name, cell in row.items()}


def _flat(cell: object) -> Cell:
    if isinstance(cell, list):
        return " ".join(str(part) for part in cell)
    return cell if isinstance(cell, str | float | int | bool | None) else str(cell)
