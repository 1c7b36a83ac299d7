from __future__ import annotations

from pathlib import Path

import pytest

from app.post_audit.errors import InvalidSetting
from app.post_audit.settings import Settings, load_settings, project_folder


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field, info in Settings.model_fields.items():
        monkeypatch.delenv(info.alias or field.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()
    assert settings.database_url is None
    assert settings.data_directory == project_folder() / ".post_audit"
    assert settings.log_file == project_folder() / "backend" / "logs" / "post_audit_protocol.log"


def test_a_file_in_the_working_folder_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("TELEGRAM_CHAT_ID=42\nPOST_AUDIT_PORT=9000\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("POST_AUDIT_PORT", "9001")
    settings = load_settings()
    assert (settings.telegram_chat_id, settings.port) == ("42", 9001)


def test_an_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert load_settings().database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POST_AUDIT_PORT", "http"),
        ("POST_AUDIT_LEASE_SECONDS", "1"),
        ("POST_AUDIT_LOG_LEVEL", "LOUD"),
        ("SUPABASE_URL", "x"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_but_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting, match=name):
        load_settings()


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(InvalidSetting, match=r"\.env is not UTF-8"):
        load_settings()


def test_secrets_are_known_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "DATABASE_URL",
        "SUPABASE_SERVICE_ROLE_KEY",
        "N8N_WEBHOOK_AB_UPDATE",
        "N8N_WEBHOOK_SCALE",
        "TELEGRAM_BOT_TOKEN",
    )
    for name in names:
        monkeypatch.setenv(name, f"secret-of-{name}")
    settings = load_settings()
    assert set(settings.secrets()) == {f"secret-of-{name}" for name in names}
    assert "secret-of-" not in repr(settings)
