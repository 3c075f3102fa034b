"""Spreads the tables over a cluster (Citus): what lies where, and the SQL that puts it there.

Terms:
    distributed: rows lie on the node that the value of one column chooses.
    colocated: of two distributed tables, equal values lie on one node.
    reference: a whole copy lies on every node.
    local: the table lies on the coordinator alone.

Invariants:
    1. Every table has one place (`placement.PLACES`); a new one fails a test until it has.
    2. A key that is dropped says who keeps it now.

See docs/scale.md. The SQL was checked against the rules of Citus's documentation, on plain
PostgreSQL; it has never run on a cluster.
"""
