"""Reads what goes on paper, for those whom it concerns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import service as certificates
from app.certificate.models import Certificate
from app.certificate.rules import CertificateVoided, Form
from app.core.clock import local_date
from app.core.sealing import Vault
from app.label import rules, service
from app.label.schemas import LabelItemIn
from app.lot import service as lots
from app.lot.rules import LotState, NotHolder
from app.party import service as parties
from app.party.access import Caller, OtherParty
from app.place import service as places
from app.place.rules import Gazetteer, resolve
from app.product import service as products
from app.product.units import spell_mass
from app.signing import shortcode
from app.ticket import service as tickets
from app.ticket.models import Ticket, TicketDraw, TicketLine
from app.ticket.rules import TicketStatus, TicketVoided


@dataclass(frozen=True, slots=True)
class LineFacts:
    """A line of a ticket: as spoken, reckoned, and where it comes from."""

    name: str
    spoken: str
    mass_g: int
    origins: tuple[str, ...]
    certificates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """A ticket as paper tells it: no prices, for it goes through many hands.

    Attributes:
        buyer: None for a walk-in.
        site: The market and the stall, as far as the ticket names them.
    """

    ticket: Ticket
    seller: str
    buyer: str | None
    site: str
    lines: tuple[LineFacts, ...]


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate as its form asks for it; `contact` is empty where none is known."""

    certificate: Certificate
    form: Form
    issuer: str
    contact: str
    product: str
    origin: str


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What a label says beside its code.

    Attributes:
        path: Where the short address leads.
        code: The code to be typed.
        token: The digits of the signed code; empty where there is none.
        lines: Text, the most important first.
        blank: Whether the lines are to be filled in by hand.
    """

    path: str
    code: str
    token: str
    lines: tuple[str, ...]
    blank: bool = False


async def ticket(session: AsyncSession, public_id: UUID, caller: Caller) -> TicketFacts:
    """Read a ticket for its seller or its buyer.

    Raises:
        UnknownTicket: there is none.
        OtherParty: the caller is neither.
        TicketVoided: it was taken back.
    """
    found, state = await tickets.find(session, public_id)
    if caller.party_id not in {found.seller_id, found.buyer_id}:
        raise OtherParty(ticket=str(public_id))
    if state.status == TicketStatus.VOIDED:
        raise TicketVoided(ticket=str(public_id))
    lines = await tickets.lines_of(session, found.id)
    draws = await tickets.draws_of(session, found.id)
    known = await parties.by_ids(session, _known(found.seller_id, found.buyer_id))
    sites = await places.by_ids(session, _known(found.market_id, found.stall_id))
    named = [sites[site].name for site in (found.market_id, found.stall_id) if site is not None]
    return TicketFacts(
        found,
        known[found.seller_id].name,
        None if found.buyer_id is None else known[found.buyer_id].name,
        " ".join(named),
        await _lines(session, lines, draws, local_date(found.sold_at)),
    )


def _known(*ids: int | None) -> list[int]:
    return [known for known in ids if known is not None]


async def _lines(
    session: AsyncSession, lines: Sequence[TicketLine], draws: Sequence[TicketDraw], on: date
) -> tuple[LineFacts, ...]:
    goods = await lots.states_by_id(session, (draw.lot_id for draw in draws))
    vouchers = await certificates.by_ids(
        session, (voucher for draw in draws for voucher in draw.certificate_ids)
    )
    codes = {voucher.id: shortcode.show(voucher.code) for voucher in vouchers}
    gazetteer = await places.gazetteer(session)
    told = []
    for line in lines:
        drawn = [draw for draw in draws if draw.line_no == line.no]
        origins = (_origin(goods[draw.lot_id], gazetteer, on) for draw in drawn)
        covered = (codes[voucher] for draw in drawn for voucher in draw.certificate_ids)
        told.append(
            LineFacts(
                line.trade_name,
                f"{line.quantity.normalize():f} {line.unit}",
                line.mass_g,
                tuple(dict.fromkeys(origin for origin in origins if origin)),
                tuple(dict.fromkeys(covered)),
            )
        )
    return tuple(told)


def _origin(lot: LotState, gazetteer: Gazetteer, on: date) -> str:
    if lot.division_code is None:
        return ""
    return resolve(lot.division_code, lot.made_on or on, gazetteer).full_name


# Whether somebody bought goods under a certificate, and did not send them back unseen.
_BOUGHT_UNDER = text("""
    SELECT EXISTS (
        SELECT 1 FROM ticket t
        JOIN ticket_state s ON s.ticket_id = t.id
        JOIN ticket_draw d ON d.ticket_id = t.id
        WHERE t.buyer_id = :party AND :certificate = ANY (d.certificate_ids)
        AND s.status NOT IN ('refused', 'voided')
    )
