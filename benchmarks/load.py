"""One million minute bars from disk into backtrader's line buffers: the candle cache through a store and
KiteData against a Parquet file, pandas and PandasData. Each run is a cold process.

The clock starts when the libraries are imported and the feed is asked to start, and stops when its buffers
are full: reading the file, stamping, checking and copying are in it. What the imports cost once is said
beside it. A second load in the same process (warm: a sweep, a notebook) is timed as well, for KiteData only. The
buffers must be equal to the last bit: bars are stamped at their end in naive IST on both sides.

    python benchmarks/load.py [--bars 1000000] [--rounds 2] [--at-least 200]

It fails if the ratio is less than ``--at-least``, which is meant for a million bars: with fewer, opening the file
weighs more.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt

sys.path.insert(0, str(Path(__file__).parent))
import paired

KEY, START = "NSE:INFY", "2015-02-02"
AT_LEAST = 200
LINES = ("datetime", "open", "high", "low", "close", "volume", "openinterest")


def make(folder: Path, bars: int) -> None:
    """The same bars as the cache keeps them, and as a table with the bars' ends."""
    import numpy as np
    import pandas as pd

    from btkite.candles import CandleCache, Candles
    from btkite.grid import windows_of

    windows = windows_of(KEY)
    day, starts, ends, count = np.datetime64(START, "D"), [], [], 0
    minute = np.timedelta64(60, "s")
    while count < bars:
        if np.is_busday(day):
            for opened, closed in windows(day.item()):
                starts.append(np.arange(np.datetime64(opened, "s"), np.datetime64(closed, "s"), minute))
                ends.append(np.minimum(starts[-1] + minute, np.datetime64(closed, "s")))
                count += len(starts[-1])
        day += 1
    rng = np.random.default_rng(11)
    close = np.round(np.maximum(5.0, 1500 + np.cumsum(rng.normal(0, 0.4, bars))), 2)
    opened = np.round(close + rng.normal(0, 0.3, bars), 2)
    columns = {
        "date": np.concatenate(starts)[:bars],
        "open": opened,
        "high": np.round(np.maximum(opened, close) + rng.integers(0, 9, bars) * 0.05, 2),
        "low": np.round(np.minimum(opened, close) - rng.integers(0, 9, bars) * 0.05, 2),
        "close": close,
        "volume": rng.integers(0, 90_000, bars),
        "oi": np.zeros(bars, dtype=np.int64),
    }
    CandleCache(folder / "cache").write(Candles.of(KEY, "minute", columns))
    table = pd.DataFrame({**columns, "date": np.concatenate(ends)[:bars]})
    table.to_parquet(folder / "table.parquet", index=False)


def kitedata(folder: Path) -> Any:
    """btkite: a backtest's store over the cache → KiteData → buffers."""
    import pyarrow.parquet  # noqa: F401 - imported by the first read; the other side has it by then too

    from btkite.config import Config
    from btkite.store import KiteStore

    store = KiteStore(mode="backtest", config=Config().with_(**{"data.cache": str(folder / "cache")}))
    return store.getdata(KEY, interval="minute")


def pandasdata(folder: Path) -> Any:
    """Stock: Parquet → pandas → PandasData → buffers."""
    import pandas as pd
    import pyarrow.parquet  # noqa: F401

    class Table(bt.feeds.PandasData):
        """PandasData that reads its table when it starts, as KiteData does."""

        def start(self) -> None:
            self.p.dataname = pd.read_parquet(folder / "table.parquet").set_index("date")
            super().start()

    columns = pd.DataFrame(columns=["open", "high", "low", "close", "volume", "oi"])
    return Table(dataname=columns, openinterest="oi", timeframe=bt.TimeFrame.Minutes)


SIDES: dict[str, Callable[[Path], Any]] = {"KiteData": kitedata, "PandasData": pandasdata}


def filled(data: Any) -> Callable[[], str]:
    """What Cerebro does with a feed before a run; the digest is worked out after the clock has stopped."""
    data._start()
    data.preload()
    return lambda: digest(data)


def digest(data: Any) -> str:
    """A hash of all seven line buffers."""
    total = hashlib.sha256()
    for name in LINES:
        total.update(getattr(data.lines, name).array.tobytes())
    return total.hexdigest()


def loaded(name: str, folder: Path) -> Any:
    """A feed in a Cerebro of its own, not yet started."""
    data = SIDES[name](folder)
    bt.Cerebro().adddata(data)
    data.reset()
    return data


def option(name: str, default: int) -> int:
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


if __name__ == "__main__":
    if "--side" in sys.argv:
        begun = time.process_time()
        name = sys.argv[sys.argv.index("--side") + 1]
        folder = Path(sys.argv[sys.argv.index("--folder") + 1])
        if "--warm" in sys.argv:
            filled(loaded(name, folder))
        data = loaded(name, folder)
        paired.side(sys.argv, dict.fromkeys(SIDES, filled), data, before=time.process_time() - begun)
    else:
        bars, rounds = option("--bars", 1_000_000), option("--rounds", 2)
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), bars)
            result = paired.compare(
                __file__, "--folder", folder, ours="KiteData", theirs="PandasData", rounds=rounds, unmeasured=0
            )
            again = [paired.run(__file__, "--side", "KiteData", "--folder", folder, "--warm") for _ in range(3)]
            first = paired.run(__file__, "--side", "KiteData", "--folder", folder)
        if {said["digest"] for said in again} != {first["digest"]}:
            raise SystemExit("a second load gave other bars")
        warm = min(said["cpu"] for said in again)
        paired.tell(f"load {bars:,} bars, cold process", result, "KiteData", "PandasData")
        before = f"KiteData {result.ours_before * 1e3:,.0f} ms, PandasData {result.theirs_before * 1e3:,.0f} ms CPU"
        print(f"  warm: KiteData {warm * 1e3:,.0f} ms CPU, {result.theirs / warm:,.0f} x")
        whole = (result.theirs + result.theirs_before) / (result.ours + result.ours_before)
        print(f"  imports beyond backtrader, once a process: {before}; with them {whole:.1f} x")
        paired.demand(result, option("--at-least", AT_LEAST))
