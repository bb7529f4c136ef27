"""SimBroker on data that is not ours: a script that was written for backtrader keeps its feeds."""

from __future__ import annotations

from datetime import datetime, timedelta

import backtrader as bt
import pandas as pd
import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.testing import bars
from tests.brokers.scene import CALM, DOWN, UP, Order, Planned, buy

FREE = {"risk.enabled": False, "broker.charges": False}
engines = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])


def frame(rows, starts) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=pd.DatetimeIndex(starts))
    return table.assign(volume=1000)


def minutes(rows, first=datetime(2026, 11, 18, 9, 16)) -> bt.feeds.PandasData:
    starts = [first + timedelta(minutes=n) for n in range(len(rows))]
    return bt.feeds.PandasData(dataname=frame(rows, starts), timeframe=bt.TimeFrame.Minutes, compression=1)


def days(rows, first="2026-11-16") -> bt.feeds.PandasData:
    return bt.feeds.PandasData(dataname=frame(rows, pd.bdate_range(first, periods=len(rows))))


def run(engine, feeds, plan, *, react=None, prepare=None, **config):
    cerebro = engine(stdstats=False)
    for number, feed in enumerate(feeds if isinstance(feeds, list) else [feeds]):
        cerebro.adddata(feed, name=f"data{number}" if feed._name in ("", None) else None)
    broker = SimBroker(config=Config().with_(**{**FREE, **config}))
    if prepare is not None:
        prepare(broker)
    cerebro.setbroker(broker)
    cerebro.addstrategy(Planned, plan=plan, react=react)
    return cerebro.run()[0]


@engines
@pytest.mark.parametrize(
    ("give", "time", "price"),
    [
        (buy(), "09:16:00", 100.0),
        (buy(exectype=Order.Limit, price=98.5), "09:16:20", 98.5),
        (buy(exectype=Order.Stop, price=102.5), "09:16:40", 102.5),
        (buy(exectype=Order.StopLimit, price=101.0, plimit=101.5), "09:16:40", 101.0),
    ],
)
def test_orders_trade_on_the_path_of_any_datas_bars(engine, give, time, price):
    ran = run(engine, minutes([CALM, UP, CALM]), {1: give})
    assert list(zip(ran.times(), ran.prices(), strict=True)) == [(time, price)]


@engines
def test_a_bracket_on_any_data_takes_the_path_inside_the_bar(engine):
    plan = {1: lambda s: s.buy_bracket(size=1, price=98.5, stopprice=97.0, limitprice=101.0)}
    ran = run(engine, minutes([CALM, UP, CALM]), plan)
    assert ran.prices() == [98.5, 101.0]


@engines
def test_the_same_candles_give_the_same_fills_as_kitedata(engine):
    rows = [CALM, UP, DOWN, (99.0, 101.0, 97.0, 100.0), CALM] * 3
    plan = {
        2: lambda s: s.buy_bracket(size=2, price=98.5, stopprice=97.5, limitprice=102.5),
        6: lambda s: s.sell(size=1, exectype=Order.Stop, price=98.2),
        9: lambda s: s.buy(size=1, exectype=Order.StopLimit, price=102.2, plimit=101.5),
        12: lambda s: s.close(),
    }
    foreign = run(engine, minutes(rows), plan)
    ours = run(engine, KiteData(dataname=bars.from_rows(rows)), plan)
    assert foreign.fills
    assert [fill[1:] for fill in foreign.fills] == [fill[1:] for fill in ours.fills]
    assert foreign.broker.getvalue() == ours.broker.getvalue()


@engines
def test_a_csv_file_of_backtraders_kind(engine, tmp_path):
    lines = [
        f"2026-11-{16 + n:02d},{o},{h},{low},{c},1000,0" for n, (o, h, low, c) in enumerate([CALM, UP, DOWN, CALM])
    ]
    path = tmp_path / "spy.csv"
    path.write_text("Date,Open,High,Low,Close,Volume,OpenInterest\n" + "\n".join(lines) + "\n")
    data = bt.feeds.GenericCSVData(dataname=str(path), dtformat="%Y-%m-%d", openinterest=6)
    ran = run(engine, data, {1: buy(exectype=Order.Limit, price=98.5)})
    assert ran.prices() == [98.5]


@engines
def test_a_day_bars_order_works_on_the_next_bar_whatever_day_that_is(engine):
    """Given on Friday's bar, it meets Monday's."""
    ran = run(engine, days([CALM] * 5 + [UP, CALM]), {5: buy(exectype=Order.Limit, price=98.5)})
    assert ran.story() == ["Submitted", "Accepted", "Completed"]
    assert ran.prices() == [98.5]


@engines
def test_an_unfilled_order_of_day_bars_ends_with_the_bar_that_it_met(engine):
    ran = run(engine, days([CALM] * 5 + [CALM, UP, CALM]), {5: buy(exectype=Order.Limit, price=98.5)})
    assert ran.story()[-1] == "Expired"
    ran = run(engine, days([CALM] * 5 + [CALM, UP, CALM]), {5: buy(exectype=Order.Limit, price=98.5, carry=True)})
    assert ran.prices() == [98.5]


