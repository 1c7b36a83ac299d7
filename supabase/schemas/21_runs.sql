-- Runs: owned for a while by one worker, never two at once, resumed by whoever comes when the owner is gone.

-- Workers and schedules that have told that they live; only for people who look. Who owns a run stands in the run.
CREATE TABLE IF NOT EXISTS post_audit.workers (
  name text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('worker', 'schedule')),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_tick timestamptz
);

CREATE FUNCTION post_audit.run_as_json(run_id bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'id', r.id, 'tick', r.tick, 'kind', r.kind, 'state', r.state, 'owner', r.owner, 'token', r.token, 'as_of', r.as_of,
    'lease_expires_at', r.lease_expires_at, 'started_at', r.started_at, 'finished_at', r.finished_at, 'requested_steps', r.steps,
    'steps', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'step', s.step, 'state', s.state, 'error', s.error, 'duration_ms', s.duration_ms,
        'decision', CASE WHEN s.decision_id IS NOT NULL THEN post_audit.decision_as_json(s.decision_id, 10) END
      ) ORDER BY m.position), '[]')
      FROM post_audit.step_runs AS s JOIN post_audit.step_modes AS m ON m.step = s.step WHERE s.run_id = r.id))
  FROM post_audit.runs AS r WHERE r.id = run_as_json.run_id;
END;

-- Ask for a run. The answer's state says what came of it:
--   started   this owner has a new run
--   resumed   this owner goes on with an interrupted run (perhaps of another tick), under a new token
--   busy      another owner's run is going on; ask again when its lease has expired or the run has ended
--   finished  this tick has already been run
CREATE FUNCTION public.post_audit_apply_begin_run(
  tick text, owner text, lease_seconds integer, kind text DEFAULT 'manual', steps jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  running post_audit.runs;
  run_id bigint;
  outcome text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.begin_run', 0));
  SELECT * INTO running FROM post_audit.runs AS r WHERE r.state = 'running' FOR UPDATE;
  IF running.id IS NOT NULL AND running.owner = post_audit_apply_begin_run.owner THEN
    -- the same owner asks again because it did not hear the first answer
    run_id := running.id;
    outcome := CASE WHEN running.token = 1 THEN 'started' ELSE 'resumed' END;
  ELSIF running.id IS NOT NULL AND running.lease_expires_at > clock_timestamp()
    -- no lease is longer than an hour: one that lies further ahead was given before the clock was set back
    AND running.lease_expires_at <= clock_timestamp() + interval '1 hour' THEN
    run_id := running.id;
    outcome := 'busy';
  ELSIF running.id IS NOT NULL THEN
    UPDATE post_audit.runs AS r
    SET owner = post_audit_apply_begin_run.owner, token = r.token + 1, as_of = post_audit.clock(),
      lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds)
    WHERE r.id = running.id;
    run_id := running.id;
    outcome := 'resumed';
  ELSE
    SELECT r.id INTO run_id FROM post_audit.runs AS r WHERE r.tick = post_audit_apply_begin_run.tick;
    outcome := 'finished';
    IF run_id IS NULL THEN
      INSERT INTO post_audit.runs (tick, kind, steps, owner, as_of, lease_expires_at)
      VALUES (tick, kind, steps, owner, post_audit.clock(), clock_timestamp() + make_interval(secs => lease_seconds))
      RETURNING id INTO run_id;
      outcome := 'started';
    END IF;
  END IF;
  RETURN jsonb_build_object('state', outcome, 'run', post_audit.run_as_json(run_id),
    'lease_remaining_ms', (SELECT greatest(0, ceil(extract(epoch FROM r.lease_expires_at - clock_timestamp()) * 1000))::bigint
      FROM post_audit.runs AS r WHERE r.id = run_id),
    'modes', (SELECT jsonb_object_agg(m.step, m.mode) FROM post_audit.step_modes AS m),
    -- decisions whose changes somebody began to carry out and did not finish
    'unfinished', (SELECT coalesce(jsonb_agg(d.id ORDER BY d.id), '[]') FROM post_audit.decisions AS d WHERE d.state = 'applying'));
END
$$;

-- A sign of life: the run stays its owner's for another `lease_seconds`.
CREATE FUNCTION public.post_audit_apply_extend_lease(run_id bigint, token bigint, lease_seconds integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_run(run_id, token);
  UPDATE post_audit.runs AS r SET lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds)
  WHERE r.id = run_id;
  RETURN jsonb_build_object('run_id', run_id, 'token', token);
END
$$;

