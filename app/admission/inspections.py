"""Inspections: stores each once, decides every line, and opens a case where two cannot be true."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import gate, papers, rules, sampling, seed, service
from app.admission.books import Found
from app.admission.gate import CaseKind, CaseState, Clocking
from app.admission.models import (
    Agreement,
    GateCase,
    Inspection,
    InspectionLine,
    PaperDocument,
)
from app.admission.policy import (
    LET_IN,
    Decision,
    Proof,
    Rate,
    Risk,
    Trait,
    is_drawn,
)
from app.admission.rules import Admitted, Code, Document, Entry, Facts, Goods, Stated, Verdict
from app.admission.schemas import InspectionIn, InspectionLineIn
from app.admission.seed import KindOfPaper
from app.admission.service import Asked, ScanDraft
from app.certificate import service as certificates
from app.certificate.models import Certificate
from app.certificate.rules import CertificateKind
from app.core.clock import local_date
from app.core.errors import IdReused
from app.core.sealing import Vault
from app.event import service as events
from app.event.lateness import Late, Lateness, judged_on, late
from app.event.rules import EventKind, check_occurred
from app.event.seed import lateness
from app.event.service import Happening
from app.lot.rules import digest as digest_of
from app.party import service as parties
from app.party.access import Caller
from app.place import service as places
from app.place.models import Place
from app.product import service as products
from app.product.rules import Catalogue, Production
from app.signing.keys import Verifier
from app.testing import service as samples
from app.testing.rules import NamedTest
from app.ticket.models import Ticket
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


class Shown(NamedTuple):
    """A document of ours that goods come in on: a ticket, or a certificate alone."""

    kind: str
    id: int

    @property
    def turn(self) -> str:
        """Name the turn that gates take when they decide about it."""
        return f"gate/{self.kind}/{self.id}"


def shown(ticket_id: int | None, certificate_id: int | None) -> Shown | None:
    """Name the document of a line, if it has one."""
    if ticket_id is not None:
        return Shown("ticket", ticket_id)
    return None if certificate_id is None else Shown("certificate", certificate_id)


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

    @property
    def certificate_id(self) -> int | None:
        """The certificate that the line is about, if the books know one."""
        return None if self.found.certificate is None else self.found.certificate.id

    @property
    def shown(self) -> Shown | None:
        """Which document of ours was shown for the goods, if one was."""
        return shown(self.ticket_id, self.certificate_id)


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
    """Where and when an inspection happened, and by whom.

    Attributes:
        lateness: How late it may be told of.
    """

    caller: Caller
    place: Place
    market: Place
    clocking: Clocking
    at: datetime
    lateness: Sequence[Lateness]

    @property
    def told_late(self) -> Late | None:
        """Whether it is told of too late to believe when it was."""
        return late(self.lateness, self.at, self.clocking.received_at)

    @property
    def days(self) -> tuple[date, ...]:
        """The days whose rules goods without a ticket are judged by, the first its own."""
        return judged_on(self.at, self.told_late)


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
    if body.sequence is not None:
        # Two of one number that arrive together would not see each other.
        await take_turns(session, [turn_of_device(caller, body.device or "")])
    existing = await session.scalar(select(Inspection).where(Inspection.public_id == public_id))
    if existing is not None:
        if existing.digest != digest(body, caller):
            raise IdReused(inspection=str(public_id))
        return existing, False
    scene, repeated = await _scene(session, body, caller, now=circumstances.now)
    await _check_new(session, body)
    looks, scene = await _look(session, body, scene, circumstances)
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
    papers.check_judges_for(caller, market)
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
    return Scene(caller, place, market, clocking, at, await lateness(session)), repeated


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
) -> tuple[list[Look], Scene]:
    """Find what every line's code stands for, its papers and who will sell the goods.

    Returns:
        The lines, and the scene; a document on the vehicle may show that it was later than thought.
    """
    catalogue = await products.catalogue(session)
    recorded = await papers.of_party(
        session, [paper for line in body.lines for paper in line.papers], scene.caller.acting_party
    )
    gathered = await _gather(session, body, scene, circumstances)
    shown = (
        (code, found.certificate if found.ticket is None else found.ticket.ticket)
        for code, found, _ in gathered.values()
    )
    issued_at = [
        document.issued_at
        for code, document in shown
        if document is not None and _is_on(code, document)
    ]
    if (latest := max(issued_at, default=scene.at)) > scene.at:
        # Nobody can have read a document that was not issued yet: the device's clock is wrong.
        scene = replace(scene, at=latest)
        gathered = await _gather(session, body, scene, circumstances)
    for line in body.lines:
        if line.product is not None:
            catalogue.product(line.product)
    sellers = await parties.find_all(
        session, [line.seller for line in body.lines if line.seller is not None]
    )
    looks = []
    for no, line in enumerate(body.lines, start=1):
        code, found, facts = gathered.get(line.id, (None, Found(), Facts(None, scene.at)))
        shown_at = scene.clocking.shown_at(scene.at)
        facts = replace(facts, device_at=shown_at, told_late=scene.told_late)
        goods = facts.paper.goods if facts.paper else ()
        looks.append(
            Look(
                no,
                line,
                code,
                found,
                facts,
                product=line.product or (goods[0].product if goods else None),
                mass_g=line.mass_g or issued_g(found),
                issued_g=issued_g(found),
                seller_id=_seller(found) if line.seller is None else sellers[line.seller].id,
                documents=[recorded[paper] for paper in line.papers],
            )
        )
    return looks, scene


async def _gather(
    session: AsyncSession, body: InspectionIn, scene: Scene, circumstances: Circumstances
) -> dict[UUID, tuple[Code, Found, Facts]]:
    """Gather what bears on the codes of all lines, in as many statements as for one."""
    asked = {
        line.id: Asked(rules.recognise(line.text, circumstances.base_urls), scan_of(body, line))
        for line in body.lines
        if line.text is not None
    }
    gathered = await service.gather(
        session,
        list(asked.values()),
        scene.caller,
        verifier=circumstances.verifier,
        at=scene.at,
        now=circumstances.now,
    )
    return {
        line: (each.code, *found)
        for (line, each), found in zip(asked.items(), gathered, strict=True)
    }


def _is_on(code: Code, document: Ticket | Certificate) -> bool:
    """Whether a code is the document's own; a blank label may be bound after it was read."""
    return code.reference in {document.token, document.code}


