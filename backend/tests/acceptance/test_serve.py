"""`post-audit serve`: the addresses that the marketplace's pages know, an audit that arrives, and a clean end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from tests.support import marketplace
from tests.support.product import Product, until
from tests.support.web import signed_token

pytestmark = pytest.mark.acceptance

AUDIT = json.dumps(
    [
        {"title": "Password kept in plain text", "severity": "high", "file": "login.ts", "line": 12},
        {"title": "Debug route is open", "severity": "low", "file": "debug.ts", "line": 3},
    ]
).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """A served installation, as a browser or another program sees it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.token = ""
        self._address = f"http://localhost:{port}"

    def ask(self, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, Any]:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        request = urllib.request.Request(self._address + path, data=body, headers=headers)  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                return answer.status, json.load(answer)
        except HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def get(self, path: str) -> Any:  # noqa: ANN401 - a document
        status, document = self.ask(path)
        assert status == 200, document
        return document

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors


Serve = Callable[[Product], Site]


@pytest.fixture
def token(demonstration: str) -> str:
    """An API token of an operator, for what changes something."""
    database = PsycopgDatabase(demonstration)
    made = signed_token(database, "n8n", "operator")
    database.close()
    return made


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve an installation on a free port, and return when it answers."""
    started: list[subprocess.Popen[str]] = []

    def begin(product: Product) -> Site:
        port = free_port()
        process = product.start("serve", "--port", str(port))
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"Serving http://127.0.0.1:{port} ")
        assert process.stdout.readline().startswith(f"Sign in once with http://127.0.0.1:{port}/login?link=")

        def answers() -> bool:
            assert process.poll() is None, process.communicate()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(answers, "the port answers")
        return Site(process, port)

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_known_addresses(
    demonstrated: Product, looking: psycopg.Connection, serve: Serve, token: str, binding: str
) -> None:
    # the counters of a live page are shown once a run has proved them
    assert demonstrated.run("run").returncode == 0
    site = serve(demonstrated)
    assert site.get("/health") == {"status": "ok"}
    ready = site.get("/ready")
    assert (ready["ready"], ready["last_run"]["state"]) == (True, "completed")

    stats = site.get("/api/admin/ab-test/stats?hours=24")
    assert {"stats", "active_variant", "winner"} <= stats.keys()
    assert (stats["active_variant"], stats["winner"]) == ("variant_b", "variant_b")
    assert [variant["variant"] for variant in stats["stats"]] == ["variant_a", "variant_b"]
    for variant in stats["stats"]:
        assert {
            "variant",
            "total_sent",
            "total_converted",
            "conversion_rate",
            "data_points",
        } <= variant.keys()
        for point in variant["data_points"]:
            assert {"time", "conversion_rate", "sent", "converted"} <= point.keys()
    assert any(variant["data_points"] for variant in stats["stats"])

    leaderboard = site.get("/api/live/leaderboard")
    assert leaderboard["state"] in {"verified", "repaired"}
    assert [place["rank"] for place in leaderboard["rows"]] == list(range(1, 11))
    counters = {counter["counter"]: counter for counter in site.get("/api/live/airdrop")["counters"]}
    assert counters.keys() == {"airdrop_claims", "airdrop_paise"}
    # claims in Prisma's shape have no amount, and what is unknown is not shown as zero
    unknown = {"airdrop_paise"} if binding == "prisma" else set()
    assert {name for name, counter in counters.items() if counter["value"] is None} == unknown

    # an audit that arrives starts a run, once per content
    pending = site.get("/api/admin/tasks/pending")
    assert (pending["tasks"], pending["count"], pending["next"]) == ([], 0, None)
    status, refused = site.ask("/api/admin/audits?name=review.json&target=shop", AUDIT)
    assert (status, refused["error"]["code"]) == (401, "NotSignedIn")
    site.token = token
    status, received = site.ask("/api/admin/audits?name=review.json&target=shop", AUDIT)
    assert (status, received["known"], received["different"]) == (201, False, 2)
    audits = "SELECT count(*) FROM post_audit.runs WHERE kind = 'audit' AND state = 'completed'"
    until(lambda: bool(marketplace.one(looking, audits)), "the run for the audit has ended")
    pending = site.get("/api/admin/tasks/pending")
    assert pending["count"] == len(pending["tasks"]) == 2
    for task in pending["tasks"]:
        keys = {"id", "title", "description", "priority", "category", "status", "estimated_hours"}
        assert keys <= task.keys()
    assert [task["priority"] for task in pending["tasks"]] == ["high", "low"]
    status, received = site.ask("/api/admin/audits?name=again.json&target=shop", AUDIT)
    assert (status, received["known"]) == (200, True)

    status, bug = site.ask("/api/bugs", b'{"title": "The wallet page stays white"}')
    assert (status, bug["already_known"], bug["reports"]) == (201, False, 1)
    status, bug = site.ask("/api/bugs", b'{"title": ""}')
    assert (status, bug["error"]["code"]) == (422, "InputError")
    status, nowhere = site.ask("/api/nowhere")
    assert (status, nowhere["error"]["code"]) == (404, "HttpError")

    code, _, errors = site.end()
    assert (code, errors) == (0, "")
    assert marketplace.one(looking, "SELECT count(*) FROM post_audit.runs WHERE kind = 'audit'") == 1
    assert marketplace.one(looking, "SELECT count(*) FROM post_audit.runs WHERE state = 'running'") == 0
    assert {"run.ended", "step.decided"} <= {event["event"] for event in demonstrated.events()}


def test_a_run_that_is_going_on_at_the_end_is_handed_back_after_its_step(
    demonstrated: Product, looking: psycopg.Connection, serve: Serve, token: str
) -> None:
    site = serve(demonstrated)
    site.token = token
    status, _ = site.ask("/api/admin/audits?name=review.json", AUDIT)
    assert status == 201
    running = "SELECT count(*) FROM post_audit.runs WHERE state = 'running'"
    until(lambda: bool(marketplace.one(looking, running)), "the run for the audit has begun")
    code, _, errors = site.end()
    assert (code, errors) == (0, "")
    held = "SELECT count(*) FROM post_audit.runs WHERE state = 'running' AND lease_expires_at > clock_timestamp()"
    assert marketplace.one(looking, held) == 0
    assert marketplace.one(looking, "SELECT count(*) FROM post_audit.decisions WHERE state = 'applying'") == 0
    # whoever comes next goes on with it
    assert demonstrated.json("run")["state"] == "completed"
    assert marketplace.one(looking, running) == 0


def test_what_is_asked_for_before_a_run_is_unknown_and_not_zero(product: Product, serve: Serve) -> None:
    site = serve(product)
    assert site.get("/api/live/leaderboard")["rows"] is None
    assert [counter["value"] for counter in site.get("/api/live/airdrop")["counters"]] == [None, None]
    stats = site.get("/api/admin/ab-test/stats")
    assert [variant["conversion_rate"] for variant in stats["stats"]] == [None, None]
    assert stats["winner"] is None
    code, output, errors = site.end(signal.SIGINT)
    assert (code, output, errors) == (0, "", "")


def test_a_port_that_is_taken_is_named(product: Product) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = product.run("serve", "--port", str(port))
    assert ended.returncode == 2
    assert f"Port {port} cannot be used" in ended.stderr
