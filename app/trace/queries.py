"""Walks the graph of lots, and finds the names for what it met. Reads only."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import TRACE_STRATEGY, Database, Row, Statement, fetch, prepared
from app.lot.rules import LotOrigin, Proof
from app.party import credentials
from app.party.access import Caller, DatedRole, RoleKind
from app.party.credentials import Credential
from app.party.identifiers import mask_name
from app.trace import levels
from app.trace.memory import Answer, Asked, Memory, Named, Settled, memory_of
from app.trace.rules import Direction, Edge, Node, SubGraph, TraceTooLarge, ending_of


class Walk(StrEnum):
    """Which lots a statement visits."""

    BACK = "back"
    FORWARD = "forward"
    AROUND = "around"


_VISITS = {
    Walk.BACK: """
        UNION SELECT e.src FROM walk w CROSS JOIN LATERAL (
            SELECT src FROM lot_edge WHERE dst = w.id OFFSET 0
        ) e
    """,
    Walk.FORWARD: """
        UNION SELECT e.dst FROM walk w CROSS JOIN LATERAL (
            SELECT dst FROM lot_edge WHERE src = w.id OFFSET 0
        ) e
    """,
    Walk.AROUND: """
        UNION SELECT src FROM lot_edge WHERE dst = ANY(CAST(:lots AS bigint[]))
        UNION SELECT dst FROM lot_edge WHERE src = ANY(CAST(:lots AS bigint[]))
    """,
}


def walking(walk: Walk, begin: str) -> str:
    """Write the common table expressions of a walk: `met` has an array of all lots.

    The recursion touches nothing but the two indexes of `lot_edge`. The LIMIT stops the recursion
    itself: a graph that is too large costs no more than one that is just small enough.

    Every OFFSET 0 is a fence: without it the planner, which cannot guess the size of a recursion,
    may join by reading whole tables (tried: a hundred times slower on 160,000 lots whose
    statistics were a load behind).
    """
    return f"""
        walk (id) AS (
            {begin} {_VISITS[walk]}
        ), met AS MATERIALIZED (
            SELECT ARRAY(SELECT id FROM walk LIMIT :most) AS ids
        )
    """  # noqa: S608


# Looking up an array of ids is one way along the index; a join would look up each id from the root
# (tried: 1.0 us a lot, and 0.5).
_LEFT = """
    SELECT array_agg(lot_id) AS ids, array_agg(remaining_g) AS left_g,
        array_agg(lot_id) FILTER (WHERE holds > 0) AS held
    FROM lot_balance WHERE lot_id = ANY(met.ids) OFFSET 0
"""


def _statement(walk: Walk, *, stocked: bool = True) -> str:
    """Write the one statement of a walk, with what is left of each lot if that is wanted."""
    left = _LEFT if stocked else "SELECT NULL, NULL, NULL"
    return f"""
        WITH RECURSIVE {walking(walk, "SELECT unnest(CAST(:lots AS bigint[]))")}
        SELECT met.ids, b.* FROM met CROSS JOIN LATERAL ({left}) b
    """  # noqa: S608


_WALKS = {
    (walk, stocked): prepared(_statement(walk, stocked=stocked))
    for walk in Walk
    for stocked in (True, False)
}


class Strategy(StrEnum):
    """How a graph is walked: by the server in one statement, or by us, a statement a level."""

    RECURSIVE = "recursive"
    LEVELS = "levels"


_LEVELS = {Walk.BACK: levels.back, Walk.FORWARD: levels.forward, Walk.AROUND: levels.around}


def strategy_of(session: AsyncSession) -> Strategy:
    """Answer how graphs are walked where a session works; an operator sets it."""
    options = session.get_bind().get_execution_options()
    return Strategy(options.get(TRACE_STRATEGY, Strategy.RECURSIVE))


async def walk(
    session: AsyncSession, lots: Collection[int], kind: Walk, *, limit: int, stocked: bool = True
) -> SubGraph:
    """Fetch the lots that a walk meets and the edges among them.

    Args:
        session: The caller's session.
        lots: Internal ids to begin at.
        kind: Where to go from there.
        limit: How many lots the graph may have at most.
        stocked: Whether what is left of each lot, and what is held, will be looked at.

    Raises:
        TraceTooLarge: it has more.
        TraceTimedOut: it took too long.
    """
    if strategy_of(session) is Strategy.LEVELS:
        return await _LEVELS[kind](session, lots, limit=limit)
    with levels.in_time():
        return await walk_at_once(books_of(session), lots, kind, limit=limit, stocked=stocked)


async def walk_at_once(
    books: "Books", lots: Collection[int], kind: Walk, *, limit: int, stocked: bool = True
) -> SubGraph:
    """Let the server walk in one statement, and ask it about the lots that are not remembered.

    Args:
        books: Where to ask.
        lots: Internal ids to begin at.
        kind: Where to go from there.
        limit: How many lots the graph may have at most.
        stocked: Whether to ask what is left of each lot, and whether it is held.

    Raises:
        TraceTooLarge: the graph has more lots than `limit`.
    """
    if kind is Walk.BACK and not stocked:
        # What lots were made of never changes: the books need not be asked again.
        behind = books.memory.behind(lots, limit=limit)
        if behind is not None:
            return _graph(behind, limit)
    rows = await books.ask(_WALKS[kind, stocked], {"lots": list(lots), "most": limit + 1})
    return await graph_of(books, *rows[0], limit=limit)


LOT = """
    id, public_id, product_id, holder_id, producer_id, mixed, origin, division_code, made_on,
    created_at, mass_g
