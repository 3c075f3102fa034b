"""The published vectors, judged by a second reader written from `docs/token.md` alone."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import token_vectors
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.signing.keys import SignatureVerdict
from app.signing.token import Unreadable

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = json.loads((ROOT / "schemas" / "token-vectors.json").read_text("utf-8"))
SCHEMA = json.loads((ROOT / "schemas" / "token.json").read_text("utf-8"))
TYPES = {1: "origin-certificate", 2: "ticket", 15: "test"}
USES = {"ticket": {1, 2}, "test": {15}, "status": set(), "log": set()}
FLAGS = SCHEMA["properties"]["flags"]["items"]["enum"]
GREY = {"unknown-version", "unknown-type", "unknown-key", "key-dropped"}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def read(address: str) -> tuple[str, bytes]:
    """Follow the rules of reading; answer what failed, or nothing, and the 102 bytes."""
    start = next((url for url in DOCUMENT["base_urls"] if address.startswith(url + "/t/")), None)
    if start is None:
        return "foreign-address", b""
    digits = address[len(start) + 3 :]
    rules = {"empty": "", "too-long": ".{301,}", "leading-zero": "0[0-9]*"}
    for reason, wrong in rules.items():
        if re.fullmatch(wrong, digits, re.DOTALL):
            return reason, b""
    if not re.fullmatch("[0-9]+", digits):
        return "not-digits", b""
    written = f"{int(digits):x}"
    if len(written) != 205 or written[0] != "1":
        return "wrong-size", b""
    content = bytes.fromhex(written[1:])
    if content[0] >> 4 != 1:
        return "unknown-version", content
    if content[0] % 16 not in TYPES:
        return "unknown-type", content
    return "", content


def claims_of(payload: bytes) -> dict[str, Any] | None:
    def number(field: str) -> int:
        place = SCHEMA["properties"][field]
        at = place["x-offset"]
        return int.from_bytes(payload[at : at + place["x-size"]], "big")

    if (
        not number("kid")
        or not number("ttl_h")
        or number("serial") >= 1 << 63
        or number("origin") > 999_999_999_999
    ):
        return None
    issued_at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=10 * number("issued_at"))
    plain = ("kid", "ttl_h", "product", "quantity_dg", "issuer", "status_index")
    return {field: number(field) for field in plain} | {
        "type": TYPES[number("type") % 16],
        "serial": str(number("serial")),
        "issued_at": issued_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "origin": f"{number('origin'):012d}" if number("origin") else None,
        "flags": [name for bit, name in enumerate(FLAGS) if number("flags") >> bit & 1],
    }


def judge(address: str, at: datetime) -> tuple[str, dict[str, Any] | None]:
    reason, content = read(address)
    if reason:
        return reason, None
    payload, signature = content[:38], content[38:]
    claims = claims_of(payload)
    if claims is None:
        return "field-out-of-range", None
    key = next((key for key in DOCUMENT["keys"] if key["kid"] == claims["kid"]), None)
    return verdict_of(key, payload, signature, at), claims


def verdict_of(key: dict[str, Any] | None, payload: bytes, signature: bytes, at: datetime) -> str:
    if key is None or key["algorithm"] != "ed25519":
        return "unknown-key"
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["public_key"])).verify(
            signature, b"JSNY-TICKET-v1\x00" + payload
        )
    except InvalidSignature:
        return "bad-signature"
    kind = payload[0] % 16
    if kind not in USES[key["issuer_class"]]:
        return "wrong-key-class"
    if key["dropped_at"] and instant(key["dropped_at"]) <= at:
        return "key-dropped"
    minutes = 10 * int.from_bytes(payload[11:14], "big")
    issued_at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    if min(issued_at, at) < instant(key["use_from"]):
        return "key-not-yet-valid"
    if issued_at >= instant(key["sign_until"]) or at >= instant(key["verify_until"]):
        return "key-expired"
    return "test" if kind == 15 else "valid"


@pytest.mark.parametrize("vector", DOCUMENT["vectors"], ids=lambda vector: vector["name"])
def test_a_second_reader_judges_every_vector_alike(vector: dict[str, Any]) -> None:
    answer, claims = judge(vector["address"], instant(vector["at"]))
    assert answer == vector["answer"]
    assert vector["cannot_verify"] == (answer in GREY)
    assert vector.get("claims") == claims
    if claims is not None:
        jsonschema.validate(claims, SCHEMA, format_checker=jsonschema.FormatChecker())


def test_our_reader_wrote_the_file_that_lies_here() -> None:
    assert token_vectors.TARGET.read_text("utf-8") == token_vectors.render(), (
        "run PYTHONPATH=. python scripts/token_vectors.py"
    )


def test_every_answer_has_a_vector() -> None:
    verdicts = {*Unreadable, *SignatureVerdict}
    assert len(DOCUMENT["vectors"]) == 1_000
    assert {vector["answer"] for vector in DOCUMENT["vectors"]} == verdicts


def test_the_schemas_fields_fill_the_payload_without_gap() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    end = 0
    for place in sorted(SCHEMA["properties"].values(), key=lambda place: place["x-offset"]):
        assert place["x-offset"] == end
        end += place["x-size"]
    assert end == 38
    assert [*SCHEMA["properties"]] == SCHEMA["required"]


def test_the_page_shows_the_first_vector_and_every_answer() -> None:
    page = (ROOT / "docs" / "token.md").read_text("utf-8")
    bare = re.sub(r"\s", "", page)
    vector = DOCUMENT["vectors"][0]
    digits = vector["address"].rpartition("/")[2]
    content = int(digits).to_bytes(103, "big")[1:]
    assert digits in bare
    assert content[:38].hex() in bare
    assert content[38:].hex() in bare
    assert DOCUMENT["keys"][0]["public_key"] in bare
    for answer in {vector["answer"] for vector in DOCUMENT["vectors"]}:
        assert f"`{answer}`" in page
