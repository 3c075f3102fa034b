"""Runs migrations over asyncpg, one transaction for all of them."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.jobs import is_job_table
from app.core.partitions import is_partition
from app.tables import metadata

LOCK_TIMEOUT_MS = 5_000
# Any number will do, as long as every machine that migrates takes the same.
MIGRATION_LOCK = 0x5970744D


def _ours(_item: Any, name: str | None, kind: str, _reflected: Any, _compare: Any) -> bool:
    return not (kind == "table" and (is_job_table(name) or is_partition(name)))


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=_ours,
        compare_server_default=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        context.run_migrations()


async def _run() -> None:
    engine = create_async_engine(
        context.config.attributes["database_url"],
        connect_args={"server_settings": {"lock_timeout": str(LOCK_TIMEOUT_MS)}},
    )
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_run())
