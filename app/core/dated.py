"""Data that changes with the law: a row counts from its first day to the day before its end."""

from datetime import date


def in_force(valid_from: date, valid_to: date | None, on: date) -> bool:
    """Whether a row counts on a day: from `valid_from`, before `valid_to`; None has no end."""
    return valid_from <= on and (valid_to is None or on < valid_to)
