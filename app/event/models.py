"""The event table, and the rule of how late events may be told."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.event.rules import EventKind

_KINDS = ", ".join(f"'{kind}'" for kind in EventKind)


class Event(Base):
    """What happened: one append-only row, in the partition of the month it was recorded in."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
        Index("ix_event_party_id_occurred_at", "party_id", "occurred_at"),
        {"postgresql_partition_by": "RANGE (recorded_at)"},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(primary_key=True)
    party_id: Mapped[int]
    place_id: Mapped[int | None]
    details: Mapped[dict[str, Any]]


class LatenessRule(Base):
    """How late the books may hear of something; see `lateness.Lateness`."""

    __tablename__ = "lateness_rule"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
        CheckConstraint("hours > 0", name="hours"),
    )

    no: Mapped[int] = mapped_column(Identity(), unique=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    hours: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]
    verified: Mapped[bool]
