"""Issues and voids certificates."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from importlib import resources
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.certificate import rules
from app.certificate.models import (
    Certificate,
    CertificateDuty,
    CertificateForm,
    CertificateVoid,
)
from app.certificate.rules import Act, Basis, CertificateKind, Duty, Form
from app.core import dated, jobs
from app.core.clock import local_date
from app.core.db import fetch, prepared
from app.core.errors import IdReused
from app.core.snapshot import Snapshot
from app.event.rules import check_occurred
from app.lot import service as lots
from app.lot.rules import LotState, MadeTooEarly, NotHolder
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import RoleKind
from app.product.rules import Catalogue, Production, Requirement
from app.signing.keys import Signer
from app.signing.stamp import stamp
from app.signing.token import Flags, TokenType
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

LAW_LASTS_S = 60
VOIDED_JOB = "certificate.voided"
"""Asks for the holders of its goods to be told; the payload is the 16 bytes of its id."""

_FLAGS = {
    Basis.SELF_TESTED: Flags.SELF_TESTED,
    Basis.ENTRUSTED_TEST: Flags.ENTRUSTED_TEST,
    Basis.QUALITY_CONTROL: Flags.INTERNAL_QUALITY_CONTROL,
    Basis.SELF_PROMISE: Flags.SELF_PROMISE,
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues, as decided by the caller's credential."""

    party_id: int
    public_id: UUID
    roles: frozenset[RoleKind]


@dataclass(frozen=True, slots=True)
class CertificateDraft:
    """What is to be issued; the mass is already reckoned from quantity and unit."""

    public_id: UUID
    kind: CertificateKind
    lot: UUID
    mass_g: int
    quantity: Decimal
    unit: str
    bases: tuple[Basis, ...]
    issued_at: datetime
    replaces: UUID | None = None

    def digest(self, issuer: Issuer) -> bytes:
        """Answer what tells whether a repeated request is the same."""
        return digest_of(
            {
                "kind": self.kind,
                "lot": str(self.lot),
                "mass_g": str(self.mass_g),
                "quantity": str(self.quantity.normalize()),
                "unit": self.unit,
                "bases": sorted(self.bases),
                "replaces": None if self.replaces is None else str(self.replaces),
                "issuer": str(issuer.public_id),
            }
        )


async def load_forms(session: AsyncSession) -> None:
    """Load the forms and duties that this release knows; rows that exist are brought up to date."""
    source = resources.files("app.certificate").joinpath("data/forms.json")
    data = json.loads(source.read_text(encoding="utf-8"))
    for model, rows in ((CertificateForm, data["forms"]), (CertificateDuty, data["duties"])):
        typed = TypeAdapter(list[dict[str, Any]]).validate_python([_dated(row) for row in rows])
        statement = insert(model)
        keys = [column.name for column in model.__table__.primary_key]
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=keys,
                set_={
                    column.name: statement.excluded[column.name]
                    for column in model.__table__.columns
                    if column.name not in keys
                },
            ),
            typed,
        )
    duties.forget(session)


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value).date()
        if name in {"valid_from", "valid_to"} and value
        else value
        for name, value in row.items()
    }


async def form_in_force(session: AsyncSession, kind: CertificateKind, at: datetime) -> Form:
    """Find the form of a kind on the day of issue.

    Raises:
        NoFormInForce: there was none.
    """
    on = local_date(at)
    row = await session.scalar(
        select(CertificateForm).where(
            CertificateForm.kind == kind,
            CertificateForm.valid_from <= on,
            CertificateForm.valid_to.is_(None) | (CertificateForm.valid_to > on),
        )
    )
    if row is None:
        raise rules.NoFormInForce(kind=kind, on=on.isoformat())
    return Form(CertificateKind(row.kind), row.edition, row.wording)


async def editions(
    session: AsyncSession, kind: CertificateKind, days: Collection[date]
) -> dict[date, str]:
    """Answer which edition of a kind's form was in force on days; days without one are left out."""
    rows = list(await session.scalars(select(CertificateForm).where(CertificateForm.kind == kind)))
    return {
        day: row.edition
        for day in days
        for row in rows
        if dated.in_force(row.valid_from, row.valid_to, day)
    }


