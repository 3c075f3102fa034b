"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config

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
