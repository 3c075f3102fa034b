"""A ledger on paper: what the typst template is given."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from app.core.clock import SHANGHAI
from app.ledger import wording
from app.ledger.rules import Standing
from app.ledger.schemas import LedgerHead, LedgerRow

TEMPLATE: Final = Path(__file__).resolve().parent / "templates" / "ledger.typ"
_UNCOUNTED: Final = frozenset({Standing.PENDING, Standing.REFUSED, Standing.VOIDED})


def data(
    head: LedgerHead, rows: Sequence[LedgerRow], *, first: int, volume: int, at: datetime
) -> dict[str, Any]:
    """Write what a volume says.

    Args:
        head: The ledger's head.
        rows: The entries of this volume.
        first: The number of the first of them in the month.
        volume: Which volume, from 1.
        at: When it was made.
    """
    title, partner = wording.TITLES[head.ledger], wording.PARTNERS[head.ledger]
    totals, here_g = head.totals, sum(row.counted_g for row in rows)
    year, month = head.month.split("-")
    return {
        "title": title.zh,
        "title_en": title.en,
        "month": f"{year} 年 {int(month)} 月",
        "month_en": head.month,
        "owner": head.owner.name,
        "owner_reach": " · ".join(part for part in (head.owner.phone, head.owner.address) if part),
        "volume": volume,
        "volumes": head.volumes,
        "made": f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
        "partner": partner.zh,
        "partner_en": partner.en,
        "rows": [_row(first + place, row) for place, row in enumerate(rows)],
        "here_kg": wording.kilograms(here_g),
        "here_jin": wording.jin(here_g),
        "all_kg": wording.kilograms(totals.counted_g),
        "all_jin": wording.jin(totals.counted_g),
        "summary": (
            f"全月 {totals.entries} 行：验收 {wording.kilograms(totals.accepted_g)} 公斤，"
            f"退货 {wording.kilograms(totals.returned_g)} 公斤；"
            f"待验收 {totals.pending} 行，单方交付 {totals.claimed} 行，作废 {totals.voided} 行"
        ),
        "sources": list(dict.fromkeys(known.source for known in head.fields)),
        "keep_until": max((row.keep_until.isoformat() for row in rows), default=None),
    }


def _row(number: int, row: LedgerRow) -> dict[str, Any]:
    spoken = f"{row.quantity} {row.unit}"
    name = row.trade_name
    notes = [wording.STANDINGS[row.standing].zh, row.reason, wording.absences(row)]
    if row.corrects:
        notes.append(f"更正 {row.corrects}")
    return {
        "number": str(number),
        "day": f"{row.dated_on:%m-%d}",
        "entry": wording.ENTRIES[row.entry].zh,
        "product": name if name == row.product else f"{name}（{row.product}）",
        "spoken": spoken,
        "kg": "—" if row.accepted_g is None else wording.kilograms(row.counted_g),
        "jin": "—" if row.accepted_g is None else wording.jin(row.counted_g),
        "partner": wording.partner(row),
        "reach": "\n".join(part for part in (row.partner_phone, row.partner_address) if part),
        "origin": wording.origins(row),
        "producers": "、".join(row.producers),
        "place": " ".join(part for part in (row.market, row.stall) if part),
        "vouchers": wording.vouchers(row.vouchers),
        "notes": "；".join(note for note in notes if note),
        "uncounted": row.standing in _UNCOUNTED,
    }
