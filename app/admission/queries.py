"""What the books know about a scanned code, and how a ticket is shown at the gate."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission.policy import Proof, Trait
from app.admission.rules import Code, CodeKind, Goods, Paper, TestFact, TestOutcome
from app.admission.schemas import (
    CertificateSummary,
    LineSummary,
    Named,
    TicketSummary,
)
from app.certificate import service as certificates
from app.certificate.models import Certificate
from app.certificate.rules import CONFORMITY, Act, CertificateKind
from app.core import dated
from app.core.clock import local_date
from app.label import service as labels
from app.lot import service as lots
from app.lot.rules import LotState
from app.lot.schemas import DocumentKind, Spelled
from app.party import identifiers
from app.party import service as parties
from app.party.access import Audience, Caller, may_supervise
from app.party.models import Party
from app.place import service as places
from app.place.rules import DivisionNotInForce, Gazetteer, UnknownDivision, resolve
from app.product import service as products
from app.product.rules import Production
from app.product.units import spell_mass
from app.signing.token import TokenType
from app.testing import service as testing
from app.testing.rules import Lineage, inherit
from app.testing.rules import Verdict as Standing
from app.ticket import service as tickets
from app.ticket.models import Ticket, TicketDraw, TicketState
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus

ANCESTORS_MAX = 10_000
_CERTIFIED_SALES = frozenset({TicketKind.SALE, TicketKind.ORIGIN})
_VOUCHERS = ("purchase_voucher", "foreign_trace_code", "import")
_PROOFS_OF = {
    DocumentKind.QUARANTINE: Proof.QUARANTINE,
    DocumentKind.MEAT_INSPECTION: Proof.MEAT_INSPECTION,
    DocumentKind.IMPORT: Proof.IMPORT_INSPECTION,
    DocumentKind.PURCHASE_VOUCHER: Proof.PURCHASE_VOUCHER,
    DocumentKind.LAB_REPORT: Proof.LAB_REPORT,
    DocumentKind.FOREIGN_TRACE_CODE: Proof.FOREIGN_TRACE_CODE,
}
"""What a document proves that a seller named by its number, without its dates."""


class FoundTicket(NamedTuple):
    """A ticket of the books."""

    ticket: Ticket
    state: TicketState


@dataclass(frozen=True, slots=True)
class Found:
    """The document that a code stands for; at most one of the two."""

    ticket: FoundTicket | None = None
    certificate: Certificate | None = None

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.ticket is not None or self.certificate is not None


async def find(session: AsyncSession, code: Code) -> Found:
    """Find the document of a token whose signature was checked, or of a short code.

    A token counts as known only if the books hold exactly this one: with a stolen key somebody
    could sign other content under a serial that exists.
    """
    if code.kind is CodeKind.SHORT_CODE:
        if found := await tickets.find_by_code(session, code.reference):
            return Found(ticket=FoundTicket(*found))
        if known := await certificates.find_by_code(session, code.reference):
            return Found(certificate=known)
        return await _behind_label(session, code.reference)
    assert code.parsed is not None, "only tokens and short codes name documents"
    claims = code.parsed.claims
    if claims.type is TokenType.TICKET:
        issued = await tickets.find_by_serial(session, claims.serial)
        if issued is not None and issued[0].token == code.reference:
            return Found(ticket=FoundTicket(*issued))
    elif claims.type is TokenType.ORIGIN_CERTIFICATE:
        certificate = await certificates.find_by_serial(session, claims.serial)
        if certificate is not None and certificate.token == code.reference:
            return Found(certificate=certificate)
    return Found()


async def _behind_label(session: AsyncSession, code: str) -> Found:
    """Find the ticket that a blank label was bound to, or the certificate of its lot."""
    _, binding = await labels.look(session, code)
    if binding is None:
        return Found()
    if binding.ticket_id is not None:
        return Found(ticket=FoundTicket(*await tickets.by_id(session, binding.ticket_id)))
    assert binding.lot_id is not None, "a binding is to one of the two"
    lot = (await lots.states_by_id(session, [binding.lot_id]))[binding.lot_id]
    return Found(certificate=await certificates.newest_in_force(session, lot.certificate_ids))


# --- what bears on a verdict ----------------------------------------------------------------------

# The lots behind a document and all that went into them: those on hold, and beginnings that nobody
# is known to have produced, unless a voucher on paper came with them.
_BEHIND = text("""
    WITH RECURSIVE walk (id) AS (
        SELECT unnest(CAST(:lots AS bigint[]))
        UNION SELECT e.src FROM walk w JOIN lot_edge e ON e.dst = w.id
    ), met AS MATERIALIZED (SELECT id FROM walk LIMIT :most)
    SELECT l.id, l.public_id, coalesce(b.holds, 0) > 0
    FROM met JOIN lot l ON l.id = met.id LEFT JOIN lot_balance b ON b.lot_id = l.id
    WHERE b.holds > 0 OR (
        l.origin = 'declare' AND l.producer_id IS NULL AND NOT EXISTS (
            SELECT 1 FROM jsonb_array_elements(l.documents) d
            WHERE d ->> 'kind' = ANY(CAST(:vouchers AS text[]))
        )
    )
    ORDER BY l.id
