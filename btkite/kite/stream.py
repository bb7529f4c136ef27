"""Kite's stream: all its connections in one thread, what is wanted of them, and how they stand as a whole.

Facts it is built on (https://kite.trade/docs/connect/v3/websocket/ and Zerodha's forum): the token
is looked at only when connecting; 403 there means that it is dead (or that the plan has no market
data) and asking again cannot help, 429 that there are three connections already; a heartbeat of one
byte comes every few seconds; a subscription does not survive the connection; order updates need
none, and those sent while we were away are not sent again (the caller reads the order book after
every ``CONNECTED``). A connection takes 3000 instruments, a key three connections.

What is wanted is state, not a list of commands: each connection (:mod:`~btkite.kite.websocket`) compares
what is wanted with what it has said, and says the difference. So subscribing before connecting, while
connecting and after a cut are one case.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from socket import AF_INET, AF_UNSPEC
from typing import Any

from ..clock import Clock
from ..errors import RuleViolation
from . import network
from .endpoints import Endpoint
from .frames import Decoder, Notice
from .inbox import Inbox, Link, LinkChange
from .secret import mask, redact
from .websocket import WebSocket

log = logging.getLogger("btkite.kite.stream")

INSTRUMENTS = 3000  # per connection
CONNECTIONS = 3  # per api_key
MODES = frozenset({"ltp", "quote", "full"})


class KiteStream:
    """Ticks and order updates of one account, put into the inbox as they come.

    Params:
      - ``access_token``: asked at every connect, so that a renewed session is picked up
      - ``on_refused``: called on the stream's thread with the token and the reason of a refusal (403)
      - ``heartbeat``: seconds without a frame after which we ping; no pong in half of it is a break
      - ``silence``: seconds without any data frame (Kite's heartbeat counts) after which the
        connection is given up; in lock step the exchange's time stands, so silence means nothing
      - ``backoff``: first and longest wait in seconds between attempts; 429 starts at ``crowded``

    ``frames_read`` says how many data frames of each connection, by our own socket's address, are
    in the inbox: lock step goes by it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        api_key: str,
        access_token: Callable[[], str],
        inbox: Inbox,
        clock: Clock,
        *,
        user_id: str = "",
        heartbeat: float = 10.0,
        silence: float = 10.0,
        backoff: tuple[float, float] = (0.5, 30.0),
        crowded: float = 10.0,
        connect_timeout: float = 10.0,
        instruments: int = INSTRUMENTS,
        connections: int = CONNECTIONS,
        on_refused: Callable[[str, str], None] = lambda token, reason: None,
        ipv4: bool = True,
        proxy: str = "",
    ) -> None:
        self.endpoint = endpoint
        self.api_key = api_key
        self.user_id = user_id
        self.inbox = inbox
        self.clock = clock
        self.heartbeat = heartbeat
        self.silence = silence
        self.backoff = backoff
        self.crowded = crowded
        self.connect_timeout = connect_timeout
        self.on_refused = on_refused
        self.ipv4 = ipv4
        self.proxy = network.proxy_for(endpoint.ws_root, proxy)
        self.access_token = access_token
        self.token = ""  # the last one used, to keep it out of the log
        self.decoder = Decoder()
        self.notices: list[Notice] = []
        self._instruments = instruments
        self.lock = threading.Lock()
        self._frames: dict[str, int] = {}
        self.heard = datetime.min  # market time of the last data frame, heartbeats included
        self._sockets = [WebSocket(self, number) for number in range(connections)]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._link: Link = Link.CLOSED

    def __repr__(self) -> str:
        return f"KiteStream({self.endpoint.name}, api_key={mask(self.api_key)!r}, {self._link})"

    # -- any thread ----------------------------------------------------------------------------

    @property
    def link(self) -> Link:
        """The state of the whole: CONNECTED if every connection that is needed stands."""
        return self._link

    @property
    def connected(self) -> bool:
        return self._link is Link.CONNECTED

    @property
    def busy(self) -> bool:
        """Whether a connection attempt or a subscription is under way (lock step waits for it).

        A subscription is under way until Kite has shown, by answering a ping sent behind it, that it
        has read it.
        """
        return self._thread is not None and any(socket.busy for socket in self._sockets)

    @property
    def due(self) -> datetime | None:
        """When the next attempt to connect is due, if one waits: market time must get there."""
        waits = [socket.retry_at for socket in self._sockets]  # each read once: a thread of its own clears it
        return min((at for at in waits if at is not None), default=None)

    @property
    def frames_read(self) -> dict[str, int]:
        """Data frames in the inbox by ``host:port`` of our end of each open connection."""
        with self.lock:
            return dict(self._frames)

    @property
    def subscribed(self) -> dict[int, str]:
        """What is wanted: mode by instrument token."""
        with self.lock:
            return {token: mode for socket in self._sockets for token, mode in socket.wanted.items()}

    def start(self) -> None:
        """Start the thread; at once and again after :meth:`stop`. Does nothing if it runs."""
        if self._thread is not None:
            return
        self._link = Link.CLOSED
        for socket in self._sockets:
            socket.reset()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="kite-stream", daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Close all connections and end the thread. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._call(self._stop_now)
        if thread is not threading.current_thread():
            thread.join()

    def renew(self) -> None:
        """There is a new token (or network): try again now, even after a refusal."""
        self._call(self._wake)

    def reconnect(self, reason: str) -> None:
        """Give up what stands, and connect anew."""

        def give_up() -> None:
            for socket in self._sockets:
                socket.give_up(reason)

        self._call(give_up)

    def subscribe(self, modes: Mapping[int, str]) -> None:
        """Want these instruments, each in its mode (``ltp``, ``quote``, ``full``); others stay as they are.

        Raises:
            RuleViolation: a mode that Kite does not have, or more instruments than it streams.
        """
        for token, mode in modes.items():
            if mode not in MODES:
                raise RuleViolation(f"stream mode {mode!r} of {token} is none of {', '.join(sorted(MODES))}")
        with self.lock:
            home = {token: socket for socket in self._sockets for token in socket.wanted}
            room = sum(self._instruments - len(socket.wanted) for socket in self._sockets)
            fresh = sum(token not in home for token in modes)
            if fresh > room:
                raise RuleViolation(
                    f"{len(home) + fresh} instruments are more than Kite streams: "
                    f"{len(self._sockets)} connections of {self._instruments}"
                )
            for token, mode in modes.items():
                socket = home.get(token) or next(s for s in self._sockets if len(s.wanted) < self._instruments)
                socket.wanted[int(token)] = mode
        self._call(self._look)

    def unsubscribe(self, tokens: Iterable[int]) -> None:
        """Do not want these instruments any more."""
        gone = set(tokens)
        with self.lock:
            for socket in self._sockets:
                for token in gone & socket.wanted.keys():
                    del socket.wanted[token]
        self._call(self._look)

    # -- the stream's own thread ---------------------------------------------------------------

    def _wake(self) -> None:
        for socket in self._sockets:
            socket.wake()

    def _look(self) -> None:
        for socket in self._sockets:
            if socket.needed:
                socket.changed.set()

    def _call(self, action: Callable[[], Any]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop was closed between the two lines: there is nothing to tell
            log.debug("the stream has ended")

    def _stop_now(self) -> None:
        if self._stopping is not None:
            self._stopping.set()

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._main(ready))
        finally:
            self._loop = None
            with self.lock:
                self._frames.clear()
            self._tell(Link.CLOSED, "")
            ready.set()

    async def _main(self, ready: threading.Event) -> None:
        import aiohttp

        # First of all: what another thread wants from here on is heard through the loop.
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        for socket in self._sockets:
            socket.open()
        connector = aiohttp.TCPConnector(family=AF_INET if self.ipv4 else AF_UNSPEC)
        # trust_env stays off: the environment's proxies are not ours (btkite.kite.network).
        async with aiohttp.ClientSession(connector=connector) as session:
            tasks = [asyncio.create_task(socket.live(session)) for socket in self._sockets]
            ready.set()
            await self._stopping.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def clean(self, text: object) -> str:
        return redact(text, self.token)

    def took(self, address: str, event: Any) -> None:
        """A data frame was read: into the inbox, then into the count, then the bell."""
        self.heard = self.clock.now()
        if event is not None:
            self.inbox.add(event)
        with self.lock:
            if address in self._frames:
                self._frames[address] += 1
        self.inbox.bell.ring()

    def opened(self, address: str) -> None:
        with self.lock:
            self._frames[address] = 0

    def closed(self, address: str) -> None:
        with self.lock:
            self._frames.pop(address, None)

    def state(self, reason: str = "") -> None:
        """Work out the state of the whole and tell it if it is news."""
        links = [socket.link for socket in self._sockets if socket.needed]
        for link in (Link.REFUSED, Link.BROKEN, Link.CONNECTING):
            if link in links:
                self._tell(link, reason)
                return
        self._tell(Link.CONNECTED, reason)

    def _tell(self, link: Link, reason: str) -> None:
        if link is self._link:
            return
        # Connecting is news at the start only: a broken stream is news again when it stands, and one
        # that stands goes on while a further connection is opened.
        if link is Link.CONNECTING and self._link in (Link.BROKEN, Link.CONNECTED):
            return
        self._link = link
        log.info("stream %s %s", link, reason)
        self.inbox.put(LinkChange(link, reason))

    def noted(self, notice: Notice) -> None:
        """A text that is no order: Kite's notices and errors go to the log."""
        self.notices.append(notice)
        del self.notices[:-100]
        if notice.kind == "damaged":
            self.decoder.damaged += 1
        level = logging.WARNING if notice.kind in ("error", "damaged") else logging.INFO
        log.log(level, "stream %s: %s", notice.kind, self.clean(notice.text))
