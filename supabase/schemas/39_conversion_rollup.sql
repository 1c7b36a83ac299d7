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
