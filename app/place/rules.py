"""What is decided about divisions, reporting units and places, without asking anybody."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache, partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ClassVar, Final
from uuid import UUID

from app.core import dated
from app.core.errors import DomainError, Kind, Text


class Level(StrEnum):
    """How high a division stands. GB/T 2260 has the first three, the statistics the rest."""

    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"
    TOWNSHIP = "township"
    VILLAGE = "village"


class UnitKind(StrEnum):
    """What a reporting unit is: a county, or a zone with a food-safety office of its own."""

    COUNTY = "county"
    FUNCTIONAL_AREA = "functional_area"


class PlaceKind(StrEnum):
    """What happens at a place."""

    PLOT = "plot"
    SITE = "site"
    COLLECTION_POINT = "collection_point"
    LANDING = "landing"
    SLAUGHTERHOUSE = "slaughterhouse"
    PLANT = "plant"
    WAREHOUSE = "warehouse"
    MARKET = "market"
    GATE = "gate"
    STALL = "stall"
    SHOP = "shop"
    SUPERMARKET = "supermarket"
    SCHOOL = "school"
    HOSPITAL = "hospital"
    CANTEEN = "canteen"
    LABORATORY = "laboratory"
    OFFICE = "office"
    DISPOSAL = "disposal"


INSIDE: Mapping[PlaceKind, frozenset[PlaceKind]] = MappingProxyType(
    {
        PlaceKind.GATE: frozenset({PlaceKind.MARKET}),
        PlaceKind.STALL: frozenset({PlaceKind.MARKET}),
    }
)
"""Kinds that exist only within another place, and in which kinds."""


class DivisionCodeInvalid(DomainError):
    """A division code has 6, 9 or 12 digits: county, township, village."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "division-code-invalid"
    title: ClassVar[Text] = Text("区划代码格式不正确", "The division code is malformed")
    next_step: ClassVar[Text] = Text(
        "请填写 6 位（县）、9 位（乡镇）或 12 位（村）数字代码",
        "Give 6 digits for a county, 9 for a township or 12 for a village",
    )


class UnknownDivision(DomainError):
    """No division ever had this code, as far as the register knows."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-division"
    title: ClassVar[Text] = Text("没有这个区划代码", "No division has this code")
    next_step: ClassVar[Text] = Text(
        "请从列表中选择县、乡镇、村", "Choose the county, township and village from the list"
    )


class DivisionNotInForce(DomainError):
    """The code did not exist yet on that day, or had ended without a successor."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "division-not-in-force"
    title: ClassVar[Text] = Text(
        "该区划代码在所述日期尚未启用或已停用", "The division code was not in force on that day"
    )
    next_step: ClassVar[Text] = Text(
        "请核对日期，或改用当日有效的区划代码",
        "Check the date, or use the code that was in force on that day",
    )


class GeometryInvalid(DomainError):
    """A geometry is a GeoJSON Point or Polygon (RFC 7946) with closed rings."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "geometry-invalid"
    title: ClassVar[Text] = Text("位置或地块图形不正确", "The position or shape is not valid")
    next_step: ClassVar[Text] = Text(
        "请重新取一次位置，或先不填；导入的图形须是点或闭合的多边形，经度在前",
        "Take the position again, or leave it out; an imported shape is a point or a closed "
        "polygon, longitude first",
    )


class GeometryOutside(DomainError):
    """A place of this register lies in Jiangsu."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "geometry-outside"
    title: ClassVar[Text] = Text("位置不在江苏省范围内", "The position lies outside Jiangsu")
    next_step: ClassVar[Text] = Text(
        "请重新取一次位置，或先不填；导入的坐标请核对经纬度是否颠倒、是否为 WGS-84",
        "Take the position again, or leave it out; of imported ones check that longitude comes "
        "first, in WGS-84",
    )


