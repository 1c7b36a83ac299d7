"""Secrets that are easy to find again, and the places where none may be found."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

__all__ = ["PLANTED", "QUOTED", "everything", "found", "planted_address", "planted_settings"]

# Planted words, each as short and as odd as real ones are.
PLANTED: Final = {
    "SUPABASE_URL": "https://planted.supabase.co",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_PLANTED-service-key",
    "N8N_WEBHOOK_AB_UPDATE": "https://n8n.example/webhook/PLANTED-ab-path?key=PLANTEDab",
    "N8N_WEBHOOK_SCALE": "https://user:PLANTEDscale@n8n.example/webhook/PLANTED-scale-path",
    "TELEGRAM_BOT_TOKEN": "123456789:PLANTED-telegram-token-0123456789abc",
    "TELEGRAM_CHAT_ID": "-100123456",
    "POST_AUDIT_N8N_SIGNING_SECRET": "whsec_PLANTED0PLANTED1PLANTED2PLANTED3",
    "POST_AUDIT_N8N_HEADER_VALUE": "PLANTED-header-value",
    "POST_AUDIT_LOG_LEVEL": "DEBUG",
}
PASSWORD: Final = "PLANTED p@ss/word:1"
QUOTED: Final = "PLANTED%20p%40ss%2Fword%3A1"
SIGNS: Final = ("PLANTED", "p@ss", "p%40ss")


def planted_address(conninfo: str) -> str:
    """The database as somebody with a password of their own reaches it, the password written as addresses want it."""
    parts = conninfo_to_dict(conninfo)
    with psycopg.connect(conninfo, autocommit=True) as admin:
        role = sql.Identifier("planted")
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(role, sql.Literal(PASSWORD))
        )
    return f"postgresql://planted:{QUOTED}@127.0.0.1:{parts['port']}/{parts['dbname']}"


def planted_settings(reached: dict[str, str]) -> dict[str, str]:
    """Settings that lead where `reached` leads, with a planted secret in each of them.

    The key is one that every gateway of the tests knows.
    """
    if "DATABASE_URL" in reached:
        return PLANTED | {"DATABASE_URL": planted_address(reached["DATABASE_URL"])}
    return PLANTED | {"SUPABASE_URL": reached["SUPABASE_URL"]}


def everything(connection: psycopg.Connection) -> str:
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'post_audit')"
    ).fetchall()
    texts = []
    for schema, table in tables:
        row = connection.execute(
            sql.SQL(
                "SELECT string_agg((t.*)::text, '') FROM {} AS t WHERE (t.*)::text ~ 'PLANTED|p@ss|p%40ss'"
            ).format(sql.Identifier(schema, table))
        ).fetchone()
        texts.append((row[0] if row else None) or "")
    return "".join(texts)


def found(*texts: str) -> list[str]:
    """Each place where a sign of a secret stands, with what stands around it."""
    return [text[max(0, text.index(sign) - 80) :][:160] for text in texts for sign in SIGNS if sign in text]
