"""Two ways to walk one graph, and a third in memory that both are compared with.

The recursive statement and the walk level by level must find the same, refuse the same, and the
latter must keep to what a cluster can run.
"""

import re
from collections.abc import Collection
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.settings import Settings
from app.lot.rules import Proof
from app.trace import export, levels, queries, rules
from app.trace.queries import Strategy, Walk
from app.trace.rules import Direction, SubGraph, TraceTooLarge
from app.trace.scope import scope, sources_of
from app.trace.sweep import Sweep
from tests.graphs import Link, reach, shapes, shares_ahead
from tests.story import CHIVES, statements, walked

in_the_tables = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""Every example takes back what it wrote, so that a fixture for all of them is no danger."""

_LOTS = text("""
    INSERT INTO lot (public_id, digest, product_id, mixed, origin, mass_g, quantity, unit,
        created_at)
    SELECT gen_random_uuid(), '', :product, false, 'split', mass_g, 1, '公斤', now()
    FROM unnest(CAST(:masses AS bigint[])) WITH ORDINALITY AS m (mass_g, place) ORDER BY place
    RETURNING id
""")
_EDGES = text("""
    INSERT INTO lot_edge (src, dst, mass_g, proof, event_id, occurred_at)
    SELECT src, dst, mass_g, proof, 1, now()
    FROM unnest(CAST(:srcs AS bigint[]), CAST(:dsts AS bigint[]), CAST(:grams AS bigint[]),
        CAST(:proofs AS smallint[])) AS e (src, dst, mass_g, proof)
