"""The exported wire contracts are the ones that the code speaks."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def export() -> ModuleType:
    """The script that writes `schemas/`."""
    path = ROOT / "scripts" / "export_schemas.py"
    spec = importlib.util.spec_from_file_location("export_schemas", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_the_exported_schemas_do_not_drift(export: ModuleType) -> None:
    for path, content in export.rendered().items():
        assert path.read_text(encoding="utf-8") == content, (
            f"{path.name} is out of date: run python scripts/export_schemas.py"
        )


def test_the_exported_schemas_are_json_schema(export: ModuleType) -> None:
    for name in export.CONTRACTS:
        schema = json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_operation_says_what_it_refuses(export: ModuleType) -> None:
    openapi = export.documents()["openapi.json"]
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], f"{method} {path} has no summary"
            assert operation.get("description"), f"{method} {path} has no description"
            if method == "put":
                assert set(operation["responses"]) & {"403", "404", "409"}, f"{method} {path}"
