"""Every route of the unmodified kiteconnect, once, with the shape that Kite's documentation gives its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from kiteconnect import KiteConnect

from btkite.exchange import CandleSeries, Exchange
from btkite.exchange.funds import Fund

from . import shapes
from .conftest import FLAT, KEY, SECRET, candles
from .test_kiteconnect import clock, request_token

INFY, FUND = 408065, "INF209K01157"
CALL, FUTURE = "NFO:NIFTY26N2426000CE", "NFO:NIFTY26NOVFUT"
ORDER = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "CNC"}
ITEM = {**ORDER, "variety": "regular", "order_type": "LIMIT", "price": 100.0, "trigger_price": 0}
LEG = {"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 120.0}
ALERT = {
    "name": "dear", "type": "simple", "lhs_exchange": "NSE", "lhs_tradingsymbol": "INFY",
    "lhs_attribute": "LastTradedPrice", "operator": ">=", "rhs_type": "constant", "rhs_constant": "101",
}  # fmt: skip


class Seen(KiteConnect):
    """The client as it is, but that it keeps what was on the wire: it turns texts into times in place."""

    raw: Any = None
    first = resting = ""

    def _request(self, route: str, method: str, **more: Any) -> Any:
        answer = super()._request(route, method, **more)
        self.raw = json.loads(json.dumps(answer)) if not isinstance(answer, bytes) else answer
        return answer


@pytest.fixture
def kite(market: Callable[..., KiteConnect], running: Exchange) -> Seen:
    """An account with a holding, a position, a resting order, a fund."""
    dear: CandleSeries = candles([(26000.0, 26000.0, 26000.0, 26000.0)] * 4)
    plain = market(
        candles={KEY: candles([FLAT] * 4), CALL: candles([FLAT] * 4), FUTURE: dear},
        cash=10_000_000.0,
        holdings={KEY: (5, 90.0)},
        auctions={KEY: "20"},
        funds=(Fund(tradingsymbol=FUND, amc="Simulated_MF", name="A Simulated Fund", last_price_date="2026-11-17"),),
        fund_holdings={FUND: (12.5, 98.0)},
        refresh_tokens=True,
    )
    clock(running, next="bar")
    client = Seen(api_key=plain.api_key, access_token=plain.access_token, root=plain.root)
    client.first = client.place_order("regular", order_type="LIMIT", price=100.0, tag="x", **ORDER)
    clock(running, until="2026-11-18T09:16:30+05:30")
    client.resting = client.place_order("regular", order_type="LIMIT", price=95.0, **ORDER)
    return client


def fits(kite: Seen, kind: Any) -> None:
    assert shapes.misfits(kind, kite.raw) == []


def test_the_user_and_the_session(kite: Seen, running: Exchange) -> None:
    kite.profile()
    fits(kite, shapes.PROFILE)
    kite.margins()
    fits(kite, {"equity": shapes.SEGMENT, "commodity": shapes.SEGMENT})
    kite.margins("equity")
    fits(kite, shapes.SEGMENT)
    session = kite.generate_session(request_token(running), SECRET)
    assert shapes.misfits(shapes.SESSION, {**session, "login_time": str(session["login_time"])}) == []
    renewed = kite.renew_access_token(session["refresh_token"], SECRET)
    assert {"access_token", "refresh_token"} <= set(renewed)
    assert kite.profile()["user_id"] == "SIM001"
    assert kite.invalidate_refresh_token(renewed["refresh_token"]) is True
    assert kite.invalidate_access_token() is True


def test_orders_and_trades(kite: Seen) -> None:
    kite.orders()
    fits(kite, [shapes.ORDER])
    kite.order_history(kite.first)
    fits(kite, [shapes.ORDER])
    kite.trades()
    fits(kite, [shapes.TRADE])
    kite.order_trades(kite.first)
    fits(kite, [shapes.TRADE])
    assert kite.modify_order("regular", kite.resting, price=94.0) == kite.resting
    assert kite.cancel_order("regular", kite.resting) == kite.resting


def test_an_autoslice_answers_a_parent_and_its_children(kite: Seen) -> None:
    future = {**ORDER, "exchange": "NFO", "tradingsymbol": "NIFTY26NOVFUT", "product": "NRML", "quantity": 65 * 60}
    answer = kite.place_autoslice_order("regular", order_type="LIMIT", price=26000.0, **future)
    assert [set(child) for child in answer["children"]] == [{"order_id"}, {"error"}, {"order_id"}]
    assert shapes.misfits({"code": int, "error_type": str, "message": str}, answer["children"][1]["error"]) == []
    assert answer["children"][1]["error"]["error_type"] == "MarginException"


def test_portfolio(kite: Seen) -> None:
    kite.positions()
    fits(kite, {"net": [shapes.POSITION], "day": [shapes.POSITION]})
    kite.holdings()
    fits(kite, [shapes.HOLDING])
    kite.get_auction_instruments()
    fits(kite, [shapes.AUCTION])
    kite.place_order("regular", order_type="LIMIT", price=100.0, **{**ORDER, "product": "MIS"})
    assert kite.convert_position("NSE", "INFY", "BUY", "day", 1, "CNC", "MIS") is True


def test_the_market(kite: Seen) -> None:
    rows = {row["tradingsymbol"]: row for row in kite.instruments()}
    assert rows["NIFTY26N2426000CE"]["expiry"] == date(2026, 11, 24)
    assert {row["exchange"] for row in kite.instruments("NFO")} == {"NFO"}
    kite.quote(KEY)
    fits(kite, {KEY: shapes.QUOTE})
    kite.ohlc(KEY)
    fits(kite, {KEY: {**shapes.LTP, "ohlc": shapes.OHLC}})
    kite.ltp(KEY)
    fits(kite, {KEY: shapes.LTP})
    rows = kite.historical_data(INFY, "2026-11-18", "2026-11-18 15:30:00", "minute", oi=True)
    assert set(rows[0]) == {"date", "open", "high", "low", "close", "volume", "oi"}
    kite.trigger_range("BUY", KEY)
    fits(kite, {KEY: shapes.RANGE})
    # the client has a route for the margins of a segment, but no call: it left it behind
    kite._get("market.margins", url_args={"segment": "equity"})
    fits(kite, [{"tradingsymbol": str, "margin": shapes.Number, "mis_multiplier": shapes.Number}])


def test_triggers(kite: Seen) -> None:
    number = kite.place_gtt("single", "INFY", "NSE", [110.0], 100.0, [LEG])["trigger_id"]
    assert kite.modify_gtt(number, "two-leg", "INFY", "NSE", [90.0, 115.0], 100.0, [LEG, LEG]) == {"trigger_id": number}
    kite.get_gtts()
    fits(kite, [shapes.GTT])
    kite.get_gtt(number)
    fits(kite, shapes.GTT)
    assert kite.delete_gtt(number) == {"trigger_id": number}


def test_margins_and_charges(kite: Seen) -> None:
    kite.order_margins([ITEM])
    fits(kite, [shapes.MARGIN])
    kite.basket_order_margins([ITEM])
    fits(kite, {"initial": shapes.MARGIN, "final": shapes.MARGIN, "orders": [shapes.MARGIN], "charges": shapes.CHARGES})
    kite.basket_order_margins([ITEM], consider_positions=False, mode="compact")
    assert kite.raw["final"]["total"] > 0
    kite.get_virtual_contract_note([{**ITEM, "order_id": "1", "average_price": 100.0}])
    fits(kite, [shapes.NOTE])


def test_funds(kite: Seen) -> None:
    order_id = kite.place_mf_order(FUND, "BUY", amount=5000, tag="t")["order_id"]
    kite.mf_orders()
    fits(kite, [shapes.MF_ORDER])
    kite.mf_orders(order_id)
    fits(kite, shapes.MF_ORDER)
    assert kite.cancel_mf_order(order_id) == {"order_id": order_id}
    assert kite.mf_orders(order_id)["status"] == "CANCELLED"
    sip_id = kite.place_mf_sip(FUND, 1000, 12, "monthly", instalment_day=5)["sip_id"]
    kite.mf_sips()
    fits(kite, [shapes.SIP])
    assert kite.modify_mf_sip(sip_id, amount=2000, status="paused") == {"sip_id": sip_id}
    changed = kite.mf_sips(sip_id)
    fits(kite, shapes.SIP)
    assert (changed["instalment_amount"], changed["status"], changed["instalments"]) == (2000, "PAUSED", 12)
    assert kite.cancel_mf_sip(sip_id) == {"sip_id": sip_id}
    kite.mf_holdings()
    fits(kite, [shapes.MF_HOLDING])
    (fund,) = kite.mf_instruments()
    assert (fund["purchase_allowed"], fund["minimum_purchase_amount"]) == (True, 1000.0)
    assert fund["last_price_date"] == date(2026, 11, 17)


@pytest.fixture
def call(kite: Seen) -> Callable[..., Any]:
    """What the client lacks, on its own connection."""
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}", "X-Kite-Version": "3"}

    def ask(method: str, path: str, **more: Any) -> Any:
        reply = kite.reqsession.request(method, f"{kite.root}{path}", headers=headers, timeout=10, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"] if reply.headers["content-type"] == "application/json" else reply

    return ask


def test_the_user_in_full(call: Callable[..., Any]) -> None:
    assert shapes.misfits(shapes.FULL_PROFILE, call("GET", "/user/profile/full")) == []


def test_holdings_in_short_and_their_authorisation(kite: Seen, call: Callable[..., Any]) -> None:
    assert shapes.misfits([shapes.COMPACT], call("GET", "/portfolio/holdings/compact")) == []
    assert shapes.misfits(shapes.SUMMARY, call("GET", "/portfolio/holdings/summary")) == []
    isin = kite.holdings()[0]["isin"]
    assert len(isin) == 12
    request_id = call("POST", "/portfolio/holdings/authorise", data={"isin": isin, "quantity": 3})["request_id"]
    page = f"{kite.root}/connect/portfolio/authorise/holdings/{kite.api_key}/{request_id}"
    assert isin in kite.reqsession.get(page, timeout=10).text
    assert kite.holdings()[0]["authorised_quantity"] == 0
    assert kite.reqsession.post(page, timeout=10).status_code == 200
    assert kite.holdings()[0]["authorised_quantity"] == 3
    assert kite.reqsession.get(page, timeout=10).json()["error_type"] == "InputException"


def test_alerts(call: Callable[..., Any], running: Exchange) -> None:
    made = call("POST", "/alerts", data=ALERT)
    assert shapes.misfits(shapes.ALERT, made) == []
    basket = {"items": [{"type": "insert", "tradingsymbol": "INFY", "exchange": "NSE", "weight": 10000,
                         "params": {"transaction_type": "BUY", "product": "CNC", "order_type": "LIMIT",
                                    "quantity": 1, "price": 99.0}}]}  # fmt: skip
    ato = call("POST", "/alerts", data={**ALERT, "type": "ato", "basket": json.dumps(basket)})
    rows = call("GET", "/alerts")
    assert shapes.misfits([shapes.ALERT], rows) == []
    assert shapes.misfits(shapes.BASKET, rows[1]["basket"]) == []
    changed = call("PUT", f"/alerts/{made['uuid']}", data={**ALERT, "rhs_constant": "105"})
    assert (changed["uuid"], changed["rhs_constant"], changed["created_at"]) == (made["uuid"], 105, made["created_at"])
    assert call("GET", f"/alerts/{made['uuid']}") == changed
    assert call("GET", f"/alerts/{made['uuid']}/history") == []
    connection = {"exchange": "NSE", "tradingsymbol": "INFY", "last_price": 102.0}
    call("POST", "/_exchange/market", json=connection)
    history = call("GET", f"/alerts/{ato['uuid']}/history")
    assert shapes.misfits([shapes.ALERT_HISTORY], history) == []
    assert history[0]["condition"] == 'LastTradedPrice("NSE:INFY") >= 101'
    assert call("DELETE", f"/alerts?uuid={made['uuid']}&uuid={ato['uuid']}") is None
    assert call("GET", "/alerts") == []
    assert len(call("GET", "/alerts?status=deleted&page=1&page_size=1")) == 1


def test_the_richer_dump_is_a_bare_list(kite: Seen) -> None:
    rows = kite.reqsession.get(f"{kite.root}/instruments.json", timeout=10).json()
    future = next(row for row in rows if row["tradingsymbol"] == "NIFTY26NOVFUT")
    assert (future["freeze_quantity"], future["max_order_quantity"], future["active"]) == (1755, 1755, True)


def test_every_route_of_the_client_is_called_by_a_test_of_this_file(request: pytest.FixtureRequest) -> None:
    """Read from this file's own text, so that it holds in any order and in parallel."""
    named = {
        "api.token": "generate_session", "api.token.invalidate": "invalidate_access_token",
        "api.token.renew": "renew_access_token", "user.profile": "profile", "user.margins": "margins",
        "user.margins.segment": 'margins("equity")', "orders": "orders", "trades": "trades",
        "order.info": "order_history", "order.place": "place_order", "order.modify": "modify_order",
        "order.cancel": "cancel_order", "order.trades": "order_trades", "portfolio.positions": "positions",
        "portfolio.holdings": "holdings", "portfolio.holdings.auction": "get_auction_instruments",
        "portfolio.positions.convert": "convert_position", "mf.orders": "mf_orders()",
        "mf.order.info": "mf_orders(order_id)", "mf.order.place": "place_mf_order",
        "mf.order.cancel": "cancel_mf_order", "mf.sips": "mf_sips()", "mf.sip.info": "mf_sips(sip_id)",
        "mf.sip.place": "place_mf_sip", "mf.sip.modify": "modify_mf_sip", "mf.sip.cancel": "cancel_mf_sip",
        "mf.holdings": "mf_holdings", "mf.instruments": "mf_instruments", "market.instruments.all": "instruments()",
        "market.instruments": 'instruments("NFO")', "market.margins": '"market.margins"',
        "market.historical": "historical_data", "market.trigger_range": "trigger_range", "market.quote": "quote(KEY)",
        "market.quote.ohlc": "ohlc(KEY)", "market.quote.ltp": "ltp(KEY)", "gtt": "get_gtts", "gtt.place": "place_gtt",
        "gtt.info": "get_gtt(number)", "gtt.modify": "modify_gtt", "gtt.delete": "delete_gtt",
        "order.margins": "order_margins", "order.margins.basket": "basket_order_margins",
        "order.contract_note": "get_virtual_contract_note",
    }  # fmt: skip
    assert set(named) == set(KiteConnect._routes)
    text = request.path.read_text(encoding="utf-8").partition("def test_every_route_of_the_client")[0]
    assert [route for route, words in named.items() if words not in text] == []
