-- Everything in this database that is not PostgreSQL's own: (kind, relation or nothing, name, what there is to know of it).
WITH spaces AS (
  SELECT * FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'
), relations AS (
  SELECT c.*, format('%I.%I', n.nspname, c.relname) AS full_name
  FROM pg_class AS c JOIN spaces AS n ON n.oid = c.relnamespace
)
SELECT 'schema', '', n.nspname::text, jsonb_build_object('owner', n.nspowner::regrole, 'comment', obj_description(n.oid, 'pg_namespace'),
  'acl', (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(n.nspacl) AS a))
FROM spaces AS n
UNION ALL
SELECT 'relation', r.full_name, '', jsonb_build_object('kind', r.relkind, 'owner', r.relowner::regrole, 'options', r.reloptions,
  'acl', (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(r.relacl) AS a), 'comment', obj_description(r.oid, 'pg_class'),
  'row_security', r.relrowsecurity, 'forced', r.relforcerowsecurity, 'identity', r.relreplident, 'persistence', r.relpersistence,
  'triggers', r.relhastriggers, 'rules', r.relhasrules, 'checks', r.relchecks, 'space', r.reltablespace,
  'view', CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END,
  -- a view may be made anew, and has no file
  'oid', CASE WHEN r.relkind <> 'v' THEN r.oid END, 'file', CASE WHEN r.relkind <> 'v' THEN r.relfilenode END,
  'value', CASE WHEN r.relkind = 'S' THEN pg_sequence_last_value(r.oid) END)
FROM relations AS r
UNION ALL
SELECT 'column', r.full_name, a.attname::text, jsonb_build_object('number', a.attnum, 'type', format_type(a.atttypid, a.atttypmod),
  'not_null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity, 'generated', a.attgenerated,
  'collation', a.attcollation, 'storage', a.attstorage, 'comment', col_description(r.oid, a.attnum),
  'acl', (SELECT array_agg(i::text ORDER BY i::text) FROM unnest(a.attacl) AS i))
FROM relations AS r JOIN pg_attribute AS a ON a.attrelid = r.oid LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
WHERE r.relkind NOT IN ('i', 'I') AND a.attnum > 0
UNION ALL
SELECT 'constraint', r.full_name, c.conname::text, jsonb_build_object('definition', pg_get_constraintdef(c.oid), 'valid', c.convalidated,
  'comment', obj_description(c.oid, 'pg_constraint'))
FROM pg_constraint AS c JOIN relations AS r ON r.oid = c.conrelid
UNION ALL
SELECT 'index', r.full_name, i.full_name, jsonb_build_object('definition', pg_get_indexdef(x.indexrelid), 'valid', x.indisvalid,
  'clustered', x.indisclustered, 'identity', x.indisreplident)
FROM pg_index AS x JOIN relations AS r ON r.oid = x.indrelid JOIN relations AS i ON i.oid = x.indexrelid
UNION ALL
SELECT 'trigger', r.full_name, t.tgname::text, jsonb_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled,
  'comment', obj_description(t.oid, 'pg_trigger'))
FROM pg_trigger AS t JOIN relations AS r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL
-- what foreign keys hang on a table, on both ends
SELECT 'key trigger', r.full_name, t.tgfoid::regproc::text, to_jsonb(count(*))
FROM pg_trigger AS t JOIN relations AS r ON r.oid = t.tgrelid WHERE t.tgisinternal GROUP BY r.full_name, t.tgfoid
UNION ALL
SELECT 'policy', r.full_name, p.polname::text, jsonb_build_object('command', p.polcmd, 'permissive', p.polpermissive,
  'roles', p.polroles::regrole[]::text[], 'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
  'comment', obj_description(p.oid, 'pg_policy'))
FROM pg_policy AS p JOIN relations AS r ON r.oid = p.polrelid
UNION ALL
SELECT 'rule', r.full_name, u.rulename::text, to_jsonb(pg_get_ruledef(u.oid)) FROM pg_rewrite AS u JOIN relations AS r ON r.oid = u.ev_class
UNION ALL
SELECT 'statistics', s.stxrelid::regclass::text, s.stxname::text, to_jsonb(pg_get_statisticsobjdef(s.oid)) FROM pg_statistic_ext AS s
UNION ALL
SELECT 'function', '', p.oid::regprocedure::text, jsonb_build_object('definition', pg_get_functiondef(p.oid), 'owner', p.proowner::regrole,
  'acl', (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(p.proacl) AS a), 'comment', obj_description(p.oid, 'pg_proc'))
FROM pg_proc AS p JOIN spaces AS n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p')
UNION ALL
SELECT 'type', '', t.oid::regtype::text, jsonb_build_object('kind', t.typtype, 'owner', t.typowner::regrole,
  'acl', (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(t.typacl) AS a),
  'labels', (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid))
FROM pg_type AS t JOIN spaces AS n ON n.oid = t.typnamespace
UNION ALL
SELECT 'default privileges', '', concat_ws(' ', d.defaclrole::regrole, d.defaclnamespace, d.defaclobjtype),
  to_jsonb(d.defaclacl::text[]) FROM pg_default_acl AS d
UNION ALL
SELECT 'publication', '', p.pubname::text, (SELECT coalesce(jsonb_agg(t.prrelid::regclass::text ORDER BY t.prrelid), '[]')
  FROM pg_publication_rel AS t WHERE t.prpubid = p.oid) FROM pg_publication AS p
UNION ALL
SELECT 'extension', '', e.extname::text, to_jsonb(e.extversion) FROM pg_extension AS e
UNION ALL
SELECT 'event trigger', '', e.evtname::text, to_jsonb(e.evtenabled) FROM pg_event_trigger AS e
UNION ALL
SELECT 'setting', '', concat_ws(' ', d.datname, s.setrole::regrole), to_jsonb(s.setconfig)
FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase AND d.datname = current_database()
UNION ALL
SELECT 'database', '', '', jsonb_build_object('owner', d.datdba::regrole, 'acl', d.datacl::text[])
FROM pg_database AS d WHERE d.datname = current_database()
UNION ALL
SELECT 'role', '', a.rolname::text, to_jsonb(a) - 'rolpassword' || jsonb_build_object('member_of', (
  SELECT jsonb_agg(m.roleid::regrole::text ORDER BY m.roleid) FROM pg_auth_members AS m WHERE m.member = a.oid))
FROM pg_roles AS a
