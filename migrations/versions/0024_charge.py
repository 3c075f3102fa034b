"""Keep requests to sign a recall off, and what a market states about a case at its gates."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "recall_sign_off",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('completed', 'lifted')", name=op.f("ck_recall_sign_off_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["party_id"], ["party.id"], name=op.f("fk_recall_sign_off_party_id")
        ),
        sa.ForeignKeyConstraint(
            ["recall_id"], ["recall.id"], name=op.f("fk_recall_sign_off_recall_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_sign_off")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recall_sign_off_public_id")),
    )
    op.create_index(op.f("ix_recall_sign_off_recall_id"), "recall_sign_off", ["recall_id"])
    op.execute("GRANT SELECT, INSERT ON recall_sign_off TO ypt_app")
    op.add_column("gate_case", sa.Column("answer", sa.Text(), nullable=True))
    op.add_column("gate_case", sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_gate_case_answered"), "gate_case", "(answer IS NULL) = (answered_at IS NULL)"
    )
    op.execute("GRANT UPDATE (answer, answered_at) ON gate_case TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_constraint(op.f("ck_gate_case_answered"), "gate_case")
    op.drop_column("gate_case", "answered_at")
    op.drop_column("gate_case", "answer")
    op.drop_table("recall_sign_off")
