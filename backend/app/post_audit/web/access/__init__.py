"""Who may come in, and what they may do: the gate, the door, people and their roles."""

from __future__ import annotations

from app.post_audit.web.access.door import Door
from app.post_audit.web.access.people import Person, Role
from app.post_audit.web.access.policy import AccessPolicy
from app.post_audit.web.access.refusals import NotAllowed, NotSignedIn
from app.post_audit.web.access.visit import Visit, allowed

__all__ = ["AccessPolicy", "Door", "NotAllowed", "NotSignedIn", "Person", "Role", "Visit", "allowed"]
