"""Brings a database to the newest schema."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

# A wheel holds them inside the package; in the source tree and the image they lie beside it.
_PACKED: Final = Path(str(files("app"))) / "migrations"
_BESIDE: Final = Path(__file__).resolve().parents[2] / "migrations"


def config(database_url: str) -> Config:
    """Point Alembic at our migrations and at a database."""
    settings = Config()
    # Alembic reads a per cent sign as the beginning of a name.
    scripts = _PACKED if _PACKED.is_dir() else _BESIDE
    settings.set_main_option("script_location", str(scripts).replace("%", "%%"))
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
