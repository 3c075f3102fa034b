"""Tables of the catalogue; written only by `service.load_catalogue`."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base
from app.product.rules import Group, Production, Requirement, UnitKind


def _valid() -> CheckConstraint:
    return CheckConstraint("valid_to > valid_from", name="valid_some_time")


def _one_of(column: str, words: type[Group | Production | Requirement | UnitKind]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class ProductRow(Base):
    """A product and its codes in the classifications that rules hang on (domain.md §4.2)."""

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("id > 0 AND id < 4294967296", name="fits_the_token"),
        CheckConstraint(_one_of("product_group", Group), name="group_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(unique=True)
    nyt3177: Mapped[str | None]
    gb2763_category: Mapped[str | None]
    product_group: Mapped[str]
    base_unit: Mapped[str] = mapped_column(ForeignKey("unit.code"))
    local_specialty: Mapped[bool]
    specialty_note: Mapped[str | None]
    source: Mapped[str]
    verified: Mapped[bool]


class ProductSynonymRow(Base):
    """A way to say or type a product, with its pinyin and initials."""

    __tablename__ = "product_synonym"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    pinyin: Mapped[str]
    initials: Mapped[str]


class UnitRow(Base):
    """A unit as spoken. Mass units weigh the same for every product; the others do not."""

    __tablename__ = "unit"
    __table_args__ = (
        CheckConstraint(_one_of("kind", UnitKind), name="kind_known"),
        CheckConstraint("(kind = 'mass') = (grams IS NOT NULL)", name="mass_has_grams"),
        CheckConstraint("grams > 0", name="grams_positive"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    en: Mapped[str]
    kind: Mapped[str]
    grams: Mapped[int | None]
    aliases: Mapped[list[str]]
    sort_order: Mapped[int]
    source: Mapped[str]
    verified: Mapped[bool]


class ProductUnitRow(Base):
    """That a product is counted or packed in a unit, and what one weighs if nobody says."""

    __tablename__ = "product_unit"
    __table_args__ = (
        _valid(),
        CheckConstraint("grams_per_unit > 0", name="grams_positive"),
        CheckConstraint("pieces_per_unit > 0", name="pieces_positive"),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    unit_code: Mapped[str] = mapped_column(ForeignKey("unit.code"), primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    grams_per_unit: Mapped[int | None]
    pieces_per_unit: Mapped[int | None]
    source: Mapped[str]
    verified: Mapped[bool]


class ProductRequirementRow(Base):
    """The proof that goods of a product need, for a stretch of time."""

    __tablename__ = "product_requirement"
    __table_args__ = (
        _valid(),
        CheckConstraint(_one_of("production", Production), name="production_known"),
        CheckConstraint(_one_of("requirement", Requirement), name="requirement_known"),
    )

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    production: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    requirement: Mapped[str]
    source: Mapped[str]
    verified: Mapped[bool]


class ProcessRow(Base):
    """A way in which goods become other goods."""

    __tablename__ = "process"

    code: Mapped[str] = mapped_column(primary_key=True)
    zh: Mapped[str]
    en: Mapped[str]


class YieldBandRow(Base):
    """How many grams come out of 1,000 that go in; without an output product, of all outputs."""

    __tablename__ = "yield_band"
    __table_args__ = (
        _valid(),
        CheckConstraint(
            "num_nonnulls(input_product_id, input_category, input_group) = 1", name="one_input"
        ),
        CheckConstraint("0 < low_permille AND low_permille < high_permille", name="band_open"),
        CheckConstraint(_one_of("input_group", Group), name="group_known"),
        Index(None, "process_code"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    process_code: Mapped[str] = mapped_column(ForeignKey("process.code"))
    input_product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
    input_category: Mapped[str | None]
    input_group: Mapped[str | None]
    output_product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
    low_permille: Mapped[int]
    high_permille: Mapped[int]
    source: Mapped[str]
    verified: Mapped[bool]


class ToleranceRow(Base):
    """By how much two weighings of the same goods may differ; without a group, of all goods."""

    __tablename__ = "tolerance"
    __table_args__ = (
        _valid(),
        CheckConstraint("permille >= 0 AND permille < 1000", name="permille_range"),
        CheckConstraint(_one_of("product_group", Group), name="group_known"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    product_group: Mapped[str | None]
    permille: Mapped[int]
    source: Mapped[str]
    verified: Mapped[bool]


class CatalogueVersionRow(Base):
    """Which content the catalogue's tables hold: one row, changed with every load that changes."""

    __tablename__ = "catalogue_version"
    __table_args__ = (CheckConstraint("only_row", name="one_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, default=True)
    digest: Mapped[str]
    loaded_at: Mapped[datetime] = mapped_column(server_default=func.now())
