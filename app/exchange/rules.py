"""What the cells of a row mean: headings, numbers with their units, days of the calendar."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from importlib import resources
from typing import Any, ClassVar
from uuid import UUID

from app.core.clock import SHANGHAI
from app.core.errors import DomainError, Kind, Text

Cell = str | float | int | bool | datetime | date | None
Row = Mapping[str, Cell]


class Field(StrEnum):
    """What a column is for; data/columns.json has the headings of each."""

    NUMBER = "number"
    SELLER = "seller"
    BUYER = "buyer"
    PRODUCT = "product"
    QUANTITY = "quantity"
    UNIT = "unit"
    PACK_NET_G = "pack_net_g"
    SOLD_AT = "sold_at"
    LOTS = "lots"
    MARKET = "market"
    PLATE = "plate"
    PRICE = "price"
    NOTE = "note"


NEEDED = (Field.BUYER, Field.PRODUCT, Field.QUANTITY, Field.SOLD_AT)
WALK_IN = frozenset({"散客", "零售", "walk-in", "walk in"})
LOTS_MAX = 50

# Day 0 of Excel's calendar, which takes 1900 for a leap year: right from March 1900 on.
_EXCEL_EPOCH = datetime(1899, 12, 30, tzinfo=SHANGHAI)
_EXCEL_DAYS = range(36_526, 73_051)  # 2000 to 2100: any other number is no day of ours
_QUANTITY = re.compile(r"([\d.]+)\s*(\D*)")
_DAY = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[T ]*(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2}))?.*)?"
)


class HeadingsMissing(DomainError):
    """The file lacks a column that every ticket needs."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "headings-missing"
    title: ClassVar[Text] = Text("表头缺少必需的列", "The file lacks columns that are needed")
    next_step: ClassVar[Text] = Text(
        "第一行应为表头，至少含：买方、品名、数量、日期",
        "Let the first row hold headings, at least: buyer, product, quantity, date",
    )


class CellUnreadable(DomainError):
    """A cell does not hold what its column is for."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "cell-unreadable"
    title: ClassVar[Text] = Text("单元格内容无法识别", "A cell cannot be understood")
    next_step: ClassVar[Text] = Text("请按表头改正该单元格", "Correct this cell by its heading")


class RowUnreadable(DomainError):
    """A line of the file is no row."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "row-unreadable"
    title: ClassVar[Text] = Text("该行无法读取", "The row cannot be read")
    next_step: ClassVar[Text] = Text(
        "请检查该行的格式后重新导入", "Correct the form of the row and import it again"
    )


class ProductNotRecognised(DomainError):
    """No product of the catalogue is called so."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "product-not-recognised"
    title: ClassVar[Text] = Text("品名不在目录中", "No product of the catalogue is called so")
    next_step: ClassVar[Text] = Text(
        "请改用目录中的名称或编号；相近的名称会列出",
        "Use a name or number of the catalogue; similar ones are listed",
    )


class PartyNotRecognised(DomainError):
    """No party is known by this phone, code or id."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "party-not-recognised"
    title: ClassVar[Text] = Text("找不到该主体", "No party is known by this")
    next_step: ClassVar[Text] = Text(
        "请填写已登记的手机号、统一社会信用代码或主体编号；零售请填 散客",
        "Give the phone, credit code or number of a registered party; 散客 for a walk-in",
    )


@dataclass(frozen=True, slots=True)
class Sale:
    """A row as it was understood; names of parties, products and places are still words."""

    number: str | None
    seller: str | None
    buyer: str | None
    product: str
    quantity: Decimal
    unit: str
    sold_at: datetime
    pack_net_g: int | None
    lots: tuple[UUID, ...]
    market: UUID | None
    plate: str | None
    price_fen: int | None
    note: str | None


def _load_headings() -> dict[str, Field]:
    source = resources.files("app.exchange").joinpath("data/columns.json")
    columns: dict[str, list[str]] = json.loads(source.read_text(encoding="utf-8"))
    return {
        _plain(heading): Field(field) for field, headings in columns.items() for heading in headings
    }


def _plain(heading: str) -> str:
    """Make headings comparable: narrow, small, without spaces, marks and notes in brackets."""
    folded = unicodedata.normalize("NFKC", heading).casefold()
    folded = folded.replace("(元)", "元").replace("(克)", "克")
    return "".join(part for part in re.sub(r"\(.*?\)", "", folded) if part.isalnum())


HEADINGS = _load_headings()
"""Which field a heading means, by the heading's plain form."""


def fields_of(headings: Iterable[str]) -> dict[Field, str]:
    """Answer which heading holds which field.

    Raises:
        HeadingsMissing: one that every ticket needs is not there.
    """
    found: dict[Field, str] = {}
    for heading in headings:
        field = HEADINGS.get(_plain(heading))
        if field is not None:
            found.setdefault(field, heading)
    missing = [field for field in NEEDED if field not in found]
    if missing:
        raise HeadingsMissing(missing=missing)
    return found


