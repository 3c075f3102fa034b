"""Reads recalls: who may see and lead them, their sums, and everything that is recorded in them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.evidence import service as evidence
from app.lot import service as lots
from app.party import service as parties
from app.party.access import Audience, Caller, RoleKind, governs
from app.product import service as products
from app.recall import authority, rules, schemas
from app.recall.models import (
    Recall,
    RecallDisposal,
    RecallForwarding,
    RecallNotice,
    RecallSignOff,
)
from app.recall.rules import Outcome, Relation, StepKind, Totals, Trigger, UnknownRecall, minutes
from app.ticket.rules import BuyerKind

SALES_MAX = 200

# A holder is told of its own goods in a case, and of what was found.
_GOODS = text("""
    SELECT n.id AS notice, g.product_id
    FROM notice n CROSS JOIN LATERAL (
        SELECT CAST(n.facts->>'product' AS bigint) AS product_id
        UNION SELECT l.product_id FROM lot l WHERE l.public_id = CAST(n.facts->>'lot' AS uuid)
        UNION SELECT l.product_id
        FROM referral f JOIN lot l ON l.id = f.lot_id WHERE f.public_id = n.subject
        UNION SELECT l.product_id
        FROM recall r JOIN recall_lot s ON s.recall_id = r.id JOIN lot l ON l.id = s.lot_id
        WHERE r.public_id IN (n.subject, CAST(n.facts->>'recall' AS uuid))
            AND (s.relation = 'found' OR s.holder_id = n.party_id)
    ) AS g
    WHERE n.id = ANY(CAST(:notices AS bigint[])) AND g.product_id IS NOT NULL
    ORDER BY n.id, g.product_id
""")


class Sight(StrEnum):
    """How much of a case somebody sees."""

    ALL = "all"
    OWN = "own"


async def goods_of(session: AsyncSession, notices: Sequence[int]) -> dict[int, list[str]]:
    """Name the products that notices are about, by notice; a report's are not known."""
    catalogue = await products.catalogue(session)
    goods: dict[int, list[str]] = defaultdict(list)
    for row in await session.execute(_GOODS, {"notices": list(notices)}):
        goods[row.notice].append(catalogue.product(row.product_id).name)
    return goods


async def find(session: AsyncSession, public_id: UUID) -> Recall:
    """Find a recall by its public id.

    Raises:
        UnknownRecall: there is none.
    """
    recall = await session.scalar(select(Recall).where(Recall.public_id == public_id))
    if recall is None:
        raise UnknownRecall(recall=str(public_id))
    return recall


async def leads(session: AsyncSession, recall: Recall, caller: Caller, *, on: date) -> bool:
    """Whether the caller opened a case, is the office over whoever did, or is in charge of it."""
    return await _is_its(session, recall, caller) or await in_charge(session, recall, caller, on=on)


async def _is_its(session: AsyncSession, recall: Recall, caller: Caller) -> bool:
    if caller.party_id == recall.opened_by:
        return True
    opener = (await parties.by_ids(session, [recall.opened_by]))[recall.opened_by]
    return governs(caller, opener.division_code)


_FOUND = text("SELECT lot_id FROM recall_lot WHERE recall_id = :recall AND relation = 'found'")


async def in_charge(session: AsyncSession, recall: Recall, caller: Caller, *, on: date) -> bool:
    """Whether the caller is an office that ends a case: it opened it, or answers for its goods.

    An operator sees every case, and is no office.
    """
    if not caller.is_office:
        return False
    if caller.party_id == recall.opened_by:
        return True
    return caller.party_id in await offices_in_charge(session, recall, on=on)


async def offices_in_charge(session: AsyncSession, recall: Recall, *, on: date) -> frozenset[int]:
    """Find the offices that end a case, beside the one that opened it."""
    found = (await session.execute(_FOUND, {"recall": recall.id})).scalars()
    states = await lots.states_by_id(session, found)
    goods = [await authority.answering(session, lot) for lot in states.values()]
    opener = (await parties.by_ids(session, [recall.opened_by]))[recall.opened_by]
    offices = await authority.offices_on(session, on)
    return rules.offices_in_charge(offices, goods, site=opener.division_code)


