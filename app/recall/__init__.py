"""Who may hold goods, and recalls: cases in which goods are called back and accounted for.

Terms: *recall* (a case: trigger, class, clocks), *scope* (all lots that share a suspect source with
what was found, or were made of it), *exercise* (a mock recall: told and counted, nothing held),
*step* (grams located, recovered or consumed), *disposal* (how recovered goods were dealt with),
*referral* (a question to the office that answers for another place, 协查).

Invariants:
    1. A hold is placed by whoever answers for the place: a market for goods in it, a regulator for
       its stage of the chain (agriculture before the market gate, market regulation after it) and
       its jurisdiction.
    2. From the instant a recall commits, no lot in its scope gives anything away, and no lot that
       was born meanwhile is missing from it.
    3. Grams of a lot that are located, consumed, recovered and disposed of are never more than were
       there when it was stopped (`rules.LotAccount`, table checks).
    4. A recall is not completed while a gram is unaccounted for, a notice unacknowledged or a
       referral unanswered; no holder accounts for its own grams by its word alone; the office in
       charge of the goods ends it, whoever opened it.
    5. Everything recorded in a case is in the log; of a scope, its hash.
    6. Whoever holds goods under a certificate that was taken back is told, once.
"""
