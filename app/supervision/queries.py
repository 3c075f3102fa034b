"""Reads figures from the books: one statement a rule and stream, over a window of new rows.

Each statement starts from the rows of its window and follows indexes from there, so that its cost
goes with what is new and not with what there is.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission.policy import Decision
from app.core.clock import local_date
from app.farming.rules import Interval, interval_days
from app.party.access import PRODUCERS, RoleKind
from app.supervision import rules
from app.supervision.rules import Measure, Rule, RuleCode, Spot
from app.testing.calendar import ClockKind
from app.testing.rules import GOOD, HOLDING
from app.testing.standards import clocks

IDS_SHOWN: Final = 20
"""A warning names this many tickets or lots behind it; the rest is found from them."""

_LET_IN: Final = (Decision.ADMIT, Decision.ADMIT_AFTER_TEST)
_COMPLAINED_OF: Final = ("already-accepted", "expired", "voided", "refused")
_ORGANISATIONS: Final = (RoleKind.COOP, RoleKind.AGRI_ENT, RoleKind.VILLAGE_COLLECTIVE)


class Stream(StrEnum):
    """Rows that are only ever added, in the order of their ids."""

    TICKETS = "tickets"
    LOTS = "lots"
    SCANS = "scans"
    PARTIES = "parties"
    TREATMENTS = "treatments"
    VIEWS = "views"
    STEPS = "steps"  # of samples
    WEEKS = "weeks"  # of tests
    ALL_OPEN = "all-open"  # what is open now: few rows, looked at each time


@dataclass(frozen=True, slots=True)
class Window:
    """Rows with `after` < id ≤ `upto`; those up to `settled` need not be looked at again."""

    after: int
    upto: int
    settled: int


@dataclass(frozen=True, slots=True)
class Around:
    """What measuring rests on beside the books.

    Attributes:
        rules: The rule's dated versions.
        centres: Where counties are.
        intervals: Pre-harvest intervals.
    """

    now: datetime
    rules: Sequence[Rule]
    centres: Mapping[str, Spot]
    intervals: Sequence[Interval]


Measuring = Callable[[AsyncSession, Window, Around], Awaitable[list[Measure]]]


# --- windows --------------------------------------------------------------------------------------

# A row is settled once every transaction that could still add a smaller id has ended: requests are
# cut after seconds. Counts of views grow for an hour.
_SETTLE: Final = timedelta(minutes=2)
_TABLES: Final[Mapping[Stream, tuple[str, str, timedelta]]] = MappingProxyType(
    {
        Stream.TICKETS: ("ticket", "issued_at", _SETTLE),
        Stream.LOTS: ("lot", "created_at", _SETTLE),
        Stream.SCANS: ("scan", "scanned_at", _SETTLE),
        Stream.PARTIES: ("party", "created_at", _SETTLE),
        Stream.TREATMENTS: ("treatment", "recorded_at", _SETTLE),
        Stream.VIEWS: ("public_views", "hour_at", timedelta(minutes=70)),
        Stream.STEPS: ("sample_step", "at", _SETTLE),
        Stream.WEEKS: ("test_week", "week_on", timedelta(days=15)),
    }
)
_BOUNDS: Final[Mapping[Stream, TextClause]] = MappingProxyType(
    {
        stream: text(f"""
            SELECT max(id) AS upto, min(id) FILTER (WHERE at >= :young) - 1 AS settled
            FROM (
                SELECT id, {recorded} AS at FROM {table} WHERE id > :after ORDER BY id LIMIT :most
            ) AS new_rows
        """)  # noqa: S608 (names of ours, from the table above)
        for stream, (table, recorded, _) in _TABLES.items()
    }
)


async def window(
    session: AsyncSession, stream: Stream, after: int, *, most: int, now: datetime
) -> Window | None:
    """Answer the next rows of a stream, at most so many; None where there are none."""
    if stream is Stream.ALL_OPEN:
        return Window(0, 0, 0)
    parameters = {"after": after, "most": most, "young": now - _TABLES[stream][2]}
    row = (await session.execute(_BOUNDS[stream], parameters)).one()
    if row.upto is None:
        return None
    return Window(after, row.upto, row.upto if row.settled is None else max(row.settled, after))


async def _rows(
    session: AsyncSession, statement: TextClause, window: Window, **more: Any
) -> Sequence[RowMapping]:
    bounds = {"after": window.after, "upto": window.upto}
    return (await session.execute(statement, bounds | more)).mappings().all()


def _shown(ids: Iterable[Any]) -> list[str]:
    return [str(public_id) for public_id in ids][:IDS_SHOWN]


def _where(*codes: str | None) -> tuple[str, ...]:
    return tuple(sorted({code for code in codes if code}))


def _markets(*market_ids: int | None) -> tuple[int, ...]:
    return tuple(sorted({market_id for market_id in market_ids if market_id is not None}))


# --- certificates ---------------------------------------------------------------------------------

# Kilograms count once, where they first leave the certified lot: what buyers hand on is the same
# goods. A lot that somebody declares under the certificate's number counts too, as far as it is
# more than what tickets of the same day sold to the same holder: who was given a ticket after all
# has the goods in the books twice, and not twice the goods.
_OVERSOLD = """
    WITH touched AS ({touched})
    SELECT l.public_id AS lot, l.division_code, l.made_on, p.id AS party_id,
        p.division_code AS party_division, c.certified_g, c.certificates, c.issued_at,
        coalesce(s.sold_g, 0)::bigint AS sold_g, coalesce(s.tickets, '{{}}') AS tickets, s.markets,
        coalesce(d.declared_g, 0)::bigint AS declared_g, coalesce(d.lots, '{{}}') AS declared
    FROM touched JOIN lot l ON l.id = touched.lot_id
    JOIN LATERAL (
        SELECT sum(mass_g)::bigint AS certified_g, array_agg(id) AS ids,
            array_agg(public_id) AS certificates, max(issued_at) AS issued_at,
            min(issuer_id) AS issuer_id
        FROM certificate c
        WHERE c.lot_id = l.id AND c.kind <> 'origin_proof'
            AND NOT EXISTS (SELECT 1 FROM certificate_void v WHERE v.certificate_id = c.id)
    ) c ON c.certified_g IS NOT NULL
    JOIN party p ON p.id = c.issuer_id
    LEFT JOIN LATERAL (
        SELECT sum(w.mass_g) AS sold_g, array_agg(DISTINCT t.public_id) AS tickets,
            array_agg(DISTINCT t.market_id) AS markets
        FROM ticket_draw w JOIN ticket t ON t.id = w.ticket_id
        JOIN ticket_state z ON z.ticket_id = t.id
        WHERE w.lot_id = l.id AND w.certificate_ids && c.ids AND t.kind <> 'return'
            AND z.status NOT IN ('voided', 'refused')
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT sum(greatest(h.declared_g - h.sold_g, 0)) AS declared_g,
            (SELECT array_agg(o.public_id) FROM citation x JOIN lot o ON o.id = x.lot_id
            WHERE x.certificate_id = ANY(c.ids)) AS lots
        FROM (
            SELECT sum(o.mass_g) AS declared_g, coalesce((
                SELECT sum(w.mass_g) FROM ticket_draw w JOIN ticket t ON t.id = w.ticket_id
                JOIN ticket_state z ON z.ticket_id = t.id
                WHERE w.lot_id = l.id AND w.certificate_ids && c.ids AND t.kind <> 'return'
                    AND t.buyer_id = o.holder_id AND z.status NOT IN ('voided', 'refused')
                    AND (t.sold_at AT TIME ZONE 'Asia/Shanghai')::date = o.day
            ), 0) AS sold_g
            FROM citation x JOIN LATERAL (
                SELECT e.holder_id, e.mass_g,
                    (e.created_at AT TIME ZONE 'Asia/Shanghai')::date AS day
                FROM lot e WHERE e.id = x.lot_id
            ) o ON true
            WHERE x.certificate_id = ANY(c.ids) GROUP BY o.holder_id, o.day
        ) h
    ) d ON true
    WHERE coalesce(s.sold_g, 0) + coalesce(d.declared_g, 0) > c.certified_g
