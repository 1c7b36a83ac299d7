"""What PostgreSQL cannot hold is refused by name, over each transport and wherever in an argument it stands."""

from __future__ import annotations

import pytest

from app.post_audit.errors import InvalidArgument
from app.post_audit.ports import Database

pytestmark = [pytest.mark.database, pytest.mark.both_transports]

NUL = "\0"
HALF_A_CHARACTER = "\ud83d"


@pytest.mark.parametrize("sign", [NUL, HALF_A_CHARACTER], ids=["NUL", "half a character"])
def test_a_text_that_cannot_be_stored(database: Database, sign: str) -> None:
    with pytest.raises(InvalidArgument) as told:
        database.call("post_audit_apply_mode", step="bugs", mode="act", actor=f"as{sign}ha")
    assert "eave it out" in told.value.cure or "NUL" in told.value.cure


@pytest.mark.parametrize("sign", [NUL, HALF_A_CHARACTER], ids=["NUL", "half a character"])
def test_a_document_that_cannot_be_stored(database: Database, sign: str) -> None:
    with pytest.raises(InvalidArgument) as told:
        database.call("post_audit_read_tasks", scoring={}, filters={"owner": f"as{sign}ha"})
    assert "eave it out" in told.value.cure or "NUL" in told.value.cure
