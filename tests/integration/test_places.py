"""Divisions and places on PostgreSQL and through HTTP."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.errors import DomainError, IdReused
from app.core.ids import uuid7
from app.core.sealing import Vault
from app.core.settings import Settings
from app.core.snapshot import Snapshot
from app.party import credentials
from app.party import service as parties
from app.party.access import RoleKind
from app.party.rules import UnknownParty
from app.place import rules, service
from app.place.rules import PlaceDraft, PlaceKind
from tests.conftest import START, FakeClock

Json = dict[str, Any]

TODAY = date(2026, 6, 18)
IN_2019 = date(2019, 5, 1)
FENGLI, JUEGANG = "320623108", "320623001"
FIELD: Json = {
    "type": "Polygon",
    "coordinates": [[[121.1, 32.4], [121.101, 32.4], [121.101, 32.401], [121.1, 32.4]]],
}
SCOPES = ["place.read", "place.write", "product.read"]


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Database]:
    """The test's database as its owner sees it, who alone may load reference data."""
    database = Database(settings, role=make_url(settings.database_url).username)
    yield database
    await database.close()


def draft(**changes: Any) -> PlaceDraft:
    plot = PlaceDraft(
        public_id=uuid7(),
        kind=PlaceKind.PLOT,
        name="丰利镇一号地",
        division_code=FENGLI,
        valid_from=date(2024, 1, 1),
        address="村东第三条田埂",
        area_m2=2_000,
        geometry=FIELD,
    )
    return replace(plot, **changes)


async def _party(session: AsyncSession, role: RoleKind, *, name: str) -> tuple[int, UUID]:
    public_id = uuid7()
    party, _ = await parties.register(
        session,
        parties.PartyDraft(public_id=public_id, form="natural", name=name, division_code=FENGLI),
        [parties.RoleDraft(role, date(2020, 1, 1), division_code="3206")],
        vault=Vault(bytes(32)),
        by=None,
        now=START,
    )
    return party.id, public_id


# --- divisions in the database -------------------------------------------------------------------


async def test_divisions_are_loaded_once_and_repeated_harmlessly(owner: Database) -> None:
    async with owner.transaction() as session:
        assert await service.load_divisions(session) == 0
        count = await session.scalar(text("SELECT count(*) FROM division"))
        assert count == len(await service.gazetteer(session))


async def test_many_who_know_nothing_yet_read_a_snapshot_once(owner: Database) -> None:
    reads = 0

    async def read(session: AsyncSession) -> int:
        nonlocal reads
        reads += 1
        if reads == 1:
            await session.execute(text("SELECT 1 / 0"))  # whoever fails leaves it to the next
        found: int = await session.scalar(text("SELECT count(*) FROM division, pg_sleep(0.05)"))
        return found

    count = Snapshot(read, lasts_s=60)

    async def ask() -> int:
        async with owner.reading() as session:
            return await count(session)

    # More than the pool has connections: whoever reads is never short of one.
    answers = await asyncio.gather(*(ask() for _ in range(40)), return_exceptions=True)
    assert sum(isinstance(answer, DBAPIError) for answer in answers) == 1
    assert len({answer for answer in answers if isinstance(answer, int)}) == 1
    assert reads == 2


