"""/admin/settings: how this server is set, without its secrets; and what each step may do by itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from app.post_audit.secrecy import redact
from app.post_audit.settings import Settings
from app.post_audit.web.access import Person, Role
from app.post_audit.web.pages.doctor import as_data, draw_wrong
from app.post_audit.web.pages.elements import box, button, link, text, word
from app.post_audit.web.pages.page import House, Page, Part, Query
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import TITLES, number_word

__all__ = ["PAGES", "shown_settings"]

_MODES: Final = {
    "act": ("acts by itself", "bolt", "is-accent"),
    "propose": ("proposes, and waits", "hand", "is-warn"),
    "paused": ("rests", "pause", ""),
}
_OFFERED: Final = (("act", "Act"), ("propose", "Propose"), ("paused", "Rest"))


def _load(house: House, _query: Query) -> dict[str, Any]:
    status: Any = house.database.call("post_audit_read_status")
    return {
        "settings": [] if house.settings is None else shown_settings(house.settings),
        "modes": status["modes"],
        "wrong": [as_data(finding) for finding in house.checkup.look().wrong()],
        "database": house.database.describe(),
        "marketplace": status["marketplace"],
        "schema": status["schema_version"],
    }


def shown_settings(settings: Settings) -> list[dict[str, str]]:
    """List settings with their values; of a secret only whether it is set."""
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            shown = "set, and not shown"
        elif value is None or value in ("", ()):
            shown = "not set"
        elif isinstance(value, Path | str | int | float | bool):
            shown = redact(str(value))
        else:
            shown = redact(", ".join(str(item) for item in value))
        rows.append({"name": field.alias or name.upper(), "value": shown, "says": field.description or ""})
    return rows


def _draw_head(_view: View, data: Mapping[str, Any]) -> None:
    acting = sum(mode == "act" for mode in data["modes"].values())
    with box("div", "head"), box("div", "head-text"):
        text(
            f"{number_word(acting).capitalize()} of {number_word(len(data['modes']))} steps act by themselves.",
            "h1",
        )
        text(f"Database: {data['database']} · {data['marketplace']} · schema {data['schema']}.", "p", "lede")


def _draw_modes(view: View, data: Mapping[str, Any]) -> None:
    text("What each step may do", "h2").style("margin-bottom: 8px")
    with box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (("Step", ""), ("Now", ""), ("Let it", "end")):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for step, mode in data["modes"].items():
                with box("tr"):
                    text(TITLES.get(step, step), "th", scope="row")
                    with box("td"):
                        word(*_MODES.get(mode, (mode, "question", "")))
                    with box("td", "end"), box("div", "actions").style("justify-content: flex-end"):
                        for wanted, words in _OFFERED:
                            needed = Role.APPROVER if wanted == "act" else Role.OPERATOR
                            if wanted != mode and view.visit.allows(needed):
                                button(
                                    words,
                                    partial(_set_mode, view, step, wanted),
                                    kind="small-button",
                                    key=f"mode-{step}-{wanted}",
                                    aria_label=f"{words}: {TITLES.get(step, step)}",
                                )


async def _set_mode(view: View, step: str, mode: str) -> None:
    """Arm a step, let it only propose, or pause it, in the name of who is signed in."""

    def deed(person: Person) -> str:
        view.house.database.call("post_audit_apply_mode", step=step, mode=mode, actor=person.name)
        view.visit.record("mode.changed", f"{step} to {mode}")
        return f"{TITLES.get(step, step)} {_MODES[mode][0]} from the next run on."

    await view.act(Role.APPROVER if mode == "act" else Role.OPERATOR, deed)


def _draw_findings(_view: View, data: Mapping[str, Any]) -> None:
    wrong = data["wrong"]
    text("What is missing" if wrong else "Doctor", "h2").style("margin-bottom: 8px")
    draw_wrong(wrong)
    with box("p", "small"):
        text("Nothing is wrong. " if not wrong else "")
        link("Everything that was looked at", "/admin/doctor")


def _draw_settings(_view: View, settings: list[dict[str, str]]) -> None:
    text("Settings", "h2").style("margin-bottom: 8px")
    text(
        "Set in the environment or in .env, and read when the server starts; nothing here changes them.",
        "p",
        "small",
    )
    with box("table", "table stack").style("margin-top: 12px"):
        with box("thead"), box("tr"):
            for name in ("Setting", "Value", "What it is"):
                text(name, "th", scope="col")
        with box("tbody"):
            for row in settings:
                with box("tr"):
                    text(row["name"], "th", "mono", scope="row").style("overflow-wrap: anywhere")
                    text(row["value"], "td").style("overflow-wrap: anywhere")
                    text(row["says"], "td", "small")


PAGES = (
    Page(
        path="/admin/settings",
        title="Settings",
        below="/admin",
        load=_load,
        parts=(
            Part(draw=_draw_head, place="head"),
            Part(draw=_draw_findings, shows=lambda data, _: {"wrong": data["wrong"]}),
            Part(draw=_draw_modes),
            Part(draw=_draw_settings, shows=lambda data, _: data["settings"]),
        ),
    ),
)
