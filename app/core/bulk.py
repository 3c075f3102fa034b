"""Many requests of one kind in one go, each answered as if it had been sent alone.

A bulk is one transaction. A row that is refused leaves nothing and stops no other; the rows that
are kept take effect together. Sent again, a bulk answers the same and changes nothing, because
every row carries the id that its client chose.
"""

from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from app.core.errors import DomainError
from app.core.problems import MalformedRow, Problem, document, members_of
from app.core.schemas import In, Out

ROWS_MAX = 500
"""So many tickets are written in a few tenths of a second: nobody waits long behind their locks."""

Content = TypeVar("Content", bound=In)
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class RowIn(In, Generic[Content]):
    """One request: the id that its client chose, and the body that `PUT` would take."""

    id: UUID
    body: Content


def _or_why_not(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError as error:
        # A value, not an exception: the other rows are none the worse for it.
        return MalformedRow(members_of(error.errors()))


class RowsIn(In, Generic[Content]):
    """Requests of one kind, in the order in which they take effect."""

    rows: Annotated[
        list[Annotated[RowIn[Content], WrapValidator(_or_why_not)]],
        Field(min_length=1, max_length=ROWS_MAX),
    ]

    def read(self, understand: Callable[[UUID, Content], Asked]) -> list[Asked | DomainError]:
        """Answer what each row asks for, or why it cannot be understood."""
        return [_understood(row, understand) for row in self.rows]


def _understood(row: Any, understand: Callable[[UUID, Content], Asked]) -> Asked | DomainError:
    if isinstance(row, MalformedRow):
        return row
    try:
        return understand(row.id, row.body)
    except DomainError as refusal:
        return refusal


class RowOut(Out, Generic[Answer]):
    """What became of a row: what `PUT` would have answered."""

    row: int = Field(description="Its place in the request, from 1.")
    status: int = Field(description="201 made, 200 made before, else refused.")
    answer: Answer | None = None
    problem: Problem | None = Field(default=None, description="Why it was refused.")


class BulkOut(Out, Generic[Answer]):
    """What became of a bulk, row by row."""

    made: int
    repeated: int
    refused: int
    rows: list[RowOut[Answer]]


def merged(
    rows: Sequence[Any], made: Sequence[tuple[Any, bool] | DomainError], told: Sequence[Answer]
) -> list[tuple[Answer, bool] | DomainError]:
    """Put what was made of the rows that were understood back among all rows.

    Args:
        rows: Every row, those that were refused at once as refusals.
        made: For each of the others what was made and whether it is new, or why it was refused.
        told: What was made, as it goes out.
    """
    outcomes, answers = iter(made), iter(told)
    return [row if isinstance(row, DomainError) else _told(next(outcomes), answers) for row in rows]


def _told(
    outcome: tuple[Any, bool] | DomainError, answers: Iterator[Answer]
) -> tuple[Answer, bool] | DomainError:
    return outcome if isinstance(outcome, DomainError) else (next(answers), outcome[1])


def answer(
    outcomes: Sequence[tuple[Answer, bool] | DomainError], *, english: bool
) -> BulkOut[Answer]:
    """Write the outcomes of a bulk: for each row the answer and whether it is new, or a refusal."""
    rows: list[RowOut[Answer]] = []
    for number, outcome in enumerate(outcomes, start=1):
        if isinstance(outcome, DomainError):
            problem = document(outcome, english=english, request_id=None)
            rows.append(RowOut(row=number, status=problem.status, problem=problem))
        else:
            status = HTTPStatus.CREATED if outcome[1] else HTTPStatus.OK
            rows.append(RowOut(row=number, status=status, answer=outcome[0]))
    made = sum(row.status == HTTPStatus.CREATED for row in rows)
    repeated = sum(row.status == HTTPStatus.OK for row in rows)
    return BulkOut(made=made, repeated=repeated, refused=len(rows) - made - repeated, rows=rows)
