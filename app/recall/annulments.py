"""Hand-overs of recalled goods that an office annuls, because their seller does not void them.

Whoever annuls locks the case for sharing, then the ticket, then the lots of the case, then the
balances: the order of buyers who decide, and of whoever records in the case.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import IdReused
from app.hold import service as holds
from app.hold.rules import NoticeKind
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller
from app.recall import following, queries, rules
from app.recall.models import Recall, RecallAnnulment, RecallLot
from app.recall.opening import commit_to
from app.recall.rules import StepKind
from app.recall.schemas import AnnulmentIn, AnnulmentOut, HandOverOut
from app.ticket import service as tickets
from app.ticket import void
from app.ticket.models import Ticket, TicketDraw
from app.ticket.rules import HandOver, TicketStatus
from app.transparency import service as transparency
from app.transparency.service import Statement


async def annul(
    session: AsyncSession,
    public_id: UUID,
    ticket_id: UUID,
    body: AnnulmentIn,
    caller: Caller,
    *,
    now: datetime,
) -> tuple[RecallAnnulment, bool]:
    """Take back a hand-over that nobody has decided about, as the office in charge of a recall.

    The goods are in the seller's books again, on hold as before, and count as located. Lines with
    goods of no recall go back as well: a ticket is one statement.

    Returns:
        The annulment, and whether it is new.

    Raises:
        UnknownRecall: there is none, or it is not for the caller.
        RecallNotYours: the caller is not the office in charge of it.
        UnknownTicket: there is no such ticket.
        IdReused: the ticket was annulled with other words, or in another case.
        RecallClosed: the case is closed.
        MockOnly: in an exercise trade goes on.
        NotInScope: no goods of the ticket are in the case.
        NothingToAnnul: its goods are not on their way.
    """
    recall = await following.open_case(session, public_id)
    await queries.check_may_see(session, recall, caller)
    if not await queries.in_charge(session, recall, caller, on=local_date(now)):
        raise rules.RecallNotYours(recall=str(public_id))
    ticket, state = await tickets.lock(session, ticket_id)
    digest = digest_of(
        {
            **body.model_dump(mode="json"),
            "recall": str(public_id),
            "ticket": str(ticket_id),
            "by": str(caller.acting_public_id),
        }
    )
    existing = await session.scalar(
        select(RecallAnnulment).where(RecallAnnulment.ticket_id == ticket.id)
    )
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(ticket=str(ticket_id))
        return existing, False
    following.check_open(recall)
    if recall.mock:
        raise rules.MockOnly
    draws = await tickets.draws_of(session, ticket.id)
    scope = await _scope(session, recall, draws)
    if not scope:
        raise rules.NotInScope(ticket=str(ticket_id))
    if ticket.hand_over != HandOver.TWO_SIDED or state.status != TicketStatus.ISSUED:
        raise rules.NothingToAnnul(status=state.status, hand_over=ticket.hand_over)
    annulment = await _write(
        session, recall, ticket, draws, scope, body, caller=caller, digest=digest, now=now
    )
    return annulment, True


async def _scope(
    session: AsyncSession, recall: Recall, draws: Sequence[TicketDraw]
) -> dict[int, RecallLot]:
    """Lock those lots of a ticket that are in a case, oldest first."""
    found = await session.scalars(
        select(RecallLot)
        .where(
            RecallLot.recall_id == recall.id,
            RecallLot.lot_id.in_({drawn.lot_id for drawn in draws}),
        )
        .order_by(RecallLot.lot_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.lot_id: row for row in found}


async def _write(
    session: AsyncSession,
    recall: Recall,
    ticket: Ticket,
    draws: Sequence[TicketDraw],
    scope: dict[int, RecallLot],
    body: AnnulmentIn,
    *,
    caller: Caller,
    digest: bytes,
    now: datetime,
) -> RecallAnnulment:
    await void.annul(session, ticket.public_id, by=caller.acting_party, reason=body.reason, now=now)
    mass_g = 0
    for drawn in draws:
        if (lot := scope.get(drawn.lot_id)) is not None:
            # Whoever recorded steps may have counted some of it on its way.
            account = following.account(lot)
            lot.located_g += min(drawn.mass_g, account.room_g(StepKind.LOCATED))
            mass_g += drawn.mass_g
    annulment = RecallAnnulment(
        ticket_id=ticket.id,
        digest=digest,
        recall_id=recall.id,
        mass_g=mass_g,
        reason=body.reason,
        accountable=body.accountable,
        party_id=caller.acting_party,
        annulled_at=now,
    )
    session.add(annulment)
    await session.flush()
    facts = {"recall": recall.public_id, "code": ticket.code, "reason": body.reason}
    told = [ticket.seller_id, ticket.buyer_id]
    await holds.tell(session, NoticeKind.HAND_OVER_ANNULLED, ticket.public_id, told, facts, now)
    document = {
        "ticket": str(ticket.public_id),
        "mass_g": str(mass_g),
        "by": str(caller.acting_public_id),
        "reason_commit": await commit_to(session, caller, body.reason),
        "accountable_commit": await commit_to(session, caller, body.accountable),
        "t": now.isoformat(),
    }
    statement = Statement("recall.annulled", recall.public_id, document)
    await transparency.append(session, [statement], now=now)
    return annulment


# --- reading ----------------------------------------------------------------------------------

_ON_THEIR_WAY = text("""
    SELECT t.public_id AS ticket, t.code, s.public_id AS seller, s.name AS seller_name,
        b.public_id AS buyer, b.name AS buyer_name, t.sold_at,
        CAST(sum(d.mass_g) AS bigint) AS mass_g
    FROM recall_lot l
    JOIN ticket_draw d USING (lot_id)
    JOIN ticket t ON t.id = d.ticket_id AND t.hand_over = 'two_sided'
    JOIN ticket_state st ON st.ticket_id = t.id AND st.status = 'issued'
    JOIN party s ON s.id = t.seller_id
    JOIN party b ON b.id = t.buyer_id
    WHERE l.recall_id = :recall
        AND (CAST(:party AS bigint) IS NULL OR :party IN (t.seller_id, t.buyer_id))
    GROUP BY t.id, s.id, b.id
    ORDER BY t.id LIMIT :most
