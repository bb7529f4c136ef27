from __future__ import annotations

import pickle
from datetime import datetime, timedelta

import backtrader as bt
import pandas as pd
import pytest

from btkite.analyzers import EQUITY_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, Equity, Orders, Trades, moment
from btkite.values import Denial, Instrument

BOTH = pytest.mark.parametrize("quicknotify", [False, True])


def feed(closes, name="X", first="2026-11-18 09:16", instrument=None):
    table = pd.DataFrame({"open": closes, "high": closes, "low": closes, "close": closes}, dtype="float64")
    table["volume"], table["openinterest"] = 1000.0, 0.0
    table.index = pd.date_range(first, periods=len(closes), freq="min")
    data = bt.feeds.PandasData(dataname=table, timeframe=bt.TimeFrame.Minutes, name=name)
    data.instrument = instrument
    return data


class Script(bt.Strategy):
    """Does what it is told on each bar: ``{bar: callable(strategy)}``."""

    params = (("script", {}), ("warm", 1))

    def __init__(self):
        if self.p.warm > 1:
            bt.ind.SMA(self.data.close, period=self.p.warm)

    def next(self):
        action = self.p.script.get(len(self))
        if action:
            action(self)


def run(script, *feeds, quicknotify=False, cash=100_000.0, broker=None, commission=0.0, warm=1, **equity):
    cerebro = bt.Cerebro(stdstats=False, quicknotify=quicknotify)
    if broker is not None:
        cerebro.broker = broker
    cerebro.broker.setcash(cash)
    cerebro.broker.setcommission(commission=commission)
    for data in feeds:
        cerebro.adddata(data)
    cerebro.addanalyzer(Orders)
    cerebro.addanalyzer(Trades)
    cerebro.addanalyzer(Equity, **equity)
    cerebro.addstrategy(Script, script=script, warm=warm)
    (ran,) = cerebro.run()
    return ran.analyzers


class Slices(bt.brokers.BackBroker):
    """Fills at most ten units a bar, so that one order is notified several times."""

    def __init__(self):
        super().__init__()
        self.set_filler(bt.fillers.FixedSize(size=10))


@BOTH
def test_an_order_has_one_row_with_its_whole_life(quicknotify):
    found = run({2: lambda s: s.buy(size=7)}, feed([100.0, 101.0, 102.0, 103.0]), quicknotify=quicknotify)
    (row,) = found.orders.get_analysis()
    assert {name: row[name] for name in ("symbol", "side", "exectype", "size", "status")} == {
        "symbol": "X",
        "side": "BUY",
        "exectype": "Market",
        "size": 7,
        "status": "Completed",
    }
    assert row["created"] == datetime(2026, 11, 18, 9, 17)
    assert row["updated"] == datetime(2026, 11, 18, 9, 18)
    assert (row["executed_size"], row["executed_price"]) == (7, 102.0)
    assert row["price"] is None
    assert row["denied"] == ""


@BOTH
def test_prices_of_limits_stops_and_stop_limits(quicknotify):
    def give(s):
        s.buy(size=1, exectype=bt.Order.Limit, price=90.0, valid=timedelta(minutes=2), tag="abc", product="MIS")
        s.sell(size=2, exectype=bt.Order.Stop, price=80.0)
        s.buy(size=3, exectype=bt.Order.StopLimit, price=120.0, plimit=121.0)

    found = run({1: give}, feed([100.0] * 6), quicknotify=quicknotify)
    limit, stop, both = found.orders.get_analysis()
    assert (limit["price"], limit["plimit"], limit["status"]) == (90.0, None, "Expired")
    assert limit["valid"] == datetime(2026, 11, 18, 9, 18)
    assert (limit["tag"], limit["product"]) == ("abc", "MIS")
    assert (stop["side"], stop["size"], stop["price"], stop["status"]) == ("SELL", 2, 80.0, "Accepted")
    assert (both["exectype"], both["price"], both["plimit"]) == ("StopLimit", 120.0, 121.0)


