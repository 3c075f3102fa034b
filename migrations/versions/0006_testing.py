"""Make the tables of samples and tests; let a hold say what it rests on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# What is stated once and for all.
APPENDED = ("measure", "sample_step", "test")
# What the server also changes, but never removes.
CHANGED = ("deadline", "objection", "sample", "test_source")
# What only an operator loads, by `ypt migrate`, `ypt limits` or `ypt workday`.
READ = (
    "clock_rule",
    "food_category",
    "quick_method",
    "residue_limit",
    "substance",
    "working_day",
)
EVENT_KINDS = (
    "harvest",
    "catch",
    "lay",
    "slaughter_in",
    "declare",
    "split",
    "merge",
    "transform",
    "loss",
    "destroy",
    "sample",
    "hand_over",
    "return",
    "hold",
    "release",
)
ADDED_KIND = "sample"


def _allow_events(kinds: tuple[str, ...]) -> None:
    op.execute("ALTER TABLE event DROP CONSTRAINT ck_event_kind")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.execute(f"ALTER TABLE event ADD CONSTRAINT ck_event_kind CHECK (kind IN ({listed}))")


def upgrade() -> None:
    """Apply."""
    _allow_events(EVENT_KINDS)
    op.add_column("hold", sa.Column("cause", sa.Text(), nullable=True))
    op.add_column("hold", sa.Column("subject", sa.Uuid(), nullable=True))
    op.execute("UPDATE hold SET cause = 'order'")
    op.alter_column("hold", "cause", nullable=False)
    op.create_check_constraint(op.f("ck_hold_cause"), "hold", "cause IN ('order', 'test')")
    op.create_check_constraint(
        op.f("ck_hold_rests_on_something"), "hold", "(cause = 'order') = (subject IS NULL)"
    )
    op.create_table(
        "clock_rule",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "authority IN ('agriculture', 'market_regulation', 'any')",
            name=op.f("ck_clock_rule_authority"),
        ),
        sa.CheckConstraint(
            "kind IN ('objection_quick', 'objection_lab', 'retest_report', 'publication', 'handling_start', 'handling_finish', 'lab_report')",
            name=op.f("ck_clock_rule_kind"),
        ),
        sa.CheckConstraint(
            "unit IN ('hours', 'days', 'working_days')", name=op.f("ck_clock_rule_unit")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_clock_rule_amount")),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_clock_rule_valid_some_time")),
        sa.PrimaryKeyConstraint("kind", "authority", "valid_from", name=op.f("pk_clock_rule")),
    )
    op.create_table(
        "food_category",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_food_category")),
    )
    op.create_table(
        "quick_method",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("reading", sa.Text(), nullable=False),
        sa.Column("covers", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("suspect_from", sa.Numeric(), nullable=True),
        sa.Column("positive_from", sa.Numeric(), nullable=True),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.Column("interferes", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("advice_zh", sa.Text(), nullable=True),
        sa.Column("advice_en", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(reading = 'inhibition') = (positive_from IS NOT NULL)",
            name=op.f("ck_quick_method_band"),
        ),
        sa.CheckConstraint(
            "reading IN ('inhibition', 'strip', 'colour')", name=op.f("ck_quick_method_reading")
        ),
        sa.CheckConstraint("repeats >= 0", name=op.f("ck_quick_method_repeats")),
        sa.CheckConstraint(
            "suspect_from < positive_from", name=op.f("ck_quick_method_suspect_below_positive")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_quick_method_valid_some_time")),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_quick_method")),
    )
    op.create_table(
        "substance",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("substance_group", sa.Text(), nullable=False),
        sa.Column("aliases", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("plant", sa.Text(), nullable=True),
        sa.Column("animal", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "substance_group IN ('pesticide', 'vet_drug', 'contaminant', 'mycotoxin', 'additive')",
            name=op.f("ck_substance_group"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_substance")),
    )
    op.create_table(
        "working_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("working", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_working_day")),
    )
    op.create_table(
        "residue_limit",
        sa.Column("substance", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("food", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("product_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("except_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("temporary", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.CheckConstraint("scope IN ('product', 'category')", name=op.f("ck_residue_limit_scope")),
        sa.CheckConstraint(
            "state IN ('fresh', 'dried', 'any')", name=op.f("ck_residue_limit_state")
        ),
        sa.CheckConstraint(
            "unit IN ('mg/kg', 'μg/kg', 'µg/kg', 'ug/kg')", name=op.f("ck_residue_limit_unit")
        ),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_residue_limit_amount")),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_residue_limit_valid_some_time")),
        sa.ForeignKeyConstraint(
            ["substance"], ["substance.name"], name=op.f("fk_residue_limit_substance")
        ),
        sa.PrimaryKeyConstraint(
            "substance", "scope", "food", "state", "valid_from", name=op.f("pk_residue_limit")
        ),
    )
    op.create_table(
        "test_source",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("convention", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=True),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "algorithm IN ('hmac-sha256', 'ed25519')", name=op.f("ck_test_source_algorithm")
        ),
        sa.CheckConstraint(
            "authority IN ('agriculture', 'market_regulation')",
            name=op.f("ck_test_source_authority"),
        ),
        sa.CheckConstraint(
            "convention IN ('one_pass_two_fail', 'one_negative_zero_positive')",
            name=op.f("ck_test_source_convention"),
        ),
        sa.CheckConstraint(
            "layer IN ('wholesale_market', 'retail_market', 'joint_quick', 'statutory_lab', 'own')",
            name=op.f("ck_test_source_layer"),
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_test_source_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test_source")),
        sa.UniqueConstraint("public_id", name=op.f("uq_test_source_public_id")),
    )
    op.create_index(op.f("ix_test_source_party_id"), "test_source", ["party_id"], unique=False)
    op.create_table(
        "push_nonce",
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["test_source.id"], name=op.f("fk_push_nonce_source_id")
        ),
        sa.PrimaryKeyConstraint("source_id", "nonce", name=op.f("pk_push_nonce")),
    )
    op.create_index(op.f("ix_push_nonce_seen_at"), "push_nonce", ["seen_at"], unique=False)
    op.create_table(
        "sample",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=True),
        sa.Column("jurisdiction", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("taken_by", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=True),
        sa.Column("samplers", sa.LargeBinary(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("hold_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "authority IN ('agriculture', 'market_regulation')", name=op.f("ck_sample_authority")
        ),
        sa.CheckConstraint(
            "layer IN ('wholesale_market', 'retail_market', 'joint_quick', 'statutory_lab', 'own')",
            name=op.f("ck_sample_layer"),
        ),
        sa.CheckConstraint(
            "purpose IN ('entry', 'self', 'monitoring', 'supervision', 'targeted')",
            name=op.f("ck_sample_purpose"),
        ),
        sa.CheckConstraint("state IN ('fresh', 'dried')", name=op.f("ck_sample_state")),
        sa.CheckConstraint(
            "status IN ('sampled', 'invalid', 'passed', 'undetermined', 'suspect', 'positive', 'presumptive', 'confirmed_fail', 'cleared')",
            name=op.f("ck_sample_status"),
        ),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_sample_mass_g")),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name=op.f("fk_sample_hold_id")),
        sa.ForeignKeyConstraint(["holder_id"], ["party.id"], name=op.f("fk_sample_holder_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_sample_lot_id")),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_sample_place_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_sample_product_id")),
        sa.ForeignKeyConstraint(["taken_by"], ["party.id"], name=op.f("fk_sample_taken_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sample_public_id")),
        sa.UniqueConstraint("taken_by", "number", name=op.f("uq_sample_taken_by_number")),
    )
    op.create_index("ix_sample_holder_id_id", "sample", ["holder_id", "id"], unique=False)
    op.create_index(op.f("ix_sample_lot_id"), "sample", ["lot_id"], unique=False)
    op.create_table(
        "deadline",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assumed", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('objection_quick', 'objection_lab', 'retest_report', 'publication', 'handling_start', 'handling_finish', 'lab_report')",
            name=op.f("ck_deadline_kind"),
        ),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_deadline_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deadline")),
        sa.UniqueConstraint(
            "sample_id", "kind", "began_at", name=op.f("uq_deadline_sample_id_kind_began_at")
        ),
    )
    op.create_index(
        "ix_deadline_due_at",
        "deadline",
        ["due_at"],
        unique=False,
        postgresql_where="done_at IS NULL",
    )
    op.create_table(
        "measure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "step IN ('started', 'finished', 'published')", name=op.f("ck_measure_step")
        ),
        sa.ForeignKeyConstraint(["made_by"], ["party.id"], name=op.f("fk_measure_made_by")),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_measure_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measure")),
        sa.UniqueConstraint("public_id", name=op.f("uq_measure_public_id")),
    )
    op.create_index(op.f("ix_measure_sample_id"), "measure", ["sample_id"], unique=False)
    op.create_table(
        "test",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=True),
        sa.Column("maker_record_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("retest", sa.Boolean(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("repeats_due", sa.BigInteger(), nullable=False),
        sa.Column("tested_by", sa.BigInteger(), nullable=False),
        sa.Column("testers", sa.LargeBinary(), nullable=True),
        sa.Column("place_id", sa.BigInteger(), nullable=True),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('quick', 'lab')", name=op.f("ck_test_kind")),
        sa.CheckConstraint(
            "outcome IN ('pass', 'suspect', 'positive', 'fail', 'invalid', 'undetermined')",
            name=op.f("ck_test_outcome"),
        ),
        sa.CheckConstraint(
            "(source_id IS NULL) = (maker_record_id IS NULL)", name=op.f("ck_test_of_a_device")
        ),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_test_place_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_test_sample_id")),
        sa.ForeignKeyConstraint(["source_id"], ["test_source.id"], name=op.f("fk_test_source_id")),
        sa.ForeignKeyConstraint(["tested_by"], ["party.id"], name=op.f("fk_test_tested_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test")),
        sa.UniqueConstraint("public_id", name=op.f("uq_test_public_id")),
        sa.UniqueConstraint(
            "source_id", "maker_record_id", name=op.f("uq_test_source_id_maker_record_id")
        ),
    )
    op.create_index(op.f("ix_test_sample_id"), "test", ["sample_id"], unique=False)
    op.create_table(
        "objection",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("against", sa.Text(), nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("against IN ('quick', 'lab')", name=op.f("ck_objection_against")),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["test.id"], name=op.f("fk_objection_answered_by")
        ),
        sa.ForeignKeyConstraint(["made_by"], ["party.id"], name=op.f("fk_objection_made_by")),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_objection_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objection")),
        sa.UniqueConstraint("public_id", name=op.f("uq_objection_public_id")),
        sa.UniqueConstraint("sample_id", "against", name=op.f("uq_objection_sample_id_against")),
    )
    op.create_table(
        "sample_step",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sample_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("test_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('sampled', 'invalid', 'passed', 'undetermined', 'suspect', 'positive', 'presumptive', 'confirmed_fail', 'cleared')",
            name=op.f("ck_sample_step_status"),
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["sample.id"], name=op.f("fk_sample_step_sample_id")
        ),
        sa.ForeignKeyConstraint(["test_id"], ["test.id"], name=op.f("fk_sample_step_test_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample_step")),
    )
    op.create_index("ix_sample_step_sample_id_id", "sample_step", ["sample_id", "id"], unique=False)
    for tables, rights in (
        (APPENDED, "SELECT, INSERT"),
        (CHANGED, "SELECT, INSERT, UPDATE"),
        (READ, "SELECT"),
        (("push_nonce",), "SELECT, INSERT, DELETE"),
    ):
        op.execute(f"GRANT {rights} ON {', '.join(tables)} TO ypt_app")
    op.execute("""
        CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON test
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()
    """)


def downgrade() -> None:
    """Undo."""
    op.drop_table("sample_step")
    op.drop_table("objection")
    op.drop_table("test")
    op.drop_table("measure")
    op.drop_table("deadline")
    op.drop_table("sample")
    op.drop_table("push_nonce")
    op.drop_table("test_source")
    op.drop_table("residue_limit")
    op.drop_table("working_day")
    op.drop_table("substance")
    op.drop_table("quick_method")
    op.drop_table("food_category")
    op.drop_table("clock_rule")
    for name in ("ck_hold_rests_on_something", "ck_hold_cause"):
        op.drop_constraint(op.f(name), "hold", type_="check")
    op.drop_column("hold", "subject")
    op.drop_column("hold", "cause")
    op.execute(f"DELETE FROM event WHERE kind = '{ADDED_KIND}'")
    _allow_events(tuple(kind for kind in EVENT_KINDS if kind != ADDED_KIND))
