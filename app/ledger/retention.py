"""Which months of events and entries may be set aside, and which are still needed.

Tickets, lots and parties are never removed, so a ledger lasts. What can leave the tables at hand
are months of events and log entries, which stand behind every record: the longest of all rules
holds for them, and whatever is open needs: a hold, recall, referral, case, report or warning.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import partitions
from app.core.clock import local_date
from app.ledger import queries, rules, service

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What may be set aside of a table.

    Attributes:
        months: For how many months the longest rule keeps it.
        source: That rule.
        rule_from: The first day that the rule still needs.
        hold_from: The first day that something open still needs; None without any.
        may_go: The months that nothing needs, by their first day.
        held_back: Months that are old enough, and that something open needs.
    """

    table: str
    months: int
    source: str
    rule_from: date
    hold_from: date | None
    may_go: tuple[date, ...]
    held_back: tuple[date, ...]


async def plans(session: AsyncSession, *, today: date) -> list[Plan]:
    """Answer for each table what may be set aside today."""
    law = await service.statute(session)
    longest = max(law.retention, key=lambda rule: (rule.months, rule.basis == "law"))
    assert longest.months == rules.longest_months(law), "the longest rule is the longest"
    since = await queries.needed_since(session)
    # A clock that was a little fast must not save an event from the month before.
    hold_from = None if since is None else local_date(since - _A_DAY).replace(day=1)
    found = []
    for table in partitions.PARTITIONED:
        rule_from = partitions.Retention(table, longest.months).ends_before(today)
        old = [
            month
            for month in await queries.months_at_hand(session, table)
            if _ends(month) <= rule_from
        ]
        held_back = [month for month in old if hold_from is not None and _ends(month) > hold_from]
        found.append(
            Plan(
                table=table,
                months=longest.months,
                source=longest.source,
                rule_from=rule_from,
                hold_from=hold_from,
                may_go=tuple(month for month in old if month not in held_back),
                held_back=tuple(held_back),
            )
        )
    return found


def _ends(month: date) -> date:
    return rules.Month(month.year, month.month).plus(1).first


async def set_aside(session: AsyncSession, *, today: date) -> list[str]:
    """Set aside what nothing needs, as the tables' owner; answer the detached tables.

    A month that is set aside stays as a table of its own. A hold that is placed at this very moment
    on goods older than the longest rule therefore loses nothing: its month can be attached again.
    """
    detached: list[str] = []
    for plan in await plans(session, today=today):
        detached += await partitions.set_aside(
            session,
            partitions.Retention(plan.table, plan.months),
            today=today,
            needed_from=plan.hold_from,
        )
    return detached
