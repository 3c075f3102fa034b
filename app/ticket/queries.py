"""Tickets as people read them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import zip_longest
from operator import itemgetter
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetch, prepared
from app.evidence import service as evidences
from app.evidence.models import Evidence
from app.evidence.rules import check_found
from app.party.access import Audience, Caller, OtherParty, may_supervise
from app.product import service as products
from app.product.rules import Catalogue
from app.product.units import spell_mass
from app.signing import token
from app.ticket import rules
from app.ticket.drafts import Circumstances, Signed, Written
from app.ticket.rules import TicketStatus
from app.ticket.schemas import DrawOut, TicketOut


class Side(StrEnum):
    """From whose side a list of tickets is read."""

    SOLD = "sold"
    BOUGHT = "bought"
    BOTH = "both"


# A ticket with whatever it refers to, in one statement: a new one is answered as it was written,
# and a list of a hundred costs one round trip too.
_READ = """
    SELECT t.public_id AS ticket, t.kind, s.status, t.code, t.token, t.seller_id, t.buyer_id,
        t.buyer_kind, t.hand_over, t.sold_at, t.device_at, t.issued_at, t.expires_at, t.mass_g,
        t.plate, t.note, t.documents, s.decided_at, s.voided_at, s.reason,
        (
            SELECT jsonb_agg(jsonb_build_object(
                'evidence', e.public_id, 'sha256', encode(e.content_sha256, 'hex')
            ) ORDER BY e.id)
            FROM evidence e WHERE e.id = ANY (s.evidence_ids)
        ) AS evidence,
        seller.public_id AS seller, seller.name AS seller_name,
        seller.division_code AS seller_division,
        buyer.public_id AS buyer, buyer.name AS buyer_name,
        market.public_id AS market, market.party_id AS market_party,
        market.division_code AS market_division,
        stall.public_id AS stall, corrected.public_id AS corrects,
        (
            SELECT jsonb_agg(jsonb_build_object(
                'no', l.no, 'product', l.product_id, 'trade_name', l.trade_name,
                'quantity', CAST(l.quantity AS text), 'unit', l.unit, 'pack_net_g', l.pack_net_g,
                'mass_g', l.mass_g, 'pieces', l.pieces, 'price_fen', l.price_fen,
                'price_unit', l.price_unit, 'draws', (
                    SELECT jsonb_agg(jsonb_build_object(
                        'lot', drawn.public_id, 'mass_g', d.mass_g, 'accepted_g', r.accepted_g,
                        'received_lot', received.public_id, 'returned_lot', returned.public_id,
                        'certificates', ARRAY(
                            SELECT c.public_id FROM certificate c
                            WHERE c.id = ANY (d.certificate_ids) ORDER BY c.id
                        )
                    ) ORDER BY d.lot_id)
                    FROM ticket_draw d
                    JOIN lot drawn ON drawn.id = d.lot_id
                    LEFT JOIN ticket_receipt r
                        ON (r.ticket_id, r.line_no, r.lot_id) = (d.ticket_id, d.line_no, d.lot_id)
                    LEFT JOIN lot received ON received.id = r.received_lot_id
                    LEFT JOIN lot returned ON returned.id = r.returned_lot_id
                    WHERE d.ticket_id = l.ticket_id AND d.line_no = l.no
                )
            ) ORDER BY l.no)
            FROM ticket_line l WHERE l.ticket_id = t.id
        ) AS lines
    FROM ticket t
    JOIN ticket_state s ON s.ticket_id = t.id
    JOIN party seller ON seller.id = t.seller_id
    LEFT JOIN party buyer ON buyer.id = t.buyer_id
    LEFT JOIN place market ON market.id = t.market_id
    LEFT JOIN place stall ON stall.id = t.stall_id
    LEFT JOIN ticket corrected ON corrected.id = t.corrects_id
