from __future__ import annotations

import math
from datetime import datetime, timedelta
from types import SimpleNamespace

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.errors import ConfigError
from btkite.sizers import FixedRupees, PercentOfValue, RiskPerTrade, average_true_range, whole_lots
from btkite.values import Instrument


class Feed(bt.feeds.PandasData):
    """A feed that knows its instrument, as btkite's own does."""

    instrument = None


def sized(sizer, rows, *, cash=100_000.0, instrument=None, held=0, isbuy=True, mult=None, **params):
    """The size given on the last bar, the first bar having bought ``held``."""
    start = datetime(2026, 11, 18, 9, 16)
    bars = [row if isinstance(row, tuple) else (row, row, row, row) for row in rows]
    table = pd.DataFrame(bars, columns=["open", "high", "low", "close"], dtype="float64")
    table["volume"], table["openinterest"] = 0.0, 0.0
    table.index = pd.DatetimeIndex([start + timedelta(minutes=n) for n in range(len(rows))])
    found = []

    class Asks(bt.Strategy):
        def next(self):
            if len(self) == 1 and held:
                self.buy(size=held) if held > 0 else self.sell(size=-held)
            if len(self) == len(rows):
                found.append(self.getsizing(self.data, isbuy=isbuy))

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(cash)
    if mult is not None:
        cerebro.broker.setcommission(margin=1000.0, mult=mult)
    feed = Feed(dataname=table)
    feed.instrument = instrument
    cerebro.adddata(feed)
    cerebro.addsizer(sizer, **params)
    cerebro.addstrategy(Asks)
    cerebro.run()
    return found[0]


def lots_of(size: int) -> Instrument:
    return Instrument("NFO", "NIFTY26NOVFUT", lot_size=size)


def test_a_percent_of_the_value_is_spent_at_the_last_close():
    assert sized(PercentOfValue, [90.0, 100.0], percent=10) == 100
    assert sized(PercentOfValue, [90.0, 333.0], percent=10) == 30


def test_the_value_counts_and_not_the_cash():
    # 500 shares bought at 100 and now worth 110: value 1,05,000.
    assert sized(PercentOfValue, [100.0, 100.0, 110.0], held=500, percent=10) == int(10_500 / 110)


def test_sizes_are_whole_lots_of_the_instrument():
    assert sized(PercentOfValue, [100.0], percent=50, instrument=lots_of(65)) == 455  # 500 is 7.69 lots
    assert sized(PercentOfValue, [100.0], percent=6, instrument=lots_of(65)) == 0
    assert sized(FixedRupees, [100.0], rupees=13_000, instrument=lots_of(65)) == 130


def test_a_resampled_clone_knows_the_lot_of_its_source():
    table = pd.DataFrame(
        {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 1.0, "openinterest": 0.0},
        index=pd.date_range("2026-11-18 09:16", periods=30, freq="min"),
    )
    sizes = []

    class Asks(bt.Strategy):
        def next(self):
            sizes.append(self.getsizing(self.datas[1]))

    cerebro = bt.Cerebro(stdstats=False)
    feed = Feed(dataname=table, timeframe=bt.TimeFrame.Minutes)
    feed.instrument = lots_of(30)
    cerebro.adddata(feed)
    cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=5)
    cerebro.addsizer(FixedRupees, rupees=5_000)
    cerebro.addstrategy(Asks)
    cerebro.run()
    assert set(sizes) == {30}


def test_an_opening_buy_never_asks_for_more_than_the_cash_pays():
    assert sized(FixedRupees, [100.0], rupees=500_000) == 1_000
    assert sized(FixedRupees, [100.0], rupees=500_000, isbuy=False) == 5_000  # a sale needs no cash to be sized


def test_a_buy_that_covers_a_short_is_not_held_back_by_cash():
    assert sized(FixedRupees, [100.0, 100.0, 100.0], rupees=500_000, held=-100) == 5_000


def test_rupees_buy_rupees():
    assert sized(FixedRupees, [123.4], rupees=10_000) == 81


