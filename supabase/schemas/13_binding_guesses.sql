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
