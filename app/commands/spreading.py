"""`ypt migrate --citus`: spreads the tables over a cluster, or prints the SQL that would."""

import asyncio
from typing import Any

from alembic.script import ScriptDirectory
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.cluster import plan
from app.cluster.placement import DIRECTORY, PLACES, Distributed, Place
from app.cluster.plan import Step
from app.commands.console import MISUSED, ComplaintError, answer, settings
from app.core.errors import Text
from app.core.migrate import config, revision
from app.tables import metadata

_HAS_CITUS = text("SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'create_distributed_table')")
_IS_SPREAD = text("SELECT to_regclass(:directory) IS NOT NULL")


def spread(*, citus: bool, apply: bool, check: bool, as_json: bool) -> None:
    """Print the steps, and run them if asked to.

    Raises:
        ComplaintError: the options do not go together, or the database is not one to spread.
    """
    if check or not citus:
        raise ComplaintError(
            Text("这些选项不能一起使用", "These options do not go together"),
            Text("请用 --citus 或 --citus --apply", "Use --citus, or --citus --apply"),
            exit_code=MISUSED,
            code="options-conflict",
        )
    steps = plan.steps(metadata, PLACES)
    if apply:
        asyncio.run(_run(settings().database_url, steps))
    value = {
        "applied": apply,
        "places": {name: _told(place) for name, place in sorted(PLACES.items())},
        "steps": [{"why": step.why, "sql": step.sql} for step in steps],
    }

    def tell(console: Console) -> None:
        if apply:
            done = Text(f"已执行 {len(steps)} 条语句", f"{len(steps)} statements done")
            console.print(f"{done.zh} · {done.en}: YPT_CLUSTER=true YPT_TRACE_STRATEGY=levels")
        else:
            # Past the console, which would wrap lines and read brackets as styles.
            console.file.write(plan.script(steps))

    answer(value, as_json, tell)


def _told(place: Place) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": type(place).__name__.lower()}
    if isinstance(place, Distributed):
        told |= {"column": place.column, "colocated_with": place.group}
    return told


async def _run(database_url: str, steps: list[Step]) -> None:
    head = ScriptDirectory.from_config(config(database_url)).get_current_head()
    current = await revision(database_url) == head
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await _check(connection, current=current)
            for step in steps:
                await connection.exec_driver_sql(step.sql)
    finally:
        await engine.dispose()


async def _check(connection: AsyncConnection, *, current: bool) -> None:
    if not await connection.scalar(_HAS_CITUS):
        raise ComplaintError(
            Text("该数据库没有 Citus", "This database has no Citus"),
            Text(
                "请在协调节点执行 CREATE EXTENSION citus 并登记各节点",
                "On the coordinator, CREATE EXTENSION citus and register the nodes",
            ),
            code="no-citus",
        )
    if not current:
        raise ComplaintError(
            Text("数据库结构不是最新版本", "The schema is not the newest"),
            Text("请先运行 ypt migrate", "Run ypt migrate first"),
            code="not-migrated",
        )
    if await connection.scalar(_IS_SPREAD, {"directory": DIRECTORY}):
        raise ComplaintError(
            Text("各表已经分布", "The tables are spread already"),
            Text("无需再次执行", "There is nothing to do"),
            code="already-spread",
        )
