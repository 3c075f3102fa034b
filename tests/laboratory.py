"""Who takes samples and tests them, in words that a test reads by; all through HTTP."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from app.core import ids
from app.party import service as parties
from app.party.access import RoleKind
from app.testing import push
from tests.factories import Actor, Json, Trade, new_id

INHIBITION = "inhibition-gbt5009.199"
STRIP, VET_STRIP = "strip-pesticide", "strip-vet-drug"
PASSWORD = "six paper lanterns"


async def office(trade: Trade, prefix: str = "3206") -> Actor:
    """Register an office of supervision."""
    return await trade.party(RoleKind.REGULATOR, answers_for=prefix)


async def lab(trade: Trade) -> Actor:
    """Register an accredited laboratory."""
    return await trade.party(RoleKind.LAB)


def sample_of(lot: str, **more: Any) -> Json:
    """Write a sample of 500 g as an office of market regulation takes it."""
    return {
        "lot": lot,
        "number": f"ntkfq{new_id()[-12:]}",
        "mass_g": 500,
        "layer": "joint_quick",
        "authority": "market_regulation",
        "purpose": "supervision",
        **more,
    }


OF_MARKET = {"layer": "wholesale_market", "authority": None, "purpose": "self"}
OWN = {"layer": "own", "authority": None, "purpose": "self"}


async def sampled(who: Actor, lot: str, **more: Any) -> str:
    """Take a sample and answer its id."""
    sample = new_id()
    await who.make(f"/samples/{sample}", sample_of(lot, **more))
    who.trade.samplers[sample] = who
    return sample


async def sent(sample: str, to: Actor, *, by: Actor | None = None, status: int = 201) -> Json:
    """Send a sample to a laboratory, as whoever took it; answer the sample."""
    who = by or to.trade.samplers[sample]
    path = f"/samples/{sample}/commissions/{new_id()}"
    return await who.make(path, {"lab": str(to.public_id)}, status=status)


def inhibition(value: float | str, **more: Any) -> Json:
    """Write a quick test by enzyme inhibition."""
    return {"kind": "quick", "method": INHIBITION, "reading": {"value": str(value)}, **more}


def strip(substance: str, *, control: bool = True, line: str = "stronger", **more: Any) -> Json:
    """Write a quick test by a competitive strip."""
    reading = {"substance": substance, "control_line": control, "test_line": line}
    return {"kind": "quick", "method": STRIP, "reading": reading, **more}


def report(*items: tuple[str, str | None], unit: str = "mg/kg", **more: Any) -> Json:
    """Write a laboratory's report: substances and what was found; None: not detected."""
    return {
        "kind": "lab",
        "method": "GB 23200.121-2021",
        "items": [{"substance": name, "amount": found, "unit": unit} for name, found in items],
        **more,
    }


async def judged(who: Actor, sample: str, body: Json, *, status: int = 201) -> Json:
    """Record a test and answer the sample; a laboratory's is of what was sent to it before."""
    if body["kind"] == "lab":
        known = await who.trade.samplers[sample].read(f"/samples/{sample}")
        if str(who.public_id) not in [one["lab"] for one in known["sent_to"]]:
            await sent(sample, who)
    return await who.make(f"/samples/{sample}/tests/{new_id()}", body, status=status)


async def refused(who: Actor, sample: str, body: Json) -> str:
    """Record a test that is refused; answer the code."""
    answer = await who.put(f"/samples/{sample}/tests/{new_id()}", body)
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


# --- devices --------------------------------------------------------------------------------------


@dataclass
class Feed:
    """A maker's feed: signs what it sends as the documentation says, with code of its own."""

    trade: Trade
    source: str
    secret: bytes
    nonces: int = 0
    sent: list[dict[str, str]] = field(default_factory=list)

    def signed(self, body: bytes, *, nonce: str | None = None, **skew: float) -> dict[str, str]:
        """Write the headers of a push."""
        self.nonces += 1
        at = str(int((self.trade.clock() + timedelta(**skew)).timestamp()))
        nonce = nonce or f"nonce-{self.nonces:012d}"
        digest = hashlib.sha256(body).hexdigest()
        message = f"ypt-push-1\n{self.source}\n{at}\n{nonce}\n{digest}".encode()
        return {
            "content-type": "application/json",
            "X-Ypt-Timestamp": at,
            "X-Ypt-Nonce": nonce,
            "X-Ypt-Signature": hmac.new(self.secret, message, hashlib.sha256).hexdigest(),
        }

    async def send(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Send bytes as they are."""
        path = f"/test-sources/{self.source}/records"
        answer = await self.trade.client.post(path, content=body, headers=headers)
        if answer.status_code >= 500:
            self.trade.faults.append(f"{path}: {answer.status_code} {answer.text}")
        return answer

    async def pushes(self, *records: Json) -> Json:
        """Push a batch, which must be believed."""
        body = json.dumps({"records": list(records)}).encode()
        answer = await self.send(body, self.signed(body))
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told


@asynccontextmanager
async def signed_in(trade: Trade, actor: Actor) -> AsyncIterator[httpx.AsyncClient]:
    """Sign a person of a party in: keys may not make credentials."""
    login = f"u{new_id()}"[:20]
    async with trade.database.transaction() as session:
        await parties.open_account(
            session,
            public_id=ids.uuid7(),
            party_id=actor.id,
            login=login,
            password=PASSWORD,
            vault=trade.app.state.vault,
            now=trade.clock(),
        )
    transport = httpx.ASGITransport(trade.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        answer = await client.post("/sessions", json={"login": login, "password": PASSWORD})
        assert answer.is_success, answer.text
        yield client


def source_of(**more: Any) -> Json:
    """Write a maker's feed as a wholesale market registers it."""
    return {
        "name": "农残快检仪",
        "maker": "ACME",
        "convention": "one_pass_two_fail",
        "layer": "wholesale_market",
        **more,
    }


async def feed(trade: Trade, actor: Actor, **more: Any) -> Feed:
    """Register a feed that signs with HMAC."""
    source = new_id()
    async with signed_in(trade, actor) as person:
        answer = await person.put(f"/test-sources/{source}", json=source_of(**more))
    assert answer.status_code == 201, answer.text
    return Feed(trade, source, bytes.fromhex(answer.json()["secret"]))


def record_of(sample_no: str, value: float | str = 10, **more: Any) -> Json:
    """Write a record as a photometer pushes it."""
    return {
        "record_id": new_id(),
        "sample_no": sample_no,
        "method": INHIBITION,
        "tested_at": "2026-06-18T04:00:00+08:00",
        "value": str(value),
        **more,
    }


assert push.PREFIX == "ypt-push-1", "the feed signs by itself what the documentation says"
