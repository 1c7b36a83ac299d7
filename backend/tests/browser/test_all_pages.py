"""What holds of every page: nobody is shut out of it, it is as narrow as a phone, and no text becomes code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import psycopg
import pytest
from playwright.sync_api import Page, expect

PAGES = (
    "/admin",
    "/admin/ab-test",
    "/admin/pending",
    "/admin/runs",
    "/admin/runs/1",
    "/admin/decisions/1",
    "/admin/outbox",
    "/admin/settings",
    "/admin/doctor",
)
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
PHONE = 390
HOSTILE = '<img src=x onerror="window.pwned=1"></script><script>window.pwned=1</script>{{7*7}}${7*7}\'"--'

Visit = Callable[..., Page]


def serious(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds that shuts somebody out, each rule with the elements that break it."""
    options: dict[str, object] = {"resultTypes": ["violations"], "preload": False}
    if rules is not None:
        options["runOnly"] = rules
    found: Any = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{item['id']} ({item['impact']}): {[node['target'] for node in item['nodes']][:4]}"
        for item in found["violations"]
        if item["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_everybody(visit: Visit, path: str) -> None:
    page = visit(path)
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en-GB"
    assert page.title().endswith("· Post-Audit")
    # the first thing that the keyboard reaches leads past the navigation
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    # evaluated by the debugger, so that the page's own policy need not allow it
    page.evaluate(AXE)
    assert serious(page) == []
    page.get_by_role("button", name="Light or dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    # of axe's rules, only this one sees colours
    assert serious(page, ["color-contrast"]) == []
    page.set_viewport_size({"width": PHONE, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


@pytest.fixture
def hostile(changing: psycopg.Connection) -> Iterator[None]:
    """Put hostile text wherever somebody else's text is shown, and take it out again."""
    # kept by this connection, for the way back
    changing.execute(
        "CREATE TEMP TABLE saved_experiments AS SELECT id, name, variants FROM public.ab_test_config;"
        "CREATE TEMP TABLE saved_decisions AS SELECT id, headline, next, reasons FROM post_audit.decisions;"
        "CREATE TEMP TABLE saved_outbox AS SELECT id, detail, payload FROM post_audit.outbox"
    )
    changing.execute(
        "INSERT INTO public.enhancement_tasks (title, description, category, source, target, location, rule,"
        " component, owner, note, priority, severity, first_seen_at) VALUES (%(x)s, %(x)s, 'security', %(x)s, %(x)s,"
        " %(x)s, %(x)s, %(x)s, %(x)s, %(x)s, 'critical', %(x)s, '2020-01-01')",
        {"x": HOSTILE},
    )
    changing.execute(
        "UPDATE public.ab_test_config SET name = %s,"
        " variants = replace(variants::text, '\"50 Inquiries Focus\"', %s)::jsonb",
        (HOSTILE, json.dumps(HOSTILE)),
    )
    changing.execute(
        "UPDATE post_audit.decisions SET headline = %(x)s, next = %(x)s, reasons = jsonb_build_array("
        "jsonb_build_object('code', %(x)s::text, 'text', %(x)s::text, 'numbers', '{}'::jsonb))",
        {"x": HOSTILE},
    )
    changing.execute(
        "UPDATE post_audit.outbox SET detail = %(x)s, payload = jsonb_build_object(%(x)s::text, %(x)s::text)",
        {"x": HOSTILE},
    )
    yield
    changing.execute("DELETE FROM public.enhancement_tasks WHERE title = %s", (HOSTILE,))
    changing.execute(
        "UPDATE public.ab_test_config AS t SET name = s.name, variants = s.variants"
        " FROM saved_experiments AS s WHERE s.id = t.id;"
        "UPDATE post_audit.decisions AS t SET headline = s.headline, next = s.next, reasons = s.reasons"
        " FROM saved_decisions AS s WHERE s.id = t.id;"
        "UPDATE post_audit.outbox AS t SET detail = s.detail, payload = s.payload"
        " FROM saved_outbox AS s WHERE s.id = t.id"
    )


@pytest.mark.usefixtures("hostile")
def test_text_of_others_stays_text(visit: Visit) -> None:
    for path in PAGES:
        page = visit(path)
        if path not in {"/admin/settings", "/admin/runs"}:
            expect(page.get_by_text("window.pwned=1").first).to_be_attached()
        assert page.evaluate("window.pwned") is None, path
        assert page.locator("img").count() == 0, path
