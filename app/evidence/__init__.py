"""Images that show what somebody states: a paper document, goods that were destroyed.

Terms: *image* (what was uploaded, cleaned), *content* (its bytes, kept once however often it came).

Invariants:
    1. What is kept was drawn anew from the pixels: no EXIF, no position, no hidden data, no script.
    2. Bytes are named by their SHA-256, sealed at rest and never changed; the log holds the hash.
    3. The bytes of an image prove one disposal of goods, whoever brings them again.
    4. An image is shown to the party that brought it and to the regulators over that party; a
       package above may show it to whoever its own rules admit.
"""
