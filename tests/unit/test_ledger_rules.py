"""What ledgers count, how long they are kept, and what they are asked for with."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Text
from app.ledger import rules, wording
from app.ledger.rules import (
    CursorInvalid,
    Entry,
    Field,
    LedgerKind,
    Mark,
    Month,
    MonthInvalid,
    Retention,
    Statute,
)
from app.ledger.schemas import Voucher
from app.ledger.workbook import defused
from app.signing import shortcode
from app.web import desk

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAW = Statute(
    fields=(
        Field(
            LedgerKind.SALES,
            "market",
            "row",
            Text("市场", "market"),
            date(2023, 12, 1),
            None,
            "81",
            verified=False,
        ),
        Field(
            LedgerKind.SALES,
            "owner_address",
            "head",
            Text("地址", "address"),
            date(2016, 3, 1),
            date(2023, 12, 1),
            "20",
            verified=False,
        ),
    ),
    retention=(
        Retention("purchases", "*", "law", 6, date(2015, 10, 1), None, "65", verified=True),
        Retention("purchases", "PROCESSOR", "law", 30, date(2020, 1, 1), None, "50", verified=True),
        Retention("*", "*", "platform", 24, date(2000, 1, 1), None, "ours", verified=True),
    ),
)


@pytest.mark.parametrize(
    ("text", "month"),
    [("2026-06", Month(2026, 6)), ("2000-01", Month(2000, 1)), ("2200-12", Month(2200, 12))],
)
def test_a_month_is_read_as_it_is_written(text: str, month: Month) -> None:
    assert Month.read(text) == month
    assert str(month) == text


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-6", "2026-00", "2026-13", "1999-12", "2201-01", "２０２６-06", "2026-06-01"],
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(MonthInvalid):
        Month.read(text)


def test_a_month_lies_between_two_midnights_in_nantong() -> None:
    june = Month(2026, 6)
    assert june.start_at == datetime(2026, 5, 31, 16, tzinfo=UTC)
    assert june.end_at == datetime(2026, 6, 30, 16, tzinfo=UTC)
    assert Month.of(june.start_at) == june == Month.of(datetime(2026, 6, 30, 15, 59, tzinfo=UTC))
    assert Month(2026, 12).plus(1) == Month(2027, 1)
    assert Month(2026, 1).plus(-1) == Month(2025, 12)


@given(
    st.integers(0, 10**17 - 1).map(lambda micros: EPOCH + timedelta(microseconds=micros)),
    st.integers(0, 9),
    st.integers(0, 10**17),
    st.integers(0, 9_999),
)
def test_a_mark_comes_back_as_it_was(at: datetime, source: int, row: int, no: int) -> None:
    mark = Mark(at, source, row, no)
    assert Mark.read(mark.write()) == mark


@pytest.mark.parametrize(
    "text", ["", "1-2-3", "1-2-3-4-5", "a-1-1-1", "100000000000000000-1-1-1", "1-1-1-٣"]
)
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Mark.read(text)


@pytest.mark.parametrize(
    ("on", "months", "until"),
    [
        (date(2026, 6, 18), 6, date(2026, 12, 18)),
        (date(2026, 8, 31), 6, date(2027, 3, 1)),  # not 28 February: never shorter
        (date(2024, 2, 29), 24, date(2026, 3, 1)),
        (date(2026, 12, 31), 6, date(2027, 7, 1)),
        (date(2026, 1, 31), 1, date(2026, 3, 1)),
    ],
)
def test_the_calendar_never_shortens_a_rule(on: date, months: int, until: date) -> None:
    assert rules.add_months(on, months) == until


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 60))
def test_so_many_months_later_is_never_earlier(on: date, months: int) -> None:
    later = rules.add_months(on, months)
    assert (later.year * 12 + later.month) - (on.year * 12 + on.month) >= months
    assert later.day in {on.day, 1}


def test_the_longest_rule_that_applies_keeps_a_record() -> None:
    day = date(2026, 6, 18)
    assert rules.keep(LAW, "purchases", {"STALL"}, day) == rules.Keeping(date(2028, 6, 18), "ours")
    of_processor = rules.keep(LAW, "purchases", {"PROCESSOR"}, day)
    assert of_processor == rules.Keeping(date(2028, 12, 18), "50")
    before = rules.keep(LAW, "purchases", {"PROCESSOR"}, date(2019, 12, 31))
    assert before.source == "ours"
    assert rules.longest_months(LAW) == 30


def test_fields_are_those_of_the_day() -> None:
    def asked(on: date) -> list[str]:
        return [known.field for known in rules.fields_on(LAW, LedgerKind.SALES, on)]

    assert asked(date(2023, 11, 30)) == ["owner_address"]
    assert asked(date(2023, 12, 1)) == ["market"]
    assert rules.fields_on(LAW, LedgerKind.PURCHASES, date(2026, 1, 1)) == []


def test_a_field_that_no_row_can_have_is_a_bug() -> None:
    with pytest.raises(KeyError):
        rules.missing(LAW.fields, {"partner_name": "x"}, entry=Entry.SALE)


@pytest.mark.parametrize(
    ("entry", "accepted_g", "counted"),
    [
        (Entry.PURCHASE, 5, 5),
        (Entry.PURCHASE, None, 0),
        (Entry.RETURNED_TO_SUPPLIER, 5, -5),
        (Entry.RETURNED_BY_BUYER, 5, -5),
        (Entry.RETURNED_BY_BUYER, None, 0),
        (Entry.DECLARED, 5, 5),
        (Entry.SALE, 0, 0),
    ],
)
def test_returns_take_off(entry: Entry, accepted_g: int | None, counted: int) -> None:
    assert rules.counted_g(entry, accepted_g) == counted


@pytest.mark.parametrize(
    ("entries", "volumes"), [(0, 1), (1, 1), (500, 1), (501, 2), (1000, 2), (1001, 3)]
)
def test_volumes_hold_all_entries(entries: int, volumes: int) -> None:
    assert rules.owed_volumes(entries, 500) == volumes


@pytest.mark.parametrize("text", ["=1+1", "+86", "-1", "@SUM(A1)", "\tx", "\r=1"])
def test_what_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert defused(text) == "'" + text


@pytest.mark.parametrize("text", ["", "韭菜", "A=1", "'x", "1-2", "王+李"])
def test_what_it_would_not_run_stays(text: str) -> None:
    assert defused(text) == text


@pytest.mark.parametrize(
    "wanted",
    ["/books/purchases", "/books/sales?month=2026-06", "/books/sales?month=2026-06&after=1-1-1-1"],
)
def test_a_sign_in_leads_on_to_a_page_of_ours(wanted: str) -> None:
    assert desk.following(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "//evil.example/books/sales",
        "https://evil.example/books/sales",
        "/books/sales/../../t/1",
        "/books/sales\r\nLocation: //evil.example",
        "/books/sales?next=//evil",
        "/me",
        "\\\\evil.example",
    ],
)
def test_a_sign_in_leads_nowhere_else(wanted: str) -> None:
    assert desk.following(wanted) == desk.HOME


def test_codes_of_ours_are_grouped_as_on_their_paper_and_other_numbers_stand() -> None:
    ours = shortcode.encode(0x1234_5678_9ABC)
    papers = [
        Voucher(kind="ticket", number=ours),
        Voucher(kind="quarantine", number="3206820012345678"),
        Voucher(kind="other", number="收据 12"),
    ]
    grouped = "-".join((ours[:4], ours[4:8], ours[8:12], ours[12:]))
    said = f"一票通 {grouped}；动物检疫证明 3206820012345678；其他凭证 收据 12"
    assert wording.vouchers(papers) == said
