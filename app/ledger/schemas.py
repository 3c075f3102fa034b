"""Ledgers as they go out."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from app.core.schemas import Out
from app.ledger.rules import Contacts, Entry, LedgerKind, Standing
from app.lot.schemas import Spelled


class Voucher(Out):
    """A paper behind an entry: the ticket itself, a certificate, a document."""

    kind: str
    number: str


class Missing(Out):
    """A field that the law asks for and that an entry does not have, and why."""

    field: str
    zh: str
    en: str
    source: str = Field(description="The rule that asks for it.")


class LedgerRow(Out):
    """An entry of a ledger."""

    entry: Entry
    standing: Standing
    dated_on: date = Field(description="Day of the purchase, sale or return, in Shanghai.")
    ticket: str | None = Field(description="The ticket's short code; null for declared goods.")
    corrects: str | None = Field(description="The voided ticket that this one stands in for.")
    product: str = Field(description="The catalogue's name.")
    trade_name: str = Field(description="What the trade calls it.")
    quantity: str = Field(description="As it was spoken, on the ticket.")
    unit: str
    pieces: int | None
    issued_g: int = Field(description="Grams on the ticket.")
    accepted_g: int | None = Field(
        description="Grams that were accepted; null while the other side has not decided."
    )
    counted_g: int = Field(description="What the total takes: negative for a return.")
    accepted: Spelled | None
    partner: UUID | None = Field(description="The supplier, or the buyer; null for a walk-in.")
    partner_name: str | None
    partner_phone: str | None = Field(description="Masked unless `contacts` is `full`.")
    partner_address: str | None = Field(description="The division unless `contacts` is `full`.")
    origin: list[str]
    producers: list[str]
    market: str | None
    stall: str | None
    vouchers: list[Voucher]
    price_fen: int | None = Field(description="For the two parties only.")
    price_unit: str | None
    decided_at: datetime | None
    reason: str | None = Field(description="Why it was refused, accepted in part, or voided.")
    keep_until: date = Field(description="Until the day before this one it must be kept.")
    keep_source: str
    missing: list[Missing]


class LedgerOwner(Out):
    """Whose ledger it is."""

    party: UUID
    name: str
    phone: str | None
    address: str | None


class Totals(Out):
    """A month, added up; grams."""

    entries: int
    counted_g: int = Field(description="Accepted, less what was returned.")
    counted: Spelled
    accepted_g: int
    returned_g: int
    pending: int = Field(description="Entries that the other side has not decided about.")
    pending_g: int
    claimed: int = Field(description="Entries that rest on the seller's word alone.")
    voided: int


class AskedField(Out):
    """A field that the law asks for."""

    field: str
    zh: str
    en: str
    source: str
    verified: bool = Field(description="Whether somebody compared it with the official text.")


class LedgerHead(Out):
    """What a ledger says before its entries."""

    ledger: LedgerKind
    month: str
    owner: LedgerOwner
    contacts: Contacts
    totals: Totals
    fields: list[AskedField]
    missing: list[Missing] = Field(description="Of the head: what the owner has not on file.")
    volumes: int = Field(description="How many PDFs the month fills.")


class LedgerOut(LedgerHead):
    """A page of a ledger."""

    rows: list[LedgerRow]
    next: str | None = Field(description="Send it as `after` for the next page; null at the end.")