async def charge(
    session: AsyncSession, recall: Recall, caller: Caller, *, on: date
) -> schemas.ChargeOut:
    """Tell who ends a case, and what the caller may do towards it."""
    offices = set(await offices_in_charge(session, recall, on=on))
    if RoleKind.REGULATOR in await parties.role_kinds(session, recall.opened_by, on):
        offices.add(recall.opened_by)
    known = await parties.by_ids(session, offices)
    leading = await leads(session, recall, caller, on=on)
    ends = leading and (recall.mock or await in_charge(session, recall, caller, on=on))
    is_open = recall.closed_at is None
    return schemas.ChargeOut(
        offices=sorted(party.name for party in known.values()),
        may_close=is_open and ends,
        may_ask=is_open and leading and not ends,
    )


PLACES = text("""
    SELECT DISTINCT p.division_code FROM recall_notice n JOIN party p ON p.id = n.party_id
    WHERE n.recall_id = :recall AND p.division_code IS NOT NULL
    UNION
    SELECT l.division_code FROM recall_lot s JOIN lot l ON l.id = s.lot_id
    WHERE s.recall_id = :recall AND s.relation IN ('found', 'source')
        AND l.division_code IS NOT NULL
""")
"""The places of all holders of a case, and those that the goods in question came from."""

_TOLD = text("""
    SELECT EXISTS (SELECT FROM recall_notice WHERE recall_id = :recall AND party_id = :party),
        EXISTS (SELECT FROM notice WHERE subject = :subject AND party_id = :party)
""")


async def check_may_see(session: AsyncSession, recall: Recall, caller: Caller) -> Sight:
    """Say how much of a case the caller sees: all of it, or its own lots.

    Raises:
        UnknownRecall: the case is not for the caller.
    """
    if Audience.OPERATOR in caller.audiences or await _is_its(session, recall, caller):
        return Sight.ALL
    parameters = {"recall": recall.id, "party": caller.party_id, "subject": recall.public_id}
    concerned, told = (await session.execute(_TOLD, parameters)).one()
    if caller.is_office:
        codes = (await session.execute(PLACES, {"recall": recall.id})).scalars()
        if told or any(governs(caller, code) for code in codes):
            return Sight.ALL
    if concerned or told:
        return Sight.OWN
    raise UnknownRecall(recall=str(recall.public_id))


_TOTALS = text("""
    WITH transit AS (
        SELECT d.lot_id, CAST(sum(d.mass_g) AS bigint) AS mass_g
        FROM recall_lot s JOIN ticket_draw d USING (lot_id)
        JOIN ticket t ON t.id = d.ticket_id AND t.hand_over = 'two_sided'
        JOIN ticket_state st ON st.ticket_id = t.id AND st.status = 'issued'
        WHERE s.recall_id = :recall GROUP BY d.lot_id
    ), samples AS (
        SELECT p.lot_id, CAST(sum(p.mass_g) AS bigint) AS mass_g
        FROM recall_lot s JOIN sample p ON p.lot_id = s.lot_id AND p.while_held
        WHERE s.recall_id = :recall GROUP BY p.lot_id
    ), seen AS (
        SELECT s.*, s.holder_id IS NOT NULL AS held, s.on_hand_g + s.in_transit_g AS there_g,
            b.remaining_g, coalesce(w.mass_g, 0) AS way_g,
            CASE WHEN s.holder_id IS NULL OR :mock THEN 0
                ELSE coalesce(x.mass_g, 0) - s.sampled_before_g END AS sampled_g
        FROM recall_lot s JOIN lot_balance b USING (lot_id) LEFT JOIN transit w USING (lot_id)
            LEFT JOIN samples x USING (lot_id)
        WHERE s.recall_id = :recall
    ), now AS (
        SELECT seen.*,
            CASE WHEN NOT held OR :mock THEN 0
                ELSE there_g - remaining_g - way_g - destroyed_g - consumed_g - sampled_g
            END AS elsewhere_g,
            CASE WHEN NOT held THEN 0 WHEN :mock THEN there_g - located_g - consumed_g
                ELSE remaining_g + way_g - remedied_g END AS left_g
        FROM seen
    )
    SELECT CAST(count(*) AS bigint),
        CAST(coalesce(sum(there_g + gone_g), 0) AS bigint),
        CAST(coalesce(sum(exposed_g * CAST(there_g + gone_g AS numeric) / mass_g), 0) AS bigint),
        CAST(coalesce(sum(gone_g), 0) AS bigint),
        CAST(coalesce(sum(located_g), 0) AS bigint),
        CAST(coalesce(sum(recovered_g), 0) AS bigint),
        CAST(coalesce(sum(destroyed_g), 0) AS bigint),
        CAST(coalesce(sum(remedied_g), 0) AS bigint),
        CAST(coalesce(sum(consumed_g), 0) AS bigint),
        CAST(coalesce(sum(sampled_g), 0) AS bigint),
        CAST(coalesce(sum(elsewhere_g), 0) AS bigint),
        CAST(coalesce(sum(gone_g + CASE WHEN held
            THEN least(there_g, located_g + consumed_g + sampled_g + elsewhere_g)
            ELSE 0 END), 0) AS bigint),
        CAST(coalesce(sum(left_g), 0) AS bigint),
        CAST(coalesce(sum(way_g) FILTER (WHERE NOT :mock), 0) AS bigint),
        CAST(coalesce(sum(located_g - destroyed_g - remedied_g)
            FILTER (WHERE NOT held AND NOT :mock), 0) AS bigint),
        (SELECT count(*) FROM recall_notice WHERE recall_id = :recall),
        (SELECT count(*) FROM recall_notice
         WHERE recall_id = :recall AND acknowledged_at IS NULL),
        (SELECT max(acknowledged_at) FROM recall_notice WHERE recall_id = :recall),
        (SELECT count(*) FROM referral
         WHERE recall_id = :recall AND answered_at IS NULL AND withdrawn_at IS NULL)
    FROM now
""")


