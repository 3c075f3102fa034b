"""Writes pages as HTML, and folds what is long until a page is small enough. Pure."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.core.clock import SHANGHAI
from app.core.errors import Text
from app.product.units import spell_mass
from app.ticket.rules import KIND_WORDS, TicketStatus
from app.web.rules import BYTES_MAX, SAYINGS, Saying
from app.web.schemas import More, PublicLabel, PublicTicket, Standing, Words


class _Room(NamedTuple):
    """How much of each list is shown."""

    lines: int
    sources: int
    steps: int
    certificates: int


_ROOMS: Final = (
    _Room(40, 24, 30, 12),
    _Room(40, 10, 16, 5),
    _Room(24, 8, 12, 4),
    _Room(12, 6, 9, 3),
    _Room(6, 4, 6, 2),
    _Room(3, 2, 4, 1),
)

STATUS_WORDS: Final = {
    TicketStatus.ISSUED: Text("已开具，待验收", "issued, not yet accepted"),
    TicketStatus.ACCEPTED: Text("买方已验收", "accepted by the buyer"),
    TicketStatus.ACCEPTED_IN_PART: Text("买方已部分验收", "accepted in part"),
    TicketStatus.REFUSED: Text("买方拒收", "refused by the buyer"),
    TicketStatus.VOIDED: Text("已作废", "voided"),
}
STANDING_WORDS: Final = {
    Standing.VALID: Text("✔ 有效", "in force"),
    Standing.EXPIRED: Text("! 已过期", "expired"),
    Standing.VOIDED: Text("✘ 已作废", "voided"),
}


def render(page: PublicTicket, digits: str) -> tuple[PublicTicket, str]:
    """Write a page in at most 15 KB: what is long is folded, and says so.

    Args:
        page: What it says.
        digits: The token that it is about, for its links.

    Returns:
        The page as it is shown, and its HTML.
    """
    folded, html = page, ""
    for room in _ROOMS:
        folded = _fold(page, room)
        html = _html(folded, digits)
        if len(html.encode()) <= BYTES_MAX:
            break
    return folded, html


def tell(page: PublicTicket, digits: str) -> bytes:
    """Write a page as JSON, folded as its HTML would be, and without writing that if it is small.

    What a program is told and what a person reads are the same.
    """
    folded = _fold(page, _ROOMS[0])
    content = write(folded)
    if _html_bytes_most(folded, content) <= BYTES_MAX:
        return content
    return write(render(page, digits)[0])


def write(page: PublicTicket) -> bytes:
    """Write a page as JSON, as it stands."""
    return orjson.dumps(page, option=orjson.OPT_UTC_Z)


_FRAME_BYTES: Final = 5_500
"""What stands around a page's words, of whatever state; a test holds it against the templates."""

_MARKS: Final = (b"&", b"<", b">", b"'", b'\\"')
_MONTH: Final = "月".encode()


def _html_bytes_most(page: PublicTicket, content: bytes) -> int:
    """Say how large a page's HTML can be at most, from its JSON, which has the same words.

    Beside them stand the tags of each row; marks are escaped, dates and masked names get joints,
    and blanks before units take a byte more.
    """
    rows = 80 * len(page.chain) + 80 * len(page.tests) + 300 * len(page.certificates)
    rows += sum([120 + 30 * len(promise.text) for promise in page.promises])
    rows += 300 * len(page.ticket.lines) if page.ticket else 0
    marks = 4 * sum(map(content.count, _MARKS))
    joints = 30 * content.count(_MONTH) + 6 * content.count(b"**") + content.count(b" ")
    return _FRAME_BYTES + len(content) + rows + marks + joints


def home(*, demo: bool, typed: str = "", saying: Text | None = None) -> str:
    """Write the page on which a code is typed.

    Args:
        demo: Whether the data is made up.
        typed: What was typed before.
        saying: What was wrong with it.
    """
    return environment().get_template("home.html").render(demo=demo, typed=typed, saying=saying)


def docs() -> str:
    """Write the page that draws the API's description, for who programs against it."""
    return environment().get_template("docs.html").render()


def _fold(page: PublicTicket, room: _Room) -> PublicTicket:
    lines = len(page.ticket.lines) if page.ticket else 0
    has = (lines, len(page.sources), len(page.chain), len(page.certificates))
    if all(map(int.__le__, has, room)):
        return page
    update: dict[str, Any] = {
        "sources": page.sources[: room.sources],
        "chain": _ends(page.chain, room.steps),
        "certificates": page.certificates[: room.certificates],
    }
    more: dict[str, Any] = {
        "sources": len(page.sources) - len(update["sources"]),
        "steps": max(len(page.chain) - room.steps, 0),
        "certificates": len(page.certificates) - len(update["certificates"]),
    }
    if page.ticket is not None:
        hidden = page.ticket.lines[room.lines :]
        shown = page.ticket.lines[: room.lines]
        update["ticket"] = replace(page.ticket, lines=shown)
        if hidden:
            mass = spell_mass(sum(line.mass_g for line in hidden))
            more |= {"lines": len(hidden), "lines_mass": Words(zh=mass.zh, en=mass.en)}
    return replace(page, **update, more=More(**more))


def _ends(steps: Sequence[Any], most: int) -> list[Any]:
    """Keep the beginning and the end of a chain: the sale is never what is left out."""
    if len(steps) <= most:
        return list(steps)
    return [*steps[: most // 2], *steps[len(steps) - (most - most // 2) :]]


def _html(page: PublicTicket, digits: str) -> str:
    origins = {
        (*line.origins, line.producer and line.producer.zh)
        for line in (page.ticket.lines if page.ticket else ())
    }
    return (
        environment()
        .get_template("page.html")
        .render(
            page=page,
            digits=digits,
            saying=SAYINGS[page.state],
            statuses=STATUS_WORDS,
            kinds=KIND_WORDS,
            standings=STANDING_WORDS,
            one_origin=len(origins) == 1,
            gap=len(page.chain) // 2 if page.more.steps else None,
        )
    )


def label(saying: Saying, page: PublicLabel) -> str:
    """Write the page of a label that stands for no ticket."""
    return environment().get_template("label.html").render(saying=saying, page=page)


def _instant(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


_UNBROKEN: Final = re.compile(r"(?:\d+年)?\d+月\d+日|.\*\*")


def _joined(text: str) -> str:
    """Keep dates and masked names on one line: browsers break Chinese anywhere."""
    return _UNBROKEN.sub(lambda found: "\u2060".join(found[0]), text)


def _tight(text: str) -> str:
    """Keep a number and its unit on one line."""
    return text.replace(" ", "\u00a0")


@lru_cache(1)
def environment() -> Environment:
    """Answer where templates are, and what they may ask for."""
    environment = Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["instant"] = _instant
    environment.filters["joined"] = _joined
    environment.filters["tight"] = _tight
    return environment
