"""btkite.Cerebro: what it repairs, what it holds back, and that the stock Cerebro beside it stays as it was."""

from __future__ import annotations

import gc
import inspect
import logging
import sys
import threading
from datetime import datetime, time, timedelta
from typing import ClassVar

import backtrader as bt
import pandas as pd
import pytest

from btkite.brokers.kite import KiteBroker
from btkite.brokers.record import Record
from btkite.brokers.sim import SimBroker
from btkite.clock import ExchangeClock, ManualClock
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.journal import Journal
from btkite.linetime import from_seconds, seconds_of
from btkite.store import KiteStore
from btkite.testing import bars
from btkite.testing.wire import USER
from tests import test_feeding as feeding

ENGINES = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])
LOOPS = pytest.mark.parametrize(
    "loop", [{"runonce": True}, {"runonce": False}, {"preload": False}], ids=["once", "next", "load"]
)
FREE = Config().with_(**{"risk.enabled": False, "broker.charges": False})
DAY = datetime(2024, 7, 1)
NEXT_DAY = datetime(2024, 7, 2)


def candles(name="whipsaw", key="NSE:AAA", count=375 + 15):
    """A session and the beginning of the next."""
    return bars(name, symbol=key, day=DAY.date(), count=count)


def now(strategy) -> datetime | None:
    if not len(strategy.data):
        return None  # only another feed has begun
    return from_seconds(seconds_of(strategy.data.datetime[0]))


class Log(bt.Strategy):
    """Writes down every call with the bar's time."""

    params = (("buys", {}), ("timer", None), ("period", 1))

    def __init__(self):
        self.calls, self.orders = [], []
        self.mean = bt.ind.SMA(period=self.p.period)
        if self.p.timer is not None:
            self.add_timer(self.p.timer, repeat=timedelta(minutes=1))

    def say(self, what):
        self.calls.append((what, now(self)))

    def prenext(self):
        self.say("prenext")

    def nextstart(self):
        self.say("nextstart")
        self.next()

    def next(self):
        self.say("next")
        for kwargs in self.p.buys.get(len(self), ()):
            self.orders.append(self.buy(**kwargs))

    def notify_timer(self, timer, when, *args, **kwargs):
        self.say("timer")

    def notify_order(self, order):
        self.say(order.getstatusname())

    def of(self, what):
        return [when for name, when in self.calls if name == what]


def run(*feeds, engine=Cerebro, strategy=Log, broker=None, cerebro=None, **params):
    loop = {name: params.pop(name) for name in ("runonce", "preload", "quicknotify", "warmup") if name in params}
    cerebro = cerebro or engine(stdstats=False, **loop)
    for feed in feeds or (KiteData(dataname=candles(), fromdate=NEXT_DAY, warmup=20),):
        cerebro.adddata(feed)
    cerebro.setbroker(broker or SimBroker(config=FREE))
    cerebro.addstrategy(strategy, **params)
    return cerebro.run()[0]


# ---- warm-up --------------------------------------------------------------------------------------------------------


@LOOPS
@pytest.mark.parametrize("period", [1, 20, 21, 25])
def test_next_is_first_called_on_the_first_bar_after_the_warmup_or_later_if_indicators_need_more(loop, period):
    ran = run(period=period, **loop)
    first = NEXT_DAY + timedelta(hours=9, minutes=16 + max(0, period - 21))
    assert ran.of("nextstart") == [first]
    assert ran.of("next")[0] == first
    assert len(ran.of("prenext")) == 20 + max(0, period - 21)


def test_next_is_first_called_on_the_same_bar_in_every_mode(kite_exchange):
    history = run(period=12)
    kite_exchange.reset(candles(), start=NEXT_DAY + timedelta(hours=9))
    config = kite_exchange.config(**{"data.warmup": 20})
    found = {"backtest": history.calls}
    for mode in ("paper", "live"):
        kite_exchange.reset(candles(), start=NEXT_DAY + timedelta(hours=9))
        store = KiteStore(
            mode=mode, config=config.with_(**{"broker.kite_connect.endpoint": kite_exchange.url}), confirm=USER
        )
        found[mode] = run(store.getdata("NSE:AAA", interval="minute"), broker=store.getbroker(), period=12).calls
    assert found["paper"] == found["live"] == found["backtest"]
    assert ("nextstart", NEXT_DAY + timedelta(hours=9, minutes=16)) in found["live"]


