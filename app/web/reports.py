"""The pages on which anybody reports a problem, and reads what became of it; no script needed."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from app.core import http, problems
from app.core.db import DbSession, part_of
from app.core.errors import DomainError, IdReused, Text
from app.core.problems import declare
from app.party.auth import allow
from app.report import rules, service
from app.report.routes import PATH, around
from app.report.schemas import TEXT_CHARS_MAX, ReportIn, ReportTrack
from app.web import pages
from app.web.memory import wants_json
from app.web.routes import form_of

FORM: Final = "/report"
_PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_NO_PHOTOS_KEPT: Final = Text(
    "没有提交的照片需要重新选择", "Photos that were not taken must be chosen again"
)
_WORDS_KEPT: Final = Text(
    "填写的文字保留在下面；请重新选择照片，再提交一次",
    "What you wrote is kept below; choose the photos again and send it once more",
)
_NOTHING_KEPT: Final = Text(
    "填写的文字没有收到；请重新填写，再提交一次",
    "What you wrote did not arrive; please write it again and send it once more",
)
_INCOMPLETE: Final = Text(
    "请选择问题并写明情况，不要使用特殊字符",
    "Choose a problem and say what happened, without special characters",
)
_ARRIVED: Final = Text("先前填写的内容已经收到", "What you sent before has arrived")
_ONCE_MORE: Final = Text(
    "要补充或另报一件，请再提交一次", "To add to it or report something else, send it once more"
)
_HTML: Final[dict[str, Any]] = {"text/html": {"schema": {"type": "string"}}}
_FIELDS: Final = ("report", "document", "problem", "text", "contact")
_PHOTOS: Final = "photos"
_TYPED_BYTES_MAX: Final = 64 << 10
"""All that can be typed, at its longest; in the form it stands before the photos."""
_MULTIPART: Final = "multipart/form-data"
_TYPED: Final[dict[str, Any]] = {name: {"type": "string"} for name in _FIELDS}
_FILES: Final[dict[str, Any]] = {
    _PHOTOS: {"type": "array", "items": {"type": "string", "format": "binary"}}
}
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": _TYPED}
            },
            _MULTIPART: {"schema": {"type": "object", "properties": {**_TYPED, **_FILES}}},
        }
    }
}

router = APIRouter(tags=["reports"])


async def _page(
    request: Request,
    session: DbSession,
    typed: dict[str, str],
    *,
    saying: Text | None = None,
    advice: Text | None = None,
    lost: Text | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> HTMLResponse:
    # A form that came without its id, or torn, is to be sent again under a new one.
    typed = {**typed, "report": typed.get("report") or str(request.app.state.new_id())}
    photos_max, kib_max = await service.photo_limits(session, request.app.state.clock())
    html = (
        pages.environment()
        .get_template("report.html")
        .render(
            demo=request.app.state.settings.demo,
            typed={name: typed.get(name, "") for name in _FIELDS},
            problems=rules.PROBLEM_WORDS,
            chars_max=TEXT_CHARS_MAX,
            photos_max=photos_max,
            photos_mib=kib_max >> 10,
            saying=saying,
            advice=advice,
            lost=lost,
        )
    )
    return HTMLResponse(html, status, headers=_PRIVATE)


async def _read(request: Request) -> tuple[dict[str, str], list[bytes]]:
    """Read what was typed, and the photos that were chosen; a form without photos is read too."""
    if not request.headers.get("content-type", "").startswith(_MULTIPART):
        return await form_of(request), []
    try:
        async with request.form() as form:
            typed = {name: value for name, value in form.items() if isinstance(value, str)}
            files = [file for file in form.getlist(_PHOTOS) if not isinstance(file, str)]
            # A browser sends an empty file where none was chosen.
            return typed, [content for file in files if (content := await file.read())]
    except HTTPException:
        return {}, []


async def _beginning(request: Request) -> dict[str, str]:
    """Read what was typed in a form whose end is missing; a text that was cut is none."""

    async def head() -> AsyncGenerator[bytes]:
        # Ends within the head of the first photo: a file that was begun would have to be closed.
        yield (await request.body())[:_TYPED_BYTES_MAX].partition(b"; filename=")[0]

    if not request.headers.get("content-type", "").startswith(_MULTIPART):
        return {}
    try:
        form = await MultiPartParser(request.headers, head()).parse()
    except MultiPartException:
        return {}
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def _answer_cut(request: Request, session: DbSession) -> HTMLResponse:
    """Say that the photos were too many, and give back what was typed."""
    typed = await _beginning(request)
    refusal = rules.PhotosUnfit
    return await _page(
        request,
        session,
        typed,
        saying=refusal.title,
        advice=refusal.next_step,
        lost=_WORDS_KEPT if typed.get("text") else _NOTHING_KEPT,
        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


@router.get(
    FORM,
    responses={303: {"description": "On to the page of a tracking code that was typed."}},
    response_class=HTMLResponse,
    dependencies=[Depends(allow("report.file"))],
)
async def ask_what_is_wrong(
    request: Request,
    session: DbSession,
    document: Annotated[str, Query(max_length=TEXT_CHARS_MAX)] = "",
    code: Annotated[str, Query(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Show the form on which anybody reports a problem; its id is made here, for one report.

    A tracking code that somebody typed leads on to its page.
    """
    if code.strip():
        path = PATH + quote(rules.read_code(code), safe="")
        return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers=_PRIVATE)
    page = await _page(request, session, {"document": document})
    # Whoever goes back to it, the network lost, sends the same form again and not another one.
    page.headers["Cache-Control"] = "private, no-cache"
    return page


