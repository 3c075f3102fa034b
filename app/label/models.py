"""Rolls of blank labels, their codes, and what became of each."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class LabelRoll(Base):
    """Blank labels that a party had made at once."""

    __tablename__ = "label_roll"
    __table_args__ = (CheckConstraint("labels > 0", name="labels"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    labels: Mapped[int] = mapped_column(SmallInteger)
    made_at: Mapped[datetime]


class Label(Base):
    """One blank label: 60 random bits and a check character, which say nothing of what it is for.

    `no` counts from 1 within the roll.
    """

    __tablename__ = "label"

    code: Mapped[str] = mapped_column(primary_key=True)
    roll_id: Mapped[int] = mapped_column(ForeignKey("label_roll.id"), index=True)
    no: Mapped[int] = mapped_column(SmallInteger)


class LabelBinding(Base):
    """What a label stands for; its key is the label's, so that it is bound once and for all."""

    __tablename__ = "label_binding"
    __table_args__ = (
        CheckConstraint("(ticket_id IS NULL) <> (lot_id IS NULL)", name="one_subject"),
    )

    code: Mapped[str] = mapped_column(ForeignKey("label.code"), primary_key=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"), index=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    bound_at: Mapped[datetime]
