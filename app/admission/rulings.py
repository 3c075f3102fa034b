"""Rulings beside verdicts, cases and their ends, and how inspections are shown."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import books, gate, inspections, papers, queries, seed, service
from app.admission.books import Found, FoundTicket
from app.admission.findings import Finding
from app.admission.gate import CaseKind, CaseState
from app.admission.models import GateCase, Inspection, InspectionLine, Ruling
from app.admission.policy import LET_IN, Decision, Severity
from app.admission.rules import (
    CodeKind,
    Entry,
    Goods,
    Misfit,
    Paper,
    Report,
    Stated,
    of_report,
    reports_on,
    standing_against,
)
from app.admission.schemas import (
    CaseCloseIn,
    CaseOut,
    InspectionLineOut,
    InspectionListed,
    InspectionOut,
    RulingIn,
    RulingOut,
    SelfProducerIn,
    SelfProducerOut,
)
from app.certificate import service as certificates
from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.event.lateness import judged_on, late
from app.event.seed import lateness
from app.lot.rules import digest as digest_of
from app.party import identifiers
from app.party import service as parties
from app.party.access import Audience, Caller, Department, RoleKind, governs, may_supervise
from app.place import service as places
from app.place.models import Place
from app.product import service as products
from app.testing import service as samples
from app.ticket import service as tickets
from app.transparency import service as transparency
from app.transparency.rules import commitment
from app.transparency.service import Statement

ACCOUNTABLE = "ruling.accountable"
_STOPPING = frozenset({Severity.REFUSE, Severity.HOLD, Severity.TEST})


# --- rulings --------------------------------------------------------------------------------------


async def rule(
    session: AsyncSession,
    public_id: UUID,
    body: RulingIn,
    caller: Caller,
    *,
    vault: Vault,
    new_id: Callable[[], UUID],
    now: datetime,
) -> tuple[Ruling, bool]:
    """Put a person's decision beside the verdict of a line.

    Returns:
        The ruling, and whether it is new.

    Raises:
        IdReused: the id names another ruling.
        UnknownInspection: there is no such line, or the caller does not answer for its market.
        RulingChangesNothing: the line stands at this decision.
        RulingNotYours: the decision is the regulator's, or another department's, or is about
            goods on hold.
        TestMissing: goods that wait for a test come in without one.
        TestNotPassed: the test that is named has not passed.
        TestDoesNotFit: it is of other goods.
        TestNotVerified: nobody knows it, and the rules of the day ask for one that is known.
    """
    digest = digest_of({**body.model_dump(mode="json"), "by": str(caller.acting_public_id)})
    # The server's role may not rewrite lines, and so cannot lock their rows.
    await inspections.take_turns(session, [f"gate/line/{body.line}"])
    line = await session.scalar(select(InspectionLine).where(InspectionLine.public_id == body.line))
    existing = await session.scalar(select(Ruling).where(Ruling.public_id == public_id))
    if existing is not None:
        if existing.digest != digest:
            raise IdReused(ruling=str(public_id))
        return existing, False
    if line is None:
        raise gate.UnknownInspection(line=str(body.line))
    inspection = await session.get_one(Inspection, line.inspection_id)
    market = await _own_market(session, inspection, caller)
    last = await _last_ruling(session, line)
    former = Decision(line.decided_offline or line.decision if last is None else last.decision)
    paper = await _paper_now(session, line, caller, now=now)
    since = frozenset() if paper is None else standing_against(paper)
    departments = await _departments(session, line, former, on=local_date(inspection.inspected_at))
    said = await _regulator_said(session, line)
    _check(former, body, line, caller, market, since, departments, regulator_said=said)
    findings = await _of_test(session, body, line, inspection, paper, caller, now=now)
    salt = (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party].commit_salt
    ruling = Ruling(
        public_id=public_id,
        digest=digest,
        line_id=line.id,
        former=former,
        decision=body.decision,
        reason=body.reason,
        test=body.test,
        findings=[service.written(finding) for finding in findings],
        accountable_sealed=vault.seal(body.accountable, purpose=ACCOUNTABLE),
        party_id=caller.acting_party,
        account_id=caller.account_id,
        ruled_at=now,
    )
    session.add(ruling)
    await session.flush()
    document = _document(ruling, line, body, by=caller.acting_public_id, salt=salt)
    await transparency.append(session, [Statement("gate.ruled", public_id, document)], now=now)
    if body.decision in LET_IN and former not in LET_IN:
        await _look_for_conflict(session, inspection, line, market, new_id=new_id, now=now)
    return ruling, True


def _document(
    ruling: Ruling, line: InspectionLine, body: RulingIn, *, by: UUID, salt: bytes
) -> dict[str, str]:
    """Write what the log keeps of a ruling: people write names into reasons, and it is for ever."""
    return {
        "line": str(line.public_id),
        "former": ruling.former,
        "decision": body.decision,
        "by": str(by),
        "reason_commit": commitment(salt, body.reason),
        "accountable_commit": commitment(salt, body.accountable),
        "t": ruling.ruled_at.isoformat(),
    }


async def _found(session: AsyncSession, line: InspectionLine) -> Found:
    """Find the document of ours that a line came in on."""
    if line.ticket_id is not None:
        return Found(ticket=FoundTicket(*await tickets.by_id(session, line.ticket_id)))
    if line.certificate_id is not None:
        (certificate,) = await certificates.by_ids(session, [line.certificate_id])
        return Found(certificate=certificate)
    return Found()


async def _paper_now(
    session: AsyncSession, line: InspectionLine, caller: Caller, *, now: datetime
) -> Paper | None:
    """Answer how the document of a line, and the goods behind it, stand by now.

    The test that a verdict asked for may have failed since, and its lot be on hold.
    """
    found = [await _found(session, line)]
    ((_, paper),) = await books.papers_of(session, found, caller, at=now, now=now)
    return paper


async def _of_test(
    session: AsyncSession,
    body: RulingIn,
    line: InspectionLine,
    inspection: Inspection,
    paper: Paper | None,
    caller: Caller,
    *,
    now: datetime,
) -> list[Finding]:
    """Hold the number of a test on which goods come in against the books.

    What it comes to is a finding beside the ruling; the dated rules say what weighs so much that
    goods do not come in on it.

    Raises:
        TestNotPassed: it has failed, or is not decided.
        TestDoesNotFit: it is of other goods.
        TestNotVerified: the books do not know it.
    """
    if body.test is None or body.decision not in LET_IN:
        return []
    goods = () if paper is None else paper.goods
    if not goods and line.product_id is not None and line.mass_g is not None:
        goods = (Goods(None, line.product_id, line.mass_g, local_date(now)),)
    # A test of before the goods came is none of theirs; when they came is believed if told in time.
    at, told_at = inspection.inspected_at, inspection.received_at
    *_, since = judged_on(at, late(await lateness(session), at, told_at))
    stated = Stated(body.test, by=inspections.stated_by(line.seller_id, caller), since=since)
    named = (await samples.named(session, [body.test], now)).get(body.test, ())
    # Goods that nobody has told the product of leave nothing to compare a test with.
    reports = [report for report in reports_on(stated, named, goods) if report is not None]
    report = reports[0] if reports else Report(body.test)
    finding = of_report(report)
    policy = await seed.policy(session)
    finding = replace(finding, by=policy.about(finding.kind.code, local_date(now)))
    if finding.severity in _STOPPING:
        if Misfit.RESULT in report.misfits:
            raise gate.TestNotPassed(pointer="/test", misfits=list(report.misfits))
        if report.misfits:
            raise gate.TestDoesNotFit(pointer="/test", misfits=list(report.misfits))
        raise gate.TestNotVerified(pointer="/test")
    return [finding]


async def _regulator_said(session: AsyncSession, line: InspectionLine) -> Decision | None:
    """Answer the last decision of a regulator about a line, if there was one."""
    rows = await session.scalars(
        select(Ruling).where(Ruling.line_id == line.id).order_by(Ruling.id.desc())
    )
    for ruling in rows:
        kinds = await parties.role_kinds(session, ruling.party_id, local_date(ruling.ruled_at))
        if RoleKind.REGULATOR in kinds:
            return Decision(ruling.decision)
    return None


def _check(
    former: Decision,
    body: RulingIn,
    line: InspectionLine,
    caller: Caller,
    market: Place,
    since: frozenset[str],
    departments: frozenset[Department],
    *,
    regulator_said: Decision | None,
) -> None:
    if body.decision == former:
        raise gate.RulingChangesNothing(line=str(line.public_id), decision=former)
    allowed = gate.may_rule(
        former,
        body.decision,
        {finding["code"] for finding in line.findings} | since,
        market=papers.runs(caller, market),
        regulator=governs(caller, market.division_code)
        and not departments.isdisjoint(caller.departments),
        verdict=Decision(line.decision),
        regulator_said=regulator_said,
    )
    if not allowed:
        raise gate.RulingNotYours(
            former=former, decision=body.decision, departments=sorted(departments)
        )
    severities = {finding["severity"] for finding in line.findings}
    if gate.needs_test(former, body.decision, severities) and body.test is None:
        raise gate.TestMissing(pointer="/test")


async def _departments(
    session: AsyncSession, line: InspectionLine, former: Decision, *, on: date
) -> frozenset[Department]:
    """Say whose offices answer for a line's goods: see `gate.departments_at`."""
    lot_ids: set[int] = set()
    sender = None
    found = await _found(session, line)
    if found.ticket is not None:
        sender = found.ticket.ticket.seller_id
        lot_ids = {draw.lot_id for draw in await tickets.draws_of(session, found.ticket.ticket.id)}
    elif found.certificate is not None:
        sender, lot_ids = found.certificate.issuer_id, {found.certificate.lot_id}
    if sender is not None:
        roles = await parties.role_kinds(session, sender, on)
    else:
        roles = frozenset({RoleKind.FARMER} if line.self_producer_sealed is not None else ())
    through = await tickets.came_through_market(session, lot_ids)
    return gate.departments_at(former, from_roles=roles, through_market=through)


