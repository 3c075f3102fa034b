"""Let gates upload quick tests, and show an office when its devices were last there.

A statement of a device is about an inspection or about a test: its column is named for both.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.alter_column("gate_upload", "inspection", new_column_name="subject")
    op.execute(
        "ALTER TABLE gate_upload RENAME CONSTRAINT uq_gate_upload_inspection"
        " TO uq_gate_upload_subject"
    )
    op.add_column("gate_device", sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("gate_device", sa.Column("list_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_sample_taken_by_id", "sample", ["taken_by", "id"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_sample_taken_by_id", table_name="sample")
    op.drop_column("gate_device", "list_at")
    op.drop_column("gate_device", "seen_at")
    op.execute(
        "ALTER TABLE gate_upload RENAME CONSTRAINT uq_gate_upload_subject"
        " TO uq_gate_upload_inspection"
    )
    op.alter_column("gate_upload", "subject", new_column_name="inspection")
