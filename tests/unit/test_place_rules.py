import csv
import json
from collections.abc import Iterable
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import DomainError
from app.place import rules, seed
from app.place.rules import (
    DivisionRecord,
    Gazetteer,
    Level,
    PlaceKind,
    ReportingUnit,
    UnitKind,
    check_geometry,
    resolve,
)

IN_2019 = date(2019, 5, 1)
TODAY = date(2026, 6, 18)
MERGED = date(2020, 7, 3)
"""苏政发〔2020〕60号: 崇川 and 港闸 become one, 海门 becomes a district."""


def _records(rows: Iterable[dict[str, Any]]) -> list[DivisionRecord]:
    kept = DivisionRecord.__dataclass_fields__
    return [DivisionRecord(**{key: row[key] for key in kept}) for row in rows]


GAZETTEER = Gazetteer(_records(seed.divisions()))
UNITS = [
    ReportingUnit(
        **row,
        divisions=tuple(
            member["division_code"]
            for member in seed.reporting_unit_divisions()
            if member["unit_code"] == row["code"]
        ),
    )
    for row in seed.reporting_units()
]
CURRENT = sorted(
    row["code"] for row in seed.divisions() if row["valid_to"] is None and row["code"][:4] == "3206"
)
RETIRED = sorted(row["code"] for row in seed.divisions() if row["valid_to"] is not None)


# --- the register --------------------------------------------------------------------------------


def test_nantong_has_its_real_divisions() -> None:
    """Domain.md §1.3: 8 county units, 136 township units, 2,005 village units."""
    levels = [GAZETTEER.of(code)[-1].level for code in CURRENT]
    assert levels.count(Level.COUNTY) == 8
    assert levels.count(Level.TOWNSHIP) == 136
    assert levels.count(Level.VILLAGE) == 2005


def test_every_current_code_resolves_to_itself_under_its_own_county() -> None:
    for code in CURRENT:
        division = resolve(code, TODAY, GAZETTEER)
        assert division.current_code == code
        assert not division.through_successor
        assert (division.province, division.city) == ("江苏省", "南通市")
        assert division.county or division.level is Level.CITY


def test_every_retired_code_still_resolves_to_something_in_nantong() -> None:
    for code in RETIRED:
        division = resolve(code, TODAY, GAZETTEER)
        assert division.city == "南通市"
        assert division.county is not None


def test_every_retired_code_resolves_as_itself_on_its_last_day() -> None:
    for code in RETIRED:
        end = GAZETTEER.of(code)[-1].valid_to
        last = (end or TODAY) - timedelta(days=1)
        division = resolve(code, last, GAZETTEER)
        assert division.current_code == code
        assert not division.through_successor


def test_two_names_of_one_code_on_one_day_are_a_bug() -> None:
    record = GAZETTEER.of("320623")[0]
    with pytest.raises(AssertionError, match="320623"):
        Gazetteer([record, record])


@pytest.mark.parametrize("name", ["townships.csv", "villages.csv", "divisions_history.csv"])
def test_the_files_say_where_each_line_comes_from(name: str) -> None:
    text = (files("app.place") / "data" / name).read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        assert line["source"].startswith(("NBS 20", "python-stdnum", "苏政发", "江苏省政府"))
        assert line["verified"] in {"true", "false"}


# --- resolution by date --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "on", "name", "current", "through"),
    [
        ("320602", IN_2019, "崇川区", "320602", False),
        ("320602", TODAY, "崇川区", "320613", True),
        ("320602", date(1985, 1, 1), "城区", "320602", False),
        ("320611", IN_2019, "港闸区", "320611", False),
        ("320611", TODAY, "崇川区", "320613", True),
        ("320684", IN_2019, "海门市", "320684", False),
        ("320684", TODAY, "海门区", "320614", True),
        ("320621", date(2018, 5, 10), "海安县", "320621", False),
        ("320621", date(2018, 5, 11), "海安市", "320685", True),
        ("320685", date(2018, 8, 20), "海安市", "320685", False),
        ("320625", TODAY, "海门区", "320614", True),
        ("320625", IN_2019, "海门市", "320684", True),
        ("320624", TODAY, "通州区", "320612", True),
        ("320624", date(2000, 1, 1), "通州市", "320683", True),
        ("320626", TODAY, "启东市", "320681", True),
        ("320622", TODAY, "如皋市", "320682", True),
        ("320671", TODAY, "南通经济技术开发区", "320671", False),
    ],
)
def test_counties_have_the_name_of_the_day(
    code: str, on: date, name: str, current: str, through: bool
) -> None:
    division = resolve(code, on, GAZETTEER)
    assert (division.county, division.current_code) == (name, current)
    assert division.through_successor is through


