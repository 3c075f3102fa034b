"""Reads the files of divisions and reporting units that come with the program."""

import csv
from datetime import date
from importlib.resources import files
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.place.rules import Level, UnitKind

_DIVISIONS = ("counties.csv", "townships.csv", "villages.csv", "divisions_history.csv")

Row = dict[str, Any]


class _Line(BaseModel):
    """A line of a file, where an empty cell means that there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _none_if_empty(cls, cell: Any) -> Any:
        return None if cell == "" else cell


class DivisionLine(_Line):
    """One name of one division."""

    code: str = Field(pattern=r"^\d{6}(\d{3}(\d{3})?)?$")
    name: str
    level: Level
    parent_code: str | None
    valid_from: date
    valid_to: date | None
    successor_code: str | None
    source: str
    verified: bool


class ReportingUnitLine(_Line):
    """A reporting unit."""

    code: str
    name: str
    kind: UnitKind
    population_2020: int | None
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class ReportingUnitDivisionLine(_Line):
    """A division of a reporting unit."""

    unit_code: str
    division_code: str
    source: str
    verified: bool


def divisions() -> list[Row]:
    """Read all divisions, past ones too.

    Raises:
        ValueError: a line is malformed, or names a successor or parent that no file has.
    """
    rows = [row for name in _DIVISIONS for row in _lines(name, DivisionLine)]
    codes = {row["code"] for row in rows}
    for row in rows:
        missing = {row["parent_code"], row["successor_code"]} - codes - {None}
        if missing:
            message = f"division {row['code']} names unknown {missing}"
            raise ValueError(message)
    return rows


def reporting_units() -> list[Row]:
    """Read all reporting units."""
    return _lines("reporting_units.csv", ReportingUnitLine)


def reporting_unit_divisions() -> list[Row]:
    """Read which divisions belong to which reporting unit."""
    return _lines("reporting_unit_divisions.csv", ReportingUnitDivisionLine)


L = TypeVar("L", bound=_Line)


def _lines(name: str, form: type[L]) -> list[Row]:
    text = (files("app.place") / "data" / name).read_text(encoding="utf-8")
    return [form.model_validate(line).model_dump() for line in csv.DictReader(text.splitlines())]
