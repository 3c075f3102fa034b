"""Who may call what: every route, asked by everybody.

A route that is not in the table fails, so that nobody adds one without deciding.
"""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import date

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.core import ids
from app.core.settings import Settings
from app.main import create_app
from app.party import service as parties
from app.party.access import POLICY, Audience, RoleKind
from tests.conftest import FakeClock

# The action that each route asks the policy for. The policy says who may take it.
ACTIONS = {
    "GET /": "public.read",
    "HEAD /": "public.read",
    "PUT /accounts/{account_id}": "account.create",
    "GET /agreements": "agreement.read",
    "PUT /agreements/{agreement_id}": "agreement.record",
    "PUT /agreements/{agreement_id}/end": "agreement.record",
    "GET /api-keys": "api-key.manage",
    "DELETE /api-keys/{key_id}": "api-key.manage",
    "PUT /api-keys/{key_id}": "api-key.manage",
    "GET /books/{kind}": "ledger.read",
    "GET /b/{code}": "public.read",
    "HEAD /b/{code}": "public.read",
    "GET /c": "public.read",
    "HEAD /c": "public.read",
    "GET /c/{code}": "public.read",
    "HEAD /c/{code}": "public.read",
    "GET /certificate-forms": "form.read",
    "GET /certificates": "certificate.read",
    "GET /certificates/{certificate_id}": "certificate.read",
    "PUT /certificates/{certificate_id}": "certificate.issue",
    "GET /certificates/{certificate_id}/print": "label.print",
    "PUT /certificates/{certificate_id}/void": "certificate.issue",
    "POST /claims": "invitation.claim",
    "POST /decisions/bulk": "ticket.decide",
    "PUT /destructions/{change_id}": "lot.write",
    "GET /docs": "public.read",
    "HEAD /docs": "public.read",
    "GET /admin": "public.read",
    "GET /admin/{path:path}": "public.read",
    "GET /divisions": "product.read",
    "GET /divisions/{code}": "product.read",
    "GET /evidence/{evidence_id}": "evidence.read",
    "PUT /evidence/{evidence_id}": "evidence.store",
    "GET /gate": "public.read",
    "GET /gate/{path:path}": "public.read",
    "GET /entry-policy": "public.read",
    "GET /gate-cases": "gate-case.read",
    "GET /gate/bundle": "gate-device.act",
    "GET /gate/bundle/shards/{sha256}": "gate-device.act",
    "POST /gate/checks": "gate-device.act",
    "GET /gate/devices": "gate-device.enrol",
    "PUT /gate/devices/{device_id}": "gate-device.act",
    "PUT /gate/devices/{device_id}/revoke": "gate-device.enrol",
    "PUT /gate/enrolments/{enrolment_id}": "gate-device.enrol",
    "GET /gate/tests": "gate-device.act",
    "POST /gate/uploads": "gate-device.act",
    "PUT /gate-cases/{case_id}/answer": "gate-case.answer",
    "PUT /gate-cases/{case_id}/close": "gate-case.handle",
    "GET /healthz": "public.read",
    "GET /holds": "hold.read",
    "PUT /holds/{hold_id}": "hold.place",
    "PUT /holds/{hold_id}/release": "hold.release",
    "PUT /hold-releases/{release_id}": "hold.release",
    "GET /inspections": "inspection.record",
    "GET /inspections/{inspection_id}": "inspection.record",
    "PUT /inspections/{inspection_id}": "inspection.record",
    "PUT /invitations/{invitation_id}": "invitation.create",
    "PUT /label-bindings/{code}": "label.write",
    "GET /label-rolls/{roll_id}": "label.print",
    "PUT /label-rolls/{roll_id}": "label.write",
    "GET /label-rolls/{roll_id}/print": "label.print",
    "POST /label-sheets": "label.print",
    "GET /label-stocks": "label.print",
    "GET /ledgers/{kind}": "ledger.read",
    "GET /ledgers/{kind}.pdf": "ledger.read",
    "GET /ledgers/{kind}.xlsx": "ledger.read",
    "PUT /losses/{change_id}": "lot.write",
    "GET /limits": "limit.read",
    "GET /keys": "public.read",
    "GET /lots": "lot.read",
    "GET /lots/{lot_id}": "lot.read",
    "PUT /lots/{lot_id}": "lot.write",
    "GET /lots/{lot_id}/neighbours": "trace.read",
    "GET /lots/{lot_id}/path": "trace.read",
    "GET /lots/{lot_id}/trace": "trace.read",
    "GET /m": "public.read",
    "GET /m/{path:path}": "public.read",
    "GET /lots/{lot_id}/trace/lots": "trace.read",
    "GET /lots/{lot_id}/trace/picture": "trace.read",
    "GET /me": "account.read",
    "POST /merges/bulk": "lot.write",
    "PUT /merges/{change_id}": "lot.write",
    "GET /notices": "hold.read",
    "GET /notices/unread": "hold.read",
    "PUT /notices/{notice_id}/read": "notice.read",
    "GET /paper-kinds": "public.read",
    "GET /papers/{paper_id}": "paper.record",
    "PUT /papers/{paper_id}": "paper.record",
    "GET /parties": "party.read",
    "GET /parties/{party_id}": "party.read",
    "GET /parties/{party_id}/credit-file": "party.read",
    "PUT /parties/{party_id}": "party.register",
    "POST /password-resets": "password.reset",
    "GET /parties/{party_id}/staff": "account.manage",
    "PUT /parties/{party_id}/staff/{account_id}": "account.manage",
    "PUT /parties/{party_id}/staff/{account_id}/claim-codes/{code_id}": "account.manage",
    "PUT /parties/{party_id}/staff/{account_id}/duty": "account.manage",
    "PUT /parties/{party_id}/staff/{account_id}/name": "account.manage",
    "PUT /parties/{party_id}/staff/{account_id}/reset-codes/{code_id}": "account.manage",
    "PUT /parties/{party_id}/staff/{account_id}/sign-in": "account.manage",
    "POST /parties/{party_id}/roles": "party.register",
    "PUT /parties/{party_id}/roles/{number}/end": "party.register",
    "GET /places": "place.read",
    "GET /places/{place_id}": "place.read",
    "PUT /places/{place_id}": "place.write",
    "GET /products": "product.read",
    "GET /products/{product_id}": "product.read",
    "POST /recall-scopes": "recall.open",
    "GET /recalls": "recall.read",
    "GET /recalls.xlsx": "recall.read",
    "GET /recalls/{recall_id}": "recall.read",
    "PUT /recalls/{recall_id}": "recall.open",
    "PUT /recalls/{recall_id}/acknowledgements/{party_id}": "recall.follow",
    "PUT /recalls/{recall_id}/annulments/{ticket_id}": "recall.annul",
    "GET /recalls/{recall_id}/hand-overs": "recall.read",
    "PUT /recalls/{recall_id}/closure": "recall.close",
    "PUT /recalls/{recall_id}/sign-offs/{request_id}": "recall.close",
    "PUT /recalls/{recall_id}/disposals/{disposal_id}": "recall.follow",
    "PUT /recalls/{recall_id}/forwardings/{forwarding_id}": "recall.follow",
    "GET /recalls/{recall_id}/letter": "recall.follow",
    "GET /recalls/{recall_id}/letter.pdf": "recall.follow",
    "GET /recalls/{recall_id}/lots": "recall.read",
    "GET /recalls/{recall_id}/notices": "recall.read",
    "GET /recalls/{recall_id}/page": "recall.read",
    "GET /recalls/{recall_id}/record": "recall.read",
    "GET /recalls/{recall_id}/record.pdf": "recall.read",
    "GET /recalls/{recall_id}/record.xlsx": "recall.read",
    "PUT /recalls/{recall_id}/steps/{step_id}": "recall.follow",
    "GET /referrals": "referral.answer",
    "PUT /referrals/{referral_id}": "referral.ask",
    "PUT /referrals/{referral_id}/answer": "referral.answer",
    "PUT /referrals/{referral_id}/withdrawal": "referral.ask",
    "GET /registered-parties": "account.create",
    "GET /reporting-units": "product.read",
    "PUT /rulings/{ruling_id}": "inspection.rule",
    "GET /report": "report.file",
    "POST /report": "report.file",
    "GET /report/{code}": "report.file",
    "GET /reports": "report.handle",
    "GET /reports/{report_id}": "report.handle",
    "GET /reports/{report_id}/photos/{no}": "report.handle",
    "PUT /reports/{report_id}": "report.file",
    "PUT /reports/{report_id}/steps/{step_id}": "report.handle",
    "GET /sampling/{day}": "public.read",
    "GET /search": "trace.read",
    "GET /samples": "sample.read",
    "GET /samples/{sample_id}": "sample.read",
    "PUT /samples/{sample_id}": "sample.take",
    "PUT /samples/{sample_id}/commissions/{commission_id}": "sample.take",
    "PUT /samples/{sample_id}/extensions/{extension_id}": "test.follow-up",
    "PUT /samples/{sample_id}/measures/{measure_id}": "test.follow-up",
    "PUT /samples/{sample_id}/objections/{objection_id}": "test.object",
    "PUT /samples/{sample_id}/tests/{test_id}": "test.record",
    "GET /scans": "scan.record",
    "POST /scans": "scan.record",
    "POST /sessions": "session.create",
    "DELETE /sessions/current": "session.end",
    "GET /sign-in": "session.create",
    "POST /sign-in": "session.create",
    "POST /sign-out": "session.end",
    "POST /splits/bulk": "lot.write",
    "PUT /splits/{change_id}": "lot.write",
    "GET /t/{digits}": "public.read",
    "HEAD /t/{digits}": "public.read",
    "GET /t/{digits}/proof": "public.read",
    "GET /t/{digits}/code.png": "public.read",
    "HEAD /t/{digits}/code.png": "public.read",
    "GET /t/{digits}/code.svg": "public.read",
    "HEAD /t/{digits}/code.svg": "public.read",
    "GET /test-methods": "limit.read",
    "GET /test-sources": "test-source.manage",
    "PUT /test-sources/{source_id}/place": "test-source.manage",
    "DELETE /test-sources/{source_id}": "test-source.manage",
    "PUT /test-sources/{source_id}": "test-source.manage",
    "POST /test-sources/{source_id}/records": "test.push",
    "GET /tickets": "ticket.read",
    "GET /tickets/{ticket_id}": "ticket.read",
    "POST /tickets/bulk": "ticket.issue",
    "PUT /tickets/{ticket_id}": "ticket.issue",
    "GET /tickets/{ticket_id}/code.png": "ticket.read",
    "GET /tickets/{ticket_id}/code.svg": "ticket.read",
    "GET /tickets/{ticket_id}/evidence/{evidence_id}": "ticket.read",
    "PUT /tickets/{ticket_id}/decision": "ticket.decide",
    "GET /tickets/{ticket_id}/print": "label.print",
    "GET /tickets/{ticket_id}/trace": "trace.read",
    "PUT /tickets/{ticket_id}/void": "ticket.issue",
    "POST /traces/common-source": "trace.read",
    "POST /transforms/bulk": "lot.write",
    "PUT /transforms/{change_id}": "lot.write",
    "GET /treatments": "treatment.read",
    "PUT /treatments/{treatment_id}": "treatment.record",
    "GET /units": "product.read",
    "GET /verify": "public.read",
    "GET /warnings": "warning.read",
    "GET /warnings/{warning_id}": "warning.read",
    "PUT /warnings/{warning_id}/handling": "warning.handle",
}

