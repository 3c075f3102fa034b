"""Scans: recognises a code, gathers what the books know, decides, and records who looked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import books, queries, rules, seed
from app.admission.books import Found
from app.admission.findings import OBSERVATIONS, Finding
from app.admission.models import Scan
from app.admission.policy import Decision, Proof, Severity
from app.admission.rules import Code, CodeKind, Facts, Verdict
from app.admission.schemas import (
    FindingOut,
    ReferenceOut,
    ScanListed,
    VerdictOut,
)
from app.certificate import service as certificates
from app.core.db import fetch, prepared
from app.core.errors import IdReused
from app.lot.rules import digest as digest_of
from app.party.access import Caller
from app.place import service as places
from app.signing.keys import Verifier
from app.ticket import service as tickets
from app.ticket.rules import TicketStatus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScanDraft:
    """What was read, where and when."""

    public_id: UUID
    text: str
    place: UUID | None = None
    device_at: datetime | None = None
    plate: str | None = None

    def digest(self, caller: Caller) -> bytes:
        """Answer what tells whether a repeated request is the same."""
        return digest_of(
            {
                "text": self.text.encode(errors="surrogatepass").hex(),
                "place": None if self.place is None else str(self.place),
                "device_at": None if self.device_at is None else self.device_at.isoformat(),
                "plate": self.plate,
                "by": str(caller.acting_public_id),
            }
        )


# Nearly every scan is new: to find that out must not cost what reading one costs.
_IS_KNOWN = prepared("SELECT FROM scan WHERE public_id = :scan")


async def scan(
    session: AsyncSession,
    draft: ScanDraft,
    caller: Caller,
    *,
    verifier: Verifier,
    base_urls: Collection[str],
    now: datetime,
    reading: AsyncSession | None = None,
) -> tuple[VerdictOut, bool]:
    """Say what a code is worth, and record that it was asked; the same again answers the same.

    Args:
        session: The caller's transaction.
        draft: What was scanned.
        caller: Who asks.
        verifier: The keys.
        base_urls: What our codes begin with.
        now: The present instant.
        reading: A session that may be a replica's. What it knows is enough to admit; a ticket that
            it does not know, or anything else that speaks against it, is looked up in `session`,
            for a hold may have been released and a ticket issued a moment ago.

    Returns:
        The verdict, and whether the scan is new.

    Raises:
        IdReused: the id names a scan with other content.
        UnknownPlace: there is no such place.
    """
    code = rules.recognise(draft.text, base_urls)
    if await fetch(session, _IS_KNOWN, {"scan": draft.public_id}):
        existing = await session.scalar(select(Scan).where(Scan.public_id == draft.public_id))
        assert existing is not None, "no scan is ever taken away"
        if existing.digest != draft.digest(caller):
            raise IdReused(scan=str(draft.public_id))
        return await _answer(session, existing, code, caller, place=draft.place), False
    place_id = None if draft.place is None else await places.id_of(session, draft.place)
    found, verdict = await examine(
        reading or session, code, caller, verifier=verifier, now=now, draft=draft
    )
    if reading not in {None, session} and verdict.decision is not Decision.ADMIT:
        found, verdict = await examine(
            session, code, caller, verifier=verifier, now=now, draft=draft
        )
    row = keep(session, draft, caller, code, found, verdict, place_id=place_id, now=now)
    await session.flush()
    return await _answer(session, row, code, caller, place=draft.place, found=found), True


def keep(
    session: AsyncSession,
    draft: ScanDraft,
    caller: Caller,
    code: Code,
    found: Found,
    verdict: Verdict,
    *,
    place_id: int | None,
    now: datetime,
) -> Scan:
    """Record a scan, whatever it found, and raise the alarms of its verdict."""
    row = Scan(
        public_id=draft.public_id,
        digest=draft.digest(caller),
        party_id=caller.acting_party,
        account_id=caller.account_id,
        place_id=place_id,
        kind=code.kind,
        code=code.reference,
        ticket_id=None if found.ticket is None else found.ticket.ticket.id,
        certificate_id=None if found.certificate is None else found.certificate.id,
        decision=verdict.decision,
        findings=[written(finding) for finding in verdict.findings],
        scanned_at=now,
        device_at=draft.device_at,
    )
    session.add(row)
    ring(row.public_id, verdict)
    return row


async def examine(
    session: AsyncSession,
    code: Code,
    caller: Caller,
    *,
    verifier: Verifier,
    now: datetime,
    draft: ScanDraft | None = None,
) -> tuple[Found, Verdict]:
    """Find what a code stands for, and everything that speaks for and against it."""
    asked = [Asked(code, draft)]
    ((found, facts),) = await gather(session, asked, caller, verifier=verifier, at=now, now=now)
    return found, rules.decide(await seed.policy(session), facts)


class Asked(NamedTuple):
    """A code, and the scan that it was read in."""

    code: Code
    draft: ScanDraft | None = None


async def gather(
    session: AsyncSession,
    asked: Sequence[Asked],
    caller: Caller,
    *,
    verifier: Verifier,
    at: datetime,
    now: datetime,
) -> list[tuple[Found, Facts]]:
    """Find what codes stand for, and all that bears on verdicts about them.

    It takes as many statements for a whole vehicle as for one code.

    Args:
        session: The caller's transaction.
        asked: What was read.
        caller: Who asks.
        verifier: Judges signatures.
        at: When the codes were read, by the best evidence.
        now: When it is judged; see `books.papers_of`.
    """
    # The signature comes first: nothing that an unsigned token says is even looked up.
    signatures = [
        None if code.parsed is None else verifier.verify(code.parsed, at) for code, _ in asked
    ]
    found = await books.find_all(
        session,
        [
            code
            if code.kind is CodeKind.SHORT_CODE
            or (signature is not None and rules.may_be_shown(signature))
            else None
            for (code, _), signature in zip(asked, signatures, strict=True)
        ],
    )
    papers = await books.papers_of(session, found, caller, at=at, now=now)
    return [
        (
            document,
            Facts(
                code=code,
                now=at,
                signature=signature,
                paper=paper,
                plate=None if draft is None else draft.plate,
                device_at=None if draft is None else draft.device_at,
            ),
        )
        for (code, draft), signature, (document, paper) in zip(
            asked, signatures, papers, strict=True
        )
    ]


def ring(scan: UUID, verdict: Verdict) -> None:
    """Raise the alarms of a verdict where the operator looks: in the log, by code."""
    for finding in verdict.findings:
        if finding.kind.alarm:
            log.error(
                "scan_alarm",
                finding=finding.kind.code,
                scan=str(scan),
                kid=finding.facts.get("kid"),
            )


def written(finding: Finding) -> dict[str, Any]:
    """Write a finding as it is kept: its wording may improve, code and rule stay."""
    return {
        "code": finding.kind.code,
        "severity": finding.severity,
        "facts": dict(finding.facts),
        "source": finding.source,
        "rule": None if finding.by is None else finding.by.code,
        "policy": None if finding.by is None else finding.by.policy,
        "verified": finding.by is not None and finding.by.verified,
        "satisfied_by": list(finding.satisfied_by),
    }


def read_back(stored: dict[str, Any]) -> FindingOut:
    """Write a kept finding as it goes out; scans of before the dated rules name none."""
    kind = OBSERVATIONS[stored["code"]]
    return FindingOut(
        code=kind.code,
        severity=Severity(stored.get("severity", kind.severity)),
        alarm=kind.alarm,
        zh=kind.text.zh,
        en=kind.text.en,
        source=stored["source"] or kind.source,
        rule=stored.get("rule"),
        policy=stored.get("policy"),
        verified=stored.get("verified", False),
        satisfied_by=[Proof(proof) for proof in stored.get("satisfied_by", ())],
        facts=stored["facts"],
    )


def would_be(findings: Sequence[FindingOut]) -> Decision | None:
    """Answer what would be decided if the gravest findings were answered; None if admitted."""
    return rules.decision_without_gravest([finding.severity for finding in findings])


async def _answer(
    session: AsyncSession,
    row: Scan,
    code: Code,
    caller: Caller,
    *,
    place: UUID | None,
    found: Found | None = None,
) -> VerdictOut:
    """Write a verdict from what was recorded, so that a repeat says what was true at the time.

    Args:
        session: The caller's transaction.
        row: What was recorded.
        code: What was read.
        caller: Who asked.
        place: Where.
        found: The document, where it was read a moment ago; what it says never changes.
    """
    findings = [read_back(stored) for stored in row.findings]
    facts = {finding.code: finding.facts for finding in findings}
    ticket = certificate = None
    if row.ticket_id is not None:
        if found is not None and found.ticket is not None:
            known = found.ticket.ticket
        else:
            known, _ = await tickets.by_id(session, row.ticket_id)
        status = facts["in-the-books"]["status"]
        ticket = await queries.summarise_ticket(
            session,
            known,
            caller,
            status=TicketStatus(status),
            behind=None if found is None else found.behind,
        )
    if row.certificate_id is not None:
        (issued,) = await certificates.by_ids(session, [row.certificate_id])
        certificate = await queries.summarise_certificate(
            session, issued, caller, voided="voided" in facts
        )
    foreign = "foreign-code" in facts
    return VerdictOut(
        scan=row.public_id,
        kind=CodeKind(row.kind),
        decision=Decision(row.decision),
        findings=findings,
        would_be=would_be(findings),
        ticket=ticket,
        certificate=certificate,
        reference=ReferenceOut(
            kind=code.kind, reference=code.reference, elements=dict(code.elements)
        )
        if foreign
        else None,
        place=place,
        scanned_at=row.scanned_at,
    )


async def own(
    session: AsyncSession, caller: Caller, *, before: UUID | None, most: int
) -> list[ScanListed]:
    """List what the caller's party scanned, newest first."""
    found = await queries.scans_of(session, caller.acting_party, before=before, most=most)
    return [
        ScanListed(
            scan=row.scan,
            kind=CodeKind(row.kind),
            decision=Decision(row.decision),
            findings=[stored["code"] for stored in row.findings],
            ticket=row.ticket,
            certificate=row.certificate,
            place=row.place,
            scanned_at=row.scanned_at,
        )
        for row in found
    ]
