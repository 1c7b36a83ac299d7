"""Find which reported bug hurts most now, and make one of what was reported twice: step `bugs`.

It merges bugs with the same fingerprint (page, error code and title, normalised) into the oldest, scores
every open bug with six factors that each explain themselves, and tells Telegram once of each critical one.
Reports come in through `intake`, each stored as a row of its own before anything is decided.

It never merges on similar text, never deletes a report, never merges away what a person works on or has
scored, and never closes a bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.ports import JSON, Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.bugs.decide import decide
from app.post_audit.steps.bugs.facts import BugsFacts
from app.post_audit.steps.bugs.policy import BugsPolicy

__all__ = ["STEP", "BugsFacts", "BugsPolicy", "decide", "gather"]


def gather(database: Database, policy: BugsPolicy, as_of: datetime) -> BugsFacts:
    """Read every open bug as it stands at `as_of` (UTC), some thousand a call.

    The calls see the table one after the other. A bug that moves between them is left out when its change is
    carried out, and found by the next run.
    """
    bugs: list[JSON] = []
    after: JSON = None
    while True:
        answer = database.call(
            "post_audit_read_bugs",
            as_of=as_of,
            recent_hours=int(policy.recent.total_seconds() // 3600),
            maximum_reporters=policy.maximum_reporters,
            after=after,
            limit=policy.page_size,
        )
        if not isinstance(answer, Mapping) or not isinstance(page := answer.get("bugs"), list):
            raise UnexpectedAnswer(
                "The database answered with no page of bugs.",
                cure="Apply the migration that belongs to this program: post-audit migrate.",
            )
        bugs.extend(page)
        after = answer.get("next")
        if after is None:
            return parse_facts(BugsFacts, {"as_of": as_of.isoformat(), "bugs": bugs})


STEP = Step(
    name="bugs",
    title="Bugs",
    question="Which reported bug hurts most now?",
    policy=BugsPolicy(),
    gather=gather,
    decide=decide,
)
