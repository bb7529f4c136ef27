"""Small markets for the tests of the exchange, and a client of its wire that is not ours."""

from __future__ import annotations

import http.client
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from btkite.exchange import CandleSeries, ExchangeSettings
from btkite.exchange.venue import Venue

KEY = "NSE:INFY"
DAY = datetime(2026, 11, 18)  # a Wednesday without anything special
TOKEN = "a-token-for-tests"

Bar = tuple[float, float, float, float]


def candles(
    bars: list[Bar], start: str = "09:15", day: datetime = DAY, minutes: int = 1, volume: int = 100
) -> CandleSeries:
    """Consecutive candles from ``start`` on."""
    hour, minute = map(int, start.split(":"))
    first = day + timedelta(hours=hour, minutes=minute)
    opens, high, low, close = zip(*bars, strict=True)
    return CandleSeries(
        interval="minute" if minutes == 1 else f"{minutes}minute",
        start=[first + timedelta(minutes=minutes * i) for i in range(len(bars))],
        open=opens, high=high, low=low, close=close, volume=[volume] * len(bars),
    )  # fmt: skip


def settings(bars: list[Bar] | None = None, **more: Any) -> ExchangeSettings:
    """A lock-step market of INFY without the pre-checks that a test does not speak of."""
    given: dict[str, Any] = {
        "auto_token": TOKEN,
        "require_market_protection": False,
        "check_trigger_side": False,
        "check_holdings": False,
        "cash": 1e9,
        "heartbeat_seconds": 60.0,  # none between the frames that a test counts, however slow the machine is
    }
    if bars is not None:
        given["candles"] = {KEY: candles(bars)}
    return ExchangeSettings(**{**given, **more})


def form(side: str = "BUY", order_type: str = "MARKET", symbol: str = "INFY", **more: Any) -> dict[str, str]:
    """An order form; 10 INFY intraday."""
    fields = {
        "exchange": "NSE",
        "tradingsymbol": symbol,
        "transaction_type": side,
        "order_type": order_type,
        "quantity": 10,
        "product": "MIS",
        "validity": "DAY",
    }
    return {name: str(value) for name, value in {**fields, **more}.items()}


class Scene:
    """A venue, driven without its wire."""

    def __init__(self, bars: list[Bar] | None = None, **more: Any) -> None:
        self.venue = Venue(settings(bars, **more))

    def bar(self, until: str | None = None) -> str:
        """Pull once; the time of the stop."""
        limit = None
        if until is not None:
            from btkite.exchange.clock import stamp

            limit = stamp(datetime.fromisoformat(f"{DAY.date()}T{until}"))
        self.venue.pull(False, limit)
        return self.now

    @property
    def now(self) -> str:
        return self.venue.clock_state()["now"][11:-6]

    def opened(self) -> Scene:
        """At the first session's open, before its first print."""
        assert self.bar() == "09:15:00"
        return self

    def place(self, *args: Any, variety: str = "regular", **more: Any) -> Any:
        return self.venue.place(variety, form(*args, **more))

    def fills(self) -> list[tuple[str, str, float]]:
        """(time, side, price) of every trade."""
        return [
            (trade["fill_timestamp"][11:], trade["transaction_type"], trade["average_price"])
            for trade in self.venue.book.trades
        ]

    def to_end(self) -> list[str]:
        """Pull until the data end; the times of the stops."""
        stops = []
        while True:
            now = self.bar()
            if self.venue.done:
                return stops
            stops.append(now)


class Client:
    """Plain HTTP on one kept connection."""

    def __init__(self, port: int, token: str = TOKEN, api_key: str = "sandboxkey000000") -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.headers = {"Authorization": f"token {api_key}:{token}", "X-Kite-Version": "3"}

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
        self._connection.request(method, path, body, {**self.headers, **headers})
        reply = self._connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def call(self, method: str, path: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """A Kite call: fields as a form or a query; status and body."""
        body = None
        headers = {}
        if fields and method in ("POST", "PUT"):
            body = urlencode(fields).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif fields:
            path += "?" + urlencode(fields, doseq=True)
        status, _, text = self.raw(method, path, body, **headers)
        return status, json.loads(text)

    def data(self, method: str, path: str, **fields: Any) -> Any:
        status, body = self.call(method, path, **fields)
        assert status == 200, body
        return body["data"]

    def control(self, name: str, **body: Any) -> Any:
        """A control call that must succeed."""
        status, _, text = self.raw("POST", f"/_exchange/{name}", json.dumps(body).encode())
        answer = json.loads(text)
        assert status == 200, answer
        return answer["data"]

    def refused(self, method: str, path: str, **fields: Any) -> tuple[int, str, str]:
        """Status, error_type and message of a call that must fail."""
        status, body = self.call(method, path, **fields)
        assert body["status"] == "error", body
        return status, body["error_type"], body["message"]

    def close(self) -> None:
        self._connection.close()
