"""What the WebSocket is asked: each mode's packet, and an order's update."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from .packets import packets_of, read
from .scene import Scene, Seen

_PATIENCE = 20.0
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


async def updates(scene: Scene) -> Seen:
    """An order that is cancelled is told of, with the fields of a postback."""
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
