"""Small marketplaces for tests: just enough rows that a step has something to decide."""

from __future__ import annotations

import psycopg


def nearly_full(connection: psycopg.Connection, *, channel: str = "sms", used: int = 17_000) -> None:
    """Record so many sends within the last minutes of today's IST day that the quota is nearly used up."""
    connection.execute(
        """
        INSERT INTO public.invites_sent (channel, status, segments, queued_at, sent_at)
        SELECT %s, 'sent', %s / 100, m.moment, m.moment
        FROM generate_series(1, 100),
          -- within today in India, also in its first minutes
          LATERAL (SELECT greatest(now() - interval '1 minute',
            date_trunc('day', now() AT TIME ZONE 'Asia/Kolkata') AT TIME ZONE 'Asia/Kolkata') AS moment) AS m
        """,
        (channel, used),
    )


def arm_all(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE post_audit.step_modes SET mode = 'act'")
