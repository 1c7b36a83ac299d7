"""The receiver of each channel as the settings name it, and what is wrong where they name one that cannot work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.post_audit.errors import ConfigurationError
from app.post_audit.outbox.console import ConsoleSender
from app.post_audit.step import Channel

if TYPE_CHECKING:
    from app.post_audit.outbox.n8n import N8nAccess
    from app.post_audit.ports import Sender
    from app.post_audit.settings import Settings

__all__ = ["SETTINGS_OF", "receiver_of", "receivers"]

SETTINGS_OF: Final = {
    Channel.N8N_AB_UPDATE: "N8N_WEBHOOK_AB_UPDATE",
    Channel.N8N_SCALE: "N8N_WEBHOOK_SCALE",
    Channel.TELEGRAM: "TELEGRAM_BOT_TOKEN",
}
"""The setting without which a channel has no receiver."""


def receivers(settings: Settings) -> dict[str, Sender]:
    """The sender of each channel: its receiver where one is configured, and else the console.

    Raises `ConfigurationError` where a receiver is configured in a way that cannot work: alerts that nobody gets are
    worse than a command that does not start.
    """
    return {channel.value: receiver_of(channel, settings) or ConsoleSender() for channel in Channel}


def receiver_of(channel: Channel, settings: Settings, *, total_seconds: float | None = None) -> Sender | None:
    """The receiver of one channel; None where none is configured.

    `total_seconds` is how long one try may take, the setting's own when not given. Raises `ConfigurationError`.
    """
    seconds = settings.delivery_seconds if total_seconds is None else total_seconds
    if channel is Channel.TELEGRAM:
        return _telegram(settings, seconds)
    ab_update, scale = settings.n8n_webhook_ab_update, settings.n8n_webhook_scale
    url = ab_update if channel is Channel.N8N_AB_UPDATE else scale
    if url is None:
        return None
    from app.post_audit.outbox.n8n import N8nSender

    return N8nSender(
        channel=channel.value,
        setting=SETTINGS_OF[channel],
        url=url.get_secret_value(),
        access=_n8n_access(settings),
        total_seconds=seconds,
    )


def _n8n_access(settings: Settings) -> N8nAccess:
    from app.post_audit.outbox.n8n import N8nAccess

    secret, value = settings.n8n_signing_secret, settings.n8n_header_value
    return N8nAccess(
        signing_secret=None if secret is None else secret.get_secret_value(),
        header_name=settings.n8n_header_name,
        header_value=None if value is None else value.get_secret_value(),
    )


def _telegram(settings: Settings, seconds: float) -> Sender | None:
    token, chat = settings.telegram_bot_token, settings.telegram_chat_id
    if token is None and chat is None:
        return None
    if token is None or chat is None:
        given, missing = "TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"
        if token is None:
            given, missing = missing, given
        raise ConfigurationError(
            f"{given} is set, and {missing} is not.", cure="Set both to get alerts, or neither to get none."
        )
    from app.post_audit.outbox.telegram import TelegramSender

    return TelegramSender(
        token=token.get_secret_value(), chat=chat, api=settings.telegram_api, total_seconds=seconds
    )
