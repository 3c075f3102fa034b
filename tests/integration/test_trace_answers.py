"""Paths, common sources, pages and pictures through the tables: what is found, and who sees it."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.ids import uuid7
from app.lot.models import Lot
from app.lot.rules import LotOrigin, UnknownLot
from app.party.access import Audience, Caller, OtherParty, RoleKind
from app.trace import service
from app.trace.rules import Direction, TraceTooLarge, UnknownPosition
from app.trace.schemas import CommonSourceOut, PathOut, PictureOut
from tests.graphs import reach
from tests.story import (
    BACK,
    CLAIMED,
    DONGSHI,
    FORWARD,
    OPERATOR,
    OWN,
    PROVED,
    Books,
    key_of,
    tell,
    walked,
)


@pytest.fixture(params=["recursive", "levels"])
async def books(session: AsyncSession, request: pytest.FixtureRequest) -> Books:
    """The story of the chives, walked in both ways."""
    walked(session, request.param)
    return await tell(session)


EDGES = [
    ("A", "A2"), ("B", "B2"), ("A2", "M"), ("B2", "M"), ("M", "S"), ("S", "S1"), ("S", "S2"),
    ("S1", "C"), ("S2", "W"), ("C", "C3"),
]  # fmt: skip


def behind(books: Books, *lots: str) -> set[str]:
    """Answer what went into lots of the story, found in memory."""
    return _reach(books, lots, BACK)


def ahead(books: Books, *lots: str) -> set[str]:
    """Answer what lots of the story went into, found in memory."""
    return _reach(books, lots, FORWARD)


def _reach(books: Books, lots: tuple[str, ...], direction: Direction) -> set[str]:
    pairs = [(books.lots[src], books.lots[dst]) for src, dst in EDGES]
    met = reach(pairs, [books.lots[lot] for lot in lots], direction)
    return {name for name, lot in books.lots.items() if lot in met}


def called(books: Books, public_id: UUID) -> str:
    return next(name for name, known in books.public.items() if known == public_id)


# --- paths ----------------------------------------------------------------------------------------


async def path(books: Books, start: str, end: str, caller: Caller = OPERATOR) -> PathOut:
    return await service.path(books.session, books.public[start], books.public[end], caller=caller)


async def test_how_a_farms_chives_reached_a_school(books: Books) -> None:
    found = await path(books, "A", "C")
    assert found.reaches
    names = {called(books, node.lot) for node in found.nodes}
    assert names == ahead(books, "A") & behind(books, "C") == {"A", "A2", "M", "S", "S1", "C"}
    assert found.share == pytest.approx(0.6)
    assert found.share_g == 30_000
    # 60 % of the school's 50 kg are 张三's, and passed every step of the way.
    assert [node.share_g for node in found.nodes] == [30_000] * 6
    assert [edge.share_g for edge in found.edges] == [30_000] * 5
    assert [called(books, step.lot) for step in found.shortest] == ["A", "A2", "M", "S", "S1", "C"]
    first, *_, last = found.shortest
    assert first.zh == "2026-06-18 张三 大米 (通州区金沙街道东市社区居委会)"
    assert last.en == "2026-06-18 学校 大米"


@pytest.mark.parametrize(("start", "end"), [("A", "B2"), ("C", "A"), ("B", "A2"), ("W", "C3")])
async def test_where_there_is_no_way_that_is_the_answer(books: Books, start: str, end: str) -> None:
    assert start not in behind(books, end)
    found = await path(books, start, end)
    assert (found.reaches, found.share, found.share_g) == (False, 0.0, 0)
    assert not found.nodes
    assert not found.shortest


async def test_a_lot_reaches_itself(books: Books) -> None:
    found = await path(books, "M", "M")
    assert (found.reaches, found.share, found.share_g) == (True, 1.0, 100_000)
    assert [called(books, step.lot) for step in found.shortest] == ["M"]


async def test_grams_of_two_ways_add_up(books: Books) -> None:
    """The halves of a lot go different ways and meet again, with another farm's in between."""
    await books.lot("L", "合作社", 600, {"A2": (600, OWN)}, origin=LotOrigin.SPLIT)
    await books.lot(
        "R", "合作社", 600, {"A2": (400, OWN), "B2": (200, OWN)}, origin=LotOrigin.MERGE
    )
    await books.lot("J", "合作社", 900, {"L": (600, OWN), "R": (300, OWN)}, origin=LotOrigin.MERGE)
    await books.session.flush()
    found = await path(books, "A", "J")
    grams = {called(books, node.lot): node.share_g for node in found.nodes}
    # 600 of L, and two thirds of the 300 of R.
    assert grams == {"A": 800, "A2": 800, "L": 600, "R": 200, "J": 800}
    passed = {
        (called(books, edge.src), called(books, edge.dst)): edge.share_g for edge in found.edges
    }
    assert passed == {
        ("A", "A2"): 800,
        ("A2", "L"): 600,
        ("A2", "R"): 200,
        ("L", "J"): 600,
        ("R", "J"): 200,
    }
    assert [called(books, step.lot) for step in found.shortest] == ["A", "A2", "L", "J"]


