"""What a holder does with lots alone: opens, splits, merges, transforms, loses, destroys them."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import DomainError, IdReused
from app.event import service as events
from app.event.rules import EventKind, check_made, check_occurred
from app.event.service import Happening
from app.lot import rules, service
from app.lot.models import Lot, LotChange
from app.lot.rules import ChangeKind, Draw, LotOrigin, LotState, Proof
from app.lot.schemas import LotIn
from app.lot.service import Birth, LotDraft, Parent, Withdrawal
from app.party import service as parties
from app.party.access import Caller, OtherParty
from app.place import service as places
from app.product import service as products
from app.product.rules import Catalogue
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

EVENT_OF = {
    ChangeKind.SPLIT: EventKind.SPLIT,
    ChangeKind.MERGE: EventKind.MERGE,
    ChangeKind.TRANSFORM: EventKind.TRANSFORM,
    ChangeKind.LOSS: EventKind.LOSS,
    ChangeKind.DESTROY: EventKind.DESTROY,
}


@dataclass(frozen=True, slots=True)
class Input:
    """Grams of a lot that go into a change; None for all that is left."""

    lot: UUID
    mass_g: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A lot that comes out of a change; without a product, that of what went in."""

    lot: UUID
    mass_g: int
    quantity: Decimal
    unit: str
    product_id: int | None = None
    pieces: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeDraft:
    """A change that is to be made.

    Attributes:
        digest: What tells whether a repeated request is the same.
        details: Why, and with what: process, method, kind of loss; words of ours.
        words: What somebody typed: reason, number of a receipt. It may name a person, so that the
            log, which is for ever, keeps commitments to it.
    """

    public_id: UUID
    kind: ChangeKind
    digest: bytes
    holder_id: int
    holder: UUID
    occurred_at: datetime
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the law's dated data says about this change.

    Attributes:
        certificate_due: Mixing producers of this product needs a new certificate on the day.
        certified: That certificate comes along.
        cover_passes: The parts of a split stay under the certificate of the whole.
        held_too: Goods on hold leave too, because a recall says what became of them.
        recall: The open case that has to say so, where this change is none of it.
        proved: Images and a witness show what becomes of goods on hold.
    """

    certificate_due: bool = False
    certified: bool = False
    cover_passes: bool = True
    held_too: bool = False
    recall: UUID | None = None
    proved: bool = True


async def open_lot(
    session: AsyncSession,
    public_id: UUID,
    body: LotIn,
    caller: Caller,
    *,
    digest: bytes,
    now: datetime,
) -> tuple[Lot, bool]:
    """Bring a lot into being that no other lot went into: a harvest, a catch, a declaration.

    Returns:
        The lot, and whether it is new.

    Raises:
        IdReused: the id names a lot with other content.
        ImpossibleDate: it cannot have happened then.
        WrongRole: the party's roles do not include this.
        UnknownProduct, UnknownUnit, …: see `QuantityIn.reckon`.
        UnknownParty: there is no such producer.
        ProducerMissing: animals came in for slaughter from nobody.
        UnknownPlace, OtherParty: there is no such plot, or it is another party's.
        OriginMissing: produce without a plot or a division.
        UnknownDivision, DivisionNotInForce: the division was none on the day.
    """
    existing = await session.scalar(select(Lot).where(Lot.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(lot=str(public_id))
        return existing, False
    occurred_at = body.occurred_at or now
    check_occurred(occurred_at, now=now)
    if body.made_on is not None:
        check_made(body.made_on, occurred_at)
    rules.check_opening(LotOrigin(body.origin), caller.roles)
    catalogue = await products.catalogue(session)
    reckoned = body.reckon(body.product, local_date(occurred_at), catalogue)
    producer = await _producer(session, body, caller)
    made_on = body.made_on or local_date(occurred_at)
    plot_id, division_code = await _origin(session, body, caller, made_on)
    draft = LotDraft(
        public_id=public_id,
        product_id=body.product,
        holder_id=caller.acting_party,
        origin=LotOrigin(body.origin),
        mass_g=reckoned.mass_g,
        quantity=reckoned.quantity,
        unit=reckoned.unit,
        producer_id=None if producer is None else producer[0],
        production=body.production,
        pieces=reckoned.pieces,
        division_code=division_code,
        plot_id=plot_id,
        made_on=made_on,
        documents=tuple(document.model_dump(mode="json") for document in body.documents),
        digest=digest,
    )
    await _write_opening(session, draft, caller, producer, occurred_at=occurred_at, now=now)
    return await service.find(session, public_id), True


async def _producer(session: AsyncSession, body: LotIn, caller: Caller) -> tuple[int, UUID] | None:
    """Say who produced the goods: whoever harvests does, and others must be named."""
    if body.producer is not None:
        named = await parties.find(session, body.producer)
        if LotOrigin(body.origin) in rules.OWN_PRODUCE and named.id != caller.party_id:
            raise rules.WrongRole(origin=body.origin, pointer="/producer")
        return named.id, named.public_id
    if LotOrigin(body.origin) in rules.OWN_PRODUCE:
        return caller.acting_party, caller.acting_public_id
    if body.origin is LotOrigin.SLAUGHTER_IN:
        raise rules.ProducerMissing(pointer="/producer")
    return None


async def _origin(
    session: AsyncSession, body: LotIn, caller: Caller, made_on: date
) -> tuple[int | None, str | None]:
    """Say where the goods come from, and see that this place was one on the day."""
    plot_id, code = None, body.division_code
    if body.plot is not None:
        plot = await places.find_place(session, body.plot)
        if LotOrigin(body.origin) in rules.OWN_PRODUCE and plot.party_id != caller.party_id:
            raise OtherParty(pointer="/plot")
        plot_id, code = plot.id, plot.division_code
    if code is None:
        if LotOrigin(body.origin) in rules.SOURCES:
            raise rules.OriginMissing(pointer="/plot")
        return None, None
    return plot_id, (await places.division(session, code, made_on)).code


async def _write_opening(
    session: AsyncSession,
    draft: LotDraft,
    caller: Caller,
    producer: tuple[int, UUID] | None,
    *,
    occurred_at: datetime,
    now: datetime,
) -> None:
    happening = Happening(
        public_id=draft.public_id,
        kind=EventKind(draft.origin),
        occurred_at=occurred_at,
        party_id=caller.acting_party,
        place_id=draft.plot_id,
    )
    event_id = await events.record(session, happening, now=now)
    await service.make(session, [Birth(event_id, occurred_at, [draft])])
    document = {
        "origin": draft.origin,
        "holder": str(caller.party_public_id),
        "producer": None if producer is None else str(producer[1]),
        "product": draft.product_id,
        "mass_g": str(draft.mass_g),
        "division": draft.division_code,
        "made_on": None if draft.made_on is None else draft.made_on.isoformat(),
        "t": occurred_at.isoformat(),
    }
    statement = Statement("lot.opened", draft.public_id, document)
    await transparency.append(session, [statement], now=now)


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A change that somebody asks for, before its lots were looked at.

    Attributes:
        digest: What tells whether a repeated request is the same.
        inputs: The lots that go in.
        outputs: The ids of the lots that are to come out.
        plan: Says what is to be made of them, and what the law says about it; it refuses what
            cannot be said in grams.
    """

    public_id: UUID
    digest: bytes
    inputs: tuple[UUID, ...]
    outputs: tuple[UUID, ...]
    plan: Callable[[Mapping[UUID, LotState]], tuple[ChangeDraft, Policy]]


