-- The queue of tasks as it is read: its order, its pages, one task with what happened to it.
--
-- A task has one of four states in `status`; finer ones stand in `disposition`. A kind is a status, a priority and a
-- category: within a kind the score falls with the moment of first sight, so one index lists each kind in its order, and
-- the queue is the merge of its kinds.

-- What a person has seen: it changes with everything that somebody may decide on, and with a direct edit too.
CREATE FUNCTION post_audit.task_version(status text, disposition text, priority text, owner text, updated_at timestamptz)
RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN left(md5(concat_ws(chr(31), status, coalesce(disposition, ''), priority, coalesce(owner, ''), updated_at)), 12);

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
      CASE WHEN NOT is_late AND k.status IN ('pending', 'in_progress')
        THEN as_of - make_interval(days => (scoring -> 'days_to_fix' ->> k.priority)::integer)
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
      AND (k.status IN ('pending', 'in_progress') OR is_late IS NOT TRUE)
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
    CROSS JOIN LATERAL (
      SELECT p.priority,
        CASE WHEN is_late THEN as_of - make_interval(days => (scoring -> 'days_to_fix' ->> p.priority)::integer)
          ELSE 'infinity' END AS seen_before,
        CASE WHEN NOT is_late AND s.status IN ('pending', 'in_progress')
          THEN as_of - make_interval(days => (scoring -> 'days_to_fix' ->> p.priority)::integer)
          ELSE '-infinity' END AS seen_from
      FROM unnest(priorities) AS p (priority)
      WHERE s.status IN ('pending', 'in_progress') OR is_late IS NOT TRUE
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
-- empty owner means nobody; late is true or false, and what is closed is not late. `scoring` is the policy. `after` is
-- `next` of the page before and holds the moment that the scores are of, so that pages fit together.
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
        AND (wanted ->> 'late')::boolean IS NOT TRUE
        AND (after IS NULL OR (t.completed_at, t.id) < ((after ->> 'key')::timestamptz,
          (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', after -> 'id'))).id))
      ORDER BY t.completed_at DESC, t.id DESC LIMIT "limit"
    ) AS page;
  ELSE
    SELECT coalesce(jsonb_agg(post_audit.task_as_json(to_jsonb(t)) || jsonb_build_object(
        'score', round((page.base + page.ageing + page.closeness)::numeric, 1), 'due_at', page.due_at,
        'late', page.due_at < as_of AND page.status IN ('pending', 'in_progress'),
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
