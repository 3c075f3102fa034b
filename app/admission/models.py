"""Scans, and counts of views of the public pages."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class Scan(Base):
    """Who read which code, where and when, and what the answer was."""

    __tablename__ = "scan"
    __table_args__ = (Index("ix_scan_ticket_id_scanned_at", "ticket_id", "scanned_at"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    kind: Mapped[str]
    code: Mapped[str]
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))
    decision: Mapped[str]
    findings: Mapped[list[Any]]
    scanned_at: Mapped[datetime]
    device_at: Mapped[datetime | None]


class PublicViews(Base):
    """How often a document's public page was opened in an hour; by whom is not kept."""

    __tablename__ = "public_views"
    __table_args__ = (
        UniqueConstraint("serial", "hour_at"),
        CheckConstraint("views > 0", name="views"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    serial: Mapped[int]
    hour_at: Mapped[datetime]
    views: Mapped[int]
