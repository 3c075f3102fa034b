"""Shares of a graph that does not fit into memory: lots pass once, and are forgotten.

Ids ascend along edges. So when lots pass in the order of their ids (forward; back in the opposite
one), a lot comes after all that its share is made of, and what it gives on can be put down at the
lots that wait for it. Kept are only lots that were met and have not passed yet. `rules.back` and
`rules.forward` come to the same shares with the whole graph at hand.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from app.lot.rules import Proof
from app.trace import rules
from app.trace.rules import Direction, Edge, Ending, Node


class Arrival(NamedTuple):
    """What came to a waiting lot along an edge.

    Attributes:
        other: Public id of the lot at the other end, which has passed.
        part: Back: asked grams that passed here. Forward: grams of the edge that stem from the
            asked lots. As whole numbers, see `rules`.
        proved: The same, as far as no edge up to here is only claimed; back only.
        depth: Steps of the lot at the other end.
    """

    edge: Edge
    other: UUID
    part: int
    proved: int
    depth: int


class Passed(NamedTuple):
    """A lot with its share, and the edges between it and lots that passed before it."""

    node: Node
    share: float
    share_g: int
    depth: int
    edges: Sequence[tuple[Edge, UUID, int]]


@dataclass(slots=True)
class Totals:
    """What the whole graph came to."""

    lots: int = 0
    edges: int = 0
    to_sources: int = 0
    proved: int = 0
    broken: int = 0
    broken_lots: int = 0
    handed: int = 0


class Sweep:
    """Lets the lots of a graph pass, and reckons their shares.

    Whoever drives it asks for `wanted` lots, brings them with `learn`, and takes what has `passed`,
    until nothing is wanted.

    Attributes:
        totals: What has passed so far.
    """

    def __init__(self, direction: Direction, asked: Mapping[int, int]) -> None:
        """Begin at the asked lots, given with the grams in question."""
        self.totals = Totals()
        self._direction = direction
        self._sign = 1 if direction is Direction.FORWARD else -1
        self._asked = asked
        self._asked_g = sum(asked.values())
        self._unknown = [self._sign * lot for lot in asked]
        heapq.heapify(self._unknown)
        self._ready: list[int] = []
        self._known: dict[int, tuple[Node, Sequence[Edge]]] = {}
        self._waiting: dict[int, list[Arrival]] = {lot: [] for lot in asked}

    def wanted(self, most: int) -> list[int]:
        """Answer the lots that pass next and are not known yet."""
        count = min(most, len(self._unknown))
        return [self._sign * heapq.heappop(self._unknown) for _ in range(count)]

    def learn(self, nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
        """Take the wanted lots, and the edges that lead on from them, each lot's in order."""
        onward: dict[int, list[Edge]] = defaultdict(list)
        for edge in edges:
            near, far = self._ends(edge)
            onward[near].append(edge)
            if far not in self._waiting:
                self._waiting[far] = []
                heapq.heappush(self._unknown, self._sign * far)
        for node in nodes:
            self._known[node.id] = node, onward.get(node.id, ())
            heapq.heappush(self._ready, self._sign * node.id)

    def passed(self) -> Iterator[Passed]:
        """Let all lots pass that no unknown one can come before."""
        while self._ready and (not self._unknown or self._ready[0] < self._unknown[0]):
            node, onward = self._known.pop(self._sign * heapq.heappop(self._ready))
            arrivals = self._waiting.pop(node.id)
            self.totals.lots += 1
            self.totals.edges += len(arrivals)
            depth = max((arrival.depth + 1 for arrival in arrivals), default=0)
            if self._direction is Direction.FORWARD:
                yield self._forward(node, arrivals, onward, depth)
            else:
                yield self._back(node, arrivals, onward, depth)

    def _ends(self, edge: Edge) -> tuple[int, int]:
        forward = self._direction is Direction.FORWARD
        return (edge.src, edge.dst) if forward else (edge.dst, edge.src)

    def _forward(
        self, node: Node, arrivals: Sequence[Arrival], onward: Sequence[Edge], depth: int
    ) -> Passed:
        exposed = sum(arrival.part for arrival in arrivals)
        share = rules.WHOLE if node.id in self._asked else exposed // node.into_g
        for edge in onward:
            part = share * edge.mass_g
            self.totals.handed += part
            self.totals.proved += 0 if edge.proof is Proof.CLAIMED else part
            self._waiting[edge.dst].append(Arrival(edge, node.public_id, part, 0, depth))
        return Passed(
            node,
            rules.fraction(share),
            rules.grams_of(share, node.mass_g),
            depth,
            [
                (
                    arrival.edge,
                    arrival.other,
                    rules.rounded(arrival.part * node.mass_g // node.into_g),
                )
                for arrival in arrivals
            ],
        )

    def _back(
        self, node: Node, arrivals: Sequence[Arrival], onward: Sequence[Edge], depth: int
    ) -> Passed:
        asked = rules.WHOLE * self._asked.get(node.id, 0)
        flow = asked + sum(arrival.part for arrival in arrivals)
        proved = asked + sum(arrival.proved for arrival in arrivals)
        weights = [edge.mass_g for edge in onward]
        parts = zip(onward, rules.split(flow, weights), rules.split(proved, weights), strict=True)
        for edge, part, sure in parts:
            kept = 0 if edge.proof is Proof.CLAIMED else sure
            self._waiting[edge.src].append(Arrival(edge, node.public_id, part, kept, depth))
        if node.ending is Ending.SOURCE:
            self.totals.to_sources += flow
            self.totals.proved += proved
        elif node.ending is Ending.BROKEN:
            self.totals.broken += flow
            self.totals.broken_lots += 1
        return Passed(
            node,
            rules.ratio(flow, rules.WHOLE * self._asked_g) or 0.0,
            rules.rounded(flow),
            depth,
            [(arrival.edge, arrival.other, rules.rounded(arrival.part)) for arrival in arrivals],
        )

    @property
    def share_to_producer(self) -> float | None:
        """Share of the asked grams whose way back ends at a source; back only."""
        if self._direction is Direction.FORWARD:
            return None
        return rules.ratio(self.totals.to_sources, rules.WHOLE * self._asked_g)

    @property
    def proved_share(self) -> float | None:
        """See `rules.Reckoning`."""
        forward = self._direction is Direction.FORWARD
        whole = self.totals.handed if forward else rules.WHOLE * self._asked_g
        return rules.ratio(self.totals.proved, whole)

    @property
    def broken_g(self) -> int:
        """Asked grams whose way back breaks off; back only."""
        return rules.rounded(self.totals.broken)
