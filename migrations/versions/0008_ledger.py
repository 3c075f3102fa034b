"""Ledgers: what the law asks of them, who looked into them, and the way to a month of tickets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "statutory_field",
        sa.Column("ledger", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "ledger IN ('purchases', 'sales')", name=op.f("ck_statutory_field_ledger")
        ),
        sa.CheckConstraint("place IN ('head', 'row')", name=op.f("ck_statutory_field_place")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_statutory_field_dates")
        ),
        sa.PrimaryKeyConstraint("ledger", "field", "valid_from", name=op.f("pk_statutory_field")),
    )
    op.create_table(
        "retention_rule",
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("months", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint("basis IN ('law', 'platform')", name=op.f("ck_retention_rule_basis")),
        sa.CheckConstraint("months > 0", name=op.f("ck_retention_rule_months")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_retention_rule_dates")
        ),
        sa.PrimaryKeyConstraint("record", "role", "valid_from", name=op.f("pk_retention_rule")),
    )
    op.create_table(
        "ledger_access",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caller_id", sa.BigInteger(), nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("ledger", sa.Text(), nullable=False),
        sa.Column("month_on", sa.Date(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("opened_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.CheckConstraint(
            "ledger IN ('purchases', 'sales')", name=op.f("ck_ledger_access_ledger")
        ),
        sa.ForeignKeyConstraint(
            ["caller_id"], ["party.id"], name=op.f("fk_ledger_access_caller_id")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_ledger_access_account_id")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["party.id"], name=op.f("fk_ledger_access_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_access")),
    )
    op.create_index(
        op.f("ix_ledger_access_owner_id_looked_at"), "ledger_access", ["owner_id", "looked_at"]
    )
    op.create_index("ix_ticket_seller_id_sold_at", "ticket", ["seller_id", "sold_at"])
    op.create_index("ix_ticket_buyer_id_sold_at", "ticket", ["buyer_id", "sold_at"])
    op.create_index(
        "ix_lot_holder_id_declared",
        "lot",
        ["holder_id", "created_at"],
        postgresql_where=sa.text("origin = 'declare'"),
    )
    op.execute("GRANT SELECT ON statutory_field, retention_rule TO ypt_app")
    # A look that was recorded is never taken back.
    op.execute("GRANT SELECT, INSERT ON ledger_access TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_lot_holder_id_declared", "lot")
    op.drop_index("ix_ticket_buyer_id_sold_at", "ticket")
    op.drop_index("ix_ticket_seller_id_sold_at", "ticket")
    op.drop_table("ledger_access")
    op.drop_table("retention_rule")
    op.drop_table("statutory_field")
