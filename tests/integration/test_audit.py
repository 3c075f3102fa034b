"""The nightly audit: silent over honest books, and nothing planted in them escapes it."""

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.ticket import audit
from tests.factories import Trade, line, new_id, received


async def audited(trade: Trade, *, batch: int = audit.BATCH) -> audit.Report:
    async with trade.database.transaction() as session:
        return await audit.audit(session, batch=batch)


async def found(trade: Trade) -> set[tuple[str, str]]:
    return {(fault.kind, fault.finding) for fault in (await audited(trade)).faults}


async def busy_morning(trade: Trade) -> dict[str, str]:
    """Let everything happen once that moves grams; answer some ids."""
    farmer, collector, stall = (
        await trade.farmer(),
        await trade.collector(),
        await trade.stall(),
    )
    first, second = await farmer.opens(kg=100), await farmer.opens(kg=50)
    certificate = await farmer.certifies(first, 100)
    spare = await farmer.certifies(second, 50)
    await farmer.voids("certificates", spare)
    await farmer.certifies(second, 50)
    sold = await farmer.sells(collector, line(18, 100, first))
    bought = received(await collector.decides(sold["ticket"]))
    part = await farmer.sells(collector, line(18, 40, second))
    kept = received(await collector.decides(part["ticket"], "accepted_in_part", lines={1: 30_000}))
    merged = new_id()
    await collector.make(
        f"/merges/{new_id()}",
        {
            "inputs": [{"lot": bought}, {"lot": kept}],
            "lot": merged,
            "certificate": {"certificate": new_id(), "bases": ["quality_control"]},
        },
    )
    await collector.make(
        f"/splits/{new_id()}",
        {"lot": merged, "parts": [{"lot": new_id(), "quantity": "10", "unit": "公斤"}]},
    )
    await collector.make(
        f"/losses/{new_id()}", {"lot": merged, "mass_g": 5_000, "reason": "spoiled"}
    )
    await collector.make(
        f"/destructions/{new_id()}",
        {"lot": merged, "mass_g": 2_000, "method": "buried", "reason": "mouldy"},
    )
    claimed = await collector.sells(stall, line(18, 20, merged), hand_over="one_sided")
    await stall.decides(claimed["ticket"], "accepted_in_part", lines={1: 15_000})
    undone = await collector.sells(stall, line(18, 8, merged), hand_over="one_sided")
    await collector.voids("tickets", undone["ticket"])
    never_left = await collector.sells(stall, line(18, 7, merged))
    await collector.voids("tickets", never_left["ticket"])
    refused = await collector.sells(stall, line(18, 6, merged))
    await stall.decides(refused["ticket"], "refused")
    await stall.sells(None, line(18, 1, received(claimed)))
    walked_back = await stall.sells(None, line(18, 2, received(claimed)))
    await stall.voids("tickets", walked_back["ticket"])
    back = await stall.sells(collector, line(18, 3, received(claimed)), kind="return")
    await collector.decides(back["ticket"])
    return {"ticket": sold["ticket"], "certificate": certificate, "lot": merged}


async def test_honest_books_have_no_faults(own_trade: Trade) -> None:
    await busy_morning(own_trade)
    report = await audited(own_trade)
    assert report.faults == []
    assert report.fault_count == 0
    counted = {
        name: await own_trade.value(f"SELECT count(*) FROM {table}")
        for name, table in (("tickets", "ticket"), ("certificates", "certificate"), ("lots", "lot"))
    }
    assert report.counts() == {**counted, "faults": 0}
    assert counted["tickets"] == 9
    # Small batches end at other rows, and must come to the same.
    assert (await audited(own_trade, batch=3)).counts() == report.counts()


