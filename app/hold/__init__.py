"""Holds: goods that may not move until somebody answers for them, and who is told.

Terms: *hold* (one lot, one reason), *release* (its end, with a reason), *notice* (something a party
must know about goods). Whether somebody may place or release a hold is asked further up, where the
market and the jurisdiction of a lot are known; a test holds a lot by itself.

Invariants:
    1. A lot with a hold in force gives nothing away, from the instant the hold commits.
    2. Holds are counted: a lot moves again only when the last one is released.
    3. Every hold and every release is an event and an entry of the log.
"""
