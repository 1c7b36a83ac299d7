"""`/api/admin/ab-test/*`: how experiments stand, from the same functions as the decision, and what people decide.

`GET /stats` is the answer that the marketplace's pages know. `GET /experiments` tells where each stands,
`GET /experiments/{id}` everything of one. `POST /experiments/{id}/switch` and `/stop` are decisions of a person.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from app.post_audit.ports import JSON, Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.conversions import STEP, gather_history
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Assessment
from app.post_audit.steps.conversions.by_hand import (
    ByHand,
    end_experiment,
    require_version,
    stop_variant,
    switch_to,
)
from app.post_audit.steps.conversions.detail import PastSwitch, detail, find, overview
from app.post_audit.steps.conversions.facts import Facts
from app.post_audit.steps.conversions.stats import stats
from app.post_audit.web.access import Person, Role
from app.post_audit.web.context import DatabaseOfRequest, Operator, visit_of

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
    "carry_out",
    "router",
    "shown",
]

router = APIRouter(prefix="/api/admin/ab-test", tags=["conversions"])


_EVER = 24 * 366 * 100


class _Open(BaseModel):
    """Keys may be added to it, none is removed."""

    model_config = ConfigDict(extra="allow")


class DataPoint(BaseModel):
    """One hour of one variant."""

    time: datetime
    conversion_rate: float
    sent: int
    converted: int


class VariantStats(_Open):
    """One variant: the counts of the period asked for, and beside them those of the whole experiment."""

    variant: str
    total_sent: int
    total_converted: int
    conversion_rate: float | None
    data_points: list[DataPoint]


class Stats(_Open):
    """The state of an experiment. While `counting`, the counts are of a part of its suppliers and nothing is judged."""

    counting: CountingNow | None = None
    stats: list[VariantStats]
    active_variant: str | None
    winner: str | None


class VariantNow(_Open):
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


class ExperimentHead(_Open):
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


class Experiments(_Open):
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


class StopBody(BaseModel):
    """What a person asks to stop: a variant, or the whole experiment where none is named."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=0, description="`version` of the experiment as it was shown")]
    variant: Annotated[str | None, Field(min_length=1, max_length=200)] = None


class SwitchBody(BaseModel):
    """What a person asks to make the active message."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=0, description="`version` of the experiment as it was shown")]
    variant: Annotated[str, Field(min_length=1, max_length=200)]


class Made(_Open):
    """The decision that was made; it is taken back as any other: `post-audit undo ID`."""

    decision: dict[str, Any]


def _facts(database: Database, *, hours: int = 0) -> Facts:
    """Read the facts; with every block where `hours` reach back further than blocks are told otherwise."""
    status: Any = database.call("post_audit_read_status")
    as_of = datetime.fromisoformat(status["as_of"])
    facts = STEP.gather(database, STEP.policy, as_of)
    if any(hours > experiment.attribution_window_hours for experiment in facts.experiments):
        return gather_history(database, STEP.policy, as_of)
    return facts


@router.get("/stats")
def ab_test_stats(
    database: DatabaseOfRequest,
    hours: Annotated[int, Query(ge=1, le=24 * 366, description="how far back the data points reach")] = 24,
    experiment: Annotated[
        str | None, Query(description="the experiment's id; the first when not given")
    ] = None,
) -> Stats:
    """Tell of an experiment's variants, the active one, and the winner once there is one."""
    told = stats(_facts(database, hours=hours), STEP.policy, hours=hours, experiment_id=experiment)
    return Stats.model_validate(told)


@router.get("/experiments")
def experiments(database: DatabaseOfRequest) -> Experiments:
    """Tell where every running experiment stands."""
    return Experiments.model_validate(overview(_facts(database), STEP.policy))


@router.get("/experiments/{experiment_id}")
def experiment_detail(database: DatabaseOfRequest, experiment_id: str) -> ExperimentDetail:
    """Tell everything of one running experiment: rates with bands, evidence, health, allocations, decisions."""
    past: JSON = database.call("post_audit_read_experiment_switches", experiment_id=experiment_id)
    switches = parse_facts(tuple[PastSwitch, ...], past)
    return ExperimentDetail.model_validate(
        detail(_facts(database, hours=_EVER), STEP.policy, experiment_id, switches)
    )


@router.post("/experiments/{experiment_id}/switch")
def switch_by_hand(
    request: Request, database: DatabaseOfRequest, person: Operator, experiment_id: str, body: SwitchBody
) -> Made:
    """Make a variant the active message: 409 where the experiment has changed since it was shown.

    An approver's word is carried out; what an operator asks for waits until an approver, who is somebody else, agrees.
    """
    assessment = shown(database, experiment_id, body.version)
    wanted = switch_to(assessment, body.variant, person.name, STEP.policy)
    return _made(request, carry_out(database, wanted, person))


@router.post("/experiments/{experiment_id}/stop")
def stop_by_hand(
    request: Request, database: DatabaseOfRequest, person: Operator, experiment_id: str, body: StopBody
) -> Made:
    """Stop a variant, or end the experiment: 409 where it has changed since it was shown. Operators propose it."""
    assessment = shown(database, experiment_id, body.version)
    if body.variant is None:
        wanted = end_experiment(assessment, person.name, STEP.policy)
    else:
        wanted = stop_variant(assessment, body.variant, person.name, STEP.policy)
    return _made(request, carry_out(database, wanted, person))


def shown(database: Database, experiment_id: str, version: int) -> Assessment:
    """Judge the experiment that somebody was shown; raises `NotFound`, or `StateMoved` where it has changed."""
    facts = _facts(database)
    experiment = find(facts, experiment_id)
    require_version(experiment, version)
    return assess(experiment, facts.as_of, facts.holds, STEP.policy)


def carry_out(database: Database, wanted: ByHand, person: Person) -> dict[str, Any]:
    """Do what a person wants: an approver's word is carried out, an operator's is proposed. Returns the decision."""
    if person.role.includes(Role.APPROVER):
        answer: Any = database.call(
            "post_audit_apply_experiment_by_hand",
            decision=wanted.decision,
            actor=person.name,
            held=wanted.held,
        )
    else:
        answer = database.call(
            "post_audit_apply_proposal", step=STEP.name, decision=wanted.decision, actor=person.name
        )
    return dict(answer["decision"])


def _made(request: Request, decision: dict[str, Any]) -> Made:
    if decision["state"] != "proposed":
        request.app.state.deliver()
    visit_of(request).record(f"experiment.{decision['state']}", f"decision:{decision['id']}")
    return Made(decision=decision)