async def test_loading_repairs_what_differs_from_the_files(owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(text("UPDATE division SET name = '?' WHERE code = '320623'"))
        await session.execute(text("DELETE FROM division WHERE code = '320623108'"))
        await session.execute(
            text("UPDATE division SET valid_from = '2000-01-01' WHERE code = '320681'")
        )
        await session.execute(text("DELETE FROM reporting_unit_division"))
        # The renamed, the deleted, the moved one and what it was moved to, and 17 members.
        assert await service.load_divisions(session) == 21
        assert await service.division_name(session, FENGLI, TODAY) == "如东县丰利镇"
        assert await service.load_divisions(session) == 0


async def test_the_server_itself_may_not_change_divisions(session: AsyncSession) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        await session.execute(text("UPDATE division SET name = '?'"))


async def test_divisions_are_read_once_and_then_from_memory(database: Database) -> None:
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    for _ in range(3):
        async with database.reading() as session:
            assert await service.division_name(session, "320684106", IN_2019) == "海门市常乐镇"
        async with database.transaction() as session:
            assert await service.division_name(session, "320684106", TODAY) == "海门区常乐镇"
    assert len(statements) == 1


@pytest.mark.parametrize(
    ("code", "on", "unit"),
    [
        ("320611001", IN_2019, "gangzha"),
        ("320611001", TODAY, "chongchuan"),
        ("320684", TODAY, "haimen"),
        ("320671403", TODAY, "sutong"),
        ("370784", TODAY, None),
    ],
)
async def test_who_reports_for_a_retired_code(
    session: AsyncSession, code: str, on: date, unit: str | None
) -> None:
    found = await service.reporting_unit_of(session, code, on)
    assert (found.code if found else None) == unit


# --- registering a place -------------------------------------------------------------------------


async def test_a_place_is_registered_once_however_often_it_is_said(session: AsyncSession) -> None:
    said = draft()
    place, created = await service.put_place(session, said)
    assert created
    session.expire_all()
    again, created_again = await service.put_place(session, said)
    assert (again.id, created_again) == (place.id, False)
    assert again.geometry == FIELD
    # The same division, written with the zeros that statistics add.
    filled = replace(said, division_code=FENGLI + "000")
    assert (await service.put_place(session, filled))[1] is False
    assert (await service.find_place(session, said.public_id)).id == place.id
    assert (await service.by_ids(session, [place.id, -1])).keys() == {place.id}
    assert await service.by_ids(session, []) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": PlaceKind.SITE},
        {"name": "二号地"},
        {"division_code": JUEGANG},
        {"address": None},
        {"area_m2": 2_001},
        {"geometry": None},
        {"geometry": {"type": "Point", "coordinates": [121.1, 32.4]}},
        {"valid_from": date(2024, 1, 2)},
        {"valid_to": date(2027, 1, 1)},
    ],
)
async def test_other_content_under_the_same_id_is_refused(
    session: AsyncSession, change: Json
) -> None:
    said = draft()
    await service.put_place(session, said)
    with pytest.raises(IdReused):
        await service.put_place(session, replace(said, **change))


async def test_a_stall_lies_in_its_market_and_belongs_to_its_holder(session: AsyncSession) -> None:
    party_id, party = await _party(session, RoleKind.STALL, name="王五")
    market, _ = await service.put_place(session, draft(kind=PlaceKind.MARKET, name="虹桥菜市场"))
    stall, _ = await service.put_place(
        session, draft(kind=PlaceKind.STALL, name="A-12", parent=market.public_id, party=party)
    )
    assert (stall.parent_id, stall.party_id) == (market.id, party_id)


# A row a rule, each breaking every later rule too: the first is the answer.
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"division_code": "32", "geometry": {}, "parent": uuid7()}, rules.DivisionCodeInvalid),
        ({"division_code": "320699", "geometry": {}, "parent": uuid7()}, rules.UnknownDivision),
        ({"geometry": {}, "parent": uuid7(), "party": uuid7()}, rules.GeometryInvalid),
        (
            {"geometry": {"type": "Point", "coordinates": [0, 0]}, "parent": uuid7()},
            rules.GeometryOutside,
        ),
        ({"parent": uuid7(), "party": uuid7()}, rules.UnknownParentPlace),
        ({"kind": PlaceKind.STALL, "party": uuid7()}, rules.ParentPlaceUnfit),
        ({"party": uuid7()}, UnknownParty),
    ],
)
async def test_places_that_must_not_be(
    session: AsyncSession, changes: Json, refusal: type[DomainError]
) -> None:
    said = draft(**changes)
    with pytest.raises(refusal):
        await service.put_place(session, said)
    with pytest.raises(rules.UnknownPlace):
        await service.find_place(session, said.public_id)


