"""A run that is killed anywhere is completed by the next one: nothing is lost, nothing done twice, nothing half."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.support import marketplace
from tests.support.product import Forked, Product, until

# Kills in every `make test` are those of test_campaign.py and test_durable_runs.py.
pytestmark = [pytest.mark.faults, pytest.mark.slow]

# A run that was killed so often is then left alone, and has to come to the same end as one that never was.
KILLS_OF_ONE_RUN: Final = 5
KILLS: Final = 30
STEPS: Final = 6

Wholeness = dict[str, tuple[int, ...]]

_SUPPLIERS: Final = """
WITH labelled AS (
  SELECT l.subject, split_part(l.subject, ':', 2)::bigint AS id
  FROM post_audit.demonstration_labels AS l WHERE l.kind = 'supplier'
)
SELECT l.subject,
  (SELECT count(*) FROM public.suppliers AS s WHERE s.id = l.id),
  (SELECT count(*) FROM public.invites_ab_test AS c WHERE c.supplier_id = l.id),
  (SELECT count(*) FROM public.invites_sent AS c WHERE c.supplier_id = l.id),
  (SELECT count(*) FROM public.claim_airdrop_log AS c WHERE c.supplier_id = l.id),
  (SELECT count(*) FROM post_audit.earnings_ledger AS c WHERE c.supplier_id = l.id),
  (SELECT count(*) FROM post_audit.opt_out_log AS c WHERE c.supplier_id = l.id),
  (SELECT count(*) FROM post_audit.quarantined_suppliers AS q WHERE q.subject = l.subject),
  (SELECT count(*) FROM post_audit.quarantined_suppliers AS q
    JOIN post_audit.quarantined_rows AS r ON r.quarantine_id = q.id WHERE q.subject = l.subject)
FROM labelled AS l ORDER BY 1
"""

_FINISHED: Final = "SELECT coalesce(bool_and(r.state <> 'running'), false) FROM post_audit.runs AS r"

_APPLYING: Final = """
SELECT count(*) FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.state = 'active' AND a.pid <> pg_backend_pid()
  AND (a.query LIKE '%post_audit_apply_decision%' OR a.query LIKE '%post_audit_apply_batch%')
