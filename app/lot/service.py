"""Brings lots into being, draws on them, and changes them."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import directory
from app.core.db import array, fetch, on_cluster, prepared
from app.lot import rules, spread
from app.lot.models import Lot, LotBalance
from app.lot.rules import Draw, LotOrigin, LotState, Proof

STOCK_LOTS_MAX = 200
STOCK_LOTS_OF_BULK_MAX = 5_000


class Parent(NamedTuple):
    """Grams of an older lot that go into a new one."""

    lot_id: int
    mass_g: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class LotDraft:
    """A lot that is to come into being.

    Attributes:
        digest: What tells a repeated request; empty for lots that follow from something else.
        certified_g: Grams that certificates vouch for from the start.
        consumed: Whether the goods leave the platform at once (sold to a walk-in).
    """

    public_id: UUID
    product_id: int
    holder_id: int | None
    origin: LotOrigin
    mass_g: int
    quantity: Decimal
    unit: str
    producer_id: int | None = None
    mixed: bool = False
    from_party_id: int | None = None
    production: str | None = None
    pieces: int | None = None
    division_code: str | None = None
    plot_id: int | None = None
    made_on: date | None = None
    certificate_ids: tuple[int, ...] = ()
    certified_g: int = 0
    documents: tuple[Mapping[str, Any], ...] = ()
    parents: tuple[Parent, ...] = ()
    consumed: bool = False
    digest: bytes = b""


@dataclass(slots=True)
class _Taken:
    mass_g: int = 0
    pieces: int | None = 0
    cover_g: int = 0

    def add(self, mass_g: int, pieces: int | None, cover_g: int) -> None:
        self.mass_g += mass_g
        self.cover_g += cover_g
        # NULL goes through the arithmetic of the balance: uncounted stays uncounted.
        self.pieces = None if pieces is None or self.pieces is None else self.pieces + pieces


@dataclass(slots=True)
class Withdrawal:
    """What a decided hand-over or change takes out of lots, summed up by lot.

    One lot can stand behind two lines of a ticket; the statement that updates balances must meet
    each row once, and the cover that is left must not be counted for both.
    """

    _taken: dict[int, _Taken] = field(default_factory=lambda: defaultdict(_Taken))

    def take(self, draw: Draw) -> int:
        """Add a draw, and answer the grams of it that certificates vouch for."""
        so_far = self._taken[draw.lot.id]
        cover_g = min(draw.mass_g, max(draw.lot.cover_left_g - so_far.cover_g, 0))
        so_far.add(draw.mass_g, draw.pieces, cover_g)
        return cover_g

    def left(self, lot: LotState) -> tuple[int, int | None]:
        """Answer the grams and, if counted, the pieces that are left of a lot by now."""
        so_far = self._taken.get(lot.id, _Taken())
        uncounted = lot.remaining_pieces is None or so_far.pieces is None
        pieces = None if uncounted else (lot.remaining_pieces or 0) - (so_far.pieces or 0)
        return lot.remaining_g - so_far.mass_g, pieces

    def after(self, lot: LotState) -> LotState:
        """Answer a lot as the withdrawal leaves it."""
        remaining_g, remaining_pieces = self.left(lot)
        return replace(
            lot,
            remaining_g=remaining_g,
            remaining_pieces=remaining_pieces,
            cover_used_g=lot.cover_used_g + self._taken.get(lot.id, _Taken()).cover_g,
        )

    def include(self, other: "Withdrawal") -> None:
        """Add what another withdrawal takes, to carry both out in one statement."""
        for lot_id, taken in other._taken.items():  # noqa: SLF001 (its own kind)
            self._taken[lot_id].add(taken.mass_g, taken.pieces, taken.cover_g)

    def parameters(self) -> dict[str, Any]:
        """Write the withdrawal as the parameters of `DRAW_SQL`."""
        ordered = sorted(self._taken.items())
        return {
            "draw_lots": [lot_id for lot_id, _ in ordered],
            "draw_grams": [taken.mass_g for _, taken in ordered],
            "draw_pieces": [taken.pieces for _, taken in ordered],
            "draw_cover": [taken.cover_g for _, taken in ordered],
        }

    def __len__(self) -> int:
        """Count the lots that something is taken from."""
        return len(self._taken)


# The WHERE clause is the wall behind the rules: should a decision ever be made on a stale balance,
# the row is not touched, the caller counts one row too few and the transaction fails.
DRAW_SQL = """
    UPDATE lot_balance AS b
    SET remaining_g = b.remaining_g - d.mass_g,
        remaining_pieces = b.remaining_pieces - d.pieces,
        cover_used_g = b.cover_used_g + d.cover_g
    FROM unnest(
        CAST(:draw_lots AS bigint[]), CAST(:draw_grams AS bigint[]),
        CAST(:draw_pieces AS bigint[]), CAST(:draw_cover AS bigint[])
    ) AS d (lot_id, mass_g, pieces, cover_g)
    WHERE b.lot_id = d.lot_id AND b.remaining_g >= d.mass_g
    RETURNING b.lot_id
