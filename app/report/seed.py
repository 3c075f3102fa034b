"""Reads the terms and thresholds of reports, and refuses what does not make sense."""

from datetime import date
from importlib.resources import files
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator


class RuleEntry(BaseModel):
    """A rule in `rules.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal[
        "decide",
        "answer",
        "extend",
        "extensions",
        "per_address",
        "per_document",
        "photos",
        "photos_kib",
    ]
    valid_from: date
    valid_to: date | None
    amount: int = Field(gt=0)
    source: str = Field(min_length=1)
    verified: bool

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            message = "ends before it begins"
            raise ValueError(message)
        return self


def read_rules() -> list[RuleEntry]:
    """Read the file of this release."""
    source = files("app.report").joinpath("data/rules.json")
    return TypeAdapter(list[RuleEntry]).validate_json(source.read_text(encoding="utf-8"))
