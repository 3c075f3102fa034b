"""Makes a database ready: the newest schema, and the reference data that rules are made of."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from app.certificate import service as certificates
from app.core.migrate import upgrade
from app.ledger import service as ledgers
from app.place import service as places
from app.product import service as products
from app.testing import standards
from app.ticket import service as tickets

REFERENCE_DATA: tuple[Callable[[AsyncSession], Coroutine[Any, Any, Any]], ...] = (
    places.load_divisions,
    products.load_catalogue,
    certificates.load_forms,
    standards.load,
    tickets.load_validity,
    ledgers.load_statute,
)


def install(database_url: str) -> None:
    """Migrate and load reference data; safe to repeat."""
    upgrade(database_url)
    asyncio.run(_load(database_url))


async def _load(database_url: str) -> None:
    engine = create_async_engine(database_url)
    try:
        async with AsyncSession(engine) as session, session.begin():
            for load in REFERENCE_DATA:
                await load(session)
    finally:
        await engine.dispose()
