"""Writes a ticket that may be issued: rows, balances, event and log entry in one statement."""

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.event import service as events
from app.event.rules import EventKind
from app.event.service import Happening
from app.lot import service as lots
from app.lot.service import LotDraft, Withdrawal
from app.signing.stamp import Stamp
from app.ticket.drafts import Circumstances, LineDraft, Named, TicketDraft
from app.ticket.rules import (
    LineDraw,
    TicketKind,
)
from app.transparency import service as transparency
from app.transparency.service import Statement


def stored_kind(draft: TicketDraft, line_draws: Sequence[LineDraw]) -> TicketKind:
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


async def write(
    session: AsyncSession,
    draft: TicketDraft,
    named: Named,
    line_draws: Sequence[LineDraw],
    withdrawal: Withdrawal,
    made: Stamp,
    statement: Statement,
    *,
    around: Circumstances,
) -> int:
    """Write a ticket that the rules let pass; answer the id of its event."""
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
    named: Named,
    line_draws: Sequence[LineDraw],
    made: Stamp,
    around: Circumstances,
) -> dict[str, Any]:
    return {
        "id": named.next_id,
        "public_id": draft.public_id,
        "digest": draft.digest,
        "kind": stored_kind(draft, line_draws),
        "code": made.code,
        "serial": around.serial,
        "kid": made.kid,
        "token": made.token,
        "seller_id": draft.seller.party_id,
        "buyer_id": named.buyer_id,
        "buyer_kind": named.buyer_kind,
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


def statement_of(
    draft: TicketDraft,
    named: Named,
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
        "ticket_kind": stored_kind(draft, line_draws),
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
