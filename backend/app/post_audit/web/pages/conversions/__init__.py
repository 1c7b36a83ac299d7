"""/admin/ab-test: which invite message wins, how sure that is, and whether the numbers can be trusted."""

from __future__ import annotations

from typing import Any

from app.post_audit.codec import to_json
from app.post_audit.web import conversions as api
from app.post_audit.web.pages.conversions.beside import draw_epochs, draw_projection
from app.post_audit.web.pages.conversions.decided import draw_decided
from app.post_audit.web.pages.conversions.head import draw_head
from app.post_audit.web.pages.conversions.messages import draw_messages
from app.post_audit.web.pages.conversions.pictures import draw_pictures
from app.post_audit.web.pages.conversions.trust import draw_trust
from app.post_audit.web.pages.page import House, Page, Part, Query, Tab

__all__ = ["PAGES"]


def _load(house: House, query: Query) -> dict[str, Any]:
    """Read every experiment's head and one of them whole, through the functions of the API."""
    overview: Any = to_json(api.experiments(house.database).model_dump(mode="json"))
    experiments = overview["experiments"]
    chosen = next((one for one in experiments if str(one["id"]) == query.get("experiment")), None)
    chosen = chosen or (experiments[0] if experiments else None)
    if chosen is None:
        return {"experiments": [], "one": None, "as_of": overview["as_of"], "mode": "", "capped": None}
    one: Any = api.experiment_detail(house.database, str(chosen["id"])).model_dump(mode="json")
    status: Any = house.database.call("post_audit_read_status")
    for letter, variant in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", one["variants"], strict=False):
        variant["letter"] = letter
    return {
        "experiments": [{"id": each["id"], "name": each["name"]} for each in experiments],
        "one": one,
        "as_of": overview["as_of"],
        "mode": status["modes"]["conversions"],
    }


PAGES = (
    Page(
        path="/admin/ab-test",
        title="Messages",
        tab=Tab(name="Messages", icon="fork", order=20),
        load=_load,
        parts=(
            Part(place="head", draw=draw_head),
            Part(place="head", draw=draw_messages, shows=lambda data, _: data["one"]),
            Part(place="head", draw=draw_pictures, shows=lambda data, _: data["one"]),
            Part(place="main", draw=draw_trust),
            Part(place="main", draw=draw_decided, shows=lambda data, _: data["one"]),
            Part(place="aside", draw=draw_projection, shows=lambda data, _: data["one"]),
            Part(place="aside", draw=draw_epochs, shows=lambda data, _: data["one"]),
        ),
    ),
)
