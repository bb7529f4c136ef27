"""The strategies on real minutes of August 2016: what their docstrings promise holds there too."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

SHARED = Path(os.environ.get("BTKITE_SHARED") or Path(__file__).resolve().parents[3] / "shared")
MINUTES = SHARED / "data" / "minute"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not MINUTES.is_dir(), reason=f"no real candles: set BTKITE_SHARED ({MINUTES.parent} is absent)"),
]


def candles(symbol: str) -> pd.DataFrame:
    table = pd.read_parquet(MINUTES / f"{symbol}_minute_2016-08-16_2016-09-09.parquet").set_index("date")
    # Kite stamps a candle at its start, backtrader's bars end.
    table.index = table.index.tz_localize(None) + pd.Timedelta(minutes=1)
    table = table[["open", "high", "low", "close", "volume"]]
    return table[table.index < "2016-08-26"].assign(openinterest=0.0)


@pytest.mark.parametrize(
    ("spec", "symbols", "within_the_day"),
    [
        ("sma_cross:SmaCross", ["RELIANCE"], False),
        ("opening_range:OpeningRangeBreakout", ["RELIANCE"], True),
        ("mean_reversion:MeanReversion", ["RELIANCE"], False),
        ("pair:Pair", ["HDFCBANK", "SBIN"], True),
    ],
)
def test_it_trades_within_a_tenth_of_the_account_and_keeps_its_hours(load, play, spec, symbols, within_the_day):
    ran = play(load(spec), *[candles(symbol) for symbol in symbols])
    assert ran.trades
    for row in ran.orders:
        assert row["size"] * (row["executed_price"] or 0.0) <= 10_000.0
    if within_the_day:
        assert all(trade["entry_time"].date() == trade["exit_time"].date() for trade in ran.trades)
        assert all(trade["exit_time"].strftime("%H:%M") <= "15:11" for trade in ran.trades)
    for trade in ran.trades:
        assert trade["side"] == "LONG" or spec == "pair:Pair"
