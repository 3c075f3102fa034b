"""Gathers what the public page shows: a fixed number of statements, whatever the ticket's size."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import books
from app.admission import queries as admission
from app.admission.books import FoundTicket
from app.admission.rules import Code, may_be_shown
from app.certificate import service as certificates
from app.certificate.models import Certificate, CertificateForm
from app.certificate.rules import CertificateKind
from app.core.clock import local_date
from app.core.db import Database, prepared
from app.core.errors import Text
from app.label.models import LabelBinding
from app.lot import service as lots
from app.lot.rules import LotState
from app.party import identifiers
from app.party import service as parties
from app.party.models import Party
from app.place import service as places
from app.place.models import Place
from app.place.rules import Gazetteer, resolve
from app.product import service as products
from app.product.rules import Catalogue
from app.product.units import spell_mass
from app.signing import shortcode, token
from app.signing.keys import Verifier
from app.testing import queries as testing
from app.testing.rules import AGAINST
from app.testing.rules import Standing as TestStanding
from app.testing.service import STANDINGS_SQL
from app.ticket import service as tickets
from app.ticket.models import Ticket, TicketDraw, TicketLine, TicketState
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus
from app.trace import queries as trace
from app.trace import rules as trace_rules
from app.trace.queries import Walk
from app.trace.rules import Node, SubGraph, TraceTooLarge
from app.web import story
from app.web.rules import (
    LABELLED,
    OF_SIGNATURE,
    RESULTS,
    SAYINGS,
    UNBOUND,
    PageState,
    Saying,
    certificate_state,
    people,
    percent,
    tested,
    ticket_state,
    without_numbers,
)
from app.web.schemas import (
    Promise,
    PublicCertificate,
    PublicCertificateFacts,
    PublicLabel,
    PublicLine,
    PublicParty,
    PublicSource,
    PublicTicket,
    PublicTicketFacts,
    Standing,
    Step,
    Words,
)

CHAIN_LOTS_MAX = 2_000
"""Lots of a chain that the public page still tells; above it one has to sign in and trace."""

RESULTS_MAX = 6
"""Test results that the public page tells."""

_NO_TEST = Words(
    zh="平台未登记本批检测结果", en="No test result of these goods is recorded on this platform"
)
_WALK_IN = Text("散客", "a walk-in buyer")


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page needs beside the document."""

    now: datetime
    address: str
    demo: bool


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a ticket's page rests on that can change at any moment, and what it was then.

    Attributes:
        lots: All lots behind the ticket, and those that came of it.
        certificates: All certificates behind it.
        found: Status, lots on hold, certificates taken back, samples and what they came to.
        until: From when on time itself may make the page another.
    """

    ticket_id: int
    lots: tuple[int, ...]
    certificates: tuple[int, ...]
    found: tuple[Any, ...]
    until: datetime


_FOUND = prepared(f"""
    SELECT s.status,
        ARRAY(
            SELECT b.lot_id FROM lot_balance b
            WHERE b.lot_id = ANY(CAST(:lots AS bigint[])) AND b.holds > 0 ORDER BY b.lot_id
        ),
        ARRAY(
            SELECT v.certificate_id FROM certificate_void v
            WHERE v.certificate_id = ANY(CAST(:certificates AS bigint[])) ORDER BY v.certificate_id
        ),
        tested.samples, tested.statuses, tested.instants
    FROM ticket_state s CROSS JOIN (
        SELECT array_agg(t.public_id ORDER BY t.public_id) AS samples,
            array_agg(t.status ORDER BY t.public_id) AS statuses,
            array_agg(t.at ORDER BY t.public_id) AS instants
        FROM ({STANDINGS_SQL}) t
    ) tested
    WHERE s.ticket_id = :ticket
