"""The ways between two lots, and what several lots have in common behind them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from app.trace import rules
from app.trace.rules import Direction, Edge, Reckoning, SubGraph

Name = TypeVar("Name")


def between(graph: SubGraph, start: int, end: int) -> SubGraph:
    """Keep the lots that lie on a way from one lot to another, both included.

    Args:
        graph: `end` and everything that went into it.
        start: The older lot; without a way from it, nothing is left.
        end: The younger lot.
    """
    if start not in graph.nodes:
        return SubGraph({}, [])
    kept = graph.descendants({start})
    nodes = {lot: node for lot, node in graph.nodes.items() if lot in kept}
    assert end in nodes, "all of the graph leads to its end"
    return replace(graph, nodes=nodes, edges=[edge for edge in graph.edges if edge.src in kept])


def passage(graph: SubGraph, start: int, end: int) -> Reckoning:
    """Say what of one lot is in another, and which grams of it passed where.

    Args:
        graph: The lots between the two.
        start: The older lot.
        end: The younger lot.

    Returns:
        A reckoning: `share` is the part of each lot that stems from `start`; `grams` and
        `edge_grams` are grams of `end` that stem from `start` and passed that lot or edge, which
        add up exactly at every step; `depth` counts from `start`.
    """
    into = graph.into()
    lots = sorted(graph.nodes)
    exposed: dict[int, int] = {}
    depth = dict.fromkeys(lots, 0)
    for lot in lots:
        edges = into.get(lot, ())
        parts = sum(exposed[edge.src] * edge.mass_g for edge in edges)
        exposed[lot] = rules.WHOLE if lot == start else parts // graph.nodes[lot].into_g
        depth[lot] = max((depth[edge.src] + 1 for edge in edges), default=0)
    stream = dict.fromkeys(lots, 0)
    stream[end] = exposed[end] * graph.nodes[end].mass_g
    edge_grams: dict[tuple[int, int], int] = {}
    for lot in reversed(lots):
        edges = into.get(lot, ())
        weights = [exposed[edge.src] * edge.mass_g for edge in edges]
        for edge, part in zip(edges, rules.split(stream[lot], weights), strict=True):
            stream[edge.src] += part
            edge_grams[edge.key] = rules.rounded(part)
    return Reckoning(
        direction=Direction.FORWARD,
        share={lot: rules.fraction(share) for lot, share in exposed.items()},
        grams={lot: rules.rounded(part) for lot, part in stream.items()},
        edge_grams=edge_grams,
        depth=depth,
        share_to_producer=None,
        proved_share=None,
        broken_g=0,
    )


def shortest(graph: SubGraph, reckoning: Reckoning, start: int, end: int) -> list[int]:
    """Answer the way with the fewest steps; of several, one on which the most grams passed.

    Args:
        graph: The lots between the two.
        reckoning: What passed where.
        start: The older lot.
        end: The younger lot.
    """
    into = graph.into()
    best: dict[int, tuple[int, int, int]] = {start: (0, 0, start)}
    for lot in sorted(graph.nodes):
        if lot != start:
            best[lot] = min(
                (best[edge.src][0] + 1, -reckoning.edge_grams[edge.key], edge.src)
                for edge in into[lot]
            )
    way = [end]
    while way[-1] != start:
        way.append(best[way[-1]][2])
    return way[::-1]


class Common(NamedTuple):
    """What explains samples: a lot, or a group of lots.

    Attributes:
        samples: Part of each sample, 0 to 1, that came from it, by sample; only those it reaches.
        share: The mean of that over all samples.
        nearest: Whether nothing younger reaches all the samples that it does: where their ways
            meet.
    """

    samples: Mapping[int, float]
    share: float
    nearest: bool

    @property
    def rank(self) -> tuple[int, float]:
        """Ascends from what explains the most."""
        return -len(self.samples), -self.share


@dataclass(frozen=True, slots=True)
class Kin:
    """What went into samples.

    Attributes:
        flows: Of each lot, the part of each sample that came from it, as whole numbers.
        samples: The samples.
    """

    flows: Mapping[int, Mapping[int, int]]
    samples: Collection[int]

    def lots(self, graph: SubGraph) -> list[tuple[int, Common]]:
        """Rank the lots: what reaches the most samples first, then what is the most of them.

        Of two that explain as much, the older one comes first.
        """
        children: dict[int, list[int]] = defaultdict(list)
        for edge in graph.edges:
            children[edge.src].append(edge.dst)
        found = [
            (
                lot,
                self._common(
                    reached,
                    nearest=all(len(self.flows[child]) < len(reached) for child in children[lot]),
                ),
            )
            for lot, reached in self.flows.items()
        ]
        return sorted(found, key=lambda each: (*each[1].rank, each[0]))

    def groups(self, named: Iterable[tuple[int, Name]]) -> list[tuple[Name, Common]]:
        """Rank groups of lots, of which none went into another, likewise.

        Args:
            named: Lots, each with the name of its group.
        """
        sums: dict[Name, dict[int, int]] = {}
        for lot, name in sorted(named, key=lambda pair: pair[0]):
            into = sums.setdefault(name, {})
            for sample, part in self.flows[lot].items():
                into[sample] = into.get(sample, 0) + part
        found = [(name, self._common(reached, nearest=False)) for name, reached in sums.items()]
        return sorted(found, key=lambda each: each[1].rank)

    def _common(self, reached: Mapping[int, int], *, nearest: bool) -> Common:
        return Common(
            samples={sample: rules.fraction(part) for sample, part in reached.items()},
            share=rules.fraction(sum(reached.values())) / len(self.samples),
            nearest=nearest,
        )


def kin(graph: SubGraph, samples: Sequence[int]) -> Kin:
    """Share every sample out among all that went into it, each by itself.

    A sample that went into another one is a source of it like any other lot.

    Args:
        graph: The samples and everything that went into them.
        samples: The lots in question.
    """
    into: Mapping[int, list[Edge]] = graph.into()
    flows: dict[int, dict[int, int]] = {lot: {} for lot in graph.nodes}
    for sample in samples:
        flows[sample][sample] = rules.WHOLE
    for lot in sorted(graph.nodes, reverse=True):
        edges = into.get(lot, ())
        weights = [edge.mass_g for edge in edges]
        for sample, flow in flows[lot].items():
            for edge, part in zip(edges, rules.split(flow, weights), strict=True):
                reached = flows[edge.src]
                reached[sample] = reached.get(sample, 0) + part
    return Kin(flows, samples)
