"""A page as programs get it: folded as its HTML is, whether or not that was written."""

from datetime import UTC, date, datetime
from random import Random

import pytest
from pydantic import TypeAdapter

from app.certificate.rules import CertificateKind
from app.ticket.rules import BuyerKind, TicketKind, TicketStatus
from app.web import pages
from app.web.rules import SAYINGS, PageState
from app.web.schemas import (
    Promise,
    PublicCertificate,
    PublicCertificateFacts,
    PublicLine,
    PublicParty,
    PublicSource,
    PublicTicket,
    PublicTicketFacts,
    Standing,
    Step,
    Words,
)

NOW = datetime(2026, 6, 18, 4, tzinfo=UTC)
DIGITS = "4" * 246
PIECES = ("韭菜", "张**", "2025年12月31日", "12 kg", "<b>", "&", "'", '"', "O'Neill ", "a", "、")


def text(chance: Random, most: int) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randrange(most + 1)))


def words(chance: Random, most: int = 12) -> Words:
    return Words(zh=text(chance, most), en=text(chance, most))


def certificate(chance: Random) -> PublicCertificate:
    return PublicCertificate(
        kind=chance.choice(list(CertificateKind)),
        title=words(chance),
        issuer=PublicParty(name=text(chance, 5), masked=True),
        code="021V-VJQZ-CREP-T",
        product=text(chance, 3),
        mass=words(chance, 3),
        issued_on=date(2026, 6, 17),
        bases=[words(chance)],
        standing=chance.choice(list(Standing)),
    )


def line(chance: Random) -> PublicLine:
    return PublicLine(
        product=text(chance, 3),
        trade_name=chance.choice([None, text(chance, 3)]),
        mass_g=1,
        mass=words(chance, 3),
        spoken=chance.choice([None, text(chance, 3)]),
        origins=[text(chance, 5) for _ in range(chance.randrange(3))],
        producer=chance.choice([None, words(chance)]),
    )


def facts(chance: Random, most: int) -> PublicTicketFacts:
    return PublicTicketFacts(
        kind=chance.choice(list(TicketKind)),
        status=chance.choice(list(TicketStatus)),
        seller=PublicParty(name=text(chance, 8), masked=False),
        buyer=chance.choice([None, PublicParty(name=text(chance, 8), masked=True)]),
        buyer_kind=BuyerKind.REGISTERED,
        market=chance.choice([None, text(chance, 8)]),
        stall=chance.choice([None, text(chance, 8)]),
        sold_at=NOW,
        mass_g=1,
        mass=words(chance, 3),
        lines=[line(chance) for _ in range(chance.randrange(1, most + 1))],
    )


def source(chance: Random) -> PublicSource:
    return PublicSource(
        village=chance.choice([None, text(chance, 5)]),
        producers=chance.choice([None, words(chance)]),
        product=text(chance, 3),
        made_on=chance.choice([None, date(2026, 6, 17)]),
        share="<1%",
        known=chance.random() < 0.5,
    )


def page(chance: Random, most: int) -> PublicTicket:
    """Make a page of anything that can be on one, with up to so many rows in each list."""
    state = chance.choice(list(PageState))
    of_ticket = chance.random() < 0.7
    several = range(chance.randrange(most + 1))
    saying = SAYINGS[state]
    return PublicTicket(
        state=state,
        headline=Words(zh=saying.headline.zh, en=saying.headline.en),
        advice=Words(zh=saying.advice.zh, en=saying.advice.en),
        document="ticket" if of_ticket else "certificate",
        code="021V-VJQZ-CREP-T",
        issued_at=NOW,
        expires_at=NOW,
        ticket=facts(chance, most) if of_ticket else None,
        certificate=None
        if of_ticket
        else PublicCertificateFacts(
            certificate=certificate(chance),
            origin=chance.choice([None, text(chance, 8)]),
            spoken=chance.choice([None, text(chance, 8)]),
        ),
        sources=[source(chance) for _ in several],
        chain=[Step(zh=text(chance, 20), en=text(chance, 20)) for _ in several],
        traced=chance.choice([None, "100%"]),
        certificates=[certificate(chance) for _ in range(chance.randrange(most + 1))],
        promises=[Promise(title=words(chance), text=[words(chance)] * 3) for _ in several[:2]],
        tests=[words(chance) for _ in several],
        checked_at=NOW,
        address="https://ypt.example/",
        demo=chance.random() < 0.5,
    )


def test_a_page_is_written_as_its_contract_says() -> None:
    contract = TypeAdapter(PublicTicket)
    chance = Random(7)
    for _ in range(200):
        one = page(chance, 8)
        written = pages.write(one)
        assert contract.dump_json(one) == written
        assert contract.validate_json(written) == one


@pytest.mark.parametrize("most", [1, 3, 8, 45])
def test_a_program_is_told_what_the_html_shows(most: int) -> None:
    chance = Random(most)
    for _ in range(150):
        whole = page(chance, most)
        shown, html = pages.render(whole, DIGITS)
        assert pages.tell(whole, DIGITS) == pages.write(shown)
        assert len(html.encode()) <= pages._html_bytes_most(shown, pages.write(shown))


def test_no_html_is_written_for_a_small_page(monkeypatch: pytest.MonkeyPatch) -> None:
    small = page(Random(1), 1)
    told = pages.tell(small, DIGITS)
    monkeypatch.setattr(pages, "_html", lambda _page: pytest.fail("it was written"))
    assert pages.tell(small, DIGITS) == told
