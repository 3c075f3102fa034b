"""The entry rules of a day, and what each asks for: dated data, read by `rules.decide`.

Order 20 (2016-03-01), Order 81 (2023-12-01) and the certificate rule of 2026 (2026-02-01) are
three policies; which of their rules apply is asked of the day of the event, never of today.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.product.rules import Dated


class Severity(StrEnum):
    """What a finding does to the verdict, the gravest first."""

    REFUSE = "refuse"
    HOLD = "hold"
    TEST = "test"
    WARN = "warn"
    INFO = "info"


GRAVEST_FIRST: Final = tuple(Severity)


class Decision(StrEnum):
    """What happens to the goods (domain.md §2.7)."""

    ADMIT = "ADMIT"
    ADMIT_AFTER_TEST = "ADMIT_AFTER_TEST"
    HOLD = "HOLD"
    REFUSE = "REFUSE"
    RELEASED_BY_REGULATOR = "RELEASED_BY_REGULATOR"  # never computed: a ruling of an office


LET_IN: Final = frozenset({Decision.ADMIT, Decision.RELEASED_BY_REGULATOR})
"""Decisions after which goods are in the market."""

GRAVITY: Final = {
    Decision.RELEASED_BY_REGULATOR: 0,
    Decision.ADMIT: 0,
    Decision.ADMIT_AFTER_TEST: 1,
    Decision.HOLD: 2,
    Decision.REFUSE: 3,
}


class Proof(StrEnum):
    """Something that came with the goods, and counts: in force, in time, for these goods."""

    AGREEMENT = "agreement"  # 质量安全协议 between market and seller
    TICKET = "ticket"  # 一票通 whose chain leads to a producer or a voucher
    PRODUCER_KNOWN = "producer_known"
    PURCHASE_VOUCHER = "purchase_voucher"
    FOREIGN_TRACE_CODE = "foreign_trace_code"
    ORIGIN_PROOF = "origin_proof"  # 产地证明
    IDENTITY_RECORD = "identity_record"  # of a self-producing seller, taken at the gate
    CONFORMITY_CERTIFICATE = "conformity_certificate"
    CERTIFICATE_BASIS = "certificate_basis"
    SELF_TEST = "self_test"
    LAB_REPORT = "lab_report"
    TEST_PASSED = "test_passed"
    QUARANTINE = "quarantine"
    MEAT_INSPECTION = "meat_inspection"
    IMPORT_INSPECTION = "import_inspection"  # 入境货物检验检疫证明
    CUSTOMS_DECLARATION = "customs_declaration"


class Trait(StrEnum):
    """A circumstance of goods that decides which rules are for them."""

    IN_MARKET = "in_market"  # they are to be sold in a market whose office inspects them
    SELF_PRODUCED = "self_produced"
    ADVISED = "advised"  # the law encourages the seller to certify, and does not oblige
    IMPORTED = "imported"
    PRESENT_FORM = "present_form"  # a paper certificate on the form in force that day
    DOUBTED = "doubted"  # an early warning about them is open, or their papers contradict


class Doubt(StrEnum):
    """What makes goods implausible; the words are those of the early warnings that find it."""

    CERTIFICATE_OVERSOLD = "certificate-oversold"
    PLOT_OVER_YIELD = "plot-over-yield"
    CERTIFICATE_AFTER_SALE = "certificate-after-sale"
    PREHARVEST_INTERVAL = "preharvest-interval"
    CHAIN_TOO_FAST = "chain-too-fast"
    PRODUCT_CHANGED = "product-changed"


EVERY_CLASS: Final = "*"


@dataclass(frozen=True, slots=True)
class Rule(Dated):
    """A dated rule of entry.

    Attributes:
        code: Its stable name.
        policy: The order that it belongs to.
        finding: What is found where it is not met; a code of `rules.OBSERVATIONS`.
        classes: Proofs that a product needs by the catalogue (`Requirement`), or `*` for all.
        when: Traits that goods must have for the rule to be for them.
        unless: Traits that exempt them.
        proofs: Any one of these meets it. Empty: the finding alone brings the consequence.
        consequence: What follows where it is not met.
        source: The law, order or design that says so.
        verified: Whether the official text has been read.
    """

    code: str
    policy: str
    finding: str
    classes: frozenset[str]
    when: frozenset[Trait]
    unless: frozenset[Trait]
    proofs: tuple[Proof, ...]
    consequence: Severity
    source: str
    verified: bool

    def is_for(self, product_class: str | None, traits: Collection[Trait]) -> bool:
        """Whether goods of a class, in these circumstances, fall under it."""
        return (
            (EVERY_CLASS in self.classes or product_class in self.classes)
            and self.when <= frozenset(traits)
            and self.unless.isdisjoint(traits)
        )

    def is_met(self, proofs: Collection[Proof]) -> bool:
        """Whether one of its proofs is there."""
        return not set(self.proofs).isdisjoint(proofs)


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules of all days."""

    rules: tuple[Rule, ...] = ()

    def requirements(
        self, on: date, product_class: str | None, traits: Collection[Trait]
    ) -> Iterator[Rule]:
        """Walk the rules that ask goods for a proof on a day, in the order of the data."""
        for rule in self.rules:
            if rule.proofs and rule.in_force(on) and rule.is_for(product_class, traits):
                yield rule

    def about(self, finding: str, on: date) -> Rule | None:
        """Answer what rule speaks about a finding on a day, if any does."""
        return next(
            (
                rule
                for rule in self.rules
                if not rule.proofs and rule.finding == finding and rule.in_force(on)
            ),
            None,
        )


