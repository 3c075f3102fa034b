"""An event: something happened to goods, told as what, when, where, why and who.

Terms: *kind* (the trade's word for it), *occurred* (when it happened, as told) and *recorded* (when
we learnt of it): an offline phone tells late, and law asks about the first.

Invariants:
    1. An event is never changed or removed; a mistake is followed by a further event.
    2. Nothing refers to an event by foreign key, so months of events can be set aside.
"""
