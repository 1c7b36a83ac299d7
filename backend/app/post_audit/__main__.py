"""`python -m app.post_audit` is `post-audit`."""

from __future__ import annotations

import sys

from app.post_audit.cli import main

if __name__ == "__main__":
    sys.exit(main())
