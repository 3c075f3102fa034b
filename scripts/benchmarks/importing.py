"""Rows about what comes in by the thousand: tickets from a file, edges in bulk."""

import asyncio
import csv
import os
import tempfile
import time
from pathlib import Path

from app.core import ids
from app.core.clock import local_date, system_clock
from benchmarks import floors, stage
from benchmarks.bench import Bench
from benchmarks.measure import Row, Target, WrongAnswerError, median, spread
from benchmarks.stage import Connection

ROWS_A_TRANSACTION = 1_000
TICKETS = 20_000
TICKETS_SMOKE = 1_000
PARENTS = 50
"""As many as the largest merge of the graph has."""
_MARK = b"bench-import"

_EDGES = """
    INSERT INTO floor.edge (dst, src, mass_g, proof, event_id, occurred_at)
    SELECT dst, src, 1000, 3, 1, now() FROM unnest($1::bigint[], $2::bigint[]) AS e (dst, src)
"""


async def measure(bench: Bench) -> list[Row]:
    """Import tickets, and bring edges into being."""
    async with bench.connection() as connection:
        try:
            return [*await _tickets(bench, connection), await _edges(bench, connection)]
        finally:
            await _remove(connection)


async def _tickets(bench: Bench, connection: Connection) -> list[Row]:
    count = TICKETS_SMOKE if bench.smoke else TICKETS
    lots = [lot for place, lot in enumerate(bench.book.actors.stock) if _is_first_sellers(place)]
    actors = bench.book.actors
    # The same rows that a ticket leaves, for a thousand tickets at a time, and no rule applied.
    issuing = floors.issue_many(actors.buyer[0])
    grown_bytes: list[int] = []

    async def floor(_round: int) -> float:
        began = time.perf_counter()
        for _ in range(count // ROWS_A_TRANSACTION):
            serials = [ids.serial63() for _ in range(ROWS_A_TRANSACTION)]
            drawn = [bench.chance.choice(lots)[0] for _ in serials]
            await connection.execute(issuing, serials, drawn, actors.sellers[0][0])
        return count / (time.perf_counter() - began)

    async def own(number: int) -> float:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "tickets.csv"
            named = [str(bench.chance.choice(lots)[1]) for _ in range(count)]
            await asyncio.to_thread(_write, file, str(bench.book.actors.buyer[1]), named, number)
            before = most = _resident_bytes()

            def tell() -> None:
                nonlocal most
                most = max(most, _resident_bytes())

            began = time.perf_counter()
            done = await bench.ours.import_file(file, tell)
            took_s = time.perf_counter() - began
            grown_bytes.append(most - before)
        if (done.made, done.refused) != (count, 0):
            message = f"{done.made} made, {done.refused} refused of {count}"
            raise WrongAnswerError(message)
        return count / took_s

    found = await bench.interleave({"floor": floor, "ours": own})
    await _check_books(connection, [lot for lot, _ in lots])
    return [
        Row(
            f"import, {TICKETS:,} tickets from a file",
            floor=median(found["floor"]),
            ours=median(found["ours"]),
            target=Target(0.1, at_least=True),
            unit="tickets/s",
            note=f"{count:,} a round; rounds {spread(found['ours'])}; memory grew by "
            f"{max(grown_bytes) / 2**20:.0f} MiB at most",
        )
    ]


def _is_first_sellers(place: int) -> bool:
    return place % stage.SELLERS == 0


def _write(file: Path, buyer: str, lots: list[str], number: int) -> None:
    today = local_date(system_clock()).isoformat()
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["买方", "品名", "数量", "单位", "日期", "批次", "备注"])
        # The note makes each round's file one that was never imported.
        note = f"{number} {ids.uuid7()}"
        writer.writerows([buyer, stage.PRODUCT, "2", "斤", today, lot, note] for lot in lots)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _check_books(connection: Connection, lots: list[int]) -> None:
    wrong = await connection.fetchval(
        "SELECT count(*) FROM lot_balance b WHERE b.lot_id = ANY($1) AND b.remaining_g <> "
        "b.produced_g - (SELECT coalesce(sum(mass_g), 0) FROM ticket_draw WHERE lot_id = b.lot_id)",
        lots,
    )
    if wrong:
        message = f"the books of {wrong} lots do not add up"
        raise WrongAnswerError(message)


async def _edges(bench: Bench, connection: Connection) -> Row:
    transactions = 1 if bench.smoke else 20
    parents = [lot for lot, _ in bench.book.actors.stock[:PARENTS]]
    children = ROWS_A_TRANSACTION // PARENTS
    edges = transactions * ROWS_A_TRANSACTION
    next_id = await connection.fetchval("SELECT max(id) FROM lot")

    async def floor(_round: int) -> float:
        nonlocal next_id
        began = time.perf_counter()
        for _ in range(transactions):
            new = range(next_id + 1, next_id + 1 + children)
            next_id += children
            await connection.execute(
                _EDGES, [dst for dst in new for _ in parents], [src for _ in new for src in parents]
            )
        return edges / (time.perf_counter() - began)

    async def own(_round: int) -> float:
        began = time.perf_counter()
        for _ in range(transactions):
            await bench.ours.make_lots(children, parents, _MARK)
        return edges / (time.perf_counter() - began)

    first = next_id
    found = await bench.interleave({"floor": floor, "ours": own})
    await connection.execute("DELETE FROM floor.edge WHERE dst > $1", first)
    written = await connection.fetchval(
        "SELECT count(*) FROM lot_edge e JOIN lot l ON l.id = e.dst WHERE l.digest = $1", _MARK
    )
    rounds = bench.effort.rounds + bench.effort.warm
    if written != rounds * edges:
        message = f"{written} edges instead of {rounds * edges}"
        raise WrongAnswerError(message)
    return Row(
        "import, edges in bulk",
        floor=median(found["floor"]),
        ours=median(found["ours"]),
        target=Target(0.5, at_least=True),
        unit="edges/s",
        note=f"ours with the lots they lead to and their balances, {PARENTS} edges a lot; rounds "
        f"{spread(found['ours'])}",
    )


async def _remove(connection: Connection) -> None:
    """Remove the lots that were made, so that the next run finds the graph as it was."""
    await connection.execute("SET session_replication_role = replica")
    marked = "(SELECT id FROM lot WHERE digest = $1)"
    for table, key in (("lot_edge", "dst"), ("lot_balance", "lot_id")):
        await connection.execute(f"DELETE FROM {table} WHERE {key} IN {marked}", _MARK)  # noqa: S608
    await connection.execute("DELETE FROM lot WHERE digest = $1", _MARK)
    await connection.execute("SET session_replication_role = origin")
