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
