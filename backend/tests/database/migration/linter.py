"""The rules of Supabase's database linter, by the names and levels that its Security and Performance Advisors show.

Written from what the rules say (supabase.com/docs/guides/database/database-linter); each is a query for the names of
what it complains about. They judge a whole database, somebody's own tables too: what the migration or a binding has
to answer for is what they find after it and did not find before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import psycopg

__all__ = ["RULES", "Finding", "LinterRule", "found"]

Finding = tuple[str, str]
"""The rule, and what it complains about."""


@dataclass(frozen=True, slots=True)
class LinterRule:
    """What one rule looks for."""

    level: Literal["ERROR", "WARN", "INFO"]
    category: Literal["SECURITY", "PERFORMANCE"]
    query: str


# Whatever is in a schema of somebody's own, and not an extension's. `is_open`: anon or authenticated may read it.
_WORLD: Final = r"""
WITH spaces AS (
  SELECT n.oid, n.nspname FROM pg_catalog.pg_namespace AS n
  WHERE n.nspname !~ '^pg_' AND n.nspname <> ALL ('{auth,cron,extensions,graphql,graphql_public,information_schema,
    net,pgbouncer,pgmq,pgsodium,pgsodium_masks,pgtle,realtime,storage,supabase_functions,supabase_migrations,vault}')
), relations AS (
  SELECT c.*, pg_catalog.format('%I.%I', s.nspname, c.relname) AS full_name,
    EXISTS (SELECT FROM pg_catalog.unnest(ARRAY['anon', 'authenticated']) AS r (role)
      WHERE pg_catalog.has_any_column_privilege(r.role, c.oid, 'SELECT')) AS is_open,
    -- on, yes and 1 are true as well
    coalesce((SELECT o.option_value::boolean FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
      WHERE o.option_name = 'security_invoker'), false) AS asks_its_caller
  FROM pg_catalog.pg_class AS c JOIN spaces AS s ON s.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
), tables AS (
  SELECT * FROM relations WHERE relkind = 'r'
), policies AS (
  SELECT p.*, t.full_name, t.relrowsecurity, pg_catalog.format('%s: %s', t.full_name, p.polname) AS policy_name,
    e.rows_seen, e.rows_written, pg_catalog.concat_ws(' ', e.rows_seen, e.rows_written) AS said
  FROM tables AS t JOIN pg_catalog.pg_policy AS p ON p.polrelid = t.oid
  CROSS JOIN LATERAL (SELECT
    pg_catalog.regexp_replace(pg_catalog.lower(pg_catalog.pg_get_expr(p.polqual, t.oid)), '[\s()]', '', 'g')
      AS rows_seen,
    pg_catalog.regexp_replace(pg_catalog.lower(pg_catalog.pg_get_expr(p.polwithcheck, t.oid)), '[\s()]', '', 'g')
      AS rows_written) AS e
), functions AS (
  SELECT p.*, p.oid::regprocedure::text AS full_name
  FROM pg_catalog.pg_proc AS p JOIN spaces AS s ON s.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
)
"""
RULES: Final[Mapping[str, LinterRule]] = {
    "auth_users_exposed": LinterRule(
        "ERROR",
        "SECURITY",
        """SELECT DISTINCT v.full_name FROM relations AS v
        JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = v.oid
        JOIN pg_catalog.pg_depend AS d ON d.objid = w.oid AND d.refobjid = pg_catalog.to_regclass('auth.users')
        JOIN pg_catalog.pg_class AS users ON users.oid = d.refobjid
        WHERE v.is_open
          AND (v.relkind = 'm' OR (v.relkind = 'v' AND NOT (v.asks_its_caller AND users.relrowsecurity)))""",
    ),
    "policy_exists_rls_disabled": LinterRule(
        "ERROR", "SECURITY", "SELECT DISTINCT full_name FROM policies WHERE NOT relrowsecurity"
    ),
    "security_definer_view": LinterRule(
        "ERROR",
        "SECURITY",
        "SELECT full_name FROM relations WHERE relkind = 'v' AND is_open AND NOT asks_its_caller",
    ),
    "rls_disabled_in_public": LinterRule(
        "ERROR", "SECURITY", "SELECT full_name FROM tables WHERE is_open AND NOT relrowsecurity"
    ),
    "rls_references_user_metadata": LinterRule(
        "ERROR",
        "SECURITY",
        """SELECT policy_name FROM policies
        WHERE said ~ 'auth\\.jwt.*user_metadata' OR said ~ 'request\\.jwt\\.claims.*user_metadata'""",
    ),
    "sensitive_columns_exposed": LinterRule(
        "ERROR",
        "SECURITY",
        """SELECT DISTINCT pg_catalog.format('%s.%s', t.full_name, a.attname)
        FROM tables AS t
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE t.is_open AND NOT t.relrowsecurity AND pg_catalog.lower(a.attname) ~
          '^(password|passwd|pwd|passphrase|secret|(secret|private|api|auth|ssh|pgp|gpg|license)_key|apikey|jwt|otp|ssn'
          '|cvv|iban|((access|refresh|oauth|session|bearer)_)?token|credit_card|card_number|account_number|bank_account|tax_id)$'""",
    ),
    "function_search_path_mutable": LinterRule(
        "WARN",
        "SECURITY",
        """SELECT full_name FROM functions
        WHERE NOT EXISTS (
          SELECT FROM pg_catalog.unnest(proconfig) AS s (setting) WHERE s.setting LIKE 'search_path=%')""",
    ),
    "extension_in_public": LinterRule(
        "WARN",
        "SECURITY",
        """SELECT extname::text FROM pg_catalog.pg_extension
        WHERE extnamespace = 'public'::regnamespace AND extname <> 'plpgsql'""",
    ),
    "materialized_view_in_api": LinterRule(
        "WARN", "SECURITY", "SELECT full_name FROM relations WHERE relkind = 'm' AND is_open"
    ),
    "foreign_table_in_api": LinterRule(
        "WARN", "SECURITY", "SELECT full_name FROM relations WHERE relkind = 'f' AND is_open"
    ),
    "rls_policy_always_true": LinterRule(
        "WARN",
        "SECURITY",
        # Reading everything may be meant so; writing everything is not.
        """SELECT policy_name FROM policies
        WHERE relrowsecurity AND polpermissive
          AND polroles && ARRAY[0::oid, 'anon'::regrole::oid, 'authenticated'::regrole::oid]
          AND ((polcmd IN ('w', 'd', '*') AND coalesce(rows_seen, 'true') IN ('true', '1=1'))
            OR (polcmd <> 'r' AND coalesce(rows_written, CASE WHEN polcmd = 'a' THEN 'true' ELSE rows_seen END)
              IN ('true', '1=1')))""",
    ),
    "anon_security_definer_function_executable": LinterRule(
        "WARN",
        "SECURITY",
        """SELECT full_name FROM functions
        WHERE prosecdef AND pg_catalog.has_function_privilege('anon', oid, 'EXECUTE')""",
    ),
    "authenticated_security_definer_function_executable": LinterRule(
        "WARN",
        "SECURITY",
        """SELECT full_name FROM functions
        WHERE prosecdef AND pg_catalog.has_function_privilege('authenticated', oid, 'EXECUTE')""",
    ),
    "rls_enabled_no_policy": LinterRule(
        "INFO",
        "SECURITY",
        """SELECT full_name FROM tables AS t
        WHERE relrowsecurity AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = t.oid)""",
    ),
    "auth_rls_initplan": LinterRule(
        "WARN",
        "PERFORMANCE",
        r"""SELECT policy_name FROM policies
        WHERE relrowsecurity AND said ~ '(?<!select)auth\.(uid|jwt|role|email)'""",
    ),
    "multiple_permissive_policies": LinterRule(
        "WARN",
        "PERFORMANCE",
        """SELECT pg_catalog.format('%s for %s: %s', p.full_name, r.rolname, c.command)
        FROM policies AS p
        JOIN pg_catalog.pg_roles AS r ON (r.oid = ANY (p.polroles) OR 0 = ANY (p.polroles)) AND NOT r.rolbypassrls
          AND r.rolname !~ '^(pg_|supabase.*admin$)'
        JOIN pg_catalog.unnest(ARRAY['r', 'a', 'w', 'd']::"char"[]) AS c (command) ON p.polcmd IN (c.command, '*')
        WHERE p.polpermissive GROUP BY p.full_name, r.rolname, c.command HAVING pg_catalog.count(*) > 1""",
    ),
    "duplicate_index": LinterRule(
        "WARN",
        "PERFORMANCE",
        """SELECT pg_catalog.format('%s: %s', r.full_name, pg_catalog.string_agg(i.indexrelid::regclass::text, ', '))
        FROM relations AS r JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid
        JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
        WHERE r.relkind IN ('r', 'm')
        GROUP BY r.full_name, c.relam, i.indisunique, i.indkey::text, i.indclass::text, i.indoption::text,
          i.indcollation::text, i.indnkeyatts, pg_catalog.pg_get_expr(i.indexprs, i.indrelid),
          pg_catalog.pg_get_expr(i.indpred, i.indrelid)
        HAVING pg_catalog.count(*) > 1""",
    ),
    "unindexed_foreign_keys": LinterRule(
        "INFO",
        "PERFORMANCE",
        """SELECT pg_catalog.format('%s: %s', t.full_name, k.conname)
        FROM tables AS t JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'f'
        WHERE NOT EXISTS (
          SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = t.oid AND i.indisvalid
            AND (i.indkey::smallint[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey)""",
    ),
    "no_primary_key": LinterRule(
        "INFO",
        "PERFORMANCE",
        """SELECT full_name FROM tables AS t
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = t.oid AND i.indisprimary)""",
    ),
}
"""What can be told from a catalogue without traffic; what needs statistics (unused_index, table_bloat) cannot."""


def found(connection: psycopg.Connection) -> set[Finding]:
    """Everything that the linter complains about in this database."""
    with connection.transaction():
        # names with their schema, whatever the role's search_path
        connection.execute("SET LOCAL search_path = pg_catalog")
        return {
            (name, str(complaint))
            for name, rule in RULES.items()
            for (complaint,) in connection.execute((_WORLD + rule.query).encode())
        }
