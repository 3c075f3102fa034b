"""Tests of goods (四位一体): samples, quick tests, laboratory results, and what follows from them.

Terms: *sample* (grams taken out of a lot, and where its case stands), *test* (one measuring act on
a sample, by a quick method or in a laboratory), *result* (what a test comes to), *limit* (the most
of a substance that a food may hold on a day), *standing* (what all tests of a lot come to).

Invariants:
    1. The grams of a sample leave its lot in the transaction that records the sample; those of
       goods on the way had left it with their ticket.
    2. A lot with a suspect or failing result is on hold from the instant the result commits.
    3. A result is judged by the limits and bands in force on the day the sample was taken; where
       there is no limit it is *no limit*, and never a pass.
    4. Tests are appended and never changed; a sample's status follows from all of them.
    5. Raw values stay as the device gave them; what is shown is clamped.
    6. A record of a device counts once, however often it is sent.
"""