class UnknownPlace(DomainError):
    """There is no such place."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-place"
    title: ClassVar[Text] = Text("没有这个场所", "There is no such place")
    next_step: ClassVar[Text] = Text(
        "请重新选择，或先登记该场所", "Choose the place anew, or register it first"
    )


class UnknownParentPlace(DomainError):
    """The place that this one is said to lie in is not registered."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "unknown-parent-place"
    title: ClassVar[Text] = Text("上级场所未登记", "The parent place is not registered")
    next_step: ClassVar[Text] = Text(
        "请先登记市场等上级场所", "Register the market or other parent place first"
    )


class ParentPlaceUnfit(DomainError):
    """A gate or a stall lies in a market."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "parent-place-unfit"
    title: ClassVar[Text] = Text("该类场所须设在市场内", "A place of this kind lies in a market")
    next_step: ClassVar[Text] = Text(
        "请指明所在市场", "Name the market in which the gate or stall lies"
    )


# Divisions


@dataclass(frozen=True, slots=True)
class DivisionRecord:
    """One name of one code from `valid_from` (inclusive) to `valid_to` (exclusive)."""

    code: str
    name: str
    level: Level
    parent_code: str | None
    valid_from: date
    valid_to: date | None = None
    successor_code: str | None = None

    def in_force(self, on: date) -> bool:
        """Whether the code had this name on that day."""
        return dated.in_force(self.valid_from, self.valid_to, on)


@dataclass(frozen=True, slots=True)
class Division:
    """A code as it was on a day: the names from the province down, as far as the code reaches.

    Attributes:
        code: The code that was asked about.
        on: The day that was asked about.
        current_code: The code of the same area that was in force on that day.
        through_successor: Whether the code had been retired, and a successor's names are given.
    """

    code: str
    on: date
    current_code: str
    level: Level
    province: str | None = None
    city: str | None = None
    county: str | None = None
    township: str | None = None
    village: str | None = None
    through_successor: bool = False

    @property
    def name(self) -> str:
        """The names from the county down, as they stand on a ticket; above it, the last name."""
        local = "".join(filter(None, (self.county, self.township, self.village)))
        return local or self.city or self.province or ""

    @property
    def full_name(self) -> str:
        """The names from the province down."""
        parts = (self.province, self.city, self.county, self.township, self.village)
        return "".join(filter(None, parts))


_NAMED_MAX: Final = 4_096
"""Codes on days whose division is remembered, at half a kilobyte each."""


class Gazetteer:
    """All divisions of all times, found by code and by parent."""

    def __init__(self, records: Iterable[DivisionRecord]) -> None:
        """Index the records; no two of one code may overlap in time."""
        by_code: dict[str, list[DivisionRecord]] = {}
        by_parent: dict[str | None, list[DivisionRecord]] = {}
        for record in sorted(records, key=lambda r: (r.code, r.valid_from)):
            earlier = by_code.setdefault(record.code, [])
            assert not earlier or (
                earlier[-1].valid_to is not None and earlier[-1].valid_to <= record.valid_from
            ), f"division {record.code} has two names on {record.valid_from}"
            earlier.append(record)
            by_parent.setdefault(record.parent_code, []).append(record)
        self._by_code = by_code
        self._by_parent = by_parent
        # The same few villages are behind most goods, and this forgets with the records.
        self.named_on = lru_cache(_NAMED_MAX)(partial(_named_on, self))

    def __len__(self) -> int:
        """Count the records."""
        return sum(map(len, self._by_code.values()))

    def of(self, code: str) -> Sequence[DivisionRecord]:
        """Answer every record of a code, oldest first."""
        return self._by_code.get(code, ())

    def at(self, code: str, on: date) -> DivisionRecord | None:
        """Answer the record of a code that was in force on a day."""
        return next((record for record in self.of(code) if record.in_force(on)), None)

    def below(self, parent: str | None, on: date) -> list[DivisionRecord]:
        """Answer the divisions right below one on a day, by code."""
        return [record for record in self._by_parent.get(parent, ()) if record.in_force(on)]


_CODE = re.compile(r"[0-9]{6}(?:[0-9]{3}(?:[0-9]{3})?)?")
_COUNTY_DIGITS = 6


def canonical(code: str) -> str:
    """Drop the zeros with which statistics fill a county's or township's code to 12 digits.

    Raises:
        DivisionCodeInvalid: it has not 6, 9 or 12 ASCII digits.
    """
    if _CODE.fullmatch(code) is None:
        raise DivisionCodeInvalid(pointer="/division_code")
    while len(code) > _COUNTY_DIGITS and code.endswith("000"):
        code = code[:-3]
    return code


def resolve(code: str, on: date, gazetteer: Gazetteer) -> Division:
    """Say what a code of 6, 9 or 12 digits named on a day.

    A retired code leads to its successor: 320602 崇川区 is 320613 since 2020, and 320684106 常乐镇
    is 320614103. Each code has a successor of its own, because the digits below the county were
    dealt out anew: by digits alone 常乐镇 would turn into 余东镇, a false origin. Where a village
    has no known successor, its township's is the answer.

    Raises:
        DivisionCodeInvalid: it has not 6, 9 or 12 digits.
        UnknownDivision: no division ever had it.
        DivisionNotInForce: it began after that day, or ended before it without a successor.
    """
    return gazetteer.named_on(code, on)


def _named_on(gazetteer: Gazetteer, code: str, on: date) -> Division:
    code = canonical(code)
    records = gazetteer.of(code)
    if not records:
        raise UnknownDivision(code=code)
    found = _in_force(records, on, gazetteer)
    if found is None:
        raise DivisionNotInForce(
            code=code,
            on=on.isoformat(),
            valid_from=records[0].valid_from.isoformat(),
            valid_to=None if (end := records[-1].valid_to) is None else end.isoformat(),
        )
    names: dict[str, str] = {}
    above: DivisionRecord | None = found
    while above is not None:
        names[above.level.value] = above.name
        parents = gazetteer.of(above.parent_code) if above.parent_code else ()
        above = _in_force(parents, on, gazetteer)
    return Division(
        code=code,
        on=on,
        current_code=found.code,
        level=found.level,
        through_successor=found.code != code,
        **names,
    )


def _in_force(
    records: Sequence[DivisionRecord], on: date, gazetteer: Gazetteer
) -> DivisionRecord | None:
    """Find what one code was on a day: itself, else its successor's, else its parent's."""
    seen: set[str] = set()
    while True:
        begun = [record for record in records if record.valid_from <= on]
        if not begun or begun[-1].code in seen:
            return None
        record = begun[-1]
        if record.in_force(on):
            return record
        seen.add(record.code)
        onward = record.successor_code or record.parent_code
        records = gazetteer.of(onward) if onward else ()


# Reporting units


@dataclass(frozen=True, slots=True)
class ReportingUnit:
    """Who reports for an area; `divisions` may be counties, townships or villages.

    Attributes:
        population_2020: Residents on 2020-11-01, or None where the census has no figure.
    """

    code: str
    name: str
    kind: UnitKind
    population_2020: int | None
    valid_from: date
    valid_to: date | None
    divisions: tuple[str, ...]
    source: str = ""
    verified: bool = False

    def in_force(self, on: date) -> bool:
        """Whether the unit reported on that day."""
        return dated.in_force(self.valid_from, self.valid_to, on)


def reporting_unit(code: str, on: date, units: Iterable[ReportingUnit]) -> ReportingUnit | None:
    """Answer who reports for a division on a day: the unit that names the longest part of it."""
    best: tuple[int, ReportingUnit] | None = None
    for unit in units:
        if not unit.in_force(on):
            continue
        reach = max((len(d) for d in unit.divisions if code.startswith(d)), default=0)
        if reach and (best is None or reach > best[0]):
            best = (reach, unit)
    return best[1] if best else None


# Places


@dataclass(frozen=True, slots=True)
class PlaceDraft:
    """A place as someone wants it registered.

    Attributes:
        parent: The place that it lies in (a stall in its market), by public identifier.
        party: Who runs it, by public identifier.
        area_m2: Square metres.
        geometry: GeoJSON as `check_geometry` answers it.
    """

    public_id: UUID
    kind: PlaceKind
    name: str
    division_code: str
    valid_from: date
    valid_to: date | None = None
    parent: UUID | None = None
    party: UUID | None = None
    address: str | None = None
    area_m2: int | None = None
    geometry: Mapping[str, Any] | None = None


def check_parent(kind: PlaceKind, parent: PlaceKind | None) -> None:
    """Refuse a gate or stall that does not lie in a market.

    Raises:
        ParentPlaceUnfit: it lies nowhere, or in a place of another kind.
    """
    allowed = INSIDE.get(kind)
    if allowed is not None and parent not in allowed:
        raise ParentPlaceUnfit(pointer="/parent", kind=kind.value)


# Geometry


@dataclass(frozen=True, slots=True)
class Box:
    """A range of longitude and latitude in degrees, WGS-84."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, longitude: float, latitude: float) -> bool:
        """Whether a position lies in it."""
        return self.west <= longitude <= self.east and self.south <= latitude <= self.north