def removing(draft: ChangeDraft, policy: Policy) -> ChangeRequest:
    """Ask for a change that takes goods out and brings nothing into being."""
    return ChangeRequest(
        draft.public_id,
        draft.digest,
        inputs=tuple(item.lot for item in draft.inputs),
        outputs=(),
        plan=lambda _: (draft, policy),
    )


Made = tuple[LotChange, bool]
"""A change, with what is worth a warning, and whether it is new."""


@dataclass(frozen=True, slots=True)
class _Decided:
    """A change that the rules let pass, and what it takes."""

    draft: ChangeDraft
    draws: Sequence[Draw]
    withdrawal: Withdrawal
    made: Sequence[LotDraft]
    findings: list[dict[str, Any]]


async def apply(
    session: AsyncSession, request: ChangeRequest, *, catalogue: Catalogue, now: datetime
) -> Made:
    """Make a change, or find that it was made.

    Raises:
        UnknownLot: there is no such lot.
        IdReused: the id names a change with other content, or an output's id a lot.
        Cycle: a lot is to come out of itself.
        ImpossibleDate, MadeTooEarly: it cannot have happened then.
        NotHolder, LotOnHold, LotUnderRecall, DestructionNeedsProof, LotExhausted: see
            `rules.check_draw`.
        ProductsDiffer, MergeNeedsCertificate: see `rules.check_merge`.
        MassesDiffer: what comes out of a split or a merge is not what goes in.
        UnknownProcess: no such process for these products on the day.
    """
    (outcome,) = await apply_all(session, [request], catalogue=catalogue, now=now)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


