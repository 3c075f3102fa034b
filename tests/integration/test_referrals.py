"""Questions to other offices: they end by their answer, or are withdrawn."""

import asyncio
import io
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from python_calamine import CalamineWorkbook

from app.party.access import Department
from tests.factories import Actor, Json, Trade, code_of, new_id, open_trade
from tests.integration.conftest import audit
from tests.recalls import Morning, account_for, of_department, office_of, recalled, run_chore

REASON = {"reason": "该地无此货物，不再请求"}


@pytest.fixture
async def trade(database_url: str) -> AsyncIterator[Trade]:
    """An application with a signing key."""
    async with open_trade(database_url, pool_size=12) as trade:
        yield trade
        assert trade.faults == []
        await audit(trade)


@pytest.fixture
async def morning(trade: Trade) -> Morning:
    return await Morning(trade).begin()


async def _asked(office: Actor, lot: str, **more: str) -> str:
    referral = new_id()
    question = {"lot": lot, "division_code": "110101", "question": "请核查库存", **more}
    await office.make(f"/referrals/{referral}", question)
    return referral


async def _kinds(actor: Actor, subject: str) -> list[str]:
    return [row["kind"] for row in await actor.read("/notices") if row["subject"] == subject]


async def test_a_referral_that_nobody_answers_is_withdrawn_and_its_case_ends(
    morning: Morning,
) -> None:
    trade, office, away = morning.trade, morning.office, await office_of(morning.trade, "1101")
    recall = (await recalled(office, morning.at_first))["recall"]
    at = f"/recalls/{recall}"
    annulled = {"reason": "卖方拒不作废", "accountable": "王五"}
    await office.make(f"{at}/annulments/{morning.pending}", annulled)
    await account_for(office, recall)
    referral = await _asked(office, morning.at_first, recall=recall)
    done = {"outcome": "completed", "reason": "全部销毁"}
    assert code_of(await office.put(f"{at}/closure", done)) == "recall-steps-open"
    path = f"/referrals/{referral}/withdrawal"
    first = await office.make(path, REASON, status=200)
    assert (first["withdrawn_by"], first["withdrawal_reason"], first["overdue"]) == (
        str(office.public_id),
        REASON["reason"],
        False,
    )
    assert await office.make(path, REASON, status=200) == first
    assert code_of(await office.put(path, {"reason": "!"})) == "referral-withdrawn"
    # The office that was asked is told, and need not answer.
    assert await _kinds(away, referral) == ["referral_withdrawn", "referred"]
    assert await away.read("/referrals?open_only=true") == []
    answer = await away.put(f"/referrals/{referral}/answer", {"answer": "查无此事"})
    assert (answer.status_code, code_of(answer)) == (409, "referral-withdrawn")
    record = await office.read(f"{at}/record")
    assert [one["withdrawn_at"] for one in record["referrals"]] == [first["withdrawn_at"]]
    assert record["recall"]["totals"]["unanswered"] == 0
    assert [one["division_name"] for one in record["referrals"]] == ["北京市东城区"]
    page = (await office.get(f"{at}/page")).text
    assert "<li>北京市东城区 · " in page
    assert f"withdrawn</span>：{REASON['reason']}" in page
    sheets = CalamineWorkbook.from_filelike(
        io.BytesIO((await office.get(f"{at}/record.xlsx")).content)
    )
    row = sheets.get_sheet_by_name("协查 Referrals").to_python()[1]
    assert REASON["reason"] in row
    assert "北京市东城区 110101" in row
    await office.make(f"{at}/closure", done, status=200)
    # What nothing waits for is not asked: a word that was sent again stays what it was.
    late = {"lot": morning.kept, "recall": recall, "division_code": "999999", "question": "?"}
    for changed, code in (({}, "not-in-scope"), ({"lot": morning.at_first}, "recall-closed")):
        refused = await office.put(f"/referrals/{new_id()}", {**late, **changed})
        assert code_of(refused) == code
    first_asked = {**late, "lot": morning.at_first, "division_code": "110101"}
    first_asked["question"] = "请核查库存"
    await office.make(f"/referrals/{referral}", first_asked, status=200)
    leaves = await trade.rows(
        "SELECT kind, convert_from(leaf, 'UTF8') FROM entry WHERE subject = :id ORDER BY id",
        id=UUID(referral),
    )
    assert [kind for kind, _ in leaves] == ["referral.asked", "referral.withdrawn"]
    assert REASON["reason"] not in leaves[1][1], "what people type may name somebody"


async def test_an_overdue_referral_is_reminded_of_once_and_a_withdrawn_one_not_at_all(
    morning: Morning,
) -> None:
    office, away = morning.office, await office_of(morning.trade, "1101")
    withdrawn, open_still = [await _asked(office, morning.grown) for _ in range(2)]
    await office.make(f"/referrals/{withdrawn}/withdrawal", REASON, status=200)
    morning.trade.clock.advance(days=9)
    await run_chore(morning.trade)
    await run_chore(morning.trade)
    assert await _kinds(away, open_still) == ["referral_overdue", "referred"]
    assert await _kinds(away, withdrawn) == ["referral_withdrawn", "referred"]
    assert await _kinds(office, open_still) == ["referral_overdue"]
    assert await _kinds(office, withdrawn) == []
    shown = {one["referral"]: one["overdue"] for one in await office.read("/referrals")}
    assert shown == {withdrawn: False, open_still: True}
    # What is open comes first; late as it is, it can be withdrawn, too.
    assert next(iter(shown)) == open_still
    await office.make(f"/referrals/{open_still}/withdrawal", REASON, status=200)


