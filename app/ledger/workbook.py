"""A ledger as an Excel workbook, written row by row.

A month of ordinary size is a real table of Excel's, which can be sorted, filtered and summed up.
XlsxWriter keeps the cells of a table in memory (6 KB a row, measured): beyond `TABLE_ROWS_MAX` the
rows are streamed, with a filter in place of the table, and the memory stays the same.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, Final, NamedTuple

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name

from app.core.clock import SHANGHAI
from app.ledger import wording
from app.ledger.rules import LedgerKind
from app.ledger.schemas import LedgerHead, LedgerRow

TABLE_ROWS_MAX: Final = 5_000
_HEADER_ROW: Final = 5
_FORMATS: Final[Mapping[str, dict[str, Any]]] = {
    "text": {"text_wrap": True},
    "number": {"num_format": "0.0##"},
    "mass": {"num_format": "#,##0.0##"},
    "day": {"num_format": "yyyy-mm-dd"},
    "instant": {"num_format": "yyyy-mm-dd hh:mm"},
    "title": {"font_size": 16, "bold": True},
    "plain": {},
    "header": {
        "bold": True,
        "text_wrap": True,
        "valign": "vcenter",
        "bg_color": "#0A5C30",
        "font_color": "#FFFFFF",
    },
    "total": {"bold": True, "top": 1, "num_format": "#,##0.0##"},
}
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class _Column(NamedTuple):
    """A column: its header, how wide, in which format, and what it holds of a row."""

    header: str
    width: int
    form: str
    value: Callable[[LedgerRow], Any]
    total: str | None = None


def defused(text: str) -> str:
    """Keep a text from being read as a formula.

    Here it is a string in any case; but a file is saved again as CSV, and opened, and then a name
    that begins with `=` runs (OWASP, CSV injection).
    """
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def _columns(kind: LedgerKind) -> tuple[_Column, ...]:
    partner = wording.PARTNERS[kind].zh
    day = "进货日期" if kind is LedgerKind.PURCHASES else "销售日期"
    return (
        _Column(day, 12, "day", lambda row: row.dated_on),
        _Column("类型", 12, "text", lambda row: wording.ENTRIES[row.entry].zh),
        _Column("状态", 10, "text", lambda row: wording.STANDINGS[row.standing].zh),
        _Column("票号", 18, "text", lambda row: row.ticket or ""),
        _Column("名称", 14, "text", lambda row: row.product),
        _Column("商品名", 14, "text", lambda row: row.trade_name),
        _Column("票面数量", 10, "number", lambda row: Decimal(row.quantity)),
        _Column("单位", 7, "text", lambda row: row.unit),
        _Column("票面公斤", 11, "mass", lambda row: _kilograms(row.issued_g)),
        _Column("验收公斤", 11, "mass", lambda row: _kilograms(row.accepted_g)),
        _Column("计入公斤", 11, "mass", lambda row: _kilograms(row.counted_g), "公斤"),
        _Column("计入斤", 11, "mass", lambda row: _kilograms(2 * row.counted_g), "斤"),
        _Column(f"{partner}名称", 22, "text", wording.partner),
        _Column(f"{partner}联系方式", 16, "text", lambda row: row.partner_phone or ""),
        _Column(f"{partner}地址", 28, "text", lambda row: row.partner_address or ""),
        _Column("产地", 24, "text", wording.origins),
        _Column("生产者", 18, "text", lambda row: "、".join(row.producers)),
        _Column("批发市场", 16, "text", lambda row: row.market or ""),
        _Column("摊位", 8, "text", lambda row: row.stall or ""),
        _Column("相关凭证", 36, "text", lambda row: wording.vouchers(row.vouchers)),
        _Column("单价", 12, "text", wording.price),
        _Column("验收时间", 17, "instant", lambda row: _local(row.decided_at)),
        _Column("更正的票", 18, "text", lambda row: row.corrects or ""),
        _Column("拒收或作废原因", 18, "text", lambda row: row.reason or ""),
        _Column("保存期至", 12, "day", lambda row: row.keep_until),
        _Column("缺项及原因", 30, "text", wording.absences),
    )


def _kilograms(mass_g: int | None) -> Decimal | None:
    return None if mass_g is None else Decimal(mass_g) / 1000


def _local(at: datetime | None) -> datetime | None:
    # Excel knows no zones: it is given the clock on the wall in Nantong.
    return None if at is None else at.astimezone(SHANGHAI).replace(tzinfo=None)


class Workbook:
    """A ledger's workbook in the making: `write` its rows in order, then `finish` it."""

    def __init__(self, head: LedgerHead, *, made_at: datetime) -> None:
        """Begin a workbook.

        Args:
            head: What the ledger says before its entries; how many there will be.
            made_at: What the file says of when it was made.
        """
        self._head = head
        self._columns = _columns(head.ledger)
        self._is_table = 0 < head.totals.entries <= TABLE_ROWS_MAX
        self._buffer = BytesIO()
        self._book = xlsxwriter.Workbook(
            self._buffer,
            {
                "constant_memory": not self._is_table,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        title = wording.TITLES[head.ledger]
        local = made_at.astimezone(SHANGHAI).replace(tzinfo=None)
        self._book.set_properties({"title": f"{title.zh} {head.month}", "created": local})
        self._forms = self._formats()
        self._sheet = self._book.add_worksheet(wording.SHORT[head.ledger].zh)
        self._row = _HEADER_ROW
        self._begin(local)

    def _formats(self) -> Mapping[str, Format]:
        plain: dict[str, Any] = {"font_name": "宋体", "font_size": 11, "valign": "top"}
        return {name: self._book.add_format(plain | more) for name, more in _FORMATS.items()}

    def _begin(self, made_at: datetime) -> None:
        sheet, head, forms = self._sheet, self._head, self._forms
        for number, column in enumerate(self._columns):
            sheet.set_column(number, number, column.width)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(_HEADER_ROW)
        sheet.set_footer(
            "&L" + defused(head.owner.name).replace("&", "&&") + "&R第 &P 页，共 &N 页"
        )
        sheet.freeze_panes(_HEADER_ROW + 1, 1)
        title = wording.TITLES[head.ledger]
        sheet.write_string(0, 0, f"{title.zh}（{head.month}）", forms["title"])
        sheet.write_string(1, 0, f"{title.en}, {head.month}", forms["plain"])
        reached = "  ".join(part for part in (head.owner.phone, head.owner.address) if part)
        sheet.write_string(2, 0, defused(f"{head.owner.name}  {reached}".strip()), forms["plain"])
        sheet.write_string(3, 0, _summary(head, made_at), forms["plain"])
        for number, column in enumerate(self._columns):
            sheet.write_string(_HEADER_ROW, number, column.header, forms["header"])

    def write(self, rows: Iterable[LedgerRow]) -> None:
        """Write further entries."""
        for row in rows:
            self._row += 1
            for number, column in enumerate(self._columns):
                self._cell(self._row, number, column, column.value(row))

    def _cell(self, row: int, number: int, column: _Column, value: Any) -> None:
        form = self._forms[column.form]
        if value is None or value == "":
            self._sheet.write_blank(row, number, None, form)
        elif column.form in {"day", "instant"}:
            self._sheet.write_datetime(row, number, value, form)
        elif column.form in {"mass", "number"}:
            self._sheet.write_number(row, number, value, form)
        else:
            self._sheet.write_string(row, number, defused(value), form)

    def finish(self) -> bytes:
        """Write the totals and the notes; answer the file."""
        last, width = self._row, len(self._columns) - 1
        totals = {
            "公斤": Decimal(self._head.totals.counted_g) / 1000,
            "斤": Decimal(self._head.totals.counted_g) / 500,
        }
        if self._is_table:
            self._sheet.add_table(
                _HEADER_ROW,
                0,
                last + 1,
                width,
                {
                    "name": f"Ledger_{self._head.ledger}",
                    "style": "Table Style Light 11",
                    "total_row": True,
                    "columns": [
                        {"header": column.header, "header_format": self._forms["header"]}
                        | _total(column, number, totals, self._forms)
                        for number, column in enumerate(self._columns)
                    ],
                },
            )
        else:
            self._stream_end(last, width, totals)
        self._notes()
        self._book.close()
        return self._buffer.getvalue()

    def _stream_end(self, last: int, width: int, totals: Mapping[str, Decimal]) -> None:
        self._sheet.autofilter(_HEADER_ROW, 0, max(last, _HEADER_ROW + 1), width)
        self._sheet.write_string(last + 1, 0, "合计", self._forms["total"])
        for number, column in enumerate(self._columns):
            if column.total is not None:
                letter = xl_col_to_name(number)
                cells = f"{letter}{_HEADER_ROW + 2}:{letter}{max(last, _HEADER_ROW + 1) + 1}"
                self._sheet.write_formula(
                    last + 1,
                    number,
                    f"=SUBTOTAL(109,{cells})",
                    self._forms["total"],
                    float(totals[column.total]),
                )

    def _notes(self) -> None:
        sheet = self._book.add_worksheet("说明 Notes")
        sheet.set_column(0, 0, 22)
        sheet.set_column(1, 3, 46)
        lines: list[tuple[str, ...]] = [
            ("法定记录项 Field", "English", "依据 Source", "依据已核对 Verified"),
            *(
                (known.zh, known.en, known.source, "是 yes" if known.verified else "否 no")
                for known in self._head.fields
            ),
            (),
            ("状态 Standing", "English"),
            *((text.zh, text.en) for text in wording.STANDINGS.values()),
            (),
            ("计入", "已验收数量计入合计；退货为负数；待验收、拒收、作废不计。"),
            ("counted", "What was accepted; a return is negative; all else counts nothing."),
        ]
        for number, line in enumerate(lines):
            for place, cell in enumerate(line):
                sheet.write_string(number, place, defused(cell), self._forms["text"])


def _total(
    column: _Column, number: int, totals: Mapping[str, Decimal], forms: Mapping[str, Format]
) -> dict[str, Any]:
    if number == 0:
        return {"total_string": "合计"}
    if column.total is None:
        return {}
    return {
        "total_function": "sum",
        # For readers that do not calculate: phones show what was stored.
        "total_value": float(totals[column.total]),
        "format": forms["mass"],
    }


def _summary(head: LedgerHead, made_at: datetime) -> str:
    totals = head.totals
    return (
        f"共 {totals.entries} 行，计入 {totals.counted.zh}；"
        f"待验收 {totals.pending} 行，单方交付 {totals.claimed} 行，作废 {totals.voided} 行。"
        f"生成于 {made_at:%Y-%m-%d %H:%M}（北京时间）"
    )
