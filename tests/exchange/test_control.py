"""The control surface."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .scene import KEY, TOKEN, Client

Load = Callable[..., Client]
FLAT = (100.0, 100.0, 100.0, 100.0)


def refused(client: Client, name: str, body: object) -> str:
    status, _, text = client.raw("POST", f"/_exchange/{name}", json.dumps(body).encode())
    assert status == 400
    return str(json.loads(text)["message"])


def test_an_empty_body_only_asks(load: Load) -> None:
    client = load([FLAT])
    state = client.control("clock")
    assert state == {"now": "2026-11-18T09:00:00+05:30", "speed": 0, "done": False, "sent": {}}
    assert client.control("clock") == state


def test_next_event_stops_at_every_instant(load: Load) -> None:
    client = load([FLAT])
    stops = [client.control("clock", next="event")["now"][11:19] for _ in range(6)]
    assert stops == ["09:15:00", "09:15:00", "09:15:20", "09:15:40", "09:15:59", "09:16:00"]


def test_the_clock_says_what_it_does_not_understand(load: Load) -> None:
    client = load([FLAT])
    assert "jump" in refused(client, "clock", {"jump": 3})
    assert "ask for 'bar' or 'event'" in refused(client, "clock", {"next": "year"})
    assert "is not a time" in refused(client, "clock", {"until": "noon"})
    assert "in the past" in refused(client, "clock", {"until": "2026-11-18T08:00:00+05:30"})
    assert "JSON object" in refused(client, "clock", [1])


def test_a_running_clock_is_paused_before_it_is_asked_for_the_next_bar(load: Load) -> None:
    client = load([FLAT])
    assert client.control("clock", speed=60)["speed"] == 60
    assert "pause it" in refused(client, "clock", {"next": "bar"})
    assert client.control("clock", pause=True)["speed"] == 0
    assert client.control("clock", next="bar")["now"] >= "2026-11-18T09:15:00+05:30"


def test_a_fast_clock_plays_the_market_by_itself(load: Load) -> None:
    client = load([FLAT] * 5, speed=36_000.0)
    while client.control("clock")["now"] < "2026-11-18T09:21:00+05:30":
        pass
    state = json.loads(client.raw("GET", "/_exchange/state")[2])["data"]
    assert state["clock"]["lockstep"] is False
    assert client.data("GET", "/quote/ltp", i=KEY)[KEY]["last_price"] == 100.0


def test_the_request_log_has_no_secret(load: Load) -> None:
    client = load([FLAT])
    client.call("POST", "/session/token", api_key="k", request_token="rrr", checksum="ccc")
    client.call("DELETE", "/session/token", api_key="k", access_token=TOKEN)
    client.call("GET", "/orders")
    _, _, text = client.raw("GET", "/_exchange/requests?since=1")
    log = json.loads(text)["data"]
    assert [(row["seq"], row["method"], row["path"], row["status"]) for row in log] == [
        (2, "DELETE", "/session/token", 403), (3, "GET", "/orders", 200),
    ]  # fmt: skip
    everything = client.raw("GET", "/_exchange/requests")[2]
    assert TOKEN.encode() not in everything
    assert b"rrr" not in everything
    assert b"ccc" not in everything


def test_a_price_put_by_hand_fills_what_it_meets(load: Load) -> None:
    client = load([FLAT] * 3)
    client.control("clock", next="bar")
    fields = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS",
              "order_type": "LIMIT", "price": "99.0"}  # fmt: skip
    client.data("POST", "/orders/regular", **fields)
    put = client.control("market", exchange="NSE", tradingsymbol="INFY", last_price=98.0, volume=10)
    assert put["last_price"] == 98.0
    assert client.data("GET", "/orders")[0]["status"] == "COMPLETE"
    assert "not listed" in refused(client, "market", {"exchange": "NSE", "tradingsymbol": "X", "last_price": 1})
    assert "last_price" in refused(client, "market", {"exchange": "NSE", "tradingsymbol": "INFY"})


def test_a_foreign_order_needs_no_protection_and_stands_in_the_book(load: Load) -> None:
    client = load([FLAT] * 3, require_market_protection=True)
    client.control("clock", next="bar")
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "SELL", "quantity": 5, "product": "MIS",
             "order_type": "MARKET", "placed_by": "ADMINSQF"}  # fmt: skip
    order_id = client.control("orders", **order)["order_id"]
    client.control("clock", next="bar")
    row = client.data("GET", "/orders")[0]
    assert (row["order_id"], row["placed_by"], row["status"], row["tag"]) == (order_id, "ADMINSQF", "COMPLETE", None)
    assert client.refused("POST", "/orders/regular", **{**order, "placed_by": "x"})[0] == 400  # the API still asks


def test_tokens_are_expired_and_issued(load: Load) -> None:
    client = load([FLAT])
    client.control("session", expire_token=True)
    assert client.refused("GET", "/orders")[1] == "TokenException"
    assert client.control("session", issue_token=True)["access_token"]
    assert "expire_token" in refused(client, "session", {})


def test_a_day_passes(load: Load) -> None:
    client = load(seed=1, symbols=(KEY,), generate_sessions=2, interval="60minute")
    first = client.control("clock")["now"][:10]
    now = client.control("day")["now"]
    assert now[11:16] == "09:00"
    assert now[:10] > first
    assert "last day" in refused(client, "day", {})


def test_state_shows_orders_with_their_history(load: Load) -> None:
    client = load([FLAT] * 2)
    client.control("clock", next="bar")
    client.control("orders", exchange="NSE", tradingsymbol="INFY", transaction_type="BUY", quantity=5, product="MIS",
                   order_type="MARKET")  # fmt: skip
    client.control("clock", next="bar")
    state = json.loads(client.raw("GET", "/_exchange/state")[2])["data"]
    assert state["orders"][0]["history"][-1]["status"] == "COMPLETE"
    assert state["trades"][0]["quantity"] == 5
    assert state["positions"]["net"][0]["quantity"] == 5
    assert state["account"]["available"] == pytest.approx(1e9 - 100)
    assert client.raw("GET", "/_exchange/nothing")[0] == 404


def test_it_answers_only_to_a_name_of_this_machine(load: Load) -> None:
    client = load([FLAT])
    for host in ("localhost", f"localhost:{client.port}", "127.0.0.1:1", "[::1]:8765"):
        assert client.raw("GET", "/_exchange/state", Host=host)[0] == 200
        assert client.raw("GET", "/", Host=host)[0] == 200
    for host in ("evil.com", "evil.com:8765", "127.0.0.1.evil.com", "localhost.evil.com", "10.0.0.7", "[::1", ""):
        status, _, text = client.raw("GET", "/_exchange/state", Host=host)
        assert (status, json.loads(text)["error_type"]) == (403, "PermissionException")
        assert client.raw("POST", "/_exchange/clock", b"{}", Host=host)[0] == 403
        assert client.raw("GET", "/", Host=host)[0] == 403
    assert client.raw("GET", "/user/profile", Host="evil.com")[0] == 200  # Kite's own routes have a token


def test_prices_by_hand_are_on_the_tick(load: Load) -> None:
    client = load([FLAT], tick_sizes={KEY: 0.1}, symbols=("NSE:NIFTY 50",))
    share = {"exchange": "NSE", "tradingsymbol": "INFY"}
    said = "1500.013 is not on the tick of NSE:INFY, 0.1: the nearest price is 1500"
    assert refused(client, "market", {**share, "last_price": 1500.013}) == said
    assert "99.95 is not on the tick" in refused(client, "market", {**share, "depth": {"buy": [[99.95, 5]]}})
    line = {**share, "last_price": 100.05}
    assert refused(client, "market", {"script": [line]}).startswith("line 1 of the script: 100.05 is not on the tick")
    assert client.data("GET", "/quote/ltp", i=KEY)[KEY]["last_price"] == 0
    assert client.control("market", **share, last_price=1500.1)["last_price"] == 1500.1
    index = {"exchange": "NSE", "tradingsymbol": "NIFTY 50"}
    assert client.control("market", **index, last_price=26012.37)["last_price"] == 26012.37


def test_a_line_without_a_symbol_says_what_is_missing(load: Load) -> None:
    client = load([FLAT])
    said = refused(client, "market", {"script": [{"last_price": 100}]})
    assert said.endswith("exchange and tradingsymbol must be given")
    assert refused(client, "market", {"exchange": "NSE", "last_price": 1}).endswith(": tradingsymbol must be given")
