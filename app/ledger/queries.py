"""Reads ledgers out of tickets: entries in order, a page at a time, and their totals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.ledger.rules import Entry, LedgerKind, Mark, Month, Standing


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as the books have it, with internal ids.

    Attributes:
        issued_g: What the ticket says.
        accepted_g: What the other side took; None while it has not decided.
        division_codes: Origins of the goods; empty where they are mixed of several.
        producer_ids: Who produced them, as far as a lot names one producer.
        papers: Certificates and documents, as `{kind, number}`.
    """

    mark: Mark
    entry: Entry
    standing: Standing
    code: str | None
    corrects: str | None
    partner_id: int | None
    market_id: int | None
    stall_id: int | None
    product_id: int
    trade_name: str
    quantity: Decimal
    unit: str
    issued_g: int
    accepted_g: int | None
    pieces: int | None
    price_fen: int | None
    price_unit: str | None
    decided_at: datetime | None
    reason: str | None
    division_codes: Sequence[str]
    producer_ids: Sequence[int]
    papers: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sum:
    """Entries of one sort, added up."""

    entry: Entry
    standing: Standing
    entries: int
    issued_g: int
    accepted_g: int


# The keys of a month's entries: the ticket's lines from one side, its returns, and what came in
# without a ticket. A transfer within one party is neither a purchase nor a sale.
_TICKETS = """
    SELECT t.sold_at AS at, 1 AS source, t.id, l.no, CAST(:entry AS text) AS entry
    FROM ticket t JOIN ticket_line l ON l.ticket_id = t.id
    WHERE t.{own} = :party AND t.kind IN ('origin', 'sale')
        AND t.sold_at >= :start_at AND t.sold_at < :end_at
    UNION ALL
    SELECT t.sold_at, 1, t.id, l.no, CAST(:back AS text)
    FROM ticket t JOIN ticket_line l ON l.ticket_id = t.id
    WHERE t.{other} = :party AND t.kind = 'return'
        AND t.sold_at >= :start_at AND t.sold_at < :end_at
"""
_DECLARED = """
    UNION ALL
    SELECT d.created_at, 2, d.id, 1, 'declared'
    FROM lot d
    WHERE d.holder_id = :party AND d.origin = 'declare'
        AND d.producer_id IS DISTINCT FROM d.holder_id
        AND d.created_at >= :start_at AND d.created_at < :end_at
"""
_KEYS = {
    LedgerKind.PURCHASES: _TICKETS.format(own="buyer_id", other="seller_id") + _DECLARED,
    LedgerKind.SALES: _TICKETS.format(own="seller_id", other="buyer_id"),
}
_ENTRIES = {
    LedgerKind.PURCHASES: (Entry.PURCHASE, Entry.RETURNED_TO_SUPPLIER),
    LedgerKind.SALES: (Entry.SALE, Entry.RETURNED_BY_BUYER),
}
_STANDING = """
    CASE
        WHEN k.source = 2 THEN 'declared'
        WHEN s.status <> 'issued' THEN s.status
        WHEN t.hand_over = 'one_sided' THEN 'claimed'
        ELSE 'pending'
    END
"""
# A two-sided ticket that was voided or that waits has no receipts: the one counts nothing, of the
# other nothing is known.
_ACCEPTED = """
    CASE
        WHEN k.source = 2 THEN o.mass_g
        WHEN s.status = 'issued' AND t.hand_over = 'two_sided' THEN NULL
        ELSE coalesce((
            SELECT sum(r.accepted_g) FROM ticket_receipt r
            WHERE r.ticket_id = k.id AND r.line_no = k.no
        ), 0)
    END
"""
_JOINS = """
    LEFT JOIN ticket t ON k.source = 1 AND t.id = k.id
    LEFT JOIN ticket_state s ON s.ticket_id = t.id
    LEFT JOIN ticket_line l ON l.ticket_id = t.id AND l.no = k.no
    LEFT JOIN lot o ON k.source = 2 AND o.id = k.id
"""
_PAGE = {
    kind: text(f"""
        WITH k AS MATERIALIZED (
            SELECT * FROM ({keys}) every_key
            WHERE (at, source, id, no) > (:after_at, :after_source, :after_id, :after_no)
            ORDER BY at, source, id, no LIMIT :most OFFSET :skip
        )
        SELECT k.at, k.source, k.id, k.no, k.entry, {_STANDING} AS standing,
            t.code, corrected.code AS corrects,
            CASE
                WHEN k.source = 2 THEN o.producer_id
                WHEN t.seller_id = :party THEN t.buyer_id
                ELSE t.seller_id
            END AS partner_id,
            t.market_id, t.stall_id,
            coalesce(l.product_id, o.product_id) AS product_id,
            coalesce(l.trade_name, '') AS trade_name,
            coalesce(l.quantity, o.quantity) AS quantity, coalesce(l.unit, o.unit) AS unit,
            coalesce(l.mass_g, o.mass_g) AS issued_g, {_ACCEPTED} AS accepted_g,
            coalesce(l.pieces, o.pieces) AS pieces, l.price_fen, l.price_unit,
            s.decided_at, s.reason,
            coalesce(goods.division_codes, ARRAY_REMOVE(ARRAY[o.division_code], NULL), '{{}}')
                AS division_codes,
            coalesce(goods.producer_ids, ARRAY_REMOVE(ARRAY[o.producer_id], NULL), '{{}}')
                AS producer_ids,
            coalesce(papers.named, '[]') || coalesce(t.documents, o.documents, '[]')
                || coalesce(goods.documents, '[]') AS papers
        FROM k {_JOINS}
        LEFT JOIN ticket corrected ON corrected.id = t.corrects_id
        LEFT JOIN LATERAL (
            SELECT
                CASE WHEN bool_and(drawn.division_code IS NOT NULL)
                    THEN array_agg(DISTINCT drawn.division_code) END AS division_codes,
                CASE WHEN bool_and(drawn.producer_id IS NOT NULL)
                    THEN array_agg(DISTINCT drawn.producer_id) END AS producer_ids,
                (SELECT jsonb_agg(DISTINCT paper) FROM (
                    SELECT jsonb_array_elements(lot.documents) AS paper
                    FROM ticket_draw own JOIN lot ON lot.id = own.lot_id
                    WHERE own.ticket_id = k.id AND own.line_no = k.no
                ) every_paper) AS documents
            FROM ticket_draw d JOIN lot drawn ON drawn.id = d.lot_id
            WHERE k.source = 1 AND d.ticket_id = k.id AND d.line_no = k.no
        ) goods ON true
        LEFT JOIN LATERAL (
            SELECT jsonb_agg(DISTINCT jsonb_build_object('kind', c.kind, 'number', c.code)) AS named
            FROM certificate c
            WHERE c.id = ANY (coalesce(
                o.certificate_ids,
                ARRAY(
                    SELECT unnest(d.certificate_ids) FROM ticket_draw d
                    WHERE d.ticket_id = k.id AND d.line_no = k.no
                )
            ))
        ) papers ON true
        ORDER BY k.at, k.source, k.id, k.no
    """)  # noqa: S608 (constants)
    for kind, keys in _KEYS.items()
}
_SUMS = {
    kind: text(f"""
        SELECT entry, standing, count(*) AS entries, sum(issued_g) AS issued_g,
            coalesce(sum(accepted_g), 0) AS accepted_g
        FROM (
            SELECT k.entry, {_STANDING} AS standing, coalesce(l.mass_g, o.mass_g) AS issued_g,
                {_ACCEPTED} AS accepted_g
            FROM ({keys}) k {_JOINS}
        ) every_entry
        GROUP BY entry, standing ORDER BY entry, standing
    """)  # noqa: S608 (constants)
    for kind, keys in _KEYS.items()
}


