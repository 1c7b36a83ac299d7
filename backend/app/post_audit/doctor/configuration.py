"""The settings: whether each can be used, whether they fit together, and whether their file is kept to oneself."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.post_audit.doctor.finding import Area, Finding, Level, of_error
from app.post_audit.errors import PostAuditError
from app.post_audit.formats import count
from app.post_audit.outbox.receivers import SETTINGS_OF, receiver_of
from app.post_audit.settings import Settings, env_files, given, setting_faults
from app.post_audit.step import Channel

__all__ = ["Requirement", "check_files", "check_readable", "check_together"]

Requirement = Callable[[Settings], object]
"""What a layer above makes of the settings; raises a `PostAuditError` where it cannot."""

_OTHERS: Final = stat.S_IRGRP | stat.S_IROTH
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def check_readable() -> Iterator[Finding]:
    """Name every setting whose value cannot be used, and every name that nothing reads."""
    for fault in setting_faults():
        yield of_error(Area.SETTINGS, "settings.value", fault)


def check_files() -> Iterator[Finding]:
    """Note files of settings that others on this machine can read."""
    for path in env_files():
        if path.stat().st_mode & _OTHERS:
            yield Finding(
                area=Area.SETTINGS,
                name="settings.file",
                level=Level.NOTE,
                text=f"Others on this machine may read {_short(path)}, which holds secrets.",
                cure=f"chmod 600 {_short(path)}",
            )


def check_together(settings: Settings, requirements: Sequence[Requirement]) -> Iterator[Finding]:
    """Judge whether the settings fit together; `requirements` are those of the layers above."""
    wrong = {
        (finding.text, finding.cure): finding
        for requirement in (*(_receiver(channel) for channel in Channel), *requirements)
        if (finding := _tried(requirement, settings)) is not None
    }
    yield from wrong.values()
    if settings.database_url is not None and settings.supabase_url is not None:
        yield Finding(
            area=Area.SETTINGS,
            name="settings.two_databases",
            level=Level.NOTE,
            text="DATABASE_URL and SUPABASE_URL are both set; the direct connection is used.",
        )
    yield from _unsigned(settings)
    yield from _in_clear(settings)
    if not wrong:
        names = given()
        told = (
            f"{count(len(names))} settings are given"
            if names
            else "No setting is given; all have their defaults"
        )
        yield Finding(
            area=Area.SETTINGS,
            name="settings.usable",
            level=Level.WELL,
            text=f"{told}; all can be used." if names else f"{told}.",
            numbers={"given": len(names)},
        )


def _receiver(channel: Channel) -> Requirement:
    return lambda settings: receiver_of(channel, settings)


def _tried(requirement: Requirement, settings: Settings) -> Finding | None:
    try:
        requirement(settings)
    except PostAuditError as error:
        return of_error(Area.SETTINGS, "settings.together", error)
    return None


def _webhooks(settings: Settings) -> dict[str, str]:
    given_ones = {
        SETTINGS_OF[Channel.N8N_AB_UPDATE]: settings.n8n_webhook_ab_update,
        SETTINGS_OF[Channel.N8N_SCALE]: settings.n8n_webhook_scale,
    }
    return {name: url.get_secret_value() for name, url in given_ones.items() if url is not None}


def _unsigned(settings: Settings) -> Iterator[Finding]:
    """Our workflows refuse what is not signed."""
    if _webhooks(settings) and settings.n8n_signing_secret is None:
        yield Finding(
            area=Area.SETTINGS,
            name="settings.unsigned",
            level=Level.NOTE,
            text="Messages to n8n are not signed, and our workflows refuse them: "
            "POST_AUDIT_N8N_SIGNING_SECRET is not set.",
            cure="Make one (echo whsec_$(openssl rand -base64 32)), and give it to the node Secret too.",
        )


def _in_clear(settings: Settings) -> Iterator[Finding]:
    for name, url in _webhooks(settings).items():
        try:
            parts = urlsplit(url.strip())
        except ValueError:
            continue
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and "." in (parts.hostname or ""):
            yield Finding(
                area=Area.SETTINGS,
                name="settings.in_clear",
                level=Level.NOTE,
                text=f"{name} begins with http://, so what is sent can be read on the way.",
                cure="Use https://, unless the way is your own.",
            )


def _short(path: Path) -> str:
    """A path below the working folder by its end alone."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
