"""Reads limits out of tables, and the other data that comes with a release."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from app.core.errors import DomainError, Kind, Text
from app.product.rules import Catalogue
from app.testing.limits import BANNED, UG_PER_KG, Scope, SubstanceGroup

Row = dict[str, Any]
_FILES: Final = ("substances.json", "methods.json", "limits.csv", "sample_allowances.json")

HEADINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "项目": "substance",
        "类别": "group",
        "食品": "food",
        "范围": "scope",
        "产品": "products",
        "状态": "state",
        "限量": "limit",
        "单位": "unit",
        "临时": "temporary",
        "除外": "except",
        "生效": "valid_from",
        "失效": "valid_to",
        "来源": "source",
        "已核实": "verified",
    }
)
"""How the columns are called in Chinese; both languages are read."""

_YES: Final = frozenset({"yes", "true", "1", "是", "*"})
_NO: Final = frozenset({"", "no", "false", "0", "否"})
_SCOPES: Final = {"产品": "product", "类别": "category"}
_STATES: Final = {"": "any", "鲜": "fresh", "干": "dried"}


def _yes_or_no(value: object) -> object:
    said = str(value).strip().casefold()
    if said in _YES or said in _NO:
        return said in _YES
    return value


def _names(value: object) -> object:
    return str(value).replace("、", " ").replace(",", " ").split()


def _amount(value: object) -> object:
    return None if str(value).strip() == BANNED else value


def _or_none(value: object) -> object:
    return None if str(value).strip() == "" else value


class TableUnreadable(DomainError):
    """The file holds no table of limits."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "table-unreadable"
    title: ClassVar[Text] = Text("文件不是限量表", "The file holds no table of limits")
    next_step: ClassVar[Text] = Text(
        "第一行请写表头，列名见 ypt limits import --help; 文件为 .csv 或 .xlsx",
        "Begin with a heading, see ypt limits import --help; the file is .csv or .xlsx",
    )


class LimitEntry(BaseModel):
    """A row of a table of limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    substance: str = Field(min_length=1)
    group: Annotated[SubstanceGroup | None, BeforeValidator(_or_none)] = None
    food: str = Field(min_length=1)
    scope: Annotated[Scope, BeforeValidator(lambda said: _SCOPES.get(str(said).strip(), said))]
    products: Annotated[list[str], BeforeValidator(_names)] = Field(default_factory=list)
    state: Annotated[str, BeforeValidator(lambda said: _STATES.get(str(said).strip(), said))] = (
        Field(default="any", pattern="^(any|fresh|dried)$")
    )
    limit: Annotated[
        Annotated[Decimal, Field(ge=0, max_digits=18)] | None, BeforeValidator(_amount)
    ]
    unit: str
    temporary: Annotated[bool, BeforeValidator(_yes_or_no)] = False
    leaves_out: Annotated[list[str], BeforeValidator(_names)] = Field(
        default_factory=list, alias="except"
    )
    valid_from: date
    valid_to: Annotated[date | None, BeforeValidator(_or_none)] = None
    source: str = Field(min_length=1)
    verified: Annotated[bool, BeforeValidator(_yes_or_no)] = False

    @model_validator(mode="after")
    def _sound(self) -> "LimitEntry":
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            message = "ends before it begins"
            raise ValueError(message)
        if self.unit not in UG_PER_KG:
            message = f"unit is none of {', '.join(UG_PER_KG)}"
            raise ValueError(message)
        if self.scope is Scope.PRODUCT and self.leaves_out:
            message = "only a category has exceptions"
            raise ValueError(message)
        return self


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row of a table, read, or what is wrong with it.

    Attributes:
        number: As a spreadsheet counts: the heading is row 1.
        values: As the table `residue_limit` stores it; empty where the row is refused.
        new_substance: The group of a substance that is not known yet.
        problems: Why it is refused.
        notes: What is worth knowing.
    """

    number: int
    values: Row
    new_substance: SubstanceGroup | None = None
    problems: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()


Numbered = tuple[int, Mapping[str, str]]
"""A row of a table by its headings, under the number that a spreadsheet shows beside it."""


def read_limits(
    rows: Sequence[Numbered],
    *,
    substances: Iterable[str],
    categories: Iterable[str],
    catalogue: Catalogue,
) -> list[ReadRow]:
    """Read a table of limits, row by row; what is wrong with one row leaves the others alone.

    Args:
        rows: By their headings, Chinese or English.
        substances: Names that are known.
        categories: Categories that are known.
        catalogue: Products, for the foods that are some.

    Raises:
        TableUnreadable: there is no row, or a column that nobody knows.
    """
    if not rows:
        raise TableUnreadable(rows=0)
    strange = [name for name in rows[0][1] if _member(name) not in {*HEADINGS.values(), ""}]
    if strange:
        raise TableUnreadable(columns=strange, known=[*HEADINGS.values()])
    reader = _Reader(set(substances), set(categories), catalogue)
    return [
        reader.read(number, {_member(name): cell for name, cell in row.items()})
        for number, row in rows
    ]


