"""The pages that a person sees on the way in: login, done, and the depository's authorisation.

Plain HTML without scripts or anything from outside, so that it works in any browser and offline.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

from ..apps import App

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center;
       background: #f4f5f7; color: #24292f; }
main { background: #fff; padding: 2rem 2.5rem; border-radius: 10px; box-shadow: 0 1px 8px #0002; max-width: 26rem; }
h1 { font-size: 1.3rem; margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0 0 1.5rem; }
dt { color: #667; } dd { margin: 0; overflow-wrap: anywhere; }
button { font: inherit; width: 100%; padding: .7rem; border: 0; border-radius: 6px; background: #e25f5f;
         color: #fff; cursor: pointer; }
code { overflow-wrap: anywhere; background: #8883; padding: .1rem .3rem; border-radius: 4px; }
small { color: #667; }
table { width: 100%; border-collapse: collapse; margin-bottom: 1.5rem; } td { padding: .2rem 0; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #dde; } main { background: #22262c; } }
"""


def _page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>"
    ).encode()


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows)
    return f"<dl>{inner}</dl>"


def login(user_id: str, user_name: str, app: App, kept: Mapping[str, str]) -> bytes:
    """The login page; ``kept`` travels on with the button."""
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">' for name, value in kept.items()
    )
    facts = _facts([("User", f"{user_id} ({user_name})"), ("App", app.api_key), ("Plan", app.plan)])
    return _page(
        "Log in to the simulated exchange",
        f'{facts}<form method="post" action="/connect/login">{fields}<button type="submit">Log in</button></form>'
        "<p><small>No password is asked here: the money is not real.</small></p>",
    )


def logged_in(token: str) -> bytes:
    """Where a login ends that has no address to go back to."""
    return _page(
        "Logged in",
        f"<p>request_token: <code>{html.escape(token)}</code></p>"
        "<p><small>It is good for one exchange and a few minutes.</small></p>",
    )


def authorise(address: str, rows: Iterable[tuple[str, str, int]]) -> bytes:
    """The depository's page: which shares may be sold today."""
    lines = "".join(
        f"<tr><td>{html.escape(symbol)}</td><td>{html.escape(isin)}</td><td>{quantity}</td></tr>"
        for symbol, isin, quantity in rows
    )
    return _page(
        "Authorise the sale of holdings",
        f'<table>{lines}</table><form method="post" action="{html.escape(address)}">'
        '<button type="submit">Authorise</button></form>',
    )


def authorised() -> bytes:
    """After the button."""
    return _page("Authorised", "<p>These holdings may be sold until the end of the day.</p>")
