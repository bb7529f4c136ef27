"""The real candles that lie beside the repository on a developer's machine; tests that use them skip without."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from btkite.series import Candles

ROOT = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))


def need(path: str) -> Path:
    """A file of the shared data, or a visible skip."""
    found = ROOT / "data" / path
    if not found.exists():
        pytest.skip(f"needs the shared candles: {path} (set BTKITE_SHARED)")
    return found


def minutes(symbol: str) -> Candles:
    """18 sessions of 2016 of an NSE share."""
    frame = pd.read_parquet(need(f"minute/{symbol}_minute_2016-08-16_2016-09-09.parquet"))
    return _candles(f"NSE:{symbol}", "minute", frame)


def days(symbol: str) -> Candles:
    """Day candles of 2020 to 2026."""
    return _candles(f"NSE:{symbol}", "day", pd.read_csv(need(f"daily/{symbol}_day.csv"), parse_dates=["date"]))


def _candles(key: str, interval: str, frame: pd.DataFrame) -> Candles:
    stamps = frame["date"].dt.tz_localize(None)
    columns = {name: frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return Candles.of(key, interval, {"date": stamps.to_numpy(), **columns}, tidy=True)
