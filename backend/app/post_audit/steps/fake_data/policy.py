"""When a supplier goes into quarantine, when a person is asked, which names and addresses are reserved."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["FakeDataPolicy"]

_WORD = r"(?:mock|test|testing|demo|dummy|sample|fake|placeholder|example)"
_ROLE = (
    r"(?:supplier|vendor|seller|company|manufacturer|distributor|wholesaler|exporter|merchant"
    r"|firm|business|organi[sz]ation|account|user)"
)
_BREAK = r"[\W_]*"
_COUNTER = r"(?:no\.?|number)?[\W_]*\d{1,9}"
_LEGAL = r"(?:[\W_]*(?:pvt|private|ltd|limited|llp|inc|co))*[\W_]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDataPolicy:
    """Thresholds and reserved conventions of step `fake_data`. Patterns match the whole text, in any case."""

    families_to_quarantine: int = 2
    """Independent strong families from which a supplier is quarantined. With one, 30 of 3,644 real rows were
    hit; with two none (measured on public supplier lists and generators)."""

    weak_families_to_review: int = 2
    """Weak families (an impossible phone, a city in the wrong state) that together ask a person to look. One
    alone is 1.3 to 1.6 % of real rows: typing slips and spreadsheets."""

    approval_share: Decimal = Decimal("0.01")
    """Share of all suppliers above which a person has to agree to the quarantine of any."""

    approval_rows: int = 500
    """Suppliers in one decision above which a person has to agree."""

    reviews_listed: int = 200
    """Suppliers to be reviewed that a decision lists; it counts them all."""

    page_rows: int = 5_000
    """Rows read in one call."""

    numbered_names: tuple[str, ...] = (
        rf"{_WORD}{_BREAK}{_ROLE}{_BREAK}{_COUNTER}{_LEGAL}",
        rf"{_ROLE}{_BREAK}{_WORD}{_BREAK}{_COUNTER}{_LEGAL}",
        rf"{_ROLE}{_BREAK}{_COUNTER}{_LEGAL}",
        r"(?:mock|test|dummy|fake|placeholder)[\s_-]*\d{1,9}",
        r"lorem ipsum\b.*",
    )
    """Whole names as generators write them: a reserved word, what it stands for, a counter. Never a bare
    word: Test Valley, Demo Technologies and Testo are real."""

    placeholder_names: tuple[str, ...] = (rf"{_WORD}{_BREAK}{_ROLE}{_LEGAL}",)
    """The same without a counter: a weak sign."""

    reserved_ids: tuple[str, ...] = (
        rf"(?:{_WORD}|seed)[-_]?(?:{_ROLE}s?)?[-_:]\d{{1,9}}",
        rf"(?:{_WORD}|seed)[-_]{_ROLE}s?[-_:]?\w{{0,40}}",
    )
    """Text keys that seed scripts give (mock-supplier-12, seed_7). A number is never reserved."""

    reserved_domains: tuple[str, ...] = (
        "example.com",
        "example.net",
        "example.org",
        "example",
        "test",
        "invalid",
        "localhost",
    )
    """Domains that can belong to nobody, with all below them (RFC 2606, RFC 6761)."""

    def __post_init__(self) -> None:
        """Refuse a policy that would remove on one sign."""
        if self.families_to_quarantine < 2:  # noqa: PLR2004 - the number is the rule
            message = "quarantine needs at least two independent families"
            raise ValueError(message)
        if not 0 < self.approval_share <= 1 or self.approval_rows < 1 or self.page_rows < 1:
            message = "the share is above 0 and up to 1, the rows are at least 1"
            raise ValueError(message)
