"""Imports every table, so that `Base.metadata` is complete for migrations and tests."""

from app.admission import models as admission
from app.bundle import models as bundle
from app.certificate import models as certificate
from app.core import heartbeat
from app.core.db import Base
from app.event import models as event
from app.evidence import models as evidence
from app.exchange import models as exchange
from app.farming import models as farming
from app.hold import models as hold
from app.label import models as label
from app.ledger import models as ledger
from app.lot import models as lot
from app.party import models as party
from app.place import models as place
from app.product import models as product
from app.recall import models as recall
from app.report import models as report
from app.signing import models as signing
from app.supervision import models as supervision
from app.testing import models as testing
from app.ticket import models as ticket
from app.transparency import models as transparency

metadata = Base.metadata

__all__ = [
    "admission",
    "bundle",
    "certificate",
    "event",
    "evidence",
    "exchange",
    "farming",
    "heartbeat",
    "hold",
    "label",
    "ledger",
    "lot",
    "metadata",
    "party",
    "place",
    "product",
    "recall",
    "report",
    "signing",
    "supervision",
    "testing",
    "ticket",
    "transparency",
]