async def _last_ruling(session: AsyncSession, line: InspectionLine) -> Ruling | None:
    found: Ruling | None = await session.scalar(
        select(Ruling).where(Ruling.line_id == line.id).order_by(Ruling.id.desc()).limit(1)
    )
    return found


async def _look_for_conflict(
    session: AsyncSession,
    inspection: Inspection,
    line: InspectionLine,
    market: Place,
    *,
    new_id: Callable[[], UUID],
    now: datetime,
) -> None:
    """Open a case if letting a line in after all makes its document come in twice."""
    document = inspections.shown(line.ticket_id, line.certificate_id)
    if document is None or line.mass_g is None:
        return
    await inspections.take_turns(session, [document.turn])
    place = (await places.by_ids(session, [inspection.place_id]))[inspection.place_id]
    issued_g = inspections.issued_g(await _found(session, line))
    others = await inspections.admitted_on(session, [document], without=[line.public_id])
    catalogue = await products.catalogue(session)
    assert line.product_id is not None, "a line with a document of ours has its product"
    on = local_date(inspection.inspected_at)
    entry = Entry(
        market.public_id,
        line.mass_g,
        issued_g,
        catalogue.tolerance_permille(line.product_id, on),
        others.get(document, ()),
    )
    if found := gate.conflict(entry, place=place.public_id):
        facts = inspections.facts_of(entry)
        await inspections.open_case(
            session, found, line, facts, market_id=market.id, new_id=new_id, now=now
        )


