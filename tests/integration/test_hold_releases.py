"""A finding holds what was made of its lot, too: how all of it is held and let go at once."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.lot import changes
from app.lot.changes import ChangeDraft, ChangeRequest, Input, Output, Policy
from app.lot.rules import ChangeKind
from app.party.access import Department, RoleKind
from app.product import service as products
from tests.factories import CHIVES, VILLAGE, Actor, Json, Trade, code_of, line, new_id, open_trade
from tests.integration.conftest import audit
from tests.laboratory import (
    OF_MARKET,
    Feed,
    feed,
    inhibition,
    judged,
    lab,
    office,
    record_of,
    report,
    sampled,
)
from tests.recalls import of_department

ROUNDS = 6
REASON = "复核标签错误，检测与该批无关"


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with connections enough for everybody to act at once."""
    async with open_trade(database_url, pool_size=12) as trade:
        yield trade
        assert trade.faults == []
        await audit(trade)


def _split(lot: str, part: str, kg: int) -> Json:
    return {"lot": lot, "parts": [{"lot": part, "quantity": str(kg), "unit": "公斤"}]}


async def _part_of(farmer: Actor, lot: str, kg: int) -> str:
    part = new_id()
    await farmer.make(f"/splits/{new_id()}", _split(lot, part, kg))
    return part


async def _found(farmer: Actor, by_office: Actor) -> tuple[str, str, str]:
    """Let a sample fail, of whose lot a part was split off meanwhile; answer it, lot and part."""
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(by_office, lot)
    part = await _part_of(farmer, lot, 4)
    await judged(by_office, sample, inhibition(60))
    return sample, lot, part


def _release(sample: str, reason: str = REASON) -> Json:
    return {"sample": sample, "reason": reason}


async def test_one_release_lets_go_all_that_a_finding_holds(trade: Trade) -> None:
    farmer, stall, by_office = await trade.farmer(), await trade.stall(), await office(trade)
    sample, lot, part = await _found(farmer, by_office)
    order = new_id()
    await by_office.make(f"/holds/{order}", {"lot": lot, "reason": "投诉"})
    path, body = f"/hold-releases/{new_id()}", _release(sample)
    first = await by_office.make(path, body)
    assert {one["lot"] for one in first["holds"]} == {lot, part}
    assert {one["subject"] for one in first["holds"]} == {sample}
    ended = {(one["released_by"], one["release_reason"]) for one in first["holds"]}
    assert ended == {(first["by"], REASON)} == {(str(by_office.public_id), REASON)}
    assert await by_office.make(path, body, status=200) == first
    other = await by_office.put(path, _release(sample, "误报"))
    assert (other.status_code, code_of(other)) == (409, "id-reused")
    # An order for another reason stands.
    assert (await farmer.lot(lot))["on_hold"] is True
    assert (await farmer.lot(part))["on_hold"] is False
    await farmer.sells(stall, line(CHIVES, 1, part))
    told = [row["kind"] for row in await farmer.read("/notices")]
    assert told.count("released") == 2
    logged = await trade.rows("SELECT subject FROM entry WHERE kind = 'hold.release' ORDER BY id")
    assert {str(subject) for (subject,) in logged} == {one["hold"] for one in first["holds"]}
    # A finding that comes again holds again; what was said of the first lets nothing go.
    await judged(by_office, sample, inhibition(70))
    assert await by_office.make(path, body, status=200) == first
    assert (await farmer.lot(part))["on_hold"] is True


