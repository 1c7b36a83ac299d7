"""The few kinds of elements that every page is made of.

Data reach a page as text nodes and attribute values only, never as HTML, as a slot template or as a bound property:
then a name like `<script>` is a name. The only HTML here is the drawings of the icons, which are constants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from app.post_audit.formats import duration, ist, ist_time

__all__ = [
    "Handler",
    "ago",
    "badge",
    "bar",
    "box",
    "button",
    "figure",
    "icon",
    "link",
    "moment",
    "pairs",
    "text",
    "text_button",
    "word",
]

Handler = Callable[[], Awaitable[None] | None]

# Drawings of 24 x 24, strokes only.
_DRAWINGS: Final = {
    "house": '<path d="M4 11l8-7 8 7v8.5a.5.5 0 0 1-.5.5H14v-6h-4v6H4.5a.5.5 0 0 1-.5-.5z"/>',
    "fork": '<path d="M12 21v-7M12 14L5 7M12 14l7-7M5 12V6.5h5.5M19 12V6.5h-5.5"/>',
    "list": '<path d="M11 6h10M11 12h10M11 18h10M3 5.5l1.5 1.5L8 4M3 11.5L4.5 13 8 10M3 17.5l1.5 1.5L8 16"/>',
    "live": '<circle cx="12" cy="12" r="1.6"/><path d="M8 8.2a5.4 5.4 0 0 0 0 7.6M16 8.2a5.4 5.4 0 0 1 0 '
    '7.6M5 5.2a9.6 9.6 0 0 0 0 13.6M19 5.2a9.6 9.6 0 0 1 0 13.6"/>',
    "contrast": '<circle cx="12" cy="12" r="8.5"/><path d="M12 3.5a8.5 8.5 0 0 1 0 17z" fill="currentColor"/>',
    "play": '<path d="M8 5.5v13l10-6.5z"/>',
    "hand": '<path d="M8 12V5.5a1.4 1.4 0 0 1 2.8 0V11V4.4a1.4 1.4 0 0 1 2.8 0V11V5.5a1.4 1.4 0 0 1 2.8 '
    '0V13V8.5a1.3 1.3 0 0 1 2.6 0V15a6 6 0 0 1-6 6h-.8a6 6 0 0 1-4.7-2.3l-3.6-4.6c-.7-1 .5-2.3 1.5-1.6L8 14"/>',
    "tick": '<circle cx="12" cy="12" r="8.5"/><path d="M8.3 12.2l2.6 2.6 4.8-5.2"/>',
    "bolt": '<path d="M13.5 3L6 13.5h5L10.5 21 18 10.5h-5z" fill="currentColor"/>',
    "alert": '<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5v5.5M12 16.2v.1"/>',
    "question": '<circle cx="12" cy="12" r="8.5"/><path d="M9.7 9.7a2.4 2.4 0 1 1 3.5 2.2c-.8.4-1.2.9-1.2 '
    '1.8M12 16.5v.1"/>',
    "cycle": '<path d="M5 10a7.2 7.2 0 0 1 12.5-3L19 8.5M19 4v4.5h-4.5M19 14a7.2 7.2 0 0 1-12.5 3L5 15.5M5 '
    '20v-4.5h4.5"/>',
    "past": '<path d="M4 12a8 8 0 1 0 2.5-5.8L4 8.5M4 4v4.5h4.5M12 8v4.3l3 1.8"/>',
    "search": '<circle cx="10.5" cy="10.5" r="6"/><path d="M15 15l5 5"/>',
    "upload": '<path d="M14 3.5H6.5v17h11V7zM14 3.5V7h3.5M12 17v-5.5M9.7 13.5L12 11.2l2.3 2.3"/>',
    "pause": '<circle cx="12" cy="12" r="8.5"/><path d="M10 9v6M14 9v6"/>',
    "back": '<path d="M9 6L4 11l5 5M4 11h10a5.5 5.5 0 0 1 0 11h-2"/>',
    "flask": '<path d="M9.5 3.5h5M10.5 3.5V10L5 19a1 1 0 0 0 .9 1.5h12.2A1 1 0 0 0 19 19l-5.5-9V3.5M8 15h8"/>',
    "close": '<path d="M6 6l12 12M18 6L6 18"/>',
}


def _with(element: Element, classes: str, attributes: dict[str, object]) -> None:
    if classes:
        element.classes(classes)
    for name, value in attributes.items():
        if value is not None:
            element.props[name.rstrip("_").replace("_", "-")] = value


def box(tag: str = "div", classes: str = "", **attributes: object) -> Element:
    """Make an element to be filled; `aria_label` becomes `aria-label`, `for_` becomes `for`."""
    made = ui.element(tag)
    _with(made, classes, attributes)
    return made


def text(words: object, tag: str = "span", classes: str = "", **attributes: object) -> TextElement:
    """Make an element that holds one text node."""
    made = TextElement(tag=tag, text=str(words))
    _with(made, classes, attributes)
    return made


def icon(name: str) -> None:
    """Draw an icon; what it says stands in words beside it, so that screen readers leave it out."""
    drawn = ui.html(f'<svg viewBox="0 0 24 24">{_DRAWINGS[name]}</svg>', sanitize=False, tag="span")
    _with(drawn, "icon", {"aria_hidden": "true"})


def word(words: str, icon_name: str, kind: str = "") -> None:
    """Tell a state as icon and word; colour only repeats what they say."""
    with box("span", f"word {kind}"):
        icon(icon_name)
        text(words)


def badge(words: str, icon_name: str, kind: str = "") -> None:
    """Tell a state in a pill."""
    with box("span", f"badge {kind}"):
        icon(icon_name)
        text(words)


def button(
    words: str,
    on_click: Handler | None = None,
    *,
    kind: str = "",
    icon_name: str | None = None,
    key: str | None = None,
    **attributes: object,
) -> Element:
    """Make a button. `key` names it over updates, so that the focus stays on it."""
    made = box("button", f"button {kind}", type="button", **attributes)
    if key is not None:
        made.props["data-key"] = key
    with made:
        if icon_name is not None:
            icon(icon_name)
        text(words)
    if on_click is not None:
        made.on("click", lambda _event: on_click(), [])
    return made


def text_button(words: str, on_click: Handler, *, key: str | None = None, **attributes: object) -> Element:
    """Make a button that looks like a link: the smaller ways on."""
    made = text(words, "button", "text-button", type="button", data_key=key, **attributes)
    made.on("click", lambda _event: on_click(), [])
    return made


def link(words: str, address: str, classes: str = "text-button", **attributes: object) -> Element:
    """Make a link inside this server; a space keeps it from being glued to its neighbour when it is read aloud."""
    return text(words, "a", classes, href=address, **attributes)


def moment(at: datetime, *, form: str = "time", classes: str = "", before: str = "", after: str = "") -> None:
    """Write a moment in Indian time, with UTC on hover. `form`: time, day (with the day before it)."""
    shown = ist_time(at) if form == "time" else ist(at)
    utc = at.astimezone(UTC)
    if before:
        text(before)
    text(
        shown + after,
        "time",
        classes,
        datetime=utc.isoformat(),
        title=f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC",
    )


def bar(share: float, *, limit: float | None = None, kind: str = "", label: str) -> None:
    """Draw a share of one, with a mark at its limit; `label` says it to those who do not see it."""
    with box("div", "bar", role="img", aria_label=label):
        box("div", f"fill {kind}").style(f"width: {min(1.0, max(0.0, share)) * 100:.1f}%")
        if limit is not None:
            box("div", "limit").style(f"left: {limit * 100:.1f}%")


def figure(name: str, value: str, beside: str, at: datetime | None, *, is_day: bool = False) -> Element:
    """Make one figure of an aside: its name, when it was true, and the number with its words."""
    made = box("li")
    with made:
        with box("div", "figure-head"):
            text(name)
            if at is not None:
                moment(at, form="day" if is_day else "time")
        with box("div", "figure-line"):
            text(value, classes="figure")
            text(beside)
    return made


def pairs(rows: list[tuple[str, str]]) -> None:
    """List names with their values."""
    with box("dl", "pairs"):
        for name, value in rows:
            with box("div"):
                text(name, "dt")
                text(value, "dd")


def ago(seconds: float) -> str:
    """Say how long ago, in one unit or two: `32 min ago`."""
    return "just now" if seconds < 60 else f"{duration(seconds // 60 * 60)} ago"  # noqa: PLR2004 - a minute
