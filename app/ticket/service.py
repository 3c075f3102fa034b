"""Issues, decides and voids tickets."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib import resources
from itertools import zip_longest
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import rules as certificate_rules
from app.certificate import service as certificates
from app.certificate.rules import Act, Duty
from app.certificate.service import Issuer
from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.snapshot import Snapshot
from app.event import service as events
from app.event.rules import EventKind, check_occurred
from app.event.service import Happening
from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.rules import LotOrigin, LotState, Proof
from app.lot.service import LotDraft, Parent, Withdrawal
from app.party import service as parties
from app.party.rules import UnknownParty
from app.place import service as places
from app.place.rules import UnknownPlace
from app.product.rules import Catalogue
from app.signing.keys import Signer
from app.signing.stamp import Stamp, stamp
from app.signing.token import Flags, TokenType
from app.ticket import rules
from app.ticket.models import (
    Ticket,
    TicketDraw,
    TicketLine,
    TicketReceipt,
    TicketState,
    TicketValidity,
)
from app.ticket.rules import (
    BuyerKind,
    HandOver,
    Line,
    LineDraw,
    Outcome,
    PlannedDraw,
    TicketKind,
    TicketStatus,
)
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

EVERY_GROUP = "*"


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line as spoken; grams and pieces are already reckoned."""

    product_id: int
    trade_name: str
    quantity: Decimal
    unit: str
    mass_g: int
    pieces: int | None = None
    pack_net_g: int | None = None
    price_fen: int | None = None
    price_unit: str | None = None
    draws: tuple[PlannedDraw, ...] = ()


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """What is to be issued.

    Attributes:
        digest: What tells whether a repeated request is the same.
        buyer: Public id of the buying party; None for a walk-in.
    """

    public_id: UUID
    digest: bytes
    kind: TicketKind
    seller: Issuer
    buyer: UUID | None
    hand_over: HandOver
    lines: tuple[LineDraft, ...]
    sold_at: datetime
    market: UUID | None = None
    stall: UUID | None = None
    device_at: datetime | None = None
    plate: str | None = None
    note: str | None = None
    documents: tuple[Mapping[str, Any], ...] = ()
    corrects: UUID | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision rests on beside the request: the law's data, the key, time and ids."""

    catalogue: Catalogue
    signer: Signer
    now: datetime
    new_id: Callable[[], UUID]
    serial: int


@dataclass(frozen=True, slots=True)
class _Named:
    """The things that a draft names, looked up in one statement."""

    existing_digest: bytes | None
    next_id: int
    buyer_id: int | None
    buyer_status: str | None
    market_id: int | None
    stall_id: int | None
    corrects_id: int | None
    corrects_seller: int | None
    corrects_status: str | None
    seller_identity: str
    buyer_identity: str | None


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


async def _look_up(session: AsyncSession, draft: TicketDraft) -> _Named:
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
    return _Named(*found)


async def load_validity(session: AsyncSession) -> None:
    """Load how long tickets speak for goods; rows that exist are brought up to date."""
    source = resources.files("app.ticket").joinpath("data/validity.json")
    rows = json.loads(source.read_text(encoding="utf-8"))
    for row in rows:
        row["valid_from"] = date.fromisoformat(row["valid_from"])
        row["valid_to"] = row["valid_to"] and date.fromisoformat(row["valid_to"])
    statement = insert(TicketValidity)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["product_group", "valid_from"],
            set_={name: statement.excluded[name] for name in ("valid_to", "ttl_h", "source")},
        ),
        rows,
    )
    validity.forget(session)


@dataclass(frozen=True, slots=True)
class _Validity:
    group: str
    valid_from: date
    valid_to: date | None
    ttl_h: int


async def _read_validity(session: AsyncSession) -> list[_Validity]:
    rows = await session.scalars(select(TicketValidity))
    return [_Validity(row.product_group, row.valid_from, row.valid_to, row.ttl_h) for row in rows]


validity = Snapshot(_read_validity, lasts_s=certificates.LAW_LASTS_S)
"""Answers how long tickets speak for goods."""