"""
_READ_ONE = prepared(f"{_READ} WHERE t.public_id = :ticket")
_READ_SEVERAL = prepared(f"{_READ} WHERE t.public_id = ANY (CAST(:tickets AS uuid[]))")
_OWN = {
    Side.SOLD: "t.seller_id = :party",
    Side.BOUGHT: "t.buyer_id = :party",
    Side.BOTH: "(t.seller_id = :party OR t.buyer_id = :party)",
}
_READ_OWN = {
    side: prepared(
        f"{_READ} WHERE {condition} "
        "AND t.issued_at < coalesce(CAST(:before AS timestamptz), 'infinity') "
        "ORDER BY t.id DESC LIMIT :most"
    )
    for side, condition in _OWN.items()
}


async def read(
    session: AsyncSession, public_id: UUID, caller: Caller, *, base_url: str
) -> TicketOut:
    """Read one ticket for somebody who may see it; prices are for its two parties alone.

    Raises:
        UnknownTicket: there is none.
        OtherParty: the caller is neither party of it, nor answers for its market or seller.
    """
    rows = await fetch(session, _READ_ONE, {"ticket": public_id})
    if not rows:
        raise rules.UnknownTicket(ticket=str(public_id))
    (row,) = rows
    involved = caller.party_id in {row.seller_id, row.buyer_id}
    if not involved and not _answers_for(row, caller):
        raise OtherParty(ticket=str(public_id))
    catalogue = await products.catalogue(session)
    return _ticket(row, catalogue, base_url=base_url, with_prices=involved)


async def read_all(
    session: AsyncSession, public_ids: Sequence[UUID], caller: Caller, *, base_url: str
) -> list[TicketOut]:
    """Read tickets that the caller is a party of, in the order in which they are named."""
    if not public_ids:
        return []
    rows = await fetch(session, _READ_SEVERAL, {"tickets": list(set(public_ids))})
    catalogue = await products.catalogue(session)
    found: dict[UUID, TicketOut] = {}
    for row in rows:
        assert caller.party_id in {row.seller_id, row.buyer_id}, "it was just written by a party"
        found[row.ticket] = _ticket(row, catalogue, base_url=base_url, with_prices=True)
    return [found[public_id] for public_id in public_ids]


_CERTIFICATES = prepared(
    "SELECT id, public_id FROM certificate WHERE id = ANY (CAST(:ids AS bigint[])) ORDER BY id"
)


async def write_new(
    session: AsyncSession, written: Written, around: Circumstances, *, base_url: str
) -> dict[UUID, bytes]:
    """Write tickets as JSON for their sellers, who have just issued them.

    It is what `TicketOut` would be written as if they were read again, without reading and without
    the model: checking what was just written costs more than all the rest.
    """
    ids = {id_ for several in written.certificates.values() for id_ in several}
    papers = {}
    if ids:
        rows = await fetch(session, _CERTIFICATES, {"ids": list(ids)})
        papers = {row.id: row.public_id for row in rows}
    return {
        one.issuance.draft.public_id: orjson.dumps(
            _told(
                _new(one, written, papers, now=around.now),
                around.catalogue,
                base_url=base_url,
                with_prices=True,
            ),
            default=_id,
            option=orjson.OPT_UTC_Z,
        )
        for one in written.tickets
    }


def _id(value: object) -> str:
    # The driver's own class of id, which orjson does not know.
    assert isinstance(value, UUID), "all else is told in what JSON has"
    return str(value)


def _new(
    signed: Signed, written: Written, papers: Mapping[int, UUID], *, now: datetime
) -> SimpleNamespace:
    """Make the row that `_READ` would find."""
    draft, named, made = signed.issuance.draft, signed.issuance.named, signed.stamp
    draws: dict[int, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for drawn, received in zip_longest(signed.issuance.draws, signed.received):
        lot, mass_g = drawn.draw.lot, drawn.draw.mass_g
        certificates = written.certificates.get((signed.ticket_id, drawn.line_no, lot.id), ())
        told = {
            "lot": lot.public_id,
            "mass_g": mass_g,
            "accepted_g": None if received is None else mass_g,
            "received_lot": None if received is None else received.public_id,
            "returned_lot": None,
            "certificates": [papers[id_] for id_ in sorted(certificates)],
        }
        draws[drawn.line_no].append((lot.id, told))
    return SimpleNamespace(
        ticket=draft.public_id,
        kind=signed.issuance.kind,
        status=TicketStatus.ISSUED,
        code=made.code,
        token=made.token,
        seller=draft.seller.public_id,
        seller_name=named.seller_name,
        buyer=draft.buyer,
        buyer_name=named.buyer_name,
        buyer_kind=named.buyer_kind,
        hand_over=draft.hand_over,
        market=draft.market,
        stall=draft.stall,
        sold_at=draft.sold_at.astimezone(UTC),
        device_at=None if draft.device_at is None else draft.device_at.astimezone(UTC),
        issued_at=now.astimezone(UTC),
        expires_at=made.expires_at.astimezone(UTC),
        mass_g=sum(line.mass_g for line in draft.lines),
        lines=[
            {
                "no": no,
                "product": line.product_id,
                "trade_name": line.trade_name,
                "quantity": line.quantity,
                "unit": line.unit,
                "pack_net_g": line.pack_net_g,
                "mass_g": line.mass_g,
                "pieces": line.pieces,
                "price_fen": line.price_fen,
                "price_unit": line.price_unit,
                "draws": [told for _, told in sorted(draws[no], key=itemgetter(0))],
            }
            for no, line in enumerate(draft.lines, start=1)
        ],
        plate=draft.plate,
        note=draft.note,
        documents=draft.documents,
        corrects=draft.corrects,
        decided_at=None,
        voided_at=None,
        reason=None,
        evidence=None,
    )


async def photo(
    session: AsyncSession, public_id: UUID, evidence: UUID, caller: Caller, *, base_url: str
) -> Evidence:
    """Find a photo that a ticket's buyer showed, for anybody who may see the ticket.

    Raises:
        UnknownTicket, OtherParty: see `read`.
        UnknownEvidence: it was not shown with this ticket.
    """
    ticket = await read(session, public_id, caller, base_url=base_url)
    check_found({shown.evidence for shown in ticket.evidence}, [evidence])
    return await evidences.by_public_id(session, evidence)


def _answers_for(row: Any, caller: Caller) -> bool:
    """Whether a market or an office answers for where the ticket was made out."""
    if row.market is None:
        return may_supervise(caller, row.seller_division)
    runs_it = Audience.MARKET in caller.audiences and row.market_party == caller.party_id
    return runs_it or may_supervise(caller, row.market_division)


async def own(
    session: AsyncSession,
    caller: Caller,
    *,
    side: Side,
    before: datetime | None,
    most: int,
    base_url: str,
) -> list[TicketOut]:
    """List the tickets that the caller's party sold or bought on, newest first."""
    rows = await fetch(
        session, _READ_OWN[side], {"party": caller.acting_party, "before": before, "most": most}
    )
    catalogue = await products.catalogue(session)
    return [_ticket(row, catalogue, base_url=base_url, with_prices=True) for row in rows]


