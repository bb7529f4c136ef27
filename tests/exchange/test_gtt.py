"""Triggers that outlive the day: their calls, what is refused, and what a firing leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from .scene import Client, candles
from .scene_days import joined

FLAT = (100.0, 100.0, 100.0, 100.0)
RISE = (100.0, 106.0, 100.0, 106.0)
FUTURE = "NFO:NIFTY26NOVFUT"
Load = Callable[..., Client]


def leg(side: str = "SELL", price: float = 105.0, **more: Any) -> dict[str, Any]:
    return {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": side, "quantity": 10,
            "order_type": "LIMIT", "product": "CNC", "price": price, **more}  # fmt: skip


def gtt(values: list[float], orders: list[dict[str, Any]], last: float = 100.0, **condition: Any) -> dict[str, str]:
    kind = "single" if len(values) == 1 else "two-leg"
    given = {"exchange": "NSE", "tradingsymbol": "INFY", "trigger_values": values, "last_price": last, **condition}
    return {"type": kind, "condition": json.dumps(given), "orders": json.dumps(orders)}


def opened(load: Load, *bars: Any, **more: Any) -> Client:
    client = load([FLAT, *bars], **more)
    client.control("clock", next="bar")
    client.control("clock", next="bar")
    return client


def create(client: Client, form: dict[str, str]) -> int:
    number = client.data("POST", "/gtt/triggers", **form)["trigger_id"]
    assert isinstance(number, int)
    return number


def test_a_trigger_is_made_listed_changed_and_deleted(load: Load) -> None:
    client = opened(load, FLAT)
    number = create(client, gtt([105], [leg()]))
    row = client.data("GET", f"/gtt/triggers/{number}")
    assert row == {
        "id": number, "user_id": "SIM001", "parent_trigger": None, "type": "single",
        "created_at": "2026-11-18 09:16:00", "updated_at": "2026-11-18 09:16:00", "expires_at": "2027-11-18 09:16:00",
        "status": "active",
        "condition": {"exchange": "NSE", "last_price": 100.0, "tradingsymbol": "INFY", "trigger_values": [105],
                      "instrument_token": 408065},
        "orders": [{**leg(), "result": None}],
        "meta": {},
    }  # fmt: skip
    assert client.data("GET", "/gtt/triggers") == [row]
    client.control("clock", next="bar")
    assert client.data("PUT", f"/gtt/triggers/{number}", **gtt([107], [leg(price=107)])) == {"trigger_id": number}
    changed = client.data("GET", f"/gtt/triggers/{number}")
    assert (changed["condition"]["trigger_values"], changed["created_at"]) == ([107], row["created_at"])
    assert changed["updated_at"] == "2026-11-18 09:17:00"
    assert client.data("DELETE", f"/gtt/triggers/{number}") == {"trigger_id": number}
    assert client.data("GET", f"/gtt/triggers/{number}")["status"] == "deleted"
    refused = client.refused("DELETE", f"/gtt/triggers/{number}")
    assert refused == (400, "InputException", "Trigger cannot be deleted: it is deleted.")
    assert client.refused("GET", "/gtt/triggers/1")[:2] == (404, "GeneralException")


def test_it_fires_once_on_a_print_and_the_result_says_what_became_of_the_order(load: Load) -> None:
    client = opened(load, RISE, (106.0, 107.0, 104.0, 106.0), FLAT, RISE)
    number = create(client, gtt([105], [leg("BUY", 106.0)]))
    while client.control("clock", next="bar")["now"] < "2026-11-18T09:20:00+05:30":
        pass
    row = client.data("GET", f"/gtt/triggers/{number}")
    (order,) = client.data("GET", "/orders")
    result = row["orders"][0]["result"]
    assert row["status"] == "triggered"
    assert result["order_result"] == {"status": "success", "order_id": order["order_id"], "rejection_reason": ""}
    assert result["triggered_at"] == 105
    assert result["timestamp"] == "2026-11-18 09:16:40"
    assert json.loads(result["meta"]) == {"app_id": 1, "gtt": number}
    assert (order["status"], order["validity"], order["tag"], order["price"]) == ("COMPLETE", "DAY", None, 106.0)


def test_a_refused_order_is_a_failed_result_and_the_trigger_is_spent(load: Load) -> None:
    client = opened(load, RISE, FLAT, RISE, check_holdings=True)
    number = create(client, gtt([105], [leg()]))
    client.control("clock", next="bar")
    row = client.data("GET", f"/gtt/triggers/{number}")
    assert row["status"] == "triggered"
    assert row["orders"][0]["result"]["order_result"] == {
        "status": "failed", "order_id": "", "rejection_reason": "Insufficient holdings. Available: 0, Requested: 10",
    }  # fmt: skip
    assert client.data("GET", "/orders") == []


@pytest.mark.parametrize(("bar", "fired"), [(RISE, 1), ((100.0, 100.0, 94.0, 94.0), 0)])
def test_of_two_legs_the_one_that_is_reached_fires_and_the_other_sleeps(load: Load, bar: Any, fired: int) -> None:
    client = opened(load, bar, FLAT, RISE, (100.0, 100.0, 94.0, 94.0))
    number = create(client, gtt([95, 105], [leg(price=94.5), leg(price=105)]))
    for _ in range(6):
        client.control("clock", next="bar")
    row = client.data("GET", f"/gtt/triggers/{number}")
    assert [order["result"] is not None for order in row["orders"]] == [fired == 0, fired == 1]
    assert len(client.data("GET", "/orders")) == 1


def test_a_price_that_is_only_passed_between_prints_is_not_seen(load: Load) -> None:
    client = opened(load, (102.0, 102.0, 102.0, 102.0), (108.0, 108.0, 108.0, 108.0))
    number = create(client, gtt([105], [leg("BUY", 110)]))
    client.control("clock", next="bar")
    assert client.data("GET", f"/gtt/triggers/{number}")["status"] == "active"
    client.control("clock", next="bar")
    assert client.data("GET", f"/gtt/triggers/{number}")["status"] == "triggered"


EQUAL = "Trigger cannot be created with one of the trigger values equal to the last price."
FIRST = "Trigger cannot be created with the first trigger price more than the last price."
UNPROTECTED = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)
SECOND = "Trigger cannot be created with the second trigger price less than the last price."


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (gtt([100], [leg()]), EQUAL),
        (gtt([90, 95], [leg(), leg()]), SECOND),
        (gtt([101, 105], [leg(), leg()]), FIRST),
        (gtt([95, 105], [leg("BUY"), leg("BUY")]), "Two-leg triggers to buy are allowed for futures and options only."),
        ({**gtt([105], [leg()]), "type": "three"}, "Invalid `type`."),
        ({**gtt([105], [leg()]), "condition": "{"}, "Invalid `condition`."),
        ({**gtt([105], [leg()]), "orders": "{}"}, "Invalid `orders`."),
        ({**gtt([105], [leg()]), "orders": ""}, "Invalid `orders`."),
        (gtt([105], [leg(), leg()]), "Invalid `orders`."),
        (gtt([105, 106, 107], [leg()]), "Invalid `trigger_values`."),
        (gtt([-5], [leg()]), "Invalid `trigger_values`."),
        (gtt([105], [leg()], last=0), "Invalid `last_price`."),
        (gtt([105], [leg(quantity=0)]), "Invalid `quantity`."),
        (gtt([105], [leg(quantity="10")]), "Invalid `quantity`."),
        (gtt([105], [leg(price=0)]), "Invalid `price`."),
        (gtt([105], [leg(order_type="SL")]), "Invalid `order_type`."),
        (gtt([105], [leg(product="NRML")]), "Invalid `product`."),
        (gtt([105], [leg(transaction_type="HOLD")]), "Invalid `transaction_type`."),
        (gtt([105], [leg(order_type="MARKET")]),
         UNPROTECTED),
        (gtt([105], [leg(tradingsymbol="TCS")]), "Invalid `orders`: they must be for the instrument of the condition."),
        (gtt([105], [leg()], tradingsymbol="TCS"),
         "The instrument you are placing an order for has either expired or does not exist."),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(load: Load, form: dict[str, str], text: str) -> None:
    client = opened(load, FLAT)
    assert client.refused("POST", "/gtt/triggers", **form) == (400, "InputException", text)
    assert client.data("GET", "/gtt/triggers") == []


@pytest.mark.parametrize(
    ("value", "last", "status"),
    [(100.25, 100, "active"), (100.2, 100, "disabled"), (40.09, 40, "active"), (40.05, 40, "disabled")],
)
def test_a_value_too_near_to_the_price_is_disabled(load: Load, value: float, last: float, status: str) -> None:
    number = create(client := opened(load, FLAT), gtt([value], [leg("BUY")], last=last))
    assert client.data("GET", f"/gtt/triggers/{number}")["status"] == status


def test_a_disabled_trigger_does_not_fire(load: Load) -> None:
    client = opened(load, RISE, RISE)
    number = create(client, gtt([100.1], [leg("BUY")]))
    client.control("clock", next="bar")
    assert client.data("GET", f"/gtt/triggers/{number}")["status"] == "disabled"
    assert client.data("GET", "/orders") == []


def test_there_is_a_cap_of_active_triggers(load: Load) -> None:
    client = opened(load, FLAT, rules={"gtt_active": 2})
    first = create(client, gtt([105], [leg()]))
    create(client, gtt([106], [leg()]))
    assert "limit of 2 active" in client.refused("POST", "/gtt/triggers", **gtt([107], [leg()]))[2]
    client.data("DELETE", f"/gtt/triggers/{first}")
    create(client, gtt([107], [leg()]))


def test_market_legs_exist_since_july_2026_and_carry_protection(load: Load) -> None:
    protected = gtt([105], [leg("BUY", 0, order_type="MARKET", market_protection=2)])
    old = datetime(2026, 7, 15)
    client = load(candles={"NSE:INFY": candles([FLAT] * 3, day=old)})
    assert client.refused("POST", "/gtt/triggers", **protected)[2] == "Invalid `order_type`."
    client = opened(load, RISE, RISE, require_market_protection=None)
    number = create(client, protected)
    for _ in range(2):
        client.control("clock", next="bar")
    row = client.data("GET", f"/gtt/triggers/{number}")
    assert row["orders"][0]["market_protection"] == 2
    assert row["orders"][0]["result"]["order_result"]["status"] == "success"
    assert client.data("GET", "/orders")[0]["status"] == "COMPLETE"


def test_two_legs_may_buy_a_future_until_it_expires(load: Load) -> None:
    client = load(candles={FUTURE: candles([FLAT] * 2)})
    one = leg("BUY", exchange="NFO", tradingsymbol="NIFTY26NOVFUT", product="NRML", quantity=65)
    number = create(client, gtt([95, 105], [one, one], exchange="NFO", tradingsymbol="NIFTY26NOVFUT"))
    assert client.data("GET", f"/gtt/triggers/{number}")["expires_at"] == "2026-11-23 23:59:59"


def test_a_trigger_lives_over_the_night_and_dies_with_its_contract(load: Load) -> None:
    first, second = candles([FLAT], day=datetime(2026, 11, 23)), candles([FLAT] * 2, day=datetime(2026, 11, 25))
    series = type(first)(
        interval="minute",
        **{
            name: [*getattr(first, name), *getattr(second, name)]
            for name in ("start", "open", "high", "low", "close", "volume")
        },
    )
    client = load(candles={"NSE:INFY": series, FUTURE: series}, expire_tokens=False)
    kept = create(client, gtt([105], [leg()]))
    one = leg(exchange="NFO", tradingsymbol="NIFTY26NOVFUT", product="NRML", quantity=65)
    gone = create(client, gtt([105], [one], exchange="NFO", tradingsymbol="NIFTY26NOVFUT"))
    client.control("day")
    assert client.data("GET", f"/gtt/triggers/{kept}")["status"] == "active"
    assert client.data("GET", f"/gtt/triggers/{gone}")["status"] == "expired"


def test_what_has_ended_is_listed_for_seven_days_and_what_is_active_for_as_long_as_it_lives(load: Load) -> None:
    client = load(candles={"NSE:INFY": joined([candles([FLAT] * 3), candles([FLAT] * 3, day=datetime(2026, 11, 25))])},
                  expire_tokens=False)  # fmt: skip
    client.control("clock", until="2026-11-18T09:15:30+05:30")
    kept, gone = (create(client, gtt([value], [leg()])) for value in (105, 106))
    client.data("DELETE", f"/gtt/triggers/{gone}")

    def listed(at: str) -> list[tuple[int, str]]:
        client.control("clock", until=f"2026-11-{at}+05:30")
        return sorted((row["id"], row["status"]) for row in client.data("GET", "/gtt/triggers"))

    assert listed("18T09:16:00") == [(kept, "active"), (gone, "deleted")]
    assert listed("25T09:15:29") == [(kept, "active"), (gone, "deleted")]
    assert listed("25T09:15:31") == [(kept, "active")]
    assert client.data("GET", f"/gtt/triggers/{gone}")["status"] == "deleted"  # it is known by its number still


def test_a_trigger_outlives_the_day_and_takes_no_intraday_product(load: Load) -> None:
    client = opened(load, FLAT)
    code, kind, text = client.refused("POST", "/gtt/triggers", **gtt([105], [leg(product="MIS")]))
    assert (code, kind) == (400, "InputException")
    assert text == "Invalid `product`: a GTT is placed with CNC or MTF, not with MIS."
    assert client.data("GET", "/gtt/triggers") == []
