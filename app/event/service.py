"""Records events."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.event.models import Event
from app.event.rules import EventKind


@dataclass(frozen=True, slots=True)
class Happening:
    """What is to be recorded.

    Attributes:
        public_id: The id the client chose for what it did.
        kind: What happened.
        occurred_at: When, as told.
        party_id: Who did it.
        place_id: Where, if told.
        details: Why and with what; no personal data.
    """

    public_id: UUID
    kind: EventKind
    occurred_at: datetime
    party_id: int
    place_id: int | None = None
    details: dict[str, Any] = field(default_factory=dict)


async def record(session: AsyncSession, happening: Happening, *, now: datetime) -> int:
    """Append an event and answer its internal id."""
    event_id = await session.scalar(
        insert(Event)
        .values(
            public_id=happening.public_id,
            kind=happening.kind,
            occurred_at=happening.occurred_at,
            recorded_at=now,
            party_id=happening.party_id,
            place_id=happening.place_id,
            details=happening.details,
        )
        .returning(Event.id)
    )
    assert event_id is not None, "RETURNING answers the identity"
    return event_id
