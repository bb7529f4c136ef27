"""The sockets: who listens to what, and how much was sent to whom.

A frame is written in two steps: appended in the order of the market's events, then flushed. A lock-step
answer waits for the flush, so that what it counts is on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, web

from .clock import monotonic
from .listing import Listing
from .packets import HEARTBEAT, MODES, frame, packet

BACKLOG = 20_000  # frames that a reader may lag behind before it is cut, as Kite cuts slow readers


class Socket:
    """One client's connection. ``modes`` maps the tokens it asked for to ``ltp``, ``quote`` or ``full``."""

    def __init__(
        self, response: web.WebSocketResponse, peer: str, api_key: str, transport: asyncio.Transport | None
    ) -> None:
        self.response = response
        self._transport = transport
        self.peer = peer
        self.api_key = api_key
        self.modes: dict[int, str] = {}
        self.sent = 0
        self.last_sent = monotonic()
        self._waiting: list[bytes | str] = []
        self._flushing: asyncio.Task[None] | None = None

    def append(self, message: bytes | str) -> None:
        """Count and queue one frame."""
        self.sent += 1
        self._waiting.append(message)

    def start_flush(self) -> None:
        """Write what is queued, without waiting for it."""
        if self._waiting and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Write what is queued; returns when it is written."""
        self.start_flush()
        while self._flushing is not None and not self._flushing.done():
            await self._flushing
            self.start_flush()

    async def _write(self) -> None:
        while self._waiting:
            messages, self._waiting = self._waiting, []
            self.last_sent = monotonic()
            try:
                for message in messages:
                    if isinstance(message, bytes):
                        await self.response.send_bytes(message)
                    else:
                        await self.response.send_str(message)
            except (ConnectionError, ClientConnectionResetError, RuntimeError):
                self._waiting.clear()  # the reader is gone; its handler sees it too
                return

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._transport is not None:
            self._transport.abort()


class Hub:
    """All sockets, and what they are told."""

    def __init__(self, by_token: Mapping[int, Listing], user_id: str, max_tokens: int) -> None:
        self._by_token = by_token
        self._user_id = user_id
        self._max_tokens = max_tokens
        self.sockets: list[Socket] = []

    def count(self, api_key: str) -> int:
        """Open sockets of one app."""
        return sum(socket.api_key == api_key for socket in self.sockets)

    def sent(self) -> dict[str, int]:
        """Frames sent so far, by the client's address."""
        return {socket.peer: socket.sent for socket in self.sockets}

    def greet(self, socket: Socket, instruments: int, etag: str) -> None:
        """A socket opened."""
        self.sockets.append(socket)
        message = {"type": "instruments_meta", "data": {"count": instruments, "etag": etag}}
        socket.append(orjson.dumps(message).decode())

    def publish(self, listings: Iterable[Listing]) -> None:
        """All that was printed at one instant: one frame for each socket."""
        printed = list(listings)
        for socket in self.sockets:
            modes = socket.modes
            packets = [packet(listing, modes[listing.token]) for listing in printed if listing.token in modes]
            if packets:
                socket.append(frame(packets))

    def tell_order(self, row: Mapping[str, Any]) -> None:
        """An order update, to every socket of the user, whatever it subscribed to."""
        if not self.sockets:
            return
        data = {
            **row,
            "user_id": self._user_id,
            "unfilled_quantity": row["pending_quantity"],
            "app_id": 1,
            "checksum": "",
        }
        text = orjson.dumps({"type": "order", "data": data}).decode()
        for socket in self.sockets:
            socket.append(text)

    def heartbeat(self, seconds: float) -> None:
        """One byte to whoever was sent nothing for ``seconds``."""
        now = monotonic()
        for socket in self.sockets:
            if now - socket.last_sent >= seconds:
                socket.append(HEARTBEAT)

    def start_flush(self) -> None:
        """Write all that is queued, without waiting for slow readers; cut those that lag too far."""
        for socket in self.sockets:
            if socket.backlog > BACKLOG:
                socket.abort()
            socket.start_flush()

    async def flush(self) -> None:
        """Write all that is queued, and wait until it is written."""
        for socket in list(self.sockets):
            await socket.flush()

    def hear(self, socket: Socket, text: str) -> None:
        """A client's message: subscribe, unsubscribe or mode. What is not one of these is ignored, as Kite does."""
        try:
            message = orjson.loads(text)
            action, value = message["a"], message["v"]
            if action == "subscribe":
                self._subscribe(socket, value)
            elif action == "unsubscribe":
                for token in value:
                    socket.modes.pop(token, None)
            elif action == "mode":
                mode, tokens = value
                if mode in MODES:
                    self._set_mode(socket, mode, tokens)
        except (ValueError, KeyError, TypeError):
            return

    def _subscribe(self, socket: Socket, tokens: Iterable[Any]) -> None:
        fresh = [token for token in tokens if isinstance(token, int) and token in self._by_token]
        for token in fresh:
            if token not in socket.modes and len(socket.modes) >= self._max_tokens:
                socket.append('{"type":"error","data":"Subscription limit exceeded."}')
                break
            socket.modes[token] = "quote"
        self._snapshot(socket, [token for token in fresh if token in socket.modes])

    def _set_mode(self, socket: Socket, mode: str, tokens: Iterable[Any]) -> None:
        known = [token for token in tokens if isinstance(token, int) and token in socket.modes]
        for token in known:
            socket.modes[token] = mode
        self._snapshot(socket, known)

    def _snapshot(self, socket: Socket, tokens: Iterable[int]) -> None:
        """The cached packets at once, with their true (perhaps old) exchange times."""
        packets = [
            packet(self._by_token[token], socket.modes[token])
            for token in dict.fromkeys(tokens)
            if self._by_token[token].last_us
        ]
        if packets:
            socket.append(frame(packets))
