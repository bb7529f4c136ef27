"""REST as a client sees it: login, tokens, dumps, history, quotes, errors."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from btkite.exchange import CandleSeries, InstrumentRow

from .scene import DAY, KEY, TOKEN, Client, candles

Load = Callable[..., Client]
FLAT = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 104.0, 98.0, 102.0)
SECRET = "sandboxsecret000000000000000000"


def log_in(client: Client) -> str:
    """A request_token through the automatic login."""
    status, headers, _ = client.raw("GET", "/connect/login?api_key=sandboxkey000000&v=3&auto=1")
    assert status == 302
    return parse_qs(urlsplit(headers["Location"]).query)["request_token"][0]


def checksum(request_token: str, secret: str = SECRET) -> str:
    return hashlib.sha256(f"sandboxkey000000{request_token}{secret}".encode()).hexdigest()


def test_the_login_page_has_a_button_that_leads_to_the_apps_address(load: Load) -> None:
    client = load([FLAT], redirect_url="http://127.0.0.1:1/back?x=1")
    status, headers, page = client.raw("GET", "/connect/login?api_key=sandboxkey000000&v=3&redirect_params=a%3Db")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/html")
    assert b'<form method="post"' in page
    status, headers, _ = client.raw(
        "POST", "/connect/login", b"api_key=sandboxkey000000&redirect_params=a%3Db",
        **{"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    found = parse_qs(urlsplit(headers["Location"]).query)
    assert status == 302
    assert headers["Location"].startswith("http://127.0.0.1:1/back?x=1&")
    assert (found["action"], found["status"], found["a"], found["x"]) == (["login"], ["success"], ["b"], ["1"])
    assert found["request_token"]


def test_without_an_address_the_login_shows_the_request_token(load: Load) -> None:
    _, _, page = load([FLAT]).raw("POST", "/connect/login?api_key=sandboxkey000000")
    assert re.search(rb"request_token: <code>[\w-]{20,}</code>", page)


def test_a_request_token_makes_one_session_and_the_token_before_it_dies(load: Load) -> None:
    client = load([FLAT])
    assert client.call("GET", "/user/profile")[0] == 200
    token = log_in(client)
    fields = {"api_key": "sandboxkey000000", "request_token": token, "checksum": checksum(token)}
    session = client.data("POST", "/session/token", **fields)
    assert {"user_id", "access_token", "public_token", "refresh_token", "login_time", "meta"} <= set(session)
    assert client.refused("GET", "/user/profile")[:2] == (403, "TokenException")
    client.headers["Authorization"] = f"token sandboxkey000000:{session['access_token']}"
    assert client.data("GET", "/user/profile")["user_id"] == "SIM001"
    assert client.refused("POST", "/session/token", **fields)[:2] == (403, "TokenException")  # single use


def test_a_wrong_checksum_is_refused_and_an_old_request_token_is_dead(load: Load) -> None:
    client = load([FLAT] * 10)
    token = log_in(client)
    wrong = {"api_key": "sandboxkey000000", "request_token": token, "checksum": checksum(token, "other")}
    assert client.refused("POST", "/session/token", **wrong) == (403, "TokenException", "Invalid `checksum`.")
    client.control("clock", advance=301)
    right = {**wrong, "checksum": checksum(token)}
    assert client.refused("POST", "/session/token", **right)[1] == "TokenException"


@pytest.mark.parametrize("header", ["", "token x:y", f"token other:{TOKEN}", f"Bearer sandboxkey000000:{TOKEN}"])
def test_a_wrong_token_is_refused_in_kites_words(load: Load, header: str) -> None:
    client = load([FLAT])
    client.headers["Authorization"] = header
    assert client.refused("GET", "/orders") == (403, "TokenException", "Incorrect `api_key` or `access_token`.")


def test_the_token_dies_at_six(load: Load) -> None:
    series = [candles([FLAT]), candles([FLAT], day=DAY + timedelta(days=1))]
    both = CandleSeries(
        interval="minute", volume=[1, 1], oi=[0, 0],
        start=[DAY.replace(hour=9, minute=15), (DAY + timedelta(days=1)).replace(hour=9, minute=15)],
        **{name: [float(getattr(part, name)[0]) for part in series] for name in ("open", "high", "low", "close")},
    )  # fmt: skip
    client = load(candles={KEY: both})
    client.control("clock", until="2026-11-19T05:59:59+05:30")
    assert client.call("GET", "/user/profile")[0] == 200
    client.control("clock", until="2026-11-19T06:00:00+05:30")
    assert client.refused("GET", "/user/profile")[:2] == (403, "TokenException")
    fresh = client.control("session", issue_token=True)["access_token"]
    client.headers["Authorization"] = f"token sandboxkey000000:{fresh}"
    assert client.call("GET", "/user/profile")[0] == 200


def test_logout_ends_the_session(load: Load) -> None:
    client = load([FLAT])
    assert client.data("DELETE", "/session/token", api_key="sandboxkey000000", access_token=TOKEN) is True
    assert client.refused("GET", "/orders")[1] == "TokenException"


def test_instruments_are_a_csv_of_twelve_columns_and_need_no_token(load: Load) -> None:
    option = "NFO:NIFTY26N2426000CE"
    client = load(candles={KEY: candles([FLAT]), option: candles([FLAT]), "NSE:NIFTY 50": candles([FLAT])})
    client.headers.clear()
    status, headers, body = client.raw("GET", "/instruments")
    lines = body.decode().splitlines()
    assert (status, headers["Content-Type"]) == (200, "text/csv")
    assert lines[0] == (
        "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
        "instrument_type,segment,exchange"
    )
    rows = {line.split(",")[2]: line.split(",") for line in lines[1:]}
    assert rows["INFY"] == ["408065", "1594", "INFY", "INFY", "0.0", "", "0.0", "0.05", "1", "EQ", "NSE", "NSE"]
    assert rows["NIFTY 50"][10] == "INDICES"
    assert rows["NIFTY26N2426000CE"][3:] == [
        "NIFTY", "0.0", "2026-11-24", "26000.0", "0.05", "65", "CE", "NFO-OPT", "NFO",
    ]  # fmt: skip
    assert int(rows["NIFTY26N2426000CE"][0]) & 0xFF == 2
    only = client.raw("GET", "/instruments/NFO")[2].decode().splitlines()
    assert len(only) == 2


def test_explicit_instrument_rows_win(load: Load) -> None:
    row = InstrumentRow(exchange="NSE", tradingsymbol="INFY", instrument_token=257, tick_size=0.1, lot_size=5)
    client = load([FLAT], instruments=(row,))
    assert b"257,1,INFY,,0.0,,0.0,0.1,5,EQ,NSE,NSE" in client.raw("GET", "/instruments")[2]


def history(client: Client, interval: str, begin: str, end: str, **more: Any) -> list[list[Any]]:
    path = f"/instruments/historical/408065/{interval}"
    return client.data("GET", path, **{"from": begin, "to": end, **more})["candles"]


def test_history_ends_now_and_includes_the_forming_candle(load: Load) -> None:
    client = load([UP, (102.0, 110.0, 101.0, 105.0), FLAT])
    assert history(client, "minute", "2026-11-18 09:15:00", "2026-11-18 15:30:00") == []
    client.control("clock", until="2026-11-18T09:16:30+05:30")
    rows = history(client, "minute", "2026-11-18 09:15:00", "2026-11-18 15:30:00")
    assert rows == [
        ["2026-11-18T09:15:00+0530", 100.0, 104.0, 98.0, 102.0, 100],
        ["2026-11-18T09:16:00+0530", 102.0, 102.0, 101.0, 101.0, 50],
    ]


def test_history_serves_the_bar_that_starts_at_to_and_oi_when_asked(load: Load) -> None:
    client = load([FLAT] * 10)
    client.control("clock", until="2026-11-18T09:30:00+05:30")
    rows = history(client, "minute", "2026-11-18 09:16:00", "2026-11-18 09:20:00", oi=1)
    assert [row[0][11:16] for row in rows] == ["09:16", "09:17", "09:18", "09:19", "09:20"]
    assert {len(row) for row in rows} == {7}


def test_longer_intervals_are_grouped_from_the_sessions_open(load: Load) -> None:
    bars = [(100.0 + i, 101.0 + i, 99.0 + i, 100.5 + i) for i in range(70)]
    client = load(bars)
    client.control("clock", until="2026-11-18T10:25:00+05:30")
    rows = history(client, "60minute", "2026-11-18 00:00:00", "2026-11-18 23:00:00")
    assert rows == [
        ["2026-11-18T09:15:00+0530", 100.0, 160.0, 99.0, 159.5, 6000],
        ["2026-11-18T10:15:00+0530", 160.0, 170.0, 159.0, 169.5, 1000],
    ]
    assert history(client, "day", "2026-11-18", "2026-11-18") == [
        ["2026-11-18T00:00:00+0530", 100.0, 170.0, 99.0, 169.5, 7000]
    ]


def test_an_interval_that_the_candles_cannot_make_is_empty_not_invented(load: Load) -> None:
    client = load(candles={KEY: candles([UP], minutes=5)})
    client.control("clock", until="2026-11-18T09:20:00+05:30")
    assert history(client, "minute", "2026-11-18 09:15:00", "2026-11-18 09:20:00") == []
    assert len(history(client, "5minute", "2026-11-18 09:15:00", "2026-11-18 09:20:00")) == 1


@pytest.mark.parametrize(
    ("interval", "days"),
    [("minute", 60), ("3minute", 100), ("5minute", 100), ("10minute", 100), ("15minute", 200), ("30minute", 200),
     ("60minute", 400), ("day", 2000)],
)  # fmt: skip
def test_a_request_may_span_so_many_days_and_not_one_more(load: Load, interval: str, days: int) -> None:
    client = load([FLAT])
    path = f"/instruments/historical/408065/{interval}"
    begin, end = f"{DAY - timedelta(days=days)}", f"{DAY}"
    assert client.call("GET", path, **{"from": begin, "to": end})[0] == 200
    begin = f"{DAY - timedelta(days=days, seconds=1)}"
    assert client.refused("GET", path, **{"from": begin, "to": end}) == (
        400, "InputException", f"interval exceeds max limit: {days} days",
    )  # fmt: skip


def test_history_refuses_what_it_does_not_know(load: Load) -> None:
    client = load([FLAT])
    dates = {"from": "2026-11-18", "to": "2026-11-18"}
    assert client.refused("GET", "/instruments/historical/1/minute", **dates)[2] == "invalid token"
    assert client.refused("GET", "/instruments/historical/408065/2minute", **dates)[0] == 400
    assert client.refused("GET", "/instruments/historical/408065/day", **{"from": "x", "to": "y"})[0] == 400


def test_quotes_are_keyed_as_asked_and_unknown_keys_are_absent(load: Load) -> None:
    client = load([UP])
    client.control("clock", until="2026-11-18T09:15:30+05:30")
    assert client.data("GET", "/quote/ltp", i=[KEY, "NSE:NOPE", "408065"]) == {
        KEY: {"instrument_token": 408065, "last_price": 98.0},
        "408065": {"instrument_token": 408065, "last_price": 98.0},
    }
    ohlc = client.data("GET", "/quote/ohlc", i=KEY)[KEY]["ohlc"]
    assert ohlc == {"open": 100.0, "high": 100.0, "low": 98.0, "close": 0.0}
    quote = client.data("GET", "/quote", i=KEY)[KEY]
    assert (quote["volume"], quote["last_trade_time"]) == (50, "2026-11-18 09:15:20")
    assert quote["depth"]["buy"][0] == {"price": 98.0, "quantity": 10_000_000, "orders": 1}


def test_orders_go_through_the_wire_and_back(load: Load) -> None:
    client = load([UP, FLAT])
    client.control("clock", next="bar")
    fields = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 10, "product": "CNC",
              "order_type": "LIMIT", "price": "99.0", "variety": "regular", "tag": "t1"}  # fmt: skip
    order_id = client.data("POST", "/orders/regular", **fields)["order_id"]
    assert client.data("PUT", f"/orders/regular/{order_id}", price=98.5) == {"order_id": order_id}
    client.control("clock", next="bar")
    assert client.data("GET", "/orders")[0]["status"] == "COMPLETE"
    assert client.data("GET", f"/orders/{order_id}")[-1]["average_price"] == 98.5
    trade = client.data("GET", f"/orders/{order_id}/trades")[0]
    assert client.data("GET", "/trades") == [trade]
    assert (trade["quantity"], trade["average_price"], trade["order_timestamp"]) == (10, 98.5, "09:15:00")
    assert client.data("GET", "/portfolio/positions")["net"][0]["quantity"] == 10
    assert client.refused("DELETE", f"/orders/regular/{order_id}")[0] == 400
    assert client.refused("GET", "/orders/1")[2] == "Couldn't find that `order_id`."


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/nothing", "/orders/1/2/3", "/user", "/gtt", "/oms/orders", "/orders/"])
def test_a_path_that_kite_does_not_have_is_404_in_json(load: Load, method: str, path: str) -> None:
    assert load([FLAT]).refused(method, path) == (404, "GeneralException", "Route not found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/orders"), ("PUT", "/quote"), ("DELETE", "/user/profile"), ("GET", "/charges/orders"),
     ("PATCH", "/orders/regular/1"), ("POST", "/gtt/triggers/1")],
)  # fmt: skip
def test_a_method_that_a_path_does_not_have_is_405_in_json(load: Load, method: str, path: str) -> None:
    assert load([FLAT]).refused(method, path)[:2] == (405, "GeneralException")


def test_a_head_is_no_get(load: Load) -> None:
    status, headers, body = load([FLAT]).raw("HEAD", "/user/profile")
    assert (status, headers["Content-Type"], body) == (405, "application/json", b"")


def test_rate_limits_count_calendar_seconds_of_the_exchanges_clock(load: Load) -> None:
    client = load([FLAT] * 5, rate_limits=True)
    assert client.call("GET", "/quote/ltp", i=KEY)[0] == 200
    assert client.refused("GET", "/quote/ltp", i=KEY) == (429, "NetworkException", "Too many requests")
    client.control("clock", advance=1)
    assert client.call("GET", "/quote/ltp", i=KEY)[0] == 200
    client.control("clock", next="bar")
    fields = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS",
              "order_type": "LIMIT", "price": "99.0"}  # fmt: skip
    answers = [client.call("POST", "/orders/regular", **fields)[0] for _ in range(15)]
    assert answers == [200] * 10 + [429] * 5
    assert len(client.control("session", issue_token=True)) == 1  # the control surface is not counted


def test_the_json_content_type_is_bare(load: Load) -> None:
    _, headers, body = load([FLAT]).raw("GET", "/user/margins")
    assert headers["Content-Type"] == "application/json"
    assert set(json.loads(body)["data"]) == {"equity", "commodity"}


def test_a_dump_is_packed_for_who_takes_it(load: Load) -> None:
    client = load(candles={f"NSE:S{number}": candles([FLAT]) for number in range(40)})
    plain = client.raw("GET", "/instruments")[2]
    _, headers, packed = client.raw("GET", "/instruments", **{"Accept-Encoding": "gzip, deflate"})
    assert (headers["Content-Encoding"], headers["Content-Type"]) == ("gzip", "text/csv")
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2


@pytest.mark.parametrize("path", ["/margins/orders", "/margins/basket", "/charges/orders"])
@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b"[1]", b'"text"'])
def test_a_json_call_without_a_list_of_orders_is_bad_input(load: Load, path: str, body: bytes) -> None:
    status, _, text = load([FLAT]).raw("POST", path, body, **{"Content-Type": "application/json"})
    answer = json.loads(text)
    assert (status, answer["status"], answer["error_type"]) == (400, "error", "InputException")


def test_the_request_log_holds_no_secret(load: Load) -> None:
    client = load([FLAT])
    token = log_in(client)
    client.raw("GET", f"/connect/finish?request_token={token}&status=success")
    fields = {"api_key": "sandboxkey000000", "request_token": token, "checksum": checksum(token)}
    session = client.data("POST", "/session/token", **fields)
    client.call("DELETE", "/session/token", api_key="sandboxkey000000", access_token=session["access_token"])
    client.raw("GET", f"/ws?api_key=sandboxkey000000&access_token={session['access_token']}")
    log = client.raw("GET", "/_exchange/requests")[2].decode()
    secrets = (token, fields["checksum"], session["access_token"], TOKEN, SECRET)
    assert [secret for secret in secrets if secret in log] == []
    assert log.count('"***"') >= 4
