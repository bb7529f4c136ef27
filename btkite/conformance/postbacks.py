"""An order's update as it is posted to the app: a listener for the time of one order."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from .scene import Scene

Heard = asyncio.Queue[Any]


@asynccontextmanager
async def listening(scene: Scene) -> AsyncIterator[Heard]:
    """What is posted to the scene's listener, on any path; a body that is not JSON is heard as its text."""
    heard: Heard = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        text = await request.text()
        try:
            heard.put_nowait(json.loads(text))
        except ValueError:
            heard.put_nowait(text)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{rest:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert scene.postbacks is not None
    try:
        await web.SockSite(runner, scene.postbacks.dup()).start()
        yield heard
    finally:
        await runner.cleanup()


async def of_order(heard: Heard, order_id: str) -> Any:
    """The first post that tells of an order."""
    while True:
        body = await heard.get()
        if not isinstance(body, dict) or body.get("order_id") == order_id:
            return body


def sealed(body: Any, api_secret: str) -> bool:
    """True if the checksum is the app's own, or nobody knows its secret."""
    if not api_secret or not isinstance(body, dict):
        return True
    text = f"{body.get('order_id')}{body.get('order_timestamp')}{api_secret}"
    return body.get("checksum") == hashlib.sha256(text.encode()).hexdigest()
