"""Holds, what parties are told, and who has read it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.hold.rules import HoldCause

_CAUSES = ", ".join(f"'{cause}'" for cause in HoldCause)


class HoldRelease(Base):
    """One word of an office that lets go of all that a finding holds."""

    __tablename__ = "hold_release"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    subject: Mapped[UUID]
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str]
    released_at: Mapped[datetime]


class Hold(Base):
    """A lot that may not move, and why.

    Attributes:
        release_id: What let it go together with others.
    """

    __tablename__ = "hold"
    __table_args__ = (
        CheckConstraint("(released_at IS NULL) = (release_reason IS NULL)", name="released"),
        CheckConstraint(f"cause IN ({_CAUSES})", name="cause"),
        CheckConstraint("(cause = 'order') = (subject IS NULL)", name="rests_on_something"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    placed_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str]
    cause: Mapped[str]
    subject: Mapped[UUID | None]
    placed_at: Mapped[datetime]
    released_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    release_reason: Mapped[str | None]
    released_at: Mapped[datetime | None]
    release_id: Mapped[int | None] = mapped_column(ForeignKey("hold_release.id"), index=True)


class Notice(Base):
    """Something a party must know about goods that it holds or held."""

    __tablename__ = "notice"
    __table_args__ = (UniqueConstraint("party_id", "kind", "subject"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    kind: Mapped[str]
    subject: Mapped[UUID]
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class NoticeMark(Base):
    """That somebody has read a notice: what one shift has seen, the next has not."""

    __tablename__ = "notice_mark"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    notice_id: Mapped[int] = mapped_column(ForeignKey("notice.id"), primary_key=True, index=True)
    read_at: Mapped[datetime]
