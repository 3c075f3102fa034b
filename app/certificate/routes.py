"""HTTP for certificates, and for merging and splitting, which the law ties to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from itertools import groupby
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.certificate import rules, service
from app.certificate.models import Certificate
from app.certificate.rules import Act, CertificateKind, Duty
from app.certificate.schemas import (
    CertificateIn,
    CertificateOut,
    FormOut,
    MergeIn,
    MergeOut,
    VoidIn,
)
from app.certificate.service import CertificateDraft, Issuer
from app.core import bulk
from app.core.bulk import BulkOut, RowsIn
from app.core.clock import local_date
from app.core.db import DbSession, part_of
from app.core.errors import DomainError, IdReused
from app.core.problems import MalformedRequest, declare, speaks_english
from app.event.lateness import Lateness, judged_on, late
from app.event.rules import ImpossibleDate
from app.event.seed import lateness
from app.lot import changes
from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.changes import ChangeDraft, ChangeRequest, Input, Output, Policy
from app.lot.routes import (
    CHANGE_REFUSALS,
    UNIT_REFUSALS,
    answer_change,
    apply_rows,
    describe_changes,
    repeated,
)
from app.lot.rules import ChangeKind, LotState
from app.lot.schemas import ChangeOut, SplitIn, content_of
from app.party.access import Caller, OtherParty, may_supervise
from app.party.auth import allow
from app.product import service as products
from app.product.rules import Catalogue
from app.signing import token
from app.signing.rules import ClockBeforeTokens, NoSigningKey

LIMIT_MAX = 200

router = APIRouter(tags=["certificates"])

IssuerCaller = Annotated[Caller, Depends(allow("certificate.issue"))]
Reader = Annotated[Caller, Depends(allow("certificate.read"))]
LotWriter = Annotated[Caller, Depends(allow("lot.write"))]

ISSUE_REFUSALS = (
    *UNIT_REFUSALS,
    lot_rules.UnknownLot,
    lot_rules.NotHolder,
    rules.CertificateLotHeld,
    rules.WrongCertificate,
    rules.NoFormInForce,
    rules.BasisMissing,
    rules.BasisNotOnForm,
    rules.CertificateExceedsLot,
    rules.CertificateNotReplaceable,
    rules.UnknownCertificate,
    lot_rules.MadeTooEarly,
    ImpossibleDate,
    IdReused,
    ClockBeforeTokens,
    NoSigningKey,
)


def _issuer(caller: Caller) -> Issuer:
    return Issuer(caller.acting_party, caller.acting_public_id, caller.roles)


@router.get("/certificate-forms", dependencies=[Depends(allow("form.read"))])
async def list_forms(session: DbSession, request: Request, on: date | None = None) -> list[FormOut]:
    """List the forms in force on a day, today if left out."""
    day = on or local_date(request.app.state.clock())
    return [FormOut.model_validate(row) for row in await service.forms(session, day)]


@router.put(
    "/certificates/{certificate_id}",
    status_code=HTTPStatus.CREATED,
    responses={**repeated(CertificateOut), **declare(*ISSUE_REFUSALS)},
)
async def issue_certificate(
    certificate_id: UUID,
    body: CertificateIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: IssuerCaller,
) -> CertificateOut:
    """Issue a certificate for a lot that you hold; nobody has to approve it."""
    now: datetime = request.app.state.clock()
    issued_at = body.issued_at or now
    catalogue = await products.catalogue(session)
    lot = await lots.state_of(session, body.lot)
    reckoned = body.reckon(lot.product_id, local_date(issued_at), catalogue)
    certificate, created = await service.issue(
        session,
        CertificateDraft(
            public_id=certificate_id,
            kind=body.kind,
            lot=body.lot,
            mass_g=reckoned.mass_g,
            quantity=reckoned.quantity,
            unit=reckoned.unit,
            bases=tuple(dict.fromkeys(body.bases)),
            issued_at=issued_at,
            replaces=body.replaces,
        ),
        _issuer(caller),
        catalogue=catalogue,
        signer=await request.app.state.ring.signer(session, now),
        serial=request.app.state.new_serial(),
        now=now,
    )
    if not created:
        response.status_code = HTTPStatus.OK
    return (await _describe(request, session, [certificate]))[0]


@router.get(
    "/certificates/{certificate_id}", responses=declare(rules.UnknownCertificate, OtherParty)
)
async def read_certificate(
    certificate_id: UUID, request: Request, session: DbSession, caller: Reader
) -> CertificateOut:
    """Read a certificate of your own, or one that you answer for by office."""
    found = await service.find(session, certificate_id)
    if found.issuer_id != caller.party_id and not may_supervise(caller, found.division_code):
        raise OtherParty(certificate=str(certificate_id))
    return (await _describe(request, session, [found]))[0]


@router.get("/certificates")
async def list_certificates(
    request: Request,
    session: DbSession,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 50,
) -> list[CertificateOut]:
    """List the certificates that your party issued, newest first."""
    found = await service.of_issuer(session, caller.acting_party, most=limit)
    return await _describe(request, session, found)


@router.put(
    "/certificates/{certificate_id}/void",
    responses=declare(rules.UnknownCertificate),
)
async def void_certificate(
    certificate_id: UUID,
    body: VoidIn,
    request: Request,
    session: DbSession,
    caller: IssuerCaller,
) -> CertificateOut:
    """Take a certificate back; whoever scans it from now on is told."""
    found, _ = await service.void(
        session,
        certificate_id,
        issuer_id=caller.acting_party,
        reason=body.reason,
        now=request.app.state.clock(),
    )
    return (await _describe(request, session, [found]))[0]


async def _describe(
    request: Request, session: DbSession, found: Sequence[Certificate]
) -> list[CertificateOut]:
    catalogue = await products.catalogue(session)
    voided = await service.voided(session, (row.id for row in found))
    lot_ids = await lots.states_by_id(session, (row.lot_id for row in found))
    issuers = await service.issuers(session, found)
    base_url = request.app.state.settings.public_url
    return [
        CertificateOut(
            certificate=row.public_id,
            kind=CertificateKind(row.kind),
            form=row.form_edition,
            code=row.code,
            url=token.url(base_url, row.token),
            lot=lot_ids[row.lot_id].public_id,
            issuer=issuers[row.issuer_id],
            product=row.product_id,
            product_name=catalogue.product(row.product_id).name,
            mass_g=row.mass_g,
            quantity=f"{row.quantity.normalize():f}",
            unit=row.unit,
            division_code=row.division_code,
            bases=[rules.Basis(basis) for basis in row.bases],
            issued_on=row.issued_on,
            issued_at=row.issued_at,
            expires_at=row.expires_at,
            voided_at=voided.get(row.id),
        )
        for row in found
    ]


@router.put(
    "/splits/{change_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(ChangeOut),
        **declare(*CHANGE_REFUSALS, *UNIT_REFUSALS, lot_rules.MassesDiffer),
    },
)
async def split(
    change_id: UUID,
    body: SplitIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: LotWriter,
) -> ChangeOut:
    """Make lots of their own from parts of a lot.

    A purchaser who splits to sell issues a certificate of its own for each part (APQSL art. 39):
    the whole's certificate does not pass on to them.
    """
    now: datetime = request.app.state.clock()
    law = await _law(session)
    asked = _split_request(change_id, body, caller, law, now=now)
    return await answer_change(session, asked, response, now=now)


@router.post("/splits/bulk", responses=declare(MalformedRequest))
async def split_many(
    body: RowsIn[SplitIn], request: Request, session: DbSession, caller: LotWriter
) -> BulkOut[ChangeOut]:
    """Make many splits in one go; each row as `PUT /splits/{id}` would answer it."""
    now: datetime = request.app.state.clock()
    law = await _law(session)
    rows = body.read(
        lambda change_id, content: _split_request(change_id, content, caller, law, now=now)
    )
    outcomes = await apply_rows(session, rows, now=now)
    return bulk.answer(outcomes, english=speaks_english(request))


@dataclass(frozen=True, slots=True)
class Law:
    """The dated data that changes are planned by."""

    catalogue: Catalogue
    duties: Sequence[Duty]
    lateness: Sequence[Lateness]

    def days(self, occurred_at: datetime, now: datetime) -> tuple[date, ...]:
        """Answer the days by whose rules a change is judged, of which nobody chooses the law."""
        return judged_on(occurred_at, late(self.lateness, occurred_at, now))


async def _law(session: DbSession) -> Law:
    return Law(
        await products.catalogue(session), await service.duties(session), await lateness(session)
    )


def _split_request(
    change_id: UUID, body: SplitIn, caller: Caller, law: Law, *, now: datetime
) -> ChangeRequest:
    occurred_at = body.occurred_at or now
    on = local_date(occurred_at)
    content = content_of(body, caller)

    def plan(stock: Mapping[UUID, LotState]) -> tuple[ChangeDraft, Policy]:
        lot = stock[body.lot]
        parts = [(part.lot, part.reckon(lot.product_id, on, law.catalogue)) for part in body.parts]
        draft = ChangeDraft(
            public_id=change_id,
            kind=ChangeKind.SPLIT,
            digest=content,
            holder_id=caller.acting_party,
            holder=caller.acting_public_id,
            occurred_at=occurred_at,
            inputs=(Input(body.lot, sum(reckoned.mass_g for _, reckoned in parts)),),
            outputs=tuple(
                Output(public_id, part.mass_g, part.quantity, part.unit, pieces=part.pieces)
                for public_id, part in parts
            ),
        )
        due = any(
            rules.must(law.duties, Act.SPLIT, caller.roles, day)
            for day in law.days(occurred_at, now)
        )
        return draft, Policy(cover_passes=lot.producer_id == caller.party_id or not due)

    return ChangeRequest(
        change_id,
        content,
        inputs=(body.lot,),
        outputs=tuple(part.lot for part in body.parts),
        plan=plan,
    )


@router.put(
    "/merges/{change_id}",
    status_code=HTTPStatus.CREATED,
    responses={
        **repeated(MergeOut),
        **declare(
            *CHANGE_REFUSALS,
            *ISSUE_REFUSALS,
            lot_rules.ProductsDiffer,
            lot_rules.MergeNeedsCertificate,
        ),
    },
)
async def merge(
    change_id: UUID,
    body: MergeIn,
    request: Request,
    response: Response,
    session: DbSession,
    caller: LotWriter,
) -> MergeOut:
    """Make one lot of several, with the certificate that the law asks for, or not at all."""
    now: datetime = request.app.state.clock()
    (outcome,) = await _merge_all(request, session, [(change_id, body)], caller, now=now)
    if isinstance(outcome, DomainError):
        raise outcome
    made, created = outcome
    if not created:
        response.status_code = HTTPStatus.OK
    return made


@router.post("/merges/bulk", responses=declare(MalformedRequest))
async def merge_many(
    body: RowsIn[MergeIn], request: Request, session: DbSession, caller: LotWriter
) -> BulkOut[MergeOut]:
    """Make many merges in one go; each row as `PUT /merges/{id}` would answer it."""
    now: datetime = request.app.state.clock()
    rows = body.read(lambda change_id, content: (change_id, content))
    asked = [row for row in rows if not isinstance(row, DomainError)]
    made = await _merge_all(request, session, asked, caller, now=now)
    told = [outcome[0] for outcome in made if not isinstance(outcome, DomainError)]
    outcomes = bulk.merged(rows, made, told)
    return bulk.answer(outcomes, english=speaks_english(request))


async def _merge_all(
    request: Request,
    session: DbSession,
    asked: Sequence[tuple[UUID, MergeIn]],
    caller: Caller,
    *,
    now: datetime,
) -> list[tuple[MergeOut, bool] | DomainError]:
    """Make merges in their order; one that comes with a certificate is made with it or not at all.

    Merges without one are written together. All lots are locked before, in one order for all.
    """
    await lots.lock_found(session, (item.lot for _, body in asked for item in body.inputs))
    law = await _law(session)
    outcomes: list[tuple[MergeOut, bool] | DomainError] = []
    for certified, run in groupby(asked, key=lambda row: row[1].certificate is not None):
        if not certified:
            outcomes += await _merge_plain(session, list(run), caller, law, now=now)
            continue
        for change_id, body in run:
            try:
                async with part_of(session):
                    outcomes.append(
                        await _merge_certified(
                            request, session, change_id, body, caller, law, now=now
                        )
                    )
            except DomainError as refusal:
                outcomes.append(refusal)
    return outcomes


async def _merge_plain(
    session: DbSession,
    rows: Sequence[tuple[UUID, MergeIn]],
    caller: Caller,
    law: Law,
    *,
    now: datetime,
) -> list[tuple[MergeOut, bool] | DomainError]:
    asked = [_merge_request(change_id, body, caller, law, now=now) for change_id, body in rows]
    return [
        outcome
        if isinstance(outcome, DomainError)
        else (MergeOut(**outcome[0].model_dump(), certificate=None), outcome[1])
        for outcome in await apply_rows(session, asked, now=now)
    ]


async def _merge_certified(
    request: Request,
    session: DbSession,
    change_id: UUID,
    body: MergeIn,
    caller: Caller,
    law: Law,
    *,
    now: datetime,
) -> tuple[MergeOut, bool]:
    asked = _merge_request(change_id, body, caller, law, now=now)
    change, created = await changes.apply(session, asked, catalogue=law.catalogue, now=now)
    mass_g = (await lots.state_of(session, body.lot)).mass_g
    certificate = await _certify_merge(request, session, body, caller, mass_g, created, now)
    made = (await describe_changes(session, [change]))[0]
    return MergeOut(**made.model_dump(), certificate=certificate), created


def _merge_request(
    change_id: UUID, body: MergeIn, caller: Caller, law: Law, *, now: datetime
) -> ChangeRequest:
    occurred_at = body.occurred_at or now
    content = content_of(body, caller)

    def plan(stock: Mapping[UUID, LotState]) -> tuple[ChangeDraft, Policy]:
        mass_g = sum(
            item.mass_g if item.mass_g is not None else stock[item.lot].remaining_g
            for item in body.inputs
        )
        any_lot = min((stock[item.lot] for item in body.inputs), key=lambda lot: lot.id)
        due = any(
            rules.must(law.duties, Act.MERGE, caller.roles, day)
            and service.certifiable(law.catalogue, any_lot, day)
            for day in law.days(occurred_at, now)
        )
        draft = ChangeDraft(
            public_id=change_id,
            kind=ChangeKind.MERGE,
            digest=content,
            holder_id=caller.acting_party,
            holder=caller.acting_public_id,
            occurred_at=occurred_at,
            inputs=tuple(Input(item.lot, item.mass_g) for item in body.inputs),
            outputs=(Output(body.lot, mass_g, Decimal(mass_g) / 1000, "公斤"),),
        )
        return draft, Policy(certificate_due=due, certified=body.certificate is not None)

    return ChangeRequest(
        change_id,
        content,
        inputs=tuple(item.lot for item in body.inputs),
        outputs=(body.lot,),
        plan=plan,
    )


async def _certify_merge(
    request: Request,
    session: DbSession,
    body: MergeIn,
    caller: Caller,
    mass_g: int,
    created: bool,  # noqa: FBT001 (tells the first time from the second)
    now: datetime,
) -> CertificateOut:
    assert body.certificate is not None, "the caller looked"
    if not created:
        found = await service.find(session, body.certificate.certificate)
    else:
        found, _ = await service.issue(
            session,
            CertificateDraft(
                public_id=body.certificate.certificate,
                kind=CertificateKind.CONFORMITY_PURCHASER,
                lot=body.lot,
                mass_g=mass_g,
                quantity=Decimal(mass_g) / 1000,
                unit="公斤",
                bases=tuple(dict.fromkeys(body.certificate.bases)),
                issued_at=body.occurred_at or now,
            ),
            _issuer(caller),
            catalogue=await products.catalogue(session),
            signer=await request.app.state.ring.signer(session, now),
            serial=request.app.state.new_serial(),
            now=now,
        )
    return (await _describe(request, session, [found]))[0]
