"""Checks the books against themselves, trusting no balance: what the worker does every night.

Everything that a row of a ticket, certificate or balance says is derived a second time from other
rows: from the log's bytes, from the signed token, from draws and edges. Nothing is repaired.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.signing import service as signing
from app.signing import shortcode, token
from app.signing.keys import Keyset, SignatureVerdict
from app.signing.token import Claims, TokenType, UnreadableError

BATCH: Final = 2_000
FAULTS_MAX: Final = 100
"""How many faults are named; all are counted."""

STATEMENT_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not add up.

    Attributes:
        kind: What it is about: `ticket`, `certificate` or `lot`.
        subject: Its public id.
        finding: What is wrong with it.
    """

    kind: str
    subject: UUID
    finding: str


@dataclass(slots=True)
class Report:
    """How much was checked, and what does not add up."""

    checked: dict[str, int] = field(
        default_factory=lambda: {"tickets": 0, "certificates": 0, "lots": 0}
    )
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Count a fault, and name it unless too many are named already."""
        self.fault_count += 1
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(fault)

    def counts(self) -> dict[str, int]:
        """Answer the numbers, for a log line."""
        return {**self.checked, "faults": self.fault_count}


# A statement sees one state of the books, and a batch is one statement: hand-overs that go on
# meanwhile are in it whole or not at all.
_TICKETS = text("""
    SELECT t.id, t.public_id, t.token, t.code, t.serial, t.kid, t.mass_g, t.seller_id AS issuer_id,
        t.issued_at AS signed_at, t.expires_at, t.id AS status_index,
        (SELECT CASE WHEN count(DISTINCT l.product_id) = 1 THEN min(l.product_id) ELSE 0 END
         FROM ticket_line l WHERE l.ticket_id = t.id) AS product,
        ARRAY(SELECT e.leaf FROM entry e
              WHERE e.subject = t.public_id AND e.kind = 'ticket.issued') AS leaves,
        (SELECT count(*) FROM ticket_state s WHERE s.ticket_id = t.id) AS states,
        (SELECT sum(l.mass_g) FROM ticket_line l WHERE l.ticket_id = t.id) AS lines_g,
        NOT EXISTS (
            SELECT FROM ticket_line l
            LEFT JOIN ticket_draw d ON d.ticket_id = l.ticket_id AND d.line_no = l.no
            WHERE l.ticket_id = t.id
            GROUP BY l.no, l.mass_g HAVING l.mass_g IS DISTINCT FROM sum(d.mass_g)
        ) AS drawn
    FROM ticket t WHERE t.id > :after ORDER BY t.id LIMIT :most
""")
_CERTIFICATES = text("""
    SELECT c.id, c.public_id, c.token, c.code, c.serial, c.kid, c.mass_g, c.issuer_id,
        c.expires_at, c.id AS status_index, c.product_id AS product,
        (SELECT min(e.appended_at) FROM entry e
         WHERE e.subject = c.public_id AND e.kind = 'certificate.issued') AS signed_at,
        ARRAY(SELECT e.leaf FROM entry e
              WHERE e.subject = c.public_id AND e.kind = 'certificate.issued') AS leaves,
        EXISTS (SELECT FROM certificate_void v WHERE v.certificate_id = c.id) AS voided,
        EXISTS (SELECT FROM entry e
                WHERE e.subject = c.public_id AND e.kind = 'certificate.voided') AS void_logged
    FROM certificate c WHERE c.id > :after ORDER BY c.id LIMIT :most
""")
# What left a lot: all that tickets drew, unless the goods never left and the ticket was voided;
# the edges that no ticket's draw explains (changes of the holder's own, goods sent back); and what
# was lost, destroyed or taken as a sample, which only the log tells. A walk-in's lot is consumed at
# once.
_LOTS = text("""
    WITH batch AS (
        SELECT l.id, l.public_id, l.mass_g, l.holder_id
        FROM lot l WHERE l.id > :after ORDER BY l.id LIMIT :most
    ), drawn AS (
        SELECT d.lot_id, sum(d.mass_g) AS mass_g
        FROM ticket_draw d
        JOIN ticket t ON t.id = d.ticket_id JOIN ticket_state s ON s.ticket_id = t.id
        WHERE d.lot_id IN (SELECT id FROM batch)
          AND NOT (s.status = 'voided' AND t.hand_over = 'two_sided')
        GROUP BY d.lot_id
    ), explained AS (
        SELECT r.lot_id AS src, made.dst
        FROM ticket_draw d
        JOIN ticket_receipt r USING (ticket_id, line_no, lot_id)
        CROSS JOIN LATERAL (VALUES (r.received_lot_id), (r.returned_lot_id)) AS made (dst)
        WHERE d.lot_id IN (SELECT id FROM batch) AND made.dst IS NOT NULL
    ), passed AS (
        SELECT e.src AS lot_id, sum(e.mass_g) AS mass_g
        FROM lot_edge e
        WHERE e.src IN (SELECT id FROM batch)
          AND NOT EXISTS (SELECT FROM explained x WHERE x.src = e.src AND x.dst = e.dst)
        GROUP BY e.src
    ), gone AS (
        SELECT CAST(i ->> 'lot' AS uuid) AS lot, sum(CAST(i ->> 'mass_g' AS bigint)) AS mass_g
        FROM lot_change c
        JOIN entry e ON e.subject = c.public_id AND e.kind = 'lot.' || c.kind
        CROSS JOIN LATERAL jsonb_array_elements(
            CAST(convert_from(e.leaf, 'UTF8') AS jsonb) -> 'inputs'
        ) AS i
        WHERE c.kind IN ('loss', 'destroy') AND c.holder_id IN (SELECT holder_id FROM batch)
        GROUP BY 1
    ), sampled AS (
        SELECT s.lot_id,
            sum(CAST(CAST(convert_from(e.leaf, 'UTF8') AS jsonb) ->> 'mass_g' AS bigint)) AS mass_g
        FROM sample s
        JOIN entry e ON e.subject = s.public_id AND e.kind = 'sample.taken'
        WHERE s.lot_id IN (SELECT id FROM batch)
        GROUP BY s.lot_id
    )
    SELECT l.id, l.public_id, l.mass_g, b.produced_g, b.remaining_g,
        l.holder_id IS NULL AS consumed, coalesce(d.mass_g, 0) AS drawn_g,
        coalesce(p.mass_g, 0) AS passed_g, coalesce(g.mass_g, 0) + coalesce(t.mass_g, 0) AS gone_g
    FROM batch l
    LEFT JOIN lot_balance b ON b.lot_id = l.id
    LEFT JOIN drawn d ON d.lot_id = l.id
    LEFT JOIN passed p ON p.lot_id = l.id
    LEFT JOIN gone g ON g.lot = l.public_id
    LEFT JOIN sampled t ON t.lot_id = l.id
    ORDER BY l.id
