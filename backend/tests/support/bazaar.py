"""A marketplace that goes on living while everything about it is killed: it always gives two steps something to do.

An operator puts the SMS quota and the active message back as soon as the protocol has changed them; so each change
has a cause of its own, and a ledger of the tables' own triggers tells how often each was really made.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Self

import psycopg

from app.post_audit.errors import PostAuditError
from tests.support import marketplace

__all__ = ["Bazaar", "Ledger"]

_OPERATOR: Final = "operator"
_ACKNOWLEDGING: Final = "acknowledging"

_LEDGER: Final = """
CREATE SCHEMA campaign;
CREATE TABLE campaign.transitions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject text NOT NULL,
  before text, after text, made_by text NOT NULL);
CREATE FUNCTION campaign.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before text := to_jsonb(OLD) ->> TG_ARGV[2];
  after text := to_jsonb(NEW) ->> TG_ARGV[2];
BEGIN
  IF before IS DISTINCT FROM after THEN
    INSERT INTO campaign.transitions (subject, before, after, made_by)
    VALUES (TG_ARGV[0] || (to_jsonb(NEW) ->> TG_ARGV[1]), before, after, current_setting('application_name'));
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER campaign AFTER UPDATE ON public.infrastructure_config
FOR EACH ROW EXECUTE FUNCTION campaign.note('capacity:', 'channel', 'daily_quota');
CREATE TRIGGER campaign AFTER UPDATE ON public.ab_test_config
FOR EACH ROW EXECUTE FUNCTION campaign.note('experiment:', 'id', 'active_variant');
CREATE TABLE campaign.acknowledged (number bigint PRIMARY KEY);
"""

# One message converts ten times as many as the other: no honest test can miss it.
_EXPERIMENT: Final = """
INSERT INTO public.suppliers (id, name) SELECT n, 'Supplier ' || n FROM generate_series(1, 1200) AS n;
UPDATE public.ab_test_config SET started_at = now() - interval '10 days' WHERE id = 1;
INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)
SELECT n, CASE WHEN n % 2 = 0 THEN 'variant_a' ELSE 'variant_b' END,
  date_trunc('hour', now()) - interval '9 days' + (n / 2 % 96) * interval '1 hour' + interval '5 minutes'
FROM generate_series(1, 1000) AS n;
INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, claimed_at, verified_at)
SELECT i.supplier_id, 'user ' || i.supplier_id, 'verified',
  i.sent_at + interval '2 hours', i.sent_at + interval '3 hours'
FROM public.invites_ab_test AS i
WHERE (i.variant = 'variant_a' AND i.supplier_id % 50 = 0) OR (i.variant = 'variant_b' AND i.supplier_id % 5 = 0);
INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)
SELECT n, CASE WHEN n % 2 = 0 THEN 'variant_a' ELSE 'variant_b' END, now() - interval '30 minutes'
FROM generate_series(1001, 1200) AS n;
"""

# Puts back what the protocol did; the version stays, since it only grows.
_PUT_BACK: Final = (
    "UPDATE public.infrastructure_config SET daily_quota = 20000 WHERE channel = 'sms' AND daily_quota > 20000",
    """UPDATE public.ab_test_config AS e SET active_variant = f.active_variant, winner = f.winner, status = f.status,
         allocation_basis_points = f.allocation_basis_points, allocation_epoch = f.allocation_epoch
       FROM campaign.former AS f WHERE f.id = e.id AND e.active_variant <> f.active_variant""",
)

_MADE: Final = """
SELECT t.subject, count(*) FROM campaign.transitions AS t WHERE t.made_by <> %s GROUP BY 1 ORDER BY 1
"""
_APPLIED: Final = """
SELECT c.subject, count(*) FROM post_audit.changes AS c
WHERE c.state IN ('applied', 'undone') AND c.subject ~ '^(capacity|experiment):' GROUP BY 1 ORDER BY 1
"""


class Ledger:
    """What really happened, as the tables' own triggers saw it."""

    def __init__(self, looking: psycopg.Connection) -> None:
        self.made: dict[str, int] = dict(looking.execute(_MADE, (_OPERATOR,)).fetchall())
        self.applied: dict[str, int] = dict(looking.execute(_APPLIED).fetchall())
        self._looking = looking

    @property
    def doubled(self) -> int:
        """Switches and scalings that were made without a decision of their own, or beyond what was asked for."""
        beyond = marketplace.one(
            self._looking,
            "SELECT count(*) FROM campaign.transitions WHERE made_by <> %s AND (before, after) NOT IN"
            " (('20000', '30000'), ('variant_a', 'variant_b'))",
            _OPERATOR,
        )
        unexplained = sum(
            abs(self.made.get(subject, 0) - self.applied.get(subject, 0))
            for subject in self.made.keys() | self.applied.keys()
        )
        return int(beyond) + int(unexplained)

    @property
    def lost(self) -> int:
        """Changes that were made and of which no message tells, and messages that nobody ever settled."""
        untold = marketplace.one(
            self._looking,
            "SELECT count(*) FROM post_audit.changes AS c WHERE c.state = 'applied'"
            " AND c.subject ~ '^(capacity|experiment):' AND NOT EXISTS (SELECT FROM post_audit.outbox AS o"
            " WHERE o.decision_id = c.decision_id AND o.subject = c.subject AND o.channel LIKE 'n8n%%')",
        )
        unsettled = marketplace.one(
            self._looking, "SELECT count(*) FROM post_audit.outbox WHERE state IN ('pending', 'sent', 'dead')"
        )
        return int(untold) + int(unsettled)


class Bazaar:
    """The operator and a writer who counts what was acknowledged, each a thread that outlives its database."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(_OPERATOR, self._put_back), daemon=True),
            threading.Thread(target=self._live, args=(_ACKNOWLEDGING, self._write), daemon=True),
        ]
        self.acknowledged = 0

    @staticmethod
    def open(conninfo: str) -> None:
        """Lay out the stalls: every step armed, a quota nearly used up, an experiment with a winner."""
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(_LEDGER)
            connection.execute(_EXPERIMENT)
            connection.execute("CREATE TABLE campaign.former AS SELECT * FROM public.ab_test_config")
            marketplace.nearly_full(connection)
            marketplace.arm_all(connection)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close for the day."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def missing(self, looking: psycopg.Connection) -> int:
        """How many rows were acknowledged and are not there."""
        there = marketplace.one(
            looking, "SELECT count(*) FROM campaign.acknowledged WHERE number <= %s", self.acknowledged
        )
        return self.acknowledged - int(there)

    def _live(self, name: str, once: Any) -> None:  # noqa: ANN401 - one of the two below
        while not self._ended.is_set():
            try:
                with psycopg.connect(
                    self._conninfo, autocommit=True, application_name=name, connect_timeout=3
                ) as own:
                    while not self._ended.wait(once(own)):
                        pass
            except (psycopg.Error, PostAuditError):
                # the database is being restarted; that is what this is for
                self._ended.wait(0.1)

    @staticmethod
    def _put_back(own: psycopg.Connection) -> float:
        for statement in _PUT_BACK:
            own.execute(statement.encode())
        return 0.2

    def _write(self, own: psycopg.Connection) -> float:
        number = self.acknowledged + 1
        # a row whose acknowledgement was lost in a restart is there already
        own.execute("INSERT INTO campaign.acknowledged VALUES (%s) ON CONFLICT DO NOTHING", (number,))
        self.acknowledged = number
        return 0.01
