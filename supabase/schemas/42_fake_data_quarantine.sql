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