""")


async def _behind(session: AsyncSession, paper: Paper, lot_ids: Iterable[int]) -> Paper:
    """Add what is on hold behind a paper, and what proves where its goods come from."""
    near = set(lot_ids)
    rows = await session.execute(
        _BEHIND, {"lots": sorted(near), "most": ANCESTORS_MAX, "vouchers": list(_VOUCHERS)}
    )
    held: list[UUID] = []
    sources_held: list[UUID] = []
    sourceless: list[UUID] = []
    for lot_id, public_id, on_hold in rows:
        if not on_hold:
            sourceless.append(public_id)
        elif lot_id in near:
            held.append(public_id)
        else:
            sources_held.append(public_id)
    # A chain that begins with goods of nobody proves nothing, however many tickets are in it.
    goods = tuple(
        replace(item, sourceless=tuple(sourceless))
        if sourceless
        else replace(item, proofs=item.proofs | {Proof.TICKET})
        for item in paper.goods
    )
    return replace(paper, held=tuple(held), sources_held=tuple(sources_held), goods=goods)


async def paper_of_ticket(
    session: AsyncSession, found: FoundTicket, caller: Caller, *, at: datetime
) -> Paper:
    """Gather what bears on a verdict about a ticket, as its state was at an instant.

    An inspection may be told of hours later, when the buyer has long accepted the goods.
    """
    ticket, state = found
    draws = await tickets.draws_of(session, ticket.id)
    receipts = await tickets.receipts_of(session, ticket.id)
    known = {
        row.id: row
        for row in await certificates.by_ids(
            session, (number for draw in draws for number in draw.certificate_ids)
        )
    }
    voided = {
        number
        for number, instant in (await certificates.voided(session, known)).items()
        if instant <= at
    }
    status = status_at(state, at)
    paper = Paper(
        status=status,
        expires_at=ticket.expires_at,
        voided=status is TicketStatus.VOIDED,
        addressed=ticket.buyer_id is None
        or caller.supervises
        or await is_involved(session, ticket, caller),
        plate=ticket.plate,
        goods=await _goods(session, ticket, draws, known, voided, at=at),
        voided_certificates=tuple(row.public_id for row in known.values() if row.id in voided),
    )
    received = {receipt.received_lot_id for receipt in receipts if receipt.received_lot_id}
    return await _behind(session, paper, {draw.lot_id for draw in draws} | received)


def status_at(state: TicketState, at: datetime) -> TicketStatus:
    """Answer what had become of a ticket at an instant."""
    status = TicketStatus(state.status)
    if status is TicketStatus.VOIDED and state.voided_at is not None and state.voided_at > at:
        return TicketStatus.ISSUED
    if state.decided_at is not None and state.decided_at > at and state.voided_at is None:
        return TicketStatus.ISSUED
    return status


# What went into lots, all the way back, for what tests of ancestors say of them.
_LINEAGE = text("""
    WITH RECURSIVE walk (id) AS (
        SELECT unnest(CAST(:lots AS bigint[]))
        UNION SELECT e.src FROM walk w JOIN lot_edge e ON e.dst = w.id
    ), met AS MATERIALIZED (SELECT id FROM walk LIMIT :most)
    SELECT l.id, l.product_id, array(
        SELECT e.src FROM lot_edge e JOIN met m ON m.id = e.src WHERE e.dst = l.id
    )
    FROM met JOIN lot l ON l.id = met.id
