"""Writes a whole trace as the bytes of its JSON.

`schemas.TraceOut` says what the answer is; a test holds these bytes against it. Building its
objects takes 20 us a lot, and most of what is said of a lot and of an edge never changes: that
stands ready in the memory, and the numbers between are written column by column.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from app.core.clock import local_date
from app.party.access import DatedRole, in_force
from app.trace import rules
from app.trace.memory import EdgeWords, LotWords
from app.trace.rules import Direction, Edge, Ending, Node, Reckoning
from app.trace.scribe import Scribe

_NULL = b"null"
_PROOFS = (b"", b',"proof":"claimed"', b',"proof":"proved"', b',"proof":"own"')
"""By the number of the proof."""
_ENDS = {
    (held, end): b',"on_hold":%b,"end":%b,"share":'
    % (orjson.dumps(held), _NULL if end is None else orjson.dumps(end.value))
    for held in (False, True, None)
    for end in (None, *Ending)
}


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer tells beside the graph.

    Attributes:
        lots: The public ids of the lots in question.
        ticket: The ticket in question, if it is one.
        asked_g: Grams in question, if the caller may know them.
        receipts: What each holder had of the goods; forward only.
        roles: What those holders are and were.
    """

    lots: Sequence[UUID]
    ticket: UUID | None
    asked_g: int | None
    receipts: Sequence[rules.Receipt]
    roles: Mapping[int, Sequence[DatedRole]]


def write(told: Told, scribe: Scribe, reckoning: Reckoning) -> bytes:
    """Write an answer as `schemas.TraceOut` describes it."""
    page = _Page(told, scribe, reckoning, _people(scribe))
    beyond = scribe.beyond()
    lots = [str(lot) for lot in told.lots]
    head = {
        "direction": reckoning.direction,
        "lot": lots[0] if len(lots) == 1 else None,
        "lots": lots,
        "ticket": None if told.ticket is None else str(told.ticket),
        "asked_g": told.asked_g,
    }
    return b"".join(
        (
            orjson.dumps(head)[:-1],
            b',"nodes":',
            *page.nodes(),
            b',"edges":',
            *page.edges(),
            b',"sources":',
            page.sources(),
            b',"holders":',
            page.holders(),
            b',"in_transit":',
            page.in_transit(),
            b',"beyond":',
            _NULL if beyond is None else beyond.model_dump_json().encode(),
            b',"completeness":',
            page.completeness(),
            b"}",
        )
    )


def _people(scribe: Scribe) -> dict[int | None, bytes]:
    people: dict[int | None, bytes] = {
        party: named.masked for party, named in scribe.parties.items()
    }
    people |= {party: scribe.parties[party].in_full for party in scribe.in_full()}
    people[None] = _NULL
    return people


def _column(values: list[Any]) -> list[bytes]:
    """Write numbers; one call for all of them costs a tenth of one for each."""
    return orjson.dumps(values)[1:-1].split(b",")


def _array(rows: int, columns: Sequence[list[bytes] | bytes]) -> Iterable[bytes]:
    """Lay columns of JSON side by side; one that is the same in all rows is given once."""
    if not rows:
        return (b"[]",)
    width = len(columns)
    parts = [b""] * (rows * width)
    for place, column in enumerate(columns):
        parts[place::width] = [column] * rows if isinstance(column, bytes) else column
    parts[0] = b"[" + parts[0]
    parts[-1] = parts[-1][:-1] + b"]"  # the last row has no comma behind it
    return parts