async def apply_all(
    session: AsyncSession,
    requests: Sequence[ChangeRequest],
    *,
    catalogue: Catalogue,
    now: datetime,
) -> list[Made | DomainError]:
    """Make changes one after the other; one that is refused leaves nothing, and stops no other.

    Every lot that is named is locked before anything is decided. Each change sees the lots as those
    before it leave them, and what follows from all of them is written in one go, unless a change
    takes what another one of the same call brings into being.

    Returns:
        For each request the change, or why it was refused.
    """
    stock = await service.lock_found(session, (lot for asked in requests for lot in asked.inputs))
    known = await _known(session, requests)
    taken = await _taken(session, (lot for asked in requests for lot in asked.outputs))
    waiting: dict[UUID, _Decided] = {}
    outcomes: list[Made | DomainError | UUID] = []
    for asked in requests:
        if any(lot.public_id in asked.inputs for one in waiting.values() for lot in one.made):
            known |= await _write(session, waiting, now=now)
            waiting = {}
            stock |= await service.lock_found(session, asked.inputs)
        try:
            service.check_found(stock, asked.inputs)
            if asked.public_id in waiting:
                _check_same(waiting[asked.public_id].draft.digest, asked)
                outcomes.append(asked.public_id)
                continue
            if (change := known.get(asked.public_id)) is not None:
                _check_same(change.digest, asked)
                outcomes.append((change, False))
                continue
            decided = _decide(asked, stock, taken, catalogue, now=now)
        except DomainError as refusal:
            outcomes.append(refusal)
            continue
        stock |= {draw.lot.public_id: decided.withdrawal.after(draw.lot) for draw in decided.draws}
        taken |= set(asked.outputs)
        waiting[asked.public_id] = decided
        outcomes.append(asked.public_id)
    known |= await _write(session, waiting, now=now)
    return _with_changes(outcomes, known)


def _with_changes(
    outcomes: Sequence[Made | DomainError | UUID], known: Mapping[UUID, LotChange]
) -> list[Made | DomainError]:
    """Put the changes in the place of their ids; one that is named again is not new."""
    seen: set[UUID] = set()
    answers: list[Made | DomainError] = []
    for outcome in outcomes:
        if isinstance(outcome, UUID):
            answers.append((known[outcome], outcome not in seen))
            seen.add(outcome)
        else:
            answers.append(outcome)
    return answers


def _check_same(digest: bytes, asked: ChangeRequest) -> None:
    if digest != asked.digest:
        raise IdReused(change=str(asked.public_id))


async def is_made(session: AsyncSession, public_id: UUID) -> bool:
    """Say whether a change of this id was made, whatever it was."""
    found = select(LotChange.id).where(LotChange.public_id == public_id)
    return await session.scalar(found) is not None


async def _known(session: AsyncSession, requests: Sequence[ChangeRequest]) -> dict[UUID, LotChange]:
    wanted = [asked.public_id for asked in requests]
    found = await session.scalars(select(LotChange).where(LotChange.public_id.in_(wanted)))
    return {change.public_id: change for change in found}


async def _taken(session: AsyncSession, wanted: Iterable[UUID]) -> set[UUID]:
    """Answer which ids stand for lots already."""
    ids = set(wanted)
    if not ids:
        return set()
    return set(await session.scalars(select(Lot.public_id).where(Lot.public_id.in_(ids))))


def _decide(
    asked: ChangeRequest,
    stock: Mapping[UUID, LotState],
    taken: Container[UUID],
    catalogue: Catalogue,
    *,
    now: datetime,
) -> _Decided:
    draft, policy = asked.plan(stock)
    draws = _check(draft, stock, policy, now=now)
    findings = _check_yield(draft, draws, catalogue)
    for lot in asked.outputs:
        if lot in taken:
            raise IdReused(lot=str(lot))
    withdrawal = Withdrawal()
    cover_g = sum(withdrawal.take(draw) for draw in draws)
    made = _outputs(draft, draws, cover_g if policy.cover_passes and not policy.certified else 0)
    return _Decided(draft, draws, withdrawal, made, findings)


