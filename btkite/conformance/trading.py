"""What is asked around orders: the book, trades, positions, margins, triggers."""

from __future__ import annotations

import json
import math
from typing import Any

from .scene import Scene, Seen
from .wire import until_filled

_FREEZE = 1800
"""More units than one NIFTY order may have (NSE); enough for a second slice of any index."""


async def resting(scene: Scene) -> Seen:
    """An order that rests: placed, changed, looked at, cancelled."""
    wire = scene.wire
    placed = await wire.data("POST", "/orders/regular", form=scene.order())
    yield "order_response.json", "POST /orders/regular", placed
    path = f"/orders/regular/{placed['order_id']}"
    change = {"price": str(scene.near(0.985)), "quantity": "2", "order_type": "LIMIT", "validity": "DAY"}
    yield "order_modify.json", "PUT /orders/regular/{order_id}", await wire.data("PUT", path, form=change)
    yield "orders.json", "GET /orders", await wire.data("GET", "/orders")
    yield "order_info.json", "GET /orders/{order_id}", await wire.data("GET", f"/orders/{placed['order_id']}")
    yield "order_cancel.json", "DELETE /orders/regular/{order_id}", await wire.data("DELETE", path)


async def filled(scene: Scene) -> Seen:
    """An order that trades, what it leaves behind, and its conversion."""
    wire = scene.wire
    placed = await wire.data("POST", "/orders/regular", form=scene.order(price=scene.near(1.01)))
    trades = await until_filled(wire, f"/orders/{placed['order_id']}/trades")
    yield "order_trades.json", "GET /orders/{order_id}/trades", trades
    yield "trades.json", "GET /trades", await wire.data("GET", "/trades")
    yield "positions.json", "GET /portfolio/positions", await wire.data("GET", "/portfolio/positions")
    change = {
        "exchange": scene.exchange,
        "tradingsymbol": scene.symbol,
        "transaction_type": "BUY",
        "position_type": "day",
        "quantity": "1",
        "old_product": "MIS",
        "new_product": "CNC",
    }
    converted = await wire.data("PUT", "/portfolio/positions", form=change)
    yield "convert_position.json", "PUT /portfolio/positions", converted


async def sliced(scene: Scene) -> Seen:
    """More than one order may hold, sliced by the server."""
    wire, (exchange, _, symbol) = scene.wire, scene.derivative.partition(":")
    dump = await (await wire.ask("GET", f"/instruments/{exchange}")).text()
    rows = [line.split(",") for line in dump.splitlines()]
    names = rows[0]
    row = next(dict(zip(names, line, strict=True)) for line in rows[1:] if line[2] == symbol)
    price = (await wire.data("GET", "/quote/ltp", query=[("i", scene.derivative)]))[scene.derivative]["last_price"]
    lot, tick = int(row["lot_size"]), float(row["tick_size"])
    form = scene.order(
        exchange=exchange,
        tradingsymbol=symbol,
        product="NRML",
        quantity=math.ceil((2 * _FREEZE + 1) / lot) * lot,
        price=round(round(price * 0.99 / tick) * tick, 4),
        autoslice="true",
    )
    answer = await wire.data("POST", "/orders/regular", form=form)
    yield "autoslice_response.json", "POST /orders/regular, autoslice", answer
    for child in answer.get("children", []):
        if "order_id" in child:
            await wire.data("DELETE", f"/orders/regular/{child['order_id']}")


async def money(scene: Scene) -> Seen:
    """Margins and charges of orders that are not sent."""
    wire = scene.wire
    order = {
        "exchange": scene.exchange,
        "tradingsymbol": scene.symbol,
        "transaction_type": "BUY",
        "variety": "regular",
        "product": "CNC",
        "order_type": "LIMIT",
        "quantity": 1,
        "price": scene.near(0.99),
        "trigger_price": 0,
    }
    yield "order_margins.json", "POST /margins/orders", await wire.data("POST", "/margins/orders", body=[order])
    basket = await wire.data("POST", "/margins/basket", query={"consider_positions": "true"}, body=[order])
    yield "basket_margins.json", "POST /margins/basket", basket
    note = {**order, "order_id": "1", "average_price": scene.near(1.0)}
    yield "virtual_contract_note.json", "POST /charges/orders", await wire.data("POST", "/charges/orders", body=[note])
    found = await wire.data("GET", "/instruments/trigger_range/buy", query=[("i", scene.key)])
    yield "trigger_range.json", "GET /instruments/trigger_range/{side}", found


async def triggers(scene: Scene) -> Seen:
    """A good-till-triggered order: placed, read, changed, deleted."""
    wire = scene.wire
    form = _trigger(scene, 0.95)
    placed = await wire.data("POST", "/gtt/triggers", form=form)
    yield "gtt_place_order.json", "POST /gtt/triggers", placed
    path = f"/gtt/triggers/{placed['trigger_id']}"
    yield "gtt_get_order.json", "GET /gtt/triggers/{trigger_id}", await wire.data("GET", path)
    yield "gtt_get_orders.json", "GET /gtt/triggers", await wire.data("GET", "/gtt/triggers")
    changed = await wire.data("PUT", path, form=_trigger(scene, 0.94))
    yield "gtt_modify_order.json", "PUT /gtt/triggers/{trigger_id}", changed
    yield "gtt_delete_order.json", "DELETE /gtt/triggers/{trigger_id}", await wire.data("DELETE", path)


def _trigger(scene: Scene, factor: float) -> dict[str, str]:
    named = {"exchange": scene.exchange, "tradingsymbol": scene.symbol}
    condition: dict[str, Any] = {**named, "trigger_values": [scene.near(factor)], "last_price": scene.last}
    leg = {**named, "transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "CNC"}
    return {
        "type": "single",
        "condition": json.dumps(condition),
        "orders": json.dumps([{**leg, "price": scene.near(factor)}]),
    }
