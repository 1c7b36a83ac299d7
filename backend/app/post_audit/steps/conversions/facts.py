"""What the step `conversions` knows of the marketplace: running experiments, their counts by hour, and holds.

Filled by `public.post_audit_read_conversions`. A unit is a supplier, and only its first invite of an
experiment counts. A supplier is mature when the attribution window of that invite is over: from then on its
outcome can not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

__all__ = [
    "ALL_BASIS_POINTS",
    "BLOCK_LENGTH",
    "Block",
    "Count",
    "Counting",
    "Counts",
    "Experiment",
    "Facts",
    "Hold",
    "Variant",
]

Count = Annotated[int, Field(ge=0)]
BLOCK_LENGTH = timedelta(hours=1)

ALL_BASIS_POINTS: Final = 10_000
"""All invites: shares are given in basis points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One message that may be sent; `cost_paise` is what a conversion costs, where it is known."""

    id: str
    label: str
    message: str = ""
    cost_paise: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Mature suppliers of one variant in one block, how many converted, opted out, or could not be reached."""

    units: Count
    converted: Count
    opt_outs: Count = 0
    failed: Count = 0

    def __post_init__(self) -> None:
        """Refuse more conversions, opt-outs or failures than suppliers."""
        for what in ("converted", "opt_outs", "failed"):
            if (number := getattr(self, what)) > self.units:
                raise ValueError(f"{number} {what} of only {self.units}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Suppliers who were first invited in one hour under one allocation, and so may be compared.

    `hour` is its start (UTC), `epoch` the number of the allocation, `counts` go by variant.
    """

    hour: AwareDatetime
    epoch: int
    counts: Mapping[str, Counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How far a count is: suppliers `counted`, of `invites` as the planner of the database estimates them."""

    counted: Count
    invites: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One running experiment, with every mature block and the number of immature suppliers by variant.

    `last_invite_at` is when a supplier was last invited for the first time; None while nobody was.

    `assigned` counts all suppliers, immature ones too, by epoch and variant, and `epoch_allocations` says how
    they should have been shared (basis points); an epoch whose shares are not known is not tested.
    `exposed_to_several` suppliers got more than one variant. `claim_hours` is, by variant, how many hours
    after the invite 99 % of all its verified claims had come, those after the window too. Evidence starts with
    the epoch `judged_from_epoch`: after a winner was reverted, what spoke for it before is over.
    `own_window_hours` is the window the experiment itself sets, None where the policy's counts. `blocks` begin with
    `remembered_until`; `memory` holds what is remembered of those before (`ledger`), None where all are told.
    `revision` grows when any of them changes. While `counting`, all counts are of a part of the suppliers only.
    """

    id: int | str
    name: str
    active_variant: str | None
    winner: str | None
    variants: tuple[Variant, ...]
    allocation_basis_points: Mapping[str, int]
    allocation_epoch: int
    version: int
    attribution_window_hours: Annotated[int, Field(ge=1)]
    started_at: AwareDatetime | None
    last_invite_at: AwareDatetime | None
    blocks: tuple[Block, ...]
    immature: Mapping[str, Count]
    assigned: Mapping[int, Mapping[str, Count]] = field(default_factory=dict)
    epoch_allocations: Mapping[int, Mapping[str, Count]] = field(default_factory=dict)
    exposed_to_several: Count = 0
    claim_hours: Mapping[str, float] = field(default_factory=dict)
    judged_from_epoch: int = 1
    own_window_hours: int | None = None
    revision: int = 0
    memory: object = None
    remembered_until: AwareDatetime | None = None
    counting: Counting | None = None

    def __post_init__(self) -> None:
        """Refuse two variants of one name: their counts could not be told apart."""
        if len({variant.id for variant in self.variants}) < len(self.variants):
            raise ValueError("two variants have the same id")

    @property
    def subject(self) -> str:
        """The name under which decisions speak of this experiment."""
        return f"experiment:{self.id}"

    def variant(self, identifier: str | None) -> Variant | None:
        """Find the variant of that id, or None where the experiment has none."""
        return next((variant for variant in self.variants if variant.id == identifier), None)

    def closed_blocks(self, as_of: datetime) -> tuple[Block, ...]:
        """Give the blocks that will never change again, oldest first.

        The hour that is just maturing still grows. Its mature part is counted in the rates, but evidence that
        may be looked at any time needs blocks whose size does not hang on the moment of the look.
        """
        newest = as_of - timedelta(hours=self.attribution_window_hours) - BLOCK_LENGTH
        first = self.judged_from_epoch
        closed = (block for block in self.blocks if block.hour <= newest and block.epoch >= first)
        return tuple(sorted(closed, key=lambda block: (block.hour, block.epoch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A change that a person took back or declined; `undone` is what it wanted. It rests `until` then."""

    subject: str
    undone: Mapping[str, object]
    until: AwareDatetime
    decision_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything the step decides on, as it stood at `as_of` (UTC)."""

    as_of: AwareDatetime
    experiments: tuple[Experiment, ...]
    holds: tuple[Hold, ...]
