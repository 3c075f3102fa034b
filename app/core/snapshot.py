"""Reference data in memory: it changes a few times a year, and is asked for all the time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import Pool

T = TypeVar("T")


class Snapshot(Generic[T]):
    """What a query answered, remembered for each database that this process speaks to.

    Reference data is dated, so a row that takes effect tomorrow can be loaded today; that a process
    learns of it only after `lasts_s` therefore changes no decision.
    """

    def __init__(self, read: Callable[[AsyncSession], Awaitable[T]], *, lasts_s: float) -> None:
        """Remember what `read` answers for a number of seconds."""
        self._read = read
        self._lasts_s = lasts_s
        self._known: WeakKeyDictionary[Pool, tuple[float, T]] = WeakKeyDictionary()
        self._turns: WeakKeyDictionary[Pool, asyncio.Lock] = WeakKeyDictionary()

    async def __call__(self, session: AsyncSession) -> T:
        """Answer from memory, or ask the database if that is too long ago.

        Many who find nothing at the same moment ask once: each would hold all of it, and the
        process would keep the room for that.
        """
        pool = session.get_bind().engine.pool
        known = self.at_hand(pool)
        if known is not None:
            return known
        # Whoever waits has a connection, and so has whoever is waited for: it cannot lack one.
        await session.connection()
        async with self._turns.setdefault(pool, asyncio.Lock()):
            known = self.at_hand(pool)
            if known is None:
                known = await self._read(session)
                self._known[pool] = (time.monotonic(), known)
        return known

    def at_hand(self, pool: Pool) -> T | None:
        """Answer what is remembered of the database that a pool leads to, and ask nobody."""
        known = self._known.get(pool)
        if known is not None and time.monotonic() - known[0] < self._lasts_s:
            return known[1]
        return None

    def forget(self, session: AsyncSession) -> None:
        """Ask the database next time, because the caller has just changed what it holds."""
        self._known.pop(session.get_bind().engine.pool, None)
