"""One door to the server under test: paced requests, Kite's envelope undone, and the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_PAUSES = {"quote": 1.1, "history": 0.4, "order": 0.2, "other": 0.15}
"""Seconds after a request of each kind: below Kite's limits of 1, 3, 10 and 10 a second."""
TRIES, PAUSE = 40, 0.25


class NotAnswered(Exception):
    """The server refused, or said nothing that is Kite's."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(f"{status} {error_type}: {message}".replace(" :", ":"))
        self.status, self.error_type, self.message = status, error_type, message


def in_words(error: Exception) -> str:
    """What went wrong, without the address: that of a stream has the token in it."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"HTTP {error.status}: {error.message}"
    return str(error) or type(error).__name__


@dataclass
class Wire:
    """``root`` like ``https://api.kite.trade``; ``prefix`` and ``user_id`` are what the sandbox wants.

    ``paced`` False asks as fast as it can, for a server without rate limits.
    """

    root: str
    ws_root: str
    api_key: str
    access_token: str = field(repr=False)
    prefix: str = ""
    user_id: str = ""
    paced: bool = True
    timeout: float = 10.0
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def __aenter__(self) -> Wire:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.timeout))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | list[tuple[str, str]] | None = None,
        form: Mapping[str, Any] | None = None,
        body: Any = None,
        authorized: bool = True,
        follow: bool = True,
    ) -> aiohttp.ClientResponse:
        """The raw answer, its body read."""
        assert self._session is not None
        headers = {"X-Kite-Version": "3"}
        if authorized:
            headers["Authorization"] = f"token {self.api_key}:{self.access_token}"
        whole = path if path.startswith("/instruments") and "historical" not in path else f"{self.prefix}{path}"
        async with self._session.request(
            method, self.root + whole, params=query, data=form, json=body, headers=headers, allow_redirects=follow
        ) as response:
            await response.read()
        if self.paced:
            await asyncio.sleep(_PAUSES[_kind_of(path)])
        return response

    async def data(self, method: str, path: str, **given: Any) -> Any:
        """``data`` of Kite's envelope.

        :raises NotAnswered: if it is an error, or no envelope.
        """
        response = await self.ask(method, path, **given)
        text = await response.text()
        try:
            envelope = json.loads(text)
        except ValueError:
            raise NotAnswered(response.status, "", f"the answer is no JSON: {text[:60]!r}") from None
        if not isinstance(envelope, dict) or envelope.get("status") != "success" or "data" not in envelope:
            wrong = envelope if isinstance(envelope, dict) else {}
            raise NotAnswered(response.status, str(wrong.get("error_type", "")), str(wrong.get("message", text[:60])))
        return envelope["data"]

    @asynccontextmanager
    async def stream(self, access_token: str | None = None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The WebSocket, as Kite's clients open it.

        :raises aiohttp.WSServerHandshakeError: if the upgrade is refused.
        """
        assert self._session is not None
        query = {"api_key": self.api_key, "access_token": access_token or self.access_token}
        if self.user_id:
            query["user_id"] = self.user_id
        async with self._session.ws_connect(self.ws_root, params=query, headers={"X-Kite-Version": "3"}) as socket:
            yield socket


async def until_filled(wire: Wire, path: str) -> Any:
    """What ``path`` lists, asked again for some seconds while the list is empty."""
    rows: Any = []
    for _ in range(TRIES):
        rows = await wire.data("GET", path)
        if rows:
            break
        await asyncio.sleep(PAUSE)
    return rows


def _kind_of(path: str) -> str:
    if path.startswith("/quote"):
        return "quote"
    if "historical" in path:
        return "history"
    return "order" if path.startswith("/orders") else "other"
