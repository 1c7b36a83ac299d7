"""`.env.example` shows every setting, and none that is not one."""

from __future__ import annotations

import re

from app.post_audit.settings import Settings
from tests.architecture.clone import ROOT


def test_every_setting_is_shown_to_who_sets_up_the_product() -> None:
    shown = re.findall(
        r"^# ([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    settings = [field.alias or name.upper() for name, field in Settings.model_fields.items()]
    assert sorted(shown) == sorted(settings)
