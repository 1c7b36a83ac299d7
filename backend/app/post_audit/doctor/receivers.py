"""n8n and Telegram: asked whether they would take messages; nothing is told to them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from app.post_audit.doctor.finding import Area, Finding, Level
from app.post_audit.errors import PostAuditError
from app.post_audit.outbox.receivers import SETTINGS_OF, receiver_of
from app.post_audit.ports import Probe, Sender
from app.post_audit.settings import Settings
from app.post_audit.step import Channel

__all__ = ["ask_receivers", "missing_receivers"]

# of the ten seconds that an examination may take; a receiver that needs longer for a ping is not well
_SECONDS: Final = 4.0
_NAMES: Final[Mapping[Channel, tuple[str, str]]] = {
    Channel.N8N_AB_UPDATE: ("n8n (active message)", "n8n is not told which message is active"),
    Channel.N8N_SCALE: ("n8n (quotas)", "n8n is not told the daily quotas"),
    Channel.TELEGRAM: ("Telegram", "Nobody gets alerts"),
}
"""What a person calls the receiver, and what happens without it."""


def missing_receivers(settings: Settings) -> list[Finding]:
    """Note the channels that have no receiver."""
    found = []
    for channel, (_, without) in _NAMES.items():
        if _configured(channel, settings) is None and not _is_faulty(channel, settings):
            found.append(
                _finding(
                    channel, Level.NOTE, f"{without}: {SETTINGS_OF[channel]} is not set.", _how_to(channel)
                )
            )
    return found


def ask_receivers(settings: Settings, now: datetime) -> list[Finding]:
    """Ask all that are configured at once; takes four seconds at most for a try, twelve for three of Telegram."""
    asked = {channel: sender for channel in Channel if (sender := _configured(channel, settings)) is not None}
    if not asked:
        return []
    with ThreadPoolExecutor(max_workers=len(asked), thread_name_prefix="doctor") as threads:
        answers = {channel: threads.submit(sender.probe, now) for channel, sender in asked.items()}
        return [_judged(channel, answer.result()) for channel, answer in answers.items()]


def _judged(channel: Channel, probe: Probe) -> Finding:
    name, _ = _NAMES[channel]
    if probe.is_well:
        return _finding(channel, Level.WELL, f"{name}: {probe.detail}")
    return _finding(
        channel, Level.PROBLEM if probe.is_sure else Level.NOTE, f"{name}: {probe.detail}", probe.cure
    )


def _configured(channel: Channel, settings: Settings) -> Sender | None:
    try:
        return receiver_of(channel, settings, total_seconds=min(_SECONDS, settings.delivery_seconds))
    except PostAuditError:
        # told of with the settings
        return None


def _is_faulty(channel: Channel, settings: Settings) -> bool:
    try:
        receiver_of(channel, settings)
    except PostAuditError:
        return True
    return False


def _how_to(channel: Channel) -> str:
    return f"See docs/how-to/{'telegram' if channel is Channel.TELEGRAM else 'n8n'}.md."


def _finding(channel: Channel, level: Level, text: str, cure: str = "") -> Finding:
    return Finding(area=Area.RECEIVERS, name=f"receivers.{channel.value}", level=level, text=text, cure=cure)
