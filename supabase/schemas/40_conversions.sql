-- The facts of step `conversions`, and the changes it carries out.

-- Every running experiment with its counts by hour, up to `as_of` and no further, from the roll-up
-- (post_audit_maintain_conversions brings it up to date).
--
-- A unit is a supplier: its first invite of an experiment decides which variant and which block it belongs to, and
-- later ones change nothing. Whether that message arrived makes no difference: who was meant to get a variant is
-- counted for it, or the failed ones of one variant would be sorted out and those of the other not.
--
-- A unit has converted when it claimed after the invite and that claim was *verified* before the attribution
-- window ended. The moment of verification decides, not that of the claim: so the outcome is settled when the window
-- ends and never changes afterwards, whereas a claim verified weeks later would change counts that a decision stands
-- on. Where verification takes days, the experiment's window has to hold those days too.
--
-- Only units whose window is over are in `blocks` (hour of the invite, UTC, by epoch of the allocation); the others
-- are `immature`. `opt_outs` and `failed` of a block count its units that asked for no more messages within the window,
-- and those whose first invite could not be sent. `assigned` counts all units by epoch and variant, and
-- `epoch_allocations` says how they were to be shared, as far as carried out decisions and the present row tell;
-- `claim_hours` is within how many whole hours 99 % of a variant's suppliers that claimed had their first verified claim,
-- those up to two windows late and of mature hours, and at least 200 of them; `judged_from_epoch` is the epoch that began
-- when a winner was last reverted or stopped. `last_invite_at` is when the newest unit came in.
--
-- With `remembered`, blocks that the step has folded into its `memory` are left out: those before `remembered_until`. So
-- the time this takes does not grow with history.
CREATE FUNCTION public.post_audit_read_conversions(
  as_of timestamptz, default_window_hours integer DEFAULT 72, remembered boolean DEFAULT false
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
-- Compiling the plan takes longer than running it.
SET jit = off AS $$
DECLARE
  experiment record;
  rollup post_audit.conversion_rollups;
  key text;
  since timestamptz;
  mature_until timestamptz;
  -- the hour that is just maturing, and the one of as_of: they are counted from the units themselves
  maturing timestamptz;
  present_hour CONSTANT timestamptz := pg_catalog.date_trunc('hour', as_of);
  counted jsonb;
  history jsonb;
  experiments jsonb := '[]';
BEGIN
  PERFORM post_audit.require_roles('experiments', 'invites', 'claims', 'opt_outs');

  FOR experiment IN
    SELECT e.*, coalesce(e.attribution_window_hours, default_window_hours) AS window_hours
    FROM post_audit.experiments AS e
    WHERE e.status = 'running'
    ORDER BY e.id
  LOOP
    key := experiment.id::text;
    mature_until := as_of - pg_catalog.make_interval(hours => experiment.window_hours);
    maturing := pg_catalog.date_trunc('hour', mature_until);
    SELECT r.* INTO rollup FROM post_audit.conversion_rollups AS r WHERE r.experiment = key;
    -- Sums count claims up to two windows late, so they are of one window, and of nothing that as_of cannot see.
    IF NOT remembered OR rollup.memory_through > maturing OR rollup.sums -> 'window_hours' <> pg_catalog.to_jsonb(experiment.window_hours) THEN
      rollup.memory := NULL;
      rollup.memory_through := NULL;
      rollup.sums := NULL;
    END IF;
    since := coalesce(rollup.memory_through, '-infinity');

    WITH whole AS (
      SELECT b.hour, b.epoch, b.variant, b.units, b.failed
      FROM post_audit.conversion_blocks AS b
      WHERE b.experiment = key AND b.hour >= since AND b.hour < present_hour AND b.units > 0
    ),
    edge AS (
      SELECT pg_catalog.date_trunc('hour', u.sent_at) AS hour, u.epoch, u.variant, u.sent_at <= mature_until AS mature,
        pg_catalog.count(*) AS units, pg_catalog.count(*) FILTER (WHERE u.failed) AS failed,
        pg_catalog.count(*) FILTER (WHERE u.verified_at <= u.sent_at + pg_catalog.make_interval(hours => experiment.window_hours)) AS converted,
        pg_catalog.count(*) FILTER (WHERE u.opted_out_at <= u.sent_at + pg_catalog.make_interval(hours => experiment.window_hours)) AS opt_outs
      FROM post_audit.conversion_units AS u
      WHERE u.experiment = key AND u.sent_at <= as_of
        AND (u.sent_at >= maturing AND u.sent_at < maturing + interval '1 hour' OR u.sent_at >= present_hour)
      GROUP BY 1, 2, 3, 4
    ),
    outcomes AS (
      SELECT o.hour, o.epoch, o.variant, pg_catalog.sum(o.converted) AS converted, pg_catalog.sum(o.opt_outs) AS opt_outs
      FROM post_audit.conversion_outcomes AS o
      WHERE o.experiment = key AND o.hour >= since AND o.hour < maturing AND o.delay_hours <= experiment.window_hours
      GROUP BY 1, 2, 3
    ),
    -- Added up, not joined: while the first count goes on, the planner knows nothing of these tables and would join by loops.
    cells AS (
      SELECT y.hour, y.epoch, y.variant, pg_catalog.sum(y.units)::bigint AS units, pg_catalog.sum(y.failed)::bigint AS failed,
        pg_catalog.sum(y.converted)::bigint AS converted, pg_catalog.sum(y.opt_outs)::bigint AS opt_outs
      FROM (
        SELECT w.hour, w.epoch, w.variant, w.units, w.failed, 0 AS converted, 0 AS opt_outs FROM whole AS w WHERE w.hour < maturing
        UNION ALL SELECT o.hour, o.epoch, o.variant, 0, 0, o.converted, o.opt_outs FROM outcomes AS o
      ) AS y GROUP BY y.hour, y.epoch, y.variant HAVING pg_catalog.sum(y.units) > 0
      UNION ALL
      SELECT e.hour, e.epoch, e.variant, e.units, e.failed, e.converted, e.opt_outs FROM edge AS e WHERE e.mature
    ),
    blocks AS (
      SELECT c.hour, c.epoch, pg_catalog.jsonb_object_agg(c.variant, pg_catalog.jsonb_build_object(
          'units', c.units, 'converted', c.converted, 'opt_outs', c.opt_outs, 'failed', c.failed)) AS counts
      FROM cells AS c GROUP BY c.hour, c.epoch
    ),
    immature AS (
      SELECT y.variant, pg_catalog.sum(y.units) AS units
      FROM (
        SELECT w.variant, w.units FROM whole AS w WHERE w.hour > maturing
        UNION ALL SELECT e.variant, e.units FROM edge AS e WHERE NOT e.mature
      ) AS y GROUP BY y.variant
    ),
    assigned AS (
      SELECT y.epoch, y.variant, pg_catalog.sum(y.units) AS units
      FROM (
        SELECT w.epoch, w.variant, w.units FROM whole AS w
        UNION ALL SELECT e.epoch, e.variant, e.units FROM edge AS e WHERE e.hour = present_hour
        UNION ALL SELECT s.epoch, s.variant, s.units
          FROM pg_catalog.jsonb_to_recordset(rollup.sums -> 'assigned') AS s (epoch integer, variant text, units bigint)
      ) AS y GROUP BY y.epoch, y.variant
    ),
    delays AS (
      SELECT y.variant, y.delay_hours, pg_catalog.sum(y.claims) AS claims
      FROM (
        SELECT o.variant, o.delay_hours, o.converted AS claims FROM post_audit.conversion_outcomes AS o
        WHERE o.experiment = key AND o.hour >= since AND o.hour < maturing AND o.delay_hours <= 2 * experiment.window_hours
        UNION ALL SELECT s.variant, s.delay_hours, s.claims
          FROM pg_catalog.jsonb_to_recordset(rollup.sums -> 'claims') AS s (variant text, delay_hours integer, claims bigint)
      ) AS y GROUP BY y.variant, y.delay_hours
    ),
    claim_hours AS (
      SELECT y.variant, pg_catalog.min(y.delay_hours) FILTER (WHERE y.so_far >= 0.99 * y.everything) AS hours
      FROM (
        SELECT d.variant, d.delay_hours, pg_catalog.sum(d.claims) OVER (PARTITION BY d.variant ORDER BY d.delay_hours) AS so_far,
          pg_catalog.sum(d.claims) OVER (PARTITION BY d.variant) AS everything
        FROM delays AS d
      ) AS y WHERE y.everything >= 200 GROUP BY y.variant
    )
    SELECT pg_catalog.jsonb_build_object(
      'blocks', coalesce((
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(b.*) ORDER BY b.hour, b.epoch) FROM blocks AS b), '[]'),
      'immature', coalesce((SELECT pg_catalog.jsonb_object_agg(y.variant, y.units) FROM immature AS y), '{}'),
      'last_invite_at', (
        SELECT pg_catalog.max(u.sent_at) FROM post_audit.conversion_units AS u WHERE u.experiment = key AND u.sent_at <= as_of),
      'assigned', coalesce((
        SELECT pg_catalog.jsonb_object_agg(z.epoch, z.counts)
        FROM (SELECT y.epoch, pg_catalog.jsonb_object_agg(y.variant, y.units) AS counts FROM assigned AS y GROUP BY y.epoch) AS z
      ), '{}'),
      'claim_hours', coalesce((SELECT pg_catalog.jsonb_object_agg(d.variant, d.hours) FROM claim_hours AS d), '{}'),
      'exposed_to_several', (
        SELECT pg_catalog.count(*) FROM post_audit.conversion_units AS u
        WHERE u.experiment = key AND u.other_variant_at <= as_of),
      'memory', rollup.memory,
      'remembered_until', rollup.memory_through,
      'revision', coalesce(rollup.revision, 0)
    ) INTO counted;

    -- An epoch that had two allocations (taken back, and begun anew otherwise) is not known.
    SELECT pg_catalog.jsonb_build_object(
      'epoch_allocations', (
        SELECT coalesce(pg_catalog.jsonb_object_agg(a.epoch, a.allocation), '{}')
        FROM (
          SELECT s.state -> 'allocation_epoch' #>> '{}' AS epoch,
            (pg_catalog.array_agg(s.state -> 'allocation_basis_points'))[1] AS allocation
          FROM (
            SELECT pg_catalog.unnest(ARRAY[c.before, c.after]) AS state
            FROM post_audit.changes AS c
            WHERE c.subject = 'experiment:' || experiment.id AND c.state IN ('applied', 'undone', 'superseded')
            UNION ALL
            SELECT pg_catalog.jsonb_build_object(
              'allocation_epoch', experiment.allocation_epoch,
              'allocation_basis_points', experiment.allocation_basis_points)
          ) AS s
          WHERE s.state ? 'allocation_epoch' AND s.state ? 'allocation_basis_points'
          GROUP BY 1
          HAVING pg_catalog.count(DISTINCT s.state -> 'allocation_basis_points') = 1
        ) AS a
      ),
      'judged_from_epoch', (
        SELECT coalesce(pg_catalog.max((c.after ->> 'allocation_epoch')::integer), 1)
        FROM post_audit.changes AS c
        -- who takes a switch back says nothing about the evidence
        JOIN post_audit.decisions AS d ON d.id = c.decision_id AND d.kind = 'step'
        WHERE c.subject = 'experiment:' || experiment.id AND c.state = 'applied'
          AND c.before ->> 'winner' IS NOT NULL AND c.after ? 'winner' AND c.after ->> 'winner' IS NULL
      )
    ) INTO history;

    experiments := experiments || (counted || history || pg_catalog.jsonb_build_object(
      'id', experiment.id,
      'name', experiment.name,
      'active_variant', experiment.active_variant,
      'winner', experiment.winner,
      'variants', experiment.variants,
      'allocation_basis_points', experiment.allocation_basis_points,
      'allocation_epoch', experiment.allocation_epoch,
      'attribution_window_hours', experiment.window_hours,
      'own_window_hours', experiment.attribution_window_hours,
      'counting', post_audit.conversion_counting(key),
      'started_at', experiment.started_at,
      'version', experiment.version
    ));
  END LOOP;

  RETURN pg_catalog.jsonb_build_object(
    'as_of', as_of,
    'experiments', experiments,
    'holds', (
      SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'subject', h.subject, 'undone', h.undone, 'until', h.until, 'decision_id', h.decision_id) ORDER BY h.subject), '[]')
      FROM post_audit.holds AS h
      WHERE h.subject LIKE 'experiment:%' AND h.until > as_of
    )
  );