"""
EDGE = "src, dst, mass_g, proof, occurred_at"
"""Columns as `settled` reads them."""

_PARTY = "id, public_id, name, form, division_code"
# Lots, all that went into them, and who had them. The driver decodes no array inside a row that has
# no type, and there is none in these.
_MEET = prepared(f"""
    SELECT
        ARRAY(SELECT ROW({LOT}) FROM lot WHERE id = ANY(CAST(:lots AS bigint[]))) AS lots,
        ARRAY(
            SELECT ROW({EDGE}) FROM lot_edge WHERE dst = ANY(CAST(:lots AS bigint[]))
            ORDER BY dst, src
        ) AS edges,
        ARRAY(
            SELECT ROW({_PARTY}) FROM party WHERE id = ANY(ARRAY(
                SELECT unnest(ARRAY[holder_id, producer_id]) FROM lot
                WHERE id = ANY(CAST(:lots AS bigint[]))
            ))
        ) AS parties
""")  # noqa: S608
_ORIGINS = {origin.value: origin for origin in LotOrigin}
_PROOFS = {proof.value: proof for proof in Proof}


@dataclass(frozen=True, slots=True)
class Books:
    """Where questions go: into a session, or past all sessions to the database itself.

    Attributes:
        ask: Executes one statement.
        memory: What of these books is remembered.
    """

    ask: Callable[[Statement, Mapping[str, Any]], Awaitable[list[Row]]]
    memory: Memory


def books_of(session: AsyncSession) -> Books:
    """Ask in a session."""
    return Books(partial(fetch, session), memory_of(session.get_bind().engine.pool))


def walks_at_once(database: Database) -> bool:
    """Whether one statement can answer a trace: no replica is to be asked, no cluster walked."""
    options = database.engine.get_execution_options()
    recursive = options.get(TRACE_STRATEGY, Strategy.RECURSIVE) == Strategy.RECURSIVE
    return recursive and database.replica is None


def books_beside(database: Database) -> Books:
    """Ask without a session: every statement is a transaction by itself."""
    return Books(database.ask, memory_of(database.engine.sync_engine.pool))


async def graph_of(
    books: Books,
    met: Sequence[int],
    stocked: Sequence[int] | None,
    grams: Sequence[int] | None,
    held: Sequence[int] | None,
    *,
    limit: int,
) -> SubGraph:
    """Put a graph together: what a walk has found in the books, and what is known of those lots.

    Args:
        books: Where to ask about lots that are not remembered.
        met: The lots that the walk met.
        stocked: Lots, in the order of `grams`.
        grams: What is left of each now.
        held: Those that may not move.
        limit: How many lots the graph may have at most.

    Raises:
        TraceTooLarge: it has more.
    """
    if len(met) > limit:
        raise TraceTooLarge(limit=limit)
    ids = sorted(met)
    lots = books.memory.lots.all_of(ids)
    if lots is None:
        known, unknown = books.memory.lots.recall(ids)
        if unknown:
            known |= await _settle(books, unknown)
        lots = [known[lot] for lot in ids if lot in known]
    graph = _graph(lots, limit)
    left_g = dict.fromkeys(graph.nodes, 0)
    left_g.update(zip(stocked or (), grams or (), strict=True))
    return replace(graph, left_g=left_g, held=frozenset(held or ()))


def _graph(lots: Sequence[Settled], limit: int) -> SubGraph:
    """Put lots, oldest first, and the edges among them together."""
    if len(lots) > limit:
        raise TraceTooLarge(limit=limit)
    nodes = {node[0]: node for node, _ in lots}
    # An edge leads from an older lot to a younger one, and has its parents' order.
    return SubGraph(nodes, [edge for _, into in lots for edge in into if edge[0] in nodes])


async def _settle(books: Books, lots: Collection[int]) -> dict[int, Settled]:
    """Read lots that nobody has met; whoever had them will be named next."""
    (met,) = await books.ask(_MEET, {"lots": lots})
    books.memory.parties.keep({row[0]: _named(*row[1:]) for row in met.parties})
    return settled(books, met.lots, met.edges)


def settled(books: Books, rows: Iterable[Any], edges: Iterable[Any]) -> dict[int, Settled]:
    """Put lots together with all that went into them, and remember those that are final.

    Args:
        books: Whose lots they are.
        rows: The columns `LOT` of each.
        edges: The columns `EDGE` of all edges into them, each lot's by ascending parent.
    """
    into: dict[int, list[Any]] = {}
    for edge in edges:
        into.setdefault(edge[1], []).append(edge)
    found: dict[int, Settled] = {}
    for row in rows:
        lot, at, mass_g, into_g = row[0], row[9], row[10], 0
        parts = []
        for src, _, part_g, proof, occurred_at in into.get(lot, ()):
            # What is the same is the same object: a seventh of what a lot takes in the memory.
            same_at = at if occurred_at == at else occurred_at
            parts.append(Edge(src, lot, part_g, _PROOFS[proof], same_at))
            into_g += part_g
        if into_g == mass_g:
            into_g = mass_g
        origin = _ORIGINS[row[6]]
        ending = ending_of(origin, row[4], into_g)
        node = Node._make((*row[:6], origin, *row[7:], into_g, ending))
        found[lot] = Settled(node, tuple(parts))
    books.memory.settle(found.values())
    return found


_AHEAD = text("SELECT lots_ahead(CAST(:lots AS bigint[]), :limit)")


async def ahead(session: AsyncSession, lots: Collection[int], *, limit: int) -> Collection[int]:
    """Answer lots and everything that they went into, by id alone: a recall's very many.

    Raises:
        TraceTooLarge: these are more than `limit`.
        TraceTimedOut: it took too long.
    """
    if strategy_of(session) is Strategy.LEVELS:
        return await levels.ahead(session, lots, limit=limit)
    with levels.in_time():
        found = await session.scalar(_AHEAD, {"lots": list(lots), "limit": limit})
    met: list[int] = found or []
    if len(met) > limit:
        raise TraceTooLarge(limit=limit)
    return met


async def walk_far(
    session: AsyncSession, lots: Collection[int], direction: Direction, *, limit: int
) -> SubGraph:
    """Fetch a graph of very many lots, in many statements each of which gets done in time.

    Raises:
        TraceTooLarge: it has more lots than `limit`.
        TraceTimedOut: it took too long.
    """
    if direction is Direction.BACK:
        return await levels.back(session, lots, limit=limit)
    return await levels.among(session, await ahead(session, lots, limit=limit))


_PLOTS = text("""
    SELECT id, plot_id FROM lot WHERE id = ANY(CAST(:lots AS bigint[])) AND plot_id IS NOT NULL