def _check(
    draft: ChangeDraft, stock: Mapping[UUID, LotState], policy: Policy, *, now: datetime
) -> list[Draw]:
    itself = {output.lot for output in draft.outputs} & {item.lot for item in draft.inputs}
    if itself:
        raise rules.Cycle(lot=str(min(itself)))
    check_occurred(draft.occurred_at, now=now)
    draws = [_drawn(draft, item, stock[item.lot]) for item in draft.inputs]
    for draw in draws:
        rules.check_draw(
            draw,
            holder_id=draft.holder_id,
            held_too=policy.held_too or draft.kind is ChangeKind.DESTROY,
            recall=policy.recall,
            proved=policy.proved,
        )
        if draw.mass_g == 0:
            raise rules.LotExhausted(lot=str(draw.lot.public_id), remaining_g=0)
        if draw.lot.made_on is not None and local_date(draft.occurred_at) < draw.lot.made_on:
            raise rules.MadeTooEarly(lot=str(draw.lot.public_id), pointer="/occurred_at")
    if draft.kind is ChangeKind.MERGE:
        rules.check_merge(draws, certificate_due=policy.certificate_due, certified=policy.certified)
    if draft.kind in {ChangeKind.SPLIT, ChangeKind.MERGE}:
        difference_g = sum(draw.mass_g for draw in draws) - sum(
            output.mass_g for output in draft.outputs
        )
        if difference_g:
            raise rules.MassesDiffer(difference_g=difference_g)
    return draws


def _drawn(draft: ChangeDraft, item: Input, lot: LotState) -> Draw:
    """Say what leaves a lot; of its pieces all, those that were counted out, or nobody knows."""
    mass_g = lot.remaining_g if item.mass_g is None else item.mass_g
    pieces: int | None = None
    if mass_g == lot.remaining_g:
        pieces = lot.remaining_pieces
    elif draft.kind is ChangeKind.LOSS:
        pieces = 0  # Goods dry out, and are as many as before.
    elif draft.kind is ChangeKind.SPLIT:
        counted = [output.pieces for output in draft.outputs if output.pieces is not None]
        pieces = sum(counted) if len(counted) == len(draft.outputs) else None
    return Draw(lot, mass_g, pieces)


def _check_yield(
    draft: ChangeDraft, draws: Sequence[Draw], catalogue: Catalogue
) -> list[dict[str, Any]]:
    """Compare what came out with what the process usually gives; outside it is a warning.

    Bands are given for one output or for all outputs together, in grams out for 1,000 grams in.
    """
    if draft.kind is not ChangeKind.TRANSFORM:
        return []
    on = local_date(draft.occurred_at)
    process = draft.details["process"]
    input_g = sum(draw.mass_g for draw in draws)
    output_g: dict[int | None, int] = {None: sum(output.mass_g for output in draft.outputs)}
    for output in draft.outputs:
        assert output.product_id is not None, "a transform names what comes out"
        output_g[output.product_id] = output_g.get(output.product_id, 0) + output.mass_g
    bands = [
        (product_id, band)
        for product_id in output_g
        for draw in draws[:1]
        for band in catalogue.yield_bands(process, draw.lot.product_id, product_id, on)
    ]
    if not bands or len({draw.lot.product_id for draw in draws}) > 1:
        raise rules.UnknownProcess(process=process)
    return [
        {
            "code": "yield-out-of-band",
            "severity": "warning",
            "process": process,
            "product": product_id,
            "permille": output_g[product_id] * 1000 // input_g,
            "low_permille": band.low_permille,
            "high_permille": band.high_permille,
            "source": band.source,
        }
        for product_id, band in bands
        if not band.holds(input_g, output_g[product_id])
    ]


