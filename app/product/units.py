"""From what was said to grams, and from grams to what is printed."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal

from app.core.errors import Text
from app.product.rules import (
    Catalogue,
    PackWeightMissing,
    PackWeightUnexpected,
    Product,
    QuantityAbsurd,
    QuantityNotPositive,
    QuantityNotWhole,
    Unit,
    UnitKind,
    UnitNotForProduct,
)

QUANTITY_G_MAX = 10_000_000_000
"""Ten thousand tonnes: more than the largest grain barge on the Yangtze brings."""

_GRAMS_A_KILOGRAM = 1_000
_JIN_A_KILOGRAM = 2
# Enough digits that no product of a sane quantity and a weight is rounded before it is a gram.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_EXPONENT_MAX = 12


@dataclass(frozen=True, slots=True)
class Mass:
    """What a quantity comes to.

    Attributes:
        mass_g: Whole grams.
        pieces: Single things (heads, eggs) where the unit counts them, else None.
    """

    mass_g: int
    pieces: int | None = None


def to_grams(
    quantity: Decimal,
    unit: Unit,
    product: Product,
    *,
    pack_net_g: int | None,
    on: date,
    catalogue: Catalogue,
) -> Mass:
    """Turn a quantity as spoken into whole grams.

    A fraction of a gram is rounded half to even: below what any trade scale shows. A unit of mass
    is never given a net weight. A counted unit must be one that the product is counted in; a pack
    may hold anything. Where the seller states the net weight of one, his statement is stronger than
    the catalogue's default.

    Args:
        quantity: How many of the unit.
        unit: The unit, from `catalogue.unit`.
        product: What is counted.
        pack_net_g: Net grams of one pack or head, as stated.
        on: The day of the event, for default weights.
        catalogue: Where the product's units stand.

    Raises:
        QuantityNotPositive: zero, negative, not a number, or less than half a gram.
        QuantityAbsurd: more than 10,000 tonnes.
        PackWeightUnexpected: a net weight was stated for a unit of mass.
        UnitNotForProduct: the product is not counted in this unit on this day.
        QuantityNotWhole: half a head.
        PackWeightMissing: one has no stated and no default weight.
    """
    if not quantity.is_finite() or quantity <= 0 or quantity.adjusted() < -_EXPONENT_MAX:
        raise QuantityNotPositive(pointer="/quantity")
    if quantity.adjusted() > _EXPONENT_MAX:
        raise QuantityAbsurd(pointer="/quantity", limit_g=QUANTITY_G_MAX)
    if unit.kind is UnitKind.MASS:
        if pack_net_g is not None:
            raise PackWeightUnexpected(pointer="/pack_net_g", unit=unit.code)
        assert unit.grams is not None, "the catalogue's check: a unit of mass has grams"
        return Mass(_whole_grams(quantity, unit.grams))
    row = catalogue.product_unit(product.id, unit.code, on)
    if row is None and unit.kind is UnitKind.COUNT:
        raise UnitNotForProduct(
            pointer="/unit",
            unit=unit.code,
            units=[row.unit_code for row in catalogue.product_units(product.id, on)],
        )
    whole = quantity == quantity.to_integral_value()
    if unit.kind is UnitKind.COUNT and not whole:
        raise QuantityNotWhole(pointer="/quantity", unit=unit.code)
    one_g = pack_net_g if pack_net_g is not None else (row.grams_per_unit if row else None)
    if one_g is None:
        raise PackWeightMissing(pointer="/pack_net_g", unit=unit.code)
    pieces = None
    if row is not None and row.pieces_per_unit is not None and whole:
        pieces = int(quantity) * row.pieces_per_unit
    return Mass(_whole_grams(quantity, one_g), pieces)


def spell_mass(mass_g: int) -> Text:
    """Print a mass in both spellings: 300000 is 300 公斤（600 斤） and 300 kg (600 jin)."""
    assert mass_g >= 0, "no balance is ever negative"
    kilograms, jin = _thousandths(mass_g), _thousandths(_JIN_A_KILOGRAM * mass_g)
    return Text(f"{kilograms} 公斤（{jin} 斤）", f"{kilograms} kg ({jin} jin)")


def _whole_grams(quantity: Decimal, one_g: int) -> int:
    if one_g <= 0:
        raise QuantityNotPositive(pointer="/pack_net_g")
    exact = _EXACT.multiply(quantity, Decimal(one_g))
    mass_g = int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))
    if mass_g <= 0:
        raise QuantityNotPositive(pointer="/quantity")
    if mass_g > QUANTITY_G_MAX:
        raise QuantityAbsurd(pointer="/quantity", limit_g=QUANTITY_G_MAX)
    return mass_g


def _thousandths(count: int) -> str:
    """Write a thousandth of a whole number, without zeros that say nothing."""
    whole, rest = divmod(count, _GRAMS_A_KILOGRAM)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
