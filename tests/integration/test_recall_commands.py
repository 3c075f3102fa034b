"""`ypt recall`: what operators see and do at the terminal."""

import asyncio
import io
from pathlib import Path

from python_calamine import CalamineWorkbook

from tests.conftest import TEST_SECRET
from tests.factories import open_trade
from tests.recalls import Morning, lots_of, recalled
from tests.terminal import Said, say


async def test_operators_open_follow_export_and_lift_recalls(
    database_url: str, tmp_path_factory: "object"
) -> None:
    env = {"YPT_DATABASE_URL": database_url, "YPT_SECRET_KEY": TEST_SECRET}

    async def ypt(*arguments: str, as_json: bool = True) -> Said:
        more = ["--json"] if as_json else []
        return await asyncio.to_thread(say, "recall", *arguments, *more, env=env)

    async with open_trade(database_url) as trade:
        morning = await Morning(trade).begin()
        seen = (await ypt("scope", morning.at_first)).json
        assert seen["lots"] == 8
        assert seen["relations"]["source"] == {
            "lots": 2,
            "mass_g": 100_000,
            "on_hand_g": 20_000,
        }
        office = ("--party", str(morning.office.public_id))
        why = ("--grade", "2", "--trigger", "notice", "--reason", "协查函")
        # What does not fit the form is a complaint that names the field, and no traceback.
        for command, field in (
            (("open", morning.at_first, *office, *why[:-1], "长" * 4_000), "reason"),
            (("open", morning.at_first, *office, *why, "--advice", "长" * 4_000), "advice"),
            (("close", str(morning.office.public_id), *office, "--outcome", "lifted",
              "--reason", ""), "reason"),
        ):  # fmt: skip
            complaint = await ypt(*command)
            assert (complaint.code, complaint.json["code"]) == (2, "malformed-request")
            assert list(complaint.json["facts"]) == [field]
        opened = (await ypt("open", morning.at_first, *office, *why)).json
        recall = opened["recall"]
        assert opened["opened_by"] == str(morning.office.public_id)
        assert await trade.value("SELECT max(holds) FROM lot_balance") == 1
        await recalled(morning.office, morning.at_second, mock=True)
        listed = (await ypt("list", "--open")).json
        assert [(row["recall"] == recall, row["mock"]) for row in listed] == [
            (False, True),
            (True, False),
        ]
        shown = (await ypt("show", recall)).json
        assert len(shown["notices"]) == 6
        lots = (await ypt("lots", recall)).json["lots"]
        assert {lot["lot"] for lot in lots} == set(await lots_of(morning.office, recall))
        # The exercise is of June, and by the clock of this machine it is late.
        late = (await ypt("late")).json
        assert len(late["recalls"]) == 1
        assert len(late["notices"]) >= 6
        file = Path(str(tmp_path_factory.mktemp("recall"))) / "recall.xlsx"  # type: ignore[attr-defined]
        assert (await ypt("export", recall, str(file))).code == 0
        book = CalamineWorkbook.from_filelike(io.BytesIO(file.read_bytes()))
        assert len(book.get_sheet_by_name("批次 Lots").to_python()) == 9
        for words in (("list",), ("show", recall), ("lots", recall), ("late",)):
            told = await ypt(*words, as_json=False)
            assert told.code == 0
            assert told.out.strip()
        assert (await ypt("scope", morning.at_first, as_json=False)).code == 0
        refused = await ypt("close", recall, *office, "--outcome", "completed", "--reason", "完")
        assert (refused.code, refused.json["code"]) == (1, "recall-grams-open")
        done = (await ypt("close", recall, *office, "--outcome", "lifted", "--reason", "误报")).json
        assert done["outcome"] == "lifted"
        assert await trade.value("SELECT max(holds) FROM lot_balance") == 0
        gone = await ypt("show", str(morning.office.public_id))
        assert (gone.code, gone.json["code"]) == (1, "unknown-recall")
