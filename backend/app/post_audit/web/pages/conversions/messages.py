"""The messages in a table: shares, counts, rates, and where each true rate may lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.post_audit.formats import count, percent
from app.post_audit.web.pages.conversions.words import lead
from app.post_audit.web.pages.elements import box, text
from app.post_audit.web.pages.view import View

__all__ = ["draw_messages"]

_ALL_BASIS_POINTS: Final = 10_000


def draw_messages(_view: View, one: dict[str, Any] | None) -> None:
    """Draw a row for each message, and one for the leader against its nearest rival."""
    if one is None:
        return
    text("Messages", "h2", "hidden-text")
    bounds = [variant["interval"] for variant in one["variants"] if variant["interval"] is not None]
    low = min((bound[0] for bound in bounds), default=0.0)
    high = max((bound[1] for bound in bounds), default=1.0)
    with box("div", "panel arms"), box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (
                ("Message", ""),
                ("Share", "number"),
                ("Invites counted", "number"),
                ("Claims", "number"),
                ("Claim rate", "number"),
                ("Where the true rate may lie", "end"),
            ):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for variant in one["variants"]:
                _draw_message(one, variant, low, high)
            _draw_difference(one)


def _draw_message(one: Mapping[str, Any], variant: Mapping[str, Any], low: float, high: float) -> None:
    is_leader = variant["id"] == one["leader"]
    with box("tr", "arm"):
        with box("td", "cell-name"), box("div", "name"):
            text(variant["letter"], classes="letter is-accent" if is_leader else "letter")
            with box("div"):
                text(variant["label"], "b")
                text(_role(one, variant), classes="sub")
        text(percent(variant["share_basis_points"] / _ALL_BASIS_POINTS), "td", "number", data_label="Share")
        with box("td", "number", data_label="Counted"):
            text(count(variant["units"]))
            if variant["immature"]:
                text(f"+ {count(variant['immature'])} too young", classes="sub")
        text(count(variant["converted"]), "td", "number", data_label="Claims")
        text("–" if variant["rate"] is None else percent(variant["rate"], 2), "td", "rate cell-rate")
        with box("td", "wide-cell"):
            if variant["interval"] is not None and variant["rate"] is not None:
                _draw_interval(variant["interval"], variant["rate"], (low, high), 1, is_leader=is_leader)


def _role(one: Mapping[str, Any], variant: Mapping[str, Any]) -> str:
    roles = []
    if variant["is_active"]:
        roles.append("the active message")
    if variant["id"] == one["leader"] and one["rival"] is not None and not variant["is_winner"]:
        roles.append("ahead")
    if variant["is_winner"]:
        roles.append("won")
    if variant["share_basis_points"] == 0:
        roles.append("sent to nobody")
    return ", ".join(roles) or ("holdout" if one["winner"] else "compared with it")


def _draw_interval(
    bound: tuple[float, float], middle: float, scale: tuple[float, float], decimals: int, *, is_leader: bool
) -> None:
    """Draw where a rate may lie, on the scale of the whole table, with room for the words at both ends."""
    low, high = scale
    width = max(high - low, 1e-9)

    def place(value: float) -> float:
        return 18 + 64 * (value - low) / width

    label = f"between {percent(bound[0], decimals)} and {percent(bound[1], decimals)}"
    with box("div", "interval is-accent" if is_leader else "interval", role="img", aria_label=label):
        box("div", "range").style(
            f"left:{place(bound[0]):.1f}%;width:{place(bound[1]) - place(bound[0]):.1f}%"
        )
        box("div", "dot").style(f"left:{place(middle):.1f}%")
        text(percent(bound[0], decimals), classes="low").style(f"left:{place(bound[0]):.1f}%")
        text(percent(bound[1], decimals), classes="high").style(f"left:{place(bound[1]):.1f}%")


def _draw_difference(one: Mapping[str, Any]) -> None:
    found = lead(one)
    if found is None:
        return
    with box("tr", "arm"):
        with box("td", "cell-name"):
            text(f"{found.leader} against {found.rival}", "b")
            text("how much more it brings", classes="sub")
        for _ in range(3):
            box("td")
        text(found.lift_words, "td", "rate lift cell-rate")
        with box("td", "wide-cell"):
            if found.high is None:
                return
            low, high = min(found.low, 0.0), max(found.high, 0.0)

            # a bound beside zero would stand on its line: both are written on the right then
            is_apart = found.low > 0

            def place(value: float) -> float:
                return (8 if is_apart else 18) + (56 if is_apart else 64) * (value - low) / max(
                    high - low, 1e-9
                )

            label = f"between {found.low_words} and {found.high_words}; zero is no difference"
            with box("div", "interval has-zero is-accent", role="img", aria_label=label):
                box("div", "range").style(
                    f"left:{place(found.low):.1f}%;width:{place(found.high) - place(found.low):.1f}%"
                )
                box("div", "zero").style(f"left:{place(0.0):.1f}%")
                box("div", "dot").style(f"left:{place(found.lift):.1f}%")
                if not is_apart:
                    text(found.low_words, classes="low").style(f"left:{place(found.low):.1f}%")
                words = f"{found.low_words} to {found.high_words}" if is_apart else found.high_words
                text(words, classes="high").style(f"left:{place(found.high):.1f}%")
                text("no difference", classes="zero-note").style(f"left:{max(13.0, place(0.0)):.1f}%")
