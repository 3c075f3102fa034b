"""A party's credit file (信用档案): what the books say about it, put side by side and not weighed.

Nothing is written down for it: agreements, gates, buyers, tests and recalls are read where they
were recorded. A grade is the market's own, as its agreement names it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission.findings import OBSERVATIONS
from app.party.access import Caller, OtherParty, may_supervise
from app.party.models import Party
from app.supervision.schemas import CreditFileOut, FindingCount
from app.testing.rules import HOLDING

SHOWN_MAX: Final = 50
"""Agreements, bad samples and recalls that are named one by one, the latest first."""

# Lines at the gate are reached by way of the party's tickets, of which there is an index.
_LINES: Final = """
    FROM ticket AS t JOIN inspection_line AS l ON l.ticket_id = t.id
    WHERE t.seller_id = :party AND t.sold_at >= :since
"""
_COUNTS: Final = {
    "sales": """
        SELECT s.status AS name, count(*) AS count
        FROM ticket AS t JOIN ticket_state AS s ON s.ticket_id = t.id
        WHERE t.seller_id = :party AND t.sold_at >= :since GROUP BY s.status
    """,
    "gates": f"SELECT l.decision AS name, count(*) AS count {_LINES} GROUP BY l.decision",
    "findings": f"""
        SELECT found.value ->> 'code' AS name, count(*) AS count
        FROM (SELECT l.findings {_LINES}) AS lines, jsonb_array_elements(lines.findings) AS found
        GROUP BY found.value ->> 'code'
    """,  # noqa: S608 (ours)
    "samples": """
        SELECT status AS name, count(*) AS count FROM sample
        WHERE holder_id = :party AND taken_at >= :since GROUP BY status
    """,
}
_ROWS: Final = {
    "agreements": """
        SELECT p.name AS market, a.grade, a.signed_on, a.valid_from, a.valid_to
        FROM agreement AS a JOIN place AS p ON p.id = a.market_id
        WHERE a.party_id = :party ORDER BY a.valid_from DESC, a.id DESC LIMIT :most
    """,
    "failed": """
        SELECT s.public_id AS sample, p.name AS product_name, s.status, s.taken_at
        FROM sample AS s JOIN product AS p ON p.id = s.product_id
        WHERE s.holder_id = :party AND s.taken_at >= :since AND s.status = ANY(:holding)
        ORDER BY s.id DESC LIMIT :most
    """,
    "recalls": """
        SELECT r.public_id AS recall, r.grade, r.reason, n.lots, n.sent_at, n.due_at,
            n.acknowledged_at
        FROM recall_notice AS n JOIN recall AS r ON r.id = n.recall_id
        WHERE n.party_id = :party AND n.sent_at >= :since AND NOT r.mock
        ORDER BY n.sent_at DESC, r.id DESC LIMIT :most
    """,
}


async def read(
    session: AsyncSession, caller: Caller, party: Party, *, since: datetime
) -> CreditFileOut:
    """Put together what is known of a party since an instant: for itself, and for its supervisors.

    Raises:
        OtherParty: it is another party, outside the caller's jurisdiction.
    """
    if party.id != caller.acting_party and not may_supervise(caller, party.division_code):
        raise OtherParty
    asked: Mapping[str, Any] = {
        "party": party.id,
        "since": since,
        "most": SHOWN_MAX,
        "holding": sorted(HOLDING),
    }
    said: dict[str, Any] = {}
    for name, statement in _COUNTS.items():
        rows = await session.execute(text(statement), asked)
        said[name] = dict(sorted((row.name, row.count) for row in rows))
    for name, statement in _ROWS.items():
        said[name] = [
            dict(row) for row in (await session.execute(text(statement), asked)).mappings()
        ]
    found = [
        FindingCount(code=code, zh=kind.text.zh, en=kind.text.en, count=count)
        for code, count in sorted(said.pop("findings").items(), key=lambda one: (-one[1], one[0]))
        if (kind := OBSERVATIONS.get(code)) is not None
    ]
    return CreditFileOut(party=party.public_id, since=since, findings=found, **said)
