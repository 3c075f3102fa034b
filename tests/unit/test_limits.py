"""Which limit decides, and what it comes to; and the limits that come with a release."""

import csv
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files

import pytest

from app.core.clock import SHANGHAI
from app.product.rules import Catalogue, Group, Product
from app.testing import seed
from app.testing.calendar import ClockKind, ClockRule, ClockUnit, WorkingDays
from app.testing.limits import Food, Ground, Limit, Scope, Standards, Substance, judge
from app.testing.limits import SubstanceGroup as Kind
from app.testing.rules import ItemVerdict, State, UnknownMethod, UnknownSubstance

CATEGORIES = {"蔬菜": None, "叶菜类": "蔬菜", "豆类": "蔬菜"}
CELERY, BEANS, STRING_BEANS = Food(17, "叶菜类"), Food(10, "豆类"), Food(11, "豆类")
ON = date(2026, 6, 1)


def limit(food: str, amount: str | None, **more: object) -> Limit:
    given: dict[str, object] = {
        "substance": "毒死蜱",
        "food": food,
        "scope": Scope.CATEGORY,
        "product_ids": frozenset(),
        "except_ids": frozenset(),
        "state": None,
        "amount": None if amount is None else Decimal(amount),
        "unit": "mg/kg",
        "temporary": False,
        "valid_from": date(2021, 9, 3),
        "valid_to": None,
        "source": "GB",
        "verified": False,
    }
    return Limit(**(given | more))  # type: ignore[arg-type]


def standards(*limits: Limit) -> Standards:
    return Standards(
        substances=[Substance("毒死蜱", "chlorpyrifos", Kind.PESTICIDE, ("乐斯本",), None, None)],
        categories=CATEGORIES,
        limits=limits,
    )


def most(found: Standards, food: Food, on: date = ON, state: State = State.FRESH) -> str | None:
    ruling = found.ruling("毒死蜱", food, state, on)
    return None if ruling.limit is None else str(ruling.limit.amount)


def test_product_comes_before_sub_category_before_category() -> None:
    of_product = limit("芹菜", "0.05", scope=Scope.PRODUCT, product_ids=frozenset({17}))
    known = standards(limit("蔬菜", "1"), limit("叶菜类", "0.02"), of_product)
    ruling = known.ruling("毒死蜱", CELERY, State.FRESH, ON)
    assert ruling.limit is of_product
    assert ruling.because == "product 芹菜"
    assert [str(beaten.amount) for beaten in ruling.beaten] == ["0.02", "1"]
    assert most(known, Food(16, "叶菜类")) == "0.02"
    assert most(known, BEANS) == "1"


def test_an_exception_falls_to_the_wider_category() -> None:
    known = standards(limit("豆类", "2", except_ids=frozenset({11})), limit("蔬菜", "0.1"))
    assert most(known, BEANS) == "2"
    assert most(known, STRING_BEANS) == "0.1"


def test_no_limit_is_no_pass() -> None:
    ruling = standards().ruling("毒死蜱", CELERY, State.FRESH, ON)
    assert (ruling.ground, ruling.limit) == (Ground.NO_LIMIT, None)
    assert judge(ruling, None, "mg/kg") is ItemVerdict.NO_LIMIT
    assert most(standards(limit("蔬菜", "1")), Food(1, None)) is None


def test_the_limit_is_that_of_the_day() -> None:
    end = date(2024, 1, 1)
    known = standards(limit("蔬菜", "1", valid_to=end), limit("蔬菜", "0.5", valid_from=end))
    assert most(known, CELERY, date(2021, 9, 2)) is None
    assert most(known, CELERY, date(2021, 9, 3)) == "1"
    assert most(known, CELERY, end - timedelta(days=1)) == "1"
    assert most(known, CELERY, end) == "0.5"


def test_a_later_edition_comes_before_one_that_nobody_ended() -> None:
    known = standards(limit("蔬菜", "1"), limit("蔬菜", "5", valid_from=date(2026, 3, 1)))
    assert most(known, CELERY) == "5"
    assert most(known, CELERY, date(2026, 2, 28)) == "1"


def test_the_very_state_comes_before_any() -> None:
    known = standards(limit("蔬菜", "1"), limit("蔬菜", "8", state=State.DRIED))
    assert most(known, CELERY) == "1"
    assert most(known, CELERY, state=State.DRIED) == "8"


@pytest.mark.parametrize(
    ("amount", "unit", "verdict"),
    [
        (None, "mg/kg", ItemVerdict.PASS),
        ("0.02", "mg/kg", ItemVerdict.PASS),
        ("0.020000001", "mg/kg", ItemVerdict.FAIL),
        ("20", "μg/kg", ItemVerdict.PASS),
        ("20.5", "µg/kg", ItemVerdict.FAIL),
    ],
)
def test_the_limit_itself_is_within_it(amount: str | None, unit: str, verdict: ItemVerdict) -> None:
    ruling = standards(limit("蔬菜", "0.02")).ruling("毒死蜱", CELERY, State.FRESH, ON)
    assert judge(ruling, None if amount is None else Decimal(amount), unit) is verdict


def test_what_is_banned_may_not_be_found_at_all() -> None:
    ruling = standards(limit("蔬菜", None)).ruling("毒死蜱", CELERY, State.FRESH, ON)
    assert ruling.ground is Ground.BANNED
    assert judge(ruling, Decimal("0.000001"), "μg/kg") is ItemVerdict.FAIL
    assert judge(ruling, None, "μg/kg") is ItemVerdict.PASS


