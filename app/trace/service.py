"""Answers questions about where lots came from and who got them, as far as the caller may know.

Who may ask, and what each sees:

- An operator: everything.
- A regulator: everything, full names included, as soon as anything in the graph lies in its
  jurisdiction: the origin of a lot, the seat of a holder, producer or buyer on the way, or a market
  in which the goods changed hands. Goods do not stop at a district's border, and a case that
  touches the district is the district's; a graph that never touches it is refused.
- A market: lots that changed hands in it, or that its stall holders hold. It sees its stalls' books
  as its own, and otherwise what a trader sees.
- A trader: lots that it holds or held, lots that it handed to somebody, and lots on a ticket made
  out to it. Upstream it sees every lot with product, village, producer and dates, natural persons
  masked unless it dealt with them itself, and no grams of others' dealings. Downstream it sees its
  own buyers; what they passed on is summed up as `beyond`.
- Anybody else is refused (`other-party`).
"""

import asyncio
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.db import Database, array
from app.core.errors import DomainError
from app.lot.rules import UnknownLot
from app.party.access import (
    Audience,
    Caller,
    DatedRole,
    OtherParty,
    authorize,
    in_force,
    may_supervise,
)
from app.party.credentials import Credential
from app.place import service as places
from app.product import service as products
from app.ticket.rules import UnknownTicket
from app.trace import kinship, queries, rules, schemas
from app.trace.folding import Looks, fold
from app.trace.memory import Answer, Named
from app.trace.queries import AskedLot, Books, Transit, Walk
from app.trace.rules import Direction, Interest, Node, Reckoning, SubGraph, View
from app.trace.scribe import Look, Scribe, scribe_of
from app.trace.writing import Told
from app.trace.writing import write as write_out

LOTS_MAX = 10_000
"""Lots that one answer holds unless the caller of `trace` says otherwise."""

PAGED_LOTS_MAX = 200_000
"""Lots of a graph of which an answer holds only a part: a page, a picture, the ways between two."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what connects the caller with it before the graph is known.

    Attributes:
        asked: Grams in question, by lot.
        lots: The public ids of those lots.
        beside: Lots that a ticket took its goods from, for the rules about places.
        parties: Parties of the ticket.
        ticket: Public id of the ticket in question, if it is one.
        ticket_id: Its internal id.
        handed: Asked lots that the caller handed to their holder.
        granted: Whether the caller may ask, whatever else the graph shows: it holds or handed over
            every asked lot or is to buy it, or it is a party or the market of the ticket.
    """

    asked: Mapping[int, int]
    lots: tuple[UUID, ...]
    beside: frozenset[int] = frozenset()
    parties: frozenset[int] = frozenset()
    ticket: UUID | None = None
    ticket_id: int | None = None
    handed: frozenset[int] = frozenset()
    granted: bool = False


async def trace(
    session: AsyncSession,
    lot_public_ids: Sequence[UUID],
    direction: Direction,
    *,
    caller: Caller,
    limit: int = LOTS_MAX,
) -> schemas.TraceOut:
    """Trace lots back to their sources, or forward to every holder.

    Args:
        session: The caller's session; a fixed number of statements, whatever the graph's size.
        lot_public_ids: The lots in question; all of their grams.
        direction: Which way.
        caller: On whose behalf.
        limit: How many lots the graph may have at most.

    Raises:
        UnknownLot: one of the ids names no lot.
        OtherParty: the caller has nothing to do with one of the lots.
        TraceTooLarge: the graph has more lots than `limit`.
    """
    question = await question_about(session, lot_public_ids, caller)
    return await answer(session, question, direction, caller=caller, limit=limit)


async def trace_ticket(
    session: AsyncSession,
    ticket_public_id: UUID,
    direction: Direction,
    *,
    caller: Caller,
    limit: int = LOTS_MAX,
) -> schemas.TraceOut:
    """Trace a ticket's goods: back from what it draws on, forward from what it brought the buyer.

    Raises:
        UnknownTicket: there is no such ticket.
        OtherParty: the caller has nothing to do with it.
        TraceTooLarge: the graph has more lots than `limit`.
    """
    question = await question_of_ticket(session, ticket_public_id, direction, caller)
    return await answer(session, question, direction, caller=caller, limit=limit)


