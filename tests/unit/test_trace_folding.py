"""What is drawn as one: no gram is lost, no circle is made, and it stays readable."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.trace import rules
from app.trace.folding import Group, Looks, fold
from app.trace.rules import Direction, Reckoning, SubGraph
from tests.graphs import OWN, graph_of, part_of, shapes

FORWARD, BACK = Direction.FORWARD, Direction.BACK


def reckoned(graph: SubGraph, asked: int, direction: Direction) -> Reckoning:
    if direction is BACK:
        return rules.back(graph, {asked: graph.nodes[asked].mass_g})
    return rules.forward(graph, {asked})


def looks_of(graph: SubGraph, asked: int, direction: Direction, kinds: Sequence[str]) -> Looks:
    found = reckoned(graph, asked, direction)
    kind = {lot: kinds[lot % len(kinds)] for lot in graph.nodes}
    return Looks(kind, found.depth, found.grams, pinned={asked})


def circles(graph: SubGraph, groups: Sequence[Group]) -> bool:
    """Whether the picture has a way that comes back to where it began."""
    of = {lot: group for group in groups for lot in group}
    after: dict[Group, set[Group]] = {group: set() for group in groups}
    for edge in graph.edges:
        if of[edge.src] != of[edge.dst]:
            after[of[edge.src]].add(of[edge.dst])
    while True:
        ends = [group for group, following in after.items() if not following & after.keys()]
        if not ends:
            return bool(after)
        for group in ends:
            del after[group]


@given(
    shapes(most=40),
    st.lists(st.integers(1, 10**9), min_size=1, max_size=5),
    st.sampled_from(Direction),
    st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"]]),
    st.integers(1, 45),
    st.data(),
)
def test_folding_conserves_grams(
    pairs: list[tuple[int, int]],
    masses: list[int],
    direction: Direction,
    kinds: list[str],
    most: int,
    data: st.DataObject,
) -> None:
    whole = graph_of(
        [(src + 1, dst + 1, masses[(src + dst) % len(masses)], OWN) for src, dst in pairs]
    )
    asked = data.draw(st.sampled_from(sorted(whole.nodes)))
    graph = part_of(whole, [asked], direction)
    unfold = data.draw(st.sets(st.sampled_from(sorted(graph.nodes)), max_size=2))
    looks = looks_of(graph, asked, direction, kinds)

    groups = fold(graph, direction, looks, unfold=unfold, most=most)

    # Every lot is in exactly one node: whatever is summed up over nodes is the sum over lots.
    assert Counter(lot for group in groups for lot in group) == Counter(list(graph.nodes))
    drawn_g = sum(sum(graph.nodes[lot].mass_g for lot in group) for group in groups)
    assert drawn_g == sum(node.mass_g for node in graph.nodes.values())
    assert len(groups) <= max(most, 1)
    if max(looks.depth.values()) < most // 2:
        assert not circles(graph, groups)
        assert (asked,) in groups


def test_alike_is_one_and_so_is_what_comes_of_it() -> None:
    """A hub of three stalls with two schools each, and one kitchen that buys at two stalls."""
    graph = graph_of(
        [
            *((1, stall, 100, OWN) for stall in (2, 3, 4)),
            *((2 + school % 3, 5 + school, 10, OWN) for school in range(6)),
            (2, 11, 10, OWN), (3, 11, 10, OWN),
        ]
    )  # fmt: skip
    looks = looks_of(graph, 1, FORWARD, ["lot"])
    assert sorted(fold(graph, FORWARD, looks, unfold=(), most=300)) == [
        (1,),
        (2, 3, 4),
        (5, 6, 7, 8, 9, 10, 11),
    ]
    opened = fold(graph, FORWARD, looks, unfold={3}, most=300)
    assert sorted(opened) == [(1,), (2,), (3,), (4,), (5, 6, 7, 8, 9, 10, 11)]
    # Too much to open at once: the heaviest stand alone, the rest is one.
    assert len(fold(graph, FORWARD, looks, unfold={3, 6}, most=8)) <= 8


def test_kinds_are_not_mixed() -> None:
    graph = graph_of([(1, lot, 100, OWN) for lot in range(2, 8)])
    looks = looks_of(graph, 1, FORWARD, ["even", "odd"])
    assert sorted(fold(graph, FORWARD, looks, unfold=(), most=300)) == [(1,), (2, 4, 6), (3, 5, 7)]


def test_back_folds_what_went_into_the_same() -> None:
    graph = graph_of([(lot, 9, 100, OWN) for lot in range(1, 8)])
    looks = looks_of(graph, 9, BACK, ["farm"])
    assert sorted(fold(graph, BACK, looks, unfold=(), most=300)) == [(1, 2, 3, 4, 5, 6, 7), (9,)]


def test_a_picture_of_thousands_stays_readable() -> None:
    """Five hundred stalls, each with buyers of its own kind: nothing is alike."""
    links = [(1, 2 + stall, 1000 + stall, OWN) for stall in range(500)]
    links += [
        (2 + stall, 502 + stall * 3 + buyer, 10, OWN) for stall in range(500) for buyer in range(3)
    ]
    graph = graph_of(links)
    found = reckoned(graph, 1, FORWARD)
    kind = {lot: lot for lot in graph.nodes}
    looks = Looks(kind, found.depth, found.grams, pinned={1})
    groups = fold(graph, FORWARD, looks, unfold=(), most=300)
    assert len(groups) <= 300
    assert (1,) in groups
    assert (501,) in groups  # the largest of the stalls by itself
    assert not circles(graph, groups)