"""
_OVERSOLD_BY_TICKET = text(
    _OVERSOLD.format(
        touched="""
            SELECT DISTINCT c.lot_id FROM ticket_draw w JOIN certificate c ON c.lot_id = w.lot_id
            WHERE w.ticket_id > :after AND w.ticket_id <= :upto AND c.id = ANY(w.certificate_ids)
        """
    )
)
_OVERSOLD_BY_CITATION = text(
    _OVERSOLD.format(
        touched="""
            SELECT DISTINCT c.lot_id FROM citation x JOIN certificate c ON c.id = x.certificate_id
            WHERE x.lot_id > :after AND x.lot_id <= :upto
        """
    )
)


def _oversold(statement: TextClause) -> Measuring:
    async def measure(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
        return [
            Measure(
                subject=f"lot:{row['lot']}",
                on=local_date(row["issued_at"]),
                figure=row["sold_g"] + row["declared_g"],
                facts={"certified_g": row["certified_g"]},
                evidence={
                    "certificates": _shown(row["certificates"]),
                    "certified_g": row["certified_g"],
                    "sold_g": row["sold_g"],
                    "tickets": _shown(row["tickets"]),
                    "declared_g": row["declared_g"],
                    "declared_lots": _shown(row["declared"]),
                },
                party_id=row["party_id"],
                market_ids=_markets(*(row["markets"] or ())),
                divisions=_where(row["division_code"], row["party_division"]),
            )
            for row in await _rows(session, statement, window)
        ]

    return measure


# Who types in everything in the evening writes the certificate then, too: it is late by what passed
# since its own lot was in the books.
_AFTER_SALE = text("""
    SELECT t.public_id AS ticket, t.sold_at, t.market_id, t.seller_id, s.division_code,
        max(c.issued_at) AS issued_at, array_agg(DISTINCT c.public_id) AS certificates,
        max(c.issued_at - greatest(t.sold_at, o.created_at)) AS late,
        max(o.created_at) AS lot_recorded_at
    FROM ticket t
    JOIN ticket_draw w ON w.ticket_id = t.id
    JOIN certificate c ON c.id = ANY(w.certificate_ids) AND c.issued_at > t.sold_at
    JOIN lot o ON o.id = c.lot_id
    JOIN party s ON s.id = t.seller_id
    WHERE t.id > :after AND t.id <= :upto AND t.kind <> 'return'
    GROUP BY t.id, s.id
