"""The log of everything that was stated: bytes in, and later proofs out.

Terms: *entry* (the canonical bytes of one statement), *leaf* (those bytes as the log's tree hashes
them), *commitment* (a salted hash that stands for personal data).

Invariants:
    1. An entry is written in the transaction that made it true; neither exists without the other.
    2. Entries are only ever added: the server's role may insert and read, and a trigger refuses
       the owner too.
    3. The bytes are RFC 8785 canonical JSON: equal statements have equal bytes for ever.
    4. Personal data enters only as SHA-256(salt || value); dropping the salt erases it.
"""
