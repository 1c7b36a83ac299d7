"""Beside the checks: what comes if nothing changes, and who got what share when."""

from __future__ import annotations

from typing import Any, Final

from app.post_audit.formats import percent
from app.post_audit.web.pages import charts
from app.post_audit.web.pages.conversions.variant import variant_of
from app.post_audit.web.pages.elements import pairs, text
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["draw_epochs", "draw_projection"]

_ALL_BASIS_POINTS: Final = 10_000
_EPOCHS_SHOWN: Final = 6


def draw_projection(_view: View, one: dict[str, Any] | None) -> None:
    """Draw what comes next, the holdout, the window, and what the shares gained."""
    if one is None:
        return
    text("If nothing changes", "h2")
    rows = []
    leader = variant_of(one, one["leader"])
    if one["winner"] is not None:
        rows.append(
            ("Active message", str((variant_of(one, one["active_variant"]) or {"letter": "none"})["letter"]))
        )
    elif one["projected_decision_at"] is not None and leader is not None:
        rows.append((f"Switch to {leader['letter']}", f"about {charts.day(one['projected_decision_at'])}"))
    else:
        rows.append(("Next decision", "not foreseeable yet"))
    holdout = one["allocation"]["holdout_basis_points"]
    rows.append(("Holdout", "after a winner" if holdout is None else percent(holdout / _ALL_BASIS_POINTS)))
    rows.append(("Window to claim", f"{one['window_hours']} h"))
    gained = round(one["gained_conversions"])
    rows.append(("Against even shares", f"{abs(gained):,} claims {'fewer' if gained < 0 else 'more'}"))
    pairs(rows)


def draw_epochs(_view: View, one: dict[str, Any] | None) -> None:
    """Draw the last shares, newest first, and how many suppliers got a message."""
    if one is None:
        return
    text("Who got what", "h2")
    letters = {variant["id"]: variant["letter"] for variant in one["variants"]}
    rows = []
    for epoch in reversed(one["epochs"][-_EPOCHS_SHOWN:]):
        name = (
            "Now"
            if epoch["is_present"]
            else f"Since {charts.day(epoch['first_hour'])}"
            if epoch["first_hour"]
            else "Before"
        )
        shares = epoch["basis_points"]
        words = (
            "not known"
            if shares is None
            else " · ".join(f"{letters.get(key, key)} {share / 100:.0f}" for key, share in shares.items())
        )
        rows.append((name, words))
    pairs(rows)
    total = sum(sum(epoch["assigned"].values()) for epoch in one["epochs"])
    text(
        f"{how_many(total, 'supplier', 'suppliers')} in all. Only invites sent in the same hour are compared, "
        "so a change of share cannot fake a win.",
        "p",
        "meta",
    ).style("margin-top: 8px")
