"""The splice: what a strategy sees on a stream is what history says, each bar once, in order, at its time."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, time, timedelta

import backtrader as bt
import numpy as np
import pytest

from btkite.clock import ExchangeClock, ManualClock, to_epoch
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import ConfigError
from btkite.feed import KiteData
from btkite.feeding import Asked, Feeding
from btkite.grid import ends_of, windows_of
from btkite.kite.inbox import Answer, Link, LinkChange
from btkite.kite.reader import Reader
from btkite.linetime import from_seconds, seconds_of
from btkite.series import Candles, aggregate
from btkite.store import KiteStore
from btkite.values import Tick
from tests.kite.fakes import FakeRest, Reply, data, error

MONDAY, TUESDAY, WEDNESDAY = datetime(2024, 7, 1), datetime(2024, 7, 2), datetime(2024, 7, 3)
OPEN = timedelta(hours=9, minutes=15)


def candles(key="NSE:AAA", days=(MONDAY, TUESDAY), count=12, seed=1, holes=(), interval="minute"):
    """``count`` bars on each day; those whose place is in ``holes`` were not traded."""
    step = {"minute": 60, "5minute": 300, "60minute": 3600}[interval]
    places = [(day, n) for day in days for n in range(count) if (day, n) not in holes and n not in holes]
    starts = np.array([day + OPEN + timedelta(seconds=step * n) for day, n in places], dtype="datetime64[s]")
    rng = np.random.default_rng(seed)
    opened = 2000 + np.cumsum(rng.integers(-9, 10, len(starts)))
    closed = opened + rng.integers(-9, 10, len(starts))
    columns = {
        "open": opened,
        "high": np.maximum(opened, closed) + rng.integers(0, 5, len(starts)),
        "low": np.minimum(opened, closed) - rng.integers(0, 5, len(starts)),
        "close": closed,
    }
    prices = {name: np.round(column * 0.05, 2) for name, column in columns.items()}
    return Candles.of(key, interval, {"date": starts, **prices, "volume": 4 * rng.integers(1, 900, len(starts))})


def at(minute, second=0.0):
    return TUESDAY + timedelta(hours=9, minutes=minute, seconds=second)


def rows(given: Candles) -> list[tuple]:
    """What a strategy should see of them."""
    ends = ends_of(given.key, given.interval)(given.start).tolist()
    columns = (given.open, given.high, given.low, given.close, given.volume)
    return list(zip(ends, *(column.tolist() for column in columns), strict=True))


def after(given: Candles, moment: datetime) -> list[tuple]:
    return [row for row in rows(given) if row[0] > moment]


class Watch(bt.Strategy):
    """Writes down every bar of every feed, and every status.

    Params:
      - ``at``: things to do, by the number of the first feed's bars.
      - ``on_fill``: one thing to do when an order fills.
    """

    params = (("at", {}), ("on_fill", None), ("on_start", None))

    def __init__(self):
        self.bars = defaultdict(list)
        self.traded = defaultdict(list)  # the bars that next() was called on
        self.status = defaultdict(list)
        self.told = []
        self.together = []

    def start(self):
        if self.p.on_start is not None:
            self.p.on_start()

    def notify_data(self, data, status, *args, **kwargs):
        self.status[data._name].append(data._getstatusname(status))

    def notify_store(self, msg, *args, **kwargs):
        self.told.append(str(msg))

    def notify_order(self, order):
        if order.status == order.Completed and self.p.on_fill is not None:
            self.p.on_fill()

    def prenext(self):
        self.see()

    def next(self):
        self.see(self.traded)
        action = self.p.at.get(len(self.traded[self.data._name]))
        if action is not None:
            action(self)

    def see(self, also=None):
        for feed in self.datas:
            name = feed._name
            if len(feed) <= len(self.bars[name]):
                continue
            end = from_seconds(seconds_of(feed.datetime[0]))
            bar = (end, feed.open[0], feed.high[0], feed.low[0], feed.close[0], feed.volume[0])
            self.bars[name].append(bar)
            if also is not None:
                also[name].append(bar)
        self.together.append(tuple(len(feed) for feed in self.datas))


def run(kite_exchange, *feeds, warmup=0, pace=None, config=None, **params):
    """Watch these feeds (keyword arguments of ``getdata``) on paper, to the end of the market's data; in lock
    step, or with a clock that starts to run at ``pace`` when the strategy starts."""
    made = kite_exchange.config(**{"data.warmup": warmup, **(config or {})})
    clock = None if pace is None else ExchangeClock(kite_exchange.url, lockstep=False)
    store = KiteStore(mode="paper", config=made, clock=clock)
    if pace is not None:
        params["on_start"] = lambda: clock._ask({"speed": pace})
    cerebro = Cerebro(stdstats=False)
    for feed in feeds:
        kwargs = {"interval": "minute", **feed}
        cerebro.adddata(store.getdata(kwargs.pop("key"), **kwargs), name=feed.get("name", feed["key"]))
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Watch, **params)
    (watch,) = cerebro.run()
    return watch


def cut(kite_exchange):
    """The exchange cuts every socket, without a word."""
    server = kite_exchange._exchange._server

    def abort():
        for one in list(server.venue.hub.sockets):
            one.abort()

    server.call(abort)


A = {"key": "NSE:AAA"}


# ---- where a run begins ---------------------------------------------------------------------------------------------


def test_bars_of_a_day_are_those_of_its_candles(kite_exchange):
    market = candles()
    watch = run(kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9)), A)
    assert watch.bars["NSE:AAA"] == watch.traded["NSE:AAA"] == after(market, TUESDAY)
    assert watch.status["NSE:AAA"] == ["DELAYED", "LIVE"]


def test_warmup_bars_come_first_and_are_not_traded(kite_exchange):
    market = candles()
    watch = run(kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9)), A, warmup=7)
    today = after(market, TUESDAY)
    assert watch.bars["NSE:AAA"] == rows(market)[12 - 7 :]
    assert watch.traded["NSE:AAA"] == today
    assert watch.status["NSE:AAA"] == ["DELAYED", "LIVE"]


def test_warmup_takes_what_there_is(kite_exchange):
    market = candles()
    watch = run(kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9)), A, warmup=500)
    assert watch.bars["NSE:AAA"] == rows(market)


@pytest.mark.parametrize("second", [0, 1, 30, 59])
@pytest.mark.parametrize("warmup", [5, 15])
def test_who_comes_in_the_middle_of_a_bar_gets_it_from_history(kite_exchange, second, warmup):
    market, begin = candles(count=10), TUESDAY + timedelta(hours=9, minutes=18, seconds=second)
    watch = run(kite_exchange.reset(market, start=begin), A, warmup=warmup)
    whole_from = TUESDAY + timedelta(hours=9, minutes=18 + bool(second))
    tradable = after(market, whole_from)
    known = len(rows(market)) - len(tradable)
    assert watch.traded["NSE:AAA"] == tradable
    assert watch.bars["NSE:AAA"] == rows(market)[max(0, known - warmup) :]


def test_a_backtest_from_the_middle_of_a_bar_trades_and_warms_up_on_the_same_bars(kite_exchange):
    market, begin = candles(count=10), TUESDAY + timedelta(hours=9, minutes=18, seconds=30)
    stream = run(kite_exchange.reset(market, start=begin), A, warmup=5)
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(KiteData(dataname=market, fromdate=begin, warmup=5))
    cerebro.addstrategy(Watch)
    (history,) = cerebro.run()
    assert history.traded == stream.traded
    assert history.bars == stream.bars


def test_without_warmup_the_first_bar_is_the_first_whole_one(kite_exchange):
    market = candles()
    watch = run(kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9, minutes=18, seconds=30)), A)
    assert watch.bars["NSE:AAA"] == watch.traded["NSE:AAA"]
    assert watch.bars["NSE:AAA"] == after(market, TUESDAY + timedelta(hours=9, minutes=19))


def test_five_minutes_joined_in_the_middle_are_whole_too(kite_exchange):
    market = candles(count=30)
    begin = TUESDAY + timedelta(hours=9, minutes=22, seconds=10)
    watch = run(kite_exchange.reset(market, start=begin), {**A, "interval": "5minute"}, warmup=3)
    made = aggregate(market, "5minute", windows_of("NSE:AAA"))
    assert watch.traded["NSE:AAA"] == after(made, TUESDAY + timedelta(hours=9, minutes=25))
    assert watch.bars["NSE:AAA"] == rows(made)[6 + 2 - 3 :]


# ---- several feeds --------------------------------------------------------------------------------------------------


def test_several_symbols_with_holes_come_aligned_as_in_history(kite_exchange):
    market = {
        "NSE:AAA": candles("NSE:AAA", seed=1, holes={3, 4, (TUESDAY, 7)}),
        "NSE:BBB": candles("NSE:BBB", seed=2, holes={0, (MONDAY, 4), (TUESDAY, 11)}),
        "NSE:CCC": candles("NSE:CCC", seed=3, holes={4}),
    }
    kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9))
    stream = run(kite_exchange, *({"key": key} for key in market), warmup=4)
    cerebro = Cerebro(stdstats=False)
    for key, one in market.items():
        cerebro.adddata(KiteData(dataname=one, fromdate=TUESDAY, warmup=4), name=key)
    cerebro.addstrategy(Watch)
    (history,) = cerebro.run()
    assert stream.together == history.together
    assert stream.bars == history.bars
    assert stream.traded == history.traded


def test_two_intervals_of_one_instrument(kite_exchange):
    market = candles(count=30)
    kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9))
    watch = run(kite_exchange, {**A, "name": "fine"}, {**A, "interval": "15minute", "name": "coarse"}, warmup=2)
    made = aggregate(market, "15minute", windows_of("NSE:AAA"))
    assert watch.bars["fine"] == rows(market)[28:]
    assert watch.bars["coarse"] == rows(made)
    assert watch.together[-1] == (32, 4)


@pytest.mark.parametrize("how", ["by the feed", "by the configuration"])
def test_a_day_decided_early_trades_on_the_same_day(kite_exchange, how):
    hours = candles(days=(MONDAY, TUESDAY), count=7, interval="60minute")
    kite_exchange.reset(hours, start=MONDAY + timedelta(hours=9), interval="60minute")
    feed, config = {**A, "interval": "day"}, {"broker.square_off": None}
    if how == "by the feed":
        feed["decide_at"] = time(15, 5)
    else:
        config["broker.decide_at"] = "15:05"
    watch = run(kite_exchange, feed, config=config, at={1: lambda strategy: strategy.buy(size=1)})
    assert [bar[0] for bar in watch.bars["NSE:AAA"]] == [
        day + timedelta(hours=15, minutes=5) for day in (MONDAY, TUESDAY)
    ]
    # The hour from 14:15 prints at 14:15, 14:35, 14:55 and 15:14:59: the last came after the decision and is the fill.
    third = hours.high[5] if hours.close[5] >= hours.open[5] else hours.low[5]
    assert watch.bars["NSE:AAA"][0][4] == third != hours.close[5]
    assert watch.position.price == hours.close[5]


ENGINES = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])


@ENGINES
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside the fine one"])
def test_a_stream_that_is_resampled_is_native_and_has_the_bars_of_history(kite_exchange, engine, beside):
    market = candles(days=(TUESDAY,), count=30)
    kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9))
    store = KiteStore(mode="paper", config=kite_exchange.config())
    cerebro = engine(stdstats=False)
    fine = store.getdata("NSE:AAA", interval="minute")
    if beside:
        cerebro.adddata(fine)
    coarse = cerebro.resampledata(fine, timeframe=bt.TimeFrame.Minutes, compression=5, name="coarse")
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Watch)
    (watch,) = cerebro.run()
    assert isinstance(coarse, KiteData)
    assert coarse.resampling == 0
    assert watch.bars["coarse"] == rows(aggregate(market, "5minute", windows_of("NSE:AAA")))
    assert len(watch.bars["NSE:AAA"]) == (30 if beside else 0)


@ENGINES
def test_what_kite_does_not_have_is_refused_on_a_stream(kite_exchange, engine):
    kite_exchange.reset(candles(), start=TUESDAY + timedelta(hours=9))
    data = KiteStore(mode="paper", config=kite_exchange.config()).getdata("NSE:AAA", interval="minute")
    with pytest.raises(ConfigError, match="Kite has no candles of timeframe Weeks x 1"):
        engine().resampledata(data, timeframe=bt.TimeFrame.Weeks, compression=1)
    with pytest.raises(ConfigError, match="replaydata is not offered"):
        engine().replaydata(data, timeframe=bt.TimeFrame.Days)


# ---- the link breaks ------------------------------------------------------------------------------------------------

BROKEN_ONCE = ["DELAYED", "LIVE", "CONNBROKEN", "DELAYED", "LIVE"]


def test_a_link_that_the_exchange_cuts_comes_back_and_no_bar_is_missing(kite_exchange):
    market = candles()
    kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9))
    watch = run(kite_exchange, A, warmup=3, at={4: lambda _: cut(kite_exchange)})
    assert watch.bars["NSE:AAA"] == rows(market)[9:]
    assert watch.status["NSE:AAA"] == BROKEN_ONCE
    assert [text for text in watch.told if text.startswith("stream")] == [
        "stream connecting",
        "stream connected",
        "stream broken",
        "stream connected",
    ]


def test_a_link_cut_in_the_middle_of_a_bar_leaves_no_partial_bar(kite_exchange):
    market = candles(seed=7)
    kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9))
    today = market.between(TUESDAY, None)
    assert today.low[4] < min(today.open[4], today.close[4])

    def order(watch):  # trades 20 or 40 seconds into the next bar
        watch.buy(size=1, exectype=bt.Order.Limit, price=float(today.low[4]))

    watch = run(kite_exchange, A, at={4: order}, on_fill=lambda: cut(kite_exchange))
    assert watch.bars["NSE:AAA"] == rows(today)
    assert watch.status["NSE:AAA"] == BROKEN_ONCE
    assert watch.position.size == 1


def test_a_link_that_breaks_again_before_it_is_whole_is_repaired_all_the_same(kite_exchange):
    market = candles()
    kite_exchange.reset(market, start=TUESDAY + timedelta(hours=9, minutes=17, seconds=20))

    def twice(watch):
        cut(kite_exchange)

    watch = run(kite_exchange, A, warmup=2, at={1: twice, 2: twice, 6: twice})
    assert watch.bars["NSE:AAA"] == rows(market)[12 + 3 - 2 :]
    assert watch.status["NSE:AAA"][-1] == "LIVE"


# ---- a clock that runs ----------------------------------------------------------------------------------------------


PACE = 900.0  # market seconds a second
PAUSED = {"speed": 0.0, "end": at(40)}


def test_on_a_running_clock_bars_are_those_of_the_candles(kite_exchange):
    market = candles(count=20)
    kite_exchange.reset(market, start=at(14), **PAUSED)
    watch = run(kite_exchange, A, warmup=10, pace=PACE)
    assert watch.bars["NSE:AAA"] == rows(market)[10:]
    assert watch.traded["NSE:AAA"] == after(market, TUESDAY)
    assert watch.status["NSE:AAA"] == ["DELAYED", "LIVE"]


@pytest.mark.slow
def test_on_a_running_clock_a_cut_link_leaves_no_gap(kite_exchange):
    market = candles(count=24)
    kite_exchange.reset(market, start=at(14), **PAUSED)
    breaks = {4: lambda _: cut(kite_exchange), 9: lambda _: cut(kite_exchange)}
    watch = run(kite_exchange, A, warmup=5, pace=PACE / 4, at=breaks)
    seen = watch.bars["NSE:AAA"]
    assert watch.status["NSE:AAA"].count("CONNBROKEN") == 2
    assert seen == rows(market)[19:][: len(seen)]
    assert len(seen) >= 5 + 9


def test_on_a_running_clock_a_silent_symbols_bar_is_closed_by_the_clock(kite_exchange):
    market = {
        "NSE:AAA": candles("NSE:AAA", days=(TUESDAY,), count=14),
        "NSE:BBB": candles("NSE:BBB", days=(TUESDAY,), count=14, seed=2, holes=set(range(6, 13))),
    }
    kite_exchange.reset(market, start=at(14), **PAUSED)
    watch = run(kite_exchange, *({"key": key} for key in market), pace=PACE / 2)
    assert watch.bars["NSE:BBB"][-2:] == rows(market["NSE:BBB"])[-2:]
    # The bar of 09:20 came with those of its time, not with the next tick of its symbol at 09:28.
    place = watch.bars["NSE:BBB"].index(rows(market["NSE:BBB"])[-2]) + 1
    first_seen = next(lengths for lengths in watch.together if lengths[1] == place)
    assert watch.bars["NSE:AAA"][first_seen[0] - 1][0] <= TUESDAY + timedelta(hours=9, minutes=23)


# ---- how long -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_run_ends_with_the_last_of_its_sessions(kite_exchange, sessions):
    hour = candles(days=(MONDAY, TUESDAY, WEDNESDAY), count=7, interval="60minute")
    kite_exchange.reset(hour, start=MONDAY + timedelta(hours=9), interval="60minute")
    watch = run(kite_exchange, {**A, "interval": "60minute"}, config={"run.sessions": sessions})
    assert watch.bars["NSE:AAA"] == rows(hour)[: 7 * sessions]


def test_a_session_that_is_over_already_does_not_count(kite_exchange):
    hour = candles(days=(MONDAY, TUESDAY, WEDNESDAY), count=7, interval="60minute")
    kite_exchange.reset(hour, start=MONDAY + timedelta(hours=16), interval="60minute")
    watch = run(kite_exchange, {**A, "interval": "60minute"}, config={"run.sessions": 1})
    assert watch.bars["NSE:AAA"] == rows(hour)[7:14]


# ---- what history may do to us --------------------------------------------------------------------------------------

SHARE = "NSE:AAA"
DUMP = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n408065,1594,AAA,AAA,0,,0,0.05,1,EQ,NSE,NSE\n"
)


class Kite:
    """History over the wire, and a feed that is driven by hand: time is the test's."""

    def __init__(self, fake, folder, market, now, warmup, complete):
        self.fake, self.market = fake, market
        self.clock = ManualClock(now)
        self.clock.complete = complete
        self.missing = set()  # starts of candles that Kite has not written yet
        self.refuse = 0
        fake.on("/instruments", Reply(raw=DUMP.encode(), content_type="text/csv"))
        fake.on("/instruments/historical/408065/minute", self._history)
        keys = {"endpoint": fake.root, "api_key": "key", "access_token": "token-of-a-test", "user_id": "AB1234"}
        made = Config().with_(
            **{f"broker.kite_connect.{name}": value for name, value in keys.items()},
            **{"data.cache": str(folder), "data.warmup": warmup},
        )
        self.store = KiteStore(mode="paper", config=made, clock=self.clock)
        self.data = self.store.getdata(SHARE, interval="minute")
        self.store.reader = Reader(self.store.inbox)
        bt.feed.DataBase.start(self.data)
        self.feeding = Feeding(self.store, self.data)
        self.feeding.begin()
        self.feeding.join(now)

    def _history(self, asked):
        if self.refuse:
            self.refuse -= 1
            return error(400, "InputException", "no candles today")
        upto = datetime.fromisoformat(asked.query["to"][0])
        since = datetime.fromisoformat(asked.query["from"][0])
        shown = []
        for (end, *numbers), start in zip(rows(self.market), self.market.start.tolist(), strict=True):
            if since <= start <= min(upto, self.clock.now()) and start not in self.missing:
                forming = end > self.clock.now()
                shown.append([f"{start.isoformat()}+0530", *([1.0, 1.0, 1.0, 1.0, 1] if forming else numbers)])
        return data({"candles": shown})

    def answer(self, deliver=True):
        """Wait for the answer on its way, hand it over."""
        taken = []
        while not taken:  # a reader rings once more when it is free again
            assert self.store.inbox.bell.wait(10)
            taken = [event for event in self.store.inbox.take() if isinstance(event, Answer)]
        for event in taken:
            assert isinstance(event.subject, Asked)
            self.feeding.take_answer(event.subject, event)
        if deliver:
            self.feeding.deliver_history()
        return taken

    def wait(self, seconds):
        self.clock.advance(seconds)
        self.feeding.close(self.clock.now(), 1.0, complete=False)
        self.feeding.on_time(self.clock.now())

    def tick(self, price, volume=100):
        moment = to_epoch(self.clock.now())
        self.feeding.take(Tick(408065, "full", price, volume, exchange_time=int(moment), last_trade_time=int(moment)))

    @property
    def ends(self):
        return [from_seconds(seconds_of(row[0])) for row in self.data._ready]


