"""Inspections: stores each once, decides every line, and opens a case where two cannot be true."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import gate, papers, rules, sampling, seed, service
from app.admission.gate import CaseKind, CaseState, Clocking
from app.admission.models import (
    Agreement,
    GateCase,
    Inspection,
    InspectionLine,
    PaperDocument,
)
from app.admission.policy import LET_IN, Decision, Proof, Rate, Risk, Trait, is_drawn
from app.admission.queries import Found
from app.admission.rules import Admitted, Code, Document, Entry, Facts, Goods, Verdict
from app.admission.schemas import InspectionIn, InspectionLineIn
from app.admission.service import ScanDraft
from app.certificate import service as certificates
from app.certificate.rules import CertificateKind, NoFormInForce
from app.core.clock import SHANGHAI, local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.event import service as events
from app.event.rules import EventKind, check_occurred
from app.event.service import Happening
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller
from app.place import service as places
from app.place.models import Place
from app.product import service as products
from app.product.rules import Catalogue, Production
from app.signing.keys import Verifier
from app.transparency import service as transparency
from app.transparency.service import Statement

INSPECTOR = "inspection.inspector"
SELF_PRODUCER = "inspection_line.self_producer"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an inspection rests on beside the request."""

    vault: Vault
    verifier: Verifier
    base_urls: Collection[str]
    new_id: Callable[[], UUID]
    now: datetime


@dataclass(slots=True)
class Look:
    """One line while it is looked at.

    Attributes:
        mass_g: What stands there.
        seller_id: Who will sell it in the market.
    """

    no: int
    body: InspectionLineIn
    code: Code | None
    found: Found
    facts: Facts
    product: int | None
    mass_g: int | None
    issued_g: int | None
    seller_id: int | None
    documents: list[PaperDocument] = field(default_factory=list)

    @property
    def ticket_id(self) -> int | None:
        """The ticket that the line is about, if the books know one."""
        return None if self.found.ticket is None else self.found.ticket.ticket.id


@dataclass(frozen=True, slots=True)
class Judged:
    """A line with its verdict."""

    look: Look
    verdict: Verdict
    rate: Rate
    drawn: bool
    admitted: tuple[Admitted, ...]

    @property
    def stands_at(self) -> Decision:
        """What happened to the goods: what the device decided offline, or the verdict."""
        return self.look.body.decided_offline or self.verdict.decision


@dataclass(frozen=True, slots=True)
class Scene:
    """Where and when an inspection happened, and by whom."""

    caller: Caller
    place: Place
    market: Place
    clocking: Clocking
    at: datetime

    @property
    def on(self) -> date:
        """The day whose rules goods without a ticket are judged by."""
        return local_date(self.at)


def digest(body: InspectionIn, caller: Caller) -> bytes:
    """Answer what tells whether an inspection is the same one.

    When it was sent is no part of it: a device that sends again has a later clock.
    """
    content = body.model_dump(mode="json", exclude={"sent_at"})
    return digest_of({"body": json.dumps(content, sort_keys=True), "by": str(caller.acting_party)})


async def record(
    session: AsyncSession,
    public_id: UUID,
    body: InspectionIn,
    caller: Caller,
    circumstances: Circumstances,
) -> tuple[Inspection, bool]:
    """Decide about everything on a vehicle, and keep it, whatever it found.

    Returns:
        The inspection, and whether it is new.

    Raises:
        IdReused: the id, or a line's, names something else.
        UnknownPlace, NotAGate: there is no such gate.
        GateNotYours: the caller does not answer for it.
        ImpossibleDate: it lies in the future by the device's own reckoning, or five years back.
        UnknownPaper: a paper was not recorded by the caller.
        UnknownParty, UnknownProduct: a line names a seller or a product that is not there.
    """
    existing = await session.scalar(select(Inspection).where(Inspection.public_id == public_id))
    if existing is not None:
        if existing.digest != digest(body, caller):
            raise IdReused(inspection=str(public_id))
        return existing, False
    scene, repeated = await _scene(session, body, caller, now=circumstances.now)
    await _check_new(session, body)
    looks = await _look(session, body, scene, circumstances)
    await _take_turns(session, looks)
    judged = await _judge(session, looks, scene, circumstances)
    inspection = await _write(session, public_id, body, scene, judged, circumstances)
    await _open_cases(
        session, inspection, scene, judged, repeated=repeated, circumstances=circumstances
    )
    return inspection, True


