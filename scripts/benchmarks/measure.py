"""Rounds, percentiles and rows: how a figure comes about."""

from __future__ import annotations

import os
import resource
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

NOT_BUILT = "not built"


class WrongAnswerError(Exception):
    """Something answered otherwise than the oracle; the row fails, whatever its speed."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio, or a figure that has no floor, shall be.

    Attributes:
        limit: The ratio or figure.
        at_least: Whether more is better.
        unit: Of a figure that has no floor.
    """

    limit: float
    at_least: bool
    unit: str = "x"

    def met_by(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        unit = self.unit if self.unit == "x" else f" {self.unit}"
        return f"{'>=' if self.at_least else '<='} {self.limit:g}{unit}"


@dataclass(slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: What was measured.
        floor: The floor's figure in `unit`; None where a row has no floor.
        ours: Ours in `unit`; None where it is not built, or failed.
        target: What the ratio, or without a floor the figure, shall be; None: it is only printed.
        unit: Of both figures.
        note: What else there is to say, in one line.
        wrong: What was wrong with an answer, if something was.
        failed: Why there is no figure, if something is missing or broke.
        load: The machine's load average when the row began and ended.
    """

    name: str
    floor: float | None = None
    ours: float | None = None
    target: Target | None = None
    unit: str = ""
    note: str = ""
    wrong: str | None = None
    failed: str | None = None
    load: tuple[float, float] = (0.0, 0.0)
    points: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Ours in floors."""
        if self.floor is None or self.ours is None or not self.floor:
            return None
        return self.ours / self.floor

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None where there is nothing to judge."""
        if self.wrong is not None:
            return False
        if self.failed is not None:
            return None if self.failed.startswith(NOT_BUILT) else False
        value = self.ours if self.floor is None else self.ratio
        if self.target is None or value is None:
            return None
        return self.target.met_by(value)

    def as_json(self) -> dict[str, Any]:
        """Write the row as `--json` prints it."""
        return {
            "name": self.name,
            "floor": self.floor,
            "ours": self.failed if self.ours is None else self.ours,
            "ratio": self.ratio,
            "target": None if self.target is None else str(self.target),
            "ok": self.ok,
        }


def not_built(name: str, target: Target | None, why: str = "") -> Row:
    """Answer the row of something that does not exist yet."""
    return Row(name, target=target, failed=f"{NOT_BUILT}{': ' if why else ''}{why}")


def percentile(values: Sequence[float], rank: float) -> float:
    """Answer the smallest value that `rank` per cent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * rank // 100), 1).__int__() - 1]


async def interleave(
    methods: Mapping[str, Callable[[int], Awaitable[float]]],
    *,
    rounds: int,
    chance: Random,
    warm: bool = False,
) -> dict[str, list[float]]:
    """Run every method once a round, in an order shuffled anew each time.

    A fixed order would favour whoever comes after one that has touched the same rows.

    Args:
        methods: Each is told the number of the round and answers its figure.
        rounds: How many count.
        chance: Shuffles.
        warm: Whether a round that does not count comes first: connections are opened and
            statements prepared in it.
    """
    if warm:
        for method in methods.values():
            await method(rounds)
    found: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(rounds):
        order = list(methods)
        chance.shuffle(order)
        for name in order:
            found[name].append(await methods[name](number))
    return found


def median(values: Sequence[float]) -> float:
    """Answer the middle one of the rounds."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Write the least and the greatest of the rounds."""
    return f"{min(values):.4g}-{max(values):.4g}"


def load_now() -> float:
    """Answer how many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def cpu_s(server: int) -> float:
    """Answer the CPU time in seconds that we, what we ran, and a database server have had by now.

    Args:
        server: The process that the server's other processes are children of.
    """
    spent = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    ticks = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Behind the name, which may hold anything: the state, and the parent.
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(place.parent.name) == server:
            ticks += sum(map(int, fields[11:15]))  # with its children that have ended
        elif int(fields[1]) == server:
            ticks += sum(map(int, fields[11:13]))
    return spent + ticks / os.sysconf("SC_CLK_TCK")
