"""A machine plays random commands against the service and against an auditor's own books.

Before each command the auditor predicts the answer: its status and the code of its refusal. After
each command all that the database holds is compared with what the auditor wrote.

`MODEL_EXAMPLES`, `MODEL_STEPS` (40 and 50) make it longer; `MODEL_SHRINK=0` reports the first
failure as it was found.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.books import (
    CHIVES,
    GREENS,
    GROWERS,
    NOBODY,
    OFFICE,
    PADDY,
    PROCESSES,
    TRADERS,
    Json,
    Recall,
    Refused,
)
from tests.model.stage import VILLAGE, Stage, World, expected, uuid_of

T = TypeVar("T")

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "40"))
STEPS = int(os.environ.get("MODEL_STEPS", "50"))
SHRINK = os.environ.get("MODEL_SHRINK", "1") == "1"
EVERYBODY = (*TRADERS, OFFICE, NOBODY)
PRODUCTS = (GREENS, GREENS, GREENS, CHIVES, PADDY)
CREATING = {
    "open",
    "certify",
    "split",
    "merge",
    "transform",
    "lose",
    "destroy",
    "issue",
    "hold",
    "sample",
    "test",
}
ANNULLED: Json = {"reason": "卖方拒不作废", "accountable": "王五"}
KINDS_MIN = 60
"""Kinds of answers that a full run meets at least; a machine that meets fewer has gone blind."""


class Machine(RuleBasedStateMachine):
    """Chooses commands; most fit the state of the books, and some do not."""

    def __init__(self, world: World, runner: asyncio.Runner, answers: Counter[str]) -> None:
        super().__init__()
        self._runner = runner
        self._open = world.stage()
        self.stage: Stage = runner.run(self._open.__aenter__())
        self.books = self.stage.books
        self.answers = answers
        self._next_id = 1000
        self.past: list[tuple[str, str, str, Json]] = []
        self.taken: dict[str, str] = {}  # photos, and who has them
        self.seen: dict[tuple[str, int, tuple[str, ...]], int] = {}  # see `told_by_stock`

    def teardown(self) -> None:
        self._runner.run(self._open.__aexit__(None, None, None))

    # --- sending and choosing -------------------------------------------------------------------

    def send(self, kind: str, actor: str, body: Json, subject: str | None = None) -> None:
        """Send a command; compare the answer with the prediction, and let it take effect."""
        subject = subject or self.new_id()
        command = getattr(self.books, kind)(actor, subject, body)
        try:
            predicted: tuple[int, str | None] = (next(command), None)
        except Refused as refusal:
            predicted = (refusal.status, refusal.code)
        answer = self._runner.run(self.stage.put(kind, actor, subject, body))
        said = answer.json()
        got = (answer.status_code, said["code"] if answer.is_error else None)
        assert got == predicted, f"{kind} by {actor}: {got}, predicted {predicted}; {body} {said}"
        if not answer.is_error:
            with contextlib.suppress(StopIteration):
                command.send(said)
            self.past.append((kind, actor, subject, body))
        outcome = f"{kind} {got[1] or got[0]}"
        self.answers[outcome] += 1
        event(outcome)

    def new_id(self) -> str:
        self._next_id += 1
        return uuid_of(self._next_id)

    def actor(self, data: st.DataObject, fitting: str | None) -> str:
        """Choose the fitting actor, and now and then anybody."""
        if fitting is None or self.seldom(data):
            return data.draw(st.sampled_from(EVERYBODY), label="actor")
        return fitting

    @staticmethod
    def seldom(data: st.DataObject) -> bool:
        return data.draw(st.integers(0, 15), label="seldom") == 15

    def trader(self, holder: str | None) -> str | None:
        return next((name for name, public in self.books.ids.items() if public == holder), None)

    def lot(self, data: st.DataObject, *, of: str | None = None, product: int | None = None) -> str:
        """Choose a lot, rather one with something left; sometimes one that is not there."""
        lots = self.books.lots
        if not lots or self.seldom(data):
            return uuid_of(data.draw(st.integers(1, 5), label="no lot"))
        fitting = [
            name
            for name, lot in lots.items()
            if lot.left
            and (of is None or lot.holder == self.books.ids.get(of))
            and (product is None or lot.product == product)
        ]
        return data.draw(st.sampled_from(fitting or list(lots)), label="lot")

    def holder(self, lot: str) -> str | None:
        return self.trader(self.books.lots[lot].holder) if lot in self.books.lots else None

    def grams(self, data: st.DataObject, whole: int) -> int:
        """Choose grams about the edges of what there is."""
        near = [whole, whole, whole + 1, max(whole - 1, 1), whole // 2 or 1, whole // 3 or 1, 1]
        return data.draw(st.sampled_from(near) | st.integers(1, 5000), label="grams")

    @staticmethod
    def said(data: st.DataObject, grams: int) -> Json:
        unit, one = data.draw(st.sampled_from((("公斤", 1000), ("斤", 500))), label="unit")
        return {"quantity": f"{(Decimal(grams) / one).normalize():f}", "unit": unit}

    def when(self, data: st.DataObject, member: str) -> Json:
        """Seldom name an instant: a little ahead, in the future, yesterday, or long ago."""
        if not self.seldom(data):
            return {}
        minutes = data.draw(st.sampled_from((5, 6, 60, -1, -24 * 60, -6 * 366 * 24 * 60)))
        return {member: (self.books.now + timedelta(minutes=minutes)).isoformat()}

    def left(self, lot: str) -> int:
        return self.books.lots[lot].left if lot in self.books.lots else 0

    # --- lots and certificates ------------------------------------------------------------------

    @initialize(data=st.data())
    def stock_up(self, data: st.DataObject) -> None:
        """Begin with goods to trade in, and a ticket to decide about."""
        made = []
        for actor, origin in (("coop", "harvest"), ("farmer", "harvest"), ("stall", "declare")):
            said = self.said(data, data.draw(st.integers(2, 3000), label="grams"))
            body = {"origin": origin, "product": GREENS, "division_code": VILLAGE, **said}
            made.append(self.new_id())
            self.send("open", actor, body, made[-1])
        self.send("certify", "coop", self.certificate(data, made[0]))
        buyer = {"party": self.books.ids["collector"]}
        line = {"product": GREENS, "price_fen": 250, "draws": [{"lot": made[1]}]}
        line |= self.said(data, self.left(made[1]) // 2 or 1)
        hand_over = data.draw(st.sampled_from(("one_sided", "two_sided")))
        self.send("issue", "farmer", {"buyer": buyer, "lines": [line], "hand_over": hand_over})

    @rule(data=st.data())
    def open(self, data: st.DataObject) -> None:
        actor = self.actor(data, data.draw(st.sampled_from(("coop", "farmer", "stall"))))
        usual = "harvest" if actor in GROWERS else "declare"
        body: Json = {
            "origin": data.draw(st.sampled_from((usual, usual, usual, "harvest", "declare"))),
            "product": data.draw(st.sampled_from(PRODUCTS), label="product"),
            **self.said(data, data.draw(st.integers(1, 3000), label="grams")),
            **self.when(data, "occurred_at"),
        }
        if not self.seldom(data):
            body["division_code"] = VILLAGE
        if body["origin"] == "declare" or self.seldom(data):
            producers = [self.books.ids[name] for name in ("coop", "farmer")]
            if producer := data.draw(st.sampled_from((None, *producers)), label="producer"):
                body["producer"] = producer
        self.send("open", actor, body)

    def certificate(self, data: st.DataObject, lot: str) -> Json:
        known = self.books.lots.get(lot)
        own = known is None or (known.producer == known.holder and not known.mixed)
        usual = "conformity_producer" if own else "conformity_purchaser"
        others = ("conformity_producer", "conformity_purchaser", "origin_proof")
        kind = data.draw(st.sampled_from((usual,) * 6 + others), label="kind")
        bases = [] if kind == "origin_proof" else ["quality_control"]
        if self.seldom(data):
            bases = data.draw(st.sampled_from(([], ["self_tested"], ["self_promise"])))
        open_g = known.mass - known.certified if known else 1
        grams = self.grams(data, open_g or 1)
        return {"kind": kind, "lot": lot, "bases": bases, **self.said(data, grams)}

    @rule(data=st.data())
    def certify(self, data: st.DataObject) -> None:
        lot = self.lot(data)
        body = self.certificate(data, lot) | self.when(data, "issued_at")
        if bool(self.books.certificates) and data.draw(st.booleans(), label="replaces"):
            papers = self.books.certificates
            fitting = [name for name, paper in papers.items() if paper.voided and paper.lot == lot]
            if fitting or self.seldom(data):
                body["replaces"] = data.draw(st.sampled_from(fitting or list(papers)))
        self.send("certify", self.actor(data, self.holder(lot)), body)

    @precondition(lambda self: any(lot.holds and lot.holder for lot in self.books.lots.values()))
    @rule(data=st.data())
    def certify_what_is_held(self, data: st.DataObject) -> None:
        """Try to vouch anew for goods that are kept still."""
        held = [name for name, lot in self.books.lots.items() if lot.holds and lot.holder]
        lot = data.draw(st.sampled_from(held), label="held")
        self.send("certify", self.actor(data, self.holder(lot)), self.certificate(data, lot))

    @precondition(lambda self: self.books.certificates)
    @rule(data=st.data())
    def void_certificate(self, data: st.DataObject) -> None:
        papers = self.books.certificates
        name = data.draw(st.sampled_from((*papers, uuid_of(9))), label="certificate")
        issuer = self.trader(papers[name].issuer) if name in papers else None
        self.send("void_certificate", self.actor(data, issuer), {"reason": "错了"}, name)

    # --- changes --------------------------------------------------------------------------------

    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        lot = self.lot(data)
        total = self.grams(data, self.left(lot) or 2)
        cut = data.draw(st.integers(1, max(total - 1, 1)), label="cut")
        parts = [{"lot": self.new_id(), **self.said(data, cut)}]
        if total > cut:
            parts.append({"lot": self.new_id(), **self.said(data, total - cut)})
        if self.seldom(data):
            parts[-1]["lot"] = data.draw(st.sampled_from((parts[0]["lot"], lot, self.lot(data))))
        body = {"lot": lot, "parts": parts, **self.when(data, "occurred_at")}
        self.send("split", self.actor(data, self.holder(lot)), body)

    def inputs(self, data: st.DataObject, actor: str, product: int | None, most: int) -> list[Json]:
        names = dict.fromkeys(self.lot(data, of=actor, product=product) for _ in range(most))
        inputs: list[Json] = [{"lot": name} for name in names]
        for item in inputs:
            if data.draw(st.booleans(), label="some of it"):
                item["mass_g"] = self.grams(data, self.left(item["lot"]) or 1)
        return inputs

    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        first = self.lot(data)
        actor = self.holder(first) or "coop"
        product = (
            None if self.seldom(data) else getattr(self.books.lots.get(first), "product", None)
        )
        inputs = self.inputs(data, actor, product, 3)
        if len(inputs) == 1 and first != inputs[0]["lot"]:
            inputs.append({"lot": first})
        if len(inputs) == 1:
            return
        body: Json = {"inputs": inputs, "lot": self.new_id(), **self.when(data, "occurred_at")}
        if self.seldom(data):
            body["lot"] = data.draw(st.sampled_from((first, self.lot(data))), label="output")
        makers = {getattr(self.books.lots.get(item["lot"]), "producer", None) for item in inputs}
        unlike = len(makers) > 1 or None in makers
        if unlike != (data.draw(st.integers(0, 3), label="forget the certificate") == 3):
            name, promise = self.new_id(), "self_promise" if self.seldom(data) else "self_tested"
            body["certificate"] = {"certificate": name, "bases": [promise]}
            if self.books.certificates and self.seldom(data):
                taken = data.draw(st.sampled_from(list(self.books.certificates)))
                body["certificate"]["certificate"] = taken
        self.send("merge", self.actor(data, actor), body)

    @rule(data=st.data())
    def transform(self, data: st.DataObject) -> None:
        process = data.draw(st.sampled_from(sorted(PROCESSES)), label="process")
        source, result, low, high = PROCESSES[process]
        first = self.lot(data, product=None if self.seldom(data) else source)
        actor = self.holder(first) or "coop"
        inputs = self.inputs(data, actor, source, 2)
        total = sum(item.get("mass_g", self.left(item["lot"])) for item in inputs)
        permille = data.draw(st.sampled_from((low - 1, low, (low + high) // 2, high, high + 1)))
        outputs = [
            {
                "lot": self.new_id(),
                "product": CHIVES if self.seldom(data) else result or source,
                **self.said(data, max(total * permille // 1000, 1)),
            }
        ]
        if data.draw(st.booleans(), label="two outputs"):
            more = {"lot": self.new_id(), "product": result or source, **self.said(data, 1)}
            outputs.append(more)
        body = {"process": process, "inputs": inputs, "outputs": outputs}
        self.send("transform", self.actor(data, actor), body | self.when(data, "occurred_at"))

    @rule(data=st.data(), kind=st.sampled_from(("lose", "destroy")))
    def remove(self, data: st.DataObject, kind: str) -> None:
        held = [name for name, lot in self.books.lots.items() if lot.holds and lot.left]
        lot = data.draw(st.sampled_from(held)) if held and kind == "destroy" else self.lot(data)
        body: Json = {"lot": lot, **self.when(data, "occurred_at")}
        if data.draw(st.booleans(), label="some of it"):
            body["mass_g"] = self.grams(data, self.left(lot) // 4 or 1)
        actor = self.actor(data, self.holder(lot))
        why: Json = {"reason": "spoiled"}
        if kind == "destroy":
            why = {"reason": "烂", "method": "buried"}
            if actor in TRADERS and data.draw(st.integers(0, 3), label="proof"):
                why |= {"evidence": [self.photo(actor, data)], "witness": "李四"}
        self.send(kind, actor, body | why)

    # --- tickets --------------------------------------------------------------------------------

    def line(self, data: st.DataObject, actor: str, first: str | None) -> Json:
        name = first or self.lot(data, of=actor)
        lot = self.books.lots.get(name)
        product = lot.product if lot and not self.seldom(data) else GREENS
        named = data.draw(st.booleans(), label="named draws")
        names = [name] if named else []
        if named and data.draw(st.booleans(), label="two draws"):
            names = list(dict.fromkeys((name, self.lot(data, of=actor, product=product))))
        stock = sum(
            self.left(known)
            for known in (names or self.books.lots)
            if named
            or (
                self.books.lots[known].product == product
                and self.books.lots[known].holder == self.books.ids.get(actor)
            )
        )
        grams = self.grams(data, stock or 1)
        line: Json = {"product": product, "price_fen": 250, **self.said(data, grams)}
        if names:
            line["draws"] = [{"lot": known} for known in names]
            if data.draw(st.booleans(), label="weighed draw"):
                line["draws"][0]["mass_g"] = self.grams(data, grams)
        return line

    def buyer(self, data: st.DataObject, actor: str, kind: str, lot: str) -> Json:
        ids = self.books.ids
        supplier = getattr(self.books.lots.get(lot), "supplier", None)
        if kind == "transfer" and not self.seldom(data):
            return {"party": ids.get(actor, ids["coop"])}
        if kind == "return" and supplier and not self.seldom(data):
            return {"party": supplier}
        choice = data.draw(st.integers(0, 19), label="buyer")
        if choice < 3:
            return {"walk_in": True}
        if choice == 3:
            number = data.draw(st.integers(1, 2), label="invited")
            phone = f"1380000000{number}"
            return {"invite": {"party": uuid_of(500 + number), "name": "李四", "phone": phone}}
        if choice == 4:
            return {"party": data.draw(st.sampled_from((uuid_of(501), uuid_of(9))))}
        usual = {"coop": "collector", "farmer": "collector", "collector": "stall"}.get(actor)
        names = (usual or "school",) * 3 + TRADERS
        return {"party": ids[data.draw(st.sampled_from(names), label="to")]}

    @rule(data=st.data())
    def sell(self, data: st.DataObject) -> None:
        self.hand_over(data, self.lot(data), "sale")

    @rule(data=st.data())
    def issue(self, data: st.DataObject) -> None:
        lot = self.lot(data)
        supplied = getattr(self.books.lots.get(lot), "supplier", None) is not None
        kinds = ("sale", "sale", "transfer", *(("return", "return") if supplied else ("return",)))
        self.hand_over(data, lot, data.draw(st.sampled_from(kinds), label="kind"))

    def hand_over(self, data: st.DataObject, lot: str, kind: str) -> None:
        holder = self.holder(lot) or "coop"
        body: Json = {"buyer": self.buyer(data, holder, kind, lot)}
        body["lines"] = [self.line(data, holder, lot)]
        for _ in range(data.draw(st.sampled_from((0, 0, 0, 1, 2)), label="more lines")):
            body["lines"].append(self.line(data, holder, None))
        if kind != "sale" or data.draw(st.booleans()):
            body["kind"] = kind
        if data.draw(st.integers(0, 2), label="hand over") == 2:
            body["hand_over"] = data.draw(st.sampled_from(("one_sided", "one_sided", "two_sided")))
        voided = [name for name, ticket in self.books.tickets.items() if ticket.status == "voided"]
        if self.books.tickets and self.seldom(data):
            known = voided or list(self.books.tickets)
            body["corrects"] = data.draw(st.sampled_from((*known, uuid_of(9))), label="corrects")
        actor = self.actor(data, holder)
        self.send("issue", actor, body | self.when(data, "sold_at"))

    @precondition(lambda self: self.books.tickets)
    @rule(data=st.data())
    def issue_as_before(self, data: st.DataObject) -> None:
        former = data.draw(st.sampled_from((*self.books.tickets, uuid_of(9))), label="former")
        known = self.books.tickets.get(former)
        actor = self.actor(data, self.trader(known.seller) if known else "coop")
        body: Json = {"repeat_of": former}
        if self.seldom(data):
            body["buyer"] = {"party": self.books.ids["school"]}
        self.send("issue", actor, body)

    def ticket(self, data: st.DataObject) -> str:
        tickets = self.books.tickets
        pending = [name for name, ticket in tickets.items() if ticket.status == "issued"]
        if pending and not self.seldom(data):
            return data.draw(st.sampled_from(pending), label="ticket")
        return data.draw(st.sampled_from((*tickets, uuid_of(9))), label="ticket")

    @precondition(lambda self: self.books.tickets)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        name = self.ticket(data)
        ticket = self.books.tickets.get(name)
        actor = self.actor(data, self.trader(ticket.buyer) if ticket else None)
        self.send("decide", actor, {"outcome": "accepted"}, name)

    @precondition(lambda self: self.books.tickets)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        name = self.ticket(data)
        ticket = self.books.tickets.get(name)
        outcomes = ("accepted", "accepted", "accepted_in_part", "accepted_in_part", "refused")
        body: Json = {"outcome": data.draw(st.sampled_from(outcomes), label="outcome")}
        if body["outcome"] != "accepted":
            body["reason"] = "不新鲜"
        if body["outcome"] == "accepted_in_part":
            lines = ticket.lines if ticket else [(GREENS, 1)]
            body["lines"] = [
                {"no": no, "mass_g": data.draw(st.integers(0, grams) | st.just(grams + 1))}
                for no, (_, grams) in enumerate(lines, start=1)
                if no == 1 or data.draw(st.booleans(), label="line named")
            ]
            if self.seldom(data):
                body["lines"].append({"no": 40, "mass_g": 0})
        self.send(
            "decide", self.actor(data, self.trader(ticket.buyer) if ticket else None), body, name
        )

    @precondition(lambda self: self.books.tickets)
    @rule(data=st.data())
    def void_ticket(self, data: st.DataObject) -> None:
        name = self.ticket(data)
        ticket = self.books.tickets.get(name)
        actor = self.actor(data, self.trader(ticket.seller) if ticket else None)
        self.send("void_ticket", actor, {"reason": "写错"}, name)

    # --- holds, repeats, time -------------------------------------------------------------------

    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        if data.draw(st.integers(0, 2), label="rarely") == 0:
            body = {"lot": self.lot(data), "reason": "抽检"}
            self.send("hold", self.actor(data, OFFICE), body)

    @precondition(lambda self: self.books.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        pending = [name for name, hold in self.books.holds.items() if not hold.released]
        known = pending * 3 + list(self.books.holds)
        name = data.draw(st.sampled_from((*known, uuid_of(9))), label="hold")
        self.send("release", self.actor(data, OFFICE), {"reason": "合格"}, name)

    @rule(data=st.data())
    def lift_what_a_test_holds(self, data: st.DataObject) -> None:
        """Let goods go that a test found something in, as a regulator may; a test may, too."""
        held = self.held_by_tests()
        if not held:
            lot, sample = self.new_id(), self.new_id()
            said = {"product": GREENS, "quantity": "0.2", "unit": "公斤"}
            self.send("open", "stall", {"origin": "declare", **said}, lot)
            body = {"lot": lot, "number": sample, "mass_g": 1, "layer": "own", "purpose": "self"}
            self.send("sample", "stall", body, sample)
            self.send("test", "stall", self.quick_test(58), f"{sample}/tests/{self.new_id()}")
            held = self.held_by_tests()
        name = data.draw(st.sampled_from(held), label="hold")
        self.send("release", OFFICE, {"reason": "合格"}, name)
        assert self.books.holds[name].released

    @precondition(lambda self: self.books.samples)
    @rule(data=st.data())
    def lift_all_that_a_finding_holds(self, data: st.DataObject) -> None:
        samples = [*sorted(self.books.samples), uuid_of(9)]
        sample = data.draw(st.sampled_from(samples), label="sample")
        body = {"sample": sample, "reason": "合格"}
        self.send("release_all", self.actor(data, OFFICE), body, self.new_id())

    def held_by_tests(self) -> list[str]:
        known = sorted(self.books.placed_by_tests)
        return [name for name in known if not self.books.holds[name].released]

    # --- recalls --------------------------------------------------------------------------------

    @rule(data=st.data())
    def recall(self, data: st.DataObject) -> None:
        if sum(case.outcome is None for case in self.books.recalls.values()) > 1:
            return
        names = list(dict.fromkeys(self.lot(data) for _ in range(2)))
        body: Json = {
            "found": names[: data.draw(st.integers(1, 2), label="lots")],
            "grade": 1,
            "trigger": "complaint",
            "reason": "投诉",
            "known_at": (self.books.now - timedelta(hours=2)).isoformat(),
            "mock": self.seldom(data),
        }
        fitting = data.draw(st.sampled_from((OFFICE, OFFICE, self.holder(names[0]) or OFFICE)))
        self.send("recall", self.actor(data, fitting), body)

    def case(self, data: st.DataObject) -> str:
        cases = self.books.recalls
        pending = [name for name, case in cases.items() if case.outcome is None]
        return data.draw(st.sampled_from(pending * 4 + [*cases, uuid_of(9)]), label="case")

    def lot_of_case(self, data: st.DataObject, name: str, wanted: str) -> tuple[str, int]:
        """Choose a lot of a case that something can still be said of, and grams about that."""
        case = self.books.recalls.get(name)
        if case is None or self.seldom(data):
            return self.lot(data), 1
        room = {
            lot: {
                "recovered": scope.located - scope.recovered,
                "disposed": scope.recovered - scope.destroyed,
            }.get(wanted, scope.room)
            for lot, scope in case.lots.items()
        }
        open_lots = [lot for lot, grams in room.items() if grams] or list(room)
        lot = data.draw(st.sampled_from(open_lots), label="lot of the case")
        return lot, self.grams(data, room[lot] or 1)

    def speaker(self, data: st.DataObject, lot: str) -> str:
        known = self.books.lots.get(lot)
        party = known.holder or known.supplier if known else None
        return self.actor(data, data.draw(st.sampled_from((OFFICE, self.trader(party) or OFFICE))))

    @precondition(lambda self: self.books.recalls)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        name = self.case(data)
        case = self.books.recalls.get(name)
        told = list(case.told) if case else []
        everybody = [*told * 4, *self.books.ids.values(), uuid_of(9)]
        party = data.draw(st.sampled_from(everybody), label="party")
        fitting = data.draw(st.sampled_from((OFFICE, self.trader(party) or OFFICE)))
        subject = f"{name}/acknowledgements/{party}"
        self.send("acknowledge", self.actor(data, fitting), {}, subject)

    @precondition(lambda self: self.books.recalls)
    @rule(
        data=st.data(),
        kind=st.sampled_from(("located", "located", "recovered", "recovered", "consumed")),
    )
    def step(self, data: st.DataObject, kind: str) -> None:
        name = self.case(data)
        lot, grams = self.lot_of_case(data, name, kind)
        body = {"lot": lot, "kind": kind, "mass_g": grams, "note": "过秤"}
        # Only an office is believed that goods are eaten; businesses try it now and then.
        eaten = kind == "consumed" and not self.seldom(data)
        actor = OFFICE if eaten else self.speaker(data, lot)
        self.send("step", actor, body, f"{name}/steps/{self.new_id()}")

    @precondition(lambda self: self.books.recalls)
    @rule(data=st.data())
    def dispose(self, data: st.DataObject) -> None:
        name = self.case(data)
        lot, grams = self.lot_of_case(data, name, "disposed")
        actor = self.speaker(data, lot)
        body = self.disposal(lot, grams, actor, data)
        self.send("dispose", actor, body, f"{name}/disposals/{self.new_id()}")

    def photo(self, actor: str, data: st.DataObject | None = None) -> str:
        """Take a photo, or show one again that proved something else."""
        keeper = OFFICE if actor == NOBODY else actor
        used = [photo for photo in self.books.shown if self.taken[photo] == keeper]
        if data is not None and used and data.draw(st.integers(0, 3), label="new photo") == 0:
            return str(data.draw(st.sampled_from(used), label="photo"))
        photo = self.new_id()
        self.taken[photo] = keeper
        self._runner.run(self.stage.take_photo(keeper, photo))
        return photo

    def disposal(self, lot: str, grams: int, actor: str, data: st.DataObject | None = None) -> Json:
        return {
            "method": "destroyed",
            "place": "处置点",
            "witness": "李四",
            "announced_at": (self.books.now - timedelta(hours=2)).isoformat(),
            "disposed_at": (self.books.now - timedelta(hours=1)).isoformat(),
            "evidence": [self.photo(actor, data)],
            "lots": [{"lot": lot, "mass_g": grams}],
        }

    @precondition(lambda self: self.books.recalls)
    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        """Bring back all that is there, so that some cases are completed."""
        name = self.case(data)
        if name in self.books.recalls and self.books.recalls[name].open:
            self.bring_back_all(name)

    def bring_back_all(self, name: str) -> None:
        for lot, scope in self.books.recalls[name].lots.items():
            for kind in ("located", "recovered"):
                grams = scope.room if kind == "located" else scope.located - scope.recovered
                if grams and scope.held:
                    body = {"lot": lot, "kind": kind, "mass_g": grams, "note": "过秤"}
                    self.send("step", OFFICE, body, f"{name}/steps/{self.new_id()}")

    @precondition(lambda self: self.books.recalls and self.books.tickets)
    @rule(data=st.data())
    def annul(self, data: st.DataObject) -> None:
        name, ticket = self.case(data), self.ticket(data)
        known = self.books.recalls.get(name)
        if known is not None and not self.seldom(data):
            ticket = data.draw(
                st.sampled_from(self.on_their_way(known) or [ticket]), label="pending"
            )
        self.send("annul", self.actor(data, OFFICE), ANNULLED, f"{name}/annulments/{ticket}")

    def on_their_way(self, case: Recall) -> list[str]:
        return [
            name
            for name, ticket in self.books.tickets.items()
            if ticket.status == "issued" and not ticket.one_sided
            if any(draw.lot in case.lots for draw in ticket.draws)
        ]

    @precondition(lambda self: self.books.recalls)
    @rule(data=st.data(), outcome=st.sampled_from(("completed", "completed", "lifted")))
    def close(self, data: st.DataObject, outcome: str) -> None:
        name = self.case(data)
        case = self.books.recalls.get(name)
        fitting = data.draw(st.sampled_from((OFFICE, case.opener if case else OFFICE)))
        body = {"outcome": outcome, "reason": "结案"}
        self.send("close", self.actor(data, fitting), body, name)

    @rule(data=st.data())
    def sample(self, data: st.DataObject) -> None:
        if data.draw(st.booleans(), label="rarely"):
            return
        lot, sample = self.lot(data), self.new_id()
        body = {
            "lot": lot,
            "number": sample,
            "mass_g": self.grams(data, self.left(lot) // 4 or 1),
            "layer": "own",
            "purpose": "self",
            **self.when(data, "taken_at"),
        }
        self.send("sample", self.actor(data, self.holder(lot)), body, sample)
        if sample not in self.books.samples:
            return
        # A case has several tests, and much happens only with the third.
        for _ in range(data.draw(st.integers(0, 3), label="tests")):
            self.read_off(data, sample)

    @precondition(lambda self: self.books.samples)
    @rule(data=st.data())
    def test(self, data: st.DataObject) -> None:
        known = self.books.samples
        open_ones = [name for name, one in known.items() if one.status != "passed"]
        name = data.draw(st.sampled_from(open_ones or list(known)), label="sample")
        self.read_off(data, uuid_of(9) if self.seldom(data) else name)

    @staticmethod
    def quick_test(value: int) -> Json:
        reading = {"value": str(value)}
        return {"kind": "quick", "method": "inhibition-gbt5009.199", "reading": reading}

    def read_off(self, data: st.DataObject, name: str) -> None:
        known = self.books.samples
        value = data.draw(st.sampled_from((58, 118, 50, 49, 40, 39, 12, -2)), label="inhibition")
        body = {**self.quick_test(value), **self.when(data, "tested_at")}
        actor = self.actor(data, self.trader(known[name].by) if name in known else None)
        self.send("test", actor, body, f"{name}/tests/{self.new_id()}")

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Send a former request again, as it was."""
        kind, actor, subject, body = data.draw(st.sampled_from(self.past), label="past")
        self.send(kind, actor, body, subject)

    @rule(data=st.data())
    def reuse(self, data: st.DataObject) -> None:
        """Send other content under an id that was used."""
        known = [past for past in self.past if past[0] in CREATING]
        kind, actor, subject, body = data.draw(st.sampled_from(known), label="past")
        if data.draw(st.booleans(), label="by another") and actor in TRADERS:
            actor = data.draw(st.sampled_from([name for name in TRADERS if name != actor]))
        else:
            other = {"issue": {"note": "又"}, "certify": {"quantity": "0.007", "unit": "公斤"}}
            other |= {"open": {"quantity": "0.007", "unit": "公斤"}, "hold": {"reason": "别的"}}
            other |= {"sample": {"purpose": "monitoring"}, "test": {"reagent": "别的"}}
            instant = (self.books.now - timedelta(minutes=3)).isoformat()
            body = body | other.get(kind, {"occurred_at": instant})
        self.send(kind, actor, body, subject)

    @rule(hours=st.sampled_from((1, 5, 24)))
    def wait(self, hours: int) -> None:
        self.books.now += timedelta(hours=hours)

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """Read as somebody: stock is one's own, a ticket its parties' and the office's."""
        actor = data.draw(st.sampled_from((*TRADERS, OFFICE)), label="actor")
        me = self.books.ids[actor]
        stock = self.get(actor, "/lots?limit=200").json()
        assert [(row["lot"], row["remaining_g"], row["on_hold"]) for row in stock] == [
            (name, lot.left, lot.holds > 0)
            for name, lot in self.books.lots.items()
            if lot.holder == me and lot.left
        ][:200]
        if self.books.tickets:
            name = data.draw(st.sampled_from(list(self.books.tickets)), label="ticket")
            ticket = self.books.tickets[name]
            answer = self.get(actor, f"/tickets/{name}")
            involved = me in {ticket.seller, ticket.buyer}
            assert answer.status_code == (200 if involved or actor == OFFICE else 403)
            if answer.status_code == 200:
                prices = {line["price_fen"] for line in answer.json()["lines"]}
                assert prices == ({250} if involved else {None})

    def get(self, actor: str, path: str) -> httpx.Response:
        return self._runner.run(self.stage.get(actor, path))

    # --- after every step -----------------------------------------------------------------------

    @invariant()
    def books_agree(self) -> None:
        held, ours = self._runner.run(self.stage.held()), expected(self.books)
        for name, part in ours.items():
            assert held[name] == part, name
        assert self.books.escaped() == {}, "goods left a lot while a recall held it"
        balance = self.books.conserved()
        assert sum(balance.values()) == 0, balance
        for stock, lots in self.books.told_by_stock().items():
            assert self.seen.setdefault(stock, lots) == lots, "goods moved, and no stock tells"
        self.answers["steps"] += 1


