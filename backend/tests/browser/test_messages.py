"""/admin/ab-test: how the experiment stands, and a switch by hand that is taken back."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from playwright.sync_api import Page, expect

from tests.support import marketplace

Visit = Callable[..., Page]
ACTIVE = "SELECT active_variant FROM public.ab_test_config"


def test_the_experiment_is_told_switched_and_switched_back(
    visit: Visit, changing: psycopg.Connection
) -> None:
    page = visit("/admin/ab-test")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("B won, and it is the active message.")
    row = page.locator("tr.arm").filter(has_text="50 Inquiries Focus")
    expect(row).to_contain_text("95 %")
    expect(page.get_by_role("img", name="Evidence over time.")).to_be_visible()
    expect(page.get_by_role("img", name="Claim rates over time")).to_be_visible()
    # drawn as SVG, with a word for each message
    expect(page.locator(".chart svg")).to_have_count(2)
    expect(page.get_by_text("The split is fair")).to_be_visible()

    page.get_by_role("button", name="Switch to A now").click()
    page.get_by_role("button", name="Switch to A", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("becomes the active message, by hand.")
    assert marketplace.one(changing, ACTIVE) == "variant_a"
    expect(page.get_by_role("cell", name="asha")).to_be_visible()

    page.get_by_role("button", name="Undo decision").click()
    page.get_by_role("button", name="Take back").click()
    expect(heading).to_have_text("B won, and it is the active message.")
    assert marketplace.one(changing, ACTIVE) == "variant_b"


def test_a_load_that_fails_says_so_with_its_cure_and_can_be_tried_again(
    visit: Visit, changing: psycopg.Connection
) -> None:
    page = visit("/admin/ab-test")
    verdict = page.get_by_role("heading", level=1).inner_text()
    changing.execute("ALTER FUNCTION public.post_audit_read_experiment_switches RENAME TO put_away")
    try:
        # a change that the open page sees, and cannot read
        changing.execute("UPDATE post_audit.step_modes SET changed_at = now() WHERE step = 'conversions'")
        expect(page.get_by_role("heading", name="The numbers below are no longer live.")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text(verdict)
        fresh = visit("/admin", name="vidya")
        fresh.goto("/admin/ab-test")
        expect(fresh.get_by_role("heading", name="These numbers could not be read.")).to_be_visible()
        expect(fresh.get_by_text("post-audit migrate")).to_be_visible()
    finally:
        changing.execute("ALTER FUNCTION public.put_away RENAME TO post_audit_read_experiment_switches")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="The numbers below are no longer live.")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text(verdict)