@pytest.fixture
def kite(tmp_path):
    fake, made = FakeRest(), []

    def make(now, warmup=3, market=None, complete=True):
        made.append(Kite(fake, tmp_path, market or candles(), now, warmup, complete))
        return made[-1]

    yield make
    for one in made:
        one.store.reader.stop()
    fake.close()


def test_the_candle_that_is_forming_when_history_is_asked_is_not_taken_though_it_is_over_when_the_answer_comes(kite):
    one = kite(at(20, 59.5))
    arrived = one.store.inbox.bell.wait(10)
    one.clock.advance(2)  # the answer lay there while the bar ended
    for event in one.store.inbox.take():
        one.feeding.take_answer(event.subject, event)
    one.feeding.deliver_history()
    assert arrived
    assert one.ends == [at(19), at(20)]
    assert (one.feeding.state, one.feeding.due) == ("repair", at(21, 2))
    one.wait(1)
    one.answer()
    assert one.ends == [at(19), at(20), at(21)]
    assert [row[4] for row in one.data._ready] == [row[4] for row in rows(one.market) if at(19) <= row[0] <= at(21)]
    assert one.feeding.state == "flowing"


@pytest.mark.parametrize("second", [0, 1.5])
def test_a_bar_that_ended_a_moment_ago_is_asked_for_when_history_has_it(kite, second):
    one = kite(at(20, second), complete=False)
    one.missing.add(at(19))  # Kite writes it within data.history_lag, 2 s
    assert (one.feeding.state, one.feeding.due) == ("history", at(20, 2))
    assert not [asked for asked in one.fake.asked if "historical" in asked.path]
    one.missing.clear()
    one.wait(2 - second)
    one.answer()
    assert one.ends[-1] == at(20)


