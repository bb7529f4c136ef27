"""SimBroker on bars: docs/fills.md, at which price and in which order."""

from __future__ import annotations

import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.testing import bars
from tests.brokers.scene import CALM, DOWN, UP, Order, Planned, buy, play, sell

LIMIT, STOP, STOPLIMIT = Order.Limit, Order.Stop, Order.StopLimit
HIGH = (105.0, 106.0, 104.0, 105.5)
LOW = (95.0, 96.0, 94.0, 94.5)

# ---- at which price (rules 1 to 7) ----


@pytest.mark.parametrize(
    ("bar", "give", "expected"),
    [
        # a market order: the next print
        (UP, buy(), ("09:16:00", 100.0)),
        (UP, sell(), ("09:16:00", 100.0)),
        # a limit: its own price, on the way
        (UP, buy(exectype=LIMIT, price=99.0), ("09:16:20", 99.0)),
        (DOWN, buy(exectype=LIMIT, price=99.0), ("09:16:40", 99.0)),
        (UP, sell(exectype=LIMIT, price=101.0), ("09:16:40", 101.0)),
        (DOWN, sell(exectype=LIMIT, price=101.0), ("09:16:20", 101.0)),
        # ... touched is reached, and not a tick beyond
        (UP, buy(exectype=LIMIT, price=98.0), ("09:16:20", 98.0)),
        (UP, buy(exectype=LIMIT, price=97.95), None),
        (UP, sell(exectype=LIMIT, price=103.0), ("09:16:40", 103.0)),
        (UP, sell(exectype=LIMIT, price=103.05), None),
        # ... or better, if it is met beyond
        (UP, buy(exectype=LIMIT, price=100.0), ("09:16:00", 100.0)),
        (UP, buy(exectype=LIMIT, price=102.0), ("09:16:00", 100.0)),
        (UP, sell(exectype=LIMIT, price=98.0), ("09:16:00", 100.0)),
        # a stop: where it is triggered
        (UP, buy(exectype=STOP, price=101.0), ("09:16:40", 101.0)),
        (DOWN, buy(exectype=STOP, price=101.0), ("09:16:20", 101.0)),
        (UP, sell(exectype=STOP, price=99.0), ("09:16:20", 99.0)),
        (DOWN, sell(exectype=STOP, price=99.0), ("09:16:40", 99.0)),
        (UP, buy(exectype=STOP, price=103.05), None),
        # a stop-limit: at the trigger if the limit allows
        (UP, buy(exectype=STOPLIMIT, price=101.0, plimit=102.0), ("09:16:40", 101.0)),
        (DOWN, sell(exectype=STOPLIMIT, price=99.0, plimit=98.0), ("09:16:40", 99.0)),
        (DOWN, buy(exectype=STOPLIMIT, price=101.0, plimit=101.0), ("09:16:20", 101.0)),
    ],
)
def test_an_order_trades_where_the_path_meets_it(bar, give, expected):
    ran = play([CALM, bar, CALM], {1: give})
    found = list(zip(ran.times(), ran.prices(), strict=True))
    if expected is None:
        assert [fill for fill in found if fill[0] < "09:17"] == []
    else:
        assert found == [expected]


@pytest.mark.parametrize(
    ("gap", "give", "price"),
    [
        (HIGH, buy(exectype=LIMIT, price=103.0), None),
        (HIGH, sell(exectype=LIMIT, price=103.0), 105.0),
        (HIGH, buy(exectype=STOP, price=103.0), 105.0),
        (HIGH, sell(exectype=STOP, price=97.0), None),
        (HIGH, buy(exectype=STOPLIMIT, price=103.0, plimit=104.0), 104.0),  # the open is too dear, the low is not
        (HIGH, buy(exectype=STOPLIMIT, price=103.0, plimit=103.5), None),
        (HIGH, buy(exectype=STOPLIMIT, price=103.0, plimit=106.0), 105.0),
        (LOW, sell(exectype=LIMIT, price=97.0), None),
        (LOW, buy(exectype=LIMIT, price=97.0), 95.0),
        (LOW, sell(exectype=STOP, price=97.0), 95.0),
        (LOW, buy(exectype=STOP, price=103.0), None),
        (LOW, sell(exectype=STOPLIMIT, price=97.0, plimit=96.0), 96.0),
        (LOW, sell(exectype=STOPLIMIT, price=97.0, plimit=96.5), None),
        (LOW, sell(exectype=STOPLIMIT, price=97.0, plimit=94.0), 95.0),
    ],
)
def test_a_gap_is_jumped_no_price_inside_it_is_traded(gap, give, price):
    ran = play([CALM, gap, gap], {1: give})
    assert ran.prices() == ([] if price is None else [price])


