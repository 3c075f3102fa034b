"""The page of a recall, for whoever leads it or holds its goods: to read, to print, to file."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from app.core.db import DbSession
from app.core.problems import declare
from app.party.access import Caller
from app.party.auth import allow
from app.recall import printing, queries, wording
from app.recall.rules import ADVICE, UnknownRecall
from app.web import pages

SHOWN_LOTS_MAX = 200
_HTML: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}}
}

router = APIRouter(tags=["recalls"])


@router.get(
    "/recalls/{recall_id}/page",
    response_class=HTMLResponse,
    responses={**_HTML, **declare(UnknownRecall)},
)
async def show_recall(
    recall_id: UUID,
    request: Request,
    session: DbSession,
    caller: Annotated[Caller, Depends(allow("recall.read"))],
) -> HTMLResponse:
    """Show a recall, or an exercise, to whoever may see it; a trader sees its own part."""
    now = request.app.state.clock()
    recall = await queries.find(session, recall_id)
    written = await printing.record(session, recall, caller, now=now)
    holder = None if written.recall.totals is not None else caller.acting_party
    page = await queries.lots_of(session, recall, holder=holder, after=0, most=SHOWN_LOTS_MAX)
    letter = await queries.letter(session, recall, caller.acting_party)
    totals = written.recall.totals
    html = (
        pages.environment()
        .get_template("recall.html")
        .render(
            demo=request.app.state.settings.demo,
            record=written,
            recall=written.recall,
            title=wording.title(mock=recall.mock),
            grade=wording.GRADES[recall.grade],
            trigger=wording.TRIGGERS[written.recall.trigger],
            outcome=written.recall.outcome and wording.OUTCOMES[written.recall.outcome],
            advice=list(ADVICE) if recall.advice is None else [recall.advice],
            clocks=printing.clocks(written.recall),
            sums=printing.sums(written.recall),
            lots=page.lots,
            more=0 if totals is None else totals.lots - len(page.lots),
            sales=len(letter.sales) + letter.more,
            relations=wording.RELATIONS,
            steps=wording.STEPS,
            methods=wording.METHODS,
            channels=wording.CHANNELS,
            kilograms=printing.kilograms,
            now=now,
        )
    )
    # It names persons and grams: no cache on the way keeps it.
    return HTMLResponse(html, headers={"Cache-Control": "private, no-store"})
