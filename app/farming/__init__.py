"""What was done to a crop before its harvest: the input part of the statutory production record.

Terms: *treatment* (a pesticide on a plot at an instant), *pre-harvest interval* (安全间隔期: days
from the last treatment to the first harvest), *label* (what the product's label says of it).

Invariants:
    1. A treatment is stated once, by whoever runs the plot, and never changed.
    2. An interval is dated data by substance and crop; a stricter label counts instead of it.
"""
