"""The unmodified kiteconnect against the exchange: what a client of Kite does in a day."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kiteconnect import KiteConnect
from kiteconnect import exceptions as refusals

from btkite.exchange import Exchange

from .conftest import FLAT, KEY, SECRET, UP, candles

Market = Callable[..., KiteConnect]
INFY = 408065


def clock(exchange: Exchange, **body: Any) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", exchange.port, timeout=10)
    connection.request("POST", "/_exchange/clock", json.dumps(body))
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["data"]


def request_token(exchange: Exchange, api_key: str = "sandboxkey000000") -> str:
    """What the login page gives to the app."""
    connection = http.client.HTTPConnection("127.0.0.1", exchange.port, timeout=10)
    connection.request("GET", f"/connect/login?api_key={api_key}&v=3&auto=1")
    location = connection.getresponse().headers["Location"]
    connection.close()
    return parse_qs(urlsplit(location).query)["request_token"][0]


def test_login_by_checksum_then_profile_then_logout(market: Market, running: Exchange) -> None:
    market(FLAT)
    kite = KiteConnect(api_key="sandboxkey000000", root=running.url)
    session = kite.generate_session(request_token(running), api_secret=SECRET)
    assert session["login_time"] == datetime(2026, 11, 18, 9, 0)
    kite.set_access_token(session["access_token"])
    assert kite.profile()["user_id"] == "SIM001"
    told: list[bool] = []
    kite.set_session_expiry_hook(lambda: told.append(True))
    assert kite.invalidate_access_token() is True
    with pytest.raises(refusals.TokenException, match="Incorrect `api_key` or `access_token`"):
        kite.profile()
    assert told == [True]


def test_instruments_are_parsed(market: Market) -> None:
    option = "NFO:NIFTY26N2426000CE"
    kite = market(seed=1, symbols=(KEY, option), generate_from=date(2026, 11, 16), generate_sessions=2)
    rows = {row["tradingsymbol"]: row for row in kite.instruments()}
    assert rows["INFY"]["instrument_token"] == INFY
    assert rows["INFY"]["tick_size"] == 0.05
    assert rows["NIFTY26N2426000CE"]["expiry"] == date(2026, 11, 24)
    assert (rows["NIFTY26N2426000CE"]["strike"], rows["NIFTY26N2426000CE"]["lot_size"]) == (26000.0, 65)
    assert [row["tradingsymbol"] for row in kite.instruments("NSE")] == ["INFY"]


def test_history_is_parsed(market: Market, running: Exchange) -> None:
    kite = market(UP, FLAT, FLAT)
    clock(running, until="2026-11-18T09:17:00+05:30")
    rows = kite.historical_data(INFY, datetime(2026, 11, 18, 9, 15), datetime(2026, 11, 18, 15, 30), "minute", oi=True)
    assert [row["date"].isoformat() for row in rows] == ["2026-11-18T09:15:00+05:30", "2026-11-18T09:16:00+05:30"]
    assert (rows[0]["high"], rows[0]["volume"], rows[0]["oi"]) == (104.0, 100, 0)
    with pytest.raises(refusals.InputException, match="interval exceeds max limit: 60 days"):
        kite.historical_data(INFY, date(2026, 1, 1), date(2026, 11, 18), "minute")


def test_a_day_of_orders(market: Market, running: Exchange) -> None:
    kite = market(UP, FLAT, FLAT, FLAT)
    clock(running, next="bar")
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "quantity": 10, "product": "MIS"}
    limit = kite.place_order("regular", transaction_type="BUY", order_type="LIMIT", price=97.0, tag="first", **order)
    assert kite.modify_order("regular", limit, price=99.0) == limit
    assert clock(running, next="bar")["now"] == "2026-11-18T09:15:20+05:30"
    book = {row["order_id"]: row for row in kite.orders()}
    assert (book[limit]["status"], book[limit]["average_price"], book[limit]["tag"]) == ("COMPLETE", 99.0, "first")
    assert book[limit]["exchange_timestamp"] == datetime(2026, 11, 18, 9, 15, 20)
    assert [row["status"] for row in kite.order_history(limit)][:4] == [
        "PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN",
    ]  # fmt: skip
    assert kite.order_trades(limit)[0]["fill_timestamp"] == datetime(2026, 11, 18, 9, 15, 20)
    stop = kite.place_order(
        "regular", transaction_type="SELL", order_type="SL", trigger_price=96.0, price=95.0, **order
    )
    assert kite.cancel_order("regular", stop) == stop
    exit_ = kite.place_order("regular", transaction_type="SELL", order_type="MARKET", market_protection=-1, **order)
    clock(running, next="bar")
    assert [row["status"] for row in kite.orders()] == ["COMPLETE", "CANCELLED", "COMPLETE"]
    assert len(kite.trades()) == 2
    (net,) = kite.positions()["net"]
    price = kite.order_history(exit_)[-1]["average_price"]
    assert (net["quantity"], net["pnl"]) == (0, (price - 99.0) * 10)
    assert kite.margins("equity")["net"] == 1_000_000 + net["pnl"]
    assert kite.holdings() == []
    assert kite.ltp(KEY)[KEY]["instrument_token"] == INFY
    assert kite.quote([KEY, "NSE:NOPE"]).keys() == {KEY}
    assert kite.ohlc(KEY)[KEY]["ohlc"]["open"] == 100.0


def test_quotes_are_asked_for_as_many_names_as_kite_takes_and_not_for_one_more(market: Market) -> None:
    names = [f"NSE:STOCK{number:05d}" for number in range(1001)]
    kite = market(candles=dict.fromkeys(names, candles([FLAT])))
    assert list(kite.quote(names[:500])) == names[:500]
    assert list(kite.ltp(names[:1000])) == list(kite.ohlc(names[:1000])) == names[:1000]
    for ask, most in ((kite.quote, 500), (kite.ltp, 1000), (kite.ohlc, 1000)):
        with pytest.raises(refusals.InputException, match=f"Maximum of {most} instruments are allowed"):
            ask(names[: most + 1])


def test_a_conversion_is_accepted(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT)
    clock(running, next="bar")
    kite.place_order("regular", exchange="NSE", tradingsymbol="INFY", transaction_type="BUY", quantity=10,
                     product="MIS", order_type="LIMIT", price=100.0)  # fmt: skip
    clock(running, next="bar")
    assert kite.convert_position("NSE", "INFY", "BUY", "day", 10, "MIS", "CNC") is True
    held = {row["product"]: row["quantity"] for row in kite.positions()["net"]}
    assert (held["CNC"], held.get("MIS", 0)) == (10, 0)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"order_type": "MARKET"}, refusals.InputException, "without market protection"),
        ({"order_type": "LIMIT", "price": 99.98}, refusals.InputException, "Tick size for this script is 0.05"),
        ({"order_type": "LIMIT", "price": 99.0, "quantity": 10**7}, refusals.GeneralException, "Insufficient funds"),
        ({"order_type": "LIMIT", "price": 99.0, "product": "CNC", "transaction_type": "SELL"},
         refusals.GeneralException, "Insufficient holdings"),
        ({"order_type": "LIMIT", "price": 99.0, "tag": "x" * 21}, refusals.InputException, "tag"),
    ],
)  # fmt: skip
def test_refusals_arrive_as_the_clients_own_exceptions(
    market: Market, running: Exchange, fields: dict[str, Any], kind: type[Exception], message: str
) -> None:
    kite = market(FLAT, FLAT)
    clock(running, next="bar")
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS"}
    with pytest.raises(kind, match=message) as refused:
        kite.place_order("regular", **{**order, **fields})
    assert refused.value.code == 400  # type: ignore[attr-defined]
    assert kite.orders() == []
