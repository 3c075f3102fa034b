"""Names for things: UUIDv7 for what people and machines point at, random numbers for secrets."""

import secrets
import time
import uuid
from collections.abc import Callable

NewId = Callable[[], uuid.UUID]
NewSerial = Callable[[], int]


def uuid7() -> uuid.UUID:
    """Make a UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    return uuid.UUID(int=_value7())


def text7() -> str:
    """Write a UUID version 7 without making one: each request has its own."""
    digits = f"{_value7():032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _value7() -> int:
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80
    chance = secrets.randbits(74)  # one question to the system costs less than two
    value |= 0x7 << 76
    value |= (chance >> 62) << 64
    value |= 0b10 << 62
    value |= chance & ((1 << 62) - 1)
    return value


def serial63() -> int:
    """Draw 63 random bits for a ticket's serial: not sequential, so nothing can be enumerated."""
    return secrets.randbits(63)


def secret(size_bytes: int = 32) -> bytes:
    """Draw random bytes from the operating system."""
    return secrets.token_bytes(size_bytes)


def jitter(longest_s: float) -> float:
    """Draw a pause between half and all of a time in seconds, so that rivals drift apart."""
    return longest_s * (0.5 + secrets.randbelow(1000) / 2000)