async def _read_duties(session: AsyncSession) -> list[Duty]:
    rows = await session.scalars(select(CertificateDuty))
    return [Duty(Act(row.act), row.role, row.duty, row.valid_from, row.valid_to) for row in rows]


duties = Snapshot(_read_duties, lasts_s=LAW_LASTS_S)
"""Answers who must issue, for which act, from when."""


def certifiable(catalogue: Catalogue, lot: LotState, on: date) -> bool:
    """Whether the product takes a conformity certificate on the day (MARA 2025-4 art. 3)."""
    needed = catalogue.requirement(lot.product_id, Production(lot.production or Production.ANY), on)
    return needed is not None and needed.requirement is Requirement.CONFORMITY_CERTIFICATE


async def issue(
    session: AsyncSession,
    draft: CertificateDraft,
    issuer: Issuer,
    *,
    catalogue: Catalogue,
    signer: Signer,
    serial: int,
    now: datetime,
) -> tuple[Certificate, bool]:
    """Issue a certificate, or find that it was issued.

    Returns:
        The certificate, and whether it is new.

    Raises:
        IdReused: the id names a certificate with other content.
        ImpossibleDate: the date of issue cannot be one.
        UnknownLot: there is no such lot.
        NotHolder: the lot is another party's.
        CertificateLotHeld: the lot is on hold or recalled.
        WrongCertificate: the kind does not fit the product, the lot or the issuer.
        MadeTooEarly: the goods did not exist yet on the day of issue.
        NoFormInForce: no form of the kind was in force on the day.
        BasisMissing, BasisNotOnForm: none was ticked, or one that the form does not offer a basis.
        CertificateExceedsLot: more grams than the lot held.
        CertificateNotReplaceable: the replaced one is in force, or another lot's.
    """
    lot = (await lots.lock(session, [draft.lot]))[draft.lot]
    existing = await session.scalar(
        select(Certificate).where(Certificate.public_id == draft.public_id)
    )
    if existing is not None:
        if existing.digest != draft.digest(issuer):
            raise IdReused(certificate=str(draft.public_id))
        return existing, False
    check_occurred(draft.issued_at, now=now, pointer="/issued_at")
    if lot.holder_id != issuer.party_id:
        raise NotHolder(lot=str(lot.public_id))
    if lot.holds:
        raise rules.CertificateLotHeld(lot=str(lot.public_id))
    rules.check_kind(
        draft.kind,
        lot,
        issuer_id=issuer.party_id,
        roles=issuer.roles,
        certifiable=certifiable(catalogue, lot, local_date(draft.issued_at)),
    )
    if lot.made_on is not None and local_date(draft.issued_at) < lot.made_on:
        raise MadeTooEarly(lot=str(lot.public_id), pointer="/issued_at")
    if lot.certified_g and len(await voided(session, lot.certificate_ids)) == len(
        lot.certificate_ids
    ):
        # A purchaser's goods came under certificates that were all taken back since: what they
        # vouched for must not stand in the way of the purchaser's own.
        lot = await lots.uncover(session, lot)
    form = await form_in_force(session, draft.kind, draft.issued_at)
    rules.check_content(form, draft.bases, mass_g=draft.mass_g, lot=lot)
    replaced = await _replaced(session, draft, lot)
    certificate = await _write(
        session, draft, issuer, lot, form, replaced, signer=signer, serial=serial, now=now
    )
    return certificate, True


async def _replaced(
    session: AsyncSession, draft: CertificateDraft, lot: LotState
) -> Certificate | None:
    if draft.replaces is None:
        return None
    former = await find(session, draft.replaces)
    if former.lot_id != lot.id or not await voided(session, [former.id]):
        raise rules.CertificateNotReplaceable
    return former


