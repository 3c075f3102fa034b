"""How documents are shown at the gate, and what a party scanned."""

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import books
from app.admission.books import Behind
from app.admission.schemas import (
    CertificateSummary,
    LineSummary,
    Named,
    TicketSummary,
)
from app.certificate import service as certificates
from app.certificate.models import Certificate
from app.certificate.rules import CertificateKind
from app.core.clock import local_date
from app.lot import service as lots
from app.lot.rules import LotState
from app.lot.schemas import Spelled
from app.party import identifiers
from app.party import service as parties
from app.party.access import Caller, may_supervise
from app.party.models import Party
from app.place import service as places
from app.place.rules import DivisionNotInForce, Gazetteer, UnknownDivision, resolve
from app.product import service as products
from app.product.units import spell_mass
from app.ticket import service as tickets
from app.ticket.models import Ticket
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus

# --- how it is shown ------------------------------------------------------------------------------


def named(party: Party, *, in_full: bool) -> Named:
    """Name a party; a natural person in full only for those it concerns."""
    if party.form != "natural" or in_full:
        return Named(party=party.public_id, name=party.name)
    return Named(party=None, name=identifiers.mask_name(party.name))


def spelled(mass_g: int) -> Spelled:
    """Spell a mass in both units and languages."""
    mass = spell_mass(mass_g)
    return Spelled(zh=mass.zh, en=mass.en)


def village(code: str | None, on: date, gazetteer: Gazetteer) -> str | None:
    """Name an origin from the county down, as it was called on a day."""
    if code is None:
        return None
    try:
        return resolve(code, on, gazetteer).name
    except (UnknownDivision, DivisionNotInForce):
        return code


def origin_of(lot: LotState, gazetteer: Gazetteer) -> str | None:
    """Name where a lot comes from."""
    return village(lot.division_code, lot.made_on or local_date(lot.created_at), gazetteer)


async def summarise_ticket(
    session: AsyncSession,
    ticket: Ticket,
    caller: Caller,
    *,
    status: TicketStatus | None,
    behind: Behind | None = None,
) -> TicketSummary:
    """Write what a ticket says, for whoever compares it with the goods.

    Args:
        session: The caller's session.
        ticket: The ticket.
        caller: Who scanned it.
        status: What had become of it when it was scanned.
        behind: What is behind it, if that was read a moment ago.
    """
    lines = await tickets.lines_of(session, ticket.id)
    if behind is None:
        drawn = await tickets.draws_of(session, ticket.id)
        states = await lots.states_by_id(session, (draw.lot_id for draw in drawn))
        part = await books.involved(session, [ticket], caller)
        behind = Behind(drawn, states, bool(part))
    catalogue = await products.catalogue(session)
    gazetteer = await places.gazetteer(session)
    known = await parties.by_ids(
        session, [party for party in (ticket.seller_id, ticket.buyer_id) if party is not None]
    )
    markets = await places.by_ids(session, [ticket.market_id] if ticket.market_id else [])
    seller = known[ticket.seller_id]
    in_full = may_supervise(caller, seller.division_code) or behind.involved
    origins: dict[int, dict[str, None]] = {line.no: {} for line in lines}
    for draw in behind.draws:
        if origin := origin_of(behind.lots[draw.lot_id], gazetteer):
            origins[draw.line_no][origin] = None
    return TicketSummary(
        id=ticket.public_id,
        code=ticket.code,
        kind=TicketKind(ticket.kind),
        seller=named(seller, in_full=in_full),
        buyer=None if ticket.buyer_id is None else named(known[ticket.buyer_id], in_full=in_full),
        buyer_kind=BuyerKind(ticket.buyer_kind),
        market=markets[ticket.market_id].name if ticket.market_id else None,
        status=status,
        sold_at=ticket.sold_at,
        expires_at=ticket.expires_at,
        mass_g=ticket.mass_g,
        mass=spelled(ticket.mass_g),
        lines=[
            LineSummary(
                no=line.no,
                product=line.product_id,
                product_name=catalogue.product(line.product_id).name,
                trade_name=line.trade_name,
                quantity=f"{line.quantity.normalize():f}",
                unit=line.unit,
                mass_g=line.mass_g,
                mass=spelled(line.mass_g),
                origins=list(origins[line.no]),
            )
            for line in lines
        ],
    )


async def summarise_certificate(
    session: AsyncSession, certificate: Certificate, caller: Caller, *, voided: bool
) -> CertificateSummary:
    """Write what a certificate says, for whoever compares it with the goods."""
    issuer = (await parties.by_ids(session, [certificate.issuer_id]))[certificate.issuer_id]
    catalogue = await products.catalogue(session)
    gazetteer = await places.gazetteer(session)
    kind = CertificateKind(certificate.kind)
    form = await certificates.form_in_force(session, kind, certificate.issued_at)
    mine = caller.party_id == issuer.id or may_supervise(caller, issuer.division_code)
    return CertificateSummary(
        id=certificate.public_id,
        code=certificate.code,
        kind=kind,
        title=Spelled(**form.wording["title"]),
        issuer=named(issuer, in_full=mine),
        product=certificate.product_id,
        product_name=catalogue.product(certificate.product_id).name,
        quantity=f"{certificate.quantity.normalize():f}",
        unit=certificate.unit,
        mass_g=certificate.mass_g,
        mass=spelled(certificate.mass_g),
        origin=village(certificate.division_code, certificate.issued_on, gazetteer),
        issued_at=certificate.issued_at,
        expires_at=certificate.expires_at,
        voided=voided,
    )


# --- scans ----------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """A scan with public ids for what it points at."""

    scan: UUID
    kind: str
    decision: str
    findings: list[dict[str, Any]]
    ticket: UUID | None
    certificate: UUID | None
    place: UUID | None
    scanned_at: datetime


_SCANS = text("""
    SELECT s.public_id, s.kind, s.decision, s.findings, t.public_id, c.public_id, p.public_id,
        s.scanned_at
    FROM scan s
    LEFT JOIN ticket t ON t.id = s.ticket_id
    LEFT JOIN certificate c ON c.id = s.certificate_id
    LEFT JOIN place p ON p.id = s.place_id
    WHERE s.party_id = :party AND (CAST(:before AS uuid) IS NULL OR s.id < (
        SELECT b.id FROM scan b WHERE b.public_id = :before AND b.party_id = :party
    ))
    ORDER BY s.id DESC LIMIT :most
""")


async def scans_of(
    session: AsyncSession, party_id: int, *, before: UUID | None, most: int
) -> list[Listed]:
    """List what a party scanned, newest first, from before a scan of its own on."""
    rows = await session.execute(_SCANS, {"party": party_id, "before": before, "most": most})
    return [Listed(*row) for row in rows]
