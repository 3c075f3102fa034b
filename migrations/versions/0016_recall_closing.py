"""Let offices take back hand-overs of recalled goods, and put off the end of a case's handling."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

CLOCKS = (
    "'objection_quick', 'objection_lab', 'retest_report', 'publication', 'handling_start', "
    "'handling_finish', 'lab_report'"
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "recall_annulment",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("accountable", sa.Text(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("annulled_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_recall_annulment_mass_g")),
        sa.ForeignKeyConstraint(
            ["party_id"], ["party.id"], name=op.f("fk_recall_annulment_party_id")
        ),
        sa.ForeignKeyConstraint(
            ["recall_id"], ["recall.id"], name=op.f("fk_recall_annulment_recall_id")
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["ticket.id"], name=op.f("fk_recall_annulment_ticket_id")
        ),
        sa.PrimaryKeyConstraint("ticket_id", name=op.f("pk_recall_annulment")),
    )
    op.create_index("ix_recall_annulment_recall_id", "recall_annulment", ["recall_id"])
    op.create_table(
        "extension_rule",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount > 0 AND most > 0", name=op.f("ck_extension_rule_amount")),
        sa.CheckConstraint(
            "authority IN ('agriculture', 'market_regulation', 'any')",
            name=op.f("ck_extension_rule_authority"),
        ),
        sa.CheckConstraint(f"kind IN ({CLOCKS})", name=op.f("ck_extension_rule_kind")),
        sa.CheckConstraint(
            "unit IN ('hours', 'days', 'working_days')", name=op.f("ck_extension_rule_unit")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_extension_rule_valid_some_time")),
        sa.PrimaryKeyConstraint("kind", "authority", "valid_from", name=op.f("pk_extension_rule")),
    )
    op.create_table(
        "deadline_extension",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("deadline_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("due_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("due_at > due_before", name=op.f("ck_deadline_extension_later")),
        sa.ForeignKeyConstraint(
            ["deadline_id"], ["deadline.id"], name=op.f("fk_deadline_extension_deadline_id")
        ),
        sa.ForeignKeyConstraint(
            ["made_by"], ["party.id"], name=op.f("fk_deadline_extension_made_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deadline_extension")),
        sa.UniqueConstraint("public_id", name=op.f("uq_deadline_extension_public_id")),
    )
    op.create_index("ix_deadline_extension_deadline_id", "deadline_extension", ["deadline_id"])
    op.execute("GRANT SELECT ON extension_rule TO ypt_app")
    op.execute("GRANT SELECT, INSERT ON recall_annulment, deadline_extension TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_table("deadline_extension")
    op.drop_table("extension_rule")
    op.drop_table("recall_annulment")
