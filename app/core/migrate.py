"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

_ROOT = Path(__file__).resolve().parents[2]


def config(database_url: str) -> Config:
    """Point Alembic at our migrations and at a database."""
    settings = Config(toml_file=str(_ROOT / "pyproject.toml"))
    settings.set_main_option("script_location", str(_ROOT / "migrations"))
    settings.attributes["database_url"] = database_url
    return settings


def upgrade(database_url: str) -> None:
    """Run all migrations that have not run yet; safe to repeat and to run from two machines."""
    command.upgrade(config(database_url), "head")


async def revision(database_url: str) -> str | None:
    """Answer which migration a database has come to; None before the first."""
    engine = create_async_engine(database_url)
    try:
        async with engine.connect() as connection:
            there = await connection.scalar(text("SELECT to_regclass('alembic_version')"))
            if there is None:
                return None
            found: str | None = await connection.scalar(
                text("SELECT version_num FROM alembic_version")
            )
            return found
    finally:
        await engine.dispose()
