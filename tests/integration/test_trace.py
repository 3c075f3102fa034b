"""Traces through the tables: what is found, who sees how much of it, and what it costs.

Every graph is walked in both ways, the recursive statement and level by level: whatever is found,
shown or refused is the same.
"""

from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.ids import uuid7
from app.lot.rules import LotOrigin, UnknownLot
from app.party.access import Audience, OtherParty, RoleKind
from app.ticket.rules import UnknownTicket
from app.trace import queries, service
from app.trace.memory import memory_of
from app.trace.queries import Walk
from app.trace.rules import Direction, Ending, TraceTooLarge
from tests.story import (
    BACK,
    CHIVES,
    DONGSHI,
    FORWARD,
    OPERATOR,
    OWN,
    PROVED,
    Books,
    key_of,
    statements,
    tell,
    walked,
)


@pytest.fixture(params=["recursive", "levels"])
async def books(session: AsyncSession, request: pytest.FixtureRequest) -> Books:
    """The story of the chives, traced in both ways in which graphs can be walked."""
    walked(session, request.param)
    return await tell(session)


@pytest.fixture
async def recursive_books(session: AsyncSession) -> Books:
    """The same, walked by the recursive statement alone."""
    return await tell(session)


# --- what is found --------------------------------------------------------------------------------


async def test_back_to_both_farmers(books: Books) -> None:
    seen = await books.trace("C", BACK, OPERATOR)
    found = seen.found
    assert (found.lot, found.asked_g, found.direction) == (books.public["C"], 50_000, BACK)
    assert list(seen.nodes) == ["A", "B", "A2", "B2", "M", "S", "S1", "C"]
    assert {name: source.mass_g for name, source in seen.sources.items()} == {
        "A": 30_000,
        "B": 20_000,
    }
    a = seen.sources["A"]
    assert a.producer is not None
    assert (a.producer.name, a.share, a.made_on) == ("张三", 0.6, date(2026, 6, 17))
    assert a.village == "通州区金沙街道东市社区居委会"
    assert a.product_name == "大米"
    assert {key: edge.proof for key, edge in seen.edges.items()} == {
        ("A", "A2"): "proved",
        ("B", "B2"): "claimed",
        ("A2", "M"): "own",
        ("B2", "M"): "own",
        ("M", "S"): "proved",
        ("S", "S1"): "own",
        ("S1", "C"): "proved",
    }
    assert seen.edges["A2", "M"].share_g == 30_000
    assert seen.nodes["A"].depth == 5
    assert seen.nodes["A"].end is Ending.SOURCE
    assert seen.nodes["M"].end is None
    assert found.completeness.share_to_producer == 1.0
    assert found.completeness.proved_share == pytest.approx(0.6)
    assert found.completeness.broken_g == 0
    assert not found.holders
    assert not found.in_transit


async def test_a_lot_from_nowhere_is_broken(books: Books) -> None:
    declared: dict[str, Any] = {"origin": LotOrigin.DECLARE}
    await books.lot("D", "王五", 10_000, **declared)
    await books.lot("E", "王五", 30_000, **declared, producer="张三")
    await books.lot(
        "X",
        "王五",
        40_000,
        {"D": (10_000, OWN), "E": (30_000, OWN)},
        origin=LotOrigin.MERGE,
    )
    seen = await books.trace("X", BACK, OPERATOR)
    assert list(seen.sources) == ["E"]
    assert seen.nodes["D"].end is Ending.BROKEN
    assert seen.nodes["D"].share_g == 10_000
    completeness = seen.found.completeness
    assert (completeness.share_to_producer, completeness.broken_g) == (0.75, 10_000)
    assert completeness.broken_lots == 1


