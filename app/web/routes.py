"""Pages over HTTP. Whoever scans a code comes here, with any browser and without an account."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import State
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app.admission import rules as admission
from app.admission.policy import NO_POLICY
from app.admission.rules import Code, CodeKind, Facts
from app.core import problems
from app.core.db import DbSession, ReplicaSession
from app.core.errors import DomainError, Text
from app.core.http import JSON_HEADERS, Shortcut, Written, wired
from app.core.replica import DATABASE_FAULTS
from app.label import service as labels
from app.label.rules import PATH as LABEL_PATH
from app.label.rules import UnknownLabel
from app.ledger import service as ledgers
from app.ledger.routes import OwnerId, Reader
from app.ledger.rules import LedgerKind, Mark, Month
from app.party import routes as sessions
from app.party.access import NotSignedIn
from app.party.auth import allow
from app.party.rules import WrongCredentials
from app.party.schemas import SessionIn
from app.signing import qr, token
from app.signing.token import TokenType
from app.trace.rules import TraceTimedOut
from app.web import desk, pages, queries
from app.web.memory import Remembered, wants_json
from app.web.queries import Frame
from app.web.rules import OF_SIGNATURE, SAYINGS, PageState
from app.web.schemas import PublicLabel, PublicTicket

_TYPED_CHARS_MAX = 2_000
# What is true of a ticket can change at any moment: a browser asks again each time.
FRESH = {"Cache-Control": "no-cache", "Vary": "Accept"}
_FRESH_JSON = [*JSON_HEADERS, *wired(FRESH)]
FOR_A_WHILE = {"Cache-Control": "public, max-age=300"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}

router = APIRouter(tags=["public"], dependencies=[Depends(allow("public.read"))])

_HTML: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PublicTicket,
        "content": _HTML,
        "description": "A document of ours: in force, used, expired, voided, held, or a test.",
    },
    400: {"model": PublicTicket, "content": _HTML, "description": "Unreadable, or forged."},
    404: {
        "model": PublicTicket,
        "content": _HTML,
        "description": "Signed, and not in the books; or the key or version is unknown.",
    },
}


def frame_of(request: Request) -> Frame:
    """Answer what a page of this server needs beside the document."""
    settings = request.app.state.settings
    now: datetime = request.app.state.clock()
    return Frame(now=now, address=settings.public_url.rstrip("/") + "/", demo=settings.demo)


@router.head("/t/{digits}", include_in_schema=False)
@router.get("/t/{digits}", responses=_PAGE, response_class=HTMLResponse)
async def show_document(digits: str, request: Request, session: ReplicaSession) -> Response:
    """Show anybody what a ticket or certificate says: a page, or with `Accept` its JSON.

    The signature is checked before anything is shown. A document that the books hold is found
    whatever became of it (200); what nobody can read or nobody of ours signed is a bad request
    (400); what is signed and not in the books is not found (404).
    """
    frame = frame_of(request)
    code = admission.read_token(digits)
    page, grounds = await queries.read(
        session,
        code,
        verifier=await request.app.state.ring.keyset(session, frame.now),
        frame=frame,
    )
    status = SAYINGS[page.state].status
    if code.parsed is not None and page.document is not None and request.method == "GET":
        request.app.state.tally.count(code.parsed.claims.serial, frame.now)
    if wants_json(request.headers.get("accept", "")):
        content, status = _told(request.app.state, code, digits, page, grounds)
        return Response(content, status, media_type="application/json", headers=FRESH)
    return HTMLResponse(pages.render(page, digits)[1], status, headers=FRESH)


def _told(
    state: State, code: Code, digits: str, page: PublicTicket, grounds: queries.Grounds | None
) -> tuple[bytes, HTTPStatus]:
    """Write a page for a program, and remember what it is told; answer it with its status."""
    status, content = SAYINGS[page.state].status, pages.tell(page, digits)
    if grounds is not None and code.parsed is not None:
        told = Remembered(content, status, code.parsed.claims.serial)
        state.pages.keep(digits, told, page.checked_at, grounds)
    return content, status


async def _show_at_once(request: Request) -> ASGIApp | None:
    """Tell a program of a ticket in the plain case: signed by us, and in the books."""
    if not wants_json(request.headers.get("accept", "")):
        return None
    state, digits = request.app.state, request.path_params["digits"]
    now = state.clock()
    remembered = await state.pages.recall(digits, state.database, now)
    if remembered is not None:
        state.tally.count(remembered.serial, now)
        return Written(remembered.content, _FRESH_JSON, remembered.status)
    return await _read_at_once(request, digits)


async def _read_at_once(request: Request, digits: str) -> ASGIApp | None:
    """Read a ticket that nobody remembers."""
    state, frame = request.app.state, frame_of(request)
    keyset, library = state.ring.keyset_at_hand(frame.now), queries.library_beside(state.database)
    code = admission.read_token(digits)
    if keyset is None or library is None or code.parsed is None:
        return None
    claims = code.parsed.claims
    signature = keyset.verify(code.parsed, frame.now)
    if claims.type is not TokenType.TICKET or signature in OF_SIGNATURE:
        return None
    try:
        found = await queries.read_ticket(library, code, frame)
    except (TraceTimedOut, *DATABASE_FAULTS):
        return None
    if found is None:
        return None
    state.tally.count(claims.serial, frame.now)
    content, status = _told(state, code, digits, *found)
    return Written(content, _FRESH_JSON, status)


shortcut = Shortcut(token.PATH + "{digits}", _show_at_once)
"""A ticket is read by programs most; see `http.Shortcuts`."""


async def _drawable(digits: str, request: Request, session: ReplicaSession) -> bool:
    frame = frame_of(request)
    code = admission.read_token(digits)
    keyset = await request.app.state.ring.keyset(session, frame.now)
    return code.parsed is not None and admission.may_be_shown(keyset.verify(code.parsed, frame.now))


_NO_CODE: dict[int | str, dict[str, Any]] = {404: {"description": "No code of ours."}}


@router.head("/t/{digits}/code.png", include_in_schema=False)
@router.get(
    "/t/{digits}/code.png",
    responses={200: {"content": {"image/png": {}}}, **_NO_CODE},
    response_class=Response,
)
async def draw_png(digits: str, request: Request, session: ReplicaSession) -> Response:
    """Draw the QR code of a token that we signed, as a PNG."""
    if not await _drawable(digits, request, session):
        return Response(status_code=HTTPStatus.NOT_FOUND)
    prefix = token.prefix(request.app.state.settings.public_url)
    return Response(qr.draw_png(prefix, digits), media_type="image/png", headers=_FOR_EVER)


@router.head("/t/{digits}/code.svg", include_in_schema=False)
@router.get(
    "/t/{digits}/code.svg",
    responses={200: {"content": {"image/svg+xml": {}}}, **_NO_CODE},
    response_class=Response,
)
async def draw_svg(digits: str, request: Request, session: ReplicaSession) -> Response:
    """Draw the QR code of a token that we signed, as an SVG."""
    if not await _drawable(digits, request, session):
        return Response(status_code=HTTPStatus.NOT_FOUND)
    prefix = token.prefix(request.app.state.settings.public_url)
    return Response(qr.draw_svg(prefix, digits), media_type="image/svg+xml", headers=_FOR_EVER)


_FOUND: dict[int | str, dict[str, Any]] = {
    303: {"description": "On to the document's page."},
    400: {"content": _HTML, "description": "No code of ours."},
    404: {"content": _HTML, "description": "No document has this code."},
}


@router.head("/c/{code}", include_in_schema=False)
@router.get(
    "/c/{code}",
    status_code=HTTPStatus.SEE_OTHER,
    responses=_FOUND,
    response_class=RedirectResponse,
)
async def follow_code(code: str, request: Request, session: ReplicaSession) -> Response:
    """Lead from a short code to its document's page."""
    return await _follow(code, request, session)


