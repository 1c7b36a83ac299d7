"""`make faults`: kills and restarts at random over continuous runs, and what has come of them, in figures.

    python -m tests.faults.campaign --kills 500 --restarts 50

Three workers and two schedules serve a marketplace that always asks for something. Whoever owns a run is killed
inside its steps, others at any moment; PostgreSQL is killed with -9; transactions are stuck; people run by hand, two
at once; leases are written as by a clock two hours off. At the end every run has to have ended, no effect to be lost,
none doubled. Before that, ticks alone: each is one run, never two at once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg

from app.post_audit.db.embedded import EmbeddedServer, ServerHandle
from app.post_audit.db.migrate import migrate
from app.post_audit.engine import install
from tests.support import marketplace
from tests.support.bazaar import Bazaar, Ledger
from tests.support.fleet import STEPS, Fleet, harm, settle, told
from tests.support.product import until
from tests.support.receiver import SECRET, Kind, Receiver
from tests.support.telegram import CHAT, TOKEN, BotApi

__all__ = ["Options", "Outcome", "campaign"]

_WORKERS: Final = 3
_LEASE_SECONDS: Final = 5
_SCHEDULES: Final = ("schedule-1", "schedule-2")
_SERVING_SECONDS: Final = 10
_REST_SECONDS: Final = 600
_COALESCED: Final = (
    "SELECT count(*) FROM absurd.t_post_audit WHERE completed_payload ->> 'state' = 'coalesced'"
)
# The first tick is asked for in the middle of it.
_SLOWEST_TICK: Final = """
SELECT coalesce(max(extract(epoch FROM r.finished_at - (t.params ->> 'slot')::timestamptz)), 0)
FROM post_audit.runs AS r JOIN absurd.t_post_audit AS t ON t.idempotency_key = r.tick
WHERE t.params ->> 'kind' = 'schedule' AND r.id > (SELECT min(f.id) FROM post_audit.runs AS f)
"""
# Most kills are aimed at the owner of a run that goes on; a run that was resumed so often is left alone.
_AIMED: Final = 0.85
_AIM_SECONDS: Final = 2.5
_KILLS_OF_ONE_RUN: Final = 5
_BAD_ANSWERS: Final[tuple[Kind, ...]] = (
    "500",
    "429",
    "silence",
    "drip headers",
    "drip body",
    "drop after applying",
    "accept and forget",
    "other version",
    "cut",
)
# A step that waits for a lock is given up after 4 s; this is shorter and longer.
_STUCK_SECONDS: Final = (0.5, 5.0)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much is broken. Ends early, and says so, when the minutes are over."""

    kills: int
    restarts: int
    stuck: int = 0
    clocks: int = 0
    by_hand: int = 0
    deliveries: int = 0
    """How often a receiver misbehaves; without, messages are shown in the log."""
    tick_seconds: float = 1.0
    ticks: int = 0
    ticks_at: float = 2.0
    minutes: float = 45.0
    seed: int = 20_251_109


