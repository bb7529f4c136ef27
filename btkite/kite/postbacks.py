"""Kite's postbacks: order updates that Kite posts to an address of ours, beside the stream.

A post is a bare JSON body with a seal, the lower-hex SHA-256 of ``order_id + order_timestamp + api_secret``
(https://kite.trade/docs/connect/v3/postbacks/). Kite posts once and does not wait, so it is answered at once, and
what it says goes into the inbox like any other news: repeated, late or out of order. Whoever cannot seal is turned
away and counted. The listener knows nothing that could be asked of it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..errors import ConfigError
from ..values import Source
from .frames import order_update
from .inbox import Inbox
from .secret import Secret

log = logging.getLogger("btkite.kite.postbacks")
LARGEST = 64 * 1024  # bytes of a body; Kite's have about 1,500
SECONDS = 5.0  # for a body to arrive


class Postbacks:
    """Listens on ``host:port`` (0: a free one) until :meth:`stop`.

    ``user_id``: updates of another account are not ours; empty: any. ``heard``, ``forged`` and ``unread`` count the
    posts that were taken, that were not sealed by Kite, and that could not be read.

    Raises:
        ConfigError: the port is not free, or there is no api_secret to know Kite by.
    """

    def __init__(self, host: str, port: int, api_secret: str, inbox: Inbox, *, user_id: str = "") -> None:
        if not api_secret:
            raise ConfigError(
                "KITE_API_SECRET is missing, with which postbacks are sealed; give it, or set "
                "broker.kite_connect.postback_port to null"
            )
        self._secret = Secret(api_secret)
        self._inbox = inbox
        self._user_id = user_id
        self._lock = threading.Lock()
        self.heard = self.forged = self.unread = 0
        listener = self

        class Handler(BaseHTTPRequestHandler):
            timeout = SECONDS

            def do_POST(self) -> None:
                self.send_response(listener._take(self._body()))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _body(self) -> bytes:
                try:
                    length = int(self.headers.get("Content-Length") or 0)
                except ValueError:
                    return b""
                return self.rfile.read(length) if 0 < length <= LARGEST else b""

            def log_message(self, *_: Any) -> None:
                """Nothing: who posts what is said by :meth:`Postbacks._take`."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                log.info("a postback broke off")

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise ConfigError(f"port {port} for postbacks is not free on {host}: {error.strerror}") from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="kite-postbacks", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, body: bytes) -> int:
        """The HTTP status for one post."""
        try:
            row = json.loads(body)
            sealed = f"{row['order_id']}{row['order_timestamp']}{self._secret.reveal()}".encode()
            seal = str(row["checksum"]).encode()
        except (ValueError, KeyError, TypeError):
            return self._count("unread", "a postback could not be read", 400)
        if not hmac.compare_digest(seal, hashlib.sha256(sealed).hexdigest().encode()):
            return self._count("forged", "a postback was not sealed by Kite", 403)
        if self._user_id and row.get("user_id") and str(row["user_id"]) != self._user_id:
            return self._count("forged", "a postback was of another account", 403)
        self._inbox.put(order_update(row, Source.POSTBACK))
        return self._count("heard", "", 200)

    def _count(self, name: str, sentence: str, status: int) -> int:
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)
            count = getattr(self, name)
        if sentence and count in (1, 10, 100, 1000):  # whoever floods us does not flood the log
            log.warning("%s (%d so far)", sentence, count)
        return status
