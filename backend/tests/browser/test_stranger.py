"""A stranger who begins with `post-audit serve`: an empty house, invented data at a press, a server that goes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from app.post_audit.db.embedded import EmbeddedServer
from tests.browser.conftest import Served, served_alone
from tests.support.product import Product


@pytest.fixture
def served(tmp_path: Path, chromium: Browser) -> Iterator[Served]:
    """An embedded database that nothing has ever been in."""
    product = Product(tmp_path, preloaded=True)
    with served_alone(product, chromium) as opened:
        yield opened
    EmbeddedServer(product.data_directory).destroy()


def test_an_empty_house_says_so_and_a_server_that_is_gone_is_noticed(served: Served) -> None:
    page = served.page
    assert "The database is empty: /admin can show it with invented data" in served.said
    expect(page.get_by_role("heading", level=1)).to_have_text("This database is empty.")
    expect(page.get_by_role("button", name="Show me with invented data")).to_be_enabled()
    live = page.locator(".live")
    expect(live.locator("time")).to_be_visible()
    served.process.kill()
    expect(live.locator("time")).to_be_hidden()
    assert "the server does not answer" in live.evaluate("one => getComputedStyle(one, '::after').content")


@pytest.mark.slow
def test_an_empty_house_is_shown_with_invented_data_at_a_press(served: Served) -> None:
    page = served.page
    page.get_by_role("button", name="Show me with invented data").click()
    expect(page.get_by_text("Demonstration: an invented marketplace")).to_be_visible()
    expect(page.get_by_role("link", name="Run 1", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Run now")).to_be_enabled(timeout=60_000)
    expect(page.get_by_role("heading", level=1)).not_to_have_text("This database is empty.")
    expect(page.get_by_role("button", name="Show me with invented data")).to_have_count(0)