async def question_of_ticket(
    session: AsyncSession, ticket_public_id: UUID, direction: Direction, caller: Caller
) -> Question:
    """Put a question about a ticket's goods, whoever may ask it.

    Raises:
        UnknownTicket: there is no such ticket.
    """
    ticket = await queries.asked_ticket(session, ticket_public_id)
    if ticket is None:
        raise UnknownTicket(ticket=str(ticket_public_id))
    asked = ticket.drawn if direction is Direction.BACK else ticket.received
    me = caller.party_id
    # A voided ticket opens nothing to its buyer: the seller may have named the wrong one.
    opened = {ticket.seller_id} if ticket.voided else {ticket.seller_id, ticket.buyer_id}
    is_party = me is not None and me in opened
    return Question(
        asked=asked,
        lots=(),
        beside=frozenset(ticket.drawn),
        parties=_some({ticket.seller_id, ticket.buyer_id}),
        ticket=ticket_public_id,
        ticket_id=ticket.id,
        handed=frozenset(asked if me == ticket.seller_id else ()),
        granted=is_party or await _runs(session, caller, ticket.market_id),
    )


async def neighbours(
    session: AsyncSession, lot_public_id: UUID, *, caller: Caller, limit: int = LOTS_MAX
) -> schemas.NeighboursOut:
    """Show what a lot came from and where it went, one step each way.

    Raises:
        UnknownLot: there is no such lot.
        OtherParty: the caller has nothing to do with it.
        TraceTooLarge: it has more neighbours than `limit`.
    """
    question = await question_about(session, [lot_public_id], caller)
    (lot,) = question.asked
    if not caller.supervises:
        await check_granted(session, caller, question)
    around = await queries.walk(session, question.asked, Walk.AROUND, limit=limit)
    graph = replace(around, edges=[edge for edge in around.edges if lot in edge.key])
    transits = await queries.transits(session, [lot])
    parties = await parties_of(queries.books_of(session), graph, transits, question)
    upstream = graph.parents([lot])
    view = await _view(session, caller, question, graph, parties, upstream=upstream)
    scribe = await scribe_of(session, graph, view, parties, transits, caller)
    return schemas.NeighboursOut(
        lot=schemas.TracedLot(**scribe.lot(graph.nodes[lot])),
        up=[scribe.neighbour(edge, edge.src) for edge in graph.edges if edge.dst == lot],
        down=[
            scribe.neighbour(edge, edge.dst)
            for edge in graph.edges
            if edge.src == lot and edge.dst in view.shown
        ],
        in_transit=scribe.in_transit(question.ticket),
    )


async def _found(
    session: AsyncSession, public_ids: Sequence[UUID], caller: Caller
) -> list[AskedLot]:
    found = await queries.asked_lots(session, public_ids, party_id=caller.party_id)
    known = {lot.public_id for lot in found}
    for public_id in public_ids:
        if public_id not in known:
            raise UnknownLot(lot=str(public_id))
    return found


async def question_about(
    session: AsyncSession, public_ids: Sequence[UUID], caller: Caller
) -> Question:
    """Put a question about lots, whoever may ask it.

    Raises:
        UnknownLot: one of the ids names no lot.
    """
    return _about(await _found(session, public_ids, caller), caller)


def _about(found: Sequence[AskedLot], caller: Caller) -> Question:
    me = caller.party_id
    handed = {lot.id for lot in found if me is not None and lot.came_from == me}
    mine = {lot.id for lot in found if lot.bought or (me is not None and lot.holder_id == me)}
    asked = {lot.id: lot.mass_g for lot in found}
    return Question(
        asked=asked,
        lots=tuple(lot.public_id for lot in found),
        handed=frozenset(handed),
        granted=handed | mine >= asked.keys(),
    )


def _some(party_ids: Iterable[int | None]) -> frozenset[int]:
    return frozenset(party for party in party_ids if party is not None)


async def _runs(session: AsyncSession, caller: Caller, market_id: int | None) -> bool:
    if Audience.MARKET not in caller.audiences or market_id is None:
        return False
    return await queries.runs_market(session, caller.acting_party, market_id)


@dataclass(frozen=True, slots=True)
class _Found:
    """A graph, what it comes to, and how much of it the caller may see."""

    graph: SubGraph
    view: View
    scribe: Scribe
    reckoning: Reckoning

    @property
    def shown(self) -> list[Node]:
        """The lots that the caller sees, oldest first."""
        return [node for lot, node in self.graph.nodes.items() if lot in self.view.shown]


