-- Step `enhancements`: audits as they arrived, the tasks they lead to, and the way back.
--
-- An audit has a scope: the tool that made it (source) and what it looked at (target). One scope is imported by one
-- transaction at a time. A finding is known by its fingerprint; what a complete audit no longer reports is closed,
-- inside its scope only. What a person has closed stays closed.

CREATE TABLE IF NOT EXISTS post_audit.audits (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  content_hash text NOT NULL,
  source text NOT NULL,
  target text NOT NULL,
  name text NOT NULL,
  format text NOT NULL,
  -- receiving: its findings are still being uploaded; superseded: a later one of its scope was imported before it;
  -- refused: it could not be read, `errors` says why
  state text NOT NULL CHECK (state IN ('receiving', 'received', 'migrated', 'superseded', 'refused')),
  -- whether everything that was looked at is told of; only then does a missing finding mean that it is gone
  complete boolean NOT NULL,
  -- different findings, one task each
  findings integer NOT NULL CHECK (findings >= 0),
  -- findings as the report lists them; the same one may be listed more than once
  reported integer NOT NULL CHECK (reported >= 0),
  needs_review jsonb NOT NULL DEFAULT '[]',
  errors jsonb NOT NULL DEFAULT '[]',
  received_at timestamptz NOT NULL,
  migrated_at timestamptz,
  -- the number of its import within its scope, in the order of importing
  import bigint,
  -- what its import did, in counts
  report jsonb,
  -- [{"last_seen_at", "tasks": [id, ...]}]: what was seen again without a change, for the way back
  seen_before jsonb,
  version bigint NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS audits_scope ON post_audit.audits (source, target, id);
CREATE INDEX IF NOT EXISTS audits_waiting ON post_audit.audits (id) WHERE state = 'received';
CREATE INDEX IF NOT EXISTS audits_content ON post_audit.audits (content_hash);

CREATE TABLE IF NOT EXISTS post_audit.audit_findings (
  audit_id bigint NOT NULL REFERENCES post_audit.audits (id),
  position integer NOT NULL,
  fingerprint text NOT NULL,
  finding jsonb NOT NULL,
  PRIMARY KEY (audit_id, position),
  UNIQUE (audit_id, fingerprint)
);

-- What happened to each task, appended and never altered. `before` and `after` are the task as it was and as it became.
CREATE TABLE IF NOT EXISTS post_audit.task_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- a task's id in its own type, as text
  task_id text NOT NULL,
  -- of an import: new, recorded, changed, reopened, closed, withdrawn, restored; what a person or the time did: claimed,
  -- started, released, blocked, confirmed, completed, cancelled, accepted, false_positive, merged, reopened, prioritised,
  -- lease_ended, acceptance_ended
  kind text NOT NULL CHECK (kind ~ '^[a-z_]+$'),
  before jsonb,
  after jsonb,
  audit_id bigint REFERENCES post_audit.audits (id),
  import bigint,
  decision_id bigint REFERENCES post_audit.decisions (id),
  -- who did it and what was said; null where an import did
  actor text,
  note text,
  happened_at timestamptz NOT NULL,
  CHECK ((actor IS NULL) = (audit_id IS NOT NULL AND import IS NOT NULL))
);
-- An older version of ours knew events of imports alone.
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM pg_attribute AS a WHERE a.attrelid = 'post_audit.task_events'::regclass AND a.attname = 'actor'
  ) THEN
    ALTER TABLE post_audit.task_events ADD COLUMN actor text, ADD COLUMN note text, ALTER COLUMN audit_id DROP NOT NULL,
      ALTER COLUMN import DROP NOT NULL, DROP CONSTRAINT IF EXISTS task_events_kind_check;
    ALTER TABLE post_audit.task_events ADD CONSTRAINT task_events_kind_check CHECK (kind ~ '^[a-z_]+$') NOT VALID,
      ADD CONSTRAINT task_events_check CHECK ((actor IS NULL) = (audit_id IS NOT NULL AND import IS NOT NULL)) NOT VALID;
  END IF;
END
$$;
CREATE INDEX IF NOT EXISTS task_events_task ON post_audit.task_events (task_id, id);
CREATE INDEX IF NOT EXISTS task_events_time ON post_audit.task_events (happened_at) INCLUDE (kind);
CREATE INDEX IF NOT EXISTS task_events_audit ON post_audit.task_events (audit_id, import);
CREATE INDEX IF NOT EXISTS task_events_decision ON post_audit.task_events (decision_id) WHERE decision_id IS NOT NULL;

