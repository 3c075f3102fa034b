"""Writes lots where a cluster spreads them: a statement a table, and edges twice.

One statement that writes three tables, as on one server, would have to lie on one node altogether;
a lot's parents lie anywhere. A transaction of the cluster holds the statements together instead.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import directory

DIRECTORY_KIND = "lot"

# The column itself hands out no ids there (see app.cluster.plan): a server that does not know of
# the copy of the edges can make no lot without it.
_IDS = text("SELECT nextval('lot_id_seq') FROM generate_series(1, :count)")
_LOTS = text("""
    INSERT INTO lot (
        id, public_id, digest, product_id, holder_id, producer_id, from_party_id, mixed, origin,
        production, mass_g, pieces, quantity, unit, division_code, plot_id, made_on,
        certificate_ids, documents, created_at
    )
    SELECT id, public_id, digest, product_id, holder_id, producer_id, from_party_id, mixed, origin,
        production, mass_g, pieces, quantity, unit, division_code, plot_id, made_on,
        certificate_ids, documents, created_at
    FROM jsonb_to_recordset(CAST(:lots AS jsonb)) AS l (
        id bigint, public_id uuid, digest bytea, product_id bigint, holder_id bigint,
        producer_id bigint, from_party_id bigint, mixed boolean, origin text, production text,
        mass_g bigint, pieces bigint, quantity numeric, unit text, division_code text,
        plot_id bigint, made_on date, certificate_ids bigint[], documents jsonb,
        created_at timestamptz
    )
""")
_BALANCES = text("""
    INSERT INTO lot_balance (
        lot_id, produced_g, remaining_g, remaining_pieces, certified_g, cover_used_g, holds
    )
    SELECT id, mass_g, remaining_g, pieces, certified_g, 0, 0
    FROM jsonb_to_recordset(CAST(:lots AS jsonb)) AS l (
        id bigint, mass_g bigint, remaining_g bigint, pieces bigint, certified_g bigint
    )
""")
_EDGES = text("""
    INSERT INTO lot_edge (dst, src, mass_g, proof, event_id, occurred_at)
    SELECT dst, src, mass_g, proof, event_id, occurred_at
    FROM jsonb_to_recordset(CAST(:edges AS jsonb)) AS e (
        dst bigint, src bigint, mass_g bigint, proof smallint, event_id bigint,
        occurred_at timestamptz
    )
""")
_COPIES = text(_EDGES.text.replace("lot_edge", "lot_edge_by_src"))
PROVE_COPY = text("""
    UPDATE lot_edge_by_src AS e SET proof = :proved
    FROM unnest(CAST(:srcs AS bigint[]), CAST(:dsts AS bigint[])) AS p (src, dst)
    WHERE e.src = p.src AND e.dst = p.dst
""")
_STOCK = text("""
    SELECT l.id FROM lot l JOIN lot_balance b ON b.lot_id = l.id
    WHERE l.holder_id = :holder AND l.product_id = :product
        AND b.remaining_g > 0 AND b.holds = 0
    ORDER BY l.id LIMIT :most
""")


async def stock(session: AsyncSession, holder_id: int, product_id: int, *, most: int) -> set[int]:
    """Find the oldest lots of a product that a holder has something left of."""
    rows = await session.execute(_STOCK, {"holder": holder_id, "product": product_id, "most": most})
    return set(rows.scalars())


async def make(
    session: AsyncSession, lots: Sequence[dict[str, Any]], edges: Sequence[dict[str, Any]]
) -> dict[UUID, int]:
    """Write lots in the order given, with their balances, their edges and the edges' copies.

    Args:
        session: The caller's transaction.
        lots: Rows as `app.lot.service` writes them.
        edges: Their edges, each with the younger lot's public id.

    Returns:
        The internal id of each lot by its public id.
    """
    ids = sorted((await session.execute(_IDS, {"count": len(lots)})).scalars())
    made = {lot["public_id"]: lot_id for lot, lot_id in zip(lots, ids, strict=True)}
    rows = {"lots": orjson.dumps([{**lot, "id": made[lot["public_id"]]} for lot in lots]).decode()}
    await directory.enter(session, DIRECTORY_KIND, made)
    await session.execute(_LOTS, rows)
    await session.execute(_BALANCES, rows)
    if edges:
        ends = [{**edge, "dst": made[edge["public_id"]]} for edge in edges]
        written = {"edges": orjson.dumps(ends).decode()}
        await session.execute(_EDGES, written)
        await session.execute(_COPIES, written)
    return {UUID(public_id): lot_id for public_id, lot_id in made.items()}
