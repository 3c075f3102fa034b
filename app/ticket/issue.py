"""Issues tickets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import rules as certificate_rules
from app.certificate import service as certificates
from app.certificate.rules import Act, Duty
from app.core.clock import local_date
from app.core.errors import IdReused
from app.event.rules import check_occurred
from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.rules import LotState, Proof
from app.lot.service import LotDraft, Withdrawal
from app.party import service as parties
from app.party.rules import UnknownParty
from app.place import service as places
from app.place.rules import UnknownPlace
from app.product.rules import Catalogue
from app.signing.stamp import Stamp, stamp
from app.signing.token import Flags, TokenType
from app.ticket import handover, record, rules, service
from app.ticket.drafts import Circumstances, LineDraft, Named, TicketDraft
from app.ticket.models import (
    Ticket,
    TicketReceipt,
)
from app.ticket.rules import (
    HandOver,
    Line,
    LineDraw,
    TicketKind,
    TicketStatus,
)
from app.transparency.rules import commitment

_LOOK_UP = text("""
    SELECT
        (SELECT digest FROM ticket WHERE public_id = :id),
        nextval(pg_get_serial_sequence('ticket', 'id')),
        b.id, b.status,
        (SELECT id FROM place WHERE public_id = CAST(:market AS uuid)),
        (SELECT id FROM place WHERE public_id = CAST(:stall AS uuid)),
        c.id, c.seller_id, cs.status,
        s.commit_salt, s.name || chr(31) || coalesce(s.uscc, s.id_number_masked, ''),
        b.commit_salt, b.name || chr(31) || coalesce(b.uscc, b.id_number_masked, '')
    FROM party s
    LEFT JOIN party b ON b.public_id = CAST(:buyer AS uuid)
    LEFT JOIN ticket c ON c.public_id = CAST(:corrects AS uuid)
    LEFT JOIN ticket_state cs ON cs.ticket_id = c.id
    WHERE s.id = :seller
