"""Mutual funds: Kite's shapes without trades (``exchange/funds.py``)."""

from __future__ import annotations

from typing import Any

from .call import CSV, Call, Raw, Route


def orders(call: Call) -> Any:
    return list(call.venue.funds.orders.values())


def order(call: Call) -> Any:
    return call.venue.funds.order(call.path["order_id"])


def place(call: Call) -> Any:
    return {"order_id": call.venue.funds.place(call.form, call.venue.now)}


def cancel(call: Call) -> Any:
    call.venue.funds.cancel(call.path["order_id"])
    return {"order_id": call.path["order_id"]}


def sips(call: Call) -> Any:
    return list(call.venue.funds.sips.values())


def sip(call: Call) -> Any:
    return call.venue.funds.sip(call.path["sip_id"])


def plan(call: Call) -> Any:
    return {"sip_id": call.venue.funds.plan(call.form, call.venue.now)}


def change(call: Call) -> Any:
    call.venue.funds.change(call.path["sip_id"], call.form)
    return {"sip_id": call.path["sip_id"]}


def stop(call: Call) -> Any:
    call.venue.funds.stop(call.path["sip_id"])
    return {"sip_id": call.path["sip_id"]}


def holdings(call: Call) -> Any:
    return call.venue.funds.holdings()


def instruments(call: Call) -> Raw:
    return Raw(call.venue.funds.dump(), CSV)


TABLE = (
    Route("GET", "/mf/orders", orders),
    Route("POST", "/mf/orders", place),
    Route("GET", "/mf/orders/{order_id}", order),
    Route("DELETE", "/mf/orders/{order_id}", cancel),
    Route("GET", "/mf/sips", sips),
    Route("POST", "/mf/sips", plan),
    Route("GET", "/mf/sips/{sip_id}", sip),
    Route("PUT", "/mf/sips/{sip_id}", change),
    Route("DELETE", "/mf/sips/{sip_id}", stop),
    Route("GET", "/mf/holdings", holdings),
    Route("GET", "/mf/instruments", instruments, needs_token=False),
)
