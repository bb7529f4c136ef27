"""The same strategy through btkite's fast loop and through backtrader from its wheel, results equal to the last bit.

Both sides hold the bars in memory (Candles there, a DataFrame here); the clock runs over ``cerebro.run()``: filling
lines, indicators, the loop, orders, observers, analyzers. Equal must be: every notification of every order with its
figures, every trade, cash and value, all observers' lines, all analyses. Cases:

    sma       SMA cross 60/240, standard observers, Sharpe, DrawDown, TradeAnalyzer, daily TimeReturn
    all       the same with all 17 analyzers of backtrader, and one of our own
    path      the same as sma under rule="path": timed against BackBroker, its results against our loop bar by bar
    orders    SMA cross 10/30, an order per 26 bars, standard observers
    symbols   SMA cross of 50 symbols in one strategy, without observers; bars are of each symbol
    brackets  a bracket at each cross, exits that rest for long, and a trailing stop of every second one

    python benchmarks/backtest.py [--case sma] [--bars 1000000] [--rounds 2] [--at-least X]
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import paired

AT_LEAST = {"sma": 30.0, "all": 8.0, "path": 25.0, "orders": 12.0, "symbols": 25.0, "brackets": 5.0}
START = "2015-02-02"
SYMBOLS = 50


class Log(bt.Strategy):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.first = 0

    def notify_order(self, order: Any) -> None:
        self.first = self.first or order.ref
        done = order.executed
        self.log.append(
            (
                len(self),
                order.ref - self.first,
                order.status,
                order.created.price,
                done.price,
                done.size,
                done.comm,
                done.pnl,
            )
        )

    def notify_trade(self, trade: Any) -> None:
        self.log.append((len(self), trade.status, trade.pnlcomm, trade.barlen, trade.dtopen, trade.dtclose))


class Cross(Log):
    """Long one unit while the fast average is above the slow one."""

    params = (("fast", 60), ("slow", 240))

    def __init__(self) -> None:
        super().__init__()
        fast, slow = (bt.ind.SMA(self.data.close, period=period) for period in (self.p.fast, self.p.slow))
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self) -> None:
        if not self.position:
            if self.cross > 0:
                self.buy()
        elif self.cross < 0:
            self.close()


class Many(Log):
    """The same on every symbol."""

    params = (("fast", 60), ("slow", 240))

    def __init__(self) -> None:
        super().__init__()
        self.crosses = [
            (
                data,
                bt.ind.CrossOver(
                    bt.ind.SMA(data.close, period=self.p.fast), bt.ind.SMA(data.close, period=self.p.slow)
                ),
            )
            for data in self.datas
        ]

    def next(self) -> None:
        for data, cross in self.crosses:
            crossed = cross[0]
            if crossed > 0:
                self.order_target_size(data, 1)
            elif crossed < 0:
                self.order_target_size(data, 0)


class Brackets(Log):
    """A bracket at each cross upwards if none is open, a trailing stop for every second."""

    params = (("fast", 60), ("slow", 240))

    def __init__(self) -> None:
        super().__init__()
        fast, slow = (bt.ind.SMA(self.data.close, period=period) for period in (self.p.fast, self.p.slow))
        self.cross = bt.ind.CrossOver(fast, slow)
        self.working: set[int] = set()
        self.count = 0

    def notify_order(self, order: Any) -> None:
        super().notify_order(order)
        (self.working.add if order.alive() else self.working.discard)(order.ref)

    def next(self) -> None:
        if self.working or self.position or not self.cross > 0:
            return
        self.count += 1
        close = self.data.close[0]
        trails = {"stopexec": bt.Order.StopTrail, "stopargs": {"trailamount": close * 0.01}} if self.count % 2 else {}
        self.buy_bracket(exectype=bt.Order.Market, stopprice=close * 0.99, limitprice=close * 1.02, **trails)


class Highest(bt.Analyzer):
    """One of a user's own: the highest value, and when."""

    def start(self) -> None:
        self.best, self.when = 0.0, 0.0

    def notify_cashvalue(self, cash: float, value: float) -> None:
        if value > self.best:
            self.best, self.when = value, self.strategy.datetime[0]

    def get_analysis(self) -> Any:
        return self.best, self.when


def columns(bars: int, seed: int) -> dict[str, Any]:
    """Made-up minutes of trading days, by their starts."""
    days = int(np.ceil(bars / 375))
    calendar = np.busday_offset(START, np.arange(days), roll="forward").astype("datetime64[s]")
    starts = (calendar[:, None] + np.timedelta64(33_300, "s") + np.arange(375) * np.timedelta64(60, "s")).ravel()[:bars]
    rng = np.random.default_rng(seed)
    close = np.round(np.maximum(5.0, 1500 + np.cumsum(rng.normal(0, 0.4, bars))), 2)
    opened = np.round(close + rng.normal(0, 0.3, bars), 2)
    return {
        "date": starts,
        "open": opened,
        "high": np.round(np.maximum(opened, close) + rng.integers(0, 9, bars) * 0.05, 2),
        "low": np.round(np.minimum(opened, close) - rng.integers(0, 9, bars) * 0.05, 2),
        "close": close,
        "volume": rng.integers(0, 90_000, bars),
        "oi": np.zeros(bars, dtype=np.int64),
    }