async def test_refusals_of_a_release_come_in_order_and_leave_everything_held(
    trade: Trade,
) -> None:
    farmer, stall, by_office = await trade.farmer(), await trade.stall(), await office(trade)
    market = await trade.party(RoleKind.MARKET)
    place = new_id()
    site = {"kind": "market", "name": "通州农副产品批发市场", "division_code": "320612"}
    await market.make(f"/places/{place}", {**site, "valid_from": "2020-01-01"})
    lot = await farmer.opens(CHIVES, 10)
    sample = await sampled(by_office, lot)
    part = await _part_of(farmer, lot, 4)
    await farmer.sells(stall, line(CHIVES, 1, part), market=place)
    used = new_id()
    other, _, _ = await _found(farmer, by_office)
    await by_office.make(f"/hold-releases/{used}", _release(other))

    async def refused(actor: Actor, subject: str, release: str | None = None) -> str:
        path = f"/hold-releases/{release or new_id()}"
        return code_of(await actor.put(path, _release(subject)))

    assert await refused(farmer, new_id(), used) == "not-allowed"
    assert await refused(market, new_id(), used) == "unknown-sample"
    assert await refused(market, sample, used) == "id-reused"
    assert await refused(market, sample) == "hold-rests-on-test"
    assert await refused(await office(trade, "3205"), sample) == "nothing-held"
    await judged(by_office, sample, inhibition(60))
    # The markets' office of its county answers for what is sold there, and for nothing else.
    shops = await of_department(trade, Department.MARKET_REGULATION, "320612")
    answer = await shops.put(f"/hold-releases/{new_id()}", _release(sample))
    assert (answer.status_code, code_of(answer)) == (403, "hold-not-yours")
    facts = answer.json()["facts"]
    assert (facts["sample"], facts["holds"]) == (sample, 2)
    held = {
        one["lot"]: one["hold"] for one in await farmer.read("/holds") if one["subject"] == sample
    }
    assert facts["refused"] == [{"hold": held[lot], "lot": lot}]
    for one in (lot, part):
        assert (await farmer.lot(one))["on_hold"] is True
    assert await trade.value("SELECT count(*) FROM hold_release") == 1
    # What it answers for it lets go alone; the rest goes with one word of the office over it.
    await shops.make(f"/holds/{held[part]}/release", {"reason": REASON}, status=200)
    done = await by_office.make(f"/hold-releases/{new_id()}", _release(sample))
    assert [one["lot"] for one in done["holds"]] == [lot]
    assert await refused(by_office, sample) == "nothing-held"


async def test_everybody_who_lets_go_at_once_leaves_one_word_on_each_hold(trade: Trade) -> None:
    farmer, by_office, chance = await trade.farmer(), await office(trade), random.Random(26)
    laboratory = await lab(trade)
    for _ in range(ROUNDS):
        sample, lot, part = await _found(farmer, by_office)
        held = [one for one in await farmer.read("/holds") if one["subject"] == sample]
        releases = [new_id(), new_id()]
        requests = [
            *(by_office.put(f"/hold-releases/{one}", _release(sample)) for one in releases * 2),
            *(by_office.put(f"/holds/{one['hold']}/release", {"reason": "逐条"}) for one in held),
            judged(laboratory, sample, report(("克百威", None), ("毒死蜱", None))),
        ]
        chance.shuffle(requests)
        await asyncio.gather(*requests)
        assert (await farmer.lot(lot))["on_hold"] is False
        assert (await farmer.lot(part))["on_hold"] is False
        for one in held:
            count = await trade.value(
                "SELECT count(*) FROM entry WHERE kind = 'hold.release' AND subject = :hold",
                hold=UUID(one["hold"]),
            )
            assert count == 1
        counted = await trade.value("SELECT max(holds) FROM lot_balance")
        assert counted == 0


# --- the order of locks ---------------------------------------------------------------------------


@asynccontextmanager
async def _locking(trade: Trade, lot: str) -> AsyncIterator[int]:
    """Keep the balance of a lot locked; answer whose lock it is."""
    async with trade.owner.transaction() as session:
        found = await session.execute(
            text(
                "SELECT pg_backend_pid() FROM lot_balance "
                "WHERE lot_id = (SELECT id FROM lot WHERE public_id = :lot) FOR NO KEY UPDATE"
            ),
            {"lot": UUID(lot)},
        )
        yield found.scalar_one()


async def _somebody_waits_for(trade: Trade, pid: int) -> None:
    for _ in range(200):
        if await trade.value(
            "SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))",
            pid=pid,
        ):
            return
        await asyncio.sleep(0.02)
    pytest.fail("nobody waits for the lock")


async def _is_free(trade: Trade, lot: str) -> bool:
    free = await trade.rows(
        "SELECT 1 FROM lot_balance WHERE lot_id = (SELECT id FROM lot WHERE public_id = :lot) "
        "FOR NO KEY UPDATE SKIP LOCKED",
        lot=UUID(lot),
    )
    return len(free) == 1