@BOTH
def test_children_name_their_parent(quicknotify):
    def bracket(s):
        s.buy_bracket(size=5, exectype=bt.Order.Market, stopprice=90.0, limitprice=110.0)

    found = run({1: bracket}, feed([100.0, 100.0, 111.0, 111.0, 111.0]), quicknotify=quicknotify)
    parent, stop, target = found.orders.get_analysis()
    assert parent["parent"] is None
    assert stop["parent"] == target["parent"] == parent["ref"]
    assert [row["status"] for row in (parent, stop, target)] == ["Completed", "Canceled", "Completed"]


@BOTH
def test_partial_fills_are_counted_once(quicknotify):
    script = {1: lambda s: s.buy(size=25), 6: lambda s: s.sell(size=25)}
    closes = [100.0, 100.0, 110.0, 120.0, 130.0, 130.0, 140.0, 150.0, 160.0, 160.0]
    found = run(script, feed(closes), quicknotify=quicknotify, broker=Slices(), commission=0.01)
    buy, sell = found.orders.get_analysis()
    assert (buy["executed_size"], buy["status"]) == (25, "Completed")
    assert buy["executed_price"] == pytest.approx((10 * 100 + 10 * 110 + 5 * 120) / 25)
    assert buy["commission"] == pytest.approx((1000 + 1100 + 600) * 0.01)
    (trade,) = found.trades.get_analysis()
    assert (trade["side"], trade["size"]) == ("LONG", 25)
    assert trade["entry_price"] == pytest.approx(108.0)
    assert trade["exit_price"] == pytest.approx((10 * 140 + 10 * 150 + 5 * 160) / 25)
    assert trade["pnl"] == pytest.approx(25 * (trade["exit_price"] - trade["entry_price"]))
    assert trade["commission"] == pytest.approx(buy["commission"] + sell["commission"])
    assert trade["pnlcomm"] == pytest.approx(trade["pnl"] - trade["commission"])
    assert trade["entry_time"] == datetime(2026, 11, 18, 9, 17)
    assert trade["exit_time"] == datetime(2026, 11, 18, 9, 24)


@BOTH
def test_an_order_cancelled_after_a_part_keeps_what_was_filled(quicknotify):
    script = {1: lambda s: setattr(s, "mine", s.buy(size=25)), 3: lambda s: s.cancel(s.mine)}
    found = run(script, feed([100.0] * 6), quicknotify=quicknotify, broker=Slices())
    (row,) = found.orders.get_analysis()
    assert (row["status"], row["executed_size"], row["executed_price"]) == ("Canceled", 20, 100.0)


@BOTH
def test_scaling_in_and_out_is_one_trade(quicknotify):
    script = {
        1: lambda s: s.buy(size=10),
        2: lambda s: s.buy(size=30),
        3: lambda s: s.sell(size=20),
        4: lambda s: s.sell(size=20),
    }
    found = run(script, feed([100.0, 100.0, 120.0, 130.0, 150.0, 150.0]), quicknotify=quicknotify)
    (trade,) = found.trades.get_analysis()
    assert (trade["size"], trade["entry_price"], trade["exit_price"]) == (40, 115.0, 140.0)
    assert trade["pnl"] == pytest.approx(1000.0)
    assert trade["bars"] == 3


@BOTH
def test_an_order_that_reverses_closes_one_trade_and_opens_another(quicknotify):
    script = {1: lambda s: s.buy(size=10), 2: lambda s: s.sell(size=25), 3: lambda s: s.buy(size=15)}
    found = run(script, feed([100.0, 100.0, 110.0, 90.0, 90.0]), quicknotify=quicknotify)
    long, short = found.trades.get_analysis()
    assert (long["side"], long["size"], long["entry_price"], long["exit_price"]) == ("LONG", 10, 100.0, 110.0)
    assert (short["side"], short["size"], short["entry_price"], short["exit_price"]) == ("SHORT", 15, 110.0, 90.0)
    assert (long["pnl"], short["pnl"]) == (100.0, 300.0)


