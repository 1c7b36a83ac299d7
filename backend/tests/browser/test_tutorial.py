"""The tutorial as a newcomer does it, with a terminal and a browser, by the labels that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import marketplace
from tests.support.documents import DOCS, first_installation, installed
from tests.support.product import Product
from tests.support.terminal import Reader

TUTORIAL: Final = DOCS / "tutorial.md"
MESSAGE: Final = "50 Inquiries Focus becomes the active message."
PRESSED: Final = (
    *("Yes, all 8", "All runs", "Run 1", "Undo", "Take back"),
    *("Tasks", "Upload audit", "Take it in", "Claim", "Complete"),
)
TASK: Final = "Wallet credit can be claimed twice on a slow connection"


@pytest.fixture
def newcomer(server: str, template: str, tmp_path: Path) -> Iterator[Product]:
    demonstration = marketplace.demonstration_template(server, template)
    with marketplace.copy_of(server, demonstration) as conninfo:
        yield first_installation(tmp_path, conninfo)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def labels(heading: str) -> list[str]:
    """What the tutorial says to press, in its order, below a heading."""
    text = re.sub(r"^```.*?^```", "", TUTORIAL.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = text.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    return re.findall(r"\*\*(.+?)\*\*", text)


class Newcomer:
    """Presses what the tutorial names, and keeps what was pressed."""

    def __init__(self, page: Page, reader: Reader) -> None:
        self.page = page
        self.reader = reader
        self.pressed: list[str] = []

    def _presses(
        self, label: str, *, role: str = "button", name: str | re.Pattern[str] | None = None
    ) -> None:
        self.pressed.append(label)
        named = name if name is not None else label
        self.page.get_by_role(role, name=named).first.click()  # type: ignore[arg-type]  # one of Playwright's names

    def signs_in_and_takes_a_decision_back(self) -> None:
        (link,) = re.findall(r"http\S+/login\?link=\S+", self.reader.said())
        self.page.goto(link)
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        self.page.wait_for_function("window.did_handshake === true")
        self._presses("Yes, all 8")
        expect(self.page.get_by_role("button", name="Yes, all 8")).to_have_count(0)
        quarantined = self.page.get_by_role("listitem").filter(has_text="In quarantine")
        expect(quarantined).to_contain_text("151")
        self._presses("All runs", role="link")
        self._presses("Run 1", role="link", name=re.compile(r"^Run 1$"))
        expect(self.page.get_by_text(MESSAGE).first).to_be_visible()
        self._presses("Undo", name="Undo Messages")
        self._presses("Take back")
        expect(self.page.get_by_text("Taken back.", exact=False).first).to_be_visible()

    def does_a_task(self, report: Path) -> None:
        self._presses("Tasks", role="link", name=re.compile(r"^Tasks"))
        self._presses("Upload audit")
        self.page.get_by_label("Audit report").set_input_files(report)
        expect(self.page.get_by_text("2 findings")).to_be_visible()
        self._presses("Take it in")
        expect(self.page.locator(".task").first).to_contain_text(TASK)
        self._presses("Claim", name=f"Claim: {TASK}")
        self._presses("Complete", name=f"Complete: {TASK}")
        expect(self.page.get_by_role("link", name=TASK)).to_have_count(0)


def test_the_tutorial_names_what_is_pressed() -> None:
    """The shorter one beside the next; that it can be pressed is what the tests of each page see."""
    assert tuple(labels("3.") + labels("4.")) == PRESSED


@pytest.mark.slow
def test_the_first_ten_minutes_with_a_browser(newcomer: Product, page: Page) -> None:
    with Reader(newcomer, installed(newcomer)) as reader:
        person = Newcomer(page, reader)
        reader.meanwhile = {
            "make serve": person.signs_in_and_takes_a_decision_back,
            "my-audit.md": lambda: person.does_a_task(newcomer.folder / "my-audit.md"),
        }
        wrong = reader.follows(TUTORIAL)
    assert not wrong, "\n\n".join(wrong)
    assert tuple(person.pressed) == PRESSED
