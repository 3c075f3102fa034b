"""Who may call what, who may give which role, and how numbers, logins and passwords are read."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import DomainError
from app.party import access, identifiers, rules
from app.party.access import PUBLIC, Audience, Caller, DatedRole, Duty, RoleKind
from app.party.rules import Post

TODAY = date(2026, 6, 18)
roles = st.frozensets(st.sampled_from(RoleKind))
scopes = st.none() | st.frozensets(st.sampled_from(sorted(access.POLICY)))


def caller(
    *kinds: RoleKind, jurisdiction: str | None = None, scopes: frozenset[str] | None = None
) -> Caller:
    return replace(
        PUBLIC,
        party_id=1,
        account_id=1,
        audiences=access.audiences_of(frozenset(kinds)),
        roles=frozenset(kinds),
        jurisdiction=jurisdiction,
        scopes=scopes,
    )


def refused_as(error: type[DomainError], caller: Caller, action: str) -> bool:
    try:
        access.authorize(caller, action)
    except DomainError as refusal:
        return type(refusal) is error
    return False


def allowed(caller: Caller, action: str) -> bool:
    try:
        access.authorize(caller, action)
    except DomainError:
        return False
    return True


# --- the policy -----------------------------------------------------------------------------------


def test_every_action_is_somebodys_and_operators_hold_no_goods() -> None:
    assert all(access.POLICY.values())
    operator = caller(RoleKind.OPERATOR)
    for action in ("ticket.issue", "ticket.decide", "certificate.issue", "lot.write"):
        assert refused_as(access.NotAllowed, operator, action), action


@pytest.mark.parametrize("action", sorted(access.POLICY))
def test_the_public_may_what_is_public_and_is_else_told_to_sign_in(action: str) -> None:
    if Audience.PUBLIC in access.POLICY[action]:
        access.authorize(PUBLIC, action)
    else:
        assert refused_as(access.NotSignedIn, PUBLIC, action)


@pytest.mark.parametrize("action", sorted(access.POLICY))
def test_whoever_is_known_and_has_no_role_today_is_the_public_that_may_not(action: str) -> None:
    nobody = caller()
    assert nobody.audiences == {Audience.PUBLIC}
    if Audience.PUBLIC in access.POLICY[action]:
        access.authorize(nobody, action)
    else:
        assert refused_as(access.NotAllowed, nobody, action)


def on_duty(duty: Duty, *kinds: RoleKind) -> Caller:
    return replace(caller(*kinds), duty=duty)


@given(kinds=roles, duty=st.sampled_from(Duty), action=st.sampled_from(sorted(access.POLICY)))
def test_a_duty_never_gives_what_the_party_may_not(
    kinds: frozenset[RoleKind], duty: Duty, action: str
) -> None:
    """A head may all that its party may; anybody else a part of that, and what is public."""
    whole = caller(*kinds)
    assert allowed(on_duty(Duty.HEAD, *kinds), action) is allowed(whole, action)
    person = on_duty(duty, *kinds)
    if Audience.PUBLIC in access.POLICY[action]:
        assert allowed(person, action)
    elif allowed(person, action):
        assert allowed(whole, action)
        assert action in access.ACTIONS_OF[duty]


def test_who_keeps_the_books_writes_nothing_and_the_gate_sells_nothing() -> None:
    books = access.ACTIONS_OF[Duty.BOOKS]
    assert {action for action in books if not action.endswith(".read")} == {"label.print"}
    gate = access.ACTIONS_OF[Duty.GATE]
    assert books < gate < access.ACTIONS_OF[Duty.STAFF] < access.ACTIONS_OF[Duty.HEAD]
    for action in ("ticket.issue", "lot.write", "party.register", "gate-device.enrol"):
        assert action not in gate
    for action in ("account.manage", "account.create", "api-key.manage"):
        assert action not in books | gate
    assert "api-key.manage" not in access.ACTIONS_OF[Duty.STAFF]


posts = st.builds(
    Post,
    account_id=st.integers(1, 6),
    duty=st.sampled_from(Duty),
    has_come=st.booleans(),
    is_disabled=st.booleans(),
)


@given(posts=st.lists(posts, unique_by=lambda post: post.account_id), changed=posts)
def test_a_business_is_never_left_without_a_head(posts: list[Post], changed: Post) -> None:
    after = {post.account_id: post for post in posts} | {changed.account_id: changed}
    heads = [
        post
        for post in after.values()
        if post.duty is Duty.HEAD and post.has_come and not post.is_disabled
    ]
    try:
        rules.check_head_left(posts, changed)
    except rules.LastHead:
        assert heads == []
    else:
        assert heads


def test_only_a_market_has_gates() -> None:
    for kind in RoleKind:
        for duty in Duty:
            try:
                rules.check_duty(duty, frozenset({kind}))
            except rules.DutyUnfit:
                assert (duty, kind is RoleKind.MARKET) == (Duty.GATE, False)
            else:
                assert duty is not Duty.GATE or kind is RoleKind.MARKET


def test_registering_and_accounts_are_no_business_of_traders() -> None:
    for kind in set(RoleKind) - access.OFFICES:
        for action in ("party.register", "account.create", "hold.place"):
            assert refused_as(access.NotAllowed, caller(kind), action), (kind, action)


@given(kinds=roles, limited=scopes, action=st.sampled_from(sorted(access.POLICY)))
def test_a_key_can_do_no_more_than_its_party(
    kinds: frozenset[RoleKind], limited: frozenset[str] | None, action: str
) -> None:
    person, machine = caller(*kinds), caller(*kinds, scopes=limited)
    if allowed(machine, action):
        assert allowed(person, action)
        public = Audience.PUBLIC in access.POLICY[action]
        assert limited is None or action in limited or public


@given(fewer=roles, more=roles, action=st.sampled_from(sorted(access.POLICY)))
def test_a_further_role_takes_nothing_away(
    fewer: frozenset[RoleKind], more: frozenset[RoleKind], action: str
) -> None:
    assert not allowed(caller(*fewer), action) or allowed(caller(*fewer, *more), action)


@given(kinds=roles)
def test_an_office_is_an_audience_and_everything_else_is_trade(kinds: frozenset[RoleKind]) -> None:
    audiences = access.audiences_of(kinds)
    assert (Audience.OPERATOR in audiences) == (RoleKind.OPERATOR in kinds)
    assert (Audience.REGULATOR in audiences) == (RoleKind.REGULATOR in kinds)
    assert (Audience.MARKET in audiences) == (RoleKind.MARKET in kinds)
    assert (Audience.TRADER in audiences) == bool(kinds - access.OFFICES)


def test_the_acting_party_of_the_public_is_a_bug() -> None:
    assert caller().acting_party == 1
    with pytest.raises(AssertionError):
        _ = PUBLIC.acting_party


# --- dates ----------------------------------------------------------------------------------------


@given(
    start=st.integers(-400, 400),
    length=st.none() | st.integers(1, 400),
    day=st.integers(-900, 900),
)
def test_a_role_is_in_force_from_its_first_day_until_before_its_end(
    start: int, length: int | None, day: int
) -> None:
    valid_from = TODAY + timedelta(days=start)
    valid_to = None if length is None else valid_from + timedelta(days=length)
    role = DatedRole(RoleKind.STALL, None, valid_from, valid_to)
    on = TODAY + timedelta(days=day)
    assert (access.in_force([role], on) == [role]) == (
        day >= start and (length is None or day < start + length)
    )


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "new_end", "fits"),
    [
        (-10, None, 0, True),
        (-10, None, 30, True),
        (-10, None, -1, False),  # rewrites yesterday
        (0, None, 0, True),  # given by mistake: never in force
        (0, None, 1, True),
        (5, None, 5, True),
        (5, None, 4, False),  # before the beginning
        (-10, 20, 10, True),
        (-10, 20, 21, False),  # lengthens
        (-10, -5, 0, False),  # over already: a new role, not a later end
    ],
)
def test_an_end_changes_no_day_gone_by(
    valid_from: int, valid_to: int | None, new_end: int, fits: bool
) -> None:
    def day(offset: int) -> date:
        return TODAY + timedelta(days=offset)

    def check() -> None:
        rules.check_end(
            day(valid_from),
            None if valid_to is None else day(valid_to),
            new_end=day(new_end),
            today=TODAY,
        )

    if fits:
        check()
    else:
        with pytest.raises(rules.RoleDatesInvalid):
            check()


def test_a_role_ends_after_it_begins_and_a_regulator_answers_for_a_division() -> None:
    rules.check_role(RoleKind.STALL, valid_from=TODAY, valid_to=None, division_code=None)
    with pytest.raises(rules.RoleDatesInvalid):
        rules.check_role(RoleKind.STALL, valid_from=TODAY, valid_to=TODAY, division_code=None)
    with pytest.raises(rules.JurisdictionMissing):
        rules.check_role(RoleKind.REGULATOR, valid_from=TODAY, valid_to=None, division_code=None)


# --- jurisdiction ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "prefix"),
    [
        ([], None),
        ([None], None),
        (["3206"], "3206"),
        (["320600"], "3206"),
        (["320000"], "32"),
        (["320612"], "320612"),
        (["320612100"], "320612100"),  # a township that ends in 00 is no wider than itself
        (["320612", "3206"], "3206"),
        (["320682", "320612"], "320612"),
    ],
)
def test_the_zeros_of_a_city_code_stand_for_all_below(
    codes: list[str | None], prefix: str | None
) -> None:
    assert access.jurisdiction_of(codes) == prefix


def test_a_regulator_supervises_its_divisions_only() -> None:
    rugao = caller(RoleKind.REGULATOR, jurisdiction="320682")
    assert access.may_supervise(rugao, "320682101")
    assert not access.may_supervise(rugao, "320685101")
    assert not access.may_supervise(rugao, None)
    assert not access.may_supervise(caller(RoleKind.REGULATOR), "320682")
    assert not access.may_supervise(caller(RoleKind.STALL, jurisdiction="3206"), "320682")
    assert access.may_supervise(caller(RoleKind.OPERATOR), None)


# --- giving roles ---------------------------------------------------------------------------------


def may_give(
    giver: Caller,
    kind: RoleKind,
    *,
    divisions: tuple[str | None, ...] = ("320682101",),
    own_place: bool = True,
) -> bool:
    try:
        access.check_may_give(giver, kind, divisions=divisions, own_place=own_place)
    except access.RoleNotYours:
        return False
    return True


def test_only_an_operator_gives_offices() -> None:
    everyone = caller(*set(RoleKind) - {RoleKind.OPERATOR}, jurisdiction="32")
    for office in access.OFFICES:
        assert may_give(caller(RoleKind.OPERATOR), office)
        assert not may_give(everyone, office)


def test_a_market_gives_roles_of_those_who_come_to_it_at_its_own_places() -> None:
    market = caller(RoleKind.MARKET)
    given = {kind for kind in RoleKind if may_give(market, kind, divisions=(None,))}
    assert given == access.GIVEN_BY_MARKETS
    assert not any(may_give(market, kind, own_place=False) for kind in RoleKind)
    assert {RoleKind.LAB, RoleKind.QUICKTEST_POINT, RoleKind.SLAUGHTER}.isdisjoint(given)


def test_a_regulator_gives_roles_of_the_trade_where_all_of_it_lies_in_its_jurisdiction() -> None:
    rugao = caller(RoleKind.REGULATOR, jurisdiction="320682")
    given = {kind for kind in RoleKind if may_give(rugao, kind, own_place=False)}
    assert given == access.GIVEN_BY_REGULATORS
    stall = RoleKind.STALL
    assert may_give(rugao, stall, divisions=(None, "320682", "320682101"))
    assert not may_give(rugao, stall, divisions=(None, None))
    assert not may_give(rugao, stall, divisions=("320682", "320685"))
    assert not may_give(rugao, stall, divisions=("3206",))


@given(kinds=roles.filter(lambda kinds: not kinds & access.OFFICES), kind=st.sampled_from(RoleKind))
def test_nobody_in_trade_gives_any_role(kinds: frozenset[RoleKind], kind: RoleKind) -> None:
    assert not may_give(caller(*kinds, jurisdiction="32"), kind)


def test_an_invitation_gives_roles_of_buyers_that_make_no_lots() -> None:
    assert not access.GIVEN_BY_INVITATION & (access.PRODUCERS | access.OFFICES)
    for kind in RoleKind:
        if kind in access.GIVEN_BY_INVITATION:
            access.check_may_invite(kind)
        else:
            with pytest.raises(access.RoleNotYours):
                access.check_may_invite(kind)


def test_a_keys_scopes_are_its_makers_and_make_no_credentials() -> None:
    stall = caller(RoleKind.STALL)
    access.check_may_scope(stall, ["ticket.issue", "public.read"])
    for scope in ("party.register", "api-key.manage", "account.create"):
        with pytest.raises(access.ScopeNotYours):
            access.check_may_scope(stall, ["ticket.issue", scope])
    for scope in access.NOT_FOR_KEYS:
        with pytest.raises(access.ScopeNotYours):
            access.check_may_scope(caller(RoleKind.OPERATOR, RoleKind.MARKET), [scope])
    machine = caller(RoleKind.STALL, scopes=frozenset({"ticket.issue", "api-key.manage"}))
    with pytest.raises(access.NotAllowed):
        access.check_may_scope(machine, ["ticket.issue"])


# --- sessions -------------------------------------------------------------------------------------


def test_the_more_a_sign_in_can_do_the_sooner_it_ends() -> None:
    def idle_s(*kinds: RoleKind) -> float:
        return access.session_life(access.audiences_of(frozenset(kinds))).idle.total_seconds()

    assert idle_s(RoleKind.STALL) == 30 * 86_400
    assert idle_s(RoleKind.MARKET) == idle_s(RoleKind.MARKET, RoleKind.STALL) == 8 * 3_600
    assert idle_s(RoleKind.REGULATOR, RoleKind.MARKET) == idle_s(RoleKind.OPERATOR) == 30 * 60


# --- numbers, logins, passwords, codes ------------------------------------------------------------

USCC, STALL_USCC = "91320613MA7NT00171", "92320613MA7NT0025Q"
ID_NUMBER, PHONE = "360426199101010071", "13800138000"


def read(
    form: str,
    uscc: str | None = None,
    id_number: str | None = None,
    phone: str | None = None,
) -> rules.Numbers:
    return rules.read_numbers(form, uscc=uscc, id_number=id_number, phone=phone, today=TODAY)


def test_what_was_changed_is_told_with_the_member_it_was_in() -> None:
    numbers = read("natural", id_number="360426 1991 0101 0071", phone="+86 138-0013-8000")
    assert (numbers.id_number, numbers.phone) == (ID_NUMBER, PHONE)
    assert {note.member for note in numbers.notes} == {"id_number", "phone"}
    assert all(note.text.zh and note.text.en for note in numbers.notes)
    assert read("natural", id_number=ID_NUMBER, phone=PHONE).notes == ()


@pytest.mark.parametrize(
    ("form", "given", "refusal", "pointer"),
    [
        ("legal", {"uscc": "91320613MA7NT00172"}, identifiers.UsccInvalid, "/uscc"),
        ("natural", {"id_number": "1"}, identifiers.ResidentIdInvalid, "/id_number"),
        ("natural", {"phone": "12"}, identifiers.PhoneInvalid, "/phone"),
        ("legal", {"uscc": USCC, "id_number": ID_NUMBER}, rules.NumberUnfit, "/id_number"),
        ("natural", {"uscc": USCC, "phone": PHONE}, rules.NumberUnfit, "/uscc"),
        ("legal", {"phone": PHONE}, rules.NumberMissing, "/uscc"),
        ("natural", {}, rules.NumberMissing, "/id_number"),
        ("natural", {"uscc": STALL_USCC}, rules.NumberMissing, "/id_number"),
    ],
)
def test_numbers_that_a_party_cannot_have(
    form: str, given: dict[str, str], refusal: type[DomainError], pointer: str
) -> None:
    with pytest.raises(refusal) as refused:
        read(form, **given)
    assert refused.value.pointer == pointer
    assert not any(value in str(refused.value.facts) for value in given.values() if len(value) > 2)


def test_the_first_wrong_number_is_the_answer() -> None:
    """Each row breaks its own rule and every later one."""
    assert_order = [
        ({"uscc": "0", "id_number": "0", "phone": "0"}, identifiers.UsccInvalid),
        ({"uscc": USCC, "id_number": "0", "phone": "0"}, identifiers.ResidentIdInvalid),
        ({"uscc": USCC, "id_number": ID_NUMBER, "phone": "0"}, identifiers.PhoneInvalid),
        ({"id_number": ID_NUMBER}, rules.NumberUnfit),
        ({}, rules.NumberMissing),
    ]
    for given_numbers, refusal in assert_order:
        with pytest.raises(refusal):
            read("legal", **given_numbers)


def test_an_individual_business_is_its_owner() -> None:
    assert read("natural", uscc=STALL_USCC, phone=PHONE).uscc == STALL_USCC


@pytest.mark.parametrize(
    ("typed", "login"),
    [
        ("Zhang Gui", "zhanggui"),
        ("ｍａｒｋｅｔ", "market"),
        ("138 0013 8000", PHONE),
        ("+86-13800138000", PHONE),
        ("一号摊位", "一号摊位"),
    ],
)
def test_a_login_has_one_spelling(typed: str, login: str) -> None:
    assert rules.read_login(typed) == login
    assert rules.read_login(login) == login


@given(st.text(max_size=64))
def test_reading_a_login_twice_changes_nothing(typed: str) -> None:
    once = rules.read_login(typed)
    assert rules.read_login(once) == once


@pytest.mark.parametrize(
    "password",
    ["", "short-pw1", "aaaaaaaaaaaaaaaa", "abababababab", "market-office", "x1" * 64 + "yz!"],
)
def test_passwords_that_are_guessed_first(password: str) -> None:
    with pytest.raises(rules.PasswordWeak) as refused:
        rules.check_password(password, login="Market-Office")
    assert password == "" or password not in str(refused.value.facts)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "0123456789", "我家的韭菜最新鲜又便宜", "ab1!" * 32]
)
def test_passwords_that_will_do(password: str) -> None:
    rules.check_password(password, login="market-office")


@given(st.binary(min_size=5, max_size=40))
def test_a_claim_code_is_eight_letters_read_back_however_it_is_typed(random: bytes) -> None:
    code = rules.claim_code(random)
    assert len(code) == rules.CLAIM_LENGTH
    assert set(code).isdisjoint("ILOU")
    assert rules.read_claim_code(code) == code
    sloppy = f" {code[:4].lower()}-{code[4:].replace('0', 'o').replace('1', 'l')} "
    assert rules.read_claim_code(sloppy) == code


def test_claim_codes_use_all_of_forty_bits() -> None:
    codes = {rules.claim_code((1 << bit).to_bytes(5, "big")) for bit in range(40)}
    assert len(codes) == 40
