"""Refusals as RFC 9457 problem documents, in Chinese and English, with a stable code each."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import asyncpg
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from app.core import directory
from app.core.errors import DomainError, Kind, Text, every_refusal
from app.core.logging import report_fault
from app.core.schemas import Out

STATUS: dict[Kind, HTTPStatus] = {
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
}
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

# SQLSTATE classes after which the same request may succeed: serialization failure, deadlock, lock
# not available, statement cancelled by its timeout, connection failures, server shutting down.
_RETRYABLE = ("40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "08", "53")
# After these the same request, run again at once, can succeed: it met another one that won.
_COLLISIONS = ("40001", "40P01")
_UNIQUE_VIOLATION = "23505"
# What names the key of ids and numbers that clients choose; a cluster keeps those of lots and
# tickets apart. A sampler numbers the bags, and the maker of a device its records.
_CHOSEN_IDS = (
    "public_id",
    directory.KEY,
    "uq_sample_taken_by_number",
    "uq_test_source_id_maker_record_id",
)
COLLIDED = "ypt_collided"
"""Key in the ASGI scope of what takes note of a collision; see `http.Unit`."""
_UNREADABLE = ("22021", "22P05", "22003", "22008")

log = structlog.get_logger()


class MalformedRequest(DomainError):
    """The body, a parameter or a header is not of the form that the route takes."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "malformed-request"
    title: ClassVar[Text] = Text("有内容没有填对", "Something is not filled in as it should be")
    next_step: ClassVar[Text] = Text(
        "请检查指出的内容，改正后再提交", "Correct what is pointed out and send it again"
    )


class Busy(DomainError):
    """The books are locked by others, or the database is not answering."""

    kind: ClassVar[Kind] = Kind.BUSY
    code: ClassVar[str] = "busy"
    title: ClassVar[Text] = Text("系统繁忙，本次操作未生效", "Too busy; nothing was changed")
    next_step: ClassVar[Text] = Text(
        "请稍候原样再试一次，不会重复生效", "Send the same again in a moment; it takes effect once"
    )


class NoSuchRoute(DomainError):
    """Nothing is served at this address, or not by this method."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "no-such-route"
    title: ClassVar[Text] = Text("没有这个地址", "Nothing is served at this address")
    next_step: ClassVar[Text] = Text(
        "请检查网址；接口说明见 /docs", "Check the address; /docs tells what is served"
    )


class InternalFault(DomainError):
    """A bug of ours; the request identifier finds it in the log."""

    kind: ClassVar[Kind] = Kind.BUSY
    code: ClassVar[str] = "internal-fault"
    title: ClassVar[Text] = Text(
        "系统内部错误，本次操作未生效", "A fault of ours; nothing was changed"
    )
    next_step: ClassVar[Text] = Text(
        "请稍后再试；仍不行，请把出错的时间告诉平台运营方",
        "Try again later; if it fails again, tell the operator when it happened",
    )


class BodyTooLarge(DomainError):
    """The body is larger than any honest one."""

    kind: ClassVar[Kind] = Kind.TOO_LARGE
    code: ClassVar[str] = "body-too-large"
    title: ClassVar[Text] = Text("提交的内容太大", "What was sent is too large")
    next_step: ClassVar[Text] = Text(
        "请减少照片或文字，或分几次提交", "Send less, or fewer photos, or send it in parts"
    )


class Sentence(Out):
    """The refusal in one language."""

    title: str
    next_step: str


class MemberProblem(Out):
    """What is wrong with one member of the body."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the request")
    code: str
    message: str


class MalformedRow(MalformedRequest):
    """A row of a bulk is not of the form that it should have.

    Attributes:
        members: What is wrong with which member of it.
    """

    def __init__(self, members: Sequence[MemberProblem]) -> None:
        """Build the refusal of one row."""
        super().__init__()
        self.members = members