# --- where and when -------------------------------------------------------------------------------

_NEIGHBOURS = text("""
    SELECT
        (SELECT max(inspected_at) FROM inspection
         WHERE device = :device AND party_id = :party AND sequence < :sequence),
        (SELECT min(inspected_at) FROM inspection
         WHERE device = :device AND party_id = :party AND sequence > :sequence),
        (SELECT count(*) FROM inspection
         WHERE device = :device AND party_id = :party AND sequence = :sequence)
""")


async def _scene(
    session: AsyncSession, body: InspectionIn, caller: Caller, *, now: datetime
) -> tuple[Scene, bool]:
    """Find out where and when it happened, and whether the device counted it twice."""
    place = await places.find_place(session, body.place)
    market = await papers.market_of(session, place)
    papers.check_answers_for(caller, market)
    clocking = Clocking(now, body.device_at, body.sent_at)
    after = before = None
    repeated = False
    if body.sequence is not None:
        neighbours = await session.execute(
            _NEIGHBOURS,
            {"device": body.device, "party": caller.acting_party, "sequence": body.sequence},
        )
        after, before, same = neighbours.one()
        repeated = same > 0
    at = gate.happened_at(clocking, after=after, before=before)
    check_occurred(at, now=now, pointer="/device_at")
    return Scene(caller, place, market, clocking, at), repeated


async def _check_new(session: AsyncSession, body: InspectionIn) -> None:
    known = await session.scalar(
        select(InspectionLine.public_id).where(
            InspectionLine.public_id.in_([line.id for line in body.lines])
        )
    )
    if known is not None:
        raise IdReused(line=str(known))


# --- what is on the vehicle -----------------------------------------------------------------------


async def _look(
    session: AsyncSession, body: InspectionIn, scene: Scene, circumstances: Circumstances
) -> list[Look]:
    """Find what every line's code stands for, its papers and who will sell the goods."""
    catalogue = await products.catalogue(session)
    recorded = await papers.of_party(
        session, [paper for line in body.lines for paper in line.papers], scene.caller.acting_party
    )
    looks = []
    for no, line in enumerate(body.lines, start=1):
        code, found = None, Found()
        facts = Facts(None, scene.at)
        if line.text is not None:
            code = rules.recognise(line.text, circumstances.base_urls)
            found, facts = await service.gather(
                session,
                code,
                scene.caller,
                verifier=circumstances.verifier,
                at=scene.at,
                draft=scan_of(body, line),
            )
        # The device's clock as it would have shown the true instant of the inspection.
        facts = replace(facts, device_at=scene.at - scene.clocking.offset)
        goods = facts.paper.goods if facts.paper else ()
        product = line.product
        if product is None and goods:
            product = goods[0].product
        if product is not None:
            catalogue.product(product)
        issued_g = _issued_g(found)
        looks.append(
            Look(
                no,
                line,
                code,
                found,
                facts,
                product=product,
                mass_g=line.mass_g or issued_g,
                issued_g=issued_g,
                seller_id=await _seller(session, line, found),
                documents=[recorded[paper] for paper in line.papers],
            )
        )
    return looks


def scan_of(body: InspectionIn, line: InspectionLineIn) -> ScanDraft:
    """Write a line's code as the scan that it is."""
    return ScanDraft(line.id, line.text or "", body.place, body.device_at, body.plate)


def _issued_g(found: Found) -> int | None:
    if found.ticket is not None:
        return found.ticket.ticket.mass_g
    return None if found.certificate is None else found.certificate.mass_g


async def _seller(session: AsyncSession, line: InspectionLineIn, found: Found) -> int | None:
    """Find who will sell the goods in the market: whoever is named, or the ticket's buyer."""
    if line.seller is not None:
        return (await parties.find(session, line.seller)).id
    if found.ticket is not None:
        return found.ticket.ticket.buyer_id
    return None if found.certificate is None else found.certificate.issuer_id


