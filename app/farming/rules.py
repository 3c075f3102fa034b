"""When a crop may be harvested after a treatment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar, Final

from app.core import dated
from app.core.errors import DomainError, Kind, Text

SOURCE = "农产品质量安全法 art. 27, 29; 农药管理条例 art. 34"
"""The production record names inputs and dates; nothing is harvested within the interval."""


class NotAPlot(DomainError):
    """Crops stand on plots."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "not-a-plot"
    title: ClassVar[Text] = Text("该地点不是地块", "The place is not a plot")
    next_step: ClassVar[Text] = Text(
        "请选择施药的地块，或先登记地块", "Choose the plot that was treated, or register it first"
    )


M2_PER_MU: Final = 2000 / 3


@dataclass(frozen=True, slots=True)
class Interval:
    """A dated pre-harvest interval of a substance, for one product or for all others."""

    substance: str
    product_id: int | None
    days: int
    valid_from: date
    valid_to: date | None


def interval_days(
    known: Iterable[Interval],
    substance: str,
    product_id: int | None,
    on: date,
    *,
    label_days: int | None,
) -> int | None:
    """Answer how many days must pass after a treatment; None where nobody knows.

    The interval of the very product goes before that for all products. Where the label at hand is
    stricter, the label counts.

    Args:
        known: Intervals of any substance and date.
        substance: Active substance, as in the register of pesticides.
        product_id: The crop; None if the record does not say.
        on: Day of the treatment.
        label_days: What the label says, if it was copied.
    """
    fitting = [
        row
        for row in known
        if row.substance == substance
        and row.product_id in {None, product_id}
        and dated.in_force(row.valid_from, row.valid_to, on)
    ]
    fitting.sort(key=lambda row: row.product_id is None)
    days = [row.days for row in fitting[:1]]
    if label_days is not None:
        days.append(label_days)
    return max(days, default=None)


def earliest_harvest(on: date, days: int | None) -> date | None:
    """Answer the first day of harvest after a treatment; None where no interval is known."""
    return None if days is None else on + timedelta(days=days)


def share_of_yield_permille(harvested_g: int, area_m2: int, kg_per_mu_max: int) -> int:
    """Answer what was harvested in thousandths of the best that the area gives in a season.

    A mu (亩) is 2,000/3 m².
    """
    return round(harvested_g * M2_PER_MU / (area_m2 * kg_per_mu_max))
