"""The house: parties, places, products, lots, certificates, tickets and their log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.transparency.models import TransactionId

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "catalogue_version",
        sa.Column("only_row", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("only_row", name=op.f("ck_catalogue_version_one_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_catalogue_version")),
    )
    op.create_table(
        "certificate_duty",
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "act IN ('sell', 'merge', 'split')", name=op.f("ck_certificate_duty_act")
        ),
        sa.CheckConstraint("duty IN ('must', 'should')", name=op.f("ck_certificate_duty_duty")),
        sa.PrimaryKeyConstraint("act", "role", "valid_from", name=op.f("pk_certificate_duty")),
    )
    op.create_table(
        "certificate_form",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("edition", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("wording", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('conformity_producer', 'conformity_purchaser', 'origin_proof')",
            name=op.f("ck_certificate_form_kind"),
        ),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to > valid_from", name=op.f("ck_certificate_form_dates")
        ),
        sa.PrimaryKeyConstraint("kind", "edition", name=op.f("pk_certificate_form")),
        sa.UniqueConstraint("kind", "valid_from", name=op.f("uq_certificate_form_kind_valid_from")),
    )
    op.create_table(
        "division",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=True),
        sa.Column("successor_code", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "code ~ '^[0-9]{6}([0-9]{3}([0-9]{3})?)?$'", name=op.f("ck_division_code_digits")
        ),
        sa.CheckConstraint(
            "level IN ('province', 'city', 'county', 'township', 'village')",
            name=op.f("ck_division_level_known"),
        ),
        sa.CheckConstraint(
            "successor_code IS NULL OR valid_to IS NOT NULL",
            name=op.f("ck_division_successor_if_past"),
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_division_valid_some_time")),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_division")),
    )
    op.create_index(op.f("ix_division_parent_code"), "division", ["parent_code"], unique=False)
    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "xid", TransactionId(), server_default=sa.text("pg_current_xact_id()"), nullable=False
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("appended_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "octet_length(leaf) BETWEEN 2 AND 1048576", name=op.f("ck_entry_leaf_size")
        ),
        sa.PrimaryKeyConstraint("id", "appended_at", name=op.f("pk_entry")),
        postgresql_partition_by="RANGE (appended_at)",
    )
    op.create_index("ix_entry_subject", "entry", ["subject"], unique=False)
    op.create_index("ix_entry_xid_id", "entry", ["xid", "id"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "kind IN ('harvest', 'catch', 'lay', 'slaughter_in', 'declare', 'split', 'merge', 'transform', 'loss', 'destroy', 'hand_over', 'return', 'hold', 'release')",
            name=op.f("ck_event_kind"),
        ),
        sa.PrimaryKeyConstraint("id", "recorded_at", name=op.f("pk_event")),
        postgresql_partition_by="RANGE (recorded_at)",
    )
    op.create_index(
        "ix_event_party_id_occurred_at", "event", ["party_id", "occurred_at"], unique=False
    )
    op.create_index(op.f("ix_event_public_id"), "event", ["public_id"], unique=False)
    op.create_table(
        "party",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("uscc", sa.Text(), nullable=True),
        sa.Column("id_number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("id_number_index", sa.LargeBinary(), nullable=True),
        sa.Column("id_number_masked", sa.Text(), nullable=True),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("phone_masked", sa.Text(), nullable=True),
        sa.Column("address_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("division_code", sa.Text(), nullable=True),
        sa.Column("commit_salt", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "form = 'legal' OR uscc IS NULL OR uscc LIKE '92%'", name=op.f("ck_party_uscc_form")
        ),
        sa.CheckConstraint("form IN ('natural', 'legal')", name=op.f("ck_party_form")),
        sa.CheckConstraint(
            "status IN ('active', 'invited', 'disabled')", name=op.f("ck_party_status")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["party.id"], name=op.f("fk_party_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
        sa.UniqueConstraint("id_number_index", name=op.f("uq_party_id_number_index")),
        sa.UniqueConstraint("public_id", name=op.f("uq_party_public_id")),
        sa.UniqueConstraint("uscc", name=op.f("uq_party_uscc")),
    )
    op.create_index(op.f("ix_party_phone_index"), "party", ["phone_index"], unique=False)
    op.create_table(
        "process",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_process")),
    )
    op.create_table(
        "reporting_unit",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("population_2020", sa.BigInteger(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('county', 'functional_area')", name=op.f("ck_reporting_unit_kind_known")
        ),
        sa.CheckConstraint(
            "population_2020 > 0", name=op.f("ck_reporting_unit_population_positive")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_reporting_unit_valid_some_time")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_reporting_unit")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("issuer_class", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("private_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("use_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sign_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verify_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "algorithm <> 'ed25519' OR octet_length(public_key) = 32",
            name=op.f("ck_signing_key_key_size"),
        ),
        sa.CheckConstraint(
            "algorithm IN ('ed25519', 'sm2')", name=op.f("ck_signing_key_algorithm_known")
        ),
        sa.CheckConstraint(
            "issuer_class IN ('ticket', 'test', 'status', 'log')",
            name=op.f("ck_signing_key_issuer_class_known"),
        ),
        sa.CheckConstraint(
            "extract(epoch FROM use_from) % 600 = 0 AND extract(epoch FROM sign_until) % 600 = 0",
            name=op.f("ck_signing_key_dates_on_grid"),
        ),
        sa.CheckConstraint("kid BETWEEN 1 AND 65535", name=op.f("ck_signing_key_kid_range")),
        sa.CheckConstraint(
            "use_from < sign_until AND sign_until <= verify_until",
            name=op.f("ck_signing_key_dates_in_order"),
        ),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "ticket_validity",
        sa.Column("product_group", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("ttl_h", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("product_group", "valid_from", name=op.f("pk_ticket_validity")),
    )
    op.create_table(
        "tolerance",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("product_group", sa.Text(), nullable=True),
        sa.Column("permille", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "product_group IN ('grain', 'oilseed', 'vegetable', 'mushroom', 'fruit', 'live_animal', 'meat', 'egg', 'fish', 'crustacean', 'seafood', 'processed')",
            name=op.f("ck_tolerance_group_known"),
        ),
        sa.CheckConstraint(
            "permille >= 0 AND permille < 1000", name=op.f("ck_tolerance_permille_range")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_tolerance_valid_some_time")),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_tolerance")),
    )
    op.create_table(
        "unit",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("grams", sa.BigInteger(), nullable=True),
        sa.Column("aliases", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("sort_order", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'mass') = (grams IS NOT NULL)", name=op.f("ck_unit_mass_has_grams")
        ),
        sa.CheckConstraint("kind IN ('mass', 'count', 'pack')", name=op.f("ck_unit_kind_known")),
        sa.CheckConstraint("grams > 0", name=op.f("ck_unit_grams_positive")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_unit")),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("login_index", sa.LargeBinary(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_account_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login_index", name=op.f("uq_account_login_index")),
        sa.UniqueConstraint("public_id", name=op.f("uq_account_public_id")),
    )
    op.create_index(op.f("ix_account_party_id"), "account", ["party_id"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_api_key_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_key_public_id")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_key_secret_hash")),
    )
    op.create_index(op.f("ix_api_key_party_id"), "api_key", ["party_id"], unique=False)
    op.create_table(
        "invitation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("invited_by", sa.BigInteger(), nullable=False),
        sa.Column("claim_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["party.id"], name=op.f("fk_invitation_invited_by")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_invitation_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("claim_hash", name=op.f("uq_invitation_claim_hash")),
    )
    op.create_index("ix_invitation_party_id", "invitation", ["party_id"], unique=False)
    op.create_table(
        "lot_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("lot_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('split', 'merge', 'transform', 'loss', 'destroy')",
            name=op.f("ck_lot_change_kind"),
        ),
        sa.ForeignKeyConstraint(["holder_id"], ["party.id"], name=op.f("fk_lot_change_holder_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot_change")),
        sa.UniqueConstraint("public_id", name=op.f("uq_lot_change_public_id")),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_notice_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "party_id", "kind", "subject", name=op.f("uq_notice_party_id_kind_subject")
        ),
    )
    op.create_table(
        "place",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("party_id", sa.BigInteger(), nullable=True),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("area_m2", sa.BigInteger(), nullable=True),
        sa.Column("geometry", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "division_code ~ '^[0-9]{6}([0-9]{3}([0-9]{3})?)?$'", name=op.f("ck_place_code_digits")
        ),
        sa.CheckConstraint(
            "kind IN ('plot', 'site', 'collection_point', 'landing', 'slaughterhouse', 'plant', 'warehouse', 'market', 'gate', 'stall', 'shop', 'supermarket', 'school', 'hospital', 'canteen', 'laboratory', 'office', 'disposal')",
            name=op.f("ck_place_kind_known"),
        ),
        sa.CheckConstraint("area_m2 > 0", name=op.f("ck_place_area_positive")),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_place_not_in_itself")),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_place_valid_some_time")),
        sa.ForeignKeyConstraint(["parent_id"], ["place.id"], name=op.f("fk_place_parent_id")),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_place_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_place")),
        sa.UniqueConstraint("public_id", name=op.f("uq_place_public_id")),
    )
    op.create_index(op.f("ix_place_kind_id"), "place", ["kind", "id"], unique=False)
    op.create_index(op.f("ix_place_parent_id"), "place", ["parent_id"], unique=False)
    op.create_index(op.f("ix_place_party_id"), "place", ["party_id"], unique=False)
    op.create_table(
        "product",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("nyt3177", sa.Text(), nullable=True),
        sa.Column("gb2763_category", sa.Text(), nullable=True),
        sa.Column("product_group", sa.Text(), nullable=False),
        sa.Column("base_unit", sa.Text(), nullable=False),
        sa.Column("local_specialty", sa.Boolean(), nullable=False),
        sa.Column("specialty_note", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "product_group IN ('grain', 'oilseed', 'vegetable', 'mushroom', 'fruit', 'live_animal', 'meat', 'egg', 'fish', 'crustacean', 'seafood', 'processed')",
            name=op.f("ck_product_group_known"),
        ),
        sa.CheckConstraint("id > 0 AND id < 4294967296", name=op.f("ck_product_fits_the_token")),
        sa.ForeignKeyConstraint(["base_unit"], ["unit.code"], name=op.f("fk_product_base_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("name", name=op.f("uq_product_name")),
    )
    op.create_table(
        "reporting_unit_division",
        sa.Column("unit_code", sa.Text(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "division_code ~ '^[0-9]{6}([0-9]{3}([0-9]{3})?)?$'",
            name=op.f("ck_reporting_unit_division_code_digits"),
        ),
        sa.ForeignKeyConstraint(
            ["unit_code"],
            ["reporting_unit.code"],
            name=op.f("fk_reporting_unit_division_unit_code"),
        ),
        sa.PrimaryKeyConstraint(
            "unit_code", "division_code", name=op.f("pk_reporting_unit_division")
        ),
    )
    op.create_table(
        "lot",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=True),
        sa.Column("producer_id", sa.BigInteger(), nullable=True),
        sa.Column("from_party_id", sa.BigInteger(), nullable=True),
        sa.Column("mixed", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("production", sa.Text(), nullable=True),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("pieces", sa.BigInteger(), nullable=True),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=True),
        sa.Column("plot_id", sa.BigInteger(), nullable=True),
        sa.Column("made_on", sa.Date(), nullable=True),
        sa.Column(
            "certificate_ids",
            postgresql.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "documents",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "origin IN ('harvest', 'catch', 'lay', 'slaughter_in', 'declare', 'split', 'merge', 'transform', 'purchase', 'return')",
            name=op.f("ck_lot_origin"),
        ),
        sa.CheckConstraint("NOT (mixed AND producer_id IS NOT NULL)", name=op.f("ck_lot_mixed")),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_lot_mass_g")),
        sa.ForeignKeyConstraint(["from_party_id"], ["party.id"], name=op.f("fk_lot_from_party_id")),
        sa.ForeignKeyConstraint(["holder_id"], ["party.id"], name=op.f("fk_lot_holder_id")),
        sa.ForeignKeyConstraint(["plot_id"], ["place.id"], name=op.f("fk_lot_plot_id")),
        sa.ForeignKeyConstraint(["producer_id"], ["party.id"], name=op.f("fk_lot_producer_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_lot_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
        sa.UniqueConstraint("public_id", name=op.f("uq_lot_public_id")),
    )
    op.create_index(
        "ix_lot_holder_id_product_id_id", "lot", ["holder_id", "product_id", "id"], unique=False
    )
    op.create_table(
        "party_role",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=True),
        sa.Column("division_code", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_party_role_dates")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_party_role_party_id")),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_party_role_place_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party_role")),
        sa.UniqueConstraint(
            "party_id",
            "kind",
            "place_id",
            "valid_from",
            name=op.f("uq_party_role_party_id_kind_place_id_valid_from"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "product_requirement",
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("production", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("requirement", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "production IN ('farmed', 'wild', 'any')",
            name=op.f("ck_product_requirement_production_known"),
        ),
        sa.CheckConstraint(
            "requirement IN ('conformity_certificate', 'quarantine', 'quarantine_and_meat_inspection', 'food_licence', 'source_voucher')",
            name=op.f("ck_product_requirement_requirement_known"),
        ),
        sa.CheckConstraint(
            "valid_to > valid_from", name=op.f("ck_product_requirement_valid_some_time")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_product_requirement_product_id")
        ),
        sa.PrimaryKeyConstraint(
            "product_id", "production", "valid_from", name=op.f("pk_product_requirement")
        ),
    )
    op.create_table(
        "product_synonym",
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pinyin", sa.Text(), nullable=False),
        sa.Column("initials", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_product_synonym_product_id")
        ),
        sa.PrimaryKeyConstraint("product_id", "name", name=op.f("pk_product_synonym")),
    )
    op.create_table(
        "product_unit",
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("grams_per_unit", sa.BigInteger(), nullable=True),
        sa.Column("pieces_per_unit", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint("grams_per_unit > 0", name=op.f("ck_product_unit_grams_positive")),
        sa.CheckConstraint("pieces_per_unit > 0", name=op.f("ck_product_unit_pieces_positive")),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_product_unit_valid_some_time")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_product_unit_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["unit_code"], ["unit.code"], name=op.f("fk_product_unit_unit_code")
        ),
        sa.PrimaryKeyConstraint(
            "product_id", "unit_code", "valid_from", name=op.f("pk_product_unit")
        ),
    )
    op.create_table(
        "session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_session_account_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_account_id"), "session", ["account_id"], unique=False)
    op.create_index(op.f("ix_session_expires_at"), "session", ["expires_at"], unique=False)
    op.create_table(
        "ticket",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("kid", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("seller_id", sa.BigInteger(), nullable=False),
        sa.Column("buyer_id", sa.BigInteger(), nullable=True),
        sa.Column("buyer_kind", sa.Text(), nullable=False),
        sa.Column("hand_over", sa.Text(), nullable=False),
        sa.Column("market_id", sa.BigInteger(), nullable=True),
        sa.Column("stall_id", sa.BigInteger(), nullable=True),
        sa.Column("sold_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("device_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("documents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("corrects_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(buyer_id IS NULL) = (buyer_kind = 'walk_in')", name=op.f("ck_ticket_buyer")
        ),
        sa.CheckConstraint(
            "buyer_kind IN ('registered', 'invited', 'walk_in')", name=op.f("ck_ticket_buyer_kind")
        ),
        sa.CheckConstraint(
            "hand_over IN ('two_sided', 'one_sided')", name=op.f("ck_ticket_hand_over")
        ),
        sa.CheckConstraint(
            "kind IN ('origin', 'sale', 'transfer', 'return')", name=op.f("ck_ticket_kind")
        ),
        sa.ForeignKeyConstraint(["buyer_id"], ["party.id"], name=op.f("fk_ticket_buyer_id")),
        sa.ForeignKeyConstraint(["corrects_id"], ["ticket.id"], name=op.f("fk_ticket_corrects_id")),
        sa.ForeignKeyConstraint(["market_id"], ["place.id"], name=op.f("fk_ticket_market_id")),
        sa.ForeignKeyConstraint(["seller_id"], ["party.id"], name=op.f("fk_ticket_seller_id")),
        sa.ForeignKeyConstraint(["stall_id"], ["place.id"], name=op.f("fk_ticket_stall_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket")),
        sa.UniqueConstraint("code", name=op.f("uq_ticket_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_ticket_public_id")),
        sa.UniqueConstraint("serial", name=op.f("uq_ticket_serial")),
    )
    op.create_index("ix_ticket_buyer_id_id", "ticket", ["buyer_id", "id"], unique=False)
    op.create_index("ix_ticket_seller_id_id", "ticket", ["seller_id", "id"], unique=False)
    op.create_table(
        "yield_band",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("process_code", sa.Text(), nullable=False),
        sa.Column("input_product_id", sa.BigInteger(), nullable=True),
        sa.Column("input_category", sa.Text(), nullable=True),
        sa.Column("input_group", sa.Text(), nullable=True),
        sa.Column("output_product_id", sa.BigInteger(), nullable=True),
        sa.Column("low_permille", sa.BigInteger(), nullable=False),
        sa.Column("high_permille", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "input_group IN ('grain', 'oilseed', 'vegetable', 'mushroom', 'fruit', 'live_animal', 'meat', 'egg', 'fish', 'crustacean', 'seafood', 'processed')",
            name=op.f("ck_yield_band_group_known"),
        ),
        sa.CheckConstraint(
            "0 < low_permille AND low_permille < high_permille",
            name=op.f("ck_yield_band_band_open"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(input_product_id, input_category, input_group) = 1",
            name=op.f("ck_yield_band_one_input"),
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_yield_band_valid_some_time")),
        sa.ForeignKeyConstraint(
            ["input_product_id"], ["product.id"], name=op.f("fk_yield_band_input_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["output_product_id"], ["product.id"], name=op.f("fk_yield_band_output_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["process_code"], ["process.code"], name=op.f("fk_yield_band_process_code")
        ),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_yield_band")),
    )
    op.create_index(
        op.f("ix_yield_band_process_code"), "yield_band", ["process_code"], unique=False
    )
    op.create_table(
        "certificate",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("form_edition", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("kid", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("issuer_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=True),
        sa.Column("bases", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaces_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_certificate_mass_g")),
        sa.ForeignKeyConstraint(["issuer_id"], ["party.id"], name=op.f("fk_certificate_issuer_id")),
        sa.ForeignKeyConstraint(
            ["kind", "form_edition"],
            ["certificate_form.kind", "certificate_form.edition"],
            name=op.f("fk_certificate_kind_form_edition"),
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_certificate_lot_id")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_certificate_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["replaces_id"], ["certificate.id"], name=op.f("fk_certificate_replaces_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        sa.UniqueConstraint("code", name=op.f("uq_certificate_code")),
        sa.UniqueConstraint("public_id", name=op.f("uq_certificate_public_id")),
        sa.UniqueConstraint("serial", name=op.f("uq_certificate_serial")),
    )
    op.create_index(op.f("ix_certificate_issuer_id"), "certificate", ["issuer_id"], unique=False)
    op.create_index(op.f("ix_certificate_lot_id"), "certificate", ["lot_id"], unique=False)
    op.create_table(
        "hold",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("placed_by", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_by", sa.BigInteger(), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(released_at IS NULL) = (release_reason IS NULL)", name=op.f("ck_hold_released")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_hold_lot_id")),
        sa.ForeignKeyConstraint(["placed_by"], ["party.id"], name=op.f("fk_hold_placed_by")),
        sa.ForeignKeyConstraint(["released_by"], ["party.id"], name=op.f("fk_hold_released_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
        sa.UniqueConstraint("public_id", name=op.f("uq_hold_public_id")),
    )
    op.create_index(op.f("ix_hold_lot_id"), "hold", ["lot_id"], unique=False)
    op.create_table(
        "lot_balance",
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("produced_g", sa.BigInteger(), nullable=False),
        sa.Column("remaining_g", sa.BigInteger(), nullable=False),
        sa.Column("remaining_pieces", sa.BigInteger(), nullable=True),
        sa.Column("certified_g", sa.BigInteger(), nullable=False),
        sa.Column("cover_used_g", sa.BigInteger(), nullable=False),
        sa.Column("holds", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint(
            "certified_g >= 0 AND certified_g <= produced_g",
            name=op.f("ck_lot_balance_certified_g"),
        ),
        sa.CheckConstraint("cover_used_g >= 0", name=op.f("ck_lot_balance_cover_used_g")),
        sa.CheckConstraint("holds >= 0", name=op.f("ck_lot_balance_holds")),
        sa.CheckConstraint(
            "remaining_g >= 0 AND remaining_g <= produced_g",
            name=op.f("ck_lot_balance_remaining_g"),
        ),
        sa.CheckConstraint("remaining_pieces >= 0", name=op.f("ck_lot_balance_remaining_pieces")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_lot_balance_lot_id")),
        sa.PrimaryKeyConstraint("lot_id", name=op.f("pk_lot_balance")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "lot_edge",
        sa.Column("dst", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("src", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("proof", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_lot_edge_mass_g")),
        sa.CheckConstraint("proof IN (1, 2, 3)", name=op.f("ck_lot_edge_proof")),
        sa.CheckConstraint("src < dst", name=op.f("ck_lot_edge_older_to_younger")),
        sa.ForeignKeyConstraint(["dst"], ["lot.id"], name=op.f("fk_lot_edge_dst")),
        sa.ForeignKeyConstraint(["src"], ["lot.id"], name=op.f("fk_lot_edge_src")),
        sa.PrimaryKeyConstraint("dst", "src", name=op.f("pk_lot_edge")),
        sa.UniqueConstraint("src", "dst", name=op.f("uq_lot_edge_src_dst")),
    )
    op.create_table(
        "ticket_line",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("no", sa.SmallInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("trade_name", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("pack_net_g", sa.BigInteger(), nullable=True),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("pieces", sa.BigInteger(), nullable=True),
        sa.Column("price_fen", sa.BigInteger(), nullable=True),
        sa.Column("price_unit", sa.Text(), nullable=True),
        sa.CheckConstraint("mass_g > 0", name=op.f("ck_ticket_line_mass_g")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_ticket_line_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["ticket.id"], name=op.f("fk_ticket_line_ticket_id")
        ),
        sa.PrimaryKeyConstraint("ticket_id", "no", name=op.f("pk_ticket_line")),
    )
    op.create_table(
        "ticket_state",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("decision_digest", sa.LargeBinary(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('issued', 'accepted', 'accepted_in_part', 'refused', 'voided')",
            name=op.f("ck_ticket_state_status"),
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["ticket.id"], name=op.f("fk_ticket_state_ticket_id")
        ),
        sa.PrimaryKeyConstraint("ticket_id", name=op.f("pk_ticket_state")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "certificate_void",
        sa.Column("certificate_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_certificate_void_certificate_id")
        ),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_certificate_void")),
    )
    op.create_table(
        "scan",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("place_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("certificate_id", sa.BigInteger(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("device_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_scan_account_id")),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_scan_certificate_id")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_scan_party_id")),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_scan_place_id")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_scan_ticket_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scan")),
        sa.UniqueConstraint("public_id", name=op.f("uq_scan_public_id")),
    )
    op.create_index(op.f("ix_scan_party_id"), "scan", ["party_id"], unique=False)
    op.create_index(
        "ix_scan_ticket_id_scanned_at", "scan", ["ticket_id", "scanned_at"], unique=False
    )
    op.create_table(
        "ticket_draw",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("mass_g", sa.BigInteger(), nullable=False),
        sa.Column("pieces", sa.BigInteger(), nullable=True),
        sa.Column("cover_g", sa.BigInteger(), nullable=False),
        sa.Column("certificate_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.CheckConstraint(
            "mass_g > 0 AND cover_g BETWEEN 0 AND mass_g", name=op.f("ck_ticket_draw_mass_g")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_ticket_draw_lot_id")),
        sa.ForeignKeyConstraint(
            ["ticket_id", "line_no"],
            ["ticket_line.ticket_id", "ticket_line.no"],
            name=op.f("fk_ticket_draw_ticket_id_line_no"),
        ),
        sa.PrimaryKeyConstraint("ticket_id", "line_no", "lot_id", name=op.f("pk_ticket_draw")),
    )
    op.create_index("ix_ticket_draw_lot_id", "ticket_draw", ["lot_id"], unique=False)
    op.create_table(
        "ticket_receipt",
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("line_no", sa.SmallInteger(), nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("accepted_g", sa.BigInteger(), nullable=False),
        sa.Column("received_lot_id", sa.BigInteger(), nullable=True),
        sa.Column("returned_lot_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("accepted_g >= 0", name=op.f("ck_ticket_receipt_accepted_g")),
        sa.ForeignKeyConstraint(
            ["received_lot_id"], ["lot.id"], name=op.f("fk_ticket_receipt_received_lot_id")
        ),
        sa.ForeignKeyConstraint(
            ["returned_lot_id"], ["lot.id"], name=op.f("fk_ticket_receipt_returned_lot_id")
        ),
        sa.ForeignKeyConstraint(
            ["ticket_id", "line_no", "lot_id"],
            ["ticket_draw.ticket_id", "ticket_draw.line_no", "ticket_draw.lot_id"],
            name=op.f("fk_ticket_receipt_ticket_id_line_no_lot_id"),
        ),
        sa.PrimaryKeyConstraint("ticket_id", "line_no", "lot_id", name=op.f("pk_ticket_receipt")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("ticket_receipt")
    op.drop_index("ix_ticket_draw_lot_id", table_name="ticket_draw")
    op.drop_table("ticket_draw")
    op.drop_index("ix_scan_ticket_id_scanned_at", table_name="scan")
    op.drop_index(op.f("ix_scan_party_id"), table_name="scan")
    op.drop_table("scan")
    op.drop_table("certificate_void")
    op.drop_table("ticket_state")
    op.drop_table("ticket_line")
    op.drop_table("lot_edge")
    op.drop_table("lot_balance")
    op.drop_index(op.f("ix_hold_lot_id"), table_name="hold")
    op.drop_table("hold")
    op.drop_index(op.f("ix_certificate_lot_id"), table_name="certificate")
    op.drop_index(op.f("ix_certificate_issuer_id"), table_name="certificate")
    op.drop_table("certificate")
    op.drop_index(op.f("ix_yield_band_process_code"), table_name="yield_band")
    op.drop_table("yield_band")
    op.drop_index("ix_ticket_seller_id_id", table_name="ticket")
    op.drop_index("ix_ticket_buyer_id_id", table_name="ticket")
    op.drop_table("ticket")
    op.drop_index(op.f("ix_session_expires_at"), table_name="session")
    op.drop_index(op.f("ix_session_account_id"), table_name="session")
    op.drop_table("session")
    op.drop_table("product_unit")
    op.drop_table("product_synonym")
    op.drop_table("product_requirement")
    op.drop_table("party_role")
    op.drop_index("ix_lot_holder_id_product_id_id", table_name="lot")
    op.drop_table("lot")
    op.drop_table("reporting_unit_division")
    op.drop_table("product")
    op.drop_index(op.f("ix_place_party_id"), table_name="place")
    op.drop_index(op.f("ix_place_parent_id"), table_name="place")
    op.drop_index(op.f("ix_place_kind_id"), table_name="place")
    op.drop_table("place")
    op.drop_table("notice")
    op.drop_table("lot_change")
    op.drop_index("ix_invitation_party_id", table_name="invitation")
    op.drop_table("invitation")
    op.drop_index(op.f("ix_api_key_party_id"), table_name="api_key")
    op.drop_table("api_key")
    op.drop_index(op.f("ix_account_party_id"), table_name="account")
    op.drop_table("account")
    op.drop_table("unit")
    op.drop_table("tolerance")
    op.drop_table("ticket_validity")
    op.drop_table("signing_key")
    op.drop_table("reporting_unit")
    op.drop_table("process")
    op.drop_index(op.f("ix_party_phone_index"), table_name="party")
    op.drop_table("party")
    op.drop_index(op.f("ix_event_public_id"), table_name="event")
    op.drop_index("ix_event_party_id_occurred_at", table_name="event")
    op.drop_table("event")
    op.drop_index("ix_entry_xid_id", table_name="entry")
    op.drop_index("ix_entry_subject", table_name="entry")
    op.drop_table("entry")
    op.drop_index(op.f("ix_division_parent_code"), table_name="division")
    op.drop_table("division")
    op.drop_table("certificate_form")
    op.drop_table("certificate_duty")
    op.drop_table("catalogue_version")
