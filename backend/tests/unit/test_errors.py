from __future__ import annotations

import re

import pytest

from app.post_audit import errors
from app.post_audit.errors import BindingNeeded, DatabaseError, PostAuditError, error_for_sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("PT409", errors.StateMoved),
        ("PT423", errors.RunLost),
        ("PT424", BindingNeeded),
        ("PT999", DatabaseError),
        ("42501", errors.PermissionRefused),
        ("28P01", errors.PermissionRefused),
        ("42883", errors.FunctionMissing),
        ("42P01", errors.FunctionMissing),
        ("3F000", errors.FunctionMissing),
        ("22023", errors.InvalidArgument),
        ("23505", errors.InvalidArgument),
        ("42703", errors.InvalidArgument),
        ("P0001", errors.InvalidArgument),
        ("P0002", errors.NotFound),
        ("40001", errors.Contention),
        ("40P01", errors.Contention),
        ("55P03", errors.Contention),
        ("57014", errors.TookTooLong),
        ("57P01", errors.ConnectionLost),
        ("08006", errors.ConnectionLost),
        ("53300", errors.ConnectionLost),
        ("XX000", DatabaseError),
        (None, DatabaseError),
    ],
)
def test_each_sqlstate_has_its_class(sqlstate: str | None, kind: type[PostAuditError]) -> None:
    assert type(error_for_sqlstate(sqlstate, "It failed.")) is kind


def test_the_servers_own_hint_is_the_cure() -> None:
    assert error_for_sqlstate("PT409", "It moved.", "Look again.").cure == "Look again."
    assert str(error_for_sqlstate("PT409", "It moved.", "Look again.")) == "It moved. Look again."


def test_a_function_that_is_missing_is_cured_by_the_migration_and_not_by_type_casts() -> None:
    advice = (
        "No function matches the given name and argument types. You might need to add explicit type casts."
    )
    told = error_for_sqlstate("42883", "function f() does not exist", advice)
    assert told.cure == "Apply the migration again: post-audit migrate."


def test_the_drawing_at_the_top_names_every_class_with_its_exit_code() -> None:
    drawn = dict(re.findall(r"(\w+) +exit (\d)", errors.__doc__ or ""))
    classes = {
        name: str(kind.exit_code)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, PostAuditError)
    }
    assert drawn == classes
