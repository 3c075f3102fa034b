"""Keep recalls: cases, lots in scope, notices, grams, disposals and referrals."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

APPENDED = ("recall_disposal", "recall_forwarding", "recall_disposal_lot", "recall_step")
CHANGED = ("recall", "recall_notice", "recall_lot", "referral")


def upgrade() -> None:
    """Apply."""
    op.add_column("party_role", sa.Column("department", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_party_role_department"),
        "party_role",
        "department IS NULL OR kind = 'REGULATOR' "
        "AND department IN ('agriculture', 'market_regulation')",
    )
    op.create_table(
        "recall_term",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("hours", sa.SmallInteger(), nullable=True),
        sa.Column("working_days", sa.SmallInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(hours IS NULL) <> (working_days IS NULL)", name=op.f("ck_recall_term_one_measure")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_recall_term_valid_some_time")),
        sa.PrimaryKeyConstraint("kind", "valid_from", name=op.f("pk_recall_term")),
    )
    op.create_table(
        "recall",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("mock", sa.Boolean(), nullable=False),
        sa.Column("grade", sa.SmallInteger(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=True),
        sa.Column("opened_by", sa.BigInteger(), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledge_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finish_due_on", sa.Date(), nullable=False),
        sa.Column("finish_arranged", sa.Boolean(), nullable=False),
        sa.Column("siblings", sa.Boolean(), nullable=False),
        sa.Column("lot_count", sa.BigInteger(), nullable=False),
        sa.Column("scope_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("closing_reason", sa.Text(), nullable=True),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("outcome IN ('completed', 'lifted')", name=op.f("ck_recall_outcome")),
        sa.CheckConstraint(
            "trigger IN ('test', 'complaint', 'notice', 'self_check')",
            name=op.f("ck_recall_trigger"),
        ),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (outcome IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name=op.f("ck_recall_closed"),
        ),
        sa.CheckConstraint("grade BETWEEN 1 AND 3", name=op.f("ck_recall_grade")),
        sa.CheckConstraint("known_at <= opened_at", name=op.f("ck_recall_known_before_opened")),
        sa.CheckConstraint("octet_length(scope_sha256) = 32", name=op.f("ck_recall_scope_sha256")),
        sa.ForeignKeyConstraint(["closed_by"], ["party.id"], name=op.f("fk_recall_closed_by")),
        sa.ForeignKeyConstraint(["opened_by"], ["party.id"], name=op.f("fk_recall_opened_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recall_public_id")),
    )
    op.create_index(
        "ix_recall_open",
        "recall",
        ["finish_due_on"],
        unique=False,
        postgresql_where="closed_at IS NULL",
    )
    op.create_index(op.f("ix_recall_opened_by"), "recall", ["opened_by"], unique=False)
    op.create_table(
        "recall_disposal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evidence_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "method IN ('destroyed', 'rendered_harmless', 'remedied')",
            name=op.f("ck_recall_disposal_method"),
        ),
        sa.CheckConstraint(
            "announced_at < disposed_at", name=op.f("ck_recall_disposal_announced_before")
        ),
        sa.CheckConstraint(
            "cardinality(evidence_ids) > 0", name=op.f("ck_recall_disposal_evidence")
        ),
        sa.ForeignKeyConstraint(
            ["party_id"], ["party.id"], name=op.f("fk_recall_disposal_party_id")
        ),
        sa.ForeignKeyConstraint(
            ["recall_id"], ["recall.id"], name=op.f("fk_recall_disposal_recall_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_disposal")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recall_disposal_public_id")),
    )
    op.create_index(
        op.f("ix_recall_disposal_recall_id"), "recall_disposal", ["recall_id"], unique=False
    )
    op.create_table(
        "recall_forwarding",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("buyers", sa.BigInteger(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "channel IN ('letter', 'phone', 'message', 'poster')",
            name=op.f("ck_recall_forwarding_channel"),
        ),
        sa.CheckConstraint("buyers > 0", name=op.f("ck_recall_forwarding_buyers")),
        sa.CheckConstraint("mass_g >= 0", name=op.f("ck_recall_forwarding_mass_g")),
        sa.ForeignKeyConstraint(
            ["party_id"], ["party.id"], name=op.f("fk_recall_forwarding_party_id")
        ),
        sa.ForeignKeyConstraint(
            ["recall_id"], ["recall.id"], name=op.f("fk_recall_forwarding_recall_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_forwarding")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recall_forwarding_public_id")),
    )
    op.create_index(
        op.f("ix_recall_forwarding_recall_id"), "recall_forwarding", ["recall_id"], unique=False
    )
    op.create_table(
        "recall_notice",
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("on_hand_g", sa.BigInteger(), nullable=False),
        sa.Column("in_transit_g", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.BigInteger(), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)",
            name=op.f("ck_recall_notice_acknowledged"),
        ),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["party.id"], name=op.f("fk_recall_notice_acknowledged_by")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_recall_notice_party_id")),
        sa.ForeignKeyConstraint(
            ["recall_id"], ["recall.id"], name=op.f("fk_recall_notice_recall_id")
        ),
        sa.PrimaryKeyConstraint("recall_id", "party_id", name=op.f("pk_recall_notice")),
    )
    op.create_index(op.f("ix_recall_notice_party_id"), "recall_notice", ["party_id"], unique=False)
    op.create_index(
        "ix_recall_notice_waiting",
        "recall_notice",
        ["due_at"],
        unique=False,
        postgresql_where="acknowledged_at IS NULL AND escalated_at IS NULL",
    )
    op.create_table(
        "recall_lot",
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=True),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("exposed_g", sa.BigInteger(), nullable=False),
        sa.Column("on_hand_g", sa.BigInteger(), nullable=False),
        sa.Column("in_transit_g", sa.BigInteger(), nullable=False),
        sa.Column("passed_on_g", sa.BigInteger(), nullable=False),
        sa.Column("gone_g", sa.BigInteger(), nullable=False),
        sa.Column("located_g", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("recovered_g", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("destroyed_g", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("remedied_g", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("consumed_g", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "relation IN ('found', 'source', 'upstream', 'descendant', 'sibling')",
            name=op.f("ck_recall_lot_relation"),
        ),
        sa.CheckConstraint(
            "destroyed_g >= 0 AND remedied_g >= 0 AND destroyed_g + remedied_g <= recovered_g",
            name=op.f("ck_recall_lot_disposed_g"),
        ),
        sa.CheckConstraint("exposed_g BETWEEN 0 AND mass_g", name=op.f("ck_recall_lot_exposed_g")),
        sa.CheckConstraint(
            "located_g >= 0 AND consumed_g >= 0 AND located_g + consumed_g <= on_hand_g + in_transit_g + gone_g",
            name=op.f("ck_recall_lot_located_g"),
        ),
        sa.CheckConstraint(
            "on_hand_g >= 0 AND in_transit_g >= 0 AND gone_g >= 0 AND passed_on_g >= 0 AND on_hand_g + in_transit_g + gone_g + passed_on_g = mass_g",
            name=op.f("ck_recall_lot_adds_up"),
        ),
        sa.CheckConstraint(
            "recovered_g BETWEEN 0 AND located_g", name=op.f("ck_recall_lot_recovered_g")
        ),
        sa.ForeignKeyConstraint(["holder_id"], ["party.id"], name=op.f("fk_recall_lot_holder_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_recall_lot_lot_id")),
        sa.ForeignKeyConstraint(["recall_id"], ["recall.id"], name=op.f("fk_recall_lot_recall_id")),
        sa.PrimaryKeyConstraint("recall_id", "lot_id", name=op.f("pk_recall_lot")),
    )
    op.create_index("ix_recall_lot_holder", "recall_lot", ["recall_id", "holder_id"], unique=False)
    op.create_index(op.f("ix_recall_lot_lot_id"), "recall_lot", ["lot_id"], unique=False)
    op.create_table(
        "referral",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=True),
        sa.Column("asked_by", sa.BigInteger(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("answered_by", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "department IN ('agriculture', 'market_regulation')",
            name=op.f("ck_referral_department"),
        ),
        sa.CheckConstraint(
            "division_code ~ '^[0-9]{4,12}$'", name=op.f("ck_referral_division_code")
        ),
        sa.CheckConstraint(
            "(answered_at IS NULL) = (answer IS NULL)", name=op.f("ck_referral_answered")
        ),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["party.id"], name=op.f("fk_referral_answered_by")
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["party.id"], name=op.f("fk_referral_asked_by")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_referral_lot_id")),
        sa.ForeignKeyConstraint(["recall_id"], ["recall.id"], name=op.f("fk_referral_recall_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral")),
        sa.UniqueConstraint("public_id", name=op.f("uq_referral_public_id")),
    )
    op.create_index(op.f("ix_referral_asked_by"), "referral", ["asked_by"], unique=False)
    op.create_index(op.f("ix_referral_lot_id"), "referral", ["lot_id"], unique=False)
    op.create_index(op.f("ix_referral_recall_id"), "referral", ["recall_id"], unique=False)
    op.create_index(
        "ix_referral_waiting",
        "referral",
        ["due_on"],
        unique=False,
        postgresql_where="answered_at IS NULL AND escalated_at IS NULL",
    )
    op.create_table(
        "recall_disposal_lot",
        sa.Column("disposal_id", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_recall_disposal_lot_mass_g")),
        sa.ForeignKeyConstraint(
            ["disposal_id"], ["recall_disposal.id"], name=op.f("fk_recall_disposal_lot_disposal_id")
        ),
        sa.ForeignKeyConstraint(
            ["recall_id", "lot_id"],
            ["recall_lot.recall_id", "recall_lot.lot_id"],
            name=op.f("fk_recall_disposal_lot_recall_id_lot_id"),
        ),
        sa.PrimaryKeyConstraint("disposal_id", "lot_id", name=op.f("pk_recall_disposal_lot")),
    )
    op.create_table(
        "recall_step",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('located', 'recovered', 'consumed')", name=op.f("ck_recall_step_kind")
        ),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_recall_step_mass_g")),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_recall_step_party_id")),
        sa.ForeignKeyConstraint(
            ["recall_id", "lot_id"],
            ["recall_lot.recall_id", "recall_lot.lot_id"],
            name=op.f("fk_recall_step_recall_id_lot_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_step")),
        sa.UniqueConstraint("public_id", name=op.f("uq_recall_step_public_id")),
    )
    op.create_index("ix_recall_step_recall_id", "recall_step", ["recall_id"], unique=False)
    op.execute("GRANT SELECT ON recall_term TO ypt_app")
    op.execute(f"GRANT SELECT, INSERT ON {', '.join(APPENDED)} TO ypt_app")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {', '.join(CHANGED)} TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_table("recall_step")
    op.drop_table("recall_disposal_lot")
    op.drop_table("referral")
    op.drop_table("recall_lot")
    op.drop_table("recall_notice")
    op.drop_table("recall_forwarding")
    op.drop_table("recall_disposal")
    op.drop_table("recall")
    op.drop_table("recall_term")
    op.drop_column("party_role", "department")
