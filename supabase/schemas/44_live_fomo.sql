-- Step `live_fomo`: what the public counters show, what the ledgers say, and the log that proves which was shown when.
--
-- One definition of truth, here and nowhere else: a user's total is the sum of the user's rows in role earnings; it was
-- reached at the last of them; whoever has more stands higher, and of equals whoever reached it first, then the
-- smaller id by its bytes. A rank is a place in that order. Nothing needs to be stored for it, so one false total is
-- one row to repair; where the marketplace stores ranks, they are checked too.

-- Counters that have no row of their own in role airdrop: the leaderboard as a whole.
CREATE TABLE IF NOT EXISTS post_audit.live_counters (
  counter text PRIMARY KEY,
  state text NOT NULL DEFAULT 'unknown' CHECK (state IN ('verified', 'repaired', 'hidden', 'unknown')),
  version bigint NOT NULL DEFAULT 0,
  changed_at timestamptz
);
INSERT INTO post_audit.live_counters (counter) VALUES ('leaderboard') ON CONFLICT DO NOTHING;

-- One row a counter and check, each holding the hash of the one before: what was found, what the ledger said, what
-- was shown from then on. Money in paise; for the leaderboard the values are the sums of all totals, and the digest
-- is that of the rows that were shown.
CREATE TABLE IF NOT EXISTS post_audit.live_evidence (
  position bigint PRIMARY KEY CHECK (position > 0),
  decision_id bigint NOT NULL REFERENCES post_audit.decisions (id),
  counter text NOT NULL,
  at timestamptz NOT NULL,
  verdict text NOT NULL CHECK (verdict IN ('verified', 'repaired', 'hidden', 'unknown')),
  found_value bigint,
  recomputed_value bigint,
  published_value bigint,
  version bigint NOT NULL,
  differences bigint NOT NULL,
  ledger_rows bigint,
  ledger_last_at timestamptz,
  published_digest text,
  previous_hash text NOT NULL CHECK (length(previous_hash) = 64),
  hash text NOT NULL CHECK (length(hash) = 64)
);
CREATE INDEX IF NOT EXISTS live_evidence_counter ON post_audit.live_evidence (counter, position DESC);
CREATE INDEX IF NOT EXISTS live_evidence_decision ON post_audit.live_evidence (decision_id);

CREATE OR REPLACE FUNCTION post_audit.keep_live_evidence() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RAISE EXCEPTION 'The evidence log is only added to; % is refused.', TG_OP
    USING ERRCODE = 'insufficient_privilege', HINT = 'A correction is a new row: run the step again.';
END
$$;
CREATE OR REPLACE TRIGGER live_evidence_rows_stay BEFORE UPDATE OR DELETE ON post_audit.live_evidence
  FOR EACH ROW EXECUTE FUNCTION post_audit.keep_live_evidence();
CREATE OR REPLACE TRIGGER live_evidence_stays BEFORE TRUNCATE ON post_audit.live_evidence
  FOR EACH STATEMENT EXECUTE FUNCTION post_audit.keep_live_evidence();

-- Counting verified claims up to a moment reads the index alone.
DO $$
BEGIN
  PERFORM post_audit.on_ours(ARRAY['public.claim_airdrop_log'],
    'CREATE INDEX IF NOT EXISTS claim_airdrop_log_verified ON public.claim_airdrop_log (verified_at) INCLUDE (status, amount_paise)');
END
$$;

