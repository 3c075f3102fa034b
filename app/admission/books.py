"""What the books know about codes, read for a whole vehicle in as many statements as for one."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import doubts, rules
from app.admission.doubts import Doubts
from app.admission.policy import Doubt, Proof, Trait
from app.admission.rules import (
    Certified,
    Code,
    CodeKind,
    Doubted,
    Goods,
    Paper,
    Stated,
    TestFact,
    TestOutcome,
)
from app.certificate import service as certificates
from app.certificate.models import Certificate
from app.certificate.rules import CONFORMITY, Act, CertificateKind, Duty
from app.core import dated
from app.core.clock import local_date
from app.core.db import fetch, prepared
from app.event.lateness import Lateness, judged_on, late
from app.event.seed import lateness
from app.label import service as labels
from app.lot import service as lots
from app.lot.rules import LotState
from app.lot.schemas import DocumentKind
from app.party import service as parties
from app.party.access import Audience, Caller
from app.party.models import PartyRole
from app.product import service as products
from app.product.rules import Catalogue, Production
from app.signing.token import TokenType
from app.testing import service as testing
from app.testing.rules import Lineage, NamedTest, Standing, inherit, undivided
from app.testing.rules import Verdict as TestVerdict
from app.ticket import service as tickets
from app.ticket.models import Ticket, TicketDraw, TicketState
from app.ticket.rules import TicketKind, TicketStatus

ANCESTORS_MAX = 10_000
"""Lots that are looked at behind one document."""

_CERTIFIED_SALES = frozenset({TicketKind.SALE, TicketKind.ORIGIN})
_VOUCHERS = ("purchase_voucher", "foreign_trace_code", "import")
_PROOFS_OF = {
    DocumentKind.QUARANTINE: Proof.QUARANTINE,
    DocumentKind.MEAT_INSPECTION: Proof.MEAT_INSPECTION,
    DocumentKind.IMPORT: Proof.IMPORT_INSPECTION,
    DocumentKind.PURCHASE_VOUCHER: Proof.PURCHASE_VOUCHER,
    DocumentKind.FOREIGN_TRACE_CODE: Proof.FOREIGN_TRACE_CODE,
}
"""What a document proves that a seller named by its number, without its dates.

A laboratory's report is looked up by its number: see `rules.Stated`.
"""


class FoundTicket(NamedTuple):
    """A ticket of the books."""

    ticket: Ticket
    state: TicketState


@dataclass(frozen=True, slots=True)
class Behind:
    """What is behind a ticket, and is shown with it.

    Attributes:
        lots: Those of the draws, by internal id.
        involved: Whether the scanner has a part in the ticket.
    """

    draws: Sequence[TicketDraw]
    lots: Mapping[int, LotState]
    involved: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The document that a code stands for; at most one of the two.

    Attributes:
        behind: What was read of a ticket by the way, once it was.
    """

    ticket: FoundTicket | None = None
    certificate: Certificate | None = None
    behind: Behind | None = field(default=None, compare=False)

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.ticket is not None or self.certificate is not None


# --- which document it is -------------------------------------------------------------------------


async def find_all(session: AsyncSession, codes: Sequence[Code | None]) -> list[Found]:
    """Find the documents of tokens whose signatures were checked, and of short codes.

    A token counts as known only if the books hold exactly this one: with a stolen key somebody
    could sign other content under a serial that exists.

    Args:
        session: The caller's session.
        codes: None where nothing is to be looked up.
    """
    by_token = await _by_token(session, [code for code in codes if code and code.parsed])
    by_code = await _by_short_code(
        session,
        {code.reference for code in codes if code and code.kind is CodeKind.SHORT_CODE},
    )
    return [
        Found()
        if code is None
        else (by_code if code.kind is CodeKind.SHORT_CODE else by_token).get(
            code.reference, Found()
        )
        for code in codes
    ]


async def _by_token(session: AsyncSession, codes: Sequence[Code]) -> dict[str, Found]:
    serials: dict[TokenType, list[int]] = defaultdict(list)
    for code in codes:
        assert code.parsed is not None, "only tokens come here"
        serials[code.parsed.claims.type].append(code.parsed.claims.serial)
    found: dict[str, Found] = {}
    for issued in await tickets.by_serials(session, serials[TokenType.TICKET]):
        found[issued[0].token] = Found(ticket=FoundTicket(*issued))
    for certificate in await certificates.by_serials(
        session, serials[TokenType.ORIGIN_CERTIFICATE]
    ):
        found[certificate.token] = Found(certificate=certificate)
    return found