def test_the_multiplier_makes_a_unit_dearer():
    assert sized(FixedRupees, [100.0], rupees=50_000, mult=10.0) == 50
    assert sized(RiskPerTrade, [100.0], rupees=1_000, stop=2.0, mult=10.0, max_percent=None) == 50


def test_risk_divides_by_the_distance_of_the_stop():
    assert sized(RiskPerTrade, [100.0], percent=0.1, stop=2.0) == 50  # ₹100 at ₹2
    assert sized(RiskPerTrade, [200.0], rupees=500, stop_percent=5) == 50  # ₹500 at ₹10


def test_a_near_stop_is_bounded_by_the_largest_position():
    assert sized(RiskPerTrade, [100.0], percent=1, stop=0.05) == 100  # 10 % of 1,00,000
    assert sized(RiskPerTrade, [100.0], percent=1, stop=5.0, max_percent=None) == 200


def test_a_wild_instrument_is_bought_smaller_than_a_quiet_one():
    quiet = [(100.0, 100.5, 99.5, 100.0)] * 20  # range 1
    wild = [(100.0, 102.0, 98.0, 100.0)] * 20  # range 4
    assert sized(RiskPerTrade, quiet, rupees=100, atr=14, multiple=2) == 50
    assert sized(RiskPerTrade, wild, rupees=100, atr=14, multiple=2) == 12


def test_too_few_bars_for_the_range_ask_for_nothing():
    bars = [(100.0, 101.0, 99.0, 100.0)]
    assert sized(RiskPerTrade, bars * 14, atr=14) == 0
    assert sized(RiskPerTrade, bars * 15, atr=14) > 0


def test_a_price_that_never_moved_asks_for_nothing():
    assert sized(RiskPerTrade, [100.0] * 20, atr=14) == 0


def test_gaps_belong_to_the_true_range():
    class Lines(list):
        def __getitem__(self, ago):
            return super().__getitem__(len(self) - 1 + ago)

    class Bars(SimpleNamespace):
        def __len__(self):
            return len(self.close)

    data = Bars(high=Lines([10.0, 21.0]), low=Lines([10.0, 20.0]), close=Lines([10.0, 20.5]))
    assert average_true_range(data, 1) == 11.0
    assert math.isnan(average_true_range(data, 2))


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan])
def test_without_a_price_there_is_no_size(price):
    assert sized(PercentOfValue, [100.0, price]) == 0


def test_it_is_used_when_the_strategy_gives_no_size():
    class Buys(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.order = self.buy()

    cerebro = bt.Cerebro(stdstats=False)
    table = pd.DataFrame(
        {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 1.0},
        index=pd.date_range("2026-11-18 09:16", periods=3, freq="min"),
    )
    cerebro.adddata(bt.feeds.PandasData(dataname=table))
    cerebro.broker.setcash(100_000)
    cerebro.addsizer(PercentOfValue, percent=9)
    cerebro.addstrategy(Buys)
    (ran,) = cerebro.run()
    assert ran.order.executed.size == 90


@pytest.mark.parametrize(
    ("sizer", "params"),
    [
        (PercentOfValue, {"percent": 0}),
        (FixedRupees, {"rupees": -5}),
        (RiskPerTrade, {"atr": 0}),
        (RiskPerTrade, {"stop": 1.0, "stop_percent": 1.0}),
    ],
)
def test_senseless_settings_are_refused(sizer, params):
    with pytest.raises(ConfigError, match=sizer.__name__):
        sized(sizer, [100.0], **params)


@given(units=st.floats(allow_nan=True, allow_infinity=True), lot=st.integers(1, 5_000))
@settings(max_examples=200)
def test_whole_lots_never_round_up(units, lot):
    size = whole_lots(units, lot)
    assert size >= 0
    assert size % lot == 0
    if math.isfinite(units) and units > 0:
        assert size <= units + 1e-9 < size + lot + 1e-6 or units > 2**53
        assert size <= units + 1e-9
    else:
        assert size == 0