class RecalledMachine(Machine):
    """Plays with goods of which some are called back from the beginning.

    Commands that have little to do with it are left out, so that cases come to their end.
    """

    certify = void_certificate = transform = issue_as_before = reuse = look = None  # type: ignore[assignment]
    lift_all_that_a_finding_holds = None  # type: ignore[assignment]

    @initialize(data=st.data())
    def stock_up(self, data: st.DataObject) -> None:
        """Begin with goods at a stall, more on their way, some with a walk-in; and a recall."""
        source, lot = self.new_id(), self.new_id()
        body = {"origin": "declare", "product": GREENS, "quantity": "3", "unit": "公斤"}
        self.send("open", "stall", body, source)
        part = {"lot": lot, "quantity": "2", "unit": "公斤"}
        self.send("split", "stall", {"lot": source, "parts": [part]})
        for buyer, hand_over in (
            ({"party": self.books.ids["school"]}, "two_sided"),
            ({"party": self.books.ids["collector"]}, "one_sided"),
            ({"walk_in": True}, "one_sided"),
        ):
            line = {"product": GREENS, "quantity": "0.3", "unit": "公斤", "draws": [{"lot": lot}]}
            line["price_fen"] = 250
            self.send("issue", "stall", {"buyer": buyer, "lines": [line], "hand_over": hand_over})
        case = {
            "found": [data.draw(st.sampled_from((source, lot)), label="found")],
            "grade": 1,
            "trigger": "test",
            "reason": "克百威",
            "known_at": (self.books.now - timedelta(hours=2)).isoformat(),
            "mock": data.draw(st.integers(0, 4), label="mock") == 4,
        }
        self.send("recall", OFFICE, case)

    @precondition(lambda self: any(case.open for case in self.books.recalls.values()))
    @rule(data=st.data())
    def destroy_without_proof(self, data: st.DataObject) -> None:
        """Try to be rid of recalled goods, as their holder, outside the case."""
        scopes = [case.lots for case in self.books.recalls.values() if case.open]
        there = sorted({lot for lots in scopes for lot in lots if self.left(lot)})
        if there:
            lot = data.draw(st.sampled_from(there), label="recalled lot")
            body = {"lot": lot, "reason": "烂", "method": "buried"}
            self.send("destroy", self.holder(lot) or NOBODY, body)

    @precondition(lambda self: any(case.open for case in self.books.recalls.values()))
    @rule(data=st.data(), far=st.integers(1, 5))
    def see_it_through(self, data: st.DataObject, far: int) -> None:
        """Bring a case some of the way to its end, in the order in which offices do it."""
        known = [name for name, case in self.books.recalls.items() if case.open]
        name = data.draw(st.sampled_from(known), label="open case")
        steps = (
            self.send_back,
            self.bring_back_all,
            self.destroy_what_was_brought_back,
            self.answer_for_all,
            self.sign_off,
        )
        if far == len(steps):
            self.sign_off_too_early(name)
            self.find_too_much(name)
            self.annul_what_is_decided(name)
        for step in steps[:far]:
            step(name)

    @precondition(lambda self: any(case.open for case in self.books.recalls.values()))
    @rule(data=st.data())
    def see_it_to_its_end(self, data: st.DataObject) -> None:
        """Do all of it, so that cases are completed in every run, whatever else is played."""
        self.see_it_through(data, 5)

    def find_too_much(self, name: str) -> None:
        """Try to find a gram more of a lot than there is."""
        lot, scope = next(iter(self.books.recalls[name].lots.items()))
        body = {"lot": lot, "kind": "located", "mass_g": scope.room + 1, "note": "过秤"}
        self.send("step", OFFICE, body, f"{name}/steps/{self.new_id()}")

    def annul_what_is_decided(self, name: str) -> None:
        """Try to annul a hand-over of a case that was decided about."""
        case, pending = self.books.recalls[name], self.on_their_way(self.books.recalls[name])
        for ticket_id, ticket in self.books.tickets.items():
            if ticket_id not in pending and any(draw.lot in case.lots for draw in ticket.draws):
                self.send("annul", OFFICE, ANNULLED, f"{name}/annulments/{ticket_id}")
                return

    def send_back(self, name: str) -> None:
        """Annul what is on its way of a case."""
        for ticket in self.on_their_way(self.books.recalls[name]):
            self.send("annul", OFFICE, ANNULLED, f"{name}/annulments/{ticket}")

    def destroy_what_was_brought_back(self, name: str) -> None:
        """Destroy all that was brought back of a case, lot by lot, as far as it is there."""
        for lot, scope in self.books.recalls[name].lots.items():
            grams = scope.recovered - scope.destroyed
            grams = min(grams, self.left(lot)) if scope.held else grams
            if grams:
                body = self.disposal(lot, grams, OFFICE)
                self.send("dispose", OFFICE, body, f"{name}/disposals/{self.new_id()}")

    def answer_for_all(self, name: str) -> None:
        """Let everybody have answered."""
        for party in self.books.recalls[name].told:
            self.send("acknowledge", OFFICE, {}, f"{name}/acknowledgements/{party}")

    def sign_off_too_early(self, name: str) -> None:
        """Try to complete a case while goods of it are there."""
        case = self.books.recalls[name]
        if not case.mock and any(scope.held and self.left(lot) for lot, scope in case.lots.items()):
            self.sign_off(name)

    def sign_off(self, name: str) -> None:
        """Complete a case, if nothing is missing."""
        self.send("close", OFFICE, {"outcome": "completed", "reason": "结案"}, name)


