"""The how-to "From a Supabase project to the first proposing run", done as it is written.

A reader does what it says. The gateway stands in Supabase's place, `psql` for its SQL editor.
"""

from __future__ import annotations

import re
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
from tests.support.terminal import Reader

pytestmark = pytest.mark.acceptance

ROOT: Final = Path(__file__).resolve().parents[3]
HOW_TO: Final = ROOT / "docs/how-to/supabase-without-a-direct-connection.md"


@pytest.fixture
def project(supabase_server: str, supabase_databases: Databases) -> Iterator[str]:
    """A Supabase project with a marketplace of somebody's own in it, and nothing of ours."""
    with supabase_databases.scratch(owner="postgres") as made:
        conninfo = make_conninfo(supabase_server, dbname=str(conninfo_to_dict(made)["dbname"]))
        supabase.prepare_database(conninfo)
        with psycopg.connect(conninfo, autocommit=True) as owner:
            owner.execute(prisma.TABLES + prisma.ROWS)
        yield conninfo


def test_five_steps_lead_to_a_proposing_run(tmp_path: Path, project: str) -> None:
    with Gateway(project) as gateway, psycopg.connect(project, autocommit=True) as looking:
        # 1. the migration, from the file that is named
        named = re.search(r"`(supabase/migrations/\S+\.sql)`", HOW_TO.read_text(encoding="utf-8"))
        assert named is not None
        applied = psql(project, ROOT / named[1])
        assert applied.returncode == 0, applied.stderr

        # 2. two settings; 3. look, and bind with a direct connection for one command; 4. nothing changes; 5. run
        direct = "postgresql://postgres:{password}@{host}:{port}/{dbname}".format(**conninfo_to_dict(project))
        product = Product(tmp_path, preloaded=True)
        before: dict[str, object] = {}
        reader = Reader(
            product,
            {
                "https://PROJECT.supabase.co": gateway.url,
                "sb_secret_...": gateway.secret_key,
                "postgresql://postgres.PROJECT:PASSWORD@HOST:5432/postgres": direct,
            },
            meanwhile={
                "DATABASE_URL=": lambda: before.update(marketplace.untouched(looking)),
                "post-audit run --dry-run": lambda: before.update(
                    is_same=before == marketplace.untouched(looking)
                ),
            },
        )
        with reader:
            wrong = reader.follows(HOW_TO)
        assert not wrong, "\n\n".join(wrong)
        assert before["is_same"] is True

        # six decisions that wait, and none that acts
        modes = looking.execute("SELECT state, mode FROM post_audit.decisions").fetchall()
        assert len(modes) == 6
        assert {mode for _, mode in modes} == {"propose"}
        assert (
            marketplace.one(looking, "SELECT count(*) FROM post_audit.changes WHERE state = 'applied'") == 0
        )
        # over REST alone, and by nobody but the service
        assert {call.status for call in gateway.calls} == {200}
        log = product.log.read_text(encoding="utf-8")
        assert gateway.secret_key not in log + reader.printed
        assert gateway.service_key not in log + reader.printed