async def _ttl_h(session: AsyncSession, groups: Iterable[str], on: date) -> int:
    """Answer the shortest validity of the product groups on a ticket, in hours."""
    hours = {
        row.group: row.ttl_h
        for row in await validity(session)
        if row.valid_from <= on and (row.valid_to is None or on < row.valid_to)
    }
    return min(hours.get(group, hours[EVERY_GROUP]) for group in groups)


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
    locked = await lots.lock(  # 1 lock
        session,
        (planned.lot for line in draft.lines for planned in line.draws),
        stock_of=draft.seller.party_id,
        product_ids={line.product_id for line in draft.lines if not line.draws},
    )
    named = await _look_up(session, draft)
    if named.existing_digest is not None:  # 2 repeated?
        if named.existing_digest != draft.digest:
            raise IdReused(ticket=str(draft.public_id))
        return await _internal_id(session, draft.public_id), False
    _check(draft, named, now=around.now)  # 3 decide
    line_draws, withdrawal = _plan(draft, locked)
    await _check_lots(session, draft, named, line_draws, around)
    received: list[LotDraft] = []
    if draft.hand_over is HandOver.ONE_SIDED:
        sources = await _sources(
            session,
            draft.kind,
            (line_draw.draw.lot for line_draw in line_draws),
            seller_id=draft.seller.party_id,
            buyer_id=named.buyer_id,
        )
        received = _claimed(draft, named, line_draws, sources, around)
    made = await _sign(session, draft, named, line_draws, around)  # 4 sign
    statement = _statement(draft, named, line_draws, received, made)
    event_id = await _write(  # 5 write
        session, draft, named, line_draws, withdrawal, made, statement, around=around
    )
    if received:
        await _hand_over_at_once(session, draft, named, line_draws, received, event_id)
    return named.next_id, True


async def _internal_id(session: AsyncSession, public_id: UUID) -> int:
    found = await session.scalar(select(Ticket.id).where(Ticket.public_id == public_id))
    assert found is not None, "its digest was just read"
    return found


def _check(draft: TicketDraft, named: _Named, *, now: datetime) -> None:
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
        _buyer_kind(named),
        draft.hand_over,
        seller=draft.seller.party_id,
        buyer=named.buyer_id,
    )
    if draft.corrects is not None and (
        named.corrects_seller != draft.seller.party_id
        or named.corrects_status != TicketStatus.VOIDED
    ):
        raise rules.CorrectsOther


def _buyer_kind(named: _Named) -> BuyerKind:
    if named.buyer_id is None:
        return BuyerKind.WALK_IN
    return BuyerKind.INVITED if named.buyer_status == "invited" else BuyerKind.REGISTERED


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
    named: _Named,
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
    named: _Named,
    line_draws: Sequence[LineDraw],
    around: Circumstances,
) -> Stamp:
    products = {line.product_id for line in draft.lines}
    groups = {around.catalogue.product(product_id).group.value for product_id in products}
    return stamp(
        around.signer,
        TokenType.TICKET,
        serial=around.serial,
        issued_at=around.now,
        ttl_h=await _ttl_h(session, groups, local_date(around.now)),
        product=products.pop() if len(products) == 1 else 0,
        mass_g=sum(line.mass_g for line in draft.lines),
        origin=lot_rules.shared(line_draw.draw.lot.division_code for line_draw in line_draws),
        issuer=draft.seller.party_id,
        flags=Flags(0),
        status_index=named.next_id,
    )


def _stored_kind(draft: TicketDraft, line_draws: Sequence[LineDraw]) -> TicketKind:
    """Tell a producer's own sale from a resale: the seller need not know the words."""
    if draft.kind is TicketKind.SALE and all(
        line_draw.draw.lot.producer_id == draft.seller.party_id for line_draw in line_draws
    ):
        return TicketKind.ORIGIN
    return draft.kind


# Balances, ticket, lines, draws, state, event and log entry in one round trip: what is held locked
# is held for as long as this statement takes (performance.md: round trips are the cost).
_WRITE = text(f"""
    WITH drawn AS ({lots.DRAW_SQL}),
    new_ticket AS (
        INSERT INTO ticket (
            id, public_id, digest, kind, code, serial, kid, token, seller_id, buyer_id, buyer_kind,
            hand_over, market_id, stall_id, sold_at, device_at, issued_at, expires_at, mass_g,
            plate, note, documents, corrects_id
        ) VALUES (
            :id, :public_id, :digest, :kind, :code, :serial, :kid, :token, :seller_id, :buyer_id,
            :buyer_kind, :hand_over, :market_id, :stall_id, :sold_at, :device_at, :issued_at,
            :expires_at, :mass_g, :plate, :note, CAST(:documents AS jsonb), :corrects_id
        )
    ),
    new_line AS (
        INSERT INTO ticket_line (
            ticket_id, no, product_id, trade_name, quantity, unit, pack_net_g, mass_g, pieces,
            price_fen, price_unit
        )
        SELECT :id, l.* FROM unnest(
            CAST(:line_no AS smallint[]), CAST(:line_product AS bigint[]),
            CAST(:line_name AS text[]), CAST(:line_quantity AS numeric[]),
            CAST(:line_unit AS text[]), CAST(:line_pack AS bigint[]), CAST(:line_mass AS bigint[]),
            CAST(:line_pieces AS bigint[]), CAST(:line_price AS bigint[]),
            CAST(:line_price_unit AS text[])
        ) AS l
    ),
    new_draw AS (
        INSERT INTO ticket_draw (
            ticket_id, line_no, lot_id, mass_g, pieces, cover_g, certificate_ids
        )
        SELECT :id, d.line_no, d.lot_id, d.mass_g, d.pieces, d.cover_g, l.certificate_ids
        FROM unnest(
            CAST(:td_line AS smallint[]), CAST(:td_lot AS bigint[]), CAST(:td_mass AS bigint[]),
            CAST(:td_pieces AS bigint[]), CAST(:td_cover AS bigint[])
        ) AS d (line_no, lot_id, mass_g, pieces, cover_g)
        JOIN lot l ON l.id = d.lot_id
    ),
    new_state AS (INSERT INTO ticket_state (ticket_id, status) VALUES (:id, 'issued')),
    new_event AS ({events.RECORD_SQL}),
    new_entry AS ({transparency.APPEND_SQL})
    SELECT (SELECT count(*) FROM drawn), (SELECT id FROM new_event)
""")  # noqa: S608 (constants)