async def totals(session: AsyncSession, recall: Recall) -> Totals:
    """Sum a case up, as it stands now; of a closed one, as it stood at the sign-off."""
    if recall.report is not None:
        last = recall.report["last_acknowledged_at"]
        return Totals(
            **{
                # Cases signed off before samples were told apart have them among `elsewhere_g`.
                name: int(recall.report.get(name, "0"))
                for name in Totals.__dataclass_fields__
                if name != "last_acknowledged_at"
            },
            last_acknowledged_at=None if last is None else datetime.fromisoformat(last),
        )
    row = (await session.execute(_TOTALS, {"recall": recall.id, "mock": recall.mock})).one()
    return Totals(*row)


def report_of(recall: Recall, summed: Totals) -> dict[str, Any]:
    """Write down how a case stood at its sign-off; grams are texts, as in the log."""
    last = summed.last_acknowledged_at
    return {
        **{name: str(getattr(summed, name)) for name in Totals.__dataclass_fields__},
        "last_acknowledged_at": None if last is None else last.isoformat(),
        "accounted_permille": summed.accounted_permille,
        "minutes_to_scope": minutes(recall.known_at, recall.opened_at),
        "minutes_to_last_acknowledgement": _all_acknowledged(recall, summed),
    }


def _all_acknowledged(recall: Recall, summed: Totals) -> int | None:
    if summed.unacknowledged:
        return None
    return minutes(recall.opened_at, summed.last_acknowledged_at or recall.opened_at)


# --- as they go out ---------------------------------------------------------------------------


async def describe(
    session: AsyncSession, recall: Recall, caller: Caller, *, today: date
) -> schemas.RecallOut:
    """Write a recall as the caller may see it.

    Raises:
        UnknownRecall: it is not for the caller.
    """
    sight = await check_may_see(session, recall, caller)
    return await _written(session, recall, all_of_it=sight is Sight.ALL, today=today)


async def _written(
    session: AsyncSession, recall: Recall, *, all_of_it: bool, today: date
) -> schemas.RecallOut:
    opener = (await parties.by_ids(session, [recall.opened_by]))[recall.opened_by]
    summed = await totals(session, recall)
    asked = select(func.max(RecallSignOff.asked_at)).where(RecallSignOff.recall_id == recall.id)
    return schemas.RecallOut(
        recall=recall.public_id,
        mock=recall.mock,
        grade=recall.grade,
        trigger=Trigger(recall.trigger),
        reason=recall.reason,
        advice=recall.advice,
        opened_by=opener.public_id,
        opened_by_name=opener.name,
        siblings=recall.siblings,
        scope_sha256=recall.scope_sha256.hex(),
        clocks=_clocks(recall, summed, today=today),
        outcome=None if recall.outcome is None else Outcome(recall.outcome),
        closing_reason=recall.closing_reason,
        sign_off_asked_at=await session.scalar(asked),
        totals=schemas.TotalsOut.model_validate(summed) if all_of_it else None,
    )


