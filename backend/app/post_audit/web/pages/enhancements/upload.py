"""An audit report that is dropped on the page: read, shown as what it would do, and taken in only then."""

from __future__ import annotations

import io
from typing import Final

from nicegui import ui
from nicegui.element import Element
from nicegui.events import UploadEventArguments
from starlette.concurrency import run_in_threadpool

from app.post_audit.errors import PostAuditError
from app.post_audit.formats import count
from app.post_audit.steps.enhancements.importing import ImportReport, import_audit, store_audit
from app.post_audit.steps.enhancements.parsing import ParsedAudit, parse_stream
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.web.access import Person, Role
from app.post_audit.web.pages.elements import badge, box, button, icon, pairs, text, word
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["ask"]

_FINDINGS_SHOWN: Final = 6


async def ask(view: View) -> None:
    """Open the dialog: drop a file, see what it would do, and agree."""
    policy = EnhancementsPolicy()
    found: dict[str, ParsedAudit] = {}
    held: dict[str, Element] = {}
    with (
        view.client,
        ui.dialog().props('aria-label="Upload an audit"') as dialog,
        box("div", "dialog broad", role="document"),
    ):
        text("Upload an audit", "h2")
        body = held["body"] = box("div")
        with box("div").style("display: none"):
            receiver = ui.upload(
                auto_upload=True,
                max_file_size=policy.maximum_bytes,
                on_upload=lambda event: _received(event, view, policy, held, found),
            )
        with body:
            _draw_zone(str(receiver.props["url"]), policy)
        with box("div", "actions"):
            agree = held["agree"] = button(
                "Take it in", lambda: dialog.submit("yes"), kind="filled", data_key="import"
            )
            agree.props["disabled"] = True
            button("Cancel", lambda: dialog.submit("no"), data_key="cancel-import")
    agreed = await dialog == "yes"
    with view.client:
        dialog.delete()
    if agreed and "audit" in found:
        await _take_in(view, found["audit"], policy)


def _draw_zone(address: str, policy: EnhancementsPolicy) -> None:
    with box("label", "drop"):
        icon("upload")
        text("Drop a report here, or choose a file", "p").style("font-weight: 600; margin-top: 8px")
        text(
            "SARIF, CSV, JSON or Markdown of a scanner or by hand, at most "
            f"{policy.maximum_bytes // 1_000_000} MB. Nothing is changed until you agree.",
            "p",
            "small",
        )
        box("input", type="file", aria_label="Audit report", data_upload=address)


async def _received(
    event: UploadEventArguments,
    view: View,
    policy: EnhancementsPolicy,
    held: dict[str, Element],
    found: dict[str, ParsedAudit],
) -> None:
    """Read what came, and show what it would do; `found` gets the audit, the button of `held` is let go."""
    content, name, body = await event.file.read(), event.file.name, held["body"]

    def read() -> tuple[ParsedAudit, ImportReport]:
        view.visit.require(Role.OPERATOR)
        audit = parse_stream(io.BytesIO(content), name, policy)
        return audit, import_audit(view.house.database, audit, dry_run=True, policy=policy)

    try:
        audit, preview = await run_in_threadpool(read)
    except PostAuditError as error:
        body.clear()
        with body:
            badge("Not read", "alert", "is-bad")
            text(error.message, "p").style("margin-top: 8px")
            text(error.cure or "", "p", "small")
            text("Nothing was changed.", "p", "meta")
        return
    found["audit"] = audit
    body.clear()
    with body:
        _draw_preview(audit, preview)
    held["agree"].props.pop("disabled", None)
    held["agree"].update()


def _draw_preview(audit: ParsedAudit, preview: ImportReport) -> None:
    word(f"Read as {audit.format}", "tick", "is-accent")
    text(
        f"{audit.name}: {how_many(len(audit.findings), 'finding', 'findings')}, "
        f"{count(len(audit.different))} different",
        "h3",
    )
    text(f"{audit.source}{' about ' + audit.target if audit.target else ''}", "p", "meta")
    if preview.repeated:
        text("This very report was taken in before; it changes nothing.", "p", "small is-warn")
    pairs(
        [
            ("Would open", count(preview.new)),
            ("Would close, no longer found", count(preview.closed)),
            ("Would reopen", count(preview.reopened)),
            ("Already known", count(preview.unchanged + preview.changed)),
            ("Would wait for review", count(len(audit.needs_review))),
            ("Entries that cannot be read", count(len(audit.errors))),
        ]
    )
    with box("ul").style("margin-top: 12px"):
        for finding in audit.different[:_FINDINGS_SHOWN]:
            with box("li", "small"):
                text(f"{finding.priority} · ", classes="is-quiet")
                text(finding.title)
        if len(audit.different) > _FINDINGS_SHOWN:
            text(f"and {count(len(audit.different) - _FINDINGS_SHOWN)} more", "li", "meta")
    for problem in audit.errors[:3]:
        text(f"{problem.place}: {problem.message}", "p", "meta is-warn")


async def _take_in(view: View, audit: ParsedAudit, policy: EnhancementsPolicy) -> None:
    """Store the audit and start the run that turns it into tasks, once per content."""

    def deed(_person: Person) -> str:
        stored = store_audit(view.house.database, audit, policy=policy)
        view.visit.record("audit.received", f"audit:{stored.id}")
        if stored.state != "received":
            return f"{audit.name} was taken in before; nothing is new."
        if view.house.start_run is None:
            return f"{audit.name} is taken in; the next run turns it into tasks."
        view.house.start_run("audit", f"audit:{stored.id}")
        return f"{audit.name} is taken in. Its tasks appear here in a moment."

    await view.act(Role.OPERATOR, deed)