-- The totals of all users, or of some, from the ledger's rows up to `horizon`. Whoever takes rows out of the ledger
-- writes these totals for the users it touched, and agrees with this step by that.
CREATE FUNCTION post_audit.recompute_leaderboard(horizon timestamptz, user_ids text[] DEFAULT NULL)
RETURNS TABLE (user_id text, total_paise bigint, reached_at timestamptz, ledger_rows bigint)
LANGUAGE plpgsql STABLE ROWS 100000 SECURITY INVOKER
SET search_path = '' SET "TimeZone" = 'UTC' SET work_mem = '64MB' AS $$
BEGIN
  IF user_ids IS NULL THEN
    RETURN QUERY
      SELECT g.user_id::text, g.total_paise, g.reached_at, g.ledger_rows
      FROM (
        SELECT e.user_id, pg_catalog.sum(e.amount_paise)::bigint AS total_paise,
          pg_catalog.max(e.tracked_at) AS reached_at, pg_catalog.count(*) AS ledger_rows
        FROM post_audit.earnings AS e
        WHERE e.tracked_at <= horizon AND e.user_id IS NOT NULL
        GROUP BY e.user_id
      ) AS g;
  ELSE
    RETURN QUERY
      SELECT e.user_id::text, pg_catalog.sum(e.amount_paise)::bigint, pg_catalog.max(e.tracked_at), pg_catalog.count(*)
      FROM post_audit.earnings AS e
      WHERE e.user_id::text = ANY (user_ids) AND e.tracked_at <= horizon
      GROUP BY e.user_id::text;
  END IF;
END
$$;

-- The first rows of the leaderboard as it is shown.
CREATE FUNCTION post_audit.live_top("limit" integer)
RETURNS TABLE (place bigint, user_id text, display_name text, total_paise bigint)
LANGUAGE plpgsql STABLE ROWS 100 SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN QUERY
    SELECT pg_catalog.row_number() OVER (ORDER BY page.total_paise DESC, page.reached_at, page.user_id COLLATE "C"),
      page.user_id, page.display_name, page.total_paise
    FROM (
      SELECT l.user_id::text AS user_id, l.display_name, l.total_paise::bigint AS total_paise, l.reached_at
      FROM post_audit.leaderboard AS l
      WHERE l.total_paise > 0
      ORDER BY l.total_paise DESC, l.reached_at, l.user_id::text COLLATE "C"
      LIMIT live_top."limit"
    ) AS page
    ORDER BY 1;
END
$$;

CREATE FUNCTION post_audit.live_digest("limit" integer) RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN (
    SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
      coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.user_id, t.total_paise) ORDER BY t.place), '[]')::text,
      'UTF8')), 'hex')
    FROM post_audit.live_top("limit") AS t
  );
END
$$;