async def _explore(
    session: AsyncSession,
    question: Question,
    direction: Direction,
    *,
    caller: Caller,
    limit: int,
) -> _Found:
    if not caller.supervises:
        await check_granted(session, caller, question)
    graph = await _walk(session, question.asked, direction, limit)
    transits: Sequence[Transit] = ()
    if direction is Direction.FORWARD:
        transits = await queries.transits(session, graph.nodes, ticket_id=question.ticket_id)
    parties = await parties_of(queries.books_of(session), graph, transits, question)
    upstream = graph.nodes if direction is Direction.BACK else ()
    view = await _view(session, caller, question, graph, parties, upstream=upstream)
    return _Found(
        graph=graph,
        view=view,
        scribe=await scribe_of(session, graph, view, parties, transits, caller),
        reckoning=await _reckoned(graph, question, direction),
    )


async def _walk(
    session: AsyncSession, asked: Collection[int], direction: Direction, limit: int
) -> SubGraph:
    try:
        return await queries.walk(session, asked, Walk(direction), limit=min(limit, LOTS_MAX))
    except rules.TraceTooLarge:
        if limit <= LOTS_MAX:
            raise
    return await queries.walk_far(session, asked, direction, limit=limit)


async def _reckoned(graph: SubGraph, question: Question, direction: Direction) -> Reckoning:
    def reckon() -> Reckoning:
        if direction is Direction.BACK:
            return rules.back(graph, question.asked)
        return rules.forward(graph, question.asked)

    # Other requests of this process must not wait for a second until a huge graph is reckoned.
    return await asyncio.to_thread(reckon) if len(graph.nodes) > LOTS_MAX else reckon()


async def answer(
    session: AsyncSession,
    question: Question,
    direction: Direction,
    *,
    caller: Caller,
    limit: int,
) -> schemas.TraceOut:
    """Answer a question in full; see `write`."""
    written = await write(session, question, direction, caller=caller, limit=limit)
    return schemas.TraceOut.model_validate_json(written)


async def write(
    session: AsyncSession,
    question: Question,
    direction: Direction,
    *,
    caller: Caller,
    limit: int,
) -> bytes:
    """Answer a question in full, as the JSON of `schemas.TraceOut`.

    Raises:
        OtherParty: the caller has nothing to do with what is asked about.
        TraceTooLarge: the graph has more lots than `limit`.
    """
    found = await _explore(session, question, direction, caller=caller, limit=limit)
    return await _written(queries.books_of(session), question, found)


async def _written(books: Books, question: Question, found: _Found) -> bytes:
    graph, view, reckoning = found.graph, found.view, found.reckoning
    receipts: list[rules.Receipt] = []
    if reckoning.direction is Direction.FORWARD:
        receipts = rules.receipts(graph, reckoning, question.asked, view.shown)
    told = Told(
        lots=question.lots or tuple(graph.nodes[lot].public_id for lot in question.asked),
        ticket=question.ticket,
        asked_g=sum(question.asked.values()) if view.measured else None,
        receipts=receipts,
        roles=await queries.roles(books, (receipt.holder_id for receipt in receipts)),
    )
    return write_out(told, found.scribe, reckoning)