async def _write(
    session: AsyncSession, decided: Mapping[UUID, _Decided], *, now: datetime
) -> dict[UUID, LotChange]:
    """Write decided changes: balances, events, lots, changes and log entries, a statement each."""
    if not decided:
        return {}
    total = Withdrawal()
    for one in decided.values():
        total.include(one.withdrawal)
    await service.draw(session, total)
    event_ids = await events.record_all(
        session, [_happening(one.draft) for one in decided.values()], now=now
    )
    births = [
        Birth(event_ids[public_id], one.draft.occurred_at, one.made)
        for public_id, one in decided.items()
    ]
    lot_ids = await service.make(session, births)
    changes = {
        public_id: LotChange(
            public_id=public_id,
            kind=one.draft.kind,
            digest=one.draft.digest,
            holder_id=one.draft.holder_id,
            event_id=event_ids[public_id],
            lot_ids=[lot_ids[lot.public_id] for lot in one.made],
            findings=one.findings,
            occurred_at=one.draft.occurred_at,
        )
        for public_id, one in decided.items()
    }
    session.add_all(changes.values())
    await session.flush()
    salts = await _salts(session, [one.draft for one in decided.values()])
    statements = [_statement(one, salts) for one in decided.values()]
    await transparency.append(session, statements, now=now)
    return changes


def _happening(draft: ChangeDraft) -> Happening:
    return Happening(
        public_id=draft.public_id,
        kind=EVENT_OF[draft.kind],
        occurred_at=draft.occurred_at,
        party_id=draft.holder_id,
        details={**draft.details, **draft.words},
    )


async def _salts(session: AsyncSession, drafts: Iterable[ChangeDraft]) -> dict[int, bytes]:
    holders = {draft.holder_id for draft in drafts if draft.words}
    known = await parties.by_ids(session, holders) if holders else {}
    return {party_id: party.commit_salt for party_id, party in known.items()}


def _statement(decided: _Decided, salts: Mapping[int, bytes]) -> Statement:
    draft = decided.draft
    document = {
        "holder": str(draft.holder),
        "inputs": [
            {"lot": str(draw.lot.public_id), "mass_g": str(draw.mass_g)} for draw in decided.draws
        ],
        "outputs": [
            {"lot": str(lot.public_id), "product": lot.product_id, "mass_g": str(lot.mass_g)}
            for lot in decided.made
        ],
        "details": draft.details,
        "commits": {
            name: commitment(salts[draft.holder_id], said) for name, said in draft.words.items()
        },
        "t": draft.occurred_at.isoformat(),
    }
    return Statement(f"lot.{draft.kind}", draft.public_id, document)


def _outputs(draft: ChangeDraft, draws: Sequence[Draw], cover_g: int) -> list[LotDraft]:
    """Draft the lots that come out, with the grams of each input that went into each.

    The grams that go in are shared among the outputs in proportion to the outputs' own mass, and
    no edge is of nothing: what an input gives adds up to what was drawn from it.
    """
    weights = [output.mass_g for output in draft.outputs]
    parts = (
        {draw.lot.id: rules.apportion(draw.mass_g, weights) for draw in draws} if weights else {}
    )
    covers = rules.apportion(cover_g, weights) if weights else []
    sources = [draw.lot for draw in draws]
    same_product = draft.kind is not ChangeKind.TRANSFORM
    producer_id = rules.shared_producer(sources)
    certificates = {known for lot in sources for known in lot.certificate_ids}
    return [
        LotDraft(
            public_id=output.lot,
            product_id=output.product_id or sources[0].product_id,
            holder_id=draft.holder_id,
            origin=LotOrigin(draft.kind),
            mass_g=output.mass_g,
            quantity=output.quantity,
            unit=output.unit,
            producer_id=producer_id,
            mixed=(producer_id is None and len(sources) > 1) or any(lot.mixed for lot in sources),
            from_party_id=rules.shared(lot.from_party_id for lot in sources),
            production=rules.shared(lot.production for lot in sources),
            pieces=output.pieces,
            division_code=rules.shared(lot.division_code for lot in sources),
            plot_id=rules.shared(lot.plot_id for lot in sources),
            made_on=max((lot.made_on for lot in sources if lot.made_on), default=None),
            certificate_ids=tuple(sorted(certificates)) if same_product else (),
            certified_g=min(covers[index], output.mass_g) if same_product else 0,
            documents=tuple(document for lot in sources for document in lot.documents),
            parents=tuple(
                Parent(draw.lot.id, parts[draw.lot.id][index], Proof.OWN)
                for draw in draws
                if parts[draw.lot.id][index]
            ),
        )
        for index, output in enumerate(draft.outputs)
    ]