async def _batch(trade: Trade) -> tuple[Actor, Feed, list[str], list[Json]]:
    """Prepare a push about the oldest and the youngest of three lots, that holds all of them."""
    market = await trade.party(RoleKind.MARKET, RoleKind.STALL, division_code=VILLAGE)
    oldest = await market.opens(CHIVES, 100, origin="declare")
    part = await _part_of(market, oldest, 60)
    youngest = await _part_of(market, part, 30)
    records = []
    for lot in (oldest, youngest):
        number = new_id()[-12:]
        await sampled(market, lot, number=number, mass_g=50, **OF_MARKET)
        records.append(record_of(number, 60))
    return market, await feed(trade, market), [oldest, part, youngest], records


async def test_a_batch_locks_all_that_it_may_hold_oldest_first(trade: Trade) -> None:
    """What lies between two lots of a batch is locked between them: nobody waits crosswise."""
    market, device, (oldest, part, youngest), records = await _batch(trade)
    async with _locking(trade, part) as pid:
        pushing = asyncio.create_task(device.pushes(*records))
        await _somebody_waits_for(trade, pid)
        assert not await _is_free(trade, oldest)
        assert await _is_free(trade, youngest), "it was locked before an older lot"
    assert (await pushing)["taken"] == 2
    for lot in (oldest, part, youngest):
        assert (await market.lot(lot))["on_hold"] is True


async def test_overlapping_goods_are_held_and_let_go_at_once(trade: Trade) -> None:
    """A batch holds all of them while findings about parts of them come in, and are let go."""
    chance = random.Random(27)
    for _ in range(ROUNDS):
        market, device, (_, part, youngest), records = await _batch(trade)
        samples = [await sampled(market, lot, mass_g=50, **OF_MARKET) for lot in (part, youngest)]
        await judged(market, samples[0], inhibition(60))
        requests = [
            device.pushes(*records),
            market.put(f"/samples/{samples[1]}/tests/{new_id()}", inhibition(60)),
            market.put(f"/samples/{samples[0]}/tests/{new_id()}", inhibition(10)),
        ]
        chance.shuffle(requests)
        answers = await asyncio.gather(*requests)
        assert all(getattr(answer, "status_code", 201) == 201 for answer in answers), answers
        rows = await trade.rows(
            "SELECT b.holds, (SELECT count(*) FROM hold h WHERE h.lot_id = b.lot_id "
            "AND h.released_at IS NULL) FROM lot_balance b"
        )
        assert {holds - standing for holds, standing in rows} == {0}


async def test_what_is_born_meanwhile_is_locked_in_its_turn(trade: Trade) -> None:
    """It may be older than what is locked by then: all locks are given back and taken anew."""
    farmer, by_office = await trade.farmer(), await office(trade)
    lot, born = await farmer.opens(CHIVES, 10), new_id()
    sample, part = await sampled(by_office, lot), await _part_of(farmer, lot, 5)
    async with AsyncExitStack() as later:
        async with trade.database.transaction() as splitting:
            await _split_slowly(trade, splitting, farmer, lot, born)
            youngest = await _part_of(farmer, part, 2)
            pid = await later.enter_async_context(_locking(trade, part))
            finding = asyncio.create_task(judged(by_office, sample, inhibition(60)))
            mine = (await splitting.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await _somebody_waits_for(trade, mine)
        await _somebody_waits_for(trade, pid)
        async with _locking(trade, born) as pid:
            await later.aclose()
            await _somebody_waits_for(trade, pid)
            assert not await _is_free(trade, part)
            assert await _is_free(trade, youngest), "it was locked before an older lot"
    await finding
    for one in (lot, born, part, youngest):
        assert (await farmer.lot(one))["on_hold"] is True


async def _split_slowly(
    trade: Trade, session: AsyncSession, farmer: Actor, lot: str, part: str
) -> None:
    """Split a kilogram off, in a transaction that the caller ends when it likes."""
    now = trade.clock()
    draft = ChangeDraft(
        public_id=UUID(new_id()),
        kind=ChangeKind.SPLIT,
        digest=b"",
        holder_id=farmer.id,
        holder=farmer.public_id,
        occurred_at=now,
        inputs=(Input(UUID(lot), 1_000),),
        outputs=(Output(UUID(part), 1_000, Decimal(1), "公斤"),),
    )
    asked = ChangeRequest(
        draft.public_id,
        draft.digest,
        inputs=(UUID(lot),),
        outputs=(UUID(part),),
        plan=lambda _: (draft, Policy()),
    )
    catalogue = await products.catalogue(session)
    await changes.apply(session, asked, catalogue=catalogue, now=now)
