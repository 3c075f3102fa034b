"""The gate: what a scanned code is, what speaks for and against the goods, and who looked.

Terms: *scan* (somebody read a code somewhere), *finding* (one observation, with its rule),
*verdict* (the decision that all findings together come to).

Invariants:
    1. A verdict names every finding, not only the first that decides.
    2. A finding is a value in a 200 answer; only a request that cannot be understood is refused.
    3. Every scan is recorded, whatever it found.
    4. A code that is not ours is kept as an opaque reference and never guessed at.
"""
