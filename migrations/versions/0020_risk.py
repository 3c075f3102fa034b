"""Limit samples of goods on hold, tell them apart in a recall, and let a photo prove once."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "sample_allowance",
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("lot_g", sa.BigInteger(), nullable=False),
        sa.Column("permille", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint("lot_g > 0", name=op.f("ck_sample_allowance_lot_g")),
        sa.CheckConstraint("permille BETWEEN 1 AND 999", name=op.f("ck_sample_allowance_permille")),
        sa.CheckConstraint(
            "valid_to > valid_from", name=op.f("ck_sample_allowance_valid_some_time")
        ),
        sa.CheckConstraint(
            "layer IN ('wholesale_market', 'retail_market', 'joint_quick', 'statutory_lab', 'own')",
            name=op.f("ck_sample_allowance_layer"),
        ),
        sa.PrimaryKeyConstraint("layer", "valid_from", name=op.f("pk_sample_allowance")),
    )
    op.add_column(
        "sample",
        sa.Column("while_held", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column(
        "recall_lot",
        sa.Column("sampled_before_g", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.create_table(
        "evidence_proof",
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_sha256"],
            ["evidence_content.sha256"],
            name=op.f("fk_evidence_proof_content_sha256"),
        ),
        sa.PrimaryKeyConstraint("content_sha256", name=op.f("pk_evidence_proof")),
    )
    op.create_index("ix_evidence_proof_subject", "evidence_proof", ["subject"])
    # What disposals have shown so far proves them, the first of each picture.
    op.execute("""
        INSERT INTO evidence_proof (content_sha256, subject)
        SELECT DISTINCT ON (e.content_sha256) e.content_sha256, d.public_id
        FROM recall_disposal d JOIN evidence e ON e.id = ANY(d.evidence_ids)
        ORDER BY e.content_sha256, d.id
    """)
    op.execute("GRANT SELECT ON sample_allowance TO ypt_app")
    op.execute("GRANT SELECT, INSERT ON evidence_proof TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_table("evidence_proof")
    op.drop_column("recall_lot", "sampled_before_g")
    op.drop_column("sample", "while_held")
    op.drop_table("sample_allowance")