""")  # noqa: S608 (constants)


async def still_hold(database: Database, grounds: Grounds, *, now: datetime) -> bool:
    """Tell in one statement whether a page that was read before still says what is true.

    Names, and what comes with law and catalogue, are not looked at.
    """
    (row,) = await database.ask(
        _FOUND,
        {
            "ticket": grounds.ticket_id,
            "lots": grounds.lots,
            "certificates": grounds.certificates,
            "at": now,
        },
    )
    return tuple(row) == grounds.found


def _grounds(ticket: Ticket, status: TicketStatus, known: "_Known") -> Grounds | None:
    """Answer what a page rests on; none, if that is too much to remember."""
    if known.graph is None:
        return None
    behind = known.graph.nodes
    held = {lot.id for lot in known.lots.values() if lot.holds}
    held.update(known.graph.held)
    tested = sorted((standing for _, standing in known.results), key=lambda one: str(one.sample))
    return Grounds(
        ticket_id=ticket.id,
        lots=tuple({*known.lots, *behind}),
        certificates=tuple(row.id for row in known.certificates),
        found=(
            status,
            sorted(held),
            sorted(known.voided),
            [standing.sample for standing in tested] or None,
            [standing.status for standing in tested] or None,
            [standing.decided_at for standing in tested] or None,
        ),
        until=min([ticket.expires_at, *(row.expires_at for row in known.certificates)]),
    )


async def read(
    session: AsyncSession, code: Code, *, verifier: Verifier, frame: Frame
) -> tuple[PublicTicket, Grounds | None]:
    """Say what anybody may know of the document that a token stands for.

    Returns:
        The page, and what it rests on where it may be remembered.
    """
    if code.parsed is None:
        newer = code.unreadable is not None and code.unreadable.perhaps_newer
        return nothing(PageState.CANNOT_VERIFY if newer else PageState.UNREADABLE, frame), None
    signature = verifier.verify(code.parsed, frame.now)
    if signature in OF_SIGNATURE:
        return nothing(OF_SIGNATURE[signature], frame), None
    assert may_be_shown(signature), "the table names every verdict that ends the matter"
    (found,) = await books.find_all(session, [code])
    if found.ticket is not None:
        return await _ticket_page(session, found.ticket, frame)
    if found.certificate is not None:
        return await _certificate_page(session, found.certificate, frame), None
    return nothing(PageState.UNKNOWN, frame), None


async def digits_of(session: AsyncSession, code: Code) -> str | None:
    """Answer the token of the document that a short code names, if there is one."""
    (found,) = await books.find_all(session, [code])
    if found.ticket is not None:
        return found.ticket.ticket.token
    return None if found.certificate is None else found.certificate.token


async def ticket_behind(session: AsyncSession, binding: LabelBinding | None) -> str | None:
    """Answer the token of the ticket that a label stands for, if it stands for one."""
    if binding is None or binding.ticket_id is None:
        return None
    ticket, _ = await tickets.by_id(session, binding.ticket_id)
    return ticket.token


async def label(
    session: AsyncSession, code: str, binding: LabelBinding | None, frame: Frame
) -> tuple[Saying, PublicLabel]:
    """Say what anybody may know of a label that stands for a lot, or for nothing yet."""
    if binding is None or binding.lot_id is None:
        return UNBOUND, _labelled(UNBOUND, code, frame, bound=False)
    lot = (await lots.states_by_id(session, [binding.lot_id]))[binding.lot_id]
    saying = SAYINGS[PageState.HELD] if lot.holds else LABELLED
    origin = None
    if lot.division_code is not None:
        gazetteer = await places.gazetteer(session)
        on = lot.made_on or local_date(lot.created_at)
        origin = resolve(lot.division_code, on, gazetteer).full_name
    found = await certificates.newest_in_force(session, lot.certificate_ids)
    facts = {
        "product": (await products.catalogue(session)).product(lot.product_id).name,
        "mass": words(spell_mass(lot.mass_g)),
        "origin": origin,
        "made_on": lot.made_on,
        "certificate": None if found is None else token.PATH + found.token,
    }
    held = lot.holds > 0
    return saying, _labelled(saying, code, frame, bound=True, held=held, **facts)


def _labelled(
    saying: Saying, code: str, frame: Frame, *, bound: bool, held: bool = False, **facts: Any
) -> PublicLabel:
    return PublicLabel(
        bound=bound,
        held=held,
        headline=words(saying.headline),
        advice=words(saying.advice),
        code=shortcode.show(code),
        demo=frame.demo,
        **facts,
    )


def nothing(state: PageState, frame: Frame) -> PublicTicket:
    """Say a state, and nothing of any document."""
    return PublicTicket(
        state=state,
        headline=words(SAYINGS[state].headline),
        advice=words(SAYINGS[state].advice),
        document=None,
        code=None,
        checked_at=frame.now,
        address=frame.address,
        demo=frame.demo,
    )


def words(text: Text) -> Words:
    """Write a text of ours as it goes out."""
    return Words(zh=text.zh, en=text.en)


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that a document refers to, read in bulk."""

    catalogue: Catalogue
    gazetteer: Gazetteer
    graph: SubGraph | None
    parties: Mapping[int, Party]
    places: Mapping[int, Place]
    certificates: Sequence[Certificate]
    voided: Collection[int]
    forms: Mapping[tuple[str, str], CertificateForm]
    lots: Mapping[int, LotState] = field(default_factory=dict)
    results: Sequence[tuple[int, TestStanding]] = ()

    def name(self, party_id: int | None) -> str:
        """Name a party as the public may read it."""
        if party_id is None:
            return _WALK_IN.zh
        party = self.parties[party_id]
        if party.form == "natural":
            return identifiers.mask_name(party.name)
        return without_numbers(party.name)

    def party(self, party_id: int) -> PublicParty:
        """Write a party as the public may see it."""
        masked = self.parties[party_id].form == "natural"
        return PublicParty(name=self.name(party_id), masked=masked)

    def village(self, code: str | None, on: date) -> str | None:
        """Name an origin as it was called on a day."""
        return admission.village(code, on, self.gazetteer)

    def lots_product(self, lot_id: int) -> int:
        """Answer the product of a lot of the page."""
        if lot_id in self.lots:
            return self.lots[lot_id].product_id
        assert self.graph is not None, "results are asked of the graph's lots and these alone"
        return self.graph.nodes[lot_id].product_id

    def product(self, product_id: int) -> str:
        """Name a product."""
        return self.catalogue.product(product_id).name

    @property
    def names(self) -> story.Names:
        """The names that a story is told with."""
        return story.Names(self.name, self.product, self.village)


