"""The pages that anybody may open: goods, proof, how to verify, a label that stands for nothing."""

import re

import pytest

from app.core.ids import uuid7
from app.demo.scenario import STALL
from app.signing import token
from tests.browser.conftest import Visitor
from tests.browser.test_m import Hand


def digits_of(visitor: Visitor) -> str:
    """Answer the token of a ticket of the demonstration."""
    with Hand(visitor.site, STALL.login) as stall:
        return str(stall.listed("/tickets", side="sold")[0]["url"]).rpartition(token.PATH)[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_from_the_goods_to_their_proof_and_to_how_one_verifies(
    visitor: Visitor, scheme: str
) -> None:
    page = visitor.page
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
    await visitor.open(token.PATH + digits_of(visitor))
    await visitor.check_axe()
    await visitor.shoot(f"public-goods-{scheme}")
    await page.get_by_role("link", name=re.compile("Technical proof")).click()
    await page.get_by_text("BEGIN PUBLIC KEY").wait_for()
    assert await page.get_by_text("ticket.issued").count() == 1
    await visitor.check_axe()
    await visitor.shoot(f"public-proof-{scheme}")
    await page.get_by_role("link", name=re.compile("How to verify")).click()
    await page.get_by_text("Copies and forgeries").wait_for()
    await visitor.check_axe()
    await visitor.shoot(f"public-verify-{scheme}")


async def test_text_of_200_per_cent_does_not_break_the_pages(visitor: Visitor) -> None:
    digits = digits_of(visitor)
    for path in (f"/t/{digits}/proof", "/verify", "/"):
        await visitor.open(path)
        await visitor.page.add_style_tag(content="html{font-size:200%}")
        name = path.rpartition("/")[2] or "home"
        await visitor.shoot(f"public-large-{name}")


async def test_the_first_page_and_a_forged_code_are_told_apart(visitor: Visitor) -> None:
    await visitor.open("/")
    await visitor.check_axe()
    await visitor.shoot("public-home")
    digits = digits_of(visitor)
    forged = digits[:-1] + ("1" if digits[-1] != "1" else "2")
    await visitor.open(f"/t/{forged}/proof")
    await visitor.page.get_by_text("Wrong signature").wait_for()
    assert await visitor.page.get_by_text("BEGIN PUBLIC KEY").count() == 0
    await visitor.check_axe()


async def test_a_label_that_stands_for_nothing_says_so(visitor: Visitor) -> None:
    with Hand(visitor.site, STALL.login) as stall:
        code = stall.make(f"/label-rolls/{uuid7()}", {"labels": 3})["codes"][0]
    await visitor.open(f"/b/{code}")
    await visitor.page.get_by_text("此标签尚未绑定").wait_for()
    await visitor.check_axe()
    await visitor.shoot("public-label")
