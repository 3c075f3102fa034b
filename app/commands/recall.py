"""`ypt recall`: recalls as whoever runs the platform sees, opens and closes them.

At night an office may be reached by telephone only: then the operator opens its case for it.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from app.commands.console import (
    AT_THE_TERMINAL,
    AsJson,
    answer,
    complaining,
    filled_in,
    settings,
    table,
    with_books,
)
from app.core import ids
from app.core.clock import SHANGHAI, local_date, system_clock
from app.core.errors import Text
from app.party import credentials
from app.party import service as parties
from app.party.access import Caller
from app.recall import following, opening, printing, queries, referrals, wording
from app.recall.rules import Outcome, Trigger
from app.recall.schemas import ClosureIn, RecallIn, RecallOut, RecordOut, ScopeIn

LIST_MAX = 200
ROWS_MAX = 1_000

app = typer.Typer(no_args_is_help=True, help="Recalls: their scope, clocks, grams and notices.")

RecallId = Annotated[UUID, typer.Argument(help="The recall's id.")]
Found = Annotated[list[UUID], typer.Argument(help="Ids of the lots that failed.")]
Suspects = Annotated[
    list[UUID] | None, typer.Option("--suspect", help="A source to blame; all if left out.")
]
Siblings = Annotated[
    bool, typer.Option("--siblings/--no-siblings", help="All from the same sources too.")
]
ActingParty = Annotated[
    UUID, typer.Option("--party", help="The office or business in whose name it is done.")
]


async def _acting(session: AsyncSession, party: UUID) -> Caller:
    """Act for a party: what is done in its name is what it may do itself."""
    found = await parties.find(session, party)
    return await credentials.caller_of_party(
        session, found.id, scopes=frozenset(), now=system_clock()
    )


@app.command("list")
def list_recalls(
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    as_json: AsJson = False,
) -> None:
    """List recalls and exercises with their clocks, newest first."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> list[RecallOut]:
            today = local_date(system_clock())
            return await queries.listed(
                session, AT_THE_TERMINAL, open_only=open_only, most=LIST_MAX, today=today
            )

        found = with_books(work, settings())

        def tell(console: Console) -> None:
            columns = ("recall", "kind", "class", "reason", "opened", "finish by", "kg left", "end")
            console.print(table(Text("召回", "Recalls"), columns, map(_row, found)))

        answer([recall.model_dump(mode="json") for recall in found], as_json, tell)


def _row(recall: RecallOut) -> tuple[Any, ...]:
    assert recall.totals is not None, "an operator sees the sums"
    return (
        recall.recall,
        wording.title(mock=recall.mock).zh,
        recall.grade,
        recall.reason,
        printing.instant(recall.clocks.opened_at),
        f"{recall.clocks.finish_due_on}{' !' if recall.clocks.overdue else ''}",
        printing.kilograms(recall.totals.left_g),
        recall.outcome or "",
    )


