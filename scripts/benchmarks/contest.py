"""Rows about peers: other engines with the same graph, asked the same questions."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bootstrap

from app.trace.rules import Direction
from benchmarks import floors, ours, wire
from benchmarks.bench import SEED, Bench, keep_best
from benchmarks.graph import Oracle
from benchmarks.measure import Row, Target, WrongAnswerError, median, not_built, percentile
from benchmarks.reading import public_ids
from benchmarks.stage import graph_fingerprint

SCRIPT = Path(__file__).with_name("peers.py")
_LOAD_S_MAX = 900
_ANSWER_S_MAX = 120
_LINE_BYTES_MAX = 1 << 26
_GRAPH_ENGINES = {"kuzu": 4.0, "ladybug": 1.5}
_TRYTON_KEYS = 10
_TRYTON_EDGES_MAX = 200_000
_TRYTON_TARGET = Target(100, at_least=True)


class PeerError(Exception):
    """A peer did not start, or broke."""


class Peer:
    """Another engine, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, said: Path) -> None:
        """Take a process that answers line by line, and the file with what it complains of."""
        self._process = process
        self._said = said

    async def answer(self, question: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Ask, and wait for the answer.

        Raises:
            PeerError: it broke.
        """
        assert self._process.stdin is not None, "started with a pipe"
        if question:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
        assert self._process.stdout is not None, "started with a pipe"
        async with asyncio.timeout(limit_s):
            line = await self._process.stdout.readline()
        if not line:
            complaint = await asyncio.to_thread(self._said.read_text)
            message = f"the peer ended: {complaint.strip().splitlines()[-1:]}"
            raise PeerError(message)
        found: dict[str, Any] = json.loads(line)
        return found

    async def trace(self, direction: Direction, lot: int) -> tuple[float, set[int]]:
        """Trace a lot; answer microseconds and lots."""
        said = await self.answer({"direction": direction, "lot": lot}, _ANSWER_S_MAX)
        return said["us"], set(said["lots"])


@asynccontextmanager
async def _peer(*arguments: str, environment: Mapping[str, str]) -> AsyncIterator[Peer]:
    python = await asyncio.to_thread(bootstrap.prepare_peers)
    said = Path(arguments[-1]) / f"{arguments[0]}.log"
    with said.open("w") as complaints:
        process = await asyncio.create_subprocess_exec(
            str(python),
            str(SCRIPT),
            *arguments,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            limit=_LINE_BYTES_MAX,
        )
    assert process.stdin is not None, "started with a pipe"
    try:
        peer = Peer(process, said)
        await peer.answer({}, _LOAD_S_MAX)
        yield peer
    finally:
        process.stdin.close()
        await process.wait()


def _export(oracle: Oracle, directory: Path) -> None:
    """Write the graph where the peers read it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lots.csv").open("w") as file:
        file.writelines(f"{lot}\n" for lot in range(1, oracle.lots + 1))
    rows = zip(oracle.src.tolist(), oracle.dst.tolist(), oracle.grams.tolist(), strict=True)
    with (directory / "edges.csv").open("w") as file:
        file.writelines(f"{src},{dst},{grams}\n" for src, dst, grams in rows)


async def peers(bench: Bench) -> list[Row]:
    """Trace in other engines; each is asked what we are asked, and checked first."""
    directory = bench.stage.directory / f"peers-{bench.edges}-{SEED}"
    await asyncio.to_thread(_export, bench.book.oracle, directory)
    rows: list[Row] = []
    for name, limit in _GRAPH_ENGINES.items():
        target = Target(limit, at_least=True)
        try:
            async with _peer(name, str(directory), environment=os.environ) as peer:
                rows += [await _against(bench, peer, name, way, target) for way in Direction]
        except (PeerError, TimeoutError, SystemExit) as fault:
            rows.append(not_built(f"{name}, data layer", target, f"{name} does not run: {fault}"))
    return [*rows, *await _tryton(bench, directory)]


async def _against(
    bench: Bench, peer: Peer, name: str, direction: Direction, target: Target
) -> Row:
    oracle = bench.book.oracle
    back = direction is Direction.BACK
    lots = oracle.in_ordinary_cells(oracle.leaves() if back else oracle.sources())
    keys = bench.drawn(lots, bench.effort.keys)
    await _check(peer, direction, keys, oracle)
    for key in keys:
        found = {*(await bench.ours.walk(key, direction)).nodes}
        if found != (oracle.back(key) if back else oracle.forward(key)):
            message = f"{direction} of {key}: {len(found)} lots"
            raise WrongAnswerError(message)
    # Which lots are reached is what the peer answers; shares it would have to be taught.
    asking = {"ours": bench.ours.walk, "shared": bench.ours.trace}
    best_us: dict[str, dict[int, float]] = {name: {} for name in ("peer", *asking)}
    for _ in range(bench.effort.rounds):
        for key in bench.chance.sample(keys, len(keys)):
            for turn in bench.chance.sample([*best_us], len(best_us)):
                if turn == "peer":
                    took_us = (await peer.trace(direction, key))[0]
                else:
                    began = time.perf_counter()
                    await asking[turn](key, direction)
                    took_us = (time.perf_counter() - began) * 1e6
                keep_best(best_us[turn], key, took_us)
    theirs, own, shared = (list(best.values()) for best in best_us.values())
    return Row(
        f"{name} {direction}, data layer",
        # Speed, so that more is better: how many answers of ours fit into one of theirs.
        floor=1000 / median(theirs) * 1000,
        ours=1000 / median(own) * 1000,
        target=target,
        unit="traces/s",
        note=f"p50 {median(theirs) / 1000:.2f} and {median(own) / 1000:.2f} ms, p99 "
        f"{percentile(theirs, 99) / 1000:.2f} and {percentile(own, 99) / 1000:.2f} ms; it answers "
        f"ids, we the lots and edges with grams; with shares {median(shared) / 1000:.2f} ms",
    )


async def _check(peer: Peer, direction: Direction, keys: Sequence[int], oracle: Oracle) -> None:
    for key in keys:
        right = oracle.back(key) if direction is Direction.BACK else oracle.forward(key)
        if (await peer.trace(direction, key))[1] != right:
            message = f"the peer's {direction} of {key} differs from ours"
            raise WrongAnswerError(message)


async def _tryton(bench: Bench, directory: Path) -> list[Row]:
    name = "Tryton, over HTTP"
    if bench.smoke:
        return [not_built(name, _TRYTON_TARGET, "setting Tryton up takes minutes; not in --smoke")]
    if bench.edges > _TRYTON_EDGES_MAX:
        return [not_built(name, _TRYTON_TARGET, "compared on the graph of 100,000 edges")]
    database = f"tryton_{bench.edges}_{SEED}_{graph_fingerprint()}"
    environment = floors.environment(bench.book.url)
    try:
        async with _peer("tryton", database, str(directory), environment=environment) as peer:
            await peer.answer({"do": "plain"}, _ANSWER_S_MAX)
            rows = [await _against_http(bench, peer, way, "Tryton") for way in Direction]
            await peer.answer({"do": "index"}, _ANSWER_S_MAX)
            for way in Direction:
                row = await _against_http(bench, peer, way, "Tryton with an index")
                row.target = None
                rows.append(row)
            return rows
    except (PeerError, TimeoutError, SystemExit) as fault:
        return [not_built(name, _TRYTON_TARGET, f"Tryton does not run: {fault!r}")]


async def _against_http(bench: Bench, peer: Peer, direction: Direction, name: str) -> Row:
    oracle = bench.book.oracle
    back = direction is Direction.BACK
    lots = oracle.in_ordinary_cells(oracle.leaves() if back else oracle.sources())
    keys = bench.drawn(lots, _TRYTON_KEYS)
    await _check(peer, direction, keys, oracle)
    server = await bench.server("ours")
    headers = await ours.sign_in(server, "regulator")
    ids = await public_ids(bench, keys)
    requests = [
        wire.request("GET", f"/lots/{ids[key]}/trace?direction={direction}", headers)
        for key in keys
    ]
    peer_us: dict[int, float] = {}
    ours_us: dict[int, float] = {}
    for _ in range(2):
        for key in bench.chance.sample(keys, len(keys)):
            keep_best(peer_us, key, (await peer.trace(direction, key))[0])
        answers = await wire.send(
            server, requests, connections=1, seconds_max=60, places=[*range(len(keys))] * 3
        )
        for place, taken in answers.taken_us:
            keep_best(ours_us, keys[place], taken)
    theirs, own = median(list(peer_us.values())), median(list(ours_us.values()))
    return Row(
        f"{name} {direction}, over HTTP",
        floor=1e6 / theirs,
        ours=1e6 / own,
        target=_TRYTON_TARGET,
        unit="traces/s",
        note=f"p50 {theirs / 1000:.1f} ms in its process, {own / 1000:.2f} ms over our HTTP",
    )
