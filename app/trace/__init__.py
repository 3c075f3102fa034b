"""A trace: from lots back to where they came from, or forward to everybody who got them.

Terms: *asked* (the lots a question is about), *back* and *forward* (the two directions), *share*
(back: what part of the asked grams came from a lot; forward: what part of a lot stems from the
asked ones), *source* (a lot that began with its producer), *broken* (a lot without parents that is
no source), *in transit* (drawn for a buyer who has not decided yet), *neighbours* (one up, one
down), *beyond* (what a trader's own buyers passed on: counted, not shown).

Invariants:
    1. Nothing is written, and nothing is left out silently: too large a graph is refused, a page
       says how many lots there are, a stream that broke off has no `end`, a picture sums up.
    2. Grams of all sources and broken ends add up to the asked grams exactly.
    3. A graph is one statement (or one a level, `YPT_TRACE_STRATEGY`), and both find the same;
       names come in a fixed number of further ones.
    4. What a caller may not see never leaves `service`; prices and phone numbers are not even read.
"""
