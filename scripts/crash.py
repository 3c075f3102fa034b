"""Kill the server and the database in the middle of everything: `python3 scripts/crash.py`.

    python3 scripts/crash.py                    a minute, nine kills
    python3 scripts/crash.py --seconds 600 --kills 60
    python3 scripts/crash.py --smoke            a few seconds, three kills
    python3 scripts/crash.py --json             for machines

A server and a PostgreSQL of its own, 32 clients that issue tickets and send again whatever was not
answered, and an import from a file. `kill -9` meets the server, PostgreSQL and the import in turn.
Afterwards every answer is compared with the books. The exit code says whether all is well.

`kill -9` is no power failure: that the disk keeps what it was told to is `fsync`'s part, which is
checked to be on.
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
    parser = argparse.ArgumentParser(description="Kill 一票通 (One Ticket) and look what is lost.")
    parser.add_argument("--seconds", type=_count, default=60, help="how long the storm lasts (60)")
    parser.add_argument("--kills", type=_count, default=9, help="how many kills (9)")
    parser.add_argument("--seed", type=int, default=1, help="of when and what (1)")
    parser.add_argument("--smoke", action="store_true", help="8 seconds, 3 kills")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.seconds, options.kills = 8, 3
    return options


def main() -> None:
    """Prepare the environment and hand over to the drill, which takes this process's place."""
    parse(sys.argv[1:])
    python = bootstrap.prepare()
    variables = bootstrap.environment() | {"PYTHONPATH": str(SCRIPTS)}
    command = [str(python), "-m", "drills.crash", *sys.argv[1:]]
    os.execve(command[0], command, variables)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        message = "at least one"
        raise argparse.ArgumentTypeError(message)
    return count


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
