"""Pages that were read a moment ago, for whoever reads the same ticket again.

A menu on a school's wall, a queue at a gate, an alarm in a chat: the same code is read by many. Its
story does not change; what can stand against the goods does, and is asked every time, in one
statement. Names, and what law and catalogue say, may be five minutes old.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from app.core.db import Database
from app.core.replica import DATABASE_FAULTS
from app.web.queries import Grounds, still_hold

LASTS = timedelta(minutes=5)
TICKETS_MAX = 2_000
"""Each is 2 to 15 KB."""

_SPLIT = b'"checked_at":"'


class Remembered(NamedTuple):
    """A page as it goes out, its HTTP status, and the serial of its document."""

    content: bytes
    status: int
    serial: int


@dataclass(frozen=True, slots=True)
class _Page:
    serial: int
    grounds: Grounds
    read_at: datetime
    status: int
    before: bytes
    after: bytes

    def is_fresh(self, now: datetime) -> bool:
        # A clock that was set back must not make an old page look fresh for longer.
        return timedelta(0) <= now - self.read_at < LASTS and now < self.grounds.until

    def write(self, now: datetime) -> bytes:
        return b"".join((self.before, orjson.dumps(now, option=orjson.OPT_UTC_Z), self.after))


class Memory:
    """The pages of the tickets that were read last, as JSON."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._pages: OrderedDict[str, _Page] = OrderedDict()

    def keep(self, digits: str, told: Remembered, read_at: datetime, grounds: Grounds) -> None:
        """Remember a page as it was told; in the place of the oldest, if there are too many."""
        content, status, serial = told
        before, _, rest = content.partition(_SPLIT)
        after = rest.partition(b'"')[2]
        self._pages[digits] = _Page(serial, grounds, read_at, status, before + _SPLIT[:-1], after)
        self._pages.move_to_end(digits)
        if len(self._pages) > TICKETS_MAX:
            self._pages.popitem(last=False)

    async def recall(self, digits: str, database: Database, now: datetime) -> Remembered | None:
        """Answer a page, if it is remembered and still true."""
        page = self._pages.get(digits)
        if page is None:
            return None
        try:
            if page.is_fresh(now) and await still_hold(database, page.grounds, now=now):
                return Remembered(page.write(now), page.status, page.serial)
        except DATABASE_FAULTS:
            return None  # whoever reads the whole page meets it again, and says so
        self._pages.pop(digits, None)
        return None


def wants_json(accepted: str) -> bool:
    """Tell a program from a browser by its `Accept`."""
    return "json" in accepted and "text/html" not in accepted
