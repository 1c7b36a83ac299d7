"""The findings of a report as they are held: packed, about 200 bytes each, and unpacked one at a time.

As objects 100,000 of them take 75 MB, and the collector of garbage goes over them again and again; packed they take
20 MB. What findings share, such as rule, severity and the words that a rule adds to each, is kept once.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, overload

import numpy as np

from app.post_audit.steps.enhancements.finding import Finding, merge
from app.post_audit.steps.enhancements.fingerprint import digest_of, fingerprint_of

__all__ = ["FindingStore", "HeldFindings"]

_MOST_SHARED: Final = 10_000
"""Texts and traits that are kept once. A report whose findings share nothing would hold each of them twice."""
_DIGEST: Final = 32


class FindingStore:
    """Findings in the order in which they came."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._digests = bytearray()
        self._shared: dict[Any, int] = {}
        self._values: list[Any] = []
        self._seen: set[bytes] = set()
        self._counted = 0

    def __len__(self) -> int:
        return len(self._packed)

    def add(self, finding: Finding) -> None:
        """Take one in."""
        title, description = finding.title, finding.description
        # most descriptions begin with what is the title too, and go on with what the rule says
        is_longer = description.startswith(title)
        traits = (
            finding.severity,
            finding.priority,
            finding.status,
            finding.disposition,
            finding.category,
            finding.component,
            finding.rule,
            finding.occurrences,
            finding.estimated_hours,
            is_longer,
        )
        self._packed.append(
            marshal.dumps(
                (
                    title,
                    self._share(description[len(title) :] if is_longer else description),
                    finding.location,
                    finding.line,
                    self._share(traits),
                )
            )
        )
        self._digests += digest_of(finding.fingerprint)

    def get(self, index: int) -> Finding:
        """Unpack one."""
        title, text, location, line, traits = marshal.loads(self._packed[index])  # noqa: S302 - packed above
        if isinstance(text, int):
            text = self._values[text]
        if isinstance(traits, int):
            traits = self._values[traits]
        severity, priority, status, disposition, category, component, rule, occurrences, hours, is_longer = (
            traits
        )
        return Finding(
            title=title,
            description=title + text if is_longer else text,
            severity=severity,
            priority=priority,
            status=status,
            disposition=disposition,
            category=category,
            location=location,
            component=component,
            rule=rule,
            line=line,
            occurrences=occurrences,
            estimated_hours=hours,
            fingerprint=fingerprint_of(bytes(self._digests[index * _DIGEST : (index + 1) * _DIGEST])),
        )

    def count_different(self) -> int:
        """Count the fingerprints; only those that came since the last time are looked at."""
        for place in range(self._counted, len(self._packed)):
            self._seen.add(bytes(self._digests[place * _DIGEST : (place + 1) * _DIGEST]))
        self._counted = len(self._packed)
        return len(self._seen)

    def all_and_different(self) -> tuple[HeldFindings, HeldFindings]:
        """List all findings as they came, and those of one fingerprint merged, in the order of fingerprints."""
        number = len(self._packed)
        words = np.frombuffer(bytes(self._digests), dtype=">u8").reshape(number, _DIGEST // 8)
        order = np.lexsort(words.T[::-1])
        ordered = words[order]
        is_first = np.ones(number, dtype=bool)
        is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        starts = np.flatnonzero(is_first)
        sizes = np.diff(starts, append=number)
        chosen = order[starts].astype(np.uint32)
        for group in np.flatnonzero(sizes > 1):
            start = starts[group]
            (merged,) = merge(self.get(int(index)) for index in order[start : start + sizes[group]])
            chosen[group] = len(self._packed)
            self.add(merged)
        return HeldFindings(self, np.arange(number, dtype=np.uint32)), HeldFindings(self, chosen)

    def _share(self, value: Any) -> Any:  # noqa: ANN401 - a text or a tuple
        """Give the number under which a value is kept once, or the value where too many are."""
        number = self._shared.get(value)
        if number is not None:
            return number
        if len(self._values) >= _MOST_SHARED:
            return value
        self._shared[value] = len(self._values)
        self._values.append(value)
        return len(self._values) - 1


class HeldFindings(Sequence[Finding]):
    """Some findings of a store, in an order; each is made when it is asked for."""

    __slots__ = ("_indices", "_store")
    __hash__ = None  # type: ignore[assignment]  # equal to any sequence of the same findings, a list too

    def __init__(self, store: FindingStore, indices: np.ndarray) -> None:
        """`indices` are places in the store."""
        self._store = store
        self._indices = indices

    @overload
    def __getitem__(self, place: int) -> Finding: ...
    @overload
    def __getitem__(self, place: slice) -> HeldFindings: ...
    def __getitem__(self, place: int | slice) -> Finding | HeldFindings:
        """Give one finding, or a part of them."""
        if isinstance(place, slice):
            return HeldFindings(self._store, self._indices[place])
        return self._store.get(int(self._indices[place]))

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[Finding]:
        return map(self._store.get, self._indices.tolist())

    def __eq__(self, other: object) -> bool:
        """Whether the other is a sequence of the same findings."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    def __repr__(self) -> str:
        """Show the first three."""
        shown = ", ".join(repr(finding) for finding in islice(self, 3))
        return f"<{len(self)} findings: {shown}{', …' if len(self) > 3 else ''}>"  # noqa: PLR2004 - as shown above
