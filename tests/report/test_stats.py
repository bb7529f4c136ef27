from __future__ import annotations

import math
import random
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.analyzers import Equity, Orders, Trades
from btkite.report.result import RunResult
from btkite.report.stats import FIGURES, cagr, daily_closes, daily_values, drawdown, sharpe


def test_a_run_without_a_bar_has_no_figures_but_its_start_value(made):
    stats = made().stats
    assert list(stats.index) == [figure.key for figure in FIGURES]
    assert (stats["start_value"], stats["trades"], stats["orders"], stats["denials"]) == (100_000.0, 0, 0, 0)
    assert stats["charges_rupees"] == 0
    nothing = set(stats.index) - {"start_value", "trades", "orders", "denials", "charges_rupees"}
    assert {key for key in stats.index if stats[key] is None} == nothing


def test_one_bar_is_a_return_and_no_rate(made):
    stats = made([100_500.0]).stats
    assert (stats["return_rupees"], stats["return_percent"]) == (500.0, pytest.approx(0.5))
    assert stats["cagr_percent"] is None
    assert stats["sharpe"] is None
    assert stats["max_drawdown_percent"] == 0.0
    assert stats["drawdown_start"] is None


def test_nothing_is_ever_nan(made):
    for values in ([], [100_000.0], [100_000.0] * 5, [0.0, 0.0], [-5.0, 10.0], [100_000.0, 0.0]):
        for results in ([], [0.0], [5.0], [-5.0]):
            for value in made(values, results, freq="D").stats:
                assert value is None or not isinstance(value, float) or math.isfinite(value)


def test_a_curve_that_does_not_move_has_no_sharpe_ratio(made):
    assert made([100_000.0] * 40, freq="B").stats["sharpe"] is None


@pytest.mark.parametrize(("days", "known"), [(30, False), (31, True)])
def test_a_years_figure_is_not_made_of_a_few_days(made, days, known):
    stats = made([100_000.0 + 100 * (day % 3) for day in range(days)], freq="D").stats
    assert stats["days"] == days - 1
    assert (stats["sharpe"] is not None) is (stats["cagr_percent"] is not None) is known


def test_what_it_made_and_its_charges_sum_up_to_what_stands_before_them(made):
    stats = made([100_500.0], [500.0], [10.0, 15.5]).stats
    assert stats["gross_rupees"] == stats["return_rupees"] + stats["charges_rupees"] == 525.5


def test_the_days_returns_are_taken_from_the_last_bar_of_each_day():
    times = [datetime(2026, 11, day, hour) for day in (18, 19, 20) for hour in (10, 15)]
    values = [90.0, 101.0, 50.0, 103.0, 400.0, 102.0]
    closes = [100.0, 101.0, 103.0, 102.0]
    returns = [b / a - 1 for a, b in pairwise(closes)]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 2)
    assert sharpe(times, values, 100.0) == pytest.approx(mean / deviation * math.sqrt(252))


def test_growth_is_compounded_over_the_actual_days():
    start = datetime(2024, 1, 1)
    assert cagr(100.0, 121.0, start, datetime(2025, 12, 31, 12)) == pytest.approx(10.0)
    assert cagr(100.0, 200.0, start, datetime(2024, 1, 1, 15)) is None
    assert cagr(100.0, 0.0, start, datetime(2025, 1, 1)) == -100.0
    assert cagr(1.0, 1e300, start, datetime(2024, 1, 3)) is None


def test_the_drawdown_has_its_three_dates(made):
    result = made([100_000.0, 110_000.0, 99_000.0, 104_500.0, 110_000.0, 120_000.0, 119_000.0])
    stats = result.stats
    times = [stamp.to_pydatetime() for stamp in result.equity["datetime"]]
    assert stats["max_drawdown_percent"] == pytest.approx(10.0)
    assert stats["max_drawdown_rupees"] == pytest.approx(11_000.0)
    assert [stats[f"drawdown_{name}"] for name in ("start", "trough", "recovery")] == [times[1], times[2], times[4]]