def test_a_bar_that_ended_a_while_ago_is_asked_for_at_once(kite):
    one = kite(at(20, 2), complete=False)
    assert one.feeding.due is None
    one.answer()
    assert one.ends[-1] == at(20)


def test_history_that_fails_is_asked_again_five_seconds_later(kite):
    one = kite(at(20, 30))
    one.answer()
    one.refuse = 1
    one.wait(32)
    one.answer()
    assert one.feeding.state == "history"
    assert one.feeding.due == at(21, 7)
    assert any("failed" in str(note[0]) for note in one.store.notifs)
    one.wait(4)
    assert len(one.store.inbox) == 0
    assert one.feeding.due is not None
    one.wait(1)
    one.answer()
    assert one.ends[-1] == at(21)
    assert one.feeding.state == "flowing"


def test_a_bar_that_traded_and_is_not_in_history_yet_is_waited_for(kite):
    one = kite(at(20, 30))
    one.missing.add(at(20))
    one.answer()
    one.clock.advance(5)
    one.tick(77.0)
    one.wait(27)
    one.answer()
    assert one.feeding.due == at(21, 7)
    assert one.ends[-1] == at(20)
    one.missing.clear()
    one.wait(5)
    one.answer()
    assert one.ends[-1] == at(21)
    assert list(one.data._ready)[-1][4] != 77.0


