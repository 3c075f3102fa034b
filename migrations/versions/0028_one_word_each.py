"""Keep what an acknowledgement said, the end of a referral, and releases of all that is held."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

WAITING = "answered_at IS NULL AND escalated_at IS NULL"
STILL_WAITING = "answered_at IS NULL AND withdrawn_at IS NULL AND escalated_at IS NULL"


def _waiting(condition: str) -> None:
    op.drop_index("ix_referral_waiting", table_name="referral")
    op.create_index(
        "ix_referral_waiting", "referral", ["due_on"], postgresql_where=sa.text(condition)
    )


def _withdrawals() -> None:
    op.add_column("referral", sa.Column("withdrawn_by", sa.BigInteger(), nullable=True))
    op.add_column("referral", sa.Column("withdrawal_reason", sa.Text(), nullable=True))
    op.add_column("referral", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_referral_withdrawn_by"), "referral", "party", ["withdrawn_by"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_referral_withdrawn"),
        "referral",
        "(withdrawn_at IS NULL) = (withdrawal_reason IS NULL) "
        "AND (withdrawn_at IS NULL) = (withdrawn_by IS NULL)",
    )
    op.create_check_constraint(
        op.f("ck_referral_one_end"), "referral", "answered_at IS NULL OR withdrawn_at IS NULL"
    )
    _waiting(STILL_WAITING)


def _releases() -> None:
    op.create_table(
        "hold_release",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_hold_release_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold_release")),
        sa.UniqueConstraint("public_id", name=op.f("uq_hold_release_public_id")),
    )
    op.add_column("hold", sa.Column("release_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_hold_release_id"), "hold", "hold_release", ["release_id"], ["id"]
    )
    op.create_index(op.f("ix_hold_release_id"), "hold", ["release_id"])
    op.execute("GRANT SELECT, INSERT ON hold_release TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def upgrade() -> None:
    """Apply."""
    op.add_column("recall_notice", sa.Column("digest", sa.LargeBinary(), nullable=True))
    _withdrawals()
    _releases()


def downgrade() -> None:
    """Undo."""
    op.drop_column("hold", "release_id")
    op.drop_table("hold_release")
    _waiting(WAITING)
    for name in ("ck_referral_one_end", "ck_referral_withdrawn"):
        op.drop_constraint(op.f(name), "referral")
    for name in ("withdrawn_by", "withdrawal_reason", "withdrawn_at"):
        op.drop_column("referral", name)
    op.drop_column("recall_notice", "digest")
