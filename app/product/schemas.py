"""What the catalogue's routes answer, and the quantities that other routes take."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from app.core.schemas import In, Line, MassG, Out
from app.product.rules import Catalogue, Group, Production, Requirement, UnitKind
from app.product.units import to_grams

QUANTITY_DIGITS_MAX = 15

ProductId = Annotated[int, Field(gt=0, le=2**32 - 1)]
"""The catalogue code of a product: as much as a token can state."""


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A quantity in whole grams, beside the words it was spoken in."""

    mass_g: int
    pieces: int | None
    quantity: Decimal
    unit: str


class QuantityIn(In):
    """A quantity as spoken: 300 斤, or 12 箱 of 10 kg each."""

    quantity: Annotated[
        Decimal, Field(max_digits=QUANTITY_DIGITS_MAX, description="How many of the unit.")
    ]
    unit: Annotated[Line, Field(description="公斤, 斤, 箱, …; see /units", examples=["斤"])]
    pack_net_g: Annotated[
        MassG | None, Field(description="Net grams of one, for packs and heads.")
    ] = None

    def reckon(self, product_id: int, on: date, catalogue: Catalogue) -> Reckoned:
        """Turn the quantity into grams by the units of a day; see `units.to_grams`."""
        unit = catalogue.unit(self.unit)
        product = catalogue.product(product_id)
        mass = to_grams(
            self.quantity,
            unit,
            product,
            pack_net_g=self.pack_net_g,
            on=on,
            catalogue=catalogue,
        )
        return Reckoned(mass.mass_g, mass.pieces, self.quantity, unit.code)


class UnitOut(Out):
    """A unit as spoken."""

    code: str
    en: str
    kind: UnitKind
    grams: int | None = Field(description="Grams of one, for units of mass.")
    aliases: list[str]


class ProductBrief(Out):
    """A product as a list shows it."""

    id: int
    name: str
    group: Group
    base_unit: str
    local_specialty: bool
    synonyms: list[str]


class ProductUnitOut(Out):
    """A unit that a product is counted or packed in."""

    unit: str
    grams_per_unit: int | None = Field(description="Grams of one; null: must be stated.")
    pieces_per_unit: int | None
    source: str
    verified: bool


class RequirementOut(Out):
    """The proof that goods need on the day."""

    production: Production
    requirement: Requirement
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool


class ProcessOut(Out):
    """A process that takes the product in."""

    code: str
    zh: str
    en: str


class ProductOut(ProductBrief):
    """A product as of a day."""

    on: date
    nyt3177: str | None
    gb2763_category: str | None
    specialty_note: str | None
    units: list[ProductUnitOut]
    requirements: list[RequirementOut]
    processes: list[ProcessOut]
    tolerance_permille: int
    source: str
    verified: bool
