"""How much of goods may be sampled without the word of the office in charge."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from app.core import dated
from app.core.errors import DomainError, Kind, Text
from app.testing.rules import Layer


class SampleLimit(DomainError):
    """A sample is what a test needs; goods do not leave as samples."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "sample-limit"
    title: ClassVar[Text] = Text(
        "抽样累计超过检测所需的数量",
        "Samples of these goods add up to more than a test needs",
    )
    next_step: ClassVar[Text] = Text(
        "请少取样品；确需多取的，请联系负责的监管部门由其抽样",
        "Take less; if more is needed, ask the office in charge of the goods, which may take it",
    )


class HeldSampleLimit(DomainError):
    """Goods that are kept still do not leave bag by bag as samples."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "held-sample-limit"
    title: ClassVar[Text] = Text(
        "该批次已被控制或召回，抽样累计超过无需监管部门同意的数量",
        "The lot is on hold or recalled, and samples of it add up to more than may be taken "
        "without the office in charge",
    )
    next_step: ClassVar[Text] = Text(
        "请少取样品，或联系负责的监管部门由其抽样",
        "Take less, or ask the office in charge of the goods, which may take more",
    )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What samplers of a layer may take of goods, as in force for a while.

    Attributes:
        held: Whether it is for lots on hold, or for all others.
        lot_g: Grams of one lot, all samples of its holder together, or of all markets.
        permille: Of the goods, in thousandths: what was split is not carried off part by part.
    """

    layer: Layer
    held: bool
    valid_from: date
    valid_to: date | None
    lot_g: int
    permille: int
    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Portion:
    """Goods that a sample is taken of: what is left of a lot, or what stands at a gate.

    Attributes:
        whole_g: Their grams, with those sampled so far.
        taken_g: Grams that samplers of this side sampled of them so far: its holder, or markets.
    """

    whole_g: int
    taken_g: int


def allowed_g(
    allowances: Iterable[Allowance],
    layer: Layer,
    days: Collection[date],
    *,
    held: bool,
    whole_g: int,
) -> int:
    """Answer how many grams of goods may be sampled in all.

    Args:
        allowances: The dated rules.
        layer: Who samples; a layer that no rule names has the office in charge do it.
        days: The day of the sample and the one on which the books hear of it: the least of them
            counts, for whoever samples tells the first.
        held: Whether the goods are on hold.
        whole_g: Grams of the goods, with those sampled so far.
    """
    of_layer = [rule for rule in allowances if rule.layer is layer and rule.held is held]
    return min(
        next(
            (
                min(rule.lot_g, whole_g * rule.permille // 1000)
                for rule in of_layer
                if dated.in_force(rule.valid_from, rule.valid_to, on)
            ),
            0,
        )
        for on in days
    )


def check_sample(
    allowances: Iterable[Allowance],
    layer: Layer,
    days: Collection[date],
    *,
    held: bool,
    wanted_g: int,
    portion: Portion,
) -> None:
    """Refuse a sample by which too much of goods would be gone.

    Args:
        allowances: The dated rules.
        layer: Who samples.
        days: See `allowed_g`.
        held: Whether the goods are on hold.
        wanted_g: Grams of the sample.
        portion: The goods.

    Raises:
        SampleLimit, HeldSampleLimit: that is so.
    """
    most_g = allowed_g(allowances, layer, days, held=held, whole_g=portion.whole_g)
    if portion.taken_g + wanted_g > most_g:
        refusal = HeldSampleLimit if held else SampleLimit
        raise refusal(
            wanted_g=wanted_g,
            taken_g=portion.taken_g,
            allowed_g=max(most_g - portion.taken_g, 0),
        )
