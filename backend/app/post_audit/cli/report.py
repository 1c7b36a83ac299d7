"""How decisions and runs are told to a person on a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group, RenderableType
from rich.json import JSON
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.post_audit.formats import count, ist

if TYPE_CHECKING:
    from app.post_audit.runner import RunReport, StepReport

__all__ = ["decision_view", "print_run", "what_changed"]

_MARKS: Final = {
    "acted": ("●", "green"),
    "waits": ("◆", "yellow"),
    "no change": ("✓", "dim"),
    "blocked": ("■", "yellow"),
    "unknown": ("?", "yellow"),
    "failed": ("✗", "red"),
    "paused": ("–", "dim"),
    "undone": ("↩", "dim"),
}
# More than these of one decision are counted, not listed.
_SHOWN_CHANGES: Final = 4


def _how_many(decision: Mapping[str, Any], state: str) -> int:
    """How many of a decision's changes are in this state; not all of them are listed."""
    if "counts" in decision:
        return int(decision["counts"].get(state, 0))
    return sum(change["state"] == state for change in decision["changes"])


def _standing(report: StepReport) -> str:
    if report.decision is None:
        return report.state
    return _standing_of(report.decision)


def _standing_of(decision: Mapping[str, Any]) -> str:
    waits = _how_many(decision, "proposed") > 0
    match decision["state"], decision["outcome"]:
        case "undone", _:
            return "undone"
        case "applied" | "applying", _:
            return "acted"
        case "proposed", _:
            return "waits"
        case "preview", "act":
            return "would act" if decision["mode"] == "act" and not waits else "would propose"
        case _, "nothing":
            return "no change"
        case _, outcome:
            return str(outcome)


def _value(value: object) -> str:  # noqa: PLR0911 - one line a type, nothing else
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return count(value)
        case float():
            return f"{value:g}"
        case dict():
            return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
        case list() if all(isinstance(item, str) for item in value):
            return ", ".join(value) or "none"
        case list() if all(isinstance(item, dict) and "signal" in item for item in value):
            return ", ".join(str(item["signal"]).replace("_", " ") for item in value)
        case list():
            return f"{len(value)} {'item' if len(value) == 1 else 'items'}"
        case None:
            return "none"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - what fits beside a label