async def _by_short_code(session: AsyncSession, codes: Collection[str]) -> dict[str, Found]:
    """Find tickets first, then certificates, then what blank labels were bound to."""
    found = {
        row[0].code: Found(ticket=FoundTicket(*row))
        for row in await tickets.by_codes(session, codes)
    }
    rest = set(codes) - found.keys()
    found |= {
        row.code: Found(certificate=row) for row in await certificates.by_codes(session, rest)
    }
    return found | await _behind_labels(session, rest - found.keys())


async def _behind_labels(session: AsyncSession, codes: Collection[str]) -> dict[str, Found]:
    """Find the tickets that blank labels were bound to, or the certificates of their lots."""
    bindings = await labels.bindings_of(session, codes)
    if not bindings:
        return {}
    issued = await tickets.by_ids(
        session, (row.ticket_id for row in bindings.values() if row.ticket_id is not None)
    )
    behind = await lots.states_by_id(
        session, (row.lot_id for row in bindings.values() if row.lot_id is not None)
    )
    newest = await certificates.newest_of_each(
        session, {lot.id: lot.certificate_ids for lot in behind.values()}
    )
    return {
        code: Found(ticket=FoundTicket(*issued[row.ticket_id]))
        if row.ticket_id is not None
        else Found(certificate=newest.get(row.lot_id or 0))
        for code, row in bindings.items()
    }


# --- what bears on a verdict ----------------------------------------------------------------------

# The lots behind documents and all that went into them: which are on hold, which are beginnings
# that nobody is known to have produced and no voucher on paper came with, and what went into what.
_BEHIND = prepared("""
    WITH RECURSIVE walk (id) AS (
        SELECT unnest(CAST(:lots AS bigint[]))
        UNION SELECT e.src FROM walk w JOIN lot_edge e ON e.dst = w.id
    ), met AS MATERIALIZED (SELECT id FROM walk LIMIT :most)
    SELECT l.id, l.public_id, l.product_id, coalesce(b.holds, 0) > 0,
        l.origin = 'declare' AND l.producer_id IS NULL AND NOT EXISTS (
            SELECT 1 FROM jsonb_array_elements(l.documents) d
            WHERE d ->> 'kind' = ANY(CAST(:vouchers AS text[]))
        ),
        array(SELECT e.src FROM lot_edge e JOIN met m ON m.id = e.src WHERE e.dst = l.id),
        l.created_at
    FROM met JOIN lot l ON l.id = met.id LEFT JOIN lot_balance b ON b.lot_id = l.id
    ORDER BY l.id
""")
# What the holders of lots had of them at an instant, as they are or split off, merged or come back:
# what is there by now, with what was sold since and what samplers carried off.
_LEFT = prepared("""
    WITH RECURSIVE kept (root, holder_id, id) AS (
        SELECT l.id, l.holder_id, l.id FROM lot l WHERE l.id = ANY(CAST(:lots AS bigint[]))
        UNION
        SELECT k.root, k.holder_id, l.id
        FROM kept k JOIN lot_edge e ON e.src = k.id JOIN lot l ON l.id = e.dst
        WHERE l.holder_id = k.holder_id
    )
    SELECT k.root, CAST(sum(
        b.remaining_g + coalesce((
            SELECT sum(d.mass_g) FROM ticket_draw d
            JOIN ticket t ON t.id = d.ticket_id JOIN ticket_state s ON s.ticket_id = t.id
            WHERE d.lot_id = k.id AND t.issued_at > :at AND s.status NOT IN ('voided', 'refused')
        ), 0) + coalesce((
            SELECT sum(p.mass_g) FROM sample p WHERE p.lot_id = k.id AND NOT p.on_the_way
        ), 0)
    ) AS bigint)
    FROM kept k JOIN lot_balance b ON b.lot_id = k.id
    GROUP BY k.root
""")
_OUTCOMES = {
    TestVerdict.FAILED: TestOutcome.FAILED,
    TestVerdict.SUSPECT: TestOutcome.SUSPECT,
    # A value for which no limit is set says nothing for the goods, and nothing against them.
    TestVerdict.PASSED: TestOutcome.PASSED,
}


