"""The main job: three farmers' chives become a lot, tickets, a school's delivery, a scan, a trace.

Everything goes through HTTP, signed in as whoever would do it. Every write is a `PUT` under an id
that never changes: played again, it finds what it did the first time.
"""

import contextlib
import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import httpx
import zxingcpp
from PIL import Image

from app.core.errors import Text
from app.demo import scenario
from app.demo.scenario import (
    COLLECTOR,
    FARMS,
    GATE,
    MARKET,
    MARKET_SITE,
    OPERATOR,
    REGULATOR,
    SCHOOL,
    SECOND_STALL,
    STALL,
    Actor,
    Farm,
    Helper,
    id_of,
)

Body = dict[str, Any]
Say = Callable[[Text], None]

_TIMEOUT_S: Final = 30.0


class MainJobError(Exception):
    """The server answered something that the main job cannot go on with.

    Attributes:
        request: Method and path.
        problem: The server's problem document, or what there is of one.
    """

    def __init__(self, problem: Body, *, request: str) -> None:
        """Build the error."""
        super().__init__(f"{request}: {problem.get('code', '?')}")
        self.request = request
        self.problem = problem


@dataclass(slots=True)
class Outcome:
    """What the main job did and found, as it is told.

    Attributes:
        product: Its id in the catalogue.
        created: How many requests brought something into being; a repeat counts none.
        certificates: Certificates as the API answered them.
        tickets: Tickets as the API answered them, in the order of the journey.
        decoded: What zxing-cpp read from each ticket's picture, by ticket.
        pictures: The files of the pictures, by ticket.
        refusal: What was answered to a merge without a certificate; None when it was done before.
        claim_code: What the invited caterer needs to take over its account.
        seconds: How long each step took.
    """

    product: int = 0
    created: int = 0
    certificates: list[Body] = field(default_factory=list)
    tickets: list[Body] = field(default_factory=list)
    decoded: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    refusal: Body | None = None
    claim_code: str | None = None
    verdict: Body = field(default_factory=dict)
    trace_back: Body = field(default_factory=dict)
    trace_forward: Body = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def ticket(self, key: str) -> Body:
        """Answer a ticket by its name in the scenario."""
        wanted = str(id_of(f"ticket/{key}"))
        return next(ticket for ticket in self.tickets if ticket["ticket"] == wanted)


class Guest:
    """An actor who has signed in, with a cookie of its own."""

    def __init__(self, base_url: str, actor: Actor, outcome: Outcome) -> None:
        """Sign in.

        Raises:
            MainJobError: the server does not let the actor in.
        """
        self.actor = actor
        self._outcome = outcome
        # The machine's proxy settings are for the world outside; this server is here.
        self._client = httpx.Client(base_url=base_url, timeout=_TIMEOUT_S, trust_env=False)
        credentials = {"login": actor.login, "password": scenario.PASSWORD}
        _checked(self._client.post("/sessions", json=credentials))

    def put(self, path: str, body: Body) -> Body:
        """Write."""
        return self._written(self._client.put(path, json=body))

    def post(self, path: str, body: Body) -> Body:
        """Write something whose id is in the body."""
        return self._written(self._client.post(path, json=body))

    def _written(self, answer: httpx.Response) -> Body:
        self._outcome.created += _checked(answer).status_code == HTTPStatus.CREATED
        return _body(answer)

    def refused(self, path: str, body: Body) -> Body:
        """Try what must not work, and answer the problem document."""
        answer = self._client.put(path, json=body)
        if answer.is_success:
            raise MainJobError({"code": "should-have-been-refused"}, request=f"PUT {path}")
        return _body(answer)

    def get(self, path: str, **query: str) -> Body:
        """Read."""
        return _body(_checked(self._client.get(path, params=query)))

    def list(self, path: str, **query: str) -> list[Body]:
        """Read a list."""
        found: list[Body] = _checked(self._client.get(path, params=query)).json()
        return found

    def knows(self, path: str) -> bool:
        """Tell whether something is there."""
        return self._client.get(path).is_success

    def picture(self, path: str) -> bytes:
        """Read a picture."""
        return _checked(self._client.get(path)).content

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    request = f"{answer.request.method} {answer.request.url.path}"
    raise MainJobError(_body(answer), request=request)


