"""What every broker of ours does with orders, positions and money, seen through SimBroker."""

from __future__ import annotations

from datetime import date

import backtrader as bt
import pytest

from btkite.brokers.book import BookBroker
from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.market.charges import charge_order
from btkite.risk.gate import KillSwitch
from btkite.testing import bars
from btkite.values import Instrument, Side
from tests.brokers.scene import CALM, DOWN, UP, Order, Planned, buy, play, sell

DAY = date(2026, 11, 18)
INSTRUMENT = Instrument("NSE", "TEST")
LIMIT, STOP = Order.Limit, Order.Stop


def due(*fills: tuple[int, float], side: Side = Side.BUY, product: str = "MIS") -> float:
    return charge_order(INSTRUMENT, side, product, list(fills), DAY).total


def charged(rows, plan, **more):
    return play(rows, plan, charges=True, cash=1e7, **more)


# ---- charges ----


def test_an_order_is_charged_what_the_market_charges():
    ran = charged([CALM, CALM, (101.0,) * 4, (101.0,) * 4], {1: buy(size=100), 2: lambda s: s.close()})
    entry, exit_ = ran.given
    assert entry.executed.comm == pytest.approx(due((100, 100.0)), abs=1e-9)
    assert exit_.executed.comm == pytest.approx(due((100, 101.0), side=Side.SELL), abs=1e-9)
    assert ran.trades[0].pnl == pytest.approx(100.0)
    assert ran.trades[0].pnlcomm == pytest.approx(100.0 - entry.executed.comm - exit_.executed.comm)
    assert ran.broker.getvalue() == pytest.approx(1e7 + ran.trades[0].pnlcomm, abs=1e-9)


def test_an_order_that_reverses_pays_the_brokerage_cap_once():
    """Each half alone is worth the cap of ₹20."""
    ran = charged([CALM] * 4, {1: buy(size=2000), 2: sell(size=4000)})
    reverse = ran.given[1]
    assert charge_order(INSTRUMENT, Side.SELL, "MIS", [(2000, 100.0)], DAY).brokerage == 20.0
    assert reverse.executed.comm == pytest.approx(due((4000, 100.0), side=Side.SELL), abs=1e-9)
    (trade,) = ran.trades
    assert trade.commission == pytest.approx(ran.given[0].executed.comm + reverse.executed.comm / 2, abs=1e-9)


@pytest.mark.parametrize("product", ["MIS", "CNC"])
def test_the_product_decides_on_the_charges(product):
    ran = charged([CALM] * 4, {1: buy(size=100, product=product), 2: lambda s: s.close()})
    assert ran.given[0].executed.comm == pytest.approx(due((100, 100.0), product=product), abs=1e-9)
    assert ran.given[1].executed.comm == pytest.approx(due((100, 100.0), side=Side.SELL, product=product), abs=1e-9)


def test_without_charges_nothing_is_charged():
    assert play([CALM] * 3, {1: buy(size=100)}).given[0].executed.comm == 0.0


# ---- products ----


def proposals(rows, plan, **more):
    """The products with which orders went to the market, by their number."""
    found = []

    class Watched(SimBroker):
        def accepted(self, order):
            found.append((order.ref, self.proposal(order).product))
            super().accepted(order)

    engine = Cerebro(stdstats=False)
    engine.adddata(KiteData(dataname=bars.from_rows(rows)))
    engine.setbroker(Watched(config=Config().with_(**{"risk.enabled": False, "broker.charges": False, **more})))
    engine.addstrategy(Planned, plan=plan)
    ran = engine.run()[0]
    return [product for order in ran.given for ref, product in found if ref == order.ref]


def test_what_reduces_takes_the_product_of_the_position():
    plan = {1: buy(size=5, product="CNC"), 3: sell(size=2), 4: lambda s: s.close()}
    assert proposals([CALM] * 6, plan) == ["CNC", "CNC", "CNC"]


def test_what_opens_takes_the_default_even_after_another_product():
    plan = {1: buy(size=5, product="CNC"), 2: lambda s: s.close(), 4: buy(size=1)}
    assert proposals([CALM] * 6, plan) == ["CNC", "CNC", "MIS"]


def test_the_exits_of_a_bracket_take_the_entrys_product():
    def enter(s):
        return s.buy_bracket(size=1, exectype=Order.Market, stopprice=95.0, limitprice=105.0, oargs={"product": "CNC"})

    assert proposals([CALM] * 6, {1: enter})[0] == "CNC"
    found = proposals([CALM] * 6, {1: enter})
    assert set(found) == {"CNC"}