@engines
def test_an_order_on_the_last_minute_of_a_day_meets_the_next_days_open(engine):
    rows = [CALM] * 3 + [(105.0, 106.0, 104.0, 105.0)] * 3
    starts = [datetime(2026, 11, 18, 15, 28 + n) for n in range(3)] + [
        datetime(2026, 11, 19, 9, 16 + n) for n in range(3)
    ]
    data = bt.feeds.PandasData(dataname=frame(rows, starts), timeframe=bt.TimeFrame.Minutes, compression=1)
    ran = run(engine, data, {3: buy()})
    assert ran.prices() == [105.0]
    assert ran.fills[0][3].date().day == 19


@engines
def test_an_order_that_met_a_days_prints_ends_with_that_day(engine):
    rows = [CALM] * 3 + [UP] * 3
    starts = [datetime(2026, 11, 18, 15, 28 + n) for n in range(3)] + [
        datetime(2026, 11, 19, 9, 16 + n) for n in range(3)
    ]
    data = bt.feeds.PandasData(dataname=frame(rows, starts), timeframe=bt.TimeFrame.Minutes, compression=1)
    ran = run(engine, data, {1: buy(exectype=Order.Limit, price=98.5)})
    assert ran.story()[-1] == "Expired"
    ran = run(engine, data, {1: buy(exectype=Order.Limit, price=98.5, valid=timedelta(days=2))})
    assert ran.prices() == [98.5]


@engines
def test_a_commission_that_was_set_is_charged(engine):
    ran = run(
        engine,
        minutes([CALM] * 4),
        {1: buy(size=10), 2: lambda s: s.close()},
        prepare=lambda broker: broker.setcommission(commission=0.001),
    )
    assert [order.executed.comm for order in ran.given] == [1.0, 1.0]
    assert ran.broker.getvalue() == 100_000.0 - 2.0
    assert ran.trades[0].pnlcomm == -2.0


@engines
def test_a_multiplier_that_was_set_counts_in_the_book(engine):
    ran = run(
        engine,
        minutes([CALM, CALM, (105.0,) * 4, (105.0,) * 4]),
        {1: buy(size=2)},
        prepare=lambda broker: broker.setcommission(mult=50.0),
    )
    assert ran.broker.getvalue() == 100_000.0 + 2 * 5 * 50
    assert ran.broker.ledger.position(":data0").multiplier == 50.0


@engines
def test_of_data_without_an_exchange_nothing_is_charged_by_itself(engine):
    ran = run(engine, minutes([CALM] * 4), {1: buy(size=10)}, **{"broker.charges": True})
    assert ran.broker.getvalue() == 100_000.0


@engines
def test_several_datas_and_a_late_starter(engine):
    late = minutes([UP] * 3, datetime(2026, 11, 18, 9, 18))
    plan = {3: lambda s: [s.buy(data=s.datas[1], size=1), s.buy(data=s.datas[0], size=2)]}  # when both are there
    ran = run(engine, [minutes([CALM] * 6), late], plan)
    assert sorted((size, price) for _, size, price, _ in ran.fills) == [(1, 100.0), (2, 100.0)]


@engines
def test_kitedata_beside_foreign_data(engine):
    ours = KiteData(dataname=bars.from_rows([CALM, UP, CALM], symbol="NSE:AAA"))
    plan = {1: lambda s: [s.buy(data=data, size=1, exectype=Order.Limit, price=98.5) for data in s.datas]}
    ran = run(engine, [ours, minutes([CALM, UP, CALM])], plan)
    assert ran.prices() == [98.5, 98.5]


def test_a_frame_in_kites_columns_without_a_symbol():
    table = bars.from_rows([CALM, UP, CALM]).frame()
    for engine in (Cerebro, bt.Cerebro):
        ran = run(
            engine,
            KiteData(dataname=table, interval="minute"),
            {1: buy(exectype=Order.Limit, price=98.5)},
            **{"broker.charges": True},
        )
        assert ran.prices() == [98.5]


def test_on_a_stock_cerebro_an_answer_comes_a_bar_later_than_on_ours():
    def react(s, order):
        if order.status == Order.Completed and order.isbuy():
            return s.sell(size=1)

    ours, stock = (
        run(engine, KiteData(dataname=bars.from_rows([CALM, UP, CALM])), {1: buy()}, react=react)
        for engine in (Cerebro, bt.Cerebro)
    )
    assert ours.times(0) == stock.times(0)
    assert (ours.times(1), stock.times(1)) == (["09:16:20"], ["09:17:00"])


@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize("preload", [True, False])
@engines
def test_fills_do_not_depend_on_how_the_engine_runs(engine, preload, runonce):
    cerebro = engine(stdstats=False, preload=preload, runonce=runonce)
    cerebro.adddata(KiteData(dataname=bars.from_rows([CALM, UP, DOWN, CALM])))
    cerebro.setbroker(SimBroker(config=Config().with_(**FREE)))
    plan = {1: lambda s: s.buy_bracket(size=1, price=98.5, stopprice=97.0, limitprice=101.0), 2: buy()}
    cerebro.addstrategy(Planned, plan=plan)
    ran = cerebro.run()[0]
    assert [(size, price) for _, size, price, _ in ran.fills] == [(1, 98.5), (-1, 101.0), (1, 100.0)]