""")


async def audit(session: AsyncSession, *, batch: int = BATCH) -> Report:
    """Derive everything a second time, and report what differs.

    Args:
        session: A transaction of its own; nothing is written.
        batch: How many rows a statement reads.
    """
    # The server's limit is for requests, which somebody waits for.
    await session.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_S}s'"))
    report = Report()
    keyset = await signing.load_keyset(session)
    async for rows in _batches(session, _TICKETS, batch):
        report.checked["tickets"] += len(rows)
        for row in rows:
            for finding in _about_ticket(row, keyset):
                report.add(Fault("ticket", row.public_id, finding))
    async for rows in _batches(session, _CERTIFICATES, batch):
        report.checked["certificates"] += len(rows)
        for row in rows:
            for finding in _about_certificate(row, keyset):
                report.add(Fault("certificate", row.public_id, finding))
    async for rows in _batches(session, _LOTS, batch):
        report.checked["lots"] += len(rows)
        for row in rows:
            for finding in _about_lot(row):
                report.add(Fault("lot", row.public_id, finding))
    return report


async def _batches(
    session: AsyncSession, statement: TextClause, most: int
) -> AsyncIterator[Sequence[Any]]:
    after = 0
    while rows := (await session.execute(statement, {"after": after, "most": most})).all():
        yield rows
        after = rows[-1].id


def _about_ticket(row: Any, keyset: Keyset) -> Iterator[str]:
    yield from _about_statement(row, keyset, TokenType.TICKET)
    if row.states != 1:
        yield "no-state"
    if row.lines_g != row.mass_g:
        yield "lines-do-not-add-up"
    if not row.drawn:
        yield "draws-do-not-add-up"


def _about_certificate(row: Any, keyset: Keyset) -> Iterator[str]:
    yield from _about_statement(row, keyset, TokenType.ORIGIN_CERTIFICATE)
    if row.voided and not row.void_logged:
        yield "void-not-in-the-log"
    if row.void_logged and not row.voided:
        yield "voided-in-the-log-only"


def _about_statement(row: Any, keyset: Keyset, kind: TokenType) -> Iterator[str]:
    """Compare a signed row with its entry in the log and with its own token."""
    if len(row.leaves) != 1:
        yield "more-than-once-in-the-log" if row.leaves else "not-in-the-log"
    elif orjson.loads(row.leaves[0]).get("token") != row.token:
        yield "another-token-in-the-log"
    try:
        parsed = token.parse(row.token)
    except UnreadableError:
        yield "token-unreadable"
        return
    claims = parsed.claims
    signed_at = row.signed_at or claims.issued_at
    # As of when it was signed: a key that ended, or was dropped, since then was good at the time.
    if keyset.verify(parsed, signed_at) is not SignatureVerdict.VALID:
        yield "signature-invalid"
    if claims.issued_at != token.tick_floor(signed_at):
        yield "token-states-another-time"
    if claims.type is not kind or (claims.kid, claims.serial) != (row.kid, row.serial):
        yield "token-of-another-document"
    if shortcode.encode(claims.serial) != row.code:
        yield "code-does-not-fit"
    yield from _about_claims(claims, row)


def _about_claims(claims: Claims, row: Any) -> Iterator[str]:
    if claims.quantity_dg != token.quantity_dg_of(row.mass_g):
        yield "token-states-another-mass"
    if claims.product != row.product:
        yield "token-states-another-product"
    if claims.issuer != row.issuer_id or claims.status_index != row.status_index & 0xFFFFFFFF:
        yield "token-states-another-issuer"
    if claims.expires_at != row.expires_at:
        yield "token-states-another-end"


def _about_lot(row: Any) -> Iterator[str]:
    if row.produced_g is None:
        yield "no-balance"
        return
    if row.produced_g != row.mass_g:
        yield "balance-of-another-mass"
    left_g = row.mass_g - row.drawn_g - row.passed_g - row.gone_g
    if row.remaining_g != (0 if row.consumed else left_g):
        yield "balance-does-not-add-up"