def test_a_product_that_was_named_is_kept():
    plan = {1: buy(size=5, product="CNC"), 3: sell(size=2, product="MIS")}
    assert proposals([CALM] * 6, plan) == ["CNC", "MIS"]


def test_the_product_is_that_with_which_an_order_went_to_the_market():
    """A stop that was resting before there was a position went as the default, whatever is held when it trades."""

    def both(s):
        return [s.sell(size=1, exectype=STOP, price=99.0), s.buy(size=1, product="CNC")]

    ran = charged([CALM, DOWN, CALM], {1: both})
    assert ran.given[0].executed.comm == pytest.approx(due((1, 99.0), side=Side.SELL, product="MIS"), abs=1e-9)


# ---- money ----


def test_value_and_cash_are_one_formula():
    seen = []

    def look(s):
        seen.append((s.broker.getvalue(), s.broker.getcash()))

    rows = [CALM, CALM, (110.0,) * 4, (110.0,) * 4, (120.0,) * 4, (120.0,) * 4]
    play(rows, {1: buy(size=10), 2: look, 3: look, 4: sell(size=4), 5: look})
    #  bought 10 at 100; 4 of them sold at 120
    assert seen == [(100_000.0, 99_000.0), (100_100.0, 99_000.0), (100_200.0, 100_080.0 - 600.0)]


def test_a_short_blocks_money_too():
    seen = []
    play([CALM] * 4, {1: sell(size=10), 3: lambda s: seen.append((s.broker.getvalue(), s.broker.getcash()))})
    assert seen == [(100_000.0, 99_000.0)]


@pytest.mark.parametrize(("leverage", "status"), [(1.0, "Margin"), (5.0, "Completed")])
def test_leverage_lets_a_strategy_hold_more(leverage, status):
    ran = play([CALM] * 4, {1: buy(size=4000)}, cash=100_000.0, config={"broker.leverage": leverage})
    assert ran.story()[-1] == status
    if leverage == 5.0:
        assert ran.broker.getcash() == 100_000.0 - 80_000.0


def test_an_order_beyond_the_money_ends_in_margin_and_says_why():
    ran = play([CALM] * 4, {1: buy(size=1001), 2: buy(size=1000)})
    assert [ran.story(n) for n in (0, 1)] == [["Margin"], ["Submitted", "Accepted", "Completed"]]
    assert ran.given[0].info.denied == "the order needs ₹1,00,100.00, ₹1,00,000.00 is free"


def test_working_orders_hold_their_money():
    plan = {
        1: lambda s: [s.buy(size=600, exectype=LIMIT, price=99.0), s.buy(size=600, exectype=LIMIT, price=99.0)],
        2: lambda s: s.cancel(s.given[0]),
        3: lambda s: s.buy(size=600, exectype=LIMIT, price=99.0),
    }
    ran = play([CALM] * 5, plan)
    assert [ran.story(n)[-1] for n in range(3)] == ["Canceled", "Margin", "Accepted"]


def test_two_symbols_share_the_money():
    market = {key: bars.from_rows([CALM] * 4, symbol=key) for key in ("NSE:AAA", "NSE:BBB")}
    plan = {1: lambda s: [s.buy(data=s.datas[0], size=600), s.buy(data=s.datas[1], size=600)]}
    ran = play(market, plan)
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Completed", "Margin"]
    assert ran.broker.getvalue([ran.datas[0]]) == 60_000.0
    assert ran.broker.getvalue([ran.datas[1]]) == 0.0
    assert ran.broker.getvalue(ran.datas) == 60_000.0


def test_funds_never_exceed_what_the_account_says():
    seen = []

    def limit(s):
        s.broker.ledger.funds_limit = 500.0
        seen.append(s.broker.getcash())
        return s.buy(size=6)

    ran = play([CALM] * 4, {1: limit, 2: buy(size=4)})
    assert seen == [500.0]
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Margin", "Completed"]


def test_cash_may_be_allotted_before_a_run():
    broker = SimBroker(config=Config(), cash=5_000.0)
    assert (broker.getcash(), broker.startingcash) == (5_000.0, 5_000.0)
    broker.setcash(7_000)
    assert (broker.get_cash(), broker.get_value(), broker.startingvalue) == (7_000.0, 7_000.0, 7_000.0)
    assert SimBroker(config=Config()).getcash() == 100_000.0


# ---- positions and trades ----


