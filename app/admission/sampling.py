"""The chance of a day: committed before it, drawn from during it, revealed after it."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import policy, seed
from app.admission.models import SamplingSeed
from app.admission.policy import Risk
from app.core import ids
from app.core.clock import SHANGHAI, local_date
from app.core.sealing import Vault
from app.transparency import service as transparency
from app.transparency.service import Statement

DAYS_AHEAD = 7
HISTORY_DAYS = 90
_PURPOSE = "sampling_seed.seed"


def subject_of(day: date) -> UUID:
    """Name a day's draw in the log."""
    return uuid5(NAMESPACE_URL, f"ypt:gate/draw/{day.isoformat()}")


async def open_day(session: AsyncSession, *, vault: Vault, now: datetime) -> bytes:
    """Answer the seed of today; commit to the days ahead and reveal those that are over.

    Every inspection opens the day, so that no timer can be forgotten: a market that works every
    week always finds a seed that was committed days ago. A first day's own commitment comes late,
    and the audit says so.
    """
    today = local_date(now)
    known = {
        row.day: row
        for row in await session.scalars(
            select(SamplingSeed).where(
                (SamplingSeed.day >= today) | SamplingSeed.revealed_at.is_(None)
            )
        )
    }
    for ahead in range(DAYS_AHEAD + 1):
        day = today + timedelta(days=ahead)
        if day not in known:
            await _commit(session, day, vault=vault, now=now)
    for day in sorted(day for day in known if day < today):
        await _reveal(session, day, vault=vault, now=now)
    row = known.get(today)
    if row is None:
        row = await session.get_one(SamplingSeed, today)
    return vault.open_bytes(row.seed_sealed, purpose=_PURPOSE)


async def _commit(session: AsyncSession, day: date, *, vault: Vault, now: datetime) -> None:
    drawn = ids.secret()
    commitment = policy.commitment_of(drawn)
    new = await session.scalar(
        insert(SamplingSeed)
        .values(
            day=day,
            commitment=commitment,
            seed_sealed=vault.seal_bytes(drawn, purpose=_PURPOSE),
            committed_at=now,
        )
        .on_conflict_do_nothing()
        .returning(SamplingSeed.day)
    )
    if new is not None:
        document = {
            "day": day.isoformat(),
            "commitment": commitment.hex(),
            "t": now.isoformat(),
        }
        statement = Statement("gate.draw-committed", subject_of(day), document)
        await transparency.append(session, [statement], now=now)