async def _gather(
    session: AsyncSession,
    *,
    lot_ids: Collection[int],
    later_lots: Collection[int] = (),
    party_ids: Iterable[int | None],
    place_ids: Iterable[int | None] = (),
    certificate_ids: Iterable[int],
    at: datetime,
) -> _Known:
    try:
        graph = await trace.walk(session, lot_ids, Walk.BACK, limit=CHAIN_LOTS_MAX)
    except TraceTooLarge:
        graph = None
    nodes: Iterable[Node] = graph.nodes.values() if graph else ()
    found = await certificates.by_ids(session, certificate_ids)
    wanted = {
        *party_ids,
        *(node.holder_id for node in nodes),
        *(node.producer_id for node in nodes),
        *(row.issuer_id for row in found),
    }
    return _Known(
        catalogue=await products.catalogue(session),
        gazetteer=await places.gazetteer(session),
        graph=graph,
        parties=await parties.by_ids(session, (party for party in wanted if party is not None)),
        places=await places.by_ids(session, (place for place in place_ids if place is not None)),
        certificates=found,
        voided=await certificates.voided(session, (row.id for row in found)),
        forms=await _forms(session, found),
        lots=await lots.states_by_id(session, {*lot_ids, *later_lots}),
        results=await testing.results(
            session, {*lot_ids, *later_lots, *(graph.nodes if graph else ())}, at
        ),
    )


async def _forms(
    session: AsyncSession, found: Iterable[Certificate]
) -> dict[tuple[str, str], CertificateForm]:
    wanted = {(row.kind, row.form_edition) for row in found}
    if not wanted:
        return {}
    key = tuple_(CertificateForm.kind, CertificateForm.edition)
    rows = await session.scalars(select(CertificateForm).where(key.in_(sorted(wanted))))
    return {(row.kind, row.edition): row for row in rows}


# --- a ticket -------------------------------------------------------------------------------------


async def _ticket_page(
    session: AsyncSession, found: FoundTicket, frame: Frame
) -> tuple[PublicTicket, Grounds | None]:
    ticket, state = found
    lines = await tickets.lines_of(session, ticket.id)
    draws = await tickets.draws_of(session, ticket.id)
    receipts = await tickets.receipts_of(session, ticket.id)
    known = await _gather(
        session,
        lot_ids={draw.lot_id for draw in draws},
        later_lots={row.received_lot_id for row in receipts if row.received_lot_id is not None},
        party_ids=(ticket.seller_id, ticket.buyer_id),
        place_ids=(ticket.market_id, ticket.stall_id),
        certificate_ids=(number for draw in draws for number in draw.certificate_ids),
        at=frame.now,
    )
    status = TicketStatus(state.status)
    page_state = ticket_state(status, held=_is_held(known), expired=frame.now >= ticket.expires_at)
    asked: dict[int, int] = {}
    for draw in draws:
        asked[draw.lot_id] = asked.get(draw.lot_id, 0) + draw.mass_g
    sold_on = local_date(ticket.sold_at)
    page = nothing(page_state, frame).model_copy(
        update={
            "document": "ticket",
            "code": shortcode.show(ticket.code),
            "issued_at": ticket.issued_at,
            "expires_at": ticket.expires_at,
            "ticket": _ticket_facts(ticket, state, lines, draws, known),
        }
    )
    last = _sale(ticket, status, known)
    page = page.model_copy(update=_story(known, asked, sold_on, frame, last=last))
    return page, _grounds(ticket, status, known)