# The province's land and the sea in which its boats fish; generous by some tens of kilometres,
# because its purpose is to catch swapped axes and other projections, not to draw a border.
JIANGSU = Box(west=116.3, south=30.7, east=122.8, north=35.2)
POSITIONS_MAX = 1_000
_RING_MIN = 4

Position = tuple[float, float]


@dataclass(slots=True)
class _Reader:
    seen: int = field(default=0)

    def position(self, value: object) -> Position:
        self.seen += 1
        if self.seen > POSITIONS_MAX:
            raise GeometryInvalid(pointer="/geometry", reason="too-many-positions")
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise GeometryInvalid(pointer="/geometry", reason="position")
        longitude, latitude = (_number(part) for part in value)
        if not JIANGSU.holds(longitude, latitude):
            swapped = JIANGSU.holds(latitude, longitude)
            raise GeometryOutside(pointer="/geometry", swapped=swapped)
        return longitude, latitude

    def ring(self, value: object) -> list[Position]:
        if not isinstance(value, list | tuple):
            raise GeometryInvalid(pointer="/geometry", reason="ring")
        ring = [self.position(item) for item in value]
        if len(ring) < _RING_MIN or ring[0] != ring[-1]:
            raise GeometryInvalid(pointer="/geometry", reason="ring-open")
        if _doubled_area(ring) == 0:
            raise GeometryInvalid(pointer="/geometry", reason="no-area")
        return ring


