"""Describes lots, edges and sums as the caller may see them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.lot.rules import LotOrigin
from app.party.access import Caller, RoleKind
from app.party.identifiers import mask_name
from app.place import service as places
from app.place.models import Place
from app.place.rules import DivisionNotInForce, Gazetteer, UnknownDivision, resolve
from app.product import service as products
from app.product.rules import Catalogue
from app.ticket.rules import BuyerKind
from app.trace import schemas
from app.trace.folding import Group
from app.trace.kinship import Common
from app.trace.memory import Memory, Named, memory_of
from app.trace.queries import Transit
from app.trace.rules import Direction, Edge, Ending, Node, Reckoning, SubGraph, View


class Look(NamedTuple):
    """What kind of lot it is, to the eye: lots that differ here are not drawn as one."""

    product_id: int
    origin: LotOrigin
    ending: Ending | None
    roles: tuple[RoleKind, ...]
    walk_in: bool


async def scribe_of(
    session: AsyncSession,
    graph: SubGraph,
    view: View,
    parties: Mapping[int, Named],
    transits: Sequence[Transit],
    caller: Caller,
) -> "Scribe":
    """Fetch the words that a graph is described with."""
    gazetteer, catalogue = await places.gazetteer(session), await products.catalogue(session)
    memory = memory_of(session.get_bind().engine.pool)
    memory.speak(catalogue, gazetteer)
    return Scribe(graph, view, parties, transits, gazetteer, catalogue, memory, me=caller.party_id)


def _person(named: Named, *, in_full: bool) -> schemas.TracedParty:
    if named.form == "legal" or in_full:
        return schemas.TracedParty(party=named.public_id, name=named.name, masked=False)
    return schemas.TracedParty(party=None, name=mask_name(named.name), masked=True)


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes what a caller may see, and nothing else."""

    graph: SubGraph
    view: View
    parties: Mapping[int, Named]
    transits: Sequence[Transit]
    gazetteer: Gazetteer
    catalogue: Catalogue
    memory: Memory
    me: int | None
    _people: dict[int, schemas.TracedParty] = field(default_factory=dict)

    def in_full(self) -> Collection[int]:
        """Answer the natural persons whose full names the caller may read."""
        buyers = {way.buyer_id for way in self.transits if way.lot_id in self.view.own}
        return {
            party
            for party, named in self.parties.items()
            if named.form != "legal" and (party in buyers or self.view.names(party))
        }

    def party(self, party_id: int | None) -> schemas.TracedParty | None:
        """Name a party."""
        if party_id is None:
            return None
        if not self._people:
            full = self.in_full()
            self._people.update(
                (party, _person(named, in_full=party in full))
                for party, named in self.parties.items()
            )
        return self._people[party_id]

    def village(self, node: Node) -> str | None:
        """Name an origin as it was called on the day; the code stands beside it anyway."""
        if node.division_code is None:
            return None
        key = node.division_code, node.made_on or local_date(node.occurred_at)
        villages = self.memory.villages
        if key not in villages:
            try:
                villages[key] = resolve(*key, self.gazetteer).name
            except (UnknownDivision, DivisionNotInForce):
                villages[key] = None
        return villages[key]

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
            "village": self.village(node),
            "division_code": node.division_code,
            "made_on": node.made_on,
            "occurred_at": node.occurred_at,
            "mass_g": node.mass_g if self.view.weighs(node.id) else None,
            "remaining_g": self.graph.left_g.get(node.id, 0) if counted else None,
            "on_hold": node.id in self.graph.held if counted else None,
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

    def edge(self, edge: Edge, reckoning: Reckoning, *, passing: bool = False) -> schemas.EdgeOut:
        """Describe an edge.

        Args:
            edge: The edge.
            reckoning: What passed it.
            passing: Whether that was grams of the asked lot, and not of the younger lot.
        """
        may_reckon = self.view.measured if passing else self._may_reckon(edge.dst, reckoning)
        return schemas.EdgeOut(
            src=self.graph.nodes[edge.src].public_id,
            dst=self.graph.nodes[edge.dst].public_id,
            mass_g=edge.mass_g if self.view.witnessed(edge) else None,
            share_g=reckoning.edge_grams[edge.key] if may_reckon else None,
            proof=edge.proof.name.lower(),
            occurred_at=edge.occurred_at,
        )

    def edges(
        self, reckoning: Reckoning, *, into: Collection[int] | None = None
    ) -> list[schemas.EdgeOut]:
        """Describe the edges between lots that appear: all, or those into some."""
        shown = self.view.shown
        return [
            self.edge(edge, reckoning)
            for edge in self.graph.edges
            if edge.src in shown and edge.dst in (shown if into is None else into)
        ]

    def passed(self, node: Node, reckoning: Reckoning) -> schemas.PassedOut:
        """Describe a lot between two others."""
        return schemas.PassedOut(
            **self.lot(node),
            share=reckoning.share[node.id],
            share_g=reckoning.grams[node.id] if self.view.measured else None,
            depth=reckoning.depth[node.id],
        )

    def steps(self, lots: Iterable[int]) -> list[schemas.StepOut]:
        """Tell a way lot by lot."""
        steps: list[schemas.StepOut] = []
        for lot in lots:
            node = self.graph.nodes[lot]
            holder, village = self.party(node.holder_id), self.village(node)
            product, name = self.product_name(node), holder.name if holder else None
            day, where = local_date(node.occurred_at), f" ({village})" if village else ""
            steps.append(
                schemas.StepOut(
                    lot=node.public_id,
                    product_name=product,
                    holder=holder,
                    village=village,
                    occurred_at=node.occurred_at,
                    zh=f"{day} {name or '散客'} {product}{where}",
                    en=f"{day} {name or 'walk-in'} {product}{where}",
                )
            )
        return steps

    def drawn(
        self,
        groups: Sequence[Group],
        reckoning: Reckoning,
        kinds: Mapping[int, Look],
    ) -> tuple[list[schemas.DrawnOut], list[schemas.DrawnEdgeOut]]:
        """Describe a picture: its nodes, oldest first, and what passed between them."""
        of = {lot: group[0] for group in groups for lot in group}
        between: dict[tuple[int, int], list[Edge]] = defaultdict(list)
        within_g: dict[int, int] = defaultdict(int)
        for edge in self.graph.edges:
            if edge.src not in of or edge.dst not in of:
                continue
            ends = of[edge.src], of[edge.dst]
            if ends[0] == ends[1]:
                within_g[ends[0]] += edge.mass_g
            else:
                between[ends].append(edge)
        nodes = [
            self._drawn(group, reckoning, kinds, within_g[group[0]]) for group in sorted(groups)
        ]
        return nodes, [
            self._drawn_edge(ends, edges, reckoning) for ends, edges in sorted(between.items())
        ]

    def _drawn(
        self, group: Group, reckoning: Reckoning, kinds: Mapping[int, Look], within_g: int
    ) -> schemas.DrawnOut:
        nodes = [self.graph.nodes[lot] for lot in group]
        first = nodes[0]
        looks = {kinds[lot] for lot in group}
        products, origins, ends, roles, _ = map(set, zip(*looks, strict=True))
        single = len(group) == 1
        weighed = all(map(self.view.weighs, group))
        counted = all(map(self.view.counts, group))
        reckoned = all(self._may_reckon(lot, reckoning) for lot in group)
        return schemas.DrawnOut(
            lot=first.public_id,
            count=len(group),
            product=first.product_id if len(products) == 1 else None,
            product_name=self.product_name(first) if len(products) == 1 else None,
            origin=first.origin if len(origins) == 1 else None,
            end=first.ending if len(ends) == 1 else None,
            roles=list(kinds[group[0]].roles) if len(roles) == 1 else None,
            holder=self.party(first.holder_id) if single else None,
            village=self.village(first) if single else None,
            mass_g=sum(node.mass_g for node in nodes) if weighed else None,
            share_g=sum(reckoning.grams[lot] for lot in group) if reckoned else None,
            remaining_g=sum(self.graph.left_g.get(lot, 0) for lot in group) if counted else None,
            within_g=within_g if weighed else None,
            depth=min(reckoning.depth[lot] for lot in group),
        )

    def _drawn_edge(
        self, ends: tuple[int, int], edges: Sequence[Edge], reckoning: Reckoning
    ) -> schemas.DrawnEdgeOut:
        nodes = self.graph.nodes
        witnessed = all(map(self.view.witnessed, edges))
        reckoned = all(self._may_reckon(edge.dst, reckoning) for edge in edges)
        return schemas.DrawnEdgeOut(
            src=nodes[ends[0]].public_id,
            dst=nodes[ends[1]].public_id,
            count=len(edges),
            mass_g=sum(edge.mass_g for edge in edges) if witnessed else None,
            share_g=sum(reckoning.edge_grams[edge.key] for edge in edges) if reckoned else None,
            proof=min(edge.proof for edge in edges).name.lower(),
        )

    def _common(self, common: Common) -> dict[str, Any]:
        return {
            "reaches": len(common.samples),
            "share": common.share,
            "samples": [
                schemas.SampleShareOut(lot=self.graph.nodes[sample].public_id, share=share)
                for sample, share in sorted(common.samples.items())
            ],
        }

    def common_lot(self, lot: int, common: Common, reckoning: Reckoning) -> schemas.CommonLotOut:
        """Describe a lot that explains samples."""
        return schemas.CommonLotOut(
            **self._common(common),
            node=self.node(self.graph.nodes[lot], reckoning),
            nearest=common.nearest,
        )

    def common_producer(self, producer_id: int, common: Common) -> schemas.CommonProducerOut:
        """Describe a producer that explains samples."""
        producer = self.party(producer_id)
        assert producer is not None, "it has an id"
        return schemas.CommonProducerOut(**self._common(common), producer=producer)

    def common_plot(self, plot: Place, common: Common) -> schemas.CommonPlotOut:
        """Describe a plot that explains samples."""
        return schemas.CommonPlotOut(
            **self._common(common),
            plot=plot.public_id,
            name=plot.name,
            division_code=plot.division_code,
        )

    def in_transit(self, ticket: UUID | None) -> list[schemas.InTransitOut]:
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
            for transit in self.transits
            if self.shows(transit, ticket)
        ]

    def shows(self, transit: Transit, ticket: UUID | None) -> bool:
        """Whether the caller may see goods on their way; those of the asked ticket it may."""
        return (
            self.view.counts(transit.lot_id)
            or transit.ticket == ticket
            or (transit.buyer_id is not None and transit.buyer_id == self.me)
        )

    def beyond(self) -> schemas.BeyondOut | None:
        """Sum up what the caller's own buyers passed on."""
        view = self.view
        if view.everything:
            return None
        passed_g = sum(
            edge.mass_g
            for edge in self.graph.edges
            if edge.src in view.weighed and edge.dst in view.beyond
        )
        ahead = (view.weighed | view.beyond) - view.own
        transit_g = sum(
            transit.mass_g
            for transit in self.transits
            if transit.lot_id in ahead and transit.buyer_id != self.me
        )
        lots = len(view.beyond)
        if not lots and not transit_g:
            return None
        return schemas.BeyondOut(
            lots=lots,
            mass_g=passed_g,
            in_transit_g=transit_g,
            zh=f"您的下家之后：{lots} 个批次，{passed_g} 克，另有在途 {transit_g} 克",
            en=f"Beyond your own buyers: {lots} lots, {passed_g} g, and {transit_g} g in transit",
        )
