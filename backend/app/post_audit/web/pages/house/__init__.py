"""/admin: the state of the house at a glance: what waits for a person, what is broken, what the last run decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.post_audit.formats import count
from app.post_audit.ports import Database
from app.post_audit.web.pages.house.broken import draw_broken
from app.post_audit.web.pages.house.figures import draw_figures
from app.post_audit.web.pages.house.head import draw_head
from app.post_audit.web.pages.house.last_run import draw_last_run
from app.post_audit.web.pages.house.load import load
from app.post_audit.web.pages.house.runs_before import draw_runs_before
from app.post_audit.web.pages.house.waiting import draw_waiting
from app.post_audit.web.pages.page import Page, Part, Tab
from app.post_audit.web.pages.words import parsed

__all__ = ["PAGES"]


def _note(database: Database) -> str:
    status: Any = database.call("post_audit_read_status")
    return f"{count(status['waiting'])} wait" if status["waiting"] else ""


def _broken_data(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": data["run"],
        "needed": data["status"]["bindings_needed"],
        "open_messages": data["open_messages"],
        "wrong": data["wrong"],
    }


def _figures_data(data: Mapping[str, Any]) -> dict[str, Any]:
    at = parsed(data["status"]["as_of"] if data["status"]["marketplace"] == "demonstration" else data["now"])
    return {
        "capacity": data["capacity"],
        "quarantined": data["quarantined"],
        "outbox": data["status"]["outbox"],
        "as_of": at.isoformat() if at is not None else "",
    }


PAGES = (
    Page(
        path="/admin",
        title="House",
        tab=Tab(name="House", icon="house", order=10, note=_note),
        load=load,
        parts=(
            Part(place="head", draw=draw_head),
            Part(place="head", draw=draw_waiting, shows=lambda data, _: data["waiting"]),
            Part(place="head", draw=draw_broken, shows=lambda data, _: _broken_data(data)),
            Part(place="main", draw=draw_last_run, shows=lambda data, _: data["run"]),
            Part(place="aside", draw=draw_figures, shows=lambda data, _: _figures_data(data)),
            Part(place="foot", draw=draw_runs_before, shows=lambda data, _: data["runs"]),
        ),
    ),
)