""")


async def _after_sale(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    return [
        Measure(
            subject=f"ticket:{row['ticket']}",
            on=local_date(row["sold_at"]),
            figure=_minutes(row["late"]),
            evidence={
                "certificates": _shown(row["certificates"]),
                "sold_at": row["sold_at"].isoformat(),
                "lot_recorded_at": row["lot_recorded_at"].isoformat(),
                "certificate_at": row["issued_at"].isoformat(),
            },
            party_id=row["seller_id"],
            market_ids=_markets(row["market_id"]),
            divisions=_where(row["division_code"]),
        )
        for row in await _rows(session, _AFTER_SALE, window)
    ]


def _minutes(duration: timedelta) -> int:
    return duration // timedelta(minutes=1)


# --- plots ----------------------------------------------------------------------------------------

# One crop at a time: crops follow each other on a plot, and what each needed adds up to nothing.
_OVER_YIELD = text("""
    SELECT DISTINCT ON (p.id, period) p.public_id AS plot, p.division_code, p.area_m2, p.party_id,
        n.product_id, to_char(u.made_on, 'YYYY-"Q"Q') || ':' || n.product_id AS period, u.made_on,
        y.season_days, y.kg_per_mu_max, g.harvested_g::bigint AS harvested_g, g.lots
    FROM lot n
    JOIN place p ON p.id = n.plot_id AND p.area_m2 IS NOT NULL
    JOIN product a ON a.id = n.product_id
    CROSS JOIN LATERAL (
        SELECT b.kg_per_mu_max, CAST(b.season_days AS int) AS season_days FROM plot_yield b
        WHERE (b.product_id = n.product_id OR b.category = a.gb2763_category)
            AND b.valid_from <= n.made_on AND (b.valid_to IS NULL OR n.made_on < b.valid_to)
        ORDER BY b.product_id NULLS LAST LIMIT 1
    ) y
    -- What is recorded late belongs to seasons that end after it, too.
    CROSS JOIN LATERAL (
        SELECT DISTINCT e.made_on FROM lot e
        WHERE e.plot_id = p.id AND e.product_id = n.product_id AND e.origin = 'harvest'
            AND e.made_on >= n.made_on AND e.made_on < n.made_on + y.season_days
    ) u
    CROSS JOIN LATERAL (
        SELECT sum(o.mass_g) AS harvested_g, array_agg(o.public_id ORDER BY o.id DESC) AS lots
        FROM lot o
        WHERE o.plot_id = p.id AND o.product_id = n.product_id AND o.origin = 'harvest'
            AND o.made_on <= u.made_on AND o.made_on > u.made_on - y.season_days
    ) g
    WHERE n.id > :after AND n.id <= :upto AND n.origin = 'harvest'
    ORDER BY p.id, period, g.harvested_g DESC
""")


async def _over_yield(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    return [
        Measure(
            subject=f"plot:{row['plot']}",
            period=row["period"],
            on=row["made_on"],
            figure=rules.share_of_yield_permille(
                row["harvested_g"], row["area_m2"], row["kg_per_mu_max"]
            ),
            evidence={
                "area_m2": row["area_m2"],
                "season_days": row["season_days"],
                "product": row["product_id"],
                "kg_per_mu_max": row["kg_per_mu_max"],
                "harvested_g": row["harvested_g"],
                "lots": _shown(row["lots"]),
            },
            party_id=row["party_id"],
            divisions=_where(row["division_code"]),
        )
        for row in await _rows(session, _OVER_YIELD, window)
    ]


# On the day of harvest itself a plot is usually treated after the cut: what is meant is not known.
_TREATED = """
    SELECT l.public_id AS lot, l.made_on, l.product_id, l.producer_id, l.division_code,
        t.public_id AS treatment, t.substance, t.applied_on, t.label_days
    FROM lot l
    JOIN treatment t ON t.plot_id = l.plot_id
        AND t.applied_on < l.made_on AND t.applied_on > l.made_on - 366
        AND (t.product_id IS NULL OR t.product_id = l.product_id)
    WHERE {new} AND l.origin = 'harvest'
"""
_TREATED_BY_LOT = text(_TREATED.format(new="l.id > :after AND l.id <= :upto"))
_TREATED_BY_TREATMENT = text(_TREATED.format(new="t.id > :after AND t.id <= :upto"))


def _preharvest(statement: TextClause) -> Measuring:
    async def measure(session: AsyncSession, window: Window, around: Around) -> list[Measure]:
        found = []
        for row in await _rows(session, statement, window):
            applied_on: date = row["applied_on"]
            days = interval_days(
                around.intervals,
                row["substance"],
                row["product_id"],
                applied_on,
                label_days=row["label_days"],
            )
            waited = (row["made_on"] - applied_on).days
            if days is None or waited >= days:
                continue
            found.append(
                Measure(
                    subject=f"lot:{row['lot']}",
                    on=row["made_on"],
                    figure=days - waited,
                    evidence={
                        "treatment": str(row["treatment"]),
                        "substance": row["substance"],
                        "applied_on": applied_on.isoformat(),
                        "harvested_on": row["made_on"].isoformat(),
                        "interval_days": days,
                    },
                    party_id=row["producer_id"],
                    divisions=_where(row["division_code"]),
                )
            )
        return found

    return measure


# --- the road -------------------------------------------------------------------------------------

# Only a market that both tickets name says where the goods were: a seller may well write a ticket
# at the buyer's stall.
_CHAIN = text("""
    SELECT DISTINCT b.public_id AS ticket, b.sold_at, a.public_id AS earlier,
        a.sold_at AS earlier_at, b.seller_id, b.market_id, a.market_id AS earlier_market_id,
        q.division_code, q.geometry, p.division_code AS earlier_division,
        p.geometry AS earlier_geometry
    FROM ticket b
    JOIN ticket_draw w ON w.ticket_id = b.id
    JOIN lot_edge e ON e.dst = w.lot_id
    JOIN ticket_draw v ON v.lot_id = e.src
    JOIN ticket_receipt r ON r.ticket_id = v.ticket_id AND r.line_no = v.line_no
        AND r.lot_id = v.lot_id AND r.received_lot_id = w.lot_id
    JOIN ticket a ON a.id = v.ticket_id
    JOIN place p ON p.id = a.market_id
    JOIN place q ON q.id = b.market_id
    WHERE b.id > :after AND b.id <= :upto AND a.market_id <> b.market_id AND b.kind <> 'return'
