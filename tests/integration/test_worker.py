"""The worker does what was asked for after a commit, and what the calendar asks for."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import worker
from app.core import jobs
from app.core.clock import Clock
from app.core.sealing import Vault
from app.hold.models import Notice
from tests.conftest import START, TEST_SECRET
from tests.factories import Trade, line, received

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20
SECRET_WORDS = "王示范 13800138000"


@asynccontextmanager
async def working(trade: Trade, clock: Clock | None = None) -> AsyncIterator[None]:
    """Have a worker run on the trade's database; it must stop when told."""
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(trade.settings, stop, clock=clock or trade.clock))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)


async def until(trade: Trade, query: str, wanted: Callable[[int], bool]) -> int:
    """Ask until the answer fits."""
    for _ in range(PATIENCE_S * 20):
        count = int(await trade.value(query))
        if wanted(count):
            return count
        await asyncio.sleep(0.05)
    pytest.fail(f"still {count}: {query}")


async def enqueued(trade: Trade, kind: str, payload: bytes = b"") -> None:
    async with trade.database.transaction() as session:
        await jobs.enqueue(session, kind, payload)


async def test_holders_hear_of_a_voided_certificate(own_trade: Trade) -> None:
    farmer, stall = await own_trade.farmer(), await own_trade.stall()
    lot = await farmer.opens(kg=10)
    certificate = await farmer.certifies(lot, 10)
    sold = await farmer.sells(stall, line(18, 10, lot))
    received(await stall.decides(sold["ticket"]))
    await farmer.voids("certificates", certificate)
    assert await own_trade.value("SELECT count(*) FROM notice") == 0
    async with working(own_trade):
        await until(own_trade, "SELECT count(*) FROM notice", bool)
        await until(own_trade, "SELECT count(*) FROM pgqueuer", lambda left: left == 0)
    told = await own_trade.rows("SELECT party_id, kind, subject, created_at FROM notice")
    assert [(row[0], row[1], str(row[2])) for row in told] == [
        (stall.id, "certificate_voided", certificate)
    ]
    assert told[0][3] == own_trade.clock()


async def test_jobs_that_wait_are_done_when_the_worker_comes(own_trade: Trade) -> None:
    """Both ways: asked for before it started, and while it runs (LISTEN)."""
    farmer = await own_trade.farmer()
    certificates = [await farmer.certifies(await farmer.opens(kg=1), 1) for _ in range(3)]
    await farmer.voids("certificates", certificates[0])
    done = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
    async with working(own_trade):
        await until(own_trade, done, lambda count: count == 1)
        await farmer.voids("certificates", certificates[1])
        await farmer.voids("certificates", certificates[2])
        await until(own_trade, done, lambda count: count == 3)


async def test_what_fails_is_tried_again_then_kept_and_quotes_nobody(
    own_trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[bytes] = []

    async def fail(session: AsyncSession, payload: bytes, now: datetime) -> None:
        attempts.append(payload)
        await session.execute(some_notice(now))
        raise ValueError(SECRET_WORDS)

    monkeypatch.setattr(worker, "HANDLERS", {"test.fails": fail})
    monkeypatch.setattr(worker, "ATTEMPTS_MAX", 2)
    monkeypatch.setattr(worker, "RETRY_AFTER", timedelta(milliseconds=20))
    # A retry is not announced: the worker finds it when it looks again.
    monkeypatch.setattr(worker, "DEQUEUE_EVERY", timedelta(milliseconds=200))
    await own_trade.farmer()
    await enqueued(own_trade, "test.fails", b"x")
    failed = "SELECT count(*) FROM pgqueuer WHERE status = 'failed'"
    async with working(own_trade):
        await until(own_trade, failed, bool)
    assert attempts == [b"x"] * 3
    assert await own_trade.value("SELECT count(*) FROM notice") == 0, "a failed job leaves nothing"
    logged = await own_trade.rows(
        "SELECT traceback::text FROM pgqueuer_log WHERE traceback IS NOT NULL"
    )
    assert logged
    assert all("ValueError" in row[0] for row in logged)
    assert all(word not in row[0] for row in logged for word in SECRET_WORDS.split())


def some_notice(now: datetime) -> Insert:
    return insert(Notice).values(
        party_id=1,
        kind="x",
        subject="00000000-0000-0000-0000-000000000000",
        facts={},
        created_at=now,
    )


async def test_a_job_in_hand_is_finished_before_the_worker_stops(
    own_trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(session: AsyncSession, payload: bytes, now: datetime) -> None:
        begun.set()
        await asyncio.sleep(0.5)
        ended.set()

    monkeypatch.setattr(worker, "HANDLERS", {"test.slow": slow})
    await enqueued(own_trade, "test.slow")
    async with working(own_trade):
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
    assert ended.is_set()
    assert await own_trade.value("SELECT count(*) FROM pgqueuer") == 0


def chores_of(trade: Trade) -> Mapping[str, tuple[str, worker.Chore]]:
    return worker.chores_of(Vault(trade.settings.secret_bytes))


async def test_the_calendar_knows_the_chores(own_trade: Trade) -> None:
    wanted = {(name, cron) for name, (cron, _) in chores_of(own_trade).items()}
    assert {"sessions.end-expired", "audit"} <= set(chores_of(own_trade))
    async with working(own_trade):
        count = "SELECT count(*) FROM pgqueuer_schedules"
        await until(own_trade, count, lambda known: known == len(wanted))
    rows = await own_trade.rows("SELECT entrypoint, expression FROM pgqueuer_schedules")
    assert {tuple(row) for row in rows} == wanted


async def test_the_chores_do_what_they_are_called(
    own_trade: Trade,
) -> None:
    farmer = await own_trade.farmer()
    await own_trade.execute(
        "INSERT INTO account (public_id, party_id, duty, login_index, password_hash, created_at) "
        "VALUES (gen_random_uuid(), :party, 'head', 'x', 'x', :now)",
        party=farmer.id,
        now=START,
    )
    await own_trade.execute(
        "INSERT INTO session (token_hash, account_id, created_at, seen_at, expires_at) "
        "SELECT decode(h, 'hex'), a.id, CAST(:now AS timestamptz), :now, "
        ":now + make_interval(hours => hours) "
        "FROM account a, (VALUES ('01', -1), ('02', 1)) AS s (h, hours)",
        now=START,
    )
    await farmer.opens(kg=10)
    for _, chore in chores_of(own_trade).values():
        async with own_trade.database.transaction() as session:
            await chore(session, own_trade.clock())
    assert await own_trade.value("SELECT count(*) FROM session") == 1
    assert await own_trade.value("SELECT count(*) FROM lot") == 1


def test_the_process_stops_in_good_order(database_url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.worker"],
        cwd=ROOT,
        env=os.environ | {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "worker_started" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "worker_stopped" in err
    assert out == ""


async def test_a_lost_connection_is_taken_up_again(
    own_trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RECONNECT_AFTER_S", 0.1)
    alive = (
        "FROM pg_stat_activity "
        "WHERE application_name = 'ypt-worker' AND datname = current_database()"
    )
    farmer = await own_trade.farmer()
    certificate = await farmer.certifies(await farmer.opens(kg=1), 1)
    async with working(own_trade):
        await until(own_trade, f"SELECT count(*) {alive}", bool)
        await own_trade.rows(f"SELECT pg_terminate_backend(pid) {alive}")
        await farmer.voids("certificates", certificate)
        done = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
        await until(own_trade, done, bool)