async def _write(
    session: AsyncSession,
    draft: TicketDraft,
    named: _Named,
    line_draws: Sequence[LineDraw],
    withdrawal: Withdrawal,
    made: Stamp,
    statement: Statement,
    *,
    around: Circumstances,
) -> int:
    happening = Happening(
        public_id=draft.public_id,
        kind=EventKind.HAND_OVER,
        occurred_at=draft.sold_at,
        party_id=draft.seller.party_id,
        place_id=named.market_id,
    )
    row = (
        await session.execute(
            _WRITE,
            {
                **_ticket_parameters(draft, named, line_draws, made, around),
                **_line_parameters(draft.lines),
                **withdrawal.parameters(),
                "td_line": [line_draw.line_no for line_draw in line_draws],
                "td_lot": [line_draw.draw.lot.id for line_draw in line_draws],
                "td_mass": [line_draw.draw.mass_g for line_draw in line_draws],
                "td_pieces": [line_draw.draw.pieces for line_draw in line_draws],
                "td_cover": [line_draw.cover_g for line_draw in line_draws],
                **events.parameters(happening, now=around.now),
                **transparency.parameters(statement, now=around.now),
            },
        )
    ).one()
    assert row[0] == len(withdrawal), "the rules let through what the balances refuse"
    return int(row[1])


def _ticket_parameters(
    draft: TicketDraft,
    named: _Named,
    line_draws: Sequence[LineDraw],
    made: Stamp,
    around: Circumstances,
) -> dict[str, Any]:
    return {
        "id": named.next_id,
        "public_id": draft.public_id,
        "digest": draft.digest,
        "kind": _stored_kind(draft, line_draws),
        "code": made.code,
        "serial": around.serial,
        "kid": made.kid,
        "token": made.token,
        "seller_id": draft.seller.party_id,
        "buyer_id": named.buyer_id,
        "buyer_kind": _buyer_kind(named),
        "hand_over": draft.hand_over,
        "market_id": named.market_id,
        "stall_id": named.stall_id,
        "sold_at": draft.sold_at,
        "device_at": draft.device_at,
        "issued_at": around.now,
        "expires_at": made.expires_at,
        "mass_g": sum(line.mass_g for line in draft.lines),
        "plate": draft.plate,
        "note": draft.note,
        "documents": json.dumps(list(draft.documents), default=str, ensure_ascii=False),
        "corrects_id": named.corrects_id,
    }


def _line_parameters(lines: Sequence[LineDraft]) -> dict[str, Any]:
    return {
        "line_no": list(range(1, len(lines) + 1)),
        "line_product": [line.product_id for line in lines],
        "line_name": [line.trade_name for line in lines],
        "line_quantity": [line.quantity for line in lines],
        "line_unit": [line.unit for line in lines],
        "line_pack": [line.pack_net_g for line in lines],
        "line_mass": [line.mass_g for line in lines],
        "line_pieces": [line.pieces for line in lines],
        "line_price": [line.price_fen for line in lines],
        "line_price_unit": [line.price_unit for line in lines],
    }


