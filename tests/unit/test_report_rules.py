"""Whose a report is, and how its tracking code is read."""

from datetime import UTC, date, datetime

import pytest

from app.party.access import Department, RoleKind
from app.report import rules, seed
from app.report.rules import ReportClock, ReportState
from app.testing.rules import ExtendedAlready, ExtensionLate

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


# The rules of the release: dates of 2025 whose holidays and make-up days everybody can look up.
RULES = [rules.Rule(**entry.model_dump()) for entry in seed.read_rules()]


def test_clocks_step_over_holidays_and_count_the_weekends_that_are_worked() -> None:
    # 26 September 2025, a Friday; 28 is a Sunday that is worked, 1 to 8 October are free, 11 is a
    # Saturday that is worked. The evening in Greenwich is the next day in Nantong.
    received = datetime(2025, 9, 25, 17, tzinfo=UTC)
    assert rules.due_on(RULES, ReportClock.DECIDE, received) == date(2025, 10, 13)
    assert rules.due_on(RULES, ReportClock.ANSWER, received) == date(2025, 10, 23)


def test_an_answer_is_put_off_on_its_last_day_and_no_later() -> None:
    due = date(2025, 10, 23)
    assert rules.put_off(RULES, due_on=due, already=0, on=due) == date(2025, 11, 13)
    for already in (0, 1):
        with pytest.raises(ExtensionLate):
            rules.put_off(RULES, due_on=due, already=already, on=date(2025, 10, 24))
    with pytest.raises(ExtendedAlready):
        rules.put_off(RULES, due_on=due, already=1, on=due)


def test_the_state_says_which_clock_runs() -> None:
    days = {"due_on": date(2025, 10, 13), "answer_due_on": date(2025, 10, 23)}
    assert rules.running(ReportState.RECEIVED, **days) == (ReportClock.DECIDE, date(2025, 10, 13))
    assert rules.running(ReportState.TAKEN_UP, **days) == (ReportClock.ANSWER, date(2025, 10, 23))
    assert rules.running(ReportState.ANSWERED, **days) is None