-- One at a time within a scope, until the transaction ends.
CREATE FUNCTION post_audit.lock_scope(source text, target text) RETURNS void
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT pg_advisory_xact_lock(hashtextextended('post_audit.scope:' || source || chr(31) || target, 0));
END;

-- The newest audit of a scope that arrived whole: the same content again is no news, an older content again is.
CREATE FUNCTION post_audit.newest_audit(source text, target text) RETURNS post_audit.audits
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT a.* FROM post_audit.audits AS a
  WHERE a.source = newest_audit.source AND a.target = newest_audit.target AND a.state IN ('received', 'migrated')
  ORDER BY a.id DESC LIMIT 1;
END;

-- What each finding means for the queue. Preview and import both stand on this one rule.
--
--   finding   task                            verdict
--   open      none                            new
--   closed    none                            recorded (kept for the day it is reported as open again)
--   open      open, tool's fields the same    unchanged
--   open      open, tool's fields differ      changed   (a priority that a person set stays)
--   open      closed by the protocol          reopened
--   open      closed by a person              kept
--   closed    open                            closed
--   closed    closed                          unchanged
--   none      open                            closed, `gone` (only when the audit is complete)
--
-- `task` is the task as it is, `after` as it will be; both without what never changes.
CREATE FUNCTION post_audit.classify_findings(
  source text, target text, complete boolean, audit_id bigint, findings jsonb, seen_at timestamptz, changed_at timestamptz
) RETURNS TABLE (fingerprint text, verdict text, gone boolean, was_open boolean, task_id text, task jsonb, after jsonb)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' ROWS 10000 AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH found AS MATERIALIZED (
    SELECT f.fingerprint, f.finding, f.finding ->> 'status' IN ('pending', 'in_progress') AS is_open,
      jsonb_build_object(
        'severity', f.finding -> 'severity', 'rule', f.finding -> 'rule', 'component', f.finding -> 'component',
        'location', f.finding -> 'location', 'line', f.finding -> 'line', 'occurrences', f.finding -> 'occurrences'
      ) AS of_tool
    FROM (
      SELECT s.fingerprint, s.finding FROM post_audit.audit_findings AS s WHERE s.audit_id = classify_findings.audit_id
      UNION ALL
      SELECT e.value ->> 'fingerprint', e.value FROM jsonb_array_elements(classify_findings.findings) AS e (value)
    ) AS f
  ), present AS MATERIALIZED (
    SELECT t.fingerprint, t.id::text AS id, t.status IN ('pending', 'in_progress') AS is_open,
      coalesce(t.status IN ('completed', 'cancelled') AND t.disposition IN ('gone', 'reported'), false) AS is_ours_to_open,
      t.priority IS NOT DISTINCT FROM t.severity AS follows_severity,
      to_jsonb(t) - ARRAY['id', 'source', 'target', 'fingerprint', 'created_at', 'first_seen_at'] AS image
    FROM post_audit.tasks AS t
    WHERE t.source = classify_findings.source AND t.target = classify_findings.target AND t.fingerprint IS NOT NULL
  ), judged AS (
    SELECT coalesce(f.fingerprint, p.fingerprint) AS fingerprint, f.finding, f.of_tool, p.id, p.image, p.is_open, p.follows_severity,
      CASE
        WHEN p.id IS NULL THEN CASE WHEN f.is_open THEN 'new' ELSE 'recorded' END
        WHEN f.finding IS NULL THEN 'closed'
        WHEN p.is_open AND NOT f.is_open THEN 'closed'
        WHEN p.is_open AND NOT p.image @> f.of_tool THEN 'changed'
        WHEN f.is_open AND NOT p.is_open AND p.is_ours_to_open THEN 'reopened'
        WHEN f.is_open AND NOT p.is_open THEN 'kept'
        ELSE 'unchanged'
      END AS verdict
    FROM found AS f FULL JOIN present AS p ON p.fingerprint = f.fingerprint
    WHERE f.finding IS NOT NULL OR (p.is_open AND classify_findings.complete)
  )
  SELECT j.fingerprint, j.verdict, j.verdict = 'closed' AND j.finding IS NULL, coalesce(j.is_open, false), j.id, j.image,
    CASE j.verdict
      WHEN 'new' THEN j.finding || jsonb_build_object(
        'completed_at', NULL, 'last_seen_at', classify_findings.seen_at, 'updated_at', classify_findings.changed_at)
      WHEN 'recorded' THEN j.finding || jsonb_build_object(
        'disposition', coalesce(nullif(j.finding -> 'disposition', 'null'), '"reported"'),
        'completed_at', classify_findings.seen_at, 'last_seen_at', classify_findings.seen_at,
        'updated_at', classify_findings.changed_at)
      WHEN 'closed' THEN j.image || jsonb_build_object(
        'status', coalesce(j.finding ->> 'status', 'completed'),
        'disposition', CASE WHEN j.finding IS NULL THEN 'gone' ELSE coalesce(j.finding ->> 'disposition', 'reported') END,
        'completed_at', classify_findings.changed_at, 'updated_at', classify_findings.changed_at)
      WHEN 'changed' THEN j.image || j.of_tool || jsonb_build_object(
        'priority', CASE WHEN j.follows_severity THEN j.finding -> 'priority' ELSE j.image -> 'priority' END,
        'last_seen_at', classify_findings.seen_at, 'updated_at', classify_findings.changed_at)
      WHEN 'reopened' THEN j.image || j.of_tool || jsonb_build_object(
        'priority', CASE WHEN j.follows_severity THEN j.finding -> 'priority' ELSE j.image -> 'priority' END,
        'status', 'pending', 'disposition', 'reopened', 'completed_at', NULL,
        'last_seen_at', classify_findings.seen_at, 'updated_at', classify_findings.changed_at)
    END
  FROM judged AS j;
