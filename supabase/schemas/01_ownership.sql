-- A table of ours carries this mark in its comment. A table of the same name that somebody else made does not, and
-- is never altered: its role waits for a binding instead. A comment, because it survives dump and restore and
-- goes with the table.
CREATE FUNCTION post_audit.is_ours(relation text) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN coalesce(
  pg_catalog.obj_description(pg_catalog.to_regclass(relation), 'pg_class') LIKE 'Post-Audit Protocol: %', false
);

-- Remember which of the fixed names are free, so that what is created below is known to be ours.
CREATE TEMPORARY TABLE post_audit_new_tables (relation text PRIMARY KEY, purpose text NOT NULL) ON COMMIT DROP;

INSERT INTO pg_temp.post_audit_new_tables (relation, purpose)
SELECT 'public.' || fixed.name, fixed.purpose
FROM (VALUES
  ('suppliers', 'the suppliers of the marketplace'),
  ('ab_test_config', 'experiments with invite messages: variants, allocation, the active one'),
  ('invites_ab_test', 'which supplier was invited with which variant, and when'),
  ('invites_sent', 'every SMS and WhatsApp message sent or queued'),
  ('infrastructure_config', 'the daily quota, batch size and price of each channel'),
  ('claim_airdrop_log', 'claims of the airdrop and whether they were verified'),
  ('earnings_leaderboard', 'the totals that the public leaderboard shows'),
  ('leaderboard_tickertape_views', 'the public counters: what they show, since when, and whether they are hidden'),
  ('bugs', 'bugs that users reported'),
  ('enhancement_tasks', 'the queue of tasks that audits found')
) AS fixed (name, purpose)
WHERE to_regclass('public.' || fixed.name) IS NULL;

-- Run a statement only where every relation it needs is ours. An index that is there is not asked for again: even
-- with IF NOT EXISTS its statement waits for everybody who writes into the table, and all others wait behind it.
CREATE FUNCTION post_audit.on_ours(relations text[], statement text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  an_index text[] := regexp_match(statement, '^CREATE (?:UNIQUE )?INDEX IF NOT EXISTS (\w+) ON (\w+)\.');
BEGIN
  IF to_regclass(an_index[2] || '.' || an_index[1]) IS NULL
    AND (SELECT bool_and(post_audit.is_ours(r.name)) FROM unnest(relations) AS r (name))
  THEN
    EXECUTE statement;
  END IF;
END
$$;

-- Whether suppliers are in our own table. Once a table of somebody's own is bound, nothing may point to ours.
CREATE FUNCTION post_audit.suppliers_are_ours() RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF NOT coalesce(post_audit.is_ours('public.suppliers'), false) THEN
    RETURN false;
  END IF;
  -- at the first application there are no bindings yet
  IF to_regclass('post_audit.bindings') IS NULL THEN
    RETURN true;
  END IF;
  RETURN NOT EXISTS (
    SELECT 1 FROM post_audit.bindings AS b
    WHERE b.role = 'suppliers' AND to_regclass(b.relation) IS DISTINCT FROM to_regclass('public.suppliers'));
END
$$;