END
$$;

-- Keep what the step remembers of an experiment's blocks before `through`, with their sums; only where no block has changed
-- since they were read (`revision`).
CREATE FUNCTION public.post_audit_maintain_conversion_memory(
  experiment_id text, revision bigint, through timestamptz, memory jsonb, window_hours integer
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  rollup post_audit.conversion_rollups;
  former jsonb;
  since timestamptz := '-infinity';
BEGIN
  SELECT r.* INTO rollup FROM post_audit.conversion_rollups AS r WHERE r.experiment = experiment_id FOR UPDATE;
  IF rollup.experiment IS NULL OR rollup.revision <> post_audit_maintain_conversion_memory.revision THEN
    RETURN pg_catalog.jsonb_build_object('kept', false);
  END IF;
  IF rollup.memory_through <= through AND rollup.sums -> 'window_hours' = pg_catalog.to_jsonb(window_hours) THEN
    former := rollup.sums;
    since := rollup.memory_through;
  END IF;
  UPDATE post_audit.conversion_rollups AS r
  SET memory = post_audit_maintain_conversion_memory.memory, memory_through = through,
    sums = pg_catalog.jsonb_build_object(
      'window_hours', window_hours,
      'assigned', (
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(z.*)), '[]')
        FROM (
          SELECT y.epoch, y.variant, pg_catalog.sum(y.units) AS units
          FROM (
            SELECT b.epoch, b.variant, b.units FROM post_audit.conversion_blocks AS b
            WHERE b.experiment = experiment_id AND b.hour >= since AND b.hour < through
            UNION ALL SELECT s.epoch, s.variant, s.units
              FROM pg_catalog.jsonb_to_recordset(former -> 'assigned') AS s (epoch integer, variant text, units bigint)
          ) AS y GROUP BY y.epoch, y.variant
        ) AS z
      ),
      'claims', (
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(z.*)), '[]')
        FROM (
          SELECT y.variant, y.delay_hours, pg_catalog.sum(y.claims) AS claims
          FROM (
            SELECT o.variant, o.delay_hours, o.converted AS claims FROM post_audit.conversion_outcomes AS o
            WHERE o.experiment = experiment_id AND o.hour >= since AND o.hour < through AND o.delay_hours <= 2 * window_hours
            UNION ALL SELECT s.variant, s.delay_hours, s.claims
              FROM pg_catalog.jsonb_to_recordset(former -> 'claims') AS s (variant text, delay_hours integer, claims bigint)
          ) AS y GROUP BY y.variant, y.delay_hours
        ) AS z
      ))
  WHERE r.experiment = experiment_id;
  RETURN pg_catalog.jsonb_build_object('kept', true);
