"""Reports of a problem by anybody who holds a ticket (投诉举报), and what an office makes of them.

Terms: *report* (one problem with the goods of one document), *tracking code* (the only way to read
what became of it without an account), *step* (what an office does with it: takes it up, answers it,
refers it to another office, puts its answer off), *clock* (until when an office decides whether
it takes a report up, and until when it answers).

Invariants:
    1. What was typed, the photos, and how to reach who sent them are sealed at rest; none is ever
       part of a log, a notice, a public answer or an entry of the transparency log.
    2. A report lies with one office at a time: a department of a place.
    3. Every report and every step is an entry of the log, in the same transaction.
    4. The office that a report lies with is reminded of the clock that runs on its last day, and
       once it has run out; once each.
    5. A clock that has run out is not put off.
"""