# --- who sees what --------------------------------------------------------------------------------


async def _own_market(session: AsyncSession, inspection: Inspection, caller: Caller) -> Place:
    """Answer an inspection's market if the caller answers for it.

    Raises:
        UnknownInspection: the caller does not.
    """
    market = (await places.by_ids(session, [inspection.market_id]))[inspection.market_id]
    if not papers.runs(caller, market) and not may_supervise(caller, market.division_code):
        raise gate.UnknownInspection(inspection=str(inspection.public_id))
    return market


async def find(session: AsyncSession, public_id: UUID, caller: Caller) -> Inspection:
    """Find an inspection of a market that the caller runs or supervises.

    Raises:
        UnknownInspection: there is none.
    """
    found = await session.scalar(select(Inspection).where(Inspection.public_id == public_id))
    if found is None:
        raise gate.UnknownInspection(inspection=str(public_id))
    await _own_market(session, found, caller)
    return found


async def own(session: AsyncSession, caller: Caller, *, most: int) -> list[InspectionListed]:
    """List what a party inspected, the latest by the evidence first."""
    rows = list(
        await session.scalars(
            select(Inspection)
            .where(Inspection.party_id == caller.acting_party)
            .order_by(
                Inspection.inspected_at.desc(), Inspection.received_at.desc(), Inspection.id.desc()
            )
            .limit(most)
        )
    )
    known = await places.by_ids(session, {row.place_id for row in rows})
    lines = await _lines_of(session, [row.id for row in rows])
    return [
        InspectionListed(
            inspection=row.public_id,
            place=known[row.place_id].public_id,
            plate=row.plate,
            device=row.device,
            sequence=row.sequence,
            inspected_at=row.inspected_at,
            received_at=row.received_at,
            decision=Decision(row.decision),
            lines=len(lines[row.id]),
        )
        for row in rows
    ]


