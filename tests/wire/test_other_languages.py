"""What clients in other languages need of the wire, by bare sockets that behave as they do.

KiteTicker of JavaScript and of Go give a connection up that was silent for five seconds, in the first without a word
on its part but the handshake of RFC 6455; JavaScript's KiteConnect refuses an answer whose content type is not, to the
letter, ``application/json`` or ``text/csv``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kiteconnect import KiteConnect

from btkite.exchange import Exchange

from .conftest import FLAT, UP
from .test_kiteconnect import INFY, clock

GIVES_UP = 5.0  # seconds of silence
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = "sandboxkey000000"


class Raw:
    """A WebSocket client of its own: masked frames out, unmasked frames in."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._buffer = connection, b""

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            part = self._connection.recv(65536)
            assert part, "the server hung up"
            self._buffer += part
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def head(self) -> tuple[str, dict[str, str]]:
        """The status line and the headers of an answer, names in small letters."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._connection.recv(65536)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        return status, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def send(self, code: int, data: bytes) -> None:
        mask = os.urandom(4)
        assert len(data) < 126
        covered = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self._connection.sendall(bytes([0x80 | code, 0x80 | len(data)]) + mask + covered)

    def say(self, **message: Any) -> None:
        self.send(TEXT, json.dumps(message).encode())

    def next(self) -> tuple[int, bytes]:
        """Code and data of the next frame; TimeoutError after five seconds of silence."""
        first, second = self._take(2)
        assert first & 0xF0 == 0x80, "one whole frame, no extension"
        assert not second & 0x80, "a server does not mask"
        size = second
        if size == 126:
            (size,) = struct.unpack(">H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._take(8))
        return first & 0x0F, self._take(size)


@contextmanager
def opened(exchange: Exchange, token: str, *headers: str, path: str = "/") -> Iterator[Raw]:
    """A socket after its handshake and greeting."""
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=GIVES_UP) as connection:
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path}?api_key={KEY}&access_token={token}&uid=1732 HTTP/1.1", f"Host: 127.0.0.1:{exchange.port}",
            "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {nonce}", "Sec-WebSocket-Version: 13",
            *headers, "", "",
        ]  # fmt: skip
        connection.sendall("\r\n".join(lines).encode())
        raw = Raw(connection)
        status, fields = raw.head()
        assert status.startswith("HTTP/1.1 101")
        sealed = base64.b64encode(hashlib.sha1((nonce + GUID).encode()).digest()).decode()
        assert fields["sec-websocket-accept"] == sealed
        assert "sec-websocket-extensions" not in fields
        code, greeting = raw.next()
        assert (code, json.loads(greeting)["type"]) == (TEXT, "instruments_meta")
        yield raw


LIKE_JAVASCRIPT = ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "Pragma: no-cache")
LIKE_GO = ("User-Agent: Go-http-client/1.1",)


@pytest.mark.parametrize("headers", [LIKE_JAVASCRIPT, LIKE_GO], ids=["JavaScript", "Go"])
def test_a_client_that_gives_up_after_five_silent_seconds_stays(
    market: Callable[..., KiteConnect], running: Exchange, headers: tuple[str, ...]
) -> None:
    market(UP, FLAT)
    with opened(running, "wire-token", *headers) as raw:
        assert [raw.next() for _ in range(2)] == [(BINARY, b"\0")] * 2  # a market in lock step that nobody moves
        raw.say(a="subscribe", v=[INFY])
        raw.say(a="mode", v=["full", [INFY]])
        raw.send(PING, b"there?")
        while (frame := raw.next()) != (PONG, b"there?"):
            assert frame == (BINARY, b"\0")  # nothing was printed yet, so there is no packet to be cached
        clock(running, next="bar")
        clock(running, next="bar")
        ticks = []
        while len(ticks) < 4:
            code, data = raw.next()
            assert code == BINARY
            ticks += [data] if len(data) > 1 else []
        assert [struct.unpack_from(">HHII", data) for data in ticks] == [
            (1, 184, INFY, price) for price in (10000, 9800, 10400, 10200)
        ]
        raw.send(CLOSE, struct.pack(">H", 1000))
        while (frame := raw.next())[0] != CLOSE:
            assert frame == (BINARY, b"\0")
        assert frame[1][:2] == struct.pack(">H", 1000)


def answered(exchange: Exchange, request: str, body: str = "", *headers: str) -> tuple[str, dict[str, str]]:
    with socket.create_connection(("127.0.0.1", exchange.port), timeout=GIVES_UP) as connection:
        lines = [
            f"{request} HTTP/1.1", f"Host: 127.0.0.1:{exchange.port}", "X-Kite-Version: 3", "Connection: close",
            f"Authorization: token {KEY}:wire-token", *headers, f"Content-Length: {len(body)}", "", body,
        ]  # fmt: skip
        connection.sendall("\r\n".join(lines).encode())
        return Raw(connection).head()


FORM = "Content-Type: application/x-www-form-urlencoded"
ORDER = "exchange=NSE&tradingsymbol=INFY&transaction_type=BUY&quantity=1&product=MIS&order_type=LIMIT&price=99"

ASKED = json.dumps([{
    "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular", "product": "CNC",
    "order_type": "LIMIT", "quantity": 1, "price": 99, "trigger_price": 0,
}])  # fmt: skip


@pytest.mark.parametrize(
    ("request_line", "body", "headers", "status", "kind"),
    [
        ("GET /user/profile", "", (), 200, "application/json"),
        ("GET /no/such/path", "", (), 404, "application/json"),
        ("GET /quote?i=NSE:INFY&i=NSE%3AINFY", "", (), 200, "application/json"),
        ("POST /orders/regular", ORDER, (FORM,), 200, "application/json"),
        ("POST /orders/regular", ORDER, (f"{FORM}; charset=utf-8",), 200, "application/json"),
        ("POST /orders/regular", "", (), 400, "application/json"),
        ("POST /margins/orders", ASKED, ("Content-Type: application/json",), 200, "application/json"),
        ("DELETE /orders/regular/1", "", (), 400, "application/json"),
        ("GET /instruments", "", (), 200, "text/csv"),
        ("GET /instruments/NSE", "", ("Accept-Encoding: gzip",), 200, "text/csv"),
        ("GET /mf/instruments", "", (), 200, "text/csv"),
        (f"GET /quote?i={'x' * 200_000}", "", (), 414, "application/json"),
    ],
)
def test_an_answers_content_type_is_kites_to_the_letter(
    market: Callable[..., KiteConnect], running: Exchange, request_line: str, body: str, headers: tuple[str, ...],
    status: int, kind: str,
) -> None:  # fmt: skip
    market(FLAT, FLAT)
    clock(running, next="bar")
    said, fields = answered(running, request_line, body, *headers)
    assert (int(said.split()[1]), fields["content-type"]) == (status, kind)
