"""npm audit: one finding for each advisory (npm 6) or each vulnerable package (npm 7 and later).

A package is told once, with all its advisories, as `npm audit` itself counts. Packages that are vulnerable only
through another one are findings too: each has to be updated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.json_events import ANY, walk
from app.post_audit.steps.enhancements.lexicon import severity_of_word
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader
from app.post_audit.steps.enhancements.readers.values import items, text

__all__ = ["READER"]

_SURE = 95
_WANTED = (
    ("auditReportVersion",),
    ("vulnerabilities",),
    ("vulnerabilities", ANY),
    ("advisories",),
    ("advisories", ANY),
    ("metadata", "vulnerabilities"),
    ("error",),
    ("message",),
)


def _detect(head: Head) -> int:
    paths = head.paths
    is_second = ("auditReportVersion",) in paths and ("vulnerabilities",) in paths
    is_first = ("advisories",) in paths and (("metadata",) in paths or ("actions",) in paths)
    # What npm writes when it could not audit at all.
    is_failure = ("error", "summary") in paths and ("error", "code") in paths
    return _SURE if is_second or is_first or is_failure else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    declared: int | None = None
    packages = advisories = 0
    is_there = False
    for path, value in walk(stream, _WANTED, name=notes.name, policy=notes.policy):
        if len(path) == 1:
            is_there = is_there or path[0] in {"vulnerabilities", "advisories"}
            if path[0] == "error" and isinstance(value, dict):
                raise InputError(
                    f"{notes.name} holds no audit: npm says {str(value.get('summary') or value.get('code'))[:200]!r}.",
                    cure="Make npm audit work (it needs a package-lock.json), and import its report.",
                )
        elif path[0] == "metadata":
            declared = _declared(value)
        elif not isinstance(value, dict):
            notes.fail(f"$.{path[0]}.{path[1]}", "not an object")
        elif path[0] == "vulnerabilities":
            packages += 1
            yield _package(str(path[1]), value)
        else:
            advisories += 1
            yield _advisory(str(path[1]), value)
    if not is_there:
        notes.fail("$", "neither vulnerabilities nor advisories")
    # npm 6 declares paths to advisories, not advisories; only npm 7 declares what it lists.
    if declared is not None and packages != declared and not advisories:
        notes.fail(
            "$.metadata.vulnerabilities.total",
            f"declares {declared} vulnerable packages and lists {packages}",
        )


def _declared(metadata: Any) -> int | None:  # noqa: ANN401 - a JSON value
    total = metadata.get("total") if isinstance(metadata, dict) else None
    return total if isinstance(total, int) else None


def _package(name: str, entry: dict[str, Any]) -> Finding:
    via = items(entry.get("via"))
    advisories = [item for item in via if isinstance(item, dict)]
    through = [item for item in via if isinstance(item, str)]
    ids = sorted({_advisory_id(advisory) for advisory in advisories} - {""})
    if advisories:
        more = f" and {len(advisories) - 1} more" if len(advisories) > 1 else ""
        what = f"{text(advisories[0].get('title')) or 'known vulnerability'}{more}"
    else:
        what = f"vulnerable through {', '.join(through)}" if through else "known vulnerability"
    lines = [
        *(f"{text(a.get('title'))} ({text(a.get('severity'))}): {text(a.get('url'))}" for a in advisories),
        f"Vulnerable through: {', '.join(through)}." if through else "",
        f"Vulnerable versions: {text(entry.get('range'))}." if entry.get("range") else "",
        f"Installed at: {', '.join(text(node) for node in items(entry.get('nodes'))[:10])}."
        if entry.get("nodes")
        else "",
        "It is a direct dependency." if entry.get("isDirect") is True else "",
        _fix(entry.get("fixAvailable")),
    ]
    return make_finding(
        title=_titled(name, what),
        severity=severity_of_word(text(entry.get("severity"))) or "medium",
        description="\n".join(line for line in lines if line),
        category="dependencies",
        location=text(next(iter(items(entry.get("nodes"))), "")),
        component=name,
        rule=", ".join(ids),
        uid=f"npm:{name}",
    )


def _titled(name: str, what: str) -> str:
    """Put the package before what is wrong with it, unless that begins with it."""
    return what if what.casefold().startswith(name.casefold()) else f"{name}: {what}"


def _fix(available: Any) -> str:  # noqa: ANN401 - a JSON value
    if isinstance(available, dict):
        breaking = ", a breaking change" if available.get("isSemVerMajor") is True else ""
        return f"Fixed by {text(available.get('name'))} {text(available.get('version'))}{breaking}."
    return "A fix is available: npm audit fix." if available is True else "No fix is available."


def _advisory(key: str, entry: dict[str, Any]) -> Finding:
    name = text(entry.get("module_name")) or "unknown package"
    paths = [
        text(path)
        for found in items(entry.get("findings"))
        if isinstance(found, dict)
        for path in items(found.get("paths"))
    ]
    lines = [
        text(entry.get("overview")),
        f"Vulnerable versions: {text(entry.get('vulnerable_versions'))}.",
        f"Fixed in: {text(entry.get('patched_versions'))}.",
        f"Reached through {len(paths)} paths: {', '.join(paths[:10])}." if paths else "",
        text(entry.get("recommendation")),
        text(entry.get("url")),
    ]
    advisory = text(entry.get("id")) or key
    return make_finding(
        title=_titled(name, text(entry.get("title")) or "known vulnerability"),
        severity=severity_of_word(text(entry.get("severity"))) or "medium",
        description="\n".join(line for line in lines if line),
        category="dependencies",
        location=paths[0] if paths else "",
        component=name,
        rule=_advisory_id(entry) or f"npm-{advisory}",
        uid=f"npm:{name}:{advisory}",
    )


def _advisory_id(advisory: dict[str, Any]) -> str:
    """The last part of an advisory's address (GHSA-…), its CVE, or its number."""
    url = text(advisory.get("url"))
    last = url.rstrip("/").rpartition("/")[2]
    cves = items(advisory.get("cves"))
    return last if last.startswith("GHSA-") else text(next(iter(cves), "")) or text(advisory.get("source"))


READER = Reader(name="npm_audit", title="npm audit JSON", detect=_detect, read=_read)