def scan_of(body: InspectionIn, line: InspectionLineIn) -> ScanDraft:
    """Write a line's code as the scan that it is."""
    return ScanDraft(line.id, line.text or "", body.place, body.device_at, body.plate)


def issued_g(found: Found) -> int | None:
    """Answer how many grams a document of ours is for."""
    if found.ticket is not None:
        return found.ticket.ticket.mass_g
    return None if found.certificate is None else found.certificate.mass_g


def _seller(found: Found) -> int | None:
    """Answer who will sell the goods in the market where nobody is named."""
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


def turn_of_device(caller: Caller, device: str) -> str:
    """Name the turn that a device's inspections take: it counts them, one by one."""
    return f"gate/device/{caller.acting_party}/{device}"


async def take_turns(session: AsyncSession, keys: Iterable[str]) -> None:
    """Wait until no other transaction has any of these turns; they end with the transaction."""
    await session.execute(_LOCK, {"keys": list(keys)})


async def _take_turns(session: AsyncSession, looks: Iterable[Look]) -> None:
    """Let two gates that see the same ticket or paper at the same instant come one by one."""
    keys = {look.shown.turn for look in looks if look.shown is not None}
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
    sellers = [look.seller_id for look in looks if look.seller_id is not None]
    agreements = {
        on: await papers.in_force(session, scene.market.id, sellers, on) for on in scene.days
    }
    came_in = await admitted_on(session, {look.shown for look in looks if look.shown})
    laid = await _laid(session, looks, scene)
    judged: list[Judged] = []
    for look in looks:
        agreed = {on: known.get(look.seller_id or 0) for on, known in agreements.items()}
        latest = agreed[scene.days[-1]]
        risk = Risk(
            look.product,
            draw_on,
            None if latest is None else latest.grade,
            history.get(look.product or 0, 0),
        )
        rate = await sampling.rate(session, risk)
        drawn = is_drawn(drawn_from, look.body.id, rate.basis_points)
        before = () if look.shown is None else came_in.get(look.shown, ())
        others = (*before, *_in_this(judged, look, scene))
        facts = replace(
            look.facts,
            **_with_goods(look, agreed, catalogue, laid, scene.caller),
            entry=_entry(look, scene, others, catalogue, drawn=drawn),
        )
        verdict = rules.decide(policy, facts)
        judged.append(Judged(look, verdict, rate, drawn, others))
        if judged[-1].stands_at is not Decision.REFUSE:
            for document in look.documents:
                laid.used[papers.sheet_of(document)] += look.mass_g or 0
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
        if look.shown is not None and line.look.shown == look.shown and line.stands_at in LET_IN
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
    product = look.product
    tolerances = [
        0 if product is None else catalogue.tolerance_permille(product, on) for on in scene.days
    ]
    return Entry(
        market=scene.market.public_id,
        mass_g=look.mass_g or 0,
        issued_g=look.issued_g,
        tolerance_permille=min(tolerances),
        admitted=tuple(other for other in others if other.at <= scene.at),
        drawn=drawn,
    )