# Always in the same order, so that two vehicles with the same papers cannot wait for each other.
_LOCK = text("""
    SELECT count(pg_advisory_xact_lock(number)) FROM (
        SELECT DISTINCT hashtextextended(key, 0) AS number
        FROM unnest(CAST(:keys AS text[])) key ORDER BY number
    ) turns
""")


def turn_of_ticket(ticket_id: int) -> str:
    """Name the turn that gates take when they decide about a ticket."""
    return f"gate/ticket/{ticket_id}"


async def take_turns(session: AsyncSession, keys: Iterable[str]) -> None:
    """Wait until no other transaction has any of these turns; they end with the transaction."""
    await session.execute(_LOCK, {"keys": list(keys)})


async def _take_turns(session: AsyncSession, looks: Iterable[Look]) -> None:
    """Let two gates that see the same ticket or paper at the same instant come one by one."""
    keys = {turn_of_ticket(look.ticket_id) for look in looks if look.ticket_id is not None}
    keys |= {
        f"gate/paper/{paper.kind}/{paper.number}" for look in looks for paper in look.documents
    }
    await take_turns(session, keys)


# --- verdicts -------------------------------------------------------------------------------------


async def _judge(
    session: AsyncSession, looks: Sequence[Look], scene: Scene, circumstances: Circumstances
) -> list[Judged]:
    """Draw and decide every line."""
    policy = await seed.policy(session)
    catalogue = await products.catalogue(session)
    drawn_from = await sampling.open_day(session, vault=circumstances.vault, now=circumstances.now)
    draw_on = local_date(circumstances.now)
    history = await sampling.failed_permille(
        session, {look.product for look in looks if look.product is not None}, draw_on
    )
    agreements = await papers.in_force(
        session,
        scene.market.id,
        [look.seller_id for look in looks if look.seller_id is not None],
        scene.on,
    )
    came_in = await admitted_on(session, {look.ticket_id for look in looks if look.ticket_id})
    used: dict[tuple[str, str, str], int] = defaultdict(int)
    judged: list[Judged] = []
    for look in looks:
        agreement = agreements.get(look.seller_id or 0)
        risk = Risk(
            look.product,
            draw_on,
            None if agreement is None else agreement.grade,
            history.get(look.product or 0, 0),
        )
        rate = await sampling.rate(session, risk)
        drawn = is_drawn(drawn_from, look.body.id, rate.basis_points)
        others = (*came_in.get(look.ticket_id or 0, ()), *_in_this(judged, look, scene))
        facts = replace(
            look.facts,
            **await _with_goods(session, look, scene, agreement, catalogue, used),
            entry=_entry(look, scene, others, catalogue, drawn=drawn),
        )
        verdict = rules.decide(policy, facts)
        judged.append(Judged(look, verdict, rate, drawn, others))
        if judged[-1].stands_at is not Decision.REFUSE:
            for document in look.documents:
                used[_sheet(document)] += look.mass_g or 0
    return judged


def _in_this(judged: Iterable[Judged], look: Look, scene: Scene) -> list[Admitted]:
    """Answer what earlier lines of the same vehicle bring in on the same ticket."""
    return [
        Admitted(
            line.look.body.id,
            scene.place.public_id,
            scene.market.public_id,
            line.look.mass_g or 0,
            scene.at,
        )
        for line in judged
        if look.ticket_id is not None
        and line.look.ticket_id == look.ticket_id
        and line.stands_at in LET_IN
    ]


def _entry(
    look: Look,
    scene: Scene,
    others: Iterable[Admitted],
    catalogue: Catalogue,
    *,
    drawn: bool,
) -> Entry:
    """Say what stands there, beside what had come in on the same ticket by then."""
    tolerance = 0 if look.product is None else catalogue.tolerance_permille(look.product, scene.on)
    return Entry(
        market=scene.market.public_id,
        mass_g=look.mass_g or 0,
        issued_g=look.issued_g,
        tolerance_permille=tolerance,
        admitted=tuple(other for other in others if other.at <= scene.at),
        drawn=drawn,
    )


