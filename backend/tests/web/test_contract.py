"""What the description promises holds: whatever is sent, no answer is a fault of ours, and none is undocumented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.generation import GenerationMode

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.ports import Database
from app.post_audit.web.server import create_app
from tests.support.web import served, signed_token

pytestmark = pytest.mark.database

_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_DESCRIBED: Final = create_app(PsycopgDatabase("postgresql://nobody@127.0.0.1:9/nothing")).openapi()
_OPERATIONS: Final[dict[str, Any]] = {
    found.ok().label: found.ok()  # type: ignore[union-attr]  # raises where the description is not valid, as it should
    for found in schemathesis.openapi.from_dict(_DESCRIBED).get_all_operations()
}


@pytest.fixture
def address(database: Database) -> Iterator[str]:
    with served(database) as opened:
        yield opened


def _hold(label: str, address: str, token: str, examples: int) -> None:
    """Send what fits the description and what does not, as an approver; look at every answer."""
    kinds = [
        _OPERATIONS[label].as_strategy(generation_mode=mode)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(kinds))
    def hold(case: Any) -> None:  # noqa: ANN401 - schemathesis names its own
        case.call_and_validate(
            base_url=address, headers={"Authorization": f"Bearer {token}"}, checks=_CHECKS, timeout=20
        )

    hold()


def test_every_answer_is_a_documented_one(database: Database, address: str) -> None:
    token = signed_token(database, "tester", "approver")
    for label in _OPERATIONS:
        _hold(label, address, token, 3)


@pytest.mark.slow
@pytest.mark.parametrize("label", _OPERATIONS)
def test_every_answer_is_a_documented_one_at_length(database: Database, address: str, label: str) -> None:
    _hold(label, address, signed_token(database, "tester", "approver"), 150)


def test_every_address_says_how_it_refuses() -> None:
    for path, methods in _DESCRIBED["paths"].items():
        for method, operation in methods.items():
            told = set(operation["responses"])
            assert {"400", "503"} <= told, (method, path)
            if path.startswith("/api/admin"):
                assert {"401", "403"} <= told, (method, path)
            if method != "get":
                assert {"409", "413", "422"} <= told, (method, path)
