"""A ticket (一票通): the seller's signed statement that parts of lots were handed to a buyer.

Terms: *line* (one product of a ticket, as spoken), *draw* (grams of one lot behind a line),
*decision* (the buyer's: accepted, accepted in part, refused), *hand-over* (two-sided: the buyer's
lots come into being when it accepts; one-sided: at once, as the seller's claim), *walk-in* (散客).

Invariants:
    1. What leaves a lot never adds up to more than the lot held.
    2. A ticket is never changed or removed: what became of it stands in rows of its own.
    3. Every ticket is signed, and is in the log, in the transaction that created it.
    4. Issuing the same ticket again changes nothing and answers the same.
    5. Draws of one line stay separate lots with the buyer: a sale mixes nothing.
    6. Prices are for the two parties and never leave to anybody else.
"""
