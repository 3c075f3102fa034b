"""What a refusal says is read on a phone: it speaks of goods, not of requests."""

import re

import pytest

import app.main  # noqa: F401 (with all packages, and so with all refusals)
from app.core.problems import ProblemDescription, describe_all

JARGON = re.compile(
    r"pointer|(?<!\.nd)json|uuid|http|schema|nonce|facts|identifier|x-ypt|request_id|"
    r"(?<!resident )\bids?\b|(?-i:\b(GET|PUT|POST)\b)|/\w+[-/{]|[a-z]+_[a-z]+|[`{]",
    re.IGNORECASE,
)
# Only whoever writes or runs a program meets these.
FOR_PROGRAMS = {
    "push-not-signed",
    "push-replayed",
    "unknown-position",
}


def _texts(refusal: ProblemDescription) -> list[str]:
    return [refusal.zh.title, refusal.zh.next_step, refusal.en.title, refusal.en.next_step]


def test_refusals_speak_to_people() -> None:
    technical = {
        refusal.code: [text for text in _texts(refusal) if JARGON.search(text)]
        for refusal in describe_all()
        if refusal.code not in FOR_PROGRAMS
    }
    assert {code: texts for code, texts in technical.items() if texts} == {}


@pytest.mark.parametrize("code", sorted(FOR_PROGRAMS))
def test_what_is_for_programs_says_what_they_do(code: str) -> None:
    (refusal,) = [one for one in describe_all() if one.code == code]
    assert any(JARGON.search(text) for text in _texts(refusal))


@pytest.mark.parametrize(
    "text",
    [
        "Correct each pointer",
        "请填写 mass_g",
        "See /paper-kinds",
        "Check its id",
        "(PUT /evidence)",
    ],
)
def test_words_of_programs_are_found(text: str) -> None:
    assert JARGON.search(text)
