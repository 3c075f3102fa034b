"""Rules of recalls: who answers, how long things may take, what adds up, when a case may end."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.party.access import Department, RoleKind, departments_of
from app.recall import rules, seed
from app.recall.rules import LotAccount, Method, Outcome, Relation, StepKind, Term, Totals
from app.testing.calendar import WorkingDays

AT = datetime(2026, 6, 18, 2, tzinfo=UTC)
TERMS = [Term(**entry.model_dump()) for entry in seed.read_terms()]
NOWHERE: frozenset[str] = frozenset()
FARM, SHOP, MARKET = "320682001", "320602001", "320613001"


# --- who answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "came_through", "sold_in", "answers"),
    [
        (RoleKind.FARMER, NOWHERE, NOWHERE, {Department.AGRICULTURE: {FARM, SHOP}}),
        (RoleKind.COLLECTOR, NOWHERE, NOWHERE, {Department.AGRICULTURE: {FARM, SHOP}}),
        (RoleKind.SLAUGHTER, NOWHERE, NOWHERE, {Department.AGRICULTURE: {FARM, SHOP}}),
        (
            RoleKind.FARMER,
            NOWHERE,
            frozenset({MARKET}),
            {Department.AGRICULTURE: {FARM, SHOP}, Department.MARKET_REGULATION: {MARKET}},
        ),
        (RoleKind.STALL, NOWHERE, NOWHERE, {Department.MARKET_REGULATION: {SHOP}}),
        (RoleKind.PROCESSOR, NOWHERE, NOWHERE, {Department.MARKET_REGULATION: {SHOP}}),
        (RoleKind.GROUP_BUYER, NOWHERE, NOWHERE, {Department.MARKET_REGULATION: {SHOP}}),
        # Bought in a market: whoever holds it now, the goods are beyond the gate.
        (
            RoleKind.FARMER,
            frozenset({MARKET}),
            NOWHERE,
            {Department.MARKET_REGULATION: {MARKET, SHOP}},
        ),
    ],
)
def test_the_gate_of_the_market_divides_the_departments(
    role: RoleKind,
    came_through: frozenset[str],
    sold_in: frozenset[str],
    answers: dict[Department, set[str]],
) -> None:
    assert (
        rules.answering(
            holder_roles=[role],
            consumed=False,
            lot_division=FARM,
            site_division=SHOP,
            came_through=came_through,
            sold_in=sold_in,
        )
        == answers
    )


def test_what_a_walk_in_took_is_beyond_the_gate() -> None:
    answers = rules.answering(
        holder_roles=[],
        consumed=True,
        lot_division=FARM,
        site_division=None,
        came_through=NOWHERE,
        sold_in=NOWHERE,
    )
    assert answers == {Department.MARKET_REGULATION: frozenset()}


def test_a_role_without_a_department_is_for_both() -> None:
    both = frozenset(Department)
    assert departments_of([]) == both
    assert departments_of([None, "agriculture"]) == both
    assert departments_of(["agriculture"]) == {Department.AGRICULTURE}


# --- terms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grade", "start", "finish"),
    [(1, 24, date(2026, 7, 3)), (2, 48, date(2026, 7, 17)), (3, 72, date(2026, 7, 31))],
)
def test_each_class_has_its_clocks(grade: int, start: int, finish: date) -> None:
    due = rules.due_at(TERMS, f"start_{grade}", AT)
    assert (due - AT).total_seconds() == start * 3600
    assert rules.due_on(TERMS, f"finish_{grade}", AT, WorkingDays({})) == (finish, True)


def test_what_an_operator_knows_of_the_calendar_counts() -> None:
    worked = WorkingDays({date(2026, 6, 20): True, date(2026, 6, 22): False})
    assert rules.due_on(TERMS, "finish_1", AT, worked) == (date(2026, 7, 3), True)
    far = datetime(2099, 1, 1, tzinfo=UTC)
    assert rules.due_on(TERMS, "finish_1", far, WorkingDays({})).arranged is False


def test_the_term_of_the_day_counts() -> None:
    old = Term("start_1", date(2015, 9, 1), date(2026, 6, 18), 24, None, "old", verified=True)
    new = Term("start_1", date(2026, 6, 18), None, 12, None, "new", verified=True)
    before = datetime(2026, 6, 17, 15, 59, tzinfo=UTC)  # 23:59 in Nantong
    for terms in ([old, new], [new, old]):
        assert (rules.due_at(terms, "start_1", AT) - AT).total_seconds() == 12 * 3600
        assert (rules.due_at(terms, "start_1", before) - before).total_seconds() == 24 * 3600


def test_a_gap_in_the_data_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="the data has a gap"):
        rules.due_at(TERMS, "start_1", datetime(2010, 1, 1, tzinfo=UTC))


# --- scope ------------------------------------------------------------------------------------


def test_the_nearest_relation_counts() -> None:
    found = rules.relations(
        range(1, 7), found={3}, suspects={1, 3}, upstream={1, 2}, below={3, 4, 5}
    )
    assert found == {
        1: Relation.SOURCE,
        2: Relation.UPSTREAM,
        3: Relation.FOUND,
        4: Relation.DESCENDANT,
        5: Relation.DESCENDANT,
        6: Relation.SIBLING,
    }


@given(
    st.lists(st.tuples(st.uuids(), st.integers(1, 10**10)), unique_by=lambda lot: lot[0]),
    st.randoms(),
)
def test_the_hash_of_a_scope_knows_no_order_and_every_gram(
    lots: list[tuple[UUID, int]], chance: "object"
) -> None:
    shuffled = list(lots)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rules.scope_hash(shuffled) == rules.scope_hash(lots)
    if lots:
        heavier = [(lots[0][0], lots[0][1] + 1), *lots[1:]]
        assert rules.scope_hash(heavier) != rules.scope_hash(lots)


# --- grams ------------------------------------------------------------------------------------

_grams = st.integers(0, 50)


@given(st.tuples(_grams, _grams, _grams), st.booleans(), st.lists(st.tuples(
    st.sampled_from((*StepKind, "disposal")), st.integers(1, 40)), max_size=30))  # fmt: skip
def test_no_order_of_steps_accounts_for_more_than_there_was(
    there: tuple[int, int, int], held: bool, steps: list[tuple[str, int]]
) -> None:
    on_hand, transit, gone = there if held else (0, 0, there[2])
    account = LotAccount(on_hand, transit, gone, 0, 0, 0, 0, 0, held=held)
    column = {kind: f"{kind}_g" for kind in StepKind}
    for kind, mass_g in steps:
        try:
            if kind == "disposal":
                lot = UUID(int=1)
                rules.check_disposal(
                    {lot: account}, {lot: mass_g}, Method.DESTROYED, grade=1, mock=False
                )
                account = replace(account, destroyed_g=account.destroyed_g + mass_g)
                continue
            step = StepKind(kind)
            rules.check_step(account, step, mass_g, mock=False)
        except rules.GramsDiffer:
            continue
        name = column[step]
        account = replace(account, **{name: getattr(account, name) + mass_g})
    assert account.destroyed_g <= account.recovered_g <= account.located_g
    limit = on_hand + transit if held else gone
    assert account.located_g + account.consumed_g <= limit


def totals(**more: int) -> Totals:
    none = dict.fromkeys(Totals.__dataclass_fields__, 0) | {"last_acknowledged_at": None}
    return Totals(**{**none, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("open_things", "refusal"),
    [
        ({"left_g": 1, "unacknowledged": 1}, rules.GramsOpen),
        ({"half_way_g": 1, "unanswered": 1}, rules.GramsOpen),
        ({"unacknowledged": 1}, rules.StepsOpen),
        ({"unanswered": 1, "sampled_g": 1}, rules.StepsOpen),
        ({"sampled_g": 1}, rules.SamplesUnsigned),
        ({"sampled_g": 3}, rules.SamplesUnsigned),
    ],
)
def test_a_case_ends_when_nothing_is_open(
    open_things: dict[str, int], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        rules.check_closure(totals(**open_things), Outcome.COMPLETED, signed_g=2, mock=False)
    rules.check_closure(totals(**open_things), Outcome.LIFTED, signed_g=2, mock=False)
    rules.check_closure(totals(**open_things), Outcome.COMPLETED, signed_g=2, mock=True)
    rules.check_closure(totals(sampled_g=1), Outcome.COMPLETED, signed_g=1, mock=False)


def test_the_accounted_share_is_rounded_down() -> None:
    assert totals(total_g=3, accounted_g=2).accounted_permille == 666
    assert totals().accounted_permille == 1000


def test_terms_that_make_no_sense_are_not_loaded() -> None:
    good = seed.read_terms()[0].model_dump()
    for wrong in (
        {"hours": None},
        {"working_days": 1},
        {"valid_to": good["valid_from"]},
        {"kind": "start_4"},
        {"hours": 0},
    ):
        with pytest.raises(ValueError, match="validation error"):
            seed.TermEntry(**{**good, **wrong})


# --- who ends a recall ----------------------------------------------------------------------------

_FARMS, _SHOPS = Department.AGRICULTURE, Department.MARKET_REGULATION


def _office(number: int, area: str, *departments: Department) -> rules.Office:
    return rules.Office(number, area, frozenset(departments or Department))


@pytest.mark.parametrize(
    ("goods", "site", "ends"),
    [
        pytest.param([{_SHOPS: {"320613001"}}], "320682", {2, 3}, id="where they lie"),
        pytest.param([{_FARMS: {"320613"}}], "320682", {4}, id="of the department"),
        pytest.param([{_FARMS: {"320613"}, _SHOPS: {"320613"}}], None, {2, 3, 4}, id="either side"),
        pytest.param([{_SHOPS: {"320613"}}, {_SHOPS: {"320682"}}], "320682", {3}, id="over both"),
        pytest.param([{_SHOPS: {"320613", "320682"}}], None, {1, 2, 3}, id="any place of a lot"),
        pytest.param(
            [{_SHOPS: {"320613"}}, {_FARMS: {"320682"}}], "320682", {3, 4}, id="two sides"
        ),
        pytest.param(
            [{_SHOPS: {"320682"}}, {_SHOPS: {"310115"}}], "320682", {1, 3}, id="far apart"
        ),
        pytest.param([{_SHOPS: {"320682"}}, {_SHOPS: {"310115"}}], "370000", {3}, id="the widest"),
        pytest.param([{_SHOPS: set()}], "320613", {2, 3}, id="the opener's site"),
        pytest.param([{_SHOPS: set()}], None, {3}, id="nowhere known"),
        pytest.param([{_FARMS: set()}], None, {4}, id="nowhere known, of the department"),
        pytest.param([{_SHOPS: {"310115"}}], "310115", {3}, id="where no office is"),
    ],
)
def test_who_ends_a_recall_goes_by_where_the_goods_are(
    goods: list[dict[Department, set[str]]], site: str | None, ends: set[int]
) -> None:
    offices = [
        _office(1, "320682", _SHOPS),
        _office(2, "320613", _SHOPS),
        _office(3, "3206", _SHOPS),
        _office(4, "3206", _FARMS),
    ]
    assert rules.offices_in_charge(offices, goods, site=site) == ends


def test_without_an_office_of_the_department_nobody_ends_a_recall() -> None:
    offices = [_office(4, "3206", _FARMS)]
    assert rules.offices_in_charge(offices, [{_SHOPS: {"320682"}}], site="320682") == set()
