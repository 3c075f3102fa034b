"""Canonical JSON (RFC 8785): the same content is always the same bytes."""

from typing import Any

import orjson
import rfc8785

_PLAIN = frozenset({str, int, bool, type(None)})
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def dumps(document: dict[str, Any]) -> bytes:
    """Write a document as canonical bytes.

    For what nearly all of ours hold, strings, integers and ASCII names, orjson writes the very
    bytes that RFC 8785 asks for, at a twentieth of the time. It differs where names are sorted
    beyond ASCII, in floats, and in what it takes that is no JSON.

    Raises:
        rfc8785.CanonicalizationError: the document holds what canonical JSON cannot.
    """
    if _is_plain(document):
        try:
            return orjson.dumps(document, option=_OPTIONS)
        except orjson.JSONEncodeError:
            pass  # rfc8785 knows why
    return rfc8785.dumps(document)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is dict:
        # What most values are is told here: a call for each costs more than all the writing.
        return all(
            type(key) is str and key.isascii() and (type(inner) in _PLAIN or _is_plain(inner))
            for key, inner in value.items()
        )
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    return isinstance(value, str)
