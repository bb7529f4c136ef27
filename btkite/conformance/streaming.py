"""What the WebSocket is asked: each mode's packet of each kind of instrument, a heartbeat, an order's update."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from . import postbacks
from .packets import packets_of, read
from .scene import Judged, Scene, Seen

_PATIENCE = 20.0
_NEAR, _SAME = 0.02, 1e-6
"""Shares of a price: how far the market may move between a packet and a quote, and what does not move."""
Packets = tuple[tuple[str, str, int], ...]
INDEX_PACKETS: Packets = (
    ("an index in full mode", "full", 32),
    ("an index in quote mode", "quote", 28),
    ("an index in ltp mode", "ltp", 8),
)
CURRENCY_PACKETS: Packets = (
    ("a currency contract in full mode", "full", 184),
    ("a currency contract in quote mode", "quote", 44),
    ("a currency contract in ltp mode", "ltp", 8),
)
COMMODITY_PACKETS: Packets = (
    ("a contract of NCO or BCD in full mode", "full", 184),
    ("a contract of NCO or BCD in quote mode", "quote", 44),
    ("a contract of NCO or BCD in ltp mode", "ltp", 8),
)
HEARTBEAT = "a heartbeat"
PACKETS = (*(name for name, _, _ in (*INDEX_PACKETS, *CURRENCY_PACKETS, *COMMODITY_PACKETS)), HEARTBEAT)
"""Findings that are no sample of Kite's: packets that its samples do not show."""
_MODES = (("full", 184), ("quote", 44), ("ltp", 8))


async def ticks(scene: Scene) -> Seen:
    """A packet in each mode, right after it was asked for."""
    async with scene.wire.stream() as socket:
        await socket.send_str(json.dumps({"a": "subscribe", "v": [scene.token]}))
        for mode, size in _MODES:
            await socket.send_str(json.dumps({"a": "mode", "v": [mode, [scene.token]]}))
            packet = await asyncio.wait_for(_packet(socket, scene.token, size), _PATIENCE)
            if mode != "ltp":
                yield f"ticker_{mode}.packet", f"stream, mode {mode}", packet
            yield f"ticker_{mode}.json", f"stream, mode {mode}", read(packet)


async def _packet(socket: aiohttp.ClientWebSocketResponse, token: int, size: int) -> bytes:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            for packet in packets_of(message.data):
                if len(packet) == size and int.from_bytes(packet[:4], "big") == token:
                    return packet
    raise ConnectionError("the stream ended before it sent the packet")


async def index_packets(scene: Scene) -> Seen:
    """An index has packets of its own."""
    async for seen in _compared(scene, scene.index, INDEX_PACKETS):
        yield seen


async def currency_packets(scene: Scene) -> Seen:
    """A contract of CDS: prices in ten-millionths of a rupee."""
    async for seen in _compared(scene, scene.currency, CURRENCY_PACKETS):
        yield seen


async def commodity_packets(scene: Scene) -> Seen:
    """A contract of NCO or BCD: prices in ten-thousandths of a rupee."""
    async for seen in _compared(scene, scene.commodity, COMMODITY_PACKETS):
        yield seen


async def _compared(scene: Scene, key: str, packets: Packets) -> Seen:
    """A packet in each mode, and the same instrument's quote beside it."""
    token = int((await scene.quote(key))["instrument_token"])
    async with scene.wire.stream() as socket:
        await socket.send_str(json.dumps({"a": "subscribe", "v": [token]}))
        for name, mode, size in packets:
            await socket.send_str(json.dumps({"a": "mode", "v": [mode, [token]]}))
            packet = await asyncio.wait_for(_packet(socket, token, size), _PATIENCE)
            wrong = differences(read(packet), await scene.quote(key))
            yield name, f"stream, mode {mode}, {key}", Judged(tuple(wrong))


def differences(tick: dict[str, Any], quote: dict[str, Any]) -> list[str]:
    """In what a decoded packet is another price than the quote; between the two the market moves a little."""
    pairs = {"last_price": (tick["last_price"], quote["last_price"])}
    ohlc = tick.get("ohlc", {})
    for name, value in ohlc.items():
        pairs[f"ohlc.{name}"] = (value, quote["ohlc"][name])
    wrong = [
        f"{name} is {mine:g}, but {theirs:g} in the quote"
        for name, (mine, theirs) in pairs.items()
        if abs(mine - theirs) > (_SAME if name == "ohlc.close" else _NEAR) * abs(theirs)
    ]
    between = (ohlc["open"], tick["last_price"]) if ohlc else ()
    if not all(ohlc["low"] <= price <= ohlc["high"] for price in between):
        wrong.append("the prices of the day are not in the order of this packet")
    return wrong


async def heartbeat(scene: Scene) -> Seen:
    """A stream without subscriptions is kept alive by frames of one byte."""
    async with scene.wire.stream() as socket:
        size = await asyncio.wait_for(_heartbeat(socket), _PATIENCE)
    yield HEARTBEAT, "stream, nothing subscribed", Judged(() if size == 1 else (f"{size} bytes, not 1",))


async def _heartbeat(socket: aiohttp.ClientWebSocketResponse) -> int:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            return len(message.data)
    raise ConnectionError("the stream ended before its first heartbeat")


async def updates(scene: Scene) -> Seen:
    """An order that is cancelled is told of: posted, where the scene listens, or else in the stream, which has the
    fields of a postback."""
    if scene.postbacks is not None:
        async with postbacks.listening(scene) as heard:
            placed = await scene.wire.data("POST", "/orders/regular", form=scene.order())
            await scene.wire.data("DELETE", f"/orders/regular/{placed['order_id']}")
            told = await asyncio.wait_for(postbacks.of_order(heard, placed["order_id"]), _PATIENCE)
        if not postbacks.sealed(told, scene.api_secret):
            told = Judged(("its checksum is not SHA-256 of order_id, order_timestamp and the app's secret",))
        yield "postback.json", "POST to the app's address", told
        return
    async with scene.wire.stream() as socket:
        placed = await scene.wire.data("POST", "/orders/regular", form=scene.order())
        await scene.wire.data("DELETE", f"/orders/regular/{placed['order_id']}")
        told = await asyncio.wait_for(_update(socket, placed["order_id"]), _PATIENCE)
    yield "postback.json", "stream, order update", told


async def _update(socket: aiohttp.ClientWebSocketResponse, order_id: str) -> Any:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            body = json.loads(message.data)
            if body.get("type") == "order" and body["data"].get("order_id") == order_id:
                return body["data"]
    raise ConnectionError("the stream ended before it told of the order")