@LOOPS
def test_timers_wait_for_the_warmup_too(loop):
    ran = run(timer=time(9, 10), **loop)
    assert ran.of("timer")[0] == NEXT_DAY + timedelta(hours=9, minutes=16)
    without = run(KiteData(dataname=candles()), timer=time(9, 10), **loop)
    assert without.of("timer")[0] == DAY + timedelta(hours=9, minutes=16)


@LOOPS
def test_a_warmup_that_is_played_calls_next_and_denies_its_orders(loop):
    ran = run(warmup="play", buys={3: [{"size": 1}], 22: [{"size": 2}]}, **loop)
    assert ran.of("prenext") == []
    assert len(ran.of("next")) == 35
    early, later = ran.orders
    assert early.status == early.Rejected
    assert "warm up" in early.info.denied
    assert later.status == later.Completed
    assert ran.position.size == 2


def test_each_strategy_is_held_by_its_own_feeds(kite_exchange):
    class Second(Log):
        def __init__(self):
            super().__init__()

    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(KiteData(dataname=candles(), fromdate=NEXT_DAY, warmup=20))
    cerebro.adddata(
        KiteData(dataname=candles(key="NSE:BBB"), fromdate=NEXT_DAY + timedelta(hours=9, minutes=20), warmup=5)
    )
    cerebro.setbroker(SimBroker(config=FREE))
    cerebro.addstrategy(Log)
    cerebro.addstrategy(Second)
    for ran in cerebro.run():
        assert ran.of("next")[0] == NEXT_DAY + timedelta(hours=9, minutes=21)


def test_feeds_that_know_no_warmup_are_not_held():
    table = candles(count=10).frame().set_index("date")
    ran = run(bt.feeds.PandasData(dataname=table, timeframe=bt.TimeFrame.Minutes))
    assert len(ran.of("next")) == 10


# ---- orders are told at once ----------------------------------------------------------------------------------------


@LOOPS
def test_a_fill_is_told_before_its_bar_is_seen(loop):
    ran = run(buys={21: [{"size": 1}]}, **loop)
    first = NEXT_DAY + timedelta(hours=9, minutes=16)
    told = [call for call in ran.calls if call[0] in ("Submitted", "Accepted", "Completed", "next")]
    assert told[:5] == [
        ("next", first),
        ("Submitted", first),
        ("Accepted", first),
        ("Completed", first),
        ("next", first + timedelta(minutes=1)),
    ]


def test_without_quicknotify_orders_are_told_with_the_next_bar():
    ran = run(buys={21: [{"size": 1}]}, quicknotify=False)
    first = NEXT_DAY + timedelta(hours=9, minutes=16)
    assert ran.of("Completed") == [first + timedelta(minutes=1)]


@LOOPS
def test_orders_of_the_last_bar_are_told_before_the_end(loop):
    ran = run(buys={35: [{"size": 1}]}, **loop)
    assert ran.orders[0].status == ran.orders[0].Accepted
    assert ran.calls[-1][0] == "Accepted"


# ---- the end, whatever it is ----------------------------------------------------------------------------------------


class Part:
    """Counts its stops; may fail in them."""

    stops = 0
    fails = False

    def stop(self):
        self.stops += 1
        super().stop()
        if self.fails:
            raise OSError("the second error")


class CountedFeed(Part, KiteData):
    pass


class CountedBroker(Part, SimBroker):
    pass


class CountedStore(Part, KiteStore):
    pass


class Breaks(Log):
    params = (("error", ValueError("the first error")), ("where", "next"))

    def next(self):
        if self.p.where == "next" and len(self) == 23:
            raise self.p.error

    def notify_order(self, order):
        if self.p.where == "notify_order":
            raise self.p.error

    def start(self):
        if self.p.where == "start":
            raise self.p.error


