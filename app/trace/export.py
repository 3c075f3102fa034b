"""A whole graph as a stream of JSON lines, however large: nothing is kept but what still waits.

The first line says what was asked, then come lots and the edges between each and lots that came
before it, in the order of `sweep`; the last line says that this was all. Every batch is fetched in
a session of its own: whoever reads slowly, or not at all any more, holds no connection.

Regulators and operators get any graph. Others get what `trace` answers them, in the same lines.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.schemas import Out
from app.party.access import Audience, Caller
from app.trace import levels, queries, rules, schemas, service
from app.trace.rules import Direction, Edge, Node, Reckoning, SubGraph, TraceTooLarge
from app.trace.scribe import Scribe, scribe_of
from app.trace.service import Question
from app.trace.sweep import Passed, Sweep

BATCH_LOTS = 1_000
TOUCHED_LOTS_MAX = 100_000
"""Lots that are looked through for one in a regulator's jurisdiction; mostly the first one is."""

Reader = Callable[[], AbstractAsyncContextManager[AsyncSession]]


async def lots(
    session: AsyncSession,
    public_ids: Sequence[UUID],
    direction: Direction,
    *,
    caller: Caller,
    reader: Reader,
) -> AsyncIterator[bytes]:
    """Begin a stream about lots; everything that can be refused is refused here.

    Args:
        session: The request's session, in use until this returns.
        public_ids: The lots in question.
        direction: Which way.
        caller: On whose behalf.
        reader: Opens the sessions that the stream reads with.

    Raises:
        UnknownLot: one of the ids names no lot.
        OtherParty: the caller has nothing to do with one of the lots.
        TraceTooLarge: a trader's or market's graph has more lots than `service.LOTS_MAX`, or a
            regulator's jurisdiction does not come up among `TOUCHED_LOTS_MAX`.
    """
    question = await service.question_about(session, public_ids, caller)
    return await _begin(session, question, direction, caller=caller, reader=reader)


async def ticket(
    session: AsyncSession,
    public_id: UUID,
    direction: Direction,
    *,
    caller: Caller,
    reader: Reader,
) -> AsyncIterator[bytes]:
    """Begin a stream about a ticket's goods; see `lots`.

    Raises:
        UnknownTicket: there is no such ticket.
        OtherParty: the caller has nothing to do with it.
        TraceTooLarge: see `lots`.
    """
    question = await service.question_of_ticket(session, public_id, direction, caller)
    named = {lot: named for lot, named, *_ in await levels.stocks(session, question.asked)}
    question = replace(question, lots=tuple(named[lot] for lot in question.asked))
    return await _begin(session, question, direction, caller=caller, reader=reader)


async def _begin(
    session: AsyncSession,
    question: Question,
    direction: Direction,
    *,
    caller: Caller,
    reader: Reader,
) -> AsyncIterator[bytes]:
    if caller.supervises and await _touches(session, caller, question, direction):
        return _streamed(question, direction, caller=caller, reader=reader)
    answer = await service.answer(
        session, question, direction, caller=caller, limit=service.LOTS_MAX
    )
    return _told(answer)


async def _touches(
    session: AsyncSession, caller: Caller, question: Question, direction: Direction
) -> bool:
    """Whether anything in a graph lies in the caller's jurisdiction; ends with the first that does.

    Raises:
        TraceTooLarge: it took too many lots to say.
    """
    if Audience.OPERATOR in caller.audiences:
        return True
    sweep = Sweep(direction, question.asked)
    while True:
        nodes = await fetch(session, sweep, direction)
        graph = SubGraph({node.id: node for node in nodes}, [])
        transits = await _transits(session, direction, graph.nodes)
        parties = await service.parties_of(queries.books_of(session), graph, transits, question)
        if await service.supervises(session, caller, question, graph, parties):
            return True
        passed = [lot.node for lot in sweep.passed()]
        if not nodes and not passed:
            return False
        if sweep.totals.lots > TOUCHED_LOTS_MAX:
            raise TraceTooLarge(limit=TOUCHED_LOTS_MAX)


async def fetch(
    session: AsyncSession, sweep: Sweep, direction: Direction, *, most: int = BATCH_LOTS
) -> list[Node]:
    """Bring a sweep the next lots that it wants."""
    wanted = sweep.wanted(most)
    if direction is Direction.BACK:
        edges = await levels.edges_into(session, wanted)
        into_g: dict[int, int] = {}
        for edge in edges:
            into_g[edge.dst] = into_g.get(edge.dst, 0) + edge.mass_g
    else:
        edges = await levels.edges_out_of(session, wanted)
        into_g = await levels.grams_into(session, wanted)
    nodes = await levels.nodes_of(session, wanted, into_g)
    sweep.learn(nodes, edges)
    return nodes


