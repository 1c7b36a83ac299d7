"""Where the documents are, and the installation that the tutorial begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.demonstration.first_run import SAMPLE_TARGET
from app.post_audit.steps.enhancements.importing import store_audit
from app.post_audit.steps.enhancements.parsing import parse_files
from tests.support.product import BACKEND, Product
from tests.support.terminal import free_port

__all__ = ["DOCS", "HOW_TO", "first_installation", "installed"]

ROOT: Final = BACKEND.parent
DOCS: Final = ROOT / "docs"
HOW_TO: Final = DOCS / "how-to"


def first_installation(folder: Path, conninfo: str) -> Product:
    """Make the product as it is right before its first run, on a database that holds the demonstration."""
    database = PsycopgDatabase(conninfo)
    for audit in parse_files(sorted((ROOT / "samples").glob("*.sarif"))):
        store_audit(database, audit, target=SAMPLE_TARGET)
    database.close()
    settings = {"DATABASE_URL": conninfo, "POST_AUDIT_PORT": str(free_port())}
    return Product(folder, settings, preloaded=True)


def installed(product: Product) -> dict[str, str]:
    """What stands for text of the documents: make, once everything is installed, and the port."""
    return {
        "make run": "post-audit run",
        "make serve": "post-audit serve",
        ":8000": f":{product.settings['POST_AUDIT_PORT']}",
    }
