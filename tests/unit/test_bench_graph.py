"""The bench's made-up graph looks like the one it stands for, and its oracle is right."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from benchmarks import graph
from benchmarks.graph import Oracle, Wave

EDGES = 40_000


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(list(graph.waves(EDGES, seed=1)))


def test_it_has_the_size_that_was_asked_for(oracle: Oracle) -> None:
    assert EDGES <= oracle.edges < EDGES * 1.1


def test_goods_flow_from_older_lots_to_younger_ones(oracle: Oracle) -> None:
    assert (oracle.src < oracle.dst).all()
    assert (oracle.at_s[oracle.src] <= oracle.at_s[oracle.dst]).all()
    assert (np.diff(oracle.at_s[1:]) >= 0).all()  # one wave: ids ascend in time


def test_no_edge_is_there_twice(oracle: Oracle) -> None:
    assert len(np.unique(np.stack([oracle.src, oracle.dst]), axis=1).T) == oracle.edges


def test_nobody_hands_on_more_than_there_was(oracle: Oracle) -> None:
    given = np.bincount(oracle.src, weights=oracle.grams, minlength=oracle.lots + 1)
    assert (given <= oracle.mass_g).all()
    assert (oracle.grams > 0).all()


def test_the_same_seed_makes_the_same_graph_and_another_one_another() -> None:
    def edges(seed: int) -> list[list[int]]:
        found: list[list[int]] = np.concatenate(
            [wave.edges for wave in graph.waves(12_000, seed)]
        ).tolist()
        return found

    assert edges(1) == edges(1) != edges(2)


def test_a_cell_is_the_same_in_graphs_of_any_size(oracle: Oracle) -> None:
    smaller = Oracle(list(graph.waves(EDGES // 4, seed=1)))
    for place in (0, 3, 40):
        twin = smaller.named(0, place), oracle.named(0, place)
        there = {(smaller.cell[lot], smaller.place[lot]) for lot in smaller.forward(twin[0])}
        here = {(oracle.cell[lot], oracle.place[lot]) for lot in oracle.forward(twin[1])}
        assert here == there


def test_answers_are_as_large_as_those_of_the_graph_that_was_measured(oracle: Oracle) -> None:
    """A leaf has 6 ancestors (p99 60), a source some 144 descendants (p99 about 600)."""
    draw = np.random.default_rng(1)
    leaves = draw.permutation(oracle.in_ordinary_cells(oracle.leaves()))[:1_500]
    sources = draw.permutation(oracle.in_ordinary_cells(oracle.sources()))[:400]
    behind = [len(oracle.back(int(lot))) - 1 for lot in leaves]
    ahead = [len(oracle.forward(int(lot))) - 1 for lot in sources]
    assert 4 <= np.percentile(behind, 50) <= 9
    assert 25 <= np.percentile(behind, 99) <= 90
    assert 90 <= np.percentile(ahead, 50) <= 300
    assert 400 <= np.percentile(ahead, 99) <= 900


def test_ways_are_three_to_eight_steps_long(oracle: Oracle) -> None:
    steps = np.zeros(oracle.lots + 1, np.int64)
    for src, dst in zip(oracle.src.tolist(), oracle.dst.tolist(), strict=True):
        steps[dst] = max(steps[dst], steps[src] + 1)
    ends = oracle.in_ordinary_cells(oracle.leaves())
    assert steps[ends].min() >= 3
    assert 6 <= steps[ends].max() <= 8


@pytest.mark.parametrize(
    ("edges", "sizes"),
    [
        (10_000, [1_250]),
        (100_000, [13_500]),
        (1_000_000, [100_000, 13_500]),
        (10_000_000, [326_000, 100_000, 13_500]),
    ],
)
def test_hubs_grow_with_the_graph(edges: int, sizes: list[int]) -> None:
    assert graph.hub_sizes(edges) == sizes


def test_a_hub_reaches_as_many_as_it_says(oracle: Oracle) -> None:
    (size,) = graph.hub_sizes(EDGES)
    (hub,) = oracle.hubs()
    assert len(oracle.forward(hub)) - 1 == size


# --- the oracle -----------------------------------------------------------------------------------

#   1   2
#   |\ /|
#   | 3 |       1 gives 60 to 3 and 20 to 4; 2 gives 40 to 3 and 40 to 5
#   |/ \|
#   4   5       3 gives 20 to 4 and 30 to 5
#    \ /
#     6         4 gives 10 and 5 gives 30 to 6
DIAMOND = [
    (3, 1, 60),
    (3, 2, 40),
    (4, 1, 20),
    (4, 3, 20),
    (5, 2, 40),
    (5, 3, 30),
    (6, 4, 10),
    (6, 5, 30),
]


@pytest.fixture(scope="module")
def diamond() -> Oracle:
    lots = np.array([[0, place, place, 0, 100, 0] for place in range(6)], np.int64)
    return Oracle([Wave(0, 1, lots, np.array(DIAMOND, np.int64))])


def ways(last: int) -> Iterator[list[tuple[int, int, int]]]:
    """Walk every way that ends at a lot, as its edges: what the oracle must not miss or repeat."""
    yield []
    for dst, src, grams in DIAMOND:
        if dst == last:
            for way in ways(src):
                yield [*way, (dst, src, grams)]


def test_it_finds_what_any_way_reaches(diamond: Oracle) -> None:
    for lot in range(1, 7):
        right = {lot} | {src for way in ways(lot) for _, src, _ in way}
        assert diamond.back(lot) == right
    for older, younger in product(range(1, 7), repeat=2):
        assert (younger in diamond.forward(older)) == (older in diamond.back(younger))


def test_shares_are_the_sum_over_all_ways(diamond: Oracle) -> None:
    into = {lot: sum(grams for dst, _, grams in DIAMOND if dst == lot) for lot in range(1, 7)}
    for asked in range(1, 7):
        right: dict[int, Fraction] = {}
        for way in ways(asked):
            begins = way[0][1] if way else asked
            share = Fraction(1)
            for dst, _, grams in way:
                share *= Fraction(grams, into[dst])
            right[begins] = right.get(begins, Fraction(0)) + share
        assert diamond.shares_back(asked) == right
        for older, share in right.items():
            assert diamond.shares_forward(older)[asked] == share


def test_it_knows_the_edges_within_an_answer(diamond: Oracle) -> None:
    assert diamond.edges_among({1, 3, 4}) == {(1, 3, 60), (1, 4, 20), (3, 4, 20)}