async def _with_goods(
    session: AsyncSession,
    look: Look,
    scene: Scene,
    agreement: Agreement | None,
    catalogue: Catalogue,
    used: Mapping[tuple[str, str, str], int],
) -> dict[str, Any]:
    """Write the goods of a line with what the market knows of them."""
    paper = look.facts.paper
    own = () if paper is None else paper.goods
    if not own and look.product is not None and look.mass_g is not None:
        needed = catalogue.requirement(look.product, Production.ANY, scene.on)
        own = (
            Goods(
                None,
                look.product,
                look.mass_g,
                scene.on,
                needs=None if needed is None else needed.requirement,
                needs_source="" if needed is None else needed.source,
            ),
        )
    proofs, traits = _of_line(look, agreement)
    documents = [
        await _document(session, document, used, on=scene.on) for document in look.documents
    ]
    if await _on_present_form(session, look.documents, scene.on):
        traits |= {Trait.PRESENT_FORM}
    goods = tuple(
        replace(
            item,
            proofs=item.proofs | proofs,
            traits=item.traits | traits,
            # A paper for another product is a fault only if nothing of its product is there.
            documents=tuple(
                document
                for document in documents
                if document.product in {None, item.product}
                or (place == 0 and document.product not in {each.product for each in own})
            ),
        )
        for place, item in enumerate(own)
    )
    if paper is None:
        return {"goods": goods}
    return {"paper": replace(paper, goods=goods)}


def _of_line(look: Look, agreement: Agreement | None) -> tuple[frozenset[Proof], frozenset[Trait]]:
    """Answer what a line itself proves, and which rules it falls under."""
    proofs: set[Proof] = set()
    traits = {Trait.IN_MARKET}
    producer = look.body.self_producer
    if agreement is not None or (producer is not None and producer.agreement_signed):
        proofs.add(Proof.AGREEMENT)
    if producer is not None:
        traits.add(Trait.SELF_PRODUCED)
        proofs.add(Proof.IDENTITY_RECORD)
    if look.body.imported:
        traits.add(Trait.IMPORTED)
    if look.facts.paper is not None and any(
        Proof.IMPORT_INSPECTION in goods.proofs for goods in look.facts.paper.goods
    ):
        traits.add(Trait.IMPORTED)
    return frozenset(proofs), frozenset(traits)


async def _document(
    session: AsyncSession,
    paper: PaperDocument,
    used: Mapping[tuple[str, str, str], int],
    *,
    on: date,
) -> Document:
    kind = await papers.kind_on(session, paper.kind, paper.issued_on)
    proofs = set(kind.proofs)
    if Proof.CONFORMITY_CERTIFICATE in proofs and paper.bases:
        proofs.add(Proof.CERTIFICATE_BASIS)
    before_g = await papers.used_g(session, paper) + used[_sheet(paper)]
    return Document(
        str(paper.public_id),
        paper.kind,
        frozenset(proofs),
        paper.issued_on,
        on,
        paper.valid_through,
        paper.product_id,
        paper.mass_g,
        before_g,
    )


def _sheet(paper: PaperDocument) -> tuple[str, str, str]:
    """Name a sheet of paper, however often it was photographed."""
    return paper.kind, paper.number, paper.issuer


async def _on_present_form(
    session: AsyncSession, documents: Iterable[PaperDocument], on: date
) -> bool:
    """Whether a certificate on paper is on the form in force on the day, and must be as it asks."""
    kind = CertificateKind.CONFORMITY_PRODUCER
    for paper in documents:
        if paper.kind != Proof.CONFORMITY_CERTIFICATE:
            continue
        try:
            issued = await certificates.form_in_force(session, kind, _noon(paper.issued_on))
            present = await certificates.form_in_force(session, kind, _noon(on))
        except NoFormInForce:
            continue
        if issued.edition == present.edition:
            return True
    return False


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), SHANGHAI)


_ADMITTED = text("""
    SELECT l.ticket_id, i.public_id, p.public_id, m.public_id, l.mass_g, i.inspected_at
    FROM inspection_line l
    JOIN inspection i ON i.id = l.inspection_id
    JOIN place p ON p.id = i.place_id
    JOIN place m ON m.id = i.market_id
    LEFT JOIN LATERAL (
        SELECT r.decision FROM ruling r WHERE r.line_id = l.id ORDER BY r.id DESC LIMIT 1
    ) r ON true
    WHERE l.ticket_id = ANY(CAST(:tickets AS bigint[])) AND l.mass_g IS NOT NULL
        AND coalesce(r.decision, l.decided_offline, l.decision) = ANY(CAST(:let_in AS text[]))
        AND l.public_id <> ALL(CAST(:without AS uuid[]))
    ORDER BY i.inspected_at, i.received_at, i.id, l.no
""")


