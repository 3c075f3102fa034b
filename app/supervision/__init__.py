"""Early warning (预警): what in the books a regulator should look at before somebody falls ill.

Terms: *rule* (dated data: thresholds, source, whether verified), *measure* (a figure read from the
books about one subject, with its evidence), *warning* (a measure beyond its rule's limit: open,
handled or false), *watermark* (up to which row of a stream a rule has looked).

Invariants:
    1. A rule measures new rows only: from its watermark on, in batches of bounded size.
    2. A warning carries what it rests on: public ids, figure, limit, rule and the rule's date.
    3. The same evidence opens one warning, however often and by however many workers it is met.
    4. A closed warning opens anew only when the figure has grown past what somebody looked at.
    5. A warning accuses nobody, and a credit file (信用档案), read from the books each time, weighs
       nothing: neither moves goods or refuses a ticket; a person decides.
    6. A warning holds no personal data: subjects are public ids, or digests of keyed indexes.
"""
