"""A market by hand on a running clock, brackets in it one after the other, and the judge: the exchange's own log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import backtrader as bt
import numpy as np

from btkite.clock import ExchangeClock
from btkite.engine import Cerebro
from btkite.series import Candles
from btkite.store import KiteStore
from btkite.testing import KiteExchange

SYMBOL = "NSE:TEST"
OPEN = datetime(2026, 11, 18, 9, 15)
BASE = 100.0
GO = "give the next"
PATIENCE = 30.0
"""Seconds that a condition may take on a busy machine."""


@dataclass
class Row:
    """One row of the exchange's log, in the order of the log."""

    serial: int
    order_id: str
    side: str
    status: str
    order_type: str
    quantity: int
    filled: int

    @property
    def rests(self) -> int:
        """Units of it that may still trade."""
        return self.quantity - self.filled if self.status in ("OPEN", "TRIGGER PENDING") else 0


def log_of(exchange: KiteExchange) -> list[Row]:
    """All orders' states, one after the other."""
    server = exchange._exchange._server

    def rows() -> list[Row]:
        return [
            Row(
                serial, order.order_id, row["transaction_type"], row["status"], row["order_type"],
                row["quantity"], row["filled_quantity"],
            )
            for order in server.venue.book.orders.values()
            for serial, row in zip(order.serials, order.history, strict=True)
        ]  # fmt: skip

    return sorted(server.call(rows), key=lambda row: row.serial)


def walk(log: list[Row]) -> list[tuple[int, int, int]]:
    """After each event: what is held, what sells rest for, how many of them there are."""
    now: dict[str, Row] = {}
    steps = []
    for row in log:
        now[row.order_id] = row
        held = sum(one.filled * (1 if one.side == "BUY" else -1) for one in now.values())
        sells = [one.rests for one in now.values() if one.side == "SELL" and one.rests]
        steps.append((held, sum(sells), len(sells)))
    return steps


def excess(log: list[Row], most: int = 1) -> str:
    """The first event after which more is offered than is held, or by more than ``most`` orders; empty if there is
    none."""
    for number, (held, offered, count) in enumerate(walk(log)):
        if not 0 <= offered <= held or count > most:
            rows = "\n".join(str(row) for row in log[max(0, number - 30) : number + 5])
            return f"{offered} offered by {count} orders, {held} held, at serial {log[number].serial}:\n{rows}"
    return ""


