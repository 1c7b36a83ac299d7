"""The look itself: settings first, then the database and the receivers side by side, each failing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from threading import Thread
from typing import Final

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migration_digest
from app.post_audit.db.place import find_database
from app.post_audit.doctor.configuration import Requirement, check_files, check_readable, check_together
from app.post_audit.doctor.database import check_access, check_clock, check_database, check_tables
from app.post_audit.doctor.facts import Health
from app.post_audit.doctor.finding import Area, Examination, Finding, Level, of_error
from app.post_audit.doctor.machine import check_machine
from app.post_audit.doctor.receivers import ask_receivers, missing_receivers
from app.post_audit.doctor.runs import check_messages, check_runs
from app.post_audit.doctor.steps import check_steps
from app.post_audit.errors import FunctionMissing, InvalidSetting, PostAuditError
from app.post_audit.ports import Database
from app.post_audit.secrecy import hide
from app.post_audit.settings import Settings, load_settings
from app.post_audit.step import parse_facts

__all__ = ["examine", "examine_running"]

# Together with the start of a command this stays under ten seconds, whatever the other side does.
_SECONDS: Final = 8.0

_Say = Callable[[str], None]


def examine(
    requirements: Sequence[Requirement] = (), *, online: bool = True, say: _Say = lambda _text: None
) -> Examination:
    """Look at everything; takes 8 s at most.

    `requirements` are what layers above make of the settings; without `online`, n8n and Telegram are not asked. `say`
    hears what is being looked at. Nothing is raised for what is wrong: it is a finding.
    """
    say("Reading the settings")
    findings = [*check_readable(), *check_files()]
    try:
        settings = load_settings()
    except InvalidSetting:
        # told of above; nothing else can be looked at without them
        return Examination(findings=tuple(findings))
    hide(settings.secrets())
    say("Asking the database, n8n and Telegram")
    database = _in_background(lambda: _database(settings))
    receivers = _in_background(lambda: ask_receivers(settings, datetime.now(UTC)) if online else [])
    findings += _of_settings(settings, requirements)
    findings += _awaited(database, Area.DATABASE, "The database")
    findings += _awaited(receivers, Area.RECEIVERS, "n8n or Telegram")
    return Examination(findings=tuple(findings))


def examine_running(
    database: Database, settings: Settings | None, *, asked: Iterable[Finding] = ()
) -> Examination:
    """Look from within a program that runs: at its own settings and database, in some milliseconds.

    `asked` is what n8n and Telegram answered when they were asked last (`ask_receivers`). Without settings only the
    database is looked at.
    """
    findings = [] if settings is None else [*check_files(), *_of_settings(settings, ())]
    try:
        findings += _judged(database)
    except PostAuditError as error:
        findings.append(of_error(Area.DATABASE, "database.reached", error))
    return Examination(findings=(*findings, *asked))


def _of_settings(settings: Settings, requirements: Sequence[Requirement]) -> list[Finding]:
    """What can be told from the settings and this machine alone."""
    is_embedded = settings.database_url is None and settings.supabase_url is None
    return [
        *check_together(settings, requirements),
        *missing_receivers(settings),
        *check_machine(settings, is_embedded=is_embedded),
    ]


def _database(settings: Settings) -> list[Finding]:
    """Reach the database that the settings name, and judge it. An embedded one is never made here."""
    if (
        settings.database_url is None
        and settings.supabase_url is None
        and settings.supabase_service_role_key is None
    ):
        try:
            is_made = EmbeddedServer(settings.data_directory).exists
        except PostAuditError as error:
            return [of_error(Area.DATABASE, "database.embedded", error)]
        if not is_made:
            return [
                Finding(
                    area=Area.DATABASE,
                    name="database.embedded",
                    level=Level.NOTE,
                    text="There is no database yet: the first run makes one of its own, with a demonstration in it.",
                    cure="post-audit run, or name yours in DATABASE_URL",
                )
            ]
    try:
        place = find_database(settings)
        with closing(place), closing(place.database()) as database:
            return [
                _at_home(finding) if place.server is not None else finding for finding in _judged(database)
            ]
    except PostAuditError as error:
        return [of_error(Area.DATABASE, "database.reached", error)]


def _at_home(finding: Finding) -> Finding:
    """Tell of the embedded database: an older migration in it is no fault, for every other command brings it up."""
    if finding.name == "database.migration":
        return replace(finding, level=Level.NOTE, cure="Nothing: the next command applies this program's.")
    return finding


def _judged(database: Database) -> Iterator[Finding]:
    try:
        answer = database.call("post_audit_read_health")
    except FunctionMissing:
        yield Finding(
            area=Area.DATABASE,
            name="database.migration",
            level=Level.MISCONFIGURED,
            text=f"{database.describe()} has an older migration than this program.",
            cure="Apply the migration of this program: post-audit migrate",
        )
        return
    here = datetime.now(UTC)
    health = parse_facts(Health, answer)
    yield from check_database(health, place=database.describe(), digest=migration_digest())
    yield from check_access(health.access)
    yield from check_tables(health.roles, acts_as=health.acts_as)
    yield from check_runs(health)
    yield from check_messages(health)
    yield from check_steps(health)
    yield from check_clock(health, here=here)


def _in_background(look: Callable[[], Iterable[Finding]]) -> Future[list[Finding]]:
    """Look in a thread that does not keep the process from ending."""
    found: Future[list[Finding]] = Future()

    def run() -> None:
        try:
            found.set_result(list(look()))
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            found.set_exception(error)

    Thread(target=run, name="doctor", daemon=True).start()
    return found


def _awaited(found: Future[list[Finding]], area: Area, who: str) -> list[Finding]:
    try:
        return found.result(_SECONDS)
    except TookTooLong:
        return [
            Finding(
                area=area,
                name=f"{area.value}.answer",
                level=Level.PROBLEM,
                text=f"{who} did not answer within {_SECONDS:g} s.",
                cure="See whether it is busy or the network drops what is sent; then look again.",
            )
        ]