""")


async def _chain(session: AsyncSession, window: Window, around: Around) -> list[Measure]:
    found = []
    for row in await _rows(session, _CHAIN, window):
        on = local_date(row["sold_at"])
        travelled = _travelled(row, row["sold_at"] - row["earlier_at"], on, around)
        if travelled is None:
            continue
        km, speed = travelled
        found.append(
            Measure(
                subject=f"ticket:{row['ticket']}",
                on=on,
                figure=speed,
                facts={"km": km, "speed_kmh": speed},
                evidence={
                    "earlier_ticket": str(row["earlier"]),
                    "earlier_at": row["earlier_at"].isoformat(),
                    "sold_at": row["sold_at"].isoformat(),
                    "km_at_least": km,
                },
                party_id=row["seller_id"],
                market_ids=_markets(row["market_id"], row["earlier_market_id"]),
                divisions=_where(row["division_code"], row["earlier_division"]),
            )
        )
    return found


def _travelled(
    row: RowMapping, elapsed: timedelta, on: date, around: Around
) -> tuple[int, int] | None:
    """Answer kilometres of road at least, and the speed they took; None where nobody knows."""
    rule = rules.in_force(around.rules, on)
    here = rules.spot_of(row["geometry"], row["division_code"], around.centres)
    there = rules.spot_of(row["earlier_geometry"], row["earlier_division"], around.centres)
    if rule is None or here is None or there is None:
        return None
    km = rules.km_between(here, there) * rule["detour_permille"] / 1000
    return round(km), rules.speed_kmh(km, elapsed, slack_min=rule["slack_min"])


# A device that was offline tells when it looked, before the server heard of it. One that claims a
# later time than the server's has a clock that is fast. A gate that nobody mapped is where its
# market is.
_PAIRS = text("""
    SELECT s.public_id AS scan, least(s.device_at, s.scanned_at) AS seen_at, o.public_id AS earlier,
        least(o.device_at, o.scanned_at) AS earlier_at, t.public_id AS ticket, t.seller_id,
        p.public_id AS place, p.division_code,
        coalesce(nullif(p.geometry, 'null'), m.geometry) AS geometry,
        q.public_id AS earlier_place, q.division_code AS earlier_division,
        coalesce(nullif(q.geometry, 'null'), n.geometry) AS earlier_geometry,
        coalesce(p.parent_id, p.id) AS market_id, coalesce(q.parent_id, q.id) AS earlier_market_id
    FROM scan s
    JOIN place p ON p.id = s.place_id
    JOIN ticket t ON t.id = s.ticket_id
    JOIN scan o ON o.ticket_id = s.ticket_id AND o.id < s.id AND o.place_id <> s.place_id
    JOIN place q ON q.id = o.place_id
    LEFT JOIN place m ON m.id = p.parent_id
    LEFT JOIN place n ON n.id = q.parent_id
    WHERE s.id > :after AND s.id <= :upto
        AND coalesce(p.parent_id, p.id) <> coalesce(q.parent_id, q.id)
""")


async def _scan_pairs(session: AsyncSession, window: Window, around: Around) -> list[Measure]:
    found = []
    for row in await _rows(session, _PAIRS, window):
        on = local_date(row["seen_at"])
        travelled = _travelled(row, abs(row["seen_at"] - row["earlier_at"]), on, around)
        if travelled is None:
            continue
        km, speed = travelled
        found.append(
            Measure(
                subject=f"ticket:{row['ticket']}",
                on=on,
                figure=speed,
                facts={"km": km, "speed_kmh": speed},
                evidence={
                    "scans": [str(row["earlier"]), str(row["scan"])],
                    "places": [str(row["earlier_place"]), str(row["place"])],
                    "seen_at": [row["earlier_at"].isoformat(), row["seen_at"].isoformat()],
                    "km_at_least": km,
                },
                party_id=row["seller_id"],
                market_ids=_markets(row["market_id"], row["earlier_market_id"]),
                divisions=_where(row["division_code"], row["earlier_division"]),
            )
        )
    return found


# --- parties and products -------------------------------------------------------------------------

_PHONES = text("""
    SELECT p.phone_index, count(DISTINCT p.id) AS producers, max(p.created_at) AS at,
        bool_or(r.kind = ANY(CAST(:organisations AS text[]))) AS organisation,
        array_agg(DISTINCT p.public_id) AS parties, array_agg(DISTINCT p.division_code) AS divisions
    FROM party p JOIN party_role r ON r.party_id = p.id
    WHERE p.phone_index IN (
            SELECT phone_index FROM party
            WHERE id > :after AND id <= :upto AND phone_index IS NOT NULL
        )
        AND p.status <> 'disabled' AND r.kind = ANY(CAST(:producers AS text[]))
        AND (r.valid_to IS NULL OR r.valid_to > :on)
    GROUP BY p.phone_index HAVING count(DISTINCT p.id) > 1
