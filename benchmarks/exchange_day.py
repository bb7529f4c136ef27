"""A day of 375 minutes and 50 symbols in lock step, a live strategy attached: exchange, wire, store and broker.

The exchange is stepped bar by bar and at every order event; each candle is sampled by ``--prints`` prints.
The strategy trades a crossover on every symbol, so that orders, fills and updates are part of the day.
It may take 30 s. ``--profile`` prints where the time goes in both threads.

``--journal``: every order is written down, as in `btkite run`; what that costs is the difference.

    python benchmarks/exchange_day.py [--symbols 50] [--prints 4] [--seed 7] [--journal] [--profile] [--alone]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import tempfile
import time
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import paired

from btkite.brokers.record import Record
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.exchange import Exchange, ExchangeSettings
from btkite.exchange.clock import stamp
from btkite.exchange.venue import Venue
from btkite.journal import Journal
from btkite.store import KiteStore

DAY = date(2026, 7, 15)  # a Wednesday with ordinary hours: 375 minutes
TOKEN = "benchmark-token"
MOST_SECONDS = 30.0


class Crossing(bt.Strategy):
    """Long one share above the slow average, flat below it, on every symbol."""

    params = (("fast", 10), ("slow", 30))

    def __init__(self) -> None:
        self.cross = [
            bt.indicators.CrossOver(
                bt.indicators.SMA(data, period=self.p.fast), bt.indicators.SMA(data, period=self.p.slow)
            )
            for data in self.datas
        ]
        self.bars = self.orders = self.filled = 0

    def notify_order(self, order: Any) -> None:
        self.filled += order.status == order.Completed

    def next(self) -> None:
        self.bars += 1
        for data, cross in zip(self.datas, self.cross, strict=True):
            held = self.getposition(data).size
            if cross[0] > 0 and not held:
                self.buy(data=data, size=1)
                self.orders += 1
            elif cross[0] < 0 and held:
                self.close(data=data)
                self.orders += 1


def settings(symbols: int, prints: int, seed: int) -> ExchangeSettings:
    """A generated market of one session, without the checks that a benchmark does not speak of."""
    more = {"prints_per_candle": prints} if prints != 4 else {}
    return ExchangeSettings(
        seed=seed,
        symbols=tuple(f"NSE:STOCK{number:02d}" for number in range(symbols)),
        generate_from=DAY,
        generate_sessions=1,
        auto_token=TOKEN,
        api_key="simulator",
        check_margin=False,
        check_holdings=False,
        expire_tokens=False,
        cash=1e9,
        **more,
    )


def live(made: ExchangeSettings, *, journal: bool = False) -> tuple[float, Any]:
    """Wall seconds of the day with a live strategy, and the strategy."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        exchange = stack.enter_context(Exchange(made))
        config = Config().with_(
            **{
                "broker.charges": False,
                "risk.enabled": False,
                "broker.kite_connect.api_key": "simulator",
                "broker.kite_connect.access_token": TOKEN,
                "broker.kite_connect.user_id": "SIM001",
                "broker.kite_connect.endpoint": exchange.url,
                "data.cache": folder,
                "data.warmup": 0,
            }
        )
        store = KiteStore(mode="live", config=config, confirm="SIM001", cache=folder)
        cerebro = Cerebro(stdstats=False)
        for key in made.symbols:
            cerebro.adddata(store.getdata(key, interval="minute", name=key))
        kept = stack.enter_context(Journal(Path(folder) / "journal.sqlite", store.clock)) if journal else None
        cerebro.setbroker(store.getbroker(record=None if kept is None else Record(kept)))
        cerebro.addstrategy(Crossing)
        before = time.perf_counter()
        (strategy,) = cerebro.run()
        return time.perf_counter() - before, strategy


def alone(made: ExchangeSettings) -> float:
    """CPU seconds of the market by itself, stepped bar by bar."""
    venue = Venue(made)
    before = time.process_time()
    while not venue.done:
        venue.pull(False, None)
    assert venue.now >= stamp(datetime(DAY.year, DAY.month, DAY.day, 15, 30))
    return time.process_time() - before


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--symbols", type=int, default=50)
    words.add_argument("--prints", type=int, default=4)
    words.add_argument("--seed", type=int, default=7)
    words.add_argument("--journal", action="store_true", help="write every order down")
    words.add_argument("--alone", action="store_true", help="the market only, without wire and strategy")
    words.add_argument("--profile", action="store_true")
    given = words.parse_args()
    made = settings(given.symbols, given.prints, given.seed)
    what = f"{given.symbols} symbols x 375 minutes, {given.prints} prints a minute"
    if given.alone:
        print(f"exchange day alone: {what}: {alone(made):.2f} s CPU")
        return
    profile = cProfile.Profile() if given.profile else None
    if profile is not None:
        profile.enable()
    cpu = time.process_time()
    seconds, strategy = live(made, journal=given.journal)
    cpu = time.process_time() - cpu
    if profile is not None:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"exchange day, lock step, live: {what}: {seconds:.1f} s ({cpu:.1f} s CPU), {strategy.bars} bars, "
        f"{strategy.orders} orders, {strategy.filled} filled, {memory:.0f} MB"
    )
    assert strategy.bars > 0
    paired.within("the day", seconds, MOST_SECONDS, "s")


if __name__ == "__main__":
    main()
