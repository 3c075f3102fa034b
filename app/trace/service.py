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

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.lot.rules import UnknownLot
from app.party.access import Audience, Caller, DatedRole, OtherParty, in_force, may_supervise
from app.party.identifiers import mask_name
from app.place import service as places
from app.place.rules import DivisionNotInForce, Gazetteer, UnknownDivision, resolve
from app.product import service as products
from app.product.rules import Catalogue
from app.ticket.rules import BuyerKind, UnknownTicket
from app.trace import queries, rules, schemas
from app.trace.queries import AskedLot, Named, Transit, Walk
from app.trace.rules import Direction, Edge, Ending, Interest, Node, Reckoning, SubGraph, View

LOTS_MAX = 10_000
"""Lots that one answer holds unless the caller of `trace` says otherwise."""


@dataclass(frozen=True, slots=True)
class _Question:
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
    question = _about(await _found(session, lot_public_ids, caller), caller)
    return await _answer(session, question, direction, caller=caller, limit=limit)


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
    ticket = await queries.asked_ticket(session, ticket_public_id)
    if ticket is None:
        raise UnknownTicket(ticket=str(ticket_public_id))
    asked = ticket.drawn if direction is Direction.BACK else ticket.received
    me = caller.party_id
    # A voided ticket opens nothing to its buyer: the seller may have named the wrong one.
    opened = {ticket.seller_id} if ticket.voided else {ticket.seller_id, ticket.buyer_id}
    is_party = me is not None and me in opened
    question = _Question(
        asked=asked,
        lots=(),
        beside=frozenset(ticket.drawn),
        parties=_some({ticket.seller_id, ticket.buyer_id}),
        ticket=ticket_public_id,
        ticket_id=ticket.id,
        handed=frozenset(asked if me == ticket.seller_id else ()),
        granted=is_party or await _runs(session, caller, ticket.market_id),
    )
    return await _answer(session, question, direction, caller=caller, limit=limit)


