"""Looks at everything that a person would have to look at, and says what is wrong and what cures it.

What other layers use:

    examine(requirements)       the whole, from the settings on: what `post-audit doctor` shows
    examine_house(database)     what the database says of itself: a few milliseconds, for a page that is drawn often
    Examination, Finding        what comes of it

It changes nothing: no setting, no row, no message. What it starts, it stops: the embedded database, when it exists and
does not run, is up for as long as the look takes. Judgements are pure functions of facts (`database`, `steps`, `runs`);
`examination` fetches the facts.
"""

from app.post_audit.doctor.examination import examine, examine_house
from app.post_audit.doctor.finding import Area, Examination, Finding, Level

__all__ = ["Area", "Examination", "Finding", "Level", "examine", "examine_house"]
