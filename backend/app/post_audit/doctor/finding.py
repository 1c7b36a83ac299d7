"""What the doctor says of one thing it looked at, and of everything together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.post_audit.errors import PostAuditError
from app.post_audit.secrecy import redact
from app.post_audit.step import Number

__all__ = ["Area", "Examination", "Finding", "Level", "of_error"]

_CONFIGURATION: Final = 2


class Level(StrEnum):
    """How bad it is, from best to worst."""

    WELL = "well"
    """As it should be."""
    NOTE = "note"
    """Nothing is wrong; the reader may want to know, or wanted it so."""
    PROBLEM = "problem"
    """Something does not work or will not for long, though it was set up rightly."""
    MISCONFIGURED = "misconfigured"
    """A setting, an installation or a right is wrong; only a person can put it right."""

    @property
    def exit_code(self) -> int:
        """What a command ends with whose worst finding this is."""
        return {"problem": 1, "misconfigured": _CONFIGURATION}.get(self.value, 0)

    @property
    def rank(self) -> int:
        """0 for the best."""
        return list(Level).index(self)


class Area(StrEnum):
    """What a finding is about; they are told in this order."""

    SETTINGS = "settings"
    DATABASE = "database"
    ACCESS = "access"
    TABLES = "tables"
    RECEIVERS = "receivers"
    RUNS = "runs"
    STEPS = "steps"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    `name` is stable, for machines (`database.migration`); `text` a sentence with its number, `cure` what to do, empty
    where there is nothing to do.
    """

    area: Area
    name: str
    level: Level
    text: str
    cure: str = ""
    numbers: Mapping[str, Number] = field(default_factory=dict)


def of_error(area: Area, name: str, error: PostAuditError) -> Finding:
    """Tell an error as a finding: what belongs to exit code 2 is a misconfiguration, all else a problem."""
    level = Level.MISCONFIGURED if error.exit_code == _CONFIGURATION else Level.PROBLEM
    return Finding(area=area, name=name, level=level, text=redact(error.message), cure=redact(error.cure))


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """All findings of one look."""

    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Level:
        """The worst level among them."""
        return max(
            (finding.level for finding in self.findings), key=lambda level: level.rank, default=Level.WELL
        )

    @property
    def exit_code(self) -> int:
        """0 when nothing is wrong, 1 with a problem, 2 with a misconfiguration."""
        return self.worst.exit_code

    @property
    def counts(self) -> Mapping[Level, int]:
        """How many findings there are of each level."""
        found = Counter(finding.level for finding in self.findings)
        return {level: found[level] for level in Level}

    def ordered(self) -> tuple[Finding, ...]:
        """The findings by area, and within an area as they were found."""
        places = list(Area)
        return tuple(sorted(self.findings, key=lambda finding: places.index(finding.area)))

    def wrong(self) -> tuple[Finding, ...]:
        """What is a problem or a misconfiguration, the worst first."""
        bad = [finding for finding in self.ordered() if finding.level.exit_code]
        return tuple(sorted(bad, key=lambda finding: -finding.level.rank))