-- How many of these users are shown with a total that was not true at any moment from `since` on.
CREATE FUNCTION post_audit.live_wrong_rows(user_ids text[], since timestamptz, horizon timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN (
    SELECT pg_catalog.count(*)
    FROM pg_catalog.unnest(user_ids) AS u (user_id)
    LEFT JOIN (
      SELECT l.user_id::text AS user_id, l.total_paise FROM post_audit.leaderboard AS l
      WHERE l.user_id::text = ANY (user_ids)
    ) AS s ON s.user_id = u.user_id
    LEFT JOIN post_audit.recompute_leaderboard(horizon, user_ids) AS t ON t.user_id = u.user_id
    LEFT JOIN post_audit.recompute_leaderboard(since, user_ids) AS f ON f.user_id = u.user_id
    WHERE coalesce(s.total_paise, 0) NOT BETWEEN
      least(coalesce(t.total_paise, 0), coalesce(f.total_paise, 0), CASE WHEN s.user_id IS NULL THEN 0 END)
      AND greatest(coalesce(t.total_paise, 0), coalesce(f.total_paise, 0))
      -- shown nowhere is right only for who has nothing
      OR (s.user_id IS NULL AND least(coalesce(t.total_paise, 0), coalesce(f.total_paise, 0)) > 0)
  );
END
$$;

-- The verified claims up to a moment: how many, and what they are worth.
CREATE FUNCTION post_audit.live_claims(horizon timestamptz, counter text) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN (
    SELECT CASE counter WHEN 'airdrop_claims' THEN pg_catalog.count(*) ELSE coalesce(pg_catalog.sum(c.amount_paise), 0) END::bigint
    FROM post_audit.claims AS c
    WHERE c.verified_at <= horizon AND coalesce(pg_catalog.lower(c.status), 'verified') = 'verified'
  );
END
$$;

-- Which columns of a role can be written through its view: a converted one (rupees to paise) cannot.
CREATE FUNCTION post_audit.writable_columns(role text) RETURNS text[]
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
  SELECT coalesce(pg_catalog.array_agg(a.attname::text), '{}')
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = pg_catalog.to_regclass('post_audit.' || pg_catalog.quote_ident(role)) AND a.attnum > 0
    AND pg_catalog.pg_column_is_updatable(a.attrelid::regclass, a.attnum, false)
$$;

CREATE FUNCTION post_audit.live_hold(subject text, as_of timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
  SELECT pg_catalog.jsonb_build_object('undone', h.undone, 'until', h.until, 'decision_id', h.decision_id)
  FROM post_audit.holds AS h WHERE h.subject = live_hold.subject AND h.until > as_of
$$;

-- The leaderboard against its ledger. A ledger that cannot be read is an answer here and no error: it hides what is
-- shown.
CREATE FUNCTION post_audit.live_leaderboard_facts(
  as_of timestamptz, moment timestamptz, horizon timestamptz, shown_limit integer, difference_limit integer
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = '' SET "TimeZone" = 'UTC' SET work_mem = '64MB' AS $$
DECLARE
  writable CONSTANT text[] := post_audit.writable_columns('leaderboard');
  source text := 'readable';
  problem text := '';
  compared jsonb := '{}';
  missing CONSTANT text := (
    SELECT pg_catalog.string_agg(r.role, ', ') FROM pg_catalog.unnest(ARRAY['earnings', 'leaderboard']) AS r (role)
    WHERE pg_catalog.to_regclass('post_audit.' || r.role) IS NULL);
BEGIN
  IF missing IS NOT NULL THEN
    source := 'unbound';
    problem := pg_catalog.format('no table is bound to %s', missing);
  ELSE
    BEGIN
      WITH truth AS MATERIALIZED (
        SELECT t.user_id, t.total_paise, t.reached_at, t.ledger_rows FROM post_audit.recompute_leaderboard(horizon) AS t
      ), sides AS (
        SELECT coalesce(s.user_id, t.user_id) AS user_id, s.user_id IS NOT NULL AS is_shown,
          s.total_paise AS shown_paise, s.reached_at AS shown_reached_at, s.rank AS shown_rank,
          coalesce(t.total_paise, 0) AS true_paise, t.reached_at AS true_reached_at, coalesce(t.ledger_rows, 0) AS ledger_rows
        FROM (
          SELECT l.user_id::text AS user_id, l.total_paise::bigint AS total_paise, l.reached_at, l.rank
          FROM post_audit.leaderboard AS l WHERE l.user_id IS NOT NULL
        ) AS s
        FULL JOIN truth AS t ON t.user_id = s.user_id
        WHERE s.user_id IS NOT NULL OR t.total_paise > 0
      ), ranked AS (
        SELECT s.*, pg_catalog.row_number() OVER places AS true_rank,
          s.true_paise > 0 AND (pg_catalog.lag(s.true_paise) OVER places = s.true_paise
            OR pg_catalog.lead(s.true_paise) OVER places = s.true_paise) AS is_tied
        FROM sides AS s
        WINDOW places AS (ORDER BY s.true_paise DESC, s.true_reached_at, s.user_id COLLATE "C")
      ), judged AS MATERIALIZED (
        SELECT r.*,
          CASE
            WHEN NOT r.is_shown THEN 'absent'
            WHEN r.ledger_rows = 0 AND r.shown_paise <> 0 THEN 'phantom'
            WHEN r.shown_paise IS DISTINCT FROM r.true_paise THEN 'total'
            -- a millisecond, because a bound table may keep no more
            WHEN r.is_tied AND 'reached_at' = ANY (writable) AND (r.shown_reached_at IS NULL
              OR r.shown_reached_at - r.true_reached_at NOT BETWEEN interval '-1 millisecond' AND interval '1 millisecond') THEN 'order'
            WHEN r.shown_rank <> r.true_rank THEN 'rank'
          END AS kind,
          r.true_rank <= shown_limit OR coalesce(r.shown_paise > 0 AND r.shown_paise >= (
            SELECT pg_catalog.min(t.total_paise) FROM post_audit.live_top(shown_limit) AS t), false) AS is_in_top
        FROM ranked AS r
      ), picked AS MATERIALIZED (
        SELECT j.* FROM judged AS j WHERE j.kind IS NOT NULL
        ORDER BY j.is_in_top DESC, pg_catalog.abs(coalesce(j.shown_paise, 0) - j.true_paise) DESC, j.true_rank
        LIMIT difference_limit
      ), behind AS (
        -- A shown total that once was true: since when it is not, which is the first row of the ledger that it lacks.
        SELECT x.user_id, pg_catalog.max(x.tracked_at) AS missing_since
        FROM (
          SELECT p.user_id, e.tracked_at, coalesce(p.shown_paise, 0) AS shown_paise,
            pg_catalog.sum(e.amount_paise) OVER (PARTITION BY p.user_id ORDER BY e.tracked_at, e.id) - e.amount_paise AS before_paise
          FROM picked AS p
          JOIN post_audit.earnings AS e ON e.user_id::text = p.user_id AND e.tracked_at <= horizon
          WHERE p.kind IN ('absent', 'total')
        ) AS x
        WHERE x.before_paise = x.shown_paise
        GROUP BY x.user_id
      )
      SELECT pg_catalog.jsonb_build_object(
        'users_shown', totals.users_shown, 'users_in_ledger', totals.users_in_ledger,
        'shown_paise', totals.shown_paise, 'recomputed_paise', totals.recomputed_paise,
        'differences_in_top', totals.differences_in_top, 'is_ranked', totals.is_ranked,
        'ledger_rows', (SELECT coalesce(pg_catalog.sum(t.ledger_rows), 0) FROM truth AS t),
        'ledger_last_at', (SELECT pg_catalog.max(t.reached_at) FROM truth AS t),
        'future_rows', (SELECT pg_catalog.count(*) FROM post_audit.earnings AS e WHERE e.tracked_at > horizon),
        'counts', coalesce((SELECT pg_catalog.jsonb_object_agg(g.kind, g.n) FROM (
          SELECT j.kind, pg_catalog.count(*) AS n FROM judged AS j WHERE j.kind IS NOT NULL GROUP BY j.kind) AS g), '{}'),
        'differences', coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'user_id', p.user_id, 'kind', p.kind, 'is_shown', p.is_shown, 'is_in_top', p.is_in_top,
            'shown_paise', p.shown_paise, 'shown_rank', p.shown_rank, 'true_paise', p.true_paise,
            'true_reached_at', p.true_reached_at, 'true_rank', p.true_rank, 'ledger_rows', p.ledger_rows,
            'missing_since', b.missing_since, 'hold', post_audit.live_hold('leaderboard:' || p.user_id, as_of)
          ) ORDER BY p.is_in_top DESC, pg_catalog.abs(coalesce(p.shown_paise, 0) - p.true_paise) DESC, p.true_rank)
          FROM picked AS p LEFT JOIN behind AS b ON b.user_id = p.user_id), '[]')
      ) INTO compared
      FROM (
        SELECT pg_catalog.count(*) FILTER (WHERE j.shown_paise > 0) AS users_shown,
          pg_catalog.count(*) FILTER (WHERE j.ledger_rows > 0) AS users_in_ledger,
          coalesce(pg_catalog.sum(j.shown_paise), 0)::bigint AS shown_paise,
          coalesce(pg_catalog.sum(j.true_paise), 0)::bigint AS recomputed_paise,
          pg_catalog.count(*) FILTER (WHERE j.kind IS NOT NULL AND j.is_in_top) AS differences_in_top,
          pg_catalog.count(j.shown_rank) > 0 AS is_ranked
        FROM judged AS j
      ) AS totals;
    EXCEPTION
      WHEN syntax_error_or_access_rule_violation OR data_exception OR object_not_in_prerequisite_state OR fdw_error THEN
        source := 'unreadable';
        problem := pg_catalog.format('the ledger cannot be compared: %s', SQLERRM);
    END;
  END IF;
  RETURN compared || (
    SELECT pg_catalog.jsonb_build_object('source', source, 'problem', problem, 'state', c.state, 'version', c.version,
      'writable', pg_catalog.to_jsonb(writable), 'hold', post_audit.live_hold('counter:leaderboard', as_of),
      'last_proved_at', post_audit.live_proved_at('leaderboard'))
    FROM post_audit.live_counters AS c WHERE c.counter = 'leaderboard');
