"""How shares run along lots, and who may see how much of a graph.

Shares are whole numbers of 2^-96, so that what is shared out adds up again however often goods were
split and merged. Ids ascend along edges (a CHECK of the table): sorted ids are an order in which
every lot comes after all that went into it, and one pass without recursion meets each edge once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import ClassVar, NamedTuple
from uuid import UUID

from app.core.errors import DomainError, Kind, Text
from app.lot.rules import SOURCES, LotOrigin, Proof, apportion

_FRACTION_BITS = 96
WHOLE = 1 << _FRACTION_BITS
_HALF = WHOLE // 2


class Direction(StrEnum):
    """Which way a graph is walked."""

    BACK = "back"
    FORWARD = "forward"


class Ending(StrEnum):
    """Why a way back ends at a lot."""

    SOURCE = "source"
    BROKEN = "broken"


class TraceTooLarge(DomainError):
    """The graph has more lots than one answer may hold; part of it would mislead."""

    kind: ClassVar[Kind] = Kind.TOO_LARGE
    code: ClassVar[str] = "trace-too-large"
    title: ClassVar[Text] = Text(
        "追溯结果的批次数超过上限", "The trace has more lots than one answer may hold"
    )
    next_step: ClassVar[Text] = Text(
        "请从离问题更近的批次查起，或逐级查看上下家；监管部门和平台运营方可导出全部结果",
        "Begin at a lot nearer to the question, or go step by step; offices and the operator "
        "can export all of it",
    )


class TraceTimedOut(DomainError):
    """The graph took longer to walk than a request may take."""

    kind: ClassVar[Kind] = Kind.BUSY
    code: ClassVar[str] = "trace-timed-out"
    title: ClassVar[Text] = Text(
        "追溯未能在时限内完成", "The trace did not get done in the time a request has"
    )
    next_step: ClassVar[Text] = Text(
        "请稍候重试；仍超时，请从离问题更近的批次查起，或导出全部结果",
        "Send it again in a moment; if it happens again, begin at a lot nearer to the "
        "question, or export all of it",
    )


class UnknownPosition(DomainError):
    """A page cannot go on after a lot that is not in the trace."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-position"
    title: ClassVar[Text] = Text(
        "after 不是本次追溯中的批次", "`after` is none of the lots of this trace"
    )
    next_step: ClassVar[Text] = Text(
        "请用上一页的 next 作为 after, 或不带 after 从第一页开始",
        "Give the `next` of the page before, or nothing to begin with the first",
    )


class Node(NamedTuple):
    """What a lot in a graph is: nothing of this ever changes.

    Attributes:
        id: Internal id; ascends from older to younger lots.
        holder_id: Whose lot it is; None for a walk-in's.
        mass_g: Grams it began with.
        into_g: Grams that went into it from all its parents, in the graph or not.
        ending: Why the way back ends here, if it does: see `ending_of`.
    """

    id: int
    public_id: UUID
    product_id: int
    holder_id: int | None
    producer_id: int | None
    mixed: bool
    origin: LotOrigin
    division_code: str | None
    made_on: date | None
    occurred_at: datetime
    mass_g: int
    into_g: int
    ending: Ending | None


def ending_of(origin: LotOrigin, producer_id: int | None, into_g: int) -> Ending | None:
    """Say why the way back ends at a lot, if it does."""
    if into_g:
        return None
    declared = origin is LotOrigin.DECLARE and producer_id is not None
    return Ending.SOURCE if origin in SOURCES or declared else Ending.BROKEN


class Edge(NamedTuple):
    """Grams of one lot that went into another."""

    src: int
    dst: int
    mass_g: int
    proof: Proof
    occurred_at: datetime

    @property
    def key(self) -> tuple[int, int]:
        """The two lots."""
        return self.src, self.dst


