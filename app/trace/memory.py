"""What a trace met a moment ago, and what it was told with.

What a lot is never changes, and neither do the edges into it: they were written with it. Only the
proof of an edge does, once, when a buyer confirms what the seller had claimed. So a lot into which
no edge is only claimed is remembered, and a walk asks the books for what can differ: which lots
there are, what is left of each, and which are held. A party's name, form and seat do not change
either; its roles do, and what a trace says about them may be five minutes old.

So what a lot was made of is settled with everything behind it, and what became of it is settled as
long as nothing else was taken from any of those lots: what is left of them and their open tickets
tell. An answer is remembered with all that the books had said, and holds as long as they say the
same.

A recall makes everybody ask for the same lots within minutes, and every way back ends in the same
few farms and wholesalers.
"""

import time
from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable, Mapping
from datetime import date
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy.pool import Pool

from app.lot.rules import Proof
from app.party.access import DatedRole
from app.trace.rules import Direction, Edge, Node

LOTS_MAX = 1 << 14
"""Lots of each of two generations; with an edge a lot is 1.1 KB, so that all are 36 MB."""
WORDS_MAX = 1 << 13
"""Lots of which the words are remembered; with an edge they are 1 KB, so that all are 16 MB."""
PARTIES_MAX = 1 << 12
ANSWERS_BYTES_MAX = 8 << 20
"""Thirty-five answers of 360 lots."""
ROLES_LAST_S = 240
ANSWERS_LAST_S = 60
"""An answer may have been written with roles that were to be forgotten: five minutes together."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Generations(Generic[Key, Value]):
    """What was asked for last, in two generations: forgetting is dropping the older one."""

    def __init__(self, most: int, *, lasts_s: float | None = None) -> None:
        """Begin with nothing.

        Args:
            most: How much a generation holds.
            lasts_s: When to begin with nothing again, in seconds.
        """
        self._most = most
        self._lasts_s = lasts_s
        self._begun_s = 0.0
        self._held = 0
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Answer what is remembered of one."""
        self._age()
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.keep({key: found})
        return found

    def all_of(self, keys: Iterable[Key]) -> list[Value] | None:
        """Answer what is remembered of some, in their order; None if that is not all of them."""
        self._age()
        try:
            return [*map(self._young.__getitem__, keys)]
        except KeyError:
            return None

    def recall(self, keys: Collection[Key]) -> tuple[dict[Key, Value], Collection[Key]]:
        """Answer what is remembered of some, and which are not."""
        self._age()
        young, old = self._young, self._old
        older = {key: old[key] for key in keys if key in old and key not in young}
        known = {key: young[key] for key in keys if key in young} | older
        self.keep(older)
        return known, [key for key in keys if key not in known]

    def _age(self) -> None:
        if self._lasts_s is not None and time.monotonic() - self._begun_s > self._lasts_s:
            self.forget()

    def keep(self, values: Mapping[Key, Value]) -> None:
        """Remember values, unless they are so many that they would drive out themselves."""
        more = len(values)
        if more > self._most:
            return
        if self._held + more > self._most:
            self._old, self._young, self._held = self._young, {}, 0
        self._young |= values
        self._held += more

    def forget(self) -> None:
        """Begin with nothing again."""
        self._young, self._old, self._held = {}, {}, 0
        self._begun_s = time.monotonic()


class Settled(NamedTuple):
    """A lot with everything that went into it, by ascending parent, in the graph or not."""

    node: Node
    into: tuple[Edge, ...]

    @property
    def is_final(self) -> bool:
        """Whether nothing about it changes any more."""
        return all(edge.proof is not Proof.CLAIMED for edge in self.into)


class Named(NamedTuple):
    """A party as a trace shows it, before masking.

    Attributes:
        in_full: The JSON of whoever may read its name.
        masked: The JSON of everybody else.
    """

    public_id: UUID
    name: str
    form: str
    division_code: str | None
    in_full: bytes
    masked: bytes


def _unweighed(words: bytes) -> bytes:
    """Leave the grams out of words that tell them: most callers may know all they are shown."""
    before, name, after = words.rpartition(b'"mass_g":')
    return b"%b%bnull%b" % (before, name, after[after.index(b",") :])


class LotWords(NamedTuple):
    """The JSON of what never changes about a lot, in the pieces between which people stand.

    Attributes:
        head: Up to its holder.
        weighed: From its producer to what is left of it, with its grams.
    """

    head: bytes
    weighed: bytes

    @property
    def hidden(self) -> bytes:
        """The same as `weighed`, for whoever may not know its grams."""
        return _unweighed(self.weighed)