@router.head("/c", include_in_schema=False)
@router.get(
    "/c", status_code=HTTPStatus.SEE_OTHER, responses=_FOUND, response_class=RedirectResponse
)
async def look_up(
    request: Request,
    session: ReplicaSession,
    code: Annotated[str, Query(max_length=_TYPED_CHARS_MAX)] = "",
) -> Response:
    """Lead from whatever was typed or pasted to its document's page."""
    return await _follow(code, request, session)


async def _follow(text: str, request: Request, session: ReplicaSession) -> Response:
    frame = frame_of(request)
    code = admission.recognise(text, [request.app.state.settings.public_url])
    status, digits = HTTPStatus.BAD_REQUEST, None
    if code.kind is CodeKind.TOKEN and code.parsed is not None:
        digits = code.reference
    elif code.kind is CodeKind.SHORT_CODE:
        # A label's own page says more of its lot than the certificate that came with it.
        if (await labels.look(session, code.reference))[0]:
            path = LABEL_PATH + code.reference
            return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers=FRESH)
        status, digits = HTTPStatus.NOT_FOUND, await queries.digits_of(session, code)
    if digits is not None:
        return RedirectResponse(token.PATH + digits, HTTPStatus.SEE_OTHER, headers=FRESH)
    saying: Text = SAYINGS[PageState.UNREADABLE].headline
    if findings := admission.decide(NO_POLICY, Facts(code, frame.now)).findings:
        saying = findings[0].kind.text
    html = pages.home(demo=frame.demo, typed=text.strip()[:100], saying=saying)
    return HTMLResponse(html, status, headers=FRESH)


