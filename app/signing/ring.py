"""The keys at hand: a keyset and a signer that are read once and refreshed now and then."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.sealing import Vault
from app.signing import service
from app.signing.keys import IssuerClass, Keyset, Signer

REFRESH_EVERY = timedelta(seconds=30)


class Ring:
    """Remembers the registry for half a minute: how long a dropped key may still be trusted."""

    def __init__(self, vault: Vault, *, issuer_class: IssuerClass = IssuerClass.TICKET) -> None:
        """Begin with nothing; the first question reads the registry."""
        self._vault = vault
        self._issuer_class = issuer_class
        self._keyset: Keyset | None = None
        self._keyset_at: datetime | None = None
        self._signer: Signer | None = None
        self._signer_at: datetime | None = None

    async def keyset(self, session: AsyncSession, now: datetime) -> Keyset:
        """Answer all public keys."""
        if self._keyset is None or _stale(self._keyset_at, now):
            self._keyset = await service.load_keyset(session)
            self._keyset_at = now
        return self._keyset

    def keyset_at_hand(self, now: datetime) -> Keyset | None:
        """Answer all public keys, if they were read a moment ago."""
        return None if _stale(self._keyset_at, now) else self._keyset

    async def signer(self, session: AsyncSession, now: datetime) -> Signer:
        """Answer the key that signs now.

        Raises:
            NoSigningKey: none is in use.
        """
        if self._signer is None or _stale(self._signer_at, now):
            self._signer = await service.load_signer(
                session, self._vault, now, issuer_class=self._issuer_class
            )
            self._signer_at = now
        return self._signer


def _stale(read_at: datetime | None, now: datetime) -> bool:
    # A clock that was set back must not make an old snapshot look fresh for longer.
    return read_at is None or not timedelta(0) <= now - read_at < REFRESH_EVERY
