"""Appends entries, and reads them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

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
    VALUES (:entry_kind, :entry_subject, :entry_leaf, :entry_at)
"""
"""Appends an entry; other packages may make it part of a statement of theirs."""

_APPEND = text(APPEND_SQL)


def parameters(statement: Statement, *, now: datetime) -> dict[str, Any]:
    """Write a statement as the parameters of `APPEND_SQL`."""
    assert "subject" not in statement.document, "a statement is about its subject"
    document = {"subject": str(statement.subject), **statement.document}
    return {
        "entry_kind": statement.kind,
        "entry_subject": statement.subject,
        "entry_leaf": rules.leaf(statement.kind, document),
        "entry_at": now,
    }


async def append(session: AsyncSession, statements: Sequence[Statement], *, now: datetime) -> None:
    """Append statements in the caller's transaction."""
    await session.execute(_APPEND, [parameters(statement, now=now) for statement in statements])


async def entries_of(session: AsyncSession, subject: UUID) -> Sequence[Entry]:
    """List all that was stated about one thing, oldest first."""
    found = await session.scalars(select(Entry).where(Entry.subject == subject).order_by(Entry.id))
    return found.all()