-- Give a run back: by its owner when it stops, or by somebody on the same machine who knows that the owner is dead.
CREATE FUNCTION public.post_audit_apply_release_run(run_id bigint, token bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_run(run_id, token);
  UPDATE post_audit.runs AS r SET lease_expires_at = clock_timestamp() WHERE r.id = run_id;
  RETURN jsonb_build_object('run_id', run_id, 'token', token);
END
$$;

-- Record a step that did not decide: it failed, or it is paused.
CREATE FUNCTION public.post_audit_apply_step_outcome(
  run_id bigint, token bigint, step text, state text, error jsonb DEFAULT NULL, duration_ms integer DEFAULT 0
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_run(run_id, token);
  INSERT INTO post_audit.step_runs (run_id, step, state, error, duration_ms)
  VALUES (run_id, step, state, error, duration_ms)
  ON CONFLICT ON CONSTRAINT step_runs_pkey DO NOTHING;
  RETURN jsonb_build_object('run_id', run_id, 'step', step, 'state', state);
END
$$;

-- End a run: `failed` when one of its steps failed, else `completed`. Asked again by who ended it, it returns the run.
CREATE FUNCTION public.post_audit_apply_finish_run(run_id bigint, token bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  -- the answer got lost
  IF EXISTS (SELECT 1 FROM post_audit.runs AS r
    WHERE r.id = run_id AND r.token = post_audit_apply_finish_run.token AND r.state <> 'running')
  THEN
    RETURN post_audit.run_as_json(run_id);
  END IF;
  PERFORM post_audit.require_run(run_id, token);
  UPDATE post_audit.runs AS r
  SET finished_at = clock_timestamp(), state = CASE WHEN EXISTS (
    SELECT 1 FROM post_audit.step_runs AS s WHERE s.run_id = r.id AND s.state = 'failed') THEN 'failed' ELSE 'completed' END
  WHERE r.id = post_audit_apply_finish_run.run_id;
  RETURN post_audit.run_as_json(run_id);
END
$$;

-- One run with what came of each of its steps; the latest when none is named.
CREATE FUNCTION public.post_audit_read_run(run_id bigint DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN post_audit.run_as_json(coalesce(run_id, (SELECT max(r.id) FROM post_audit.runs AS r)));

-- Runs, newest first, with how far each has come: `before` is the last id of the page before; with a `tick`, that one alone.
CREATE FUNCTION public.post_audit_read_runs(before bigint DEFAULT NULL, "limit" integer DEFAULT 50, tick text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', r.id, 'tick', r.tick, 'kind', r.kind, 'state', r.state, 'as_of', r.as_of, 'started_at', r.started_at,
    'finished_at', r.finished_at, 'requested_steps', r.steps,
    'of', coalesce(jsonb_array_length(nullif(r.steps, 'null')), (SELECT count(*) FROM post_audit.step_modes AS m)),
    'steps', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'step', s.step, 'state', s.state, 'decision_id', s.decision_id, 'outcome', d.outcome, 'headline', d.headline,
        'error', s.error ->> 'message', 'duration_ms', s.duration_ms) ORDER BY m.position), '[]')
      FROM post_audit.step_runs AS s JOIN post_audit.step_modes AS m ON m.step = s.step
      LEFT JOIN post_audit.decisions AS d ON d.id = s.decision_id WHERE s.run_id = r.id)
  ) ORDER BY r.id DESC), '[]')
  FROM (
    SELECT * FROM post_audit.runs AS a
    WHERE (post_audit_read_runs.before IS NULL OR a.id < post_audit_read_runs.before)
      AND (post_audit_read_runs.tick IS NULL OR a.tick = post_audit_read_runs.tick)
    ORDER BY a.id DESC LIMIT post_audit_read_runs."limit"
  ) AS r;
END;

-- The moment it is, for whoever plans: the same on every machine, whatever its own clock says. A demonstration's own
-- clock stands still and plans nothing.
CREATE FUNCTION public.post_audit_read_clock() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN jsonb_build_object('now', clock_timestamp());

-- What a newcomer, a health check or a dry run wants to know first.
CREATE FUNCTION public.post_audit_read_status() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'schema_version', (SELECT v.version FROM post_audit.schema_version AS v),
    'marketplace', m.kind,
    'as_of', coalesce(m.as_of, statement_timestamp()),
    'modes', (SELECT jsonb_object_agg(s.step, s.mode) FROM post_audit.step_modes AS s),
    'bindings_needed', (SELECT coalesce(jsonb_agg(b.item ->> 'role'), '[]')
      FROM jsonb_array_elements(public.post_audit_read_bindings()) AS b (item) WHERE NOT (b.item ->> 'bound')::boolean),
    'last_run', (SELECT jsonb_build_object('id', r.id, 'tick', r.tick, 'state', r.state, 'owner', r.owner,
        'started_at', r.started_at, 'finished_at', r.finished_at, 'lease_expires_at', r.lease_expires_at)
      FROM post_audit.runs AS r ORDER BY r.id DESC LIMIT 1),
    'waiting', (SELECT count(*) FROM post_audit.decisions AS d WHERE EXISTS (
      SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = d.id AND c.state = 'proposed')),
    'outbox', (SELECT coalesce(jsonb_object_agg(g.state, g.n), '{}')
      FROM (SELECT o.state, count(*) AS n FROM post_audit.outbox AS o GROUP BY o.state) AS g)
  ) FROM post_audit.marketplace AS m;