async def test_forward_to_every_holder(books: Books) -> None:
    seen = await books.trace("A", FORWARD, OPERATOR)
    assert list(seen.nodes) == ["A", "A2", "M", "S", "S1", "S2", "C", "W", "C3"]
    assert seen.nodes["M"].share == pytest.approx(0.6)
    assert seen.nodes["W"].share_g == 6_000
    counted = {
        name: (h.kind, h.lots, h.received_g, h.exposed_g, h.remaining_g)
        for name, h in seen.holders.items()
    }
    assert counted == {
        "张三": ("party", 1, 100_000, 100_000, 40_000),
        "合作社": ("party", 2, 60_000, 60_000, 20_000),
        "王五": ("party", 3, 80_000, 48_000, 15_000),
        "学校": ("party", 1, 50_000, 30_000, 30_000),
        None: ("walk_in", 1, 10_000, 6_000, 0),
        "分校": ("party", 1, 20_000, 12_000, 0),
    }
    assert seen.holders["学校"].roles == [RoleKind.GROUP_BUYER]
    assert seen.holders["王五"].share == pytest.approx(0.6)
    assert list(seen.transit) == ["t-open"]
    transit = seen.transit["t-open"]
    assert transit.buyer is not None
    assert (transit.buyer.name, transit.mass_g) == ("食堂", 5_000)
    assert transit.lot == books.public["S2"]
    # All edges on the way are proved but the walk-in's: 6 kg of 60 + 60 + 48 + 48 + 30 + 6 + 12.
    assert seen.found.completeness.proved_share == pytest.approx(1 - 6 / 264)


async def test_one_up_and_one_down(books: Books) -> None:
    found = await service.neighbours(books.session, books.public["S2"], caller=OPERATOR)
    assert [(up.lot, up.edge_g, up.proof) for up in found.up] == [
        (books.public["S"], 30_000, "own")
    ]
    assert [(down.lot, down.holder, down.proof) for down in found.down] == [
        (books.public["W"], None, "claimed")
    ]
    assert [transit.ticket for transit in found.in_transit] == [books.public["t-open"]]
    assert found.lot.remaining_g == 15_000


async def test_a_ticket_back_from_its_draws_and_forward_from_what_was_received(
    books: Books,
) -> None:
    back = await books.trace_ticket("t-W", BACK, OPERATOR)
    assert back.found.asked_g == 10_000
    assert back.found.ticket == books.public["t-W"]
    assert {name: source.mass_g for name, source in back.sources.items()} == {
        "A": 6_000,
        "B": 4_000,
    }
    forward = await books.trace_ticket("t-M", FORWARD, OPERATOR)
    assert next(iter(forward.nodes)) == "S"
    assert set(forward.holders) == {"王五", "学校", None, "分校"}
    assert all(holder.share == 1.0 for holder in forward.found.holders)


async def test_an_open_ticket_forward_is_in_transit_and_nothing_else(books: Books) -> None:
    for caller in (OPERATOR, books.caller("王五"), books.caller("食堂")):
        seen = await books.trace_ticket("t-open", FORWARD, caller)
        assert not seen.nodes
        assert list(seen.transit) == ["t-open"]


async def test_several_lots_in_one_question(books: Books) -> None:
    found = await service.trace(
        books.session, [books.public["C"], books.public["W"]], BACK, caller=OPERATOR
    )
    assert found.lot is None
    assert found.lots == [books.public["C"], books.public["W"]]
    assert [source.mass_g for source in found.sources] == [36_000, 24_000]


async def test_a_ladder_of_sixty_diamonds_in_the_tables(books: Books) -> None:
    await books.lot("d0", "合作社", 900, producer="张三")
    for step in range(60):
        below = f"d{step}"
        for side, grams in (("l", 600), ("r", 300)):
            await books.lot(
                f"{side}{step}", "合作社", grams, {below: (grams, OWN)}, origin=LotOrigin.SPLIT
            )
        await books.lot(
            f"d{step + 1}",
            "合作社",
            900,
            {f"l{step}": (600, OWN), f"r{step}": (300, OWN)},
            origin=LotOrigin.MERGE,
        )
    await books.session.flush()
    back = await books.trace("d60", BACK, OPERATOR)
    assert (len(back.nodes), len(back.edges)) == (181, 240)
    assert back.nodes["d0"].share == 1.0
    assert back.nodes["d0"].depth == 120
    forward = await books.trace("d0", FORWARD, OPERATOR)
    assert (forward.nodes["d60"].share_g, len(forward.nodes)) == (900, 181)


