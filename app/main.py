"""The HTTP application: settings, clock and keys enter here, and every route is mounted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy import text

from app.admission import routes as gates
from app.admission.tally import Tally
from app.bundle import routes as bundles
from app.certificate import routes as certificates
from app.core import http, ids, logging, problems
from app.core.clock import Clock, system_clock
from app.core.db import Database, DbSession
from app.core.errors import DomainError
from app.core.sealing import Vault
from app.core.settings import Settings
from app.evidence import routes as evidence
from app.evidence.rules import UPLOAD_BYTES_MAX
from app.farming import routes as farming
from app.label import routes as labels
from app.ledger import routes as ledgers
from app.lot import routes as lots
from app.paper.press import Press
from app.party import routes as parties
from app.party.auth import allow
from app.place import routes as places
from app.product import routes as products
from app.recall import routes as holds
from app.recall.authority import check_may_hold
from app.report import routes as reports
from app.report.rules import BODY_BYTES_MAX as REPORT_BYTES_MAX
from app.signing.ring import Ring
from app.supervision import routes as warnings
from app.testing import routes as testing
from app.ticket import routes as tickets
from app.ticket.counter import Counter
from app.trace import routes as traces
from app.web import proof, screens
from app.web import recalls as recall_pages
from app.web import reports as report_pages
from app.web import routes as pages
from app.web.memory import Memory

# A request is compared with one router after the other: what is called most comes first.
ROUTED = (
    tickets,
    pages,
    proof,
    gates,
    traces,
    lots,
    certificates,
    parties,
    places,
    products,
    evidence,
    farming,
    testing,
    labels,
    holds,
    bundles,
    ledgers,
    warnings,
    recall_pages,
    reports,
    report_pages,
    screens,
)

# A report bears its photos: in a form on one path, in Base64 on the other.
LARGER_BODIES = {evidence.PATH: UPLOAD_BYTES_MAX, "/report": REPORT_BYTES_MAX}
CUT_FORMS = frozenset({report_pages.FORM})

health = APIRouter(tags=["health"], dependencies=[Depends(allow("public.read"))])


@health.get("/healthz")
async def is_healthy(session: DbSession) -> dict[str, str]:
    """Answer once the database does."""
    await session.execute(text("SELECT 1"))
    return {"status": "ok"}


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    database: Database = app.state.database
    async with database.serving():
        writing = asyncio.create_task(app.state.tally.keep_writing(database))
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


def _wrap(app: FastAPI) -> None:
    """Put around the routes what every request passes through."""
    # The last one added is the first that a request meets.
    app.add_middleware(http.Shortcuts, shortcuts=[tickets.shortcut])
    app.add_middleware(http.Unit, larger_bodies=LARGER_BODIES, cut_forms=CUT_FORMS)
    app.add_middleware(http.CrossSiteGuard)
    # What only reads needs neither of the two.
    app.add_middleware(http.Shortcuts, shortcuts=[pages.shortcut, traces.shortcut])
    app.add_middleware(http.RequestContext)


def create_app(settings: Settings, *, clock: Clock = system_clock) -> FastAPI:
    """Build the application; nothing connects before the first request.

    Args:
        settings: What the operator set.
        clock: What time it is; tests bring their own.
    """
    logging.configure(settings.log_level)
    app = FastAPI(
        title="一票通 One Ticket",
        version="1",
        description="产地证明、承诺达标合格证、一票通与批次追溯 · Certificates, tickets and traces",
        lifespan=_lifespan,
        # Ours is at /docs: FastAPI's own pages load scripts from other sites.
        docs_url=None,
        redoc_url=None,
        # Our log has one line a request and none of what it held; asking at each request whether
        # somebody wants traces costs as much as that line.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.clock = clock
    app.state.vault = Vault(settings.secret_bytes)
    app.state.database = Database(settings)
    app.state.ring = Ring(app.state.vault)
    # Which market and offices answer for a lot is known above the tests that ask it.
    app.state.answers_for = check_may_hold
    app.state.press = Press()
    app.state.pages = Memory()
    app.state.tally = Tally()
    app.state.new_id = ids.uuid7
    app.state.new_serial = ids.serial63
    app.state.counter = Counter(
        app.state.database,
        app.state.ring,
        clock=clock,
        new_id=app.state.new_id,
        new_serial=app.state.new_serial,
        base_url=settings.public_url,
    )
    problems.install(app)
    # As they are: `include_router` would make each route a second time, which is a tenth of the
    # start's time and memory, for prefixes and dependencies that ours do not need.
    for package in ROUTED:
        app.router.routes.extend(package.router.routes)
    app.router.routes.extend(pages.own.routes)
    app.add_exception_handler(DomainError, pages.refused)
    app.router.routes.extend(health.routes)
    app.mount("/static", pages.assets)
    app.mount("/screens", screens.files)
    _wrap(app)
    return app
