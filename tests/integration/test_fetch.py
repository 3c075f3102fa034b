"""Statements that go past SQLAlchemy keep its rules: BEGIN, savepoints, errors, one commit."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database, Statement, fetch, part_of, prepared
from app.core.replica import DATABASE_FAULTS
from tests.conftest import AdminConnection

APPEND = prepared(
    "INSERT INTO entry (kind, subject, leaf, appended_at) "
    "VALUES (:kind, gen_random_uuid(), repeat('x', 64)::bytea, now()) RETURNING kind, id AS number"
)
BEAT = prepared("INSERT INTO heartbeat (only_row, beaten_at) VALUES (true, now()) RETURNING 1")


class OnPurposeError(Exception):
    """What a test rolls back with."""


async def append(session: AsyncSession, *kinds: str) -> None:
    for kind in kinds:
        await fetch(session, APPEND, {"kind": kind})


async def append_and_fail(session: AsyncSession) -> None:
    await append(session, "lost")
    raise OnPurposeError


async def beat_twice(session: AsyncSession) -> None:
    for _ in range(2):
        await fetch(session, BEAT, {})


async def beat_twice_as_usual(session: AsyncSession) -> None:
    for _ in range(2):
        await session.execute(text(BEAT.sql))


async def in_transaction(
    database: Database, work: Callable[[AsyncSession], Awaitable[None]]
) -> None:
    async with database.transaction() as session:
        await work(session)


async def in_part(session: AsyncSession, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
    async with part_of(session):
        await work(session)


async def kinds(database: Database) -> list[str]:
    async with database.reading() as session:
        rows = await fetch(session, prepared("SELECT kind FROM entry ORDER BY id"), {})
    return [row.kind for row in rows]


def test_parameters_are_numbered_and_casts_left_alone() -> None:
    assert prepared("SELECT :b::text, CAST(:a AS int), ':', x::int WHERE :b") == Statement(
        "SELECT $1::text, CAST($2 AS int), ':', x::int WHERE $1", ("b", "a")
    )


async def test_a_row_answers_by_place_by_key_and_as_attributes(database: Database) -> None:
    async with database.transaction() as session:
        (row,) = await fetch(session, APPEND, {"kind": "a", "more": "than is asked for"})
    assert row.kind == row["kind"] == row[0] == "a"
    with pytest.raises(AttributeError):
        _ = row.nothing


async def test_the_first_statement_of_a_transaction_is_inside_it(database: Database) -> None:
    with pytest.raises(OnPurposeError):
        await in_transaction(database, append_and_fail)
    async with database.transaction() as session:
        await append(session, "kept")
        await session.execute(text("SELECT 1"))
        await append(session, "too")
        assert await kinds(database) == []
    assert await kinds(database) == ["kept", "too"]


async def test_a_part_can_fail_alone(database: Database) -> None:
    async with database.transaction() as session:
        await append(session, "before")
        with pytest.raises(OnPurposeError):
            await in_part(session, append_and_fail)
        with pytest.raises(DBAPIError):
            await in_part(session, beat_twice)
        await in_part(session, lambda part: append(part, "inside"))
        await append(session, "after")
    assert await kinds(database) == ["before", "inside", "after"]


async def test_errors_are_those_of_sqlalchemy(database: Database) -> None:
    with pytest.raises(DBAPIError) as met:
        await in_transaction(database, beat_twice)
    with pytest.raises(DBAPIError) as usual:
        await in_transaction(database, beat_twice_as_usual)
    assert type(met.value) is type(usual.value)
    for error in (met.value, usual.value):
        assert getattr(error.orig, "sqlstate", None) == "23505"
        assert not error.connection_invalidated


async def test_a_broken_connection_is_given_up(database: Database, admin: AdminConnection) -> None:
    async def cut(session: AsyncSession) -> None:
        (row,) = await fetch(session, prepared("SELECT pg_backend_pid() AS pid"), {})
        assert await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", row.pid)
        await append(session, "lost")

    with pytest.raises(DBAPIError) as met:
        await in_transaction(database, cut)
    assert met.value.connection_invalidated
    await in_transaction(database, lambda session: append(session, "kept"))
    assert await kinds(database) == ["kept"]


async def test_whoever_listens_to_the_engine_hears_of_it(database: Database) -> None:
    heard: list[tuple[str, object]] = []
    engine = database.engine.sync_engine

    def note(_connection: object, _cursor: object, sql: str, values: object, *_: object) -> None:
        heard.append((sql, values))

    event.listen(engine, "before_cursor_execute", note)
    async with database.transaction() as session:
        await fetch(session, APPEND, {"kind": "a"})
    event.remove(engine, "before_cursor_execute", note)
    assert heard == [(APPEND.sql, ("a",))]


async def test_a_question_without_a_session_sees_what_is_committed(
    database: Database, admin: AdminConnection
) -> None:
    count = prepared("SELECT count(*) AS entries FROM entry")
    async with database.transaction() as session:
        await fetch(session, APPEND, {"kind": "a"})
        assert (await database.ask(count, {}))[0].entries == 0
    assert (await database.ask(count, {}))[0].entries == 1
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1",
        database.engine.url.database,
    )
    with pytest.raises(DATABASE_FAULTS):
        await database.ask(count, {})
    # A broken connection is met once: the next one in its place is new.
    with contextlib.suppress(*DATABASE_FAULTS):
        await database.ask(count, {})
    assert (await database.ask(count, {}))[0].entries == 1


async def test_more_questions_than_connections_are_all_answered(database: Database) -> None:
    one, number = prepared("SELECT 1 AS one"), prepared("SELECT CAST(:n AS int) AS n")
    answers: list[int] = []

    async def keep_asking(asked: int) -> None:
        for _ in range(20):
            rows = await database.ask(number, {"n": asked})
            answers.append(rows[0].n)

    async def keep_reading() -> None:
        for _ in range(20):
            async with database.reading() as session:
                await fetch(session, one, {})

    # Nobody who waits for a connection is overtaken until his time is up, and questions leave
    # sessions their part.
    async with asyncio.timeout(4):
        await asyncio.gather(*map(keep_asking, range(50)), *(keep_reading() for _ in range(5)))
    assert sorted(answers) == sorted([*range(50)] * 20)
