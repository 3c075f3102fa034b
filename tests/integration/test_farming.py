"""Treatments of plots: who may record them, once, and who reads them."""

import asyncio

import pytest

from app.party.access import RoleKind
from tests.factories import CHIVES, OTHER_VILLAGE, VILLAGE, Actor, Json, Trade, code_of, new_id

NOON = "2026-06-17T12:00+08:00"


async def place(actor: Actor, kind: str = "plot") -> str:
    made = new_id()
    body = {"kind": kind, "name": "地", "division_code": VILLAGE, "valid_from": "2020-01-01"}
    await actor.make(f"/places/{made}", body)
    return made


def treatment(plot: str, **more: object) -> Json:
    return {
        "plot": plot,
        "substance": "吡虫啉",
        "dose": "20 克/亩",
        "applied_at": NOON,
        "product": CHIVES,
        **more,
    }


async def test_a_treatment_says_when_to_harvest_and_is_recorded_once(trade: Trade) -> None:
    farmer = await trade.farmer()
    plot, path = await place(farmer), f"/treatments/{new_id()}"
    made = await farmer.make(path, treatment(plot))
    assert made["earliest_harvest_on"] == "2026-07-01"
    assert await farmer.make(path, treatment(plot), status=200) == made
    assert code_of(await farmer.put(path, treatment(plot, dose="30 克/亩"))) == "id-reused"
    label = await farmer.make(f"/treatments/{new_id()}", treatment(plot, label_days=21))
    assert label["interval_days"] == 21
    unknown = await farmer.make(f"/treatments/{new_id()}", treatment(plot, substance="草木灰"))
    assert (unknown["interval_days"], unknown["earliest_harvest_on"]) == (None, None)
    listed = await farmer.read(f"/treatments?plot={plot}")
    assert {row["treatment"] for row in listed} == {
        row["treatment"] for row in (made, label, unknown)
    }
    (leaf,) = await trade.rows(
        "SELECT leaf FROM entry WHERE kind = 'treatment.recorded' AND subject = CAST(:id AS uuid)",
        id=made["treatment"],
    )
    assert "吡虫啉".encode() in leaf[0]
    assert "20 克".encode() not in leaf[0]


async def test_refusals_come_in_order(trade: Trade) -> None:
    farmer, other = await trade.farmer(), await trade.farmer()
    own, hers, shed = await place(farmer), await place(other), await place(farmer, "warehouse")
    late = "2026-06-19T12:00+08:00"
    for body, code in (
        (treatment(new_id(), applied_at=late, product=9999), "impossible-date"),
        (treatment(new_id(), product=9999), "unknown-place"),
        (treatment(shed, product=9999), "not-a-plot"),
        (treatment(hers, product=9999), "other-party"),
        (treatment(own, product=9999), "unknown-product"),
    ):
        assert code_of(await farmer.put(f"/treatments/{new_id()}", body)) == code


@pytest.mark.parametrize(
    ("role", "answers_for", "status"),
    [
        (RoleKind.REGULATOR, VILLAGE[:6], 200),
        (RoleKind.REGULATOR, "320681", 403),
        (RoleKind.COOP, None, 403),
    ],
)
async def test_who_reads_treatments(
    trade: Trade, role: RoleKind, answers_for: str | None, status: int
) -> None:
    plot = await place(await trade.farmer())
    reader = await trade.party(role, answers_for=answers_for, division_code=OTHER_VILLAGE)
    assert (await reader.get(f"/treatments?plot={plot}")).status_code == status


async def test_two_phones_that_send_the_same_treatment_at_once(trade: Trade) -> None:
    farmer = await trade.farmer()
    plot, path = await place(farmer), f"/treatments/{new_id()}"
    answers = await asyncio.gather(*(farmer.put(path, treatment(plot)) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    count = await trade.value(
        "SELECT count(*) FROM treatment t JOIN place p ON p.id = t.plot_id "
        "WHERE p.public_id = CAST(:plot AS uuid)",
        plot=plot,
    )
    assert count == 1
