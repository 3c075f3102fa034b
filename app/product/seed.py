"""Reads the catalogue's files, and refuses them where they do not make sense."""

import hashlib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.product.rules import Group, Production, Requirement, UnitKind
from app.product.search import spell

_UNITS_FROM = date(2016, 3, 1)
_FILES = ("units.json", "products.json", "requirements.json", "yields.json", "tolerances.json")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Dated(_Strict):
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


class UnitEntry(_Strict):
    """A unit in `units.json`."""

    code: str
    en: str
    kind: UnitKind
    grams: int | None = Field(gt=0)
    aliases: tuple[str, ...]
    source: str
    verified: bool


class CountedIn(_Strict):
    """A unit of a product, with what one weighs and counts."""

    unit: str
    grams: int | None = Field(gt=0)
    pieces: int | None = Field(gt=0)


class ProductEntry(_Strict):
    """A product in `products.json`."""

    id: int = Field(gt=0)
    name: str
    synonyms: tuple[str, ...]
    nyt3177: str | None = Field(pattern=r"^0\d{3}(\d{2})?$")
    gb2763_category: str | None
    group: Group
    base_unit: str
    specialty: str | None
    requirement: str
    units: tuple[CountedIn, ...]
    source: str
    verified: bool


class RequirementEntry(_Dated):
    """A dated requirement of a class in `requirements.json`."""

    production: Production
    requirement: Requirement


class RequirementClass(_Strict):
    """Products that the law treats alike."""

    name: str
    rules: tuple[RequirementEntry, ...] = Field(min_length=1)


class ProcessEntry(_Strict):
    """A process in `yields.json`."""

    code: str
    zh: str
    en: str


class BandEntry(_Dated):
    """A yield band in `yields.json`."""

    code: str
    process: str
    input_product_id: int | None
    input_category: str | None
    input_group: Group | None
    output_product_id: int | None
    low_permille: int = Field(gt=0)
    high_permille: int

    @model_validator(mode="after")
    def _sound(self) -> Self:
        inputs = (self.input_product_id, self.input_category, self.input_group)
        if sum(given is not None for given in inputs) != 1:
            message = "takes exactly one kind of input"
            raise ValueError(message)
        if self.low_permille >= self.high_permille:
            message = "is an empty band"
            raise ValueError(message)
        return self


class ToleranceEntry(_Dated):
    """A tolerance in `tolerances.json`."""

    code: str
    group: Group | None
    permille: int = Field(ge=0, lt=1000)


class _Units(_Strict):
    units: tuple[UnitEntry, ...]


class _Products(_Strict):
    products: tuple[ProductEntry, ...]


class _Requirements(_Strict):
    classes: tuple[RequirementClass, ...]


class _Yields(_Strict):
    processes: tuple[ProcessEntry, ...]
    bands: tuple[BandEntry, ...]


class _Tolerances(_Strict):
    tolerances: tuple[ToleranceEntry, ...]


F = TypeVar("F", bound=_Strict)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seed:
    """Rows for every table of the catalogue, in the order in which they can be written."""

    digest: str
    units: list[Row]
    products: list[Row]
    synonyms: list[Row]
    product_units: list[Row]
    requirements: list[Row]
    processes: list[Row]
    bands: list[Row]
    tolerances: list[Row]


def read() -> Seed:
    """Read all files that come with the program.

    Raises:
        ValueError: a file has other members, or contradicts itself or another.
    """
    texts = {name: _text(name) for name in _FILES}
    units = _Units.model_validate_json(texts["units.json"]).units
    products = _Products.model_validate_json(texts["products.json"]).products
    classes = _Requirements.model_validate_json(texts["requirements.json"]).classes
    yields = _Yields.model_validate_json(texts["yields.json"])
    tolerances = _Tolerances.model_validate_json(texts["tolerances.json"]).tolerances
    _check_units(units)
    _check_products(products, units, classes)
    rules = {entry.name: entry.rules for entry in classes}
    return Seed(
        digest=hashlib.sha256("".join(texts.values()).encode()).hexdigest(),
        units=[
            {**entry.model_dump(), "aliases": list(entry.aliases), "sort_order": order}
            for order, entry in enumerate(units)
        ],
        products=[_product_row(entry) for entry in products],
        synonyms=[row for entry in products for row in _synonym_rows(entry)],
        product_units=[_unit_row(entry, unit) for entry in products for unit in entry.units],
        requirements=[
            {"product_id": entry.id, **rule.model_dump()}
            for entry in products
            for rule in rules[entry.requirement]
        ],
        processes=[entry.model_dump() for entry in yields.processes],
        bands=[_renamed(entry.model_dump(), process="process_code") for entry in yields.bands],
        tolerances=[_renamed(entry.model_dump(), group="product_group") for entry in tolerances],
    )


def _text(name: str) -> str:
    return (files("app.product") / "data" / name).read_text(encoding="utf-8")


def _renamed(row: Row, **names: str) -> Row:
    return {names.get(key, key): value for key, value in row.items()}


def _product_row(entry: ProductEntry) -> Row:
    row = entry.model_dump(exclude={"synonyms", "requirement", "units", "specialty", "group"})
    return {
        **row,
        "product_group": entry.group,
        "local_specialty": entry.specialty is not None,
        "specialty_note": entry.specialty,
    }


def _synonym_rows(entry: ProductEntry) -> list[Row]:
    spelled = [spell(name) for name in dict.fromkeys((entry.name, *entry.synonyms))]
    return [
        {"product_id": entry.id, "name": s.name, "pinyin": s.pinyin, "initials": s.initials}
        for s in spelled
    ]


def _unit_row(entry: ProductEntry, unit: CountedIn) -> Row:
    return {
        "product_id": entry.id,
        "unit_code": unit.unit,
        "valid_from": _UNITS_FROM,
        "valid_to": None,
        "grams_per_unit": unit.grams,
        "pieces_per_unit": unit.pieces,
        "source": "usual weight, to be confirmed by the trade" if unit.grams else "counted so",
        "verified": unit.grams is None,
    }


def _check_units(units: tuple[UnitEntry, ...]) -> None:
    spoken = [word.casefold() for unit in units for word in (unit.code, unit.en, *unit.aliases)]
    if len(spoken) != len(set(spoken)):
        message = "two units are called the same"
        raise ValueError(message)


def _check_products(
    products: tuple[ProductEntry, ...],
    units: tuple[UnitEntry, ...],
    classes: tuple[RequirementClass, ...],
) -> None:
    weighed = {unit.code for unit in units if unit.kind is UnitKind.MASS}
    counted = {unit.code for unit in units} - weighed
    known = {entry.name for entry in classes}
    for product in products:
        if product.base_unit not in weighed:
            message = f"product {product.id} has no unit of mass"
            raise ValueError(message)
        if not {unit.unit for unit in product.units} <= counted:
            message = f"product {product.id} is counted in a unit that does not exist"
            raise ValueError(message)
        if product.requirement not in known:
            message = f"product {product.id} has an unknown requirement {product.requirement}"
            raise ValueError(message)
