"""One million minute bars from disk into backtrader's line buffers: the candle cache and KiteData
against a Parquet file, pandas and PandasData. Each run is a cold process; backtrader itself is
imported before the clock starts, everything that either side needs beyond it is in the time.

The buffers must be equal to the last bit: bars are stamped at their end in naive IST on both sides.

    python benchmarks/load.py [--bars 1000000] [--rounds 2]
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt

sys.path.insert(0, str(Path(__file__).parent))
import paired

KEY, START = "NSE:INFY", "2015-02-02"
LINES = ("datetime", "open", "high", "low", "close", "volume", "openinterest")


def make(folder: Path, bars: int) -> None:
    """The same bars as the cache keeps them, and as a table with the bars' ends."""
    import numpy as np
    import pandas as pd

    from btkite.candles import CandleCache, Candles
    from btkite.grid import ends_of, windows_of

    windows = windows_of(KEY)
    day, parts, count = np.datetime64(START, "D"), [], 0
    while count < bars:
        if np.is_busday(day):
            for opened, closed in windows(day.item()):
                parts.append(np.arange(np.datetime64(opened, "s"), np.datetime64(closed, "s"), np.timedelta64(60, "s")))
                count += len(parts[-1])
        day += 1
    starts = np.concatenate(parts)[:bars]
    rng = np.random.default_rng(11)
    close = np.round(np.maximum(5.0, 1500 + np.cumsum(rng.normal(0, 0.4, bars))), 2)
    opened = np.round(close + rng.normal(0, 0.3, bars), 2)
    columns = {
        "date": starts,
        "open": opened,
        "high": np.round(np.maximum(opened, close) + rng.integers(0, 9, bars) * 0.05, 2),
        "low": np.round(np.minimum(opened, close) - rng.integers(0, 9, bars) * 0.05, 2),
        "close": close,
        "volume": rng.integers(0, 90_000, bars),
        "oi": np.zeros(bars, dtype=np.int64),
    }
    CandleCache(folder / "cache").write(Candles.of(KEY, "minute", columns))
    table = pd.DataFrame({**columns, "date": ends_of(KEY, "minute")(starts)})
    table.to_parquet(folder / "table.parquet", index=False)


def kitedata(folder: Path) -> Callable[[], str]:
    """btkite: cache → KiteData → buffers."""
    from btkite.candles import CandleCache
    from btkite.feed import KiteData

    data = KiteData(dataname=CandleCache(folder / "cache").read(KEY, "minute"), interval="minute")
    return filled(data)


def pandasdata(folder: Path) -> Callable[[], str]:
    """Stock: Parquet → pandas → PandasData → buffers."""
    import pandas as pd

    table = pd.read_parquet(folder / "table.parquet").set_index("date")
    data = bt.feeds.PandasData(dataname=table, openinterest="oi", timeframe=bt.TimeFrame.Minutes)
    return filled(data)


def filled(data: Any) -> Callable[[], str]:
    """What Cerebro does with each feed before a run."""
    bt.Cerebro().adddata(data)
    data.reset()
    data._start()
    data.preload()
    return lambda: digest(data)


def digest(data: Any) -> str:
    """A hash of all seven line buffers."""
    total = hashlib.sha256()
    for name in LINES:
        total.update(getattr(data.lines, name).array.tobytes())
    return total.hexdigest()


SIDES: dict[str, Callable[..., Any]] = {"KiteData": kitedata, "PandasData": pandasdata}


def option(name: str, default: int) -> int:
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


if __name__ == "__main__":
    if "--folder" in sys.argv:
        paired.side(sys.argv, SIDES, Path(sys.argv[sys.argv.index("--folder") + 1]))
    else:
        bars, rounds = option("--bars", 1_000_000), option("--rounds", 2)
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), bars)
            result = paired.compare(
                __file__, "--folder", folder, ours="KiteData", theirs="PandasData", rounds=rounds, unmeasured=0
            )
        paired.tell(f"load {bars:,} bars, cold process", result, "KiteData", "PandasData")
