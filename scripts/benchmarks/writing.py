"""Rows about writing: issuing tickets, one lot that everybody draws on, and what an edge costs."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import create_async_engine

from app.core.errors import DomainError
from app.lot.rules import LotExhausted
from benchmarks import floors, orm, ours, stage, wire
from benchmarks.bench import Bench
from benchmarks.floors import DRAW_G
from benchmarks.measure import Row, Target, WrongAnswerError, cpu_s, median, spread
from benchmarks.stage import CONNECTIONS, STOCK_LOTS, Connection

EDGES_A_TRANSACTION = 1_000
_REQUESTS_A_S_MAX = 3_000
_FEWER_CONNECTIONS = (1, 8)
_SCARCE_TICKETS = 100
_SCARCE_ATTEMPTS = 300
_FAREWELL_S = 0.3
"""In which processes that have ended are missed by their parents."""


def _floor(
    bench: Bench, *, hot: bool = False, clients: int = CONNECTIONS
) -> Callable[[int], Awaitable[float]]:
    actors = bench.book.actors
    lots = [lot for lot, _ in ([actors.hot] if hot else actors.stock)]
    script = floors.issue(lots, [seller for seller, _ in actors.sellers], actors.buyer[0])

    async def run(_round: int) -> float:
        outcome = await floors.run(
            bench.book.url,
            [script],
            clients=clients,
            seconds=bench.effort.slice_s,
        )
        return outcome.rate

    return run


async def _storm(
    seconds: float, clients: int, act: Callable[[], Awaitable[None]]
) -> tuple[float, Counter[str]]:
    """Let clients act one after the other for a while; answer acts a second, and refusals."""
    until = time.perf_counter() + seconds
    acts = 0
    refusals: Counter[str] = Counter()

    async def client() -> None:
        nonlocal acts
        while time.perf_counter() < until:
            try:
                await act()
                acts += 1
            except DomainError as refusal:
                refusals[refusal.code] += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return acts / (time.perf_counter() - began), refusals


def _own(
    bench: Bench, *, hot: bool = False, clients: int = CONNECTIONS
) -> Callable[[int], Awaitable[float]]:
    async def run(_round: int) -> float:
        rate, refusals = await _storm(
            bench.effort.slice_s,
            clients,
            lambda: bench.ours.issue(bench.chance.randrange(STOCK_LOTS), hot=hot),
        )
        if refusals:
            message = f"refused: {dict(refusals)}"
            raise WrongAnswerError(message)
        return rate

    return run


async def issue(bench: Bench) -> list[Row]:
    """Issue tickets through the data layer."""
    cpu_us: dict[str, list[float]] = {"floor": [], "ours": []}
    async with bench.connection() as connection:
        server = await _server_pid(connection)

    def weighed(
        name: str, method: Callable[[int], Awaitable[float]]
    ) -> Callable[[int], Awaitable[float]]:
        async def run(number: int) -> float:
            before_s = cpu_s(server)
            rate = await method(number)
            await asyncio.sleep(_FAREWELL_S)
            cpu_us[name].append((cpu_s(server) - before_s) / (rate * bench.effort.slice_s) * 1e6)
            return rate

        return run

    found = await bench.interleave(
        {"floor": weighed("floor", _floor(bench)), "ours": weighed("ours", _own(bench))}
    )
    await _check_books(bench)
    rates = {CONNECTIONS: (median(found["floor"]), median(found["ours"]))}
    if not bench.smoke:
        for clients in _FEWER_CONNECTIONS:
            rates[clients] = (
                await _floor(bench, clients=clients)(0),
                await _own(bench, clients=clients)(0),
            )
    return [
        Row(
            "issue, data layer",
            floor=median(found["floor"]),
            ours=median(found["ours"]),
            target=Target(0.55, at_least=True),
            unit="tickets/s",
            note=f"{CONNECTIONS} connections; rounds {spread(found['floor'])} and "
            f"{spread(found['ours'])}; CPU time a ticket, clients and server, "
            f"{min(cpu_us['floor']):.0f} and {min(cpu_us['ours']):.0f} us at best",
            points=[
                {"connections": clients, "floor": floor, "ours": own}
                for clients, (floor, own) in sorted(rates.items())
            ],
        )
    ]


async def _server_pid(connection: Connection) -> int:
    """Answer the process that all of the server's other processes are children of."""
    directory = await connection.fetchval("SELECT current_setting('data_directory')")
    file = Path(directory) / "postmaster.pid"
    return int((await asyncio.to_thread(file.read_text)).split()[0])


