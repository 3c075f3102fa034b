"""Ways between lots and common sources, against every path walked and exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.trace import kinship
from app.trace.rules import Direction, Edge, SubGraph
from tests.graphs import (
    OWN,
    graph_of,
    graphs,
    links_of,
    part_of,
    reach,
    shares_ahead,
    shares_behind,
)


def ways(graph: SubGraph, start: int, end: int) -> list[list[Edge]]:
    """List every way from one lot to another."""
    if start == end:
        return [[]]
    return [
        [*way, edge]
        for edge in graph.edges
        if edge.dst == end
        for way in ways(graph, start, edge.src)
    ]


@given(graphs(), st.data())
def test_a_path_is_all_the_ways_and_no_more(whole: SubGraph, data: st.DataObject) -> None:
    lots = st.sampled_from(sorted(whole.nodes))
    start, end = data.draw(lots), data.draw(lots)
    graph = part_of(whole, [end], Direction.BACK)
    every = ways(whole, start, end)

    found = kinship.between(graph, start, end)

    on_the_way = {edge.key for way in every for edge in way}
    assert {edge.key for edge in found.edges} == on_the_way
    assert set(found.nodes) == ({start, end}.union(*on_the_way) if every else set())
    assume(every)
    reckoning = kinship.passage(found, start, end)
    ahead = shares_ahead(
        links_of(whole), {start}, reach([e.key for e in whole.edges], {start}, Direction.FORWARD)
    )
    for lot in found.nodes:
        assert abs(Fraction(reckoning.share[lot]) - ahead[lot]) < Fraction(1, 10**12)
    behind = shares_behind(links_of(whole), end)
    for lot, node in found.nodes.items():
        exact_g = behind[lot] * ahead[lot] * whole.nodes[end].mass_g
        assert abs(reckoning.grams[lot] - exact_g) < 1, node
    # Grams neither appear nor vanish on the way.
    assert reckoning.grams[start] == reckoning.grams[end]
    way = kinship.shortest(found, reckoning, start, end)
    steps = [[start, *(edge.dst for edge in each)] for each in every]
    assert way in steps
    assert len(way) == min(map(len, steps))


def test_of_two_short_ways_the_one_that_carried_more_is_told() -> None:
    graph = graph_of([(1, 2, 100, OWN), (1, 3, 300, OWN), (2, 4, 100, OWN), (3, 4, 300, OWN)])
    reckoning = kinship.passage(graph, 1, 4)
    assert kinship.shortest(graph, reckoning, 1, 4) == [1, 3, 4]
    assert reckoning.edge_grams == {(1, 2): 100, (1, 3): 300, (2, 4): 100, (3, 4): 300}


def test_what_was_mixed_on_one_way_counts_less_there() -> None:
    """Lot 4 is half another farm's: of the 300 g, as much came by way of 3 as of 4."""
    graph = graph_of(
        [(1, 3, 100, OWN), (1, 4, 100, OWN), (2, 4, 100, OWN), (3, 5, 100, OWN), (4, 5, 200, OWN)]
    )
    found = kinship.between(graph, 1, 5)
    reckoning = kinship.passage(found, 1, 5)
    assert reckoning.grams == {1: 200, 3: 100, 4: 100, 5: 200}


def test_a_way_of_less_than_nothing_is_still_a_way() -> None:
    """A gram in ten thousand tonnes, again and again: the share is too small for any number."""
    links = [(1, 3, 1, OWN), (2, 3, 10**10, OWN)]
    for lot in range(3, 9):
        links += [(lot, lot + 1, 1, OWN), (2, lot + 1, 10**10, OWN)]
    graph = graph_of(links)
    found = kinship.between(graph, 1, 9)
    reckoning = kinship.passage(found, 1, 9)
    assert reckoning.grams[1] == 0
    assert kinship.shortest(found, reckoning, 1, 9) == [1, 3, 4, 5, 6, 7, 8, 9]


@given(graphs(), st.data())
def test_what_samples_have_in_common(whole: SubGraph, data: st.DataObject) -> None:
    samples = data.draw(st.sets(st.sampled_from(sorted(whole.nodes)), min_size=1, max_size=4))
    graph = part_of(whole, samples, Direction.BACK)
    behind = {sample: shares_behind(links_of(whole), sample) for sample in samples}

    found = kinship.kin(graph, sorted(samples)).lots(graph)

    assert {lot for lot, _ in found} == set(graph.nodes)
    for lot, common in found:
        exact = {sample: behind[sample][lot] for sample in samples if lot in behind[sample]}
        assert common.samples.keys() == exact.keys()
        for sample, share in exact.items():
            assert abs(Fraction(common.samples[sample]) - share) < Fraction(1, 10**12)
        assert common.share == pytest.approx(float(sum(exact.values())) / len(samples))
        younger = reach([edge.key for edge in whole.edges], {lot}, Direction.FORWARD) - {lot}
        others = [
            set(samples) & reach_of
            for other, reach_of in _reached(whole, samples).items()
            if other in younger
        ]
        assert common.nearest == all(other != set(exact) for other in others)
    ranks = [common.rank for _, common in found]
    assert ranks == sorted(ranks)


def _reached(whole: SubGraph, samples: set[int]) -> dict[int, set[int]]:
    pairs = [edge.key for edge in whole.edges]
    return {lot: samples & reach(pairs, {lot}, Direction.FORWARD) for lot in whole.nodes}


def test_the_farm_behind_all_samples_comes_before_larger_ones_behind_some() -> None:
    """Farms 1 to 3; farm 2 is a tenth of every sample, the others are most of one or two."""
    graph = graph_of(
        [
            (1, 4, 900, OWN), (2, 4, 100, OWN),
            (1, 5, 900, OWN), (2, 5, 100, OWN),
            (3, 6, 900, OWN), (2, 6, 100, OWN),
        ]
    )  # fmt: skip
    kin = kinship.kin(graph, [4, 5, 6])
    ranked = [(lot, len(common.samples)) for lot, common in kin.lots(graph)]
    assert ranked[:3] == [(2, 3), (1, 2), (4, 1)]
    assert kin.lots(graph)[0][1].share == pytest.approx(0.1)


def test_a_producer_is_found_though_no_two_samples_share_a_lot() -> None:
    """One farm's three harvests went into three samples; a neighbour's lot into two of them."""
    graph = graph_of(
        [
            (1, 5, 50, OWN), (2, 6, 50, OWN), (3, 7, 50, OWN),
            (4, 5, 50, OWN), (4, 6, 50, OWN), (8, 9, 1, OWN),
        ]
    )  # fmt: skip
    kin = kinship.kin(part_of(graph, [5, 6, 7], Direction.BACK), [5, 6, 7])
    assert kin.lots(graph_of([]))[0][0] == 4
    groups = kin.groups([(1, "farm"), (2, "farm"), (3, "farm"), (4, "neighbour")])
    assert [(name, len(common.samples)) for name, common in groups] == [
        ("farm", 3),
        ("neighbour", 2),
    ]
    assert groups[0][1].share == pytest.approx((0.5 + 0.5 + 1) / 3)
