"""A run as its user makes it: from the command line, against a database of one's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support import marketplace
from tests.support.product import BACKEND, Product

pytestmark = [pytest.mark.acceptance]


def test_a_database_of_ones_own_starts_by_proposing(product: Product, connection: psycopg.Connection) -> None:
    marketplace.nearly_full(connection)
    ended = product.run("run")
    assert ended.returncode == 0, ended.stderr
    assert "post-audit approve" in ended.stdout
    assert "post-audit arm STEP" in ended.stdout
    assert connection.execute(
        "SELECT daily_quota FROM post_audit.capacity WHERE channel = 'sms'"
    ).fetchone() == (20_000,)


def test_approve_undo_and_arm_as_a_person_would(product: Product, connection: psycopg.Connection) -> None:
    def quota() -> int:
        row = connection.execute(
            "SELECT daily_quota FROM post_audit.capacity WHERE channel = 'sms'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    marketplace.nearly_full(connection)
    document = product.json("run")
    proposal = next(step["decision"] for step in document["steps"] if step["step"] == "infrastructure")
    assert proposal["state"] == "proposed"
    approved = product.json("approve", str(proposal["id"]))
    assert (approved["state"], quota()) == ("applied", 30_000)
    undone = product.json("undo", str(proposal["id"]))
    assert (undone["undoes"], undone["state"], quota()) == (proposal["id"], "applied", 20_000)
    assert product.json("arm", "infrastructure")["mode"] == "act"
    held = product.json("step", "infrastructure")["steps"][0]["decision"]
    assert (held["outcome"], quota()) == ("blocked", 20_000)
    listed = product.json("decisions", "--step", "infrastructure")["decisions"]
    assert [decision["id"] for decision in listed] == sorted((d["id"] for d in listed), reverse=True)
    assert product.json("decisions", str(proposal["id"]))["state"] == "undone"
    assert product.json("status")["modes"]["infrastructure"] == "act"


def test_json_is_one_document_and_the_log_has_a_line_for_each_step(product: Product) -> None:
    document = product.json("run")
    steps = [step["step"] for step in document["steps"]]
    logged = [
        event["step"] for event in product.events() if event["event"] in {"step.decided", "step.failed"}
    ]
    assert logged == steps
    assert {"as_of", "marketplace", "state", "database", "run_id"} <= document.keys()


def test_one_broken_step_leaves_the_others_and_ends_with_1(
    product: Product, connection: psycopg.Connection
) -> None:
    connection.execute("DROP FUNCTION public.post_audit_read_infrastructure")
    ended = product.run("run")
    assert ended.returncode == 1
    assert "post_audit_read_infrastructure" in ended.stdout
    assert "post-audit migrate" in ended.stdout
    events = {event["step"]: event for event in product.events() if event["event"].startswith("step.")}
    assert events["infrastructure"]["event"] == "step.failed"
    assert events["infrastructure"]["code"] == "FunctionMissing"
    others = {name: event["event"] for name, event in events.items() if name != "infrastructure"}
    assert set(others.values()) == {"step.decided"}


def test_two_at_once_make_one_run(product: Product, connection: psycopg.Connection) -> None:
    marketplace.nearly_full(connection)
    marketplace.arm_all(connection)
    both = [product.start("run", "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    runs = {json.loads(out)["run_id"] for out, _ in outputs}
    decided = connection.execute(
        "SELECT count(*) FROM post_audit.decisions WHERE step = 'infrastructure' AND state = 'applied'"
    ).fetchone()
    assert decided == (1,)
    # they either met (one run) or came one after the other (the second found nothing to do)
    assert len(runs) in {1, 2}


def test_the_known_script_runs_from_the_backend_folder(product: Product) -> None:
    """The command as users know it, word for word, with whatever Python `python` is."""
    ended = subprocess.run(
        ["sh", "-c", "cd backend && python scripts/run_post_audit_protocol.py"],
        cwd=BACKEND.parent,
        env=product.environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Run 1 · as of ")
    assert [event["event"] for event in product.events()] == ["step.decided"] * 6 + ["run.ended"]


def test_the_log_file_is_added_to_so_that_it_can_be_followed(product: Product) -> None:
    assert product.run("run").returncode == 0
    former, inode = product.log.read_bytes(), product.log.stat().st_ino
    assert product.run("run").returncode == 0
    now = product.log.read_bytes()
    assert product.log.stat().st_ino == inode
    assert now.startswith(former)
    assert len(now) > len(former)
    assert all({"event", "level", "timestamp"} <= event.keys() for event in product.events())


def test_the_known_class_has_its_methods(product: Product) -> None:
    program = (
        "from app.post_audit.protocol import PostAuditProtocol\n"
        "protocol = PostAuditProtocol()\n"
        "for method in ('monitor_conversions_ab', 'scale_infrastructure', 'clean_fake_data_task',"
        " 'prioritize_bugfixes', 'ensure_live_fomo', 'migrate_enhancements', 'run_full_protocol'):\n"
        "    print(method, getattr(protocol, method)()['state'])\n"
        "protocol.close()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=product.environment(),
        cwd=BACKEND,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[1] for line in ended.stdout.splitlines()] == ["completed"] * 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_schedule_runs_at_once_and_stops_cleanly(product: Product, number: signal.Signals) -> None:
    process = product.start("schedule", "--json")
    assert process.stdout is not None
    first = ""
    while not first.endswith("\n}\n"):
        first += process.stdout.readline()
    assert json.loads(first)["state"] == "completed"
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "schedule.stopped" in errors
