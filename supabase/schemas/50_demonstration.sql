-- The demonstration marketplace: what was planted in it, and what the steps have found of that. Filled by
-- `post-audit demo` alone, and empty on a live marketplace.

CREATE TABLE IF NOT EXISTS post_audit.demonstration_labels (
  -- supplier, experiment, capacity, leaderboard, counter, bug, worst_bug
  kind text NOT NULL,
  -- as decisions name it: supplier:42
  subject text NOT NULL,
  -- fake or real; the better variant; short or enough; the right total in paise; the bug that is repeated
  truth text NOT NULL,
  -- how it came about
  detail text NOT NULL,
  PRIMARY KEY (kind, subject)
);

-- Settings as they were when the demonstration came, to be put back when it goes.
CREATE TABLE IF NOT EXISTS post_audit.demonstration_former_rows (
  relation text PRIMARY KEY,
  rows jsonb NOT NULL
);

-- Every label with what is so now (`now`), what waits for a person (`waiting`), and everything that the steps took
-- or proposed although nothing was planted there (`unplanted`). What is true of totals and counters is computed from
-- the ledgers as they are, by sums of its own: a ledger changes when a supplier goes into quarantine.
CREATE FUNCTION public.post_audit_read_demonstration_verdict() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  marketplace post_audit.marketplace;
  answer jsonb;
