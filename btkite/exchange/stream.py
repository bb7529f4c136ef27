"""The sockets: who listens to what, and how much was sent to whom.

A frame is written in two steps: appended in the order of the market's events, then flushed. A lock-step
answer waits for the flush, so that what it counts is on its way.

In lock step every instant is a frame of its own. While the clock runs, what was printed within a snapshot's
length of market time is held and told once, as it stands at the end, and only if it changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, web

from .clock import monotonic
from .listing import Listing
from .packets import HEARTBEAT, MODES, frame, packet

BACKLOG = 20_000  # frames that a reader may lag behind before it is cut, as Kite cuts slow readers
BACKLOG_BYTES = 256 * 1024 * 1024
FOREVER = 1 << 62
Gate = Callable[["Socket", "bytes | str"], "list[bytes | str]"]
"""What a fault makes of a frame."""


class Socket:
    """One client's connection. ``modes`` maps the tokens it asked for to ``ltp``, ``quote`` or ``full``.

    ``seen`` is the last packet of each; a ``deaf`` one is open but is told nothing of market and orders.
    """

    def __init__(
        self,
        response: web.WebSocketResponse,
        peer: str,
        api_key: str,
        transport: asyncio.Transport | None,
        token: str = "",
    ) -> None:
        self.response = response
        self._transport = transport
        self.peer = peer
        self.api_key = api_key
        self.token = token
        self.deaf = False
        self.cut = False
        self.modes: dict[int, str] = {}
        self.seen: dict[int, bytes] = {}
        self.sent = 0
        self.last_sent = monotonic()
        self.gate: Gate | None = None
        self._ending: asyncio.Task[None] | None = None
        self._waiting: list[bytes | str] = []
        self._flushing: asyncio.Task[None] | None = None

    def append(self, message: bytes | str) -> None:
        """Count and queue one frame, or what a fault makes of it."""
        for one in (message,) if self.gate is None else self.gate(self, message):
            self.sent += 1
            self._waiting.append(one)

    def stop_listening(self) -> None:
        """Read nothing any more, not even a ping."""
        if self._transport is not None:
            self._transport.pause_reading()

    def tear(self, part: bytes) -> None:
        """Write what is queued, then ``part`` of a message as it is, and end the connection."""
        self.cut = True

        async def end() -> None:
            await self.flush()
            if self._transport is not None:
                self._transport.write(part)
                self._transport.close()

        self._ending = asyncio.create_task(end())

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
    def lags(self) -> bool:
        """True if its reader is too slow to be waited for."""
        waiting = self._waiting
        if len(waiting) > BACKLOG:
            return True
        return len(waiting) > 16 and sum(map(len, waiting)) > BACKLOG_BYTES

    def drop(self, token: int) -> None:
        """It wants no more of an instrument."""
        self.modes.pop(token, None)
        self.seen.pop(token, None)

    def abort(self) -> None:
        """Cut the connection without a word. In lock step its reader is waited for until it has noticed."""
        self.cut = True
        if self._transport is not None:
            self._transport.abort()


class Hub:
    """All sockets, and what they are told."""

    def __init__(self, by_token: Mapping[int, Listing], max_tokens: int, snapshot_us: int = 0) -> None:
        self._by_token = by_token
        self._max_tokens = max_tokens
        self._snapshot_us = snapshot_us
        self._held: dict[Listing, None] = {}
        self.due = FOREVER  # when what is held must be told
        self.sockets: list[Socket] = []
        self._gate: Gate | None = None

    def set_gate(self, gate: Gate | None) -> None:
        """Let ``gate`` say what becomes of each frame; None: nothing but the frame."""
        self._gate = gate
        for socket in self.sockets:
            socket.gate = gate

    def count(self, api_key: str) -> int:
        """Open sockets of one app."""
        return sum(socket.api_key == api_key for socket in self.sockets)

    def sent(self) -> dict[str, int]:
        """Frames sent so far, by the client's address."""
        return {socket.peer: socket.sent for socket in self.sockets if not socket.cut}

    def greet(self, socket: Socket, instruments: int, etag: str) -> None:
        """A socket opened."""
        self.sockets.append(socket)
        socket.gate = self._gate
        message = {"type": "instruments_meta", "data": {"count": instruments, "etag": etag}}
        socket.append(orjson.dumps(message).decode())

    def publish(self, listings: Iterable[Listing]) -> None:
        """All that was printed at one instant: one frame for each socket."""
        self._send(list(listings), changed_only=False)

    def _send(self, listings: Collection[Listing], *, changed_only: bool) -> None:
        for socket in self.sockets:
            modes, seen = socket.modes, socket.seen
            packets = []
            for listing in listings:
                mode = modes.get(listing.token)
                if mode is None:
                    continue
                one = packet(listing, mode)
                if not changed_only or seen.get(listing.token) != one:
                    seen[listing.token] = one
                    packets.append(one)
            if packets and not socket.deaf:
                socket.append(frame(packets))

    def hold(self, listings: Iterable[Listing], now: int) -> None:
        """All that was printed at one instant, to be told with the snapshot that it falls into."""
        if not self._snapshot_us:
            self.publish(listings)
        elif self.sockets:
            self._held.update(dict.fromkeys(listings))
            if self.due == FOREVER:
                self.due = (now // self._snapshot_us + 1) * self._snapshot_us

    def release(self) -> None:
        """Tell what is held: to each socket what changed for it, in one frame."""
        self.due = FOREVER
        if not self._held:
            return
        held, self._held = self._held, {}
        self._send(held, changed_only=True)

    def tell(self, kind: str, data: Any) -> None:
        """A text to every socket: an ``order`` update, an ``error``, a broker's ``message``."""
        if not self.sockets:
            return
        text = orjson.dumps({"type": kind, "data": data}).decode()
        for socket in self.sockets:
            if not socket.deaf:
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
            if socket.lags:
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
                    socket.drop(token)
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
        packets = []
        for token in dict.fromkeys(tokens):
            if self._by_token[token].last_us:
                packets.append(packet(self._by_token[token], socket.modes[token]))
                socket.seen[token] = packets[-1]
        if packets and not socket.deaf:
            socket.append(frame(packets))