def parts(tmp_path):
    store = CountedStore(config=FREE.with_(**{"data.cache": str(tmp_path)}))
    store.cache.write(candles())
    feed = CountedFeed(dataname="NSE:AAA", store=store, interval="minute", fromdate=NEXT_DAY, warmup=20)
    return feed, CountedBroker(config=FREE), store


@LOOPS
@pytest.mark.parametrize("error", [ValueError("the first error"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["next", "start"])
def test_when_a_callback_raises_every_part_is_stopped_and_the_error_is_the_callbacks(tmp_path, loop, error, where):
    feed, broker, store = parts(tmp_path)
    with pytest.raises(type(error)) as caught:
        run(feed, broker=broker, strategy=Breaks, error=error, where=where, **loop)
    assert caught.value is error
    assert (feed.stops, broker.stops, store.stops) == (1, 1, 1)


def test_a_part_that_fails_to_stop_hides_neither_the_error_nor_the_other_parts(tmp_path, caplog):
    feed, broker, store = parts(tmp_path)
    broker.fails = feed.fails = True
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="the first error"):
        run(feed, broker=broker, strategy=Breaks)
    assert (feed.stops, broker.stops, store.stops) == (1, 1, 1)


def test_a_run_without_an_error_stops_each_part_once(tmp_path):
    feed, broker, store = parts(tmp_path)
    run(feed, broker=broker)
    assert (feed.stops, broker.stops, store.stops) == (1, 1, 1)


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_an_error_on_a_stream_leaves_no_thread_behind(kite_exchange, mode):
    kite_exchange.reset(candles(), start=NEXT_DAY + timedelta(hours=9))
    store = kite_exchange.store(mode, config=kite_exchange.config(**{"data.warmup": 20}))
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="the first error"):
        run(store.getdata("NSE:AAA", interval="minute"), broker=store.getbroker(), strategy=Breaks)
    left = {thread for thread in set(threading.enumerate()) - before if thread.is_alive()}
    assert {thread.name for thread in left if thread.name.startswith("kite")} == set()


class Stops(Log):
    params = (("at", 25),)

    def next(self):
        super().next()
        if len(self) == self.p.at:
            self.env.runstop()


@LOOPS
def test_runstop_ends_the_run_with_that_bar(loop):
    ran = run(strategy=Stops, **loop)
    assert len(ran.of("next")) == 5
    assert len(ran) == 25


def test_runstop_ends_a_stream_and_its_threads(kite_exchange):
    kite_exchange.reset(candles(), start=NEXT_DAY + timedelta(hours=9))
    store = kite_exchange.store("live", config=kite_exchange.config(**{"data.warmup": 20}))
    before = set(threading.enumerate())
    ran = run(store.getdata("NSE:AAA", interval="minute"), broker=store.getbroker(), strategy=Stops)
    assert len(ran) == 25
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("kite")]


# ---- the two loops --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [(), ("holes",), ("holes", "uptrend")], ids=["one feed", "two", "three"])
def test_the_loops_make_the_same_calls(others):
    def feeds():
        for number, name in enumerate(("whipsaw", *others)):
            given = candles(name, key=f"NSE:{'ABC'[number]}")
            yield KiteData(dataname=given, fromdate=NEXT_DAY, warmup=20, name=given.key)

    params = {
        "buys": {30: [{"size": 1}], 33: [{"size": 2, "exectype": bt.Order.Limit, "price": 990.0}]},
        "timer": time(9, 20),
    }
    found = [run(*feeds(), **loop, **params) for loop in ({"runonce": True}, {"runonce": False}, {"preload": False})]
    assert found[0].calls == found[1].calls == found[2].calls
    assert {"timer", "Completed", "prenext", "next"} <= {name for name, _ in found[0].calls}
    assert [[len(feed) for feed in ran.datas] for ran in found] == [[len(feed) for feed in found[0].datas]] * 3


