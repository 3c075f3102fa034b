"""Runs the bench inside the environment that `bench.py` has prepared."""

import argparse
import json
import math
import os
import platform
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bench as command
import uvloop

from benchmarks import bench, rows, stage
from benchmarks.bench import FULL, SMOKE, Bench
from benchmarks.measure import Row, load_now
from benchmarks.stage import Stage

VERSIONS = ("asyncpg", "sqlalchemy", "fastapi", "starlette", "uvicorn", "uvloop", "pydantic")
SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "jit",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_level",
)
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "jit": "off"}


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    digits = max(3 - math.floor(math.log10(abs(value))), 0) if value else 0
    return f"{value:,.{min(digits, 3)}f}" if abs(value) < 1_000 else f"{value:,.0f}"


def line(row: Row) -> str:
    """Write a row for people."""
    verdict = {True: "ok", False: "MISSED", None: ""}[row.ok]
    if row.wrong is not None:
        verdict = "WRONG"
    own = row.failed if row.ours is None else f"{_figure(row.ours)} {row.unit}"
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}x"
    text = (
        f"{row.name:<34}{_figure(row.floor):>12} {own or '':>24} {ratio:>8}"
        f"  {row.target or '-'!s:<14}{verdict:<8}load {row.load[0]:.1f}-{row.load[1]:.1f}"
    )
    return text + (f"\n    {row.note}" if row.note else "")


HEAD = f"{'row':<34}{'floor':>12} {'ours':>24} {'ratio':>8}  {'target':<14}{'verdict':<8}"


async def _settings(measured: Bench) -> dict[str, str]:
    async with measured.connection() as connection:
        found = await connection.fetch(
            "SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name",
            list(SETTINGS),
        )
    return {row["name"]: row["value"] for row in found}


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": load_now(),
        **{name: version(name) for name in VERSIONS},
    }


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for, and answer all that is to be printed."""
    edges = int(options.edges)
    effort = SMOKE if options.smoke else FULL
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)

    def say(text: str) -> None:
        print(text, file=sys.stderr if options.json else sys.stdout, flush=True)

    directory = options.data_dir or stage.default_directory()
    say(f"bench: {edges:,} edges, {effort.rounds} rounds, data in {directory}")
    scene = Stage(directory)
    try:
        async with bench.opened(scene, edges=edges, effort=effort, smoke=options.smoke) as measured:
            settings = await _settings(measured)
            assert settings.items() >= DURABLE.items(), f"the server is not durable: {settings}"
            machine = _machine()
            oracle = measured.book.oracle
            for facts in (machine, settings):
                say("  ".join(f"{name} {value}" for name, value in facts.items()))
            say(f"{oracle.lots:,} lots, {oracle.edges:,} edges\n\n{HEAD}")
            names = options.names or list(rows.SUBJECTS)
            found = await rows.measure(measured, names, lambda row: say(line(row)))
    finally:
        scene.close()
    return {
        "rows": [row.as_json() for row in found],
        "units": {row.name: row.unit for row in found},
        "notes": {row.name: row.note for row in found},
        "wrong": {row.name: row.wrong for row in found if row.wrong is not None},
        "loads": {row.name: row.load for row in found},
        "points": {row.name: row.points for row in found if row.points},
        "graph": {"lots": oracle.lots, "edges": oracle.edges, "seed": bench.SEED},
        "effort": {"rounds": effort.rounds, "slice_s": effort.slice_s, "keys": effort.keys},
        "machine": machine,
        "settings": settings,
    }


def main() -> int:
    """Run; 1 when an answer was wrong or something broke, whatever the speed."""
    options = command.parse(sys.argv[1:])
    unknown = [name for name in options.names if name not in rows.SUBJECTS]
    if unknown:
        known = "\n".join(f"  {name:<14}{rows.SUBJECTS[name].about}" for name in rows.SUBJECTS)
        print(f"no row is called {', '.join(unknown)}; there are\n{known}", file=sys.stderr)
        return 2
    found = uvloop.run(run(options))
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    if options.plot:
        command.draw(Path(options.plot), found)
    broken = any(str(row["ours"]).startswith(("failed", "wrong")) for row in found["rows"])
    return int(bool(found["wrong"]) or broken)


if __name__ == "__main__":
    sys.exit(main())
