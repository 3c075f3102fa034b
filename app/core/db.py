"""The database: one engine a process, one transaction a request or job.

A feature is handed a session and never begins or ends a transaction. Writing requests run in one
read-committed transaction; reading requests run in autocommit, which saves two round trips.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import orjson
from fastapi import Depends, Request
from sqlalchemy import BigInteger, DateTime, LargeBinary, MetaData, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from app.core.settings import Settings

LOCK_TIMEOUT_MS = 2_000
STATEMENT_TIMEOUT_MS = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000


class Base(DeclarativeBase):
    """What every table derives from: constraint names, and how Python types are stored."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        str: Text,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        uuid.UUID: Uuid,
        Decimal: Numeric,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
    }


class Database:
    """The engine and the two ways to use it."""

    def __init__(self, settings: Settings, *, role: str | None = None) -> None:
        """Prepare the engine; nothing connects before the first use.

        Args:
            settings: Where the database is and how many connections to keep.
            role: Act as this role instead of `settings.database_role` (migrations, tests).
        """
        self.engine = create_async_engine(
            settings.database_url,
            pool_size=settings.pool_size,
            max_overflow=0,
            hide_parameters=True,  # What users typed must not reach a log by way of an exception.
            pool_timeout=STATEMENT_TIMEOUT_MS / 1000,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                "server_settings": {
                    "application_name": "ypt",
                    "role": role or settings.database_role,
                    "timezone": "UTC",
                    "jit": "off",
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                }
            },
        )
        reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._write = async_sessionmaker(self.engine, expire_on_commit=False)
        self._read = async_sessionmaker(reading, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open one transaction; it commits when the block ends well, and otherwise leaves nothing.

        This is the only place in the project that commits.
        """
        async with self._write() as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a session whose statements each see the latest committed state."""
        async with self._read() as session:
            yield session

    async def close(self) -> None:
        """Give every connection back to the server."""
        await self.engine.dispose()


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    safe = request.method in {"GET", "HEAD"}
    async with database.reading() if safe else database.transaction() as session:
        yield session


# With any other scope FastAPI would commit after the answer has left: a client could be told that
# a ticket exists, and a crash in between would lose it.
DbSession = Annotated[AsyncSession, Depends(_session, scope="function")]
"""The request's session: a transaction for a request that writes, autocommit for one that reads."""