""")


async def plots(session: AsyncSession, lots: Collection[int]) -> dict[int, int]:
    """Answer the plot of each lot that has one."""
    return {row[0]: row[1] for row in await session.execute(_PLOTS, {"lots": list(lots)})}


class AskedLot(NamedTuple):
    """A lot in question, before anything else is known.

    Attributes:
        came_from: The party that handed it to its holder, if any.
        bought: Whether the caller is the buyer of a ticket that draws on it.
    """

    id: int
    public_id: UUID
    holder_id: int | None
    came_from: int | None
    mass_g: int
    bought: bool


# A voided ticket opens nothing: the seller may have named the wrong buyer.
_BOUGHT = """
    EXISTS (
        SELECT 1 FROM ticket_draw d
        JOIN ticket t ON t.id = d.ticket_id
        JOIN ticket_state s ON s.ticket_id = t.id
        WHERE d.lot_id = l.id AND t.buyer_id = {party} AND s.status <> 'voided'
    )
"""
_ASKED = text(f"""
    SELECT l.id, l.public_id, l.holder_id, l.from_party_id, l.mass_g,
        {_BOUGHT.format(party=":party")}
    FROM lot l WHERE l.public_id = ANY(CAST(:lots AS uuid[])) ORDER BY l.id
""")  # noqa: S608


async def asked_lots(
    session: AsyncSession, public_ids: Iterable[UUID], *, party_id: int | None
) -> list[AskedLot]:
    """Find lots by their public ids; those that do not exist are missing from the answer."""
    rows = await session.execute(_ASKED, {"lots": list(public_ids), "party": party_id})
    return [AskedLot(*row) for row in rows]


class AskedTicket(NamedTuple):
    """A ticket in question.

    Attributes:
        voided: Whether the seller took it back.
        drawn: Grams drawn, by lot.
        received: Grams of the lots that it brought to the buyer, by lot.
    """

    id: int
    seller_id: int
    buyer_id: int | None
    market_id: int | None
    voided: bool
    drawn: dict[int, int]
    received: dict[int, int]


_TICKET = text("""
    SELECT t.id, t.seller_id, t.buyer_id, t.market_id, s.status = 'voided',
        drawn.lots, drawn.grams, received.lots, received.grams
    FROM ticket t JOIN ticket_state s ON s.ticket_id = t.id
    CROSS JOIN LATERAL (
        SELECT array_agg(d.lot_id ORDER BY d.line_no, d.lot_id) AS lots,
            array_agg(d.mass_g ORDER BY d.line_no, d.lot_id) AS grams
        FROM ticket_draw d WHERE d.ticket_id = t.id
    ) drawn
    CROSS JOIN LATERAL (
        SELECT array_agg(l.id ORDER BY l.id) AS lots, array_agg(l.mass_g ORDER BY l.id) AS grams
        FROM ticket_receipt r JOIN lot l ON l.id = r.received_lot_id WHERE r.ticket_id = t.id
    ) received
    WHERE t.public_id = :ticket
