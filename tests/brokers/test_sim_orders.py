"""SimBroker on bars: frictions, sizes, prices, changes, and any flow of orders."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.brokers.bars import BarRuleBroker
from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import ConfigError
from btkite.feed import KiteData
from btkite.testing import bars, run_strategy
from tests.brokers.scene import CALM, UP, Order, Planned, buy, overnight, play, sell

LIMIT, STOP, STOPLIMIT = Order.Limit, Order.Stop, Order.StopLimit
HIGH = (105.0, 106.0, 104.0, 105.5)
LOW = (95.0, 96.0, 94.0, 94.5)

# ---- frictions ----


@pytest.mark.parametrize(
    ("give", "price"),
    [
        (buy(), 100.1),
        (sell(), 99.9),
        (buy(exectype=STOP, price=101.0), 101.1),
        (sell(exectype=STOP, price=99.0), 98.9),
        (buy(exectype=LIMIT, price=99.0), 99.0),
        (buy(exectype=STOPLIMIT, price=101.0, plimit=101.05), 101.05),
        (buy(exectype=STOPLIMIT, price=101.0, plimit=102.0), 101.1),
        (sell(exectype=STOPLIMIT, price=99.0, plimit=98.95), 98.95),
    ],
)
def test_slippage_moves_market_orders_and_stops_but_no_limit_beyond_itself(give, price):
    ran = play([CALM, UP, CALM], {1: give}, config={"broker.slippage_ticks": 2})
    assert ran.prices() == [price]


@pytest.mark.parametrize(
    ("latency", "at"),
    [(5.0, "09:16:20"), (20.0, "09:16:20"), (21.0, "09:16:40"), (0.2, "09:16:20"), (60.0, "09:17:00")],
)
def test_latency_lets_an_order_arrive_later(latency, at):
    ran = play([CALM] * 5, {1: buy()}, config={"broker.latency": latency})
    assert ran.times() == [at]


def test_an_order_on_its_way_may_be_cancelled_and_changed():
    def give(s):
        first, second = s.buy(size=1), s.buy(size=1)
        s.cancel(first)
        s.broker.modify(second, size=2)
        return [first, second]

    ran = play([CALM] * 5, {1: give}, config={"broker.latency": 30})
    assert [size for _, size, _, _ in ran.fills] == [2]


def test_an_order_whose_way_leads_past_the_close_waits_for_the_next_open():
    """The first expires half a minute before the close; what answers it is a minute on its way."""

    def late(s, order):
        if order.status == Order.Expired and len(s.given) == 1:
            return s.buy(size=1)

    plan = {3: buy(exectype=LIMIT, price=90.0, valid=datetime(2026, 11, 18, 15, 29, 30))}
    ran = overnight(plan, react=late, config={"broker.latency": 60})
    assert ran.fills[0][2:] == (105.0, datetime(2026, 11, 19, 9, 15))
    assert ran.story(1) == ["Submitted", "Accepted", "Completed"]


# ---- sizes, prices, modify, cancel ----


@pytest.mark.parametrize(("asked", "bought"), [(2.7, 2), (2.9999999999, 3), (3, 3), (1.0, 1)])
def test_a_size_is_cut_to_whole_units(asked, bought):
    assert [size for _, size, _, _ in play([CALM] * 3, {1: buy(size=asked)}).fills] == [bought]


@pytest.mark.parametrize("size", [0.4, float("nan"), float("inf")])
def test_a_size_that_is_none_is_denied(size):
    ran = play([CALM] * 3, {1: buy(size=size)})
    assert ran.story() == ["Rejected"]
    assert "quantity" in ran.given[0].info.denied


@pytest.mark.parametrize("exectype", [LIMIT, STOP, STOPLIMIT])
@pytest.mark.parametrize("price", [float("nan"), -5.0])
def test_a_price_that_is_none_is_denied(exectype, price):
    ran = play([CALM] * 3, {1: buy(exectype=exectype, price=price, plimit=101.0)})
    assert ran.story() == ["Rejected"]
    assert "price above zero" in ran.given[0].info.denied


def test_prices_move_to_the_tick_or_are_refused():
    give = buy(exectype=LIMIT, price=99.03)
    assert play([CALM, UP, CALM], {1: give}).prices() == [99.0]
    ran = play([CALM, UP, CALM], {1: give}, config={"broker.tick_rounding": False})
    assert ran.story() == ["Rejected"]
    assert ran.given[0].info.denied == "99.03 is no multiple of NSE:TEST's tick of 0.05 (broker.tick_rounding)"


def test_a_change_takes_the_given_fields_and_leaves_the_others():
    seen = []

    def change(s):
        order = s.given[0]
        assert s.broker.modify(order, price=101.53)
        assert s.broker.modify(order, plimit=102.03)
        assert s.broker.modify(order, size=7)
        seen.append(
            (order.size, order.created.size, order.executed.remsize, order.created.price, order.created.pricelimit)
        )

    ran = play([CALM, CALM, UP, CALM], {1: buy(exectype=STOPLIMIT, price=105.0, plimit=106.0, size=2), 2: change})
    assert seen == [(7, 7, 7, 101.55, 102.0)]
    assert [(size, price) for _, size, price, _ in ran.fills] == [(7, 101.55)]
    assert ran.story() == ["Submitted", "Accepted", "Completed"]


def test_a_change_meets_the_next_print_like_a_new_order():
    """Moved to 102 in the middle of the bar, after its low of 98: it trades at the high that follows, no earlier."""

    def react(s, order):
        if order.status == Order.Completed and order is not s.given[1] and order.ref == s.given[0].ref:
            s.broker.modify(s.given[1], price=104.0)

    plan = {1: lambda s: [buy(exectype=LIMIT, price=98.5)(s), buy(exectype=LIMIT, price=90.0)(s)]}
    ran = play([CALM, UP, CALM], plan, react=react)
    assert list(zip(ran.times(1), ran.prices(1), strict=True)) == [("09:16:20", 98.0)]


@pytest.mark.parametrize(
    "change", [{"size": 0}, {"size": -3}, {"size": float("nan")}, {"price": -1.0}, {"price": float("nan")}]
)
def test_a_change_to_nonsense_changes_nothing(change):
    before = []

    def alter(s):
        order = s.given[0]
        before.append((order.size, order.created.price, order.price))
        assert s.broker.modify(order, **change) is False
        assert (order.size, order.created.price, order.price) == before[0]

    ran = play([CALM, CALM, UP, CALM], {1: buy(exectype=LIMIT, price=99.0, size=2), 2: alter})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(2, 99.0)]


def test_a_denied_change_leaves_the_order_as_it_was():
    fields = []

    def state(order):
        created = order.created
        return (
            order.size,
            created.size,
            order.executed.remsize,
            order.price,
            order.plimit,
            created.price,
            created.pricelimit,
        )

    def alter(s):
        order = s.given[0]
        fields.append(state(order))
        assert s.broker.modify(order, size=500, price=98.0) is False
        fields.append(state(order))

    ran = play(
        [CALM, CALM, UP, CALM],
        {1: buy(exectype=LIMIT, price=99.0, size=50), 2: alter},
        risk={"max_position_pct": 10},
    )
    assert fields[0] == fields[1]
    assert "risk.max_position_pct" in ran.given[0].info.denied_change
    assert [(size, price) for _, size, price, _ in ran.fills] == [(50, 99.0)]


def test_a_smaller_size_is_no_matter_for_the_limits():
    """After the last hour of entries one may still be made smaller."""
    plan = {
        1: lambda s: [s.buy(size=50), s.buy(size=50, exectype=LIMIT, price=80.0)],
        3: lambda s: s.broker.modify(s.given[1], size=10),
    }
    changed = []
    plan[4] = lambda s: changed.append(s.given[1].size)
    play([CALM] * 5, plan, risk={"max_position_pct": 100, "no_entries_after": "09:16"})
    assert changed == [10]


@pytest.mark.parametrize("size", [3, 5])
def test_a_change_of_a_dormant_exit_holds_when_it_wakes(size):
    plan = {
        1: lambda s: s.buy_bracket(size=5, price=98.5, stopprice=90.0, limitprice=101.0),
        2: lambda s: s.broker.modify(s.given[2], size=size, price=102.0),
    }
    ran = play([CALM, CALM, UP, CALM], plan)
    assert [(done, price) for _, done, price, _ in ran.fills] == [(5, 98.5), (-size, 102.0)]


def test_an_entry_that_was_made_larger_is_left_whole_by_its_exits():
    def enter(s):
        entry = s.buy(size=2, exectype=LIMIT, price=98.5, transmit=False)
        return [entry, s.sell(size=9, exectype=LIMIT, price=101.0, parent=entry)]

    ran = play([CALM, CALM, UP, CALM], {1: enter, 2: lambda s: s.broker.modify(s.given[0], size=6)})
    assert [size for _, size, _, _ in ran.fills] == [6, -6]


def test_a_dead_order_can_be_neither_changed_nor_cancelled_again():
    answers = []
    plan = {
        1: lambda s: [s.buy(size=1), s.buy(size=1, exectype=LIMIT, price=90.0)],
        2: lambda s: s.cancel(s.given[1]),
        3: lambda s: answers.extend(
            answer
            for order in s.given
            for answer in (s.broker.cancel(order), s.broker.modify(order, size=5), s.broker.modify(order, price=99.0))
        ),
    }
    ran = play([CALM] * 5, plan)
    assert answers == [False] * 6
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Completed", "Canceled"]
    assert ran.story(1).count("Canceled") == 1


def test_cancelling_one_exit_takes_the_bracket_apart():
    plan = {
        1: lambda s: s.buy_bracket(size=1, exectype=Order.Market, stopprice=98.5, limitprice=102.5),
        2: lambda s: s.cancel(s.given[1]),
    }
    ran = play([CALM, CALM, UP, CALM], plan)
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Canceled", "Canceled"]
    assert ran.position.size == 1


# ---- the class ----


def test_the_rule_chooses_the_broker():
    assert type(SimBroker(config=Config())) is SimBroker
    assert type(SimBroker(rule="backtrader", config=Config())) is BarRuleBroker
    assert type(SimBroker(config=Config().with_(**{"broker.rule": "backtrader"}))) is BarRuleBroker
    assert type(SimBroker(rule="path", config=Config().with_(**{"broker.rule": "backtrader"}))) is SimBroker
    with pytest.raises(ValueError, match="rule='bar'"):
        SimBroker(rule="bar", config=Config())


def test_a_broker_may_be_used_for_two_runs():

    broker = SimBroker(config=Config().with_(**{"broker.charges": False}), cash=50_000.0)
    for _ in range(2):
        engine = Cerebro(stdstats=False)
        engine.adddata(KiteData(dataname=bars.from_rows([CALM] * 4)))
        engine.setbroker(broker)
        engine.addstrategy(Planned, plan={1: buy(size=10)})
        ran = engine.run()[0]
        assert ran.position.size == 10
        assert (broker.startingcash, broker.getvalue(), broker.getcash()) == (50_000.0, 50_000.0, 49_000.0)


@pytest.mark.parametrize("cheat", ["set_coc", "set_coo"])
def test_cheating_is_refused_in_one_sentence(cheat):

    broker = SimBroker(config=Config())
    getattr(broker, cheat)(False)
    with pytest.raises(ConfigError, match='use SimBroker\\(rule="backtrader"\\)'):
        getattr(broker, cheat)(True)


# ---- any order flow ----

steps = st.lists(
    st.tuples(
        st.integers(1, 24),
        st.booleans(),
        st.integers(1, 5),
        st.sampled_from([Order.Market, LIMIT, STOP, STOPLIMIT]),
        st.integers(-40, 40),
        st.integers(-40, 40),
        st.sampled_from([None, 2, 9]),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)
rows = st.lists(st.tuples(*[st.integers(-20, 20)] * 4), min_size=26, max_size=26)


def walk(moves):
    """Rows on the tick that wander from 100."""
    level, found = 2000, []
    for gap, close, high, low in moves:
        open_ = level + gap
        close_ = open_ + close
        found.append((open_, max(open_, close_) + abs(high), min(open_, close_) - abs(low), close_))
        level = min(max(close_, 1500), 2500)
    return [tuple(round(price * 0.05, 2) for price in row) for row in found]


@settings(max_examples=60, deadline=None)
@given(steps, rows, st.booleans())
def test_book_positions_trades_and_money_agree_after_any_flow(flow, moves, charges):
    plan: dict = {}
    for bar, buys, size, exectype, a, b, valid, as_bracket in flow:
        plan.setdefault(bar, []).append((buys, size, exectype, a, b, valid, as_bracket))

    def act(todo):
        def give(s):
            close, made = s.data.close[0], []
            for buys, size, exectype, a, b, valid, as_bracket in todo:
                price = round(close + a * 0.05, 2)
                until = None if valid is None else timedelta(minutes=valid)
                if as_bracket:
                    bracket = s.buy_bracket if buys else s.sell_bracket
                    way = 1 if buys else -1
                    made += bracket(
                        size=size,
                        exectype=Order.Market,
                        valid=until,
                        stopprice=round(price - way * 0.05 * (abs(b) + 1), 2),
                        limitprice=round(price + way * 0.05 * (abs(b) + 1), 2),
                    )
                else:
                    give = s.buy if buys else s.sell
                    made.append(
                        give(size=size, exectype=exectype, price=price, plimit=round(close + b * 0.05, 2), valid=until)
                    )
            return made

        return give

    outcome = run_strategy(
        Planned,
        bars.from_rows(walk(moves)),
        cash=1e7,
        charges=charges,
        plan={bar: act(todo) for bar, todo in plan.items()},
    )
    ran, broker = outcome.strategy, outcome.broker
    held = sum(size for _, size, _, _ in ran.fills)
    position = broker.getposition(ran.data)
    ledger = broker.ledger.position("NSE:TEST")
    assert position.size == ledger.quantity == held
    assert position.price == ledger.average_price
    paid = sum(size * price for _, size, price, _ in ran.fills)
    fees = sum(order.executed.comm for order in ran.given)
    assert broker.ledger.charges == pytest.approx(fees, abs=1e-6)
    assert bool(fees) is (charges and bool(ran.fills))
    assert broker.getvalue() == pytest.approx(1e7 - paid + held * ran.data.close[0] - fees, abs=1e-6)
    blocked = abs(held) * position.price
    assert broker.getcash() == pytest.approx(1e7 + broker.ledger.realized - fees - blocked, abs=1e-6)
    for order in broker.orders.values():
        assert abs(order.executed.size) <= abs(order.size)
        bits = [size for ref, size, _, _ in ran.fills if ref == order.ref]
        assert sum(bits) == order.executed.size
    told: dict = {}
    for ref, status, _ in ran.told:
        assert told.get(ref) not in ("Completed", "Canceled", "Expired", "Rejected", "Margin"), "told after its end"
        told[ref] = status
