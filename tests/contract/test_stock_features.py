"""optstrategy in two processes, writers and PyFolio, with our feed and broker, on our Cerebro and on the stock one."""

from __future__ import annotations

import backtrader as bt
import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.store import KiteStore
from btkite.testing import bars

ENGINES = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])
RULES = pytest.mark.parametrize("rule", ["path", "backtrader"])
CONFIG = Config().with_(**{"risk.enabled": False, "broker.charges": True})


class Crosses(bt.Strategy):
    params = (("fast", 3), ("slow", 9))

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if self.cross > 0 and not self.position:
            self.buy(size=10)
        elif self.cross < 0 and self.position:
            self.close()


class EndValue(bt.Analyzer):
    def stop(self):
        self.rets = {"value": self.strategy.broker.getvalue(), "bars": len(self.strategy)}


def prepared(engine, rule, **params):
    cerebro = engine(stdstats=False, **params)
    for number, name in enumerate(("whipsaw", "sideways")):
        key = f"NSE:{'AB'[number]}"
        cerebro.adddata(KiteData(dataname=bars(name, symbol=key, count=200)), name=key)
    cerebro.setbroker(SimBroker(rule=rule, config=CONFIG, cash=50_000.0))
    cerebro.addanalyzer(EndValue)
    return cerebro


def results(runs):
    return {
        (run.p.fast, run.p.slow): (
            run.analyzers.endvalue.get_analysis()["value"],
            run.analyzers.endvalue.get_analysis()["bars"],
        )
        for (run,) in runs
    }


@ENGINES
@RULES
@pytest.mark.parametrize(
    "settings", [{}, {"optdatas": False}, {"runonce": False}], ids=["as is", "no optdatas", "next"]
)
def test_optimising_in_two_processes_gives_what_single_runs_give(engine, rule, settings):
    cerebro = prepared(engine, rule, **settings)
    cerebro.optstrategy(Crosses, fast=(3, 4), slow=(9, 12))
    found = results(cerebro.run(maxcpus=2))
    assert len(found) == 4
    assert len({value for value, _ in found.values()}) > 1
    for (fast, slow), value in found.items():
        single = prepared(engine, rule)
        single.addstrategy(Crosses, fast=fast, slow=slow)
        assert results([single.run()])[fast, slow] == value


@ENGINES
def test_optimising_works_with_a_store_too(engine, tmp_path):
    store = KiteStore(config=CONFIG, cache=str(tmp_path))
    for key in ("NSE:A", "NSE:B"):
        store.cache.write(bars("whipsaw", symbol=key, count=200))
    cerebro = engine(stdstats=False)
    for key in ("NSE:A", "NSE:B"):
        cerebro.adddata(store.getdata(key, interval="minute"), name=key)
    cerebro.setbroker(store.getbroker())
    cerebro.addanalyzer(EndValue)
    cerebro.optstrategy(Crosses, fast=(3, 4, 5))
    found = results(cerebro.run(maxcpus=2))
    assert len(found) == 3
    assert len({value for value, _ in found.values()}) > 1


@ENGINES
@RULES
def test_a_run_may_be_repeated(engine, rule):
    cerebro = prepared(engine, rule)
    cerebro.addstrategy(Crosses)
    first, second = results([cerebro.run()]), results([cerebro.run()])
    assert first == second
    assert first[3, 9][0] != 50_000.0


@ENGINES
@RULES
def test_a_writer_writes_every_bar_and_what_analyzers_found(engine, rule, tmp_path):
    cerebro = prepared(engine, rule)
    cerebro.addobserver(bt.observers.Broker)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer)
    page = tmp_path / "run.csv"
    cerebro.addwriter(bt.WriterFile, csv=True, out=str(page), rounding=4)
    cerebro.addstrategy(Crosses)
    (ran,) = cerebro.run()
    lines = page.read_text().splitlines()
    header = next(line for line in lines if line.startswith("Id,")).split(",")
    rows = [line.split(",") for line in lines if line.split(",")[0].isdigit()]
    assert len(rows) == 200
    assert [row[header.index("datetime")] for row in (rows[0], rows[-1])] == [
        "2026-11-18 09:16:00",
        "2026-11-18 12:35:00",
    ]
    assert float(rows[-1][header.index("value")]) == pytest.approx(ran.broker.getvalue())
    assert any("tradeanalyzer" in line for line in lines)
    assert any("Crosses" in line for line in lines)


@ENGINES
@RULES
def test_pyfolio_gets_its_frames(engine, rule):
    cerebro = prepared(engine, rule)
    cerebro.addanalyzer(bt.analyzers.PyFolio, _name="pyfolio")
    cerebro.addstrategy(Crosses)
    (ran,) = cerebro.run()
    returns, positions, transactions, leverage = ran.analyzers.pyfolio.get_pf_items()
    assert returns.iloc[-1] == pytest.approx(ran.broker.getvalue() / 50_000.0 - 1)
    assert set(positions.columns) == {"NSE:B", "cash"}  # backtrader's PyFolio keeps the last data's only
    assert set(transactions["symbol"]) == {"NSE:A"}
    assert transactions["amount"].abs().eq(10).all()
    assert len(leverage) == len(positions)
