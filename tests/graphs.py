"""Graphs of lots for tests, and an independent walk that answers are compared with.

Nothing here knows how the application walks or reckons: sets of pairs, and exact fractions.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

from hypothesis import strategies as st

from app.lot.rules import LotOrigin, Proof
from app.trace.rules import Direction, Edge, Node, SubGraph, ending_of

DAWN = datetime(2026, 6, 17, 20, tzinfo=UTC)
OWN, PROVED, CLAIMED = Proof.OWN, Proof.PROVED, Proof.CLAIMED
Link = tuple[int, int, int, Proof]


def graph_of(
    links: Iterable[Link],
    *,
    masses: Mapping[int, int] | None = None,
    origins: Mapping[int, LotOrigin] | None = None,
    holders: Mapping[int, int | None] | None = None,
    outside: Mapping[int, int] | None = None,
) -> SubGraph:
    """Draw a graph; `outside` are grams from parents that it does not show."""
    edges = [Edge(src, dst, mass_g, proof, DAWN) for src, dst, mass_g, proof in links]
    into = dict(outside or {})
    for edge in edges:
        into[edge.dst] = into.get(edge.dst, 0) + edge.mass_g
    ids = {lot for edge in edges for lot in edge.key} | set(masses or {}) | set(origins or {})
    beginnings = {
        lot: (origins or {}).get(lot, LotOrigin.PURCHASE if into.get(lot) else LotOrigin.HARVEST)
        for lot in ids
    }
    nodes = {
        lot: Node(
            id=lot,
            public_id=UUID(int=lot),
            product_id=1,
            holder_id=(holders or {}).get(lot, lot),
            producer_id=None,
            mixed=False,
            origin=beginnings[lot],
            division_code=None,
            made_on=None,
            occurred_at=DAWN,
            mass_g=(masses or {}).get(lot) or into.get(lot) or 1000,
            into_g=into.get(lot, 0),
            ending=ending_of(beginnings[lot], None, into.get(lot, 0)),
        )
        for lot in sorted(ids)
    }
    return SubGraph(nodes, edges)


@st.composite
def graphs(draw: st.DrawFn) -> SubGraph:
    """Up to nine lots, any edges from older to younger, any masses: diamonds come by themselves."""
    size = draw(st.integers(1, 9))
    pairs = [(src, dst) for dst in range(1, size + 1) for src in range(1, dst)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    mass = st.integers(1, 10**9)
    links = [(src, dst, draw(mass), draw(st.sampled_from(Proof))) for src, dst in chosen]
    lots = range(1, size + 1)
    beginnings = st.sampled_from([LotOrigin.HARVEST, LotOrigin.DECLARE])
    return graph_of(
        links,
        masses={lot: draw(mass) for lot in lots},
        origins={lot: draw(beginnings) for lot in lots},
    )


Pairs = Collection[tuple[int, int]]


def reach(pairs: Pairs, asked: Collection[int], direction: Direction) -> set[int]:
    """Answer lots and everything that they went into, or came from, breadth first."""
    met = set(asked)
    frontier = met
    while frontier:
        if direction is Direction.FORWARD:
            beyond = {younger for older, younger in pairs if older in frontier}
        else:
            beyond = {older for older, younger in pairs if younger in frontier}
        frontier = beyond - met
        met |= frontier
    return met


def shares_ahead(
    links: Iterable[Link], asked: Collection[int], lots: set[int]
) -> dict[int, Fraction]:
    """Answer exactly which part of each lot stems from the asked ones."""
    into: dict[int, list[tuple[int, int]]] = {}
    for src, dst, mass_g, _ in links:
        into.setdefault(dst, []).append((src, mass_g))
    found: dict[int, Fraction] = {}
    for lot in sorted(lots):
        parents = into.get(lot, [])
        whole = sum(mass_g for _, mass_g in parents)
        parts = (found.get(src, Fraction(0)) * Fraction(mass_g, whole) for src, mass_g in parents)
        found[lot] = Fraction(1) if lot in asked else sum(parts, Fraction(0))
    return found


def shares_behind(links: Iterable[Link], asked: int) -> dict[int, Fraction]:
    """Answer exactly which part of a lot came from each lot behind it."""
    into: dict[int, list[tuple[int, int]]] = {}
    for src, dst, mass_g, _ in links:
        into.setdefault(dst, []).append((src, mass_g))
    lots = reach(
        [(src, dst) for dst, each in into.items() for src, _ in each], [asked], Direction.BACK
    )
    found = dict.fromkeys(lots, Fraction(0))
    found[asked] = Fraction(1)
    for lot in sorted(lots, reverse=True):
        parents = into.get(lot, [])
        whole = sum(mass_g for _, mass_g in parents)
        for src, mass_g in parents:
            found[src] += found[lot] * Fraction(mass_g, whole)
    return found


def links_of(graph: SubGraph) -> list[Link]:
    """Answer a graph's edges as plain tuples."""
    return [(edge.src, edge.dst, edge.mass_g, edge.proof) for edge in graph.edges]


def part_of(graph: SubGraph, asked: Collection[int], direction: Direction) -> SubGraph:
    """Cut out what a walk meets; grams from lots outside still count as having gone in."""
    met = reach([edge.key for edge in graph.edges], asked, direction)
    return SubGraph(
        {lot: graph.nodes[lot] for lot in sorted(met)},
        [edge for edge in graph.edges if edge.src in met and edge.dst in met],
    )


@st.composite
def shapes(draw: st.DrawFn, *, most: int = 24) -> list[tuple[int, int]]:
    """Draw pairs of lots 0 … n-1: anything, hubs, ladders of diamonds, repeated merges, chains."""
    size = draw(st.integers(1, most))
    shape = draw(st.sampled_from(["any", "hub", "funnel", "ladder", "merges", "chain"]))
    pairs: set[tuple[int, int]] = set()
    if shape == "hub":
        pairs = {(0, lot) for lot in range(1, size)}
    elif shape == "funnel":
        pairs = {(lot, size - 1) for lot in range(size - 1)}
    elif shape == "ladder":
        for top in range(0, size - 3, 3):
            pairs |= {(top, top + 1), (top, top + 2), (top + 1, top + 3), (top + 2, top + 3)}
    elif shape == "merges":
        pairs = {(0, lot) for lot in range(1, size)} | {(lot - 1, lot) for lot in range(1, size)}
    elif shape == "chain":
        pairs = {(lot - 1, lot) for lot in range(1, size)}
    if size > 1:
        some = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
        pairs |= {(min(a, b), max(a, b)) for a, b in draw(st.lists(some, max_size=20)) if a != b}
    return sorted(pairs) or [(0, 1)]