def _clocks(recall: Recall, summed: Totals, *, today: date) -> schemas.ClocksOut:
    scope = minutes(recall.known_at, recall.opened_at)
    assert scope is not None, "a case has an opening"
    return schemas.ClocksOut(
        known_at=recall.known_at,
        opened_at=recall.opened_at,
        start_due_at=recall.start_due_at,
        started_late=recall.opened_at > recall.start_due_at,
        acknowledge_due_at=recall.acknowledge_due_at,
        last_acknowledged_at=summed.last_acknowledged_at,
        finish_due_on=recall.finish_due_on,
        finish_arranged=recall.finish_arranged,
        overdue=recall.closed_at is None and recall.finish_due_on < today,
        minutes_to_scope=scope,
        minutes_to_last_acknowledgement=_all_acknowledged(recall, summed),
        closed_at=recall.closed_at,
    )


_MINE = text("""
    SELECT r.id FROM recall r
    WHERE (:everything OR r.opened_by = :party
        OR EXISTS (SELECT FROM recall_notice n WHERE n.recall_id = r.id AND n.party_id = :party)
        OR EXISTS (SELECT FROM notice n WHERE n.subject = r.public_id AND n.party_id = :party))
        AND (NOT :open_only OR r.closed_at IS NULL)
    ORDER BY r.id DESC LIMIT :most
""")


async def listed(
    session: AsyncSession, caller: Caller, *, open_only: bool, most: int, today: date
) -> list[schemas.RecallOut]:
    """List the cases that the caller opened, was told of, or oversees; newest first."""
    found = await session.execute(
        _MINE,
        {
            "everything": Audience.OPERATOR in caller.audiences,
            "party": caller.party_id,
            "open_only": open_only,
            "most": most,
        },
    )
    cases = [await session.get_one(Recall, recall_id) for recall_id in found.scalars()]
    return [await describe(session, recall, caller, today=today) for recall in cases]


_LOTS = text("""
    SELECT s.lot_id, l.public_id AS lot, s.relation, l.product_id, h.public_id AS holder,
        h.name AS holder_name, s.mass_g, s.exposed_g, s.on_hand_g, s.in_transit_g, s.passed_on_g,
        s.gone_g, s.located_g, s.recovered_g, s.destroyed_g, s.remedied_g, s.consumed_g,
        CASE WHEN s.holder_id IS NULL OR r.mock THEN 0 ELSE coalesce((
            SELECT CAST(sum(p.mass_g) AS bigint) FROM sample p
            WHERE p.lot_id = s.lot_id AND p.while_held
                AND (r.closed_at IS NULL OR p.recorded_at <= r.closed_at)
        ), 0) - s.sampled_before_g END AS sampled_g
    FROM recall_lot s JOIN recall r ON r.id = s.recall_id JOIN lot l ON l.id = s.lot_id
    LEFT JOIN party h ON h.id = s.holder_id
    WHERE s.recall_id = :recall AND s.lot_id > :after
        AND (CAST(:holder AS bigint) IS NULL OR s.holder_id = :holder)
    ORDER BY s.lot_id LIMIT :most
""")


async def lots_of(
    session: AsyncSession, recall: Recall, *, holder: int | None, after: int, most: int | None
) -> schemas.LotsPage:
    """List the lots of a case, oldest first.

    Args:
        session: The caller's session.
        recall: The case.
        holder: Only this party's lots, if one is named.
        after: Where the page before ended; 0 for the first.
        most: How many at most; all if left out.
    """
    parameters = {"recall": recall.id, "after": after, "holder": holder, "most": most}
    rows = (await session.execute(_LOTS, parameters)).all()
    catalogue = await products.catalogue(session)
    return schemas.LotsPage(
        lots=[
            schemas.RecallLotOut(
                lot=row.lot,
                relation=Relation(row.relation),
                product=row.product_id,
                product_name=catalogue.product(row.product_id).name,
                holder=row.holder,
                holder_name=row.holder_name,
                mass_g=row.mass_g,
                exposed_g=row.exposed_g,
                exposure=row.exposed_g / row.mass_g,
                on_hand_g=row.on_hand_g,
                in_transit_g=row.in_transit_g,
                passed_on_g=row.passed_on_g,
                gone_g=row.gone_g,
                located_g=row.located_g,
                recovered_g=row.recovered_g,
                destroyed_g=row.destroyed_g,
                remedied_g=row.remedied_g,
                consumed_g=row.consumed_g,
                sampled_g=row.sampled_g,
            )
            for row in rows
        ],
        next_after=rows[-1].lot_id if most is not None and len(rows) == most else None,
    )


