"""Runs steps: each gathers, decides and applies; a failure stays with its step.

A run is owned through a lease in the marketplace's database, so that one tick is one run, on however many machines.
Whoever finds a run whose owner is gone goes on with it: what was decided is kept, what was not is decided now.
"""

from __future__ import annotations

from app.post_audit.runner import owner
from app.post_audit.runner.loop import Runner
from app.post_audit.runner.order import Order, Overtaken
from app.post_audit.runner.report import (
    AnyStep,
    Origin,
    Progress,
    RunKind,
    RunReport,
    Silence,
    StepReport,
)

__all__ = [
    "AnyStep",
    "Order",
    "Origin",
    "Overtaken",
    "Progress",
    "RunKind",
    "RunReport",
    "Runner",
    "Silence",
    "StepReport",
    "owner",
]