""")


async def certificate(
    session: AsyncSession, public_id: UUID, caller: Caller, *, vault: Vault
) -> CertificateFacts:
    """Read a certificate for its issuer, or for whoever bought goods under it and must keep it.

    Raises:
        UnknownCertificate: there is none.
        OtherParty: the caller is neither.
        CertificateVoided: it was taken back.
    """
    found = await _certificate(session, public_id, caller)
    issuer = (await parties.by_ids(session, [found.issuer_id]))[found.issuer_id]
    lot = (await lots.states_by_id(session, [found.lot_id]))[found.lot_id]
    sealed = issuer.phone_sealed
    catalogue = await products.catalogue(session)
    return CertificateFacts(
        found,
        await certificates.form_of(session, found),
        issuer.name,
        "" if sealed is None else vault.open(sealed, purpose="party.phone"),
        catalogue.product(found.product_id).name,
        _origin(lot, await places.gazetteer(session), found.issued_on),
    )


async def _certificate(session: AsyncSession, public_id: UUID, caller: Caller) -> Certificate:
    found = await certificates.find(session, public_id)
    if found.issuer_id != caller.party_id:
        asked = {"party": caller.acting_party, "certificate": found.id}
        if not await session.scalar(_BOUGHT_UNDER, asked):
            raise OtherParty(certificate=str(public_id))
    if await certificates.voided(session, [found.id]):
        raise CertificateVoided(certificate=str(public_id))
    return found


async def labels(
    session: AsyncSession, items: Sequence[LabelItemIn], caller: Caller
) -> list[LabelFacts]:
    """Read what labels say, item by item.

    Raises:
        UnknownTicket, UnknownCertificate, UnknownLot: there is no such thing.
        OtherParty, NotHolder: it does not concern the caller.
        TicketVoided, CertificateVoided: it was taken back.
        LotWithoutCode: neither a certificate in force nor a label gives the lot a code.
    """
    told: list[LabelFacts] = []
    for item in items:
        if item.ticket is not None:
            told.append(_of_ticket(await ticket(session, item.ticket, caller)))
        elif item.certificate is not None:
            told.append(await _of_certificate(session, item.certificate, caller))
        else:
            assert item.lot is not None, "the schema wants one of the three"
            told.append(await _of_lot(session, item.lot, caller))
    return told


def _of_ticket(facts: TicketFacts) -> LabelFacts:
    first, *others = facts.lines
    more = f" 等 {len(facts.lines)} 种" if others else ""
    origins = dict.fromkeys(origin for line in facts.lines for origin in line.origins)
    return LabelFacts(
        shortcode.PATH,
        facts.ticket.code,
        facts.ticket.token,
        _present(
            first.name + more,
            f"整票 {spell_mass(facts.ticket.mass_g).zh}",
            next(iter(origins), "") + (" 等" if len(origins) > 1 else ""),
            f"{local_date(facts.ticket.sold_at)} 售出 sold",
        ),
    )


async def _of_certificate(session: AsyncSession, public_id: UUID, caller: Caller) -> LabelFacts:
    found = await _certificate(session, public_id, caller)
    lot = (await lots.states_by_id(session, [found.lot_id]))[found.lot_id]
    name = (await products.catalogue(session)).product(found.product_id).name
    return LabelFacts(
        shortcode.PATH,
        found.code,
        found.token,
        _present(
            name,
            f"整证 {spell_mass(found.mass_g).zh}",
            _origin(lot, await places.gazetteer(session), found.issued_on),
            f"{found.issued_on} 开具 issued",
        ),
    )


async def _of_lot(session: AsyncSession, public_id: UUID, caller: Caller) -> LabelFacts:
    lot = await lots.state_of(session, public_id)
    if lot.holder_id != caller.party_id:
        raise NotHolder(lot=str(public_id))
    path, code = rules.PATH, (await service.of_lots(session, [lot.id])).get(lot.id)
    if code is None:
        found = await certificates.newest_in_force(session, lot.certificate_ids)
        if found is None:
            raise rules.LotWithoutCode(lot=str(public_id))
        path, code = shortcode.PATH, found.code
    name = (await products.catalogue(session)).product(lot.product_id).name
    made = "" if lot.made_on is None else f"{lot.made_on} 采收或产出 made"
    origin = _origin(lot, await places.gazetteer(session), local_date(lot.created_at))
    return LabelFacts(
        path, code, "", _present(name, f"整批 {spell_mass(lot.mass_g).zh}", origin, made)
    )


def _present(*lines: str) -> tuple[str, ...]:
    return tuple(line for line in lines if line)
