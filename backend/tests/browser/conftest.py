"""The demonstration marketplace after its first run, served as its users serve it, and Chromium to look at it."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, expect, sync_playwright

from app.post_audit.db.psycopg_database import PsycopgDatabase
from tests.support import marketplace
from tests.support.product import Forked, Product, until
from tests.support.web import PASSWORD, add_user

SECRET: Final = "a secret of thirty-two signs, or more"
# Longer than anything here takes on a busy machine; only a hang meets it. What has to be quick says so itself.
expect.set_options(timeout=20_000)
NAMES: Final = {"asha": "approver", "omkar": "operator", "vidya": "viewer"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A served installation."""

    address: str
    conninfo: str
    states: dict[str, Any]
    """By name: the cookies of who has signed in."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; as root it has no sandbox of its own. Playwright runs an event loop in this thread, which the
    tests of other files must not meet: so it ends with the file. Drawn by a GPU process in software, pages took a third
    more of the processors."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no chromium on this machine (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demonstration after its first run, with three people who may sign in."""
    with marketplace.copy_of(server, marketplace.demonstration_template(server, template)) as conninfo:
        port = _free_port()
        product = Product(
            tmp_path_factory.mktemp("site"),
            {"DATABASE_URL": conninfo, "POST_AUDIT_SECRET": SECRET},
            preloaded=True,
        )
        assert product.run("run").returncode == 0
        database = PsycopgDatabase(conninfo)
        for name, role in NAMES.items():
            add_user(database, name, role)
        database.close()
        serving = product.fork("serve", "--port", str(port))
        try:

            def answers() -> bool:
                assert not serving.has_ended, serving.ended()
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            until(answers, "the site is served")
            address = f"http://127.0.0.1:{port}"
            yield Site(address=address, conninfo=conninfo, states={})
        finally:
            serving.process.terminate()
            serving.ended()


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server of a test's own, and the page of whoever opened the link that it printed."""

    process: Forked
    page: Page
    said: str


@contextmanager
def served_alone(product: Product, chromium: Browser) -> Iterator[Served]:
    """Serve an installation without a secret, and open its first page."""
    port = _free_port()
    process = product.fork("serve", "--port", str(port))

    def answers() -> bool:
        assert not process.has_ended, process.ended()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    context = chromium.new_context()
    try:
        until(answers, "the port answers")
        said = process.output.read_text(encoding="utf-8")
        page = context.new_page()
        page.goto(said.partition("Sign in once with ")[2].split()[0])
        page.goto(f"http://127.0.0.1:{port}/admin")
        page.wait_for_function("window.did_handshake === true")
        yield Served(process=process, page=page, said=said)
    finally:
        context.close()
        process.process.terminate()
        process.ended()


def _signed_in(chromium: Browser, address: str, name: str) -> Any:  # noqa: ANN401 - Playwright's own shape
    context = chromium.new_context(base_url=address)
    try:
        page = context.new_page()
        page.goto("/admin")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return context.storage_state()
    finally:
        context.close()


Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browsers(chromium: Browser, site: Site) -> Iterator[dict[str, BrowserContext]]:
    """A browser of each person's own; they keep what they have loaded, which halves the time of the tests."""
    for name in NAMES:
        if name not in site.states:
            site.states[name] = _signed_in(chromium, site.address, name)
    opened = {
        name: chromium.new_context(
            base_url=site.address,
            storage_state=state,
            viewport={"width": 1440, "height": 900},
            color_scheme="light",
            reduced_motion="reduce",
        )
        for name, state in site.states.items()
    }
    for context in opened.values():
        context.add_init_script("localStorage.removeItem('post-audit-theme')")
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture
def visit(browsers: dict[str, BrowserContext], site: Site) -> Iterator[Visit]:
    """Open a page as somebody; a request that leaves the machine, an error or a dialog of the page fails the test."""
    pages: list[Page] = []
    wrong: list[str] = []

    def opened(path: str, *, name: str = "asha") -> Page:
        page = browsers[name].new_page()
        pages.append(page)

        def asked(request: Request) -> None:
            if urlsplit(request.url).scheme in {"http", "https", "ws", "wss"} and not request.url.startswith(
                (site.address, site.address.replace("http", "ws", 1))
            ):
                wrong.append(f"left the machine: {request.url}")

        def spoken(dialog: Dialog) -> None:
            wrong.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("request", asked)
        page.on("pageerror", lambda error: wrong.append(f"error of the page: {error}"))
        page.on("dialog", spoken)
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        # an open page is live once its socket is
        page.wait_for_function("window.did_handshake === true")
        return page

    yield opened
    for page in pages:
        page.close()
    assert not wrong


@pytest.fixture
def changing(site: Site) -> Iterator[psycopg.Connection]:
    """Another program that changes the site's database."""
    with psycopg.connect(site.conninfo, autocommit=True) as opened:
        yield opened