@dataclass(frozen=True, slots=True)
class SubGraph:
    """Lots by ascending id, and the edges among them.

    Attributes:
        edges: By ascending younger lot, each lot's by ascending parent.
        left_g: Grams left of each lot now.
        held: Lots that may not move now.
    """

    nodes: Mapping[int, Node]
    edges: Sequence[Edge]
    left_g: Mapping[int, int] = field(default_factory=dict)
    held: Collection[int] = frozenset()

    def into(self) -> Mapping[int, list[Edge]]:
        """Answer the edges into each lot."""
        found: dict[int, list[Edge]] = {}
        for edge in self.edges:
            dst = edge[1]
            if dst in found:
                found[dst].append(edge)
            else:
                found[dst] = [edge]
        return found

    def parents(self, lots: Collection[int]) -> set[int]:
        """Answer the lots that went into any of these."""
        return {edge.src for edge in self.edges if edge.dst in lots}

    def children(self, lots: Collection[int]) -> set[int]:
        """Answer the lots that any of these went into."""
        return {edge.dst for edge in self.edges if edge.src in lots}

    def descendants(self, lots: Collection[int]) -> set[int]:
        """Answer these lots and all that any of them went into, over any number of edges."""
        found = set(lots)
        for edge in sorted(self.edges, key=lambda edge: edge.dst):
            if edge.src in found:
                found.add(edge.dst)
        return found


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a question about a graph comes to.

    Attributes:
        direction: Which way the graph was walked.
        share: Of each lot, 0 to 1: back, its part in the asked grams; forward, the part of it that
            stems from the asked lots.
        grams: Of each lot: back, grams of the asked ones that came from it; forward, grams of it
            that stem from the asked ones.
        edge_grams: The same for what passed each edge.
        depth: Edges between a lot and the asked ones, along the longest way.
        share_to_producer: Share of the asked grams whose way back ends at a source; back only.
        proved_share: Back: share of the asked grams that came from a source along edges none of
            which is only claimed. Forward: share of all affected grams handed on, that both sides
            vouch for. None where nothing was asked or handed on.
        broken_g: Asked grams whose way back breaks off; back only.
    """

    direction: Direction
    share: Mapping[int, float]
    grams: Mapping[int, int]
    edge_grams: Mapping[tuple[int, int], int]
    depth: Mapping[int, int]
    share_to_producer: float | None
    proved_share: float | None
    broken_g: int


def back(graph: SubGraph, asked: Mapping[int, int]) -> Reckoning:
    """Share the asked grams out among all that went into them (domain.md §3.4).

    A lot's grams came from its parents in proportion to what each gave. A lot reached over several
    ways (a diamond, a repeated merge) gets the sum over all of them.

    Args:
        graph: The asked lots and everything that went into them.
        asked: Grams asked about, of each asked lot.
    """
    into = graph.into()
    flow = dict.fromkeys(graph.nodes, 0)
    depth = dict.fromkeys(graph.nodes, 0)
    edge_grams: dict[tuple[int, int], int] = {}
    for lot, mass_g in asked.items():
        flow[lot] = mass_g << _FRACTION_BITS
    for lot in sorted(into, reverse=True):
        edges, total, so_deep = into[lot], flow[lot], depth[lot]
        # As `split` does it, without its lists.
        whole_g = sum([edge[2] for edge in edges])
        upto_g = given = 0
        for src, _, mass_g, _, _ in edges:
            upto_g += mass_g
            upto = total * upto_g // whole_g
            part, given = upto - given, upto
            flow[src] += part
            edge_grams[src, lot] = (part + _HALF) >> _FRACTION_BITS
            if depth[src] <= so_deep:
                depth[src] = so_deep + 1
    asked_g = sum(asked.values())
    source = Ending.SOURCE
    ends = [node for node in graph.nodes.values() if node[-1] is not None]
    ends_g = apportion(asked_g, [flow[end[0]] for end in ends]) if asked_g else [0] * len(ends)
    grams = {lot: (part + _HALF) >> _FRACTION_BITS for lot, part in flow.items()}
    grams |= zip([end[0] for end in ends], ends_g, strict=True)
    sources = [end[0] for end in ends if end[-1] is source]
    proved = _proved(graph, into, asked, flow)
    whole = asked_g << _FRACTION_BITS
    return Reckoning(
        direction=Direction.BACK,
        share={lot: part / whole if whole else 0.0 for lot, part in flow.items()},
        grams=grams,
        edge_grams=edge_grams,
        depth=depth,
        share_to_producer=ratio(sum([flow[lot] for lot in sources]), whole),
        proved_share=ratio(sum([proved[lot] for lot in sources]), whole),
        broken_g=sum(ends_g) - sum([grams[lot] for lot in sources]),
    )


def _parted(total: int, edges: Sequence[Edge]) -> Sequence[int]:
    return (total,) if len(edges) == 1 else split(total, [edge[2] for edge in edges])


def _proved(
    graph: SubGraph,
    into: Mapping[int, Sequence[Edge]],
    asked: Mapping[int, int],
    flow: Mapping[int, int],
) -> Mapping[int, int]:
    """Answer of each lot's flow the part that passed no edge which is only claimed."""
    claimed = Proof.CLAIMED
    if not any(edge[3] is claimed for edge in graph.edges):
        return flow
    proved = dict.fromkeys(graph.nodes, 0)
    for lot, mass_g in asked.items():
        proved[lot] = mass_g << _FRACTION_BITS
    for lot in sorted(into, reverse=True):
        for edge, part in zip(into[lot], _parted(proved[lot], into[lot]), strict=True):
            if edge.proof is not claimed:
                proved[edge.src] += part
    return proved