async def write_at_once(
    database: Database,
    credential: Credential,
    secret: str,
    lot_public_id: UUID,
    direction: Direction,
    *,
    action: str,
    limit: int,
    now: datetime,
) -> bytes | None:
    """Answer what most ask, with one statement where the lots have been met before.

    Args:
        database: Where to ask; no session is needed.
        credential: What the request proffers.
        secret: The key, or the session's token.
        lot_public_id: The lot in question; all of its grams.
        direction: Which way.
        action: What the caller must be allowed to do.
        limit: How many lots the graph may have at most.
        now: The present.

    Returns:
        The same as `write`, or None for everything that is less simple: a refusal, a market, an
        office outside whose area the goods are, a session that must be prolonged.

    Raises:
        TraceTimedOut: it took too long.
        asyncpg.PostgresError, OSError, …: see `replica.DATABASE_FAULTS`.
    """
    pool = database.engine.sync_engine.pool
    gazetteer, catalogue = places.gazetteer.at_hand(pool), products.catalogue.at_hand(pool)
    if gazetteer is None or catalogue is None or not queries.walks_at_once(database):
        return None
    books = queries.books_beside(database)
    books.memory.speak(catalogue, gazetteer)
    asked = lot_public_id, direction
    try:
        if (known := books.memory.answers.get(asked)) is not None and known.lots <= limit:
            asker = await queries.still_holds(books, credential, secret, asked, known, now=now)
            if asker is not None and asker.is_noted:
                authorize(asker.caller, action)
                if (written := known.written.get(_eyes(asker))) is not None:
                    return written
        whole = await queries.whole(books, credential, secret, asked, limit=limit, now=now)
        if whole is None or not whole.asker.is_noted:
            return None
        authorize(whole.asker.caller, action)
    except rules.TraceTimedOut:
        raise
    except DomainError:
        return None
    caller, graph = whole.asker.caller, whole.graph
    question = _about([whole.asked], caller)
    parties = await parties_of(books, graph, whole.transits, question)
    view = _view_at_once(caller, question, graph, parties, direction)
    if view is None:
        return None
    memory, me = books.memory, caller.party_id
    scribe = Scribe(graph, view, parties, whole.transits, gazetteer, catalogue, memory, me=me)
    found = _Found(graph, view, scribe, await _reckoned(graph, question, direction))
    written = await _written(books, question, found)
    if whole.said is not None:
        others = known.written if known is not None and known.said == whole.said else {}
        answers = {**others, _eyes(whole.asker): written}
        met = array([*graph.nodes])
        answer = Answer(whole.asked.id, met, len(graph.nodes), whole.said, answers)
        memory.answers.keep(asked, answer)
    return written


def _eyes(asker: queries.Asker) -> Hashable:
    """Answer all of an asker that decides what it sees: whoever has the same sees the same."""
    caller = asker.caller
    if caller.supervises:
        return caller.audiences, caller.jurisdiction
    return caller.audiences, caller.party_id, asker.bought


def _view_at_once(
    caller: Caller,
    question: Question,
    graph: SubGraph,
    parties: Mapping[int, Named],
    direction: Direction,
) -> View | None:
    """Decide what the caller sees, where the graph says so by itself."""
    if Audience.MARKET in caller.audiences:
        return None
    if caller.supervises:
        return rules.view_all(graph) if _lies_within(caller, graph, parties) else None
    if not question.granted:
        return None
    upstream = graph.nodes if direction is Direction.BACK else ()
    return _trader_view(caller, question, graph, upstream=upstream)


async def page(
    session: AsyncSession,
    lot_public_id: UUID,
    direction: Direction,
    *,
    caller: Caller,
    after: UUID | None,
    most: int,
) -> schemas.LotsPageOut:
    """Answer some of a trace's lots, oldest first, with the edges into them.

    Args:
        session: The caller's session.
        lot_public_id: The lot in question.
        direction: Which way.
        caller: On whose behalf.
        after: The last lot of the page before; nothing for the first page.
        most: How many lots a page has.

    Raises:
        UnknownLot: there is no such lot.
        OtherParty: the caller has nothing to do with it.
        TraceTooLarge: the graph has more lots than `PAGED_LOTS_MAX`.
        UnknownPosition: `after` is no lot of this trace.
    """
    question = await question_about(session, [lot_public_id], caller)
    found = await _explore(session, question, direction, caller=caller, limit=PAGED_LOTS_MAX)
    shown = found.shown
    begin = 0
    if after is not None:
        places = {node.public_id: place for place, node in enumerate(shown)}
        if after not in places:
            raise rules.UnknownPosition(after=str(after))
        begin = places[after] + 1
    nodes = shown[begin : begin + most]
    return schemas.LotsPageOut(
        lots_total=len(shown),
        nodes=[found.scribe.node(node, found.reckoning) for node in nodes],
        edges=found.scribe.edges(found.reckoning, into={node.id for node in nodes}),
        next=nodes[-1].public_id if begin + most < len(shown) else None,
    )


