"""What a sceptic can check of a code: page, JSON, keys, and the commands on the page."""

import base64
import hashlib
import html
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from app.bundle import root, service
from app.signing import shortcode, token
from app.web.schemas import PublicKeys, PublicProof
from tests.conftest import FakeClock
from tests.factories import Json
from tests.market import Market, open_market

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"accept": "application/json"}


@pytest.fixture
async def market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    async with open_market(database_url, clock) as market:
        yield market


def path_of(document: Json) -> str:
    return token.PATH + str(document["url"]).rpartition("/")[2] + "/proof"


async def proved(market: Market, document: Json, status: int = 200) -> PublicProof:
    answer = await market.trade.client.get(path_of(document), headers=JSON)
    assert answer.status_code == status, answer.text
    return PublicProof.model_validate(answer.json())


async def test_a_ticket_is_told_byte_by_byte_with_key_signature_and_log(market: Market) -> None:
    ticket = await market.sound_ticket()
    proof = await proved(market, ticket)
    assert proof.state == "valid"
    parsed = token.parse(path_of(ticket).split("/")[2])
    assert "".join(field.octets for field in proof.fields) == parsed.payload.hex()
    assert [field.offset for field in proof.fields] == [0, 1, 3, 11, 14, 16, 20, 24, 29, 33, 34]
    said = {field.name.en: field.value for field in proof.fields}
    assert said["serial"] == str(parsed.claims.serial)
    assert said["quantity"] == f"{parsed.claims.quantity_dg / 10} kg"
    assert proof.code == shortcode.show(ticket["code"])
    assert proof.key is not None
    assert proof.message is not None
    assert proof.signature is not None
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(proof.key.public_key))
    signature, message = base64.b64decode(proof.signature), base64.b64decode(proof.message)
    key.verify(signature, message)
    with pytest.raises(InvalidSignature):
        key.verify(signature, message[:-1] + bytes([message[-1] ^ 1]))
    rows = await market.trade.rows(
        "SELECT kind, leaf FROM entry WHERE subject = :id ORDER BY id", id=ticket["ticket"]
    )
    assert [(entry.kind, entry.leaf_hash) for entry in proof.entries] == [
        (kind, hashlib.sha256(b"\0" + leaf).hexdigest()) for kind, leaf in rows
    ]
    assert proof.entries[0].kind == "ticket.issued"


async def test_the_commands_on_the_page_check_the_signature(market: Market, tmp_path: Path) -> None:
    ticket = await market.sound_ticket()
    answer = await market.trade.client.get(path_of(ticket), headers=HTML)
    found = re.search(r'<pre[^>]*id="commands">(.*?)</pre>', answer.text, re.DOTALL)
    assert found is not None
    commands = html.unescape(found.group(1))
    write, _, check = commands.rpartition("openssl ")
    _shell(write, tmp_path)
    key = load_pem_public_key((tmp_path / "key.pem").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    signed, signature = tmp_path / "signed.bin", tmp_path / "signature.bin"
    key.verify(signature.read_bytes(), signed.read_bytes())
    if _shell("command -v openssl", tmp_path).returncode == 0:
        assert "Verified Successfully" in _shell(f"openssl {check}", tmp_path).stdout
        signed.write_bytes(signed.read_bytes()[:-1] + b"!")
        assert _shell(f"openssl {check}", tmp_path).returncode != 0


def _shell(commands: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", commands], cwd=directory, capture_output=True, text=True, check=False
    )


async def test_nothing_is_told_of_what_nobody_of_ours_signed(market: Market) -> None:
    path = path_of(await market.sound_ticket())
    digits = path.split("/")[2]
    forged = digits[:-1] + ("1" if digits[-1] != "1" else "2")
    for wrong, status, state in ((forged, 400, "forged"), ("1", 400, "unreadable")):
        answer = await market.trade.client.get(f"/t/{wrong}/proof", headers=JSON)
        assert answer.status_code == status
        proof = PublicProof.model_validate(answer.json())
        assert proof.state == state
        assert (proof.fields, proof.key, proof.message, proof.entries) == ([], None, None, [])
        page = await market.trade.client.get(f"/t/{wrong}/proof", headers=HTML)
        assert page.status_code == status
        assert "BEGIN PUBLIC KEY" not in page.text


async def test_a_certificate_is_proved_and_no_person_is_named(market: Market) -> None:
    ticket = await market.sound_ticket()
    page = await market.trade.client.get(path_of(ticket).removesuffix("/proof"), headers=JSON)
    (certificate,) = page.json()["certificates"][:1]
    led = await market.trade.client.get(f"/c/{certificate['code']}", headers=HTML)
    proof = await market.trade.client.get(led.headers["location"] + "/proof", headers=JSON)
    assert proof.status_code == 200
    assert [entry["kind"] for entry in proof.json()["entries"]] == ["certificate.issued"]
    assert "name" not in {key for entry in proof.json()["entries"] for key in entry}


async def test_keys_are_published_as_the_root_key_signed_them(
    market: Market, tmp_path: Path
) -> None:
    client = market.trade.client
    answer = await client.get("/keys")
    assert answer.status_code == 404, answer.text
    assert answer.json()["code"] == "no-keyset"
    assert "No keyset has been signed" in (await client.get("/verify")).text
    public = root.make(tmp_path / "root")
    async with market.trade.owner.transaction() as session:
        await service.publish_keyset(
            session, root.read(tmp_path / "root"), now=market.trade.clock()
        )
    keys = PublicKeys.model_validate((await client.get("/keys")).json())
    assert bytes.fromhex(keys.root_key) == public
    Ed25519PublicKey.from_public_bytes(public).verify(
        base64.b64decode(keys.signature), keys.document.encode()
    )
    proof = await proved(market, await market.sound_ticket())
    assert proof.key is not None
    (known,) = [key for key in json.loads(keys.document)["keys"] if key["kid"] == proof.key.kid]
    assert known["public_key"] == proof.key.public_key
    assert keys.root_fingerprint in (await client.get("/verify")).text


async def test_the_goods_page_leads_to_its_proof_and_how_to_verify(market: Market) -> None:
    ticket = await market.sound_ticket()
    path = path_of(ticket)
    page: httpx.Response = await market.trade.client.get(path.removesuffix("/proof"), headers=HTML)
    assert f'href="{path}"' in page.text
    assert 'href="/verify"' in page.text
    assert 'href="/verify"' in (await market.trade.client.get("/", headers=HTML)).text
