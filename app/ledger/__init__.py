"""Ledgers (台账): the statutory records of purchases and sales, which fall out of tickets.

Terms: *entry* (one line of a ticket, or a lot that was declared without one, on one party's side),
*standing* (what became of it), *keep until* (the day before which the law, or the platform's own
longer rule, forbids removal), *volume* (册: what one PDF holds of a long month).

Invariants:
    1. Nothing is typed twice: an entry says what the ticket says, and nobody edits it.
    2. What was accepted is counted; what is pending, refused or voided is shown all the same.
    3. Every field that the law of the day asks for is there, or the entry says why it is not.
    4. A party sees its own ledgers, an office those of its jurisdiction, whose looks are recorded.
    5. Contacts are opened for whom the law makes keep them, and each opening is recorded.
    6. No month is set aside that a rule or an open hold still needs; no name of who left either.
"""
