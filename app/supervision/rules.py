"""When a figure is worth a warning, and who may put one aside."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final

from app.core import dated
from app.core.errors import DomainError, Kind, Text

M2_PER_MU: Final = 2000 / 3
_EARTH_RADIUS_KM: Final = 6371.0
_PERMILLE: Final = 1000
_PPM: Final = 1_000_000


class RuleCode(StrEnum):
    """What is watched for (abuse patterns of the trade, anomalies of codes, clocks)."""

    CERTIFICATE_OVERSOLD = "certificate-oversold"
    PLOT_OVER_YIELD = "plot-over-yield"
    CERTIFICATE_AFTER_SALE = "certificate-after-sale"
    PREHARVEST_INTERVAL = "preharvest-interval"
    CHAIN_TOO_FAST = "chain-too-fast"
    PHONE_SHARED = "phone-shared"
    PRODUCT_CHANGED = "product-changed"
    SCAN_TOO_FAST = "scan-too-fast"
    ACCEPTED_BEYOND_ISSUED = "accepted-beyond-issued"
    SCANNED_AFTER_USE = "scanned-after-use"
    OFF_LOG = "off-log"
    VIEWED_TOO_OFTEN = "viewed-too-often"
    FAILURE_CLUSTER = "failure-cluster"
    DEADLINE_OVERDUE = "deadline-overdue"


class Severity(StrEnum):
    """How soon somebody should look."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Order(StrEnum):
    """What comes first in a list of warnings."""

    NEWEST = "newest"
    WEIGHT = "weight"  # the most severe, and of those what is furthest beyond its limit


class WarningState(StrEnum):
    """What became of a warning."""

    OPEN = "open"
    HANDLED = "handled"
    FALSE = "false"


