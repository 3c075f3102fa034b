"""Describes lots, edges and sums as the caller may see them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.lot.rules import LotOrigin
from app.party.access import Caller, DatedRole, RoleKind, in_force
from app.party.identifiers import mask_name
from app.place import service as places
from app.place.models import Place
from app.place.rules import DivisionNotInForce, Gazetteer, UnknownDivision, resolve
from app.product import service as products
from app.product.rules import Catalogue
from app.ticket.rules import BuyerKind
from app.trace import rules, schemas
from app.trace.folding import Group
from app.trace.kinship import Common
from app.trace.queries import Named, Transit
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
    transits: Iterable[Transit],
    caller: Caller,
) -> "Scribe":
    """Fetch the words that a graph is described with."""
    buyers = {transit.buyer_id for transit in transits if transit.lot_id in view.own}
    gazetteer = await places.gazetteer(session)
    origins = {_origin(graph.nodes[lot]) for lot in view.shown}
    return Scribe(
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
class Scribe:
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
            holder, village = self.party(node.holder_id), self.villages[_origin(node)]
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
            village=self.villages[_origin(first)] if single else None,
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
        return schemas.CommonProducerOut(**self._common(common), producer=self.people[producer_id])

    def common_plot(self, plot: Place, common: Common) -> schemas.CommonPlotOut:
        """Describe a plot that explains samples."""
        return schemas.CommonPlotOut(
            **self._common(common),
            plot=plot.public_id,
            name=plot.name,
            division_code=plot.division_code,
        )

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
