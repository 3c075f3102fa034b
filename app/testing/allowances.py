"""How much of goods on hold may be sampled without the word of the office in charge."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from app.core import dated
from app.core.errors import DomainError, Kind, Text
from app.testing.rules import Layer


class HeldSampleLimit(DomainError):
    """Goods that are kept still do not leave bag by bag as samples."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "held-sample-limit"
    title: ClassVar[Text] = Text(
        "该批次已被控制或召回, 抽样累计超过无需监管部门同意的数量",
        "The lot is on hold or recalled, and samples of it add up to more than may be taken "
        "without the office in charge",
    )
    next_step: ClassVar[Text] = Text(
        "请少取样品, 或联系负责的监管部门由其抽样",
        "Take less, or ask the office in charge of the goods, which may take more",
    )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What samplers of a layer may take of a lot on hold, as in force for a while.

    Attributes:
        lot_g: Grams of one lot, all samples and samplers together.
        permille: Of what is kept still, in thousandths: a lot that was split before the hold is not
            carried off part by part.
    """

    layer: Layer
    valid_from: date
    valid_to: date | None
    lot_g: int
    permille: int
    source: str
    verified: bool


def allowed_g(allowances: Iterable[Allowance], layer: Layer, on: date, *, kept_g: int) -> int:
    """Answer how many grams of a lot on hold may be sampled in all.

    Args:
        allowances: The dated rules.
        layer: Who samples; a layer that no rule names has the office in charge do it.
        on: The day of the sample.
        kept_g: Grams that are left of the lot, with those sampled so.
    """
    for rule in allowances:
        if rule.layer is layer and dated.in_force(rule.valid_from, rule.valid_to, on):
            return min(rule.lot_g, kept_g * rule.permille // 1000)
    return 0


def check_held(
    allowances: Iterable[Allowance],
    layer: Layer,
    on: date,
    *,
    wanted_g: int,
    taken_g: int,
    left_g: int,
) -> None:
    """Refuse a sample by which too much of a lot on hold would be gone.

    Args:
        allowances: The dated rules.
        layer: Who samples.
        on: The day of the sample.
        wanted_g: Grams of the sample.
        taken_g: Grams that others than offices took of the lot so far while it was on hold.
        left_g: Grams left of the lot.

    Raises:
        HeldSampleLimit: that is so.
    """
    most_g = allowed_g(allowances, layer, on, kept_g=left_g + taken_g)
    if taken_g + wanted_g > most_g:
        raise HeldSampleLimit(
            wanted_g=wanted_g, taken_g=taken_g, allowed_g=max(most_g - taken_g, 0)
        )