@router.post(
    FORM,
    status_code=HTTPStatus.SEE_OTHER,
    responses={
        303: {"description": "On to the page that tells what becomes of it."},
        404: {"content": _HTML, "description": "No such document."},
        409: {"content": _HTML, "description": "This form was sent with other words before."},
        413: {"content": _HTML, "description": "The photos are too large to be read."},
        422: {"content": _HTML, "description": "The form is incomplete, or a photo is none."},
        429: {"content": _HTML, "description": "Too many reports today."},
    },
    response_class=RedirectResponse,
    dependencies=[Depends(allow("report.file"))],
    openapi_extra=_FORM,
)
async def file_with_form(request: Request, session: DbSession) -> Response:
    """Report a problem with a form; `PUT /reports/{id}` is the same for programs."""
    if request.scope[http.CUT]:
        return await _answer_cut(request, session)
    typed, photos = await _read(request)
    lost = _NO_PHOTOS_KEPT if photos else None
    try:
        public_id = UUID(typed.get("report", ""))
        body = ReportIn.model_validate(
            {name: typed[name] for name in _FIELDS[1:] if typed.get(name, "").strip()}
        )
    except ValueError:  # pydantic's are of this kind too
        return await _page(
            request,
            session,
            typed,
            saying=_INCOMPLETE,
            lost=lost,
            status=HTTPStatus.UNPROCESSABLE_ENTITY,
        )
    try:
        # The answer to a refusal is a page, and the first photo of two may be kept by then.
        async with part_of(session):
            report, _ = await service.file(session, public_id, body, photos, around(request))
    except DomainError as refusal:
        arrived = isinstance(refusal, IdReused)
        return await _page(
            request,
            session,
            {**typed, "report": ""} if arrived else typed,
            saying=_ARRIVED if arrived else refusal.title,
            advice=_ONCE_MORE if arrived else refusal.next_step,
            lost=lost,
            status=problems.STATUS[refusal.kind],
        )
    return RedirectResponse(PATH + report.code, HTTPStatus.SEE_OTHER, headers=_PRIVATE)


@router.get(
    PATH + "{code}",
    responses={
        200: {"model": ReportTrack, "content": _HTML, "description": "What became of it."},
        **declare(rules.UnknownReport),
    },
    response_class=HTMLResponse,
    dependencies=[Depends(allow("report.file"))],
)
async def track_report(code: str, request: Request, session: DbSession) -> Response:
    """Tell whoever has a tracking code what became of the report: a page, or with `Accept` JSON."""
    as_json = wants_json(request.headers.get("accept", ""))
    try:
        found = await service.track(session, code, now=request.app.state.clock())
    except rules.UnknownReport as refusal:
        if as_json:
            raise
        return _tracked(request, None, refusal.title, HTTPStatus.NOT_FOUND)
    if as_json:
        return Response(found.model_dump_json(), media_type="application/json", headers=_PRIVATE)
    return _tracked(request, found, rules.STATE_WORDS[found.state], HTTPStatus.OK)


def _tracked(
    request: Request, found: ReportTrack | None, saying: Text, status: HTTPStatus
) -> HTMLResponse:
    html = (
        pages.environment()
        .get_template("tracked.html")
        .render(
            demo=request.app.state.settings.demo,
            found=found,
            saying=saying,
            problems=rules.PROBLEM_WORDS,
            departments=rules.DEPARTMENT_WORDS,
        )
    )
    return HTMLResponse(html, status, headers=_PRIVATE)
