"""Commands for early warnings: look at what is new now, and list what is open."""

import asyncio
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from app.commands.console import AT_THE_TERMINAL, AsJson, answer, complaining, settings, table
from app.core.clock import system_clock
from app.core.db import Database
from app.core.errors import Text
from app.core.settings import Settings
from app.supervision import service
from app.supervision.queries import MEASURES
from app.supervision.rules import RuleCode, WarningState

app: Final = typer.Typer(
    help="Early warnings: look at what is new, list what was found.", no_args_is_help=True
)

_Rule = Annotated[RuleCode | None, typer.Option("--rule", help="One rule only.")]


@app.command()
def run(rule: _Rule = None, as_json: AsJson = False) -> None:
    """Look at everything that is new, by every rule, as the worker does every five minutes."""
    with complaining(as_json):
        chosen = settings()
        codes = list(MEASURES) if rule is None else [rule]
        found = asyncio.run(_run(chosen, codes))
        answer(found, as_json, lambda console: _tell_runs(console, found))


async def _run(chosen: Settings, codes: list[RuleCode]) -> list[dict[str, Any]]:
    database = Database(chosen)
    found = []
    try:
        for code in codes:
            total = {"rule": code.value, "measured": 0, "opened": 0, "grown": 0}
            more = True
            while more:
                async with database.transaction() as session:
                    looked = await service.run(session, code, now=system_clock())
                for name in ("measured", "opened", "grown"):
                    total[name] += getattr(looked, name)
                more = looked.more
            found.append(total)
    finally:
        await database.close()
    return found


def _tell_runs(console: Console, found: list[dict[str, Any]]) -> None:
    console.print(
        table(
            Text("预警检查", "Early warning"),
            ("规则 rule", "看到 measured", "新增 opened", "增长 grown"),
            [row.values() for row in found],
        )
    )


@app.command("list")
def list_(
    rule: _Rule = None,
    state: Annotated[
        WarningState | None, typer.Option("--state", help="All of them if left out.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List warnings, newest first."""
    with complaining(as_json):
        found = asyncio.run(_listed(settings(), rule, state, limit))
        answer(found, as_json, lambda console: _tell_warnings(console, found))


async def _listed(
    chosen: Settings, rule: RuleCode | None, state: WarningState | None, most: int
) -> list[dict[str, Any]]:
    database = Database(chosen)
    try:
        async with database.reading() as session:
            rows = await service.listed(
                session,
                AT_THE_TERMINAL,
                state=state,
                rule=rule,
                before=None,
                most=most,
                now=system_clock(),
            )
            return [row.model_dump(mode="json") for row in await service.describe(session, rows)]
    finally:
        await database.close()


def _tell_warnings(console: Console, found: list[dict[str, Any]]) -> None:
    console.print(
        table(
            Text("预警", "Warnings"),
            ("日期 on", "规则 rule", "对象 subject", "数值 figure", "上限 limit", "状态 state"),
            (
                (w["occurred_on"], w["rule"], w["subject"], w["figure"], w["limit"], w["state"])
                for w in found
            ),
        )
    )
