from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import DomainError, Text
from app.product import rules, seed, units
from app.product.rules import (
    Catalogue,
    DatedRequirement,
    Group,
    Process,
    Product,
    Production,
    ProductUnit,
    Requirement,
    Synonym,
    Tolerance,
    Unit,
    UnitKind,
    YieldBand,
)
from app.product.search import find, spell
from app.product.units import Mass, spell_mass, to_grams

TODAY = date(2026, 6, 18)
RICE, CHIVES, PORK, CHICKEN, EGGS, FISH, SEAFOOD, PIG = 1, 18, 45, 47, 49, 50, 53, 101


def _catalogue() -> Catalogue:
    """Build the catalogue from the files, as the service builds it from the tables."""
    content = seed.read()
    synonyms: dict[int, list[Synonym]] = {}
    for row in content.synonyms:
        synonyms.setdefault(row["product_id"], []).append(
            Synonym(row["name"], row["pinyin"], row["initials"])
        )
    return Catalogue(
        version=content.digest,
        products=[
            Product(
                **{key: value for key, value in row.items() if key != "product_group"},
                group=Group(row["product_group"]),
                synonyms=tuple(synonyms[row["id"]]),
            )
            for row in content.products
        ],
        units=[
            Unit(row["code"], row["en"], row["kind"], row["grams"], tuple(row["aliases"]))
            for row in content.units
        ],
        product_units=[ProductUnit(**row) for row in content.product_units],
        requirements=[DatedRequirement(**row) for row in content.requirements],
        processes=[Process(row["code"], Text(row["zh"], row["en"])) for row in content.processes],
        bands=[YieldBand(**row) for row in content.bands],
        tolerances=[
            Tolerance(
                **{key: value for key, value in row.items() if key != "product_group"},
                group=row["product_group"],
            )
            for row in content.tolerances
        ],
    )


CATALOGUE = _catalogue()


def weigh(
    quantity: str | Decimal,
    unit: str,
    product_id: int = CHIVES,
    *,
    pack_net_g: int | None = None,
    on: date = TODAY,
) -> Mass:
    return to_grams(
        Decimal(quantity),
        CATALOGUE.unit(unit),
        CATALOGUE.product(product_id),
        pack_net_g=pack_net_g,
        on=on,
        catalogue=CATALOGUE,
    )


# --- from what was said to grams -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "unit", "mass_g"),
    [
        ("1", "克", 1),
        ("1", "两", 50),
        ("1", "斤", 500),
        ("1", "公斤", 1_000),
        ("1", "担", 50_000),
        ("1", "吨", 1_000_000),
        ("2.5", "斤", 1_250),
        ("0.001", "公斤", 1),
        ("1", "千克", 1_000),
        ("1", "市斤", 500),
        ("1", " KG ", 1_000),
        ("1", "jin", 500),
    ],
)
def test_units_of_mass(quantity: str, unit: str, mass_g: int) -> None:
    assert weigh(quantity, unit) == Mass(mass_g)


@given(st.integers(1, 10_000_000))
def test_a_jin_is_half_a_kilogram_whatever_the_quantity(quantity: int) -> None:
    assert weigh(Decimal(2 * quantity), "斤") == weigh(Decimal(quantity), "公斤")
    assert weigh(Decimal(quantity), "斤").mass_g == 10 * weigh(Decimal(quantity), "两").mass_g


@pytest.mark.parametrize(
    ("quantity", "unit", "mass_g"),
    [("0.001", "斤", None), ("0.003", "斤", 2), ("0.333", "斤", 166), ("0.335", "斤", 168)],
)
def test_a_fraction_of_a_gram_is_rounded_half_to_even(
    quantity: str, unit: str, mass_g: int | None
) -> None:
    if mass_g is None:
        with pytest.raises(rules.QuantityNotPositive):
            weigh(quantity, unit)
    else:
        assert weigh(quantity, unit).mass_g == mass_g


@given(st.decimals("0.001", 1_000_000, places=6))
def test_rounding_is_off_by_half_a_gram_at_most(quantity: Decimal) -> None:
    assert abs(weigh(quantity, "公斤").mass_g - quantity * 1000) <= Decimal("0.5")


