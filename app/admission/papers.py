"""Paper documents with their photos, and sellers' agreements with a market."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import gate, queries, seed
from app.admission.models import Agreement, PaperDocument
from app.admission.schemas import AgreementIn, AgreementOut, PaperIn, PaperOut
from app.admission.seed import KindOfPaper
from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.event.rules import check_made
from app.evidence import service as evidences
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Audience, Caller, governs, may_supervise
from app.place import service as places
from app.place.models import Place
from app.place.rules import PlaceKind
from app.product import service as products
from app.transparency import service as transparency
from app.transparency.service import Statement

CHECKED_BY = "paper_document.checked_by"
_GATES = frozenset({PlaceKind.MARKET, PlaceKind.GATE})


async def market_of(session: AsyncSession, place: Place) -> Place:
    """Answer the market that a gate belongs to, or the market itself.

    Raises:
        NotAGate: it is neither.
    """
    if PlaceKind(place.kind) in _GATES:
        if place.kind == PlaceKind.MARKET:
            return place
        if place.parent_id is not None:
            parent = (await places.by_ids(session, [place.parent_id]))[place.parent_id]
            if parent.kind == PlaceKind.MARKET:
                return parent
    raise gate.NotAGate(place=str(place.public_id))


def runs(caller: Caller, market: Place) -> bool:
    """Whether the caller is the market's own office."""
    return Audience.MARKET in caller.audiences and market.party_id == caller.party_id


def check_answers_for(caller: Caller, market: Place) -> None:
    """Refuse whoever neither runs a market nor supervises it.

    Raises:
        GateNotYours: the caller does neither.
    """
    if not runs(caller, market) and not may_supervise(caller, market.division_code):
        raise gate.GateNotYours(market=str(market.public_id))


def check_judges_for(caller: Caller, market: Place) -> None:
    """Refuse whoever neither runs a market nor is an office over it: goods are let in by these.

    Raises:
        GateNotYours: the caller is neither.
    """
    if not runs(caller, market) and not governs(caller, market.division_code):
        raise gate.GateNotYours(market=str(market.public_id))


# --- paper documents ------------------------------------------------------------------------------


async def kind_on(session: AsyncSession, code: str, on: date) -> KindOfPaper:
    """Find a kind of paper as it was on a day.

    Raises:
        UnknownPaperKind: there was none.
    """
    for kind in await seed.paper_kinds(session):
        if kind.code == code and kind.in_force(on):
            return kind
    raise gate.UnknownPaperKind(pointer="/kind", kind=code, on=on.isoformat())


async def record_paper(
    session: AsyncSession,
    public_id: UUID,
    body: PaperIn,
    caller: Caller,
    *,
    vault: Vault,
    now: datetime,
) -> tuple[PaperDocument, bool]:
    """Keep what somebody typed from a paper beside its photo.

    Returns:
        The paper, and whether it is new.

    Raises:
        IdReused: the id names another paper.
        ImpossibleDate: the day of issue is later than today, or more than five years ago.
        UnknownPaperKind: no paper of the kind was in use on its day of issue.
        UnknownProduct: there is no such product.
        UnknownEvidence: the photo is not there, or another party's.
    """
    digest = digest_of({**body.model_dump(mode="json"), "by": str(caller.acting_public_id)})
    existing = await session.scalar(
        select(PaperDocument).where(PaperDocument.public_id == public_id)
    )
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(paper=str(public_id))
        return existing, False
    # A paper dated ahead is a finding of the gate, but no paper is of next week.
    check_made(body.issued_on, now + timedelta(days=1), pointer="/issued_on")
    kind = await kind_on(session, body.kind, body.issued_on)
    if body.product is not None:
        (await products.catalogue(session)).product(body.product)
    photos = await evidences.of_party(session, [body.evidence], caller.acting_party)
    through = body.valid_through
    if kind.days is not None:
        latest = body.issued_on + timedelta(days=kind.days)
        through = latest if through is None else min(through, latest)
    paper = PaperDocument(
        public_id=public_id,
        digest=digest,
        kind=kind.code,
        number=body.number,
        issuer=body.issuer,
        issued_on=body.issued_on,
        valid_through=through,
        product_id=body.product,
        mass_g=body.mass_g,
        division_code=body.division_code,
        bases=[str(basis) for basis in body.bases],
        evidence_id=photos[body.evidence].id,
        party_id=caller.acting_party,
        account_id=caller.account_id,
        checked_by_sealed=vault.seal(body.checked_by, purpose=CHECKED_BY),
        recorded_at=now,
    )
    session.add(paper)
    await session.flush()
    document = {
        "paper_kind": paper.kind,
        "issued_on": paper.issued_on.isoformat(),
        "valid_through": None if through is None else through.isoformat(),
        "product": paper.product_id,
        "photo": photos[body.evidence].content_sha256.hex(),
        "by": str(caller.acting_public_id),
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement("gate.paper", public_id, document)], now=now)
    return paper, True