async def test_whoever_may_trace_the_younger_lot_back_may_ask_for_the_way(books: Books) -> None:
    school = await path(books, "A", "C", books.caller("学校"))
    assert [step.holder.name for step in school.shortest if step.holder] == [
        "张**", "合作社", "合作社", "王五", "王五", "学校",
    ]  # fmt: skip
    assert "张三" not in school.model_dump_json()
    assert school.share_g == 30_000  # of its own 50 kg
    assert [edge.mass_g for edge in school.edges] == [None, None, None, None, 50_000]
    # The farmer sold to the cooperative, and may follow its chives that far and no farther.
    assert (await path(books, "A", "A2", books.caller("张三"))).reaches
    for end in ("M", "C", "C3"):
        with pytest.raises(OtherParty):
            await path(books, "A", end, books.caller("张三"))
    with pytest.raises(OtherParty):
        await path(books, "A", "C", books.caller("路人"))
    with pytest.raises(UnknownLot):
        await service.path(books.session, uuid7(), books.public["C"], caller=books.caller("路人"))
    for jurisdiction, end in (("320612", "C"), ("320685", "C")):
        office = books.caller("路人", Audience.REGULATOR, jurisdiction=jurisdiction)
        assert (await path(books, "A", end, office)).reaches
    stranger = books.caller("路人", Audience.REGULATOR, jurisdiction="3207")
    with pytest.raises(OtherParty):
        await path(books, "A", "C", stranger)
    market = books.caller("南通市场", Audience.MARKET)
    assert (await path(books, "A", "C", market)).reaches
    with pytest.raises(OtherParty):
        await path(books, "A", "C3", market)


# --- common sources -------------------------------------------------------------------------------


async def common(
    books: Books, *lots: str, caller: Caller = OPERATOR, most: int = 20
) -> CommonSourceOut:
    samples = [books.public[lot] for lot in lots]
    return await service.common_source(books.session, samples, caller=caller, most=most)