END
$$;

CREATE FUNCTION post_audit.live_proved_at(counter text) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
  SELECT e.at FROM post_audit.live_evidence AS e
  WHERE e.counter = live_proved_at.counter AND e.verdict IN ('verified', 'repaired')
  ORDER BY e.position DESC LIMIT 1
$$;

-- The airdrop's counters against the claims. Counters that no ledger of ours belongs to are named and left alone.
CREATE FUNCTION post_audit.live_airdrop_facts(as_of timestamptz, horizon timestamptz, settle interval) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = '' SET "TimeZone" = 'UTC' SET work_mem = '64MB' AS $$
DECLARE
  names CONSTANT text[] := ARRAY['airdrop_claims', 'airdrop_paise'];
  writable CONSTANT text[] := post_audit.writable_columns('airdrop');
  can_write CONSTANT boolean := ARRAY['shown_value', 'state', 'version', 'shown_at'] <@ writable;
  source text := 'readable';
  problem text := '';
  display text := 'readable';
  display_problem text := '';
  ledger record;
  shown jsonb := '[]';
  others jsonb := '[]';
  counters jsonb := '[]';
  row_shown jsonb;
  name text;
  recomputed bigint;
  missing_since timestamptz;
  since timestamptz;
  beyond bigint;
BEGIN
  SELECT 0::bigint AS all_rows, 0::bigint AS verified, 0::bigint AS paise, 0::bigint AS without_amount, 0::bigint AS future,
    NULL::timestamptz AS last_at INTO ledger;
  IF pg_catalog.to_regclass('post_audit.airdrop') IS NULL THEN
    display := 'unbound';
    display_problem := 'no table is bound to airdrop';
  ELSE
    BEGIN
      SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a) - 'id') FILTER (WHERE a.counter = ANY (names)), '[]'),
        coalesce(pg_catalog.jsonb_agg(pg_catalog.left(a.counter, 40) ORDER BY a.counter) FILTER (WHERE a.counter <> ALL (names)), '[]')
      INTO shown, others
      FROM (SELECT v.* FROM post_audit.airdrop AS v ORDER BY (v.counter = ANY (names)) DESC, v.counter LIMIT 20) AS a;
    EXCEPTION
      WHEN syntax_error_or_access_rule_violation OR data_exception OR object_not_in_prerequisite_state OR fdw_error THEN
        display := 'unreadable';
        display_problem := SQLERRM;
    END;
  END IF;

  IF pg_catalog.to_regclass('post_audit.claims') IS NULL THEN
    source := 'unbound';
    problem := 'no table is bound to claims';
  ELSE
    BEGIN
      SELECT coalesce(pg_catalog.sum(c.all_rows), 0)::bigint AS all_rows,
        coalesce(pg_catalog.sum(c.dated) FILTER (WHERE c.is_verified), 0)::bigint AS verified,
        coalesce(pg_catalog.sum(c.paise) FILTER (WHERE c.is_verified), 0)::bigint AS paise,
        coalesce(pg_catalog.sum(c.dated - c.amounts) FILTER (WHERE c.is_verified), 0)::bigint AS without_amount,
        coalesce(pg_catalog.sum(c.future) FILTER (WHERE c.is_verified), 0)::bigint AS future,
        pg_catalog.max(c.last_at) FILTER (WHERE c.is_verified) AS last_at
      INTO ledger
      FROM (
        -- a group for each status there is, so that its name is looked at a few times and not a million
        SELECT coalesce(pg_catalog.lower(v.status), 'verified') = 'verified' AS is_verified,
          pg_catalog.count(*) AS all_rows,
          pg_catalog.count(*) FILTER (WHERE v.verified_at <= horizon) AS dated,
          pg_catalog.sum(v.amount_paise) FILTER (WHERE v.verified_at <= horizon) AS paise,
          pg_catalog.count(v.amount_paise) FILTER (WHERE v.verified_at <= horizon) AS amounts,
          pg_catalog.count(*) FILTER (WHERE v.verified_at > horizon) AS future,
          pg_catalog.max(v.verified_at) FILTER (WHERE v.verified_at <= horizon) AS last_at
        FROM post_audit.claims AS v
        GROUP BY v.status
      ) AS c;

      FOREACH name IN ARRAY names LOOP
        SELECT s.value INTO row_shown FROM pg_catalog.jsonb_array_elements(shown) AS s (value) WHERE s.value ->> 'counter' = name;
        recomputed := CASE
          WHEN ledger.all_rows = 0 THEN NULL
          WHEN name = 'airdrop_claims' THEN ledger.verified
          WHEN ledger.without_amount = 0 THEN ledger.paise END;
        missing_since := NULL;
        since := (row_shown ->> 'shown_at')::timestamptz - settle;
        IF recomputed IS NOT NULL AND since IS NOT NULL AND (row_shown ->> 'shown_value')::bigint <> recomputed THEN
          -- A value that was true when it was shown, or after: the first claim that it lacks.
          beyond := (row_shown ->> 'shown_value')::bigint - post_audit.live_claims(since, name);
          SELECT pg_catalog.max(x.verified_at) INTO missing_since
          FROM (
            SELECT c.verified_at, pg_catalog.sum(c.step) OVER (ORDER BY c.verified_at ROWS UNBOUNDED PRECEDING) - c.step AS before
            FROM (
              SELECT v.verified_at, CASE name WHEN 'airdrop_claims' THEN 1 ELSE v.amount_paise END AS step
              FROM post_audit.claims AS v
              WHERE v.verified_at > since AND v.verified_at <= horizon
                AND coalesce(pg_catalog.lower(v.status), 'verified') = 'verified'
              -- a display that stopped lacks the claims right after its time; this bounds the look at it
              ORDER BY v.verified_at LIMIT 10000
            ) AS c
          ) AS x
          WHERE x.before = beyond;
        END IF;
        IF row_shown IS NOT NULL THEN
          counters := counters || (row_shown || pg_catalog.jsonb_build_object('recomputed', recomputed, 'missing_since', missing_since));
        END IF;
      END LOOP;
    EXCEPTION
      WHEN syntax_error_or_access_rule_violation OR data_exception OR object_not_in_prerequisite_state OR fdw_error THEN
        source := 'unreadable';
        problem := pg_catalog.format('the claims cannot be read: %s', SQLERRM);
    END;
  END IF;
  IF source <> 'readable' THEN
    counters := (SELECT coalesce(pg_catalog.jsonb_agg(
      s.value || '{"recomputed": null, "missing_since": null}'::jsonb ORDER BY s.value ->> 'counter'), '[]')
      FROM pg_catalog.jsonb_array_elements(shown) AS s (value));
  END IF;

  RETURN pg_catalog.jsonb_build_object(
    'source', source, 'problem', problem, 'display', display, 'display_problem', display_problem,
    'claims', ledger.all_rows, 'ledger_rows', ledger.verified, 'ledger_last_at', ledger.last_at,
    'without_amount', ledger.without_amount, 'future_rows', ledger.future, 'other_counters', others,
    'counters', (
      SELECT coalesce(pg_catalog.jsonb_agg(c.value || pg_catalog.jsonb_build_object(
        'is_writable', can_write, 'hold', post_audit.live_hold('counter:' || (c.value ->> 'counter'), as_of),
        'last_proved_at', post_audit.live_proved_at(c.value ->> 'counter')) ORDER BY c.value ->> 'counter'), '[]')
      FROM pg_catalog.jsonb_array_elements(counters) AS c (value)));