def profile() -> settings:
    phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
    return settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        phases=phases if SHRINK else phases[:-1],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.slow
def test_every_reply_is_predicted_and_the_books_agree_after_every_step(
    world: World,
    runner: asyncio.Runner,
    record_property: Callable[[str, Any], None],
) -> None:
    answers: Counter[str] = Counter()
    run_state_machine_as_test(
        lambda: Machine(world, runner, answers),  # type: ignore[arg-type]
        settings=profile(),
    )
    record_property("model: steps", answers.pop("steps"))
    record_property("model: kinds of answers", len(answers))
    full = (EXAMPLES, STEPS) >= (40, 50)
    assert len(answers) >= KINDS_MIN or not full, answers
    if os.environ.get("MODEL_TALK"):
        for outcome, count in sorted(answers.items()):
            hypothesis.reporting.report(f"{count:>6} {outcome}")


RECALL_ANSWERS = {
    "acknowledge 200",
    "annul 201",
    "annul nothing-to-annul",
    "certify certificate-lot-on-hold",
    "close 200",
    "close recall-grams-open",
    "destroy lot-under-recall",
    "dispose 201",
    "dispose recall-grams-differ",
    "issue lot-on-hold",
    "step 201",
    "step recall-grams-differ",
}
"""Answers that a full run meets; one that does not has gone blind."""


@pytest.mark.slow
def test_nothing_is_sold_while_it_is_called_back_whatever_is_tried(
    world: World,
    runner: asyncio.Runner,
    record_property: Callable[[str, Any], None],
) -> None:
    answers: Counter[str] = Counter()
    run_state_machine_as_test(
        lambda: RecalledMachine(world, runner, answers),  # type: ignore[arg-type]
        settings=profile(),
    )
    record_property("model: steps of recalls", answers.pop("steps"))
    record_property("model: kinds of answers in recalls", len(answers))
    if os.environ.get("MODEL_TALK"):
        for outcome, count in sorted(answers.items()):
            hypothesis.reporting.report(f"{count:>6} {outcome}")
    missed = RECALL_ANSWERS - answers.keys()
    assert not missed or (EXAMPLES, STEPS) < (40, 50), missed