@app.command("show")
def show(recall_id: RecallId, as_json: AsJson = False) -> None:
    """Show a recall: clocks, grams, who has not answered, disposals and referrals."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> RecordOut:
            recall = await queries.find(session, recall_id)
            return await printing.record(session, recall, AT_THE_TERMINAL, now=system_clock())

        record = with_books(work, settings())

        def tell(console: Console) -> None:
            recall = record.recall
            title = wording.title(mock=recall.mock)
            rows = [*printing.clocks(recall), *printing.sums(recall)]
            console.print(table(Text(f"{title.zh}: {recall.reason}", title.en), ("", ""), rows))
            console.print(
                table(
                    Text("未确认的通知", "Notices without an answer"),
                    ("party", "lots", "on hand kg", "due", "late"),
                    (
                        (
                            row.name,
                            row.lots,
                            printing.kilograms(row.on_hand_g),
                            printing.instant(row.due_at),
                            "!" if row.late else "",
                        )
                        for row in record.notices
                        if row.acknowledged_at is None
                    ),
                )
            )
            for step in record.referrals:
                console.print(f"协查 · referral {step.division_code}: {step.answer or step.due_on}")

        answer(record.model_dump(mode="json"), as_json, tell)


@app.command("lots")
def list_lots(
    recall_id: RecallId,
    most: Annotated[int, typer.Option(min=1, help="How many at most.")] = ROWS_MAX,
    as_json: AsJson = False,
) -> None:
    """List the lots in scope, oldest first, with their grams."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> Any:
            recall = await queries.find(session, recall_id)
            return await queries.lots_of(session, recall, holder=None, after=0, most=most)

        page = with_books(work, settings())

        def tell(console: Console) -> None:
            rows = (
                (
                    lot.lot,
                    wording.RELATIONS[lot.relation].zh,
                    lot.product_name,
                    lot.holder_name or "散客 walk-in",
                    printing.kilograms(lot.mass_g),
                    f"{lot.exposure:.1%}",
                    printing.kilograms(lot.on_hand_g + lot.in_transit_g),
                    printing.kilograms(lot.located_g),
                    printing.kilograms(lot.destroyed_g + lot.remedied_g),
                )
                for lot in page.lots
            )
            columns = ("lot", "", "product", "holder", "kg", "exposure", "there", "located", "done")
            console.print(table(Text("范围内批次", "Lots in scope"), columns, rows))

        answer(page.model_dump(mode="json"), as_json, tell)


@app.command("scope")
def scope(
    found: Found, suspects: Suspects = None, siblings: Siblings = True, as_json: AsJson = False
) -> None:
    """Answer how far a recall would reach; holds nothing and tells nobody."""
    with complaining(as_json):
        wanted = filled_in(ScopeIn, found=found, suspects=suspects or [], siblings=siblings)

        async def work(session: AsyncSession) -> dict[str, Any]:
            reached = await opening.preview(session, wanted, AT_THE_TERMINAL)
            spans: dict[str, dict[str, int]] = {}
            for stock in reached.stocks:
                name = str(reached.relations[stock.lot])
                span = spans.setdefault(name, {"lots": 0, "mass_g": 0, "on_hand_g": 0})
                span["lots"] += 1
                span["mass_g"] += stock.mass_g
                span["on_hand_g"] += stock.remaining_g
            return {"lots": len(reached.stocks), "relations": spans}

        value = with_books(work, settings())

        def tell(console: Console) -> None:
            rows = (
                (
                    name,
                    span["lots"],
                    printing.kilograms(span["mass_g"]),
                    printing.kilograms(span["on_hand_g"]),
                )
                for name, span in sorted(value["relations"].items())
            )
            columns = ("relation", "lots", "kg", "kg on hand")
            console.print(table(Text("召回范围", f"Scope: {value['lots']} lots"), columns, rows))

        answer(value, as_json, tell)


