"""Check the lots of edges by the statement, as lots are never removed.

A foreign key looks up and locks a lot for each end of each edge, one by one: of the 9 ms that a
thousand edges took, 7. Its lock keeps a lot from being removed at the same moment, which nothing
may do to lots: with that refused, what a statement's edges name can be looked up at once.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute("""
        CREATE TRIGGER refuse_rewriting BEFORE DELETE OR TRUNCATE OR UPDATE OF id ON lot
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()
    """)
    op.execute("""
        CREATE TRIGGER refuse_rewriting BEFORE UPDATE OF dst, src ON lot_edge
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()
    """)
    # An array is looked up along the index whatever the planner believes of the rows.
    op.execute("""
        CREATE FUNCTION edges_join_lots() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            named bigint[] := ARRAY(SELECT dst FROM made UNION SELECT src FROM made);
        BEGIN
            IF (SELECT count(*) FROM public.lot WHERE id = ANY (named)) <> cardinality(named) THEN
                RAISE foreign_key_violation USING MESSAGE = 'an edge names a lot that is not there';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER edges_join_lots AFTER INSERT ON lot_edge REFERENCING NEW TABLE AS made
        FOR EACH STATEMENT EXECUTE FUNCTION edges_join_lots()
    """)
    op.drop_constraint(op.f("fk_lot_edge_dst"), "lot_edge", type_="foreignkey")
    op.drop_constraint(op.f("fk_lot_edge_src"), "lot_edge", type_="foreignkey")


def downgrade() -> None:
    """Undo."""
    for end in ("dst", "src"):
        op.create_foreign_key(op.f(f"fk_lot_edge_{end}"), "lot_edge", "lot", [end], ["id"])
    op.execute("DROP TRIGGER edges_join_lots ON lot_edge")
    op.execute("DROP FUNCTION edges_join_lots()")
    for table in ("lot_edge", "lot"):
        op.execute(f"DROP TRIGGER refuse_rewriting ON {table}")