async def notices_of(
    session: AsyncSession, recall: Recall, *, party: int | None, now: datetime
) -> list[schemas.RecallNoticeOut]:
    """List who was told, those that have not answered first."""
    statement = select(RecallNotice).where(RecallNotice.recall_id == recall.id)
    if party is not None:
        statement = statement.where(RecallNotice.party_id == party)
    rows = (
        await session.scalars(
            statement.order_by(
                RecallNotice.acknowledged_at.asc().nulls_first(), RecallNotice.party_id
            )
        )
    ).all()
    involved = {row.party_id for row in rows} | {row.acknowledged_by for row in rows}
    known = await parties.by_ids(session, {party_id for party_id in involved if party_id})
    return [
        schemas.RecallNoticeOut(
            party=known[row.party_id].public_id,
            name=known[row.party_id].name,
            lots=row.lots,
            on_hand_g=row.on_hand_g,
            in_transit_g=row.in_transit_g,
            sent_at=row.sent_at,
            due_at=row.due_at,
            acknowledged_at=row.acknowledged_at,
            acknowledged_by=(
                None if row.acknowledged_by is None else known[row.acknowledged_by].public_id
            ),
            note=row.words,
            escalated_at=row.escalated_at,
            late=(row.acknowledged_at or now) > row.due_at,
        )
        for row in rows
    ]


_STEPS = text("""
    SELECT s.public_id AS step, l.public_id AS lot, s.kind, s.mass_g, p.public_id AS by, s.words,
        s.recorded_at
    FROM recall_step s JOIN lot l ON l.id = s.lot_id JOIN party p ON p.id = s.party_id
    WHERE s.recall_id = :recall AND (CAST(:step AS uuid) IS NULL OR s.public_id = :step)
    ORDER BY s.id
""")


async def steps_of(
    session: AsyncSession, recall_id: int, *, step: UUID | None = None
) -> list[schemas.StepOut]:
    """List the steps of a case in the order of recording, or one of them."""
    rows = await session.execute(_STEPS, {"recall": recall_id, "step": step})
    return [
        schemas.StepOut(
            step=row.step,
            lot=row.lot,
            kind=StepKind(row.kind),
            mass_g=row.mass_g,
            by=row.by,
            note=row.words,
            recorded_at=row.recorded_at,
        )
        for row in rows
    ]


_DISPOSED = text("""
    SELECT d.disposal_id, l.public_id AS lot, d.mass_g
    FROM recall_disposal_lot d JOIN lot l ON l.id = d.lot_id
    WHERE d.recall_id = :recall ORDER BY d.disposal_id, d.lot_id
""")


async def disposals_of(
    session: AsyncSession, recall_id: int, *, only: RecallDisposal | None = None
) -> list[schemas.DisposalOut]:
    """List the disposals of a case, or one of them."""
    found: Sequence[RecallDisposal] = (
        (
            await session.scalars(
                select(RecallDisposal)
                .where(RecallDisposal.recall_id == recall_id)
                .order_by(RecallDisposal.id)
            )
        ).all()
        if only is None
        else [only]
    )
    rows = (await session.execute(_DISPOSED, {"recall": recall_id})).all()
    images = await evidence.by_ids(session, {one for row in found for one in row.evidence_ids})
    known = await parties.by_ids(session, {row.party_id for row in found})
    return [
        schemas.DisposalOut(
            disposal=row.public_id,
            method=rules.Method(row.method),
            place=row.place,
            witness=row.witness,
            announced_at=row.announced_at,
            disposed_at=row.disposed_at,
            evidence=[images[one].public_id for one in row.evidence_ids],
            evidence_sha256=[images[one].content_sha256.hex() for one in row.evidence_ids],
            by=known[row.party_id].public_id,
            lots=[
                schemas.GramsOut(lot=part.lot, mass_g=part.mass_g)
                for part in rows
                if part.disposal_id == row.id
            ],
            recorded_at=row.recorded_at,
        )
        for row in found
    ]