def forward(graph: SubGraph, asked: Collection[int]) -> Reckoning:
    """Say how much of each lot stems from the asked ones (domain.md §3.4).

    Args:
        graph: The asked lots and everything that they went into.
        asked: The lots in question; every gram of them counts, whatever they were made of.
    """
    into = graph.into()
    share: dict[int, float] = {}
    grams: dict[int, int] = {}
    exposure: dict[int, int] = {}
    depth: dict[int, int] = {}
    edge_grams: dict[tuple[int, int], int] = {}
    nodes, claimed = graph.nodes, Proof.CLAIMED
    handed = proved = 0
    for lot in sorted(nodes):
        node = nodes[lot]
        mass_g, into_g = node[10], node[11]
        edges = into.get(lot, ())
        if len(edges) == 1 and edges[0][2] == into_g == mass_g and lot not in asked:
            # Most lots are all that was taken from one: they share its share.
            src, dst, _, proof, _ = edges[0]
            exposure[lot], share[lot], depth[lot] = exposure[src], share[src], depth[src] + 1
            part = exposure[src] * mass_g
            edge_grams[src, dst] = grams[lot] = (part + _HALF) >> _FRACTION_BITS
            handed += part
            if proof is not claimed:
                proved += part
            continue
        exposed = deepest = 0
        for src, dst, part_g, proof, _ in edges:
            part = exposure[src] * part_g
            exposed += part
            if proof is not claimed:
                proved += part
            if mass_g != into_g:
                part = part * mass_g // into_g
            edge_grams[src, dst] = (part + _HALF) >> _FRACTION_BITS
            if deepest <= depth[src]:
                deepest = depth[src] + 1
        handed += exposed
        depth[lot] = deepest
        exposure[lot] = part = WHOLE if lot in asked else exposed // into_g
        share[lot] = part / WHOLE
        grams[lot] = (part * mass_g + _HALF) >> _FRACTION_BITS
    return Reckoning(
        direction=Direction.FORWARD,
        share=share,
        grams=grams,
        edge_grams=edge_grams,
        depth=depth,
        share_to_producer=None,
        proved_share=ratio(proved, handed),
        broken_g=0,
    )


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Share a whole number out in proportion to weights; the parts add up to it exactly.

    Weights that have all become too small to tell from nothing are given nothing.
    """
    # The differences of rounded running sums need no sorting.
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    uptos = [total * so_far // whole for so_far in accumulate(weights)]
    return [upto - given for given, upto in pairwise([0, *uptos])]


def rounded(fixed: int) -> int:
    """Read a whole number of 2^-96 g as grams."""
    return (fixed + _HALF) >> _FRACTION_BITS


def ratio(part: int, whole: int) -> float | None:
    """Divide; None where there is nothing to be a part of."""
    return part / whole if whole else None


def exposures(
    parts: Mapping[int, Sequence[tuple[int, int]]], lots: Collection[int], asked: Collection[int]
) -> dict[int, int]:
    """Say of very many lots how much of each stems from the asked ones, and nothing else.

    Args:
        parts: What went into each lot, from lots outside too, as parents and grams.
        lots: The asked lots and everything that they went into.
        asked: The lots in question.

    Returns:
        For each lot its share, as `fraction` and `grams_of` read it.
    """
    found: dict[int, int] = {}
    for lot in sorted(lots):
        if lot in asked:
            found[lot] = WHOLE
            continue
        whole = exposed = 0
        for src, mass_g in parts[lot]:
            whole += mass_g
            exposed += found.get(src, 0) * mass_g
        found[lot] = exposed // whole
    return found


def fraction(share: int) -> float:
    """Read a share as a number between 0 and 1."""
    return share / WHOLE


def grams_of(share: int, mass_g: int) -> int:
    """Apply a share to grams."""
    return rounded(share * mass_g)


class Receipt(NamedTuple):
    """What one holder had of the lots in question; `holder_id` is None for all walk-ins together.

    Attributes:
        lots: Lots it holds or held, oldest first, its own work on them included.
        received_g: Grams that came to it, or were asked about; its own work does not count again.
        exposed_g: Grams of those that stem from the asked lots.
        remaining_g: Grams left with it now, in all those lots.
    """

    holder_id: int | None
    lots: tuple[int, ...]
    received_g: int
    exposed_g: int
    remaining_g: int


def receipts(
    graph: SubGraph, reckoning: Reckoning, asked: Collection[int], lots: Collection[int]
) -> list[Receipt]:
    """Sum up by holder what became of the asked lots; whoever had them first comes first.

    Args:
        graph: The asked lots and everything that they went into.
        reckoning: The forward shares of that graph.
        asked: The lots in question; their holder counts as having received them.
        lots: Lots to count.
    """
    nodes, grams, left_g = graph.nodes, reckoning.grams, graph.left_g
    holders = {lot: node[3] for lot, node in nodes.items()}
    arrived = set(asked)
    arrived.update([edge[1] for edge in graph.edges if holders[edge[0]] != holders[edge[1]]])
    held: dict[int | None, list[int]] = {}
    sums: dict[int | None, list[int]] = {}  # received, exposed, remaining
    for lot in sorted(lots):
        holder = holders[lot]
        if holder not in held:
            held[holder], sums[holder] = [], [0, 0, 0]
        held[holder].append(lot)
        so_far = sums[holder]
        if lot in arrived:
            so_far[0] += nodes[lot][10]
            so_far[1] += grams[lot]
        so_far[2] += left_g.get(lot, 0)
    return [Receipt(holder, tuple(own), *sums[holder]) for holder, own in held.items()]


@dataclass(frozen=True, slots=True)
class View:
    """What of a graph a caller may see.

    Attributes:
        everything: Whether nothing is hidden (regulators, operators).
        shown: Lots that appear at all.
        own: Lots in the caller's own books (a market's: the books of its stalls).
        weighed: Lots whose grams are known to the caller: its own, and what it sold of them.
        measured: Whether it may know the asked grams, and so what is reckoned from them.
        known: Parties that appear under their full name, natural persons too.
        beyond: Lots that stem from the caller's goods and are counted, not shown.
    """

    everything: bool
    shown: frozenset[int]
    own: frozenset[int]
    weighed: frozenset[int]
    measured: bool
    known: frozenset[int]
    beyond: frozenset[int]

    def weighs(self, lot: int) -> bool:
        """Whether the caller may know how heavy a lot was."""
        return self.everything or lot in self.weighed

    def counts(self, lot: int) -> bool:
        """Whether the caller may know how much is left of a lot."""
        return self.everything or lot in self.own

    def witnessed(self, edge: Edge) -> bool:
        """Whether the caller gave or took the grams of an edge, and so may know them."""
        return self.everything or edge.src in self.own or edge.dst in self.own

    def names(self, party: int) -> bool:
        """Whether the caller may read a natural person's full name."""
        return self.everything or party in self.known


