"""The counter at which tickets are issued: whoever comes at the same moment is served together.

A ticket by itself costs five round trips and a commit; those of a moment share them. What each
leaves, and what each is answered, is the same as if it had come alone.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import Clock
from app.core.db import Database, fetch, prepared
from app.core.errors import DomainError
from app.core.gathering import Gathering
from app.core.ids import NewId, NewSerial
from app.core.logging import report_fault
from app.core.replica import DATABASE_FAULTS
from app.party import access, credentials
from app.party.access import Caller
from app.party.credentials import Credential
from app.product import service as products
from app.product.rules import Catalogue
from app.signing.ring import Ring
from app.ticket import issue, queries
from app.ticket.drafts import (
    Asked,
    Circumstances,
    TicketDraft,
    draft_of,
    lines_of,
    usual_hand_over,
)
from app.ticket.rules import TicketKind
from app.ticket.schemas import TicketIn

ACTION = "ticket.issue"
TOGETHER_MAX = 32
AT_ONCE = 2
# Whoever draws on goods that somebody else holds locked for longer waits alone: the others of its
# group are served again without it.
_IMPATIENT = prepared("SET LOCAL lock_timeout = 100")


@dataclass(frozen=True, slots=True)
class Slip:
    """What somebody asks for at the counter: a ticket with a buyer who is known, or a walk-in.

    Attributes:
        proffered: What proves who asks.
    """

    ticket_id: UUID
    body: TicketIn
    proffered: tuple[Credential, str]


@asynccontextmanager
async def together(database: Database) -> AsyncIterator[AsyncSession]:
    """Open a transaction for several tickets, which waits for nobody's lock for long."""
    async with database.transaction() as session:
        await fetch(session, _IMPATIENT, {})
        yield session


class Counter:
    """Issues tickets, those that are asked for at the same moment in one transaction."""

    def __init__(
        self,
        database: Database,
        ring: Ring,
        *,
        clock: Clock,
        new_id: NewId,
        new_serial: NewSerial,
        base_url: str,
    ) -> None:
        """Open the counter; nobody waits yet."""
        self._database = database
        self._ring = ring
        self._clock = clock
        self._new_id = new_id
        self._new_serial = new_serial
        self._base_url = base_url
        self._gathering = Gathering(self._serve, most=TOGETHER_MAX, at_once=AT_ONCE)

    async def issue(self, slip: Slip) -> bytes | None:
        """Issue a ticket; answer it as JSON once it is committed.

        Returns:
            None if there is anything to say but that the ticket is issued: who asks may not, the
            ticket was issued before, a rule refuses it, or nobody of its group was served, for
            whatever reason. The route finds out what.
        """
        return await self._gathering.ask(slip)

    async def _serve(self, slips: Sequence[Slip]) -> Sequence[bytes | None]:
        """Serve a group; whatever it fails with concerns one of them, and the others not at all."""
        try:
            return await self._serve_together(slips)
        except (DomainError, *DATABASE_FAULTS):
            pass  # the route meets it again, and says it to whom it concerns
        except Exception as error:  # noqa: BLE001 (a bug that one of them met must not fail all)
            report_fault(error)
        return [None] * len(slips)

    async def _serve_together(self, slips: Sequence[Slip]) -> list[bytes | None]:
        answers: list[bytes | None] = [None] * len(slips)
        async with together(self._database) as session:
            now = self._clock()
            callers = await credentials.callers(
                session, {slip.proffered for slip in slips}, now=now
            )
            catalogue = await products.catalogue(session)
            drafts: dict[int, TicketDraft] = {}
            for place, slip in enumerate(slips):
                draft = _drafted(slip, callers.get(slip.proffered), catalogue, now)
                if draft is not None:
                    drafts[place] = draft
            around = Circumstances(
                catalogue=catalogue,
                signer=await self._ring.signer(session, now),
                now=now,
                new_id=self._new_id,
                new_serial=self._new_serial,
            )
            outcomes, written = await issue.issue_together(session, list(drafts.values()), around)
            if written is not None:
                told = await queries.write_new(session, written, around, base_url=self._base_url)
                for (place, draft), outcome in zip(drafts.items(), outcomes, strict=True):
                    if not isinstance(outcome, DomainError) and outcome[1]:
                        answers[place] = told[draft.public_id]
        return answers


def _drafted(
    slip: Slip, caller: Caller | None, catalogue: Catalogue, now: datetime
) -> TicketDraft | None:
    """Make a ticket of what is asked for, if whoever asks may and the catalogue knows it."""
    body = slip.body
    assert body.buyer is not None, "slips name one"
    if caller is None:
        return None
    try:
        access.authorize(caller, ACTION)
        asked = Asked(
            kind=TicketKind.SALE if body.kind is None else TicketKind(body.kind),
            buyer=body.buyer.party,
            claim_code=None,
            hand_over=body.hand_over or usual_hand_over(body.buyer.party),
            lines=lines_of(body, catalogue, now),
            market=body.market,
            stall=body.stall,
        )
    except DomainError:
        return None
    return draft_of(slip.ticket_id, body, asked, caller, now)