def understand(row: Row, fields: Mapping[Field, str]) -> Sale:
    """Read a row.

    Raises:
        CellUnreadable: with a pointer to the heading whose cell cannot be understood.
    """
    read = _Reader(row, fields)
    quantity, unit = read.quantity()
    return Sale(
        number=read.text(Field.NUMBER),
        seller=read.text(Field.SELLER),
        buyer=_none_if_walk_in(read.needed(Field.BUYER)),
        product=read.needed(Field.PRODUCT),
        quantity=quantity,
        unit=unit,
        sold_at=read.instant(),
        pack_net_g=read.whole(Field.PACK_NET_G),
        lots=tuple(
            read.uuid(Field.LOTS, part)
            for part in re.split(r"[\s,;、]+", read.text(Field.LOTS) or "")
            if part
        )[:LOTS_MAX],
        market=read.uuid(Field.MARKET, market) if (market := read.text(Field.MARKET)) else None,
        plate=read.text(Field.PLATE),
        price_fen=read.fen(),
        note=read.text(Field.NOTE),
    )


def _none_if_walk_in(buyer: str) -> str | None:
    return None if buyer.casefold() in WALK_IN else buyer


class _Reader:
    """Reads the cells of one row by field."""

    def __init__(self, row: Row, fields: Mapping[Field, str]) -> None:
        self._row = row
        self._fields = fields

    def cell(self, field: Field) -> Cell:
        return self._row.get(self._fields[field]) if field in self._fields else None

    def fault(self, field: Field) -> CellUnreadable:
        return CellUnreadable(pointer=f"/{self._fields.get(field, field)}", column=field)

    def text(self, field: Field) -> str | None:
        """Answer a cell as narrow text: full-width digits and letters are typed all the time."""
        cell = self.cell(field)
        if cell is None:
            return None
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)  # A phone number in a spreadsheet is a number.
        return unicodedata.normalize("NFKC", str(cell)).strip() or None

    def needed(self, field: Field) -> str:
        found = self.text(field)
        if found is None:
            raise self.fault(field)
        return found

    def decimal(self, field: Field, text: str) -> Decimal:
        try:
            number = Decimal(text.replace(",", ""))
        except InvalidOperation:
            raise self.fault(field) from None
        if not number.is_finite():
            raise self.fault(field)
        return number

    def quantity(self) -> tuple[Decimal, str]:
        """Read 300 with its unit beside it, or 300斤 in one cell; kilograms if nothing is said."""
        text = self.needed(Field.QUANTITY).replace(",", "")
        found = _QUANTITY.fullmatch(text)
        if found is None:
            raise self.fault(Field.QUANTITY)
        unit = self.text(Field.UNIT) or found[2].strip() or "公斤"
        return self.decimal(Field.QUANTITY, found[1]), unit

    def whole(self, field: Field) -> int | None:
        text = self.text(field)
        if text is None:
            return None
        number = self.decimal(field, text)
        if number != number.to_integral_value() or number <= 0:
            raise self.fault(field)
        return int(number)

    def fen(self) -> int | None:
        text = self.text(Field.PRICE)
        if text is None:
            return None
        fen = self.decimal(Field.PRICE, text.removeprefix("¥").removesuffix("元")) * 100
        if fen < 0 or fen != fen.to_integral_value():
            raise self.fault(Field.PRICE)
        return int(fen)

    def uuid(self, field: Field, text: str) -> UUID:
        try:
            return UUID(text)
        except ValueError:
            raise self.fault(field) from None

    def instant(self) -> datetime:
        cell = self.cell(Field.SOLD_AT)
        try:
            return _instant(cell)
        except (ValueError, OverflowError):
            raise self.fault(Field.SOLD_AT) from None


def _instant(cell: Any) -> datetime:
    """Read an instant; a clock in a file without a zone is the wall clock of China."""
    if isinstance(cell, datetime):
        return cell if cell.tzinfo else cell.replace(tzinfo=SHANGHAI)
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, tzinfo=SHANGHAI)
    text = unicodedata.normalize("NFKC", "" if cell is None else str(cell)).strip()
    if re.fullmatch(r"\d{5}(\.\d+)?", text) and int(float(text)) in _EXCEL_DAYS:
        # To the second: a day's fraction in a float is never exact.
        return _EXCEL_EPOCH + timedelta(seconds=round(float(text) * 86_400))
    if re.fullmatch(r"\d{8}", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    found = _DAY.fullmatch(text)
    if found is None:
        message = "no day"
        raise ValueError(message)
    try:
        exact = datetime.fromisoformat(text)
    except ValueError:
        exact = datetime(*(int(part or 0) for part in found.groups()), tzinfo=SHANGHAI)  # type: ignore[arg-type, misc]
    return exact if exact.tzinfo else exact.replace(tzinfo=SHANGHAI)
