-- What is told of the queue as a whole: what the audits did, and what has become of the tasks.

-- What audits did, the newest first: what each opened, closed, reopened and left as it was.
CREATE FUNCTION public.post_audit_read_audits("limit" integer DEFAULT 20, before bigint DEFAULT NULL, source text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
#variable_conflict use_column
BEGIN
  IF "limit" NOT BETWEEN 1 AND 200 THEN
    RAISE EXCEPTION 'A page holds 1 to 200 audits, not %.', "limit" USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN (
    SELECT jsonb_build_object('next', CASE WHEN count(*) = "limit" THEN min(a.id) END,
      'audits', coalesce(jsonb_agg(jsonb_build_object(
        'id', a.id, 'name', a.name, 'source', a.source, 'target', a.target, 'format', a.format, 'state', a.state,
        'complete', a.complete, 'findings', a.findings, 'reported', a.reported, 'needs_review', jsonb_array_length(a.needs_review),
        'errors', jsonb_array_length(a.errors), 'first_error', a.errors -> 0 ->> 'message', 'received_at', a.received_at,
        'migrated_at', a.migrated_at, 'report', a.report,
        'decision_id', (SELECT max(c.decision_id) FROM post_audit.changes AS c WHERE c.subject = 'audit:' || a.id AND c.state = 'applied')
      ) ORDER BY a.id DESC), '[]'))
    FROM (
      SELECT * FROM post_audit.audits AS n
      WHERE (before IS NULL OR n.id < before) AND n.state <> 'receiving'
        AND (post_audit_read_audits.source IS NULL OR n.source = post_audit_read_audits.source)
      ORDER BY n.id DESC LIMIT "limit"
    ) AS a
  );
END
$$;

-- What has become of the queue: what is open and late by priority, what came and went on each of the last days (in the
-- zone, the newest last, with what was open at its end), how long closing took and how often that was too late.
CREATE FUNCTION public.post_audit_read_task_statistics(scoring jsonb, days integer DEFAULT 30, zone text DEFAULT 'Asia/Kolkata')
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  as_of CONSTANT timestamptz := (SELECT coalesce(m.as_of, now()) FROM post_audit.marketplace AS m);
  first_day CONSTANT date := ((as_of AT TIME ZONE zone)::date - days + 1);
  since CONSTANT timestamptz := first_day::timestamp AT TIME ZONE zone;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  IF days NOT BETWEEN 1 AND 366 THEN
    RAISE EXCEPTION 'Statistics are of 1 to 366 days, not %.', days USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN (
    WITH open_tasks AS MATERIALIZED (
      SELECT t.priority, t.status, t.disposition, count(*) AS n, min(t.first_seen_at) AS oldest,
        count(*) FILTER (WHERE t.first_seen_at < as_of - make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer)
          -- what waits for a review has been promised to nobody yet
          AND t.disposition IS DISTINCT FROM 'review') AS late,
        sum(extract(epoch FROM as_of - t.first_seen_at)::double precision / 86400) AS age
      FROM post_audit.tasks AS t WHERE t.status IN ('pending', 'in_progress') GROUP BY 1, 2, 3
    ), daily AS MATERIALIZED (
      -- what people did is counted from its events, what audits did from their reports
      SELECT (e.happened_at AT TIME ZONE zone)::date AS day, e.kind, count(*) AS n
      FROM post_audit.task_events AS e
      WHERE e.actor IS NOT NULL AND e.happened_at >= since AND e.happened_at <= as_of GROUP BY 1, 2
      UNION ALL
      SELECT (a.migrated_at AT TIME ZONE zone)::date, r.kind, sum((a.report ->> r.kind)::bigint)
      FROM post_audit.audits AS a CROSS JOIN (VALUES ('new'), ('reopened'), ('closed')) AS r (kind)
      WHERE a.state = 'migrated' AND a.migrated_at >= since AND a.migrated_at <= as_of GROUP BY 1, 2
    ), moved AS (
      SELECT d.day,
        coalesce(sum(c.n) FILTER (WHERE c.kind = 'new'), 0) AS opened,
        coalesce(sum(c.n) FILTER (WHERE c.kind IN ('reopened', 'acceptance_ended')), 0) AS reopened,
        coalesce(sum(c.n) FILTER (WHERE c.kind = 'closed'), 0) AS closed_by_audits,
        coalesce(sum(c.n) FILTER (WHERE c.kind = 'completed'), 0) AS completed,
        coalesce(sum(c.n) FILTER (WHERE c.kind IN ('cancelled', 'accepted', 'false_positive', 'merged')), 0) AS put_aside
      FROM generate_series(first_day, (as_of AT TIME ZONE zone)::date, interval '1 day') AS d (day)
      LEFT JOIN daily AS c ON c.day = d.day::date GROUP BY d.day
    ), burn AS (
      SELECT m.*, (SELECT coalesce(sum(o.n), 0) FROM open_tasks AS o)
        - coalesce(sum(m.opened + m.reopened - m.closed_by_audits - m.completed - m.put_aside) OVER (
          ORDER BY m.day ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 0) AS open_at_end,
        sum(m.opened + m.reopened) OVER (ORDER BY m.day) AS opened_in_all,
        sum(m.closed_by_audits + m.completed + m.put_aside) OVER (ORDER BY m.day) AS closed_in_all
      FROM moved AS m
    ), closed AS MATERIALIZED (
      SELECT t.priority, extract(epoch FROM t.completed_at - t.first_seen_at)::double precision / 86400 AS took,
        t.completed_at > t.first_seen_at + make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer) AS was_late
      FROM post_audit.tasks AS t
      WHERE t.completed_at >= since AND t.completed_at <= as_of AND t.status = 'completed'
    )
    SELECT jsonb_build_object(
      'as_of', as_of, 'days', days,
      'open', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('priority', o.priority, 'open', o.n, 'in_progress', o.busy, 'blocked', o.blocked,
          'review', o.review, 'late', o.late, 'oldest_days', round(extract(epoch FROM as_of - o.oldest) / 86400, 1),
          'mean_age_days', round((o.age / o.n)::numeric, 1))
          ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], o.priority)), '[]')
        FROM (
          SELECT p.priority, sum(p.n) AS n, sum(p.late) AS late, min(p.oldest) AS oldest, sum(p.age) AS age,
            coalesce(sum(p.n) FILTER (WHERE p.status = 'in_progress'), 0) AS busy,
            coalesce(sum(p.n) FILTER (WHERE p.disposition = 'blocked'), 0) AS blocked,
            coalesce(sum(p.n) FILTER (WHERE p.disposition = 'review'), 0) AS review
          FROM open_tasks AS p GROUP BY p.priority
        ) AS o),
      'closed', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('priority', c.priority, 'closed', c.n, 'late', c.late,
          'median_days', round(c.median::numeric, 1)) ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], c.priority)), '[]')
        FROM (
          SELECT x.priority, count(*) AS n, count(*) FILTER (WHERE x.was_late) AS late,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY x.took) AS median
          FROM closed AS x GROUP BY x.priority
        ) AS c),
      'daily', (
        SELECT jsonb_agg(jsonb_build_object('day', b.day::date, 'opened', b.opened, 'reopened', b.reopened,
          'closed_by_audits', b.closed_by_audits, 'completed', b.completed, 'put_aside', b.put_aside, 'open_at_end', b.open_at_end,
          'opened_in_all', b.opened_in_all, 'closed_in_all', b.closed_in_all) ORDER BY b.day)
        FROM burn AS b))
  );
END
$$;
