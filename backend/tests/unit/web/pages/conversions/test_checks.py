"""What the page says of the trust in the numbers: each state of each check."""

from __future__ import annotations

from typing import Any

import pytest

from app.post_audit.web.pages.conversions.checks import checks_of

SHARING: dict[str, Any] = {
    "status": "kept",
    "assigned": {"a": 500, "b": 500},
    "due": {"a": 50.0, "b": 50.0},
    "threshold": 1000.0,
    "exposed_share": 0.001,
    "exposed_limit": 0.01,
}
GUARDRAIL: dict[str, Any] = {
    "label": "opt-outs",
    "status": "kept",
    "variants": [{"id": "a", "rate": 0.01}, {"id": "b", "rate": 0.012}],
}
EXPERIMENT: dict[str, Any] = {
    "sharing": SHARING,
    "guardrails": [GUARDRAIL],
    "variants": [
        {"id": "a", "letter": "A", "units": 1000, "immature": 3},
        {"id": "b", "letter": "B", "units": 900, "immature": 4},
    ],
    "window_hours": 72,
    "minimum_units": 500,
    "last_invite_at": "2025-11-09T08:00:00+00:00",
    "as_of": "2025-11-09T09:00:00+00:00",
}


def test_a_healthy_experiment_passes_every_check_with_its_numbers() -> None:
    found = checks_of(EXPERIMENT)
    assert [state for state, _, _ in found] == ["ok"] * 6
    said = found[0][2].replace("\N{NO-BREAK SPACE}", " ")
    assert said == "50.0 % to 50.0 %, planned 50 % to 50 %; blocks a switch below 1 in 1,000."
    assert found[2][2] == "72 h to claim; 7 are too young."


@pytest.mark.parametrize(
    ("changed", "state", "title"),
    [
        ({"sharing": {**SHARING, "status": "strayed"}}, "bad", "The split is not as planned"),
        ({"sharing": {**SHARING, "status": "unknown"}}, "warn", "The split is not known"),
        ({"sharing": {**SHARING, "exposed_share": 0.02}}, "bad", "Some suppliers saw several messages"),
        ({"guardrails": [{**GUARDRAIL, "status": "breached"}]}, "bad", "Opt-outs are too many"),
        ({"guardrails": [{**GUARDRAIL, "status": "not_measured"}]}, "warn", "Opt-outs are not measured"),
        ({"minimum_units": 950}, "warn", "Too few of one yet"),
        ({"last_invite_at": None}, "warn", "Nothing has come in"),
        ({"last_invite_at": "2025-11-08T08:59:00+00:00"}, "warn", "Data is old"),
    ],
)
def test_what_cannot_be_trusted_is_said(changed: dict[str, Any], state: str, title: str) -> None:
    told = [(state, title) for state, title, _ in checks_of({**EXPERIMENT, **changed}) if state != "ok"]
    assert told == [(state, title)]