async def admitted_on(
    session: AsyncSession, ticket_ids: Iterable[int], *, without: Iterable[UUID] = ()
) -> Mapping[int, tuple[Admitted, ...]]:
    """Answer what gates let in on tickets, by ticket, in the order of the evidence."""
    found: dict[int, list[Admitted]] = defaultdict(list)
    rows = await session.execute(
        _ADMITTED,
        {
            "tickets": sorted(ticket_ids),
            "let_in": sorted(LET_IN),
            "without": list(without),
        },
    )
    for ticket_id, *rest in rows:
        found[ticket_id].append(Admitted(*rest))
    return {ticket_id: tuple(entries) for ticket_id, entries in found.items()}


# --- what is kept ---------------------------------------------------------------------------------


async def _write(
    session: AsyncSession,
    public_id: UUID,
    body: InspectionIn,
    scene: Scene,
    judged: Sequence[Judged],
    circumstances: Circumstances,
) -> Inspection:
    vault, now = circumstances.vault, circumstances.now
    inspection = Inspection(
        public_id=public_id,
        digest=digest(body, scene.caller),
        market_id=scene.market.id,
        place_id=scene.place.id,
        party_id=scene.caller.acting_party,
        account_id=scene.caller.account_id,
        inspector_sealed=vault.seal(body.inspector, purpose=INSPECTOR),
        device=body.device,
        sequence=body.sequence,
        device_at=body.device_at,
        clock_offset_ms=round(scene.clocking.offset / timedelta(milliseconds=1)),
        inspected_at=scene.at,
        received_at=now,
        plate=body.plate,
        decision=gate.gravest(line.verdict.decision for line in judged),
    )
    session.add(inspection)
    await session.flush()
    for line in judged:
        session.add(_line(inspection, line, circumstances))
        if line.look.code is not None:
            service.keep(
                session,
                scan_of(body, line.look.body),
                scene.caller,
                line.look.code,
                line.look.found,
                line.verdict,
                place=scene.place,
                now=scene.at,
            )
        else:
            service.ring(line.look.body.id, line.verdict)
    await session.flush()
    await events.record(
        session,
        Happening(
            public_id=public_id,
            kind=EventKind.ENTRY_CHECK,
            occurred_at=scene.at,
            party_id=scene.caller.acting_party,
            place_id=scene.place.id,
            details={"decision": inspection.decision, "lines": len(judged)},
        ),
        now=now,
    )
    await transparency.append(
        session,
        [Statement("gate.inspected", public_id, _statement(body, scene, judged, now=now))],
        now=now,
    )
    return inspection


def _line(inspection: Inspection, line: Judged, circumstances: Circumstances) -> InspectionLine:
    look = line.look
    producer = look.body.self_producer
    return InspectionLine(
        public_id=look.body.id,
        inspection_id=inspection.id,
        no=look.no,
        kind=None if look.code is None else look.code.kind,
        code=None if look.code is None else look.code.reference,
        ticket_id=look.ticket_id,
        certificate_id=None if look.found.certificate is None else look.found.certificate.id,
        papers=[paper.id for paper in look.documents],
        seller_id=look.seller_id,
        self_producer_sealed=None
        if producer is None
        else circumstances.vault.seal(producer.model_dump_json(), purpose=SELF_PRODUCER),
        product_id=look.product,
        mass_g=look.mass_g,
        imported=look.body.imported,
        decided_offline=look.body.decided_offline,
        decision=line.verdict.decision,
        findings=[service.written(finding) for finding in line.verdict.findings],
        draw_day=local_date(circumstances.now),
        rate_bp=line.rate.basis_points,
        rate_rules=list(line.rate.rules),
        drawn=line.drawn,
    )