""")
_OUTCOMES = {
    Standing.FAILED: TestOutcome.FAILED,
    Standing.SUSPECT: TestOutcome.SUSPECT,
    # A value for which no limit is set says nothing for the goods, and nothing against them.
    Standing.PASSED: TestOutcome.PASSED,
}


async def tests_of(
    session: AsyncSession, lot_ids: Iterable[int], at: datetime
) -> Mapping[int, tuple[TestFact, ...]]:
    """Answer what was known of tests of lots, and of what went into them, at an instant."""
    asked = sorted(set(lot_ids))
    rows = list(await session.execute(_LINEAGE, {"lots": asked, "most": ANCESTORS_MAX}))
    lineage = Lineage(
        parents={row[0]: tuple(row[2]) for row in rows},
        products={row[0]: row[1] for row in rows},
    )
    own = await testing.standings(session, list(lineage.parents), at)
    found = {}
    for lot in asked:
        standing = inherit(lot, own, lineage)
        if (outcome := _OUTCOMES.get(standing.verdict)) is not None:
            found[lot] = (TestFact(outcome, str(standing.sample)),)
    return found


async def _goods(
    session: AsyncSession,
    ticket: Ticket,
    draws: Sequence[TicketDraw],
    known: Mapping[int, Certificate],
    voided: Collection[int],
    *,
    at: datetime,
) -> tuple[Goods, ...]:
    on = local_date(ticket.sold_at)
    catalogue = await products.catalogue(session)
    states = await lots.states_by_id(session, (draw.lot_id for draw in draws))
    tested = await tests_of(session, states, at)
    # What goes back, or from one store to another, is no sale: no certificate is due.
    certified = ticket.kind in _CERTIFIED_SALES
    advised = certified and await _is_advised(session, ticket.seller_id, on)
    papers = [*ticket.documents]
    goods = []
    for draw in draws:
        lot = states[draw.lot_id]
        needed = catalogue.requirement(
            lot.product_id, Production(lot.production or Production.ANY), on
        )
        in_force = any(
            known[number].kind in CONFORMITY and number not in voided
            for number in draw.certificate_ids
        )
        proofs = _proofs(papers, lot)
        if in_force and draw.cover_g >= draw.mass_g:
            proofs |= {Proof.CONFORMITY_CERTIFICATE, Proof.CERTIFICATE_BASIS}
        goods.append(
            Goods(
                lot=lot.public_id,
                product=lot.product_id,
                mass_g=draw.mass_g,
                on=on,
                needs=needed.requirement if needed and certified else None,
                needs_source=needed.source if needed and certified else "",
                proofs=frozenset(proofs),
                traits=frozenset({Trait.ADVISED})
                if advised and lot.producer_id == ticket.seller_id
                else frozenset(),
                tests=tested.get(lot.id, ()),
            )
        )
    return tuple(goods)


def _proofs(papers: Iterable[Mapping[str, Any]], lot: LotState) -> set[Proof]:
    kinds = {str(document.get("kind")) for document in (*papers, *lot.documents)}
    found = {proof for kind, proof in _PROOFS_OF.items() if kind in kinds}
    return found if lot.producer_id is None else found | {Proof.PRODUCER_KNOWN}


async def _is_advised(session: AsyncSession, seller_id: int, on: date) -> bool:
    """Whether the law of the day encourages this seller to certify, and does not oblige him."""
    roles: frozenset[str] = frozenset(await parties.role_kinds(session, seller_id, on))
    duties = {
        duty.duty
        for duty in await certificates.duties(session)
        if duty.act is Act.SELL
        and duty.role in roles
        and dated.in_force(duty.valid_from, duty.valid_to, on)
    }
    return duties == {"should"}


_IN_MARKET = text("""
    SELECT EXISTS (
        SELECT 1 FROM place p WHERE p.id = :market AND (p.party_id = :party OR EXISTS (
            SELECT 1 FROM party_role o
            WHERE o.party_id = :party AND o.kind = 'MARKET' AND o.place_id = p.id
        ))
    ) OR EXISTS (
        SELECT 1 FROM party_role r
        JOIN place p ON p.id = r.place_id
        LEFT JOIN place m ON m.id = p.parent_id
        WHERE r.party_id = :buyer AND :party IN (p.party_id, m.party_id)
            AND r.valid_from <= :on AND (r.valid_to IS NULL OR :on < r.valid_to)
    )