# --- who sees how much ----------------------------------------------------------------------------


async def test_who_has_nothing_to_do_with_it_is_refused(books: Books) -> None:
    stranger = books.caller("路人")
    for direction in Direction:
        with pytest.raises(OtherParty):
            await books.trace("C", direction, stranger)
        with pytest.raises(OtherParty):
            await books.trace_ticket("t-C", direction, stranger)
    with pytest.raises(OtherParty):
        await service.neighbours(books.session, books.public["C"], caller=stranger)
    # One lot of one's own opens no other.
    with pytest.raises(OtherParty):
        await service.trace(
            books.session, [books.public["C"], books.public["A"]], BACK, caller=books.caller("学校")
        )
    # A ticket that was voided opens nothing to the buyer whom it named by mistake.
    with pytest.raises(OtherParty):
        await books.trace("S2", BACK, stranger)
    with pytest.raises(OtherParty):
        await books.trace_ticket("t-void", BACK, stranger)


async def test_unknown_lot_comes_before_other_party(books: Books) -> None:
    with pytest.raises(UnknownLot):
        await service.trace(books.session, [uuid7()], BACK, caller=books.caller("路人"))
    with pytest.raises(UnknownLot):
        await service.neighbours(books.session, uuid7(), caller=books.caller("路人"))
    with pytest.raises(UnknownTicket):
        await service.trace_ticket(books.session, uuid7(), BACK, caller=books.caller("路人"))


async def test_a_buyer_sees_origins_and_no_strangers_names_or_grams(books: Books) -> None:
    seen = await books.trace("C", BACK, books.caller("学校"))
    assert list(seen.nodes) == ["A", "B", "A2", "B2", "M", "S", "S1", "C"]
    # It bought from 王五 itself, and so knows the name; the farmers it never met.
    assert seen.names() == {"张**", "李**", "合作社", "王五", "学校"}
    farmer = seen.sources["A"].producer
    assert farmer is not None
    assert (farmer.party, farmer.masked) == (None, True)
    assert seen.sources["A"].village == "通州区金沙街道东市社区居委会"
    assert seen.sources["A"].mass_g == 30_000  # of its own 50 kg
    assert {name for name, node in seen.nodes.items() if node.mass_g is not None} == {"C"}
    assert {name for name, node in seen.nodes.items() if node.remaining_g is not None} == {"C"}
    assert {key for key, edge in seen.edges.items() if edge.mass_g is not None} == {("S1", "C")}


async def test_a_farmer_sees_its_buyer_and_what_lies_beyond_as_a_sum(books: Books) -> None:
    seen = await books.trace("A", FORWARD, books.caller("张三"))
    assert list(seen.nodes) == ["A", "A2"]
    assert set(seen.holders) == {"张三", "合作社"}
    assert seen.holders["合作社"].received_g == 60_000
    assert seen.holders["合作社"].remaining_g is None
    assert seen.holders["张三"].remaining_g == 40_000
    beyond = seen.found.beyond
    assert beyond is not None
    assert (beyond.lots, beyond.mass_g, beyond.in_transit_g) == (7, 60_000, 5_000)
    assert not seen.transit
    assert beyond.en.startswith("Beyond your own buyers: 7 lots, 60000 g")


async def test_a_seller_sees_its_ticket_and_who_stands_on_it(books: Books) -> None:
    seen = await books.trace_ticket("t-C", FORWARD, books.caller("王五"))
    assert list(seen.nodes) == ["C"]
    assert seen.nodes["C"].mass_g == 50_000
    assert seen.nodes["C"].remaining_g is None
    beyond = seen.found.beyond
    assert beyond is not None
    assert (beyond.lots, beyond.mass_g) == (1, 20_000)
    # The lot itself says the same as the ticket that made it.
    assert (await books.trace("C", FORWARD, books.caller("王五"))).found.beyond == beyond