""")


async def _phones(session: AsyncSession, window: Window, around: Around) -> list[Measure]:
    found = await _rows(
        session,
        _PHONES,
        window,
        organisations=list(_ORGANISATIONS),
        producers=sorted(PRODUCERS),
        on=local_date(around.now),
    )
    return [
        Measure(
            # The index is keyed, and its digest cannot be looked up among sealed numbers either.
            subject=f"phone:{_digest(row['phone_index'])}",
            on=local_date(row["at"]),
            figure=row["producers"],
            facts={"organisation": row["organisation"]},
            evidence={"parties": _shown(row["parties"]), "organisation": row["organisation"]},
            divisions=_where(*row["divisions"]),
        )
        for row in found
    ]


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:32]


_CHANGED = text("""
    SELECT l.public_id AS lot, l.product_id, l.mass_g, l.created_at, l.holder_id, l.division_code,
        h.division_code AS holder_division, o.product_id AS was, o.public_id AS source,
        'lot' AS source_kind
    FROM lot l
    JOIN lot_edge e ON e.dst = l.id
    JOIN lot o ON o.id = e.src AND o.product_id <> l.product_id
    LEFT JOIN party h ON h.id = l.holder_id
    WHERE l.id > :after AND l.id <= :upto AND l.origin <> 'transform'
    UNION ALL
    SELECT l.public_id, l.product_id, l.mass_g, l.created_at, l.holder_id, l.division_code,
        h.division_code, d.was, d.source, d.kind
    FROM lot l
    JOIN citation x ON x.lot_id = l.id
    CROSS JOIN LATERAL (
        SELECT c.product_id AS was, c.public_id AS source, 'certificate' AS kind
        FROM certificate c WHERE c.id = x.certificate_id
        UNION ALL
        SELECT min(n.product_id), t.public_id, 'ticket'
        FROM ticket t JOIN ticket_line n ON n.ticket_id = t.id WHERE t.id = x.ticket_id
        GROUP BY t.id HAVING NOT bool_or(n.product_id = l.product_id)
    ) d
    LEFT JOIN party h ON h.id = l.holder_id
    WHERE l.id > :after AND l.id <= :upto AND d.was <> l.product_id
        -- Beans that became sprouts elsewhere: a known process explains it.
        AND NOT EXISTS (
            SELECT 1 FROM yield_band b
            WHERE b.input_product_id = d.was AND b.output_product_id = l.product_id
        )
""")


async def _changed(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    return [
        Measure(
            subject=f"lot:{row['lot']}",
            on=local_date(row["created_at"]),
            figure=row["mass_g"],
            evidence={
                "product": row["product_id"],
                "was": row["was"],
                row["source_kind"]: str(row["source"]),
                "mass_g": row["mass_g"],
            },
            party_id=row["holder_id"],
            divisions=_where(row["division_code"], row["holder_division"]),
        )
        for row in await _rows(session, _CHANGED, window)
    ]


# --- scans ----------------------------------------------------------------------------------------

_ADMITTED = text("""
    SELECT t.public_id AS ticket, t.mass_g, t.seller_id, t.sold_at,
        array_agg(DISTINCT m.id) AS markets, array_agg(DISTINCT m.division_code) AS divisions,
        array_agg(DISTINCT s.public_id) AS scans
    FROM ticket t
    JOIN scan s ON s.ticket_id = t.id AND s.decision = ANY(CAST(:let_in AS text[]))
    JOIN place p ON p.id = s.place_id AND p.kind IN ('gate', 'market')
    JOIN place m ON m.id = coalesce(p.parent_id, p.id)
    WHERE t.id IN (SELECT ticket_id FROM scan WHERE id > :after AND id <= :upto)
    GROUP BY t.id HAVING count(DISTINCT m.id) > 1
""")


async def _admitted(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    return [
        Measure(
            subject=f"ticket:{row['ticket']}",
            on=local_date(row["sold_at"]),
            figure=row["mass_g"] * len(row["markets"]),
            facts={"issued_g": row["mass_g"]},
            evidence={
                "issued_g": row["mass_g"],
                "markets": len(row["markets"]),
                "scans": _shown(row["scans"]),
            },
            party_id=row["seller_id"],
            market_ids=_markets(*row["markets"]),
            divisions=_where(*row["divisions"]),
        )
        for row in await _rows(session, _ADMITTED, window, let_in=list(_LET_IN))
    ]


# The books refuse this; that a row says so all the same is worth a warning the more.
_RECEIVED = text("""
    SELECT t.public_id AS ticket, t.mass_g, t.seller_id, t.sold_at, t.market_id, b.division_code,
        g.accepted_g::bigint AS accepted_g
    FROM ticket t
    JOIN party b ON b.id = t.buyer_id
    CROSS JOIN LATERAL (
        SELECT sum(r.accepted_g) AS accepted_g FROM ticket_receipt r WHERE r.ticket_id = t.id
    ) g
    WHERE g.accepted_g > t.mass_g AND t.id IN (
        SELECT w.ticket_id
        FROM lot l JOIN lot_edge e ON e.dst = l.id JOIN ticket_draw w ON w.lot_id = e.src
        WHERE l.id > :after AND l.id <= :upto AND l.origin = 'purchase'
    )
""")


async def _received(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    return [
        Measure(
            subject=f"ticket:{row['ticket']}",
            on=local_date(row["sold_at"]),
            figure=row["accepted_g"],
            facts={"issued_g": row["mass_g"]},
            evidence={"issued_g": row["mass_g"], "accepted_g": row["accepted_g"]},
            party_id=row["seller_id"],
            market_ids=_markets(row["market_id"]),
            divisions=_where(row["division_code"]),
        )
        for row in await _rows(session, _RECEIVED, window)
    ]


# The buyer looks at its own papers as often as it likes. A patrol that reads the code on a stall
# looks at goods that came in with it: where a market has gates, only they see goods come in.
_SHOWN_AGAIN = text("""
    SELECT t.public_id AS ticket, t.seller_id, s.public_id AS scan, p.public_id AS place,
        p.division_code, coalesce(p.parent_id, p.id) AS market_id,
        least(s.device_at, s.scanned_at) AS seen_at, z.status, t.expires_at, z.decided_at,
        z.voided_at
    FROM scan s
    JOIN ticket t ON t.id = s.ticket_id
    JOIN ticket_state z ON z.ticket_id = t.id
    JOIN place p ON p.id = s.place_id AND (
        p.kind = 'gate' OR p.kind = 'market' AND NOT EXISTS (
            SELECT 1 FROM place g WHERE g.parent_id = p.id AND g.kind = 'gate'
        )
    )
    WHERE s.id > :after AND s.id <= :upto
        AND s.party_id NOT IN (t.seller_id, coalesce(t.buyer_id, 0))
        AND EXISTS (
            SELECT 1 FROM jsonb_array_elements(s.findings) f
            WHERE f ->> 'code' = ANY(CAST(:codes AS text[]))
        )
