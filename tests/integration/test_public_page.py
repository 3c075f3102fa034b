"""The public page over HTTP: every state of a document, and what must never stand on it."""

import html
import io
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from pydantic import TypeAdapter
from sqlalchemy import event

from app.core.clock import SHANGHAI
from app.demo.main_job import QR_ONLY
from app.main import create_app
from app.party.access import RoleKind
from app.signing import shortcode, token
from app.signing.keys import IssuerClass, TokenSigner
from app.signing.token import TokenType
from app.web.rules import BYTES_MAX, SAYINGS, PageState
from app.web.schemas import PublicTicket
from tests.conftest import FakeClock
from tests.factories import CARCASSES, CHIVES, PIGS, Json, line, new_id
from tests.laboratory import inhibition, judged, report, sampled
from tests.market import Market, open_market

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"accept": "application/json"}


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as market:
        yield market


def path_of(document: Json) -> str:
    return token.PATH + str(document["url"]).rpartition("/")[2]


async def get(market: Market, path: str, headers: dict[str, str] = HTML) -> httpx.Response:
    return await market.trade.client.get(path, headers=headers)


class Reader(HTMLParser):
    """Reads a page as a person does: the text, by language."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []
        self.english: list[str] = []
        self._hidden = 0
        self._spans: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._hidden += tag in {"style", "title"}
        if tag == "span":
            self._spans.append(("lang", "en") in attrs)

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "title"}
        if tag == "span":
            self._spans.pop()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)
            if any(self._spans):
                self.english.append(data)


def read(page: str) -> str:
    """Answer a page's text; what only keeps lines whole is taken out."""
    reader = Reader()
    reader.feed(page)
    return "".join(reader.text).replace("\u2060", "").replace("\u00a0", " ")


def english(page: str) -> str:
    reader = Reader()
    reader.feed(page)
    return " ".join(reader.english)


# --- what a buyer wants ---------------------------------------------------------------------------


async def test_the_page_tells_what_a_buyer_wants(market: Market) -> None:
    ticket = await market.chives_of_three()
    answer = await get(market, path_of(ticket))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = read(answer.text)
    for wanted in (
        "签名有效",
        "韭菜",
        "60 公斤（120 斤）",
        "如皋收购站",
        "王记蔬菜",
        "南通市场 A12",
        "2026-06-18 04:00",
        "已开具，待验收",
        "承诺达标合格证",
        "未使用禁用农药",
        "自行检测合格（开具者声明）",
        "平台未登记本批检测结果",
        shortcode.show(ticket["code"]),
        f"真页面的网址以 {market.trade.settings.public_url}/ 开头",
    ):
        assert wanted in text, wanted
    for wanted in ("Genuine", "60 kg (120 jin)", "Seller", "No test result", "I promise"):
        assert wanted in english(answer.text), wanted


async def test_the_page_tells_what_tests_found_and_not_who_tested(market: Market) -> None:
    lot = await market.lot(market.farmer, 60)
    office, laboratory = market.regulator, await market.add("lab", "南通食检", RoleKind.LAB)
    sample = await sampled(office, lot, samplers=["王抽样"])
    await judged(office, sample, inhibition(43, testers=["李快检"]))
    # The lot is on hold until the laboratory clears it.
    body = {"buyer": market.stall.as_buyer, "lines": [line(CHIVES, 10, lot)]}
    assert (await market.farmer.put(f"/tickets/{new_id()}", body)).status_code == 409
    await judged(laboratory, sample, report(("克百威", None), testers=["赵化验"]))
    ticket = await market.farmer.make(f"/tickets/{new_id()}", body)
    answer = await get(market, path_of(ticket))
    text = read(answer.text)
    assert "6月18日 监管部门 韭菜 实验室检测：复检合格" in text
    assert "18 Jun, regulator, laboratory: cleared by a further test" in english(answer.text)
    assert "平台未登记本批检测结果" not in text
    for name in ("王抽样", "李快检", "赵化验", "南通食检", str(laboratory.public_id)):
        assert name not in answer.text
    # What stands against the goods comes first, and the page says that they are held.
    await judged(market.regulator, await sampled(office, lot), inhibition(58))
    held = read((await get(market, path_of(ticket))).text)
    assert held.index("初筛阳性，待确认") < held.index("复检合格")
    assert "相关批次已被控制" in held


