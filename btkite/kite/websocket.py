"""One WebSocket connection of Kite's stream: connect, say what is wanted, read, watch, come back."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..clock import ExchangeClock
from ..errors import BtkiteError
from ..log import register_secret
from ..values import OrderUpdate
from .frames import decode_text
from .inbox import Link, Ticks

if TYPE_CHECKING:
    import aiohttp

    from .stream import KiteStream

log = logging.getLogger("btkite.kite.stream")

BATCH = 1000  # tokens in one message
DEFAULT_MODE = "quote"  # what Kite sends after a bare subscribe


class _Refused(Exception):
    """HTTP 403 on the upgrade."""


class _Crowded(Exception):
    """HTTP 429 on the upgrade."""


class _Broken(Exception):
    """Any other end of a connection; the text is for people and clean."""


class WebSocket:
    """One connection of a stream. Lives in the stream's thread, but for ``wanted``, which its ``lock`` guards."""

    def __init__(self, stream: KiteStream, number: int) -> None:
        self.stream = stream
        self.number = number
        self.wanted: dict[int, str] = {}
        self.link = Link.CONNECTING
        self.retry_at: datetime | None = None
        self.changed: asyncio.Event
        self._woken: asyncio.Event
        self._ending: asyncio.Event
        self._given_up = ""
        self._said: dict[int, str] = {}
        self._data_at = 0.0
        self._opened_at: float | None = None  # real seconds; None before it stands
        self._pings = 0
        self._pongs = 0

    def reset(self) -> None:
        self.link = Link.CONNECTING
        self.retry_at = None
        self._said = {}

    def open(self) -> None:
        self.changed = asyncio.Event()
        self._woken = asyncio.Event()
        self._ending = asyncio.Event()
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
        at = self.retry_at  # once: the stream's thread may clear it between two looks
        return at is None or self.stream.clock.now() >= at

    def give_up(self, reason: str) -> None:
        """End the connection that stands, if one does, and connect anew."""
        if self.link is Link.CONNECTED:
            self._given_up = reason
            self._ending.set()

    def wake(self) -> None:
        self._woken.set()

    async def live(self, session: aiohttp.ClientSession) -> None:
        """Connect again and again until cancelled."""
        await self.changed.wait()
        failures = 0
        while True:
            self.stream.state()
            self._opened_at = None
            try:
                await self._connection(session)
                reason, least = "the server closed the connection", 0.0
            except _Refused as error:
                self.link = Link.REFUSED
                self.stream.state(str(error))
                await self._woken.wait()
                self._woken.clear()
                self.link, failures = Link.CONNECTING, 0
                continue
            except _Crowded as error:
                reason, least = str(error), self.stream.crowded
            except _Broken as error:
                reason, least = str(error), 0.0
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end the stream for good
                text = f"{type(error).__name__}: {self.stream.clean(error)}"
                log.error("the stream failed: %s", text)
                reason, least = text, self.stream.backoff[1]
            if self._opened_at is not None and time.monotonic() - self._opened_at > self.stream.backoff[1]:
                failures = 0  # it stood for a while: its end is the first of others, whatever was before it
            self.retry_at = self.stream.clock.now() + timedelta(seconds=max(least, self._pause(failures)))
            failures += 1
            self.link = Link.BROKEN
            self.stream.state(reason)
            self.stream.inbox.bell.ring()  # busy no more, also where that is no news: lock step waits for it
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
                # No wait_for: where both come in one turn it forgets that it was cancelled, and the stream never ends.
                async with asyncio.timeout(pause):
                    await self._woken.wait()
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
        self._ending.clear()
        try:
            async with asyncio.timeout(stream.connect_timeout):
                websocket = await session.ws_connect(
                    self._url(),
                    proxy=stream.proxy,
                    headers={"X-Kite-Version": "3"},
                    heartbeat=stream.heartbeat,
                    autoping=False,
                    max_msg_size=16 * 1024 * 1024,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except aiohttp.WSServerHandshakeError as error:
            status = error.status
            if status == 403:
                reason = "Kite refused the stream (HTTP 403): the session is over, or the plan has no market data"
                stream.on_refused(stream.token, reason)
                raise _Refused(reason) from None
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
        self._data_at = self._opened_at = time.monotonic()
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
            asyncio.create_task(self._end()),
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
                ticks = stream.decoder.read(message.data)
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
                with stream.lock:
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

    async def _end(self) -> None:
        await self._ending.wait()
        raise _Broken(self._given_up)

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
