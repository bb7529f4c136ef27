"""What the tests of faults share: a market, the official client before it, a bare WebSocket, and the record of which
rows of the table they exercise."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import requests
from kiteconnect import KiteConnect

from btkite.exchange import Exchange
from btkite.testing import Steering

from ..scene import TOKEN

FLAT = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 104.0, 98.0, 102.0)
INFY = 408065
APP = "sandboxkey000000"
SHORT = 1.0  # seconds that a client waits
LONG = 2.0  # seconds that an answer is withheld
SOON = 5.0  # seconds within which a frame must come
ORDER = {
    "variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 10,
    "product": "MIS", "order_type": "LIMIT", "price": 90.0,
}  # fmt: skip

covered: set[str] = set()


def covers(*kinds: str) -> Callable[[Any], Any]:
    """Says which rows of the table a test exercises."""
    covered.update(kinds)
    return lambda test: test


class Stage:
    """A market of INFY in its second minute, the official client before it, and the control surface."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.steer = Steering(exchange.url)
        self.kite = KiteConnect(api_key=APP, access_token=TOKEN, root=exchange.url, timeout=SHORT)
        self.patient = KiteConnect(api_key=APP, access_token=TOKEN, root=exchange.url, timeout=10)

    def place(self, **changes: Any) -> Any:
        return self.kite.place_order(**{**ORDER, **changes})

    def book(self) -> list[dict[str, Any]]:
        return self.steer.orders()

    def last_fault(self) -> Any:
        return self.steer.requests()[-1]["fault"]


def header() -> dict[str, str]:
    return {"Authorization": f"token {APP}:{TOKEN}"}


def statuses(stage: Stage, calls: int) -> list[int]:
    found = []
    for _ in range(calls):
        reply = requests.get(f"{stage.exchange.url}/orders", headers=header(), timeout=SOON)
        found.append(reply.status_code)
    return found


async def connect(session: aiohttp.ClientSession, stage: Stage) -> aiohttp.ClientWebSocketResponse:
    return await session.ws_connect(stage.exchange.url, params={"api_key": APP, "access_token": TOKEN}, autoping=False)


class Listener:
    def __init__(self, stage: Stage, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.stage, self.session, self.socket = stage, session, socket

    async def do(self, action: Callable[..., Any], *args: Any, **more: Any) -> Any:
        return await asyncio.to_thread(action, *args, **more)

    async def next(self) -> aiohttp.WSMessage:
        return await self.socket.receive(timeout=SOON)

    async def subscribe(self, mode: str = "full") -> None:
        await self.socket.send_json({"a": "subscribe", "v": [INFY]})
        await self.socket.send_json({"a": "mode", "v": [mode, [INFY]]})
        for _ in range(2):
            await self.next()  # the cached packets

    async def updates(self, count: int) -> list[tuple[str, int]]:
        """Status and filled quantity of the next updates."""
        found = []
        while len(found) < count:
            message = await self.next()
            if message.type is aiohttp.WSMsgType.TEXT:
                body = json.loads(message.data)
                if body["type"] == "order":
                    found.append((body["data"]["status"], body["data"]["filled_quantity"]))
        return found

    async def frames(self, count: int) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < count:
            message = await self.next()
            assert message.type is aiohttp.WSMsgType.BINARY, message
            if len(message.data) > 1:
                found.append(message.data)
        return found

    async def quiet(self) -> bool:
        """Nothing is on its way: what is asked of the socket comes next."""
        await self.socket.ping(b"?")
        return (await self.next()).type is aiohttp.WSMsgType.PONG


def play(stage: Stage, test: Callable[[Listener], Awaitable[None]], **query: str) -> None:
    """Run ``test`` with an open socket."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session, await connect(session, stage) as socket:
            listener = Listener(stage, session, socket)
            await listener.next()  # the greeting
            await test(listener)

    asyncio.run(main())


def prices(frames: list[bytes]) -> list[float]:
    """Last price of the one packet of each frame."""
    return [struct.unpack_from(">I", frame, 8)[0] / 100 for frame in frames]


def times(frames: list[bytes]) -> list[int]:
    """Exchange time of the one full packet of each frame."""
    return [struct.unpack_from(">I", frame, 4 + 60)[0] for frame in frames]


def buy_now(stage: Stage) -> None:
    """A market order that the next print fills: one update, COMPLETE."""
    stage.place(order_type="MARKET", price=None)
    stage.steer.advance(20)
