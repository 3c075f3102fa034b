"""FastAPI dependencies that say who is calling, and stop who may not."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from app.core.db import DbSession
from app.party import credentials
from app.party.access import POLICY, PUBLIC, Audience, Caller, NotSignedIn, authorize
from app.party.credentials import Credential

SESSION_COOKIE = "ypt_session"


def session_cookie(request: Request) -> str:
    """Name the session cookie; the `__Host-` prefix needs HTTPS, which a demo lacks."""
    secure = request.app.state.settings.cookie_secure
    return f"__Host-{SESSION_COOKIE}" if secure else SESSION_COOKIE


def credential_of(request: Request) -> tuple[Credential, str]:
    """Read what a request proffers: a bearer key, a session cookie, or nothing."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return Credential.KEY, credential.strip()
    if token := request.cookies.get(session_cookie(request)):
        return Credential.SESSION, token
    return Credential.NONE, ""


async def identify(request: Request, session: DbSession) -> Caller:
    """Find out who sent a request."""
    now = request.app.state.clock()
    kind, secret = credential_of(request)
    if kind is Credential.KEY:
        return await credentials.caller_of_key(session, secret, now=now)
    if kind is Credential.SESSION:
        return await credentials.caller_of_session(session, secret, now=now)
    return PUBLIC


async def _tell_of_reset(request: Request, session: DbSession) -> None:
    """Refuse a session that a new password ended with the instant, so that its device learns of it.

    Raises:
        NotSignedIn: that is what ended it.
    """
    kind, secret = credential_of(request)
    if kind is Credential.SESSION:
        ended_at = await credentials.reset_since(session, secret)
        if ended_at is not None:
            raise NotSignedIn(password_reset_at=ended_at.isoformat())


def allow(action: str) -> Callable[..., Awaitable[Caller]]:
    """Make the dependency that admits to a route whoever may take this action.

    Every route depends on exactly one of these; a contract test walks all routes to see it.
    """

    async def permitted(request: Request, session: DbSession) -> Caller:
        # Not a dependency of its own: each level of them is solved anew for every request.
        caller = await identify(request, session)
        if caller is PUBLIC and Audience.PUBLIC not in POLICY[action]:
            await _tell_of_reset(request, session)
        authorize(caller, action)
        return caller

    permitted.__dict__["action"] = action
    return permitted
