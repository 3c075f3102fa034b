"""Early warnings: each rule met by way of HTTP, on both sides of its limit, and put aside."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.commands.console import AT_THE_TERMINAL
from app.core import ids
from app.party.access import RoleKind
from app.place import service as places
from app.place.rules import PlaceDraft, PlaceKind
from app.supervision import jobs, service
from app.supervision.models import WarningRow, WeekOfTests
from app.supervision.queries import MEASURES
from app.supervision.rules import RuleCode
from tests.conftest import FakeClock
from tests.factories import (
    CHIVES,
    GREENS,
    MUNG_BEANS,
    SINCE,
    SPROUTS,
    VILLAGE,
    Actor,
    Json,
    code_of,
    new_id,
    received,
)
from tests.integration.test_worker import until, working
from tests.laboratory import OF_MARKET, inhibition, judged, lab, office, report, sampled
from tests.market import Market, open_market
from tests.recalls import recalled

HAIAN, QIDONG = "320685100", "320681100"
MU_M2 = 667
RADISHES = 23


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    """A market before dawn, on a database of the test's own."""
    async with open_market(database_url, clock) as opened:
        yield opened


async def look(market: Market, code: RuleCode) -> list[WarningRow]:
    """Run a rule as the worker does, a while later; answer its warnings, oldest first."""
    market.clock.advance(minutes=5)
    async with market.trade.database.transaction() as session:
        await service.run(session, code, now=market.clock())
    async with market.trade.owner.reading() as session:
        rows = await service.listed(
            session,
            AT_THE_TERMINAL,
            state=None,
            rule=code,
            before=None,
            most=100,
            now=market.clock(),
        )
        return list(reversed(rows))


async def a_market(market: Market, name: str, division: str) -> tuple[UUID, UUID, Actor]:
    """Register a further market with a gate, and its office."""
    office = await market.add(name, name, RoleKind.MARKET, division=division)
    made: list[UUID] = []
    for kind, parent in ((PlaceKind.MARKET, None), (PlaceKind.GATE, 0)):
        draft = PlaceDraft(
            public_id=ids.uuid7(),
            kind=kind,
            name=name,
            division_code=division,
            valid_from=SINCE,
            parent=None if parent is None else made[parent],
            party=office.public_id if parent is None else None,
        )
        async with market.trade.database.transaction() as session:
            await places.put_place(session, draft)
        made.append(draft.public_id)
    return made[0], made[1], office


async def a_plot(actor: Actor, **more: Any) -> str:
    plot = new_id()
    body = {"kind": "plot", "name": "东头地", "division_code": VILLAGE, "valid_from": "2020-01-01"}
    await actor.make(f"/places/{plot}", {**body, **more})
    return plot


async def declared(actor: Actor, code: str, kg: float, **more: Any) -> str:
    """Declare goods that are said to come under one of our documents."""
    papers = [{"kind": "other", "number": code}]
    return await actor.opens(kg=kg, origin="declare", documents=papers, **more)


# --- each rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("declared_kg", "warned"), [(50, False), (51, True)])
async def test_a_certificate_used_for_more_than_it_vouches_for(
    market: Market, declared_kg: int, warned: bool
) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    await market.sell(market.coop, market.stall, lot, 100)
    again = await declared(market.collector, certificate["code"].lower(), declared_kg)
    found = await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    assert [row.figure for row in found] == ([100_000 + declared_kg * 1000] if warned else [])
    for row in found:
        assert (row.subject, row.limit) == (f"lot:{lot}", 150_000)
        assert row.evidence["certificates"] == [certificate["certificate"]]
        assert row.evidence["declared_lots"] == [again]
        assert row.party_id == market.coop.id


async def test_a_certificate_of_part_of_a_lot_that_goes_along_with_all_of_it(
    market: Market,
) -> None:
    lot = await market.lot(market.farmer, 100)
    await market.certify(market.farmer, lot, 40)
    for kilograms, figures in ((40, []), (20, []), (1, [61_000]), (39, [100_000])):
        await market.sell(market.farmer, market.stall, lot, kilograms)
        found = await look(market, RuleCode.CERTIFICATE_OVERSOLD)
        assert [row.figure for row in found] == figures
    assert len(found[0].evidence["tickets"]) == 4