class Brackets(bt.Strategy):
    """Gives what ``make`` gives, whenever it is told to go on."""

    params = (("make", None), ("market", None))

    def __init__(self) -> None:
        self.given: list[list[Any]] = []
        self.news: list[str] = []
        self.flat: list[Any] = []
        self.seen = False
        self.market = self.p.market
        self.market.strategy = self

    def next(self) -> None:
        self.seen = True

    def notify_order(self, order: Any) -> None:
        if order.info.get("flattens") and order.status == order.Completed:
            self.flat.append(order)

    def notify_store(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.news.append(str(msg))
        if msg == GO and len(self.given) < self.market.wanted:
            self.given.append(list(self.p.make(self)))

    def heard(self) -> float:
        """The last price that the broker was told of."""
        return float(self.broker.exits.heard(SYMBOL))

    def is_over(self) -> bool:
        """Everything that was given has ended, and nothing is held."""
        orders = self.broker.orders.values()
        return bool(self.given) and not self.position and not any(order.alive() for order in orders)


@dataclass
class Market:
    """The market, moved by a thread of its own while the strategy trades in the test's."""

    exchange: KiteExchange
    wanted: int = 0
    strategy: Any = None
    failure: BaseException | None = None

    def put(self, price: float) -> None:
        self.exchange.steer.put_price(SYMBOL, round(price, 2))

    def depth(self, bid: float, units: int, ask: float, offered: int) -> None:
        self.exchange.steer.put_depth(SYMBOL, buy=[(bid, units)], sell=[(ask, offered)])

    def script(self, *prices: float) -> None:
        """Prices at one instant of the market, one after the other: nothing can come between them."""
        self.exchange.steer.script([{"symbol": SYMBOL, "last_price": price, "after": 0.0} for price in prices])

    def reversals(self) -> list[tuple[float, float]]:
        """From when to when the position was on the wrong side, in seconds of the market."""
        server = self.exchange._exchange._server

        def moments() -> list[tuple[float, float]]:
            done = [one for one in server.venue.book.orders.values() if one.status == "COMPLETE"]
            back = [one for one in done if (one.tag or "").startswith("flat")]
            return [
                (max(other.exchange_us for other in done if other.exchange_us < one.placed_us) / 1e6,
                 one.exchange_us / 1e6)
                for one in back
            ]  # fmt: skip

        return server.call(moments)

    def until(self, holds: Callable[[], Any], what: str) -> None:
        """Wait for a condition; never for a time."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"it never came to pass: {what}\n{self.picture()}")
            threading.Event().wait(0.003)

    def picture(self) -> str:
        return "\n".join(str(row) for row in log_of(self.exchange)[-30:])

    def working(self) -> list[dict[str, Any]]:
        return [row for row in self.exchange.orders() if row["status"] in ("OPEN", "TRIGGER PENDING")]

    def exits(self) -> list[dict[str, Any]]:
        return [row for row in self.working() if row["transaction_type"] == "SELL"]

    def held(self) -> int:
        return sum(int(row["quantity"]) for row in self.exchange.positions())

    def is_over(self) -> bool:
        """On the exchange's book and in the strategy's world."""
        return not self.working() and not self.held() and self.strategy.is_over()


def _candles() -> Candles:
    """Prices of the first minute and of the last: between them there are only those that are put by hand."""
    starts = [OPEN, OPEN + timedelta(hours=6)]
    prices = {name: [BASE] * 2 for name in ("open", "high", "low", "close")}
    return Candles.of(SYMBOL, "minute", {"date": np.array(starts, dtype="datetime64[s]"), **prices})


def trade(
    exchange: KiteExchange,
    make: Callable[[Any], Any],
    drive: Callable[[Market, int], None],
    *,
    seeds: int,
    speed: float = 5.0,
    record: Any = None,
    settings: dict[str, Any] | None = None,
    **config: Any,
) -> Market:
    """``seeds`` brackets on a running clock: for each, after the strategy has given it, ``drive`` moves the market
    until it is over."""
    exchange.reset(_candles(), start=OPEN - timedelta(seconds=2), check_trigger_side=True, **(settings or {}))
    market = Market(exchange)
    clock = ExchangeClock(exchange.url, lockstep=False)
    store = KiteStore(mode="live", config=exchange.config(**config), confirm=exchange.user_id, clock=clock)
    engine = Cerebro(stdstats=False)
    engine.adddata(store.getdata(SYMBOL, interval="minute"), name=SYMBOL)
    engine.setbroker(store.getbroker(record=record))
    engine.addstrategy(Brackets, make=make, market=market)

    def run() -> None:
        try:
            market.until(lambda: market.strategy is not None, "the strategy is there")
            exchange.steer.speed(60)
            market.until(lambda: market.strategy.seen or market.put(BASE), "the first bar")
            exchange.steer.speed(speed)
            for seed in range(seeds):
                market.put(BASE)
                market.wanted = seed + 1
                given = market.strategy.given
                market.until(lambda: len(given) == market.wanted or store.put_notification(GO), "it was given")
                drive(market, seed)
        except BaseException as error:  # the test's thread raises it
            market.failure = error
        finally:
            engine.runstop()
            market.put(BASE)  # that somebody wakes up

    driver = threading.Thread(target=run, daemon=True)
    driver.start()
    engine.run()
    driver.join()
    if market.failure is not None:
        raise market.failure
    return market