""")


async def _look_up(session: AsyncSession, draft: TicketDraft) -> Named:
    row = (
        await session.execute(
            _LOOK_UP,
            {
                "id": draft.public_id,
                "seller": draft.seller.party_id,
                "buyer": draft.buyer,
                "market": draft.market,
                "stall": draft.stall,
                "corrects": draft.corrects,
            },
        )
    ).one()
    *found, seller_salt, seller_name, buyer_salt, buyer_name = row
    found.append(commitment(seller_salt, seller_name))
    found.append(None if buyer_salt is None else commitment(buyer_salt, buyer_name))
    return Named(*found)


async def issue(
    session: AsyncSession, draft: TicketDraft, around: Circumstances
) -> tuple[int, bool]:
    """Issue a ticket, or find that it was issued.

    Returns:
        The ticket's internal id, and whether it is new.

    Raises:
        UnknownLot: a line names a lot that is not there.
        IdReused: the id names a ticket with other content.
        ImpossibleDate: the time of the sale cannot be one.
        UnknownParty, UnknownPlace: there is no such buyer, market or stall.
        BuyerDisabled: the buyer has left.
        SelfSale, TransferToOther, HandOverImpossible: see `rules.check_parties`.
        CorrectsOther: the ticket to be corrected is in force, or another seller's.
        NotHolder, LotOnHold, ProductsDiffer, MassesDiffer, LotExhausted, StockShort: see
            `rules.plan_draws`.
        ReturnToStranger: a returned lot did not come from this buyer.
        MadeTooEarly: a lot came into being after the sale.
        CertificateVoided, CertificateMissing: see `rules.check_certificates`.
    """
    locked = await _lock(session, draft)  # 1 lock
    named = await _look_up(session, draft)
    if named.existing_digest is not None:  # 2 repeated?
        if named.existing_digest != draft.digest:
            raise IdReused(ticket=str(draft.public_id))
        return await _internal_id(session, draft.public_id), False
    _check(draft, named, now=around.now)  # 3 decide
    line_draws, withdrawal = await _plan_stock(session, draft, locked)
    await _check_lots(session, draft, named, line_draws, around)
    received: list[LotDraft] = []
    if draft.hand_over is HandOver.ONE_SIDED:
        sources = await handover.suppliers(
            session,
            draft.kind,
            (line_draw.draw.lot for line_draw in line_draws),
            seller_id=draft.seller.party_id,
            buyer_id=named.buyer_id,
        )
        received = _claimed(draft, named, line_draws, sources, around)
    made = await _sign(session, draft, named, line_draws, around)  # 4 sign
    statement = record.statement_of(draft, named, line_draws, received, made)
    event_id = await record.write(  # 5 write
        session, draft, named, line_draws, withdrawal, made, statement, around=around
    )
    if received:
        await _hand_over_at_once(session, draft, named, line_draws, received, event_id)
    return named.next_id, True


async def _lock(session: AsyncSession, draft: TicketDraft) -> dict[UUID, LotState]:
    return await lots.lock(
        session,
        (planned.lot for line in draft.lines for planned in line.draws),
        stock_of=draft.seller.party_id,
        product_ids={line.product_id for line in draft.lines if not line.draws},
    )


async def _plan_stock(
    session: AsyncSession, draft: TicketDraft, locked: Mapping[UUID, LotState]
) -> tuple[list[LineDraw], Withdrawal]:
    """Plan the draws; look again before the stock is called short.

    While the lock was waited for, a merge may have turned what was in stock into a lot that the
    waiting statement could not see yet. The next statement sees it.
    """
    while True:
        try:
            return _plan(draft, locked)
        except rules.StockShort:
            again = await _lock(session, draft)
            if again.keys() <= locked.keys():
                raise
            locked = again


async def _internal_id(session: AsyncSession, public_id: UUID) -> int:
    found = await session.scalar(select(Ticket.id).where(Ticket.public_id == public_id))
    assert found is not None, "its digest was just read"
    return found


def _check(draft: TicketDraft, named: Named, *, now: datetime) -> None:
    check_occurred(draft.sold_at, now=now, pointer="/sold_at")
    if draft.buyer is not None and named.buyer_id is None:
        raise UnknownParty(party=str(draft.buyer))
    for wanted, found in ((draft.market, named.market_id), (draft.stall, named.stall_id)):
        if wanted is not None and found is None:
            raise UnknownPlace(place=str(wanted))
    if named.buyer_status == "disabled":
        raise rules.BuyerDisabled
    rules.check_parties(
        draft.kind,
        named.buyer_kind,
        draft.hand_over,
        seller=draft.seller.party_id,
        buyer=named.buyer_id,
    )
    if draft.corrects is not None and (
        named.corrects_seller != draft.seller.party_id
        or named.corrects_status != TicketStatus.VOIDED
    ):
        raise rules.CorrectsOther


def _plan(draft: TicketDraft, locked: Mapping[UUID, LotState]) -> tuple[list[LineDraw], Withdrawal]:
    withdrawal = Withdrawal()
    line_draws: list[LineDraw] = []
    for no, line in enumerate(draft.lines, start=1):
        planned = rules.plan_draws(
            Line(no, line.product_id, line.mass_g, line.pieces, line.draws),
            locked,
            seller=draft.seller.party_id,
            left=withdrawal.left,
        )
        line_draws += [LineDraw(no, draw, withdrawal.take(draw)) for draw in planned]
    return line_draws, withdrawal


async def _check_lots(
    session: AsyncSession,
    draft: TicketDraft,
    named: Named,
    line_draws: Sequence[LineDraw],
    around: Circumstances,
) -> None:
    known = {
        certificate
        for line_draw in line_draws
        for certificate in line_draw.draw.lot.certificate_ids
    }
    voided = await certificates.voided(session, known)
    duties = await certificates.duties(session)
    for line_draw in line_draws:
        lot = line_draw.draw.lot
        if draft.kind is TicketKind.RETURN and (
            named.buyer_id is None or lot.from_party_id != named.buyer_id
        ):
            raise rules.ReturnToStranger(lot=str(lot.public_id))
        if lot.made_on is not None and local_date(draft.sold_at) < lot.made_on:
            raise lot_rules.MadeTooEarly(lot=str(lot.public_id), pointer="/sold_at")
        if draft.kind in {TicketKind.SALE, TicketKind.ORIGIN}:
            rules.check_certificates(
                lot,
                mass_g=line_draw.draw.mass_g,
                cover_g=line_draw.cover_g,
                voided=voided,
                due=_certificate_due(draft, lot, duties, around.catalogue),
            )


def _certificate_due(
    draft: TicketDraft, lot: LotState, duties: Sequence[Duty], catalogue: Catalogue
) -> bool:
    on = local_date(draft.sold_at)
    return certificate_rules.must(duties, Act.SELL, draft.seller.roles, on) and (
        certificates.certifiable(catalogue, lot, draft.sold_at)
    )


async def _sign(
    session: AsyncSession,
    draft: TicketDraft,
    named: Named,
    line_draws: Sequence[LineDraw],
    around: Circumstances,
) -> Stamp:
    products = {line.product_id for line in draft.lines}
    groups = {around.catalogue.product(product_id).group.value for product_id in products}
    return stamp(
        around.signer,
        TokenType.TICKET,
        serial=around.serial,
        signed_at=around.now,
        ttl_h=await service.ttl_h(session, groups, local_date(around.now)),
        product=products.pop() if len(products) == 1 else 0,
        mass_g=sum(line.mass_g for line in draft.lines),
        origin=lot_rules.shared(line_draw.draw.lot.division_code for line_draw in line_draws),
        issuer=draft.seller.party_id,
        flags=Flags(0),
        status_index=named.next_id,
    )


def _claimed(
    draft: TicketDraft,
    named: Named,
    line_draws: Sequence[LineDraw],
    sources: Mapping[int, int | None],
    around: Circumstances,
) -> list[LotDraft]:
    """Draft the buyer's lots as the seller's claim; a walk-in consumes them."""
    return [
        handover.next_lot(
            line_draw.draw.lot,
            public_id=around.new_id(),
            mass_g=line_draw.draw.mass_g,
            cover_g=line_draw.cover_g,
            certificate_ids=line_draw.draw.lot.certificate_ids,
            holder_id=named.buyer_id,
            from_party_id=sources[line_draw.draw.lot.id],
            origin=handover.origin_of(draft.kind),
            proof=Proof.CLAIMED,
            pieces=line_draw.draw.pieces,
        )
        for line_draw in line_draws
    ]


async def _hand_over_at_once(
    session: AsyncSession,
    draft: TicketDraft,
    named: Named,
    line_draws: Sequence[LineDraw],
    received: Sequence[LotDraft],
    event_id: int,
) -> None:
    """Bring the buyer's lots into being together with the ticket."""
    ids = await lots.make(session, received, event_id=event_id, occurred_at=draft.sold_at)
    await session.execute(
        insert(TicketReceipt),
        [
            {
                "ticket_id": named.next_id,
                "line_no": line_draw.line_no,
                "lot_id": line_draw.draw.lot.id,
                "accepted_g": line_draw.draw.mass_g,
                "received_lot_id": ids[lot.public_id],
            }
            for line_draw, lot in zip(line_draws, received, strict=True)
        ],
    )


