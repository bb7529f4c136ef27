"""Mutual funds: Kite's shapes, kept; nothing is bought or sold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from btkite.exchange.funds import Fund

from .scene import Client

Load = Callable[..., Client]
FLAT = (100.0, 100.0, 100.0, 100.0)
FUND = Fund(tradingsymbol="INF209K01157", amc="Simulated_MF", name="A Simulated Fund", last_price=106.8)


@pytest.fixture
def client(load: Load) -> Client:
    return load([FLAT], funds=(FUND,), fund_holdings={FUND.tradingsymbol: (10.5, 100.0)})


def buy(**more: Any) -> dict[str, Any]:
    return {"tradingsymbol": FUND.tradingsymbol, "transaction_type": "BUY", "amount": 5000, **more}


def test_the_dump_has_sixteen_columns_and_needs_no_token(client: Client) -> None:
    client.headers.clear()
    status, headers, body = client.raw("GET", "/mf/instruments")
    header, row = body.decode().splitlines()
    assert (status, headers["Content-Type"]) == (200, "text/csv")
    assert header == (
        "tradingsymbol,amc,name,purchase_allowed,redemption_allowed,minimum_purchase_amount,"
        "purchase_amount_multiplier,minimum_additional_purchase_amount,minimum_redemption_quantity,"
        "redemption_quantity_multiplier,dividend_type,scheme_type,plan,settlement_type,last_price,last_price_date"
    )
    assert row.startswith("INF209K01157,Simulated_MF,A Simulated Fund,1,1,1000.0,")


def test_without_funds_there_are_empty_lists_and_a_bare_header(load: Load) -> None:
    client = load([FLAT])
    assert [client.data("GET", f"/mf/{name}") for name in ("orders", "sips", "holdings")] == [[], [], []]
    assert len(client.raw("GET", "/mf/instruments")[2].decode().splitlines()) == 1
    assert client.refused("POST", "/mf/orders", **buy())[2] == "Invalid `tradingsymbol`."


def test_an_order_stays_open_until_it_is_cancelled(client: Client) -> None:
    order_id = client.data("POST", "/mf/orders", **buy(tag="mine"))["order_id"]
    row = client.data("GET", f"/mf/orders/{order_id}")
    assert (row["status"], row["purchase_type"], row["amount"], row["tag"]) == ("OPEN", "ADDITIONAL", 5000.0, "mine")
    assert client.data("DELETE", f"/mf/orders/{order_id}") == {"order_id": order_id}
    assert client.refused("DELETE", f"/mf/orders/{order_id}")[0] == 400
    sale = client.data("POST", "/mf/orders", **buy(transaction_type="SELL", amount="", quantity="2.5"))["order_id"]
    assert [row["status"] for row in client.data("GET", "/mf/orders")] == ["CANCELLED", "OPEN"]
    assert client.data("GET", f"/mf/orders/{sale}")["quantity"] == 2.5
    assert client.data("GET", "/mf/holdings")[0]["quantity"] == 10.5  # nothing was sold


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"transaction_type": "HOLD"}, "Invalid `transaction_type`."),
        ({"amount": 999}, "The minimum purchase amount is 1000."),
        ({"amount": "much"}, "Invalid `amount`."),
        ({"amount": "nan"}, "Invalid `amount`."),
        ({"transaction_type": "SELL", "quantity": ""}, "Invalid `quantity`."),
    ],
)
def test_orders_that_make_no_sense_are_refused(client: Client, fields: dict[str, Any], message: str) -> None:
    assert client.refused("POST", "/mf/orders", **buy(**fields)) == (400, "InputException", message)


def test_a_plan_is_changed_field_by_field_and_stopped(client: Client) -> None:
    fields = {"tradingsymbol": FUND.tradingsymbol, "amount": 1000, "instalments": -1, "frequency": "monthly"}
    sip_id = client.data("POST", "/mf/sips", **fields)["sip_id"]
    assert client.data("PUT", f"/mf/sips/{sip_id}", status="paused", instalments=6, instalment_day=10)
    row = client.data("GET", f"/mf/sips/{sip_id}")
    assert (row["status"], row["instalments"], row["pending_instalments"], row["instalment_day"]) == (
        "PAUSED",
        6,
        6,
        10,
    )
    assert row["instalment_amount"] == 1000.0
    for wrong in ({"status": "sleeping"}, {"frequency": "hourly", "amount": 7}, {"instalments": "0"}):
        assert client.refused("PUT", f"/mf/sips/{sip_id}", **wrong)[:2] == (400, "InputException")
    assert client.data("GET", f"/mf/sips/{sip_id}") == row  # a refused change changes nothing
    client.data("DELETE", f"/mf/sips/{sip_id}")
    assert client.data("GET", "/mf/sips")[0]["status"] == "CANCELLED"
    assert client.refused("GET", "/mf/sips/1")[2] == "Couldn't find that `sip_id`."
