"""Reads how long things may take, and refuses what does not make sense."""

from datetime import date
from importlib.resources import files
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator


class TermEntry(BaseModel):
    """A term in `terms.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(pattern=r"^((start|finish|acknowledge)_[123]|referral)$")
    valid_from: date
    valid_to: date | None
    hours: int | None = Field(gt=0)
    working_days: int | None = Field(gt=0)
    source: str = Field(min_length=1)
    verified: bool

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.hours is None) == (self.working_days is None):
            message = "is in hours or in working days"
            raise ValueError(message)
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            message = "ends before it begins"
            raise ValueError(message)
        return self


def read_terms() -> list[TermEntry]:
    """Read the file of this release."""
    source = files("app.recall").joinpath("data/terms.json")
    return TypeAdapter(list[TermEntry]).validate_json(source.read_text(encoding="utf-8"))
