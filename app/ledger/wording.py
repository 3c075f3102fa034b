"""How ledgers put things, on screen, in spreadsheets and on paper."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from app.core.errors import Text
from app.ledger.rules import Entry, LedgerKind, Standing
from app.ledger.schemas import LedgerRow, Voucher
from app.signing import shortcode

TITLES: Final[Mapping[LedgerKind, Text]] = {
    LedgerKind.PURCHASES: Text("食用农产品进货查验记录", "Purchase ledger of edible farm produce"),
    LedgerKind.SALES: Text("食用农产品销售记录", "Sales ledger of edible farm produce"),
}
SHORT: Final[Mapping[LedgerKind, Text]] = {
    LedgerKind.PURCHASES: Text("进货台账", "Purchases"),
    LedgerKind.SALES: Text("销售台账", "Sales"),
}
PARTNERS: Final[Mapping[LedgerKind, Text]] = {
    LedgerKind.PURCHASES: Text("供货者", "Supplier"),
    LedgerKind.SALES: Text("购货者", "Buyer"),
}
ENTRIES: Final[Mapping[Entry, Text]] = {
    Entry.PURCHASE: Text("进货", "purchase"),
    Entry.DECLARED: Text("无票进货（自行申报）", "declared without a ticket"),
    Entry.RETURNED_TO_SUPPLIER: Text("退给供货者", "returned to the supplier"),
    Entry.SALE: Text("销售", "sale"),
    Entry.RETURNED_BY_BUYER: Text("购货者退回", "returned by the buyer"),
}
STANDINGS: Final[Mapping[Standing, Text]] = {
    Standing.ACCEPTED: Text("已验收", "accepted"),
    Standing.ACCEPTED_IN_PART: Text("部分验收", "accepted in part"),
    Standing.PENDING: Text("待验收", "not decided yet"),
    Standing.CLAIMED: Text("单方交付", "on the seller's word"),
    Standing.REFUSED: Text("拒收", "refused"),
    Standing.VOIDED: Text("已作废", "voided"),
    Standing.DECLARED: Text("已申报", "declared"),
}
WALK_IN: Final = Text("散客", "walk-in")
UNNAMED: Final = Text("未写明", "not named")
_VOUCHERS: Final[Mapping[str, Text]] = {
    "ticket": Text("一票通", "ticket"),
    "conformity_producer": Text("承诺达标合格证", "conformity certificate"),
    "conformity_purchaser": Text("承诺达标合格证（收购）", "purchaser's conformity certificate"),
    "origin_proof": Text("产地证明", "proof of origin"),
    "quarantine": Text("动物检疫证明", "quarantine certificate"),
    "meat_inspection": Text("肉品品质检验合格证", "meat inspection certificate"),
    "import": Text("进口凭证", "import papers"),
    "purchase_voucher": Text("进货凭证", "purchase voucher"),
    "lab_report": Text("检验报告", "laboratory report"),
    "foreign_trace_code": Text("其他平台追溯码", "trace code of another platform"),
    "other": Text("其他凭证", "other paper"),
}


def vouchers(papers: Iterable[Voucher]) -> str:
    """Name the papers behind an entry."""
    return "；".join(
        f"{_VOUCHERS[paper.kind].zh if paper.kind in _VOUCHERS else paper.kind} {_number(paper)}"
        for paper in papers
    )


def _number(paper: Voucher) -> str:
    """Group a short code as the paper itself does; any other number stands as it was told."""
    try:
        is_code = shortcode.parse(paper.number).code == paper.number
    except shortcode.BadCodeError:
        return paper.number
    return shortcode.show(paper.number) if is_code else paper.number


def partner(row: LedgerRow) -> str:
    """Name the other side, or say why nobody is named."""
    if row.partner_name is not None:
        return row.partner_name
    return (UNNAMED if row.entry is Entry.DECLARED else WALK_IN).zh


def absences(row: LedgerRow) -> str:
    """Say what is missing, and why, each reason once."""
    return "；".join(dict.fromkeys(gap.zh for gap in row.missing))


def origins(row: LedgerRow) -> str:
    """Name where the goods come from."""
    return "、".join(row.origin) or "见追溯"


def price(row: LedgerRow) -> str:
    """Write a price: 3.50 元/斤."""
    if row.price_fen is None:
        return ""
    return f"{Decimal(row.price_fen) / 100:.2f} 元/{row.price_unit or row.unit}"


def plain(number: Decimal) -> str:
    """Write a number without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def kilograms(mass_g: int) -> str:
    """Write grams as kilograms."""
    return plain(Decimal(mass_g) / 1000)


def jin(mass_g: int) -> str:
    """Write grams as 斤."""
    return plain(Decimal(mass_g) / 500)


def file_name(kind: LedgerKind, month: str, owner: str) -> str:
    """Name a ledger's file, without its ending."""
    named = "".join(letter for letter in owner if letter.isalnum())
    return f"{SHORT[kind].zh}-{month}-{named}"