"""
"""Takes grams out of lots; other packages may make it part of a statement of theirs."""

# One statement for any number of lots, their balances and their edges: lots come in the order
# given, so that ids ascend from older to younger.
_MAKE = prepared("""
    WITH draft AS (
        SELECT * FROM jsonb_to_recordset(CAST(:lots AS jsonb)) AS l (
            ord int, public_id uuid, digest bytea, product_id bigint, holder_id bigint,
            producer_id bigint, from_party_id bigint, mixed boolean, origin text, production text,
            mass_g bigint, pieces bigint, quantity numeric, unit text, division_code text,
            plot_id bigint, made_on date, certificate_ids bigint[], documents jsonb,
            created_at timestamptz, event_id bigint, certified_g bigint, remaining_g bigint
        )
    ), made AS (
        INSERT INTO lot (
            public_id, digest, product_id, holder_id, producer_id, from_party_id, mixed, origin,
            production, mass_g, pieces, quantity, unit, division_code, plot_id, made_on,
            certificate_ids, documents, created_at
        )
        SELECT public_id, digest, product_id, holder_id, producer_id, from_party_id, mixed, origin,
            production, mass_g, pieces, quantity, unit, division_code, plot_id, made_on,
            certificate_ids, documents, created_at
        FROM draft ORDER BY ord
        RETURNING id, public_id
    ), balance AS (
        INSERT INTO lot_balance (
            lot_id, produced_g, remaining_g, remaining_pieces, certified_g, cover_used_g, holds
        )
        SELECT made.id, draft.mass_g, draft.remaining_g, draft.pieces, draft.certified_g, 0, 0
        FROM made JOIN draft USING (public_id)
    ), edge AS (
        INSERT INTO lot_edge (dst, src, mass_g, proof, event_id, occurred_at)
        SELECT child.id, e.src, e.mass_g, e.proof, child.event_id, child.created_at
        FROM unnest(
            CAST(CAST(:edge_lots AS text) AS int[]), CAST(CAST(:edge_srcs AS text) AS bigint[]),
            CAST(CAST(:edge_grams AS text) AS bigint[]),
            CAST(CAST(:edge_proofs AS text) AS smallint[])
        ) AS e (ord, src, mass_g, proof)
        JOIN (SELECT * FROM made JOIN draft USING (public_id)) AS child USING (ord)
    )
    SELECT public_id, id FROM made
""")

_STATE_COLUMNS = """
    l.id, l.public_id, l.product_id, l.holder_id, l.producer_id, l.from_party_id, l.mixed,
    l.origin, l.production, l.mass_g, b.remaining_g, b.remaining_pieces, b.certified_g,
    b.cover_used_g, b.holds, l.division_code, l.plot_id, l.made_on, l.certificate_ids,
    l.documents, l.created_at, l.quantity, l.unit
