"""Address samples to laboratories, let a refusal show photos, and count holds in working days."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    # A test is looked up by the number that stands on a paper, whoever took the sample.
    op.create_index("ix_sample_number", "sample", ["number"])
    op.create_index("ix_test_report_number", "test", [sa.text("(raw ->> 'report_number')")])
    op.create_table(
        "sample_commission",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("lab_id", sa.BigInteger(), nullable=False),
        sa.Column("sent_by", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lab_id"], ["party.id"], name=op.f("fk_sample_commission_lab_id")),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["sample.id"], name=op.f("fk_sample_commission_sample_id")
        ),
        sa.ForeignKeyConstraint(
            ["sent_by"], ["party.id"], name=op.f("fk_sample_commission_sent_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample_commission")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sample_commission_public_id")),
        sa.UniqueConstraint(
            "sample_id", "lab_id", name=op.f("uq_sample_commission_sample_id_lab_id")
        ),
    )
    op.create_index(
        "ix_sample_commission_lab_id_sample_id", "sample_commission", ["lab_id", "sample_id"]
    )
    op.execute("GRANT SELECT, INSERT ON sample_commission TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")
    op.add_column(
        "ticket_state",
        sa.Column("evidence_ids", postgresql.ARRAY(sa.BigInteger()), nullable=True),
    )
    # A certificate alone is looked up at every gate, as a ticket is.
    op.create_index("ix_inspection_line_certificate_id", "inspection_line", ["certificate_id"])
    op.add_column(
        "ruling",
        sa.Column("findings", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
    )
    op.alter_column("ruling", "findings", server_default=None)
    # Five working days of seven: what an authority has set stays as long as it was, or a day more.
    op.execute("""
        UPDATE warning_rule SET parameters = parameters - 'hold_days' || jsonb_build_object(
            'hold_working_days', ceil((parameters ->> 'hold_days')::numeric * 5 / 7)::int
        ) WHERE code = 'deadline-overdue' AND parameters ? 'hold_days'
    """)


def downgrade() -> None:
    """Undo."""
    op.drop_column("ticket_state", "evidence_ids")
    op.drop_column("ruling", "findings")
    op.drop_index("ix_inspection_line_certificate_id", table_name="inspection_line")
    op.drop_table("sample_commission")
    op.drop_index("ix_test_report_number", table_name="test")
    op.drop_index("ix_sample_number", table_name="sample")
    op.execute("""
        UPDATE warning_rule SET parameters = parameters - 'hold_working_days' || jsonb_build_object(
            'hold_days', (parameters ->> 'hold_working_days')::int * 7 / 5
        ) WHERE code = 'deadline-overdue' AND parameters ? 'hold_working_days'
    """)