async def test_ten_who_register_one_place_at_once_register_one(database: Database) -> None:
    said = draft()

    async def put() -> tuple[int, bool]:
        async with database.transaction() as session:
            place, created = await service.put_place(session, said)
            return place.id, created

    answers = await asyncio.gather(*(put() for _ in range(10)))
    assert len({place_id for place_id, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


@pytest.mark.parametrize(
    "values",
    [
        "'moon', 'x', '320623', NULL, '2024-01-01', NULL",
        "'plot', 'x', '32062', NULL, '2024-01-01', NULL",
        "'plot', 'x', '320623', 0, '2024-01-01', NULL",
        "'plot', 'x', '320623', 1, '2024-01-01', '2024-01-01'",
    ],
)
async def test_the_database_itself_refuses_what_no_place_is(
    session: AsyncSession, values: str
) -> None:
    columns = "kind, name, division_code, area_m2, valid_from, valid_to"
    with pytest.raises(DBAPIError, match="violates check constraint"):
        await session.execute(
            text(f"INSERT INTO place (public_id, {columns}) VALUES (:id, {values})"),
            {"id": uuid7()},
        )


# --- through HTTP --------------------------------------------------------------------------------


@dataclass
class Hand:
    """A caller with a key."""

    client: httpx.AsyncClient
    key: str
    party: UUID

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=self._headers)

    async def put(self, place: UUID, **body: Any) -> httpx.Response:
        return await self.client.put(f"/places/{place}", json=body, headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


async def _hand(database: Database, client: httpx.AsyncClient, role: RoleKind, name: str) -> Hand:
    async with database.transaction() as session:
        party_id, party = await _party(session, role, name=name)
        key, _ = await credentials.make_key(
            session, public_id=uuid7(), party_id=party_id, name="test", scopes=SCOPES, now=START
        )
    return Hand(client, key, party)


@pytest.fixture
async def farmer(database: Database, client: httpx.AsyncClient, clock: FakeClock) -> Hand:
    return await _hand(database, client, RoleKind.FARMER, "张三")


@pytest.fixture
async def stranger(database: Database, client: httpx.AsyncClient, clock: FakeClock) -> Hand:
    return await _hand(database, client, RoleKind.COLLECTOR, "李四")


@pytest.fixture
async def office(database: Database, client: httpx.AsyncClient, clock: FakeClock) -> Hand:
    return await _hand(database, client, RoleKind.MARKET, "虹桥菜市场")


PLOT: Json = {
    "kind": "plot",
    "name": "丰利镇一号地",
    "division_code": FENGLI,
    "address": "村东第三条田埂",
    "geometry": FIELD,
    "valid_from": "2024-01-01",
}


async def test_put_and_put_again_over_http(farmer: Hand) -> None:
    place = uuid7()
    first = await farmer.put(place, **PLOT)
    again = await farmer.put(place, **PLOT)
    other = await farmer.put(place, **PLOT | {"name": "二号地"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json() == (await farmer.get(f"/places/{place}")).json()
    assert first.json() == {
        "id": str(place),
        "kind": "plot",
        "name": "丰利镇一号地",
        "division_code": FENGLI,
        "division": "如东县丰利镇",
        "parent": None,
        "party": str(farmer.party),
        "address": "村东第三条田埂",
        "area_m2": None,
        "geometry": FIELD,
        "valid_from": "2024-01-01",
        "valid_to": None,
    }
    assert other.json()["code"] == "id-reused"


async def test_strangers_see_the_village_and_neither_door_nor_field(
    farmer: Hand, stranger: Hand
) -> None:
    place = uuid7()
    await farmer.put(place, **PLOT)
    for answer in (await stranger.get(f"/places/{place}"), await stranger.get("/places")):
        assert answer.status_code == 200
        assert "田埂" not in answer.text
        assert "121.1" not in answer.text
        assert "如东县丰利镇" in answer.text


async def test_traders_register_their_own_places_only(
    farmer: Hand, stranger: Hand, office: Hand
) -> None:
    refused = await stranger.put(uuid7(), **PLOT, party=str(farmer.party))
    assert (refused.status_code, refused.json()["code"]) == (403, "other-party")
    by_office = await office.put(uuid7(), **PLOT, party=str(farmer.party))
    assert by_office.status_code == 201
    assert by_office.json()["party"] == str(farmer.party)


async def test_places_are_found_by_kind_name_and_market(office: Hand) -> None:
    market, stall, gate = uuid7(), uuid7(), uuid7()
    common = {"division_code": JUEGANG, "valid_from": "2020-01-01"}
    await office.put(market, kind="market", name="通州农副产品批发市场", **common)
    await office.put(stall, kind="stall", name="100%_A-12", parent=str(market), **common)
    await office.put(gate, kind="gate", name="南门", parent=str(market), **common)

    async def found(**params: Any) -> list[str]:
        answer = await office.get("/places", **params)
        return [place["id"] for place in answer.json()]

    assert await found(kind="market") == [str(market)]
    assert await found(q="批发") == [str(market)]
    assert await found(q="%_a") == [str(stall)]
    assert await found(q="_") == [str(stall)]
    assert await found(parent=str(market)) == [str(stall), str(gate)]
    assert await found(parent=str(market), kind="gate") == [str(gate)]
    assert await found(limit=1) == [str(market)]
    assert await found(q="没有") == []


async def test_one_s_own_places_are_found_apart(farmer: Hand, office: Hand) -> None:
    mine, others = uuid7(), uuid7()
    await farmer.put(mine, **PLOT)
    await office.put(others, **PLOT)
    found = await farmer.get("/places", own=True)
    assert [place["id"] for place in found.json()] == [str(mine)]
    everybody_s = await farmer.get("/places")
    assert {place["id"] for place in everybody_s.json()} >= {str(mine), str(others)}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"kind": "moon"}, 422, "malformed-request"),
        ({"colour": "green"}, 422, "malformed-request"),
        ({"area_m2": 0}, 422, "malformed-request"),
        ({"area_m2": "12"}, 422, "malformed-request"),
        ({"valid_to": "2024-01-01"}, 422, "malformed-request"),
        ({"name": "a\u0000b"}, 422, "malformed-request"),
        ({"division_code": "320699"}, 404, "unknown-division"),
        ({"division_code": "abc"}, 422, "division-code-invalid"),
        ({"geometry": {"type": "Point", "coordinates": [32.4, 121.1]}}, 422, "geometry-outside"),
        ({"geometry": {"type": "Point"}}, 422, "geometry-invalid"),
        ({"kind": "stall"}, 422, "parent-place-unfit"),
    ],
)
async def test_bad_input_is_a_problem_that_says_what_to_do(
    farmer: Hand, change: Json, status: int, code: str
) -> None:
    answer = await farmer.put(uuid7(), **PLOT | change)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["zh"]["next_step"]
    assert problem["en"]["next_step"]


