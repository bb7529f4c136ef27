"""``btkite status --web``: how the account stands, in a browser of this machine, with a button that kills.

It listens on the loopback alone. The address holds a random word: who does not know it sees nothing and does nothing,
and a page of somebody else's can neither guess nor read it, so that it cannot press the button from afar. The host
that a request names is looked at, too (DNS rebinding). The page shows what ``btkite status`` shows, and can stop, not
trade: what no run does for it needs ``--confirm`` in a terminal.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from ..config import Config
from ..errors import BtkiteError
from ..log import get_logger
from . import killing
from .reading import Standing
from .showing import shown

log = get_logger(__name__)
LOOPBACK = "127.0.0.1"
_LONGEST = 4096
_PATIENCE = timedelta(seconds=2)
_STYLE = (
    "body{font:14px monospace;margin:2em}pre{white-space:pre-wrap}form{margin:1em 0}button{font:inherit}.no{color:#b00}"
)
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>btkite</title>
<meta http-equiv="refresh" content="5"><style>{style}</style></head>
<body>{word}<pre>{text}</pre>{forms}</body></html>"""
_FORM = """<form method="post" action="kill"><input type="hidden" name="mode" value="{mode}">
<input name="reason" value="the page" maxlength="200"><label><input type="checkbox" name="flatten" value="yes">
close every position, too</label> <button>kill {place}</button></form>"""


class Page(ThreadingHTTPServer):
    """Serves one configuration's accounts. ``look`` says how they stand; ``url`` is where."""

    daemon_threads = True

    def __init__(self, config: Config, look: Callable[[], list[Standing]], port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.config, self.look = config, look
        self.word = secrets.token_urlsafe(24)
        self.said = ""

    @property
    def url(self) -> str:
        """With the word that opens it."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/{self.word}/"

    def text(self) -> str:
        """The page."""
        found = self.look()
        shows = "\n\n".join("\n".join(shown(one)) for one in found) or "no account is known"
        forms = [_FORM.format(mode=escape(one.place.mode, quote=True), place=escape(str(one.place))) for one in found]
        word = f'<p class="no">{escape(self.said)}</p>' if self.said else ""
        return _PAGE.format(style=_STYLE, word=word, text=escape(shows), forms="".join(forms))

    def kill(self, mode: str, reason: str, *, flatten: bool) -> None:
        """The button."""
        try:
            found = killing.kill(
                mode, reason=reason, flatten=flatten, config=self.config, patience=_PATIENCE
            )  # the switch is set at once; what becomes of it is on the page
        except BtkiteError as error:
            self.said = str(error)
            return
        lines = [str(one) for one in found]
        if any(one.pid is None for one in found):
            lines.append("what is open has to be closed from a terminal: btkite kill --confirm USER_ID")
        self.said = "; ".join(lines)


class _Handler(BaseHTTPRequestHandler):
    server: Page
    server_version = "btkite"
    sys_version = ""

    def do_GET(self) -> None:
        if not self._is_known() or self._path() != "":
            self._refuse()
            return
        self._answer(HTTPStatus.OK, self.server.text())

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        origin = self.headers.get("Origin")
        ours = origin is None or origin in ("null", f"http://{self._host()}")  # no-referrer makes it null
        if not self._is_known() or self._path() != "kill" or not ours or not size.isdecimal() or int(size) > _LONGEST:
            self._refuse()
            return
        form = parse_qs(self.rfile.read(int(size)).decode("utf-8", "replace"))
        said = {name: values[0] for name, values in form.items()}
        self.server.kill(
            said.get("mode", ""), said.get("reason", "").strip() or "the page", flatten=said.get("flatten") == "yes"
        )
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "./")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _host(self) -> str:
        return f"{LOOPBACK}:{self.server.server_address[1]}"

    def _is_known(self) -> bool:
        word = self.path.split("/")[1] if self.path.count("/") > 1 else ""
        named = self.headers.get("Host", "") == self._host()
        return named and secrets.compare_digest(word.encode(), self.server.word.encode())

    def _path(self) -> str:
        return self.path.split("/", 2)[2].partition("?")[0]

    def _refuse(self) -> None:
        self._answer(HTTPStatus.NOT_FOUND, "nothing is here: the address that btkite status --web printed is whole")
        self.close_connection = True

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in _GUARDS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address has the word in it."""


_GUARDS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}
