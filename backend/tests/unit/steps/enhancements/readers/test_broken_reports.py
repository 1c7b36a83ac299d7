"""Whatever is done to a report: a reader reads it or raises its own error."""

from __future__ import annotations

import io
import random

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.parsing import parse_stream
from tests.support.mutations import broken, seeds

REPORTS = seeds()


@pytest.mark.parametrize("number", range(len(REPORTS)))
def test_a_broken_report_is_read_or_refused(number: int) -> None:
    chance = random.Random(number)
    for _ in range(6):
        report = broken(REPORTS[number], chance)
        try:
            audit = parse_stream(io.BytesIO(report), "broken")
        except InputError:
            continue
        assert all(finding.title and finding.fingerprint for finding in audit.findings)