async def picture(
    session: AsyncSession,
    lot_public_id: UUID,
    direction: Direction,
    *,
    caller: Caller,
    unfold: Collection[UUID] = (),
    most: int,
) -> schemas.PictureOut:
    """Draw a trace with few enough nodes to be read: what is alike is one node.

    Args:
        session: The caller's session.
        lot_public_id: The lot in question.
        direction: Which way.
        caller: On whose behalf.
        unfold: Lots whose nodes are to be opened; those that the trace does not show do nothing.
        most: How many nodes there may be.

    Raises:
        UnknownLot: there is no such lot.
        OtherParty: the caller has nothing to do with it.
        TraceTooLarge: the graph has more lots than `PAGED_LOTS_MAX`.
    """
    question = await question_about(session, [lot_public_id], caller)
    found = await _explore(session, question, direction, caller=caller, limit=PAGED_LOTS_MAX)
    shown, reckoning = found.shown, found.reckoning
    roles = await queries.roles(queries.books_of(session), (node.holder_id for node in shown))
    kinds = {node.id: _kind(node, roles) for node in shown}
    looks = Looks(kinds, reckoning.depth, reckoning.grams, pinned=question.asked)
    opened = {node.id for node in shown if node.public_id in set(unfold)}
    groups = fold(found.graph, direction, looks, unfold=opened, most=most)
    nodes, edges = found.scribe.drawn(groups, reckoning, kinds)
    return schemas.PictureOut(
        direction=direction,
        lot=lot_public_id,
        lots_total=len(shown),
        nodes=nodes,
        edges=edges,
        beyond=found.scribe.beyond(),
    )


def _kind(node: Node, roles: Mapping[int, Sequence[DatedRole]]) -> Look:
    dated = roles.get(node.holder_id, ()) if node.holder_id is not None else ()
    held_by = in_force(list(dated), local_date(node.occurred_at))
    return Look(
        node.product_id,
        node.origin,
        node.ending,
        tuple(sorted({role.kind for role in held_by})),
        node.holder_id is None,
    )


async def path(
    session: AsyncSession, start_public_id: UUID, end_public_id: UUID, *, caller: Caller
) -> schemas.PathOut:
    """Show every way on which goods of one lot came into another.

    The question is one about the younger lot's origin: who may trace that back may ask it.

    Args:
        session: The caller's session.
        start_public_id: The older lot.
        end_public_id: The younger lot.
        caller: On whose behalf.

    Raises:
        UnknownLot: one of the ids names no lot.
        OtherParty: the caller has nothing to do with the younger lot.
        TraceTooLarge: more than `PAGED_LOTS_MAX` lots went into the younger one.
    """
    both = await _found(session, [start_public_id, end_public_id], caller)
    named = {lot.public_id: lot for lot in both}
    start, end = named[start_public_id].id, named[end_public_id].id
    question = _about([named[end_public_id]], caller)
    found = await _explore(session, question, Direction.BACK, caller=caller, limit=PAGED_LOTS_MAX)
    graph = kinship.between(found.graph, start, end)
    if not graph.nodes:
        return schemas.PathOut(start=start_public_id, end=end_public_id, reaches=False)
    reckoning = kinship.passage(graph, start, end)
    way = kinship.shortest(graph, reckoning, start, end)
    scribe = found.scribe
    return schemas.PathOut(
        start=start_public_id,
        end=end_public_id,
        reaches=True,
        share=reckoning.share[end],
        share_g=reckoning.grams[end] if found.view.measured else None,
        shortest=scribe.steps(way),
        nodes=[scribe.passed(node, reckoning) for node in graph.nodes.values()],
        edges=[scribe.edge(edge, reckoning, passing=True) for edge in graph.edges],
    )


