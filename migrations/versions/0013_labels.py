"""Labels: rolls of blank ones, and what each came to stand for."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("label_binding", "label", "label_roll")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "label_roll",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.SmallInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("labels > 0", name=op.f("ck_label_roll_labels")),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_label_roll_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_roll")),
        sa.UniqueConstraint("public_id", name=op.f("uq_label_roll_public_id")),
    )
    op.create_index(op.f("ix_label_roll_party_id"), "label_roll", ["party_id"])
    op.create_table(
        "label",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("roll_id", sa.BigInteger(), nullable=False),
        sa.Column("no", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["roll_id"], ["label_roll.id"], name=op.f("fk_label_roll_id")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_label")),
    )
    op.create_index(op.f("ix_label_roll_id"), "label", ["roll_id"])
    op.create_table(
        "label_binding",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("lot_id", sa.BigInteger(), nullable=True),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(ticket_id IS NULL) <> (lot_id IS NULL)",
            name=op.f("ck_label_binding_one_subject"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_label_binding_account_id")
        ),
        sa.ForeignKeyConstraint(["code"], ["label.code"], name=op.f("fk_label_binding_code")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_label_binding_lot_id")),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_label_binding_party_id")),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["ticket.id"], name=op.f("fk_label_binding_ticket_id")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_label_binding")),
    )
    op.create_index(op.f("ix_label_binding_lot_id"), "label_binding", ["lot_id"])
    op.create_index(op.f("ix_label_binding_ticket_id"), "label_binding", ["ticket_id"])
    # What was printed and stuck on goods is never changed or removed.
    op.execute(f"GRANT SELECT, INSERT ON {', '.join(TABLES)} TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def downgrade() -> None:
    """Undo."""
    for table in TABLES:
        op.drop_table(table)
