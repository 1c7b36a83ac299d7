-- Reports of bugs as they came in, the facts of step `bugs`, and the one kind of thing it changes.

-- Every report is a row of its own and stays one: merging bugs moves none of them. `bug_id` is the bug of role bugs
-- that the report was attached to, as text whatever the type of its key is; a report of a merged bug counts for
-- the bug it was merged into, and goes with it when it is taken apart.
CREATE TABLE IF NOT EXISTS post_audit.bug_reports (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  bug_id text NOT NULL,
  -- null: nobody said who
  reporter text,
  tier text NOT NULL CHECK (tier IN ('paying', 'top_100', 'new', 'other')),
  title text NOT NULL CHECK (title <> '' AND length(title) <= 200),
  -- placeholders can be longer than what they replace
  description text NOT NULL CHECK (length(description) <= 20000),
  page text,
  error_code text,
  app_version text,
  fingerprint text NOT NULL,
  idempotency_key text,
  created_bug boolean NOT NULL,
  -- this report came after a fix and opened the bug again
  reopened_bug boolean NOT NULL,
  received_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS bug_reports_bug ON post_audit.bug_reports (bug_id, received_at);
CREATE UNIQUE INDEX IF NOT EXISTS bug_reports_once
  ON post_audit.bug_reports (idempotency_key, (coalesce(reporter, ''))) WHERE idempotency_key IS NOT NULL;

-- Bugs that a person took apart after they had been merged; they are not merged again by themselves.
CREATE TABLE IF NOT EXISTS post_audit.bug_separations (
  bug_id text NOT NULL,
  separated_from text NOT NULL,
  decision_id bigint NOT NULL REFERENCES post_audit.decisions (id),
  PRIMARY KEY (bug_id, separated_from)
);
CREATE INDEX IF NOT EXISTS bug_separations_decision ON post_audit.bug_separations (decision_id);

-- Which bugs people were already told of.
CREATE INDEX IF NOT EXISTS outbox_bug_alerts ON post_audit.outbox (decision_id) WHERE subject LIKE 'bug\_alert:%';

-- How many reports came from somebody lately: an address, or the user of a token. One row each, while its window lasts.
CREATE TABLE IF NOT EXISTS post_audit.report_turns (
  who text PRIMARY KEY,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  number integer NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS report_turns_since ON post_audit.report_turns (since);

-- Ask to report a bug: `allowed` is false when `who` has sent `most` reports since its window of so many seconds began; then
-- `retry_after_seconds` says when it ends. Counted before the report is stored, so that many at once cannot slip through,
-- whichever process they come to; a refusal writes nothing.
CREATE FUNCTION public.post_audit_apply_report_turn(who text, most integer, window_seconds integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  present CONSTANT timestamptz := clock_timestamp();
  begun CONSTANT timestamptz := present - make_interval(secs => window_seconds);
  turn post_audit.report_turns;
BEGIN
  SELECT t.* INTO turn FROM post_audit.report_turns AS t WHERE t.who = post_audit_apply_report_turn.who AND t.since > begun;
  IF turn.number IS NULL OR turn.number < most THEN
    DELETE FROM post_audit.report_turns AS t WHERE t.who IN (
      SELECT o.who FROM post_audit.report_turns AS o
      WHERE o.since <= begun AND o.who <> post_audit_apply_report_turn.who LIMIT 100 FOR UPDATE SKIP LOCKED);
    INSERT INTO post_audit.report_turns AS t (who, since) VALUES (post_audit_apply_report_turn.who, present)
    ON CONFLICT ON CONSTRAINT report_turns_pkey DO UPDATE SET
      since = CASE WHEN t.since > begun THEN t.since ELSE present END,
      number = CASE WHEN t.since > begun THEN t.number + 1 ELSE 1 END
    RETURNING * INTO turn;
    IF turn.number <= most THEN
      RETURN jsonb_build_object('allowed', true);
    END IF;
  END IF;
  RETURN jsonb_build_object('allowed', false,
    'retry_after_seconds', greatest(1, ceil(extract(epoch FROM turn.since - begun))::integer));
END
$$;


-- What a marketplace may call a bug that is done with. Any other state is open, so that none gets lost.
CREATE FUNCTION post_audit.fixed_bug_states() RETURNS text[]
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN ARRAY['fixed', 'resolved', 'done'];

CREATE FUNCTION post_audit.closed_bug_states() RETURNS text[]
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN post_audit.fixed_bug_states() || ARRAY['duplicate', 'closed', 'rejected', 'cancelled', 'wontfix', 'wont_fix', 'invalid'];

-- Write the named fields of one bug and no others: role bugs may be a view over columns of which some cannot be
-- written. Text ids find their native type through the view's own row type.
CREATE FUNCTION post_audit.write_bug(fields jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  assignments text;
BEGIN
  SELECT pg_catalog.string_agg(pg_catalog.format('%1$I = k.%1$I', f.name), ', ') INTO assignments
  FROM pg_catalog.jsonb_object_keys(fields - 'id') AS f (name);
  EXECUTE pg_catalog.format(
    'UPDATE post_audit.bugs AS b SET %s
     FROM pg_catalog.jsonb_populate_record(NULL::post_audit.bugs, $1) AS k WHERE b.id = k.id', assignments)
  USING fields;
END
$$;

-- The columns of role bugs that can be written, and whether theirs fills itself when left out.
CREATE FUNCTION post_audit.bug_columns() RETURNS TABLE (name text, type_name text, has_default boolean)
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT a.attname::text, pg_catalog.format_type(a.atttypid, NULL),
    coalesce(theirs.atthasdef OR theirs.attidentity <> '', false)
  FROM post_audit.bindings AS b
  JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = pg_catalog.to_regclass('post_audit.bugs') AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_attribute AS theirs
    ON theirs.attrelid = pg_catalog.to_regclass(b.relation) AND theirs.attnum > 0 AND NOT theirs.attisdropped
    AND theirs.attname = CASE pg_catalog.jsonb_typeof(b.columns -> a.attname::text)
      WHEN 'string' THEN b.columns ->> a.attname::text
      WHEN 'object' THEN b.columns -> a.attname::text ->> 'column'
      ELSE a.attname END
  WHERE b.role = 'bugs' AND pg_catalog.pg_column_is_updatable(a.attrelid, a.attnum, true);
END;

-- Make a bug and return its id. In a bound table severity, impact, state and times are left to its own defaults where
-- it has them (its words may be others), and a text key without a default becomes a UUID.
CREATE FUNCTION post_audit.add_bug(fields jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  is_reference CONSTANT boolean := (SELECT b.is_reference FROM post_audit.bindings AS b WHERE b.role = 'bugs');
  written CONSTANT jsonb := fields || pg_catalog.jsonb_build_object('id', pg_catalog.gen_random_uuid());
  targets text;
  sources text;
  new_id text;
BEGIN
  SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.name), ', '),
    pg_catalog.string_agg('k.' || pg_catalog.quote_ident(c.name), ', ')
  INTO targets, sources
  FROM post_audit.bug_columns() AS c
  WHERE CASE
    WHEN c.name = 'id' THEN NOT c.has_default AND c.type_name IN ('text', 'character varying', 'uuid')
    WHEN c.name IN ('severity', 'impact', 'status', 'created_at', 'updated_at') THEN is_reference OR NOT c.has_default
    ELSE written ? c.name
  END;
  EXECUTE pg_catalog.format(
    'INSERT INTO post_audit.bugs (%s) SELECT %s
     FROM pg_catalog.jsonb_populate_record(NULL::post_audit.bugs, $1) AS k RETURNING id::text', targets, sources)
  INTO STRICT new_id
  -- the given id is read only where it is used: a numeric key could not hold it
  USING CASE WHEN 'id' = ANY (pg_catalog.string_to_array(targets, ', ')) THEN written ELSE fields END;
  RETURN new_id;
END
$$;

-- The bug that a bug counts for: itself, or what it was merged into.
CREATE FUNCTION post_audit.bug_root(key text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN (
    WITH RECURSIVE way AS (
      SELECT b.id, b.status, b.duplicate_of, 1 AS step
      FROM pg_catalog.jsonb_populate_record(NULL::post_audit.bugs, pg_catalog.jsonb_build_object('id', key)) AS k
      JOIN post_audit.bugs AS b ON b.id = k.id
      UNION ALL
      SELECT b.id, b.status, b.duplicate_of, w.step + 1
      FROM way AS w JOIN post_audit.bugs AS b ON b.id = w.duplicate_of
      -- a chain of a hundred is a circle
      WHERE pg_catalog.lower(w.status) = 'duplicate' AND w.step < 100
    )
    SELECT w.id::text FROM way AS w ORDER BY w.step DESC LIMIT 1
  );
END
$$;

-- What is told of a report: the bug it counts for and how many reports that has. A row that no report made was made by
-- somebody too and counts as one.
CREATE FUNCTION post_audit.bug_receipt(report_id bigint, repeated boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN (
    WITH RECURSIVE members AS (
      SELECT root.id
      FROM post_audit.bug_reports AS r
      CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(
        NULL::post_audit.bugs, pg_catalog.jsonb_build_object('id', post_audit.bug_root(r.bug_id))) AS root
      WHERE r.id = report_id
      UNION
      SELECT b.id FROM members AS m JOIN post_audit.bugs AS b ON b.duplicate_of = m.id AND pg_catalog.lower(b.status) = 'duplicate'
    )
    SELECT pg_catalog.jsonb_build_object(
      'report', r.id,
      'bug', (SELECT root.id FROM pg_catalog.jsonb_populate_record(
        NULL::post_audit.bugs, pg_catalog.jsonb_build_object('id', post_audit.bug_root(r.bug_id))) AS root),
      'already_known', NOT r.created_bug,
      'reports', (SELECT pg_catalog.sum((
        SELECT pg_catalog.count(*) + CASE WHEN pg_catalog.bool_or(o.created_bug) THEN 0 ELSE 1 END
        FROM post_audit.bug_reports AS o WHERE o.bug_id = m.id::text)) FROM members AS m),
      'reopened', r.reopened_bug,
      'repeated', repeated)
    FROM post_audit.bug_reports AS r WHERE r.id = report_id
  );
END
$$;

-- Take one report in: `report` has title, description, page, error_code, app_version, reporter, tier, fingerprint and
-- idempotency_key, cleaned by the caller. It joins the oldest open bug of its fingerprint, else reopens one that was
-- fixed, else makes one. Reports of one fingerprint wait for one another, so that they never make two bugs.
CREATE FUNCTION public.post_audit_apply_bug_report(report jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  fixed CONSTANT text[] := post_audit.fixed_bug_states();
  closed CONSTANT text[] := post_audit.closed_bug_states();
  received_at CONSTANT timestamptz := post_audit.clock();
  mark CONSTANT text := report ->> 'fingerprint';
  given_key CONSTANT text := report ->> 'idempotency_key';
  earlier post_audit.bug_reports;
  target record;
  root record;
  target_id text;
  is_new boolean := false;
  is_reopened boolean := false;
  report_id bigint;
BEGIN
  PERFORM post_audit.require_roles('bugs');
  IF coalesce(report ->> 'title', '') = '' OR coalesce(mark, '') !~ '^v[0-9]+:[0-9a-f]{64}$'
    OR coalesce(report ->> 'tier', '') NOT IN ('paying', 'top_100', 'new', 'other')
  THEN
    RAISE EXCEPTION 'A report needs a title, a tier and a fingerprint.'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Send reports through POST /api/bugs or post-audit bugs report.';
  END IF;
  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('post_audit.bug:' || mark, 0));

  SELECT * INTO earlier FROM post_audit.bug_reports AS r
  WHERE r.idempotency_key = given_key AND coalesce(r.reporter, '') = coalesce(report ->> 'reporter', '');
  IF earlier.id IS NOT NULL THEN
    IF earlier.fingerprint = mark AND earlier.description = coalesce(report ->> 'description', '') THEN
      RETURN post_audit.bug_receipt(earlier.id, true);
    END IF;
    RAISE EXCEPTION 'The idempotency key % came with another report before.', given_key
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Send another report with another key.';
  END IF;

  SELECT b.id::text AS id INTO target
  FROM post_audit.bugs AS b
  WHERE b.fingerprint = mark AND pg_catalog.lower(coalesce(b.status, 'open')) <> ALL (closed)
  ORDER BY b.created_at, b.id LIMIT 1 FOR UPDATE;
  target_id := target.id;

  IF target_id IS NULL THEN
    -- One that was merged counts for another, which may be open; one that was fixed is opened again.
    SELECT b.id::text AS id, top.id AS root INTO target
    FROM post_audit.bugs AS b
    CROSS JOIN LATERAL (SELECT post_audit.bug_root(b.id::text) AS id) AS way
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::post_audit.bugs, pg_catalog.jsonb_build_object('id', way.id)) AS k
    JOIN post_audit.bugs AS top ON top.id = k.id
    WHERE b.fingerprint = mark AND pg_catalog.lower(b.status) = ANY (fixed || ARRAY['duplicate'])
      AND (pg_catalog.lower(coalesce(top.status, 'open')) <> ALL (closed) OR pg_catalog.lower(top.status) = ANY (fixed))
    ORDER BY pg_catalog.lower(top.status) = ANY (fixed), top.fixed_at DESC NULLS LAST, b.id LIMIT 1;
    IF FOUND THEN
      SELECT b.id::text AS id, pg_catalog.lower(b.status) = ANY (fixed) AS is_fixed INTO root
      FROM post_audit.bugs AS b WHERE b.id = target.root FOR UPDATE;
      target_id := target.id;
      is_reopened := root.is_fixed;
    END IF;
  END IF;

  IF is_reopened THEN
    -- fixed_at stays: it says after which fix the bug came back
    PERFORM post_audit.write_bug(
      pg_catalog.jsonb_build_object('id', root.id, 'status', 'open')
      || CASE WHEN EXISTS (SELECT 1 FROM post_audit.bug_columns() AS c WHERE c.name = 'updated_at')
        THEN pg_catalog.jsonb_build_object('updated_at', received_at) ELSE '{}'::jsonb END);
  ELSIF target_id IS NULL THEN
    is_new := true;
    target_id := post_audit.add_bug(pg_catalog.jsonb_build_object(
      'title', report ->> 'title', 'description', coalesce(report ->> 'description', ''),
      'page', report ->> 'page', 'error_code', report ->> 'error_code', 'app_version', report ->> 'app_version',
      'severity', 'medium',
      'impact', CASE report ->> 'tier' WHEN 'paying' THEN 'paying_users' WHEN 'top_100' THEN 'top_100'
        WHEN 'new' THEN 'new_users' ELSE 'all_users' END,
      'status', 'open', 'fingerprint', mark, 'created_at', received_at, 'updated_at', received_at));
  END IF;

  BEGIN
    INSERT INTO post_audit.bug_reports AS r
      (bug_id, reporter, tier, title, description, page, error_code, app_version, fingerprint, idempotency_key,
       created_bug, reopened_bug, received_at)
    VALUES (target_id, report ->> 'reporter', report ->> 'tier', report ->> 'title', coalesce(report ->> 'description', ''),
      report ->> 'page', report ->> 'error_code', report ->> 'app_version', mark, given_key, is_new, is_reopened, received_at)
    RETURNING r.id INTO report_id;
  EXCEPTION WHEN unique_violation THEN
    -- the same key, at the same moment, on a report of another fingerprint
    RAISE EXCEPTION 'The idempotency key % came with another report before.', given_key
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Send another report with another key.';
  END;
  RETURN post_audit.bug_receipt(report_id, false);
END
$$;

-- A person's word on a bug: its severity, its score, or both; neither takes the word back.
CREATE FUNCTION public.post_audit_apply_bug_override(
  bug text, actor text, severity text DEFAULT NULL, score numeric DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_roles('bugs');
  IF severity NOT IN ('critical', 'high', 'medium', 'low') OR score < 0 THEN
    RAISE EXCEPTION 'A severity is critical, high, medium or low, and a score at least 0.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF (SELECT pg_catalog.count(*) FROM post_audit.bug_columns() AS c
      WHERE c.name IN ('severity_override', 'score_override', 'override_by')) < 3 THEN
    RAISE EXCEPTION 'The table of role bugs has no columns for what a person decides.'
      USING ERRCODE = 'invalid_parameter_value',
        HINT = 'Add severity_override text, score_override numeric and override_by text to it, and bind it again.';
  END IF;
  IF post_audit.bug_root(bug) IS NULL THEN
    RAISE EXCEPTION 'There is no bug %.', bug USING ERRCODE = 'no_data_found', HINT = 'See the list of the last decision of step bugs.';
  END IF;
  PERFORM post_audit.write_bug(pg_catalog.jsonb_build_object('id', bug, 'severity_override', severity, 'score_override', score,
    'override_by', CASE WHEN severity IS NOT NULL OR score IS NOT NULL THEN actor END));
  RETURN pg_catalog.jsonb_build_object('bug', bug, 'severity', severity, 'score', score, 'actor', actor);
END
$$;

-- Open bugs, `limit` of them from the key `after` on, each with what was reported about it and its repeats up to
-- `as_of`. One call touches the bugs of its page, their repeats and their reports, by their indexes.
CREATE FUNCTION public.post_audit_read_bugs(
  as_of timestamptz, recent_hours integer DEFAULT 72, maximum_reporters integer DEFAULT 1000,
  after text DEFAULT NULL, "limit" integer DEFAULT 2000
) RETURNS jsonb
-- Compiling this one query took 1.2 s of 1.4 s, on 300,000 bugs.
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  closed CONSTANT text[] := post_audit.closed_bug_states();
  recent_since CONSTANT timestamptz := as_of - pg_catalog.make_interval(hours => recent_hours);
  answer jsonb;
BEGIN
  PERFORM post_audit.require_roles('bugs');
  WITH RECURSIVE page AS MATERIALIZED (
    SELECT b.*
    FROM post_audit.bugs AS b
    WHERE (post_audit_read_bugs.after IS NULL OR b.id > (
        SELECT k.id FROM pg_catalog.jsonb_populate_record(
          NULL::post_audit.bugs, pg_catalog.jsonb_build_object('id', post_audit_read_bugs.after)) AS k))
      AND pg_catalog.lower(coalesce(b.status, 'open')) <> ALL (closed)
      AND (b.created_at IS NULL OR b.created_at <= post_audit_read_bugs.as_of)
    ORDER BY b.id
    LIMIT post_audit_read_bugs."limit"
  ), members AS (
    SELECT p.id AS root, p.id FROM page AS p
    UNION
    SELECT m.root, b.id
    FROM members AS m
    JOIN post_audit.bugs AS b ON b.duplicate_of = m.id AND pg_catalog.lower(b.status) = 'duplicate'
  ), reports AS (
    SELECT m.root, m.id, r.reporter, r.tier, r.page, r.received_at, r.created_bug, r.reopened_bug
    FROM members AS m
    JOIN post_audit.bug_reports AS r ON r.bug_id = m.id::text
    WHERE r.received_at <= post_audit_read_bugs.as_of
  ), rows AS (
    SELECT m.root, m.id, pg_catalog.lower(pg_catalog.btrim(b.severity)) AS severity,
      pg_catalog.lower(pg_catalog.btrim(b.impact)) AS impact, b.created_at
    FROM members AS m JOIN post_audit.bugs AS b ON b.id = m.id
  ), counted AS (
    SELECT r.id, pg_catalog.count(*) AS total, pg_catalog.count(*) FILTER (WHERE r.received_at > recent_since) AS recent,
      pg_catalog.bool_or(r.created_bug) AS created_bug, pg_catalog.min(r.received_at) AS first_at,
      pg_catalog.max(r.received_at) FILTER (WHERE r.reopened_bug) AS reopened_at,
      (pg_catalog.array_agg(r.page ORDER BY r.received_at DESC) FILTER (WHERE r.page IS NOT NULL))[1] AS page
    FROM reports AS r GROUP BY r.id
  ), whole AS (
    SELECT w.root,
      pg_catalog.jsonb_agg(DISTINCT w.severity) FILTER (WHERE w.severity IS NOT NULL) AS severities,
      pg_catalog.jsonb_agg(DISTINCT w.impact) FILTER (WHERE w.impact IS NOT NULL AND c.created_bug IS NOT TRUE) AS impacts,
      -- a row that no report made was made by somebody too and counts as one
      pg_catalog.sum(coalesce(c.total, 0) + CASE WHEN c.created_bug THEN 0 ELSE 1 END) AS reports,
      pg_catalog.sum(coalesce(c.recent, 0) + CASE WHEN c.created_bug IS NOT TRUE AND w.created_at > recent_since THEN 1 ELSE 0 END) AS recent,
      pg_catalog.count(*) - 1 AS repeats,
      least(pg_catalog.min(w.created_at), pg_catalog.min(c.first_at)) AS first_at,
      pg_catalog.max(c.reopened_at) AS reopened_at
    FROM rows AS w LEFT JOIN counted AS c ON c.id = w.id
    GROUP BY w.root
  ), ranked AS (
    SELECT t.root, t.reporter, t.place, pg_catalog.row_number() OVER (PARTITION BY t.root ORDER BY t.place, t.reporter) AS number
    FROM (
      SELECT r.root, coalesce(r.reporter, '') COLLATE "C" AS reporter,
        pg_catalog.min(pg_catalog.array_position(ARRAY['paying', 'top_100', 'new', 'other'], r.tier)) AS place
      FROM reports AS r GROUP BY r.root, coalesce(r.reporter, '') COLLATE "C"
    ) AS t
  ), reporters AS (
    SELECT k.root, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'id', k.reporter, 'tier', (ARRAY['paying', 'top_100', 'new', 'other'])[k.place]) ORDER BY k.number) AS list
    FROM ranked AS k WHERE k.number <= post_audit_read_bugs.maximum_reporters GROUP BY k.root
  ), alerts AS (
    SELECT m.root, pg_catalog.max(told.at) AS at
    FROM (
      SELECT bug.id, pg_catalog.max(d.as_of) AS at
      FROM post_audit.outbox AS o
      JOIN post_audit.decisions AS d ON d.id = o.decision_id
      CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(o.payload -> 'bugs') AS bug (id)
      WHERE o.subject LIKE 'bug\_alert:%' AND d.as_of <= post_audit_read_bugs.as_of
      GROUP BY bug.id
    ) AS told
    JOIN members AS m ON m.id::text = told.id
    GROUP BY m.root
  )
  SELECT pg_catalog.jsonb_build_object(
    'as_of', post_audit_read_bugs.as_of,
    'next', CASE WHEN pg_catalog.count(*) = post_audit_read_bugs."limit"
      THEN (pg_catalog.array_agg(p.id ORDER BY p.id DESC))[1]::text END,
    'bugs', coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'id', p.id::text, 'title', p.title, 'status', coalesce(p.status, 'open'),
      'page', coalesce(p.page, own.page),
      'error_code', p.error_code,
      -- only where it may be needed for a fingerprint
      'description', CASE WHEN p.fingerprint IS NULL AND p.page IS NULL AND p.error_code IS NULL THEN pg_catalog.left(p.description, 2000) END,
      'fingerprint', p.fingerprint,
      'severity_override', p.severity_override, 'score_override', p.score_override, 'override_by', p.override_by,
      'priority_score', p.priority_score, 'score_factors', p.score_factors,
      'severities', coalesce(w.severities, '[]'::jsonb), 'impacts', coalesce(w.impacts, '[]'::jsonb),
      'reporters', coalesce(t.list, '[]'::jsonb),
      'reports', w.reports, 'recent_reports', w.recent, 'repeats', w.repeats,
      'first_reported_at', w.first_at, 'reopened_at', w.reopened_at, 'alerted_at', a.at,
      'separated_from', (SELECT coalesce(pg_catalog.jsonb_agg(s.separated_from), '[]'::jsonb)
        FROM post_audit.bug_separations AS s WHERE s.bug_id = p.id::text),
      'hold', (SELECT pg_catalog.jsonb_build_object('undone', h.undone, 'until', h.until, 'decision_id', h.decision_id)
        FROM post_audit.holds AS h WHERE h.subject = 'bug:' || p.id::text AND h.until > post_audit_read_bugs.as_of)
    ) ORDER BY p.id), '[]'::jsonb))
  INTO answer
  FROM page AS p
  JOIN whole AS w ON w.root = p.id
  LEFT JOIN counted AS own ON own.id = p.id
  LEFT JOIN reporters AS t ON t.root = p.id
  LEFT JOIN alerts AS a ON a.root = p.id;
  RETURN answer;
END
$$;

-- Merge a bug into another or take it out again, or write its score and fingerprint; where it still is what the
-- decision saw. Only the fields that are named are written, updated_at among the others not: so the way back leaves
-- the row as it was. What the marketplace's own rules refuse is a moved state.
CREATE FUNCTION post_audit.change_bug(
  key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  subject CONSTANT text := 'bug:' || key;
  present record;
  into_bug record;
  state jsonb;
BEGIN
  PERFORM post_audit.require_roles('bugs');
  IF wanted = '{}'::jsonb
    OR wanted - ARRAY['status', 'duplicate_of', 'fingerprint', 'priority_score', 'score_factors'] <> '{}'::jsonb
    OR wanted ->> 'duplicate_of' = key
  THEN
    RAISE EXCEPTION 'A change of % sets its status and what it repeats, or its score and fingerprint; it has %.', subject, wanted
      USING ERRCODE = 'invalid_parameter_value', HINT = 'A bug cannot repeat itself, and nothing else of it is changed.';
  END IF;

  SELECT b.status, b.duplicate_of::text AS duplicate_of, b.fingerprint, b.priority_score, b.score_factors INTO present
  FROM pg_catalog.jsonb_populate_record(NULL::post_audit.bugs, pg_catalog.jsonb_build_object('id', key)) AS k
  JOIN post_audit.bugs AS b ON b.id = k.id
  FOR UPDATE OF b;
  IF NOT FOUND THEN
    PERFORM post_audit.refuse_moved(subject, expected, NULL);
  END IF;
  state := pg_catalog.to_jsonb(present);
  IF NOT state @> expected THEN
    PERFORM post_audit.refuse_moved(subject, expected, state);
  END IF;

  IF wanted ->> 'status' = 'duplicate' AND wanted ->> 'duplicate_of' IS NOT NULL THEN
    SELECT b.status INTO into_bug
    FROM pg_catalog.jsonb_populate_record(NULL::post_audit.bugs, pg_catalog.jsonb_build_object('id', wanted ->> 'duplicate_of')) AS k
    JOIN post_audit.bugs AS b ON b.id = k.id
    FOR SHARE OF b;
    IF NOT FOUND OR pg_catalog.lower(coalesce(into_bug.status, 'open')) = ANY (post_audit.closed_bug_states()) THEN
      PERFORM post_audit.refuse_moved('bug:' || (wanted ->> 'duplicate_of'), '{"status": "open"}'::jsonb,
        CASE WHEN FOUND THEN pg_catalog.to_jsonb(into_bug) END);
    END IF;
    DELETE FROM post_audit.bug_separations AS s WHERE s.bug_id = key AND s.separated_from = wanted ->> 'duplicate_of';
  ELSIF expected ->> 'status' = 'duplicate' AND wanted ? 'status' AND expected ->> 'duplicate_of' IS NOT NULL THEN
    INSERT INTO post_audit.bug_separations (bug_id, separated_from, decision_id)
    VALUES (key, expected ->> 'duplicate_of', change_bug.decision_id)
    ON CONFLICT ON CONSTRAINT bug_separations_pkey DO NOTHING;
  END IF;

  BEGIN
    PERFORM post_audit.write_bug(wanted || pg_catalog.jsonb_build_object('id', key));
  EXCEPTION WHEN check_violation OR invalid_text_representation OR foreign_key_violation OR not_null_violation
    OR numeric_value_out_of_range OR string_data_right_truncation
  THEN
    RAISE EXCEPTION 'The table of role bugs does not take the change of %: %', subject, SQLERRM
      USING ERRCODE = 'PT409', HINT = 'Let its rules allow these values, or bind another table: post-audit bind bugs SCHEMA.TABLE.';
  END;
END
$$;
