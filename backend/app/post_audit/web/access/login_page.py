"""The login page: server-rendered, in the colours of the dashboards, with no script at all."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

__all__ = ["BASE_STYLE", "login_page", "plain_page", "trouble_page"]

BASE_STYLE: Final = """
:root { color-scheme: light dark; --page: #f7f7f4; --surface: #fff; --ink: #1a1c1a; --ink2: #4c4f4a; --ink3: #666963;
  --accent: #0a6a64; --on-accent: #fff; --bad: #b0261c; --bad-soft: #fbe9e7; --edge: #85857c; --line: #e3e3dd;
  --sunken: #f0f0ec }
@media (prefers-color-scheme: dark) { :root { --page: #121413; --surface: #1a1d1b; --ink: #eceeeb; --ink2: #b9bdb7;
  --ink3: #9ba09a; --accent: #5cc9bf; --on-accent: #05211e; --bad: #ff938a; --bad-soft: #3c1d1a; --edge: #7b817c;
  --line: #2f3431; --sunken: #232725 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/24px Inter, system-ui, sans-serif;
  font-variant-numeric: tabular-nums }
a { color: var(--accent) }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
code { font: 14px/20px ui-monospace, monospace; background: var(--sunken); border-radius: 4px; padding: 1px 4px;
  overflow-wrap: anywhere }
"""
_STYLE: Final = (
    BASE_STYLE
    + """
main { max-width: 400px; margin: 0 auto; padding: 56px 16px }
h1 { font-size: 28px; line-height: 36px; font-weight: 620; margin: 0 0 8px; letter-spacing: -.01em }
p { color: var(--ink2); margin: 0 0 24px }
form { background: var(--surface); border: 1px solid var(--line); border-radius: 12px; padding: 24px }
label { display: block; font-weight: 560; margin: 0 0 4px }
input { width: 100%; min-height: 44px; margin: 0 0 16px; padding: 8px 12px; font: inherit; color: inherit;
  background: var(--page); border: 1px solid var(--edge); border-radius: 8px }
button { width: 100%; min-height: 44px; font: inherit; font-weight: 600; color: var(--on-accent);
  background: var(--accent); border: 0; border-radius: 8px; cursor: pointer }
.error { color: var(--bad); background: var(--bad-soft); border-radius: 8px; padding: 12px 16px; margin: 0 0 16px }
.note { font-size: 13px; line-height: 20px; color: var(--ink3); margin: 16px 0 0 }
"""
)


def plain_page(title: str, style: str, body: str, *, status: int = 200) -> HTMLResponse:
    """Answer with a page of our own without scripts; only its own style, known by its hash, is allowed.

    `body` is HTML: whoever makes it has escaped every text in it.
    """
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    page = (
        f'<!doctype html><html lang="en-GB"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{style}</style></head><body>{body}</body></html>"
    )
    return HTMLResponse(page, status_code=status, headers={"Content-Security-Policy": policy})


def trouble_page(title: str, message: str, cure: str, *, status: int) -> HTMLResponse:
    """Tell a person why a page cannot be shown, and what to do."""
    body = (
        f'<main><h1>{escape(title)}</h1><p class="error" role="alert">{escape(message)}</p><p>{escape(cure)}</p>'
        '<p><a href="">Try again</a></p></main>'
    )
    return plain_page(f"{title} · Post-Audit Protocol", _STYLE, body, status=status)


def login_page(
    *, following: str, is_guarded: bool, name: str = "", error: str = "", status: int = 200
) -> HTMLResponse:
    """Show the form, with what went wrong where something did."""
    told = f'<div class="error" role="alert" id="error">{escape(error)}</div>' if error else ""
    described = ' aria-describedby="error" aria-invalid="true"' if error else ""
    here = (
        ""
        if is_guarded
        else "<p>Or open the link that <code>post-audit serve</code> printed when it was started; it works once.</p>"
    )
    body = (
        f"<main><h1>Sign in</h1><p>Post-Audit Protocol</p>{here}"
        f'<form method="post" action="/login">{told}'
        f'<input type="hidden" name="next" value="{escape(following)}">'
        '<label for="name">Name</label>'
        f'<input id="name" name="name" value="{escape(name[:100])}" autocomplete="username" autocapitalize="none" '
        f'spellcheck="false" required{described}{"" if name else " autofocus"}>'
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required'
        f"{' autofocus' if name else ''}>"
        "<button>Sign in</button></form>"
        '<p class="note">No account yet? Somebody with access to the server adds one: '
        "<code>post-audit users add NAME --role viewer</code></p></main>"
    )
    return plain_page("Sign in · Post-Audit Protocol", _STYLE, body, status=status)