@app.command("open")
def open_recall(
    found: Found,
    party: ActingParty,
    reason: Annotated[str, typer.Option(help="Why.")],
    grade: Annotated[int, typer.Option(min=1, max=3, help="1, 2 or 3; 1 is the gravest.")],
    trigger: Annotated[Trigger, typer.Option(help="What it begins with.")],
    known_at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M"], help="When it became known, Beijing time; now."),
    ] = None,
    advice: Annotated[str | None, typer.Option(help="What holders shall do.")] = None,
    suspects: Suspects = None,
    siblings: Siblings = True,
    mock: Annotated[bool, typer.Option("--mock", help="An exercise: holds nothing.")] = False,
    recall_id: Annotated[UUID | None, typer.Option("--id", help="Its id; a new one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open a recall in the name of an office or a business; repeated with --id it is one."""
    with complaining(as_json):
        now = system_clock()
        body = filled_in(
            RecallIn,
            found=found,
            suspects=suspects or [],
            siblings=siblings,
            grade=grade,
            trigger=trigger,
            reason=reason,
            advice=advice,
            known_at=now if known_at is None else known_at.replace(tzinfo=SHANGHAI),
            mock=mock,
        )

        async def work(session: AsyncSession) -> RecallOut:
            caller = await _acting(session, party)
            recall, _ = await opening.open_case(
                session, recall_id or ids.uuid7(), body, caller, now=now
            )
            return await queries.describe(session, recall, caller, today=local_date(now))

        _tell(with_books(work, settings()), as_json)


def _tell(recall: RecallOut, as_json: bool) -> None:
    def tell(console: Console) -> None:
        title = wording.title(mock=recall.mock)
        rows = [
            ("recall", recall.recall),
            *printing.clocks(recall),
            *printing.sums(recall),
        ]
        console.print(table(Text(f"{title.zh}: {recall.reason}", title.en), ("", ""), rows))

    answer(recall.model_dump(mode="json"), as_json, tell)


@app.command("close")
def close_recall(
    recall_id: RecallId,
    party: ActingParty,
    outcome: Annotated[Outcome, typer.Option(help="Done, or lifted because it was wrong.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    sampled_g: Annotated[
        int, typer.Option(min=0, help="Grams of samples that the office answers for.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Sign a recall off, or lift it, in the name of the office in charge.

    Refused while grams are unaccounted for or steps open.
    """
    with complaining(as_json):
        now = system_clock()
        body = filled_in(ClosureIn, outcome=outcome, reason=reason, sampled_g=sampled_g)

        async def work(session: AsyncSession) -> RecallOut:
            caller = await _acting(session, party)
            recall, _ = await following.close(session, recall_id, body, caller, now=now)
            return await queries.describe(session, recall, caller, today=local_date(now))

        _tell(with_books(work, settings()), as_json)


@app.command("late")
def late(as_json: AsJson = False) -> None:
    """List what is overdue: acknowledgements, recalls and referrals."""
    with complaining(as_json):
        now = system_clock()

        async def work(session: AsyncSession) -> dict[str, Any]:
            today = local_date(now)
            cases = await queries.listed(
                session, AT_THE_TERMINAL, open_only=True, most=LIST_MAX, today=today
            )
            notices = []
            for case in cases:
                recall = await queries.find(session, case.recall)
                rows = await queries.notices_of(session, recall, party=None, now=now)
                notices += [
                    {"recall": case.recall, "party": row.party, "name": row.name, "due": row.due_at}
                    for row in rows
                    if row.late and row.acknowledged_at is None
                ]
            asked = await referrals.concerning(
                session, AT_THE_TERMINAL, open_only=True, most=LIST_MAX
            )
            told = await referrals.describe(session, asked, today=today)
            return {
                "notices": notices,
                "recalls": [case.recall for case in cases if case.clocks.overdue],
                "referrals": [row.referral for row in told if row.overdue],
            }

        value = with_books(work, settings())

        def tell(console: Console) -> None:
            rows = (
                (row["recall"], row["name"], printing.instant(row["due"]))
                for row in value["notices"]
            )
            columns = ("recall", "party", "due")
            console.print(table(Text("逾期未确认", "Not acknowledged in time"), columns, rows))
            for name in ("recalls", "referrals"):
                console.print(table(Text("逾期", name), ("id",), ((one,) for one in value[name])))

        answer(value, as_json, tell)


@app.command("export")
def export(
    recall_id: RecallId,
    file: Annotated[Path, typer.Argument(help="The .xlsx to write.")],
    as_json: AsJson = False,
) -> None:
    """Write all that is recorded in a recall, every lot included, into a spreadsheet."""
    with complaining(as_json):

        async def work(session: AsyncSession) -> bytes:
            await opening.be_patient(session)
            recall = await queries.find(session, recall_id)
            record = await printing.record(session, recall, AT_THE_TERMINAL, now=system_clock())
            page = await queries.lots_of(session, recall, holder=None, after=0, most=None)
            return await printing.spreadsheet(record, page.lots)

        content = with_books(work, settings())
        file.write_bytes(content)
        value = {"file": str(file), "size_bytes": len(content)}
        answer(value, as_json, lambda console: console.print(f"{file}: {len(content):,} bytes"))