async def _lines_of(
    session: AsyncSession, inspection_ids: Iterable[int]
) -> Mapping[int, list[InspectionLine]]:
    rows = await session.scalars(
        select(InspectionLine)
        .where(InspectionLine.inspection_id.in_(list(inspection_ids)))
        .order_by(InspectionLine.inspection_id, InspectionLine.no)
    )
    found: dict[int, list[InspectionLine]] = defaultdict(list)
    for row in rows:
        found[row.inspection_id].append(row)
    return found


async def describe(session: AsyncSession, inspection: Inspection, *, vault: Vault) -> InspectionOut:
    """Write an inspection as it goes out, with its rulings and open cases."""
    lines = (await _lines_of(session, [inspection.id]))[inspection.id]
    known = await places.by_ids(session, {inspection.place_id, inspection.market_id})
    by = (await parties.by_ids(session, [inspection.party_id]))[inspection.party_id]
    shown = await _describe_lines(session, lines, vault=vault)
    cases = await session.scalars(
        select(GateCase.public_id)
        .where(GateCase.line_id.in_([line.id for line in lines]))
        .order_by(GateCase.id)
    )
    return InspectionOut(
        inspection=inspection.public_id,
        market=known[inspection.market_id].public_id,
        place=known[inspection.place_id].public_id,
        by=by.public_id,
        inspector=vault.open(inspection.inspector_sealed, purpose=inspections.INSPECTOR),
        plate=inspection.plate,
        device=inspection.device,
        sequence=inspection.sequence,
        device_at=inspection.device_at,
        clock_offset_ms=inspection.clock_offset_ms,
        inspected_at=inspection.inspected_at,
        received_at=inspection.received_at,
        decision=Decision(inspection.decision),
        stands_at=gate.gravest(line.stands_at for line in shown),
        lines=shown,
        cases=list(cases.all()),
    )


async def _describe_lines(
    session: AsyncSession, lines: Sequence[InspectionLine], *, vault: Vault
) -> list[InspectionLineOut]:
    catalogue = await products.catalogue(session)
    ruled: dict[int, list[Ruling]] = defaultdict(list)
    for ruling in await session.scalars(
        select(Ruling).where(Ruling.line_id.in_([line.id for line in lines])).order_by(Ruling.id)
    ):
        ruled[ruling.line_id].append(ruling)
    known = await parties.by_ids(
        session,
        {line.seller_id for line in lines if line.seller_id is not None}
        | {ruling.party_id for each in ruled.values() for ruling in each},
    )
    numbers = await tickets.public_ids(
        session, [line.ticket_id for line in lines if line.ticket_id is not None]
    )
    issued = {
        row.id: row.public_id
        for row in await certificates.by_ids(
            session, [line.certificate_id for line in lines if line.certificate_id is not None]
        )
    }
    recorded = await papers.by_ids(session, [paper for line in lines for paper in line.papers])
    shown = []
    for line in lines:
        findings = [service.read_back(finding) for finding in line.findings]
        rulings = [
            describe_ruling(ruling, line.public_id, known[ruling.party_id].public_id, vault=vault)
            for ruling in ruled[line.id]
        ]
        offline = None if line.decided_offline is None else Decision(line.decided_offline)
        product = None if line.product_id is None else catalogue.product(line.product_id)
        shown.append(
            InspectionLineOut(
                no=line.no,
                line=line.public_id,
                kind=None if line.kind is None else CodeKind(line.kind),
                ticket=None if line.ticket_id is None else numbers[line.ticket_id],
                certificate=None if line.certificate_id is None else issued[line.certificate_id],
                papers=[recorded[paper].public_id for paper in line.papers],
                seller=None if line.seller_id is None else known[line.seller_id].public_id,
                self_producer=_masked(line, vault=vault),
                product=line.product_id,
                product_name=None if product is None else product.name,
                mass_g=line.mass_g,
                mass=None if line.mass_g is None else queries.spelled(line.mass_g),
                decision=Decision(line.decision),
                decided_offline=offline,
                stands_at=rulings[-1].decision if rulings else offline or Decision(line.decision),
                findings=findings,
                would_be=service.would_be(findings),
                drawn=line.drawn,
                rate_bp=line.rate_bp,
                rate_rules=line.rate_rules,
                rulings=rulings,
            )
        )
    return shown