async def issue_http(bench: Bench) -> list[Row]:
    """Issue tickets over HTTP, with session, policy and signature."""
    server = await bench.server("ours")
    headers = [await ours.sign_in(server, f"seller-{number}") for number in range(stage.SELLERS)]
    engine = create_async_engine(
        bench.book.settings().database_url, pool_size=CONNECTIONS, max_overflow=0
    )

    async def own(_round: int) -> float:
        requests = []
        for _ in range(bench.effort.slice_s * _REQUESTS_A_S_MAX):
            seller, path, body = bench.ours.issue_request(bench.chance.randrange(STOCK_LOTS))
            requests.append(wire.request("PUT", path, headers[seller], body))
        answers = await wire.send(
            server, requests, connections=CONNECTIONS, seconds_max=bench.effort.slice_s
        )
        if set(answers.statuses) != {"201"}:
            raise WrongAnswerError(answers.refused() or str(answers.statuses))
        return answers.rate

    async def mapper(_round: int) -> float:
        actors = bench.book.actors
        rate, _ = await _storm(
            bench.effort.slice_s,
            CONNECTIONS,
            lambda: orm.issue(engine, actors.stock[bench.chance.randrange(STOCK_LOTS)][0]),
        )
        return rate

    try:
        found = await bench.interleave({"floor": _floor(bench), "orm": mapper, "ours": own})
    finally:
        await engine.dispose()
    await _check_books(bench)
    rate = median(found["ours"])
    return [
        Row(
            "issue over HTTP",
            floor=median(found["floor"]),
            ours=rate,
            target=Target(0.25, at_least=True),
            unit="tickets/s",
            note=f"{CONNECTIONS} connections, one process; rounds {spread(found['ours'])}",
        ),
        Row(
            "issue over HTTP, against an ORM",
            floor=median(found["orm"]),
            ours=rate,
            target=Target(3.0, at_least=True),
            unit="tickets/s",
            note=f"the ORM without HTTP; rounds {spread(found['orm'])}",
        ),
    ]


async def issue_hot(bench: Bench) -> list[Row]:
    """Let everybody draw on one lot, and sell a scarce one out."""
    found = await bench.interleave(
        {"floor": _floor(bench, hot=True), "ours": _own(bench, hot=True)}
    )
    await _check_books(bench)
    sold = await _sell_out(bench)
    return [
        Row(
            "issue, one hot lot",
            floor=median(found["floor"]),
            ours=median(found["ours"]),
            target=Target(0.4, at_least=True),
            unit="tickets/s",
            note=f"{_SCARCE_ATTEMPTS} wanted one of {_SCARCE_TICKETS} parts of a lot: {sold} got "
            "one, oversold 0",
        )
    ]


async def _check_books(bench: Bench) -> None:
    """Add up: what is left of every lot of the stock, and what tickets took, is what it was.

    Raises:
        WrongAnswerError: grams are missing, or there are too many.
    """
    actors = bench.book.actors
    async with bench.connection() as connection:
        wrong = await connection.fetch(
            "SELECT b.lot_id, b.produced_g, b.remaining_g, d.drawn_g FROM lot_balance b "
            "CROSS JOIN LATERAL (SELECT coalesce(sum(mass_g), 0)::bigint AS drawn_g "
            "FROM ticket_draw WHERE lot_id = b.lot_id) d "
            "WHERE b.lot_id = ANY($1) AND b.remaining_g + d.drawn_g <> b.produced_g",
            [lot for lot, _ in (*actors.stock, actors.hot)],
        )
    if wrong:
        message = f"the books of {len(wrong)} lots do not add up: {dict(wrong[0])}"
        raise WrongAnswerError(message)


async def _sell_out(bench: Bench) -> int:
    """Let three times as many want a part of a lot as there are parts; answer how many got one."""
    seller = bench.book.actors.sellers[0]
    async with bench.connection() as connection:
        lot = await connection.fetchrow(
            "INSERT INTO lot (public_id, digest, product_id, holder_id, mixed, origin, mass_g, "
            "quantity, unit, created_at) VALUES (gen_random_uuid(), '', $1, $2, true, 'purchase', "
            "$3::bigint, $3::bigint / 1000, '公斤', now()) RETURNING id, public_id",
            stage.PRODUCT,
            seller[0],
            _SCARCE_TICKETS * DRAW_G,
        )
        assert lot is not None, "inserted"
        await connection.execute(
            "INSERT INTO lot_balance (lot_id, produced_g, remaining_g, certified_g, cover_used_g, "
            "holds) VALUES ($1, $2, $2, 0, 0, 0)",
            lot["id"],
            _SCARCE_TICKETS * DRAW_G,
        )
        results = await asyncio.gather(
            *(bench.ours.issue_on(lot["public_id"], seller) for _ in range(_SCARCE_ATTEMPTS)),
            return_exceptions=True,
        )
        sold = sum(result is None for result in results)
        strange = [result for result in results if result and not isinstance(result, LotExhausted)]
        drawn_g, left_g = await connection.fetchrow(
            "SELECT (SELECT sum(mass_g)::bigint FROM ticket_draw WHERE lot_id = $1), remaining_g "
            "FROM lot_balance WHERE lot_id = $1",
            lot["id"],
        ) or (0, 0)
    if sold != _SCARCE_TICKETS or drawn_g != sold * DRAW_G or left_g or strange:
        message = f"sold {sold}, drawn {drawn_g} g, left {left_g} g, {strange[:1]}"
        raise WrongAnswerError(message)
    return sold