async def of_party(
    session: AsyncSession, public_ids: Iterable[UUID], party_id: int
) -> dict[UUID, PaperDocument]:
    """Find papers that a party recorded.

    Raises:
        UnknownPaper: there is none of this id, or another party recorded it.
    """
    wanted = sorted(set(public_ids))
    rows = await session.scalars(
        select(PaperDocument).where(
            PaperDocument.public_id.in_(wanted), PaperDocument.party_id == party_id
        )
    )
    found = {row.public_id: row for row in rows}
    for public_id in wanted:
        if public_id not in found:
            raise gate.UnknownPaper(paper=str(public_id))
    return found


async def by_ids(session: AsyncSession, paper_ids: Iterable[int]) -> dict[int, PaperDocument]:
    """Read several papers by their internal ids."""
    wanted = sorted(set(paper_ids))
    if not wanted:
        return {}
    rows = await session.scalars(select(PaperDocument).where(PaperDocument.id.in_(wanted)))
    return {row.id: row for row in rows}


_USED = text("""
    SELECT x.kind, x.number, x.issuer, sum(l.mass_g)
    FROM unnest(
        CAST(:kinds AS text[]), CAST(:numbers AS text[]), CAST(:issuers AS text[])
    ) AS x (kind, number, issuer)
    JOIN paper_document p
        ON p.kind = x.kind AND p.number = x.number AND p.issuer = x.issuer
    JOIN inspection_line l ON l.papers @> ARRAY[p.id]
    LEFT JOIN LATERAL (
        SELECT r.decision FROM ruling r WHERE r.line_id = l.id ORDER BY r.id DESC LIMIT 1
    ) r ON true
    WHERE coalesce(r.decision, l.decided_offline, l.decision) <> 'REFUSE' AND l.mass_g IS NOT NULL
    GROUP BY x.kind, x.number, x.issuer
""")

Sheet = tuple[str, str, str]
"""Kind, number and issuer: a sheet of paper, however often it was photographed."""


def sheet_of(paper: PaperDocument) -> Sheet:
    """Name the sheet that a photo shows."""
    return paper.kind, paper.number, paper.issuer


async def used_g(session: AsyncSession, sheets: Iterable[Sheet]) -> dict[Sheet, int]:
    """Answer how many grams came to gates on sheets of paper and were not sent away.

    The same sheet recorded at two gates is two photos, and one paper.
    """
    wanted = sorted(set(sheets))
    if not wanted:
        return {}
    kinds, numbers, issuers = zip(*wanted, strict=True)
    parameters = {"kinds": list(kinds), "numbers": list(numbers), "issuers": list(issuers)}
    rows = await session.execute(_USED, parameters)
    return {(row[0], row[1], row[2]): int(row[3]) for row in rows}


async def find_paper(session: AsyncSession, public_id: UUID, caller: Caller) -> PaperDocument:
    """Find a paper that the caller may see: its own, or a market's in its jurisdiction.

    Raises:
        UnknownPaper: there is none.
    """
    paper = await session.scalar(select(PaperDocument).where(PaperDocument.public_id == public_id))
    if paper is not None:
        if paper.party_id == caller.party_id:
            return paper
        party = (await parties.by_ids(session, [paper.party_id]))[paper.party_id]
        if may_supervise(caller, party.division_code):
            return paper
    raise gate.UnknownPaper(paper=str(public_id))


async def describe_paper(session: AsyncSession, paper: PaperDocument, *, vault: Vault) -> PaperOut:
    """Write a paper as it goes out."""
    photos = await evidences.by_ids(session, [paper.evidence_id])
    gazetteer = await places.gazetteer(session)
    origin = queries.village(paper.division_code, paper.issued_on, gazetteer)
    return PaperOut(
        paper=paper.public_id,
        kind=paper.kind,
        title=await _title(session, paper),
        number=paper.number,
        issuer=paper.issuer,
        issued_on=paper.issued_on,
        valid_through=paper.valid_through,
        product=paper.product_id,
        mass_g=paper.mass_g,
        division_code=paper.division_code,
        origin=origin,
        bases=paper.bases,
        evidence=photos[paper.evidence_id].public_id,
        checked_by=vault.open(paper.checked_by_sealed, purpose=CHECKED_BY),
        recorded_at=paper.recorded_at,
    )


async def _title(session: AsyncSession, paper: PaperDocument) -> str:
    kind = await kind_on(session, paper.kind, paper.issued_on)
    return kind.zh


# --- agreements -----------------------------------------------------------------------------------


