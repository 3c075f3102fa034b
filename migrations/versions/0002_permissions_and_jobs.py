"""Let the server's role append and not rewrite; make the job table."""

import re
from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APP_ROLE = "ypt_app"
JOBS = Path(__file__).parents[1] / "pgqueuer-1.6.0.sql"

# What is stated once and for all: the server adds rows and reads them.
APPENDED = (
    "certificate",
    "certificate_void",
    "entry",
    "event",
    "lot_change",
    "scan",
    "ticket",
    "ticket_draw",
    "ticket_line",
)
# What the server also changes, but never removes.
CHANGED = (
    "account",
    "api_key",
    "hold",
    "invitation",
    "lot",
    "lot_balance",
    "lot_edge",
    "notice",
    "party",
    "party_role",
    "place",
    "ticket_receipt",
    "ticket_state",
)
# What only an operator loads, by `ypt migrate` or `ypt key`.
READ = (
    "catalogue_version",
    "certificate_duty",
    "certificate_form",
    "division",
    "process",
    "product",
    "product_requirement",
    "product_synonym",
    "product_unit",
    "reporting_unit",
    "reporting_unit_division",
    "signing_key",
    "ticket_validity",
    "tolerance",
    "unit",
    "yield_band",
)
# Sign-ins end, jobs are done: these rows go.
REMOVED = ("pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics", "session")
NEVER_REWRITTEN = ("entry", "ticket", "ticket_line", "ticket_draw", "certificate")


def upgrade() -> None:
    """Apply."""
    for statement in re.split(r";\n\n(?=CREATE)", JOBS.read_text(encoding="utf-8")):
        op.execute(statement.replace(":", r"\:"))
    # Roles belong to the whole server, and several databases may be migrated at the same time.
    op.execute(f"""
        DO $$ BEGIN
            CREATE ROLE {APP_ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
    """)
    # Whoever migrates may act as the server's role, so that one database URL is enough to begin.
    op.execute(f"""
        DO $$ BEGIN
            IF NOT pg_has_role(current_user, '{APP_ROLE}', 'MEMBER') THEN
                EXECUTE format('GRANT {APP_ROLE} TO %I', current_user);
            END IF;
        END $$
    """)
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")
    op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE}")
    for tables, rights in (
        (APPENDED, "SELECT, INSERT"),
        (CHANGED, "SELECT, INSERT, UPDATE"),
        (READ, "SELECT"),
        (REMOVED, "SELECT, INSERT, UPDATE, DELETE"),
    ):
        op.execute(f"GRANT {rights} ON {', '.join(tables)} TO {APP_ROLE}")
    op.execute("""
        CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '42501';
        END $$
    """)
    for table in NEVER_REWRITTEN:
        op.execute(f"""
            CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()
        """)


def downgrade() -> None:
    """Undo."""
    for table in NEVER_REWRITTEN:
        op.execute(f"DROP TRIGGER refuse_rewriting ON {table}")
    op.execute("DROP FUNCTION refuse_rewriting()")
    op.execute("DROP TABLE pgqueuer, pgqueuer_log, pgqueuer_schedules, pgqueuer_statistics")
    op.execute("DROP FUNCTION fn_pgqueuer_changed()")
    op.execute("DROP TYPE pgqueuer_status")
    op.execute(f"DROP OWNED BY {APP_ROLE}")