@pytest.mark.parametrize(
    ("quantity", "unit", "product", "net", "expected"),
    [
        ("120", "头", PIG, 118_000, Mass(14_160_000, 120)),
        ("6", "枚", EGGS, None, Mass(330, 6)),
        ("2", "板", EGGS, None, Mass(3_300, 60)),
        ("2", "板", EGGS, 1_800, Mass(3_600, 60)),
        ("10", "箱", EGGS, 20_500, Mass(205_000)),
        ("30", "筐", CHIVES, 15_000, Mass(450_000)),
        ("1.5", "箱", CHIVES, 10_000, Mass(15_000)),
        ("8", "只", CHICKEN, 1_900, Mass(15_200, 8)),
    ],
)
def test_counted_and_packed_goods(
    quantity: str, unit: str, product: int, net: int | None, expected: Mass
) -> None:
    assert weigh(quantity, unit, product, pack_net_g=net) == expected


def test_twenty_eggs_are_about_a_kilogram() -> None:
    """Domain.md §3.3: 16 to 20 to the kilogram; the default must lie between."""
    assert 16 <= 1000 / (weigh("100", "枚", EGGS).mass_g / 100) <= 20


# One row a rule, each breaking every later rule too: the order of refusals is a promise.
@pytest.mark.parametrize(
    ("quantity", "unit", "product", "net", "refusal"),
    [
        ("-1", "尾", CHIVES, -5, rules.QuantityNotPositive),
        ("0", "斤", CHIVES, None, rules.QuantityNotPositive),
        ("NaN", "斤", CHIVES, None, rules.QuantityNotPositive),
        ("-Infinity", "斤", CHIVES, None, rules.QuantityNotPositive),
        ("1E-400000", "斤", CHIVES, None, rules.QuantityNotPositive),
        ("1E+400000", "尾", CHIVES, -5, rules.QuantityAbsurd),
        ("20000", "吨", CHIVES, None, rules.QuantityAbsurd),
        ("1", "斤", CHIVES, 500, rules.PackWeightUnexpected),
        ("2.5", "尾", CHIVES, None, rules.UnitNotForProduct),
        ("1", "头", CHIVES, 500, rules.UnitNotForProduct),
        ("1", "枚", FISH, 500, rules.UnitNotForProduct),
        ("2.5", "头", PIG, None, rules.QuantityNotWhole),
        ("1", "头", PIG, None, rules.PackWeightMissing),
        ("1", "箱", CHIVES, None, rules.PackWeightMissing),
        ("1", "箱", CHIVES, 0, rules.QuantityNotPositive),
        ("1", "箱", CHIVES, -5, rules.QuantityNotPositive),
    ],
)
def test_refusals_in_order(
    quantity: str, unit: str, product: int, net: int | None, refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        weigh(quantity, unit, product, pack_net_g=net)


def test_a_wrong_unit_is_told_the_right_ones() -> None:
    with pytest.raises(rules.UnitNotForProduct) as refusal:
        weigh("1", "头", CHICKEN)
    assert refusal.value.facts["units"] == ["只", "羽"]


def test_no_such_unit() -> None:
    with pytest.raises(rules.UnknownUnit):
        CATALOGUE.unit("磅")


def test_default_weights_are_read_as_of_the_day() -> None:
    first = seed.read().product_units[0]["valid_from"]
    with pytest.raises(rules.UnitNotForProduct):
        weigh("1", "枚", EGGS, on=first - timedelta(days=1))
    assert weigh("1", "枚", EGGS, on=first).mass_g == 55


@given(
    st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from(sorted(CATALOGUE.units)),
    st.sampled_from(sorted(CATALOGUE.products)),
    st.none() | st.integers(-10, 10**13),
)
def test_any_input_is_weighed_or_refused(
    quantity: Decimal, unit: str, product: int, net: int | None
) -> None:
    try:
        mass = weigh(quantity, unit, product, pack_net_g=net)
    except DomainError:
        return
    assert 0 < mass.mass_g <= units.QUANTITY_G_MAX
    assert mass.pieces is None or mass.pieces > 0


# --- from grams to what is printed ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("mass_g", "zh", "en"),
    [
        (300_000, "300 公斤（600 斤）", "300 kg (600 jin)"),
        (1_250, "1.25 公斤（2.5 斤）", "1.25 kg (2.5 jin)"),
        (1, "0.001 公斤（0.002 斤）", "0.001 kg (0.002 jin)"),
        (0, "0 公斤（0 斤）", "0 kg (0 jin)"),
        (10**12, "1000000000 公斤（2000000000 斤）", "1000000000 kg (2000000000 jin)"),
    ],
)
def test_a_mass_is_printed_in_both_spellings(mass_g: int, zh: str, en: str) -> None:
    assert spell_mass(mass_g) == Text(zh, en)


