"""A slot: a feed that is bound to its instrument, or to another one, during a run."""

from __future__ import annotations

import http.client
import math
import threading
from datetime import datetime, timedelta

import backtrader as bt
import pytest

from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import ConfigError, DataError, UnknownSymbol
from btkite.feed import KiteData
from btkite.grid import ends_of
from btkite.linetime import from_seconds, seconds_of
from btkite.modes import MODES
from btkite.store import KiteStore
from btkite.testing import bars
from btkite.testing.wire import USER

ENGINES = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])
EVERY_MODE = pytest.mark.parametrize("mode", MODES)
DAY = datetime(2024, 7, 1)
OPEN = DAY + timedelta(hours=9, minutes=15)
SHAPES = {"NSE:AAA": "uptrend", "NSE:BBB": "whipsaw", "NSE:CCC": "downtrend"}
FREE = {"risk.enabled": False, "broker.charges": False}


def market(count=30):
    return {key: bars(shape, symbol=key, day=DAY.date(), count=count) for key, shape in SHAPES.items()}


def minute(number):
    """The end of the day's ``number``-th minute."""
    return OPEN + timedelta(minutes=number)


class Slots(bt.Strategy):
    """``plan`` maps minutes of the day to what is done when that bar has ended."""

    params = (("plan", {}),)

    def __init__(self):
        self.seen, self.story, self.orders, self.status = [], [], [], []
        self.done, self.length, self.empty = set(), 0, []
        self.trades = []

    def prenext(self):
        self.look()

    def next(self):
        self.look()

    def look(self):
        slot = self.datas[-1]
        if len(slot) and len(slot) != self.length:
            self.length = len(slot)
            if math.isnan(slot.close[0]):
                self.empty.append((slot.instrument, now(slot)))
            else:
                self.seen.append((len(slot), slot.instrument.key, now(slot), slot.close[0]))
        at = (now(self.data) - OPEN) // timedelta(minutes=1)
        if at in self.p.plan and at not in self.done:
            self.done.add(at)
            self.p.plan[at](self, slot)

    def notify_order(self, order):
        self.story.append(
            (order.info.instrument, order.getstatusname(), order.executed.size, order.executed.price)
            + ((now_of(order.executed.dt),) if order.status == order.Completed else ())
        )

    def notify_trade(self, trade):
        if trade.isclosed:
            self.trades.append((trade.tradeid, trade.pnl))

    def notify_data(self, data, status, *args, **kwargs):
        if data is self.datas[-1]:
            self.status.append(data._getstatusname(status))


def now(data):
    return now_of(data.datetime[0])


def now_of(number):
    return from_seconds(seconds_of(number))


@pytest.fixture
def run(kite_exchange, tmp_path):
    def run(mode, plan, *, slot=None, engine=Cerebro, interval="minute", candles=None, **more):
        candles = candles or market()
        if MODES[mode].bars == "stream":
            kite_exchange.reset(candles, start=DAY + timedelta(hours=9))
            store = KiteStore(mode=mode, config=kite_exchange.config(**FREE), confirm=USER)
        else:
            store = KiteStore(config=Config().with_(**FREE, **{"data.cache": str(tmp_path)}))
            for one in candles.values():
                store.cache.write(one)
        cerebro = engine(stdstats=False)
        cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
        cerebro.adddata(store.getdata(slot, interval=interval, name="slot", slot=True))
        cerebro.setbroker(store.getbroker())
        cerebro.addstrategy(Slots, plan=plan, **more)
        return cerebro.run()[0]

    return run


def expected(key, after, upto, interval="minute"):
    """Ends and closes of a stored instrument's bars that end in (after, upto]."""
    one = market()[key]
    ends = ends_of(key, interval)(one.start).tolist()
    return [(key, end, close) for end, close in zip(ends, one.close.tolist(), strict=True) if after < end <= upto]


