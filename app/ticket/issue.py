"""Issues tickets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import rules as certificate_rules
from app.certificate import service as certificates
from app.certificate.rules import Act, Duty
from app.core.clock import local_date
from app.core.db import fetch, prepared
from app.core.errors import DomainError, IdReused
from app.event.lateness import Lateness, judged_on, late
from app.event.rules import check_occurred
from app.event.seed import lateness
from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.rules import LotState, Proof
from app.lot.service import Birth, LotDraft, Withdrawal
from app.party import service as parties
from app.party.rules import UnknownParty
from app.place import service as places
from app.place.rules import UnknownPlace
from app.signing.stamp import stamp
from app.signing.token import Flags, TokenType
from app.ticket import handover, record, rules, service
from app.ticket.drafts import (
    Circumstances,
    Issuance,
    LineDraft,
    Named,
    Signed,
    TicketDraft,
    Written,
)
from app.ticket.handover import Passing
from app.ticket.models import (
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

_LOOK_UP = prepared("""
    SELECT t.id, t.digest, nextval(pg_get_serial_sequence('ticket', 'id')),
        b.id, b.status, market.id, stall.id, c.id, c.seller_id, cs.status,
        s.commit_salt, s.name, s.name || chr(31) || coalesce(s.uscc, s.id_number_masked, ''),
        b.commit_salt, b.name, b.name || chr(31) || coalesce(b.uscc, b.id_number_masked, '')
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:sellers AS bigint[]), CAST(:buyers AS uuid[]),
        CAST(:markets AS uuid[]), CAST(:stalls AS uuid[]), CAST(:corrects AS uuid[])
    ) WITH ORDINALITY AS d (id, seller, buyer, market, stall, corrects, ord)
    JOIN party s ON s.id = d.seller
    LEFT JOIN party b ON b.public_id = d.buyer
    LEFT JOIN ticket t ON t.public_id = d.id
    LEFT JOIN place market ON market.public_id = d.market
    LEFT JOIN place stall ON stall.public_id = d.stall
    LEFT JOIN ticket c ON c.public_id = d.corrects
    LEFT JOIN ticket_state cs ON cs.ticket_id = c.id
    ORDER BY d.ord
""")

Issued = tuple[int, bool]
"""A ticket's internal id, and whether it is new."""


async def _look_up(session: AsyncSession, drafts: Sequence[TicketDraft]) -> list[Named]:
    """Look up everything that drafts name, in one statement."""
    rows = await fetch(
        session,
        _LOOK_UP,
        {
            "ids": [draft.public_id for draft in drafts],
            "sellers": [draft.seller.party_id for draft in drafts],
            "buyers": [draft.buyer for draft in drafts],
            "markets": [draft.market for draft in drafts],
            "stalls": [draft.stall for draft in drafts],
            "corrects": [draft.corrects for draft in drafts],
        },
    )
    return [_named(row) for row in rows]


def _named(row: Any) -> Named:
    *found, seller_salt, seller, seller_in_full, buyer_salt, buyer, buyer_in_full = row
    found += [seller, commitment(seller_salt, seller_in_full)]
    found += [buyer, None if buyer_salt is None else commitment(buyer_salt, buyer_in_full)]
    return Named(*found)


