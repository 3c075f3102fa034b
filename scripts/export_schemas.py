"""Writes the wire contracts to `schemas/`: OpenAPI, and the JSON Schemas that others build on.

python scripts/export_schemas.py            writes them
python scripts/export_schemas.py --check    fails if what is there differs
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel, SecretStr  # noqa: E402
from pydantic.json_schema import models_json_schema  # noqa: E402

from app.admission.schemas import InspectionIn, InspectionOut, VerdictOut  # noqa: E402
from app.bundle.schemas import QuickTestIn, QuickTestOut  # noqa: E402
from app.certificate.schemas import CertificateIn, CertificateOut, MergeIn  # noqa: E402
from app.core.settings import Settings  # noqa: E402
from app.main import create_app  # noqa: E402
from app.ticket.schemas import DecisionIn, TicketIn, TicketOut  # noqa: E402

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CONTRACTS: dict[str, tuple[str, tuple[type[BaseModel], ...]]] = {
    "certificate.json": ("Certificate", (CertificateIn, MergeIn, CertificateOut)),
    "inspection.json": ("Inspection", (InspectionIn, InspectionOut)),
    "quick-test.json": ("Quick test", (QuickTestIn, QuickTestOut)),
    "ticket.json": ("Ticket", (TicketIn, DecisionIn, TicketOut)),
    "verdict.json": ("Verdict", (VerdictOut,)),
}


def documents() -> dict[str, dict[str, Any]]:
    """Build every exported document by its file name."""
    # No connection is made: the address and the secret only have to be well-formed.
    settings = Settings(
        database_url="postgresql://localhost/none",
        secret_key=SecretStr(base64.b64encode(bytes(32)).decode()),
    )
    found = {"openapi.json": create_app(settings).openapi()}
    for name, (title, models) in CONTRACTS.items():
        _, schema = models_json_schema(
            [
                (model, "validation" if model.__name__.endswith("In") else "serialization")
                for model in models
            ],
            title=title,
        )
        found[name] = {"$schema": DIALECT, **schema}
    return found


def rendered() -> dict[Path, str]:
    """Write every document as text, by the path it belongs to."""
    return {
        ROOT / "schemas" / name: json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        for name, document in documents().items()
    }


def main() -> int:
    """Write the documents, or say which differ."""
    if "--check" not in sys.argv[1:]:
        for path, content in rendered().items():
            path.write_text(content, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
        return 0
    differing = [
        path
        for path, content in rendered().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    for path in differing:
        print(f"{path.relative_to(ROOT)} is out of date: run python scripts/export_schemas.py")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
