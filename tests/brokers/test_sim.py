"""SimBroker on bars: docs/fills.md, convention by convention."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.brokers.bars import BarRuleBroker
from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.testing import bars, run_strategy
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
        # ... at once, if the market is past it
        (UP, buy(exectype=STOP, price=99.0), ("09:16:00", 100.0)),
        (UP, sell(exectype=STOP, price=101.0), ("09:16:00", 100.0)),
        # a stop-limit: at the trigger if the limit allows
        (UP, buy(exectype=STOPLIMIT, price=101.0, plimit=102.0), ("09:16:40", 101.0)),
        (DOWN, sell(exectype=STOPLIMIT, price=99.0, plimit=98.0), ("09:16:40", 99.0)),
        # ... else it rests as a limit from there on: the way down passes 100, the way up has passed it before
        (DOWN, buy(exectype=STOPLIMIT, price=101.0, plimit=100.0), ("09:16:40", 100.0)),
        (UP, buy(exectype=STOPLIMIT, price=101.0, plimit=100.0), None),
        (UP, sell(exectype=STOPLIMIT, price=99.0, plimit=100.0), ("09:16:40", 100.0)),
        # ... triggered by the open
        (UP, buy(exectype=STOPLIMIT, price=99.0, plimit=101.0), ("09:16:00", 100.0)),
        (UP, buy(exectype=STOPLIMIT, price=99.5, plimit=98.5), ("09:16:20", 98.5)),
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
    from btkite.engine import Cerebro

    engine = Cerebro(stdstats=False, quicknotify=False)

    def react(s, order):
        if order.status == Order.Completed and order.isbuy():
            return s.sell(size=1)

    ran = play([CALM, UP, CALM], {1: buy(exectype=LIMIT, price=99.0)}, react=react, cerebro=engine)
    assert ran.times(1) == ["09:17:00"]


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
        first = s.buy(size=1, exectype=LIMIT, price=101.0)
        return [first, s.buy(size=1, exectype=STOP, price=99.0, oco=first)]

    ran = play([CALM, UP, CALM], {1: pair})
    assert ran.prices() == [100.0]
    assert sorted(ran.story(n)[-1] for n in (0, 1)) == ["Canceled", "Completed"]


def test_an_oco_group_of_three():
    def three(s):
        first = s.buy(size=1, exectype=LIMIT, price=98.5)
        second = s.buy(size=1, exectype=LIMIT, price=90.0, oco=first)
        return [first, second, s.buy(size=1, exectype=STOP, price=110.0, oco=second)]

    ran = play([CALM, UP, CALM], {1: three})
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Canceled", "Canceled"]


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
    from btkite.engine import Cerebro
    from btkite.feed import KiteData

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


# ---- time: sessions, after hours, validity (rules 10 to 12) ----

HOURS = [CALM] * 7
MORNING = [(105.0, 106.0, 104.0, 105.0)] * 3


def overnight(plan, morning=MORNING, **more):
    """A session of hours, and the morning after."""
    return play(HOURS + morning, plan, interval="60minute", **more)


def test_an_order_of_the_last_bar_waits_for_the_next_open():
    ran = overnight({7: buy()})
    assert ran.fills[0][2:] == (105.0, datetime(2026, 11, 19, 9, 15))
    assert ran.story() == ["Submitted", "Accepted", "Completed"]


@pytest.mark.parametrize("how", ["config", "order"])
def test_after_hours_refuse(how):
    if how == "config":
        ran = overnight({7: buy()}, config={"broker.after_hours": "refuse"})
    else:
        ran = overnight({7: buy(after_hours="refuse")})
    assert ran.story() == ["Rejected"]
    assert ran.given[0].info.denied == "the market is closed (broker.after_hours)"


def test_refuse_is_no_matter_while_the_market_is_open():
    assert overnight({3: buy(after_hours="refuse")}).story()[-1] == "Completed"


@pytest.mark.parametrize("how", [{"after_hours": "amo"}, {"variety": "amo"}])
def test_an_after_market_order_is_accepted_at_night_and_trades_at_the_open(how):
    at_night = []

    def give(s):
        order = s.buy(size=1, **how)
        at_night.append(order.getstatusname())
        return order

    ran = overnight({7: give})
    assert at_night == ["Accepted"]
    assert ran.story() == ["Submitted", "Accepted", "Completed"]
    assert ran.fills[0][2:] == (105.0, datetime(2026, 11, 19, 9, 15))


def test_an_after_market_order_may_be_cancelled_before_the_open():
    def react(s, order):
        if order.status == Order.Accepted:
            s.cancel(order)

    ran = overnight({7: buy(after_hours="amo")}, react=react)
    assert ran.story() == ["Submitted", "Accepted", "Canceled"]


def test_a_held_order_may_be_changed_and_cancelled():
    def change(s):
        first, second = (s.buy(size=1, exectype=LIMIT, price=90.0) for _ in range(2))
        assert s.broker.modify(first, size=3, price=105.0)
        s.cancel(second)
        return [first, second]

    ran = overnight({7: change})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(3, 105.0)]
    assert ran.story(1) == ["Submitted", "Canceled"]


def test_an_order_without_deadline_ends_with_its_session_before_the_last_bar_is_seen():
    ran = overnight({3: buy(exectype=LIMIT, price=90.0)})
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert ran.told[-1][2] == 6  # the strategy had seen six bars of seven


@pytest.mark.parametrize("how", ["config", "order"])
def test_a_carried_order_is_placed_again_until_it_trades(how):
    days = HOURS * 2 + [LOW] * 3
    plan = {3: buy(exectype=LIMIT, price=97.0, **({"carry": True} if how == "order" else {}))}
    ran = play(days, plan, interval="60minute", config={"broker.carry": how == "config"})
    assert ran.story() == ["Submitted", "Accepted", "Completed"]
    assert ran.fills[0][2:] == (95.0, datetime(2026, 11, 20, 9, 15))


def test_carried_orders_come_back_in_the_order_in_which_they_were_given():
    plan = {n: buy(exectype=LIMIT, price=97.0, size=10 - n, carry=True) for n in (2, 3, 4)}
    ran = play(HOURS + [LOW] * 3, plan, interval="60minute")
    assert [size for _, size, _, _ in ran.fills] == [8, 7, 6]


def test_what_is_carried_is_what_is_left():
    """A deadline after the session carries too; a fill of the first day is not asked for again."""
    plan = {3: buy(exectype=LIMIT, price=97.0, size=4, valid=timedelta(days=2))}
    ran = play(HOURS + [LOW] * 3, plan, interval="60minute")
    assert [size for _, size, _, _ in ran.fills] == [4]


@pytest.mark.parametrize(
    ("valid", "ends"),
    [
        (timedelta(minutes=3), "09:18:40"),
        (timedelta(seconds=200), "09:18:40"),
        (timedelta(seconds=201), "09:19:20"),
        (datetime(2026, 11, 18, 9, 19), "09:18:40"),
        (3 / 1440, "09:18:40"),
    ],
)
def test_an_order_works_for_prints_strictly_before_its_deadline(valid, ends):
    """Each bar dips to 98 in its second print; ``ends`` is the last print that may trade."""
    for price, minute in ((98.0, 3), (98.0, 2)):
        calm = [CALM] * 10
        calm[minute + 1] = (100.0, 100.0, price, 100.0)
        ran = play(calm, {1: buy(exectype=LIMIT, price=98.0, valid=valid)})
        at = f"09:{16 + minute}:20"
        assert (ran.times() == [at]) is (at <= ends), (at, ends)
        if not ran.fills:
            assert ran.story()[-1] == "Expired"


def test_a_deadline_that_is_a_print_expires_before_it():
    plan = {1: buy(exectype=LIMIT, price=98.0, valid=datetime(2026, 11, 18, 9, 16, 20))}
    assert play([CALM, UP, CALM], plan).story()[-1] == "Expired"
    plan = {1: buy(exectype=LIMIT, price=98.0, valid=datetime(2026, 11, 18, 9, 16, 21))}
    assert play([CALM, UP, CALM], plan).story()[-1] == "Completed"


def test_a_deadline_in_the_past_expires_at_once():
    plan = {2: buy(valid=datetime(2026, 11, 18, 9, 0))}
    ran = play([CALM] * 4, plan)
    assert ran.story()[-1] == "Expired"
    assert ran.fills == []


def test_a_date_works_to_the_close_of_that_day():
    plan = {3: buy(exectype=LIMIT, price=97.0, valid=date(2026, 11, 19))}
    assert overnight(plan, [LOW] * 3).story()[-1] == "Completed"
    plan = {3: buy(exectype=LIMIT, price=97.0, valid=date(2026, 11, 18))}
    assert overnight(plan, [LOW] * 3).story()[-1] == "Expired"


def test_a_deadline_in_the_night_ends_a_carried_order_then():
    plan = {3: buy(exectype=LIMIT, price=97.0, valid=datetime(2026, 11, 18, 20, 0))}
    ended = []

    def react(s, order):
        if not order.alive():
            ended.append(s.broker.now)

    ran = overnight(plan, [LOW] * 3, react=react)
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    from btkite.linetime import from_seconds

    assert from_seconds(ended[0]) == datetime(2026, 11, 18, 20, 0)


def test_a_bracket_whose_exits_lapse_is_told_so_and_holds_its_position():
    plan = {2: lambda s: s.buy_bracket(size=1, exectype=Order.Market, stopprice=90.0, limitprice=120.0)}
    ran = overnight(plan)
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Expired", "Expired"]
    assert ran.position.size == 1


def test_of_an_oco_pair_that_ends_with_the_day_a_carried_one_goes_too():
    """One lapses with the session; its end cancels the other, which would have been placed again."""

    def pair(s):
        first = s.buy(size=1, exectype=LIMIT, price=97.0, carry=True)
        return [first, s.buy(size=1, exectype=STOP, price=120.0, oco=first)]

    ran = overnight({3: pair}, [LOW] * 3)
    assert ran.fills == []
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Canceled", "Expired"]


def test_a_day_that_the_table_calls_closed_is_traded_if_it_has_candles():
    import numpy as np

    from btkite.series import Candles

    starts = [np.datetime64("2026-11-22T09:15:00") + np.timedelta64(60 * n, "s") for n in range(4)]  # a Sunday
    columns = {"date": np.array(starts)} | {name: np.full(4, 100.0) for name in ("open", "high", "low", "close")}
    sunday = Candles.of("NSE:TEST", "minute", {**columns, "volume": np.zeros(4)})
    ran = run_strategy(Planned, sunday, plan={1: buy()}).strategy
    assert ran.times() == ["09:16:00"]


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
        (sell(exectype=STOPLIMIT, price=99.0, plimit=100.0), 100.0),
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
    """Past the day's loss an entry may still be made smaller."""
    plan = {
        1: lambda s: [s.buy(size=50), s.buy(size=50, exectype=LIMIT, price=80.0)],
        3: lambda s: s.broker.modify(s.given[1], size=10),
    }
    changed = []
    plan[4] = lambda s: changed.append(s.given[1].size)
    play(
        [CALM, CALM, (90.0,) * 4, (90.0,) * 4, (90.0,) * 4], plan, risk={"max_position_pct": 100, "max_daily_loss": 10}
    )
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
    from btkite.engine import Cerebro
    from btkite.feed import KiteData

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
    from btkite.errors import ConfigError

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