async def agree(
    session: AsyncSession, public_id: UUID, body: AgreementIn, caller: Caller, *, now: datetime
) -> tuple[Agreement, bool]:
    """Record that a seller has signed a market's 质量安全协议.

    Returns:
        The agreement, and whether it is new.

    Raises:
        IdReused: the id names another agreement.
        UnknownPlace, NotAGate: there is no such market.
        GateNotYours: the caller does not answer for it.
        UnknownParty: there is no such seller.
        ImpossibleDate: signed later than today, or more than five years ago.
        UnknownEvidence: the photo is not there, or another party's.
    """
    digest = digest_of({**body.model_dump(mode="json"), "by": str(caller.acting_public_id)})
    existing = await session.scalar(select(Agreement).where(Agreement.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(agreement=str(public_id))
        return existing, False
    market = await market_of(session, await places.find_place(session, body.market))
    check_answers_for(caller, market)
    seller = await parties.find(session, body.seller)
    check_made(body.signed_on, now, pointer="/signed_on")
    wanted = [] if body.evidence is None else [body.evidence]
    photos = await evidences.of_party(session, wanted, caller.acting_party)
    agreement = Agreement(
        public_id=public_id,
        digest=digest,
        market_id=market.id,
        party_id=seller.id,
        recorded_by=caller.acting_party,
        signed_on=body.signed_on,
        valid_from=body.valid_from or body.signed_on,
        valid_to=body.valid_to,
        grade=body.grade,
        evidence_id=None if body.evidence is None else photos[body.evidence].id,
        recorded_at=now,
    )
    session.add(agreement)
    await session.flush()
    document = {
        "market": str(market.public_id),
        "seller": str(seller.public_id),
        "valid_from": agreement.valid_from.isoformat(),
        "valid_to": None if body.valid_to is None else body.valid_to.isoformat(),
        "by": str(caller.acting_public_id),
        "t": now.isoformat(),
    }
    await transparency.append(session, [Statement("gate.agreed", public_id, document)], now=now)
    return agreement, True


async def end_agreement(
    session: AsyncSession, public_id: UUID, reason: str, caller: Caller, *, now: datetime
) -> Agreement:
    """End an agreement (退市): from tomorrow the seller's goods are refused.

    Raises:
        UnknownAgreement: there is none.
        GateNotYours: the caller does not answer for the market.
        AgreementEnded: it ended for another reason.
    """
    agreement = await session.scalar(
        select(Agreement).where(Agreement.public_id == public_id).with_for_update()
    )
    if agreement is None:
        raise gate.UnknownAgreement(agreement=str(public_id))
    market = (await places.by_ids(session, [agreement.market_id]))[agreement.market_id]
    check_answers_for(caller, market)
    if agreement.ended_on is not None:
        if agreement.end_reason != reason:
            raise gate.AgreementEnded(agreement=str(public_id))
        return agreement
    agreement.ended_on = local_date(now)
    agreement.end_reason = reason
    await session.flush()
    document = {"by": str(caller.acting_public_id), "t": now.isoformat()}
    statement = Statement("gate.agreement-ended", public_id, document)
    await transparency.append(session, [statement], now=now)
    return agreement


async def in_force(
    session: AsyncSession, market_id: int, party_ids: Iterable[int], on: date
) -> dict[int, Agreement]:
    """Answer the agreements of sellers with a market on a day, by seller."""
    wanted = sorted(set(party_ids))
    if not wanted:
        return {}
    rows = await session.scalars(
        select(Agreement)
        .where(
            Agreement.market_id == market_id,
            Agreement.party_id.in_(wanted),
            Agreement.valid_from <= on,
            or_(Agreement.valid_to.is_(None), Agreement.valid_to > on),
            or_(Agreement.ended_on.is_(None), Agreement.ended_on >= on),
        )
        .order_by(Agreement.id)
    )
    return {row.party_id: row for row in rows}


async def agreements_of(session: AsyncSession, caller: Caller, *, most: int) -> list[AgreementOut]:
    """List the agreements that a party signed, or recorded as a market, newest first."""
    rows = await session.scalars(
        select(Agreement)
        .where(
            or_(
                Agreement.party_id == caller.acting_party,
                Agreement.recorded_by == caller.acting_party,
            )
        )
        .order_by(Agreement.id.desc())
        .limit(most)
    )
    return await describe_agreements(session, list(rows))


async def describe_agreements(session: AsyncSession, found: list[Agreement]) -> list[AgreementOut]:
    """Write agreements as they go out."""
    known = await parties.by_ids(session, {row.party_id for row in found})
    markets = await places.by_ids(session, {row.market_id for row in found})
    return [
        AgreementOut(
            agreement=row.public_id,
            market=markets[row.market_id].public_id,
            seller=known[row.party_id].public_id,
            signed_on=row.signed_on,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            grade=row.grade,
            ended_on=row.ended_on,
            end_reason=row.end_reason,
        )
        for row in found
    ]
