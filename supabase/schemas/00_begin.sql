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
