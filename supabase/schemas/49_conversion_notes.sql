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
