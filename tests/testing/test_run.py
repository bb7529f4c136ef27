from __future__ import annotations

from datetime import datetime

import backtrader as bt
import pandas as pd
import pytest

from btkite.config import Config
from btkite.errors import ConfigError


class Crosses(bt.Strategy):
    params = (("fast", 3), ("slow", 7), ("size", 9), ("cash", 0))

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if self.cross > 0:
            self.buy(size=self.p.size)
        elif self.cross < 0 and self.position:
            self.close()


def test_a_strategy_runs_over_canned_bars_in_one_line(bars, run_strategy):
    outcome = run_strategy(Crosses, bars("whipsaw"), fast=4)
    assert outcome.strategy.p.fast == 4
    assert len(outcome.trades) > 10
    assert outcome.final_value == pytest.approx(100_000 + sum(trade.pnl for trade in outcome.trades), abs=200)


def test_a_name_closes_rows_and_frames_do_as_bars(bars, run_strategy):
    closes = bars("whipsaw", count=60)
    frame = closes.frame()
    expected = run_strategy(Crosses, closes).fills
    assert expected
    assert (
        run_strategy(Crosses, closes.close.tolist()).fills
        == expected[:0] + run_strategy(Crosses, list(closes.close)).fills
    )
    rows = list(zip(closes.open, closes.high, closes.low, closes.close, closes.volume, strict=True))
    assert run_strategy(Crosses, rows).fills == expected
    assert run_strategy(Crosses, {"NSE:TEST": frame}).fills == expected
    assert run_strategy(Crosses, {"NSE:TEST": "whipsaw"}).fills[: len(expected) - 1] == expected[: len(expected) - 1]


def test_a_dict_gives_several_symbols(bars, run_strategy):
    class Second(bt.Strategy):
        def next(self):
            if len(self) == 3:
                self.buy(data=self.datas[1], size=2)

    outcome = run_strategy(Second, {"NSE:AAA": bars("flat", count=6), "NSE:BBB": bars("uptrend", count=6)})
    assert [fill[1:3] for fill in outcome.fills] == [("NSE:BBB", "BUY")]
    assert (outcome.position(), outcome.position("NSE:BBB")) == (0, 2)


def test_limits_and_charges_are_off_unless_asked_for(bars, run_strategy):
    free = run_strategy(Crosses, bars("whipsaw", count=60), size=50)
    charged = run_strategy(Crosses, bars("whipsaw", count=60), size=50, charges=True)
    limited = run_strategy(Crosses, bars("whipsaw", count=60), size=50, risk=True)
    assert free.denials == []
    assert charged.final_value < free.final_value
    assert limited.denials
    assert all("risk.max_position_pct" in reason for reason in limited.denials)
    assert not limited.trades
    assert run_strategy(Crosses, bars("whipsaw", count=60), size=50, risk={"max_position_pct": 60}).denials == []


def test_the_environment_of_the_machine_does_not_reach_a_test(bars, run_strategy, monkeypatch, tmp_path):
    monkeypatch.setenv("BTKITE_BROKER__CAPITAL", "5")
    monkeypatch.setenv("BTKITE_RISK__MAX_DAILY_TRADES", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("broker: {capital: 7}\n")
    assert run_strategy(Crosses, bars("flat", count=20)).final_value == 100_000.0


def test_a_parameter_whose_name_is_taken_goes_into_params(bars, run_strategy):
    outcome = run_strategy(Crosses, bars("flat", count=20), cash=5_000.0, params={"cash": 3})
    assert (outcome.strategy.p.cash, outcome.final_value) == (3, 5_000.0)


def test_it_runs_on_the_cerebro_it_is_given_with_both_rules(bars, run_strategy):
    engine = bt.Cerebro(stdstats=False)
    held = {"broker.square_off": None}  # which backtrader knows nothing of
    outcome = run_strategy(Crosses, bars("whipsaw"), cerebro=engine, config=held)
    assert outcome.cerebro is engine
    other = run_strategy(Crosses, bars("whipsaw"), rule="backtrader")  # which stamps a fill at its bar's end
    assert [fill[1:] for fill in outcome.fills] == [fill[1:] for fill in other.fills]


def test_warm_up_bars_come_before_the_first_next(bars, run_strategy):
    class First(bt.Strategy):
        def nextstart(self):
            self.first = self.data.datetime.datetime(0)

    outcome = run_strategy(First, bars("flat"), warmup=15)
    assert outcome.strategy.first == datetime(2026, 11, 18, 9, 31)


def test_an_outcome_has_rows_lists_and_frames(bars, run_strategy):
    outcome = run_strategy(
        Crosses, bars("whipsaw"), sizer=bt.sizers.FixedSize, analyzers=[(bt.analyzers.SQN, {"_name": "sqn"})]
    )
    assert len(outcome.times) == len(outcome.equity) == len(outcome.cash) > 300
    assert outcome.orders[0].status == "Completed"
    assert outcome.equity[-1] == outcome.final_value
    assert isinstance(outcome.result.trades, pd.DataFrame)
    assert len(outcome.result.trades) == len(outcome.trades)
    assert outcome.strategy.analyzers.sqn.get_analysis().trades == len(outcome.trades)


def test_a_whole_config_is_taken_as_it_is(bars, run_strategy):
    config = Config().with_(**{"broker.charges": True, "risk.max_daily_trades": 1, "risk.max_position_pct": 50})
    outcome = run_strategy(Crosses, bars("whipsaw", count=80), config=config)
    assert any("max_daily_trades" in reason for reason in outcome.denials)


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda run: run(Crosses, {}), "the dict has no symbol"),
        (lambda run: run(Crosses, 7), "does not understand bars of type int"),
        (lambda run: run(Crosses, "uptrend", fsat=3), "Crosses has no parameter fsat; it has fast, slow, size, cash"),
        (lambda run: run(Crosses, "uptrend", config={"broker.charge": True}), "did you mean"),
        (lambda run: run(Crosses, "uptrend", risk={"max_position": 5}), "did you mean"),
    ],
)
def test_bad_input_gets_one_sentence(run_strategy, give, words):
    with pytest.raises(ConfigError, match=words):
        give(run_strategy)
