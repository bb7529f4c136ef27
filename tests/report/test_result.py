from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import backtrader as bt
import pandas as pd
import pytest

from btkite.analyzers import Equity, Orders, Trades
from btkite.errors import DataError
from btkite.report.result import Denials, RunResult


class Once(bt.Strategy):
    def next(self):
        if len(self) == 2:
            self.buy(size=3)
        if len(self) == 4:
            self.close()


def ran(*kinds):
    cerebro = bt.Cerebro(stdstats=False)
    table = pd.DataFrame(
        {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0, "volume": 5.0},
        index=pd.date_range("2026-11-18 09:16", periods=6, freq="min"),
    )
    cerebro.adddata(bt.feeds.PandasData(dataname=table), name="NSE:INFY")
    cerebro.addstrategy(Once)
    for kind in kinds:
        cerebro.addanalyzer(kind)
    (strategy,) = cerebro.run()
    return strategy


def test_a_result_is_collected_from_a_strategy_that_has_run():
    result = RunResult.collect(ran(Orders, Trades, Equity), mode="backtest", interval="minute", engine="stock")
    assert (result.mode, result.strategy, result.symbols) == ("backtest", "Once", ("NSE:INFY",))
    assert (len(result.orders), len(result.trades), len(result.equity)) == (2, 1, 6)
    assert result.stats["trades"] == 1
    assert result.start_value == 10_000.0


def test_a_missing_analyzer_is_named():
    with pytest.raises(DataError, match="Trades, Equity"):
        RunResult.collect(ran(Orders), mode="backtest")


def test_a_result_cannot_be_changed(made):
    with pytest.raises(FrozenInstanceError):
        made().mode = "live"


def test_its_json_is_valid_and_has_the_documented_keys(made):
    result = made([100_500.0, 100_400.0], [500.0], [10.0, 10.0], denied=["", "too many"])
    found = json.loads(result.to_json(equity=True))
    assert list(found) == [
        "schema",
        "mode",
        "strategy",
        "symbols",
        "interval",
        "engine",
        "folder",
        "stats",
        "denials",
        "denied",
        "rejected",
        "halted",
        "mistake",
        "overnight",
        "margin",
        "margin_used",
        "untraded",
        "portfolio",
        "alerts",
        "left_open",
        "stopped",
        "exit_code",
        "trades",
        "orders",
        "equity",
    ]
    assert found["denials"] == {"total": 1, "reasons": {"too many": 1}}
    assert found["stats"]["profit_factor"] is None
    assert found["stats"]["start"] == "2026-11-18T09:16:00"
    assert found["orders"][0]["price"] is None
    assert found["equity"][1]["value"] == 100_400.0
    assert "equity" not in json.loads(result.to_json())


def test_the_docs_name_every_column_and_key(made):
    text = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    result = made()
    names = [*result.as_dict(equity=True), *result.orders, *result.trades, *result.equity]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_an_empty_run_is_shown_and_kept_like_any_other(made):
    result = made()
    assert "–" in result.show()
    assert "0 trades" in repr(result)
    assert json.loads(result.to_json())["trades"] == []
    assert "<table>" in result._repr_html_()


def test_its_repr_is_one_line_with_the_outcome(made):
    line = repr(made([1_00_500.0], [500.0]))
    assert "\n" not in line
    assert "SmaCross on NSE:INFY, minute, backtest: ₹500.00 (0.50 %), 1 trades" in line


def test_what_a_notebook_shows_is_escaped(made):
    result = made([100.0], [], [0.0], denied=["<script>alert(1)</script>"], strategy="<b>")
    assert "<script>" not in result._repr_html_()
    assert "<b>" not in result._repr_html_()


def test_denials_are_counted_by_reason_most_frequent_first():
    denials = Denials.of(["", "a", "b", "b", ""])
    assert dict(denials.counts) == {"b": 2, "a": 1}
    assert str(denials) == "3 orders denied: 2 x b; 1 x a"
    assert str(Denials.of([])) == "no order was denied"


def test_two_runs_with_equal_orders_have_equal_digests_whatever_their_refs(made):
    one, two, three = (made([1.0], [5.0], [1.0, 1.0]) for _ in range(3))
    two.orders["ref"] += 1000
    three.orders.loc[1, "executed_price"] = 100.05
    assert one.orders_digest == two.orders_digest != three.orders_digest
    assert one.trades_digest == two.trades_digest == three.trades_digest


def refused(made, *rows, **fields):
    result = made([100_000.0], [], [0.0] * (len(rows) + 1), **fields)
    for number, (status, denied, reason) in enumerate(rows):
        result.orders.loc[number, ["status", "denied", "reason"]] = [status, denied, reason]
    return result


def test_rejected_orders_are_counted_with_the_first_reason_and_denied_ones_are_not_among_them(made):
    result = refused(
        made,
        ("Rejected", "too many", ""),
        ("Rejected", "", "Trigger price"),
        ("Rejected", "", "Trigger price"),
        ("Margin", "", "Insufficient funds"),
        mode="live",
    )
    assert result.rejected == "3 of 5 orders rejected by Kite: Trigger price (and 1 other reason)"
    assert dict(result.rejections.counts) == {"Trigger price": 2, "Insufficient funds": 1}
    assert result.as_dict()["rejected"] == result.rejected
    assert "rejected: Trigger price" in result.show()
    assert result.rejected in result._repr_html_()


def test_a_run_without_rejections_says_nothing_of_them(made):
    result = refused(made, ("Rejected", "too many", ""), mode="live")
    assert result.rejected == ""
    assert "rejected" not in result.show()


def test_a_simulated_rejection_is_not_said_to_be_kites_own(made):
    assert refused(made, ("Rejected", "", "no"), mode="paper").rejected == "1 of 2 orders rejected as Kite would: no"
