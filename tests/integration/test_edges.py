"""An edge joins two lots that are there, and they stay: what foreign keys would see to."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core import ids
from app.lot import service
from app.lot.rules import LotOrigin, Proof
from app.lot.service import Birth, LotDraft, Parent
from tests.conftest import START
from tests.factories import Actor, Trade

NOWHERE = 10**15
_APPEND = (
    "INSERT INTO lot_edge (dst, src, mass_g, proof, event_id, occurred_at) "
    "SELECT dst, src, 1, 2, 1, now() "
    "FROM unnest(CAST(:dst AS bigint[]), CAST(:src AS bigint[])) AS e (dst, src)"
)


async def lots(trade: Trade, farmer: Actor, count: int) -> list[int]:
    """Open lots; answer their internal ids, oldest first."""
    return [
        await trade.value(
            "SELECT id FROM lot WHERE public_id = :lot", lot=UUID(await farmer.opens(kg=1))
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("end", ["dst", "src"])
async def test_an_edge_into_nowhere_is_refused_with_all_of_its_statement(
    own_trade: Trade, end: str
) -> None:
    older, middle, younger = await lots(own_trade, await own_trade.farmer(), 3)
    edges = {"dst": [middle, younger, younger], "src": [older, older, middle]}
    lost = {"dst": NOWHERE, "src": -1}[end]
    with pytest.raises(DBAPIError, match="names a lot that is not there") as refused:
        await own_trade.execute(_APPEND, **{**edges, end: [*edges[end][:2], lost]})
    assert getattr(refused.value.orig, "sqlstate", None) == "23503"
    counted = "SELECT count(*) FROM lot_edge WHERE src = ANY(:lots)"
    assert await own_trade.value(counted, lots=[older, middle]) == 0
    await own_trade.execute(_APPEND, **edges)
    assert await own_trade.value(counted, lots=[older, middle]) == 3


async def test_a_lot_that_is_not_committed_is_not_there_for_others(own_trade: Trade) -> None:
    (older,) = await lots(own_trade, await own_trade.farmer(), 1)
    async with own_trade.owner.transaction() as session:
        young = (
            await session.execute(
                text(
                    "INSERT INTO lot (public_id, digest, product_id, mixed, origin, mass_g, "
                    "quantity, unit, created_at) SELECT uuidv7(), '', product_id, true, 'merge', "
                    "1, 1, unit, now() FROM lot WHERE id = :older RETURNING id"
                ),
                {"older": older},
            )
        ).scalar_one()
        with pytest.raises(DBAPIError, match="not there"):
            await own_trade.execute(_APPEND, dst=[young], src=[older])
        await session.execute(text(_APPEND), {"dst": [young], "src": [older]})


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM lot WHERE id = :lot",
        "UPDATE lot SET id = id + 1000000 WHERE id = :lot",
        "UPDATE lot_edge SET src = :lot WHERE src = :lot",
        "UPDATE lot_edge SET dst = :lot WHERE dst = :lot",
    ],
)
async def test_not_even_the_owner_removes_a_lot_or_moves_an_edge(
    own_trade: Trade, statement: str
) -> None:
    (lot,) = await lots(own_trade, await own_trade.farmer(), 1)
    with pytest.raises(DBAPIError, match="append-only"):
        await own_trade.execute(statement, lot=lot)
    with pytest.raises(DBAPIError, match="append-only"):
        await own_trade.execute("TRUNCATE lot CASCADE")
    assert await own_trade.value("SELECT count(*) FROM lot WHERE id = :lot", lot=lot) == 1


async def test_edges_made_together_stand_each_with_its_own_lot_and_event(own_trade: Trade) -> None:
    older, middle = await lots(own_trade, await own_trade.farmer(), 2)
    product = await own_trade.value("SELECT product_id FROM lot WHERE id = :lot", lot=older)

    def draft(*parents: Parent) -> LotDraft:
        return LotDraft(
            public_id=ids.uuid7(),
            product_id=product,
            holder_id=None,
            origin=LotOrigin.MERGE,
            mass_g=100,
            quantity=Decimal("0.1"),
            unit="公斤",
            mixed=True,
            parents=parents,
        )

    later = START + timedelta(hours=1)
    mixed = draft(Parent(older, 7, Proof.OWN), Parent(middle, 8, Proof.PROVED))
    alone, bought = draft(), draft(Parent(middle, 9, Proof.CLAIMED))
    async with own_trade.owner.transaction() as session:
        made = await service.make(
            session, [Birth(71, START, [mixed, alone]), Birth(72, later, [bought])]
        )
        born = [made[one.public_id] for one in (mixed, alone, bought)]
        assert born == sorted(born), "ids ascend in the order given"
        rows = await session.execute(
            text(
                "SELECT dst, src, mass_g, proof, event_id, occurred_at FROM lot_edge "
                "WHERE dst = ANY(:lots) ORDER BY dst, src"
            ),
            {"lots": born},
        )
    assert [tuple(row) for row in rows] == [
        (born[0], older, 7, Proof.OWN, 71, START),
        (born[0], middle, 8, Proof.PROVED, 71, START),
        (born[2], middle, 9, Proof.CLAIMED, 72, later),
    ]
