"""What the catalogue says, as values that never change, and the refusals about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import ClassVar, TypeVar

from app.core import dated
from app.core.errors import DomainError, Kind, Text


class Group(StrEnum):
    """The coarse kind of goods, which tests, tickets and storage depend on."""

    GRAIN = "grain"
    OILSEED = "oilseed"
    VEGETABLE = "vegetable"
    MUSHROOM = "mushroom"
    FRUIT = "fruit"
    LIVE_ANIMAL = "live_animal"
    MEAT = "meat"
    EGG = "egg"
    FISH = "fish"
    CRUSTACEAN = "crustacean"
    SEAFOOD = "seafood"
    PROCESSED = "processed"


class Production(StrEnum):
    """How goods came to be, as far as the law asks."""

    FARMED = "farmed"
    WILD = "wild"
    ANY = "any"


class Requirement(StrEnum):
    """The proof that goods of a kind need.

    A conformity certificate is APQSL art. 39; quarantine ADP art. 51; the meat inspection PIG art.
    15; a food licence FSL art. 35; a source voucher FSL art. 65.
    """

    CONFORMITY_CERTIFICATE = "conformity_certificate"
    QUARANTINE = "quarantine"
    QUARANTINE_AND_MEAT_INSPECTION = "quarantine_and_meat_inspection"
    FOOD_LICENCE = "food_licence"
    SOURCE_VOUCHER = "source_voucher"


class UnitKind(StrEnum):
    """Whether a unit weighs, counts living or single things, or holds a net weight."""

    MASS = "mass"
    COUNT = "count"
    PACK = "pack"


class UnknownProduct(DomainError):
    """The catalogue has no such product."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-product"
    title: ClassVar[Text] = Text("没有这个产品", "There is no such product")
    next_step: ClassVar[Text] = Text(
        "请用名称、俗名或拼音首字母查找产品",
        "Search the product by name, synonym or pinyin initials",
    )


class UnknownUnit(DomainError):
    """No unit is called that."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-unit"
    title: ClassVar[Text] = Text("没有这个计量单位", "There is no such unit")
    next_step: ClassVar[Text] = Text(
        "请从单位列表中选择，如 公斤、斤、箱", "Choose from the list of units, such as kg, 斤 or 箱"
    )


class QuantityNotPositive(DomainError):
    """Nothing, less than nothing, or less than a gram was stated."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "quantity-not-positive"
    title: ClassVar[Text] = Text("数量必须大于零", "The quantity must be more than zero")
    next_step: ClassVar[Text] = Text("请填写实际数量", "State the quantity that was weighed")


class QuantityAbsurd(DomainError):
    """No vessel or herd of this city is that large; a digit or the unit is wrong."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "quantity-absurd"
    title: ClassVar[Text] = Text("数量过大，不合常理", "The quantity is larger than any real one")
    next_step: ClassVar[Text] = Text(
        "请检查小数点和单位 (公斤还是斤)", "Check the decimal point and the unit (kg or 斤)"
    )


class QuantityNotWhole(DomainError):
    """Animals, eggs and pieces are counted whole."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "quantity-not-whole"
    title: ClassVar[Text] = Text("该单位的数量应为整数", "This unit is counted in whole numbers")
    next_step: ClassVar[Text] = Text(
        "请填写整数，或改用公斤、斤", "State a whole number, or use kg or 斤"
    )


class UnitNotForProduct(DomainError):
    """The product is not counted in this unit."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unit-not-for-product"
    title: ClassVar[Text] = Text("该产品不使用这个单位", "The product is not counted in this unit")
    next_step: ClassVar[Text] = Text(
        "请改用公斤、斤，或该产品常用的单位", "Use kg or 斤, or a unit this product is sold in"
    )


class PackWeightMissing(DomainError):
    """A pack or a head weighs what is stated with it, and nothing was stated."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "pack-weight-missing"
    title: ClassVar[Text] = Text("缺少每件净重", "The net weight of one is missing")
    next_step: ClassVar[Text] = Text(
        "请填写每箱（筐、袋、头、只）的净重", "State the net weight of one pack or head"
    )


