"""Opens a recall: finds its scope, stops all of it at once, and tells everybody concerned.

How lots that are born meanwhile are kept from slipping through: whoever makes a lot out of others
locks their balances first and refuses what is held. So the balances of the scope are locked, and
the scope is walked again: what had been locked before us has committed by then and is seen, and
what comes after us waits. When a walk meets nothing that is not locked, nothing can be born
any more, and one statement counts a hold on every lot.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import ids
from app.core.clock import local_date
from app.core.errors import IdReused
from app.event import service as events
from app.event.rules import EventKind, check_occurred
from app.event.service import Happening
from app.hold import service as holds
from app.hold.rules import NoticeKind
from app.lot import service as lots
from app.lot.rules import UnknownLot
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Audience, Caller
from app.recall import authority, queries, rules, terms
from app.recall.models import Recall
from app.recall.rules import Relation
from app.recall.schemas import RecallIn, ScopeIn
from app.testing import standards
from app.trace import levels
from app.trace import queries as traces
from app.trace import rules as shares
from app.trace.queries import Walk
from app.trace.rules import SubGraph, TraceTooLarge
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

SCOPE_LOTS_MAX: Final = 500_000
WALKS_MAX: Final = 30
PATIENCE: Final = ("statement_timeout = '120s'", "lock_timeout = '20s'")
"""A scope of a hundred thousand lots takes longer than a request usually may, and hours count."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Where a scope begins, as internal ids.

    Attributes:
        found: What failed.
        suspects: Sources that are recalled with all that was made of them.
        upstream: All that went into what was found.
    """

    found: frozenset[int]
    suspects: frozenset[int]
    upstream: frozenset[int]

    @property
    def lots(self) -> frozenset[int]:
        """All lots whose descendants are in scope."""
        return self.found | self.suspects


class Stock(NamedTuple):
    """What a recall has to know about a lot: whose it is, and how much it was and still is."""

    lot: int
    public_id: UUID
    holder_id: int | None
    mass_g: int
    remaining_g: int


@dataclass(frozen=True, slots=True)
class Scope:
    """All lots of a scope by ascending id, what is known of each, and how it is connected."""

    roots: Roots
    stocks: Sequence[Stock]
    relations: Mapping[int, Relation]

    @property
    def lots(self) -> list[int]:
        """The lots' internal ids, oldest first."""
        return [stock.lot for stock in self.stocks]


async def preview(session: AsyncSession, wanted: ScopeIn, caller: Caller) -> Scope:
    """Answer how far a recall would reach, and hold nothing.

    Raises:
        UnknownLot, NoSuspectSource, HoldNotYours, RecallTooLarge: see `open_case`.
    """
    await be_patient(session)
    roots = await _roots(session, wanted, caller)
    return await _scope(session, roots, await _ahead(session, roots.lots))


