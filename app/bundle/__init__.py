"""What a gate lives on without a network: keys, status lists, and the devices that read them.

A *bundle* is a keyset signed by the offline root key, shards of status bits, and a meta document
that names the shards by their hashes, signed by a status key for a day. A *device* is a browser at
a gate with a key that cannot leave it; what it decides without a network it signs, and *uploads*.

Invariants:
    1. Versions of keysets and of a market's meta only grow.
    2. A shard is named by its hash and never changes; a meta names nothing that is not stored.
    3. What is published was read back by the rules that devices read by.
    4. An enrolment code makes one device, within ten minutes.
    5. An uploaded statement is kept once, with the device's signature, and answers the same again.
"""
