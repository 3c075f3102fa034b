"""The registry of signing keys."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Integer
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base


class SigningKey(Base):
    """One key, for one use, in force between dates. A row is never removed nor its kid used again.

    The instants lie on the tokens' grid of ten minutes. A token keeps its instant of issue rounded
    down to that grid: with other key dates, the first tokens of a key would seem older than it.
    """

    __tablename__ = "signing_key"
    __table_args__ = (
        CheckConstraint("kid BETWEEN 1 AND 65535", name="kid_range"),
        CheckConstraint("algorithm IN ('ed25519', 'sm2')", name="algorithm_known"),
        CheckConstraint(
            "issuer_class IN ('ticket', 'test', 'status', 'log')", name="issuer_class_known"
        ),
        CheckConstraint("algorithm <> 'ed25519' OR octet_length(public_key) = 32", name="key_size"),
        CheckConstraint(
            "use_from < sign_until AND sign_until <= verify_until", name="dates_in_order"
        ),
        CheckConstraint(
            "extract(epoch FROM use_from) % 600 = 0 AND extract(epoch FROM sign_until) % 600 = 0",
            name="dates_on_grid",
        ),
    )

    kid: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    algorithm: Mapped[str]
    issuer_class: Mapped[str]
    public_key: Mapped[bytes]
    # Null: the private half is in a device or on another server; this one only verifies.
    private_key_sealed: Mapped[bytes | None]
    use_from: Mapped[datetime]
    sign_until: Mapped[datetime]
    verify_until: Mapped[datetime]
    dropped_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
