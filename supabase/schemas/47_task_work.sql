-- The queue of tasks as it is worked on: who takes what, what a person says of it, and what comes back by itself. What
-- somebody does is one call, one transaction and one event.

-- A table of somebody's own may be without the columns that say who works on a task. It is listed, and not worked on.
CREATE FUNCTION post_audit.require_queue() RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  missing text;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  SELECT string_agg(a.attname, ', ' ORDER BY a.attname) INTO missing
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = to_regclass('post_audit.tasks')
    AND a.attname IN ('owner', 'lease_expires_at', 'accepted_until', 'duplicate_of', 'note')
    AND NOT pg_catalog.pg_column_is_updatable(a.attrelid, a.attnum, false);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'The table of the tasks has no column for: %.', missing
      USING ERRCODE = 'PT424', HINT = 'Add the columns to it, or name them: post-audit bind tasks TABLE --column owner=THEIRS';
  END IF;
END
$$;

-- Append what happened to one task. Only what differs is kept.
CREATE FUNCTION post_audit.note_task_event(
  task_id text, kind text, actor text, note text, before jsonb, after jsonb, happened_at timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  INSERT INTO post_audit.task_events (task_id, kind, actor, note, before, after, happened_at)
  VALUES (task_id, kind, actor, note,
    (SELECT jsonb_object_agg(b.key, b.value) FROM jsonb_each(before) AS b WHERE b.value IS DISTINCT FROM after -> b.key),
    (SELECT jsonb_object_agg(a.key, a.value) FROM jsonb_each(after) AS a WHERE a.value IS DISTINCT FROM before -> a.key),
    happened_at);
END
$$;

-- Give back what ran out: a lease without a sign of life, and a risk that was accepted until now.
CREATE FUNCTION post_audit.return_tasks("limit" integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  moment CONSTANT timestamptz := post_audit.clock();
  -- as a value: a condition with a clock in it walks through all leases that there are
  called_at CONSTANT timestamptz := clock_timestamp();
  task record;
  returned integer := 0;
BEGIN
  FOR task IN
    SELECT t.id, t.id::text AS name, t.owner FROM post_audit.tasks AS t
    WHERE t.lease_expires_at <= called_at
    ORDER BY t.lease_expires_at LIMIT "limit" FOR UPDATE SKIP LOCKED
  LOOP
    -- one that was finished by other means only loses its lease
    UPDATE post_audit.tasks AS t
    SET status = CASE t.status WHEN 'in_progress' THEN 'pending' ELSE t.status END,
      owner = CASE t.status WHEN 'in_progress' THEN NULL ELSE t.owner END, lease_expires_at = NULL, updated_at = moment
    WHERE t.id = task.id;
    PERFORM post_audit.note_task_event(task.name, 'lease_ended', 'protocol', 'No sign of life until the end of the lease.',
      jsonb_build_object('status', 'in_progress', 'owner', task.owner), '{"status": "pending", "owner": null}', moment);
    returned := returned + 1;
  END LOOP;
  FOR task IN
    SELECT t.id, t.id::text AS name, t.accepted_until FROM post_audit.tasks AS t
    WHERE t.accepted_until <= moment
    ORDER BY t.accepted_until LIMIT "limit" - returned FOR UPDATE SKIP LOCKED
  LOOP
    UPDATE post_audit.tasks AS t
    SET status = 'pending', disposition = 'reopened', accepted_until = NULL, completed_at = NULL, owner = NULL, updated_at = moment
    WHERE t.id = task.id AND t.status = 'cancelled' AND t.disposition = 'accepted';
    IF FOUND THEN
      PERFORM post_audit.note_task_event(task.name, 'acceptance_ended', 'protocol', 'The time that the risk was accepted for is over.',
        '{"status": "cancelled", "disposition": "accepted"}', '{"status": "pending", "disposition": "reopened"}', moment);
    ELSE
      UPDATE post_audit.tasks AS t SET accepted_until = NULL WHERE t.id = task.id;
    END IF;
    returned := returned + 1;
  END LOOP;
  RETURN returned;
END
$$;

-- Give back tasks whose lease ended and risks whose acceptance ended, at most `limit`; a person said until when.
CREATE FUNCTION public.post_audit_apply_returned_tasks("limit" integer DEFAULT 500) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  BEGIN
    PERFORM post_audit.require_queue();
  EXCEPTION WHEN SQLSTATE 'PT424' THEN
    RETURN '{"returned": 0}';
  END;
  RETURN jsonb_build_object('returned', post_audit.return_tasks("limit"));
END
$$;

-- Take the tasks with the highest scores for `owner`, at most `limit`, for `lease_seconds`. Nobody else gets them meanwhile;
-- without a sign of life (action `extend`) they go back when the lease ends. What is blocked or under review is not given out.
--
-- Within a kind the score falls with the moment of first sight, so the best of all is the best of the heads of the kinds:
-- one step in the index for each of about twenty. Plans are kept (a plan for each call took half of its time), and whether
-- the table has the columns of a queue is asked when nothing could be taken, not with each call.
CREATE FUNCTION public.post_audit_apply_claim_tasks(
  owner text, scoring jsonb, "limit" integer DEFAULT 1, lease_seconds integer DEFAULT 900, filters jsonb DEFAULT '{}'
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET plan_cache_mode = force_generic_plan
SET enable_bitmapscan = off SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  moment CONSTANT timestamptz := (SELECT coalesce(m.as_of, clock_timestamp()) FROM post_audit.marketplace AS m);
  -- as a value: a condition with a clock in it cannot be looked up in the index of leases
  called_at CONSTANT timestamptz := clock_timestamp();
  of_priorities CONSTANT text[] := CASE WHEN filters ? 'priority' THEN post_audit.texts(filters -> 'priority') END;
  of_categories CONSTANT text[] := CASE WHEN filters ? 'category' THEN post_audit.texts(filters -> 'category') END;
  of_source CONSTANT text := filters ->> 'source';
  of_owner CONSTANT text := filters ->> 'owner';
  of_dispositions CONSTANT text[] := CASE WHEN filters ? 'disposition' THEN post_audit.texts(filters -> 'disposition') END;
  is_late CONSTANT boolean := (filters ->> 'late')::boolean;
  per_day CONSTANT double precision := (scoring ->> 'age_points_per_day')::double precision;
  most_for_age CONSTANT double precision := (scoring ->> 'age_points_most')::double precision;
  due_points CONSTANT double precision := (scoring ->> 'due_points')::double precision;
  per_late_day CONSTANT double precision := (scoring ->> 'late_points_per_day')::double precision;
  most_for_lateness CONSTANT double precision := (scoring ->> 'late_points_most')::double precision;
  kind record;
  got jsonb;
  taken integer := 0;
  claimed jsonb := '[]';
BEGIN
  IF "limit" NOT BETWEEN 1 AND 100 OR lease_seconds NOT BETWEEN 1 AND 604800 OR btrim(post_audit_apply_claim_tasks.owner) = '' THEN
    RAISE EXCEPTION 'A claim names an owner and takes 1 to 100 tasks for 1 second to 7 days.'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF EXISTS (SELECT 1 FROM post_audit.tasks AS t WHERE t.lease_expires_at <= called_at)
    OR EXISTS (SELECT 1 FROM post_audit.tasks AS t WHERE t.accepted_until <= moment)
  THEN
    PERFORM post_audit.return_tasks(100);
  END IF;
  <<every>>
  WHILE taken < "limit" LOOP
    -- the best of each kind, the best kind first; where others hold all of a kind, the next one
    FOR kind IN
      WITH RECURSIVE heads AS (
        (SELECT t.priority, t.category, t.first_seen_at FROM post_audit.tasks AS t
        WHERE t.status = 'pending' AND (t.disposition IS NULL OR t.disposition NOT IN ('review', 'blocked'))
          AND (of_dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (of_dispositions))
          AND (of_source IS NULL OR t.source = of_source)
          AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
          AND (is_late IS NULL
            OR is_late = (t.first_seen_at < moment - make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer)))
        ORDER BY t.priority, t.category, t.first_seen_at, t.id LIMIT 1)
        UNION ALL
        SELECT n.priority, n.category, n.first_seen_at FROM heads AS k
        CROSS JOIN LATERAL (
          SELECT t.priority, t.category, t.first_seen_at FROM post_audit.tasks AS t
          WHERE t.status = 'pending' AND (t.priority, t.category) > (k.priority, k.category)
            AND (t.disposition IS NULL OR t.disposition NOT IN ('review', 'blocked'))
            AND (of_dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (of_dispositions))
            AND (of_source IS NULL OR t.source = of_source)
            AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
            AND (is_late IS NULL
              OR is_late = (t.first_seen_at < moment - make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer)))
          ORDER BY t.priority, t.category, t.first_seen_at, t.id LIMIT 1
        ) AS n
      )
      SELECT h.priority, h.category
      FROM heads AS h
      CROSS JOIN LATERAL (
        SELECT (scoring -> 'points' ->> h.priority)::double precision
            * coalesce((scoring -> 'impact' ->> h.category)::double precision, 1) AS base,
          (scoring -> 'days_to_fix' ->> h.priority)::double precision AS days
      ) AS w
      CROSS JOIN LATERAL (SELECT greatest(extract(epoch FROM moment - h.first_seen_at)::double precision / 86400, 0) AS days) AS a
      WHERE (of_priorities IS NULL OR h.priority = ANY (of_priorities))
        AND (of_categories IS NULL OR h.category = ANY (of_categories))
      -- the score, as in queue_candidates
      ORDER BY w.base + least(a.days * per_day, most_for_age)
          + CASE WHEN a.days <= w.days / 2 THEN 0
              WHEN a.days <= w.days THEN due_points * (a.days * 2 / w.days - 1)
              ELSE due_points + least((a.days - w.days) * per_late_day, most_for_lateness) END DESC,
        h.first_seen_at, h.priority, h.category
    LOOP
      WITH picked AS MATERIALIZED (
        SELECT t.id, t.first_seen_at FROM post_audit.tasks AS t
        WHERE t.status = 'pending' AND t.priority = kind.priority AND t.category = kind.category
          AND (t.disposition IS NULL OR t.disposition NOT IN ('review', 'blocked'))
          AND (of_dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (of_dispositions))
          AND (of_source IS NULL OR t.source = of_source)
          AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
          AND (is_late IS NULL
            OR is_late = (t.first_seen_at < moment - make_interval(days => (scoring -> 'days_to_fix' ->> kind.priority)::integer)))
        ORDER BY t.first_seen_at, t.id LIMIT "limit" - taken FOR UPDATE SKIP LOCKED
      ), changed AS (
        -- of one kind and one age is of one score; for a younger one the kinds are compared again
        UPDATE post_audit.tasks AS t
        SET status = 'in_progress', owner = post_audit_apply_claim_tasks.owner, updated_at = moment,
          lease_expires_at = called_at + make_interval(secs => lease_seconds)
        FROM picked AS p
        WHERE t.id = p.id AND p.first_seen_at = (SELECT min(o.first_seen_at) FROM picked AS o)
        RETURNING t.*
      ), noted AS (
        INSERT INTO post_audit.task_events (task_id, kind, actor, before, after, happened_at)
        SELECT c.id::text, 'claimed', post_audit_apply_claim_tasks.owner, '{"status": "pending", "owner": null}',
          jsonb_build_object('status', 'in_progress', 'owner', post_audit_apply_claim_tasks.owner), moment
        FROM changed AS c
      )
      SELECT jsonb_agg(to_jsonb(c) || jsonb_build_object('version',
        post_audit.task_version(c.status, c.disposition, c.priority, c.owner, c.updated_at)) ORDER BY c.id)
      INTO got FROM changed AS c;
      IF got IS NOT NULL THEN
        claimed := claimed || got;
        taken := taken + jsonb_array_length(got);
        CONTINUE every;
      END IF;
    END LOOP;
    EXIT every;
  END LOOP;
  IF taken = 0 THEN
    PERFORM post_audit.require_queue();
  END IF;
  RETURN jsonb_build_object('tasks', claimed);
EXCEPTION WHEN undefined_table OR feature_not_supported OR object_not_in_prerequisite_state THEN
  -- says which table or which column is missing
  PERFORM post_audit.require_queue();
  RAISE;
END
$$;

-- What one person does with one task. See post_audit_apply_task_action.
CREATE FUNCTION post_audit.act_on_task(
  task_id text, action text, actor text, note text, until timestamptz, keep text, priority text, lease_seconds integer, seen text
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
#variable_conflict use_column
DECLARE
  moment CONSTANT timestamptz := post_audit.clock();
  open_states CONSTANT text[] := ARRAY['pending', 'in_progress'];
  said CONSTANT text := nullif(btrim(act_on_task.note), '');
  task record;
  target record;
  takes text[];
  kind text;
  version text;
  n_status text; n_disposition text; n_owner text; n_lease timestamptz; n_until timestamptz; n_duplicate text; n_priority text;
  before jsonb;
  after jsonb;
BEGIN
  SELECT t.id, t.status, t.disposition, t.priority, t.owner, t.lease_expires_at, t.accepted_until, t.duplicate_of::text AS duplicate_of,
    t.updated_at INTO task
  FROM post_audit.tasks AS t
  WHERE t.id = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', act_on_task.task_id))).id FOR UPDATE;
  IF task.id IS NULL THEN
    RAISE EXCEPTION 'There is no task %.', act_on_task.task_id
      USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit tasks list.';
  END IF;
  version := post_audit.task_version(task.status, task.disposition, task.priority, task.owner, task.updated_at);
  IF act_on_task.seen IS NOT NULL AND act_on_task.seen <> version THEN
    RAISE EXCEPTION 'Task % has changed since it was read; nothing was done.', act_on_task.task_id
      USING ERRCODE = 'PT409', DETAIL = format('version %s was read, it is %s', seen, version),
        HINT = format('Look again: post-audit tasks show %s', act_on_task.task_id);
  END IF;
  takes := CASE
    WHEN action IN ('extend', 'release') THEN ARRAY['in_progress']
    WHEN action = 'reopen' THEN ARRAY['completed', 'cancelled']
    WHEN action = 'confirm' THEN ARRAY['pending']
    ELSE open_states END;
  IF NOT task.status = ANY (takes) OR (action = 'confirm' AND task.disposition IS DISTINCT FROM 'review') THEN
    RAISE EXCEPTION 'Task % is % and cannot be changed by %.', act_on_task.task_id,
      concat_ws(', ', replace(task.status, '_', ' '), replace(task.disposition, '_', ' ')), action
      USING ERRCODE = 'PT409', HINT = CASE
        WHEN action = 'confirm' THEN 'Only what waits for review is confirmed.'
        WHEN task.status IN ('completed', 'cancelled') THEN format('Reopen it first: post-audit tasks reopen %s', act_on_task.task_id)
        ELSE format('Look at it: post-audit tasks show %s', act_on_task.task_id) END;
  END IF;
  IF task.status = 'in_progress' AND task.owner <> act_on_task.actor
    AND (action IN ('extend', 'release') OR task.lease_expires_at > clock_timestamp()) AND action <> 'prioritise'
  THEN
    RAISE EXCEPTION 'Task % belongs to %.', act_on_task.task_id,
      task.owner || coalesce(' until ' || to_char(task.lease_expires_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC', '')
      USING ERRCODE = 'PT409', HINT = 'Wait for the end of the lease, or let its owner release it.';
  END IF;
  IF action IN ('block', 'accept') AND said IS NULL THEN
    RAISE EXCEPTION 'A task is not put aside without a reason.'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in `note` (--note).';
  END IF;
  IF action = 'accept' AND (until IS NULL OR until <= moment OR until > moment + interval '366 days') THEN
    RAISE EXCEPTION 'A risk is accepted until a day within the next 366; it comes back then.'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day in `until` (--until 2026-03-31).';
  END IF;
  IF action = 'prioritise' AND (act_on_task.priority IS NULL OR act_on_task.priority NOT IN ('critical', 'high', 'medium', 'low')) THEN
    RAISE EXCEPTION 'A priority is critical, high, medium or low.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF action IN ('start', 'extend') AND coalesce(lease_seconds, 1) NOT BETWEEN 1 AND 604800 THEN
    RAISE EXCEPTION 'A lease takes 1 second to 7 days.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF action = 'merge' THEN
    SELECT t.id, t.id::text AS name, t.status, t.disposition INTO target FROM post_audit.tasks AS t
    WHERE t.id = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', act_on_task.keep))).id FOR SHARE;
    IF target.id IS NULL OR target.id = task.id OR target.disposition IN ('duplicate', 'false_positive') THEN
      RAISE EXCEPTION 'Task % cannot be merged into %.', act_on_task.task_id, coalesce(act_on_task.keep, 'nothing')
        USING ERRCODE = 'invalid_parameter_value',
          HINT = 'Name another task that is there and is itself neither a duplicate nor a false positive.';
    END IF;
  END IF;

  n_status := task.status; n_disposition := task.disposition; n_owner := task.owner; n_lease := task.lease_expires_at;
  n_until := NULL; n_duplicate := task.duplicate_of; n_priority := task.priority; kind := action;
  CASE action
    WHEN 'start' THEN
      n_status := 'in_progress'; n_owner := actor; n_lease := NULL;
      n_disposition := CASE WHEN task.disposition IN ('blocked', 'review') THEN NULL ELSE task.disposition END;
    WHEN 'extend' THEN
      n_lease := clock_timestamp() + make_interval(secs => coalesce(lease_seconds, 900)); kind := NULL;
    WHEN 'release' THEN
      n_status := 'pending'; n_owner := NULL; n_lease := NULL;
    WHEN 'block' THEN
      n_status := 'pending'; n_disposition := 'blocked'; n_lease := NULL;
    WHEN 'confirm' THEN
      n_disposition := NULL;
    WHEN 'done' THEN
      n_status := 'completed'; n_disposition := NULL; n_lease := NULL; n_owner := coalesce(task.owner, actor);
    WHEN 'cancel' THEN
      n_status := 'cancelled'; n_disposition := NULL; n_lease := NULL;
    WHEN 'accept' THEN
      n_status := 'cancelled'; n_disposition := 'accepted'; n_lease := NULL; n_until := until;
    WHEN 'false_positive' THEN
      n_status := 'cancelled'; n_disposition := 'false_positive'; n_lease := NULL;
    WHEN 'merge' THEN
      n_status := 'cancelled'; n_disposition := 'duplicate'; n_lease := NULL; n_duplicate := target.name;
    WHEN 'reopen' THEN
      n_status := 'pending'; n_disposition := 'reopened'; n_owner := NULL; n_lease := NULL; n_duplicate := NULL;
    WHEN 'prioritise' THEN
      n_priority := act_on_task.priority;
    ELSE
      RAISE EXCEPTION 'Nothing is known by the name of %.', action USING ERRCODE = 'invalid_parameter_value',
        HINT = 'Actions: start, extend, release, block, confirm, done, cancel, accept, false_positive, merge, reopen, prioritise.';
  END CASE;
  before := jsonb_build_object('status', task.status, 'disposition', task.disposition, 'priority', task.priority, 'owner', task.owner,
    'accepted_until', task.accepted_until, 'duplicate_of', task.duplicate_of);
  after := jsonb_build_object('status', n_status, 'disposition', n_disposition, 'priority', n_priority, 'owner', n_owner,
    'accepted_until', n_until, 'duplicate_of', n_duplicate);
  UPDATE post_audit.tasks AS t
  SET status = n_status, disposition = n_disposition, priority = n_priority, owner = n_owner, lease_expires_at = n_lease,
    accepted_until = n_until,
    duplicate_of = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('duplicate_of', n_duplicate))).duplicate_of,
    note = coalesce(said, t.note),
    completed_at = CASE WHEN NOT n_status = ANY (open_states) THEN coalesce(t.completed_at, moment) END,
    updated_at = CASE WHEN kind IS NULL THEN t.updated_at ELSE moment END
  WHERE t.id = task.id;
  IF kind IS NOT NULL THEN
    PERFORM post_audit.note_task_event(act_on_task.task_id, CASE kind
        WHEN 'start' THEN 'started' WHEN 'release' THEN 'released' WHEN 'block' THEN 'blocked' WHEN 'confirm' THEN 'confirmed'
        WHEN 'done' THEN 'completed' WHEN 'cancel' THEN 'cancelled' WHEN 'accept' THEN 'accepted' WHEN 'merge' THEN 'merged'
        WHEN 'reopen' THEN 'reopened' WHEN 'prioritise' THEN 'prioritised' ELSE kind END,
      actor, said, before, after, moment);
  END IF;
  RETURN (SELECT post_audit.task_as_json(to_jsonb(t)) FROM post_audit.tasks AS t WHERE t.id = task.id);
END
$$;

-- What a person (or a worker) does with tasks: start, extend a lease, release, block, confirm what was under review,
-- done, cancel, accept the risk until a day, false_positive, merge into the task `keep`, reopen, prioritise. With `seen`, the version
-- that was read, only where nothing has changed since. One task is done or refused; of several, at most 500, each
-- stands for itself: `refused` says which were left as they were, and why.
CREATE FUNCTION public.post_audit_apply_task_action(
  ids jsonb, action text, actor text, note text DEFAULT NULL, until timestamptz DEFAULT NULL, keep text DEFAULT NULL,
  priority text DEFAULT NULL, lease_seconds integer DEFAULT NULL, seen text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  task_id text;
  hint text;
  tasks jsonb := '[]';
  refused jsonb := '[]';
BEGIN
  PERFORM post_audit.require_queue();
  IF jsonb_typeof(ids) <> 'array' OR jsonb_array_length(ids) NOT BETWEEN 1 AND 500 OR btrim(actor) = '' THEN
    RAISE EXCEPTION 'An action names who acts and 1 to 500 tasks.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF jsonb_array_length(ids) = 1 THEN
    RETURN jsonb_build_object('refused', '[]'::jsonb, 'tasks', jsonb_build_array(
      post_audit.act_on_task(ids ->> 0, action, actor, note, until, keep, priority, lease_seconds, seen)));
  END IF;
  -- in one order, so that two of these do not wait for each other
  FOR task_id IN SELECT DISTINCT e.value FROM jsonb_array_elements_text(ids) AS e (value) ORDER BY e.value LOOP
    BEGIN
      tasks := tasks || jsonb_build_array(
        post_audit.act_on_task(task_id, action, actor, note, until, keep, priority, lease_seconds, NULL));
    EXCEPTION WHEN SQLSTATE 'PT409' OR no_data_found OR data_exception THEN
      GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
      refused := refused || jsonb_build_array(jsonb_build_object('id', task_id, 'message', SQLERRM, 'cure', hint));
    END;
  END LOOP;
  RETURN jsonb_build_object('tasks', tasks, 'refused', refused);
END
$$;
