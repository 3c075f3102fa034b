"""Appends entries, and reads them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetch, prepared
from app.transparency import rules
from app.transparency.models import Entry


@dataclass(frozen=True, slots=True)
class Statement:
    """What is to be appended.

    Attributes:
        kind: What was stated, `ticket.issued` for instance.
        subject: Public id of what it is about.
        document: The statement itself, with no personal data.
    """

    kind: str
    subject: UUID
    document: dict[str, Any]


APPEND_SQL = """
    INSERT INTO entry (kind, subject, leaf, appended_at)
    SELECT kind, subject, leaf, :entry_at
    FROM unnest(
        CAST(:entry_kinds AS text[]), CAST(:entry_subjects AS uuid[]),
        CAST(:entry_leaves AS bytea[])
    ) WITH ORDINALITY AS e (kind, subject, leaf, ord)
    ORDER BY ord
"""
"""Appends entries in their order; other packages may make it part of a statement of theirs."""

_APPEND = prepared(APPEND_SQL)


def parameters(statements: Sequence[Statement], *, now: datetime) -> dict[str, Any]:
    """Write statements as the parameters of `APPEND_SQL`."""
    return {
        "entry_kinds": [statement.kind for statement in statements],
        "entry_subjects": [statement.subject for statement in statements],
        "entry_leaves": [_leaf(statement) for statement in statements],
        "entry_at": now,
    }


def _leaf(statement: Statement) -> bytes:
    assert "subject" not in statement.document, "a statement is about its subject"
    document = {"subject": str(statement.subject), **statement.document}
    return rules.leaf(statement.kind, document)


async def append(session: AsyncSession, statements: Sequence[Statement], *, now: datetime) -> None:
    """Append statements in the caller's transaction."""
    if statements:
        await fetch(session, _APPEND, parameters(statements, now=now))


async def entries_of(session: AsyncSession, subject: UUID) -> Sequence[Entry]:
    """List all that was stated about one thing, oldest first."""
    found = await session.scalars(select(Entry).where(Entry.subject == subject).order_by(Entry.id))
    return found.all()