@pytest.mark.parametrize(
    ("gap", "give", "price"),
    [
        (HIGH, sell(exectype=LIMIT, price=103.0), 105.0),
        (HIGH, buy(exectype=STOP, price=103.0), 105.0),
        (HIGH, buy(exectype=STOPLIMIT, price=103.0, plimit=104.0), 104.0),
        (LOW, buy(exectype=LIMIT, price=97.0), 95.0),
        (LOW, sell(exectype=STOP, price=97.0), 95.0),
        (LOW, sell(exectype=STOPLIMIT, price=97.0, plimit=94.0), 95.0),
    ],
)
def test_an_order_that_rests_trades_at_the_open_beyond_it(gap, give, price):
    ran = play([CALM, CALM, CALM, gap, gap], {1: give})
    assert list(zip(ran.times(), ran.prices(), strict=True)) == [("09:18:00" if price != 104.0 else "09:18:20", price)]


def test_an_order_never_trades_at_a_price_that_was_seen():
    """Given at a bar's end: neither that bar's low nor its close is there any more."""
    ran = play([UP, (103.0, 104.0, 102.5, 103.5), CALM], {1: buy(exectype=LIMIT, price=102.0)})
    assert ran.times() == ["09:17:00"]


def test_events_happen_in_the_order_in_which_the_path_reaches_them():
    plan = {1: lambda s: [buy(exectype=LIMIT, price=p)(s) for p in (98.5, 99.5, 99.0)]}
    ran = play([CALM, UP, CALM], plan)
    assert ran.prices() == [99.5, 99.0, 98.5]


def test_events_at_one_price_happen_in_the_order_of_arrival_and_a_change_is_a_new_one():
    plan = {
        1: lambda s: [buy(exectype=LIMIT, price=99.0, size=n)(s) for n in (1, 2, 3)],
        2: lambda s: s.broker.modify(s.given[0], size=4),
    }
    ran = play([CALM, CALM, UP], plan)
    assert [size for _, size, _, _ in ran.fills] == [2, 3, 4]


# ---- answers in the middle of a bar (rules 5, 8, 13) ----


def test_an_answer_to_a_fill_works_from_the_next_print():
    """Bought at 99 on the way to 98; what is sold then meets the low, and not a price before."""

    def react(s, order):
        if order.status == Order.Completed and order.isbuy():
            return s.sell(size=1)

    ran = play([CALM, UP, CALM], {1: buy(exectype=LIMIT, price=99.0)}, react=react)
    assert list(zip(ran.times(1), ran.prices(1), strict=True)) == [("09:16:20", 98.0)]


def test_an_answer_to_a_fill_on_a_print_works_from_the_print_after():
    def react(s, order):
        if order.status == Order.Completed and order.isbuy():
            return s.sell(size=1)

    ran = play([CALM, UP, CALM], {1: buy()}, react=react)
    assert list(zip(ran.times(1), ran.prices(1), strict=True)) == [("09:16:20", 98.0)]


def test_an_answer_sees_the_lines_as_they_were():
    seen = []

    def react(s, order):
        if order.status == Order.Completed:
            seen.append((len(s), s.data.close[0], s.position.size, s.broker.getvalue()))

    play([CALM, UP, CALM], {1: buy(exectype=LIMIT, price=99.0, size=10)}, react=react)
    assert seen == [(1, 100.0, 10, 100_010.0)]


def test_a_cancel_in_an_answer_comes_before_the_next_event():
    def react(s, order):
        if order.status == Order.Completed:
            s.cancel(s.given[1])

    plan = {1: lambda s: [buy(exectype=LIMIT, price=99.0)(s), buy(exectype=LIMIT, price=98.95)(s)]}
    ran = play([CALM, UP, CALM], plan, react=react)
    assert ran.prices() == [99.0]
    assert ran.story(1)[-1] == "Canceled"


def test_without_quicknotify_the_answer_comes_with_the_bar():

    engine = Cerebro(stdstats=False, quicknotify=False)

    def react(s, order):
        if order.status == Order.Completed and order.isbuy():
            return s.sell(size=1)

    ran = play([CALM, UP, CALM], {1: buy(exectype=LIMIT, price=99.0)}, react=react, cerebro=engine)
    assert ran.times(1) == ["09:17:00"]


