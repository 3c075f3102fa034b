"""The rows of a year, put together as objects and numbered once all of them are there."""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from app.signing import shortcode

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
BEGIN: Final = datetime(2026, 2, 2, tzinfo=SHANGHAI).astimezone(UTC)
DAYS: Final = 364
END: Final = BEGIN + timedelta(days=DAYS)


@dataclass(slots=True, eq=False)
class Row:
    """A row; its id is its place among all of its table once they are sorted by `recorded_at`."""

    recorded_at: datetime
    public_id: uuid.UUID
    id: int = 0


@dataclass(slots=True, eq=False)
class Party(Row):
    """A person or organisation."""

    role: str = ""
    county: str = ""
    phone: bytes | None = None


@dataclass(slots=True, eq=False)
class Site(Row):
    """A place; `spot` is what it has as a point, and `true_spot` where it is."""

    kind: str = ""
    county: str = ""
    owner: Party | None = None
    parent: "Site | None" = None
    true_spot: tuple[float, float] = (0.0, 0.0)
    mapped: bool = False
    area_m2: int | None = None
    true_mu: float = 0.0
    next_day: int = -1


@dataclass(slots=True, eq=False)
class Lot(Row):
    """Goods."""

    product: int = 0
    origin: str = ""
    mass_g: int = 0
    holder: Party | None = None
    producer: Party | None = None
    plot: Site | None = None
    made_on: date | None = None
    certificates: "list[Certificate]" = field(default_factory=list)
    documents: list[dict[str, str]] = field(default_factory=list)
    parents: "list[Lot]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Certificate(Row):
    """A promise about a lot."""

    serial: int = 0
    lot: Lot | None = None
    mass_g: int = 0
    issued_at: datetime = BEGIN
    voided: bool = False


@dataclass(slots=True, eq=False)
class Ticket(Row):
    """A hand-over of one lot."""

    serial: int = 0
    kind: str = "sale"
    seller: Party | None = None
    buyer: Party | None = None
    market: Site | None = None
    lot: Lot | None = None
    mass_g: int = 0
    sold_at: datetime = BEGIN
    status: str = "issued"
    decided_at: datetime | None = None
    accepted_g: int = 0
    received: Lot | None = None
    planted: bool = False


@dataclass(slots=True, eq=False)
class Scan(Row):
    """A look at a code."""

    by: Party | None = None
    at: Site | None = None
    ticket: Ticket | None = None
    code: str = ""
    decision: str = "ADMIT"
    findings: Sequence[str] = ()
    device_at: datetime | None = None


@dataclass(slots=True, eq=False)
class Treatment(Row):
    """A pesticide on a plot."""

    plot: Site | None = None
    product: int | None = None
    substance: str = ""
    label_days: int | None = None
    applied_at: datetime = BEGIN


@dataclass(slots=True, eq=False)
class Hold(Row):
    """A lot that may not move."""

    lot: Lot | None = None
    by: Party | None = None
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A planted abuse.

    Attributes:
        rule: The rule that is meant to find it.
        strength: How blatant it is, in words of the abuse.
        subjects: What a warning about it would be about.
        plain: Whether it goes beyond what honest people of this year do too. No rule can tell the
            others from honest trade without accusing it.
    """

    rule: str
    strength: str
    subjects: frozenset[str]
    plain: bool


@dataclass
class World:
    """All rows of a year."""

    chance: random.Random
    parties: list[Party] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    treatments: list[Treatment] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    views: list[tuple[int, datetime, int]] = field(default_factory=list)
    weeks: list[tuple[int, str, date, int, int]] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    def new_id(self) -> uuid.UUID:
        """Make a public id from the seed."""
        return uuid.UUID(int=self.chance.getrandbits(128), version=4)

    def serial(self) -> int:
        """Make a serial from the seed."""
        return self.chance.getrandbits(63)

    def party(self, role: str, county: str, *, phone: bytes | None = None) -> Party:
        """Register somebody before the year begins."""
        party = Party(
            BEGIN - timedelta(days=self.chance.randint(1, 300)),
            self.new_id(),
            role=role,
            county=county,
            phone=phone or self.chance.randbytes(32),
        )
        self.parties.append(party)
        return party

    def site(self, kind: str, county: str, spot: tuple[float, float], **more: Any) -> Site:
        """Register a place."""
        site = Site(BEGIN, self.new_id(), kind=kind, county=county, true_spot=spot, **more)
        self.sites.append(site)
        return site

    def lot(self, at: datetime, **what: Any) -> Lot:
        """Record a lot."""
        lot = Lot(at, self.new_id(), **what)
        self.lots.append(lot)
        return lot

    def certify(self, lot: Lot, mass_g: int, *, dated: datetime, recorded: datetime) -> Certificate:
        """Issue a certificate, which may be dated otherwise than recorded."""
        certificate = Certificate(
            recorded,
            self.new_id(),
            serial=self.serial(),
            lot=lot,
            mass_g=mass_g,
            issued_at=dated,
        )
        self.certificates.append(certificate)
        lot.certificates.append(certificate)
        return certificate

    def sell(
        self,
        lot: Lot,
        mass_g: int,
        buyer: Party | None,
        sold_at: datetime,
        *,
        recorded: datetime | None = None,
        **more: Any,
    ) -> Ticket:
        """Issue a ticket; nobody sells what is not in the books yet."""
        at = max(recorded or sold_at, lot.recorded_at + timedelta(seconds=30))
        if lot.certificates:
            at = max(at, max(c.recorded_at for c in lot.certificates) + timedelta(seconds=30))
        ticket = Ticket(
            at,
            self.new_id(),
            serial=self.serial(),
            seller=lot.holder,
            buyer=buyer,
            lot=lot,
            mass_g=mass_g,
            sold_at=sold_at,
            **more,
        )
        self.tickets.append(ticket)
        return ticket

    def accept(self, ticket: Ticket, at: datetime, mass_g: int | None = None) -> Lot | None:
        """Let the buyer take some or all of a ticket; answer the buyer's lot."""
        at = max(at, ticket.recorded_at + timedelta(seconds=20))
        ticket.decided_at = at
        ticket.accepted_g = ticket.mass_g if mass_g is None else mass_g
        if not ticket.accepted_g:
            ticket.status = "refused"
            return None
        ticket.status = "accepted" if ticket.accepted_g == ticket.mass_g else "accepted_in_part"
        source = ticket.lot
        assert source is not None, "every ticket is of a lot"
        ticket.received = self.lot(
            at,
            product=source.product,
            origin="return" if ticket.kind == "return" else "purchase",
            mass_g=ticket.accepted_g,
            holder=ticket.buyer,
            producer=source.producer,
            made_on=source.made_on,
            certificates=list(source.certificates),
            parents=[source],
        )
        return ticket.received

    def scan(self, ticket: Ticket | None, by: Party, seen_at: datetime, **more: Any) -> Scan:
        """Look at a code."""
        code = shortcode.encode(ticket.serial) if ticket else more.pop("code")
        scan = Scan(
            more.pop("recorded", seen_at), self.new_id(), by=by, ticket=ticket, code=code, **more
        )
        self.scans.append(scan)
        return scan

    def number(self) -> None:
        """Number all rows in the order of their recording."""
        tables: Sequence[Sequence[Row]] = (
            self.parties,
            self.sites,
            self.lots,
            self.certificates,
            self.tickets,
            self.scans,
            self.treatments,
            self.holds,
        )
        for rows in tables:
            for number, row in enumerate(sorted(rows, key=lambda row: row.recorded_at), start=1):
                row.id = number
