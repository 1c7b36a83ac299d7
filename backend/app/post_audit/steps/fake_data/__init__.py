"""Step `fake_data`: find suppliers that are not real and move them to quarantine.

It looks at every supplier by itself, for signs of five families: an identity number that cannot be, a name
that a template with a counter wrote, contacts that lead to nobody, a registered seed file, a city in the
wrong state. Two independent strong families put a supplier into quarantine, with all that hangs on it; one
asks a person to look. Leaderboard totals of the users whose earnings went along are made again from the
earnings that remain.

It never deletes: what it takes out is kept as text and comes back byte by byte. It never removes on one
sign, on a word in a name, on a weak sign, on a batch of rows that arrived together, or by a classifier that
was trained on other rows (one of those took 1,168 real suppliers of 6,481). Suppliers that are claimed or
paid, and more than 1 % of the table or 500 rows at once, wait for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.ports import Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.fake_data.decide import decide
from app.post_audit.steps.fake_data.facts import FakeDataFacts, FakeDataPage, SupplierColumns
from app.post_audit.steps.fake_data.policy import FakeDataPolicy

__all__ = ["STEP", "FakeDataFacts", "FakeDataPolicy", "decide", "gather"]


def gather(database: Database, policy: FakeDataPolicy, as_of: datetime) -> FakeDataFacts:
    """Read every supplier, page by page, with its digest, claims, earnings, seed match and hold.

    Each page is a consistent picture; a row that changes after it was read is found by its digest when the
    decision is carried out. Raises `UnexpectedAnswer` when a page has another shape or leads back to its
    start.
    """
    pages: list[FakeDataPage] = []
    after: str | None = None
    while True:
        answer = database.call("post_audit_read_fake_data", as_of=as_of, after=after, limit=policy.page_rows)
        page = parse_facts(FakeDataPage, answer if isinstance(answer, Mapping) else {})
        pages.append(page)
        if page.next is None:
            break
        if page.next == after:
            raise UnexpectedAnswer(
                f"The pages of suppliers do not go on after {after}.",
                cure="Apply the migration that belongs to this program: post-audit migrate.",
            )
        after = page.next
    return FakeDataFacts(
        as_of=as_of,
        suppliers=SupplierColumns.joined(page.columns for page in pages),
        obstacle=pages[-1].obstacle,
        seeds=pages[-1].seeds,
        quarantined=pages[-1].quarantined,
        alerted=pages[-1].alerted,
    )


STEP = Step(
    name="fake_data",
    title="Fake data",
    question="Which suppliers are not real?",
    policy=FakeDataPolicy(),
    gather=gather,
    decide=decide,
    # a supplier with three children takes 2 to 3 ms: 250 stay well under the two seconds of a call
    batch_size=250,
)