def _masked(line: InspectionLine, *, vault: Vault) -> SelfProducerOut | None:
    if line.self_producer_sealed is None:
        return None
    sealed = vault.open(line.self_producer_sealed, purpose=inspections.SELF_PRODUCER)
    producer = SelfProducerIn.model_validate_json(sealed)
    return SelfProducerOut(
        name=identifiers.mask_name(producer.name),
        id_number=identifiers.mask_resident_id(producer.id_number),
        contact=identifiers.mask_phone(producer.contact),
    )


def describe_ruling(ruling: Ruling, line: UUID, by: UUID, *, vault: Vault) -> RulingOut:
    """Write a ruling as it goes out."""
    return RulingOut(
        ruling=ruling.public_id,
        line=line,
        former=Decision(ruling.former),
        decision=Decision(ruling.decision),
        reason=ruling.reason,
        test=ruling.test,
        findings=[service.read_back(finding) for finding in ruling.findings],
        accountable=vault.open(ruling.accountable_sealed, purpose=ACCOUNTABLE),
        by=by,
        ruled_at=ruling.ruled_at,
    )


# --- cases ----------------------------------------------------------------------------------------


async def cases(
    session: AsyncSession, caller: Caller, *, state: CaseState | None, most: int
) -> list[CaseOut]:
    """List the cases of the markets that a caller runs or supervises, newest first."""
    statement = select(GateCase, Place).join(Place, Place.id == GateCase.market_id)
    if Audience.OPERATOR not in caller.audiences:
        mine = Place.party_id == caller.acting_party
        if caller.jurisdiction is not None:
            mine |= Place.division_code.startswith(caller.jurisdiction)
        statement = statement.where(mine)
    if state is not None:
        statement = statement.where(GateCase.state == state)
    rows = await session.execute(statement.order_by(GateCase.id.desc()).limit(most))
    return await describe_cases(session, [row[0] for row in rows], caller)


async def close_case(
    session: AsyncSession, public_id: UUID, body: CaseCloseIn, caller: Caller, *, now: datetime
) -> GateCase:
    """Say how a case ended.

    Raises:
        UnknownCase: there is none, or the caller does not answer for its market.
        CaseOfTheMarket: the caller runs the market that the case tells against.
        CaseNotYours: the goods are another department's.
        CaseClosed: it was closed in another way, or by somebody else.
    """
    case, market = await _lock_case(session, public_id)
    runs = papers.runs(caller, market)
    if not runs and not governs(caller, market.division_code):
        raise gate.UnknownCase(case=str(public_id))
    if not runs or not _may_clear_up(case, market):
        departments = await _departments_of(session, case)
        if runs:
            raise gate.CaseOfTheMarket(case=str(public_id), departments=sorted(departments))
        if departments.isdisjoint(caller.departments):
            raise gate.CaseNotYours(case=str(public_id), departments=sorted(departments))
    if case.state != CaseState.OPEN:
        asked = (body.state, body.reason, caller.acting_party)
        if (case.state, case.close_reason, case.closed_by) != asked:
            raise gate.CaseClosed(case=str(public_id), state=case.state)
        return case
    case.state = body.state
    case.closed_by = caller.acting_party
    case.close_reason = body.reason
    case.closed_at = now
    await session.flush()
    salt = (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party].commit_salt
    document = {
        "state": body.state,
        "by": str(caller.acting_public_id),
        "reason_commit": commitment(salt, body.reason),
        "t": now.isoformat(),
    }
    statement = Statement("gate.case-closed", public_id, document)
    await transparency.append(session, [statement], now=now)
    return case


