"""What is remembered for traces, and how it is forgotten."""

from datetime import date

from app.trace.memory import Generations, Memory


def test_the_older_generation_goes_when_the_younger_one_is_full() -> None:
    known: Generations[int, str] = Generations(2)
    known.keep({1: "a", 2: "b"})
    known.keep({3: "c"})
    assert known.all_of([3]) == ["c"]
    assert known.all_of([3, 1]) is None  # the older one is looked at by `recall` alone
    assert known.recall([1, 3, 4]) == ({1: "a", 3: "c"}, [4])
    assert known.all_of([3, 1]) == ["c", "a"]  # what was asked for is young again
    known.keep({5: "e", 6: "f"})
    known.keep({7: "g", 8: "h"})
    assert known.recall([1, 3]) == ({}, [1, 3])


def test_what_does_not_fit_drives_nothing_out() -> None:
    known: Generations[int, str] = Generations(2)
    known.keep({1: "a"})
    known.keep({2: "b", 3: "c", 4: "d"})
    assert known.recall([1, 2]) == ({1: "a"}, [2])


def test_what_may_change_lasts_for_a_while() -> None:
    known: Generations[int, str] = Generations(2, lasts_s=-1)
    known.keep({1: "a"})
    assert known.all_of([1]) is None


def test_words_are_forgotten_with_the_names_that_they_came_from() -> None:
    memory, catalogue, gazetteer = Memory(), object(), object()
    memory.speak(catalogue, gazetteer)
    memory.villages["320682", date(2026, 6, 17)] = "如皋市"
    memory.speak(catalogue, gazetteer)
    assert memory.villages
    memory.speak(catalogue, object())
    assert not memory.villages
