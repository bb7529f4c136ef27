"""Orders that are not regular: each is placed, read from the book, and cancelled."""

from __future__ import annotations

from typing import Any

from .scene import Judged, Scene, Seen, Untried
from .wire import NotAnswered

COVER, ICEBERG, AFTER_HOURS = "a cover order", "an iceberg order", "an after-market order"


async def cover(scene: Scene) -> Seen:
    """A cover order rests with its stop."""
    form = scene.order(trigger_price=scene.near(0.975))
    async for seen in _placed(scene, COVER, "co", form):
        yield seen


async def iceberg(scene: Scene) -> Seen:
    """Two legs of one share; ``meta`` says which of them it is."""
    async for seen in _placed(
        scene, ICEBERG, "iceberg", scene.order(quantity=2, iceberg_legs=2, iceberg_quantity=1), "iceberg"
    ):
        yield seen


async def after_hours(scene: Scene) -> Seen:
    """It waits for the next session, and is taken outside of the market's hours only."""
    try:
        async for seen in _placed(scene, AFTER_HOURS, "amo", scene.order(product="CNC")):
            yield seen
    except NotAnswered as refusal:
        if refusal.status != 400 or "market hours" not in refusal.message:
            raise
        yield AFTER_HOURS, "POST /orders/amo", Untried("the market is open: try it when it is closed")


async def _placed(scene: Scene, name: str, variety: str, form: dict[str, str], meta: str = "") -> Seen:
    """Its row of the book; what is in it is the samples' shape of an order, and what makes it this one."""
    wire, path = scene.wire, f"/orders/{variety}"
    order_id = (await wire.data("POST", path, form=form))["order_id"]
    try:
        rows: list[dict[str, Any]] = await wire.data("GET", "/orders")
    finally:
        await wire.data("DELETE", f"{path}/{order_id}")
    row = next((one for one in rows if one.get("order_id") == order_id), None)
    if row is None:
        raise NotAnswered(200, "", f"order {order_id} is not in the book")
    asked = f"POST {path}"
    if row.get("variety") != variety:
        yield name, asked, Judged((f"its variety is {row.get('variety')}, not {variety}",))
    elif meta and meta not in (row.get("meta") or {}):
        yield name, asked, Judged((f"meta.{meta} is missing",))
    else:
        yield name, asked, row