async def test_a_stall_sees_its_own_sales_in_full(books: Books) -> None:
    seen = await books.trace("S", FORWARD, books.caller("王五"))
    assert list(seen.nodes) == ["S", "S1", "S2", "C", "W"]
    assert set(seen.holders) == {"王五", "学校", None}
    assert list(seen.transit) == ["t-open"]
    beyond = seen.found.beyond
    assert beyond is not None
    assert (beyond.lots, beyond.mass_g, beyond.in_transit_g) == (1, 20_000, 0)


async def test_the_buyer_of_an_open_ticket_may_look_before_it_accepts(books: Books) -> None:
    kitchen = books.caller("食堂")
    seen = await books.trace("S2", BACK, kitchen)
    assert seen.sources["A"].share == pytest.approx(0.6)
    assert seen.sources["A"].mass_g is None  # how much the stall has is the stall's business
    assert seen.found.asked_g is None
    assert all(node.mass_g is None for node in seen.found.nodes)
    assert "王**" in seen.names()
    ticket = await books.trace_ticket("t-open", BACK, kitchen)
    assert ticket.sources["A"].mass_g == 3_000  # of the 5 kg on its own ticket
    assert "王五" in ticket.names()
    forward = await books.trace("S2", FORWARD, kitchen)
    assert list(forward.nodes) == ["S2"]
    assert list(forward.transit) == ["t-open"]
    assert forward.found.beyond is None  # other buyers of the same lot are not even counted


async def test_neighbours_hide_other_buyers_of_the_same_lot(books: Books) -> None:
    found = await service.neighbours(books.session, books.public["S2"], caller=books.caller("食堂"))
    assert not found.down
    assert found.lot.mass_g is None
    own = await service.neighbours(books.session, books.public["S2"], caller=books.caller("王五"))
    assert [down.edge_g for down in own.down] == [10_000]
    assert own.lot.mass_g == 30_000


@pytest.mark.parametrize(
    ("jurisdiction", "lot", "direction", "allowed"),
    [
        ("320612", "C", BACK, True),  # 张三's chives grew there
        ("320685", "C", BACK, True),  # 李四's did
        ("3206", "C", BACK, True),
        ("320682", "C", BACK, False),
        ("3207", "C", BACK, False),
        ("320611", "S2", FORWARD, True),  # nobody sits there, but the market does
        ("320612", "S2", FORWARD, False),  # goods of another district's, as far as this shows
    ],
)
async def test_a_regulator_sees_what_touches_its_jurisdiction(
    books: Books, jurisdiction: str, lot: str, direction: Direction, *, allowed: bool
) -> None:
    office = books.caller("路人", Audience.REGULATOR, jurisdiction=jurisdiction)
    if not allowed:
        with pytest.raises(OtherParty):
            await books.trace(lot, direction, office)
        return
    seen = await books.trace(lot, direction, office)
    assert not any("*" in name for name in seen.names())
    assert all(node.mass_g is not None for node in seen.found.nodes)


async def test_a_regulator_without_a_jurisdiction_sees_nothing(books: Books) -> None:
    with pytest.raises(OtherParty):
        await books.trace("C", BACK, books.caller("路人", Audience.REGULATOR))


async def test_a_market_sees_the_books_of_its_stalls(books: Books) -> None:
    market = books.caller("南通市场", Audience.MARKET)
    seen = await books.trace("S", FORWARD, market)
    assert set(seen.nodes) == {"S", "S1", "S2", "C", "W", "C3"}
    assert list(seen.transit) == ["t-open"]
    assert seen.nodes["S2"].remaining_g == 15_000
    back = await books.trace("S", BACK, market)
    assert back.names() == {"张**", "李**", "合作社", "王五"}
    assert back.nodes["A"].mass_g is None
    ticket = await books.trace_ticket("t-C", BACK, market)
    assert ticket.sources["A"].mass_g == 30_000
    # What a ticket of the market brought a buyer outside is known to it, though the lot that the
    # ticket drew on lies outside this graph.
    assert (await books.trace("C", FORWARD, market)).nodes["C"].mass_g == 50_000


