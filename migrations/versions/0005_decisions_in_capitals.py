"""Write the gate's decisions as the entry rules do: ADMIT, ADMIT_AFTER_TEST, HOLD, REFUSE."""

from alembic import op

revision = "0005_capitals"
down_revision = "0004_evidence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute("UPDATE scan SET decision = upper(decision)")


def downgrade() -> None:
    """Undo."""
    op.execute("UPDATE scan SET decision = lower(decision)")