class Script(bt.feed.DataBase):
    """A live feed that says what it is told: a bar, None (nothing yet), or False at the end."""

    params = (("says", ()),)

    def islive(self):
        return True

    def start(self):
        super().start()
        self._left = list(self.p.says)

    def _load(self):
        if not self._left:
            return False
        said = self._left.pop(0)
        if said is None:
            return None
        self.lines.datetime[0] = bt.date2num(DAY + timedelta(minutes=555 + said))
        for line in (self.lines.open, self.lines.high, self.lines.low, self.lines.close):
            line[0] = 100.0 + said
        self.lines.volume[0] = self.lines.openinterest[0] = 0.0
        return True


def resampled_while_the_other_is_silent(engine):
    """The second feed's bar of two minutes is complete while the first has nothing to say."""
    cerebro = engine(stdstats=False)
    cerebro.adddata(Script(says=[1, None, None, None, 5, None], timeframe=bt.TimeFrame.Minutes))
    other = Script(says=[1, 2, 3, 4, 5, None], timeframe=bt.TimeFrame.Minutes)
    cerebro.resampledata(other, timeframe=bt.TimeFrame.Minutes, compression=2)
    cerebro.addstrategy(bt.Strategy)
    return cerebro.run()[0]


def test_a_resampled_feed_may_deliver_while_the_others_are_silent():
    ran = resampled_while_the_other_is_silent(Cerebro)
    assert len(ran.datas[1]) >= 2
    with pytest.raises(ValueError, match="min"):  # https://github.com/mementum/backtrader/pull/439
        resampled_while_the_other_is_silent(bt.Cerebro)


# ---- the stock Cerebro ----------------------------------------------------------------------------------------------


def test_nothing_of_backtrader_is_patched():
    for name, member in vars(bt.Cerebro).items():
        if inspect.isfunction(member):
            assert member.__module__ == "backtrader.cerebro", name
    for kind in (bt.Strategy, bt.brokers.BackBroker, bt.feed.DataBase, bt.Order, bt.Store):
        for name, member in vars(kind).items():
            if inspect.isfunction(member):
                assert member.__module__.startswith("backtrader"), (kind, name)
    assert bt.Cerebro.params.quicknotify is False
    assert not hasattr(bt.Cerebro.params, "warmup")


def test_a_script_on_stock_parts_gives_the_same_on_both_cerebros():
    table = pd.DataFrame(candles().frame()).set_index("date")
    calls = []
    for engine in (bt.Cerebro, Cerebro):
        feed = bt.feeds.PandasData(dataname=table, timeframe=bt.TimeFrame.Minutes)
        cerebro = engine(stdstats=False)
        cerebro.p.quicknotify = False
        ran = run(feed, cerebro=cerebro, broker=bt.brokers.BackBroker(cash=1e6), buys={5: [{"size": 3}]}, period=4)
        calls.append((ran.calls, ran.broker.getvalue(), ran.position.price))
    assert calls[0] == calls[1]


@LOOPS
def test_fewer_bars_than_the_indicators_need_end_in_no_next_and_no_error(loop):
    ran = run(KiteData(dataname=candles(count=18)), period=30, **loop)
    assert len(ran.of("prenext")) == 18
    assert ran.of("next") == []


@LOOPS
def test_a_second_feed_with_too_few_bars_ends_in_no_next_either(loop):
    class Second(Log):
        def __init__(self):
            super().__init__()
            self.other = bt.ind.SMA(self.datas[1].close, period=30)

    few = KiteData(dataname=candles(key="NSE:BBB", count=18))
    ran = run(KiteData(dataname=candles()), few, strategy=Second, **loop)
    assert ran.of("next") == []


# ---- what comes while a run is being stopped ------------------------------------------------------------------------


class InAndOut(bt.Strategy):
    """Buys on its second bar, sells on its fourth; ends the run when ``stops`` says so."""

    params = (("stops", lambda strategy: None),)

    def __init__(self):
        self.statuses, self.trades, self.nexts = [], [], 0

    def next(self):
        self.nexts += 1
        if self.nexts == 2:
            self.buy(size=5)
        elif self.nexts == 4:
            self.close()
            self.p.stops(self)

    def notify_order(self, order):
        self.statuses.append((order.getordername(), order.getstatusname(), order.isbuy()))

    def notify_trade(self, trade):
        self.trades.append(trade.isclosed)