END;

-- A sign of life of a worker, or of a schedule with its next tick. Those that gave none for a day are forgotten.
CREATE FUNCTION public.post_audit_apply_worker_seen(name text, kind text, next_tick timestamptz DEFAULT NULL) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  DELETE FROM post_audit.workers AS w
  WHERE w.seen_at < clock_timestamp() - interval '1 day' AND w.name <> post_audit_apply_worker_seen.name;
  INSERT INTO post_audit.workers AS w (name, kind, next_tick)
  VALUES (post_audit_apply_worker_seen.name, post_audit_apply_worker_seen.kind, post_audit_apply_worker_seen.next_tick)
  ON CONFLICT ON CONSTRAINT workers_pkey DO UPDATE SET seen_at = clock_timestamp(), next_tick = EXCLUDED.next_tick
  RETURNING jsonb_build_object('name', w.name, 'seen_at', w.seen_at);
END;

-- A worker or a schedule that has ended in peace.
CREATE FUNCTION public.post_audit_apply_worker_gone(name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  DELETE FROM post_audit.workers AS w WHERE w.name = post_audit_apply_worker_gone.name;
  RETURN jsonb_build_object('name', name, 'was_known', FOUND);
END
$$;

-- How the machinery stands: the run that goes on with its lease and steps, the last five runs, workers and schedules
-- (alive: seen within a minute), how much waits in the outbox and for how long (seconds), who is sending (`senders`), and the
-- next tick.
CREATE FUNCTION public.post_audit_read_operations() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'now', n.moment,
    'senders', (SELECT coalesce(jsonb_agg(DISTINCT o.claimed_by), '[]') FROM post_audit.outbox AS o
      WHERE o.state IN ('pending', 'sent') AND o.claimed_until > clock_timestamp()),
    'run', (SELECT jsonb_build_object('id', r.id, 'tick', r.tick, 'kind', r.kind, 'owner', r.owner, 'token', r.token,
        'started_at', r.started_at, 'lease_expires_at', r.lease_expires_at,
        'lease_remaining_seconds', round(extract(epoch FROM r.lease_expires_at - n.moment), 1),
        'steps', (SELECT jsonb_agg(jsonb_build_object('step', m.step, 'state', coalesce(s.state, 'waiting')) ORDER BY m.position)
          FROM post_audit.step_modes AS m LEFT JOIN post_audit.step_runs AS s ON s.run_id = r.id AND s.step = m.step
          WHERE r.steps IS NULL OR r.steps ? m.step))
      FROM post_audit.runs AS r WHERE r.state = 'running'),
    'runs', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'tick', l.tick, 'kind', l.kind, 'state', l.state,
        'started_at', l.started_at, 'finished_at', l.finished_at, 'owners', l.token) ORDER BY l.id DESC), '[]')
      FROM (SELECT * FROM post_audit.runs AS r ORDER BY r.id DESC LIMIT 5) AS l),
    'workers', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', w.name, 'kind', w.kind, 'started_at', w.started_at,
        'seen_at', w.seen_at, 'alive', w.seen_at > n.moment - interval '1 minute', 'next_tick', w.next_tick)
        ORDER BY w.started_at), '[]') FROM post_audit.workers AS w),
    'messages', (SELECT jsonb_build_object('waiting', count(*), 'due', count(*) FILTER (WHERE o.next_attempt_at <= n.moment),
        'claimed', count(*) FILTER (WHERE o.claimed_until > n.moment),
        'oldest_seconds', round(coalesce(extract(epoch FROM n.moment - min(o.created_at)), 0), 1))
      FROM post_audit.outbox AS o WHERE o.state IN ('pending', 'sent')),
    'next_tick', (SELECT min(w.next_tick) FROM post_audit.workers AS w
      WHERE w.kind = 'schedule' AND w.seen_at > n.moment - interval '1 minute')
  ) FROM (SELECT clock_timestamp() AS moment) AS n;
END;