class UnknownWarning(DomainError):
    """No warning has this id, or none that the caller may see."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-warning"
    title: ClassVar[Text] = Text("没有这条预警", "There is no such warning")
    next_step: ClassVar[Text] = Text(
        "请从本辖区或本市场的预警列表中选择",
        "Choose it from the warnings of your market or jurisdiction",
    )


class WarningConcernsYou(DomainError):
    """Nobody puts aside a warning about himself."""

    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "warning-concerns-you"
    title: ClassVar[Text] = Text(
        "该预警涉及本单位，不能自行处理", "The warning is about your own party"
    )
    next_step: ClassVar[Text] = Text(
        "请交由辖区监管部门处理", "Leave it to the regulator of the area"
    )


class WarningClosed(DomainError):
    """Somebody has already said what became of it."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "warning-closed"
    title: ClassVar[Text] = Text("该预警已处理", "The warning has already been dealt with")
    next_step: ClassVar[Text] = Text(
        "请查看已有的处理结果", "Read what was made of it; new evidence opens a new warning"
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in force for a while.

    Attributes:
        parameters: Thresholds by name; see `PARAMETERS`.
    """

    code: RuleCode
    valid_from: date
    valid_to: date | None
    severity: Severity
    parameters: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        """Answer a threshold."""
        return self.parameters[name]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure about one subject, and what it rests on.

    Attributes:
        subject: What the warning would be about: a kind and a public id, or a digest.
        on: Day of the event; the rule in force on that day decides.
        figure: What was measured, in the rule's unit.
        facts: What the rule compares it with.
        evidence: Public ids and figures, for whoever looks.
        period: Tells one occasion from the next where the subject stays the same.
        party_id: Whom it concerns, if one party.
        market_ids: Markets whose offices see it.
        divisions: Where it happened; a regulator sees what lies in its jurisdiction.
    """

    subject: str
    on: date
    figure: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    period: str = ""
    party_id: int | None = None
    market_ids: tuple[int, ...] = ()
    divisions: tuple[str, ...] = ()


def in_force(rules: Iterable[Rule], on: date) -> Rule | None:
    """Answer the rule in force on a day, if there was one."""
    for rule in rules:
        if dated.in_force(rule.valid_from, rule.valid_to, on):
            return rule
    return None


# --- limits: the greatest figure that is still unremarkable ---------------------------------------


def _certified(rule: Rule, facts: Mapping[str, Any]) -> int:
    """Grams: what the certificates vouch for, and how far an estimate may be out."""
    return int(facts["certified_g"]) * rule["over_permille"] // _PERMILLE


def _issued(rule: Rule, facts: Mapping[str, Any]) -> int:
    """Grams: what the ticket was issued for."""
    return int(facts["issued_g"]) * rule["over_permille"] // _PERMILLE


def _speed(rule: Rule, facts: Mapping[str, Any]) -> int:
    """Kilometres an hour; a distance that is near nothing tells nothing."""
    near = facts["km"] < rule["km_min"]
    return int(facts["speed_kmh"]) if near else rule["speed_kmh_max"]


def _sharing(rule: Rule, facts: Mapping[str, Any]) -> int:
    """Producers; a cooperative or village may hold the phone of all its members."""
    return rule["with_organisation_max" if facts["organisation"] else "producers_max"]


def _after_use(rule: Rule, facts: Mapping[str, Any]) -> int:
    """Minutes since the ticket's end, by what ended it."""
    return rule[f"{facts['ended_by']}_grace_min"]


def _failures(rule: Rule, facts: Mapping[str, Any]) -> int:
    """Failures that its own past explains."""
    return unremarkable_failures(
        facts["tests"],
        facts["past_failures"],
        facts["past_tests"],
        alpha=rule["alpha_ppm"] / _PPM,
        failures_min=rule["failures_min"],
        weight=rule["past_weight_permille"] / _PERMILLE,
    )


Limit = Callable[[Rule, Mapping[str, Any]], int]


def _fixed(name: str) -> Limit:
    return lambda rule, _facts: rule[name]


LIMITS: Final[Mapping[RuleCode, Limit]] = MappingProxyType(
    {
        RuleCode.CERTIFICATE_OVERSOLD: _certified,
        RuleCode.PLOT_OVER_YIELD: _fixed("over_permille"),
        RuleCode.CERTIFICATE_AFTER_SALE: _fixed("grace_min"),
        RuleCode.PREHARVEST_INTERVAL: _fixed("grace_days"),
        RuleCode.CHAIN_TOO_FAST: _speed,
        RuleCode.PHONE_SHARED: _sharing,
        RuleCode.PRODUCT_CHANGED: _fixed("grams_min"),
        RuleCode.SCAN_TOO_FAST: _speed,
        RuleCode.ACCEPTED_BEYOND_ISSUED: _issued,
        RuleCode.SCANNED_AFTER_USE: _after_use,
        RuleCode.OFF_LOG: _fixed("scans_max"),
        RuleCode.VIEWED_TOO_OFTEN: _fixed("views_max"),
        RuleCode.FAILURE_CLUSTER: _failures,
        RuleCode.DEADLINE_OVERDUE: _fixed("grace_min"),
    }
)

_ROAD: Final = frozenset({"speed_kmh_max", "detour_permille", "slack_min", "km_min"})
PARAMETERS: Final[Mapping[RuleCode, frozenset[str]]] = MappingProxyType(
    {
        code: frozenset({"reopen_permille"}) | names
        for code, names in {
            RuleCode.CERTIFICATE_OVERSOLD: {"over_permille"},
            RuleCode.PLOT_OVER_YIELD: {"over_permille"},
            RuleCode.CERTIFICATE_AFTER_SALE: {"grace_min"},
            RuleCode.PREHARVEST_INTERVAL: {"grace_days"},
            RuleCode.CHAIN_TOO_FAST: _ROAD,
            RuleCode.PHONE_SHARED: {"producers_max", "with_organisation_max"},
            RuleCode.PRODUCT_CHANGED: {"grams_min"},
            RuleCode.SCAN_TOO_FAST: _ROAD,
            RuleCode.ACCEPTED_BEYOND_ISSUED: {"over_permille"},
            RuleCode.SCANNED_AFTER_USE: {
                "accepted_grace_min",
                "expired_grace_min",
                "voided_grace_min",
            },
            RuleCode.OFF_LOG: {"scans_max"},
            RuleCode.VIEWED_TOO_OFTEN: {"views_max"},
            RuleCode.FAILURE_CLUSTER: {
                "alpha_ppm",
                "failures_min",
                "baseline_weeks",
                "guard_weeks",
                "past_weight_permille",
            },
            RuleCode.DEADLINE_OVERDUE: {"hold_working_days", "grace_min"},
        }.items()
    }
)
"""The thresholds that each rule must come with, and no others."""


def limit_of(rule: Rule, measure: Measure) -> int:
    """Answer the greatest figure that the rule lets pass for this subject."""
    return LIMITS[rule.code](rule, measure.facts)


def exceeds(rule: Rule, measure: Measure) -> bool:
    """Whether a measure is worth a warning."""
    return measure.figure > limit_of(rule, measure)


def opens_anew(rule: Rule, figure: int, *, closed_figure: int) -> bool:
    """Whether a subject that somebody put aside has grown past what they looked at."""
    return figure * _PERMILLE > closed_figure * rule["reopen_permille"]


# --- yield ----------------------------------------------------------------------------------------


def share_of_yield_permille(harvested_g: int, area_m2: int, kg_per_mu_max: int) -> int:
    """Answer what was harvested in thousandths of the best that the area gives in a season.

    A mu (亩) is 2,000/3 m².
    """
    return round(harvested_g * M2_PER_MU / (area_m2 * kg_per_mu_max))


# --- distance and speed ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something is, and by how many kilometres that may be out."""

    latitude: float
    longitude: float
    radius_km: float = 0.0


def spot_of(
    geometry: Mapping[str, Any] | None, division_code: str, centres: Mapping[str, Spot]
) -> Spot | None:
    """Say where a place is: by its own point, else by its county; None where nobody knows."""
    if geometry is not None:
        coordinates = geometry["coordinates"]
        position: Sequence[float] = (
            coordinates if geometry["type"] == "Point" else coordinates[0][0]
        )
        return Spot(position[1], position[0])
    return centres.get(division_code[:6])


def km_between(one: Spot, other: Spot) -> float:
    """Answer the least distance that two spots can have: as the crow flies, less what is unsure.

    The haversine formula on a sphere of 6,371 km.
    """
    a, b = math.radians(one.latitude), math.radians(other.latitude)
    half = math.radians(other.longitude - one.longitude) / 2
    chord = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(half) ** 2
    crow = 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(chord))
    return max(crow - one.radius_km - other.radius_km, 0.0)