def _member(heading: str) -> str:
    return HEADINGS.get(heading, heading.casefold())


class _Reader:
    def __init__(self, substances: set[str], categories: set[str], catalogue: Catalogue) -> None:
        self._substances = substances
        self._categories = categories
        self._seen: dict[tuple[Any, ...], int] = {}
        self._products = {
            name: product.id
            for product in catalogue.products.values()
            for name in (*(synonym.name for synonym in product.synonyms), product.name)
        }
        self._ids = {str(number) for number in catalogue.products}

    def read(self, number: int, cells: Mapping[str, str]) -> ReadRow:
        try:
            entry = LimitEntry.model_validate({name: cell for name, cell in cells.items() if name})
        except ValidationError as error:
            told = (
                f"{'/'.join(map(str, item['loc'])) or 'row'}: {item['msg']}"
                for item in error.errors()
            )
            return ReadRow(number, {}, problems=tuple(Text(f"格式有误：{t}", t) for t in told))
        problems = list(self._problems(number, entry))
        product_ids = self._named(
            entry.products or [entry.food], problems if entry.products else []
        )
        except_ids = self._named(entry.leaves_out, problems)
        if problems:
            return ReadRow(number, {}, problems=tuple(problems))
        new = None if entry.substance in self._substances else entry.group
        self._substances.add(entry.substance)
        notes: tuple[Text, ...] = ()
        if entry.scope is Scope.PRODUCT and not product_ids:
            notes = (
                Text(
                    f"产品目录中没有“{entry.food}”，该限量暂不适用于任何产品",
                    f"No product of the catalogue is {entry.food}: the limit applies to none yet",
                ),
            )
        return ReadRow(number, _stored(entry, product_ids, except_ids), new, notes=notes)

    def _problems(self, number: int, entry: LimitEntry) -> Iterable[Text]:
        if entry.substance not in self._substances and entry.group is None:
            yield Text(
                f"没有检测项目“{entry.substance}”，请核对名称，新项目请填写类别(group)",
                f"{entry.substance} is not known: check its name, or give the group of a new one",
            )
        if entry.scope is Scope.CATEGORY and entry.food not in self._categories:
            yield Text(f"没有食品类别“{entry.food}”", f"There is no category {entry.food}")
        key = (entry.substance, entry.scope, entry.food, entry.state, entry.valid_from)
        if key in self._seen:
            row = self._seen[key]
            yield Text(f"与第 {row} 行重复", f"Row {row} is about the same")
        self._seen.setdefault(key, number)

    def _named(self, names: Iterable[str], problems: list[Text]) -> list[int]:
        found = []
        for name in names:
            if name in self._ids:
                found.append(int(name))
            elif name in self._products:
                found.append(self._products[name])
            else:
                problems.append(
                    Text(f"产品目录中没有“{name}”", f"No product of the catalogue is {name}")
                )
        return sorted(set(found))


def _stored(entry: LimitEntry, product_ids: list[int], except_ids: list[int]) -> Row:
    of_product = entry.scope is Scope.PRODUCT
    return {
        "substance": entry.substance,
        "scope": entry.scope,
        "food": entry.food,
        "state": entry.state,
        "valid_from": entry.valid_from,
        "valid_to": entry.valid_to,
        "product_ids": product_ids if of_product else [],
        "except_ids": except_ids,
        "amount": entry.limit,
        "unit": entry.unit,
        "temporary": entry.temporary,
        "source": entry.source,
        "verified": entry.verified,
    }


@dataclass(frozen=True, slots=True)
class Content:
    """What comes with a release; every row a row of a table."""

    substances: list[Row]
    categories: list[Row]
    methods: list[Row]
    clocks: list[Row]
    extensions: list[Row]
    working_days: list[Row]
    allowances: list[Row]
    limits: list[Numbered]


def read() -> Content:
    """Read the files that come with the program."""
    raw = {name: files("app.testing").joinpath("data", name).read_bytes() for name in _FILES}
    named = json.loads(raw["substances.json"])
    methods = json.loads(raw["methods.json"])
    return Content(
        substances=[
            {"substance_group" if key == "group" else key: value for key, value in row.items()}
            for row in named["substances"]
        ],
        categories=named["categories"],
        methods=[_dated(_decimal(row)) for row in methods["methods"]],
        clocks=[_dated(row) for row in methods["clocks"]],
        extensions=[_dated(row) for row in methods["extensions"]],
        working_days=[_dated(row) for row in methods["working_days"]],
        allowances=[_dated(row) for row in json.loads(raw["sample_allowances.json"])],
        limits=list(enumerate(csv.DictReader(io.StringIO(raw["limits.csv"].decode())), start=2)),
    )


def _dated(row: Row) -> Row:
    days = {"valid_from", "valid_to", "day"}
    return {
        key: date.fromisoformat(value) if key in days and value else value
        for key, value in row.items()
    }


def _decimal(row: Row) -> Row:
    bands = {"suspect_from", "positive_from"}
    return {
        key: Decimal(value) if key in bands and value else value
        for key, value in row.items()
        if key != "interferes_names"
    }