def test_the_day_of_the_merger_decides() -> None:
    before = resolve("320684", MERGED - timedelta(days=1), GAZETTEER)
    after = resolve("320684", MERGED, GAZETTEER)
    assert (before.name, after.name) == ("海门市", "海门区")


@pytest.mark.parametrize(
    ("code", "then", "now", "current"),
    [
        # 海门 dealt its township digits out anew: by digits alone 常乐 would become 余东.
        ("320684106", "海门市常乐镇", "海门区常乐镇", "320614103"),
        ("320684113", "海门市余东镇", "海门区余东镇", "320614106"),
        # 港闸's 001 is not 崇川's 001.
        ("320611001", "港闸区永兴街道", "崇川区永兴街道", "320613016"),
        ("320611006", "港闸区幸福街道", "崇川区幸福街道", "320613021"),
        ("320602005", "崇川区虹桥街道", "崇川区虹桥街道", "320613005"),
        ("320623105", "如东县掘港镇", "如东县掘港街道", "320623001"),
    ],
)
def test_townships_keep_their_names_through_a_change_of_code(
    code: str, then: str, now: str, current: str
) -> None:
    assert resolve(code, IN_2019, GAZETTEER).name == then
    today = resolve(code, TODAY, GAZETTEER)
    assert (today.name, today.current_code, today.through_successor) == (now, current, True)


def test_a_village_of_a_retired_county_is_found_with_all_names_of_the_day() -> None:
    village = next(code for code in RETIRED if code.startswith("320684106") and len(code) == 12)
    then = resolve(village, IN_2019, GAZETTEER)
    assert (then.county, then.township) == ("海门市", "常乐镇")
    now = resolve(village, TODAY, GAZETTEER)
    assert (now.county, now.township, now.through_successor) == ("海门区", "常乐镇", True)
    assert now.full_name.startswith("江苏省南通市海门区常乐镇")


def test_no_township_is_taken_for_another_by_its_digits() -> None:
    """A false origin is worse than a coarse one: where names differ, the parent answers."""
    for code in RETIRED:
        if len(code) != 9:
            continue
        old = resolve(code, GAZETTEER.of(code)[0].valid_from, GAZETTEER)
        new = resolve(code, TODAY, GAZETTEER)
        if new.township is not None:
            assert set(old.township or "") & set(new.township) - set("镇街道市区")


def test_a_village_without_known_successor_is_answered_by_its_township() -> None:
    # 港南村 was dissolved when 掘港镇 became 掘港街道.
    village = "320623105206"
    assert resolve(village, IN_2019, GAZETTEER).village == "港南村委会"
    today = resolve(village, TODAY, GAZETTEER)
    assert (today.level, today.township, today.village) == (Level.TOWNSHIP, "掘港街道", None)
    assert today.through_successor


def test_a_code_of_another_province_resolves_to_its_county() -> None:
    division = resolve("370784", TODAY, GAZETTEER)
    assert division.full_name == "山东省潍坊市安丘市"
    assert division.name == "安丘市"


