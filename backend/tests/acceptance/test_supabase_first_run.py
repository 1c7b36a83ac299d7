"""The how-to "From a Supabase project to the first proposing run", done as it is written.

Its commands are taken out of the document. The gateway stands in Supabase's place, `psql` for its SQL editor.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.database.migration.conftest import psql
from tests.support import marketplace, prisma, supabase
from tests.support.databases import Databases
from tests.support.gateway import Gateway
from tests.support.product import Product

pytestmark = pytest.mark.acceptance

ROOT: Final = Path(__file__).resolve().parents[3]
HOW_TO: Final = ROOT / "docs/how-to/supabase-without-a-direct-connection.md"
STEPS: Final = 5


@pytest.fixture
def project(supabase_server: str, supabase_databases: Databases) -> Iterator[str]:
    """A Supabase project with a marketplace of somebody's own in it, and nothing of ours."""
    with supabase_databases.scratch(owner="postgres") as made:
        conninfo = make_conninfo(supabase_server, dbname=str(conninfo_to_dict(made)["dbname"]))
        supabase.prepare_database(conninfo)
        with psycopg.connect(conninfo, autocommit=True) as owner:
            owner.execute(prisma.TABLES + prisma.ROWS)
        yield conninfo


def blocks() -> dict[int, list[str]]:
    """The lines of code under each numbered heading of the how-to."""
    found: dict[int, list[str]] = {}
    for number, text in re.findall(
        r"^## (\d)\..*?\n(.*?)(?=^## |\Z)", HOW_TO.read_text(), re.MULTILINE | re.DOTALL
    ):
        code = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        found[int(number)] = [line for block in code for line in block.splitlines()]
    return found


class NewUser:
    """Types what the how-to says, with the project's own values in place of the examples'."""

    def __init__(self, folder: Path, conninfo: str, gateway: Gateway) -> None:
        parts = conninfo_to_dict(conninfo)
        self.folder = folder
        self.secret = gateway.secret_key
        self._values = {
            "https://PROJECT.supabase.co": gateway.url,
            "sb_secret_...": gateway.secret_key,
            "postgresql://postgres.PROJECT:PASSWORD@HOST:5432/postgres": (
                f"postgresql://postgres:{parts['password']}@{parts['host']}:{parts['port']}/{parts['dbname']}"
            ),
        }

    def settings(self, lines: list[str]) -> None:
        """Write `.env`."""
        (self.folder / ".env").write_text("".join(f"{self._filled(line)}\n" for line in lines if "=" in line))

    def types(self, line: str) -> str:
        """Run one command line, and return what it printed."""
        words = shlex.split(self._filled(line))
        settings = dict(word.split("=", 1) for word in words if word.startswith("DATABASE_URL="))
        arguments = words[len(settings) + 1 :]
        assert words[len(settings)] == "post-audit", line
        ended = Product(self.folder, settings, preloaded=True).run(*arguments)
        assert ended.returncode == 0, (line, ended.stdout, ended.stderr)
        assert self.secret not in ended.stdout + ended.stderr
        return ended.stdout

    def _filled(self, line: str) -> str:
        for example, value in self._values.items():
            line = line.replace(example, value)
        return line


def test_five_steps_lead_to_a_proposing_run(tmp_path: Path, project: str) -> None:
    written = blocks()
    assert sorted(written) == list(range(1, STEPS + 1))
    with Gateway(project) as gateway, psycopg.connect(project, autocommit=True) as looking:
        user = NewUser(tmp_path, project, gateway)

        # 1. the migration, from the file that is named
        named = re.search(r"`(supabase/migrations/\S+\.sql)`", HOW_TO.read_text())
        assert named is not None
        applied = psql(project, ROOT / named[1])
        assert applied.returncode == 0, applied.stderr

        # 2. two settings
        user.settings([line for line in written[2] if not line.startswith("post-audit")])
        (status,) = (line for line in written[2] if line.startswith("post-audit"))
        assert "(Supabase REST)" in user.types(status)

        # 3. look, and bind with a direct connection for one command
        looked, bound = written[3]
        assert "suppliers ← public.scraped_companies" in user.types(looked)
        assert "3 roles are bound" in user.types(bound)

        # 4. nothing changes
        before = marketplace.untouched(looking)
        (dry,) = written[4]
        assert "Nothing" in user.types(dry)
        assert marketplace.untouched(looking) == before

        # 5. six decisions that wait, and none that acts
        (run,) = written[5]
        report = json.loads(user.types(f"{run} --json"))
        assert [step["state"] for step in report["steps"]] == ["decided"] * 6
        assert {step["decision"]["mode"] for step in report["steps"]} == {"propose"}
        assert (
            marketplace.one(looking, "SELECT count(*) FROM post_audit.changes WHERE state = 'applied'") == 0
        )
        # over REST alone, and by nobody but the service
        assert {call.status for call in gateway.calls} == {200}
        log = (tmp_path / "post_audit_protocol.log").read_text()
        assert gateway.secret_key not in log
        assert gateway.service_key not in log
