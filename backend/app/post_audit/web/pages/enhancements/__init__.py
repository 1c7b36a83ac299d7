"""/admin/pending: the tasks that audits found, late first; what one does with them; and the next audit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.post_audit.web.pages.enhancements.beside import draw_ages, draw_last_import, draw_progress
from app.post_audit.web.pages.enhancements.bulk import draw_bulk
from app.post_audit.web.pages.enhancements.choosing import draw_chips, draw_search
from app.post_audit.web.pages.enhancements.head import draw_head
from app.post_audit.web.pages.enhancements.load import load, note
from app.post_audit.web.pages.enhancements.table import draw_table
from app.post_audit.web.pages.enhancements.words import grouped
from app.post_audit.web.pages.page import Page, Part, Tab

__all__ = ["PAGES"]


def _head_data(data: Mapping[str, Any]) -> dict[str, Any]:
    as_of = datetime.fromisoformat(data["as_of"])
    soon = sum(len(group.tasks) for group in grouped(data["tasks"], as_of) if group.name == "Due this week")
    return {
        "counts": data["counts"],
        "audit": data["audit"],
        "last_done": data["last_done"],
        "as_of": as_of.replace(second=0, microsecond=0).isoformat(),
        "soon": soon,
    }


def _table_data(data: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tasks": data["tasks"],
        "counts": data["counts"],
        "matching": data["matching"],
        "as_of": datetime.fromisoformat(data["as_of"]).replace(second=0, microsecond=0).isoformat(),
        "opened": state["opened"],
        "details": state["details"],
    }


def _search_data(data: Mapping[str, Any]) -> dict[str, Any]:
    counts = data["counts"]
    return {"is_offered": counts["all"] > 0 or counts["review"] > 0, "words": data["words"]}


def _chips_data(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("counts", "show", "categories")}


PAGES = (
    Page(
        path="/admin/pending",
        title="Tasks",
        tab=Tab(name="Tasks", icon="list", order=30, note=note),
        is_wide=True,
        load=load,
        remembers={"selected": [], "opened": None, "details": None},
        knows_who=True,
        parts=(
            Part(place="head", draw=draw_head, shows=lambda data, _: _head_data(data)),
            Part(draw=draw_search, shows=lambda data, _: _search_data(data), classes="part-search"),
            Part(draw=draw_chips, shows=lambda data, _: _chips_data(data), classes="part-chips"),
            Part(place="main", draw=draw_table, shows=_table_data),
            Part(place="foot", draw=draw_bulk, shows=lambda _, state: state["selected"]),
            Part(place="aside", draw=draw_progress, shows=lambda data, _: data["statistics"]),
            Part(place="aside", draw=draw_last_import, shows=lambda data, _: data["audit"]),
            Part(place="aside", draw=draw_ages, shows=lambda data, _: data["statistics"]),
        ),
    ),
)