class PackWeightUnexpected(DomainError):
    """A weight was stated for a unit that is a weight."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "pack-weight-unexpected"
    title: ClassVar[Text] = Text("重量单位不需要每件净重", "A unit of mass takes no net weight")
    next_step: ClassVar[Text] = Text(
        "请去掉每件净重，或改用箱、筐等单位", "Drop the net weight, or use a pack such as 箱"
    )


@dataclass(frozen=True, slots=True)
class Dated:
    """A rule in force from `valid_from` (inclusive) to `valid_to` (exclusive, None: still)."""

    valid_from: date
    valid_to: date | None

    def in_force(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return dated.in_force(self.valid_from, self.valid_to, on)


@dataclass(frozen=True, slots=True)
class Synonym:
    """A way to say a product; the first of a product is its name."""

    name: str
    pinyin: str
    initials: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue.

    Attributes:
        id: Catalogue code, which signed tickets carry: 1 to 53 Nantong's list, from 101 on what
            they are made of or made into.
        nyt3177: Code in NY/T 3177-2018, where its table was readable.
        gb2763_category: Category of GB 2763 Annex A, on which residue limits hang.
        base_unit: What it is usually weighed in.
    """

    id: int
    name: str
    nyt3177: str | None
    gb2763_category: str | None
    group: Group
    base_unit: str
    local_specialty: bool
    specialty_note: str | None
    synonyms: tuple[Synonym, ...]
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as spoken.

    Attributes:
        code: The word on tickets: 公斤, 斤, 头, 箱.
        grams: What one weighs, for units of mass.
        aliases: Other ways to write it.
    """

    code: str
    en: str
    kind: UnitKind
    grams: int | None
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductUnit(Dated):
    """That a product is counted in a unit.

    Attributes:
        grams_per_unit: What one weighs if the seller states nothing; None: he must.
        pieces_per_unit: How many single things one is: a 板 is 30 eggs.
    """

    product_id: int
    unit_code: str
    grams_per_unit: int | None
    pieces_per_unit: int | None
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class DatedRequirement(Dated):
    """The proof that a product needs for a while."""

    product_id: int
    production: Production
    requirement: Requirement
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Process:
    """A way in which goods become other goods."""

    code: str
    name: Text


@dataclass(frozen=True, slots=True)
class YieldBand(Dated):
    """Grams out for 1,000 grams in.

    Attributes:
        output_product_id: The output that is meant; None: all outputs together.
    """

    code: str
    process_code: str
    input_product_id: int | None
    input_category: str | None
    input_group: Group | None
    output_product_id: int | None
    low_permille: int
    high_permille: int
    source: str
    verified: bool

    def takes(self, product: Product) -> bool:
        """Whether the process takes this product in."""
        return (
            product.id == self.input_product_id
            or (self.input_category is not None and product.gb2763_category == self.input_category)
            or product.group == self.input_group
        )

    def holds(self, input_g: int, output_g: int) -> bool:
        """Whether the output is within the band; its edges belong to it."""
        permille = output_g * 1000
        return self.low_permille * input_g <= permille <= self.high_permille * input_g


@dataclass(frozen=True, slots=True)
class Tolerance(Dated):
    """By how much two weighings may differ; without a group, for all goods."""

    code: str
    group: Group | None
    permille: int
    source: str
    verified: bool


D = TypeVar("D", bound=Dated)


def _on(rules: Iterable[D], on: date) -> Iterable[D]:
    return (rule for rule in rules if rule.in_force(on))


class Catalogue:
    """Everything the catalogue's tables held when it was read; nothing in it changes."""

    def __init__(
        self,
        *,
        version: str,
        products: Iterable[Product] = (),
        units: Iterable[Unit] = (),
        product_units: Iterable[ProductUnit] = (),
        requirements: Iterable[DatedRequirement] = (),
        processes: Iterable[Process] = (),
        bands: Iterable[YieldBand] = (),
        tolerances: Iterable[Tolerance] = (),
    ) -> None:
        """Index the rows for look-up by product."""
        self.version = version
        self.products: Mapping[int, Product] = {product.id: product for product in products}
        self.units: Mapping[str, Unit] = {unit.code: unit for unit in units}
        self.processes: Mapping[str, Process] = {process.code: process for process in processes}
        self.bands: Sequence[YieldBand] = tuple(bands)
        self.tolerances: Sequence[Tolerance] = tuple(tolerances)
        self._spoken = {
            spoken.casefold(): unit
            for unit in self.units.values()
            for spoken in (unit.code, unit.en, *unit.aliases)
        }
        self._product_units: dict[tuple[int, str], list[ProductUnit]] = {}
        for row in product_units:
            self._product_units.setdefault((row.product_id, row.unit_code), []).append(row)
        self._requirements: dict[int, list[DatedRequirement]] = {}
        for rule in requirements:
            self._requirements.setdefault(rule.product_id, []).append(rule)

    def product(self, product_id: int) -> Product:
        """Answer a product by its code.

        Raises:
            UnknownProduct: there is none.
        """
        if product_id not in self.products:
            raise UnknownProduct(product=product_id)
        return self.products[product_id]

    def unit(self, spoken: str) -> Unit:
        """Answer a unit by its word or an alias, in any case of letters.

        Raises:
            UnknownUnit: nothing is called that.
        """
        unit = self._spoken.get(spoken.strip().casefold())
        if unit is None:
            raise UnknownUnit(pointer="/unit")
        return unit

    def product_unit(self, product_id: int, unit_code: str, on: date) -> ProductUnit | None:
        """Answer how a product is counted in a unit on a day, if it is."""
        rows = self._product_units.get((product_id, unit_code), ())
        return next(iter(_on(rows, on)), None)

    def product_units(self, product_id: int, on: date) -> list[ProductUnit]:
        """Answer all units besides those of mass that a product is sold in on a day."""
        found = (self.product_unit(product_id, unit, on) for unit in self.units)
        return [row for row in found if row is not None]

    def requirement(
        self, product_id: int, production: Production, on: date
    ) -> DatedRequirement | None:
        """Answer the proof that a product needs on a day; None before the first rule.

        A rule for the very production (farmed, wild) is stronger than one for any. Goods whose
        production nobody stated are treated as farmed, for which the law asks most.

        Raises:
            UnknownProduct: there is no such product.
        """
        rows = self._requirements.get(self.product(product_id).id, ())
        if production is Production.ANY:
            production = Production.FARMED
        rules = {rule.production: rule for rule in _on(rows, on)}
        return rules.get(production) or rules.get(Production.ANY)

    def yield_bands(
        self, process: str, input_product_id: int, output_product_id: int | None, on: date
    ) -> list[YieldBand]:
        """Answer the bands that say how much of an output a process gives on a day.

        Args:
            process: Code of the process.
            input_product_id: What goes in.
            output_product_id: What comes out, or None for all that comes out together.
            on: The day of the process.

        Raises:
            UnknownProduct: the catalogue has no such input.
        """
        product = self.product(input_product_id)
        return [
            band
            for band in _on(self.bands, on)
            if band.process_code == process
            and band.takes(product)
            and band.output_product_id == output_product_id
        ]

    def processes_of(self, input_product_id: int, on: date) -> list[Process]:
        """Answer the processes that take a product in on a day."""
        product = self.product(input_product_id)
        codes = dict.fromkeys(b.process_code for b in _on(self.bands, on) if b.takes(product))
        return [self.processes[code] for code in codes]

    def tolerance_permille(self, product_id: int, on: date) -> int:
        """Answer by how many grams in 1,000 two weighings of a product may differ on a day."""
        group = self.product(product_id).group
        applicable = (t for t in _on(self.tolerances, on) if t.group in {None, group})
        return max((tolerance.permille for tolerance in applicable), default=0)
