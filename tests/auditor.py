"""An independent auditor: rebuilds every balance from the log's leaves alone.

It shares no code with the application, reads nothing but the bytes of entries, and knows the rules
of the books by itself: what leaves a lot must have been in it, lots come into being once, a ticket
passes through its states in order. Afterwards it compares what it predicts with the tables.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

MOVES_NOTHING = {
    "account.claim-code",
    "account.disabled",
    "account.duty",
    "account.enabled",
    "account.invited",
    "account.erased",
    "account.opened",
    "account.password-reset",
    "account.reset-code",
    "account.taken-up",
    "evidence.stored",
    "label.bound",
    "gate.agreed",
    "gate.agreement-ended",
    "gate.case-answered",
    "gate.case-closed",
    "gate.case-opened",
    "gate.draw-committed",
    "gate.draw-revealed",
    "gate.inspected",
    "gate.paper",
    "gate.ruled",
    "hold.hold",
    "hold.release",
    "recall.acknowledged",
    "recall.annulled",
    "recall.closed",
    "recall.disposal",
    "recall.forwarded",
    "recall.opened",
    "recall.sign-off-asked",
    "recall.step",
    "referral.answered",
    "referral.asked",
    "referral.withdrawn",
    "report.filed",
    "report.step",
    "sample.sent",
    "test.extended",
    "sample.taken-on-the-way",  # its grams left the lot with the ticket
    "test.finished",
    "test.objected",
    "test.published",
    "test.recorded",
    "test.started",
    "treatment.recorded",
    "warning.closed",
    "warning.grown",
    "warning.opened",
}
NEXT_STATES = {
    "issued": {"accepted", "accepted_in_part", "refused", "voided"},
    "accepted": set(),
    "accepted_in_part": set(),
    "refused": set(),
    "voided": set(),
}


@dataclass
class Book:
    """What the auditor knows of a lot."""

    produced_g: int
    remaining_g: int
    holder: str | None
    certified_g: int = 0


@dataclass
class TicketBook:
    """What the auditor knows of a ticket."""

    seller: str
    buyer: str | None
    one_sided: bool
    draws: dict[tuple[int, str], tuple[int, str | None]]
    status: str = "issued"


@dataclass
class Auditor:
    """Replays leaves, in the order in which they were written."""

    lots: dict[str, Book] = field(default_factory=dict)
    tickets: dict[str, TicketBook] = field(default_factory=dict)
    certificates: dict[str, tuple[str, int]] = field(default_factory=dict)
    in_transit_g: dict[str, int] = field(default_factory=dict)
    gone_g: dict[str, int] = field(default_factory=dict)

    def replay(self, leaves: Iterable[bytes]) -> "Auditor":
        """Read all leaves; one that cannot be true raises."""
        for raw in leaves:
            leaf = json.loads(raw)
            assert leaf.pop("v") == 1
            kind = str(leaf.pop("kind"))
            if kind not in MOVES_NOTHING:
                getattr(self, kind.replace(".", "_"))(leaf)
        return self

    # --- lots ---------------------------------------------------------------------------------

    def _new(self, lot: str, mass_g: int, holder: str | None, *, consumed: bool = False) -> None:
        assert lot not in self.lots, "a lot comes into being once"
        assert mass_g > 0
        self.lots[lot] = Book(mass_g, 0 if consumed else mass_g, holder)

    def _take(self, lot: str, mass_g: int, holder: str) -> None:
        book = self.lots[lot]
        assert book.holder == holder, "only the holder gives goods away"
        assert 0 < mass_g <= book.remaining_g, "nothing leaves that is not there"
        book.remaining_g -= mass_g

    def lot_opened(self, leaf: Json) -> None:
        self._new(leaf["subject"], int(leaf["mass_g"]), leaf["holder"])

    def _changed(self, leaf: Json) -> tuple[int, int]:
        for item in leaf["inputs"]:
            self._take(item["lot"], int(item["mass_g"]), leaf["holder"])
        for item in leaf["outputs"]:
            self._new(item["lot"], int(item["mass_g"]), leaf["holder"])
        went_in = sum(int(item["mass_g"]) for item in leaf["inputs"])
        return went_in, sum(int(item["mass_g"]) for item in leaf["outputs"])

    def lot_split(self, leaf: Json) -> None:
        went_in, came_out = self._changed(leaf)
        assert went_in == came_out

    lot_merge = lot_split

    def lot_transform(self, leaf: Json) -> None:
        self._changed(leaf)

    def lot_loss(self, leaf: Json) -> None:
        self._changed(leaf)
        for item in leaf["inputs"]:
            lot = item["lot"]
            self.gone_g[lot] = self.gone_g.get(lot, 0) + int(item["mass_g"])

    lot_destroy = lot_loss

    def sample_taken(self, leaf: Json) -> None:
        lot, mass_g = leaf["lot"], int(leaf["mass_g"])
        self._take(lot, mass_g, leaf["holder"])
        self.gone_g[lot] = self.gone_g.get(lot, 0) + mass_g

    # --- certificates -----------------------------------------------------------------------------

    def certificate_issued(self, leaf: Json) -> None:
        lot, mass_g = self.lots[leaf["lot"]], int(leaf["mass_g"])
        assert leaf["subject"] not in self.certificates
        covered_g = 0 if leaf["certificate_kind"] == "origin_proof" else mass_g
        self.certificates[leaf["subject"]] = (leaf["lot"], covered_g)
        lot.certified_g += covered_g
        assert lot.holder == leaf["issuer"]
        assert lot.certified_g <= lot.produced_g, "certificates vouch for what is there"

    def certificate_voided(self, leaf: Json) -> None:
        lot, covered_g = self.certificates[leaf["subject"]]
        self.certificates[leaf["subject"]] = (lot, 0)
        self.lots[lot].certified_g -= covered_g

    # --- tickets ----------------------------------------------------------------------------------

    def ticket_issued(self, leaf: Json) -> None:
        assert leaf["subject"] not in self.tickets
        assert (leaf["prev_state"], leaf["next_state"]) == (None, "issued")
        ticket = TicketBook(leaf["seller"], leaf["buyer"], leaf["hand_over"] == "one_sided", {})
        self.tickets[leaf["subject"]] = ticket
        for line in leaf["lines"]:
            assert int(line["mass_g"]) == sum(int(draw["mass_g"]) for draw in line["draws"])
            for draw in line["draws"]:
                mass_g = int(draw["mass_g"])
                self._take(draw["lot"], mass_g, ticket.seller)
                ticket.draws[line["no"], draw["lot"]] = (mass_g, draw["received"])
                assert (draw["received"] is not None) == ticket.one_sided
                if ticket.one_sided:
                    consumed = ticket.buyer is None
                    self._new(draw["received"], mass_g, ticket.buyer, consumed=consumed)
                else:
                    lot = draw["lot"]
                    self.in_transit_g[lot] = self.in_transit_g.get(lot, 0) + mass_g

    def _step(self, leaf: Json) -> TicketBook:
        ticket = self.tickets[leaf["subject"]]
        assert leaf["prev_state"] == ticket.status
        assert leaf["next_state"] in NEXT_STATES[ticket.status]
        ticket.status = leaf["next_state"]
        return ticket

    def ticket_accepted(self, leaf: Json) -> None:
        ticket = self._step(leaf)
        draws = {(draw["line"], draw["lot"]): draw for draw in leaf["draws"]}
        assert draws.keys() == ticket.draws.keys()
        for key, (mass_g, received) in ticket.draws.items():
            draw, accepted_g = draws[key], int(draws[key]["accepted_g"])
            assert 0 <= accepted_g <= mass_g
            assert (draw["returned"] is not None) == (accepted_g < mass_g)
            if ticket.one_sided:
                assert draw["received"] == received
                self._send_back(ticket, received, draw["returned"], mass_g - accepted_g)
                continue
            self.in_transit_g[key[1]] -= mass_g
            assert (draw["received"] is not None) == (accepted_g > 0)
            if accepted_g:
                self._new(draw["received"], accepted_g, ticket.buyer)
            if mass_g > accepted_g:
                self._new(draw["returned"], mass_g - accepted_g, ticket.seller)

    ticket_accepted_in_part = ticket_accepted
    ticket_refused = ticket_accepted

    def ticket_voided(self, leaf: Json) -> None:
        ticket = self._step(leaf)
        returned = {(draw["line"], draw["lot"]): draw["returned"] for draw in leaf["draws"]}
        for key, (mass_g, received) in ticket.draws.items():
            if ticket.one_sided:
                self._send_back(ticket, received, returned[key], mass_g)
            else:
                self.in_transit_g[key[1]] -= mass_g
                self.lots[key[1]].remaining_g += mass_g

    def _send_back(
        self, ticket: TicketBook, received: str | None, returned: str | None, mass_g: int
    ) -> None:
        assert received is not None
        if mass_g == 0:
            return
        assert returned is not None
        if ticket.buyer is not None:
            self._take(received, mass_g, ticket.buyer)
        self._new(returned, mass_g, ticket.seller)


LOTS = """
    SELECT CAST(l.public_id AS text) AS lot, CAST(p.public_id AS text) AS holder, b.produced_g,
        b.remaining_g, b.certified_g, l.mass_g,
        (SELECT coalesce(sum(e.mass_g), 0) FROM lot_edge e WHERE e.src = l.id) AS out_g,
        (SELECT coalesce(sum(e.mass_g), 0) FROM lot_edge e WHERE e.dst = l.id) AS in_g,
        (SELECT coalesce(sum(d.mass_g), 0) FROM ticket_draw d
         JOIN ticket t ON t.id = d.ticket_id JOIN ticket_state s ON s.ticket_id = t.id
         WHERE d.lot_id = l.id AND t.hand_over = 'two_sided' AND s.status = 'issued') AS transit_g,
        l.origin
    FROM lot l JOIN lot_balance b ON b.lot_id = l.id LEFT JOIN party p ON p.id = l.holder_id
