-- Step `live_fomo`: the chain of evidence, and what the public sees of a counter while its last proof counts.

CREATE FUNCTION post_audit.live_evidence_hash(entry post_audit.live_evidence) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
  SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
    entry.previous_hash, entry.position, entry.decision_id, entry.counter, entry.at, entry.verdict, entry.found_value,
    entry.recomputed_value, entry.published_value, entry.version, entry.differences, entry.ledger_rows,
    entry.ledger_last_at, entry.published_digest)::text, 'UTF8')), 'hex')
$$;

-- Add one row to the chain. Whoever comes second waits, so that two rows never follow the same one.
CREATE FUNCTION post_audit.append_live_evidence(entry post_audit.live_evidence) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  last post_audit.live_evidence;
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('post_audit.live_evidence', 0));
  SELECT * INTO last FROM post_audit.live_evidence AS e ORDER BY e.position DESC LIMIT 1;
  entry.position := coalesce(last.position, 0) + 1;
  entry.previous_hash := coalesce(last.hash, pg_catalog.repeat('0', 64));
  entry.hash := post_audit.live_evidence_hash(entry);
  INSERT INTO post_audit.live_evidence SELECT (entry).*;
END
$$;

-- Ends a check: looks once more at what is shown now, hides what is still not true, and writes the evidence.
-- Called once in the transaction that carries out a decision's last change, or that stores a decision without any.
--
-- It hides in the marketplace's table only where this decision was allowed to act; elsewhere the evidence alone says
-- so, which the public endpoints obey. What was true at any moment since the run began passes: the
-- marketplace goes on selling while this runs.
CREATE FUNCTION post_audit.finish_live_fomo(decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  decision post_audit.decisions;
  item jsonb;
  entry post_audit.live_evidence;
  since timestamptz;
  horizon timestamptz;
  top integer;
  users text[];
  wrong bigint;
  may_act boolean;
  present record;
BEGIN
  SELECT * INTO STRICT decision FROM post_audit.decisions AS d WHERE d.id = finish_live_fomo.decision_id;
  IF decision.kind <> 'step' THEN
    RETURN;
  END IF;
  top := (decision.numbers ->> 'shown_limit')::integer;
  since := decision.as_of - pg_catalog.make_interval(secs => (decision.numbers ->> 'settle_seconds')::integer);
  horizon := post_audit.clock() + pg_catalog.make_interval(secs => (decision.numbers ->> 'ahead_seconds')::integer);

  FOR item IN SELECT c.value FROM pg_catalog.jsonb_array_elements(decision.numbers -> 'counters') AS c (value) LOOP
    entry := NULL;
    entry.decision_id := decision.id;
    entry.counter := item ->> 'counter';
    entry.at := post_audit.clock();
    entry.verdict := item ->> 'verdict';
    entry.found_value := (item ->> 'found_value')::bigint;
    entry.recomputed_value := (item ->> 'recomputed_value')::bigint;
    entry.differences := (item ->> 'differences')::bigint;
    entry.ledger_rows := (item ->> 'ledger_rows')::bigint;
    entry.ledger_last_at := (item ->> 'ledger_last_at')::timestamptz;
    may_act := EXISTS (
      SELECT 1 FROM post_audit.changes AS c
      WHERE c.decision_id = decision.id AND c.state IN ('applied', 'moved')
        AND (c.subject = 'counter:' || entry.counter OR (entry.counter = 'leaderboard' AND c.subject LIKE 'leaderboard:%')));
    IF entry.verdict IN ('verified', 'repaired') THEN
      wrong := 1;
      BEGIN
        IF entry.counter = 'leaderboard' THEN
          SELECT pg_catalog.array_agg(u.user_id) INTO users FROM (
            SELECT t.user_id FROM post_audit.live_top(top) AS t
            UNION
            SELECT pg_catalog.substr(c.subject, 13) FROM post_audit.changes AS c
            WHERE c.decision_id = decision.id AND c.subject LIKE 'leaderboard:%'
          ) AS u;
          wrong := post_audit.live_wrong_rows(users, since, horizon);
          entry.published_digest := post_audit.live_digest(top);
          entry.published_value := (item ->> 'recomputed_value')::bigint;
        ELSE
          SELECT a.shown_value, a.state, a.shown_at INTO present FROM post_audit.airdrop AS a WHERE a.counter = entry.counter;
          entry.published_value := present.shown_value;
          wrong := (present.state NOT IN ('verified', 'repaired') OR NOT coalesce(present.shown_value BETWEEN
              post_audit.live_claims(least(since, present.shown_at), entry.counter) AND post_audit.live_claims(horizon, entry.counter),
            false))::integer;
        END IF;
      EXCEPTION
        WHEN syntax_error_or_access_rule_violation OR data_exception OR object_not_in_prerequisite_state OR fdw_error THEN
          wrong := 1;
      END;
      IF wrong > 0 THEN
        entry.verdict := CASE WHEN may_act THEN 'hidden' ELSE 'unknown' END;
        entry.differences := greatest(entry.differences, wrong);
        IF may_act THEN
          PERFORM post_audit.set_live_counter(entry.counter, '{"state": "hidden", "shown_value": null}',
            post_audit.next_version('counter:' || entry.counter));
        END IF;
      END IF;
    END IF;
    IF entry.verdict NOT IN ('verified', 'repaired') THEN
      entry.published_value := NULL;
      entry.published_digest := NULL;
    END IF;
    IF entry.counter = 'leaderboard' THEN
      entry.version := (SELECT c.version FROM post_audit.live_counters AS c WHERE c.counter = entry.counter);
    ELSE
      entry.version := (item ->> 'version')::bigint;
      IF pg_catalog.to_regclass('post_audit.airdrop') IS NOT NULL THEN
        entry.version := coalesce((SELECT a.version FROM post_audit.airdrop AS a WHERE a.counter = entry.counter), entry.version);
      END IF;
    END IF;
    PERFORM post_audit.append_live_evidence(entry);
  END LOOP;
END
$$;

-- The log, newest first; with `at`, what held at that moment: the last row of each counter up to then.
CREATE FUNCTION public.post_audit_read_live_evidence(
  counter text DEFAULT NULL, before bigint DEFAULT NULL, at timestamptz DEFAULT NULL, "limit" integer DEFAULT 50
) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
  SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(page) ORDER BY page.position DESC), '[]')
  FROM (
    SELECT e.* FROM post_audit.live_evidence AS e
    WHERE (post_audit_read_live_evidence.counter IS NULL OR e.counter = post_audit_read_live_evidence.counter)
      AND (before IS NULL OR e.position < before)
      AND (post_audit_read_live_evidence.at IS NULL OR e.position IN (
        SELECT pg_catalog.max(m.position) FROM post_audit.live_evidence AS m
        WHERE m.at <= post_audit_read_live_evidence.at GROUP BY m.counter))
    ORDER BY e.position DESC LIMIT least(greatest("limit", 1), 1000)
  ) AS page