async def _transits(
    session: AsyncSession, direction: Direction, lots: Iterable[int]
) -> Sequence[queries.Transit]:
    if direction is Direction.BACK:
        return ()
    return await queries.transits(session, list(lots))


async def _streamed(
    question: Question, direction: Direction, *, caller: Caller, reader: Reader
) -> AsyncIterator[bytes]:
    yield _line(
        "trace",
        {
            "direction": direction,
            "lots": question.lots,
            "ticket": question.ticket,
            "asked_g": sum(question.asked.values()),
        },
    )
    sweep = Sweep(direction, question.asked)
    if question.ticket_id is not None and direction is Direction.FORWARD:
        async with reader() as session:
            open_ = await queries.transits(session, (), ticket_id=question.ticket_id)
            scribe = await _scribe(session, question, [], open_, caller)
        yield b"".join(_in_transit(scribe, question))
    done = False
    while not done:
        async with reader() as session:
            fetched = await fetch(session, sweep, direction)
            passed = list(sweep.passed())
            nodes = [lot.node for lot in passed]
            ways = await _transits(session, direction, [node.id for node in nodes])
            ways = [way for way in ways if way.ticket != question.ticket]
            scribe = await _scribe(session, question, nodes, ways, caller)
        done = not fetched and not passed
        yield b"".join((*_lots(scribe, passed, direction), *_in_transit(scribe, question)))
    yield _line("end", _sums(sweep, direction))


async def _scribe(
    session: AsyncSession,
    question: Question,
    nodes: Sequence[Node],
    transits: Sequence[queries.Transit],
    caller: Caller,
) -> Scribe:
    lots = {node.id: node for node in nodes}
    graph = SubGraph(lots, [], *await levels.left_of(session, lots))
    parties = await service.parties_of(queries.books_of(session), graph, transits, question)
    return await scribe_of(session, graph, rules.view_all(graph), parties, transits, caller)


def _lots(scribe: Scribe, passed: Sequence[Passed], direction: Direction) -> Iterator[bytes]:
    reckoning = Reckoning(
        direction=direction,
        share={lot.node.id: lot.share for lot in passed},
        grams={lot.node.id: lot.share_g for lot in passed},
        edge_grams={},
        depth={lot.node.id: lot.depth for lot in passed},
        share_to_producer=None,
        proved_share=None,
        broken_g=0,
    )
    for lot in passed:
        yield _line("lot", scribe.node(lot.node, reckoning))
        for edge, other, share_g in lot.edges:
            yield _line("edge", _edge(edge, lot.node, other, share_g))


def _edge(edge: Edge, node: Node, other: UUID, share_g: int) -> schemas.EdgeOut:
    src, dst = (node.public_id, other) if edge.src == node.id else (other, node.public_id)
    return schemas.EdgeOut(
        src=src,
        dst=dst,
        mass_g=edge.mass_g,
        share_g=share_g,
        proof=edge.proof.name.lower(),
        occurred_at=edge.occurred_at,
    )


def _in_transit(scribe: Scribe, question: Question) -> Iterator[bytes]:
    for way in scribe.in_transit(question.ticket):
        yield _line("in_transit", way)


def _sums(sweep: Sweep, direction: Direction) -> dict[str, Any]:
    is_back = direction is Direction.BACK
    return {
        "lots": sweep.totals.lots,
        "edges": sweep.totals.edges,
        "completeness": schemas.CompletenessOut(
            share_to_producer=sweep.share_to_producer,
            proved_share=sweep.proved_share,
            broken_g=sweep.broken_g if is_back else None,
            broken_lots=sweep.totals.broken_lots,
        ),
        "beyond": None,
    }


async def _told(answer: schemas.TraceOut) -> AsyncIterator[bytes]:
    """Write an answer that is complete already in the same lines."""
    members = {"direction", "lots", "ticket", "asked_g"}
    yield _line("trace", answer.model_dump(mode="json", include=members))
    for name, rows in (
        ("lot", answer.nodes),
        ("edge", answer.edges),
        ("in_transit", answer.in_transit),
    ):
        yield b"".join(_line(name, row) for row in rows)
    yield _line(
        "end",
        {
            "lots": len(answer.nodes),
            "edges": len(answer.edges),
            "completeness": answer.completeness,
            "beyond": answer.beyond,
        },
    )


def _line(name: str, value: Out | dict[str, Any]) -> bytes:
    return orjson.dumps({name: value}, default=_plain, option=orjson.OPT_APPEND_NEWLINE)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):  # the driver's own kind, which orjson does not know
        return str(value)
    assert isinstance(value, Out), f"{type(value).__name__} has no place in a line"
    return value.model_dump(mode="json")