async def test_an_unknown_place_is_not_found(farmer: Hand) -> None:
    answer = await farmer.get(f"/places/{uuid7()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-place")


async def test_places_are_for_those_who_signed_in(client: httpx.AsyncClient) -> None:
    for path in ("/places", f"/places/{uuid7()}"):
        assert (await client.get(path)).status_code == 401
    assert (await client.put(f"/places/{uuid7()}", json=PLOT)).status_code == 401


async def test_divisions_are_public(client: httpx.AsyncClient) -> None:
    then = (await client.get("/divisions/320684", params={"on": "2019-05-01"})).json()
    now = (await client.get("/divisions/320684")).json()
    assert (then["name"], then["through_successor"]) == ("海门市", False)
    assert (now["name"], now["current_code"], now["through_successor"]) == (
        "海门区",
        "320614",
        True,
    )
    assert now["on"] == "2026-06-18"
    early = await client.get("/divisions/320613", params={"on": "2019-05-01"})
    assert (early.status_code, early.json()["code"]) == (422, "division-not-in-force")


async def test_divisions_below_are_those_of_the_day(client: httpx.AsyncClient) -> None:
    async def names(**params: str) -> list[str]:
        answer = await client.get("/divisions", params=params)
        return [division["name"] for division in answer.json()]

    assert len(await names()) == 34
    counties = await names(parent="320600")
    assert len(counties) == 8
    assert {"海门区", "海安市", "南通经济技术开发区"} <= set(counties)
    assert "海门市" in await names(parent="320600", on="2019-05-01")
    assert "海门市常乐镇" in await names(parent="320684", on="2019-05-01")
    assert len(await names(parent=FENGLI)) > 10
    unknown = await client.get("/divisions", params={"parent": "329999"})
    assert unknown.json()["code"] == "unknown-division"


async def test_reporting_units_are_those_of_the_day(client: httpx.AsyncClient) -> None:
    today = (await client.get("/reporting-units")).json()
    then = (await client.get("/reporting-units", params={"on": "2019-05-01"})).json()
    assert len(today) == 10
    assert {unit["code"] for unit in then} - {unit["code"] for unit in today} == {"gangzha"}
    assert sum(unit["population_2020"] or 0 for unit in today) == 7_726_635
