"""Keep the clock for the answer to a report, who has read a notice, and what a feed pushed last."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.core.calendar import add_working_days

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

RULES = ("decide", "per_address", "per_document", "photos", "photos_kib")
CLOCKS = ("answer", "extend", "extensions")
STEPS = ("take_up", "answer", "refer")
ANSWER_WORKING_DAYS = 15
"""Of reports that are older than their clock; for new ones the rule of the day says it."""


def _one_of(table: str, words: tuple[str, ...]) -> None:
    op.drop_constraint(op.f(f"ck_{table}_kind"), table)
    listed = ", ".join(f"'{word}'" for word in words)
    op.create_check_constraint(op.f(f"ck_{table}_kind"), table, f"kind IN ({listed})")


def _answer_clock() -> None:
    op.add_column("report", sa.Column("answer_due_on", sa.Date(), nullable=True))
    op.add_column("report", sa.Column("extended_by", sa.Uuid(), nullable=True))
    connection = op.get_bind()
    for received_on in connection.scalars(sa.text("SELECT DISTINCT received_on FROM report")).all():
        connection.execute(
            sa.text("UPDATE report SET answer_due_on = :due WHERE received_on = :received"),
            {
                "due": add_working_days(received_on, ANSWER_WORKING_DAYS).on,
                "received": received_on,
            },
        )
    op.alter_column("report", "answer_due_on", nullable=False)
    op.create_index(
        "ix_report_unanswered",
        "report",
        ["answer_due_on"],
        postgresql_where=sa.text("state = 'taken_up'"),
    )
    op.add_column("report_step", sa.Column("approved_by", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_report_step_approved"),
        "report_step",
        "(approved_by IS NOT NULL) = (kind = 'extend')",
    )
    op.execute("GRANT UPDATE (answer_due_on, extended_by) ON report TO ypt_app")


def _read_marks() -> None:
    op.create_table(
        "notice_mark",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("notice_id", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_notice_mark_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_mark_notice_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "notice_id", name=op.f("pk_notice_mark")),
    )
    op.create_index(op.f("ix_notice_mark_notice_id"), "notice_mark", ["notice_id"])
    # A mark of a whole party, which nothing ever set.
    op.drop_column("notice", "read_at")
    op.execute("GRANT SELECT, INSERT ON notice_mark TO ypt_app")


def upgrade() -> None:
    """Apply."""
    _read_marks()
    op.add_column(
        "test_source", sa.Column("last_push_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("test_source", sa.Column("last_push", JSONB(), nullable=True))
    op.create_check_constraint(
        op.f("ck_test_source_last_push"),
        "test_source",
        "(last_push_at IS NULL) = (last_push IS NULL)",
    )
    _one_of("report_rule", (*RULES, *CLOCKS))
    _one_of("report_step", (*STEPS, "extend"))
    _answer_clock()


def downgrade() -> None:
    """Undo."""
    op.drop_column("test_source", "last_push")
    op.drop_column("test_source", "last_push_at")
    op.drop_table("notice_mark")
    op.add_column("notice", sa.Column("read_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("ck_report_step_approved"), "report_step")
    op.drop_column("report_step", "approved_by")
    op.drop_index("ix_report_unanswered", table_name="report")
    op.drop_column("report", "extended_by")
    op.drop_column("report", "answer_due_on")
    op.execute("DELETE FROM report_step WHERE kind = 'extend'")
    op.execute("DELETE FROM report_rule WHERE kind IN ('answer', 'extend', 'extensions')")
    _one_of("report_step", STEPS)
    _one_of("report_rule", RULES)
