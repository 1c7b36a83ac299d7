"""How soon a page shows, and what it weighs: Chromium with an empty cache, over the demonstration on this machine."""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

from playwright.sync_api import Browser, expect, sync_playwright

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.demonstration import load_demonstration
from tests.support.product import Product, until
from tests.support.web import PASSWORD, add_user

SECRET: Final = "a secret of thirty-two signs, or more"  # noqa: S105 - of a server that lives as long as this
# What has to be there for a page to say its verdict with its picture.
PAGES: Final = {
    "/admin": "h1",
    "/admin/ab-test": ".chart svg path",
    "/admin/pending": "h1",
}


def opened(browser: Browser, address: str, state: Any, path: str) -> dict[str, float]:  # noqa: ANN401 - Playwright's shape
    """Open a page once with an empty cache: seconds until its picture, bytes over the wire, requests."""
    context = browser.new_context(
        base_url=address, storage_state=state, viewport={"width": 1440, "height": 900}
    )
    page = context.new_page()
    seen = {"bytes": 0, "requests": 0, "elsewhere": 0}
    network = context.new_cdp_session(page)
    network.send("Network.enable")

    def asked(event: dict[str, Any]) -> None:
        seen["requests"] += 1
        url = str(event["request"]["url"])
        seen["elsewhere"] += not url.startswith((address, "data:", "blob:"))

    def came(event: dict[str, Any]) -> None:
        seen["bytes"] += int(event["encodedDataLength"])

    network.on("Network.requestWillBeSent", asked)
    network.on("Network.loadingFinished", came)
    began = time.perf_counter()
    page.goto(path, wait_until="commit")
    page.wait_for_selector(PAGES[path])
    seconds = time.perf_counter() - began
    page.wait_for_load_state("networkidle")
    context.close()
    return {"seconds": round(seconds, 2), **seen}


def signed_in(browser: Browser, address: str) -> Any:  # noqa: ANN401 - Playwright's shape
    """Sign in, and keep the cookies."""
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/admin")
    page.get_by_label("Name").fill("asha")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    state = context.storage_state()
    context.close()
    return state


def measured(rounds: int, chromium: str) -> dict[str, dict[str, float]]:
    """Open each page so many times; the median of the times, the largest of the rest."""
    with tempfile.TemporaryDirectory() as folder:
        embedded = EmbeddedServer(Path(folder) / ".post_audit")
        with embedded.acquire() as server:
            migrate(server.conninfo)
            load_demonstration(server.conninfo)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            product = Product(
                Path(folder), {"DATABASE_URL": server.conninfo, "POST_AUDIT_SECRET": SECRET}, preloaded=True
            )
            product.run("run")
            database = PsycopgDatabase(server.conninfo)
            add_user(database, "asha", "approver")
            database.close()
            serving = product.fork("serve", "--port", str(port))

            def answers() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            until(answers, "the pages are served")
            address = f"http://127.0.0.1:{port}"
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                state = signed_in(browser, address)
                found = {
                    path: [opened(browser, address, state, path) for _ in range(rounds)] for path in PAGES
                }
                browser.close()
            serving.process.terminate()
            serving.ended()
        embedded.destroy()
    return {
        path: {
            "seconds": sorted(one["seconds"] for one in each)[len(each) // 2],
            **{name: max(one[name] for one in each) for name in ("bytes", "requests", "elsewhere")},
        }
        for path, each in found.items()
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one document for machines")
    parser.add_argument("--rounds", type=int, default=5, help="how often each page is opened")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print(
            json.dumps({"skipped": "there is no chromium"})
            if options.json
            else "Pages: there is no chromium here."
        )
        return 0
    found = measured(options.rounds, chromium)
    if options.json:
        print(json.dumps({"pages": found}))
    else:
        print("Pages at a first visit with an empty cache (at most 2 s, 1.5 MB, nothing from elsewhere)")
        for path, one in found.items():
            print(
                f"  {path:16} {one['seconds']:5.2f} s  {one['bytes'] / 1e6:5.2f} MB  {one['requests']:3.0f} requests"
                f"  {one['elsewhere']:.0f} elsewhere"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
