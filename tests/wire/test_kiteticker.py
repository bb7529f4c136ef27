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

from btkite.exchange import Exchange, InstrumentRow

from .conftest import FLAT, UP, candles
from .test_kiteconnect import INFY, clock

LISTENER = """
import json, sys
from kiteconnect import KiteTicker

modes = json.loads(sys.argv[3])

def say(kind, what):
    print(json.dumps([kind, what], default=str), flush=True)

ticker = KiteTicker("sandboxkey000000", sys.argv[2], root=sys.argv[1], reconnect_max_tries=0)

def connected(ws, response):
    ws.subscribe([token for tokens in modes.values() for token in tokens])
    for mode, tokens in modes.items():
        ws.set_mode(mode, tokens)

def message(ws, payload, is_binary):
    if not is_binary:
        say("text", json.loads(payload))

def noreconnect(ws):
    say("gave up", "")
    ws.stop()

ticker.on_connect = connected
ticker.on_ticks = lambda ws, ticks: ticks and say("ticks", ticks)
ticker.on_order_update = lambda ws, data: say("order", data)
ticker.on_message = message
ticker.on_error = lambda ws, code, reason: say("error", str(reason))
ticker.on_noreconnect = noreconnect
ticker.connect()
"""


@contextmanager
def listener(
    exchange: Exchange, token: str, modes: dict[str, list[int]] | None = None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENER, exchange.ws_url, token, json.dumps(modes or {"full": [INFY]})],
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


def subscribed(exchange: Exchange, modes: dict[str, list[int]] | None = None) -> None:
    """Until the ticker's subscriptions have arrived, each in its mode."""
    wanted = {str(token): mode for mode, tokens in (modes or {"full": [INFY]}).items() for token in tokens}
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", exchange.port, timeout=10)
        connection.request("GET", "/_exchange/state")
        state = json.loads(connection.getresponse().read())["data"]
        connection.close()
        if any(socket["subscriptions"] == wanted for socket in state["sockets"]):
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


def test_it_reads_every_kind_of_packet(market: Callable[..., KiteConnect], running: Exchange) -> None:
    """Three modes of an instrument and of an index, and the divisors of the currency and commodity segments."""
    rupee, bse_rupee, gold = 1024 << 8 | 3, 1025 << 8 | 6, 1026 << 8 | 12
    own = (
        InstrumentRow(exchange="CDS", tradingsymbol="USDINR26NOVFUT", instrument_token=rupee, tick_size=0.0025),
        InstrumentRow(exchange="BCD", tradingsymbol="USDINR26NOVFUT", instrument_token=bse_rupee, tick_size=0.0025),
        InstrumentRow(exchange="NCO", tradingsymbol="GOLD26DECFUT", instrument_token=gold, tick_size=1.0),
    )
    dollars = candles([(84.2525, 84.2525, 84.2525, 84.2525)] * 3)
    quiet = candles([FLAT] * 3)
    keys = ("NSE:INFY", "NSE:SBIN", "NSE:TCS", "NSE:NIFTY 50", "NSE:NIFTY BANK", "NSE:INDIA VIX")
    kite = market(
        candles={**dict.fromkeys(keys, quiet), "CDS:USDINR26NOVFUT": dollars, "BCD:USDINR26NOVFUT": dollars,
                 "NCO:GOLD26DECFUT": quiet},
        instruments=own,
    )  # fmt: skip
    token = {row["tradingsymbol"]: row["instrument_token"] for row in kite.instruments("NSE")}
    modes = {
        "ltp": [token["INFY"], token["INDIA VIX"], gold],
        "quote": [token["SBIN"], token["NIFTY BANK"], bse_rupee],
        "full": [token["TCS"], token["NIFTY 50"], rupee],
    }
    clock(running, until="2026-11-18T09:14:59+05:30")
    with listener(running, "wire-token", modes) as process:
        subscribed(running, modes)
        clock(running, until="2026-11-18T09:15:01+05:30")
        ticks: dict[int, dict[str, Any]] = {}
        while len(ticks) < 9:
            ticks |= {tick["instrument_token"]: tick for tick in heard(process, "ticks")}
    assert {one: tick["mode"] for one, tick in ticks.items()} == {
        one: mode for mode, tokens in modes.items() for one in tokens
    }
    assert {ticks[one]["last_price"] for one in (rupee, bse_rupee)} == {84.2525}
    assert ticks[gold]["last_price"] == 100.0
    indices = {token[name] for name in ("NIFTY 50", "NIFTY BANK", "INDIA VIX")}
    assert {one for one, tick in ticks.items() if not tick["tradable"]} == indices
    assert ticks[token["NIFTY 50"]]["exchange_timestamp"] == "2026-11-18 09:15:00"
    assert "exchange_timestamp" not in ticks[token["NIFTY BANK"]]
    assert ticks[token["NIFTY BANK"]]["ohlc"]["open"] == 100.0
    assert len(ticks[rupee]["depth"]["sell"]) == 5
    assert "depth" not in ticks[token["SBIN"]]


def test_the_greeting_and_order_texts_are_json_with_a_type(
    market: Callable[..., KiteConnect], running: Exchange
) -> None:
    market(FLAT, FLAT)
    with listener(running, "wire-token") as process:
        greeting = heard(process, "text")
    assert (greeting["type"], set(greeting["data"])) == ("instruments_meta", {"count", "etag"})


def test_the_fourth_socket_of_a_key_is_told_as_429(market: Callable[..., KiteConnect], running: Exchange) -> None:
    market(FLAT, max_sockets=1)
    with listener(running, "wire-token") as first:
        heard(first, "text")
        with listener(running, "wire-token") as second:
            assert "429" in heard(second, "error")
