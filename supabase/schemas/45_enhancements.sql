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

-- The findings of an audit as they arrived, one row for each fingerprint. Without a foreign key, here and in the events:
-- it would look up one audit for each of 100,000 rows, and no audit is ever removed.
CREATE TABLE IF NOT EXISTS post_audit.audit_entries (
  audit_id bigint NOT NULL,
  fingerprint text NOT NULL,
  title text NOT NULL,
  description text NOT NULL,
  severity text NOT NULL,
  priority text NOT NULL,
  category text NOT NULL,
  status text NOT NULL,
  disposition text,
  estimated_hours numeric,
  rule text,
  component text,
  location text,
  line integer,
  occurrences integer NOT NULL,
  PRIMARY KEY (audit_id, fingerprint)
);

-- What happened to each task, appended and never altered. `before` and `after` hold what differs.
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
  audit_id bigint,
  import bigint,
  decision_id bigint,
  -- a hash of the task as an import left it, to know whether somebody has worked on it since
  left_as bigint,
  -- who did it and what was said; null where an import did
  actor text,
  note text,
  happened_at timestamptz NOT NULL,
  CHECK ((actor IS NULL) = (audit_id IS NOT NULL AND import IS NOT NULL))
);
-- An older version of ours knew events of imports alone, and kept findings in another form.
DO $$
DECLARE
  old record;
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM pg_attribute AS a WHERE a.attrelid = 'post_audit.task_events'::regclass AND a.attname = 'left_as'
  ) THEN
    FOR old IN
      SELECT c.conname AS name FROM pg_constraint AS c
      WHERE c.conrelid = 'post_audit.task_events'::regclass AND c.contype IN ('c', 'f')
    LOOP
      EXECUTE format('ALTER TABLE post_audit.task_events DROP CONSTRAINT %I', old.name);
    END LOOP;
    ALTER TABLE post_audit.task_events ADD COLUMN actor text, ADD COLUMN note text, ADD COLUMN left_as bigint,
      ALTER COLUMN audit_id DROP NOT NULL, ALTER COLUMN import DROP NOT NULL;
    ALTER TABLE post_audit.task_events ADD CONSTRAINT task_events_kind_check CHECK (kind ~ '^[a-z_]+$') NOT VALID,
      ADD CONSTRAINT task_events_check CHECK ((actor IS NULL) = (audit_id IS NOT NULL AND import IS NOT NULL)) NOT VALID;
    DROP INDEX IF EXISTS post_audit.task_events_decision;
    -- findings of audits, as JSON; what has not been imported yet is imported from its file again
    DROP TABLE IF EXISTS post_audit.audit_findings;
  END IF;
