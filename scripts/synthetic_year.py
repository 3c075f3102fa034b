"""Try the early warnings on a year of made-up trade: `python3 scripts/synthetic_year.py`.

    python3 scripts/synthetic_year.py                    100,000 honest tickets, 200 planted cases
    python3 scripts/synthetic_year.py --tickets 20000    a smaller year
    python3 scripts/synthetic_year.py --smoke --json     half a minute, for machines

The same jobs run over it as in production. Printed are recall, precision and false alerts per
10,000 honest tickets, rule by rule. The year is made up: it shows what the rules can tell apart,
and not how much abuse there is in Nantong.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import bootstrap

SCRIPTS = Path(__file__).resolve().parent


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options; `--help` works before anything is installed."""
    parser = argparse.ArgumentParser(
        description="Try the early warnings of 一票通 (One Ticket) on a year of made-up trade."
    )
    parser.add_argument("--tickets", type=int, default=100_000, help="honest tickets (100000)")
    parser.add_argument("--seed", type=int, default=1, help="of the year (1)")
    parser.add_argument("--smoke", action="store_true", help="5,000 tickets, 200 cases")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


def main() -> None:
    """Prepare the environment and hand over to the trial, which takes this process's place."""
    parse(sys.argv[1:])
    python = bootstrap.prepare()
    variables = bootstrap.environment() | {"PYTHONPATH": str(SCRIPTS)}
    os.execve(python, [str(python), "-m", "synthetic", *sys.argv[1:]], variables)


if __name__ == "__main__":
    main()