def _parameters(kind: LedgerKind, party_id: int, month: Month) -> dict[str, Any]:
    entry, back = _ENTRIES[kind]
    return {
        "party": party_id,
        "entry": entry,
        "back": back,
        "start_at": month.start_at,
        "end_at": month.end_at,
    }


async def page(
    session: AsyncSession,
    kind: LedgerKind,
    party_id: int,
    month: Month,
    *,
    after: Mark | None,
    most: int,
    skip: int = 0,
) -> list[Found]:
    """Read a month's entries in order, from one of them on.

    Args:
        session: The transaction.
        kind: Which ledger.
        party_id: Whose.
        month: Which month.
        after: The last entry of the page before.
        most: How many entries at most.
        skip: How many to leave out first, for whoever opens a volume in the middle.
    """
    parameters = _parameters(kind, party_id, month)
    mark = after or Mark(month.start_at, 0, 0, 0)
    # What lies before the mark need not be looked at; nothing outside the month ever is.
    parameters["start_at"] = max(month.start_at, mark.at)
    rows = await session.execute(
        _PAGE[kind],
        {
            **parameters,
            "after_at": mark.at,
            "after_source": mark.source,
            "after_id": mark.id,
            "after_no": mark.no,
            "most": most,
            "skip": skip,
        },
    )
    return [_found(row) for row in rows]


def _found(row: Any) -> Found:
    at, source, public_id, no, entry, standing, *others = row
    names = list(row._fields)[6:]
    values = dict(zip(names, others, strict=True))
    values["issued_g"] = int(values["issued_g"])
    if values["accepted_g"] is not None:
        values["accepted_g"] = int(values["accepted_g"])
    return Found(
        mark=Mark(at, source, public_id, no),
        entry=Entry(entry),
        standing=Standing(standing),
        **values,
    )


async def sums(session: AsyncSession, kind: LedgerKind, party_id: int, month: Month) -> list[Sum]:
    """Add a month's entries up, by what they are and what became of them."""
    rows = await session.execute(_SUMS[kind], _parameters(kind, party_id, month))
    return [
        Sum(
            Entry(row.entry),
            Standing(row.standing),
            int(row.entries),
            int(row.issued_g),
            int(row.accepted_g),
        )
        for row in rows
    ]


