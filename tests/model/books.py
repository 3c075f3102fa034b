"""The books as an auditor keeps them: dictionaries, and an own reading of the rules.

Nothing here is imported from the application. Every command is a generator: it refuses (`Refused`),
or yields the status that the service must answer and, handed that answer, writes what must have
come of it. The ids that the service chooses are all that it learns from the answer.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from uuid import UUID, uuid5

Json = dict[str, Any]
Command = Generator[int, Json, None]

NANTONG = timezone(timedelta(hours=8))
TRADERS: Final = ("coop", "farmer", "collector", "stall", "school")
OFFICE, NOBODY = "office", "nobody"
GROWERS: Final = frozenset({"coop", "farmer"})
MUST_CERTIFY: Final = frozenset({"coop", "collector"})
GREENS, CHIVES, PADDY, RICE = 13, 18, 111, 1
CERTIFIABLE: Final = frozenset({GREENS, CHIVES})
UNITS: Final = {"公斤": 1000, "斤": 500, "克": 1}
CLAIMED, PROVED, OWN = 1, 2, 3
# Process: what goes in, what must come out (None: anything), grams out of 1,000 grams in.
PROCESSES: Final = {
    "trim_leaf": (GREENS, None, 600, 900),
    "mill_paddy": (PADDY, RICE, 620, 720),
}
STATUS: Final = {
    401: {"not-signed-in"},
    403: {
        "not-allowed",
        "not-holder",
        "not-buyer",
        "not-seller",
        "wrong-role",
        "hold-not-yours",
        "recall-not-yours",
        "recall-sign-off-not-yours",
        "layer-not-yours",
        "test-not-yours",
        "consumed-by-own-word",
    },
    404: {
        "unknown-lot",
        "unknown-certificate",
        "unknown-ticket",
        "unknown-party",
        "unknown-hold",
        "unknown-recall",
        "unknown-sample",
        "not-in-scope",
    },
    422: {
        "malformed-request",
        "impossible-date",
        "made-too-early",
        "tested-too-early",
        "origin-missing",
        "masses-differ",
        "unknown-process",
        "hand-over-impossible",
        "accepted-mass-impossible",
        "basis-missing",
        "basis-not-on-form",
    },
}


class Refused(Exception):  # noqa: N818 (what it is: an answer, not an error)
    """A command that must be refused, with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.status = next((status for status, codes in STATUS.items() if code in codes), 409)


@dataclass
class Lot:
    product: int
    holder: str | None
    producer: str | None
    mixed: bool
    supplier: str | None
    origin: str
    mass: int
    left: int
    certified: int
    used: int
    certificates: tuple[str, ...]
    division: str | None
    made_on: date
    holds: int = 0

    @property
    def cover(self) -> int:
        return max(0, self.certified - self.used)


@dataclass
class Certificate:
    lot: str
    issuer: str
    grams: int
    covers: bool
    voided: bool = False


@dataclass
class Draw:
    line: int
    lot: str
    grams: int
    cover: int
    certificates: tuple[str, ...]
    accepted: int | None = None
    received: str | None = None
    returned: str | None = None


@dataclass
class Ticket:
    kind: str
    seller: str
    buyer: str | None
    one_sided: bool
    lines: list[tuple[int, int]]
    draws: list[Draw]
    status: str = "issued"


@dataclass
class Hold:
    lot: str
    released: bool = False


@dataclass
class Sample:
    lot: str
    by: str
    grams: int
    taken_at: datetime
    readings: list[int] = field(default_factory=list)
    hold: str | None = None
    parts: list[str] = field(default_factory=list)  # holds of what the holder made of the lot

    @property
    def status(self) -> str:
        """Read the bands as the standard writes them: 40 is suspect, 50 positive, repeat twice."""
        found = next((no for no, value in enumerate(self.readings) if value >= 40), None)
        if found is None:
            return "passed" if self.readings else "sampled"
        repeats = self.readings[found + 1 : found + 3]
        if len(repeats) < 2:
            return "positive" if max(self.readings[found:]) >= 50 else "suspect"
        bad = sum(value >= 40 for value in repeats)
        return ("cleared", "suspect", "presumptive")[bad]


def grams_of(body: Mapping[str, Any]) -> int:
    grams = Decimal(body["quantity"]) * UNITS[body["unit"]]
    assert grams == int(grams) > 0, "the machine says whole grams"
    return int(grams)


