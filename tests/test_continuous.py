"""Continuous futures: the same rolls, bars, orders and indicators in every mode, and nothing from the future."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta

import backtrader as bt
import pytest

from btkite.brokers.record import Record
from btkite.candles import Candles
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.errors import ConfigError
from btkite.journal import Journal
from btkite.kite.made import facts
from btkite.linetime import from_seconds, seconds_of
from btkite.modes import MODES
from btkite.store import KiteStore
from btkite.testing.wire import USER

EVERY_MODE = pytest.mark.parametrize("mode", MODES)
DAYS = [datetime(2024, 7, day) for day in (19, 22, 23, 24, 25, 26, 29)]
SPOT, JULY, AUGUST = "NSE:NIFTY 50", "NFO:NIFTY24JULFUT", "NFO:NIFTY24AUGFUT"
EXPIRY, START = date(2024, 7, 25), DAYS[2]
BASE = {SPOT: 24_400.0, JULY: 24_420.0, AUGUST: 24_540.0}
OI = {JULY: (900, 800, 700, 500, 300), AUGUST: (100, 200, 400, 600, 800, 900, 950)}
VOLUME = {JULY: (50, 50, 20, 20, 10), AUGUST: (10, 10, 15, 30, 30, 40, 40)}
COUNT = 12


def market():
    """Seeded walks; by open interest the next contract leads from the close of the 24th, by volume too."""
    found = {}
    for key, base in BASE.items():
        chance, price, rows = random.Random(key), base, []
        for n, day in enumerate(DAYS):
            if key == JULY and day.date() > EXPIRY:
                continue
            for minute in range(COUNT):
                price += chance.choice((-2.0, -1.0, 1.0, 2.5))
                start = day + timedelta(hours=9, minutes=15 + minute)
                volume, oi = VOLUME.get(key, (1,) * 9)[n], OI.get(key, (0,) * 9)[n]
                rows.append((start, price, price + 2, price - 2, price + 1, volume, oi))
        names = ("date", "open", "high", "low", "close", "volume", "oi")
        found[key] = Candles.of(key, "minute", dict(zip(names, zip(*rows, strict=True), strict=True)))
    return found


class Trend(bt.Strategy):
    """Buys on the 24th, closes what it has left behind once it is left, and notes all it sees."""

    params = (("trades", True),)

    def __init__(self):
        future = self.datas[0]
        self.average = bt.ind.SMA(future.close, period=8)
        self.quick = bt.ind.EMA(future.close, period=5)
        self.spread = self.quick - self.average
        self.strength = bt.ind.RSI_Safe(future, period=6)
        self.seen, self.done, self.left, self.trades = [], [], [], []
        self.bought = self.late = False

    def next(self):
        future = self.datas[0]
        now = from_seconds(seconds_of(self.datetime[0]))
        values = (future.close[0], future.close[-1], self.average[0], self.quick[0], self.spread[0], self.strength[0])
        self.seen.append((now, future.instrument.key, *values))
        if not self.p.trades:
            return
        if now.date() == DAYS[3].date() and now.time() >= time(9, 20) and not self.bought:
            self.bought = True
            self.buy(data=future, size=75)
        for left in future.left:
            if now.time() >= time(9, 20) and not self.late:
                self.late = True
                self.left.append((now, left.instrument.key, self.getposition(left).size, left.close[0]))
                self.close(data=left)
                self.buy(data=future, size=75)

    def notify_order(self, order):
        if order.status == order.Completed:
            at = from_seconds(seconds_of(order.executed.dt))
            self.done.append((order.info.instrument, order.executed.size, order.executed.price, at))
        elif order.status == order.Rejected:
            self.done.append((order.info.instrument, str(order.info.denied)))

    def notify_trade(self, trade):
        if trade.isclosed:
            self.trades.append((trade.tradeid, round(trade.pnl, 6)))


@pytest.fixture
def run(kite_exchange, tmp_path):
    known = {}

    def run(mode, *, feeds=(SPOT,), interval="minute", strategy=None, engine=Cerebro, start=START, **rule):
        candles = market()
        kite_exchange.reset(candles, start=start + timedelta(hours=9))
        keep = {"risk.enabled": False, "broker.charges": False, "broker.default_product": "NRML", "data.warmup": 20,
                "broker.capital": 1e8}  # fmt: skip
        store = KiteStore(mode=mode if mode != "backtest" else "paper", config=kite_exchange.config(**keep),
                          confirm=USER)  # fmt: skip
        if start.date() <= EXPIRY:
            known.update({key: facts(store.instrument(key)) for key in candles})
        if mode == "backtest":
            store = KiteStore(config=Config().with_(**keep, **{"data.cache": str(tmp_path)}))
        for key, one in candles.items():  # of what has expired, a run on a stream has what was stored
            if mode == "backtest" or start.date() > EXPIRY:
                store.cache.write(one, facts=known[key])
        rule.setdefault("continuous", "oi")
        cerebro = engine(stdstats=False)
        begin = {"fromdate": start} if mode == "backtest" else {}
        cerebro.adddata(store.getdata("NFO:NIFTY FUT", interval=interval, **rule, **begin))
        for key in feeds:
            cerebro.adddata(store.getdata(key, interval="minute", **begin))
        cerebro.setbroker(store.getbroker())
        cerebro.addstrategy(strategy or Trend)
        return cerebro.run()[0]

    return run


RULES = {
    "oi": (
        {"continuous": "oi"},
        date(2024, 7, 25),
        "on 2024-07-24 NIFTY24AUGFUT had the larger open interest, 600 to 500",
    ),
    "volume": (
        {"continuous": "volume"},
        date(2024, 7, 25),
        "on 2024-07-24 NIFTY24AUGFUT had the larger volume, 360 to 240",
    ),
    "expiry": ({"continuous": "expiry"}, date(2024, 7, 26), "NIFTY24JULFUT expired on 2024-07-25"),
    "a day before": (
        {"continuous": "expiry", "days": 2},
        date(2024, 7, 24),
        "NIFTY24JULFUT expires on 2024-07-25, and its last 2 sessions are left out",
    ),
}


def close(key, day):
    one = market()[key]
    return float(one.close[(one.start >= day) & (one.start < day + timedelta(days=1))][-1])


@EVERY_MODE
@pytest.mark.parametrize("name", RULES)
def test_it_rolls_by_its_rule_and_says_why(run, mode, name):
    rule, day, why = RULES[name]
    ran = run(mode, **rule)
    (roll,) = ran.datas[0].rolls
    assert (roll.day, roll.why, roll.before.key, roll.after.key) == (day, why, JULY, AUGUST)
    assert str(roll) == f"{day}: {JULY} → {AUGUST}, because {why}"
    before = DAYS[[one.date() for one in DAYS].index(day) - 1]
    assert roll.gap == close(AUGUST, before) - close(JULY, before)
    bound = {(now.date(), key) for now, key, *_ in ran.seen}
    assert bound == {(one.date(), JULY if one.date() < day else AUGUST) for one in DAYS[2:]}


@pytest.mark.parametrize("adjust", [None, "back", "ratio"])
@pytest.mark.parametrize("name", ["oi", "expiry"])
def test_bars_orders_and_indicators_are_equal_in_every_mode(run, name, adjust):
    ran = {mode: run(mode, adjust=adjust, **RULES[name][0]) for mode in MODES}
    for what in ("seen", "done", "left", "trades"):
        stories = [getattr(one, what) for one in ran.values()]
        assert stories[0] or (what == "left" and name == "expiry"), what  # by then it has ended
        assert stories.count(stories[0]) == len(MODES), what
    assert len({one.broker.getvalue() for one in ran.values()}) == 1
    assert len(ran["live"].seen) == 5 * COUNT


@EVERY_MODE
def test_orders_go_to_the_current_contract_and_the_old_position_is_closed_there(run, mode):
    ran = run(mode)
    july, august = market()[JULY], market()[AUGUST]
    minute = lambda day, n: DAYS[day] + timedelta(hours=9, minutes=15 + n)  # noqa: E731
    price = lambda one, at: float(one.open[one.start.tolist().index(at)])  # noqa: E731
    bought, moved = minute(3, 5), minute(4, 5)
    assert ran.done == [
        (JULY, 75, price(july, bought), bought),
        (AUGUST, 75, price(august, moved), moved),
        (JULY, -75, price(july, moved), moved),
    ] or ran.done == [
        (JULY, 75, price(july, bought), bought),
        (JULY, -75, price(july, moved), moved),
        (AUGUST, 75, price(august, moved), moved),
    ]
    assert ran.left == [(moved, JULY, 75, float(july.close[july.start.tolist().index(minute(4, 4))]))]
    assert ran.trades == [(JULY, pytest.approx(75 * (price(july, moved) - price(july, bought))))]


def test_unadjusted_it_is_what_was_traded(run):
    ran = run("backtest")
    for key, days in ((JULY, DAYS[2:4]), (AUGUST, DAYS[4:])):
        one = market()[key]
        for day in days:
            traded = one.close[(one.start >= day) & (one.start < day + timedelta(days=1))].tolist()
            assert [row[2] for row in ran.seen if row[0].date() == day.date()] == traded


@pytest.mark.parametrize("adjust", ["back", "ratio"])
def test_the_last_bar_is_the_contracts_own_and_the_past_is_moved(run, adjust):
    ran, plain = run("backtest", adjust=adjust), run("backtest")
    assert [row[:3] for row in ran.seen] == [row[:3] for row in plain.seen]  # never what is not traded
    at = next(n for n, row in enumerate(ran.seen) if row[1] == AUGUST)
    roll, last = ran.datas[0].rolls[0], plain.seen[at - 1][2]
    assert ran.seen[at][3] == (last + roll.gap if adjust == "back" else last * roll.ratio)


@pytest.mark.parametrize("adjust", ["back", "ratio"])
def test_after_a_roll_indicators_are_what_they_would_be_on_the_moved_past(run, adjust):
    """Held against the same indicators over a feed that was moved beforehand."""
    ran = run("backtest", adjust=adjust)
    future = ran.datas[0]
    count = len(future)

    class Whole(Trend):
        params = (("trades", False),)

        def next(self):
            self.seen.append((self.average[0], self.quick[0], self.spread[0], self.strength[0]))

    lines = [list(getattr(future.lines, name).array)[:count] for name in ("open", "high", "low", "close")]
    import pandas as pd

    index = [from_seconds(seconds_of(stamp)) for stamp in future.lines.datetime.array[:count]]
    frame = pd.DataFrame(dict(zip(("open", "high", "low", "close"), lines, strict=True)), index=index)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame.assign(volume=0.0)))
    cerebro.addstrategy(Whole)
    whole = cerebro.run(runonce=False)[0].seen
    after = [row[4:] for row in ran.seen if row[1] == AUGUST]
    assert after == whole[-len(after) :]


def test_a_run_that_begins_after_a_roll_has_the_same_past(run):
    """Where one begins changes nothing: a backtest from before the roll, and a run of after it."""
    early = run("backtest", adjust="back")
    late = {mode: run(mode, adjust="back", start=DAYS[5]) for mode in MODES}
    assert late["live"].seen == late["paper"].seen == late["backtest"].seen
    assert len(late["live"].seen) == 2 * COUNT
    prices = [row[:5] for row in early.seen[-2 * COUNT :]]  # an EMA remembers where it began
    assert [row[:5] for row in late["live"].seen] == prices


@EVERY_MODE
def test_two_intervals_of_one_future_roll_together(run, mode):
    seen = []

    class Both(bt.Strategy):
        def next(self):
            seen.append((from_seconds(seconds_of(self.datetime[0])), *(data.instrument.key for data in self.datas)))

    ran = run(mode, strategy=Both, feeds=(), interval="5minute", warmup=0)
    assert {row[1] for row in seen} == {JULY, AUGUST}
    assert len(ran.datas[0].rolls) == 1


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_over_a_restart_it_is_todays_contract_and_the_old_position_is_closed(kite_exchange, tmp_path, mode):
    kite_exchange.reset(market(), start=START + timedelta(hours=9))
    keep = {"risk.enabled": False, "broker.default_product": "NRML", "data.warmup": 10, "broker.capital": 1e8}

    class Lives(Trend):
        params = (("until", None),)

        def next(self):
            super().next()
            if self.p.until is not None and self.seen[-1][0] >= self.p.until:
                self.env.runstop()

    def life(until=None):
        store = KiteStore(mode=mode, config=kite_exchange.config(**keep), confirm=USER)
        cerebro = Cerebro(stdstats=False)
        cerebro.adddata(store.getdata("NFO:NIFTY FUT", interval="minute", continuous="oi", adjust="back"))
        cerebro.adddata(store.getdata(SPOT, interval="minute"))
        with Journal(tmp_path / "journal.sqlite", store.clock) as journal:
            cerebro.setbroker(store.getbroker(record=Record(journal)))
            cerebro.addstrategy(Lives, until=until)
            return cerebro.run()[0]

    first = life(until=DAYS[3] + timedelta(hours=9, minutes=25))
    assert [row[:2] for row in first.done] == [(JULY, 75)]
    kite_exchange.steer.play_until(DAYS[4] + timedelta(hours=8, minutes=50))  # the night in which it rolls
    second = life()
    assert second.datas[0].instrument.key == AUGUST
    assert [(key, size) for _, key, size, _ in second.left] == [(JULY, 75)]
    assert sorted(row[:2] for row in second.done[1:]) == [(AUGUST, 75), (JULY, -75)]
    assert len(second.trades) == 1
    if mode == "live":
        held = {row["tradingsymbol"]: row["quantity"] for row in kite_exchange.positions() if row["quantity"]}
        assert held == {"NIFTY24AUGFUT": 75}


def test_what_is_wrong_is_one_sentence(run, tmp_path):
    store = KiteStore(config=Config().with_(**{"data.cache": str(tmp_path)}))
    with pytest.raises(ConfigError, match="rolls by expiry, volume or oi, not by 'full moon'"):
        store.getdata("NFO:NIFTY FUT", continuous="full moon")
    with pytest.raises(ConfigError, match="write EXCHANGE:NAME FUT"):
        store.getdata("NFO:NIFTY24JULFUT", continuous="oi")
    with pytest.raises(ConfigError, match=r"by back \(difference\) or ratio"):
        store.getdata("NFO:NIFTY FUT", continuous="oi", adjust="forward")
    with pytest.raises(ConfigError, match="is bound by its rule"):
        store.getdata("NFO:NIFTY FUT", continuous="oi").bind("near")
