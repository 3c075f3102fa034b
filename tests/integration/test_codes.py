"""Codes that are handed over: a new one for who has not come, and one for who forgot the password.

And what ends with whoever is shut out, and is erased long after.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.ids import uuid7
from app.ledger import names
from app.party import credentials
from tests.conftest import FakeClock
from tests.factories import CHIVES, VILLAGE
from tests.integration.test_staff import (
    NAME,
    Shop,
    claim_of,
    leaves,
    shop,
)
from tests.town import PASSWORD, Actor, Json, Town, code_of, role

__all__ = ["shop"]

NEW = "a-new-password-7"


def reset_of(login: str, code: str, password: str = NEW) -> Json:
    return {"login": login, "code": code, "password": password}


async def given(
    shop: Shop, account: str, by: Actor | None = None, code: UUID | None = None
) -> httpx.Response:
    """Give a reset code."""
    return await (by or shop.head).put(f"{shop.path}/{account}/reset-codes/{code or uuid7()}", {})


async def reset(shop: Shop, body: Json) -> httpx.Response:
    return await shop.town.public.post("/password-resets", body)


async def another_claim(
    shop: Shop, account: str, phone: str, by: Actor | None = None, code: UUID | None = None
) -> httpx.Response:
    """Give a new claim code."""
    path = f"{shop.path}/{account}/claim-codes/{code or uuid7()}"
    return await (by or shop.head).put(path, {"phone": phone})


# --- a forgotten password -------------------------------------------------------------------------


async def test_whoever_forgot_the_password_sets_a_new_one(shop: Shop) -> None:
    town = shop.town
    helper, account = await shop.hired()
    elsewhere = await town.signed_in(helper.login)
    code_id = uuid7()
    with structlog.testing.capture_logs() as logged:
        first, again = (
            await given(shop, account, code=code_id),
            await given(shop, account, code=code_id),
        )
        assert (first.status_code, again.json()) == (200, first.json())
        code = first.json()["code"]
        assert first.json()["url"].endswith("/m/reset")
        assert first.json()["expires_at"] == "2026-06-18T20:00:00Z"
        # Nothing has changed so far, and the list tells of the code, not the code.
        assert (await helper.get("/me")).status_code == 200
        listed = (await shop.listed())[account]
        assert (listed["reset_until"], listed["claim"]) == ("2026-06-18T20:00:00Z", None)
        sloppy = f"{code[:4].lower()} {code[4:]}"
        done = await reset(shop, reset_of(f" {helper.login} ", sloppy))
        assert done.json() == {"id": account, "party": str(shop.head.party)}
        new = await town.signed_in(helper.login, NEW)
        # Sent again after a lost answer it is the same, and ends nothing.
        repeated = await reset(shop, reset_of(helper.login, code))
    assert (repeated.status_code, repeated.json()) == (200, done.json())
    assert (await new.get("/me")).status_code == 200
    for device in (helper, elsewhere):
        answer = await device.get("/me")
        assert (answer.status_code, code_of(answer)) == (401, "not-signed-in")
        assert answer.json()["facts"] == {"password_reset_at": "2026-06-17T20:00:00+00:00"}
    old = await town.public.post("/sessions", {"login": helper.login, "password": PASSWORD})
    assert code_of(old) == "wrong-credentials"
    assert (await shop.listed())[account]["reset_until"] is None
    told = [(leaf["kind"], leaf.get("by")) for leaf in await leaves(town, account)][2:]
    head = await shop.mine(shop.head)
    assert told == [("account.reset-code", head), ("account.password-reset", None)]
    # Neither the log, nor the tables, nor the entries know the code, and nobody is told twice.
    assert not any(code in str(line) for line in logged)
    for table in ("account_code", "account", "entry"):
        rows = await town.rows(f"SELECT t::text FROM {table} t")
        assert rows
        assert not any(code in row[0] for row in rows)
    assert code_of(await given(shop, account, code=code_id)) == "code-replaced"


async def test_a_reset_is_refused_in_order(shop: Shop, clock: FakeClock) -> None:
    town = shop.town
    helper, account = await shop.hired()
    other, _ = await shop.hired()
    old = (await given(shop, account)).json()["code"]
    code = (await given(shop, account)).json()["code"]
    assert old != code
    for login, typed, password, status, expected in (
        ("nobody-at-all", code, "weak", 401, "reset-refused"),
        (other.login, code, NEW, 401, "reset-refused"),
        (helper.login, "00000000", NEW, 401, "reset-refused"),
        (helper.login, old, NEW, 401, "reset-refused"),
        (helper.login, code, "tiny-pw-1", 422, "password-weak"),
        (helper.login, code, helper.login, 422, "password-weak"),
    ):
        answer = await reset(shop, reset_of(login, typed, password))
        assert (answer.status_code, code_of(answer)) == (status, expected), login
    await shop.set(account, enabled=False)
    assert code_of(await reset(shop, reset_of(helper.login, code))) == "reset-refused"
    await shop.set(account, enabled=True)
    # Whoever was shut out needs a new one.
    assert code_of(await reset(shop, reset_of(helper.login, code))) == "reset-refused"
    code = (await given(shop, account)).json()["code"]
    await town.execute(
        "UPDATE party SET status = 'disabled' WHERE public_id = :p", p=shop.head.party
    )
    assert code_of(await reset(shop, reset_of(helper.login, code))) == "reset-refused"
    await town.execute("UPDATE party SET status = 'active' WHERE public_id = :p", p=shop.head.party)
    clock.advance(hours=24)
    late = await reset(shop, reset_of(helper.login, code))
    assert (late.status_code, code_of(late)) == (401, "reset-refused")
    assert (await town.signed_in(helper.login)).party == shop.head.party
    code = (await given(shop, account)).json()["code"]
    assert (await reset(shop, reset_of(helper.login, code))).status_code == 200
    # It is used up: another password is no repeat.
    stolen = await reset(shop, reset_of(helper.login, code, "another-password"))
    assert (stolen.status_code, code_of(stolen)) == (401, "reset-refused")
    await town.signed_in(helper.login, NEW)


async def test_a_code_bears_ten_tries_that_outlive_their_refusals(shop: Shop) -> None:
    helper, account = await shop.hired()
    code = (await given(shop, account)).json()["code"]
    wrong = reset_of(helper.login, "00000000")
    answers = await asyncio.gather(*(reset(shop, wrong) for _ in range(9)))
    assert {code_of(answer) for answer in answers} == {"reset-refused"}
    # The tenth is the last that counts: were it wrong too, the code would be good for nothing.
    ((tries,),) = await shop.town.rows("SELECT tries FROM account_code")
    assert tries == 9
    assert code_of(await reset(shop, wrong)) == "reset-refused"
    assert code_of(await reset(shop, reset_of(helper.login, code))) == "reset-refused"
    # Tries at others' codes take nothing from a new one.
    code = (await given(shop, account)).json()["code"]
    assert (await reset(shop, reset_of(helper.login, code))).status_code == 200


async def test_giving_a_code_is_refused_in_order(shop: Shop) -> None:
    town = shop.town
    helper, account = await shop.hired()
    waiting, _ = await shop.invited()
    other = await town.actor(town.person("STALL"))
    head = await shop.mine(shop.head)
    gone = (await shop.hired())[1]
    await shop.set(gone, enabled=False)
    taken = uuid7()
    assert (await given(shop, account, code=taken)).status_code == 200
    nowhere = f"/parties/{uuid7()}/staff/{account}"
    mine = f"{shop.path}/{account}"
    for actor, path, status, code in (
        (town.public, nowhere, 401, "not-signed-in"),
        (helper, nowhere, 404, "unknown-party"),
        (helper, mine, 403, "not-head"),
        (other, mine, 403, "other-party"),
        (await town.regulator(), mine, 403, "other-party"),
        # A market sees the heads of its stalls, and nobody who works for them.
        (shop.market, mine, 404, "unknown-member"),
        (shop.head, f"{shop.path}/{uuid7()}", 404, "unknown-member"),
        (shop.head, f"{shop.path}/{head}", 403, "own-reset"),
        (shop.head, f"{shop.path}/{waiting['account']}", 409, "nothing-to-reset"),
        (shop.head, f"{shop.path}/{gone}", 409, "nothing-to-reset"),
        (shop.market, f"{shop.path}/{head}", 409, "id-reused"),
    ):
        code_id = taken if code == "id-reused" else uuid7()
        answer = await actor.put(f"{path}/reset-codes/{code_id}", {})
        assert (answer.status_code, code_of(answer)) == (status, code), path
    key = {"name": "till", "scopes": ["account.manage"]}
    assert code_of(await shop.head.put(f"/api-keys/{uuid7()}", key)) == "scope-not-yours"
    # A code that another took the place of does not come back.
    assert (await given(shop, account)).status_code == 200
    assert code_of(await given(shop, account, code=taken)) == "code-replaced"
    rows = await town.rows(
        "SELECT count(*) FROM account_code WHERE used_at IS NULL AND ended_at IS NULL"
    )
    assert rows[0][0] == 1


async def test_an_office_helps_the_heads_whom_it_answers_for(shop: Shop) -> None:
    town = shop.town
    head = await shop.mine(shop.head)
    for office in (shop.market, town.operator):
        code = (await given(shop, head, by=office)).json()["code"]
        password = f"{NEW}-{uuid7().hex[-6:]}"
        assert (await reset(shop, reset_of(shop.head.login, code, password))).status_code == 200
        shop.head = await town.signed_in(shop.head.login, password)
    # Whom an operator made an office since, no market has the say of.
    await town.operator.post(
        f"/parties/{shop.head.party}/roles", role("REGULATOR", division_code="320682")
    )
    refused = await given(shop, head, by=shop.market)
    assert (refused.status_code, code_of(refused)) == (403, "role-not-yours")


async def test_nobody_takes_an_operator_or_an_office_over(shop: Shop) -> None:
    town = shop.town
    rival = await town.actor(town.firm("OPERATOR", name="另一家运营"))
    regulator = await town.regulator()
    for owner in (town.operator, shop.market, regulator):
        me = (await owner.get("/me")).json()
        path = f"/parties/{me['party']}/staff/{me['account']}/reset-codes/{uuid7()}"
        tried = [shop.head, shop.market, regulator]
        if owner is town.operator:
            tried.append(rival)
        for actor in tried:
            if actor is owner:
                continue
            answer = await actor.put(path, {})
            expected = "role-not-yours" if actor is rival else "other-party"
            assert (answer.status_code, code_of(answer)) == (403, expected)
        own = await owner.put(path, {})
        assert (own.status_code, code_of(own)) == (403, "own-reset")


async def test_one_code_is_used_once(shop: Shop) -> None:
    helper, account = await shop.hired()
    for round_ in range(3):
        code = (await given(shop, account)).json()["code"]
        bodies = [reset_of(helper.login, code, f"{NEW}-{round_}-{number}") for number in range(4)]
        answers = await asyncio.gather(*(reset(shop, body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
        (won,) = [
            body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200
        ]
        await shop.town.signed_in(helper.login, won["password"])
    told = [leaf["kind"] for leaf in await leaves(shop.town, account)]
    assert told.count("account.password-reset") == 3


async def test_the_same_reset_at_once_is_one(shop: Shop) -> None:
    helper, account = await shop.hired()
    code_id = uuid7()
    codes = await asyncio.gather(*(given(shop, account, code=code_id) for _ in range(4)))
    assert len({answer.json()["code"] for answer in codes}) == 1
    body = reset_of(helper.login, codes[0].json()["code"])
    answers = await asyncio.gather(*(reset(shop, body) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    told = [leaf["kind"] for leaf in await leaves(shop.town, account)][2:]
    assert told == ["account.reset-code", "account.password-reset"]


async def _waiting(session: AsyncSession, many: int) -> None:
    """Wait until so many are waiting for a lock."""
    for _ in range(500):
        # Within a transaction the sessions are seen as they were at the first look.
        await session.execute(text("SELECT pg_stat_clear_snapshot()"))
        waiting = await session.scalar(
            text(
                "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a "
                "ON a.pid = l.pid WHERE NOT l.granted AND a.datname = current_database()"
            )
        )
        if waiting == many:
            return
        await asyncio.sleep(0.01)
    pytest.fail("nobody waited")


async def held_up(
    shop: Shop, account: str, *acts: Callable[[], Awaitable[httpx.Response]]
) -> list[httpx.Response]:
    """Let one after the other come as far as the row of an account, and then all go on."""
    async with shop.town.database.transaction() as session:
        await session.execute(
            text("SELECT 1 FROM account WHERE public_id = :id FOR UPDATE"), {"id": account}
        )
        tasks: list[asyncio.Future[httpx.Response]] = []
        for number, act in enumerate(acts, start=1):
            tasks.append(asyncio.ensure_future(act()))
            await _waiting(session, number)
    return list(await asyncio.gather(*tasks))


async def test_whoever_signs_in_with_the_old_password_meanwhile_is_out(shop: Shop) -> None:
    helper, account = await shop.hired()
    code = (await given(shop, account)).json()["code"]
    old = {"login": helper.login, "password": PASSWORD}
    done, entry = await held_up(
        shop,
        account,
        lambda: reset(shop, reset_of(helper.login, code)),
        lambda: shop.town.public.post("/sessions", old),
    )
    assert (done.status_code, entry.status_code) == (200, 401)
    left = await shop.town.rows(
        "SELECT 1 FROM session s JOIN account a ON a.id = s.account_id WHERE a.public_id = :id",
        id=UUID(account),
    )
    assert left == []


async def test_a_reset_while_being_shut_out_lets_nobody_in(shop: Shop) -> None:
    helper, account = await shop.hired()
    code = (await given(shop, account)).json()["code"]
    shut, late = await held_up(
        shop,
        account,
        lambda: shop.set(account, enabled=False),
        lambda: reset(shop, reset_of(helper.login, code)),
    )
    assert (shut.status_code, late.status_code, code_of(late)) == (200, 401, "reset-refused")


async def test_a_session_that_a_reset_ended_is_forgotten_in_time(
    shop: Shop, clock: FakeClock
) -> None:
    helper, account = await shop.hired()
    code = (await given(shop, account)).json()["code"]
    assert (await reset(shop, reset_of(helper.login, code))).status_code == 200
    clock.advance(days=31)
    async with shop.town.database.transaction() as session:
        await credentials.end_expired_sessions(session, now=clock())
    assert await shop.town.rows("SELECT 1 FROM ended_session") == []
    assert (await helper.get("/me")).json()["facts"] == {}


# --- another code for who has not come ------------------------------------------------------------


async def test_a_new_claim_code_ends_the_one_before(shop: Shop, clock: FakeClock) -> None:
    town = shop.town
    member, phone = await shop.invited()
    account, old = member["account"], member["claim"]["code"]
    clock.advance(days=30)
    shop.head = await town.signed_in(shop.head.login)
    code_id = uuid7()
    first = await another_claim(shop, account, phone, code=code_id)
    again = await another_claim(shop, account, f"+86 {phone}", code=code_id)
    assert (first.status_code, again.json()) == (200, first.json())
    code = first.json()["claim"]["code"]
    assert code != old
    assert first.json()["claim"]["expires_at"] == "2026-08-16T20:00:00Z"
    assert (await shop.listed())[account] == first.json()
    assert code_of(await town.public.post("/claims", claim_of(phone, old))) == "claim-refused"
    # The first invitation, sent again, changes nothing.
    body = {"name": NAME, "phone": phone, "duty": "staff"}
    assert (await shop.head.put(f"{shop.path}/{account}", body)).json() == first.json()
    claimed = await town.public.post("/claims", claim_of(phone, code))
    assert claimed.json() == {"id": account, "party": str(shop.head.party)}
    assert (await town.signed_in(phone)).party == shop.head.party
    assert [leaf["kind"] for leaf in await leaves(town, account)] == [
        "account.invited",
        "account.claim-code",
        "account.taken-up",
    ]
    # Whoever has come can forget the password like everybody.
    assert (await given(shop, account)).status_code == 200


async def test_a_mistyped_phone_is_mended(shop: Shop) -> None:
    town = shop.town
    member, wrong = await shop.invited()
    right = town.typist.phone()
    code = (await another_claim(shop, member["account"], right)).json()["claim"]["code"]
    for phone, status in ((wrong, 401), (right, 200)):
        assert (await town.public.post("/claims", claim_of(phone, code))).status_code == status


async def test_new_claim_codes_are_refused_in_order(shop: Shop) -> None:
    town = shop.town
    helper, come = await shop.hired()
    member, phone = await shop.invited()
    account = member["account"]
    second, _ = await shop.invited()
    other = await town.actor(town.person("STALL"))
    taken = uuid7()
    assert (await another_claim(shop, account, phone, code=taken)).status_code == 200
    nowhere = f"/parties/{uuid7()}/staff/{account}"
    mine = f"{shop.path}/{account}"
    for actor, path, typed, status, code in (
        (town.public, nowhere, "1", 401, "not-signed-in"),
        (helper, nowhere, "1", 422, "phone-invalid"),
        (helper, nowhere, phone, 404, "unknown-party"),
        (helper, mine, phone, 403, "not-head"),
        (other, mine, phone, 403, "other-party"),
        (shop.market, mine, phone, 404, "unknown-member"),
        (shop.head, f"{shop.path}/{uuid7()}", phone, 404, "unknown-member"),
        (shop.head, f"{shop.path}/{come}", phone, 409, "nothing-to-claim"),
        (shop.head, f"{shop.path}/{second['account']}", phone, 409, "id-reused"),
        (shop.head, mine, town.typist.phone(), 409, "id-reused"),
    ):
        code_id = taken if code == "id-reused" else uuid7()
        answer = await actor.put(f"{path}/claim-codes/{code_id}", {"phone": typed})
        assert (answer.status_code, code_of(answer)) == (status, code), path
    newest = await another_claim(shop, account, phone)
    assert code_of(await another_claim(shop, account, phone, code=taken)) == "code-replaced"
    assert (await shop.listed())[account] == newest.json()
    await shop.set(account, enabled=False)
    assert code_of(await another_claim(shop, account, phone)) == "nothing-to-claim"
    # Let in again, the code of before is shown, and is the right one.
    await shop.set(account, enabled=True)
    code = (await shop.listed())[account]["claim"]["code"]
    assert (await town.public.post("/claims", claim_of(phone, code))).status_code == 200


async def test_of_codes_given_at_once_one_is_open(shop: Shop) -> None:
    member, phone = await shop.invited()
    account = member["account"]
    answers = await asyncio.gather(*(another_claim(shop, account, phone) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    shown = (await shop.listed())[account]["claim"]["code"]
    codes = [answer.json()["claim"]["code"] for answer in answers]
    claims = [await shop.town.public.post("/claims", claim_of(phone, one)) for one in codes]
    statuses = dict(zip(codes, (claim.status_code for claim in claims), strict=True))
    assert [one for one, status in statuses.items() if status == 200] == [shown]


# --- what ends with whoever is shut out -----------------------------------------------------------


async def key_of(maker: Actor, **body: Any) -> httpx.Response:
    return await maker.put(f"/api-keys/{uuid7()}", {"name": "秤", "scopes": ["lot.read"]} | body)


async def test_keys_end_with_whoever_made_them(shop: Shop) -> None:
    second, account = await shop.hired("head")
    theirs, mine = await key_of(second), await key_of(shop.head)
    assert theirs.json()["made_by"] == account
    machine, till = (second.with_key(one.json()["secret"]) for one in (theirs, mine))
    assert {(await one.get("/lots")).status_code for one in (machine, till)} == {200}
    assert (await shop.set(account, enabled=False)).status_code == 200
    for caller, status in ((second, 401), (machine, 401), (till, 200)):
        assert (await caller.get("/lots")).status_code == status
    keys = {key["id"]: key for key in (await shop.head.get("/api-keys")).json()["keys"]}
    ended = keys[theirs.json()["id"]]
    assert (ended["revoked_at"], ended["made_by"]) == ("2026-06-17T20:00:00Z", account)
    assert keys[mine.json()["id"]]["revoked_at"] is None
    # Let in again, nobody gets keys back.
    await shop.set(account, enabled=True)
    assert (await machine.get("/lots")).status_code == 401


async def test_a_key_that_is_made_while_its_maker_is_shut_out_is_none(shop: Shop) -> None:
    second, account = await shop.hired("head")
    made, shut = await held_up(
        shop, account, lambda: key_of(second), lambda: shop.set(account, enabled=False)
    )
    assert (made.status_code, shut.status_code) == (201, 200)
    machine = second.with_key(made.json()["secret"])
    assert (await machine.get("/lots")).status_code == 401
    third, account = await shop.hired("head")
    shut, late = await held_up(
        shop, account, lambda: shop.set(account, enabled=False), lambda: key_of(third)
    )
    assert (shut.status_code, late.status_code, code_of(late)) == (200, 401, "not-signed-in")
    fourth, account = await shop.hired("head")
    moved, late = await held_up(
        shop, account, lambda: shop.set(account, duty="staff"), lambda: key_of(fourth)
    )
    assert (moved.status_code, late.status_code, code_of(late)) == (200, 403, "not-allowed")


async def test_a_code_for_a_device_ends_with_whoever_made_it(shop: Shop) -> None:
    town, market = shop.town, shop.market
    shop.head = market
    second, account = await shop.hired("head")
    site, _ = await town.place(party=market.party)
    _, gate = await town.place(party=None, kind="gate", inside=site)
    made = await second.put(f"/gate/enrolments/{uuid7()}", {"place": str(gate)})
    assert made.status_code == 201, made.text
    device = {
        "code": made.json()["code"],
        "name": "西门平板",
        "algorithm": "ed25519",
        "public_key": "11" * 32,
    }
    path = f"/gate/devices/{uuid7()}"
    # As far as the code goes it is good: the platform of this test has no signed lists.
    assert code_of(await town.public.put(path, device)) == "bundle-not-ready"
    assert (await shop.set(account, enabled=False)).status_code == 200
    refused = await town.public.put(path, device)
    assert (refused.status_code, code_of(refused)) == (403, "enrolment-code-wrong")


# --- names of people who left ---------------------------------------------------------------------


async def erased(town: Town, clock: FakeClock) -> int:
    async with town.database.transaction() as session:
        return await names.erase(session, now=clock())


async def test_a_name_is_erased_two_years_after_its_person_left(
    shop: Shop, clock: FakeClock
) -> None:
    town = shop.town
    helper, account = await shop.hired()
    await shop.set(account, enabled=False)
    staying, _ = await shop.hired()
    clock.advance(days=730)
    assert await erased(town, clock) == 0
    clock.advance(days=1)
    assert [await erased(town, clock), await erased(town, clock)] == [1, 0]
    shop.head = await town.signed_in(shop.head.login)
    member = (await shop.listed())[account]
    assert (member["name"], member["state"], member["is_erased"]) == (None, "disabled", True)
    row = await town.rows(
        "SELECT name_sealed, asked_index, login_index, password_hash FROM account"
        " WHERE public_id = :id",
        id=UUID(account),
    )
    assert tuple(row[0]) == (None, None, None, None)
    assert (await (await town.signed_in(staying.login)).get("/me")).json()["person"] == NAME
    assert [leaf["kind"] for leaf in await leaves(town, account)][-1] == "account.erased"
    # Whoever comes back is let in, and comes with a code like somebody new, by the same phone.
    assert (await shop.set(account, enabled=True)).json()["state"] == "invited"
    code = (await another_claim(shop, account, helper.login)).json()["claim"]["code"]
    assert (await town.public.post("/claims", claim_of(helper.login, code))).status_code == 200
    back = (await (await town.signed_in(helper.login)).get("/me")).json()
    assert (back["account"], back["person"]) == (account, None)
    assert (await shop.listed())[account]["is_erased"] is False


async def test_a_name_is_kept_while_a_hold_asks_about_its_days(
    shop: Shop, clock: FakeClock
) -> None:
    town = shop.town
    _, before = await shop.hired()
    _, after = await shop.hired()
    regulator = await town.regulator()
    await shop.set(before, enabled=False)
    clock.advance(days=1)
    lot, hold = uuid7(), uuid7()
    goods = {
        "origin": "declare",
        "product": CHIVES,
        "quantity": "10",
        "unit": "公斤",
        "division_code": VILLAGE,
    }
    opened = await shop.head.put(f"/lots/{lot}", goods)
    assert opened.status_code == 201, opened.text
    regulator = await town.signed_in(regulator.login)
    stopped = await regulator.put(f"/holds/{hold}", {"lot": str(lot), "reason": "复检"})
    assert stopped.status_code == 201, stopped.text
    clock.advance(days=1)
    await shop.set(after, enabled=False)
    clock.advance(days=1000)
    assert await erased(town, clock) == 1
    shop.head = await town.signed_in(shop.head.login)
    assert {one["account"] for one in (await shop.listed()).values() if one["is_erased"]} == {
        before
    }
    regulator = await town.signed_in(regulator.login)
    let_go = await regulator.put(f"/holds/{hold}/release", {"reason": "合格"})
    assert let_go.status_code == 200, let_go.text
    assert await erased(town, clock) == 1
    assert (await shop.listed())[after]["is_erased"] is True
