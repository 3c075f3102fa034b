"""Reports of a problem: anybody files one, one office reads it, and the reporter is never shown."""

import asyncio
import base64
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
from PIL import Image

from app.core import calendar, logging
from app.core.clock import local_date
from app.ledger.queries import asked_since
from app.party.access import RoleKind
from app.report.jobs import CHORES
from app.report.rules import BODY_BYTES_MAX
from tests.factories import Actor, Json, Trade, code_of, new_id
from tests.gate import photo
from tests.market import MARKET_DIVISION, Market

CONTACT = "13800138000"
TEXT = "韭菜有农药味"
COUNTY = MARKET_DIVISION[:6]
JSON_ONLY = {"accept": "application/json"}


@pytest.fixture
async def market(own_trade: Trade) -> Market:
    """A market of the test's own, with two offices of its county and one of the farms'."""
    market = Market(own_trade)
    await market.begin()
    for called, division, department in (
        ("market_office", COUNTY, "market_regulation"),
        ("farm_office", COUNTY, "agriculture"),
        ("far_office", "320682", "agriculture"),
    ):
        await market.add(called, called, RoleKind.REGULATOR, division=division)
        await own_trade.execute(
            "UPDATE party_role SET department = :department WHERE party_id = :party",
            department=department,
            party=market.people[called].id,
        )
    return market


def body(ticket: Json, **more: str) -> Json:
    """Write a report."""
    return {
        "document": ticket["code"],
        "problem": "unsafe",
        "text": TEXT,
        "contact": CONTACT,
        **more,
    }


def digits_of(ticket: Json) -> str:
    """Answer the digits of a ticket's QR code."""
    return str(ticket["url"].rpartition("/")[2])


async def send(market: Market, said: Json, report: str | None = None) -> httpx.Response:
    """Report something as nobody in particular."""
    return await market.trade.client.put(f"/reports/{report or new_id()}", json=said)


async def filed(market: Market, said: Json) -> Json:
    """Report something that must be taken."""
    answer = await send(market, said)
    assert answer.status_code == 201, answer.text
    taken: Json = answer.json()
    return taken


async def in_market(market: Market) -> Json:
    """Sell goods in the market, to whoever walks in."""
    ticket = await market.sound_ticket()
    bought = (await market.stall.decides(ticket["ticket"]))["lines"][0]["draws"][0]["received_lot"]
    return await market.sell(
        market.stall, None, bought, 2, market=str(market.site), stall=str(market.booth)
    )


async def listed(actor: Actor) -> list[str]:
    """List what lies with an office."""
    return [row["report"] for row in await actor.read("/reports")]


async def stepped(actor: Actor, report: str, **said: str) -> httpx.Response:
    """Take a step with an id of its own."""
    return await actor.put(f"/reports/{report}/steps/{new_id()}", said)


async def test_a_report_goes_to_the_market_offices_county_and_to_nobody_else(
    market: Market,
) -> None:
    report = (await filed(market, body(await in_market(market))))["report"]
    assert await listed(market.market_office) == [report]
    assert await listed(market.regulator) == [report]  # the city, both departments
    for other in (market.farm_office, market.far_office):
        assert await listed(other) == []
        answer = await other.get(f"/reports/{report}")
        assert (answer.status_code, code_of(answer)) == (404, "unknown-report")
    found = await market.market_office.read(f"/reports/{report}")
    assert (found["text"], found["contact"], found["state"]) == (TEXT, CONTACT, "received")
    told = [row["kind"] for row in await market.market_office.read("/notices")]
    assert told == ["reported"]
    assert await market.far_office.read("/notices") == []


async def test_before_the_market_agriculture_of_the_sellers_county_answers(market: Market) -> None:
    ticket = await market.sell(market.coop, None, await market.certified(), 1)
    report = (await filed(market, body(ticket)))["report"]
    assert await listed(market.far_office) == [report]
    assert await listed(market.market_office) == []


async def test_a_certificate_and_all_ways_to_write_a_code_are_understood(market: Market) -> None:
    lot = await market.lot(market.coop, 10)
    certificate = await market.certify(market.coop, lot, 5)
    ticket = await in_market(market)
    written = [certificate["code"], digits_of(ticket), ticket["url"]]
    for document in written:
        await filed(market, body(ticket, document=document))