class EdgeWords(NamedTuple):
    """The JSON of what never changes about an edge.

    Attributes:
        weighed: Up to the share in grams, with the grams that passed.
        tail: After the proof.
    """

    weighed: bytes
    tail: bytes

    @property
    def hidden(self) -> bytes:
        """The same as `weighed`, for whoever may not know the grams."""
        return _unweighed(self.weighed)


class Answer(NamedTuple):
    """What was answered to a question, and all of it that can change.

    Attributes:
        lot: The internal id of the lot in question.
        met: The lots that the walk met, ascending, as PostgreSQL writes an array: the driver takes
            a quarter of a microsecond to write an id.
        lots: How many these are.
        said: What the books said beside, as `queries.still_holds` asks them.
        written: The answers, by what decides what a reader sees.
    """

    lot: int
    met: str
    lots: int
    said: tuple[Any, ...]
    written: Mapping[Hashable, bytes]

    @property
    def size_bytes(self) -> int:
        """How much of the memory it takes."""
        return len(self.met) + sum(map(len, self.written.values()))


Asked: TypeAlias = tuple[UUID, Direction]
"""A question: the public id of a lot, and which way."""


class Answers:
    """What was answered last, as long as its bytes have room: whoever was not asked for goes first.

    Two generations would hold on to up to twice as much, and to half of it for sure.
    """

    def __init__(self, bytes_max: int, *, lasts_s: float) -> None:
        """Begin with nothing.

        Args:
            bytes_max: How much all answers may take together.
            lasts_s: When to begin with nothing again, in seconds.
        """
        self._bytes_max = bytes_max
        self._lasts_s = lasts_s
        self._begun_s = 0.0
        self._held_bytes = 0
        self._known: OrderedDict[Asked, Answer] = OrderedDict()

    def get(self, asked: Asked) -> Answer | None:
        """Answer what is remembered of a question."""
        if time.monotonic() - self._begun_s > self._lasts_s:
            self.forget()
        if asked in self._known:
            self._known.move_to_end(asked)
        return self._known.get(asked)

    def keep(self, asked: Asked, answer: Answer) -> None:
        """Remember an answer in the place of an older one to the same question."""
        if (former := self._known.pop(asked, None)) is not None:
            self._held_bytes -= former.size_bytes
        if answer.size_bytes > self._bytes_max:
            return  # it would drive out all others, and then itself
        self._known[asked] = answer
        self._held_bytes += answer.size_bytes
        while self._held_bytes > self._bytes_max:
            _, oldest = self._known.popitem(last=False)
            self._held_bytes -= oldest.size_bytes

    def forget(self) -> None:
        """Begin with nothing again."""
        self._known.clear()
        self._held_bytes = 0
        self._begun_s = time.monotonic()


class Memory:
    """What is remembered of the books that a pool leads to."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.lots: Generations[int, Settled] = Generations(LOTS_MAX)
        self.parties: Generations[int, Named] = Generations(PARTIES_MAX)
        self.roles: Generations[int, list[DatedRole]] = Generations(
            PARTIES_MAX, lasts_s=ROLES_LAST_S
        )
        self.lot_words: Generations[int, LotWords] = Generations(WORDS_MAX)
        self.edge_words: Generations[tuple[int, int], EdgeWords] = Generations(WORDS_MAX)
        self.answers = Answers(ANSWERS_BYTES_MAX, lasts_s=ANSWERS_LAST_S)
        self.villages: dict[tuple[str, date], str | None] = {}
        self._words_of: tuple[object, ...] = ()

    def speak(self, *sources: object) -> None:
        """Begin anew with names when what they come from (catalogue, gazetteer) was read again."""
        if len(sources) != len(self._words_of) or any(
            new is not old for new, old in zip(sources, self._words_of, strict=True)
        ):
            self._words_of = sources
            self.lot_words.forget()
            self.answers.forget()
            self.villages.clear()

    def behind(self, lots: Collection[int], *, limit: int) -> list[Settled] | None:
        """Answer lots and all that went into them, oldest first; None if not all is remembered.

        Args:
            lots: Where to begin.
            limit: Do not go on when there are more.
        """
        known: dict[int, Settled] = {}
        ahead = [*lots]
        while ahead and len(known) <= limit:
            lot = ahead.pop()
            if lot not in known:
                if (settled := self.lots.get(lot)) is None:
                    return None
                known[lot] = settled
                ahead += [edge[0] for edge in settled[1]]
        return [known[lot] for lot in sorted(known)]

    def settle(self, lots: Iterable[Settled]) -> None:
        """Remember lots about which nothing changes any more."""
        self.lots.keep({lot.node.id: lot for lot in lots if lot.is_final})


_memories: WeakKeyDictionary[Pool, Memory] = WeakKeyDictionary()


def memory_of(pool: Pool) -> Memory:
    """Answer the memory of the books that a pool leads to."""
    found = _memories.get(pool)
    if found is None:
        found = _memories[pool] = Memory()
    return found
