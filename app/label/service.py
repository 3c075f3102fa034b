"""Makes rolls of blank labels, and binds each label to what it was stuck on."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import IdReused
from app.core.ids import NewSerial
from app.label import rules
from app.label.models import Label, LabelBinding, LabelRoll
from app.label.schemas import BindingIn
from app.lot import service as lots
from app.lot.rules import NotHolder
from app.party.access import Caller, OtherParty
from app.signing import shortcode
from app.ticket import service as tickets
from app.ticket.rules import TicketStatus, TicketVoided
from app.transparency import service as transparency
from app.transparency.service import Statement


async def make_roll(
    session: AsyncSession,
    public_id: UUID,
    labels: int,
    caller: Caller,
    *,
    new_serial: NewSerial,
    now: datetime,
) -> tuple[LabelRoll, bool]:
    """Make codes for blank labels, or find that they were made.

    Returns:
        The roll, and whether it is new.

    Raises:
        IdReused: the id names another party's roll, or one of another length.
    """
    roll = await session.scalar(select(LabelRoll).where(LabelRoll.public_id == public_id))
    if roll is not None:
        if (roll.party_id, roll.labels) != (caller.acting_party, labels):
            raise IdReused(roll=str(public_id))
        return roll, False
    roll = LabelRoll(public_id=public_id, party_id=caller.acting_party, labels=labels, made_at=now)
    session.add(roll)
    await session.flush()
    session.add_all(
        Label(code=shortcode.encode(new_serial()), roll_id=roll.id, no=no)
        for no in range(1, labels + 1)
    )
    await session.flush()
    return roll, True


async def find_roll(session: AsyncSession, public_id: UUID, caller: Caller) -> LabelRoll:
    """Find a roll of the caller's party.

    Raises:
        UnknownRoll: there is none, or it is another party's: its codes are for nobody else.
    """
    roll = await session.scalar(select(LabelRoll).where(LabelRoll.public_id == public_id))
    if roll is None or roll.party_id != caller.party_id:
        raise rules.UnknownRoll(roll=str(public_id))
    return roll


async def codes_of(session: AsyncSession, roll: LabelRoll) -> Sequence[str]:
    """List the codes of a roll in the order in which they are printed."""
    found = await session.scalars(
        select(Label.code).where(Label.roll_id == roll.id).order_by(Label.no)
    )
    return found.all()


async def count_bound(session: AsyncSession, roll: LabelRoll) -> int:
    """Count the labels of a roll that are in use."""
    counted = await session.scalar(
        select(func.count())
        .select_from(LabelBinding)
        .join(Label, Label.code == LabelBinding.code)
        .where(Label.roll_id == roll.id)
    )
    return counted or 0


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a label is to stand for, with the internal id of it."""

    public_id: UUID
    ticket_id: int | None = None
    lot_id: int | None = None

    def of(self, binding: LabelBinding) -> bool:
        """Whether a binding is to this."""
        return (binding.ticket_id, binding.lot_id) == (self.ticket_id, self.lot_id)


async def bind(
    session: AsyncSession, typed: str, asked: BindingIn, caller: Caller, *, now: datetime
) -> tuple[LabelBinding, bool]:
    """Let a blank label of the caller's stand for a ticket or a lot, once and for all.

    Returns:
        The binding, and whether it is new.

    Raises:
        UnknownLabel: there is no such label.
        OtherParty: the label is of another party's roll, or the ticket concerns the caller not.
        UnknownTicket, UnknownLot: there is no such thing.
        LabelBound: the label stands for something else.
        TicketVoided: the seller took the ticket back.
        NotHolder: another party holds the lot.
    """
    code = await _own_label(session, typed, caller)
    subject = await _subject(session, asked)
    bound = await session.get(LabelBinding, code)
    if bound is not None:
        return _same(bound, subject), False
    await _check_concerned(session, subject, caller)
    made = await session.scalar(
        insert(LabelBinding)
        .values(
            code=code,
            ticket_id=subject.ticket_id,
            lot_id=subject.lot_id,
            party_id=caller.acting_party,
            account_id=caller.account_id,
            bound_at=now,
        )
        .on_conflict_do_nothing()
        .returning(LabelBinding)
    )
    if made is None:
        # A rival bound it between our look and our write, and has committed: the insert waited.
        rival = await session.get(LabelBinding, code)
        assert rival is not None, "bindings are never removed"
        return _same(rival, subject), False
    document = {"label": code, "by": str(caller.acting_public_id), "t": now.isoformat()}
    statement = Statement("label.bound", subject.public_id, document)
    await transparency.append(session, [statement], now=now)
    return made, True


