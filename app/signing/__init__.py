"""Keys, their history, and the compact signed token that a ticket's code carries.

Terms: *token* (38 bytes of claims and a 64-byte signature), *digits* (its one decimal spelling, the
end of `https://<host>/t/<digits>`), *kid* (number of a signing key), *keyset* (all dated public
keys, as known at one instant), *short code* (what is typed by hand when nothing can be scanned).

Invariants:
    1. A token has exactly one spelling; whatever reads otherwise is not a token.
    2. The registry's row of a kid fixes the algorithm and the uses of a key; a token cannot choose.
    3. A token counts only if it was issued while its key was in use.
    4. A token holds no personal data: web servers everywhere write addresses into their logs.
    5. What a reader does not know yet (version, type, key) is *not verifiable*, never *forged*.
"""
