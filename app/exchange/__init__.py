"""Files that come in: tickets from a market's own list, by the rules of every other ticket.

Terms: a *file* has *headings* and *rows*; an *import* (a run) is one file for one seller, known by
the bytes of the file; its *skipped rows* are those that were refused.

Invariants:
    1. A row is a ticket under an id that follows from the file and the row, or from its number.
    2. Rows are taken in chunks; how far an import is stands in the transaction of the chunk.
    3. Killed at any moment and resumed, an import leaves nothing out and does nothing twice.
    4. A row that is refused stops no other, and comes back with its reason in both languages.
    5. A check (dry run) decides by the same rules and writes nothing.
"""
