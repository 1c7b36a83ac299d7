"""The steps of a run, as the house page and the page of the run show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds
from app.post_audit.web.pages.elements import box, icon, link, text, text_button
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import STATES, TITLES, duration_words, standing

__all__ = ["can_undo", "draw_timeline"]

_REASONS_SHOWN: Final = 2


def draw_timeline(view: View, run: Mapping[str, Any]) -> None:
    """Draw the steps of a run: what each decided and why, how long it took, and the ways on."""
    with box("ol", "timeline"):
        for step in run["steps"]:
            _draw_step(view, step)


def _draw_step(view: View, step: Mapping[str, Any]) -> None:
    decision = step["decision"]
    words, icon_name, kind = STATES.get(standing(step["state"], decision), ("", "question", ""))
    with box("li"):
        with box("div", f"mark {kind}"):
            icon(icon_name)
        with box("div"):
            text(TITLES.get(step["step"], step["step"]), "p", "step")
            if decision is not None:
                text(decision["headline"], "h3")
                for reason in decision["reasons"][:_REASONS_SHOWN]:
                    text(reason["text"], "p", "small")
            elif step["error"] is not None:
                text(step["error"]["message"], "h3")
                text(step["error"]["cure"] or "", "p", "small")
            else:
                text("This step is paused.", "h3")
                text(f"Wake it: post-audit arm {step['step']}", "p", "small")
        with box("div", "end"):
            text(f"{words} · {duration_words(step['duration_ms'])}", "p", kind)
            if decision is not None:
                with box("div", "actions"):
                    link(
                        "Numbers",
                        f"/admin/decisions/{decision['id']}",
                        aria_label=f"Numbers of {TITLES.get(step['step'], step['step'])}",
                    )
                    if can_undo(view, decision):
                        text_button(
                            "Undo",
                            lambda: deeds.undo(view, decision),
                            key=f"undo-{decision['id']}",
                            aria_label=f"Undo {TITLES.get(step['step'], step['step'])}",
                        )


def can_undo(view: View, decision: Mapping[str, Any]) -> bool:
    """Whether to offer taking a decision back."""
    return (
        view.visit.allows(Role.APPROVER)
        and int(decision["counts"].get("applied", 0)) > 0
        and not decision["final_because"]
    )
