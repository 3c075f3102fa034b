"""Make the tables of bundles, of the devices at gates, and of what they upload."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "bundle_keyset",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("root_key", sa.LargeBinary(), nullable=False),
        _instant("issued_at"),
        _instant("expires_at"),
        sa.CheckConstraint("version > 0", name=op.f("ck_bundle_keyset_version")),
        sa.CheckConstraint("octet_length(root_key) = 32", name=op.f("ck_bundle_keyset_root_key")),
        sa.CheckConstraint("octet_length(signature) = 64", name=op.f("ck_bundle_keyset_signature")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_bundle_keyset")),
    )
    op.create_table(
        "bundle_shard",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _instant("used_at"),
        sa.CheckConstraint("octet_length(sha256) = 32", name=op.f("ck_bundle_shard_sha256")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_bundle_shard")),
    )
    op.create_index(op.f("ix_bundle_shard_used_at"), "bundle_shard", ["used_at"])
    op.create_table(
        "bundle_meta",
        sa.Column("market_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("kid", sa.BigInteger(), nullable=False),
        sa.Column("keyset_version", sa.BigInteger(), nullable=False),
        _instant("issued_at"),
        sa.ForeignKeyConstraint(["market_id"], ["place.id"], name=op.f("fk_bundle_meta_market_id")),
        sa.ForeignKeyConstraint(
            ["keyset_version"],
            ["bundle_keyset.version"],
            name=op.f("fk_bundle_meta_keyset_version"),
        ),
        sa.PrimaryKeyConstraint("market_id", name=op.f("pk_bundle_meta")),
    )
    op.create_table(
        "gate_enrolment",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        _instant("made_at"),
        _instant("expires_at"),
        _instant("used_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["place_id"], ["place.id"], name=op.f("fk_gate_enrolment_place_id")
        ),
        sa.ForeignKeyConstraint(
            ["party_id"], ["party.id"], name=op.f("fk_gate_enrolment_party_id")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_gate_enrolment_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_enrolment")),
        sa.UniqueConstraint("public_id", name=op.f("uq_gate_enrolment_public_id")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_gate_enrolment_code_hash")),
    )
    op.create_table(
        "gate_device",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.BigInteger(), nullable=False),
        sa.Column("market_id", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        _instant("enrolled_at"),
        _instant("revoked_at", nullable=True),
        sa.CheckConstraint(
            "algorithm IN ('ed25519', 'ecdsa-p256')", name=op.f("ck_gate_device_algorithm")
        ),
        sa.ForeignKeyConstraint(
            ["enrolment_id"], ["gate_enrolment.id"], name=op.f("fk_gate_device_enrolment_id")
        ),
        sa.ForeignKeyConstraint(["market_id"], ["place.id"], name=op.f("fk_gate_device_market_id")),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_gate_device_place_id")),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_gate_device_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_device")),
        sa.UniqueConstraint("public_id", name=op.f("uq_gate_device_public_id")),
        sa.UniqueConstraint("enrolment_id", name=op.f("uq_gate_device_enrolment_id")),
    )
    op.create_index("ix_gate_device_market_id", "gate_device", ["market_id"])
    op.create_table(
        "gate_upload",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("inspection", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("statement_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        _instant("received_at"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("problem", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint("state IN ('taken', 'refused')", name=op.f("ck_gate_upload_state")),
        sa.CheckConstraint(
            "(state = 'refused') = (problem IS NOT NULL)", name=op.f("ck_gate_upload_problem")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["gate_device.id"], name=op.f("fk_gate_upload_device_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_upload")),
        sa.UniqueConstraint("inspection", name=op.f("uq_gate_upload_inspection")),
    )
    op.create_index("ix_gate_upload_device_id_sequence", "gate_upload", ["device_id", "sequence"])
    op.create_index(
        "ix_lot_balance_held", "lot_balance", ["lot_id"], postgresql_where=sa.text("holds > 0")
    )
    op.create_index("ix_ticket_issued_at", "ticket", ["issued_at"], postgresql_using="brin")
    for tables, rights in (
        # Keysets come from whoever has the root key, never from the server.
        ("bundle_keyset", "SELECT"),
        ("bundle_shard", "SELECT, INSERT, UPDATE, DELETE"),
        ("bundle_meta, gate_enrolment, gate_device", "SELECT, INSERT, UPDATE"),
        ("gate_upload", "SELECT, INSERT"),
    ):
        op.execute(f"GRANT {rights} ON {tables} TO ypt_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ypt_app")


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_ticket_issued_at", "ticket")
    op.drop_index("ix_lot_balance_held", "lot_balance")
    for table in (
        "gate_upload",
        "gate_device",
        "gate_enrolment",
        "bundle_meta",
        "bundle_shard",
        "bundle_keyset",
    ):
        op.drop_table(table)
