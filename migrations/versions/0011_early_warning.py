"""Make treatments, counts of views and of tests, and early warnings with their dated rules."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

RULES = (
    "'certificate-oversold', 'plot-over-yield', 'certificate-after-sale', 'preharvest-interval', "
    "'chain-too-fast', 'phone-shared', 'product-changed', 'scan-too-fast', "
    "'accepted-beyond-issued', 'scanned-after-use', 'off-log', 'viewed-too-often', "
    "'failure-cluster', 'deadline-overdue'"
)
SEVERITIES = "'critical', 'high', 'medium', 'low'"
TABLES = (
    "warning",
    "citation",
    "warning_watermark",
    "test_week",
    "county_centre",
    "plot_yield",
    "warning_rule",
    "public_views",
    "treatment",
    "preharvest_interval",
)
GRANTS = {
    "SELECT": "county_centre, plot_yield, preharvest_interval, warning_rule",
    "SELECT, INSERT": "citation, treatment",
    "SELECT, INSERT, UPDATE": "public_views, test_week, warning, warning_watermark",
}


def _identity() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)


def _day(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Date(), nullable=null)


def _at(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _number(name: str, *references: str, null: bool = False) -> sa.Column[int]:
    keys = [sa.ForeignKey(reference) for reference in references]
    return sa.Column(name, sa.BigInteger(), *keys, nullable=null)


def _dated() -> list[sa.Column[object]]:
    return [
        _day("valid_from"),
        _day("valid_to", null=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
    ]


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def upgrade() -> None:
    """Apply."""
    _farming()
    _counts()
    _dated_data()
    _warnings()
    for rights, tables in GRANTS.items():
        op.execute(f"GRANT {rights} ON {tables} TO ypt_app")
    op.create_index("ix_sample_product_id_taken_at", "sample", ["product_id", "taken_at"])
    op.create_index(
        "ix_lot_plot_id_made_on",
        "lot",
        ["plot_id", "made_on"],
        postgresql_where=sa.text("plot_id IS NOT NULL"),
    )


def _farming() -> None:
    op.create_table(
        "preharvest_interval",
        _text("substance"),
        _number("product_id"),
        *_dated(),
        sa.Column("days", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "substance", "product_id", "valid_from", name=op.f("pk_preharvest_interval")
        ),
        _check("preharvest_interval", "days", "days >= 0"),
        _check("preharvest_interval", "valid_some_time", "valid_to > valid_from"),
    )
    op.create_table(
        "treatment",
        _identity(),
        sa.Column("public_id", sa.Uuid(), nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _number("plot_id", "place.id"),
        _number("party_id", "party.id"),
        _number("product_id", "product.id", null=True),
        _text("substance"),
        _text("dose"),
        sa.Column("label_days", sa.SmallInteger(), nullable=True),
        _at("applied_at"),
        _day("applied_on"),
        _at("recorded_at"),
        _check("treatment", "label_days", "label_days >= 0"),
    )
    op.create_index("ix_treatment_plot_id_applied_on", "treatment", ["plot_id", "applied_on"])


def _counts() -> None:
    op.create_table(
        "public_views",
        _identity(),
        _number("serial"),
        _at("hour_at"),
        _number("views"),
        sa.UniqueConstraint("serial", "hour_at"),
        _check("public_views", "views", "views > 0"),
    )
    op.create_table(
        "test_week",
        _identity(),
        _number("product_id", "product.id"),
        _text("county_code"),
        _day("week_on"),
        _number("tests"),
        _number("failures"),
        sa.UniqueConstraint("product_id", "county_code", "week_on"),
        _check("test_week", "failures", "0 <= failures AND failures <= tests"),
        _check("test_week", "monday", "extract(isodow FROM week_on) = 1"),
    )


def _dated_data() -> None:
    op.create_table(
        "warning_rule",
        _text("code"),
        *_dated(),
        _text("severity"),
        _text("zh"),
        _text("en"),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_warning_rule")),
        _check("warning_rule", "code", f"code IN ({RULES})"),
        _check("warning_rule", "severity", f"severity IN ({SEVERITIES})"),
        _check("warning_rule", "valid_some_time", "valid_to > valid_from"),
    )
    op.create_table(
        "plot_yield",
        _text("code"),
        *_dated(),
        _text("category", null=True),
        _number("product_id", "product.id", null=True),
        _number("kg_per_mu_max"),
        _number("season_days"),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_plot_yield")),
        _check("plot_yield", "valid_some_time", "valid_to > valid_from"),
        _check("plot_yield", "one_subject", "num_nonnulls(category, product_id) = 1"),
        _check("plot_yield", "positive", "kg_per_mu_max > 0 AND season_days > 0"),
    )
    op.create_table(
        "county_centre",
        _text("code"),
        *_dated(),
        _text("name"),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        _number("radius_km"),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_county_centre")),
        _check("county_centre", "valid_some_time", "valid_to > valid_from"),
        _check("county_centre", "radius_km", "radius_km > 0"),
    )


def _warnings() -> None:
    op.create_table(
        "warning_watermark",
        _text("rule"),
        _text("stream"),
        _number("position"),
        sa.PrimaryKeyConstraint("rule", "stream", name=op.f("pk_warning_watermark")),
    )
    op.create_table(
        "citation",
        _number("lot_id", "lot.id"),
        _text("code"),
        _number("ticket_id", "ticket.id", null=True),
        _number("certificate_id", "certificate.id", null=True),
        sa.PrimaryKeyConstraint("lot_id", "code", name=op.f("pk_citation")),
        _check("citation", "one_document", "num_nonnulls(ticket_id, certificate_id) = 1"),
    )
    op.create_index("ix_citation_certificate_id", "citation", ["certificate_id"])
    op.create_table(
        "warning",
        _identity(),
        sa.Column("public_id", sa.Uuid(), nullable=False, unique=True),
        _text("rule"),
        _day("rule_valid_from"),
        _text("severity"),
        _text("subject"),
        _text("period"),
        _day("occurred_on"),
        _number("figure"),
        _number("limit"),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        _number("party_id", "party.id", null=True),
        sa.Column("market_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("divisions", postgresql.ARRAY(sa.Text()), nullable=False),
        _at("opened_at"),
        _at("seen_at"),
        _text("state"),
        _at("closed_at", null=True),
        _number("closed_by", "party.id", null=True),
        _text("reason", null=True),
        _check("warning", "rule", f"rule IN ({RULES})"),
        _check("warning", "severity", f"severity IN ({SEVERITIES})"),
        _check("warning", "state", "state IN ('open', 'handled', 'false')"),
        _check(
            "warning",
            "closed",
            "(state = 'open') = (closed_at IS NULL) AND (state = 'open') = (reason IS NULL)",
        ),
    )
    op.create_index(
        "uq_warning_open",
        "warning",
        ["rule", "subject", "period"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_warning_rule_subject_period", "warning", ["rule", "subject", "period"])
    op.create_index("ix_warning_state_id", "warning", ["state", "id"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_lot_plot_id_made_on", "lot")
    op.drop_index("ix_sample_product_id_taken_at", "sample")
    for table in TABLES:
        op.drop_table(table)
