"""Rolls, bindings and label sheets, as they come in and go out."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from app.core.schemas import In, Out
from app.label.rules import LABELS_MAX, STOCKS, CodeForm, Dpi, StockName
from app.signing.qr import Print

ITEMS_MAX = 100
PLACES_MAX = max(stock.places for stock in STOCKS.values())

Count = Annotated[int, Field(strict=True, ge=1, le=LABELS_MAX)]


class RollIn(In):
    """How many blank labels are wanted."""

    labels: Count


class RollOut(Out):
    """A roll, and how many of its labels are in use."""

    roll: UUID
    labels: int
    bound: int
    made_at: datetime
    codes: list[str] = Field(description="In the order in which they are printed.")


class BindingIn(In):
    """What a label is to stand for: one of the two."""

    ticket: UUID | None = None
    lot: UUID | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "BindingIn":
        if (self.ticket is None) == (self.lot is None):
            message = "names exactly one of ticket and lot"
            raise ValueError(message)
        return self


class BindingOut(Out):
    """What a label stands for."""

    code: str
    url: str = Field(description="What its QR code says.")
    ticket: UUID | None
    lot: UUID | None
    bound_at: datetime


class LabelItemIn(In):
    """What labels are printed for: one of the three."""

    ticket: UUID | None = None
    certificate: UUID | None = None
    lot: UUID | None = None
    count: Count = 1

    @model_validator(mode="after")
    def _exactly_one(self) -> "LabelItemIn":
        if sum(named is not None for named in (self.ticket, self.certificate, self.lot)) != 1:
            message = "names exactly one of ticket, certificate and lot"
            raise ValueError(message)
        return self


class LabelSheetIn(In):
    """Labels of one stock."""

    stock: StockName = StockName.LARGE
    dpi: Dpi = Dpi.FINE
    skip: Annotated[int, Field(strict=True, ge=0, lt=PLACES_MAX)] = Field(
        default=0, description="Labels that the first sheet lacks already."
    )
    code: CodeForm = Field(
        default=CodeForm.SHORT,
        description="`signed` is verified without a network, and needs a larger label. "
        "A lot's code is always short.",
    )
    items: Annotated[list[LabelItemIn], Field(min_length=1, max_length=ITEMS_MAX)]

    @model_validator(mode="after")
    def _not_too_many(self) -> "LabelSheetIn":
        if sum(item.count for item in self.items) > LABELS_MAX:
            message = f"asks for more than {LABELS_MAX} labels"
            raise ValueError(message)
        return self


class FitOut(Out):
    """How a kind of code comes out on a stock: below 3 dots a module it is refused."""

    code: CodeForm
    dots: int = Field(description="Printer dots a module.")
    print: Print


class StockOut(Out):
    """A kind of label sheet, and what can be printed on it."""

    stock: StockName
    columns: int
    rows: int
    width_mm: float
    height_mm: float
    fits: list[FitOut]
