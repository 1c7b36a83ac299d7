"""The workflows to import are whole, hold no secret, and verify alike. What they do: make test-n8n."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.architecture.clone import ROOT

NAMES: Final = ["ab-update.json", "scale.json"]


def workflow(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((ROOT / "n8n" / name).read_text(encoding="utf-8"))
    return value


@pytest.mark.parametrize("name", NAMES)
def test_every_node_is_reached_and_nothing_is_left_in_it(name: str) -> None:
    told = workflow(name)
    nodes = {node["name"] for node in told["nodes"]}
    reached = {
        way["node"] for outputs in told["connections"].values() for ways in outputs["main"] for way in ways
    }
    assert nodes - reached == {"Webhook", "Read me"}
    assert not told["active"]
    assert told["pinData"] == {}
    assert all("credentials" not in node for node in told["nodes"])
    (secret,) = (node for node in told["nodes"] if node["name"] == "Secret")
    assert secret["parameters"]["assignments"]["assignments"][0]["value"].startswith("PASTE ")


def test_both_verify_alike_and_listen_where_the_how_to_says() -> None:
    verify = [
        node["parameters"]["jsCode"]
        for name in NAMES
        for node in workflow(name)["nodes"]
        if node["name"] == "Verify"
    ]
    assert len(verify) == 2
    assert len(set(verify)) == 1
    how_to = (ROOT / "docs/how-to/n8n.md").read_text(encoding="utf-8")
    for name in NAMES:
        told = workflow(name)
        (webhook,) = (node for node in told["nodes"] if node["name"] == "Webhook")
        assert f"/webhook/{webhook['parameters']['path']}\n" in how_to
        assert f"--id={told['id']}" in how_to
