"""/admin: agree to what waits, take it back, run now; and who may only look can change nothing."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from playwright.sync_api import Page, expect

from tests.support import marketplace
from tests.support.product import until

Visit = Callable[..., Page]


def test_what_waits_is_agreed_to_and_taken_back(visit: Visit, changing: psycopg.Connection) -> None:
    page = visit("/admin")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("One decision waits for you.")
    expect(page.get_by_text("Are these 8 suppliers invented?")).to_be_visible()
    page.get_by_role("button", name="Yes, all 8").click()
    expect(page.get_by_role("alert")).to_contain_text("Done:")
    expect(heading).to_have_text("Everything is in order.")
    waiting = "SELECT count(*) FROM post_audit.changes WHERE state = 'proposed'"
    assert marketplace.one(changing, waiting) == 0
    said = "SELECT count(*) FROM post_audit.audit_log WHERE actor = 'asha' AND action = 'decision.approved'"
    assert marketplace.one(changing, said) == 1

    page.get_by_role("button", name="Undo Capacity").click()
    page.get_by_role("button", name="Cancel").click()
    assert (
        marketplace.one(
            changing, "SELECT daily_quota FROM public.infrastructure_config WHERE channel = 'sms'"
        )
        == 30_000
    )
    page.get_by_role("button", name="Undo Capacity").click()
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_role("alert")).to_contain_text("Taken back.")
    assert (
        marketplace.one(
            changing, "SELECT daily_quota FROM public.infrastructure_config WHERE channel = 'sms'"
        )
        == 20_000
    )

    page.get_by_role("link", name="Numbers of Capacity").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("SMS gets 30,000 a day.")
    expect(page.get_by_text("Taken back by decision")).to_be_visible()
    page.get_by_text("Show the numbers").click()
    expect(page.get_by_text('"daily_quota"').or_(page.get_by_text('"quota"')).first).to_be_visible()


def test_a_run_is_started_and_followed(visit: Visit, changing: psycopg.Connection) -> None:
    page = visit("/admin", name="omkar")
    before = marketplace.one(changing, "SELECT max(id) FROM post_audit.runs")
    ended = "SELECT count(*) FROM post_audit.runs WHERE id > %s AND state <> 'running' AND steps IS NULL"
    page.get_by_role("button", name="Run now").click()
    until(lambda: bool(marketplace.one(changing, ended, before)), "the run has ended")
    number = marketplace.one(changing, "SELECT max(id) FROM post_audit.runs")
    expect(page.get_by_role("link", name=f"Run {number}", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Run now")).to_be_enabled()


def test_a_change_shows_on_an_open_page_within_two_seconds(
    visit: Visit, changing: psycopg.Connection
) -> None:
    page = visit("/admin/settings")
    row = page.get_by_role("row", name="Bugs")
    expect(row).to_contain_text("acts by itself")
    changing.execute("UPDATE post_audit.step_modes SET mode = 'paused' WHERE step = 'bugs'")
    expect(row).to_contain_text("rests", timeout=2_000)
    changing.execute("UPDATE post_audit.step_modes SET mode = 'act' WHERE step = 'bugs'")
    expect(row).to_contain_text("acts by itself", timeout=2_000)


def test_who_may_look_can_change_nothing(visit: Visit, changing: psycopg.Connection) -> None:
    changing.execute(
        "INSERT INTO public.enhancement_tasks (title, priority) VALUES ('Only to be looked at', 'critical')"
    )
    harmless = {"Light or dark", "", "Clear"}
    for path in (
        "/admin",
        "/admin/ab-test",
        "/admin/pending",
        "/admin/decisions/1",
        "/admin/runs/1",
        "/admin/settings",
    ):
        page = visit(path, name="vidya")
        names = {
            button.get_attribute("aria-label") or button.inner_text()
            for button in page.get_by_role("button").all()
            if "chip" not in (button.get_attribute("class") or "")
        }
        assert names <= harmless, path
        # and what a page of an operator would have sent is refused
        refused = page.evaluate(
            "async () => (await fetch('/api/admin/decisions/1/undo', {method: 'POST', headers: "
            "{'Content-Type': 'application/json'}, body: '{}'})).status"
        )
        assert refused == 403


def test_what_the_doctor_finds_is_on_the_house_and_on_its_page(
    visit: Visit, changing: psycopg.Connection
) -> None:
    page = visit("/admin/doctor")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is wrong.")
    expect(page.get_by_text("A/B test: ")).to_be_visible()
    expect(page.get_by_text("Samples of Invite message:")).to_be_visible()
    changing.execute("ALTER TABLE public.bugs DISABLE ROW LEVEL SECURITY")
    try:
        expect(page.get_by_role("heading", level=1)).to_have_text("One thing is wrong.")
        house = visit("/admin")
        panel = house.locator("[data-key='wrong-access.row_level_security']")
        expect(panel).to_contain_text("on 1 of our tables: public.bugs")
        panel.get_by_role("link", name="See all").click()
        expect(house.get_by_role("heading", level=1)).to_have_text("One thing is wrong.")
        expect(visit("/admin/settings").get_by_text("Row level security is off")).to_be_visible()
    finally:
        changing.execute("ALTER TABLE public.bugs ENABLE ROW LEVEL SECURITY")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is wrong.")
    page.get_by_role("button", name="Ask n8n and Telegram").click()
    expect(page.get_by_text("n8n and Telegram have been asked.")).to_be_visible()
