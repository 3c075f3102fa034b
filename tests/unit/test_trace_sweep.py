"""A sweep forgets what has passed, and comes to what the whole graph at hand comes to."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from app.trace import rules
from app.trace.rules import Direction, Reckoning, SubGraph
from app.trace.sweep import Passed, Sweep
from tests.graphs import graphs, part_of

BACK, FORWARD = Direction.BACK, Direction.FORWARD


def sweep_over(
    graph: SubGraph, asked: Mapping[int, int], direction: Direction, *, batch: int
) -> tuple[Sweep, list[Passed]]:
    """Drive a sweep over a graph in memory."""
    sweep = Sweep(direction, asked)
    passed: list[Passed] = []
    while wanted := sweep.wanted(batch):
        near = 1 if direction is BACK else 0
        edges = sorted(edge for edge in graph.edges if edge.key[near] in wanted)
        sweep.learn([graph.nodes[lot] for lot in wanted], edges)
        passed += sweep.passed()
    return sweep, passed


@given(graphs(), st.data(), st.sampled_from(Direction), st.integers(1, 5))
def test_a_sweep_comes_to_the_same(
    whole: SubGraph, data: st.DataObject, direction: Direction, batch: int
) -> None:
    lots = data.draw(st.sets(st.sampled_from(sorted(whole.nodes)), min_size=1, max_size=3))
    graph = part_of(whole, lots, direction)
    asked = {lot: data.draw(st.integers(1, 10**10)) for lot in sorted(lots)}
    expected: Reckoning = (
        rules.back(graph, asked) if direction is BACK else rules.forward(graph, asked)
    )

    sweep, passed = sweep_over(graph, asked, direction, batch=batch)

    ids = [lot.node.id for lot in passed]
    assert ids == sorted(graph.nodes, reverse=direction is BACK)  # each once, in order of age
    assert {lot.node.id: lot.share for lot in passed} == expected.share
    assert {lot.node.id: lot.depth for lot in passed} == expected.depth
    told = {edge.key: share_g for lot in passed for edge, _, share_g in lot.edges}
    assert told == expected.edge_grams
    assert sweep.totals.edges == len(graph.edges)
    for lot in passed:
        # The ends of a way back are rounded together there, so that they add up.
        assert abs(lot.share_g - expected.grams[lot.node.id]) <= (1 if direction is BACK else 0)
        for edge, other, _ in lot.edges:
            far = edge.src if edge.dst == lot.node.id else edge.dst
            assert graph.nodes[far].public_id == other
            assert ids.index(far) < ids.index(lot.node.id)  # a line names only lots above it
    assert sweep.proved_share == expected.proved_share
    assert sweep.share_to_producer == expected.share_to_producer
    if direction is BACK:
        assert abs(sweep.broken_g - expected.broken_g) <= len(graph.nodes)


def test_what_has_passed_is_forgotten() -> None:
    """A chain of a thousand keeps one lot at a time."""
    from tests.graphs import OWN, graph_of

    graph = graph_of([(lot, lot + 1, 7, OWN) for lot in range(1, 1000)])
    sweep = Sweep(FORWARD, {1: 7})
    most = 0
    while wanted := sweep.wanted(100):
        edges = [edge for edge in graph.edges if edge.src in wanted]
        sweep.learn([graph.nodes[lot] for lot in wanted], edges)
        most = max(most, len(sweep._waiting) + len(sweep._known))
        list(sweep.passed())
    assert sweep.totals.lots == 1000
    assert most <= 4
