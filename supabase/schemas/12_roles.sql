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