# --- edges ----------------------------------------------------------------------------------------

_APPEND = """
    INSERT INTO {table} (dst, src, mass_g, proof, event_id, occurred_at)
    SELECT dst, src, 1000, 2, dst, $3
    FROM unnest($1::bigint[], $2::bigint[]) AS e (dst, src)
"""
_MARK = b"bench"


async def wal(bench: Bench) -> list[Row]:
    """Append edges in bulk to the full table, and weigh the write-ahead log."""
    async with bench.connection() as connection:
        try:
            return await _append(bench, connection)
        finally:
            await _remove_appended(connection)


async def _append(bench: Bench, connection: Connection) -> list[Row]:
    batches = 1 if bench.smoke else 10
    bytes_an_edge: dict[str, list[float]] = {"floor.edge": [], "lot_edge": []}

    def appending(table: str) -> Callable[[int], Awaitable[float]]:
        async def run(_round: int) -> float:
            # Behind a checkpoint whole pages are logged at first touch; one in the midst would
            # weigh on whichever table it met.
            await connection.execute("CHECKPOINT")
            lots = await _young_lots(connection, batches * EDGES_A_TRANSACTION // 2)
            at = datetime.now(UTC)
            before = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
            began = time.perf_counter()
            for batch in range(batches):
                some = lots[batch * EDGES_A_TRANSACTION // 2 :][: EDGES_A_TRANSACTION // 2 + 2]
                # Every lot goes into the two that follow: as many edges as lots, twice.
                pairs = [
                    (some[place + step], some[place])
                    for place in range(len(some) - 2)
                    for step in (1, 2)
                ]
                await connection.execute(
                    _APPEND.format(table=table),
                    [dst for dst, _ in pairs],
                    [src for _, src in pairs],
                    at,
                )
            took_s = time.perf_counter() - began
            after = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
            size = await connection.fetchval(
                "SELECT pg_wal_lsn_diff($1::pg_lsn, $2::pg_lsn)::bigint", after, before
            )
            edges = batches * EDGES_A_TRANSACTION
            bytes_an_edge[table].append(size / edges)
            return edges / took_s

        return run

    found = await bench.interleave({table: appending(table) for table in bytes_an_edge})
    plain, own = (median(bytes_an_edge[table]) for table in bytes_an_edge)
    return [
        Row(
            "WAL an edge",
            ours=own,
            target=Target(450, at_least=False, unit="bytes"),
            unit="bytes",
            note=f"the plain table {plain:.0f} bytes",
        ),
        Row(
            "edges appended in bulk",
            floor=median(found["floor.edge"]),
            ours=median(found["lot_edge"]),
            target=Target(0.7, at_least=True),
            unit="edges/s",
            note=f"{EDGES_A_TRANSACTION} a transaction behind {bench.book.oracle.edges:,}",
        ),
    ]


async def _young_lots(connection: Connection, count: int) -> list[int]:
    rows = await connection.fetch(
        "INSERT INTO lot (public_id, digest, product_id, mixed, origin, mass_g, quantity, unit, "
        "created_at) SELECT uuidv7(), $1, $2, true, 'split', 1000, 1, '公斤', now() "
        "FROM generate_series(1, $3::int) RETURNING id",
        _MARK,
        stage.PRODUCT,
        count + 2,
    )
    return sorted(row["id"] for row in rows)


async def _remove_appended(connection: Connection) -> None:
    await connection.execute("SET session_replication_role = replica")
    for table in ("lot_edge", "floor.edge"):
        await connection.execute(
            f"DELETE FROM {table} WHERE dst IN (SELECT id FROM lot WHERE digest = $1)",  # noqa: S608
            _MARK,
        )
    await connection.execute("DELETE FROM lot WHERE digest = $1", _MARK)
    for table in ("lot_edge", "floor.edge", "lot"):
        await connection.execute(f"VACUUM {table}")