def _is_held(known: _Known) -> bool:
    if known.graph is not None and known.graph.held:
        return True
    return any(lot.holds for lot in known.lots.values())


def _ticket_facts(
    ticket: Ticket,
    state: TicketState,
    lines: Sequence[TicketLine],
    draws: Sequence[TicketDraw],
    known: _Known,
) -> PublicTicketFacts:
    def place(place_id: int | None) -> str | None:
        return None if place_id is None else without_numbers(known.places[place_id].name)

    return PublicTicketFacts(
        kind=TicketKind(ticket.kind),
        status=TicketStatus(state.status),
        seller=known.party(ticket.seller_id),
        buyer=None if ticket.buyer_id is None else known.party(ticket.buyer_id),
        buyer_kind=BuyerKind(ticket.buyer_kind),
        market=place(ticket.market_id),
        stall=place(ticket.stall_id),
        sold_at=ticket.sold_at,
        mass_g=ticket.mass_g,
        mass=_mass(ticket.mass_g),
        lines=[
            _line(line, [draw for draw in draws if draw.line_no == line.no], known)
            for line in lines
        ],
    )


def _line(line: TicketLine, draws: Sequence[TicketDraw], known: _Known) -> PublicLine:
    drawn = [known.lots[draw.lot_id] for draw in draws]
    product = known.product(line.product_id)
    trade_name = without_numbers(line.trade_name)
    origins = (admission.origin_of(lot, known.gazetteer) for lot in drawn)
    producer = None
    if all(lot.producer_id is not None for lot in drawn):
        told = {lot.producer_id: known.name(lot.producer_id) for lot in drawn}
        producer = words(people(list(told.values())))
    elif any(lot.mixed for lot in drawn):
        producer = Words(zh="多户，见来源", en="several, see the sources")
    return PublicLine(
        product=product,
        trade_name=None if trade_name == product else trade_name,
        mass_g=line.mass_g,
        mass=_mass(line.mass_g),
        spoken=_spoken(line.quantity, line.unit),
        origins=list(dict.fromkeys(origin for origin in origins if origin is not None)),
        producer=producer,
    )


def _spoken(quantity: Decimal, unit: str) -> str | None:
    # In kilograms and jin the mass is written anyway.
    return None if unit in {"公斤", "斤"} else f"{quantity.normalize():f} {unit}"


def _mass(mass_g: int) -> Words:
    return words(spell_mass(mass_g))


_DECIDED = {
    TicketStatus.ISSUED: Text("，待买方验收", "; not yet accepted"),
    TicketStatus.ACCEPTED: Text("，买方已验收", "; accepted by the buyer"),
    TicketStatus.ACCEPTED_IN_PART: Text("，买方已部分验收", "; accepted in part"),
    TicketStatus.REFUSED: Text("，买方拒收", "; refused by the buyer"),
    TicketStatus.VOIDED: Text("，票据已作废", "; the ticket was voided"),
}


def _sale(ticket: Ticket, status: TicketStatus, known: _Known) -> Text:
    buyer = _WALK_IN
    if ticket.buyer_id is not None:
        name = known.name(ticket.buyer_id)
        buyer = Text(name, name)
    walk_in = ticket.buyer_id is None and status is TicketStatus.ISSUED
    return story.ended(
        known.name(ticket.seller_id),
        buyer,
        ticket.sold_at,
        decided=None if walk_in else _DECIDED[status],
        beside=local_date(ticket.sold_at),
    )


# --- a certificate --------------------------------------------------------------------------------


