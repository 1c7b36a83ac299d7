"""The database: which one it is, whether it is ours to use, who else may, and whether every role has a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from app.post_audit.doctor.facts import Access, Health, RoleBinding
from app.post_audit.doctor.finding import Area, Finding, Level
from app.post_audit.formats import count, duration

__all__ = ["check_access", "check_clock", "check_database", "check_tables"]

_OLDEST_SERVER: Final = 150_000  # PostgreSQL 15: views that ask for the rights of who reads them
_SHOWN: Final = 3
_NOTED_SECONDS: Final = 5.0
# n8n's workflows refuse what is five minutes off; a minute is far beyond what any time service leaves
_WRONG_SECONDS: Final = 60.0
_MEGABYTE: Final = 1_000_000


def check_database(health: Health, *, place: str, digest: str) -> Iterator[Finding]:
    """Judge server and migration; `digest` is that of this program's own migration."""
    if health.server_number < _OLDEST_SERVER:
        yield _wrong(
            "server", f"PostgreSQL {health.server} is too old for the protocol.", "Use PostgreSQL 15 to 18."
        )
    if health.is_standby or health.is_read_only:
        what = "is a standby" if health.is_standby else "takes no changes from this user"
        yield _wrong(
            "writable",
            f"The database {what}, so nothing can be recorded there.",
            "Name the primary in DATABASE_URL."
            if health.is_standby
            else "ALTER ROLE ... RESET default_transaction_read_only, or name another user.",
        )
    installed = (health.digest or "unknown")[:8]
    if health.digest != digest:
        yield _wrong(
            "migration",
            f"The database has migration {installed}, and this program belongs to {digest[:8]}.",
            "Apply the migration of this program: post-audit migrate",
        )
    if health.missing_functions:
        yield _wrong(
            "functions",
            f"{count(len(health.missing_functions))} of the migration's functions are gone: "
            f"{_some(health.missing_functions)}.",
            "Apply the migration again: post-audit migrate",
        )
    yield Finding(
        area=Area.DATABASE,
        name="database.reached",
        level=Level.WELL,
        text=f"{place} answers: PostgreSQL {health.server}, migration {installed}, "
        f"{count(round(health.database_bytes / _MEGABYTE))} MB.",
        numbers={"schema_version": health.schema_version, "bytes": health.database_bytes},
    )
    if health.is_demonstration:
        yield Finding(
            area=Area.DATABASE,
            name="database.demonstration",
            level=Level.NOTE,
            text="It holds the demonstration, an invented marketplace with a clock of its own; nothing is sent to "
            "anybody.",
            cure="Your own: set DATABASE_URL, or remove the demonstration: post-audit demo --remove",
        )


def check_clock(health: Health, *, here: datetime) -> Iterator[Finding]:
    """Compare the clocks; `here` is this machine's at the moment of the database's answer."""
    ahead = (here - health.now).total_seconds()
    told = f"This machine's clock is {duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the database's"
    if abs(ahead) < _NOTED_SECONDS:
        yield Finding(
            area=Area.MACHINE,
            name="machine.clock",
            level=Level.WELL,
            text="This machine's clock and the database's agree.",
            numbers={"ahead_seconds": round(ahead, 3)},
        )
        return
    is_wrong = abs(ahead) >= _WRONG_SECONDS
    yield Finding(
        area=Area.MACHINE,
        name="machine.clock",
        level=Level.PROBLEM if is_wrong else Level.NOTE,
        text=f"{told}; runs go by the database's, logs and sessions by this one.",
        cure="Let a time service set both clocks (timedatectl set-ntp true).",
        numbers={"ahead_seconds": round(ahead, 3)},
    )


def check_access(access: Access) -> Iterator[Finding]:
    """Judge who else may read or change what is ours."""
    if access.unsecured:
        yield Finding(
            area=Area.ACCESS,
            name="access.row_level_security",
            level=Level.PROBLEM,
            text=f"Row level security is off, or without a policy, on {count(len(access.unsecured))} of our tables: "
            f"{_some(access.unsecured)}.",
            cure="Apply the migration again, it switches it on: post-audit migrate",
            numbers={"tables": len(access.unsecured)},
        )
    if access.exposed:
        first = access.exposed[0]
        others = len(access.exposed) - 1
        more = f" and {count(others)} more" if others else ""
        kind = "FUNCTION " if "(" in first.name else ""
        yield Finding(
            area=Area.ACCESS,
            name="access.exposed",
            level=Level.PROBLEM,
            text=f"{_who(first.outsider)} may use {first.name}{more}, which is ours alone.",
            cure=f"REVOKE ALL ON {kind}{first.name} FROM {first.outsider}",
            numbers={"exposed": len(access.exposed)},
        )
    if access.readable:
        yield Finding(
            area=Area.ACCESS,
            name="access.readable",
            level=Level.NOTE,
            text=f"Opened for reading by its owner: {_some(access.readable)}.",
            cure="Leave it where your pages need it; else REVOKE SELECT.",
        )
    if not access.unsecured and not access.exposed:
        yield Finding(
            area=Area.ACCESS,
            name="access.closed",
            level=Level.WELL,
            text="Row level security is on, and nobody else may change our tables or call our functions.",
        )


def check_tables(roles: Sequence[RoleBinding], *, acts_as: str) -> Iterator[Finding]:
    """Judge whether every role has a table that we may use."""
    usable = 0
    for bound in roles:
        if not bound.is_bound or bound.relation is None:
            gone = (
                f"{bound.relation} is gone or has lost a column" if bound.relation else "its name was taken"
            )
            yield Finding(
                area=Area.TABLES,
                name=f"tables.{bound.role}",
                level=Level.MISCONFIGURED,
                text=f"The role {bound.role} has no table: {gone}.",
                cure=f"post-audit bind {bound.role} SCHEMA.TABLE",
            )
        elif bound.lacking:
            rights = ", ".join(sorted(bound.lacking))
            yield Finding(
                area=Area.TABLES,
                name=f"tables.{bound.role}",
                level=Level.MISCONFIGURED,
                text=f"The role {bound.role} cannot be used: {acts_as} lacks the right to {rights.lower()} on "
                f"{bound.relation}.",
                cure=f"GRANT {rights} ON {bound.relation} TO {acts_as}",
            )
        else:
            usable += 1
    yield Finding(
        area=Area.TABLES,
        name="tables.usable",
        level=Level.WELL,
        text=f"{count(usable)} of {count(len(roles))} roles have a table that may be used.",
        numbers={"usable": usable, "roles": len(roles)},
    )


def _wrong(name: str, text: str, cure: str) -> Finding:
    return Finding(
        area=Area.DATABASE, name=f"database.{name}", level=Level.MISCONFIGURED, text=text, cure=cure
    )


def _who(outsider: str) -> str:
    return "Everybody" if outsider == "public" else f"The public role {outsider}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {count(len(names) - _SHOWN)} more"
