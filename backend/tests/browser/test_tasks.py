"""/admin/pending: the keyboard alone completes a task, an audit is shown before it is taken in, the queue empties."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
from playwright.sync_api import Page, expect

from tests.support import marketplace
from tests.support.product import until

Visit = Callable[..., Page]

AUDIT = [
    {
        "title": "Wallet credit can be claimed twice",
        "severity": "critical",
        "file": "api/credit.py",
        "line": 88,
    },
    {"title": "Price list is still in the sitemap", "severity": "low", "file": "sitemap.xml", "line": 3},
]


def add(connection: psycopg.Connection, title: str, *, days_ago: int = 0, priority: str = "critical") -> str:
    """Add a task that was found so many days before the demonstration's clock."""
    return str(
        marketplace.one(
            connection,
            "INSERT INTO public.enhancement_tasks (title, priority, source, location, line, first_seen_at) VALUES "
            "(%s, %s, 'Review', 'client/src/lib/keys.ts', 14, post_audit.clock() - make_interval(days => %s)) "
            "RETURNING id",
            title,
            priority,
            days_ago,
        )
    )


def status(connection: psycopg.Connection, identifier: str) -> str:
    return str(
        marketplace.one(connection, "SELECT status FROM public.enhancement_tasks WHERE id = %s", identifier)
    )


def test_the_keyboard_alone_completes_a_task(visit: Visit, changing: psycopg.Connection) -> None:
    task = add(changing, "Service role key is readable", days_ago=400)
    other = add(changing, "Stays as it is", days_ago=399)
    page = visit("/admin/pending", name="omkar")
    row = page.get_by_role("group", name="critical: Service role key is readable")
    for _ in range(40):
        page.keyboard.press("Tab")
        if row.evaluate("(element) => element === document.activeElement"):
            break
    expect(row).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("group", name="critical: Stays as it is")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("c")
    complete = page.get_by_role("button", name="Complete: Service role key is readable")
    expect(complete).to_be_visible()
    assert status(changing, task) == "in_progress"
    expect(row).to_be_focused()
    page.keyboard.press("Tab")
    expect(complete).to_be_focused()
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    assert (status(changing, task), status(changing, other)) == ("completed", "pending")


def test_another_program_changes_a_task_on_an_open_page(visit: Visit, changing: psycopg.Connection) -> None:
    task = add(changing, "Before the change", days_ago=500)
    page = visit("/admin/pending")
    expect(page.get_by_text("Before the change")).to_be_visible()
    changing.execute("UPDATE public.enhancement_tasks SET title = 'After the change' WHERE id = %s", (task,))
    expect(page.get_by_text("After the change")).to_be_visible(timeout=2_000)


def test_search_and_details(visit: Visit, changing: psycopg.Connection) -> None:
    add(changing, "100%_sure of the needle", priority="low")
    page = visit("/admin/pending")
    page.get_by_label("Search tasks").fill("100%_SURE")
    page.keyboard.press("Enter")
    expect(page.locator(".task")).to_have_count(1)
    page.get_by_role("link", name="100%_sure of the needle").click()
    expect(page.get_by_role("button", name="Accept the risk")).to_be_visible()
    page.get_by_role("button", name="Nothing to do").click()
    page.get_by_role("textbox", name="Why is there nothing to do?").fill("It is a test.")
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    assert (
        marketplace.one(changing, "SELECT note FROM public.enhancement_tasks WHERE title LIKE '100%'")
        == "It is a test."
    )


def test_an_audit_is_shown_before_it_is_taken_in_and_the_queue_empties(
    visit: Visit, changing: psycopg.Connection, tmp_path: Path
) -> None:
    report = tmp_path / "review.json"
    report.write_text(json.dumps(AUDIT), encoding="utf-8")
    audits = "SELECT count(*) FROM post_audit.audits"
    before = marketplace.one(changing, audits)
    page = visit("/admin/pending", name="omkar")
    page.get_by_role("button", name="Upload audit").click()
    take_in = page.get_by_role("button", name="Take it in")
    expect(take_in).to_be_disabled()
    page.get_by_label("Audit report").set_input_files(report)
    expect(page.get_by_text("review.json: 2 findings, 2 different")).to_be_visible()
    expect(page.locator(".dialog dd").first).to_have_text("2")
    assert marketplace.one(changing, audits) == before
    take_in.click()
    taken = "SELECT count(*) FROM post_audit.audits WHERE name = 'review.json' AND migrated_at IS NOT NULL"
    until(lambda: bool(marketplace.one(changing, taken)), "the run has turned it into tasks")
    expect(page.get_by_role("link", name="Wallet credit can be claimed twice")).to_be_visible()

    broken = tmp_path / "broken.sarif"
    broken.write_text("{", encoding="utf-8")
    page.get_by_role("button", name="Upload audit").click()
    page.get_by_label("Audit report").set_input_files(broken)
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()

    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("region", name="Selected tasks").get_by_role("button", name="Complete").click()
    expect(page.get_by_text("0 TASKS PENDING")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is left to do.")


def test_a_report_that_is_dropped_is_read(visit: Visit, tmp_path: Path) -> None:
    report = tmp_path / "dropped.json"
    report.write_text(json.dumps(AUDIT), encoding="utf-8")
    page = visit("/admin/pending", name="omkar")
    page.get_by_role("button", name="Upload audit").click()
    zone = page.locator(".drop")
    place = zone.bounding_box()
    assert place is not None
    # as the browser itself meets files that are dragged into it: what a script makes up would not be dropped
    hand = page.context.new_cdp_session(page)
    gesture = {
        "x": place["x"] + place["width"] / 4,
        "y": place["y"] + place["height"] / 4,
        "data": {"items": [], "files": [str(report)], "dragOperationsMask": 1},
    }
    for kind in ("dragEnter", "dragOver"):
        hand.send("Input.dispatchDragEvent", {"type": kind, **gesture})
    expect(zone).to_have_class("drop over")
    hand.send("Input.dispatchDragEvent", {"type": "drop", **gesture})
    expect(page.get_by_text("dropped.json: 2 findings, 2 different")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
