"""Parties, what they are, and who acts for them."""

import uuid
from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class Party(Base):
    """A person or an organisation.

    A natural person's name stays readable, because certificates and tickets must name the producer;
    it leaves the platform masked. Identity numbers and phones are sealed.
    """

    __tablename__ = "party"
    __table_args__ = (
        CheckConstraint("form IN ('natural', 'legal')", name="form"),
        CheckConstraint("status IN ('active', 'invited', 'disabled')", name="status"),
        CheckConstraint("form = 'legal' OR uscc IS NULL OR uscc LIKE '92%'", name="uscc_form"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    form: Mapped[str]
    name: Mapped[str]
    status: Mapped[str]
    uscc: Mapped[str | None] = mapped_column(unique=True)
    id_number_sealed: Mapped[bytes | None]
    id_number_index: Mapped[bytes | None] = mapped_column(unique=True)
    id_number_masked: Mapped[str | None]
    phone_sealed: Mapped[bytes | None]
    phone_index: Mapped[bytes | None] = mapped_column(index=True)
    phone_masked: Mapped[str | None]
    address_sealed: Mapped[bytes | None]
    division_code: Mapped[str | None]
    commit_salt: Mapped[bytes]
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("party.id"), index=True)


class PartyRole(Base):
    """What a party is from one day on, at one place or everywhere."""

    __tablename__ = "party_role"
    __table_args__ = (
        # A role given by mistake ends on the day it began, and was never in force.
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="dates"),
        UniqueConstraint(
            "party_id", "kind", "place_id", "valid_from", postgresql_nulls_not_distinct=True
        ),
        CheckConstraint(
            "department IS NULL OR kind = 'REGULATOR' "
            "AND department IN ('agriculture', 'market_regulation')",
            name="department",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    kind: Mapped[str]
    place_id: Mapped[int | None] = mapped_column(ForeignKey("place.id"))
    division_code: Mapped[str | None]
    department: Mapped[str | None]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class Account(Base):
    """Somebody who acts for one party, and signs in as soon as the invitation is taken up.

    Attributes:
        name_sealed: What the person is called; accounts of before names were asked for have none.
        asked_index: Tells a repeat of the request that made the account from another request, for
            name and duty may have changed since.
        erased_at: When the person's name and login were erased, long after they left.
    """

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("duty IN ('head', 'staff', 'gate', 'books')", name="duty"),
        CheckConstraint("(login_index IS NULL) = (password_hash IS NULL)", name="taken_up"),
        Index(
            "ix_account_left",
            "disabled_at",
            postgresql_where=text("disabled_at IS NOT NULL AND erased_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    duty: Mapped[str]
    name_sealed: Mapped[bytes | None]
    asked_index: Mapped[bytes | None]
    login_index: Mapped[bytes | None] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]


class Session(Base):
    """A sign-in; the cookie holds a random value and this row its hash."""

    __tablename__ = "session"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class EndedSession(Base):
    """A sign-in that a new password ended: whoever comes back with it is told so, and no more."""

    __tablename__ = "ended_session"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    ended_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ApiKey(Base):
    """A machine's credential; it acts for a party within its scopes.

    Attributes:
        made_by: Who knows its secret, and takes it along; None for keys of before that was asked.
    """

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), index=True)
    made_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"), index=True)
    name: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Invitation(Base):
    """A way for an invited party to take over what others already recorded for it.

    Attributes:
        account_id: Whose account it is, where one person is invited to act for a party; None where
            the party itself is.
    """

    __tablename__ = "invitation"
    __table_args__ = (Index("ix_invitation_party_id", "party_id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"), unique=True)
    invited_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    claim_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]


class AccountCode(Base):
    """A code that somebody was given: to take an account up, or to set a forgotten password anew.

    The code is kept as a hash with a key, and an account has one that is open at most.

    Attributes:
        given_by: Whose head gave it, and may be told it again.
        tries: How often somebody typed a code for this account while this one was open.
        tries_max: How often that may be, by the rule of the day that it was given on.
        ended_at: When another code took its place, or the person was shut out.
    """

    __tablename__ = "account_code"
    __table_args__ = (
        CheckConstraint("purpose IN ('claim', 'reset')", name="purpose"),
        CheckConstraint("used_at IS NULL OR ended_at IS NULL", name="one_end"),
        Index(
            "uq_account_code_open",
            "account_id",
            unique=True,
            postgresql_where=text("used_at IS NULL AND ended_at IS NULL"),
        ),
        Index("ix_account_code_account_id", "account_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    public_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    purpose: Mapped[str]
    code_hash: Mapped[bytes]
    given_by: Mapped[int] = mapped_column(ForeignKey("party.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(SmallInteger)
    tries_max: Mapped[int] = mapped_column(SmallInteger)
    used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    @hybrid_property
    def is_open(self) -> bool:
        """Whether it was neither used nor ended; its time may be over all the same."""
        return self.used_at is None and self.ended_at is None

    @is_open.inplace.expression
    @classmethod
    def _is_open(cls) -> ColumnElement[bool]:
        return and_(cls.used_at.is_(None), cls.ended_at.is_(None))


class AccountRule(Base):
    """How long a code for a new password lasts (hours), and how often it may be tried."""

    __tablename__ = "account_rule"
    __table_args__ = (
        CheckConstraint("kind IN ('reset_hours', 'reset_tries')", name="kind"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="dates"),
    )

    kind: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    amount: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str]
    verified: Mapped[bool]
