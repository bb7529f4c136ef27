"""The strategies that come with btkite, over days, with charges: both loops come to the same orders and money."""

from __future__ import annotations

from pathlib import Path

import pytest

from btkite.analyzers import Equity, Orders, Trades
from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.loading import load_strategy
from btkite.simulator import described, made_up

FILES = sorted((Path(__file__).parents[2] / "strategies").glob("*.py"))
SYMBOLS = ("NSE:INFY", "NSE:SBIN")


@pytest.fixture(scope="module")
def candles():
    found, _ = made_up(SYMBOLS, "5minute", seed=5, sessions=8)
    return found


def ran(file, candles, engine):
    cerebro = Cerebro(engine=engine, stdstats=False)
    cerebro.setbroker(SimBroker(rule="path", config=Config()))
    for key, instrument in described(SYMBOLS).items():
        data = KiteData(dataname=candles[key], name=key)
        data.bind(instrument)
        cerebro.adddata(data)
    for analyzer in (Orders, Trades, Equity):
        cerebro.addanalyzer(analyzer)
    cerebro.addstrategy(load_strategy(str(file)))
    (strategy,) = cerebro.run()
    assert cerebro.engine == engine, cerebro.why_stock
    analyzers = strategy.analyzers
    rows = [{**row, "ref": 0, "parent": row["parent"] is not None} for row in analyzers.orders.get_analysis()]
    trades = [{**row, "ref": 0} for row in analyzers.trades.get_analysis()]
    ledger, broker = cerebro.broker.ledger, cerebro.broker
    money = (ledger.peak, ledger.realized, ledger.charges, ledger.day_start_value, ledger.gains, broker.upkeep.most)
    return repr(rows), repr(trades), repr(analyzers.equity.get_analysis()), repr(money), str(broker.overnight)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_strategy_is_the_same_in_both_loops(file, candles):
    fast, stock = ran(file, candles, "fast"), ran(file, candles, "stock")
    assert fast == stock
    assert "'Completed'" in fast[0]