END
$$;

-- What importing would do, in counts, without doing it: for findings that are given, or for an audit that has arrived.
CREATE FUNCTION public.post_audit_read_import_preview(
  source text, target text, complete boolean, findings jsonb DEFAULT '[]', content_hash text DEFAULT NULL,
  audit_id bigint DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  moment CONSTANT timestamptz := now();
BEGIN
  PERFORM post_audit.require_roles('tasks');
  RETURN (
    WITH verdicts AS MATERIALIZED (
      SELECT c.verdict, c.gone, c.was_open, c.after
      FROM post_audit.classify_findings(
        post_audit_read_import_preview.source, post_audit_read_import_preview.target,
        post_audit_read_import_preview.complete, post_audit_read_import_preview.audit_id,
        post_audit_read_import_preview.findings, moment, moment) AS c
    )
    SELECT jsonb_build_object(
      'new', count(*) FILTER (WHERE v.verdict = 'new'),
      'recorded', count(*) FILTER (WHERE v.verdict = 'recorded'),
      'unchanged', count(*) FILTER (WHERE v.verdict = 'unchanged'),
      'changed', count(*) FILTER (WHERE v.verdict = 'changed'),
      'reopened', count(*) FILTER (WHERE v.verdict = 'reopened'),
      'closed', count(*) FILTER (WHERE v.verdict = 'closed'),
      'kept', count(*) FILTER (WHERE v.verdict = 'kept'),
      'gone', count(*) FILTER (WHERE v.gone),
      'open_before', (
        SELECT count(*) FROM post_audit.tasks AS t
        WHERE t.source = post_audit_read_import_preview.source AND t.target = post_audit_read_import_preview.target
          AND t.fingerprint IS NOT NULL AND t.status IN ('pending', 'in_progress')),
      'new_critical', count(*) FILTER (WHERE v.verdict = 'new' AND v.after ->> 'priority' = 'critical'),
      'new_high', count(*) FILTER (WHERE v.verdict = 'new' AND v.after ->> 'priority' = 'high'),
      'repeated', coalesce((
        SELECT n.content_hash = post_audit_read_import_preview.content_hash AND n.state = 'migrated'
        FROM post_audit.newest_audit(post_audit_read_import_preview.source, post_audit_read_import_preview.target) AS n
      ), false),
      'worst_new', (
        SELECT coalesce(jsonb_agg(w.title ORDER BY w.rank, w.title), '[]')
        FROM (
          SELECT n.after ->> 'title' AS title,
            array_position(ARRAY['critical', 'high', 'medium', 'low'], n.after ->> 'priority') AS rank
          FROM verdicts AS n WHERE n.verdict = 'new'
          ORDER BY 2, 1 LIMIT 3
        ) AS w))
    FROM verdicts AS v
  );
END
$$;

-- Bring the findings of a received audit into the queue. Without `may_close` no more than half of the scope's open
-- tasks are closed because they are gone; with it no more than that number.
--
-- Without nested loops: a scope that has just been filled has no statistics yet, is taken for one row, and is then
-- compared with every finding of the audit (20,000 times 20,000: over 8 s instead of 0.9 s). Their high price on paper
-- would start the compiler of expressions, which costs more than it saves here.
CREATE FUNCTION post_audit.import_audit(audit_id bigint, may_close integer, decision_id bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET enable_nestloop = off SET jit = off
AS $$
DECLARE
  audit post_audit.audits;
  moment CONSTANT timestamptz := post_audit.clock();
  number bigint;
  open_before bigint;
  counts jsonb;
  seen jsonb;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  SELECT * INTO audit FROM post_audit.audits AS a WHERE a.id = import_audit.audit_id;
  PERFORM post_audit.lock_scope(audit.source, audit.target);
  SELECT * INTO audit FROM post_audit.audits AS a WHERE a.id = import_audit.audit_id FOR UPDATE;
  IF audit.id IS NULL OR audit.state <> 'received' THEN
    PERFORM post_audit.refuse_moved('audit:' || import_audit.audit_id, '{"state": "received"}', jsonb_build_object('state', audit.state));
  END IF;
  IF audit.findings <> (SELECT count(*) FROM post_audit.audit_findings AS f WHERE f.audit_id = audit.id) THEN
    RAISE EXCEPTION 'The findings of audit % (%) are no longer kept.', audit.id, audit.name
      USING ERRCODE = 'PT409', HINT = 'Import its file again: post-audit import FILE.';
  END IF;
  SELECT count(*) INTO open_before FROM post_audit.tasks AS t
  WHERE t.source = audit.source AND t.target = audit.target AND t.fingerprint IS NOT NULL AND t.status IN ('pending', 'in_progress');
  SELECT coalesce(max(a.import), 0) + 1 INTO number FROM post_audit.audits AS a
  WHERE a.source = audit.source AND a.target = audit.target;

  WITH verdicts AS MATERIALIZED (
    SELECT * FROM post_audit.classify_findings(
      audit.source, audit.target, audit.complete, audit.id, '[]', audit.received_at, moment)
  ), inserted AS (
    INSERT INTO post_audit.tasks AS t (
      title, description, priority, category, status, disposition, estimated_hours, source, target, fingerprint, severity,
      rule, component, location, line, occurrences, first_seen_at, last_seen_at, created_at, updated_at, completed_at)
    SELECT x.title, x.description, x.priority, x.category, x.status, x.disposition, x.estimated_hours, audit.source,
      audit.target, v.fingerprint, x.severity, x.rule, x.component, x.location, x.line, x.occurrences, audit.received_at,
      audit.received_at, moment, moment, x.completed_at
    FROM verdicts AS v
    CROSS JOIN LATERAL jsonb_to_record(v.after) AS x (
      title text, description text, priority text, category text, status text, disposition text, estimated_hours numeric,
      severity text, rule text, component text, location text, line integer, occurrences integer, completed_at timestamptz)
    WHERE v.verdict IN ('new', 'recorded')
    ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], x.priority), v.fingerprint
    RETURNING t.id::text AS id, t.status IN ('pending', 'in_progress') AS is_open,
      to_jsonb(t) - ARRAY['id', 'source', 'target', 'fingerprint', 'created_at', 'first_seen_at'] AS image
  ), updated AS (
    UPDATE post_audit.tasks AS t
    SET priority = x.priority, status = x.status, disposition = x.disposition, severity = x.severity, rule = x.rule,
      component = x.component, location = x.location, line = x.line, occurrences = x.occurrences,
      last_seen_at = x.last_seen_at, updated_at = x.updated_at, completed_at = x.completed_at
    FROM verdicts AS v
    CROSS JOIN LATERAL jsonb_to_record(v.after) AS x (
      priority text, status text, disposition text, severity text, rule text, component text, location text, line integer,
      occurrences integer, last_seen_at timestamptz, updated_at timestamptz, completed_at timestamptz)
    WHERE v.verdict IN ('changed', 'reopened', 'closed')
      AND t.source = audit.source AND t.target = audit.target AND t.fingerprint = v.fingerprint
    RETURNING t.id::text AS id, v.verdict, v.task,
      to_jsonb(t) - ARRAY['id', 'source', 'target', 'fingerprint', 'created_at', 'first_seen_at'] AS image
  ), touched AS (
    UPDATE post_audit.tasks AS t SET last_seen_at = audit.received_at
    FROM verdicts AS v
    WHERE v.verdict IN ('unchanged', 'kept')
      AND t.source = audit.source AND t.target = audit.target AND t.fingerprint = v.fingerprint
  ), events AS (
    INSERT INTO post_audit.task_events (task_id, kind, before, after, audit_id, import, decision_id, happened_at)
    SELECT i.id, CASE WHEN i.is_open THEN 'new' ELSE 'recorded' END, NULL, i.image, audit.id, number, import_audit.decision_id, moment
    FROM inserted AS i
    UNION ALL
    SELECT u.id, u.verdict, u.task, u.image, audit.id, number, import_audit.decision_id, moment FROM updated AS u
  )
  SELECT
    jsonb_build_object(
      'new', count(*) FILTER (WHERE v.verdict = 'new'),
      'recorded', count(*) FILTER (WHERE v.verdict = 'recorded'),
      'unchanged', count(*) FILTER (WHERE v.verdict = 'unchanged'),
      'changed', count(*) FILTER (WHERE v.verdict = 'changed'),
      'reopened', count(*) FILTER (WHERE v.verdict = 'reopened'),
      'closed', count(*) FILTER (WHERE v.verdict = 'closed'),
      'kept', count(*) FILTER (WHERE v.verdict = 'kept'),
      'gone', count(*) FILTER (WHERE v.gone),
      'open_before', open_before,
      'new_critical', count(*) FILTER (WHERE v.verdict = 'new' AND v.after ->> 'priority' = 'critical'),
      'new_high', count(*) FILTER (WHERE v.verdict = 'new' AND v.after ->> 'priority' = 'high')),
    (SELECT coalesce(jsonb_agg(jsonb_build_object('last_seen_at', s.last_seen_at, 'tasks', s.tasks)), '[]')
      FROM (
        SELECT k.task -> 'last_seen_at' AS last_seen_at, jsonb_agg(k.task_id) AS tasks
        FROM verdicts AS k WHERE k.verdict IN ('unchanged', 'kept') GROUP BY 1
      ) AS s)
  INTO counts, seen
  FROM verdicts AS v;

  IF (counts ->> 'gone')::bigint > coalesce(may_close, open_before / 2) THEN
    RAISE EXCEPTION 'Audit % (%) would close % of the % open tasks of its scope, because it no longer reports them; nothing was done.',
      audit.id, audit.name, counts ->> 'gone', open_before
      USING ERRCODE = 'PT409', DETAIL = format('scope: source %s, target %s', audit.source, audit.target),
        HINT = 'If they are gone, approve it. If it looked at something else, import it with a --target of its own.';
  END IF;

  UPDATE post_audit.audits AS a
  SET state = 'migrated', migrated_at = moment, import = number, report = counts, seen_before = seen
  WHERE a.id = audit.id;
  -- What looked at the same before this one did would only bring the past back.
  UPDATE post_audit.audits AS a SET state = 'superseded'
  WHERE a.source = audit.source AND a.target = audit.target AND a.state = 'received' AND a.id < audit.id;
  -- The evidence of an import is kept for 30 days, the newest of each scope for as long as it is the newest.
  DELETE FROM post_audit.audit_findings AS f USING post_audit.audits AS a
  WHERE a.id = f.audit_id AND a.source = audit.source AND a.target = audit.target AND a.id <> audit.id
    AND a.state = 'migrated' AND a.migrated_at < moment - interval '30 days';
  RETURN counts;