def what_changed(change: Mapping[str, Any]) -> str:
    """One change in a line: `capacity:sms  daily_quota 20,000 → 30,000`."""
    before, after = change["before"], change["after"]
    parts = [
        f"{name.replace('_', ' ')} {_value(before.get(name))} → {_value(value)}"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return f"{change['subject']}  {'; '.join(parts)}"


def decision_view(decision: Mapping[str, Any], *, with_numbers: bool = False) -> RenderableType:
    """A decision with its reasons, what it changed, how to take it back and what to do next."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True, min_width=8)
    rows.add_column()
    for reason in decision["reasons"]:
        rows.add_row("", Text(str(reason["text"])))
    for label, text in (*_change_rows(decision), *_message_rows(decision), *_command_rows(decision)):
        rows.add_row(label, Text(text))
    if not with_numbers:
        return rows
    numbers = JSON.from_data(decision["numbers"], indent=2) if decision["numbers"] else Text("no numbers")
    return Group(rows, Text("\nnumbers", style="dim"), numbers)


def _change_rows(decision: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    labels = {"applied": "changed", "proposed": "waits", "preview": "would"}
    changes = decision["changes"]
    for change in changes[:_SHOWN_CHANGES]:
        yield labels.get(change["state"], change["state"]), what_changed(change)
        if change["needs_approval"] and change["state"] in {"proposed", "preview"}:
            yield "", str(change["needs_approval"]["text"])
    total = sum(decision["counts"].values()) if "counts" in decision else len(changes)
    if total > _SHOWN_CHANGES:
        where = f": post-audit decisions {decision['id']}" if decision["id"] is not None else ""
        yield "", f"and {count(total - _SHOWN_CHANGES)} more{where}"


def _message_rows(decision: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    states = {
        "pending": "to be sent",
        "sent": "sent, not acknowledged",
        "dead": "given up: post-audit outbox list --state dead",
        "shown": "shown only",
        "demonstration": "not sent: demonstration",
    }
    receivers: dict[str, list[str]] = {}
    for message in decision["messages"]:
        state = states.get(message["state"], message["state"])
        name = "Telegram" if message["channel"] == "telegram" else "n8n"
        if name not in receivers.setdefault(state, []):
            receivers[state].append(name)
    for ended in decision.get("messages_removed", {}):
        channel, _, state = ended.partition(":")
        name = "Telegram" if channel == "telegram" else "n8n"
        if name not in receivers.setdefault(f"{state}, deleted since", []):
            receivers[f"{state}, deleted since"].append(name)
    for state, names in receivers.items():
        yield "told", f"{' and '.join(names)} ({state})"


def _command_rows(decision: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    number = decision["id"]
    if number is not None and _how_many(decision, "proposed"):
        yield "approve", f"post-audit approve {number}   or: post-audit reject {number}"
    if number is not None and _how_many(decision, "applied"):
        final = decision["final_because"]
        yield "undo", f"not offered: {final}" if final else f"post-audit undo {number}"
    if decision.get("next"):
        yield "next", str(decision["next"]).replace("{decision}", "ID")


def print_run(console: Console, report: RunReport, *, place: str, is_embedded: bool) -> None:
    """Print the report of a run."""
    title = Text()
    if report.origin == "preview":
        title.append("Dry run", style="bold").append(" · nothing was changed")
    else:
        title.append(f"Run {report.run_id}", style="bold")
        title.append(
            {
                "started": "",
                "resumed": " · resumed after an interruption",
                "followed": " · made by another process",
                "finished": " · already made",
            }[report.origin]
        )
    title.append(f" · as of {ist(report.as_of)} · {place}")
    console.print(title)
    if report.marketplace == "demonstration":
        console.print(
            Text(
                "DEMONSTRATION: an invented marketplace with a clock of its own. Nothing is sent to anybody.",
                style="bold yellow",
            )
        )
    for note in report.notes:
        console.print(Text(note))
    console.print()
    for step in report.steps:
        _print_step(console, step)
    _print_end(console, report, is_embedded=is_embedded)


def _print_step(console: Console, step: StepReport) -> None:
    standing = _standing(step)
    mark, style = _MARKS.get(standing, ("○", "cyan"))
    headline = Text.assemble((f"{mark} ", style), (f"{step.title:<16}", "bold"))
    if step.decision is not None:
        headline.append(str(step.decision["headline"]), style="bold")
    elif step.error is not None:
        headline.append(str(step.error["message"]), style="red")
    else:
        headline.append("This step is paused.")
    identity = (
        f"decision {step.decision['id']} · "
        if step.decision is not None and step.decision["id"] is not None
        else ""
    )
    headline.append(f"  ({identity}{standing} · {step.duration_ms / 1000:.1f} s)", style="dim")
    console.print(headline)
    if step.decision is not None:
        console.print(Padding(decision_view(step.decision), (0, 0, 0, 4)))
    elif step.error is not None and step.error["cure"]:
        console.print(Padding(Text(str(step.error["cure"])), (0, 0, 0, 4)))
    elif step.state == "paused":
        console.print(Padding(Text(f"post-audit arm {step.step}"), (0, 0, 0, 4)))
    console.print()


def _print_end(console: Console, report: RunReport, *, is_embedded: bool) -> None:
    decided = [step for step in report.steps if step.decision is not None]
    failed = [step.title for step in report.steps if step.state == "failed"]
    seconds = sum(step.duration_ms for step in report.steps) / 1000
    if failed:
        done = len(report.steps) - len(failed)
        text = f"{', '.join(failed)} failed; {done} of {len(report.steps)} steps finished."
        console.print(Text(text, style="bold red"))
    else:
        console.print(Text(f"{len(report.steps)} steps in {seconds:.1f} s.", style="bold"))
    for step in decided:
        waiting = _how_many(step.decision or {}, "proposed")
        if waiting and step.decision is not None and step.decision["id"] is not None:
            changes = "1 change waits" if waiting == 1 else f"{count(waiting)} changes wait"
            console.print(Text(f"{step.title}: {changes} for you: post-audit approve {step.decision['id']}"))
    proposing = [
        step.step for step in decided if step.decision is not None and step.decision["mode"] == "propose"
    ]
    if proposing and not is_embedded and report.origin != "preview":
        names = ", ".join(proposing)
        console.print(Text(f"Steps only propose until you arm them: post-audit arm STEP ({names})."))
    if report.marketplace == "demonstration":
        console.print(
            Text("Go on: post-audit serve (pages and API), post-audit decisions ID (one decision whole),")
        )
        console.print(Text("       post-audit demo --remove; to use your own database: docs/how-to."))
    if shutil.which("post-audit") is None:
        console.print(Text("Here, post-audit is .venv/bin/post-audit.", style="dim"))