""")


async def asked_ticket(session: AsyncSession, public_id: UUID) -> AskedTicket | None:
    """Find a ticket with the lots on both sides of it."""
    row = (await session.execute(_TICKET, {"ticket": public_id})).one_or_none()
    if row is None:
        return None
    return AskedTicket(
        id=row[0],
        seller_id=row[1],
        buyer_id=row[2],
        market_id=row[3],
        voided=row[4],
        drawn=_sums(row[5], row[6]),
        received=_sums(row[7], row[8]),
    )


def _sums(lots: Sequence[int] | None, grams: Sequence[int] | None) -> dict[int, int]:
    # One lot can stand behind two lines of a ticket.
    sums: dict[int, int] = {}
    for lot, mass_g in zip(lots or (), grams or (), strict=True):
        sums[lot] = sums.get(lot, 0) + mass_g
    return sums


_MARKETS = """
    SELECT p.id FROM place p WHERE p.kind = 'market' AND (p.party_id = :party OR EXISTS (
        SELECT 1 FROM party_role r
        WHERE r.party_id = :party AND r.kind = 'MARKET' AND r.place_id = p.id
    ))
"""
# What was received is found through what was drawn: no index leads from a lot to its receipt, and
# the lot that the draw was on is its parent.
_IN_MARKET = text(f"""
    WITH market AS ({_MARKETS}), stall_holder AS (
        SELECT r.party_id, r.valid_from, r.valid_to FROM party_role r
        WHERE r.place_id IN (SELECT id FROM market) OR r.place_id IN (
            SELECT s.id FROM place s WHERE s.parent_id IN (SELECT id FROM market)
        )
    ), drawn AS (
        SELECT d.lot_id, r.received_lot_id
        FROM ticket_draw d
        JOIN ticket t ON t.id = d.ticket_id
        JOIN ticket_state s ON s.ticket_id = t.id
        LEFT JOIN ticket_receipt r ON r.ticket_id = d.ticket_id AND r.line_no = d.line_no
            AND r.lot_id = d.lot_id
        WHERE t.market_id IN (SELECT id FROM market) AND s.status <> 'voided'
            AND d.lot_id = ANY(CAST(:lots AS bigint[]) || ARRAY(
                SELECT e.src FROM lot_edge e WHERE e.dst = ANY(CAST(:asked AS bigint[]))
            ))
    )
    SELECT lot_id FROM drawn
    UNION SELECT received_lot_id FROM drawn WHERE received_lot_id IS NOT NULL
    UNION SELECT l.id FROM lot l JOIN stall_holder h ON h.party_id = l.holder_id
    WHERE l.id = ANY(CAST(:lots AS bigint[]))
        AND h.valid_from <= CAST(l.created_at AT TIME ZONE 'Asia/Shanghai' AS date)
        AND (h.valid_to IS NULL
            OR CAST(l.created_at AT TIME ZONE 'Asia/Shanghai' AS date) < h.valid_to)
