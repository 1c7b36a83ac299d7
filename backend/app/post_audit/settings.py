"""Every setting, read from the environment and from `.env`; nothing else in the project reads either.

The names that marketplaces already use are kept as they are; ours begin with POST_AUDIT_.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.post_audit.errors import InvalidSetting

__all__ = ["Settings", "load_settings", "project_folder"]

_HERE: Final = Path(__file__).resolve()


def project_folder() -> Path:
    """The checkout that this file lies in; the working folder when the product is installed as a wheel."""
    checkout = _HERE.parents[3]
    return checkout if (checkout / "supabase" / "migrations").is_dir() else Path.cwd()


class Settings(BaseSettings):
    """What the product is told from outside. A value that is empty counts as not given."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    database_url: Annotated[
        SecretStr | None, Field(description="a direct PostgreSQL connection; wins over all")
    ] = None
    supabase_url: Annotated[str | None, Field(description="the project's address, https://….supabase.co")] = (
        None
    )
    supabase_service_role_key: Annotated[SecretStr | None, Field(description="the project's service key")] = (
        None
    )
    n8n_webhook_ab_update: Annotated[
        SecretStr | None, Field(description="n8n's webhook for the active variant")
    ] = None
    n8n_webhook_scale: Annotated[
        SecretStr | None, Field(description="n8n's webhook for the daily quotas")
    ] = None
    telegram_bot_token: Annotated[SecretStr | None, Field(description="the bot that sends alerts")] = None
    telegram_chat_id: Annotated[str | None, Field(description="the chat that gets the alerts")] = None
    n8n_signing_secret: Annotated[
        SecretStr | None,
        Field(
            alias="POST_AUDIT_N8N_SIGNING_SECRET",
            description="what messages to n8n are signed with: whsec_ and base64, as Standard Webhooks write it",
        ),
    ] = None
    n8n_header_name: Annotated[
        str,
        Field(alias="POST_AUDIT_N8N_HEADER_NAME", description="the header of n8n's header authentication"),
    ] = "X-Post-Audit-Key"
    n8n_header_value: Annotated[
        SecretStr | None,
        Field(
            alias="POST_AUDIT_N8N_HEADER_VALUE", description="its value; without one no such header is sent"
        ),
    ] = None
    delivery_seconds: Annotated[
        float,
        Field(
            alias="POST_AUDIT_DELIVERY_SECONDS",
            gt=0,
            le=45,
            description="how long n8n or Telegram may take to answer one message",
        ),
    ] = 10.0
    telegram_api: Annotated[
        str,
        Field(alias="POST_AUDIT_TELEGRAM_API", description="the Bot API's address, for a server of your own"),
    ] = "https://api.telegram.org"

    data_directory: Annotated[
        Path,
        Field(alias="POST_AUDIT_DATA_DIRECTORY", description="where the embedded database keeps its state"),
    ] = project_folder() / ".post_audit"
    log_file: Annotated[
        Path, Field(alias="POST_AUDIT_LOG_FILE", description="the log, one JSON object a line")
    ] = project_folder() / "backend" / "logs" / "post_audit_protocol.log"
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Field(alias="POST_AUDIT_LOG_LEVEL", description="how much is logged"),
    ] = "INFO"
    lease_seconds: Annotated[
        int,
        Field(
            alias="POST_AUDIT_LEASE_SECONDS",
            ge=5,
            le=3600,
            description="after how long without a sign of life another worker may take over a run",
        ),
    ] = 30
    inbox: Annotated[
        Path,
        Field(
            alias="POST_AUDIT_INBOX", description="a folder whose audit files are taken in before each run"
        ),
    ] = project_folder() / "audit-inbox"
    port: Annotated[
        int, Field(alias="POST_AUDIT_PORT", ge=1, le=65535, description="the port of the API")
    ] = 8000

    @field_validator("supabase_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("has to begin with https://")
        return value

    @property
    def lease(self) -> timedelta:
        """How long a run belongs to a worker that gives no sign of life."""
        return timedelta(seconds=self.lease_seconds)

    def secrets(self) -> tuple[str, ...]:
        """Every secret value that was given, so that logs can leave it out."""
        return tuple(
            value.get_secret_value()
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), SecretStr)
        )


def load_settings() -> Settings:
    """Read the environment, then `.env` of the project and of the working folder.

    Raises `InvalidSetting` naming the first setting that cannot be used; its value is not repeated.
    """
    try:
        return Settings(_env_file=(project_folder() / ".env", Path.cwd() / ".env"))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        raise InvalidSetting(
            f"The setting {name} cannot be used: {first['msg']}.",
            cure="Correct it in the environment or in .env.",
        ) from None
    except UnicodeDecodeError:
        raise InvalidSetting("The file .env is not UTF-8 text.", cure="Save it as UTF-8.") from None
