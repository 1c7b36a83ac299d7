"""The doctor on a healthy house, on a fresh one, and on every single thing that can be set up wrongly."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.support.content import Content
from tests.support.gateway import Fault, Gateway
from tests.support.product import Product
from tests.support.receiver import SECRET, Kind, Receiver
from tests.support.telegram import CHAT, GROUP, TOKEN, BotApi

pytestmark = pytest.mark.acceptance

HIDDEN: Final = "hunter2secret"
PUBLIC: Final = "sb_publishable_hunter2secret"
NOWHERE: Final = f"postgresql://postgres:{HIDDEN}@127.0.0.1:9/bell24h"
# ten seconds are promised; what a busy machine takes comes on top
SECONDS: Final = 20


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong: `says` of the finding `name`, which is the only one that ends with `code`."""

    settings: dict[str, str]
    name: str
    says: str
    cure: str
    code: int = 2


@dataclass(frozen=True)
class Broken:
    """One thing that is wrong in the database, by the statements that make it so."""

    statements: tuple[str, ...]
    name: str
    says: str
    cure: str
    code: int = 2


def found(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The one finding of that name."""
    (one,) = (finding for finding in document["findings"] if finding["name"] == name)
    return dict(one)


def wrong_ones(document: dict[str, Any]) -> list[str]:
    return [f["name"] for f in document["findings"] if f["level"] in {"problem", "misconfigured"}]


def test_a_fresh_installation_is_well_and_stays_untouched(tmp_path: Path) -> None:
    product = Product(tmp_path, preloaded=True)
    document = product.json("doctor")
    assert document["healthy"]
    assert wrong_ones(document) == []
    assert "There is no database yet" in found(document, "database.embedded")["text"]
    assert (
        found(document, "receivers.telegram")["text"] == "Nobody gets alerts: TELEGRAM_BOT_TOKEN is not set."
    )
    assert not product.log.exists()
    assert not product.data_directory.exists()


def test_it_tells_people_what_machines_are_told(tmp_path: Path) -> None:
    settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "POST_AUDIT_SECRT": HIDDEN * 3}
    ended = Product(tmp_path, settings, preloaded=True).run("doctor")
    assert ended.returncode == 2
    assert "✗ There is no setting POST_AUDIT_SECRT, so nothing reads it." in ended.stdout
    assert "→ Did you mean POST_AUDIT_SECRET?" in ended.stdout
    assert "✗ TELEGRAM_BOT_TOKEN is set, and TELEGRAM_CHAT_ID is not." in ended.stdout
    assert ended.stdout.rstrip().endswith("2 are wrong, 3 to know of.")
    assert (ended.stderr, HIDDEN in ended.stdout, TOKEN in ended.stdout) == ("", False, False)


@pytest.mark.both_transports
def test_a_healthy_house_is_well(demonstrated: Product, looking: psycopg.Connection) -> None:
    """With all receivers, after a run; and nothing is told to them."""
    with Receiver() as n8n, BotApi() as telegram:
        healthy = Product(
            demonstrated.folder,
            {**demonstrated.settings, **receivers(n8n, telegram)},
            preloaded=True,
        )
        assert healthy.run("run").returncode == 0
        looking.execute("SELECT public.post_audit_apply_rejection(3, 'tests')")
        content = Content(looking)
        before = content.tables(), content.sequences()
        log = healthy.log.read_bytes()
        n8n.in_force.clear()
        document = json.loads(healthy.run("doctor", "--json").stdout)
        assert wrong_ones(document) == []
        assert document["healthy"]
        assert (content.tables(), content.sequences()) == before
        assert (healthy.log.read_bytes(), n8n.in_force, telegram.shown) == (log, {}, [])
    assert found(document, "receivers.n8n_scale")["text"].endswith("It answered, and accepted our signature.")
    assert "may write to the chat" in found(document, "receivers.telegram")["text"]
    assert found(document, "tables.usable")["text"] == "12 of 12 roles have a table that may be used."
    assert "each needs 100" in found(document, "steps.samples")["text"]
    assert "SMS 83\u00a0% of 20,000" in found(document, "steps.usage")["text"]
    assert "50 Inquiries Focus becomes the active message." in found(document, "steps.conversions")["text"]
    assert "₹22,662" in found(document, "steps.cost")["text"]


def receivers(n8n: Receiver, telegram: BotApi) -> dict[str, str]:
    return {
        "N8N_WEBHOOK_AB_UPDATE": n8n.url,
        "N8N_WEBHOOK_SCALE": n8n.url,
        "POST_AUDIT_N8N_SIGNING_SECRET": SECRET,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": CHAT,
        "POST_AUDIT_TELEGRAM_API": telegram.url,
    }


SETTINGS: Final[dict[str, Wrong]] = {
    "port is no number": Wrong(
        {"POST_AUDIT_PORT": "eighty"}, "settings.value", "POST_AUDIT_PORT cannot be used", "Correct it"
    ),
    "lease is too short": Wrong(
        {"POST_AUDIT_LEASE_SECONDS": "1"},
        "settings.value",
        "POST_AUDIT_LEASE_SECONDS cannot be used",
        "Correct it",
    ),
    "log level is none": Wrong(
        {"POST_AUDIT_LOG_LEVEL": "LOUD"},
        "settings.value",
        "POST_AUDIT_LOG_LEVEL cannot be used",
        "Correct it",
    ),
    "secret is short": Wrong(
        {"POST_AUDIT_SECRET": HIDDEN}, "settings.value", "POST_AUDIT_SECRET cannot be used", "Correct it"
    ),
    "a name that nothing reads": Wrong(
        {"POST_AUDIT_HOST": "admin.example.org"},
        "settings.value",
        "There is no setting POST_AUDIT_HOST",
        "Did you mean POST_AUDIT_HOSTS?",
    ),
    "open to others without a secret": Wrong(
        {"POST_AUDIT_ADDRESS": "0.0.0.0"},  # noqa: S104 - what is refused
        "settings.together",
        "Without a secret only this machine is served",
        "Set POST_AUDIT_SECRET",
    ),
    "proxies are no addresses": Wrong(
        {"POST_AUDIT_PROXIES": "the proxy"},
        "settings.together",
        "POST_AUDIT_PROXIES holds the proxy",
        "For example",
    ),
    "a bot without a chat": Wrong(
        {"TELEGRAM_BOT_TOKEN": TOKEN}, "settings.together", "TELEGRAM_CHAT_ID is not", "Set both"
    ),
    "a chat without a bot": Wrong(
        {"TELEGRAM_CHAT_ID": CHAT}, "settings.together", "TELEGRAM_BOT_TOKEN is not", "Set both"
    ),
    "no token of a bot": Wrong(
        {"TELEGRAM_BOT_TOKEN": HIDDEN, "TELEGRAM_CHAT_ID": CHAT},
        "settings.together",
        "TELEGRAM_BOT_TOKEN is not a bot's token",
        "Copy it from @BotFather",
    ),
    "no chat": Wrong(
        {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "our group"},
        "settings.together",
        "TELEGRAM_CHAT_ID is not a chat's number",
        "Write it like",
    ),
    "webhook is no address": Wrong(
        {"N8N_WEBHOOK_SCALE": "n8n/webhook/scale"},
        "settings.together",
        "N8N_WEBHOOK_SCALE is not the address of a web server",
        "Write it as https://HOST/PATH.",
    ),
    "signing secret is none": Wrong(
        {"N8N_WEBHOOK_SCALE": "https://n8n.example.org/x", "POST_AUDIT_N8N_SIGNING_SECRET": HIDDEN},
        "settings.together",
        "POST_AUDIT_N8N_SIGNING_SECRET is no secret of Standard Webhooks",
        "openssl rand",
    ),
    "header is not free": Wrong(
        {
            "N8N_WEBHOOK_SCALE": "https://n8n.example.org/x",
            "POST_AUDIT_N8N_HEADER_NAME": "webhook-id",
            "POST_AUDIT_N8N_HEADER_VALUE": HIDDEN,
        },
        "settings.together",
        "POST_AUDIT_N8N_HEADER_NAME is not the name of a header that is free",
        "X-Post-Audit-Key",
    ),
    "header has a line break": Wrong(
        {"N8N_WEBHOOK_SCALE": "https://n8n.example.org/x", "POST_AUDIT_N8N_HEADER_VALUE": f"{HIDDEN}\nx"},
        "settings.together",
        "POST_AUDIT_N8N_HEADER_VALUE has signs that no header has",
        "without line breaks",
    ),
    "project's address is none": Wrong(
        {"SUPABASE_URL": "x.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": HIDDEN},
        "settings.value",
        "SUPABASE_URL cannot be used",
        "Correct it",
    ),
    "project without a key": Wrong(
        {"SUPABASE_URL": "https://x.supabase.co"},
        "database.reached",
        "SUPABASE_SERVICE_ROLE_KEY is not",
        "Set it to the project's secret key",
    ),
    "key without a project": Wrong(
        {"SUPABASE_SERVICE_ROLE_KEY": HIDDEN},
        "database.reached",
        "SUPABASE_URL is not",
        "the project's address",
    ),
    "public key": Wrong(
        {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": PUBLIC},
        "database.reached",
        "is the project's public one",
        "secret key",
    ),
    "nobody at the project": Wrong(
        {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SERVICE_ROLE_KEY": f"sb_secret_{HIDDEN}"},
        "database.reached",
        "Nobody answers at 127.0.0.1:9",
        "SUPABASE_URL",
    ),
    "no address of a database": Wrong(
        {"DATABASE_URL": f"mysql://{HIDDEN}"},
        "database.reached",
        "DATABASE_URL is not a PostgreSQL address",
        "postgresql://",
    ),
    "nobody at the database": Wrong(
        {"DATABASE_URL": NOWHERE},
        "database.reached",
        "Nobody answers at bell24h on 127.0.0.1:9",
        "Check host and port",
    ),
    "log cannot be written": Wrong(
        {"POST_AUDIT_LOG_FILE": "/etc/hostname/post_audit.log"},
        "machine.log",
        "The log /etc/hostname/post_audit.log cannot be written",
        "POST_AUDIT_LOG_FILE",
    ),
    "inbox is no folder": Wrong(
        {"POST_AUDIT_INBOX": "/etc/hostname"},
        "machine.inbox",
        "Audits cannot be taken from /etc/hostname",
        "POST_AUDIT_INBOX",
    ),
}


@pytest.mark.parametrize("wrong", SETTINGS.values(), ids=SETTINGS)
def test_each_wrong_setting_is_named_with_its_cure(tmp_path: Path, wrong: Wrong) -> None:
    product = Product(tmp_path, wrong.settings, preloaded=True)
    began = time.monotonic()
    document = product.json("doctor", code=wrong.code)
    assert time.monotonic() - began < SECONDS
    assert wrong_ones(document) == [wrong.name]
    finding = found(document, wrong.name)
    assert wrong.says in finding["text"]
    assert wrong.cure in finding["cure"]
    assert HIDDEN not in str(document)
    # nothing was made: no log, no database
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("said-")] == []


def test_a_file_of_settings_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("POST_AUDIT_HOSTS=büro".encode("latin-1"))
    document = Product(tmp_path, preloaded=True).json("doctor", code=2)
    assert found(document, "settings.value")["text"] == "The file .env is not UTF-8 text."


def test_a_file_of_settings_that_others_may_read_is_noted(tmp_path: Path) -> None:
    settings = tmp_path / ".env"
    settings.write_text("POST_AUDIT_PORT=8001\nTELEGRAM_BOT_TOKN=1\n")
    settings.chmod(0o644)
    document = Product(tmp_path, preloaded=True).json("doctor", code=2)
    assert found(document, "settings.file")["cure"] == "chmod 600 .env"
    assert found(document, "settings.value")["cure"] == "Did you mean TELEGRAM_BOT_TOKEN?"
    settings.write_text("POST_AUDIT_PORT=8001\n")
    settings.chmod(0o600)
    document = Product(tmp_path, preloaded=True).json("doctor")
    assert "settings.file" not in {finding["name"] for finding in document["findings"]}


DATABASES: Final[dict[str, Broken]] = {
    "another migration": Broken(
        ("UPDATE post_audit.schema_version SET digest = repeat('0', 64)",),
        "database.migration",
        "The database has migration 00000000, and this program belongs to ",
        "post-audit migrate",
    ),
    "an older migration": Broken(
        ("DROP FUNCTION public.post_audit_read_health()",),
        "database.migration",
        "has an older migration than this program",
        "post-audit migrate",
    ),
    "a function that is gone": Broken(
        ("DROP FUNCTION public.post_audit_read_live_airdrop(integer)",),
        "database.functions",
        "1 of the migration's functions are gone: ",
        "post-audit migrate",
    ),
    "a role that takes no changes": Broken(
        ("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on",),
        "database.writable",
        "takes no changes from this user",
        "RESET default_transaction_read_only",
    ),
    "row level security is off": Broken(
        ("ALTER TABLE public.ab_test_config DISABLE ROW LEVEL SECURITY",),
        "access.row_level_security",
        "on 1 of our tables: public.ab_test_config",
        "post-audit migrate",
        code=1,
    ),
    "a table without a policy": Broken(
        ("DROP POLICY post_audit_service ON post_audit.outbox",),
        "access.row_level_security",
        "without a policy, on 1 of our tables: post_audit.outbox",
        "post-audit migrate",
        code=1,
    ),
    "everybody may change a table": Broken(
        ("GRANT UPDATE ON public.ab_test_config TO PUBLIC",),
        "access.exposed",
        "Everybody may use public.ab_test_config, which is ours alone",
        "REVOKE ALL ON public.ab_test_config FROM public",
        code=1,
    ),
    "everybody may call a function": Broken(
        ("GRANT EXECUTE ON FUNCTION public.post_audit_read_clock() TO PUBLIC",),
        "access.exposed",
        "Everybody may use public.post_audit_read_clock()",
        "REVOKE ALL ON FUNCTION public.post_audit_read_clock() FROM public",
        code=1,
    ),
    "a role without a table": Broken(
        ("DROP TABLE public.bugs CASCADE",),
        "tables.bugs",
        "The role bugs has no table: public.bugs is gone or has lost a column",
        "post-audit bind bugs SCHEMA.TABLE",
    ),
    "a step failed": Broken(
        (
            (
                "INSERT INTO post_audit.runs (tick, kind, state, owner, as_of, lease_expires_at, finished_at)"
                " VALUES ('manual:1', 'manual', 'failed', 'a test', now(), now(), now())"
            ),
            (
                "INSERT INTO post_audit.step_runs (run_id, step, state, duration_ms, error) VALUES"
                """ (1, 'fake_data', 'failed', 8000,
              '{"code": "TookTooLong", "message": "The call took over 8 s.", "cure": "Try again."}')"""
            ),
        ),
        "steps.fake_data",
        "Fake data: failed in run 1. The call took over 8 s.",
        "Try again.",
        code=1,
    ),
    "nothing runs any more": Broken(
        (
            (
                "INSERT INTO post_audit.runs"
                " (tick, kind, state, owner, as_of, lease_expires_at, started_at, finished_at)"
                " VALUES ('schedule:1', 'schedule', 'completed', 'a test', now(), now(), now() - interval '3 days',"
                " now() - interval '3 days')"
            ),
        ),
        "runs.last",
        "was the last, 3\u00a0d ago; one is due every two hours",
        "post-audit schedule",
        code=1,
    ),
    "a run that nobody works on": Broken(
        (
            (
                "INSERT INTO post_audit.runs (tick, kind, state, owner, as_of, lease_expires_at, started_at)"
                " VALUES ('schedule:1', 'schedule', 'running', 'a test', now(), now() - interval '10 minutes',"
                " now() - interval '11 minutes')"
            ),
        ),
        "runs.last",
        "its owner gave no sign of life for 10\u00a0min",
        "post-audit run",
        code=1,
    ),
}


# Over REST the user is another one than the test's, and what everybody may is told of Supabase's public roles.
OF_THE_OWNER = (
    "a role that takes no changes",
    "everybody may change a table",
    "everybody may call a function",
)


@pytest.mark.direct_only("the user is the test's own, and there are no public roles")
@pytest.mark.parametrize("broken", OF_THE_OWNER)
def test_each_database_that_its_owner_broke_is_named_with_its_cure(
    product: Product, connection: psycopg.Connection, broken: str
) -> None:
    _is_named(product, connection, DATABASES[broken])


@pytest.mark.parametrize("broken", [name for name in DATABASES if name not in OF_THE_OWNER])
def test_each_broken_database_is_named_with_its_cure(
    product: Product, connection: psycopg.Connection, broken: str
) -> None:
    _is_named(product, connection, DATABASES[broken])


def _is_named(product: Product, connection: psycopg.Connection, broken: Broken) -> None:
    for statement in broken.statements:
        connection.execute(statement)
    try:
        content = Content(connection)
        before = content.tables(), content.sequences()
        connection.commit()
        document = product.json("doctor", code=broken.code)
        assert wrong_ones(document) == [broken.name]
        finding = found(document, broken.name)
        assert broken.says in finding["text"]
        assert broken.cure in finding["cure"]
        assert (content.tables(), content.sequences()) == before
    finally:
        connection.rollback()
        connection.execute("ALTER ROLE CURRENT_USER RESET default_transaction_read_only")
        connection.commit()


def _undelivered(state: str, detail: str) -> tuple[str, ...]:
    """A message in that state, an hour old."""
    return (
        (
            "INSERT INTO post_audit.runs (tick, kind, state, owner, as_of, lease_expires_at, finished_at)"
            " VALUES ('manual:1', 'manual', 'completed', 'a test', now(), now(), now())"
        ),
        (
            "INSERT INTO post_audit.decisions"
            " (run_id, step, mode, outcome, state, headline, reasons, numbers, actor, as_of)"
            " VALUES (1, 'bugs', 'act', 'act', 'applied', 'Done.', '[]', '{}', 'a test', now())"
        ),
        (
            "INSERT INTO post_audit.outbox (decision_id, channel, subject, version, payload, attempts, created_at)"
            " VALUES (1, 'telegram', 'bugs', 1, '{}', 3, now() - interval '1 hour')"
        ),
        f"UPDATE post_audit.outbox SET state = '{state}', detail = '{detail}'",  # noqa: S608 - words of this file
    )


MESSAGES: Final[dict[str, Broken]] = {
    "given up": Broken(
        _undelivered("dead", "Nobody answers there."),
        "runs.messages.telegram.dead",
        "1 message to Telegram was given up. Nobody answers there.",
        "post-audit outbox list --channel telegram",
        code=1,
    ),
    "refused": Broken(
        _undelivered("refused", "It declined version 1: no."),
        "runs.messages.telegram.refused",
        "1 message was refused by Telegram. It declined version 1: no.",
        "post-audit outbox retry NUMBER",
        code=1,
    ),
    "waiting for long": Broken(
        _undelivered("pending", "It is asked too often."),
        "runs.messages.telegram.pending",
        "1 message to Telegram waits, the oldest for 1\u00a0h. It is asked too often.",
        "post-audit outbox list --channel telegram",
        code=1,
    ),
}


@pytest.mark.parametrize("broken", MESSAGES.values(), ids=MESSAGES)
def test_what_does_not_arrive_is_named(
    product: Product, connection: psycopg.Connection, broken: Broken
) -> None:
    _is_named(product, connection, broken)


@dataclass(frozen=True)
class Unwilling:
    """A receiver that would not take messages, by settings, by what n8n does, or by what the bot is in its chat."""

    name: str
    says: str
    cure: str
    settings: dict[str, str] = field(default_factory=dict)
    faults: tuple[Kind, ...] = ()
    telegram: Mapping[str, object] = field(default_factory=dict)


IN_GROUP: Final = {"TELEGRAM_CHAT_ID": GROUP}
RECEIVERS: Final[dict[str, Unwilling]] = {
    "the signature does not fit": Unwilling(
        "receivers.n8n_scale",
        "It refuses who we are",
        "POST_AUDIT_N8N_SIGNING_SECRET the same value",
        settings={"POST_AUDIT_N8N_SIGNING_SECRET": "whsec_" + "A" * 44},
    ),
    "the workflow is not published": Unwilling(
        "receivers.n8n_scale", "Nothing listens there", "Publish the workflow", faults=("404", "404")
    ),
    "n8n does not answer": Unwilling(
        "receivers.n8n_scale",
        "It did not answer within 4 s",
        "Check N8N_WEBHOOK_SCALE, and that n8n is running.",
        faults=("silence", "silence"),
    ),
    "nobody at n8n": Unwilling(
        "receivers.n8n_scale",
        "Nobody answers there",
        "Check N8N_WEBHOOK_SCALE",
        settings=dict.fromkeys(
            ("N8N_WEBHOOK_SCALE", "N8N_WEBHOOK_AB_UPDATE"), "http://127.0.0.1:9/webhook/scale"
        ),
    ),
    "the bot is unknown": Unwilling(
        "receivers.telegram",
        "Telegram does not know the bot",
        "@BotFather",
        settings={"TELEGRAM_BOT_TOKEN": "987654321:" + "A" * 35},
    ),
    "the chat is unknown": Unwilling(
        "receivers.telegram",
        "chat not found",
        "Add the bot to the chat",
        settings={"TELEGRAM_CHAT_ID": "12345"},
    ),
    "the group has moved": Unwilling(
        "receivers.telegram",
        "set TELEGRAM_CHAT_ID to -100999",
        "TELEGRAM_CHAT_ID",
        settings=IN_GROUP,
        telegram={"moved_to": -100999},
    ),
    "the bot was put out": Unwilling(
        "receivers.telegram",
        "@post_audit_bot is not in the chat",
        "Add it to the chat",
        settings=IN_GROUP,
        telegram={"member": {"status": "kicked"}},
    ),
    "the bot may not write": Unwilling(
        "receivers.telegram",
        "may not write there",
        "let it write there",
        settings=IN_GROUP,
        telegram={"member": {"status": "restricted", "can_send_messages": False}},
    ),
    "the bot is no administrator of a channel": Unwilling(
        "receivers.telegram",
        "is in the channel and may not write there",
        "as administrator",
        settings=IN_GROUP,
        telegram={"kind": "channel"},
    ),
}


@pytest.mark.parametrize("case", RECEIVERS.values(), ids=RECEIVERS)
def test_each_receiver_that_would_not_take_messages_is_named(tmp_path: Path, case: Unwilling) -> None:
    with Receiver() as n8n, BotApi() as telegram:
        n8n.faults.extend(case.faults)
        vars(telegram).update(case.telegram)
        product = Product(tmp_path, receivers(n8n, telegram) | case.settings, preloaded=True)
        began = time.monotonic()
        document = product.json("doctor", code=1)
        assert time.monotonic() - began < SECONDS
        assert {wrong.partition(".")[0] for wrong in wrong_ones(document)} == {"receivers"}
        finding = found(document, case.name)
        assert finding["level"] == "problem"
        assert case.says in finding["text"]
        assert case.cure in finding["cure"]
        assert TOKEN not in str(document)
        assert (n8n.in_force, telegram.shown) == ({}, [])
        offline = product.json("doctor", "--offline")
        assert wrong_ones(offline) == []


def test_a_workflow_that_knows_no_ping_is_noted_and_no_problem(tmp_path: Path) -> None:
    with Receiver(secret=None, knows_pings=False) as n8n:
        settings = {"N8N_WEBHOOK_SCALE": n8n.url}
        document = Product(tmp_path, settings, preloaded=True).json("doctor")
    assert "It answered 200, and not our ping." in found(document, "receivers.n8n_scale")["text"]
    assert "our workflows refuse them" in found(document, "settings.unsigned")["text"]


def test_a_right_that_is_missing_over_rest_is_named_with_the_grant(
    tmp_path: Path, gateway: Gateway, supabase_conninfo: str
) -> None:
    product = Product(tmp_path, gateway.settings(), preloaded=True)
    with psycopg.connect(supabase_conninfo) as owner:
        owner.execute("REVOKE UPDATE ON public.bugs FROM service_role")
        owner.commit()
    finding = found(product.json("doctor", code=2), "tables.bugs")
    assert finding["text"].endswith("service_role lacks the right to update on public.bugs.")
    assert finding["cure"] == "GRANT UPDATE ON public.bugs TO service_role"


@pytest.mark.parametrize(
    ("opened", "outsider"),
    [
        ("GRANT SELECT ON post_audit.decisions TO anon", "anon"),
        ("GRANT INSERT ON public.ab_test_config TO authenticated", "authenticated"),
    ],
)
def test_what_supabases_public_roles_may_do_is_named(
    tmp_path: Path, gateway: Gateway, supabase_conninfo: str, opened: str, outsider: str
) -> None:
    product = Product(tmp_path, gateway.settings(), preloaded=True)
    with psycopg.connect(supabase_conninfo) as owner:
        owner.execute("GRANT SELECT ON public.earnings_leaderboard TO anon")
        owner.execute(opened)
        owner.commit()
    document = product.json("doctor", code=1)
    assert wrong_ones(document) == ["access.exposed"]
    assert f"The public role {outsider} may use " in found(document, "access.exposed")["text"]
    assert "public.earnings_leaderboard" in found(document, "access.readable")["text"]


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [("expired_key", 2, "SUPABASE_SERVICE_ROLE_KEY"), ("wrong", 2, "SUPABASE_SERVICE_ROLE_KEY")],
)
def test_a_key_that_the_project_refuses_is_named(
    tmp_path: Path, gateway: Gateway, name: str, code: int, says: str
) -> None:
    key = getattr(gateway, name, "sb_secret_of-another-project")
    product = Product(tmp_path, gateway.settings() | {"SUPABASE_SERVICE_ROLE_KEY": key}, preloaded=True)
    document = product.json("doctor", code=code)
    assert wrong_ones(document) == ["database.reached"]
    assert says in str(found(document, "database.reached"))
    assert key not in str(document)


@pytest.mark.slow
def test_a_project_that_is_silent_ends_the_look_in_time(tmp_path: Path, gateway: Gateway) -> None:
    gateway.fail(Fault(kind="silence", times=9))
    began = time.monotonic()
    document = Product(tmp_path, gateway.settings(), preloaded=True).json("doctor", code=1)
    assert time.monotonic() - began < SECONDS
    assert found(document, "database.answer")["text"] == "The database did not answer within 8 s."


def test_a_port_where_nobody_speaks_ends_the_look_in_time(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        settings = {"DATABASE_URL": f"postgresql://postgres@127.0.0.1:{port}/bell24h"}
        document = Product(tmp_path, settings, preloaded=True).json("doctor", code=2)
    assert "Nobody answers at bell24h on 127.0.0.1" in found(document, "database.reached")["text"]
