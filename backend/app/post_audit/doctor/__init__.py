"""Looks at everything that a person would have to look at, and says what is wrong and what cures it.

What other layers use:

    examine(requirements)                 the whole, from the settings on: what `post-audit doctor` shows
    examine_running(database, settings)   the same from within a server, without n8n and Telegram; some milliseconds
    ask_receivers(settings, now)          n8n and Telegram
    Examination, Finding                  what comes of it

It changes nothing: no setting, no row, no message. What it starts, it stops: the embedded database, when it exists and
does not run, is up for as long as the look takes. Judgements are pure functions of facts (`database`, `steps`, `runs`);
`examination` fetches the facts.
"""

from app.post_audit.doctor.examination import examine, examine_running
from app.post_audit.doctor.finding import Area, Examination, Finding, Level
from app.post_audit.doctor.receivers import ask_receivers

__all__ = ["Area", "Examination", "Finding", "Level", "ask_receivers", "examine", "examine_running"]