class Problem(Out):
    """A problem document (RFC 9457) with our extension members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    zh: Sentence
    en: Sentence
    facts: dict[str, Any] = Field(default_factory=dict)
    errors: list[MemberProblem] = Field(default_factory=list)
    request_id: str | None = None


def document(
    error: DomainError,
    *,
    english: bool,
    request_id: str | None,
    members: Sequence[MemberProblem] = (),
    status: int | None = None,
) -> Problem:
    """Write a refusal as a problem document.

    Args:
        error: The refusal.
        english: Which language `title` and `detail` are in; both stand in `zh` and `en`.
        request_id: What finds this request in the log.
        members: What is wrong with single members of the body.
        status: The HTTP status where it is not that of the kind.
    """
    zh = Sentence(title=error.title.zh, next_step=error.next_step.zh)
    en = Sentence(title=error.title.en, next_step=error.next_step.en)
    spoken = en if english else zh
    if isinstance(error, MalformedRow):
        members = error.members
    if error.pointer is not None and not members:
        members = [MemberProblem(pointer=error.pointer, code=error.code, message=spoken.title)]
    return Problem(
        type=f"/problems/{error.code}",
        title=spoken.title,
        status=status or int(STATUS[error.kind]),
        detail=spoken.next_step,
        code=error.code,
        zh=zh,
        en=en,
        facts=error.facts,
        errors=list(members),
        request_id=request_id,
    )


def speaks_english(request: Request) -> bool:
    """Whether the reader asked for English before Chinese."""
    accepted = request.headers.get("accept-language", "").lower()
    english, chinese = accepted.find("en"), accepted.find("zh")
    return english >= 0 and (chinese < 0 or english < chinese)


def answer(
    request: Request,
    error: DomainError,
    *,
    members: Sequence[MemberProblem] = (),
    status: int | None = None,
) -> JSONResponse:
    """Answer a request with a refusal."""
    body = document(
        error,
        english=speaks_english(request),
        request_id=request.scope.get("ypt_request_id"),
        members=members,
        status=status,
    )
    headers = {}
    if error.kind is Kind.BUSY:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if error.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="ypt"'
    return JSONResponse(
        body.model_dump(mode="json"), body.status, media_type=MEDIA_TYPE, headers=headers
    )


def declare(*errors: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """List a route's refusals for its OpenAPI description."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        status = int(STATUS[error.kind])
        entry = responses.setdefault(
            status, {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": ""}
        )
        line = f"`{error.code}`: {error.title.en}"
        entry["description"] = f"{entry['description']}; {line}".removeprefix("; ")
    return responses


def install(app: FastAPI) -> None:
    """Teach an application to answer every failure with a problem document."""
    app.add_exception_handler(DomainError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(asyncpg.PostgresError, _connecting)
    app.add_exception_handler(PoolTimeoutError, _pool_exhausted)
    app.add_exception_handler(OSError, _pool_exhausted)
    app.include_router(router)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DomainError)
    return answer(request, error)


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return answer(request, MalformedRequest(), members=members_of(error.errors()))


def members_of(errors: Sequence[Any]) -> list[MemberProblem]:
    """Write what pydantic found wrong with single members of a body."""
    return [
        MemberProblem(pointer=_pointer(item["loc"]), code=item["type"], message=item["msg"])
        for item in errors
    ]


def _pointer(location: Sequence[object]) -> str:
    """Write where a fault lies as a JSON pointer into the body, or `/query/…`, `/path/…`."""
    parts = location[1:] if location[:1] == ("body",) else location
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    refusal: DomainError = NoSuchRoute()
    if error.status_code == HTTPStatus.BAD_REQUEST:
        refusal = MalformedRequest()
    return answer(request, refusal, status=error.status_code)


async def _database(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DBAPIError)
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in _COLLISIONS or _is_taken(state, error.orig):
        request.scope.get(COLLIDED, lambda: None)()
        return answer(request, Busy())
    if state.startswith(_RETRYABLE) or error.connection_invalidated:
        log.warning("database_busy", sqlstate=state)
        return answer(request, Busy())
    if state in _UNREADABLE:
        return answer(request, MalformedRequest())
    return await fault(request, error)


def may_pass(error: Exception) -> bool:
    """Tell whether the same transaction, run again a moment later, may succeed.

    It met another one that won, waited too long, or the database was going down or coming up.
    """
    if isinstance(error, OSError | PoolTimeoutError | asyncpg.InterfaceError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = getattr(error, "orig", error)
    state = getattr(cause, "sqlstate", None) or ""
    return state.startswith(_RETRYABLE) or _is_taken(state, cause)


def _is_taken(state: str, cause: BaseException | None) -> bool:
    return state == _UNIQUE_VIOLATION and any(key in str(cause) for key in _CHOSEN_IDS)


async def _connecting(request: Request, error: Exception) -> JSONResponse:
    # While connecting, SQLAlchemy passes the driver's errors on as they are: the server starts,
    # stops, or has no connection to spare.
    state = getattr(error, "sqlstate", None) or ""
    if not state.startswith(_RETRYABLE):
        return await fault(request, error)
    log.warning("database_busy", sqlstate=state)
    return answer(request, Busy())


async def _pool_exhausted(request: Request, error: Exception) -> JSONResponse:
    log.warning("database_unreachable", error=type(error).__name__)
    return answer(request, Busy())


async def fault(request: Request, error: Exception) -> JSONResponse:
    """Report a bug of ours, and answer the request that met it."""
    report_fault(error)
    return answer(request, InternalFault(), status=HTTPStatus.INTERNAL_SERVER_ERROR)


class ProblemDescription(Out):
    """What a code means, for the people who meet it."""

    code: str
    status: int
    zh: Sentence
    en: Sentence
    meaning: str


class UnknownProblem(DomainError):
    """No refusal has this code."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "unknown-problem"
    title: ClassVar[Text] = Text("没有这个错误代码", "No problem has this code")
    next_step: ClassVar[Text] = Text("请查阅 /problems", "See /problems for all codes")


def describe_all() -> list[ProblemDescription]:
    """Describe every refusal that the loaded packages can make, by code."""
    return sorted(
        (
            ProblemDescription(
                code=error.code,
                status=int(STATUS[error.kind]),
                zh=Sentence(title=error.title.zh, next_step=error.next_step.zh),
                en=Sentence(title=error.title.en, next_step=error.next_step.en),
                meaning=(error.__doc__ or "").strip().splitlines()[0],
            )
            for error in set(every_refusal())
        ),
        key=lambda description: description.code,
    )


router = APIRouter(tags=["problems"])


@router.get("/problems")
async def list_problems() -> list[ProblemDescription]:
    """List every code that a problem document can carry."""
    return describe_all()


@router.get("/problems/{code}", responses=declare(UnknownProblem))
async def read_problem(code: str) -> ProblemDescription:
    """Say what a problem's code means and what to do about it."""
    for description in describe_all():
        if description.code == code:
            return description
    raise UnknownProblem
