-- Post-Audit Protocol: tables, views, functions, grants.
-- Apply it with: psql -U postgres -d bell24h -f supabase/migrations/20251109_post_audit_protocol.sql
-- It can be applied again and again, adds, and touches nothing that it did not create.
-- Built from supabase/schemas/*.sql by `make migration`; edit those.

BEGIN;

-- ---- 00_begin.sql ----

-- What may go wrong is refused before anything is changed, and nobody waits long behind this file: it holds
-- short locks, in one transaction, and it can be applied again and again.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '120s';
SET LOCAL client_min_messages = 'warning';
SET LOCAL search_path = pg_catalog;

DO $$
BEGIN
  IF current_setting('server_version_num')::integer < 150000 THEN
    RAISE EXCEPTION 'The Post-Audit Protocol needs PostgreSQL 15 or newer; this is %.', current_setting('server_version');
  END IF;
  -- Two people who apply this at the same moment do so one after the other.
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.migration', 0));
END
$$;

CREATE SCHEMA IF NOT EXISTS post_audit;

CREATE TABLE IF NOT EXISTS post_audit.schema_version (
  id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  version integer NOT NULL,
  -- of the file that was applied, where the product applied it
  digest text,
  applied_at timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE
  installed integer := (SELECT version FROM post_audit.schema_version);
BEGIN
  IF installed > 1 THEN
    RAISE EXCEPTION 'This database was migrated by a newer program (schema %, this file is schema 1).', installed
      USING HINT = 'Update the program instead of applying its old migration.';
  END IF;
END
$$;

-- Functions are dropped and made anew, so that a changed signature never leaves an overload behind. Only functions
-- that a former application of this file has registered are dropped. Trigger functions stay: triggers hang on them.
CREATE TABLE IF NOT EXISTS post_audit.installed_functions (
  identity text PRIMARY KEY
);

DO $$
DECLARE
  -- all in one statement: some stand on others
  installed text := (
    SELECT string_agg(f.identity, ', ') FROM post_audit.installed_functions AS f
    WHERE to_regprocedure(f.identity) IS NOT NULL
  );
BEGIN
  IF installed IS NOT NULL THEN
    EXECUTE 'DROP FUNCTION ' || installed;
  END IF;
  DELETE FROM post_audit.installed_functions WHERE true;
END
$$;

-- ---- 01_ownership.sql ----

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

-- ---- 10_reference_tables.sql ----

-- The tables of schema public that the marketplace's other code knows. Made only where the name is free.

CREATE TABLE IF NOT EXISTS public.suppliers (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  email text,
  phone text,
  website text,
  city text,
  state text,
  category text,
  gstin text,
  claim_status text NOT NULL DEFAULT 'unclaimed',
  claimed_by text,
  claimed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.ab_test_config (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'stopped')),
  active_variant text NOT NULL,
  winner text,
  -- [{"id", "label", "message", "cost_paise"}], in the order they are shown
  variants jsonb NOT NULL,
  -- {"variant_a": 5000, ...}: basis points, 10,000 in all
  allocation_basis_points jsonb NOT NULL,
  -- grows with every change of the allocation; only traffic of one epoch is compared with itself
  allocation_epoch integer NOT NULL DEFAULT 1,
  attribution_window_hours integer CHECK (attribution_window_hours > 0),
  started_at timestamptz NOT NULL DEFAULT now(),
  version bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.invites_ab_test (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  experiment_id bigint NOT NULL DEFAULT 1,
  supplier_id bigint NOT NULL,
  variant text NOT NULL,
  channel text NOT NULL DEFAULT 'sms',
  allocation_epoch integer NOT NULL DEFAULT 1,
  status text NOT NULL DEFAULT 'sent',
  sent_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.invites_sent (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  supplier_id bigint,
  channel text NOT NULL CHECK (channel IN ('sms', 'whatsapp')),
  category text NOT NULL DEFAULT 'marketing',
  status text NOT NULL DEFAULT 'sent' CHECK (status IN ('queued', 'sent', 'delivered', 'failed')),
  segments integer NOT NULL DEFAULT 1 CHECK (segments > 0),
  queued_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz
);

CREATE TABLE IF NOT EXISTS public.infrastructure_config (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  channel text NOT NULL UNIQUE CHECK (channel IN ('sms', 'whatsapp')),
  daily_quota integer NOT NULL CHECK (daily_quota >= 0),
  maximum_daily_quota integer NOT NULL CHECK (maximum_daily_quota >= daily_quota),
  n8n_batch_size integer NOT NULL CHECK (n8n_batch_size > 0),
  maximum_batch_size integer NOT NULL CHECK (maximum_batch_size >= n8n_batch_size),
  -- thousandths of a paisa for one message or segment: Rs 0.18 is 18000, Rs 0.8631 is 86310
  rate_millipaise bigint NOT NULL CHECK (rate_millipaise >= 0),
  version bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.claim_airdrop_log (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  supplier_id bigint NOT NULL,
  claimed_by text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'verified', 'rejected')),
  amount_paise bigint NOT NULL DEFAULT 0 CHECK (amount_paise >= 0),
  claimed_at timestamptz NOT NULL DEFAULT now(),
  verified_at timestamptz
);

CREATE TABLE IF NOT EXISTS public.earnings_leaderboard (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL UNIQUE,
  display_name text,
  total_paise bigint NOT NULL DEFAULT 0,
  -- when this total was reached: ties go to whoever reached it first
  reached_at timestamptz,
  rank integer,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.leaderboard_tickertape_views (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  counter text NOT NULL UNIQUE,
  shown_value bigint,
  state text NOT NULL DEFAULT 'unknown' CHECK (state IN ('verified', 'repaired', 'hidden', 'unknown')),
  version bigint NOT NULL DEFAULT 0,
  shown_at timestamptz
);

CREATE TABLE IF NOT EXISTS public.bugs (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  title text NOT NULL,
  description text NOT NULL DEFAULT '',
  page text,
  error_code text,
  app_version text,
  severity text NOT NULL DEFAULT 'medium' CHECK (severity IN ('critical', 'high', 'medium', 'low')),
  impact text NOT NULL DEFAULT 'all_users' CHECK (impact IN ('all_users', 'paying_users', 'top_100', 'new_users')),
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'in_progress', 'fixed', 'duplicate', 'closed')),
  duplicate_of bigint REFERENCES public.bugs (id),
  fingerprint text,
  priority_score numeric(14, 3),
  score_factors jsonb,
  -- what a person decided; the severity and score of the protocol stand back behind it
  severity_override text CHECK (severity_override IN ('critical', 'high', 'medium', 'low')),
  score_override numeric(14, 3) CHECK (score_override >= 0),
  override_by text,
  created_at timestamptz NOT NULL DEFAULT now(),
  fixed_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.enhancement_tasks (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  title text NOT NULL,
  description text NOT NULL DEFAULT '',
  priority text NOT NULL DEFAULT 'medium' CHECK (priority IN ('critical', 'high', 'medium', 'low')),
  category text NOT NULL DEFAULT 'general',
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in_progress', 'completed', 'cancelled')),
  -- the finer state: review (too unclear for the queue), blocked, accepted, false_positive, duplicate (a person's),
  -- reopened, gone (no longer reported), reported (closed because the report itself says so)
  disposition text,
  estimated_hours numeric(7, 2),
  source text NOT NULL DEFAULT 'manual',
  target text NOT NULL DEFAULT '',
  fingerprint text,
  severity text,
  rule text,
  component text,
  location text,
  line integer,
  occurrences integer NOT NULL DEFAULT 1,
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  -- who has it, and until when without a sign of life; a person who has started needs none
  owner text,
  lease_expires_at timestamptz,
  -- a risk is accepted until then, and comes back
  accepted_until timestamptz,
  duplicate_of bigint,
  -- what was said last: why it waits, how it was done
  note text
) WITH (fillfactor = 75);

-- Columns that an older version of ours did not have.
DO $$
BEGIN
  IF post_audit.is_ours('public.enhancement_tasks') AND NOT EXISTS (
    SELECT 1 FROM pg_attribute AS a
    WHERE a.attrelid = 'public.enhancement_tasks'::regclass AND a.attname = 'lease_expires_at'
  ) THEN
    ALTER TABLE public.enhancement_tasks ADD COLUMN owner text, ADD COLUMN lease_expires_at timestamptz,
      ADD COLUMN accepted_until timestamptz, ADD COLUMN duplicate_of bigint, ADD COLUMN note text;
    DROP INDEX IF EXISTS public.enhancement_tasks_order;
  END IF;
END
$$;

-- Mark what was just made as ours.
DO $$
DECLARE
  made record;
BEGIN
  FOR made IN SELECT relation, purpose FROM pg_temp.post_audit_new_tables LOOP
    EXECUTE format('COMMENT ON TABLE %s IS %L', made.relation, 'Post-Audit Protocol: ' || made.purpose);
  END LOOP;
END
$$;

-- Indexes and foreign keys of ours alone.
DO $$
BEGIN
  PERFORM post_audit.on_ours(ARRAY['public.invites_ab_test'],
    'CREATE INDEX IF NOT EXISTS invites_ab_test_experiment_sent ON public.invites_ab_test (experiment_id, supplier_id, sent_at, id) INCLUDE (variant, allocation_epoch, status)');
  PERFORM post_audit.on_ours(ARRAY['public.invites_ab_test'],
    'CREATE INDEX IF NOT EXISTS invites_ab_test_supplier ON public.invites_ab_test (supplier_id)');
  PERFORM post_audit.on_ours(ARRAY['public.invites_sent'],
    'CREATE INDEX IF NOT EXISTS invites_sent_channel_sent ON public.invites_sent (channel, sent_at) INCLUDE (status, segments)');
  PERFORM post_audit.on_ours(ARRAY['public.invites_sent'],
    'CREATE INDEX IF NOT EXISTS invites_sent_queued ON public.invites_sent (channel, queued_at) INCLUDE (segments) WHERE status = ''queued''');
  PERFORM post_audit.on_ours(ARRAY['public.invites_sent'],
    'CREATE INDEX IF NOT EXISTS invites_sent_supplier ON public.invites_sent (supplier_id)');
  PERFORM post_audit.on_ours(ARRAY['public.claim_airdrop_log'],
    'CREATE INDEX IF NOT EXISTS claim_airdrop_log_supplier ON public.claim_airdrop_log (supplier_id)');
  PERFORM post_audit.on_ours(ARRAY['public.earnings_leaderboard'],
    'CREATE INDEX IF NOT EXISTS earnings_leaderboard_order ON public.earnings_leaderboard (total_paise DESC, reached_at, user_id)');
  PERFORM post_audit.on_ours(ARRAY['public.bugs'],
    'CREATE INDEX IF NOT EXISTS bugs_duplicate_of ON public.bugs (duplicate_of)');
  PERFORM post_audit.on_ours(ARRAY['public.bugs'],
    'CREATE INDEX IF NOT EXISTS bugs_fingerprint ON public.bugs (fingerprint)');
  PERFORM post_audit.on_ours(ARRAY['public.enhancement_tasks'],
    'CREATE UNIQUE INDEX IF NOT EXISTS enhancement_tasks_fingerprint ON public.enhancement_tasks (source, target, fingerprint) WHERE fingerprint IS NOT NULL');
  -- One walk through this index lists each kind of task by its age without looking at the table.
  PERFORM post_audit.on_ours(ARRAY['public.enhancement_tasks'],
    'CREATE INDEX IF NOT EXISTS enhancement_tasks_queue ON public.enhancement_tasks (status, priority, category, first_seen_at, id) INCLUDE (disposition, owner, source)');
  PERFORM post_audit.on_ours(ARRAY['public.enhancement_tasks'],
    'CREATE INDEX IF NOT EXISTS enhancement_tasks_leases ON public.enhancement_tasks (lease_expires_at) WHERE lease_expires_at IS NOT NULL');
  PERFORM post_audit.on_ours(ARRAY['public.enhancement_tasks'],
    'CREATE INDEX IF NOT EXISTS enhancement_tasks_accepted ON public.enhancement_tasks (accepted_until) WHERE accepted_until IS NOT NULL');
  PERFORM post_audit.on_ours(ARRAY['public.enhancement_tasks'],
    'CREATE INDEX IF NOT EXISTS enhancement_tasks_done ON public.enhancement_tasks (completed_at) WHERE completed_at IS NOT NULL');
END
$$;

DO $$
DECLARE
  child text;
BEGIN
  FOREACH child IN ARRAY ARRAY['invites_ab_test', 'invites_sent', 'claim_airdrop_log'] LOOP
    IF post_audit.is_ours('public.' || child) AND post_audit.suppliers_are_ours() AND NOT EXISTS (
      SELECT 1 FROM pg_constraint AS c
      WHERE c.conrelid = to_regclass('public.' || child) AND c.conname = child || '_supplier_id_fkey'
    ) THEN
      EXECUTE format(
        'ALTER TABLE public.%I ADD CONSTRAINT %I FOREIGN KEY (supplier_id) REFERENCES public.suppliers (id)%s',
        child, child || '_supplier_id_fkey',
        -- a message to an invented supplier was sent and paid for all the same
        CASE child WHEN 'invites_sent' THEN ' ON DELETE SET NULL' ELSE '' END);
    END IF;
  END LOOP;
END
$$;

-- What a marketplace starts with. Only into empty tables of ours.
DO $outer$
BEGIN
  PERFORM post_audit.on_ours(ARRAY['public.ab_test_config'], $statement$
    INSERT INTO public.ab_test_config (name, active_variant, variants, allocation_basis_points)
    SELECT 'Invite message', 'variant_a',
      '[{"id": "variant_a", "label": "Rs 5,000 Credit Airdrop", "message": "Claim your Rs 5,000 credit today.", "cost_paise": 500000},
        {"id": "variant_b", "label": "50 Inquiries Focus", "message": "50 buyers are asking for what you sell. Claim your page.", "cost_paise": 0}]'::jsonb,
      '{"variant_a": 5000, "variant_b": 5000}'::jsonb
    WHERE NOT EXISTS (SELECT 1 FROM public.ab_test_config)
  $statement$);

  PERFORM post_audit.on_ours(ARRAY['public.infrastructure_config'], $statement$
    INSERT INTO public.infrastructure_config
      (channel, daily_quota, maximum_daily_quota, n8n_batch_size, maximum_batch_size, rate_millipaise)
    SELECT start.channel, 20000, 100000, 500, 5000, start.rate_millipaise
    -- MSG91's promotional SMS at Rs 0.18; a WhatsApp marketing message in India at Rs 0.8631 (2025 price lists)
    FROM (VALUES ('sms', 18000), ('whatsapp', 86310)) AS start (channel, rate_millipaise)
    WHERE NOT EXISTS (SELECT 1 FROM public.infrastructure_config)
  $statement$);

  PERFORM post_audit.on_ours(ARRAY['public.leaderboard_tickertape_views'], $statement$
    INSERT INTO public.leaderboard_tickertape_views (counter)
    SELECT start.counter FROM (VALUES ('airdrop_claims'), ('airdrop_paise')) AS start (counter)
    WHERE NOT EXISTS (SELECT 1 FROM public.leaderboard_tickertape_views)
  $statement$);
END
$outer$;

-- ---- 11_protocol_tables.sql ----

-- What the protocol keeps for itself, in a schema that no public API exposes.

-- A marketplace is live, or a demonstration with a clock of its own.
CREATE TABLE IF NOT EXISTS post_audit.marketplace (
  id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  kind text NOT NULL DEFAULT 'live' CHECK (kind IN ('live', 'demonstration')),
  as_of timestamptz,
  -- a demonstration was loaded once: it does not come again by itself
  was_demonstrated boolean NOT NULL DEFAULT false,
  CHECK ((kind = 'demonstration') = (as_of IS NOT NULL))
);
INSERT INTO post_audit.marketplace (id) VALUES (1) ON CONFLICT DO NOTHING;

-- Ledgers that have no fixed public table.
CREATE TABLE IF NOT EXISTS post_audit.earnings_ledger (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL,
  supplier_id bigint,
  benefit_type text NOT NULL,
  amount_paise bigint NOT NULL,
  tracked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS earnings_ledger_user ON post_audit.earnings_ledger (user_id) INCLUDE (amount_paise, tracked_at);
CREATE INDEX IF NOT EXISTS earnings_ledger_supplier ON post_audit.earnings_ledger (supplier_id);

CREATE TABLE IF NOT EXISTS post_audit.opt_out_log (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  supplier_id bigint NOT NULL,
  channel text NOT NULL DEFAULT 'sms',
  opted_out_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS opt_out_log_supplier ON post_audit.opt_out_log (supplier_id);

DO $$
DECLARE
  child text;
BEGIN
  FOREACH child IN ARRAY ARRAY['earnings_ledger', 'opt_out_log'] LOOP
    IF post_audit.suppliers_are_ours() AND NOT EXISTS (
      SELECT 1 FROM pg_constraint AS c
      WHERE c.conrelid = to_regclass('post_audit.' || child) AND c.conname = child || '_supplier_id_fkey'
    ) THEN
      EXECUTE format(
        'ALTER TABLE post_audit.%I ADD CONSTRAINT %I FOREIGN KEY (supplier_id) REFERENCES public.suppliers (id)',
        child, child || '_supplier_id_fkey');
    END IF;
  END LOOP;
END
$$;

-- Whether a step acts, proposes or rests. A database that is not our own starts by proposing.
CREATE TABLE IF NOT EXISTS post_audit.step_modes (
  step text PRIMARY KEY,
  position integer NOT NULL,
  mode text NOT NULL DEFAULT 'propose' CHECK (mode IN ('act', 'propose', 'paused')),
  changed_by text NOT NULL DEFAULT 'migration',
  changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO post_audit.step_modes (step, position) VALUES
  ('conversions', 1), ('infrastructure', 2), ('fake_data', 3), ('bugs', 4), ('live_fomo', 5), ('enhancements', 6)
ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS post_audit.runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tick text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('manual', 'schedule', 'audit', 'step')),
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'completed', 'failed')),
  -- the names of the steps it is for; null means all
  steps jsonb,
  owner text NOT NULL,
  -- grows with every owner: an owner that was replaced is refused by its old token
  token bigint NOT NULL DEFAULT 1,
  as_of timestamptz NOT NULL,
  lease_expires_at timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz
);
-- Never two runs at once.
CREATE UNIQUE INDEX IF NOT EXISTS runs_one_at_a_time ON post_audit.runs ((true)) WHERE state = 'running';

CREATE TABLE IF NOT EXISTS post_audit.decisions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL DEFAULT 'step' CHECK (kind IN ('step', 'undo')),
  run_id bigint REFERENCES post_audit.runs (id),
  step text NOT NULL REFERENCES post_audit.step_modes (step),
  mode text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('act', 'nothing', 'blocked', 'unknown')),
  state text NOT NULL CHECK (state IN ('noted', 'proposed', 'applying', 'applied', 'undone', 'superseded', 'rejected', 'moved')),
  headline text NOT NULL,
  reasons jsonb NOT NULL,
  numbers jsonb NOT NULL,
  next text NOT NULL DEFAULT '',
  messages jsonb NOT NULL DEFAULT '[]',
  undo_messages jsonb NOT NULL DEFAULT '[]',
  independent boolean NOT NULL DEFAULT false,
  -- why this cannot be taken back; empty when it can
  final_because text NOT NULL DEFAULT '',
  -- for how long the same is not done again once this has been taken back
  hold_days integer NOT NULL DEFAULT 7 CHECK (hold_days >= 0),
  undoes bigint REFERENCES post_audit.decisions (id),
  actor text NOT NULL,
  as_of timestamptz NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK ((kind = 'undo') = (undoes IS NOT NULL)),
  CHECK ((kind = 'step') = (run_id IS NOT NULL))
);
-- who proposed it by hand, and so may not be the one who approves it; null for what a step decided
ALTER TABLE post_audit.decisions ADD COLUMN IF NOT EXISTS proposed_by text;
-- how many messages of it were removed after their time, by channel and how they ended ("telegram:delivered")
ALTER TABLE post_audit.decisions ADD COLUMN IF NOT EXISTS messages_removed jsonb NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX IF NOT EXISTS decisions_once_a_run ON post_audit.decisions (run_id, step);
CREATE INDEX IF NOT EXISTS decisions_unfinished ON post_audit.decisions (id) WHERE state = 'applying';
CREATE INDEX IF NOT EXISTS decisions_undoes ON post_audit.decisions (undoes);
CREATE INDEX IF NOT EXISTS decisions_step ON post_audit.decisions (step, id DESC);

CREATE TABLE IF NOT EXISTS post_audit.step_runs (
  run_id bigint NOT NULL REFERENCES post_audit.runs (id),
  step text NOT NULL REFERENCES post_audit.step_modes (step),
  state text NOT NULL CHECK (state IN ('decided', 'failed', 'paused')),
  decision_id bigint REFERENCES post_audit.decisions (id),
  error jsonb,
  duration_ms integer NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_id, step)
);
CREATE INDEX IF NOT EXISTS step_runs_step ON post_audit.step_runs (step);
CREATE INDEX IF NOT EXISTS step_runs_decision ON post_audit.step_runs (decision_id);

CREATE TABLE IF NOT EXISTS post_audit.changes (
  decision_id bigint NOT NULL REFERENCES post_audit.decisions (id),
  position integer NOT NULL,
  subject text NOT NULL CHECK (subject ~ '^[a-z_]+:'),
  before jsonb NOT NULL,
  after jsonb NOT NULL,
  state text NOT NULL
    CHECK (state IN ('pending', 'proposed', 'applied', 'undone', 'superseded', 'rejected', 'moved')),
  needs_approval jsonb,
  version bigint,
  carried_out_at timestamptz,
  detail text,
  PRIMARY KEY (decision_id, position)
);
CREATE INDEX IF NOT EXISTS changes_subject ON post_audit.changes (subject, decision_id) WHERE state = 'applied';
CREATE INDEX IF NOT EXISTS changes_waiting ON post_audit.changes (decision_id, position) WHERE state IN ('pending', 'proposed');

-- A number per subject that only grows: receivers drop what is older than what they have.
CREATE TABLE IF NOT EXISTS post_audit.subjects (
  subject text PRIMARY KEY,
  version bigint NOT NULL
);

-- What was taken back or declined is not tried again until the facts ask for something else or the time has passed.
CREATE TABLE IF NOT EXISTS post_audit.holds (
  subject text PRIMARY KEY,
  undone jsonb NOT NULL,
  held_at timestamptz NOT NULL,
  until timestamptz NOT NULL,
  decision_id bigint NOT NULL REFERENCES post_audit.decisions (id)
);
CREATE INDEX IF NOT EXISTS holds_decision ON post_audit.holds (decision_id);

CREATE TABLE IF NOT EXISTS post_audit.outbox (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  sequence bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  decision_id bigint NOT NULL REFERENCES post_audit.decisions (id),
  channel text NOT NULL CHECK (channel IN ('n8n_ab_update', 'n8n_scale', 'telegram')),
  subject text NOT NULL,
  version bigint NOT NULL,
  payload jsonb NOT NULL,
  state text NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'sent', 'applied', 'delivered', 'refused', 'shown', 'superseded', 'dead', 'dropped', 'demonstration')),
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  claimed_by text,
  claimed_until timestamptz,
  detail text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  settled_at timestamptz
);
CREATE INDEX IF NOT EXISTS outbox_decision ON post_audit.outbox (decision_id);

-- ---- 12_roles.sql ----

-- The marketplace's own tables are bound, not assumed. For each role there is one simple view with our column names
-- over the user's relation; everything else here uses only these views.

CREATE TABLE IF NOT EXISTS post_audit.role_columns (
  role text NOT NULL,
  column_name text NOT NULL,
  position integer NOT NULL,
  -- key: any type, kept as it is. moment: timestamptz. Others are what they say.
  kind text NOT NULL CHECK (kind IN ('key', 'text', 'moment', 'integer', 'number', 'boolean', 'json')),
  required boolean NOT NULL,
  PRIMARY KEY (role, column_name)
);

CREATE TABLE IF NOT EXISTS post_audit.bindings (
  role text PRIMARY KEY,
  relation text NOT NULL,
  -- {our column: their column, or {"column": their column, "unit": "rupees"}}; what is missing has our name or is null
  columns jsonb NOT NULL DEFAULT '{}',
  is_reference boolean NOT NULL,
  bound_by text NOT NULL DEFAULT 'migration',
  bound_at timestamptz NOT NULL DEFAULT now()
);

-- The contract of each role, in the order of its columns: name, kind, and a * where a binding must provide it.
DELETE FROM post_audit.role_columns WHERE true;
INSERT INTO post_audit.role_columns (role, column_name, position, kind, required)
SELECT contract.role, rtrim(split_part(item.definition, ' ', 1), '*'), item.position,
  split_part(item.definition, ' ', 2), split_part(item.definition, ' ', 1) LIKE '%*'
FROM (VALUES
  ('suppliers', 'id* key,name* text,email text,phone text,website text,city text,state text,category text,gstin text,claim_status text,claimed_by text,claimed_at moment,created_at moment'),
  ('claims', 'id* key,supplier_id* key,claimed_by text,status text,amount_paise integer,claimed_at* moment,verified_at* moment'),
  ('earnings', 'id* key,user_id* key,supplier_id key,benefit_type text,amount_paise* integer,tracked_at* moment'),
  ('opt_outs', 'id* key,supplier_id* key,channel text,opted_out_at* moment'),
  ('invites', 'id* key,experiment_id* key,supplier_id* key,variant* text,channel text,allocation_epoch integer,status text,sent_at* moment'),
  ('sends', 'id* key,supplier_id key,channel* text,category text,status* text,segments integer,queued_at moment,sent_at* moment'),
  ('leaderboard', 'id* key,user_id* key,display_name text,total_paise* integer,reached_at moment,rank integer,updated_at moment'),
  ('airdrop', 'id* key,counter* text,shown_value* integer,state* text,version* integer,shown_at* moment'),
  ('experiments', 'id* key,name* text,status* text,active_variant* text,winner* text,variants* json,allocation_basis_points* json,allocation_epoch* integer,attribution_window_hours integer,started_at* moment,version* integer,updated_at* moment'),
  ('capacity', 'id* key,channel* text,daily_quota* integer,maximum_daily_quota* integer,n8n_batch_size* integer,maximum_batch_size* integer,rate_millipaise* integer,version* integer,updated_at* moment'),
  ('bugs', 'id* key,title* text,description* text,page text,error_code text,app_version text,severity* text,impact* text,status* text,duplicate_of* key,fingerprint* text,priority_score* number,score_factors* json,severity_override text,score_override number,override_by text,created_at* moment,fixed_at* moment,updated_at* moment'),
  ('tasks', 'id* key,title* text,description* text,priority* text,category* text,status* text,disposition* text,estimated_hours* number,source* text,target* text,fingerprint* text,severity* text,rule* text,component* text,location* text,line* integer,occurrences* integer,first_seen_at* moment,last_seen_at* moment,created_at* moment,updated_at* moment,completed_at* moment,owner text,lease_expires_at moment,accepted_until moment,duplicate_of key,note text')
) AS contract (role, definition)
CROSS JOIN LATERAL string_to_table(contract.definition, ',') WITH ORDINALITY AS item (definition, position);

-- How one column of a bound relation is read as a column of ours: bare where the type allows it, so that the view
-- stays updatable there.
CREATE FUNCTION post_audit.column_expression(role text, wanted post_audit.role_columns, relation regclass, mapping jsonb)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  theirs text := CASE jsonb_typeof(mapping -> wanted.column_name)
    WHEN 'string' THEN mapping ->> wanted.column_name
    WHEN 'object' THEN mapping -> wanted.column_name ->> 'column'
    ELSE wanted.column_name END;
  unit text := CASE WHEN jsonb_typeof(mapping -> wanted.column_name) = 'object'
    THEN mapping -> wanted.column_name ->> 'unit' END;
  found record;
  null_type text := CASE wanted.kind WHEN 'key' THEN 'text' WHEN 'moment' THEN 'timestamptz' WHEN 'integer' THEN 'bigint'
    WHEN 'number' THEN 'numeric' WHEN 'json' THEN 'jsonb' ELSE wanted.kind END;
  expression text;
BEGIN
  IF unit IS NOT NULL AND (unit NOT IN ('rupees', 'paise') OR wanted.kind NOT IN ('integer', 'number')) THEN
    RAISE EXCEPTION 'The role % cannot read % in the unit %.', role, wanted.column_name, unit
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Amounts are in rupees or in paise; other columns have no unit.';
  END IF;
  SELECT t.typname AS name, t.typcategory AS category, pg_catalog.format_type(t.oid, NULL) AS full_name INTO found
  FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  WHERE a.attrelid = relation AND a.attname = theirs AND a.attnum > 0 AND NOT a.attisdropped;

  IF found.name IS NULL THEN
    IF wanted.required OR mapping ? wanted.column_name THEN
      RAISE EXCEPTION 'The role % needs a column for %, and % has no column named %.',
        role, wanted.column_name, relation, theirs
        USING ERRCODE = 'undefined_column',
          HINT = format('Name it: post-audit bind %s %s --column %s=THEIRS', role, relation, wanted.column_name);
    END IF;
    RETURN format('NULL::%s AS %I', null_type, wanted.column_name);
  END IF;

  expression := CASE
    WHEN wanted.kind = 'key' THEN format('b.%I', theirs)
    WHEN wanted.kind = 'text' AND found.name IN ('text', 'varchar') THEN format('b.%I', theirs)
    WHEN wanted.kind = 'text' AND (found.category IN ('S', 'E', 'N', 'B') OR found.name = 'uuid') THEN format('b.%I::text', theirs)
    WHEN wanted.kind = 'moment' AND found.name = 'timestamptz' THEN format('b.%I', theirs)
    WHEN wanted.kind = 'moment' AND found.name = 'timestamp' THEN format('(b.%I AT TIME ZONE ''UTC'')', theirs)
    WHEN wanted.kind = 'moment' AND found.name = 'date' THEN format('(b.%I::timestamp AT TIME ZONE ''UTC'')', theirs)
    WHEN wanted.kind IN ('integer', 'number') AND unit = 'rupees' AND found.category = 'N' THEN format('round(b.%I::numeric * 100)::bigint', theirs)
    WHEN wanted.kind = 'integer' AND found.name IN ('int2', 'int4', 'int8') THEN format('b.%I', theirs)
    WHEN wanted.kind = 'integer' AND found.category = 'N' THEN format('round(b.%I::numeric)::bigint', theirs)
    WHEN wanted.kind = 'number' AND found.category = 'N' THEN format('b.%I', theirs)
    WHEN wanted.kind = 'boolean' AND found.name = 'bool' THEN format('b.%I', theirs)
    WHEN wanted.kind = 'json' AND found.name = 'jsonb' THEN format('b.%I', theirs)
    WHEN wanted.kind = 'json' AND found.name = 'json' THEN format('b.%I::jsonb', theirs)
  END;
  IF expression IS NULL THEN
    RAISE EXCEPTION 'The role % cannot read %.% as %: its type is %.', role, relation, theirs, wanted.column_name, found.full_name
      USING ERRCODE = 'datatype_mismatch', HINT = format('It needs a %s.', wanted.kind);
  END IF;
  RETURN format('%s AS %I', expression, wanted.column_name);
END
$$;

-- Take away the view of a role, unless something of somebody else's stands on it.
CREATE FUNCTION post_audit.drop_role_view(role text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  standing text;
BEGIN
  EXECUTE format('DROP VIEW IF EXISTS post_audit.%I', role);
EXCEPTION WHEN dependent_objects_still_exist THEN
  SELECT string_agg(DISTINCT coalesce(w.ev_class::regclass::text, d.objid::regprocedure::text), ', ') INTO standing
  FROM pg_catalog.pg_depend AS d
  LEFT JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::regclass
  WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = to_regclass('post_audit.' || quote_ident(role))
    AND d.classid IN ('pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_proc'::regclass) AND w.ev_class IS DISTINCT FROM d.refobjid;
  RAISE EXCEPTION 'The view post_audit.% has to change its columns, and % stands on it.', role, standing
    USING ERRCODE = 'dependent_objects_still_exist',
      HINT = format('Drop %s, do this again, and make it again; over your own tables it would not be in the way.', standing);
END
$$;

CREATE FUNCTION post_audit.build_role_view(role text, relation regclass, mapping jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  expressions text;
  unknown_column text;
  statement text;
  outsider text;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM post_audit.role_columns AS c WHERE c.role = build_role_view.role) THEN
    RAISE EXCEPTION 'There is no role named %.', role
      USING ERRCODE = 'invalid_parameter_value', HINT = (
        SELECT 'The roles are ' || string_agg(DISTINCT c.role, ', ') || '.' FROM post_audit.role_columns AS c);
  END IF;
  IF jsonb_typeof(mapping) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'The columns of a binding are an object of names, not %.', coalesce(mapping::text, 'null')
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give {} where all columns have our names.';
  END IF;
  SELECT k.name INTO unknown_column FROM jsonb_object_keys(mapping) AS k (name)
  WHERE NOT EXISTS (
    SELECT 1 FROM post_audit.role_columns AS c WHERE c.role = build_role_view.role AND c.column_name = k.name
  );
  IF unknown_column IS NOT NULL THEN
    RAISE EXCEPTION 'The role % has no column named %.', role, unknown_column
      USING ERRCODE = 'undefined_column', HINT = (
        SELECT 'It has ' || string_agg(c.column_name, ', ' ORDER BY c.position) || '.'
        FROM post_audit.role_columns AS c WHERE c.role = build_role_view.role);
  END IF;
  -- A slip here must not be read as "has our name" or as paise.
  SELECT m.key INTO unknown_column FROM jsonb_each(mapping) AS m
  WHERE NOT (jsonb_typeof(m.value) = 'string' OR (jsonb_typeof(m.value) = 'object'
    AND jsonb_typeof(m.value -> 'column') IS NOT DISTINCT FROM 'string' AND m.value - ARRAY['column', 'unit'] = '{}'::jsonb));
  IF unknown_column IS NOT NULL THEN
    RAISE EXCEPTION 'The column for % is not a name.', unknown_column
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give "THEIRS", or {"column": "THEIRS", "unit": "rupees"}.';
  END IF;
  SELECT string_agg(post_audit.column_expression(build_role_view.role, c, build_role_view.relation, mapping), ', ' ORDER BY c.position)
    INTO expressions
  FROM post_audit.role_columns AS c WHERE c.role = build_role_view.role;
  statement := format('VIEW post_audit.%I WITH (security_invoker = true) AS SELECT %s FROM %s AS b', role, expressions, relation);
  IF to_regclass('post_audit.' || quote_ident(role)) IS NOT NULL THEN
    -- in its place where its columns stay what they are: what stands on it stays, and so does what its owner granted
    BEGIN
      EXECUTE 'CREATE OR REPLACE ' || statement;
      RETURN;
    EXCEPTION WHEN invalid_table_definition THEN
      PERFORM post_audit.drop_role_view(role);
    END;
  END IF;
  EXECUTE 'CREATE ' || statement;
  EXECUTE format('REVOKE ALL ON post_audit.%I FROM PUBLIC', role);
  -- Default privileges without a schema reach here too.
  FOREACH outsider IN ARRAY ARRAY['anon', 'authenticated'] LOOP
    IF to_regrole(outsider) IS NOT NULL THEN
      EXECUTE format('REVOKE ALL ON post_audit.%I FROM %I', role, outsider);
    END IF;
  END LOOP;
  IF to_regrole('service_role') IS NOT NULL THEN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON post_audit.%I TO service_role', role);
  END IF;
END
$$;

-- Our reference table of each role, where the name was free. A role whose name was taken waits for a binding.
INSERT INTO post_audit.bindings (role, relation, is_reference)
SELECT reference.role, reference.relation, true
FROM (VALUES
  ('suppliers', 'public.suppliers'),
  ('claims', 'public.claim_airdrop_log'),
  ('earnings', 'post_audit.earnings_ledger'),
  ('opt_outs', 'post_audit.opt_out_log'),
  ('invites', 'public.invites_ab_test'),
  ('sends', 'public.invites_sent'),
  ('leaderboard', 'public.earnings_leaderboard'),
  ('airdrop', 'public.leaderboard_tickertape_views'),
  ('experiments', 'public.ab_test_config'),
  ('capacity', 'public.infrastructure_config'),
  ('bugs', 'public.bugs'),
  ('tasks', 'public.enhancement_tasks')
) AS reference (role, relation)
WHERE reference.relation LIKE 'post\_audit.%' OR post_audit.is_ours(reference.relation)
ON CONFLICT DO NOTHING;

-- A binding whose relation has gone, or has lost a column, must not stop the migration: its view is dropped, and the
-- product then says that the role needs a binding.
DO $$
DECLARE
  bound record;
BEGIN
  FOR bound IN SELECT b.role, b.relation, b.columns FROM post_audit.bindings AS b LOOP
    BEGIN
      PERFORM post_audit.build_role_view(bound.role, bound.relation::regclass, bound.columns);
    EXCEPTION WHEN undefined_table OR undefined_column OR datatype_mismatch OR invalid_schema_name OR invalid_parameter_value THEN
      PERFORM post_audit.drop_role_view(bound.role);
      RAISE WARNING 'Role %: %', bound.role, SQLERRM;
    END;
  END LOOP;
END
$$;

-- Refuse, with the cure, what cannot be done before a role has a table.
CREATE FUNCTION post_audit.require_roles(VARIADIC roles text[]) RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  missing text := (
    SELECT string_agg(r.role, ', ') FROM unnest(roles) AS r (role)
    WHERE to_regclass('post_audit.' || quote_ident(r.role)) IS NULL
  );
BEGIN
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'No table is bound to: %.', missing
      USING ERRCODE = 'PT424', HINT = format(
        'The fixed name is taken by a table of another shape. Bind the one to be used: post-audit bind %s SCHEMA.TABLE',
        split_part(missing, ',', 1));
  END IF;
END
$$;

-- What each role points to; `bound` is false where a role waits for a table.
CREATE FUNCTION public.post_audit_read_bindings() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_agg(jsonb_build_object(
      'role', roles.role,
      'bound', b.role IS NOT NULL AND to_regclass('post_audit.' || quote_ident(roles.role)) IS NOT NULL,
      'relation', b.relation, 'columns', b.columns, 'is_reference', b.is_reference, 'bound_by', b.bound_by
    ) ORDER BY roles.role)
  FROM (SELECT DISTINCT c.role FROM post_audit.role_columns AS c) AS roles
  LEFT JOIN post_audit.bindings AS b ON b.role = roles.role;
END;

-- Suppliers that live in a table of somebody's own have its ids: what is ours and names suppliers takes over the type,
-- and no longer points to our own table of them.
CREATE FUNCTION post_audit.follow_supplier_ids() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  ours record;
  broken record;
  key_type text := (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = to_regclass('post_audit.suppliers') AND a.attname = 'id');
BEGIN
  FOR ours IN
    SELECT b.role, b.relation::regclass AS relation, b.columns, format_type(a.atttypid, a.atttypmod) <> key_type AS differs
    FROM post_audit.bindings AS b
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = to_regclass(b.relation) AND a.attname = 'supplier_id' AND NOT a.attisdropped
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
    WHERE b.is_reference AND b.role <> 'suppliers'
  LOOP
    FOR broken IN
      SELECT k.conname AS name FROM pg_catalog.pg_constraint AS k
      WHERE k.conrelid = ours.relation AND k.contype = 'f' AND k.confrelid = to_regclass('public.suppliers')
    LOOP
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', ours.relation, broken.name);
    END LOOP;
    CONTINUE WHEN NOT ours.differs;
    PERFORM post_audit.drop_role_view(ours.role);
    BEGIN
      EXECUTE format('ALTER TABLE %s ALTER COLUMN supplier_id TYPE %s USING supplier_id::text::%2$s', ours.relation, key_type);
    EXCEPTION WHEN invalid_text_representation OR numeric_value_out_of_range THEN
      RAISE EXCEPTION 'The column supplier_id of % holds ids that are no %, as those of the suppliers are.', ours.relation, key_type
        USING ERRCODE = 'datatype_mismatch', HINT = format('Bind the role too: post-audit bind %s SCHEMA.TABLE', ours.role);
    END;
    PERFORM post_audit.build_role_view(ours.role, ours.relation, ours.columns);
  END LOOP;
END
$$;

-- What a step does to the relation of a role in any case. Suppliers, claims, earnings and the leaderboard may be read only:
-- what cannot be put right there is said and not done.
CREATE FUNCTION post_audit.privileges_needed(role text) RETURNS text[]
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN CASE
  WHEN role IN ('experiments', 'capacity', 'airdrop') THEN ARRAY['SELECT', 'UPDATE']
  WHEN role IN ('bugs', 'tasks') THEN ARRAY['SELECT', 'INSERT', 'UPDATE']
  ELSE ARRAY['SELECT'] END;

-- Refuse a relation whose rows nothing tells apart, or that the service may not use. A table has to keep its id unique by
-- an index; a view cannot, so its rows are looked at.
CREATE FUNCTION post_audit.require_usable(role text, relation regclass, mapping jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  service text := CASE WHEN to_regrole('service_role') IS NOT NULL THEN 'service_role' ELSE current_user END;
  id_column text := coalesce(mapping #>> '{id,column}', mapping ->> 'id', 'id');
  kind "char" := (SELECT c.relkind FROM pg_catalog.pg_class AS c WHERE c.oid = relation);
  space text := (SELECT n.nspname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = relation);
  needed text[] := post_audit.privileges_needed(role);
  lacking text;
  repeated text;
BEGIN
  IF NOT has_schema_privilege(service, space, 'USAGE') THEN
    RAISE EXCEPTION 'The role % cannot be %: % may not use the schema %.', role, relation, service, space
      USING ERRCODE = 'invalid_parameter_value', HINT = format('GRANT USAGE ON SCHEMA %I TO %I', space, service);
  END IF;
  SELECT string_agg(n.privilege, ', ' ORDER BY n.place) INTO lacking
  FROM unnest(needed) WITH ORDINALITY AS n (privilege, place) WHERE NOT has_table_privilege(service, relation, n.privilege);
  IF lacking IS NOT NULL THEN
    RAISE EXCEPTION 'The role % cannot be %: % lacks the right to % there.', role, relation, service, lower(lacking)
      USING ERRCODE = 'invalid_parameter_value', HINT = format('GRANT %s ON %s TO %I', lacking, relation, service);
  END IF;
  IF kind IN ('r', 'p') THEN
    IF NOT EXISTS (
      SELECT 1 FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a ON a.attrelid = relation AND a.attnum = i.indkey[0]
      WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indexprs IS NULL
        AND a.attname = id_column
    ) THEN
      RAISE EXCEPTION 'Nothing keeps the column %.% unique, which would be the id of the role %.', relation, id_column, role
        USING ERRCODE = 'invalid_parameter_value',
          HINT = format('Name the column that is: --column id=THEIRS, or: CREATE UNIQUE INDEX ON %s (%I)', relation, id_column);
    END IF;
  ELSE
    EXECUTE format('SELECT coalesce(v.%1$I::text, ''null'') FROM %2$s AS v GROUP BY v.%1$I HAVING count(*) > 1 OR v.%1$I IS NULL LIMIT 1',
      id_column, relation) INTO repeated;
    IF repeated IS NOT NULL THEN
      RAISE EXCEPTION 'The column %.% cannot be the id of the role %: more than one row has %, or it has none.', relation, id_column, role, repeated
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Name a column that tells its rows apart: --column id=THEIRS.';
    END IF;
  END IF;
END
$$;

-- Point a role at a relation. `columns` maps our names to theirs, or to {"column": theirs, "unit": "rupees"}; one that is
-- not named there has our name, or is null where the role can do without it.
CREATE FUNCTION public.post_audit_apply_binding(role text, relation text, columns jsonb, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  target regclass;
  owner regrole := (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'post_audit');
BEGIN
  IF NOT pg_has_role(owner, 'USAGE') THEN
    RAISE EXCEPTION 'Only % can bind a role, as the owner of schema post_audit; this is %.', owner, current_user
      USING ERRCODE = 'insufficient_privilege',
        HINT = format('Bind over a direct connection of that user: set DATABASE_URL to postgresql://%s:...', owner);
  END IF;
  BEGIN
    target := to_regclass(relation);
  EXCEPTION WHEN invalid_name OR syntax_error OR feature_not_supported THEN
    target := NULL;  -- before PostgreSQL 16 a text that can be no name is an error
  END;
  -- A table or view, and none of the views made here.
  IF NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_class AS c
    WHERE c.oid = target AND (c.relkind IN ('r', 'p', 'f', 'm')
      OR (c.relkind = 'v' AND c.relnamespace <> 'post_audit'::regnamespace))
  ) THEN
    RAISE EXCEPTION 'There is no table or view named %.', relation
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give it with its schema, quoted where it has capitals: public."Supplier".';
  END IF;
  PERFORM post_audit.build_role_view(role, target, columns);
  PERFORM post_audit.require_usable(role, target, columns);
  INSERT INTO post_audit.bindings (role, relation, columns, is_reference, bound_by)
  VALUES (role, target::text, columns, false, actor)
  ON CONFLICT ON CONSTRAINT bindings_pkey DO UPDATE
    SET relation = EXCLUDED.relation, columns = EXCLUDED.columns, is_reference = false,
      bound_by = EXCLUDED.bound_by, bound_at = clock_timestamp();
  IF role = 'suppliers' AND target IS DISTINCT FROM to_regclass('public.suppliers') THEN
    PERFORM post_audit.follow_supplier_ids();
  END IF;
  RETURN (SELECT item FROM jsonb_array_elements(public.post_audit_read_bindings()) AS item WHERE item ->> 'role' = post_audit_apply_binding.role);
END
$$;

-- Point several roles at relations, or none of them where one is refused: an array of {"role", "relation", "columns"}, as
-- the guesses are. Suppliers come first, since what names them takes over the type of their ids.
CREATE FUNCTION public.post_audit_apply_bindings(bindings jsonb, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  wanted record;
  bound jsonb := '[]';
BEGIN
  IF jsonb_typeof(bindings) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'Bindings are an array; this is: %.', coalesce(jsonb_typeof(bindings), 'null')
      USING ERRCODE = 'invalid_parameter_value', HINT = 'For example: [{"role": "suppliers", "relation": "public.companies", "columns": {}}].';
  END IF;
  FOR wanted IN
    SELECT b.value ->> 'role' AS role, b.value ->> 'relation' AS relation, coalesce(b.value -> 'columns', '{}') AS columns
    FROM jsonb_array_elements(bindings) WITH ORDINALITY AS b (value, place)
    ORDER BY b.value ->> 'role' IS DISTINCT FROM 'suppliers', b.place
  LOOP
    bound := bound || public.post_audit_apply_binding(wanted.role, wanted.relation, wanted.columns, actor);
  END LOOP;
  RETURN bound;
END
$$;

-- Columns of a role, `limit` rows from the key `after` on: an array per column, so that a large read stays cheap to
-- parse. The watermark is the snapshot's horizon: rows committed later have a transaction id of at least that.
CREATE FUNCTION public.post_audit_read_columns(role text, columns jsonb, after text DEFAULT NULL, "limit" integer DEFAULT 5000)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  key_type text;
  unknown_column text;
  arrays text;
  answer jsonb;
BEGIN
  SELECT k.name INTO unknown_column FROM jsonb_array_elements_text(columns) AS k (name)
  WHERE NOT EXISTS (
    SELECT 1 FROM post_audit.role_columns AS c WHERE c.role = post_audit_read_columns.role AND c.column_name = k.name
  );
  IF unknown_column IS NOT NULL THEN
    RAISE EXCEPTION 'The role % has no column named %.', role, unknown_column USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT format_type(a.atttypid, a.atttypmod) INTO key_type
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = to_regclass('post_audit.' || quote_ident(role)) AND a.attname = 'id';
  IF key_type IS NULL THEN
    RAISE EXCEPTION 'The role % is not bound to a table.', role USING ERRCODE = 'undefined_table';
  END IF;
  SELECT string_agg(format('%L, coalesce(jsonb_agg(page.%I ORDER BY page.id), ''[]'')', k.name, k.name), ', ') INTO arrays
  FROM jsonb_array_elements_text(columns) AS k (name);
  EXECUTE format(
    'SELECT jsonb_build_object(''columns'', jsonb_build_object(%s), ''rows'', count(*),
       ''next'', CASE WHEN count(*) = $2 THEN (array_agg(page.id ORDER BY page.id DESC))[1]::text END,
       ''watermark'', pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text)
     FROM (SELECT * FROM post_audit.%I AS v WHERE $1 IS NULL OR v.id > $1::%s ORDER BY v.id LIMIT $2) AS page',
    arrays, role, key_type) INTO answer USING after, "limit";
  RETURN answer;
END
$$;

-- ---- 13_binding_guesses.sql ----

-- Guesses which tables of the marketplace could fill a role, by their names and types; a person decides.

-- For each role that has no table or only ours: up to two candidates, the better first, with the columns that a binding
-- would name and up to three values of each. An amount that is no whole number is taken for rupees: to be looked at.
CREATE FUNCTION public.post_audit_read_binding_guesses() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  answer jsonb := '[]';
  guess record;
  samples jsonb;
BEGIN
  FOR guess IN
    WITH tables (role, pattern) AS (VALUES
      ('suppliers', 'suppl|compan|vendor|seller|merchant|business|firm'),
      ('claims', 'claim'),
      ('earnings', 'earning|benefit|reward|commission|payout'),
      ('opt_outs', 'optout|unsubscri|donotcontact|suppression')
    ), synonyms (role, column_name, names) AS (VALUES
      ('suppliers', 'id', '{id,uuid,companyid,supplierid}'::text[]),
      ('suppliers', 'name', '{name,companyname,businessname,suppliername,firmname,legalname,title}'),
      ('suppliers', 'email', '{email,contactemail,emailaddress,mail,ownermail}'),
      ('suppliers', 'phone', '{phone,phonenumber,mobile,contactphone,contactnumber}'),
      ('suppliers', 'website', '{website,websiteurl,url,domain}'),
      ('suppliers', 'city', '{city,town}'),
      ('suppliers', 'state', '{state,province,region}'),
      ('suppliers', 'category', '{category,industry,sector}'),
      ('suppliers', 'gstin', '{gstin,gstnumber,gstno,gst}'),
      ('suppliers', 'claim_status', '{claimstatus,claimstate}'),
      ('suppliers', 'claimed_by', '{claimedby,claimedbyuserid,ownerid}'),
      ('suppliers', 'claimed_at', '{claimedat}'),
      ('suppliers', 'created_at', '{createdat,created,insertedat,scrapedat}'),
      ('claims', 'id', '{id,uuid,claimid}'),
      ('claims', 'supplier_id', '{supplierid,scrapedcompanyid,companyid,vendorid,sellerid,merchantid,businessid}'),
      ('claims', 'claimed_by', '{claimedby,claimedbyuserid,userid}'),
      ('claims', 'status', '{status,state}'),
      ('claims', 'amount_paise', '{amountpaise,amountrupees,amount}'),
      ('claims', 'claimed_at', '{claimedat,createdat}'),
      ('claims', 'verified_at', '{verifiedat,approvedat}'),
      ('earnings', 'id', '{id,uuid}'),
      ('earnings', 'user_id', '{userid,claimedby,ownerid}'),
      ('earnings', 'supplier_id', '{supplierid,scrapedcompanyid,companyid,vendorid,sellerid}'),
      ('earnings', 'benefit_type', '{benefittype,earningtype,rewardtype,type,kind}'),
      ('earnings', 'amount_paise', '{amountpaise,amountrupees,amount,value}'),
      ('earnings', 'tracked_at', '{trackedat,earnedat,createdat}'),
      ('opt_outs', 'id', '{id,uuid}'),
      ('opt_outs', 'supplier_id', '{supplierid,scrapedcompanyid,companyid,vendorid,sellerid}'),
      ('opt_outs', 'channel', '{channel,medium}'),
      ('opt_outs', 'opted_out_at', '{optedoutat,unsubscribedat,createdat}')
    ), relations AS (
      SELECT t.role, c.oid, format('%I.%I', n.nspname, c.relname) AS full_name,
        has_table_privilege(c.oid, 'SELECT') AS readable
      FROM tables AS t
      JOIN pg_catalog.pg_class AS c ON lower(replace(c.relname, '_', '')) ~ t.pattern
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      JOIN post_audit.bindings AS b ON b.role = t.role AND b.is_reference
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
        AND n.nspname NOT IN ('post_audit', 'information_schema', 'auth', 'storage', 'realtime', 'vault', 'extensions', 'graphql',
          'cron', 'net', 'supabase_functions', 'supabase_migrations')
        AND n.nspname NOT LIKE 'pg\_%'
        AND coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') NOT LIKE 'Post-Audit Protocol: %'
      UNION ALL
      -- a role without any binding
      SELECT t.role, c.oid, format('%I.%I', n.nspname, c.relname), has_table_privilege(c.oid, 'SELECT')
      FROM tables AS t
      JOIN pg_catalog.pg_class AS c ON lower(replace(c.relname, '_', '')) ~ t.pattern AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'public'
      WHERE NOT EXISTS (SELECT 1 FROM post_audit.bindings AS b WHERE b.role = t.role) AND NOT c.relispartition
        AND coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') NOT LIKE 'Post-Audit Protocol: %'
    ), found AS (
      SELECT DISTINCT ON (r.role, r.oid, s.column_name) r.role, r.oid, r.full_name, r.readable, s.column_name, a.attname AS theirs,
        w.position, w.kind = 'integer' AND y.typname IN ('float4', 'float8', 'numeric', 'money')
          OR lower(a.attname) LIKE '%rupee%' AS in_rupees
      FROM relations AS r
      JOIN synonyms AS s ON s.role = r.role
      JOIN post_audit.role_columns AS w ON w.role = s.role AND w.column_name = s.column_name
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND lower(replace(a.attname, '_', '')) = ANY (s.names)
      JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
      WHERE CASE w.kind
        WHEN 'key' THEN y.typcategory IN ('N', 'S', 'U')
        WHEN 'text' THEN y.typcategory IN ('S', 'E', 'N', 'B') OR y.typname = 'uuid'
        WHEN 'moment' THEN y.typname IN ('timestamptz', 'timestamp', 'date')
        WHEN 'integer' THEN y.typcategory = 'N'
        END
      ORDER BY r.role, r.oid, s.column_name, array_position(s.names, lower(replace(a.attname, '_', '')))
    ), candidates AS (
      SELECT f.role, f.oid, f.full_name, f.readable, (SELECT k.relkind FROM pg_catalog.pg_class AS k WHERE k.oid = f.oid) AS kind,
        count(*) AS matched,
        jsonb_object_agg(f.column_name, CASE WHEN f.in_rupees
            THEN jsonb_build_object('column', f.theirs, 'unit', 'rupees') ELSE to_jsonb(f.theirs::text) END)
          FILTER (WHERE f.theirs <> f.column_name OR f.in_rupees) AS columns,
        string_agg(format('%L, (SELECT coalesce(jsonb_agg(left(v.value, 60)), ''[]'') FROM (SELECT p.%I::text AS value FROM page AS p) AS v)',
          f.column_name, f.theirs), ', ' ORDER BY f.position) AS shown
      FROM found AS f
      GROUP BY f.role, f.oid, f.full_name, f.readable
      HAVING NOT EXISTS (
        SELECT 1 FROM post_audit.role_columns AS w
        WHERE w.role = f.role AND w.required AND w.column_name <> ALL (array_agg(f.column_name)))
    )
    SELECT c.*, u.unique_id, row_number() OVER (PARTITION BY c.role ORDER BY u.unique_id DESC, c.matched DESC, c.full_name) AS place
    FROM candidates AS c
    -- whether every row of a table is known by its id, without which it is not bound; a view is looked at when it is bound
    CROSS JOIN LATERAL (SELECT c.kind NOT IN ('r', 'p') OR EXISTS (
        SELECT 1 FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL
          AND a.attname = coalesce(c.columns ->> 'id', 'id')) AS unique_id) AS u
    ORDER BY c.role, place
  LOOP
    CONTINUE WHEN guess.place > 2;
    samples := '{}';
    IF guess.readable THEN
      EXECUTE format('WITH page AS (SELECT * FROM %s LIMIT 3) SELECT jsonb_build_object(%s)', guess.full_name, guess.shown) INTO samples;
    END IF;
    answer := answer || jsonb_build_object('role', guess.role, 'relation', guess.full_name,
      'columns', coalesce(guess.columns, '{}'), 'samples', samples, 'unique_id', guess.unique_id, 'best', guess.place = 1);
  END LOOP;
  RETURN answer;
END
$$;

-- ---- 20_decisions.sql ----

-- Decisions: stored with their reasons, carried out change by change as compare-and-set, explained, approved, taken
-- back. One transaction holds a decision, the state it changes, and the messages that tell of it.

-- The marketplace's clock: a demonstration has one of its own, so that it decides the same at any hour.
CREATE FUNCTION post_audit.clock() RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(m.as_of, clock_timestamp()) FROM post_audit.marketplace AS m;
END;

-- `actual` is what was found, null for nothing (a parameter named found would be hidden by plpgsql's own FOUND).
CREATE FUNCTION post_audit.refuse_moved(subject text, expected jsonb, actual jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RAISE EXCEPTION '% has changed since it was read; nothing was done.', subject
    USING ERRCODE = 'PT409', DETAIL = format('expected %s, found %s', expected, coalesce(actual::text, 'nothing')),
      HINT = 'The next run decides on what is there now.';
END
$$;

CREATE FUNCTION post_audit.next_version(subject text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  INSERT INTO post_audit.subjects AS s (subject, version) VALUES (next_version.subject, 1)
  ON CONFLICT (subject) DO UPDATE SET version = s.version + 1
  RETURNING version;
END;

-- Put one message into the outbox. Settings for n8n are absolute, so an older one that has not left yet is superseded.
CREATE FUNCTION post_audit.send(decision_id bigint, message jsonb, version bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  is_demonstration boolean := (SELECT m.kind = 'demonstration' FROM post_audit.marketplace AS m);
BEGIN
  IF message ->> 'channel' LIKE 'n8n\_%' THEN
    UPDATE post_audit.outbox AS o
    SET state = 'superseded', settled_at = clock_timestamp(), detail = format('replaced by decision %s', send.decision_id)
    WHERE o.channel = message ->> 'channel' AND o.subject = message ->> 'subject' AND o.state IN ('pending', 'sent');
  END IF;
  INSERT INTO post_audit.outbox (decision_id, channel, subject, version, says, payload, state, settled_at, detail)
  VALUES (send.decision_id, message ->> 'channel', message ->> 'subject',
    -- settings count with the changes of their subject; a text that repeats itself has a count of its own
    coalesce(send.version, post_audit.next_version(
      CASE WHEN message ->> 'channel' LIKE 'n8n\_%' THEN '' ELSE 'message:' END || (message ->> 'subject'))),
    md5(message ->> 'payload'),
    -- whoever composed the text could not know the number
    replace(message ->> 'payload', '{decision}', send.decision_id::text)::jsonb,
    CASE WHEN is_demonstration THEN 'demonstration' ELSE 'pending' END,
    CASE WHEN is_demonstration THEN clock_timestamp() END,
    CASE WHEN is_demonstration THEN 'A demonstration sends nothing.' END);
END
$$;

CREATE FUNCTION post_audit.decision_as_json(decision_id bigint, changes_limit integer DEFAULT 50) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'id', d.id, 'kind', d.kind, 'run_id', d.run_id, 'step', d.step, 'mode', d.mode, 'outcome', d.outcome,
    'state', d.state, 'headline', d.headline, 'reasons', d.reasons, 'numbers', d.numbers, 'next', d.next,
    'undoes', d.undoes, 'actor', d.actor, 'proposed_by', d.proposed_by, 'as_of', d.as_of, 'decided_at', d.decided_at,
    'final_because', d.final_because,
    'undone_by', (SELECT max(u.id) FROM post_audit.decisions AS u WHERE u.undoes = d.id),
    'counts', (SELECT coalesce(jsonb_object_agg(g.state, g.n), '{}') FROM (
        SELECT c.state, count(*) AS n FROM post_audit.changes AS c WHERE c.decision_id = d.id GROUP BY c.state) AS g),
    'changes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'subject', p.subject, 'before', p.before, 'after', p.after, 'state', p.state, 'needs_approval', p.needs_approval,
        'version', p.version, 'carried_out_at', p.carried_out_at, 'detail', p.detail) ORDER BY p.position), '[]')
      FROM (SELECT * FROM post_audit.changes AS c WHERE c.decision_id = d.id ORDER BY c.position LIMIT changes_limit) AS p),
    'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', o.id, 'channel', o.channel, 'subject', o.subject, 'version', o.version, 'state', o.state,
        'payload', o.payload, 'detail', o.detail) ORDER BY o.sequence), '[]')
      FROM post_audit.outbox AS o WHERE o.decision_id = d.id),
    'messages_removed', d.messages_removed
  )
  FROM post_audit.decisions AS d WHERE d.id = decision_as_json.decision_id;
END;

-- What a step does at the end of each of its decisions (and of their undo), in the same transaction, where it has a
-- function for that: recompute what hangs on the changes, write evidence.
CREATE FUNCTION post_audit.finish(step text, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF to_regprocedure(format('post_audit.%I(bigint)', 'finish_' || step)) IS NOT NULL THEN
    EXECUTE format('SELECT post_audit.%I($1)', 'finish_' || step) USING decision_id;
  END IF;
END
$$;

-- Carry out the next pending changes of a decision, at most `batch` of them. A change is done by
-- post_audit.change_<kind>, where the kind is what stands before the colon of its subject. Returns what is left.
CREATE FUNCTION post_audit.carry_out(decision_id bigint, batch integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  decision post_audit.decisions;
  change post_audit.changes;
  message jsonb;
  new_version bigint;
  remaining integer;
BEGIN
  SELECT * INTO STRICT decision FROM post_audit.decisions AS d WHERE d.id = carry_out.decision_id FOR UPDATE;
  FOR change IN
    SELECT * FROM post_audit.changes AS c
    WHERE c.decision_id = carry_out.decision_id AND c.state = 'pending'
    ORDER BY c.position LIMIT batch FOR UPDATE
  LOOP
    BEGIN
      new_version := post_audit.next_version(change.subject);
      EXECUTE format('SELECT post_audit.%I($1, $2, $3, $4, $5)', 'change_' || split_part(change.subject, ':', 1))
        USING substr(change.subject, strpos(change.subject, ':') + 1), change.before, change.after, new_version, decision.id;
      UPDATE post_audit.changes AS c
      SET state = 'applied', version = new_version, carried_out_at = clock_timestamp()
      WHERE c.decision_id = change.decision_id AND c.position = change.position;
      IF decision.kind = 'undo' THEN
        UPDATE post_audit.changes AS c SET state = 'undone'
        WHERE c.decision_id = decision.undoes AND c.subject = change.subject AND c.state = 'applied';
        -- taking back an undo puts what it had taken back in force again
        UPDATE post_audit.changes AS c SET state = 'applied'
        FROM post_audit.decisions AS u
        WHERE u.id = decision.undoes AND c.decision_id = u.undoes AND c.subject = change.subject AND c.state = 'undone';
      END IF;
      FOR message IN
        SELECT m.value FROM jsonb_array_elements(decision.messages) AS m (value)
        WHERE m.value ->> 'subject' = change.subject AND NOT (m.value ->> 'alert')::boolean
      LOOP
        PERFORM post_audit.send(decision.id, message, new_version);
      END LOOP;
    EXCEPTION WHEN SQLSTATE 'PT409' THEN
      IF NOT decision.independent THEN
        RAISE;
      END IF;
      UPDATE post_audit.changes AS c
      SET state = 'moved', detail = SQLERRM, carried_out_at = clock_timestamp()
      WHERE c.decision_id = change.decision_id AND c.position = change.position;
    END;
  END LOOP;

  SELECT count(*) INTO remaining FROM post_audit.changes AS c
  WHERE c.decision_id = carry_out.decision_id AND c.state = 'pending';
  IF remaining = 0 AND decision.state = 'applying' THEN
    PERFORM post_audit.finish(decision.step, decision.id);
    FOR message IN
      SELECT m.value FROM jsonb_array_elements(decision.messages) AS m (value)
      WHERE NOT (m.value ->> 'alert')::boolean AND NOT EXISTS (
        SELECT 1 FROM post_audit.changes AS c
        WHERE c.decision_id = carry_out.decision_id AND c.subject = m.value ->> 'subject')
        AND NOT EXISTS (
          SELECT 1 FROM post_audit.outbox AS o
          WHERE o.decision_id = carry_out.decision_id AND o.channel = m.value ->> 'channel' AND o.subject = m.value ->> 'subject')
    LOOP
      PERFORM post_audit.send(decision.id, message);
    END LOOP;
    UPDATE post_audit.decisions AS d SET state = CASE WHEN EXISTS (
        SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = carry_out.decision_id AND c.state = 'applied'
      ) THEN 'applied' ELSE 'moved' END
    WHERE d.id = carry_out.decision_id;
    IF decision.kind = 'undo' THEN
      UPDATE post_audit.decisions AS d SET state = 'undone'
      WHERE d.id = decision.undoes AND NOT EXISTS (
        SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = d.id AND c.state IN ('applied', 'pending'));
      UPDATE post_audit.decisions AS d SET state = 'applied'
      FROM post_audit.decisions AS u WHERE u.id = decision.undoes AND d.id = u.undoes AND d.state = 'undone';
    END IF;
  END IF;
  RETURN remaining;
END
$$;

CREATE FUNCTION post_audit.answer(decision_id bigint, remaining integer, repeated boolean DEFAULT false) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN jsonb_build_object('decision', post_audit.decision_as_json(decision_id), 'remaining', remaining, 'repeated', repeated);

-- Refuse whoever no longer owns the run.
CREATE FUNCTION post_audit.require_run(run_id bigint, token bigint) RETURNS post_audit.runs
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  run post_audit.runs;
BEGIN
  SELECT * INTO run FROM post_audit.runs AS r WHERE r.id = run_id FOR UPDATE;
  IF run.id IS NULL THEN
    RAISE EXCEPTION 'There is no run %.', run_id USING ERRCODE = 'no_data_found';
  END IF;
  IF run.token <> token OR run.state <> 'running' THEN
    RAISE EXCEPTION 'Run % belongs to another worker now or has ended; this one stops.', run_id
      USING ERRCODE = 'PT423', DETAIL = format('token %s was given, %s is valid, state %s', token, run.token, run.state);
  END IF;
  RETURN run;
END
$$;

-- Store what a step decided in a run, and carry out what its mode allows, at most `batch` changes; `remaining` are left for
-- post_audit_apply_batch. Asked again for the same run and step, it returns the stored decision, with `repeated`.
CREATE FUNCTION public.post_audit_apply_decision(
  run_id bigint, token bigint, step text, decision jsonb, duration_ms integer DEFAULT 0, batch integer DEFAULT 500
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  run post_audit.runs := post_audit.require_run(run_id, token);
  stored post_audit.decisions;
  current_mode text;
  message jsonb;
  new_id bigint;
  remaining integer := 0;
BEGIN
  SELECT * INTO stored FROM post_audit.decisions AS d
  WHERE d.run_id = post_audit_apply_decision.run_id AND d.step = post_audit_apply_decision.step;
  IF stored.id IS NOT NULL THEN
    RETURN post_audit.answer(stored.id, (
      SELECT count(*)::integer FROM post_audit.changes AS c WHERE c.decision_id = stored.id AND c.state = 'pending'), true);
  END IF;

  SELECT m.mode INTO current_mode FROM post_audit.step_modes AS m WHERE m.step = post_audit_apply_decision.step FOR SHARE;
  IF current_mode IS NULL THEN
    RAISE EXCEPTION 'There is no step named %.', step USING ERRCODE = 'invalid_parameter_value';
  END IF;

  -- A newer look replaces what still waits from an older one.
  UPDATE post_audit.changes AS c SET state = 'superseded'
  FROM post_audit.decisions AS d
  WHERE d.id = c.decision_id AND d.step = post_audit_apply_decision.step AND c.state = 'proposed';
  UPDATE post_audit.decisions AS d SET state = 'superseded'
  WHERE d.step = post_audit_apply_decision.step AND d.state = 'proposed';

  INSERT INTO post_audit.decisions
    (run_id, step, mode, outcome, state, headline, reasons, numbers, next, messages, undo_messages, independent,
     final_because, hold_days, actor, as_of)
  VALUES (run_id, step, current_mode, decision ->> 'outcome', 'noted', decision ->> 'headline', decision -> 'reasons',
    decision -> 'numbers', coalesce(decision ->> 'next', ''), decision -> 'messages', decision -> 'undo_messages',
    (decision ->> 'independent')::boolean, coalesce(decision ->> 'final_because', ''),
    coalesce((decision ->> 'hold_days')::integer, 7), 'protocol', run.as_of)
  RETURNING id INTO new_id;
  UPDATE post_audit.decisions AS d SET next = replace(d.next, '{decision}', new_id::text) WHERE d.id = new_id;

  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, needs_approval, state)
  SELECT new_id, c.position, c.value ->> 'subject', c.value -> 'before', c.value -> 'after',
    nullif(c.value -> 'needs_approval', 'null'),
    CASE WHEN current_mode = 'act' AND coalesce(c.value -> 'needs_approval', 'null') = 'null' THEN 'pending' ELSE 'proposed' END
  FROM jsonb_array_elements(decision -> 'changes') WITH ORDINALITY AS c (value, position);

  FOR message IN
    SELECT m.value FROM jsonb_array_elements(decision -> 'messages') AS m (value)
    WHERE (m.value ->> 'alert')::boolean OR NOT EXISTS (SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = new_id)
  LOOP
    PERFORM post_audit.send(new_id, message);
  END LOOP;

  IF EXISTS (SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = new_id AND c.state = 'pending') THEN
    UPDATE post_audit.decisions AS d SET state = 'applying' WHERE d.id = new_id;
    remaining := post_audit.carry_out(new_id, batch);
  ELSIF EXISTS (SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = new_id) THEN
    UPDATE post_audit.decisions AS d SET state = 'proposed' WHERE d.id = new_id;
  ELSE
    PERFORM post_audit.finish(step, new_id);
  END IF;

  INSERT INTO post_audit.step_runs (run_id, step, state, decision_id, duration_ms)
  VALUES (run_id, step, 'decided', new_id, duration_ms);
  RETURN post_audit.answer(new_id, remaining);
END
$$;

-- Go on with a decision whose changes are too many for one call. The caller repeats until nothing remains.
CREATE FUNCTION public.post_audit_apply_batch(decision_id bigint, batch integer DEFAULT 500) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  -- before the answer, which is STABLE and sees only what stood when its statement began
  remaining integer := post_audit.carry_out(decision_id, batch);
BEGIN
  RETURN post_audit.answer(decision_id, remaining);
END
$$;

CREATE FUNCTION post_audit.require_decision(decision_id bigint) RETURNS post_audit.decisions
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  decision post_audit.decisions;
BEGIN
  SELECT * INTO decision FROM post_audit.decisions AS d WHERE d.id = decision_id FOR UPDATE;
  IF decision.id IS NULL THEN
    RAISE EXCEPTION 'There is no decision %.', decision_id
      USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit decisions.';
  END IF;
  RETURN decision;
END
$$;

-- Store what a person wants done as a proposal of a step, in a run of its own: nothing is changed before somebody else
-- approves it. It replaces what still waits for approval of that step.
CREATE FUNCTION public.post_audit_apply_proposal(step text, decision jsonb, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  new_run bigint;
  new_id bigint;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM post_audit.step_modes AS m WHERE m.step = post_audit_apply_proposal.step) THEN
    RAISE EXCEPTION 'There is no step named %.', step USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(jsonb_array_length(decision -> 'changes'), 0) = 0 THEN
    RAISE EXCEPTION 'A proposal changes something.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE post_audit.changes AS c SET state = 'superseded'
  FROM post_audit.decisions AS d
  WHERE d.id = c.decision_id AND d.step = post_audit_apply_proposal.step AND c.state = 'proposed';
  UPDATE post_audit.decisions AS d SET state = 'superseded'
  WHERE d.step = post_audit_apply_proposal.step AND d.state = 'proposed';
  INSERT INTO post_audit.runs (tick, kind, state, steps, owner, as_of, lease_expires_at, finished_at)
  VALUES ('by hand ' || gen_random_uuid(), 'step', 'completed', jsonb_build_array(step), actor, post_audit.clock(),
    clock_timestamp(), clock_timestamp())
  RETURNING id INTO new_run;
  INSERT INTO post_audit.decisions
    (run_id, step, mode, outcome, state, headline, reasons, numbers, next, messages, undo_messages, independent,
     final_because, hold_days, actor, proposed_by, as_of)
  VALUES (new_run, step, 'propose', 'act', 'proposed', decision ->> 'headline', decision -> 'reasons',
    coalesce(decision -> 'numbers', '{}'), coalesce(decision ->> 'next', ''), coalesce(decision -> 'messages', '[]'),
    coalesce(decision -> 'undo_messages', '[]'), coalesce((decision ->> 'independent')::boolean, false),
    coalesce(decision ->> 'final_because', ''), coalesce((decision ->> 'hold_days')::integer, 7), actor, actor, post_audit.clock())
  RETURNING id INTO new_id;
  UPDATE post_audit.decisions AS d SET next = replace(d.next, '{decision}', new_id::text) WHERE d.id = new_id;
  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, state)
  SELECT new_id, c.position, c.value ->> 'subject', c.value -> 'before', c.value -> 'after', 'proposed'
  FROM jsonb_array_elements(decision -> 'changes') WITH ORDINALITY AS c (value, position);
  INSERT INTO post_audit.step_runs (run_id, step, state, decision_id, duration_ms) VALUES (new_run, step, 'decided', new_id, 0);
  RETURN post_audit.answer(new_id, 0);
END
$$;

-- Agree to what a decision proposes: all of it, or the subjects that are named. Refused for whoever proposed it by hand.
CREATE FUNCTION public.post_audit_apply_approval(
  decision_id bigint, actor text, subjects jsonb DEFAULT NULL, batch integer DEFAULT 500
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  decision post_audit.decisions := post_audit.require_decision(decision_id);
  remaining integer;
BEGIN
  IF decision.proposed_by = actor THEN
    RAISE EXCEPTION '% proposed decision % by hand, so somebody else approves it.', actor, decision_id
      USING ERRCODE = 'insufficient_privilege', HINT = 'Ask another approver, or decline it.';
  END IF;
  UPDATE post_audit.changes AS c SET state = 'pending', detail = format('approved by %s', actor)
  WHERE c.decision_id = post_audit_apply_approval.decision_id AND c.state = 'proposed'
    AND (subjects IS NULL OR subjects ? c.subject);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Decision % has nothing that waits for approval: it is %.', decision_id, decision.state
      USING ERRCODE = 'PT409', HINT = 'See what waits: post-audit decisions --waiting.';
  END IF;
  UPDATE post_audit.decisions AS d SET state = 'applying', actor = post_audit_apply_approval.actor
  WHERE d.id = post_audit_apply_approval.decision_id;
  remaining := post_audit.carry_out(decision_id, batch);
  RETURN post_audit.answer(decision_id, remaining);
END
$$;

-- Decline what a decision proposes; the same is not proposed again for a while.
CREATE FUNCTION public.post_audit_apply_rejection(decision_id bigint, actor text, hold_days integer DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  decision post_audit.decisions := post_audit.require_decision(decision_id);
BEGIN
  INSERT INTO post_audit.holds AS h (subject, undone, held_at, until, decision_id)
  SELECT DISTINCT ON (c.subject) c.subject, c.after, post_audit.clock(), post_audit.clock() + make_interval(days => coalesce(hold_days, decision.hold_days)), decision.id
  FROM post_audit.changes AS c WHERE c.decision_id = decision.id AND c.state = 'proposed'
  ORDER BY c.subject, c.position DESC
  ON CONFLICT (subject) DO UPDATE SET undone = EXCLUDED.undone, held_at = EXCLUDED.held_at, until = EXCLUDED.until, decision_id = EXCLUDED.decision_id;
  UPDATE post_audit.changes AS c SET state = 'rejected', detail = format('declined by %s', actor)
  WHERE c.decision_id = decision.id AND c.state = 'proposed';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Decision % has nothing that waits for approval: it is %.', decision_id, decision.state
      USING ERRCODE = 'PT409', HINT = 'See what waits: post-audit decisions --waiting.';
  END IF;
  UPDATE post_audit.decisions AS d SET state = 'rejected' WHERE d.id = decision.id AND d.state = 'proposed';
  RETURN post_audit.answer(decision.id, 0);
END
$$;

-- Take a decision back: the inverse changes, the messages that tell of it, and a hold on each subject.
CREATE FUNCTION public.post_audit_apply_undo(
  decision_id bigint, actor text, subjects jsonb DEFAULT NULL, hold_days integer DEFAULT NULL, batch integer DEFAULT 500
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  decision post_audit.decisions := post_audit.require_decision(decision_id);
  later record;
  new_id bigint;
  remaining integer;
  verb text := CASE decision.kind WHEN 'undo' THEN 'Restored' ELSE 'Took back' END;
BEGIN
  IF decision.final_because <> '' THEN
    RAISE EXCEPTION 'Decision % cannot be taken back: %', decision_id, decision.final_because USING ERRCODE = 'PT409';
  END IF;
  IF decision.kind = 'undo' AND (SELECT d.kind = 'undo' FROM post_audit.decisions AS d WHERE d.id = decision.undoes) THEN
    RAISE EXCEPTION 'Decision % put another one back in force.', decision_id
      USING ERRCODE = 'PT409', HINT = (SELECT format('Undo that one: post-audit undo %s.', d.undoes)
        FROM post_audit.decisions AS d WHERE d.id = decision.undoes);
  END IF;
  IF decision.state = 'applying' THEN
    RAISE EXCEPTION 'Decision % is still being carried out.', decision_id
      USING ERRCODE = 'PT409', HINT = 'Let the run end (post-audit run resumes an interrupted one), then undo.';
  END IF;
  IF NOT EXISTS (
    SELECT 1 FROM post_audit.changes AS c
    WHERE c.decision_id = decision.id AND c.state = 'applied' AND (subjects IS NULL OR subjects ? c.subject)
  ) THEN
    RAISE EXCEPTION 'Decision % changed nothing that could be taken back: it is %.', decision_id, decision.state
      USING ERRCODE = 'PT409';
  END IF;
  SELECT l.decision_id, l.subject, d.headline INTO later
  FROM post_audit.changes AS c
  JOIN post_audit.changes AS l ON l.subject = c.subject AND l.decision_id > c.decision_id AND l.state = 'applied'
  JOIN post_audit.decisions AS d ON d.id = l.decision_id
  WHERE c.decision_id = decision.id AND c.state = 'applied' AND (subjects IS NULL OR subjects ? c.subject)
    -- a later decision and its undo cancel each other
    AND NOT (d.kind = 'undo' AND d.undoes > decision.id)
  ORDER BY l.decision_id DESC LIMIT 1;
  IF later.decision_id IS NOT NULL THEN
    RAISE EXCEPTION 'Decision % stands under decision % (%), which changed % again.',
      decision_id, later.decision_id, later.headline, later.subject
      USING ERRCODE = 'PT409', HINT = format('Undo the later one first: post-audit undo %s.', later.decision_id);
  END IF;

  INSERT INTO post_audit.decisions
    (kind, step, mode, outcome, state, headline, reasons, numbers, messages, undo_messages, independent, undoes, actor, as_of)
  VALUES ('undo', decision.step, 'act', 'act', 'applying', format('%s decision %s: %s', verb, decision.id, decision.headline),
    jsonb_build_array(jsonb_build_object('code', 'undo', 'numbers', jsonb_build_object('decision', decision.id),
      'text', CASE WHEN decision.kind = 'undo' THEN format('%s asked for it; what was held is free again.', actor)
        ELSE format('%s asked for it; the same is not done again for %s unless the facts ask for something else.',
        actor, CASE coalesce(hold_days, decision.hold_days) WHEN 1 THEN 'a day' ELSE coalesce(hold_days, decision.hold_days) || ' days' END) END)),
    jsonb_build_object('undoes', decision.id),
    -- when only some subjects are taken back, only their messages are sent
    (SELECT coalesce(jsonb_agg(m.value), '[]') FROM jsonb_array_elements(decision.undo_messages) AS m (value)
      WHERE subjects IS NULL OR subjects ? (m.value ->> 'subject')),
    decision.messages, decision.independent, decision.id, actor, post_audit.clock())
  RETURNING id INTO new_id;
  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, state)
  SELECT new_id, row_number() OVER (ORDER BY c.position DESC), c.subject, c.after, c.before, 'pending'
  FROM post_audit.changes AS c
  WHERE c.decision_id = decision.id AND c.state = 'applied' AND (subjects IS NULL OR subjects ? c.subject);

  IF decision.kind = 'undo' THEN
    DELETE FROM post_audit.holds AS h USING post_audit.changes AS c
    WHERE c.decision_id = new_id AND h.subject = c.subject;
  ELSE
    INSERT INTO post_audit.holds AS h (subject, undone, held_at, until, decision_id)
    SELECT DISTINCT ON (c.subject) c.subject, c.before, post_audit.clock(), post_audit.clock() + make_interval(days => coalesce(hold_days, decision.hold_days)), new_id
    FROM post_audit.changes AS c WHERE c.decision_id = new_id ORDER BY c.subject, c.position DESC
    ON CONFLICT (subject) DO UPDATE SET undone = EXCLUDED.undone, held_at = EXCLUDED.held_at, until = EXCLUDED.until, decision_id = EXCLUDED.decision_id;
  END IF;
  remaining := post_audit.carry_out(new_id, batch);
  RETURN post_audit.answer(new_id, remaining);
END
$$;

-- Let a step act, propose or rest (`act`, `propose`, `paused`). What is decided from then on obeys it.
CREATE FUNCTION public.post_audit_apply_mode(step text, mode text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  answer jsonb;
BEGIN
  UPDATE post_audit.step_modes AS m
  SET mode = post_audit_apply_mode.mode, changed_by = actor, changed_at = clock_timestamp()
  WHERE m.step = post_audit_apply_mode.step
  RETURNING jsonb_build_object('step', m.step, 'mode', m.mode, 'changed_by', m.changed_by, 'changed_at', m.changed_at) INTO answer;
  IF answer IS NULL THEN
    RAISE EXCEPTION 'There is no step named %.', step
      USING ERRCODE = 'no_data_found', HINT = (SELECT 'The steps are ' || string_agg(m.step, ', ' ORDER BY m.position) || '.' FROM post_audit.step_modes AS m);
  END IF;
  RETURN answer;
END
$$;

-- Give every step that nobody has touched since the migration this mode.
CREATE FUNCTION public.post_audit_apply_initial_modes(mode text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  UPDATE post_audit.step_modes AS m
  SET mode = post_audit_apply_initial_modes.mode, changed_by = actor, changed_at = clock_timestamp()
  WHERE m.changed_by = 'migration';
  RETURN (SELECT jsonb_object_agg(m.step, m.mode) FROM post_audit.step_modes AS m);
END
$$;

-- One decision with its reasons, numbers, messages and first `changes_limit` changes; null where there is none.
CREATE FUNCTION public.post_audit_read_decision(decision_id bigint, changes_limit integer DEFAULT 500) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN post_audit.decision_as_json(decision_id, changes_limit);

-- Decisions, newest first, each with its first five changes. `before` is the last id of the page before; with `waiting`, only
-- those that have something to approve.
CREATE FUNCTION public.post_audit_read_decisions(
  before bigint DEFAULT NULL, "limit" integer DEFAULT 50, step text DEFAULT NULL, waiting boolean DEFAULT false
) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(post_audit.decision_as_json(page.id, 5) ORDER BY page.id DESC), '[]')
  FROM (
    SELECT d.id FROM post_audit.decisions AS d
    WHERE (post_audit_read_decisions.before IS NULL OR d.id < post_audit_read_decisions.before)
      AND (post_audit_read_decisions.step IS NULL OR d.step = post_audit_read_decisions.step)
      AND (NOT waiting OR EXISTS (
        SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = d.id AND c.state = 'proposed'))
    ORDER BY d.id DESC LIMIT post_audit_read_decisions."limit"
  ) AS page;
END;

-- ---- 21_runs.sql ----

-- Runs: owned for a while by one worker, never two at once, resumed by whoever comes when the owner is gone.

-- Workers and schedules that have told that they live; only for people who look. Who owns a run stands in the run.
CREATE TABLE IF NOT EXISTS post_audit.workers (
  name text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('worker', 'schedule')),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_tick timestamptz
);

CREATE FUNCTION post_audit.run_as_json(run_id bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'id', r.id, 'tick', r.tick, 'kind', r.kind, 'state', r.state, 'owner', r.owner, 'token', r.token, 'as_of', r.as_of,
    'lease_expires_at', r.lease_expires_at, 'started_at', r.started_at, 'finished_at', r.finished_at, 'requested_steps', r.steps,
    'steps', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'step', s.step, 'state', s.state, 'error', s.error, 'duration_ms', s.duration_ms,
        'decision', CASE WHEN s.decision_id IS NOT NULL THEN post_audit.decision_as_json(s.decision_id, 10) END
      ) ORDER BY m.position), '[]')
      FROM post_audit.step_runs AS s JOIN post_audit.step_modes AS m ON m.step = s.step WHERE s.run_id = r.id))
  FROM post_audit.runs AS r WHERE r.id = run_as_json.run_id;
END;

-- Ask for a run. The answer's state says what came of it:
--   started   this owner has a new run
--   resumed   this owner goes on with an interrupted run (perhaps of another tick), under a new token
--   busy      another owner's run is going on; ask again when its lease has expired or the run has ended
--   finished  this tick has already been run
CREATE FUNCTION public.post_audit_apply_begin_run(
  tick text, owner text, lease_seconds integer, kind text DEFAULT 'manual', steps jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  running post_audit.runs;
  run_id bigint;
  outcome text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.begin_run', 0));
  SELECT * INTO running FROM post_audit.runs AS r WHERE r.state = 'running' FOR UPDATE;
  IF running.id IS NOT NULL AND running.owner = post_audit_apply_begin_run.owner THEN
    -- the same owner asks again because it did not hear the first answer
    run_id := running.id;
    outcome := CASE WHEN running.token = 1 THEN 'started' ELSE 'resumed' END;
  ELSIF running.id IS NOT NULL AND running.lease_expires_at > clock_timestamp()
    -- no lease is longer than an hour: one that lies further ahead was given before the clock was set back
    AND running.lease_expires_at <= clock_timestamp() + interval '1 hour' THEN
    run_id := running.id;
    outcome := 'busy';
  ELSIF running.id IS NOT NULL THEN
    UPDATE post_audit.runs AS r
    SET owner = post_audit_apply_begin_run.owner, token = r.token + 1, as_of = post_audit.clock(),
      lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds)
    WHERE r.id = running.id;
    run_id := running.id;
    outcome := 'resumed';
  ELSE
    SELECT r.id INTO run_id FROM post_audit.runs AS r WHERE r.tick = post_audit_apply_begin_run.tick;
    outcome := 'finished';
    IF run_id IS NULL THEN
      INSERT INTO post_audit.runs (tick, kind, steps, owner, as_of, lease_expires_at)
      VALUES (tick, kind, steps, owner, post_audit.clock(), clock_timestamp() + make_interval(secs => lease_seconds))
      RETURNING id INTO run_id;
      outcome := 'started';
    END IF;
  END IF;
  RETURN jsonb_build_object('state', outcome, 'run', post_audit.run_as_json(run_id),
    'lease_remaining_ms', (SELECT greatest(0, ceil(extract(epoch FROM r.lease_expires_at - clock_timestamp()) * 1000))::bigint
      FROM post_audit.runs AS r WHERE r.id = run_id),
    'modes', (SELECT jsonb_object_agg(m.step, m.mode) FROM post_audit.step_modes AS m),
    -- decisions whose changes somebody began to carry out and did not finish
    'unfinished', (SELECT coalesce(jsonb_agg(d.id ORDER BY d.id), '[]') FROM post_audit.decisions AS d WHERE d.state = 'applying'));
END
$$;

-- A sign of life: the run stays its owner's for another `lease_seconds`.
CREATE FUNCTION public.post_audit_apply_extend_lease(run_id bigint, token bigint, lease_seconds integer) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_run(run_id, token);
  UPDATE post_audit.runs AS r SET lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds)
  WHERE r.id = run_id;
  RETURN jsonb_build_object('run_id', run_id, 'token', token);
END
$$;

-- Give a run back: by its owner when it stops, or by somebody on the same machine who knows that the owner is dead.
CREATE FUNCTION public.post_audit_apply_release_run(run_id bigint, token bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_run(run_id, token);
  UPDATE post_audit.runs AS r SET lease_expires_at = clock_timestamp() WHERE r.id = run_id;
  RETURN jsonb_build_object('run_id', run_id, 'token', token);
END
$$;

-- Record a step that did not decide: it failed, or it is paused.
CREATE FUNCTION public.post_audit_apply_step_outcome(
  run_id bigint, token bigint, step text, state text, error jsonb DEFAULT NULL, duration_ms integer DEFAULT 0
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  PERFORM post_audit.require_run(run_id, token);
  INSERT INTO post_audit.step_runs (run_id, step, state, error, duration_ms)
  VALUES (run_id, step, state, error, duration_ms)
  ON CONFLICT ON CONSTRAINT step_runs_pkey DO NOTHING;
  RETURN jsonb_build_object('run_id', run_id, 'step', step, 'state', state);
END
$$;

-- End a run: `failed` when one of its steps failed, else `completed`. Asked again by who ended it, it returns the run.
CREATE FUNCTION public.post_audit_apply_finish_run(run_id bigint, token bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  -- the answer got lost
  IF EXISTS (SELECT 1 FROM post_audit.runs AS r
    WHERE r.id = run_id AND r.token = post_audit_apply_finish_run.token AND r.state <> 'running')
  THEN
    RETURN post_audit.run_as_json(run_id);
  END IF;
  PERFORM post_audit.require_run(run_id, token);
  UPDATE post_audit.runs AS r
  SET finished_at = clock_timestamp(), state = CASE WHEN EXISTS (
    SELECT 1 FROM post_audit.step_runs AS s WHERE s.run_id = r.id AND s.state = 'failed') THEN 'failed' ELSE 'completed' END
  WHERE r.id = post_audit_apply_finish_run.run_id;
  RETURN post_audit.run_as_json(run_id);
END
$$;

-- One run with what came of each of its steps; the latest when none is named.
CREATE FUNCTION public.post_audit_read_run(run_id bigint DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN post_audit.run_as_json(coalesce(run_id, (SELECT max(r.id) FROM post_audit.runs AS r)));

-- Runs, newest first, with how far each has come: `before` is the last id of the page before; with a `tick`, that one alone.
CREATE FUNCTION public.post_audit_read_runs(before bigint DEFAULT NULL, "limit" integer DEFAULT 50, tick text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', r.id, 'tick', r.tick, 'kind', r.kind, 'state', r.state, 'as_of', r.as_of, 'started_at', r.started_at,
    'finished_at', r.finished_at, 'requested_steps', r.steps,
    'of', coalesce(jsonb_array_length(nullif(r.steps, 'null')), (SELECT count(*) FROM post_audit.step_modes AS m)),
    'steps', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'step', s.step, 'state', s.state, 'decision_id', s.decision_id, 'outcome', d.outcome, 'headline', d.headline,
        'error', s.error ->> 'message', 'duration_ms', s.duration_ms) ORDER BY m.position), '[]')
      FROM post_audit.step_runs AS s JOIN post_audit.step_modes AS m ON m.step = s.step
      LEFT JOIN post_audit.decisions AS d ON d.id = s.decision_id WHERE s.run_id = r.id)
  ) ORDER BY r.id DESC), '[]')
  FROM (
    SELECT * FROM post_audit.runs AS a
    WHERE (post_audit_read_runs.before IS NULL OR a.id < post_audit_read_runs.before)
      AND (post_audit_read_runs.tick IS NULL OR a.tick = post_audit_read_runs.tick)
    ORDER BY a.id DESC LIMIT post_audit_read_runs."limit"
  ) AS r;
END;

-- The moment it is, for whoever plans: the same on every machine, whatever its own clock says. A demonstration's own
-- clock stands still and plans nothing.
CREATE FUNCTION public.post_audit_read_clock() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN jsonb_build_object('now', clock_timestamp());

-- What a newcomer, a health check or a dry run wants to know first.
CREATE FUNCTION public.post_audit_read_status() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'schema_version', (SELECT v.version FROM post_audit.schema_version AS v),
    'marketplace', m.kind,
    'as_of', coalesce(m.as_of, statement_timestamp()),
    'modes', (SELECT jsonb_object_agg(s.step, s.mode) FROM post_audit.step_modes AS s),
    'bindings_needed', (SELECT coalesce(jsonb_agg(b.item ->> 'role'), '[]')
      FROM jsonb_array_elements(public.post_audit_read_bindings()) AS b (item) WHERE NOT (b.item ->> 'bound')::boolean),
    'last_run', (SELECT jsonb_build_object('id', r.id, 'tick', r.tick, 'state', r.state, 'owner', r.owner,
        'started_at', r.started_at, 'finished_at', r.finished_at, 'lease_expires_at', r.lease_expires_at)
      FROM post_audit.runs AS r ORDER BY r.id DESC LIMIT 1),
    'waiting', (SELECT count(*) FROM post_audit.decisions AS d WHERE EXISTS (
      SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = d.id AND c.state = 'proposed')),
    'outbox', (SELECT coalesce(jsonb_object_agg(g.state, g.n), '{}')
      FROM (SELECT o.state, count(*) AS n FROM post_audit.outbox AS o GROUP BY o.state) AS g)
  ) FROM post_audit.marketplace AS m;
END;

-- A sign of life of a worker, or of a schedule with its next tick. Those that gave none for a day are forgotten.
CREATE FUNCTION public.post_audit_apply_worker_seen(name text, kind text, next_tick timestamptz DEFAULT NULL) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  DELETE FROM post_audit.workers AS w
  WHERE w.seen_at < clock_timestamp() - interval '1 day' AND w.name <> post_audit_apply_worker_seen.name;
  INSERT INTO post_audit.workers AS w (name, kind, next_tick)
  VALUES (post_audit_apply_worker_seen.name, post_audit_apply_worker_seen.kind, post_audit_apply_worker_seen.next_tick)
  ON CONFLICT ON CONSTRAINT workers_pkey DO UPDATE SET seen_at = clock_timestamp(), next_tick = EXCLUDED.next_tick
  RETURNING jsonb_build_object('name', w.name, 'seen_at', w.seen_at);
END;

-- A worker or a schedule that has ended in peace.
CREATE FUNCTION public.post_audit_apply_worker_gone(name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  DELETE FROM post_audit.workers AS w WHERE w.name = post_audit_apply_worker_gone.name;
  RETURN jsonb_build_object('name', name, 'was_known', FOUND);
END
$$;

-- How the machinery stands: the run that goes on with its lease and steps, the last five runs, workers and schedules
-- (alive: seen within a minute), how much waits in the outbox and for how long (seconds), who is sending (`senders`), and the
-- next tick.
CREATE FUNCTION public.post_audit_read_operations() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'now', n.moment,
    'senders', (SELECT coalesce(jsonb_agg(DISTINCT o.claimed_by), '[]') FROM post_audit.outbox AS o
      WHERE o.state IN ('pending', 'sent') AND o.claimed_until > clock_timestamp()),
    'run', (SELECT jsonb_build_object('id', r.id, 'tick', r.tick, 'kind', r.kind, 'owner', r.owner, 'token', r.token,
        'started_at', r.started_at, 'lease_expires_at', r.lease_expires_at,
        'lease_remaining_seconds', round(extract(epoch FROM r.lease_expires_at - n.moment), 1),
        'steps', (SELECT jsonb_agg(jsonb_build_object('step', m.step, 'state', coalesce(s.state, 'waiting')) ORDER BY m.position)
          FROM post_audit.step_modes AS m LEFT JOIN post_audit.step_runs AS s ON s.run_id = r.id AND s.step = m.step
          WHERE r.steps IS NULL OR r.steps ? m.step))
      FROM post_audit.runs AS r WHERE r.state = 'running'),
    'runs', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'tick', l.tick, 'kind', l.kind, 'state', l.state,
        'started_at', l.started_at, 'finished_at', l.finished_at, 'owners', l.token) ORDER BY l.id DESC), '[]')
      FROM (SELECT * FROM post_audit.runs AS r ORDER BY r.id DESC LIMIT 5) AS l),
    'workers', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', w.name, 'kind', w.kind, 'started_at', w.started_at,
        'seen_at', w.seen_at, 'alive', w.seen_at > n.moment - interval '1 minute', 'next_tick', w.next_tick)
        ORDER BY w.started_at), '[]') FROM post_audit.workers AS w),
    'messages', (SELECT jsonb_build_object('waiting', count(*), 'due', count(*) FILTER (WHERE o.next_attempt_at <= n.moment),
        'claimed', count(*) FILTER (WHERE o.claimed_until > n.moment),
        'oldest_seconds', round(coalesce(extract(epoch FROM n.moment - min(o.created_at)), 0), 1))
      FROM post_audit.outbox AS o WHERE o.state IN ('pending', 'sent')),
    'next_tick', (SELECT min(w.next_tick) FROM post_audit.workers AS w
      WHERE w.kind = 'schedule' AND w.seen_at > n.moment - interval '1 minute')
  ) FROM (SELECT clock_timestamp() AS moment) AS n;
END;

-- ---- 22_outbox.sql ----

-- The outbox: a message is claimed for a while, tried, and settled with what came of it. It waits while it is `pending`, or
-- `sent` and not acknowledged; every other state is an end.

-- The table as an earlier application of this file made it learns what it lacks.
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM pg_constraint AS c WHERE c.conrelid = 'post_audit.outbox'::regclass AND c.conname = 'outbox_state_check'
      AND pg_get_constraintdef(c.oid) LIKE '%applied%'
  ) THEN
    ALTER TABLE post_audit.outbox DROP CONSTRAINT IF EXISTS outbox_state_check, ADD CONSTRAINT outbox_state_check CHECK (
      state IN ('pending', 'sent', 'applied', 'delivered', 'refused', 'shown', 'superseded', 'dead', 'dropped', 'demonstration'));
    DROP INDEX IF EXISTS post_audit.outbox_due, post_audit.outbox_subject;
  END IF;
END
$$;
ALTER TABLE post_audit.outbox
  -- a digest of the words, without the number of the decision
  ADD COLUMN IF NOT EXISTS says text,
  -- whose turn it was sent in: a channel and a digest of the address
  ADD COLUMN IF NOT EXISTS receiver text,
  -- what the receiver calls it
  ADD COLUMN IF NOT EXISTS reference jsonb,
  -- the message that said the same and was sent for this one too
  ADD COLUMN IF NOT EXISTS carried_by uuid,
  -- when somebody asked for it again
  ADD COLUMN IF NOT EXISTS retried_at timestamptz;
CREATE INDEX IF NOT EXISTS outbox_waiting ON post_audit.outbox (sequence) WHERE state IN ('pending', 'sent');
CREATE INDEX IF NOT EXISTS outbox_versions ON post_audit.outbox (channel, subject, version);
CREATE INDEX IF NOT EXISTS outbox_carried ON post_audit.outbox (carried_by) WHERE carried_by IS NOT NULL;

-- A receiver takes one message at a time, whoever sends it, and not more often than it allows. What counts is when a try
-- ended: it has arrived by then, so that no delay on the way can bring two closer together than they were let go.
CREATE TABLE IF NOT EXISTS post_audit.receivers (
  -- a channel and a digest of the address, which may be a secret
  receiver text PRIMARY KEY,
  busy_by text,
  -- the next try begins no earlier
  free_at timestamptz NOT NULL DEFAULT '-infinity',
  -- when the last tries ended, as many as its limit looks back on
  ended timestamptz[] NOT NULL DEFAULT '{}'
);

-- From when on a receiver may be tried again, for the tries that have ended.
CREATE FUNCTION post_audit.receiver_free_at(ended timestamptz[], spacing_seconds double precision, per_minute integer) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN greatest(
  '-infinity'::timestamptz,
  ended[cardinality(ended)] + make_interval(secs => spacing_seconds),
  ended[cardinality(ended) - per_minute + 1] + interval '1 minute');

-- Claim up to `batch` messages that are due, for `lease_seconds`: nobody else gets them meanwhile, and those that were not
-- settled are due again afterwards. With a `receiver`, one message at most, and none before the receiver may be
-- tried again; those that say the same as it go with it (`others`), unless their subject said something else in
-- between. `former` is what the receiver was last told of the subject within a day, where that was the same.
-- A setting for n8n that is older than another one of its subject is superseded here, whatever brought it back.
CREATE FUNCTION public.post_audit_apply_claim_messages(
  owner text, batch integer DEFAULT 20, lease_seconds integer DEFAULT 60, channel text DEFAULT NULL,
  receiver text DEFAULT NULL, spacing_seconds double precision DEFAULT 0, per_minute integer DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  turn post_audit.receivers;
  present timestamptz;
  claimed uuid[];
BEGIN
  -- What may be sent depends on what others hold: claims are made one after the other, each in a millisecond.
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.claim_messages', 0));
  present := clock_timestamp();
  IF receiver IS NOT NULL THEN
    INSERT INTO post_audit.receivers AS r (receiver) VALUES (post_audit_apply_claim_messages.receiver) ON CONFLICT DO NOTHING;
    SELECT * INTO turn FROM post_audit.receivers AS r WHERE r.receiver = post_audit_apply_claim_messages.receiver FOR UPDATE;
    IF turn.busy_by IS NOT NULL AND turn.free_at <= present THEN
      -- Whoever had the turn is gone. It may have sent until its lease ended.
      turn.ended := turn.ended || turn.free_at;
      turn.free_at := post_audit.receiver_free_at(turn.ended, spacing_seconds, per_minute);
      UPDATE post_audit.receivers AS r SET ended = turn.ended, free_at = turn.free_at, busy_by = NULL WHERE r.receiver = turn.receiver;
    END IF;
    IF turn.free_at > present THEN
      RETURN '[]'::jsonb;
    END IF;
  END IF;

  UPDATE post_audit.outbox AS o
  SET state = 'superseded', settled_at = present, detail = 'A newer version of it has entered the outbox.'
  WHERE o.id IN (
    SELECT s.id FROM post_audit.outbox AS s
    WHERE s.state IN ('pending', 'sent') AND s.channel LIKE 'n8n\_%' AND EXISTS (
      SELECT 1 FROM post_audit.outbox AS n WHERE n.channel = s.channel AND n.subject = s.subject AND n.version > s.version)
    -- here as below: nothing waits for a row while it holds another, so that nobody waits in a circle
    FOR UPDATE SKIP LOCKED);

  WITH due AS (
    SELECT o.id FROM post_audit.outbox AS o
    WHERE o.state IN ('pending', 'sent') AND o.next_attempt_at <= present
      AND (post_audit_apply_claim_messages.channel IS NULL OR o.channel = post_audit_apply_claim_messages.channel)
      AND (o.claimed_until IS NULL OR o.claimed_until <= present)
      -- not while another version of it is on its way, be it superseded by now
      AND NOT (o.channel LIKE 'n8n\_%' AND EXISTS (
        SELECT 1 FROM post_audit.outbox AS h WHERE h.channel = o.channel AND h.subject = o.subject AND h.claimed_until > present))
    ORDER BY o.sequence
    LIMIT CASE WHEN post_audit_apply_claim_messages.receiver IS NULL THEN batch ELSE least(batch, 1) END
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    UPDATE post_audit.outbox AS o
    SET claimed_by = owner, claimed_until = present + make_interval(secs => lease_seconds), attempts = o.attempts + 1,
      receiver = post_audit_apply_claim_messages.receiver, carried_by = NULL
    FROM due WHERE o.id = due.id
    RETURNING o.id
  )
  SELECT coalesce(array_agg(t.id), '{}') INTO claimed FROM taken AS t;

  IF receiver IS NOT NULL AND cardinality(claimed) > 0 THEN
    UPDATE post_audit.receivers AS r
    SET busy_by = owner, free_at = present + make_interval(secs => lease_seconds) WHERE r.receiver = turn.receiver;
    UPDATE post_audit.outbox AS o
    SET claimed_by = owner, claimed_until = present + make_interval(secs => lease_seconds),
      receiver = post_audit_apply_claim_messages.receiver, carried_by = lead.id
    FROM post_audit.outbox AS lead
    WHERE lead.id = claimed[1] AND lead.channel = 'telegram' AND o.id IN (
      SELECT s.id FROM post_audit.outbox AS s
      WHERE s.channel = lead.channel AND s.says = lead.says AND s.id <> lead.id AND s.state = 'pending'
        AND (s.claimed_until IS NULL OR s.claimed_until <= present)
        AND NOT EXISTS (
          SELECT 1 FROM post_audit.outbox AS b
          WHERE b.channel = s.channel AND b.subject = s.subject AND b.state = 'pending' AND b.says IS DISTINCT FROM s.says
            AND b.sequence BETWEEN least(s.sequence, lead.sequence) AND greatest(s.sequence, lead.sequence))
      FOR UPDATE SKIP LOCKED);
  END IF;

  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'message_id', 'msg_' || replace(c.id::text, '-', ''), 'decision_id', c.decision_id, 'channel', c.channel,
      'subject', c.subject, 'version', c.version, 'payload', c.payload, 'attempt', c.attempts, 'created_at', c.created_at,
      'tried_at', present, 'waited_seconds', extract(epoch FROM present - coalesce(c.retried_at, c.created_at)),
      'others', (SELECT coalesce(jsonb_agg(o.decision_id ORDER BY o.sequence), '[]')
        FROM post_audit.outbox AS o WHERE o.carried_by = c.id AND o.state = 'pending' AND o.claimed_by = owner),
      'can_undo', d.final_because = '' AND EXISTS (
        SELECT 1 FROM post_audit.changes AS g WHERE g.decision_id = d.id AND g.state = 'applied'),
      'can_approve', EXISTS (SELECT 1 FROM post_audit.changes AS g WHERE g.decision_id = d.id AND g.state = 'proposed'),
      'former', CASE WHEN c.reference ? 'anew' THEN NULL ELSE (
        SELECT f.reference FROM post_audit.outbox AS f
        WHERE f.channel = c.channel AND f.receiver = c.receiver AND f.subject = c.subject AND f.state = 'delivered'
          AND f.settled_at > present - interval '1 day' AND f.says = c.says AND f.carried_by IS NULL AND f.reference IS NOT NULL
          AND NOT EXISTS (
            SELECT 1 FROM post_audit.outbox AS b
            WHERE b.channel = f.channel AND b.subject = f.subject AND b.state = 'delivered' AND b.sequence > f.sequence
              AND b.says IS DISTINCT FROM c.says)
        ORDER BY f.sequence DESC LIMIT 1) END
    ) ORDER BY c.sequence), '[]')
    FROM post_audit.outbox AS c JOIN post_audit.decisions AS d ON d.id = c.decision_id WHERE c.id = ANY (claimed));
END
$$;

-- Let go of what a sender that is known to be dead had in its hands: its messages are due and its receiver may be tried as if its
-- try had ended now. How many messages that was.
CREATE FUNCTION public.post_audit_apply_release_messages(owner text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  released integer;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.claim_messages', 0));
  -- who claims next takes the end of the turn for the end of the try, and keeps the receiver's distance from it
  UPDATE post_audit.receivers AS r SET free_at = clock_timestamp()
  WHERE r.busy_by = post_audit_apply_release_messages.owner AND r.free_at > clock_timestamp();
  UPDATE post_audit.outbox AS o SET claimed_until = clock_timestamp()
  WHERE o.claimed_by = post_audit_apply_release_messages.owner AND o.claimed_until > clock_timestamp();
  GET DIAGNOSTICS released = ROW_COUNT;
  RETURN jsonb_build_object('owner', owner, 'released', released);
END
$$;

-- What came of a try. A message whose `state` is pending or sent is tried again after `retry_seconds`; its receiver is tried
-- again after `hold_seconds`, where it asked for that or did not answer. `reference` is what the receiver calls the message,
-- or says (`anew`) that it no longer has the one that said the same.
-- What was superseded or dropped while it was on its way stays so. Settling again as it was settled changes nothing.
CREATE FUNCTION public.post_audit_apply_settle_message(
  message_id text, owner text, state text, detail text, retry_seconds double precision DEFAULT 0,
  hold_seconds double precision DEFAULT 0, reference jsonb DEFAULT NULL,
  spacing_seconds double precision DEFAULT 0, per_minute integer DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox;
  turn post_audit.receivers;
  present timestamptz := clock_timestamp();
  waits boolean := post_audit_apply_settle_message.state IN ('pending', 'sent');
BEGIN
  -- the receiver before the message, as whoever claims takes them
  SELECT r.* INTO turn FROM post_audit.receivers AS r JOIN post_audit.outbox AS o ON o.receiver = r.receiver
  WHERE o.id = replace(message_id, 'msg_', '')::uuid AND r.busy_by = owner FOR UPDATE OF r;
  SELECT * INTO message FROM post_audit.outbox AS o
  WHERE o.id = replace(message_id, 'msg_', '')::uuid AND o.claimed_by = owner FOR UPDATE;
  IF message.id IS NULL THEN
    -- settled just so already: the answer got lost
    IF EXISTS (
      SELECT 1 FROM post_audit.outbox AS o
      WHERE o.id = replace(message_id, 'msg_', '')::uuid AND o.claimed_by IS NULL
        AND o.state = post_audit_apply_settle_message.state AND o.detail IS NOT DISTINCT FROM post_audit_apply_settle_message.detail
    ) THEN
      RETURN jsonb_build_object('message_id', message_id, 'state', state);
    END IF;
    RAISE EXCEPTION 'Message % is no longer claimed by this worker.', message_id USING ERRCODE = 'PT409';
  END IF;
  UPDATE post_audit.outbox AS o
  SET claimed_by = NULL, claimed_until = NULL,
    state = CASE WHEN o.state IN ('pending', 'sent') THEN post_audit_apply_settle_message.state ELSE o.state END,
    detail = CASE WHEN o.state IN ('pending', 'sent') THEN post_audit_apply_settle_message.detail
      ELSE concat_ws(' ', o.detail, 'It was on its way:', post_audit_apply_settle_message.detail) END,
    reference = coalesce(post_audit_apply_settle_message.reference, o.reference),
    next_attempt_at = CASE WHEN waits THEN present + make_interval(secs => retry_seconds) ELSE o.next_attempt_at END,
    settled_at = CASE WHEN o.state NOT IN ('pending', 'sent') THEN o.settled_at WHEN NOT waits THEN present END,
    carried_by = CASE WHEN waits THEN NULL ELSE o.carried_by END
  WHERE (o.id = message.id OR o.carried_by = message.id) AND o.claimed_by = owner;
  IF turn.receiver IS NOT NULL THEN
    turn.ended := (turn.ended || present)[greatest(1, cardinality(turn.ended) + 2 - greatest(1, coalesce(per_minute, 1))):];
    UPDATE post_audit.receivers AS r
    SET busy_by = NULL, ended = turn.ended,
      free_at = greatest(present + make_interval(secs => hold_seconds),
        post_audit.receiver_free_at(turn.ended, spacing_seconds, per_minute))
    WHERE r.receiver = turn.receiver;
  END IF;
  RETURN (SELECT jsonb_build_object('message_id', message_id, 'state', o.state) FROM post_audit.outbox AS o WHERE o.id = message.id);
END
$$;

-- In how many seconds the next message can be tried, where `receivers` names the receiver of each channel that has one;
-- null when none waits. Seconds, so that nobody compares two clocks.
CREATE FUNCTION public.post_audit_read_outbox_due(receivers jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    -- greatest() leaves nulls out, and no message is not a message that is due
    'due_in_seconds', CASE WHEN count(*) > 0 THEN greatest(0, extract(epoch FROM min(w.at) - clock_timestamp())) END,
    'waiting', coalesce(sum(w.messages), 0))
  FROM (
    SELECT greatest(min(greatest(o.next_attempt_at, o.claimed_until)), (
        SELECT r.free_at FROM post_audit.receivers AS r WHERE r.receiver = receivers ->> o.channel)) AS at,
      count(*) AS messages
    FROM post_audit.outbox AS o WHERE o.state IN ('pending', 'sent') GROUP BY o.channel
  ) AS w;
END;

CREATE FUNCTION post_audit.message_as_json(message post_audit.outbox) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN jsonb_build_object('number', message.sequence, 'message_id', 'msg_' || replace(message.id::text, '-', ''),
  'decision_id', message.decision_id, 'channel', message.channel, 'subject', message.subject, 'version', message.version,
  'state', message.state, 'attempts', message.attempts, 'detail', message.detail, 'payload', message.payload,
  'created_at', message.created_at, 'settled_at', message.settled_at,
  'next_attempt_at', CASE WHEN message.state IN ('pending', 'sent') THEN message.next_attempt_at END);

-- Messages, newest first, at most `limit`: those below number `before`, in one state or of one channel where they are named.
CREATE FUNCTION public.post_audit_read_messages(
  before bigint DEFAULT NULL, "limit" integer DEFAULT 50, state text DEFAULT NULL, channel text DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(post_audit.message_as_json(m) ORDER BY m.sequence DESC), '[]')
  FROM (
    SELECT * FROM post_audit.outbox AS o
    WHERE (post_audit_read_messages.before IS NULL OR o.sequence < post_audit_read_messages.before)
      AND (post_audit_read_messages.state IS NULL OR o.state = post_audit_read_messages.state)
      AND (post_audit_read_messages.channel IS NULL OR o.channel = post_audit_read_messages.channel)
    ORDER BY o.sequence DESC LIMIT post_audit_read_messages."limit"
  ) AS m;
END;

-- One message by its number; null when there is none.
CREATE FUNCTION public.post_audit_read_message(number bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (SELECT post_audit.message_as_json(o) FROM post_audit.outbox AS o WHERE o.sequence = number);

CREATE FUNCTION post_audit.require_message(number bigint) RETURNS post_audit.outbox
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox;
BEGIN
  SELECT * INTO message FROM post_audit.outbox AS o WHERE o.sequence = number FOR UPDATE;
  IF message.id IS NULL THEN
    RAISE EXCEPTION 'There is no message %.', number USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit outbox list.';
  END IF;
  RETURN message;
END
$$;

-- Try a message again that was given up, refused or dropped, or that waits for its next try; refused where a newer version
-- of an n8n setting has entered the outbox since, because that one would be undone by it.
CREATE FUNCTION public.post_audit_apply_message_retry(number bigint, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox := post_audit.require_message(number);
  newer bigint := (SELECT max(n.version) FROM post_audit.outbox AS n
    WHERE message.channel LIKE 'n8n\_%' AND n.channel = message.channel AND n.subject = message.subject AND n.version > message.version);
BEGIN
  IF message.state NOT IN ('pending', 'sent', 'dead', 'refused', 'dropped') THEN
    RAISE EXCEPTION 'Message % is %, so there is nothing to try again.', number, message.state USING ERRCODE = 'PT409';
  END IF;
  IF newer IS NOT NULL THEN
    RAISE EXCEPTION 'Message % is version % of %, and version % has followed.', number, message.version, message.subject, newer
      USING ERRCODE = 'PT409', HINT = 'The newest one is the one to try: post-audit outbox list.';
  END IF;
  UPDATE post_audit.outbox AS o
  SET state = 'pending', attempts = 0, retried_at = clock_timestamp(), next_attempt_at = clock_timestamp(), settled_at = NULL,
    detail = format('asked for again by %s', actor)
  WHERE o.id = message.id RETURNING * INTO message;
  -- whoever asks by hand has looked at the receiver
  UPDATE post_audit.receivers AS r SET free_at = '-infinity'
  WHERE message.channel LIKE 'n8n\_%' AND r.receiver IN (
    SELECT s.receiver FROM post_audit.receivers AS s
    WHERE s.receiver = message.receiver AND s.busy_by IS NULL FOR UPDATE SKIP LOCKED);
  RETURN post_audit.message_as_json(message);
END
$$;

-- Never send a message that waits or was given up.
CREATE FUNCTION public.post_audit_apply_message_drop(number bigint, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox := post_audit.require_message(number);
BEGIN
  IF message.state NOT IN ('pending', 'sent', 'dead', 'refused') THEN
    RAISE EXCEPTION 'Message % is %, so there is nothing to drop.', number, message.state USING ERRCODE = 'PT409';
  END IF;
  UPDATE post_audit.outbox AS o
  SET state = 'dropped', settled_at = clock_timestamp(), detail = concat_ws(' ', o.detail, format('Dropped by %s.', actor))
  WHERE o.id = message.id RETURNING * INTO message;
  RETURN post_audit.message_as_json(message);
END
$$;

-- Delete messages that ended longer ago than `older_than_days`, at most `limit` a call. The newest of each subject stays, since
-- versions are compared with it; and whatever told people of a bug stays, since step bugs looks there for what was told. Its
-- decision keeps to whom it went and how it ended.
CREATE FUNCTION public.post_audit_apply_prune_messages(older_than_days integer DEFAULT 90, "limit" integer DEFAULT 5000) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  pruned integer;
BEGIN
  -- steps look back on what they told: seven days at most
  IF older_than_days < 8 THEN
    RAISE EXCEPTION 'Messages are kept for at least 8 days, and % were asked for.', older_than_days
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Steps look back on what people were told within a week.';
  END IF;
  WITH gone AS (
    DELETE FROM post_audit.outbox AS o WHERE o.id IN (
      SELECT p.id FROM post_audit.outbox AS p
      WHERE p.state NOT IN ('pending', 'sent') AND p.settled_at < clock_timestamp() - make_interval(days => older_than_days)
        AND p.subject NOT LIKE 'bug\_alert:%'
        AND EXISTS (SELECT 1 FROM post_audit.outbox AS n
          WHERE n.channel = p.channel AND n.subject = p.subject AND n.sequence > p.sequence)
      ORDER BY p.sequence LIMIT post_audit_apply_prune_messages."limit")
    RETURNING o.decision_id, o.channel || ':' || o.state AS ended
  ),
  remembered AS (
    UPDATE post_audit.decisions AS d SET messages_removed = d.messages_removed || k.ended
    FROM (
      SELECT y.decision_id, jsonb_object_agg(y.ended, y.number + coalesce((e.messages_removed ->> y.ended)::bigint, 0)) AS ended
      FROM (SELECT g.decision_id, g.ended, count(*) AS number FROM gone AS g GROUP BY g.decision_id, g.ended) AS y
      JOIN post_audit.decisions AS e ON e.id = y.decision_id GROUP BY y.decision_id
    ) AS k WHERE d.id = k.decision_id
  )
  SELECT count(*) INTO pruned FROM gone;
  RETURN jsonb_build_object('pruned', pruned);
END
$$;

-- What is done once a day, over all workers.
CREATE TABLE IF NOT EXISTS post_audit.upkeep (
  what text PRIMARY KEY,
  done_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO post_audit.upkeep (what) VALUES ('old messages') ON CONFLICT DO NOTHING;

-- Delete what post_audit_apply_prune_messages deletes, once a day, whoever asks and however often: `is_due` is false when it was
-- done within the day, or is being done by somebody else. One call deletes `limit` messages at most; the next ones go on until
-- nothing is left, and then the day begins.
CREATE FUNCTION public.post_audit_maintain_old_messages(keep_days integer DEFAULT 90, "limit" integer DEFAULT 5000) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  pruned integer;
BEGIN
  PERFORM 1 FROM post_audit.upkeep AS u
  WHERE u.what = 'old messages' AND u.done_at <= clock_timestamp() - interval '1 day' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('is_due', false, 'pruned', 0);
  END IF;
  pruned := public.post_audit_apply_prune_messages(keep_days, "limit") -> 'pruned';
  IF pruned < "limit" THEN
    UPDATE post_audit.upkeep AS u SET done_at = clock_timestamp() WHERE u.what = 'old messages';
  END IF;
  RETURN jsonb_build_object('is_due', true, 'pruned', pruned);
END
$$;

-- ---- 23_users.sql ----

-- Who may sign in, what with, and who did what. Passwords are kept as argon2 hashes, tokens as SHA-256 of 256 random bits.

CREATE TABLE IF NOT EXISTS post_audit.users (
  name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,63}$'),
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver')),
  password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  password_changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS post_audit.sessions (
  token_hash text PRIMARY KEY,
  user_name text NOT NULL REFERENCES post_audit.users (name) ON DELETE CASCADE,
  peer text NOT NULL,
  began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_user ON post_audit.sessions (user_name);
CREATE INDEX IF NOT EXISTS sessions_expiry ON post_audit.sessions (expires_at);

CREATE TABLE IF NOT EXISTS post_audit.api_tokens (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token_hash text NOT NULL UNIQUE,
  user_name text NOT NULL REFERENCES post_audit.users (name) ON DELETE CASCADE,
  label text NOT NULL,
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver')),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX IF NOT EXISTS api_tokens_user ON post_audit.api_tokens (user_name);

CREATE TABLE IF NOT EXISTS post_audit.login_attempts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  peer text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  succeeded boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS login_attempts_name ON post_audit.login_attempts (name, at) WHERE NOT succeeded;
CREATE INDEX IF NOT EXISTS login_attempts_peer ON post_audit.login_attempts (peer, at) WHERE NOT succeeded;
CREATE INDEX IF NOT EXISTS login_attempts_at ON post_audit.login_attempts (at);

CREATE TABLE IF NOT EXISTS post_audit.audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  -- session, link, token, loopback, or command
  way text NOT NULL,
  peer text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL
);

-- Roles in the order in which each may do what the one before it may.
CREATE FUNCTION post_audit.role_rank(role text) RETURNS integer
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN array_position(ARRAY['viewer', 'operator', 'approver'], role);

CREATE FUNCTION post_audit.require_user(name text) RETURNS post_audit.users
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  found_user post_audit.users;
BEGIN
  SELECT * INTO found_user FROM post_audit.users AS u WHERE u.name = require_user.name FOR UPDATE;
  IF found_user.name IS NULL THEN
    RAISE EXCEPTION 'There is no user %.', name USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit users list.';
  END IF;
  RETURN found_user;
END
$$;

-- Write down who did what, from where and how they showed who they are. Texts that are too long are cut.
CREATE FUNCTION public.post_audit_apply_audit_entry(
  actor text, way text, peer text, action text, subject text DEFAULT ''
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  entry bigint;
BEGIN
  INSERT INTO post_audit.audit_log (actor, way, peer, action, subject)
  VALUES (left(actor, 100), way, left(peer, 100), left(action, 200), left(subject, 500))
  RETURNING id INTO entry;
  RETURN jsonb_build_object('id', entry);
END
$$;

-- Who did what, newest first. `before` is the last id of the page before.
CREATE FUNCTION public.post_audit_read_audit_log(before bigint DEFAULT NULL, "limit" integer DEFAULT 100) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(to_jsonb(page) ORDER BY page.id DESC), '[]')
  FROM (
    SELECT a.* FROM post_audit.audit_log AS a
    WHERE post_audit_read_audit_log.before IS NULL OR a.id < post_audit_read_audit_log.before
    ORDER BY a.id DESC LIMIT post_audit_read_audit_log."limit"
  ) AS page;
END;

-- Add a user. Refused when there is one of that name: a password or a role is changed by its own function.
CREATE FUNCTION public.post_audit_apply_user(name text, role text, password_hash text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF name !~ '^[a-z0-9][a-z0-9._@+-]{0,63}$' THEN
    RAISE EXCEPTION '% cannot be a user''s name.', name USING ERRCODE = 'invalid_parameter_value',
      HINT = 'At most 64 small letters, digits and the signs . _ @ + -, beginning with a letter or a digit.';
  END IF;
  INSERT INTO post_audit.users (name, role, password_hash, created_by) VALUES (name, role, password_hash, actor)
  ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'There is a user % already.', name
      USING ERRCODE = 'invalid_parameter_value', HINT = format('To set another password call post-audit users password %s.', name);
  END IF;
  PERFORM public.post_audit_apply_audit_entry(actor, 'command', '', 'user.added', format('%s as %s', name, role));
  RETURN jsonb_build_object('name', name, 'role', role);
END
$$;

-- Set a user's password, and end the sessions that the old one opened. With `rehash` it is the same password, hashed
-- anew: sessions stay, and nothing is done when the hash has changed meanwhile.
CREATE FUNCTION public.post_audit_apply_user_password(
  name text, password_hash text, actor text, rehash text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
  ended integer := 0;
BEGIN
  IF rehash IS NOT NULL AND known.password_hash <> rehash THEN
    RETURN jsonb_build_object('name', name, 'ended_sessions', 0);
  END IF;
  UPDATE post_audit.users AS u
  SET password_hash = post_audit_apply_user_password.password_hash,
    password_changed_at = CASE WHEN rehash IS NULL THEN clock_timestamp() ELSE u.password_changed_at END
  WHERE u.name = known.name;
  IF rehash IS NULL THEN
    DELETE FROM post_audit.sessions AS s WHERE s.user_name = known.name;
    GET DIAGNOSTICS ended = ROW_COUNT;
    DELETE FROM post_audit.login_attempts AS l WHERE l.name = known.name AND NOT l.succeeded;
    PERFORM public.post_audit_apply_audit_entry(actor, 'command', '', 'user.password_changed', name);
  END IF;
  RETURN jsonb_build_object('name', name, 'ended_sessions', ended);
END
$$;

-- Give a user another role; it holds at once, also in open sessions.
CREATE FUNCTION public.post_audit_apply_user_role(name text, role text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
BEGIN
  UPDATE post_audit.users AS u SET role = post_audit_apply_user_role.role WHERE u.name = known.name;
  PERFORM public.post_audit_apply_audit_entry(
    actor, 'command', '', 'user.role_changed', format('%s from %s to %s', name, known.role, role));
  RETURN jsonb_build_object('name', name, 'role', role);
END
$$;

-- Remove a user with sessions and tokens. What they did stays in the audit log and in decisions.
CREATE FUNCTION public.post_audit_apply_user_removal(name text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
BEGIN
  DELETE FROM post_audit.users AS u WHERE u.name = known.name;
  PERFORM public.post_audit_apply_audit_entry(actor, 'command', '', 'user.removed', name);
  RETURN jsonb_build_object('name', name, 'removed', true);
END
$$;

-- All users, with how many sessions and tokens of theirs hold now; never a hash.
CREATE FUNCTION public.post_audit_read_users() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'name', u.name, 'role', u.role, 'created_by', u.created_by, 'created_at', u.created_at,
    'password_changed_at', u.password_changed_at,
    'sessions', (SELECT count(*) FROM post_audit.sessions AS s
      WHERE s.user_name = u.name AND s.expires_at > statement_timestamp()),
    'tokens', (SELECT count(*) FROM post_audit.api_tokens AS t
      WHERE t.user_name = u.name AND t.revoked_at IS NULL AND t.expires_at > statement_timestamp())
  ) ORDER BY u.name), '[]') FROM post_audit.users AS u;
END;

-- Ask to try a password. The try is counted before the password is looked at, so that many at once cannot slip through;
-- a login that succeeds takes its own try out again. `allowed` is false when `per_name` tries for this name or `per_peer` from
-- this peer have failed within the window; then `retry_after_seconds` says how long to wait. `password_hash` is null for a name
-- that nobody has.
CREATE FUNCTION public.post_audit_apply_login_attempt(
  name text, peer text, per_name integer, per_peer integer, window_seconds integer
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  tried text := left(name, 100);
  since timestamptz;
  of_name timestamptz;
  of_peer timestamptz;
  attempt bigint;
BEGIN
  -- one at a time, else two would count each other out; it takes a millisecond, and nobody signs in often
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.login', 0));
  since := clock_timestamp() - make_interval(secs => window_seconds);
  DELETE FROM post_audit.login_attempts AS l WHERE l.id IN (
    SELECT o.id FROM post_audit.login_attempts AS o WHERE o.at < since - interval '1 day' LIMIT 1000);
  DELETE FROM post_audit.sessions AS s WHERE s.token_hash IN (
    SELECT o.token_hash FROM post_audit.sessions AS o WHERE o.expires_at < clock_timestamp() LIMIT 1000);
  -- the try that has to fall out of the window before the next one is allowed
  SELECT l.at INTO of_name FROM post_audit.login_attempts AS l
  WHERE l.name = tried AND NOT l.succeeded AND l.at > since ORDER BY l.at DESC OFFSET per_name - 1 LIMIT 1;
  SELECT l.at INTO of_peer FROM post_audit.login_attempts AS l
  WHERE l.peer = post_audit_apply_login_attempt.peer AND NOT l.succeeded AND l.at > since
  ORDER BY l.at DESC OFFSET per_peer - 1 LIMIT 1;
  IF of_name IS NOT NULL OR of_peer IS NOT NULL THEN
    RETURN jsonb_build_object('allowed', false, 'retry_after_seconds',
      ceil(extract(epoch FROM greatest(of_name, of_peer) - since))::integer);
  END IF;
  INSERT INTO post_audit.login_attempts (name, peer) VALUES (tried, left(peer, 100)) RETURNING id INTO attempt;
  RETURN jsonb_build_object('allowed', true, 'attempt', attempt,
    'password_hash', (SELECT u.password_hash FROM post_audit.users AS u WHERE u.name = post_audit_apply_login_attempt.name));
END
$$;

-- Begin a session of a user who has shown the password in this attempt.
CREATE FUNCTION public.post_audit_apply_session(
  name text, token_hash text, peer text, seconds integer, attempt bigint
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
BEGIN
  UPDATE post_audit.login_attempts AS l SET succeeded = true
  WHERE l.id = attempt AND l.name = known.name AND NOT l.succeeded;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'This attempt to sign in has been used.' USING ERRCODE = 'PT409', HINT = 'Sign in again.';
  END IF;
  INSERT INTO post_audit.sessions (token_hash, user_name, peer, expires_at)
  VALUES (token_hash, known.name, left(peer, 100), clock_timestamp() + make_interval(secs => seconds));
  PERFORM public.post_audit_apply_audit_entry(known.name, 'session', peer, 'login', '');
  RETURN jsonb_build_object('name', known.name, 'role', known.role);
END
$$;

-- End a session; ending one that is not there is no error.
CREATE FUNCTION public.post_audit_apply_session_end(token_hash text, peer text DEFAULT '') RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  whose text;
BEGIN
  DELETE FROM post_audit.sessions AS s WHERE s.token_hash = post_audit_apply_session_end.token_hash
  RETURNING s.user_name INTO whose;
  IF whose IS NOT NULL THEN
    PERFORM public.post_audit_apply_audit_entry(whose, 'session', peer, 'logout', '');
  END IF;
  RETURN jsonb_build_object('ended', whose IS NOT NULL);
END
$$;

-- Who is behind a session (`way` session) or an API token (`token`) now; null when it is unknown, has expired or was ended.
-- A token acts with the smaller of its own role and its user's.
CREATE FUNCTION public.post_audit_read_visitor(way text, token_hash text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN CASE way
  WHEN 'session' THEN (
    SELECT jsonb_build_object('name', u.name, 'role', u.role)
    FROM post_audit.sessions AS s JOIN post_audit.users AS u ON u.name = s.user_name
    WHERE s.token_hash = post_audit_read_visitor.token_hash AND s.expires_at > statement_timestamp())
  WHEN 'token' THEN (
    SELECT jsonb_build_object('name', u.name, 'role',
      CASE WHEN post_audit.role_rank(t.role) < post_audit.role_rank(u.role) THEN t.role ELSE u.role END)
    FROM post_audit.api_tokens AS t JOIN post_audit.users AS u ON u.name = t.user_name
    WHERE t.token_hash = post_audit_read_visitor.token_hash AND t.revoked_at IS NULL AND t.expires_at > statement_timestamp())
  END;

-- Make an API token of a user, for a program; it holds for `days`.
CREATE FUNCTION public.post_audit_apply_token(
  name text, label text, role text, token_hash text, days integer, actor text
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
  made post_audit.api_tokens;
BEGIN
  IF post_audit.role_rank(role) > post_audit.role_rank(known.role) THEN
    RAISE EXCEPTION '% is a %, so a token of theirs cannot be %.', name, known.role, role
      USING ERRCODE = 'invalid_parameter_value', HINT = 'A token has at most the role of its user.';
  END IF;
  INSERT INTO post_audit.api_tokens (token_hash, user_name, label, role, created_by, expires_at)
  VALUES (token_hash, known.name, left(label, 100), role, actor, clock_timestamp() + make_interval(days => days))
  RETURNING * INTO made;
  PERFORM public.post_audit_apply_audit_entry(
    actor, 'command', '', 'token.made', format('%s of %s as %s: %s', made.id, name, role, made.label));
  RETURN jsonb_build_object('id', made.id, 'name', made.user_name, 'label', made.label, 'role', made.role,
    'expires_at', made.expires_at);
END
$$;

-- Revoke an API token; its program is refused from then on.
CREATE FUNCTION public.post_audit_apply_token_revocation(token_id bigint, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  made post_audit.api_tokens;
BEGIN
  UPDATE post_audit.api_tokens AS t SET revoked_at = coalesce(t.revoked_at, clock_timestamp())
  WHERE t.id = token_id RETURNING * INTO made;
  IF made.id IS NULL THEN
    RAISE EXCEPTION 'There is no token %.', token_id USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit tokens list.';
  END IF;
  PERFORM public.post_audit_apply_audit_entry(
    actor, 'command', '', 'token.revoked', format('%s of %s: %s', made.id, made.user_name, made.label));
  RETURN jsonb_build_object('id', made.id, 'name', made.user_name, 'label', made.label, 'revoked_at', made.revoked_at);
END
$$;

-- All API tokens, newest first; never a hash.
CREATE FUNCTION public.post_audit_read_tokens() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', t.id, 'name', t.user_name, 'label', t.label, 'role', t.role, 'created_by', t.created_by, 'created_at', t.created_at,
    'expires_at', t.expires_at, 'revoked_at', t.revoked_at
  ) ORDER BY t.id DESC), '[]') FROM post_audit.api_tokens AS t;
END;

-- ---- 24_pages.sql ----

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

-- ---- 25_health.sql ----

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

-- ---- 39_conversion_rollup.sql ----

-- The hourly roll-up of experiments: who was invited first with what, and what came of it, counted once and kept up
-- by what has changed since. docs/decisions/0016 says why this way.

-- One row for each supplier of an experiment: its first invite and the first of each outcome after it. Keys as text,
-- because those of bound tables have any type.
CREATE TABLE IF NOT EXISTS post_audit.conversion_units (
  experiment text NOT NULL,
  supplier text NOT NULL,
  sent_at timestamptz NOT NULL,
  epoch integer NOT NULL,
  variant text NOT NULL,
  failed boolean NOT NULL,
  -- when it first got another variant
  other_variant_at timestamptz,
  verified_at timestamptz,
  opted_out_at timestamptz,
  PRIMARY KEY (experiment, supplier)
);
CREATE INDEX IF NOT EXISTS conversion_units_sent ON post_audit.conversion_units (experiment, sent_at);
CREATE INDEX IF NOT EXISTS conversion_units_exposed ON post_audit.conversion_units (experiment, other_variant_at)
  WHERE other_variant_at IS NOT NULL;

-- Units by hour of the invite (UTC), allocation epoch and variant.
CREATE TABLE IF NOT EXISTS post_audit.conversion_blocks (
  experiment text NOT NULL,
  hour timestamptz NOT NULL,
  epoch integer NOT NULL,
  variant text NOT NULL,
  units bigint NOT NULL,
  failed bigint NOT NULL,
  PRIMARY KEY (experiment, hour, epoch, variant)
);

-- What came of them, by how many hours after the invite it came, rounded up: so any attribution window is a sum.
CREATE TABLE IF NOT EXISTS post_audit.conversion_outcomes (
  experiment text NOT NULL,
  hour timestamptz NOT NULL,
  epoch integer NOT NULL,
  variant text NOT NULL,
  delay_hours integer NOT NULL,
  converted bigint NOT NULL,
  opt_outs bigint NOT NULL,
  PRIMARY KEY (experiment, hour, epoch, variant, delay_hours)
);

-- How far the roll-up of each experiment is. `phase`: adding (walks the invites), removing (walks the units), complete.
CREATE TABLE IF NOT EXISTS post_audit.conversion_rollups (
  experiment text PRIMARY KEY,
  -- digest of what is counted: bindings, and whether changes are noted
  sources text NOT NULL,
  phase text NOT NULL CHECK (phase IN ('adding', 'removing', 'complete')),
  cursor text,
  -- suppliers that the present walk has counted, and about how many invites there were when it began
  walked bigint NOT NULL DEFAULT 0,
  invites bigint NOT NULL DEFAULT 0,
  -- whether units of a former count may be left, that are in the invites no more
  has_former boolean NOT NULL DEFAULT false,
  -- where nobody notes changes: until when moments were read, and how far the round of checks is
  read_until timestamptz,
  check_phase text NOT NULL DEFAULT 'adding' CHECK (check_phase IN ('adding', 'removing')),
  check_cursor text,
  -- grows when a block changes
  revision bigint NOT NULL DEFAULT 0,
  -- what the step remembers of all blocks before `memory_through`, and their sums
  memory_through timestamptz,
  memory jsonb,
  sums jsonb
);

ALTER TABLE post_audit.conversion_rollups ADD COLUMN IF NOT EXISTS walked bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS invites bigint NOT NULL DEFAULT 0;

-- Suppliers whose rows have changed and are to be counted again. Without a supplier: all of them; without an
-- experiment: in every one. Written in the changing transaction, so it is seen exactly when the change is.
CREATE TABLE IF NOT EXISTS post_audit.conversion_notes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  experiment text,
  supplier text
);

-- Whether changes of a role's table are noted: all four triggers are there and on.
CREATE FUNCTION post_audit.is_noted(role text) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (
  SELECT pg_catalog.count(*) = 4
  FROM pg_catalog.pg_trigger AS t JOIN post_audit.bindings AS b ON t.tgrelid = pg_catalog.to_regclass(b.relation)
  WHERE b.role = is_noted.role AND t.tgname LIKE 'post\_audit\_notes\_%' AND t.tgenabled IN ('O', 'A')
);

-- What the roll-up is counted from. Another digest, another count.
CREATE FUNCTION post_audit.conversion_sources() RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (
  SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ',
    b.role, pg_catalog.to_regclass(b.relation)::oid, b.columns, b.bound_at, post_audit.is_noted(b.role)), ';' ORDER BY b.role))
  FROM post_audit.bindings AS b WHERE b.role IN ('invites', 'claims', 'opt_outs')
);

-- The type of a role's column, for casts: the keys of bound tables have any type.
CREATE FUNCTION post_audit.role_type(role text, column_name text) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (
  SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = pg_catalog.to_regclass('post_audit.' || pg_catalog.quote_ident(role_type.role))
    AND a.attname = role_type.column_name
);

-- Whether a role is read from our own table, whose indexes are known.
CREATE FUNCTION post_audit.is_reference(role text) RETURNS boolean
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (SELECT b.is_reference FROM post_audit.bindings AS b WHERE b.role = is_reference.role);

-- How many rows a role's table has, as the planner believes it: counting ten million would take a second.
CREATE FUNCTION post_audit.about_how_many(role text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  plan jsonb;
BEGIN
  EXECUTE pg_catalog.format('EXPLAIN (FORMAT JSON) SELECT FROM post_audit.%I', role) INTO plan;
  RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric::bigint;
END
$$;

-- How far the first count of an experiment is, or a count anew: suppliers `counted`, of about so many `invites`. Null where
-- everything is counted but the changes of the last moments, which one call of post_audit_maintain_conversions takes in.
CREATE FUNCTION post_audit.conversion_counting(experiment text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  rollup post_audit.conversion_rollups;
  waiting bigint;
BEGIN
  SELECT r.* INTO rollup FROM post_audit.conversion_rollups AS r WHERE r.experiment = conversion_counting.experiment;
  IF rollup.phase IS DISTINCT FROM 'complete' THEN
    RETURN pg_catalog.jsonb_build_object(
      'counted', coalesce(rollup.walked, 0), 'invites', coalesce(rollup.invites, 0));
  END IF;
  waiting := (SELECT pg_catalog.count(*) FROM (
    SELECT FROM post_audit.conversion_notes AS n
    WHERE n.experiment IS NULL OR n.experiment = conversion_counting.experiment LIMIT 1000000) AS y);
  IF waiting <= 2000 THEN
    RETURN NULL;
  END IF;
  RETURN pg_catalog.jsonb_build_object(
    'counted', greatest(0, (
      SELECT coalesce(pg_catalog.sum(b.units), 0)::bigint FROM post_audit.conversion_blocks AS b
      WHERE b.experiment = conversion_counting.experiment) - waiting),
    'invites', rollup.invites);
END
$$;

-- The query that counts suppliers from the marketplace's tables as they are: rows like those of conversion_units. $1 is the
-- experiment, $2 an array of suppliers; with `everybody` there is no $2. Where the indexes are known, it looks each supplier
-- up; over bound tables it joins, and the planner chooses: without an index a look-up each would read the table each time.
CREATE FUNCTION post_audit.units_query(everybody boolean DEFAULT false) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (
  SELECT pg_catalog.format(
    CASE WHEN post_audit.is_reference('invites') AND post_audit.is_reference('claims') AND post_audit.is_reference('opt_outs')
    THEN $query$
    SELECT w.key AS supplier, f.sent_at, f.epoch, f.variant, f.failed, x.at AS other_variant_at, c.at AS verified_at,
      o.at AS opted_out_at
    FROM (%5$s) AS w (key)
    CROSS JOIN LATERAL (
      SELECT i.sent_at, coalesce(i.allocation_epoch, 1)::integer AS epoch, i.variant,
        coalesce(i.status = 'failed', false) AS failed
      FROM post_audit.invites AS i
      WHERE i.experiment_id = $1::%1$s AND i.supplier_id = w.key::%2$s AND i.sent_at IS NOT NULL AND i.variant IS NOT NULL
      ORDER BY i.sent_at, i.id
      LIMIT 1
    ) AS f
    LEFT JOIN LATERAL (
      SELECT pg_catalog.min(i.sent_at) AS at FROM post_audit.invites AS i
      WHERE i.experiment_id = $1::%1$s AND i.supplier_id = w.key::%2$s AND i.variant <> f.variant
    ) AS x ON true
    LEFT JOIN LATERAL (
      SELECT pg_catalog.min(c.verified_at) AS at FROM post_audit.claims AS c
      WHERE c.supplier_id = w.key::%3$s AND c.claimed_at <= c.verified_at AND c.claimed_at >= f.sent_at
    ) AS c ON true
    LEFT JOIN LATERAL (
      SELECT pg_catalog.min(o.opted_out_at) AS at FROM post_audit.opt_outs AS o
      WHERE o.supplier_id = w.key::%4$s AND o.opted_out_at >= f.sent_at
    ) AS o ON true
    $query$ ELSE $query$
    SELECT f.key AS supplier, f.sent_at, f.epoch, f.variant, f.failed, f.other_variant_at,
      pg_catalog.min(c.verified_at) AS verified_at, pg_catalog.min(o.opted_out_at) AS opted_out_at
    FROM (
      SELECT DISTINCT ON (y.key) y.key, y.sent_at, y.epoch, y.variant, y.failed,
        pg_catalog.min(y.sent_at) FILTER (WHERE y.variant <> y.first_variant) OVER (PARTITION BY y.key) AS other_variant_at
      FROM (
        SELECT w.key, i.id, i.sent_at, coalesce(i.allocation_epoch, 1)::integer AS epoch, i.variant,
          coalesce(i.status = 'failed', false) AS failed,
          pg_catalog.first_value(i.variant) OVER (PARTITION BY w.key ORDER BY i.sent_at, i.id) AS first_variant
        FROM (%5$s) AS w (key) JOIN post_audit.invites AS i ON i.supplier_id = w.key::%2$s
        WHERE i.experiment_id = $1::%1$s AND i.sent_at IS NOT NULL AND i.variant IS NOT NULL
      ) AS y
      ORDER BY y.key, y.sent_at, y.id
    ) AS f
    LEFT JOIN post_audit.claims AS c
      ON c.supplier_id = f.key::%3$s AND c.claimed_at <= c.verified_at AND c.claimed_at >= f.sent_at
    LEFT JOIN post_audit.opt_outs AS o ON o.supplier_id = f.key::%4$s AND o.opted_out_at >= f.sent_at
    GROUP BY f.key, f.sent_at, f.epoch, f.variant, f.failed, f.other_variant_at
    $query$ END,
    post_audit.role_type('invites', 'experiment_id'), post_audit.role_type('invites', 'supplier_id'),
    post_audit.role_type('claims', 'supplier_id'), post_audit.role_type('opt_outs', 'supplier_id'),
    CASE WHEN everybody THEN pg_catalog.format('SELECT DISTINCT i.supplier_id::text FROM post_audit.invites AS i
      WHERE i.experiment_id = $1::%s AND i.supplier_id IS NOT NULL', post_audit.role_type('invites', 'experiment_id'))
    ELSE 'SELECT DISTINCT k.key FROM pg_catalog.unnest($2::text[]) AS k (key)' END)
);

-- How many hours after the invite something came, rounded up; null for what never came or later than two of the longest
-- windows (672 h), which nothing asks for.
CREATE FUNCTION post_audit.delay_hours(sent_at timestamptz, happened_at timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN CASE WHEN happened_at <= sent_at + interval '672 hours'
  THEN pg_catalog.ceil(EXTRACT(epoch FROM happened_at - sent_at) / 3600)::integer END;

-- Count these suppliers of an experiment again, and carry the differences into its blocks. Counting twice changes nothing.
-- Sums that a changed block was part of are forgotten.
CREATE FUNCTION post_audit.recount_units(experiment text, suppliers text[], window_hours integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  changed_hour timestamptz;
BEGIN
  EXECUTE pg_catalog.format($query$
    WITH present AS MATERIALIZED (%s),
    former AS MATERIALIZED (
      SELECT u.* FROM post_audit.conversion_units AS u WHERE u.experiment = $1 AND u.supplier = ANY ($2)
    ),
    differing AS MATERIALIZED (
      SELECT coalesce(p.supplier, f.supplier) AS supplier, p AS present, f AS former
      FROM present AS p FULL JOIN former AS f ON f.supplier = p.supplier
      WHERE (p.sent_at, p.epoch, p.variant, p.failed, p.other_variant_at, p.verified_at, p.opted_out_at)
        IS DISTINCT FROM (f.sent_at, f.epoch, f.variant, f.failed, f.other_variant_at, f.verified_at, f.opted_out_at)
    ),
    removed AS (
      DELETE FROM post_audit.conversion_units AS u USING differing AS d
      WHERE u.experiment = $1 AND u.supplier = d.supplier AND d.present IS NULL
    ),
    stored AS (
      INSERT INTO post_audit.conversion_units AS u
        (experiment, supplier, sent_at, epoch, variant, failed, other_variant_at, verified_at, opted_out_at)
      SELECT $1, p.supplier, p.sent_at, p.epoch, p.variant, p.failed, p.other_variant_at, p.verified_at, p.opted_out_at
      FROM differing AS d JOIN present AS p ON p.supplier = d.supplier
      ON CONFLICT ON CONSTRAINT conversion_units_pkey DO UPDATE SET
        sent_at = EXCLUDED.sent_at, epoch = EXCLUDED.epoch, variant = EXCLUDED.variant, failed = EXCLUDED.failed,
        other_variant_at = EXCLUDED.other_variant_at, verified_at = EXCLUDED.verified_at, opted_out_at = EXCLUDED.opted_out_at
    ),
    signed AS MATERIALIZED (
      SELECT 1 AS sign, p.sent_at, p.epoch, p.variant, p.failed, p.verified_at, p.opted_out_at, p.other_variant_at
      FROM differing AS d JOIN present AS p ON p.supplier = d.supplier
      UNION ALL
      SELECT -1, f.sent_at, f.epoch, f.variant, f.failed, f.verified_at, f.opted_out_at, f.other_variant_at
      FROM differing AS d JOIN former AS f ON f.supplier = d.supplier
    ),
    blocks AS MATERIALIZED (
      SELECT pg_catalog.date_trunc('hour', s.sent_at) AS hour, s.epoch, s.variant, pg_catalog.sum(s.sign) AS units,
        coalesce(pg_catalog.sum(s.sign) FILTER (WHERE s.failed), 0) AS failed,
        coalesce(pg_catalog.sum(s.sign) FILTER (WHERE s.other_variant_at IS NOT NULL), 0) AS exposed
      FROM signed AS s GROUP BY 1, 2, 3
    ),
    counted AS (
      INSERT INTO post_audit.conversion_blocks AS b (experiment, hour, epoch, variant, units, failed)
      SELECT $1, k.hour, k.epoch, k.variant, k.units, k.failed FROM blocks AS k WHERE k.units <> 0 OR k.failed <> 0
      ON CONFLICT ON CONSTRAINT conversion_blocks_pkey DO UPDATE SET
        units = b.units + EXCLUDED.units, failed = b.failed + EXCLUDED.failed
    ),
    outcomes AS MATERIALIZED (
      SELECT pg_catalog.date_trunc('hour', e.sent_at) AS hour, e.epoch, e.variant, e.delay_hours,
        pg_catalog.sum(e.converted) AS converted, pg_catalog.sum(e.opt_outs) AS opt_outs
      FROM (
        SELECT s.sent_at, s.epoch, s.variant, post_audit.delay_hours(s.sent_at, s.verified_at) AS delay_hours,
          s.sign AS converted, 0 AS opt_outs FROM signed AS s
        UNION ALL
        SELECT s.sent_at, s.epoch, s.variant, post_audit.delay_hours(s.sent_at, s.opted_out_at), 0, s.sign FROM signed AS s
      ) AS e
      WHERE e.delay_hours IS NOT NULL
      GROUP BY 1, 2, 3, 4
      HAVING pg_catalog.sum(e.converted) <> 0 OR pg_catalog.sum(e.opt_outs) <> 0
    ),
    told AS (
      INSERT INTO post_audit.conversion_outcomes AS o (experiment, hour, epoch, variant, delay_hours, converted, opt_outs)
      SELECT $1, k.hour, k.epoch, k.variant, k.delay_hours, k.converted, k.opt_outs FROM outcomes AS k
      ON CONFLICT ON CONSTRAINT conversion_outcomes_pkey DO UPDATE SET
        converted = o.converted + EXCLUDED.converted, opt_outs = o.opt_outs + EXCLUDED.opt_outs
    )
    -- an outcome beyond two windows is asked for by nobody, and so forgets no sums
    SELECT least(
      (SELECT pg_catalog.min(k.hour) FROM blocks AS k WHERE k.units <> 0 OR k.failed <> 0 OR k.exposed <> 0),
      (SELECT pg_catalog.min(k.hour) FROM outcomes AS k WHERE k.delay_hours <= 2 * $3))
    $query$, post_audit.units_query())
  INTO changed_hour USING experiment, suppliers, window_hours;
  UPDATE post_audit.conversion_rollups AS r
  SET revision = r.revision + 1,
    memory = CASE WHEN r.memory_through <= changed_hour THEN r.memory END,
    sums = CASE WHEN r.memory_through <= changed_hour THEN r.sums END,
    memory_through = CASE WHEN r.memory_through <= changed_hour THEN r.memory_through END
  WHERE r.experiment = recount_units.experiment AND changed_hour IS NOT NULL;
END
$$;

-- The next suppliers of a walk: of the invites (adding) in the order of their keys, or of the units (removing).
CREATE FUNCTION post_audit.next_suppliers(experiment text, phase text, cursor text, "limit" integer) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  found_keys text[];
BEGIN
  IF phase = 'removing' THEN
    RETURN (SELECT pg_catalog.array_agg(k.supplier ORDER BY k.supplier) FROM (
      SELECT u.supplier FROM post_audit.conversion_units AS u
      WHERE u.experiment = next_suppliers.experiment AND (next_suppliers.cursor IS NULL OR u.supplier > next_suppliers.cursor)
      ORDER BY u.supplier LIMIT next_suppliers."limit") AS k);
  END IF;
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.array_agg(k.supplier_id::text ORDER BY k.supplier_id) FROM (
       SELECT DISTINCT i.supplier_id FROM post_audit.invites AS i
       WHERE i.experiment_id = $1::%s %s ORDER BY i.supplier_id LIMIT $3) AS k',
    post_audit.role_type('invites', 'experiment_id'),
    CASE WHEN cursor IS NULL THEN 'AND i.supplier_id IS NOT NULL AND $2::text IS NULL'
      ELSE pg_catalog.format('AND i.supplier_id > $2::%s', post_audit.role_type('invites', 'supplier_id')) END)
  INTO found_keys USING experiment, cursor, "limit";
  RETURN found_keys;
END
$$;

-- Where nobody notes changes, find them by their moments: invites, claims and opt-outs of the last hours are read again, with
-- six hours of overlap for transactions that were still open. What was changed or deleted elsewhere is found by the round of
-- checks.
CREATE FUNCTION post_audit.note_by_moments(experiment text, since timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
BEGIN
  EXECUTE pg_catalog.format(
    'INSERT INTO post_audit.conversion_notes (experiment, supplier)
     SELECT $1, i.supplier_id::text FROM post_audit.invites AS i WHERE i.experiment_id = $1::%s AND i.sent_at >= $2
     UNION SELECT $1, c.supplier_id::text FROM post_audit.claims AS c WHERE c.verified_at >= $2
     UNION SELECT $1, o.supplier_id::text FROM post_audit.opt_outs AS o WHERE o.opted_out_at >= $2',
    post_audit.role_type('invites', 'experiment_id')) USING experiment, since - interval '6 hours';
END
$$;

-- Bring the roll-up up to date, for `milliseconds` at most; repeat while the answer's `complete` is false. Everything that was
-- committed before the call is in it once it is complete, where changes are noted (`noted`); else what lies in the moments
-- of the last hours, and the rest within a round of checks. Writes nothing where nothing has changed. While somebody else
-- counts, it waits for half a second and then leaves it to them.
CREATE FUNCTION public.post_audit_maintain_conversions(
  default_window_hours integer DEFAULT 72, milliseconds integer DEFAULT 800, batch integer DEFAULT 2000
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  until CONSTANT timestamptz := pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => milliseconds / 1000.0);
  present_sources text;
  noted boolean;
  known record;
  taken jsonb;
  suppliers text[];
  counted bigint := 0;
  last_note bigint;
  begun jsonb;
  patience CONSTANT text := pg_catalog.current_setting('lock_timeout');
BEGIN
  PERFORM post_audit.require_roles('experiments', 'invites', 'claims', 'opt_outs');
  BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', '500ms', true);
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('post_audit.conversions', 0));
    PERFORM pg_catalog.set_config('lock_timeout', patience, true);
  EXCEPTION WHEN lock_not_available THEN
    RETURN pg_catalog.jsonb_build_object('complete', false, 'noted', true, 'counted', 0);
  END;
  present_sources := post_audit.conversion_sources();
  IF NOT post_audit.is_reference('invites') THEN
    -- a walk over a table without our index sorts it for each batch
    batch := 5 * batch;
  END IF;
  noted := post_audit.is_noted('invites') AND post_audit.is_noted('claims') AND post_audit.is_noted('opt_outs');

  INSERT INTO post_audit.conversion_rollups AS r (experiment, sources, phase)
  SELECT e.id::text, present_sources, 'adding' FROM post_audit.experiments AS e WHERE e.status = 'running'
  ON CONFLICT (experiment) DO UPDATE
    SET sources = EXCLUDED.sources, phase = 'adding', cursor = NULL, walked = 0, has_former = true
    WHERE r.sources <> EXCLUDED.sources;
  UPDATE post_audit.conversion_rollups AS r SET invites = post_audit.about_how_many('invites')
  WHERE r.phase = 'adding' AND r.cursor IS NULL AND r.invites = 0;

  LOOP
    -- A note without a supplier asks for a walk over all.
    WITH gone AS (
      DELETE FROM post_audit.conversion_notes AS n WHERE n.supplier IS NULL RETURNING n.experiment
    )
    SELECT pg_catalog.jsonb_agg(DISTINCT coalesce(g.experiment, '')) INTO begun FROM gone AS g;
    UPDATE post_audit.conversion_rollups AS r
    SET phase = 'adding', cursor = NULL, walked = 0, has_former = r.has_former OR r.phase <> 'adding' OR r.cursor IS NOT NULL
    WHERE begun ? '' OR begun ? r.experiment;

    IF NOT noted THEN
      FOR known IN
        SELECT r.experiment, r.read_until FROM post_audit.conversion_rollups AS r
        WHERE r.phase = 'complete' AND r.read_until < pg_catalog.clock_timestamp() - interval '1 minute'
      LOOP
        PERFORM post_audit.note_by_moments(known.experiment, known.read_until);
        UPDATE post_audit.conversion_rollups AS r SET read_until = pg_catalog.clock_timestamp()
        WHERE r.experiment = known.experiment;
      END LOOP;
    END IF;

    -- Taken first and read then, in a later snapshot: what changes in between leaves a note of its own.
    last_note := (
      SELECT pg_catalog.max(k.id)
      FROM (SELECT n.id FROM post_audit.conversion_notes AS n ORDER BY n.id LIMIT batch) AS k);
    WITH gone AS (
      DELETE FROM post_audit.conversion_notes AS n WHERE n.id <= last_note AND n.supplier IS NOT NULL
      RETURNING n.experiment, n.supplier
    )
    SELECT pg_catalog.jsonb_object_agg(y.experiment, y.suppliers) INTO taken
    FROM (
      SELECT coalesce(g.experiment, '') AS experiment, pg_catalog.jsonb_agg(DISTINCT g.supplier) AS suppliers
      FROM gone AS g GROUP BY 1
    ) AS y;
    FOR known IN
      SELECT r.experiment, coalesce(e.attribution_window_hours, default_window_hours)::integer AS window_hours
      FROM post_audit.conversion_rollups AS r LEFT JOIN post_audit.experiments AS e ON e.id::text = r.experiment
      WHERE taken ? r.experiment OR taken ? ''
    LOOP
      suppliers := ARRAY(
        SELECT pg_catalog.jsonb_array_elements_text(coalesce(taken -> known.experiment, '[]'))
        UNION SELECT pg_catalog.jsonb_array_elements_text(coalesce(taken -> '', '[]')));
      PERFORM post_audit.recount_units(known.experiment, suppliers, known.window_hours);
      counted := counted + pg_catalog.cardinality(suppliers);
    END LOOP;

    IF taken IS NULL THEN
      SELECT r.*, coalesce(e.attribution_window_hours, default_window_hours)::integer AS window_hours INTO known
      FROM post_audit.conversion_rollups AS r LEFT JOIN post_audit.experiments AS e ON e.id::text = r.experiment
      WHERE r.phase <> 'complete' ORDER BY r.experiment LIMIT 1;
      EXIT WHEN NOT FOUND;
      suppliers := post_audit.next_suppliers(known.experiment, known.phase, known.cursor, batch);
      IF suppliers IS NULL THEN
        -- After the first walk nobody can be left over: only a later one looks for those who are gone.
        UPDATE post_audit.conversion_rollups AS r
        SET cursor = NULL, read_until = coalesce(r.read_until, pg_catalog.clock_timestamp()),
          phase = CASE WHEN r.phase = 'adding' AND r.has_former THEN 'removing' ELSE 'complete' END,
          has_former = r.has_former AND r.phase = 'adding'
        WHERE r.experiment = known.experiment;
      ELSE
        PERFORM post_audit.recount_units(known.experiment, suppliers, known.window_hours);
        counted := counted + pg_catalog.cardinality(suppliers);
        UPDATE post_audit.conversion_rollups AS r
        SET cursor = suppliers[pg_catalog.cardinality(suppliers)],
          invites = CASE WHEN known.cursor IS NULL THEN post_audit.about_how_many('invites') ELSE r.invites END,
          walked = r.walked + CASE WHEN r.phase = 'adding' THEN pg_catalog.cardinality(suppliers) ELSE 0 END
        WHERE r.experiment = known.experiment;
      END IF;
    END IF;
    EXIT WHEN pg_catalog.clock_timestamp() >= until;
  END LOOP;

  -- The round of checks: what time is left goes on where the last call stopped.
  FOR known IN
    SELECT r.*, coalesce(e.attribution_window_hours, default_window_hours)::integer AS window_hours
    FROM post_audit.conversion_rollups AS r LEFT JOIN post_audit.experiments AS e ON e.id::text = r.experiment
    WHERE NOT noted AND r.phase = 'complete'
  LOOP
    suppliers := post_audit.next_suppliers(known.experiment, known.check_phase, known.check_cursor, batch);
    IF suppliers IS NOT NULL THEN
      PERFORM post_audit.recount_units(known.experiment, suppliers, known.window_hours);
    END IF;
    UPDATE post_audit.conversion_rollups AS r
    SET check_cursor = suppliers[pg_catalog.cardinality(suppliers)],
      check_phase = CASE WHEN suppliers IS NOT NULL THEN r.check_phase WHEN r.check_phase = 'adding' THEN 'removing' ELSE 'adding' END
    WHERE r.experiment = known.experiment;
    EXIT WHEN pg_catalog.clock_timestamp() >= until;
  END LOOP;

  RETURN pg_catalog.jsonb_build_object(
    'complete', NOT EXISTS (SELECT 1 FROM post_audit.conversion_rollups AS r WHERE r.phase <> 'complete')
      AND NOT EXISTS (SELECT 1 FROM post_audit.conversion_notes),
    'noted', noted, 'counted', counted);
END
$$;

-- ---- 40_conversions.sql ----

-- The facts of step `conversions`, and the changes it carries out.

-- Every running experiment with its counts by hour, up to `as_of` and no further, from the roll-up
-- (post_audit_maintain_conversions brings it up to date).
--
-- A unit is a supplier: its first invite of an experiment decides which variant and which block it belongs to, and
-- later ones change nothing. Whether that message arrived makes no difference: who was meant to get a variant is
-- counted for it, or the failed ones of one variant would be sorted out and those of the other not.
--
-- A unit has converted when it claimed after the invite and that claim was *verified* before the attribution
-- window ended. The moment of verification decides, not that of the claim: so the outcome is settled when the window
-- ends and never changes afterwards, whereas a claim verified weeks later would change counts that a decision stands
-- on. Where verification takes days, the experiment's window has to hold those days too.
--
-- Only units whose window is over are in `blocks` (hour of the invite, UTC, by epoch of the allocation); the others
-- are `immature`. `opt_outs` and `failed` of a block count its units that asked for no more messages within the window,
-- and those whose first invite could not be sent. `assigned` counts all units by epoch and variant, and
-- `epoch_allocations` says how they were to be shared, as far as carried out decisions and the present row tell;
-- `claim_hours` is within how many whole hours 99 % of a variant's suppliers that claimed had their first verified claim,
-- those up to two windows late and of mature hours, and at least 200 of them; `judged_from_epoch` is the epoch that began
-- when a winner was last reverted or stopped. `last_invite_at` is when the newest unit came in.
--
-- With `remembered`, blocks that the step has folded into its `memory` are left out: those before `remembered_until`. So
-- the time this takes does not grow with history.
CREATE FUNCTION public.post_audit_read_conversions(
  as_of timestamptz, default_window_hours integer DEFAULT 72, remembered boolean DEFAULT false
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
-- Compiling the plan takes longer than running it.
SET jit = off AS $$
DECLARE
  experiment record;
  rollup post_audit.conversion_rollups;
  key text;
  since timestamptz;
  mature_until timestamptz;
  -- the hour that is just maturing, and the one of as_of: they are counted from the units themselves
  maturing timestamptz;
  present_hour CONSTANT timestamptz := pg_catalog.date_trunc('hour', as_of);
  counted jsonb;
  history jsonb;
  experiments jsonb := '[]';
BEGIN
  PERFORM post_audit.require_roles('experiments', 'invites', 'claims', 'opt_outs');

  FOR experiment IN
    SELECT e.*, coalesce(e.attribution_window_hours, default_window_hours) AS window_hours
    FROM post_audit.experiments AS e
    WHERE e.status = 'running'
    ORDER BY e.id
  LOOP
    key := experiment.id::text;
    mature_until := as_of - pg_catalog.make_interval(hours => experiment.window_hours);
    maturing := pg_catalog.date_trunc('hour', mature_until);
    SELECT r.* INTO rollup FROM post_audit.conversion_rollups AS r WHERE r.experiment = key;
    -- Sums count claims up to two windows late, so they are of one window, and of nothing that as_of cannot see.
    IF NOT remembered OR rollup.memory_through > maturing OR rollup.sums -> 'window_hours' <> pg_catalog.to_jsonb(experiment.window_hours) THEN
      rollup.memory := NULL;
      rollup.memory_through := NULL;
      rollup.sums := NULL;
    END IF;
    since := coalesce(rollup.memory_through, '-infinity');

    WITH whole AS (
      SELECT b.hour, b.epoch, b.variant, b.units, b.failed
      FROM post_audit.conversion_blocks AS b
      WHERE b.experiment = key AND b.hour >= since AND b.hour < present_hour AND b.units > 0
    ),
    edge AS (
      SELECT pg_catalog.date_trunc('hour', u.sent_at) AS hour, u.epoch, u.variant, u.sent_at <= mature_until AS mature,
        pg_catalog.count(*) AS units, pg_catalog.count(*) FILTER (WHERE u.failed) AS failed,
        pg_catalog.count(*) FILTER (WHERE u.verified_at <= u.sent_at + pg_catalog.make_interval(hours => experiment.window_hours)) AS converted,
        pg_catalog.count(*) FILTER (WHERE u.opted_out_at <= u.sent_at + pg_catalog.make_interval(hours => experiment.window_hours)) AS opt_outs
      FROM post_audit.conversion_units AS u
      WHERE u.experiment = key AND u.sent_at <= as_of
        AND (u.sent_at >= maturing AND u.sent_at < maturing + interval '1 hour' OR u.sent_at >= present_hour)
      GROUP BY 1, 2, 3, 4
    ),
    outcomes AS (
      SELECT o.hour, o.epoch, o.variant, pg_catalog.sum(o.converted) AS converted, pg_catalog.sum(o.opt_outs) AS opt_outs
      FROM post_audit.conversion_outcomes AS o
      WHERE o.experiment = key AND o.hour >= since AND o.hour < maturing AND o.delay_hours <= experiment.window_hours
      GROUP BY 1, 2, 3
    ),
    -- Added up, not joined: while the first count goes on, the planner knows nothing of these tables and would join by loops.
    cells AS (
      SELECT y.hour, y.epoch, y.variant, pg_catalog.sum(y.units)::bigint AS units, pg_catalog.sum(y.failed)::bigint AS failed,
        pg_catalog.sum(y.converted)::bigint AS converted, pg_catalog.sum(y.opt_outs)::bigint AS opt_outs
      FROM (
        SELECT w.hour, w.epoch, w.variant, w.units, w.failed, 0 AS converted, 0 AS opt_outs FROM whole AS w WHERE w.hour < maturing
        UNION ALL SELECT o.hour, o.epoch, o.variant, 0, 0, o.converted, o.opt_outs FROM outcomes AS o
      ) AS y GROUP BY y.hour, y.epoch, y.variant HAVING pg_catalog.sum(y.units) > 0
      UNION ALL
      SELECT e.hour, e.epoch, e.variant, e.units, e.failed, e.converted, e.opt_outs FROM edge AS e WHERE e.mature
    ),
    blocks AS (
      SELECT c.hour, c.epoch, pg_catalog.jsonb_object_agg(c.variant, pg_catalog.jsonb_build_object(
          'units', c.units, 'converted', c.converted, 'opt_outs', c.opt_outs, 'failed', c.failed)) AS counts
      FROM cells AS c GROUP BY c.hour, c.epoch
    ),
    immature AS (
      SELECT y.variant, pg_catalog.sum(y.units) AS units
      FROM (
        SELECT w.variant, w.units FROM whole AS w WHERE w.hour > maturing
        UNION ALL SELECT e.variant, e.units FROM edge AS e WHERE NOT e.mature
      ) AS y GROUP BY y.variant
    ),
    assigned AS (
      SELECT y.epoch, y.variant, pg_catalog.sum(y.units) AS units
      FROM (
        SELECT w.epoch, w.variant, w.units FROM whole AS w
        UNION ALL SELECT e.epoch, e.variant, e.units FROM edge AS e WHERE e.hour = present_hour
        UNION ALL SELECT s.epoch, s.variant, s.units
          FROM pg_catalog.jsonb_to_recordset(rollup.sums -> 'assigned') AS s (epoch integer, variant text, units bigint)
      ) AS y GROUP BY y.epoch, y.variant
    ),
    delays AS (
      SELECT y.variant, y.delay_hours, pg_catalog.sum(y.claims) AS claims
      FROM (
        SELECT o.variant, o.delay_hours, o.converted AS claims FROM post_audit.conversion_outcomes AS o
        WHERE o.experiment = key AND o.hour >= since AND o.hour < maturing AND o.delay_hours <= 2 * experiment.window_hours
        UNION ALL SELECT s.variant, s.delay_hours, s.claims
          FROM pg_catalog.jsonb_to_recordset(rollup.sums -> 'claims') AS s (variant text, delay_hours integer, claims bigint)
      ) AS y GROUP BY y.variant, y.delay_hours
    ),
    claim_hours AS (
      SELECT y.variant, pg_catalog.min(y.delay_hours) FILTER (WHERE y.so_far >= 0.99 * y.everything) AS hours
      FROM (
        SELECT d.variant, d.delay_hours, pg_catalog.sum(d.claims) OVER (PARTITION BY d.variant ORDER BY d.delay_hours) AS so_far,
          pg_catalog.sum(d.claims) OVER (PARTITION BY d.variant) AS everything
        FROM delays AS d
      ) AS y WHERE y.everything >= 200 GROUP BY y.variant
    )
    SELECT pg_catalog.jsonb_build_object(
      'blocks', coalesce((
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(b.*) ORDER BY b.hour, b.epoch) FROM blocks AS b), '[]'),
      'immature', coalesce((SELECT pg_catalog.jsonb_object_agg(y.variant, y.units) FROM immature AS y), '{}'),
      'last_invite_at', (
        SELECT pg_catalog.max(u.sent_at) FROM post_audit.conversion_units AS u WHERE u.experiment = key AND u.sent_at <= as_of),
      'assigned', coalesce((
        SELECT pg_catalog.jsonb_object_agg(z.epoch, z.counts)
        FROM (SELECT y.epoch, pg_catalog.jsonb_object_agg(y.variant, y.units) AS counts FROM assigned AS y GROUP BY y.epoch) AS z
      ), '{}'),
      'claim_hours', coalesce((SELECT pg_catalog.jsonb_object_agg(d.variant, d.hours) FROM claim_hours AS d), '{}'),
      'exposed_to_several', (
        SELECT pg_catalog.count(*) FROM post_audit.conversion_units AS u
        WHERE u.experiment = key AND u.other_variant_at <= as_of),
      'memory', rollup.memory,
      'remembered_until', rollup.memory_through,
      'revision', coalesce(rollup.revision, 0)
    ) INTO counted;

    -- An epoch that had two allocations (taken back, and begun anew otherwise) is not known.
    SELECT pg_catalog.jsonb_build_object(
      'epoch_allocations', (
        SELECT coalesce(pg_catalog.jsonb_object_agg(a.epoch, a.allocation), '{}')
        FROM (
          SELECT s.state -> 'allocation_epoch' #>> '{}' AS epoch,
            (pg_catalog.array_agg(s.state -> 'allocation_basis_points'))[1] AS allocation
          FROM (
            SELECT pg_catalog.unnest(ARRAY[c.before, c.after]) AS state
            FROM post_audit.changes AS c
            WHERE c.subject = 'experiment:' || experiment.id AND c.state IN ('applied', 'undone', 'superseded')
            UNION ALL
            SELECT pg_catalog.jsonb_build_object(
              'allocation_epoch', experiment.allocation_epoch,
              'allocation_basis_points', experiment.allocation_basis_points)
          ) AS s
          WHERE s.state ? 'allocation_epoch' AND s.state ? 'allocation_basis_points'
          GROUP BY 1
          HAVING pg_catalog.count(DISTINCT s.state -> 'allocation_basis_points') = 1
        ) AS a
      ),
      'judged_from_epoch', (
        SELECT coalesce(pg_catalog.max((c.after ->> 'allocation_epoch')::integer), 1)
        FROM post_audit.changes AS c
        -- who takes a switch back says nothing about the evidence
        JOIN post_audit.decisions AS d ON d.id = c.decision_id AND d.kind = 'step'
        WHERE c.subject = 'experiment:' || experiment.id AND c.state = 'applied'
          AND c.before ->> 'winner' IS NOT NULL AND c.after ? 'winner' AND c.after ->> 'winner' IS NULL
      )
    ) INTO history;

    experiments := experiments || (counted || history || pg_catalog.jsonb_build_object(
      'id', experiment.id,
      'name', experiment.name,
      'active_variant', experiment.active_variant,
      'winner', experiment.winner,
      'variants', experiment.variants,
      'allocation_basis_points', experiment.allocation_basis_points,
      'allocation_epoch', experiment.allocation_epoch,
      'attribution_window_hours', experiment.window_hours,
      'own_window_hours', experiment.attribution_window_hours,
      'counting', post_audit.conversion_counting(key),
      'started_at', experiment.started_at,
      'version', experiment.version
    ));
  END LOOP;

  RETURN pg_catalog.jsonb_build_object(
    'as_of', as_of,
    'experiments', experiments,
    'holds', (
      SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'subject', h.subject, 'undone', h.undone, 'until', h.until, 'decision_id', h.decision_id) ORDER BY h.subject), '[]')
      FROM post_audit.holds AS h
      WHERE h.subject LIKE 'experiment:%' AND h.until > as_of
    )
  );
END
$$;

-- Keep what the step remembers of an experiment's blocks before `through`, with their sums; only where no block has changed
-- since they were read (`revision`).
CREATE FUNCTION public.post_audit_maintain_conversion_memory(
  experiment_id text, revision bigint, through timestamptz, memory jsonb, window_hours integer
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  rollup post_audit.conversion_rollups;
  former jsonb;
  since timestamptz := '-infinity';
BEGIN
  SELECT r.* INTO rollup FROM post_audit.conversion_rollups AS r WHERE r.experiment = experiment_id FOR UPDATE;
  IF rollup.experiment IS NULL OR rollup.revision <> post_audit_maintain_conversion_memory.revision THEN
    RETURN pg_catalog.jsonb_build_object('kept', false);
  END IF;
  IF rollup.memory_through <= through AND rollup.sums -> 'window_hours' = pg_catalog.to_jsonb(window_hours) THEN
    former := rollup.sums;
    since := rollup.memory_through;
  END IF;
  UPDATE post_audit.conversion_rollups AS r
  SET memory = post_audit_maintain_conversion_memory.memory, memory_through = through,
    sums = pg_catalog.jsonb_build_object(
      'window_hours', window_hours,
      'assigned', (
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(z.*)), '[]')
        FROM (
          SELECT y.epoch, y.variant, pg_catalog.sum(y.units) AS units
          FROM (
            SELECT b.epoch, b.variant, b.units FROM post_audit.conversion_blocks AS b
            WHERE b.experiment = experiment_id AND b.hour >= since AND b.hour < through
            UNION ALL SELECT s.epoch, s.variant, s.units
              FROM pg_catalog.jsonb_to_recordset(former -> 'assigned') AS s (epoch integer, variant text, units bigint)
          ) AS y GROUP BY y.epoch, y.variant
        ) AS z
      ),
      'claims', (
        SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(z.*)), '[]')
        FROM (
          SELECT y.variant, y.delay_hours, pg_catalog.sum(y.claims) AS claims
          FROM (
            SELECT o.variant, o.delay_hours, o.converted AS claims FROM post_audit.conversion_outcomes AS o
            WHERE o.experiment = experiment_id AND o.hour >= since AND o.hour < through AND o.delay_hours <= 2 * window_hours
            UNION ALL SELECT s.variant, s.delay_hours, s.claims
              FROM pg_catalog.jsonb_to_recordset(former -> 'claims') AS s (variant text, delay_hours integer, claims bigint)
          ) AS y GROUP BY y.variant, y.delay_hours
        ) AS z
      ))
  WHERE r.experiment = experiment_id;
  RETURN pg_catalog.jsonb_build_object('kept', true);
END
$$;

-- Set an experiment's active variant, winner, allocation or window where they still are what the decision saw. The same for
-- the way back. The number of the allocation's epoch only grows, on the way back too: suppliers invited before a switch and
-- after its undo are never compared with one another. What it became stands in the change itself.
CREATE FUNCTION post_audit.change_experiment(
  key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  subject CONSTANT text := 'experiment:' || key;
  settable CONSTANT text[] := ARRAY[
    'status', 'active_variant', 'winner', 'allocation_basis_points', 'allocation_epoch', 'attribution_window_hours'];
  present record;
  state jsonb;
BEGIN
  IF wanted = '{}'::jsonb OR wanted - settable <> '{}'::jsonb THEN
    RAISE EXCEPTION 'A change of % may set % and nothing else; it has %.',
      subject, pg_catalog.array_to_string(settable, ', '), wanted
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  SELECT e.status, e.active_variant, e.winner, e.allocation_basis_points, e.allocation_epoch,
    e.attribution_window_hours
  INTO present
  FROM post_audit.experiments AS e
  WHERE e.id::text = key
  FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM post_audit.refuse_moved(subject, expected, NULL);
  END IF;

  state := pg_catalog.to_jsonb(present);
  -- Equal field by field: containment would take an allocation for equal that has grown by a variant.
  IF EXISTS (
    SELECT 1 FROM pg_catalog.jsonb_each(expected) AS x WHERE x.value IS DISTINCT FROM state -> x.key
  ) THEN
    PERFORM post_audit.refuse_moved(subject, expected, state);
  END IF;

  IF wanted ? 'allocation_epoch' AND (wanted ->> 'allocation_epoch')::integer <= present.allocation_epoch THEN
    wanted := wanted || pg_catalog.jsonb_build_object('allocation_epoch', present.allocation_epoch + 1);
    UPDATE post_audit.changes AS c SET after = c.after || wanted
    WHERE c.decision_id = change_experiment.decision_id AND c.subject = 'experiment:' || key;
  END IF;
  state := state || wanted;
  UPDATE post_audit.experiments AS e
  SET status = state ->> 'status',
    active_variant = state ->> 'active_variant',
    winner = state ->> 'winner',
    allocation_basis_points = state -> 'allocation_basis_points',
    allocation_epoch = (state ->> 'allocation_epoch')::integer,
    attribution_window_hours = (state ->> 'attribution_window_hours')::integer,
    version = change_experiment.version,
    updated_at = post_audit.clock()
  WHERE e.id::text = key;
END
$$;

-- The epoch of an allocation is known only when it has begun: tell n8n that one.
CREATE FUNCTION post_audit.finish_conversions(decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  UPDATE post_audit.outbox AS o
  SET payload = o.payload || pg_catalog.jsonb_build_object('allocation_epoch', e.allocation_epoch)
  FROM post_audit.experiments AS e
  WHERE o.decision_id = finish_conversions.decision_id AND o.channel = 'n8n_ab_update'
    AND o.subject = 'experiment:' || e.id AND o.state IN ('pending', 'demonstration')
    AND o.payload -> 'allocation_epoch' IS DISTINCT FROM pg_catalog.to_jsonb(e.allocation_epoch);
END
$$;

-- Carry out what a person decided about experiments: a decision like those of the step, in a run of its own. It
-- replaces what still waits for approval. With `held`, what the step would do against it ({"winner": ...}) rests for the
-- decision's `hold_days`. Refuses changes of anything but experiments.
CREATE FUNCTION public.post_audit_apply_experiment_by_hand(decision jsonb, actor text, held jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  new_run bigint;
  new_id bigint;
  remaining integer;
BEGIN
  IF EXISTS (
    SELECT 1 FROM pg_catalog.jsonb_array_elements(decision -> 'changes') AS c (value)
    WHERE c.value ->> 'subject' NOT LIKE 'experiment:%'
  ) THEN
    RAISE EXCEPTION 'Only experiments are changed this way.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE post_audit.changes AS c SET state = 'superseded'
  FROM post_audit.decisions AS d
  WHERE d.id = c.decision_id AND d.step = 'conversions' AND c.state = 'proposed';
  UPDATE post_audit.decisions AS d SET state = 'superseded' WHERE d.step = 'conversions' AND d.state = 'proposed';

  INSERT INTO post_audit.runs (tick, kind, state, steps, owner, as_of, lease_expires_at, finished_at)
  VALUES ('by hand ' || pg_catalog.gen_random_uuid(), 'step', 'completed', '["conversions"]', actor, post_audit.clock(),
    pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp())
  RETURNING id INTO new_run;
  INSERT INTO post_audit.decisions
    (run_id, step, mode, outcome, state, headline, reasons, numbers, next, messages, undo_messages, hold_days, actor, as_of)
  VALUES (new_run, 'conversions', 'act', 'act', 'applying', decision ->> 'headline', decision -> 'reasons',
    decision -> 'numbers', coalesce(decision ->> 'next', ''), decision -> 'messages', decision -> 'undo_messages',
    coalesce((decision ->> 'hold_days')::integer, 7), actor, post_audit.clock())
  RETURNING id INTO new_id;
  UPDATE post_audit.decisions AS d SET next = pg_catalog.replace(d.next, '{decision}', new_id::text) WHERE d.id = new_id;
  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, state)
  SELECT new_id, c.position, c.value ->> 'subject', c.value -> 'before', c.value -> 'after', 'pending'
  FROM pg_catalog.jsonb_array_elements(decision -> 'changes') WITH ORDINALITY AS c (value, position);
  remaining := post_audit.carry_out(new_id, 500);
  INSERT INTO post_audit.step_runs (run_id, step, state, decision_id, duration_ms)
  VALUES (new_run, 'conversions', 'decided', new_id, 0);
  IF held IS NOT NULL THEN
    INSERT INTO post_audit.holds AS h (subject, undone, held_at, until, decision_id)
    SELECT c.subject, held, post_audit.clock(),
      post_audit.clock() + pg_catalog.make_interval(days => d.hold_days), new_id
    FROM post_audit.changes AS c JOIN post_audit.decisions AS d ON d.id = c.decision_id
    WHERE c.decision_id = new_id
    ON CONFLICT (subject) DO UPDATE
      SET undone = EXCLUDED.undone, held_at = EXCLUDED.held_at, until = EXCLUDED.until, decision_id = EXCLUDED.decision_id;
  END IF;
  RETURN post_audit.answer(new_id, remaining);
END
$$;

-- The decisions that changed an experiment or proposed to, newest first: what each set, and from what.
CREATE FUNCTION public.post_audit_read_experiment_switches(experiment_id text, "limit" integer DEFAULT 50) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
      'decision_id', page.id, 'kind', page.kind, 'at', page.decided_at, 'headline', page.headline, 'actor', page.actor,
      'state', page.state, 'before', page.before, 'after', page.after,
      'undone_by', (SELECT max(u.id) FROM post_audit.decisions AS u WHERE u.undoes = page.id)
    ) ORDER BY page.id DESC), '[]')
  FROM (
    SELECT d.id, d.kind, d.decided_at, d.headline, d.actor, c.state, c.before, c.after
    FROM post_audit.changes AS c JOIN post_audit.decisions AS d ON d.id = c.decision_id
    WHERE c.subject = 'experiment:' || post_audit_read_experiment_switches.experiment_id
    ORDER BY d.id DESC
    LIMIT post_audit_read_experiment_switches."limit"
  ) AS page;
END;

-- ---- 41_infrastructure.sql ----

-- The facts of step `infrastructure` and the one thing it changes.

-- What each channel may send a day and what it has sent, up to `as_of` and no further.
--
-- A sent message counts with its segments (what the carrier bills), whether it was delivered or not. A waiting one
-- counts when it is younger than `queue_days`: what waited longer was forgotten rather than delayed. Of former days
-- only those with a record are told: a day without one is unknown, not zero.
--
-- Bounded by the days asked for and not by the table: it walks index (channel, sent_at) with status and segments, and
-- index (channel, queued_at) where the status is queued.
CREATE FUNCTION public.post_audit_read_infrastructure(
  as_of timestamptz,
  day_zone text DEFAULT 'Asia/Kolkata',
  queue_days integer DEFAULT 7,
  former_days integer DEFAULT 7
) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
-- compiling this costs 400 ms, running it 150 ms over 10 million rows
SET jit = off AS $$
DECLARE
  -- decisions have an as_of too, so this one gets a name of its own
  present CONSTANT timestamptz := as_of;
  midnight CONSTANT timestamp := pg_catalog.date_trunc('day', present AT TIME ZONE day_zone);
  day_started_at CONSTANT timestamptz := midnight AT TIME ZONE day_zone;
  day_ends_at CONSTANT timestamptz := (midnight + interval '1 day') AT TIME ZONE day_zone;
  queued_since CONSTANT timestamptz := present - pg_catalog.make_interval(days => queue_days);
  time_of_day CONSTANT interval := (present AT TIME ZONE day_zone) - midnight;
BEGIN
  PERFORM post_audit.require_roles('capacity', 'sends');
  RETURN pg_catalog.jsonb_build_object(
    'as_of', present,
    'day', midnight::date,
    'day_started_at', day_started_at,
    'day_ends_at', day_ends_at,
    'channels', (
      SELECT coalesce(pg_catalog.jsonb_agg(
        pg_catalog.jsonb_build_object(
          'channel', c.channel,
          'daily_quota', c.daily_quota,
          'maximum_daily_quota', c.maximum_daily_quota,
          'batch_size', c.n8n_batch_size,
          'maximum_batch_size', c.maximum_batch_size,
          'rate_millipaise', c.rate_millipaise,
          'version', c.version,
          'used_today', coalesce(sent.today, 0),
          'first_sent_at', sent.first_at,
          'last_sent_at', latest.sent_at,
          'queued', coalesce(waiting.units, 0) + coalesce(not_yet.units, 0),
          'former_days', coalesce(sent.former, '[]'::jsonb),
          'hold', (
            SELECT pg_catalog.jsonb_build_object(
              'undone', h.undone, 'until', least(h.until, ends.at), 'decision_id', h.decision_id)
            FROM post_audit.holds AS h
            -- A new day is a new need: a raise that was taken back or declined stays so until its day ends.
            CROSS JOIN LATERAL (
              SELECT (pg_catalog.date_trunc('day', h.held_at AT TIME ZONE day_zone) + interval '1 day')
                AT TIME ZONE day_zone AS at
            ) AS ends
            WHERE h.subject = 'capacity:' || c.channel AND least(h.until, ends.at) > present
          )
        ) ORDER BY c.channel), '[]'::jsonb)
      FROM post_audit.capacity AS c
      CROSS JOIN LATERAL (
        SELECT
          pg_catalog.max(d.units) FILTER (WHERE d.ago = 0) AS today,
          pg_catalog.max(d.first_at) FILTER (WHERE d.ago = 0) AS first_at,
          pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object(
              'day', midnight::date - d.ago, 'used', d.units, 'used_by_this_time', coalesce(d.units_by_this_time, 0))
            ORDER BY d.ago DESC
          ) FILTER (WHERE d.ago > 0 AND d.units IS NOT NULL) AS former
        FROM (
          -- Day by day, each with its own ends: converting every row to local time takes four times as long.
          SELECT days.ago, day_sum.units, day_sum.units_by_this_time, day_sum.first_at
          FROM pg_catalog.generate_series(0, former_days) AS days (ago)
          CROSS JOIN LATERAL (
            SELECT midnight - pg_catalog.make_interval(days => days.ago) AS begins
          ) AS local
          CROSS JOIN LATERAL (
            SELECT
              pg_catalog.sum(coalesce(s.segments, 1)) AS units,
              pg_catalog.sum(coalesce(s.segments, 1)) FILTER (WHERE s.sent_at <= this_time.at) AS units_by_this_time,
              pg_catalog.min(s.sent_at) AS first_at
            FROM post_audit.sends AS s
            CROSS JOIN (SELECT (local.begins + time_of_day) AT TIME ZONE day_zone AS at) AS this_time
            WHERE s.channel = c.channel AND s.status <> 'queued' AND s.sent_at <= present
              AND s.sent_at >= local.begins AT TIME ZONE day_zone
              AND s.sent_at < (local.begins + interval '1 day') AT TIME ZONE day_zone
          ) AS day_sum
        ) AS d
      ) AS sent
      LEFT JOIN LATERAL (
        SELECT s.sent_at
        FROM post_audit.sends AS s
        WHERE s.channel = c.channel AND s.sent_at <= present AND s.status <> 'queued'
        ORDER BY s.sent_at DESC
        LIMIT 1
      ) AS latest ON true
      CROSS JOIN LATERAL (
        SELECT pg_catalog.sum(coalesce(s.segments, 1)) AS units
        FROM post_audit.sends AS s
        WHERE s.channel = c.channel AND s.status = 'queued'
          -- a bound table may not tell since when; its waiting messages count all the same
          AND (s.queued_at IS NULL OR (s.queued_at > queued_since AND s.queued_at <= present))
      ) AS waiting
      -- Sent after `as_of` but queued before it: at that moment it was waiting. None in a live run.
      CROSS JOIN LATERAL (
        SELECT pg_catalog.sum(coalesce(s.segments, 1)) AS units
        FROM post_audit.sends AS s
        WHERE s.channel = c.channel AND s.status <> 'queued'
          AND s.sent_at > present AND s.sent_at <= present + pg_catalog.make_interval(days => queue_days)
          AND s.queued_at > queued_since AND s.queued_at <= present
      ) AS not_yet
    ),
    'alerted', (
      SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT o.subject), '[]'::jsonb)
      FROM post_audit.decisions AS d
      JOIN post_audit.outbox AS o ON o.decision_id = d.id
      WHERE d.step = 'infrastructure' AND o.channel = 'telegram' AND d.as_of >= day_started_at AND d.as_of <= present
    )
  );
END
$$;

-- Set a channel's daily quota and batch size where they still are what the decision saw. The same for the way
-- back. A maximum that was lowered meanwhile is a moved state too.
CREATE FUNCTION post_audit.change_capacity(
  key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  subject CONSTANT text := 'capacity:' || key;
  wanted_quota CONSTANT integer := (wanted ->> 'daily_quota')::integer;
  wanted_batch CONSTANT integer := (wanted ->> 'batch_size')::integer;
  present record;
  state jsonb;
BEGIN
  IF wanted_quota IS NULL OR wanted_batch IS NULL OR wanted_quota < 0 OR wanted_batch < 1
    OR wanted - ARRAY['daily_quota', 'batch_size'] <> '{}'::jsonb
  THEN
    RAISE EXCEPTION 'A change of % needs a daily_quota and a batch_size and nothing else; it has %.', subject, wanted
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  SELECT c.daily_quota, c.maximum_daily_quota, c.n8n_batch_size, c.maximum_batch_size
  INTO present
  FROM post_audit.capacity AS c
  WHERE c.channel = key
  FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM post_audit.refuse_moved(subject, expected, NULL);
  END IF;

  state := pg_catalog.jsonb_build_object('daily_quota', present.daily_quota, 'batch_size', present.n8n_batch_size);
  IF NOT state @> expected THEN
    PERFORM post_audit.refuse_moved(subject, expected, state);
  END IF;
  IF wanted_quota > greatest(present.maximum_daily_quota, present.daily_quota)
    OR wanted_batch > greatest(present.maximum_batch_size, present.n8n_batch_size)
  THEN
    PERFORM post_audit.refuse_moved(subject, wanted, state || pg_catalog.jsonb_build_object(
      'maximum_daily_quota', present.maximum_daily_quota, 'maximum_batch_size', present.maximum_batch_size));
  END IF;

  UPDATE post_audit.capacity AS c
  SET daily_quota = wanted_quota,
    n8n_batch_size = wanted_batch,
    version = change_capacity.version,
    updated_at = post_audit.clock()
  WHERE c.channel = key;
END
$$;

-- ---- 42_fake_data.sql ----

-- Step fake_data: what is in quarantine, the lists of invented rows that users register, and the step's facts.
-- 42_fake_data_quarantine.sql moves suppliers there and back.

CREATE TABLE IF NOT EXISTS post_audit.seed_files (
  name text PRIMARY KEY,
  registered_by text NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Only hashes: a list of invented people may hold real ones by mistake.
CREATE TABLE IF NOT EXISTS post_audit.seed_fingerprints (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  seed text NOT NULL REFERENCES post_audit.seed_files (name) ON DELETE CASCADE,
  name_print bytea NOT NULL,
  -- of the name together with the contact, so that a short phone number cannot be found by trying all
  email_print bytea,
  phone_print bytea
);
CREATE INDEX IF NOT EXISTS seed_fingerprints_seed ON post_audit.seed_fingerprints (seed);
CREATE INDEX IF NOT EXISTS seed_fingerprints_name ON post_audit.seed_fingerprints (name_print);

CREATE TABLE IF NOT EXISTS post_audit.quarantined_suppliers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject text NOT NULL,
  supplier_key text NOT NULL,
  name text,
  relation text NOT NULL,
  digest text NOT NULL,
  evidence jsonb NOT NULL DEFAULT '[]',
  version bigint NOT NULL,
  decision_id bigint NOT NULL REFERENCES post_audit.decisions (id),
  quarantined_at timestamptz NOT NULL,
  restored_at timestamptz,
  restored_by bigint REFERENCES post_audit.decisions (id),
  note text
);
CREATE UNIQUE INDEX IF NOT EXISTS quarantined_suppliers_present ON post_audit.quarantined_suppliers (subject) WHERE restored_at IS NULL;
CREATE INDEX IF NOT EXISTS quarantined_suppliers_decision ON post_audit.quarantined_suppliers (decision_id);
CREATE INDEX IF NOT EXISTS quarantined_suppliers_restored_by ON post_audit.quarantined_suppliers (restored_by);

CREATE TABLE IF NOT EXISTS post_audit.quarantined_rows (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  quarantine_id bigint NOT NULL REFERENCES post_audit.quarantined_suppliers (id),
  relation text NOT NULL,
  -- how far from the supplier: removed from the largest on, put back from the smallest on
  rank integer NOT NULL,
  -- removed: kept here alone. detached: still in its table, with its reference taken out (ON DELETE SET NULL or DEFAULT)
  action text NOT NULL CHECK (action IN ('removed', 'detached')),
  row_text text NOT NULL,
  -- what a detached row looked like afterwards, and which columns were set to what
  after_text text,
  detached jsonb,
  -- whether somebody else has changed a detached row before its reference was given back
  is_touched boolean NOT NULL DEFAULT false,
  signature text NOT NULL,
  -- where the row stood, so that one that is reached on two ways is kept once
  place_table oid NOT NULL,
  place tid NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS quarantined_rows_place
  ON post_audit.quarantined_rows (quarantine_id, relation, place_table, place);

-- ---- Facts ----

CREATE FUNCTION post_audit.row_digest(row_text text) RETURNS text
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(row_text, 'UTF8')), 'hex'), 32);

-- What two writings of one name, address or number have in common. Null where there is too little to tell rows apart.
CREATE FUNCTION post_audit.seed_print(name text, contact text DEFAULT NULL, kind text DEFAULT 'name') RETURNS bytea
LANGUAGE plpgsql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  plain CONSTANT text := pg_catalog.lower(pg_catalog.regexp_replace(coalesce(name, ''), '[[:space:][:punct:]]+', '', 'g'));
  key text;
BEGIN
  key := CASE kind
    WHEN 'name' THEN ''
    WHEN 'email' THEN pg_catalog.lower(pg_catalog.btrim(contact))
    WHEN 'phone' THEN pg_catalog.right(pg_catalog.regexp_replace(contact, '[^0-9]+', '', 'g'), 10) END;
  IF plain = '' OR key IS NULL OR (kind = 'email' AND key NOT LIKE '%@%') OR (kind = 'phone' AND pg_catalog.length(key) < 7) THEN
    RETURN NULL;
  END IF;
  RETURN pg_catalog.sha256(pg_catalog.convert_to(kind || ':' || plain || ':' || key, 'UTF8'));
END
$$;

-- The user's own name of one column of a role; null where the bound relation has none.
CREATE FUNCTION post_audit.bound_column(role text, column_name text) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT a.attname::text
  FROM post_audit.bindings AS b
  CROSS JOIN LATERAL (SELECT b.columns -> bound_column.column_name AS value) AS mapped
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = to_regclass(b.relation) AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attname = CASE pg_catalog.jsonb_typeof(mapped.value)
      WHEN 'string' THEN mapped.value #>> '{}' WHEN 'object' THEN mapped.value ->> 'column' ELSE bound_column.column_name END
  WHERE b.role = bound_column.role;
END;

-- Why rows of the bound relation cannot be taken out and put back; empty when they can.
CREATE FUNCTION post_audit.quarantine_obstacle() RETURNS text
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  relation CONSTANT regclass := (SELECT pg_catalog.to_regclass(b.relation) FROM post_audit.bindings AS b WHERE b.role = 'suppliers');
  kind "char";
BEGIN
  SELECT c.relkind INTO kind FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
  IF kind NOT IN ('r', 'p') THEN
    RETURN pg_catalog.format('%s is not a table', relation);
  END IF;
  IF NOT pg_catalog.has_table_privilege(relation, 'SELECT') OR NOT pg_catalog.has_table_privilege(relation, 'UPDATE')
    OR NOT pg_catalog.has_table_privilege(relation, 'DELETE') OR NOT pg_catalog.has_table_privilege(relation, 'INSERT')
  THEN
    RETURN pg_catalog.format('%s may not insert, update and delete in %s', current_user, relation);
  END IF;
  RETURN '';
END
$$;

-- One page of suppliers with what bears on whether they are real: contacts, a digest of the row as it is, how many
-- claims and earnings hang on it, which registered seed row it repeats, and until when a person wants it left alone.
CREATE FUNCTION public.post_audit_read_fake_data(as_of timestamptz, after text DEFAULT NULL, "limit" integer DEFAULT 5000)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET extra_float_digits = '1' SET bytea_output = 'hex' AS $$
DECLARE
  relation text;
  key_column text;
  key_type text;
  counted text := '';
  role text;
  theirs text;
  seeds CONSTANT bigint := (SELECT pg_catalog.count(*) FROM post_audit.seed_fingerprints);
  answer jsonb;
BEGIN
  PERFORM post_audit.require_roles('suppliers', 'claims', 'earnings');
  IF "limit" IS NULL OR "limit" NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'A page has 1 to 10000 rows, not %.', "limit"
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Ask for 5000 rows and go on from the key that `next` names.';
  END IF;
  SELECT pg_catalog.to_regclass(b.relation)::text INTO relation FROM post_audit.bindings AS b WHERE b.role = 'suppliers';
  key_column := post_audit.bound_column('suppliers', 'id');
  SELECT pg_catalog.format_type(a.atttypid, NULL) INTO key_type
  FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'post_audit.suppliers'::regclass AND a.attname = 'id';

  FOREACH role IN ARRAY ARRAY['claims', 'earnings'] LOOP
    SELECT pg_catalog.format_type(a.atttypid, NULL) INTO theirs
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = pg_catalog.to_regclass('post_audit.' || role) AND a.attname = 'supplier_id';
    -- Keys of two types meet as text; of one type they meet through the index.
    counted := counted || pg_catalog.format(
      CASE WHEN theirs = key_type THEN
        ' LEFT JOIN (SELECT h.supplier_id AS id, pg_catalog.count(*) AS n FROM post_audit.%1$I AS h
           WHERE h.supplier_id = ANY (ARRAY(SELECT p.id FROM page AS p)) GROUP BY h.supplier_id) AS %1$I ON %1$I.id = p.id'
      ELSE
        ' LEFT JOIN (SELECT h.supplier_id::text AS id, pg_catalog.count(*) AS n FROM post_audit.%1$I AS h
           WHERE h.supplier_id::text = ANY (ARRAY(SELECT p.id::text FROM page AS p)) GROUP BY 1) AS %1$I ON %1$I.id = p.id::text'
      END, role);
  END LOOP;

  EXECUTE pg_catalog.format($query$
    WITH page AS MATERIALIZED (
      SELECT * FROM post_audit.suppliers AS v WHERE $1 IS NULL OR v.id > $1::%1$s ORDER BY v.id LIMIT $2
    ), known AS (
      SELECT p.id AS ordered, p.id::text AS id, p.name, p.email, p.phone, p.website, p.city, p.state, p.gstin,
        post_audit.row_digest((b.*)::text) AS digest,
        coalesce(claims.n, 0) AS claims, coalesce(earnings.n, 0) AS earnings,
        coalesce(pg_catalog.lower(p.claim_status), 'unclaimed') NOT IN ('', 'unclaimed') OR p.claimed_by IS NOT NULL OR p.claimed_at IS NOT NULL AS claimed,
        %2$s AS seed
      FROM page AS p JOIN %3$s AS b ON b.%4$I = p.id %5$s
    )
    SELECT pg_catalog.jsonb_build_object(
      'columns', pg_catalog.jsonb_build_object(
        'id', coalesce(pg_catalog.jsonb_agg(k.id ORDER BY k.ordered), '[]'),
        'name', coalesce(pg_catalog.jsonb_agg(k.name ORDER BY k.ordered), '[]'),
        'email', coalesce(pg_catalog.jsonb_agg(k.email ORDER BY k.ordered), '[]'),
        'phone', coalesce(pg_catalog.jsonb_agg(k.phone ORDER BY k.ordered), '[]'),
        'website', coalesce(pg_catalog.jsonb_agg(k.website ORDER BY k.ordered), '[]'),
        'city', coalesce(pg_catalog.jsonb_agg(k.city ORDER BY k.ordered), '[]'),
        'state', coalesce(pg_catalog.jsonb_agg(k.state ORDER BY k.ordered), '[]'),
        'gstin', coalesce(pg_catalog.jsonb_agg(k.gstin ORDER BY k.ordered), '[]'),
        'digest', coalesce(pg_catalog.jsonb_agg(k.digest ORDER BY k.ordered), '[]'),
        'claims', coalesce(pg_catalog.jsonb_agg(k.claims ORDER BY k.ordered), '[]'),
        'earnings', coalesce(pg_catalog.jsonb_agg(k.earnings ORDER BY k.ordered), '[]'),
        'claimed', coalesce(pg_catalog.jsonb_agg(k.claimed ORDER BY k.ordered), '[]'),
        'seed', coalesce(pg_catalog.jsonb_agg(k.seed ORDER BY k.ordered), '[]'),
        -- a hold ends with its time, or when the row is no longer the one that was held
        'held_until', coalesce(pg_catalog.jsonb_agg(h.until ORDER BY k.ordered), '[]')),
      'next', CASE WHEN pg_catalog.count(*) = $2 THEN (pg_catalog.array_agg(k.id ORDER BY k.ordered DESC))[1] END)
    FROM known AS k
    LEFT JOIN post_audit.holds AS h ON h.subject = 'supplier:' || k.id AND h.until > $3
      AND h.undone ->> 'state' = 'quarantined' AND h.undone ->> 'digest' = k.digest
    $query$,
    key_type,
    CASE WHEN seeds = 0 THEN 'NULL::text' ELSE $seed$(
      SELECT CASE WHEN e.same AND t.same THEN 'name_email_phone' WHEN e.same THEN 'name_email' WHEN t.same THEN 'name_phone' ELSE 'name' END
      FROM post_audit.seed_fingerprints AS s
      CROSS JOIN LATERAL (SELECT coalesce(s.email_print = post_audit.seed_print(p.name, p.email, 'email'), false) AS same) AS e
      CROSS JOIN LATERAL (SELECT coalesce(s.phone_print = post_audit.seed_print(p.name, p.phone, 'phone'), false) AS same) AS t
      WHERE s.name_print = post_audit.seed_print(p.name)
      ORDER BY e.same::integer + t.same::integer DESC LIMIT 1)$seed$ END,
    relation, key_column, counted) INTO answer USING after, "limit", as_of;

  RETURN answer || pg_catalog.jsonb_build_object(
    'obstacle', post_audit.quarantine_obstacle(),
    'seeds', seeds,
    'quarantined', (SELECT pg_catalog.count(*) FROM post_audit.quarantined_suppliers AS q WHERE q.restored_at IS NULL),
    'alerted', (
      SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT o.subject), '[]')
      FROM post_audit.decisions AS d JOIN post_audit.outbox AS o ON o.decision_id = d.id
      WHERE d.step = 'fake_data' AND o.channel = 'telegram' AND d.as_of > post_audit_read_fake_data.as_of - interval '7 days'));
END
$$;

-- Register rows that are known to be invented: a marketplace's own seed file, what its mock generator wrote. Given again
-- under the same name it replaces the former list, and an empty list forgets it. Long lists come in parts, with `append`.
CREATE FUNCTION public.post_audit_apply_seed_rows(name text, rows jsonb, actor text, append boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF coalesce(pg_catalog.btrim(name), '') = '' OR pg_catalog.jsonb_typeof(rows) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'A list of seed rows needs a name and an array of rows.'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give rows as [{"name": ..., "email": ..., "phone": ...}].';
  END IF;
  IF pg_catalog.jsonb_array_length(rows) > 20000 THEN
    RAISE EXCEPTION 'A call takes at most 20000 seed rows, not %.', pg_catalog.jsonb_array_length(rows)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the list in parts, all but the first with append.';
  END IF;
  IF EXISTS (
    SELECT 1 FROM pg_catalog.jsonb_array_elements(rows) AS r (value)
    WHERE post_audit.seed_print(CASE WHEN pg_catalog.jsonb_typeof(r.value) = 'object' THEN r.value ->> 'name' END) IS NULL
  ) THEN
    RAISE EXCEPTION 'A seed row has no name; nothing was registered.'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Every row needs a name, and an e-mail or a phone to count for more than a hint.';
  END IF;

  IF NOT append OR pg_catalog.jsonb_array_length(rows) = 0 THEN
    DELETE FROM post_audit.seed_files AS f WHERE f.name = post_audit_apply_seed_rows.name;
  END IF;
  IF pg_catalog.jsonb_array_length(rows) > 0 THEN
    INSERT INTO post_audit.seed_files AS f (name, registered_by) VALUES (post_audit_apply_seed_rows.name, actor)
    ON CONFLICT ON CONSTRAINT seed_files_pkey DO UPDATE SET registered_by = EXCLUDED.registered_by, registered_at = clock_timestamp();
    INSERT INTO post_audit.seed_fingerprints (seed, name_print, email_print, phone_print)
    SELECT DISTINCT post_audit_apply_seed_rows.name, post_audit.seed_print(r.value ->> 'name'),
      post_audit.seed_print(r.value ->> 'name', r.value ->> 'email', 'email'),
      post_audit.seed_print(r.value ->> 'name', r.value ->> 'phone', 'phone')
    FROM pg_catalog.jsonb_array_elements(rows) AS r (value);
  END IF;
  RETURN (
    SELECT pg_catalog.jsonb_build_object('seed', post_audit_apply_seed_rows.name, 'rows', pg_catalog.count(*),
      'without_contact', pg_catalog.count(*) FILTER (WHERE s.email_print IS NULL AND s.phone_print IS NULL))
    FROM post_audit.seed_fingerprints AS s WHERE s.seed = post_audit_apply_seed_rows.name);
END
$$;

-- ---- 42_fake_data_quarantine.sql ----

-- Step fake_data: reversible quarantine of suppliers.
--
-- A supplier is taken out whole or not at all: its row and everything that hangs on it by foreign keys is kept as text,
-- with the names and types of the columns, and only then deleted, in the one subtransaction of its change. The way back
-- inserts those texts, parents first, and compares what then stands in the tables with what was kept, byte by byte.
-- Text depends on a few settings, so every function that writes or compares it pins them.

-- ---- What hangs on a supplier ----

-- A table as quarantine needs it: the signature of its columns, its key, the columns that can be inserted and set.
-- Names are quoted already. `key` is empty for a table whose rows nothing tells apart.
CREATE FUNCTION post_audit.relation_shape(relation regclass) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT pg_catalog.jsonb_build_object(
    'relation', relation_shape.relation::text,
    'signature', pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum),
    'insertable', coalesce(pg_catalog.jsonb_agg(pg_catalog.quote_ident(a.attname) ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''), '[]'),
    'settable', coalesce(pg_catalog.jsonb_agg(pg_catalog.quote_ident(a.attname) ORDER BY a.attnum)
      FILTER (WHERE a.attgenerated = '' AND a.attidentity <> 'a'), '[]'),
    'key', coalesce((
      SELECT pg_catalog.jsonb_agg(pg_catalog.quote_ident(k.attname) ORDER BY k.attnum)
      FROM (
        SELECT (i.indkey::smallint[])[0:i.indnkeyatts - 1] AS keys FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = relation_shape.relation AND i.indisunique AND i.indimmediate AND i.indisvalid
          AND i.indpred IS NULL AND i.indexprs IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_attribute AS n
            WHERE n.attrelid = i.indrelid AND n.attnum = ANY (i.indkey::smallint[]) AND NOT n.attnotnull)
        ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1
      ) AS chosen
      JOIN pg_catalog.pg_attribute AS k ON k.attrelid = relation_shape.relation AND k.attnum = ANY (chosen.keys)
    ), '[]'))
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = relation_shape.relation AND a.attnum > 0 AND NOT a.attisdropped;
END;

-- The kept rows of one table as records `k.r`, found again in it as `c`.
CREATE FUNCTION post_audit.kept_rows_join(shape jsonb, action text) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN pg_catalog.format(
  '(SELECT q.id, q.row_text, q.is_touched, q.row_text::%1$s AS r FROM post_audit.quarantined_rows AS q
     WHERE q.quarantine_id = $1 AND q.relation = %2$L AND q.action = %3$L ORDER BY q.id OFFSET 0) AS k',
  shape ->> 'relation', shape ->> 'relation', action);

CREATE FUNCTION post_audit.kept_rows_match(shape jsonb) RETURNS text
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (
  SELECT pg_catalog.string_agg(pg_catalog.format('c.%1$s = (k.r).%1$s', column_name), ' AND ')
  FROM pg_catalog.jsonb_array_elements_text(shape -> 'key') AS key (column_name)
);

-- The recursive closure of foreign keys from the suppliers' table on, with every statement that takes a supplier out,
-- ready to run. Made once a transaction: reading the catalogue takes longer than moving a supplier.
CREATE FUNCTION post_audit.quarantine_plan() RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  cached CONSTANT jsonb := nullif(pg_catalog.current_setting('post_audit.quarantine_plan', true), '')::jsonb;
  transaction CONSTANT text := pg_catalog.pg_current_xact_id()::text;
  root CONSTANT regclass := (SELECT pg_catalog.to_regclass(b.relation) FROM post_audit.bindings AS b WHERE b.role = 'suppliers');
  root_key CONSTANT text := post_audit.bound_column('suppliers', 'id');
  key_type text;
  edge record;
  shapes jsonb := '{}';
  shape jsonb;
  ranks jsonb;
  edges jsonb := '[]';
  columns text;
  condition text;
  is_cyclic boolean := false;
  has_changed boolean;
  pass integer := 0;
  plan jsonb;
BEGIN
  IF cached ->> 'transaction' = transaction THEN
    RETURN cached;
  END IF;
  SELECT pg_catalog.format_type(a.atttypid, NULL) INTO key_type
  FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = root AND a.attname = root_key;

  -- Foreign keys that are reached from the suppliers, not going on behind those that only let go (SET NULL, SET DEFAULT).
  -- Claims and earnings belong to their supplier even where no foreign key says so; and so does what is in tables of ours,
  -- whose foreign keys end where suppliers are somebody's own (follow_supplier_ids): what was sent stays, and forgets to whom.
  FOR edge IN
    WITH RECURSIVE links AS (
      SELECT c.confrelid AS parent, c.conrelid AS child, c.confdeltype::text AS on_delete,
        ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place) AS child_columns,
        ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.number ORDER BY k.place) AS parent_columns,
        ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(coalesce(c.confdelsetcols, c.conkey)) AS k (number)
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number) AS cleared_columns,
        false AS by_text
      FROM pg_catalog.pg_constraint AS c
      WHERE c.contype = 'f' AND c.conparentid = 0
      UNION ALL
      SELECT root, pg_catalog.to_regclass(b.relation), CASE b.role WHEN 'sends' THEN 'n' ELSE 'a' END,
        ARRAY[a.attname::text], ARRAY[root_key], CASE b.role WHEN 'sends' THEN ARRAY[a.attname::text] ELSE '{}' END,
        pg_catalog.format_type(a.atttypid, NULL) <> key_type
      FROM post_audit.bindings AS b
      JOIN pg_catalog.pg_class AS r ON r.oid = pg_catalog.to_regclass(b.relation) AND r.relkind IN ('r', 'p')
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attname = post_audit.bound_column(b.role, 'supplier_id')
      WHERE (b.role IN ('claims', 'earnings') OR (b.is_reference AND b.role IN ('invites', 'opt_outs', 'sends'))) AND NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_constraint AS c
        WHERE c.contype = 'f' AND c.conrelid = r.oid AND c.confrelid = root AND c.conkey = ARRAY[a.attnum])
    ), reached AS (
      SELECT root::oid AS relation
      UNION
      SELECT l.child FROM links AS l JOIN reached AS r ON r.relation = l.parent WHERE l.on_delete NOT IN ('n', 'd')
    )
    SELECT l.* FROM links AS l WHERE l.parent IN (SELECT r.relation FROM reached AS r)
  LOOP
    columns := (SELECT pg_catalog.string_agg(pg_catalog.format('p.%I', c.name), ', ' ORDER BY c.place)
      FROM pg_catalog.unnest(edge.parent_columns) WITH ORDINALITY AS c (name, place));
    condition := CASE
      WHEN edge.by_text THEN pg_catalog.format('c.%I::text = $2', edge.child_columns[1])
      WHEN edge.parent = root AND edge.parent_columns = ARRAY[root_key] AND edge.child <> root
        THEN pg_catalog.format('c.%I = $2::%s', edge.child_columns[1], key_type)
      ELSE pg_catalog.format(
        '(%1$s) IN (SELECT %2$s FROM %3$s AS p WHERE p.ctid = ANY (ARRAY(
            SELECT q.place FROM post_audit.quarantined_rows AS q
            WHERE q.quarantine_id = $1 AND q.relation = %4$L AND q.action = ''removed''))
          AND EXISTS (SELECT 1 FROM post_audit.quarantined_rows AS q
            WHERE q.quarantine_id = $1 AND q.relation = %4$L AND q.place_table = p.tableoid AND q.place = p.ctid))',
        (SELECT pg_catalog.string_agg(pg_catalog.format('c.%I', c.name), ', ' ORDER BY c.place)
          FROM pg_catalog.unnest(edge.child_columns) WITH ORDINALITY AS c (name, place)),
        columns, edge.parent::regclass, edge.parent::regclass::text) END;
    edges := edges || pg_catalog.jsonb_build_object(
      'parent', edge.parent::regclass::text, 'child', edge.child::regclass::text, 'condition', condition,
      'cleared', CASE WHEN edge.on_delete IN ('n', 'd') THEN (
        SELECT pg_catalog.jsonb_object_agg(pg_catalog.quote_ident(c.name), CASE edge.on_delete WHEN 'n' THEN 'NULL' ELSE 'DEFAULT' END)
        FROM pg_catalog.unnest(edge.cleared_columns) AS c (name)) END);
    shapes := shapes || pg_catalog.jsonb_build_object(edge.child::regclass::text, post_audit.relation_shape(edge.child));
  END LOOP;
  -- A supplier is known by the column that the binding names.
  shapes := shapes || pg_catalog.jsonb_build_object(root::text,
    post_audit.relation_shape(root) || pg_catalog.jsonb_build_object('key', pg_catalog.jsonb_build_array(pg_catalog.quote_ident(root_key))));

  -- The rank of a table is its longest way from the suppliers. On a circle there is none, and the search is ended.
  ranks := pg_catalog.jsonb_build_object(root::text, 0);
  LOOP
    has_changed := false;
    pass := pass + 1;
    FOR edge IN SELECT e.value ->> 'parent' AS parent, e.value ->> 'child' AS child
      FROM pg_catalog.jsonb_array_elements(edges) AS e WHERE e.value -> 'cleared' = 'null'
    LOOP
      IF edge.parent = edge.child THEN
        is_cyclic := true;
      ELSIF ranks ? edge.parent AND coalesce((ranks ->> edge.child)::integer, -1) <= (ranks ->> edge.parent)::integer THEN
        ranks := ranks || pg_catalog.jsonb_build_object(edge.child, (ranks ->> edge.parent)::integer + 1);
        has_changed := true;
      END IF;
    END LOOP;
    EXIT WHEN NOT has_changed;
    IF pass > (SELECT pg_catalog.count(*) FROM pg_catalog.jsonb_object_keys(shapes)) THEN
      is_cyclic := true;
      EXIT;
    END IF;
  END LOOP;

  plan := pg_catalog.jsonb_build_object(
    'transaction', transaction, 'root', root::text, 'shapes', shapes, 'is_cyclic', is_cyclic, 'ranks', ranks,
    'look', pg_catalog.format('SELECT (b.*)::text, b.tableoid, b.ctid FROM %s AS b WHERE b.%I = $1::%s FOR UPDATE', root, root_key, key_type),
    'count', (
      SELECT pg_catalog.format('SELECT v.name, %s FROM post_audit.suppliers AS v WHERE v.id = $1::%s',
        pg_catalog.string_agg(pg_catalog.format('(SELECT pg_catalog.count(*) FROM post_audit.%I AS h WHERE %s)', r.role,
          CASE WHEN pg_catalog.format_type(a.atttypid, NULL) = key_type
            THEN pg_catalog.format('h.supplier_id = $1::%s', key_type) ELSE 'h.supplier_id::text = $1' END), ', ' ORDER BY r.role), key_type)
      FROM pg_catalog.unnest(ARRAY['claims', 'earnings']) AS r (role)
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = pg_catalog.to_regclass('post_audit.' || r.role) AND a.attname = 'supplier_id'),
    'edges', (
      SELECT coalesce(pg_catalog.jsonb_agg(e.value || pg_catalog.jsonb_build_object('take', pg_catalog.format(
        'INSERT INTO post_audit.quarantined_rows AS kept
           (quarantine_id, relation, rank, action, row_text, detached, signature, place_table, place)
         SELECT $1, %1$L, %2$s, %3$L, (c.*)::text, %4$L::jsonb, %5$L, c.tableoid, c.ctid FROM %1$s AS c WHERE %6$s FOR UPDATE OF c
         ON CONFLICT (quarantine_id, relation, place_table, place) %7$s',
        e.value ->> 'child', coalesce((ranks ->> (e.value ->> 'child'))::integer, 0),
        CASE WHEN e.value -> 'cleared' = 'null' THEN 'removed' ELSE 'detached' END, nullif(e.value -> 'cleared', 'null'),
        shapes -> (e.value ->> 'child') ->> 'signature', e.value ->> 'condition',
        CASE WHEN e.value -> 'cleared' = 'null' THEN 'DO NOTHING'
          ELSE 'DO UPDATE SET detached = kept.detached || EXCLUDED.detached WHERE kept.action = ''detached''' END))
        ORDER BY (ranks ->> (e.value ->> 'parent'))::integer, e.value ->> 'child', e.value ->> 'condition'), '[]')
      FROM pg_catalog.jsonb_array_elements(edges) AS e),
    'removals', (
      SELECT pg_catalog.jsonb_object_agg(s.key, CASE WHEN s.value -> 'key' = '[]' THEN pg_catalog.format(
          'DELETE FROM %1$s AS c USING post_audit.quarantined_rows AS q
           WHERE q.quarantine_id = $1 AND q.relation = %1$L AND q.action = ''removed'' AND c.ctid = q.place AND c.tableoid = q.place_table', s.key)
        ELSE pg_catalog.format('DELETE FROM %s AS c USING %s WHERE %s',
          s.key, post_audit.kept_rows_join(s.value, 'removed'), post_audit.kept_rows_match(s.value)) END)
      FROM pg_catalog.jsonb_each(shapes) AS s));
  PERFORM pg_catalog.set_config('post_audit.quarantine_plan', plan::text, true);
  RETURN plan;
END
$$;

CREATE FUNCTION post_audit.refuse_quarantine(subject text, because text, hint text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RAISE EXCEPTION '%: %; nothing was done.', subject, because USING ERRCODE = 'PT409', HINT = hint;
END
$$;

-- ---- There ----

CREATE FUNCTION post_audit.quarantine_supplier(key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET extra_float_digits = '1' SET bytea_output = 'hex' AS $$
DECLARE
  -- More than this hanging on one supplier is no placeholder, and would not fit into a call of two seconds.
  most_rows CONSTANT integer := 5000;
  the_subject CONSTANT text := 'supplier:' || key;
  plan CONSTANT jsonb := post_audit.quarantine_plan();
  root CONSTANT text := plan ->> 'root';
  row_text text;
  place_table oid;
  place tid;
  supplier_name text;
  claims bigint;
  earnings bigint;
  present jsonb;
  entry_id bigint;
  edge jsonb;
  touched text[] := ARRAY[root];
  added integer;
  total integer := 1;
  removed integer;
  entry record;
BEGIN
  EXECUTE plan ->> 'look' INTO row_text, place_table, place USING key;
  IF row_text IS NULL THEN
    PERFORM post_audit.refuse_moved(the_subject, expected - 'evidence', NULL);
  END IF;
  EXECUTE plan ->> 'count' INTO supplier_name, claims, earnings USING key;
  present := pg_catalog.jsonb_build_object(
    'state', 'live', 'digest', post_audit.row_digest(row_text), 'claims', claims, 'earnings', earnings);
  IF NOT present @> (expected - 'evidence') THEN
    PERFORM post_audit.refuse_moved(the_subject, expected - 'evidence', present);
  END IF;

  INSERT INTO post_audit.quarantined_suppliers
    (subject, supplier_key, name, relation, digest, evidence, version, decision_id, quarantined_at)
  VALUES (the_subject, key, supplier_name, root, present ->> 'digest', coalesce(wanted -> 'evidence', '[]'),
    quarantine_supplier.version, quarantine_supplier.decision_id, post_audit.clock())
  RETURNING id INTO entry_id;
  INSERT INTO post_audit.quarantined_rows (quarantine_id, relation, rank, action, row_text, signature, place_table, place)
  VALUES (entry_id, root, 0, 'removed', row_text, plan -> 'shapes' -> root ->> 'signature', place_table, place);

  -- Keep all that hangs on it. One pass is enough unless tables refer to one another in a circle.
  LOOP
    added := 0;
    FOR edge IN SELECT e.value FROM pg_catalog.jsonb_array_elements(plan -> 'edges') AS e WHERE e.value -> 'cleared' = 'null' LOOP
      CONTINUE WHEN NOT (edge ->> 'parent' = ANY (touched));
      EXECUTE edge ->> 'take' USING entry_id, key;
      GET DIAGNOSTICS removed = ROW_COUNT;
      IF removed > 0 THEN
        added := added + removed;
        touched := CASE WHEN edge ->> 'child' = ANY (touched) THEN touched ELSE touched || (edge ->> 'child') END;
      END IF;
    END LOOP;
    total := total + added;
    IF total > most_rows THEN
      PERFORM post_audit.refuse_quarantine(the_subject, pg_catalog.format('more than %s rows hang on it', most_rows),
        'Look at it by hand: that much use is rare for an invented supplier.');
    END IF;
    EXIT WHEN added = 0 OR NOT (plan ->> 'is_cyclic')::boolean;
  END LOOP;
  IF EXISTS (
    SELECT 1 FROM post_audit.quarantined_rows AS q
    WHERE q.quarantine_id = entry_id AND q.relation = root OFFSET 1
  ) THEN
    PERFORM post_audit.refuse_quarantine(the_subject, 'another supplier hangs on it',
      'Point the other supplier elsewhere first, or take that one out before.');
  END IF;

  -- Let go what only refers to it. All are kept before the first is changed, for one row may refer twice.
  FOR edge IN SELECT e.value FROM pg_catalog.jsonb_array_elements(plan -> 'edges') AS e WHERE e.value -> 'cleared' <> 'null' LOOP
    CONTINUE WHEN NOT (edge ->> 'parent' = ANY (touched));
    EXECUTE edge ->> 'take' USING entry_id, key;
  END LOOP;
  FOR entry IN
    SELECT q.relation, q.detached, pg_catalog.count(*) AS n FROM post_audit.quarantined_rows AS q
    WHERE q.quarantine_id = entry_id AND q.action = 'detached'
    GROUP BY q.relation, q.detached
  LOOP
    EXECUTE pg_catalog.format(
      'WITH let_go AS (
         UPDATE %1$s AS c SET %2$s FROM post_audit.quarantined_rows AS q
         WHERE q.quarantine_id = $1 AND q.relation = %1$L AND q.action = ''detached'' AND q.detached = $2
           AND c.ctid = q.place AND c.tableoid = q.place_table
         RETURNING q.id, (c.*)::text AS after_text
       ) UPDATE post_audit.quarantined_rows AS q SET after_text = l.after_text FROM let_go AS l WHERE q.id = l.id',
      entry.relation,
      (SELECT pg_catalog.string_agg(d.key || ' = ' || d.value, ', ') FROM pg_catalog.jsonb_each_text(entry.detached) AS d))
    USING entry_id, entry.detached;
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed <> entry.n THEN
      PERFORM post_audit.refuse_quarantine(the_subject, pg_catalog.format('%s keeps %s of %s references to it', entry.relation, entry.n - removed, entry.n),
        'A trigger or a policy of that table stands against it.');
    END IF;
  END LOOP;

  -- Children first.
  FOR entry IN
    SELECT q.relation, pg_catalog.count(*) AS n FROM post_audit.quarantined_rows AS q
    WHERE q.quarantine_id = entry_id AND q.action = 'removed'
    GROUP BY q.relation ORDER BY pg_catalog.max(q.rank) DESC, q.relation
  LOOP
    EXECUTE plan -> 'removals' ->> entry.relation USING entry_id;
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed <> entry.n THEN
      PERFORM post_audit.refuse_quarantine(the_subject, pg_catalog.format('%s gave up %s of %s rows', entry.relation, removed, entry.n),
        'A trigger or a policy of that table stands against it.');
    END IF;
  END LOOP;
END
$$;

-- ---- And back ----

-- Which kept rows of one table do not stand there as they were kept, and in which columns; null when all do.
CREATE FUNCTION post_audit.restored_differently(quarantine_id bigint, shape jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET extra_float_digits = '1' SET bytea_output = 'hex' AS $$
DECLARE
  difference text;
BEGIN
  EXECUTE pg_catalog.format(
    'SELECT CASE WHEN (c.*)::text IS NULL THEN ''a row is missing''
       ELSE coalesce(nullif(pg_catalog.array_to_string(ARRAY[%1$s], '', ''), ''''), ''a generated column'') END
     FROM %2$s LEFT JOIN %3$s AS c ON %4$s
     WHERE (c.*)::text IS DISTINCT FROM k.row_text LIMIT 1',
    (SELECT pg_catalog.string_agg(pg_catalog.format(
        'CASE WHEN (k.r).%1$s::text IS DISTINCT FROM c.%1$s::text THEN %1$L END', i.name), ', ')
      FROM pg_catalog.jsonb_array_elements_text(shape -> 'insertable') AS i (name)),
    post_audit.kept_rows_join(shape, 'removed'), shape ->> 'relation', post_audit.kept_rows_match(shape))
  INTO difference USING quarantine_id;
  RETURN difference;
END
$$;

-- Run a statement while no trigger of the user's stands in its way, and leave the triggers as they were. Only an owner
-- may do so.
CREATE FUNCTION post_audit.without_triggers(subject text, relation regclass, statement text, quarantine_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET extra_float_digits = '1' SET bytea_output = 'hex' AS $$
DECLARE
  triggers record;
  silenced jsonb := '[]';
BEGIN
  IF NOT (SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class AS c WHERE c.oid = relation) THEN
    PERFORM post_audit.refuse_quarantine(subject, pg_catalog.format('a trigger of %s changes what is put back', relation),
      pg_catalog.format('Restore it as the owner of %s, who may switch the trigger off for that moment.', relation));
  END IF;
  SET CONSTRAINTS ALL IMMEDIATE;
  FOR triggers IN
    SELECT t.tgname, t.tgenabled FROM pg_catalog.pg_trigger AS t
    WHERE t.tgrelid = relation AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE TRIGGER %I', relation, triggers.tgname);
    silenced := silenced || pg_catalog.to_jsonb(pg_catalog.format('ALTER TABLE %s ENABLE %s TRIGGER %I', relation,
      CASE triggers.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, triggers.tgname));
  END LOOP;
  EXECUTE statement USING quarantine_id;
  SET CONSTRAINTS ALL IMMEDIATE;
  FOR triggers IN SELECT s.value #>> '{}' AS again FROM pg_catalog.jsonb_array_elements(silenced) AS s LOOP
    EXECUTE triggers.again;
  END LOOP;
END
$$;

CREATE FUNCTION post_audit.restore_supplier(key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET extra_float_digits = '1' SET bytea_output = 'hex' AS $$
DECLARE
  the_subject CONSTANT text := 'supplier:' || key;
  plan CONSTANT jsonb := post_audit.quarantine_plan();
  kept post_audit.quarantined_suppliers;
  entry record;
  shape jsonb;
  shapes jsonb := '{}';
  names text;
  inserted integer;
  difference text;
  notes text[] := '{}';
  gone integer;
BEGIN
  SELECT * INTO kept FROM post_audit.quarantined_suppliers AS q
  WHERE q.subject = the_subject AND q.restored_at IS NULL FOR UPDATE;
  IF kept.id IS NULL OR kept.digest IS DISTINCT FROM coalesce(expected ->> 'digest', kept.digest) THEN
    PERFORM post_audit.refuse_moved(the_subject, expected - 'evidence',
      CASE WHEN kept.id IS NOT NULL THEN pg_catalog.jsonb_build_object('state', 'quarantined', 'digest', kept.digest) END);
  END IF;

  -- Parents first.
  FOR entry IN
    SELECT q.relation, q.action, pg_catalog.min(q.signature) AS signature, pg_catalog.count(*) AS n
    FROM post_audit.quarantined_rows AS q WHERE q.quarantine_id = kept.id
    GROUP BY q.relation, q.action ORDER BY q.action DESC, pg_catalog.max(q.rank), q.relation
  LOOP
    IF pg_catalog.to_regclass(entry.relation) IS NULL THEN
      PERFORM post_audit.refuse_quarantine(the_subject, pg_catalog.format('the table %s is gone', entry.relation),
        'What was kept stays in quarantine until the table is there again.');
    END IF;
    shape := coalesce(plan -> 'shapes' -> entry.relation, post_audit.relation_shape(pg_catalog.to_regclass(entry.relation)));
    IF shape ->> 'signature' <> entry.signature THEN
      PERFORM post_audit.refuse_quarantine(the_subject,
        pg_catalog.format('the columns of %s were (%s) and are (%s)', entry.relation, entry.signature, shape ->> 'signature'),
        'Put the columns back as they were, restore, and change them again.');
    END IF;
    CONTINUE WHEN entry.action = 'detached';
    shapes := shapes || pg_catalog.jsonb_build_object(entry.relation, shape);
    names := (SELECT pg_catalog.string_agg(i.name, ', ') FROM pg_catalog.jsonb_array_elements_text(shape -> 'insertable') AS i (name));
    EXECUTE pg_catalog.format(
      'WITH back AS (INSERT INTO %1$s AS c (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM %4$s RETURNING (c.*)::text AS row_text)
       SELECT pg_catalog.count(*) FROM back AS b WHERE %5$s',
      entry.relation, names,
      (SELECT pg_catalog.string_agg('(k.r).' || i.name, ', ') FROM pg_catalog.jsonb_array_elements_text(shape -> 'insertable') AS i (name)),
      post_audit.kept_rows_join(shape, 'removed'),
      -- Rows without a key can only be compared here; the others are, when everything is back.
      CASE WHEN shape -> 'key' <> '[]' THEN 'true' ELSE pg_catalog.format(
        'b.row_text IN (SELECT q.row_text FROM post_audit.quarantined_rows AS q WHERE q.quarantine_id = $1 AND q.relation = %L)', entry.relation) END)
    INTO inserted USING kept.id;
    IF inserted <> entry.n THEN
      PERFORM post_audit.refuse_quarantine(the_subject,
        pg_catalog.format('%s took %s of %s rows back as they were', entry.relation, inserted, entry.n),
        'A trigger or a policy of that table stands against it.');
    END IF;
  END LOOP;

  -- A row that was let go gets its reference back where nobody has given it another one or deleted it since.
  FOR entry IN
    SELECT q.relation, q.detached, pg_catalog.count(*) AS n FROM post_audit.quarantined_rows AS q
    WHERE q.quarantine_id = kept.id AND q.action = 'detached' GROUP BY q.relation, q.detached
  LOOP
    shape := coalesce(plan -> 'shapes' -> entry.relation, post_audit.relation_shape(pg_catalog.to_regclass(entry.relation)));
    names := (SELECT pg_catalog.string_agg(pg_catalog.format('%1$s = (k.r).%1$s', d.key), ', ') FROM pg_catalog.jsonb_each_text(entry.detached) AS d);
    EXECUTE pg_catalog.format(
      'WITH known AS MATERIALIZED (
         SELECT k.id, k.r, k.row_text, c.ctid AS place, c.tableoid AS place_table, (c.*)::text = k.after_text AS is_untouched
         FROM (SELECT q.id, q.row_text, q.after_text, q.row_text::%1$s AS r, q.after_text::%1$s AS a FROM post_audit.quarantined_rows AS q
           WHERE q.quarantine_id = $1 AND q.relation = %1$L AND q.action = ''detached'' AND q.detached = $2 OFFSET 0) AS k
         JOIN %1$s AS c ON %2$s WHERE %3$s
       ), back AS (
         UPDATE %1$s AS c SET %4$s FROM known AS k WHERE c.ctid = k.place AND c.tableoid = k.place_table
         RETURNING k.id, k.is_untouched, k.row_text, (c.*)::text AS now_text
       ), marked AS (
         UPDATE post_audit.quarantined_rows AS q SET is_touched = true FROM back AS b WHERE q.id = b.id AND NOT b.is_untouched
       ) SELECT %5$s - pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE b.is_untouched AND b.now_text <> b.row_text) FROM back AS b',
      entry.relation,
      CASE WHEN shape -> 'key' = '[]' THEN '(c.*)::text = k.after_text' ELSE post_audit.kept_rows_match(shape) END,
      (SELECT pg_catalog.string_agg(pg_catalog.format('c.%1$s IS NOT DISTINCT FROM (k.a).%1$s', d.key), ' AND ') FROM pg_catalog.jsonb_each_text(entry.detached) AS d),
      names, entry.n)
    INTO gone, inserted USING kept.id, entry.detached;
    IF gone > 0 THEN
      notes := notes || pg_catalog.format('%s of %s rows of %s were changed or deleted meanwhile and left alone', gone, entry.n, entry.relation);
    END IF;
    IF inserted > 0 THEN
      IF shape -> 'key' = '[]' THEN
        PERFORM post_audit.refuse_quarantine(the_subject, pg_catalog.format('a trigger of %s changes what is put back', entry.relation),
          'Switch that trigger off, restore, and switch it on again.');
      END IF;
      -- Only rows that nobody but us has touched are set back as a whole.
      PERFORM post_audit.without_triggers(the_subject, pg_catalog.to_regclass(entry.relation), pg_catalog.format(
        'UPDATE %s AS c SET %s FROM %s WHERE %s AND NOT k.is_touched', entry.relation,
        (SELECT pg_catalog.string_agg(pg_catalog.format('%1$s = (k.r).%1$s', s.name), ', ') FROM pg_catalog.jsonb_array_elements_text(shape -> 'settable') AS s (name)),
        post_audit.kept_rows_join(shape, 'detached'), post_audit.kept_rows_match(shape)), kept.id);
    END IF;
  END LOOP;

  -- Triggers may have touched what was put back, a table's own or another's: set it right with them switched off.
  FOR entry IN SELECT s.key AS relation, s.value AS shape FROM pg_catalog.jsonb_each(shapes) AS s WHERE s.value -> 'key' <> '[]' LOOP
    difference := post_audit.restored_differently(kept.id, entry.shape);
    IF difference IS NOT NULL AND difference <> 'a row is missing' THEN
      PERFORM post_audit.without_triggers(the_subject, pg_catalog.to_regclass(entry.relation), pg_catalog.format(
        'UPDATE %s AS c SET %s FROM %s WHERE %s AND (c.*)::text <> k.row_text', entry.relation,
        (SELECT pg_catalog.string_agg(pg_catalog.format('%1$s = (k.r).%1$s', s.name), ', ') FROM pg_catalog.jsonb_array_elements_text(entry.shape -> 'settable') AS s (name)),
        post_audit.kept_rows_join(entry.shape, 'removed'), post_audit.kept_rows_match(entry.shape)), kept.id);
      difference := post_audit.restored_differently(kept.id, entry.shape);
    END IF;
    IF difference IS NOT NULL THEN
      PERFORM post_audit.refuse_quarantine(the_subject, pg_catalog.format('%s would not come back as it was (%s)', entry.relation, difference),
        'See which trigger, rule or generated column of that table changes it.');
    END IF;
  END LOOP;
  IF kept.digest <> coalesce(wanted ->> 'digest', kept.digest) THEN
    PERFORM post_audit.refuse_moved(the_subject, wanted - 'evidence', pg_catalog.jsonb_build_object('state', 'quarantined', 'digest', kept.digest));
  END IF;

  UPDATE post_audit.quarantined_suppliers AS q
  SET restored_at = post_audit.clock(), restored_by = restore_supplier.decision_id, version = restore_supplier.version,
    note = nullif(pg_catalog.array_to_string(notes, '; '), '')
  WHERE q.id = kept.id;
END
$$;

-- One supplier there or back, whole or not at all. What the user's own tables say against it (a constraint, a trigger that
-- raises) leaves out this supplier and no other.
CREATE FUNCTION post_audit.change_supplier(key text, expected jsonb, wanted jsonb, version bigint, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  subject CONSTANT text := 'supplier:' || key;
BEGIN
  -- Tables that refer to one another in a circle have no order; where their keys can wait, they do.
  IF (post_audit.quarantine_plan() ->> 'is_cyclic')::boolean THEN
    SET CONSTRAINTS ALL DEFERRED;
  END IF;
  CASE pg_catalog.concat(expected ->> 'state', '>', wanted ->> 'state')
    WHEN 'live>quarantined' THEN
      PERFORM post_audit.quarantine_supplier(key, expected, wanted, version, decision_id);
    WHEN 'quarantined>live' THEN
      PERFORM post_audit.restore_supplier(key, expected, wanted, version, decision_id);
    ELSE
      RAISE EXCEPTION 'A supplier goes from live to quarantined or back; % was asked to go from % to %.',
        subject, coalesce(expected ->> 'state', 'nothing'), coalesce(wanted ->> 'state', 'nothing')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Give expected and wanted a state.';
  END CASE;
  SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION
  WHEN integrity_constraint_violation OR raise_exception OR triggered_data_change_violation OR with_check_option_violation THEN
    RAISE EXCEPTION '%: %; nothing was done.', subject, pg_catalog.rtrim(SQLERRM, '.')
      USING ERRCODE = 'PT409', HINT = 'A constraint or a trigger of the marketplace''s own tables stands against it.';
END
$$;

-- Leaderboard totals of the users whose earnings left or came back, from the earnings that are there now. Ranks and
-- everybody else's rows are the business of live_fomo.
CREATE FUNCTION post_audit.finish_fake_data(decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET extra_float_digits = '1' SET bytea_output = 'hex' AS $$
DECLARE
  earnings_relation text;
  user_column CONSTANT text := post_audit.bound_column('earnings', 'user_id');
  users text[];
  key_type text;
BEGIN
  IF pg_catalog.to_regclass('post_audit.earnings') IS NULL OR pg_catalog.to_regclass('post_audit.leaderboard') IS NULL THEN
    RETURN;
  END IF;
  SELECT pg_catalog.to_regclass(b.relation)::text INTO earnings_relation FROM post_audit.bindings AS b WHERE b.role = 'earnings';
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.array_agg(DISTINCT (k.r).%I::text) FROM (
       SELECT q.row_text::%s AS r FROM post_audit.quarantined_suppliers AS s
       JOIN post_audit.quarantined_rows AS q ON q.quarantine_id = s.id
       WHERE (s.decision_id = $1 OR s.restored_by = $1) AND q.relation = %L AND q.action = ''removed'' OFFSET 0) AS k',
    user_column, earnings_relation, earnings_relation) INTO users USING decision_id;
  -- A total that is computed by its binding cannot be written; live_fomo then says that it is out of step.
  IF users IS NULL OR NOT (
    SELECT pg_catalog.bool_and(pg_catalog.pg_column_is_updatable('post_audit.leaderboard'::regclass, a.attnum, false))
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = 'post_audit.leaderboard'::regclass AND a.attname = 'total_paise'
  ) THEN
    RETURN;
  END IF;
  SELECT pg_catalog.format_type(a.atttypid, NULL) INTO key_type
  FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'post_audit.earnings'::regclass AND a.attname = 'user_id';
  EXECUTE pg_catalog.format(
    'UPDATE post_audit.leaderboard AS l SET %s FROM (
       SELECT u.user_id, coalesce(pg_catalog.sum(e.amount_paise), 0)::bigint AS total_paise, pg_catalog.max(e.tracked_at) AS reached_at
       FROM pg_catalog.unnest($1) AS u (user_id)
       LEFT JOIN post_audit.earnings AS e ON e.user_id = u.user_id::%s
       GROUP BY u.user_id) AS t
     WHERE l.user_id::text = ANY ($1) AND l.user_id::text = t.user_id AND l.total_paise IS DISTINCT FROM t.total_paise',
    (SELECT pg_catalog.string_agg(s.assignment, ', ')
      FROM (VALUES ('total_paise', 'total_paise = t.total_paise'), ('reached_at', 'reached_at = t.reached_at'),
        ('updated_at', 'updated_at = post_audit.clock()')) AS s (name, assignment)
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = 'post_audit.leaderboard'::regclass AND a.attname = s.name
      WHERE pg_catalog.pg_column_is_updatable('post_audit.leaderboard'::regclass, a.attnum, false)),
    key_type) USING users;
END
$$;

-- What is in quarantine, the latest first: who, by which decision, on what evidence, and how many rows went along.
CREATE FUNCTION public.post_audit_read_quarantine(after bigint DEFAULT NULL, "limit" integer DEFAULT 50) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF "limit" IS NULL OR "limit" NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'A page has 1 to 1000 suppliers, not %.', "limit"
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Ask for 50 and go on from the id that `next` names.';
  END IF;
  RETURN (
    WITH page AS (
      SELECT q.* FROM post_audit.quarantined_suppliers AS q
      WHERE q.restored_at IS NULL AND (after IS NULL OR q.id < after)
      ORDER BY q.id DESC LIMIT "limit"
    )
    SELECT pg_catalog.jsonb_build_object(
      'total', (SELECT pg_catalog.count(*) FROM post_audit.quarantined_suppliers AS q WHERE q.restored_at IS NULL),
      'next', CASE WHEN pg_catalog.count(*) = "limit" THEN pg_catalog.min(p.id) END,
      'suppliers', coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'id', p.id, 'subject', p.subject, 'supplier', p.supplier_key, 'name', p.name, 'relation', p.relation,
        'evidence', p.evidence, 'decision_id', p.decision_id, 'quarantined_at', p.quarantined_at,
        'rows', (
          SELECT pg_catalog.jsonb_object_agg(g.relation, g.n) FROM (
            SELECT r.relation, pg_catalog.count(*) AS n FROM post_audit.quarantined_rows AS r
            WHERE r.quarantine_id = p.id AND r.action = 'removed' GROUP BY r.relation) AS g)
      ) ORDER BY p.id DESC), '[]'))
    FROM page AS p);
END
$$;

-- ---- 43_bugs.sql ----

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

-- ---- 44_live_fomo.sql ----

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

-- ---- 44_live_fomo_evidence.sql ----

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

-- ---- 45_enhancements.sql ----

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

-- ---- 46_task_list.sql ----

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

-- ---- 47_task_work.sql ----

-- The queue of tasks as it is worked on: who takes what, what a person says of it, and what comes back by itself. What
-- somebody does is one call, one transaction and one event.

-- A table of somebody's own may be without the columns that say who works on a task. It is listed, and not worked on.
CREATE FUNCTION post_audit.require_queue() RETURNS void
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  missing text;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  SELECT string_agg(a.attname, ', ' ORDER BY a.attname) INTO missing
  FROM pg_catalog.pg_attribute AS a
  WHERE a.attrelid = to_regclass('post_audit.tasks')
    AND a.attname IN ('owner', 'lease_expires_at', 'accepted_until', 'duplicate_of', 'note')
    AND NOT pg_catalog.pg_column_is_updatable(a.attrelid, a.attnum, false);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'The table of the tasks has no column for: %.', missing
      USING ERRCODE = 'PT424', HINT = 'Add the columns to it, or name them: post-audit bind tasks TABLE --column owner=THEIRS';
  END IF;
END
$$;

-- Append what happened to one task. Only what differs is kept.
CREATE FUNCTION post_audit.note_task_event(
  task_id text, kind text, actor text, note text, before jsonb, after jsonb, happened_at timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  INSERT INTO post_audit.task_events (task_id, kind, actor, note, before, after, happened_at)
  VALUES (task_id, kind, actor, note,
    (SELECT jsonb_object_agg(b.key, b.value) FROM jsonb_each(before) AS b WHERE b.value IS DISTINCT FROM after -> b.key),
    (SELECT jsonb_object_agg(a.key, a.value) FROM jsonb_each(after) AS a WHERE a.value IS DISTINCT FROM before -> a.key),
    happened_at);
END
$$;

-- Give back what ran out: a lease without a sign of life, and a risk that was accepted until now.
CREATE FUNCTION post_audit.return_tasks("limit" integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  moment CONSTANT timestamptz := post_audit.clock();
  -- as a value: a condition with a clock in it walks through all leases that there are
  called_at CONSTANT timestamptz := clock_timestamp();
  task record;
  returned integer := 0;
BEGIN
  FOR task IN
    SELECT t.id, t.id::text AS name, t.owner FROM post_audit.tasks AS t
    WHERE t.lease_expires_at <= called_at
    ORDER BY t.lease_expires_at LIMIT "limit" FOR UPDATE SKIP LOCKED
  LOOP
    -- one that was finished by other means only loses its lease
    UPDATE post_audit.tasks AS t
    SET status = CASE t.status WHEN 'in_progress' THEN 'pending' ELSE t.status END,
      owner = CASE t.status WHEN 'in_progress' THEN NULL ELSE t.owner END, lease_expires_at = NULL, updated_at = moment
    WHERE t.id = task.id;
    PERFORM post_audit.note_task_event(task.name, 'lease_ended', 'protocol', 'No sign of life until the end of the lease.',
      jsonb_build_object('status', 'in_progress', 'owner', task.owner), '{"status": "pending", "owner": null}', moment);
    returned := returned + 1;
  END LOOP;
  FOR task IN
    SELECT t.id, t.id::text AS name, t.accepted_until FROM post_audit.tasks AS t
    WHERE t.accepted_until <= moment
    ORDER BY t.accepted_until LIMIT "limit" - returned FOR UPDATE SKIP LOCKED
  LOOP
    UPDATE post_audit.tasks AS t
    SET status = 'pending', disposition = 'reopened', accepted_until = NULL, completed_at = NULL, owner = NULL, updated_at = moment
    WHERE t.id = task.id AND t.status = 'cancelled' AND t.disposition = 'accepted';
    IF FOUND THEN
      PERFORM post_audit.note_task_event(task.name, 'acceptance_ended', 'protocol', 'The time that the risk was accepted for is over.',
        '{"status": "cancelled", "disposition": "accepted"}', '{"status": "pending", "disposition": "reopened"}', moment);
    ELSE
      UPDATE post_audit.tasks AS t SET accepted_until = NULL WHERE t.id = task.id;
    END IF;
    returned := returned + 1;
  END LOOP;
  RETURN returned;
END
$$;

-- Give back tasks whose lease ended and risks whose acceptance ended, at most `limit`; a person said until when.
CREATE FUNCTION public.post_audit_apply_returned_tasks("limit" integer DEFAULT 500) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  BEGIN
    PERFORM post_audit.require_queue();
  EXCEPTION WHEN SQLSTATE 'PT424' THEN
    RETURN '{"returned": 0}';
  END;
  RETURN jsonb_build_object('returned', post_audit.return_tasks("limit"));
END
$$;

-- Take the tasks with the highest scores for `owner`, at most `limit`, for `lease_seconds`. Nobody else gets them meanwhile;
-- without a sign of life (action `extend`) they go back when the lease ends. What is blocked or under review is not given out.
--
-- Within a kind the score falls with the moment of first sight, so the best of all is the best of the heads of the kinds:
-- one step in the index for each of about twenty. Plans are kept (a plan for each call took half of its time), and whether
-- the table has the columns of a queue is asked when nothing could be taken, not with each call.
CREATE FUNCTION public.post_audit_apply_claim_tasks(
  owner text, scoring jsonb, "limit" integer DEFAULT 1, lease_seconds integer DEFAULT 900, filters jsonb DEFAULT '{}'
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET plan_cache_mode = force_generic_plan
SET enable_bitmapscan = off SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  moment CONSTANT timestamptz := (SELECT coalesce(m.as_of, clock_timestamp()) FROM post_audit.marketplace AS m);
  -- as a value: a condition with a clock in it cannot be looked up in the index of leases
  called_at CONSTANT timestamptz := clock_timestamp();
  of_priorities CONSTANT text[] := CASE WHEN filters ? 'priority' THEN post_audit.texts(filters -> 'priority') END;
  of_categories CONSTANT text[] := CASE WHEN filters ? 'category' THEN post_audit.texts(filters -> 'category') END;
  of_source CONSTANT text := filters ->> 'source';
  of_owner CONSTANT text := filters ->> 'owner';
  of_dispositions CONSTANT text[] := CASE WHEN filters ? 'disposition' THEN post_audit.texts(filters -> 'disposition') END;
  is_late CONSTANT boolean := (filters ->> 'late')::boolean;
  per_day CONSTANT double precision := (scoring ->> 'age_points_per_day')::double precision;
  most_for_age CONSTANT double precision := (scoring ->> 'age_points_most')::double precision;
  due_points CONSTANT double precision := (scoring ->> 'due_points')::double precision;
  per_late_day CONSTANT double precision := (scoring ->> 'late_points_per_day')::double precision;
  most_for_lateness CONSTANT double precision := (scoring ->> 'late_points_most')::double precision;
  kind record;
  got jsonb;
  taken integer := 0;
  claimed jsonb := '[]';
BEGIN
  IF "limit" NOT BETWEEN 1 AND 100 OR lease_seconds NOT BETWEEN 1 AND 604800 OR btrim(post_audit_apply_claim_tasks.owner) = '' THEN
    RAISE EXCEPTION 'A claim names an owner and takes 1 to 100 tasks for 1 second to 7 days.'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF EXISTS (SELECT 1 FROM post_audit.tasks AS t WHERE t.lease_expires_at <= called_at)
    OR EXISTS (SELECT 1 FROM post_audit.tasks AS t WHERE t.accepted_until <= moment)
  THEN
    PERFORM post_audit.return_tasks(100);
  END IF;
  <<every>>
  WHILE taken < "limit" LOOP
    -- the best of each kind, the best kind first; where others hold all of a kind, the next one
    FOR kind IN
      WITH RECURSIVE heads AS (
        (SELECT t.priority, t.category, t.first_seen_at FROM post_audit.tasks AS t
        WHERE t.status = 'pending' AND (t.disposition IS NULL OR t.disposition NOT IN ('review', 'blocked'))
          AND (of_dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (of_dispositions))
          AND (of_source IS NULL OR t.source = of_source)
          AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
          AND (is_late IS NULL
            OR is_late = (t.first_seen_at < moment - make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer)))
        ORDER BY t.priority, t.category, t.first_seen_at, t.id LIMIT 1)
        UNION ALL
        SELECT n.priority, n.category, n.first_seen_at FROM heads AS k
        CROSS JOIN LATERAL (
          SELECT t.priority, t.category, t.first_seen_at FROM post_audit.tasks AS t
          WHERE t.status = 'pending' AND (t.priority, t.category) > (k.priority, k.category)
            AND (t.disposition IS NULL OR t.disposition NOT IN ('review', 'blocked'))
            AND (of_dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (of_dispositions))
            AND (of_source IS NULL OR t.source = of_source)
            AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
            AND (is_late IS NULL
              OR is_late = (t.first_seen_at < moment - make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer)))
          ORDER BY t.priority, t.category, t.first_seen_at, t.id LIMIT 1
        ) AS n
      )
      SELECT h.priority, h.category
      FROM heads AS h
      CROSS JOIN LATERAL (
        SELECT (scoring -> 'points' ->> h.priority)::double precision
            * coalesce((scoring -> 'impact' ->> h.category)::double precision, 1) AS base,
          (scoring -> 'days_to_fix' ->> h.priority)::double precision AS days
      ) AS w
      CROSS JOIN LATERAL (SELECT greatest(extract(epoch FROM moment - h.first_seen_at)::double precision / 86400, 0) AS days) AS a
      WHERE (of_priorities IS NULL OR h.priority = ANY (of_priorities))
        AND (of_categories IS NULL OR h.category = ANY (of_categories))
      -- the score, as in queue_candidates
      ORDER BY w.base + least(a.days * per_day, most_for_age)
          + CASE WHEN a.days <= w.days / 2 THEN 0
              WHEN a.days <= w.days THEN due_points * (a.days * 2 / w.days - 1)
              ELSE due_points + least((a.days - w.days) * per_late_day, most_for_lateness) END DESC,
        h.first_seen_at, h.priority, h.category
    LOOP
      WITH picked AS MATERIALIZED (
        SELECT t.id, t.first_seen_at FROM post_audit.tasks AS t
        WHERE t.status = 'pending' AND t.priority = kind.priority AND t.category = kind.category
          AND (t.disposition IS NULL OR t.disposition NOT IN ('review', 'blocked'))
          AND (of_dispositions IS NULL OR coalesce(t.disposition, 'none') = ANY (of_dispositions))
          AND (of_source IS NULL OR t.source = of_source)
          AND (of_owner IS NULL OR coalesce(t.owner, '') = of_owner)
          AND (is_late IS NULL
            OR is_late = (t.first_seen_at < moment - make_interval(days => (scoring -> 'days_to_fix' ->> kind.priority)::integer)))
        ORDER BY t.first_seen_at, t.id LIMIT "limit" - taken FOR UPDATE SKIP LOCKED
      ), changed AS (
        -- of one kind and one age is of one score; for a younger one the kinds are compared again
        UPDATE post_audit.tasks AS t
        SET status = 'in_progress', owner = post_audit_apply_claim_tasks.owner, updated_at = moment,
          lease_expires_at = called_at + make_interval(secs => lease_seconds)
        FROM picked AS p
        WHERE t.id = p.id AND p.first_seen_at = (SELECT min(o.first_seen_at) FROM picked AS o)
        RETURNING t.*
      ), noted AS (
        INSERT INTO post_audit.task_events (task_id, kind, actor, before, after, happened_at)
        SELECT c.id::text, 'claimed', post_audit_apply_claim_tasks.owner, '{"status": "pending", "owner": null}',
          jsonb_build_object('status', 'in_progress', 'owner', post_audit_apply_claim_tasks.owner), moment
        FROM changed AS c
      )
      SELECT jsonb_agg(to_jsonb(c) || jsonb_build_object('version',
        post_audit.task_version(c.status, c.disposition, c.priority, c.owner, c.updated_at)) ORDER BY c.id)
      INTO got FROM changed AS c;
      IF got IS NOT NULL THEN
        claimed := claimed || got;
        taken := taken + jsonb_array_length(got);
        CONTINUE every;
      END IF;
    END LOOP;
    EXIT every;
  END LOOP;
  IF taken = 0 THEN
    PERFORM post_audit.require_queue();
  END IF;
  RETURN jsonb_build_object('tasks', claimed);
EXCEPTION WHEN undefined_table OR feature_not_supported OR object_not_in_prerequisite_state THEN
  -- says which table or which column is missing
  PERFORM post_audit.require_queue();
  RAISE;
END
$$;

-- What one person does with one task. See post_audit_apply_task_action.
CREATE FUNCTION post_audit.act_on_task(
  task_id text, action text, actor text, note text, until timestamptz, keep text, priority text, lease_seconds integer, seen text
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
#variable_conflict use_column
DECLARE
  moment CONSTANT timestamptz := post_audit.clock();
  open_states CONSTANT text[] := ARRAY['pending', 'in_progress'];
  said CONSTANT text := nullif(btrim(act_on_task.note), '');
  task record;
  target record;
  takes text[];
  kind text;
  version text;
  n_status text; n_disposition text; n_owner text; n_lease timestamptz; n_until timestamptz; n_duplicate text; n_priority text;
  before jsonb;
  after jsonb;
BEGIN
  SELECT t.id, t.status, t.disposition, t.priority, t.owner, t.lease_expires_at, t.accepted_until, t.duplicate_of::text AS duplicate_of,
    t.updated_at INTO task
  FROM post_audit.tasks AS t
  WHERE t.id = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', act_on_task.task_id))).id FOR UPDATE;
  IF task.id IS NULL THEN
    RAISE EXCEPTION 'There is no task %.', act_on_task.task_id
      USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit tasks list.';
  END IF;
  version := post_audit.task_version(task.status, task.disposition, task.priority, task.owner, task.updated_at);
  IF act_on_task.seen IS NOT NULL AND act_on_task.seen <> version THEN
    RAISE EXCEPTION 'Task % has changed since it was read; nothing was done.', act_on_task.task_id
      USING ERRCODE = 'PT409', DETAIL = format('version %s was read, it is %s', seen, version),
        HINT = format('Look again: post-audit tasks show %s', act_on_task.task_id);
  END IF;
  takes := CASE
    WHEN action IN ('extend', 'release') THEN ARRAY['in_progress']
    WHEN action = 'reopen' THEN ARRAY['completed', 'cancelled']
    WHEN action = 'confirm' THEN ARRAY['pending']
    ELSE open_states END;
  IF NOT task.status = ANY (takes) OR (action = 'confirm' AND task.disposition IS DISTINCT FROM 'review') THEN
    RAISE EXCEPTION 'Task % is % and cannot be changed by %.', act_on_task.task_id,
      concat_ws(', ', replace(task.status, '_', ' '), replace(task.disposition, '_', ' ')), action
      USING ERRCODE = 'PT409', HINT = CASE
        WHEN action = 'confirm' THEN 'Only what waits for review is confirmed.'
        WHEN task.status IN ('completed', 'cancelled') THEN format('Reopen it first: post-audit tasks reopen %s', act_on_task.task_id)
        ELSE format('Look at it: post-audit tasks show %s', act_on_task.task_id) END;
  END IF;
  IF task.status = 'in_progress' AND task.owner <> act_on_task.actor
    AND (action IN ('extend', 'release') OR task.lease_expires_at > clock_timestamp()) AND action <> 'prioritise'
  THEN
    RAISE EXCEPTION 'Task % belongs to %.', act_on_task.task_id,
      task.owner || coalesce(' until ' || to_char(task.lease_expires_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC', '')
      USING ERRCODE = 'PT409', HINT = 'Wait for the end of the lease, or let its owner release it.';
  END IF;
  IF action IN ('block', 'accept') AND said IS NULL THEN
    RAISE EXCEPTION 'A task is not put aside without a reason.'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in `note` (--note).';
  END IF;
  IF action = 'accept' AND (until IS NULL OR until <= moment OR until > moment + interval '366 days') THEN
    RAISE EXCEPTION 'A risk is accepted until a day within the next 366; it comes back then.'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day in `until` (--until 2026-03-31).';
  END IF;
  IF action = 'prioritise' AND (act_on_task.priority IS NULL OR act_on_task.priority NOT IN ('critical', 'high', 'medium', 'low')) THEN
    RAISE EXCEPTION 'A priority is critical, high, medium or low.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF action IN ('start', 'extend') AND coalesce(lease_seconds, 1) NOT BETWEEN 1 AND 604800 THEN
    RAISE EXCEPTION 'A lease takes 1 second to 7 days.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF action = 'merge' THEN
    SELECT t.id, t.id::text AS name, t.status, t.disposition INTO target FROM post_audit.tasks AS t
    WHERE t.id = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('id', act_on_task.keep))).id FOR SHARE;
    IF target.id IS NULL OR target.id = task.id OR target.disposition IN ('duplicate', 'false_positive') THEN
      RAISE EXCEPTION 'Task % cannot be merged into %.', act_on_task.task_id, coalesce(act_on_task.keep, 'nothing')
        USING ERRCODE = 'invalid_parameter_value',
          HINT = 'Name another task that is there and is itself neither a duplicate nor a false positive.';
    END IF;
  END IF;

  n_status := task.status; n_disposition := task.disposition; n_owner := task.owner; n_lease := task.lease_expires_at;
  n_until := NULL; n_duplicate := task.duplicate_of; n_priority := task.priority; kind := action;
  CASE action
    WHEN 'start' THEN
      n_status := 'in_progress'; n_owner := actor; n_lease := NULL;
      n_disposition := CASE WHEN task.disposition IN ('blocked', 'review') THEN NULL ELSE task.disposition END;
    WHEN 'extend' THEN
      n_lease := clock_timestamp() + make_interval(secs => coalesce(lease_seconds, 900)); kind := NULL;
    WHEN 'release' THEN
      n_status := 'pending'; n_owner := NULL; n_lease := NULL;
    WHEN 'block' THEN
      n_status := 'pending'; n_disposition := 'blocked'; n_lease := NULL;
    WHEN 'confirm' THEN
      n_disposition := NULL;
    WHEN 'done' THEN
      n_status := 'completed'; n_disposition := NULL; n_lease := NULL; n_owner := coalesce(task.owner, actor);
    WHEN 'cancel' THEN
      n_status := 'cancelled'; n_disposition := NULL; n_lease := NULL;
    WHEN 'accept' THEN
      n_status := 'cancelled'; n_disposition := 'accepted'; n_lease := NULL; n_until := until;
    WHEN 'false_positive' THEN
      n_status := 'cancelled'; n_disposition := 'false_positive'; n_lease := NULL;
    WHEN 'merge' THEN
      n_status := 'cancelled'; n_disposition := 'duplicate'; n_lease := NULL; n_duplicate := target.name;
    WHEN 'reopen' THEN
      n_status := 'pending'; n_disposition := 'reopened'; n_owner := NULL; n_lease := NULL; n_duplicate := NULL;
    WHEN 'prioritise' THEN
      n_priority := act_on_task.priority;
    ELSE
      RAISE EXCEPTION 'Nothing is known by the name of %.', action USING ERRCODE = 'invalid_parameter_value',
        HINT = 'Actions: start, extend, release, block, confirm, done, cancel, accept, false_positive, merge, reopen, prioritise.';
  END CASE;
  before := jsonb_build_object('status', task.status, 'disposition', task.disposition, 'priority', task.priority, 'owner', task.owner,
    'accepted_until', task.accepted_until, 'duplicate_of', task.duplicate_of);
  after := jsonb_build_object('status', n_status, 'disposition', n_disposition, 'priority', n_priority, 'owner', n_owner,
    'accepted_until', n_until, 'duplicate_of', n_duplicate);
  UPDATE post_audit.tasks AS t
  SET status = n_status, disposition = n_disposition, priority = n_priority, owner = n_owner, lease_expires_at = n_lease,
    accepted_until = n_until,
    duplicate_of = (jsonb_populate_record(NULL::post_audit.tasks, jsonb_build_object('duplicate_of', n_duplicate))).duplicate_of,
    note = coalesce(said, t.note),
    completed_at = CASE WHEN NOT n_status = ANY (open_states) THEN coalesce(t.completed_at, moment) END,
    updated_at = CASE WHEN kind IS NULL THEN t.updated_at ELSE moment END
  WHERE t.id = task.id;
  IF kind IS NOT NULL THEN
    PERFORM post_audit.note_task_event(act_on_task.task_id, CASE kind
        WHEN 'start' THEN 'started' WHEN 'release' THEN 'released' WHEN 'block' THEN 'blocked' WHEN 'confirm' THEN 'confirmed'
        WHEN 'done' THEN 'completed' WHEN 'cancel' THEN 'cancelled' WHEN 'accept' THEN 'accepted' WHEN 'merge' THEN 'merged'
        WHEN 'reopen' THEN 'reopened' WHEN 'prioritise' THEN 'prioritised' ELSE kind END,
      actor, said, before, after, moment);
  END IF;
  RETURN (SELECT post_audit.task_as_json(to_jsonb(t)) FROM post_audit.tasks AS t WHERE t.id = task.id);
END
$$;

-- What a person (or a worker) does with tasks: start, extend a lease, release, block, confirm what was under review,
-- done, cancel, accept the risk until a day, false_positive, merge into the task `keep`, reopen, prioritise. With `seen`, the version
-- that was read, only where nothing has changed since. One task is done or refused; of several, at most 500, each
-- stands for itself: `refused` says which were left as they were, and why.
CREATE FUNCTION public.post_audit_apply_task_action(
  ids jsonb, action text, actor text, note text DEFAULT NULL, until timestamptz DEFAULT NULL, keep text DEFAULT NULL,
  priority text DEFAULT NULL, lease_seconds integer DEFAULT NULL, seen text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  task_id text;
  hint text;
  tasks jsonb := '[]';
  refused jsonb := '[]';
BEGIN
  PERFORM post_audit.require_queue();
  IF jsonb_typeof(ids) <> 'array' OR jsonb_array_length(ids) NOT BETWEEN 1 AND 500 OR btrim(actor) = '' THEN
    RAISE EXCEPTION 'An action names who acts and 1 to 500 tasks.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF jsonb_array_length(ids) = 1 THEN
    RETURN jsonb_build_object('refused', '[]'::jsonb, 'tasks', jsonb_build_array(
      post_audit.act_on_task(ids ->> 0, action, actor, note, until, keep, priority, lease_seconds, seen)));
  END IF;
  -- in one order, so that two of these do not wait for each other
  FOR task_id IN SELECT DISTINCT e.value FROM jsonb_array_elements_text(ids) AS e (value) ORDER BY e.value LOOP
    BEGIN
      tasks := tasks || jsonb_build_array(
        post_audit.act_on_task(task_id, action, actor, note, until, keep, priority, lease_seconds, NULL));
    EXCEPTION WHEN SQLSTATE 'PT409' OR no_data_found OR data_exception THEN
      GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
      refused := refused || jsonb_build_array(jsonb_build_object('id', task_id, 'message', SQLERRM, 'cure', hint));
    END;
  END LOOP;
  RETURN jsonb_build_object('tasks', tasks, 'refused', refused);
END
$$;

-- ---- 48_task_reports.sql ----

-- What is told of the queue as a whole: what the audits did, and what has become of the tasks.

-- What audits did, the newest first: what each opened, closed, reopened and left as it was.
CREATE FUNCTION public.post_audit_read_audits("limit" integer DEFAULT 20, before bigint DEFAULT NULL, source text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
#variable_conflict use_column
BEGIN
  IF "limit" NOT BETWEEN 1 AND 200 THEN
    RAISE EXCEPTION 'A page holds 1 to 200 audits, not %.', "limit" USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN (
    SELECT jsonb_build_object('next', CASE WHEN count(*) = "limit" THEN min(a.id) END,
      'audits', coalesce(jsonb_agg(jsonb_build_object(
        'id', a.id, 'name', a.name, 'source', a.source, 'target', a.target, 'format', a.format, 'state', a.state,
        'complete', a.complete, 'findings', a.findings, 'reported', a.reported, 'needs_review', jsonb_array_length(a.needs_review),
        'errors', jsonb_array_length(a.errors), 'first_error', a.errors -> 0 ->> 'message', 'received_at', a.received_at,
        'migrated_at', a.migrated_at, 'report', a.report,
        'decision_id', (SELECT max(c.decision_id) FROM post_audit.changes AS c WHERE c.subject = 'audit:' || a.id AND c.state = 'applied')
      ) ORDER BY a.id DESC), '[]'))
    FROM (
      SELECT * FROM post_audit.audits AS n
      WHERE (before IS NULL OR n.id < before) AND n.state <> 'receiving'
        AND (post_audit_read_audits.source IS NULL OR n.source = post_audit_read_audits.source)
      ORDER BY n.id DESC LIMIT "limit"
    ) AS a
  );
END
$$;

-- What has become of the queue: what is open and late by priority, what came and went on each of the last days (in the
-- zone, the newest last, with what was open at its end), how long closing took and how often that was too late.
CREATE FUNCTION public.post_audit_read_task_statistics(scoring jsonb, days integer DEFAULT 30, zone text DEFAULT 'Asia/Kolkata')
RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET jit = off AS $$
DECLARE
  as_of CONSTANT timestamptz := (SELECT coalesce(m.as_of, now()) FROM post_audit.marketplace AS m);
  first_day CONSTANT date := ((as_of AT TIME ZONE zone)::date - days + 1);
  since CONSTANT timestamptz := first_day::timestamp AT TIME ZONE zone;
BEGIN
  PERFORM post_audit.require_roles('tasks');
  IF days NOT BETWEEN 1 AND 366 THEN
    RAISE EXCEPTION 'Statistics are of 1 to 366 days, not %.', days USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN (
    WITH open_tasks AS MATERIALIZED (
      SELECT t.priority, t.status, t.disposition, count(*) AS n, min(t.first_seen_at) AS oldest,
        count(*) FILTER (WHERE t.first_seen_at < as_of - make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer)
          -- what waits for a review has been promised to nobody yet
          AND t.disposition IS DISTINCT FROM 'review') AS late,
        sum(extract(epoch FROM as_of - t.first_seen_at)::double precision / 86400) AS age
      FROM post_audit.tasks AS t WHERE t.status IN ('pending', 'in_progress') GROUP BY 1, 2, 3
    ), daily AS MATERIALIZED (
      -- what people did is counted from its events, what audits did from their reports
      SELECT (e.happened_at AT TIME ZONE zone)::date AS day, e.kind, count(*) AS n
      FROM post_audit.task_events AS e
      WHERE e.actor IS NOT NULL AND e.happened_at >= since AND e.happened_at <= as_of GROUP BY 1, 2
      UNION ALL
      SELECT (a.migrated_at AT TIME ZONE zone)::date, r.kind, sum((a.report ->> r.kind)::bigint)
      FROM post_audit.audits AS a CROSS JOIN (VALUES ('new'), ('reopened'), ('closed')) AS r (kind)
      WHERE a.state = 'migrated' AND a.migrated_at >= since AND a.migrated_at <= as_of GROUP BY 1, 2
    ), moved AS (
      SELECT d.day,
        coalesce(sum(c.n) FILTER (WHERE c.kind = 'new'), 0) AS opened,
        coalesce(sum(c.n) FILTER (WHERE c.kind IN ('reopened', 'acceptance_ended')), 0) AS reopened,
        coalesce(sum(c.n) FILTER (WHERE c.kind = 'closed'), 0) AS closed_by_audits,
        coalesce(sum(c.n) FILTER (WHERE c.kind = 'completed'), 0) AS completed,
        coalesce(sum(c.n) FILTER (WHERE c.kind IN ('cancelled', 'accepted', 'false_positive', 'merged')), 0) AS put_aside
      FROM generate_series(first_day, (as_of AT TIME ZONE zone)::date, interval '1 day') AS d (day)
      LEFT JOIN daily AS c ON c.day = d.day::date GROUP BY d.day
    ), burn AS (
      SELECT m.*, (SELECT coalesce(sum(o.n), 0) FROM open_tasks AS o)
        - coalesce(sum(m.opened + m.reopened - m.closed_by_audits - m.completed - m.put_aside) OVER (
          ORDER BY m.day ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 0) AS open_at_end,
        sum(m.opened + m.reopened) OVER (ORDER BY m.day) AS opened_in_all,
        sum(m.closed_by_audits + m.completed + m.put_aside) OVER (ORDER BY m.day) AS closed_in_all
      FROM moved AS m
    ), closed AS MATERIALIZED (
      SELECT t.priority, extract(epoch FROM t.completed_at - t.first_seen_at)::double precision / 86400 AS took,
        t.completed_at > t.first_seen_at + make_interval(days => (scoring -> 'days_to_fix' ->> t.priority)::integer) AS was_late
      FROM post_audit.tasks AS t
      WHERE t.completed_at >= since AND t.completed_at <= as_of AND t.status = 'completed'
    )
    SELECT jsonb_build_object(
      'as_of', as_of, 'days', days,
      'open', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('priority', o.priority, 'open', o.n, 'in_progress', o.busy, 'blocked', o.blocked,
          'review', o.review, 'late', o.late, 'oldest_days', round(extract(epoch FROM as_of - o.oldest) / 86400, 1),
          'mean_age_days', round((o.age / o.n)::numeric, 1))
          ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], o.priority)), '[]')
        FROM (
          SELECT p.priority, sum(p.n) AS n, sum(p.late) AS late, min(p.oldest) AS oldest, sum(p.age) AS age,
            coalesce(sum(p.n) FILTER (WHERE p.status = 'in_progress'), 0) AS busy,
            coalesce(sum(p.n) FILTER (WHERE p.disposition = 'blocked'), 0) AS blocked,
            coalesce(sum(p.n) FILTER (WHERE p.disposition = 'review'), 0) AS review
          FROM open_tasks AS p GROUP BY p.priority
        ) AS o),
      'closed', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('priority', c.priority, 'closed', c.n, 'late', c.late,
          'median_days', round(c.median::numeric, 1)) ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], c.priority)), '[]')
        FROM (
          SELECT x.priority, count(*) AS n, count(*) FILTER (WHERE x.was_late) AS late,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY x.took) AS median
          FROM closed AS x GROUP BY x.priority
        ) AS c),
      'daily', (
        SELECT jsonb_agg(jsonb_build_object('day', b.day::date, 'opened', b.opened, 'reopened', b.reopened,
          'closed_by_audits', b.closed_by_audits, 'completed', b.completed, 'put_aside', b.put_aside, 'open_at_end', b.open_at_end,
          'opened_in_all', b.opened_in_all, 'closed_in_all', b.closed_in_all) ORDER BY b.day)
        FROM burn AS b))
  );
END
$$;

-- ---- 49_conversion_notes.sql ----

-- Notes of what changes in our own tables, for the roll-up of experiments.

-- Whoever may write invites need not see schema post_audit, so these run with the rights of their owner.
CREATE OR REPLACE FUNCTION post_audit.note_invites() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  -- a load of more rows than this is counted by a walk over all
  many CONSTANT integer := 50000;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO post_audit.conversion_notes (experiment, supplier) VALUES (NULL, NULL);
  ELSIF TG_OP = 'INSERT' THEN
    IF (SELECT pg_catalog.count(*) FROM (SELECT FROM fresh LIMIT many + 1) AS f) > many THEN
      INSERT INTO post_audit.conversion_notes (experiment) SELECT DISTINCT f.experiment_id::text FROM fresh AS f;
    ELSE
      INSERT INTO post_audit.conversion_notes (experiment, supplier)
      SELECT DISTINCT f.experiment_id::text, f.supplier_id::text FROM fresh AS f;
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO post_audit.conversion_notes (experiment, supplier)
    SELECT DISTINCT f.experiment_id::text, f.supplier_id::text FROM former AS f;
  ELSE
    INSERT INTO post_audit.conversion_notes (experiment, supplier)
    SELECT f.experiment_id::text, f.supplier_id::text FROM former AS f
    UNION
    SELECT f.experiment_id::text, f.supplier_id::text FROM fresh AS f;
  END IF;
  RETURN NULL;
END
$$;

-- The same for claims and opt-outs, which belong to no experiment.
CREATE OR REPLACE FUNCTION post_audit.note_suppliers() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  many CONSTANT integer := 50000;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO post_audit.conversion_notes (experiment, supplier) VALUES (NULL, NULL);
  ELSIF TG_OP = 'INSERT' THEN
    IF (SELECT pg_catalog.count(*) FROM (SELECT FROM fresh LIMIT many + 1) AS f) > many THEN
      INSERT INTO post_audit.conversion_notes (experiment, supplier) VALUES (NULL, NULL);
    ELSE
      INSERT INTO post_audit.conversion_notes (supplier) SELECT DISTINCT f.supplier_id::text FROM fresh AS f;
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO post_audit.conversion_notes (supplier) SELECT DISTINCT f.supplier_id::text FROM former AS f;
  ELSE
    INSERT INTO post_audit.conversion_notes (supplier)
    SELECT f.supplier_id::text FROM former AS f UNION SELECT f.supplier_id::text FROM fresh AS f;
  END IF;
  RETURN NULL;
END
$$;

-- A quarantine takes rows of any table and puts them back with triggers off: its own record is what tells of it.
CREATE OR REPLACE FUNCTION post_audit.note_quarantined() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  INSERT INTO post_audit.conversion_notes (supplier) VALUES (NEW.supplier_key);
  RETURN NULL;
END
$$;

-- Notes are taken of our own tables alone; tables of somebody else get no trigger of ours.
DO $$
DECLARE
  noted record;
  kind text;
BEGIN
  FOR noted IN
    SELECT t.relation, t.note FROM (VALUES
      ('public.invites_ab_test', 'note_invites'),
      ('public.claim_airdrop_log', 'note_suppliers'),
      ('post_audit.opt_out_log', 'note_suppliers')
    ) AS t (relation, note)
    WHERE t.relation LIKE 'post\_audit.%' OR post_audit.is_ours(t.relation)
  LOOP
    FOREACH kind IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] LOOP
      CONTINUE WHEN EXISTS (
        SELECT 1 FROM pg_trigger AS t
        WHERE t.tgrelid = noted.relation::regclass AND t.tgname = 'post_audit_notes_' || lower(kind));
      EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION post_audit.%I()',
        'post_audit_notes_' || lower(kind), kind, noted.relation,
        CASE kind WHEN 'INSERT' THEN 'REFERENCING NEW TABLE AS fresh' WHEN 'DELETE' THEN 'REFERENCING OLD TABLE AS former'
          WHEN 'UPDATE' THEN 'REFERENCING OLD TABLE AS former NEW TABLE AS fresh' ELSE '' END, noted.note);
    END LOOP;
  END LOOP;
END
$$;

-- Written last by whoever quarantines or restores.
CREATE OR REPLACE TRIGGER post_audit_notes AFTER INSERT OR UPDATE ON post_audit.quarantined_suppliers
  FOR EACH ROW EXECUTE FUNCTION post_audit.note_quarantined();

-- ---- 50_demonstration.sql ----

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

-- ---- 90_grants.sql ----

-- Least grants and row level security, on what is ours and on nothing else.

DO $$
DECLARE
  ours record;
  numbers record;
  outsider text;
  service text := CASE WHEN to_regrole('service_role') IS NOT NULL THEN 'service_role' ELSE current_user END;
BEGIN
  EXECUTE 'REVOKE ALL ON SCHEMA post_audit FROM PUBLIC';
  EXECUTE format('GRANT USAGE ON SCHEMA post_audit TO %I', service);

  FOR ours IN
    SELECT c.oid, c.relname AS name, n.nspname AS schema, c.relrowsecurity AS secured,
      n.nspname = 'post_audit' OR EXISTS (
        SELECT 1 FROM pg_temp.post_audit_new_tables AS t WHERE t.relation = 'public.' || c.relname) AS regrant
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND (n.nspname = 'post_audit' OR (n.nspname = 'public' AND post_audit.is_ours('public.' || quote_ident(c.relname))))
  LOOP
    IF NOT ours.secured THEN
      EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', ours.schema, ours.name);
    END IF;
    IF NOT EXISTS (SELECT 1 FROM pg_policy AS p WHERE p.polrelid = ours.oid AND p.polname = 'post_audit_service') THEN
      EXECUTE format('CREATE POLICY post_audit_service ON %I.%I TO %I USING (true) WITH CHECK (true)', ours.schema, ours.name, service);
    END IF;
    -- Supabase's default privileges grant new tables of schema public to its API roles. Taken back once, when the
    -- table is made: what an owner grants later is the owner's.
    IF ours.regrant THEN
      EXECUTE format('REVOKE ALL ON %I.%I FROM PUBLIC', ours.schema, ours.name);
      FOREACH outsider IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        IF to_regrole(outsider) IS NOT NULL THEN
          EXECUTE format('REVOKE ALL ON %I.%I FROM %I', ours.schema, ours.name, outsider);
        END IF;
      END LOOP;
    END IF;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I', ours.schema, ours.name, service);
    -- Its numbers come from sequences that the same default privileges give away; nobody needs a right to them.
    FOR numbers IN
      SELECT s.oid::regclass::text AS name
      FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
      WHERE ours.regrant AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = ours.oid AND d.deptype IN ('a', 'i')
    LOOP
      EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM PUBLIC', numbers.name);
      FOREACH outsider IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        IF to_regrole(outsider) IS NOT NULL THEN
          EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM %I', numbers.name, outsider);
        END IF;
      END LOOP;
    END LOOP;
  END LOOP;
END
$$;

-- Every function that this file made: nobody may call it but the service, and the next application drops it.
DO $$
DECLARE
  made record;
  outsider text;
  service text := CASE WHEN to_regrole('service_role') IS NOT NULL THEN 'service_role' ELSE current_user END;
BEGIN
  FOR made IN
    SELECT p.oid::regprocedure::text AS identity, p.prorettype = 'trigger'::regtype AS is_trigger
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE (n.nspname = 'post_audit' OR (n.nspname = 'public' AND p.proname LIKE 'post\_audit\_%'))
      -- born in this transaction; the low 32 bits are what a row remembers
      AND p.xmin::text::bigint = pg_current_xact_id()::text::bigint % 4294967296
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made.identity);
    FOREACH outsider IN ARRAY ARRAY['anon', 'authenticated'] LOOP
      IF to_regrole(outsider) IS NOT NULL THEN
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', made.identity, outsider);
      END IF;
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', made.identity, service);
    IF NOT made.is_trigger THEN
      INSERT INTO post_audit.installed_functions (identity) VALUES (made.identity);
    END IF;
  END LOOP;
END
$$;

INSERT INTO post_audit.schema_version AS v (id, version, applied_at) VALUES (1, 1, now())
ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, digest = NULL, applied_at = EXCLUDED.applied_at
WHERE v.id = 1;

-- The REST layer keeps a picture of the schema; tell it to look again. Nobody listens elsewhere, and that is fine.
NOTIFY pgrst, 'reload schema';

-- Which migration this is: SHA-256 of all above, so that it is known however it was applied.
UPDATE post_audit.schema_version AS v SET digest = '49de8176bba59118acf9802e6131c7d007a05af61663a8981b04e9d33b8b009c' WHERE v.id = 1;

COMMIT;