async def test_the_chain_names_all_sources_of_a_mixed_lot(market: Market) -> None:
    ticket = await market.chives_of_three()
    told = [step["zh"] for step in (await get(market, path_of(ticket), JSON)).json()["chain"]]
    assert told == [
        "如皋市如城街道迎新居委会 张** 6月18日采收韭菜（占 60%）",
        "如皋市如城街道安定居委会 李** 6月18日采收韭菜（占 30%）",
        "如皋市如城街道花园居委会 欧阳** 6月18日采收韭菜（占 10%）",
        "6月18日 如皋收购站 从 张**、李**、欧阳** 购入韭菜（3 批）",
        "6月18日 如皋收购站 将 3 批韭菜混装",
        "6月18日 如皋收购站 售予 王记蔬菜，待买方验收",
    ]
    page = read((await get(market, path_of(ticket))).text)
    assert all(step in page for step in told)


async def test_a_chain_that_breaks_off_says_so(market: Market) -> None:
    unknown = await market.lot(market.stranger, 50, origin="declare", division_code=None)
    ticket = await market.sell(market.stranger, market.stall, unknown, 10)
    page = (await get(market, path_of(ticket), JSON)).json()
    assert page["chain"][0]["zh"] == "6月18日 别家菜行 登记韭菜，生产者未登记"
    assert page["traced"] == "0%"
    assert page["sources"][0]["known"] is False
    text = read((await get(market, path_of(ticket))).text)
    assert "未附合格证明" in text
    assert "有完整来源的货物占 0%" in text


async def test_meat_is_told_from_the_animal_on(market: Market) -> None:
    abattoir = await market.add("abattoir", "如皋屠宰场", RoleKind.SLAUGHTER)
    pigs = await market.lot(
        abattoir, 1000, product=PIGS, origin="slaughter_in", producer=market.farmer
    )
    carcasses = new_id()
    known = await abattoir.read(f"/products/{PIGS}")
    body = {
        "inputs": [{"lot": pigs}],
        "process": known["processes"][0]["code"],
        "outputs": [{"lot": carcasses, "product": CARCASSES, "quantity": "720", "unit": "公斤"}],
    }
    await abattoir.make(f"/transforms/{new_id()}", body)
    ticket = await market.sell(abattoir, market.stall, carcasses, 50, product=CARCASSES)
    told = [step["zh"] for step in (await get(market, path_of(ticket), JSON)).json()["chain"]]
    assert told[0] == "如皋市如城街道迎新居委会 张** 6月18日进场屠宰生猪"
    assert told[1] == "6月18日 如皋屠宰场 将生猪加工成猪白条"


