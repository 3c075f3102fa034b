"""Rows about reading: scans, traces, growth, and the scope of a recall."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from app.signing import shortcode
from app.trace.rules import Direction, Reckoning, SubGraph
from benchmarks import floors, ours, stage, wire
from benchmarks.bench import SEED, Bench, keep_best
from benchmarks.graph import Oracle
from benchmarks.measure import (
    Row,
    Target,
    WrongAnswerError,
    median,
    percentile,
    spread,
)
from benchmarks.stage import CONNECTIONS

JSON = {"Accept": "application/json"}
SHARES_CHECKED = 20
SMALL_LOTS_MAX = 100
LARGE_LOTS_MIN = 250
SMALL_GRAPH = 100_000
RECALLED_LOTS = 100_000
_TOLERANCE = 1e-9
_REMEMBERED = 1_000
_SCANS_A_S_MAX = 20_000


# --- scans ----------------------------------------------------------------------------------------


async def scan_read(bench: Bench) -> list[Row]:
    """Look tickets up whose signatures were checked before."""
    papers = await _papers(bench)
    known = papers[:_REMEMBERED]
    requests = [wire.request("GET", f"/t/{token}", JSON) for token, *_ in known]
    await _check_scans(bench, known)
    places = bench.effort.slice_s * _SCANS_A_S_MAX

    def scans(name: str) -> Callable[[int], Awaitable[float]]:
        async def run(_round: int) -> float:
            answers = await wire.send(
                await bench.server(name),
                requests,
                connections=CONNECTIONS,
                seconds_max=bench.effort.slice_s,
                places=[bench.chance.randrange(len(requests)) for _ in range(places)],
            )
            _must_succeed(answers)
            return answers.rate

        return run

    names = ("bare", "framework", "ours")
    found = await bench.interleave({name: scans(name) for name in names})
    return [
        Row(
            "scan, read only",
            floor=median(found["bare"]),
            ours=median(found["ours"]),
            target=Target(0.70, at_least=True),
            unit="requests/s",
            note=f"FastAPI + pydantic {median(found['framework']):.0f}/s; "
            f"rounds {spread(found['bare'])} and {spread(found['ours'])}",
        )
    ]


async def scan_whole(bench: Bench) -> list[Row]:
    """Scan every ticket for the first time: look it up, check its signature, decide."""
    tokens = [token for token, *_ in (await _papers(bench))[_REMEMBERED:]]
    count = min(bench.effort.requests, len(tokens) // (bench.effort.rounds + 1))

    def scans(name: str, path: str) -> Callable[[int], Awaitable[float]]:
        async def run(number: int) -> float:
            some = tokens[number * count : (number + 1) * count]
            answers = await wire.send(
                await bench.server(name),
                [wire.request("GET", f"{path}{token}", JSON) for token in some],
                connections=CONNECTIONS,
                seconds_max=bench.effort.slice_s * 4,
            )
            _must_succeed(answers)
            return answers.rate

        return run

    found = await bench.interleave(
        {"bare": scans("bare", "/decide/"), "ours": scans("ours", "/t/")}
    )
    return [
        Row(
            "scan, whole, the first time",
            floor=median(found["bare"]),
            ours=median(found["ours"]),
            target=Target(0.80, at_least=True),
            unit="requests/s",
            note=f"{count} tickets a round, each for the first time; "
            f"rounds {spread(found['bare'])} and {spread(found['ours'])}",
        )
    ]


async def _papers(bench: Bench) -> list[tuple[str, str, int]]:
    async with bench.connection() as connection:
        rows = await connection.fetch("SELECT token, code, mass_g FROM floor.paper ORDER BY serial")
    return [(row["token"], row["code"], row["mass_g"]) for row in rows]


async def _check_scans(bench: Bench, papers: Sequence[tuple[str, str, int]]) -> None:
    """Read every ticket once, which also has its signature remembered, and compare."""
    answers = await wire.send(
        await bench.server("ours"),
        [wire.request("GET", f"/t/{token}", JSON) for token, *_ in papers],
        connections=4,
        seconds_max=60,
        keep=True,
    )
    _must_succeed(answers)
    for place, body in answers.bodies.items():
        _, code, mass_g = papers[place]
        said = orjson.loads(body)
        if said["code"] != shortcode.show(code) or said["ticket"]["mass_g"] != mass_g:
            message = f"ticket {code} of {mass_g} g was shown as {said['code']}"
            raise WrongAnswerError(message)


def _must_succeed(answers: wire.Answers) -> None:
    if (refused := answers.refused()) is not None:
        raise WrongAnswerError(refused)


# --- traces ---------------------------------------------------------------------------------------


def check_trace(
    oracle: Oracle,
    lot: int,
    direction: Direction,
    graph: SubGraph,
    reckoning: Reckoning,
    *,
    shares: bool,
) -> None:
    """Compare a trace with the oracle's: lots, edges with grams, and perhaps shares.

    Raises:
        WrongAnswerError: they differ.
    """
    back = direction is Direction.BACK
    lots = oracle.back(lot) if back else oracle.forward(lot)
    if set(graph.nodes) != lots:
        message = f"{direction} of {lot}: {len(graph.nodes)} lots, and not {len(lots)}"
        raise WrongAnswerError(message)
    edges = {(edge.src, edge.dst, edge.mass_g) for edge in graph.edges}
    if edges != oracle.edges_among(lots) or len(edges) != len(graph.edges):
        message = f"{direction} of {lot}: the edges differ"
        raise WrongAnswerError(message)
    if shares:
        right = oracle.shares_back(lot) if back else oracle.shares_forward(lot)
        for met, share in right.items():
            if abs(reckoning.share[met] - float(share)) > _TOLERANCE:
                message = f"{direction} of {lot}: share of {met} is not {float(share)}"
                raise WrongAnswerError(message)


async def trace(bench: Bench) -> list[Row]:
    """Trace lots in the data layer: the sub-graph with grams, and the shares."""
    return [await _trace(bench, direction) for direction in Direction]


def _asked(bench: Bench, direction: Direction) -> list[int]:
    oracle = bench.book.oracle
    back = direction is Direction.BACK
    lots = oracle.in_ordinary_cells(oracle.leaves() if back else oracle.sources())
    return bench.drawn(lots, bench.effort.keys)


async def _trace(bench: Bench, direction: Direction) -> Row:
    keys = _asked(bench, direction)
    first_us: list[float] = []
    for place, key in enumerate(keys):
        bench.ours.forget()
        began = time.perf_counter()
        graph, reckoning = await bench.ours.trace(key, direction)
        first_us.append((time.perf_counter() - began) * 1e6)
        check_trace(
            bench.book.oracle, key, direction, graph, reckoning, shares=place < SHARES_CHECKED
        )
    floor_us: dict[int, float] = {}
    ours_us: dict[int, float] = {}

    async def floor(_round: int) -> float:
        return await bench.floor_traces(direction, keys, floor_us)

    async def own(_round: int) -> float:
        await time_traces(bench.ours, direction, _shuffled(bench, keys), ours_us)
        return 0.0

    await bench.interleave({"floor": floor, "ours": own})
    floor_values, values = list(floor_us.values()), list(ours_us.values())
    return Row(
        f"trace {direction}, data layer",
        floor=percentile(floor_values, 99) / 1000,
        ours=percentile(values, 99) / 1000,
        target=Target(1.4, at_least=False),
        unit="ms p99",
        note=f"p50 {median(floor_values) / 1000:.3f} and {median(values) / 1000:.3f} ms, "
        f"{median(first_us) / 1000:.3f} where no lot was met before; best of "
        f"{bench.effort.rounds} rounds a lot, {len(keys)} lots",
    )


def _shuffled(bench: Bench, keys: Sequence[int]) -> list[int]:
    return bench.chance.sample(keys, len(keys))


async def time_traces(
    layer: ours.Ours, direction: Direction, keys: Sequence[int], best_us: dict[int, float]
) -> None:
    """Trace every key, and keep the best time of each in microseconds."""
    for key in keys:
        for _ in range(3):
            began = time.perf_counter()
            await layer.trace(key, direction)
            keep_best(best_us, key, (time.perf_counter() - began) * 1e6)


async def trace_http(bench: Bench) -> list[Row]:
    """Trace lots over HTTP, as a regulator who sees all of it, in small answers and large ones."""
    oracle = bench.book.oracle
    sizes = {key: len(oracle.back(key)) for key in _asked(bench, Direction.BACK)}
    small = [(key, Direction.BACK) for key, size in sizes.items() if size <= SMALL_LOTS_MAX]
    large: list[tuple[int, Direction]] = []
    for key in bench.drawn(oracle.in_ordinary_cells(oracle.sources()), 2_000):
        size = len(oracle.forward(key))
        if size <= SMALL_LOTS_MAX and len(small) < bench.effort.keys * 2:
            small.append((key, Direction.FORWARD))
        if size >= LARGE_LOTS_MIN and len(large) < bench.effort.keys:
            large.append((key, Direction.FORWARD))
    return [
        await _trace_http(bench, small, f"<= {SMALL_LOTS_MAX} lots", large=False),
        await _trace_http(bench, large, f">= {LARGE_LOTS_MIN} lots", large=True),
    ]


async def _trace_http(
    bench: Bench, asked: Sequence[tuple[int, Direction]], name: str, *, large: bool
) -> Row:
    headers = await ours.sign_in(await bench.server("ours"), "regulator")
    named = await public_ids(bench, [key for key, _ in asked])
    requests = [
        wire.request("GET", f"/lots/{named[key]}/trace?direction={direction}", headers)
        for key, direction in asked
    ]
    first_us = await _check_bodies(bench, asked, requests)
    sql_us: dict[int, float] = {}
    static_us: dict[int, float] = {}
    ours_us: dict[int, float] = {}

    async def sql(_round: int) -> float:
        for direction in Direction:
            keys = [key for key, way in asked if way is direction]
            if keys:
                await bench.floor_traces(direction, keys, sql_us)
        return 0.0

    def sending(
        server: str, some: Sequence[bytes], best: dict[int, float]
    ) -> Callable[[int], Awaitable[float]]:
        async def run(_round: int) -> float:
            places = [*range(len(some))] * 3
            bench.chance.shuffle(places)
            answers = await wire.send(
                await bench.server(server), some, connections=1, seconds_max=120, places=places
            )
            _must_succeed(answers)
            for place, taken in answers.taken_us:
                keep_best(best, place, taken)
            return 0.0

        return run

    static = [wire.request("GET", "/static")] * len(requests)
    await bench.interleave(
        {
            "sql": sql,
            "static": sending("bare", static, static_us),
            "ours": sending("ours", requests, ours_us),
        }
    )
    changed_us: dict[int, float] = {}
    for _ in range(2):
        await _change_stocks(bench, [key for key, _ in asked])
        changed = await wire.send(
            await bench.server("ours"), requests, connections=1, seconds_max=120
        )
        _must_succeed(changed)
        for place, taken in changed.taken_us:
            keep_best(changed_us, place, taken)
    row = _http_row(f"trace over HTTP, {name}", sql_us, static_us, ours_us, large=large)
    row.note += (
        f"; p50 where the asked lot's stock is another than before "
        f"{median(list(changed_us.values())) / 1000:.2f} ms, asked for the first time "
        f"{median(first_us) / 1000:.2f} ms"
    )
    return row


async def _change_stocks(bench: Bench, lots: Sequence[int]) -> None:
    """Leave of each lot what was gone of it; the second time, all is as it was before."""
    async with bench.connection() as connection:
        await connection.execute(
            "UPDATE lot_balance SET remaining_g = produced_g - remaining_g WHERE lot_id = ANY($1)",
            lots,
        )


def _http_row(
    name: str,
    sql_us: Mapping[int, float],
    static_us: Mapping[int, float],
    ours_us: Mapping[int, float],
    *,
    large: bool,
) -> Row:
    sql, static, own = (list(best.values()) for best in (sql_us, static_us, ours_us))
    if large:
        return Row(
            name,
            floor=median(sql) / 1000,
            ours=median(own) / 1000,
            target=Target(1.8, at_least=False),
            unit="ms p50",
            note=f"{len(own)} lots; the floor is the SQL alone",
        )
    return Row(
        name,
        floor=(percentile(sql, 99) + 2 * percentile(static, 99)) / 1000,
        ours=percentile(own, 99) / 1000,
        target=Target(1.0, at_least=False),
        unit="ms p99",
        note=f"{len(own)} lots; the floor is the SQL and two static requests "
        f"({percentile(static, 99) / 1000:.2f} ms each); ours p50 {median(own) / 1000:.2f} ms",
    )


async def public_ids(bench: Bench, keys: Sequence[int]) -> dict[int, str]:
    """Answer what lots are called over HTTP."""
    async with bench.connection() as connection:
        rows = await connection.fetch("SELECT id, public_id FROM lot WHERE id = ANY($1)", keys)
    return {row["id"]: str(row["public_id"]) for row in rows}


async def _check_bodies(
    bench: Bench, asked: Sequence[tuple[int, Direction]], requests: Sequence[bytes]
) -> list[float]:
    """Ask everything once and compare what comes over the wire with the oracle.

    Returns:
        What each of these first answers took, in microseconds.
    """
    oracle = bench.book.oracle
    answers = await wire.send(
        await bench.server("ours"), requests, connections=1, seconds_max=120, keep=True
    )
    _must_succeed(answers)
    for place, body in answers.bodies.items():
        key, direction = asked[place]
        said = orjson.loads(body)
        lots = oracle.back(key) if direction is Direction.BACK else oracle.forward(key)
        edges = {
            (stage.lot_of(edge["src"]), stage.lot_of(edge["dst"]), edge["mass_g"])
            for edge in said["edges"]
        }
        nodes = {stage.lot_of(node["lot"]) for node in said["nodes"]}
        if nodes != lots or edges != oracle.edges_among(lots):
            message = f"{direction} of {key} over HTTP: lots or edges differ"
            raise WrongAnswerError(message)
    return [float(taken) for _, taken in answers.taken_us]


# --- growth ---------------------------------------------------------------------------------------


async def growth(bench: Bench) -> list[Row]:
    """Ask a small and a large graph for the same answers."""
    fewer = SMALL_GRAPH if bench.edges > SMALL_GRAPH else bench.edges // 10
    small = await bench.stage.book(fewer, SEED)
    async with ours.opened(small) as layer:
        rows = [await _growth(bench, layer, direction) for direction in Direction]
    return [*rows, await _hub_growth(bench)]


async def _growth(bench: Bench, layer: ours.Ours, direction: Direction) -> Row:
    small, large = layer.book.oracle, bench.book.oracle
    lots = small.leaves() if direction is Direction.BACK else small.sources()
    keys = bench.drawn(small.in_ordinary_cells(lots), bench.effort.keys)
    pairs = [(key, large.named(int(small.cell[key]), int(small.place[key]))) for key in keys]
    reach = "back" if direction is Direction.BACK else "forward"
    for key, twin in pairs:
        sizes = len(getattr(small, reach)(key)), len(getattr(large, reach)(twin))
        found = (await layer.trace(key, direction))[0], (await bench.ours.trace(twin, direction))[0]
        if sizes != (len(found[0].nodes), len(found[1].nodes)) or sizes[0] != sizes[1]:
            message = f"{direction}: cells differ between graphs, or answers do"
            raise WrongAnswerError(message)
    small_us: dict[int, float] = {}
    large_us: dict[int, float] = {}
    for _ in range(bench.effort.rounds):
        for key, twin in bench.chance.sample(pairs, len(pairs)):
            turns = [(layer, key, small_us), (bench.ours, twin, large_us)]
            bench.chance.shuffle(turns)
            for whose, lot, best in turns:
                await time_traces(whose, direction, [lot], best)
    points: list[dict[str, Any]] = [
        {
            "edges": book.oracle.edges,
            "direction": str(direction),
            "p50_ms": median(list(best.values())) / 1000,
            "p99_ms": percentile(list(best.values()), 99) / 1000,
        }
        for book, best in ((layer.book, small_us), (bench.book, large_us))
    ]
    return Row(
        f"growth {direction}",
        floor=points[0]["p50_ms"],
        ours=points[1]["p50_ms"],
        target=Target(1.5 if direction is Direction.BACK else 2.3, at_least=False),
        unit="ms p50",
        note=f"equal answers in graphs of {small.edges:,} and {large.edges:,} edges",
        points=points,
    )


async def _hub_growth(bench: Bench) -> Row:
    oracle = bench.book.oracle
    hub = oracle.hubs()[-1]
    sources = bench.drawn(oracle.in_ordinary_cells(oracle.sources()), 1_000)
    sizes = {key: len(oracle.forward(key)) for key in sources}
    usual = sorted(sizes, key=lambda key: abs(sizes[key] - LARGE_LOTS_MIN))[:10]
    sizes[hub] = len(oracle.forward(hub))
    best_us: dict[int, float] = {}
    for _ in range(bench.effort.rounds):
        for key in bench.chance.sample([*usual, hub], len(usual) + 1):
            began = time.perf_counter()
            graph, _ = await bench.ours.trace(key, Direction.FORWARD)
            keep_best(best_us, key, (time.perf_counter() - began) * 1e6)
            if len(graph.nodes) != sizes[key]:
                message = f"forward of {key}: {len(graph.nodes)} lots, and not {sizes[key]}"
                raise WrongAnswerError(message)
    return Row(
        "growth of a hub",
        floor=median([best_us[key] / sizes[key] for key in usual]),
        ours=best_us[hub] / sizes[hub],
        target=Target(1.5, at_least=False),
        unit="us a lot",
        note=f"{sizes[hub]:,} descendants against about {LARGE_LOTS_MIN}",
        points=[
            {"lots": sizes[key], "ms": best_us[key] / 1000, "edges": oracle.edges}
            for key in [*usual, hub]
        ],
    )


# --- recall ---------------------------------------------------------------------------------------


async def hub(bench: Bench) -> list[Row]:
    """Find everything that a recall reaches, and stop its sale."""
    oracle = bench.book.oracle
    sizes = {lot: len(oracle.forward(lot)) for lot in oracle.hubs()}
    lot = min(sizes, key=lambda key: abs(sizes[key] - RECALLED_LOTS))
    if set(await bench.ours.scope(lot)) != oracle.forward(lot):
        message = "the scope of the recall differs"
        raise WrongAnswerError(message)
    note = f"{sizes[lot] - 1:,} descendants, {oracle.edges:,} edges"

    async def own_scope(_round: int) -> float:
        began = time.perf_counter()
        await bench.ours.scope(lot)
        return (time.perf_counter() - began) * 1000

    async def own_stop(_round: int) -> float:
        began = time.perf_counter()
        stopped = await bench.ours.stop_sale(lot)
        took_ms = (time.perf_counter() - began) * 1000
        held = await _release(bench)
        if stopped != sizes[lot] or held != sizes[lot]:
            message = f"{held} lots were held, and not {sizes[lot]}"
            raise WrongAnswerError(message)
        return took_ms

    rows = []
    for name, statement, own, limit in (
        ("recall, scope", floors.scope(str(lot)), own_scope, 0.8),
        ("recall, stop-sale on all", floors.stop_sale(str(lot)), own_stop, 1.3),
    ):
        found = await bench.interleave({"floor": _once(bench, statement), "ours": own})
        rows.append(
            Row(
                name,
                floor=min(found["floor"]),
                ours=min(found["ours"]),
                target=Target(limit, at_least=False),
                unit="ms",
                note=f"{note}; best of {bench.effort.rounds}",
            )
        )
    return rows


def _once(bench: Bench, statement: str) -> Callable[[int], Awaitable[float]]:
    async def run(_round: int) -> float:
        outcome = await floors.run(
            bench.book.url, [f"{statement};"], transactions=1, latencies=True
        )
        await _release(bench)
        return min(outcome.latencies_us[0]) / 1000

    return run


async def _release(bench: Bench) -> int:
    """Take every hold off again, and the dead rows too; answer how many lots of ours were held."""
    async with bench.connection() as connection:
        tag = await connection.execute("UPDATE lot_balance SET holds = 0 WHERE holds > 0")
        await connection.execute("UPDATE floor.balance SET holds = 0 WHERE holds > 0")
        for table in ("lot_balance", "floor.balance"):
            await connection.execute(f"VACUUM {table}")
    return int(tag.split()[-1])
