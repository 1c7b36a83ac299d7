"""`/api/admin/ab-test/*`: how experiments stand, from the same functions as the decision, and what people decide.

`GET /stats` is the answer that the marketplace's pages know. `GET /experiments` tells where each stands,
`GET /experiments/{id}` everything of one. `POST /experiments/{id}/switch` and `/stop` are decisions of a person.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

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
from app.post_audit.web.conversion_shapes import (
    ExperimentDetail,
    Experiments,
    Made,
    Stats,
    StopBody,
    SwitchBody,
)
from app.post_audit.web.shapes import ExperimentId

__all__ = ["carry_out", "router", "shown"]

router = APIRouter(prefix="/api/admin/ab-test", tags=["conversions"])

# A century: every hour of any experiment.
_EVER_HOURS: Final = 24 * 366 * 100


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
def experiment_detail(database: DatabaseOfRequest, experiment_id: ExperimentId) -> ExperimentDetail:
    """Tell everything of one running experiment: rates with bands, evidence, health, allocations, decisions."""
    past: JSON = database.call("post_audit_read_experiment_switches", experiment_id=experiment_id)
    switches = parse_facts(tuple[PastSwitch, ...], past)
    return ExperimentDetail.model_validate(
        detail(_facts(database, hours=_EVER_HOURS), STEP.policy, experiment_id, switches)
    )


@router.post("/experiments/{experiment_id}/switch")
def switch_by_hand(
    request: Request,
    database: DatabaseOfRequest,
    person: Operator,
    experiment_id: ExperimentId,
    body: SwitchBody,
) -> Made:
    """Make a variant the active message: 409 where the experiment has changed since it was shown.

    An approver's word is carried out; what an operator asks for waits until an approver, who is somebody else, agrees.
    """
    assessment = shown(database, experiment_id, body.version)
    wanted = switch_to(assessment, body.variant, person.name, STEP.policy)
    return _made(request, carry_out(database, wanted, person))


@router.post("/experiments/{experiment_id}/stop")
def stop_by_hand(
    request: Request,
    database: DatabaseOfRequest,
    person: Operator,
    experiment_id: ExperimentId,
    body: StopBody,
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
