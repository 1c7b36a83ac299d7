-- The queue of tasks: who takes what, what a person says of it, and what is told about all of it.
--
-- A task has one of four states in `status`; finer ones stand in `disposition`. What somebody does is one call, one
-- transaction and one event. A kind is a status, a priority and a category: within a kind the score falls with the
-- moment of first sight, so one index lists each kind in its order, and the queue is the merge of its kinds.

-- What a person has seen: it changes with everything that somebody may decide on, and with a direct edit too.
CREATE FUNCTION post_audit.task_version(status text, disposition text, priority text, owner text, updated_at timestamptz)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN left(md5(concat_ws(chr(31), status, coalesce(disposition, ''), priority, coalesce(owner, ''), updated_at)), 12);

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

-- A list of texts; null for none.
CREATE FUNCTION post_audit.texts(list jsonb) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN CASE WHEN jsonb_typeof(list) = 'array' THEN ARRAY(SELECT e.value FROM jsonb_array_elements_text(list) AS e (value)) END;

-- The first `per_kind` tasks of each kind that pass the filters and stand after the place `after`, with their score as of
-- `as_of`. `key` is what the queue is ordered by: then by first sight, kind, and place within the kind.
--
--   score      = points of the priority * impact of the category + ageing + closeness
--   ageing     = days since first sight * points a day, up to a limit
--   closeness  = rises from half the time to fix until its end, then further with each day that it is late
--
-- Bitmaps and sorts are ruled out: on a queue that was just filled the planner takes a kind for a few rows.
CREATE FUNCTION post_audit.queue_candidates(
  filters jsonb, per_kind integer, after jsonb, as_of timestamptz, scoring jsonb, by_age boolean
) RETURNS TABLE (
  id text, key double precision, first_seen_at timestamptz, status text, priority text, category text, place bigint,
  base double precision, ageing double precision, closeness double precision, due_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
SET enable_bitmapscan = off SET enable_seqscan = off SET enable_sort = off SET jit = off ROWS 500 AS $$
#variable_conflict use_column
DECLARE
  -- looked up once and not for each of 100,000 tasks
  dispositions CONSTANT text[] := post_audit.texts(filters -> 'disposition');
  other_dispositions CONSTANT text[] := coalesce(post_audit.texts(filters -> 'not_disposition'), '{}');
  of_source CONSTANT text := filters ->> 'source';
  of_owner CONSTANT text := filters ->> 'owner';
  is_late CONSTANT boolean := (filters ->> 'late')::boolean;
BEGIN
  RETURN QUERY
  WITH RECURSIVE kinds AS (
    (SELECT t.status, t.priority, t.category FROM post_audit.tasks AS t ORDER BY t.status, t.priority, t.category LIMIT 1)
    UNION ALL
    SELECT n.status, n.priority, n.category FROM kinds AS k
    CROSS JOIN LATERAL (
      SELECT t.status, t.priority, t.category FROM post_audit.tasks AS t
      WHERE (t.status, t.priority, t.category) > (k.status, k.priority, k.category)
      ORDER BY t.status, t.priority, t.category LIMIT 1
    ) AS n
  ), weighed AS (
    SELECT k.status, k.priority, k.category,
      CASE WHEN is_late THEN as_of - make_interval(days => (scoring -> 'days_to_fix' ->> k.priority)::integer)
        ELSE 'infinity' END AS seen_before,
      CASE WHEN NOT is_late THEN as_of - make_interval(days => (scoring -> 'days_to_fix' ->> k.priority)::integer)
        ELSE '-infinity' END AS seen_from,
      (scoring -> 'points' ->> k.priority)::double precision
        * coalesce((scoring -> 'impact' ->> k.category)::double precision, 1) AS base,
      (scoring -> 'days_to_fix' ->> k.priority)::double precision AS days,
      (scoring ->> 'age_points_per_day')::double precision AS per_day,
      (scoring ->> 'age_points_most')::double precision AS most_for_age,
      (scoring ->> 'due_points')::double precision AS due_points,
      (scoring ->> 'late_points_per_day')::double precision AS per_late_day,
      (scoring ->> 'late_points_most')::double precision AS most_for_lateness
    FROM kinds AS k
    WHERE (filters -> 'status') ? k.status
      AND (filters -> 'priority' IS NULL OR filters -> 'priority' ? k.priority)
      AND (filters -> 'category' IS NULL OR filters -> 'category' ? k.category)
  )
  SELECT c.id::text, c.key, c.first_seen_at, w.status, w.priority, w.category, c.place, w.base, c.ageing, c.closeness,
    c.first_seen_at + make_interval(secs => w.days * 86400)
  FROM weighed AS w
  CROSS JOIN LATERAL (
    SELECT s.id, s.key, s.first_seen_at, s.ageing, s.closeness, row_number() OVER () AS place
    FROM (
      SELECT p.id, p.first_seen_at, p.ageing, p.closeness,
        CASE WHEN by_age THEN extract(epoch FROM p.first_seen_at)::double precision ELSE -(w.base + p.ageing + p.closeness) END AS key
      FROM (
        SELECT t.id, t.first_seen_at,
          least(a.days * w.per_day, w.most_for_age) AS ageing,
          CASE WHEN a.days <= w.days / 2 THEN 0
            WHEN a.days <= w.days THEN w.due_points * (a.days * 2 / w.days - 1)
            ELSE w.due_points + least((a.days - w.days) * w.per_late_day, w.most_for_lateness) END AS closeness
        FROM post_audit.tasks AS t
        CROSS JOIN LATERAL (
          SELECT greatest(extract(epoch FROM as_of - t.first_seen_at)::double precision / 86400, 0) AS days
        ) AS a
        WHERE t.status = w.status AND t.priority = w.priority AND t.category = w.category
          AND t.first_seen_at < w.seen_before AND t.first_seen_at >= w.seen_from
          AND (dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (dispositions))
          AND coalesce(t.disposition, 'none') <> ALL (other_dispositions)
          AND (of_source IS NULL OR t.source = of_source)
          AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
        ORDER BY t.first_seen_at, t.id
      ) AS p
    ) AS s
    WHERE after IS NULL
      OR (s.key, s.first_seen_at, w.status, w.priority, w.category) > ((after ->> 'key')::double precision,
        (after ->> 'first_seen_at')::timestamptz, after ->> 'status', after ->> 'priority', after ->> 'category')
      OR ((s.key, s.first_seen_at, w.status, w.priority, w.category) = ((after ->> 'key')::double precision,
        (after ->> 'first_seen_at')::timestamptz, after ->> 'status', after ->> 'priority', after ->> 'category')
        AND s.id > (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', after -> 'id'))).id)
    LIMIT per_kind
  ) AS c;
END
$$;

-- The score of one task. The same rule as in queue_candidates, which has it in line instead of one call for each of some
-- thousand candidates.
CREATE FUNCTION post_audit.score_task(
  priority text, category text, first_seen_at timestamptz, as_of timestamptz, scoring jsonb
) RETURNS TABLE (base double precision, ageing double precision, closeness double precision, due_at timestamptz)
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT w.base, least(w.age * w.per_day, w.most_for_age),
    CASE WHEN w.age <= w.days / 2 THEN 0
      WHEN w.age <= w.days THEN w.due_points * (w.age * 2 / w.days - 1)
      ELSE w.due_points + least((w.age - w.days) * w.per_late_day, w.most_for_lateness) END,
    score_task.first_seen_at + make_interval(secs => w.days * 86400)
  FROM (SELECT
    (scoring -> 'points' ->> score_task.priority)::double precision
      * coalesce((scoring -> 'impact' ->> score_task.category)::double precision, 1) AS base,
    (scoring -> 'days_to_fix' ->> score_task.priority)::double precision AS days,
    (scoring ->> 'age_points_per_day')::double precision AS per_day,
    (scoring ->> 'age_points_most')::double precision AS most_for_age,
    (scoring ->> 'due_points')::double precision AS due_points,
    (scoring ->> 'late_points_per_day')::double precision AS per_late_day,
    (scoring ->> 'late_points_most')::double precision AS most_for_lateness,
    greatest(extract(epoch FROM score_task.as_of - score_task.first_seen_at)::double precision / 86400, 0) AS age
  ) AS w;
END;

-- How many tasks pass the filters, read from the index alone.
CREATE FUNCTION post_audit.count_tasks(filters jsonb, as_of timestamptz, scoring jsonb) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  statuses CONSTANT text[] := post_audit.texts(filters -> 'status');
  priorities CONSTANT text[] := coalesce(post_audit.texts(filters -> 'priority'), ARRAY['critical', 'high', 'medium', 'low']);
  categories CONSTANT text[] := post_audit.texts(filters -> 'category');
  dispositions CONSTANT text[] := post_audit.texts(filters -> 'disposition');
  other_dispositions CONSTANT text[] := coalesce(post_audit.texts(filters -> 'not_disposition'), '{}');
  of_source CONSTANT text := filters ->> 'source';
  of_owner CONSTANT text := filters ->> 'owner';
  is_late CONSTANT boolean := (filters ->> 'late')::boolean;
BEGIN
  RETURN (
    SELECT coalesce(sum(c.n), 0)
    FROM unnest(statuses) AS s (status)
    CROSS JOIN (
      SELECT p.priority,
        CASE WHEN is_late THEN as_of - make_interval(days => (scoring -> 'days_to_fix' ->> p.priority)::integer)
          ELSE 'infinity' END AS seen_before,
        CASE WHEN NOT is_late THEN as_of - make_interval(days => (scoring -> 'days_to_fix' ->> p.priority)::integer)
          ELSE '-infinity' END AS seen_from
      FROM unnest(priorities) AS p (priority)
    ) AS w
    CROSS JOIN LATERAL (
      SELECT count(*) AS n FROM post_audit.tasks AS t
      WHERE t.status = s.status AND t.priority = w.priority AND t.first_seen_at < w.seen_before AND t.first_seen_at >= w.seen_from
        AND (categories IS NULL OR t.category = ANY (categories))
        AND (dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (dispositions))
        AND coalesce(t.disposition, 'none') <> ALL (other_dispositions)
        AND (of_source IS NULL OR t.source = of_source)
        AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
    ) AS c
  );
END
$$;

-- A task as the API tells it, without its score.
CREATE FUNCTION post_audit.task_as_json(task jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN task || jsonb_build_object('version', post_audit.task_version(
  task ->> 'status', task ->> 'disposition', task ->> 'priority', task ->> 'owner', (task ->> 'updated_at')::timestamptz));

-- A page of tasks, the highest score first (`sort` score), the oldest (`age`), or what was closed last (`recent`). `filters`: status,
-- disposition (`none` for those without), not_disposition, priority and category are lists; source and owner texts, an
-- empty owner means nobody; late is true or false. `scoring` is the policy. `after` is `next` of the page before and
-- holds the moment that the scores are of, so that pages fit together.
CREATE FUNCTION public.post_audit_read_tasks(
  scoring jsonb, filters jsonb DEFAULT '{}', sort text DEFAULT 'score', "limit" integer DEFAULT 100, after jsonb DEFAULT NULL,
  counted boolean DEFAULT true
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  as_of CONSTANT timestamptz := coalesce((after ->> 'as_of')::timestamptz, (SELECT coalesce(m.as_of, now()) FROM post_audit.marketplace AS m));
  wanted CONSTANT jsonb := '{"status": ["pending", "in_progress", "completed", "cancelled"]}'::jsonb || jsonb_strip_nulls(filters);
  tasks jsonb;
  last_place jsonb;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  IF "limit" NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'A page holds 1 to 1000 tasks, not %.', "limit" USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF sort NOT IN ('score', 'age', 'recent') THEN
    RAISE EXCEPTION 'Tasks are sorted by score, age or recent, not by %.', sort USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF after IS NOT NULL AND NOT after ?& ARRAY['as_of', 'sort', 'key', 'first_seen_at', 'status', 'priority', 'category', 'id']
    OR after ->> 'sort' <> sort
  THEN
    RAISE EXCEPTION 'The place to go on from is not one of this list: %.', after
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give `next` of the page before, unchanged.';
  END IF;
  IF sort = 'recent' THEN
    SELECT coalesce(jsonb_agg(post_audit.task_as_json(page.task) || jsonb_build_object('score', NULL) ORDER BY page.place), '[]'),
      CASE WHEN count(*) = "limit" THEN (array_agg(jsonb_build_object('as_of', as_of, 'sort', sort,
        'key', page.completed_at, 'first_seen_at', page.task -> 'first_seen_at', 'status', page.task -> 'status',
        'priority', page.task -> 'priority', 'category', page.task -> 'category', 'id', page.task -> 'id') ORDER BY page.place DESC))[1] END
    INTO tasks, last_place
    FROM (
      SELECT to_jsonb(t) AS task, t.completed_at, row_number() OVER (ORDER BY t.completed_at DESC, t.id DESC) AS place
      FROM post_audit.tasks AS t
      WHERE t.completed_at IS NOT NULL AND wanted -> 'status' ? t.status AND t.status IN ('completed', 'cancelled')
        AND (wanted -> 'priority' IS NULL OR wanted -> 'priority' ? t.priority)
        AND (wanted -> 'category' IS NULL OR wanted -> 'category' ? t.category)
        AND (wanted -> 'disposition' IS NULL OR wanted -> 'disposition' ? coalesce(t.disposition, 'none'))
        AND (wanted -> 'not_disposition' IS NULL OR NOT wanted -> 'not_disposition' ? coalesce(t.disposition, 'none'))
        AND (wanted ->> 'source' IS NULL OR t.source = wanted ->> 'source')
        AND (wanted ->> 'owner' IS NULL OR coalesce(t.owner, '') = wanted ->> 'owner')
        AND (after IS NULL OR (t.completed_at, t.id) < ((after ->> 'key')::timestamptz,
          (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', after -> 'id'))).id))
      ORDER BY t.completed_at DESC, t.id DESC LIMIT "limit"
    ) AS page;
  ELSE
    SELECT coalesce(jsonb_agg(post_audit.task_as_json(to_jsonb(t)) || jsonb_build_object(
        'score', round((page.base + page.ageing + page.closeness)::numeric, 1), 'due_at', page.due_at, 'late', page.due_at < as_of,
        'score_parts', jsonb_build_object('base', round(page.base::numeric, 1), 'ageing', round(page.ageing::numeric, 1),
          'closeness', round(page.closeness::numeric, 1))) ORDER BY page.number), '[]'),
      CASE WHEN count(*) = "limit" THEN (array_agg(jsonb_build_object('as_of', as_of, 'sort', sort, 'key', page.key,
        'first_seen_at', page.first_seen_at, 'status', page.status, 'priority', page.priority, 'category', page.category,
        'id', t.id) ORDER BY page.number DESC))[1] END
    INTO tasks, last_place
    FROM (
      SELECT c.*, row_number() OVER (ORDER BY c.key, c.first_seen_at, c.status, c.priority, c.category, c.place) AS number
      FROM post_audit.queue_candidates(wanted, "limit", after, as_of, scoring, sort = 'age') AS c
      ORDER BY c.key, c.first_seen_at, c.status, c.priority, c.category, c.place LIMIT "limit"
    ) AS page
    JOIN post_audit.tasks AS t ON t.id = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', page.id))).id;
  END IF;
  RETURN jsonb_build_object('tasks', tasks, 'next', last_place, 'as_of', as_of,
    'count', CASE WHEN counted THEN post_audit.count_tasks(wanted, as_of, scoring) END);
END
$$;

-- One task with its newest events, the newest first; those before `before_event` on the following page.
CREATE FUNCTION public.post_audit_read_task(
  task_id text, scoring jsonb, events_limit integer DEFAULT 50, before_event bigint DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  as_of CONSTANT timestamptz := (SELECT coalesce(m.as_of, now()) FROM post_audit.marketplace AS m);
  task jsonb;
  score record;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  SELECT post_audit.task_as_json(to_jsonb(t)) INTO task FROM post_audit.tasks AS t
  WHERE t.id = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', task_id))).id;
  IF task IS NULL THEN
    RAISE EXCEPTION 'There is no task %.', task_id USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit tasks list.';
  END IF;
  SELECT w.base, w.ageing, w.closeness, w.due_at INTO score
  FROM post_audit.score_task(task ->> 'priority', task ->> 'category', (task ->> 'first_seen_at')::timestamptz, as_of, scoring) AS w;
  RETURN jsonb_build_object(
    'task', task || jsonb_build_object(
      'score', round((score.base + score.ageing + score.closeness)::numeric, 1), 'due_at', score.due_at,
      'late', score.due_at < as_of AND task ->> 'status' IN ('pending', 'in_progress'),
      'score_parts', jsonb_build_object('base', round(score.base::numeric, 1), 'ageing', round(score.ageing::numeric, 1),
        'closeness', round(score.closeness::numeric, 1))),
    'events', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', e.id, 'kind', e.kind, 'actor', coalesce(e.actor, 'import'), 'note', e.note, 'before', e.before, 'after', e.after,
        'audit_id', e.audit_id, 'audit', a.name, 'decision_id', e.decision_id, 'happened_at', e.happened_at) ORDER BY e.id DESC), '[]')
      FROM (
        SELECT * FROM post_audit.task_events AS n
        WHERE n.task_id = post_audit_read_task.task_id AND (before_event IS NULL OR n.id < before_event)
        ORDER BY n.id DESC LIMIT events_limit
      ) AS e LEFT JOIN post_audit.audits AS a ON a.id = e.audit_id));
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
