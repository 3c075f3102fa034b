"""Writes the pages of those who are signed in as HTML. Pure."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from app.core.errors import DomainError, Text
from app.ledger import wording
from app.ledger.rules import LedgerKind, Month, Standing
from app.ledger.schemas import LedgerHead, LedgerRow
from app.web import pages
from app.web.rules import Tone

HOME: Final = "/books/purchases"
"""Where a sign-in leads: a buyer scans for the sake of this ledger."""
_OURS: Final = re.compile(r"/books/(?:purchases|sales)(?:\?[\w=&-]{0,200})?", re.ASCII)

_LOOKS: Final = {
    Standing.ACCEPTED: (Tone.GOOD, "✔"),
    Standing.ACCEPTED_IN_PART: (Tone.GOOD, "✔"),
    Standing.PENDING: (Tone.CARE, "?"),
    Standing.CLAIMED: (Tone.CARE, "!"),
    Standing.REFUSED: (Tone.BAD, "✘"),
    Standing.VOIDED: (Tone.GREY, "✘"),
    Standing.DECLARED: (Tone.GREY, "·"),
}


def following(wanted: str) -> str:
    """Answer where a sign-in leads on to: a page of ours, whatever an address was made to say."""
    return wanted if _OURS.fullmatch(wanted) else HOME


def sign_in(*, demo: bool, wanted: str, login: str = "", saying: Text | None = None) -> str:
    """Write the page on which one signs in.

    Args:
        demo: Whether the data is made up.
        wanted: Where it leads on to.
        login: What was typed before.
        saying: What was wrong with it.
    """
    return (
        pages.environment()
        .get_template("sign_in.html")
        .render(demo=demo, following=following(wanted), login=login, saying=saying)
    )


def refused(error: DomainError, *, demo: bool) -> str:
    """Write a refusal for people."""
    return pages.environment().get_template("refused.html").render(demo=demo, error=error)


def books(
    head: LedgerHead,
    rows: Sequence[LedgerRow],
    *,
    after: str | None,
    owner: UUID | None,
    demo: bool,
) -> str:
    """Write a page of a ledger.

    Args:
        head: Its head.
        rows: Its entries.
        after: What the next page goes on after.
        owner: Whose it is, where that is not the reader's own.
        demo: Whether the data is made up.
    """
    return (
        pages.environment()
        .get_template("books.html")
        .render(
            demo=demo,
            head=head,
            rows=rows,
            month=Month.read(head.month),
            following=after,
            whose="" if owner is None else f"&{urlencode({'party': owner})}",
            kinds=wording.SHORT,
            short=wording.SHORT[LedgerKind(head.ledger)],
            partner=wording.PARTNERS[LedgerKind(head.ledger)],
            entries=wording.ENTRIES,
            standings=wording.STANDINGS,
            tones={standing: tone.value for standing, (tone, _) in _LOOKS.items()},
            marks={standing: mark for standing, (_, mark) in _LOOKS.items()},
            who=wording.partner,
            origins=wording.origins,
            vouchers=wording.vouchers,
            absences=wording.absences,
            kilograms=wording.kilograms,
            jin=wording.jin,
        )
    )
