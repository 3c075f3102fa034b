"""一票通 (One Ticket): lot-level traceability of edible agricultural products."""