""")  # noqa: S608


async def lots_in_market(
    session: AsyncSession, party_id: int, *, lots: Collection[int], asked: Collection[int]
) -> frozenset[int]:
    """Answer which lots are in the books of a market that a party runs.

    These are lots that a ticket drawn up in the market took from or brought into being, and lots of
    whoever had a place in it on the day.
    """
    rows = await session.execute(
        _IN_MARKET, {"party": party_id, "lots": list(lots), "asked": list(asked)}
    )
    return frozenset(rows.scalars()) & frozenset(lots)


async def runs_market(session: AsyncSession, party_id: int, market_id: int) -> bool:
    """Whether a party runs this market."""
    statement = text(f"SELECT :market IN ({_MARKETS})")
    row = await session.execute(statement, {"party": party_id, "market": market_id})
    return bool(row.scalar_one())


_MARKET_DIVISIONS = text("""
    SELECT DISTINCT p.division_code
    FROM ticket_draw d
    JOIN ticket t ON t.id = d.ticket_id
    JOIN place p ON p.id = t.market_id
    WHERE d.lot_id = ANY(CAST(:lots AS bigint[]) || ARRAY(
        SELECT e.src FROM lot_edge e WHERE e.dst = ANY(CAST(:asked AS bigint[]))
    ))
""")


async def market_divisions(
    session: AsyncSession, *, lots: Collection[int], asked: Collection[int]
) -> list[str]:
    """Answer the divisions of the markets in which lots changed hands."""
    parameters = {"lots": list(lots), "asked": list(asked)}
    return list((await session.execute(_MARKET_DIVISIONS, parameters)).scalars())


_PARTIES = prepared(f"""
    SELECT {_PARTY} FROM party WHERE id = ANY(CAST(:parties AS bigint[]))
""")  # noqa: S608


async def parties(books: Books, party_ids: Iterable[int | None]) -> dict[int, Named]:
    """Answer the names of parties."""
    wanted = {party for party in party_ids if party is not None}
    known, unknown = books.memory.parties.recall(wanted)
    if unknown:
        fetched = {
            row[0]: _named(*row[1:]) for row in await books.ask(_PARTIES, {"parties": unknown})
        }
        books.memory.parties.keep(fetched)
        known |= fetched
    return known


def _kept(value: Mapping[str, Any]) -> bytes:
    """Write JSON that will be remembered: what orjson answers holds on to 4 KB, a copy does not."""
    return bytes(memoryview(orjson.dumps(value)))


def _named(public_id: UUID, name: str, form: str, division_code: str | None) -> Named:
    in_full = _kept({"party": str(public_id), "name": name, "masked": False})
    masked = in_full
    if form != "legal":
        masked = _kept({"party": None, "name": mask_name(name), "masked": True})
    return Named(public_id, name, form, division_code, in_full, masked)


_ROLES = prepared("""
    SELECT party_id, kind, division_code, valid_from, valid_to
    FROM party_role WHERE party_id = ANY(CAST(:parties AS bigint[])) ORDER BY party_id, id
