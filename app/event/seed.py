"""Reads how late events may be told, and loads it into its table."""

import json
from datetime import date
from importlib import resources
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.snapshot import Snapshot
from app.event.lateness import Lateness
from app.event.models import LatenessRule

LAW_LASTS_S = 60


def rows() -> list[dict[str, Any]]:
    """Read the file of rules."""
    source = resources.files("app.event").joinpath("data/lateness.json")
    found: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    for row in found:
        row["valid_from"] = date.fromisoformat(row["valid_from"])
        row["valid_to"] = row["valid_to"] and date.fromisoformat(row["valid_to"])
    return found


async def load(session: AsyncSession) -> None:
    """Load the rules that this release knows, in the place of what was there; safe to repeat."""
    await session.execute(delete(LatenessRule))
    await session.execute(insert(LatenessRule), rows())
    lateness.forget(session)


async def _read(session: AsyncSession) -> tuple[Lateness, ...]:
    columns = [column for column in LatenessRule.__table__.columns if column.name != "no"]
    found = await session.execute(select(*columns).order_by(LatenessRule.no))
    return tuple(Lateness(**row) for row in found.mappings())


lateness = Snapshot(_read, lasts_s=LAW_LASTS_S)
"""Answers how late the books may hear of something, on all days."""