async def common_source(
    session: AsyncSession, lot_public_ids: Sequence[UUID], *, caller: Caller, most: int
) -> schemas.CommonSourceOut:
    """Say what explains several bad samples: lots, and producers and plots, ranked.

    Args:
        session: The caller's session.
        lot_public_ids: The lots that failed.
        caller: On whose behalf; plots are named to whoever supervises.
        most: How many of each list to answer.

    Raises:
        UnknownLot: one of the ids names no lot.
        OtherParty: the caller has nothing to do with one of the lots.
        TraceTooLarge: more than `PAGED_LOTS_MAX` lots went into them.
    """
    question = await question_about(session, lot_public_ids, caller)
    found = await _explore(session, question, Direction.BACK, caller=caller, limit=PAGED_LOTS_MAX)
    graph, scribe = found.graph, found.scribe
    kin = await asyncio.to_thread(kinship.kin, graph, list(question.asked))
    lots = kin.lots(graph)
    sources = [(lot, common) for lot, common in lots if graph.nodes[lot].ending is not None]
    producers = kin.groups(
        (lot, producer)
        for lot, _ in sources
        if (producer := graph.nodes[lot].producer_id) is not None
    )
    plots: list[tuple[int, kinship.Common]] = []
    if found.view.everything:
        where = await queries.plots(session, [lot for lot, _ in sources])
        plots = kin.groups(where.items())
    named = await places.by_ids(session, (plot for plot, _ in plots[:most]))
    return schemas.CommonSourceOut(
        samples=[graph.nodes[lot].public_id for lot in sorted(kin.samples)],
        lots_total=len(lots),
        sources_total=len(sources),
        producers_total=len(producers),
        plots_total=len(plots),
        sources=[scribe.common_lot(lot, common, found.reckoning) for lot, common in sources[:most]],
        producers=[scribe.common_producer(*each) for each in producers[:most]],
        plots=[scribe.common_plot(named[plot], common) for plot, common in plots[:most]],
        lots=[scribe.common_lot(lot, common, found.reckoning) for lot, common in lots[:most]],
    )


async def check_granted(session: AsyncSession, caller: Caller, question: Question) -> None:
    """Refuse whoever has nothing to do with one of the lots, or with the ticket.

    Raises:
        OtherParty: that is so.
    """
    if question.granted:
        return
    if question.ticket is None and Audience.MARKET in caller.audiences:
        lots = question.asked.keys()
        found = await queries.lots_in_market(session, caller.acting_party, lots=lots, asked=lots)
        if found >= lots:
            return
    raise OtherParty


async def parties_of(
    books: Books, graph: SubGraph, transits: Iterable[Transit], question: Question
) -> dict[int, Named]:
    """Name whoever comes up in a graph."""
    nodes = graph.nodes.values()
    met: set[int | None] = set(question.parties)
    met.update([node[3] for node in nodes])  # holders
    met.update([node[4] for node in nodes])  # producers
    met.update([transit.buyer_id for transit in transits])
    return await queries.parties(books, met)


async def _view(
    session: AsyncSession,
    caller: Caller,
    question: Question,
    graph: SubGraph,
    parties: Mapping[int, Named],
    *,
    upstream: Collection[int],
) -> View:
    """Decide what the caller sees.

    Raises:
        OtherParty: nothing.
    """
    if caller.supervises:
        if await supervises(session, caller, question, graph, parties):
            return rules.view_all(graph)
        await check_granted(session, caller, question)
    market: frozenset[int] = frozenset()
    if Audience.MARKET in caller.audiences:
        market = await queries.lots_in_market(
            session,
            caller.acting_party,
            lots=graph.nodes,
            asked=[*question.asked, *question.beside],
        )
    return _trader_view(caller, question, graph, upstream=upstream, market=market)


def _trader_view(
    caller: Caller,
    question: Question,
    graph: SubGraph,
    *,
    upstream: Collection[int],
    market: Collection[int] = frozenset(),
) -> View:
    me = caller.acting_party
    own = {lot for lot, node in graph.nodes.items() if node.holder_id == me}
    interest = Interest(
        own=frozenset(own.union(market)),
        handed=question.handed,
        known=question.parties | {me},
        measured=question.ticket is not None,
    )
    return rules.view_of(graph, interest, asked=question.asked, upstream=upstream)


async def supervises(
    session: AsyncSession,
    caller: Caller,
    question: Question,
    graph: SubGraph,
    parties: Mapping[int, Named],
) -> bool:
    """Whether anything in a graph lies in the caller's jurisdiction."""
    if _lies_within(caller, graph, parties):
        return True
    markets = await queries.market_divisions(
        session, lots={*graph.nodes, *question.beside}, asked=question.asked
    )
    return any(may_supervise(caller, code) for code in markets)


def _lies_within(caller: Caller, graph: SubGraph, parties: Mapping[int, Named]) -> bool:
    """Whether the origin of a lot or the seat of a party lies in the caller's jurisdiction."""
    if Audience.OPERATOR in caller.audiences:
        return True
    origins = (node.division_code for node in graph.nodes.values())
    seats = (party.division_code for party in parties.values())
    return any(may_supervise(caller, code) for codes in (origins, seats) for code in codes)
