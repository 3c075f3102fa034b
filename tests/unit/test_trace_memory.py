"""What is remembered for traces, and how it is forgotten."""

from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.trace.memory import Answer, Answers, Generations, Memory, Settled
from app.trace.rules import Direction, SubGraph
from tests.graphs import CLAIMED, graphs, part_of


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


def answer(size: int) -> Answer:
    return Answer(1, "", 1, (), {"": b"x" * size})


def test_the_answer_that_nobody_asked_for_goes_first() -> None:
    asked = [(UUID(int=number), Direction.BACK) for number in range(4)]
    known = Answers(4, lasts_s=60)
    assert known.get(asked[0]) is None
    known.keep(asked[0], answer(2))
    known.keep(asked[1], answer(2))
    assert known.get(asked[0]) == answer(2)
    known.keep(asked[2], answer(2))
    assert [known.get(one) is None for one in asked] == [False, True, False, True]
    known.keep(asked[2], answer(1))  # in the place of the former: there is room for one more
    known.keep(asked[3], answer(1))
    assert [known.get(one) is None for one in asked] == [False, True, False, False]
    known.keep(asked[1], answer(5))
    assert [known.get(one) is None for one in asked] == [False, True, False, False]


def test_answers_last_for_a_while() -> None:
    known = Answers(4, lasts_s=-1)
    known.keep((UUID(int=1), Direction.BACK), answer(2))
    assert known.get((UUID(int=1), Direction.BACK)) is None


@given(graphs(), st.data())
def test_what_lots_were_made_of_is_found_as_long_as_all_of_it_is_settled(
    graph: SubGraph, data: st.DataObject
) -> None:
    memory, into = Memory(), graph.into()
    settled = {lot: Settled(node, tuple(into.get(lot, ()))) for lot, node in graph.nodes.items()}
    memory.settle(settled.values())
    asked = data.draw(st.sets(st.sampled_from([*graph.nodes]), min_size=1))
    right = part_of(graph, asked, Direction.BACK)
    found = memory.behind(asked, limit=len(right.nodes))
    if any(edge.proof is CLAIMED for lot in right.nodes for edge in into.get(lot, ())):
        assert found is None
    else:
        assert found == [settled[lot] for lot in sorted(right.nodes)]
    more = memory.behind(asked, limit=0)
    assert more is None or len(more) == 1


def test_words_are_forgotten_with_the_names_that_they_came_from() -> None:
    memory, catalogue, gazetteer = Memory(), object(), object()
    memory.speak(catalogue, gazetteer)
    memory.villages["320682", date(2026, 6, 17)] = "如皋市"
    memory.speak(catalogue, gazetteer)
    assert memory.villages
    memory.speak(catalogue, object())
    assert not memory.villages
    memory.answers.keep((UUID(int=1), Direction.BACK), Answer(1, "{1}", 1, (), {}))
    memory.speak(catalogue, object())
    assert memory.answers.get((UUID(int=1), Direction.BACK)) is None
