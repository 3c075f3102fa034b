"""Says where each table lies on a cluster, and why."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Distributed:
    """Rows lie where the value of a column says.

    Attributes:
        column: The column.
        group: The table whose equal values lie on the same node; its own name for the first one.
    """

    column: str
    group: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A copy lies on every node: what is small, or is joined with everything."""


@dataclass(frozen=True, slots=True)
class Local:
    """The table lies on the coordinator alone.

    Attributes:
        why: What asks for one writer, or for no other node.
    """

    why: str


Place = Distributed | Reference | Local

EDGE_COPY: Final = "lot_edge_by_src"
DIRECTORY: Final = "directory"

_REFERENCE = """
    account account_code account_rule agreement api_key bundle_keyset bundle_meta bundle_shard
    catalogue_version certificate certificate_duty certificate_form certificate_void clock_rule
    county_centre deadline deadline_extension division ended_session entry_rule evidence
    evidence_proof extension_rule food_category gate_case gate_device gate_enrolment gate_sample
    gate_upload hold hold_release inspection inspection_line invitation label label_binding
    label_roll lateness_rule measure notice notice_mark objection paper_document paper_kind party
    party_role place plot_yield preharvest_interval process product product_requirement
    product_synonym product_unit push_nonce quick_method recall recall_annulment recall_disposal
    recall_disposal_lot recall_forwarding recall_lot recall_notice recall_sign_off recall_step
    recall_term referral report report_photo report_rule report_step reporting_unit
    reporting_unit_division residue_limit retention_rule ruling sample sample_allowance
    sample_commission sample_step sampling_rule sampling_seed session signing_key statutory_field
    substance test test_source test_week ticket_validity tolerance treatment unit warning
    warning_rule working_day yield_band
"""

PLACES: Final[MappingProxyType[str, Place]] = MappingProxyType(
    {
        # What grows with every hand-over.
        "lot": Distributed("id", "lot"),
        "lot_balance": Distributed("lot_id", "lot"),
        "lot_edge": Distributed("dst", "lot"),
        EDGE_COPY: Distributed("src", "lot"),
        "citation": Distributed("lot_id", "lot"),
        "ticket": Distributed("id", "ticket"),
        "ticket_line": Distributed("ticket_id", "ticket"),
        "ticket_draw": Distributed("ticket_id", "ticket"),
        "ticket_state": Distributed("ticket_id", "ticket"),
        "ticket_receipt": Distributed("ticket_id", "ticket"),
        DIRECTORY: Distributed("name", "directory"),
        # By what clients choose, so that a repeated request meets its first on the same node.
        "event": Distributed("public_id", "event"),
        "lot_change": Distributed("public_id", "event"),
        "scan": Distributed("public_id", "event"),
        "public_views": Distributed("serial", "public_views"),
        "ledger_access": Distributed("id", "ledger_access"),
        # By what it is: photos, each once.
        "evidence_content": Distributed("sha256", "evidence_content"),
        "entry": Local("a log has one order, and `xid` counts the transactions of one server"),
        "heartbeat": Local("the replica of the coordinator is measured by it"),
        "import_run": Local("rows of one operator's imports, locked by the import"),
        "import_refusal": Local("rows of one operator's imports"),
        "warning_watermark": Local("jobs of the worker lock it"),
        **dict.fromkeys(_REFERENCE.split(), Reference()),
    }
)

KEPT_BY: Final[MappingProxyType[str, str]] = MappingProxyType(
    {
        "uq_lot_public_id": "directory (kind 'lot'), written with the lot",
        "uq_ticket_public_id": "directory (kind 'ticket'), written with the ticket",
        "uq_ticket_code": "directory (kind 'ticket.code'), written with the ticket",
        "uq_ticket_serial": "directory (kind 'ticket.serial'), written with the ticket",
    }
)
"""What keeps a key unique that the table itself cannot: by its name."""

LISTED: Final = (
    ("lot", "lot", "public_id"),
    ("ticket", "ticket", "public_id"),
    ("ticket.code", "ticket", "code"),
    ("ticket.serial", "ticket", "serial"),
)
"""What the directory holds: kind, table, column."""

GUARDED: Final = (
    "certificate",
    "lot",
    "lot_edge",
    "test",
    "ticket",
    "ticket_draw",
    "ticket_line",
)
"""Tables whose trigger refuses changes on one server; on a cluster, only grants do."""