def check_the_fill_was_heard(kite_exchange, ran):
    assert ran.nexts == 4
    assert ran.statuses[-1] == ("Market", "Completed", False)
    assert ran.trades == [False, True]
    assert ran.position.size == 0 == kite_exchange.positions()[0]["quantity"]
    orders, trades, equity = ran.analyzers
    assert [row["status"] for row in orders.get_analysis()] == ["Completed", "Completed"]
    assert len(trades.get_analysis()) == 1
    assert equity.get_analysis()["positions"][-1] == 0
    assert equity.get_analysis()["value"][-1] == pytest.approx(ran.broker.getvalue())
    assert trades.get_analysis()[0]["pnlcomm"] == pytest.approx(ran.broker.getvalue() - 100_000)


def stopped(kite_exchange, broker=None, **params):
    from btkite.analyzers import Equity, Orders, Trades

    kite_exchange.reset(candles(count=20), start=DAY + timedelta(hours=9))
    store = kite_exchange.store("live", config=kite_exchange.config())
    cerebro = Cerebro(stdstats=False)
    for kind in (Orders, Trades, Equity):
        cerebro.addanalyzer(kind)
    cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
    cerebro.setbroker(store.getbroker() if broker is None else broker(store=store, config=store.config))
    store.broker = cerebro.broker
    cerebro.addstrategy(InAndOut, **params)
    return cerebro.run()[0]


def test_a_fill_that_is_read_in_the_turn_in_which_the_run_is_stopped_is_told(kite_exchange):
    class StopsOnTheExit(KiteBroker):
        def take_update(self, update):
            if update.status == "COMPLETE" and self.getposition(self.cerebro.datas[0]).size:
                self.cerebro.runstop()
            super().take_update(update)

    check_the_fill_was_heard(kite_exchange, stopped(kite_exchange, StopsOnTheExit))


class LeavesNothing(bt.brokers.BackBroker):
    """Takes back at the end what still rests."""

    def before_end(self):
        for order in self.orders:
            self.cancel(order)


def test_what_becomes_of_an_order_in_the_brokers_last_turn_is_told():
    told = []

    class Rests(bt.Strategy):
        def next(self):
            if len(self) == 2:
                self.buy(exectype=bt.Order.Limit, price=1.0)
            if len(self) == 4:
                self.env.runstop()

        def notify_order(self, order):
            told.append(order.getstatusname())

    engine = Cerebro(stdstats=False)
    days = pd.date_range(DAY, periods=5)
    engine.adddata(
        bt.feeds.PandasData(dataname=pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 9.0), days))
    )
    engine.setbroker(LeavesNothing())
    engine.addstrategy(Rests)
    engine.run()
    assert told == ["Submitted", "Accepted", "Canceled"]


def test_a_fill_that_lies_in_the_inbox_when_the_run_is_stopped_is_told(kite_exchange):
    def stops(strategy):
        store = strategy.env.stores[0]

        def waiting(what):
            for _ in range(2000):
                if what():
                    return True
                store.inbox.bell.wait(0.01)
            return False

        store.desk.send_off()  # in lock step what a turn gives leaves at its end
        assert waiting(lambda: len(kite_exchange.orders()) == 2)
        kite_exchange.steer.next_event()
        assert waiting(lambda: [row["status"] for row in kite_exchange.orders()] == ["COMPLETE"] * 2)
        assert waiting(lambda: any(getattr(event, "status", "") == "COMPLETE" for event in list(store.inbox._events)))
        strategy.env.runstop()

    check_the_fill_was_heard(kite_exchange, stopped(kite_exchange, stops=stops))