ROLL = {
    5: lambda s, slot: slot.bind("NSE:BBB"),
    8: lambda s, slot: s.buy(data=slot, size=4),
    11: lambda s, slot: s.close(data=slot),
    14: lambda s, slot: slot.bind("NSE:CCC"),
    17: lambda s, slot: s.sell(data=slot, size=2),
    20: lambda s, slot: s.close(data=slot),
}


@EVERY_MODE
@ENGINES
def test_a_slot_has_the_bars_of_what_it_is_bound_to_from_then_on(run, mode, engine):
    ran = run(mode, ROLL, engine=engine)
    assert [row[1:] for row in ran.seen] == expected("NSE:BBB", minute(5), minute(14)) + expected(
        "NSE:CCC", minute(14), minute(30)
    )
    assert len(ran.data) == 30


def test_orders_through_a_slot_are_the_same_in_every_mode(run):
    stories = {mode: run(mode, ROLL).story for mode in MODES}
    assert stories["paper"] == stories["live"] == stories["backtest"]
    done = [row for row in stories["live"] if row[1] == "Completed"]
    one, other = market()["NSE:BBB"], market()["NSE:CCC"]
    assert done == [
        ("NSE:BBB", "Completed", 4, one.open[8], minute(8)),
        ("NSE:BBB", "Completed", -4, one.open[11], minute(11)),
        ("NSE:CCC", "Completed", -2, other.open[17], minute(17)),
        ("NSE:CCC", "Completed", 2, other.open[20], minute(20)),
    ]


@EVERY_MODE
def test_a_feed_that_has_an_instrument_may_be_a_slot_too(run, mode):
    ran = run(mode, {10: lambda s, slot: slot.bind("NSE:CCC")}, slot="NSE:BBB")
    assert [row[1:] for row in ran.seen][:9] == expected("NSE:BBB", OPEN, minute(9))
    assert [row[1:] for row in ran.seen][10:] == expected("NSE:CCC", minute(10), minute(30))


@EVERY_MODE
def test_what_another_feed_has_is_heard_on_when_a_slot_leaves_it(run, mode):
    ran = run(mode, {5: lambda s, slot: slot.bind("NSE:AAA"), 12: lambda s, slot: slot.bind("NSE:BBB")})
    assert len(ran.data) == 30
    assert {row[1] for row in ran.seen if row[2] <= minute(12)} == {"NSE:AAA"}
    assert ran.seen[-1][1:3] == ("NSE:BBB", minute(30))


@EVERY_MODE
def test_the_bar_that_is_under_way_comes_whole(run, mode):
    ran = run(mode, {7: lambda s, slot: slot.bind("NSE:BBB")}, interval="5minute")
    ends = [row[2] for row in ran.seen]
    assert ends == [minute(number) for number in (10, 15, 20, 25, 30)]
    assert [row[3] for row in ran.seen] == market()["NSE:BBB"].close[9::5].tolist()


@EVERY_MODE
def test_an_unbound_slot_ticks_with_the_others_and_holds_nan(run, mode):
    ran = run(mode, {})
    assert ran.seen == []
    assert ran.empty == [(None, minute(number)) for number in range(1, 31)]
    assert len(ran.data) == 30
    assert len(ran) == 30


@EVERY_MODE
def test_orders_through_a_slot_are_denied_until_its_instrument_has_a_bar(run, mode):
    def give(s, slot):
        s.orders.append(s.buy(data=slot, size=1))

    def give_all_kinds(s, slot):
        give(s, slot)
        s.orders.append(s.sell(data=slot, size=1, exectype=bt.Order.Limit, price=90.0))
        s.orders.append(s.sell(data=slot, size=1, exectype=bt.Order.StopTrail, trailamount=1.0))
        s.orders += s.buy_bracket(data=slot, size=1, price=90.0, stopprice=80.0, limitprice=100.0)

    plan = {
        3: give_all_kinds,
        5: lambda s, slot: slot.bind("NSE:BBB") or give(s, slot),
        6: give,
        10: lambda s, slot: slot.bind("NSE:CCC") or give(s, slot),
    }
    ran = run(mode, plan)
    assert [order.getstatusname() for order in ran.orders] == ["Rejected"] * 7 + ["Completed", "Rejected"]
    assert all(order.info.denied for order in ran.orders if order.status == order.Rejected)


