"""The thresholds of the step `conversions`, each with its unit and its source."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ConversionsPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionsPolicy:
    """When a message counts as the winner, and what happens then.

    Refuses values that would make the guarantee void (`ValueError`).
    """

    alpha: float = 0.05
    """The share of experiments with equal messages that may ever be switched, however often one looks."""

    minimum_units: int = 100
    """Suppliers a variant needs whose attribution window is over; the marketplace's own rule."""

    attribution_window_hours: int = 72
    """How long after an invite a claim counts for it, where the experiment sets none. It has to hold 99 %
    of the slowest variant's claims: with 4 h against 24 h of delay, counting sooner chose the worse message
    every time."""

    holdout_basis_points: int = 500
    """What the other variants keep together after a switch: 5 % finds a winner's decay from 5 to 3.5 % in 6
    days."""

    hold_days: int = 7
    """How long a switch that a person took back is not made again."""

    log_ratio_deviation: float = 0.16
    """Standard deviation of the log rate ratio that the evidence expects: 0.16 is "about a sixth better or
    worse". It decides only how fast evidence grows (4 against 5 % in about 8,300 invites a variant, 4 against
    4.4 % in 41,700), never whether it holds."""

    prior_rate: float = 0.04
    """The conversion rate assumed before the first block; weighs as much as `prior_units` suppliers."""

    prior_units: float = 50.0
    """Weight of `prior_rate`, in suppliers; weak, so that one ordinary hour outweighs it."""

    minimum_runtime_hours: int = 72
    """How long an experiment runs before anything is switched, so that no single day decides."""

    mismatch_alpha: float = 0.001
    """How often shares that are kept may ever be told as not kept (sample ratio mismatch)."""

    maximum_exposed_share: float = 0.01
    """Suppliers that may have got several variants, as a share of all; above it nothing is switched."""

    stale_after_hours: int = 48
    """Without a new supplier for so long nothing is switched: promotional messages rest at night and on
    Sundays, 37 hours together."""

    guardrail_alpha: float = 0.01
    """The share of experiments in which a guardrail may ever stop a message that does no more harm."""

    smallest_effect: float = 0.05
    """The least relative difference worth having: 4.0 against 4.2 %. Nothing below is waited for."""

    maximum_window_hours: int = 336
    """The attribution window is never widened beyond two weeks."""

    counting_calls: int = 80
    """Calls of 0.8 s that a run counts for before it judges: one minute, 2 million invites. More would hold the
    other steps; what is left is counted by the next run and by every page that asks."""

    def __post_init__(self) -> None:
        """Refuse a policy under which a decision would mean nothing."""
        if not 0 < self.alpha < 1:
            raise ValueError("alpha must lie between 0 and 1")
        if not (0 < self.mismatch_alpha < 1 and 0 < self.guardrail_alpha < 1):
            raise ValueError("mismatch_alpha and guardrail_alpha must lie between 0 and 1")
        if not (0 <= self.maximum_exposed_share <= 1 and self.smallest_effect > 0):
            raise ValueError("maximum_exposed_share must be a share, smallest_effect must be above 0")
        if self.minimum_runtime_hours < 0 or self.stale_after_hours < 1:
            raise ValueError("minimum_runtime_hours must be at least 0, stale_after_hours at least 1")
        if self.minimum_units < 1 or self.attribution_window_hours < 1:
            raise ValueError("minimum_units and attribution_window_hours must be at least 1")
        if not 0 <= self.holdout_basis_points < 5_000:  # noqa: PLR2004 - half of 10,000: the winner keeps the most
            raise ValueError("holdout_basis_points must be at least 0 and below 5,000")
        if not (0 < self.prior_rate < 1 and self.prior_units > 0 and self.log_ratio_deviation > 0):
            raise ValueError(
                "prior_rate must lie between 0 and 1, prior_units and log_ratio_deviation above 0"
            )