async def test_a_certificates_page(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    answer = await get(market, path_of(certificate))
    text = read(answer.text)
    for wanted in (
        "承诺达标合格证",
        "100 公斤（200 斤）",
        "海门示范合作社",
        "迎新居委会",
        "✔ 有效",
    ):
        assert wanted in text, wanted
    page = (await get(market, path_of(certificate), JSON)).json()
    assert page["document"] == "certificate"
    assert page["certificate"]["certificate"]["standing"] == "valid"
    await market.coop.voids("certificates", certificate["certificate"])
    voided = await get(market, path_of(certificate))
    assert voided.status_code == 200
    assert "已作废" in read(voided.text)


async def test_a_voided_certificate_is_shown_as_voided_on_a_ticket(market: Market) -> None:
    lot = await market.lot(market.coop, 100)
    certificate = await market.certify(market.coop, lot, 100)
    ticket = await market.sell(market.coop, market.stall, lot, 10)
    await market.coop.voids("certificates", certificate["certificate"])
    page = (await get(market, path_of(ticket), JSON)).json()
    assert [row["standing"] for row in page["certificates"]] == ["voided"]
    assert page["promises"] == []
    assert "✘ 已作废" in read((await get(market, path_of(ticket))).text)


# --- every state ----------------------------------------------------------------------------------


async def every_state(market: Market) -> dict[PageState, str]:
    """Bring a document of each state about; answer their addresses."""
    sound = await market.sound_ticket()
    accepted, voided, refused, held_back = [await market.sound_ticket() for _ in range(4)]
    await market.stall.decides(accepted["ticket"])
    await market.coop.voids("tickets", voided["ticket"])
    await market.stall.decides(refused["ticket"], "refused")
    await market.trade.hold(held_back["lines"][0]["draws"][0]["lot"])
    digits = path_of(sound).removeprefix(token.PATH)
    forged = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    stolen = market.token(await market.signer())
    for_tests = market.token(await market.signer(IssuerClass.TEST), TokenType.TEST)
    unknown = TokenSigner(999, IssuerClass.TICKET, Ed25519PrivateKey.generate().private_bytes_raw())
    return {
        PageState.VALID: path_of(sound),
        PageState.ACCEPTED: path_of(accepted),
        PageState.VOIDED: path_of(voided),
        PageState.REFUSED: path_of(refused),
        PageState.HELD: path_of(held_back),
        PageState.FORGED: token.PATH + forged,
        PageState.UNKNOWN: token.PATH + stolen,
        PageState.TEST: token.PATH + for_tests,
        PageState.CANNOT_VERIFY: token.PATH + market.token(unknown),
        PageState.UNREADABLE: token.PATH + digits[:-1],
    }


STATUS = {PageState.FORGED: 400, PageState.UNREADABLE: 400} | dict.fromkeys(
    (PageState.UNKNOWN, PageState.CANNOT_VERIFY), 404
)
NOTHING = {
    PageState.FORGED,
    PageState.UNREADABLE,
    PageState.UNKNOWN,
    PageState.CANNOT_VERIFY,
    PageState.TEST,
}


async def test_every_state_says_plainly_what_it_is(market: Market) -> None:
    states = await every_state(market)
    for state, path in states.items():
        page = await get(market, path)
        facts = await get(market, path, JSON)
        saying = SAYINGS[state]
        assert page.status_code == facts.status_code == STATUS.get(state, 200), state
        assert facts.json()["state"] == state
        text = read(page.text)
        assert saying.mark in text
        assert saying.headline.zh in text
        assert saying.headline.en in english(page.text)
        assert saying.advice.zh in text
        shown = facts.json()["ticket"] is not None
        assert shown == ("韭菜" in text) == (state not in NOTHING), state
        assert page.headers["cache-control"] == "no-cache"
        assert page.headers["vary"] == "Accept"
        assert "set-cookie" not in page.headers
        assert len(page.content) <= BYTES_MAX
    market.clock.advance(hours=97)
    expired = await get(market, states[PageState.VALID])
    assert expired.status_code == 200
    assert SAYINGS[PageState.EXPIRED].headline.zh in read(expired.text)
    # What is worse than old stays said.
    voided = await get(market, states[PageState.VOIDED], JSON)
    assert voided.json()["state"] == PageState.VOIDED
    assert set(states) | {PageState.EXPIRED} == set(PageState)


async def test_grey_is_never_called_a_forgery(market: Market) -> None:
    states = await every_state(market)
    for state in (PageState.CANNOT_VERIFY, PageState.UNREADABLE):
        page = await get(market, states[state])
        assert "伪造" not in read(page.text)


async def test_a_hold_on_a_source_or_on_the_buyers_lot_is_shown(market: Market) -> None:
    lot = await market.certified()
    bought = await market.buy(market.coop, market.stall, lot, 50)
    onward = await market.sell(market.stall, market.stranger, bought, 10)
    await market.trade.hold(lot)
    assert (await get(market, path_of(onward), JSON)).json()["state"] == PageState.HELD
    other = await market.sell(market.coop, market.stall, await market.certified(), 10)
    decided = await market.stall.decides(other["ticket"])
    assert (await get(market, path_of(other), JSON)).json()["state"] == PageState.ACCEPTED
    await market.trade.hold(decided["lines"][0]["draws"][0]["received_lot"])
    assert (await get(market, path_of(other), JSON)).json()["state"] == PageState.HELD


@pytest.mark.parametrize(
    "digits", ["0", "1", "abc", "1" * 300, "1" * 301, "9" * 5000, "%31", "１２３", "-1", "%00"]
)
async def test_what_is_no_token_is_unreadable(market: Market, digits: str) -> None:
    answer = await get(market, token.PATH + digits)
    assert answer.status_code == 400
    assert SAYINGS[PageState.UNREADABLE].headline.zh in read(answer.text)


@pytest.mark.parametrize("around", ["0{}", "{}%20", "%20{}", "{}%0a", "{}/", "+{}"])
async def test_a_token_has_one_address(market: Market, around: str) -> None:
    ticket = await market.sound_ticket()
    digits = path_of(ticket).removeprefix(token.PATH)
    answer = await get(market, token.PATH + around.format(digits))
    assert answer.status_code in {307, 400, 404}
    assert "韭菜" not in answer.text


# --- what must never stand there ------------------------------------------------------------------

PHONE, ID_NUMBER = "13912345678", "32062319800101123X"
ADDRESS_CANARY = "121.123456"


async def canaries(market: Market) -> tuple[Json, list[str]]:
    """Sow what is private into everything that a ticket refers to."""
    farmer = await market.add(
        "canary", "钱金丝雀", RoleKind.FARMER, natural=True, phone=PHONE, id_number=ID_NUMBER
    )
    buyer = await market.add("bird", "孙百灵鸟", RoleKind.STALL, natural=True, phone="13887654321")
    lot = await market.lot(farmer, 50, papers={"purchase_voucher": "VOUCHER-77881"})
    await farmer.certifies(lot, 50)
    ticket = await farmer.sells(
        buyer,
        line(
            CHIVES,
            10,
            lot,
            trade_name=f"韭菜 微信{PHONE} 139 1234 5678",
            price_fen=314_159_265,  # so long that no token holds it by chance
            price_unit="公斤",
        ),
        plate="苏F98765",
        note="note-canary 面议",
        documents=[{"kind": "other", "number": "DOC-55443"}],
    )
    private = [
        "钱金丝雀",
        "孙百灵鸟",
        "金丝",
        "百灵",
        PHONE,
        "139 1234 5678",
        "13887654321",
        ID_NUMBER,
        "314159265",
        "3141592.65",
        "苏F98765",
        "note-canary",
        "VOUCHER",
        "DOC-55443",
        str(farmer.public_id),
        str(buyer.public_id),
        lot,
    ]
    return ticket, private


async def test_nothing_private_is_ever_shown(market: Market) -> None:
    ticket, private = await canaries(market)
    await market.people["bird"].decides(ticket["ticket"])
    certificate = (await market.people["canary"].read("/certificates"))[0]
    for document in (ticket, certificate):
        for headers in (HTML, JSON):
            answer = await get(market, path_of(document), headers)
            assert answer.status_code == 200
            written = html.unescape(answer.text).replace("\u2060", "").replace("\u00a0", " ")
            for canary in private:
                assert canary not in written, canary
            assert "钱**" in written
    assert "孙**" in (await get(market, path_of(ticket))).text.replace("\u2060", "")


async def test_whoever_signs_in_sees_no_more(market: Market) -> None:
    ticket, _ = await canaries(market)
    nobody = await get(market, path_of(ticket), JSON)
    seller = await get(market, path_of(ticket), {**JSON, **market.people["canary"].headers})
    assert seller.json() == nobody.json()


def told(value: Any) -> Iterator[str]:
    """Walk all texts; of one that stands in two languages the Chinese, which pages never drop."""
    if isinstance(value, dict) and value.keys() == {"zh", "en"}:
        yield value["zh"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from told(item)
    elif isinstance(value, list):
        for item in value:
            yield from told(item)
    elif isinstance(value, str):
        yield value


async def test_the_json_says_what_the_page_says_and_no_more(market: Market) -> None:
    ticket = await market.chives_of_three()
    certificate = (await market.coop.read("/certificates")) or [
        await market.certify(market.coop, await market.lot(market.coop, 5), 5)
    ]
    for document in (ticket, certificate[0]):
        facts = (await get(market, path_of(document), JSON)).json()
        text = read((await get(market, path_of(document))).text)
        for code in ("state", "document", "issued_at", "expires_at", "checked_at"):
            facts.pop(code)
        for value in told(facts):
            said = value in text or value in CODED or _as_printed(value) in text
            assert said, value


# Words of the wire whose meaning the page says in the reader's language.
CODED = {
    "sale",
    "origin",
    "issued",
    "registered",
    "valid",
    "conformity_producer",
    "conformity_purchaser",
}


def _as_printed(value: str) -> str:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    if at.tzinfo is None:
        return f"{at.month}月{at.day}日"
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


# --- hostile content ------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script>"


async def test_what_people_type_is_never_markup(market: Market) -> None:
    evil = await market.add("evil", f"{EVIL}\"'&<b>商行", RoleKind.STALL)
    lot = await market.lot(evil, 10, origin="declare", producer=market.coop, division_code=None)
    ticket = await evil.sells(
        None, line(CHIVES, 1, lot, trade_name="<img src=x onerror=alert(1)>{{7*7}}")
    )
    page = (await get(market, path_of(ticket))).text
    assert EVIL not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{7*7}}" in html.unescape(page)
    reader = Reader()
    reader.feed(page)
    assert "script" not in reader.tags
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    typed = await get(market, "/c?code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert typed.status_code == 400
    assert EVIL not in typed.text


async def test_pages_need_no_script_and_load_nothing_from_elsewhere(market: Market) -> None:
    ticket = await market.sound_ticket()
    for path in (path_of(ticket), "/", "/t/1", "/c?code=x"):
        answer = await get(market, path)
        reader = Reader()
        reader.feed(answer.text)
        assert not {"script", "iframe", "object", "embed"} & set(reader.tags)
        for tag, name, value in reader.attributes:
            if name in {"src", "href", "action"} and value:
                assert value.startswith(("/", "data:,")), (tag, value)
                assert not value.startswith("//")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "set-cookie" not in answer.headers


# --- size, cost, looks ----------------------------------------------------------------------------


async def forty_lines(market: Market, *, villages: int = 1) -> Json:
    lines = []
    for number, product in enumerate(range(4, 44)):
        village = f"320682001{1 + number % villages:03}"
        lot = await market.certified(5, product=product, division_code=village)
        lines.append(line(product, 1.5, lot, trade_name=f"本地特级精品时令蔬果礼盒装第{number}种"))
    return await market.coop.sells(market.stall, *lines)


@contextmanager
def statements(market: Market) -> Iterator[list[str]]:
    """Count what is sent to the database."""
    sent: list[str] = []
    engine = market.trade.database.engine.sync_engine

    def note(_c: Any, _k: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_a_ticket_of_forty_lines_fits_and_costs_no_more_statements(market: Market) -> None:
    small = await market.sound_ticket()
    large = await forty_lines(market, villages=8)
    await get(market, path_of(small))  # the lots behind it are met, and remembered
    with statements(market) as for_small:
        await get(market, path_of(small))
    # Lots that no trace has met before cost one statement for all of them.
    with statements(market) as for_large:
        page = await get(market, path_of(large))
    with statements(market) as for_large_again:
        await get(market, path_of(large))
    assert len(for_large_again) == len(for_small) == 1
    assert len(for_large) <= 2
    assert len(page.content) <= BYTES_MAX
    text = read(page.text)
    facts = (await get(market, path_of(large), JSON)).json()
    shown, hidden = len(facts["ticket"]["lines"]), facts["more"]["lines"]
    assert shown + hidden == 40
    assert "60 公斤（120 斤）" in text
    assert (f"另有 {hidden} 行" in text) == bool(hidden)
    assert f"另有 {facts['more']['certificates']} 张" in text
    assert facts["chain"][-1]["zh"].endswith("售予 王记蔬菜，待买方验收")


async def test_the_signature_is_remembered(market: Market) -> None:
    ticket = await market.sound_ticket()
    await get(market, path_of(ticket))
    with statements(market) as sent:
        await get(market, path_of(ticket))
    assert not [statement for statement in sent if "signing_key" in statement]


async def test_head_answers_as_get_does(market: Market) -> None:
    ticket = await market.sound_ticket()
    path = path_of(ticket)
    for where in (path, f"{path}/code.png", f"{path}/code.svg", "/", "/c?code=x", "/c/x", "/t/1"):
        got = await get(market, where)
        head = await market.trade.client.head(where, headers=HTML)
        assert head.status_code == got.status_code, where
        assert head.headers["content-type"] == got.headers["content-type"]


def contrast(one: str, other: str) -> float:
    """Reckon the contrast of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        digits = colour.removeprefix("#")
        digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


async def test_colours_can_be_told_apart_in_light_and_dark(market: Market) -> None:
    page = (await get(market, "/")).text
    themes = re.findall(r":root\{(--bg:[^}]+--ink:[^}]+)\}", page)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(
            part.strip().removeprefix("--").split(":") for part in theme.split(";") if part.strip()
        )
        pairs = [(ink, ground) for ink in ("ink", "soft", "link") for ground in ("bg", "card")]
        pairs += [(tone, f"{tone}-bg") for tone in ("good", "care", "bad", "grey")]
        pairs += [("card", "good"), ("bad", "card")]
        for ink, ground in pairs:
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground, colours)


async def test_a_page_is_well_formed_for_readers_aloud(market: Market) -> None:
    ticket = await market.sound_ticket()
    for path in (path_of(ticket), "/", "/t/1"):
        page = (await get(market, path)).text
        reader = Reader()
        reader.feed(page)
        assert reader.tags.count("main") == 1
        assert reader.tags.count("title") == 1
        assert ("html", "lang", "zh-CN") in reader.attributes
        labelled = [value for _, name, value in reader.attributes if name in {"for", "aria-label"}]
        assert len(labelled) >= reader.tags.count("input")


# --- demonstration, short codes, pictures ---------------------------------------------------------


async def test_a_demonstration_says_so(market: Market) -> None:
    ticket = await market.sound_ticket()
    settings = market.trade.settings.model_copy(update={"demo": True})
    app = create_app(settings, clock=market.clock)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        for path in (path_of(ticket), "/", "/t/1"):
            assert "演示数据" in (await client.get(path, headers=HTML)).text
        assert (await client.get(path_of(ticket), headers=JSON)).json()["demo"] is True
    await app.state.database.close()
    assert "演示数据" not in (await get(market, path_of(ticket))).text


async def test_a_short_code_leads_to_its_page(market: Market) -> None:
    ticket = await market.sound_ticket()
    certificate = (await market.coop.read("/certificates"))[0]
    for document in (ticket, certificate):
        shown = shortcode.show(document["code"])
        for path in (f"/c/{document['code']}", f"/c/{shown.lower()}", f"/c?code=%20{shown}%20"):
            answer = await get(market, path)
            assert answer.status_code == 303, path
            assert answer.headers["location"] == path_of(document)
    pasted = await market.trade.client.get("/c", params={"code": ticket["url"]}, headers=HTML)
    assert pasted.headers["location"] == path_of(ticket)


@pytest.mark.parametrize(
    ("typed", "status", "told"),
    [
        (shortcode.encode(5), 404, "没有这个短码的票据"),
        ("ABC", 400, "无法识别的内容"),
        ("", 400, "无法识别的内容"),
        ("https://evil.example/t/" + "1" * 246, 400, "网址不属于本平台"),
        ("32068200100112345678", 400, "其他平台的编码"),
        ("1" * 100, 400, "二维码内容残缺或有误"),
    ],
)
async def test_what_leads_nowhere_says_why(
    market: Market, typed: str, status: int, told: str
) -> None:
    answer = await market.trade.client.get("/c", params={"code": typed}, headers=HTML)
    assert answer.status_code == status
    assert told in read(answer.text)
    assert "location" not in answer.headers


async def test_the_code_can_be_drawn_by_anybody_who_has_it(market: Market) -> None:
    ticket = await market.sound_ticket()
    answer = await get(market, path_of(ticket) + "/code.png")
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as image:
        (found,) = zxingcpp.read_barcodes(image.convert("L"), formats=QR_ONLY)
    assert found.text == ticket["url"]
    drawn = await get(market, path_of(ticket) + "/code.svg")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    forged = path_of(ticket)[:-1] + ("1" if path_of(ticket)[-1] != "1" else "2")
    for picture in ("code.png", "code.svg"):
        assert (await get(market, f"{forged}/{picture}")).status_code == 404
        assert (await get(market, f"/t/1/{picture}")).status_code == 404


async def test_the_json_is_what_its_schema_says(market: Market) -> None:
    contract = TypeAdapter(PublicTicket)
    for path in (await every_state(market)).values():
        answer = await get(market, path, JSON)
        # Byte for byte: a program is told by orjson what pydantic would tell it.
        assert contract.dump_json(contract.validate_json(answer.content)) == answer.content
