"""Appends entries, and reads them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
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


async def append(session: AsyncSession, statements: Sequence[Statement], *, now: datetime) -> None:
    """Append statements in the caller's transaction, in one round trip."""
    await session.execute(
        insert(Entry),
        [
            {
                "kind": statement.kind,
                "subject": statement.subject,
                "leaf": rules.leaf(
                    statement.kind, {"subject": str(statement.subject), **statement.document}
                ),
                "appended_at": now,
            }
            for statement in statements
        ],
    )


async def entries_of(session: AsyncSession, subject: UUID) -> Sequence[Entry]:
    """List all that was stated about one thing, oldest first."""
    found = await session.scalars(select(Entry).where(Entry.subject == subject).order_by(Entry.id))
    return found.all()