"""
# Rows are locked in ascending lot id whatever order the caller named them in, so that two requests
# for the same lots wait for each other and never deadlock. Of the lot's own columns only
# `certificate_ids` ever changes: whoever waited for the lock reads that as it was before the wait.
_LOCK = prepared(
    f"SELECT {_STATE_COLUMNS} FROM lot_balance b JOIN lot l ON l.id = b.lot_id "  # noqa: S608
    "WHERE b.lot_id IN ("
    "SELECT id FROM lot WHERE public_id = ANY(CAST(:public_ids AS uuid[])) "
    "UNION ALL SELECT unnest(CAST(:ids AS bigint[])) "
    "UNION ALL SELECT stock.id FROM unnest("
    "CAST(:holders AS bigint[]), CAST(:products AS bigint[]), CAST(:most AS int[])"
    ") AS wanted (holder_id, product_id, most) CROSS JOIN LATERAL ("
    "SELECT s.id FROM lot s JOIN lot_balance sb ON sb.lot_id = s.id "
    "WHERE s.holder_id = wanted.holder_id AND s.product_id = wanted.product_id "
    "AND sb.remaining_g > 0 AND sb.holds = 0 ORDER BY s.id LIMIT wanted.most) stock"
    ") ORDER BY b.lot_id FOR NO KEY UPDATE OF b"
)
# A cluster locks rows for a statement that names one value of what they are spread by.
_LOCK_ONE = text(
    f"SELECT {_STATE_COLUMNS} FROM lot_balance b JOIN lot l ON l.id = b.lot_id "  # noqa: S608
    "WHERE b.lot_id = :id FOR NO KEY UPDATE OF b"
)


def _state(row: Any) -> LotState:
    values = list(row)
    values[7] = LotOrigin(values[7])
    values[18] = tuple(values[18])
    values[19] = tuple(values[19])
    return LotState(*values)


async def lock(session: AsyncSession, public_ids: Iterable[UUID]) -> dict[UUID, LotState]:
    """Lock the balances of lots until the transaction ends, and read them, oldest first.

    Raises:
        UnknownLot: one of the ids names no lot.
    """
    wanted = list(dict.fromkeys(public_ids))
    states = await lock_found(session, wanted)
    check_found(states, wanted)
    return states


def check_found(found: Container[UUID], wanted: Iterable[UUID]) -> None:
    """Refuse what names a lot that is not there.

    Raises:
        UnknownLot: it is not among those that were found.
    """
    for public_id in wanted:
        if public_id not in found:
            raise rules.UnknownLot(lot=str(public_id))


async def lock_found(
    session: AsyncSession,
    public_ids: Iterable[UUID],
    *,
    stock: Mapping[tuple[int, int], int] = MappingProxyType({}),
) -> dict[UUID, LotState]:
    """Lock the balances of whatever lots there are, in one statement; read them, oldest first.

    Args:
        session: The caller's transaction.
        public_ids: Lots that are named.
        stock: Holders and products whose stock is wanted too, with how many drafts want it: at
            most the 200 oldest lots with something left for each draft, and 5,000 for all.
    """
    states = await _lock(session, public_ids=public_ids, stock=stock)
    return {state.public_id: state for state in states}


async def lock_by_id(session: AsyncSession, lot_ids: Iterable[int]) -> dict[int, LotState]:
    """Lock and read lots, oldest first, as `lock_found` does, by their internal ids."""
    return {state.id: state for state in await _lock(session, lot_ids=lot_ids)}


async def _lock(
    session: AsyncSession,
    *,
    public_ids: Iterable[UUID] = (),
    lot_ids: Iterable[int] = (),
    stock: Mapping[tuple[int, int], int] = MappingProxyType({}),
) -> list[LotState]:
    most = {
        wanted: min(STOCK_LOTS_MAX * drafts, STOCK_LOTS_OF_BULK_MAX)
        for wanted, drafts in stock.items()
    }
    if on_cluster(session):
        ids = set(lot_ids) | set(await _ids_of(session, public_ids))
        for (holder_id, product_id), lots in most.items():
            ids |= await spread.stock(session, holder_id, product_id, most=lots)
        found = [(await session.execute(_LOCK_ONE, {"id": lot})).first() for lot in sorted(ids)]
        return [_state(row) for row in found if row is not None]
    rows = await fetch(
        session,
        _LOCK,
        {
            "public_ids": list(set(public_ids)),
            "ids": list(set(lot_ids)),
            "holders": [holder_id for holder_id, _ in most],
            "products": [product_id for _, product_id in most],
            "most": list(most.values()),
        },
    )
    return [_state(row) for row in rows]


async def _ids_of(session: AsyncSession, public_ids: Iterable[UUID]) -> Iterable[int]:
    return (await directory.find(session, spread.DIRECTORY_KIND, map(str, public_ids))).values()


@dataclass(frozen=True, slots=True)
class Birth:
    """Lots that one event brings into being, parents before children."""

    event_id: int
    occurred_at: datetime
    lots: Sequence[LotDraft]


async def make(session: AsyncSession, births: Sequence[Birth]) -> dict[UUID, int]:
    """Bring lots into being with their balances and edges, in one statement.

    Returns:
        The internal id of each new lot by its public id.
    """
    born = [(birth, draft) for birth in births for draft in birth.lots]
    if not born:
        return {}
    lots = [_lot_row(order, draft, birth) for order, (birth, draft) in enumerate(born)]
    if on_cluster(session):
        edges = [
            _edge_row(draft, parent, birth) for birth, draft in born for parent in draft.parents
        ]
        return await spread.make(session, lots, edges)
    parents = [parent for _, draft in born for parent in draft.parents]
    rows = await fetch(
        session,
        _MAKE,
        {
            "lots": orjson.dumps(lots).decode(),
            # When and by which event an edge came about stands in its lot's row.
            "edge_lots": array(
                [order for order, (_, draft) in enumerate(born) for _ in draft.parents]
            ),
            "edge_srcs": array([parent.lot_id for parent in parents]),
            "edge_grams": array([parent.mass_g for parent in parents]),
            "edge_proofs": array([parent.proof for parent in parents]),
        },
    )
    return {row[0]: row[1] for row in rows}


def _edge_row(draft: LotDraft, parent: Parent, birth: Birth) -> dict[str, Any]:
    return {
        "public_id": str(draft.public_id),
        "src": parent.lot_id,
        "mass_g": parent.mass_g,
        "proof": int(parent.proof),
        "event_id": birth.event_id,
        "occurred_at": birth.occurred_at,
    }


def _lot_row(order: int, draft: LotDraft, birth: Birth) -> dict[str, Any]:
    return {
        "ord": order,
        "public_id": str(draft.public_id),
        "digest": "\\x" + draft.digest.hex(),
        "product_id": draft.product_id,
        "holder_id": draft.holder_id,
        "producer_id": draft.producer_id,
        "from_party_id": draft.from_party_id,
        "mixed": draft.mixed,
        "origin": draft.origin,
        "production": draft.production,
        "mass_g": draft.mass_g,
        "pieces": draft.pieces,
        "quantity": str(draft.quantity),
        "unit": draft.unit,
        "division_code": draft.division_code,
        "plot_id": draft.plot_id,
        "made_on": draft.made_on,
        "certificate_ids": draft.certificate_ids,
        "documents": draft.documents,
        "created_at": birth.occurred_at,
        "event_id": birth.event_id,
        "certified_g": draft.certified_g,
        "remaining_g": 0 if draft.consumed else draft.mass_g,
    }


_DRAW = prepared(DRAW_SQL)


async def draw(session: AsyncSession, withdrawal: Withdrawal) -> None:
    """Take grams out of locked lots."""
    if not withdrawal:
        return
    rows = await fetch(session, _DRAW, withdrawal.parameters())
    assert len(rows) == len(withdrawal), "the rules let through what the balances refuse"


_PUT_BACK = prepared("""
    UPDATE lot_balance AS b
    SET remaining_g = b.remaining_g + d.mass_g,
        remaining_pieces = b.remaining_pieces + d.pieces,
        cover_used_g = greatest(b.cover_used_g - d.cover_g, 0)
    FROM unnest(
        CAST(:draw_lots AS bigint[]), CAST(:draw_grams AS bigint[]),
        CAST(:draw_pieces AS bigint[]), CAST(:draw_cover AS bigint[])
    ) AS d (lot_id, mass_g, pieces, cover_g)
    WHERE b.lot_id = d.lot_id
    RETURNING b.lot_id
