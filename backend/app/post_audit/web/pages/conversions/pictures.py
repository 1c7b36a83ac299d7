"""Two pictures: the evidence on its way to the threshold, and the rates with their bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.post_audit.formats import percent, ratio_in_words
from app.post_audit.web.pages import charts
from app.post_audit.web.pages.conversions.words import chart_headline, evidence_headline
from app.post_audit.web.pages.elements import box, text
from app.post_audit.web.pages.view import View

__all__ = ["draw_pictures"]


def draw_pictures(_view: View, one: dict[str, Any] | None) -> None:
    """Draw both, each under the sentence that it shows."""
    if one is None:
        return
    evidence = one["evidence"]
    with box("div", "charts"):
        with box("div", "panel"):
            text(evidence_headline(one), "h2", "chart-title")
            text(_evidence_sentence(one), "p", "small")
            if evidence["history"]:
                charts.chart(
                    charts.evidence_options(
                        evidence["history"], one["threshold"], projected_at=one["projected_decision_at"]
                    ),
                    f"Evidence over time. Today {charts.odds(one['e_value'] or 1.0)}; "
                    f"enough is {charts.odds(one['threshold'])}.",
                )
            else:
                text("The line begins when the first invites are old enough to count.", "p", "meta")
        with box("div", "panel"):
            text(chart_headline(one), "h2", "chart-title")
            text(
                f"Each band holds the true rate with {percent(1 - one['alpha'])} confidence, however often you look.",
                "p",
                "small",
            )
            if one["history"]:
                rates = "; ".join(
                    f"{variant['letter']} {percent(variant['rate'], 2)}"
                    for variant in one["variants"]
                    if variant["rate"] is not None
                )
                charts.chart(
                    charts.bands_options(one["history"], one["variants"], leader=one["leader"]),
                    f"Claim rates over time with their bands. Now {rates}.",
                )
            else:
                text("The bands begin when the first invites are old enough to count.", "p", "meta")


def _evidence_sentence(one: Mapping[str, Any]) -> str:
    if one["e_value"] is None:
        return "Nobody can be compared yet."
    return (
        "If both messages were equally good, a lead this strong would appear at most "
        f"{ratio_in_words(one['e_value'])}. "
        f"We switch at {charts.odds(one['threshold'])}."
    )
