"""One contract for every broker: what backtrader's users rely on holds on history, on paper and live.

Its other parts are the files beside this one: the gate, awkward moments, what backtrader builds on a broker, and Kite's
own words.
"""

from __future__ import annotations

import datetime

import backtrader as bt
import pytest

from tests.contract.houses import CALM, DONE, DOWN, STEPS, UP, Noted, an_engine, ours, unless_live

Order = bt.Order


# ---- orders ----


def test_buy_sell_and_close_trade_at_the_next_price(house):
    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.sell(size=2), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert [ran.story(n) for n in range(3)] == [DONE] * 3
    assert [(size, price) for _, size, price in ran.fills] == [(5, 101.0), (-2, 103.0), (-3, 105.0)]
    assert ran.position.size == 0


def test_an_order_is_an_order_and_knows_its_end(house):
    seen = []
    plan = {2: lambda s: s.buy(size=5), 5: lambda s: seen.append(s.returned[0].status) or s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    order = ran.returned[0]
    assert isinstance(order, Order)
    assert order.status == Order.Completed
    assert not order.alive()
    assert seen == [Order.Completed]
    assert ran.broker.orderstatus(order) == Order.Completed


def test_a_short_trade_gains_when_the_price_falls(house):
    falls = [110.0, 109.0, 108.0, 107.0, 106.0, 105.0]
    outcome = house.run(Noted, falls, plan={1: lambda s: s.sell(size=10), 4: lambda s: s.close()})
    assert [(trade.side, trade.pnl) for trade in outcome.trades] == [("SHORT", 30.0)]
    assert outcome.final_value == 100_030.0


def test_trades_are_told_when_they_open_and_when_they_close(house):
    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.buy(size=5), 6: lambda s: s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    opened, *_between, closed = ran.trades
    assert opened[-2:] == (True, False)
    assert opened[1:3] == (5, 101.0)
    assert closed[-2:] == (False, True)
    assert closed[3] == 5 * (105 - 101) + 5 * (105 - 103)


def test_a_reversal_closes_one_trade_and_opens_another(house):
    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.sell(size=8), 7: lambda s: s.close()}
    outcome = house.run(Noted, STEPS, plan=plan)
    assert [(trade.side, trade.size, trade.pnl) for trade in outcome.trades] == [("LONG", 5, 10.0), ("SHORT", 3, -9.0)]


def rows_between(low: float, high: float, close: float = 100.0) -> tuple[float, float, float, float]:
    return (100.0, high, low, close)


@pytest.mark.parametrize(
    ("give", "bar", "price"),
    [
        (lambda s: s.buy(size=1, exectype=Order.Limit, price=98.0), rows_between(97.0, 101.0), 98.0),
        (lambda s: s.sell(size=1, exectype=Order.Limit, price=102.0), rows_between(99.0, 103.0), 102.0),
        (lambda s: s.buy(size=1, exectype=Order.Stop, price=102.0), rows_between(99.0, 103.0), 102.0),
        (lambda s: s.sell(size=1, exectype=Order.Stop, price=98.0), rows_between(97.0, 101.0), 98.0),
        (
            lambda s: s.buy(size=1, exectype=Order.StopLimit, price=102.0, plimit=104.0),
            rows_between(99.0, 103.0),
            102.0,
        ),
        (lambda s: s.sell(size=1, exectype=Order.StopLimit, price=98.0, plimit=96.0), rows_between(97.0, 101.0), 98.0),
    ],
    ids=["buy limit", "sell limit", "buy stop", "sell stop", "buy stop-limit", "sell stop-limit"],
)
def test_a_resting_order_trades_at_its_own_price_when_it_is_reached(house, give, bar, price):
    ran = house.run(Noted, [CALM, CALM, CALM, CALM, bar, CALM], plan={2: give}).strategy
    assert ran.story() == DONE
    assert [paid for _, _, paid in ran.fills] == [price]


