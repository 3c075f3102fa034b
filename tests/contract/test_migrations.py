"""Migrations make exactly the tables that the models describe, and their permissions."""

import asyncio
import secrets

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, NullPool, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.jobs import is_job_table
from app.core.migrate import config
from app.core.partitions import is_partition
from app.core.settings import Settings
from app.tables import metadata
from tests.conftest import Server


def _ours(_item: object, name: str | None, kind: str, _reflected: object, _other: object) -> bool:
    return not (kind == "table" and (is_job_table(name) or is_partition(name)))


async def test_the_migrated_tables_are_those_of_the_models(settings: Settings) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"include_object": _ours, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))

    engine = create_async_engine(settings.database_url)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


_CHECKS = """
    SELECT t.relname || '.' || c.conname AS name, pg_get_constraintdef(c.oid) AS says
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
    WHERE c.contype = 'c' AND t.relnamespace = 'public'::regnamespace
"""


async def test_the_migrated_checks_say_what_the_models_say(
    settings: Settings, server: Server
) -> None:
    """Alembic does not compare them, and a kind that only the model knows is refused at 4 a.m."""
    name = f"models_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(server.admin_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    try:
        engine = create_async_engine(
            make_url(settings.database_url).set(database=name), poolclass=NullPool
        )
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        modelled = await _checks(server.url(name))
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()
    migrated = await _checks(settings.database_url)
    ours = {
        check: says for check, says in migrated.items() if check.split(".")[0] in metadata.tables
    }
    assert ours == modelled


async def _checks(url: str) -> dict[str, str]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    try:
        return {row["name"]: row["says"] for row in await connection.fetch(_CHECKS)}
    finally:
        await connection.close()


async def test_every_table_has_a_decided_permission(database_url: str) -> None:
    """A table that nobody granted anything on would fail in production, not before."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT tablename, has_table_privilege('ypt_app', tablename, 'SELECT') AS reads "
            "FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
    finally:
        await connection.close()
    # Partitions are reached through their parents alone.
    unread = {row["tablename"] for row in rows if not row["reads"]}
    assert {table for table in unread if not is_partition(table)} == set()
    assert set(metadata.tables) <= {row["tablename"] for row in rows}


@pytest.mark.parametrize(
    "table",
    [
        "entry",
        "event",
        "ticket",
        "ticket_line",
        "ticket_draw",
        "certificate",
        "scan",
        "evidence",
        "test",
    ],
)
async def test_statements_can_be_added_and_never_rewritten(database_url: str, table: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        rights = {
            right: await connection.fetchval(
                "SELECT has_table_privilege('ypt_app', $1, $2)", table, right
            )
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
        }
    finally:
        await connection.close()
    assert rights == {
        "SELECT": True,
        "INSERT": True,
        "UPDATE": False,
        "DELETE": False,
        "TRUNCATE": False,
    }


async def test_migrations_can_be_undone_and_done_again(database_url: str) -> None:
    url = database_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    await asyncio.to_thread(command.downgrade, config(url), "base")
    connection = await asyncpg.connect(database_url)
    left = await connection.fetchval(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' "
        "AND tablename <> 'alembic_version'"
    )
    await connection.close()
    assert left == 0
    await asyncio.to_thread(command.upgrade, config(url), "head")