def view_all(graph: SubGraph) -> View:
    """Hide nothing."""
    lots = frozenset(graph.nodes)
    return View(
        everything=True,
        shown=lots,
        own=lots,
        weighed=lots,
        measured=True,
        known=frozenset(),
        beyond=frozenset(),
    )


@dataclass(frozen=True, slots=True)
class Interest:
    """What connects a trader, or a market, with the goods in question.

    Attributes:
        own: Lots in its own books (a market's: the books of its stalls).
        handed: Asked lots that came from it; the lots they came from may lie outside the graph.
        known: Parties whose full name it knows already, itself included.
        measured: Whether it knows the asked grams, because its own ticket states them.
    """

    own: frozenset[int]
    handed: frozenset[int]
    known: frozenset[int]
    measured: bool = False


def view_of(
    graph: SubGraph, interest: Interest, *, asked: Collection[int], upstream: Collection[int]
) -> View:
    """Show a trader all that its goods came from, and its own buyers; hide who got them then.

    Full names: its own, and those it dealt with itself (the law has it record them: Food Safety Law
    art. 53 and 65, one up and one down).

    Args:
        graph: The graph in question.
        interest: What connects the caller with it.
        asked: The lots in question.
        upstream: What went into them, as far as it is in the graph.
    """
    own = interest.own
    sold = graph.children(own) | interest.handed
    shown = {*asked, *upstream, *own, *sold} & graph.nodes.keys()
    dealt_with = graph.parents(own) | sold | own
    holders = {graph.nodes[lot].holder_id for lot in dealt_with}
    return View(
        everything=False,
        shown=frozenset(shown),
        own=own,
        weighed=own | sold,
        measured=interest.measured or own.union(sold).issuperset(asked),
        known=interest.known | {holder for holder in holders if holder is not None},
        beyond=frozenset(graph.descendants(own | interest.handed) - shown),
    )
