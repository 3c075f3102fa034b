"""The trial of early warnings: a year of made-up trade with planted abuses.

Terms: *year* (rows of every table, made from a seed), *oddity* (honest trade that looks strange:
late entries, shared phones, returns), *case* (one planted abuse, and the subjects that betray it),
*strength* (how blatant a case is, drawn from a range that reaches down to what nobody could see).

Invariants:
    1. The generator knows the trade and the abuse, and no threshold: it imports no rule's data.
    2. Rows are numbered in the order in which they would have been recorded.
    3. What runs over the year is the product's own job code, in batches, from the first row on.
    4. One seed makes one year.
"""
