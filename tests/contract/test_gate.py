"""The contract of brokers: what the gate denies comes back and says why, on every one."""

from __future__ import annotations

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.risk.gate import RiskGate
from btkite.risk.ledger import Ledger
from btkite.risk.rules import build_rules
from btkite.testing import run_strategy
from tests.contract.houses import CALM, DONE, DOWN, STEPS, Noted, ours

Order = bt.Order


@ours  # backtrader's own rule has no gate unless one is given
def test_a_denied_order_comes_back_rejected_and_says_why(house):
    plan = {2: lambda s: s.buy(size=200), 4: lambda s: s.buy(size=5)}
    outcome = house.run(Noted, STEPS, risk={"max_position_pct": 10}, plan=plan)
    ran = outcome.strategy
    assert ran.returned[0] is not None
    assert ran.returned[0].status == Order.Rejected
    assert ran.story(0) == ["Rejected"]
    assert "risk.max_position_pct" in ran.infos[ran.returned[0].ref].denied
    assert ran.story(1) == DONE
    assert [order.denied != "" for order in outcome.orders] == [True, False]
    if house.live:
        assert len(house.orders()) == 1


@ours  # backtrader's own rule has no gate unless one is given
def test_a_bracket_is_denied_as_one(house):
    plan = {2: lambda s: s.buy_bracket(size=200, exectype=Order.Market, stopprice=95.0, limitprice=115.0)}
    ran = house.run(Noted, STEPS, risk={"max_position_pct": 10}, plan=plan).strategy
    assert [ran.story(n) for n in range(3)] == [["Rejected"]] * 3
    assert all(ran.infos[order.ref].denied for order in ran.returned)
    if house.live:
        assert house.orders() == []


@pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])
def test_backtraders_own_rule_takes_a_gate_too(engine):
    """One order, and a bracket as one: denied, notified, never None."""

    class Guarded(Noted):
        def start(self):
            rules = build_rules({"max_order_value": 1000.0})
            self.broker.gate = RiskGate(rules, Ledger(100_000.0))

    plan = {
        2: lambda s: s.buy(size=11),
        3: lambda s: s.buy_bracket(size=12, exectype=Order.Market, stopprice=95.0, limitprice=115.0),
        5: lambda s: s.buy(size=5),
    }
    ran = run_strategy(Guarded, STEPS, rule="backtrader", cerebro=engine(stdstats=False), plan=plan).strategy
    assert [ran.story(n) for n in range(5)] == [["Rejected"]] * 4 + [DONE]
    assert all("risk.max_order_value" in ran.infos[order.ref].denied for order in ran.returned[:4])


@ours  # backtrader's own rule has no gate unless one is given
def test_a_closing_order_passes_every_limit(house):
    plan = {2: lambda s: s.buy(size=50), 4: lambda s: s.buy(size=1), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, risk={"max_daily_trades": 1, "max_position_pct": 50}, plan=plan).strategy
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Rejected", "Completed"]
    assert ran.position.size == 0


@ours  # backtrader's own rule has no gate unless one is given
def test_a_change_beyond_the_limits_leaves_the_order_as_it_was(house):
    plan = {
        2: lambda s: s.buy(size=50, exectype=Order.Limit, price=98.0),
        3: lambda s: s.broker.modify(s.returned[0], size=500),
    }
    ran = house.run(Noted, [CALM] * 5 + [DOWN, CALM], risk={"max_position_pct": 10}, plan=plan).strategy
    order, changed = ran.returned
    assert changed is False
    assert "risk.max_position_pct" in order.info.denied_change
    assert [(size, price) for _, size, price in ran.fills] == [(50, 98.0)]


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda s: s.buy(size=0.4), "less than one"),
        (lambda s: s.buy(size=1, exectype=Order.Close), "no counterpart"),
    ],
    ids=["a part of a share", "Close"],
)
@ours  # backtrader itself does it
def test_what_kite_cannot_do_is_denied_in_every_mode(house, give, words):
    ran = house.run(Noted, STEPS, plan={2: give}).strategy
    assert ran.story() == ["Rejected"]
    assert words in ran.infos[ran.returned[0].ref].denied


@ours  # backtrader itself knows no tick
def test_a_price_off_the_tick_is_moved_to_the_safe_side(house):
    plan = {
        2: lambda s: [
            s.buy(size=1, exectype=Order.Limit, price=98.03),
            s.sell(size=1, exectype=Order.Stop, price=97.01),
        ]
    }
    ran = house.run(Noted, [CALM] * 5 + [DOWN, CALM], plan=plan).strategy
    assert sorted(price for _, _, price in ran.fills) == [97.0, 98.0]


@ours  # it has no gate
def test_orders_of_the_warm_up_are_denied_and_next_waits(house):

    class Eager(Noted):
        def __init__(self):
            super().__init__()
            self.steps = []

        def prenext(self):
            self.returned.append(self.buy(size=1))

        def next(self):
            self.steps.append(len(self))
            if len(self) == 2:
                self.returned.append(self.buy(size=1))

    settings = {"warmup": 4}
    if house.exchange is not None:
        settings["start"] = "2026-11-18 09:19"
    ran = house.run(Eager, STEPS, **settings).strategy
    if house.stock:  # it cannot hold next() back; what is ordered then is denied all the same
        assert ran.steps == list(range(1, 11))
        assert [order.status for order in ran.returned] == [Order.Rejected]
        assert "warm up" in ran.infos[ran.returned[0].ref].denied
        return
    assert ran.steps == list(range(5, 11))
    assert len(ran.returned) == 4
    assert all(order.status == Order.Rejected for order in ran.returned)
    assert "warm up" in ran.infos[ran.returned[0].ref].denied
