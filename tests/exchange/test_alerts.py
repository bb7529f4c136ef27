"""Alerts: stored, counted, paged; nothing else follows from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from btkite.exchange.alerts import MAX_ENABLED

from .scene import KEY, Client, candles

Load = Callable[..., Client]
FLAT = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 104.0, 98.0, 102.0)
INDEX = "NSE:NIFTY 50"


def alert(**more: Any) -> dict[str, Any]:
    return {
        "name": "dear", "type": "simple", "lhs_exchange": "NSE", "lhs_tradingsymbol": "INFY",
        "lhs_attribute": "LastTradedPrice", "operator": ">=", "rhs_type": "constant", "rhs_constant": "103", **more,
    }  # fmt: skip


def test_a_crossing_is_counted_once_until_the_price_was_away_again(load: Load) -> None:
    client = load([UP, UP, FLAT])
    uuid = client.data("POST", "/alerts", **alert())["uuid"]
    client.control("clock", until="2026-11-18T09:15:50+05:30")
    assert client.data("GET", f"/alerts/{uuid}")["alert_count"] == 1
    client.control("clock", until="2026-11-18T09:18:00+05:30")
    row = client.data("GET", f"/alerts/{uuid}")
    history = client.data("GET", f"/alerts/{uuid}/history")
    assert (row["alert_count"], row["status"]) == (2, "enabled")
    assert [one["meta"][0]["last_price"] for one in history] == [104.0, 104.0]
    assert history[0]["created_at"] > history[1]["created_at"]  # the last one first
    assert history[0]["condition"] == 'LastTradedPrice("NSE:INFY") >= 103'


def test_an_index_is_named_by_kites_exchange_of_indices_and_may_be_compared_with_another(load: Load) -> None:
    client = load(candles={KEY: candles([UP]), INDEX: candles([FLAT])})
    fields = alert(lhs_exchange="INDICES", lhs_tradingsymbol="NIFTY 50", operator="<", rhs_type="instrument",
                   rhs_exchange="NSE", rhs_tradingsymbol="INFY", rhs_attribute="LastTradedPrice")  # fmt: skip
    uuid = client.data("POST", "/alerts", **fields)["uuid"]
    client.control("clock", until="2026-11-18T09:16:00+05:30")
    (seen,) = client.data("GET", f"/alerts/{uuid}/history")
    assert seen["condition"] == 'LastTradedPrice("INDICES:NIFTY 50") < LastTradedPrice("NSE:INFY")'
    assert (seen["meta"][0]["tradingsymbol"], seen["meta"][0]["last_trade_time"]) == ("NIFTY 50", "0001-01-01 00:00:00")


def test_an_alert_that_fires_places_no_order_and_tells_nobody(load: Load) -> None:
    client = load([UP, UP])
    basket = {"items": [{"exchange": "NSE", "tradingsymbol": "INFY", "params": {"quantity": 1, "price": 99.0}}]}
    row = client.data("POST", "/alerts", **alert(type="ato", basket=json.dumps(basket)))
    client.control("clock", until="2026-11-18T09:17:00+05:30")
    assert client.data("GET", f"/alerts/{row['uuid']}")["alert_count"] == 2
    assert client.data("GET", "/orders") == []


def test_a_change_replaces_the_whole_and_deleted_ones_are_shown_only_when_asked_for(load: Load) -> None:
    client = load([FLAT])
    first = client.data("POST", "/alerts", **alert())
    second = client.data("POST", "/alerts", **alert(name="cheap", operator="<=", rhs_constant="90"))
    assert first["uuid"] != second["uuid"]
    changed = client.data("PUT", f"/alerts/{first['uuid']}", **alert(name="dearer", rhs_constant="110"))
    assert (changed["name"], changed["rhs_constant"], changed["uuid"]) == ("dearer", 110.0, first["uuid"])
    assert [row["name"] for row in client.data("GET", "/alerts")] == ["dearer", "cheap"]
    assert [row["name"] for row in client.data("GET", "/alerts", page=2, page_size=1)] == ["cheap"]
    assert client.data("DELETE", "/alerts", uuid=[first["uuid"]]) is None
    assert [row["name"] for row in client.data("GET", "/alerts", status="enabled")] == ["cheap"]
    assert [row["name"] for row in client.data("GET", "/alerts", status="deleted")] == ["dearer"]
    assert client.refused("GET", f"/alerts/{first['uuid']}")[0] == 404
    assert client.refused("DELETE", "/alerts")[2] == "Missing `uuid`."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "Missing `name`."),
        ({"type": "other"}, "Invalid `type`."),
        ({"operator": "!="}, "Invalid `operator`."),
        ({"lhs_tradingsymbol": "NOPE"}, "Invalid `lhs_tradingsymbol`."),
        ({"lhs_attribute": "Volume"}, "Invalid `lhs_attribute`."),
        ({"rhs_constant": "much"}, "Invalid `rhs_constant`."),
        ({"rhs_type": "instrument"}, "Invalid `rhs_tradingsymbol`."),
        ({"type": "ato"}, "Invalid `basket`."),
        ({"type": "ato", "basket": '{"items": []}'}, "Invalid `basket`."),
        ({"type": "ato", "basket": '{"items": [{"exchange": "NSE", "tradingsymbol": "NOPE"}]}'}, "Invalid `basket`."),
    ],
)
def test_what_makes_no_sense_is_refused(load: Load, fields: dict[str, str], message: str) -> None:
    client = load([FLAT])
    assert client.refused("POST", "/alerts", **alert(**fields)) == (400, "InputException", message)
    assert client.data("GET", "/alerts") == []


def test_so_many_alerts_may_be_active_and_not_one_more(load: Load) -> None:
    client = load([FLAT])
    uuids = [client.data("POST", "/alerts", **alert())["uuid"] for _ in range(MAX_ENABLED)]
    assert len(set(uuids)) == MAX_ENABLED
    assert client.refused("POST", "/alerts", **alert())[:2] == (400, "InputException")
    client.data("DELETE", "/alerts", uuid=uuids[:1])
    assert client.data("POST", "/alerts", **alert())["uuid"] not in uuids
