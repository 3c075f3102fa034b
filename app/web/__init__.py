"""Pages that people read in a browser, made on the server: the public ones, and the ledgers.

Terms: *page* (what a code's address shows to anybody), *state* (what the page says of the document
before anything else), *step* (one thing that happened to the goods, in plain words).

Invariants:
    1. A token's signature is checked before anything that it says is looked up or shown.
    2. A public page shows no price, phone, number of a person, plate or position, and natural
       persons by their family name only.
    3. A public page sets no cookie, and is at most 15 KB. All that a page loads is ours: no other
       site learns who reads it.
    4. Its JSON form says what the page says, and nothing more.
    5. No page needs a script; only /docs, for programmers, runs any. What acts is a form of ours,
       which no other site can send.
"""