""")


async def put_back(
    session: AsyncSession, drawn: Iterable[tuple[int, int, int | None, int]]
) -> None:
    """Undo draws that never left the holder: (lot id, grams, pieces, grams of cover)."""
    taken: dict[int, _Taken] = defaultdict(_Taken)
    for lot_id, mass_g, pieces, cover_g in drawn:
        taken[lot_id].add(mass_g, pieces, cover_g)
    rows = await fetch(session, _PUT_BACK, Withdrawal(taken).parameters())
    assert len(rows) == len(taken), "every lot has a balance"


async def certify(session: AsyncSession, lot: LotState, certificate_id: int, mass_g: int) -> None:
    """Note that a certificate vouches for grams of a locked lot."""
    # Appended where the list stands: the one at hand was read before the lock was ours, and may
    # lack what a rival has added.
    await session.execute(
        update(Lot)
        .where(Lot.id == lot.id)
        .values(certificate_ids=func.array_append(Lot.certificate_ids, certificate_id))
    )
    await session.execute(
        update(LotBalance)
        .where(LotBalance.lot_id == lot.id)
        .values(certified_g=LotBalance.certified_g + mass_g)
    )


async def decertify(session: AsyncSession, lot_id: int, mass_g: int) -> None:
    """Note that a certificate for grams of a lot was taken back.

    The lot keeps the certificate's id: whoever asks why it is not covered finds the voided one.
    What left under it counts no longer against the certificates that remain or follow.
    """
    left_g = LotBalance.certified_g - mass_g
    await session.execute(
        update(LotBalance)
        .where(LotBalance.lot_id == lot_id)
        .values(certified_g=left_g, cover_used_g=func.least(LotBalance.cover_used_g, left_g))
    )


async def uncover(session: AsyncSession, lot: LotState) -> LotState:
    """Forget the cover that a locked lot came with; answer the lot without it."""
    await session.execute(
        update(LotBalance).where(LotBalance.lot_id == lot.id).values(certified_g=0, cover_used_g=0)
    )
    return replace(lot, certified_g=0, cover_used_g=0)


async def count_hold(session: AsyncSession, lot_ids: Sequence[int], change: int) -> None:
    """Add a hold to lots (+1), or take one off (-1); lots must be locked before."""
    # An array, because a statement takes no more than 32,767 parameters, and a recall may reach
    # more lots than that.
    await session.execute(
        text("""
            UPDATE lot_balance SET holds = holds + :change
            WHERE lot_id = ANY(CAST(:lots AS bigint[]))
        """),
        {"change": change, "lots": list(lot_ids)},
    )


HOLD_SQL = """
    UPDATE lot_balance AS b SET holds = b.holds + h.change
    FROM unnest(CAST(:hold_lots AS bigint[])) AS asked (lot_id)
    CROSS JOIN (SELECT CAST(:hold_change AS smallint)) AS h (change)
    WHERE b.lot_id = asked.lot_id
    RETURNING b.lot_id, b.produced_g, b.remaining_g