@BOTH
def test_trades_of_several_feeds_do_not_mix(quicknotify):
    def both(s):
        s.buy(data=s.data0, size=1)
        s.sell(data=s.data1, size=2)

    def out(s):
        s.close(data=s.data0)
        s.close(data=s.data1)

    found = run(
        {1: both, 3: out},
        feed([10.0, 10.0, 11.0, 12.0, 12.0], "A"),
        feed([20.0, 20.0, 19.0, 18.0, 18.0], "B", instrument=Instrument("NSE", "INFY")),
        quicknotify=quicknotify,
    )
    assert {(t["symbol"], t["side"], t["size"], t["pnl"]) for t in found.trades.get_analysis()} == {
        ("A", "LONG", 1, 2.0),
        ("NSE:INFY", "SHORT", 2, 4.0),
    }


class Denies(bt.brokers.BackBroker):
    """Refuses everything, the way a gate marks it."""

    def submit(self, order, check=True):
        order.addinfo(denied=Denial("max_orders", "5 entries today, the limit is 5", key="risk.max_orders"))
        order.submit(self)
        order.reject(self)
        self.notify(order)
        return order


@BOTH
def test_a_denied_order_says_why_and_by_which_rule(quicknotify):
    found = run({1: lambda s: s.buy(size=1)}, feed([100.0] * 3), quicknotify=quicknotify, broker=Denies())
    (row,) = found.orders.get_analysis()
    assert (row["status"], row["rule"]) == ("Rejected", "max_orders")
    assert row["denied"] == "5 entries today, the limit is 5 (risk.max_orders)"


@BOTH
def test_an_order_of_the_last_bar_is_in_the_log(quicknotify):
    found = run({4: lambda s: s.buy(size=3)}, feed([100.0] * 4), quicknotify=quicknotify)
    (row,) = found.orders.get_analysis()
    assert (row["size"], row["status"], row["executed_size"]) == (3, "Submitted", 0)


class Adopts(bt.brokers.BackBroker):
    """An account that held ten shares at 100 before the run: told by a simulated order, as live brokers do."""

    told = False

    def next(self):
        super().next()
        if self.told:
            return
        self.told, data = True, self.cerebro.datas[0]
        order = bt.order.BuyOrder(
            data=data,
            size=10,
            price=100.0,
            exectype=bt.Order.Market,
            simulated=True,  # no owner: the first strategy
        )
        order.addcomminfo(self.getcommissioninfo(data))
        order.addinfo(adopted=True)
        self.positions[data].update(10, 100.0)
        now = data.datetime[0]  # when it is told, not when it was bought
        order.execute(now, 10, 100.0, 0, 0.0, 0.0, 10, 1000.0, 0.0, 0.0, 0.0, 10, 100.0)
        order.completed()
        self.notify(order)


@BOTH
def test_a_position_that_was_there_before_is_a_trade_when_it_is_closed(quicknotify):
    found = run({2: lambda s: s.close()}, feed([110.0] * 4), quicknotify=quicknotify, broker=Adopts())
    (trade,) = found.trades.get_analysis()
    assert (trade["side"], trade["size"], trade["entry_price"], trade["exit_price"]) == ("LONG", 10, 100.0, 110.0)
    assert trade["entry_time"] is None
    assert trade["pnl"] == 100.0
    assert [row["side"] for row in found.orders.get_analysis()] == ["SELL"], "what was held was not ordered here"


