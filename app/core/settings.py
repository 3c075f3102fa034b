"""Settings, read once at a composition root and handed down as arguments."""

import base64
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.sealing import KEY_BYTES


def _or_none(value: object) -> object:
    """Take an empty variable as one that is not set: compose files cannot leave one out."""
    return None if value == "" else value


def _async_url(url: str) -> str:
    """Accept the spellings operators have at hand and name the driver that we speak."""
    for spelling in ("postgres://", "postgresql://", "postgresql+psycopg://"):
        if url.startswith(spelling):
            return "postgresql+asyncpg://" + url.removeprefix(spelling)
    if not url.startswith("postgresql+asyncpg://"):
        message = "must begin with postgresql://"
        raise ValueError(message)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_async_url)]


class Settings(BaseSettings):
    """Everything an operator can set, each as an environment variable `YPT_<NAME>`.

    `docs/operating.md` has a heading for every field; a test fails when one is missing.
    """

    model_config = SettingsConfigDict(env_prefix="YPT_", extra="ignore", frozen=True)

    database_url: DatabaseUrl = Field(
        description="PostgreSQL 15 or newer, as postgresql://user:password@host:port/database."
    )
    database_role: str = Field(
        default="ypt_app",
        description="Role the server acts as; it may append to the log and not change it.",
    )
    secret_key: SecretStr = Field(
        description="32 random bytes in Base64: seals personal data and signing keys at rest."
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="What a ticket's code begins with: scheme and host that readers can open.",
    )
    replica_url: Annotated[DatabaseUrl | None, BeforeValidator(_or_none)] = Field(
        default=None,
        description="A streaming replica of the database, for scans, traces and public pages.",
    )
    replica_lag_s_max: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="How many seconds a replica may be behind; beyond, the primary answers.",
    )
    trace_strategy: Literal["recursive", "levels"] = Field(
        default="recursive",
        description="How graphs of lots are walked: one server (recursive), or a cluster (levels).",
    )
    cluster: bool = Field(
        default=False,
        description="The tables lie spread over a cluster, as `ypt migrate --citus` puts them.",
    )
    pool_size: int = Field(default=10, ge=1, le=200, description="Database connections a process.")
    cookie_secure: bool = Field(
        default=True, description="Send the session cookie over HTTPS only (off in the demo)."
    )
    demo: bool = Field(
        default=False, description="Made-up data: pages and tickets say so; never in production."
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @model_validator(mode="after")
    def _secret_is_32_bytes(self) -> Self:
        try:
            size = len(self.secret_bytes)
        except ValueError:
            size = 0
        if size != KEY_BYTES:
            message = f"YPT_SECRET_KEY must be {KEY_BYTES} bytes in Base64 (see: ypt key secret)"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _a_cluster_is_walked_by_levels(self) -> Self:
        if self.cluster and self.trace_strategy != "levels":
            message = "YPT_CLUSTER needs YPT_TRACE_STRATEGY=levels"
            raise ValueError(message)
        return self

    @property
    def secret_bytes(self) -> bytes:
        """The secret key itself, 32 bytes."""
        return base64.b64decode(self.secret_key.get_secret_value(), validate=True)