async def issue(session: AsyncSession, draft: TicketDraft, around: Circumstances) -> Issued:
    """Issue a ticket, or find that it was issued.

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
    (outcome,) = await issue_all(session, [draft], around)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


async def issue_all(
    session: AsyncSession, drafts: Sequence[TicketDraft], around: Circumstances
) -> list[Issued | DomainError]:
    """Issue tickets one after the other; one that is refused leaves nothing, and stops no other.

    Each sees the lots as those before it leave them. There are as many statements for a thousand
    as for one.

    Returns:
        For each draft the ticket, or why it was refused.
    """
    outcomes, _ = await issue_together(session, drafts, around)
    return outcomes


async def issue_together(
    session: AsyncSession, drafts: Sequence[TicketDraft], around: Circumstances
) -> tuple[list[Issued | DomainError], Written | None]:
    """Issue tickets as `issue_all` does; answer also how the new ones were written, if any."""
    stock = await _lock(session, drafts)  # 1 lock
    outcomes, passed = await _decide_all(session, drafts, stock, around)
    signed = await _sign(session, passed, around)  # 4 sign
    written = None
    if signed:
        written = await record.write(session, signed, now=around.now)  # 5 write
        await _hand_over_at_once(session, written)
    return _with_ids(outcomes, signed), written


async def preview_all(
    session: AsyncSession, drafts: Sequence[TicketDraft], around: Circumstances, spent: Withdrawal
) -> list[DomainError | None]:
    """Decide about tickets as `issue_all` would, and write nothing.

    Args:
        session: The caller's transaction, whose locks are all that this leaves until it ends.
        drafts: What would be issued.
        around: As for issuing.
        spent: What earlier drafts would have taken; these are added.

    Returns:
        For each draft why it would be refused, or None.
    """
    stock = await _lock(session, drafts)
    left = {public_id: spent.after(lot) for public_id, lot in stock.items()}
    outcomes, passed = await _decide_all(session, drafts, left, around)
    for issuance in passed:
        spent.include(issuance.withdrawal)
    return [outcome if isinstance(outcome, DomainError) else None for outcome in outcomes]


async def _decide_all(
    session: AsyncSession,
    drafts: Sequence[TicketDraft],
    stock: dict[UUID, LotState],
    around: Circumstances,
) -> tuple[list[Issued | DomainError | UUID], list[Issuance]]:
    """Decide about drafts in their order; answer the id of each that passes, and what it takes."""
    found = await _look_up(session, drafts)
    law = await _law(session, stock.values())
    passed: dict[UUID, Issuance] = {}
    outcomes: list[Issued | DomainError | UUID] = []
    for draft, named in zip(drafts, found, strict=True):
        try:
            lots.check_found(stock, _lots_named(draft))
            former = passed.get(draft.public_id)
            digest = named.existing_digest if former is None else former.draft.digest
            if digest is not None:  # 2 repeated?
                if digest != draft.digest:
                    raise IdReused(ticket=str(draft.public_id))
                known = named.existing_id
                outcomes.append(draft.public_id if known is None else (known, False))
                continue
            issuance = await _decided(  # 3 decide
                session, drafts, draft, named, stock, law, around
            )
        except DomainError as refusal:
            outcomes.append(refusal)
            continue
        stock |= {
            drawn.draw.lot.public_id: issuance.withdrawal.after(stock[drawn.draw.lot.public_id])
            for drawn in issuance.draws
        }
        passed[draft.public_id] = issuance
        outcomes.append(draft.public_id)
    return outcomes, list(passed.values())


def _with_ids(
    outcomes: Sequence[Issued | DomainError | UUID], signed: Sequence[Signed]
) -> list[Issued | DomainError]:
    """Put internal ids in the place of public ones; a draft that comes again is not new."""
    ids = {one.issuance.draft.public_id: one.ticket_id for one in signed}
    seen: set[UUID] = set()
    answers: list[Issued | DomainError] = []
    for outcome in outcomes:
        if isinstance(outcome, UUID):
            answers.append((ids[outcome], outcome not in seen))
            seen.add(outcome)
        else:
            answers.append(outcome)
    return answers


def _lots_named(draft: TicketDraft) -> Iterable[UUID]:
    return (planned.lot for line in draft.lines for planned in line.draws)


async def _lock(session: AsyncSession, drafts: Sequence[TicketDraft]) -> dict[UUID, LotState]:
    """Lock every lot that drafts name, and the stock that they draw on without naming lots."""
    stock = Counter(
        pair
        for draft in drafts
        for pair in {
            (draft.seller.party_id, line.product_id) for line in draft.lines if not line.draws
        }
    )
    return await lots.lock_found(
        session, (lot for draft in drafts for lot in _lots_named(draft)), stock=stock
    )


@dataclass(frozen=True, slots=True)
class _Law:
    """What decisions about certificates rest on."""

    voided: set[int]
    duties: Sequence[Duty]
    lateness: Sequence[Lateness]


async def _law(session: AsyncSession, stock: Iterable[LotState]) -> _Law:
    known = {certificate for lot in stock for certificate in lot.certificate_ids}
    voided = set(await certificates.voided(session, known))
    return _Law(voided, await certificates.duties(session), await lateness(session))


async def _decided(
    session: AsyncSession,
    drafts: Sequence[TicketDraft],
    draft: TicketDraft,
    named: Named,
    stock: dict[UUID, LotState],
    law: _Law,
    around: Circumstances,
) -> Issuance:
    """Decide about a draft; look again before the stock is called short.

    While the lock was waited for, a merge may have turned what was in stock into a lot that the
    waiting statement could not see yet. The next statement sees it.
    """
    while True:
        try:
            return _decide(draft, named, stock, law, around)
        except rules.StockShort:
            again = await _lock(session, drafts)
            if again.keys() <= stock.keys():
                raise
            law.voided.update((await _law(session, again.values())).voided)
            # What earlier drafts took of the lots that were known stays taken; oldest first.
            known = sorted((again | stock).items(), key=lambda item: item[1].id)
            stock.clear()
            stock.update(known)


def _decide(
    draft: TicketDraft,
    named: Named,
    stock: Mapping[UUID, LotState],
    law: _Law,
    around: Circumstances,
) -> Issuance:
    _check(draft, named, now=around.now)
    draws, withdrawal = _plan(draft, stock)
    for drawn in draws:
        _check_lot(draft, named, drawn, law, around)
    return Issuance(draft, named, draws, withdrawal)


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


def _plan(draft: TicketDraft, stock: Mapping[UUID, LotState]) -> tuple[list[LineDraw], Withdrawal]:
    withdrawal = Withdrawal()
    line_draws: list[LineDraw] = []
    for no, line in enumerate(draft.lines, start=1):
        planned = rules.plan_draws(
            Line(no, line.product_id, line.mass_g, line.pieces, line.draws),
            stock,
            seller=draft.seller.party_id,
            left=withdrawal.left,
        )
        line_draws += [LineDraw(no, draw, withdrawal.take(draw)) for draw in planned]
    return line_draws, withdrawal


def _check_lot(
    draft: TicketDraft, named: Named, drawn: LineDraw, law: _Law, around: Circumstances
) -> None:
    lot = drawn.draw.lot
    if draft.kind is TicketKind.RETURN and (
        named.buyer_id is None or lot.from_party_id != named.buyer_id
    ):
        raise rules.ReturnToStranger(lot=str(lot.public_id))
    if lot.made_on is not None and local_date(draft.sold_at) < lot.made_on:
        raise lot_rules.MadeTooEarly(lot=str(lot.public_id), pointer="/sold_at")
    if draft.kind in {TicketKind.SALE, TicketKind.ORIGIN}:
        due = any(
            certificate_rules.must(law.duties, Act.SELL, draft.seller.roles, on)
            and certificates.certifiable(around.catalogue, lot, on)
            for on in judged_on(draft.sold_at, late(law.lateness, draft.sold_at, around.now))
        )
        rules.check_certificates(
            lot, mass_g=drawn.draw.mass_g, cover_g=drawn.cover_g, voided=law.voided, due=due
        )


async def _sign(
    session: AsyncSession, passed: Sequence[Issuance], around: Circumstances
) -> list[Signed]:
    """Sign tickets, and draft what buyers have at once."""
    received = await _received_at_once(session, passed, around)
    on = local_date(around.now)
    signed: list[Signed] = []
    hours: dict[frozenset[int], int] = {}
    for issuance in passed:
        draft, serial = issuance.draft, around.new_serial()
        products = frozenset(line.product_id for line in draft.lines)
        if products not in hours:
            groups = {around.catalogue.product(product_id).group.value for product_id in products}
            hours[products] = await service.ttl_h(session, groups, on)
        made = stamp(
            around.signer,
            TokenType.TICKET,
            serial=serial,
            signed_at=around.now,
            ttl_h=hours[products],
            product=min(products) if len(products) == 1 else 0,
            mass_g=sum(line.mass_g for line in draft.lines),
            origin=lot_rules.shared(drawn.draw.lot.division_code for drawn in issuance.draws),
            issuer=draft.seller.party_id,
            flags=Flags(0),
            status_index=issuance.named.next_id,
        )
        signed.append(Signed(issuance, serial, made, received.get(draft.public_id, ())))
    return signed


async def _received_at_once(
    session: AsyncSession, passed: Sequence[Issuance], around: Circumstances
) -> dict[UUID, list[LotDraft]]:
    """Draft the buyers' lots of one-sided hand-overs as the sellers' claim, by ticket.

    A walk-in consumes its lots.
    """
    at_once = [one for one in passed if one.draft.hand_over is HandOver.ONE_SIDED]
    passings = {
        (one.draft.public_id, drawn.draw.lot.id): Passing(
            one.draft.kind, drawn.draw.lot.id, one.draft.seller.party_id, one.named.buyer_id
        )
        for one in at_once
        for drawn in one.draws
    }
    suppliers = await handover.suppliers(session, passings.values())
    return {
        one.draft.public_id: [
            handover.next_lot(
                drawn.draw.lot,
                public_id=around.new_id(),
                mass_g=drawn.draw.mass_g,
                cover_g=drawn.cover_g,
                certificate_ids=drawn.draw.lot.certificate_ids,
                holder_id=one.named.buyer_id,
                from_party_id=suppliers[passings[one.draft.public_id, drawn.draw.lot.id]],
                origin=handover.origin_of(one.draft.kind),
                proof=Proof.CLAIMED,
                pieces=drawn.draw.pieces,
            )
            for drawn in one.draws
        ]
        for one in at_once
    }


async def _hand_over_at_once(session: AsyncSession, written: Written) -> None:
    """Bring the buyers' lots of one-sided hand-overs into being together with the tickets."""
    at_once = [one for one in written.tickets if one.received]
    if not at_once:
        return
    births = [
        Birth(
            written.event_ids[one.issuance.draft.public_id],
            one.issuance.draft.sold_at,
            one.received,
        )
        for one in at_once
    ]
    ids = await lots.make(session, births)
    await session.execute(
        insert(TicketReceipt),
        [
            {
                "ticket_id": one.ticket_id,
                "line_no": drawn.line_no,
                "lot_id": drawn.draw.lot.id,
                "accepted_g": drawn.draw.mass_g,
                "received_lot_id": ids[lot.public_id],
            }
            for one in at_once
            for drawn, lot in zip(one.issuance.draws, one.received, strict=True)
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
