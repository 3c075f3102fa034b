"""Which limit a substance has in a food on a day, and why that one (GB 2763, GB 31650). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from app.core import dated
from app.testing.rules import (
    ItemVerdict,
    Method,
    Outcome,
    QuickReading,
    State,
    UnknownMethod,
    UnknownSubstance,
    read_off,
)

UG_PER_KG: Final[Mapping[str, int]] = {"mg/kg": 1000, "μg/kg": 1, "µg/kg": 1, "ug/kg": 1}
"""Micrograms in a kilogram for one of a unit; both signs for micro are typed."""

BANNED: Final = "不得检出"

_GRAVER: Final = (Outcome.PASS, Outcome.INVALID, Outcome.SUSPECT, Outcome.POSITIVE)
"""What a quick test comes to, the gravest last: of two days it is the one that counts."""

_STRICTER: Final = (ItemVerdict.PASS, ItemVerdict.NO_LIMIT, ItemVerdict.FAIL)
"""What a finding comes to, the gravest last; that no limit is set is no pass."""


class Scope(StrEnum):
    """What a limit hangs on."""

    PRODUCT = "product"
    CATEGORY = "category"


class SubstanceGroup(StrEnum):
    """What a substance is, for the indicators of supervision."""

    PESTICIDE = "pesticide"
    VET_DRUG = "vet_drug"
    CONTAMINANT = "contaminant"
    MYCOTOXIN = "mycotoxin"
    ADDITIVE = "additive"


class Ground(StrEnum):
    """Why an answer is what it is."""

    LIMIT = "limit"
    BANNED = "banned"
    NO_LIMIT = "no_limit"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit as a standard states it.

    Attributes:
        food: The food as the standard names it.
        product_ids: Products of the catalogue that are this food.
        except_ids: Products of the category that are left out of it.
        state: The state it is for; None for any.
        amount: In `unit`; None where nothing may be found.
        temporary: Marked * in the standard.
    """

    substance: str
    food: str
    scope: Scope
    product_ids: frozenset[int]
    except_ids: frozenset[int]
    state: State | None
    amount: Decimal | None
    unit: str
    temporary: bool
    valid_from: date
    valid_to: date | None
    source: str
    verified: bool

    @property
    def amount_ug_kg(self) -> Decimal | None:
        """The most that may be found, in micrograms a kilogram."""
        return None if self.amount is None else self.amount * UG_PER_KG[self.unit]

    def in_force(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return dated.in_force(self.valid_from, self.valid_to, on)


@dataclass(frozen=True, slots=True)
class Substance:
    """What is looked for."""

    name: str
    en: str
    group: SubstanceGroup
    aliases: tuple[str, ...]
    plant: str | None
    animal: str | None


@dataclass(frozen=True, slots=True)
class Ruling:
    """Which limit decides, or that none is set.

    Attributes:
        limit: The limit; None where no limit is set, which is no pass.
        because: How it was found: product, category, with the category's name.
        beaten: Less specific or older limits that would have applied otherwise.
    """

    ground: Ground
    limit: Limit | None
    because: str
    beaten: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Food:
    """A product as limits see it."""

    product_id: int
    category: str | None


class Standards:
    """All limits, methods and names that were loaded; nothing in it changes."""

    def __init__(
        self,
        *,
        substances: Iterable[Substance] = (),
        categories: Mapping[str, str | None] | None = None,
        limits: Iterable[Limit] = (),
        methods: Iterable[Method] = (),
    ) -> None:
        """Index what was read."""
        self.substances: Mapping[str, Substance] = {known.name: known for known in substances}
        self.categories: Mapping[str, str | None] = categories or {}
        self.methods: Sequence[Method] = tuple(methods)
        self._called = {
            spoken.casefold(): known
            for known in self.substances.values()
            for spoken in (known.en, *known.aliases, known.name)
            if spoken
        }
        self._limits: dict[str, list[Limit]] = {}
        for limit in limits:
            self._limits.setdefault(limit.substance, []).append(limit)

    def substance(self, called: str, *, pointer: str | None = None) -> Substance:
        """Find a substance by its name, an alias or its English name.

        Raises:
            UnknownSubstance: nothing is called that.
        """
        known = self._called.get(called.strip().casefold())
        if known is None:
            raise UnknownSubstance(pointer=pointer, substance=called)
        return known

    def method(self, code: str, on: date) -> Method:
        """Find a quick method as in force on a day.

        Raises:
            UnknownMethod: there was none.
        """
        found = self._method(code, on)
        if found is None:
            raise UnknownMethod(pointer="/method", method=code)
        return found

    def _method(self, code: str, on: date) -> Method | None:
        known = (one for one in self.methods if one.code == code and one.in_force(on))
        return next(known, None)

    def read_off(
        self, code: str, reading: QuickReading, days: Sequence[date]
    ) -> tuple[Method, Outcome]:
        """Read a quick test off by a method as in force on each of these days; the gravest counts.

        A pass by what is no method any more when the books hear of it says nothing, and a finding
        by it is one.

        Args:
            code: The method's.
            reading: What was read off.
            days: The day of the sample, and that on which it was told of if that was late.

        Raises:
            UnknownMethod: there was none on the day of the sample.
            ReadingMissing: the method shows something else.
        """
        first, *later = days
        method = self.method(code, first)
        found = [(method, read_off(method, reading))]
        for on in later:
            known = self._method(code, on)
            found.append(
                (method, Outcome.INVALID) if known is None else (known, read_off(known, reading))
            )
        return max(found, key=lambda each: _GRAVER.index(each[1]))

    def chain(self, category: str | None) -> list[str]:
        """Answer a category and those that it lies in, the narrowest first."""
        found: list[str] = []
        while category is not None and category not in found:
            found.append(category)
            category = self.categories.get(category)
        return found

    def ruling(self, substance: str, food: Food, state: State, on: date) -> Ruling:
        """Answer the limit that decides: product before sub-category before category.

        Of two on the same food the one for the very state comes first, then the later edition.
        """
        chain = self.chain(food.category)
        found = [
            (rank, limit)
            for limit in self._limits.get(substance, ())
            if limit.in_force(on)
            and limit.state in {None, state}
            and (rank := _rank(limit, food.product_id, chain)) is not None
        ]
        # Of two that nothing else tells apart the stricter one, whatever order they were read in.
        found.sort(
            key=lambda pair: (
                pair[0],
                pair[1].state is None,
                -pair[1].valid_from.toordinal(),
                pair[1].amount_ug_kg or 0,
            )
        )
        if not found:
            return Ruling(Ground.NO_LIMIT, None, "no limit is set for this food on this day")
        _, first = found[0]
        because = (
            f"product {first.food}" if first.scope is Scope.PRODUCT else f"category {first.food}"
        )
        ground = Ground.BANNED if first.amount is None else Ground.LIMIT
        return Ruling(ground, first, because, tuple(limit for _, limit in found[1:]))


def _rank(limit: Limit, product_id: int, chain: Sequence[str]) -> int | None:
    if limit.scope is Scope.PRODUCT:
        return 0 if product_id in limit.product_ids else None
    if limit.food not in chain or product_id in limit.except_ids:
        return None
    return 1 + chain.index(limit.food)


def judge(ruling: Ruling, amount: Decimal | None, unit: str) -> ItemVerdict:
    """Compare what a laboratory found with the limit; at the limit is within it.

    Args:
        ruling: The limit that decides.
        amount: What was found; None where nothing was detected.
        unit: Of the amount.
    """
    if ruling.limit is None:
        return ItemVerdict.NO_LIMIT
    if amount is None:
        return ItemVerdict.PASS
    most = ruling.limit.amount_ug_kg
    within = most is not None and amount * UG_PER_KG[unit] <= most
    return ItemVerdict.PASS if within else ItemVerdict.FAIL


def judge_all(
    rulings: Iterable[Ruling], amount: Decimal | None, unit: str
) -> tuple[Ruling, ItemVerdict]:
    """Compare what a laboratory found with the limits of several days; the gravest counts.

    Args:
        rulings: The limit of each day, that of the sample first: of two that say the same it is
            the one that is shown.
        amount: What was found; None where nothing was detected.
        unit: Of the amount.
    """
    judged = [(ruling, judge(ruling, amount, unit)) for ruling in rulings]
    return max(judged, key=lambda each: _STRICTER.index(each[1]))
