"""The Python client of the control surface, on the fixture that offers it."""

from __future__ import annotations

import inspect
from datetime import datetime

import pytest

from btkite.exchange import control
from btkite.exchange.faults import TABLE
from btkite.testing import Steering, SteeringError

KEY = "NSE:INFY"


@pytest.fixture
def steer(kite_exchange, bars):
    kite_exchange.reset(bars("flat", symbol=KEY, sessions=2))
    kite_exchange.steer.play_until(datetime(2026, 11, 18, 9, 16))
    return kite_exchange.steer


def test_time_is_moved_and_told(steer):
    assert steer.now() == datetime(2026, 11, 18, 9, 16)
    assert steer.advance(30)["now"] == "2026-11-18T09:16:30+05:30"
    assert steer.next_event()["now"] == "2026-11-18T09:16:40+05:30"
    assert steer.next_bar()["now"] == "2026-11-18T09:17:00+05:30"
    assert steer.next_bar(until="2026-11-18T09:17:30")["now"] == "2026-11-18T09:17:30+05:30"
    assert steer.speed(60)["speed"] == 60
    assert steer.pause()["speed"] == 0
    assert steer.next_day()["now"] == "2026-11-19T09:00:00+05:30"


def test_a_price_by_hand_fills_what_waits_for_it(steer):
    order_id = steer.place(KEY, "BUY", 3, order_type="LIMIT", price=990.0)
    steer.put_price(KEY, 989.5, volume=10)
    row = next(row for row in steer.orders() if row["order_id"] == order_id)
    assert (row["status"], row["average_price"]) == ("COMPLETE", 989.5)  # the first print that it meets
    assert steer.positions()[0]["quantity"] == 3
    assert steer.trades()[0]["quantity"] == 3


def test_a_book_by_hand_is_walked_and_shown(steer):
    steer.put_depth(KEY, buy=[(999.0, 50), (998.5, 75, 3)], sell=[(1001.0, 2), (1002.0, 10)])
    shown = steer.state()["market"][0]
    assert shown["buy"] == [[999.0, 50, 1], [998.5, 75, 3]]
    assert shown["sell"] == [[1001.0, 2, 1], [1002.0, 10, 1]]
    steer.place(KEY, "BUY", 5, order_type="LIMIT", price=1003.0)
    assert [(trade["quantity"], trade["average_price"]) for trade in steer.trades()] == [(2, 1001.0), (3, 1002.0)]


def test_a_script_is_played_at_its_times(steer):
    lines = [
        {"symbol": KEY, "last_price": 1010.0, "at": datetime(2026, 11, 18, 9, 18, 5)},
        {"symbol": KEY, "last_price": 1020.0, "after": 2.5, "volume": 4},
        {"symbol": KEY, "depth": {"sell": [[1025.0, 10]]}},
    ]
    assert steer.script(lines) == 3
    last = []
    for moment in ("09:18:04", "09:18:06", "09:18:08", "09:18:21"):
        steer.play_until(f"2026-11-18T{moment}")
        last.append(steer.state()["market"][0]["last_price"])
    assert last == [1000.0, 1010.0, 1020.0, 1000.0]  # then the candles go on


def test_a_lock_step_pull_stops_at_what_a_script_fills(steer):
    steer.place(KEY, "BUY", 3, order_type="LIMIT", price=990.0)
    steer.advance(1)
    steer.script([{"symbol": KEY, "last_price": 985.0, "after": 6}])
    assert steer.next_bar()["now"] == "2026-11-18T09:16:07+05:30"


def test_a_wrong_script_is_refused_as_a_whole(steer):
    good = {"symbol": KEY, "last_price": 1010.0, "after": 5}
    for bad, sentence in [
        ({"symbol": "NSE:NONE", "last_price": 1}, "line 2 of the script: NSE:NONE is not listed"),
        ({"symbol": KEY, "last_price": 1, "at": "2026-11-18T09:00:00"}, "in the past"),
        ({"symbol": KEY}, "last_price must be given"),
        ({"symbol": KEY, "last_price": 1, "when": 3}, "a price by hand knows"),
        ({"symbol": KEY, "depth": {"buy": [[1]]}}, "a level of the depth is"),
        ({"symbol": KEY, "depth": [1]}, "depth is"),
    ]:
        with pytest.raises(SteeringError, match=sentence):
            steer.script([good, bad])
    steer.advance(10)
    assert steer.state()["market"][0]["last_price"] == 1000.0


def test_orders_from_outside_are_placed_changed_and_cancelled(steer):
    order_id = steer.place(KEY, "SELL", 3, order_type="LIMIT", price=1100.0, placed_by="ADMINSQF")
    steer.modify(order_id, price=1105.0)
    steer.cancel(order_id)
    row = steer.orders()[0]
    assert (row["placed_by"], row["price"], row["status"]) == ("ADMINSQF", 1105.0, "CANCELLED")
    assert steer.requests() == []  # nobody called the API


def test_faults_are_armed_listed_and_cleared(steer):
    armed = steer.arm("html_502", method="GET", path="/orders", nth=2, every=3, times=None, accepted=True)
    assert steer.faults() == [{**armed, "lasts": False}]
    assert steer.fired("html_502") == 0
    steer.storm(7, every=30, kinds=["slow_reply"])
    assert steer.disarm(armed["id"]) == 1
    assert steer.disarm() == 1
    assert steer.faults() == []


def test_no_argument_of_a_fault_is_hidden_by_one_of_arm():
    taken = set(inspect.signature(Steering.arm).parameters)
    assert [(kind.name, name) for kind in TABLE.values() for name in kind.args if name in taken] == []


def test_halts_gaps_and_messages(steer):
    assert steer.halt(KEY, minutes=5)["halted"] == [KEY]
    assert steer.resume(KEY)["halted"] == []
    steer.gap(KEY, 10.0)
    steer.advance(30)
    assert steer.state()["market"][0]["last_price"] == 1100.0
    assert steer.break_circuit(10)["halted"] == [KEY]
    assert steer.message("The market is closed.") == 0


def test_tokens_end_and_begin(steer, kite_exchange):
    steer.expire_token()
    assert steer.issue_token() != kite_exchange.access_token


def test_sockets_and_state(steer):
    assert steer.sockets() == []
    assert {"clock", "account", "market", "orders", "trades", "positions", "sockets", "faults"} <= set(steer.state())


def test_a_refusal_is_the_exchanges_own_sentence(steer):
    with pytest.raises(SteeringError, match="ask for 'bar' or 'event'"):
        steer._ask("POST", "clock", {"next": "year"})
    with pytest.raises(SteeringError, match=r"no simulated exchange answers on 127\.0\.0\.1:1 "):
        Steering("http://127.0.0.1:1").state()


def test_every_call_of_the_surface_has_a_method():
    source = inspect.getsource(Steering)
    calls = [("POST", name) for name in control.POSTS] + [("GET", name) for name in control.GETS]
    missing = [call for call in calls if f'"{call[0]}", "{call[1]}"' not in source]
    assert missing == [("GET", "faults/kinds")]  # for pages