def test_a_cancelled_order_does_not_trade(house):
    plan = {
        2: lambda s: s.buy(size=1, exectype=Order.Limit, price=98.0),
        4: lambda s: s.cancel(s.returned[0]) or s.returned[0],
    }
    ran = house.run(Noted, [CALM] * 5 + [rows_between(90.0, 110.0), CALM], plan=plan).strategy
    assert ran.story() == ["Submitted", "Accepted", "Canceled"]
    assert not ran.fills
    assert ran.position.size == 0
    if house.live:
        assert [order["status"] for order in house.orders()] == ["CANCELLED"]


def test_a_modified_order_keeps_its_ref_and_trades_at_its_new_price(house):
    plan = {
        2: lambda s: s.buy(size=3, exectype=Order.Limit, price=90.0),
        4: lambda s: s.broker.modify(s.returned[0], size=5, price=98.0),
    }
    ran = house.run(Noted, [CALM] * 6 + [rows_between(97.0, 101.0), CALM], plan=plan).strategy
    order, changed = ran.returned
    assert changed is True
    assert [(ref, size, price) for ref, size, price in ran.fills] == [(order.ref, 5, 98.0)]
    assert ran.position.size == 5
    if house.live:
        assert [(row["status"], row["quantity"], row["price"]) for row in house.orders()] == [("COMPLETE", 5, 98.0)]


def test_a_finished_order_cannot_be_modified(house):
    plan = {2: lambda s: s.buy(size=3), 4: lambda s: s.broker.modify(s.returned[0], price=98.0)}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.returned[1] is False


# ---- sizes by target ----


def test_targets_size_by_units_value_and_percent(house):
    sizes = []

    def look(s):
        sizes.append(s.position.size)

    plan = {
        2: lambda s: s.order_target_size(target=7),
        3: look,
        4: lambda s: s.order_target_value(target=1030.0),
        5: look,
        6: lambda s: s.order_target_percent(target=0.0105),
        7: look,
        8: lambda s: s.order_target_size(target=0),
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert sizes == [7, 10, 10]
    assert ran.position.size == 0


# ---- groups ----


@pytest.mark.parametrize(("bar", "exit_price", "ended"), [(UP, 105.0, 1), (DOWN, 95.0, 2)], ids=["target", "stop"])
def test_a_bracket_takes_one_exit_and_cancels_the_other(house, bar, exit_price, ended):
    plan = {2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=95.0, limitprice=105.0)}
    ran = house.run(Noted, [CALM] * 5 + [bar, CALM, CALM], plan=plan).strategy
    assert len(ran.returned) == 3
    assert ran.story(0) == DONE
    assert ran.story(ended)[-1] == "Canceled"
    assert [(size, price) for _, size, price in ran.fills] == [(4, 100.0), (-4, exit_price)]
    assert ran.position.size == 0
    if house.live:
        assert sorted(row["status"] for row in house.orders()) == ["CANCELLED", "COMPLETE", "COMPLETE"]


def test_a_bracket_whose_entry_is_cancelled_takes_its_exits_with_it(house):
    plan = {
        2: lambda s: s.buy_bracket(size=4, price=97.0, stopprice=95.0, limitprice=105.0),
        4: lambda s: s.cancel(s.returned[0]),
    }
    ran = house.run(Noted, [CALM] * 5 + [UP, DOWN, CALM], plan=plan).strategy
    assert [ran.story(n)[-1] for n in range(3)] == ["Canceled"] * 3
    assert not ran.fills


@pytest.mark.parametrize(
    ("without", "bar", "exit_price"),
    [({"limitexec": None}, DOWN, 95.0), ({"stopexec": None}, UP, 105.0)],
    ids=["stop only", "target only"],
)
def test_a_bracket_may_lack_one_side(house, without, bar, exit_price):
    plan = {2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=95.0, limitprice=105.0, **without)}
    ran = house.run(Noted, [CALM] * 5 + [bar, CALM], plan=plan).strategy
    assert sum(order is None for order in ran.returned) == 1
    assert [(size, price) for _, size, price in ran.fills] == [(4, 100.0), (-4, exit_price)]


