"""What tests of delivery share: the outbox and its receivers."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from app.post_audit.ports import Database
from tests.support.outbox import Outbox, Passing
from tests.support.receiver import Receiver
from tests.support.telegram import BotApi


@pytest.fixture
def outbox(database: Database, connection: psycopg.Connection) -> Outbox:
    return Outbox(database, connection)


@pytest.fixture
def passing(conninfo: str) -> Passing:
    return Passing(conninfo)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as opened:
        yield opened


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as opened:
        yield opened