"""
TICKETS = """
    SELECT CAST(t.public_id AS text) AS ticket, s.status
    FROM ticket t JOIN ticket_state s ON s.ticket_id = t.id
"""


def compare(auditor: Auditor, lots: Iterable[Any], tickets: Iterable[Any]) -> None:
    """Compare the rows of `LOTS` and `TICKETS` with what the leaves say, and with one another."""
    rows = {row.lot: row for row in lots}
    assert rows.keys() == auditor.lots.keys()
    for lot, book in auditor.lots.items():
        row = rows[lot]
        told = Book(row.produced_g, row.remaining_g, row.holder, row.certified_g)
        opened_with_cover = told.certified_g - book.certified_g
        assert opened_with_cover >= 0, f"{lot}: cover that no certificate gave"
        book.certified_g = told.certified_g
        assert told == book, lot
        assert row.mass_g == row.produced_g
        assert row.transit_g == auditor.in_transit_g.get(lot, 0)
        gone_g = auditor.gone_g.get(lot, 0)
        if row.holder is None:  # A walk-in's lot is consumed; what came back left it again.
            assert row.remaining_g == 0
            assert row.out_g <= row.produced_g
        else:
            assert row.produced_g == row.remaining_g + row.out_g + gone_g + row.transit_g, lot
        if row.in_g and row.origin != "transform":
            assert row.in_g == row.produced_g, f"{lot}: parents do not add up"
    states = {row.ticket: row.status for row in tickets}
    assert states == {ticket: book.status for ticket, book in auditor.tickets.items()}
