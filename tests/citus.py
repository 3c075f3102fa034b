"""Stands in for Citus on plain PostgreSQL: takes its calls, and holds tables to its written rules.

It spreads nothing. What it refuses is what the documentation of Citus says is refused about keys,
foreign keys, triggers and partitions (docs/scale.md names the pages); whether Citus accepts all
that passes here, only a cluster can tell.
"""

STAND_IN = (
    "CREATE SCHEMA stand_in",
    "CREATE TABLE stand_in.placed (relation regclass PRIMARY KEY, by_column name, home name)",
    # What both calls ask of a table.
    """
    CREATE FUNCTION stand_in.check_table(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM stand_in.placed p WHERE p.relation = check_table.relation) THEN
            RAISE EXCEPTION 'table % is already distributed', relation;
        END IF;
        IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND NOT tgisinternal) THEN
            RAISE EXCEPTION 'triggers are not supported on %', relation;
        END IF;
        IF (SELECT relispartition FROM pg_class WHERE oid = relation) THEN
            RAISE EXCEPTION '% is a partition: distribute its parent', relation;
        END IF;
        IF EXISTS (
            SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = relation AND c.relkind = 'p'
        ) THEN
            RAISE EXCEPTION 'multi-level partitioned tables are not supported: %', relation;
        END IF;
        IF EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = relation AND attidentity <> '' AND atttypid <> 'bigint'::regtype
        ) THEN
            RAISE EXCEPTION 'identity columns must be bigint: %', relation;
        END IF;
    END $$
    """,
    """
    CREATE FUNCTION create_reference_table(relation regclass) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE
        bad record;
    BEGIN
        PERFORM stand_in.check_table(relation);
        SELECT c.conname, c.confrelid::regclass AS target INTO bad FROM pg_constraint c
        WHERE c.contype = 'f' AND c.conrelid = relation AND c.confrelid <> relation
            AND NOT EXISTS (
                SELECT FROM stand_in.placed p WHERE p.relation = c.confrelid AND p.by_column IS NULL
            );
        IF FOUND THEN
            RAISE EXCEPTION 'reference table % cannot refer to % (%)', relation, bad.target,
                bad.conname;
        END IF;
        INSERT INTO stand_in.placed VALUES (relation, NULL, NULL);
    END $$
    """,
    """
    CREATE FUNCTION create_distributed_table(
        relation regclass, by_column text, colocate_with text DEFAULT 'default'
    ) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        place smallint;
        kind oid;
        bad record;
        own_home name;
    BEGIN
        PERFORM stand_in.check_table(relation);
        SELECT attnum, atttypid INTO place, kind FROM pg_attribute
        WHERE attrelid = relation AND attname = by_column AND attnotnull;
        IF NOT FOUND THEN
            RAISE EXCEPTION '% has no column % that is never null', relation, by_column;
        END IF;
        IF colocate_with = 'none' THEN
            own_home := relation::text;
        ELSE
            SELECT p.home INTO own_home
            FROM stand_in.placed p JOIN pg_attribute a
                ON a.attrelid = p.relation AND a.attname = p.by_column AND a.atttypid = kind
            WHERE p.relation = colocate_with::regclass;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'cannot colocate tables % and %', relation, colocate_with;
            END IF;
        END IF;
        SELECT i.indexrelid::regclass AS name INTO bad FROM pg_index i
        WHERE i.indrelid = relation AND i.indisunique AND NOT place = ANY(i.indkey);
        IF FOUND THEN
            RAISE EXCEPTION 'unique index % must contain % of %', bad.name, by_column, relation;
        END IF;
        INSERT INTO stand_in.placed VALUES (relation, by_column, own_home);
        SELECT c.conname, c.confrelid::regclass AS target INTO bad FROM pg_constraint c
        WHERE c.contype = 'f' AND c.conrelid = relation AND NOT EXISTS (
            SELECT FROM stand_in.placed p
            WHERE p.relation = c.confrelid AND (
                p.by_column IS NULL OR p.home = own_home AND EXISTS (
                    SELECT FROM unnest(c.conkey, c.confkey) AS k (here, there)
                    JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.there
                    WHERE k.here = place AND a.attname = p.by_column
                )
            )
        );
        IF FOUND THEN
            RAISE EXCEPTION 'foreign key % of % to % crosses nodes', bad.conname, relation,
                bad.target;
        END IF;
    END $$
    """,
)

LEFT_OVER = """
    SELECT c.conrelid::regclass::text || '.' || c.conname FROM pg_constraint c
    JOIN stand_in.placed there ON there.relation = c.confrelid
    LEFT JOIN stand_in.placed here ON here.relation = c.conrelid
    WHERE c.contype = 'f' AND there.by_column IS NOT NULL AND here.by_column IS NULL
        AND NOT (SELECT relispartition FROM pg_class WHERE oid = c.conrelid)
"""
"""Foreign keys to distributed tables from tables that are not."""

UNPLACED = """
    SELECT c.relname FROM pg_class c
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relnamespace = 'public'::regnamespace
        AND c.oid NOT IN (SELECT relation FROM stand_in.placed)
    ORDER BY 1
"""
"""Tables that stay on the coordinator."""