@pytest.mark.parametrize(
    ("code", "on", "refusal"),
    [
        ("32061", TODAY, rules.DivisionCodeInvalid),
        ("3206130", TODAY, rules.DivisionCodeInvalid),
        ("32061300100", TODAY, rules.DivisionCodeInvalid),
        ("3206130010011", TODAY, rules.DivisionCodeInvalid),
        ("٣20613", TODAY, rules.DivisionCodeInvalid),
        ("320613\n", TODAY, rules.DivisionCodeInvalid),
        ("", TODAY, rules.DivisionCodeInvalid),
        ("320699", TODAY, rules.UnknownDivision),
        ("320613999", TODAY, rules.UnknownDivision),
        ("320613", IN_2019, rules.DivisionNotInForce),
        ("320614103", IN_2019, rules.DivisionNotInForce),
        ("320685", date(2018, 5, 10), rules.DivisionNotInForce),
        ("320602", date(1970, 1, 1), rules.DivisionNotInForce),
    ],
)
def test_codes_that_name_nothing_are_refused(
    code: str, on: date, refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        resolve(code, on, GAZETTEER)


def test_a_refusal_says_when_the_code_begins() -> None:
    with pytest.raises(rules.DivisionNotInForce) as refusal:
        resolve("320613", IN_2019, GAZETTEER)
    facts = refusal.value.facts
    assert json.loads(json.dumps(facts)) == facts
    assert facts["valid_from"] == "2020-07-03"


@pytest.mark.parametrize(
    ("code", "canonical"),
    [
        ("320613", "320613"),
        ("320613000000", "320613"),
        ("320613001000", "320613001"),
        ("320613000", "320613"),
        ("320613001001", "320613001001"),
        ("320000", "320000"),
        ("320000000000", "320000"),
    ],
)
def test_zeros_that_fill_a_code_are_dropped(code: str, canonical: str) -> None:
    assert rules.canonical(code) == canonical


@given(st.text("0123456789", max_size=13), st.dates(date(1980, 1, 1), date(2030, 1, 1)))
def test_any_digits_resolve_or_are_refused(code: str, on: date) -> None:
    try:
        division = resolve(code, on, GAZETTEER)
    except DomainError:
        return
    assert division.name


@given(st.sampled_from(CURRENT + RETIRED), st.dates(date(1983, 1, 1), date(2030, 1, 1)))
def test_what_is_answered_was_in_force_on_the_day(code: str, on: date) -> None:
    try:
        division = resolve(code, on, GAZETTEER)
    except rules.DivisionNotInForce:
        assert on < GAZETTEER.of(code)[0].valid_from
        return
    record = GAZETTEER.at(division.current_code, on)
    assert record is not None
    assert record.level is division.level
    assert division.through_successor == (division.current_code != code)
    assert resolve(division.current_code, on, GAZETTEER).name == division.name


def test_successors_that_run_in_a_circle_end() -> None:
    first = DivisionRecord(
        "320601", "甲", Level.COUNTY, None, date(2000, 1, 1), date(2001, 1, 1), "320602"
    )
    second = DivisionRecord(
        "320602", "乙", Level.COUNTY, None, date(2000, 1, 1), date(2001, 1, 1), "320601"
    )
    with pytest.raises(rules.DivisionNotInForce):
        resolve("320601", TODAY, Gazetteer([first, second]))


# --- reporting units -----------------------------------------------------------------------------


def test_ten_units_report_today_and_their_people_are_all_counted() -> None:
    today = [unit for unit in UNITS if unit.in_force(TODAY)]
    assert len(today) == 10
    assert sum(unit.population_2020 or 0 for unit in today) == 7_726_635
    areas = {unit.name for unit in today if unit.kind is UnitKind.FUNCTIONAL_AREA}
    assert areas == {"南通经济技术开发区", "苏通科技产业园区", "通州湾示范区"}


@pytest.mark.parametrize(
    ("code", "on", "unit"),
    [
        ("320613001", TODAY, "chongchuan"),
        ("320602001", IN_2019, "chongchuan"),
        ("320611001", IN_2019, "gangzha"),
        ("320684", IN_2019, "haimen"),
        ("320612001", TODAY, "tongzhou"),
        ("320612104", TODAY, "tongzhouwan"),
        ("320612104200", TODAY, "tongzhouwan"),
        ("320623403", TODAY, "tongzhouwan"),
        ("320671001", TODAY, "kaifaqu"),
        ("320671403", TODAY, "sutong"),
        ("370784", TODAY, None),
    ],
)
def test_the_unit_that_names_the_longest_part_reports(
    code: str, on: date, unit: str | None
) -> None:
    found = rules.reporting_unit(code, on, UNITS)
    assert (found.code if found else None) == unit


def test_every_division_of_nantong_has_somebody_who_reports() -> None:
    for code in CURRENT:
        if code != "320600":
            assert rules.reporting_unit(code, TODAY, UNITS) is not None


# --- parents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PlaceKind.STALL, PlaceKind.GATE])
@pytest.mark.parametrize("parent", [None, PlaceKind.SCHOOL, PlaceKind.STALL])
def test_a_stall_or_gate_lies_in_a_market(kind: PlaceKind, parent: PlaceKind | None) -> None:
    rules.check_parent(kind, PlaceKind.MARKET)
    with pytest.raises(rules.ParentPlaceUnfit):
        rules.check_parent(kind, parent)


def test_a_plot_lies_anywhere() -> None:
    rules.check_parent(PlaceKind.PLOT, None)
    rules.check_parent(PlaceKind.PLOT, PlaceKind.SITE)


# --- geometry ------------------------------------------------------------------------------------

FIELD = [[120.9, 32.3], [120.901, 32.3], [120.901, 32.301], [120.9, 32.3]]


def test_a_point_and_a_field_are_accepted() -> None:
    assert check_geometry({"type": "Point", "coordinates": [120, 32.3]}) == {
        "type": "Point",
        "coordinates": [120.0, 32.3],
    }
    field = {"type": "Polygon", "coordinates": [FIELD]}
    assert check_geometry(field) == field


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (None, "type"),
        ([], "type"),
        ({}, "members"),
        ({"type": "Point"}, "members"),
        ({"type": "Point", "coordinates": [120.9, 32.3], "crs": {}}, "members"),
        ({"type": "LineString", "coordinates": FIELD}, "type"),
        ({"type": "Point", "coordinates": [120.9]}, "position"),
        ({"type": "Point", "coordinates": [120.9, 32.3, 4]}, "position"),
        ({"type": "Point", "coordinates": ["120.9", 32.3]}, "position"),
        ({"type": "Point", "coordinates": [True, 32.3]}, "position"),
        ({"type": "Point", "coordinates": [float("nan"), 32.3]}, "position"),
        ({"type": "Point", "coordinates": [10**400, 32.3]}, "position"),
        ({"type": "Point", "coordinates": None}, "position"),
        ({"type": "Polygon", "coordinates": []}, "ring"),
        ({"type": "Polygon", "coordinates": [None]}, "ring"),
        ({"type": "Polygon", "coordinates": [FIELD[:3]]}, "ring-open"),
        ({"type": "Polygon", "coordinates": [[*FIELD[:3], [120.9, 32.31]]]}, "ring-open"),
        ({"type": "Polygon", "coordinates": [[FIELD[0]] * 4]}, "no-area"),
        ({"type": "Polygon", "coordinates": [[*FIELD[:2] * 2, FIELD[0]]]}, "no-area"),
        ({"type": "Polygon", "coordinates": [FIELD[:1] * 1001]}, "too-many-positions"),
    ],
)
def test_other_geometries_are_refused_with_a_reason(geometry: object, reason: str) -> None:
    with pytest.raises(rules.GeometryInvalid) as refusal:
        check_geometry(geometry)
    assert refusal.value.facts["reason"] == reason


