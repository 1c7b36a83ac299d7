"""One marketplace, reached directly and over REST, in our tables and in Prisma's: the same six decisions.

What may differ is what is given out anew with every run (ids of runs and decisions, tokens, moments of the clock on
the wall) and what names a table or digests a row as it lies in one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support import marketplace, prisma
from tests.support.databases import Databases
from tests.support.gateway import Gateway
from tests.support.product import Product

pytestmark = pytest.mark.acceptance

PLACES: Final = [(transport, binding) for transport in ("direct", "rest") for binding in ("reference", "prisma")]
# What claims and earnings in Prisma's shape cannot say: the other shape says it neither here.
LEVELLED: Final = """
ALTER TABLE public.claim_airdrop_log ALTER COLUMN amount_paise DROP NOT NULL;
UPDATE public.claim_airdrop_log SET amount_paise = NULL WHERE true;
UPDATE post_audit.earnings_ledger SET supplier_id = NULL WHERE true;
UPDATE public.suppliers SET claimed_by = NULL WHERE true;
"""
CHANCE: Final = {
    "duration_ms", "started_at", "finished_at", "lease_expires_at", "created_at", "carried_out_at", "owner", "token", "tick",
    "digest", "message_id", "next_attempt_at", "settled_at", "published_digest", "hash", "previous_hash", "last_hash", "seconds",
}  # fmt: skip
COMMANDS: Final = (("decisions",), ("status",), ("tasks",), ("leaderboard",), ("undo", "2"))
