"""Show the main job on this machine: `python3 scripts/run.py`.

Installs what is missing, starts a PostgreSQL of its own, loads made-up data once, lets a ticket
travel from three farms to a school, and serves on http://127.0.0.1:8000. The second start takes
seconds. `YPT_DATABASE_URL` replaces the PostgreSQL.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import bootstrap

PORT_MAX = 65_535


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options; `--help` works before anything is installed."""
    parser = argparse.ArgumentParser(
        description="Run the demonstration of 一票通 (One Ticket), then serve it.",
        epilog="Settings: YPT_DATABASE_URL (PostgreSQL 15 or newer) replaces the embedded server.",
    )
    parser.add_argument("--once", action="store_true", help="leave after the main job")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on standard output"
    )
    parser.add_argument("--fresh", action="store_true", help="start from an empty database")
    parser.add_argument("--port", type=_port, default=8000, help="where to serve (8000)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        help="where the data stays (as root /var/lib/yipiaotong, else under ~/.local/share)",
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Prepare the environment and hand over to `ypt demo`, which takes this process's place."""
    options = parse(sys.argv[1:])
    # Before the change of directory: a relative path means what it says to the user.
    data_dir = options.data_dir.expanduser().resolve() if options.data_dir else None
    python = bootstrap.prepare()
    bootstrap.build_screens(python)
    command = [str(python), "-m", "app.cli", "demo", "--port", str(options.port)]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    command += [f"--{flag}" for flag in ("once", "json", "fresh") if getattr(options, flag)]
    os.chdir(bootstrap.ROOT)
    os.execve(command[0], command, bootstrap.environment())


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= PORT_MAX:
        message = f"a port is a number from 1 to {PORT_MAX}"
        raise argparse.ArgumentTypeError(message)
    return port


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
