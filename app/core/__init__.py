"""What every package stands on, and which knows nothing about food.

Terms: *problem* (a refusal as an RFC 9457 document), *unit of work* (one request or job, one
transaction), *sealed* (personal data encrypted at rest), *blind index* (a keyed hash that finds a
sealed value without opening it).

Invariants:
    1. A transaction begins and ends in `db`, never in a feature.
    2. The answer leaves the process after the commit, never before.
    3. Time, ids and keys enter here and are handed on as arguments.
"""