_LABEL: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PublicLabel,
        "content": _HTML,
        "description": "It stands for a lot, or for nothing yet.",
    },
    303: {"description": "On to the page of the ticket that it stands for."},
    404: {"content": _HTML, "description": "There is no such label."},
}


@router.head("/b/{code}", include_in_schema=False)
@router.get("/b/{code}", responses=_LABEL, response_class=HTMLResponse)
async def show_label(code: str, request: Request, session: ReplicaSession) -> Response:
    """Lead from a pre-printed label to its ticket, or say what it stands for, if anything."""
    frame = frame_of(request)
    try:
        bare, binding = await labels.find(session, code)
    except UnknownLabel as refusal:
        html = pages.home(demo=frame.demo, typed=code.strip()[:100], saying=refusal.title)
        return HTMLResponse(html, HTTPStatus.NOT_FOUND, headers=FRESH)
    if digits := await queries.ticket_behind(session, binding):
        return RedirectResponse(token.PATH + digits, HTTPStatus.SEE_OTHER, headers=FRESH)
    saying, page = await queries.label(session, bare, binding, frame)
    if wants_json(request.headers.get("accept", "")):
        return Response(page.model_dump_json(), media_type="application/json", headers=FRESH)
    return HTMLResponse(pages.label(saying, page), headers=FRESH)


@router.head("/", include_in_schema=False)
@router.get("/", response_class=HTMLResponse)
async def welcome(request: Request) -> HTMLResponse:
    """Offer a field for a code to whoever comes by."""
    html = pages.home(demo=request.app.state.settings.demo)
    return HTMLResponse(html, headers=FOR_A_WHILE)


assets = StaticFiles(packages=[("app.web", "static"), ("fastapi_swagger", "resources")])
"""What our pages load: files of ours, and Swagger UI from its package, pinned like all the rest."""

# The one page of ours with scripts: from our own files only, and talking to nobody but us.
_WITH_SCRIPTS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@router.head("/docs", include_in_schema=False)
@router.get("/docs", response_class=HTMLResponse)
async def show_api() -> HTMLResponse:
    """Describe every route to whoever programs against it, and let them try it."""
    headers = {**FOR_A_WHILE, "Content-Security-Policy": _WITH_SCRIPTS}
    return HTMLResponse(pages.docs(), headers=headers)


# --- those who are signed in ----------------------------------------------------------------------

PAGE_ROWS = 100
_FORM_FIELDS_MAX = 8
_NOT_KEPT = {"Cache-Control": "no-store"}

own = APIRouter(tags=["pages"])

_SIGN_IN_FORM: dict[str, Any] = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "login": {"type": "string"},
                        "password": {"type": "string"},
                        "next": {"type": "string"},
                    },
                }
            }
        }
    }
}