async def test_a_ticket_that_was_voided_or_refused_used_nothing_up(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    await market.certify(market.coop, lot, 100)
    voided = await market.sell(market.coop, market.stall, lot, 100)
    await market.coop.voids("tickets", voided["ticket"])
    refused = await market.sell(market.coop, market.stall, lot, 100)
    await market.stall.decides(refused["ticket"], "refused")
    back = (await market.coop.read(f"/tickets/{refused['ticket']}"))["lines"][0]["draws"][0]
    await market.sell(market.coop, market.stall, back["returned_lot"] or lot, 100)
    assert await look(market, RuleCode.CERTIFICATE_OVERSOLD) == []


@pytest.mark.parametrize(
    ("who", "days", "declared_g"),
    [("stall", 0, None), ("stall", 1, 100_000), ("collector", 0, 100_000)],
)
async def test_goods_that_the_buyer_declared_and_then_got_a_ticket_for_are_the_same_goods(
    market: Market, who: str, days: int, declared_g: int | None
) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    await market.sell(market.coop, market.stall, lot, 100)
    market.clock.advance(days=days)
    await declared(getattr(market, who), certificate["code"], 100)
    found = await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    assert [row.evidence["declared_g"] for row in found] == (
        [] if declared_g is None else [declared_g]
    )


async def test_more_declared_than_the_ticket_of_the_day_counts(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    await market.sell(market.coop, market.stall, lot, 100)
    await declared(market.stall, certificate["code"], 151)
    (found,) = await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    assert (found.figure, found.evidence["declared_g"]) == (151_000, 51_000)


@pytest.mark.parametrize(("kg", "warned"), [(3900, False), (3910, True)])
async def test_more_than_the_plot_can_yield(market: Market, kg: int, warned: bool) -> None:
    plot = await a_plot(market.farmer, area_m2=MU_M2)
    for day in ("2026-05-01", "2026-06-10"):
        await market.lot(market.farmer, kg / 2, plot=plot, division_code=None, made_on=day)
    # A cut of two months ago is another season's, and radishes are another crop.
    for product, day in ((CHIVES, "2026-04-11"), (RADISHES, "2026-06-11")):
        await market.lot(
            market.farmer, 900, product=product, plot=plot, division_code=None, made_on=day
        )
    found = await look(market, RuleCode.PLOT_OVER_YIELD)
    assert [row.subject for row in found] == ([f"plot:{plot}"] if warned else [])
    for row in found:
        assert row.evidence["harvested_g"] == kg * 1000
        assert row.figure > row.limit == 1300


@pytest.mark.parametrize(("minutes", "warned"), [(720, False), (721, True)])
async def test_a_certificate_dated_after_the_sale(
    market: Market, minutes: int, warned: bool
) -> None:
    lot = await market.lot(market.coop, 100)
    sold_at = market.clock().isoformat()
    market.clock.advance(minutes=minutes)
    await market.certify(market.coop, lot, 100, issued_at=market.clock().isoformat())
    ticket = await market.sell(market.coop, market.stall, lot, 10, sold_at=sold_at)
    found = await look(market, RuleCode.CERTIFICATE_AFTER_SALE)
    assert [(row.subject, row.figure) for row in found] == (
        [(f"ticket:{ticket['ticket']}", minutes)] if warned else []
    )


@pytest.mark.parametrize(("hours", "warned"), [(1, False), (13, True)])
async def test_who_types_in_the_harvest_late_types_in_the_certificate_with_it(
    market: Market, hours: int, warned: bool
) -> None:
    sold_at = market.clock()
    market.clock.advance(days=2)
    lot = await market.lot(market.coop, 100, made_on=sold_at.date().isoformat())
    market.clock.advance(hours=hours)
    await market.certify(market.coop, lot, 100, issued_at=market.clock().isoformat())
    await market.sell(market.coop, market.stall, lot, 10, sold_at=sold_at.isoformat())
    found = await look(market, RuleCode.CERTIFICATE_AFTER_SALE)
    assert [row.figure for row in found] == ([60 * hours] if warned else [])


@pytest.mark.parametrize("told_late", [False, True])
@pytest.mark.parametrize(("harvested_on", "short"), [("2026-06-14", 1), ("2026-06-15", 0)])
async def test_a_harvest_before_its_time(
    market: Market, harvested_on: str, short: int, told_late: bool
) -> None:
    plot = await a_plot(market.farmer)
    treatment = {
        "plot": plot,
        "substance": "吡虫啉",
        "dose": "20 克/亩",
        "applied_at": "2026-06-01T08:00+08:00",
        "product": CHIVES,
    }
    if not told_late:
        made = await market.farmer.make(f"/treatments/{new_id()}", treatment)
        assert (made["interval_days"], made["earliest_harvest_on"]) == (14, "2026-06-15")
    lot = await market.lot(market.farmer, 50, plot=plot, division_code=None, made_on=harvested_on)
    if told_late:
        assert await look(market, RuleCode.PREHARVEST_INTERVAL) == []
        await market.farmer.make(f"/treatments/{new_id()}", treatment)
    found = await look(market, RuleCode.PREHARVEST_INTERVAL)
    assert [(row.subject, row.figure) for row in found] == (
        [(f"lot:{lot}", short)] if short else []
    )


async def test_a_treatment_of_the_day_of_harvest_is_taken_for_one_after_the_cut(
    market: Market,
) -> None:
    plot = await a_plot(market.farmer)
    body = {"plot": plot, "substance": "吡虫啉", "dose": "20 克/亩", "product": CHIVES}
    for day in ("2026-06-10", "2026-06-11"):
        applied = {**body, "applied_at": f"{day}T16:00+08:00"}
        await market.farmer.make(f"/treatments/{new_id()}", applied)
    await market.lot(market.farmer, 50, plot=plot, division_code=None, made_on="2026-06-10")
    await market.lot(
        market.farmer, 50, product=GREENS, plot=plot, division_code=None, made_on="2026-06-12"
    )
    assert await look(market, RuleCode.PREHARVEST_INTERVAL) == []


async def resold(market: Market, minutes: int) -> str:
    """Buy in Hai'an and sell on in Qidong, 143 km of road away, after so many minutes."""
    here, _, _ = await a_market(market, "海安市场", HAIAN)
    there, _, _ = await a_market(market, "启东市场", QIDONG)
    lot = await market.certified()
    market.clock.advance(days=1)
    ticket = await market.sell(market.coop, market.stall, lot, 50, market=str(here))
    bought = received(await market.stall.decides(ticket["ticket"]))
    market.clock.advance(minutes=minutes)
    sold = await market.sell(market.stall, market.stranger, bought, 20, market=str(there))
    return str(sold["ticket"])


@pytest.mark.parametrize(("minutes", "warned"), [(92, True), (94, False)])
async def test_goods_that_are_sold_on_faster_than_the_road_allows(
    market: Market, minutes: int, warned: bool
) -> None:
    ticket = await resold(market, minutes)
    found = await look(market, RuleCode.CHAIN_TOO_FAST)
    assert [row.subject for row in found] == ([f"ticket:{ticket}"] if warned else [])
    for row in found:
        assert row.evidence["km_at_least"] == 143
        assert sorted(row.divisions) == [QIDONG, HAIAN]


@pytest.mark.parametrize(
    ("role", "producers", "warned"),
    [
        (RoleKind.FARMER, 4, False),
        (RoleKind.FARMER, 5, True),
        (RoleKind.COOP, 5, False),
        (RoleKind.STALL, 5, False),
    ],
)
async def test_one_phone_of_many_producers(
    market: Market, role: RoleKind, producers: int, warned: bool
) -> None:
    for number in range(producers):
        await market.add(f"p{number}", f"王五{number}", role, natural=True, phone="13800138000")
    found = await look(market, RuleCode.PHONE_SHARED)
    assert [row.figure for row in found] == ([producers] if warned else [])
    for row in found:
        assert "13800138000" not in f"{row.subject} {row.evidence}"
        assert str(market.p0.public_id) in row.evidence["parties"]


async def test_goods_declared_as_another_product_than_their_paper_says(market: Market) -> None:
    certificate = await market.certify(market.coop, await market.lot(market.coop, 100), 100)
    await declared(market.collector, certificate["code"], 50)
    await declared(market.collector, certificate["code"], 1, product=GREENS)
    changed = await declared(market.collector, certificate["code"], 2, product=GREENS)
    beans = await market.lot(market.farmer, 10, product=MUNG_BEANS)
    sold = await market.sell(market.farmer, market.collector, beans, 10, product=MUNG_BEANS)
    # Sprouts may come of them elsewhere; chives may not.
    await declared(market.collector, sold["code"], 60, product=SPROUTS)
    other = await declared(market.collector, sold["code"], 60)
    found = await look(market, RuleCode.PRODUCT_CHANGED)
    found.sort(key=lambda row: row.figure)
    assert [row.subject for row in found] == [f"lot:{changed}", f"lot:{other}"]
    assert found[0].evidence["certificate"] == certificate["certificate"]
    assert found[1].evidence["ticket"] == sold["ticket"]


async def test_a_lot_of_another_product_than_its_parent_in_the_books(market: Market) -> None:
    bought = await market.buy(market.coop, market.stall, await market.certified(), 10)
    assert await look(market, RuleCode.PRODUCT_CHANGED) == []
    await market.trade.execute(
        "UPDATE lot SET product_id = :product WHERE public_id = :lot",
        product=GREENS,
        lot=UUID(bought),
    )
    await market.trade.execute("UPDATE warning_watermark SET position = 0")
    assert [row.subject for row in await look(market, RuleCode.PRODUCT_CHANGED)] == [
        f"lot:{bought}"
    ]
    await market.trade.execute(
        "UPDATE lot SET product_id = :product WHERE public_id = :lot",
        product=CHIVES,
        lot=UUID(bought),
    )


async def walk_in(market: Market) -> Json:
    """Issue a ticket that anybody may show."""
    return await market.sell(market.coop, None, await market.certified(), 10)


async def test_a_copy_at_two_gates(market: Market) -> None:
    _, haian, its_office = await a_market(market, "海安市场", HAIAN)
    _, qidong, other_office = await a_market(market, "启东市场", QIDONG)
    slow, fast = await walk_in(market), await walk_in(market)
    for ticket in (slow, fast):
        await market.scan(ticket["code"], its_office, place=str(haian))
    market.clock.advance(minutes=35)
    await market.scan(fast["code"], other_office, place=str(qidong))
    market.clock.advance(minutes=56)
    await market.scan(slow["code"], other_office, place=str(qidong))
    found = await look(market, RuleCode.SCAN_TOO_FAST)
    assert [(row.subject, row.figure) for row in found] == [(f"ticket:{fast['ticket']}", 214)]
    assert len(found[0].evidence["scans"]) == 2
    # Both came in twice, however long it took.
    admitted = await look(market, RuleCode.ACCEPTED_BEYOND_ISSUED)
    assert {row.subject for row in admitted} == {
        f"ticket:{slow['ticket']}",
        f"ticket:{fast['ticket']}",
    }
    assert {(row.figure, row.limit) for row in admitted} == {(20_000, 10_000)}


async def test_a_gate_without_a_point_is_where_its_market_is(market: Market) -> None:
    ticket = await walk_in(market)
    scans = []
    for name, longitude in (("东市场", 120.9), ("西市场", 120.7)):
        site, gate, its_office = await a_market(market, name, VILLAGE)
        scans.append((gate, its_office))
        point = f'{{"type": "Point", "coordinates": [{longitude}, 32.0]}}'
        await market.trade.execute(
            f"UPDATE place SET geometry = '{point}' WHERE public_id = '{site}'"
        )
    for gate, its_office in scans:
        await market.scan(ticket["code"], its_office, place=str(gate))
        market.clock.advance(minutes=1)
    (found,) = await look(market, RuleCode.SCAN_TOO_FAST)
    assert found.evidence["km_at_least"] == 23


async def test_two_gates_of_one_market_are_one(market: Market) -> None:
    west = await market.place("西门", PlaceKind.GATE, within=market.site)
    ticket = await walk_in(market)
    for gate in (market.gate, west):
        await market.scan(ticket["code"], place=str(gate))
    assert await look(market, RuleCode.SCAN_TOO_FAST) == []
    assert await look(market, RuleCode.ACCEPTED_BEYOND_ISSUED) == []


async def test_the_books_themselves_say_that_too_much_was_accepted(market: Market) -> None:
    ticket = await market.sound_ticket()
    await market.stall.decides(ticket["ticket"])
    assert await look(market, RuleCode.ACCEPTED_BEYOND_ISSUED) == []
    await market.trade.execute("UPDATE ticket_receipt SET accepted_g = accepted_g + 1")
    await market.trade.execute("UPDATE warning_watermark SET position = 0")
    found = await look(market, RuleCode.ACCEPTED_BEYOND_ISSUED)
    assert [(row.figure, row.limit) for row in found] == [(10_001, 10_000)]
    await market.trade.execute("UPDATE ticket_receipt SET accepted_g = accepted_g - 1")


@pytest.mark.parametrize(
    ("hours", "who", "warned"),
    [(3.1, "office", True), (2.9, "office", False), (3.1, "stall", False)],
)
async def test_a_ticket_shown_again_after_it_was_used(
    market: Market, hours: float, who: str, warned: bool
) -> None:
    ticket = await market.sound_ticket()
    await market.stall.decides(ticket["ticket"])
    market.clock.advance(hours=hours)
    await market.scan(ticket["code"], getattr(market, who), place=str(market.gate))
    found = await look(market, RuleCode.SCANNED_AFTER_USE)
    assert [row.evidence["ended_by"] for row in found] == (["accepted"] if warned else [])


@pytest.mark.parametrize("gates", [True, False])
async def test_a_patrol_of_a_market_with_gates_reads_codes_of_goods_that_are_in(
    market: Market, gates: bool
) -> None:
    ticket = await market.sound_ticket()
    await market.stall.decides(ticket["ticket"])
    market.clock.advance(hours=20)
    if not gates:
        await market.trade.execute("UPDATE place SET kind = 'stall' WHERE kind = 'gate'")
    await market.scan(ticket["code"], market.office, place=str(market.site))
    found = await look(market, RuleCode.SCANNED_AFTER_USE)
    assert len(found) == (0 if gates else 1)


async def test_a_valid_signature_that_the_books_do_not_know(market: Market) -> None:
    forged = market.token(await market.signer())
    await market.scan((await market.sound_ticket())["code"])
    assert await look(market, RuleCode.OFF_LOG) == []
    await market.scan(forged, place=str(market.gate))
    (found,) = await look(market, RuleCode.OFF_LOG)
    assert found.severity == "critical"
    assert found.subject.startswith("code:")
    assert found.divisions == ["320613001"]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize(("views", "warned"), [(55, False), (56, True)])
async def test_a_public_page_that_is_opened_very_often(
    market: Market, views: int, warned: bool, accept: str
) -> None:
    ticket = await market.sound_ticket()
    digits = ticket["url"].rpartition("/")[2]
    for _ in range(views):
        page = await market.trade.client.get(f"/t/{digits}", headers={"Accept": accept})
        assert page.status_code == 200
    assert (await market.trade.client.head(f"/t/{digits}")).status_code == 200
    assert (await market.trade.client.get("/t/123")).status_code == 400
    await market.trade.app.state.tally.flush(market.trade.database)
    found = await look(market, RuleCode.VIEWED_TOO_OFTEN)
    assert [(row.subject, row.figure) for row in found] == (
        [(f"document:{ticket['ticket']}", views)] if warned else []
    )
    columns = await market.trade.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'public_views'"
    )
    assert {row[0] for row in columns} == {"id", "serial", "hour_at", "views"}


async def test_views_that_cannot_be_written_wait_for_the_next_time(market: Market) -> None:
    ticket = await market.sound_ticket()
    digits = ticket["url"].rpartition("/")[2]
    await market.trade.client.get(f"/t/{digits}")
    tally = market.trade.app.state.tally
    await market.trade.execute("ALTER TABLE public_views RENAME TO elsewhere")
    await tally.flush(market.trade.database)
    await market.trade.execute("ALTER TABLE elsewhere RENAME TO public_views")
    await market.trade.client.get(f"/t/{digits}")
    await tally.flush(market.trade.database)
    await tally.flush(market.trade.database)
    assert await market.trade.rows("SELECT views FROM public_views") == [(2,)]


@pytest.mark.parametrize(("failures", "warned"), [(2, False), (3, True)])
async def test_failures_beyond_their_own_past(market: Market, failures: int, warned: bool) -> None:
    week_on = datetime.fromisoformat("2026-05-25").date()
    async with market.trade.owner.transaction() as session:
        for weeks_ago in range(30):
            session.add(
                WeekOfTests(
                    product_id=CHIVES,
                    county_code="320682",
                    week_on=week_on - timedelta(weeks=weeks_ago),
                    tests=10,
                    # The two weeks before belong to the outbreak, and are not its past.
                    failures={0: failures, 1: 9, 2: 9}.get(weeks_ago, int(weeks_ago % 6 == 0)),
                )
            )
    found = await look(market, RuleCode.FAILURE_CLUSTER)
    periods = {row.period for row in found}
    assert ("2026-05-25" in periods) == warned
    assert {"2026-05-18", "2026-05-11"} <= periods


async def test_failures_are_counted_from_samples_as_their_cases_stand(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    county = await office(market.trade, "320682")
    week_on = datetime.fromisoformat("2026-06-15").date()
    async with market.trade.owner.transaction() as session:
        for weeks_ago in range(4, 24):
            session.add(
                WeekOfTests(
                    product_id=CHIVES,
                    county_code="320682",
                    week_on=week_on - timedelta(weeks=weeks_ago),
                    tests=10,
                    failures=0,
                )
            )
    for value in (10, 20, 60, 70, 80):
        await judged(county, await sampled(county, lot), inhibition(value))
    await sampled(county, lot)  # nobody has tested it yet
    (row,) = await look(market, RuleCode.FAILURE_CLUSTER)
    assert row.subject == f"tests:{CHIVES}:320682"
    counted = {name: row.evidence[name] for name in ("tests", "failures", "past_tests")}
    assert counted == {"tests": 5, "failures": 3, "past_tests": 200}
    assert (row.period, row.figure, row.limit) == ("2026-06-15", 3, 2)
    await judged(county, await sampled(county, lot), inhibition(90))
    (row,) = await look(market, RuleCode.FAILURE_CLUSTER)
    assert (row.figure, row.evidence["tests"]) == (4, 6)


async def test_a_case_that_an_office_does_not_take_up_in_time(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    county = await office(market.trade, "320682")
    sample = await sampled(county, lot, layer="statutory_lab", authority="agriculture")
    await judged(await lab(market.trade), sample, report(("氧乐果", "2")))
    running = await market.trade.rows("SELECT kind, due_at FROM deadline WHERE done_at IS NULL")
    due = max(due_at for _, due_at in running)
    market.clock.set(due - timedelta(minutes=5))
    before = await look(market, RuleCode.DEADLINE_OVERDUE)
    market.clock.set(due + timedelta(minutes=5))
    kinds = {row.evidence["clock"] for row in await look(market, RuleCode.DEADLINE_OVERDUE)}
    owed = {kind for kind, _ in running if not kind.startswith("objection")}
    assert owed
    assert kinds - {"hold"} == owed
    assert len(before) < len(owed) + 1


async def test_a_report_of_a_problem_that_no_office_takes_up_in_time(market: Market) -> None:
    ticket, report = await market.sound_ticket(), new_id()
    said = {"document": ticket["code"], "problem": "unsafe", "text": "有异味"}
    answer = await market.trade.client.put(f"/reports/{report}", json=said)
    last = datetime.fromisoformat(answer.json()["due_on"] + "T23:55+08:00")
    market.clock.set(last)
    assert await look(market, RuleCode.DEADLINE_OVERDUE) == []
    market.clock.set(last + timedelta(minutes=5))
    (row,) = await look(market, RuleCode.DEADLINE_OVERDUE)
    assert (row.subject, row.evidence["clock"]) == (f"report:{report}", "report")
    assert "异味" not in str(row.evidence)
    # Whoever takes it up owes the answer then.
    await market.regulator.make(f"/reports/{report}/steps/{new_id()}", {"kind": "take_up"})
    last = datetime.fromisoformat(answer.json()["answer_due_on"] + "T23:55+08:00")
    for at, clocks in ((last, ["report"]), (last + timedelta(minutes=5), ["report_answer"])):
        market.clock.set(at)
        found = await look(market, RuleCode.DEADLINE_OVERDUE)
        assert [one.evidence["clock"] for one in found][-1:] == clocks


# Held on Thursday, 18 June 2026: the five working days after it are over with Friday the 26th, for
# the Dragon Boat Festival and a weekend lie between them.
@pytest.mark.parametrize(("hours", "warned"), [(8 * 24 + 19, False), (8 * 24 + 21, True)])
async def test_a_hold_that_nobody_decides_about(market: Market, hours: int, warned: bool) -> None:
    held, released = await market.certified(), await market.certified()
    for lot in (held, released):
        hold = new_id()
        await market.regulator.make(f"/holds/{hold}", {"lot": lot, "reason": "suspect"})
    await market.regulator.make(f"/holds/{hold}/release", {"reason": "clear"}, status=200)
    market.clock.advance(hours=hours)
    found = await look(market, RuleCode.DEADLINE_OVERDUE)
    assert len(found) == warned
    if warned:
        assert found[0].evidence["due_at"] == "2026-06-26T16:00:00+00:00"
    assert all(row.subject.startswith("hold:") for row in found)


async def test_a_recall_that_drags_on_and_a_notice_that_nobody_answers(market: Market) -> None:
    lot = await market.certified()
    case = await recalled(await office(market.trade, "320682"), lot)
    notices = await market.trade.rows("SELECT due_at FROM recall_notice")
    market.clock.set(notices[0][0] + timedelta(minutes=5))
    clocks = {row.evidence["clock"] for row in await look(market, RuleCode.DEADLINE_OVERDUE)}
    assert clocks == {"recall_notice"}
    finish = datetime.fromisoformat(case["clocks"]["finish_due_on"] + "T23:55+08:00")
    market.clock.set(finish)
    before = {row.evidence["clock"] for row in await look(market, RuleCode.DEADLINE_OVERDUE)}
    market.clock.set(finish + timedelta(minutes=10))
    after = {row.evidence["clock"] for row in await look(market, RuleCode.DEADLINE_OVERDUE)}
    assert after - before == {"recall"}


async def test_who_lets_the_time_pass_does_not_put_the_warning_aside(market: Market) -> None:
    """A market that does not answer a recall's notice, or decide about a hold of its own."""
    mine = await market.office.opens(CHIVES, 10, origin="declare")
    sample = await sampled(market.office, mine, **OF_MARKET)
    await judged(market.office, sample, inhibition(60))
    taken = await sampled(market.regulator, mine, place=str(market.gate))
    await judged(await lab(market.trade), taken, report(("克百威", "0.5")))
    await recalled(market.regulator, mine)
    market.clock.advance(days=40)
    await look(market, RuleCode.DEADLINE_OVERDUE)
    handling = {"state": "false", "reason": "已处理"}
    rows = await market.office.read("/warnings?state=open")
    assert {row["evidence"]["clock"] for row in rows} >= {"hold", "recall_notice"}
    for row in rows:
        assert row["party"] == str(market.office.public_id), "no clock of an office's"
        refused = await market.office.put(f"/warnings/{row['warning']}/handling", handling)
        assert code_of(refused) == "warning-concerns-you"
    for row in await market.regulator.read("/warnings?state=open"):
        path = f"/warnings/{row['warning']}/handling"
        await market.regulator.make(path, handling, status=200)


# --- what becomes of them -------------------------------------------------------------------------


async def overdrawn(market: Market) -> str:
    """Let a farmer sell far more than his certificate says; answer the lot."""
    lot = await market.lot(market.farmer, 1000)
    await market.certify(market.farmer, lot, 10)
    await market.sell(market.farmer, market.stall, lot, 100, market=str(market.site))
    return lot


async def only_warning(reader: Actor, **query: str) -> Json:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    (found,) = await reader.read(f"/warnings?{asked}")
    return dict(found)


async def test_the_same_evidence_opens_one_warning_and_more_of_it_lets_it_grow(
    market: Market,
) -> None:
    lot = await overdrawn(market)
    for _ in range(3):
        (row,) = await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    await market.trade.execute("UPDATE warning_watermark SET position = 0")
    (row,) = await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    assert row.figure == 100_000
    await market.sell(market.farmer, market.stall, lot, 5)
    (row,) = await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    assert row.figure == 105_000
    kinds = await market.trade.rows("SELECT kind FROM entry WHERE kind LIKE 'warning%' ORDER BY id")
    assert [kind for (kind,) in kinds] == ["warning.opened", "warning.grown"]


async def test_workers_that_look_at_the_same_time_open_one(market: Market) -> None:
    # Once looked at, no worker waits for another to write the first watermark.
    assert await look(market, RuleCode.CERTIFICATE_OVERSOLD) == []
    await overdrawn(market)
    market.clock.advance(minutes=5)

    async def run() -> int:
        async with market.trade.database.transaction() as session:
            found = await service.run(session, RuleCode.CERTIFICATE_OVERSOLD, now=market.clock())
            return found.opened

    assert sorted(await asyncio.gather(*(run() for _ in range(4)))) == [0, 0, 0, 1]


async def test_who_sees_a_warning(market: Market) -> None:
    await overdrawn(market)
    await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    there = await market.add("there", "如皋监管", RoleKind.REGULATOR, division="320682")
    elsewhere = await market.add("elsewhere", "启东监管", RoleKind.REGULATOR, division="320681")
    _, _, other = await a_market(market, "海安市场", HAIAN)
    assert (await only_warning(market.regulator))["rule"] == "certificate-oversold"
    assert await only_warning(there) == await only_warning(market.office)
    warning = (await only_warning(there))["warning"]
    for stranger in (elsewhere, other):
        assert await stranger.read("/warnings") == []
        assert code_of(await stranger.get(f"/warnings/{warning}")) == "unknown-warning"
    assert (await market.farmer.get("/warnings")).status_code == 403
    shown = await there.read(f"/warnings/{warning}")
    assert shown["rule_verified"] is False
    assert shown["rule_valid_from"] == "2016-03-01"
    assert await there.read("/warnings?state=handled") == []
    assert await there.read(f"/warnings?before={warning}") == []
    assert await there.read("/warnings?rule=off-log") == []


async def test_the_gravest_and_the_furthest_beyond_its_limit_come_first(market: Market) -> None:
    gross, slight = [f"lot:{await overdrawn(market)}" for _ in range(2)]
    await market.scan(market.token(await market.signer()), place=str(market.gate))
    for code in (RuleCode.OFF_LOG, RuleCode.CERTIFICATE_OVERSOLD):
        await look(market, code)
    ticket = await market.sound_ticket()
    await market.trade.execute(
        "INSERT INTO public_views (serial, hour_at, views) "
        "SELECT serial, :at, 999 FROM ticket WHERE public_id = :ticket",
        at=market.clock(),
        ticket=UUID(ticket["ticket"]),
    )
    await look(market, RuleCode.VIEWED_TOO_OFTEN)
    await market.trade.execute(
        "UPDATE warning SET figure = figure * 2 WHERE subject = :subject", subject=gross
    )

    async def pages(order: str) -> list[str]:
        told: list[str] = []
        path = f"/warnings?order={order}&limit=1"
        last = ""
        while page := await market.regulator.read(path + last):
            told.append(names.get(page[0]["subject"], page[0]["rule"]))
            last = f"&before={page[0]['warning']}"
        return told

    names = {gross: "gross", slight: "slight"}
    assert await pages("weight") == ["off-log", "gross", "slight", "viewed-too-often"]
    assert await pages("newest") == ["viewed-too-often", "slight", "gross", "off-log"]


async def test_a_warning_is_put_aside_once_and_opens_anew_only_when_it_has_grown(
    market: Market,
) -> None:
    lot = await overdrawn(market)
    await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    path = f"/warnings/{(await only_warning(market.regulator))['warning']}/handling"
    said = {"state": "false", "reason": "称重误差"}
    done = await market.regulator.make(path, said, status=200)
    assert (done["state"], done["closed_by"]) == ("false", str(market.regulator.public_id))
    assert await market.regulator.make(path, said, status=200) == done
    assert code_of(await market.regulator.put(path, said | {"state": "handled"})) == (
        "warning-closed"
    )
    await market.sell(market.farmer, market.stall, lot, 25)
    assert len(await look(market, RuleCode.CERTIFICATE_OVERSOLD)) == 1
    await market.sell(market.farmer, market.stall, lot, 1)
    assert [row.state for row in await look(market, RuleCode.CERTIFICATE_OVERSOLD)] == [
        "false",
        "open",
    ]
    (leaf,) = await market.trade.rows("SELECT leaf FROM entry WHERE kind = 'warning.closed'")
    assert "称重误差".encode() not in leaf[0]


async def test_refusals_come_in_order(market: Market) -> None:
    await resold(market, 5)
    await look(market, RuleCode.CHAIN_TOO_FAST)
    warning = (await only_warning(market.regulator))["warning"]
    said = {"state": "handled", "reason": "已约谈"}
    # Whoever runs the platform sees it, and leaves it to whoever answers for it.
    operator = await market.add("operator", "平台", RoleKind.OPERATOR)
    refused = await operator.put(f"/warnings/{warning}/handling", said)
    assert (refused.status_code, code_of(refused)) == (403, "not-allowed")
    assert (await only_warning(operator))["state"] == "open"
    await market.trade.execute("UPDATE warning SET party_id = :id", id=market.regulator.id)
    for path, body, code in (
        (f"/warnings/{new_id()}/handling", said, "unknown-warning"),
        (f"/warnings/{warning}/handling", said, "warning-concerns-you"),
    ):
        assert code_of(await market.regulator.put(path, body)) == code
    answer = await market.regulator.put(f"/warnings/{warning}/handling", said | {"state": "open"})
    assert answer.status_code == 422
    await market.trade.execute("UPDATE warning SET party_id = NULL")
    await market.regulator.make(f"/warnings/{warning}/handling", said, status=200)
    # What concerns no market and no place is nobody else's.
    await market.trade.execute(
        "UPDATE warning SET state = 'open', reason = NULL, closed_by = NULL, closed_at = NULL,"
        " divisions = '{}', market_ids = '{}'"
    )
    await operator.make(f"/warnings/{warning}/handling", said, status=200)


async def test_two_offices_that_close_a_warning_at_once(market: Market) -> None:
    await overdrawn(market)
    await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    path = f"/warnings/{(await only_warning(market.regulator))['warning']}/handling"
    async with market.trade.owner.transaction() as session:
        await session.execute(text("SELECT 1 FROM warning FOR UPDATE"))
        answering = asyncio.gather(
            market.regulator.put(path, {"state": "false", "reason": "a"}),
            market.office.put(path, {"state": "handled", "reason": "b"}),
        )
        await asyncio.sleep(0.5)  # both have read it open, and want it
        assert not answering.done()
    answers = await answering
    assert sorted(answer.status_code for answer in answers) == [200, 409]


# --- the worker -----------------------------------------------------------------------------------


async def test_the_worker_looks_by_every_rule(market: Market) -> None:
    await overdrawn(market)
    market.clock.advance(minutes=5)
    async with market.trade.database.transaction() as session:
        await jobs.watch(session, market.clock())
    async with working(market.trade):
        await until(market.trade, "SELECT count(*) FROM warning", lambda count: count == 1)
        await until(market.trade, "SELECT count(*) FROM pgqueuer", lambda count: count == 0)
    looked = {row[0] for row in await market.trade.rows("SELECT rule FROM warning_watermark")}
    assert looked == set(MEASURES)


async def test_batches_cover_everything_and_young_rows_are_looked_at_again(
    market: Market,
) -> None:
    for _ in range(5):
        await overdrawn(market)
    opened = []
    more = True
    market.clock.advance(minutes=5)
    while more:
        async with market.trade.database.transaction() as session:
            run = await service.run(
                session, RuleCode.CERTIFICATE_OVERSOLD, now=market.clock(), most=2
            )
        opened.append(run.opened)
        more = run.more
    assert sum(opened) == 5
    assert len(opened) > 2
    await overdrawn(market)
    for fresh in (1, 0):
        async with market.trade.database.transaction() as session:
            run = await service.run(session, RuleCode.CERTIFICATE_OVERSOLD, now=market.clock())
        assert (run.opened, run.measured) == (fresh, 1)
    await look(market, RuleCode.CERTIFICATE_OVERSOLD)
    async with market.trade.database.transaction() as session:
        run = await service.run(session, RuleCode.CERTIFICATE_OVERSOLD, now=market.clock())
    assert (run.measured, run.more) == (0, False)


async def test_thresholds_that_an_authority_sets_outlive_a_release(market: Market) -> None:
    await overdrawn(market)
    await market.trade.execute("""
        INSERT INTO warning_rule
        SELECT (jsonb_populate_record(r, jsonb_build_object(
            'valid_from', '2026-06-01', 'verified', true,
            'parameters', r.parameters || '{"over_permille": 20000}'
        ))).* FROM warning_rule r WHERE code = 'certificate-oversold'
    """)
    async with market.trade.owner.transaction() as session:
        await service.load_rules(session)
    assert await look(market, RuleCode.CERTIFICATE_OVERSOLD) == []
    await market.trade.execute("DELETE FROM warning_rule WHERE verified")
    await market.trade.execute("UPDATE warning_watermark SET position = 0")
    assert len(await look(market, RuleCode.CERTIFICATE_OVERSOLD)) == 1


async def test_a_rule_is_that_of_the_day_of_the_event(market: Market) -> None:
    await overdrawn(market)
    await market.trade.execute(
        "UPDATE warning_rule SET valid_to = '2026-06-18' WHERE code = 'certificate-oversold'"
    )
    assert await look(market, RuleCode.CERTIFICATE_OVERSOLD) == []
    await market.trade.execute(
        "UPDATE warning_rule SET valid_to = '2026-06-19' WHERE code = 'certificate-oversold'"
    )
    await market.trade.execute("UPDATE warning_watermark SET position = 0")
    assert len(await look(market, RuleCode.CERTIFICATE_OVERSOLD)) == 1
