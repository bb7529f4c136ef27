"""One strategy through backtest, paper and live on the exchange in lock step, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import Any

import backtrader as bt

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.exchange import Exchange, ExchangeSettings
from btkite.exchange.instruments import describe
from btkite.feed import KiteData
from btkite.linetime import from_seconds, seconds_of
from btkite.modes import MODES
from btkite.series import Candles
from btkite.simulator import candle_series
from btkite.store import KiteStore

TOKEN = "parity-token"

FREE = {
    "broker.charges": False,
    "risk.enabled": False,
    "broker.kite_connect.api_key": "simulator",
    "broker.kite_connect.access_token": TOKEN,
    "broker.kite_connect.user_id": "SIM001",
}
"""No charges and no limits: what is left must be equal."""


@dataclass
class Outcome:
    """What a mode did, in a form that can be compared."""

    orders: list[tuple[Any, ...]] = field(default_factory=list)
    trades: list[tuple[Any, ...]] = field(default_factory=list)
    bars: list[tuple[Any, ...]] = field(default_factory=list)
    value: float = 0.0
    strategy: Any = None
    broker: Any = None


class Watch(bt.Analyzer):
    """Orders with their end, closed trades, and the bars that ``next()`` saw."""

    def create_analysis(self) -> None:
        self.first: dict[int, int] = {}
        self.rets = {"orders": {}, "trades": [], "bars": []}

    def notify_order(self, order: Any) -> None:
        number = self.first.setdefault(order.ref, len(self.first))
        created = order.created
        self.rets["orders"][number] = (
            number,
            order.data._name,
            bt.num2date(created.dt),
            order.ordtypename(),
            abs(order.size),
            order.getordername(),
            None if order.exectype == order.Market else created.price,
            created.pricelimit,
            order.getstatusname(),
            order.executed.size,
            order.executed.price,
            from_seconds(seconds_of(order.executed.dt)) if order.executed.size else None,
            bool(order.info.get("denied")),
        )

    def stop(self) -> None:
        """Orders that still live as they are now: a change is told by no notification of its own."""
        for order in self.strategy.broker.orders.values():
            if order.alive() and order.ref in self.first:
                self.notify_order(order)

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.rets["trades"].append((trade.data._name, trade.price, trade.pnl, trade.pnlcomm, trade.barlen))

    def next(self) -> None:
        strategy = self.strategy
        self.rets["bars"].append(
            (
                strategy.datetime.datetime(0),
                *((len(d), d.open[0], d.high[0], d.low[0], d.close[0], d.volume[0]) for d in strategy.datas if len(d)),
                strategy.broker.getcash(),
                strategy.broker.getvalue(),
            )
        )


def settings(candles: Mapping[str, Candles], start: datetime, **more: Any) -> ExchangeSettings:
    """The exchange for these candles, without frictions and pre-checks."""
    return ExchangeSettings(
        **{
            "candles": {key: candle_series(one) for key, one in candles.items()},
            "start": start,
            "speed": "lockstep",
            "auto_token": TOKEN,
            "api_key": "simulator",
            "user_id": "SIM001",
            "check_margin": False,
            "check_holdings": False,
            "expire_tokens": False,
            "cash": 1e9,
            **more,
        }
    )


def run(
    mode: str,
    strategy: type[bt.Strategy],
    candles: Mapping[str, Candles],
    day: datetime,
    exchange: Exchange,
    tmp: Any,
    *,
    warmup: int = 0,
    config: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    lots: int = 1,
) -> Outcome:
    """``strategy`` on the candles from ``day`` on; bars before it are warm-up."""
    interval = next(iter(candles.values())).interval
    made = Config().with_(**{**FREE, "data.cache": str(tmp), "data.warmup": warmup, **(config or {})})
    cerebro = Cerebro(stdstats=False)
    if MODES[mode].bars == "history":
        for key, one in candles.items():
            data = KiteData(dataname=one, fromdate=day, warmup=warmup, name=key)
            row = describe(key)  # as the exchange lists it
            kind = {name: getattr(row, name) for name in ("instrument_type", "segment", "strike", "expiry")}
            data.bind(replace(data.instrument, lot_size=lots, **kind))
            cerebro.adddata(data)
        cerebro.setbroker(SimBroker(config=made))
    else:
        exchange.reset(settings(candles, datetime.combine(day, time(9, 0)), lot_sizes=dict.fromkeys(candles, lots)))
        made = made.with_(**{"broker.kite_connect.endpoint": exchange.url})
        store = KiteStore(mode=mode, config=made, confirm="SIM001", cache=str(tmp))
        for key in candles:
            cerebro.adddata(store.getdata(key, interval=interval, name=key))
        cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(strategy, **(params or {}))
    cerebro.addanalyzer(Watch)
    (ran,) = cerebro.run()
    found = ran.analyzers.watch.get_analysis()
    return Outcome(
        orders=list(found["orders"].values()),
        trades=found["trades"],
        bars=found["bars"],
        value=cerebro.broker.getvalue(),
        strategy=ran,
        broker=cerebro.broker,
    )


def assert_same(outcomes: Mapping[str, Outcome]) -> None:
    """Orders (with the second of their last fill), trades, bars and value are equal to the last bit."""
    first, *others = outcomes
    for other in others:
        for what in ("orders", "trades", "bars", "value"):
            mine, theirs = getattr(outcomes[first], what), getattr(outcomes[other], what)
            if mine != theirs and isinstance(mine, list):
                for number, (a, b) in enumerate(zip(mine, theirs, strict=False)):
                    assert a == b, f"{what}[{number}] of {first} and {other}: {a} and {b}"
            assert mine == theirs, f"{what} of {first} and {other}"