def test_a_substance_is_found_by_any_of_its_names() -> None:
    for called in ("毒死蜱", " 乐斯本 ", "Chlorpyrifos"):
        assert standards().substance(called).name == "毒死蜱"
    with pytest.raises(UnknownSubstance):
        standards().substance("瘦肉精")
    with pytest.raises(UnknownMethod):
        standards().method("dowsing", ON)


# --- tables ---------------------------------------------------------------------------------------

CATALOGUE = Catalogue(
    version="x",
    products=[
        Product(17, "芹菜", None, "叶菜类", Group.VEGETABLE, "公斤", False, None, (), "s", True)
    ],
)
HEAD = ["项目", "食品", "范围", "限量", "单位", "生效", "来源"]
GOOD = ["毒死蜱", "芹菜", "产品", "0.05", "mg/kg", "2021-09-03", "GB 2763-2021"]


def read(*rows: list[str], head: list[str] | None = None) -> list[seed.ReadRow]:
    return seed.read_limits(
        [(no, dict(zip(head or HEAD, row, strict=False))) for no, row in enumerate(rows, start=2)],
        substances=["毒死蜱"],
        categories=CATEGORIES,
        catalogue=CATALOGUE,
    )


def test_a_table_is_read_with_chinese_headings() -> None:
    [row] = read(GOOD)
    assert row.problems == ()
    assert row.number == 2
    assert row.values["product_ids"] == [17]
    assert (row.values["amount"], row.values["verified"]) == (Decimal("0.05"), False)
    [banned] = read([*GOOD[:3], "不得检出", *GOOD[4:]])
    assert banned.values["amount"] is None


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("项目", "没听说过", "not known"),
        ("范围", "somewhere", "scope"),
        ("限量", "little", "limit"),
        ("限量", "-1", "limit"),
        ("限量", "", "limit"),
        ("单位", "ppm", "unit is none of"),
        ("生效", "soon", "valid_from"),
        ("来源", "", "source"),
    ],
)
def test_a_bad_row_is_refused_alone(column: str, cell: str, told: str) -> None:
    bad = list(GOOD)
    bad[HEAD.index(column)] = cell
    other = [*GOOD[:5], "2026-03-01", GOOD[6]]
    refused, taken = read(bad, other)
    assert any(told in problem.en for problem in refused.problems), refused.problems
    assert taken.problems == ()


def test_a_row_that_comes_twice_and_a_category_that_is_none_are_refused() -> None:
    _, twice, category = read(GOOD, GOOD, [*GOOD[:2], "类别", *GOOD[3:]])
    assert "Row 2" in twice.problems[0].en
    assert "no category" in category.problems[0].en


def test_a_food_outside_the_catalogue_is_kept_with_a_note() -> None:
    [row] = read([GOOD[0], "茶叶", *GOOD[2:]])
    assert row.problems == ()
    assert row.values["product_ids"] == []
    assert "applies to none yet" in row.notes[0].en


def test_a_file_that_is_no_table_is_refused() -> None:
    for rows in ([], [(2, {"just": "a", "words": "b"})]):
        with pytest.raises(seed.TableUnreadable):
            seed.read_limits(rows, substances=[], categories=[], catalogue=CATALOGUE)


def test_limits_that_nobody_compared_with_the_text_say_so() -> None:
    text = files("app.testing").joinpath("data/limits.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    verified = {(row["substance"], row["food"]) for row in rows if row["verified"] == "yes"}
    assert verified == {
        ("甲基异柳磷", "豆类"),
        ("咪鲜胺", "山药"),
        ("恩诺沙星", "鱼"),
        *(
            (drug, meat)
            for drug in ("土霉素", "金霉素", "四环素")
            for meat in ("哺乳动物肉类", "禽肉")
        ),
    }


# --- clocks ---------------------------------------------------------------------------------------


def rule(amount: int, unit: ClockUnit) -> ClockRule:
    return ClockRule(
        ClockKind.OBJECTION_LAB, "any", amount, unit, date(2016, 1, 1), None, "s", True
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("amount", "unit", "began", "due"),
    [
        (4, ClockUnit.HOURS, "2026-06-18T22:30", "2026-06-19T02:30"),
        (90, ClockUnit.DAYS, "2026-06-18T04:00", "2026-09-17T00:00"),
        # Thursday; Friday 19 June 2026 is the Dragon Boat Festival.
        (5, ClockUnit.WORKING_DAYS, "2026-06-18T04:00", "2026-06-27T00:00"),
        # Before the National Day: Sunday 20 September is worked for it.
        (1, ClockUnit.WORKING_DAYS, "2026-09-19T12:00", "2026-09-21T00:00"),
        (1, ClockUnit.WORKING_DAYS, "2026-09-30T23:59", "2026-10-09T00:00"),
    ],
)
def test_when_a_time_is_over(amount: int, unit: ClockUnit, began: str, due: str) -> None:
    found = WorkingDays({}).due(rule(amount, unit), at(began))
    assert found.at == at(due)
    assert not found.assumed


def test_a_year_that_nobody_announced_is_assumed_and_says_so() -> None:
    far = WorkingDays({}).due(rule(1, ClockUnit.WORKING_DAYS), at("2031-09-30T09:00"))
    assert (far.at, far.assumed) == (at("2031-10-02T00:00"), True)


def test_an_announcement_that_was_entered_comes_first() -> None:
    holidays = {date(2031, 10, day): False for day in range(1, 8)}
    known = WorkingDays(holidays | {date(2031, 10, 8): True})
    found = known.due(rule(1, ClockUnit.WORKING_DAYS), at("2031-09-30T09:00"))
    assert (found.at, found.assumed) == (at("2031-10-09T00:00"), False)