def test_the_curve_has_one_row_per_bar_with_the_value_at_its_end():
    found = run({1: lambda s: s.buy(size=100)}, feed([100.0, 100.0, 110.0, 90.0]))
    curve = found.equity.frame()
    assert tuple(curve.columns) == EQUITY_COLUMNS
    assert list(curve["value"]) == [100_000.0, 100_000.0, 101_000.0, 99_000.0]
    assert list(curve["cash"]) == [100_000.0, 90_000.0, 90_000.0, 90_000.0]
    assert list(curve["positions"]) == [0, 1, 1, 1]
    assert list(curve["datetime"]) == list(pd.date_range("2026-11-18 09:16", periods=4, freq="min"))
    assert found.equity.start_value == 100_000.0


def test_warm_up_bars_are_left_out_unless_asked_for():
    closes = [100.0] * 10
    assert len(run({}, feed(closes), warm=4).equity.frame()) == 7
    assert len(run({}, feed(closes), warm=4, warmup=True).equity.frame()) == 10


def test_bars_of_several_feeds_at_one_instant_make_one_row():
    found = run({}, feed([1.0] * 5, "A"), feed([2.0] * 4, "B", first="2026-11-18 09:17"))
    times = list(found.equity.frame()["datetime"])
    assert len(times) == len(set(times)) == 4


def test_frames_of_a_run_without_orders_have_their_columns():
    found = run({}, feed([100.0] * 3))
    assert tuple(found.orders.frame().columns) == ORDER_COLUMNS
    assert tuple(found.trades.frame().columns) == TRADE_COLUMNS
    assert len(found.orders.frame()) == len(found.trades.frame()) == 0
    assert found.orders.frame()["created"].dtype == "datetime64[ms]"


def test_times_are_exact_to_the_millisecond():
    for stamp in pd.date_range("2026-11-18 09:15", periods=400, freq="61001ms"):
        expected = stamp.to_pydatetime()
        assert moment(bt.date2num(expected)) == expected
    assert moment(0.0) is None
    assert moment(None) is None


def test_every_minute_of_the_curve_is_exact():
    curve = run({}, feed([1.0] * 375)).equity.frame()
    assert list(curve["datetime"]) == list(pd.date_range("2026-11-18 09:16", periods=375, freq="min"))


@pytest.mark.parametrize("name", ["orders", "trades", "equity"])
def test_an_analysis_can_be_sent_to_another_process(name):
    found = run({1: lambda s: s.buy(size=1), 3: lambda s: s.close()}, feed([100.0] * 6))
    analysis = getattr(found, name).get_analysis()
    assert pickle.loads(pickle.dumps(analysis)) == analysis


@BOTH
def test_trades_agree_with_backtraders_own_analyzer(quicknotify):
    import random

    rng = random.Random(5)
    closes = [100.0]
    for _ in range(300):
        closes.append(round(closes[-1] * (1 + rng.gauss(0, 0.002)), 2))

    def act(s):
        s.order_target_size(target=rng.choice([-20, -5, 0, 0, 7, 15]))

    cerebro = bt.Cerebro(stdstats=False, quicknotify=quicknotify)
    cerebro.broker.setcash(100_000)
    cerebro.broker.setcommission(commission=0.0005)
    cerebro.adddata(feed(closes))
    for kind in (Orders, Trades, Equity, bt.analyzers.TradeAnalyzer):
        cerebro.addanalyzer(kind)
    cerebro.addstrategy(Script, script=dict.fromkeys(range(1, 301), act))
    (ran,) = cerebro.run()
    mine, theirs = ran.analyzers.trades.get_analysis(), ran.analyzers.tradeanalyzer.get_analysis()
    assert len(mine) == theirs.total.closed > 50
    assert sum(t["pnlcomm"] for t in mine) == pytest.approx(theirs.pnl.net.total)
    assert sum(t["pnl"] for t in mine) == pytest.approx(theirs.pnl.gross.total)
    for trade in mine:
        sign = 1 if trade["side"] == "LONG" else -1
        assert trade["pnl"] == pytest.approx(sign * trade["size"] * (trade["exit_price"] - trade["entry_price"]))
    filled = sum(row["commission"] for row in ran.analyzers.orders.get_analysis())
    assert filled >= sum(t["commission"] for t in mine)