@dataclass(frozen=True, slots=True)
class Former:
    """What a new ticket takes over from a former one; the goods are drawn from today's stock."""

    kind: TicketKind
    buyer: UUID | None
    hand_over: HandOver
    market: UUID | None
    stall: UUID | None
    lines: tuple[LineDraft, ...]


async def read_former(session: AsyncSession, public_id: UUID, *, seller_id: int) -> Former:
    """Read a former ticket in order to repeat it.

    Raises:
        UnknownTicket: there is none, or it was another seller's.
    """
    ticket, _ = await service.find(session, public_id)
    if ticket.seller_id != seller_id:
        raise rules.UnknownTicket(ticket=str(public_id))
    buyers = await parties.by_ids(session, [ticket.buyer_id] if ticket.buyer_id else [])
    sites = await places.by_ids(
        session, [place for place in (ticket.market_id, ticket.stall_id) if place]
    )
    return Former(
        kind=TicketKind(ticket.kind),
        buyer=buyers[ticket.buyer_id].public_id if ticket.buyer_id else None,
        hand_over=HandOver(ticket.hand_over),
        market=sites[ticket.market_id].public_id if ticket.market_id else None,
        stall=sites[ticket.stall_id].public_id if ticket.stall_id else None,
        lines=tuple(
            LineDraft(
                product_id=line.product_id,
                trade_name=line.trade_name,
                quantity=line.quantity,
                unit=line.unit,
                mass_g=line.mass_g,
                pieces=line.pieces,
                pack_net_g=line.pack_net_g,
                price_fen=line.price_fen,
                price_unit=line.price_unit,
            )
            for line in await service.lines_of(session, ticket.id)
        ),
    )
