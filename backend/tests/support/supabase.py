"""Makes an ordinary PostgreSQL look like Supabase's, as far as roles and privileges go.

There `postgres` is no superuser but owns the database and may make roles; the REST layer logs in as `authenticator`
and becomes `anon`, `authenticated` or `service_role`; and default privileges give those three every right on
whatever is made in schema public. Read from Supabase's own initial scripts (supabase/postgres, migrations/db).
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

__all__ = ["OUTSIDERS", "SERVICE", "prepare_database", "prepare_server"]

OUTSIDERS: Final = ("anon", "authenticated")
SERVICE: Final = "service_role"

_ROLES: Final = """
CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
CREATE ROLE service_role NOLOGIN BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;
GRANT anon, authenticated, service_role TO postgres WITH ADMIN OPTION;
ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE authenticator SET lock_timeout = '8s';
"""

_DATABASE: Final = """
CREATE SCHEMA extensions;
GRANT USAGE ON SCHEMA public, extensions TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;
"""


def prepare_server(conninfo: str) -> str:
    """Take `postgres` its rights as a superuser and make Supabase's roles; the conninfo of `supabase_admin`.

    `conninfo` is of the superuser `postgres`, who made the server. PostgreSQL never takes that one its rights, so it is
    renamed, and another `postgres` with the same password takes its place.
    """
    password = conninfo_to_dict(conninfo)["password"]
    helper = make_conninfo(conninfo, user="helper")
    with psycopg.connect(conninfo, autocommit=True) as founder:
        founder.execute(
            sql.SQL("CREATE ROLE helper LOGIN SUPERUSER PASSWORD {}").format(sql.Literal(password))
        )
    with psycopg.connect(helper, autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres RENAME TO supabase_admin")
        connection.execute(
            sql.SQL(
                "CREATE ROLE postgres LOGIN NOSUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS PASSWORD {}"
            ).format(sql.Literal(password))
        )
        connection.execute("ALTER ROLE postgres SET search_path = '$user', public, extensions")
        connection.execute(_ROLES)
        connection.execute(sql.SQL("ALTER ROLE authenticator PASSWORD {}").format(sql.Literal(password)))
    admin = make_conninfo(conninfo, user="supabase_admin")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP ROLE helper")
    return admin


def prepare_database(conninfo: str) -> None:
    """Give the API's roles what they get on every new object of schema public. `conninfo` is of `postgres`."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_DATABASE)
