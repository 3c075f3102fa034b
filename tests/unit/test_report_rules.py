"""Whose a report is, and how its tracking code is read."""

import pytest

from app.party.access import Department, RoleKind
from app.report import rules

FARM, MARKET = "320682102", "320613001"
AGRICULTURE, REGULATION = Department.AGRICULTURE, Department.MARKET_REGULATION


@pytest.mark.parametrize(
    ("market", "roles", "through", "division", "department"),
    [
        (None, {RoleKind.FARMER}, False, "320682", AGRICULTURE),
        (None, {RoleKind.COLLECTOR}, False, "320682", AGRICULTURE),
        (None, {RoleKind.COLLECTOR}, True, "320682", REGULATION),
        (None, {RoleKind.FARMER, RoleKind.PROCESSOR}, False, "320682", REGULATION),
        (None, set(), False, "320682", REGULATION),
        (MARKET, {RoleKind.FARMER}, False, "320613", REGULATION),
    ],
)
def test_the_place_in_the_chain_says_whose_a_report_is(
    market: str | None,
    roles: set[RoleKind],
    through: bool,
    division: str,
    department: Department,
) -> None:
    office = rules.office_of(
        market_division=market, seller_division=FARM, seller_roles=roles, through_market=through
    )
    assert office == (division, department)


def test_a_code_is_read_however_it_is_typed() -> None:
    code = rules.write_code(bytes(range(10)))
    assert code == "AAAQ-EAYE-AUDA-OCAJ"
    for typed in (code, code.lower(), code.replace("-", ""), " aaaq eaye auda ocaj\n"):
        assert rules.read_code(typed) == code
