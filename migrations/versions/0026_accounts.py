"""Keep codes for forgotten passwords, who made a key, and when a name was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("given_by", sa.BigInteger(), nullable=False),
        _instant("created_at"),
        _instant("expires_at"),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("tries_max", sa.SmallInteger(), nullable=False),
        _instant("used_at", nullable=True),
        _instant("ended_at", nullable=True),
        sa.CheckConstraint("purpose IN ('claim', 'reset')", name=op.f("ck_account_code_purpose")),
        sa.CheckConstraint(
            "used_at IS NULL OR ended_at IS NULL", name=op.f("ck_account_code_one_end")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_code_account_id")
        ),
        sa.ForeignKeyConstraint(["given_by"], ["party.id"], name=op.f("fk_account_code_given_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_account_code_public_id")),
    )
    op.create_index("ix_account_code_account_id", "account_code", ["account_id"])
    op.create_index(
        "uq_account_code_open",
        "account_code",
        ["account_id"],
        unique=True,
        postgresql_where=sa.text("used_at IS NULL AND ended_at IS NULL"),
    )
    op.create_table(
        "account_rule",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("amount", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('reset_hours', 'reset_tries')", name=op.f("ck_account_rule_kind")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_account_rule_amount")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_account_rule_dates")
        ),
        sa.PrimaryKeyConstraint("kind", "valid_from", name=op.f("pk_account_rule")),
    )
    op.create_table(
        "ended_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        _instant("ended_at"),
        _instant("expires_at"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_ended_session")),
    )
    op.create_index(op.f("ix_ended_session_expires_at"), "ended_session", ["expires_at"])
    op.add_column("account", _instant("erased_at", nullable=True))
    op.create_index(
        "ix_account_left",
        "account",
        ["disabled_at"],
        postgresql_where=sa.text("disabled_at IS NOT NULL AND erased_at IS NULL"),
    )
    op.add_column("api_key", sa.Column("made_by", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_api_key_made_by"), "api_key", "account", ["made_by"], ["id"])
    op.create_index(op.f("ix_api_key_made_by"), "api_key", ["made_by"])
    op.execute("GRANT SELECT ON account_rule TO ypt_app")
    op.execute("GRANT SELECT, INSERT ON account_code TO ypt_app")
    op.execute("GRANT UPDATE (tries, used_at, ended_at) ON account_code TO ypt_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON ended_session TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def downgrade() -> None:
    """Undo; codes that wait are forgotten."""
    op.drop_column("api_key", "made_by")
    op.drop_index("ix_account_left", table_name="account")
    op.drop_column("account", "erased_at")
    op.drop_table("ended_session")
    op.drop_table("account_rule")
    op.drop_table("account_code")