@given(st.integers(1, units.QUANTITY_G_MAX))
def test_both_spellings_weigh_what_was_printed(mass_g: int) -> None:
    kilograms, _, rest = spell_mass(mass_g).zh.partition(" 公斤（")
    jin = rest.removesuffix(" 斤）")
    assert weigh(kilograms, "公斤") == weigh(jin, "斤") == Mass(mass_g)


# --- search --------------------------------------------------------------------------------------


def _found(query: str, limit: int = 5) -> list[str]:
    return [product.name for product in find(query, CATALOGUE.products.values(), limit=limit)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("韭菜", "韭菜"),
        ("jc", "韭菜"),
        ("JC", "韭菜"),
        ("jiucai", "韭菜"),
        ("jiu cai", "韭菜"),
        ("ｊｃ", "韭菜"),
        ("洋芋", "马铃薯"),
        ("土豆", "马铃薯"),
        ("tudou", "马铃薯"),
        ("mls", "马铃薯"),
        ("西红柿", "番茄"),
        ("鸡毛菜", "青菜"),
        ("上海青", "青菜"),
        ("红薯", "甘薯"),
        ("lvdou", "绿豆"),
        ("lüdou", "绿豆"),
        ("大葱", "大葱/小葱"),
        ("小龙虾", "南美白对虾/罗氏虾/小龙虾"),
        ("黄豆", "大豆"),
    ],
)
def test_products_are_found_as_sellers_call_them(query: str, first: str) -> None:
    assert _found(query)[0] == first


def test_exact_comes_before_prefix_and_prefix_before_contained() -> None:
    found = _found("鸡", limit=20)
    assert found[0] == "鸡"
    assert found.index("鸡蛋") < found.index("活鸡")
    assert {"狼山鸡", "毛鸡"} & {s.name for s in CATALOGUE.product(CHICKEN).synonyms}


def test_nothing_fits_nonsense() -> None:
    assert _found("xyzzy") == []


def test_an_empty_query_answers_the_catalogue_in_order() -> None:
    assert _found("  ", limit=3) == ["大米", "小麦粉", "玉米(鲜)"]


@given(st.sampled_from(sorted(CATALOGUE.products)), st.data())
def test_every_product_is_first_by_its_name_and_found_by_every_spelling(
    product_id: int, data: st.DataObject
) -> None:
    product = CATALOGUE.product(product_id)
    everything = CATALOGUE.products.values()
    assert find(product.name, everything, limit=1) == [product]
    synonym = data.draw(st.sampled_from(product.synonyms))
    for query in (synonym.name, synonym.pinyin, synonym.initials):
        assert product in find(query, everything, limit=len(CATALOGUE.products))


@given(st.text(max_size=20), st.integers(1, 10))
def test_any_query_is_answered_within_its_limit(query: str, limit: int) -> None:
    found = find(query, CATALOGUE.products.values(), limit=limit)
    assert len(found) <= limit
    assert len(set(found)) == len(found)


def test_a_name_is_spelled_without_tones() -> None:
    assert spell("韭菜") == Synonym("韭菜", "jiucai", "jc")
    assert spell("绿豆芽") == Synonym("绿豆芽", "lvdouya", "ldy")
    assert spell("玉米(鲜)") == Synonym("玉米(鲜)", "yumixian", "ymx")


# --- requirements --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "production", "on", "expected"),
    [
        (CHIVES, Production.FARMED, TODAY, Requirement.CONFORMITY_CERTIFICATE),
        (CHIVES, Production.ANY, TODAY, Requirement.CONFORMITY_CERTIFICATE),
        (CHIVES, Production.FARMED, date(2020, 1, 1), Requirement.CONFORMITY_CERTIFICATE),
        (CHIVES, Production.FARMED, date(2019, 12, 31), Requirement.SOURCE_VOUCHER),
        (CHIVES, Production.FARMED, date(2016, 2, 29), None),
        (SEAFOOD, Production.WILD, TODAY, Requirement.SOURCE_VOUCHER),
        (SEAFOOD, Production.FARMED, TODAY, Requirement.CONFORMITY_CERTIFICATE),
        (SEAFOOD, Production.ANY, TODAY, Requirement.CONFORMITY_CERTIFICATE),
        (SEAFOOD, Production.FARMED, date(2019, 6, 1), Requirement.SOURCE_VOUCHER),
        (PORK, Production.FARMED, TODAY, Requirement.QUARANTINE_AND_MEAT_INSPECTION),
        (46, Production.FARMED, TODAY, Requirement.QUARANTINE),
        (PIG, Production.FARMED, TODAY, Requirement.QUARANTINE),
        (EGGS, Production.FARMED, TODAY, Requirement.CONFORMITY_CERTIFICATE),
        (RICE, Production.FARMED, TODAY, Requirement.FOOD_LICENCE),
        (111, Production.FARMED, TODAY, Requirement.SOURCE_VOUCHER),
    ],
)
def test_the_proof_that_the_law_of_the_day_asks_for(
    product: int, production: Production, on: date, expected: Requirement | None
) -> None:
    rule = CATALOGUE.requirement(product, production, on)
    assert (rule.requirement if rule else None) == expected