def test_a_bar_that_history_never_gets_is_said_and_no_partial_bar_stands_in_for_it(kite):
    one = kite(at(20, 30))
    one.missing.add(at(20))
    one.answer()
    one.clock.advance(5)
    one.tick(77.0)
    one.wait(27)
    for _ in range(5):
        one.answer()
        one.wait(5)
    one.answer()
    assert one.feeding.state == "flowing"
    assert one.ends[-1] == at(20)
    assert any("lacks the bar" in str(note[0]) for note in one.store.notifs)


def test_a_bar_without_a_trade_is_not_waited_for(kite):
    one = kite(at(20, 30))
    one.missing.add(at(20))
    one.answer()
    one.wait(32)
    one.answer()
    assert one.feeding.state == "flowing"
    assert one.ends[-1] == at(20)


def test_an_answer_from_before_the_link_broke_is_not_used(kite):
    one = kite(at(20, 30))
    one.feeding.take_link(LinkChange(Link.BROKEN))
    one.answer()
    assert one.ends == []
    assert one.feeding.state == "broken"
    one.clock.set(at(24, 10))
    one.feeding.take_link(LinkChange(Link.CONNECTED))
    one.feeding.join(one.clock.now())
    one.answer()
    assert one.ends == [at(23), at(24)]
    assert one.feeding.state == "repair"


