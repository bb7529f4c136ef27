"""Every indicator of backtrader gives the same doubles in both loops, on prices that are awkward on purpose."""

from __future__ import annotations

import math
from datetime import datetime

import backtrader as bt
import numpy as np
import pytest

from btkite.engine import Cerebro
from btkite.fast.exact import window_max, window_min, window_sums
from btkite.fast.periods import moments
from btkite.fast.swap import class_of
from btkite.feed import KiteData
from tests.parity.test_equality import generated

_NEEDS_MORE = {
    "ApplyN", "BaseApplyN", "ReduceN", "Indicator", "FindFirstIndex", "FindLastIndex", "LinePlotterIndicator",
    "OLS_BetaN", "OLS_Slope_InterceptN", "OLS_TransformationN", "CointN", "ExponentialSmoothingDynamic", "PeriodN",
    "OperationN", "MovingAverageBase", "OscillatorMixIn", "EnvelopeMixIn", "HaDelta", "HeikinAshi", "MovingAverage",
    "MovAv", "MAEnvelope",
}  # fmt: skip
KINDS = {
    kind.__name__: kind
    for kind in vars(bt.indicators).values()
    if isinstance(kind, type) and issubclass(kind, bt.Indicator) and not kind.__name__.startswith(("_", "Oscillator"))
}


def worked_out(kind, engine, candles):
    class Uses(bt.Strategy):
        def __init__(self) -> None:
            wants = kind._mindatas
            self.used = kind(*([self.data, self.data.open][:wants] if wants > 1 else [self.data]))
            self.seen: list[float] = []

        def next(self) -> None:
            self.seen += [line[0] for line in self.used.lines]

    cerebro = Cerebro(stdstats=False, engine=engine)
    cerebro.adddata(KiteData(dataname=candles))
    cerebro.addstrategy(Uses)
    (ran,) = cerebro.run()
    if engine == "auto" and cerebro.engine != "fast":
        pytest.skip(f"backtrader's loop: {cerebro.why_stock}")
    return [repr(line.array) for line in ran.used.lines], repr(ran.seen), class_of(ran.used).__name__


@pytest.mark.parametrize(("name", "kind"), [pair for pair in sorted(KINDS.items()) if pair[0] not in _NEEDS_MORE])
def test_an_indicator_is_the_same_in_both_loops(name, kind):
    candles = generated("NSE:X", 3, count=260)
    try:
        wanted = worked_out(kind, "stock", candles)
    except Exception as error:
        with pytest.raises(type(error)):
            worked_out(kind, "auto", candles)
    else:
        assert worked_out(kind, "auto", candles) == wanted


@pytest.mark.parametrize("period", [1, 2, 3, 10, 60, 240])
@pytest.mark.parametrize(
    "values",
    [
        np.round(1500 + np.cumsum(np.random.default_rng(1).normal(0, 0.4, 3000)), 2),
        np.random.default_rng(2).normal(0, 1e9, 3000) * np.random.default_rng(3).choice([1e-3, 1.0, 1e3], 3000),
        np.random.default_rng(4).integers(0, 90_000, 3000).astype(float),
        np.where(np.random.default_rng(5).random(3000) < 0.5, 0.0, 0.1),
        np.full(3000, -0.05),
    ],
    ids=["prices", "spread", "volumes", "zeros", "constant"],
)
def test_sums_and_extremes_over_a_window_are_pythons(values, period):
    windows = [values[i : i + period].tolist() for i in range(len(values) - period + 1)]
    sums = window_sums(values, period)
    assert sums is not None
    assert sums.tolist() == [math.fsum(window) for window in windows]
    assert window_max(values, period).tolist() == [max(window) for window in windows]
    assert window_min(values, period).tolist() == [min(window) for window in windows]


def test_times_are_backtraders():
    rng = np.random.default_rng(7)
    stamps = np.concatenate([
        rng.uniform(719_163, 760_000, 20_000),
        735_000 + np.arange(20_000) / 1440,
        [bt.date2num(datetime(2024, 2, 29, 23, 59, 59, micro)) for micro in (0, 1, 9, 10, 999_990, 999_995, 999_999)],
    ])  # fmt: skip
    assert moments(stamps).tolist() == [bt.num2date(stamp) for stamp in stamps.tolist()]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 1e-300])
def test_what_two_limbs_cannot_hold_is_left_to_python(odd):
    assert window_sums(np.array([1e5, odd, 2.0, 3.0]), 2) is None
    assert window_max(np.array([1.0, float("nan"), 2.0]), 2) is None
