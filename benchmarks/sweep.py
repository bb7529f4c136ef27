"""Sixty-four sets of parameters: ``btkite.sweep`` against ``bt.Cerebro.optstrategy``, on as many processes.

Both sides read the same bars from disk, try the same sets under the same rule (``rule: backtrader``, no charges), and
must come to the same for each of them: final value, number of trades, the best and the worst of them after
commission, as the doubles they are. The clock runs from the call to the last row, the workers' start included, and
counts the CPU seconds of all processes of a side: others on the machine disturb the wall's more. btkite works out all
its figures, digests and moments, and keeps each row on disk; backtrader has the analyzers that say the most important
of them, TradeAnalyzer, DrawDown and daily TimeReturn, and no observers. Deepest fall and Sharpe ratio, which the two
sum up in another order, must agree to nine digits. Imports of the first process are not counted.

    python benchmarks/sweep.py [--bars 50000] [--jobs 2] [--rounds 1] [--at-least 12]
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import backtrader as bt

sys.path.insert(0, str(Path(__file__).parent))
import paired

AT_LEAST = 12.0
BARS = 50_000
SETS = {"fast": range(20, 100, 10), "slow": range(120, 280, 20)}
KEY = "NSE:INFY"
CASH = 1_000_000.0


class Cross(bt.Strategy):
    """Long one unit while the fast average is above the slow one."""

    params = (("fast", 60), ("slow", 240))

    def __init__(self) -> None:
        fast, slow = (bt.ind.SMA(self.data.close, period=period) for period in (self.p.fast, self.p.slow))
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self) -> None:
        if not self.position:
            if self.cross > 0:
                self.buy(size=1)
        elif self.cross < 0:
            self.close()


def make(folder: Path, bars: int) -> None:
    """The same bars in btkite's cache and in a table for pandas, stamped at their ends there."""
    import pandas as pd
    from backtest import columns

    from btkite.candles import CandleCache, Candles

    found = columns(bars, 11)
    CandleCache(folder / "cache").write(Candles.of(KEY, "minute", found))
    table = pd.DataFrame(found).set_index("date")
    table.index += pd.Timedelta(minutes=1)
    table.to_parquet(folder / "table.parquet")


def ours(folder: Path, jobs: int) -> Any:
    import btkite
    from btkite.config import Config

    config = Config().with_(
        **{
            "broker.rule": "backtrader",
            "broker.charges": False,
            "broker.capital": CASH,
            "risk.enabled": False,
            "data.cache": str(folder / "cache"),
            "paths.state": str(folder / f"state{os.getpid()}"),
        }
    )
    result = btkite.sweep(f"{__file__}:Cross", KEY, SETS, config=config, jobs=jobs, metric="return_rupees")

    def rows() -> str:
        assert len(result.ranked) == 64
        assert {row["engine"].rpartition(", ")[2] for row in result.found} == {"fast loop"}
        return digest(
            {
                (row["params"]["fast"], row["params"]["slow"]): (
                    row["stats"]["end_value"],
                    row["stats"]["trades"],
                    row["stats"]["best_trade_rupees"],
                    row["stats"]["worst_trade_rupees"],
                    f"{row['stats']['max_drawdown_percent']:.9g}",
                    f"{row['stats']['sharpe']:.9g}",
                )
                for row in result.found
            }
        )

    return rows


def stock(folder: Path, jobs: int) -> Any:
    import pandas as pd

    cerebro = bt.Cerebro(maxcpus=jobs, stdstats=False)
    table = pd.read_parquet(folder / "table.parquet")
    data = bt.feeds.PandasData(dataname=table, openinterest="oi", timeframe=bt.TimeFrame.Minutes)
    cerebro.adddata(data)
    cerebro.broker.setcash(CASH)
    cerebro.optstrategy(Cross, **SETS)
    for kind in (bt.analyzers.TradeAnalyzer, bt.analyzers.DrawDown, Final):
        cerebro.addanalyzer(kind)
    cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.Days)
    runs = cerebro.run()

    def rows() -> str:
        found = {}
        for (run,) in runs:
            trades, fall, value, returns = (analyzer.get_analysis() for analyzer in run.analyzers)
            won, lost = trades["won"], trades["lost"]
            found[run.p.fast, run.p.slow] = (
                value["value"],
                trades["total"]["closed"],
                won["pnl"]["max"],
                lost["pnl"]["max"],
                f"{fall['max']['drawdown']:.9g}",
                f"{sharpe(list(returns.values())):.9g}",
            )
        return digest(found)

    return rows


class Final(bt.Analyzer):
    """The account at the end, which optstrategy does not give back."""

    def stop(self) -> None:
        self.rets["value"] = self.strategy.broker.getvalue()


def sharpe(returns: list[float]) -> float:
    return statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(252)


def digest(found: dict[Any, Any]) -> str:
    assert len(found) == 64
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


SIDES = {"btkite": ours, "optstrategy": stock}


def side(work: Any, *args: Any) -> None:
    """One side's run: as paired.side() does it, with the CPU of all its processes."""
    import pandas  # noqa: F401

    import btkite.sweeps  # noqa: F401

    begun, wall = spent(), time.perf_counter()
    rows = work(*args)
    seconds = time.perf_counter() - wall
    for process in multiprocessing.active_children():
        process.join()
    print(json.dumps({"seconds": seconds, "cpu": spent() - begun, "before": 0.0, "digest": rows()}))
    print(f"{seconds:.1f} s", file=sys.stderr)


def spent() -> float:
    """CPU seconds of this process and of those that it has started and that are over."""
    figures = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in figures)


def option(name: str, default: Any) -> Any:
    return type(default)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


if __name__ == "__main__":
    jobs = option("--jobs", min(2, os.cpu_count() or 1))
    if "--side" in sys.argv:
        side(SIDES[option("--side", "")], Path(option("--folder", "")), jobs)
    else:
        bars = option("--bars", BARS)
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), bars)
            result = paired.compare(
                __file__, "--folder", folder, "--jobs", str(jobs),
                ours="btkite", theirs="optstrategy", rounds=option("--rounds", 1), unmeasured=0,
            )  # fmt: skip
        paired.tell(f"sweep of 64 sets, {bars:,} bars, {jobs} processes", result, "btkite", "optstrategy")
        paired.demand(result, option("--at-least", AT_LEAST))
