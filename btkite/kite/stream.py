"""Kite's WebSocket, in a thread of its own: connect, ping, watch, come back, subscribe again.

Facts it is built on (https://kite.trade/docs/connect/v3/websocket/ and Zerodha's forum): the token
is looked at only when connecting; 403 there means that it is dead (or that the plan has no market
data) and asking again cannot help, 429 that there are three connections already; a heartbeat of one
byte comes every few seconds; a subscription does not survive the connection; order updates need
none, and those sent while we were away are not sent again (the caller reads the order book after
every ``CONNECTED``). A connection takes 3000 instruments, a key three connections.

What is wanted is state, not a list of commands: each connection compares what is wanted with what
it has said on this connection, and says the difference. So subscribing before connecting, while
connecting and after a cut are one case.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from socket import AF_INET, AF_UNSPEC
from typing import TYPE_CHECKING, Any

from ..clock import Clock, ExchangeClock
from ..errors import BtkiteError, RuleViolation
from ..log import register_secret
from ..values import OrderUpdate
from .endpoints import Endpoint
from .frames import Decoder, Notice, decode_text
from .inbox import Inbox, Link, LinkChange, Ticks
from .secret import mask, redact

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("btkite.kite.stream")

INSTRUMENTS = 3000  # per connection
CONNECTIONS = 3  # per api_key
BATCH = 1000  # tokens in one message
MODES = frozenset({"ltp", "quote", "full"})
DEFAULT_MODE = "quote"  # what Kite sends after a bare subscribe


class KiteStream:
    """Ticks and order updates of one account, put into the inbox as they come.

    Params:
      - ``access_token``: asked at every connect, so that a renewed session is picked up
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
        ipv4: bool = True,
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
        self.ipv4 = ipv4
        self.access_token = access_token
        self.token = ""  # the last one used, to keep it out of the log
        self.decoder = Decoder()
        self.notices: list[Notice] = []
        self._instruments = instruments
        self._lock = threading.Lock()
        self._frames: dict[str, int] = {}
        self._sockets = [_Socket(self, number) for number in range(connections)]
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
        waits = [socket.retry_at for socket in self._sockets if socket.retry_at is not None]
        return min(waits, default=None)

    @property
    def frames_read(self) -> dict[str, int]:
        """Data frames in the inbox by ``host:port`` of our end of each open connection."""
        with self._lock:
            return dict(self._frames)

    @property
    def subscribed(self) -> dict[int, str]:
        """What is wanted: mode by instrument token."""
        with self._lock:
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

    def subscribe(self, modes: Mapping[int, str]) -> None:
        """Want these instruments, each in its mode (``ltp``, ``quote``, ``full``); others stay as they are.

        Raises:
            RuleViolation: a mode that Kite does not have, or more instruments than it streams.
        """
        for token, mode in modes.items():
            if mode not in MODES:
                raise RuleViolation(f"stream mode {mode!r} of {token} is none of {', '.join(sorted(MODES))}")
        with self._lock:
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
        self._changed()

    def unsubscribe(self, tokens: Iterable[int]) -> None:
        """Do not want these instruments any more."""
        gone = set(tokens)
        with self._lock:
            for socket in self._sockets:
                for token in gone & socket.wanted.keys():
                    del socket.wanted[token]
        self._changed()

    # -- the stream's own thread ---------------------------------------------------------------

    def _changed(self) -> None:
        self._call(self._look)

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
            with self._lock:
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
        # trust_env stays off: a proxy would see the token in the URL.
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
        if event is not None:
            self.inbox.put(event)
        with self._lock:
            if address in self._frames:
                self._frames[address] += 1
        self.inbox.bell.ring()

    def opened(self, address: str) -> None:
        with self._lock:
            self._frames[address] = 0

    def closed(self, address: str) -> None:
        with self._lock:
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


class _Refused(Exception):
    """HTTP 403 on the upgrade."""


class _Crowded(Exception):
    """HTTP 429 on the upgrade."""


class _Broken(Exception):
    """Any other end of a connection; the text is for people and clean."""


