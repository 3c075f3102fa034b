"""What all bodies that come in or go out have in common."""

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

BIGINT_MAX = 2**63 - 1
MASS_G_MAX = 10**10
"""Ten thousand tonnes: more than any one lot, and forty lines of it still fit a token."""


def _printable(text: str) -> str:
    # PostgreSQL cannot store NUL, and control, bidirectional-override and surrogate characters
    # in a product's name can only be an accident or an attack.
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs", "Cf"} and character != "\u200d":
            message = "holds a character that cannot be printed"
            raise ValueError(message)
    return text


Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_printable),
]
"""One line of text that people read: 1 to 200 characters, none of them invisible."""

MassG = Annotated[int, Field(strict=True, gt=0, le=MASS_G_MAX, description="Mass in grams.")]
Pieces = Annotated[int, Field(strict=True, gt=0, le=MASS_G_MAX, description="Count of pieces.")]
Instant = AwareDatetime


class In(BaseModel):
    """A body that comes in: an unknown member is an error, for it would be lost silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """A body that goes out."""

    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)


Facts = dict[str, Any]