NO_POLICY: Final = Policy()
"""For texts that name no goods: what is found about them rests on the platform's own rules."""


# --- random samples -------------------------------------------------------------------------------

FULL_BP: Final = 10_000
"""Basis points in the whole."""


class Factor(StrEnum):
    """What a sampling rule looks at."""

    BASE = "base"
    GRADE = "grade"
    HISTORY = "history"
    SEASON = "season"


@dataclass(frozen=True, slots=True)
class SamplingRule(Dated):
    """A dated rule of how many lines are drawn for a test.

    Attributes:
        value: Basis points for a base rate; percent of the rate so far for every other.
        products: For which products; all, if empty.
        months: In which months; all, if empty.
        grade: For which credit grade of the seller.
        failed_permille_min: From which share of failed lines of the product on.
    """

    code: str
    factor: Factor
    value: int
    products: frozenset[int]
    months: frozenset[int]
    grade: str | None
    failed_permille_min: int | None
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Risk:
    """What is known of a line when it is drawn or not.

    Attributes:
        grade: Credit grade of the seller, A to D; None if nobody has graded.
        failed_permille: Share of the product's lines that failed, lately.
    """

    product: int | None
    on: date
    grade: str | None = None
    failed_permille: int = 0


@dataclass(frozen=True, slots=True)
class Rate:
    """How likely a line is drawn, and by which rules."""

    basis_points: int
    rules: tuple[str, ...]


def sampling_rate(rules: Iterable[SamplingRule], risk: Risk) -> Rate:
    """Answer the share of lines like this one that are drawn for a test.

    The base rate of the day times the percentages of every rule that fits; of several rules about
    history only the strictest counts, for each begins where the one below it ends.
    """
    fitting = [rule for rule in rules if _fits(rule, risk)]
    history = [rule for rule in fitting if rule.factor is Factor.HISTORY]
    strictest = max(history, key=lambda rule: rule.failed_permille_min or 0, default=None)
    rate, named = 0, []
    for rule in sorted(fitting, key=lambda rule: (rule.factor is not Factor.BASE, rule.code)):
        if rule.factor is Factor.HISTORY and rule is not strictest:
            continue
        named.append(rule.code)
        rate = rate + rule.value if rule.factor is Factor.BASE else rate * rule.value // 100
    return Rate(min(rate, FULL_BP), tuple(named))


def _fits(rule: SamplingRule, risk: Risk) -> bool:
    if not rule.in_force(risk.on):
        return False
    if rule.products and risk.product not in rule.products:
        return False
    if rule.months and risk.on.month not in rule.months:
        return False
    if rule.factor is Factor.GRADE and rule.grade != risk.grade:
        return False
    least = rule.failed_permille_min
    return least is None or risk.failed_permille >= least


def commitment_of(seed: bytes) -> bytes:
    """Answer what is published of a day's seed before the day."""
    return hashlib.sha256(b"ypt/gate/draw/v1\0" + seed).digest()


def is_drawn(seed: bytes, line: UUID, basis_points: int) -> bool:
    """Draw a line: HMAC-SHA256 of its id under the day's seed, against the rate.

    Whoever has the seed, once it is revealed, draws the same; before, nobody can foresee it, not
    even who chooses the line's id.
    """
    drawn = int.from_bytes(hmac.new(seed, line.bytes, hashlib.sha256).digest()[:8], "big")
    return drawn * FULL_BP < basis_points << 64
