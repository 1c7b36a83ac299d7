-- What the pages ask besides: whether anything has changed, and tasks by their words.

-- A value that differs from the one before whenever anything has been committed in between: the snapshot itself. What
-- two equal snapshots see is the same, so nothing has to be counted, and a change by another program is noticed too.
CREATE FUNCTION public.post_audit_read_version() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN to_jsonb(pg_current_snapshot()::text);

-- Open tasks whose title, place, rule or source holds the words, the oldest first. Reads every open task once: 50 ms for 100,000.
CREATE FUNCTION public.post_audit_read_tasks_found(words text, "limit" integer DEFAULT 100) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  -- what somebody types is text, not a pattern
  pattern CONSTANT text := '%' || regexp_replace(words, '([\\%_])', '\\\1', 'g') || '%';
BEGIN
  PERFORM post_audit.require_roles('tasks');
  RETURN (
    SELECT jsonb_build_object('tasks', coalesce(jsonb_agg(post_audit.task_as_json(to_jsonb(f)) ORDER BY f.first_seen_at, f.id), '[]'),
      'as_of', (SELECT coalesce(m.as_of, now()) FROM post_audit.marketplace AS m))
    FROM (
      SELECT * FROM post_audit.tasks AS t
      WHERE t.status IN ('pending', 'in_progress')
        AND concat_ws(' ', t.title, t.location, t.rule, t.component, t.source, t.owner) ILIKE pattern
      ORDER BY t.first_seen_at, t.id LIMIT least(greatest(post_audit_read_tasks_found."limit", 1), 500)
    ) AS f);
END
$$;

-- How many tasks pass each of several filters (as of post_audit_read_tasks, each with `status`), by the names they come under.
CREATE FUNCTION public.post_audit_read_task_counts(filters jsonb, scoring jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_roles('tasks');
  RETURN (SELECT coalesce(jsonb_object_agg(f.name, post_audit.count_tasks(jsonb_strip_nulls(f.wanted),
      (SELECT coalesce(m.as_of, now()) FROM post_audit.marketplace AS m), scoring)), '{}')
    FROM jsonb_each(filters) AS f (name, wanted));
END
$$;
