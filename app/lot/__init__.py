"""A lot: goods of one product, in one hand, that share one past.

Terms: *holder* (whose lot it is), *producer* (who grew, raised or made it; none where lots of
several were mixed), *draw* (grams that leave a lot), *edge* (grams of one lot that went into
another), *cover* (grams of a lot that certificates in force vouch for), *change* (a split, merge,
transform, loss or destruction, under the id its client chose).

Invariants:
    1. Grams that left a lot and grams left in it add up to what it began with.
    2. Edges point from older to younger lots, so there is no cycle; a return is a new lot.
    3. A lot on hold gives nothing away but to destruction.
    4. Lots of different producers become one only under a new certificate (APQSL art. 39).
    5. The row of a balance is referred to by no foreign key, and locked in ascending lot id.
    6. A change is never undone or edited, and the same change sent twice happens once.
"""