@dataclass(frozen=True, slots=True)
class _Page:
    told: Told
    scribe: Scribe
    reckoning: Reckoning
    people: Mapping[int | None, bytes]

    def nodes(self) -> Iterable[bytes]:
        """Write the lots that the caller sees, oldest first."""
        graph, view, reckoning = self.scribe.graph, self.scribe.view, self.reckoning
        nodes = [*graph.nodes.values()]
        if not view.everything:
            nodes = [node for node in nodes if node[0] in view.shown]
        lots = [node[0] for node in nodes]
        words, people = self._lot_words(lots), self.people
        left_g: list[int | None] = [*map(graph.left_g.__getitem__, lots)]
        grams: list[int | None] = [*map(reckoning.grams.__getitem__, lots)]
        ends = [_ENDS[node[0] in graph.held, node[-1]] for node in nodes]
        if view.everything:
            facts = [word[1] for word in words]
        else:
            weighed = [lot in view.weighed for lot in lots]
            facts = [
                word.weighed if known else word.hidden
                for word, known in zip(words, weighed, strict=True)
            ]
            for place, lot in enumerate(lots):
                if lot not in view.own:
                    left_g[place], ends[place] = None, _ENDS[None, graph.nodes[lot].ending]
            grams = self._known(grams, weighed)
        return _array(
            len(lots),
            (
                [word[0] for word in words],
                [people[node[3]] for node in nodes],
                b',"producer":',
                [people[node[4]] for node in nodes],
                facts,
                _column(left_g),
                ends,
                _column([*map(reckoning.share.__getitem__, lots)]),
                b',"share_g":',
                _column(grams),
                b',"depth":',
                _column([*map(reckoning.depth.__getitem__, lots)]),
                b"},",
            ),
        )

    def _known(self, grams: list[int | None], weighed: Sequence[bool]) -> list[int | None]:
        """Leave out what the caller may not reckon; see `Scribe.node`."""
        if self.reckoning.direction is Direction.FORWARD:
            return [gram if known else None for gram, known in zip(grams, weighed, strict=True)]
        return grams if self.scribe.view.measured else [None] * len(grams)

    def _lot_words(self, lots: Sequence[int]) -> list[LotWords]:
        memory = self.scribe.memory.lot_words
        if (words := memory.all_of(lots)) is not None:
            return words
        known, unknown = memory.recall(lots)
        fresh = {lot: self._describe(self.scribe.graph.nodes[lot]) for lot in unknown}
        memory.keep(fresh)
        known |= fresh
        return [known[lot] for lot in lots]

    def _describe(self, node: Node) -> LotWords:
        head = {
            "lot": str(node.public_id),
            "product": node.product_id,
            "product_name": self.scribe.product_name(node),
        }
        facts = {
            "mixed": node.mixed,
            "origin": node.origin,
            "village": self.scribe.village(node),
            "division_code": node.division_code,
            "made_on": node.made_on,
            "occurred_at": node.occurred_at,
        }
        written = b"," + orjson.dumps(facts, option=orjson.OPT_UTC_Z)[1:-1]
        return LotWords(
            orjson.dumps(head)[:-1] + b',"holder":',
            b'%b,"mass_g":%d,"remaining_g":' % (written, node.mass_g),
        )

    def edges(self) -> Iterable[bytes]:
        """Write the edges between the lots that the caller sees."""
        graph, view, reckoning = self.scribe.graph, self.scribe.view, self.reckoning
        edges = graph.edges
        if not view.everything:
            shown = view.shown
            edges = [edge for edge in edges if edge[0] in shown and edge[1] in shown]
        keys = [edge[:2] for edge in edges]
        words = self._edge_words(edges, keys)
        grams: list[int | None] = [*map(reckoning.edge_grams.__getitem__, keys)]
        if view.everything:
            facts = [word[0] for word in words]
        else:
            facts = [
                word.weighed if view.witnessed(edge) else word.hidden
                for word, edge in zip(words, edges, strict=True)
            ]
            grams = self._known(grams, [edge.dst in view.weighed for edge in edges])
        return _array(
            len(edges),
            (
                facts,
                _column(grams),
                [_PROOFS[edge[3]] for edge in edges],
                [word[1] for word in words],
            ),
        )

    def _edge_words(
        self, edges: Sequence[Edge], keys: Sequence[tuple[int, int]]
    ) -> list[EdgeWords]:
        memory = self.scribe.memory.edge_words
        if (words := memory.all_of(keys)) is not None:
            return words
        known, unknown = memory.recall(keys)
        wanted = set(unknown)
        fresh = {edge.key: self._link(edge) for edge in edges if edge.key in wanted}
        memory.keep(fresh)
        known |= fresh
        return [known[key] for key in keys]

    def _link(self, edge: Edge) -> EdgeWords:
        nodes = self.scribe.graph.nodes
        ends = {"src": str(nodes[edge.src].public_id), "dst": str(nodes[edge.dst].public_id)}
        head = orjson.dumps(ends)[:-1]
        when = orjson.dumps({"occurred_at": edge.occurred_at}, option=orjson.OPT_UTC_Z)
        return EdgeWords(
            b'%b,"mass_g":%d,"share_g":' % (head, edge.mass_g),
            b",%b," % when[1:],
        )

    def sources(self) -> bytes:
        """Write the lots with which the asked goods began, oldest first."""
        if self.reckoning.direction is Direction.FORWARD:
            return b"[]"
        scribe, reckoning = self.scribe, self.reckoning
        return orjson.dumps(
            [
                {
                    "lot": str(node.public_id),
                    "village": scribe.village(node),
                    "division_code": node.division_code,
                    "producer": orjson.Fragment(self.people[node.producer_id]),
                    "product": node.product_id,
                    "product_name": scribe.product_name(node),
                    "origin": node.origin,
                    "made_on": node.made_on,
                    "mass_g": reckoning.grams[node.id] if scribe.view.measured else None,
                    "share": reckoning.share[node.id],
                }
                for node in scribe.graph.nodes.values()
                if node.ending is Ending.SOURCE
            ]
        )

    def holders(self) -> bytes:
        """Write who has or had some of the goods."""
        return orjson.dumps([self._holder(receipt) for receipt in self.told.receipts])

    def _holder(self, receipt: rules.Receipt) -> dict[str, Any]:
        view, holder = self.scribe.view, receipt.holder_id
        dated = [] if holder is None else self.told.roles.get(holder, ())
        if dated:
            last = self.scribe.graph.nodes[receipt.lots[-1]]
            dated = in_force(list(dated), local_date(last.occurred_at))
        weighed = view.everything or all(map(view.weighs, receipt.lots))
        counted = view.everything or all(map(view.counts, receipt.lots))
        received_g, exposed_g = receipt.received_g, receipt.exposed_g
        return {
            "kind": "walk_in" if holder is None else "party",
            "party": orjson.Fragment(self.people[holder]),
            "roles": sorted({role.kind for role in dated}),
            "lots": len(receipt.lots),
            "received_g": received_g if weighed else None,
            "exposed_g": exposed_g if weighed else None,
            "remaining_g": receipt.remaining_g if counted else None,
            "share": exposed_g / received_g if received_g else None,
        }

    def in_transit(self) -> bytes:
        """Write what is on its way out of the caller's books, or to the caller."""
        return orjson.dumps(
            [
                {
                    "ticket": str(way.ticket),
                    "lot": str(way.lot),
                    "buyer": orjson.Fragment(self.people[way.buyer_id]),
                    "buyer_kind": way.buyer_kind,
                    "mass_g": way.mass_g,
                    "sold_at": way.sold_at,
                }
                for way in self.scribe.transits
                if self.scribe.shows(way, self.told.ticket)
            ],
            option=orjson.OPT_UTC_Z,
        )

    def completeness(self) -> bytes:
        """Write how far the books carry."""
        is_back = self.reckoning.direction is Direction.BACK
        nodes = self.scribe.graph.nodes.values() if is_back else ()
        return orjson.dumps(
            {
                "share_to_producer": self.reckoning.share_to_producer,
                "proved_share": self.reckoning.proved_share,
                "broken_g": (
                    self.reckoning.broken_g if is_back and self.scribe.view.measured else None
                ),
                "broken_lots": sum(node.ending is Ending.BROKEN for node in nodes),
            }
        )
