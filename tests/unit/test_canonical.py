"""Canonical JSON: whatever way it takes, the bytes are those of RFC 8785."""

from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.core import canonical

SAFE = 2**53 - 1

_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.text('abyz_\x7f"\\', max_size=3), inner)
    ),
)


@given(st.dictionaries(st.text(max_size=4), _values))
def test_the_bytes_are_those_of_the_standard(document: dict[str, Any]) -> None:
    assert canonical.dumps(document) == rfc8785.dumps(document)


class _Word(StrEnum):
    SOLD = "sold"


@pytest.mark.parametrize(
    "document",
    [
        {"a": "\u0000\u0008\u000c\n\u001f\u007f\u2028</"},
        {"a": _Word.SOLD},
        # Beyond the basic plane, names sort by UTF-16 and not by code point.
        {"\ufb33": 1, "\U0001f600": 2},
        {"a": 1e21, "b": 1.0, "c": -0.0},
    ],
)
def test_what_is_special_is_written_as_the_standard_says(document: dict[str, Any]) -> None:
    assert canonical.dumps(document) == rfc8785.dumps(document)


@pytest.mark.parametrize(
    "wrong", [2**53, -(2**53), "\ud800", float("nan"), object(), b"bytes", {1: 2}]
)
def test_what_no_canonical_json_holds_is_refused(wrong: object) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical.dumps({"a": [wrong]})