async def test_what_five_bad_samples_have_in_common(books: Books) -> None:
    await books.place("地块", "plot", DONGSHI, run_by="张三")
    lot = await books.session.get_one(Lot, books.lots["A"])
    lot.plot_id = books.places["地块"]
    # A farm behind one sample alone, however much of it.
    await books.lot("F", "李四", 90_000, producer="李四", division=DONGSHI)
    await books.lot(
        "X", "王五", 100_000, {"F": (90_000, OWN), "S2": (10_000, OWN)}, origin=LotOrigin.MERGE
    )
    await books.session.flush()
    found = await common(books, "C", "W", "X")

    ranked = [(called(books, each.node.lot), each.reaches) for each in found.sources]
    assert ranked == [("A", 3), ("B", 3), ("F", 1)]
    assert [each.share for each in found.sources] == [
        pytest.approx((0.6 + 0.6 + 0.06) / 3),
        pytest.approx((0.4 + 0.4 + 0.04) / 3),
        pytest.approx(0.3),
    ]
    first = found.sources[0]
    assert {called(books, each.lot): each.share for each in first.samples} == {
        "C": pytest.approx(0.6),
        "W": pytest.approx(0.6),
        "X": pytest.approx(0.06),
    }
    # 李四 is behind as many through both lots, and is more of them.
    assert [(each.producer.name, each.reaches) for each in found.producers] == [
        ("李四", 3),
        ("张三", 3),
    ]
    assert [each.share for each in found.producers] == [
        pytest.approx((0.4 + 0.4 + 0.94) / 3),
        pytest.approx((0.6 + 0.6 + 0.06) / 3),
    ]
    assert [(plot.name, plot.reaches) for plot in found.plots] == [("地块", 3)]
    lots = {called(books, each.node.lot): each for each in found.lots}
    assert set(lots) == behind(books, "C", "W") | {"X", "F"}
    # All ways meet in S; what went into it is in no more samples, what came of it in fewer.
    assert [name for name, each in lots.items() if each.nearest and each.reaches == 3] == ["S"]
    assert found.lots_total == len(lots)
    assert (found.sources_total, found.producers_total, found.plots_total) == (3, 2, 1)
    short = await common(books, "C", "W", "X", most=1)
    assert len(short.lots) == len(short.sources) == len(short.producers) == 1
    assert short.lots_total == found.lots_total


async def test_a_sample_twice_is_one_sample(books: Books) -> None:
    found = await common(books, "C", "C")
    assert found.samples == [books.public["C"]]
    assert found.sources[0].share == pytest.approx(0.6)


async def test_who_may_ask_what_samples_have_in_common(books: Books) -> None:
    stall = await common(books, "C", "W", caller=books.caller("王五"))
    assert [each.producer.name for each in stall.producers] == ["张**", "李**"]
    assert not stall.plots
    assert stall.sources[0].node.mass_g is None
    for lots in (("C", "A"), ("C3",)):
        with pytest.raises(OtherParty):
            await common(books, *lots, caller=books.caller("王五"))
    with pytest.raises(UnknownLot):
        await service.common_source(
            books.session, [books.public["C"], uuid7()], caller=books.caller("路人"), most=1
        )
    office = books.caller("路人", Audience.REGULATOR, jurisdiction="320685")
    assert [each.producer.name for each in (await common(books, "C", caller=office)).producers] == [
        "张三",
        "李四",
    ]


