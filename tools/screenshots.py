"""Draws the pictures of the README: the pages over the demonstration marketplace, in Debian's Chromium.

python tools/screenshots.py [FOLDER]     docs/images by default

A demonstration of its own is made in a temporary folder, with an audit by hand beside the scanner's, a few runs and
people who work on tasks; nothing of an installation beside it is touched. Needs the tools of development
(`make screenshots` installs them) and chromium.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import psycopg
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from app.post_audit.compose import Application, build
from app.post_audit.settings import project_folder
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.importing import store_audit
from app.post_audit.steps.enhancements.parsing import parse_stream
from app.post_audit.steps.enhancements.tasks import Action, Filters

WIDTH: Final = 1440
PHONE: Final = 390
# Enough for flat surfaces and smoothed type; a third of the size.
COLOURS: Final = 256
SHOTS: Final = (
    ("admin-light", "/admin", "light", WIDTH),
    ("admin-dark", "/admin", "dark", WIDTH),
    ("ab-test-light", "/admin/ab-test", "light", WIDTH),
    ("pending-light", "/admin/pending", "light", WIDTH),
)
PHONES: Final = ("/admin", "/admin/ab-test", "/admin/pending")
# An invented audit of the invented marketplace: severity, title, place, and how many days ago it was first seen.
FINDINGS: Final = (
    ("critical", "Service role key readable in the client bundle", "client/src/lib/supabase.ts", 14, 10),
    ("critical", "Wallet credit can be claimed twice on a slow connection", "api/claims/credit.py", 88, 8),
    ("critical", "OTP can be tried without limit", "api/auth/otp.py", 41, 2),
    ("high", "jsonwebtoken 8.5.1 accepts forged tokens", "client/package-lock.json", 2210, 35),
    ("high", "Supplier search answers in 6.2 s on a phone", "client/src/pages/suppliers.tsx", 57, 31),
    ("high", "GSTIN is saved without its check digit", "api/suppliers/kyc.py", 120, 26),
    ("high", "Invoices of other buyers open by their number", "api/invoices/read.py", 33, 25),
    ("medium", "Invoice PDF shows $ instead of ₹", "invoices/render.py", 57, 60),
    ("medium", "Leaderboard images have no description", "client/src/pages/leaderboard.tsx", 19, 9),
    ("medium", "Login page takes 14 requests before it shows anything", "client/src/pages/login.tsx", 5, 4),
    ("low", "Old price list is still in the sitemap", "public/sitemap.xml", 311, 23),
)


def arranged(application: Application) -> None:
    """Bring the demonstration to a state that shows what the pages can."""
    application.prepare_first_run()
    database = application.database
    audit = [
        {"severity": severity, "title": title, "file": place, "line": line}
        for severity, title, place, line, _ in FINDINGS
    ]
    found = parse_stream(io.BytesIO(json.dumps(audit).encode()), "site-audit.json")
    store_audit(database, found, source="Site audit", target="marketplace")
    application.run()
    with psycopg.connect(application.conninfo, autocommit=True) as connection:
        # the demonstration's clock stands still, so that the past has to be told to it
        for _, title, _, _, days in FINDINGS:
            connection.execute(
                "UPDATE public.enhancement_tasks SET first_seen_at = post_audit.clock() - make_interval(days => %s),"
                " occurrences = 1 + %s WHERE title = %s",
                (days, days % 5, title),
            )
    pending = queue.list_tasks(database, Filters(status=("pending",)), limit=40).tasks
    for place, task in enumerate(pending):
        who = ("Asha Rao", "Ravi Kumar", "Meera Shah")[place % 3]
        if place % 3 != 0:
            queue.act(database, [str(task.id)], Action.START, who)
        if place % 6 == 5:  # noqa: PLR2004 - some are done
            queue.act(database, [str(task.id)], Action.DONE, who)


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stored(png: bytes, file: Path) -> None:
    """Store a picture with fewer colours."""
    with Image.open(io.BytesIO(png)) as picture:
        small = picture.convert("RGB").quantize(
            COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        small.save(file, optimize=True)
    print(f"{file.name}: {file.stat().st_size // 1000} kB")  # noqa: T201 - for the person who draws


def shot(context: BrowserContext, path: str, *, whole: bool) -> bytes:
    """Draw one page as it looks when everything is there."""
    page = context.new_page()
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_function("window.did_handshake === true && document.fonts.status === 'loaded'")
    if path == "/admin/ab-test":
        expect(page.locator(".chart svg")).to_have_count(2)
    png = page.screenshot(full_page=whole)
    page.close()
    return png


def draw(browser: Browser, link: str, folder: Path) -> None:
    """Draw every picture into a folder."""
    base = link.partition("/login")[0]
    first = browser.new_context()
    entered = first.new_page()
    entered.goto(link)
    expect(entered.get_by_role("heading", level=1)).to_be_visible()
    state = first.storage_state()
    for name, path, theme, width in SHOTS:
        context = browser.new_context(
            base_url=base,
            storage_state=state,
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": width, "height": 900},
        )
        stored(shot(context, path, whole=True), folder / f"{name}.png")
        context.close()
    context = browser.new_context(
        base_url=base,
        storage_state=state,
        color_scheme="light",
        viewport={"width": PHONE, "height": 844},
        device_scale_factor=1.5,
    )
    stored(side_by_side([shot(context, path, whole=False) for path in PHONES]), folder / "phone.png")


def side_by_side(pngs: list[bytes]) -> bytes:
    """Put pictures of one size beside one another."""
    pictures = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    width, height = pictures[0].size
    gap = width // 12
    whole = Image.new("RGB", (len(pictures) * (width + gap) - gap, height), "#dfe0da")
    for place, picture in enumerate(pictures):
        whole.paste(picture, (place * (width + gap), 0))
    out = io.BytesIO()
    whole.save(out, format="PNG")
    return out.getvalue()


def main() -> int:
    """Make a demonstration, serve it, draw it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else project_folder() / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=30_000)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("There is no chromium on this machine. Debian, Ubuntu: apt install chromium", file=sys.stderr)  # noqa: T201 - as above
        return 2
    with tempfile.TemporaryDirectory(prefix="post-audit-") as temporary:
        os.environ |= {
            "POST_AUDIT_DATA_DIRECTORY": f"{temporary}/.post_audit",
            "POST_AUDIT_LOG_FILE": f"{temporary}/log",
            "POST_AUDIT_INBOX": f"{temporary}/inbox",
        }
        with build() as application:
            arranged(application)
            serving = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "app.post_audit", "serve", "--port", str(free_port())],
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                link = next(
                    found.group(0)
                    for line in serving.stdout or ()
                    if (found := re.search(r"http://\S+/login\?link=\S+", line))
                )
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                    draw(browser, link, folder)
                    browser.close()
            finally:
                serving.send_signal(signal.SIGTERM)
                serving.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
