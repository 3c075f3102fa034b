"""Write the gate's decisions as the entry rules do: ADMIT, ADMIT_AFTER_TEST, HOLD, REFUSE."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute("UPDATE scan SET decision = upper(decision)")


def downgrade() -> None:
    """Undo."""
    op.execute("UPDATE scan SET decision = lower(decision)")