END
$$;

-- Take an import back: what it made is removed, what it changed is as it was. Refused whole when somebody has worked
-- on one of its tasks since, or when a later import of the scope stands on it.
CREATE FUNCTION post_audit.withdraw_audit(audit_id bigint, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET enable_nestloop = off SET jit = off
AS $$
DECLARE
  audit post_audit.audits;
  later post_audit.audits;
  worked_on record;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  SELECT * INTO audit FROM post_audit.audits AS a WHERE a.id = withdraw_audit.audit_id;
  PERFORM post_audit.lock_scope(audit.source, audit.target);
  SELECT * INTO audit FROM post_audit.audits AS a WHERE a.id = withdraw_audit.audit_id FOR UPDATE;
  IF audit.id IS NULL OR audit.state <> 'migrated' THEN
    PERFORM post_audit.refuse_moved('audit:' || withdraw_audit.audit_id, '{"state": "migrated"}', jsonb_build_object('state', audit.state));
  END IF;
  SELECT * INTO later FROM post_audit.audits AS a
  WHERE a.source = audit.source AND a.target = audit.target AND a.state = 'migrated' AND a.import > audit.import
  ORDER BY a.import DESC LIMIT 1;
  IF later.id IS NOT NULL THEN
    RAISE EXCEPTION 'Audit % (%) cannot be taken back: audit % (%) of the same scope was imported after it.',
      audit.id, audit.name, later.id, later.name
      USING ERRCODE = 'PT409', HINT = 'Undo the later import first.';
  END IF;

  -- locked, so that nobody begins to work on one between this look and the change
  PERFORM 1 FROM post_audit.tasks AS t
  WHERE t.source = audit.source AND t.target = audit.target AND t.fingerprint IS NOT NULL FOR UPDATE;
  SELECT count(*) AS n, min(e.task_id) AS task_id INTO worked_on
  FROM post_audit.task_events AS e
  LEFT JOIN post_audit.tasks AS t ON t.id::text = e.task_id
  WHERE e.audit_id = audit.id AND e.import = audit.import AND e.kind IN ('new', 'recorded', 'changed', 'reopened', 'closed')
    AND to_jsonb(t) - ARRAY['id', 'source', 'target', 'fingerprint', 'created_at', 'first_seen_at'] IS DISTINCT FROM e.after;
  IF worked_on.n > 0 THEN
    RAISE EXCEPTION 'Audit % (%) cannot be taken back: % of its tasks were worked on since, task % for one.',
      audit.id, audit.name, worked_on.n, worked_on.task_id
      USING ERRCODE = 'PT409', HINT = 'Cancel the tasks that are not wanted one by one.';
  END IF;

  BEGIN
    DELETE FROM post_audit.tasks AS t USING post_audit.task_events AS e
    WHERE e.audit_id = audit.id AND e.import = audit.import AND e.kind IN ('new', 'recorded') AND t.id::text = e.task_id;
  EXCEPTION WHEN foreign_key_violation THEN
    RAISE EXCEPTION 'Audit % (%) cannot be taken back: other records refer to its tasks.', audit.id, audit.name
      USING ERRCODE = 'PT409', DETAIL = SQLERRM, HINT = 'Cancel the tasks that are not wanted one by one.';
  END;
  UPDATE post_audit.tasks AS t
  SET priority = x.priority, status = x.status, disposition = x.disposition, severity = x.severity, rule = x.rule,
    component = x.component, location = x.location, line = x.line, occurrences = x.occurrences,
    last_seen_at = x.last_seen_at, updated_at = x.updated_at, completed_at = x.completed_at
  FROM post_audit.task_events AS e
  CROSS JOIN LATERAL jsonb_to_record(e.before) AS x (
    priority text, status text, disposition text, severity text, rule text, component text, location text, line integer,
    occurrences integer, last_seen_at timestamptz, updated_at timestamptz, completed_at timestamptz)
  WHERE e.audit_id = audit.id AND e.import = audit.import AND e.kind IN ('changed', 'reopened', 'closed') AND t.id::text = e.task_id;
  UPDATE post_audit.tasks AS t SET last_seen_at = s.last_seen_at
  FROM (
    SELECT task.id, (g.value ->> 'last_seen_at')::timestamptz AS last_seen_at
    FROM jsonb_array_elements(audit.seen_before) AS g (value)
    CROSS JOIN LATERAL jsonb_array_elements_text(g.value -> 'tasks') AS task (id)
  ) AS s
  WHERE t.id::text = s.id AND t.last_seen_at = audit.received_at;

  INSERT INTO post_audit.task_events (task_id, kind, before, after, audit_id, import, decision_id, happened_at)
  SELECT e.task_id, CASE WHEN e.before IS NULL THEN 'withdrawn' ELSE 'restored' END, e.after, e.before, audit.id, audit.import,
    withdraw_audit.decision_id, post_audit.clock()
  FROM post_audit.task_events AS e
  WHERE e.audit_id = audit.id AND e.import = audit.import AND e.kind IN ('new', 'recorded', 'changed', 'reopened', 'closed')
  ORDER BY e.id;
  UPDATE post_audit.audits AS a SET state = 'received', migrated_at = NULL, report = NULL, seen_before = NULL
  WHERE a.id = audit.id;
END
$$;

-- Carry out or take back the import of one audit. Closing more than half of a scope needs the approval that the
-- change carries, up to the number that was approved; a person who restores what was undone has seen the numbers.
CREATE FUNCTION post_audit.change_audit(
  key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  audit_id bigint;
  may_close integer;
BEGIN
  IF key !~ '^[0-9]{1,18}$' OR wanted NOT IN ('{"state": "migrated"}', '{"state": "received"}') THEN
    RAISE EXCEPTION 'A change of an audit is to the state migrated or received; audit:% is to become %.', key, wanted
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  audit_id := key::bigint;
  IF wanted ->> 'state' = 'received' THEN
    PERFORM post_audit.withdraw_audit(audit_id, decision_id);
  ELSE
    SELECT CASE WHEN d.kind = 'undo' THEN 2147483647 ELSE (c.needs_approval -> 'numbers' ->> 'gone')::integer END
    INTO may_close
    FROM post_audit.changes AS c JOIN post_audit.decisions AS d ON d.id = c.decision_id
    WHERE c.decision_id = change_audit.decision_id AND c.subject = 'audit:' || key;
    PERFORM post_audit.import_audit(audit_id, may_close, decision_id);
  END IF;
  UPDATE post_audit.audits AS a SET version = change_audit.version WHERE a.id = audit_id;
END
$$;

-- Store an audit that has arrived, once per content: the same content as the newest audit of its scope is known. A
-- large one comes in parts: `total` is how many findings there are in all, `position` that of the first one given.
-- Sending a part again changes nothing.
CREATE FUNCTION public.post_audit_apply_audit(
  content_hash text, source text, target text, name text, format text, complete boolean, total integer, findings jsonb,
  "position" integer DEFAULT 0, reported integer DEFAULT NULL, needs_review jsonb DEFAULT '[]', errors jsonb DEFAULT '[]'
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  audit post_audit.audits;
  staged integer;
BEGIN
  IF content_hash = '' OR source = '' OR total < 0 OR jsonb_typeof(findings) <> 'array'
    OR "position" < 0 OR "position" + jsonb_array_length(findings) > total
  THEN
    RAISE EXCEPTION 'An audit needs a content hash, a source, and its findings as a list of at most its total.'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM post_audit.lock_scope(source, target);
  SELECT * INTO audit FROM post_audit.newest_audit(source, target);
  IF audit.content_hash = post_audit_apply_audit.content_hash THEN
    RETURN jsonb_build_object(
      'id', audit.id, 'state', audit.state, 'known', true, 'missing', 0, 'received_at', audit.received_at);
  END IF;
  SELECT * INTO audit FROM post_audit.audits AS a
  WHERE a.content_hash = post_audit_apply_audit.content_hash AND a.source = post_audit_apply_audit.source
    AND a.target = post_audit_apply_audit.target AND a.state = 'receiving'
  ORDER BY a.id DESC LIMIT 1;
  IF audit.id IS NOT NULL AND audit.findings <> total THEN
    -- begun by a program that read it in another way
    DELETE FROM post_audit.audit_findings AS f WHERE f.audit_id = audit.id;
    UPDATE post_audit.audits AS a SET findings = total WHERE a.id = audit.id;
  ELSIF audit.id IS NULL THEN
    INSERT INTO post_audit.audits
      (content_hash, source, target, name, format, state, complete, findings, reported, needs_review, errors, received_at)
    VALUES (content_hash, source, target, name, format, 'receiving', complete, total, coalesce(reported, total), needs_review,
      errors, post_audit.clock())
    RETURNING * INTO audit;
  END IF;
  INSERT INTO post_audit.audit_findings (audit_id, position, fingerprint, finding)
  SELECT audit.id, post_audit_apply_audit."position" + e.number - 1, e.value ->> 'fingerprint', e.value
  FROM jsonb_array_elements(findings) WITH ORDINALITY AS e (value, number)
  ON CONFLICT ON CONSTRAINT audit_findings_pkey DO NOTHING;
  SELECT count(*) INTO staged FROM post_audit.audit_findings AS f WHERE f.audit_id = audit.id;
  IF staged = total THEN
    UPDATE post_audit.audits AS a SET state = 'received' WHERE a.id = audit.id RETURNING * INTO audit;
  END IF;
  RETURN jsonb_build_object(
    'id', audit.id, 'state', audit.state, 'known', false, 'missing', total - staged, 'received_at', audit.received_at);
END
$$;

-- Remember that a file could not be read, once per content, so that the next decision can say so.
CREATE FUNCTION public.post_audit_apply_refused_audit(content_hash text, name text, error text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  audit_id bigint;
BEGIN
  PERFORM post_audit.lock_scope('refused', content_hash);
  SELECT a.id INTO audit_id FROM post_audit.audits AS a
  WHERE a.content_hash = post_audit_apply_refused_audit.content_hash AND a.state = 'refused';
  IF audit_id IS NULL THEN
    INSERT INTO post_audit.audits
      (content_hash, source, target, name, format, state, complete, findings, reported, errors, received_at)
    VALUES (content_hash, '', '', name, '', 'refused', false, 0, 0, jsonb_build_array(jsonb_build_object('message', error)),
      post_audit.clock())
    RETURNING id INTO audit_id;
  END IF;
  RETURN jsonb_build_object('id', audit_id, 'state', 'refused');
END
$$;

-- Store an audit and import it at once, in one transaction. Closing more than half of its scope needs `confirm`.
-- A large audit is stored in parts first (post_audit_apply_audit); the last part comes here.
CREATE FUNCTION public.post_audit_apply_import(
  content_hash text, source text, target text, findings jsonb, complete boolean, name text DEFAULT '', format text DEFAULT '',
  confirm boolean DEFAULT false, total integer DEFAULT NULL, "position" integer DEFAULT 0, reported integer DEFAULT NULL,
  needs_review jsonb DEFAULT '[]', errors jsonb DEFAULT '[]'
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  stored jsonb := public.post_audit_apply_audit(
    content_hash, source, target, name, format, complete, coalesce(total, jsonb_array_length(findings)), findings, "position",
    reported, needs_review, errors);
  audit_id bigint := (stored ->> 'id')::bigint;
  nothing CONSTANT jsonb := '{"new": 0, "recorded": 0, "changed": 0, "reopened": 0, "closed": 0, "kept": 0, "gone": 0, "open_before": 0,
    "new_critical": 0, "new_high": 0}';
BEGIN
  IF stored ->> 'state' = 'receiving' THEN
    RAISE EXCEPTION 'Of audit % (%) % findings have not arrived yet.', audit_id, name, stored ->> 'missing'
      USING ERRCODE = 'PT409', HINT = 'Send all parts, then the last one here.';
  END IF;
  IF stored ->> 'state' = 'migrated' THEN
    RETURN nothing || jsonb_build_object('audit_id', audit_id, 'repeated', true,
      'unchanged', (SELECT a.findings FROM post_audit.audits AS a WHERE a.id = audit_id));
  END IF;
  RETURN post_audit.import_audit(audit_id, CASE WHEN confirm THEN 2147483647 END, NULL)
    || jsonb_build_object('audit_id', audit_id, 'repeated', false);
END
$$;

-- What has arrived and what is open, as it stands at `as_of`. Only the first audit of a scope that waits has a preview:
-- what a later one will do depends on it.
CREATE FUNCTION public.post_audit_read_enhancements(
  as_of timestamptz, days_to_fix jsonb, audits_limit integer DEFAULT 20, refused_days integer DEFAULT 7
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_roles('tasks');
  RETURN jsonb_build_object(
    'as_of', as_of,
    'received', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', w.id, 'name', w.name, 'source', w.source, 'target', w.target, 'format', w.format, 'complete', w.complete,
        'findings', w.findings, 'reported', w.reported, 'needs_review', jsonb_array_length(w.needs_review),
        'errors', jsonb_array_length(w.errors), 'received_at', w.received_at,
        'preview', CASE WHEN w.place = 1 THEN
          public.post_audit_read_import_preview(w.source, w.target, w.complete, '[]', NULL, w.id) END,
        'hold', (
          SELECT jsonb_build_object('until', h.until, 'decision_id', h.decision_id)
          FROM post_audit.holds AS h WHERE h.subject = 'audit:' || w.id)
      ) ORDER BY w.id), '[]')
      FROM (
        SELECT a.*, row_number() OVER (PARTITION BY a.source, a.target, EXISTS (
            SELECT 1 FROM post_audit.holds AS h WHERE h.subject = 'audit:' || a.id AND h.until > as_of) ORDER BY a.id) AS place
        FROM post_audit.audits AS a WHERE a.state = 'received' AND a.received_at <= as_of
        ORDER BY a.id LIMIT audits_limit
      ) AS w),
    'waiting', (SELECT count(*) FROM post_audit.audits AS a WHERE a.state = 'received' AND a.received_at <= as_of),
    'refused', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', a.id, 'name', a.name, 'message', a.errors -> 0 ->> 'message', 'received_at', a.received_at) ORDER BY a.id DESC), '[]')
      FROM post_audit.audits AS a
      WHERE a.state = 'refused' AND a.received_at <= as_of
        AND a.received_at > as_of - make_interval(days => refused_days)),
    'last_migrated', (
      SELECT jsonb_build_object('id', a.id, 'name', a.name, 'source', a.source, 'received_at', a.received_at)
      FROM post_audit.audits AS a WHERE a.state = 'migrated' AND a.received_at <= as_of
      ORDER BY a.received_at DESC, a.id DESC LIMIT 1),
    'queue', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('priority', q.priority, 'open', q.n, 'late', q.late) ORDER BY q.rank), '[]')
      FROM (
        SELECT t.priority, array_position(ARRAY['critical', 'high', 'medium', 'low'], t.priority) AS rank, count(*) AS n,
          count(*) FILTER (
            WHERE t.first_seen_at + make_interval(days => (days_to_fix ->> t.priority)::integer) < as_of) AS late
        FROM post_audit.tasks AS t WHERE t.status IN ('pending', 'in_progress') GROUP BY 1
      ) AS q)
  );
END
$$;