async def test_a_question_asked_while_its_case_ends_is_counted_or_refused(
    morning: Morning,
) -> None:
    office, _ = morning.office, await office_of(morning.trade, "1101")
    recall = (await recalled(office, morning.at_first))["recall"]
    at = f"/recalls/{recall}"
    annulled = {"reason": "卖方拒不作废", "accountable": "王五"}
    await office.make(f"{at}/annulments/{morning.pending}", annulled)
    await account_for(office, recall)
    done = {"outcome": "completed", "reason": "全部销毁"}
    question = {"lot": morning.at_first, "division_code": "110101", "question": "?"}
    asked, closed = await asyncio.gather(
        office.put(f"/referrals/{new_id()}", {**question, "recall": recall}),
        office.put(f"{at}/closure", done),
    )
    if asked.is_success:
        assert code_of(closed) == "recall-steps-open"
    else:
        assert (asked.status_code, code_of(asked)) == (409, "recall-closed")
        assert closed.is_success


async def test_refusals_of_a_withdrawal_come_in_order(morning: Morning) -> None:
    trade, office, away = morning.trade, morning.office, await office_of(morning.trade, "1101")
    stranger = await office_of(trade, "3205")

    async def refused(actor: Actor, referral: str, body: Json | None = None) -> tuple[int, str]:
        answer = await actor.put(f"/referrals/{referral}/withdrawal", body or REASON)
        return answer.status_code, code_of(answer)

    referral = await _asked(office, morning.grown)
    assert await refused(morning.farmer, referral) == (403, "not-allowed")
    assert await refused(office, referral, {"reason": ""}) == (422, "malformed-request")
    assert await refused(office, new_id()) == (404, "unknown-referral")
    assert await refused(stranger, referral) == (404, "unknown-referral")
    assert await refused(away, referral) == (403, "referral-not-yours")
    reply = {"answer": "库存 8 公斤，已封存"}
    await away.make(f"/referrals/{referral}/answer", reply, status=200)
    assert await refused(away, referral) == (403, "referral-not-yours")
    assert await refused(office, referral) == (409, "referral-answered")
    other = await of_department(trade, Department.AGRICULTURE, "110101")
    answer = await other.put(f"/referrals/{referral}/answer", reply)
    assert code_of(answer) == "referral-answered", "the answer is another office's"


async def test_the_office_in_charge_withdraws_what_another_asked_in_its_case(
    morning: Morning,
) -> None:
    """Whoever asked may be gone; its question must not keep the case open for ever."""
    trade, office = morning.trade, morning.office
    county = await office_of(trade, "320682")
    away = await office_of(trade, "1101")
    recall = (await recalled(office, morning.at_first))["recall"]
    referral = await _asked(county, morning.at_first, recall=recall)
    free = await _asked(county, morning.at_first)
    refused = await office.put(f"/referrals/{free}/withdrawal", REASON)
    assert code_of(refused) == "unknown-referral", "it is of no case of this office"
    done = await office.make(f"/referrals/{referral}/withdrawal", REASON, status=200)
    assert (done["asked_by"], done["withdrawn_by"]) == (
        str(county.public_id),
        str(office.public_id),
    )
    assert await _kinds(county, referral) == ["referral_withdrawn"]
    assert await _kinds(away, referral) == ["referral_withdrawn", "referred"]
    again = await county.put(f"/referrals/{referral}/withdrawal", REASON)
    assert code_of(again) == "referral-withdrawn", "another office's word stands"


async def test_an_answer_and_a_withdrawal_at_once_leave_one_of_them(morning: Morning) -> None:
    office, away = morning.office, await office_of(morning.trade, "1101")
    for round_no in range(6):
        referral = await _asked(office, morning.grown)
        requests = [
            away.put(f"/referrals/{referral}/answer", {"answer": "查无此事"}),
            office.put(f"/referrals/{referral}/withdrawal", REASON),
        ]
        if round_no % 2:
            requests.reverse()
        answers = await asyncio.gather(*requests)
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        (loser,) = (code_of(answer) for answer in answers if answer.is_error)
        (row,) = [one for one in await office.read("/referrals") if one["referral"] == referral]
        assert (row["answered_at"] is None) != (row["withdrawn_at"] is None)
        assert loser == (
            "referral-answered" if row["answered_at"] is not None else "referral-withdrawn"
        )
        kinds = await morning.trade.rows(
            "SELECT kind FROM entry WHERE subject = :id ORDER BY id", id=UUID(referral)
        )
        assert len(kinds) == 2