def _statement(
    draft: TicketDraft,
    named: _Named,
    line_draws: Sequence[LineDraw],
    received: Sequence[LotDraft],
    made: Stamp,
) -> Statement:
    """Write what the log keeps: everything the ticket states, persons as commitments, no prices.

    Every lot that comes into being is named, so that all balances follow from the log alone.
    """
    drawn: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line_draw, lot in zip_longest(line_draws, received):
        drawn[line_draw.line_no].append(
            {
                "lot": str(line_draw.draw.lot.public_id),
                "mass_g": str(line_draw.draw.mass_g),
                "received": None if lot is None else str(lot.public_id),
            }
        )
    document = {
        "ticket_kind": _stored_kind(draft, line_draws),
        "seller": str(draft.seller.public_id),
        "seller_commit": named.seller_identity,
        "buyer": None if draft.buyer is None else str(draft.buyer),
        "buyer_commit": named.buyer_identity,
        "hand_over": draft.hand_over,
        "lines": [
            {
                "no": no,
                "product": line.product_id,
                "quantity": str(line.quantity.normalize()),
                "unit": line.unit,
                "mass_g": str(line.mass_g),
                "draws": drawn[no],
            }
            for no, line in enumerate(draft.lines, start=1)
        ],
        "token": made.token,
        "t": draft.sold_at.isoformat(),
        "prev_state": None,
        "next_state": "issued",
        "corrects": None if draft.corrects is None else str(draft.corrects),
    }
    return Statement("ticket.issued", draft.public_id, document)


def _received(
    lot: LotState,
    *,
    public_id: UUID,
    mass_g: int,
    cover_g: int,
    certificate_ids: Sequence[int],
    holder_id: int | None,
    from_party_id: int | None,
    origin: LotOrigin,
    proof: Proof,
    pieces: int | None = None,
) -> LotDraft:
    """Draft the lot that a draw becomes with another holder: same goods, same past.

    Without a holder it is a walk-in's, who consumes it.
    """
    return LotDraft(
        public_id=public_id,
        product_id=lot.product_id,
        holder_id=holder_id,
        origin=origin,
        mass_g=mass_g,
        quantity=Decimal(mass_g) / 1000,
        unit="公斤",
        producer_id=lot.producer_id,
        mixed=lot.mixed,
        from_party_id=from_party_id,
        production=lot.production,
        division_code=lot.division_code,
        plot_id=lot.plot_id,
        made_on=lot.made_on,
        certificate_ids=tuple(certificate_ids),
        certified_g=cover_g,
        pieces=pieces,
        documents=lot.documents,
        parents=(Parent(lot.id, mass_g, proof),),
        consumed=holder_id is None,
    )


def _origin_of(kind: TicketKind) -> LotOrigin:
    return LotOrigin.RETURN if kind is TicketKind.RETURN else LotOrigin.PURCHASE


def _claimed(
    draft: TicketDraft,
    named: _Named,
    line_draws: Sequence[LineDraw],
    sources: Mapping[int, int | None],
    around: Circumstances,
) -> list[LotDraft]:
    """Draft the buyer's lots as the seller's claim; a walk-in consumes them."""
    return [
        _received(
            line_draw.draw.lot,
            public_id=around.new_id(),
            mass_g=line_draw.draw.mass_g,
            cover_g=line_draw.cover_g,
            certificate_ids=line_draw.draw.lot.certificate_ids,
            holder_id=named.buyer_id,
            from_party_id=sources[line_draw.draw.lot.id],
            origin=_origin_of(draft.kind),
            proof=Proof.CLAIMED,
            pieces=line_draw.draw.pieces,
        )
        for line_draw in line_draws
    ]


async def _sources(
    session: AsyncSession,
    kind: TicketKind,
    given: Iterable[LotState],
    *,
    seller_id: int,
    buyer_id: int | None,
) -> dict[int, int | None]:
    """Answer, by the seller's lot, from whom the buyer has what it becomes.

    That is the seller; but goods that went back are from whoever had supplied them before, to whom
    they may go on back.
    """
    lot_ids = {lot.id for lot in given}
    if kind is not TicketKind.RETURN or buyer_id is None:
        return dict.fromkeys(lot_ids, seller_id)
    earlier = await lots.suppliers_of_earlier(
        session, lot_ids, holder_id=seller_id, earlier_id=buyer_id
    )
    return {lot_id: earlier.get(lot_id) for lot_id in lot_ids}