async def _write(
    session: AsyncSession,
    draft: CertificateDraft,
    issuer: Issuer,
    lot: LotState,
    form: Form,
    replaced: Certificate | None,
    *,
    signer: Signer,
    serial: int,
    now: datetime,
) -> Certificate:
    certificate_id = await session.scalar(
        text("SELECT nextval(pg_get_serial_sequence('certificate', 'id'))")
    )
    flags = Flags(0)
    for basis in draft.bases:
        flags |= _FLAGS[basis]
    if draft.kind is CertificateKind.CONFORMITY_PURCHASER:
        flags |= Flags.REPACKED
    made = stamp(
        signer,
        TokenType.ORIGIN_CERTIFICATE,
        serial=serial,
        # The day on the certificate may lie before the key that signs it; the token states when it
        # was signed, or every reader would call its key not yet valid.
        signed_at=now,
        ttl_h=form.wording["ttl_h"],
        product=lot.product_id,
        mass_g=draft.mass_g,
        origin=lot.division_code,
        issuer=issuer.party_id,
        flags=flags,
        status_index=certificate_id,
    )
    certificate = Certificate(
        id=certificate_id,
        public_id=draft.public_id,
        digest=draft.digest(issuer),
        kind=draft.kind,
        form_edition=form.edition,
        code=made.code,
        serial=serial,
        kid=made.kid,
        token=made.token,
        lot_id=lot.id,
        issuer_id=issuer.party_id,
        product_id=lot.product_id,
        mass_g=draft.mass_g,
        quantity=draft.quantity,
        unit=draft.unit,
        division_code=lot.division_code,
        bases=[str(basis) for basis in draft.bases],
        issued_on=local_date(draft.issued_at),
        issued_at=draft.issued_at,
        expires_at=made.expires_at,
        replaces_id=None if replaced is None else replaced.id,
    )
    session.add(certificate)
    await session.flush()
    # 产地证明 says where goods come from, and nothing of their conformity: it covers no grams.
    covered_g = draft.mass_g if draft.kind in rules.CONFORMITY else 0
    await lots.certify(session, lot, certificate.id, covered_g)
    statement = Statement(
        "certificate.issued", draft.public_id, _document(draft, issuer, lot, certificate)
    )
    await transparency.append(session, [statement], now=now)
    return certificate


def _document(
    draft: CertificateDraft, issuer: Issuer, lot: LotState, certificate: Certificate
) -> dict[str, Any]:
    """Write what the log keeps of a certificate."""
    return {
        "certificate_kind": draft.kind,
        "form": certificate.form_edition,
        "lot": str(lot.public_id),
        "issuer": str(issuer.public_id),
        "product": lot.product_id,
        "mass_g": str(draft.mass_g),
        "origin": lot.division_code,
        "bases": sorted(draft.bases),
        "token": certificate.token,
        "t": draft.issued_at.isoformat(),
        "replaces": None if draft.replaces is None else str(draft.replaces),
    }


async def void(
    session: AsyncSession, public_id: UUID, *, issuer_id: int, reason: str, now: datetime
) -> tuple[Certificate, bool]:
    """Take a certificate back by a further statement.

    What was handed on under it stays handed on; whoever looks sees that it was voided.

    Returns:
        The certificate, and whether it was in force until now.

    Raises:
        UnknownCertificate: there is none, or it is another party's.
    """
    found = await find(session, public_id)
    if found.issuer_id != issuer_id:
        raise rules.UnknownCertificate(certificate=str(public_id))
    lot = (await lots.states_by_id(session, [found.lot_id]))[found.lot_id]
    await lots.lock(session, [lot.public_id])
    if await voided(session, [found.id]):
        return found, False
    session.add(CertificateVoid(certificate_id=found.id, reason=reason, voided_at=now))
    await session.flush()
    if found.kind in rules.CONFORMITY:
        await lots.decertify(session, found.lot_id, found.mass_g)
    await jobs.enqueue(session, VOIDED_JOB, public_id.bytes)
    # Somebody typed the reason, and may have named a person: the log, which is for ever, keeps a
    # commitment to it.
    salt = (await parties.by_ids(session, [issuer_id]))[issuer_id].commit_salt
    document = {"reason_commit": commitment(salt, reason), "t": now.isoformat()}
    statement = Statement("certificate.voided", public_id, document)
    await transparency.append(session, [statement], now=now)
    return found, True