def test_every_product_needs_exactly_one_proof_today() -> None:
    for product in CATALOGUE.products:
        for production in Production:
            assert CATALOGUE.requirement(product, production, TODAY) is not None


def test_no_such_product() -> None:
    with pytest.raises(rules.UnknownProduct):
        CATALOGUE.requirement(54, Production.FARMED, TODAY)


# --- yields and tolerances -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "taken", "made", "input_g", "output_g", "within"),
    [
        ("slaughter_pig", PIG, 102, 120_000, 88_800, True),
        ("slaughter_pig", PIG, 102, 100, 70, True),
        ("slaughter_pig", PIG, 102, 100, 69, False),
        ("slaughter_pig", PIG, 102, 100, 79, False),
        ("sprout_mung", 122, 35, 10_000, 80_000, True),
        ("sprout_mung", 122, 35, 10_000, 20_000, False),
        ("press_soybean", 121, 131, 1_000_000, 180_000, True),
        ("press_soybean", 121, 132, 1_000_000, 780_000, True),
        ("trim_leaf", 13, None, 100_000, 75_000, True),
        ("wash_root", 23, None, 100_000, 75_000, False),
        ("store_day", 37, None, 100_000, 98_000, True),
    ],
)
def test_yield_bands_say_what_is_usual(
    process: str, taken: int, made: int | None, input_g: int, output_g: int, within: bool
) -> None:
    (band,) = CATALOGUE.yield_bands(process, taken, made, TODAY)
    assert band.holds(input_g, output_g) is within


def test_a_process_takes_no_other_goods() -> None:
    assert CATALOGUE.yield_bands("slaughter_pig", CHIVES, 102, TODAY) == []
    assert CATALOGUE.yield_bands("trim_leaf", CHIVES, None, TODAY) == []
    codes = [process.code for process in CATALOGUE.processes_of(121, TODAY)]
    assert sorted(codes) == ["make_tofu", "press_soybean", "sprout_soybean"]


def test_bands_name_products_that_exist() -> None:
    categories = {product.gb2763_category for product in CATALOGUE.products.values()}
    for band in CATALOGUE.bands:
        assert band.process_code in CATALOGUE.processes
        for product in (band.input_product_id, band.output_product_id):
            assert product is None or product in CATALOGUE.products
        assert band.input_category is None or band.input_category in categories


def test_tolerance_is_wider_for_what_comes_in_water() -> None:
    assert CATALOGUE.tolerance_permille(CHIVES, TODAY) == 20
    assert CATALOGUE.tolerance_permille(FISH, TODAY) == 100
    assert CATALOGUE.tolerance_permille(52, TODAY) == 100


# --- the files -----------------------------------------------------------------------------------


def test_the_catalogue_holds_nantongs_53_products_and_what_they_are_made_of() -> None:
    ids = set(CATALOGUE.products)
    assert set(range(1, 54)) <= ids
    assert min(ids - set(range(1, 54))) == 101


def test_a_file_with_a_contradiction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    original = seed._text

    def broken(name: str) -> str:
        return original(name).replace('"requirement": "pork"', '"requirement": "beef"')

    monkeypatch.setattr(seed, "_text", broken)
    with pytest.raises(ValueError, match="beef"):
        seed.read()


def test_a_file_with_an_unknown_member_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    original = seed._text
    monkeypatch.setattr(seed, "_text", lambda name: original(name).replace('"en"', '"english"'))
    with pytest.raises(ValueError, match="english"):
        seed.read()


def test_dated_rules_hold_from_their_first_day_until_the_day_before_their_end() -> None:
    rule = rules.Dated(date(2020, 1, 1), date(2021, 1, 1))
    assert not rule.in_force(date(2019, 12, 31))
    assert rule.in_force(date(2020, 1, 1))
    assert rule.in_force(date(2020, 12, 31))
    assert not rule.in_force(date(2021, 1, 1))
    assert replace(rule, valid_to=None).in_force(date(2099, 1, 1))


def test_units_of_mass_are_the_only_ones_with_grams() -> None:
    for unit in CATALOGUE.units.values():
        assert (unit.kind is UnitKind.MASS) == (unit.grams is not None)