def _ticket(row: Any, catalogue: Catalogue, *, base_url: str, with_prices: bool) -> TicketOut:
    return TicketOut.model_validate(
        _told(row, catalogue, base_url=base_url, with_prices=with_prices)
    )


def _told(row: Any, catalogue: Catalogue, *, base_url: str, with_prices: bool) -> dict[str, Any]:
    """Tell a ticket, member by member as `TicketOut` has them."""
    return {
        "ticket": row.ticket,
        "kind": row.kind,
        "status": row.status,
        "code": row.code,
        "url": token.url(base_url, row.token),
        "seller": {"party": row.seller, "name": row.seller_name},
        "buyer": None if row.buyer is None else {"party": row.buyer, "name": row.buyer_name},
        "buyer_kind": row.buyer_kind,
        "hand_over": row.hand_over,
        "market": row.market,
        "stall": row.stall,
        "sold_at": row.sold_at,
        "device_at": row.device_at,
        "issued_at": row.issued_at,
        "expires_at": row.expires_at,
        "mass_g": row.mass_g,
        "mass": _spelled(row.mass_g),
        "lines": [_line(line, catalogue, with_prices=with_prices) for line in row.lines],
        "plate": row.plate,
        "note": row.note,
        "documents": row.documents,
        "corrects": row.corrects,
        "decided_at": row.decided_at,
        "voided_at": row.voided_at,
        "reason": row.reason,
        "evidence": row.evidence or [],
        "claim_code": None,
    }


def _spelled(mass_g: int) -> dict[str, str]:
    spelled = spell_mass(mass_g)
    return {"zh": spelled.zh, "en": spelled.en}


# JSON of the database comes back in an order of its own.
_DRAW = tuple(DrawOut.model_fields)


def _line(line: dict[str, Any], catalogue: Catalogue, *, with_prices: bool) -> dict[str, Any]:
    return {
        "no": line["no"],
        "product": line["product"],
        "product_name": catalogue.product(line["product"]).name,
        "trade_name": line["trade_name"],
        "quantity": f"{Decimal(line['quantity']).normalize():f}",
        "unit": line["unit"],
        "pack_net_g": line["pack_net_g"],
        "mass_g": line["mass_g"],
        "mass": _spelled(line["mass_g"]),
        "pieces": line["pieces"],
        "price_fen": line["price_fen"] if with_prices else None,
        "price_unit": line["price_unit"] if with_prices else None,
        "draws": [{name: draw[name] for name in _DRAW} for draw in line["draws"]],
    }
