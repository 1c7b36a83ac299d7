"""Commands that stay: `schedule`, `worker`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from app.post_audit.cli.run import report_run
from app.post_audit.cli.shared import AsJson, app, build
from app.post_audit.errors import InputError

if TYPE_CHECKING:
    from app.post_audit.protocol import PostAuditProtocol
    from app.post_audit.runner import RunReport

__all__: list[str] = []


@app.command()
def schedule(
    interval_hours: Annotated[float, typer.Option(min=0.0001, help="Hours from one run to the next.")] = 2,
    ticks_only: Annotated[
        bool, typer.Option("--ticks-only", help="Only ask for runs, and leave the work to `worker`.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run now and then every two hours, until stopped (Ctrl-C or SIGTERM)."""
    from app.post_audit.protocol import PostAuditProtocol

    with build(terminal_level=logging.INFO) as application, PostAuditProtocol(application) as protocol:
        if ticks_only:
            if as_json:
                raise InputError("--ticks-only makes no report.", cure="Give --json to post-audit worker.")
            protocol.ask_continuously(interval_hours)
        else:
            protocol.run_continuous(
                interval_hours, on_report=lambda report: _show(protocol, report, as_json=as_json)
            )
    return 0


@app.command()
def worker(as_json: AsJson = False) -> int:
    """Work on the runs that are asked for, until stopped; start any number, on any machines."""
    from app.post_audit.protocol import PostAuditProtocol

    with build(terminal_level=logging.INFO) as application, PostAuditProtocol(application) as protocol:
        protocol.work(on_report=lambda report: _show(protocol, report, as_json=as_json))
    return 0


def _show(protocol: PostAuditProtocol, report: RunReport, *, as_json: bool) -> None:
    report_run(protocol.application, report, as_json=as_json)
