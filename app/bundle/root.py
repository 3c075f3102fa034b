"""The root key's file: made once, read where keysets are signed, and on no server in between."""

import os
from pathlib import Path

from app.bundle import rules
from app.core import ids

KEY_BYTES = 32


def make(path: Path) -> bytes:
    """Make a root key in a new file, for its owner's eyes only; answer the public half.

    Raises:
        FileExistsError: there is such a file; a root key is never overwritten.
        OSError: the file cannot be written.
    """
    private_key = ids.secret(KEY_BYTES)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, mode=0o600), "w", encoding="ascii") as file:
        file.write(private_key.hex() + "\n")
    return rules.root_public_key(private_key)


def read(path: Path) -> bytes:
    """Read a root key.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no key.
    """
    private_key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    if len(private_key) != KEY_BYTES:
        message = "not a root key: 32 bytes in hexadecimal are one"
        raise ValueError(message)
    return private_key
