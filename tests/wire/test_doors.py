"""Who may come in: several apps, plans, addresses, limits, the sandbox's doors. The client is the unmodified one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect import exceptions as refusals

from btkite.exchange import Exchange
from btkite.exchange.apps import App

from .conftest import FLAT, KEY, SECRET
from .test_kiteconnect import clock, request_token

Market = Callable[..., KiteConnect]
ORDER = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS"}
OTHER = App(api_key="otherapp00000000", api_secret="othersecret", app_id=2, access_token="other-token")
LEG = {"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 120.0}


def other_of(kite: KiteConnect, token: str = "other-token") -> KiteConnect:
    return KiteConnect(api_key=OTHER.api_key, access_token=token, root=kite.root)


# apps and tokens


def test_each_app_has_a_token_of_its_own_and_a_login_kills_only_the_one_before_it(
    market: Market, running: Exchange
) -> None:
    kite = market(FLAT, apps=(OTHER,))
    other = other_of(kite)
    assert kite.profile() == other.profile()
    other.generate_session(request_token(running, OTHER.api_key), OTHER.api_secret)
    assert other.profile()["user_id"] == "SIM001"
    with pytest.raises(refusals.TokenException):
        other_of(kite).profile()
    assert kite.profile()["user_id"] == "SIM001"


def test_a_login_may_kill_the_tokens_of_all_apps(market: Market, running: Exchange) -> None:
    kite = market(FLAT, apps=(OTHER,), cross_app_logout=True)
    other_of(kite).generate_session(request_token(running, OTHER.api_key), OTHER.api_secret)
    with pytest.raises(refusals.TokenException):
        kite.profile()


def test_a_request_token_belongs_to_its_app(market: Market, running: Exchange) -> None:
    kite = market(FLAT, apps=(OTHER,))
    with pytest.raises(refusals.TokenException, match=r"invalid or has expired"):
        kite.generate_session(request_token(running, OTHER.api_key), SECRET)


def test_a_token_of_one_app_does_not_open_the_other(market: Market) -> None:
    kite = market(FLAT, apps=(OTHER,))
    with pytest.raises(refusals.TokenException, match="Incorrect `api_key` or `access_token`"):
        other_of(kite, "wire-token").profile()


def test_only_approved_platforms_get_a_refresh_token_and_it_renews_once(market: Market, running: Exchange) -> None:
    kite = market(FLAT)
    assert kite.generate_session(request_token(running), SECRET)["refresh_token"] == ""
    with pytest.raises(refusals.TokenException, match="Invalid `refresh_token`"):
        kite.renew_access_token("made-up", SECRET)
    kite = market(FLAT, refresh_tokens=True)
    first = kite.generate_session(request_token(running), SECRET)
    second = kite.renew_access_token(first["refresh_token"], SECRET)
    assert second["access_token"] not in ("", first["access_token"])
    assert kite.profile()["user_id"] == "SIM001"
    with pytest.raises(refusals.TokenException):
        kite.renew_access_token(first["refresh_token"], SECRET)
    with pytest.raises(refusals.TokenException, match="checksum"):
        kite.renew_access_token(second["refresh_token"], "another secret")
    assert kite.invalidate_refresh_token(second["refresh_token"]) is True
    with pytest.raises(refusals.TokenException):
        kite.renew_access_token(second["refresh_token"], SECRET)


# plans


def test_the_free_plan_trades_but_sees_no_market(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, plan="personal")
    clock(running, next="bar")
    order_id = kite.place_order("regular", order_type="LIMIT", price=99.0, **ORDER)
    assert [row["order_id"] for row in kite.orders()] == [order_id]
    calls: list[Callable[[], Any]] = [
        lambda: kite.ltp(KEY), lambda: kite.ohlc(KEY), lambda: kite.quote(KEY),
        lambda: kite.historical_data(408065, "2026-11-18", "2026-11-18", "minute"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(refusals.PermissionException, match=r"^Insufficient permission for that call\.$") as refused:
            call()
        assert refused.value.code == 403
    assert [row["tradingsymbol"] for row in kite.instruments()] == ["INFY"]


def test_alerts_may_be_refused_to_a_paid_app(market: Market) -> None:
    kite = market(FLAT, alerts_allowed=False)
    headers = {"Authorization": "token sandboxkey000000:wire-token"}
    reply = kite.reqsession.get(f"{kite.root}/alerts", headers=headers, timeout=10)
    assert (reply.status_code, reply.json()["error_type"]) == (403, "PermissionException")


# addresses


def order_calls(kite: KiteConnect) -> list[Callable[[], Any]]:
    return [
        lambda: kite.place_order("regular", order_type="LIMIT", price=99.0, **ORDER),
        lambda: kite.modify_order("regular", "1", price=98.0),
        lambda: kite.cancel_order("regular", "1"),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"allowed_ips": ()},
         r"^No IPs configured for this app\. Add allowed IPs on the Kite developer console\.$"),
        ({"allowed_ips": ("203.0.113.7",)},
         r"^IP \(127\.0\.0\.1\) is not allowed to place orders for this app\. Update allowed IPs on the Kite dev"),
        ({"allowed_ips": ("127.0.0.1",), "client_ip": "2405:201::1"}, r"^IP \(2405:201::1\) is not allowed"),
    ],
)  # fmt: skip
def test_orders_from_an_unknown_address_are_refused_and_nothing_else(
    market: Market, running: Exchange, settings: dict[str, Any], message: str
) -> None:
    kite = market(FLAT, FLAT, **settings)
    clock(running, next="bar")
    for call in order_calls(kite):
        with pytest.raises(refusals.PermissionException, match=message) as refused:
            call()
        assert refused.value.code == 403
    assert (kite.orders(), kite.positions()["net"]) == ([], [])
    assert kite.place_gtt("single", "INFY", "NSE", [110.0], 100.0, [LEG])["trigger_id"]


def test_a_known_address_trades_and_triggers_may_be_checked_too(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, allowed_ips=("127.0.0.1",), ip_check_gtt=True)
    clock(running, next="bar")
    assert kite.place_order("regular", order_type="LIMIT", price=99.0, **ORDER)
    kite = market(FLAT, allowed_ips=("203.0.113.7",), ip_check_gtt=True, ip_error_type="GeneralException")
    with pytest.raises(refusals.GeneralException, match="is not allowed to place orders"):
        kite.place_gtt("single", "INFY", "NSE", [110.0], 100.0, [LEG])


def test_before_the_rules_day_any_address_may_trade(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, allowed_ips=(), rules_on=date(2026, 3, 31))
    clock(running, next="bar")
    assert kite.place_order("regular", order_type="LIMIT", price=99.0, **ORDER)


# the depository


def test_a_sale_from_holdings_needs_the_days_authorisation(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, holdings={KEY: (10, 90.0)}, depository_authorisation=True)
    clock(running, next="bar")
    sale = {**ORDER, "transaction_type": "SELL", "product": "CNC", "quantity": 10}
    with pytest.raises(refusals.InputException, match=r"^10 quantity needs authorisation at depository\.$") as refused:
        kite.place_order("regular", order_type="LIMIT", price=101.0, **sale)
    assert refused.value.code == 428


# limits


def limited(kite: KiteConnect, call: Callable[[], Any], times: int) -> list[bool]:
    """Which of so many calls went through."""
    passed = []
    for _ in range(times):
        try:
            call()
        except refusals.NetworkException as refused:
            passed.append((refused.code, str(refused)) != (429, "Too many requests"))
        else:
            passed.append(True)
    return passed


def test_limits_by_class_count_calendar_seconds(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, FLAT, rate_limits=True)
    clock(running, next="bar")
    place = order_calls(kite)[0]
    assert limited(kite, place, 12) == [True] * 10 + [False] * 2
    assert limited(kite, lambda: kite.ohlc(KEY), 2) == [True, False]
    assert limited(kite, lambda: kite.historical_data(408065, "2026-11-18", "2026-11-18", "day"), 4) == [True] * 3 + [
        False
    ]
    assert limited(kite, kite.profile, 11) == [True] * 10 + [False]
    clock(running, advance=1)
    assert limited(kite, place, 1) == limited(kite, lambda: kite.ltp(KEY), 1) == [True]
    assert len(kite.orders()) == 11


def test_orders_count_for_the_account_over_all_its_apps(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, rate_limits=True, apps=(OTHER,))
    clock(running, next="bar")
    assert limited(kite, order_calls(kite)[0], 6) == [True] * 6
    assert limited(kite, order_calls(other_of(kite))[0], 6) == [True] * 4 + [False] * 2


def test_the_minutes_limit_holds_until_the_minute_ends(market: Market, running: Exchange) -> None:
    rules = {"orders_per_second": 1000, "orders_per_minute": 5}
    kite = market(FLAT, FLAT, FLAT, rate_limits=True, rules=rules)
    clock(running, next="bar")
    place = order_calls(kite)[0]
    assert limited(kite, place, 6) == [True] * 5 + [False]
    clock(running, advance=30)
    assert limited(kite, place, 1) == [False]
    clock(running, advance=30)
    assert limited(kite, place, 1) == [True]


def test_slices_count_like_orders_and_what_is_over_is_refused_alone(market: Market, running: Exchange) -> None:
    future = "NFO:NIFTY26NOVFUT"
    kite = market(FLAT, rate_limits=True, rules={"orders_per_second": 3}, symbols=(future,), check_margin=False)
    clock(running, next="bar")
    answer = kite.place_autoslice_order(
        "regular", "NFO", "NIFTY26NOVFUT", "BUY", 1755 * 5, "NRML", "LIMIT", price=26000.0
    )
    assert ["error" in child for child in answer["children"]] == [False, False, False, True, True]
    error = answer["children"][-1]["error"]
    assert (error["code"], error["error_type"]) == (429, "NetworkException")
    assert len(kite.orders()) == 3


def test_who_goes_on_after_the_limit_may_be_blocked(market: Market, running: Exchange) -> None:
    kite = market(FLAT, FLAT, FLAT, FLAT, rate_limits=True, abuse_refusals=2, abuse_block_seconds=90)
    assert limited(kite, lambda: kite.ltp(KEY), 4) == [True] + [False] * 3
    clock(running, advance=60)
    assert limited(kite, kite.profile, 1) == [False]
    clock(running, advance=31)
    assert limited(kite, kite.profile, 1) == [True]


# the sandbox


def test_the_sandbox_wants_its_prefix_and_limit_orders(market: Market, running: Exchange) -> None:
    plain = market(FLAT, FLAT, profile="sandbox")
    clock(running, next="bar")
    with pytest.raises(refusals.GeneralException, match="Route not found"):
        plain.profile()
    kite = KiteConnect(api_key=plain.api_key, access_token="wire-token", root=plain.root)
    kite._routes = {
        name: path if name.startswith("market.instruments") else f"/oms{path}" for name, path in kite._routes.items()
    }
    assert kite.generate_session(request_token(running), SECRET)["user_id"] == "SIM001"
    assert [row["tradingsymbol"] for row in kite.instruments()] == ["INFY"]
    assert kite.ltp(KEY)[KEY]["instrument_token"] == 408065
    assert kite.historical_data(408065, "2026-11-18", "2026-11-18", "minute") == []
    order_id = kite.place_order("regular", order_type="LIMIT", price=99.0, **ORDER)
    assert kite.modify_order("regular", order_id, price=98.0) == order_id
    with pytest.raises(refusals.InputException, match="LIMIT"):
        kite.place_order("regular", order_type="MARKET", market_protection=-1, **ORDER)
    for call in (kite.get_gtts, lambda: kite.order_margins([]), lambda: kite.trigger_range("BUY", KEY)):
        with pytest.raises(refusals.GeneralException, match="Route not found"):
            call()
