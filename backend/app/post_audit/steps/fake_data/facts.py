"""What step `fake_data` knows: all suppliers as columns, so that 100,000 of them are a few tuples.

Keys are text, whatever their type is in the database. `digest` is a hash of the whole row as it was read;
`claims` and `earnings` are numbers of rows that hang on the supplier. Moments are in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain

__all__ = ["FakeDataFacts", "FakeDataPage", "Supplier", "SupplierColumns"]

_Texts = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """What evidence is read from. `seed` names what agrees with a registered row: `name_email_phone`."""

    id: str = ""
    name: str = ""
    email: str = ""
    phone: str = ""
    website: str = ""
    city: str = ""
    state: str = ""
    gstin: str = ""
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplierColumns:
    """One tuple a column, all of one length, in the order of the keys."""

    id: tuple[str, ...] = ()
    name: _Texts = ()
    email: _Texts = ()
    phone: _Texts = ()
    website: _Texts = ()
    city: _Texts = ()
    state: _Texts = ()
    gstin: _Texts = ()
    seed: _Texts = ()
    digest: tuple[str, ...] = ()
    claims: tuple[int, ...] = ()
    earnings: tuple[int, ...] = ()
    claimed: tuple[bool, ...] = ()
    """Whether the supplier's own row says that somebody has claimed it."""
    held_until: tuple[datetime | None, ...] = ()
    """Until when a person wants this row, as it is, left where it is."""

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            message = f"columns of different lengths: {lengths}"
            raise ValueError(message)

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def joined(cls, parts: Iterable[SupplierColumns]) -> SupplierColumns:
        """Put pages together, in their order."""
        pages = tuple(parts)
        return cls(
            **{
                field.name: tuple(chain.from_iterable(getattr(page, field.name) for page in pages))
                for field in fields(cls)
            }
        )

    def suppliers(self) -> Iterator[Supplier]:
        """Give the suppliers one by one; what is missing is empty text."""
        columns = zip(
            self.id,
            self.name,
            self.email,
            self.phone,
            self.website,
            self.city,
            self.state,
            self.gstin,
            self.seed,
            strict=True,
        )
        for key, name, email, phone, website, city, state, gstin, seed in columns:
            yield Supplier(
                id=key,
                name=name or "",
                email=email or "",
                phone=phone or "",
                website=website or "",
                city=city or "",
                state=state or "",
                gstin=gstin or "",
                seed=seed or "",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDataPage:
    """One page as the database answers it; `next` is the key to go on from, None on the last page."""

    columns: SupplierColumns
    next: str | None
    obstacle: str
    seeds: int
    quarantined: int
    alerted: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDataFacts:
    """All suppliers at one moment.

    `obstacle` says why rows cannot be taken out and put back (the bound relation is a view), empty when
    they can; `seeds` counts registered seed rows, `quarantined` suppliers that are in quarantine already.
    `alerted` names the subjects that Telegram has been told of within a week.
    """

    as_of: datetime
    suppliers: SupplierColumns
    obstacle: str = ""
    seeds: int = 0
    quarantined: int = 0
    alerted: frozenset[str] = frozenset()