"""
"""Counts one hold more, or one less, on any number of locked lots; see `lock_balances`."""

_LOCK_BALANCES = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM lot_balance WHERE lot_id = ANY(CAST(:lots AS bigint[]))
        ORDER BY lot_id FOR NO KEY UPDATE
    ) AS locked
""")


async def lock_balances(session: AsyncSession, lot_ids: Iterable[int]) -> None:
    """Lock the balances of any number of lots until the transaction ends, oldest first."""
    wanted = sorted(set(lot_ids))
    locked = await session.scalar(_LOCK_BALANCES, {"lots": wanted})
    assert locked == len(wanted), "every lot has a balance"


_KEPT = text("""
    WITH RECURSIVE kept (lot_id, holder_id) AS (
        SELECT id, holder_id FROM lot WHERE id = ANY(CAST(:lots AS bigint[]))
        UNION
        SELECT l.id, l.holder_id
        FROM kept k JOIN lot_edge e ON e.src = k.lot_id JOIN lot l ON l.id = e.dst
        WHERE l.holder_id = k.holder_id
    )
    SELECT lot_id FROM kept ORDER BY lot_id
""")


async def _kept(session: AsyncSession, lot_ids: Iterable[int]) -> set[int]:
    """Answer lots, and all that their holders made of them and hold themselves."""
    return set(await session.scalars(_KEPT, {"lots": sorted(set(lot_ids))}))


class _BornMeanwhile(Exception):
    """More is to be locked than was known of."""


async def lock_with_kept(session: AsyncSession, lot_ids: Iterable[int]) -> dict[int, LotState]:
    """Lock lots, and all that their holders made of them and hold themselves, oldest first.

    A finding about one of the lots holds all of these, and lets them go. What is made of any of
    them while we wait for a lock has committed by then, and is found by looking again. It may be
    older than what is locked by now: then all locks are given back and taken anew, so that two who
    hold or let go of overlapping goods never wait for each other crosswise.

    Returns:
        The lots that were asked for.
    """
    asked = sorted(set(lot_ids))
    met = await _kept(session, asked)
    wanted: set[int] = set()
    while not met <= wanted:
        wanted |= met
        with suppress(_BornMeanwhile):
            async with session.begin_nested():
                await lock_balances(session, wanted)
                met = await _kept(session, asked)
                if not met <= wanted:
                    raise _BornMeanwhile
    return await states_by_id(session, asked)


