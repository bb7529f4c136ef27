"""``SimBroker(rule="backtrader")``: BackBroker with our manners. Its fills are compared in tests/parity."""

from __future__ import annotations

import backtrader as bt
import pytest

from btkite.brokers.bars import BarRuleBroker
from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.risk.gate import RiskGate
from btkite.risk.ledger import Ledger
from btkite.risk.rules import build_rules
from btkite.testing import bars
from tests.brokers.scene import CALM, DOWN, UP, Order, Planned, buy

LIMIT = Order.Limit


def run(rows, plan, *, gate=None, react=None, broker=None, warmup=0):
    engine = Cerebro(stdstats=False)
    engine.adddata(KiteData(dataname=bars.from_rows(rows), warmup=warmup))
    broker = broker or SimBroker(rule="backtrader", config=Config())
    broker.gate = gate
    engine.setbroker(broker)
    engine.addstrategy(Planned, plan=plan, react=react)
    return engine.run()[0]


def limits(**keys) -> RiskGate:
    return RiskGate(build_rules(keys), Ledger(100_000.0))


def test_it_is_backbroker_and_one_of_ours():
    broker = SimBroker(rule="backtrader", config=Config())
    assert isinstance(broker, BarRuleBroker)
    assert isinstance(broker, bt.brokers.BackBroker)


def test_it_starts_with_the_configured_capital_or_what_it_is_given():
    assert SimBroker(rule="backtrader", config=Config()).getvalue() == 100_000.0
    assert SimBroker(rule="backtrader", config=Config().with_(**{"broker.capital": 5e5})).getcash() == 5e5
    broker = SimBroker(rule="backtrader", config=Config(), cash=7_000.0)
    assert (broker.getcash(), broker.startingcash, broker.startingvalue) == (7_000.0, 7_000.0, 7_000.0)
    broker.setcash(9_000.0)
    assert (broker.getcash(), broker.startingvalue) == (9_000.0, 9_000.0)


def test_what_backbroker_offers_is_still_there():
    broker = SimBroker(rule="backtrader", config=Config(), coc=True)
    broker.set_slippage_perc(0.01)
    broker.setcommission(commission=0.001)
    assert broker.p.coc
    assert broker.p.slip_perc == 0.01


def test_prices_are_not_moved_to_a_tick_and_no_charges_are_ours():
    ran = run([CALM, (100.0, 103.0, 98.0, 102.0), CALM], {1: buy(size=10, exectype=LIMIT, price=98.513)})
    assert ran.prices() == [98.513]
    assert ran.given[0].executed.comm == 0.0


def test_without_a_gate_everything_passes():
    assert run([CALM] * 4, {1: buy(size=900)}).story()[-1] == "Completed"


def test_a_gate_denies_with_its_reason():
    ran = run([CALM] * 4, {1: buy(size=900), 2: buy(size=5)}, gate=limits(max_order_value=1000.0))
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Rejected", "Completed"]
    assert "risk.max_order_value" in ran.given[0].info.denied
    assert ran.broker.gate.summary().startswith("1 of 2 orders denied")


def test_a_bracket_is_denied_as_one_and_leaves_nothing_behind():
    plan = {1: lambda s: s.buy_bracket(size=900, exectype=Order.Market, stopprice=95.0, limitprice=105.0)}
    ran = run([CALM, UP, DOWN, CALM], plan, gate=limits(max_order_value=1000.0))
    assert [ran.story(n) for n in range(3)] == [["Rejected"]] * 3
    assert ran.fills == []
    assert ran.broker.get_orders_open() == []


def test_a_bracket_that_passes_works_as_backbrokers_does():
    plan = {1: lambda s: s.buy_bracket(size=9, exectype=Order.Market, stopprice=95.0, limitprice=101.0)}
    ran = run([CALM, CALM, UP, CALM], plan, gate=limits(max_order_value=1000.0))
    assert ran.prices() == [100.0, 101.0]


def test_an_order_that_reduces_passes_the_limits():
    plan = {1: buy(size=5), 3: lambda s: s.close()}
    ran = run([CALM] * 6, plan, gate=limits(max_daily_trades=1, max_order_value=500.0))
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Completed", "Completed"]


def test_orders_of_the_warm_up_are_denied_if_there_is_a_gate():
    class Eager(Planned):
        def prenext(self):
            self.keep(self.buy(size=1))

    engine = Cerebro(stdstats=False)
    engine.adddata(KiteData(dataname=bars.from_rows([CALM] * 6), warmup=2))
    broker = SimBroker(rule="backtrader", config=Config())
    broker.gate = limits()
    engine.setbroker(broker)
    engine.addstrategy(Eager)
    ran = engine.run()[0]
    assert [order.status for order in ran.given] == [Order.Rejected] * 2
    assert "warm up" in ran.given[0].info.denied


@pytest.mark.parametrize(
    ("change", "fills"),
    [({"price": 98.5}, [(4, 98.5)]), ({"size": 7}, []), ({"size": 7, "price": 98.5}, [(7, 98.5)])],
)
def test_an_order_may_be_changed_in_place(change, fills):
    plan = {1: buy(size=4, exectype=LIMIT, price=90.0), 2: lambda s: s.broker.modify(s.given[0], **change)}
    ran = run([CALM, CALM, UP, CALM], plan)
    assert [(size, price) for _, size, price, _ in ran.fills] == fills
    if not fills:
        assert (ran.given[0].size, ran.given[0].created.size, ran.given[0].executed.remsize) == (7, 7, 7)


def test_a_stop_limit_may_be_changed_on_both_its_prices():
    plan = {
        1: buy(exectype=Order.StopLimit, price=110.0, plimit=111.0),
        2: lambda s: s.broker.modify(s.given[0], price=101.0, plimit=102.0),
    }
    ran = run([CALM, CALM, UP, CALM], plan)
    assert len(ran.fills) == 1


@pytest.mark.parametrize("change", [{"size": 0}, {"size": -1}])
def test_a_change_to_nothing_is_refused(change):
    answers = []
    plan = {
        1: buy(size=4, exectype=LIMIT, price=90.0),
        2: lambda s: answers.append(s.broker.modify(s.given[0], **change)),
    }
    run([CALM] * 4, plan)
    assert answers == [False]


def test_a_change_passes_the_gate_too():
    answers = []
    plan = {
        1: buy(size=4, exectype=LIMIT, price=90.0),
        2: lambda s: answers.extend([s.broker.modify(s.given[0], size=400), s.given[0].size]),
    }
    ran = run([CALM] * 4, plan, gate=limits(max_order_value=1000.0))
    assert answers == [False, 4]
    assert "risk.max_order_value" in ran.given[0].info.denied_change


def test_a_dead_order_can_not_be_changed_and_its_status_can_be_asked():
    answers = []
    plan = {
        1: buy(),
        3: lambda s: answers.extend([s.broker.modify(s.given[0], size=5), s.broker.orderstatus(s.given[0])]),
    }
    run([CALM] * 5, plan)
    assert answers == [False, Order.Completed]