async def test_a_market_sees_no_lots_of_other_markets(books: Books) -> None:
    market = books.caller("南通市场", Audience.MARKET)
    for lot in ("A", "B", "C3"):
        with pytest.raises(OtherParty):
            await books.trace(lot, BACK, market)
    with pytest.raises(OtherParty):
        await books.trace_ticket("t-A", BACK, market)
    await books.party("别的市场", RoleKind.MARKET)
    await books.place("另一个市场", "market", "320681", run_by="别的市场")
    other = books.caller("别的市场", Audience.MARKET)
    with pytest.raises(OtherParty):
        await books.trace("S", FORWARD, other)
    with pytest.raises(OtherParty):
        await books.trace_ticket("t-C", BACK, other)


async def test_a_stall_holders_goods_are_the_markets_before_the_first_sale(books: Books) -> None:
    """Goods that were brought in this morning, with no ticket of this market yet."""
    await books.lot("N", "王五", 1_000, origin=LotOrigin.DECLARE, producer="张三")
    market = books.caller("南通市场", Audience.MARKET)
    assert (await books.trace("N", FORWARD, market)).nodes["N"].remaining_g == 0
    # Of a stall that had been given up before, they are not.
    await books.session.execute(
        text("UPDATE party_role SET valid_to = '2026-06-01' WHERE party_id = :party"),
        {"party": books.parties["王五"]},
    )
    with pytest.raises(OtherParty):
        await books.trace("N", FORWARD, market)


# --- what it costs --------------------------------------------------------------------------------


async def test_too_large_a_graph_is_refused_and_one_of_just_the_limit_is_not(
    books: Books,
) -> None:
    assert len((await books.trace("C", BACK, OPERATOR, limit=8)).nodes) == 8
    with pytest.raises(TraceTooLarge) as refusal:
        await books.trace("C", BACK, OPERATOR, limit=7)
    assert refusal.value.facts == {"limit": 7}
    with pytest.raises(TraceTooLarge):
        await books.trace("A", FORWARD, OPERATOR, limit=8)
    with pytest.raises(OtherParty):  # whoever may not know gets no hint of the size
        await books.trace("C", BACK, books.caller("路人"), limit=1)


async def test_the_limit_stops_the_walk_itself(recursive_books: Books) -> None:
    """A recall-sized graph must not be fetched in order to be refused."""
    books = recursive_books
    await books.session.execute(
        text("""
            WITH made AS (
                INSERT INTO lot (public_id, digest, product_id, holder_id, mixed, origin, mass_g,
                    quantity, unit, created_at)
                SELECT gen_random_uuid(), '', :product, :holder, false, 'split', 1, 1, '公斤', now()
                FROM generate_series(1, 3000) RETURNING id
            )
            INSERT INTO lot_edge (dst, src, mass_g, proof, event_id, occurred_at)
            SELECT id, :hub, 1, 3, 1, now() FROM made
        """),
        {"product": CHIVES, "holder": books.parties["王五"], "hub": books.lots["S2"]},
    )
    with pytest.raises(TraceTooLarge):
        await queries.walk(books.session, [books.lots["A"]], Walk.FORWARD, limit=50)
    statement = queries._statement(Walk.FORWARD)
    plan = await explain(books.session, statement, {"lots": [books.lots["A"]], "most": 51})
    unions = [node for node in plan if node["Node Type"] == "Recursive Union"]
    assert [union["Actual Rows"] for union in unions] == [51]
    # Nor may whole tables be read, whatever the planner makes of the recursion's size.
    assert not {"Hash Join", "Merge Join"} & {node["Node Type"] for node in plan}
    asked = [books.public["A"]]
    found = await service.trace(books.session, asked, FORWARD, caller=OPERATOR)
    assert len(found.nodes) == 3009