""")


async def written(
    session: AsyncSession, pairs: list[tuple[int, int]], masses: list[int]
) -> tuple[list[int], list[Link]]:
    """Write a graph down; answer its lots, oldest first, and its edges."""
    count = 1 + max(younger for _, younger in pairs)
    grams = [masses[place % len(masses)] for place in range(count)]
    rows = await session.execute(_LOTS, {"product": CHIVES, "masses": grams})
    lots = sorted(rows.scalars())
    links = [
        (lots[src], lots[dst], masses[(src + dst) % len(masses)], Proof(1 + (src + dst) % 3))
        for src, dst in pairs
    ]
    srcs, dsts, passed, proofs = map(list, zip(*links, strict=True))
    await session.execute(_EDGES, {"srcs": srcs, "dsts": dsts, "grams": passed, "proofs": proofs})
    return lots, links


def expected(links: list[Link], asked: Collection[int], walk: Walk) -> set[int]:
    """Answer which lots a walk meets, found in memory."""
    pairs = [(src, dst) for src, dst, *_ in links]
    if walk is Walk.AROUND:
        beside = {end for pair in pairs if not set(pair).isdisjoint(asked) for end in pair}
        return {*asked, *beside}
    return reach(pairs, asked, Direction(walk))


async def found_by(
    session: AsyncSession, strategy: Strategy, asked: Collection[int], walk: Walk, limit: int
) -> SubGraph | None:
    """Walk in one way; None for a graph that is too large."""
    walked(session, strategy)
    with suppress(TraceTooLarge):
        return await queries.walk(session, asked, walk, limit=limit)
    return None


masses_of = st.lists(st.integers(1, 10**9), min_size=1, max_size=6)


@in_the_tables
@given(shapes(), masses_of, st.sampled_from(Walk), st.data())
async def test_both_ways_find_what_a_walk_in_memory_finds(
    session: AsyncSession,
    pairs: list[tuple[int, int]],
    masses: list[int],
    walk: Walk,
    data: st.DataObject,
) -> None:
    async with session.begin_nested() as example:
        lots, links = await written(session, pairs, masses)
        asked = data.draw(st.sets(st.sampled_from(lots), min_size=1, max_size=4))
        met = expected(links, asked, walk)
        limit = data.draw(st.integers(1, len(met) + 2))

        recursive = await found_by(session, Strategy.RECURSIVE, asked, walk, limit)
        by_levels = await found_by(session, Strategy.LEVELS, asked, walk, limit)

        assert (recursive is None) == (len(met) > limit)
        if recursive is None:
            assert by_levels is None
        else:
            assert by_levels is not None
            assert list(by_levels.nodes) == list(recursive.nodes) == sorted(met)
            assert by_levels.nodes == recursive.nodes
            assert by_levels.edges == recursive.edges
            assert {(e.src, e.dst, e.mass_g, e.proof) for e in recursive.edges} == {
                link for link in links if link[0] in met and link[1] in met
            }
            for lot, node in recursive.nodes.items():
                assert node.into_g == sum(grams for _, dst, grams, _ in links if dst == lot)
        await example.rollback()


@in_the_tables
@given(shapes(), masses_of, st.sampled_from(Strategy), st.data())
async def test_the_scope_of_a_recall_is_all_that_came_of_it(
    session: AsyncSession,
    pairs: list[tuple[int, int]],
    masses: list[int],
    strategy: Strategy,
    data: st.DataObject,
) -> None:
    async with session.begin_nested() as example:
        walked(session, strategy)
        lots, links = await written(session, pairs, masses)
        recalled = data.draw(st.sets(st.sampled_from(lots), min_size=1, max_size=3))
        reached = expected(links, recalled, Walk.FORWARD)
        sources = await sources_of(session, recalled)
        behind = expected(links, recalled, Walk.BACK)
        assert set(sources) == behind - {dst for _, dst, *_ in links}
        beside = expected(links, sources, Walk.FORWARD) - reached

        found = await scope(session, recalled, suspects=sources)

        assert list(found.lots) == sorted(reached)
        assert list(found.siblings) == sorted(beside)
        for part, asked, among in (
            (found.lots, recalled, reached),
            (found.siblings, set(sources), reached | beside),
        ):
            exact = shares_ahead(links, asked, among)
            for lot, exposed in part.items():
                assert abs(exposed.share - float(exact[lot])) < 1e-12
                assert abs(exposed.exposed_g - exact[lot] * exposed.mass_g) < 1
        graph = await queries.walk(session, recalled, Walk.FORWARD, limit=1000)
        whole = rules.forward(graph, recalled)
        assert {lot: each.exposed_g for lot, each in found.lots.items()} == whole.grams
        assert {lot: each.share for lot, each in found.lots.items()} == whole.share
        for limit in (len(reached), len(reached) - 1):
            if limit == len(reached):
                assert len(await queries.ahead(session, recalled, limit=limit)) == limit
            elif limit >= len(recalled):
                with pytest.raises(TraceTooLarge):
                    await queries.ahead(session, recalled, limit=limit)
        assert not (await scope(session, recalled)).siblings
        await example.rollback()


@in_the_tables
@given(shapes(), masses_of, st.sampled_from(Direction), st.integers(1, 7), st.data())
async def test_a_sweep_through_the_tables_meets_every_lot_once(
    session: AsyncSession,
    pairs: list[tuple[int, int]],
    masses: list[int],
    direction: Direction,
    batch: int,
    data: st.DataObject,
) -> None:
    async with session.begin_nested() as example:
        lots, links = await written(session, pairs, masses)
        asked = data.draw(st.sampled_from(lots))
        sweep = Sweep(direction, {asked: 1000})
        met: list[int] = []
        while await export.fetch(session, sweep, direction, most=batch):
            met += [lot.node.id for lot in sweep.passed()]
        assert sorted(met) == sorted(expected(links, {asked}, Walk(direction)))
        await example.rollback()


# --- on a cluster ---------------------------------------------------------------------------------

# What Citus refuses, or does slowly, where lots and edges are spread by lot: recursion, laterals
# that it cannot push down, and joins on anything but what a lot and its balance are spread by.
_NOT_ON_A_CLUSTER = re.compile(
    r"\b(RECURSIVE|LATERAL|WITH|EXISTS|UNION|EXCEPT|lots_ahead)\b|FROM \w+ \w+ ?,", re.IGNORECASE
)
_OWN_BALANCE = "JOIN lot_balance b ON b.lot_id = l.id "
_SOME_LOTS = re.compile(r"WHERE (l\.)?(id|lot_id|src|dst) = ANY\(")
_GRAPH = re.compile(r"\b(lot|lot_edge|lot_balance)\b")


def breaches(statement: str) -> list[str]:
    """Find what a cluster could not run in a statement about the graph."""
    words = " ".join(statement.split())
    found = [match.group() for match in _NOT_ON_A_CLUSTER.finditer(words)]
    found += re.findall(r"\bJOIN\b", words.replace(_OWN_BALANCE, ""), re.IGNORECASE)
    found += re.findall(r"\bSELECT\b", words, re.IGNORECASE)[1:]
    return found if _SOME_LOTS.search(words) else [*found, "all rows"]


async def test_the_walk_by_levels_keeps_to_what_a_cluster_runs(session: AsyncSession) -> None:
    lots, _ = await written(session, [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)], [5, 7])
    walked(session, Strategy.LEVELS)
    with statements(session) as sent:
        for walk in Walk:
            await queries.walk(session, [lots[1]], walk, limit=100)
        await scope(session, [lots[1]], suspects=await sources_of(session, [lots[1]]))
        await queries.plots(session, lots)
        for direction in Direction:
            sweep = Sweep(direction, {lots[2]: 5})
            while await export.fetch(session, sweep, direction):
                list(sweep.passed())
    about_lots = [statement for statement in sent if _GRAPH.search(statement)]
    assert len(about_lots) > 20
    assert {statement: breaches(statement) for statement in about_lots if breaches(statement)} == {}


@pytest.mark.parametrize("walk", Walk)
def test_what_a_cluster_cannot_run_is_noticed(walk: Walk) -> None:
    assert breaches(queries._statement(walk))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM lot_edge",
        "SELECT l.id FROM lot l JOIN party p ON p.id = l.holder_id WHERE l.id = ANY(:lots)",
        "SELECT 1 FROM lot l, lot_edge e WHERE l.id = ANY(:lots)",
        "SELECT 1 FROM lot l WHERE l.id = ANY(:lots) AND l.id IN (SELECT dst FROM lot_edge)",
    ],
)
def test_other_breaches_are_noticed(statement: str) -> None:
    assert breaches(statement)


# --- how it is chosen -----------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_setting_chooses_the_way_for_every_session(
    settings: Settings, strategy: Strategy
) -> None:
    database = Database(settings.model_copy(update={"trace_strategy": strategy.value}))
    async with database.transaction() as session:
        assert queries.strategy_of(session) is strategy
        lots, _ = await written(session, [(0, 1), (1, 2)], [5])
    async with database.reading() as session:
        assert queries.strategy_of(session) is strategy
        with statements(session) as sent:
            graph = await queries.walk(session, [lots[0]], Walk.FORWARD, limit=10)
    await database.close()
    assert list(graph.nodes) == lots
    assert any("RECURSIVE" in statement for statement in sent) is (strategy is Strategy.RECURSIVE)


def test_the_setting_and_the_strategies_have_the_same_names() -> None:
    names = Settings.model_json_schema()["properties"]["trace_strategy"]["enum"]
    assert names == list(Strategy)


async def test_levels_ask_in_parts(session: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub of twenty is asked about in statements of three lots, and nothing is lost."""
    lots, _ = await written(session, [(0, lot) for lot in range(1, 21)], [5])
    whole = await queries.walk(session, [lots[0]], Walk.FORWARD, limit=100)
    monkeypatch.setattr(levels, "LOTS_A_STATEMENT", 3)
    walked(session, Strategy.LEVELS)
    assert await queries.walk(session, [lots[0]], Walk.FORWARD, limit=100) == whole
    assert len((await scope(session, [lots[0]])).lots) == 21
