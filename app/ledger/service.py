"""Opens ledgers: to whom they may be shown, with what, and what is recorded of it."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib import resources
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import DomainError, Text
from app.core.sealing import Vault
from app.core.snapshot import Snapshot
from app.ledger import queries, rules
from app.ledger.models import LedgerAccess, RetentionRule, StatutoryField
from app.ledger.queries import Found
from app.ledger.rules import Contacts, Entry, LedgerKind, Mark, Month, Standing, Statute
from app.ledger.schemas import (
    AskedField,
    LedgerHead,
    LedgerOwner,
    LedgerRow,
    Missing,
    Totals,
    Voucher,
)
from app.lot.schemas import Spelled
from app.party import queries as parties_read
from app.party import service as parties
from app.party.access import Caller, OtherParty, may_supervise
from app.party.models import Party
from app.party.queries import Contact
from app.place import service as places
from app.place.rules import Gazetteer, resolve
from app.product import service as products
from app.product.rules import Catalogue
from app.product.units import spell_mass

STATUTE_LASTS_S = 600
FILES = frozenset({"xlsx", "pdf"})
"""Forms that are kept and shown to an inspector: the law's contacts belong into them."""
ROWS_A_PAGE = 1_000
"""How many entries a file is made of at a time: memory stays the same however long the month."""
ROWS_A_VOLUME = 500
"""What one PDF holds: a second of typesetting, and as many pages as a folder takes."""


# --- the law's data -------------------------------------------------------------------------------


async def load_statute(session: AsyncSession) -> None:
    """Bring the tables of the law's data to the content of this release's file."""
    source = resources.files("app.ledger").joinpath("data/statute.json")
    data = json.loads(source.read_text(encoding="utf-8"))
    for model, rows in ((StatutoryField, data["fields"]), (RetentionRule, data["retention"])):
        # Nothing refers to these rows, so that what is no longer in the file can go.
        await session.execute(delete(model))
        await session.execute(insert(model), [_dated(row) for row in rows])
    statute.forget(session)


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        name: row[name] and date.fromisoformat(row[name]) for name in ("valid_from", "valid_to")
    }


async def _read_statute(session: AsyncSession) -> Statute:
    return Statute(
        fields=tuple(
            rules.Field(
                LedgerKind(row.ledger),
                row.field,
                row.place,
                Text(row.zh, row.en),
                row.valid_from,
                row.valid_to,
                row.source,
                row.verified,
            )
            for row in await session.scalars(
                select(StatutoryField).order_by(StatutoryField.ledger, StatutoryField.field)
            )
        ),
        retention=tuple(
            rules.Retention(
                row.record,
                row.role,
                row.basis,
                row.months,
                row.valid_from,
                row.valid_to,
                row.source,
                row.verified,
            )
            for row in await session.scalars(
                select(RetentionRule).order_by(RetentionRule.record, RetentionRule.role)
            )
        ),
    )


statute = Snapshot(_read_statute, lasts_s=STATUTE_LASTS_S)
"""Answers what the law asks of ledgers."""