async def _hand_over_at_once(
    session: AsyncSession,
    draft: TicketDraft,
    named: _Named,
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
class DecisionDraft:
    """What the buyer decides; grams accepted by line, for a decision in part."""

    outcome: Outcome
    accepted_g: Mapping[int, int] = field(default_factory=dict)
    reason: str | None = None

    def digest(self) -> bytes:
        """Answer what tells whether a repeated decision is the same."""
        return lot_rules.digest(
            {
                "outcome": self.outcome,
                "accepted": {str(no): str(mass_g) for no, mass_g in self.accepted_g.items()},
                "reason": self.reason,
            }
        )


@dataclass(frozen=True, slots=True)
class _DrawDecision:
    """What becomes of one draw of a decided ticket."""

    draw: TicketDraw
    lot: LotState
    accepted_g: int

    @property
    def rest_g(self) -> int:
        """Grams that go back to the seller."""
        return self.draw.mass_g - self.accepted_g

    @property
    def accepted_cover_g(self) -> int:
        """Grams of the accepted part that certificates vouch for."""
        return min(self.draw.cover_g, self.accepted_g)


async def decide(
    session: AsyncSession,
    public_id: UUID,
    decision: DecisionDraft,
    *,
    buyer_id: int,
    now: datetime,
    new_id: Callable[[], UUID],
) -> tuple[Ticket, bool]:
    """Accept, accept in part, or refuse a ticket, as its buyer.

    What is accepted becomes lots of the buyer; the rest comes back to the seller as lots of their
    own, so that returned goods are never silently sold again. Of a line with several draws each
    gives its proportional part.

    Returns:
        The ticket, and whether the decision is new.

    Raises:
        UnknownTicket: there is none.
        NotBuyer: the caller is not its buyer.
        TicketVoided: the seller took it back.
        AlreadyDecided: the buyer decided otherwise before.
        AcceptedTooMuch: the accepted grams do not fit the ticket.
        LotOnHold: goods of the ticket may not move now.
        LotExhausted: goods that shall go back were handed on already.
    """
    ticket, state = await _locked(session, public_id)
    if ticket.buyer_id != buyer_id:
        raise rules.NotBuyer
    if state.status == TicketStatus.VOIDED:
        raise rules.TicketVoided
    if state.decision_digest is not None:
        if state.decision_digest != decision.digest():
            raise rules.AlreadyDecided(status=state.status)
        return ticket, False
    decisions = await _split_decision(session, ticket, decision)
    event_id = await events.record(
        session,
        Happening(
            public_id=new_id(),
            kind=EventKind.HAND_OVER,
            occurred_at=now,
            party_id=buyer_id,
            place_id=ticket.market_id,
            details={"ticket": str(public_id), "outcome": decision.outcome},
        ),
        now=now,
    )
    carry_out = _receive if ticket.hand_over == HandOver.TWO_SIDED else _confirm
    became = await carry_out(session, ticket, decisions, event_id, now=now, new_id=new_id)
    previous = state.status
    state.status = TicketStatus(decision.outcome)
    state.decision_digest = decision.digest()
    state.decided_at = now
    state.reason = decision.reason
    await session.flush()
    await _log_change(
        session,
        ticket,
        previous,
        state.status,
        now=now,
        draws=[
            _became(decision.draw.line_no, decision.lot.public_id, decision.accepted_g, *made)
            for decision, made in zip(decisions, became, strict=True)
        ],
    )
    return ticket, True


async def _locked(session: AsyncSession, public_id: UUID) -> tuple[Ticket, TicketState]:
    found = (
        await session.execute(
            select(Ticket, TicketState)
            .join(TicketState, TicketState.ticket_id == Ticket.id)
            .where(Ticket.public_id == public_id)
            .with_for_update(of=TicketState, key_share=True)
        )
    ).one_or_none()
    if found is None:
        raise rules.UnknownTicket(ticket=str(public_id))
    return found[0], found[1]


async def _split_decision(
    session: AsyncSession, ticket: Ticket, decision: DecisionDraft
) -> list[_DrawDecision]:
    draws = (
        await session.scalars(
            select(TicketDraw)
            .where(TicketDraw.ticket_id == ticket.id)
            .order_by(TicketDraw.line_no, TicketDraw.lot_id)
        )
    ).all()
    by_line: dict[int, list[TicketDraw]] = defaultdict(list)
    for drawn in draws:
        by_line[drawn.line_no].append(drawn)
    accepted = rules.accepted_masses(
        decision.outcome,
        {no: sum(drawn.mass_g for drawn in group) for no, group in by_line.items()},
        decision.accepted_g,
    )
    states = await lots.states_by_id(session, {drawn.lot_id for drawn in draws})
    # Locked, so that a hold placed at this very moment either stops the decision or sees its lots.
    locked = await lots.lock(session, (state.public_id for state in states.values()))
    for lot in locked.values():
        if lot.holds:
            raise lot_rules.LotOnHold(lot=str(lot.public_id))
    by_id = {lot.id: lot for lot in locked.values()}
    return [
        _DrawDecision(drawn, by_id[drawn.lot_id], share)
        for no, group in by_line.items()
        for drawn, share in zip(
            group,
            lot_rules.apportion(accepted[no], [drawn.mass_g for drawn in group]),
            strict=True,
        )
    ]


def _became(
    line_no: int, lot: UUID, accepted_g: int, received: UUID | None, returned: UUID | None
) -> dict[str, Any]:
    """Write for the log what became of a draw."""
    return {
        "line": line_no,
        "lot": str(lot),
        "accepted_g": str(accepted_g),
        "received": None if received is None else str(received),
        "returned": None if returned is None else str(returned),
    }


async def _receive(
    session: AsyncSession,
    ticket: Ticket,
    decisions: Sequence[_DrawDecision],
    event_id: int,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
) -> list[tuple[UUID | None, UUID | None]]:
    """Bring the buyer's lots, and the lots of what goes back, into being (two-sided).

    Returns:
        For each decision the lot that the buyer received, and the one that came back.
    """
    sources = await _sources(
        session,
        TicketKind(ticket.kind),
        (decision.lot for decision in decisions),
        seller_id=ticket.seller_id,
        buyer_id=ticket.buyer_id,
    )
    made: list[LotDraft] = []
    receipts: list[tuple[_DrawDecision, UUID | None, UUID | None]] = []
    for decision in decisions:
        received, returned = _halves(ticket, decision, sources[decision.lot.id], new_id)
        made += [lot for lot in (received, returned) if lot is not None]
        receipts.append(
            (
                decision,
                None if received is None else received.public_id,
                None if returned is None else returned.public_id,
            )
        )
    ids = await lots.make(session, made, event_id=event_id, occurred_at=now)
    await session.execute(
        insert(TicketReceipt),
        [
            {
                "ticket_id": ticket.id,
                "line_no": decision.draw.line_no,
                "lot_id": decision.draw.lot_id,
                "accepted_g": decision.accepted_g,
                "received_lot_id": received and ids[received],
                "returned_lot_id": returned and ids[returned],
            }
            for decision, received, returned in receipts
        ],
    )
    return [(received, returned) for _, received, returned in receipts]


def _halves(
    ticket: Ticket, decision: _DrawDecision, source: int | None, new_id: Callable[[], UUID]
) -> tuple[LotDraft | None, LotDraft | None]:
    """Draft the lot that the buyer receives of a draw, and the lot that comes back."""
    received = returned = None
    if decision.accepted_g:
        received = _received(
            decision.lot,
            public_id=new_id(),
            mass_g=decision.accepted_g,
            cover_g=decision.accepted_cover_g,
            certificate_ids=decision.draw.certificate_ids,
            holder_id=ticket.buyer_id,
            from_party_id=source,
            origin=_origin_of(TicketKind(ticket.kind)),
            proof=Proof.PROVED,
            pieces=None if decision.rest_g else decision.draw.pieces,
        )
    if decision.rest_g:
        returned = _received(
            decision.lot,
            public_id=new_id(),
            mass_g=decision.rest_g,
            cover_g=decision.draw.cover_g - decision.accepted_cover_g,
            certificate_ids=decision.draw.certificate_ids,
            holder_id=ticket.seller_id,
            from_party_id=decision.lot.from_party_id,
            origin=LotOrigin.RETURN,
            proof=Proof.PROVED,
            pieces=None if decision.accepted_g else decision.draw.pieces,
        )
    return received, returned


async def _confirm(
    session: AsyncSession,
    ticket: Ticket,
    decisions: Sequence[_DrawDecision],
    event_id: int,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
) -> list[tuple[UUID | None, UUID | None]]:
    """Turn the seller's claim into proof, and send back what the buyer does not accept.

    Returns:
        For each decision the lot that the buyer received, and the one that came back.
    """
    receipts = {
        (receipt.line_no, receipt.lot_id): receipt
        for receipt in await session.scalars(
            select(TicketReceipt).where(TicketReceipt.ticket_id == ticket.id)
        )
    }
    held = [
        (decision, receipts[decision.draw.line_no, decision.draw.lot_id]) for decision in decisions
    ]
    going_back = {
        _arrived(receipt): _GoingBack(decision.rest_g, decision.lot.from_party_id)
        for decision, receipt in held
        if decision.rest_g
    }
    returned = await _send_back(
        session, ticket, going_back, event_id, holder_id=ticket.buyer_id, now=now, new_id=new_id
    )
    for decision, receipt in held:
        receipt.accepted_g = decision.accepted_g
        receipt.returned_lot_id, _ = returned.get(_arrived(receipt), (None, None))
    await session.flush()
    await lots.prove_edges(
        session,
        ((receipt.lot_id, _arrived(receipt)) for decision, receipt in held if decision.accepted_g),
    )
    states = await lots.states_by_id(session, (_arrived(receipt) for _, receipt in held))
    return [
        (states[_arrived(receipt)].public_id, returned.get(_arrived(receipt), (None, None))[1])
        for _, receipt in held
    ]


def _arrived(receipt: TicketReceipt) -> int:
    """Answer the buyer's lot of a one-sided hand-over, which is there from the start."""
    assert receipt.received_lot_id is not None, "it was written with the ticket"
    return receipt.received_lot_id


@dataclass(frozen=True, slots=True)
class _GoingBack:
    """What leaves a lot of the buyer again, and from whom the seller had it before."""

    mass_g: int
    from_party_id: int | None


async def _send_back(
    session: AsyncSession,
    ticket: Ticket,
    going_back: Mapping[int, _GoingBack],
    event_id: int,
    *,
    holder_id: int | None,
    now: datetime,
    new_id: Callable[[], UUID],
) -> dict[int, tuple[int, UUID]]:
    """Turn grams of the buyer's lots into lots of the seller; answer theirs by the buyer's lot."""
    if not going_back:
        return {}
    states = await lots.states_by_id(session, going_back)
    locked = await lots.lock(session, (state.public_id for state in states.values()))
    withdrawal = Withdrawal()
    made: list[tuple[LotState, LotDraft]] = []
    for lot in locked.values():
        mass_g = going_back[lot.id].mass_g
        pieces = lot.remaining_pieces if mass_g == lot.mass_g else None
        draw = lot_rules.Draw(lot, mass_g, pieces)
        cover_g = min(draw.mass_g, lot.certified_g)
        if holder_id is not None:  # What a walk-in took is booked out of its lot already.
            lot_rules.check_draw(draw, holder_id=holder_id)
            cover_g = withdrawal.take(draw)
        made.append(
            (
                lot,
                _received(
                    lot,
                    public_id=new_id(),
                    mass_g=draw.mass_g,
                    cover_g=cover_g,
                    certificate_ids=lot.certificate_ids,
                    holder_id=ticket.seller_id,
                    from_party_id=going_back[lot.id].from_party_id,
                    origin=LotOrigin.RETURN,
                    proof=Proof.CLAIMED,
                    pieces=draw.pieces,
                ),
            )
        )
    await lots.draw(session, withdrawal)
    ids = await lots.make(session, [draft for _, draft in made], event_id=event_id, occurred_at=now)
    return {lot.id: (ids[draft.public_id], draft.public_id) for lot, draft in made}


async def void(
    session: AsyncSession,
    public_id: UUID,
    *,
    seller_id: int,
    reason: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> tuple[Ticket, bool]:
    """Take a ticket back that its buyer has not decided about, as its seller.

    Goods that never left go back into their lots. Goods that were handed over one-sidedly come
    back as lots of their own, and only if the buyer has not handed them on.

    Returns:
        The ticket, and whether it was in force until now.

    Raises:
        UnknownTicket: there is none.
        NotSeller: the caller is not its seller.
        AlreadyDecided: the buyer has decided.
        LotExhausted: the buyer handed goods on already.
        LotOnHold: the buyer's lots may not move now.
    """
    ticket, state = await _locked(session, public_id)
    if ticket.seller_id != seller_id:
        raise rules.NotSeller
    if state.status == TicketStatus.VOIDED:
        return ticket, False
    if state.status != TicketStatus.ISSUED:
        raise rules.AlreadyDecided(status=state.status)
    became: list[dict[str, Any]] = []
    if ticket.hand_over == HandOver.TWO_SIDED:
        await _put_back(session, ticket)
    else:
        became = await _take_back(session, ticket, now=now, new_id=new_id)
    state.status = TicketStatus.VOIDED
    state.voided_at = now
    state.reason = reason
    await session.flush()
    await _log_change(
        session,
        ticket,
        TicketStatus.ISSUED,
        TicketStatus.VOIDED,
        now=now,
        draws=became,
        reason_commit=await _commit_to(session, reason, by=seller_id),
    )
    return ticket, True


async def _commit_to(session: AsyncSession, reason: str, *, by: int) -> str:
    """Stand in for words that somebody typed: they may name a person, and the log is for ever."""
    known = await parties.by_ids(session, [by])
    return commitment(known[by].commit_salt, reason)


async def _put_back(session: AsyncSession, ticket: Ticket) -> None:
    draws = (
        await session.scalars(select(TicketDraw).where(TicketDraw.ticket_id == ticket.id))
    ).all()
    states = await lots.states_by_id(session, {drawn.lot_id for drawn in draws})
    await lots.lock(session, (state.public_id for state in states.values()))
    await lots.put_back(
        session, ((drawn.lot_id, drawn.mass_g, drawn.pieces, drawn.cover_g) for drawn in draws)
    )


async def _take_back(
    session: AsyncSession, ticket: Ticket, *, now: datetime, new_id: Callable[[], UUID]
) -> list[dict[str, Any]]:
    receipts = (
        await session.scalars(select(TicketReceipt).where(TicketReceipt.ticket_id == ticket.id))
    ).all()
    event_id = await events.record(
        session,
        Happening(
            public_id=new_id(),
            kind=EventKind.RETURN,
            occurred_at=now,
            party_id=ticket.seller_id,
            place_id=ticket.market_id,
            details={"ticket": str(ticket.public_id)},
        ),
        now=now,
    )
    known = {receipt.lot_id for receipt in receipts} | set(map(_arrived, receipts))
    states = await lots.states_by_id(session, known)
    returned = await _send_back(
        session,
        ticket,
        {
            _arrived(receipt): _GoingBack(receipt.accepted_g, states[receipt.lot_id].from_party_id)
            for receipt in receipts
        },
        event_id,
        holder_id=ticket.buyer_id,
        now=now,
        new_id=new_id,
    )
    for receipt in receipts:
        receipt.accepted_g = 0
        receipt.returned_lot_id, _ = returned[_arrived(receipt)]
    await session.flush()
    return [
        _became(
            receipt.line_no,
            states[receipt.lot_id].public_id,
            0,
            states[_arrived(receipt)].public_id,
            returned[_arrived(receipt)][1],
        )
        for receipt in receipts
    ]


async def _log_change(
    session: AsyncSession,
    ticket: Ticket,
    previous: str,
    following: str,
    *,
    now: datetime,
    **more: Any,
) -> None:
    document = {
        "prev_state": previous,
        "next_state": following,
        "t": now.isoformat(),
        **more,
    }
    await transparency.append(
        session, [Statement(f"ticket.{following}", ticket.public_id, document)], now=now
    )


async def find(session: AsyncSession, public_id: UUID) -> tuple[Ticket, TicketState]:
    """Find a ticket and what became of it by its public id.

    Raises:
        UnknownTicket: there is none.
    """
    return await _find(session, Ticket.public_id == public_id, ticket=str(public_id))


async def find_by_serial(session: AsyncSession, serial: int) -> tuple[Ticket, TicketState] | None:
    """Find a ticket by the serial of its token."""
    try:
        return await _find(session, Ticket.serial == serial)
    except rules.UnknownTicket:
        return None


async def find_by_code(session: AsyncSession, code: str) -> tuple[Ticket, TicketState] | None:
    """Find a ticket by its short code."""
    try:
        return await _find(session, Ticket.code == code)
    except rules.UnknownTicket:
        return None


async def by_id(session: AsyncSession, ticket_id: int) -> tuple[Ticket, TicketState]:
    """Read a ticket by its internal id."""
    return await _find(session, Ticket.id == ticket_id)


async def _find(session: AsyncSession, condition: Any, **facts: str) -> tuple[Ticket, TicketState]:
    row = (
        await session.execute(
            select(Ticket, TicketState)
            .join(TicketState, TicketState.ticket_id == Ticket.id)
            .where(condition)
        )
    ).one_or_none()
    if row is None:
        raise rules.UnknownTicket(**facts)
    return row[0], row[1]


async def public_ids(session: AsyncSession, ticket_ids: Iterable[int]) -> dict[int, UUID]:
    """Answer the public ids of several tickets."""
    wanted = sorted(set(ticket_ids))
    if not wanted:
        return {}
    rows = await session.execute(select(Ticket.id, Ticket.public_id).where(Ticket.id.in_(wanted)))
    return {row[0]: row[1] for row in rows}


async def lines_of(session: AsyncSession, ticket_id: int) -> Sequence[TicketLine]:
    """List a ticket's lines."""
    found = await session.scalars(
        select(TicketLine).where(TicketLine.ticket_id == ticket_id).order_by(TicketLine.no)
    )
    return found.all()


async def draws_of(session: AsyncSession, ticket_id: int) -> Sequence[TicketDraw]:
    """List a ticket's draws, by line."""
    found = await session.scalars(
        select(TicketDraw)
        .where(TicketDraw.ticket_id == ticket_id)
        .order_by(TicketDraw.line_no, TicketDraw.lot_id)
    )
    return found.all()


async def receipts_of(session: AsyncSession, ticket_id: int) -> Sequence[TicketReceipt]:
    """List what the buyer's side made of a ticket's draws."""
    found = await session.scalars(
        select(TicketReceipt)
        .where(TicketReceipt.ticket_id == ticket_id)
        .order_by(TicketReceipt.line_no, TicketReceipt.lot_id)
    )
    return found.all()


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
    ticket, _ = await find(session, public_id)
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
            for line in await lines_of(session, ticket.id)
        ),
    )
