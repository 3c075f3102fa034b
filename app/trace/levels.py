"""Walks the graph of lots level by level, with statements that a cluster can run.

On a cluster (Citus) a lot's row, its balance, the edges into it and a copy of the edges out of it
lie together, on the node that the lot's id chooses. So every statement here asks for rows by a list
of ids, joins at most a lot with its own balance, and does not recurse: the walk itself is a loop in
this process, one statement a level. On one server the answers are the same, and a small graph takes
a few times longer.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import STATEMENT_TIMEOUT_MS, on_cluster
from app.lot.rules import LotOrigin, Proof
from app.trace.rules import Edge, Node, SubGraph, TraceTimedOut, TraceTooLarge, ending_of

WALK_S_MAX = STATEMENT_TIMEOUT_MS / 1000
"""How long a walk of many short statements may take: as long as one that is a single statement."""

LOTS_A_STATEMENT = 10_000

_CANCELLED = "57014"

_LOTS = text("""
    SELECT id, public_id, product_id, holder_id, producer_id, mixed, origin, division_code, made_on,
        created_at, mass_g
    FROM lot WHERE id = ANY(CAST(:lots AS bigint[]))
""")
_LEFT = text("""
    SELECT array_agg(lot_id), array_agg(remaining_g), array_agg(lot_id) FILTER (WHERE holds > 0)
    FROM lot_balance WHERE lot_id = ANY(CAST(:lots AS bigint[]))
""")
_INTO = text("""
    SELECT src, dst, mass_g, proof, occurred_at FROM lot_edge
    WHERE dst = ANY(CAST(:lots AS bigint[]))
""")
_OUT_OF = text("""
    SELECT src, dst, mass_g, proof, occurred_at FROM lot_edge
    WHERE src = ANY(CAST(:lots AS bigint[]))
""")
_CHILDREN = text("SELECT DISTINCT dst FROM lot_edge WHERE src = ANY(CAST(:lots AS bigint[]))")
# The edges of a cluster lie where their younger lot does. Asked by the older one they would have to
# come from every node, so there is a copy that lies where the older one does.
_COPY_OUT_OF = text(_OUT_OF.text.replace("lot_edge", "lot_edge_by_src"))
_COPY_CHILDREN = text(_CHILDREN.text.replace("lot_edge", "lot_edge_by_src"))
_INTO_G = text("""
    SELECT dst, CAST(sum(mass_g) AS bigint) FROM lot_edge
    WHERE dst = ANY(CAST(:lots AS bigint[])) GROUP BY dst
""")
# Arrays, because a recall has a hundred thousand of them: a row each would take four times as long.
_PARTS = text("""
    SELECT array_agg(dst), array_agg(src), array_agg(mass_g) FROM lot_edge
    WHERE dst = ANY(CAST(:lots AS bigint[]))
""")
_STOCKS = text("""
    SELECT array_agg(l.id), array_agg(l.public_id), array_agg(l.holder_id), array_agg(l.mass_g),
        array_agg(coalesce(b.remaining_g, 0))
    FROM lot l LEFT JOIN lot_balance b ON b.lot_id = l.id
    WHERE l.id = ANY(CAST(:lots AS bigint[]))
