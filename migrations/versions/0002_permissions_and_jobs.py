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


# The server's role may ask for partitions and cannot make tables: the functions run as the owner.
# Rows that no month fits (a clock that is far off) go into the default partition; a month is then
# made around them only once somebody has looked, and until then nothing is refused.
PARTITION_FUNCTIONS = (
    # A trigger on the whole does not see who rewrites a part.
    """
    CREATE FUNCTION guard_partition(child regclass, parent regclass) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    BEGIN
        IF parent = 'entry'::regclass THEN
            EXECUTE format(
                'CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
                'FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()', child
            );
        END IF;
    END $$
    """,
    """
    CREATE FUNCTION make_partition(parent regclass, month date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    DECLARE
        child text := format('%s_%s', parent, to_char(month, 'YYYYMM'));
    BEGIN
        IF to_regclass(child) IS NOT NULL THEN
            RETURN false;
        END IF;
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', child, parent,
            (month::timestamp AT TIME ZONE 'UTC'),
            ((month + interval '1 month')::timestamp AT TIME ZONE 'UTC')
        );
        PERFORM guard_partition(child::regclass, parent);
        RETURN true;
    EXCEPTION WHEN check_violation THEN
        RAISE WARNING 'rows of % lie in the default partition of %', month, parent;
        RETURN false;
    END $$
    """,
    """
    CREATE FUNCTION make_partitions(months_ahead int) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    DECLARE
        parent regclass;
        made int := 0;
    BEGIN
        FOREACH parent IN ARRAY ARRAY['event', 'entry']::regclass[] LOOP
            IF to_regclass(parent || '_default') IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %I PARTITION OF %s DEFAULT', parent || '_default', parent
                );
                PERFORM guard_partition((parent || '_default')::regclass, parent);
            END IF;
            FOR ahead IN 0..months_ahead LOOP
                made := made + make_partition(
                    parent, (date_trunc('month', now()) + make_interval(months => ahead))::date
                )::int;
            END LOOP;
        END LOOP;
        RETURN made;
    END $$
    """,
    """
    CREATE FUNCTION detach_partitions(parent regclass, before date) RETURNS text[]
    LANGUAGE plpgsql SET search_path = public AS $$
    DECLARE
        child record;
        detached text[] := '{}';
    BEGIN
        FOR child IN
            SELECT i.inhrelid::regclass AS name FROM pg_inherits i
            WHERE i.inhparent = parent AND i.inhrelid::regclass::text ~ '_[0-9]{6}$'
                AND to_date(right(i.inhrelid::regclass::text, 6), 'YYYYMM')
                    + interval '1 month' <= before
            ORDER BY 1
        LOOP
            EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, child.name);
            detached := detached || child.name::text;
        END LOOP;
        RETURN detached;
    END $$
    """,
    "REVOKE EXECUTE ON FUNCTION guard_partition(regclass, regclass) FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION make_partition(regclass, date) FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION make_partitions(int) FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION detach_partitions(regclass, date) FROM PUBLIC",
)


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
    for function in PARTITION_FUNCTIONS:
        op.execute(function)
    op.execute(f"GRANT EXECUTE ON FUNCTION make_partitions(int) TO {APP_ROLE}")
    op.execute("SELECT make_partitions(3)")
    for table in NEVER_REWRITTEN:
        op.execute(f"""
            CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()
        """)


def downgrade() -> None:
    """Undo."""
    for table in NEVER_REWRITTEN:
        op.execute(f"DROP TRIGGER refuse_rewriting ON {table}")
    op.execute("DROP FUNCTION refuse_rewriting() CASCADE")
    op.execute("DROP FUNCTION guard_partition(regclass, regclass)")
    op.execute("DROP FUNCTION make_partitions(int)")
    op.execute("DROP FUNCTION make_partition(regclass, date)")
    op.execute("DROP FUNCTION detach_partitions(regclass, date)")
    op.execute("DROP TABLE pgqueuer, pgqueuer_log, pgqueuer_schedules, pgqueuer_statistics")
    op.execute("DROP FUNCTION fn_pgqueuer_changed()")
    op.execute("DROP TYPE pgqueuer_status")
    op.execute(f"DROP OWNED BY {APP_ROLE}")