class _Ancestor(NamedTuple):
    public_id: UUID
    on_hold: bool
    sourceless: bool
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class _Ancestry:
    """Lots and all that went into them."""

    lots: Mapping[int, _Ancestor]
    lineage: Lineage

    def behind(self, near: Collection[int]) -> list[int]:
        """List lots and their ancestors, oldest first."""
        met: set[int] = set()
        waiting = [lot for lot in near if lot in self.lots]
        while waiting:
            lot = waiting.pop()
            if lot not in met:
                met.add(lot)
                waiting += self.lineage.parents[lot]
        return sorted(met)


async def _ancestry(
    session: AsyncSession, lot_ids: Collection[int], *, documents: int
) -> _Ancestry:
    if not lot_ids:
        return _Ancestry({}, Lineage())
    rows = await fetch(
        session,
        _BEHIND,
        {
            "lots": sorted(lot_ids),
            "most": ANCESTORS_MAX * documents,
            "vouchers": list(_VOUCHERS),
        },
    )
    return _Ancestry(
        {row[0]: _Ancestor(row[1], row[3], row[4], row[6]) for row in rows},
        Lineage(
            parents={row[0]: tuple(row[5]) for row in rows},
            products={row[0]: row[2] for row in rows},
        ),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the books say of some documents.

    Attributes:
        at: When it happened: an inspection may be told of hours later. How far the hand-over was is
            asked as of then; what speaks for and against the goods as of now, for a clock that is
            early must not make anybody forget it.
        draws: Of tickets, with the lots that buyers have of them by draw, and
        certificates: those of the draws.
        roles: Of sellers.
        involved: Tickets that the scanner has a part in.
        standings: How tests stand by now, and
        earlier: how they stood when it happened.
        named: What numbers of reports stand for.
        left: Grams that the holders of certified lots had of them.
        doubts: What early warnings say of all these.
    """

    at: datetime
    catalogue: Catalogue
    lateness: Sequence[Lateness]
    draws: Mapping[int, Sequence[TicketDraw]]
    received: Mapping[tuple[int, int, int], int]
    states: Mapping[int, LotState]
    certificates: Mapping[int, Certificate]
    voided: Collection[int]
    ancestry: _Ancestry
    standings: Mapping[int, Standing]
    earlier: Mapping[int, Standing]
    roles: Mapping[int, Sequence[PartyRole]]
    duties: Collection[Duty]
    involved: Collection[int]
    named: Mapping[str, Sequence[NamedTest]] = field(default_factory=dict)
    left: Mapping[int, int] = field(default_factory=dict)
    doubts: Doubts = field(default_factory=Doubts)

    def tests_of(self, lot_id: int) -> tuple[TestFact, ...]:
        """Answer what is known of tests of a lot, and of what went into it.

        What was found by then stands beside what was found since, be it good or bad.
        """
        facts: dict[TestFact, None] = {}
        for known in (self.earlier, self.standings):
            standing = inherit(lot_id, known, self.ancestry.lineage)
            outcome = _OUTCOMES.get(standing.verdict)
            if outcome is not None:
                facts[TestFact(outcome, str(standing.sample))] = None
        return tuple(facts)


async def papers_of(
    session: AsyncSession,
    found: Sequence[Found],
    caller: Caller,
    *,
    at: datetime,
    now: datetime,
) -> list[tuple[Found, Paper | None]]:
    """Gather what bears on verdicts about documents, as far as they were at an instant.

    Args:
        session: The caller's session.
        found: The documents.
        caller: Who asks.
        at: When they were shown.
        now: When it is asked: tests and what was taken back until now count.

    Returns:
        The documents, with what was read of them by the way, and what bears on a verdict.
    """
    issued = [one.ticket for one in found if one.ticket is not None]
    certified = [one.certificate for one in found if one.certificate is not None]
    if not issued and not certified:
        return [(one, None) for one in found]
    known = await _read(session, issued, certified, caller, at=at, now=now)
    return [_with_paper(one, caller, known) for one in found]


def _with_paper(found: Found, caller: Caller, known: _Known) -> tuple[Found, Paper | None]:
    if found.ticket is not None:
        ticket = found.ticket.ticket
        behind = Behind(known.draws[ticket.id], known.states, ticket.id in known.involved)
        return replace(found, behind=behind), _paper_of_ticket(found.ticket, caller, known)
    if found.certificate is not None:
        return found, _paper_of_certificate(found.certificate, known)
    return found, None


async def _read(
    session: AsyncSession,
    issued: Sequence[FoundTicket],
    certified: Sequence[Certificate],
    caller: Caller,
    *,
    at: datetime,
    now: datetime,
) -> _Known:
    ids = sorted({found.ticket.id for found in issued})
    draws: dict[int, list[TicketDraw]] = defaultdict(list)
    for draw in await tickets.draws_of(session, *ids) if ids else ():
        draws[draw.ticket_id].append(draw)
    received = {
        (row.ticket_id, row.line_no, row.lot_id): row.received_lot_id
        for row in (await tickets.receipts_of(session, *ids) if ids else ())
        if row.received_lot_id
    }
    drawn = [draw for group in draws.values() for draw in group]
    own = {row.id: row for row in certified}
    named = {number for draw in drawn for number in draw.certificate_ids} - own.keys()
    known = own | {row.id: row for row in await certificates.by_ids(session, named)}
    voided = await certificates.voided(session, known)
    lot_ids = {draw.lot_id for draw in drawn} | {row.lot_id for row in certified}
    states = await lots.states_by_id(session, lot_ids)
    ancestry = await _ancestry(
        session, lot_ids | set(received.values()), documents=len(issued) + len(certified)
    )
    sellers = {one.ticket.seller_id for one in issued}
    standings = await testing.standings(session, list(ancestry.lots), now)
    return _Known(
        at=at,
        catalogue=await products.catalogue(session),
        lateness=await lateness(session),
        draws=draws,
        received=received,
        states=states,
        certificates=known,
        voided=voided.keys(),
        ancestry=ancestry,
        standings=standings,
        earlier=(
            standings if at >= now else await testing.standings(session, list(ancestry.lots), at)
        ),
        roles=await parties.roles_by_party(session, sellers),
        duties=await certificates.duties(session) if sellers else (),
        involved=await involved(session, [one.ticket for one in issued], caller),
        named=await testing.named(session, _numbers(issued, states.values()), now),
        left=await _left(session, {row.lot_id for row in certified}, at),
        doubts=await doubts.read(session, ids, ancestry.lots),
    )


async def _left(session: AsyncSession, lot_ids: Collection[int], at: datetime) -> Mapping[int, int]:
    if not lot_ids:
        return {}
    rows = await fetch(session, _LEFT, {"lots": sorted(lot_ids), "at": at})
    return {row[0]: row[1] for row in rows}


def _numbers(issued: Iterable[FoundTicket], states: Iterable[LotState]) -> set[str]:
    documents = [document for one in issued for document in one.ticket.documents]
    documents += [document for lot in states for document in lot.documents]
    return {stated.number for stated in _reports(documents)}


def _reports(documents: Iterable[Mapping[str, Any]]) -> list[Stated]:
    """List the laboratory reports that a seller named by their numbers."""
    return [
        Stated(
            str(document["number"]),
            on=date.fromisoformat(document["issued_on"]) if document.get("issued_on") else None,
        )
        for document in documents
        if document.get("kind") == DocumentKind.LAB_REPORT
    ]


def _paper_of_ticket(found: FoundTicket, caller: Caller, known: _Known) -> Paper:
    ticket, state = found
    draws = known.draws[ticket.id]
    cited = sorted({number for draw in draws for number in draw.certificate_ids})
    status = status_at(state, known.at)
    told_late = late(known.lateness, ticket.sold_at, ticket.issued_at)
    paper = Paper(
        status=status,
        expires_at=ticket.expires_at,
        voided=status is TicketStatus.VOIDED,
        addressed=ticket.buyer_id is None or caller.supervises or ticket.id in known.involved,
        plate=ticket.plate,
        goods=tuple(
            item
            for on in judged_on(ticket.sold_at, told_late)
            for item in _goods(ticket, draws, known, on)
        ),
        voided_certificates=tuple(
            known.certificates[number].public_id for number in cited if number in known.voided
        ),
        told_late=told_late,
    )
    received = {lot for (ticket_id, _, _), lot in known.received.items() if ticket_id == ticket.id}
    return _with_ancestors(paper, {draw.lot_id for draw in draws} | received, known.ancestry)


def _with_ancestors(paper: Paper, near: Collection[int], ancestry: _Ancestry) -> Paper:
    """Add what is on hold behind a paper, and what proves where its goods come from."""
    behind = [(lot, ancestry.lots[lot]) for lot in ancestry.behind(near)]
    sourceless = tuple(each.public_id for _, each in behind if each.sourceless and not each.on_hold)
    # A chain that begins with goods of nobody proves nothing, however many tickets are in it.
    goods = tuple(
        replace(item, sourceless=sourceless)
        if sourceless
        else replace(item, proofs=item.proofs | {Proof.TICKET})
        for item in paper.goods
    )
    return replace(
        paper,
        held=tuple(each.public_id for lot, each in behind if each.on_hold and lot in near),
        sources_held=tuple(
            each.public_id for lot, each in behind if each.on_hold and lot not in near
        ),
        goods=goods,
    )


def status_at(state: TicketState, at: datetime) -> TicketStatus:
    """Answer what had become of a ticket at an instant; one that was taken back since is voided.

    The buyer's word comes after the gate, and says nothing against what came in before it.
    """
    status = TicketStatus(state.status)
    if state.decided_at is not None and state.decided_at > at and state.voided_at is None:
        return TicketStatus.ISSUED
    return status


def _goods(
    ticket: Ticket, draws: Sequence[TicketDraw], known: _Known, on: date
) -> tuple[Goods, ...]:
    """Write the goods of a ticket as they are judged by the rules of a day."""
    # What goes back, or from one store to another, is no sale: no certificate is due.
    certified = ticket.kind in _CERTIFIED_SALES
    advised = certified and _is_advised(known, ticket.seller_id, on)
    goods = []
    for draw in draws:
        lot = known.states[draw.lot_id]
        in_force = any(
            known.certificates[number].kind in CONFORMITY and number not in known.voided
            for number in draw.certificate_ids
        )
        proofs = _proofs(ticket.documents, lot)
        if in_force and draw.cover_g >= draw.mass_g:
            proofs |= {Proof.CONFORMITY_CERTIFICATE, Proof.CERTIFICATE_BASIS}
        item = _item(lot, draw.mass_g, on, proofs, known, needed=certified)
        arrived = known.received.get((ticket.id, draw.line_no, draw.lot_id))
        goods.append(
            replace(
                item,
                traits=frozenset({Trait.ADVISED})
                if advised and lot.producer_id == ticket.seller_id
                else frozenset(),
                lots_tested=item.lots_tested | ({arrived} if arrived else set()),
                doubts=_doubts(ticket, draw, arrived, known),
            )
        )
    return rules.with_reports(tuple(goods), _reports(ticket.documents), known.named)


def _doubts(
    ticket: Ticket, draw: TicketDraw, arrived: int | None, known: _Known
) -> tuple[Doubted, ...]:
    """Say why goods of a ticket cannot well be: by warnings that are open, and by its own dates."""
    near = [draw.lot_id, *([arrived] if arrived else [])]
    found = known.doubts.of(ticket.id, known.ancestry.behind(near))
    warned = {doubted.kind for doubted in found}
    settled = (ticket.id, Doubt.CERTIFICATE_AFTER_SALE) in known.doubts.answered
    if ticket.kind is TicketKind.RETURN or Doubt.CERTIFICATE_AFTER_SALE in warned or settled:
        return found
    certified = [
        Certified(row.public_id, row.issued_at, known.ancestry.lots[row.lot_id].recorded_at)
        for row in (known.certificates[number] for number in draw.certificate_ids)
        if row.lot_id in known.ancestry.lots
    ]
    return (*found, *rules.after_sale(ticket.sold_at, certified, known.doubts.graces))


def _item(
    lot: LotState,
    mass_g: int,
    on: date,
    proofs: Collection[Proof],
    known: _Known,
    *,
    needed: bool = True,
) -> Goods:
    """Write grams of a lot with what the catalogue asks, and tests and reports say."""
    production = Production(lot.production or Production.ANY)
    asked = known.catalogue.requirement(lot.product_id, production, on) if needed else None
    goods = Goods(
        lot=lot.public_id,
        product=lot.product_id,
        mass_g=mass_g,
        on=on,
        needs=None if asked is None else asked.requirement,
        needs_source="" if asked is None else asked.source,
        proofs=frozenset(proofs),
        tests=known.tests_of(lot.id),
        lots_tested=undivided(lot.id, known.ancestry.lineage),
    )
    (item,) = rules.with_reports((goods,), _reports(lot.documents), known.named)
    return item


def _proofs(papers: Iterable[Mapping[str, Any]], lot: LotState) -> set[Proof]:
    kinds = {str(document.get("kind")) for document in (*papers, *lot.documents)}
    found = {proof for kind, proof in _PROOFS_OF.items() if kind in kinds}
    return found if lot.producer_id is None else found | {Proof.PRODUCER_KNOWN}


def _is_advised(known: _Known, seller_id: int, on: date) -> bool:
    """Whether the law of the day encourages this seller to certify, and does not oblige him."""
    roles = parties.kinds_in_force(known.roles.get(seller_id, ()), on)
    duties = {
        duty.duty
        for duty in known.duties
        if duty.act is Act.SELL
        and duty.role in roles
        and dated.in_force(duty.valid_from, duty.valid_to, on)
    }
    return duties == {"should"}


def _paper_of_certificate(certificate: Certificate, known: _Known) -> Paper:
    """Write what bears on a verdict about goods that come with nothing but a certificate."""
    kind = CertificateKind(certificate.kind)
    lot = known.states[certificate.lot_id]
    proofs = _proofs((), lot)
    proofs |= (
        {Proof.CONFORMITY_CERTIFICATE, Proof.CERTIFICATE_BASIS}
        if kind in CONFORMITY
        else {Proof.ORIGIN_PROOF}
    )
    on = local_date(certificate.issued_at)
    paper = Paper(
        status=None,
        certificate=kind,
        voided=certificate.id in known.voided,
        expires_at=certificate.expires_at,
        goods=(
            replace(
                _item(lot, certificate.mass_g, on, proofs, known),
                doubts=known.doubts.of(None, known.ancestry.behind([lot.id])),
            ),
        ),
        left_g=known.left[lot.id],
    )
    return _with_ancestors(paper, {certificate.lot_id}, known.ancestry)


# --- who has a part in a ticket -------------------------------------------------------------------

_IN_MARKET = text("""
    SELECT x.ticket FROM unnest(
        CAST(:tickets AS bigint[]), CAST(:markets AS bigint[]), CAST(:buyers AS bigint[]),
        CAST(:days AS date[])
    ) AS x (ticket, market, buyer, day)
    WHERE EXISTS (
        SELECT 1 FROM place p WHERE p.id = x.market AND (p.party_id = :party OR EXISTS (
            SELECT 1 FROM party_role o
            WHERE o.party_id = :party AND o.kind = 'MARKET' AND o.place_id = p.id
        ))
    ) OR EXISTS (
        SELECT 1 FROM party_role r
        JOIN place p ON p.id = r.place_id
        LEFT JOIN place m ON m.id = p.parent_id
        WHERE r.party_id = x.buyer AND :party IN (p.party_id, m.party_id)
            AND r.valid_from <= x.day AND (r.valid_to IS NULL OR x.day < r.valid_to)
    )
""")


async def involved(session: AsyncSession, asked: Iterable[Ticket], caller: Caller) -> set[int]:
    """Answer the tickets that the scanner has a part in, by their internal ids.

    A seller and a buyer have, the market that a ticket names, and the market in which its buyer has
    a place: not every seller writes down where the stall is.
    """
    known = {ticket.id: ticket for ticket in asked}
    if caller.party_id is None:
        return set()
    own = {
        ticket.id
        for ticket in known.values()
        if caller.party_id in {ticket.seller_id, ticket.buyer_id}
    }
    others = [ticket for ticket in known.values() if ticket.id not in own]
    if Audience.MARKET not in caller.audiences or not others:
        return own
    parameters = {
        "tickets": [ticket.id for ticket in others],
        "markets": [ticket.market_id for ticket in others],
        "buyers": [ticket.buyer_id for ticket in others],
        "days": [local_date(ticket.sold_at) for ticket in others],
        "party": caller.party_id,
    }
    return own | set(await session.scalars(_IN_MARKET, parameters))
