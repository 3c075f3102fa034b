"""Bound what is sampled of any goods, and how late the books may hear of something."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "sample_allowance",
        sa.Column("held", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.alter_column("sample_allowance", "held", server_default=None)
    op.drop_constraint("pk_sample_allowance", "sample_allowance", type_="primary")
    op.create_primary_key(
        "pk_sample_allowance", "sample_allowance", ["layer", "held", "valid_from"]
    )
    op.add_column(
        "sample",
        sa.Column("on_the_way", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    # The log knows which samples so far left a vehicle, and no lot.
    op.execute("""
        UPDATE sample SET on_the_way = true FROM entry
        WHERE entry.subject = sample.public_id AND entry.kind = 'sample.taken-on-the-way'
    """)
    op.create_table(
        "gate_sample",
        sa.Column("sample_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["sample.id"], name=op.f("fk_gate_sample_sample_id")
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["inspection_line.id"], name=op.f("fk_gate_sample_line_id")
        ),
        sa.PrimaryKeyConstraint("sample_id", name=op.f("pk_gate_sample")),
    )
    op.create_index("ix_gate_sample_line_id", "gate_sample", ["line_id"])
    op.create_table(
        "lateness_rule",
        sa.Column("no", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("hours", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_lateness_rule_dates")
        ),
        sa.CheckConstraint("hours > 0", name=op.f("ck_lateness_rule_hours")),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_lateness_rule")),
        sa.UniqueConstraint("no", name=op.f("uq_lateness_rule_no")),
    )
    op.execute("GRANT SELECT ON lateness_rule TO ypt_app")
    op.execute("GRANT SELECT, INSERT ON gate_sample TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_table("lateness_rule")
    op.drop_table("gate_sample")
    op.drop_column("sample", "on_the_way")
    op.execute("DELETE FROM sample_allowance WHERE NOT held")
    op.drop_constraint("pk_sample_allowance", "sample_allowance", type_="primary")
    op.create_primary_key("pk_sample_allowance", "sample_allowance", ["layer", "valid_from"])
    op.drop_column("sample_allowance", "held")
