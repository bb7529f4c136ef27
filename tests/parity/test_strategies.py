"""Every strategy of strategies/ gives the same orders and trades in all modes, on real and on made candles."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from btkite.exchange.generator import generate
from btkite.modes import MODES
from btkite.series import Candles
from strategies.daily_momentum import DailyMomentum
from strategies.mean_reversion import MeanReversion
from strategies.opening_range import OpeningRangeBreakout
from strategies.pair import Pair
from strategies.short_straddle import ShortStraddle
from strategies.sma_cross import SmaCross
from tests import shared
from tests.parity.three import assert_same, run

INTRADAY = [
    (SmaCross, 1),
    (OpeningRangeBreakout, 1),
    (MeanReversion, 1),
    (Pair, 2),
]
COLUMNS = ("open", "high", "low", "close", "volume")
LIMITS = {"risk.enabled": True, "broker.capital": 1_000_000.0}


def made(key: str, start: date, sessions: int, interval: str = "minute") -> Candles:
    one = generate(key, start, sessions, interval, seed=11)
    return Candles.of(
        key,
        interval,
        {name: getattr(one, "start" if name == "date" else name) for name in ("date", *COLUMNS)},
    )


def premiums(key: str, start: date, sessions: int, seed: int) -> Candles:
    """Option premiums that decay through the day, on the tick of 0.05."""
    under = made("NSE:NIFTY 50", start, sessions)
    rng = np.random.default_rng(seed)
    close = 120 * np.exp(np.cumsum(rng.normal(-0.0004, 0.006, len(under))))
    open_ = np.concatenate(([120.0], close[:-1]))
    high = np.maximum(open_, close) * (1 + rng.random(len(under)) * 0.004)
    low = np.minimum(open_, close) * (1 - rng.random(len(under)) * 0.004)

    def ticks(values):
        return np.round(np.maximum(np.round(values / 0.05), 1) * 0.05, 2)

    columns = {"open": ticks(open_), "high": ticks(high), "low": ticks(low), "close": ticks(close)}
    columns["high"] = np.maximum.reduce(list(columns.values()))
    columns["low"] = np.minimum.reduce(list(columns.values()))
    return Candles.of(key, "minute", {"date": under.start, **columns, "volume": np.full(len(under), 6500.0)})


def same_in_all_modes(strategy, data, day, exchange, tmp_path, **more):
    outcomes = {mode: run(mode, strategy, data, day, exchange, tmp_path, **more) for mode in MODES}
    assert_same(outcomes)
    return outcomes["backtest"]


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "count"), INTRADAY)
def test_on_made_minutes(strategy, count, exchange, tmp_path):
    keys = ["NSE:RELIANCE", "NSE:INFY"][:count]
    data = {key: made(key, date(2024, 7, 1), 3) for key in keys}
    assert same_in_all_modes(strategy, data, datetime(2024, 7, 2), exchange, tmp_path, warmup=60, config=LIMITS).trades


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("symbol", ["RELIANCE", "INFY", "SBIN"])
@pytest.mark.parametrize(("strategy", "count"), INTRADAY)
def test_on_real_minutes(strategy, count, symbol, exchange, tmp_path):
    symbols = [symbol, "TCS"][:count]
    last = datetime(2016, 8, 19)
    data = {f"NSE:{name}": shared.minutes(name).between(None, last) for name in symbols}
    done = same_in_all_modes(strategy, data, datetime(2016, 8, 17), exchange, tmp_path, warmup=60, config=LIMITS)
    assert done.trades or strategy is OpeningRangeBreakout  # which found no breakout on some of these days


@pytest.mark.slow
def test_the_straddle_on_made_options(exchange, tmp_path):
    keys = ("NFO:NIFTY2470424000CE", "NFO:NIFTY2470424000PE")
    data = {key: premiums(key, date(2024, 7, 1), 2, seed) for seed, key in enumerate(keys)}
    rich = {"risk.max_position_pct": 100.0, "risk.enabled": True, "broker.capital": 5_000_000.0}
    assert same_in_all_modes(ShortStraddle, data, datetime(2024, 7, 1), exchange, tmp_path, config=rich, lots=25).trades


@pytest.mark.slow
def test_daily_momentum_on_made_days(exchange, tmp_path):
    data = {"NSE:RELIANCE": made("NSE:RELIANCE", date(2024, 1, 1), 240, "day")}
    config = {**LIMITS, "broker.default_product": "CNC"}
    done = same_in_all_modes(DailyMomentum, data, datetime(2024, 3, 1), exchange, tmp_path, warmup=30, config=config)
    assert done.trades


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("symbol", ["RELIANCE", "TITAN"])
def test_daily_momentum_on_real_days(symbol, exchange, tmp_path):
    begin = datetime(2023, 1, 2)
    data = {f"NSE:{symbol}": shared.days(symbol).between(begin - timedelta(days=90), datetime(2024, 7, 1))}
    config = {**LIMITS, "broker.default_product": "CNC"}
    assert same_in_all_modes(DailyMomentum, data, begin, exchange, tmp_path, warmup=30, config=config).trades