""")


async def on_their_way(
    session: AsyncSession, recall: Recall, *, party: int | None, most: int
) -> list[HandOverOut]:
    """List the hand-overs of goods in a case that nobody has decided about, oldest first.

    Args:
        session: The caller's session.
        recall: The case.
        party: Only those that this party sells or buys, if one is named.
        most: How many at most.
    """
    parameters = {"recall": recall.id, "party": party, "most": most}
    rows = (await session.execute(_ON_THEIR_WAY, parameters)).mappings()
    return [HandOverOut.model_validate(dict(row)) for row in rows]


async def annulments_of(
    session: AsyncSession, recall_id: int, *, only: RecallAnnulment | None = None
) -> list[AnnulmentOut]:
    """List what was annulled in a case, in the order of doing so, or one of it."""
    found = (
        (
            await session.scalars(
                select(RecallAnnulment)
                .where(RecallAnnulment.recall_id == recall_id)
                .order_by(RecallAnnulment.annulled_at, RecallAnnulment.ticket_id)
            )
        ).all()
        if only is None
        else [only]
    )
    names = await tickets.public_ids(session, (row.ticket_id for row in found))
    known = await parties.by_ids(session, {row.party_id for row in found})
    return [
        AnnulmentOut(
            ticket=names[row.ticket_id],
            mass_g=row.mass_g,
            reason=row.reason,
            accountable=row.accountable,
            by=known[row.party_id].public_id,
            annulled_at=row.annulled_at,
        )
        for row in found
    ]
