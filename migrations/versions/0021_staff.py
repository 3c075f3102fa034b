"""Let people have names and duties, be invited to a party's staff, and be listed."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    # Until now every account could do whatever its party could: none of them loses anything.
    op.add_column("account", sa.Column("duty", sa.Text(), nullable=False, server_default="head"))
    op.alter_column("account", "duty", server_default=None)
    op.add_column("account", sa.Column("name_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("account", sa.Column("asked_index", sa.LargeBinary(), nullable=True))
    op.add_column("account", sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("account", "login_index", nullable=True)
    op.alter_column("account", "password_hash", nullable=True)
    op.create_check_constraint(
        op.f("ck_account_duty"), "account", "duty IN ('head', 'staff', 'gate', 'books')"
    )
    op.create_check_constraint(
        op.f("ck_account_taken_up"), "account", "(login_index IS NULL) = (password_hash IS NULL)"
    )
    op.add_column("invitation", sa.Column("account_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_invitation_account_id"), "invitation", "account", ["account_id"], ["id"]
    )
    op.create_unique_constraint(op.f("uq_invitation_account_id"), "invitation", ["account_id"])
    op.create_index(op.f("ix_party_created_by"), "party", ["created_by"])


def downgrade() -> None:
    """Undo; who was invited and has not come yet is forgotten."""
    op.drop_index(op.f("ix_party_created_by"), table_name="party")
    op.execute("DELETE FROM invitation WHERE account_id IS NOT NULL")
    op.drop_column("invitation", "account_id")
    op.execute("DELETE FROM account WHERE login_index IS NULL")
    op.drop_constraint(op.f("ck_account_taken_up"), "account")
    op.drop_constraint(op.f("ck_account_duty"), "account")
    op.alter_column("account", "password_hash", nullable=False)
    op.alter_column("account", "login_index", nullable=False)
    for column in ("signed_in_at", "asked_index", "name_sealed", "duty"):
        op.drop_column("account", column)
