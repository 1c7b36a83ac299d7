"""Tests of `app.post_audit.steps.conversions.wording`: two numbers and the rule, and no word of statisticians."""

from __future__ import annotations

import pytest

from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.wording import explain
from tests.unit.steps.conversions.examples import AS_OF, CLEAR, POLICY, MakeExperiment


@pytest.mark.parametrize(
    ("totals", "codes"),
    [
        ({"variant_a": (0, 0), "variant_b": (0, 0)}, ["no_invites"]),
        ({"variant_a": (500, 20)}, ["nothing_to_compare"]),
        ({"variant_a": (99, 4), "variant_b": (99, 5)}, ["too_few", "rates"]),
        (CLEAR, ["rates", "evidence", "shares"]),
    ],
)
def test_each_status_has_its_reasons(
    make_experiment: MakeExperiment, totals: dict[str, tuple[int, int]], codes: list[str]
) -> None:
    told = explain(assess(make_experiment(totals), AS_OF, (), POLICY), AS_OF, POLICY)
    assert [reason.code.removeprefix("conversions.") for reason in told] == codes
    for reason in told:
        assert "significant" not in reason.text
        assert "p-value" not in reason.text
        assert reason.text.endswith(".")
