"""What a statement's bytes are."""

import hashlib
from typing import Any

from app.core import canonical

VERSION = 1


def leaf(kind: str, document: dict[str, Any]) -> bytes:
    """Write a statement as canonical bytes (RFC 8785).

    Args:
        kind: What was stated, `ticket.issued` for instance.
        document: The statement; numbers are integers below 2**53, anything longer is a string.

    Raises:
        rfc8785.CanonicalizationError: the document holds what canonical JSON cannot.
    """
    assert not {"v", "kind"} & document.keys(), "a statement must not overwrite what it is"
    return canonical.dumps({"v": VERSION, "kind": kind, **document})


def commitment(salt: bytes, value: str) -> str:
    """Stand in for personal data: hexadecimal SHA-256 of the salt and the value.

    Whoever knows both can show that the value was meant; once the salt is erased nobody can
    (PIPL article 47 asks that erasure be possible).
    """
    return hashlib.sha256(salt + value.encode()).hexdigest()
