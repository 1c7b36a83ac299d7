"""What `/api/admin/ab-test/*` answers and takes; the keys mean the same as in the decision's numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.post_audit.web.shapes import Body, Open

__all__ = [
    "Allocation",
    "Bucket",
    "BucketVariant",
    "ComparisonNow",
    "CountingNow",
    "DataPoint",
    "Epoch",
    "Evidence",
    "EvidencePoint",
    "ExperimentDetail",
    "ExperimentHead",
    "Experiments",
    "Guardrail",
    "GuardrailVariant",
    "Made",
    "Past",
    "Sentence",
    "Sharing",
    "Stats",
    "StopBody",
    "SwitchBody",
    "VariantNow",
    "VariantStats",
]


class DataPoint(BaseModel):
    """One hour of one variant."""

    time: datetime
    conversion_rate: float
    sent: int
    converted: int


class VariantStats(Open):
    """One variant: the counts of the period asked for, and beside them those of the whole experiment."""

    variant: str
    total_sent: int
    total_converted: int
    conversion_rate: float | None
    data_points: list[DataPoint]


class Stats(Open):
    """The state of an experiment. While `counting`, the counts are of a part of its suppliers and nothing is judged."""

    counting: CountingNow | None = None
    stats: list[VariantStats]
    active_variant: str | None
    winner: str | None


class VariantNow(Open):
    """One variant: suppliers that can be judged (`units`), those too young (`immature`), and the rate.

    `interval` holds the true rate at every look at once; it and `rate` are null while nobody can be judged.
    """

    id: str
    label: str
    message: str
    cost_paise: int | None
    units: int
    converted: int
    rate: float | None
    interval: tuple[float, float] | None
    immature: int
    share_basis_points: int
    is_active: bool
    is_winner: bool


class Allocation(BaseModel):
    """How invites are shared now; `epoch` grows with each change. The holdout is null while nothing has won."""

    epoch: int
    basis_points: dict[str, int]
    holdout_basis_points: int | None


class Sentence(BaseModel):
    """One reason of the decision."""

    code: str
    text: str


class CountingNow(BaseModel):
    """How far a count is: suppliers `counted`, of about so many `invites`; the rest follows."""

    counted: int
    invites: int


class ExperimentHead(Open):
    """Where an experiment stands.

    `status_word` is for people: collecting, about N days left, ready to switch, switched, reverted, blocked: why.
    While `counting` is not null, invites are still being counted and every number is of a part of them only.
    `e_value` is the evidence that the leader beats its nearest rival; at `threshold` it is enough.
    """

    id: int | str
    name: str
    status: str
    status_word: str
    headline: str
    reasons: list[Sentence]
    next: str
    days_left: float | None
    projected_decision_at: datetime | None
    active_variant: str | None
    winner: str | None
    leader: str | None
    rival: str | None
    e_value: float | None
    threshold: float
    alpha: float
    minimum_units: int
    gained_conversions: float
    started_at: datetime | None
    last_invite_at: datetime | None
    window_hours: int
    counted_until: datetime
    counting: CountingNow | None
    as_of: datetime
    allocation: Allocation
    version: int
    variants: list[VariantNow]


class Experiments(Open):
    """Every running experiment."""

    as_of: datetime
    experiments: list[ExperimentHead]


class ComparisonNow(BaseModel):
    """Two variants against each other; an end of `ratio_interval` that is not bounded is null."""

    first: str
    second: str
    favours: str | None
    e_value: float
    ratio_interval: tuple[float, float | None]
    difference_interval: tuple[float, float]


class BucketVariant(BaseModel):
    """One variant in one bucket, and in all buckets up to its end, with the band of that total."""

    sent: int
    converted: int
    rate: float | None
    total_sent: int
    total_converted: int
    total_rate: float | None
    interval: tuple[float, float] | None


class Bucket(BaseModel):
    """All variants in one bucket, which ends at `time`."""

    time: datetime
    variants: dict[str, BucketVariant]


class EvidencePoint(BaseModel):
    """The e-value of leader against rival at the end of a bucket, and whom it spoke for."""

    time: datetime
    e_value: float
    favours: str | None


class Evidence(BaseModel):
    """The evidence over time."""

    leader: str | None
    rival: str | None
    e_value: float | None
    threshold: float
    history: list[EvidencePoint]


class Epoch(BaseModel):
    """One allocation: its shares (null where they are not known), who was assigned, and what came of them."""

    epoch: int
    is_present: bool
    is_judged: bool
    first_hour: datetime | None
    last_hour: datetime | None
    basis_points: dict[str, int] | None
    assigned: dict[str, int]
    units: dict[str, int]
    converted: dict[str, int]


class Sharing(BaseModel):
    """Whether suppliers were shared as they should have been: `kept`, `strayed`, or `unknown`."""

    status: str
    e_value: float
    threshold: float
    assigned: dict[str, int]
    due: dict[str, float]
    suppliers: int
    exposed_to_several: int
    exposed_share: float | None
    exposed_limit: float
    blocks_switches: bool


class GuardrailVariant(BaseModel):
    """How often one variant did a harm."""

    id: str
    units: int
    events: int
    rate: float | None
    is_breached: bool


class Guardrail(BaseModel):
    """One harm: `kept`, `breached`, or `not_measured` where nobody records it, which is not zero."""

    what: str
    label: str
    status: str
    alpha: float
    variants: list[GuardrailVariant]


class Past(BaseModel):
    """A decision that changed the experiment or proposed to; `state` as in `post-audit decisions`."""

    decision_id: int
    kind: str
    at: datetime
    headline: str
    actor: str
    state: str
    before: dict[str, Any]
    after: dict[str, Any]
    undone_by: int | None


class ExperimentDetail(ExperimentHead):
    """Everything of one experiment. `history` comes in buckets of `bucket_hours` (1 or 24)."""

    comparisons: list[ComparisonNow]
    bucket_hours: int
    history: list[Bucket]
    evidence: Evidence
    epochs: list[Epoch]
    sharing: Sharing
    guardrails: list[Guardrail]
    switches: list[Past]


class StopBody(Body):
    """What a person asks to stop: a variant, or the whole experiment where none is named."""

    version: Annotated[int, Field(ge=0, description="`version` of the experiment as it was shown")]
    variant: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class SwitchBody(Body):
    """What a person asks to make the active message."""

    version: Annotated[int, Field(ge=0, description="`version` of the experiment as it was shown")]
    variant: Annotated[str, Field(min_length=1, max_length=200)]


class Made(Open):
    """The decision that was made; it is taken back as any other: `post-audit undo ID`."""

    decision: dict[str, Any]