""")


async def roles(books: Books, party_ids: Iterable[int | None]) -> dict[int, list[DatedRole]]:
    """Answer what parties are and were; what was given or ended in the last minutes may lack."""
    wanted = {party for party in party_ids if party is not None}
    known, unknown = books.memory.roles.recall(wanted)
    if unknown:
        fetched: dict[int, list[DatedRole]] = {party: [] for party in unknown}
        for party, kind, *rest in await books.ask(_ROLES, {"parties": unknown}):
            fetched[party].append(DatedRole(RoleKind(kind), *rest))
        books.memory.roles.keep(fetched)
        known |= fetched
    return known


class Transit(NamedTuple):
    """Goods on their way: drawn from a lot for a buyer who has not decided yet."""

    ticket: UUID
    lot: UUID
    lot_id: int
    buyer_id: int | None
    buyer_kind: str
    mass_g: int
    sold_at: datetime


_TRANSITS = text("""
    SELECT t.public_id, l.public_id, l.id, t.buyer_id, t.buyer_kind,
        CAST(sum(d.mass_g) AS bigint), t.sold_at
    FROM ticket_draw d
    JOIN ticket t ON t.id = d.ticket_id
    JOIN ticket_state s ON s.ticket_id = t.id
    JOIN lot l ON l.id = d.lot_id
    WHERE (d.lot_id = ANY(CAST(:lots AS bigint[])) OR t.id = :ticket)
        AND t.hand_over = 'two_sided' AND s.status = 'issued'
    GROUP BY t.id, l.id
    ORDER BY t.id, l.id
""")


async def transits(
    session: AsyncSession, lots: Collection[int], *, ticket_id: int | None = None
) -> Sequence[Transit]:
    """Find the open tickets that draw on lots, and one ticket more if it is open.

    Args:
        session: The caller's session.
        lots: Internal ids.
        ticket_id: A ticket that counts whatever it draws on.
    """
    parameters: dict[str, Any] = {"lots": list(lots), "ticket": ticket_id}
    return [Transit(*row) for row in await session.execute(_TRANSITS, parameters)]


# Who asks, what is asked about, the walk, what is left, and what is on its way: all that a trace
# asks the books when it has met the lots before. Without a valid credential nothing is walked.
_WHO = "who (account, duty, scopes, party_id, party, roles, created_at, seen_at)"
_WHO_COLUMNS = 8
_DRAWN = """
    SELECT ticket_id, lot_id, mass_g FROM (
        SELECT ticket_id, lot_id, mass_g FROM ticket_draw WHERE lot_id = ANY(met.ids) OFFSET 0
    ) d
    CROSS JOIN LATERAL (
        SELECT FROM ticket_state WHERE ticket_id = d.ticket_id AND status = 'issued' OFFSET 0
    ) s OFFSET 0
"""
_ON_THE_WAY = f"""
    SELECT array_agg(d.ticket_id), array_agg(d.lot_id), array_agg(d.mass_g),
        array_agg(t.hand_over = 'two_sided'), array_agg(t.public_id), array_agg(t.buyer_id),
        array_agg(t.buyer_kind), array_agg(t.sold_at)
    FROM ({_DRAWN}) d
    CROSS JOIN LATERAL (
        SELECT public_id, buyer_id, buyer_kind, sold_at, hand_over
        FROM ticket WHERE id = d.ticket_id OFFSET 0
    ) t
