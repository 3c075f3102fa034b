"""Measure the main job beside its limits and its peers: `python3 scripts/bench.py`.

    python3 scripts/bench.py                     every row on a graph of 100,000 edges
    python3 scripts/bench.py trace hub           some rows
    python3 scripts/bench.py --edges 1e7         a larger graph; made once, then reused
    python3 scripts/bench.py --smoke             a minute: are the answers right?
    python3 scripts/bench.py --json --plot DIR   for machines, and pictures of growth

Floors (hand-written SQL, bare frameworks) are measured in the same run, in turns with ours. The
exit code says whether the answers were right; a target that was missed is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import bootstrap

EDGES_LEAST = 10_000
SCRIPTS = Path(__file__).resolve().parent


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options; `--help` works before anything is installed."""
    parser = argparse.ArgumentParser(
        description="Measure the main job of 一票通 (One Ticket) beside its limits and its peers.",
        epilog="A name that does not exist prints all names.",
    )
    parser.add_argument("names", nargs="*", metavar="ROW", help="rows to measure (all)")
    parser.add_argument("--edges", type=_edges, default=1e5, help="size of the graph (1e5)")
    parser.add_argument("--rounds", type=_count, help="how often floor and ours take turns (5)")
    parser.add_argument("--smoke", action="store_true", help="one short round of everything")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plot", type=_path, metavar="DIR", help="draw the growth into DIR")
    parser.add_argument("--data-dir", type=_path, help="where the database stays")
    return parser.parse_args(arguments)


def draw(directory: Path, found: dict[str, object]) -> None:
    """Draw the growth of what was measured, in the peers' environment, which can draw."""
    python = bootstrap.prepare_peers()
    command = [str(python), str(SCRIPTS / "benchmarks" / "plot.py"), str(directory)]
    subprocess.run(command, check=True, input=json.dumps(found), text=True, env=os.environ)


def main() -> None:
    """Prepare the environment and hand over to the bench, which takes this process's place."""
    parse(sys.argv[1:])
    python = bootstrap.prepare()
    variables = bootstrap.environment() | {"PYTHONPATH": str(SCRIPTS)}
    command = [str(python), "-m", "benchmarks", *sys.argv[1:]]
    os.execve(command[0], command, variables)


def _path(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _edges(text: str) -> int:
    edges = int(float(text))
    if edges < EDGES_LEAST:
        message = f"a graph has at least {EDGES_LEAST} edges"
        raise argparse.ArgumentTypeError(message)
    return edges


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        message = "at least one round"
        raise argparse.ArgumentTypeError(message)
    return count


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
