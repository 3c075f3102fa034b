"""A party: a person or an organisation that produces, trades, buys, tests or supervises.

Terms: *role* (what a party is in the trade, dated, perhaps at one place), *account* (somebody who
acts for a party), *audience* (what an account may be, for access decisions), *invitation* (a party
that others already trade with, and nobody acts for yet).

Invariants:
    1. Numbers and phones of persons are sealed; answers carry them masked.
    2. A role has a first and perhaps a last day; who was what is asked for a day.
    3. No route exists without an action, and no action without a row in `access.POLICY`.
    4. A secret (password, API key, session, claim or reset code) is stored only as a hash.
    5. With whoever is shut out end their sessions, the keys that they made and their reset code.
"""
