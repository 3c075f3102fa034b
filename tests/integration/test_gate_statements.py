"""How many statements a vehicle costs, and that its lines are judged as they are one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event

from app.admission import rules, service
from app.admission.service import Asked
from app.party.access import Audience, Caller, RoleKind
from tests.factories import Json, Trade, new_id
from tests.gate import GRANDMOTHER, agrees, brought, inspects, paper, scanned
from tests.laboratory import inhibition, judged, sampled
from tests.market import PORK, Market

STATEMENTS_MAX = 60
"""For a vehicle with tickets, certificates, short codes, papers and a self-producing seller."""

SCAN_STATEMENTS_MAX = 17


@pytest.fixture
async def market(trade: Trade) -> Market:
    """A market whose stall has signed the agreement, in the module's trade."""
    market = Market(trade)
    await market.begin()
    await agrees(market, market.stall)
    return market


@contextmanager
def counted(trade: Trade) -> Iterator[list[str]]:
    """Note every statement that the application sends."""
    engine = trade.database.engine.sync_engine
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def mixed(market: Market, lines: int) -> list[Json]:
    """Write lines of every kind, each kind as often as the next."""
    seller = {"seller": str(market.stall.public_id)}
    made: list[Json] = []
    while len(made) < lines:
        sound = await market.sound_ticket()
        lot = await market.lot(market.coop, 10)
        certificate = await market.certify(market.coop, lot, 10)
        small = await market.sell(
            market.farmer, market.stall, await market.lot(market.farmer, 20), 5
        )
        today = date(2026, 6, 18)
        voucher = await paper(market, "purchase_voucher", today)
        report = await paper(market, "lab_report", today)
        form = await paper(market, "conformity_certificate", today, product=1)
        made += [
            scanned(sound),
            scanned(small, seller=str(market.stranger.public_id)),
            {"id": new_id(), "text": sound["code"], "mass_g": 100},
            {"id": new_id(), "text": certificate["url"], "mass_g": 5_000},
            {"id": new_id(), "text": certificate["code"], "mass_g": 5_000},
            {"id": new_id(), "text": "32068200100112345678"},
            brought(1, 1_000, voucher, report, form, **seller),
            brought(PORK, 1_000, voucher, **seller),
            brought(1, 8_000, self_producer=GRANDMOTHER),
        ]
    return made[:lines]


async def test_a_truck_costs_as_many_statements_as_a_basket(market: Market) -> None:
    await inspects(market, scanned(await market.sound_ticket()))  # the day's draw, the law
    counts = []
    for lines in (9, 40, 90):
        vehicle = await mixed(market, lines)
        with counted(market.trade) as seen:
            await inspects(market, *vehicle)
        counts.append(len(seen))
    assert max(counts) <= STATEMENTS_MAX, counts
    # Rows are written in groups, and a large group goes out in two.
    assert counts[-1] <= counts[0] + 2, counts


async def test_a_scan_reads_nothing_twice(market: Market) -> None:
    ticket = await market.sound_ticket()
    body = {"text": ticket["url"], "place": str(market.gate)}
    await market.office.send("POST", "/scans", {"id": new_id(), **body})
    with counted(market.trade) as seen:
        await market.office.send("POST", "/scans", {"id": new_id(), **body})
    assert len(seen) <= SCAN_STATEMENTS_MAX
    assert len(set(seen)) == len(seen)


async def test_lines_are_judged_together_as_they_are_one_by_one(market: Market) -> None:
    """Documents that share lots, ancestors, sellers and numbers, all asked about at once."""
    mixed_lot = await market.chives_of_three()
    held = await market.certified()
    on_hold = await market.sell(market.coop, market.stall, held, 10)
    sample = await sampled(market.regulator, held)
    await judged(market.regulator, sample, inhibition(70))
    siblings = await market.certified()
    tickets = [
        mixed_lot,
        on_hold,
        await market.sell(market.coop, market.stall, siblings, 10),
        await market.sell(market.coop, market.stranger, siblings, 10, plate="苏F12345"),
        await market.sell(
            market.farmer,
            market.stall,
            await market.lot(market.farmer, 20),
            5,
            documents=[{"kind": "lab_report", "number": sample}],
        ),
    ]
    nobody = await market.lot(market.stranger, 10, origin="declare")
    tickets.append(await market.sell(market.stranger, market.stall, nobody, 5))
    await market.stall.decides(tickets[2]["ticket"])
    await market.coop.voids("tickets", tickets[3]["ticket"])
    certificate = await market.certify(market.coop, await market.lot(market.coop, 10), 10)
    roll = [ticket[key] for ticket in tickets for key in ("url", "code")]
    roll += [certificate["url"], certificate["code"], "32068200100112345678", "0000000000000"]
    roll += [tickets[0]["url"][:-1] + str((int(tickets[0]["url"][-1]) + 1) % 10)]
    codes = [rules.recognise(text, [market.trade.settings.public_url]) for text in roll]
    assert len({code.kind for code in codes}) >= 3
    office = Caller(
        party_id=market.office.id,
        party_public_id=market.office.public_id,
        account_id=None,
        audiences=frozenset({Audience.MARKET}),
        roles=frozenset({RoleKind.MARKET}),
        jurisdiction=None,
        scopes=None,
    )
    async with market.trade.database.transaction() as session:
        keys = await market.trade.app.state.ring.keyset(session, market.clock())
        together = await service.gather(
            session,
            [Asked(code) for code in codes],
            office,
            verifier=keys,
            at=market.clock(),
            now=market.clock(),
        )
        for code, (found, facts) in zip(codes, together, strict=True):
            ((alone, said),) = await service.gather(
                session,
                [Asked(code)],
                office,
                verifier=keys,
                at=market.clock(),
                now=market.clock(),
            )
            assert (found, facts) == (alone, said)
    assert sum(bool(found) for found, _ in together) == len(roll) - 3
    wrong = replace(together[0][1], paper=together[2][1].paper)
    assert wrong != together[0][1], "what is compared tells one document from another"