""")


async def _shown_again(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    found = []
    for row in await _rows(session, _SHOWN_AGAIN, window, codes=list(_COMPLAINED_OF)):
        ends = {
            "voided": row["voided_at"],
            "accepted": row["decided_at"],
            "expired": row["expires_at"],
        }
        over = {name: at for name, at in ends.items() if at and at < row["seen_at"]}
        if not over:
            continue
        name = min(over, key=lambda name: over[name])
        found.append(
            Measure(
                subject=f"ticket:{row['ticket']}",
                on=local_date(row["seen_at"]),
                figure=_minutes(row["seen_at"] - over[name]),
                facts={"ended_by": name},
                evidence={
                    "scan": str(row["scan"]),
                    "place": str(row["place"]),
                    "seen_at": row["seen_at"].isoformat(),
                    "ended_by": name,
                    "ended_at": over[name].isoformat(),
                },
                party_id=row["seller_id"],
                market_ids=_markets(row["market_id"]),
                divisions=_where(row["division_code"]),
            )
        )
    return found


_OFF_LOG = text("""
    SELECT s.code, count(*) AS scans, array_agg(s.public_id) AS ids, min(s.scanned_at) AS at,
        array_agg(DISTINCT coalesce(p.division_code, b.division_code)) AS divisions,
        array_agg(DISTINCT coalesce(p.parent_id, p.id)) AS markets,
        max(f.facts ->> 'kid') AS kid
    FROM scan s
    JOIN party b ON b.id = s.party_id
    LEFT JOIN place p ON p.id = s.place_id
    CROSS JOIN LATERAL (
        SELECT e -> 'facts' AS facts FROM jsonb_array_elements(s.findings) e
        WHERE e ->> 'code' = 'off-log'
    ) f
    WHERE s.id > :after AND s.id <= :upto
    GROUP BY s.code
""")


async def _off_log(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    return [
        Measure(
            subject=f"code:{_digest(row['code'].encode())}",
            on=local_date(row["at"]),
            figure=row["scans"],
            evidence={"scans": _shown(row["ids"]), "kid": row["kid"]},
            market_ids=_markets(*row["markets"]),
            divisions=_where(*row["divisions"]),
        )
        for row in await _rows(session, _OFF_LOG, window)
    ]


_VIEWS = text("""
    SELECT coalesce(t.public_id, c.public_id) AS document, v.hour_at, v.views,
        coalesce(t.seller_id, c.issuer_id) AS party_id, t.market_id, p.division_code
    FROM public_views v
    LEFT JOIN ticket t ON t.serial = v.serial
    LEFT JOIN certificate c ON c.serial = v.serial
    LEFT JOIN party p ON p.id = coalesce(t.seller_id, c.issuer_id)
    WHERE v.id > :after AND v.id <= :upto
""")


async def _views(session: AsyncSession, window: Window, _around: Around) -> list[Measure]:
    return [
        Measure(
            subject=f"document:{row['document']}",
            on=local_date(row["hour_at"]),
            figure=row["views"],
            evidence={"hour_at": row["hour_at"].isoformat(), "views": row["views"]},
            party_id=row["party_id"],
            market_ids=_markets(row["market_id"]),
            divisions=_where(row["division_code"]),
        )
        for row in await _rows(session, _VIEWS, window)
    ]


# --- tests ----------------------------------------------------------------------------------------

# A sample counts for the week in which it was taken and the county where its goods come from, as
# its case stands now; what cleared it later is known by a further step.
_TALLY = text("""
    INSERT INTO test_week (product_id, county_code, week_on, tests, failures)
    SELECT g.product_id, g.county_code, g.week_on, count(*),
        count(*) FILTER (WHERE s.status = ANY(CAST(:failed AS text[])))
    FROM (
        SELECT DISTINCT s.product_id, left(coalesce(l.division_code, h.division_code), 6)
                AS county_code,
            date_trunc('week', s.taken_at AT TIME ZONE 'Asia/Shanghai')::date AS week_on
        FROM sample_step p JOIN sample s ON s.id = p.sample_id
        JOIN lot l ON l.id = s.lot_id JOIN party h ON h.id = s.holder_id
        WHERE p.id > :after AND p.id <= :upto
            AND coalesce(l.division_code, h.division_code) IS NOT NULL
    ) g
    JOIN sample s ON s.product_id = g.product_id
        AND s.taken_at >= g.week_on::timestamp AT TIME ZONE 'Asia/Shanghai'
        AND s.taken_at < (g.week_on + 7)::timestamp AT TIME ZONE 'Asia/Shanghai'
        AND s.status = ANY(CAST(:told AS text[]))
    JOIN lot l ON l.id = s.lot_id JOIN party h ON h.id = s.holder_id
    WHERE left(coalesce(l.division_code, h.division_code), 6) = g.county_code
    GROUP BY g.product_id, g.county_code, g.week_on
    ON CONFLICT (product_id, county_code, week_on)
        DO UPDATE SET tests = EXCLUDED.tests, failures = EXCLUDED.failures
    RETURNING id