END
$$;
CREATE INDEX IF NOT EXISTS task_events_task ON post_audit.task_events (task_id, id);
CREATE INDEX IF NOT EXISTS task_events_audit ON post_audit.task_events (audit_id, import) WHERE audit_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS task_events_people ON post_audit.task_events (happened_at, kind) WHERE actor IS NOT NULL;

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
--   finding   task                                  verdict
--   open      none                                  new
--   closed    none                                  recorded (kept for the day it is reported as open again)
--   open      open, tool's fields the same          unchanged
--   open      open, tool's fields differ            changed   (a priority that a person set stays)
--   open      closed by an audit, or completed      reopened  (what is reported again is not fixed, whoever said so)
--   open      cancelled, accepted, false positive,  kept
--             duplicate
--   closed    open                                  closed
--   closed    closed                                unchanged
--   none      open                                  closed, `gone` (only when the audit is complete)
--
-- The findings are those of an audit that has arrived, or those given.
CREATE FUNCTION post_audit.judge_findings(source text, target text, complete boolean, audit_id bigint, findings jsonb)
RETURNS TABLE (fingerprint text, verdict text, gone boolean, was_open boolean)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET enable_nestloop = off SET jit = off
ROWS 10000 AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH found AS MATERIALIZED (
    SELECT s.fingerprint, s.severity, s.rule, s.component, s.location, s.line, s.occurrences, s.disposition,
      s.status IN ('pending', 'in_progress') AS is_open
    FROM post_audit.audit_entries AS s WHERE s.audit_id = judge_findings.audit_id
    UNION ALL
    SELECT e.fingerprint, e.severity, e.rule, e.component, e.location, e.line, e.occurrences, e.disposition,
      e.status IN ('pending', 'in_progress')
    FROM jsonb_to_recordset(judge_findings.findings) AS e (
      fingerprint text, severity text, rule text, component text, location text, line integer, occurrences integer,
      disposition text, status text)
  ), present AS MATERIALIZED (
    SELECT t.fingerprint, t.severity, t.rule, t.component, t.location, t.line, t.occurrences, t.disposition,
      t.status IN ('pending', 'in_progress') AS is_open,
      (t.status = 'completed' AND coalesce(t.disposition, 'gone') IN ('gone', 'reported'))
        OR (t.status = 'cancelled' AND coalesce(t.disposition, '') = 'reported') AS opens_again
    FROM post_audit.tasks AS t
    WHERE t.source = judge_findings.source AND t.target = judge_findings.target AND t.fingerprint IS NOT NULL
  )
  SELECT coalesce(f.fingerprint, p.fingerprint),
    CASE
      WHEN p.fingerprint IS NULL THEN CASE WHEN f.is_open THEN 'new' ELSE 'recorded' END
      WHEN f.fingerprint IS NULL OR (p.is_open AND NOT f.is_open) THEN 'closed'
      WHEN p.is_open AND (
        p.severity IS DISTINCT FROM f.severity OR p.rule IS DISTINCT FROM f.rule OR p.component IS DISTINCT FROM f.component
        OR p.location IS DISTINCT FROM f.location OR p.line IS DISTINCT FROM f.line OR p.occurrences <> f.occurrences
        -- what was unclear is clear now
        OR (p.disposition = 'review' AND f.disposition IS NULL)
      ) THEN 'changed'
      WHEN f.is_open AND NOT p.is_open THEN CASE WHEN p.opens_again THEN 'reopened' ELSE 'kept' END
      ELSE 'unchanged'
    END,
    f.fingerprint IS NULL, coalesce(p.is_open, false)
  FROM found AS f FULL JOIN present AS p ON p.fingerprint = f.fingerprint
  WHERE f.fingerprint IS NOT NULL OR (p.is_open AND judge_findings.complete);
END
$$;

