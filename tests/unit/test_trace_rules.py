"""Shares against the plainest possible reckoning: walk every path, multiply exact fractions."""

from collections.abc import Iterable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lot.rules import LotOrigin
from app.trace import rules
from app.trace.rules import Edge, Ending, Interest, SubGraph
from tests.graphs import CLAIMED, OWN, PROVED, Link, graph_of, graphs


def paths_back(graph: SubGraph, lot: int) -> list[tuple[list[Edge], int]]:
    """List every way from a lot back to one without parents."""
    edges = [edge for edge in graph.edges if edge.dst == lot]
    if not edges:
        return [([], lot)]
    return [([edge, *rest], end) for edge in edges for rest, end in paths_back(graph, edge.src)]


def weight(graph: SubGraph, path: Iterable[Edge]) -> Fraction:
    product = Fraction(1)
    for edge in path:
        product *= Fraction(edge.mass_g, graph.nodes[edge.dst].into_g)
    return product


def near(share: float | None, exact: Fraction) -> bool:
    return share is not None and abs(Fraction(share) - exact) < Fraction(1, 10**12)


@given(graphs(), st.data())
def test_back_equals_the_sum_over_all_paths(graph: SubGraph, data: st.DataObject) -> None:
    lot = data.draw(st.sampled_from(sorted(graph.nodes)))
    asked_g = data.draw(st.integers(1, 10**12))
    ancestors = {lot}
    for node in sorted(graph.nodes, reverse=True):
        if node in ancestors:
            ancestors |= graph.parents({node})
    graph = SubGraph(
        {node: graph.nodes[node] for node in sorted(ancestors)},
        [edge for edge in graph.edges if edge.dst in ancestors],
    )
    paths = paths_back(graph, lot)

    found = rules.back(graph, {lot: asked_g})

    ends = {node for node in graph.nodes if graph.nodes[node].ending}
    assert ends == {end for _, end in paths}
    for end in ends:
        exact = sum((weight(graph, path) for path, to in paths if to == end), Fraction(0))
        assert near(found.share[end], exact)
        assert abs(found.grams[end] - exact * asked_g) < 1
    assert sum(found.grams[end] for end in ends) == asked_g
    sources = {end for end in ends if graph.nodes[end].ending is Ending.SOURCE}
    whole = [(path, weight(graph, path)) for path, end in paths if end in sources]
    assert near(found.share_to_producer, sum((part for _, part in whole), Fraction(0)))
    proved = [part for path, part in whole if all(edge.proof is not CLAIMED for edge in path)]
    assert near(found.proved_share, sum(proved, Fraction(0)))
    assert found.broken_g == sum(found.grams[end] for end in ends - sources)
    for node in graph.nodes:
        passing = [path for path, _ in paths if node in {lot, *(edge.src for edge in path)}]
        assert found.depth[node] == max(
            next((i + 1 for i, edge in enumerate(path) if edge.src == node), 0) for path in passing
        )


@given(graphs(), st.data())
def test_forward_equals_the_sum_over_all_paths(graph: SubGraph, data: st.DataObject) -> None:
    asked = data.draw(st.sets(st.sampled_from(sorted(graph.nodes)), min_size=1, max_size=3))
    reached = graph.descendants(asked)
    inner = SubGraph(
        {node: graph.nodes[node] for node in sorted(reached)},
        [edge for edge in graph.edges if edge.src in reached],
    )

    def exposure(lot: int) -> Fraction:
        if lot in asked:
            return Fraction(1)
        return sum(
            (
                exposure(edge.src) * Fraction(edge.mass_g, graph.nodes[lot].into_g)
                for edge in graph.edges
                if edge.dst == lot
            ),
            Fraction(0),
        )

    found = rules.forward(inner, asked)

    assert {lot for lot in graph.nodes if exposure(lot) > 0} == reached
    for lot in reached:
        assert near(found.share[lot], exposure(lot))
        exact_g = exposure(lot) * graph.nodes[lot].mass_g
        assert abs(found.grams[lot] - exact_g) <= Fraction(1, 2) + Fraction(1, 10**6)
    handed = sum((exposure(edge.src) * edge.mass_g for edge in inner.edges), Fraction(0))
    proved = sum(
        (exposure(edge.src) * edge.mass_g for edge in inner.edges if edge.proof is not CLAIMED),
        Fraction(0),
    )
    if handed:
        assert near(found.proved_share, proved / handed)
    else:
        assert found.proved_share is None