# Routes that stand outside the policy, because they say nothing about anybody.
OPEN = {
    "GET /problems",
    "GET /problems/{code}",
}

PASSWORD = "six paper lanterns"
ROLES = {
    Audience.TRADER: RoleKind.COOP,
    Audience.MARKET: RoleKind.MARKET,
    Audience.REGULATOR: RoleKind.REGULATOR,
    Audience.OPERATOR: RoleKind.OPERATOR,
}


def _routes(app: FastAPI) -> Iterator[tuple[str, APIRoute]]:
    """Walk all routes of the application, those of included routers too."""
    for entry in app.routes:
        router = getattr(entry, "original_router", None)
        for route in [entry] if router is None else router.routes:
            if isinstance(route, APIRoute):
                for method in sorted(route.methods or ()):
                    yield f"{method} {route.path}", route


def _actions(route: APIRoute) -> set[str]:
    """Answer the actions that a route's dependencies ask the policy for."""
    found: set[str] = set()
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        action = getattr(dependant.call, "action", None)
        if action is not None:
            found.add(action)
        waiting += dependant.dependencies
    return found


@pytest.fixture
def app(settings: Settings, clock: FakeClock) -> FastAPI:
    """The whole application."""
    return create_app(settings, clock=clock)


def test_every_route_asks_for_exactly_the_action_in_the_table(app: FastAPI) -> None:
    asked = {name: _actions(route) for name, route in _routes(app) if name not in OPEN}
    assert asked == {name: {action} for name, action in ACTIONS.items()}