def test_an_answer_from_before_two_breaks_is_not_taken_for_the_one_that_is_awaited(kite):
    """The second break is over when the market has closed: nothing would ask for the last bar again."""
    one = kite(at(15).replace(hour=15, minute=29, second=10), market=candles(count=375))
    assert one.store.inbox.bell.wait(10)
    (early,) = one.store.inbox.take()
    one.feeding.take_link(LinkChange(Link.BROKEN))
    one.clock.set(at(15).replace(hour=15, minute=30, second=20))
    one.feeding.take_link(LinkChange(Link.CONNECTED))
    one.feeding.join(one.clock.now())
    one.feeding.take_answer(early.subject, early)
    one.feeding.deliver_history()
    one.answer()
    assert one.ends[-1] == at(15).replace(hour=15, minute=30)
    assert one.feeding.state == "flowing"


def test_bars_built_while_history_is_missing_follow_it_once(kite):
    one = kite(at(20, 30))
    one.answer(deliver=False)
    for _ in range(4):
        one.clock.advance(30)
        one.tick(50.0)
        one.feeding.close(one.clock.now(), 1.0, complete=False)
        one.feeding.release(one.clock.now())
    one.feeding.deliver_history()
    one.wait(1)  # 09:22:31: the repair of the bar of 09:20 is overdue
    one.answer()
    assert one.ends == [at(19), at(20), at(21), at(22)]
    assert list(one.data._ready)[-1][4] == 50.0
    for _ in range(2):
        one.clock.advance(30)
        one.tick(50.0)
        one.feeding.close(one.clock.now(), 1.0, complete=False)
    one.feeding.release(one.clock.now())
    assert one.ends == [at(19), at(20), at(21), at(22), at(23)]


