"""Treatments as they come in and go out."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.schemas import In, Instant, Line, Out
from app.product.schemas import ProductId

LABEL_DAYS_MAX = 365


class TreatmentIn(In):
    """A pesticide on a plot."""

    plot: UUID
    substance: Annotated[Line, Field(max_length=60, description="Active substance: 吡虫啉.")]
    dose: Annotated[Line, Field(max_length=100, description="As measured out: 30 克/亩.")]
    applied_at: Instant
    product: ProductId | None = Field(
        default=None, description="The crop; every crop of the plot else."
    )
    label_days: Annotated[int, Field(strict=True, ge=0, le=LABEL_DAYS_MAX)] | None = Field(
        default=None, description="Pre-harvest interval on the label, if stricter or unknown here."
    )


class TreatmentOut(Out):
    """A treatment, and when the crop may be harvested."""

    treatment: UUID
    plot: UUID
    party: UUID
    substance: str
    dose: str
    product: int | None
    applied_at: datetime
    interval_days: int | None = Field(description="Null where no interval is known.")
    earliest_harvest_on: date | None
    recorded_at: datetime