def test_a_drawdown_that_lasts_has_no_recovery(made):
    stats = made([100_000.0, 90_000.0, 95_000.0]).stats
    assert stats["max_drawdown_percent"] == pytest.approx(10.0)
    assert stats["drawdown_recovery"] is None


def test_the_start_value_is_a_peak_too(made):
    assert made([98_000.0, 99_000.0]).stats["max_drawdown_percent"] == pytest.approx(2.0)


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=60))
@settings(max_examples=200)
def test_the_drawdown_is_the_deepest_of_all_pairs(values):
    times = [datetime(2026, 1, 1, n // 60, n % 60) for n in range(len(values))]
    deepest = max((max(values[: i + 1]) - value) / max(values[: i + 1]) for i, value in enumerate(values))
    found = drawdown(times, values, None)
    assert found["max_drawdown_percent"] == pytest.approx(deepest * 100)
    if found["drawdown_trough"]:
        start, trough = times.index(found["drawdown_start"]), times.index(found["drawdown_trough"])
        assert start < trough
        assert values[start] - values[trough] == pytest.approx(found["max_drawdown_rupees"])


def test_trades_are_counted_after_charges(made):
    stats = made([100_045.0], [50.0, -25.0, 0.0, 20.0]).stats
    assert stats["trades"] == 4
    assert stats["win_rate_percent"] == 50.0
    assert stats["profit_factor"] == pytest.approx(70 / 25)
    assert stats["average_trade_rupees"] == pytest.approx(11.25)
    assert (stats["best_trade_rupees"], stats["worst_trade_rupees"]) == (50.0, -25.0)


def test_without_a_loss_there_is_no_profit_factor(made):
    assert made([100_050.0], [50.0]).stats["profit_factor"] is None
    assert made([99_950.0], [-50.0]).stats["profit_factor"] == 0.0


def test_charges_are_a_share_of_what_was_earned_before_them(made):
    stats = made([100_060.0], [60.0], [25.0, 15.0], charges=40.0).stats
    assert (stats["gross_rupees"], stats["charges_rupees"], stats["charges_percent"]) == (100.0, 40.0, 40.0)


@pytest.mark.parametrize("end", [99_960.0, 99_000.0])
def test_charges_have_no_share_of_a_gross_profit_of_nothing(made, end):
    stats = made([end], [], [40.0]).stats
    assert stats["gross_rupees"] == end - 100_000 + 40
    assert stats["charges_percent"] is None


def test_exposure_is_the_share_of_bars_with_a_position(made):
    assert made([100_000.0] * 4, positions=[0, 1, 2, 0]).stats["exposure_percent"] == 50.0


def test_denials_are_counted_apart_from_orders(made):
    stats = made([100_000.0], [], [0.0, 0.0, 0.0], denied=["", "too many", "too many"]).stats
    assert (stats["orders"], stats["denials"]) == (3, 2)


class Flips(bt.Strategy):
    """Long or flat by a coin with a seed."""

    params = (("seed", 1),)

    def __init__(self):
        self.coin = random.Random(self.p.seed)

    def next(self):
        if self.coin.random() < 0.1:
            self.order_target_percent(target=self.coin.choice([0.0, 0.0, 0.9]))


def ran(table: pd.DataFrame, timeframe: int, seed: int) -> bt.Strategy:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(100_000.0)
    cerebro.broker.setcommission(commission=0.0005)
    cerebro.adddata(bt.feeds.PandasData(dataname=table, timeframe=timeframe), name="NSE:INFY")
    cerebro.addstrategy(Flips, seed=seed)
    for kind in (Orders, Trades, Equity):
        cerebro.addanalyzer(kind)
    cerebro.addanalyzer(bt.analyzers.DrawDown)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer)
    cerebro.addanalyzer(
        bt.analyzers.SharpeRatio,
        timeframe=bt.TimeFrame.Days,
        riskfreerate=0.0,
        annualize=True,
        stddev_sample=True,
    )
    (strategy,) = cerebro.run()
    return strategy


def walk(index: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    rng, price, rows = random.Random(seed), 500.0, []
    for _ in index:
        close = round(price * (1 + rng.gauss(0.0004, 0.012)), 2)
        rows.append((price, max(price, close) * 1.001, min(price, close) * 0.999, close, 1000.0, 0.0))
        price = close
    return pd.DataFrame(rows, columns=["open", "high", "low", "close", "volume", "openinterest"], index=index)


DAYS = pd.bdate_range("2024-01-01", periods=400) + pd.Timedelta(hours=15, minutes=30)
QUARTERS = pd.DatetimeIndex(
    [
        day + pd.Timedelta(hours=9, minutes=30 + 15 * n)
        for day in pd.bdate_range("2026-01-01", periods=24)
        for n in range(25)
    ]
)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("index", "timeframe"), [(DAYS, bt.TimeFrame.Days), (QUARTERS, bt.TimeFrame.Minutes)])
def test_the_figures_agree_with_backtraders_analyzers(index, timeframe, seed):
    strategy = ran(walk(index, seed), timeframe, seed)
    stats = RunResult.collect(strategy, mode="backtest").stats
    found = strategy.analyzers
    assert stats["max_drawdown_percent"] == pytest.approx(found.drawdown.get_analysis().max.drawdown)
    assert stats["max_drawdown_rupees"] <= found.drawdown.get_analysis().max.moneydown + 1e-9
    assert stats["sharpe"] == pytest.approx(found.sharperatio.get_analysis()["sharperatio"])
    trades = found.tradeanalyzer.get_analysis()
    assert stats["trades"] == trades.total.closed > 2
    assert stats["win_rate_percent"] == pytest.approx(trades.won.total / trades.total.closed * 100)
    assert stats["average_trade_rupees"] == pytest.approx(trades.pnl.net.average)
    assert stats["profit_factor"] == pytest.approx(trades.won.pnl.total / -trades.lost.pnl.total)
    assert stats["return_rupees"] == pytest.approx(strategy.broker.getvalue() - 100_000.0)


def test_the_docs_explain_every_figure():
    text = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    missing = [figure.key for figure in FIGURES if f"`{figure.key}`" not in text]
    assert missing == []


def test_orders_that_were_found_in_the_account_are_none_of_this_runs(made):
    result = made([1.0, 2.0], [], [0.0, 0.0, 0.0])
    result.orders.loc[0, "adopted"] = True
    assert result.stats["orders"] == 2


def _slowly(values, first):
    """The deepest fall, step by step."""
    peak, peak_at = (first, 0) if first is not None else (values[0], 0)
    deepest, found = 0.0, None
    for index, value in enumerate(values):
        if value >= peak:
            peak, peak_at = value, index
        elif peak > 0 and (peak - value) / peak > deepest:
            deepest, found = (peak - value) / peak, (peak, peak_at, index)
    return deepest, found


@given(
    st.lists(
        st.one_of(st.sampled_from([-5.0, 0.0, 90.0, 100.0, 110.0]), st.floats(-1e3, 1e3)), min_size=1, max_size=40
    ),
    st.one_of(st.none(), st.sampled_from([100.0, 110.0])),
)
@settings(max_examples=300)
def test_the_drawdown_at_once_is_that_of_step_by_step_to_the_last_bit(values, first):
    found = drawdown(range(len(values)), values, first)
    deepest, where = _slowly(values, first)
    assert found["max_drawdown_percent"] == deepest * 100
    if where is not None:
        top, begin, trough = where
        assert (found["drawdown_start"], found["drawdown_trough"]) == (begin, trough)
        assert found["max_drawdown_rupees"] == top - values[trough]
        back = next((at for at in range(trough + 1, len(values)) if values[at] >= top), None)
        assert found["drawdown_recovery"] == back


def test_the_days_of_a_long_curve_are_found_at_once(made):
    result = made([100_000.0 + number % 7 for number in range(400)], freq="3h")
    times = [stamp.to_pydatetime() for stamp in result.equity["datetime"]]
    assert daily_closes(result.equity) == list(daily_values(times, list(result.equity["value"])).values())
    assert result.stats["sharpe"] == sharpe(times, list(result.equity["value"]), 100_000.0)
