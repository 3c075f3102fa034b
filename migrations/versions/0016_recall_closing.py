"""Let offices take back hand-overs of recalled goods, and put off the end of a case's handling."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


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
    op.execute("GRANT SELECT, INSERT ON recall_annulment TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_table("recall_annulment")