def _same(binding: LabelBinding, subject: _Subject) -> LabelBinding:
    if not subject.of(binding):
        raise rules.LabelBound(label=binding.code)
    return binding


async def _own_label(session: AsyncSession, typed: str, caller: Caller) -> str:
    """Read the code of a label that the caller's party had made."""
    code = read_code(typed)
    owner = await session.scalar(
        select(LabelRoll.party_id)
        .join(Label, Label.roll_id == LabelRoll.id)
        .where(Label.code == code)
    )
    if owner is None:
        raise rules.UnknownLabel
    if owner != caller.party_id:
        raise OtherParty(label=code)
    return code


async def _subject(session: AsyncSession, asked: BindingIn) -> _Subject:
    if asked.ticket is not None:
        ticket, _ = await tickets.find(session, asked.ticket)
        return _Subject(asked.ticket, ticket_id=ticket.id)
    assert asked.lot is not None, "the schema wants one of the two"
    lot = await lots.find(session, asked.lot)
    return _Subject(asked.lot, lot_id=lot.id)


async def _check_concerned(session: AsyncSession, subject: _Subject, caller: Caller) -> None:
    if subject.ticket_id is not None:
        ticket, state = await tickets.by_id(session, subject.ticket_id)
        if caller.party_id not in {ticket.seller_id, ticket.buyer_id}:
            raise OtherParty(ticket=str(subject.public_id))
        if state.status == TicketStatus.VOIDED:
            raise TicketVoided(ticket=str(subject.public_id))
        return
    lot = await lots.find(session, subject.public_id)
    if lot.holder_id != caller.party_id:
        raise NotHolder(lot=str(subject.public_id))


def read_code(typed: str) -> str:
    """Read a label's code as people type it.

    Raises:
        UnknownLabel: it is no short code, so that no label has it.
    """
    try:
        return shortcode.parse(typed).code
    except shortcode.BadCodeError:
        raise rules.UnknownLabel from None


async def find(session: AsyncSession, typed: str) -> tuple[str, LabelBinding | None]:
    """Find a label by its code as people type it; answer the code, and what it stands for.

    Raises:
        UnknownLabel: there is none.
    """
    code = read_code(typed)
    known, binding = await look(session, code)
    if not known:
        raise rules.UnknownLabel
    return code, binding


async def look(session: AsyncSession, code: str) -> tuple[bool, LabelBinding | None]:
    """Answer whether there is a label of this code, and what it stands for."""
    row = (
        await session.execute(
            select(Label, LabelBinding)
            .outerjoin(LabelBinding, LabelBinding.code == Label.code)
            .where(Label.code == code)
        )
    ).one_or_none()
    return (False, None) if row is None else (True, row[1])


async def bindings_of(session: AsyncSession, codes: Collection[str]) -> dict[str, LabelBinding]:
    """Answer what these labels stand for, those that were bound to something."""
    if not codes:
        return {}
    found = await session.scalars(select(LabelBinding).where(LabelBinding.code.in_(codes)))
    return {row.code: row for row in found}


async def of_lots(session: AsyncSession, lot_ids: Iterable[int]) -> dict[int, str]:
    """Answer the label that was bound to each of these lots, the last one of several."""
    rows = await session.execute(
        select(LabelBinding.lot_id, LabelBinding.code)
        .where(LabelBinding.lot_id.in_(sorted(set(lot_ids))))
        .order_by(LabelBinding.bound_at, LabelBinding.code)
    )
    return {lot_id: code for lot_id, code in rows if lot_id is not None}
