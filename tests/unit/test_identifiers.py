from datetime import date, timedelta
from itertools import pairwise

import pytest
import stdnum.cn.ric
import stdnum.cn.uscc
from hypothesis import assume, given
from hypothesis import strategies as st

from app.party import identifiers
from app.party.identifiers import PhoneInvalid, ResidentIdInvalid, UsccInvalid

TODAY = date(2026, 6, 18)

# domain.md §1.2: made up, checksums right, registering codes of Nantong.
ENTERPRISE = "91320613MA7NT00171"
STALL = "92320613MA7NT0025Q"
COOP = "93320682MA7NT0033E"
SCHOOL = "12320600MB0NT0050G"
AGENCY = "11320600MB0NT0069G"
PRIVATE_NON_ENTERPRISE = "52320612MJ0NT0084N"
VILLAGE_COLLECTIVE = "N2320623MF0NT0071J"
REAL = "91110000600037341L"
USCCS = [
    ENTERPRISE,
    STALL,
    COOP,
    SCHOOL,
    AGENCY,
    PRIVATE_NON_ENTERPRISE,
    VILLAGE_COLLECTIVE,
    REAL,
]
IDS = ["11010519491231002X", "360426199101010071"]

DEPARTMENTS = ["11", "12", "51", "52", "91", "92", "93", "N1", "N2", "N3", "N9", "Y1", "A1"]
LETTERS = identifiers.USCC_LETTERS


@st.composite
def usccs(draw: st.DrawFn, departments: list[str] = DEPARTMENTS) -> str:
    first = draw(st.sampled_from(departments))
    division = draw(st.from_regex(r"[1-8][0-9]{5}", fullmatch=True))
    organisation = draw(st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=8, max_size=8))
    check = identifiers.organisation_check_character(organisation)
    first_17 = first + division + organisation + check
    return first_17 + identifiers.uscc_check_character(first_17)


@st.composite
def resident_ids(draw: st.DrawFn, earliest: date = date(1927, 1, 1)) -> str:
    born_on = draw(st.dates(earliest, date(2009, 1, 1)))
    county = draw(
        st.sampled_from(["320602", "320611", "320612", "320613", "320623", "320684", "320685"])
    )
    sequence = draw(st.integers(1, 999))
    first_17 = f"{county}{born_on:%Y%m%d}{sequence:03}"
    return first_17 + identifiers.resident_id_check_character(first_17)


# --- unified social credit code ------------------------------------------------------------------


@pytest.mark.parametrize("value", USCCS)
def test_uscc_of_every_kind_is_accepted(value: str) -> None:
    assert identifiers.check_uscc(value) == ()


@given(usccs([d for d in DEPARTMENTS if d.isdigit()]))
def test_uscc_agrees_with_stdnum_where_stdnum_is_right(value: str) -> None:
    identifiers.check_uscc(value)
    assert stdnum.cn.uscc.is_valid(value)


def test_stdnum_is_wrong_about_rural_collectives() -> None:
    """The reason why we do not call it: GB 32100 gives agriculture the letter N."""
    identifiers.check_uscc(VILLAGE_COLLECTIVE)
    assert not stdnum.cn.uscc.is_valid(VILLAGE_COLLECTIVE)


@given(usccs(), st.integers(0, 17), st.sampled_from(LETTERS))
def test_uscc_with_any_one_character_changed_is_refused(value: str, at: int, other: str) -> None:
    assume(value[at] != other)
    with pytest.raises(UsccInvalid):
        identifiers.check_uscc(value[:at] + other + value[at + 1 :])


@given(usccs(), st.integers(0, 15))
def test_uscc_with_two_neighbours_swapped_is_refused(value: str, at: int) -> None:
    assume(value[at] != value[at + 1])
    swapped = value[:at] + value[at + 1] + value[at] + value[at + 2 :]
    with pytest.raises(UsccInvalid):
        identifiers.check_uscc(swapped)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (ENTERPRISE[:-1], "length"),
        (ENTERPRISE + "1", "length"),
        ("", "length"),
        (ENTERPRISE.replace("T", "S"), "alphabet"),
        (ENTERPRISE[:2] + "A" + ENTERPRISE[3:], "alphabet"),
        ("九" + ENTERPRISE[1:], "alphabet"),
        (ENTERPRISE[:2] + "٣" + ENTERPRISE[3:], "alphabet"),
        (ENTERPRISE[:-1] + "2", "checksum"),
        # A row per rule that breaks every later rule too: the first is the answer.
        ("S" * 17, "length"),
        ("S" * 18, "alphabet"),
    ],
)
def test_uscc_refusals_name_their_reason(value: str, reason: str) -> None:
    with pytest.raises(UsccInvalid) as refusal:
        identifiers.check_uscc(value)
    assert refusal.value.facts["reason"] == reason


