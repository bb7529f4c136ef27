"""What the outside hears of an order: the update's body, its seal, and the posts to the app's address.

A post is a bare JSON body (https://kite.trade/docs/connect/v3/postbacks/). It is sent once, in the order of
events, and nobody waits for the answer. Apps hear of their own orders only; the stream tells of all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout

from .apps import App
from .session import checksum

POSTED = ("COMPLETE", "CANCELLED", "REJECTED", "UPDATE")
FIELDS = (
    "user_id", "unfilled_quantity", "app_id", "checksum", "placed_by", "order_id", "exchange_order_id",
    "parent_order_id", "status", "status_message", "status_message_raw", "order_timestamp",
    "exchange_update_timestamp", "exchange_timestamp", "variety", "exchange", "tradingsymbol", "instrument_token",
    "order_type", "transaction_type", "validity", "product", "quantity", "disclosed_quantity", "price",
    "trigger_price", "average_price", "filled_quantity", "pending_quantity", "cancelled_quantity",
    "market_protection", "meta", "tag", "guid",
)  # fmt: skip
"""A post's fields, in Kite's order."""
KEPT = 1000  # deliveries that are remembered


def update_of(row: Mapping[str, Any], user_id: str, app: App | None) -> dict[str, Any]:
    """An order's row as the stream and the posts tell it; without an app (a web order) there is no seal."""
    return {
        "user_id": user_id,
        "unfilled_quantity": row["pending_quantity"],
        "app_id": app.app_id if app is not None else 0,
        "checksum": checksum(row["order_id"], row["order_timestamp"], app.api_secret) if app is not None else "",
        **row,
    }


class Postbacks:
    """The posts that wait, and what became of the last ones."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._waiting: deque[tuple[str, str, bytes]] = deque()
        self._task: asyncio.Task[None] | None = None
        self.done: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def put(self, url: str, update: Mapping[str, Any]) -> None:
        """Queue one update for an address."""
        if update["status"] in POSTED:
            body = orjson.dumps({name: update[name] for name in FIELDS})
            self._waiting.append((url, str(update["order_id"]), body))

    def start(self) -> None:
        """Send what is queued, without waiting for it."""
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        async with ClientSession(timeout=ClientTimeout(total=self._timeout)) as session:
            while self._waiting:
                url, order_id, body = self._waiting.popleft()
                try:
                    reply = await session.post(url, data=body, headers={"Content-Type": "application/json"})
                    outcome: int | str = reply.status
                    reply.release()
                except (ClientError, OSError, TimeoutError) as error:
                    outcome = type(error).__name__  # Kite does not try again
                self.done.append({"order_id": order_id, "outcome": outcome})