def _statement(
    body: InspectionIn, scene: Scene, judged: Sequence[Judged], *, now: datetime
) -> dict[str, Any]:
    """Write what the log keeps of an inspection: decisions, and nobody's name or plate."""
    return {
        "market": str(scene.market.public_id),
        "place": str(scene.place.public_id),
        "by": str(scene.caller.acting_public_id),
        "device": body.device,
        "sequence": body.sequence,
        "inspected_at": scene.at.isoformat(),
        "lines": [
            {
                "line": str(line.look.body.id),
                "ticket": None
                if line.look.found.ticket is None
                else str(line.look.found.ticket.ticket.public_id),
                "product": line.look.product,
                "mass_g": None if line.look.mass_g is None else str(line.look.mass_g),
                "decision": line.verdict.decision,
                "decided_offline": line.look.body.decided_offline,
                "findings": [finding.kind.code for finding in line.verdict.findings],
                "rate_bp": line.rate.basis_points,
                "drawn": line.drawn,
            }
            for line in judged
        ],
        "t": now.isoformat(),
    }


# --- cases ----------------------------------------------------------------------------------------


async def _open_cases(
    session: AsyncSession,
    inspection: Inspection,
    scene: Scene,
    judged: Sequence[Judged],
    *,
    repeated: bool,
    circumstances: Circumstances,
) -> None:
    """Open a case for everything about an inspection that cannot be in order."""
    rows = await session.scalars(
        select(InspectionLine).where(InspectionLine.inspection_id == inspection.id)
    )
    stored = {row.public_id: row for row in rows}
    catalogue = await products.catalogue(session)
    opened: list[tuple[CaseKind, InspectionLine, dict[str, Any]]] = []
    for line in judged:
        row = stored[line.look.body.id]
        offline = line.look.body.decided_offline
        if offline is not None and gate.is_milder(offline, line.verdict.decision):
            facts: dict[str, Any] = {
                "decided_offline": offline,
                "verdict": line.verdict.decision,
            }
            opened.append((CaseKind.LET_IN_AGAINST_VERDICT, row, facts))
        if line.stands_at in LET_IN and line.look.ticket_id is not None:
            entry = replace(
                _entry(line.look, scene, (), catalogue, drawn=line.drawn), admitted=line.admitted
            )
            if found := gate.conflict(entry, place=scene.place.public_id):
                opened.append((found, row, facts_of(entry)))
    if repeated:
        first = stored[judged[0].look.body.id]
        facts = {"device": inspection.device, "sequence": inspection.sequence}
        opened.append((CaseKind.SEQUENCE_REPEATED, first, facts))
    for kind, row, facts in opened:
        await open_case(
            session,
            kind,
            row,
            facts,
            market_id=scene.market.id,
            new_id=circumstances.new_id,
            now=circumstances.now,
        )


def facts_of(entry: Entry) -> dict[str, Any]:
    """Write what came in on a ticket as a case tells it."""
    return {
        "mass_g": entry.mass_g,
        "issued_g": entry.issued_g,
        # In the order of the evidence: which came first is for whoever looks into it to see.
        "admitted": [
            {
                "inspection": str(other.inspection),
                "place": str(other.place),
                "market": str(other.market),
                "mass_g": other.mass_g,
                "at": other.at.isoformat(),
            }
            for other in entry.admitted
        ],
    }


async def open_case(
    session: AsyncSession,
    kind: CaseKind,
    line: InspectionLine,
    facts: dict[str, Any],
    *,
    market_id: int,
    new_id: Callable[[], UUID],
    now: datetime,
) -> GateCase:
    """Open a case about a line, unless it is open."""
    existing: GateCase | None = await session.scalar(
        select(GateCase).where(GateCase.kind == kind, GateCase.line_id == line.id)
    )
    if existing is not None:
        return existing
    case = GateCase(
        public_id=new_id(),
        kind=kind,
        line_id=line.id,
        market_id=market_id,
        ticket_id=line.ticket_id,
        facts=facts,
        state=CaseState.OPEN,
        opened_at=now,
    )
    session.add(case)
    await session.flush()
    document = {"case_kind": kind, "line": str(line.public_id), "t": now.isoformat()}
    statement = Statement("gate.case-opened", case.public_id, document)
    await transparency.append(session, [statement], now=now)
    return case
