"""A morning whose goods are called back: who holds what, and how people act in a recall."""

import io
from datetime import timedelta
from typing import Any

from PIL import Image

from app.party.access import Department, RoleKind
from app.recall.jobs import CHORES, HANDLERS
from tests.factories import CHIVES, Actor, Json, Trade, line, new_id, received


async def office_of(trade: Trade, prefix: str = "3206", **more: Any) -> Actor:
    return await trade.party(RoleKind.REGULATOR, answers_for=prefix, **more)


def order(trade: Trade, *found: str, **more: Any) -> Json:
    return {
        "found": list(found),
        "grade": 1,
        "trigger": "test",
        "reason": "克百威 0.31 mg/kg",
        "known_at": (trade.clock() - timedelta(hours=2)).isoformat(),
        **more,
    }


async def recalled(office: Actor, *found: str, **more: Any) -> Json:
    recall = more.pop("recall", None) or new_id()
    return await office.make(f"/recalls/{recall}", order(office.trade, *found, **more))


async def lots_of(office: Actor, recall: str) -> dict[str, Json]:
    page = await office.read(f"/recalls/{recall}/lots?limit=1000")
    assert page["next_after"] is None
    return {lot["lot"]: lot for lot in page["lots"]}


async def do_jobs(trade: Trade) -> None:
    """Do what tests and voided certificates asked for, as the worker does."""
    for kind, payload in await trade.rows("SELECT entrypoint, payload FROM pgqueuer ORDER BY id"):
        async with trade.database.transaction() as session:
            await HANDLERS[kind](session, payload, trade.clock())


def picture() -> bytes:
    written = io.BytesIO()
    Image.effect_noise((80, 80), 40).convert("RGB").save(written, "JPEG")
    return written.getvalue()


async def photo(actor: Actor, taken: bytes | None = None) -> str:
    evidence = new_id()
    answer = await actor.trade.client.put(
        f"/evidence/{evidence}",
        content=taken or picture(),
        headers={**actor.headers, "content-type": "image/jpeg"},
    )
    assert answer.status_code == 201, answer.text
    return evidence


async def disposal(actor: Actor, *grams: tuple[str, int], **more: Any) -> Json:
    now = actor.trade.clock()
    return {
        "method": "destroyed",
        "place": "通州无害化处理点",
        "witness": "李四，市场监管所",
        "announced_at": (now - timedelta(hours=3)).isoformat(),
        "disposed_at": (now - timedelta(hours=1)).isoformat(),
        "evidence": [await photo(actor)],
        "lots": [{"lot": lot, "mass_g": mass_g} for lot, mass_g in grams],
        **more,
    }


async def of_department(trade: Trade, department: Department, prefix: str = "3206") -> Actor:
    office = await office_of(trade, prefix)
    await trade.execute(
        "UPDATE party_role SET department = :department WHERE party_id = :party",
        department=str(department),
        party=office.id,
    )
    return office


async def run_chore(trade: Trade) -> None:
    async with trade.database.transaction() as session:
        await CHORES["recalls.escalate"][1](session, trade.clock())


class Morning:
    """A farmer's and a neighbour's chives, merged by a collector, sold to two stalls, one school.

    The school has not accepted yet; a walk-in took some home.
    """

    def __init__(self, trade: Trade) -> None:
        self.trade = trade

    async def begin(self) -> "Morning":
        trade = self.trade
        self.office = await office_of(trade)
        self.farmer, self.neighbour = await trade.farmer(), await trade.farmer()
        self.collector = await trade.collector()
        self.first, self.second = await trade.stall(), await trade.stall()
        self.school = await trade.party(RoleKind.GROUP_BUYER)
        self.grown = await self.farmer.opens(kg=60)
        self.other = await self.neighbour.opens(kg=40)
        self.kept = await self.neighbour.opens(kg=25)
        bought = [
            received(await self.collector.decides((await seller.sells(
                self.collector, line(CHIVES, kg, lot)))["ticket"]))
            for seller, lot, kg in ((self.farmer, self.grown, 50), (self.neighbour, self.other, 30))
        ]  # fmt: skip
        self.mixed = new_id()
        await self.collector.make(
            f"/merges/{new_id()}",
            {
                "inputs": [{"lot": lot} for lot in bought],
                "lot": self.mixed,
                "certificate": {"certificate": new_id(), "bases": ["self_tested"]},
            },
        )
        self.bought = bought
        sold = [
            await self.collector.sells(stall, line(CHIVES, 20, self.mixed))
            for stall in (self.first, self.second)
        ]
        self.at_first = received(await self.first.decides(sold[0]["ticket"]))
        self.at_second = received(await self.second.decides(sold[1]["ticket"]))
        self.home = received(await self.first.sells(None, line(CHIVES, 2, self.at_first)))
        self.pending = (await self.second.sells(self.school, line(CHIVES, 5, self.at_second)))[
            "ticket"
        ]
        return self


async def account_for(office: Actor, recall: str) -> None:
    """Locate, recover and destroy what is there yet, and answer every notice, as the office."""
    at = f"/recalls/{recall}"
    grams = []
    for lot, row in (await lots_of(office, recall)).items():
        there = row["on_hand_g"] + row["in_transit_g"] - row["consumed_g"] - row["sampled_g"]
        if row["holder"] is None or there == 0:
            continue
        for kind in ("located", "recovered"):
            if open_g := there - row[f"{kind}_g"]:
                body = {"lot": lot, "kind": kind, "mass_g": open_g, "note": "过秤"}
                await office.make(f"{at}/steps/{new_id()}", body)
        grams.append((lot, there))
    await office.make(f"{at}/disposals/{new_id()}", await disposal(office, *grams))
    for notice in await office.read(f"{at}/notices"):
        if notice["acknowledged_at"] is None:
            path = f"{at}/acknowledgements/{notice['party']}"
            await office.make(path, {"note": "电话确认"}, status=200)