async def _reveal(session: AsyncSession, day: date, *, vault: Vault, now: datetime) -> None:
    row = await session.scalar(
        select(SamplingSeed)
        .where(SamplingSeed.day == day, SamplingSeed.revealed_at.is_(None))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if row is None:  # somebody else is at it
        return
    row.seed = vault.open_bytes(row.seed_sealed, purpose=_PURPOSE)
    row.revealed_at = now
    await session.flush()
    document = {"day": day.isoformat(), "seed": row.seed.hex(), "t": now.isoformat()}
    statement = Statement("gate.draw-revealed", subject_of(day), document)
    await transparency.append(session, [statement], now=now)


_HISTORY = text("""
    SELECT product_id, 1000 * count(*) FILTER (
        WHERE findings @> '[{"code": "test-failed"}]' OR findings @> '[{"code": "test-suspect"}]'
    ) / count(*)
    FROM inspection_line
    WHERE product_id = ANY(CAST(:products AS bigint[])) AND draw_day BETWEEN :since AND :day
    GROUP BY product_id
""")


async def failed_permille(session: AsyncSession, products: set[int], on: date) -> Mapping[int, int]:
    """Answer which share of a product's lines failed a test in the last ninety days."""
    parameters = {
        "products": sorted(products),
        "since": on - timedelta(days=HISTORY_DAYS),
        "day": on,
    }
    rows = await session.execute(_HISTORY, parameters)
    return {product: int(permille) for product, permille in rows}


async def rate(session: AsyncSession, risk: Risk) -> policy.Rate:
    """Answer how likely a line is drawn."""
    return policy.sampling_rate(await seed.sampling(session), risk)


async def find_seed(session: AsyncSession, day: date) -> SamplingSeed | None:
    """Find a day's commitment, and its seed once the day is over."""
    found: SamplingSeed | None = await session.get(SamplingSeed, day)
    return found


# --- the audit ------------------------------------------------------------------------------------


class DrawnLine(NamedTuple):
    """A line as it was drawn or not."""

    line: UUID
    rate_bp: int
    drawn: bool


@dataclass(frozen=True, slots=True)
class DrawAudit:
    """What recomputing a day's draw came to.

    Attributes:
        lines: How many lines there were.
        drawn: How many of them were drawn.
        expected: How many were to be expected by their rates.
        faults: What does not hold, each with the line or the day it is about.
    """

    day: date
    lines: int
    drawn: int
    expected: float
    faults: tuple[str, ...]


_LINES = text("""
    SELECT public_id, rate_bp, drawn FROM inspection_line WHERE draw_day = :day ORDER BY id
""")
_LOGGED_LINES = text("""
    SELECT CAST(l ->> 'line' AS uuid), CAST(l ->> 'rate_bp' AS bigint),
        CAST(l ->> 'drawn' AS boolean)
    FROM entry e, jsonb_array_elements(convert_from(e.leaf, 'UTF8')::jsonb -> 'lines') l
    WHERE e.kind = 'gate.inspected' AND e.appended_at >= :start AND e.appended_at < :stop
    ORDER BY e.id
""")
_LOGGED = text("""
    SELECT kind, convert_from(leaf, 'UTF8')::jsonb, appended_at FROM entry
    WHERE subject = :subject ORDER BY id
""")


async def audit(session: AsyncSession, day: date, *, vault: Vault, now: datetime) -> DrawAudit:
    """Recompute a day's draw from the log: the commitment, the seed, and every line.

    What the table says of a line counts for nothing here, except that it must be what the log says.
    """
    begins = datetime.combine(day, time(), SHANGHAI)
    bounds = {"start": begins, "stop": begins + timedelta(days=1)}
    lines = [DrawnLine(*row) for row in await session.execute(_LOGGED_LINES, bounds)]
    stored = {DrawnLine(*row) for row in await session.execute(_LINES, {"day": day})}
    if day < local_date(now):
        await _reveal(session, day, vault=vault, now=now)
    entries = list(await session.execute(_LOGGED, {"subject": subject_of(day)}))
    committed = [(leaf, at) for kind, leaf, at in entries if kind == "gate.draw-committed"]
    revealed = [leaf for kind, leaf, _ in entries if kind == "gate.draw-revealed"]
    faults = [
        f"{line.line}: the table and the log differ"
        for line in sorted(stored.symmetric_difference(lines))
    ]
    if len(committed) != 1:
        faults.append(f"{day}: {len(committed)} commitments in the log")
    elif local_date(committed[0][1]) >= day:
        faults.append(f"{day}: committed on the day itself, not before")
    if len(revealed) != 1:
        faults.append(f"{day}: the seed is not revealed")
    if committed and revealed:
        drawn_from = bytes.fromhex(revealed[0]["seed"])
        commitment = policy.commitment_of(drawn_from).hex()
        if not hmac.compare_digest(commitment, committed[0][0]["commitment"]):
            faults.append(f"{day}: the seed is not the one that was committed to")
        faults += [
            f"{line.line}: drawn {line.drawn}, and the seed says {not line.drawn}"
            for line in lines
            if policy.is_drawn(drawn_from, line.line, line.rate_bp) is not line.drawn
        ]
    return DrawAudit(
        day,
        len(lines),
        sum(line.drawn for line in lines),
        sum(line.rate_bp for line in lines) / policy.FULL_BP,
        tuple(faults),
    )
