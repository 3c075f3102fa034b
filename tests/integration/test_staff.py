"""Who acts for a party: invited, listed, moved, shut out; by heads, and by offices for heads."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import structlog
from sqlalchemy import text

from app.core.ids import uuid7
from tests.town import PASSWORD, Actor, Json, Town, code_of

NAME = "瞿秀芬"


@dataclass
class Shop:
    """A stall that a market registered, whose head lets others in."""

    town: Town
    market: Actor
    head: Actor

    @property
    def path(self) -> str:
        return f"/parties/{self.head.party}/staff"

    def body(self, duty: str = "staff", **members: Any) -> Json:
        return {"name": NAME, "phone": self.town.typist.phone(), "duty": duty} | members

    async def invited(self, duty: str = "staff", by: Actor | None = None) -> tuple[Json, str]:
        """Invite somebody; answer the member and the phone."""
        body = self.body(duty)
        answer = await (by or self.head).put(f"{self.path}/{uuid7()}", body)
        assert answer.status_code == 201, answer.text
        return answer.json(), body["phone"]

    async def hired(self, duty: str = "staff", by: Actor | None = None) -> tuple[Actor, str]:
        """Let somebody come who takes the account up; answer who that is, and the account."""
        member, phone = await self.invited(duty, by)
        claim = claim_of(phone, member["claim"]["code"])
        assert (await self.town.public.post("/claims", claim)).status_code == 200
        return await self.town.signed_in(phone), member["account"]

    async def listed(self, by: Actor | None = None) -> dict[str, Json]:
        answer = await (by or self.head).get(self.path)
        assert answer.status_code == 200, answer.text
        return {member["account"]: member for member in answer.json()["staff"]}

    async def mine(self, who: Actor) -> str:
        return str((await who.get("/me")).json()["account"])

    async def set(self, account: str, by: Actor | None = None, **what: Any) -> Any:
        """Set `duty`, `name` or `enabled`."""
        ((member, value),) = what.items()
        route = "sign-in" if member == "enabled" else member
        return await (by or self.head).put(f"{self.path}/{account}/{route}", {member: value})


def claim_of(phone: str, code: str) -> Json:
    return {"phone": phone, "code": code, "account": str(uuid7()), "password": PASSWORD}


@pytest.fixture
async def shop(town: Town) -> Shop:
    market = await town.market()
    party = await town.registered(town.person("STALL"), by=market)
    head = await town.signed_in(await town.account(party, by=market))
    return Shop(town, market, head)


async def leaves(town: Town, account: str) -> list[Json]:
    """Read what the log says about an account, oldest first."""
    rows = await town.rows("SELECT leaf FROM entry WHERE subject = :id ORDER BY id", id=account)
    return [json.loads(row[0]) for row in rows]


# --- coming in ------------------------------------------------------------------------------------


async def test_a_member_of_staff_is_invited_and_takes_the_account_up(shop: Shop) -> None:
    town, account, body = shop.town, str(uuid7()), shop.body()
    first = await shop.head.put(f"{shop.path}/{account}", body)
    again = await shop.head.put(f"{shop.path}/{account}", body | {"phone": f"+86 {body['phone']}"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == (await shop.listed())[account]
    member = first.json()
    code = member["claim"].pop("code")
    assert member["claim"].pop("qr_svg").startswith("<svg")
    assert member["claim"].pop("expires_at") == "2026-07-17T20:00:00Z"
    assert member == {
        "account": account,
        "name": NAME,
        "duty": "staff",
        "state": "invited",
        "created_at": "2026-06-17T20:00:00Z",
        "signed_in_at": None,
        "claim": {"url": member["claim"]["url"]},
        "reset_until": None,
        "is_erased": False,
        "is_caller": False,
    }
    claim = claim_of(body["phone"], code)
    claimed = await town.public.post("/claims", claim)
    # Whatever id the phone chose, the account is the one that waited; so is a repeat's.
    repeated = await town.public.post("/claims", claim | {"account": str(uuid7())})
    assert (claimed.status_code, repeated.status_code) == (200, 200)
    assert claimed.json() == repeated.json() == {"id": account, "party": str(shop.head.party)}
    helper = await town.signed_in(body["phone"])
    me = (await helper.get("/me")).json()
    assert (me["account"], me["person"], me["duty"]) == (account, NAME, "staff")
    assert me["roles"] == ["STALL"]
    listed = (await shop.listed())[account]
    assert (listed["state"], listed["claim"]) == ("active", None)
    assert listed["signed_in_at"] == "2026-06-17T20:00:00Z"
    # A repeat of the invitation is one even now, and gives no code away.
    late = await shop.head.put(f"{shop.path}/{account}", body)
    assert (late.status_code, late.json()) == (200, listed)
    assert [leaf["kind"] for leaf in await leaves(town, account)] == [
        "account.invited",
        "account.taken-up",
    ]


async def test_who_has_the_code_alone_or_comes_late_is_refused(shop: Shop, clock: Any) -> None:
    town = shop.town
    member, phone = await shop.invited()
    code = member["claim"]["code"]
    other = await town.public.post("/claims", claim_of(town.typist.phone(), code))
    weak = await town.public.post("/claims", claim_of(phone, code) | {"password": "tiny-pw-1"})
    assert (code_of(other), code_of(weak)) == ("claim-refused", "password-weak")
    await shop.set(member["account"], enabled=False)
    shut_out = await town.public.post("/claims", claim_of(phone, code))
    assert code_of(shut_out) == "claim-refused"
    await shop.set(member["account"], enabled=True)
    clock.advance(days=30)
    late = await town.public.post("/claims", claim_of(phone, code))
    assert (late.status_code, code_of(late)) == (401, "claim-refused")
    # The same invitation again renews it.
    head = await town.signed_in(shop.head.login)
    body = {"name": NAME, "phone": phone, "duty": "staff"}
    renewed = await head.put(f"{shop.path}/{member['account']}", body)
    assert (renewed.status_code, renewed.json()["claim"]["code"]) == (200, code)
    assert (await town.public.post("/claims", claim_of(phone, code))).status_code == 200
    # The code is spent: another password is no repeat.
    stolen = claim_of(phone, code) | {"password": "another-password"}
    assert code_of(await town.public.post("/claims", stolen)) == "claim-refused"


async def test_a_phone_that_signs_in_already_is_no_second_login(shop: Shop) -> None:
    member, phone = await shop.invited()
    known = await shop.town.registered(shop.town.person("CATERER", phone=phone))
    await shop.town.account(known, login=phone)
    taken = await shop.town.public.post("/claims", claim_of(phone, member["claim"]["code"]))
    assert (taken.status_code, code_of(taken)) == (409, "login-taken")
    assert (await shop.listed())[member["account"]]["state"] == "invited"


async def test_rivals_take_an_invitation_up_once(shop: Shop) -> None:
    member, phone = await shop.invited()
    claims = [claim_of(phone, member["claim"]["code"]) for _ in range(4)]
    for number, claim in enumerate(claims):
        claim["password"] = f"{PASSWORD}-{number}"
    answers = await asyncio.gather(*(shop.town.public.post("/claims", one) for one in claims))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    assert len(await leaves(shop.town, member["account"])) == 2


async def test_the_same_invitation_at_once_is_one(shop: Shop) -> None:
    path, body = f"{shop.path}/{uuid7()}", shop.body()
    answers = await asyncio.gather(*(shop.head.put(path, body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["claim"]["code"] for answer in answers}) == 1
    assert len(await leaves(shop.town, path[-36:])) == 1


async def test_an_id_is_one_account_s_in_all_the_platform(shop: Shop) -> None:
    town = shop.town
    other = await town.actor(town.person("STALL"))
    path = f"/parties/{other.party}/staff"
    account, body = uuid7(), shop.body()
    assert (await shop.head.put(f"{shop.path}/{account}", body)).status_code == 201
    for attempt in (
        await shop.head.put(f"{shop.path}/{account}", body | {"name": "别人"}),
        await shop.head.put(f"{shop.path}/{account}", body | {"duty": "books"}),
        await shop.head.put(f"{shop.path}/{account}", body | {"phone": town.typist.phone()}),
        await other.put(f"{path}/{account}", body),
        await town.operator.put(
            f"/accounts/{account}",
            {"party": str(shop.head.party), "login": "somebody", "password": PASSWORD},
        ),
    ):
        assert (attempt.status_code, code_of(attempt)) == (409, "id-reused")


async def test_the_invitation_of_staff_does_not_make_a_party_its_person_s_own(shop: Shop) -> None:
    """A market answers for the heads of whom it registered, until they came by invitation."""
    await shop.invited()
    assert (await shop.market.get(shop.path)).status_code == 200


# --- refusals, in their order ---------------------------------------------------------------------


async def test_invitations_are_refused_in_order(shop: Shop) -> None:
    town = shop.town
    helper, _ = await shop.hired()
    market_path = f"/parties/{shop.market.party}/staff"
    guest = uuid7()
    await shop.head.put(f"/invitations/{guest}", {"name": "李校长", "phone": town.typist.phone()})
    bad = {"name": NAME, "phone": "12", "duty": "gate"}
    gate = bad | {"phone": town.typist.phone()}
    staff_body = gate | {"duty": "staff"}
    used = uuid7()
    assert (await shop.head.put(f"{shop.path}/{used}", shop.body())).status_code == 201
    for actor, path, body, status, code in (
        (town.public, f"/parties/{uuid7()}/staff/{used}", bad, 401, "not-signed-in"),
        (helper, f"/parties/{uuid7()}/staff/{used}", bad, 422, "phone-invalid"),
        (helper, f"/parties/{uuid7()}/staff/{used}", gate, 404, "unknown-party"),
        (helper, f"{shop.path}/{used}", gate, 403, "not-head"),
        (shop.head, f"{market_path}/{used}", gate, 403, "other-party"),
        (shop.market, f"{shop.path}/{used}", gate, 403, "role-not-yours"),
        (town.operator, f"/parties/{guest}/staff/{used}", gate, 409, "party-not-active"),
        (shop.head, f"{shop.path}/{used}", gate, 422, "duty-unfit"),
        (shop.head, f"{shop.path}/{used}", staff_body, 409, "id-reused"),
        (
            shop.head,
            f"{shop.path}/{uuid7()}",
            staff_body | {"duty": "king"},
            422,
            "malformed-request",
        ),
        (
            shop.head,
            f"{shop.path}/{uuid7()}",
            staff_body | {"name": "长" * 51},
            422,
            "malformed-request",
        ),
    ):
        answer = await actor.put(path, body)
        assert (answer.status_code, code_of(answer)) == (status, code), (path, body)


async def test_acts_are_refused_in_order(shop: Shop) -> None:
    town = shop.town
    helper, helper_account = await shop.hired()
    other = await town.actor(town.person("STALL"))
    head = await shop.mine(shop.head)
    nowhere = f"/parties/{uuid7()}/staff"
    for actor, path, duty, status, code in (
        (town.public, f"{nowhere}/{uuid7()}", "gate", 401, "not-signed-in"),
        (helper, f"{nowhere}/{uuid7()}", "gate", 404, "unknown-party"),
        (helper, f"{shop.path}/{uuid7()}", "gate", 403, "not-head"),
        (other, f"{shop.path}/{uuid7()}", "gate", 403, "other-party"),
        (shop.market, f"{shop.path}/{uuid7()}", "gate", 403, "role-not-yours"),
        (shop.head, f"{shop.path}/{uuid7()}", "gate", 404, "unknown-member"),
        (shop.head, f"{shop.path}/{head}", "gate", 422, "duty-unfit"),
        (shop.head, f"{shop.path}/{head}", "books", 409, "last-head"),
        (shop.head, f"{shop.path}/{head}", "head", 200, None),
    ):
        answer = await actor.put(f"{path}/duty", {"duty": duty})
        assert answer.status_code == status, (path, duty, answer.text)
        assert code is None or code_of(answer) == code
    for actor, path, status, code in (
        (helper, f"{nowhere}/{uuid7()}", 404, "unknown-party"),
        (helper, f"{shop.path}/{uuid7()}", 403, "not-head"),
        (other, f"{shop.path}/{head}", 403, "other-party"),
        (shop.head, f"{shop.path}/{uuid7()}", 404, "unknown-member"),
        # A market sees the heads of its stalls, and nobody who works for them.
        (shop.market, f"{shop.path}/{helper_account}", 404, "unknown-member"),
        (shop.head, f"{shop.path}/{head}", 409, "last-head"),
    ):
        answer = await actor.put(f"{path}/sign-in", {"enabled": False})
        assert (answer.status_code, code_of(answer)) == (status, code), path
        if code != "last-head":
            answer = await actor.put(f"{path}/name", {"name": NAME})
            assert (answer.status_code, code_of(answer)) == (status, code), path
    assert (await shop.head.get("/me")).status_code == 200


async def test_a_machine_lets_nobody_in(shop: Shop) -> None:
    body = {"name": "till", "scopes": ["account.manage"]}
    answer = await shop.head.put(f"/api-keys/{uuid7()}", body)
    assert (answer.status_code, code_of(answer)) == (403, "scope-not-yours")


# --- what a duty is good for ----------------------------------------------------------------------


async def test_a_duty_says_what_somebody_may_do(shop: Shop) -> None:
    clerk, account = await shop.hired("books")
    key = {"name": "till", "scopes": ["lot.read"]}
    invitation = {"name": "李校长", "phone": shop.town.typist.phone()}
    assert (await clerk.get("/tickets")).status_code == 200
    refused = await clerk.put(f"/invitations/{uuid7()}", invitation)
    assert (refused.status_code, code_of(refused)) == (403, "not-allowed")
    # A session goes on; what it may do changes with the duty.
    assert (await shop.set(account, duty="staff")).json()["duty"] == "staff"
    assert (await clerk.put(f"/invitations/{uuid7()}", invitation)).status_code == 200
    refused = await clerk.put(f"/api-keys/{uuid7()}", key)
    assert (refused.status_code, code_of(refused)) == (403, "not-allowed")
    assert (await shop.set(account, duty="head")).status_code == 200
    assert (await clerk.put(f"/api-keys/{uuid7()}", key)).status_code == 201
    assert set(await shop.listed(clerk)) == set(await shop.listed())
    again = await shop.set(account, duty="head")
    assert again.status_code == 200
    told = [(leaf["kind"], leaf["duty"]) for leaf in await leaves(shop.town, account)]
    assert told == [
        ("account.invited", "books"),
        ("account.taken-up", "books"),
        ("account.duty", "staff"),
        ("account.duty", "head"),
    ]


async def test_the_gate_s_people_let_goods_in_and_sell_nothing(shop: Shop) -> None:
    town, market = shop.town, shop.market
    body = shop.body("gate")
    member = await market.put(f"/parties/{market.party}/staff/{uuid7()}", body)
    claim = claim_of(body["phone"], member.json()["claim"]["code"])
    assert (await town.public.post("/claims", claim)).status_code == 200
    guard = await town.signed_in(body["phone"])
    assert (await guard.get("/gate-cases")).status_code == 200
    for answer in (
        await guard.put(f"/parties/{uuid7()}", town.person("STALL")),
        await guard.put(f"/tickets/{uuid7()}", {}),
        await guard.get(f"/parties/{market.party}/staff"),
        # What was stopped, or let in against the rules, is for others than whoever stood there.
        await guard.put(f"/holds/{uuid7()}/release", {"reason": "放行"}),
        await guard.put(f"/gate-cases/{uuid7()}/close", {"state": "false", "reason": "误报"}),
    ):
        assert (answer.status_code, code_of(answer)) == (403, "not-allowed")
    stopped = await guard.put(f"/holds/{uuid7()}", {"lot": str(uuid7()), "reason": "腐烂"})
    assert code_of(stopped) == "unknown-lot"


# --- going, and coming back -----------------------------------------------------------------------


async def test_whoever_is_shut_out_is_out_at_once(shop: Shop) -> None:
    helper, account = await shop.hired()
    elsewhere = await shop.town.signed_in(helper.login)
    first, again = (
        await shop.set(account, enabled=False),
        await shop.set(account, enabled=False),
    )
    assert (first.status_code, first.json()["state"]) == (200, "disabled")
    assert again.json() == first.json()
    for session in (helper, elsewhere):
        assert (await session.get("/me")).status_code == 401
    body = {"login": helper.login, "password": PASSWORD}
    assert code_of(await shop.town.public.post("/sessions", body)) == "wrong-credentials"
    assert (await shop.set(account, enabled=True)).json()["state"] == "active"
    # The sessions of before are gone for good.
    for session in (helper, elsewhere):
        assert (await session.get("/me")).status_code == 401
    assert (await (await shop.town.signed_in(helper.login)).get("/me")).status_code == 200
    told = [leaf["kind"] for leaf in await leaves(shop.town, account)][2:]
    assert told == ["account.disabled", "account.enabled"]


async def test_somebody_who_signs_in_while_being_shut_out_is_out(shop: Shop) -> None:
    helper, account = await shop.hired()
    body = {"login": helper.login, "password": PASSWORD}
    for _ in range(3):
        *entries, shut = await asyncio.gather(
            *(shop.town.public.post("/sessions", body) for _ in range(3)),
            shop.set(account, enabled=False),
        )
        assert shut.status_code == 200
        assert {entry.status_code for entry in entries} <= {201, 401}
        await shop.set(account, enabled=True)
        left = await shop.town.rows(
            "SELECT 1 FROM session s JOIN account a ON a.id = s.account_id WHERE a.public_id = :id",
            id=UUID(account),
        )
        assert left == []


async def test_two_heads_who_shut_each_other_out_leave_one(shop: Shop) -> None:
    for _ in range(3):
        other, account = await shop.hired("head")
        mine = await shop.mine(shop.head)
        answers = await asyncio.gather(
            shop.set(account, enabled=False), shop.set(mine, by=other, enabled=False)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 401]
        won = shop.head if answers[0].status_code == 200 else other
        states = [member["state"] for member in (await shop.listed(won)).values()]
        assert states.count("active") == 1
        shop.head = won


_WAITING = text(
    "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE NOT l.granted AND a.datname = current_database()"
)


async def test_two_heads_who_step_down_at_once_leave_one(shop: Shop) -> None:
    """Both are let as far as they come before either has written: to the same lock, or too far."""
    other, account = await shop.hired("head")
    mine = await shop.mine(shop.head)
    async with shop.town.database.transaction() as session:
        await session.execute(text("SELECT 1 FROM account FOR UPDATE"))
        acts = [
            asyncio.create_task(shop.set(account, by=other, duty="staff")),
            asyncio.create_task(shop.set(mine, duty="staff")),
        ]
        for _ in range(100):
            await asyncio.sleep(0.01)
            if await session.scalar(_WAITING) == len(acts):
                break
    answers = await asyncio.gather(*acts)
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (refused,) = [answer for answer in answers if answer.status_code == 409]
    assert code_of(refused) == "last-head"


async def test_a_head_who_has_not_come_yet_is_none(shop: Shop) -> None:
    mine = await shop.mine(shop.head)
    await shop.invited("head")
    answer = await shop.set(mine, enabled=False)
    assert (answer.status_code, code_of(answer)) == (409, "last-head")
    await shop.hired("head")
    assert (await shop.set(mine, enabled=False)).status_code == 200
    assert (await shop.head.get("/me")).status_code == 401


# --- offices --------------------------------------------------------------------------------------


async def test_an_office_moves_the_heads_of_whom_it_registered(shop: Shop) -> None:
    helper, _ = await shop.hired()
    seen = await shop.listed(shop.market)
    head = await shop.mine(shop.head)
    assert set(seen) == {head}
    # A stolen phone cannot wait for a second head; the office lets another in.
    assert (await shop.set(head, by=shop.market, enabled=False)).status_code == 200
    assert (await shop.head.get("/me")).status_code == 401
    assert (await helper.get("/me")).status_code == 200
    successor, _ = await shop.hired("head", by=shop.market)
    assert len(await shop.listed(successor)) == 3
    (told,) = [leaf for leaf in await leaves(shop.town, head) if leaf["kind"] == "account.disabled"]
    assert told["by"] == await shop.mine(shop.market)
    for other in (await shop.town.market("海安批发市场"), await shop.town.regulator()):
        answer = await other.get(shop.path)
        assert (answer.status_code, code_of(answer)) == (403, "other-party")


async def test_the_code_of_an_invitation_is_told_to_who_sent_it(shop: Shop) -> None:
    member, _ = await shop.invited("head")
    assert (await shop.listed(shop.market))[member["account"]]["claim"] is None
    assert (await shop.listed())[member["account"]]["claim"] is not None


async def test_a_market_lists_whom_it_registered_page_by_page(shop: Shop) -> None:
    town, market = shop.town, shop.market
    empty = await town.registered(town.person("COLLECTOR"), by=market)
    await shop.hired()
    pages = []
    query = "limit=1"
    while query:
        page = (await market.get(f"/registered-parties?{query}")).json()
        pages += page["parties"]
        query = page["next"] and f"limit=1&after={page['next']}"
    assert [page["id"] for page in pages] == [str(shop.head.party), str(empty)]
    assert [len(page["heads"]) for page in pages] == [1, 0]
    assert pages[0]["kinds"] == ["STALL"]
    answer = await market.get(f"/registered-parties?after={uuid7()}")
    assert (answer.status_code, code_of(answer)) == (404, "unknown-party")
    other = await town.market("海安批发市场")
    assert (await other.get("/registered-parties")).json() == {"parties": [], "next": None}


async def test_a_regulator_s_office_has_its_own_officers_only(shop: Shop) -> None:
    office = await shop.town.regulator()
    path, body = f"/parties/{office.party}/staff", shop.body("books")
    made = await office.put(f"{path}/{uuid7()}", body)
    assert (made.status_code, made.json()["duty"]) == (201, "books")
    assert len((await office.get(path)).json()["staff"]) == 2
    answer = await office.put(f"{path}/{uuid7()}", shop.body("gate"))
    assert (answer.status_code, code_of(answer)) == (422, "duty-unfit")


async def test_an_account_that_an_office_opens_has_a_name_and_a_duty(shop: Shop) -> None:
    path = f"/accounts/{uuid7()}"
    body = {"party": str(shop.head.party), "login": "second", "password": PASSWORD, "name": NAME}
    made, again = await shop.market.put(path, body), await shop.market.put(path, body)
    assert (made.status_code, again.status_code) == (201, 200)
    assert (await shop.listed())[path[-36:]]["name"] == NAME
    other = await shop.market.put(path, body | {"name": "别人"})
    assert (other.status_code, code_of(other)) == (409, "id-reused")
    # Renamed since, it is still the account that was asked for.
    assert (await shop.set(path[-36:], name="别人")).json()["name"] == "别人"
    assert (await shop.market.put(path, body)).status_code == 200
    staff_body = body | {"duty": "staff", "login": "third"}
    answer = await shop.market.put(f"/accounts/{uuid7()}", staff_body)
    assert (answer.status_code, code_of(answer)) == (403, "role-not-yours")
    answer = await shop.town.operator.put(f"/accounts/{uuid7()}", staff_body | {"duty": "gate"})
    assert (answer.status_code, code_of(answer)) == (422, "duty-unfit")
    assert [leaf["kind"] for leaf in await leaves(shop.town, path[-36:])] == ["account.opened"]


async def test_an_account_of_before_names_were_asked_for_is_a_head_s(shop: Shop) -> None:
    path = f"/accounts/{uuid7()}"
    body = {"party": str(shop.head.party), "login": "of-before", "password": PASSWORD}
    assert (await shop.market.put(path, body)).status_code == 201
    await shop.town.execute(
        "UPDATE account SET asked_index = NULL, name_sealed = NULL WHERE public_id = :id",
        id=path[-36:],
    )
    # The request of then, sent again, is still the same.
    assert (await shop.market.put(path, body)).status_code == 200
    member = (await shop.listed())[path[-36:]]
    assert (member["name"], member["duty"], member["state"]) == (None, "head", "active")
    assert (await shop.set(path[-36:], name=NAME)).json()["name"] == NAME


# --- names are personal ---------------------------------------------------------------------------


async def test_a_name_is_sealed_and_told_to_the_head_alone(shop: Shop) -> None:
    town = shop.town
    with structlog.testing.capture_logs() as logged:
        helper, account = await shop.hired()
        await shop.set(account, name="瞿秀芳")
        await shop.set(account, name="瞿秀芬")
    assert not any("瞿秀" in str(line) for line in logged)
    for table in ("account", "entry", "invitation"):
        rows = await town.rows(f"SELECT t::text FROM {table} t")
        assert rows
        assert not any("瞿秀" in row[0] for row in rows)
    assert not any("瞿秀" in str(leaf) for leaf in await leaves(town, account))
    party = f"/parties/{shop.head.party}"
    for reader in (shop.market, town.operator, await town.actor(town.person("CATERER"))):
        for path in (party, f"{party}/staff", "/registered-parties", "/parties?q=瞿秀芬"):
            assert "瞿秀" not in (await reader.get(path)).text
    assert (await helper.get("/me")).json()["person"] == "瞿秀芬"
    assert (await shop.listed())[account]["name"] == "瞿秀芬"
