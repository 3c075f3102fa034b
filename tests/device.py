"""A device at a gate, in the words of a test; it signs as a browser does."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.bundle import service
from app.bundle.device import STATEMENT, request_message
from app.core.sealing import Vault
from app.signing import service as signing
from app.signing.keys import IssuerClass
from tests.factories import Json, Trade, new_id
from tests.laboratory import signed_in
from tests.market import Market

ROOT = bytes(range(32))
"""The root key of tests, which is nobody's secret."""


async def open_bundles(trade: Trade) -> None:
    """Do what an operator does once: make a status key, and publish the keyset."""
    async with trade.owner.transaction() as session:
        await signing.create_key(
            session,
            vault=Vault(trade.settings.secret_bytes),
            now=trade.clock(),
            issuer_class=IssuerClass.STATUS,
            ttl_h_max=24,
            publish_ahead_days=0,
        )
        await service.publish_keyset(session, ROOT, now=trade.clock())


async def rebuild(trade: Trade) -> int:
    """Build all bundles anew, as the worker does every five minutes."""
    async with trade.database.transaction() as session:
        vault = Vault(trade.settings.secret_bytes)
        return await service.build_all(session, trade.clock(), vault=vault)


@dataclass
class Device:
    """A browser with a key of its own; ECDSA unless it is told to use Ed25519."""

    trade: Trade
    ed25519: bool = False
    public_id: str = field(default_factory=new_id)
    sequence: int = 0

    def __post_init__(self) -> None:
        """Make the key."""
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self._ed = Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> str:
        """Its public half, as it travels."""
        if self.ed25519:
            return self._ed.public_key().public_bytes_raw().hex()
        point = self._ec.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return point.hex()

    def sign(self, message: bytes) -> str:
        """Sign as WebCrypto does."""
        if self.ed25519:
            return self._ed.sign(message).hex()
        r, s = decode_dss_signature(self._ec.sign(message, ec.ECDSA(SHA256())))
        return (r.to_bytes(32) + s.to_bytes(32)).hex()

    def enrolment(self, code: str, **more: Any) -> Json:
        """Write what the browser sends with its code."""
        algorithm = "ed25519" if self.ed25519 else "ecdsa-p256"
        return {
            "code": code,
            "name": "东门手机",
            "algorithm": algorithm,
            "public_key": self.public_key,
            **more,
        }

    async def enrols(self, code: str, **more: Any) -> httpx.Response:
        """Present a code."""
        return await self.trade.client.put(
            f"/gate/devices/{self.public_id}", json=self.enrolment(code, **more)
        )

    async def send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send a signed request."""
        content = b"" if body is None else json.dumps(body).encode()
        stamp = str(int(self.trade.clock().timestamp()))
        message = request_message(UUID(self.public_id), stamp, method, path, content)
        usual = {
            "content-type": "application/json",
            "x-ypt-device": self.public_id,
            "x-ypt-timestamp": stamp,
            "x-ypt-signature": self.sign(message),
        }
        return await self.trade.client.request(
            method, path, content=content, headers=usual | (headers or {})
        )

    def decides(self, *lines: Json, **more: Any) -> Json:
        """Decide about a vehicle without a network, and sign it."""
        self.sequence += 1
        told = {
            "v": 1,
            "device": self.public_id,
            "sequence": self.sequence,
            "inspection": new_id(),
            "body": {
                "inspector": "周检查",
                "device_at": self.trade.clock().isoformat(),
                "lines": list(lines),
            },
        }
        return self.signed({**told, **more})

    def signed(self, told: Json) -> Json:
        """Sign a statement as it is."""
        text = json.dumps(told, ensure_ascii=False)
        return {"statement": text, "signature": self.sign(STATEMENT + text.encode())}

    async def uploads(self, *statements: Json) -> Json:
        """Upload, which must succeed."""
        body = {"sent_at": self.trade.clock().isoformat(), "statements": list(statements)}
        answer = await self.send("POST", "/gate/uploads", body)
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told


async def code_for(market: Market) -> str:
    """Let the market's office make an enrolment code for its gate."""
    async with signed_in(market.trade, market.office) as person:
        answer = await person.put(f"/gate/enrolments/{new_id()}", json={"place": str(market.gate)})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])


async def enrolled(market: Market, *, ed25519: bool = False) -> Device:
    """Enrol a device at the market's gate."""
    device = Device(market.trade, ed25519)
    answer = await device.enrols(await code_for(market))
    assert answer.status_code == 201, answer.text
    return device


def sha256(content: bytes) -> str:
    """Answer a shard's name."""
    return hashlib.sha256(content).hexdigest()
