"""Records events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetch, prepared
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
    SELECT public_id, kind, occurred_at, :event_recorded_at, party_id, place_id, details
    FROM unnest(
        CAST(:event_public_ids AS uuid[]), CAST(:event_kinds AS text[]),
        CAST(:event_occurred_at AS timestamptz[]), CAST(:event_party_ids AS bigint[]),
        CAST(:event_place_ids AS bigint[]), CAST(:event_details AS jsonb[])
    ) WITH ORDINALITY AS e (public_id, kind, occurred_at, party_id, place_id, details, ord)
    ORDER BY ord
    RETURNING id, public_id
"""
"""Records events; other packages may make it part of a statement of theirs."""

_RECORD = prepared(RECORD_SQL)


def parameters(happenings: Sequence[Happening], *, now: datetime) -> dict[str, Any]:
    """Write events as the parameters of `RECORD_SQL`."""
    return {
        "event_recorded_at": now,
        "event_public_ids": [happening.public_id for happening in happenings],
        "event_kinds": [happening.kind for happening in happenings],
        "event_occurred_at": [happening.occurred_at for happening in happenings],
        "event_party_ids": [happening.party_id for happening in happenings],
        "event_place_ids": [happening.place_id for happening in happenings],
        "event_details": [orjson.dumps(happening.details).decode() for happening in happenings],
    }


async def record_all(
    session: AsyncSession, happenings: Sequence[Happening], *, now: datetime
) -> dict[UUID, int]:
    """Append events in one statement; answer their internal ids by public id."""
    if not happenings:
        return {}
    rows = await fetch(session, _RECORD, parameters(happenings, now=now))
    return {row.public_id: row.id for row in rows}


async def record(session: AsyncSession, happening: Happening, *, now: datetime) -> int:
    """Append an event and answer its internal id."""
    return (await record_all(session, [happening], now=now))[happening.public_id]
