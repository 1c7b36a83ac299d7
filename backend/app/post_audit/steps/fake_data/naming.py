"""The name or key: whether a template with a counter wrote it.

Only whole names count ("Mock Supplier 12", "Supplier_0042"). A reserved word inside a name says nothing: of
all suppliers that a rule on words found, about one in three was real.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from app.post_audit.steps.fake_data.signals import Evidence, Family, Weight

__all__ = ["naming_evidence"]

_SPACES: Final = re.compile(r"\s+")


def naming_evidence(key: str, name: str, policy: FakeDataPolicy) -> tuple[Evidence, ...]:
    """Say which template a name or a key follows."""
    found: list[Evidence] = []
    plain = _SPACES.sub(" ", name).strip()
    if _any_of(policy.numbered_names).fullmatch(plain):
        detail = f"The name {plain} is a placeholder with a counter."
        found.append(Evidence(family=Family.NAMING, signal="numbered_name", detail=detail))
    elif _any_of(policy.placeholder_names).fullmatch(plain):
        detail = f"The name {plain} says what it stands for and nothing else."
        found.append(
            Evidence(family=Family.NAMING, signal="placeholder_name", detail=detail, weight=Weight.WEAK)
        )
    if not key.isdigit() and _any_of(policy.reserved_ids).fullmatch(key):
        detail = f"The key {key} is one that seed scripts give."
        found.append(Evidence(family=Family.NAMING, signal="reserved_id", detail=detail))
    return tuple(found)


@lru_cache(maxsize=64)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Compile several patterns into one; an empty list matches nothing."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or r"(?!)", re.IGNORECASE)