@given(usccs(), st.sampled_from(LETTERS))
def test_organisation_code_that_does_not_fit_is_a_warning_only(value: str, other: str) -> None:
    assume(value[16] != other)
    first_17 = value[:16] + other
    whole = first_17 + identifiers.uscc_check_character(first_17)
    (warning,) = identifiers.check_uscc(whole)
    assert "组织机构代码" in warning.zh


@pytest.mark.parametrize(
    ("typed", "notes"),
    [
        (ENTERPRISE, 0),
        (f" {ENTERPRISE} ", 1),
        ("9132 0613-MA7N T001 71", 1),
        (ENTERPRISE.lower(), 1),
        ("91320613MA7NTOO171", 1),
        ("9I320613MA7NT00I7I", 1),
        ("９１３２０６１３ＭＡ７ＮＴ００１７１", 1),
        ("9i32o613ma7ntooi7i", 3),
        (f"\u200b{ENTERPRISE}\ufeff", 1),
    ],
)
def test_uscc_is_cleaned_and_every_kind_of_change_is_told(typed: str, notes: int) -> None:
    cleaned = identifiers.normalise_uscc(typed)
    assert cleaned.value == ENTERPRISE
    assert len(cleaned.notes) == notes
    assert all(note.zh and note.en for note in cleaned.notes)


@given(st.text(max_size=40))
def test_cleaning_is_done_after_one_pass_and_never_fails(text: str) -> None:
    for normalise in (
        identifiers.normalise_uscc,
        identifiers.normalise_resident_id,
    ):
        once = normalise(text)
        assert normalise(once.value) == identifiers.Normalised(once.value)


@given(usccs())
def test_cleaning_leaves_what_is_right_alone(value: str) -> None:
    assert identifiers.normalise_uscc(value) == identifiers.Normalised(value)


# --- resident id ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", IDS)
def test_resident_ids_of_the_standard_are_accepted(value: str) -> None:
    assert identifiers.check_resident_id(value, today=TODAY) == ()


@given(resident_ids())
def test_nantong_ids_are_accepted_whatever_county_and_year(value: str) -> None:
    identifiers.check_resident_id(value, today=TODAY)
    assert stdnum.cn.ric.calc_check_digit(value) == value[17]


@given(resident_ids().filter(lambda value: value[6:10] < "1983"))
def test_stdnum_is_wrong_about_births_before_1983(value: str) -> None:
    """The reason why we do not call it: most farmers were born before its list begins."""
    identifiers.check_resident_id(value, today=TODAY)
    assert not stdnum.cn.ric.is_valid(value)


@pytest.mark.parametrize("county", ["320612", "320613", "320614", "320685"])
def test_stdnum_is_wrong_about_counties_younger_than_their_people(county: str) -> None:
    first_17 = f"{county}19850308001"
    value = first_17 + identifiers.resident_id_check_character(first_17)
    identifiers.check_resident_id(value, today=TODAY)
    assert not stdnum.cn.ric.is_valid(value)


@given(resident_ids(), st.integers(0, 17), st.sampled_from("0123456789X"))
def test_resident_id_with_any_one_character_changed_is_refused(
    value: str, at: int, other: str
) -> None:
    assume(value[at] != other)
    with pytest.raises(ResidentIdInvalid):
        identifiers.check_resident_id(value[:at] + other + value[at + 1 :], today=TODAY)


@given(resident_ids(), st.integers(0, 16))
def test_resident_id_with_two_neighbours_swapped_is_refused(value: str, at: int) -> None:
    assume(value[at] != value[at + 1])
    swapped = value[:at] + value[at + 1] + value[at] + value[at + 2 :]
    with pytest.raises(ResidentIdInvalid):
        identifiers.check_resident_id(swapped, today=TODAY)


def _resident_id(first_17: str) -> str:
    return first_17 + identifiers.resident_id_check_character(first_17)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "length"),
        (IDS[0][:-1], "length"),
        ("A" * 18, "alphabet"),
        ("X1010519491231002X", "alphabet"),
        ("٣1010519491231002X", "alphabet"),
        ("990105194913310020", "province"),
        ("110105194913310020", "checksum"),
        (_resident_id("32061219990230001"), "date"),
        (_resident_id("32061219991301001"), "date"),
        (_resident_id("32061200000101001"), "date"),
        (_resident_id("32061220100619001"), "age"),
        (_resident_id("32061219250617001"), "age"),
        (_resident_id("32061220300101001"), "age"),
    ],
)
def test_resident_id_refusals_name_their_reason(value: str, reason: str) -> None:
    with pytest.raises(ResidentIdInvalid) as refusal:
        identifiers.check_resident_id(value, today=TODAY)
    assert refusal.value.facts["reason"] == reason
    assert value == "" or value not in str(refusal.value)