""")


async def is_involved(session: AsyncSession, ticket: Ticket, caller: Caller) -> bool:
    """Whether the scanner has a part in a ticket.

    Its seller and its buyer have, the market that it names, and the market in which its buyer has
    a place: not every seller writes down where the stall is.
    """
    if caller.party_id in {ticket.seller_id, ticket.buyer_id} and caller.party_id is not None:
        return True
    if Audience.MARKET not in caller.audiences:
        return False
    parameters = {
        "market": ticket.market_id,
        "buyer": ticket.buyer_id,
        "party": caller.party_id,
        "on": local_date(ticket.sold_at),
    }
    return bool(await session.scalar(_IN_MARKET, parameters))


async def paper_of_certificate(
    session: AsyncSession, certificate: Certificate, *, at: datetime
) -> Paper:
    """Gather what bears on a verdict about goods that come with nothing but a certificate."""
    kind = CertificateKind(certificate.kind)
    lot = (await lots.states_by_id(session, [certificate.lot_id]))[certificate.lot_id]
    on = local_date(certificate.issued_at)
    needed = (await products.catalogue(session)).requirement(
        lot.product_id, Production(lot.production or Production.ANY), on
    )
    proofs = _proofs((), lot)
    proofs |= (
        {Proof.CONFORMITY_CERTIFICATE, Proof.CERTIFICATE_BASIS}
        if kind in CONFORMITY
        else {Proof.ORIGIN_PROOF}
    )
    goods = Goods(
        lot=lot.public_id,
        product=lot.product_id,
        mass_g=certificate.mass_g,
        on=on,
        needs=None if needed is None else needed.requirement,
        needs_source="" if needed is None else needed.source,
        proofs=frozenset(proofs),
        tests=(await tests_of(session, [lot.id], at)).get(lot.id, ()),
    )
    taken_back = (await certificates.voided(session, [certificate.id])).get(certificate.id)
    paper = Paper(
        status=None,
        certificate=kind,
        voided=taken_back is not None and taken_back <= at,
        expires_at=certificate.expires_at,
        goods=(goods,),
    )
    return await _behind(session, paper, [certificate.lot_id])


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
    session: AsyncSession, ticket: Ticket, caller: Caller, *, status: TicketStatus | None
) -> TicketSummary:
    """Write what a ticket says, for whoever compares it with the goods.

    Args:
        session: The caller's session.
        ticket: The ticket.
        caller: Who scanned it.
        status: What had become of it when it was scanned.
    """
    lines = await tickets.lines_of(session, ticket.id)
    draws = await tickets.draws_of(session, ticket.id)
    states = await lots.states_by_id(session, (draw.lot_id for draw in draws))
    catalogue = await products.catalogue(session)
    gazetteer = await places.gazetteer(session)
    known = await parties.by_ids(
        session, [party for party in (ticket.seller_id, ticket.buyer_id) if party is not None]
    )
    markets = await places.by_ids(session, [ticket.market_id] if ticket.market_id else [])
    seller = known[ticket.seller_id]
    in_full = may_supervise(caller, seller.division_code) or await is_involved(
        session, ticket, caller
    )
    origins: dict[int, dict[str, None]] = {line.no: {} for line in lines}
    for draw in draws:
        if origin := origin_of(states[draw.lot_id], gazetteer):
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
