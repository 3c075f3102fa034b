"""How far a recall reaches: everything that suspect goods went into, set by set.

A recall may concern a hundred thousand lots and more. So ids, grams and holders are fetched as
arrays, and nothing is named here.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.trace import levels, queries, rules
from app.trace.queries import Walk

SCOPE_LOTS_MAX = 1_000_000
SOURCES_LOTS_MAX = 100_000
"""Lots behind the recalled ones that are looked at in order to find the sources."""


class Exposed(NamedTuple):
    """A lot that a recall concerns.

    Attributes:
        lot: Internal id.
        holder_id: Whose it is; None for a walk-in's.
        mass_g: Grams it began with.
        remaining_g: Grams left of it now.
        share: Part of it, 0 to 1, that stems from the recalled lots, or the suspect ones.
        exposed_g: The same in grams of `mass_g`.
    """

    lot: int
    public_id: UUID
    holder_id: int | None
    mass_g: int
    remaining_g: int
    share: float
    exposed_g: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What a recall concerns, by internal id in order of age.

    Attributes:
        lots: The recalled lots and everything that they went into; shares of the recalled lots.
        suspects: The lots that are suspect as a source.
        siblings: Everything else that a suspect source went into, and the sources themselves;
            shares of the suspect lots.
    """

    lots: Mapping[int, Exposed]
    suspects: frozenset[int]
    siblings: Mapping[int, Exposed]


async def scope(
    session: AsyncSession,
    lots: Collection[int],
    *,
    suspects: Collection[int] = (),
    limit: int = SCOPE_LOTS_MAX,
) -> Scope:
    """Find everything that recalled lots went into, and what shares a suspect source with them.

    Args:
        session: The caller's session; a few statements a level, none of which is long.
        lots: Internal ids of the recalled lots.
        suspects: Internal ids of the sources in doubt (see `sources_of`); without any there are no
            siblings.
        limit: How many lots either part may have at most.

    Raises:
        TraceTooLarge: there are more.
        TraceTimedOut: it took too long.
    """
    own = await _exposed(session, lots, limit)
    beside = await _exposed(session, suspects, limit) if suspects else {}
    siblings = {lot: exposed for lot, exposed in beside.items() if lot not in own}
    return Scope(own, frozenset(suspects), siblings)


async def sources_of(session: AsyncSession, lots: Collection[int]) -> list[int]:
    """Answer the lots with which goods began, and those at which their way back breaks off.

    Raises:
        TraceTooLarge: more than `SOURCES_LOTS_MAX` lots went into them.
        TraceTimedOut: it took too long.
    """
    graph = await queries.walk(session, lots, Walk.BACK, limit=SOURCES_LOTS_MAX, stocked=False)
    return [lot for lot, node in graph.nodes.items() if node.ending is not None]


async def _exposed(session: AsyncSession, asked: Collection[int], limit: int) -> dict[int, Exposed]:
    met = await queries.ahead(session, asked, limit=limit)
    parts = await levels.parts_of(session, met)
    # A gate in the same process must not wait until a hundred thousand shares are reckoned.
    shares = await asyncio.to_thread(rules.exposures, parts, met, frozenset(asked))
    return {
        lot: Exposed(
            lot,
            public_id,
            holder_id,
            mass_g,
            remaining_g,
            rules.fraction(shares[lot]),
            rules.grams_of(shares[lot], mass_g),
        )
        for lot, public_id, holder_id, mass_g, remaining_g in await levels.stocks(session, met)
    }
