"""Whatever number comes in has bounds: one that no column can hold is a 422, never a fault."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
OPENAPI: dict[str, Any] = json.loads((ROOT / "schemas" / "openapi.json").read_text("utf-8"))


def _integers(schema: Any, where: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Find the integers without bounds in a schema, its references included."""
    if isinstance(schema, list):
        for number, item in enumerate(schema):
            yield from _integers(item, f"{where}/{number}", seen)
    elif isinstance(schema, dict):
        bounded = {"minimum", "exclusiveMinimum"} & schema.keys() and (
            {"maximum", "exclusiveMaximum"} & schema.keys()
        )
        if schema.get("type") == "integer" and not bounded and "enum" not in schema:
            yield where
        reference = schema.get("$ref")
        if reference is not None and reference not in seen:
            name = reference.rpartition("/")[2]
            found = OPENAPI["components"]["schemas"][name]
            yield from _integers(found, name, seen | {reference})
        for name, member in schema.items():
            yield from _integers(member, f"{where}/{name}", seen)


def test_every_integer_that_comes_in_has_bounds() -> None:
    unbounded = {
        found
        for path, operations in OPENAPI["paths"].items()
        for method, operation in operations.items()
        for part in ("parameters", "requestBody")
        for found in _integers(operation.get(part), f"{method.upper()} {path}")
    }
    assert unbounded == set()


@pytest.mark.parametrize("number", [2**32, 2**63, 2**70, 10**400, -1, -(2**70)])
async def test_a_number_out_of_all_bounds_is_malformed(
    client: httpx.AsyncClient, number: int
) -> None:
    answer = await client.get(f"/products/{number}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
