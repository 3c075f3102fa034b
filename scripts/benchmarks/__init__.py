"""The bench: the main job measured beside its physical limits, bare frameworks and its peers.

Terms: *floor* (what hand-written SQL or a bare framework does with the same rows, in the same run),
*row* (one line of the target table), *round* (floor and ours once each, in a shuffled order),
*oracle* (an independent walk in memory that every answer is compared with).

Invariants:
    1. Floors are rebuilt and measured in the run that measures us; no figure is carried over.
    2. A wrong answer fails its row, whatever its speed.
    3. A row whose feature does not exist is printed as "not built".
    4. The load comes from another process than the server, over loopback, and has an end.
    5. The database is durable: fsync, synchronous_commit and full_page_writes are on.
"""
