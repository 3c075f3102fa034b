"""Tables of divisions, reporting units and places."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.place.rules import Level, PlaceKind, UnitKind

_DIVISION_CODE = "division_code ~ '^[0-9]{6}([0-9]{3}([0-9]{3})?)?$'"


def _one_of(column: str, words: type[Level | PlaceKind | UnitKind]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class DivisionRow(Base):
    """One name of one division code for one stretch of time."""

    __tablename__ = "division"
    __table_args__ = (
        CheckConstraint("code ~ '^[0-9]{6}([0-9]{3}([0-9]{3})?)?$'", name="code_digits"),
        CheckConstraint(_one_of("level", Level), name="level_known"),
        CheckConstraint("valid_to > valid_from", name="valid_some_time"),
        CheckConstraint("successor_code IS NULL OR valid_to IS NOT NULL", name="successor_if_past"),
        Index(None, "parent_code"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    name: Mapped[str]
    level: Mapped[str]
    parent_code: Mapped[str | None]
    successor_code: Mapped[str | None]
    source: Mapped[str]
    verified: Mapped[bool]


class ReportingUnitRow(Base):
    """Who answers for the indicators of an area; its population divides every per-thousand."""

    __tablename__ = "reporting_unit"
    __table_args__ = (
        CheckConstraint(_one_of("kind", UnitKind), name="kind_known"),
        CheckConstraint("valid_to > valid_from", name="valid_some_time"),
        CheckConstraint("population_2020 > 0", name="population_positive"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    population_2020: Mapped[int | None]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    source: Mapped[str]
    verified: Mapped[bool]


class ReportingUnitDivisionRow(Base):
    """A division, with all that lies below it, that belongs to a reporting unit."""

    __tablename__ = "reporting_unit_division"
    __table_args__ = (CheckConstraint(_DIVISION_CODE, name="code_digits"),)

    unit_code: Mapped[str] = mapped_column(ForeignKey("reporting_unit.code"), primary_key=True)
    division_code: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    verified: Mapped[bool]


class Place(Base):
    """A site of the trade. `address` is personal where a natural person lives: never public."""

    __tablename__ = "place"
    __table_args__ = (
        CheckConstraint(_one_of("kind", PlaceKind), name="kind_known"),
        CheckConstraint("valid_to > valid_from", name="valid_some_time"),
        CheckConstraint("area_m2 > 0", name="area_positive"),
        CheckConstraint("parent_id <> id", name="not_in_itself"),
        CheckConstraint(_DIVISION_CODE, name="code_digits"),
        Index(None, "parent_id"),
        Index(None, "party_id"),
        Index(None, "kind", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    public_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    kind: Mapped[str]
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    division_code: Mapped[str]
    address: Mapped[str | None]
    area_m2: Mapped[int | None]
    geometry: Mapped[dict[str, Any] | None]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())
