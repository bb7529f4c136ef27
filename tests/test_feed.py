"""KiteData on history: stamps, intervals, ranges, warm-up, resampling, copies, and slots."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import BtkiteError, ConfigError, DataError, UnknownSymbol
from btkite.feed import KiteData
from btkite.linetime import from_seconds, seconds_of
from btkite.series import Candles, aggregate
from btkite.store import KiteStore
from btkite.testing import bars
from btkite.values import INTERVALS, Instrument

ENGINES = pytest.mark.parametrize("engine", [Cerebro, bt.Cerebro], ids=["btkite.Cerebro", "bt.Cerebro"])
LINES = ("datetime", "open", "high", "low", "close", "volume", "openinterest")
FREE = Config().with_(**{"risk.enabled": False, "broker.charges": False, "broker.square_off": None})
MONDAY = datetime(2024, 7, 1)
IST = timezone(timedelta(hours=5, minutes=30))


def minutes(key="NSE:INFY", sessions=3) -> Candles:
    """Whole sessions from Monday, 2024-07-01, on."""
    return bars("whipsaw", symbol=key, day=MONDAY.date(), sessions=sessions)


class Seen(bt.Strategy):
    """What it was shown, bar by bar; ``traded`` is what next() was called on."""

    params = (("buy_at", None),)

    def __init__(self):
        self.bars, self.traded, self.fills = [], [], []

    def note(self):
        return [
            (from_seconds(seconds_of(feed.datetime[0])), *(getattr(feed, name)[0] for name in LINES[1:]))
            for feed in self.datas
            if len(feed)
        ]

    def prenext(self):
        self.bars.append(self.note())

    def next(self):
        self.prenext()
        self.traded.append(self.bars[-1])
        if len(self.traded) == self.p.buy_at:
            self.buy(size=1)

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append((from_seconds(seconds_of(order.executed.dt)), order.executed.price))


def run(*feeds, engine=Cerebro, broker=None, add=None, strategy=Seen, params=None, **cerebro_params):
    cerebro = engine(stdstats=False, **cerebro_params)
    for feed in feeds:
        cerebro.adddata(feed)
    if add is not None:
        add(cerebro)
    cerebro.setbroker(broker or SimBroker(config=FREE))
    cerebro.addstrategy(strategy, **(params or {}))
    (ran,) = cerebro.run()
    return ran


def ends(ran, feed=0) -> list[datetime]:
    return list(dict.fromkeys(bar[feed][0] for bar in ran.bars if len(bar) > feed))


def buffers(feed) -> list[bytes]:
    bt.Cerebro().adddata(feed)
    feed.reset()
    feed._start()
    feed.preload()
    return [getattr(feed.lines, name).array.tobytes() for name in LINES]


# ---- stamps and intervals -------------------------------------------------------------------------------------------


def test_a_bar_is_stamped_at_its_end_in_naive_ist():
    found = ends(run(KiteData(dataname=minutes(sessions=1))))
    assert found[0] == datetime(2024, 7, 1, 9, 16)
    assert found[-1] == datetime(2024, 7, 1, 15, 30)
    assert len(found) == 375


LAST_OF_DAY = {
    "minute": (datetime(2024, 7, 1, 9, 16), 375),
    "3minute": (datetime(2024, 7, 1, 9, 18), 125),
    "5minute": (datetime(2024, 7, 1, 9, 20), 75),
    "10minute": (datetime(2024, 7, 1, 9, 25), 38),
    "15minute": (datetime(2024, 7, 1, 9, 30), 25),
    "30minute": (datetime(2024, 7, 1, 9, 45), 13),
    "60minute": (datetime(2024, 7, 1, 10, 15), 7),
    "day": (datetime(2024, 7, 1, 15, 30), 1),
}


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_of_kite_is_native_and_ends_with_the_session(interval):
    feed = KiteData(dataname=minutes(sessions=1), interval=interval)
    found = ends(run(feed))
    assert (found[0], len(found)) == LAST_OF_DAY[interval]
    assert found[-1] == datetime(2024, 7, 1, 15, 30)
    assert (feed._timeframe, feed._compression) == (
        (bt.TimeFrame.Days, 1) if interval == "day" else (bt.TimeFrame.Minutes, INTERVALS[interval] // 60)
    )
    assert feed.resampling == 0


def test_a_short_session_ends_when_it_ended():
    diwali = datetime(2024, 11, 1, 18)
    starts = np.arange(np.datetime64(diwali, "s"), np.datetime64("2024-11-01T19:00", "s"), np.timedelta64(60, "s"))
    flat = np.full(len(starts), 100.0)
    candles = Candles.of(
        "NSE:INFY", "minute", {"date": starts, **dict.fromkeys(("open", "high", "low", "close"), flat)}
    )
    assert ends(run(KiteData(dataname=candles, interval="60minute"))) == [datetime(2024, 11, 1, 19)]
    assert ends(run(KiteData(dataname=candles, interval="day"))) == [datetime(2024, 11, 1, 19)]


@pytest.mark.parametrize("kwargs", [{"timeframe": bt.TimeFrame.Minutes, "compression": 15}, {"interval": "15m"}])
def test_an_interval_may_be_said_in_backtraders_words(kwargs):
    assert str(KiteData(dataname=minutes(), **kwargs).interval) == "15minute"


def test_without_an_interval_candles_are_what_they_are():
    assert str(KiteData(dataname=bars("flat", interval="5minute")).interval) == "5minute"


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"interval": "7minute"}, "did you mean"),
        ({"interval": "minute", "tz": "UTC"}, "naive IST"),
        ({"interval": "5minute", "decide_at": time(15, 20)}, "decide_at closes day bars early; 5minute bars"),
    ],
)
def test_what_cannot_be_is_refused_when_the_feed_is_made(kwargs, words):
    with pytest.raises(ConfigError, match=words):
        KiteData(dataname=minutes(), **kwargs)


@pytest.mark.parametrize(
    ("dataname", "words"), [(None, "needs a dataname"), ("NSE:INFY", "needs a store"), (3, "DataFrame")]
)
def test_a_dataname_that_says_nothing_is_refused(dataname, words):
    with pytest.raises(ConfigError, match=words):
        KiteData(dataname=dataname)


def test_finer_bars_than_the_candles_are_refused():
    with pytest.raises(DataError, match="cannot be made"):
        run(KiteData(dataname=bars("flat", interval="5minute"), interval="minute"))


# ---- loading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", ["minute", "15minute", "day"])
def test_what_is_preloaded_is_what_comes_bar_by_bar(interval):
    candles = minutes(sessions=2)
    loaded = run(KiteData(dataname=candles, interval=interval), preload=True, runonce=True)
    stepped = run(KiteData(dataname=candles, interval=interval), preload=False, runonce=False)
    sparing = run(KiteData(dataname=candles, interval=interval), exactbars=1)
    assert loaded.bars == stepped.bars == sparing.bars
    assert len(loaded.bars) == {"minute": 750, "15minute": 50, "day": 2}[interval]


def test_preloaded_buffers_are_to_the_bit_what_pandasdata_makes():
    candles = minutes(sessions=2)
    table = candles.frame().set_index("date")
    table.index = table.index + pd.Timedelta(minutes=1)
    stock = bt.feeds.PandasData(dataname=table, openinterest="oi", timeframe=bt.TimeFrame.Minutes)
    assert buffers(KiteData(dataname=candles)) == buffers(stock)


def test_a_feed_of_ones_own_may_have_lines_and_parts_of_its_own():
    class Part:
        pass

    class Mine(Part, KiteData):
        lines = ("spread",)

    class Looks(Seen):
        def next(self):
            super().next()
            assert np.isnan(self.data.spread[0])

    mine = run(Mine(dataname=minutes(sessions=1)), strategy=Looks)
    assert mine.bars == run(KiteData(dataname=minutes(sessions=1))).bars


def test_a_feed_can_be_run_again_and_is_the_same():
    candles = minutes(sessions=1)
    feed = KiteData(dataname=candles)
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(feed)
    cerebro.addstrategy(Seen)
    first, second = (cerebro.run()[0] for _ in range(2))
    assert first.bars == second.bars
    assert len(first.bars) == 375


def test_the_candles_given_are_not_touched():
    candles = minutes(sessions=1)
    before = candles.digest()

    class Writes(Seen):
        def next(self):
            self.data.close[0] = -1.0

    run(KiteData(dataname=candles), strategy=Writes)
    assert candles.digest() == before


# ---- what may be given ----------------------------------------------------------------------------------------------


def frame(zone=None) -> pd.DataFrame:
    table = minutes(sessions=1).frame().set_index("date")
    if zone is not None:
        table.index = table.index.tz_localize(IST).tz_convert(zone)
    return table


@pytest.mark.parametrize("zone", [None, "Asia/Kolkata", "UTC", "America/New_York"])
@pytest.mark.parametrize("kwargs", [{}, {"interval": "minute"}, {"timeframe": bt.TimeFrame.Minutes, "compression": 1}])
def test_a_frame_is_read_in_ist_whatever_zone_it_is_in(zone, kwargs):
    ran = run(KiteData(dataname=frame(zone), **kwargs))
    assert ran.bars == run(KiteData(dataname=minutes(sessions=1))).bars


def test_a_frame_with_its_times_in_a_column_and_odd_names():
    table = frame().reset_index().rename(columns={"date": "Datetime", "open": "Open", "oi": "OpenInterest"})
    assert len(run(KiteData(dataname=table, interval="5minute")).bars) == 75


def test_frames_are_traded_under_the_feeds_name_each_by_itself():
    class Both(bt.Strategy):
        def next(self):
            if len(self) == 2:
                self.buy(self.datas[0], size=1)
                self.sell(self.datas[1], size=2)

    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(KiteData(dataname=frame()))
    cerebro.adddata(KiteData(dataname=frame()), name="INFY")
    cerebro.adddata(KiteData(dataname=frame(), name="NSE:TCS"))
    cerebro.setbroker(SimBroker(config=FREE))
    cerebro.addstrategy(Both)
    (ran,) = cerebro.run()
    assert [feed._name for feed in cerebro.datas] == ["DATA:frame1", "INFY", "NSE:TCS"]
    assert [feed.instrument.key for feed in cerebro.datas] == ["DATA:frame1", "DATA:INFY", "NSE:TCS"]
    assert [ran.getposition(feed).size for feed in cerebro.datas] == [1, -2, 0]
    assert cerebro.datasbyname["INFY"] is cerebro.datas[1]


def test_a_frame_without_times_or_prices_is_one_sentence():
    with pytest.raises(DataError, match="neither in the index nor in a column"):
        KiteData(dataname=frame().reset_index(drop=True))
    with pytest.raises(DataError, match="close"):
        KiteData(dataname=frame().drop(columns="close"))


# ---- ranges and warm-up ---------------------------------------------------------------------------------------------

TUESDAY = MONDAY + timedelta(days=1)
SECOND = {
    "date": date(2024, 7, 2),
    "midnight": TUESDAY,
    "open": TUESDAY + timedelta(hours=9, minutes=15),
    "aware": datetime(2024, 7, 2, 3, 45, tzinfo=UTC),
}


@pytest.mark.parametrize("begin", SECOND.values(), ids=SECOND)
@pytest.mark.parametrize("interval", ["minute", "60minute", "day"])
def test_fromdate_is_the_first_moment_that_is_traded(begin, interval):
    ran = run(KiteData(dataname=minutes(), interval=interval, fromdate=begin))
    first = {"minute": time(9, 16), "60minute": time(10, 15), "day": time(15, 30)}[interval]
    assert ends(ran)[0] == datetime.combine(TUESDAY, first)
    assert ran.traded == ran.bars


@pytest.mark.parametrize(
    ("until", "last"),
    [
        (date(2024, 7, 2), datetime(2024, 7, 2, 15, 30)),
        (datetime(2024, 7, 2, 12), datetime(2024, 7, 2, 12)),
        (datetime(2024, 7, 2, 6, 30, tzinfo=UTC), datetime(2024, 7, 2, 12)),
        (datetime(2024, 7, 2), datetime(2024, 7, 1, 15, 30)),
    ],
)
def test_todate_is_the_last_moment_and_a_date_includes_its_day(until, last):
    assert ends(run(KiteData(dataname=minutes(), todate=until)))[-1] == last


@pytest.mark.parametrize("warmup", [0, 1, 10, 375])
def test_warmup_bars_come_before_and_are_not_traded(warmup):
    everything = run(KiteData(dataname=minutes())).bars
    ran = run(KiteData(dataname=minutes(), fromdate=TUESDAY, warmup=warmup))
    assert ran.bars == everything[375 - warmup :]
    assert ran.traded == everything[375:]


def test_without_a_fromdate_the_first_bars_warm_up():
    ran = run(KiteData(dataname=minutes(sessions=1), warmup=20))
    assert len(ran.bars) == 375
    assert ran.traded == ran.bars[20:]


def test_a_bar_that_is_under_way_at_fromdate_warms_up():
    ran = run(
        KiteData(dataname=minutes(), interval="5minute", fromdate=TUESDAY + timedelta(hours=9, minutes=22), warmup=3)
    )
    assert ran.traded[0][0][0] == TUESDAY + timedelta(hours=9, minutes=30)
    assert ran.bars[len(ran.bars) - len(ran.traded) - 1][0][0] == TUESDAY + timedelta(hours=9, minutes=25)
    assert len(ran.bars) - len(ran.traded) == 3


def test_indicators_see_the_warmup():
    class Averages(Seen):
        def __init__(self):
            super().__init__()
            self.mean = bt.ind.SMA(period=10)

    ran = run(KiteData(dataname=minutes(), fromdate=TUESDAY, warmup=10), strategy=Averages)
    assert ran.traded[0][0][0] == TUESDAY + timedelta(hours=9, minutes=16)


def test_a_range_without_a_bar_says_what_there_is():
    with pytest.raises(DataError, match="from 2024-07-01 09:15:00 to 2024-07-03 15:29:00; nothing between 2024-08-01"):
        run(KiteData(dataname=minutes(), fromdate=datetime(2024, 8, 1)))


# ---- from a store ---------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    made = KiteStore(config=FREE.with_(**{"data.cache": str(tmp_path), "data.warmup": 7}))
    made.cache.write(minutes())
    made.cache.write(minutes("NSE:TCS"))
    return made


def test_the_stores_candles_are_the_same_as_those_given(store, socket_disabled):
    for interval in ("minute", "30minute", "day"):
        mine = run(store.getdata("NSE:INFY", interval=interval, fromdate=TUESDAY, todate=TUESDAY.date(), warmup=2))
        given = run(KiteData(dataname=minutes(), interval=interval, fromdate=TUESDAY, todate=TUESDAY.date(), warmup=2))
        assert mine.bars == given.bars
        assert mine.traded == given.traded


def test_the_configuration_says_how_many_bars_warm_up(store):
    ran = run(store.getdata("INFY", interval="minute", fromdate=TUESDAY))
    assert len(ran.bars) - len(ran.traded) == 7


def test_a_symbol_that_is_not_stored_is_refused_with_a_suggestion(store):
    with pytest.raises(UnknownSymbol, match="NSE:INFY"):
        store.getdata("NSE:INFI", interval="minute")


def test_a_range_that_is_not_stored_says_what_is(store):
    with pytest.raises(DataError, match="stored from 2024-07-01 09:15"):
        run(store.getdata("NSE:INFY", interval="minute", fromdate=datetime(2025, 1, 1)))


# ---- resampling -----------------------------------------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize("interval", ["5minute", "60minute", "day"])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside the fine one"])
def test_resampledata_makes_it_native_and_equal_to_the_interval_asked_for(engine, interval, beside):
    timeframe = bt.TimeFrame.Days if interval == "day" else bt.TimeFrame.Minutes
    compression = 1 if interval == "day" else INTERVALS[interval] // 60
    fine, made = KiteData(dataname=minutes()), []

    def add(cerebro):
        if beside:
            cerebro.adddata(fine)
        made.append(cerebro.resampledata(fine, timeframe=timeframe, compression=compression, name="coarse"))

    resampled = run(add=add, engine=engine)
    direct = run(*([KiteData(dataname=minutes())] if beside else []), KiteData(dataname=minutes(), interval=interval))
    assert isinstance(made[0], KiteData)
    assert (made[0] is fine) != beside
    assert made[0].resampling == 0
    assert made[0]._name == "coarse"
    assert [bar for bar in resampled.bars if len(bar) > int(beside)] == [
        bar for bar in direct.bars if len(bar) > int(beside)
    ]
    assert len(made[0]) == len(aggregate(minutes(), interval, lambda day: [(at(day, 9, 15), at(day, 15, 30))]))


def at(day, hour, minute):
    return datetime.combine(day, time(hour, minute))


def test_on_our_cerebro_a_resampled_feed_is_still_preloaded():
    def add(cerebro):
        cerebro.resampledata(KiteData(dataname=minutes()), timeframe=bt.TimeFrame.Minutes, compression=15)

    ran = run(add=add, runonce=True)
    assert len(ran.bars) == 75
    assert ran.env._dopreload
    assert ran.env._dorunonce


@ENGINES
def test_weeks_are_backtraders_own_resampling_on_history(engine):
    def add(cerebro):
        cerebro.resampledata(
            KiteData(dataname=minutes(sessions=8), interval="day"), timeframe=bt.TimeFrame.Weeks, compression=1
        )

    weeks = run(add=add, engine=engine)
    assert [bar[0][0].date() for bar in weeks.bars] == [date(2024, 7, 5), date(2024, 7, 10)]
    days = run(KiteData(dataname=minutes(sessions=8), interval="day")).bars
    assert weeks.bars[0][0][2] == max(bar[0][2] for bar in days[:5])
    assert weeks.bars[0][0][4] == days[4][0][4]


@ENGINES
@pytest.mark.parametrize(
    "kwargs",
    [
        {"timeframe": bt.TimeFrame.Minutes, "compression": 1},
        {"timeframe": bt.TimeFrame.Minutes, "compression": 2},
        {"timeframe": bt.TimeFrame.Seconds, "compression": 30},
        {"timeframe": bt.TimeFrame.Ticks},
    ],
)
def test_finer_bars_cannot_be_resampled_out_of_coarse_ones(engine, kwargs):
    with pytest.raises(ConfigError, match="5minute bars cannot be resampled"):
        engine().resampledata(KiteData(dataname=minutes(), interval="5minute"), **kwargs)


@ENGINES
def test_replaydata_is_refused_in_one_sentence_that_says_what_to_do(engine):
    with pytest.raises(ConfigError, match="add the fine interval and resampledata the coarse one"):
        engine().replaydata(KiteData(dataname=minutes()), timeframe=bt.TimeFrame.Days)


# ---- copies ---------------------------------------------------------------------------------------------------------


def test_a_clone_is_another_feed_of_the_same_instrument_with_the_same_params(store):
    feed = store.getdata("NSE:INFY", interval="5minute", fromdate=TUESDAY, warmup=3)
    clone = feed.clone()
    assert clone is not feed
    assert (clone.instrument, clone.interval) == (feed.instrument, feed.interval)
    assert run(clone).bars == run(feed).bars


@ENGINES
def test_a_feed_that_is_pickled_is_the_same_on_the_other_side(store, engine):
    feed = pickle.loads(pickle.dumps(store.getdata("NSE:INFY", interval="60minute")))
    assert run(feed, engine=engine).bars == run(store.getdata("NSE:INFY", interval="60minute")).bars


class Ends(bt.Analyzer):
    def stop(self):
        self.rets = {"bars": len(self.strategy), "value": self.strategy.broker.getvalue()}


@ENGINES
def test_optimising_in_two_processes_takes_a_stores_feeds_along(store, engine):
    cerebro = engine(stdstats=False)
    cerebro.adddata(store.getdata("NSE:INFY", interval="15minute", warmup=0))
    cerebro.adddata(KiteData(dataname=frame(), interval="15minute"), name="OWN")
    cerebro.setbroker(SimBroker(config=FREE))
    cerebro.addanalyzer(Ends)
    cerebro.optstrategy(Seen, buy_at=[3, 5])
    found = [one.analyzers.ends.get_analysis() for (one,) in cerebro.run(maxcpus=2)]
    assert len({row["value"] for row in found}) == 2
    assert {row["bars"] for row in found} == {75}


# ---- slots ----------------------------------------------------------------------------------------------------------


def test_a_slot_that_is_bound_anew_gives_new_orders_to_the_new_instrument():
    first, second = (
        Instrument("NFO", "NIFTY24JUL24000CE", lot_size=25),
        Instrument("NFO", "NIFTY24JUL24100CE", lot_size=25),
    )

    class Rolls(bt.Strategy):
        def __init__(self):
            self.given, self.held = [], []

        def next(self):
            if len(self) == 2:
                self.given.append(self.buy(size=25))
            elif len(self) == 4:
                self.held.append(self.position.size)
                self.data.bind(second)
                self.held.append(self.position.size)
                self.given.append(self.buy(size=50))
            elif len(self) == 6:
                self.held.append(self.position.size)
                self.data.bind(first)
                self.held.append(self.position.size)

    feed = KiteData(dataname=minutes("NSE:NIFTY", sessions=1))
    feed.bind(first)
    ran = run(feed, strategy=Rolls)
    assert [order.info.instrument for order in ran.given] == [first.key, second.key]
    assert ran.held == [25, 0, 50, 25]


def test_binding_renames_a_feed_only_if_nobody_named_it():
    other = Instrument("NSE", "TCS")
    plain = KiteData(dataname=minutes())
    assert plain._name == "NSE:INFY"
    plain.bind(other)
    assert plain._name == "NSE:TCS"
    named = KiteData(dataname=minutes(), name="leg")
    named.bind(other)
    assert named._name == "leg"
    later = KiteData(dataname=minutes())
    bt.Cerebro().adddata(later, name="leg")
    later.bind(other)
    assert later._name == "leg"


# ---- day bars that close early --------------------------------------------------------------------------------------


def test_a_day_decided_early_is_stamped_then_and_its_orders_trade_at_its_close():
    candles = minutes()
    overnight = SimBroker(config=FREE.with_(**{"broker.default_product": "CNC"}))
    early = run(
        KiteData(dataname=candles, interval="day", decide_at=time(15, 20)), broker=overnight, params={"buy_at": 1}
    )
    assert ends(early) == [at(MONDAY + timedelta(days=n), 15, 20) for n in range(3)]
    assert early.fills == [(datetime(2024, 7, 1, 15, 29, 59), early.bars[0][0][4])]
    usual = run(KiteData(dataname=candles, interval="day"), params={"buy_at": 1})
    assert usual.fills == [(datetime(2024, 7, 2, 9, 15), usual.bars[1][0][1])]
    assert [bar[0][1:] for bar in early.bars] == [bar[0][1:] for bar in usual.bars]


def test_a_muhurat_evening_after_it_keeps_its_own_close():
    flat = np.full(2, 100.0)
    candles = Candles.of(
        "NSE:INFY",
        "day",
        {
            "date": np.array(["2022-10-21", "2022-10-24"], "datetime64[s]"),
            **dict.fromkeys(("open", "high", "low", "close"), flat),
        },
    )
    found = ends(run(KiteData(dataname=candles, interval="day", decide_at=time(15, 20))))
    assert found == [datetime(2022, 10, 21, 15, 20), datetime(2022, 10, 24, 19, 15)]


def test_the_configuration_may_decide_and_says_nothing_about_minutes(tmp_path):
    store = KiteStore(config=FREE.with_(**{"data.cache": str(tmp_path), "broker.decide_at": "15:20"}))
    store.cache.write(minutes(sessions=1))
    assert ends(run(store.getdata("NSE:INFY", interval="day"))) == [datetime(2024, 7, 1, 15, 20)]
    assert ends(run(store.getdata("NSE:INFY", interval="minute")))[-1] == datetime(2024, 7, 1, 15, 30)


def test_errors_are_all_of_one_family():
    assert issubclass(ConfigError, BtkiteError)
    assert issubclass(DataError, BtkiteError)


def test_the_tick_of_a_bar_is_what_backtrader_makes_of_it():
    class Compares(bt.Strategy):
        def next(self):
            found = []
            for fill in (type(self.data)._tick_fill, bt.feed.DataBase._tick_fill):
                self.data._tick_nullify()
                fill(self.data, force=True)
                found.append({name: value for name, value in vars(self.data).items() if name.startswith("tick_")})
            assert found[0] == found[1]
            assert None not in found[0].values()

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(KiteData(dataname=bars("whipsaw", symbol="NSE:AAA", count=4)))
    cerebro.addstrategy(Compares)
    assert len(cerebro.run()[0]) == 4
