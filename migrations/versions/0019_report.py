"""Let anybody report a problem with goods, and offices take it up, answer it or refer it."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "report_rule",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("amount", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_report_rule_amount")),
        sa.CheckConstraint(
            "kind IN ('decide', 'per_address', 'per_document')", name=op.f("ck_report_rule_kind")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_report_rule_valid_some_time")),
        sa.PrimaryKeyConstraint("kind", "valid_from", name=op.f("pk_report_rule")),
    )
    op.create_table(
        "report",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("document", sa.Uuid(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("contact_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("sender", sa.LargeBinary(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("taken_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "problem IN ('unsafe', 'ill', 'label_differs', 'copied', 'short_weight', 'other')",
            name=op.f("ck_report_problem"),
        ),
        sa.CheckConstraint(
            "state IN ('received', 'taken_up', 'answered')", name=op.f("ck_report_state")
        ),
        sa.CheckConstraint(
            "department IN ('agriculture', 'market_regulation')",
            name=op.f("ck_report_department"),
        ),
        sa.CheckConstraint(
            "(state = 'answered') = (answer IS NOT NULL)", name=op.f("ck_report_answered")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint("code", name=op.f("uq_report_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_report_public_id")),
    )
    op.create_index("ix_report_sender", "report", ["sender"])
    op.create_index("ix_report_document_received_on", "report", ["document", "received_on"])
    op.create_index("ix_report_division_code_state", "report", ["division_code", "state"])
    op.create_table(
        "report_step",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("report_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('take_up', 'answer', 'refer')", name=op.f("ck_report_step_kind")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_report_step_party_id")),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_report_step_report_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_step")),
        sa.UniqueConstraint("public_id", name=op.f("uq_report_step_public_id")),
    )
    op.create_index("ix_report_step_report_id", "report_step", ["report_id"])
    op.execute("GRANT SELECT ON report_rule TO ypt_app")
    op.execute("GRANT SELECT, INSERT ON report, report_step TO ypt_app")
    op.execute(
        "GRANT UPDATE (state, division_code, department, taken_up_at, answer, answered_at)"
        " ON report TO ypt_app"
    )
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_table("report_step")
    op.drop_table("report")
    op.drop_table("report_rule")
