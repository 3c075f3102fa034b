"""Reads the dated data of the rules, and refuses it where it does not make sense."""

from datetime import date
from importlib.resources import files
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from app.supervision.rules import PARAMETERS, RuleCode, Severity

Row = dict[str, Any]


class _Dated(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: date
    valid_to: date | None
    source: str = Field(min_length=1)
    verified: bool

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            message = "ends before it begins"
            raise ValueError(message)
        return self


class RuleEntry(_Dated):
    """A rule in `rules.json`."""

    code: RuleCode
    severity: Severity
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    parameters: dict[str, int]

    @model_validator(mode="after")
    def _its_thresholds(self) -> Self:
        if self.parameters.keys() != PARAMETERS[self.code]:
            message = f"{self.code} takes {sorted(PARAMETERS[self.code])}"
            raise ValueError(message)
        return self


class YieldEntry(_Dated):
    """What a mu can give in a season, in `plot_yields.json`."""

    category: str | None
    product_id: int | None
    kg_per_mu_max: int = Field(gt=0)
    season_days: int = Field(gt=0)

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.category is None) == (self.product_id is None):
            message = "is about a category or a product"
            raise ValueError(message)
        return self


class CentreEntry(_Dated):
    """A county in `county_centres.json`."""

    code: str = Field(pattern=r"^\d{6}$")
    name: str
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    radius_km: int = Field(gt=0)


E = TypeVar("E", bound=_Dated)


def warning_rules() -> list[Row]:
    """Read the rules."""
    return [entry.model_dump() for entry in _entries("rules.json", RuleEntry)]


def plot_yields() -> list[Row]:
    """Read the yields, each under a code of its own."""
    return [
        {"code": entry.category or f"product-{entry.product_id}", **entry.model_dump()}
        for entry in _entries("plot_yields.json", YieldEntry)
    ]


def county_centres() -> list[Row]:
    """Read where counties are."""
    return [entry.model_dump() for entry in _entries("county_centres.json", CentreEntry)]


def _entries(name: str, form: type[E]) -> list[E]:
    content = (files("app.supervision") / "data" / name).read_bytes()
    return TypeAdapter(list[form]).validate_json(content)  # type: ignore[valid-type]
