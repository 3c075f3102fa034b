"""Does together what several requests ask for at the same moment."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Gathering(Generic[Asked, Answer]):
    """Hands what waits at the same moment to one piece of work, and each asker its own answer.

    Nobody waits for company: whoever comes while nothing is under way is served at once, and those
    who come in the meantime are served together. First come, first served.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]],
        *,
        most: int,
        at_once: int,
    ) -> None:
        """Begin with nobody waiting.

        Args:
            work: Answers what is asked, in the same order. If it fails, all who asked learn of it.
            most: How many are served together.
            at_once: How many such groups are under way at the same time.
        """
        self._work = work
        self._most = most
        self._at_once = at_once
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer]]] = deque()
        self._serving: set[asyncio.Task[None]] = set()

    async def ask(self, asked: Asked) -> Answer:
        """Wait for the answer to one question.

        Whoever is cancelled while waiting is not served; whoever is cancelled later is served, and
        does not hear of it.

        Raises:
            Exception: whatever the work failed with.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if len(self._serving) < self._at_once:
            # What is logged on the way belongs to none of the requests alone.
            serving = asyncio.create_task(self._serve(), context=Context())
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        return await future

    async def _serve(self) -> None:
        """Serve one group after the other until nobody waits."""
        while group := self._next():
            try:
                answers = await self._work([asked for asked, _ in group])
            except Exception as error:  # noqa: BLE001 (it is those who asked that it concerns)
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                continue
            except BaseException:
                for _, future in group:
                    future.cancel()
                raise
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    def _next(self) -> list[tuple[Asked, "asyncio.Future[Answer]"]]:
        group: list[tuple[Asked, asyncio.Future[Answer]]] = []
        while self._waiting and len(group) < self._most:
            asked, future = self._waiting.popleft()
            if not future.done():
                group.append((asked, future))
        return group