def _body(answer: httpx.Response) -> Body:
    try:
        content = answer.json()
    except ValueError:
        content = {"code": f"http-{answer.status_code}"}
    return content if isinstance(content, dict) else {"answer": content}


# Of all kinds, a bar code is now and then found among the modules of a QR code.
QR_ONLY = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])


def read_picture(picture: bytes) -> str:
    """Read a QR code with a reader that shares no code with the writer.

    Raises:
        MainJobError: there is not exactly one code in it.
    """
    with Image.open(io.BytesIO(picture)) as image:
        found = zxingcpp.read_barcodes(image.convert("L"), formats=QR_ONLY)
    if len(found) != 1:
        unreadable = {"code": "code-unreadable", "facts": {"codes": len(found)}}
        raise MainJobError(unreadable, request="zxing-cpp")
    return str(found[0].text)


class MainJob:
    """The journey, step by step."""

    def __init__(self, base_url: str, codes: Path, say: Say) -> None:
        """Prepare it.

        Args:
            base_url: The server.
            codes: Where pictures are written.
            say: What is told the title of each step as it begins.
        """
        self.outcome = Outcome()
        self._base_url = base_url
        self._codes = codes
        self._say = say
        self._guests: dict[str, Guest] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Let all connections go."""
        for guest in self._guests.values():
            guest.close()

    def play(self) -> Outcome:
        """Play all of it.

        Raises:
            MainJobError: a step was refused that should not have been.
        """
        steps: tuple[tuple[str, Text, Callable[[], None]], ...] = (
            ("parties", Text("登记主体、场所", "Register parties and places"), self._register),
            ("sign_in", Text("各方登录", "Everybody signs in"), self._sign_in),
            ("harvest", Text("三户采收韭菜", "Three farmers cut chives"), self._harvest),
            (
                "certificates",
                Text("开具承诺达标合格证（式样一）", "They issue certificates (form 1)"),
                self._certify,
            ),
            ("purchase", Text("收购：开票、验收", "The collector buys from them"), self._collect),
            ("merge", Text("混装须换证（式样二）", "Mixing needs a new certificate"), self._merge),
            ("wholesale", Text("发往批发市场两个摊位", "Off to two stalls"), self._send_to_market),
            ("gate", Text("市场门岗扫码", "The gate scans the ticket"), self._scan),
            ("acceptance", Text("摊位验收，部分退回", "A stall accepts a part"), self._accept),
            ("retail", Text("售予学校、餐饮、散客", "School, caterer, walk-in"), self._retail),
            ("trace_back", Text("学校追溯来源", "The school looks back"), self._trace_back),
            (
                "trace_forward",
                Text("监管追踪去向", "The regulator looks ahead"),
                self._trace_forward,
            ),
        )
        for name, title, step in steps:
            self._say(title)
            with timed(self.outcome.seconds, name):
                step()
        return self.outcome

    def _as(self, actor: Actor) -> Guest:
        if actor.login not in self._guests:
            self._guests[actor.login] = Guest(self._base_url, actor, self.outcome)
        return self._guests[actor.login]

    # --- who and where ----------------------------------------------------------------------------

    def _register(self) -> None:
        operator = self._as(OPERATOR)
        for actor in scenario.ACTORS:
            if actor is not OPERATOR:
                registrar = self._as(MARKET) if actor in scenario.OF_THE_MARKET else operator
                registrar.put(f"/parties/{actor.party}", _party(actor))
                account = {
                    "party": str(actor.party),
                    "login": actor.login,
                    "password": scenario.PASSWORD,
                    "name": actor.person,
                }
                operator.put(f"/accounts/{actor.account}", account)
        for site in scenario.SITES:
            body = {
                "kind": site.kind,
                "name": site.name,
                "division_code": site.keeper.division_code,
                "party": str(site.keeper.party),
                "parent": None if site.inside is None else str(site.inside),
                "valid_from": scenario.SINCE,
            }
            operator.put(f"/places/{site.id}", body)
        for helper in scenario.HELPERS:
            self._hire(helper)

    def _hire(self, helper: Helper) -> None:
        body = {"name": helper.name, "phone": helper.phone, "duty": helper.duty}
        head = self._as(helper.employer)
        member = head.put(f"/parties/{helper.employer.party}/staff/{helper.account}", body)
        if helper.has_come and member["claim"] is not None:
            claim = {
                "phone": helper.phone,
                "code": member["claim"]["code"],
                "account": str(helper.account),
                "password": scenario.PASSWORD,
            }
            head.post("/claims", claim)

    def _sign_in(self) -> None:
        for actor in scenario.ACTORS:
            self._as(actor)
        found = self._as(COLLECTOR).list("/products", q=scenario.PRODUCT)
        self.outcome.product = next(
            product["id"] for product in found if product["name"] == scenario.PRODUCT
        )

    # --- the farms --------------------------------------------------------------------------------

    def _harvest(self) -> None:
        for farm in FARMS:
            farmer = self._as(farm.farmer)
            plot = {
                "kind": "plot",
                "name": farm.plot_name,
                "division_code": farm.village,
                "area_m2": farm.area_m2,
                "geometry": farm.geometry,
                "valid_from": scenario.SINCE,
            }
            farmer.put(f"/places/{farm.plot}", plot)
            lot = {
                "origin": "harvest",
                "product": self.outcome.product,
                **_jin(farm.jin),
                "plot": str(farm.plot),
            }
            farmer.put(f"/lots/{farm.lot}", lot)

    def _certify(self) -> None:
        for farm in FARMS:
            body = {
                "kind": "conformity_producer",
                "lot": str(farm.lot),
                **_jin(farm.jin),
                "bases": ["quality_control", "self_tested"],
            }
            path = f"/certificates/{id_of(f'certificate/{farm.farmer.login}')}"
            self.outcome.certificates.append(self._as(farm.farmer).put(path, body))

    # --- the collector ----------------------------------------------------------------------------

    def _collect(self) -> None:
        for farm in FARMS:
            line = {**_jin(farm.jin), "draws": [{"lot": str(farm.lot)}], "price_fen": 260}
            self._issue(farm.farmer.login, farm.farmer, _to(COLLECTOR), line)
            self._decide(farm.farmer.login, COLLECTOR, {"outcome": "accepted"})

    def _merge(self) -> None:
        collector = self._as(COLLECTOR)
        body: Body = {
            "inputs": [
                {"lot": _received(self.outcome.ticket(farm.farmer.login)), "mass_g": _grams(farm)}
                for farm in FARMS
            ],
            "lot": str(scenario.MERGED_LOT),
        }
        if not collector.knows(f"/lots/{scenario.MERGED_LOT}"):
            path = f"/merges/{scenario.MERGE_WITHOUT_CERTIFICATE}"
            self.outcome.refusal = collector.refused(path, body)
        certificate = {
            "certificate": str(scenario.MERGE_CERTIFICATE),
            "bases": ["quality_control"],
        }
        merged = collector.put(f"/merges/{scenario.MERGE}", {**body, "certificate": certificate})
        self.outcome.certificates.append(merged["certificate"])

    def _send_to_market(self) -> None:
        around = {"market": str(MARKET_SITE.id), "plate": scenario.PLATE}
        for buyer, kilograms, further in (
            (STALL, scenario.TO_STALL_KG, {}),
            # Nobody is at the second stall: the seller hands over alone, and claims it.
            (SECOND_STALL, scenario.TO_SECOND_STALL_KG, {"hand_over": "one_sided"}),
        ):
            line = {
                **_kilograms(kilograms),
                "draws": [{"lot": str(scenario.MERGED_LOT)}],
                "price_fen": 680,
            }
            self._issue(buyer.login, COLLECTOR, _to(buyer), line, **around, **further)

    # --- the market -------------------------------------------------------------------------------

    def _scan(self) -> None:
        ticket = self.outcome.ticket(STALL.login)
        text = self.outcome.decoded[ticket["ticket"]]
        body = {
            # Another port makes another address, and reading that is another scan.
            "id": str(id_of(f"scan/{text}")),
            "text": text,
            "place": str(GATE.id),
            "plate": scenario.PLATE,
        }
        self.outcome.verdict = self._as(MARKET).post("/scans", body)

    def _accept(self) -> None:
        part = {"no": 1, "mass_g": scenario.ACCEPTED_KG * 1000}
        # To the letter as ever: demonstrations that were played before are played on.
        decision = {"outcome": "accepted_in_part", "lines": [part], "reason": "部分叶片发黄, 退回"}
        self._decide(STALL.login, STALL, decision)

    def _retail(self) -> None:
        around = {"market": str(MARKET_SITE.id), "stall": str(scenario.STALL_SITE.id)}
        school = {**_kilograms(scenario.TO_SCHOOL_KG), "price_fen": 760}
        self._issue(SCHOOL.login, STALL, _to(SCHOOL), school, **around)
        self._decide(SCHOOL.login, SCHOOL, {"outcome": "accepted"})
        caterer = self._as(STALL).put(
            f"/invitations/{id_of('party/caterer')}",
            {"name": scenario.CATERER_NAME, "phone": scenario.CATERER_PHONE, "role": "CATERER"},
        )
        self.outcome.claim_code = caterer["claim_code"]
        buyer = {"party": caterer["party"]}
        self._issue("caterer", STALL, buyer, _kilograms(scenario.TO_CATERER_KG), **around)
        self._issue("walk-in", STALL, {"walk_in": True}, _jin(scenario.TO_WALK_IN_JIN), **around)

    # --- where from, where to ---------------------------------------------------------------------

    def _trace_back(self) -> None:
        lot = _received(self.outcome.ticket(SCHOOL.login))
        self.outcome.trace_back = self._as(SCHOOL).get(f"/lots/{lot}/trace", direction="back")

    def _trace_forward(self) -> None:
        path = f"/lots/{FARMS[0].lot}/trace"
        self.outcome.trace_forward = self._as(REGULATOR).get(path, direction="forward")

    # --- tickets ----------------------------------------------------------------------------------

    def _issue(self, key: str, seller: Actor, buyer: Body, line: Body, **further: str) -> None:
        ticket_id = id_of(f"ticket/{key}")
        body = {"buyer": buyer, "lines": [{"product": self.outcome.product, **line}], **further}
        guest = self._as(seller)
        self.outcome.tickets.append(guest.put(f"/tickets/{ticket_id}", body))
        self._draw(key, guest, ticket_id)

    def _draw(self, key: str, guest: Guest, ticket_id: UUID) -> None:
        picture = guest.picture(f"/tickets/{ticket_id}/code.png")
        file = self._codes / f"{key}.png"
        file.write_bytes(picture)
        self.outcome.pictures[str(ticket_id)] = file
        # From the file, so that what is on the disk is what was read.
        self.outcome.decoded[str(ticket_id)] = read_picture(file.read_bytes())

    def _decide(self, key: str, buyer: Actor, decision: Body) -> None:
        decided = self._as(buyer).put(f"/tickets/{id_of(f'ticket/{key}')}/decision", decision)
        index = self.outcome.tickets.index(self.outcome.ticket(key))
        self.outcome.tickets[index] = decided


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note how long a step takes."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = round(time.perf_counter() - began, 3)


def _party(actor: Actor) -> Body:
    role = {"kind": actor.role, "valid_from": scenario.SINCE, "division_code": actor.jurisdiction}
    return {
        "form": actor.form,
        "name": actor.name,
        "uscc": actor.uscc,
        "phone": actor.phone,
        "division_code": actor.division_code,
        "roles": [role],
    }


def _to(buyer: Actor) -> Body:
    return {"party": str(buyer.party)}


def _jin(quantity: int) -> Body:
    return {"quantity": str(quantity), "unit": "斤"}


def _kilograms(quantity: int) -> Body:
    return {"quantity": str(quantity), "unit": "公斤"}


def _grams(farm: Farm) -> int:
    return farm.jin * 500


def _received(ticket: Mapping[str, Any]) -> str:
    """Answer the lot that a ticket's only draw became."""
    ((draw,),) = [line["draws"] for line in ticket["lines"]]
    lot: str = draw["received_lot"]
    return lot
