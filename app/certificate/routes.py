"""HTTP for certificates, and for merging and splitting, which the law ties to them."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.certificate import rules, service
from app.certificate.models import Certificate
from app.certificate.rules import Act, CertificateKind
from app.certificate.schemas import (
    CertificateIn,
    CertificateOut,
    FormOut,
    MergeIn,
    MergeOut,
    VoidIn,
)
from app.certificate.service import CertificateDraft, Issuer
from app.core.clock import local_date
from app.core.db import DbSession
from app.core.errors import IdReused
from app.core.problems import declare
from app.event.rules import ImpossibleDate
from app.lot import changes
from app.lot import rules as lot_rules
from app.lot import service as lots
from app.lot.changes import ChangeDraft, Input, Output, Policy
from app.lot.routes import (
    CHANGE_REFUSALS,
    UNIT_REFUSALS,
    answer_change,
    content_of,
    describe_change,
    repeated,
)
from app.lot.rules import ChangeKind
from app.lot.schemas import ChangeOut, SplitIn
from app.party.access import Caller, OtherParty, may_supervise
from app.party.auth import allow
from app.product import service as products
from app.signing import token
from app.signing.rules import NoSigningKey

LIMIT_MAX = 200

router = APIRouter(tags=["certificates"])

IssuerCaller = Annotated[Caller, Depends(allow("certificate.issue"))]
Reader = Annotated[Caller, Depends(allow("certificate.read"))]
LotWriter = Annotated[Caller, Depends(allow("lot.write"))]

ISSUE_REFUSALS = (
    *UNIT_REFUSALS,
    lot_rules.UnknownLot,
    lot_rules.NotHolder,
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
    occurred_at = body.occurred_at or now
    on = local_date(occurred_at)
    catalogue = await products.catalogue(session)
    lot = await lots.state_of(session, body.lot)
    parts = [(part.lot, part.reckon(lot.product_id, on, catalogue)) for part in body.parts]
    draft = ChangeDraft(
        public_id=change_id,
        kind=ChangeKind.SPLIT,
        digest=content_of(body, caller),
        holder_id=caller.acting_party,
        holder=caller.acting_public_id,
        occurred_at=occurred_at,
        inputs=(Input(body.lot, sum(reckoned.mass_g for _, reckoned in parts)),),
        outputs=tuple(
            Output(public_id, part.mass_g, part.quantity, part.unit, pieces=part.pieces)
            for public_id, part in parts
        ),
    )
    due = rules.must(await service.duties(session), Act.SPLIT, caller.roles, on)
    policy = Policy(cover_passes=lot.producer_id == caller.party_id or not due)
    return await answer_change(session, draft, policy, response, now=now)


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
    occurred_at = body.occurred_at or now
    locked = await lots.lock(session, (item.lot for item in body.inputs))
    mass_g = sum(
        item.mass_g if item.mass_g is not None else locked[item.lot].remaining_g
        for item in body.inputs
    )
    catalogue = await products.catalogue(session)
    any_lot = next(iter(locked.values()))
    due = rules.must(
        await service.duties(session), Act.MERGE, caller.roles, local_date(occurred_at)
    ) and service.certifiable(catalogue, any_lot, occurred_at)
    draft = ChangeDraft(
        public_id=change_id,
        kind=ChangeKind.MERGE,
        digest=content_of(body, caller),
        holder_id=caller.acting_party,
        holder=caller.acting_public_id,
        occurred_at=occurred_at,
        inputs=tuple(Input(item.lot, item.mass_g) for item in body.inputs),
        outputs=(Output(body.lot, mass_g, Decimal(mass_g) / 1000, "公斤"),),
    )
    policy = Policy(certificate_due=due, certified=body.certificate is not None)
    change, created = await changes.apply(
        session, draft, policy=policy, catalogue=catalogue, now=now
    )
    certificate = None
    if body.certificate is not None:
        certificate = await _certify_merge(request, session, body, caller, mass_g, created, now)
    if not created:
        response.status_code = HTTPStatus.OK
    made = await describe_change(session, change)
    return MergeOut(**made.model_dump(), certificate=certificate)


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
