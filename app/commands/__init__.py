"""The operator's commands behind `ypt`, a module for each noun.

Terms: *answer* (what a command was asked for: one JSON value with `--json`, tables without it),
*complaint* (why it has none).

Invariants:
    1. With `--json` standard output holds exactly one JSON value; everything else, and tables
       without it too, goes where a person looks and no program reads.
    2. The exit code tells: 0 done, 1 refused or found wrong, 2 used wrongly, 3 out of reach.
    3. Secrets are never arguments, which every process of the machine can read.
"""
