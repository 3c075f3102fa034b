"""Refusals: errors that are the user's business, with a closed kind and a stable code."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple


class Text(NamedTuple):
    """A sentence in both languages people read it in.

    Attributes:
        zh: Chinese.
        en: English.
    """

    zh: str
    en: str


class Kind(StrEnum):
    """Why a refusal happened, as far as the transport needs to know."""

    INVALID = "invalid"  # the request cannot be understood: 422
    UNAUTHENTICATED = "unauthenticated"  # nobody, or nobody we know: 401
    FORBIDDEN = "forbidden"  # known, and not allowed: 403
    NOT_FOUND = "not-found"  # no such thing, or none that this caller may see: 404
    CONFLICT = "conflict"  # understood, and against the state of the books: 409
    TOO_LARGE = "too-large"  # 413
    TOO_MANY = "too-many"  # understood, and more than a day may have: 429
    BUSY = "busy"  # try again: 503 with Retry-After


class DomainError(Exception):
    """A refusal. Subclasses are documented at `/problems/{code}`, by these class attributes.

    Attributes:
        kind: What sort of refusal it is; `core.problems` turns it into a status.
        code: Stable name in kebab case; never reused, never renamed.
        title: What is wrong, in one sentence.
        next_step: What the reader can do now.
        facts: Values of this very refusal (grams left, the id meant), public and machine-readable.
        pointer: JSON pointer to the member of the body that is to blame, if one is.
    """

    kind: ClassVar[Kind]
    code: ClassVar[str]
    title: ClassVar[Text]
    next_step: ClassVar[Text]

    def __init__(self, *, pointer: str | None = None, **facts: Any) -> None:
        """Build a refusal with its facts; the facts must hold no personal data."""
        super().__init__(self.code, facts)
        self.pointer = pointer
        self.facts = facts


class IdReused(DomainError):
    """The id that a client chose already stands for something else."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "id-reused"
    title: ClassVar[Text] = Text(
        "先前已提交过，这次内容不同", "Something else was sent under this number before"
    )
    next_step: ClassVar[Text] = Text(
        "请先查看先前存下的内容；要另存一份，请作为新的提交",
        "Look at what is stored; to store another one, send it as a new one",
    )


def every_refusal(root: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    """Walk all concrete refusals, for the documentation and its test."""
    for refusal in root.__subclasses__():
        if "code" in refusal.__dict__:
            yield refusal
        yield from every_refusal(refusal)