# ---- which print, of which candle ----


def test_a_missing_bar_is_waited_for():
    ran = play([CALM, None, None, UP, CALM], {1: buy(exectype=LIMIT, price=99.0)})
    assert ran.times() == ["09:18:20"]


def test_prints_of_several_instruments_are_played_by_time_then_by_key():
    order = []
    plan = {1: lambda s: [s.buy(data=s.datas[n], size=1) for n in (1, 0)]}

    def react(s, one):
        if one.status == Order.Completed:
            order.append(one.data._name)

    play(
        {
            "NSE:BBB": bars.from_rows([CALM] * 3, symbol="NSE:BBB"),
            "NSE:AAA": bars.from_rows([CALM] * 3, symbol="NSE:AAA"),
        },
        plan,
        react=react,
    )
    assert order == ["NSE:AAA", "NSE:BBB"]


def test_an_answer_on_another_instrument_meets_its_print_of_the_same_second_only_if_that_comes_later():
    def react(s, one):
        if one.status == Order.Completed and len(s.given) == 1:
            return s.buy(data=s.datas[1] if one.data is s.datas[0] else s.datas[0], size=1)

    market = {key: bars.from_rows([CALM, UP, CALM], symbol=key) for key in ("NSE:AAA", "NSE:BBB")}
    for first, when in ((0, "09:16:00"), (1, "09:16:20")):
        ran = play(market, {1: lambda s, n=first: s.buy(data=s.datas[n], size=1)}, react=react)
        assert ran.times(1) == [when]


def two_feeds(rows, plan, *, coarse_first: bool, **more):

    candles = bars.from_rows(rows)
    engine = Cerebro(stdstats=False)
    feeds = [("fine", "minute"), ("coarse", "5minute")]
    for name, interval in reversed(feeds) if coarse_first else feeds:
        engine.adddata(KiteData(dataname=candles, interval=interval), name=name)
    engine.setbroker(SimBroker(config=Config().with_(**{"broker.charges": False, "risk.enabled": False, **more})))
    engine.addstrategy(Planned, plan=plan)
    return engine.run()[0]


@pytest.mark.parametrize("coarse_first", [True, False])
@pytest.mark.parametrize("through", ["fine", "coarse"])
def test_the_finest_feed_is_played_and_both_share_one_position(coarse_first, through):
    """An order through the five-minute feed trades on the minute's prints, and its last price is the minute's."""
    seen = []

    def look(s):
        seen.append((s.broker.getvalue(), [s.getposition(data).size for data in s.datas]))

    plan = {5: lambda s: s.buy(data=s.getdatabyname(through), size=10, exectype=LIMIT, price=99.0), 11: look}
    rows = [CALM] * 5 + [CALM, UP, CALM, CALM, (100.0, 105.0, 100.0, 105.0)] + [(106.0,) * 4] * 2
    ran = two_feeds(rows, plan, coarse_first=coarse_first)
    assert ran.times() == ["09:21:20"]
    assert seen == [(100_070.0, [10, 10])]  # the minute has closed at 106, the five minutes at 105


# ---- groups ----


@pytest.mark.parametrize(("bar", "first"), [(UP, "stop"), (DOWN, "target")], ids=["low first", "high first"])
@pytest.mark.parametrize("buys", [True, False])
def test_of_stop_and_target_in_one_bar_the_path_decides(bar, first, buys):
    def enter(s):
        if buys:
            return s.buy_bracket(size=2, exectype=Order.Market, stopprice=98.5, limitprice=102.5)
        return s.sell_bracket(size=2, exectype=Order.Market, stopprice=102.5, limitprice=98.5)

    ran = play([CALM, CALM, bar, CALM], {1: enter})
    low = first == "stop"  # a long's stop is the low side
    assert ran.prices() == [100.0, 98.5 if low else 102.5]
    assert ran.position.size == 0
    trades_stop = low == buys
    assert [ran.story(n)[-1] for n in (1, 2)] == (
        ["Completed", "Canceled"] if trades_stop else ["Canceled", "Completed"]
    )


def test_children_work_from_the_print_after_the_entry():
    """Bought at 98.5 on the way down: the target above is reached in the same bar, on the way up."""
    plan = {1: lambda s: s.buy_bracket(size=1, price=98.5, stopprice=95.0, limitprice=101.0)}
    ran = play([CALM, UP, CALM], plan)
    assert list(zip(ran.times(0), ran.prices(0), strict=True)) == [("09:16:20", 98.5)]
    assert list(zip(ran.times(2), ran.prices(2), strict=True)) == [("09:16:40", 101.0)]


