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
    # Five working days of seven: what an authority has set stays as long as it was, or a day more.
    op.execute("""
        UPDATE warning_rule SET parameters = parameters - 'hold_days' || jsonb_build_object(
            'hold_working_days', ceil((parameters ->> 'hold_days')::numeric * 5 / 7)::int
        ) WHERE code = 'deadline-overdue' AND parameters ? 'hold_days'
    """)


def downgrade() -> None:
    """Undo."""
    op.execute("""
        UPDATE warning_rule SET parameters = parameters - 'hold_working_days' || jsonb_build_object(
            'hold_days', (parameters ->> 'hold_working_days')::int * 7 / 5
        ) WHERE code = 'deadline-overdue' AND parameters ? 'hold_working_days'
    """)