async def kept(session: AsyncSession, lot: LotState) -> list[LotState]:
    """List what its holder made of a lot and holds itself, oldest first; see `lock_with_kept`."""
    made = await _kept(session, [lot.id]) - {lot.id}
    return [state for _, state in sorted((await states_by_id(session, made)).items())]


_PROVE = text("""
    UPDATE lot_edge AS e SET proof = :proved
    FROM unnest(CAST(:srcs AS bigint[]), CAST(:dsts AS bigint[])) AS p (src, dst)
    WHERE e.dst = p.dst AND e.src = p.src
""")


async def prove_edges(session: AsyncSession, edges: Iterable[tuple[int, int]]) -> None:
    """Note that the buyer confirmed what the seller had claimed: edges of (older, younger)."""
    pairs = list(edges)
    values = {
        "proved": int(Proof.PROVED),
        "srcs": [src for src, _ in pairs],
        "dsts": [dst for _, dst in pairs],
    }
    await session.execute(_PROVE, values)
    if on_cluster(session):
        await session.execute(spread.PROVE_COPY, values)


async def find(session: AsyncSession, public_id: UUID) -> Lot:
    """Find a lot by its public id.

    Raises:
        UnknownLot: there is none.
    """
    lot = await session.scalar(select(Lot).where(Lot.public_id == public_id))
    if lot is None:
        raise rules.UnknownLot(lot=str(public_id))
    return lot


_STATES = f"SELECT {_STATE_COLUMNS} FROM lot_balance b JOIN lot l ON l.id = b.lot_id"  # noqa: S608
_STATE_OF = prepared(f"{_STATES} WHERE l.public_id = :id")
_STATES_BY_ID = prepared(f"{_STATES} WHERE l.id = ANY(CAST(:ids AS bigint[]))")
_STOCK = prepared(
    f"{_STATES} WHERE l.holder_id = :holder AND b.remaining_g > 0 "
    "AND (CAST(:product AS bigint) IS NULL OR l.product_id = :product) "
    "ORDER BY l.id LIMIT :most"
)


async def state_of(session: AsyncSession, public_id: UUID) -> LotState:
    """Read a lot with its balance, without a lock.

    Raises:
        UnknownLot: there is none.
    """
    rows = await fetch(session, _STATE_OF, {"id": public_id})
    if not rows:
        raise rules.UnknownLot(lot=str(public_id))
    return _state(rows[0])


async def states_by_id(session: AsyncSession, lot_ids: Iterable[int]) -> dict[int, LotState]:
    """Read several lots with their balances, without locks."""
    rows = await fetch(session, _STATES_BY_ID, {"ids": sorted(set(lot_ids))})
    return {state.id: state for state in map(_state, rows)}


async def stock(
    session: AsyncSession, *, holder_id: int, product_id: int | None, most: int
) -> list[LotState]:
    """List what a holder has left, oldest first."""
    rows = await fetch(session, _STOCK, {"holder": holder_id, "product": product_id, "most": most})
    return [_state(row) for row in rows]


_SUPPLIERS = prepared("""
    WITH RECURSIVE up AS (
        SELECT id AS start, id FROM lot WHERE id = ANY(CAST(:lots AS bigint[]))
        UNION
        SELECT up.start, e.src
        FROM up JOIN lot l ON l.id = up.id AND l.holder_id IS DISTINCT FROM :earlier
        JOIN lot_edge e ON e.dst = up.id
    )
    SELECT up.start, array_agg(DISTINCT l.from_party_id)
    FROM up JOIN lot l ON l.id = up.id AND l.holder_id = :earlier
    GROUP BY up.start
""")


async def suppliers_of_earlier(
    session: AsyncSession, lot_ids: Iterable[int], *, earlier_id: int
) -> dict[int, int]:
    """Answer who had supplied lots to the party that held the goods some time before.

    What goes back to that party can go on back to its own supplier, whoever refused it on the way.
    Lots of several suppliers, and of none, are left out.
    """
    rows = await fetch(session, _SUPPLIERS, {"lots": sorted(set(lot_ids)), "earlier": earlier_id})
    return {row[0]: row[1][0] for row in rows if len(row[1]) == 1 and row[1][0] is not None}
