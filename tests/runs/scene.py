"""Two strategies, a config that stores everything below one folder, and an exchange that somebody serves."""

from __future__ import annotations

import http.client
import http.server
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import backtrader as bt

import btkite
from btkite.config import Config
from btkite.exchange import Exchange, ExchangeSettings
from btkite.series import Candles
from btkite.simulator import candle_series

SYMBOL = "NSE:RELIANCE"
FUTURE = "NFO:NIFTY26NOVFUT"
INTERVAL = "15minute"
WARMUP = 25  # one session of quarters of an hour
TOKEN = "token-of-the-served-exchange"
USER = "SIM001"
MODES = ("backtest", "paper", "live")
ORDER_ROUTES = ("POST", "PUT", "DELETE")


class InAndOut(bt.Strategy):
    """Buys at market, puts a stop below, leaves after three bars; all day."""

    params = (("size", 5),)

    def __init__(self) -> None:
        self.since, self.exit = 0, None

    def next(self) -> None:
        if not self.position:
            self.since = len(self)
            self.buy(size=self.p.size)
            self.exit = self.sell(size=self.p.size, exectype=bt.Order.Stop, price=self.data.close[0] * 0.95)
        elif len(self) - self.since == 3:
            self.cancel(self.exit)
            self.close()


class LeavesOpen(bt.Strategy):
    """A position and a limit order that nobody takes."""

    def next(self) -> None:
        if not self.position:
            self.buy(size=3)
            self.buy(size=2, exectype=bt.Order.Limit, price=self.data.close[0] * 0.9)


def empty(folder: Path) -> Config:
    """Nothing stored, nothing served, everything below ``folder``."""
    return Config().with_(
        **{
            "data.cache": str(folder / "nothing"),
            "data.warmup": WARMUP,
            "paths.state": str(folder / "state"),
            "paths.runs": str(folder / "runs"),
            "exchange.port": 0,
            "broker.square_off": None,  # what is held at the end of a day is what these tests speak of
        }
    )


def go(config: Config, strategy: Any = InAndOut, symbols: Any = SYMBOL, **given: Any) -> btkite.RunResult:
    given = {"interval": INTERVAL, "confirm": USER, **given}
    return btkite.run(strategy, symbols, config=config, **given)


@contextmanager
def served(made: tuple[dict[str, Candles], datetime], **settings: Any) -> Iterator[Exchange]:
    """An exchange that somebody else has started on the stored candles."""
    candles = {key: candle_series(one) for key, one in made[0].items()}
    start = made[1] + timedelta(hours=9)
    given = {"user_id": USER, "api_key": "simulator", "auto_token": TOKEN, "expire_tokens": False, **settings}
    with Exchange(ExchangeSettings(candles=candles, start=start, **given)) as exchange:
        yield exchange


def at(config: Config, exchange: Exchange, **more: Any) -> Config:
    return config.with_(
        **{
            "broker.kite_connect.endpoint": exchange.url,
            "broker.kite_connect.api_key": "simulator",
            "broker.kite_connect.access_token": TOKEN,
            "broker.kite_connect.user_id": USER,
            **more,
        }
    )


def requests(exchange: Exchange) -> list[tuple[str, str]]:
    """Method and path of everything that Kite's wire was asked: the exchange's own record."""
    parts = urlsplit(exchange.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", "/_exchange/requests")
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    found = answer["data"]
    rows = found["requests"] if isinstance(found, dict) else found
    return [(row["method"], row["path"]) for row in rows]


def orders_sent(exchange: Exchange) -> list[tuple[str, str]]:
    return [row for row in requests(exchange) if row[0] in ORDER_ROUTES and row[1].startswith("/orders")]
