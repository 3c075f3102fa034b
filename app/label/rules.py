"""What fits on which paper, and who may bind a blank label to what. Pure."""

from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from app.core.errors import DomainError, Kind, Text

PATH: Final = "/b/"
"""Where a blank label's address leads: `https://<host>/b/<code>`."""
LABELS_MAX: Final = 240
"""Labels of one sheet or roll: what the press sets well within the time that a reader waits."""
_MM_PER_INCH: Final = 25.4


class Dpi(IntEnum):
    """Dots an inch of the printers that markets and offices have."""

    COARSE = 203
    FINE = 300


class Strip(NamedTuple):
    """Thermal paper from a roll.

    Attributes:
        width_mm: Of the paper.
        margin_mm: What the printer's head does not reach, on either side.
        code_mm: Side of the square for a signed code and its quiet zone.
        text_pt: Size of the text.
    """

    width_mm: float
    margin_mm: float
    code_mm: float
    text_pt: float


class PaperFormat(StrEnum):
    """What a ticket is printed on."""

    STRIP_80 = "80mm"
    STRIP_58 = "58mm"
    A4 = "a4"


STRIPS: Final = MappingProxyType(
    {
        PaperFormat.STRIP_80: Strip(width_mm=80, margin_mm=4, code_mm=44, text_pt=9),
        PaperFormat.STRIP_58: Strip(width_mm=58, margin_mm=5, code_mm=42, text_pt=8),
    }
)
SHEET_CODE_MM: Final = 40.0
"""Side of the square for the code on an A4 ticket or certificate."""


class FileKind(StrEnum):
    """In which file paper is handed out."""

    PDF = "pdf"
    PNG = "png"  # one bit a dot, for printers that take pictures


class StockName(StrEnum):
    """Sheets that stationers sell, by the size of a label in millimetres."""

    LARGE = "70x37"
    MIDDLE = "48x25"
    SMALL = "38x21"


class Stock(NamedTuple):
    """An A4 sheet that is cut into labels; all measures are in millimetres.

    Attributes:
        columns: Labels beside each other.
        rows: Labels below each other.
        left: Before the first column.
        top: Above the first row.
        width: Of a label.
        height: Of a label.
        step: From a column to the next.
        code: Side of the square for a code and its quiet zone; below it is the code to be typed.
        inset: Left of the code, where office printers leave the edge of the paper white.
        text_pt: Size of the text beside the code.
    """

    columns: int
    rows: int
    left: float
    top: float
    width: float
    height: float
    step: float
    code: float
    inset: float
    text_pt: float

    @property
    def places(self) -> int:
        """How many labels a sheet has."""
        return self.columns * self.rows


STOCKS: Final = MappingProxyType(
    {
        StockName.LARGE: Stock(3, 8, 0, 0, 70, 37.125, 70, 31, 4, 7.5),
        StockName.MIDDLE: Stock(4, 11, 8, 8.8, 48.5, 25.4, 48.5, 22, 0.5, 6),
        StockName.SMALL: Stock(5, 13, 4.75, 10.7, 38.1, 21.2, 40.6, 18.6, 0.3, 5),
    }
)


class CodeForm(StrEnum):
    """What a label's code says."""

    SHORT = "short"  # an address that asks the platform
    SIGNED = "signed"  # the whole token, which is verified without a network


class Place(NamedTuple):
    """Where a label is, in whole printer dots from the sheet's corner, and on which sheet."""

    sheet: int
    x: int
    y: int


def dots(mm: float, dpi: int) -> int:
    """Answer the whole printer dots nearest to a length."""
    return round(mm / _MM_PER_INCH * dpi)


def place(stock: Stock, number: int, dpi: int) -> Place:
    """Answer where the label of a number is, counted from 0 along the rows."""
    sheet, on_sheet = divmod(number, stock.places)
    row, column = divmod(on_sheet, stock.columns)
    return Place(
        sheet,
        dots(stock.left + column * stock.step, dpi),
        dots(stock.top + row * stock.height, dpi),
    )


class UnknownLabel(DomainError):
    """No blank label has this code."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-label"
    title: ClassVar[Text] = Text("没有这个标签码", "There is no label of this code")
    next_step: ClassVar[Text] = Text(
        "请核对标签上的 13 位短码", "Check the 13 characters on the label"
    )


class UnknownRoll(DomainError):
    """No roll has this id, or it is another party's."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-label-roll"
    title: ClassVar[Text] = Text("没有这卷标签", "There is no such roll of labels")
    next_step: ClassVar[Text] = Text("请核对编号", "Check its number")


class LabelBound(DomainError):
    """A label that is stuck on goods cannot come to stand for others."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "label-bound"
    title: ClassVar[Text] = Text("该标签已绑定其他内容", "The label already stands for other goods")
    next_step: ClassVar[Text] = Text(
        "请换一张空白标签；贴错的标签请撕下作废",
        "Take another blank label; take a wrong one off the goods and destroy it",
    )


class LotWithoutCode(DomainError):
    """A lot has no code of its own: it gets one from a certificate, or from a label bound to it."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "lot-without-code"
    title: ClassVar[Text] = Text("该批次没有可打印的码", "The lot has no code to print")
    next_step: ClassVar[Text] = Text(
        "请先为该批次开具合格证，或绑定一张空白标签",
        "Issue a certificate for the lot first, or bind a blank label to it",
    )