@pytest.mark.parametrize(
    ("position", "swapped"),
    [([116.4, 39.9], False), ([32.3, 120.9], True), ([0, 0], False), ([120.9, 30.0], False)],
)
def test_a_place_outside_jiangsu_is_refused(position: list[float], swapped: bool) -> None:
    with pytest.raises(rules.GeometryOutside) as refusal:
        check_geometry({"type": "Point", "coordinates": position})
    assert refusal.value.facts["swapped"] is swapped


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


@given(st.sampled_from(["Point", "Polygon", "MultiPolygon"]), JSON)
def test_any_geometry_is_accepted_or_refused(kind: str, coordinates: object) -> None:
    try:
        checked = check_geometry({"type": kind, "coordinates": coordinates})
    except DomainError:
        return
    assert check_geometry(checked) == checked


@given(
    st.lists(
        st.tuples(st.floats(119.0, 121.9), st.floats(31.7, 32.9)),
        min_size=3,
        max_size=8,
        unique=True,
    )
)
def test_a_checked_geometry_survives_being_stored(corners: list[tuple[float, float]]) -> None:
    ring = [list(corner) for corner in (*corners, corners[0])]
    try:
        checked = check_geometry({"type": "Polygon", "coordinates": [ring]})
    except rules.GeometryInvalid:
        return
    assert json.loads(json.dumps(checked)) == checked
