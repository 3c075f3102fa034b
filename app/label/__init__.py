"""What is printed with a code on it: tickets, certificates, label sheets, rolls of blank labels.

Terms: *slip* (a ticket on a strip of thermal paper), *stock* (a kind of A4 sheet that is cut into
labels), *roll* (blank labels, each with a code of its own, printed before anybody knows what they
will be stuck on), *binding* (what one of them came to stand for).

Invariants:
    1. A code is printed at whole printer dots a module, at least 3; at 3 the answer says so.
    2. What was taken back is not printed again.
    3. A blank label's code cannot be guessed, names nothing by itself, and is bound exactly once.
    4. Every binding is in the log, in the transaction that made it.
    5. Paper holds no personal data but the names of a ticket's two parties and, on a certificate,
       what its form asks for.
"""