def ours(case: str, bars: int, engine: str = "fast") -> Any:
    from btkite.brokers.sim import SimBroker
    from btkite.config import Config
    from btkite.engine import Cerebro
    from btkite.feed import KiteData
    from btkite.series import Candles

    cerebro = Cerebro(engine=engine, quicknotify=False, stdstats=case != "symbols")
    config = Config().with_(**{"broker.charges": False})
    cerebro.setbroker(SimBroker(rule="path" if case == "path" else "backtrader", config=config))
    for number in range(SYMBOLS if case == "symbols" else 1):
        candles = Candles.of(f"DATA:S{number}", "minute", columns(bars, number))
        cerebro.adddata(KiteData(dataname=candles), name=f"S{number}")
    return added(cerebro, case)


def stock(case: str, bars: int) -> Any:
    import pandas as pd

    cerebro = bt.Cerebro(stdstats=case != "symbols")
    for number in range(SYMBOLS if case == "symbols" else 1):
        table = pd.DataFrame(columns(bars, number)).set_index("date")
        table.index += pd.Timedelta(minutes=1)
        data = bt.feeds.PandasData(dataname=table, openinterest="oi", timeframe=bt.TimeFrame.Minutes)
        cerebro.adddata(data, name=f"S{number}")
    return added(cerebro, case)


def added(cerebro: Any, case: str) -> Any:
    cerebro.broker.setcash(1_000_000.0)
    cerebro.broker.setcommission(commission=0.0003)
    if case == "symbols":
        cerebro.addstrategy(Many)
    elif case == "brackets":
        cerebro.addstrategy(Brackets)
    elif case == "orders":
        cerebro.addstrategy(Cross, fast=10, slow=30)
    else:
        cerebro.addstrategy(Cross)
    an = bt.analyzers
    if case == "all":
        for kind in (
            an.AnnualReturn, an.Calmar, an.DrawDown, an.TimeDrawDown, an.GrossLeverage, an.LogReturnsRolling,
            an.PeriodStats, an.PositionsValue, an.PyFolio, an.Returns, an.SharpeRatio, an.SharpeRatio_A, an.SQN,
            an.TimeReturn, an.TradeAnalyzer, an.Transactions, an.VWR, Highest,
        ):  # fmt: skip
            cerebro.addanalyzer(kind)
    elif case in ("sma", "path"):
        for kind in (an.SharpeRatio, an.DrawDown, an.TradeAnalyzer):
            cerebro.addanalyzer(kind)
        cerebro.addanalyzer(an.TimeReturn, timeframe=bt.TimeFrame.Days)
    return cerebro


def digest(strategy: Any) -> str:
    """A hash of all that came out."""
    total = hashlib.sha256(repr(strategy.log).encode())
    broker = strategy.broker
    total.update(repr((broker.getcash(), broker.getvalue(), len(strategy))).encode())
    for observer in strategy._lineiterators[strategy.ObsType]:
        for line in observer.lines.lines:
            total.update(np.asarray(line.plot(0, len(line))).tobytes())
    for analyzer in strategy.analyzers:
        total.update(repr(plain(analyzer.get_analysis())).encode())
    return total.hexdigest()


def plain(found: Any) -> Any:
    return {key: plain(value) for key, value in found.items()} if isinstance(found, dict) else found


def one(cerebro: Any, engine: str) -> Callable[[], str]:
    (strategy,) = cerebro.run()
    assert getattr(cerebro, "engine", "") == engine, getattr(cerebro, "why_stock", "")
    return lambda: digest(strategy)


SIDES: dict[str, Any] = {
    "btkite": lambda cerebro: one(cerebro, "fast"),
    "btkite, bar by bar": lambda cerebro: one(cerebro, "stock"),
    "backtrader": lambda cerebro: one(cerebro, ""),
}


def option(name: str, default: Any) -> Any:
    return type(default)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def measure(case: str, bars: int, rounds: int) -> paired.Pair:
    """Both sides in turn. Under rule="path" stock's fills are others: equality is shown against our loop, once."""
    args = ("--case", case, "--bars", str(bars))
    if case != "path":
        return paired.compare(__file__, *args, ours="btkite", theirs="backtrader", rounds=rounds, unmeasured=0)
    same = [paired.run(__file__, "--side", side, *args)["digest"] for side in ("btkite", "btkite, bar by bar")]
    if same[0] != same[1]:
        raise SystemExit(f"the two loops do not agree: {same}")
    return paired.compare(__file__, *args, ours="btkite", theirs="backtrader", rounds=rounds, unmeasured=0, equal=False)


if __name__ == "__main__":
    bars = option("--bars", 1_000_000)
    if "--side" in sys.argv:
        name = option("--side", "")
        begun = time.process_time()
        case = option("--case", "sma")
        cerebro = stock(case, bars) if name == "backtrader" else ours(case, bars, "stock" if "bar" in name else "fast")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        paired.side(sys.argv, SIDES, cerebro, before=time.process_time() - begun)
        memory = {"before": before, "after": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        print(json.dumps(memory), file=sys.stderr)
    else:
        for case in [option("--case", "")] if "--case" in sys.argv else list(AT_LEAST):
            result = measure(
                case, bars // SYMBOLS if case == "symbols" and "--case" not in sys.argv else bars, option("--rounds", 2)
            )
            paired.tell(f"{case}, {bars:,} bars", result, "btkite", "backtrader")
            paired.demand(result, option("--at-least", AT_LEAST[case]))
