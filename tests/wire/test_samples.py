"""Kite's own sample responses against ours: the same keys, of the same types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from btkite.exchange import Exchange

from . import shapes
from .conftest import FLAT, KEY
from .test_kiteconnect import clock

# Kite sends these, we do not: a field that old rows have and new ones lack, or the other way round.
NUMBERS = (int, float)


@pytest.fixture
def busy(market: Callable[..., KiteConnect], running: Exchange) -> KiteConnect:
    """An account with a holding, a trade, a position and a resting order."""
    kite = market(FLAT, FLAT, FLAT, holdings={KEY: (5, 90.0)})
    clock(running, next="bar")
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "quantity": 1, "product": "CNC", "order_type": "LIMIT"}
    kite.place_order("regular", transaction_type="BUY", price=100.0, tag="x", **order)
    clock(running, next="bar")
    kite.place_order("regular", transaction_type="BUY", price=99.0, tag="y", **order)
    clock(running, next="bar")
    return kite


def fits(sample: Any, ours: Any, place: str = "") -> list[str]:
    """What of the sample's shape ours lacks."""
    if isinstance(sample, dict):
        if not isinstance(ours, dict):
            return [f"{place}: not an object"]
        return [line for key, value in sample.items() for line in
                (fits(value, ours[key], f"{place}.{key}") if key in ours else [f"{place}.{key}: missing"])]  # fmt: skip
    if isinstance(sample, list):
        if not isinstance(ours, list) or (sample and not ours):
            return [f"{place}: not a filled list"]
        return fits(sample[0], ours[0], f"{place}[0]") if sample else []
    if sample is None or ours is None:
        return []
    same = isinstance(ours, NUMBERS) if isinstance(sample, NUMBERS) else isinstance(ours, type(sample))
    return [] if same else [f"{place}: {type(ours).__name__} instead of {type(sample).__name__}"]


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("profile", "/user/profile"),
        ("margins", "/user/margins"),
        ("orders", "/orders"),
        ("trades", "/trades"),
        ("positions", "/portfolio/positions"),
        ("holdings", "/portfolio/holdings"),
        ("holdings_compact", "/portfolio/holdings/compact"),
        ("holdings_summary", "/portfolio/holdings/summary"),
        ("order_info", "/orders/{order_id}"),
        ("order_trades", "/orders/{order_id}/trades"),
        ("quote", "/quote?i=NSE:INFY"),
        ("ohlc", "/quote/ohlc?i=NSE:INFY"),
        ("ltp", "/quote/ltp?i=NSE:INFY"),
        ("historical_minute", "/instruments/historical/408065/minute?from=2026-11-18&to=2026-11-18 15:30:00"),
        ("historical_oi", "/instruments/historical/408065/minute?from=2026-11-18&to=2026-11-18 15:30:00&oi=1"),
    ],
)
def test_our_answers_have_the_shape_of_kites(samples: Path, busy: KiteConnect, name: str, route: str) -> None:
    sample = json.loads((samples / f"{name}.json").read_text())
    path = route.format(order_id=busy.orders()[0]["order_id"])
    reply = busy.reqsession.get(f"{busy.root}{path}", headers={"Authorization": f"token {busy.api_key}:wire-token"})
    assert reply.headers["content-type"] == "application/json"
    assert fits(sample["data"], reply.json()["data"], name) == []


def test_the_dump_has_kites_columns(samples: Path, busy: KiteConnect) -> None:
    ours = busy.reqsession.get(f"{busy.root}/instruments").text.splitlines()[0]
    assert ours == (samples / "instruments_all.csv").read_text().splitlines()[0].strip()


SAMPLES = {
    "alerts_create": shapes.ALERT, "alerts_create_ato": shapes.ALERT, "alerts_get": [shapes.ALERT],
    "alerts_get_one": shapes.ALERT, "alerts_history": [shapes.ALERT_HISTORY], "alerts_modify": shapes.ALERT,
    "auctions_list": [shapes.AUCTION], "full_profile": shapes.FULL_PROFILE, "generate_session": shapes.SESSION,
    "gtt_get_order": shapes.GTT, "gtt_get_orders": [shapes.GTT], "holdings": [shapes.HOLDING],
    "holdings_compact": [shapes.COMPACT], "holdings_summary": shapes.SUMMARY, "margin_commodity": shapes.SEGMENT,
    "margins_equity": shapes.SEGMENT, "margins": {"equity": shapes.SEGMENT, "commodity": shapes.SEGMENT},
    "mf_holdings": [shapes.MF_HOLDING], "mf_orders": [shapes.MF_ORDER], "mf_orders_info": shapes.MF_ORDER,
    "mf_sip_info": shapes.SIP, "order_margins": [shapes.MARGIN], "profile": shapes.PROFILE,
    "basket_margins": {"initial": shapes.MARGIN, "final": shapes.MARGIN, "orders": [shapes.MARGIN],
                       "charges": shapes.CHARGES},
    "order_trades": [shapes.TRADE], "trades": [shapes.TRADE], "virtual_contract_note": [shapes.NOTE],
    "positions": {"net": [shapes.POSITION], "day": [shapes.POSITION]}, "quote": {KEY: shapes.QUOTE},
    "ltp": {KEY: shapes.LTP}, "ohlc": {KEY: {**shapes.LTP, "ohlc": shapes.OHLC}},
    "trigger_range": {KEY: shapes.RANGE, "NSE:RELIANCE": shapes.RANGE}, "orders": [shapes.ORDER],
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_the_table_of_shapes_is_that_of_kites_samples(samples: Path, name: str) -> None:
    """Both ways: the sample fits the table, and has no name that the table lacks."""
    sample = json.loads((samples / f"{name}.json").read_text())["data"]
    assert shapes.misfits(SAMPLES[name], sample) == []
    assert shapes.surplus(SAMPLES[name], sample) <= {
        "account_id",
        "tags",
        "validity_ttl",
        "terminal_id",
        "basket",
        "auction_number",
    }
