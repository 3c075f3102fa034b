"""What a ledger counts, what it must say, and until when it must be kept."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import ClassVar, Final, Self

from app.core import dated
from app.core.clock import SHANGHAI, local_date
from app.core.errors import DomainError, Kind, Text

EVERY: Final = "*"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LedgerKind(StrEnum):
    """Which of the two statutory ledgers."""

    PURCHASES = "purchases"
    SALES = "sales"


class Entry(StrEnum):
    """What an entry of a ledger records."""

    PURCHASE = "purchase"
    DECLARED = "declared"  # goods that came without a ticket, as their holder declared them
    RETURNED_TO_SUPPLIER = "returned_to_supplier"
    SALE = "sale"
    RETURNED_BY_BUYER = "returned_by_buyer"


RETURNS: Final = frozenset({Entry.RETURNED_TO_SUPPLIER, Entry.RETURNED_BY_BUYER})
"""Entries whose grams are taken off the total."""


class Standing(StrEnum):
    """What became of an entry."""

    ACCEPTED = "accepted"
    ACCEPTED_IN_PART = "accepted_in_part"
    PENDING = "pending"  # the other side has not decided: nothing is counted yet
    CLAIMED = "claimed"  # handed over one-sidedly: counted on the seller's word
    REFUSED = "refused"
    VOIDED = "voided"
    DECLARED = "declared"


class Contacts(StrEnum):
    """Whether phones and addresses are shown."""

    MASKED = "masked"
    FULL = "full"


class MonthInvalid(DomainError):
    """A ledger is asked for by month."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "month-invalid"
    title: ClassVar[Text] = Text("月份格式不正确", "This is not a month")
    next_step: ClassVar[Text] = Text(
        "请写成 2026-06 这样的年月", "Write the year and the month, as in 2026-06"
    )


class CursorInvalid(DomainError):
    """A page is asked for by what the former page answered."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "cursor-invalid"
    title: ClassVar[Text] = Text("翻页标记无效", "This is no mark of a next page")
    next_step: ClassVar[Text] = Text("请从第一页重新翻起", "Begin with the first page again")


class ReasonMissing(DomainError):
    """An office that opens others' phones and addresses says why."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "reason-missing"
    title: ClassVar[Text] = Text(
        "查看完整联系方式须说明理由", "Opening full contacts needs a reason"
    )
    next_step: ClassVar[Text] = Text(
        "请填写查看理由，该次查看会被记录", "State the reason; the look is recorded with it"
    )


class UnknownVolume(DomainError):
    """The month has fewer volumes."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-volume"
    title: ClassVar[Text] = Text("没有这一册", "There is no such volume")
    next_step: ClassVar[Text] = Text("请从第 1 册开始", "Begin with volume 1")


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar in Shanghai."""

    year: int
    number: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `2026-06`.

        Raises:
            MonthInvalid: it is written otherwise, or there is no such month.
        """
        found = re.fullmatch(r"([0-9]{4})-([0-9]{2})", text)
        if found is None:
            raise MonthInvalid
        year, number = int(found[1]), int(found[2])
        # 2000 is before every rule that the ledgers know; 2200 is beyond every retention.
        if not (2000 <= year <= 2200 and 1 <= number <= 12):
            raise MonthInvalid
        return cls(year, number)

    @classmethod
    def of(cls, instant: datetime) -> Self:
        """Answer the month that an instant lies in."""
        day = local_date(instant)
        return cls(day.year, day.month)

    def plus(self, months: int) -> "Month":
        """Answer the month so many months later, or earlier."""
        index = self.year * 12 + self.number - 1 + months
        return Month(index // 12, index % 12 + 1)

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def start_at(self) -> datetime:
        """Its first instant."""
        return datetime.combine(self.first, time(), SHANGHAI).astimezone(UTC)

    @property
    def end_at(self) -> datetime:
        """The first instant after it."""
        return self.plus(1).start_at

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an entry stands in its ledger: the order of entries, and what a page goes on after."""

    at: datetime
    source: int
    id: int
    no: int

    def write(self) -> str:
        """Write it for a client, who sends it back as it is."""
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        return f"{micros}-{self.source}-{self.id}-{self.no}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `write` wrote.

        Raises:
            CursorInvalid: it did not.
        """
        found = re.fullmatch(r"(\d{1,17})-(\d)-(\d{1,18})-(\d{1,4})", text, re.ASCII)
        if found is None:
            raise CursorInvalid
        micros, source, row, no = (int(part) for part in found.groups())
        # Seventeen digits of microseconds end in the year 5138, which every date here can be.
        at = datetime.fromtimestamp(micros // 1_000_000, UTC)
        return cls(at.replace(microsecond=micros % 1_000_000), source, row, no)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a ledger must have, and by what rule."""

    ledger: LedgerKind
    field: str
    place: str
    text: Text
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many months a record must be kept at least."""

    record: str
    role: str
    basis: str
    months: int
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Statute:
    """What the law, and the platform's own longer rules, ask of ledgers."""

    fields: tuple[Field, ...]
    retention: tuple[Retention, ...]