"""  # noqa: S608
_CREDENTIALS = {
    Credential.SESSION: credentials.BY_SESSION,
    Credential.KEY: credentials.BY_KEY,
}
_WHOLE = {
    (credential, walk): prepared(f"""
        WITH RECURSIVE {_WHO} AS MATERIALIZED ({found}), asked AS MATERIALIZED (
            SELECT l.id, l.public_id, l.holder_id, l.from_party_id, l.mass_g,
                {_BOUGHT.format(party="who.party_id")} AS bought
            FROM who JOIN lot l ON l.public_id = :lot
        ), {walking(walk, "SELECT id FROM asked")}
        SELECT who.*, asked.*, met.ids, b.*, w.*
        FROM who CROSS JOIN asked CROSS JOIN met CROSS JOIN LATERAL ({_LEFT}) b
        CROSS JOIN LATERAL ({_ON_THE_WAY if walk is Walk.FORWARD else "SELECT NULL"}) w
    """)  # noqa: S608
    for credential, found in _CREDENTIALS.items()
    for walk in (Walk.BACK, Walk.FORWARD)
}

# Every gram that leaves a lot is taken from its balance, by a ticket or by its holder, and only
# tickets that are open give grams back: where a balance and the open tickets are as before, no edge
# has come (decision 28). What a ticket is never changes, so that its id tells all of it.
_AGAIN = {
    Walk.BACK: "SELECT NULL",
    Walk.FORWARD: f"SELECT array_agg(ticket_id) FROM ({_DRAWN}) d",  # noqa: S608
}
_HOLDS = {
    (credential, walk): prepared(f"""
        WITH {_WHO} AS MATERIALIZED ({found}), met AS MATERIALIZED (
            SELECT CAST(CAST(:met AS text) AS bigint[]) AS ids FROM who
        )
        SELECT who.*, {_BOUGHT.format(party="who.party_id")}, b.*, w.*
        FROM who CROSS JOIN met CROSS JOIN (SELECT CAST(:id AS bigint) AS id) l
        CROSS JOIN LATERAL (
            SELECT array_agg(remaining_g), array_agg(lot_id) FILTER (WHERE holds > 0)
            FROM (
                SELECT lot_id, remaining_g, holds
                FROM lot_balance WHERE lot_id = ANY(met.ids) ORDER BY lot_id
            ) ordered
        ) b
        CROSS JOIN LATERAL ({again}) w
    """)  # noqa: S608
    for credential, found in _CREDENTIALS.items()
    for walk, again in _AGAIN.items()
}


class Asker(NamedTuple):
    """Who asks about a lot.

    Attributes:
        is_noted: Whether nothing has to be noted about its session.
        bought: Whether it is the buyer of a ticket that draws on the lot.
    """

    caller: Caller
    is_noted: bool
    bought: bool


class Whole(NamedTuple):
    """All that the books say about one lot's trace.

    Attributes:
        transits: What is on its way forward.
        said: The same as `still_holds` compares it, if nothing else about the graph can change.
    """

    asker: Asker
    asked: AskedLot
    graph: SubGraph
    transits: Sequence[Transit]
    said: tuple[Any, ...] | None


async def whole(
    books: Books,
    credential: Credential,
    secret: str,
    asked: Asked,
    *,
    limit: int,
    now: datetime,
) -> Whole | None:
    """Find out at once who asks and what the trace is; None without a credential or a lot.

    Raises:
        TraceTooLarge: the graph has more lots than `limit`.
        TraceTimedOut: it took too long.
    """
    lot, direction = asked
    parameters = credentials.proffered(secret, now) | {"lot": lot, "most": limit + 1}
    with levels.in_time():
        rows = await books.ask(_WHOLE[credential, Walk(direction)], parameters)
    if not rows:
        return None
    row = tuple(rows[0])
    who, row = row[:_WHO_COLUMNS], row[_WHO_COLUMNS:]
    found = AskedLot(*row[:6])
    graph = await graph_of(books, *row[6:10], limit=limit)
    ways = row[10:] if direction is Direction.FORWARD else (None,) * 8
    said = None
    # A walk-in's lot has no balance from which goods that come back would be taken.
    is_told = direction is Direction.BACK or found.holder_id is not None
    if is_told and not any(edge[3] is Proof.CLAIMED for edge in graph.edges):
        held = sorted(graph.held) if graph.held else None
        said = (list(graph.left_g.values()), held, ways[0])
    asker = Asker(*credentials.read_caller(who, now), found.bought)
    return Whole(asker, found, graph, _on_the_way(graph, ways), said)


def _on_the_way(graph: SubGraph, columns: Sequence[Any]) -> list[Transit]:
    sums: dict[tuple[int, int], Transit] = {}
    ways = zip(*(column or () for column in columns), strict=True)
    for ticket_id, lot, mass_g, is_two_sided, *ticket in ways:
        if is_two_sided:
            so_far = sums.get((ticket_id, lot))
            grams = mass_g if so_far is None else so_far.mass_g + mass_g
            public_id, buyer, kind, sold_at = ticket
            sums[ticket_id, lot] = Transit(
                public_id, graph.nodes[lot].public_id, lot, buyer, kind, grams, sold_at
            )
    return [sums[key] for key in sorted(sums)]


async def still_holds(
    books: Books,
    credential: Credential,
    secret: str,
    asked: Asked,
    known: Answer,
    *,
    now: datetime,
) -> Asker | None:
    """Find out at once who asks, and that the books say what they said when this was answered.

    Returns:
        Who asks; None if they do not, and without a credential.

    Raises:
        TraceTimedOut: it took too long.
    """
    parameters = credentials.proffered(secret, now) | {"id": known.lot, "met": known.met}
    with levels.in_time():
        rows = await books.ask(_HOLDS[credential, Walk(asked[1])], parameters)
    if not rows:
        return None
    row = tuple(rows[0])
    who, bought, said = row[:_WHO_COLUMNS], row[_WHO_COLUMNS], row[_WHO_COLUMNS + 1 :]
    if said != known.said:
        return None
    return Asker(*credentials.read_caller(who, now), bought)