END
$$;

-- Set an experiment's active variant, winner, allocation or window where they still are what the decision saw. The same for
-- the way back. The number of the allocation's epoch only grows, on the way back too: suppliers invited before a switch and
-- after its undo are never compared with one another. What it became stands in the change itself.
CREATE FUNCTION post_audit.change_experiment(
  key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  subject CONSTANT text := 'experiment:' || key;
  settable CONSTANT text[] := ARRAY[
    'status', 'active_variant', 'winner', 'allocation_basis_points', 'allocation_epoch', 'attribution_window_hours'];
  present record;
  state jsonb;
BEGIN
  IF wanted = '{}'::jsonb OR wanted - settable <> '{}'::jsonb THEN
    RAISE EXCEPTION 'A change of % may set % and nothing else; it has %.',
      subject, pg_catalog.array_to_string(settable, ', '), wanted
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  SELECT e.status, e.active_variant, e.winner, e.allocation_basis_points, e.allocation_epoch,
    e.attribution_window_hours
  INTO present
  FROM post_audit.experiments AS e
  WHERE e.id::text = key
  FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM post_audit.refuse_moved(subject, expected, NULL);
  END IF;

  state := pg_catalog.to_jsonb(present);
  -- Equal field by field: containment would take an allocation for equal that has grown by a variant.
  IF EXISTS (
    SELECT 1 FROM pg_catalog.jsonb_each(expected) AS x WHERE x.value IS DISTINCT FROM state -> x.key
  ) THEN
    PERFORM post_audit.refuse_moved(subject, expected, state);
  END IF;

  IF wanted ? 'allocation_epoch' AND (wanted ->> 'allocation_epoch')::integer <= present.allocation_epoch THEN
    wanted := wanted || pg_catalog.jsonb_build_object('allocation_epoch', present.allocation_epoch + 1);
    UPDATE post_audit.changes AS c SET after = c.after || wanted
    WHERE c.decision_id = change_experiment.decision_id AND c.subject = 'experiment:' || key;
  END IF;
  state := state || wanted;
  UPDATE post_audit.experiments AS e
  SET status = state ->> 'status',
    active_variant = state ->> 'active_variant',
    winner = state ->> 'winner',
    allocation_basis_points = state -> 'allocation_basis_points',
    allocation_epoch = (state ->> 'allocation_epoch')::integer,
    attribution_window_hours = (state ->> 'attribution_window_hours')::integer,
    version = change_experiment.version,
    updated_at = post_audit.clock()
  WHERE e.id::text = key;
END
$$;

-- The epoch of an allocation is known only when it has begun: tell n8n that one.
CREATE FUNCTION post_audit.finish_conversions(decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  UPDATE post_audit.outbox AS o
  SET payload = o.payload || pg_catalog.jsonb_build_object('allocation_epoch', e.allocation_epoch)
  FROM post_audit.experiments AS e
  WHERE o.decision_id = finish_conversions.decision_id AND o.channel = 'n8n_ab_update'
    AND o.subject = 'experiment:' || e.id AND o.state IN ('pending', 'demonstration')
    AND o.payload -> 'allocation_epoch' IS DISTINCT FROM pg_catalog.to_jsonb(e.allocation_epoch);
END
$$;

-- Carry out what a person decided about experiments: a decision like those of the step, in a run of its own. It
-- replaces what still waits for approval. With `held`, what the step would do against it ({"winner": ...}) rests for the
-- decision's `hold_days`. Refuses changes of anything but experiments.
CREATE FUNCTION public.post_audit_apply_experiment_by_hand(decision jsonb, actor text, held jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  new_run bigint;
  new_id bigint;
  remaining integer;
BEGIN
  IF EXISTS (
    SELECT 1 FROM pg_catalog.jsonb_array_elements(decision -> 'changes') AS c (value)
    WHERE c.value ->> 'subject' NOT LIKE 'experiment:%'
  ) THEN
    RAISE EXCEPTION 'Only experiments are changed this way.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE post_audit.changes AS c SET state = 'superseded'
  FROM post_audit.decisions AS d
  WHERE d.id = c.decision_id AND d.step = 'conversions' AND c.state = 'proposed';
  UPDATE post_audit.decisions AS d SET state = 'superseded' WHERE d.step = 'conversions' AND d.state = 'proposed';

  INSERT INTO post_audit.runs (tick, kind, state, steps, owner, as_of, lease_expires_at, finished_at)
  VALUES ('by hand ' || pg_catalog.gen_random_uuid(), 'step', 'completed', '["conversions"]', actor, post_audit.clock(),
    pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp())
  RETURNING id INTO new_run;
  INSERT INTO post_audit.decisions
    (run_id, step, mode, outcome, state, headline, reasons, numbers, next, messages, undo_messages, hold_days, actor, as_of)
  VALUES (new_run, 'conversions', 'act', 'act', 'applying', decision ->> 'headline', decision -> 'reasons',
    decision -> 'numbers', coalesce(decision ->> 'next', ''), decision -> 'messages', decision -> 'undo_messages',
    coalesce((decision ->> 'hold_days')::integer, 7), actor, post_audit.clock())
  RETURNING id INTO new_id;
  UPDATE post_audit.decisions AS d SET next = pg_catalog.replace(d.next, '{decision}', new_id::text) WHERE d.id = new_id;
  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, state)
  SELECT new_id, c.position, c.value ->> 'subject', c.value -> 'before', c.value -> 'after', 'pending'
  FROM pg_catalog.jsonb_array_elements(decision -> 'changes') WITH ORDINALITY AS c (value, position);
  remaining := post_audit.carry_out(new_id, 500);
  INSERT INTO post_audit.step_runs (run_id, step, state, decision_id, duration_ms)
  VALUES (new_run, 'conversions', 'decided', new_id, 0);
  IF held IS NOT NULL THEN
    INSERT INTO post_audit.holds AS h (subject, undone, held_at, until, decision_id)
    SELECT c.subject, held, post_audit.clock(),
      post_audit.clock() + pg_catalog.make_interval(days => d.hold_days), new_id
    FROM post_audit.changes AS c JOIN post_audit.decisions AS d ON d.id = c.decision_id
    WHERE c.decision_id = new_id
    ON CONFLICT (subject) DO UPDATE
      SET undone = EXCLUDED.undone, held_at = EXCLUDED.held_at, until = EXCLUDED.until, decision_id = EXCLUDED.decision_id;
  END IF;
  RETURN post_audit.answer(new_id, remaining);
END
$$;

-- The decisions that changed an experiment or proposed to, newest first: what each set, and from what.
CREATE FUNCTION public.post_audit_read_experiment_switches(experiment_id text, "limit" integer DEFAULT 50) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
      'decision_id', page.id, 'kind', page.kind, 'at', page.decided_at, 'headline', page.headline, 'actor', page.actor,
      'state', page.state, 'before', page.before, 'after', page.after,
      'undone_by', (SELECT max(u.id) FROM post_audit.decisions AS u WHERE u.undoes = page.id)
    ) ORDER BY page.id DESC), '[]')
  FROM (
    SELECT d.id, d.kind, d.decided_at, d.headline, d.actor, c.state, c.before, c.after
    FROM post_audit.changes AS c JOIN post_audit.decisions AS d ON d.id = c.decision_id
    WHERE c.subject = 'experiment:' || post_audit_read_experiment_switches.experiment_id
    ORDER BY d.id DESC
    LIMIT post_audit_read_experiment_switches."limit"
  ) AS page;
END;