def test_every_action_of_the_policy_is_used(app: FastAPI) -> None:
    assert set(POLICY) == set(ACTIONS.values())


def test_openapi_and_the_table_name_the_same_routes(app: FastAPI) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    # HEAD is GET without the body, and OpenAPI has nothing more to say of it; nor of converters.
    named = {name.replace(":path}", "}") for name in ACTIONS if not name.startswith("HEAD ")}
    assert described == named | OPEN


@pytest.fixture
async def callers(
    app: FastAPI, clock: FakeClock
) -> AsyncIterator[dict[Audience, httpx.AsyncClient]]:
    """A signed-in client for every audience, and one for the public."""
    async with app.state.database.transaction() as session:
        for audience, role in ROLES.items():
            party, _ = await parties.register(
                session,
                parties.PartyDraft(public_id=ids.uuid7(), form="natural", name=audience.value),
                [parties.RoleDraft(role, date(2020, 1, 1), division_code="3206")],
                vault=app.state.vault,
                by=None,
                now=clock(),
            )
            await parties.open_account(
                session,
                public_id=ids.uuid7(),
                party_id=party.id,
                login=audience.value,
                password=PASSWORD,
                vault=app.state.vault,
                now=clock(),
            )
    clients = {
        audience: httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://test", follow_redirects=False
        )
        for audience in Audience
    }
    for audience in ROLES:
        body = {"login": audience.value, "password": PASSWORD}
        assert (await clients[audience].post("/sessions", json=body)).is_success
    yield clients
    for client in clients.values():
        await client.aclose()
    await app.state.database.close()