@own.get(
    "/sign-in",
    response_class=HTMLResponse,
    dependencies=[Depends(allow("session.create"))],
)
async def ask_who(
    request: Request,
    wanted: Annotated[str, Query(alias="next", max_length=300)] = desk.HOME,
) -> HTMLResponse:
    """Show the page on which one signs in with a browser."""
    html = desk.sign_in(demo=request.app.state.settings.demo, wanted=wanted)
    return HTMLResponse(html, headers=_NOT_KEPT)


@own.post(
    "/sign-in",
    status_code=HTTPStatus.SEE_OTHER,
    responses={
        303: {"description": "On to the ledger, with a session in a cookie."},
        401: {"content": _HTML, "description": "Login and password do not belong together."},
    },
    response_class=RedirectResponse,
    dependencies=[Depends(allow("session.create"))],
    openapi_extra=_SIGN_IN_FORM,
)
async def sign_in_with_form(request: Request, session: DbSession) -> Response:
    """Sign in with a form; `POST /sessions` is the same for programs."""
    fields = await form_of(request)
    wanted, login = fields.get("next", ""), fields.get("login", "")
    answer = RedirectResponse(desk.following(wanted), HTTPStatus.SEE_OTHER, headers=_NOT_KEPT)
    try:
        body = SessionIn.model_validate({"login": login, "password": fields.get("password", "")})
        await sessions.sign_in(body, session, request, answer)
    except (WrongCredentials, ValidationError):
        html = desk.sign_in(
            demo=request.app.state.settings.demo,
            wanted=wanted,
            login=login[:64],
            saying=WrongCredentials.title,
        )
        return HTMLResponse(html, HTTPStatus.UNAUTHORIZED, headers=_NOT_KEPT)
    return answer


async def form_of(request: Request) -> dict[str, str]:
    """Read a form's fields; what is no form has none."""
    try:
        text = (await request.body()).decode()
        fields = parse_qs(text, max_num_fields=_FORM_FIELDS_MAX, errors="strict")
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


@own.post(
    "/sign-out",
    status_code=HTTPStatus.SEE_OTHER,
    responses={303: {"description": "Back to the page on which one signs in."}},
    response_class=RedirectResponse,
    dependencies=[Depends(allow("session.end"))],
)
async def sign_out_with_form(request: Request, session: DbSession) -> Response:
    """Sign out with a button; `DELETE /sessions/current` is the same for programs."""
    answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER, headers=_NOT_KEPT)
    await sessions.sign_out(session, request, answer)
    return answer


@own.get(
    "/books/{kind}",
    responses={
        303: {"description": "To the page on which one signs in."},
        **problems.declare(NotSignedIn),
    },
    response_class=HTMLResponse,
)
async def show_books(
    kind: LedgerKind,
    request: Request,
    session: DbSession,
    caller: Reader,
    month: Annotated[str, Query(max_length=7, description="This month, if left out.")] = "",
    owner: OwnerId = None,
    after: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """Show a month's ledger as a page, this month's if none is named; phones are masked."""
    state = request.app.state
    now: datetime = state.clock()
    asked = ledgers.Request(
        caller, kind, Month.read(month) if month else Month.of(now), "page", owner=owner
    )
    mark = None if after is None else Mark.read(after)
    ledger = await ledgers.open_ledger(session, asked, vault=state.vault, now=now)
    rows, following = await ledgers.page(session, ledger, after=mark, most=PAGE_ROWS)
    await ledgers.record_access(session, ledger, now=now)
    html = desk.books(
        ledger.head,
        rows,
        after=None if following is None else following.write(),
        owner=owner,
        demo=state.settings.demo,
    )
    return HTMLResponse(html, headers=_NOT_KEPT)


async def refused(request: Request, error: Exception) -> Response:
    """Answer a refusal: a person who reads pages gets one, everybody else a problem document.

    Whoever is not signed in is led to where one signs in, and from there back.
    """
    assert isinstance(error, DomainError)
    if not request.url.path.startswith("/books/") or not _wants_html(request):
        return problems.answer(request, error)
    if isinstance(error, NotSignedIn):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(
            f"/sign-in?next={quote(wanted, safe='')}", HTTPStatus.SEE_OTHER, headers=_NOT_KEPT
        )
    html = desk.refused(error, demo=request.app.state.settings.demo)
    return HTMLResponse(html, problems.STATUS[error.kind], headers=_NOT_KEPT)


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
