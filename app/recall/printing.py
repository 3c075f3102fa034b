"""A recall as a record, a spreadsheet, a report on paper, and a notice for buyers outside."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import SHANGHAI, local_date
from app.core.errors import Text
from app.paper.press import Press
from app.party.access import Caller
from app.product.units import spell_mass
from app.recall import annulments, queries, referrals, wording
from app.recall.models import Recall
from app.recall.queries import Sight
from app.recall.rules import ADVICE
from app.recall.schemas import (
    LetterOut,
    RecallLotOut,
    RecallOut,
    RecordOut,
    ReferralOut,
)
from app.signing import shortcode

PRINTED_LOTS_MAX: Final = 400
SPREADSHEET_LOTS_MAX: Final = 20_000
"""More take a minute of a processor that has tickets to issue; `ypt recall export` writes
all of them."""

PRINTED_NOTICES_MAX: Final = 400
REFERRALS_MAX: Final = 1_000
TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


async def record(
    session: AsyncSession, recall: Recall, caller: Caller, *, now: datetime
) -> RecordOut:
    """Gather all that is recorded in a case; for a trader, its own part of it.

    Raises:
        UnknownRecall: the case is not for the caller.
    """
    today = local_date(now)
    sight = await queries.check_may_see(session, recall, caller)
    told = await queries.describe(session, recall, caller, today=today)
    steps = await queries.steps_of(session, recall.id)
    disposals = await queries.disposals_of(session, recall.id)
    annulled = await annulments.annulments_of(session, recall.id)
    forwardings = await queries.forwardings_of(session, recall.id)
    sign_offs = await queries.sign_offs_of(session, recall.id)
    charge = await queries.charge(session, recall, caller, on=today)
    if sight is Sight.ALL:
        asked = await referrals.concerning(session, caller, recall=recall, most=REFERRALS_MAX)
        return RecordOut(
            recall=told,
            notices=await queries.notices_of(session, recall, party=None, now=now),
            steps=steps,
            disposals=disposals,
            annulments=annulled,
            forwardings=forwardings,
            referrals=await referrals.describe(session, asked, today=today),
            sign_offs=sign_offs,
            charge=charge,
        )
    me, party = caller.acting_public_id, caller.acting_party
    page = await queries.lots_of(session, recall, holder=party, after=0, most=None)
    own = {lot.lot for lot in page.lots}
    return RecordOut(
        recall=told,
        notices=await queries.notices_of(session, recall, party=party, now=now),
        steps=[step for step in steps if step.by == me or step.lot in own],
        disposals=[disposal for disposal in disposals if disposal.by == me],
        annulments=[],
        forwardings=[forwarding for forwarding in forwardings if forwarding.by == me],
        referrals=[],
        sign_offs=[row for row in sign_offs if row.by == me],
        charge=charge,
    )


# --- words ------------------------------------------------------------------------------------


def both(text: Text) -> str:
    """Write a text in both languages on one line."""
    return f"{text.zh} {text.en}"


def instant(at: datetime | None) -> str:
    """Write an instant as clocks in Nantong show it."""
    return "" if at is None else f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def kilograms(mass_g: int) -> str:
    """Write grams as kilograms."""
    return f"{Decimal(mass_g) / 1000:,.3f}"


def clocks(recall: RecallOut) -> list[tuple[str, str]]:
    """Write the clocks of a case: what is asked, and how it stands."""
    seen = recall.clocks
    started = f"{instant(seen.opened_at)}，期限 due {instant(seen.start_due_at)}"
    last = seen.minutes_to_last_acknowledgement
    answered = "未完成 open" if last is None else str(last)
    finish = seen.finish_due_on.isoformat()
    if not seen.finish_arranged:
        finish += "（节假日安排未公布 holidays not yet published）"
    late = "（逾期 late）"
    return [
        ("获知时间 Known at", instant(seen.known_at)),
        ("启动 Started", started + (late if seen.started_late else "")),
        ("锁定全部范围用时 Minutes to full scope", str(seen.minutes_to_scope)),
        (
            "全部确认用时 Minutes until all acknowledged",
            f"{answered}，期限 due {instant(seen.acknowledge_due_at)}",
        ),
        ("完成期限 Finish by", finish + (late if seen.overdue else "")),
        ("结案 Closed", instant(seen.closed_at) or "未结案 open"),
    ]


def sums(recall: RecallOut) -> list[tuple[str, str]]:
    """Write the sums of a case, for whoever may see them."""
    totals = recall.totals
    if totals is None:
        return []
    permille = Decimal(totals.accounted_permille) / 10
    grams = [
        ("涉及货物 In scope", totals.total_g),
        ("其中来自可疑来源 Exposed", totals.exposed_g),
        ("此前已消费或损耗 Gone before", totals.gone_g),
        ("查到 Located", totals.located_g),
        ("收回 Recovered", totals.recovered_g),
        ("销毁或无害化 Destroyed", totals.destroyed_g),
        ("补救 Remedied", totals.remedied_g),
        ("已消费 Consumed", totals.consumed_g),
        ("抽样 Taken as samples", totals.sampled_g),
        ("案外（他案处置） Elsewhere (other cases)", totals.elsewhere_g),
        ("未核清 Unaccounted", totals.left_g),
        ("其中在途 On its way", totals.in_transit_g),
    ]
    return [
        ("批次 Lots", str(totals.lots)),
        *((name, f"{kilograms(mass_g)} kg") for name, mass_g in grams),
        ("已核清比例 Accounted for", f"{permille} %"),
        ("通知 Notices", f"{totals.notices}，未确认 open {totals.unacknowledged}"),
        ("未回复协查 Referrals open", str(totals.unanswered)),
    ]


# --- spreadsheets -----------------------------------------------------------------------------

Cell = str | int | float | datetime | None
Sheet = tuple[str, Sequence[str], Iterable[Sequence[Cell]]]

_LOT_COLUMNS: Final = (
    "批次 Lot",
    "关系 Relation",
    "产品 Product",
    "持有人 Holder",
    "克 Grams",
    "涉及克数 Exposed",
    "占比 Exposure",
    "在手 On hand",
    "在途 On its way",
    "已转出 Passed on",
    "已消失 Gone",
    "查到 Located",
    "收回 Recovered",
    "销毁 Destroyed",
    "补救 Remedied",
    "已消费 Consumed",
    "抽样 Samples",
)


def _lot(lot: RecallLotOut) -> Sequence[Cell]:
    return (
        str(lot.lot),
        both(wording.RELATIONS[lot.relation]),
        lot.product_name,
        lot.holder_name or "散客 walk-in",
        lot.mass_g,
        lot.exposed_g,
        lot.exposure,
        lot.on_hand_g,
        lot.in_transit_g,
        lot.passed_on_g,
        lot.gone_g,
        lot.located_g,
        lot.recovered_g,
        lot.destroyed_g,
        lot.remedied_g,
        lot.consumed_g,
        lot.sampled_g,
    )


def _head(recall: RecallOut) -> list[tuple[str, str]]:
    advice = recall.advice
    return [
        ("编号 Id", str(recall.recall)),
        ("类型 Kind", both(wording.title(mock=recall.mock))),
        ("级别 Class", both(wording.GRADES[recall.grade])),
        ("起因 Trigger", both(wording.TRIGGERS[recall.trigger])),
        ("原因 Reason", recall.reason),
        ("要求 Advice", both(ADVICE) if advice is None else advice),
        ("立案方 Opened by", recall.opened_by_name),
        ("范围摘要 SHA-256 of the scope", " ".join(wrap(recall.scope_sha256, 16))),
        (
            "结果 Outcome",
            "—"
            if recall.outcome is None
            else f"{both(wording.OUTCOMES[recall.outcome])}: {recall.closing_reason}",
        ),
    ]


def _sheets(written: RecordOut, lots: Sequence[RecallLotOut]) -> list[Sheet]:
    case = [*_head(written.recall), *clocks(written.recall), *sums(written.recall)]
    totals = written.recall.totals
    if totals is not None and totals.lots > len(lots):
        more = f"{totals.lots - len(lots)}，见 see /recalls/…/lots, ypt recall export"
        case.append(("未列入本表的批次 Lots not in this file", more))
    return [
        ("案件 Case", ("项目 Item", "内容 Content"), case),
        ("批次 Lots", _LOT_COLUMNS, (_lot(lot) for lot in lots)),
        (
            "通知 Notices",
            ("对象 Party", "批次 Lots", "在手克数 On hand", "在途克数 On its way", "发出 Sent",
             "期限 Due", "确认 Acknowledged", "备注 Note", "催办 Escalated"),
            (
                (row.name, row.lots, row.on_hand_g, row.in_transit_g, row.sent_at, row.due_at,
                 row.acknowledged_at, row.note, row.escalated_at)
                for row in written.notices
            ),
        ),
        (
            "核查 Steps",
            ("批次 Lot", "步骤 Step", "克 Grams", "说明 Note", "登记 Recorded"),
            (
                (str(row.lot), both(wording.STEPS[row.kind]), row.mass_g, row.note, row.recorded_at)
                for row in written.steps
            ),
        ),
        (
            "处置 Disposals",
            ("方式 Method", "地点 Place", "见证人 Witness", "报告时间 Announced", "处置时间 At",
             "批次 Lot", "克 Grams", "照片 SHA-256 Photos"),
            (
                (both(wording.METHODS[row.method]), row.place, row.witness, row.announced_at,
                 row.disposed_at, str(part.lot), part.mass_g, " ".join(row.evidence_sha256))
                for row in written.disposals
                for part in row.lots
            ),
        ),
        (
            "撤销 Annulled",
            ("票据 Ticket", "克 Grams", "原因 Reason", "负责人 Accountable", "时间 At"),
            (
                (str(row.ticket), row.mass_g, row.reason, row.accountable, row.annulled_at)
                for row in written.annulments
            ),
        ),
        (
            "转告 Forwarded",
            ("方式 Channel", "购买者 Buyers", "克 Grams", "说明 Note", "时间 At"),
            (
                (both(wording.CHANNELS[row.channel]), row.buyers, row.mass_g, row.note, row.told_at)
                for row in written.forwardings
            ),
        ),
        _asked(written.referrals),
        (
            "申请结案 Sign-off asked",
            ("申请方 Party", "结果 Outcome", "说明 Reason", "时间 At"),
            (
                (row.name, both(wording.OUTCOMES[row.outcome]), row.reason, row.asked_at)
                for row in written.sign_offs
            ),
        ),
    ]  # fmt: skip


def _asked(found: Sequence[ReferralOut]) -> Sheet:
    columns = ("协查 Referral", "批次 Lot", "区划 Division", "问题 Question", "提出 Asked",
               "期限 Due", "逾期 Overdue", "回复 Answer", "回复时间 Answered",
               "撤回理由 Withdrawn because", "撤回时间 Withdrawn")  # fmt: skip
    rows = (
        (
            str(row.referral),
            str(row.lot),
            f"{row.division_name} {row.division_code}",
            row.question,
            row.asked_at,
            row.due_on.isoformat(),
            "是 yes" if row.overdue else "",
            row.answer,
            row.answered_at,
            row.withdrawal_reason,
            row.withdrawn_at,
        )
        for row in found
    )
    return ("协查 Referrals", columns, rows)


def _write(sheets: Iterable[Sheet]) -> bytes:
    import xlsxwriter  # noqa: PLC0415  # 2 MB for whoever makes workbooks, and nobody else

    buffer = BytesIO()
    book = xlsxwriter.Workbook(
        buffer, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    bold = book.add_format({"bold": True, "text_wrap": True})
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    share = book.add_format({"num_format": "0.0%"})
    for name, columns, rows in sheets:
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(columns) - 1, 20)
        sheet.write_row(0, 0, columns, bold)
        for line, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    # A name that begins like a formula stays a text when the file is saved as CSV.
                    safe = "'" + cell if cell.startswith(_FORMULA_STARTS) else cell
                    sheet.write_string(line, column, safe)
                elif isinstance(cell, datetime):
                    # Excel knows no zones: it is given the clock on the wall in Nantong.
                    wall = cell.astimezone(SHANGHAI).replace(tzinfo=None)
                    sheet.write_datetime(line, column, wall, moment)
                elif cell is not None:
                    sheet.write_number(
                        line, column, cell, share if isinstance(cell, float) else None
                    )
    book.close()
    return buffer.getvalue()


async def spreadsheet(written: RecordOut, lots: Sequence[RecallLotOut]) -> bytes:
    """Write a case into a workbook, in a thread."""
    return await asyncio.to_thread(_write, _sheets(written, lots))


async def deadlines(cases: Sequence[RecallOut], asked: Sequence[ReferralOut]) -> bytes:
    """Write the clocks of cases and referrals into a workbook, in a thread."""
    columns = ("编号 Id", "类型 Kind", "级别 Class", "原因 Reason", "立案方 Opened by",
               "获知 Known at", "启动 Started", "启动期限 Start due", "逾期启动 Started late",
               "确认期限 Acknowledge by", "完成期限 Finish by", "逾期 Overdue", "结案 Closed",
               "结果 Outcome")  # fmt: skip
    rows = (
        (
            str(case.recall),
            both(wording.title(mock=case.mock)),
            both(wording.GRADES[case.grade]),
            case.reason,
            case.opened_by_name,
            case.clocks.known_at,
            case.clocks.opened_at,
            case.clocks.start_due_at,
            "是 yes" if case.clocks.started_late else "",
            case.clocks.acknowledge_due_at,
            case.clocks.finish_due_on.isoformat(),
            "是 yes" if case.clocks.overdue else "",
            case.clocks.closed_at,
            "" if case.outcome is None else both(wording.OUTCOMES[case.outcome]),
        )
        for case in cases
    )
    return await asyncio.to_thread(_write, [("召回 Recalls", columns, rows), _asked(asked)])


# --- paper ------------------------------------------------------------------------------------


async def report(
    press: Press, written: RecordOut, lots: Sequence[RecallLotOut], *, now: datetime
) -> bytes:
    """Print the report of a case.

    Raises:
        PressBusy: the press is busy.
    """
    recall = written.recall
    named = wording.title(mock=recall.mock)
    listed = recall.totals.lots if recall.totals is not None else len(lots)
    data = {
        "title": f"{named.zh}报告",
        "title_en": f"{named.en}: report",
        "mock": recall.mock,
        "foot": f"一票通 · {recall.recall} · 生成于 {instant(now)}",
        "head": _head(recall),
        "clocks": clocks(recall),
        "sums": sums(recall),
        "lots": [
            [
                str(lot.lot),
                wording.RELATIONS[lot.relation].zh,
                lot.product_name,
                lot.holder_name or "散客 walk-in",
                kilograms(lot.mass_g),
                f"{lot.exposure:.1%}",
                kilograms(lot.on_hand_g + lot.in_transit_g),
                kilograms(lot.located_g),
                kilograms(lot.recovered_g),
                kilograms(lot.destroyed_g + lot.remedied_g),
                kilograms(lot.consumed_g + lot.gone_g),
                kilograms(lot.sampled_g),
            ]
            for lot in lots[:PRINTED_LOTS_MAX]
        ],
        "more_lots": max(listed - min(len(lots), PRINTED_LOTS_MAX), 0),
        "notices": [
            [
                row.name,
                str(row.lots),
                kilograms(row.on_hand_g),
                instant(row.due_at),
                instant(row.acknowledged_at) or "未确认 open",
                row.note or "",
            ]
            for row in written.notices[:PRINTED_NOTICES_MAX]
        ],
        "more_notices": max(len(written.notices) - PRINTED_NOTICES_MAX, 0),
        "disposals": [
            [
                wording.METHODS[row.method].zh,
                row.place,
                row.witness,
                instant(row.disposed_at),
                kilograms(sum(part.mass_g for part in row.lots)),
                str(len(row.evidence)),
            ]
            for row in written.disposals[:PRINTED_LOTS_MAX]
        ],
    }
    return await press.pdf(TEMPLATES / "report.typ", data, at=now)


async def notice(press: Press, letter: LetterOut, *, now: datetime) -> bytes:
    """Print what goes to buyers outside the platform.

    Raises:
        PressBusy: the press is busy.
    """
    named = wording.title(mock=letter.mock)
    data = {
        "title": "模拟召回公告（演练）" if letter.mock else "食用农产品召回公告",
        "title_en": "Exercise: recall notice" if letter.mock else "Recall notice",
        "mock": letter.mock,
        "foot": f"一票通 · {named.zh} {letter.recall} · 生成于 {instant(now)}",
        "seller": letter.seller,
        "grade": both(wording.GRADES[letter.grade]),
        "reason": letter.reason,
        "advice": letter.advice,
        "opened_by": letter.opened_by_name,
        "opened_at": instant(letter.opened_at),
        "products": letter.products,
        "sales": [
            [
                shortcode.show(sale.code),
                instant(sale.sold_at),
                sale.product_name,
                spell_mass(sale.mass_g).zh,
                sale.buyer or "散客 walk-in",
            ]
            for sale in letter.sales
        ],
        "more": letter.more,
    }
    return await press.pdf(TEMPLATES / "notice.typ", data, at=now)