""")


@contextmanager
def in_time() -> Iterator[None]:
    """Say what a statement that ran out of time means for a trace.

    Raises:
        TraceTimedOut: the server cancelled it.
    """
    try:
        yield
    except (DBAPIError, asyncpg.PostgresError) as error:
        if getattr(getattr(error, "orig", error), "sqlstate", None) != _CANCELLED:
            raise
        raise TraceTimedOut(seconds=WALK_S_MAX) from error


async def back(session: AsyncSession, lots: Collection[int], *, limit: int) -> SubGraph:
    """Fetch lots and everything that went into them.

    Raises:
        TraceTooLarge: these are more than `limit`.
        TraceTimedOut: it took too long.
    """
    met: set[int] = set()
    edges: list[Edge] = []
    frontier = set(lots)
    ends_s = time.perf_counter() + WALK_S_MAX
    while frontier:
        met |= frontier
        _check(met, limit, ends_s)
        found = await edges_into(session, frontier)
        edges += found
        frontier = {edge.src for edge in found} - met
    return await _graph(session, met, edges)


async def forward(session: AsyncSession, lots: Collection[int], *, limit: int) -> SubGraph:
    """Fetch lots and everything that they went into.

    Raises:
        TraceTooLarge: these are more than `limit`.
        TraceTimedOut: it took too long.
    """
    return await among(session, await ahead(session, lots, limit=limit))


async def around(session: AsyncSession, lots: Collection[int], *, limit: int) -> SubGraph:
    """Fetch lots, and those one step up and one step down.

    Raises:
        TraceTooLarge: these are more than `limit`.
        TraceTimedOut: it took too long.
    """
    up = await edges_into(session, lots)
    down = await edges_out_of(session, lots)
    met = {*lots, *(edge.src for edge in up), *(edge.dst for edge in down)}
    _check(met, limit, time.perf_counter() + WALK_S_MAX)
    return await among(session, met)


async def ahead(session: AsyncSession, lots: Collection[int], *, limit: int) -> set[int]:
    """Answer lots and everything that they went into, by id alone.

    Raises:
        TraceTooLarge: these are more than `limit`.
        TraceTimedOut: it took too long.
    """
    met: set[int] = set()
    frontier = set(lots)
    children = _COPY_CHILDREN if on_cluster(session) else _CHILDREN
    ends_s = time.perf_counter() + WALK_S_MAX
    while frontier:
        met |= frontier
        _check(met, limit, ends_s)
        frontier = {row[0] for row in await _rows(session, children, frontier)} - met
    return met


def _check(met: Collection[int], limit: int, ends_s: float) -> None:
    if len(met) > limit:
        raise TraceTooLarge(limit=limit)
    if time.perf_counter() > ends_s:
        raise TraceTimedOut(seconds=WALK_S_MAX)


async def among(session: AsyncSession, lots: Collection[int]) -> SubGraph:
    """Fetch lots and the edges among them."""
    return await _graph(session, lots, await edges_into(session, lots))


async def _graph(session: AsyncSession, lots: Collection[int], edges: Sequence[Edge]) -> SubGraph:
    """Put a graph together of lots and all edges into them, from lots outside too."""
    into_g: dict[int, int] = {}
    for edge in edges:
        into_g[edge.dst] = into_g.get(edge.dst, 0) + edge.mass_g
    nodes = {node.id: node for node in await nodes_of(session, lots, into_g)}
    inner = [edge for edge in edges if edge.src in nodes]
    inner.sort(key=lambda edge: (edge.dst, edge.src))
    return SubGraph(nodes, inner, *await left_of(session, lots))


async def left_of(
    session: AsyncSession, lots: Collection[int]
) -> tuple[dict[int, int], frozenset[int]]:
    """Answer the grams left of lots, and which of them may not move."""
    left_g = dict.fromkeys(sorted(lots), 0)
    held: set[int] = set()
    for some, grams, stopped in await _rows(session, _LEFT, lots):
        left_g |= zip(some or (), grams or (), strict=True)
        held.update(stopped or ())
    return left_g, frozenset(held)


async def nodes_of(
    session: AsyncSession, lots: Collection[int], into_g: dict[int, int]
) -> list[Node]:
    """Fetch lots by ascending id.

    Args:
        session: The caller's session.
        lots: Their ids.
        into_g: Grams that went into each, where anything did.
    """
    rows = await _rows(session, _LOTS, lots)
    nodes: list[Node] = []
    for row in sorted(rows):
        origin, grams = LotOrigin(row[6]), into_g.get(row[0], 0)
        ending = ending_of(origin, row[4], grams)
        nodes.append(Node._make((*row[:6], origin, *row[7:], grams, ending)))
    return nodes


async def edges_into(session: AsyncSession, lots: Collection[int]) -> list[Edge]:
    """Fetch all edges into lots, each lot's by ascending parent."""
    rows = await _rows(session, _INTO, lots)
    return [_edge(row) for row in sorted(rows, key=lambda row: (row[1], row[0]))]


async def edges_out_of(session: AsyncSession, lots: Collection[int]) -> list[Edge]:
    """Fetch all edges out of lots, each lot's by ascending child."""
    statement = _COPY_OUT_OF if on_cluster(session) else _OUT_OF
    rows = await _rows(session, statement, lots)
    return [_edge(row) for row in sorted(rows, key=lambda row: (row[0], row[1]))]


async def grams_into(session: AsyncSession, lots: Collection[int]) -> dict[int, int]:
    """Answer how many grams went into each lot that anything went into."""
    return {row[0]: row[1] for row in await _rows(session, _INTO_G, lots)}


def _edge(row: Sequence[Any]) -> Edge:
    return Edge(row[0], row[1], row[2], Proof(row[3]), row[4])


async def parts_of(
    session: AsyncSession, lots: Collection[int]
) -> dict[int, list[tuple[int, int]]]:
    """Answer what went into each lot, as parents and grams."""
    parts: dict[int, list[tuple[int, int]]] = {}
    for row in await _rows(session, _PARTS, lots):
        for dst, src, mass_g in zip(*(column or () for column in row), strict=True):
            parts.setdefault(dst, []).append((src, mass_g))
    return parts


async def stocks(
    session: AsyncSession, lots: Collection[int]
) -> list[tuple[int, UUID, int | None, int, int]]:
    """Fetch what a recall has to know about lots, by ascending id.

    Returns:
        Of each lot its id, public id, holder, and its grams at the beginning and now.
    """
    found: list[tuple[int, UUID, int | None, int, int]] = []
    for row in await _rows(session, _STOCKS, lots):
        found += zip(*(column or () for column in row), strict=True)
    found.sort()
    return found


async def _rows(session: AsyncSession, statement: TextClause, lots: Collection[int]) -> list[Any]:
    """Ask about lots, some thousands in a statement: each gets done in time."""
    ids = sorted(lots)
    rows: list[Any] = []
    with in_time():
        for first in range(0, len(ids), LOTS_A_STATEMENT):
            some = {"lots": ids[first : first + LOTS_A_STATEMENT]}
            rows += (await session.execute(statement, some)).all()
    return rows
