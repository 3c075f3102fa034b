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
    op.drop_column("ruling", "findings")
    op.drop_index("ix_inspection_line_certificate_id", table_name="inspection_line")
    op.drop_index("ix_test_report_number", table_name="test")
    op.drop_index("ix_sample_number", table_name="sample")
    op.execute("""
        UPDATE warning_rule SET parameters = parameters - 'hold_working_days' || jsonb_build_object(
            'hold_days', (parameters ->> 'hold_working_days')::int * 7 / 5
        ) WHERE code = 'deadline-overdue' AND parameters ? 'hold_working_days'
    """)