# Every word that the evidence of a warning consists of, by its key, and what it is about: its goods
# and documents are named there. Nobody has handled it while it is open.
_WARNED = """
    SELECT '' AS key, split_part(w.subject, ':', 2) AS word FROM warning w WHERE w.state = 'open'
    UNION
    SELECT e.key, v.word #>> '{}' FROM warning w
    CROSS JOIN jsonb_each(w.evidence) e CROSS JOIN jsonb_path_query(e.value, '$[*]') v (word)
    WHERE w.state = 'open'
"""
_AS_ID = "CASE WHEN pg_input_is_valid(w.word, 'uuid') THEN CAST(w.word AS uuid) END"
# Goods of open holds, of open recalls, of failures that no office has dealt with to the end
# (核查处置), held still or not, of questions between offices that nobody has answered, and of
# warnings that nobody has handled, and whatever went into them; what they went into is younger than
# they are, and so is all of a recall's scope beyond what was found and its sources. An exercise
# needs nothing: whoever never ends one could else keep names from being erased.
_HELD_SINCE = text(f"""
    WITH RECURSIVE needed AS (
        SELECT h.lot_id FROM hold h WHERE h.released_at IS NULL
        UNION
        SELECT s.lot_id FROM recall_lot s JOIN recall r ON r.id = s.recall_id
        WHERE r.closed_at IS NULL AND NOT r.mock AND s.relation IN ('found', 'source')
        UNION
        SELECT s.lot_id FROM deadline d JOIN sample s ON s.id = d.sample_id
        WHERE d.kind = 'handling_finish' AND d.done_at IS NULL
        UNION
        SELECT f.lot_id FROM referral f WHERE f.answered_at IS NULL AND f.withdrawn_at IS NULL
        UNION
        SELECT l.id FROM ({_WARNED}) w JOIN lot l ON l.public_id = {_AS_ID}
        UNION
        SELECT e.src FROM lot_edge e JOIN needed n ON n.lot_id = e.dst
    )
    SELECT min(l.created_at) FROM lot l JOIN needed n ON n.lot_id = l.id
""")  # noqa: S608 (constants)


async def held_since(session: AsyncSession) -> datetime | None:
    """Answer when the oldest goods came into being that something open is about, if any."""
    found: datetime | None = await session.scalar(_HELD_SINCE)
    return found


# A case asks what somebody did at a gate, a report what somebody sold, a warning about its day, the
# documents and moments of its evidence, and the season that it adds up. Days begin in Nantong.
_DAY = "CAST({} AS timestamp) AT TIME ZONE 'Asia/Shanghai'"
_ASKED_SINCE = text(f"""
    SELECT min(at) FROM (
        SELECT min(i.inspected_at) AS at FROM gate_case c
        JOIN inspection_line l ON l.id = c.line_id JOIN inspection i ON i.id = l.inspection_id
        WHERE c.state = 'open'
        UNION ALL
        SELECT min(coalesce(t.issued_at, c.issued_at)) FROM report r
        LEFT JOIN ticket t ON t.public_id = r.document
        LEFT JOIN certificate c ON c.public_id = r.document
        WHERE r.state <> 'answered'
        UNION ALL
        SELECT min({_DAY.format("occurred_on - coalesce((evidence ->> 'season_days')::int, 0)")})
        FROM warning WHERE state = 'open'
        UNION ALL
        SELECT min(CASE WHEN w.key LIKE '%\\_at' THEN CAST(w.word AS timestamptz)
            WHEN w.key LIKE '%\\_on' THEN {_DAY.format("w.word")} END)
        FROM ({_WARNED}) w
        UNION ALL
        SELECT min(least(t.sold_at, t.issued_at, c.issued_at)) FROM ({_WARNED}) w
        LEFT JOIN ticket t ON t.public_id = {_AS_ID}
        LEFT JOIN certificate c ON c.public_id = {_AS_ID}
    ) AS open
""")  # noqa: S608 (constants)


async def asked_since(session: AsyncSession) -> datetime | None:
    """Answer when the oldest deed was that an open case, report or warning asks about, if any."""
    found: datetime | None = await session.scalar(_ASKED_SINCE)
    return found


_MONTHS_AT_HAND = text("""
    SELECT to_date(right(CAST(CAST(i.inhrelid AS regclass) AS text), 6), 'YYYYMM')
    FROM pg_inherits i
    WHERE i.inhparent = CAST(:parent AS regclass)
        AND CAST(CAST(i.inhrelid AS regclass) AS text) ~ '_[0-9]{6}$'
    ORDER BY 1
""")


async def needed_since(session: AsyncSession) -> datetime | None:
    """Answer from when on something is needed by whatever is open, be it a hold or a warning."""
    asked = (await held_since(session), await asked_since(session))
    return min((at for at in asked if at is not None), default=None)


async def months_at_hand(session: AsyncSession, table: str) -> list[date]:
    """List the months of a partitioned table that are at hand, by their first day."""
    return list((await session.scalars(_MONTHS_AT_HAND, {"parent": table})).all())
