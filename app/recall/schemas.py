"""Holds and notices, as they come in and go out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from app.core.schemas import In, Line, Out
from app.hold.rules import HoldCause, NoticeKind


class HoldIn(In):
    """A lot that may not move, and why."""

    lot: UUID
    reason: Line


class ReleaseIn(In):
    """Why a lot may move again."""

    reason: Line


class HoldOut(Out):
    """A hold, and its end if it has ended."""

    hold: UUID
    lot: UUID
    placed_by: UUID
    reason: str
    cause: HoldCause
    subject: UUID | None = Field(description="The sample, where a test holds the lot.")
    placed_at: datetime
    released_by: UUID | None
    release_reason: str | None
    released_at: datetime | None


class NoticeOut(Out):
    """Something a party must know about goods that it holds or held."""

    id: int
    kind: NoticeKind
    subject: UUID = Field(description="The hold, certificate or sample that it is about.")
    facts: dict[str, Any]
    created_at: datetime