def test_an_average_price_is_backtraders():
    rows = [CALM, CALM, (110.0,) * 4, (120.0,) * 4, (90.0,) * 4, (90.0,) * 4]
    ran = play(rows, {1: buy(size=10), 2: buy(size=10), 3: sell(size=5), 4: sell(size=25)}, cash=1e6)
    position = ran.broker.getposition(ran.data)
    assert (position.size, position.price) == (-10, 90.0)
    assert [trade.pnl for trade in ran.trades] == [5 * (120 - 105) + 15 * (90 - 105)]
    assert ran.broker.ledger.realized == 5 * (120 - 105) + 15 * (90 - 105)


def test_orders_carry_what_they_opened_and_closed():
    ran = play([CALM] * 4, {1: buy(size=2), 2: sell(size=5)})
    (bit,) = ran.broker.orders[ran.given[1].ref].executed.exbits
    assert (bit.closed, bit.opened, bit.psize, bit.pprice) == (-2, -3, -3, 100.0)


# ---- the gate ----


def test_a_bracket_is_judged_as_one_and_its_exits_reduce():
    """The exits alone would be three entries; two daily trades are allowed."""
    plan = {n: lambda s: s.buy_bracket(size=1, price=99.0, stopprice=95.0, limitprice=105.0) for n in (1, 2, 3)}
    ran = play([CALM] * 5, plan, risk={"max_daily_trades": 2})
    assert [ran.story(n)[0] for n in range(9)] == ["Submitted"] * 6 + ["Rejected"] * 3
    assert ran.broker.gate.summary() == "3 of 9 orders denied: max 2 entries a day (risk.max_daily_trades)"


def test_one_bad_exit_denies_the_whole_bracket():
    plan = {1: lambda s: s.buy_bracket(size=1, price=99.0, stopprice=95.0, limitprice=float("nan"))}
    ran = play([CALM] * 4, plan)
    assert [ran.story(n) for n in range(3)] == [["Rejected"]] * 3
    assert ran.broker.ledger.committed() == 0.0


def test_an_oco_pair_is_one_entry():
    def pair(s):
        first = s.buy(size=1, exectype=LIMIT, price=99.0)
        return [first, s.buy(size=1, exectype=STOP, price=105.0, oco=first)]

    ran = play([CALM] * 4, {1: pair, 2: buy()}, risk={"max_daily_trades": 1})
    assert [ran.story(n)[0] for n in range(3)] == ["Submitted", "Submitted", "Rejected"]


LOT = Instrument("NSE", "LOTTED", lot_size=50)


def lotted(plan):
    from btkite.series import Candles

    class Lotted(KiteData):
        def bind(self, instrument):
            super().bind(LOT)

    candles: Candles = bars.from_rows([CALM] * 5)
    engine = Cerebro(stdstats=False)
    engine.adddata(Lotted(dataname=candles))
    engine.setbroker(SimBroker(config=Config().with_(**{"broker.charges": False}), cash=1e7))
    engine.addstrategy(Planned, plan=plan)
    return engine.run()[0]


def test_a_quantity_off_the_lot_is_denied_with_the_nearest_two():
    ran = lotted({1: lambda s: [s.buy(size=75), s.buy(size=100)]})
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Rejected", "Completed"]
    assert ran.given[0].info.denied == "quantity 75 is not a multiple of NSE:LOTTED's lot of 50: use 50 or 100"


def test_a_change_off_the_lot_is_denied_up_and_down():
    answers = []

    def change(s):
        order = s.given[0]
        answers.extend(s.broker.modify(order, size=size) for size in (75, 125, 50))
        answers.append((order.size, order.info.denied_change.split(" ")[1]))

    lotted({1: buy(size=100, exectype=LIMIT, price=90.0), 2: change})
    assert answers == [False, False, True, (50, "125")]


def test_every_answer_is_an_order_never_none():
    ran = play([CALM] * 4, {1: buy(size=10**9), 2: buy(size=0.1), 3: buy(exectype=Order.Close)})
    assert len(ran.given) == 3
    assert all(isinstance(order, bt.Order) for order in ran.given)
    assert all(order.info.denied for order in ran.given)


def test_the_kill_switch_stops_entries_and_lets_exits_pass(tmp_path):
    kill = KillSwitch(tmp_path / "kill")
    engine = Cerebro(stdstats=False)
    engine.adddata(KiteData(dataname=bars.from_rows([CALM] * 6)))
    engine.setbroker(SimBroker(config=Config().with_(**{"broker.charges": False}), kill=kill))

    def stop(s):
        kill.engage("a test")
        return [s.buy(size=1), s.sell(size=1)]

    engine.addstrategy(Planned, plan={1: buy(size=1), 3: stop})
    ran = engine.run()[0]
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Rejected", "Completed"]
    assert "a test" in ran.given[1].info.denied


