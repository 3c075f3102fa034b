"""A certificate: somebody's own signed statement about the goods of one lot.

Terms: *conformity certificate* (承诺达标合格证; form 1 by the producer, form 2 by a purchaser who
mixes or splits), *origin proof* (产地证明), *form* (its wording, dated), *duty* (who must issue
one, for which act, from when), *void* (take back by a further statement).

Invariants:
    1. It is issued by the producer or purchaser, with no approval step (APQSL art. 39).
    2. It is never edited: a mistake is voided, and a new certificate may name it as replaced.
    3. It vouches for at most what its lot holds, together with all others in force on that lot.
    4. It is signed, and is in the log, in the transaction that created it.
    5. Its form is the one in force on the day of issue, with that form's own wording.
"""