async def answer_case(
    session: AsyncSession, public_id: UUID, said: str, caller: Caller, *, now: datetime
) -> GateCase:
    """Keep what a market states about a case, for the office in charge to see.

    Raises:
        UnknownCase: there is none, or it is another market's.
        CaseAnswered: the market said something else before.
        CaseClosed: it was closed without.
    """
    case, market = await _lock_case(session, public_id)
    if not papers.runs(caller, market):
        raise gate.UnknownCase(case=str(public_id))
    if case.answer is not None:
        if case.answer != said:
            raise gate.CaseAnswered(case=str(public_id))
        return case
    if case.state != CaseState.OPEN:
        raise gate.CaseClosed(case=str(public_id), state=case.state)
    case.answer = said
    case.answered_at = now
    await session.flush()
    salt = (await parties.by_ids(session, [caller.acting_party]))[caller.acting_party].commit_salt
    document = {
        "by": str(caller.acting_public_id),
        "answer_commit": commitment(salt, said),
        "t": now.isoformat(),
    }
    statement = Statement("gate.case-answered", public_id, document)
    await transparency.append(session, [statement], now=now)
    return case


async def _lock_case(session: AsyncSession, public_id: UUID) -> tuple[GateCase, Place]:
    case = await session.scalar(
        select(GateCase).where(GateCase.public_id == public_id).with_for_update()
    )
    if case is None:
        raise gate.UnknownCase(case=str(public_id))
    return case, (await places.by_ids(session, [case.market_id]))[case.market_id]


def _may_clear_up(case: GateCase, market: Place) -> bool:
    """Whether a case is one that its market may close."""
    own = str(market.public_id)
    elsewhere = any(entry["market"] != own for entry in case.facts.get("admitted", ()))
    return gate.market_may_close(CaseKind(case.kind), elsewhere=elsewhere)


async def _departments_of(session: AsyncSession, case: GateCase) -> frozenset[Department]:
    """Say whose offices answer for the goods of a case, as in a ruling."""
    line = await session.get_one(InspectionLine, case.line_id)
    inspection = await session.get_one(Inspection, line.inspection_id)
    last = await _last_ruling(session, line)
    stands_at = Decision(line.decided_offline or line.decision if last is None else last.decision)
    return await _departments(session, line, stands_at, on=local_date(inspection.inspected_at))


async def _may_close(session: AsyncSession, case: GateCase, market: Place, caller: Caller) -> bool:
    if case.state != CaseState.OPEN:
        return False
    if papers.runs(caller, market):
        return _may_clear_up(case, market)
    if not governs(caller, market.division_code):
        return False
    # It always has a say at the gate of a market; only for others the goods are looked up.
    if Department.MARKET_REGULATION in caller.departments:
        return True
    return not caller.departments.isdisjoint(await _departments_of(session, case))


async def describe_cases(
    session: AsyncSession, found: Sequence[GateCase], caller: Caller
) -> list[CaseOut]:
    """Write cases as they go out, with what the caller may do about them."""
    markets = await places.by_ids(session, {case.market_id for case in found})
    rows = await session.scalars(
        select(InspectionLine).where(InspectionLine.id.in_([case.line_id for case in found]))
    )
    lines = {line.id: line for line in rows}
    named = {case.closed_by for case in found} | {line.seller_id for line in lines.values()}
    known = await parties.by_ids(session, [party for party in named if party is not None])
    numbers = await tickets.public_ids(
        session, [case.ticket_id for case in found if case.ticket_id is not None]
    )
    catalogue = await products.catalogue(session)

    def case_out(case: GateCase, line: InspectionLine, *, may_close: bool) -> CaseOut:
        seller = None if line.seller_id is None else known[line.seller_id]
        product = None if line.product_id is None else catalogue.product(line.product_id)
        return CaseOut(
            case=case.public_id,
            kind=CaseKind(case.kind),
            market=markets[case.market_id].public_id,
            line=line.public_id,
            ticket=None if case.ticket_id is None else numbers[case.ticket_id],
            product=line.product_id,
            product_name=None if product is None else product.name,
            mass_g=line.mass_g,
            seller=None if seller is None else seller.public_id,
            seller_name=None if seller is None else seller.name,
            facts=case.facts,
            state=CaseState(case.state),
            opened_at=case.opened_at,
            answer=case.answer,
            answered_at=case.answered_at,
            may_close=may_close,
            may_answer=case.state == CaseState.OPEN
            and case.answer is None
            and papers.runs(caller, markets[case.market_id]),
            closed_by=None if case.closed_by is None else known[case.closed_by].public_id,
            close_reason=case.close_reason,
            closed_at=case.closed_at,
        )

    return [
        case_out(
            case,
            lines[case.line_id],
            may_close=await _may_close(session, case, markets[case.market_id], caller),
        )
        for case in found
    ]
