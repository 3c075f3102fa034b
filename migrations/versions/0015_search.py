"""Let a day's tickets and lots be found without reading all others.

A range index costs next to nothing to keep: rows come in nearly in the order of their instants.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_ticket_sold_at", "ticket", ["sold_at"], postgresql_using="brin")
    op.create_index("ix_lot_created_at", "lot", ["created_at"], postgresql_using="brin")


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_lot_created_at", table_name="lot")
    op.drop_index("ix_ticket_sold_at", table_name="ticket")
