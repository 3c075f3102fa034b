"""What early warnings say of goods at a gate, read for a whole vehicle in one statement.

Warnings are opened above this package (`supervision`), hours after the fact; here only their table
is read, by the words of `policy.Doubt`, as the balance of a lot tells of holds.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission.policy import Doubt
from app.admission.rules import Doubted, Grace
from app.core.db import fetch, prepared
from app.core.snapshot import Snapshot

GRACE_LASTS_S = 60

# The latest of each subject and occasion: what somebody has put aside is put aside until it opens
# anew. A warning about a plot is about its crop of one season.
_WARNED = prepared("""
    SELECT DISTINCT ON (a.ticket, a.lot, w.rule, w.period)
        a.ticket, a.lot, w.rule, w.public_id, w.state = 'open'
    FROM (
        SELECT 'ticket:' || t.public_id AS subject, t.id AS ticket, CAST(NULL AS bigint) AS lot,
            CAST(NULL AS text) AS harvest, CAST(NULL AS bigint) AS product,
            CAST(NULL AS date) AS made_on
        FROM ticket t WHERE t.id = ANY(CAST(:tickets AS bigint[]))
        UNION ALL
        SELECT 'lot:' || l.public_id, NULL, l.id, NULL, NULL, NULL
        FROM lot l WHERE l.id = ANY(CAST(:lots AS bigint[]))
        UNION ALL
        SELECT 'plot:' || p.public_id, NULL, l.id, CAST(l.public_id AS text), l.product_id,
            l.made_on
        FROM lot l JOIN place p ON p.id = l.plot_id
        WHERE l.id = ANY(CAST(:lots AS bigint[])) AND l.origin = 'harvest'
    ) a
    JOIN warning w ON w.subject = a.subject AND w.rule = ANY(CAST(:rules AS text[]))
    WHERE a.harvest IS NULL OR jsonb_exists(w.evidence -> 'lots', a.harvest) OR (
        CAST(w.evidence ->> 'product' AS bigint) = a.product AND a.made_on <= w.occurred_on
        AND a.made_on > w.occurred_on - CAST(w.evidence ->> 'season_days' AS int)
    )
    ORDER BY a.ticket, a.lot, w.rule, w.period, w.id DESC
""")
# Of two that overlap, the one that was set later counts.
_GRACE = text("""
    SELECT valid_from, valid_to, CAST(parameters ->> 'grace_min' AS int) FROM warning_rule
    WHERE code = :code ORDER BY valid_from DESC
""")


@dataclass(frozen=True, slots=True)
class Doubts:
    """What warnings say of tickets and of lots, by their internal ids.

    Attributes:
        answered: What was put aside of tickets: nobody raises it again from the same facts.
        graces: By how long a certificate may be younger than the sale, dated.
    """

    of_tickets: Mapping[int, Sequence[Doubted]] = field(default_factory=dict)
    of_lots: Mapping[int, Sequence[Doubted]] = field(default_factory=dict)
    answered: Collection[tuple[int, Doubt]] = frozenset()
    graces: Sequence[Grace] = ()

    def of(self, ticket: int | None, lots: Iterable[int]) -> tuple[Doubted, ...]:
        """Answer what is open of a ticket and of lots, each once."""
        found = [*self.of_tickets.get(ticket or 0, ())]
        found += [doubt for lot in lots for doubt in self.of_lots.get(lot, ())]
        return tuple(dict.fromkeys(found))


async def read(session: AsyncSession, tickets: Collection[int], lots: Collection[int]) -> Doubts:
    """Read what was found of tickets and lots, and what became of it by now."""
    rows = await fetch(
        session,
        _WARNED,
        {"tickets": sorted(tickets), "lots": sorted(lots), "rules": list(Doubt)},
    )
    of_tickets: dict[int, list[Doubted]] = defaultdict(list)
    of_lots: dict[int, list[Doubted]] = defaultdict(list)
    answered: set[tuple[int, Doubt]] = set()
    for ticket, lot, rule, warning, is_open in rows:
        doubted = Doubted(Doubt(rule), warning=UUID(str(warning)))
        if is_open and ticket is not None:
            of_tickets[ticket].append(doubted)
        elif is_open:
            of_lots[lot].append(doubted)
        elif ticket is not None:
            answered.add((ticket, doubted.kind))
    return Doubts(of_tickets, of_lots, answered, await graces(session))


async def _read_graces(session: AsyncSession) -> tuple[Grace, ...]:
    found = await session.execute(_GRACE, {"code": Doubt.CERTIFICATE_AFTER_SALE})
    return tuple(Grace(row[0], row[1], timedelta(minutes=row[2])) for row in found)


graces = Snapshot(_read_graces, lasts_s=GRACE_LASTS_S)
"""Answers by how long a certificate may be younger than the sale that it goes with, of all days."""