@LOOPS
def test_strategies_and_their_analyzers_are_stopped_too_when_a_callback_raises(loop):
    class Ends(Breaks):
        ended: ClassVar[list[str]] = []

        def stop(self):
            self.ended.append("strategy")

    class Noted(bt.Analyzer):
        def stop(self):
            Ends.ended.append("analyzer")

    cerebro = Cerebro(stdstats=False, **loop)
    cerebro.addanalyzer(Noted)
    with pytest.raises(ValueError, match="the first error"):
        run(cerebro=cerebro, strategy=Ends)
    assert sorted(Ends.ended) == ["analyzer", "strategy"]


# ---- a market that runs by itself -----------------------------------------------------------------------------------

PACE = 300.0  # market seconds a second


class Clocked(Log):
    """With each timer, what the market's clock said."""

    def __init__(self):
        super().__init__()
        self.fired = []
        self.env.stores[0].clock._ask({"speed": PACE})

    def notify_timer(self, timer, when, *args, **kwargs):
        super().notify_timer(timer, when)
        self.fired.append((when, self.env.stores[0].clock.now(), len(self)))


def clocked(kite_exchange, market, start, end, timers, strategy=Clocked, warmup=0, **settings):
    kite_exchange.reset(market, start=start, speed=0.0, end=end, **settings)
    clock = ExchangeClock(kite_exchange.url, lockstep=False)
    store = KiteStore(mode="paper", config=kite_exchange.config(**{"data.warmup": warmup}), clock=clock)
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(strategy)
    for when in timers:
        cerebro.add_timer(when, strats=True)
    return cerebro.run()[0]


def quiet(days):
    """Four bars each morning, and another symbol, to which nobody listens, that goes on."""
    return {
        "NSE:AAA": feeding.candles("NSE:AAA", days=days, count=4),
        "NSE:BBB": feeding.candles("NSE:BBB", days=days, count=30, seed=2),
    }


def test_a_timer_fires_by_the_clock_in_a_market_that_has_gone_quiet_once_a_day(kite_exchange):
    """Four bars in the morning and never another: the square-off of 09:30 does not wait for one."""

    class Overnight(Clocked):
        def notify_timer(self, timer, when, *args, **kwargs):
            super().notify_timer(timer, when)
            if when.date() == DAY.date():
                kite_exchange.steer.play_until(NEXT_DAY + timedelta(hours=9, minutes=14))

    start, end = DAY + timedelta(hours=9, minutes=14), NEXT_DAY + timedelta(hours=9, minutes=40)
    ran = clocked(kite_exchange, quiet((DAY, NEXT_DAY)), start, end, [time(9, 30)], strategy=Overnight)
    assert [when.date() for when, _, _ in ran.fired] == [DAY.date(), NEXT_DAY.date()]
    assert [length for _, _, length in ran.fired] == [4, 8]
    for when, at, _ in ran.fired:
        assert when.time() == time(9, 30)
        assert timedelta(seconds=1) <= at - when < timedelta(minutes=10)


def test_a_timer_does_not_wait_for_the_first_bar_after_the_warm_up(kite_exchange):
    """Four bars before the start and never another: what was warmed up hears the clock."""
    start, end = DAY + timedelta(hours=9, minutes=20), DAY + timedelta(hours=9, minutes=50)
    ran = clocked(kite_exchange, quiet((DAY,)), start, end, [time(9, 30)], warmup=3)
    ((when, at, length),) = ran.fired
    assert when.time() == time(9, 30)
    assert length > 0
    assert timedelta(seconds=1) <= at - when < timedelta(minutes=10)
    assert ran.of("next") == []