# What somebody with the owner's rights could do, and how the audit calls it. Rows that are never
# rewritten can be only by switching their guard off.
PLANTED = {
    "a gram taken": (
        "UPDATE lot_balance SET remaining_g = remaining_g - 1 WHERE remaining_g > 0",
        ("lot", "balance-does-not-add-up"),
    ),
    "a gram given": (
        "UPDATE lot_balance SET remaining_g = remaining_g + 1 WHERE remaining_g < produced_g",
        ("lot", "balance-does-not-add-up"),
    ),
    "a lot grown": (
        "UPDATE lot SET mass_g = mass_g + 1",
        ("lot", "balance-of-another-mass"),
    ),
    "an edge fattened": (
        "UPDATE lot_edge SET mass_g = mass_g + 1 WHERE proof = 3",
        ("lot", "balance-does-not-add-up"),
    ),
    "a balance removed": ("DELETE FROM lot_balance", ("lot", "no-balance")),
    "a ticket fattened": (
        "UPDATE ticket SET mass_g = mass_g + 1000",
        ("ticket", "token-states-another-mass"),
    ),
    "a line fattened": (
        "UPDATE ticket_line SET mass_g = mass_g + 1",
        ("ticket", "lines-do-not-add-up"),
    ),
    "a draw slimmed": (
        "UPDATE ticket_draw SET mass_g = mass_g - 1, cover_g = 0",
        ("ticket", "draws-do-not-add-up"),
    ),
    "a product exchanged": (
        "UPDATE ticket_line SET product_id = 17",
        ("ticket", "token-states-another-product"),
    ),
    "a seller exchanged": (
        "UPDATE ticket SET seller_id = (SELECT max(id) FROM party)",
        ("ticket", "token-states-another-issuer"),
    ),
    "a life prolonged": (
        "UPDATE ticket SET expires_at = expires_at + interval '1 day'",
        ("ticket", "token-states-another-end"),
    ),
    "a ticket dated back": (
        "UPDATE ticket SET issued_at = issued_at - interval '1 day'",
        ("ticket", "token-states-another-time"),
    ),
    "a certificate logged later": (
        (
            "UPDATE entry SET appended_at = appended_at + interval '1 hour' "
            "WHERE kind = 'certificate.issued'"
        ),
        ("certificate", "token-states-another-time"),
    ),
    "a short code exchanged": (
        "UPDATE ticket SET code = code || 'X'",
        ("ticket", "code-does-not-fit"),
    ),
    "a token altered": (
        (
            "UPDATE ticket SET token = overlay(token PLACING "
            "CASE substr(token, 200, 1) WHEN '7' THEN '3' ELSE '7' END FROM 200)"
        ),
        ("ticket", "signature-invalid"),
    ),
    "a token cut": ("UPDATE ticket SET token = '12'", ("ticket", "token-unreadable")),
    "a state removed": ("DELETE FROM ticket_state", ("ticket", "no-state")),
    "tickets out of the log": (
        "DELETE FROM entry WHERE kind = 'ticket.issued'",
        ("ticket", "not-in-the-log"),
    ),
    "tickets twice in the log": (
        (
            "INSERT INTO entry (kind, subject, leaf, appended_at) "
            "SELECT kind, subject, leaf, appended_at FROM entry WHERE kind = 'ticket.issued'"
        ),
        ("ticket", "more-than-once-in-the-log"),
    ),
    "the log rewritten": (
        (
            "UPDATE entry SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), "
            "'\"token\":\"4', '\"token\":\"5'), 'UTF8') WHERE kind = 'ticket.issued'"
        ),
        ("ticket", "another-token-in-the-log"),
    ),
    "a certificate fattened": (
        "UPDATE certificate SET mass_g = mass_g + 1000",
        ("certificate", "token-states-another-mass"),
    ),
    "a certificate out of the log": (
        "DELETE FROM entry WHERE kind = 'certificate.issued'",
        ("certificate", "not-in-the-log"),
    ),
    "a void undone": ("DELETE FROM certificate_void", ("certificate", "voided-in-the-log-only")),
    "a void unlogged": (
        "DELETE FROM entry WHERE kind = 'certificate.voided'",
        ("certificate", "void-not-in-the-log"),
    ),
    "a key exchanged": (
        "UPDATE signing_key SET public_key = decode(repeat('07', 32), 'hex')",
        ("ticket", "signature-invalid"),
    ),
}


async def test_whatever_is_planted_is_found(own_trade: Trade) -> None:
    await busy_morning(own_trade)
    assert await found(own_trade) == set()
    for name, (statement, fault) in PLANTED.items():
        async with own_trade.owner.engine.connect() as connection, connection.begin() as planting:
            await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            done = await connection.exec_driver_sql(statement)
            assert done.rowcount > 0, name
            async with AsyncSession(bind=connection) as session:
                report = await audit.audit(session)
            await planting.rollback()
        assert fault in {(fault.kind, fault.finding) for fault in report.faults}, name


async def test_a_loss_that_only_the_log_knows_of_is_missed_in_the_balance(
    own_trade: Trade,
) -> None:
    known = await busy_morning(own_trade)
    await own_trade.execute(
        "UPDATE lot_balance SET remaining_g = remaining_g + 5000 "
        "WHERE lot_id = (SELECT id FROM lot WHERE public_id = :lot)",
        lot=UUID(known["lot"]),
    )
    report = await audited(own_trade)
    assert [(fault.kind, str(fault.subject), fault.finding) for fault in report.faults] == [
        ("lot", known["lot"], "balance-does-not-add-up")
    ]


async def test_all_faults_are_counted_and_some_named(
    own_trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "FAULTS_MAX", 2)
    await busy_morning(own_trade)
    await own_trade.execute("UPDATE lot_balance SET remaining_g = 0 WHERE remaining_g > 0")
    report = await audited(own_trade)
    assert len(report.faults) == 2
    assert report.fault_count > 2
    assert report.counts()["faults"] == report.fault_count
