"""What is asked for at the same moment is done together, and each asker hears its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from app.core.gathering import Gathering


class Kitchen:
    """Work that goes on until it is let go; `groups` are what it was handed, in turn."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_end = asyncio.Event()

    async def work(self, asked: Sequence[int]) -> list[int]:
        self.groups.append(list(asked))
        await self.may_end.wait()
        if 13 in asked:
            message = "spoilt"
            raise ValueError(message)
        return [10 * each for each in asked]


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


def asking(gathering: Gathering[int, int], *asked: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(gathering.ask(each)) for each in asked]


async def test_whoever_comes_alone_is_served_at_once_and_who_comes_meanwhile_together() -> None:
    kitchen = Kitchen()
    gathering = Gathering(kitchen.work, most=10, at_once=1)
    first = asking(gathering, 1)
    await settle()
    assert kitchen.groups == [[1]]
    later = asking(gathering, 2, 3, 4)
    await settle()
    assert kitchen.groups == [[1]], "one group at a time"
    kitchen.may_end.set()
    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40]
    assert kitchen.groups == [[1], [2, 3, 4]]


async def test_groups_are_no_larger_and_no_more_than_was_said() -> None:
    kitchen = Kitchen()
    gathering = Gathering(kitchen.work, most=2, at_once=2)
    first = asking(gathering, 1)
    await settle()
    more = asking(gathering, 2, 3, 4, 5, 6)
    await settle()
    assert kitchen.groups == [[1], [2, 3]]
    kitchen.may_end.set()
    assert await asyncio.gather(*first, *more) == [10, 20, 30, 40, 50, 60]
    assert sorted(map(len, kitchen.groups)) == [1, 1, 2, 2]
    assert sorted(each for group in kitchen.groups for each in group) == [1, 2, 3, 4, 5, 6]


async def test_a_group_that_fails_fails_for_all_in_it_and_for_nobody_else() -> None:
    kitchen = Kitchen()
    gathering = Gathering(kitchen.work, most=2, at_once=1)
    kitchen.may_end.set()
    answers = await asyncio.gather(*asking(gathering, 12, 13, 14), return_exceptions=True)
    assert kitchen.groups == [[12, 13], [14]]
    assert [str(answer) for answer in answers] == ["spoilt", "spoilt", "140"]
    assert await gathering.ask(5) == 50, "it goes on"


async def test_who_is_cancelled_while_waiting_is_not_served() -> None:
    kitchen = Kitchen()
    gathering = Gathering(kitchen.work, most=10, at_once=1)
    served = asking(gathering, 1)
    await settle()
    waiting = asking(gathering, 2, 3)
    await settle()
    waiting[0].cancel()
    await settle()
    kitchen.may_end.set()
    assert [await served[0], await waiting[1]] == [10, 30]
    assert kitchen.groups == [[1], [3]]


async def test_who_is_cancelled_while_served_disturbs_nobody() -> None:
    kitchen = Kitchen()
    gathering = Gathering(kitchen.work, most=10, at_once=1)
    kitchen.may_end.clear()
    together = asking(gathering, 1, 2)
    await settle()
    assert kitchen.groups == [[1, 2]]
    together[0].cancel()
    await settle()
    kitchen.may_end.set()
    assert await together[1] == 20
    assert together[0].cancelled()


async def test_nobody_waits_for_ever_when_the_work_is_cancelled() -> None:
    kitchen = Kitchen()
    gathering = Gathering(kitchen.work, most=10, at_once=1)
    before = asyncio.all_tasks()
    asked = asking(gathering, 1, 2)
    await settle()
    (serving,) = asyncio.all_tasks() - before - set(asked)
    serving.cancel()
    for task in asked:
        with pytest.raises(asyncio.CancelledError):
            await task
