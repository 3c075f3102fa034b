"""The demonstration: made-up people on Nantong's real divisions, and a ticket's way from the plots.

Terms: *actor* (a made-up party with its account), *main job* (the journey of three farmers' chives
to a school, through HTTP alone), *stage* (the data directory, database and server it plays on).

Invariants:
    1. Every id follows from a name, so that playing it again repeats nothing.
    2. It plays in a database of its own: one that holds other parties is refused.
    3. Its accounts, whose password everybody knows, come into being here and nowhere else, and its
       server listens on this machine only.
    4. Whatever it starts it also stops.
"""