async def forwardings_of(
    session: AsyncSession, recall_id: int, *, only: RecallForwarding | None = None
) -> list[schemas.ForwardingOut]:
    """List what holders told their buyers outside the platform, or one of these records."""
    found: Sequence[RecallForwarding] = (
        (
            await session.scalars(
                select(RecallForwarding)
                .where(RecallForwarding.recall_id == recall_id)
                .order_by(RecallForwarding.id)
            )
        ).all()
        if only is None
        else [only]
    )
    known = await parties.by_ids(session, {row.party_id for row in found})
    return [
        schemas.ForwardingOut(
            forwarding=row.public_id,
            by=known[row.party_id].public_id,
            channel=rules.Channel(row.channel),
            buyers=row.buyers,
            mass_g=row.mass_g,
            note=row.words,
            told_at=row.told_at,
        )
        for row in found
    ]


async def sign_offs_of(
    session: AsyncSession, recall_id: int, *, only: RecallSignOff | None = None
) -> list[schemas.SignOffOut]:
    """List who asked for a case to be signed off, the latest last, or one of these requests."""
    found: Sequence[RecallSignOff] = (
        (
            await session.scalars(
                select(RecallSignOff)
                .where(RecallSignOff.recall_id == recall_id)
                .order_by(RecallSignOff.id)
            )
        ).all()
        if only is None
        else [only]
    )
    known = await parties.by_ids(session, {row.party_id for row in found})
    return [
        schemas.SignOffOut(
            request=row.public_id,
            by=known[row.party_id].public_id,
            name=known[row.party_id].name,
            outcome=Outcome(row.outcome),
            reason=row.words,
            asked_at=row.asked_at,
        )
        for row in found
    ]


# --- the letter -------------------------------------------------------------------------------

# Who has no account learns nothing from the platform: walk-ins, and buyers who were only invited.
_SALES = text("""
    SELECT t.public_id AS ticket, t.code, t.sold_at, l.product_id,
        CASE WHEN t.buyer_kind = :invited THEN b.name END AS buyer,
        CAST(sum(d.mass_g) AS bigint) AS mass_g
    FROM recall_lot s
    JOIN ticket_draw d USING (lot_id)
    JOIN ticket t ON t.id = d.ticket_id AND t.seller_id = :seller
        AND t.buyer_kind IN (:walk_in, :invited)
    JOIN ticket_state st ON st.ticket_id = t.id AND st.status NOT IN ('voided', 'refused')
    JOIN lot l ON l.id = s.lot_id
    LEFT JOIN party b ON b.id = t.buyer_id
    WHERE s.recall_id = :recall
    GROUP BY t.id, l.product_id, b.name
    ORDER BY t.id
""")


async def letter(session: AsyncSession, recall: Recall, seller_id: int) -> schemas.LetterOut:
    """Write what a holder forwards to its buyers outside the platform."""
    rows = (
        await session.execute(
            _SALES,
            {
                "recall": recall.id,
                "seller": seller_id,
                "walk_in": str(BuyerKind.WALK_IN),
                "invited": str(BuyerKind.INVITED),
            },
        )
    ).all()
    known = await parties.by_ids(session, [seller_id, recall.opened_by])
    catalogue = await products.catalogue(session)
    own = await lots_of(session, recall, holder=seller_id, after=0, most=None)
    names = [row.product_name for row in own.lots]
    names += [catalogue.product(row.product_id).name for row in rows]
    return schemas.LetterOut(
        recall=recall.public_id,
        seller=known[seller_id].name,
        grade=recall.grade,
        mock=recall.mock,
        reason=recall.reason,
        advice=list(rules.ADVICE) if recall.advice is None else [recall.advice],
        opened_by_name=known[recall.opened_by].name,
        opened_at=recall.opened_at,
        products=list(dict.fromkeys(names)),
        sales=[
            schemas.SaleOut(
                ticket=row.ticket,
                code=row.code,
                sold_at=row.sold_at,
                product_name=catalogue.product(row.product_id).name,
                mass_g=row.mass_g,
                buyer=row.buyer,
            )
            for row in rows[:SALES_MAX]
        ],
        more=max(len(rows) - SALES_MAX, 0),
    )