BEGIN
  SELECT * INTO marketplace FROM post_audit.marketplace AS m;
  IF marketplace.kind <> 'demonstration' THEN
    RAISE EXCEPTION 'This marketplace is live; nothing was planted in it.'
      USING ERRCODE = 'no_data_found', HINT = 'Load the demonstration into a database of its own: post-audit demo.';
  END IF;
  PERFORM post_audit.require_roles(
    'suppliers', 'claims', 'earnings', 'leaderboard', 'airdrop', 'experiments', 'capacity', 'bugs');

  WITH last_decisions AS MATERIALIZED (
    SELECT DISTINCT ON (d.step) d.step, d.id, d.numbers
    FROM post_audit.decisions AS d WHERE d.kind = 'step' ORDER BY d.step, d.id DESC
  ), changed AS MATERIALIZED (
    -- the last word on each subject that somebody may still take back or has yet to give
    SELECT DISTINCT ON (c.subject) c.subject, c.state, c.before, c.after
    FROM post_audit.changes AS c WHERE c.state IN ('applied', 'proposed') ORDER BY c.subject, c.decision_id DESC
  ), reviews AS MATERIALIZED (
    SELECT 'supplier:' || (r.value ->> 'supplier') AS subject
    FROM last_decisions AS d CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(d.numbers -> 'reviews') AS r (value)
    WHERE d.step = 'fake_data'
  ), suppliers AS (
    SELECT s.subject,
      CASE WHEN q.subject IS NOT NULL THEN 'quarantined' WHEN r.subject IS NOT NULL THEN 'review' ELSE 'kept' END AS now,
      CASE WHEN c.state = 'proposed' THEN c.after ->> 'state' END AS waiting
    FROM (
      SELECT l.subject FROM post_audit.demonstration_labels AS l WHERE l.kind = 'supplier'
      UNION SELECT q.subject FROM post_audit.quarantined_suppliers AS q WHERE q.restored_at IS NULL
      UNION SELECT r.subject FROM reviews AS r
      UNION SELECT c.subject FROM changed AS c WHERE c.subject LIKE 'supplier:%' AND c.state = 'proposed'
    ) AS s
    LEFT JOIN post_audit.quarantined_suppliers AS q ON q.subject = s.subject AND q.restored_at IS NULL
    LEFT JOIN reviews AS r ON r.subject = s.subject
    LEFT JOIN changed AS c ON c.subject = s.subject
  ), experiments AS (
    SELECT s.subject, e.winner AS now, CASE WHEN c.state = 'proposed' THEN c.after ->> 'winner' END AS waiting
    FROM post_audit.experiments AS e
    CROSS JOIN LATERAL (SELECT 'experiment:' || e.id AS subject) AS s
    LEFT JOIN changed AS c ON c.subject = s.subject
  ), capacity AS (
    SELECT s.subject,
      CASE WHEN c.state = 'applied' AND k.daily_quota > (c.before ->> 'daily_quota')::bigint THEN 'raised' ELSE 'same' END AS now,
      CASE WHEN c.state = 'proposed' AND (c.after ->> 'daily_quota')::bigint > k.daily_quota THEN 'raised' END AS waiting
    FROM post_audit.capacity AS k
    CROSS JOIN LATERAL (SELECT 'capacity:' || k.channel AS subject) AS s
    LEFT JOIN changed AS c ON c.subject = s.subject
  ), totals AS (
    SELECT 'leaderboard:' || coalesce(b.user_id, t.user_id) AS subject,
      coalesce(b.total_paise, -1) AS shown, coalesce(t.total_paise, 0) AS true_value
    FROM (SELECT l.user_id::text AS user_id, l.total_paise FROM post_audit.leaderboard AS l) AS b
    FULL JOIN (
      SELECT e.user_id::text AS user_id, pg_catalog.sum(e.amount_paise)::bigint AS total_paise
      FROM post_audit.earnings AS e WHERE e.tracked_at <= marketplace.as_of GROUP BY e.user_id
    ) AS t ON t.user_id = b.user_id
    WHERE b.user_id IS NOT NULL OR t.total_paise <> 0
  ), leaderboard AS (
    SELECT t.subject, CASE WHEN t.shown = t.true_value THEN 'true' ELSE 'false' END AS now,
      CASE WHEN c.state = 'proposed'
        THEN CASE WHEN (c.after ->> 'total_paise')::bigint = t.true_value THEN 'true' ELSE 'false' END END AS waiting
    FROM totals AS t LEFT JOIN changed AS c ON c.subject = t.subject
    WHERE t.shown <> t.true_value OR c.state = 'proposed'
      OR t.subject IN (SELECT l.subject FROM post_audit.demonstration_labels AS l WHERE l.kind = 'leaderboard')
  ), counters AS (
    SELECT s.subject, CASE WHEN a.shown_value = s.true_value THEN 'true' ELSE 'false' END AS now,
      CASE WHEN c.state = 'proposed'
        THEN CASE WHEN (c.after ->> 'shown_value')::bigint = s.true_value THEN 'true' ELSE 'false' END END AS waiting
    FROM (
      SELECT pg_catalog.count(*) AS claims, coalesce(pg_catalog.sum(k.amount_paise), 0)::bigint AS paise
      FROM post_audit.claims AS k WHERE pg_catalog.lower(k.status) = 'verified' AND k.verified_at <= marketplace.as_of
    ) AS ledger
    CROSS JOIN LATERAL (VALUES
      ('counter:airdrop_claims', ledger.claims), ('counter:airdrop_paise', ledger.paise)) AS s (subject, true_value)
    LEFT JOIN post_audit.airdrop AS a ON 'counter:' || a.counter = s.subject
    LEFT JOIN changed AS c ON c.subject = s.subject
  ), bugs AS (
    SELECT s.subject,
      CASE WHEN pg_catalog.lower(b.status) = 'duplicate' THEN 'bug:' || post_audit.bug_root(b.id::text) END AS now,
      CASE WHEN c.state = 'proposed' AND c.after ->> 'status' = 'duplicate' THEN 'bug:' || (c.after ->> 'duplicate_of') END AS waiting
    FROM post_audit.bugs AS b
    CROSS JOIN LATERAL (SELECT 'bug:' || b.id AS subject) AS s
    LEFT JOIN changed AS c ON c.subject = s.subject
    WHERE pg_catalog.lower(b.status) = 'duplicate' OR c.after ->> 'status' = 'duplicate'
      OR s.subject IN (SELECT l.subject FROM post_audit.demonstration_labels AS l WHERE l.kind = 'bug')
  ), worst AS (
    SELECT 'bug:' || (d.numbers -> 'top' -> 0 ->> 'id') AS subject, 'worst' AS now, NULL::text AS waiting
    FROM last_decisions AS d WHERE d.step = 'bugs' AND d.numbers -> 'top' -> 0 IS NOT NULL
  ), found AS (
    SELECT 'supplier' AS kind, f.subject, f.now, f.waiting FROM suppliers AS f
    UNION ALL SELECT 'experiment', f.subject, f.now, f.waiting FROM experiments AS f
    UNION ALL SELECT 'capacity', f.subject, f.now, f.waiting FROM capacity AS f
    UNION ALL SELECT 'leaderboard', f.subject, f.now, f.waiting FROM leaderboard AS f
    UNION ALL SELECT 'counter', f.subject, f.now, f.waiting FROM counters AS f
    UNION ALL SELECT 'bug', f.subject, f.now, f.waiting FROM bugs AS f
    UNION ALL SELECT 'worst_bug', f.subject, f.now, f.waiting FROM worst AS f
  )
  SELECT pg_catalog.jsonb_build_object(
    'as_of', marketplace.as_of,
    'decided', (SELECT coalesce(pg_catalog.jsonb_agg(d.step ORDER BY d.step), '[]') FROM last_decisions AS d),
    'suppliers', (SELECT pg_catalog.count(*) FROM post_audit.suppliers)
      + (SELECT pg_catalog.count(*) FROM post_audit.quarantined_suppliers AS q WHERE q.restored_at IS NULL),
    'labels', (
      SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'kind', l.kind, 'subject', l.subject, 'truth', l.truth, 'detail', l.detail, 'now', f.now, 'waiting', f.waiting
      ) ORDER BY l.kind, l.subject), '[]')
      FROM post_audit.demonstration_labels AS l
      LEFT JOIN found AS f ON f.kind = l.kind AND f.subject = l.subject),
    'unplanted', (
      SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'kind', f.kind, 'subject', f.subject, 'now', f.now, 'waiting', f.waiting) ORDER BY f.kind, f.subject), '[]')
      FROM found AS f
      WHERE NOT EXISTS (
        SELECT 1 FROM post_audit.demonstration_labels AS l WHERE l.kind = f.kind AND l.subject = f.subject))
  ) INTO answer;
  RETURN answer;
END
$$;
