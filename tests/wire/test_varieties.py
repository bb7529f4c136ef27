"""The unmodified kiteconnect: icebergs, cover orders, slices, after-market orders and triggers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect import exceptions as refusals

from btkite.exchange import Exchange

from .conftest import FLAT, KEY, UP, candles
from .test_kiteconnect import clock

Market = Callable[..., KiteConnect]
INFY: dict[str, Any] = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY"}
FUTURE = "NFO:NIFTY26NOVFUT"


def test_an_iceberg_is_one_id_and_a_leg_after_the_other(market: Market, running: Exchange) -> None:
    kite = market(FLAT, UP, UP, UP)
    clock(running, next="bar")
    first = kite.place_order(
        "iceberg", **INFY, quantity=30, product="MIS", order_type="LIMIT", price=99.0, validity="TTL", validity_ttl=5,
        iceberg_legs=3, iceberg_quantity=10,
    )  # fmt: skip
    rows = kite.order_history(first)
    assert rows[-1]["meta"]["iceberg"]["remaining_quantity"] == 20
    clock(running, until="2026-11-18T09:19:00+05:30")
    legs = kite.orders()
    assert [row["meta"]["iceberg"]["leg"] for row in legs] == [1, 2, 3]
    assert {row["status"] for row in legs} == {"COMPLETE"}
    assert legs[0]["order_id"] == first
    assert (legs[0]["validity"], legs[0]["validity_ttl"]) == ("TTL", 5)


def test_a_cover_order_is_left_by_exit_order(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, FLAT, FLAT)
    clock(running, until="2026-11-18T09:15:30+05:30")
    lower = kite.trigger_range("BUY", KEY)[KEY]["lower"]
    entry = kite.place_order(
        "co", **INFY, quantity=10, product="MIS", order_type="MARKET", trigger_price=lower, market_protection=2
    )
    clock(running, until="2026-11-18T09:16:30+05:30")
    (stop,) = [row for row in kite.orders() if row["parent_order_id"] == entry]
    assert (stop["status"], stop["trigger_price"]) == ("TRIGGER PENDING", 96.5)
    kite.modify_order("co", stop["order_id"], parent_order_id=entry, trigger_price=97.0)
    kite.exit_order("co", stop["order_id"], parent_order_id=entry)
    clock(running, until="2026-11-18T09:18:00+05:30")
    assert kite.order_history(stop["order_id"])[-1]["status"] == "COMPLETE"
    assert kite.positions()["net"][0]["quantity"] == 0


def test_slices_are_children_of_one_answer(market: Market, running: Exchange) -> None:
    kite = market(candles={FUTURE: candles([(26000.0,) * 4] * 3)}, cash=1e9)
    clock(running, next="bar")
    order = {**INFY, "exchange": "NFO", "tradingsymbol": "NIFTY26NOVFUT", "product": "NRML"}
    answer = kite.place_autoslice_order("regular", **order, order_type="LIMIT", price=25000.0, quantity=3575)
    ids = [child["order_id"] for child in answer["children"]]
    assert [row["quantity"] for row in kite.orders()] == [1755, 1755, 65]
    assert kite.orders()[2]["tags"] == ["autoslice", f"autoslice:{answer['order_id']}"]
    assert len(set(ids)) == 3
    with pytest.raises(refusals.InputException, match="greater than or equal to 1755 for order slicing"):
        kite.place_autoslice_order("regular", **order, order_type="LIMIT", price=25000.0, quantity=65)


def test_an_after_market_order_waits_and_keeps_its_variety(market: Market, running: Exchange) -> None:
    kite = market(UP, start=datetime(2026, 11, 18, 8, 0))
    placed = kite.place_order("amo", **INFY, quantity=10, product="CNC", order_type="LIMIT", price=99.0)
    assert kite.order_history(placed)[-1]["status"] == "AMO REQ RECEIVED"
    kite.modify_order("amo", placed, price=99.5)
    clock(running, until="2026-11-18T09:05:00+05:30")
    assert kite.order_history(placed)[-1]["status"] == "OPEN"
    kite.modify_order("regular", placed, price=99.0)
    clock(running, until="2026-11-18T09:16:00+05:30")
    row = kite.orders()[0]
    assert (row["status"], row["variety"], row["average_price"]) == ("COMPLETE", "amo", 99.0)


def test_a_bound_market_order_reads_as_a_limit_order(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, protection_binds=True)
    clock(running, until="2026-11-18T09:15:30+05:30")
    placed = kite.place_order(
        "regular",
        **INFY,
        quantity=10,
        product="CNC",
        order_type="MARKET",
        market_protection=kite.MARKET_PROTECTION_AUTO,
    )
    row = kite.orders()[0]
    assert (row["order_id"], row["order_type"], row["price"], row["market_protection"]) == (placed, "LIMIT", 101.0, 0)
    assert row["tags"] == ["mktp", "mktp:1.00"]


def test_triggers_are_placed_changed_read_and_deleted(market: Market, running: Exchange) -> None:
    kite = market(FLAT, UP, UP)
    clock(running, until="2026-11-18T09:15:30+05:30")
    legs = [
        {"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": price}
        for price in (97.0, 103.0)
    ]
    made = kite.place_gtt("two-leg", "INFY", "NSE", [97.0, 103.0], 100.0, legs)["trigger_id"]
    assert kite.modify_gtt(made, "two-leg", "INFY", "NSE", [97.0, 103.5], 100.0, legs) == {"trigger_id": made}
    assert kite.get_gtt(made)["condition"]["trigger_values"] == [97.0, 103.5]
    clock(running, until="2026-11-18T09:17:00+05:30")  # up to 104: the holdings are asked, and there are none
    row = kite.get_gtts()[0]
    assert (row["status"], row["orders"][0]["result"]) == ("triggered", None)
    assert row["orders"][1]["result"]["order_result"]["status"] == "failed"
    with pytest.raises(refusals.InputException, match="cannot be deleted"):
        kite.delete_gtt(made)