# --- opening a ledger -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for what, in which form, and why.

    Attributes:
        owner: Public id of the party whose ledger it is; the caller's own if None.
        form: How it leaves: `json`, `xlsx`, `pdf`, `page`, `terminal`.
    """

    caller: Caller
    kind: LedgerKind
    month: Month
    form: str
    owner: UUID | None = None
    contacts: Contacts | None = None
    reason: str | None = None


@dataclass(slots=True)
class Ledger:
    """An opened ledger; `opened` fills with the parties whose contacts were told."""

    request: Request
    owner: Party
    is_own: bool
    contacts: Contacts
    head: LedgerHead
    statute: Statute
    catalogue: Catalogue
    gazetteer: Gazetteer
    roles: frozenset[str]
    vault: Vault | None
    opened: set[int] = field(default_factory=set)
    _divisions: dict[tuple[str, date], str] = field(default_factory=dict)
    _law: dict[date, tuple[list[rules.Field], rules.Keeping]] = field(default_factory=dict)

    def division(self, code: str, on: date) -> str:
        """Name a division as of a day; a long month asks for the same few again and again."""
        if (code, on) not in self._divisions:
            self._divisions[code, on] = _division(code, self.gazetteer, on)
        return self._divisions[code, on]

    def law(self, on: date) -> tuple[list[rules.Field], rules.Keeping]:
        """Answer what the law of a day asks for, and until when its entries are kept."""
        if on not in self._law:
            kind = self.request.kind
            self._law[on] = (
                rules.fields_on(self.statute, kind, on),
                rules.keep(self.statute, kind, self.roles, on),
            )
        return self._law[on]

    def address(self, contact: Contact, on: date) -> str | None:
        """Answer the address on file where it was opened; else the township or village."""
        if contact.address is not None or contact.division_code is None:
            return contact.address
        return self.division(contact.division_code, on)


async def open_ledger(
    session: AsyncSession, request: Request, *, vault: Vault, now: datetime
) -> Ledger:
    """Open a ledger for somebody who may see it, with its head and totals.

    The law makes a party keep its counterparts' contacts (FSL art. 65), so it may have them in
    full. An office sees them masked, and in full with a reason.

    Raises:
        UnknownParty: there is no such party.
        OtherParty: it is neither the caller's, nor in the caller's jurisdiction.
        ReasonMissing: an office wants contacts in full and does not say why.
    """
    owner = await _owner(session, request)
    is_own = owner.id == request.caller.party_id
    contacts = request.contacts or (
        Contacts.FULL if is_own and request.form in FILES else Contacts.MASKED
    )
    if contacts is Contacts.FULL and not is_own and not (request.reason or "").strip():
        raise rules.ReasonMissing(pointer="/query/reason")
    opener = vault if contacts is Contacts.FULL else None
    law = await statute(session)
    gazetteer = await places.gazetteer(session)
    sums = await queries.sums(session, request.kind, owner.id, request.month)
    own = (await parties_read.contacts(session, [owner.id], vault=opener))[owner.id]
    totals = _totals(sums)
    asked = _asked_in(law, request.kind, request.month)
    own_address = own.address or (
        None
        if own.division_code is None
        else _division(own.division_code, gazetteer, local_date(now))
    )
    told = LedgerOwner(party=own.public_id, name=own.name, phone=own.phone, address=own_address)
    return Ledger(
        request=request,
        owner=owner,
        is_own=is_own,
        contacts=contacts,
        head=LedgerHead(
            ledger=request.kind,
            month=str(request.month),
            owner=told,
            contacts=contacts,
            totals=totals,
            fields=[_asked(known) for known in asked],
            missing=_missing(
                asked,
                {
                    "owner_name": told.name,
                    "owner_phone": told.phone,
                    "owner_address": told.address,
                },
            ),
            volumes=rules.owed_volumes(totals.entries, ROWS_A_VOLUME),
        ),
        statute=law,
        catalogue=await products.catalogue(session),
        gazetteer=gazetteer,
        roles=await _roles(session, owner.id, request.month),
        vault=opener,
    )


async def _owner(session: AsyncSession, request: Request) -> Party:
    caller = request.caller
    if request.owner is None:
        return (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party]
    owner = await parties.find(session, request.owner)
    if owner.id != caller.party_id and not may_supervise(caller, owner.division_code):
        raise OtherParty(party=str(request.owner))
    return owner


async def _roles(session: AsyncSession, owner_id: int, month: Month) -> frozenset[str]:
    """Answer what a party was at the beginning of a month or at its end."""
    held = await parties.roles_of(session, owner_id)
    days = (month.first, month.plus(1).first - timedelta(days=1))
    return frozenset().union(*(parties.kinds_in_force(held, on) for on in days))


def _asked_in(law: Statute, kind: LedgerKind, month: Month) -> list[rules.Field]:
    """Answer the fields asked for at the beginning of a month, and those that come up in it."""
    by_name = {
        known.field: known
        for on in (month.first, month.plus(1).first)
        for known in rules.fields_on(law, kind, on)
    }
    return list(by_name.values())


def _asked(known: rules.Field) -> AskedField:
    return AskedField(
        field=known.field,
        zh=known.text.zh,
        en=known.text.en,
        source=known.source,
        verified=known.verified,
    )


def _totals(sums: Sequence[queries.Sum]) -> Totals:
    returned_g = sum(one.accepted_g for one in sums if one.entry in rules.RETURNS)
    accepted_g = sum(one.accepted_g for one in sums if one.entry not in rules.RETURNS)
    counts = dict.fromkeys(Standing, 0)
    for one in sums:
        counts[one.standing] += one.entries
    return Totals(
        entries=sum(counts.values()),
        counted_g=accepted_g - returned_g,
        counted=spelled(accepted_g - returned_g),
        accepted_g=accepted_g,
        returned_g=returned_g,
        pending=counts[Standing.PENDING],
        pending_g=sum(one.issued_g for one in sums if one.standing is Standing.PENDING),
        claimed=counts[Standing.CLAIMED],
        voided=counts[Standing.VOIDED],
    )


def spelled(mass_g: int) -> Spelled:
    """Spell grams in both units; a total of returns is negative."""
    mass, sign = spell_mass(abs(mass_g)), "-" if mass_g < 0 else ""
    return Spelled(zh=sign + mass.zh, en=sign + mass.en)


# --- its entries ----------------------------------------------------------------------------------


async def page(
    session: AsyncSession, ledger: Ledger, *, after: Mark | None, most: int, skip: int = 0
) -> tuple[list[LedgerRow], Mark | None]:
    """Read entries in order.

    Returns:
        The entries, and the mark to go on after; None at the end.
    """
    found = await queries.page(
        session,
        ledger.request.kind,
        ledger.owner.id,
        ledger.request.month,
        after=after,
        most=most + 1,  # one more tells whether there is a next page
        skip=skip,
    )
    shown = found[:most]
    rows = await _rows(session, ledger, shown)
    return rows, shown[-1].mark if len(found) > most else None


async def all_pages(session: AsyncSession, ledger: Ledger) -> AsyncIterator[list[LedgerRow]]:
    """Read a whole month, a thousand entries at a time."""
    after: Mark | None = None
    while True:
        rows, after = await page(session, ledger, after=after, most=ROWS_A_PAGE)
        yield rows
        if after is None:
            return


async def _rows(session: AsyncSession, ledger: Ledger, found: Sequence[Found]) -> list[LedgerRow]:
    partners = {one.partner_id for one in found if one.partner_id is not None}
    producers = {producer for one in found for producer in one.producer_ids}
    known = await parties_read.contacts(session, partners, vault=ledger.vault)
    if ledger.vault is not None:
        ledger.opened |= partners
    named = await parties.by_ids(session, producers)
    sites = await places.by_ids(
        session, {site for one in found for site in (one.market_id, one.stall_id) if site}
    )
    site_names = {site.id: site.name for site in sites.values()}
    return [
        _row(ledger, one, known, {party.id: party.name for party in named.values()}, site_names)
        for one in found
    ]


def _row(
    ledger: Ledger,
    one: Found,
    partners: Mapping[int, Contact],
    producers: Mapping[int, str],
    sites: Mapping[int, str],
) -> LedgerRow:
    on = local_date(one.mark.at)
    partner = None if one.partner_id is None else partners[one.partner_id]
    asked, keeping = ledger.law(on)
    product = ledger.catalogue.product(one.product_id).name
    values: dict[str, Any] = {
        "product": product,
        "quantity": f"{one.quantity.normalize():f}",
        "dated_on": on,
        "partner_name": partner and partner.name,
        "partner_phone": partner and partner.phone,
        "partner_address": partner and ledger.address(partner, on),
        "origin": [ledger.division(code, on) for code in one.division_codes],
        "market": one.market_id and sites[one.market_id],
        "stall": one.stall_id and sites[one.stall_id],
        "vouchers": list(_vouchers(one)),
    }
    return LedgerRow(
        **values,
        entry=one.entry,
        standing=one.standing,
        ticket=one.code,
        corrects=one.corrects,
        trade_name=one.trade_name or product,
        unit=one.unit,
        pieces=one.pieces,
        issued_g=one.issued_g,
        accepted_g=one.accepted_g,
        counted_g=rules.counted_g(one.entry, one.accepted_g),
        accepted=None if one.accepted_g is None else spelled(one.accepted_g),
        partner=partner and partner.public_id,
        producers=[producers[producer] for producer in one.producer_ids],
        # Prices are for the two parties and never leave to anybody else, offices included.
        price_fen=one.price_fen if ledger.is_own else None,
        price_unit=one.price_unit if ledger.is_own else None,
        decided_at=one.decided_at,
        reason=one.reason,
        keep_until=keeping.until,
        keep_source=keeping.source,
        missing=_missing(asked, values, entry=one.entry),
    )


def _missing(
    asked: Sequence[rules.Field], values: Mapping[str, Any], *, entry: Entry | None = None
) -> list[Missing]:
    return [
        Missing(field=wanted.field, zh=why.zh, en=why.en, source=wanted.source)
        for wanted, why in rules.missing(asked, values, entry=entry)
    ]


def _vouchers(one: Found) -> Iterable[Voucher]:
    if one.code is not None:
        yield Voucher(kind="ticket", number=one.code)
    seen: set[tuple[str, str]] = set()
    for paper in one.papers:
        name = (paper["kind"], paper["number"])
        if name not in seen:
            seen.add(name)
            yield Voucher(kind=paper["kind"], number=paper["number"])


def _division(code: str, gazetteer: Gazetteer, on: date) -> str:
    try:
        return resolve(code, on, gazetteer).name
    except DomainError:
        return code  # A code that named nothing on that day is still what was stated.


# --- what is recorded of it -----------------------------------------------------------------------


async def record_access(session: AsyncSession, ledger: Ledger, *, now: datetime) -> None:
    """Record a look into a ledger, before anything of it is told.

    A party's look into its own is nobody's business, unless it opened others' contacts.
    """
    if ledger.is_own and not ledger.opened:
        return
    request = ledger.request
    await session.execute(
        insert(LedgerAccess),
        [
            {
                "looked_at": now,
                "caller_id": request.caller.party_id,
                "account_id": request.caller.account_id,
                "owner_id": ledger.owner.id,
                "ledger": request.kind,
                "month_on": request.month.first,
                "form": request.form,
                "reason": request.reason,
                "opened_ids": sorted(ledger.opened),
            }
        ],
    )
