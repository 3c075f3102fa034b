"""The published bundles, read back from the file as a device meets them."""

import base64
import json
from datetime import datetime
from typing import Any
from uuid import UUID

import bundle_vectors
import pytest

from app.bundle import rules
from app.bundle.rules import Kept, ShardKind, Signed, Unfit, UnfitError

DOCUMENT = json.loads(bundle_vectors.TARGET.read_text("utf-8"))


def opened(vector: dict[str, Any]) -> rules.Bundle:
    keyset, meta = vector["keyset"], vector["meta"]
    return rules.open_bundle(
        bytes.fromhex(DOCUMENT["root_key"]),
        Signed(keyset["document"], bytes.fromhex(keyset["signature"])),
        Signed(meta["document"], bytes.fromhex(meta["signature"]), meta["kid"]),
        {name: base64.b64decode(content) for name, content in vector["shards"].items()},
        market=UUID(DOCUMENT["market"]),
        at=datetime.fromisoformat(vector["at"]),
        kept=Kept(**vector["kept"]),
    )


@pytest.mark.parametrize("vector", DOCUMENT["vectors"], ids=lambda vector: vector["name"])
def test_a_delivery_is_taken_or_left(vector: dict[str, Any]) -> None:
    if vector["answer"] != "taken":
        with pytest.raises(UnfitError) as unfit:
            opened(vector)
        assert unfit.value.reason == vector["answer"]
        return
    bundle = opened(vector)
    for asked in vector["statuses"]:
        kind, issued_at = ShardKind(asked["kind"]), datetime.fromisoformat(asked["issued_at"])
        assert bundle.status(kind, issued_at, asked["index"]) == asked["status"]


def test_the_file_is_what_the_script_writes() -> None:
    assert bundle_vectors.TARGET.read_text("utf-8") == bundle_vectors.render(), (
        "run PYTHONPATH=. python scripts/bundle_vectors.py"
    )


def test_every_reason_has_a_vector() -> None:
    answers = {vector["answer"] for vector in DOCUMENT["vectors"]}
    assert answers == {"taken", *Unfit}