async def _certificate_page(
    session: AsyncSession, certificate: Certificate, frame: Frame
) -> PublicTicket:
    known = await _gather(
        session,
        lot_ids=[certificate.lot_id],
        party_ids=[certificate.issuer_id],
        certificate_ids=[
            certificate.id,
            *await _certificates_behind(session, certificate),
        ],
        at=frame.now,
    )
    state = certificate_state(
        voided=certificate.id in known.voided,
        held=_is_held(known),
        expired=frame.now >= certificate.expires_at,
    )
    facts = PublicCertificateFacts(
        certificate=_certificate(certificate, known, frame.now),
        origin=known.village(certificate.division_code, certificate.issued_on),
        spoken=_spoken(certificate.quantity, certificate.unit),
    )
    page = nothing(state, frame).model_copy(
        update={
            "document": "certificate",
            "code": shortcode.show(certificate.code),
            "issued_at": certificate.issued_at,
            "expires_at": certificate.expires_at,
            "certificate": facts,
        }
    )
    asked = {certificate.lot_id: certificate.mass_g}
    update = _story(known, asked, certificate.issued_on, frame, last=None)
    update["certificates"] = [
        row for row in update["certificates"] if row.code != facts.certificate.code
    ]
    return page.model_copy(update=update)


async def _certificates_behind(session: AsyncSession, certificate: Certificate) -> list[int]:
    lot = (await lots.states_by_id(session, [certificate.lot_id]))[certificate.lot_id]
    return list(lot.certificate_ids)


# --- what both show -------------------------------------------------------------------------------


def _story(
    known: _Known, asked: Mapping[int, int], on: date, frame: Frame, *, last: Text | None
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if known.graph is not None:
        reckoning = trace_rules.back(known.graph, asked)
        begun = story.sources(known.graph, reckoning, known.names)
        alone = len(begun) == 1
        told = [story.begin(source, beside=on, alone=alone) for source in begun]
        told += story.steps(known.graph, known.names, beside=on)
        share = reckoning.share_to_producer
        shown["sources"] = [_source(source) for source in begun]
        shown["traced"] = None if share is None else percent(share)
    else:
        told = [
            Text(
                "来源批次过多，本页不列；请登录后追溯",
                "Too many lots to tell here: sign in and trace them",
            )
        ]
    told += [] if last is None else [last]
    shown["chain"] = [Step(zh=step.zh, en=step.en) for step in told]
    ours = [_certificate(row, known, frame.now) for row in known.certificates]
    shown["certificates"] = ours
    shown["promises"] = _promises(known)
    shown["tests"] = _tests(ours, known, beside=on)
    return shown


def _source(source: story.Source) -> PublicSource:
    return PublicSource(
        village=source.village,
        producers=words(people(source.producers)) if source.producers else None,
        product=source.product,
        made_on=source.made_on,
        share=percent(source.share),
        known=source.known,
    )


def _certificate(row: Certificate, known: _Known, now: datetime) -> PublicCertificate:
    wording = known.forms[row.kind, row.form_edition].wording
    standing = Standing.VALID
    if row.id in known.voided:
        standing = Standing.VOIDED
    elif now >= row.expires_at:
        standing = Standing.EXPIRED
    return PublicCertificate(
        kind=CertificateKind(row.kind),
        title=Words(**wording["title"]),
        issuer=known.party(row.issuer_id),
        code=shortcode.show(row.code),
        product=known.product(row.product_id),
        mass=_mass(row.mass_g),
        issued_on=row.issued_on,
        bases=[
            Words(zh=basis["zh"], en=basis["en"])
            for basis in wording["bases"]
            if basis["code"] in row.bases
        ],
        standing=standing,
    )


def _promises(known: _Known) -> list[Promise]:
    used = dict.fromkeys(
        (row.kind, row.form_edition) for row in known.certificates if row.id not in known.voided
    )
    return [
        Promise(
            title=Words(**known.forms[key].wording["title"]),
            text=[Words(**line) for line in known.forms[key].wording["promise"]],
        )
        for key in used
    ]


def _tests(shown: Sequence[PublicCertificate], known: _Known, *, beside: date) -> list[Words]:
    """Say on what promises rest, and what tests found, if any: a promise is no test.

    Of many results what stands against the goods comes first, then the latest.
    """
    bases: dict[str, Words] = {}
    for certificate in shown:
        if certificate.standing is not Standing.VOIDED:
            bases |= {basis.zh: basis for basis in certificate.bases}
    told = [
        Words(zh=f"承诺依据：{basis.zh}（开具者声明）", en=f"Stated by the issuer: {basis.en}")
        for basis in bases.values()
    ]
    asked = [result for result in known.results if result[1].status in RESULTS]
    asked.sort(key=lambda result: result[1].verdict not in AGAINST)
    results = list(
        dict.fromkeys(
            tested(standing, known.product(known.lots_product(lot)), beside=beside)
            for lot, standing in asked
        )
    )
    if not results:
        return [*told, _NO_TEST]
    return [*map(words, results[:RESULTS_MAX]), *told]
