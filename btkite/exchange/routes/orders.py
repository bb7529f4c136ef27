"""Orders and trades."""

from __future__ import annotations

from typing import Any

from .. import limits
from ..errors import bad_input
from .call import Call, Route


def orders(call: Call) -> Any:
    return [order.latest() for order in call.venue.book.orders.values()]


def order_history(call: Call) -> Any:
    return call.venue.book.get(call.path["order_id"]).history


def order_trades(call: Call) -> Any:
    order = call.venue.book.get(call.path["order_id"])
    return [trade for trade in call.venue.book.trades if trade["order_id"] == order.order_id]


def trades(call: Call) -> Any:
    return call.venue.book.trades


def place(call: Call) -> Any:
    _sandbox_takes(call)
    return call.venue.flow.place_for_wire(call.path["variety"], call.form)


def modify(call: Call) -> Any:
    _sandbox_takes(call)
    return {"order_id": call.venue.modify(call.path["variety"], call.path["order_id"], call.form).order_id}


def cancel(call: Call) -> Any:
    parent = call.query.get("parent_order_id")
    return {"order_id": call.venue.cancel(call.path["variety"], call.path["order_id"], parent).order_id}


def _sandbox_takes(call: Call) -> None:
    """The official sandbox knows LIMIT orders only."""
    if call.venue.settings.profile == "sandbox" and call.form.get("order_type", "LIMIT") != "LIMIT":
        raise bad_input("Only LIMIT orders are allowed on the sandbox.")


ORDERS = limits.ORDERS
TABLE = (
    Route("GET", "/orders", orders),
    Route("GET", "/trades", trades),
    Route("GET", "/orders/{order_id}", order_history),
    Route("GET", "/orders/{order_id}/trades", order_trades),
    Route("POST", "/orders/{variety}", place, ORDERS, fixed_ip=True),
    Route("PUT", "/orders/{variety}/{order_id}", modify, ORDERS, fixed_ip=True),
    Route("DELETE", "/orders/{variety}/{order_id}", cancel, ORDERS, fixed_ip=True),
)