def test_a_sell_bracket_is_the_mirror(house):
    plan = {2: lambda s: s.sell_bracket(size=4, exectype=Order.Market, stopprice=105.0, limitprice=95.0)}
    ran = house.run(Noted, [CALM] * 5 + [DOWN, CALM], plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(-4, 100.0), (4, 95.0)]


def test_of_an_oco_pair_only_one_trades(house):
    def pair(s):
        first = s.buy(size=2, exectype=Order.Limit, price=95.0)
        return [first, s.buy(size=2, exectype=Order.Stop, price=105.0, oco=first)]

    ran = house.run(Noted, [CALM] * 5 + [UP, CALM, DOWN, CALM], plan={2: pair}).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(2, 105.0)]
    assert ran.story(0)[-1] == "Canceled"
    assert ran.story(1)[-1] == "Completed"


# ---- validity ----


def ends_at_its_deadline(house, valid):
    plan = {2: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0, valid=valid)}
    ran = house.run(Noted, [CALM] * 6 + [DOWN, CALM], plan=plan).strategy
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert not ran.fills


@pytest.mark.parametrize(
    "valid", [datetime.timedelta(minutes=2), datetime.datetime(2026, 11, 18, 9, 19)], ids=["timedelta", "datetime"]
)
def test_an_order_ends_at_its_deadline(house, valid):
    ends_at_its_deadline(house, valid)


@ours  # backtrader itself takes a float as a date long past: the order never works
def test_a_deadline_may_be_given_in_days(house):
    ends_at_its_deadline(house, 2 / 1440)


def works_while_the_session_lasts(house, valid):
    plan = {2: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0, valid=valid)}
    ran = house.run(Noted, [CALM] * 6 + [DOWN, CALM], plan=plan).strategy
    assert ran.story() == DONE


@pytest.mark.parametrize("valid", [None, Order.DAY, 0], ids=["none", "DAY", "0"])
def test_an_order_of_the_day_works_while_the_session_lasts(house, valid):
    works_while_the_session_lasts(house, valid)


@ours  # backtrader itself takes a date as its midnight: the order ends at once
def test_a_date_means_the_end_of_its_session(house):
    works_while_the_session_lasts(house, datetime.date(2026, 11, 18))


# ---- money ----


def test_money_has_backtraders_names_and_moves_with_the_position(house):
    seen = []

    def look(s):
        broker = s.broker
        assert broker.getcash() == broker.get_cash()
        assert broker.getvalue() == broker.get_value()
        seen.append((broker.getvalue(), broker.getcash()))

    plan = {1: look, 2: lambda s: s.buy(size=10), 4: look, 6: lambda s: s.close(), 8: look}
    outcome = house.run(Noted, STEPS, plan=plan)
    broker = outcome.broker
    assert [value for value, _ in seen] == [100_000.0, 100_020.0, 100_040.0]
    assert [cash for _, cash in seen] == [100_000.0, pytest.approx(98_990.0, abs=20.0), 100_040.0]
    assert (broker.startingcash, broker.startingvalue) == (100_000.0, 100_000.0)
    assert broker.get_fundvalue() > 0
    assert broker.fundvalue > 0
    assert broker.get_fundshares() > 0
    assert broker.fundmode is False
    assert broker.getposition(outcome.strategy.data).size == 0
    assert broker.getcommissioninfo(outcome.strategy.data) is not None


def test_the_value_of_one_data_is_its_positions(house):
    seen = []
    plan = {2: lambda s: s.buy(size=10), 4: lambda s: seen.append(s.broker.getvalue([s.data]))}
    house.run(Noted, STEPS, plan=plan)
    assert seen == [1030.0]


def test_open_orders_can_be_asked_for(house):
    seen = []
    plan = {
        2: lambda s: s.buy(size=1, exectype=Order.Limit, price=90.0),
        4: lambda s: seen.extend(order.ref for order in s.broker.get_orders_open()) or s.cancel(s.returned[0]),
        6: lambda s: seen.append(len(s.broker.get_orders_open(safe=True))),
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert seen == [ran.returned[0].ref, 0]


# ---- what the market does to orders ----


def test_a_trailing_stop_follows_the_price(house):
    """Up to 108, trailing by 3: out at 105 when it turns, not at the 97 where it began."""
    hill = [100.0, 100.0, 102.0, 104.0, 106.0, 108.0, 107.0, 106.0, 104.0, 103.0, 102.0]
    plan = {2: lambda s: [s.buy(size=1), s.sell(size=1, exectype=Order.StopTrail, trailamount=3.0)]}
    ran = house.run(Noted, hill, plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 100.0), (-1, 105.0)]