class _Socket:
    """One of the connections. Lives in the stream's thread, but for ``wanted``."""

    def __init__(self, stream: KiteStream, number: int) -> None:
        self.stream = stream
        self.number = number
        self.wanted: dict[int, str] = {}
        self.link = Link.CONNECTING
        self.retry_at: datetime | None = None
        self.changed: asyncio.Event
        self._woken: asyncio.Event
        self._said: dict[int, str] = {}
        self._data_at = 0.0
        self._pings = 0
        self._pongs = 0

    def reset(self) -> None:
        self.link = Link.CONNECTING
        self.retry_at = None
        self._said = {}

    def open(self) -> None:
        self.changed = asyncio.Event()
        self._woken = asyncio.Event()
        if self.needed:
            self.changed.set()

    @property
    def needed(self) -> bool:
        """The first connection always is: order updates come on it."""
        return self.number == 0 or bool(self.wanted) or bool(self._said)

    @property
    def busy(self) -> bool:
        if not self.needed or self.link is Link.REFUSED:
            return False
        if self.link is Link.CONNECTED:
            return self._said != self.wanted or self._pongs < self._pings
        return self.retry_at is None or self.stream.clock.now() >= self.retry_at

    def wake(self) -> None:
        self._woken.set()

    async def live(self, session: aiohttp.ClientSession) -> None:
        """Connect again and again until cancelled."""
        await self.changed.wait()
        failures = 0
        while True:
            self.stream.state()
            since = time.monotonic()
            try:
                await self._connection(session)
                reason, wait = "the server closed the connection", self._pause(failures)
            except _Refused as error:
                self.link = Link.REFUSED
                self.stream.state(str(error))
                await self._woken.wait()
                self._woken.clear()
                self.link, failures = Link.CONNECTING, 0
                continue
            except _Crowded as error:
                reason, wait = str(error), max(self.stream.crowded, self._pause(failures))
            except _Broken as error:
                reason, wait = str(error), self._pause(failures)
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end the stream for good
                text = f"{type(error).__name__}: {self.stream.clean(error)}"
                log.error("the stream failed: %s", text)
                reason, wait = text, self.stream.backoff[1]
            # A connection that stood for a while starts the count anew.
            failures = 0 if time.monotonic() - since > self.stream.backoff[1] else failures + 1
            self.retry_at = self.stream.clock.now() + timedelta(seconds=wait)
            self.link = Link.BROKEN
            self.stream.state(reason)
            await self._until_retry()
            self.retry_at = None

    def _pause(self, failures: int) -> float:
        first, longest = self.stream.backoff
        return min(longest, first * 2.0**failures) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load

    async def _until_retry(self) -> None:
        """Until market time reaches ``retry_at``, or somebody says that it may work now."""
        clock = self.stream.clock
        while self.retry_at is not None and (left := (self.retry_at - clock.now()).total_seconds()) > 0:
            try:
                # An exchange's clock may run faster than ours, or in steps: look often.
                pause = min(left, 0.005) if isinstance(clock, ExchangeClock) else min(left, 1.0)
                await asyncio.wait_for(self._woken.wait(), pause)
            except TimeoutError:
                continue
            break
        self._woken.clear()

    def _url(self) -> str:
        from urllib.parse import urlencode

        stream = self.stream
        try:
            stream.token = stream.access_token()
            register_secret(stream.token)
        except BtkiteError as error:
            raise _Refused(str(error)) from error
        query = {"api_key": stream.api_key, "access_token": stream.token}
        query.update({name: str(getattr(stream, name)) for name in stream.endpoint.ws_extra})
        return f"{stream.endpoint.ws_root}?{urlencode(query)}"

    async def _connection(self, session: aiohttp.ClientSession) -> None:
        """One connection, from the first byte to the last.

        No error of aiohttp leaves here: their texts carry the URL, and that carries the token.
        """
        import aiohttp

        stream = self.stream
        self._woken.clear()
        try:
            async with asyncio.timeout(stream.connect_timeout):
                websocket = await session.ws_connect(
                    self._url(),
                    headers={"X-Kite-Version": "3"},
                    heartbeat=stream.heartbeat,
                    autoping=False,
                    max_msg_size=16 * 1024 * 1024,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except aiohttp.WSServerHandshakeError as error:
            status = error.status
            if status == 403:
                raise _Refused(
                    "Kite refused the stream (HTTP 403): the session is over, or the plan has no market data"
                ) from None
            if status == 429:
                raise _Crowded("Kite has three connections of this key already (HTTP 429)") from None
            raise _Broken(f"Kite refused the stream for now (HTTP {status})") from None
        except TimeoutError:
            raise _Broken(f"no connection within {stream.connect_timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _Broken(f"no connection: {type(error).__name__}") from None
        name = websocket.get_extra_info("sockname") or ("", 0)
        address = f"{name[0]}:{name[1]}"
        self._said, self._pings, self._pongs = {}, 0, 0
        self._data_at = time.monotonic()
        stream.opened(address)
        try:
            await self._session(websocket, address)
        finally:
            stream.closed(address)
            await websocket.close()

    async def _session(self, websocket: aiohttp.ClientWebSocketResponse, address: str) -> None:
        jobs = [
            asyncio.create_task(self._read(websocket, address)),
            asyncio.create_task(self._speak(websocket)),
            asyncio.create_task(self._watch()),
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _read(self, websocket: aiohttp.ClientWebSocketResponse, address: str) -> None:
        from aiohttp import WSMsgType

        stream = self.stream
        while True:
            message = await websocket.receive()
            kind = message.type
            if kind is WSMsgType.BINARY:
                self._data_at = time.monotonic()
                ticks = stream.decoder.decode(message.data)
                stream.took(address, Ticks(ticks) if ticks else None)
            elif kind is WSMsgType.TEXT:
                self._data_at = time.monotonic()
                said = decode_text(message.data)
                if isinstance(said, OrderUpdate):
                    stream.took(address, said)
                else:
                    stream.noted(said)
                    stream.took(address, None)
            elif kind is WSMsgType.PING:
                await websocket.pong(message.data)
            elif kind is WSMsgType.PONG:
                if message.data:  # ours carry a number, aiohttp's own are empty
                    self._pongs = max(self._pongs, int.from_bytes(message.data, "big"))
                    stream.inbox.bell.ring()
            elif websocket.close_code == 1006 or kind is WSMsgType.ERROR:
                raise _Broken("the connection was cut, or did not answer our ping")
            else:
                raise _Broken(f"the server closed the connection ({websocket.close_code})")

    async def _speak(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        """Say the difference between what is wanted and what was said; again at every change."""
        import aiohttp

        stream = self.stream
        try:
            while True:
                self.changed.clear()
                with stream._lock:
                    wanted = dict(self.wanted)
                messages = difference(self._said, wanted)
                for message in messages:
                    await websocket.send_str(message)
                if messages:
                    # Kite answers a ping after it has read what came before it.
                    self._pings += 1
                    await websocket.ping(self._pings.to_bytes(4, "big"))
                self._said = wanted
                if self.link is not Link.CONNECTED:
                    self.link = Link.CONNECTED
                    stream.state()
                stream.inbox.bell.ring()
                await self.changed.wait()
        except (aiohttp.ClientError, OSError) as error:
            raise _Broken(f"the connection was lost: {type(error).__name__}") from None

    async def _watch(self) -> None:
        """Give the connection up if no data frame comes: a dead peer may still answer pings."""
        stream = self.stream
        while True:
            await asyncio.sleep(stream.silence / 10)
            if stream.clock.complete:
                self._data_at = time.monotonic()
            elif time.monotonic() - self._data_at > stream.silence:
                raise _Broken(f"silent for {stream.silence:g} s")


def difference(said: Mapping[int, str], wanted: Mapping[int, str]) -> list[str]:
    """The messages that lead from what was said on a connection to what is wanted."""
    gone = [token for token in said if token not in wanted]
    fresh = [token for token in wanted if token not in said]
    modes: dict[str, list[int]] = {}
    for token, mode in wanted.items():
        if said.get(token, DEFAULT_MODE) != mode:
            modes.setdefault(mode, []).append(token)
    messages: list[dict[str, Any]] = []
    messages += [{"a": "unsubscribe", "v": part} for part in _batches(gone)]
    messages += [{"a": "subscribe", "v": part} for part in _batches(fresh)]
    messages += [{"a": "mode", "v": [mode, part]} for mode, tokens in modes.items() for part in _batches(tokens)]
    return [json.dumps(message, separators=(",", ":")) for message in messages]


def _batches(tokens: list[int]) -> Iterable[list[int]]:
    return (tokens[first : first + BATCH] for first in range(0, len(tokens), BATCH))