async def open_case(
    session: AsyncSession, public_id: UUID, body: RecallIn, caller: Caller, *, now: datetime
) -> tuple[Recall, bool]:
    """Open a recall: from the instant this commits no lot in its scope gives anything away.

    Returns:
        The recall, and whether it is new.

    Raises:
        IdReused: the id names another recall.
        UnknownLot: one of the lots is none.
        ImpossibleDate: the danger cannot have become known then.
        HoldNotYours: the caller does not answer for what was found, or for a suspect source.
        NoSuspectSource: a suspect did not go into what was found.
        KnownBeforeGoods: there were none of the goods then, nor of what they were made of.
        RecallTooLarge: more lots than one case can hold.
    """
    digest = digest_of({**body.model_dump(mode="json"), "by": str(caller.party_public_id)})
    existing = await session.scalar(select(Recall).where(Recall.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(recall=str(public_id))
        return existing, False
    await be_patient(session)
    roots = await _roots(session, body, caller, now=now)
    await _check_known(session, roots, body.known_at)
    met = await (_ahead(session, roots.lots) if body.mock else _lock(session, roots.lots))
    scope = await _scope(session, roots, met)
    recall = await _write(session, public_id, body, caller, scope, digest=digest, now=now)
    await _stop(session, recall, scope)
    told = await _tell_holders(session, recall, scope, caller)
    await _tell_offices(session, recall, scope, caller, now=now)
    await _record(session, recall, body, caller, told=told, now=now)
    return recall, True


async def be_patient(session: AsyncSession) -> None:
    """Let the statements of this transaction take longer than those of an everyday request."""
    for setting in (*PATIENCE, "idle_in_transaction_session_timeout = '120s'"):
        await session.execute(text(f"SET LOCAL {setting}"))


async def _roots(
    session: AsyncSession, wanted: ScopeIn, caller: Caller, *, now: datetime | None = None
) -> Roots:
    named = {*wanted.found, *wanted.suspects}
    known = {
        lot.public_id: lot.id for lot in await traces.asked_lots(session, named, party_id=None)
    }
    for public_id in (*wanted.found, *wanted.suspects):
        if public_id not in known:
            raise UnknownLot(lot=str(public_id))
    if isinstance(wanted, RecallIn):
        assert now is not None, "a case is opened at some time"
        check_occurred(wanted.known_at, now=now, pointer="/known_at")
    found = frozenset(known[public_id] for public_id in wanted.found)
    states = await lots.states_by_id(session, found)
    # Whoever runs the platform may look how far a recall would reach, and opens none.
    looks = Audience.OPERATOR in caller.audiences and not isinstance(wanted, RecallIn)
    if not looks:
        await authority.check_may_recall(session, states.values(), caller)
    free = caller.is_office or looks
    siblings = free if wanted.siblings is None else wanted.siblings
    if not siblings and not wanted.suspects:
        return Roots(found, frozenset(), frozenset())
    upstream = await _back(session, found)
    suspects = frozenset(known[public_id] for public_id in wanted.suspects)
    for public_id in wanted.suspects:
        if known[public_id] not in upstream.nodes:
            raise rules.NoSuspectSource(lot=str(public_id), pointer="/suspects")
    suspects = suspects or frozenset(rules.sources_of(upstream))
    if not free:
        further = await lots.states_by_id(session, suspects - found)
        await authority.check_may_recall(session, further.values(), caller)
    return Roots(found, suspects, frozenset(upstream.nodes) - found)


# Of goods the books tell the day on which they were made, or when they came in.
_BORN = text("""
    SELECT min(least(created_at, CAST(made_on AS timestamp) AT TIME ZONE 'Asia/Shanghai'))
    FROM lot WHERE id = ANY(CAST(:lots AS bigint[]))
""")


async def _check_known(session: AsyncSession, roots: Roots, known_at: datetime) -> None:
    """Refuse a danger that was known before the goods, and what they were made of, were there.

    The clocks of the case begin then, and what is done about it is dated after it.

    Raises:
        KnownBeforeGoods: that is so.
        RecallTooLarge: they were made of too many lots to look.
    """
    born = await _born(session, roots.lots | roots.upstream)
    if known_at < born and not roots.upstream:
        # Nobody had to look what they were made of until now.
        born = await _born(session, (await _back(session, roots.found)).nodes)
    if known_at < born:
        raise rules.KnownBeforeGoods(pointer="/known_at", not_before=born.isoformat())


async def _born(session: AsyncSession, lot_ids: Collection[int]) -> datetime:
    born: datetime = (await session.execute(_BORN, {"lots": list(lot_ids)})).scalar_one()
    return born.replace(second=0, microsecond=0)  # people tell the minute


async def _back(session: AsyncSession, begin: Collection[int]) -> SubGraph:
    try:
        return await traces.walk(session, begin, Walk.BACK, limit=SCOPE_LOTS_MAX)
    except TraceTooLarge:
        raise rules.RecallTooLarge(limit=SCOPE_LOTS_MAX) from None


async def _ahead(session: AsyncSession, begin: Collection[int]) -> Collection[int]:
    try:
        return await traces.ahead(session, begin, limit=SCOPE_LOTS_MAX)
    except TraceTooLarge:
        raise rules.RecallTooLarge(limit=SCOPE_LOTS_MAX) from None


async def _lock(session: AsyncSession, begin: Collection[int]) -> Collection[int]:
    """Lock the balances of the whole scope; see the module's docstring.

    Raises:
        RecallTooLarge: it has too many lots, or grows faster than it can be locked.
    """
    locked: set[int] = set()
    for _ in range(WALKS_MAX):
        met = set(await _ahead(session, begin))
        born = met - locked
        if not born:
            return met
        await lots.lock_balances(session, born)
        locked |= born
    raise rules.RecallTooLarge(limit=SCOPE_LOTS_MAX)


async def _scope(session: AsyncSession, roots: Roots, met: Collection[int]) -> Scope:
    alone = roots.suspects <= roots.found
    below = set(met) if alone else set(await _ahead(session, roots.found))
    relations = rules.relations(
        met, found=roots.found, suspects=roots.suspects, upstream=roots.upstream, below=below
    )
    return Scope(roots, [Stock(*row) for row in await levels.stocks(session, met)], relations)


async def _write(
    session: AsyncSession,
    public_id: UUID,
    body: RecallIn,
    caller: Caller,
    scope: Scope,
    *,
    digest: bytes,
    now: datetime,
) -> Recall:
    known = await terms.terms(session)
    days = (await standards.clocks(session)).working_days
    finish = rules.due_on(known, f"finish_{body.grade}", now, days)
    # A phone's clock may run ahead; nobody knew of anything later than now.
    known_at = min(body.known_at, now)
    recall = Recall(
        public_id=public_id,
        digest=digest,
        mock=body.mock,
        grade=body.grade,
        trigger=body.trigger,
        reason=body.reason,
        advice=body.advice,
        opened_by=caller.acting_party,
        known_at=known_at,
        opened_at=now,
        start_due_at=rules.due_at(known, f"start_{body.grade}", known_at),
        acknowledge_due_at=rules.due_at(known, f"acknowledge_{body.grade}", now),
        finish_due_on=finish.on,
        finish_arranged=finish.arranged,
        siblings=bool(scope.roots.suspects),
        lot_count=len(scope.stocks),
        scope_sha256=rules.scope_hash((stock.public_id, stock.mass_g) for stock in scope.stocks),
    )
    session.add(recall)
    await session.flush()
    return recall


_BALANCES = """
    SELECT lot_id, produced_g, remaining_g FROM lot_balance
    WHERE lot_id = ANY(CAST(:hold_lots AS bigint[])) AND :hold_change = 1
"""
_TRANSIT = """
    SELECT d.lot_id, t.buyer_id, d.mass_g
    FROM ticket_draw d
    JOIN ticket t ON t.id = d.ticket_id AND t.hand_over = 'two_sided'
    JOIN ticket_state s ON s.ticket_id = t.id AND s.status = 'issued'
    WHERE d.lot_id = ANY(CAST(:hold_lots AS bigint[]))
"""


def _stopping(stopped: str) -> str:
    return f"""
        WITH stopped AS ({stopped}), scope AS (
            SELECT * FROM unnest(
                CAST(:hold_lots AS bigint[]), CAST(:relations AS text[]),
                CAST(:exposed AS bigint[])
            ) AS s (lot_id, relation, exposed_g)
        ), transit AS (
            SELECT lot_id, CAST(sum(mass_g) AS bigint) AS mass_g
            FROM ({_TRANSIT}) AS way GROUP BY lot_id
        ), passed AS (
            SELECT src AS lot_id, CAST(sum(mass_g) AS bigint) AS mass_g
            FROM lot_edge WHERE src = ANY(CAST(:hold_lots AS bigint[])) GROUP BY src
        ), sampled AS (
            SELECT lot_id, CAST(sum(mass_g) AS bigint) AS mass_g
            FROM sample WHERE lot_id = ANY(CAST(:hold_lots AS bigint[])) AND while_held
            GROUP BY lot_id
        )
        INSERT INTO recall_lot (
            recall_id, lot_id, relation, holder_id, mass_g, exposed_g, on_hand_g, in_transit_g,
            passed_on_g, gone_g, sampled_before_g
        )
        SELECT :recall, s.lot_id, s.relation, l.holder_id, b.produced_g, s.exposed_g,
            b.remaining_g, coalesce(t.mass_g, 0), coalesce(p.mass_g, 0),
            b.produced_g - b.remaining_g - coalesce(t.mass_g, 0) - coalesce(p.mass_g, 0),
            coalesce(x.mass_g, 0)
        FROM scope s
        JOIN stopped b USING (lot_id)
        JOIN lot l ON l.id = s.lot_id
        LEFT JOIN transit t USING (lot_id)
        LEFT JOIN passed p USING (lot_id)
        LEFT JOIN sampled x USING (lot_id)
    """  # noqa: S608 (constants)


_STOP = text(_stopping(lots.HOLD_SQL))
_COUNT = text(_stopping(_BALANCES))


async def _stop(session: AsyncSession, recall: Recall, scope: Scope) -> None:
    """Count a hold on every lot of the scope and write down what was there, in one statement."""
    met = scope.lots
    parts = await levels.parts_of(session, met)
    # A gate in the same process must not wait until a hundred thousand shares are reckoned.
    reckoned = await asyncio.to_thread(shares.exposures, parts, met, scope.roots.lots)
    done = await session.execute(
        _COUNT if recall.mock else _STOP,
        {
            "recall": recall.id,
            "hold_lots": met,
            "hold_change": 1,
            "relations": [scope.relations[lot] for lot in met],
            "exposed": [
                min(shares.grams_of(reckoned[stock.lot], stock.mass_g), stock.mass_g)
                for stock in scope.stocks
            ],
        },
    )
    assert done.rowcount == len(met), "every lot has a balance"  # type: ignore[attr-defined]


_NOTICES = text(f"""
    INSERT INTO recall_notice (
        recall_id, party_id, lots, on_hand_g, in_transit_g, sent_at, due_at,
        acknowledged_at, acknowledged_by
    )
    SELECT :recall, told.party_id, count(*), sum(told.on_hand_g), sum(told.in_transit_g), :sent_at,
        :due_at, CASE WHEN told.party_id = :opener THEN CAST(:sent_at AS timestamptz) END,
        CASE WHEN told.party_id = :opener THEN told.party_id END
    FROM (
        SELECT holder_id AS party_id, on_hand_g, 0 AS in_transit_g
        FROM recall_lot WHERE recall_id = :recall AND holder_id IS NOT NULL
        UNION ALL
        SELECT buyer_id, 0, mass_g FROM ({_TRANSIT}) AS way WHERE buyer_id IS NOT NULL
    ) AS told
    GROUP BY told.party_id
    RETURNING party_id
""")  # noqa: S608 (constants)


async def _tell_holders(session: AsyncSession, recall: Recall, scope: Scope, caller: Caller) -> int:
    rows = await session.execute(
        _NOTICES,
        {
            "recall": recall.id,
            "hold_lots": scope.lots,
            "sent_at": recall.opened_at,
            "due_at": recall.acknowledge_due_at,
            "opener": caller.acting_party,
        },
    )
    told = set(rows.scalars())
    kind = NoticeKind.MOCK_RECALL if recall.mock else NoticeKind.RECALLED
    await holds.tell(
        session, kind, recall.public_id, told - {caller.party_id}, _facts(recall), recall.opened_at
    )
    return len(told)


def _facts(recall: Recall) -> dict[str, Any]:
    return {
        "grade": recall.grade,
        "reason": recall.reason,
        "acknowledge_until": recall.acknowledge_due_at.isoformat(),
        **exercise(recall),
    }


def exercise(recall: Recall) -> dict[str, Any]:
    """Say in a notice that it is about an exercise, for which nobody must be sent out."""
    return {"mock": "true"} if recall.mock else {}


_PLACES = text("""
    SELECT DISTINCT p.division_code FROM recall_notice n JOIN party p ON p.id = n.party_id
    WHERE n.recall_id = :recall AND p.division_code IS NOT NULL
    UNION
    SELECT l.division_code FROM recall_lot s JOIN lot l ON l.id = s.lot_id
    WHERE s.recall_id = :recall AND l.division_code IS NOT NULL
""")
# Where goods of the scope were sold, and where those in question came in and may lie unsold: what
# was bought of others in the scope is among their sales.
_MARKETS = text("""
    SELECT p.party_id, p.division_code
    FROM ticket_draw d JOIN ticket t ON t.id = d.ticket_id JOIN place p ON p.id = t.market_id
    WHERE d.lot_id = ANY(CAST(:lots AS bigint[]))
    UNION
    SELECT p.party_id, p.division_code
    FROM lot_edge e
    JOIN ticket_receipt r ON r.lot_id = e.src AND r.received_lot_id = e.dst
    JOIN ticket t ON t.id = r.ticket_id JOIN place p ON p.id = t.market_id
    WHERE e.dst = ANY(CAST(:roots AS bigint[]))
""")


async def _tell_offices(
    session: AsyncSession, recall: Recall, scope: Scope, caller: Caller, *, now: datetime
) -> None:
    """Tell the regulators of every place that the goods reached, and the markets they were in."""
    codes = set((await session.execute(_PLACES, {"recall": recall.id})).scalars())
    markets = (
        await session.execute(_MARKETS, {"lots": scope.lots, "roots": list(scope.roots.lots)})
    ).all()
    codes |= {code for _, code in markets}
    on = local_date(now)
    offices = await authority.offices_of(session, codes, on=on)
    offices |= await queries.offices_in_charge(session, recall, on=on)
    told = {*offices, *(party for party, _ in markets)} - {caller.party_id}
    kind = NoticeKind.MOCK_RECALL if recall.mock else NoticeKind.RECALL_REPORTED
    await holds.tell(session, kind, recall.public_id, told, _facts(recall), now)


async def _record(
    session: AsyncSession,
    recall: Recall,
    body: RecallIn,
    caller: Caller,
    *,
    told: int,
    now: datetime,
) -> None:
    if not recall.mock:
        await events.record(
            session,
            Happening(
                public_id=ids.uuid7(),
                kind=EventKind.HOLD,
                occurred_at=now,
                party_id=caller.acting_party,
                details={"recall": str(recall.public_id), "lots": recall.lot_count},
            ),
            now=now,
        )
    document = {
        "mock": recall.mock,
        "grade": recall.grade,
        "trigger": recall.trigger,
        "by": str(caller.acting_public_id),
        "reason_commit": await commit_to(session, caller, recall.reason),
        "known_at": recall.known_at.isoformat(),
        "found": sorted(str(lot) for lot in body.found),
        "lots": recall.lot_count,
        "notices": told,
        "scope_sha256": recall.scope_sha256.hex(),
        "t": now.isoformat(),
    }
    statement = Statement("recall.opened", recall.public_id, document)
    await transparency.append(session, [statement], now=now)


async def commit_to(session: AsyncSession, caller: Caller, words: str) -> str:
    """Stand in for what somebody typed: it may name a person, and the log is for ever."""
    party = caller.acting_party
    return commitment((await parties.by_ids(session, [party]))[party].commit_salt, words)