# ---- what no exit is left for ----


def test_a_fill_that_surfaces_after_all_was_over_is_closed_at_market_past_every_limit():
    """Both exits of a bracket have traded; the gate is halted, and still what was sold twice is bought back."""

    def late(s):
        broker, stop = s.broker, s.given[1]
        broker.gate.halt("nothing is to be opened")
        assert stop.status == Order.Canceled
        broker.filled(stop, 10, 95.0, broker.now)
        assert s.position.size == -10

    def react(s, order):
        if order.info.get("flattens") and order.ref not in {known.ref for known in s.given}:
            return order

    plan = {
        1: lambda s: s.buy_bracket(size=10, exectype=Order.Market, stopprice=95.0, limitprice=102.5),
        4: late,
    }
    ran = play([CALM, UP, UP, CALM, CALM, CALM], plan, react=react, risk={"max_daily_trades": 1})
    assert ran.position.size == 0
    flat = ran.broker.orders[ran.given[-1].ref]
    assert flat.info.flattens == ran.given[0].ref
    assert flat.status == Order.Completed
    assert ran.broker.ledger.position("NSE:TEST").quantity == 0


def test_a_strategy_cannot_pass_the_gate_by_calling_itself_a_safety_order():
    ran = play([CALM] * 4, {1: buy(size=500, flattens=1)}, risk={"max_position_pct": 10})
    assert ran.story() == ["Rejected"]


def test_a_late_fill_is_charged_with_the_rest_of_its_order():
    """4,000 filled, cancelled, and 4,000 more come to light: one order, one brokerage cap."""

    def late(s):
        broker, order = s.broker, s.given[0]
        broker.filled(order, 4000, 100.0, broker.now)
        s.cancel(order)
        broker.filled(order, 4000, 100.0, broker.now)

    ran = charged([CALM] * 4, {1: buy(size=9000, exectype=LIMIT, price=90.0), 2: late})
    total = charge_order(INSTRUMENT, Side.BUY, "MIS", [(4000, 100.0), (4000, 100.0)], DAY)
    assert total.brokerage == 20.0
    assert ran.broker.ledger.charges == pytest.approx(total.total, abs=1e-9)
    assert ran.position.size == 8000


def test_an_order_belongs_to_the_instrument_that_its_data_was_bound_to():
    """A slot is bound anew while an order of the old instrument rests."""
    rows = [CALM, CALM, UP, CALM]

    def rebind(s):
        old = s.data.instrument
        s.data.bind(Instrument("NSE", "OTHER"))
        s.broker.filled(s.given[0], 1, 99.0, s.broker.now)
        held = {key: s.broker.ledger.position(key).quantity for key in ("NSE:TEST", "NSE:OTHER")}
        s.data.bind(old)
        assert held == {"NSE:TEST": 1, "NSE:OTHER": 0}

    play(rows, {1: buy(size=2, exectype=LIMIT, price=90.0), 2: rebind})


# ---- backtrader's contract ----


def test_open_orders_and_their_status_can_be_asked_for():
    seen = []

    def look(s):
        (one,) = s.broker.get_orders_open()
        (copy,) = s.broker.get_orders_open(safe=True)
        assert one is s.given[0]
        assert copy is not one
        seen.append((one.ref == copy.ref, s.broker.orderstatus(one)))

    play([CALM] * 4, {1: buy(exectype=LIMIT, price=90.0), 2: look})
    assert seen == [(True, Order.Accepted)]


def test_a_notification_carries_only_what_is_new():
    ran = play([CALM] * 4, {1: buy(size=2), 2: buy(size=3)})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(2, 100.0), (3, 100.0)]


def test_foreign_keyword_arguments_stay_in_info():
    ran = play([CALM] * 3, {1: buy(reason="because", tag="mine")})
    assert (ran.given[0].info.reason, ran.given[0].info.tag, ran.given[0].info.instrument) == (
        "because",
        "mine",
        "NSE:TEST",
    )


# ---- a broker of another house ----


def test_a_broker_that_cannot_take_an_order_out_of_its_market_is_not_made():
    class HalfABroker(BookBroker):
        def route(self, order):
            self.accepted(order)

        def reroute(self, order):
            self.accepted(order)

    with pytest.raises(TypeError, match="recall"):
        HalfABroker()