def test_orders_of_the_last_bar_wait_for_the_next_open(house):
    market = [CALM] * 7 + [(105.0, 105.0, 105.0, 105.0)] * 3
    ran = house.run(Noted, market, interval="60minute", plan={7: lambda s: s.buy(size=1)}).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 105.0)]


@ours  # backtrader itself keeps it for ever
def test_an_order_without_valid_ends_with_the_session(house):
    market = [CALM] * 7 + [DOWN] * 3  # a session of hours, and the morning after
    plan = {5: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0)}
    ran = house.run(Noted, market, interval="60minute", plan=plan, config={"broker.square_off": None}).strategy
    assert ran.story() == ["Submitted", "Accepted", "Expired"]


def test_an_order_that_is_carried_works_the_next_day(house):
    market = [CALM] * 7 + [DOWN] * 3  # a session of hours, and the morning after
    plan = {5: lambda s: s.buy(size=1, exectype=Order.Limit, price=95.0, carry=True)}
    ran = house.run(Noted, market, interval="60minute", plan=plan).strategy
    assert ran.story() == DONE
    assert [price for _, _, price in ran.fills] == [95.0]


def test_a_gap_fills_a_stop_at_the_open(house):
    market = [CALM] * 4 + [(90.0, 91.0, 89.0, 90.0)] * 2
    plan = {2: lambda s: [s.buy(size=1), s.sell(size=1, exectype=Order.Stop, price=97.0)]}
    ran = house.run(Noted, market, plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 100.0), (-1, 90.0)]


@ours  # backtrader itself keeps a position per data
def test_two_feeds_of_one_symbol_share_its_position(house):

    class Both(Noted):
        def __init__(self):
            super().__init__()
            self.held = []

        def next(self):
            super().next()
            self.held.append(tuple(self.getposition(data).size for data in self.datas))

    def resampled(*args, **kwargs):
        engine = an_engine(house)
        adddata = engine.adddata

        def add(data, name=None):
            engine.adddata = adddata
            adddata(data, name=name)
            engine.resampledata(data, name="slow", timeframe=bt.TimeFrame.Minutes, compression=5)

        engine.adddata = add
        return house.run(*args, cerebro=engine, **kwargs)

    ran = resampled(Both, STEPS + STEPS, plan={6: lambda s: s.buy(size=3)}).strategy
    assert ran.held[-1] == (3, 3)
    assert [(len(data)) for data in ran.datas] == [20, 4]


@unless_live  # the exchange's own candle replay has unlimited depth (docs/fills.md, rule 9)
def test_an_order_of_more_than_the_book_shows_is_filled_in_parts(house):
    """The exchange shows 10,000,000 on each side; paper walks that, a candle has no depth and fills whole. A future:
    of a share Kite takes 100,000 in one order."""
    wanted = 25_000_000
    plan = {2: lambda s: s.buy(size=wanted), 6: lambda s: s.close()}
    lots = {"settings": {"lot_sizes": {"TEST": 500}}} if house.exchange is not None else {}
    outcome = house.run(Noted, {"NFO:TEST26NOVFUT": [CALM] * 9}, cash=1e12, plan=plan, **lots)
    ran = outcome.strategy
    parts = [size for ref, size, _ in ran.fills if ref == ran.returned[0].ref]
    assert sum(parts) == wanted
    assert len(parts) == (3 if house.name.startswith("paper") else 1)
    assert ran.story()[2:] == ["Partial"] * (len(parts) - 1) + ["Completed"]
    assert ran.position.size == 0
    assert [(trade.size, trade.pnl) for trade in outcome.trades] == [(wanted, 0.0)]
