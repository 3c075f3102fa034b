"""The catalogue on PostgreSQL and through HTTP."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Base, Database
from app.core.settings import Settings
from app.product import models, seed, service
from app.product.rules import Production, Requirement, UnknownProduct

TODAY = date(2026, 6, 18)


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Database]:
    """The test's database as its owner sees it, who alone may load reference data."""
    database = Database(settings, role=make_url(settings.database_url).username)
    yield database
    await database.close()


async def _held(session: AsyncSession, table: type[Base]) -> set[Any]:
    rows = await session.execute(text(f"SELECT * FROM {table.__tablename__}"))
    return {str(row) for row in rows}


TABLES = (
    models.UnitRow,
    models.ProductRow,
    models.ProductSynonymRow,
    models.ProductUnitRow,
    models.ProductRequirementRow,
    models.ProcessRow,
    models.YieldBandRow,
    models.ToleranceRow,
)


async def test_the_catalogue_is_loaded_once_and_repeated_harmlessly(owner: Database) -> None:
    async with owner.transaction() as session:
        before = [await _held(session, table) for table in TABLES]
        assert all(before)
        assert await service.load_catalogue(session) is False
        # Even where the version was lost, loading everything again changes nothing.
        await session.execute(text("DELETE FROM catalogue_version"))
        assert await service.load_catalogue(session) is True
        assert [await _held(session, table) for table in TABLES] == before


async def test_loading_a_new_version_repairs_and_removes(owner: Database) -> None:
    async with owner.transaction() as session:
        before = [await _held(session, table) for table in TABLES]
        for statement in (
            "UPDATE catalogue_version SET digest = 'old'",
            "UPDATE product SET name = '?' WHERE id = 18",
            "INSERT INTO product_synonym VALUES (18, '起阳草', 'qiyangcao', 'qyc')",
            "UPDATE yield_band SET low_permille = 1",
            "DELETE FROM product_requirement WHERE product_id = 45",
            "UPDATE unit SET grams = 600 WHERE code = '斤'",
        ):
            await session.execute(text(statement))
        assert await service.load_catalogue(session) is True
        assert [await _held(session, table) for table in TABLES] == before


async def test_the_tables_hold_what_the_files_say(session: AsyncSession) -> None:
    content = seed.read()
    catalogue = await service.catalogue(session)
    assert catalogue.version == content.digest
    assert set(catalogue.products) == {row["id"] for row in content.products}
    assert list(catalogue.units) == [row["code"] for row in content.units]
    assert len(catalogue.bands) == len(content.bands)
    chives = catalogue.product(18)
    assert (chives.name, chives.synonyms[0].initials) == ("韭菜", "jc")
    for product in catalogue.products.values():
        assert product.synonyms[0].name == product.name


async def test_the_catalogue_is_read_once_and_then_from_memory(database: Database) -> None:
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    async with database.reading() as session:
        first = await service.catalogue(session)
    read = len(statements)
    assert read == len(TABLES) + 1
    async with database.transaction() as session:
        assert await service.catalogue(session) is first
        rule = await service.requirement(session, 45, Production.FARMED, TODAY)
    assert len(statements) == read
    assert rule is not None
    assert rule.requirement is Requirement.QUARANTINE_AND_MEAT_INSPECTION


async def test_another_process_learns_of_a_new_version_when_it_asks(
    owner: Database, database: Database
) -> None:
    async with database.reading() as session:
        first = await service.catalogue(session)
        assert await service.refresh(session) is first
    async with owner.transaction() as session:
        await session.execute(text("UPDATE catalogue_version SET digest = 'new'"))
        await session.execute(text("UPDATE tolerance SET permille = 30 WHERE code = 'scale'"))
    async with database.reading() as session:
        assert await service.catalogue(session) is first
        fresh = await service.refresh(session)
        assert fresh.version == "new"
        assert fresh.tolerance_permille(18, TODAY) == 30
        assert await service.catalogue(session) is fresh


async def test_an_empty_catalogue_is_a_mistake_of_the_operator(owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(text("DELETE FROM catalogue_version"))
        with pytest.raises(AssertionError, match="ypt migrate"):
            await service.catalogue(session)


async def test_no_such_product(session: AsyncSession) -> None:
    with pytest.raises(UnknownProduct):
        await service.requirement(session, 54, Production.FARMED, TODAY)


async def test_the_server_itself_may_not_change_the_catalogue(session: AsyncSession) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        await session.execute(text("UPDATE unit SET grams = 600 WHERE code = '斤'"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE unit SET grams = NULL WHERE code = '斤'",
        "UPDATE unit SET grams = 20000 WHERE code = '箱'",
        "UPDATE product SET product_group = 'moon' WHERE id = 1",
        "UPDATE yield_band SET low_permille = high_permille",
        "UPDATE yield_band SET input_group = 'fruit' WHERE input_product_id = 101",
        "UPDATE product_requirement SET valid_to = valid_from",
        "INSERT INTO catalogue_version VALUES (false, 'x')",
    ],
)
async def test_the_database_itself_refuses_nonsense(owner: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="violates check constraint"):
        async with owner.transaction() as session:
            await session.execute(text(statement))


# --- through HTTP --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "first"),
    [("jc", "韭菜"), ("洋芋", "马铃薯"), ("tudou", "马铃薯"), ("鸡毛菜", "青菜")],
)
async def test_products_are_found_by_anybody(
    client: httpx.AsyncClient, query: str, first: str
) -> None:
    answer = await client.get("/products", params={"q": query, "limit": 3})
    found = answer.json()
    assert answer.status_code == 200
    assert 1 <= len(found) <= 3
    assert found[0]["name"] == first


async def test_a_product_is_read_as_of_a_day(client: httpx.AsyncClient) -> None:
    now = (await client.get("/products/49")).json()
    then = (await client.get("/products/49", params={"on": "2019-05-01"})).json()
    assert now["on"] == "2026-06-18"
    assert [rule["requirement"] for rule in now["requirements"]] == ["conformity_certificate"]
    assert [rule["requirement"] for rule in then["requirements"]] == ["source_voucher"]
    trays = {
        unit["unit"]: (unit["grams_per_unit"], unit["pieces_per_unit"]) for unit in now["units"]
    }
    assert trays == {"枚": (55, 1), "板": (1650, 30)}
    assert now["tolerance_permille"] == 20
    seafood = (await client.get("/products/53")).json()
    assert {(rule["production"], rule["requirement"]) for rule in seafood["requirements"]} == {
        ("farmed", "conformity_certificate"),
        ("any", "source_voucher"),
    }
    beans = (await client.get("/products/121")).json()
    assert {process["code"] for process in beans["processes"]} == {
        "make_tofu",
        "press_soybean",
        "sprout_soybean",
    }


async def test_units_are_listed_in_the_order_of_use(client: httpx.AsyncClient) -> None:
    units = (await client.get("/units")).json()
    assert [unit["code"] for unit in units[:3]] == ["公斤", "斤", "两"]
    assert {unit["code"]: unit["grams"] for unit in units}["斤"] == 500


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/products/54", 404, "unknown-product"),
        ("/products/99999999999999999999", 422, "malformed-request"),
        ("/products/chives", 422, "malformed-request"),
        ("/products/18?on=yesterday", 422, "malformed-request"),
        ("/products?limit=0", 422, "malformed-request"),
        ("/products?limit=101", 422, "malformed-request"),
    ],
)
async def test_bad_questions(client: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