def test_diamond_counts_both_ways_once_each() -> None:
    """One farm's lot is split, the halves go different ways and are merged with another farm's."""
    graph = graph_of(
        [(1, 3, 600, OWN), (1, 4, 400, OWN), (3, 5, 600, OWN), (4, 5, 400, OWN), (2, 5, 500, OWN)]
    )
    back = rules.back(graph, {5: 1500})
    assert (back.grams[1], back.grams[2]) == (1000, 500)
    assert back.share[1] == pytest.approx(2 / 3, abs=1e-15)
    forward = rules.forward(
        graph_of(graph_links(graph, {1, 3, 4, 5}), masses={5: 1500}, outside={5: 500}), {1}
    )
    assert forward.grams[5] == 1000
    assert forward.share[3] == 1.0


def graph_links(graph: SubGraph, lots: set[int]) -> list[Link]:
    return [
        (edge.src, edge.dst, edge.mass_g, edge.proof) for edge in graph.edges if edge.src in lots
    ]


def test_repeated_merges_add_up() -> None:
    """The same farm's goods are merged in again at every step: its share is 1 - 1/2^n."""
    steps = 40
    links: list[Link] = []
    for step in range(steps):
        into = 3 + step
        links += [(1, into, 10, PROVED), (into - 1, into, 10, PROVED)]
    back = rules.back(graph_of(links), {2 + steps: 10**12})
    assert back.share[1] == pytest.approx(1 - 2.0**-steps, abs=1e-15)
    assert back.grams[1] + back.grams[2] == 10**12
    assert back.depth[1] == steps


def test_chain_of_sixty_and_a_graph_too_deep_to_recurse() -> None:
    for length in (60, 5000):
        graph = graph_of([(lot, lot + 1, 7, PROVED) for lot in range(1, length + 1)])
        back = rules.back(graph, {length + 1: 7})
        assert (back.share[1], back.grams[1], back.depth[1]) == (1.0, 7, length)
        assert (back.share_to_producer, back.proved_share) == (1.0, 1.0)
        forward = rules.forward(graph, {1})
        assert (forward.share[length + 1], forward.grams[length + 1]) == (1.0, 7)
        assert forward.depth[length + 1] == length


def test_ladder_of_diamonds_has_more_paths_than_could_be_walked() -> None:
    """2^60 ways from end to end: whoever enumerates them never returns."""
    links: list[Link] = []
    for step in range(60):
        top = 3 * step + 1
        links += [
            (top, top + 1, 1, OWN),
            (top, top + 2, 2, OWN),
            (top + 1, top + 3, 1, OWN),
            (top + 2, top + 3, 2, OWN),
        ]
    graph = graph_of(links)
    assert rules.back(graph, {181: 999}).share[1] == 1.0
    assert rules.forward(graph, {1}).share[181] == 1.0


def test_grams_of_three_equal_sources_add_up_to_what_cannot_be_divided() -> None:
    graph = graph_of([(1, 4, 5, OWN), (2, 4, 5, OWN), (3, 4, 5, OWN)])
    assert sorted(rules.back(graph, {4: 100}).grams[lot] for lot in (1, 2, 3)) == [33, 33, 34]


def test_a_transform_keeps_proportions_though_the_mass_changes() -> None:
    """Mung beans of two farms, 1 : 3, become eight times their weight in sprouts."""
    graph = graph_of([(1, 3, 1000, OWN), (2, 3, 3000, OWN)], masses={3: 32_000})
    back = rules.back(graph, {3: 32_000})
    assert (back.grams[1], back.grams[2]) == (8_000, 24_000)
    forward = rules.forward(
        graph_of([(1, 3, 1000, OWN)], masses={3: 32_000}, outside={3: 3000}), {1}
    )
    assert (forward.share[3], forward.grams[3]) == (0.25, 8_000)


