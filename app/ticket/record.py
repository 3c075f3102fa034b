"""Writes tickets that may be issued: rows, balances, events and log entries in one statement."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import directory
from app.core.db import fetch, on_cluster, prepared
from app.event import service as events
from app.event.rules import EventKind
from app.event.service import Happening
from app.lot import service as lots
from app.lot.service import Withdrawal
from app.ticket.drafts import Signed, Written
from app.ticket.service import DIRECTORY_KIND
from app.transparency import service as transparency
from app.transparency.service import Statement

# Balances, tickets, lines, draws, states, events and log entries in one round trip, for one ticket
# or for hundreds: what is held locked is held for as long as this statement takes (performance.md:
# round trips are the cost). JSON carries the rows, so that there are few parameters to prepare.
_TICKETS = """
    INSERT INTO ticket (
        id, public_id, digest, kind, code, serial, kid, token, seller_id, buyer_id, buyer_kind,
        hand_over, market_id, stall_id, sold_at, device_at, issued_at, expires_at, mass_g,
        plate, note, documents, corrects_id
    )
    SELECT id, public_id, digest, kind, code, serial, kid, token, seller_id, buyer_id,
        buyer_kind, hand_over, market_id, stall_id, sold_at, device_at, issued_at, expires_at,
        mass_g, plate, note, documents, corrects_id
    FROM jsonb_to_recordset(CAST(:tickets AS jsonb)) AS t (
        id bigint, public_id uuid, digest bytea, kind text, code text, serial bigint,
        kid bigint, token text, seller_id bigint, buyer_id bigint, buyer_kind text,
        hand_over text, market_id bigint, stall_id bigint, sold_at timestamptz,
        device_at timestamptz, issued_at timestamptz, expires_at timestamptz, mass_g bigint,
        plate text, note text, documents jsonb, corrects_id bigint
    )
"""
_LINES = """
    INSERT INTO ticket_line (
        ticket_id, no, product_id, trade_name, quantity, unit, pack_net_g, mass_g, pieces,
        price_fen, price_unit
    )
    SELECT ticket_id, no, product_id, trade_name, quantity, unit, pack_net_g, mass_g, pieces,
        price_fen, price_unit
    FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS l (
        ticket_id bigint, no smallint, product_id bigint, trade_name text, quantity numeric,
        unit text, pack_net_g bigint, mass_g bigint, pieces bigint, price_fen bigint,
        price_unit text
    )
"""
_DRAWS = """
    INSERT INTO ticket_draw (
        ticket_id, line_no, lot_id, mass_g, pieces, cover_g, certificate_ids
    )
    SELECT d.ticket_id, d.line_no, d.lot_id, d.mass_g, d.pieces, d.cover_g, l.certificate_ids
    FROM unnest(
        CAST(:td_ticket AS bigint[]), CAST(:td_line AS smallint[]), CAST(:td_lot AS bigint[]),
        CAST(:td_mass AS bigint[]), CAST(:td_pieces AS bigint[]), CAST(:td_cover AS bigint[])
    ) AS d (ticket_id, line_no, lot_id, mass_g, pieces, cover_g)
    JOIN lot l ON l.id = d.lot_id
    RETURNING ticket_id, line_no, lot_id, certificate_ids
"""
_STATES = """
    INSERT INTO ticket_state (ticket_id, status)
    SELECT unnest(CAST(:ticket_ids AS bigint[])), 'issued'
"""
_WRITE = prepared(f"""
    WITH drawn AS ({lots.DRAW_SQL}),
    new_ticket AS ({_TICKETS}),
    new_line AS ({_LINES}),
    new_draw AS ({_DRAWS}),
    new_state AS ({_STATES}),
    new_event AS ({events.RECORD_SQL}),
    new_entry AS ({transparency.APPEND_SQL})
    SELECT (SELECT count(*) FROM drawn) AS drawn, id, public_id,
        NULL::bigint AS ticket_id, NULL::smallint AS line_no, NULL::bigint AS lot_id,
        NULL::bigint[] AS certificate_ids
    FROM new_event
    UNION ALL
    SELECT NULL, NULL, NULL, ticket_id, line_no, lot_id, certificate_ids
    FROM new_draw WHERE certificate_ids <> '{{}}'