async def test_the_policy_holds_on_every_route_for_everybody(
    app: FastAPI, callers: dict[Audience, httpx.AsyncClient]
) -> None:
    """Ask every route as everybody, with ids of nothing and an empty body.

    Whoever the policy admits is answered about the request (it is empty, or about nothing); whoever
    it does not admit learns only that: 401 for the public, 403 for the signed-in.
    """
    tried = 0
    for name, action in ACTIONS.items():
        method, path = name.split(" ")
        for audience, client in callers.items():
            if name in ENDS_SESSION:
                continue
            response = await client.request(method, _filled(path), json={})
            code = _code(response)
            allowed = bool({audience, Audience.PUBLIC} & POLICY[action])
            refused = code in {"not-signed-in", "not-allowed"}
            assert refused is not allowed, f"{name} as {audience}: {response.status_code} {code}"
            if refused:
                expected = 401 if audience is Audience.PUBLIC else 403
                assert response.status_code == expected, f"{name} as {audience}"
            assert response.status_code < 500, f"{name} as {audience}: {response.text}"
            tried += 1
    assert tried == (len(ACTIONS) - len(ENDS_SESSION)) * len(Audience)


async def test_a_credential_that_nobody_issued_is_nobodys(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        for headers in (
            {"Authorization": "Bearer ypt_made-up"},
            {"Authorization": "Bearer "},
            {"Authorization": "Basic YWRtaW46YWRtaW4="},
            {"Cookie": "__Host-ypt_session=made-up"},
        ):
            response = await client.get("/me", headers=headers)
            assert (response.status_code, _code(response)) == (401, "not-signed-in")
            assert response.headers["www-authenticate"].startswith("Bearer")


def _code(response: httpx.Response) -> str | None:
    if response.headers.get("content-type") != "application/problem+json":
        return None
    code: str = response.json()["code"]
    return code


def _filled(path: str) -> str:
    """Fill a route's parameters with things that do not exist."""
    parts = [str(uuid.UUID(int=0)) if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


# Signing out in the middle would make somebody else of the caller.
ENDS_SESSION = {"DELETE /sessions/current", "POST /sign-out"}
