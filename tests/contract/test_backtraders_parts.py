"""The contract of brokers: several datas, several strategies, and what backtrader itself builds on a broker."""

from __future__ import annotations

import datetime

import backtrader as bt
import pytest

from tests.contract.houses import STEPS, Noted, an_engine

# ---- several datas, several strategies ----


def test_orders_go_to_the_data_that_they_name(house):
    market = {"NSE:AAA": STEPS, "NSE:BBB": [price * 2 for price in STEPS]}
    plan = {2: lambda s: [s.buy(data=s.datas[1], size=2), s.buy(size=3)]}
    ran = house.run(Noted, market, plan=plan).strategy
    assert sorted((size, price) for _, size, price in ran.fills) == [(2, 202.0), (3, 101.0)]
    assert [ran.getposition(data).size for data in ran.datas] == [3, 2]
    if house.live:
        assert {row["tradingsymbol"]: row["quantity"] for row in house.exchange.positions()} == {"AAA": 3, "BBB": 2}


def test_each_of_several_strategies_hears_of_its_own_orders(house):
    engine = an_engine(house)
    engine.addstrategy(Noted, plan={3: lambda s: s.buy(size=2)})
    house.run(Noted, STEPS, cerebro=engine, plan={5: lambda s: s.buy(size=4)})
    one, other = engine.runstrats[0]
    assert [size for _, size, _ in one.fills] == [2]
    assert [size for _, size, _ in other.fills] == [4]
    assert one.position.size == other.position.size == 6


# ---- what backtrader builds on a broker ----


class Rising(bt.Indicator):
    """1 while the price rises, -1 while it falls."""

    lines = ("signal",)

    def __init__(self):
        self.lines.signal = bt.Cmp(self.data.close, self.data.close(-1))


HILL = [100.0, 100.0, 101.0, 102.0, 103.0, 104.0, 103.0, 102.0, 101.0, 100.0, 100.0, 100.0]


def test_a_signal_strategy_goes_long_and_short(house):
    class Signals(bt.SignalStrategy):
        def __init__(self):
            self.signal_add(bt.SIGNAL_LONGSHORT, Rising(self.data))

    outcome = house.run(Signals, HILL)
    assert [(side, price) for _, _, side, _, price in outcome.fills] == [
        ("BUY", 101.0),
        ("SELL", 103.0),
        ("SELL", 103.0),
    ]
    assert [(trade.side, trade.pnl) for trade in outcome.trades] == [("LONG", 2.0)]
    assert outcome.strategy.position.size == -1


def test_signals_added_to_the_engine_trade(house):
    engine = an_engine(house)
    engine.add_signal(bt.SIGNAL_LONG, Rising)
    engine.signal_accumulate(False)
    outcome = house.run(None, HILL, cerebro=engine)
    assert [(trade.side, trade.pnl) for trade in outcome.trades] == [("LONG", 2.0)]
    assert outcome.strategy.position.size == 0
    assert outcome.final_value == 100_002.0


def test_a_timer_calls_the_strategy(house):
    class Timed(Noted):
        def __init__(self):
            super().__init__()
            self.called = []
            self.add_timer(when=datetime.time(9, 18))

        def notify_timer(self, timer, when, *args, **kwargs):
            self.called.append((when, self.data.datetime.time(0)))
            self.returned.append(self.buy(size=1))

    ran = house.run(Timed, STEPS).strategy
    assert ran.called == [(datetime.datetime(2026, 11, 18, 9, 18), datetime.time(9, 18))]
    assert [price for _, _, price in ran.fills] == [102.0]


class Halves(bt.Sizer):
    """Half of what can be bought."""

    def _getsizing(self, comminfo, cash, data, isbuy):
        return int(cash / data.close[0]) // 2


@pytest.mark.parametrize(
    ("sizer", "size"),
    [
        ((bt.sizers.FixedSize, {"stake": 3}), 3),
        ((bt.sizers.PercentSizerInt, {"percents": 10}), 99),
        (Halves, 495),
    ],
    ids=["fixed", "percent", "custom"],
)
def test_a_sizer_sizes_by_what_the_broker_says(house, sizer, size):
    ran = house.run(Noted, STEPS, sizer=sizer, plan={2: lambda s: s.buy()}).strategy
    assert [bought for _, bought, _ in ran.fills] == [size]