@dataclass(frozen=True, slots=True)
class Keeping:
    """Until when a record must be kept, and by what rule."""

    until: date
    source: str


def fields_on(statute: Statute, ledger: LedgerKind, on: date) -> list[Field]:
    """Answer the fields that a ledger must have on a day."""
    return [
        known
        for known in statute.fields
        if known.ledger is ledger and dated.in_force(known.valid_from, known.valid_to, on)
    ]


def keep(statute: Statute, record: str, roles: Collection[str], on: date) -> Keeping:
    """Answer until when a record of a day must be kept: the longest of all rules that apply.

    Args:
        statute: The rules.
        record: What is kept (`purchases`, …).
        roles: What its keeper is.
        on: The day that the record is about, whose rules apply.
    """
    applying = [
        rule
        for rule in statute.retention
        if rule.record in {record, EVERY}
        and (rule.role == EVERY or rule.role in roles)
        and dated.in_force(rule.valid_from, rule.valid_to, on)
    ]
    longest = max(applying, key=lambda rule: (rule.months, rule.basis == "law"))
    return Keeping(add_months(on, longest.months), longest.source)


def longest_months(statute: Statute) -> int:
    """Answer for how many months the longest of all rules, past ones too, keeps a record.

    Events and log entries stand behind every kind of record, so no rule may be shorter for them.
    """
    return max(rule.months for rule in statute.retention)


def add_months(on: date, months: int) -> date:
    """Answer the same day of a later month; the last of a shorter one is the first after it.

    Half a year from 31 August ends on 1 March: a rule is never shortened by the calendar.
    """
    index = on.year * 12 + on.month - 1 + months
    year, month = index // 12, index % 12 + 1
    try:
        return date(year, month, on.day)
    except ValueError:
        return date(year + month // 12, month % 12 + 1, 1)


def counted_g(entry: Entry, accepted_g: int | None) -> int:
    """Answer what an entry adds to its ledger's total, in grams; a return takes off."""
    return (-1 if entry in RETURNS else 1) * (accepted_g or 0)


# Why a field is empty, where nothing better is known of the entry.
WHY: Final[Mapping[str, Text]] = {
    "partner_name": Text("未登记名称", "No name is on file"),
    "partner_address": Text("对方未登记地址", "The other party has no address on file"),
    "partner_phone": Text("对方未登记电话", "The other party has no phone on file"),
    "vouchers": Text("无凭证", "No voucher"),
    "origin": Text("由多个产地混合，见追溯", "Mixed of several origins: see the trace"),
    "market": Text("不在批发市场内交易", "Not sold in a wholesale market"),
    "stall": Text("票据未写明摊位", "The ticket names no stall"),
    "owner_phone": Text("本单位未登记电话", "Your own phone is not on file"),
    "owner_address": Text("本单位未登记地址", "Your own address is not on file"),
}
WALK_IN: Final = Text("散客，依法无须登记", "A walk-in buyer, of whom nothing is kept")
UNNAMED: Final = Text("申报时未写明供货者", "The declaration names no supplier")


def missing(
    fields: Iterable[Field],
    values: Mapping[str, object],
    *,
    entry: Entry | None,
) -> list[tuple[Field, Text]]:
    """Answer the fields of a row, or of the head, that must be there and are not, and why.

    Args:
        fields: What the law of the day asks for.
        values: What the row has, by field; a field that no row can have is a bug.
        entry: What the row records; None for the head.
    """
    place = "head" if entry is None else "row"
    found = []
    for wanted in fields:
        if wanted.place != place or values[wanted.field] not in (None, "", [], ()):
            continue
        why = WHY[wanted.field]
        if wanted.field.startswith("partner_") and values["partner_name"] is None:
            why = UNNAMED if entry is Entry.DECLARED else WALK_IN
        found.append((wanted, why))
    return found


def owed_volumes(entries: int, entries_a_volume: int) -> int:
    """Answer how many volumes a month fills; an empty month has one, which says so."""
    return max(1, -(-entries // entries_a_volume))