async def find(session: AsyncSession, public_id: UUID) -> Certificate:
    """Find a certificate by its public id.

    Raises:
        UnknownCertificate: there is none.
    """
    found = await session.scalar(select(Certificate).where(Certificate.public_id == public_id))
    if found is None:
        raise rules.UnknownCertificate(certificate=str(public_id))
    return found


async def by_codes(session: AsyncSession, codes: Collection[str]) -> Sequence[Certificate]:
    """Find certificates by their short codes."""
    if not codes:
        return ()
    return (await session.scalars(select(Certificate).where(Certificate.code.in_(codes)))).all()


async def by_serials(session: AsyncSession, serials: Collection[int]) -> Sequence[Certificate]:
    """Find certificates by the serials of their tokens."""
    if not serials:
        return ()
    found = await session.scalars(select(Certificate).where(Certificate.serial.in_(serials)))
    return found.all()


async def by_ids(session: AsyncSession, certificate_ids: Iterable[int]) -> Sequence[Certificate]:
    """Read several certificates at once, oldest first."""
    wanted = sorted(set(certificate_ids))
    if not wanted:
        return []
    found = await session.scalars(
        select(Certificate).where(Certificate.id.in_(wanted)).order_by(Certificate.id)
    )
    return found.all()


_VOIDED = prepared("""
    SELECT certificate_id, voided_at FROM certificate_void
    WHERE certificate_id = ANY(CAST(:certificates AS bigint[]))
""")


async def voided(session: AsyncSession, certificate_ids: Iterable[int]) -> dict[int, datetime]:
    """Answer which of these certificates were taken back, and when."""
    wanted = sorted(set(certificate_ids))
    if not wanted:
        return {}
    return {row[0]: row[1] for row in await fetch(session, _VOIDED, {"certificates": wanted})}


async def newest_in_force(
    session: AsyncSession, certificate_ids: Iterable[int]
) -> Certificate | None:
    """Answer the newest of these certificates that was not taken back."""
    return (await newest_of_each(session, {0: certificate_ids})).get(0)


async def newest_of_each(
    session: AsyncSession, certificate_ids: Mapping[int, Iterable[int]]
) -> dict[int, Certificate]:
    """Answer the newest certificate of each lot that was not taken back.

    Args:
        session: The caller's session.
        certificate_ids: All certificates of a lot, by the lot.
    """
    wanted = {lot: set(ids) for lot, ids in certificate_ids.items()}
    found = await by_ids(session, {number for ids in wanted.values() for number in ids})
    taken_back = await voided(session, (row.id for row in found))
    return {
        lot: row
        for row in found
        if row.id not in taken_back
        for lot, ids in wanted.items()
        if row.id in ids
    }


async def forms(session: AsyncSession, on: date) -> Sequence[CertificateForm]:
    """List the forms in force on a day."""
    found = await session.scalars(
        select(CertificateForm)
        .where(
            CertificateForm.valid_from <= on,
            CertificateForm.valid_to.is_(None) | (CertificateForm.valid_to > on),
        )
        .order_by(CertificateForm.kind)
    )
    return found.all()


async def form_of(session: AsyncSession, certificate: Certificate) -> Form:
    """Read the form that a certificate was issued on, whatever is in force today."""
    key = (certificate.kind, certificate.form_edition)
    row = await session.get(CertificateForm, key)
    assert row is not None, "the foreign key keeps the form of every certificate"
    return Form(CertificateKind(row.kind), row.edition, row.wording)


async def of_issuer(session: AsyncSession, issuer_id: int, *, most: int) -> Sequence[Certificate]:
    """List what a party issued, newest first."""
    found = await session.scalars(
        select(Certificate)
        .where(Certificate.issuer_id == issuer_id)
        .order_by(Certificate.id.desc())
        .limit(most)
    )
    return found.all()


async def issuers(session: AsyncSession, found: Iterable[Certificate]) -> dict[int, UUID]:
    """Answer the public ids of certificates' issuers."""
    known = await parties.by_ids(session, (row.issuer_id for row in found))
    return {party_id: party.public_id for party_id, party in known.items()}
