"""Make the row whose age on a replica is the replica's lag."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "heartbeat",
        sa.Column("only_row", sa.Boolean(), nullable=False),
        sa.Column("beaten_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_heartbeat_one_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_heartbeat")),
        postgresql_with={"fillfactor": 10},
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON heartbeat TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_table("heartbeat")
