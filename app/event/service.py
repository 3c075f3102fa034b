"""Records events."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

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


RECORD_SQL = """
    INSERT INTO event (public_id, kind, occurred_at, recorded_at, party_id, place_id, details)
    VALUES (
        :event_public_id, :event_kind, :event_occurred_at, :event_recorded_at, :event_party_id,
        :event_place_id, CAST(:event_details AS jsonb)
    )
    RETURNING id
"""
"""Records an event; other packages may make it part of a statement of theirs."""

_RECORD = text(RECORD_SQL)


def parameters(happening: Happening, *, now: datetime) -> dict[str, Any]:
    """Write an event as the parameters of `RECORD_SQL`."""
    return {
        "event_public_id": happening.public_id,
        "event_kind": happening.kind,
        "event_occurred_at": happening.occurred_at,
        "event_recorded_at": now,
        "event_party_id": happening.party_id,
        "event_place_id": happening.place_id,
        "event_details": orjson.dumps(happening.details).decode(),
    }


async def record(session: AsyncSession, happening: Happening, *, now: datetime) -> int:
    """Append an event and answer its internal id."""
    event_id = await session.scalar(_RECORD, parameters(happening, now=now))
    assert event_id is not None, "RETURNING answers the identity"
    return int(event_id)
