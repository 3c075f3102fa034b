"""Images as they are told of."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.core.schemas import Out


class EvidenceOut(Out):
    """An image that is kept."""

    evidence: UUID
    sha256: str = Field(description="Of the image as it is kept, in hexadecimal.")
    width_px: int
    height_px: int
    size_bytes: int
    stored_at: datetime
