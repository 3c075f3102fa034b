"""Makes a database ready: the newest schema, and the reference data that rules are made of."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from app.admission import seed as entry_rules
from app.certificate import service as certificates
from app.core.migrate import upgrade
from app.event import seed as events
from app.farming import service as farming
from app.ledger import service as ledgers
from app.party import codes as accounts
from app.place import service as places
from app.product import service as products
from app.recall import terms as recalls
from app.report import service as reports
from app.supervision import service as supervision
from app.testing import standards
from app.ticket import service as tickets

REFERENCE_DATA: tuple[Callable[[AsyncSession], Coroutine[Any, Any, Any]], ...] = (
    accounts.load_rules,
    places.load_divisions,
    products.load_catalogue,
    certificates.load_forms,
    standards.load,
    tickets.load_validity,
    recalls.load_terms,
    ledgers.load_statute,
    events.load,
    entry_rules.load,
    farming.load_intervals,
    supervision.load_rules,
    reports.load_rules,
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