async def explain(session: AsyncSession, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a statement under EXPLAIN ANALYZE; answer the nodes of its plan."""
    found = await session.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}"), values)
    nodes: list[dict[str, Any]] = []
    pending = [found.scalar_one()[0]["Plan"]]
    while pending:
        node = pending.pop()
        nodes.append(node)
        pending += node.get("Plans", [])
    return nodes


@pytest.mark.parametrize(
    ("direction", "again", "first"),
    [
        # Asked and walk; the first time what was met, with its edges and parties.
        (BACK, 2, {"A": 3, "C": 3}),
        # What is on its way besides; the first time roles, and of A the buyers on the way.
        (FORWARD, 3, {"C3": 5, "A": 6}),
    ],
)
async def test_a_walk_is_one_statement_whatever_the_size_of_its_graph(
    recursive_books: Books, direction: Direction, again: int, first: dict[str, int]
) -> None:
    books = recursive_books
    await books.trace("C", direction, OPERATOR)  # catalogue and gazetteer are read once a process
    for lot, once in first.items():
        memory_of(books.session.get_bind().engine.pool).__init__()  # type: ignore[misc]
        counts = []
        for _ in range(2):
            with statements(books.session) as sent:
                await books.trace(lot, direction, OPERATOR)
            assert sum("RECURSIVE" in statement for statement in sent) == 1
            counts.append(len(sent))
        # Every time a lot into which an edge is only claimed.
        claimed = any("FROM lot WHERE" in statement for statement in sent)
        assert counts == [once, again + claimed]


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
async def http_books(database: Database) -> Books:
    """A farmer's lot and a school's, committed."""
    async with database.transaction() as session:
        books = Books(session)
        await books.party("张三", RoleKind.FARMER, natural=True)
        await books.party("学校", RoleKind.GROUP_BUYER)
        await books.party("路人", RoleKind.STALL)
        await books.lot("A", "张三", 5_000, producer="张三", division=DONGSHI)
        await books.lot(
            "C", "学校", 3_000, {"A": (3_000, PROVED)}, origin=LotOrigin.PURCHASE, came_from="张三"
        )
        await books.ticket("t", "张三", "学校", {"A": 3_000}, received={"A": "C"})
    return books


async def test_over_http(client: httpx.AsyncClient, database: Database, http_books: Books) -> None:
    books = http_books
    school = await key_of(database, books, "学校")
    lot, ticket = f"/lots/{books.public['C']}", f"/tickets/{books.public['t']}"

    answer = await client.get(f"{lot}/trace", params={"direction": "back"}, headers=school)
    assert answer.status_code == 200
    body = answer.json()
    assert body["direction"] == "back"
    assert body["sources"][0]["village"] == "通州区金沙街道东市社区居委会"
    assert body["sources"][0]["mass_g"] == 3_000
    assert body["edges"][0]["proof"] == "proved"

    answer = await client.get(f"{ticket}/trace", params={"direction": "forward"}, headers=school)
    assert [holder["party"]["name"] for holder in answer.json()["holders"]] == ["学校"]
    answer = await client.get(f"{lot}/neighbours", headers=school)
    assert answer.json()["up"][0]["holder"]["name"] == "张三"


async def test_refusals_over_http(
    client: httpx.AsyncClient, database: Database, http_books: Books
) -> None:
    books = http_books
    school, stranger = [await key_of(database, books, name) for name in ("学校", "路人")]
    lot, ticket = f"/lots/{books.public['C']}", f"/tickets/{books.public['t']}"
    back: dict[str, Any] = {"direction": "back"}
    for path in (f"{lot}/trace", f"{ticket}/trace", f"{lot}/neighbours"):
        assert await refusal(client, path, back, {}) == (401, "not-signed-in")
        assert await refusal(client, path, back, stranger) == (403, "other-party")
    for path in (f"/lots/{uuid7()}/trace", f"/lots/{uuid7()}/neighbours"):
        assert await refusal(client, path, back, school) == (404, "unknown-lot")
    path = f"/tickets/{uuid7()}/trace"
    assert await refusal(client, path, back, school) == (404, "unknown-ticket")
    path = f"{lot}/trace"
    assert await refusal(client, path, {**back, "limit": 1}, school) == (413, "trace-too-large")
    for wrong in ({}, {"direction": "up"}, {**back, "limit": 0}, {**back, "limit": 10_001}):
        status, _ = await refusal(client, path, wrong, school)
        assert status == 422


async def refusal(
    client: httpx.AsyncClient, path: str, params: dict[str, Any], headers: dict[str, str]
) -> tuple[int, str]:
    answer = await client.get(path, params=params, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]
