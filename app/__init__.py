"""一票通 (One Ticket): lot-level traceability of edible agricultural products."""

import gc

# Half a million objects come into being with the imports, and stay. To look them through again and
# again, as the interpreter does by itself after every 700, is a fifth of the time of the start.
gc.set_threshold(50_000, 10, 10)