async def neighbours(
    session: AsyncSession, lot_public_id: UUID, *, caller: Caller, limit: int = LOTS_MAX
) -> schemas.NeighboursOut:
    """Show what a lot came from and where it went, one step each way.

    Raises:
        UnknownLot: there is no such lot.
        OtherParty: the caller has nothing to do with it.
        TraceTooLarge: it has more neighbours than `limit`.
    """
    question = _about(await _found(session, [lot_public_id], caller), caller)
    (lot,) = question.asked
    if not caller.supervises:
        await _check_granted(session, caller, question)
    around = await queries.walk(session, question.asked, Walk.AROUND, limit=limit)
    graph = SubGraph(around.nodes, [edge for edge in around.edges if lot in edge.key])
    transits = await queries.transits(session, [lot])
    parties = await _parties(session, graph, transits, question)
    upstream = graph.parents([lot])
    view = await _view(session, caller, question, graph, parties, upstream=upstream)
    scribe = await _scribe(session, graph, view, parties, transits, caller)
    return schemas.NeighboursOut(
        lot=schemas.TracedLot(**scribe.lot(graph.nodes[lot])),
        up=[scribe.neighbour(edge, edge.src) for edge in graph.edges if edge.dst == lot],
        down=[
            scribe.neighbour(edge, edge.dst)
            for edge in graph.edges
            if edge.src == lot and edge.dst in view.shown
        ],
        in_transit=scribe.in_transit(transits, question.ticket),
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


def _about(found: Sequence[AskedLot], caller: Caller) -> _Question:
    me = caller.party_id
    handed = {lot.id for lot in found if me is not None and lot.came_from == me}
    mine = {lot.id for lot in found if lot.bought or (me is not None and lot.holder_id == me)}
    asked = {lot.id: lot.mass_g for lot in found}
    return _Question(
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


async def _answer(
    session: AsyncSession,
    question: _Question,
    direction: Direction,
    *,
    caller: Caller,
    limit: int,
) -> schemas.TraceOut:
    if not caller.supervises:
        await _check_granted(session, caller, question)
    graph = await queries.walk(session, question.asked, Walk(direction), limit=limit)
    transits: Sequence[Transit] = ()
    if direction is Direction.FORWARD:
        transits = await queries.transits(session, graph.nodes, ticket_id=question.ticket_id)
    parties = await _parties(session, graph, transits, question)
    upstream = graph.nodes if direction is Direction.BACK else ()
    view = await _view(session, caller, question, graph, parties, upstream=upstream)
    scribe = await _scribe(session, graph, view, parties, transits, caller)
    if direction is Direction.BACK:
        reckoning = rules.back(graph, question.asked)
        receipts: list[rules.Receipt] = []
        roles: dict[int, list[DatedRole]] = {}
    else:
        reckoning = rules.forward(graph, question.asked)
        receipts = rules.receipts(graph, reckoning, question.asked, view.shown)
        roles = await queries.roles(session, (receipt.holder_id for receipt in receipts))
    lots = question.lots or tuple(graph.nodes[lot].public_id for lot in question.asked)
    return schemas.TraceOut(
        direction=direction,
        lot=lots[0] if len(lots) == 1 else None,
        lots=list(lots),
        ticket=question.ticket,
        asked_g=sum(question.asked.values()) if view.measured else None,
        nodes=[
            scribe.node(node, reckoning) for lot, node in graph.nodes.items() if lot in view.shown
        ],
        edges=scribe.edges(reckoning),
        sources=scribe.sources(reckoning) if direction is Direction.BACK else [],
        holders=[scribe.holder(receipt, roles) for receipt in receipts],
        in_transit=scribe.in_transit(transits, question.ticket),
        beyond=scribe.beyond(transits),
        completeness=scribe.completeness(reckoning),
    )


async def _check_granted(session: AsyncSession, caller: Caller, question: _Question) -> None:
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


async def _parties(
    session: AsyncSession, graph: SubGraph, transits: Iterable[Transit], question: _Question
) -> dict[int, Named]:
    met: set[int | None] = set(question.parties)
    for node in graph.nodes.values():
        met |= {node.holder_id, node.producer_id}
    met |= {transit.buyer_id for transit in transits}
    return await queries.parties(session, met)


async def _view(
    session: AsyncSession,
    caller: Caller,
    question: _Question,
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
        if await _supervises(session, caller, question, graph, parties):
            return rules.view_all(graph)
        await _check_granted(session, caller, question)
    me = caller.acting_party
    own = {lot for lot, node in graph.nodes.items() if node.holder_id == me}
    if Audience.MARKET in caller.audiences:
        own |= await queries.lots_in_market(
            session, me, lots=graph.nodes, asked=[*question.asked, *question.beside]
        )
    interest = Interest(
        own=frozenset(own),
        handed=question.handed,
        known=question.parties | {me},
        measured=question.ticket is not None,
    )
    return rules.view_of(graph, interest, asked=question.asked, upstream=upstream)


async def _supervises(
    session: AsyncSession,
    caller: Caller,
    question: _Question,
    graph: SubGraph,
    parties: Mapping[int, Named],
) -> bool:
    if Audience.OPERATOR in caller.audiences:
        return True
    origins = (node.division_code for node in graph.nodes.values())
    seats = (party.division_code for party in parties.values())
    if any(may_supervise(caller, code) for codes in (origins, seats) for code in codes):
        return True
    markets = await queries.market_divisions(
        session, lots={*graph.nodes, *question.beside}, asked=question.asked
    )
    return any(may_supervise(caller, code) for code in markets)


async def _scribe(
    session: AsyncSession,
    graph: SubGraph,
    view: View,
    parties: Mapping[int, Named],
    transits: Iterable[Transit],
    caller: Caller,
) -> "_Scribe":
    buyers = _some(transit.buyer_id for transit in transits if transit.lot_id in view.own)
    gazetteer = await places.gazetteer(session)
    origins = {_origin(graph.nodes[lot]) for lot in view.shown}
    return _Scribe(
        graph=graph,
        view=view,
        people={
            party_id: _person(named, in_full=party_id in buyers or view.names(party_id))
            for party_id, named in parties.items()
        },
        villages={(code, on): _village(code, on, gazetteer) for code, on in origins},
        catalogue=await products.catalogue(session),
        me=caller.party_id,
    )


def _person(named: Named, *, in_full: bool) -> schemas.TracedParty:
    if named.form == "legal" or in_full:
        return schemas.TracedParty(party=named.public_id, name=named.name, masked=False)
    return schemas.TracedParty(party=None, name=mask_name(named.name), masked=True)


def _origin(node: Node) -> tuple[str | None, date]:
    return node.division_code, node.made_on or local_date(node.occurred_at)


def _village(code: str | None, on: date, gazetteer: Gazetteer) -> str | None:
    """Name an origin as it was called on the day; the code stands beside it anyway."""
    if code is None:
        return None
    try:
        return resolve(code, on, gazetteer).name
    except (UnknownDivision, DivisionNotInForce):
        return None


@dataclass(frozen=True, slots=True)
class _Scribe:
    """Writes what a caller may see, and nothing else."""

    graph: SubGraph
    view: View
    people: Mapping[int, schemas.TracedParty]
    villages: Mapping[tuple[str | None, date], str | None]
    catalogue: Catalogue
    me: int | None

    def party(self, party_id: int | None) -> schemas.TracedParty | None:
        """Name a party."""
        return None if party_id is None else self.people[party_id]

    def product_name(self, node: Node) -> str:
        """Name a lot's product."""
        return self.catalogue.product(node.product_id).name

    def lot(self, node: Node) -> dict[str, Any]:
        """Describe a lot, as the members of `TracedLot`."""
        counted = self.view.counts(node.id)
        return {
            "lot": node.public_id,
            "product": node.product_id,
            "product_name": self.product_name(node),
            "holder": self.party(node.holder_id),
            "producer": self.party(node.producer_id),
            "mixed": node.mixed,
            "origin": node.origin,
            "village": self.villages[_origin(node)],
            "division_code": node.division_code,
            "made_on": node.made_on,
            "occurred_at": node.occurred_at,
            "mass_g": node.mass_g if self.view.weighs(node.id) else None,
            "remaining_g": node.remaining_g if counted else None,
            "on_hold": node.holds > 0 if counted else None,
        }

    def node(self, node: Node, reckoning: Reckoning) -> schemas.NodeOut:
        """Describe a lot of a trace."""
        return schemas.NodeOut(
            **self.lot(node),
            end=node.ending,
            share=reckoning.share[node.id],
            share_g=self._reckoned(node.id, reckoning),
            depth=reckoning.depth[node.id],
        )

    def _reckoned(self, lot: int, reckoning: Reckoning) -> int | None:
        return reckoning.grams[lot] if self._may_reckon(lot, reckoning) else None

    def _may_reckon(self, lot: int, reckoning: Reckoning) -> bool:
        # Back, grams are parts of the asked ones; forward, parts of the lot's own.
        if reckoning.direction is Direction.BACK:
            return self.view.measured
        return self.view.weighs(lot)

    def neighbour(self, edge: Edge, lot: int) -> schemas.NeighbourOut:
        """Describe one end of an edge, as seen from the other."""
        return schemas.NeighbourOut(
            **self.lot(self.graph.nodes[lot]),
            edge_g=edge.mass_g if self.view.witnessed(edge) else None,
            proof=edge.proof.name.lower(),
            passed_at=edge.occurred_at,
        )

    def edges(self, reckoning: Reckoning) -> list[schemas.EdgeOut]:
        """Describe the edges between lots that appear."""
        nodes, view = self.graph.nodes, self.view
        return [
            schemas.EdgeOut(
                src=nodes[edge.src].public_id,
                dst=nodes[edge.dst].public_id,
                mass_g=edge.mass_g if view.witnessed(edge) else None,
                share_g=reckoning.edge_grams[edge.key]
                if self._may_reckon(edge.dst, reckoning)
                else None,
                proof=edge.proof.name.lower(),
                occurred_at=edge.occurred_at,
            )
            for edge in self.graph.edges
            if edge.src in view.shown and edge.dst in view.shown
        ]

    def sources(self, reckoning: Reckoning) -> list[schemas.SourceOut]:
        """Describe the lots with which the asked goods began, oldest first."""
        return [
            schemas.SourceOut(
                lot=node.public_id,
                village=self.villages[_origin(node)],
                division_code=node.division_code,
                producer=self.party(node.producer_id),
                product=node.product_id,
                product_name=self.product_name(node),
                origin=node.origin,
                made_on=node.made_on,
                mass_g=self._reckoned(node.id, reckoning),
                share=reckoning.share[node.id],
            )
            for node in self.graph.nodes.values()
            if node.ending is Ending.SOURCE
        ]

    def holder(
        self, receipt: rules.Receipt, roles: Mapping[int, Sequence[DatedRole]]
    ) -> schemas.HolderOut:
        """Describe what somebody had of the goods."""
        last = self.graph.nodes[receipt.lots[-1]]
        dated = roles.get(receipt.holder_id, ()) if receipt.holder_id is not None else ()
        weighed = all(map(self.view.weighs, receipt.lots))
        counted = all(map(self.view.counts, receipt.lots))
        received_g, exposed_g = receipt.received_g, receipt.exposed_g
        return schemas.HolderOut(
            kind="walk_in" if receipt.holder_id is None else "party",
            party=self.party(receipt.holder_id),
            roles=sorted(
                {role.kind for role in in_force(list(dated), local_date(last.occurred_at))}
            ),
            lots=len(receipt.lots),
            received_g=received_g if weighed else None,
            exposed_g=exposed_g if weighed else None,
            remaining_g=receipt.remaining_g if counted else None,
            share=exposed_g / received_g if received_g else None,
        )

    def in_transit(
        self, transits: Iterable[Transit], ticket: UUID | None
    ) -> list[schemas.InTransitOut]:
        """Describe goods on their way out of the caller's books, or to the caller."""
        return [
            schemas.InTransitOut(
                ticket=transit.ticket,
                lot=transit.lot,
                buyer=self.party(transit.buyer_id),
                buyer_kind=BuyerKind(transit.buyer_kind),
                mass_g=transit.mass_g,
                sold_at=transit.sold_at,
            )
            for transit in transits
            if self.view.counts(transit.lot_id)
            or transit.ticket == ticket
            or (transit.buyer_id is not None and transit.buyer_id == self.me)
        ]

    def beyond(self, transits: Iterable[Transit]) -> schemas.BeyondOut | None:
        """Sum up what the caller's own buyers passed on."""
        view = self.view
        passed_g = sum(
            edge.mass_g
            for edge in self.graph.edges
            if edge.src in view.weighed and edge.dst in view.beyond
        )
        ahead = (view.weighed | view.beyond) - view.own
        transit_g = sum(
            transit.mass_g
            for transit in transits
            if transit.lot_id in ahead and transit.buyer_id != self.me
        )
        lots = len(view.beyond)
        if not lots and not transit_g:
            return None
        return schemas.BeyondOut(
            lots=lots,
            mass_g=passed_g,
            in_transit_g=transit_g,
            zh=f"您的下家之后: {lots} 个批次, {passed_g} 克, 另有在途 {transit_g} 克",
            en=f"Beyond your own buyers: {lots} lots, {passed_g} g, and {transit_g} g in transit",
        )

    def completeness(self, reckoning: Reckoning) -> schemas.CompletenessOut:
        """Say how far the books carry."""
        is_back = reckoning.direction is Direction.BACK
        broken = [node for node in self.graph.nodes.values() if node.ending is Ending.BROKEN]
        return schemas.CompletenessOut(
            share_to_producer=reckoning.share_to_producer,
            proved_share=reckoning.proved_share,
            broken_g=reckoning.broken_g if is_back and self.view.measured else None,
            broken_lots=len(broken) if is_back else 0,
        )
