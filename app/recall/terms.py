"""How long things may take, as the database holds it."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate.service import LAW_LASTS_S
from app.core.snapshot import Snapshot
from app.recall import seed
from app.recall.models import RecallTerm
from app.recall.rules import Term


async def load_terms(session: AsyncSession) -> None:
    """Load the terms of this release; rows that exist are brought up to date."""
    statement = insert(RecallTerm)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "valid_from"],
            set_={
                name: statement.excluded[name]
                for name in ("valid_to", "hours", "working_days", "source", "verified")
            },
        ),
        [entry.model_dump() for entry in seed.read_terms()],
    )
    terms.forget(session)


async def _read(session: AsyncSession) -> list[Term]:
    return [
        Term(
            row.kind,
            row.valid_from,
            row.valid_to,
            row.hours,
            row.working_days,
            row.source,
            row.verified,
        )
        for row in await session.scalars(select(RecallTerm))
    ]


terms = Snapshot(_read, lasts_s=LAW_LASTS_S)
"""Answers how long things may take."""
