"""Treatments, and the intervals that must follow them."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class Treatment(Base):
    """A pesticide on a plot; no column of this row ever changes."""

    __tablename__ = "treatment"
    __table_args__ = (
        CheckConstraint("label_days >= 0", name="label_days"),
        Index("ix_treatment_plot_id_applied_on", "plot_id", "applied_on"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    digest: Mapped[bytes]
    plot_id: Mapped[int] = mapped_column(ForeignKey("place.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
    substance: Mapped[str]
    dose: Mapped[str]
    label_days: Mapped[int | None] = mapped_column(SmallInteger)
    applied_at: Mapped[datetime]
    applied_on: Mapped[date]
    recorded_at: Mapped[datetime]


class PreharvestInterval(Base):
    """Days between the last treatment with a substance and the harvest; dated.

    Product 0 stands for every product without a row of its own.
    """

    __tablename__ = "preharvest_interval"
    __table_args__ = (
        CheckConstraint("days >= 0", name="days"),
        CheckConstraint("valid_to > valid_from", name="valid_some_time"),
    )

    substance: Mapped[str] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    days: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]
    verified: Mapped[bool]