async def test_thousands_of_farms_and_five_samples(books: Books) -> None:
    """Two thousand farms' lots are merged into five; one farm is in all of them."""
    parents: list[dict[str, Any]] = [{} for _ in range(5)]
    await books.lot("guilty", "李四", 10_000, producer="李四")
    for sample in parents:
        sample["guilty"] = (5, OWN)
    for number in range(400):
        await books.lot(f"farm {number}", "张三", 1_000, producer="张三")
        parents[number % 5][f"farm {number}"] = (1_000, OWN)
    for number, sample in enumerate(parents):
        await books.lot(f"sample {number}", "合作社", 80_005, sample, origin=LotOrigin.MERGE)
    await books.session.flush()
    found = await common(books, *(f"sample {number}" for number in range(5)), most=3)
    assert called(books, found.sources[0].node.lot) == "guilty"
    assert (found.sources[0].reaches, found.sources[0].nearest) == (5, True)
    assert found.sources[0].share == pytest.approx(5 / 80_005)
    assert [each.reaches for each in found.sources[1:]] == [1, 1]
    assert found.sources_total == 401


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("who", ["王五", None])
async def test_pages_together_are_the_whole_answer(
    books: Books, direction: Direction, who: str | None
) -> None:
    caller = OPERATOR if who is None else books.caller(who)
    whole = (await books.trace("S", direction, caller)).found
    for most in (1, 2, 100):
        nodes, edges, after, pages = [], [], None, 0
        while True:
            page = await service.page(
                books.session, books.public["S"], direction, caller=caller, after=after, most=most
            )
            assert len(page.nodes) <= most
            assert page.lots_total == len(whole.nodes)
            nodes += page.nodes
            edges += page.edges
            pages += 1
            after = page.next
            if after is None:
                break
        assert nodes == whole.nodes
        assert edges == whole.edges
        assert pages == -(-len(whole.nodes) // most)


async def test_a_page_goes_on_only_after_a_lot_of_the_trace(books: Books) -> None:
    for after in (uuid7(), books.public["C"]):  # C came of S, and is no part of what went into it
        with pytest.raises(UnknownPosition):
            await service.page(
                books.session, books.public["S"], BACK, caller=OPERATOR, after=after, most=5
            )
    with pytest.raises(OtherParty):
        await service.page(
            books.session,
            books.public["S"],
            BACK,
            caller=books.caller("路人"),
            after=uuid7(),
            most=5,
        )


# --- pictures -------------------------------------------------------------------------------------


async def picture(
    books: Books, lot: str, direction: Direction, caller: Caller = OPERATOR, **how: Any
) -> PictureOut:
    how = {"most": 300, **how}
    return await service.picture(books.session, books.public[lot], direction, caller=caller, **how)


@pytest.fixture
async def crowd(books: Books) -> Books:
    """Thirty schools buy the same from the stall, and each has a branch."""
    for number in range(30):
        await books.party(f"校{number}", RoleKind.GROUP_BUYER)
        bought: dict[str, Any] = {"origin": LotOrigin.PURCHASE}
        await books.lot(
            f"c{number}", f"校{number}", 100 + number,
            {"S1": (100 + number, CLAIMED if number == 7 else PROVED)},
            came_from="王五", **bought,
        )  # fmt: skip
        await books.lot(
            f"d{number}", f"校{number}", 50, {f"c{number}": (50, OWN)}, origin=LotOrigin.SPLIT
        )
    await books.session.flush()
    return books


async def test_a_picture_conserves_grams(crowd: Books) -> None:
    books = crowd
    whole = (await books.trace("A", FORWARD, OPERATOR)).found
    ways: list[dict[str, Any]] = [{}, {"unfold": [books.public["c7"]]}, {"most": 10}]
    for how in ways:
        found = await picture(books, "A", FORWARD, **how)
        assert sum(node.count for node in found.nodes) == len(whole.nodes) == found.lots_total
        for member in ("mass_g", "share_g", "remaining_g"):
            drawn = sum(getattr(node, member) for node in found.nodes)
            assert drawn == sum(getattr(node, member) for node in whole.nodes), (how, member)
        passed = sum(edge.mass_g or 0 for edge in found.edges)
        within = sum(node.within_g or 0 for node in found.nodes)
        assert passed + within == sum(edge.mass_g or 0 for edge in whole.edges)
        assert len(found.nodes) <= how.get("most", 300)


async def test_what_is_alike_is_one_node_until_it_is_opened(crowd: Books) -> None:
    books = crowd
    found = await picture(books, "A", FORWARD)
    counts = {called(books, node.lot): node.count for node in found.nodes}
    # The school of the story bought the same way as the thirty.
    assert counts["C"] == 31
    assert counts["d0"] == 30
    folded = next(node for node in found.nodes if node.count == 31)
    assert (folded.holder, folded.roles, folded.origin) == (None, ["GROUP_BUYER"], "purchase")
    edge = next(edge for edge in found.edges if edge.dst == folded.lot)
    assert (called(books, edge.src), edge.count, edge.proof) == ("S1", 31, "claimed")
    opened = await picture(books, "A", FORWARD, unfold=[folded.lot])
    assert sum(node.count == 1 for node in opened.nodes) >= 31
    assert {node.holder.name for node in opened.nodes if node.holder} >= {"校0", "校29", "学校"}


async def test_a_picture_shows_a_trader_its_own(crowd: Books) -> None:
    books = crowd
    found = await picture(books, "S", FORWARD, books.caller("王五"))
    counts = {called(books, node.lot): node.count for node in found.nodes}
    assert counts == {"S": 1, "S1": 2, "C": 31, "W": 1}  # both halves of S are alike
    assert found.beyond is not None
    assert found.beyond.lots == 31
    schools = next(node for node in found.nodes if called(books, node.lot) == "C")
    assert (schools.count, schools.mass_g, schools.remaining_g) == (31, 50_000 + 3_435, None)
    back = await picture(books, "C", BACK, books.caller("学校"))
    assert all(node.mass_g is None for node in back.nodes if called(books, node.lot) != "C")
    assert all(edge.mass_g is None for edge in back.edges if called(books, edge.dst) != "C")
    with pytest.raises(OtherParty):
        await picture(books, "S", FORWARD, books.caller("路人"))


async def test_too_large_a_graph_is_no_picture(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PAGED_LOTS_MAX", 3)
    for answer in (
        picture(books, "A", FORWARD),
        path(books, "A", "C"),
        common(books, "C"),
        service.page(books.session, books.public["C"], BACK, caller=OPERATOR, after=None, most=1),
    ):
        with pytest.raises(TraceTooLarge):
            await answer


# --- over HTTP ------------------------------------------------------------------------------------


async def test_over_http(client: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as session:
        books = await tell(session)
    keys = {name: await key_of(database, books, name) for name in ("学校", "路人", "王五")}
    lot = {name: str(books.public[name]) for name in ("A", "C", "S", "W")}

    way = await client.get(f"/lots/{lot['A']}/path", params={"to": lot["C"]}, headers=keys["学校"])
    assert (way.status_code, way.json()["share_g"]) == (200, 30_000)
    assert [step["lot"] for step in way.json()["shortest"]][::5] == [lot["A"], lot["C"]]
    samples = {"lots": [lot["C"], lot["W"]]}
    sources = await client.post("/traces/common-source", json=samples, headers=keys["王五"])
    assert (sources.status_code, sources.json()["sources"][0]["reaches"]) == (200, 2)
    pages = f"/lots/{lot['S']}/trace/lots"
    page = await client.get(
        pages, params={"direction": "forward", "limit": 2}, headers=keys["王五"]
    )
    assert (page.status_code, len(page.json()["nodes"])) == (200, 2)
    after = {"direction": "forward", "after": page.json()["next"]}
    rest = await client.get(pages, params=after, headers=keys["王五"])
    assert (len(rest.json()["nodes"]), rest.json()["next"]) == (3, None)
    drawn = await client.get(
        f"/lots/{lot['S']}/trace/picture",
        params={"direction": "back", "unfold": [lot["A"], lot["C"]]},
        headers=keys["王五"],
    )
    assert (drawn.status_code, drawn.json()["lots_total"]) == (200, 6)

    for name, expected in (("路人", (403, "other-party")), (None, (401, "not-signed-in"))):
        headers = keys[name] if name else {}
        for answer in (
            await client.get(f"/lots/{lot['A']}/path", params={"to": lot["C"]}, headers=headers),
            await client.post("/traces/common-source", json=samples, headers=headers),
            await client.get(pages, params={"direction": "back"}, headers=headers),
            await client.get(
                f"/lots/{lot['S']}/trace/picture", params={"direction": "back"}, headers=headers
            ),
        ):
            assert (answer.status_code, answer.json()["code"]) == expected
    wrong = {"direction": "back", "after": str(uuid7())}
    answer = await client.get(pages, params=wrong, headers=keys["王五"])
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-position")
    wrongs: list[dict[str, Any]] = [{"lots": []}, {}, {"lots": [lot["C"]], "more": 1}]
    for body in wrongs:
        answer = await client.post("/traces/common-source", json=body, headers=keys["王五"])
        assert answer.status_code == 422
