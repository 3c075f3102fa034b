"""Keep photos of reports, reminders of their clocks, and where reports and test devices stand."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

KINDS = ("decide", "per_address", "per_document")


def _kinds(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_report_rule_kind"), "report_rule")
    words = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_report_rule_kind"), "report_rule", f"kind IN ({words})")


def upgrade() -> None:
    """Apply."""
    _kinds((*KINDS, "photos", "photos_kib"))
    op.create_table(
        "report_photo",
        sa.Column("report_id", sa.BigInteger(), nullable=False),
        sa.Column("no", sa.SmallInteger(), nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("width_px", sa.BigInteger(), nullable=False),
        sa.Column("height_px", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_sha256"],
            ["evidence_content.sha256"],
            name=op.f("fk_report_photo_content_sha256"),
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_report_photo_report_id")
        ),
        sa.PrimaryKeyConstraint("report_id", "no", name=op.f("pk_report_photo")),
    )
    op.create_index(op.f("ix_report_photo_content_sha256"), "report_photo", ["content_sha256"])
    for name in ("due_told_at", "late_told_at"):
        op.add_column("report", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_report_waiting", "report", ["due_on"], postgresql_where=sa.text("state = 'received'")
    )
    for name in ("division_code", "department"):
        op.add_column("report_step", sa.Column(name, sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_report_step_referred_to"),
        "report_step",
        "(division_code IS NULL) = (department IS NULL)"
        " AND (division_code IS NULL OR kind = 'refer')",
    )
    op.add_column("test_source", sa.Column("place_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_test_source_place_id"), "test_source", "place", ["place_id"], ["id"]
    )
    op.execute("GRANT SELECT, INSERT ON report_photo TO ypt_app")
    op.execute("GRANT UPDATE (due_told_at, late_told_at) ON report TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_column("test_source", "place_id")
    op.drop_constraint(op.f("ck_report_step_referred_to"), "report_step")
    op.drop_column("report_step", "department")
    op.drop_column("report_step", "division_code")
    op.drop_index("ix_report_waiting", table_name="report")
    op.drop_column("report", "late_told_at")
    op.drop_column("report", "due_told_at")
    op.drop_table("report_photo")
    op.execute("DELETE FROM report_rule WHERE kind IN ('photos', 'photos_kib')")
    _kinds(KINDS)