"""

# Everything that would have to be there twice, or be left over, if a kill had done harm.
_HARM: Final = {
    "decisions twice": "SELECT count(*) - count(DISTINCT (d.run_id, d.step)) FROM post_audit.decisions AS d",
    "decisions half carried out": "SELECT count(*) FROM post_audit.decisions AS d WHERE d.state = 'applying'",
    "changes half carried out": "SELECT count(*) FROM post_audit.changes AS c WHERE c.state = 'pending'",
    "changes twice": "SELECT count(*) - count(DISTINCT c.subject) FROM post_audit.changes AS c"
    " WHERE c.state = 'applied'",
    "messages twice": "SELECT count(*) - count(DISTINCT (o.channel, o.subject, o.version)) FROM post_audit.outbox AS o",
    "tasks twice": "SELECT count(*) - count(DISTINCT (t.source, t.target, t.fingerprint))"
    " FROM public.enhancement_tasks AS t",
    "runs left": "SELECT count(*) FROM post_audit.runs AS r WHERE r.state = 'running'",
    "runs too many": "SELECT count(*) - 1 FROM post_audit.runs AS r",
}


def _wholeness(looking: psycopg.Connection) -> Wholeness:
    """For each supplier that something was planted in: its rows in every table, and those in quarantine."""
    return {subject: tuple(counts) for subject, *counts in looking.execute(_SUPPLIERS).fetchall()}


@dataclass(frozen=True)
class Uninterrupted:
    """What a run does when nobody kills it."""

    live: Wholeness
    settled: Wholeness
    outcome: dict[str, tuple[int, str]]
    seconds: float


@contextmanager
def _marketplace(folder: Path, server: str, template: str) -> Iterator[tuple[Product, psycopg.Connection]]:
    """A fresh demonstration with every step armed, and a report in the inbox."""
    copied = marketplace.copy_of(server, marketplace.demonstration_template(server, template))
    with copied as conninfo, psycopg.connect(conninfo, autocommit=True) as looking:
        product = Product(folder, {"DATABASE_URL": conninfo}, preloaded=True)
        inbox = folder / "audit-inbox"
        inbox.mkdir(parents=True)
        (inbox / "review.csv").write_text(
            "title,severity,file\n" + "".join(f"Finding {n},high,file{n}.ts\n" for n in range(40))
        )
        yield product, looking


def _uninterrupted(folder: Path, server: str, template: str) -> Uninterrupted:
    with _marketplace(folder, server, template) as (product, looking):
        live = _wholeness(looking)
        started = time.monotonic()
        document = product.json("run")
        seconds = time.monotonic() - started
        assert document["state"] == "completed", document
        assert {step["decision"]["state"] for step in document["steps"]} == {"applied"}
        return Uninterrupted(live, _wholeness(looking), marketplace.outcome(looking), seconds)


def _decided(product: Product) -> int:
    return sum(event["event"] == "step.decided" for event in product.events())


def _await_moment(
    chance: random.Random, seconds: float, product: Product, looking: psycopg.Connection, running: Forked
) -> None:
    """Wait for a moment of a run: any at all, or between two steps, or while the database carries something out."""
    before = _decided(product)
    match chance.choice(("any", "between", "applying", "applying")):
        case "between":
            wanted = before + chance.randint(1, max(1, STEPS - before))
            until(lambda: running.has_ended or _decided(product) >= wanted, "the next step has decided")
            after = chance.uniform(0, 0.03)
        case "applying":
            until(
                lambda: running.has_ended or bool(marketplace.one(looking, _APPLYING)),
                "the database carries a decision out",
            )
            after = chance.uniform(0, 0.2)
        case _:
            after = chance.uniform(0, seconds)
    running.process.join(after)


def test_kills_at_random_moments(tmp_path: Path, server: str, template: str) -> None:
    chance = random.Random(20_251_109)
    reference = _uninterrupted(tmp_path / "uninterrupted", server, template)
    killed = rounds = 0
    while killed < KILLS:
        rounds += 1
        assert rounds <= KILLS, "most runs end before they can be killed"
        with _marketplace(tmp_path / str(rounds), server, template) as (product, looking):
            for _ in range(min(KILLS_OF_ONE_RUN, KILLS - killed)):
                if marketplace.one(looking, _FINISHED):
                    break  # the kill came after the run's end
                running = product.fork("run")
                _await_moment(chance, reference.seconds, product, looking, running)
                if running.has_ended:
                    assert running.ended().returncode == 0, running.ended().stderr
                    continue
                running.kill()
                killed += 1
                now = _wholeness(looking)
                half = [
                    subject
                    for subject, counts in now.items()
                    if counts not in (reference.live[subject], reference.settled[subject])
                ]
                assert half == []
            if not marketplace.one(looking, _FINISHED):
                assert product.json("run")["state"] == "completed"
            # the commit of a run's end may still be under way when its process is gone: then there is a second run
            harm = {what: marketplace.one(looking, query) for what, query in _HARM.items()}
            extra = harm.pop("runs too many")
            assert harm == dict.fromkeys(harm, 0)
            assert extra in {0, 1}
            assert _wholeness(looking) == reference.settled
            different = _differences(marketplace.outcome(looking), reference.outcome)
            # a second run proposes again what waits, in the place of the first one's proposal
            assert different == (["post_audit.changes"] if extra else [])


def _differences(found: dict[str, tuple[int, str]], wanted: dict[str, tuple[int, str]]) -> list[str]:
    return [relation for relation, rows in wanted.items() if found[relation] != rows]
