"""Warnings, the dated data that rules are made of, and how far each rule has looked."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.supervision.rules import RuleCode, Severity, WarningState


def _one_of(column: str, words: type[RuleCode | Severity | WarningState]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


def _valid() -> CheckConstraint:
    return CheckConstraint("valid_to > valid_from", name="valid_some_time")


class WarningRule(Base):
    """A rule for a stretch of time: its thresholds, and what to do."""

    __tablename__ = "warning_rule"
    __table_args__ = (
        _valid(),
        CheckConstraint(_one_of("code", RuleCode), name="code"),
        CheckConstraint(_one_of("severity", Severity), name="severity"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    severity: Mapped[str]
    zh: Mapped[str]
    en: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    source: Mapped[str]
    verified: Mapped[bool]


class PlotYield(Base):
    """What a mu can plausibly give of a product, or of a category, in one season."""

    __tablename__ = "plot_yield"
    __table_args__ = (
        _valid(),
        CheckConstraint("num_nonnulls(category, product_id) = 1", name="one_subject"),
        CheckConstraint("kg_per_mu_max > 0 AND season_days > 0", name="positive"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    category: Mapped[str | None]
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
    kg_per_mu_max: Mapped[int]
    season_days: Mapped[int]
    source: Mapped[str]
    verified: Mapped[bool]


class CountyCentre(Base):
    """Roughly where a county is: distances are reckoned from here where a place has no point."""

    __tablename__ = "county_centre"
    __table_args__ = (_valid(), CheckConstraint("radius_km > 0", name="radius_km"))

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    name: Mapped[str]
    latitude: Mapped[float] = mapped_column(Double)
    longitude: Mapped[float] = mapped_column(Double)
    radius_km: Mapped[int]
    source: Mapped[str]
    verified: Mapped[bool]


class WarningWatermark(Base):
    """Up to which row of a stream a rule has looked; rows after it are looked at again."""

    __tablename__ = "warning_watermark"

    rule: Mapped[str] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]


class Citation(Base):
    """A document of ours that a declared lot names as its paper."""

    __tablename__ = "citation"
    __table_args__ = (
        CheckConstraint("num_nonnulls(ticket_id, certificate_id) = 1", name="one_document"),
        Index(None, "certificate_id"),
    )

    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), primary_key=True, autoincrement=False)
    code: Mapped[str] = mapped_column(primary_key=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))


class WeekOfTests(Base):
    """How many samples of a product were tested in a county in one week, and how many failed."""

    __tablename__ = "test_week"
    __table_args__ = (
        UniqueConstraint("product_id", "county_code", "week_on"),
        CheckConstraint("0 <= failures AND failures <= tests", name="failures"),
        CheckConstraint("extract(isodow FROM week_on) = 1", name="monday"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    county_code: Mapped[str]
    week_on: Mapped[date]
    tests: Mapped[int]
    failures: Mapped[int]


class WarningRow(Base):
    """A measure beyond its rule's limit, and what somebody made of it."""

    __tablename__ = "warning"
    __table_args__ = (
        CheckConstraint(_one_of("rule", RuleCode), name="rule"),
        CheckConstraint(_one_of("severity", Severity), name="severity"),
        CheckConstraint(_one_of("state", WarningState), name="state"),
        CheckConstraint(
            "(state = 'open') = (closed_at IS NULL) AND (state = 'open') = (reason IS NULL)",
            name="closed",
        ),
        # However many workers meet the same evidence, one warning about it is open.
        Index(
            "uq_warning_open",
            "rule",
            "subject",
            "period",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index(None, "rule", "subject", "period"),
        Index(None, "state", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[UUID] = mapped_column(unique=True)
    rule: Mapped[str]
    rule_valid_from: Mapped[date]
    severity: Mapped[str]
    subject: Mapped[str]
    period: Mapped[str]
    occurred_on: Mapped[date]
    figure: Mapped[int]
    limit: Mapped[int]
    evidence: Mapped[dict[str, Any]]
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    market_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    divisions: Mapped[list[str]]
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    state: Mapped[str]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str | None]