""")
# A week is compared with the weeks before it, except the very last ones: an outbreak that has begun
# must not become its own past.
_WEEKS = text("""
    SELECT n.product_id, n.county_code, n.week_on, n.tests, n.failures,
        coalesce(b.failures, 0)::bigint AS past_failures, coalesce(b.tests, 0)::bigint AS past_tests
    FROM test_week n
    LEFT JOIN LATERAL (
        SELECT sum(o.failures) AS failures, sum(o.tests) AS tests FROM test_week o
        WHERE o.product_id = n.product_id AND o.county_code = n.county_code
            AND o.week_on < n.week_on - 7 * CAST(:guard_weeks AS int)
            AND o.week_on >= n.week_on - 7 * CAST(:guard_weeks + :baseline_weeks AS int)
    ) b ON true
    WHERE n.failures > 0
        AND (n.id > :after AND n.id <= :upto OR n.id = ANY(CAST(:weeks AS bigint[])))
""")


async def _steps(session: AsyncSession, window: Window, around: Around) -> list[Measure]:
    rows = await _rows(session, _TALLY, window, failed=sorted(HOLDING), told=sorted(HOLDING | GOOD))
    return await _compared(session, Window(0, 0, 0), around, [row["id"] for row in rows])


async def _weeks(session: AsyncSession, window: Window, around: Around) -> list[Measure]:
    return await _compared(session, window, around, [])


async def _compared(
    session: AsyncSession, window: Window, around: Around, weeks: Sequence[int]
) -> list[Measure]:
    rule = rules.in_force(around.rules, local_date(around.now))
    if rule is None:
        return []
    parameters = {name: rule[name] for name in ("guard_weeks", "baseline_weeks")}
    return [
        Measure(
            subject=f"tests:{row['product_id']}:{row['county_code']}",
            period=row["week_on"].isoformat(),
            on=row["week_on"],
            figure=row["failures"],
            facts=dict(row),
            evidence={
                "product": row["product_id"],
                "county": row["county_code"],
                "week_on": row["week_on"].isoformat(),
                **{name: row[name] for name in ("tests", "failures")},
                **{name: row[name] for name in ("past_tests", "past_failures")},
            },
            divisions=(row["county_code"],),
        )
        for row in await _rows(session, _WEEKS, window, weeks=list(weeks), **parameters)
    ]


# --- clocks ---------------------------------------------------------------------------------------

# One row a clock that still runs: what it is, when it began, when it must have stopped, and who
# lets the time pass. Clocks of an office are not for the market that its samples were taken in.
# A day in Nantong ends at its midnight.
_END_OF = "(({} + 1)::timestamp AT TIME ZONE 'Asia/Shanghai')"

_DEADLINES = text(f"""
    SELECT 'hold' AS kind, h.public_id AS subject, h.placed_at AS began_at,
        CAST(NULL AS timestamptz) AS due_at, h.placed_by AS party_id,
        array_remove(ARRAY[l.division_code, b.division_code], NULL) AS divisions,
        ARRAY(SELECT m.id FROM place m WHERE m.party_id = h.placed_by AND m.kind = 'market')
            AS markets
    FROM hold h
    JOIN lot l ON l.id = h.lot_id
    JOIN party b ON b.id = h.placed_by
    WHERE h.released_at IS NULL
        AND h.placed_at < CAST(:now AS timestamptz) - CAST(:hold_lasts_at_least AS interval)
    UNION ALL
    SELECT d.kind, s.public_id, d.began_at, d.due_at, s.taken_by,
        array_remove(ARRAY[l.division_code, b.division_code, s.jurisdiction], NULL),
        ARRAY(SELECT coalesce(p.parent_id, p.id) FROM place p
            WHERE p.id = s.place_id AND s.authority IS NULL)
    FROM deadline d
    JOIN sample s ON s.id = d.sample_id
    JOIN lot l ON l.id = s.lot_id
    JOIN party b ON b.id = s.taken_by
    WHERE d.done_at IS NULL AND d.due_at < :now AND d.kind <> ALL(CAST(:rights AS text[]))
    UNION ALL
    SELECT 'recall', r.public_id, r.opened_at, {_END_OF.format("r.finish_due_on")}, r.opened_by,
        array_remove(ARRAY[b.division_code], NULL), CAST(ARRAY[] AS bigint[])
    FROM recall r
    JOIN party b ON b.id = r.opened_by
    WHERE r.closed_at IS NULL AND NOT r.mock
        AND {_END_OF.format("r.finish_due_on")} < CAST(:now AS timestamptz)
    UNION ALL
    SELECT 'recall_notice', h.public_id, n.sent_at, n.due_at, n.party_id,
        array_remove(ARRAY[h.division_code, b.division_code], NULL),
        ARRAY(SELECT m.id FROM place m WHERE m.party_id = n.party_id AND m.kind = 'market')
    FROM recall_notice n
    JOIN recall r ON r.id = n.recall_id
    JOIN party h ON h.id = n.party_id
    JOIN party b ON b.id = r.opened_by
    WHERE n.acknowledged_at IS NULL AND n.due_at < :now AND r.closed_at IS NULL AND NOT r.mock
    UNION ALL
    SELECT 'referral', f.public_id, f.asked_at, {_END_OF.format("f.due_on")}, f.asked_by,
        array_remove(ARRAY[f.division_code, b.division_code], NULL), CAST(ARRAY[] AS bigint[])
    FROM referral f
    JOIN party b ON b.id = f.asked_by
    WHERE f.answered_at IS NULL AND f.withdrawn_at IS NULL
        AND {_END_OF.format("f.due_on")} < CAST(:now AS timestamptz)
    UNION ALL
    SELECT 'report', r.public_id, r.received_at, {_END_OF.format("r.due_on")}, NULL,
        array_remove(ARRAY[nullif(r.division_code, '')], NULL), CAST(ARRAY[] AS bigint[])
    FROM report r
    WHERE r.state = 'received' AND {_END_OF.format("r.due_on")} < CAST(:now AS timestamptz)
    UNION ALL
    SELECT 'report_answer', r.public_id, r.taken_up_at, {_END_OF.format("r.answer_due_on")}, NULL,
        array_remove(ARRAY[nullif(r.division_code, '')], NULL), CAST(ARRAY[] AS bigint[])
    FROM report r
    WHERE r.state = 'taken_up'
        AND {_END_OF.format("r.answer_due_on")} < CAST(:now AS timestamptz)
