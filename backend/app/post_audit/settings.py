"""Every setting, read from the environment and from `.env`; nothing else in the project reads either.

The names that marketplaces already use are kept as they are; ours begin with POST_AUDIT_.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.post_audit.errors import InvalidSetting

__all__ = ["Settings", "env_files", "given", "load_settings", "project_folder", "setting_faults"]

_HERE: Final = Path(__file__).resolve()
_OURS: Final = "POST_AUDIT_"


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
    keep_messages_days: Annotated[
        int,
        Field(
            alias="POST_AUDIT_KEEP_MESSAGES_DAYS",
            ge=8,
            le=3650,
            description="messages that ended so many days ago are deleted, once a day, by any worker; the newest of "
            "each subject stays, and decisions keep whom they told",
        ),
    ] = 90
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
    address: Annotated[
        str,
        Field(
            alias="POST_AUDIT_ADDRESS",
            description="where the API listens; any other than this machine's own needs POST_AUDIT_SECRET",
        ),
    ] = "127.0.0.1"
    secret: Annotated[
        SecretStr | None,
        Field(
            alias="POST_AUDIT_SECRET",
            min_length=32,
            description="signs sessions; with it everybody has to sign in, also on this machine",
        ),
    ] = None
    hosts: Annotated[
        str | None,
        Field(
            alias="POST_AUDIT_HOSTS",
            description="the names that people reach the API by, with commas between",
        ),
    ] = None
    proxies: Annotated[
        str | None,
        Field(
            alias="POST_AUDIT_PROXIES",
            description="addresses or networks of proxies whose X-Forwarded headers are believed, with commas between",
        ),
    ] = None

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
    settings = _read()
    if isinstance(settings, Settings):
        return settings
    raise settings[0]


def setting_faults() -> list[InvalidSetting]:
    """Name every setting that cannot be used, and every name that looks like a setting and is none."""
    settings = _read()
    return [*([] if isinstance(settings, Settings) else settings), *_unknown_names()]


def env_files() -> tuple[Path, ...]:
    """The files of settings that exist, those that win last."""
    here = dict.fromkeys((project_folder() / ".env", Path.cwd() / ".env"))
    return tuple(path for path in here if path.is_file())


def given() -> tuple[str, ...]:
    """The names of the settings that were given, in the environment or in `.env`."""
    names = {name.upper() for name in (*os.environ, *_names_in_files())}
    return tuple(name for name in _known() if name in names)


def _read() -> Settings | list[InvalidSetting]:
    """The settings, or what is wrong with them."""
    try:
        return Settings(_env_file=(project_folder() / ".env", Path.cwd() / ".env"))
    except ValidationError as error:
        return [
            InvalidSetting(
                f"The setting {'.'.join(str(part) for part in one['loc']).upper()} cannot be used: {one['msg']}.",
                cure="Correct it in the environment or in .env.",
            )
            for one in error.errors(include_input=False)
        ]
    except UnicodeDecodeError:
        return [InvalidSetting("The file .env is not UTF-8 text.", cure="Save it as UTF-8.")]


def _known() -> tuple[str, ...]:
    return tuple(field.alias or name.upper() for name, field in Settings.model_fields.items())


def _names_in_files() -> set[str]:
    try:
        return {name for path in env_files() for name in dotenv_values(path, encoding="utf-8")}
    except UnicodeDecodeError:
        return set()


def _unknown_names() -> Iterator[InvalidSetting]:
    """Names that nothing reads: ours by their beginning, and in `.env` whatever is nearly one of ours."""
    known = _known()
    named = {name.upper() for name in os.environ if name.upper().startswith(_OURS)}
    for name in sorted({*named, *(name.upper() for name in _names_in_files())} - set(known)):
        nearest = get_close_matches(name, known, n=1, cutoff=0.8)
        if nearest or name.startswith(_OURS):
            meant = f"Did you mean {nearest[0]}?" if nearest else "See docs/reference/settings.md."
            yield InvalidSetting(f"There is no setting {name}, so nothing reads it.", cure=meant)
