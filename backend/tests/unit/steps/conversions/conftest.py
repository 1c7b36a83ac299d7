"""Facts of an experiment, with defaults."""

from __future__ import annotations

import pytest

from tests.unit.steps.conversions.examples import MakeExperiment, MakeFacts, experiment_of, facts_of


@pytest.fixture(scope="session")
def make_experiment() -> MakeExperiment:
    return experiment_of


@pytest.fixture(scope="session")
def make_facts() -> MakeFacts:
    return facts_of
