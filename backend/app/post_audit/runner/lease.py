"""A run that is owned, and the heartbeat that keeps it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.post_audit.errors import PostAuditError, RunLost
from app.post_audit.logs import get_logger
from app.post_audit.ports import Database

__all__ = ["Heartbeat", "OwnedRun"]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedRun:
    """A run that is ours as long as its token is."""

    run_id: int
    token: int
    as_of: datetime
    modes: Mapping[str, str]

    @property
    def key(self) -> dict[str, int]:
        """What every write for the run is signed with."""
        return {"run_id": self.run_id, "token": self.token}


class Heartbeat:
    """Extends the lease of a run in the background until it is told to stop, or the run is lost."""

    def __init__(self, database: Database, owned: OwnedRun, lease: timedelta) -> None:
        self._database, self._owned, self._lease = database, owned, lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="post-audit-heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        seconds = self._lease.total_seconds()
        while not self._stop.wait(seconds / 3):
            try:
                self._database.call(
                    "post_audit_apply_extend_lease", **self._owned.key, lease_seconds=int(seconds)
                )
            except RunLost:
                return
            except PostAuditError as error:
                _log.warning("run.heartbeat_failed", run_id=self._owned.run_id, error=str(error))
