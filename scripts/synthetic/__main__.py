"""Runs the trial inside the environment that `synthetic_year.py` has prepared."""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import synthetic_year as command
from pydantic import SecretStr

from app.core import embedded
from app.core.db import Database
from app.core.settings import Settings
from app.install import install
from app.supervision import service
from app.supervision.queries import MEASURES
from synthetic import abuses, honest
from synthetic.load import load
from synthetic.world import END, Case, World

SMOKE_TICKETS = 5_000
HEAD = (
    *("rule", "cases", "found", "recall", "by any", "plain", "found", "warnings", "true"),
    *("precision", "false / 10,000"),
)
WIDTHS = "{:<24}{:>6}{:>7}{:>8}{:>8}{:>7}{:>7}{:>10}{:>6}{:>11}{:>16}"


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning, as far as the trial asks."""

    rule: str
    subject: str


def make(tickets: int, seed: int) -> World:
    """Make a year."""
    world = World(random.Random(seed))  # noqa: S311 (a made-up year, which must be repeatable)
    trade = honest.settle(world, tickets)
    honest.sprouts(trade, max(tickets // 1000, 10))
    honest.year(trade, tickets)
    abuses.plant(trade)
    return world


async def look(settings: Settings) -> tuple[list[Warned], dict[str, float]]:
    """Run every rule over the year, batch by batch, as the worker does; and time each."""
    database = Database(settings)
    seconds: dict[str, float] = {}
    try:
        for code in MEASURES:
            began = time.perf_counter()
            more = True
            while more:
                async with database.transaction() as session:
                    more = (await service.run(session, code, now=END)).more
            seconds[code] = time.perf_counter() - began
        async with database.reading() as session:
            rows = await service.listed(
                session, _operator(), state=None, rule=None, before=None, most=10**9, now=END
            )
    finally:
        await database.close()
    return [Warned(row.rule, _subject(row.subject, row.period)) for row in rows], seconds


def _operator() -> Any:
    from app.commands.console import AT_THE_TERMINAL

    return AT_THE_TERMINAL


def _subject(subject: str, period: str) -> str:
    """Name a subject as the generator does: tests fail in a week, a plot in any season."""
    return f"{subject}:{period}" if subject.startswith("tests:") else subject


def judge(world: World, warnings: list[Warned], tickets: int) -> dict[str, Any]:
    """Compare what was found with what was planted."""
    planted = {subject for case in world.cases for subject in case.subjects}
    found_by: defaultdict[str, set[str]] = defaultdict(set)
    for warning in warnings:
        found_by[warning.rule].add(warning.subject)
    everywhere = {warning.subject for warning in warnings}
    rows = []
    for code in MEASURES:
        met = [_met(case, found_by[code], everywhere) for case in world.cases if case.rule == code]
        raised = [w for w in warnings if w.rule == code]
        rows.append(_row(code, met, sum(w.subject in planted for w in raised), raised, tickets))
    every = [_met(case, found_by[case.rule], everywhere) for case in world.cases]
    true = sum(w.subject in planted for w in warnings)
    return {
        "tickets": tickets,
        "rules": rows,
        "total": _row("all", every, true, warnings, tickets),
        "missed": [
            {
                "rule": met.case.rule,
                "strength": met.case.strength,
                "plain": met.case.plain,
                "by_any": met.by_any,
            }
            for met in every
            if not met.by_own
        ],
    }


@dataclass(frozen=True, slots=True)
class Met:
    """Whether a case was found, by the rule that is meant to find it and by any."""

    case: Case
    by_own: bool
    by_any: bool


def _met(case: Case, by_own: set[str], by_any: set[str]) -> Met:
    return Met(case, bool(case.subjects & by_own), bool(case.subjects & by_any))


def _row(
    rule: str, cases: list[Met], true: int, warnings: list[Warned], tickets: int
) -> dict[str, Any]:
    found = sum(met.by_own for met in cases)
    return {
        "rule": rule,
        "cases": len(cases),
        "found": found,
        "recall": round(found / len(cases), 3) if cases else None,
        "found_by_any": sum(met.by_any for met in cases),
        "plain": sum(met.case.plain for met in cases),
        "plain_found": sum(met.case.plain and met.by_any for met in cases),
        "warnings": len(warnings),
        "true": true,
        "precision": round(true / len(warnings), 3) if warnings else None,
        "false_per_10000": round((len(warnings) - true) * 10_000 / tickets, 2),
    }


def tell(result: dict[str, Any]) -> None:
    """Print the figures as a table."""
    print(WIDTHS.format(*HEAD))
    for row in [*result["rules"], result["total"]]:
        shares = {
            name: "-" if row[name] is None else f"{row[name]:.0%}"
            for name in ("recall", "precision")
        }
        print(WIDTHS.format(*(row | shares).values()))
    for missed in result["missed"]:
        notes = ("" if missed["plain"] else "as honest people do ") + (
            "(found by another rule)" if missed["by_any"] else ""
        )
        print(f"  missed: {missed['rule']:<24}{missed['strength']:<32}{notes}")
    timed = ", ".join(f"{name} {value:.1f} s" for name, value in result["seconds"].items())
    print(f"{result['tickets']:,} honest tickets; {timed}")


async def _load(url: str, world: World) -> None:
    connection = await asyncpg.connect(url)
    try:
        await load(connection, world)
    finally:
        await connection.close()


def trial(tickets: int, seed: int, directory: Path) -> dict[str, Any]:
    """Make, load and watch a year; answer the figures."""
    seconds: dict[str, float] = {}
    began = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal began
        seconds[name] = round(time.perf_counter() - began, 1)
        began = time.perf_counter()

    world = make(tickets, seed)
    made = sum(not ticket.planted for ticket in world.tickets)
    lap("made")
    server = embedded.start(directory, durable=False)
    try:
        settings = Settings(
            database_url=server.url("postgres"),
            secret_key=SecretStr("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            log_level="ERROR",
        )
        install(settings.database_url)
        lap("installed")
        asyncio.run(_load(server.url("postgres"), world))
        lap("loaded")
        warnings, each = asyncio.run(look(settings))
        lap("watched")
    finally:
        server.stop()
    slowest = {name: round(value, 1) for name, value in each.items()}
    return judge(world, warnings, made) | {"seed": seed, "seconds": seconds, "each_s": slowest}


def main() -> None:
    """Do what the options say."""
    chosen = command.parse(sys.argv[1:])
    tickets = SMOKE_TICKETS if chosen.smoke else chosen.tickets
    with tempfile.TemporaryDirectory(prefix="ypt-year-") as directory:
        result = trial(tickets, chosen.seed, Path(directory) / "server")
    if chosen.json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        tell(result)


if __name__ == "__main__":
    main()
