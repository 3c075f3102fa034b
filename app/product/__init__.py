"""What is traded: products, how they are named, weighed and proved, and what becomes of them.

Terms: *product* (a catalogue code; 1 to 53 are Nantong's products, from 101 on what they are made
of or made into), *synonym* (how sellers call it), *unit* (斤, 头, 箱), *requirement* (the proof the
law asks of it), *process* and *yield band* (how much comes out for what goes in), *tolerance*
(what scales and water excuse).

Invariants:
    1. A catalogue code never changes its meaning: signed tickets carry it.
    2. Weights, requirements, bands and tolerances are dated, and read as of the event's date.
    3. Mass is whole grams; a pack without a stated net weight has none.
    4. A mass is always printed in 公斤 and in 斤: confusing them is an error of factor two.
"""
