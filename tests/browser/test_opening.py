"""Each program opens, asks who is there, and loads nothing that is not ours."""

import pytest

from tests.browser.conftest import Visitor


@pytest.mark.parametrize("program", ["m", "admin"])
async def test_a_program_opens_and_signs_in(visitor: Visitor, program: str) -> None:
    await visitor.open(f"/{program}")
    await visitor.check_axe()
    await visitor.shoot(f"{program}-sign-in")
    await visitor.sign_in("stall")