def test_a_child_meets_the_next_print_as_any_order_does():
    """The stop lies above the low that follows the entry: it trades there, not at its own price."""
    plan = {1: lambda s: s.buy_bracket(size=1, price=98.5, stopprice=98.3, limitprice=101.0)}
    ran = play([CALM, UP, CALM], plan)
    assert list(zip(ran.times(1), ran.prices(1), strict=True)) == [("09:16:20", 98.0)]


def test_an_exit_larger_than_its_entry_works_for_the_entrys_size():
    def enter(s):
        entry = s.buy(size=2, transmit=False)
        return [entry, s.sell(size=5, exectype=STOP, price=99.0, parent=entry)]

    ran = play([CALM, UP, CALM], {1: enter})
    assert [size for _, size, _, _ in ran.fills] == [2, -2]
    assert ran.position.size == 0


def test_a_target_smaller_than_the_position_leaves_the_stop_for_the_rest():
    def enter(s):
        entry = s.buy(size=5, transmit=False)
        stop = s.sell(size=5, exectype=STOP, price=98.5, parent=entry, transmit=False)
        return [entry, stop, s.sell(size=2, exectype=LIMIT, price=102.0, parent=entry)]

    ran = play([CALM, DOWN, CALM], {1: enter})
    # the target arrived between prints and meets the high; the stop was changed there and meets the low
    assert [(size, price) for _, size, price, _ in ran.fills] == [(5, 100.0), (-2, 103.0), (-3, 98.0)]


def test_a_child_given_after_its_entry_has_filled_works_at_once():
    plan = {
        1: lambda s: s.buy(size=3),
        3: lambda s: s.sell(size=3, exectype=LIMIT, price=102.0, parent=s.given[0]),
    }
    ran = play([CALM, CALM, CALM, UP, CALM], plan)
    assert ran.prices() == [100.0, 102.0]


def test_a_child_of_an_entry_that_has_ended_is_denied():
    plan = {
        1: lambda s: s.buy(size=3, exectype=LIMIT, price=90.0),
        2: lambda s: s.cancel(s.given[0]),
        3: lambda s: s.sell(size=3, exectype=LIMIT, price=102.0, parent=s.given[0]),
    }
    ran = play([CALM] * 5, plan)
    assert ran.story(1) == ["Rejected"]
    assert "parent" in ran.given[1].info.denied
    assert ran.broker.gate.denied == 1


def test_an_entry_that_was_cancelled_before_its_bracket_was_whole_never_works():
    def enter(s):
        entry = s.buy(size=2, transmit=False)
        s.cancel(entry)
        return [entry, s.sell(size=2, exectype=STOP, price=99.0, parent=entry)]

    ran = play([CALM, UP, CALM], {1: enter})
    assert ran.story(0) == ["Canceled"]
    assert ran.story(1) == ["Rejected"]
    assert ran.fills == []


def test_of_an_oco_pair_in_one_bar_the_path_decides():
    def pair(s):
        first = s.buy(size=1, exectype=LIMIT, price=98.5)
        return [first, s.buy(size=1, exectype=STOP, price=102.5, oco=first)]

    ran = play([CALM, UP, CALM], {1: pair})
    assert ran.prices() == [98.5]
    assert ran.story(1)[-1] == "Canceled"
    ran = play([CALM, DOWN, CALM], {1: pair})
    assert ran.prices() == [102.5]
    assert ran.story(0)[-1] == "Canceled"


def test_an_oco_pair_met_by_one_print_trades_once():
    def pair(s):
        first = s.buy(size=1, exectype=LIMIT, price=106.0)
        return [first, s.buy(size=1, exectype=STOP, price=103.0, oco=first)]

    ran = play([CALM, HIGH, CALM], {1: pair})
    assert ran.prices() == [105.0]
    assert sorted(ran.story(n)[-1] for n in (0, 1)) == ["Canceled", "Completed"]


def test_an_oco_group_of_three():
    def three(s):
        first = s.buy(size=1, exectype=LIMIT, price=98.5)
        second = s.buy(size=1, exectype=LIMIT, price=90.0, oco=first)
        return [first, second, s.buy(size=1, exectype=STOP, price=110.0, oco=second)]

    ran = play([CALM, UP, CALM], {1: three})
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Canceled", "Canceled"]