def check_geometry(value: object) -> dict[str, Any]:
    """Answer a GeoJSON Point or Polygon (RFC 7946) in its plainest form.

    Raises:
        GeometryInvalid: other type or members, open or empty ring, more than 1,000 positions.
        GeometryOutside: a position lies outside Jiangsu, or the axes are swapped.
    """
    if not isinstance(value, Mapping):
        raise GeometryInvalid(pointer="/geometry", reason="type")
    if set(value) != {"type", "coordinates"}:
        # `crs` is the usual extra member; RFC 7946 knows WGS-84 only.
        raise GeometryInvalid(pointer="/geometry", reason="members")
    reader, coordinates = _Reader(), value["coordinates"]
    if value["type"] == "Point":
        return {"type": "Point", "coordinates": list(reader.position(coordinates))}
    if value["type"] != "Polygon":
        raise GeometryInvalid(pointer="/geometry", reason="type")
    if not isinstance(coordinates, list | tuple) or not coordinates:
        raise GeometryInvalid(pointer="/geometry", reason="ring")
    rings = [[list(position) for position in reader.ring(ring)] for ring in coordinates]
    return {"type": "Polygon", "coordinates": rings}


def _number(value: object) -> float:
    # The range is asked first: it refuses NaN, infinity and integers too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -360 <= value <= 360:
        raise GeometryInvalid(pointer="/geometry", reason="position")
    return float(value)


def _doubled_area(ring: Sequence[Position]) -> float:
    # Measured from the first corner: the products of whole degrees would drown a small field.
    (x0, y0), total = ring[0], 0.0
    for (x1, y1), (x2, y2) in pairwise(ring):
        total += (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    return abs(total)
