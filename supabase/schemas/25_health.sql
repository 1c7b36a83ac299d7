-- What the doctor looks at: who we are here, who else may come in, what is bound, and how each step stands.

-- Who of Supabase's public roles, or everybody, may do something with a relation or function of ours.
CREATE FUNCTION post_audit.outsiders() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT r.name FROM (VALUES ('public'), ('anon'), ('authenticated')) AS r (name)
  WHERE r.name = 'public' OR to_regrole(r.name) IS NOT NULL;
END;

-- What is open that should not be. `unsecured`: tables of ours without row level security or without a policy. `readable`:
-- relations of schema public that an owner has opened for reading, as a marketplace's own pages may need it. `exposed`:
-- relations that outsiders may change, or that lie in schema post_audit, and functions that they may call.
CREATE FUNCTION post_audit.access_as_json() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  WITH ours AS (
    SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relrowsecurity, n.nspname
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'p') AND (n.nspname = 'post_audit'
      OR (n.nspname = 'public' AND pg_catalog.obj_description(c.oid, 'pg_class') LIKE 'Post-Audit Protocol: %'))
  ), open_relations AS (
    SELECT o.name, o.nspname, who.name AS outsider,
      has_table_privilege(who.name, o.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS is_writable
    FROM ours AS o CROSS JOIN post_audit.outsiders() AS who (name)
    WHERE has_table_privilege(who.name, o.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
  ), open_functions AS (
    SELECT f.identity AS name, who.name AS outsider
    FROM post_audit.installed_functions AS f CROSS JOIN post_audit.outsiders() AS who (name)
    WHERE to_regprocedure(f.identity) IS NOT NULL AND has_function_privilege(who.name, to_regprocedure(f.identity), 'EXECUTE')
  )
  SELECT jsonb_build_object(
    'unsecured', (SELECT coalesce(jsonb_agg(o.name ORDER BY o.name), '[]') FROM ours AS o
      WHERE o.relkind <> 'v' AND NOT (o.relrowsecurity AND EXISTS (SELECT 1 FROM pg_catalog.pg_policy AS p WHERE p.polrelid = o.oid))),
    'readable', (SELECT coalesce(jsonb_agg(DISTINCT p.name ORDER BY p.name), '[]') FROM open_relations AS p
      WHERE p.nspname = 'public' AND NOT p.is_writable),
    'exposed', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', e.name, 'outsider', e.outsider) ORDER BY e.name, e.outsider), '[]')
      FROM (SELECT p.name, p.outsider FROM open_relations AS p WHERE p.is_writable OR p.nspname = 'post_audit'
        UNION ALL SELECT f.name, f.outsider FROM open_functions AS f) AS e)
  );
END;

-- How each step stands: its mode, what its last run came to, its last decision with reasons and numbers, and what waits.
CREATE FUNCTION post_audit.steps_as_json() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_agg(jsonb_build_object(
    'step', m.step, 'mode', m.mode, 'changed_by', m.changed_by,
    'last', (SELECT jsonb_build_object('run_id', s.run_id, 'state', s.state, 'error', s.error, 'finished_at', s.finished_at)
      FROM post_audit.step_runs AS s WHERE s.step = m.step ORDER BY s.run_id DESC LIMIT 1),
    'decision', (SELECT jsonb_build_object('id', d.id, 'outcome', d.outcome, 'state', d.state, 'headline', d.headline,
        'reasons', d.reasons, 'numbers', CASE WHEN d.step IN ('conversions', 'infrastructure') THEN d.numbers ELSE '{}' END, 'next', replace(d.next, '{decision}', d.id::text), 'decided_at', d.decided_at)
      FROM post_audit.decisions AS d WHERE d.step = m.step AND d.kind = 'step' ORDER BY d.id DESC LIMIT 1),
    'waiting', (SELECT jsonb_build_object('decision_id', max(d.id), 'changes', count(*))
      FROM post_audit.decisions AS d JOIN post_audit.changes AS c ON c.decision_id = d.id AND c.state = 'proposed'
      WHERE d.step = m.step HAVING count(*) > 0)
  ) ORDER BY m.position)
  FROM post_audit.step_modes AS m;
END;

-- Everything that `post-audit doctor` and the pages judge, as it stands; nothing is changed. Sizes in bytes, times as moments.
CREATE FUNCTION public.post_audit_read_health() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'now', clock_timestamp(),
    'server', current_setting('server_version'),
    'server_number', current_setting('server_version_num')::integer,
    'acts_as', current_user,
    'is_standby', pg_catalog.pg_is_in_recovery(),
    'is_read_only', current_setting('default_transaction_read_only')::boolean,
    'database_bytes', pg_catalog.pg_database_size(pg_catalog.current_database()),
    'schema_version', v.version,
    'digest', v.digest,
    'marketplace', m.kind,
    'missing_functions', (SELECT coalesce(jsonb_agg(f.identity ORDER BY f.identity), '[]')
      FROM post_audit.installed_functions AS f WHERE to_regprocedure(f.identity) IS NULL),
    'access', post_audit.access_as_json(),
    'roles', (SELECT jsonb_agg(jsonb_build_object(
        'role', r.role, 'relation', b.relation,
        'is_bound', b.role IS NOT NULL AND to_regclass('post_audit.' || quote_ident(r.role)) IS NOT NULL,
        'lacking', (SELECT coalesce(jsonb_agg(n.privilege), '[]') FROM unnest(post_audit.privileges_needed(r.role)) AS n (privilege)
          WHERE to_regclass(b.relation) IS NOT NULL AND NOT has_table_privilege(to_regclass(b.relation), n.privilege))
      ) ORDER BY r.role)
      FROM (SELECT DISTINCT c.role FROM post_audit.role_columns AS c) AS r LEFT JOIN post_audit.bindings AS b ON b.role = r.role),
    'steps', post_audit.steps_as_json(),
    'last_run', (SELECT jsonb_build_object('id', r.id, 'kind', r.kind, 'state', r.state, 'started_at', r.started_at,
        'finished_at', r.finished_at, 'lease_expires_at', r.lease_expires_at)
      FROM post_audit.runs AS r WHERE nullif(r.steps, 'null') IS NULL ORDER BY r.id DESC LIMIT 1),
    'next_tick', (SELECT min(w.next_tick) FROM post_audit.workers AS w
      WHERE w.kind = 'schedule' AND w.seen_at > clock_timestamp() - interval '1 minute'),
    'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object('channel', g.channel, 'state', g.state, 'number', g.number,
        'oldest_at', g.oldest_at, 'detail', g.detail) ORDER BY g.channel, g.state), '[]')
      FROM (SELECT o.channel, o.state, count(*) AS number, min(o.created_at) AS oldest_at,
          (array_agg(o.detail ORDER BY o.sequence DESC))[1] AS detail
        FROM post_audit.outbox AS o WHERE o.state IN ('pending', 'sent', 'refused', 'dead') GROUP BY o.channel, o.state) AS g)
  )
  FROM post_audit.marketplace AS m CROSS JOIN post_audit.schema_version AS v;
END;