@dataclass(frozen=True, slots=True)
class _Laid:
    """What is known of the papers on a vehicle.

    Attributes:
        kinds: By the paper's internal id.
        used: Grams that came in on each sheet so far.
        present: Papers that are certificates on the form in force, by the day of that.
        named: What the numbers of reports stand for.
    """

    kinds: Mapping[int, KindOfPaper]
    used: defaultdict[papers.Sheet, int]
    present: Mapping[date, Collection[int]]
    named: Mapping[str, Sequence[NamedTest]]


async def _laid(session: AsyncSession, looks: Iterable[Look], scene: Scene) -> _Laid:
    documents = {paper.id: paper for look in looks for paper in look.documents}
    kinds = {
        paper.id: await papers.kind_on(session, paper.kind, paper.issued_on)
        for paper in documents.values()
    }
    reports = {paper.number for paper in documents.values() if _is_report(kinds[paper.id])}
    return _Laid(
        kinds,
        defaultdict(int, await papers.used_g(session, map(papers.sheet_of, documents.values()))),
        {on: await _on_present_form(session, documents.values(), on) for on in scene.days},
        await samples.named(session, reports, scene.clocking.received_at),
    )


def _is_report(kind: KindOfPaper) -> bool:
    """Whether a paper reports a test, which the books may know."""
    return not kind.proofs.isdisjoint({Proof.LAB_REPORT, Proof.SELF_TEST})


def _with_goods(
    look: Look,
    agreed: Mapping[date, Agreement | None],
    catalogue: Catalogue,
    laid: _Laid,
    caller: Caller,
) -> dict[str, Any]:
    """Write the goods of a line with what the market knows of them, once for each day of rules."""
    goods = tuple(
        item
        for on, agreement in agreed.items()
        for item in _goods_on(on, look, agreement, catalogue, laid, caller)
    )
    paper = look.facts.paper
    return {"goods": goods} if paper is None else {"paper": replace(paper, goods=goods)}


def _goods_on(
    on: date,
    look: Look,
    agreement: Agreement | None,
    catalogue: Catalogue,
    laid: _Laid,
    caller: Caller,
) -> tuple[Goods, ...]:
    """Write the goods of a line with what the market knows of them on a day."""
    paper = look.facts.paper
    own = () if paper is None else paper.goods
    if not own and look.product is not None and look.mass_g is not None:
        needed = catalogue.requirement(look.product, Production.ANY, on)
        own = (
            Goods(
                None,
                look.product,
                look.mass_g,
                on,
                needs=None if needed is None else needed.requirement,
                needs_source="" if needed is None else needed.source,
            ),
        )
    proofs, traits = _of_line(look, agreement)
    if any(document.id in laid.present[on] for document in look.documents):
        traits |= {Trait.PRESENT_FORM}
    goods = tuple(
        replace(item, proofs=item.proofs | proofs, traits=item.traits | traits) for item in own
    )
    documents = [_document(document, on, look, laid, caller) for document in look.documents]
    return rules.with_documents(goods, documents, laid.named)


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