@dataclass(kw_only=True)
class Outcome:
    """The figures."""

    seconds: float = 0.0
    kills: int = 0
    kills_by_place: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    slowest_restart_seconds: float = 0.0
    stuck_transactions: int = 0
    clocks_moved: int = 0
    runs_by_hand: int = 0
    ticks_asked: int = 0
    runs_of_those_ticks: int = 0
    ticks_that_fell_together: int = 0
    tick_seconds: float = 0.0
    slowest_tick_seconds: float = 0.0
    """From the begin of a tick to the end of its run."""
    runs: int = 0
    completed: int = 0
    failed_with_a_reason: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    resumed_runs: int = 0
    most_owners_of_a_run: int = 0
    ticks_coalesced: int = 0
    switches: int = 0
    scalings: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    bad_answers: dict[str, int] = field(default_factory=dict)
    requests_at_receivers: int = 0
    repeats_with_the_same_id: int = 0
    applied_at_receivers: int = 0
    alerts_shown: int = 0
    receivers_behind: int = 0
    lost_effects: int = 0
    doubled_effects: int = 0
    acknowledged_rows: int = 0
    lost_rows: int = 0
    harm: dict[str, int] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether everything held."""
        return (
            self.completed > 0
            and not any(self.harm.values())
            and self.lost_effects == self.doubled_effects == self.lost_rows == 0
            and self.slowest_restart_seconds < _SERVING_SECONDS
            and self.ticks_asked == self.runs_of_those_ticks + self.ticks_that_fell_together
            # ticks fall together only where a run ended after its tick, which a busy machine may bring about
            and (not self.ticks_that_fell_together or self.slowest_tick_seconds > self.tick_seconds)
            and self.receivers_behind == 0
        )


class _Receivers:
    """n8n twice and Telegram, as they are when they are well; and what they get to do wrong."""

    def __init__(self, stack: ExitStack) -> None:
        self.scale, self.variant = (stack.enter_context(Receiver()) for _ in range(2))
        self.telegram = stack.enter_context(BotApi())
        self.settings: Final = {
            "N8N_WEBHOOK_SCALE": self.scale.url,
            "N8N_WEBHOOK_AB_UPDATE": self.variant.url,
            "POST_AUDIT_N8N_SIGNING_SECRET": SECRET,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": CHAT,
            "POST_AUDIT_TELEGRAM_API": self.telegram.url,
        }

    def misbehave(self, chance: random.Random) -> str:
        """Let the next request of one of them go wrong; how."""
        match chance.randrange(3):
            case 0:
                self.telegram.asks.append(3)
                return "Telegram 429"
            case 1:
                self.telegram.faults.append(chance.choice((0, 500)))
                return "Telegram 500 or cut"
            case _:
                kind = chance.choice(_BAD_ANSWERS)
                chance.choice((self.scale, self.variant)).faults.append(kind)
                return kind

    def well(self) -> None:
        """Nothing goes wrong any more."""
        for faults in (self.scale.faults, self.variant.faults, self.telegram.asks, self.telegram.faults):
            faults.clear()

    def judge(self, looking: psycopg.Connection, outcome: Outcome) -> None:
        """Compare what they have with what the outbox says of them."""
        ids = Counter(
            request.headers["webhook-id"] for one in (self.scale, self.variant) for request in one.requests
        )
        outcome.requests_at_receivers = ids.total()
        outcome.repeats_with_the_same_id = ids.total() - len(ids)
        applied = [effect for one in (self.scale, self.variant) for effect in one.applied]
        outcome.applied_at_receivers = len(applied)
        outcome.doubled_effects += len(applied) - len(set(applied))
        outcome.alerts_shown = len(self.telegram.shown)
        in_force = {
            subject: told["version"]
            for one in (self.scale, self.variant)
            for subject, told in one.in_force.items()
        }
        newest = looking.execute(
            "SELECT subject, max(version) FROM post_audit.outbox WHERE channel LIKE 'n8n%' GROUP BY 1"
        ).fetchall()
        outcome.receivers_behind = sum(in_force.get(subject) != version for subject, version in newest)


class _Chaos:
    """Does the breaking."""

    def __init__(
        self,
        fleet: Fleet,
        server: _Server,
        receivers: _Receivers | None,
        chance: random.Random,
        outcome: Outcome,
    ) -> None:
        self._fleet, self._server, self._chance, self._outcome = fleet, server, chance, outcome
        self._receivers = receivers
        self._bad_answers: Counter[str] = Counter()
        self._places: Counter[str] = Counter()
        self._by_hand = 0

    def kill(self, looking: psycopg.Connection) -> None:
        """Kill the owner of a run inside one of its steps, or anybody at any moment; start it anew."""
        name, place = None, "at any moment"
        if self._chance.random() < _AIMED:
            name, place = self._inside_a_step(looking)
        if name is None:
            name, place = self._chance.choice(list(self._fleet.processes)), "at any moment"
        arguments = self._fleet.processes[name].arguments
        self._fleet.kill(name)
        self._places[place] += 1
        self._outcome.kills += 1
        self._outcome.kills_by_place = dict(self._places)
        if arguments[0] != "run":
            self._fleet.start(name, *arguments)

    def _inside_a_step(self, looking: psycopg.Connection) -> tuple[str | None, str]:
        """Wait for a run to come to a step, a little into it; who owns it, and where it is."""
        wanted = self._chance.randrange(len(STEPS) + 1)
        deadline = time.monotonic() + _AIM_SECONDS
        while time.monotonic() < deadline:
            row = looking.execute(
                "SELECT r.owner, (SELECT count(*) FROM post_audit.step_runs AS s WHERE s.run_id = r.id)"
                " FROM post_audit.runs AS r WHERE r.state = 'running' AND r.token <= %s",
                (_KILLS_OF_ONE_RUN,),
            ).fetchone()
            name = self._fleet.name_of(row[0]) if row is not None and row[1] >= wanted else None
            if row is not None and name is not None:
                time.sleep(self._chance.uniform(0, 0.01))
                return name, STEPS[row[1]] if row[1] < len(STEPS) else "before its end"
        return None, ""

    def do(self, what: str, looking: psycopg.Connection) -> None:
        """One fault of the plan."""
        match what:
            case "kill":
                self.kill(looking)
            case "restart":
                looking.close()
                self.restart()
            case "stick":
                self.stick(looking)
            case "clock":
                self.move_clock(looking)
            case "delivery":
                self.misbehave()
            case _:
                self.run_by_hand()

    def restart(self) -> None:
        """Kill PostgreSQL and see how soon it serves again."""
        self._outcome.restarts += 1
        seconds = self._server.kill_and_serve()
        self._outcome.slowest_restart_seconds = max(self._outcome.slowest_restart_seconds, round(seconds, 2))

    def stick(self, looking: psycopg.Connection) -> None:
        """Let a transaction of somebody else hold what a step needs."""
        with psycopg.connect(self._server.conninfo) as stuck:
            stuck.execute(
                "SELECT 1 FROM post_audit.step_modes WHERE step = %s FOR UPDATE",
                (self._chance.choice(STEPS),),
            )
            ends = time.monotonic() + self._chance.choice(_STUCK_SECONDS)
            until(lambda: time.monotonic() > ends or _blocked(looking), "somebody waits for it")
            time.sleep(max(0.0, ends - time.monotonic()))
        self._outcome.stuck_transactions += 1

    def move_clock(self, looking: psycopg.Connection) -> None:
        """Write what is leased as a clock two hours off would have; that is the same as moving the clock."""
        hours = self._chance.choice((-2, 2))
        for statement in (
            "UPDATE post_audit.runs SET lease_expires_at = lease_expires_at + %s WHERE state = 'running'",
            "UPDATE absurd.r_post_audit SET claim_expires_at = claim_expires_at + %s WHERE state = 'running'",
        ):
            looking.execute(statement.encode(), (timedelta(hours=hours),))
        self._outcome.clocks_moved += 1

    def misbehave(self) -> None:
        """Let a receiver answer badly."""
        if self._receivers is not None:
            self._bad_answers[self._receivers.misbehave(self._chance)] += 1
            self._outcome.bad_answers = dict(self._bad_answers)

    def run_by_hand(self) -> None:
        """Two people, at the same moment."""
        for _ in range(2):
            self._by_hand += 1
            self._fleet.start(f"person-{self._by_hand}", "run")
            self._outcome.runs_by_hand += 1

    def reap(self) -> None:
        """Forget people whose runs have ended, and start again what ended by itself, as a service manager does."""
        for name, process in list(self._fleet.processes.items()):
            if process.has_ended:
                del self._fleet.processes[name]
                if process.arguments[0] != "run":
                    self._fleet.start(name, *process.arguments)


class _Server:
    """A PostgreSQL server that is killed and comes back at the same address."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedServer(folder)
        self._folder = folder
        self._handle: ServerHandle = self._server.acquire()
        self.conninfo: Final = self._handle.conninfo

    def kill_and_serve(self) -> float:
        """`kill -9` of the postmaster; seconds until a connection is answered again."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            folder = marketplace.one(connection, "SHOW data_directory")
        postmaster = int((Path(folder) / "postmaster.pid").read_text(encoding="ascii").split()[0])
        os.kill(postmaster, signal.SIGKILL)
        started = time.monotonic()
        former, self._handle = self._handle, self._server.acquire()
        former.close()
        with psycopg.connect(self.conninfo) as connection:
            connection.execute("SELECT 1")
        return time.monotonic() - started

    def close(self) -> None:
        """Stop it and remove its data."""
        self._handle.close()
        self._server.destroy()


@contextmanager
def _opened(folder: Path) -> Iterator[_Server]:
    server = _Server(folder / ".post_audit")
    try:
        migrate(server.conninfo)
        install(server.conninfo)
        Bazaar.open(server.conninfo)
        yield server
    finally:
        server.close()


def _blocked(looking: psycopg.Connection) -> bool:
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity AS a"
        " WHERE a.wait_event_type = 'Lock' AND a.datname = current_database())"
    )
    return bool(marketplace.one(looking, query))


def _plan(options: Options, chance: random.Random) -> list[str]:
    plan = (
        ["kill"] * options.kills
        + ["restart"] * options.restarts
        + ["stick"] * options.stuck
        + ["clock"] * options.clocks
        + ["hand"] * options.by_hand
        + ["delivery"] * options.deliveries
    )
    chance.shuffle(plan)
    return plan


def _break(plan: list[str], chaos: _Chaos, server: _Server, ends: float, *, says: bool) -> None:
    looking: psycopg.Connection | None = None
    for done, what in enumerate(plan):
        if time.monotonic() > ends:
            break
        chaos.reap()
        try:
            if looking is None or looking.closed:
                looking = psycopg.connect(server.conninfo, autocommit=True)
            chaos.do(what, looking)
        except psycopg.OperationalError:
            looking = None
        if says and done % 25 == 0:
            _say(f"{done} of {len(plan)} faults")
    if looking is not None:
        looking.close()


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def _judge(bazaar: Bazaar, looking: psycopg.Connection, outcome: Outcome) -> None:
    runs, ledger = told(looking), Ledger(looking)
    outcome.runs, outcome.completed, outcome.failed_with_a_reason = runs.runs, runs.completed, runs.failed
    outcome.harm = harm(looking) | {"runs left": runs.running}
    outcome.resumed_runs, outcome.most_owners_of_a_run = looking.execute(
        "SELECT count(*) FILTER (WHERE token > 1), max(token) FROM post_audit.runs"
    ).fetchone() or (0, 0)
    outcome.failures = dict(
        looking.execute(
            "SELECT s.step || ': ' || (s.error ->> 'code'), count(*) FROM post_audit.step_runs AS s"
            " WHERE s.state = 'failed' GROUP BY 1"
        ).fetchall()
    )
    outcome.messages = dict(
        looking.execute(
            "SELECT channel || ' ' || state, count(*) FROM post_audit.outbox GROUP BY 1"
        ).fetchall()
    )
    outcome.ticks_coalesced = marketplace.one(looking, _COALESCED)
    outcome.scalings = ledger.made.get("capacity:sms", 0)
    outcome.switches = sum(made for subject, made in ledger.made.items() if subject.startswith("experiment:"))
    outcome.lost_effects, outcome.doubled_effects = ledger.lost, ledger.doubled
    outcome.acknowledged_rows, outcome.lost_rows = bazaar.acknowledged, bazaar.missing(looking)


def _tick(fleet: Fleet, server: _Server, options: Options, outcome: Outcome) -> None:
    """So many ticks of runs that are shorter than a tick: exactly so many runs."""
    asked = "SELECT count(*) FROM absurd.t_post_audit WHERE params ->> 'kind' = 'schedule'"
    with psycopg.connect(server.conninfo, autocommit=True) as looking:
        for schedule in _SCHEDULES:
            fleet.ticks(options.ticks_at, schedule)
        until(
            lambda: int(marketplace.one(looking, asked)) >= options.ticks,
            "the ticks have passed",
            seconds=options.ticks * options.ticks_at * 2 + 60,
        )
        for schedule in _SCHEDULES:
            fleet.stop(schedule)
        settle(looking)
        outcome.ticks_asked = marketplace.one(looking, asked)
        outcome.runs_of_those_ticks = told(looking).completed
        outcome.ticks_that_fell_together = marketplace.one(looking, _COALESCED)
        outcome.tick_seconds = options.ticks_at
        outcome.slowest_tick_seconds = round(float(marketplace.one(looking, _SLOWEST_TICK)), 2)


def campaign(options: Options, folder: Path, *, says: bool = False) -> Outcome:
    """Break what the options ask for, let the fleet come to rest, and count."""
    started, outcome, chance = time.monotonic(), Outcome(), random.Random(options.seed)
    ends = started + options.minutes * 60
    with _opened(folder) as server, Bazaar(server.conninfo) as bazaar, ExitStack() as stack:
        settings = {"DATABASE_URL": server.conninfo, "POST_AUDIT_LEASE_SECONDS": str(_LEASE_SECONDS)}
        receivers = _Receivers(stack) if options.deliveries else None
        if receivers is not None:
            settings |= receivers.settings
        (folder / "fleet").mkdir()
        with Fleet(folder / "fleet", settings, server.conninfo) as fleet:
            fleet.workers(_WORKERS)
            if options.ticks:
                _tick(fleet, server, options, outcome)
            for schedule in _SCHEDULES:
                fleet.ticks(options.tick_seconds, schedule)
            chaos = _Chaos(fleet, server, receivers, chance, outcome)
            _break(_plan(options, chance), chaos, server, ends, says=says)
            bazaar.close()
            chaos.reap()
            if receivers is not None:
                receivers.well()
            for schedule in _SCHEDULES:
                fleet.kill(schedule)
            with psycopg.connect(server.conninfo, autocommit=True) as looking:
                # What is still claimed by somebody who was killed while sending is due again after a minute, what
                # was answered badly after some, and a chat gets one message a second
                with suppress(AssertionError):
                    settle(looking, seconds=_REST_SECONDS)
                outcome.seconds = round(time.monotonic() - started, 1)
                _judge(bazaar, looking, outcome)
                if receivers is not None:
                    receivers.judge(looking, outcome)
    return outcome


def main() -> int:
    """Run a campaign and print its figures; 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--stuck", type=int, default=20)
    parser.add_argument("--clocks", type=int, default=20)
    parser.add_argument("--by-hand", type=int, default=20)
    parser.add_argument("--deliveries", type=int, default=60)
    parser.add_argument("--ticks", type=int, default=100)
    parser.add_argument("--ticks-at", type=float, default=2.0)
    parser.add_argument("--tick-seconds", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=42.0)
    parser.add_argument("--seed", type=int, default=20_251_109)
    parser.add_argument("--json", action="store_true")
    given = vars(parser.parse_args())
    as_json = given.pop("json")
    options = Options(**given)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        outcome = campaign(options, folder, says=not as_json)
    document = {"is_well": outcome.is_well, "wanted": asdict(options), **asdict(outcome)}
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        for what, value in document.items():
            sys.stdout.write(f"{what.replace('_', ' '):<28}{value}\n")
    return 0 if outcome.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
