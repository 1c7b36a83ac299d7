from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.post_audit import logs

SECRET = "correct-horse-battery"
TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"

pytestmark = pytest.mark.usefixtures("own_logging")


def test_an_error_that_nobody_expected_is_told_without_its_secrets(tmp_path: Path) -> None:
    program = f"""
import pathlib, threading
from app.post_audit import logs
logs.configure(log_file=pathlib.Path({str(tmp_path / "log")!r}), level="DEBUG", secrets=[{SECRET!r}])
def work() -> None:
    raise ValueError("in a thread, with {SECRET}")
thread = threading.Thread(target=work)
thread.start()
thread.join()
try:
    raise ValueError("https://api.telegram.org/bot{TOKEN}/sendMessage")
except ValueError as error:
    raise RuntimeError("with {SECRET}") from error
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(Path(logs.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "in a thread, with [redacted]" in ran.stderr
    assert "RuntimeError: with [redacted]" in ran.stderr
    # the lines of the program itself are shown, and it was told the secrets; a program reads them from outside
    shown = [line for line in ran.stderr.splitlines() if "Error: " in line]
    assert len(shown) == 3
    assert not any(SECRET in line or TOKEN in line for line in shown)


def test_events_are_json_lines_with_a_name_and_without_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logs" / "log"
    logs.configure(log_file=path, level="DEBUG", secrets=[SECRET])
    log = logs.get_logger("test")
    log.info("step.decided", step="bugs", nested={"deep": [SECRET]}, number=3)
    log.warning("odd", text="line\nbreak")
    logging.getLogger("httpx").info("GET https://api.telegram.org/bot%s/getMe", TOKEN)
    logging.getLogger("library").error("password=%s", SECRET)
    log.error("failed", exc_info=ValueError(f"with {SECRET}"))
    text = path.read_text(encoding="utf-8")
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["event"] for event in events] == ["step.decided", "odd", "password=[redacted]", "failed"]
    assert events[0] | {"step": "bugs", "number": 3, "level": "info"} == events[0]
    shown = capsys.readouterr().err
    assert "odd" in shown
    assert "step.decided" not in shown
    assert SECRET not in text + shown
    assert TOKEN not in text + shown


def test_a_log_file_that_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    logs.configure(log_file=tmp_path / "file" / "log", level="INFO", secrets=[])
    logs.get_logger("test").warning("still.here")
    shown = capsys.readouterr().err
    assert "log.file_unusable" in shown
    assert "still.here" in shown


def test_a_log_that_grew_too_long_is_rotated_and_no_line_is_lost(tmp_path: Path) -> None:
    """Two handlers on one file stand for two processes: neither writes into a file the other has renamed."""
    path = tmp_path / "log"
    handlers = [logs.SharedRotatingFileHandler(path, encoding="utf-8", delay=False) for _ in range(2)]
    line = "x" * 50_000
    lines = 3 * logs.MAXIMUM_BYTES // len(line)

    def write(handler: logging.Handler) -> None:
        for _ in range(lines // 2):
            handler.emit(logging.LogRecord("test", logging.INFO, "", 0, line, None, None))

    threads = [threading.Thread(target=write, args=(handler,)) for handler in handlers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for handler in handlers:
        handler.close()
    files = [name for name in tmp_path.iterdir() if name.suffix != ".lock"]
    written = sum(name.read_text().count("\n") for name in files)
    assert written == lines // 2 * 2
    assert max(name.stat().st_size for name in files) <= logs.MAXIMUM_BYTES + 2 * (len(line) + 1)
