"""Tables and moments as they are written."""

from __future__ import annotations

import numpy as np
import pytest

from app.post_audit.demonstration.tables import AS_OF, MINUTE, NOW, iso, iso_all, table


def test_moments_are_utc_to_the_millisecond() -> None:
    assert iso(NOW) == "2025-11-12T12:30:00.000Z"
    assert iso_all(np.array([NOW - 1, NOW + MINUTE])) == [
        "2025-11-12T12:29:59.999Z",
        "2025-11-12T12:31:00.000Z",
    ]
    assert AS_OF.timestamp() * 1000 == NOW


def test_a_table_is_read_by_row_and_by_column() -> None:
    made = table("public.bugs", {"id": [1, 2], "title": ["a", None]})
    assert made.rows == ((1, "a"), (2, None))
    assert made.column("title") == ("a", None)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        table("public.bugs", {"id": [1, 2], "title": ["a"]})