def test_who_takes_an_account_up_squares_off_before_the_first_bar(kite_exchange, tmp_path):
    """A run that ended with a position, and one after it whose warm-up nobody has asked for: the timer of 09:30 finds
    the strategy with a bar and its position, although no bar ever comes."""

    class Buys(bt.Strategy):
        def next(self):
            if len(self) == 2:
                self.buy(size=5)
            if len(self) == 4:
                self.env.runstop()

    class Closes(Clocked):
        def notify_timer(self, timer, when, *args, **kwargs):
            super().notify_timer(timer, when)
            self.close()
            self.held = self.position.size

    end = DAY + timedelta(hours=9, minutes=50)
    with Journal(tmp_path / "journal.sqlite", ManualClock(DAY)) as journal:
        kite_exchange.reset(quiet((DAY,)), start=DAY + timedelta(hours=9, minutes=15), end=end)
        stores = [kite_exchange.store("live")]
        clock = ExchangeClock(kite_exchange.url, lockstep=False)
        stores += [KiteStore(mode="live", config=kite_exchange.config(), confirm=USER, clock=clock)]
        for store, strategy in zip(stores, (Buys, Closes), strict=True):
            cerebro = Cerebro(stdstats=False)
            cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
            cerebro.setbroker(store.getbroker(record=Record(journal)))
            cerebro.addstrategy(strategy)
            cerebro.add_timer(time(9, 30), strats=True)
            ran = cerebro.run()[0]
    assert [when.time() for when, _, _ in ran.fired] == [time(9, 30)]
    assert ran.held == 5
    assert [row["quantity"] for row in kite_exchange.orders() if row["transaction_type"] == "SELL"] == [5]


def test_where_bars_come_a_timer_fires_with_the_bar_as_in_backtrader(kite_exchange):
    market = bars("whipsaw", symbol="NSE:AAA", day=DAY.date(), count=12)
    start, end = DAY + timedelta(hours=9, minutes=14), DAY + timedelta(hours=9, minutes=35)
    ran = clocked(kite_exchange, market, start, end, [time(9, 20)])
    history = run(KiteData(dataname=market), cerebro=timed(time(9, 20)))
    assert [call for call in ran.calls if call[0] in ("timer", "next")] == [
        call for call in history.calls if call[0] in ("timer", "next")
    ]


def timed(when):
    cerebro = Cerebro(stdstats=False)
    cerebro.add_timer(when, strats=True)
    return cerebro


def test_in_lock_step_timers_fire_with_bars_only(kite_exchange):
    kite_exchange.reset(bars("flat", symbol="NSE:AAA", day=DAY.date(), count=4), start=DAY + timedelta(hours=9))
    store = kite_exchange.store("paper")
    ran = run(store.getdata("NSE:AAA", interval="minute"), broker=store.getbroker(), cerebro=timed(time(9, 30)))
    assert ran.of("timer") == []


def test_while_a_live_run_lasts_threads_change_places_often_and_old_things_are_no_garbage(
    kite_exchange,
):
    seen = []

    class Looks(Log):
        def next(self):
            seen.append(sys.getswitchinterval())
            frozen.append(gc.get_freeze_count())

    frozen = []
    before = sys.getswitchinterval()
    run(strategy=Looks)
    assert set(seen) == {before}
    assert not any(frozen)
    seen.clear()
    kite_exchange.reset(candles(count=5), start=DAY + timedelta(hours=9))
    store = kite_exchange.store("paper")
    run(store.getdata("NSE:AAA", interval="minute"), broker=store.getbroker(), strategy=Looks)
    assert max(seen) <= 0.001 < before
    assert frozen[-1] > 10_000  # what was there before the run is not searched for garbage
    kite_exchange.reset(candles(count=40), start=DAY + timedelta(hours=9))
    store = kite_exchange.store("paper")
    with pytest.raises(ValueError, match="the first error"):
        run(store.getdata("NSE:AAA", interval="minute"), broker=store.getbroker(), strategy=Breaks)
    assert sys.getswitchinterval() == before
    assert not gc.get_freeze_count()


def test_an_order_that_a_timer_gives_in_a_quiet_market_is_told(kite_exchange):
    class Squares(Clocked):
        def notify_timer(self, timer, when, *args, **kwargs):
            super().notify_timer(timer, when)
            self.order = self.buy(size=1, exectype=bt.Order.Limit, price=1.0)

    start, end = DAY + timedelta(hours=9, minutes=14), DAY + timedelta(hours=9, minutes=40)
    ran = clocked(kite_exchange, quiet((DAY,)), start, end, [time(9, 25)], strategy=Squares)
    assert len(ran.fired) == 1
    assert ("Accepted", DAY + timedelta(hours=9, minutes=19)) in ran.calls
