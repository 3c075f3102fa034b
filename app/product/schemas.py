"""What the catalogue's routes answer."""

from datetime import date

from pydantic import Field

from app.core.schemas import Out
from app.product.rules import Group, Production, Requirement, UnitKind


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
