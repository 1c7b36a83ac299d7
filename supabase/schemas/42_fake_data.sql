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
