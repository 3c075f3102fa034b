"""Plays the main job from beginning to end, and leaves the server running for the audience."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from app.core.clock import system_clock
from app.core.errors import Text
from app.core.settings import Settings
from app.demo import report, stage
from app.demo.main_job import Body, MainJob, MainJobError, Outcome, timed
from app.demo.stage import HOST, StageError

__all__ = ["MainJobError", "Shown", "StageError", "played"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A main job that was played.

    Attributes:
        value: All of it, for programs.
        settings: Of the server that runs.
    """

    value: Body
    settings: Settings
    outcome: Outcome

    def invite(self, console: Console) -> None:
        """Tell how to look around."""
        report.tell_accounts(console, self.outcome, self.settings.public_url)


@contextlib.contextmanager
def played(console: Console, port: int, data_dir: Path | None, *, fresh: bool) -> Iterator[Shown]:
    """Play it, tell it, and keep the server for the while.

    Raises:
        StageError: it cannot begin.
        MainJobError: it cannot go on.
    """
    with contextlib.ExitStack() as stack:
        taken = stack.enter_context(contextlib.closing(stage.listen(port)))
        directory = stage.open_directory(data_dir)
        status = stack.enter_context(console.status("…"))
        seconds: dict[str, float] = {}

        def say(title: Text) -> None:
            # A terminal shows the latest step only; a file keeps them all.
            line = f"{title.zh} · {title.en}"
            status.update(line)
            if not console.is_terminal:
                console.print(f"  {line}")

        say(Text("启动数据库", "Starting the database"))
        with timed(seconds, "database"):
            url = stack.enter_context(stage.database(directory, fresh=fresh))
            settings = stage.settings(directory, url, port)
            asyncio.run(stage.check_is_ours(settings, wipe=fresh))
        say(Text("建表，载入区划、品种、式样", "Schema, divisions, products, forms"))
        with timed(seconds, "install"):
            stage.prepare(settings)
            asyncio.run(stage.open_books(settings, system_clock, stage.root_key(directory)))
        say(Text("启动服务", "Starting the server"))
        with timed(seconds, "server"):
            stack.enter_context(stage.serving(settings, taken))
        with MainJob(f"http://{HOST}:{port}", directory.codes, say) as job:
            outcome = job.play()
        say(Text("核对账目", "Checking the books"))
        with timed(outcome.seconds, "audit"):
            books = asyncio.run(stage.check_books(settings))
        outcome.seconds = seconds | outcome.seconds
        status.stop()
        report.tell(console, outcome, books)
        yield Shown(report.to_json(outcome, books), settings, outcome)