def test_a_resident_id_counts_from_the_sixteenth_birthday() -> None:
    value = _resident_id("32061220100618001")
    identifiers.check_resident_id(value, today=TODAY)
    with pytest.raises(ResidentIdInvalid):
        identifiers.check_resident_id(value, today=TODAY - timedelta(days=1))


def test_a_resident_id_counts_until_the_hundred_and_first_birthday() -> None:
    value = _resident_id("32061219250618001")
    identifiers.check_resident_id(value, today=TODAY - timedelta(days=1))
    with pytest.raises(ResidentIdInvalid):
        identifiers.check_resident_id(value, today=TODAY)


@pytest.mark.parametrize(
    ("typed", "value", "notes"),
    [
        ("11010519491231002x", IDS[0], 1),
        ("110105 19491231 002X", IDS[0], 1),
        ("36O426l99I01010071", IDS[1], 4),
        ("３６０４２６１９９１０１０１００７１", IDS[1], 1),
    ],
)
def test_resident_id_is_cleaned_and_told(typed: str, value: str, notes: int) -> None:
    cleaned = identifiers.normalise_resident_id(typed)
    assert (cleaned.value, len(cleaned.notes)) == (value, notes)


# --- phone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("13800138000", "13800138000"),
        ("138 0013 8000", "13800138000"),
        ("138-0013-8000", "13800138000"),
        ("+86 138 0013 8000", "13800138000"),
        ("0086-13800138000", "13800138000"),
        ("8613800138000", "13800138000"),
        ("１３８００１３８０００", "13800138000"),
        ("I38OOI38OOO", "13800138000"),
        ("0513-85920000", "0513-85920000"),
        ("051385920000", "0513-85920000"),
        ("(0513) 8592 0000", "0513-85920000"),
        ("（0513）85920000", "0513-85920000"),
        ("+86 513 8592 0000", "0513-85920000"),
        ("+86 21 6854 0000", "021-68540000"),
        ("010-65250000", "010-65250000"),
    ],
)
def test_phones_are_cleaned_and_accepted(typed: str, value: str) -> None:
    cleaned = identifiers.normalise_phone(typed)
    assert cleaned.value == value
    assert bool(cleaned.notes) == (typed not in {"13800138000", "051385920000"} and typed != value)
    assert identifiers.check_phone(cleaned.value) == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "alphabet"),
        ("12345x", "alphabet"),
        ("1380013800", "length"),
        ("138001380000", "length"),
        ("0513-8592", "length"),
        ("12800138000", "prefix"),
        ("85920000", "prefix"),
        ("٣3800138000", "alphabet"),
    ],
)
def test_phone_refusals_name_their_reason(value: str, reason: str) -> None:
    with pytest.raises(PhoneInvalid) as refusal:
        identifiers.check_phone(value)
    assert refusal.value.facts["reason"] == reason


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_every_mobile_is_accepted_and_no_other_length(value: str) -> None:
    identifiers.check_phone(value)
    for other in (value[:-1], value + "0"):
        with pytest.raises(PhoneInvalid):
            identifiers.check_phone(other)


@given(st.text(max_size=30))
def test_any_text_as_phone_is_either_cleaned_and_valid_or_refused(text: str) -> None:
    cleaned = identifiers.normalise_phone(text).value
    try:
        identifiers.check_phone(cleaned)
    except PhoneInvalid:
        return
    assert identifiers.normalise_phone(cleaned).value == cleaned


# --- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("张三", "张**"),
        ("张小三", "张**"),
        ("欧阳小明", "欧阳**"),
        ("诸葛亮", "诸葛**"),
        ("司马", "司**"),
        ("John Smith", "J**"),
        (" 李四 ", "李**"),
    ],
)
def test_names_keep_the_family_name_only(name: str, masked: str) -> None:
    assert identifiers.mask_name(name) == masked


def test_numbers_are_masked() -> None:
    assert identifiers.mask_phone("13800138000") == "138****8000"
    assert identifiers.mask_phone("0513-85920000") == "0513-******00"
    assert identifiers.mask_resident_id(IDS[0]) == "11***************X"


@given(resident_ids())
def test_a_masked_id_tells_neither_birth_nor_sequence(value: str) -> None:
    masked = identifiers.mask_resident_id(value)
    assert len(masked) == len(value)
    assert masked[2:17] == "*" * 15


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_a_masked_mobile_tells_seven_digits(value: str) -> None:
    assert sum(digit.isdecimal() for digit in identifiers.mask_phone(value)) == 7


def test_uscc_weights_are_the_powers_of_three() -> None:
    for here, there in pairwise(identifiers._USCC_WEIGHTS):
        assert there == here * 3 % 31
