"""The pages over Supabase's REST interface: shown, live, and what is done on them is done there."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import served_alone
from tests.support import marketplace
from tests.support.gateway import Gateway
from tests.support.product import Product


@pytest.mark.slow
def test_a_task_is_shown_completed_and_watched_over_rest(
    tmp_path: Path, chromium: Browser, gateway: Gateway, supabase_conninfo: str
) -> None:
    add = "INSERT INTO public.enhancement_tasks (title, priority) VALUES (%s, %s)"
    with (
        psycopg.connect(supabase_conninfo, autocommit=True) as other,
        served_alone(Product(tmp_path, gateway.settings(), preloaded=True), chromium) as served,
    ):
        page = served.page
        expect(page.get_by_role("heading", level=1)).to_have_text("Nothing has run yet.")
        other.execute(add, ("Wallet credit can be claimed twice", "critical"))
        page.goto(f"{page.url}/pending")
        page.wait_for_function("window.did_handshake === true")
        expect(page.get_by_role("heading", level=1)).to_have_text("1 task is open, and none is late.")
        page.get_by_role("checkbox").first.check()
        page.get_by_role("region", name="Selected tasks").get_by_role("button", name="Complete").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is left to do.")
        done = "SELECT count(*) FROM public.enhancement_tasks WHERE status = 'completed'"
        assert marketplace.one(other, done) == 1
        # and what another program changes there shows by itself
        other.execute(add, ("The debug route is open", "low"))
        expect(page.get_by_role("link", name="The debug route is open")).to_be_visible()
