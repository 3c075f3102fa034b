"""Records treatments, and answers from when a crop may be harvested."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from importlib import resources
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.snapshot import Snapshot
from app.event.rules import check_occurred
from app.farming import rules
from app.farming.models import PreharvestInterval, Treatment
from app.farming.rules import Interval
from app.farming.schemas import TreatmentIn, TreatmentOut
from app.party import service as parties
from app.party.access import Caller, OtherParty, may_supervise
from app.place import service as places
from app.place.rules import PlaceKind
from app.product import service as products
from app.transparency import rules as log
from app.transparency import service as transparency
from app.transparency.service import Statement

INTERVALS_LAST_S = 600


class _IntervalEntry(BaseModel):
    """A row of `intervals.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    substance: str
    product_id: int = Field(ge=0)
    days: int = Field(ge=0)
    valid_from: date
    valid_to: date | None
    source: str = Field(min_length=1)
    verified: bool


async def load_intervals(session: AsyncSession) -> None:
    """Bring the intervals to the content of the file that comes with the program."""
    content = resources.files("app.farming").joinpath("data/intervals.json").read_bytes()
    entries = TypeAdapter(list[_IntervalEntry]).validate_json(content)
    await session.execute(delete(PreharvestInterval))
    session.add_all(PreharvestInterval(**entry.model_dump()) for entry in entries)
    await session.flush()
    intervals.forget(session)


async def _read_intervals(session: AsyncSession) -> list[Interval]:
    return [
        Interval(row.substance, row.product_id or None, row.days, row.valid_from, row.valid_to)
        for row in await session.scalars(select(PreharvestInterval))
    ]


intervals = Snapshot(_read_intervals, lasts_s=INTERVALS_LAST_S)
"""Answers the dated pre-harvest intervals."""


async def record(
    session: AsyncSession, public_id: UUID, body: TreatmentIn, caller: Caller, *, now: datetime
) -> tuple[Treatment, bool]:
    """Record a treatment, or find that it was recorded.

    Returns:
        The treatment, and whether it is new.

    Raises:
        IdReused: the id names a treatment with other content.
        ImpossibleDate: it cannot have happened then.
        UnknownPlace: there is no such plot.
        NotAPlot: the place is something else.
        OtherParty: it is another party's plot.
        UnknownProduct: there is no such crop.
    """
    applied_at = body.applied_at.astimezone(UTC)
    document = {
        "plot": str(body.plot),
        "by": str(caller.acting_public_id),
        "substance": body.substance,
        "dose": body.dose,
        "applied_at": applied_at.isoformat(),
        "product": body.product,
        "label_days": body.label_days,
    }
    digest = hashlib.sha256(log.leaf("treatment.recorded", document)).digest()
    existing = await session.scalar(select(Treatment).where(Treatment.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(treatment=str(public_id))
        return existing, False
    check_occurred(applied_at, now=now, pointer="/applied_at")
    plot = await places.find_place(session, body.plot)
    if plot.kind != PlaceKind.PLOT:
        raise rules.NotAPlot(pointer="/plot", place=str(body.plot))
    if plot.party_id != caller.party_id:
        raise OtherParty(pointer="/plot")
    if body.product is not None:
        (await products.catalogue(session)).product(body.product)
    row = Treatment(
        public_id=public_id,
        digest=digest,
        plot_id=plot.id,
        party_id=caller.acting_party,
        product_id=body.product,
        substance=body.substance,
        dose=body.dose,
        label_days=body.label_days,
        applied_at=applied_at,
        applied_on=local_date(applied_at),
        recorded_at=now,
    )
    session.add(row)
    await session.flush()
    # The dose is what somebody typed; the log, which is for ever, keeps a commitment to it.
    salt = (await parties.by_ids(session, [row.party_id]))[row.party_id].commit_salt
    kept = {name: value for name, value in document.items() if name != "dose"}
    kept["dose_commit"] = log.commitment(salt, body.dose)
    await transparency.append(session, [Statement("treatment.recorded", public_id, kept)], now=now)
    return row, True


async def of_plot(
    session: AsyncSession, plot_id: UUID, caller: Caller, *, most: int
) -> Sequence[Treatment]:
    """List the treatments of a plot, newest first, for whoever runs it or answers for its area.

    Raises:
        UnknownPlace: there is no such plot.
        OtherParty: it is another party's plot.
    """
    plot = await places.find_place(session, plot_id)
    if plot.party_id != caller.party_id and not may_supervise(caller, plot.division_code):
        raise OtherParty(pointer="/plot")
    found = await session.scalars(
        select(Treatment)
        .where(Treatment.plot_id == plot.id)
        .order_by(Treatment.applied_at.desc(), Treatment.id.desc())
        .limit(most)
    )
    return found.all()


async def describe(session: AsyncSession, found: Sequence[Treatment]) -> list[TreatmentOut]:
    """Write treatments as they go out."""
    known = await intervals(session)
    sites = await places.by_ids(session, (row.plot_id for row in found))
    named = await parties.by_ids(session, (row.party_id for row in found))
    written = []
    for row in found:
        days = rules.interval_days(
            known, row.substance, row.product_id, row.applied_on, label_days=row.label_days
        )
        written.append(
            TreatmentOut(
                treatment=row.public_id,
                plot=sites[row.plot_id].public_id,
                party=named[row.party_id].public_id,
                substance=row.substance,
                dose=row.dose,
                product=row.product_id,
                applied_at=row.applied_at,
                interval_days=days,
                earliest_harvest_on=rules.earliest_harvest(row.applied_on, days),
                recorded_at=row.recorded_at,
            )
        )
    return written