$$;

-- Does the chain hold? Walks `limit` rows from position `first` on; `next` says where to go on. `anchor` is a hash
-- that was noted outside of this database (a message, a printed report) and has to be in the chain. Deleted last rows leave
-- a gap that no chain shows by itself: they are found by the decisions that lost their evidence.
CREATE FUNCTION public.post_audit_read_live_evidence_chain(
  first bigint DEFAULT 1, "limit" integer DEFAULT 20000, anchor text DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
  WITH part AS MATERIALIZED (
    SELECT e AS entry, e.position, e.hash, e.previous_hash,
      pg_catalog.lag(e.position, 1, post_audit_read_live_evidence_chain.first - 1) OVER (ORDER BY e.position) AS former_position,
      pg_catalog.lag(e.hash, 1, CASE WHEN post_audit_read_live_evidence_chain.first <= 1 THEN pg_catalog.repeat('0', 64)
        ELSE coalesce((SELECT f.hash FROM post_audit.live_evidence AS f
          WHERE f.position = post_audit_read_live_evidence_chain.first - 1), '') END) OVER (ORDER BY e.position) AS former_hash
    FROM post_audit.live_evidence AS e
    WHERE e.position >= post_audit_read_live_evidence_chain.first
    ORDER BY e.position LIMIT "limit"
  ), broken AS (
    SELECT p.position, CASE
      WHEN p.position <> p.former_position + 1 THEN 'rows before it are missing'
      WHEN p.previous_hash <> p.former_hash THEN 'it does not follow the row before it'
      WHEN p.hash <> post_audit.live_evidence_hash(p.entry) THEN 'its content was changed' END AS problem
    FROM part AS p
  ), bare AS (
    SELECT d.id FROM post_audit.decisions AS d
    WHERE d.step = 'live_fomo' AND d.kind = 'step' AND d.state IN ('noted', 'applied', 'moved', 'undone')
      AND NOT EXISTS (SELECT 1 FROM post_audit.live_evidence AS e WHERE e.decision_id = d.id)
    ORDER BY d.id LIMIT 20
  )
  SELECT pg_catalog.jsonb_build_object(
    'holds', NOT EXISTS (SELECT 1 FROM broken AS b WHERE b.problem IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM bare)
      AND (anchor IS NULL OR EXISTS (SELECT 1 FROM post_audit.live_evidence AS e WHERE e.hash = anchor)),
    'checked', (SELECT pg_catalog.count(*) FROM part),
    'last_position', (SELECT pg_catalog.max(p.position) FROM part AS p),
    'last_hash', (SELECT p.hash FROM part AS p ORDER BY p.position DESC LIMIT 1),
    'next', CASE WHEN (SELECT pg_catalog.count(*) FROM part) = "limit" THEN (SELECT pg_catalog.max(p.position) + 1 FROM part AS p) END,
    'broken', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('position', b.position, 'problem', b.problem)
        ORDER BY b.position), '[]')
      FROM (SELECT x.* FROM broken AS x WHERE x.problem IS NOT NULL ORDER BY x.position LIMIT 20) AS b),
    'decisions_without_evidence', (SELECT coalesce(pg_catalog.jsonb_agg(b.id ORDER BY b.id), '[]') FROM bare AS b))
