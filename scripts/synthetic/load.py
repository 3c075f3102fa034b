"""Writes a year into the tables, by COPY."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import asyncpg

from app.signing import shortcode
from synthetic.honest import on
from synthetic.world import BEGIN, Certificate, Lot, Party, Scan, Site, Ticket, World

SINCE = on(BEGIN) - timedelta(days=400)
TICKET_LASTS = timedelta(hours=96)
NO_BYTES = b""

# In quotes: the class is generic for type checkers only.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Records = Iterable[Sequence[Any]]


def _id(row: Any) -> int | None:
    return None if row is None else int(row.id)


async def load(connection: Connection, world: World) -> None:
    """Write all rows of a year; the tables are those of an installed, empty database."""
    world.number()
    # COPY is binary, where JSONB is its text behind a version number.
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda data: json.loads(data[1:]),
        schema="pg_catalog",
        format="binary",
    )
    async with connection.transaction():
        for table, columns, records in _tables(world):
            await connection.copy_records_to_table(table, columns=columns.split(), records=records)
    await connection.execute("ANALYZE")


def _tables(world: World) -> Iterable[tuple[str, str, Records]]:
    def by_id(rows: Iterable[Any]) -> list[Any]:
        return sorted(rows, key=lambda row: row.id)

    yield (
        "party",
        "id public_id form name status phone_index division_code commit_salt created_at",
        (_party(row) for row in by_id(world.parties)),
    )
    yield (
        "party_role",
        "party_id kind valid_from",
        ((row.id, row.role, SINCE) for row in world.parties),
    )
    yield (
        "place",
        "id public_id kind name parent_id party_id division_code area_m2 geometry valid_from",
        (_place(row) for row in sorted(by_id(world.sites), key=lambda row: row.parent is not None)),
    )
    yield (
        "lot",
        (
            "id public_id digest product_id holder_id producer_id mixed origin mass_g quantity "
            "unit "
            "division_code plot_id made_on certificate_ids documents created_at"
        ),
        (_lot(row) for row in by_id(world.lots)),
    )
    yield (
        "lot_edge",
        "dst src mass_g proof event_id occurred_at",
        (
            (row.id, parent.id, row.mass_g, 2, 0, row.recorded_at)
            for row in world.lots
            for parent in row.parents
        ),
    )
    yield (
        "certificate",
        (
            "id public_id digest kind form_edition code serial kid token lot_id issuer_id "
            "product_id "
            "mass_g quantity unit division_code bases issued_on issued_at expires_at"
        ),
        (_certificate(row) for row in by_id(world.certificates)),
    )
    yield (
        "certificate_void",
        "certificate_id reason voided_at",
        ((row.id, "mistyped", row.recorded_at) for row in world.certificates if row.voided),
    )
    yield from _ticket_tables(by_id(world.tickets))
    yield (
        "scan",
        (
            "id public_id digest party_id place_id kind code ticket_id decision findings "
            "scanned_at "
            "device_at"
        ),
        (_scan(row) for row in by_id(world.scans)),
    )
    yield from _further_tables(world)


def _ticket_tables(tickets: list[Ticket]) -> Iterable[tuple[str, str, Records]]:
    yield (
        "ticket",
        (
            "id public_id digest kind code serial kid token seller_id buyer_id buyer_kind "
            "hand_over "
            "market_id sold_at issued_at expires_at mass_g documents"
        ),
        (_ticket(row) for row in tickets),
    )
    yield (
        "ticket_line",
        "ticket_id no product_id trade_name quantity unit mass_g",
        ((t.id, 1, t.lot.product, "", t.mass_g, "克", t.mass_g) for t in tickets if t.lot),
    )
    yield (
        "ticket_draw",
        "ticket_id line_no lot_id mass_g cover_g certificate_ids",
        (
            # A ticket names the certificates that its lot had by then.
            (t.id, 1, t.lot.id, t.mass_g, 0, _known_by(t))
            for t in tickets
            if t.lot
        ),
    )
    yield (
        "ticket_state",
        "ticket_id status decided_at voided_at reason",
        (_state(row) for row in tickets),
    )
    yield (
        "ticket_receipt",
        "ticket_id line_no lot_id accepted_g received_lot_id",
        (
            (t.id, 1, t.lot.id, t.accepted_g, t.received.id)
            for t in tickets
            if t.received is not None and t.lot
        ),
    )


def _known_by(ticket: Ticket) -> list[int]:
    assert ticket.lot is not None, "every ticket is of a lot"
    return [c.id for c in ticket.lot.certificates if c.recorded_at <= ticket.recorded_at]


def _further_tables(world: World) -> Iterable[tuple[str, str, Records]]:
    yield (
        "treatment",
        (
            "id public_id digest plot_id party_id product_id substance dose label_days "
            "applied_at "
            "applied_on recorded_at"
        ),
        (
            (
                row.id,
                row.public_id,
                NO_BYTES,
                _id(row.plot),
                _id(row.plot.owner if row.plot else None),
                row.product,
                row.substance,
                "20 克/亩",
                row.label_days,
                row.applied_at,
                on(row.applied_at),
                row.recorded_at,
            )
            for row in sorted(world.treatments, key=lambda row: row.id)
        ),
    )
    yield (
        "hold",
        (
            "id public_id digest lot_id placed_by cause reason placed_at released_by "
            "release_reason "
            "released_at"
        ),
        (
            (
                row.id,
                row.public_id,
                NO_BYTES,
                _id(row.lot),
                _id(row.by),
                "order",
                "suspect",
                row.recorded_at,
                None if row.released_at is None else _id(row.by),
                None if row.released_at is None else "clear",
                row.released_at,
            )
            for row in world.holds
        ),
    )
    counts: dict[tuple[int, Any], int] = {}
    for serial, hour, views in world.views:
        counts[serial, hour] = counts.get((serial, hour), 0) + views
    yield (
        "public_views",
        "serial hour_at views",
        sorted(
            ((serial, hour, views) for (serial, hour), views in counts.items()),
            key=lambda row: row[1],
        ),
    )
    yield (
        "test_week",
        "product_id county_code week_on tests failures",
        sorted(world.weeks, key=lambda row: (row[2], row[0], row[1])),
    )


def _party(row: Party) -> Sequence[Any]:
    return (
        row.id,
        row.public_id,
        "natural",
        f"虚构{row.id}",
        "active",
        row.phone,
        row.county,
        NO_BYTES,
        row.recorded_at,
    )


def _place(row: Site) -> Sequence[Any]:
    latitude, longitude = row.true_spot
    point = {"type": "Point", "coordinates": [round(longitude, 5), round(latitude, 5)]}
    return (
        row.id,
        row.public_id,
        row.kind,
        f"虚构{row.id}",
        _id(row.parent),
        _id(row.owner),
        row.county,
        row.area_m2,
        point if row.mapped else None,
        SINCE,
    )


def _lot(row: Lot) -> Sequence[Any]:
    return (
        row.id,
        row.public_id,
        NO_BYTES,
        row.product,
        _id(row.holder),
        _id(row.producer),
        False,
        row.origin,
        row.mass_g,
        row.mass_g,
        "克",
        row.producer.county if row.producer else None,
        _id(row.plot),
        row.made_on,
        [c.id for c in row.certificates],
        row.documents,
        row.recorded_at,
    )


def _certificate(row: Certificate) -> Sequence[Any]:
    lot = row.lot
    assert lot is not None, "every certificate is of a lot"
    return (
        row.id,
        row.public_id,
        NO_BYTES,
        "conformity_producer",
        "2026",
        shortcode.encode(row.serial),
        row.serial,
        1,
        "",
        lot.id,
        _id(lot.producer),
        lot.product,
        row.mass_g,
        row.mass_g,
        "克",
        None,
        ["self_tested"],
        on(row.issued_at),
        row.issued_at,
        row.issued_at + timedelta(days=30),
    )


def _ticket(row: Ticket) -> Sequence[Any]:
    return (
        row.id,
        row.public_id,
        NO_BYTES,
        row.kind,
        shortcode.encode(row.serial),
        row.serial,
        1,
        "",
        _id(row.seller),
        _id(row.buyer),
        "walk_in" if row.buyer is None else "registered",
        "one_sided" if row.buyer is None else "two_sided",
        _id(row.market),
        row.sold_at,
        row.recorded_at,
        row.recorded_at + TICKET_LASTS,
        row.mass_g,
        [],
    )


def _state(row: Ticket) -> Sequence[Any]:
    voided = row.status == "voided"
    return (
        row.id,
        row.status,
        row.decided_at,
        row.recorded_at + timedelta(minutes=2) if voided else None,
        "mistyped" if voided else None,
    )


def _scan(row: Scan) -> Sequence[Any]:
    return (
        row.id,
        row.public_id,
        NO_BYTES,
        _id(row.by),
        _id(row.at),
        "short_code" if row.ticket else "token",
        row.code,
        _id(row.ticket),
        row.decision,
        [{"code": code, "facts": {}, "source": ""} for code in row.findings],
        row.recorded_at,
        row.device_at,
    )