@EVERY_MODE
def test_an_order_of_the_instrument_before_still_trades(run, mode):
    level = float(market()["NSE:BBB"].low[15:25].min())

    def rest(s, slot):
        s.buy(data=slot, size=3, exectype=bt.Order.Limit, price=level)

    ran = run(mode, {5: lambda s, slot: slot.bind("NSE:BBB"), 8: rest, 9: lambda s, slot: slot.bind("NSE:CCC")})
    assert [row[:4] for row in ran.story if row[1] == "Completed"] == [
        ("NSE:BBB", "Completed", 3, pytest.approx(level))
    ]
    assert ran.getposition(ran.datas[1]).size == 0


@EVERY_MODE
def test_a_position_left_behind_is_worth_its_own_price(run, mode):
    plan = {**{n: ROLL[n] for n in (5, 8)}, 11: lambda s, slot: slot.bind("NSE:CCC")}
    ran = run(mode, plan)
    one = market()["NSE:BBB"]
    gain = ran.broker.getvalue() - ran.broker.startingcash
    assert gain == pytest.approx(4 * (one.close[-1] - one.open[8]), abs=1e-6)


@EVERY_MODE
def test_a_position_left_behind_is_tradable_until_it_is_flat(run, mode):
    told = []

    def leave(s, slot):
        (left,) = slot.left
        told.append((left.instrument.key, s.getposition(left).size, left.close[0]))
        s.buy(data=slot, size=1)
        s.close(data=left)

    plan = {
        **{n: ROLL[n] for n in (5, 8)},
        11: lambda s, slot: slot.bind("NSE:CCC"),
        15: leave,
        18: lambda s, slot: told.append(slot.left) or s.close(data=slot),
    }
    ran = run(mode, plan)
    one, other = market()["NSE:BBB"], market()["NSE:CCC"]
    assert told == [("NSE:BBB", 4, one.close[14]), ()]
    assert [row for row in ran.story if row[1] == "Completed"] == [
        ("NSE:BBB", "Completed", 4, one.open[8], minute(8)),
        ("NSE:BBB", "Completed", -4, one.open[15], minute(15)),
        ("NSE:CCC", "Completed", 1, other.open[15], minute(15)),
        ("NSE:CCC", "Completed", -1, other.open[18], minute(18)),
    ]
    assert ran.trades == [
        ("NSE:BBB", pytest.approx(4 * (one.open[15] - one.open[8]))),
        ("NSE:CCC", pytest.approx(other.open[18] - other.open[15])),
    ]
    assert not ran.getposition(ran.datas[1]).size


@EVERY_MODE
def test_through_what_a_slot_has_left_nothing_is_opened(run, mode):
    orders = []
    plan = {
        **{n: ROLL[n] for n in (5, 8)},
        11: lambda s, slot: slot.bind("NSE:CCC"),
        15: lambda s, slot: orders.append(s.buy(data=slot.left[0], size=1)),
        16: lambda s, slot: orders.append(s.sell(data=slot.left[0], size=9)),
    }
    run(mode, plan)
    assert [order.getstatusname() for order in orders] == ["Rejected", "Rejected"]
    assert "only what closes what is left there may be traded" in orders[0].info.denied


@EVERY_MODE
def test_a_bar_that_was_fetched_ahead_is_not_another_instruments(run, mode):
    plan = {n: lambda s, slot, key=key: slot.bind(key) for n, key in ((1, "NSE:BBB"), (12, "NSE:CCC"))}
    ran = run(mode, plan, interval="5minute")
    bbb, ccc = market()["NSE:BBB"].close, market()["NSE:CCC"].close
    assert [row[2] for row in ran.seen] == [minute(n) for n in (5, 10, 15, 20, 25, 30)]
    assert [row[3] for row in ran.seen] == [bbb[4], bbb[9], *ccc[14::5]]


