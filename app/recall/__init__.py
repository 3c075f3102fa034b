"""Who holds goods and who is told, and later recalls; the holds themselves are in `app/hold`.

Invariants:
    1. A hold is placed by whoever answers for the place: a market for goods in it, a regulator for
       its jurisdiction.
    2. Whoever holds goods under a certificate that was taken back is told, once.
"""
