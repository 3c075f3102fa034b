"""Parties, roles, accounts, sessions, keys and invitations, through HTTP.

Every answer is searched for personal numbers (see the fixture `town`).
"""

import asyncio
import io
import statistics
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID

import pytest
import structlog
from sqlalchemy import text

from app.core import problems
from app.core.clock import local_date
from app.core.ids import uuid7
from app.core.logging import request_lines
from app.core.sealing import CannotOpenError, Vault
from app.party import access, credentials, identifiers, service
from app.party.access import RoleKind
from tests.town import (
    COOKIE,
    PASSWORD,
    RUGAO,
    Actor,
    Json,
    Town,
    code_of,
    role,
    without_request_id,
)

TODAY = "2026-06-18"
HAIAN = "320685100"


# --- registering ----------------------------------------------------------------------------------


async def test_a_party_is_registered_once_and_a_repeat_answers_the_same(town: Town) -> None:
    party, body = uuid7(), town.person()
    first = await town.operator.put(f"/parties/{party}", body)
    again = await town.operator.put(f"/parties/{party}", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json() == {
        "id": str(party),
        "form": "natural",
        "name": "欧阳小明",
        "county": "320682",
        "kinds": ["FARMER"],
        "file": {
            "status": "active",
            "uscc": None,
            "id_number_masked": identifiers.mask_resident_id(body["id_number"]),
            "phone_masked": identifiers.mask_phone(body["phone"]),
            "division_code": RUGAO,
            "roles": [
                {
                    "number": 1,
                    "kind": "FARMER",
                    "valid_from": "2026-01-01",
                    "valid_to": None,
                    "place": None,
                    "division_code": None,
                    "department": None,
                }
            ],
        },
        "notes": [],
    }
    assert await town.rows("SELECT count(*) FROM party WHERE public_id = :id", id=party) == [(1,)]
    assert (
        len(
            await town.rows(
                "SELECT 1 FROM party_role r JOIN party p ON p.id = r.party_id "
                "WHERE p.public_id = :id",
                id=party,
            )
        )
        == 1
    )


@pytest.mark.parametrize(
    "change",
    [
        {"name": "欧阳小民"},
        {"division_code": HAIAN},
        {"address": None},
        {"phone": None},
        {"id_number": None},
        {"roles": [role("STALL")]},
        {"roles": [role("FARMER", valid_from="2026-01-02")]},
        {"roles": [role("FARMER", valid_to="2027-01-01")]},
        {"roles": [role("FARMER"), role("STALL")]},
    ],
)
async def test_other_content_under_the_same_id_is_refused(town: Town, change: Json) -> None:
    party, body = uuid7(), town.person()
    assert (await town.operator.put(f"/parties/{party}", body)).status_code == 201
    other = await town.operator.put(f"/parties/{party}", body | change)
    assert (other.status_code, code_of(other)) == (409, "id-reused")


async def test_a_repeat_stays_a_repeat_after_a_role_was_ended(town: Town) -> None:
    party, body = uuid7(), town.person()
    await town.operator.put(f"/parties/{party}", body)
    ended = await town.operator.put(f"/parties/{party}/roles/1/end", {"valid_to": "2026-07-01"})
    assert ended.status_code == 200
    again = await town.operator.put(f"/parties/{party}", body)
    assert again.status_code == 200
    assert again.json()["file"]["roles"][0]["valid_to"] == "2026-07-01"


async def test_a_number_names_one_party_and_a_phone_may_name_a_family(town: Town) -> None:
    person, firm = town.person(), town.firm()
    await town.registered(person)
    await town.registered(firm)
    for taken in (
        town.person(id_number=person["id_number"]),
        town.firm(uscc=firm["uscc"]),
    ):
        answer = await town.operator.put(f"/parties/{uuid7()}", taken)
        assert (answer.status_code, code_of(answer)) == (409, "number-taken")
    await town.registered(town.person(phone=person["phone"]))


async def test_what_was_normalised_is_told_back(town: Town) -> None:
    uscc, phone = town.typist.uscc(), town.typist.phone()
    body = town.firm(uscc=f" {uscc[:8].lower()}-{uscc[8:]}", phone=f"+86 {phone[:3]} {phone[3:]}")
    answer = await town.operator.put(f"/parties/{uuid7()}", body)
    assert answer.status_code == 201
    assert answer.json()["file"]["uscc"] == uscc
    notes = answer.json()["notes"]
    assert {note["member"] for note in notes} == {"uscc", "phone"}
    assert "已去掉空格和分隔符" in {note["zh"] for note in notes}
    assert all(note["zh"] and note["en"] for note in notes)


@pytest.mark.parametrize(
    ("uscc", "kind"),
    [
        ("N2320623MF0NT0071J", "VILLAGE_COLLECTIVE"),
        ("12320600MB0NT0050G", "GROUP_BUYER"),
        ("52320612MJ0NT0084N", "GROUP_BUYER"),
        ("93320682MA7NT0033E", "COOP"),
        ("91320613MA7NT00171", "AGRI_ENT"),
    ],
)
async def test_the_organisations_of_nantong_can_all_be_registered(
    town: Town, uscc: str, kind: str
) -> None:
    await town.registered(town.firm(kind, uscc=uscc))


async def test_somebody_born_before_1983_in_a_county_of_today_can_be_registered(town: Town) -> None:
    first = "32061319580230"[:12] + "15" + "002"
    await town.registered(
        town.person(id_number=first + identifiers.resident_id_check_character(first))
    )


@pytest.mark.parametrize(
    ("change", "status", "code", "pointer"),
    [
        ({"form": "other"}, 422, "malformed-request", "/form"),
        ({"name": ""}, 422, "malformed-request", "/name"),
        ({"name": "换\u202e行"}, 422, "malformed-request", "/name"),
        ({"name": "a\x00b"}, 422, "malformed-request", "/name"),
        ({"status": "active"}, 422, "malformed-request", "/status"),
        ({"created_by": 1}, 422, "malformed-request", "/created_by"),
        ({"division_code": "3206"}, 422, "malformed-request", "/division_code"),
        ({"division_code": "３２０６８２"}, 422, "malformed-request", "/division_code"),
        ({"roles": []}, 422, "malformed-request", "/roles"),
        ({"roles": [role("KING")]}, 422, "malformed-request", "/roles/0/kind"),
        ({"uscc": "91320682MA7N00011"}, 422, "uscc-invalid", "/uscc"),
        ({"phone": "123"}, 422, "phone-invalid", "/phone"),
        ({"id_number": "360426199101010071"}, 422, "number-unfit", "/id_number"),
        ({"uscc": None}, 422, "number-missing", "/uscc"),
        (
            {"form": "natural", "uscc": None, "id_number": "1"},
            422,
            "resident-id-invalid",
            "/id_number",
        ),
        (
            {"roles": [role("STALL", valid_to="2026-01-01")]},
            422,
            "role-dates-invalid",
            None,
        ),
        ({"roles": [role("REGULATOR")]}, 422, "jurisdiction-missing", None),
        ({"roles": [role("STALL", place=str(UUID(int=7)))]}, 422, "role-place-unknown", None),
    ],
)
async def test_bodies_that_cannot_be_registered(
    town: Town, change: Json, status: int, code: str, pointer: str | None
) -> None:
    answer = await town.operator.put(f"/parties/{uuid7()}", town.firm() | change)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert [error["pointer"] for error in answer.json()["errors"]] == ([pointer] if pointer else [])
    assert await town.rows("SELECT count(*) FROM party") == [(1,)]


async def test_refusals_come_in_order(town: Town) -> None:
    """Each body breaks its own rule and every later one."""
    market = await town.market()
    taken, taken_id = town.firm(), uuid7()
    await town.operator.put(f"/parties/{taken_id}", taken)
    bad_number = {"uscc": "0", "roles": [role("OPERATOR", valid_to="2020-01-01")]}
    bad_dates = {"roles": [role("OPERATOR", valid_to="2020-01-01", place=str(uuid7()))]}
    bad_place = {"roles": [role("OPERATOR", place=str(uuid7()))]}
    bad_role = {"roles": [role("OPERATOR")]}
    reused: Json = {"name": "别的名字", "roles": [role("STALL")]}
    for path, body, status, code in (
        (taken_id, taken | bad_number, 422, "uscc-invalid"),
        (taken_id, taken | bad_dates, 422, "role-dates-invalid"),
        (taken_id, taken | bad_place, 422, "role-place-unknown"),
        (taken_id, taken | bad_role, 403, "role-not-yours"),
        (taken_id, taken | reused, 409, "id-reused"),
        (uuid7(), taken | reused, 409, "number-taken"),
    ):
        answer = await market.put(f"/parties/{path}", body)
        assert (answer.status_code, code_of(answer)) == (status, code)
        unknown = await town.public.put(f"/parties/{path}", body)
        assert (unknown.status_code, code_of(unknown)) == (401, "not-signed-in")


async def test_rivals_register_one_party_and_one_number(town: Town) -> None:
    same_id, body = uuid7(), town.person()
    answers = await asyncio.gather(
        *(town.operator.put(f"/parties/{same_id}", body) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.text for answer in answers}) == 1
    same_number = town.person()
    answers = await asyncio.gather(
        *(town.operator.put(f"/parties/{uuid7()}", same_number) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {"number-taken"}


# --- personal data --------------------------------------------------------------------------------


async def test_numbers_phones_and_addresses_are_sealed_at_rest(town: Town) -> None:
    body = town.person()
    party = await town.registered(body)
    (row,) = await town.rows("SELECT * FROM party WHERE public_id = :id", id=party)
    typed = {name: body[name] for name in ("id_number", "phone", "address")}
    for stored in row:
        shown = stored.hex() if isinstance(stored, bytes) else str(stored)
        for value in typed.values():
            assert value not in shown
            assert value.encode().hex() not in shown
    stranger = Vault(bytes(32))
    for name, value in typed.items():
        sealed = getattr(row, f"{name}_sealed")
        assert town.vault.open(sealed, purpose=f"party.{name}") == value
        with pytest.raises(CannotOpenError):
            stranger.open(sealed, purpose=f"party.{name}")
        with pytest.raises(CannotOpenError):
            town.vault.open(sealed, purpose="party.other")
    # Without the key nobody can try phones until an index fits.
    assert row.phone_index != stranger.index(typed["phone"], purpose="party.phone")


async def test_a_claimed_login_that_is_a_phone_is_not_readable_at_rest(town: Town) -> None:
    body = town.person("STALL")
    await town.account(await town.registered(body), login=body["phone"])
    rows = await town.rows("SELECT a::text FROM account a")
    assert not any(body["phone"] in row[0] or PASSWORD in row[0] for row in rows)
    await town.signed_in(f"+86 {body['phone'][:3]}-{body['phone'][3:]}")


async def test_logs_hold_no_personal_data(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(lines),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    monkeypatch.setattr(request_lines, "_write", lambda line: lines.write(line.decode() + "\n"))
    monkeypatch.setattr(problems, "log", logger)
    body = town.person(name="令狐不可说")
    party = await town.registered(body)
    await town.operator.put(f"/parties/{uuid7()}", body)
    await town.operator.put(f"/parties/{party}", body | {"id_number": "0"})
    await town.operator.get(f"/parties?q={body['name']}")
    await town.account(party, login=body["phone"])
    await town.public.post("/sessions", {"login": body["phone"], "password": "wrong-password-1"})
    await town.public.post("/claims", {"phone": body["phone"], "code": "ABCDEFGH"})
    logged = lines.getvalue()
    assert logged.count('"request"') == 7
    for secret in (*town.typist.secrets, body["name"], PASSWORD, "wrong-password-1", str(party)):
        assert secret not in logged


# --- reading --------------------------------------------------------------------------------------


async def test_who_sees_what_of_a_person(town: Town) -> None:
    market = await town.market()
    body = town.person()
    farmer = await town.actor(body, by=market)
    stranger = await town.actor(town.firm())
    here, elsewhere = await town.regulator("320682"), await town.regulator("320685")
    path = f"/parties/{farmer.party}"

    for insider in (farmer, market, town.operator, here):
        seen = (await insider.get(path)).json()
        assert seen["name"] == body["name"]
        assert seen["file"]["phone_masked"] == identifiers.mask_phone(body["phone"])
    for outsider in (stranger, elsewhere):
        seen = (await outsider.get(path)).json()
        assert seen == {
            "id": str(farmer.party),
            "form": "natural",
            "name": "欧阳**",
            "county": "320682",
            "kinds": ["FARMER"],
            "file": None,
            "notes": [],
        }
    public = await town.public.get(path)
    assert (public.status_code, code_of(public)) == (401, "not-signed-in")
    missing = await stranger.get(f"/parties/{uuid7()}")
    assert (missing.status_code, code_of(missing)) == (404, "unknown-party")
    assert (await stranger.get("/parties/7")).status_code == 422


async def test_an_organisation_is_named_to_everybody_and_numbered_to_offices(town: Town) -> None:
    firm = await town.registered(town.firm())
    stranger = await town.actor(town.person())
    seen = (await stranger.get(f"/parties/{firm}")).json()
    assert (seen["name"], seen["file"]) == ("如皋文峰超市", None)


async def test_a_buyer_is_found_by_name_and_people_are_not_listed(town: Town) -> None:
    trader = await town.actor(town.person("STALL", name="张桂芳"))
    await town.registered(town.firm(name="如皋100%实验小学"))
    await town.registered(town.firm(name="如皋_实验小学"))
    disabled = await town.registered(town.firm(name="如皋停业小学"))
    await town.execute("UPDATE party SET status = 'disabled' WHERE public_id = :id", id=disabled)
    await town.registered(town.person(name="张桂兰"))

    async def found(q: str, by: Actor = trader) -> list[str]:
        answer = await by.get(f"/parties?q={q}")
        assert answer.status_code == 200, answer.text
        parties = answer.json()["parties"]
        assert all(party["file"] is None for party in parties)
        return [party["name"] for party in parties]

    assert await found("实验小学") == ["如皋100%实验小学", "如皋_实验小学"]
    assert await found("0%25实") == ["如皋100%实验小学"]
    assert await found("%25%25") == []
    assert await found("皋_实") == ["如皋_实验小学"]
    assert await found("停业") == []
    assert await found("张桂") == []
    assert await found("张桂兰") == ["张**"]
    for q in ("", "张", "%00%00", "x" * 51):
        answer = await trader.get(f"/parties?q={q}")
        assert (answer.status_code, code_of(answer)) == (422, "malformed-request")
    assert (await town.public.get("/parties?q=小学")).status_code == 401


async def test_a_search_answers_twenty(town: Town) -> None:
    async with town.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO party (public_id, form, name, status, commit_salt, created_at)"
                " SELECT gen_random_uuid(), 'legal', '食堂' || n, 'active', '', now()"
                " FROM generate_series(1, 30) n"
            )
        )
    answer = await town.operator.get("/parties?q=食堂")
    assert len(answer.json()["parties"]) == 20


async def test_an_invited_party_is_found_by_its_inviter_only(town: Town) -> None:
    seller, other = await town.actor(town.person("STALL")), await town.actor(town.person("STALL"))
    body = {"name": "李记小馆", "phone": town.typist.phone(), "role": "CATERER"}
    assert (await seller.put(f"/invitations/{uuid7()}", body)).status_code == 200
    assert len((await seller.get("/parties?q=李记小馆")).json()["parties"]) == 1
    assert (await other.get("/parties?q=李记小馆")).json()["parties"] == []


# --- roles ----------------------------------------------------------------------------------------


async def test_a_role_ended_yesterday_gives_no_audience(town: Town, clock: Any) -> None:
    farmer = await town.actor(town.person())
    ended = await town.operator.put(
        f"/parties/{farmer.party}/roles/1/end", {"valid_to": "2026-06-19"}
    )
    assert ended.status_code == 200
    assert (await farmer.get("/me")).json()["audiences"] == ["public", "trader"]
    clock.advance(hours=19, minutes=59)  # 23:59 in Nantong
    assert (await farmer.get("/me")).json()["roles"] == ["FARMER"]
    clock.advance(minutes=1)
    after = await farmer.get("/me")
    assert (after.status_code, code_of(after)) == (403, "not-allowed")
    assert (await farmer.get(f"/parties/{farmer.party}")).status_code == 403


async def test_a_role_of_tomorrow_gives_no_audience_today(town: Town, clock: Any) -> None:
    stall = await town.actor(town.person(roles=[role("STALL", valid_from="2026-06-19")]))
    assert (await stall.get("/me")).status_code == 403
    clock.advance(days=1)
    assert (await stall.get("/me")).json()["roles"] == ["STALL"]


async def test_a_role_is_given_once(town: Town) -> None:
    party = await town.registered(town.person())
    path, stall = f"/parties/{party}/roles", role("STALL", valid_to="2027-01-01")
    first, again = await town.operator.post(path, stall), await town.operator.post(path, stall)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["kinds"] == ["FARMER", "STALL"]
    assert [role["number"] for role in first.json()["file"]["roles"]] == [1, 2]
    # A later end than the stored one is what a repeat says after the role was ended early.
    for change in ({"valid_to": "2026-12-01"}, {"division_code": "320682"}):
        other = await town.operator.post(path, stall | change)
        assert (other.status_code, code_of(other)) == (409, "id-reused")
    missing = await town.operator.post(f"/parties/{uuid7()}/roles", stall)
    assert (missing.status_code, code_of(missing)) == (404, "unknown-party")


async def test_rivals_give_a_role_once(town: Town, clock: Callable[[], datetime]) -> None:
    party = await town.registered(town.person())
    stall = service.RoleWanted(RoleKind.STALL, valid_from=date(2026, 1, 1))
    token = town.operator.headers["cookie"].partition("=")[2]

    async def give() -> bool:
        async with town.database.transaction() as session:
            operator = await credentials.caller_of_session(session, token, now=clock())
            _, new = await service.give_role(session, operator, party, stall)
            return new

    async with town.database.transaction() as session:
        operator = await credentials.caller_of_session(session, token, now=clock())
        assert (await service.give_role(session, operator, party, stall))[1]
        rival = asyncio.create_task(give())
        await asyncio.sleep(0.2)
        assert not rival.done(), "the rival waits, for what it saw would be out of date"
    assert not await rival


async def test_an_end_is_set_once_and_changes_no_day_gone_by(town: Town) -> None:
    party = await town.registered(town.person())
    path = f"/parties/{party}/roles/1/end"
    for valid_to, status in (
        ("2026-06-17", 422),
        ("2026-12-01", 200),
        ("2026-12-01", 200),
        ("2026-12-02", 422),
        ("2026-06-18", 200),
        ("2026-06-18", 200),
    ):
        answer = await town.operator.put(path, {"valid_to": valid_to})
        assert answer.status_code == status, (valid_to, answer.text)
        assert status == 200 or code_of(answer) == "role-dates-invalid"
    unknown = await town.operator.put(f"/parties/{party}/roles/2/end", {"valid_to": TODAY})
    assert (unknown.status_code, code_of(unknown)) == (404, "unknown-role")


async def test_a_market_gives_roles_at_its_own_places(town: Town) -> None:
    market, other = await town.market(), await town.market("海安批发市场")
    inside, own = await town.place(party=market.party)
    _, stall = await town.place(party=None, kind="stall", inside=inside)
    _, foreign = await town.place(party=other.party)
    party = await town.registered(town.person("STALL"), by=market)
    path = f"/parties/{party}/roles"
    for place in (own, stall):
        answer = await market.post(path, role("STALL", place=str(place)))
        assert answer.status_code == 201, answer.text
        assert answer.json()["file"]["roles"][-1]["place"] == str(place)
    refused = await market.post(path, role("STALL", place=str(foreign)))
    assert (refused.status_code, code_of(refused)) == (403, "role-not-yours")
    await town.operator.post(path, role("STALL", place=str(foreign)))
    theirs = await market.put(f"{path}/4/end", {"valid_to": TODAY})
    assert (theirs.status_code, code_of(theirs)) == (403, "role-not-yours")
    own_again = await market.put(f"{path}/3/end", {"valid_to": TODAY})
    assert own_again.status_code == 200


# --- nobody raises themselves ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["OPERATOR", "REGULATOR", "MARKET", "LAB", "QUICKTEST_POINT"])
async def test_a_market_cannot_make_an_office(town: Town, kind: str) -> None:
    market = await town.market()
    wanted = role(kind, division_code="3206")
    for roles in ([wanted], [role("STALL"), wanted]):
        answer = await market.put(f"/parties/{uuid7()}", town.firm(roles=roles))
        assert (answer.status_code, code_of(answer)) == (403, "role-not-yours")
    party = await town.registered(town.person("STALL"), by=market)
    answer = await market.post(f"/parties/{party}/roles", wanted)
    assert (answer.status_code, code_of(answer)) == (403, "role-not-yours")
    kinds = await town.rows(
        "SELECT count(*) FROM party_role WHERE kind = :kind AND valid_from > '2020-01-01'",
        kind=kind,
    )
    assert kinds == [(1 if kind == "MARKET" else 0,)]


@pytest.mark.parametrize("kind", ["OPERATOR", "REGULATOR", "MARKET", "LAB"])
async def test_a_regulator_cannot_make_an_office(town: Town, kind: str) -> None:
    regulator = await town.regulator()
    wanted = role(kind, division_code="320682")
    answer = await regulator.put(f"/parties/{uuid7()}", town.firm(roles=[wanted]))
    assert (answer.status_code, code_of(answer)) == (403, "role-not-yours")


async def test_a_regulator_registers_the_trade_of_its_jurisdiction(town: Town) -> None:
    regulator = await town.regulator("320682")
    party = await town.registered(town.person("SLAUGHTER"), by=regulator)
    assert (await regulator.post(f"/parties/{party}/roles", role("STORE"))).status_code == 201
    outside = [
        town.person(division_code=HAIAN),
        town.person(division_code=None),
        town.person(roles=[role("FARMER", division_code="3206")]),
        town.person(roles=[role("FARMER", division_code=HAIAN)]),
    ]
    for body in outside:
        answer = await regulator.put(f"/parties/{uuid7()}", body)
        assert (answer.status_code, code_of(answer)) == (403, "role-not-yours")
    elsewhere = await town.registered(town.person(division_code=HAIAN))
    answer = await regulator.post(f"/parties/{elsewhere}/roles", role("STORE"))
    assert (answer.status_code, code_of(answer)) == (403, "other-party")


async def test_no_office_changes_its_own_roles(town: Town) -> None:
    market, regulator = await town.market(), await town.regulator()
    for actor in (market, regulator):
        path = f"/parties/{actor.party}/roles"
        for attempt in (
            await actor.post(path, role("STALL")),
            await actor.post(path, role("OPERATOR")),
            await actor.put(f"{path}/1/end", {"valid_to": "2099-01-01"}),
        ):
            assert (attempt.status_code, code_of(attempt)) == (403, "role-not-yours")


async def test_markets_keep_to_the_parties_they_registered(town: Town) -> None:
    market, other = await town.market(), await town.market("海安批发市场")
    party = await town.registered(town.person("STALL"), by=other)
    account = {"party": str(party), "login": "somebody", "password": PASSWORD}
    for attempt in (
        await market.post(f"/parties/{party}/roles", role("COLLECTOR")),
        await market.put(f"/parties/{party}/roles/1/end", {"valid_to": TODAY}),
        await market.put(f"/accounts/{uuid7()}", account),
        await market.put(f"/accounts/{uuid7()}", account | {"party": str(town.operator.party)}),
    ):
        assert (attempt.status_code, code_of(attempt)) == (403, "other-party")


async def test_traders_register_nobody(town: Town) -> None:
    stall = await town.actor(town.person("STALL"))
    account = {"party": str(stall.party), "login": "second", "password": PASSWORD}
    for attempt in (
        await stall.put(f"/parties/{uuid7()}", town.person()),
        await stall.put(f"/parties/{stall.party}", town.person("OPERATOR")),
        await stall.post(f"/parties/{stall.party}/roles", role("FARMER")),
        await stall.put(f"/parties/{stall.party}/roles/1/end", {"valid_to": TODAY}),
        await stall.put(f"/accounts/{uuid7()}", account),
    ):
        assert (attempt.status_code, code_of(attempt)) == (403, "not-allowed")


async def test_a_market_cannot_sign_in_as_what_became_of_its_party(town: Town) -> None:
    market = await town.market()
    party = await town.registered(town.firm("STALL"), by=market)
    given = await town.operator.post(
        f"/parties/{party}/roles", role("REGULATOR", division_code="3206")
    )
    assert given.status_code == 201
    account = {"party": str(party), "login": "trojan", "password": PASSWORD}
    answer = await market.put(f"/accounts/{uuid7()}", account)
    assert (answer.status_code, code_of(answer)) == (403, "role-not-yours")
    answer = await market.post(f"/parties/{party}/roles", role("STALL", valid_from="2026-02-01"))
    assert answer.status_code == 201
    ended = await market.put(f"/parties/{party}/roles/2/end", {"valid_to": TODAY})
    assert (ended.status_code, code_of(ended)) == (403, "role-not-yours")


async def test_a_market_cannot_act_for_whom_it_invited(town: Town) -> None:
    market = await town.market()
    guest, phone = uuid7(), town.typist.phone()
    body = {"name": "李校长", "phone": phone}
    code = (await market.put(f"/invitations/{guest}", body)).json()["claim_code"]
    account = {"party": str(guest), "login": "headmaster", "password": PASSWORD}
    before = await market.put(f"/accounts/{uuid7()}", account)
    claim = {"phone": phone, "code": code, "account": str(uuid7()), "password": PASSWORD}
    assert (await town.public.post("/claims", claim)).status_code == 200
    after = await market.put(f"/accounts/{uuid7()}", account)
    for answer in (before, after):
        assert (answer.status_code, code_of(answer)) == (403, "other-party")


async def test_an_invited_party_becomes_no_office_before_it_is_claimed(town: Town) -> None:
    seller, guest = await town.actor(town.person("STALL")), uuid7()
    body = {"name": "李校长", "phone": town.typist.phone()}
    await seller.put(f"/invitations/{guest}", body)
    path = f"/parties/{guest}/roles"
    answer = await town.operator.post(path, role("REGULATOR", division_code="3206"))
    assert (answer.status_code, code_of(answer)) == (409, "party-not-active")
    assert (await town.operator.post(path, role("CATERER"))).status_code == 201
    account = {"party": str(guest), "login": "headmaster", "password": PASSWORD}
    answer = await town.operator.put(f"/accounts/{uuid7()}", account)
    assert (answer.status_code, code_of(answer)) == (409, "party-not-active")


# --- accounts -------------------------------------------------------------------------------------


async def test_an_account_is_opened_once(town: Town) -> None:
    market = await town.market()
    party = await town.registered(town.person("STALL"), by=market)
    path, body = f"/accounts/{uuid7()}", {"party": str(party), "login": "Gui Fang"}
    body["password"] = PASSWORD
    first, again = await market.put(path, body), await market.put(path, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == {"id": path[-36:], "party": str(party)}
    for change in ({"login": "other"}, {"password": "another-password"}):
        answer = await market.put(path, body | change)
        assert (answer.status_code, code_of(answer)) == (409, "id-reused")
    taken = await market.put(f"/accounts/{uuid7()}", body | {"login": "gui FANG"})
    assert (taken.status_code, code_of(taken)) == (409, "login-taken")
    await town.signed_in("guifang")


async def test_accounts_that_cannot_be_opened(town: Town) -> None:
    person = town.person("STALL")
    party = await town.registered(person)
    fine = {"party": str(party), "login": "gui-fang", "password": PASSWORD}
    someones_phone = town.typist.phone()
    for change, status, code in (
        ({"party": str(uuid7())}, 404, "unknown-party"),
        ({"password": "tiny-pw-1"}, 422, "password-weak"),
        ({"password": "a" * 20}, 422, "password-weak"),
        ({"password": "ab1!" * 33}, 422, "password-weak"),
        ({"password": "GUI-FANG-418", "login": "gui-fang-418"}, 422, "password-weak"),
        ({"password": "a" * 1001}, 422, "malformed-request"),
        ({"password": ["a list"]}, 422, "malformed-request"),
        ({"login": "ab"}, 422, "malformed-request"),
        ({"login": someones_phone}, 422, "login-not-own-phone"),
        ({"login": "operator"}, 409, "login-taken"),
        ({"admin": True}, 422, "malformed-request"),
    ):
        answer = await town.operator.put(f"/accounts/{uuid7()}", fine | change)
        assert (answer.status_code, code_of(answer)) == (status, code), change
        assert str(change.get("password", "\0")) not in answer.text
    own_phone = await town.operator.put(f"/accounts/{uuid7()}", fine | {"login": person["phone"]})
    assert own_phone.status_code == 201
    assert len(await town.rows("SELECT 1 FROM account")) == 2


async def test_rivals_take_a_login_once(town: Town) -> None:
    party = await town.registered(town.person("STALL"))
    body = {"party": str(party), "login": "gui-fang", "password": PASSWORD}
    answers = await asyncio.gather(
        *(town.operator.put(f"/accounts/{uuid7()}", body) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


# --- sessions -------------------------------------------------------------------------------------


async def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(
    town: Town, clock: Any
) -> None:
    answer = await town.public.post("/sessions", {"login": "OPERATOR ", "password": PASSWORD})
    assert answer.status_code == 201
    body = answer.json()
    assert body == {
        "party": str(town.operator.party),
        "name": "平台运营中心",
        "roles": ["OPERATOR"],
        "audiences": ["operator", "public"],
        "jurisdiction": None,
        "scopes": None,
        "account": body["account"],
        "person": None,
        "duty": "head",
        "expires_at": (clock() + timedelta(minutes=30)).isoformat().replace("+00:00", "Z"),
    }
    cookie: Any = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("lax", "/", "")
    assert len(cookie.value) == 43  # 256 random bits
    assert cookie.value not in answer.text
    stored = await town.rows("SELECT token_hash FROM session")
    assert cookie.value.encode() not in {row[0] for row in stored}


async def test_who_is_unknown_and_who_errs_are_told_the_same(town: Town) -> None:
    disabled, ended = uuid7(), await town.registered(town.person("STALL"))
    account = {"party": str(ended), "login": "of-ended", "password": PASSWORD}
    await town.operator.put(f"/accounts/{disabled}", account)
    await town.account(ended, login="of-disabled")
    await town.execute("UPDATE account SET disabled_at = now() WHERE public_id = :id", id=disabled)
    wrong = [
        await town.public.post("/sessions", {"login": login, "password": password})
        for login, password in (
            ("operator", "not-the-password"),
            ("nobody-of-this-name", PASSWORD),
            ("13800138000", PASSWORD),
            ("of-ended", PASSWORD),
            ("operator", ""),
            ("operator", PASSWORD + " "),
        )
    ]
    await town.execute("UPDATE party SET status = 'disabled' WHERE public_id = :id", id=ended)
    body = {"login": "of-disabled", "password": PASSWORD}
    wrong.append(await town.public.post("/sessions", body))
    assert {answer.status_code for answer in wrong} == {401}
    first = without_request_id(wrong[0])
    assert first["code"] == "wrong-credentials"
    assert all(without_request_id(answer) == first for answer in wrong)
    assert not any("set-cookie" in answer.headers for answer in wrong)
    malformed: list[Json] = [{"login": "operator"}, {"login": 1, "password": PASSWORD}, {}]
    for incomplete in malformed:
        answer = await town.public.post("/sessions", incomplete)
        assert (answer.status_code, code_of(answer)) == (422, "malformed-request")


async def test_an_unknown_login_takes_the_time_of_a_wrong_password(town: Town) -> None:
    async def seconds(login: str) -> float:
        started = time.perf_counter()
        answer = await town.public.post("/sessions", {"login": login, "password": "wrong-one-1"})
        assert answer.status_code == 401
        return time.perf_counter() - started

    pairs = [(await seconds("operator"), await seconds("nobody")) for _ in range(7)]
    known = statistics.median(pair[0] for pair in pairs)
    unknown = statistics.median(pair[1] for pair in pairs)
    # Without the hashing an unknown login would answer in a tenth of the time.
    assert 0.5 < unknown / known < 2


async def test_a_session_ends_with_signing_out(town: Town) -> None:
    stall = await town.actor(town.person("STALL"))
    assert (await stall.get("/me")).status_code == 200
    out = await stall.delete("/sessions/current")
    assert out.status_code == 204
    cookie: Any = SimpleCookie(out.headers["set-cookie"])[COOKIE]
    assert (cookie.value, cookie["max-age"]) == ("", "0")
    stolen = await stall.get("/me")
    assert (stolen.status_code, code_of(stolen)) == (401, "not-signed-in")
    assert (await stall.delete("/sessions/current")).status_code == 204
    assert (await town.public.delete("/sessions/current")).status_code == 204
    assert (await town.operator.get("/me")).status_code == 200


async def test_signing_in_again_ends_the_former_session_of_the_browser(town: Town) -> None:
    stall = await town.actor(town.person("STALL"))
    elsewhere = await town.signed_in(stall.login)
    again = await stall.post("/sessions", {"login": stall.login, "password": PASSWORD})
    assert again.status_code == 201
    assert (await stall.get("/me")).status_code == 401
    assert (await elsewhere.get("/me")).status_code == 200
    forged = Actor(town.client, town.answers, {"cookie": f"{COOKIE}=fixed-by-an-attacker"})
    body = {"login": stall.login, "password": PASSWORD}
    answer = await forged.post("/sessions", body)
    assert "fixed-by-an-attacker" not in answer.headers["set-cookie"]
    assert (await forged.get("/me")).status_code == 401


@pytest.mark.parametrize(
    ("kind", "idle", "absolute"),
    [
        ("STALL", timedelta(days=30), timedelta(days=180)),
        ("MARKET", timedelta(hours=8), timedelta(days=7)),
        ("REGULATOR", timedelta(minutes=30), timedelta(hours=12)),
    ],
)
async def test_a_session_ends_when_unused_and_however_used(
    town: Town, clock: Any, kind: str, idle: timedelta, absolute: timedelta
) -> None:
    body = town.firm(roles=[role(kind, division_code="320682")])
    unused, used = await town.actor(body), None
    used = await town.signed_in(unused.login)
    begun = clock()
    clock.set(begun + idle)
    assert (await unused.get("/me")).status_code == 401
    assert (await used.get("/me")).status_code == 401

    used = await town.signed_in(unused.login)
    begun = clock()
    while clock() - begun < absolute - idle:
        clock.advance(seconds=idle.total_seconds() * 0.9)
        assert (await used.get("/me")).status_code == 200
    clock.set(begun + absolute - timedelta(seconds=1))
    assert (await used.get("/me")).status_code == 200
    clock.set(begun + absolute)
    assert (await used.get("/me")).status_code == 401
    async with town.database.transaction() as session:
        assert await credentials.end_expired_sessions(session, now=clock()) >= 2


async def test_a_session_ends_with_its_account_and_with_its_party(town: Town) -> None:
    first, second = await town.actor(town.person("STALL")), await town.actor(town.person("STALL"))
    await town.execute(
        "UPDATE account SET disabled_at = now() FROM party p"
        " WHERE p.id = account.party_id AND p.public_id = :id",
        id=first.party,
    )
    await town.execute(
        "UPDATE party SET status = 'disabled' WHERE public_id = :id", id=second.party
    )
    for actor in (first, second):
        answer = await actor.get("/me")
        assert (answer.status_code, code_of(answer)) == (401, "not-signed-in")


async def test_me_of_a_regulator_names_its_jurisdiction(town: Town) -> None:
    regulator = await town.regulator("320600")
    assert (await regulator.get("/me")).json()["jurisdiction"] == "3206"


# --- keys -----------------------------------------------------------------------------------------


async def made_key(actor: Actor, *scopes: str) -> Actor:
    body = {"name": "收银系统", "scopes": list(scopes)}
    answer = await actor.put(f"/api-keys/{uuid7()}", body)
    assert answer.status_code == 201, answer.text
    return actor.with_key(answer.json()["secret"])


async def test_a_key_is_told_once(town: Town, clock: Any) -> None:
    stall = await town.actor(town.person("STALL"))
    path, body = f"/api-keys/{uuid7()}", {"name": "收银系统", "scopes": ["party.read"]}
    made = await stall.put(path, body)
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("ypt_")
    again = await stall.put(path, body)
    assert (again.status_code, code_of(again)) == (409, "id-reused")
    (listed,) = (await stall.get("/api-keys")).json()["keys"]
    assert listed == {
        "id": path[-36:],
        "name": "收银系统",
        "scopes": ["party.read"],
        "made_by": (await stall.get("/me")).json()["account"],
        "created_at": "2026-06-17T20:00:00Z",
        "expires_at": "2027-06-17T20:00:00Z",
        "revoked_at": None,
    }
    assert sum(secret in answer for answer in town.answers) == 1
    rows = await town.rows("SELECT k::text FROM api_key k")
    assert not any(secret in row[0] for row in rows)


async def test_a_key_does_what_its_scopes_say(town: Town) -> None:
    stall = await town.actor(town.person("STALL"))
    key = await made_key(stall, "account.read")
    me = (await key.get("/me")).json()
    assert (me["party"], me["scopes"]) == (str(stall.party), ["account.read"])
    refused = await key.get(f"/parties/{stall.party}")
    assert (refused.status_code, code_of(refused)) == (403, "not-allowed")
    wrong = await stall.with_key("ypt_wrong").get("/me")
    assert (wrong.status_code, code_of(wrong)) == (401, "not-signed-in")
    # A key that is wrong is not made up for by a cookie that comes with it.
    both = Actor(town.client, town.answers, stall.headers | {"authorization": "Bearer ypt_wrong"})
    assert (await both.get("/me")).status_code == 401


async def test_a_key_is_given_no_more_than_its_maker_has(town: Town) -> None:
    stall, market = await town.actor(town.person("STALL")), await town.market()

    async def attempt(actor: Actor, *scopes: str) -> tuple[int, str]:
        body = {"name": "k", "scopes": list(scopes)}
        answer = await actor.put(f"/api-keys/{uuid7()}", body)
        return answer.status_code, code_of(answer)

    assert await attempt(stall, "party.register") == (403, "scope-not-yours")
    assert await attempt(stall, "account.read", "hold.place") == (403, "scope-not-yours")
    assert await attempt(market, "account.create") == (403, "scope-not-yours")
    assert await attempt(market, "api-key.manage") == (403, "scope-not-yours")
    assert await attempt(stall, "party.register", "no.such.thing") == (422, "unknown-scope")
    assert await attempt(stall) == (422, "malformed-request")
    assert await attempt(town.public, "account.read") == (401, "not-signed-in")
    assert await town.rows("SELECT count(*) FROM api_key") == [(0,)]


async def test_keys_make_no_keys(town: Town) -> None:
    """Not even one whose scopes say so: the table could be edited, or be wrong one day."""
    stall = await town.actor(town.person("STALL"))
    key = await made_key(stall, *(set(access.POLICY) & {"party.read", "account.read"}))
    body = {"name": "k", "scopes": ["account.read"]}
    refused = await key.put(f"/api-keys/{uuid7()}", body)
    assert (refused.status_code, code_of(refused)) == (403, "not-allowed")
    await town.execute("UPDATE api_key SET scopes = array['api-key.manage', 'account.read']")
    refused = await key.put(f"/api-keys/{uuid7()}", body)
    assert (refused.status_code, code_of(refused)) == (403, "not-allowed")
    assert await town.rows("SELECT count(*) FROM api_key") == [(1,)]


async def test_a_key_ends_by_revocation_by_time_and_with_its_partys_role(
    town: Town, clock: Any
) -> None:
    stall, other = await town.actor(town.person("STALL")), await town.actor(town.person("STALL"))
    revoked = await made_key(stall, "account.read")
    (listed,) = (await stall.get("/api-keys")).json()["keys"]
    path = f"/api-keys/{listed['id']}"
    for actor, missing in ((other, path), (stall, f"/api-keys/{uuid7()}")):
        answer = await actor.delete(missing)
        assert (answer.status_code, code_of(answer)) == (404, "unknown-key")
    assert (await other.get("/api-keys")).json() == {"keys": []}
    assert (await revoked.get("/me")).status_code == 200
    assert (await stall.delete(path)).status_code == 204
    assert (await revoked.get("/me")).status_code == 401
    ended_at = (await stall.get("/api-keys")).json()["keys"][0]["revoked_at"]
    clock.advance(minutes=1)
    assert (await stall.delete(path)).status_code == 204
    assert (await stall.get("/api-keys")).json()["keys"][0]["revoked_at"] == ended_at

    lasting, demoted = await made_key(stall, "account.read"), await made_key(other, "account.read")
    path = f"/parties/{other.party}/roles/1/end"
    assert (await town.operator.put(path, {"valid_to": TODAY})).status_code == 200
    assert (await demoted.get("/me")).status_code == 403
    clock.advance(days=364)
    assert (await lasting.get("/me")).status_code == 200
    clock.advance(days=1)
    assert (await lasting.get("/me")).status_code == 401


# --- invitations ----------------------------------------------------------------------------------


@pytest.fixture
async def seller(town: Town) -> Actor:
    return await town.actor(town.person("STALL", name="张桂芳"))


def claim_of(phone: str, code: str, **members: Any) -> Json:
    return {"phone": phone, "code": code, "account": str(uuid7()), "password": PASSWORD} | members


async def test_an_invited_buyer_claims_and_signs_in_by_phone(town: Town, seller: Actor) -> None:
    guest, phone = uuid7(), town.typist.phone()
    body = {"name": "李校长", "phone": f"+86 {phone}"}
    first, again = (
        await seller.put(f"/invitations/{guest}", body),
        await seller.put(f"/invitations/{guest}", body),
    )
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    code = first.json()["claim_code"]
    assert first.json() == {
        "party": str(guest),
        "phone_masked": identifiers.mask_phone(phone),
        "claim_code": code,
    }
    assert await town.rows("SELECT count(*) FROM invitation") == [(1,)]
    assert not any(code in row[0] for row in await town.rows("SELECT i::text FROM invitation i"))

    claim = claim_of(f"{phone[:3]} {phone[3:]}", f"{code[:4].lower()}-{code[4:].lower()}")
    claimed, repeated = (
        await town.public.post("/claims", claim),
        await town.public.post("/claims", claim),
    )
    assert claimed.status_code == repeated.status_code == 200
    assert claimed.json() == repeated.json() == {"id": claim["account"], "party": str(guest)}
    school = await town.signed_in(phone)
    assert school.party == guest
    assert (await school.get("/me")).json()["roles"] == ["GROUP_BUYER"]
    # Who has an account needs no code, and cannot be claimed again.
    later = await seller.put(f"/invitations/{guest}", body)
    assert later.json() == first.json() | {"claim_code": None}
    for stolen in (claim_of(phone, code), claim | {"password": "another-password"}):
        answer = await town.public.post("/claims", stolen)
        assert code_of(answer) in {"claim-refused", "id-reused"}
    assert (
        len(
            await town.rows(
                "SELECT 1 FROM account WHERE party_id = "
                "(SELECT id FROM party WHERE public_id = :id)",
                id=guest,
            )
        )
        == 1
    )


async def test_claims_that_are_refused(town: Town, seller: Actor, clock: Any) -> None:
    phone, other_phone = town.typist.phone(), town.typist.phone()
    invited = await seller.put(f"/invitations/{uuid7()}", {"name": "李校长", "phone": phone})
    code = invited.json()["claim_code"]
    wrong = "0" * 8 if code != "0" * 8 else "1" * 8
    for claim in (claim_of(phone, wrong), claim_of(other_phone, code), claim_of(phone, "?")):
        answer = await town.public.post("/claims", claim)
        assert (answer.status_code, code_of(answer)) == (401, "claim-refused")
    weak = await town.public.post("/claims", claim_of(phone, code, password="tiny-pw-1"))
    assert (weak.status_code, code_of(weak)) == (422, "password-weak")
    no_phone = await town.public.post("/claims", claim_of("7", code))
    assert (no_phone.status_code, code_of(no_phone)) == (422, "phone-invalid")
    # The weak password has left the invitation as it was.
    assert await town.rows("SELECT count(*) FROM invitation WHERE claimed_at IS NOT NULL") == [(0,)]
    clock.advance(days=30)
    late = await town.public.post("/claims", claim_of(phone, code))
    assert (late.status_code, code_of(late)) == (401, "claim-refused")


async def test_a_repeat_renews_an_invitation_that_has_ended(
    town: Town, seller: Actor, clock: Any
) -> None:
    path, body = f"/invitations/{uuid7()}", {"name": "李校长", "phone": town.typist.phone()}
    first = await seller.put(path, body)
    clock.advance(days=31)
    seller = await town.signed_in(seller.login)
    again = await seller.put(path, body)
    assert again.json() == first.json()
    claim = claim_of(body["phone"], again.json()["claim_code"])
    assert (await town.public.post("/claims", claim)).status_code == 200


async def test_two_sellers_invite_one_person(town: Town, seller: Actor) -> None:
    other, phone = await town.actor(town.person("STALL")), town.typist.phone()
    body = {"name": "李校长", "phone": phone}
    answers = await asyncio.gather(
        *(actor.put(f"/invitations/{uuid7()}", body) for actor in (seller, other) * 3)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["party"] for answer in answers}) == 1
    codes = {answer.json()["claim_code"] for answer in answers}
    assert len(codes) == 6
    claims = [claim_of(phone, code) for code in codes]
    claimed = await asyncio.gather(*(town.public.post("/claims", claim) for claim in claims))
    assert sorted(answer.status_code for answer in claimed) == [200] + [401] * 5


async def test_who_is_registered_needs_no_invitation(town: Town, seller: Actor) -> None:
    known = town.person("CATERER")
    party = await town.registered(known)
    body = {"name": "别的名字", "phone": known["phone"]}
    answer = await seller.put(f"/invitations/{uuid7()}", body)
    assert answer.json() == {
        "party": str(party),
        "phone_masked": identifiers.mask_phone(known["phone"]),
        "claim_code": None,
    }


async def test_invitations_that_are_refused(town: Town, seller: Actor) -> None:
    guest = uuid7()
    body = {"name": "李校长", "phone": town.typist.phone()}
    assert (await seller.put(f"/invitations/{guest}", body)).status_code == 200
    for path, change, status, code in (
        (uuid7(), {"phone": "12"}, 422, "phone-invalid"),
        (uuid7(), {"role": "FARMER"}, 403, "role-not-yours"),
        (uuid7(), {"role": "MARKET"}, 403, "role-not-yours"),
        (uuid7(), {"role": "OPERATOR"}, 403, "role-not-yours"),
        (uuid7(), {"status": "active"}, 422, "malformed-request"),
        (guest, {"name": "王校长"}, 409, "id-reused"),
        (guest, {"phone": town.typist.phone()}, 409, "id-reused"),
        (guest, {"role": "CATERER"}, 409, "id-reused"),
        (town.operator.party, {"phone": town.typist.phone()}, 409, "id-reused"),
    ):
        answer = await seller.put(f"/invitations/{path}", body | change)
        assert (answer.status_code, code_of(answer)) == (status, code), change
    for actor, status in ((town.public, 401), (town.operator, 403)):
        assert (await actor.put(f"/invitations/{uuid7()}", body)).status_code == status


# --- hostile text ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    ["\ud800", "\x00", "\u202e", "'; DROP TABLE party; --", "{{7*7}}", "é" * 199],
    ids=["surrogate", "nul", "bidi", "sql", "template", "long"],
)
async def test_no_text_breaks_a_route(town: Town, hostile: str) -> None:
    seller = await town.actor(town.person("STALL"))
    answers = [
        await town.operator.put(f"/parties/{uuid7()}", town.firm(name=hostile)),
        await town.operator.put(f"/parties/{uuid7()}", town.firm(uscc=hostile)),
        await town.operator.put(f"/parties/{uuid7()}", town.firm(address=hostile)),
        await town.public.post("/sessions", {"login": hostile, "password": hostile}),
        await seller.put(f"/api-keys/{uuid7()}", {"name": hostile, "scopes": [hostile]}),
        await seller.put(f"/invitations/{uuid7()}", {"name": hostile, "phone": hostile}),
        await town.public.post("/claims", claim_of(hostile, hostile, password=hostile)),
    ]
    assert all(answer.status_code < 500 for answer in answers), [a.text for a in answers]


@pytest.mark.parametrize("credential", [b"\xff\xfe", b"", b"\xc3\xa9" * 999, b"a b c"])
async def test_no_credential_breaks_a_route(town: Town, credential: bytes) -> None:
    for name, value in ((b"authorization", b"Bearer "), (b"cookie", COOKIE.encode() + b"=")):
        answer = await town.client.get("/me", headers=[(name, value + credential)])
        assert (answer.status_code, code_of(answer)) == (401, "not-signed-in")


def test_today_is_the_clocks_today(clock: Callable[[], datetime]) -> None:
    """The dates written out above are those of the clock that all tests share."""
    assert local_date(clock()).isoformat() == TODAY