BUILT_IN = (
    bt.analyzers.AnnualReturn,
    bt.analyzers.Calmar,
    bt.analyzers.DrawDown,
    bt.analyzers.GrossLeverage,
    bt.analyzers.LogReturnsRolling,
    bt.analyzers.PeriodStats,
    bt.analyzers.PositionsValue,
    bt.analyzers.PyFolio,
    bt.analyzers.Returns,
    bt.analyzers.SQN,
    bt.analyzers.SharpeRatio,
    bt.analyzers.SharpeRatio_A,
    bt.analyzers.TimeDrawDown,
    bt.analyzers.TimeReturn,
    bt.analyzers.TradeAnalyzer,
    bt.analyzers.Transactions,
    bt.analyzers.VWR,
)


def test_backtraders_own_analyzers_see_the_run(house):
    plan = {2: lambda s: s.buy(size=5), 6: lambda s: s.close(), 8: lambda s: s.buy(size=2)}
    engine = an_engine(house)
    engine.addobserver(bt.observers.Broker)  # AnnualReturn reads it
    ran = house.run(Noted, STEPS, cerebro=engine, analyzers=BUILT_IN, plan=plan).strategy
    for kind in BUILT_IN:
        assert ran.analyzers.getbyname(kind.__name__.lower()).get_analysis() is not None, kind
    trades = ran.analyzers.tradeanalyzer.get_analysis()
    assert (trades.total.total, trades.total.open, trades.total.closed, trades.won.pnl.total) == (2, 1, 1, 20.0)
    done = [row[0][:2] for row in ran.analyzers.transactions.get_analysis().values()]
    assert done == [[5, 101.0], [-5, 105.0], [2, 107.0]]
    assert ran.analyzers.sqn.get_analysis().trades == 1
    returns, positions, transactions, leverage = ran.analyzers.pyfolio.get_pf_items()
    assert len(returns) == 1
    assert len(transactions) == 3
    assert returns.iloc[0] == pytest.approx(ran.broker.getvalue() / 100_000.0 - 1)
    assert not positions.empty
    assert not leverage.empty


OBSERVERS = (
    bt.observers.Broker,
    bt.observers.BuySell,
    bt.observers.Cash,
    bt.observers.DrawDown,
    bt.observers.FundShares,
    bt.observers.FundValue,
    bt.observers.LogReturns,
    bt.observers.TimeReturn,
    bt.observers.Trades,
    bt.observers.Value,
)


def test_observers_watch_the_run(house):
    engine = an_engine(house)
    for observer in OBSERVERS:
        engine.addobserver(observer)
    plan = {2: lambda s: s.buy(size=5), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, cerebro=engine, plan=plan).strategy
    found = {type(observer): observer for observer in ran.observers}
    assert set(found) == set(OBSERVERS)
    values = found[bt.observers.Value].array
    assert list(values)[: len(STEPS)] == [100_000.0] * 2 + [100_005.0 + 5 * n for n in range(3)] + [100_020.0] * 5
    assert 20.0 in list(found[bt.observers.Trades].lines.pnlplus.array)
    bought = [price for price in found[bt.observers.BuySell].lines.buy.array if price == price]
    assert len(bought) == 1


def test_a_writer_writes_the_run(house, tmp_path):
    engine = an_engine(house)
    page = tmp_path / "run.csv"
    engine.addwriter(bt.WriterFile, csv=True, out=str(page), rounding=2)
    engine.addobserver(bt.observers.Broker)
    house.run(Noted, STEPS, cerebro=engine, plan={2: lambda s: s.buy(size=5)})
    text = page.read_text()
    rows = [line.split(",") for line in text.splitlines() if line[:1].isdigit()]
    assert len(rows) == len(STEPS)
    assert [float(row[rows_of(text, "close")]) for row in rows] == STEPS
    assert "Noted" in text
    assert "Analyzers" in text


def rows_of(text: str, column: str) -> int:
    header = next(line for line in text.splitlines() if line.startswith("Id,"))
    return header.split(",").index(column)
