"""What the routes of divisions and places take and answer."""

from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from app.core.schemas import In, Line, Out
from app.place.rules import Level, PlaceKind, UnitKind

AREA_M2_MAX = 10**11


class DivisionOut(Out):
    """What a division code named on a day."""

    code: str
    on: date
    current_code: str = Field(description="Code of the same area that was in force on the day.")
    level: Level
    name: str = Field(description="Names from the county down, as on a ticket.")
    full_name: str = Field(description="Names from the province down.")
    province: str | None
    city: str | None
    county: str | None
    township: str | None
    village: str | None
    through_successor: bool = Field(
        description="The code had been retired; the names are those of its successor."
    )


class ReportingUnitOut(Out):
    """Who reports the indicators of an area."""

    code: str
    name: str
    kind: UnitKind
    population_2020: int | None
    divisions: list[str]
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class PlaceIn(In):
    """A place to be registered under the id in the address."""

    kind: PlaceKind
    name: Line
    division_code: Annotated[str, Field(max_length=12, examples=["320623108"])]
    parent: UUID | None = Field(default=None, description="Place it lies in: a stall's market.")
    party: UUID | None = Field(default=None, description="Who runs it; the caller if left out.")
    address: Line | None = None
    area_m2: Annotated[int, Field(strict=True, gt=0, le=AREA_M2_MAX)] | None = None
    geometry: dict[str, Any] | None = Field(
        default=None, description="GeoJSON Point or Polygon in WGS-84, in Jiangsu."
    )
    valid_from: date = Field(description="First day of the place.")
    valid_to: date | None = Field(default=None, description="First day without it.")

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            message = "valid_to must be later than valid_from"
            raise ValueError(message)
        return self


class PlaceOut(Out):
    """A place. Address and geometry are null for those whose business they are not."""

    id: UUID
    kind: PlaceKind
    name: str
    division_code: str
    division: str = Field(description="Names from the county down, of today.")
    parent: UUID | None
    party: UUID | None
    address: str | None
    area_m2: int | None
    geometry: dict[str, Any] | None
    valid_from: date
    valid_to: date | None