""")  # noqa: S608 (constants)
# Where a cluster spreads the tables, the rows of one ticket lie on several nodes, and a statement
# writes one table. A line refers to its ticket, and a draw to its line.
_DRAW = text(lots.DRAW_SQL)
_RECORD = text(events.RECORD_SQL)
_PUT_DRAWS = text(_DRAWS)
_BEFORE, _AFTER = (
    [text(part) for part in parts]
    for parts in ((_TICKETS, _LINES), (_STATES, transparency.APPEND_SQL))
)


async def write(session: AsyncSession, signed: Sequence[Signed], *, now: datetime) -> Written:
    """Write tickets that the rules let pass."""
    total = Withdrawal()
    for one in signed:
        total.include(one.issuance.withdrawal)
    values = {
        "tickets": _json(_ticket(one, now) for one in signed),
        "lines": _json(line for one in signed for line in _lines(one)),
        "ticket_ids": [one.ticket_id for one in signed],
        **total.parameters(),
        **_draws(signed),
        **events.parameters([_happening(one) for one in signed], now=now),
        **transparency.parameters([_statement(one) for one in signed], now=now),
    }
    if on_cluster(session):
        return await _write_one_by_one(session, signed, values, drawn=len(total))
    rows = await fetch(session, _WRITE, values)
    event_ids: dict[UUID, int] = {}
    certified: list[Any] = []
    for row in rows:
        if row.id is None:
            certified.append(row)
            continue
        assert row.drawn == len(total), "the rules let through what the balances refuse"
        event_ids[row.public_id] = row.id
    return Written(signed, event_ids, _certificates(certified))


def _certificates(draws: Iterable[Any]) -> dict[tuple[int, int, int], Sequence[int]]:
    return {(row.ticket_id, row.line_no, row.lot_id): row.certificate_ids for row in draws}


async def _write_one_by_one(
    session: AsyncSession, signed: Sequence[Signed], values: Mapping[str, Any], *, drawn: int
) -> Written:
    """Do what `_WRITE` does, a table at a time, and enter the names that it keeps unique."""
    taken = await session.execute(_DRAW, values)
    assert len(taken.all()) == drawn, "the rules let through what the balances refuse"
    for kind, name_of in _NAMES.items():
        await directory.enter(session, kind, {name_of(one): one.ticket_id for one in signed})
    for statement in _BEFORE:
        await session.execute(statement, values)
    draws = await session.execute(_PUT_DRAWS, values)
    for statement in _AFTER:
        await session.execute(statement, values)
    rows = await session.execute(_RECORD, values)
    event_ids = {row.public_id: row.id for row in rows}
    return Written(signed, event_ids, _certificates(draws))


_NAMES: Mapping[str, Callable[[Signed], str]] = {
    DIRECTORY_KIND: lambda one: str(one.issuance.draft.public_id),
    "ticket.code": lambda one: one.stamp.code,
    "ticket.serial": lambda one: str(one.serial),
}


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return orjson.dumps(list(rows)).decode()


def _ticket(signed: Signed, now: datetime) -> dict[str, Any]:
    draft, named, made = signed.issuance.draft, signed.issuance.named, signed.stamp
    return {
        "id": signed.ticket_id,
        "public_id": draft.public_id,
        "digest": "\\x" + draft.digest.hex(),
        "kind": signed.issuance.kind,
        "code": made.code,
        "serial": signed.serial,
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
        "issued_at": now,
        "expires_at": made.expires_at,
        "mass_g": sum(line.mass_g for line in draft.lines),
        "plate": draft.plate,
        "note": draft.note,
        "documents": draft.documents,
        "corrects_id": named.corrects_id,
    }


def _lines(signed: Signed) -> Iterable[dict[str, Any]]:
    for no, line in enumerate(signed.issuance.draft.lines, start=1):
        yield {
            "ticket_id": signed.ticket_id,
            "no": no,
            "product_id": line.product_id,
            "trade_name": line.trade_name,
            "quantity": str(line.quantity),
            "unit": line.unit,
            "pack_net_g": line.pack_net_g,
            "mass_g": line.mass_g,
            "pieces": line.pieces,
            "price_fen": line.price_fen,
            "price_unit": line.price_unit,
        }


def _draws(signed: Sequence[Signed]) -> dict[str, Any]:
    drawn = [(one.ticket_id, draw) for one in signed for draw in one.issuance.draws]
    return {
        "td_ticket": [ticket_id for ticket_id, _ in drawn],
        "td_line": [draw.line_no for _, draw in drawn],
        "td_lot": [draw.draw.lot.id for _, draw in drawn],
        "td_mass": [draw.draw.mass_g for _, draw in drawn],
        "td_pieces": [draw.draw.pieces for _, draw in drawn],
        "td_cover": [draw.cover_g for _, draw in drawn],
    }


def _happening(signed: Signed) -> Happening:
    draft = signed.issuance.draft
    return Happening(
        public_id=draft.public_id,
        kind=EventKind.HAND_OVER,
        occurred_at=draft.sold_at,
        party_id=draft.seller.party_id,
        place_id=signed.issuance.named.market_id,
    )


def _statement(signed: Signed) -> Statement:
    """Write what the log keeps: everything the ticket states, persons as commitments, no prices.

    Every lot that comes into being is named, so that all balances follow from the log alone.
    """
    draft, named = signed.issuance.draft, signed.issuance.named
    drawn: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line_draw, lot in zip_longest(signed.issuance.draws, signed.received):
        drawn[line_draw.line_no].append(
            {
                "lot": str(line_draw.draw.lot.public_id),
                "mass_g": str(line_draw.draw.mass_g),
                "received": None if lot is None else str(lot.public_id),
            }
        )
    document = {
        "ticket_kind": signed.issuance.kind,
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
        "token": signed.stamp.token,
        "t": draft.sold_at.isoformat(),
        "prev_state": None,
        "next_state": "issued",
        "corrects": None if draft.corrects is None else str(draft.corrects),
    }
    return Statement("ticket.issued", draft.public_id, document)