@EVERY_MODE
def test_a_slot_may_be_emptied(run, mode):
    plan = {
        **{n: ROLL[n] for n in (5, 8)},
        11: lambda s, slot: slot.unbind(),
        13: lambda s, slot: s.orders.append(s.buy(data=slot, size=1)),
        14: lambda s, slot: s.close(data=slot.left[0]),
        20: lambda s, slot: slot.bind("NSE:CCC"),
    }
    ran = run(mode, plan)
    assert [at for _, at in ran.empty] == [minute(n) for n in (*range(1, 6), *range(12, 21))]
    assert [row[1:3] for row in ran.seen[-10:]] == [("NSE:CCC", minute(n)) for n in range(21, 31)]
    assert "bound to nothing" in ran.orders[0].info.denied
    assert ran.broker.position_of("NSE:BBB").size == 0


@EVERY_MODE
def test_a_trailing_stop_follows_what_it_was_given_for(run, mode):
    stops = []

    def rest(s, slot):
        s.buy(data=slot, size=1)
        stops.append(s.sell(data=slot, size=1, exectype=bt.Order.StopTrail, trailamount=50.0))

    plan = {5: lambda s, slot: slot.bind("NSE:BBB"), 8: rest, 10: lambda s, slot: slot.bind("NSE:CCC")}
    run(mode, plan)
    assert stops[0].created.price == pytest.approx(market()["NSE:BBB"].close[7:].max() - 50)


def test_a_stream_says_when_a_slot_is_live(run):
    assert run("paper", {5: ROLL[5], 14: ROLL[14]}).status == ["DELAYED", "LIVE", "DELAYED", "LIVE"]


def test_binding_asks_kite_for_nothing_on_cerebros_thread(run, monkeypatch):
    """Every request's thread is noted where the standard library sends it."""
    sent, bound = [], []
    putrequest = http.client.HTTPConnection.putrequest

    def noted(self, method, url, *args, **kwargs):
        sent.append((threading.current_thread(), url))
        return putrequest(self, method, url, *args, **kwargs)

    monkeypatch.setattr(http.client.HTTPConnection, "putrequest", noted)
    run("paper", {4: lambda s, slot: bound.append(len(sent)), **ROLL})
    during = [(thread, url) for thread, url in sent[bound[0] :] if not url.startswith("/_exchange")]
    assert any("/instruments/historical/" in url for _, url in during)
    assert [url for thread, url in during if thread is threading.current_thread()] == []


def test_a_run_may_be_repeated_and_the_slot_is_empty_again(tmp_path):
    store = KiteStore(config=Config().with_(**FREE, **{"data.cache": str(tmp_path)}))
    for one in market().values():
        store.cache.write(one)
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
    cerebro.adddata(store.getdata(None, interval="minute", name="slot"))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Slots, plan=ROLL)
    first, second = cerebro.run()[0], cerebro.run()[0]
    assert first.seen == second.seen
    assert len(first.seen) == 25


def test_what_is_wrong_is_one_sentence(run):
    with pytest.raises(UnknownSymbol, match="NSE:BBX"):
        run("paper", {5: lambda s, slot: slot.bind("NSE:BBX")})
    with pytest.raises(ConfigError, match=r"make it a slot, getdata\(…, slot=True\)"):
        run("paper", {5: lambda s, slot: s.data.bind("NSE:BBB")})
    with pytest.raises(ConfigError, match="a slot takes its bars from a store"):
        KiteData(dataname=market()["NSE:AAA"], slot=True)


def test_an_instrument_without_candles_after_that_is_said(run):
    candles = {**market(), "NSE:CCC": bars("flat", symbol="NSE:CCC", day=(DAY - timedelta(days=3)).date(), count=5)}
    with pytest.raises(DataError, match="NSE:CCC"):
        run("backtest", {5: lambda s, slot: slot.bind("NSE:CCC")}, candles=candles)