-- What importing would do, in counts, without doing it: for findings that are given, or for an audit that has arrived.
CREATE FUNCTION public.post_audit_read_import_preview(
  source text, target text, complete boolean, findings jsonb DEFAULT '[]', content_hash text DEFAULT NULL,
  audit_id bigint DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_roles('tasks');
  RETURN (
    WITH verdicts AS MATERIALIZED (
      SELECT * FROM post_audit.judge_findings(
        post_audit_read_import_preview.source, post_audit_read_import_preview.target,
        post_audit_read_import_preview.complete, post_audit_read_import_preview.audit_id,
        post_audit_read_import_preview.findings)
    ), new_ones AS MATERIALIZED (
      SELECT s.title, s.priority FROM verdicts AS v JOIN post_audit.audit_entries AS s
        ON s.audit_id = post_audit_read_import_preview.audit_id AND s.fingerprint = v.fingerprint
      WHERE v.verdict = 'new'
      UNION ALL
      SELECT e.title, e.priority FROM verdicts AS v
      JOIN jsonb_to_recordset(post_audit_read_import_preview.findings) AS e (fingerprint text, title text, priority text)
        ON e.fingerprint = v.fingerprint
      WHERE v.verdict = 'new'
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
      'open_and_reported', count(*) FILTER (WHERE v.was_open AND NOT v.gone),
      'open_before', (
        SELECT count(*) FROM post_audit.tasks AS t
        WHERE t.source = post_audit_read_import_preview.source AND t.target = post_audit_read_import_preview.target
          AND t.fingerprint IS NOT NULL AND t.status IN ('pending', 'in_progress')),
      'new_critical', (SELECT count(*) FROM new_ones AS n WHERE n.priority = 'critical'),
      'new_high', (SELECT count(*) FROM new_ones AS n WHERE n.priority = 'high'),
      'repeated', coalesce((
        SELECT n.content_hash = post_audit_read_import_preview.content_hash AND n.state = 'migrated'
        FROM post_audit.newest_audit(post_audit_read_import_preview.source, post_audit_read_import_preview.target) AS n
      ), false),
      'worst_new', (
        SELECT coalesce(jsonb_agg(w.title ORDER BY w.rank, w.title), '[]')
        FROM (
          SELECT n.title, array_position(ARRAY['critical', 'high', 'medium', 'low'], n.priority) AS rank
          FROM new_ones AS n ORDER BY 2, 1 LIMIT 3
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
  IF audit.findings <> (SELECT count(*) FROM post_audit.audit_entries AS f WHERE f.audit_id = audit.id) THEN
    RAISE EXCEPTION 'The findings of audit % (%) are no longer kept.', audit.id, audit.name
      USING ERRCODE = 'PT409', HINT = 'Import its file again: post-audit import FILE.';
  END IF;
  SELECT count(*) INTO open_before FROM post_audit.tasks AS t
  WHERE t.source = audit.source AND t.target = audit.target AND t.fingerprint IS NOT NULL AND t.status IN ('pending', 'in_progress');
  SELECT coalesce(max(a.import), 0) + 1 INTO number FROM post_audit.audits AS a
  WHERE a.source = audit.source AND a.target = audit.target;

  WITH verdicts AS MATERIALIZED (
    SELECT * FROM post_audit.judge_findings(audit.source, audit.target, audit.complete, audit.id, '[]')
  ), inserted AS (
    INSERT INTO post_audit.tasks AS t (
      title, description, priority, category, status, disposition, estimated_hours, source, target, fingerprint, severity,
      rule, component, location, line, occurrences, first_seen_at, last_seen_at, created_at, updated_at, completed_at)
    SELECT e.title, e.description, e.priority, e.category, e.status,
      CASE v.verdict WHEN 'recorded' THEN coalesce(e.disposition, 'reported') ELSE e.disposition END, e.estimated_hours,
      audit.source, audit.target, e.fingerprint, e.severity, e.rule, e.component, e.location, e.line, e.occurrences,
      audit.received_at, audit.received_at, moment, moment, CASE v.verdict WHEN 'recorded' THEN audit.received_at END
    FROM verdicts AS v JOIN post_audit.audit_entries AS e ON e.audit_id = audit.id AND e.fingerprint = v.fingerprint
    WHERE v.verdict IN ('new', 'recorded')
    ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], e.priority), e.fingerprint
    RETURNING t.id::text AS id, t.status, t.priority, t.status IN ('pending', 'in_progress') AS is_open,
      hash_record_extended(ROW(t.status, t.disposition, t.priority, t.category, t.title, t.description, t.estimated_hours,
        t.owner, t.note, t.updated_at), 0) AS left_as
  ), wanted AS MATERIALIZED (
    SELECT o.id, v.verdict, o.status AS old_status, o.disposition AS old_disposition, o.priority AS old_priority,
      o.severity AS old_severity, o.rule AS old_rule, o.component AS old_component, o.location AS old_location,
      o.line AS old_line, o.occurrences AS old_occurrences, o.last_seen_at AS old_last_seen_at,
      o.updated_at AS old_updated_at, o.completed_at AS old_completed_at, o.lease_expires_at AS old_lease_expires_at,
      CASE v.verdict WHEN 'reopened' THEN 'pending' WHEN 'closed' THEN coalesce(e.status, 'completed') ELSE o.status END AS status,
      CASE v.verdict WHEN 'reopened' THEN 'reopened'
        WHEN 'closed' THEN CASE WHEN v.gone THEN 'gone' ELSE coalesce(e.disposition, 'reported') END
        ELSE CASE WHEN o.disposition = 'review' AND e.disposition IS NULL THEN NULL ELSE o.disposition END END AS disposition,
      v.verdict = 'closed' AS closes,
      e.priority, e.severity, e.rule, e.component, e.location, e.line, e.occurrences
    FROM verdicts AS v
    JOIN post_audit.tasks AS o ON o.source = audit.source AND o.target = audit.target AND o.fingerprint = v.fingerprint
    LEFT JOIN post_audit.audit_entries AS e ON e.audit_id = audit.id AND e.fingerprint = v.fingerprint
    WHERE v.verdict IN ('changed', 'reopened', 'closed')
  ), updated AS (
    -- a closed task keeps what was last said of it
    UPDATE post_audit.tasks AS t
    SET priority = CASE WHEN w.closes OR w.old_priority IS DISTINCT FROM w.old_severity THEN w.old_priority ELSE w.priority END,
      severity = CASE WHEN w.closes THEN w.old_severity ELSE w.severity END,
      rule = CASE WHEN w.closes THEN w.old_rule ELSE w.rule END,
      component = CASE WHEN w.closes THEN w.old_component ELSE w.component END,
      location = CASE WHEN w.closes THEN w.old_location ELSE w.location END,
      line = CASE WHEN w.closes THEN w.old_line ELSE w.line END,
      occurrences = CASE WHEN w.closes THEN w.old_occurrences ELSE w.occurrences END,
      status = w.status, disposition = w.disposition, updated_at = moment,
      last_seen_at = CASE WHEN w.closes THEN w.old_last_seen_at ELSE audit.received_at END,
      completed_at = CASE w.verdict WHEN 'closed' THEN moment WHEN 'reopened' THEN NULL ELSE w.old_completed_at END
    FROM wanted AS w
    WHERE t.id = w.id
    RETURNING t.id::text AS id, w.verdict,
      jsonb_build_object('updated_at', w.old_updated_at, 'last_seen_at', w.old_last_seen_at)
        || CASE WHEN t.status <> w.old_status OR t.disposition IS DISTINCT FROM w.old_disposition THEN jsonb_build_object(
          'status', w.old_status, 'disposition', w.old_disposition, 'completed_at', w.old_completed_at) ELSE '{}' END
        || CASE WHEN t.priority <> w.old_priority THEN jsonb_build_object('priority', w.old_priority) ELSE '{}' END
        || CASE WHEN t.severity IS DISTINCT FROM w.old_severity THEN jsonb_build_object('severity', w.old_severity) ELSE '{}' END
        || CASE WHEN t.line IS DISTINCT FROM w.old_line THEN jsonb_build_object('line', w.old_line) ELSE '{}' END
        || CASE WHEN (t.rule, t.component, t.location, t.occurrences)
            IS DISTINCT FROM (w.old_rule, w.old_component, w.old_location, w.old_occurrences)
          THEN jsonb_build_object('rule', w.old_rule, 'component', w.old_component, 'location', w.old_location,
            'occurrences', w.old_occurrences) ELSE '{}' END AS before,
      jsonb_build_object('updated_at', t.updated_at, 'last_seen_at', t.last_seen_at)
        || CASE WHEN t.status <> w.old_status OR t.disposition IS DISTINCT FROM w.old_disposition THEN jsonb_build_object(
          'status', t.status, 'disposition', t.disposition, 'completed_at', t.completed_at) ELSE '{}' END
        || CASE WHEN t.priority <> w.old_priority THEN jsonb_build_object('priority', t.priority) ELSE '{}' END
        || CASE WHEN t.severity IS DISTINCT FROM w.old_severity THEN jsonb_build_object('severity', t.severity) ELSE '{}' END
        || CASE WHEN t.line IS DISTINCT FROM w.old_line THEN jsonb_build_object('line', t.line) ELSE '{}' END
        || CASE WHEN (t.rule, t.component, t.location, t.occurrences)
            IS DISTINCT FROM (w.old_rule, w.old_component, w.old_location, w.old_occurrences)
          THEN jsonb_build_object('rule', t.rule, 'component', t.component, 'location', t.location,
            'occurrences', t.occurrences) ELSE '{}' END AS after,
      hash_record_extended(ROW(t.status, t.disposition, t.priority, t.category, t.title, t.description, t.estimated_hours,
        t.owner, t.note, t.updated_at), 0) AS left_as
  ), seen_again AS MATERIALIZED (
    SELECT o.id, o.last_seen_at FROM verdicts AS v
    JOIN post_audit.tasks AS o ON o.source = audit.source AND o.target = audit.target AND o.fingerprint = v.fingerprint
    WHERE v.verdict IN ('unchanged', 'kept')
  ), touched AS (
    UPDATE post_audit.tasks AS t SET last_seen_at = audit.received_at FROM seen_again AS s WHERE t.id = s.id
  ), events AS (
    INSERT INTO post_audit.task_events (task_id, kind, before, after, left_as, audit_id, import, decision_id, happened_at)
    SELECT i.id, CASE WHEN i.is_open THEN 'new' ELSE 'recorded' END, NULL,
      jsonb_build_object('status', i.status, 'priority', i.priority), i.left_as, audit.id, number, import_audit.decision_id, moment
    FROM inserted AS i
    UNION ALL
    SELECT u.id, u.verdict, u.before, u.after, u.left_as, audit.id, number, import_audit.decision_id, moment FROM updated AS u
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
      'new_critical', (SELECT count(*) FROM inserted AS i WHERE i.is_open AND i.priority = 'critical'),
      'new_high', (SELECT count(*) FROM inserted AS i WHERE i.is_open AND i.priority = 'high')),
    (SELECT coalesce(jsonb_agg(jsonb_build_object('last_seen_at', s.last_seen_at, 'tasks', s.tasks)), '[]')
      FROM (SELECT k.last_seen_at, jsonb_agg(k.id) AS tasks FROM seen_again AS k GROUP BY 1) AS s)
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
  DELETE FROM post_audit.audit_entries AS f USING post_audit.audits AS a
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
    AND hash_record_extended(ROW(t.status, t.disposition, t.priority, t.category, t.title, t.description, t.estimated_hours,
      t.owner, t.note, t.updated_at), 0) IS DISTINCT FROM e.left_as;
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
  JOIN post_audit.tasks AS o ON o.id::text = e.task_id
  CROSS JOIN LATERAL jsonb_populate_record(o, e.before) AS x
  WHERE e.audit_id = audit.id AND e.import = audit.import AND e.kind IN ('changed', 'reopened', 'closed') AND t.id = o.id;
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
    DELETE FROM post_audit.audit_entries AS f WHERE f.audit_id = audit.id;
    UPDATE post_audit.audits AS a SET findings = total WHERE a.id = audit.id;
  ELSIF audit.id IS NULL THEN
    INSERT INTO post_audit.audits
      (content_hash, source, target, name, format, state, complete, findings, reported, needs_review, errors, received_at)
    VALUES (content_hash, source, target, name, format, 'receiving', complete, total, coalesce(reported, total), needs_review,
      errors, post_audit.clock())
    RETURNING * INTO audit;
  END IF;
  INSERT INTO post_audit.audit_entries AS a (
    audit_id, fingerprint, title, description, severity, priority, category, status, disposition, estimated_hours, rule, component,
    location, line, occurrences)
  SELECT audit.id, e.fingerprint, e.title, coalesce(e.description, ''), e.severity, coalesce(e.priority, e.severity),
    coalesce(e.category, 'general'), coalesce(e.status, 'pending'), e.disposition, e.estimated_hours, e.rule, e.component, e.location,
    e.line, coalesce(e.occurrences, 1)
  FROM jsonb_to_recordset(findings) AS e (
    fingerprint text, title text, description text, severity text, priority text, category text, status text, disposition text,
    estimated_hours numeric, rule text, component text, location text, line integer, occurrences integer)
  ON CONFLICT ON CONSTRAINT audit_entries_pkey DO NOTHING;
  SELECT count(*) INTO staged FROM post_audit.audit_entries AS f WHERE f.audit_id = audit.id;
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
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  stored jsonb := public.post_audit_apply_audit(
    content_hash, source, target, name, format, complete, coalesce(total, jsonb_array_length(findings)), findings, "position",
    reported, needs_review, errors);
  audit_id bigint := (stored ->> 'id')::bigint;
  nothing CONSTANT jsonb := '{"new": 0, "recorded": 0, "changed": 0, "reopened": 0, "closed": 0, "kept": 0, "gone": 0, "new_critical": 0, "new_high": 0}';
BEGIN
  IF stored ->> 'state' = 'receiving' THEN
    RAISE EXCEPTION 'Of audit % (%) % findings have not arrived yet.', audit_id, name, stored ->> 'missing'
      USING ERRCODE = 'PT409', HINT = 'Send all parts, then the last one here.';
  END IF;
  IF stored ->> 'state' = 'migrated' THEN
    RETURN nothing || jsonb_build_object('audit_id', audit_id, 'repeated', true,
      'unchanged', (SELECT a.findings FROM post_audit.audits AS a WHERE a.id = audit_id),
      'open_before', (
        SELECT count(*) FROM post_audit.tasks AS t
        WHERE t.source = post_audit_apply_import.source AND t.target = post_audit_apply_import.target
          AND t.fingerprint IS NOT NULL AND t.status IN ('pending', 'in_progress')));
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
            SELECT 1 FROM post_audit.holds AS h WHERE h.subject = 'audit:' || a.id AND h.until > as_of) ORDER BY a.id) AS place,
          sum(a.findings) OVER (ORDER BY a.id) - a.findings AS before_it
        FROM post_audit.audits AS a WHERE a.state = 'received' AND a.received_at <= as_of
        ORDER BY a.id LIMIT audits_limit
      ) AS w
      -- a preview of 100,000 findings takes 0.4 s; the rest waits for the next run
      WHERE w.before_it < 200000),
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
            WHERE t.first_seen_at + make_interval(days => (days_to_fix ->> t.priority)::integer) < as_of
              -- what waits for a review has been promised to nobody yet
              AND t.disposition IS DISTINCT FROM 'review') AS late
        FROM post_audit.tasks AS t WHERE t.status IN ('pending', 'in_progress') GROUP BY 1
      ) AS q)
  );
END
$$;