def _document(paper: PaperDocument, on: date, look: Look, laid: _Laid, caller: Caller) -> Document:
    kind = laid.kinds[paper.id]
    proofs = set(kind.proofs)
    if Proof.CONFORMITY_CERTIFICATE in proofs and paper.bases:
        proofs.add(Proof.CERTIFICATE_BASIS)
    stated = None
    if _is_report(kind):
        by = stated_by(look.seller_id, caller)
        stated = Stated(paper.number, on=paper.issued_on, by=by)
    return Document(
        str(paper.public_id),
        paper.kind,
        frozenset(proofs),
        paper.issued_on,
        on,
        paper.valid_through,
        paper.product_id,
        paper.mass_g,
        laid.used[papers.sheet_of(paper)],
        stated,
    )


def stated_by(seller_id: int | None, caller: Caller) -> frozenset[int]:
    """Answer whose goods and samples a test may be of where no ticket of ours tells of the lot."""
    return frozenset({caller.acting_party} | ({seller_id} if seller_id is not None else set()))


async def _on_present_form(
    session: AsyncSession, documents: Iterable[PaperDocument], on: date
) -> set[int]:
    """Answer which papers are certificates on the form in force on a day, and must be as it asks.

    A form is asked for once, however many papers of a day are on it.
    """
    kind = CertificateKind.CONFORMITY_PRODUCER
    dated = [paper for paper in documents if paper.kind == Proof.CONFORMITY_CERTIFICATE]
    if not dated:
        return set()
    editions = await certificates.editions(
        session, kind, {on, *(paper.issued_on for paper in dated)}
    )
    return {
        paper.id
        for paper in dated
        if on in editions and editions.get(paper.issued_on) == editions[on]
    }


_ADMITTED = text("""
    SELECT l.ticket_id, l.certificate_id, i.public_id, p.public_id, m.public_id, l.mass_g,
        i.inspected_at
    FROM inspection_line l
    JOIN inspection i ON i.id = l.inspection_id
    JOIN place p ON p.id = i.place_id
    JOIN place m ON m.id = i.market_id
    LEFT JOIN LATERAL (
        SELECT r.decision FROM ruling r WHERE r.line_id = l.id ORDER BY r.id DESC LIMIT 1
    ) r ON true
    WHERE (
            l.ticket_id = ANY(CAST(:tickets AS bigint[]))
            OR l.certificate_id = ANY(CAST(:certificates AS bigint[]))
        )
        AND l.mass_g IS NOT NULL
        AND coalesce(r.decision, l.decided_offline, l.decision) = ANY(CAST(:let_in AS text[]))
        AND l.public_id <> ALL(CAST(:without AS uuid[]))
    ORDER BY i.inspected_at, i.received_at, i.id, l.no
""")


async def admitted_on(
    session: AsyncSession, documents: Iterable[Shown], *, without: Iterable[UUID] = ()
) -> Mapping[Shown, tuple[Admitted, ...]]:
    """Answer what gates let in on documents of ours, in the order of the evidence."""
    wanted = sorted(set(documents))
    found: dict[Shown, list[Admitted]] = defaultdict(list)
    rows = await session.execute(
        _ADMITTED,
        {
            "tickets": [each.id for each in wanted if each.kind == "ticket"],
            "certificates": [each.id for each in wanted if each.kind == "certificate"],
            "let_in": sorted(LET_IN),
            "without": list(without),
        },
    )
    for ticket_id, certificate_id, *rest in rows:
        document = shown(ticket_id, certificate_id)
        assert document is not None, "the statement asks for one of the two"
        found[document].append(Admitted(*rest))
    return {document: tuple(entries) for document, entries in found.items()}


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
                place_id=scene.place.id,
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
        certificate_id=look.certificate_id,
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
        if line.stands_at in LET_IN and line.look.shown is not None:
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
