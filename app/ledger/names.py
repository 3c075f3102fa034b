"""Erases what people were called, and how they signed in, long after they left.

A name is personal: it is kept for the shortest time that it is needed for (PIPL art. 19), and is
erased unasked after that (art. 47). Needed it is as long as a record must be kept that says who
checked, or sold, and while something open (a hold, recall, referral, case, report or warning) asks
about days on which the person was still there. What remains is the account's id, which the records
name.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import local_date
from app.ledger import queries, rules, service
from app.party import staff
from app.party.models import Account

NAMES = "staff_names"
AT_ONCE = 500
"""How many people one run erases; the next night takes those that are left."""


async def erase(session: AsyncSession, *, now: datetime) -> int:
    """Erase the names that nothing needs, and answer how many.

    Those who are let in again at this moment are skipped, and so are those whom another run has.
    """
    law = await service.statute(session)
    today = local_date(now)
    needed_since = await queries.needed_since(session)
    left = await session.scalars(
        select(Account)
        .where(Account.disabled_at.is_not(None), Account.erased_at.is_(None))
        .order_by(Account.disabled_at, Account.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    erased = 0
    for account in left.all():
        assert account.disabled_at is not None, "those who left were asked for"
        kept = rules.keep(law, NAMES, (), local_date(account.disabled_at))
        is_asked_about = needed_since is not None and account.disabled_at >= needed_since
        if kept.until > today or is_asked_about:
            # Whoever left later is kept for longer, and is asked about no less.
            break
        await staff.erase(session, account, now=now)
        erased += 1
    return erased
