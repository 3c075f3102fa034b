"""The worker: does what was asked for after a commit, and what the calendar asks for.

One job is one transaction. A job can be done twice (the worker may end between the commit and its
note in the job table), so every handler must bear it. What fails is tried again, later and later,
and is then kept as `failed` for a person to look at.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import asyncpg
import structlog
from pgqueuer import PgQueuer
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.domain.errors import FailingListenerError
from pgqueuer.models import Job, Schedule
from sqlalchemy.ext.asyncio import AsyncSession

from app.bundle import service as bundles
from app.bundle.device import BundleNotReady
from app.core import heartbeat, logging, partitions
from app.core.clock import Clock, system_clock
from app.core.db import Database
from app.core.replica import DATABASE_FAULTS
from app.core.sealing import Vault
from app.core.settings import Settings
from app.ledger import names
from app.party import credentials
from app.recall import jobs as recall_jobs
from app.report import jobs as report_jobs
from app.signing.rules import NoSigningKey
from app.supervision import jobs as supervision_jobs
from app.testing import devices
from app.ticket import audit

Handler = Callable[[AsyncSession, bytes, datetime], Awaitable[None]]
Chore = Callable[[AsyncSession, datetime], Awaitable[None]]

ATTEMPTS_MAX = 8
RETRY_AFTER = timedelta(seconds=2)
RETRY_AFTER_MAX = timedelta(minutes=10)
DEQUEUE_EVERY = timedelta(seconds=10)
RECONNECT_AFTER_S = 3.0

# A connection that is cut in the middle of a statement may answer the next one with a fault of the
# driver's own.
_DISCONNECTED = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    FailingListenerError,
)

log = structlog.get_logger()


class JobFailedError(Exception):
    """A handler failed; names the kind of failure only, for the job table is not sealed."""


async def _end_expired_sessions(session: AsyncSession, now: datetime) -> None:
    ended = await credentials.end_expired_sessions(session, now=now)
    log.info("sessions_ended", count=ended)


async def _forget_nonces(session: AsyncSession, now: datetime) -> None:
    log.info("nonces_forgotten", count=await devices.forget_nonces(session, now=now))


async def _erase_names(session: AsyncSession, now: datetime) -> None:
    log.info("names_erased", count=await names.erase(session, now=now))


async def _audit(session: AsyncSession, now: datetime) -> None:
    del now  # the books are checked as they are
    report = await audit.audit(session)
    for fault in report.faults:
        log.error("audit_fault", kind=fault.kind, subject=str(fault.subject), finding=fault.finding)
    log.info("audit", **report.counts())


async def _make_partitions(session: AsyncSession, now: datetime) -> None:
    del now  # the database knows which month it is
    log.info("partitions_made", count=await partitions.make_ahead(session))


HANDLERS: Mapping[str, Handler] = {**recall_jobs.HANDLERS, **supervision_jobs.HANDLERS}
"""What follows a commit, by kind."""

CHORES: Mapping[str, tuple[str, Chore]] = {
    "sessions.end-expired": ("*/10 * * * *", _end_expired_sessions),
    "nonces.forget": ("*/10 * * * *", _forget_nonces),
    "names.erase": ("45 3 * * *", _erase_names),
    "partitions.make": ("30 3 * * *", _make_partitions),
    "warnings.watch": ("*/5 * * * *", supervision_jobs.watch),
    # 15:00 UTC is 23:00 in Nantong: after the day's trade, before the wholesale night begins.
    "audit": ("0 15 * * *", _audit),
    **recall_jobs.CHORES,
    **report_jobs.CHORES,
}
"""What the calendar asks for: when (cron, in UTC) and what."""


def chores_of(vault: Vault) -> Mapping[str, tuple[str, Chore]]:
    """Add the chores that open sealed keys."""

    async def build(session: AsyncSession, now: datetime) -> None:
        try:
            log.info("bundles_built", count=await bundles.build_all(session, now, vault=vault))
        except (BundleNotReady, NoSigningKey) as missing:
            # A platform without gates needs none of the keys.
            log.warning("bundles_not_built", reason=missing.code)

    return {**CHORES, "bundles.build": ("*/5 * * * *", build)}


async def run(settings: Settings, stop: asyncio.Event, *, clock: Clock = system_clock) -> None:
    """Work until told to stop; what has begun is finished first.

    A lost connection is taken up again, for as long as it takes.
    """
    database = Database(settings)
    heart = asyncio.create_task(_beat(database))
    try:
        while not stop.is_set():
            try:
                await _work(settings, database, stop, clock)
            except _DISCONNECTED as error:
                log.warning("worker_disconnected", error=type(error).__name__)
            if not stop.is_set():
                await _pause(stop)
    finally:
        heart.cancel()
        await asyncio.gather(heart, return_exceptions=True)
        await database.close()


async def _beat(database: Database) -> None:
    """Let the heart beat every second; replicas are measured by it."""
    missed = False
    while True:
        try:
            async with database.transaction() as session:
                await heartbeat.beat(session)
            missed = False
        except DATABASE_FAULTS as error:
            if not missed:
                log.warning("heartbeat_missed", error=type(error).__name__)
            missed = True
        await asyncio.sleep(heartbeat.BEAT_EVERY_S)


async def _pause(stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), RECONNECT_AFTER_S)
    except TimeoutError:
        return


async def _work(settings: Settings, database: Database, stop: asyncio.Event, clock: Clock) -> None:
    # pgqueuer listens on this connection and marks jobs with it; handlers work on the pool.
    connection = await asyncpg.connect(
        settings.database_url.replace("postgresql+asyncpg://", "postgresql://", 1),
        server_settings={"application_name": "ypt-worker", "role": settings.database_role},
    )
    try:
        vault = Vault(settings.secret_bytes)
        queue = prepare(PgQueuer.from_asyncpg_connection(connection), database, clock, vault)
        stopping = asyncio.create_task(_pass_on(stop, queue.shutdown))
        log.info("worker_started", kinds=sorted(HANDLERS), chores=sorted(chores_of(vault)))
        try:
            await queue.run(dequeue_timeout=DEQUEUE_EVERY, shutdown_on_listener_failure=True)
        finally:
            stopping.cancel()
        log.info("worker_stopped")
    finally:
        await connection.close(timeout=RECONNECT_AFTER_S)


async def _pass_on(stop: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stop.wait()
    shutdown.set()


def prepare(queue: PgQueuer, database: Database, clock: Clock, vault: Vault) -> PgQueuer:
    """Teach a queue all kinds of jobs and chores."""
    for kind, handler in HANDLERS.items():
        queue.entrypoint(kind, on_failure="hold", executor_factory=_patient)(
            _job(kind, handler, database, clock)
        )
    for name, (cron, chore) in chores_of(vault).items():
        # An older release's time for the same chore goes.
        queue.schedule(name, cron, clean_old=True)(_chore(name, chore, database, clock))
    return queue


def _patient(parameters: EntrypointExecutorParameters) -> DatabaseRetryEntrypointExecutor:
    return DatabaseRetryEntrypointExecutor(
        parameters=parameters,
        max_attempts=ATTEMPTS_MAX,
        initial_delay=RETRY_AFTER,
        max_delay=RETRY_AFTER_MAX,
    )


def _job(
    kind: str, handler: Handler, database: Database, clock: Clock
) -> Callable[[Job], Awaitable[None]]:
    async def do(job: Job) -> None:
        try:
            async with database.transaction() as session:
                await handler(session, job.payload or b"", clock())
        except Exception as error:  # noqa: BLE001 (whatever it is, it is named and passed on)
            # An exception can quote what a user typed, and pgqueuer stores what it is told.
            log.warning("job_failed", kind=kind, attempt=job.attempts, error=type(error).__name__)
            raise JobFailedError(type(error).__name__) from None
        log.info("job_done", kind=kind)

    return do


def _chore(
    name: str, chore: Chore, database: Database, clock: Clock
) -> Callable[[Schedule], Awaitable[None]]:
    async def do(_schedule: Schedule) -> None:
        try:
            async with database.transaction() as session:
                await chore(session, clock())
        except Exception as error:
            log.exception("chore_failed", chore=name, error=type(error).__name__)
            raise JobFailedError(type(error).__name__) from None

    return do


def run_until_signalled(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    asyncio.run(_until_signalled(settings))


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop)


def main() -> None:
    """Run as a process of its own: `python -m app.worker`."""
    settings = Settings()
    logging.configure(settings.log_level)
    run_until_signalled(settings)


if __name__ == "__main__":
    main()