$$;

-- What the last check said of a counter, while it still counts.
CREATE FUNCTION post_audit.live_proof(counter text, maximum_age_hours integer) RETURNS post_audit.live_evidence
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
  SELECT last.* FROM (
    SELECT e.* FROM post_audit.live_evidence AS e WHERE e.counter = live_proof.counter ORDER BY e.position DESC LIMIT 1
  ) AS last
  WHERE last.at >= post_audit.clock() - pg_catalog.make_interval(hours => maximum_age_hours)
$$;

-- The leaderboard as the public may see it. A check that fails or stops coming hides it by itself: without a proof
-- younger than `maximum_age_hours` the answer is unknown. Rows that moved since the proof are proved again, here.
CREATE FUNCTION public.post_audit_read_live_leaderboard("limit" integer DEFAULT 10, maximum_age_hours integer DEFAULT 4) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  proof post_audit.live_evidence := post_audit.live_proof('leaderboard', maximum_age_hours);
  counter post_audit.live_counters;
  top integer;
  state text := 'unknown';
  as_of timestamptz;
  rows_shown jsonb;
BEGIN
  SELECT * INTO counter FROM post_audit.live_counters AS c WHERE c.counter = 'leaderboard';
  IF proof.verdict = 'hidden' OR counter.state = 'hidden' THEN
    state := 'hidden';
  ELSIF proof.verdict IN ('verified', 'repaired') AND counter.state IN ('verified', 'repaired')
    AND pg_catalog.to_regclass('post_audit.leaderboard') IS NOT NULL
  THEN
    top := (SELECT (d.numbers ->> 'shown_limit')::integer FROM post_audit.decisions AS d WHERE d.id = proof.decision_id);
    IF post_audit.live_digest(top) = proof.published_digest THEN
      state := proof.verdict;
      as_of := proof.at;
    ELSIF pg_catalog.to_regclass('post_audit.earnings') IS NOT NULL AND post_audit.live_wrong_rows(
      (SELECT pg_catalog.array_agg(t.user_id) FROM post_audit.live_top("limit") AS t),
      post_audit.clock() - interval '2 seconds', post_audit.clock() + interval '5 minutes') = 0
    THEN
      state := proof.verdict;
      as_of := post_audit.clock();
    END IF;
    IF as_of IS NOT NULL THEN
      SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'rank', t.place, 'name', t.display_name, 'total_paise', t.total_paise) ORDER BY t.place), '[]') INTO rows_shown
      FROM post_audit.live_top(least("limit", top)) AS t;
    END IF;
  END IF;
  RETURN pg_catalog.jsonb_build_object('state', state, 'as_of', as_of, 'version', counter.version,
    'last_verified_at', post_audit.live_proved_at('leaderboard'), 'rows', rows_shown);
END
$$;

-- The airdrop's counters as the public may see them, by the same rules.
CREATE FUNCTION public.post_audit_read_live_airdrop(maximum_age_hours integer DEFAULT 4) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  name text;
  proof post_audit.live_evidence;
  shown record;
  state text;
  as_of timestamptz;
  answer jsonb := '[]';
BEGIN
  FOREACH name IN ARRAY ARRAY['airdrop_claims', 'airdrop_paise'] LOOP
    proof := post_audit.live_proof(name, maximum_age_hours);
    SELECT NULL::bigint AS shown_value, NULL::text AS state, NULL::bigint AS version, NULL::timestamptz AS shown_at INTO shown;
    IF pg_catalog.to_regclass('post_audit.airdrop') IS NOT NULL THEN
      SELECT a.shown_value, a.state, a.version, a.shown_at INTO shown FROM post_audit.airdrop AS a WHERE a.counter = name;
    END IF;
    state := CASE WHEN proof.verdict = 'hidden' OR shown.state = 'hidden' THEN 'hidden' ELSE 'unknown' END;
    as_of := NULL;
    IF proof.verdict IN ('verified', 'repaired') AND shown.state IN ('verified', 'repaired') THEN
      IF shown.shown_value = proof.published_value THEN
        state := proof.verdict;
        as_of := proof.at;
      ELSIF pg_catalog.to_regclass('post_audit.claims') IS NOT NULL AND shown.shown_value BETWEEN
        post_audit.live_claims(post_audit.clock() - interval '2 seconds', name)
        AND post_audit.live_claims(post_audit.clock() + interval '5 minutes', name)
      THEN
        state := proof.verdict;
        as_of := post_audit.clock();
      END IF;
    END IF;
    answer := answer || pg_catalog.jsonb_build_object('counter', name, 'state', state,
      'value', CASE WHEN as_of IS NOT NULL THEN shown.shown_value END, 'as_of', as_of,
      'version', coalesce(shown.version, 0), 'last_verified_at', post_audit.live_proved_at(name));
  END LOOP;
  RETURN pg_catalog.jsonb_build_object('counters', answer);
END
$$;
