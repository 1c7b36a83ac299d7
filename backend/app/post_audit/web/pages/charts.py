"""Three pictures: evidence on its way to the threshold, rates with their bands, and found against done.

Options for ECharts, drawn as SVG: colours are the variables of the style, so that a change of theme needs no new
options. Times are shifted by India's offset and called UTC, so that the axis is India's whatever the browser's zone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from nicegui import ui

from app.post_audit.formats import IST, count, ratio_in_words
from app.post_audit.web.pages.elements import box

__all__ = ["bands_options", "burn_up_options", "chart", "day", "evidence_options", "odds"]

# SVG takes no "inherit" here
_FONT: Final = "Inter, system-ui, sans-serif"
_LABEL: Final = {"color": "var(--ink2)", "fontSize": 12, "fontFamily": _FONT}
_STILL: Final = {"animation": False, "useUTC": True}
_MOST_DECADES: Final = 6
_MOST_LINES: Final = 4
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def chart(options: Mapping[str, Any], label: str, *, classes: str = "chart") -> None:
    """Draw a chart; `label` is the sentence that it says, for those who do not see it."""
    with box("div", classes, role="img", aria_label=label):
        ui.echart(dict(options), renderer="svg")


def odds(e_value: float) -> str:
    """Write evidence as the odds that it would come by chance: `1 in 9`."""
    return ratio_in_words(e_value).replace("1 time in", "1 in")


def _shifted(at: str | datetime) -> int:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    offset = moment.astimezone(IST).utcoffset()
    return round((moment.timestamp() + (offset.total_seconds() if offset is not None else 0)) * 1000)


def day(at: str | datetime) -> str:
    """Write a day in India: `12 Nov`."""
    local = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(IST)
    return f"{local.day} {_MONTHS[local.month - 1]}"


def _time_axis(first: int, last: int) -> dict[str, Any]:
    return {
        "type": "time",
        "min": first,
        "max": last,
        "splitNumber": 4,
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "splitLine": {"show": False},
        "axisLabel": {
            **_LABEL,
            "hideOverlap": True,
            "showMinLabel": False,
            "formatter": {"year": "{d} {MMM}", "month": "{d} {MMM}", "day": "{d} {MMM}", "hour": "{HH}:{mm}"},
        },
    }


def _height(e_value: float) -> float:
    """How high evidence is drawn: its logarithm, held where the picture ends."""
    return max(-1.0, min(float(_MOST_DECADES), math.log10(max(e_value, 1e-9))))


def evidence_options(
    history: Sequence[Mapping[str, Any]], threshold: float, *, projected_at: str | None
) -> dict[str, Any]:
    """Draw the evidence climbing to its threshold, on a logarithmic scale without numbers.

    `history` has `time` and `e_value`; a dotted line leads to the day that is projected.
    """
    times = [_shifted(point["time"]) for point in history]
    points = [[at, _height(point["e_value"])] for at, point in zip(times, history, strict=True)]
    needed = math.log10(threshold)
    top = max(needed * 1.18, max((point[1] for point in points), default=0.0) + 0.25)
    bottom = min(-0.12 * top, min((point[1] for point in points), default=0.0) - 0.06 * top)
    first, last = times[0], points[-1]
    end = max(times[-1], _shifted(projected_at)) if projected_at is not None else times[-1]
    width = max(end - first, 3_600_000)
    is_enough = last[1] >= needed
    series = [
        _evidence_line(
            points, needed, top, _today(last, history[-1], needed, is_projected=projected_at is not None)
        )
    ]
    if projected_at is not None and not is_enough:
        series.append(_projection(last, [end, needed]))
    return {
        **_STILL,
        "grid": {"left": 2, "right": 14, "top": 6, "bottom": 26, "outerBoundsMode": "none"},
        "xAxis": _time_axis(first, end + round(width * 0.03)),
        "yAxis": {"type": "value", "min": bottom, "max": top, "show": False},
        "graphic": [],
        "tooltip": {"show": False},
        "series": [
            *series,
            _note(
                [first, needed],
                f"Enough to switch: {odds(threshold)}",
                "var(--accent)",
                "right",
                [4, -11],
                weight=600,
            ),
            _note([end, 0.0], "No evidence either way", "var(--ink2)", "left", [8, 10]),
        ],
    }


def _evidence_line(
    points: Sequence[Sequence[float]], needed: float, top: float, today: Mapping[str, Any]
) -> dict[str, Any]:
    """The evidence so far, the threshold with what lies above it, and the point of today."""
    return {
        "type": "line",
        "data": points,
        "symbol": "none",
        "lineStyle": {"color": "var(--accent)", "width": 2.4},
        "emphasis": {"disabled": True},
        "markArea": {
            "silent": True,
            "itemStyle": {"color": "var(--accent-soft)"},
            "data": [[{"yAxis": needed}, {"yAxis": top}]],
        },
        "markLine": {
            "silent": True,
            "symbol": "none",
            "label": {"show": False},
            "data": [
                {"yAxis": needed, "lineStyle": {"color": "var(--accent)", "width": 1.4, "type": "solid"}},
                {"yAxis": 0, "lineStyle": {"color": "var(--edge)", "width": 1, "type": "solid"}},
            ],
        },
        "markPoint": {"silent": True, "data": [today]},
    }


def _today(
    at: Sequence[float], latest: Mapping[str, Any], needed: float, *, is_projected: bool
) -> dict[str, Any]:
    """The last point, with its odds beside it; below it where the threshold is reached."""
    is_enough = at[1] >= needed
    return {
        "coord": at,
        "symbol": "circle",
        "symbolSize": 9,
        "itemStyle": {"color": "var(--accent)"},
        "label": {
            **_LABEL,
            "show": True,
            "position": "bottom" if is_enough else "right",
            "align": "left" if is_projected and not is_enough else "right",
            "offset": [0, 6] if is_enough else [6, 10],
            "formatter": f"today: {odds(latest['e_value'])}",
            "color": "var(--ink)",
            "fontWeight": 600,
        },
    }


def _projection(last: Sequence[float], end: Sequence[float]) -> dict[str, Any]:
    """The way from today to the day on which the evidence should be enough."""
    return {
        "type": "line",
        "data": [last, end],
        "symbol": ["none", "circle"],
        "symbolSize": 9,
        "lineStyle": {"color": "var(--accent)", "width": 2, "type": "dotted"},
        "itemStyle": {"color": "var(--accent)"},
        "emphasis": {"disabled": True},
    }


def _note(  # noqa: PLR0913 - where a word stands and how it looks
    at: Sequence[float], words: str, colour: str, position: str, offset: Sequence[int], *, weight: int = 400
) -> dict[str, Any]:
    """A word in the picture, at a point of it."""
    return {
        "type": "scatter",
        "silent": True,
        "data": [list(at)],
        "symbolSize": 0.01,
        "label": {
            **_LABEL,
            "show": True,
            "formatter": words,
            "color": colour,
            "position": position,
            "offset": list(offset),
            "fontWeight": weight,
        },
    }


def bands_options(
    history: Sequence[Mapping[str, Any]], variants: Sequence[Mapping[str, Any]], *, leader: str | None
) -> dict[str, Any]:
    """Draw each variant's rate over time, in per cent, within the band that holds the true one at every look at once.

    `variants` have `id` and `letter`; the leader is drawn in the accent and the others dashed.
    """
    series: list[dict[str, Any]] = []
    highest = 0.0
    times = [_shifted(point["time"]) for point in history]
    for variant in sorted(variants, key=lambda item: item["id"] == leader):
        name, is_leader = variant["id"], variant["id"] == leader
        lower, width, rates = [], [], []
        for at, point in zip(times, history, strict=True):
            found = point["variants"].get(name)
            if not found or found["interval"] is None or found["total_rate"] is None:
                continue
            low, high = (bound * 100 for bound in found["interval"])
            lower.append([at, round(low, 3)])
            width.append([at, round(high - low, 3)])
            rates.append([at, round(found["total_rate"] * 100, 3)])
        if not rates:
            continue
        # the first bands are so wide that the others would be flat
        highest = max(highest, lower[-1][1] + width[-1][1], 1.6 * rates[-1][1])
        series += _band(name, str(variant["letter"]), lower, width, rates, is_leader=is_leader)
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 100) if highest / step <= _MOST_LINES)
    return {
        **_STILL,
        "grid": {"left": 38, "right": 78, "top": 10, "bottom": 26, "outerBoundsMode": "none"},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": "var(--surface)",
            "borderColor": "var(--hairline)",
            "textStyle": {"color": "var(--ink)", "fontSize": 12, "fontFamily": _FONT},
        },
        "xAxis": _time_axis(times[0], times[-1]),
        "yAxis": {
            "type": "value",
            "min": 0,
            "max": step * math.ceil(max(highest, 0.5) * 1.15 / step),
            "interval": step,
            "axisLabel": {**_LABEL, "formatter": "{value} %"},
            "splitLine": {"lineStyle": {"color": "var(--hairline)"}},
        },
        "series": series,
    }


def _band(  # noqa: PLR0913 - a band is drawn of all of these
    name: str,
    letter: str,
    lower: list[list[float]],
    width: list[list[float]],
    rates: list[list[float]],
    *,
    is_leader: bool,
) -> list[dict[str, Any]]:
    """One variant: its band, as an area that stands on its lower end, and its rate; points are [moment, per cent]."""
    colour = "var(--accent)" if is_leader else "var(--reference)"
    stack = {
        "stack": name,
        "stackStrategy": "all",
        "symbol": "none",
        "type": "line",
        "silent": True,
        "lineStyle": {"opacity": 0},
        "emphasis": {"disabled": True},
        "tooltip": {"show": False},
    }
    return [
        {**stack, "data": lower},
        {**stack, "data": width, "areaStyle": {"color": colour, "opacity": 0.16}},
        {
            "type": "line",
            "name": f"{letter} %",
            "data": rates,
            "symbol": "none" if len(rates) > 1 else "circle",
            "color": colour,
            "lineStyle": {"color": colour, "width": 2.4, "type": "solid" if is_leader else "dashed"},
            "emphasis": {"disabled": True},
            "endLabel": {
                **_LABEL,
                "show": True,
                "formatter": f"{letter}  {rates[-1][1]:.2f} %",
                "color": colour,
                "fontWeight": 620,
            },
        },
    ]


def burn_up_options(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Draw what was found in all and what is done of it, by day. `days` have `day`, `found` and `done`."""
    found = [[f"{entry['day']}T00:00:00Z", entry["found"]] for entry in days]
    done = [[f"{entry['day']}T00:00:00Z", entry["done"]] for entry in days]
    common = {"type": "line", "symbol": "none", "emphasis": {"disabled": True}}

    def end(words: str, colour: str) -> dict[str, Any]:
        return {**_LABEL, "show": True, "formatter": words, "color": colour, "fontWeight": 620}

    top = max((entry["found"] for entry in days), default=1) or 1
    return {
        **_STILL,
        "grid": {"left": 16, "right": 74, "top": 12, "bottom": 24, "outerBoundsMode": "none"},
        "xAxis": {
            **_time_axis(0, 0),
            "min": found[0][0],
            "max": found[-1][0],
            "splitNumber": 2,
        },
        "yAxis": {"type": "value", "min": 0, "max": math.ceil(top * 1.1), "show": False},
        "series": [
            {
                **common,
                "data": found,
                "step": "end",
                "lineStyle": {"color": "var(--reference)", "width": 1.8, "type": "dashed"},
                "endLabel": end(f"{count(days[-1]['found'])} found", "var(--reference)"),
            },
            {
                **common,
                "data": done,
                "lineStyle": {"color": "var(--accent)", "width": 2.2},
                "areaStyle": {"color": "var(--accent)", "opacity": 0.12},
                "endLabel": end(f"{count(days[-1]['done'])} done", "var(--accent)"),
            },
        ],
    }
