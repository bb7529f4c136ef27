"""The unmodified KiteTicker in a process of its own: its reactor can be started only once."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kiteconnect import KiteConnect

from btkite.exchange import Exchange

from .conftest import FLAT, UP
from .test_kiteconnect import INFY, clock

LISTENER = """
import json, sys
from kiteconnect import KiteTicker

def say(kind, what):
    print(json.dumps([kind, what], default=str), flush=True)

ticker = KiteTicker("sandboxkey000000", sys.argv[2], root=sys.argv[1], reconnect_max_tries=0)

def connected(ws, response):
    ws.subscribe([408065])
    ws.set_mode(ws.MODE_FULL, [408065])

def noreconnect(ws):
    say("gave up", "")
    ws.stop()

ticker.on_connect = connected
ticker.on_ticks = lambda ws, ticks: ticks and say("ticks", ticks)
ticker.on_order_update = lambda ws, data: say("order", data)
ticker.on_error = lambda ws, code, reason: say("error", str(reason))
ticker.on_noreconnect = noreconnect
ticker.connect()
"""


@contextmanager
def listener(exchange: Exchange, token: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, exchange.ws_url, token],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "TZ": "Asia/Kolkata"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def heard(process: subprocess.Popen[str], kind: str) -> Any:
    """The next thing of a kind that it said."""
    assert process.stdout is not None
    for line in process.stdout:
        said, what = json.loads(line)
        if said == kind:
            return what
    raise AssertionError(f"the ticker ended without {kind!r}")


def subscribed(exchange: Exchange) -> None:
    """Until the ticker's subscription has arrived in full mode."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", exchange.port, timeout=10)
        connection.request("GET", "/_exchange/state")
        state = json.loads(connection.getresponse().read())["data"]
        connection.close()
        if any(socket["subscriptions"].get(str(INFY)) == "full" for socket in state["sockets"]):
            return


def test_it_hears_ticks_and_order_updates(market: Callable[..., KiteConnect], running: Exchange) -> None:
    kite = market(UP, FLAT, FLAT)
    with listener(running, "wire-token") as process:
        subscribed(running)
        clock(running, next="bar")
        order_id = kite.place_order("regular", exchange="NSE", tradingsymbol="INFY", transaction_type="BUY",
                                    quantity=3, product="MIS", order_type="LIMIT", price=99.0, tag="t")  # fmt: skip
        clock(running, next="bar")
        clock(running, next="bar")
        (first,) = heard(process, "ticks")
        update = heard(process, "order")
        (second,) = heard(process, "ticks")
    assert (first["instrument_token"], first["mode"], first["last_price"]) == (INFY, "full", 100.0)
    assert (first["volume_traded"], first["exchange_timestamp"]) == (25, "2026-11-18 09:15:00")
    assert first["depth"]["buy"][0] == {"quantity": 10_000_000, "price": 100.0, "orders": 1}
    assert (update["order_id"], update["status"], update["average_price"]) == (order_id, "COMPLETE", 99.0)
    assert (second["last_price"], second["ohlc"]["low"]) == (98.0, 98.0)


def test_a_dead_token_is_told_as_403(market: Callable[..., KiteConnect], running: Exchange) -> None:
    market(FLAT)
    with listener(running, "no-such-token") as process:
        assert "403" in heard(process, "error")
        heard(process, "gave up")