async def test_refusals_in_order(market: Market) -> None:
    ticket, known = await in_market(market), new_id()
    assert (await send(market, body(ticket), known)).status_code == 201
    cases = [
        (known, body(ticket, problem="boring"), 422, "malformed-request"),
        (known, body(ticket, text="a\u202eb"), 422, "malformed-request"),
        (known, body(ticket, text="other", document="none"), 409, "id-reused"),
        (None, body(ticket, document="none"), 404, "report-needs-document"),
        (None, body(ticket, document="9" * 300), 404, "report-needs-document"),
    ]
    for report, said, status, code in cases:
        answer = await send(market, said, report)
        assert (answer.status_code, code_of(answer)) == (status, code), said
        assert CONTACT not in answer.text


async def test_sent_again_or_at_once_a_report_is_taken_once(market: Market) -> None:
    said, report = body(await in_market(market)), new_id()
    answers = await asyncio.gather(*(send(market, said, report) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
    assert len({answer.json()["code"] for answer in answers}) == 1
    assert await market.trade.value("SELECT count(*) FROM report") == 1
    assert await market.trade.value("SELECT count(*) FROM entry WHERE kind = 'report.filed'") == 1


async def test_a_flood_is_refused_even_if_it_comes_at_once(market: Market) -> None:
    ticket = await in_market(market)
    answers = await asyncio.gather(*(send(market, body(ticket)) for _ in range(14)))
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) == 4
    assert {(answer.status_code, code_of(answer)) for answer in refused} == {
        (429, "too-many-reports")
    }
    assert {answer.json()["facts"]["limit"] for answer in refused} == {"per_address"}
    market.clock.set(market.clock() + timedelta(days=1))
    assert (await send(market, body(ticket))).status_code == 201


async def test_one_document_has_a_limit_of_its_own(market: Market) -> None:
    ticket = await in_market(market)
    for _ in range(10):
        await filed(market, body(ticket))
    # Another address: what came so far is somebody else's.
    await market.trade.execute("UPDATE report SET sender = '\\x00'")
    for _ in range(10):
        await filed(market, body(ticket))
    await market.trade.execute("UPDATE report SET sender = '\\x00'")
    answer = await send(market, body(ticket))
    assert (answer.status_code, code_of(answer)) == (429, "too-many-reports")
    assert answer.json()["facts"]["limit"] == "per_document"
    await filed(market, body(await in_market(market)))


async def test_the_code_tells_the_state_and_the_answer_and_never_who_reported(
    market: Market,
) -> None:
    taken = await filed(market, body(await in_market(market)))
    assert re.fullmatch(r"([A-Z2-7]{4}-){3}[A-Z2-7]{4}", taken["code"])
    office, client = market.market_office, market.trade.client
    shown = (await client.get(taken["track"], headers=JSON_ONLY)).json()
    assert (shown["state"], shown["department"]) == ("received", "market_regulation")
    assert (shown["division_code"], shown["division_name"]) == (COUNTY, "崇川区")
    assert (await stepped(office, taken["report"], kind="take_up")).status_code == 201
    said = "已抽样检验<b>"
    answer = await stepped(office, taken["report"], kind="answer", words=said)
    assert answer.json()["steps"][1]["words"] == said
    typed = "/report/" + taken["code"].lower().replace("-", "")
    told = await client.get(typed, headers=JSON_ONLY)
    assert (told.json()["state"], told.json()["answer"]) == ("answered", said)
    page = await client.get(typed, headers={"accept": "text/html"})
    assert "已抽样检验&lt;b&gt;" in page.text
    assert page.headers["cache-control"] == "no-store"
    for public in (told.text, page.text):
        assert CONTACT not in public
        assert TEXT not in public
    field = await client.get("/report", params={"code": taken["code"].lower()})
    assert field.headers["location"] == taken["track"]
    odd = await client.get("/report", params={"code": "../a?\r\nb"})
    assert odd.headers["location"].startswith("/report/..%2F")
    unknown = await client.get("/report/AAAA-AAAA-AAAA-AAAA", headers=JSON_ONLY)
    assert (unknown.status_code, code_of(unknown)) == (404, "unknown-report")
    assert (await client.get("/report/AAAA", headers={"accept": "text/html"})).status_code == 404


async def test_what_was_typed_lies_sealed_and_is_in_no_entry_notice_or_log(
    market: Market, capfd: pytest.CaptureFixture[str]
) -> None:
    ticket = await in_market(market)
    logging.configure("INFO")
    taken = await filed(market, body(ticket))
    await market.trade.client.get(taken["track"])
    answer = await stepped(market.market_office, taken["report"], kind="answer", words="查无此人")
    assert answer.status_code == 201
    rows = await market.trade.rows("SELECT * FROM report")
    leaves = await market.trade.rows("SELECT convert_from(leaf, 'UTF8') AS leaf FROM entry")
    notices = await market.market_office.read("/notices")
    logged = "".join(capfd.readouterr())
    kept = [repr(rows), "".join(row.leaf for row in leaves), json.dumps(notices), logged]
    logging.configure("ERROR")
    assert "/report/{code}" in logged
    assert taken["code"] not in logged
    for text in kept:
        assert CONTACT not in text
        assert TEXT not in text
    for row in leaves:
        assert taken["code"] not in row.leaf
        assert "查无此人" not in row.leaf
    assert CONTACT.encode() not in bytes(rows[0].contact_sealed)
    assert TEXT.encode() not in bytes(rows[0].text_sealed)


async def test_an_office_has_seven_working_days(market: Market) -> None:
    taken = await filed(market, body(await in_market(market)))
    received = market.clock().date()
    due = await market.trade.value("SELECT due_on FROM report")
    assert timedelta(days=7) < due - received < timedelta(days=20)
    report = f"/reports/{taken['report']}"
    assert not (await market.market_office.read(report))["overdue"]
    market.clock.set(market.clock() + (due - received) + timedelta(days=1))
    assert (await market.market_office.read(report))["overdue"]
    await stepped(market.market_office, taken["report"], kind="take_up")
    assert not (await market.market_office.read(report))["overdue"]


def working_days(start: date, end: date) -> int:
    """Count the days after one that are worked, up to another."""
    days = (start + timedelta(days=n) for n in range(1, (end - start).days + 1))
    return sum(calendar.is_working_day(day) for day in days)


async def test_an_office_answers_within_fifteen_working_days(market: Market) -> None:
    taken = await filed(market, body(await in_market(market)))
    office, path = market.market_office, f"/reports/{taken['report']}"
    due = date.fromisoformat(taken["answer_due_on"])
    assert working_days(local_date(market.clock()), due) == 15
    told = await office.read(path)
    assert (told["clock"], told["answer_due_on"]) == ("decide", taken["answer_due_on"])
    await stepped(office, taken["report"], kind="take_up")
    for days, state in ((-1, (False, False)), (0, (True, False)), (1, (False, True))):
        await at_noon(market, due + timedelta(days=days))
        told = await office.read(path)
        assert (told["clock"], told["due_today"], told["overdue"]) == ("answer", *state)
        shown = (await market.trade.client.get(taken["track"], headers=JSON_ONLY)).json()
        assert shown["overdue"] == state[1]
        assert (shown["answer_due_on"], shown["extended"]) == (taken["answer_due_on"], False)
        page = await market.trade.client.get(taken["track"], headers={"accept": "text/html"})
        assert taken["answer_due_on"] in page.text
        assert ("承办部门已超过期限" in page.text) == state[1]
    await stepped(office, taken["report"], kind="answer", words="迟复")
    told = await office.read(path)
    assert (told["clock"], told["due_today"], told["overdue"]) == (None, False, False)


async def test_an_office_sees_the_most_urgent_report_first(market: Market) -> None:
    ticket = await in_market(market)
    early = (await filed(market, body(ticket, text="早")))["report"]
    await at_noon(market, local_date(market.clock()) + timedelta(days=12))
    late = (await filed(market, body(ticket, text="晚")))["report"]
    assert await listed(market.market_office) == [early, late]
    # What was taken up has the longer clock; what nobody took up runs out before it.
    await stepped(market.market_office, early, kind="take_up")
    runs_out = {one["report"]: one for one in await market.market_office.read("/reports")}
    assert runs_out[early]["answer_due_on"] != runs_out[late]["due_on"]
    dates = {early: runs_out[early]["answer_due_on"], late: runs_out[late]["due_on"]}
    assert await listed(market.market_office) == sorted(dates, key=lambda one: dates[one])
    await stepped(market.market_office, early, kind="answer", words="好")
    assert await listed(market.market_office) == [late, early]


EXTEND = {"kind": "extend", "words": "等待检验结果", "approved_by": "王处长"}


async def test_an_answer_is_put_off_once_by_fifteen_working_days(market: Market) -> None:
    taken = await filed(market, body(await in_market(market)))
    office, report = market.market_office, taken["report"]
    due = date.fromisoformat(taken["answer_due_on"])
    await stepped(office, report, kind="take_up")
    await at_noon(market, due)
    path = f"/reports/{report}/steps/{new_id()}"
    told = await office.make(path, EXTEND)
    assert working_days(due, date.fromisoformat(told["answer_due_on"])) == 15
    assert (told["extended"], told["due_today"], told["state"]) == (True, False, "taken_up")
    assert told["steps"][-1]["approved_by"] == "王处长"
    again = await office.make(path, EXTEND, status=200)
    assert again["answer_due_on"] == told["answer_due_on"]
    shown = await market.trade.client.get(taken["track"], headers={"accept": "text/html"})
    assert told["answer_due_on"] in shown.text
    assert "负责人批准延长" in shown.text
    assert "王处长" not in shown.text
    assert "等待检验" not in shown.text


async def test_extensions_are_refused_in_order(market: Market) -> None:
    taken = await filed(market, body(await in_market(market)))
    office, report = market.market_office, taken["report"]
    for said in ({**EXTEND, "approved_by": ""}, {"kind": "extend", "words": "因故"}):
        answer = await stepped(office, report, **said)
        assert (answer.status_code, code_of(answer)) == (422, "malformed-request")
    answer = await stepped(office, report, kind="answer", words="好", approved_by="王处长")
    assert (answer.status_code, code_of(answer)) == (422, "malformed-request")
    answer = await stepped(market.far_office, report, **EXTEND)
    assert (answer.status_code, code_of(answer)) == (404, "unknown-report")
    at_once = await asyncio.gather(*(stepped(office, report, **EXTEND) for _ in range(3)))
    assert sorted(answer.status_code for answer in at_once) == [201, 409, 409]
    assert {code_of(one) for one in at_once if one.is_error} == {"extended-already"}
    until = date.fromisoformat((await office.read(f"/reports/{report}"))["answer_due_on"])
    # Late and put off already: that it is late comes first.
    await at_noon(market, until + timedelta(days=1))
    answer = await stepped(office, report, **EXTEND)
    assert (answer.status_code, code_of(answer)) == (409, "extension-late")
    await stepped(office, report, kind="answer", words="好")
    answer = await stepped(office, report, **EXTEND)
    assert (answer.status_code, code_of(answer)) == (409, "report-moved-on")


async def test_steps_are_refused_in_order(market: Market) -> None:
    report = (await filed(market, body(await in_market(market))))["report"]
    office, step = market.market_office, new_id()
    elsewhere = {"kind": "refer", "words": "移送", "department": "agriculture"}
    here = {**elsewhere, "division_code": COUNTY, "department": "market_regulation"}
    cases: list[tuple[Actor, Json, int, str]] = [
        (market.stall, {"kind": "take_up"}, 403, "not-allowed"),
        (office, {"kind": "answer"}, 422, "malformed-request"),
        (office, {"kind": "take_up", "words": "x"}, 422, "malformed-request"),
        (office, elsewhere, 422, "malformed-request"),
        (market.far_office, {"kind": "take_up"}, 404, "unknown-report"),
        (office, {**elsewhere, "division_code": "999999"}, 404, "unknown-division"),
        (office, here, 409, "report-not-moved"),
    ]
    for actor, said, status, code in cases:
        answer = await stepped(actor, report, **said)
        assert (answer.status_code, code_of(answer)) == (status, code), said
    path = f"/reports/{report}/steps/{step}"
    await office.make(path, {"kind": "take_up"})
    await office.make(path, {"kind": "take_up"}, status=200)
    answer = await office.put(path, {"kind": "answer", "words": "x"})
    assert (answer.status_code, code_of(answer)) == (409, "id-reused")
    answer = await stepped(office, report, kind="take_up")
    assert (answer.status_code, code_of(answer)) == (409, "report-moved-on")
    await stepped(office, report, kind="answer", words="好")
    for said in ({"kind": "answer", "words": "另"}, {**elsewhere, "division_code": COUNTY}):
        answer = await stepped(office, report, **said)
        assert (answer.status_code, code_of(answer)) == (409, "report-moved-on")


async def test_whoever_runs_the_platform_refers_reports_and_answers_none(market: Market) -> None:
    report = (await filed(market, body(await in_market(market))))["report"]
    operator = await market.add("operator", "平台", RoleKind.OPERATOR)
    assert await listed(operator) == [report]
    for said in ({"kind": "take_up"}, {"kind": "answer", "words": "好"}):
        answer = await stepped(operator, report, **said)
        assert (answer.status_code, code_of(answer)) == (403, "not-allowed")
    there = {"department": "agriculture", "division_code": "320682"}
    answer = await stepped(operator, report, kind="refer", words="移送", **there)
    assert answer.status_code == 201
    assert (await stepped(market.far_office, report, kind="take_up")).status_code == 201


async def test_who_sold_what_a_report_asks_about_is_not_forgotten(market: Market) -> None:
    async def since() -> object:
        async with market.trade.database.reading() as session:
            return await asked_since(session)

    assert await since() is None
    ticket = await in_market(market)
    report = (await filed(market, body(ticket)))["report"]
    issued = await market.trade.value(
        "SELECT issued_at FROM ticket WHERE public_id = :id", id=UUID(ticket["ticket"])
    )
    assert await since() == issued
    assert (await stepped(market.market_office, report, kind="take_up")).status_code == 201
    assert await since() == issued
    answered = await stepped(market.market_office, report, kind="answer", words="已处理")
    assert answered.status_code == 201
    assert await since() is None


async def test_two_answers_at_once_leave_one(market: Market) -> None:
    report = (await filed(market, body(await in_market(market))))["report"]
    answers = await asyncio.gather(
        *(stepped(market.market_office, report, kind="answer", words=f"答{n}") for n in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await market.trade.value("SELECT count(*) FROM report_step") == 1


async def test_a_referred_report_lies_with_the_other_office_alone(market: Market) -> None:
    report = (await filed(market, body(await in_market(market))))["report"]
    step = f"/reports/{report}/steps/{new_id()}"
    said = {
        "kind": "refer",
        "words": "属农业农村部门",
        "division_code": "320682",
        "department": "agriculture",
    }
    await market.market_office.make(step, said)
    assert await listed(market.market_office) == []
    assert await listed(market.far_office) == [report]
    assert [row["kind"] for row in await market.far_office.read("/notices")] == ["reported"]
    answer = await market.market_office.get(f"/reports/{report}")
    assert (answer.status_code, code_of(answer)) == (404, "unknown-report")
    # Whoever referred it may repeat that, and learns no more of it than that.
    again = await market.market_office.put(step, said)
    assert again.status_code == 200
    assert await market.trade.value("SELECT count(*) FROM report_step") == 1


async def post(market: Market, fields: dict[str, str]) -> httpx.Response:
    """Send the form."""
    return await market.trade.client.post(
        "/report",
        content=urlencode(fields),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )


async def test_the_form_works_without_a_script_and_sent_twice_reports_once(
    market: Market,
) -> None:
    ticket, client = await in_market(market), market.trade.client
    goods = await client.get(f"/t/{digits_of(ticket)}", headers={"accept": "text/html"})
    link = re.search(r'href="(/report\?document=[^"]+)"', goods.text)
    assert link is not None
    form = await client.get(link[1])
    hidden = re.search(r'name="report" value="([^"]+)"', form.text)
    assert hidden is not None
    assert "12315" in form.text
    assert "<script" not in form.text
    fields = {"report": hidden[1], **body(ticket), "text": "第一行\r\n第二行"}
    answers = [await post(market, fields) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len({answer.headers["location"] for answer in answers}) == 1
    page = await client.get(answers[0].headers["location"])
    assert page.status_code == 200
    assert CONTACT not in page.text
    assert await market.trade.value("SELECT count(*) FROM report") == 1


async def test_a_form_that_is_refused_keeps_what_was_typed(market: Market) -> None:
    ticket = await in_market(market)
    whole = {"report": new_id(), **body(ticket)}
    cases = [
        ({**whole, "problem": ""}, 422),
        ({**whole, "report": "x"}, 422),
        ({**whole, "document": "none"}, 404),
    ]
    for fields, status in cases:
        answer = await post(market, fields)
        assert answer.status_code == status
        assert TEXT in answer.text
        assert 'role="alert"' in answer.text
    assert (await post(market, {})).status_code == 422
    for _ in range(10):
        await filed(market, body(ticket))
    answer = await post(market, whole)
    assert answer.status_code == 429
    assert "Too many reports" in answer.text


# --- photos ---------------------------------------------------------------------------------------

SERIAL = "SN-4711"


def located() -> bytes:
    """A phone's photo that tells where it was taken, and with which phone."""
    exif = Image.Exif()
    exif[0xA431] = SERIAL
    exif.get_ifd(0x8825).update({1: "N", 2: (32.0, 1.0, 2.0)})
    taken = photo(exif=exif)
    assert SERIAL.encode() in taken
    return taken


def encoded(*photos: bytes) -> list[str]:
    """Write photos as JSON carries them."""
    return [base64.b64encode(one).decode() for one in photos]


async def send_form(
    market: Market, fields: dict[str, str], photos: Sequence[bytes]
) -> httpx.Response:
    """Send the form as a browser does that was given photos; without any it sends an empty one."""
    files = [("photos", ("IMG_1.jpg", one, "image/jpeg")) for one in photos]
    files = files or [("photos", ("", b"", "application/octet-stream"))]
    return await market.trade.client.post("/report", data=fields, files=files)


async def test_photos_come_with_the_form_cleaned_and_are_shown_to_the_office_alone(
    market: Market,
) -> None:
    ticket, report = await in_market(market), new_id()
    sent = [located(), photo((80, 90), "PNG")]
    fields = {"report": report, **body(ticket)}
    answers = [await send_form(market, fields, sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303], answers[0].text
    assert await market.trade.value("SELECT count(*) FROM report_photo") == 2
    [found] = await market.market_office.read("/reports")
    assert [(one["no"], one["width_px"], one["height_px"]) for one in found["photos"]] == [
        (1, 640, 480),
        (2, 80, 90),
    ]
    answer = await market.market_office.get(found["photos"][0]["path"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"] == "private, no-store"
    image = Image.open(io.BytesIO(answer.content))
    assert (image.size, dict(image.getexif())) == ((640, 480), {})
    assert SERIAL.encode() not in answer.content
    for path in (f"/reports/{report}/photos/3", f"/reports/{new_id()}/photos/1"):
        assert (await market.market_office.get(path)).status_code == 404
    for stranger in (market.far_office, market.farm_office):
        answer = await stranger.get(found["photos"][0]["path"])
        assert (answer.status_code, code_of(answer)) == (404, "unknown-report")
    assert (await market.stall.get(found["photos"][0]["path"])).status_code == 403
    client = market.trade.client
    assert (await client.get(found["photos"][0]["path"])).status_code == 401
    for accept in ("text/html", "application/json"):
        shown = await client.get(answers[0].headers["location"], headers={"accept": accept})
        assert shown.status_code == 200
        assert "photo" not in shown.text


async def test_photos_come_as_json_too_and_lie_sealed(market: Market) -> None:
    sent, report = located(), new_id()
    said = {**body(await in_market(market)), "photos": encoded(sent)}
    answers = await asyncio.gather(*(send(market, said, report) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    other = await send(market, {**said, "photos": encoded(photo())}, report)
    assert (other.status_code, code_of(other)) == (409, "id-reused")
    [kept] = await market.trade.rows(
        "SELECT p.content_sha256, c.sealed FROM report_photo p"
        " JOIN evidence_content c ON c.sha256 = p.content_sha256"
    )
    assert not bytes(kept.sealed).startswith(b"\xff\xd8")
    leaf = await market.trade.value(
        "SELECT convert_from(leaf, 'UTF8') FROM entry WHERE kind = 'report.filed'"
    )
    assert '"photos_commit"' in leaf
    # Whoever shared a photo is not found by its hash.
    assert kept.content_sha256.hex() not in leaf


async def test_photos_are_refused_in_order_and_nothing_of_them_is_kept(market: Market) -> None:
    ticket, small = await in_market(market), photo((80, 80))
    heavy = photo() + bytes(17 << 20)
    cases: list[tuple[dict[str, str], list[bytes], int, str]] = [
        ({"document": "none"}, [small] * 4, 404, "report-needs-document"),
        ({}, [small] * 3 + [b"text"], 422, "report-photos-unfit"),
        ({}, [heavy], 422, "report-photos-unfit"),
        ({}, [small, b"text"], 422, "not-an-image"),
        ({}, [small, photo((8, 80))], 422, "image-size-unfit"),
    ]
    for changed, photos, status, code in cases:
        said = body(ticket, **changed)
        answer = await send(market, {**said, "photos": encoded(*photos)})
        assert (answer.status_code, code_of(answer)) == (status, code)
        page = await send_form(market, {"report": new_id(), **said}, photos)
        assert page.status_code == status
        # What was typed stays; the photos a browser does not keep, and that is said.
        assert TEXT in page.text
        assert "重新选择" in page.text
    for _ in range(10):
        await filed(market, body(ticket))
    flooded = await send(market, {**body(ticket), "photos": encoded(b"text")})
    assert code_of(flooded) == "too-many-reports"
    for table in ("report_photo", "evidence_content"):
        assert await market.trade.value(f"SELECT count(*) FROM {table}") == 0


async def test_a_form_with_photos_works_and_one_without_too(market: Market) -> None:
    form = (await market.trade.client.get("/report")).text
    assert 'enctype="multipart/form-data"' in form
    assert "最多 3 张，共 16 MB" in form
    hidden = re.search(r'name="report" value="([^"]+)"', form)
    assert hidden is not None
    answer = await send_form(market, {"report": hidden[1], **body(await in_market(market))}, [])
    assert answer.status_code == 303
    torn = await market.trade.client.post(
        "/report",
        content=b"--x\r\nbroken",
        headers={"content-type": "multipart/form-data; boundary=y"},
    )
    assert torn.status_code == 422


async def test_a_form_that_is_too_large_is_answered_with_a_page_that_keeps_the_words(
    market: Market,
) -> None:
    ticket = await in_market(market)
    fields = {"report": new_id(), **body(ticket, text=TEXT + "，" + "长" * 1900)}
    answer = await send_form(market, fields, [b"\0" * BODY_BYTES_MAX])
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("text/html")
    for kept in (fields["report"], fields["text"], fields["document"], CONTACT):
        assert kept in answer.text
    assert '<option value="unsafe" selected>' in answer.text
    for words in ("本次未提交", "少选几张", "文字保留在下面", "Choose fewer", "send it once more"):
        assert words in answer.text
    assert await market.trade.value("SELECT count(*) FROM report") == 0
    # The page's form, sent again, is taken under the id that it had.
    assert (await send_form(market, fields, [photo()])).status_code == 303
    assert str(await market.trade.value("SELECT public_id FROM report")) == fields["report"]


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; a=b"]
)
async def test_of_a_large_form_that_cannot_be_read_it_is_said_that_nothing_was_kept(
    market: Market, kind: str
) -> None:
    answer = await market.trade.client.post(
        "/report", content=b"text=a&" * (BODY_BYTES_MAX // 7 + 1), headers={"content-type": kind}
    )
    assert answer.status_code == 413
    assert "填写的文字没有收到" in answer.text
    # It can be filled in and sent: a form without an id would be refused for ever.
    hidden = re.search(r'name="report" value="([^"]+)"', answer.text)
    assert hidden is not None
    filled = {"report": hidden[1], **body(await in_market(market))}
    assert (await send_form(market, filled, [])).status_code == 303


async def test_a_program_that_sends_too_much_gets_a_problem_document(market: Market) -> None:
    said = body(await in_market(market)) | {"photos": ["A" * BODY_BYTES_MAX]}
    answer = await send(market, said)
    assert (answer.status_code, code_of(answer)) == (413, "body-too-large")


# --- reminders ------------------------------------------------------------------------------------


async def remind(market: Market) -> None:
    """Let the worker's hour come."""
    async with market.trade.database.transaction() as session:
        await CHORES["reports.remind"][1](session, market.clock())


async def reminders(actor: Actor) -> list[str]:
    """List of what an office was reminded, the first first."""
    notices = await actor.read("/notices")
    return [row["kind"] for row in reversed(notices) if row["kind"] != "reported"]


async def at_noon(market: Market, day: date) -> None:
    """Let it be noon of a day in Nantong."""
    market.clock.set(datetime.combine(day, time(4), tzinfo=UTC))


async def test_an_office_is_reminded_when_a_report_is_due_and_again_when_it_is_late(
    market: Market,
) -> None:
    report = (await filed(market, body(await in_market(market))))["report"]
    due: date = await market.trade.value("SELECT due_on FROM report")
    await at_noon(market, due - timedelta(days=1))
    await remind(market)
    assert await reminders(market.market_office) == []
    await at_noon(market, due)
    await asyncio.gather(*(remind(market) for _ in range(3)))
    assert await reminders(market.market_office) == ["report_due"]
    for _ in range(2):
        await at_noon(market, due + timedelta(days=1))
        await asyncio.gather(*(remind(market) for _ in range(3)))
        assert await reminders(market.market_office) == ["report_due", "report_overdue"]
    [late, *_] = await market.market_office.read("/notices")
    assert late["subject"] == report
    assert late["facts"]["due_on"] == str(due)
    assert TEXT not in json.dumps(late)
    for other in (market.farm_office, market.far_office):
        assert await reminders(other) == []
    # Whoever gets it now is reminded anew of what is late; whoever had it, no more.
    to = {"kind": "refer", "words": "属地", "division_code": "320682", "department": "agriculture"}
    await market.market_office.make(f"/reports/{report}/steps/{new_id()}", to)
    await remind(market)
    assert await reminders(market.far_office) == ["report_overdue"]
    assert await reminders(market.market_office) == ["report_due", "report_overdue"]


async def test_what_was_taken_up_is_reminded_of_its_answer_and_anew_once_put_off(
    market: Market,
) -> None:
    taken = await filed(market, body(await in_market(market)))
    report, office = taken["report"], market.market_office
    due, answer_due = (date.fromisoformat(taken[name]) for name in ("due_on", "answer_due_on"))
    await at_noon(market, due)
    await remind(market)
    await stepped(office, report, kind="take_up")
    await at_noon(market, due + timedelta(days=1))
    await remind(market)
    said = ["report_due"]
    assert await reminders(office) == said
    await at_noon(market, answer_due)
    await asyncio.gather(*(remind(market) for _ in range(3)))
    said.append("report_answer_due")
    assert await reminders(office) == said
    until = (await office.make(f"/reports/{report}/steps/{new_id()}", EXTEND))["answer_due_on"]
    await remind(market)
    assert await reminders(office) == said
    for days, kind in ((0, "report_answer_due"), (1, "report_answer_overdue")):
        await at_noon(market, date.fromisoformat(until) + timedelta(days=days))
        for _ in range(2):
            await remind(market)
        said.append(kind)
        assert await reminders(office) == said
    [late, *_] = await office.read("/notices")
    assert (late["facts"]["report"], late["facts"]["due_on"]) == (report, until)
    await stepped(office, report, kind="answer", words="好")
    await at_noon(market, date.fromisoformat(until) + timedelta(days=9))
    await remind(market)
    assert await reminders(office) == said


async def test_the_history_tells_where_a_report_was_referred_to(market: Market) -> None:
    report = (await filed(market, body(await in_market(market))))["report"]
    to = {"kind": "refer", "words": "属地", "division_code": "320682", "department": "agriculture"}
    await market.market_office.make(f"/reports/{report}/steps/{new_id()}", to)
    await stepped(market.far_office, report, kind="take_up")
    steps = (await market.far_office.read(f"/reports/{report}"))["steps"]
    assert [(one["kind"], one["division_code"], one["department"]) for one in steps] == [
        ("refer", "320682", "agriculture"),
        ("take_up", None, None),
    ]
