"""Inspections at the gate: dated rules, papers, agreements, lines, rulings, cases, the draw."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# What is stated once and for all.
APPENDED = ("inspection", "inspection_line", "paper_document", "ruling")
# What ends, closes or is revealed.
CHANGED = ("agreement", "gate_case", "sampling_seed")
# What only an operator loads, by `ypt migrate`.
READ = ("entry_rule", "paper_kind", "sampling_rule")
KINDS = (
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


def _kinds(*kinds: str) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.execute("ALTER TABLE event DROP CONSTRAINT ck_event_kind")
    op.execute(f"ALTER TABLE event ADD CONSTRAINT ck_event_kind CHECK (kind IN ({listed}))")


def upgrade() -> None:
    """Apply."""
    _kinds(*KINDS, "entry_check")
    op.create_table(
        "entry_rule",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("classes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("when", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("unless", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("proofs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("consequence", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "consequence IN ('refuse', 'hold', 'test', 'warn', 'info')",
            name=op.f("ck_entry_rule_consequence"),
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_entry_rule_dates")
        ),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_entry_rule")),
        sa.UniqueConstraint("no", name=op.f("uq_entry_rule_no")),
    )
    op.create_table(
        "paper_kind",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("proofs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint("days >= 0", name=op.f("ck_paper_kind_days")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_paper_kind_dates")
        ),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_paper_kind")),
        sa.UniqueConstraint("no", name=op.f("uq_paper_kind_no")),
    )
    op.create_table(
        "sampling_rule",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("factor", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("products", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("months", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("grade", sa.Text(), nullable=True),
        sa.Column("failed_permille_min", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "factor IN ('base', 'grade', 'history', 'season')", name=op.f("ck_sampling_rule_factor")
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_sampling_rule_dates")
        ),
        sa.CheckConstraint("value >= 0", name=op.f("ck_sampling_rule_value")),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_sampling_rule")),
        sa.UniqueConstraint("no", name=op.f("uq_sampling_rule_no")),
    )
    op.create_table(
        "sampling_seed",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("seed_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=True),
        sa.Column("revealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_sampling_seed")),
    )
    op.create_table(
        "inspection",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("market_id", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("inspector_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("device_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_offset_ms", sa.BigInteger(), nullable=False),
        sa.Column("inspected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plate", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('ADMIT', 'ADMIT_AFTER_TEST', 'HOLD', 'REFUSE', 'RELEASED_BY_REGULATOR')",
            name=op.f("ck_inspection_decision"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_inspection_account_id")
        ),
        sa.ForeignKeyConstraint(["market_id"], ["place.id"], name=op.f("fk_inspection_market_id")),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_inspection_party_id")),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_inspection_place_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
        sa.UniqueConstraint("public_id", name=op.f("uq_inspection_public_id")),
    )
    op.create_index(
        "ix_inspection_device_sequence", "inspection", ["device", "sequence"], unique=False
    )
    op.create_index(
        "ix_inspection_market_id_inspected_at",
        "inspection",
        ["market_id", "inspected_at"],
        unique=False,
    )
    op.create_index(op.f("ix_inspection_party_id"), "inspection", ["party_id"], unique=False)
    op.create_table(
        "agreement",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("market_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.BigInteger(), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("grade", sa.Text(), nullable=True),
        sa.Column("evidence_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("grade IN ('A', 'B', 'C', 'D')", name=op.f("ck_agreement_grade")),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_agreement_dates")),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_agreement_evidence_id")
        ),
        sa.ForeignKeyConstraint(["market_id"], ["place.id"], name=op.f("fk_agreement_market_id")),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_agreement_party_id")),
        sa.ForeignKeyConstraint(
            ["recorded_by"], ["party.id"], name=op.f("fk_agreement_recorded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("public_id", name=op.f("uq_agreement_public_id")),
    )
    op.create_index(
        "ix_agreement_market_id_party_id", "agreement", ["market_id", "party_id"], unique=False
    )
    op.create_table(
        "paper_document",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("valid_through", sa.Date(), nullable=True),
        sa.Column("product_id", sa.BigInteger(), nullable=True),
        sa.Column("mass_g", sa.BigInteger(), nullable=True),
        sa.Column("division_code", sa.Text(), nullable=True),
        sa.Column("bases", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("evidence_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("checked_by_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_paper_document_mass_g")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_paper_document_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_paper_document_evidence_id")
        ),
        sa.ForeignKeyConstraint(
            ["party_id"], ["party.id"], name=op.f("fk_paper_document_party_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_paper_document_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_document")),
        sa.UniqueConstraint("public_id", name=op.f("uq_paper_document_public_id")),
    )
    op.create_index(
        "ix_paper_document_kind_number", "paper_document", ["kind", "number"], unique=False
    )
    op.create_index(
        op.f("ix_paper_document_party_id"), "paper_document", ["party_id"], unique=False
    )
    op.create_table(
        "inspection_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("inspection_id", sa.BigInteger(), nullable=False),
        sa.Column("no", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("certificate_id", sa.BigInteger(), nullable=True),
        sa.Column("papers", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("seller_id", sa.BigInteger(), nullable=True),
        sa.Column("self_producer_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("product_id", sa.BigInteger(), nullable=True),
        sa.Column("mass_g", sa.BigInteger(), nullable=True),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("decided_offline", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("draw_day", sa.Date(), nullable=False),
        sa.Column("rate_bp", sa.BigInteger(), nullable=False),
        sa.Column("rate_rules", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "decided_offline IN ('ADMIT', 'ADMIT_AFTER_TEST', 'HOLD', 'REFUSE', 'RELEASED_BY_REGULATOR')",
            name=op.f("ck_inspection_line_decided_offline"),
        ),
        sa.CheckConstraint(
            "decision IN ('ADMIT', 'ADMIT_AFTER_TEST', 'HOLD', 'REFUSE', 'RELEASED_BY_REGULATOR')",
            name=op.f("ck_inspection_line_decision"),
        ),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_inspection_line_mass_g")),
        sa.CheckConstraint("rate_bp BETWEEN 0 AND 10000", name=op.f("ck_inspection_line_rate_bp")),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_inspection_line_certificate_id")
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_inspection_line_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_inspection_line_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["seller_id"], ["party.id"], name=op.f("fk_inspection_line_seller_id")
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["ticket.id"], name=op.f("fk_inspection_line_ticket_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection_line")),
        sa.UniqueConstraint(
            "inspection_id", "no", name=op.f("uq_inspection_line_inspection_id_no")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_inspection_line_public_id")),
    )
    op.create_index("ix_inspection_line_draw_day", "inspection_line", ["draw_day"], unique=False)
    op.create_index(
        "ix_inspection_line_papers",
        "inspection_line",
        ["papers"],
        unique=False,
        postgresql_using="gin",
    )
    op.create_index(
        "ix_inspection_line_product_id_draw_day",
        "inspection_line",
        ["product_id", "draw_day"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inspection_line_ticket_id"), "inspection_line", ["ticket_id"], unique=False
    )
    op.create_table(
        "gate_case",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=False),
        sa.Column("market_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.BigInteger(), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'open') = (closed_at IS NULL)", name=op.f("ck_gate_case_closed")
        ),
        sa.CheckConstraint(
            "kind IN ('admitted_at_two_gates', 'admitted_more_than_issued', 'let_in_against_verdict', 'sequence_repeated')",
            name=op.f("ck_gate_case_kind"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'handled', 'false')", name=op.f("ck_gate_case_state")
        ),
        sa.ForeignKeyConstraint(["closed_by"], ["party.id"], name=op.f("fk_gate_case_closed_by")),
        sa.ForeignKeyConstraint(
            ["line_id"], ["inspection_line.id"], name=op.f("fk_gate_case_line_id")
        ),
        sa.ForeignKeyConstraint(["market_id"], ["place.id"], name=op.f("fk_gate_case_market_id")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_gate_case_ticket_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_case")),
        sa.UniqueConstraint("kind", "line_id", name=op.f("uq_gate_case_kind_line_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_gate_case_public_id")),
    )
    op.create_index(
        "ix_gate_case_market_id_state", "gate_case", ["market_id", "state"], unique=False
    )
    op.create_index(op.f("ix_gate_case_ticket_id"), "gate_case", ["ticket_id"], unique=False)
    op.create_table(
        "ruling",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("line_id", sa.BigInteger(), nullable=False),
        sa.Column("former", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("test", sa.Text(), nullable=True),
        sa.Column("accountable_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("ruled_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "decision IN ('ADMIT', 'ADMIT_AFTER_TEST', 'HOLD', 'REFUSE', 'RELEASED_BY_REGULATOR')",
            name=op.f("ck_ruling_decision"),
        ),
        sa.CheckConstraint(
            "former IN ('ADMIT', 'ADMIT_AFTER_TEST', 'HOLD', 'REFUSE', 'RELEASED_BY_REGULATOR')",
            name=op.f("ck_ruling_former"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_ruling_account_id")),
        sa.ForeignKeyConstraint(
            ["line_id"], ["inspection_line.id"], name=op.f("fk_ruling_line_id")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_ruling_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ruling")),
        sa.UniqueConstraint("public_id", name=op.f("uq_ruling_public_id")),
    )
    op.create_index(op.f("ix_ruling_line_id"), "ruling", ["line_id"], unique=False)
    op.execute(f"GRANT SELECT, INSERT ON {', '.join(APPENDED)} TO ypt_app")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {', '.join(CHANGED)} TO ypt_app")
    op.execute(f"GRANT SELECT ON {', '.join(READ)} TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_ruling_line_id"), table_name="ruling")
    op.drop_table("ruling")
    op.drop_index(op.f("ix_gate_case_ticket_id"), table_name="gate_case")
    op.drop_index("ix_gate_case_market_id_state", table_name="gate_case")
    op.drop_table("gate_case")
    op.drop_index(op.f("ix_inspection_line_ticket_id"), table_name="inspection_line")
    op.drop_index("ix_inspection_line_product_id_draw_day", table_name="inspection_line")
    op.drop_index("ix_inspection_line_papers", table_name="inspection_line", postgresql_using="gin")
    op.drop_index("ix_inspection_line_draw_day", table_name="inspection_line")
    op.drop_table("inspection_line")
    op.drop_index(op.f("ix_paper_document_party_id"), table_name="paper_document")
    op.drop_index("ix_paper_document_kind_number", table_name="paper_document")
    op.drop_table("paper_document")
    op.drop_index("ix_agreement_market_id_party_id", table_name="agreement")
    op.drop_table("agreement")
    op.drop_index(op.f("ix_inspection_party_id"), table_name="inspection")
    op.drop_index("ix_inspection_market_id_inspected_at", table_name="inspection")
    op.drop_index("ix_inspection_device_sequence", table_name="inspection")
    op.drop_table("inspection")
    op.drop_table("sampling_seed")
    op.drop_table("sampling_rule")
    op.drop_table("paper_kind")
    op.drop_table("entry_rule")
    _kinds(*KINDS)
