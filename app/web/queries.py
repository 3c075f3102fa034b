"""Gathers what the public page shows: a fixed number of statements, whatever the ticket's size."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import books
from app.admission import queries as admission
from app.admission.rules import Code, may_be_shown
from app.certificate import service as certificates
from app.certificate.models import Certificate
from app.certificate.rules import CertificateKind
from app.core.clock import local_date
from app.core.db import Database, array, prepared
from app.core.errors import Text
from app.label.models import LabelBinding
from app.lot import service as lots
from app.lot.rules import LotState
from app.party import identifiers
from app.place import service as places
from app.place.rules import Gazetteer, resolve
from app.product import service as products
from app.product.rules import Catalogue
from app.product.units import spell_mass
from app.signing import shortcode, token
from app.signing.keys import Verifier
from app.signing.token import TokenType
from app.testing import queries as testing
from app.testing.rules import AGAINST
from app.testing.rules import Standing as TestStanding
from app.testing.service import grouped, standings_sql
from app.ticket import service as tickets
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus
from app.trace import levels
from app.trace import queries as trace
from app.trace import rules as trace_rules
from app.trace.queries import EDGE, LOT, Books, Strategy, Walk, settled, walking
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
        lots: All lots behind the ticket, and those that came of it, as PostgreSQL writes an array:
            the driver takes as long for each id of a list as for all of a text.
        certificates: All certificates behind it, likewise.
        found: Status, lots on hold, certificates taken back, samples and what they came to.
        until: From when on time itself may make the page another.
    """

    ticket_id: int
    lots: str
    certificates: str
    found: tuple[Any, ...]
    until: datetime