def speed_kmh(km: float, elapsed: timedelta, *, slack_min: int) -> int:
    """Answer the speed that somebody must have had, clocks being out by so many minutes.

    Goods that are sold on before they were sold (a negative time) took no time at all.
    """
    minutes = max(elapsed / timedelta(minutes=1), 0.0) + slack_min
    return round(km * 60 / minutes)


# --- failures against their own past --------------------------------------------------------------


def unremarkable_failures(
    tests: int,
    past_failures: int,
    past_tests: int,
    *,
    alpha: float,
    failures_min: int,
    weight: float,
) -> int:
    """Answer the greatest count of failures among so many tests that the past explains.

    Failures are Poisson with a rate per test; a gamma distribution (Jeffreys' prior) holds what the
    past says of that rate, so that the next count is negative binomial: the Bayes detector of
    Riebler 2004 (`algo.bayes` of R's surveillance package), per test instead of per week. The past
    counts for less than it is (a power prior, Ibrahim & Chen 2000), because weeks differ among
    themselves by more than Poisson. Without a past nothing is said: no count is remarkable.

    Args:
        tests: Tests of the week, ≥ 0.
        past_failures: Failures of the same product and area in the baseline.
        past_tests: Tests of the baseline.
        alpha: How often an ordinary week may be called remarkable.
        failures_min: Fewer failures than this are never remarkable.
        weight: What a past test counts for, in (0, 1].
    """
    if past_tests == 0 or tests == 0:
        return tests
    shape = 0.5 + weight * past_failures
    rate = weight * past_tests
    stay = rate / (rate + tests)
    probability = stay**shape  # of no failure at all
    at_most, count = probability, 0
    while 1 - at_most >= alpha and count < tests:
        count += 1
        probability *= (shape + count - 1) / count * (1 - stay)
        at_most += probability
    return max(count, failures_min - 1)
