"""What tests come to: readings, cases, laboratories, standings and inheritance."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import DomainError, Text
from app.party.access import RoleKind
from app.testing import rules
from app.testing.rules import (
    AGAINST,
    HOLDING,
    Authority,
    Fact,
    ItemVerdict,
    JudgedItem,
    Layer,
    Lineage,
    Method,
    Outcome,
    QuickReading,
    Reading,
    Standing,
    Status,
    Verdict,
    assess,
    inherit,
    read_off,
)

PASS, SUSPECT, POSITIVE, FAIL, INVALID, OPEN = (
    Outcome.PASS,
    Outcome.SUSPECT,
    Outcome.POSITIVE,
    Outcome.FAIL,
    Outcome.INVALID,
    Outcome.UNDETERMINED,
)


def method(
    reading: Reading = Reading.INHIBITION, suspect: str | None = "40", positive: str | None = "50"
) -> Method:
    return Method(
        code="m",
        name=Text("法", "method"),
        reading=reading,
        covers=("克百威",),
        suspect_from=None if suspect is None else Decimal(suspect),
        positive_from=None if positive is None else Decimal(positive),
        repeats=2,
        interferes=frozenset(),
        advice=None,
        valid_from=date(2004, 1, 1),
        valid_to=None,
        source="s",
        verified=False,
    )


# --- readings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ("-3", PASS),
        ("0", PASS),
        ("39.999", PASS),
        ("40", SUSPECT),
        ("49.999", SUSPECT),
        ("50", POSITIVE),
        ("118", POSITIVE),
    ],
)
def test_the_bands_of_inhibition(value: str, outcome: Outcome) -> None:
    assert read_off(method(), QuickReading(value=Decimal(value))) is outcome


def test_the_older_method_has_no_suspect_band() -> None:
    older = method(suspect=None, positive="70")
    assert read_off(older, QuickReading(value=Decimal("69.9"))) is PASS
    assert read_off(older, QuickReading(value=Decimal(70))) is POSITIVE


def test_a_value_is_shown_between_nothing_and_all() -> None:
    assert [rules.clamped(Decimal(value)) for value in ("-3", "12.5", "118")] == [
        Decimal(0),
        Decimal("12.5"),
        Decimal(100),
    ]


@pytest.mark.parametrize(
    ("control", "line", "told", "outcome"),
    [
        (False, None, None, INVALID),
        (False, rules.TestLine.STRONGER, None, INVALID),
        (False, rules.TestLine.STRONGER, True, INVALID),
        (True, rules.TestLine.STRONGER, None, PASS),
        (True, rules.TestLine.EQUAL, None, PASS),
        (True, rules.TestLine.WEAKER, None, POSITIVE),
        (True, rules.TestLine.NONE, None, POSITIVE),
        (True, rules.TestLine.STRONGER, True, SUSPECT),
        (True, rules.TestLine.NONE, False, POSITIVE),
        (None, None, True, POSITIVE),
        (None, None, False, PASS),
    ],
)
def test_a_strip(
    control: bool | None, line: rules.TestLine | None, told: bool | None, outcome: Outcome
) -> None:
    reading = QuickReading("克百威", control_line=control, test_line=line, told_positive=told)
    assert read_off(method(Reading.STRIP, None, None), reading) is outcome


def test_a_colour_reaction() -> None:
    colour = method(Reading.COLOUR, None, None)
    assert read_off(colour, QuickReading("甲醛", detected=True)) is POSITIVE
    assert read_off(colour, QuickReading("甲醛", detected=False)) is PASS


def test_a_device_that_found_something_is_not_overruled() -> None:
    assert read_off(method(), QuickReading(value=Decimal(30), told_positive=True)) is SUSPECT
    assert read_off(method(), QuickReading(value=Decimal(43), told_positive=False)) is SUSPECT


@pytest.mark.parametrize(
    ("reading", "given"),
    [
        (Reading.INHIBITION, QuickReading()),
        (Reading.STRIP, QuickReading(control_line=True, test_line=rules.TestLine.NONE)),
        (Reading.STRIP, QuickReading("克百威")),
        (Reading.STRIP, QuickReading("克百威", control_line=True)),
        (Reading.COLOUR, QuickReading(detected=True)),
        (Reading.COLOUR, QuickReading("甲醛")),
    ],
)
def test_a_reading_that_is_not_the_methods_is_missing(
    reading: Reading, given: QuickReading
) -> None:
    with pytest.raises(rules.ReadingMissing):
        read_off(method(reading), given)


# --- reports --------------------------------------------------------------------------------------


def items(*verdicts: tuple[ItemVerdict, bool]) -> list[JudgedItem]:
    return [JudgedItem("x", detected, verdict) for verdict, detected in verdicts]


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ([(ItemVerdict.PASS, True)], PASS),
        ([(ItemVerdict.PASS, False), (ItemVerdict.NO_LIMIT, False)], PASS),
        ([(ItemVerdict.PASS, False), (ItemVerdict.NO_LIMIT, True)], OPEN),
        ([(ItemVerdict.NO_LIMIT, False)], OPEN),
        ([(ItemVerdict.PASS, False), (ItemVerdict.FAIL, True)], FAIL),
        ([(ItemVerdict.NO_LIMIT, True), (ItemVerdict.FAIL, True)], FAIL),
    ],
)
def test_what_a_report_comes_to(found: list[tuple[ItemVerdict, bool]], outcome: Outcome) -> None:
    assert rules.of_report(items(*found)) is outcome


# --- cases ----------------------------------------------------------------------------------------


def quick(outcome: Outcome, series: str = "m", *substances: str) -> Fact:
    return Fact(
        rules.TestKind.QUICK, outcome, series, frozenset(substances or ("克百威",)), repeats_due=2
    )


def lab(
    outcome: Outcome, *substances: str, failed: Sequence[str] = (), retest: bool = False
) -> Fact:
    named = substances or ("克百威",)
    if outcome is FAIL and not failed:
        failed = named
    return Fact(
        rules.TestKind.LAB, outcome, "gb", frozenset(named), frozenset(failed), retest=retest
    )


@pytest.mark.parametrize(
    ("tests", "status"),
    [
        ([], Status.SAMPLED),
        ([quick(INVALID)], Status.INVALID),
        ([quick(INVALID), quick(PASS)], Status.PASSED),
        ([quick(PASS)], Status.PASSED),
        ([quick(SUSPECT)], Status.SUSPECT),
        ([quick(POSITIVE)], Status.POSITIVE),
        ([quick(PASS), quick(POSITIVE)], Status.POSITIVE),
        ([quick(SUSPECT), quick(POSITIVE)], Status.POSITIVE),
        # Repeated twice, and an invalid strip is no repeat.
        ([quick(POSITIVE), quick(PASS)], Status.POSITIVE),
        ([quick(POSITIVE), quick(INVALID), quick(POSITIVE)], Status.POSITIVE),
        ([quick(POSITIVE), quick(POSITIVE), quick(SUSPECT)], Status.PRESUMPTIVE),
        ([quick(SUSPECT), quick(SUSPECT), quick(SUSPECT)], Status.PRESUMPTIVE),
        ([quick(POSITIVE), quick(PASS), quick(PASS)], Status.CLEARED),
        ([quick(POSITIVE), quick(PASS), quick(POSITIVE)], Status.SUSPECT),
        # Series stand side by side, and the gravest counts.
        ([quick(PASS), quick(POSITIVE, "s", "氯霉素")], Status.POSITIVE),
        ([quick(POSITIVE, "s", "氯霉素"), quick(PASS)], Status.POSITIVE),
        # The laboratory.
        ([lab(PASS)], Status.PASSED),
        ([lab(FAIL)], Status.CONFIRMED_FAIL),
        ([lab(OPEN)], Status.UNDETERMINED),
        ([quick(POSITIVE), lab(PASS)], Status.CLEARED),
        ([quick(POSITIVE), lab(PASS, "铅")], Status.POSITIVE),
        ([quick(PASS), lab(FAIL)], Status.CONFIRMED_FAIL),
        ([quick(POSITIVE), lab(OPEN)], Status.POSITIVE),
        # The re-test.
        ([lab(FAIL), lab(PASS, retest=True)], Status.CLEARED),
        ([lab(FAIL), lab(FAIL, retest=True)], Status.CONFIRMED_FAIL),
        ([lab(FAIL), lab(OPEN, retest=True)], Status.CONFIRMED_FAIL),
        ([lab(FAIL, "克百威", "铅"), lab(PASS, "铅", retest=True)], Status.CONFIRMED_FAIL),
    ],
)
def test_where_a_case_stands(tests: list[Fact], status: Status) -> None:
    assert assess(tests) is status


outcomes = st.sampled_from([PASS, SUSPECT, POSITIVE, INVALID])


@given(st.lists(st.builds(quick, outcomes, st.sampled_from(["a", "b"])), max_size=8))
def test_quick_tests_alone_never_confirm_and_a_finding_never_just_goes_away(
    tests: list[Fact],
) -> None:
    status = assess(tests)
    assert status is not Status.CONFIRMED_FAIL
    found = any(test.outcome in {SUSPECT, POSITIVE} for test in tests)
    # What was found is held, or was repeated twice and found no more.
    assert (status in HOLDING or status is Status.CLEARED) is found


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        # Each breaks every later rule too.
        ({"kind": rules.TestKind.QUICK, "retest": True, "objected": False}, rules.RetestNotQuick),
        ({"kind": rules.TestKind.QUICK, "objected": True}, rules.RetestNotQuick),
        ({"kind": rules.TestKind.QUICK, "status": Status.PRESUMPTIVE}, rules.RetestNotQuick),
        ({"kind": rules.TestKind.QUICK, "status": Status.CLEARED}, rules.RetestNotQuick),
        ({"kind": rules.TestKind.QUICK, "earlier_labs": [7]}, rules.RetestNotQuick),
        ({"retest": True, "earlier_labs": [1]}, rules.NoObjection),
        ({"retest": True, "objected": True, "earlier_labs": [1]}, rules.SameLab),
        ({"status": Status.CONFIRMED_FAIL, "earlier_labs": [7]}, rules.SampleDecided),
        ({"status": Status.PASSED, "earlier_labs": [7]}, rules.SampleDecided),
    ],
)
def test_what_the_state_of_a_case_does_not_allow(
    given: dict[str, object], refusal: type[DomainError]
) -> None:
    usual: dict[str, object] = {
        "kind": rules.TestKind.LAB,
        "retest": False,
        "status": Status.SAMPLED,
        "objected": False,
        "lab": 1,
        "earlier_labs": [],
    }
    with pytest.raises(refusal):
        rules.check_test(**(usual | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "authority", "role", "fits"),
    [
        (Layer.WHOLESALE_MARKET, None, RoleKind.MARKET, True),
        (Layer.RETAIL_MARKET, None, RoleKind.MARKET, True),
        (Layer.WHOLESALE_MARKET, Authority.AGRICULTURE, RoleKind.MARKET, False),
        (Layer.JOINT_QUICK, Authority.AGRICULTURE, RoleKind.MARKET, False),
        (Layer.JOINT_QUICK, Authority.AGRICULTURE, RoleKind.REGULATOR, True),
        (Layer.STATUTORY_LAB, Authority.MARKET_REGULATION, RoleKind.REGULATOR, True),
        (Layer.STATUTORY_LAB, None, RoleKind.REGULATOR, False),
        (Layer.OWN, None, RoleKind.REGULATOR, False),
        (Layer.OWN, None, RoleKind.STALL, True),
        (Layer.WHOLESALE_MARKET, None, RoleKind.STALL, False),
        (Layer.OWN, Authority.AGRICULTURE, RoleKind.STALL, False),
    ],
)
def test_layers_are_for_those_who_test_there(
    layer: Layer, authority: Authority | None, role: RoleKind, fits: bool
) -> None:
    if fits:
        rules.check_layer(layer, authority, frozenset({role}))
        return
    with pytest.raises(rules.LayerNotYours):
        rules.check_layer(layer, authority, frozenset({role}))


# --- standings ------------------------------------------------------------------------------------


def standing(verdict: Verdict) -> Standing:
    return Standing(verdict)


def test_a_pass_clears_no_other_samples_fail() -> None:
    both = [standing(Verdict.FAILED), standing(Verdict.PASSED)]
    assert rules.worst(both).verdict is Verdict.FAILED
    assert rules.worst(reversed(both)).verdict is Verdict.FAILED
    assert rules.worst([]).verdict is Verdict.UNTESTED


CHAIN = Lineage({3: [2], 2: [1]}, {1: 18, 2: 18, 3: 18})
MIXED = Lineage({3: [1, 2]}, {1: 18, 2: 18, 3: 18})


def test_what_stands_against_an_ancestor_stands_against_the_lot() -> None:
    own = {1: standing(Verdict.FAILED), 3: standing(Verdict.PASSED)}
    found = inherit(3, own, CHAIN)
    assert (found.verdict, found.inherited_from) == (Verdict.FAILED, 1)
    assert inherit(3, {1: standing(Verdict.SUSPECT)}, CHAIN).verdict is Verdict.SUSPECT


def test_a_pass_is_inherited_only_where_all_of_the_goods_passed() -> None:
    passed = standing(Verdict.PASSED)
    assert inherit(3, {1: passed}, CHAIN).verdict is Verdict.PASSED
    assert inherit(3, {1: passed}, MIXED).verdict is Verdict.UNTESTED
    assert inherit(3, {1: passed, 2: passed}, MIXED).verdict is Verdict.PASSED
    other = Lineage({3: [1]}, {1: 122, 3: 35})
    assert inherit(3, {1: passed}, other).verdict is Verdict.UNTESTED


def test_an_own_result_counts_before_an_inherited_pass() -> None:
    own = {1: standing(Verdict.PASSED), 3: Standing(Verdict.PASSED, layer=Layer.OWN)}
    assert inherit(3, own, CHAIN).layer is Layer.OWN
    assert inherit(3, {}, CHAIN).verdict is Verdict.UNTESTED


def test_a_chain_may_be_longer_than_pythons_stack() -> None:
    parents = {lot: [lot - 1] for lot in range(1, 5_000)}
    lineage = Lineage(parents, dict.fromkeys(range(5_000), 18))
    assert inherit(4_999, {0: standing(Verdict.FAILED)}, lineage).verdict is Verdict.FAILED


@given(st.lists(st.sampled_from(Verdict), min_size=3, max_size=3))
def test_inheritance_only_ever_makes_worse_or_lends_a_pass(verdicts: list[Verdict]) -> None:
    own = {lot: standing(verdict) for lot, verdict in enumerate(verdicts, start=1)}
    found = inherit(3, own, MIXED).verdict
    against = AGAINST & set(verdicts)
    assert (found in AGAINST) is bool(against)
    if not against and found is not verdicts[2]:
        assert (verdicts[2], found) == (Verdict.UNTESTED, Verdict.PASSED)
