"""Holds, and later recalls: goods that may not move until somebody answers for them.

Terms: *hold* (one lot, one reason, by a market or a regulator), *release* (its end, with a reason).

Invariants:
    1. A lot with a hold in force gives nothing away, from the instant the hold commits.
    2. Holds are counted: a lot moves again only when the last one is released.
    3. A hold is placed by whoever answers for the place: a market for goods in it, a regulator for
       its jurisdiction.
"""