_MET = {name: f"CAST(CAST(:{name} AS text) AS bigint[])" for name in ("lots", "certificates")}
_FOUND = prepared(f"""
    SELECT s.status,
        ARRAY(
            SELECT b.lot_id FROM lot_balance b
            WHERE b.lot_id = ANY({_MET["lots"]}) AND b.holds > 0 ORDER BY b.lot_id
        ),
        ARRAY(
            SELECT v.certificate_id FROM certificate_void v
            WHERE v.certificate_id = ANY({_MET["certificates"]}) ORDER BY v.certificate_id
        ),
        tested.samples, tested.statuses, tested.instants
    FROM ticket_state s CROSS JOIN (
        SELECT array_agg(t.public_id ORDER BY t.public_id) AS samples,
            array_agg(t.status ORDER BY t.public_id) AS statuses,
            array_agg(t.at ORDER BY t.public_id) AS instants
        FROM ({standings_sql(_MET["lots"])}) t
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


def _grounds(ticket: "_Paper", known: "_Known") -> Grounds | None:
    """Answer what a page rests on; none, if that is too much to remember."""
    if known.graph is None:
        return None
    tested = sorted((standing for _, standing in known.results), key=lambda one: str(one.sample))
    return Grounds(
        ticket_id=ticket.id,
        lots=array([*{*known.lots, *known.graph.nodes}]),
        certificates=array([row.id for row in known.certificates]),
        found=(
            ticket.status,
            list(known.held),
            [row.id for row in known.certificates if row.voided],
            [standing.sample for standing in tested] or None,
            [standing.status for standing in tested] or None,
            [standing.decided_at for standing in tested] or None,
        ),
        until=min([ticket.expires_at, *(row.expires_at for row in known.certificates)]),
    )


@dataclass(frozen=True, slots=True)
class Library:
    """Where a page is read from: through a session, or past all sessions.

    Attributes:
        walk: Answers the lots behind lots.
        at_once: Whether the statement that finds a ticket may walk as well: a cluster's may not.
    """

    books: Books
    walk: Callable[[Collection[int]], Awaitable[SubGraph]]
    catalogue: Catalogue
    gazetteer: Gazetteer
    at_once: bool = True

    async def behind(self, lot_ids: Collection[int]) -> SubGraph | None:
        """Answer the lots behind lots; None if these are too many to tell."""
        try:
            return await self.walk(lot_ids)
        except TraceTooLarge:
            return None


async def library_of(session: AsyncSession) -> Library:
    """Read through a session."""

    def walk(lot_ids: Collection[int]) -> Awaitable[SubGraph]:
        return trace.walk(session, lot_ids, Walk.BACK, limit=CHAIN_LOTS_MAX, stocked=False)

    return Library(
        trace.books_of(session),
        walk,
        await products.catalogue(session),
        await places.gazetteer(session),
        at_once=trace.strategy_of(session) is Strategy.RECURSIVE,
    )


def library_beside(database: Database) -> Library | None:
    """Read without a session, if what law and catalogue say is at hand and no replica is."""
    pool = database.engine.sync_engine.pool
    catalogue, gazetteer = products.catalogue.at_hand(pool), places.gazetteer.at_hand(pool)
    if catalogue is None or gazetteer is None or not trace.walks_at_once(database):
        return None
    books = trace.books_beside(database)

    def walk(lot_ids: Collection[int]) -> Awaitable[SubGraph]:
        return trace.walk_at_once(books, lot_ids, Walk.BACK, limit=CHAIN_LOTS_MAX, stocked=False)

    return Library(books, walk, catalogue, gazetteer)


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
    library = await library_of(session)
    if code.parsed.claims.type is TokenType.TICKET:
        shown = await read_ticket(library, code, frame)
        return (nothing(PageState.UNKNOWN, frame), None) if shown is None else shown
    (found,) = await books.find_all(session, [code])
    if found.certificate is not None:
        return await _certificate_page(session, library, found.certificate, frame), None
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
    """Say what anybody may know of a label that stands for a lot, or for nothing yet.

    A hold on what went into the lot is told as on the pages of its tickets and certificates.
    """
    if binding is None or binding.lot_id is None:
        return UNBOUND, _labelled(UNBOUND, code, frame, bound=False)
    lot = (await lots.states_by_id(session, [binding.lot_id]))[binding.lot_id]
    library = await library_of(session)
    graph = await library.behind([lot.id])
    about = await _ask_about(
        library, graph, lots=[lot.id], party_ids=(), certificate_ids=(), at=frame.now
    )
    held = bool(about.held)
    saying = SAYINGS[PageState.HELD] if held else LABELLED
    origin = None
    if lot.division_code is not None:
        on = lot.made_on or local_date(lot.created_at)
        origin = resolve(lot.division_code, on, library.gazetteer).full_name
    found = await certificates.newest_in_force(session, lot.certificate_ids)
    facts = {
        "product": library.catalogue.product(lot.product_id).name,
        "mass": words(spell_mass(lot.mass_g)),
        "origin": origin,
        "made_on": lot.made_on,
        "certificate": None if found is None else token.PATH + found.token,
    }
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
    return _page(state, frame, document=None, code=None)


def _page(state: PageState, frame: Frame, **facts: Any) -> PublicTicket:
    said = SAYINGS[state]
    return PublicTicket(
        state=state,
        headline=words(said.headline),
        advice=words(said.advice),
        checked_at=frame.now,
        address=frame.address,
        demo=frame.demo,
        **facts,
    )


def words(text: Text) -> Words:
    """Write a text of ours as it goes out."""
    return Words(zh=text.zh, en=text.en)


class _Received(NamedTuple):
    """A lot that a ticket brought into being."""

    id: int
    product_id: int


class _Draw(NamedTuple):
    """What a line of a ticket took from a lot."""

    line_no: int
    lot_id: int
    mass_g: int
    certificate_ids: Sequence[int]


class _Line(NamedTuple):
    """A line of a ticket."""

    no: int
    product_id: int
    trade_name: str
    mass_g: int
    quantity: Decimal
    unit: str


class _Party(NamedTuple):
    """Somebody whom a page names, as the public may read it."""

    name: str
    masked: bool


# The same few farms and wholesalers are behind every ticket.
@lru_cache(4_096)
def _shown(name: str, form: str) -> _Party:
    if form == "natural":
        return _Party(identifiers.mask_name(name), masked=True)
    return _Party(without_numbers(name), masked=False)


class _Certificate(NamedTuple):
    """A certificate behind a document, with its form in the words of its day."""

    id: int
    kind: str
    form_edition: str
    code: str
    issuer_id: int
    product_id: int
    mass_g: int
    issued_on: date
    expires_at: datetime
    bases: Sequence[str]
    wording: Mapping[str, Any]
    voided: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything that a document refers to, read in bulk."""

    catalogue: Catalogue
    gazetteer: Gazetteer
    graph: SubGraph | None
    parties: Mapping[int, _Party]
    certificates: Sequence[_Certificate]
    held: Sequence[int]
    lots: Mapping[int, LotState | Node | _Received]
    results: Sequence[tuple[int, TestStanding]]

    def name(self, party_id: int | None) -> str:
        """Name a party as the public may read it."""
        if party_id is None:
            return _WALK_IN.zh
        return self.parties[party_id].name

    def party(self, party_id: int) -> PublicParty:
        """Write a party as the public may see it."""
        name, masked = self.parties[party_id]
        return PublicParty(name=name, masked=masked)

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


class _About(NamedTuple):
    """What the books say about whatever a document refers to: rows as `_about` writes them."""

    parties: Sequence[tuple[int, str, str]]
    certificates: Sequence[tuple[Any, ...]]
    held: Sequence[int]
    standings: Sequence[tuple[Any, ...]]


def _about(*, parties: str, certificates: str, lots: str) -> str:
    """Write the columns of `_About`, each argument being an array of ids as SQL.

    The driver decodes no array inside a row that has no type: those go as JSON.
    """
    return f"""
        ARRAY(
            SELECT ROW(p.id, p.name, p.form) FROM party p
            WHERE p.id = ANY({parties} || ARRAY(
                SELECT c.issuer_id FROM certificate c WHERE c.id = ANY({certificates})
            ))
        ) AS parties,
        ARRAY(
            SELECT ROW(
                c.id, c.kind, c.form_edition, c.code, c.issuer_id, c.product_id, c.mass_g,
                c.issued_on, c.expires_at, to_jsonb(c.bases), f.wording,
                v.certificate_id IS NOT NULL
            )
            FROM certificate c
            JOIN certificate_form f ON (f.kind, f.edition) = (c.kind, c.form_edition)
            LEFT JOIN certificate_void v ON v.certificate_id = c.id
            WHERE c.id = ANY({certificates}) ORDER BY c.id
        ) AS certificates,
        ARRAY(
            SELECT b.lot_id FROM lot_balance b
            WHERE b.lot_id = ANY({lots}) AND b.holds > 0 ORDER BY b.lot_id
        ) AS held,
        ARRAY(SELECT t FROM ({standings_sql(lots)}) t) AS standings
    """  # noqa: S608 (written by us)


_IDS = {name: f"CAST(:{name} AS bigint[])" for name in ("parties", "certificates", "lots")}
_ABOUT = prepared(f"SELECT {_about(**_IDS)}")


async def _ask_about(
    library: Library,
    graph: SubGraph | None,
    *,
    lots: Collection[int],
    party_ids: Iterable[int | None],
    certificate_ids: Iterable[int],
    at: datetime,
) -> _About:
    asked = {
        "parties": [party for party in party_ids if party is not None],
        "certificates": sorted(set(certificate_ids)),
        "lots": list({*lots, *(graph.nodes if graph else ())}),
        "at": at,
    }
    (row,) = await library.books.ask(_ABOUT, asked)
    return _About._make(row)


async def _gather(
    library: Library,
    graph: SubGraph | None,
    about: _About,
    *,
    lots: Mapping[int, LotState | Node | _Received],
    at: datetime,
) -> _Known:
    """Put together what a page is told with; whoever had the lots is named from memory."""
    nodes: Collection[Node] = graph.nodes.values() if graph else ()
    parties = {number: _shown(name, form) for number, name, form in about.parties}
    had = {party for node in nodes for party in (node.holder_id, node.producer_id)}
    if unnamed := had - parties.keys() - {None}:
        named = await trace.parties(library.books, unnamed)
        parties |= {number: _shown(party.name, party.form) for number, party in named.items()}
    results: Sequence[tuple[int, TestStanding]] = ()
    if about.standings:
        behind = {*lots, *(graph.nodes if graph else ())}
        results = testing.latest_first(grouped(about.standings, behind), at)
    return _Known(
        catalogue=library.catalogue,
        gazetteer=library.gazetteer,
        graph=graph,
        parties=parties,
        certificates=[_Certificate(*row) for row in about.certificates],
        held=about.held,
        lots=lots,
        results=results,
    )


# --- a ticket -------------------------------------------------------------------------------------


class _Paper(NamedTuple):
    """A ticket as `_finding` reads it.

    Attributes:
        ids: All lots behind it, where the statement has walked.
    """

    id: int
    kind: str
    code: str
    seller_id: int
    buyer_id: int | None
    buyer_kind: str
    sold_at: datetime
    issued_at: datetime
    expires_at: datetime
    mass_g: int
    token: str
    status: str
    market: str | None
    stall: str | None
    ids: Sequence[int] | None
    lines: Sequence[tuple[Any, ...]]
    draws: Sequence[tuple[Any, ...]]
    lots: Sequence[tuple[Any, ...]]
    edges: Sequence[tuple[Any, ...]]
    received: Sequence[tuple[int, int]]


def _finding(*, walked: bool) -> str:
    """Write the statement that finds a ticket; if it shall walk as well, with all lots behind it.

    The lots that it drew on come with everything that went into them: nobody has met them before,
    while those behind them are behind other tickets too, and mostly remembered. Whatever can stand
    against any of these lots is asked in the same breath.
    """
    more, about, joined = "met AS (SELECT CAST(NULL AS bigint[]) AS ids)", "", ""
    if walked:
        more = f"""
            {walking(Walk.BACK, "SELECT unnest(ids) FROM drawn")}, behind AS MATERIALIZED (
                SELECT ARRAY(
                    SELECT received_lot_id FROM ticket_receipt
                    WHERE ticket_id = (SELECT id FROM paper) AND received_lot_id IS NOT NULL
                ) || CASE WHEN cardinality(met.ids) < :most THEN met.ids ELSE drawn.ids END AS ids
                FROM drawn CROSS JOIN met
            ), proved AS MATERIALIZED (
                SELECT ARRAY(
                    SELECT DISTINCT unnest(certificate_ids) FROM ticket_draw
                    WHERE ticket_id = (SELECT id FROM paper)
                ) AS ids
            )
        """  # noqa: S608 (constants)
        joined = "CROSS JOIN behind CROSS JOIN proved"
        about = _about(
            parties="""(ARRAY[paper.seller_id, paper.buyer_id] || ARRAY(
                SELECT unnest(ARRAY[holder_id, producer_id]) FROM lot WHERE id = ANY(drawn.ids)
            ))""",
            certificates="proved.ids",
            lots="behind.ids",
        )
    return f"""
        WITH RECURSIVE paper AS MATERIALIZED (
            SELECT t.id, t.kind, t.code, t.seller_id, t.buyer_id, t.buyer_kind, t.sold_at,
                t.issued_at, t.expires_at, t.mass_g, t.token, s.status, market.name AS market,
                stall.name AS stall
            FROM ticket t
            JOIN ticket_state s ON s.ticket_id = t.id
            LEFT JOIN place market ON market.id = t.market_id
            LEFT JOIN place stall ON stall.id = t.stall_id
            WHERE t.serial = :serial
        ), drawn AS MATERIALIZED (
            SELECT ARRAY(
                SELECT lot_id FROM ticket_draw WHERE ticket_id = (SELECT id FROM paper)
            ) AS ids
        ), {more}
        SELECT paper.*, met.ids,
            ARRAY(
                SELECT ROW(n.no, n.product_id, n.trade_name, n.mass_g, n.quantity, n.unit)
                FROM ticket_line n WHERE n.ticket_id = paper.id ORDER BY n.no
            ) AS lines,
            ARRAY(
                SELECT ROW(d.line_no, d.lot_id, d.mass_g, to_jsonb(d.certificate_ids))
                FROM ticket_draw d WHERE d.ticket_id = paper.id ORDER BY d.line_no, d.lot_id
            ) AS draws,
            ARRAY(SELECT ROW({LOT}) FROM lot WHERE id = ANY(drawn.ids)) AS lots,
            ARRAY(
                SELECT ROW({EDGE}) FROM lot_edge WHERE dst = ANY(drawn.ids) ORDER BY dst, src
            ) AS edges,
            ARRAY(
                SELECT ROW(l.id, l.product_id)
                FROM ticket_receipt r JOIN lot l ON l.id = r.received_lot_id
                WHERE r.ticket_id = paper.id
            ) AS received{"," if walked else ""} {about}
        FROM paper CROSS JOIN drawn CROSS JOIN met {joined}
    """  # noqa: S608 (constants)


_FIND_AND_WALK, _FIND = prepared(_finding(walked=True)), prepared(_finding(walked=False))


async def read_ticket(
    library: Library, code: Code, frame: Frame
) -> tuple[PublicTicket, Grounds | None] | None:
    """Say what anybody may know of a ticket whose signature was checked, if there is this one.

    With a stolen key somebody could sign other content under a serial that exists: the books must
    hold exactly this token.

    Raises:
        TraceTimedOut: the lots behind it took too long to walk.
    """
    assert code.parsed is not None, "its signature was checked"
    serial, now = code.parsed.claims.serial, frame.now
    asked_for = {"serial": serial, "most": CHAIN_LOTS_MAX + 1, "at": now}
    with levels.in_time():
        rows = await library.books.ask(_FIND_AND_WALK if library.at_once else _FIND, asked_for)
    if not rows:
        return None
    row = tuple(rows[0])
    ticket = _Paper._make(row[: len(_Paper._fields)])
    if ticket.token != code.reference:
        return None
    draws = [_Draw._make(draw) for draw in ticket.draws]
    drawn = {
        lot: of_lot.node
        for lot, of_lot in settled(library.books, ticket.lots, ticket.edges).items()
    }
    received: dict[int, Node | _Received] = {
        row[0]: _Received._make(row) for row in ticket.received
    }
    lots = {**drawn, **received}
    graph = await _behind(library, ticket, drawn)
    if library.at_once:
        about = _About._make(row[len(_Paper._fields) :])
    else:
        about = await _ask_about(
            library,
            graph,
            lots=lots,
            party_ids=(
                ticket.seller_id,
                ticket.buyer_id,
                *(lot.producer_id for lot in drawn.values()),
            ),
            certificate_ids=(number for draw in draws for number in draw.certificate_ids),
            at=now,
        )
    known = await _gather(library, graph, about, lots=lots, at=now)
    status = TicketStatus(ticket.status)
    state = ticket_state(status, held=bool(known.held), expired=now >= ticket.expires_at)
    asked: dict[int, int] = {}
    for draw in draws:
        asked[draw.lot_id] = asked.get(draw.lot_id, 0) + draw.mass_g
    page = _page(
        state,
        frame,
        document="ticket",
        code=shortcode.show(ticket.code),
        issued_at=ticket.issued_at,
        expires_at=ticket.expires_at,
        ticket=_ticket_facts(ticket, draws, drawn, known),
        **_story(
            known, asked, local_date(ticket.sold_at), frame, last=_sale(ticket, status, known)
        ),
    )
    return page, _grounds(ticket, known)


async def _behind(library: Library, ticket: _Paper, drawn: Collection[int]) -> SubGraph | None:
    """Answer the lots behind a ticket; None if these are too many to tell."""
    if ticket.ids is None:
        return await library.behind(drawn)
    try:
        return await trace.graph_of(
            library.books, ticket.ids, None, None, None, limit=CHAIN_LOTS_MAX
        )
    except TraceTooLarge:
        return None


def _ticket_facts(
    ticket: _Paper, draws: Sequence[_Draw], drawn: Mapping[int, Node], known: _Known
) -> PublicTicketFacts:
    lines = [_Line._make(row) for row in ticket.lines]
    return PublicTicketFacts(
        kind=TicketKind(ticket.kind),
        status=TicketStatus(ticket.status),
        seller=known.party(ticket.seller_id),
        buyer=None if ticket.buyer_id is None else known.party(ticket.buyer_id),
        buyer_kind=BuyerKind(ticket.buyer_kind),
        market=None if ticket.market is None else without_numbers(ticket.market),
        stall=None if ticket.stall is None else without_numbers(ticket.stall),
        sold_at=ticket.sold_at,
        mass_g=ticket.mass_g,
        mass=_mass(ticket.mass_g),
        lines=[
            _line(line, [drawn[draw.lot_id] for draw in draws if draw.line_no == line.no], known)
            for line in lines
        ],
    )


def _line(line: _Line, drawn: Sequence[Node], known: _Known) -> PublicLine:
    product = known.product(line.product_id)
    trade_name = without_numbers(line.trade_name)
    origins = (
        known.village(lot.division_code, lot.made_on or local_date(lot.occurred_at))
        for lot in drawn
    )
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


def _sale(ticket: _Paper, status: TicketStatus, known: _Known) -> Text:
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
    session: AsyncSession, library: Library, certificate: Certificate, frame: Frame
) -> PublicTicket:
    behind = await lots.states_by_id(session, [certificate.lot_id])
    graph = await library.behind(behind)
    about = await _ask_about(
        library,
        graph,
        lots=behind,
        party_ids=[certificate.issuer_id],
        certificate_ids=[certificate.id, *behind[certificate.lot_id].certificate_ids],
        at=frame.now,
    )
    known = await _gather(library, graph, about, lots=behind, at=frame.now)
    shown = next(row for row in known.certificates if row.id == certificate.id)
    state = certificate_state(
        voided=shown.voided,
        held=bool(known.held),
        expired=frame.now >= certificate.expires_at,
    )
    facts = PublicCertificateFacts(
        certificate=_certificate(shown, known, frame.now),
        origin=known.village(certificate.division_code, certificate.issued_on),
        spoken=_spoken(certificate.quantity, certificate.unit),
    )
    asked = {certificate.lot_id: certificate.mass_g}
    told = _story(known, asked, certificate.issued_on, frame, last=None)
    told["certificates"] = [
        row for row in told["certificates"] if row.code != facts.certificate.code
    ]
    return _page(
        state,
        frame,
        document="certificate",
        code=shortcode.show(certificate.code),
        issued_at=certificate.issued_at,
        expires_at=certificate.expires_at,
        certificate=facts,
        **told,
    )


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


def _certificate(row: _Certificate, known: _Known, now: datetime) -> PublicCertificate:
    wording = row.wording
    standing = Standing.VALID
    if row.voided:
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
    used = {
        (row.kind, row.form_edition): row.wording for row in known.certificates if not row.voided
    }
    return [
        Promise(
            title=Words(**wording["title"]),
            text=[Words(**line) for line in wording["promise"]],
        )
        for wording in used.values()
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
