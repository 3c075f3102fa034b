"""Runs `ypt` in this process, as somebody at a terminal would."""

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from app import cli
from app.core import logging


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON value and nothing else."""
        return json.loads(self.out)


def say(*arguments: str, env: dict[str, str] | None = None, typed: str = "") -> Said:
    """Run a command; what is no complaint but a fault of ours is raised."""
    done = CliRunner().invoke(cli.app, arguments, env=env or {}, input=typed)
    # The command's logger holds the runner's streams, which are closed now.
    logging.configure("INFO")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Said(done.exit_code, done.stdout, done.stderr)