""")  # noqa: S608


# To object is a right: who lets the time pass owes nothing.
_RIGHTS: Final = (ClockKind.OBJECTION_QUICK, ClockKind.OBJECTION_LAB)


async def _deadlines(session: AsyncSession, window: Window, around: Around) -> list[Measure]:
    del window  # what is open is little, and is late without anything new
    rule = rules.in_force(around.rules, local_date(around.now))
    if rule is None:
        return []
    # How long working days last is the calendar's to say, and no fewer days than they are.
    parameters = {
        "hold_lasts_at_least": timedelta(days=rule["hold_working_days"]),
        "now": around.now,
        "rights": list(_RIGHTS),
    }
    calendar = (await clocks(session)).working_days
    found = []
    for row in (await session.execute(_DEADLINES, parameters)).mappings():
        due_at = row["due_at"] or calendar.after(rule["hold_working_days"], row["began_at"]).at
        if due_at >= around.now:
            continue
        found.append(
            Measure(
                subject=f"{row['kind']}:{row['subject']}",
                on=local_date(due_at),
                figure=_minutes(around.now - due_at),
                evidence={
                    "clock": row["kind"],
                    "began_at": row["began_at"].isoformat(),
                    "due_at": due_at.isoformat(),
                },
                party_id=row["party_id"],
                market_ids=_markets(*row["markets"]),
                divisions=_where(*row["divisions"]),
            )
        )
    return found


# What a declared lot names as its papers; which of them are ours is found by their codes.
_PAPERS = text("""
    SELECT l.id AS lot_id, d ->> 'number' AS number
    FROM lot l CROSS JOIN LATERAL jsonb_array_elements(l.documents) d
    WHERE l.id > :after AND l.id <= :upto AND l.origin = 'declare'
""")
_CITE = text("""
    INSERT INTO citation (lot_id, code, ticket_id, certificate_id)
    SELECT x.lot_id, x.code, t.id, CASE WHEN t.id IS NULL THEN c.id END
    FROM unnest(CAST(:lots AS bigint[]), CAST(:codes AS text[])) AS x (lot_id, code)
    LEFT JOIN ticket t ON t.code = x.code
    LEFT JOIN certificate c ON c.code = x.code
    WHERE t.id IS NOT NULL OR c.id IS NOT NULL
    ON CONFLICT DO NOTHING
""")


async def papers(session: AsyncSession, window: Window) -> list[tuple[int, str]]:
    """List what the declared lots of a window name as papers: lot and number."""
    return [(row["lot_id"], row["number"]) for row in await _rows(session, _PAPERS, window)]


async def cite(session: AsyncSession, papers: Iterable[tuple[int, str]]) -> None:
    """Keep which of our documents lots name, given lots and short codes."""
    pairs = sorted(set(papers))
    if pairs:
        lots, codes = zip(*pairs, strict=True)
        await session.execute(_CITE, {"lots": list(lots), "codes": list(codes)})


MEASURES: Final[Mapping[RuleCode, Mapping[Stream, Measuring]]] = MappingProxyType(
    {
        RuleCode.CERTIFICATE_OVERSOLD: {
            Stream.TICKETS: _oversold(_OVERSOLD_BY_TICKET),
            Stream.LOTS: _oversold(_OVERSOLD_BY_CITATION),
        },
        RuleCode.PLOT_OVER_YIELD: {Stream.LOTS: _over_yield},
        RuleCode.CERTIFICATE_AFTER_SALE: {Stream.TICKETS: _after_sale},
        RuleCode.PREHARVEST_INTERVAL: {
            Stream.LOTS: _preharvest(_TREATED_BY_LOT),
            Stream.TREATMENTS: _preharvest(_TREATED_BY_TREATMENT),
        },
        RuleCode.CHAIN_TOO_FAST: {Stream.TICKETS: _chain},
        RuleCode.PHONE_SHARED: {Stream.PARTIES: _phones},
        RuleCode.PRODUCT_CHANGED: {Stream.LOTS: _changed},
        RuleCode.SCAN_TOO_FAST: {Stream.SCANS: _scan_pairs},
        RuleCode.ACCEPTED_BEYOND_ISSUED: {Stream.SCANS: _admitted, Stream.LOTS: _received},
        RuleCode.SCANNED_AFTER_USE: {Stream.SCANS: _shown_again},
        RuleCode.OFF_LOG: {Stream.SCANS: _off_log},
        RuleCode.VIEWED_TOO_OFTEN: {Stream.VIEWS: _views},
        RuleCode.FAILURE_CLUSTER: {Stream.STEPS: _steps, Stream.WEEKS: _weeks},
        RuleCode.DEADLINE_OVERDUE: {Stream.ALL_OPEN: _deadlines},
    }
)
"""What each rule reads, by the stream whose new rows it follows."""