def share_out(total: int, parts: Sequence[int]) -> list[int]:
    """Split grams by proportion: whole grams first, then the largest fractions get one more."""
    exact = [Fraction(total * part, sum(parts)) for part in parts]
    shares = [share.numerator // share.denominator for share in exact]
    by_fraction = sorted(range(len(parts)), key=lambda no: (shares[no] - exact[no], no))
    for no in by_fraction[: total - sum(shares)]:
        shares[no] += 1
    return shares


def same(values: Iterable[Any]) -> Any:
    found = list(values)
    return found[0] if all(value == found[0] for value in found) else None


def refuse_if(condition: object, code: str) -> None:
    if condition:
        raise Refused(code)


@dataclass
class InScope:
    """A lot of a recall: what was there when it was stopped, and what became of it."""

    on_hand: int
    transit: int
    passed: int
    gone: int
    held: bool
    located: int = 0
    recovered: int = 0
    came_back: Counter[str] = field(default_factory=Counter)
    """Grams that each recorded as recovered, less those that it disposed of."""
    destroyed: int = 0
    consumed: int = 0

    @property
    def room(self) -> int:
        there = self.on_hand + self.transit if self.held else self.gone
        return there - self.located - self.consumed


@dataclass
class Recall:
    opener: str
    mock: bool
    lots: dict[str, InScope]
    told: dict[str, str | None]  # by party: who acknowledged for it
    outcome: str | None = None
    closing: tuple[str, str] | None = None  # why, and who said so

    @property
    def open(self) -> bool:
        """Whether goods are called back by it."""
        return self.outcome is None and not self.mock


@dataclass
class Books:
    """Everything that the database should hold, and nothing else."""

    ids: Mapping[str, str]  # public id of each of the cast
    now: datetime
    lots: dict[str, Lot] = field(default_factory=dict)  # oldest first
    edges: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    recalls: dict[str, Recall] = field(default_factory=dict)
    samples: dict[str, Sample] = field(default_factory=dict)
    placed_by_tests: set[str] = field(default_factory=set)  # holds
    cleared: set[str] = field(default_factory=set)  # holds that a test let go
    invited: set[str] = field(default_factory=set)
    shown: dict[str, str] = field(default_factory=dict)  # photos, and the disposal they prove
    done: dict[tuple[str, str], Any] = field(default_factory=dict)
    entries: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)

    # --- what every command asks first ---------------------------------------------------------

    def _admit(self, actor: str, *, who: Iterable[str] = TRADERS) -> str:
        refuse_if(actor == NOBODY, "not-signed-in")
        refuse_if(actor not in who, "not-allowed")
        return self.ids[actor]

    def _lot(self, lot: str) -> Lot:
        refuse_if(lot not in self.lots, "unknown-lot")
        return self.lots[lot]

    def _repeated(self, kind: str, subject: str, content: object) -> bool:
        refuse_if(self.done.get((kind, subject), content) != content, "id-reused")
        return (kind, subject) in self.done

    def _when(self, body: Json, member: str = "occurred_at") -> date:
        at = datetime.fromisoformat(body[member]) if member in body else self.now
        too_late = at > self.now + timedelta(minutes=5)
        refuse_if(too_late or at < self.now - timedelta(days=1830), "impossible-date")
        return at.astimezone(NANTONG).date()

    def _log(self, entry: str, subject: str, event: str | None = None) -> None:
        self.entries[entry, subject] += 1
        if event:
            self.events[event] += 1

    def _take(self, lot: Lot, grams: int) -> int:
        """Take grams out of a lot; answer how many of them certificates vouch for."""
        cover = min(grams, lot.cover)
        lot.left -= grams
        lot.used += cover
        return cover

    def _show(self, subject: str, body: Json) -> None:
        """Note which disposal photos prove: they prove no other."""
        photos = body.get("evidence", [])
        refuse_if(any(self.shown.get(one, subject) != subject for one in photos), "evidence-reused")
        self.shown |= dict.fromkeys(photos, subject)

    # --- lots and certificates ------------------------------------------------------------------

    def open(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        fresh = not self._repeated("lot", subject, (actor, body))
        if not fresh:
            yield 200
            return
        on = self._when(body)
        own = body["origin"] == "harvest"
        refuse_if(own and actor not in GROWERS, "wrong-role")
        refuse_if(own and body.get("producer", me) != me, "wrong-role")
        refuse_if(own and "division_code" not in body, "origin-missing")
        yield 201
        grams = grams_of(body)
        self.lots[subject] = Lot(
            product=body["product"],
            holder=me,
            producer=me if own else body.get("producer"),
            mixed=False,
            supplier=None,
            origin=body["origin"],
            mass=grams,
            left=grams,
            certified=0,
            used=0,
            certificates=(),
            division=body.get("division_code"),
            made_on=on,
        )
        self.done["lot", subject] = (actor, body)
        self.totals["opened"] += grams
        self._log("lot.opened", subject, body["origin"])

    def _check_certificate(self, me: str, actor: str, lot: Lot, on: date, body: Json) -> None:
        kind, grams = body["kind"], grams_of(body)
        refuse_if(lot.holder != me, "not-holder")
        refuse_if(lot.holds, "certificate-lot-on-hold")
        if kind == "origin_proof":
            refuse_if(lot.division is None, "wrong-certificate")
        else:
            own = lot.producer == me and not lot.mixed
            bought = lot.origin in {"merge", "split", "declare", "purchase"}
            fits = own and actor in GROWERS if kind == "conformity_producer" else bought and not own
            refuse_if(lot.product not in CERTIFIABLE or not fits, "wrong-certificate")
        refuse_if(on < lot.made_on, "made-too-early")
        offered = [] if kind == "origin_proof" else ["quality_control", "self_tested"]
        refuse_if(offered and not body["bases"], "basis-missing")
        refuse_if(set(body["bases"]) - set(offered), "basis-not-on-form")
        refuse_if(lot.certified + grams > lot.mass, "certificate-exceeds-lot")

    def certify(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        lot = self._lot(body["lot"])
        if self._repeated("certificate", subject, (actor, body)):
            yield 200
            return
        on = self._when(body, "issued_at")
        self._check_certificate(me, actor, lot, on, body)
        if "replaces" in body:
            former = self.certificates.get(body["replaces"])
            refuse_if(former is None, "unknown-certificate")
            assert former is not None
            replaceable = former.voided and former.lot == body["lot"]
            refuse_if(not replaceable, "certificate-not-replaceable")
        yield 201
        self._certified(subject, me, body["lot"], grams_of(body), body["kind"] != "origin_proof")
        self.done["certificate", subject] = (actor, body)

    def _certified(self, subject: str, me: str, lot: str, grams: int, covers: bool) -> None:
        self.certificates[subject] = Certificate(lot, me, grams, covers)
        self.lots[lot].certificates += (subject,)
        self.lots[lot].certified += grams if covers else 0
        self._log("certificate.issued", subject)

    def void_certificate(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        found = self.certificates.get(subject)
        refuse_if(found is None or found.issuer != me, "unknown-certificate")
        assert found is not None
        yield 200
        if not found.voided:
            found.voided = True
            if found.covers:
                lot = self.lots[found.lot]
                lot.certified -= found.grams
                lot.used = min(lot.used, lot.certified)
            self._log("certificate.voided", subject)

    # --- what a holder does with lots ------------------------------------------------------------

    def _check_change(
        self,
        kind: str,
        actor: str,
        body: Json,
        inputs: Sequence[tuple[str, int | None]],
        outputs: Sequence[str],
    ) -> list[tuple[Lot, int]]:
        me = self.ids[actor]
        refuse_if({lot for lot, _ in inputs} & set(outputs), "cycle")
        on = self._when(body)
        taken = []
        for name, wanted in inputs:
            lot = self.lots[name]
            grams = lot.left if wanted is None else wanted
            refuse_if(lot.holder != me, "not-holder")
            refuse_if(lot.holds and kind != "destroy", "lot-on-hold")
            refuse_if(kind == "destroy" and self._recalled(name), "lot-under-recall")
            shown = "evidence" in body and "witness" in body
            refuse_if(kind == "destroy" and lot.holds and not shown, "destruction-needs-proof")
            refuse_if(grams > lot.left or grams == 0, "lot-exhausted")
            refuse_if(on < lot.made_on, "made-too-early")
            taken.append((lot, grams))
        return taken

    def _changed(
        self,
        kind: str,
        subject: str,
        actor: str,
        inputs: Sequence[tuple[str, int]],
        outputs: Sequence[tuple[str, int, int]],
        *,
        cover_passes: bool,
    ) -> None:
        """Write a change; outputs are (lot, product, grams)."""
        sources = [self.lots[name] for name, _ in inputs]
        cover = sum(self._take(self.lots[name], grams) for name, grams in inputs)
        weights = [grams for _, _, grams in outputs]
        covers = share_out(cover, weights) if weights and cover_passes else [0] * len(weights)
        producers = {None if lot.mixed else lot.producer for lot in sources}
        producer = producers.pop() if len(producers) == 1 else None
        known = {one for lot in sources for one in lot.certificates}
        for no, (output, product, grams) in enumerate(outputs):
            self.lots[output] = Lot(
                product=product,
                holder=self.ids[actor],
                producer=producer,
                mixed=any(lot.mixed for lot in sources) or (len(sources) > 1 and producer is None),
                supplier=same(lot.supplier for lot in sources),
                origin=kind,
                mass=grams,
                left=grams,
                certified=covers[no],
                used=0,
                certificates=() if kind == "transform" else tuple(sorted(known)),
                division=same(lot.division for lot in sources),
                made_on=max(lot.made_on for lot in sources),
            )
            for name, drawn in inputs:
                if share := share_out(drawn, weights)[no]:
                    self.edges[name, output] = (share, OWN)
        self._log(f"lot.{kind}", subject, kind)

    def split(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        parts = [(part["lot"], grams_of(part)) for part in body["parts"]]
        refuse_if(len(dict(parts)) < len(parts), "malformed-request")
        lot = self._lot(body["lot"])
        if self._repeated("change", subject, ("split", actor, body)):
            yield 200
            return
        total = sum(grams for _, grams in parts)
        names = [name for name, _ in parts]
        self._check_change("split", actor, body, [(body["lot"], total)], names)
        refuse_if(any(name in self.lots for name in names), "id-reused")
        yield 201
        passes = actor != "collector" or lot.producer == me
        outputs = [(name, lot.product, grams) for name, grams in parts]
        self._changed("split", subject, actor, [(body["lot"], total)], outputs, cover_passes=passes)
        self.done["change", subject] = ("split", actor, body)

    def merge(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        inputs = [(item["lot"], item.get("mass_g")) for item in body["inputs"]]
        refuse_if(len(dict(inputs)) < len(inputs), "malformed-request")
        for name, _ in inputs:
            self._lot(name)
        if self._repeated("change", subject, ("merge", actor, body)):
            yield 200
            return
        taken = self._check_change("merge", actor, body, inputs, [body["lot"]])
        lots = [lot for lot, _ in taken]
        refuse_if(len({lot.product for lot in lots}) > 1, "products-differ")
        producers = {lot.producer for lot in lots}
        unlike = len(producers) > 1 or None in producers  # a mixed lot has no one producer
        certificate = body.get("certificate")
        due = unlike and lots[0].product in CERTIFIABLE
        refuse_if(due and not certificate, "merge-needs-certificate")
        refuse_if(body["lot"] in self.lots, "id-reused")
        if certificate:
            refuse_if(certificate["certificate"] in self.certificates, "id-reused")
            fits = lots[0].product in CERTIFIABLE and producers != {me}
            refuse_if(not fits, "wrong-certificate")
            refuse_if("self_promise" in certificate["bases"], "basis-not-on-form")
        yield 201
        total = sum(grams for _, grams in taken)
        drawn = [(name, grams) for (name, _), (_, grams) in zip(inputs, taken, strict=True)]
        outputs = [(body["lot"], lots[0].product, total)]
        passes = not certificate
        self._changed("merge", subject, actor, drawn, outputs, cover_passes=passes)
        if certificate:
            name = certificate["certificate"]
            self._certified(name, me, body["lot"], total, covers=True)
            self.done["certificate", name] = ("by merge", subject)
        self.done["change", subject] = ("merge", actor, body)

    def transform(self, actor: str, subject: str, body: Json) -> Command:
        self._admit(actor)
        inputs = [(item["lot"], item.get("mass_g")) for item in body["inputs"]]
        outputs = [(item["lot"], item["product"], grams_of(item)) for item in body["outputs"]]
        names = {name for name, _, _ in outputs}
        refuse_if(len(dict(inputs)) < len(inputs), "malformed-request")
        refuse_if(len(names) < len(outputs), "malformed-request")
        for name, _ in inputs:
            self._lot(name)
        if self._repeated("change", subject, ("transform", actor, body)):
            yield 200
            return
        taken = self._check_change("transform", actor, body, inputs, sorted(names))
        source, result, low, high = PROCESSES[body["process"]]
        fits = result is None or result in {product for _, product, _ in outputs}
        refuse_if({lot.product for lot, _ in taken} != {source} or not fits, "unknown-process")
        refuse_if(any(name in self.lots for name in names), "id-reused")
        answer = yield 201
        total_in = sum(grams for _, grams in taken)
        banded = [grams for _, product, grams in outputs if result in {None, product}]
        usual = low * total_in <= 1000 * sum(banded) <= high * total_in
        assert [found["code"] for found in answer["findings"]] == (
            [] if usual else ["yield-out-of-band"]
        )
        drawn = [(name, grams) for (name, _), (_, grams) in zip(inputs, taken, strict=True)]
        self._changed("transform", subject, actor, drawn, outputs, cover_passes=False)
        self.totals["gained"] += sum(grams for _, _, grams in outputs) - total_in
        self.done["change", subject] = ("transform", actor, body)

    def lose(self, actor: str, subject: str, body: Json) -> Command:
        yield from self._remove("loss", actor, subject, body)

    def destroy(self, actor: str, subject: str, body: Json) -> Command:
        yield from self._remove("destroy", actor, subject, body)

    def _remove(self, kind: str, actor: str, subject: str, body: Json) -> Command:
        self._admit(actor)
        self._lot(body["lot"])
        if self._repeated("change", subject, (kind, actor, body)):
            yield 200
            return
        wanted = [(body["lot"], body.get("mass_g"))]
        [(_, grams)] = self._check_change(kind, actor, body, wanted, [])
        self._show(subject, body)
        yield 201
        self._changed(kind, subject, actor, [(body["lot"], grams)], [], cover_passes=False)
        self.totals[kind] += grams
        self.done["change", subject] = (kind, actor, body)

    # --- tickets ---------------------------------------------------------------------------------

    def issue(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        asked = [
            (line["product"], grams_of(line), line.get("draws", []))
            for line in body.get("lines", [])
        ]
        one_sided = {"one_sided": True, "two_sided": False, None: None}[body.get("hand_over")]
        buyer, kind = None, body.get("kind")
        if former := body.get("repeat_of"):
            known = self.tickets.get(former)
            refuse_if(known is None or known.seller != me, "unknown-ticket")
            assert known is not None
            asked = asked or [(product, grams, []) for product, grams in known.lines]
            one_sided = known.one_sided if one_sided is None else one_sided
            buyer, kind = known.buyer, kind or known.kind
        if "buyer" in body:
            invite = body["buyer"].get("invite")
            buyer = invite["party"] if invite else body["buyer"].get("party")
            invited = {buyer} if invite else set()
        else:
            invited = set()
        one_sided = buyer is None if one_sided is None else one_sided
        for _, _, draws in asked:
            for draw in draws:
                self._lot(draw["lot"])
        if self._repeated("ticket", subject, (actor, body)):
            yield 200
            return
        on = self._when(body, "sold_at")
        parties = {*self.ids.values(), *self.invited, *invited, None}
        refuse_if(buyer not in parties, "unknown-party")
        kind = "sale" if kind in {None, "origin"} else kind
        assert kind is not None
        refuse_if(kind == "transfer" and buyer != me, "transfer-to-other")
        refuse_if(kind != "transfer" and buyer == me, "self-sale")
        refuse_if(buyer is None and not one_sided, "hand-over-impossible")
        if "corrects" in body:
            wrong = self.tickets.get(body["corrects"])
            mine = wrong and wrong.seller == me and wrong.status == "voided"
            refuse_if(not mine, "corrects-other")
        planned = self._plan(me, asked)
        self._check_sale(actor, kind, buyer, on, planned)
        answer = yield 201
        self._issued(actor, subject, kind, buyer, one_sided, asked, planned, answer)
        self.invited |= invited
        self.done["ticket", subject] = (actor, body)

    def _plan(self, me: str, asked: Sequence[tuple[int, int, Any]]) -> list[tuple[int, str, int]]:
        """Decide (line, lot, grams)."""
        planned: list[tuple[int, str, int]] = []
        taken: Counter[str] = Counter()
        for no, (product, wanted, draws) in enumerate(asked, start=1):
            for draw in draws:
                lot = self.lots[draw["lot"]]
                refuse_if(lot.holder != me, "not-holder")
                refuse_if(lot.holds, "lot-on-hold")
                refuse_if(lot.product != product, "products-differ")
            stock = [
                name
                for name, lot in self.lots.items()
                if lot.holder == me and lot.product == product and not lot.holds
            ]
            open_g = wanted
            for position, draw in enumerate(draws or [{"lot": name} for name in stock], start=1):
                left = self.lots[draw["lot"]].left - taken[draw["lot"]]
                everything = draws and position == len(draws)
                grams = draw.get("mass_g", open_g if everything else min(left, open_g))
                grams = max(grams, 0)
                refuse_if(grams > left, "lot-exhausted")
                open_g -= grams
                if grams:
                    taken[draw["lot"]] += grams
                    planned.append((no, draw["lot"], grams))
            refuse_if(open_g, "masses-differ" if draws else "stock-short")
        return planned

    def _check_sale(
        self,
        actor: str,
        kind: str,
        buyer: str | None,
        on: date,
        planned: Sequence[tuple[int, str, int]],
    ) -> None:
        covered: Counter[str] = Counter()
        for _, name, grams in planned:
            lot = self.lots[name]
            if kind == "return":
                refuse_if(buyer is None or lot.supplier != buyer, "return-to-stranger")
            refuse_if(on < lot.made_on, "made-too-early")
            cover = min(grams, lot.cover - covered[name])
            covered[name] += cover
            if kind == "sale":
                papers = [self.certificates[known] for known in lot.certificates]
                voided = papers and all(paper.voided for paper in papers)
                refuse_if(voided, "certificate-voided")
                due = actor in MUST_CERTIFY and lot.product in CERTIFIABLE
                refuse_if(due and cover < grams, "certificate-missing")

    def _issued(
        self,
        actor: str,
        subject: str,
        kind: str,
        buyer: str | None,
        one_sided: bool,
        asked: Sequence[tuple[int, int, Any]],
        planned: Sequence[tuple[int, str, int]],
        answer: Json,
    ) -> None:
        me = self.ids[actor]
        own = all(self.lots[name].producer == me for _, name, _ in planned)
        ticket = Ticket(
            kind="origin" if kind == "sale" and own else kind,
            seller=me,
            buyer=buyer,
            one_sided=one_sided,
            lines=[(product, grams) for product, grams, _ in asked],
            draws=[
                Draw(
                    no,
                    name,
                    grams,
                    self._take(self.lots[name], grams),
                    self.lots[name].certificates,
                )
                for no, name, grams in planned
            ],
        )
        self.tickets[subject] = ticket
        self._log("ticket.issued", subject, "hand_over")
        told = self._told(answer)
        assert {(draw.line, draw.lot): draw.grams for draw in ticket.draws} == {
            place: draw["mass_g"] for place, draw in told.items()
        }, "drawn from other lots"
        if one_sided:
            for draw in ticket.draws:
                draw.accepted = draw.grams
                draw.received = told[draw.line, draw.lot]["received_lot"]
                self._received(ticket, draw, draw.grams, draw.cover, CLAIMED)

    @staticmethod
    def _told(answer: Json) -> dict[tuple[int, str], Json]:
        return {
            (line["no"], draw["lot"]): draw for line in answer["lines"] for draw in line["draws"]
        }

    def _received(self, ticket: Ticket, draw: Draw, grams: int, cover: int, proof: int) -> None:
        """Bring the buyer's lot into being."""
        assert draw.received is not None
        self._passed_on(
            draw.lot,
            draw.received,
            holder=ticket.buyer,
            supplier=self._supplier(ticket, draw.lot),
            origin="return" if ticket.kind == "return" else "purchase",
            grams=grams,
            cover=cover,
            certificates=draw.certificates,
            proof=proof,
        )

    def _supplier(self, ticket: Ticket, lot: str) -> str | None:
        """Say from whom the buyer has goods: who sold them, or had supplied them before a return.

        What goes back is again what it was before it was sold, and may go back further.
        """
        if ticket.kind != "return":
            return ticket.seller
        reached, open_ = {lot}, [lot]
        while open_:
            name = open_.pop()
            if self.lots[name].holder != ticket.buyer:
                parents = {src for src, dst in self.edges if dst == name} - reached
                reached |= parents
                open_ += parents
        earlier = [self.lots[name] for name in reached if self.lots[name].holder == ticket.buyer]
        supplier: str | None = same(past.supplier for past in earlier)
        return supplier

    def _passed_on(
        self,
        source: str,
        name: str,
        *,
        holder: str | None,
        supplier: str | None,
        origin: str,
        grams: int,
        cover: int,
        certificates: tuple[str, ...],
        proof: int,
    ) -> None:
        assert name not in self.lots, "the service made up an id twice"
        past = self.lots[source]
        self.lots[name] = Lot(
            product=past.product,
            holder=holder,
            producer=past.producer,
            mixed=past.mixed,
            supplier=supplier,
            origin=origin,
            mass=grams,
            left=0 if holder is None else grams,
            certified=cover,
            used=0,
            certificates=certificates,
            division=past.division,
            made_on=past.made_on,
        )
        self.edges[source, name] = (grams, proof)
        self.totals["consumed"] += grams if holder is None else 0

    def _by_age(self, draws: Iterable[Draw]) -> list[Draw]:
        age = {name: no for no, name in enumerate(self.lots)}
        return sorted(draws, key=lambda draw: (draw.line, age[draw.lot]))

    def _shares(self, ticket: Ticket, body: Json) -> dict[int, int]:
        """Answer the accepted grams of each line."""
        whole = {no: grams for no, (_, grams) in enumerate(ticket.lines, start=1)}
        if body["outcome"] == "refused":
            return dict.fromkeys(whole, 0)
        if body["outcome"] == "accepted":
            return whole
        said = {line["no"]: line["mass_g"] for line in body["lines"]}
        refuse_if(any(said[no] > whole.get(no, -1) for no in said), "accepted-mass-impossible")
        shares = whole | said
        rest = sum(whole.values()) - sum(shares.values())
        refuse_if(rest in {0, sum(whole.values())}, "accepted-mass-impossible")
        return shares

    def decide(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        refuse_if(subject not in self.tickets, "unknown-ticket")
        ticket = self.tickets[subject]
        refuse_if(ticket.buyer != me, "not-buyer")
        refuse_if(ticket.status == "voided", "ticket-voided")
        if ("decision", subject) in self.done:
            refuse_if(self.done["decision", subject] != body, "ticket-already-decided")
            yield 200
            return
        by_line = self._shares(ticket, body)
        refuse_if(any(self.lots[draw.lot].holds for draw in ticket.draws), "lot-on-hold")
        draws = self._by_age(ticket.draws)
        accepted: list[int] = []
        for no in by_line:
            accepted += share_out(by_line[no], [draw.grams for draw in draws if draw.line == no])
        if ticket.one_sided:
            self._check_back(
                (draw, draw.grams - grams) for draw, grams in zip(draws, accepted, strict=True)
            )
        answer = yield 200
        told = self._told(answer)
        ticket.status = body["outcome"]
        for draw, grams in zip(draws, accepted, strict=True):
            draw.accepted = grams
            if ticket.one_sided:
                assert draw.received is not None
                if grams:
                    self.edges[draw.lot, draw.received] = (draw.grams, PROVED)
            else:
                self._decided(ticket, draw, told[draw.line, draw.lot])
        if ticket.one_sided:
            self._back(ticket, draws, told)
        self.done["decision", subject] = body
        self._log(f"ticket.{ticket.status}", subject, "hand_over")

    def _decided(self, ticket: Ticket, draw: Draw, told: Json) -> None:
        """Part a two-sided draw: the buyer's lot, and the lot that the seller gets back."""
        assert draw.accepted is not None
        cover = min(draw.cover, draw.accepted)
        draw.received, draw.returned = told["received_lot"], told["returned_lot"]
        assert (draw.received is None) == (draw.accepted == 0)
        assert (draw.returned is None) == (draw.accepted == draw.grams)
        if draw.received:
            self._received(ticket, draw, draw.accepted, cover, PROVED)
        if draw.returned:
            self._passed_on(
                draw.lot,
                draw.returned,
                holder=ticket.seller,
                supplier=self.lots[draw.lot].supplier,
                origin="return",
                grams=draw.grams - draw.accepted,
                cover=draw.cover - cover,
                certificates=draw.certificates,
                proof=PROVED,
            )

    def _check_back(self, going_back: Iterable[tuple[Draw, int]]) -> None:
        age = {name: no for no, name in enumerate(self.lots)}
        for draw, grams in sorted(going_back, key=lambda pair: age[pair[0].received or ""]):
            lot = self.lots[draw.received or ""]
            if grams:
                refuse_if(lot.holds, "lot-on-hold")
                refuse_if(lot.holder is not None and grams > lot.left, "lot-exhausted")

    def _back(self, ticket: Ticket, draws: Iterable[Draw], told: Mapping[Any, Json]) -> None:
        """Turn what the buyer of a one-sided ticket does not keep into lots of the seller."""
        age = {name: no for no, name in enumerate(self.lots)}
        for draw in sorted(draws, key=lambda draw: age[draw.received or ""]):
            assert draw.received is not None
            assert draw.accepted is not None
            rest = draw.grams - draw.accepted
            draw.returned = told[draw.line, draw.lot]["returned_lot"]
            assert (draw.returned is None) == (rest == 0)
            if draw.returned is None:
                continue
            lot = self.lots[draw.received]
            if lot.holder is None:
                cover = min(rest, lot.certified)
                self.totals["consumed"] -= rest
            else:
                cover = self._take(lot, rest)
            self._passed_on(
                draw.received,
                draw.returned,
                holder=ticket.seller,
                supplier=self.lots[draw.lot].supplier,
                origin="return",
                grams=rest,
                cover=cover,
                certificates=lot.certificates,
                proof=CLAIMED,
            )

    def void_ticket(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor)
        refuse_if(subject not in self.tickets, "unknown-ticket")
        ticket = self.tickets[subject]
        refuse_if(ticket.seller != me, "not-seller")
        if ticket.status == "voided":
            yield 200
            return
        refuse_if(ticket.status != "issued", "ticket-already-decided")
        if ticket.one_sided:
            self._check_back((draw, draw.grams) for draw in ticket.draws)
        answer = yield 200
        if ticket.one_sided:
            ticket.status = "voided"
            for draw in ticket.draws:
                draw.accepted = 0
            self._back(ticket, ticket.draws, self._told(answer))
            self.events["return"] += 1
        else:
            self._put_back(ticket)
        self._log("ticket.voided", subject)

    def _put_back(self, ticket: Ticket) -> None:
        """Let goods that are on their way be in their seller's lots again."""
        ticket.status = "voided"
        for draw in ticket.draws:
            self.lots[draw.lot].left += draw.grams
            self.lots[draw.lot].used = max(0, self.lots[draw.lot].used - draw.cover)

    # --- holds -----------------------------------------------------------------------------------

    def hold(self, actor: str, subject: str, body: Json) -> Command:
        self._admit(actor, who=(OFFICE,))
        lot = self._lot(body["lot"])
        if self._repeated("hold", subject, (actor, body)):
            yield 200
            return
        yield 201
        lot.holds += 1
        self.holds[subject] = Hold(body["lot"])
        self.done["hold", subject] = (actor, body)
        self._log("hold.hold", subject, "hold")

    def release(self, actor: str, subject: str, body: Json) -> Command:
        self._admit(actor, who=(OFFICE,))
        refuse_if(subject not in self.holds, "unknown-hold")
        # Another reason, or somebody else, has ended it.
        refuse_if(subject in self.cleared, "hold-released")
        yield 200
        if not self.holds[subject].released:
            self._free(subject)

    def release_all(self, actor: str, subject: str, body: Json) -> Command:
        self._admit(actor, who=(OFFICE,))
        refuse_if(body["sample"] not in self.samples, "unknown-sample")
        if self._repeated("release_all", subject, (actor, body)):
            yield 200
            return
        standing = self._standing(self.samples[body["sample"]])
        refuse_if(not standing, "nothing-held")
        yield 201
        for name in standing:
            self._free(name)
        self.done["release_all", subject] = (actor, body)

    def _standing(self, sample: Sample) -> list[str]:
        """Answer the holds of a finding that are in force."""
        known = [name for name in (sample.hold, *sample.parts) if name is not None]
        return [name for name in known if not self.holds[name].released]

    def _free(self, hold: str) -> None:
        self.holds[hold].released = True
        self.lots[self.holds[hold].lot].holds -= 1
        self._log("hold.release", hold, "release")

    # --- recalls ---------------------------------------------------------------------------------

    def _closure(self, begin: Iterable[str], *, back: bool) -> set[str]:
        found, waiting = set(begin), list(begin)
        while waiting:
            lot = waiting.pop()
            for src, dst in self.edges:
                here, there = (dst, src) if back else (src, dst)
                if here == lot and there not in found:
                    found.add(there)
                    waiting.append(there)
        return found

    def _recalled(self, lot: str) -> bool:
        """Whether an open case has to say what becomes of a lot."""
        return any(lot in recall.lots and recall.open for recall in self.recalls.values())

    def _transit(self, lot: str) -> list[tuple[str | None, int]]:
        """Answer the grams of a lot on their way, by buyer."""
        return [
            (ticket.buyer, draw.grams)
            for ticket in self.tickets.values()
            if ticket.status == "issued" and not ticket.one_sided
            for draw in ticket.draws
            if draw.lot == lot
        ]

    def _out(self, lot: str) -> int:
        return sum(grams for (src, _), (grams, _) in self.edges.items() if src == lot)

    def recall(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor, who=(*TRADERS, OFFICE))
        if self._repeated("recall", subject, (actor, body)):
            yield 200
            return
        for name in body["found"]:
            lot = self._lot(name)
        for name in body["found"]:
            lot = self.lots[name]
            mine = me in {lot.holder, lot.producer, lot.supplier}
            refuse_if(actor != OFFICE and not mine, "hold-not-yours")
        yield 201
        begin = set(body["found"])
        if actor == OFFICE:
            into = {dst for _, dst in self.edges}
            begin |= {lot for lot in self._closure(begin, back=True) if lot not in into}
        recall = Recall(actor, body["mock"], {}, {})
        # By age, and parties by name: what is chosen from must stand in the same order each time.
        reached = self._closure(begin, back=False)
        for name in [known for known in self.lots if known in reached]:
            lot, ways = self.lots[name], self._transit(name)
            transit, passed = sum(grams for _, grams in ways), self._out(name)
            gone = lot.mass - lot.left - transit - passed
            held = lot.holder is not None
            recall.lots[name] = InScope(lot.left, transit, passed, gone, held)
            lot.holds += not recall.mock
            parties = {lot.holder, *(buyer for buyer, _ in ways)}
            for party in sorted(party for party in parties if party is not None):
                recall.told[party] = me if party == me else None
        self.recalls[subject] = recall
        self.done["recall", subject] = (actor, body)
        self._log("recall.opened", subject, None if recall.mock else "hold")

    def _case(self, actor: str, subject: str) -> tuple[str, str, Recall]:
        """Answer who asks, the case's id, and the case; everybody signed in may ask."""
        me = self._admit(actor, who=(*TRADERS, OFFICE))
        name = subject.partition("/")[0]
        refuse_if(name not in self.recalls, "unknown-recall")
        return me, name, self.recalls[name]

    def _in_case(self, recall: Recall, lot: str) -> InScope:
        self._lot(lot)
        refuse_if(lot not in recall.lots, "not-in-scope")
        return recall.lots[lot]

    def _speaks(self, recall: Recall, actor: str, party: str | None) -> None:
        leads = actor in {OFFICE, recall.opener}
        refuse_if(not leads and party != self.ids[actor], "recall-not-yours")

    def _is_anothers(self, actor: str, holder: str | None) -> bool:
        """Whether a business would speak for a holder that can sign in and say so itself."""
        return actor != OFFICE and holder not in {None, self.ids[actor], *self.invited}

    def acknowledge(self, actor: str, subject: str, body: Json) -> Command:
        _, name, recall = self._case(actor, subject)
        party = subject.rpartition("/")[2]
        refuse_if(party not in {*self.ids.values(), *self.invited}, "unknown-party")
        refuse_if(party not in recall.told, "not-in-scope")
        self._speaks(recall, actor, party)
        if recall.told[party]:
            refuse_if(recall.told[party] != self.ids[actor], "recall-acknowledged")
            yield 200
            return
        refuse_if(recall.outcome, "recall-closed")
        yield 200
        recall.told[party] = self.ids[actor]
        self._log("recall.acknowledged", name)

    def step(self, actor: str, subject: str, body: Json) -> Command:
        _, name, recall = self._case(actor, subject)
        scope, step = self._in_case(recall, body["lot"]), subject.rpartition("/")[2]
        if self._repeated("step", step, (actor, name, body)):
            yield 200
            return
        lot = self.lots[body["lot"]]
        self._speaks(recall, actor, lot.holder or lot.supplier)
        refuse_if(recall.outcome, "recall-closed")
        kind, grams = body["kind"], body["mass_g"]
        unseen = actor != OFFICE and scope.held and not recall.mock
        refuse_if(unseen and kind == "consumed", "consumed-by-own-word")
        theirs = self._is_anothers(actor, lot.holder)
        refuse_if(theirs and kind == "located", "holders-own-word")
        refuse_if(recall.mock and kind == "recovered", "mock-recall")
        room = scope.located - scope.recovered if kind == "recovered" else scope.room
        refuse_if(grams > room, "recall-grams-differ")
        leaves = kind == "consumed" and scope.held and not recall.mock
        refuse_if(leaves and grams > lot.left, "lot-exhausted")
        yield 201
        setattr(scope, kind, getattr(scope, kind) + grams)
        if kind == "recovered":
            scope.came_back[actor] += grams
        if leaves:
            self._booked_out("loss", step, lot, grams)
        self.done["step", step] = (actor, name, body)
        self._log("recall.step", name)

    def _booked_out(self, kind: str, cause: str, lot: Lot, grams: int) -> None:
        change = str(uuid5(UUID(cause), str(lot.holder)))
        self._take(lot, grams)
        self.totals[kind] += grams
        self.done["change", change] = cause
        self._log(f"lot.{kind}", change, kind)

    def dispose(self, actor: str, subject: str, body: Json) -> Command:
        _, name, recall = self._case(actor, subject)
        [part] = body["lots"]
        scope, disposal = self._in_case(recall, part["lot"]), subject.rpartition("/")[2]
        if self._repeated("disposal", disposal, (actor, name, body)):
            yield 200
            return
        lot, grams = self.lots[part["lot"]], part["mass_g"]
        self._speaks(recall, actor, lot.holder or lot.supplier)
        refuse_if(recall.outcome, "recall-closed")
        theirs = self._is_anothers(actor, lot.holder)
        refuse_if(theirs and grams > scope.came_back[actor], "holders-own-word")
        refuse_if(recall.mock, "mock-recall")
        refuse_if(grams > scope.recovered - scope.destroyed, "recall-grams-differ")
        refuse_if(scope.held and grams > lot.left, "lot-exhausted")
        self._show(disposal, body)
        yield 201
        scope.destroyed += grams
        scope.came_back[actor] -= grams
        if scope.held:
            self._booked_out("destroy", disposal, lot, grams)
        self.done["disposal", disposal] = (actor, name, body)
        self._log("recall.disposal", name)

    def annul(self, actor: str, subject: str, body: Json) -> Command:
        self._admit(actor, who=(OFFICE,))
        name, _, ticket_id = subject.partition("/annulments/")
        _, _, recall = self._case(actor, name)
        refuse_if(ticket_id not in self.tickets, "unknown-ticket")
        if self._repeated("annulment", ticket_id, (name, body)):
            yield 200
            return
        refuse_if(recall.outcome, "recall-closed")
        refuse_if(recall.mock, "mock-recall")
        ticket = self.tickets[ticket_id]
        scope = [draw for draw in ticket.draws if draw.lot in recall.lots]
        refuse_if(not scope, "not-in-scope")
        refuse_if(ticket.one_sided or ticket.status != "issued", "nothing-to-annul")
        yield 201
        self._put_back(ticket)
        for draw in scope:
            lot = recall.lots[draw.lot]
            lot.located += min(draw.grams, lot.room)
        self.done["annulment", ticket_id] = (name, body)
        self._log("ticket.voided", ticket_id)
        self._log("recall.annulled", name)

    def close(self, actor: str, subject: str, body: Json) -> Command:
        me, name, recall = self._case(actor, subject)
        leads = actor in {OFFICE, recall.opener}
        refuse_if(not leads and me not in recall.told, "unknown-recall")
        refuse_if(not leads, "recall-not-yours")
        refuse_if(actor != OFFICE and not recall.mock, "recall-sign-off-not-yours")
        if recall.outcome:
            said = (body["outcome"], (body["reason"], me))
            refuse_if((recall.outcome, recall.closing) != said, "recall-closed")
            yield 200
            return
        if body["outcome"] == "completed" and not recall.mock:
            missing = [
                self.lots[lot].left + sum(grams for _, grams in self._transit(lot))
                if scope.held
                else scope.located - scope.destroyed
                for lot, scope in recall.lots.items()
            ]
            refuse_if(any(missing), "recall-grams-open")
            refuse_if(not all(recall.told.values()), "recall-steps-open")
        yield 200
        recall.outcome, recall.closing = body["outcome"], (body["reason"], me)
        for lot, scope in recall.lots.items():
            stays = not scope.held and (body["outcome"] == "completed" or scope.recovered)
            self.lots[lot].holds -= not recall.mock and not stays
        self._log("recall.closed", name, None if recall.mock else "release")

    def escaped(self) -> dict[str, int]:
        """Answer what went out of lots while a recall held them: there must be none."""
        return {
            lot: self._out(lot) - scope.passed
            for recall in self.recalls.values()
            if recall.open
            for lot, scope in recall.lots.items()
            if self._out(lot) != scope.passed
        }

    # --- samples and tests -----------------------------------------------------------------------

    def sample(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor, who=(*TRADERS, OFFICE))
        lot = self._lot(body["lot"])
        if self._repeated("sample", subject, (actor, body)):
            yield 200
            return
        refuse_if(actor == OFFICE, "layer-not-yours")  # it takes none of its own goods
        on = self._when(body, "taken_at")
        refuse_if(lot.made_on > on, "impossible-date")
        refuse_if(lot.holder != me, "hold-not-yours")
        refuse_if(lot.holds, "lot-on-hold")
        refuse_if(body["mass_g"] > lot.left, "lot-exhausted")
        taken_g = sum(one.grams for one in self.samples.values() if one.lot == body["lot"])
        # Whoever holds goods takes six kilograms as samples, and of little no more than half.
        most_g = min(6_000, (lot.left + taken_g) // 2)
        refuse_if(taken_g + body["mass_g"] > most_g, "sample-limit")
        yield 201
        self._take(lot, body["mass_g"])
        self.totals["sampled"] += body["mass_g"]
        taken_at = datetime.fromisoformat(body["taken_at"]) if "taken_at" in body else self.now
        self.samples[subject] = Sample(body["lot"], me, body["mass_g"], taken_at)
        self.done["sample", subject] = (actor, body)
        self._log("sample.taken", subject, "sample")

    def test(self, actor: str, subject: str, body: Json) -> Command:
        me = self._admit(actor, who=(*TRADERS, OFFICE))
        name, _, test = subject.partition("/tests/")
        refuse_if(name not in self.samples, "unknown-sample")
        if self._repeated("test", test, (actor, name, body)):
            yield 200
            return
        sample = self.samples[name]
        refuse_if(sample.by != me, "test-not-yours")
        self._when(body, "tested_at")
        at = datetime.fromisoformat(body["tested_at"]) if "tested_at" in body else self.now
        refuse_if(at < sample.taken_at, "tested-too-early")
        refuse_if(sample.status in {"presumptive", "cleared"}, "retest-not-quick")
        answer = yield 201
        sample.readings.append(int(body["reading"]["value"]))
        self.done["test", test] = (actor, name, body)
        self._log("test.recorded", test)
        self._settle(sample, answer["hold"])

    def _settle(self, sample: Sample, hold: str | None) -> None:
        """Hold the lot while something stands against it; a test's own hold ends with a pass."""
        held = sample.hold is not None and not self.holds[sample.hold].released
        if sample.status in {"suspect", "positive", "presumptive"} and not held:
            assert hold not in {None, *self.holds}, "a finding places a hold of its own"
            sample.hold = hold
            self.holds[str(hold)] = Hold(sample.lot)
            self.placed_by_tests.add(str(hold))
            self.lots[sample.lot].holds += 1
            self._log("hold.hold", str(hold), "hold")
            for kept in self._kept(sample.lot, set()):
                part = str(uuid5(UUID(str(hold)), kept))
                sample.parts.append(part)
                self.holds[part] = Hold(kept)
                self.placed_by_tests.add(part)
                self.lots[kept].holds += 1
                self._log("hold.hold", part, "hold")
        elif sample.status in {"passed", "cleared"} and sample.hold is not None:
            # What an office let go before is let go already.
            for name in self._standing(sample):
                self.cleared.add(name)
                self._free(name)

    def _kept(self, lot: str, met: set[str]) -> set[str]:
        """Answer all that a lot's holder made of it and holds itself."""
        for src, dst in self.edges:
            if src == lot and dst not in met and self.lots[dst].holder == self.lots[lot].holder:
                met.add(dst)
                self._kept(dst, met)
        return met

    # --- what must be so at any time -------------------------------------------------------------

    def conserved(self) -> dict[str, int]:
        """Answer where every gram is that ever came in; the values add up to nothing."""
        in_transit = sum(
            draw.grams
            for ticket in self.tickets.values()
            if ticket.status == "issued" and not ticket.one_sided
            for draw in ticket.draws
        )
        return {
            "opened": self.totals["opened"],
            "gained": self.totals["gained"],
            "in stock": -sum(lot.left for lot in self.lots.values()),
            "in transit": -in_transit,
            "lost": -self.totals["loss"],
            "destroyed": -self.totals["destroy"],
            "sampled": -self.totals["sampled"],
            "consumed": -self.totals["consumed"],
        }

    def told_by_stock(self) -> dict[tuple[str, int, tuple[str, ...]], int]:
        """Answer what a trace that is remembered relies on.

        By a lot, what is left of it, and the tickets that are open on it: how many lots it went
        into. A walk-in's lot is left out: nothing is ever left of it, and still it may go back.
        """
        opened: dict[str, list[str]] = {}
        for name, ticket in self.tickets.items():
            if ticket.status == "issued":
                for draw in ticket.draws:
                    opened.setdefault(draw.lot, []).append(name)
        ahead = Counter(src for src, _ in self.edges)
        return {
            (name, lot.left, tuple(sorted(opened.get(name, ())))): ahead[name]
            for name, lot in self.lots.items()
            if lot.holder is not None
        }