END
$$;

-- What is shown, and what the ledgers say, in one snapshot: what is committed meanwhile is in both or in neither.
--
-- What is shown has no history, so it is compared with the ledgers as they are in this snapshot, and not as they
-- were when the run began: `as_of` only names the run. Rows dated up to `ahead_seconds` later than now are counted,
-- because the clocks of a marketplace's servers differ; later ones are told and left out.
CREATE FUNCTION public.post_audit_read_live_fomo(
  as_of timestamptz,
  shown_limit integer DEFAULT 100,
  difference_limit integer DEFAULT 500,
  settle_seconds integer DEFAULT 2,
  ahead_seconds integer DEFAULT 300
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  moment CONSTANT timestamptz := greatest(as_of, post_audit.clock());
  horizon CONSTANT timestamptz := moment + pg_catalog.make_interval(secs => ahead_seconds);
BEGIN
  IF shown_limit < 1 OR difference_limit < shown_limit OR settle_seconds < 0 OR ahead_seconds < 0 THEN
    RAISE EXCEPTION 'Unusable limits: % shown, % differences, % s to settle, % s ahead.',
      shown_limit, difference_limit, settle_seconds, ahead_seconds
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Ask for at least as many differences as rows are shown, and for no negative time.';
  END IF;
  RETURN pg_catalog.jsonb_build_object(
    'as_of', as_of,
    'moment', moment,
    'snapshot', pg_catalog.pg_current_snapshot()::text,
    'leaderboard', post_audit.live_leaderboard_facts(as_of, moment, horizon, shown_limit, difference_limit),
    'airdrop', post_audit.live_airdrop_facts(as_of, horizon, pg_catalog.make_interval(secs => settle_seconds)));
END
$$;

-- Set what a counter shows and whether it may be shown. The same for the way back.
CREATE FUNCTION post_audit.change_counter(key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  subject CONSTANT text := 'counter:' || key;
  found jsonb;
BEGIN
  IF NOT wanted ? 'state' THEN
    RAISE EXCEPTION 'A change of % needs a state; it has %.', subject, wanted USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF key = 'leaderboard' THEN
    SELECT pg_catalog.jsonb_build_object('state', c.state, 'version', c.version) INTO found
    FROM post_audit.live_counters AS c WHERE c.counter = key FOR UPDATE;
  ELSE
    SELECT pg_catalog.jsonb_build_object('shown_value', a.shown_value, 'state', a.state, 'version', a.version) INTO found
    FROM post_audit.airdrop AS a WHERE a.counter = key FOR UPDATE;
  END IF;
  -- The version is compared where a decision was made on it; a change taken back finds a later one.
  IF found IS NULL OR NOT found @> (expected - 'shown_at') THEN
    PERFORM post_audit.refuse_moved(subject, expected, found);
  END IF;
  PERFORM post_audit.set_live_counter(key, wanted, version);
END
$$;

CREATE FUNCTION post_audit.set_live_counter(key text, wanted jsonb, version bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF key = 'leaderboard' THEN
    UPDATE post_audit.live_counters AS c
    SET state = wanted ->> 'state', version = greatest(c.version + 1, set_live_counter.version), changed_at = post_audit.clock()
    WHERE c.counter = key;
    RETURN;
  END IF;
  BEGIN
    UPDATE post_audit.airdrop AS a
    SET shown_value = (wanted ->> 'shown_value')::bigint, state = wanted ->> 'state',
      version = greatest(a.version + 1, set_live_counter.version),
      shown_at = coalesce((wanted ->> 'shown_at')::timestamptz, post_audit.clock())
    WHERE a.counter = key;
  EXCEPTION WHEN not_null_violation THEN
    -- A bound column that cannot be empty: its state alone says that it is hidden.
    UPDATE post_audit.airdrop AS a
    SET state = wanted ->> 'state', version = greatest(a.version + 1, set_live_counter.version)
    WHERE a.counter = key;
  END;
END
$$;

-- Set one user's total, and whatever else of that row can be written. A row is never deleted to repair it: a total
-- without a ledger becomes 0, so that nothing of the marketplace is lost. Only the way back of an added row deletes it.
CREATE FUNCTION post_audit.change_leaderboard(key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  subject CONSTANT text := 'leaderboard:' || key;
  writable CONSTANT text[] := post_audit.writable_columns('leaderboard');
  key_type CONSTANT text := (
    SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = pg_catalog.to_regclass('post_audit.leaderboard') AND a.attname = 'user_id');
  found jsonb;
  columns text[] := '{}';
  expressions text[] := '{}';
BEGIN
  IF NOT wanted ? 'present' OR ((wanted ->> 'present')::boolean AND wanted ->> 'total_paise' IS NULL) THEN
    RAISE EXCEPTION 'A change of % needs to say whether it is present, and its total; it has %.', subject, wanted
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.jsonb_build_object(''present'', true, ''total_paise'', l.total_paise, ''rank'', l.rank)
     FROM post_audit.leaderboard AS l WHERE l.user_id = $1::%s FOR UPDATE', key_type) INTO found USING key;
  found := coalesce(found, '{"present": false}');
  IF NOT found @> (expected - 'reached_at') THEN
    PERFORM post_audit.refuse_moved(subject, expected, found);
  END IF;

  IF NOT (wanted ->> 'present')::boolean THEN
    EXECUTE pg_catalog.format('DELETE FROM post_audit.leaderboard AS l WHERE l.user_id = $1::%s', key_type) USING key;
    RETURN;
  END IF;
  columns := columns || 'total_paise'::text;
  expressions := expressions || '($2 ->> ''total_paise'')::bigint'::text;
  IF wanted ? 'reached_at' AND 'reached_at' = ANY (writable) THEN
    columns := columns || 'reached_at'::text;
    expressions := expressions || '($2 ->> ''reached_at'')::timestamptz'::text;
  END IF;
  IF wanted ? 'rank' AND 'rank' = ANY (writable) THEN
    columns := columns || 'rank'::text;
    expressions := expressions || '($2 ->> ''rank'')::integer'::text;
  END IF;
  IF 'updated_at' = ANY (writable) THEN
    columns := columns || 'updated_at'::text;
    expressions := expressions || 'post_audit.clock()'::text;
  END IF;
  BEGIN
    IF (found ->> 'present')::boolean THEN
      EXECUTE pg_catalog.format('UPDATE post_audit.leaderboard AS l SET (%s) = ROW (%s) WHERE l.user_id = $1::%s',
        pg_catalog.array_to_string(columns, ', '), pg_catalog.array_to_string(expressions, ', '), key_type) USING key, wanted;
    ELSE
      EXECUTE pg_catalog.format('INSERT INTO post_audit.leaderboard (user_id, %s) SELECT $1::%s, %s',
        pg_catalog.array_to_string(columns, ', '), key_type, pg_catalog.array_to_string(expressions, ', ')) USING key, wanted;
    END IF;
  EXCEPTION WHEN integrity_constraint_violation THEN
    -- The marketplace's table refuses the row (a column that must be filled): left out and named, like a moved one.
    PERFORM post_audit.refuse_moved(subject, expected, pg_catalog.jsonb_build_object('refused', SQLERRM));
  END;
END
$$;