def test_a_bar_that_lost_ticks_to_a_break_is_not_delivered_even_if_history_never_gets_it(kite):
    one = kite(at(20))
    one.answer()
    one.clock.advance(10)
    one.tick(77.0)
    one.feeding.take_link(LinkChange(Link.BROKEN))
    one.wait(52)
    one.feeding.release(one.clock.now())
    one.missing.add(at(20))
    one.clock.set(at(21, 30))
    one.feeding.take_link(LinkChange(Link.CONNECTED))
    one.feeding.join(one.clock.now())
    one.answer()
    one.wait(32)
    one.answer()
    one.feeding.release(one.clock.now())
    assert one.feeding.state == "flowing"
    assert one.ends[-2:] == [at(20), at(22)]


def test_a_refused_stream_is_a_broken_link_to_its_feeds(kite):
    one = kite(at(20, 0))
    one.answer()
    one.feeding.take_link(LinkChange(Link.REFUSED, "403"))
    assert [status for status, *_ in one.data.notifs] == [one.data.DELAYED, one.data.LIVE, one.data.CONNBROKEN]


def test_a_cut_socket_counts_as_gone_at_once_so_that_lock_step_waits_until_it_is_noticed(kite_exchange):
    kite_exchange.reset(candles(), start=TUESDAY + timedelta(hours=9))
    server, told = kite_exchange._exchange._server, []

    def look(_):
        def abort():
            hub = server.venue.hub
            before = hub.sent()
            for one in list(hub.sockets):
                one.abort()
            return before, hub.sent(), len(hub.sockets)

        told.append(server.call(abort))

    run(kite_exchange, A, at={4: look})
    before, after_it, sockets = told[0]
    assert len(before) == sockets == 1
    assert after_it == {}