@pytest.mark.parametrize(
    ("origin", "producer", "ending"),
    [
        (LotOrigin.HARVEST, None, Ending.SOURCE),
        (LotOrigin.CATCH, None, Ending.SOURCE),
        (LotOrigin.LAY, 7, Ending.SOURCE),
        (LotOrigin.SLAUGHTER_IN, None, Ending.SOURCE),
        (LotOrigin.DECLARE, 7, Ending.SOURCE),
        (LotOrigin.DECLARE, None, Ending.BROKEN),
        (LotOrigin.PURCHASE, 7, Ending.BROKEN),
        (LotOrigin.RETURN, 7, Ending.BROKEN),
    ],
)
def test_where_a_way_back_ends(origin: LotOrigin, producer: int | None, ending: Ending) -> None:
    assert rules.ending_of(origin, producer, 0) is ending
    assert rules.ending_of(origin, producer, 1) is None


def test_completeness_tells_unbroken_from_proved() -> None:
    graph = graph_of(
        [(1, 4, 50, PROVED), (2, 4, 30, CLAIMED), (3, 4, 20, PROVED), (4, 5, 100, OWN)],
        origins={3: LotOrigin.DECLARE},
    )
    found = rules.back(graph, {5: 1000})
    assert found.share_to_producer == pytest.approx(0.8)
    assert found.proved_share == pytest.approx(0.5)
    assert found.broken_g == 200


def test_a_ticket_on_a_lot_and_on_its_own_parent() -> None:
    graph = graph_of([(1, 2, 100, OWN)])
    found = rules.back(graph, {1: 300, 2: 100})
    assert (found.grams[1], found.share[1], found.share[2]) == (400, 1.0, 0.25)
    assert rules.forward(graph, {1, 2}).share == {1: 1.0, 2: 1.0}


def test_nothing_asked_is_nothing_found() -> None:
    empty = SubGraph({}, [])
    assert rules.back(empty, {}).share_to_producer is None
    assert rules.forward(empty, ()).proved_share is None


def test_holders_count_what_came_to_them_once() -> None:
    """A stall buys 60, splits it, and sells from both halves to walk-ins; an outsider adds 40."""
    graph = graph_of(
        [
            (1, 2, 60, PROVED),
            (2, 3, 30, OWN),
            (2, 4, 30, OWN),
            (3, 5, 10, CLAIMED),
            (4, 6, 20, CLAIMED),
        ],
        masses={1: 100, 2: 60, 3: 30, 4: 70, 5: 10, 6: 20},
        holders={1: 10, 2: 20, 3: 20, 4: 20, 5: None, 6: None},
        outside={4: 40},
    )
    reckoning = rules.forward(graph, {1})
    found = rules.receipts(graph, reckoning, {1}, graph.nodes)
    assert [(r.holder_id, r.lots, r.received_g, r.exposed_g) for r in found] == [
        (10, (1,), 100, 100),
        (20, (2, 3, 4), 60, 60),
        (None, (5, 6), 30, 10 + 9),
    ]


def test_a_trader_sees_its_own_buyers_and_nobody_further() -> None:
    """10 sells to 20, who sells to 30, who sells to 40; 10 also sells to 50."""
    graph = graph_of(
        [(1, 2, 60, PROVED), (2, 3, 50, PROVED), (3, 4, 40, PROVED), (1, 5, 40, PROVED)],
        holders={1: 10, 2: 20, 3: 30, 4: 40, 5: 50},
    )
    interest = Interest(own=frozenset({2}), handed=frozenset(), known=frozenset({20}))
    view = rules.view_of(graph, interest, asked={1}, upstream=())
    assert view.shown == {1, 2, 3}
    assert view.beyond == {4}
    assert view.known == {10, 20, 30}
    assert view.weighed == {2, 3}
    assert not view.measured
    assert [view.witnessed(edge) for edge in graph.edges] == [True, True, False, False]
    assert view.counts(2)
    assert not view.counts(3)


def test_whoever_supervises_sees_everything() -> None:
    graph = graph_of([(1, 2, 60, PROVED)])
    view = rules.view_all(graph)
    assert view.shown == {1, 2}
    assert view.names(99)
    assert view.weighs(1)
